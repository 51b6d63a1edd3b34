//! Versions of a policy: a change is a new one, so that the old one can count again.

use axum::extract::Path;
use axum::response::Response;
use bailee_rooms::identity::{
    CreatePolicyVersion, DeletePolicyVersion, GetPolicy, GetPolicyVersion, PolicyType, PolicyVersion,
    SetDefaultPolicyVersion, check_policy,
};
use bailee_types::PolicyName;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, icon, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::attach::address;
use super::parts::{Confirm, Said, Tab, ask, button, lines, page, tick};
use super::policies::{back, editor, parse};

/// The table on the policy's page.
pub(super) fn list(visit: &Visit, base: &str, all: &[PolicyVersion], shown: i64) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { table.tbl.slim { thead { tr { th { (t("Version", "版本")) } th { (t("Created", "创建时间")) } th { (t("State", "状态")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
        @for v in all { tr.on[v.version == shown] {
            th scope="row" { a href={ (base) "?v=" (v.version) "#document" } { "v" (v.version) } }
            td data-l=(t("Created", "创建时间")) { (time(v.created_at)) }
            td data-l=(t("State", "状态")) { span { @if v.is_default { span.chip.ok { (icon("check")) (t("counts", "生效")) } } @else { span.chip { (t("kept", "保留")) } } } }
            td.act { @if !v.is_default {
                (button(visit, &format!("{base}/default"), &[("version", &v.version.to_string())], "", t("Let it count", "设为生效")))
                " " a.btn.slim.stop href={ (base) "/v/" (v.version) "/delete" } { (t("Delete", "删除")) }
            } }
        } }
    } } }
}

pub(super) async fn edit(s: Signed<Tenant>, Path((kind, name)): Path<(String, String)>) -> Response {
    match own(&s.visit, &kind, &name) {
        Ok(name) => show(&s, &name, &Said::nothing()).await,
        Err(page) => page,
    }
}

/// The name of a policy of the tenant's own; the platform's has no versions to make.
fn own(visit: &Visit, kind: &str, name: &str) -> Result<PolicyName, Response> {
    match parse(visit, kind, name)? {
        (PolicyType::Custom, name) => Ok(name),
        (PolicyType::System, _) => Err(failure::missing(visit)),
    }
}

async fn show(s: &Signed<Tenant>, name: &PolicyName, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let (info, now) = match ask(s, GetPolicy { kind: PolicyType::Custom, name: name.clone() }).await {
        Ok(found) => found,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let base = address(PolicyType::Custom, &info.name);
    let main = html! {
        p.crumb { a href="/console/access/policies" { (t("Policies", "策略")) } " / " a href=(base) { (info.name) } " / " (t("New version", "新建版本")) }
        div.title { div { h1 { (t("New version of ", "新建版本：")) (info.name) } p { (t("Begun from v", "基于 v")) (now.version) (t(". It is on ", "。使用数量：")) (info.attached) (t(" users, groups and roles, and changes for all of them.", "，对所有使用者同时生效。")) } } }
        (said.notice())
        form #add-version.card method="post" action={ (base) "/edit" } { div.pad.stack { (csrf(&s.visit))
            (editor(&s.visit, "version", said.typed("version", "document", &now.document)))
            div {
                (tick("default", t("It counts from now on", "立即生效"), said.ticked("version", "default", true)))
                (tick("rotate", t("If there are five, the oldest that does not count makes room", "若已有五个版本，删除最旧的未生效版本"), said.ticked("version", "rotate", true)))
            }
            p.acts { button.btn.main-act { (t("Store the version", "保存版本")) } a.btn href=(base) { (t("Leave it as it is", "保持不变")) } }
        } }
    };
    page(&s.visit, said.status, t("New version", "新建版本"), Tab::Policies, &main)
}

pub(super) async fn add(Path((kind, name)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let name = match own(&p.signed.visit, &kind, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let document = lines(p.field("document"));
    if let Err(shown) = check_policy(&document) {
        return show(&p.signed, &name, &Said::document(&p, "version", shown)).await;
    }
    let act = CreatePolicyVersion {
        name: name.clone(),
        document,
        set_default: p.form.contains_key("default"),
        rotate: p.form.contains_key("rotate"),
    };
    match ask(&p.signed, act).await {
        Err(e) => match Said::failed(&p, "version", &e) {
            Ok(said) => show(&p.signed, &name, &said).await,
            Err(page) => page,
        },
        done => back(&p, PolicyType::Custom, &name, "version", done).await,
    }
}

pub(super) async fn set_default(Path((kind, name)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let name = match own(&p.signed.visit, &kind, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let Ok(version) = p.field("version").parse() else { return failure::bad_form(&p.signed.visit) };
    let done = ask(&p.signed, SetDefaultPolicyVersion { name: name.clone(), version }).await;
    back(&p, PolicyType::Custom, &name, "default", done).await
}

pub(super) async fn confirm_delete(
    s: Signed<Tenant>,
    Path((kind, name, version)): Path<(String, String, i64)>,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let name = match own(&s.visit, &kind, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let wanted = GetPolicyVersion { kind: PolicyType::Custom, name: name.clone(), version };
    let found = match ask(&s, wanted).await {
        Ok(found) => found,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let base = address(PolicyType::Custom, name.as_str());
    Confirm {
        here: Tab::Policies,
        title: &format!("{} v{version} {} {name}", t("Delete version", "删除版本"), t("of", "，策略")),
        text: t(
            "This version does not count and is gone for good; nobody's access changes.",
            "该版本未生效，将永久删除；任何人的权限都不会改变。",
        ),
        more: html! { pre { (found.document) } },
        to: &format!("{base}/v/{version}/delete"),
        back: &format!("{base}#versions"),
        button: t("Delete the version", "删除版本"),
    }
    .show(&s, false)
    .await
}

pub(super) async fn delete(
    Path((kind, name, version)): Path<(String, String, i64)>,
    p: Posted<Tenant>,
) -> Response {
    let name = match own(&p.signed.visit, &kind, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let done = ask(&p.signed, DeletePolicyVersion { name: name.clone(), version }).await;
    back(&p, PolicyType::Custom, &name, "version", done).await
}
