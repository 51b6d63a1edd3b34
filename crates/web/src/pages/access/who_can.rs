//! Everybody who may do something: operators by grant first, then the tenant's own.

use std::collections::HashMap;

use axum::extract::Query;
use axum::response::Response;
use bailee_rooms::Failure;
use bailee_rooms::identity::{Can, WhoCan};
use http::StatusCode;
use maud::{Markup, html};

use super::super::frame::icon;
use super::super::visit::{Lang, Signed, Tenant, Visit};
use super::super::{failure, said};
use super::parts::{Field, Tab, page as frame};
use super::why::{RESOURCE_HINT, resource, wrong};

/// Rows that a page shows; the count above them tells all.
const SHOWN_MAX: usize = 500;

pub(super) async fn page(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let value = |name: &str| q.get(name).map_or("", |v| v.trim());
    let (status, answer) = if value("action").is_empty() {
        (StatusCode::OK, html! {})
    } else {
        match resource(&s.who.id, value("action"), value("resource")) {
            None => (StatusCode::BAD_REQUEST, wrong(t("The resource cannot be read.", "无法读取资源。"))),
            Some(resource) => {
                let act = WhoCan { tenant: s.who.id.clone(), action: value("action").to_owned(), resource };
                match s.visit.site.house.perform(s.caller.clone(), act).await {
                    Ok(all) => (StatusCode::OK, table(&s.visit, &all)),
                    Err(e @ Failure::Invalid { .. }) => {
                        (StatusCode::BAD_REQUEST, wrong(&said::text(s.visit.lang, &e)))
                    }
                    Err(e) => return failure::page(&s.visit, &e),
                }
            }
        }
    };
    let field = |name: &'static str, label: &'static str, hint: &'static str| {
        Field {
            form: "who-can",
            name,
            label,
            hint,
            required: true,
            value: value(name),
            max: 1100,
            ..Field::default()
        }
        .show()
    };
    let main = html! {
        div.title { div { h1 { (t("Who can do something?", "谁可以做某件事？")) } p { (t("By own policies, by groups, by roles they can take on, and operators by your grants.", "通过自身策略、用户组、可扮演的角色，以及您授权的运维人员。")) } } }
        form #ask-who-can.card method="get" action="/console/access/who-can" { div.pad.stack {
            div {
                (field("action", t("Does what", "做什么"), t("one action, such as oss:GetObject", "单个操作，如 oss:GetObject")))
                (field("resource", t("On what", "对什么"), RESOURCE_HINT(&s.visit)))
            }
            p { button.btn.main-act { (t("Ask", "查询")) } }
        } }
        (answer)
    };
    frame(&s.visit, status, t("Who can", "谁可以"), Tab::WhoCan, &main)
}

fn table(visit: &Visit, all: &[Can]) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let (operators, own): (Vec<_>, Vec<_>) = all.iter().partition(|c| c.principal.starts_with("operator "));
    html! { section #who-can { div.head { h2 { (t("They can", "可以的有")) } p { (all.len()) (t(" ways, ", " 种方式，其中运维人员 ")) (operators.len()) (t(" of them operators’", "")) } }
        div.card {
            table.tbl { thead { tr { th { (t("Who", "谁")) } th { (t("How", "如何")) } th { (t("Only if", "条件")) } th { (t("Unless", "除非")) } } } tbody {
                @for can in operators.iter().chain(&own).take(SHOWN_MAX) { (row(visit, can)) }
            } }
            @if operators.is_empty() { p.note { (icon("check")) " " (t("No operator of the provider can: none of your grants covers it.", "平台的运维人员都不可以：您的授权均未覆盖此操作。")) } }
            @if all.len() > SHOWN_MAX { p.note { (t("Not all are shown; ask `bailee who-can` for the rest.", "未全部显示；其余请使用 `bailee who-can` 查询。")) } }
        }
    } }
}

fn row(visit: &Visit, can: &Can) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let link = match can.principal.split_once('/') {
        Some(("user", name)) => Some(format!("/console/access/users/{}", super::parts::seg(name))),
        Some(("role", name)) => Some(format!("/console/access/roles/{}", super::parts::seg(name))),
        _ => None,
    };
    let list = |all: &[String]| {
        html! { @if all.is_empty() { span.faint { "–" } } @else { ul lang="en" { @for one in all { li { (one) } } } } }
    };
    html! { tr {
        th scope="row" { @match link { Some(to) => a href=(to) { (can.principal) }, None => (spoken(visit.lang, &can.principal)) }
            @if can.principal.starts_with("operator ") { " " span.chip.warn { (icon("hand")) (t("by your grant", "经您授权")) } } }
        td data-l=(t("How", "如何")) { (can.path.iter().map(|p| spoken(visit.lang, p)).collect::<Vec<_>>().join(" → ")) }
        td data-l=(t("Only if", "条件")) { (list(&can.only_if)) }
        td data-l=(t("Unless", "除非")) { (list(&can.unless)) }
    } }
}

/// A step of the path in the visitor's language.
fn spoken(lang: Lang, step: &str) -> String {
    if lang == Lang::En {
        return step.to_owned();
    }
    if let Some((policy, statement)) = step.strip_prefix("policy ").and_then(|r| r.split_once(", statement "))
    {
        return format!("策略 {policy} 的语句 {statement}");
    }
    for (en, zh) in
        [("group ", "用户组 "), ("role ", "角色 "), ("grant ", "授权 "), ("operator ", "运维人员 ")]
    {
        if let Some(rest) = step.strip_prefix(en) {
            return format!("{zh}{rest}");
        }
    }
    match step {
        "owner of the account" => "账号所有者".into(),
        "root" => "root（主账号）".into(),
        other => other.to_owned(),
    }
}
