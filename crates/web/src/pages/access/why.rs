//! Why somebody may do something or may not: the verdict, what decided, what nearly did.
//!
//! The question stands in the address, so that it can be sent to a colleague; asking changes nothing and is recorded.

use std::collections::HashMap;

use axum::extract::Query;
use axum::response::Response;
use bailee_rooms::gate::{Explanation, Phase};
use bailee_rooms::identity::{Effect, ElementOutcome, NearMiss, StatementOutcome, Whom, Why};
use bailee_types::{Arn, RoleName, TenantId, UserName};
use http::StatusCode;
use maud::{Markup, html};

use super::super::frame::icon;
use super::super::visit::{Signed, Tenant, Visit};
use super::super::{failure, said};
use super::parts::{Field, Tab, page as frame, tick};

pub(super) async fn page(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let value = |name: &str| q.get(name).map_or("", |v| v.trim());
    let (status, answer) = if value("action").is_empty() {
        (StatusCode::OK, html! {})
    } else {
        match read(&s, &q) {
            Err(text) => (StatusCode::BAD_REQUEST, wrong(text)),
            Ok(why) => match s.visit.site.house.perform(s.caller.clone(), why).await {
                Ok(found) => (StatusCode::OK, verdict(&s.visit, &found)),
                Err(e @ (bailee_rooms::Failure::Invalid { .. } | bailee_rooms::Failure::NotFound { .. })) => {
                    (StatusCode::BAD_REQUEST, wrong(&said::text(s.visit.lang, &e)))
                }
                Err(e) => return failure::page(&s.visit, &e),
            },
        }
    };
    let field = |name: &'static str, label: &'static str, hint: &'static str, required: bool| {
        Field { form: "why", name, label, hint, required, value: value(name), max: 1100, ..Field::default() }
            .show()
    };
    let main = html! {
        div.title { div { h1 { (t("Why may somebody do something, or why not?", "某人为什么可以或不可以做某件事？")) } p { (t("The answer is worked out by the same rules that decide requests.", "答案由决定请求的同一套规则得出。")) } } }
        form #ask-why.card method="get" action="/console/access/why" { div.pad.stack {
            div {
                (field("who", t("Who", "谁"), t("root, user/NAME or role/NAME", "root、user/名称 或 role/名称"), true))
                (field("action", t("Does what", "做什么"), t("one action, such as oss:GetObject", "单个操作，如 oss:GetObject"), true))
                (field("resource", t("On what", "对什么"), RESOURCE_HINT(&s.visit), true))
                (field("ip", t("From which address", "来源地址"), t("empty if it does not matter", "不限则留空"), false))
                div.field { (tick("mfa", t("He has shown a second factor", "已出示第二因素"), q.contains_key("mfa"))) }
            }
            p { button.btn.main-act { (t("Ask", "查询")) } }
        } }
        (answer)
    };
    frame(&s.visit, status, t("Why", "为什么"), Tab::Why, &main)
}

/// How a resource may be written in a form.
pub(super) const RESOURCE_HINT: fn(&Visit) -> &'static str = |visit| {
    visit.lang.t(
        "my-bucket/folder/file.pdf, user/li, or whole: acs:oss:*:ACCOUNT:my-bucket/file.pdf",
        "my-bucket/folder/file.pdf、user/li，或完整形式：acs:oss:*:账号:my-bucket/file.pdf",
    )
};

