//! Tickets over the API: what the console does, for programs.

use axum::body::Body;
use bailee_rooms::tickets::{
    Assigned, AttachToTicket, Category, Clock, CloseTicket, Entry, Filter, GetTicket, ListTickets,
    OpenTicket, Priority, ReadAttachment, RemoveAttachment, ReopenTicket, ReplyTicket, SolveTicket, Stands,
    State, Ticket,
};
use bailee_rooms::vault::{NewPaper, Paper};
use bailee_rooms::{Failure, House, Thing};
use bailee_types::{TicketId, Timestamp};
use bailee_wire::rpc::RpcError;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::{Act, Cx, json_answer};
use crate::pages::attachment;

/// Tickets of a page, where nothing is said.
const PER_PAGE: u32 = 50;

pub(super) async fn answer(cx: &Cx<'_>, act: Act, pieces: &[&str]) -> Result<Response<Body>, RpcError> {
    let ticket = || {
        let id = pieces.first().copied().unwrap_or_default();
        TicketId::parse(id).map_err(|_| {
            cx.failed(Failure::NotFound { thing: Thing::Ticket, name: id.chars().take(64).collect() })
        })
    };
    let tenant = cx.tenant.clone();
    let sha256 = || pieces.get(1).copied().unwrap_or_default().to_owned();
    let state = |state: State| Ok(json_answer(200, &json!({ "state": state.word() })));
    match act {
        Act::List => list(cx).await,
        Act::Get => get(cx, ticket()?).await,
        Act::Attach => attach(cx, ticket()?).await,
        Act::Open => {
            cx.arguments(&[])?;
            let body = cx.texts(&["title", "category", "priority", "message"])?;
            let text = |name: &str| body.get(name).and_then(Value::as_str);
            let op = OpenTicket {
                tenant,
                title: text("title").unwrap_or_default().to_owned(),
                category: word("category", text("category"), Category::parse)?.unwrap_or(Category::Support),
                priority: word("priority", text("priority"), Priority::parse)?.unwrap_or(Priority::Normal),
                text: text("message").map(str::to_owned),
            };
            let id = cx.perform(op).await?;
            let mut response = json_answer(201, &json!({ "id": id.as_str() }));
            if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/tickets/{id}")) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            Ok(response)
        }
        Act::Reply => {
            cx.arguments(&[])?;
            let body = cx.texts(&["message"])?;
            let text = body.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            state(cx.perform(ReplyTicket { tenant, ticket: ticket()?, text }).await?)
        }
        Act::Solve => state(cx.perform(SolveTicket { tenant, ticket: ticket()? }).await?),
        Act::Reopen => state(cx.perform(ReopenTicket { tenant, ticket: ticket()? }).await?),
        Act::Close => state(cx.perform(CloseTicket { tenant, ticket: ticket()? }).await?),
        Act::Read => {
            let op = ReadAttachment { tenant, ticket: ticket()?, sha256: sha256() };
            let (paper, bytes) = cx.perform(op).await?;
            Ok(attachment(Body::from_stream(bytes), &paper.name, paper.size))
        }
        Act::Remove => {
            cx.perform(RemoveAttachment { tenant, ticket: ticket()?, sha256: sha256() }).await?;
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::NO_CONTENT;
            Ok(response)
        }
        _ => Err(cx.failed(Failure::Bug(format!("{act:?} is no act on tickets")))),
    }
}

