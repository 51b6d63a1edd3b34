//! Policies: the tenant's own and the platform's, what they say, and whom they are on.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    CreatePolicy, DeletePolicy, Entities, GetPolicy, GetPolicyVersion, Lint, ListEntitiesForPolicy,
    ListPolicies, ListPolicyVersions, Paging, PolicyInfo, PolicyType, PolicyVersion, Tagged,
    UpdatePolicyDescription, check_policy, policy_lints,
};
use bailee_types::PolicyName;
use http::StatusCode;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, enc, icon, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::attach::{address, kind_chip};
use super::parts::{Confirm, Field, Said, Tab, ask, lines, page, part, tick};
use super::{tags, versions};

const PER_PAGE: u32 = 50;
const SAMPLE: &str = r#"{
  "Version": "1",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["oss:GetObject", "oss:ListObjects"],
      "Resource": ["acs:oss:*:*:my-bucket", "acs:oss:*:*:my-bucket/*"]
    }
  ]
}"#;

/// `custom/reader` of an address.
pub(super) fn parse(visit: &Visit, kind: &str, name: &str) -> Result<(PolicyType, PolicyName), Response> {
    let kind = match kind {
        "custom" => PolicyType::Custom,
        "system" => PolicyType::System,
        _ => return Err(failure::missing(visit)),
    };
    Ok((kind, PolicyName::parse(name).map_err(|_| failure::missing(visit))?))
}

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let chosen = q.get("kind").map_or("", String::as_str);
    let kind = match chosen {
        "custom" => Some(PolicyType::Custom),
        "system" => Some(PolicyType::System),
        _ => None,
    };
    let paging = Paging { marker: q.get("after").cloned(), items_max: PER_PAGE };
    let policies = match ask(&s, ListPolicies { kind, page: paging, tags: Vec::new() }).await {
        Ok(policies) => policies,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let choice = |value: &'static str, text: &'static str| html! { option value=(value) selected[value == chosen] { (text) } };
    let main = html! {
        div.title { div { h1 { (t("Policies", "策略")) } p { (t("A policy says what is allowed and what is denied, on what and when. It does nothing until it is on somebody.", "策略说明在什么条件下对什么资源允许或拒绝哪些操作。添加到某个身份之后才生效。")) } } a.btn.main-act #new-policy href="/console/access/policies/new" { (t("New policy", "新建策略")) } }
        form #filter.filters.card.pad method="get" action="/console/access/policies" {
            div.field { label for="kind" { (t("Whose", "类型")) } select.in #kind name="kind" { (choice("", t("All", "全部"))) (choice("custom", t("Your own", "自定义"))) (choice("system", t("System", "系统"))) } }
            button.btn { (t("Show", "显示")) }
        }
        section { div.card {
            @if policies.items.is_empty() { div.empty { h3 { (t("No policy of your own", "没有自定义策略")) } p { (t("Start from a system policy, and write your own to allow less.", "可先使用系统策略，再编写自定义策略以缩小范围。")) } } }
            @else { table.tbl #policies { thead { tr { th { (t("Name", "名称")) } th { (t("Whose", "类型")) } th.r { (t("On how many", "使用数量")) } th.r { (t("Version", "版本")) } } } tbody {
                @for p in &policies.items { tr {
                    th scope="row" { a href=(address(p.kind, &p.name)) { (p.name) } span.sub { (p.description) } }
                    td data-l=(t("Whose", "类型")) { span { (kind_chip(&s.visit, p.kind)) } }
                    td.r data-l=(t("On how many", "使用数量")) { (p.attached) }
                    td.r data-l=(t("Version", "版本")) { "v" (p.default_version) }
                } }
            } } }
            @if let Some(next) = &policies.marker { p.pad { a #next href={ "/console/access/policies?kind=" (enc(chosen)) "&after=" (enc(next)) } { (t("Next page", "下一页")) } } }
        } }
    };
    page(&s.visit, StatusCode::OK, t("Policies", "策略"), Tab::Policies, &main)
}

pub(super) async fn new(s: Signed<Tenant>) -> Response {
    show_new(&s, &Said::nothing())
}

fn show_new(s: &Signed<Tenant>, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let main = html! {
        p.crumb { a href="/console/access/policies" { (t("Policies", "策略")) } " / " (t("New", "新建")) }
        div.title { div { h1 { (t("New policy", "新建策略")) } p { (t("A policy that is not understood whole is refused, never partly applied.", "不能被完整理解的策略会被拒绝，绝不会部分生效。")) } } }
        (said.notice())
        form #create-policy.card method="post" action="/console/access/policies" { div.pad.stack { (csrf(&s.visit))
            div {
                (Field { form: "create", name: "name", label: t("Name", "名称"), value: said.typed("create", "name", ""), required: true, hint: t("A-Z, a-z, 0-9, hyphen", "A-Z、a-z、0-9、连字符"), ..Field::default() }.show())
                (Field { form: "create", name: "description", label: t("Description", "说明"), value: said.typed("create", "description", ""), max: 1024, ..Field::default() }.show())
                (editor(&s.visit, "create", said.typed("create", "document", SAMPLE)))
            }
            p { button.btn.main-act { (t("Create the policy", "创建策略")) } }
        } }
    };
    page(&s.visit, said.status, t("New policy", "新建策略"), Tab::Policies, &main)
}

