//! Compliance resolves an operator's number. The page says before what it leaves behind.

use axum::response::Response;
use bailee_rooms::identity::ResolveEmployee;
use bailee_types::{Pseudonym, TenantId, TicketId};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, icon, inside};
use super::visit::{Operator, Posted, Signed, Visit};

pub(super) async fn page(s: Signed<Operator>) -> Response {
    shown(&s.visit, &html! {})
}

fn shown(visit: &Visit, answer: &Markup) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " (t("Operator’s number", "员工编号")) }
        div.title { div { h1 { (t("Whose number is this?", "该编号是谁？")) } p { (t("For compliance only. The tenant sees in its trail that you asked and why, and the provider’s log has the same; the tenant does not see the answer.", "仅限合规人员。租户会在其审计日志中看到您的查询与原因，平台日志也会记录；租户看不到结果。")) } } }
        (answer)
        form #resolve.card.pad method="post" action="/desk/employee" { div.stack {
            (csrf(visit))
            div.field { label for="tenant" { (t("Tenant (alias or id)", "租户（别名或 ID）")) } input.in #tenant name="tenant" required maxlength="64"; }
            div.field { label for="employee" { (t("Number", "编号")) } input.in #employee name="employee" required maxlength="20" placeholder="emp-…"; }
            div.field { label for="reference" { (t("Case, order or complaint", "案件、命令或投诉编号")) } input.in #reference name="reference" required minlength="3" maxlength="100"; }
            div.field { label for="ticket" { (t("Ticket, if the tenant asked", "工单（如由租户提出）")) } input.in #ticket name="ticket" maxlength="16" placeholder="T-1"; }
            button.btn { (icon("eye")) (t("Resolve and record", "查询并记录")) }
        } }
    };
    inside(visit, StatusCode::OK, t("Operator’s number", "员工编号"), Some(Here::Desk), &main)
}

pub(super) async fn resolve(p: Posted<Operator>) -> Response {
    let visit = &p.signed.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let house = &visit.site.house;
    let Ok(employee) = Pseudonym::parse(p.field("employee").trim()) else {
        return failure::invalid(
            visit,
            t("A number looks like emp- and 16 characters.", "编号形如 emp- 加 16 个字符。"),
        );
    };
    let ticket = match p.field("ticket").trim() {
        "" => None,
        text => match TicketId::parse(text) {
            Ok(ticket) => Some(ticket),
            Err(_) => return failure::invalid(visit, t("A ticket looks like T-1042.", "工单形如 T-1042。")),
        },
    };
    // An unknown tenant has no such number, which is what the answer says; who may not ask learns not even that.
    let found = house.find_tenant(p.field("tenant").trim()).await;
    let tenant = found.map_or_else(|_| TenantId::provider(), |t| t.id);
    let op = ResolveEmployee { tenant, employee, ticket, reference: p.field("reference").to_owned() };
    match house.perform(p.signed.caller.clone(), op).await {
        Ok(who) => {
            let answer = html! { p #resolved.notice role="status" { (icon("check")) (t("It is ", "该编号为 ")) b { (who.operator) } ", " (who.place) @if !who.active { " — " (t("disabled", "已停用")) } } };
            shown(visit, &answer)
        }
        Err(e) => failure::page(visit, &e),
    }
}
