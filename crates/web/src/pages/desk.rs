//! The operators' desk: tickets, what consent allows, refusals with the next step.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::consent::{Request, Scope, State};
use bailee_rooms::gate::{Caller, Principal, RefusalKind};
use bailee_rooms::residency::RequestTransfer;
use bailee_rooms::tickets::{GetTicket, State as TicketState, Ticket};
use bailee_rooms::vault::{ListBuckets, ReadObject, Window};
use bailee_rooms::{Failure, House};
use bailee_types::{BucketName, ObjectKey, TicketId};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use maud::html;

use super::consent::chip;
use super::failure;
use super::frame::{Here, csrf, icon, inside, time};
use super::objects::attachment;
use super::places::{basis_choice, jurisdictions, lines, request_chip};
use super::visit::{Operator, Posted, Signed, Visit};

pub(super) async fn overview(s: Signed<Operator>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    let all = (
        house.open_tickets(200).await,
        house.operator_requests(&s.who.id, 100).await,
        house.operator_transfer_requests(&s.who.id, 100).await,
    );
    let to_confirm = match super::desk_ask::to_confirm(&s).await {
        Ok(list) => list,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let (tickets, requests, transfers) = match all {
        (Ok(k), Ok(r), Ok(x)) => (k, r, x),
        (Err(e), ..) | (_, Err(e), _) | (.., Err(e)) => return failure::page(&s.visit, &e),
    };
    let now = house.now();
    let main = html! {
        div.title { div { h1 { (t("Desk", "工作台")) } p { (t("You have no standing access to any tenant. Each act is recorded before it happens, and the tenant sees it.", "您对任何租户都没有常设访问权。每个操作都在发生之前记录，租户可以看到。")) } } }
        @if is(&s.caller, "compliance") || is(&s.caller, "approver") { p { a #figures-link href="/desk/figures" { (t("What we asked for, in figures", "我们的请求：数据统计")) } } }
        @if is(&s.caller, "compliance") { p { a #employee-link href="/desk/employee" { (t("Whose number is this? (compliance)", "该编号是谁？（合规）")) } } }
        div.stack {
            (to_confirm)
            div.card { div.head { h2 { (t("Open tickets", "打开的工单")) } a.more #all-tickets href="/desk/tickets" { (t("All tickets", "全部工单")) } }
                @if tickets.is_empty() { div.empty { h3 { (t("No ticket is open", "没有打开的工单")) } p { (t("Without a ticket nothing of a tenant can be seen.", "没有工单，看不到租户的任何内容。")) } } }
                @else { table.tbl { thead { tr { th { (t("Ticket", "工单")) } th { (t("Opened", "打开")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                    @for k in &tickets { tr {
                        th scope="row" { (k.title) span.sub { (k.id) " · " (k.alias) } }
                        td data-l=(t("Opened", "打开")) { (time(k.opened_at)) }
                        td.act { a.btn.slim id={ "work-" (k.id) } href={ "/desk/tickets/" (k.id) } { (t("Work", "处理")) } }
                    } }
                } } }
            }
            div.card #requests { div.head { h2 { (t("Your requests", "您的请求")) } }
                @if requests.is_empty() { div.empty { p { (t("You have asked for nothing.", "您没有提出请求。")) } } }
                @else { table.tbl.slim { thead { tr { th { (t("Object", "对象")) } th { (t("State", "状态")) } th { (t("Used", "已用")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                    @for r in &requests { tr {
                        th scope="row" { a href={ "/desk/requests/" (r.tenant) "/" (r.id) } { code { (r.scope) } } span.sub { (r.id) " · " (r.ticket) } }
                        td data-l=(t("State", "状态")) { span { (chip(s.visit.lang, r, now)) @if let Some((until, _)) = r.approved { small { (t("until ", "至 ")) (time(until)) } } } }
                        td data-l=(t("Used", "已用")) { (r.uses) " / " (r.approved.map_or(r.uses_max_asked, |a| a.1)) }
                        td.act {
                            @match r.state(now) {
                                State::Confirming | State::Pending => (super::desk_ask::take_back(&s.visit, r, t("Withdraw", "撤回"))),
                                State::Live => { (use_it(&s.visit, r)) (super::desk_ask::take_back(&s.visit, r, t("Give back", "交还"))) },
                                _ => a href={ "/desk/tickets/" (r.ticket) "/ask?renews=" (r.id) } { (t("Ask again", "再次请求")) },
                            }
                        }
                    } }
                } } }
            }
            @if !transfers.is_empty() { div.card #transfers { div.head { h2 { (t("Transfers that you asked for", "您请求的传输")) } }
                table.tbl.slim { thead { tr { th { (t("Way", "方向")) } th { (t("State", "状态")) } th { (t("Answer", "答复")) } } } tbody {
                    @for r in &transfers { tr {
                        th scope="row" { (r.from) " → " (r.to) span.sub { code { (r.resources.join(", ")) } " · " (r.id) " · " (r.ticket) } }
                        td data-l=(t("State", "状态")) { (request_chip(s.visit.lang, r.state(now))) }
                        td data-l=(t("Answer", "答复")) { @match &r.answer { Some(a) => { (time(a.at)) " " (a.note) @if let Some(id) = &a.transfer { " " code { (id) } } }, None => { (t("lapses ", "失效于 ")) (time(r.lapses_at)) } } }
                    } }
                } }
            } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Desk", "工作台"), Some(Here::Desk), &main)
}

fn is(caller: &Caller, role: &str) -> bool {
    matches!(caller.principal(), Principal::Operator { roles, .. } if roles.iter().any(|r| r == role))
}

/// What a live grant is used with.
pub(super) fn use_it(visit: &Visit, r: &Request) -> maud::Markup {
    match &r.scope {
        Scope::Object { bucket, key } => {
            html! { (open_button(visit, &r.ticket, bucket, key)) (super::desk_keys::form(visit, r)) }
        }
        Scope::Prefix { bucket, prefix } => {
            let prefix = percent_encoding::utf8_percent_encode(prefix, percent_encoding::NON_ALPHANUMERIC);
            html! { a.btn.slim href={ "/desk/tickets/" (r.ticket) "/data/" (bucket) "?prefix=" (prefix) } { (visit.lang.t("See the objects", "查看对象")) } (super::desk_keys::form(visit, r)) }
        }
        Scope::Target { target, limits } => html! {
            form method="post" action={ "/desk/tickets/" (r.ticket) "/session" } {
                (csrf(visit)) input type="hidden" name="target" value=(target); input type="hidden" name="family" value=(limits.family());
                button.btn.slim { (visit.lang.t("Open a session", "打开会话")) }
            }
        },
    }
}

pub(super) fn open_button(
    visit: &Visit,
    ticket: &TicketId,
    bucket: &BucketName,
    key: &ObjectKey,
) -> maud::Markup {
    html! {
        form method="post" action={ "/desk/tickets/" (ticket) "/read" } {
            (csrf(visit)) input type="hidden" name="bucket" value=(bucket); input type="hidden" name="key" value=(key);
            button.btn.slim { (visit.lang.t("Open object", "打开对象")) }
        }
    }
}

/// A ticket by its id that is neither solved nor closed; such and none look the same.
pub(super) async fn open_ticket(s: &Signed<Operator>, id: &str) -> Result<Ticket, Response> {
    let Ok(id) = TicketId::parse(id) else { return Err(failure::missing(&s.visit)) };
    match s.visit.site.house.ticket(&id).await {
        Ok(ticket) if ticket.state().is_live() => Ok(ticket),
        Ok(_) => Err(failure::missing(&s.visit)),
        Err(e) => Err(failure::page(&s.visit, &e)),
    }
}

pub(super) async fn ticket(
    s: Signed<Operator>,
    Path(id): Path<String>,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    let Ok(id) = TicketId::parse(&id) else { return failure::missing(&s.visit) };
    let ticket = match house.ticket(&id).await {
        Ok(ticket) if ticket.state() == TicketState::Closed => return failure::missing(&s.visit),
        Ok(ticket) => ticket,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let get = GetTicket {
        tenant: ticket.tenant.clone(),
        ticket: id.clone(),
        before: q.get("before").and_then(|b| b.parse().ok()),
        recorded: true,
    };
    let thread = match house.perform(s.caller.clone(), get).await {
        Ok(thread) => thread,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let op = ListBuckets { tenant: ticket.tenant.clone(), ticket: Some(id) };
    let buckets = match ticket.state().is_live() {
        false => None,
        true => match house.perform(s.caller.clone(), op).await {
            Ok(buckets) => Some(buckets),
            Err(e) => return failure::page(&s.visit, &e),
        },
    };
    let covered = match super::standing::covered(&s, &ticket).await {
        Ok(covered) => covered,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " (ticket.id) }
        div.title { div { h1 { (ticket.title) } p { (ticket.id) " · " (ticket.alias) } } }
        div.stack { @if let Some(buckets) = &buckets { (covered)
        div.card { div.head { h2 { (t("Buckets", "存储桶")) } p { (t("Names, sizes and dates only.", "仅名称、大小与日期。")) } }
            @if buckets.is_empty() { div.empty { p { (t("This tenant has no bucket.", "该租户没有存储桶。")) } } }
            @else { ul.rows { @for b in buckets { li { div { strong { a href={ "/desk/tickets/" (ticket.id) "/data/" (b.name) } { (b.name) } } p { (b.region) } } } } } }
        }
        p { a.btn #ask-target href={ "/desk/tickets/" (ticket.id) "/ask-target" } { (t("Ask for a session with a system", "请求与系统建立会话")) } }
        p { a.btn #ask-consent href={ "/desk/tickets/" (ticket.id) "/ask" } { (t("Ask for consent", "请求同意")) } }
        (propose(&s.visit, &ticket, &s.who.place))
        }
        (super::desk_tickets::work(&s, &thread)) }
    };
    inside(&s.visit, StatusCode::OK, &ticket.title, Some(Here::Desk), &main)
}

/// The form that proposes a transfer to the tenant.
fn propose(visit: &Visit, ticket: &Ticket, place: &str) -> maud::Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let regions = visit.site.house.regions();
    html! {
        form #propose.card method="post" action={ "/desk/tickets/" (ticket.id) "/transfer" } { div.pad.stack {
            h2 { (t("Ask for a transfer", "请求跨境传输")) }
            p.hint { (t("It permits nothing until the tenant registers it, or less of it.", "在租户登记全部或部分之前，不允许任何操作。")) }
            (csrf(visit))
            div.field { label for="from" { (t("From", "来自")) } select.in #from name="from" { @for place in jurisdictions(&regions) { option value=(place) { (place) } } } }
            div.field { label for="to" { (t("To (country)", "目的地（国家代码）")) } input.in #to name="to" maxlength="2" value=(place) required; }
            div.field { label for="resources" { (t("Buckets or prefixes, one a line", "存储桶或前缀，每行一个")) } textarea.in #resources name="resources" rows="3" maxlength="4000" required {} }
            div.field { label for="basis" { (t("Legal basis", "法律依据")) } (basis_choice(visit.lang, "")) }
            div.field { label for="importer" { (t("Who receives", "接收方")) } input.in #importer name="importer" minlength="2" maxlength="500" required; }
            div.field { label for="why" { (t("Why", "原因")) } input.in #why name="reason" minlength="5" maxlength="500" required; }
            div.field { label for="days" { (t("Valid for days", "有效天数")) } input.in #days name="days" type="number" min="1" max="3660" value="30" required; }
            button.btn.main-act { (t("Ask the tenant", "向租户请求")) }
        } }
    }
}

pub(super) async fn ask_transfer(Path(id): Path<String>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let ticket = match open_ticket(s, &id).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let Ok(days) = p.field("days").trim().parse() else {
        return failure::invalid(&s.visit, s.visit.lang.t("Days are a number.", "天数必须是数字。"));
    };
    let text = |name: &str| p.field(name).trim().to_owned();
    let op = RequestTransfer {
        tenant: ticket.tenant.clone(),
        ticket: ticket.id.clone(),
        from: Some(text("from")).filter(|f| !f.is_empty()),
        to: text("to").to_ascii_uppercase(),
        resources: lines(p.field("resources")),
        basis: text("basis"),
        importer: text("importer"),
        reason: text("reason"),
        days,
    };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(_) => Redirect::to("/desk#transfers").into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn read(Path(id): Path<String>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let ticket = match open_ticket(s, &id).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let (Ok(bucket), Ok(key)) = (BucketName::parse(p.field("bucket")), ObjectKey::parse(p.field("key")))
    else {
        return failure::missing(&s.visit);
    };
    let op = ReadObject {
        tenant: ticket.tenant.clone(),
        bucket,
        key: key.clone(),
        ticket: ticket.id.clone(),
        start: 0,
        continues: None,
    };
    match s.visit.site.house.perform(s.caller.clone(), op.clone()).await {
        Ok(window) => {
            let len = window.info.size;
            attachment(windows(&s.visit.site.house, &s.caller, op, window), key.as_str(), len)
        }
        Err(Failure::Refused(r)) if matches!(r.kind(), RefusalKind::NoConsent(_)) => {
            refused(s, &ticket, &op, &r)
        }
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// The later windows, each an operation of its own: when one is refused, the download breaks off before its length.
fn windows(house: &Arc<House>, caller: &Caller, op: ReadObject, first: Window) -> Body {
    let (house, caller) = (Arc::clone(house), caller.clone());
    let (version, grant) = (first.info.version.clone(), first.grant.clone());
    let rest = stream::try_unfold(first.next, move |next| {
        let (house, caller, mut op) = (Arc::clone(&house), caller.clone(), op.clone());
        let (version, grant) = (version.clone(), grant.clone());
        async move {
            let Some(start) = next else { return Ok(None) };
            op.start = start;
            op.continues = Some(grant);
            let window = house.perform(caller, op).await?;
            if window.info.version != version {
                return Err(Failure::Precondition("the object was replaced while it was read"));
            }
            Ok::<_, Failure>(Some((window.bytes, window.next)))
        }
    });
    Body::from_stream(stream::iter([Ok::<Bytes, Failure>(first.bytes)]).chain(rest.boxed()))
}

pub(super) fn refused(
    s: &Signed<Operator>,
    ticket: &Ticket,
    op: &ReadObject,
    refusal: &bailee_rooms::gate::Refusal,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " a href={ "/desk/tickets/" (ticket.id) } { (ticket.id) } }
        div.title { div { h1 { (t("Refused", "已拒绝")) } p { code { (op.bucket) "/" (op.key) } } } }
        div.stack {
            div.notice.bad role="alert" { (icon("no")) div { p { strong { (t("Refused.", "已拒绝。")) } " " span #failure { (failure::refusal(s.visit.lang, refusal)) } } (failure::recorded(&s.visit, refusal.record())) } }
            form #ask.card method="post" action={ "/desk/tickets/" (ticket.id) "/ask" } { div.pad.stack {
                h2 { (t("Ask for consent", "请求同意")) }
                p.hint { (t("For this one object, to read it, under this ticket. The tenant may approve less.", "仅针对此对象的读取，绑定此工单。租户可以批准得更少。")) }
                (csrf(&s.visit)) input type="hidden" name="bucket" value=(op.bucket); input type="hidden" name="key" value=(op.key);
                dl.facts { dt { (t("Action", "操作")) } dd { code { "GetObject" } } dt { (t("Ticket", "工单")) } dd { (ticket.id) } dt { (t("Your place", "您的所在地")) } dd { (s.who.place) } }
                div.field { label for="minutes" { (t("Minutes", "分钟")) } input.in #minutes name="minutes" type="number" min="1" max="1440" value="30" required; }
                div.field { label for="uses" { (t("Reads at most", "最多读取次数")) } input.in #uses name="uses" type="number" min="1" max="1000" value="3" required; }
                div.field { label for="reason" { (t("Why", "原因")) } input.in #reason name="reason" minlength="5" maxlength="1000" required; }
                button.btn.main-act { (t("Ask the tenant", "向租户请求")) }
                p { a #ask-more href={ "/desk/tickets/" (ticket.id) "/ask?bucket=" (op.bucket) "&name=" (percent_encoding::utf8_percent_encode(op.key.as_str(), percent_encoding::NON_ALPHANUMERIC)) } { (t("Another code, or more than this object", "其他原因代码，或不止此对象")) } }
            } }
        }
    };
    inside(&s.visit, StatusCode::FORBIDDEN, t("Refused", "已拒绝"), Some(Here::Desk), &main)
}