/// The field for a document. The first line break is HTML's own and not part of the text.
pub(super) fn editor(visit: &Visit, form: &str, document: &str) -> Markup {
    let id = format!("{form}-document");
    html! { div.field { label for=(id) { (visit.lang.t("Document", "策略文档")) } textarea.in id=(id) name="document" rows="18" spellcheck="false" required { "\n" (document) } } }
}

pub(super) async fn create(p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let document = lines(p.field("document"));
    let said = match (PolicyName::parse(p.field("name").trim()), check_policy(&document)) {
        (Err(_), _) => Said::wrong(
            &p,
            "create",
            visit.lang.t(
                "The name must have 1 to 128 of A-Z, a-z, 0-9, hyphen.",
                "名称须为 1 至 128 位的 A-Z、a-z、0-9、连字符。",
            ),
        ),
        (_, Err(shown)) => Said::document(&p, "create", shown),
        (Ok(name), Ok(())) => {
            let description = p.field("description").trim().to_owned();
            let act = CreatePolicy { name, document, description, tags: Vec::new() };
            match ask(&p.signed, act).await {
                Ok(policy) => return Redirect::to(&address(policy.kind, &policy.name)).into_response(),
                Err(e) => match Said::failed(&p, "create", &e) {
                    Ok(said) => said,
                    Err(page) => return page,
                },
            }
        }
    };
    show_new(&p.signed, &said)
}

pub(super) async fn one(
    s: Signed<Tenant>,
    Path((kind, name)): Path<(String, String)>,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    match parse(&s.visit, &kind, &name) {
        Ok((kind, name)) => show(&s, kind, &name, q.get("v").map(String::as_str), &Said::nothing()).await,
        Err(page) => page,
    }
}

/// A policy's page, at the version that counts or another.
pub(super) async fn show(
    s: &Signed<Tenant>,
    kind: PolicyType,
    name: &PolicyName,
    version: Option<&str>,
    said: &Said,
) -> Response {
    match build(s, kind, name, version, said).await {
        Ok(page) | Err(page) => page,
    }
}