pub(super) fn wrong(text: &str) -> Markup {
    html! { section { div.notice.bad role="alert" { (icon("no")) div { p #failure { (text) } } } } }
}

/// A resource as people write it: whole, or the part behind the account, which the action's service completes.
pub(super) fn resource(tenant: &TenantId, action: &str, text: &str) -> Option<Arn> {
    if text.starts_with("acs:") {
        return Arn::parse(text).ok();
    }
    if text.is_empty() {
        return None;
    }
    let service = action.split(':').next().unwrap_or_default();
    let region = if service == "oss" { "*" } else { "" };
    // Taking a role on is asked of the role, which is a thing of RAM.
    let service = if service == "sts" { "ram" } else { service };
    Arn::parse(&format!("acs:{service}:{region}:{tenant}:{text}")).ok()
}

fn read(s: &Signed<Tenant>, q: &HashMap<String, String>) -> Result<Why, &'static str> {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let value = |name: &str| q.get(name).map_or("", |v| v.trim());
    let whom = match value("who").split_once('/') {
        None if value("who") == "root" => Some(Whom::Root),
        Some(("user", name)) => UserName::parse(name).ok().map(Whom::User),
        Some(("role", name)) => RoleName::parse(name).ok().map(Whom::Role),
        _ => None,
    };
    let whom =
        whom.ok_or(t("Say who: root, user/NAME or role/NAME.", "请填写：root、user/名称 或 role/名称。"))?;
    let resource = resource(&s.who.id, value("action"), value("resource"))
        .ok_or(t("The resource cannot be read.", "无法读取资源。"))?;
    let source_ip = match value("ip") {
        "" => None,
        text => Some(text.parse().map_err(|_| t("The address cannot be read.", "无法读取地址。"))?),
    };
    Ok(Why {
        tenant: s.who.id.clone(),
        whom,
        action: value("action").to_owned(),
        resource,
        source_ip,
        mfa: q.contains_key("mfa"),
        conditions: Vec::new(),
    })
}

fn verdict(visit: &Visit, found: &Explanation) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let (class, symbol, title, text) = match found.verdict {
        "allow" if found.phase == Phase::Root => (
            "ok",
            "check",
            t("Allowed", "允许"),
            t("Root owns the account; no policy is asked.", "主账号拥有该账号，不查询任何策略。"),
        ),
        "allow" if found.leave.is_some() => (
            "ok",
            "check",
            t("Allowed", "允许"),
            t(
                "No policy is needed: the account lets users do this to themselves, and no statement denies it.",
                "无需策略：账号允许用户对自己这样做，且没有语句拒绝。",
            ),
        ),
        "allow" => (
            "ok",
            "check",
            t("Allowed", "允许"),
            t("A statement allows it and none denies it.", "有语句允许，且没有语句拒绝。"),
        ),
        "explicitDeny" => (
            "bad",
            "no",
            t("Denied", "拒绝"),
            t("A statement denies it, whatever allows it.", "有语句明确拒绝，无论其他语句是否允许。"),
        ),
        _ => ("bad", "no", t("Not allowed", "未允许"), t("No statement allows it.", "没有语句允许。")),
    };
    let deciding: Vec<_> = found
        .deciding
        .iter()
        .filter_map(|d| {
            found
                .statements
                .iter()
                .find(|s| s.phase == d.phase && s.policy == d.policy && s.statement == d.statement)
        })
        .collect();
    html! {
        section #verdict { div class={ "notice " (class) } role="status" { (icon(symbol)) div { p { strong { (title) } } p { (text) } } } }
        @if let Some(block) = &found.taken_down { p.note #taken-down { (t("A legal order holds besides: ", "另有依法处置：")) (block) } }
        @if !deciding.is_empty() { section #deciding { h2 { (t("What decides", "起决定作用的语句")) } div.stack { @for s in &deciding { (statement(visit, s)) } } } }
        @if !found.nearest.is_empty() { section #nearest { div.head { h2 { (t("What nearly allows it", "只差一点的语句")) } p { (t("One part of each did not hold.", "每条仅有一处不成立。")) } } ul.card.rows { @for miss in &found.nearest { (near(visit, miss)) } } } }
    }
}

/// Where the policy can be read. Whose it is does not stand in the explanation; a system policy has its own name.
fn policy_link(policy: &str, number: usize) -> Markup {
    let kind = if bailee_rooms::identity::is_system_policy(policy) { "system" } else { "custom" };
    html! { a href={ "/console/access/policies/" (kind) "/" (policy) "#s" (number) } { (policy) } }
}

/// A statement, quoted.
fn statement(visit: &Visit, s: &StatementOutcome) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { div.card {
        div.group { (policy_link(&s.policy, s.statement)) ", " (t("statement ", "语句 ")) (s.statement) " · " (if s.effect == Effect::Allow { "Allow" } else { "Deny" }) }
        dl.facts.pad { @for e in &s.elements {
            dt { (name(e)) }
            dd { code { (e.policy.join(", ")) } @if !e.request.is_empty() { small.faint { " ← " (e.request.join(", ")) } } }
        } }
    } }
}

fn name(e: &ElementOutcome) -> String {
    match (&e.operator, &e.key) {
        (Some(operator), Some(key)) => format!("{operator} {key}"),
        _ => format!("{:?}", e.element),
    }
}

fn near(visit: &Visit, miss: &NearMiss) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let e = &miss.failed;
    html! { li { div {
        (policy_link(&miss.policy, miss.statement)) ", " (t("statement ", "语句 ")) (miss.statement)
        p { b { (name(e)) } (t(" did not hold: it asks for ", " 不成立：要求 ")) code { (e.policy.join(", ")) } (t(", and the request says ", "，而请求为 "))
            @if e.request.is_empty() { (t("nothing", "空")) } @else { code { (e.request.join(", ")) } } }
    } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_completed_by_the_action() {
        let tenant = TenantId::parse("1000000000000001").unwrap();
        let read = |action, text| resource(&tenant, action, text).map(|a| a.to_string());
        assert_eq!(read("oss:GetObject", "b/k:1").as_deref(), Some("acs:oss:*:1000000000000001:b/k:1"));
        assert_eq!(read("ram:GetUser", "user/li").as_deref(), Some("acs:ram::1000000000000001:user/li"));
        assert_eq!(read("sts:AssumeRole", "role/r").as_deref(), Some("acs:ram::1000000000000001:role/r"));
        assert_eq!(read("oss:GetObject", "acs:oss:*:2:b").as_deref(), Some("acs:oss:*:2:b"));
        assert_eq!(read("oss:GetObject", "acs:oss"), None);
        assert_eq!(read("oss:GetObject", ""), None);
    }
}
