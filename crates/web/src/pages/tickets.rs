//! A tenant's tickets: what an operator needs before he may look at anything.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::tickets::{CloseTicket, ListTickets, OpenTicket};
use bailee_types::TicketId;
use http::StatusCode;
use maud::html;

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Posted, Signed, Tenant};

pub(super) async fn list(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let list = ListTickets { tenant: s.who.id.clone(), tickets_max: 200 };
    let tickets = match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(tickets) => tickets,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        div.title { div { h1 { (t("Tickets", "工单")) } p { (t("An operator sees names and sizes only while one of your tickets is open. Closing it ends every grant that hangs on it.", "只有您的工单处于打开状态时，运维人员才能看到名称与大小。关闭工单即结束其下的所有授权。")) } } }
        form #open-ticket.card method="post" { div.pad.acts { (csrf(&s.visit))
            label.sr for="title" { (t("What is it about", "事由")) }
            input.in #title name="title" required minlength="3" maxlength="200" placeholder=(t("What is it about", "事由"));
            button.btn.main-act { (t("Open a ticket", "新建工单")) }
        } }
        section { div.card {
            @if tickets.is_empty() { div.empty { h3 { (t("No ticket", "没有工单")) } p { (t("Without a ticket no operator can look at your resources.", "没有工单，任何运维人员都无法查看您的资源。")) } } }
            @else { table.tbl { thead { tr { th { (t("Ticket", "工单")) } th { (t("Opened", "打开")) } th { (t("State", "状态")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for k in &tickets { tr {
                    th scope="row" { (k.title) span.sub { (k.id) } }
                    td data-l=(t("Opened", "打开")) { span { (time(k.opened_at)) small { (k.opened_by) } } }
                    td data-l=(t("State", "状态")) { @match k.closed_at { Some(at) => span { (t("Closed ", "已关闭 ")) (time(at)) }, None => span.chip.info { (t("Open", "打开")) } } }
                    td.act { @if k.closed_at.is_none() { form id={ "close-" (k.id) } method="post" action={ "/console/tickets/" (k.id) "/close" } { (csrf(&s.visit)) button.btn.slim { (t("Close ticket", "关闭工单")) } } } }
                } }
            } } }
        } }
    };
    inside(&s.visit, StatusCode::OK, t("Tickets", "工单"), Some(Here::Tickets), &main)
}

pub(super) async fn open(p: Posted<Tenant>) -> Response {
    let op = OpenTicket { tenant: p.signed.who.id.clone(), title: p.field("title").to_owned() };
    match p.signed.visit.site.house.perform(p.signed.caller.clone(), op).await {
        Ok(_) => Redirect::to("/console/tickets").into_response(),
        Err(e) => failure::page(&p.signed.visit, &e),
    }
}

pub(super) async fn close(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let Ok(ticket) = TicketId::parse(&id) else { return failure::missing(&p.signed.visit) };
    let op = CloseTicket { tenant: p.signed.who.id.clone(), ticket };
    match p.signed.visit.site.house.perform(p.signed.caller.clone(), op).await {
        Ok(()) => Redirect::to("/console/tickets").into_response(),
        Err(e) => failure::page(&p.signed.visit, &e),
    }
}
