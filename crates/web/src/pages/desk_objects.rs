//! A tenant's objects at the desk: folders and names under an open ticket, and what a live grant opens of them.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::Response;
use bailee_rooms::Failure;
use bailee_rooms::consent::{Request, State};
use bailee_rooms::gate::RefusalKind;
use bailee_rooms::vault::{ObjectInfo, ReadObject};
use bailee_types::{BucketName, ObjectKey, TicketId};
use http::StatusCode;
use maud::{Markup, html};

use super::desk::{open_button, open_ticket, refused};
use super::failure;
use super::frame::{Here, csrf, enc, inside, time};
use super::objects::{listing, table};
use super::visit::{Operator, Posted, Signed, Visit};

/// Bytes of an object that are shown as text.
const TEXT_BYTES_MAX: usize = 256 * 1024;

pub(super) async fn list(
    s: Signed<Operator>,
    Path((id, bucket)): Path<(String, String)>,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    let ticket = match open_ticket(&s, &id).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let Ok(bucket) = BucketName::parse(&bucket) else { return failure::missing(&s.visit) };
    let house = &s.visit.site.house;
    let op = listing(ticket.tenant.clone(), &bucket, &q, Some(ticket.id.clone()));
    let (page, grants) =
        match (house.perform(s.caller.clone(), op).await, house.operator_requests(&s.who.id, 100).await) {
            (Ok(page), Ok(all)) => (page, all),
            (Err(e), _) | (_, Err(e)) => return failure::page(&s.visit, &e),
        };
    let now = house.now();
    let is_of_here = |r: &Request| {
        r.state(now) == State::Live && r.ticket == ticket.id && r.scope.bucket() == Some(&bucket)
    };
    let grants: Vec<Request> = grants.into_iter().filter(is_of_here).collect();
    let base = format!("/desk/tickets/{}/data/{bucket}", ticket.id);
    let act = |info: &ObjectInfo| {
        let opens = grants.iter().any(|r| r.scope.covers_object(&bucket, &info.key));
        html! { (open_button(&s.visit, &ticket.id, &bucket, &info.key)) @if opens { (show_button(&s.visit, &ticket.id, &bucket, &info.key)) } }
    };
    let prefix = q.get("prefix").map(String::as_str).unwrap_or_default();
    let main = html! {
        p.crumb { a href="/desk" { (s.visit.lang.t("Desk", "工作台")) } " / " a href={ "/desk/tickets/" (ticket.id) } { (ticket.id) } " / " (folders(&base, bucket.as_str(), prefix)) }
        div.title { div { h1 { (bucket) } p { (ticket.alias) } } }
        @if !grants.is_empty() { (open_by(&s.visit, &grants)) }
        (table(&s.visit, &base, &q, &page, &act))
    };
    inside(&s.visit, StatusCode::OK, bucket.as_str(), Some(Here::Desk), &main)
}

/// The way to a folder, each part a link.
fn folders(base: &str, bucket: &str, prefix: &str) -> Markup {
    let way =
        |part: &str, at: usize| (part.to_owned(), prefix.get(..at + part.len() + 1).unwrap_or_default());
    let parts = prefix.match_indices('/').scan(0, |from, (at, _)| {
        let part = prefix.get(*from..at).unwrap_or_default();
        Some(way(part, std::mem::replace(from, at + 1)))
    });
    html! {
        a href=(base) { (bucket) }
        @for (part, to) in parts { " / " a href={ (base) "?prefix=" (enc(to)) } { (part) } }
    }
}

/// What is open here, how often still, until when.
fn open_by(visit: &Visit, grants: &[Request]) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        div.card #open-here { div.head { h2 { (t("Open to you here", "此处对您开放")) } p { (t("Showing or downloading an object is a use of the grant; names are not.", "查看或下载对象计为一次使用，列出名称不计。")) } } ul.rows {
            @for r in grants { li { div { strong { code { (r.scope) } } p { (r.id) " · " (r.uses) " / " (r.approved.map_or(0, |a| a.1)) @if let Some((until, _)) = r.approved { " · " (t("until ", "至 ")) (time(until)) } } } (super::desk_keys::form(visit, r)) } }
        } }
    }
}

fn show_button(visit: &Visit, ticket: &TicketId, bucket: &BucketName, key: &ObjectKey) -> Markup {
    html! {
        form method="post" action={ "/desk/tickets/" (ticket) "/show" } {
            (csrf(visit)) input type="hidden" name="bucket" value=(bucket); input type="hidden" name="key" value=(key);
            button.btn.slim { (visit.lang.t("Show as text", "以文本查看")) }
        }
    }
}

/// The beginning of an object as text: the same read as a download, and counted as one.
pub(super) async fn show(Path(id): Path<String>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let t = |en, zh| s.visit.lang.t(en, zh);
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
        key,
        ticket: ticket.id.clone(),
        start: 0,
        continues: None,
    };
    let window = match s.visit.site.house.perform(s.caller.clone(), op.clone()).await {
        Ok(window) => window,
        Err(Failure::Refused(r)) if matches!(r.kind(), RefusalKind::NoConsent(_)) => {
            return refused(s, &ticket, &op, &r);
        }
        Err(e) => return failure::page(&s.visit, &e),
    };
    let shown = window.bytes.get(..window.bytes.len().min(TEXT_BYTES_MAX)).unwrap_or_default();
    let cut = (shown.len() as u64) < window.info.size;
    let folder = op.key.as_str().rfind('/').map_or("", |at| op.key.as_str().get(..=at).unwrap_or_default());
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " a href={ "/desk/tickets/" (ticket.id) } { (ticket.id) } " / " a href={ "/desk/tickets/" (ticket.id) "/data/" (op.bucket) "?prefix=" (enc(folder)) } { (op.bucket) } }
        div.title { div { h1 { code { (op.key) } } p { (window.grant) } } }
        div.card.pad {
            @match text(shown, cut) {
                Some(text) => {
                    pre.transcript #content { (text) }
                    @if cut { p.hint { (t("Only the beginning is shown; download the object for all of it.", "仅显示开头部分；请下载对象以查看全部。")) } }
                }
                None => p { (t("This is no text. Download it.", "这不是文本，请下载。")) },
            }
        }
    };
    inside(&s.visit, StatusCode::OK, op.key.as_str(), Some(Here::Desk), &main)
}

/// Bytes as text, without what acts on a reader; none when they are something else. What was cut may end within a character.
fn text(bytes: &[u8], cut: bool) -> Option<String> {
    let read = match std::str::from_utf8(bytes) {
        Ok(read) => read,
        Err(e) if cut && e.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..e.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let acts = |c: char| {
        // Marks of direction could show a text as another one.
        c.is_control() && !matches!(c, '\n' | '\t' | '\r')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    (!read.contains('\0')).then(|| read.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_nothing_else() {
        assert_eq!(text(b"<b>1</b>\n", false).as_deref(), Some("<b>1</b>\n"));
        assert_eq!(
            text("价\u{202e}格\u{1b}[2J".as_bytes(), false).as_deref(),
            Some("价\u{fffd}格\u{fffd}[2J")
        );
        assert_eq!(text(b"%PDF\0", false), None);
        assert_eq!(text(b"\xff\xfe", false), None);
        let half = "价格".as_bytes().get(..4).unwrap_or_default();
        assert_eq!(text(half, true).as_deref(), Some("价"));
        assert_eq!(text(half, false), None, "what is whole ends with a whole character");
    }
}
