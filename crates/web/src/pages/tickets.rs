//! A tenant's tickets: what it says to the provider, and what an operator needs before he may look at anything.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::tickets::{
    AttachToTicket, Category, CloseTicket, GetTicket, ListTickets, OpenTicket, Priority, ReadAttachment,
    RemoveAttachment, ReopenTicket, ReplyTicket, SolveTicket, State,
};
use bailee_rooms::vault::NewPaper;
use bailee_types::TicketId;
use http::StatusCode;
use maud::html;

use super::failure;
use super::frame::{Here, csrf, inside};
use super::objects::attachment;
use super::ticket_view as view;
use super::upload::WithPapers;
use super::visit::{Posted, Signed, Tenant};

const HERE: &str = "/console/tickets";

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let (lang, t) = (s.visit.lang, |en, zh| s.visit.lang.t(en, zh));
    let filter = match view::read(lang, &q, false) {
        Ok(filter) => filter,
        Err(text) => return failure::invalid(&s.visit, text),
    };
    let before = q.get("before").and_then(|b| b.parse().ok());
    let list = ListTickets { tenant: s.who.id.clone(), filter, before, tickets_max: view::PER_PAGE };
    let page = match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(page) => page,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        div.title { div { h1 { (t("Tickets", "工单")) } p { (t("An operator sees names and sizes only while one of your tickets is neither solved nor closed. Solving or closing it ends every grant that hangs on it.", "只有您的工单既未解决也未关闭时，运维人员才能看到名称与大小。解决或关闭工单即结束其下的所有授权。")) } }
            div.acts { a.btn href="/console/notifications" { (t("Who gets notices", "通知设置")) } } }
        form #open-ticket.card method="post" enctype="multipart/form-data" { div.pad.stack { (csrf(&s.visit))
            div.field { label for="title" { (t("What is it about", "事由")) } input.in #title name="title" required minlength="3" maxlength="200"; }
            (view::choose("new-category", t("Category", "类别"), Category::Support.word(), &view::categories(lang)))
            (view::choose("new-priority", t("Priority", "优先级"), Priority::Normal.word(), &view::priorities(lang)))
            (view::message(&s.visit))
            (view::files(&s.visit))
            p { button.btn.main-act { (t("Open a ticket", "新建工单")) } }
        } }
        section { (view::form(&s.visit, &q, false)) div.card {
            @if page.tickets.is_empty() { div.empty { h3 { (t("No ticket", "没有工单")) } p { (t("Without a ticket no operator can look at your resources.", "没有工单，任何运维人员都无法查看您的资源。")) } } }
            @else { table.tbl { thead { tr { th { (t("Ticket", "工单")) } th { (t("Opened", "打开")) } th { (t("State", "状态")) } th { (t("Due", "时限")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for k in &page.tickets { tr {
                    th scope="row" { a href={ (HERE) "/" (k.id) } { (k.title) } span.sub { (k.id) } }
                    (view::cells(&s.visit, k))
                    td.act { @if k.state() != State::Closed { (view::button(&s.visit, &format!("close-{}", k.id), &format!("{HERE}/{}/close", k.id), "btn slim", t("Close ticket", "关闭工单"))) } }
                } }
            } } }
        } (view::after(&s.visit, HERE, &q, &page)) }
    };
    inside(&s.visit, StatusCode::OK, t("Tickets", "工单"), Some(Here::Tickets), &main)
}

pub(super) async fn open(with: WithPapers<Tenant>) -> Response {
    let (p, s) = (&with.posted, &with.posted.signed);
    let word = |name: &str| Some(p.field(name)).filter(|w| !w.is_empty());
    let (Some(category), Some(priority)) = (
        word("new-category").map_or(Some(Category::Support), Category::parse),
        word("new-priority").map_or(Some(Priority::Normal), Priority::parse),
    ) else {
        let text = s.visit.lang.t("There is no such category or priority.", "没有此类别或优先级。");
        return failure::invalid(&s.visit, text);
    };
    let op = OpenTicket {
        tenant: s.who.id.clone(),
        title: p.field("title").to_owned(),
        category,
        priority,
        text: Some(p.field("message")).filter(|m| !m.trim().is_empty()).map(str::to_owned),
    };
    let opened = match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(ticket) => attach(s, &ticket, &with.papers).await,
        Err(e) => Err(e),
    };
    match opened {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// Attaches what came with a form.
async fn attach(s: &Signed<Tenant>, ticket: &TicketId, papers: &[NewPaper]) -> Result<(), Failure> {
    if papers.is_empty() {
        return Ok(());
    }
    let (tenant, ticket, documents) = (s.who.id.clone(), ticket.clone(), papers.to_vec());
    s.visit.site.house.perform(s.caller.clone(), AttachToTicket { tenant, ticket, documents }).await
}

pub(super) async fn one(
    s: Signed<Tenant>,
    Path(id): Path<String>,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let Ok(ticket) = TicketId::parse(&id) else { return failure::missing(&s.visit) };
    let before = q.get("before").and_then(|b| b.parse().ok());
    let get = GetTicket { tenant: s.who.id.clone(), ticket, before, recorded: false };
    let thread = match s.visit.site.house.perform(s.caller.clone(), get).await {
        Ok(thread) => thread,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let (k, base) = (&thread.ticket, format!("{HERE}/{}", thread.ticket.id));
    let state = k.state();
    let main = html! {
        p.crumb { a href=(HERE) { (t("Tickets", "工单")) } " / " (k.id) }
        div.title { div { h1 { (k.title) } p { (k.id) } } div.acts {
            @if state.is_live() { (view::button(&s.visit, "solve", &format!("{base}/solve"), "btn", t("It is solved", "已解决"))) }
            @if state == State::Solved { (view::button(&s.visit, "reopen", &format!("{base}/reopen"), "btn", t("Reopen", "重新打开"))) }
            @if state != State::Closed { (view::button(&s.visit, &format!("close-{}", k.id), &format!("{base}/close"), "btn stop", t("Close ticket", "关闭工单"))) }
        } }
        div.stack {
            (view::facts(&s.visit, k))
            @if state == State::Solved { div.notice.ok { p { (t("Solved: nothing of yours can be looked at under it, and its grants have ended. You can reopen it for 14 days; then it closes. Grants do not come back.", "已解决：不能再凭此工单查看您的任何资源，其授权已结束。14 天内可重新打开，之后自动关闭。授权不会恢复。")) } } }
            (view::attachments(&s.visit, &base, &thread, &[("read", t("Download", "下载")), ("remove", t("Remove", "移除"))]))
            (view::thread(&s.visit, &base, &thread))
            @if state.is_live() { (view::reply(&s.visit, &format!("{base}/reply"))) }
        }
    };
    inside(&s.visit, StatusCode::OK, &k.title, Some(Here::Tickets), &main)
}

pub(super) async fn act(Path((id, what)): Path<(String, String)>, with: WithPapers<Tenant>) -> Response {
    let (p, s) = (&with.posted, &with.posted.signed);
    let Ok(ticket) = TicketId::parse(&id) else { return failure::missing(&s.visit) };
    let (house, caller, tenant) = (&s.visit.site.house, s.caller.clone(), s.who.id.clone());
    let page = format!("{HERE}/{ticket}");
    let done = match what.as_str() {
        "reply" => {
            if let Err(e) = attach(s, &ticket, &with.papers).await {
                return failure::page(&s.visit, &e);
            }
            let text = p.field("message").to_owned();
            if text.trim().is_empty() && !with.papers.is_empty() {
                return Redirect::to(&page).into_response();
            }
            house.perform(caller, ReplyTicket { tenant, ticket, text }).await
        }
        "solve" => house.perform(caller, SolveTicket { tenant, ticket }).await,
        "reopen" => house.perform(caller, ReopenTicket { tenant, ticket }).await,
        "close" => house.perform(caller, CloseTicket { tenant, ticket }).await,
        _ => return failure::missing(&s.visit),
    };
    match done {
        Ok(State::Closed) => Redirect::to(HERE).into_response(),
        Ok(_) => Redirect::to(&page).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn document(
    Path((id, sha256, what)): Path<(String, String, String)>,
    p: Posted<Tenant>,
) -> Response {
    let s = &p.signed;
    let Ok(ticket) = TicketId::parse(&id) else { return failure::missing(&s.visit) };
    let (house, caller, tenant) = (&s.visit.site.house, s.caller.clone(), s.who.id.clone());
    let to = format!("{HERE}/{ticket}");
    match what.as_str() {
        "read" => match house.perform(caller, ReadAttachment { tenant, ticket, sha256 }).await {
            Ok((paper, bytes)) => attachment(Body::from_stream(bytes), &paper.name, paper.size),
            Err(e) => failure::page(&s.visit, &e),
        },
        "remove" => match house.perform(caller, RemoveAttachment { tenant, ticket, sha256 }).await {
            Ok(()) => Redirect::to(&to).into_response(),
            Err(e) => failure::page(&s.visit, &e),
        },
        _ => failure::missing(&s.visit),
    }
}