async fn build(
    s: &Signed<Tenant>,
    kind: PolicyType,
    name: &PolicyName,
    version: Option<&str>,
    said: &Said,
) -> Result<Response, Response> {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let fail = |e: Failure| failure::page(visit, &e);
    let (info, mut shown) = ask(s, GetPolicy { kind, name: name.clone() }).await.map_err(fail)?;
    if let Some(text) = version {
        let version = text.trim_start_matches('v').parse().map_err(|_| failure::missing(visit))?;
        shown = ask(s, GetPolicyVersion { kind, name: name.clone(), version }).await.map_err(fail)?;
    }
    let versions = part(visit, ask(s, ListPolicyVersions { kind, name: name.clone() }).await)?;
    let holders = part(visit, ask(s, ListEntitiesForPolicy { kind, policy: name.clone() }).await)?;
    let is_own = kind == PolicyType::Custom;
    let tagged = if is_own { Some(tags::load(s, Tagged::Policy(name.clone())).await?) } else { None };
    let base = address(kind, name.as_str());
    let main = html! {
        p.crumb { a href="/console/access/policies" { (t("Policies", "策略")) } " / " (info.name) }
        div.title { div { h1 { (info.name) " " (kind_chip(visit, kind)) } p { (info.description) } }
            @if is_own { div.acts { a.btn.main-act #new-version href={ (base) "/edit" } { (t("New version", "新建版本")) } a.btn.stop #to-delete href={ (base) "/delete" } { (t("Delete", "删除")) } } } }
        (said.notice())
        (document(visit, &shown))
        section #holders { h2 { (t("Who it is on", "使用者")) } div.card { @match &holders { Err(why) => (why), Ok(holders) => (holder_list(visit, holders)) } } }
        @if is_own {
            section #versions { div.head { h2 { (t("Versions", "版本")) } p { (t("Five at most; one counts.", "最多五个，只有一个生效。")) } } div.card { @match &versions { Err(why) => (why), Ok(all) => (versions::list(visit, &base, all, shown.version)) } } }
            section { h2 { (t("Description", "说明")) } (describe_form(visit, &base, &info, said)) }
            @if let Some(tagged) = &tagged { (tags::section(visit, &base, tagged, said)) }
        }
    };
    Ok(page(visit, said.status, &info.name, Tab::Policies, &main))
}

fn document(visit: &Visit, shown: &PolicyVersion) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let statements = statements(&shown.document);
    html! { section #document { div.head { h2 { (t("What it says", "内容")) " " span.chip { "v" (shown.version) } @if shown.is_default { " " span.chip.ok { (icon("check")) (t("counts", "生效")) } } @else { " " span.chip.warn { (icon("clock")) (t("does not count", "未生效")) } } } p { (time(shown.created_at)) } }
        div.card {
            @for (n, (effect, text)) in statements.iter().enumerate() {
                div.group id={ "s" (n + 1) } { (t("Statement ", "语句 ")) (n + 1) " · " (effect) }
                pre.pad { (text) }
            }
            (hints(visit, &policy_lints(&shown.document)))
            div.note { details open[statements.is_empty()] { summary { (t("The document as it was stored", "策略文档原文")) } pre { (shown.document) } } }
        }
    } }
}

/// The statements of a document with their effects, each with its members in the order that people read them.
fn statements(document: &str) -> Vec<(String, String)> {
    const ORDER: [&str; 9] = [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];
    let Ok(value) = serde_json::from_str::<serde_json::Value>(document) else { return Vec::new() };
    let all = match value.get("Statement") {
        Some(serde_json::Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let show = |statement: &serde_json::Value| {
        let effect = statement.get("Effect").and_then(|e| e.as_str()).unwrap_or_default().to_owned();
        let member = |name: &&str| {
            let text = serde_json::to_string_pretty(statement.get(*name)?).ok()?;
            Some(format!("{name}: {text}"))
        };
        (effect, ORDER.iter().filter_map(member).collect::<Vec<_>>().join("\n"))
    };
    all.iter().map(show).collect()
}

/// What is probably not meant.
pub(super) fn hints(visit: &Visit, lints: &[Lint]) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { @if !lints.is_empty() { div.pad.stack #lints { @for lint in lints {
        div.notice.warn { (icon("warn")) div {
            p { b { (t("Statement ", "语句 ")) (lint.statement) } " · " code { (lint.code) } @if let Some(zh) = in_chinese(visit, lint.code) { " · " (zh) } }
            p lang="en" { (lint.text) }
        } }
    } } } }
}

fn in_chinese(visit: &Visit, code: &str) -> Option<&'static str> {
    if visit.lang.code() != "zh" {
        return None;
    }
    Some(match code {
        "allow-everything" => "无条件允许对所有资源的所有操作",
        "allow-not-action" => "以 NotAction 允许：除列出的操作外全部允许",
        "allow-not-resource" => "以 NotResource 允许：除列出的资源外全部允许",
        "allow-not-principal" => "以 NotPrincipal 允许：除列出的主体外全部允许",
        "public" => "无条件对所有人允许",
        "over-match" => "通配符还会匹配其他存储空间",
        "all-values-unguarded" => "允许语句中的 ForAllValues 在键缺失时也成立",
        "deny-missing-key" => "键可能缺失，此时拒绝不生效",
        "equals-star" => "此处的 * 或 ? 不是通配符",
        "key-spelling" => "RAM 没有这个条件键",
        "duplicate" => "与之前的语句相同",
        "unreachable" => "同一策略的拒绝语句使其完全无效",
        "redundant" => "已被另一条允许语句完全包含",
        _ => return None,
    })
}

