//! The operators' desk: lists of tickets, and what an operator does with one.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::tickets::{
    AssignTicket, AttachToTicket, ListTickets, ReadAttachment, ReplyTicket, SolveTicket, State, Thread,
};
use bailee_rooms::vault::NewPaper;
use bailee_types::{OperatorId, TicketId};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, inside};
use super::objects::attachment;
use super::ticket_view as view;
use super::upload::WithPapers;
use super::visit::{Operator, Posted, Signed};

const HERE: &str = "/desk/tickets";

pub(super) async fn list(s: Signed<Operator>, Query(q): Query<HashMap<String, String>>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    let filter = match view::read(s.visit.lang, &q, true) {
        Ok(filter) => filter,
        Err(text) => return failure::invalid(&s.visit, text),
    };
    let before = q.get("before").and_then(|b| b.parse().ok());
    let found = match view::value(&q, "tenant") {
        None => house.desk_tickets(filter, before, view::PER_PAGE).await,
        Some(name) => match house.find_tenant(name).await {
            Ok(tenant) => {
                let list = ListTickets { tenant: tenant.id, filter, before, tickets_max: view::PER_PAGE };
                house.perform(s.caller.clone(), list).await
            }
            Err(e) => Err(e),
        },
    };
    let page = match found {
        Ok(page) => page,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " (t("Tickets", "工单")) }
        div.title { div { h1 { (t("Tickets", "工单")) } p { (t("Messages are searched of one tenant at a time: it is recorded, and the tenant sees it.", "消息搜索每次仅限一个租户：该操作会被记录，租户可以看到。")) } } }
        section { (view::form(&s.visit, &q, true)) div.card {
            @if page.tickets.is_empty() { div.empty { h3 { (t("No ticket", "没有工单")) } } }
            @else { table.tbl { thead { tr { th { (t("Ticket", "工单")) } th { (t("Opened", "打开")) } th { (t("State", "状态")) } th { (t("Due", "时限")) } th { (t("Assigned to", "处理人")) } } } tbody {
                @for k in &page.tickets { tr {
                    th scope="row" { @if k.state() == State::Closed { (k.title) } @else { a href={ (HERE) "/" (k.id) } { (k.title) } } span.sub { (k.id) " · " (k.alias) } }
                    (view::cells(&s.visit, k))
                    td data-l=(t("Assigned to", "处理人")) { (k.assigned.as_deref().unwrap_or("–")) }
                } }
            } } }
        } (view::after(&s.visit, HERE, &q, &page)) }
    };
    inside(&s.visit, StatusCode::OK, t("Tickets", "工单"), Some(Here::Desk), &main)
}

/// Facts, thread and forms of a ticket.
pub(super) fn work(s: &Signed<Operator>, thread: &Thread) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let (k, base) = (&thread.ticket, format!("{HERE}/{}", thread.ticket.id));
    html! {
        (view::facts(&s.visit, k))
        @let may = [("read", t("Download", "下载"))];
        (view::attachments(&s.visit, &base, thread, if k.state().is_live() { &may } else { &[] }))
        (view::thread(&s.visit, &base, thread))
        @if k.state().is_live() {
            (view::reply(&s.visit, &format!("{base}/reply")))
            div.card { div.pad.acts {
                form #assign.acts method="post" action={ (base) "/assign" } { (csrf(&s.visit)) label.sr for="to" { (t("Operator", "运维人员")) } input.in #to name="to" required maxlength="64" value=(s.who.id); button.btn { (t("Assign", "分配")) } }
                (view::button(&s.visit, "solve", &format!("{base}/solve"), "btn", t("It is solved", "已解决")))
            } }
        }
    }
}

pub(super) async fn reply(Path(id): Path<String>, with: WithPapers<Operator>) -> Response {
    act(&id, "reply", &with.posted, &with.papers).await
}

pub(super) async fn read(Path((id, sha256)): Path<(String, String)>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let house = &s.visit.site.house;
    let Ok(ticket) = TicketId::parse(&id) else { return failure::missing(&s.visit) };
    let tenant = match house.ticket(&ticket).await {
        Ok(k) if k.state() == State::Closed => return failure::missing(&s.visit),
        Ok(k) => k.tenant,
        Err(e) => return failure::page(&s.visit, &e),
    };
    match house.perform(s.caller.clone(), ReadAttachment { tenant, ticket, sha256 }).await {
        Ok((paper, bytes)) => attachment(Body::from_stream(bytes), &paper.name, paper.size),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn assign(Path(id): Path<String>, p: Posted<Operator>) -> Response {
    act(&id, "assign", &p, &[]).await
}

pub(super) async fn solve(Path(id): Path<String>, p: Posted<Operator>) -> Response {
    act(&id, "solve", &p, &[]).await
}

async fn act(id: &str, what: &str, p: &Posted<Operator>, papers: &[NewPaper]) -> Response {
    let s = &p.signed;
    let (house, caller) = (&s.visit.site.house, s.caller.clone());
    let Ok(ticket) = TicketId::parse(id) else { return failure::missing(&s.visit) };
    // Whose it is; a closed one is not there for operators.
    let tenant = match house.ticket(&ticket).await {
        Ok(k) if k.state() == State::Closed => return failure::missing(&s.visit),
        Ok(k) => k.tenant,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let page = format!("{HERE}/{ticket}");
    let done = match what {
        "reply" => {
            if !papers.is_empty() {
                let (tenant, ticket) = (tenant.clone(), ticket.clone());
                let attach = AttachToTicket { tenant, ticket, documents: papers.to_vec() };
                if let Err(e) = house.perform(caller.clone(), attach).await {
                    return failure::page(&s.visit, &e);
                }
            }
            let text = p.field("message").to_owned();
            if text.trim().is_empty() && !papers.is_empty() {
                return Redirect::to(&page).into_response();
            }
            house.perform(caller, ReplyTicket { tenant, ticket, text }).await.map(drop)
        }
        "assign" => {
            let Ok(to) = OperatorId::parse(p.field("to").trim()) else {
                let text = s.visit.lang.t("An operator's id looks like op-lin.", "运维人员编号形如 op-lin。");
                return failure::invalid(&s.visit, text);
            };
            house.perform(caller, AssignTicket { tenant, ticket, to }).await.map(drop)
        }
        _ => house.perform(caller, SolveTicket { tenant, ticket }).await.map(drop),
    };
    match done {
        Ok(()) => Redirect::to(&page).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