pub(super) fn word<T>(
    name: &str,
    given: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, RpcError> {
    match given {
        None => Ok(None),
        Some(w) => parse(w)
            .map(Some)
            .ok_or_else(|| RpcError::invalid(name, "This is none of its words; see /api/v1/openapi.json.")),
    }
}

async fn list(cx: &Cx<'_>) -> Result<Response<Body>, RpcError> {
    cx.arguments(&[
        "state",
        "category",
        "priority",
        "assigned",
        "overdue",
        "text",
        "inMessages",
        "cursor",
        "limit",
    ])?;
    let given = |name: &str| cx.query.get(name).map(String::as_str);
    let flag = |name: &str| word(name, given(name), |w| w.parse::<bool>().ok()).map(|f| f.unwrap_or(false));
    let stands = |w: &str| match w {
        "live" => Some(Stands::Live),
        other => State::parse(other).map(Stands::In),
    };
    let assigned = |w: &str| match w {
        "nobody" => Some(Assigned::Nobody),
        "somebody" => Some(Assigned::Somebody),
        _ => None,
    };
    let list = ListTickets {
        tenant: cx.tenant.clone(),
        filter: Filter {
            stands: word("state", given("state"), stands)?,
            category: word("category", given("category"), Category::parse)?,
            priority: word("priority", given("priority"), Priority::parse)?,
            assigned: word("assigned", given("assigned"), assigned)?,
            overdue: flag("overdue")?,
            text: given("text").filter(|t| !t.is_empty()).map(str::to_owned),
            in_messages: flag("inMessages")?,
        },
        before: word("cursor", given("cursor"), |w| w.parse().ok())?,
        tickets_max: word("limit", given("limit"), |w| w.parse().ok().filter(|n| (1..=200).contains(n)))?
            .unwrap_or(PER_PAGE),
    };
    let page = cx.perform(list).await?;
    let tickets: Vec<_> = page.tickets.iter().map(|k| shown(cx.house, k)).collect();
    let next = page.next.map(|n| n.to_string());
    Ok(json_answer(200, &json!({ "tickets": tickets, "nextCursor": next, "searchEnded": page.search_ended })))
}

async fn get(cx: &Cx<'_>, ticket: TicketId) -> Result<Response<Body>, RpcError> {
    cx.arguments(&["before"])?;
    let before = word("before", cx.query.get("before").map(String::as_str), |w| w.parse().ok())?;
    let get = GetTicket { tenant: cx.tenant.clone(), ticket, before, recorded: false };
    let thread = cx.perform(get).await?;
    Ok(json_answer(
        200,
        &json!({
            "ticket": shown(cx.house, &thread.ticket),
            "entries": thread.entries.iter().map(entry).collect::<Vec<_>>(),
            "more": thread.more,
            "attachments": thread.attachments.iter().map(paper).collect::<Vec<_>>(),
        }),
    ))
}

async fn attach(cx: &Cx<'_>, ticket: TicketId) -> Result<Response<Body>, RpcError> {
    cx.arguments(&["name"])?;
    let (name, bytes) = (cx.query.get("name").cloned().unwrap_or_default(), cx.body.clone());
    let document = tokio::task::spawn_blocking(move || NewPaper::parse(&name, bytes))
        .await
        .unwrap_or_else(|e| Err(Failure::Bug(e.to_string())))
        .map_err(|e| cx.failed(e))?;
    let told = json!({ "name": document.name(), "sha256": document.sha256(), "size": document.size() });
    let place = format!("/api/v1/tickets/{ticket}/attachments/{}", document.sha256());
    let op = AttachToTicket { tenant: cx.tenant.clone(), ticket, documents: vec![document] };
    cx.perform(op).await?;
    let mut response = json_answer(201, &told);
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

fn shown(house: &House, k: &Ticket) -> Value {
    let clocks = k.clocks(house.ticket_targets(), house.now());
    let clock = |c: Option<Clock>| c.map(|c| json!({ "dueAt": c.due_at.iso(), "overdue": c.overdue }));
    let at = |t: Option<Timestamp>| t.map(Timestamp::iso);
    json!({
        "id": k.id.as_str(), "title": k.title, "category": k.category.word(), "priority": k.priority.word(),
        "state": k.state().word(), "openedBy": k.opened_by, "openedAt": k.opened_at.iso(), "assigned": k.assigned,
        "firstAnswerAt": at(k.first_answer_at), "solvedAt": at(k.solved_at), "closedAt": at(k.closed_at),
        "clocks": {
            "firstAnswer": clock(clocks.first_answer), "solution": clock(clocks.solution), "stands": clocks.stands,
        },
    })
}

fn entry(e: &Entry) -> Value {
    json!({
        "seq": e.seq, "at": e.at.iso(), "kind": e.step.word(), "side": e.side.word(), "writer": e.writer,
        "assignee": e.assignee, "text": e.text,
    })
}

fn paper(d: &Paper) -> Value {
    json!({
        "name": d.name, "mime": d.media.mime(), "sha256": d.sha256, "size": d.size,
        "attachedAt": d.attached_at.iso(), "attachedBy": d.attached_by,
    })
}