fn holder_list(visit: &Visit, holders: &Entities) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let row = |kind: &'static str, to: String, name: &str, at| {
        html! { li { div { a href=(to) { (name) } p { (kind) ", " (t("since ", "开始于 ")) (time(at)) } } } }
    };
    html! {
        @if holders.users.is_empty() && holders.groups.is_empty() && holders.roles.is_empty() { div.empty { h3 { (t("On nobody", "无人使用")) } p { (t("It allows and denies nothing yet. Put it on a group, a user or a role on their page.", "目前不起任何作用。请在用户组、用户或角色的页面上添加。")) } } }
        @else { ul.rows {
            @for (g, at) in &holders.groups { (row(t("group", "用户组"), super::groups::address(&g.name), g.name.as_str(), *at)) }
            @for (u, at) in &holders.users { (row(t("user", "用户"), super::users::address(&u.name), u.name.as_str(), *at)) }
            @for (r, at) in &holders.roles { (row(t("role", "角色"), super::roles::address(&r.name), r.name.as_str(), *at)) }
        } }
    }
}

fn describe_form(visit: &Visit, base: &str, info: &PolicyInfo, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { form #describe.card method="post" action=(base) { div.pad.stack { (csrf(visit))
        (Field { form: "describe", name: "description", label: t("Description", "说明"), value: said.typed("describe", "description", &info.description), max: 1024, ..Field::default() }.show())
        p { button.btn { (t("Store", "保存")) } }
    } } }
}

pub(super) async fn describe(Path((kind, name)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let (kind, name) = match parse(&p.signed.visit, &kind, &name) {
        Ok(found) => found,
        Err(page) => return page,
    };
    let act =
        UpdatePolicyDescription { name: name.clone(), description: p.field("description").trim().to_owned() };
    let done = ask(&p.signed, act).await;
    back(&p, kind, &name, "describe", done).await
}

/// The policy's page again, with what went wrong if anything did.
pub(super) async fn back<T>(
    p: &Posted<Tenant>,
    kind: PolicyType,
    name: &PolicyName,
    which: &'static str,
    done: Result<T, Failure>,
) -> Response {
    match done {
        Ok(_) => Redirect::to(&address(kind, name.as_str())).into_response(),
        Err(e) => match Said::failed(p, which, &e) {
            Ok(said) => show(&p.signed, kind, name, None, &said).await,
            Err(page) => page,
        },
    }
}

pub(super) async fn confirm_delete(
    s: Signed<Tenant>,
    Path((kind, name)): Path<(String, String)>,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let (kind, name) = match parse(&s.visit, &kind, &name) {
        Ok(found) => found,
        Err(page) => return page,
    };
    let info = match ask(&s, GetPolicy { kind, name: name.clone() }).await {
        Ok((info, _)) => info,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let base = address(kind, name.as_str());
    Confirm {
        here: Tab::Policies,
        title: &format!("{} {name}", t("Delete policy", "删除策略")),
        text: t(
            "The policy and its document are gone for good.",
            "该策略及其文档将永久删除。",
        ),
        more: html! {
            p { (t("Users, groups and roles that it is on: ", "使用它的用户、用户组与角色：")) b { (info.attached) } }
            (tick("cascade", t("Take it off all of them and delete all versions", "从所有使用者移除，并删除所有版本"), false))
        },
        to: &format!("{base}/delete"),
        back: &base,
        button: t("Delete the policy", "删除策略"),
    }
    .show(&s, false)
    .await
}

pub(super) async fn delete(Path((kind, name)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let (kind, name) = match parse(&p.signed.visit, &kind, &name) {
        Ok(found) => found,
        Err(page) => return page,
    };
    let act = DeletePolicy { name: name.clone(), cascade: p.form.contains_key("cascade") };
    match ask(&p.signed, act).await {
        Ok(()) => Redirect::to("/console/access/policies?kind=custom").into_response(),
        done => back(&p, kind, &name, "delete", done).await,
    }
}
