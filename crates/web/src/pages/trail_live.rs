//! Acts as they come: a page with a small script, and the stream of server-sent events that it listens to.
//!
//! INVARIANT: the stream ends with the session, with the rights to the trail, with the server, and after an hour; a
//! session that nobody uses is not kept alive by it.
//! INVARIANT: an event's id is a record's index, so a stream that broke goes on where it was.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use bailee_rooms::Failure;
use bailee_rooms::trail::{ActFilter, GetAct, ListActs, TailActs, TailItem};
use bailee_types::TenantId;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use maud::html;
use parking_lot::Mutex;
use ring::digest;
use serde_json::json;
use tokio::sync::watch;

use super::frame::{Here, inside};
use super::visit::{Lang, Signed, Tenant, Visit};
use super::{failure, passkey, trail, trail_filter};

const SCRIPT: &str = include_str!("../../assets/live.js");
/// Streams of one session, and of all.
const PER_SESSION_MAX: usize = 4;
const STREAMS_MAX: usize = 500;
const LOOK: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_secs(15);
const STREAM_MAX: Duration = Duration::from_secs(3600);
/// Records looked at in one look.
const RECORDS_MAX: u64 = 256;
/// Rows that the page begins with.
const FIRST_ROWS: usize = 20;

/// The script's name holds its digest, so that it can be cached for ever.
pub(super) static SCRIPT_NAME: LazyLock<String> = LazyLock::new(|| {
    let hash = digest::digest(&digest::SHA256, SCRIPT.as_bytes());
    format!("live-{}.js", hex::encode(hash.as_ref().get(..8).unwrap_or_default()))
});

pub(super) fn script() -> Response {
    let mut response = SCRIPT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

/// The streams that run, by the digest of their session's token.
pub(crate) struct Live {
    running: Arc<Mutex<HashMap<[u8; 32], usize>>>,
    stop: watch::Receiver<bool>,
}

/// A stream's place among them.
struct Place {
    running: Arc<Mutex<HashMap<[u8; 32], usize>>>,
    session: [u8; 32],
}

impl Live {
    pub(crate) fn new(stop: watch::Receiver<bool>) -> Self {
        Self { running: Arc::default(), stop }
    }

    fn enter(&self, token: &str) -> Option<Place> {
        let mut session = [0; 32];
        session.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let mut running = self.running.lock();
        if running.values().sum::<usize>() >= STREAMS_MAX {
            return None;
        }
        let own = running.entry(session).or_insert(0);
        if *own >= PER_SESSION_MAX {
            return None;
        }
        *own += 1;
        Some(Place { running: Arc::clone(&self.running), session })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        if let Some(n) = running.get_mut(&self.session) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                running.remove(&self.session);
            }
        }
    }
}

pub(super) async fn page(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let filter = match trail_filter::read(s.visit.lang, &q) {
        Ok(filter) => filter,
        Err(text) => return failure::invalid(&s.visit, text),
    };
    let list = ListActs { tenant: s.who.id.clone(), filter, before: None, acts_max: FIRST_ROWS };
    let page = match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(page) => page,
        Err(e) => return failure::page(&s.visit, &e),
    };
    // What comes between this page and its stream is in the stream.
    let from = page.head.records.to_string();
    let live = trail_filter::link("/console/trail/live", &q, Some(("since", &from)));
    let main = html! {
        div.title { div { h1 { (t("Who touches my data now", "此刻谁在动我的数据")) } p { (t("New acts appear at the top as they are recorded.", "新操作一经记录即显示在最上方。")) } } }
        (trail_filter::tabs(&s.visit, &q, "/console/trail/watch"))
        (trail_filter::form(&s.visit, &q))
        div.card {
            div.head { h2 { (t("Live", "实时")) } p data-said role="status" { (t("Not live. Reload to see what is new.", "未实时更新。请刷新查看新内容。")) } }
            div.empty data-waiting hidden[!page.acts.is_empty()] { h3 { (t("Nothing yet", "暂无操作")) } p { (t("Nobody touches what this view shows. That is the good case.", "没有人在动此视图中的资源。这是好的情况。")) } }
            ol data-live=(live) data-on=(t("Live, last news ", "实时，最近更新 ")) data-off=(t("Cut off; trying again", "连接中断，正在重试")) data-over=(t("Not live any more. Reload.", "已停止实时更新，请刷新。")) {
                @for act in &page.acts { (trail::row(s.visit.lang, act)) }
            }
        }
        script src={ "/assets/" (SCRIPT_NAME.as_str()) } defer {}
    };
    let title = t("Who touches my data now", "此刻谁在动我的数据");
    passkey::with_script(inside(&s.visit, StatusCode::OK, title, Some(Here::Trail), &main))
}

pub(super) async fn stream(
    s: Signed<Tenant>,
    headers: HeaderMap,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    let filter = match trail_filter::read(s.visit.lang, &q) {
        Ok(filter) => filter,
        Err(text) => return failure::invalid(&s.visit, text),
    };
    let token = s.visit.token.clone().unwrap_or_default();
    let Some(place) = s.visit.site.live.enter(&token) else {
        let text = "too many live views are open in this session; close one\n";
        return (StatusCode::TOO_MANY_REQUESTS, text).into_response();
    };
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let next = last.and_then(|n| n.checked_add(1)).or_else(|| q.get("since").and_then(|v| v.parse().ok()));
    // The first look tells who may not look at all.
    let look = TailActs { tenant: s.who.id.clone(), filter: filter.clone(), from: next, records_max: 0 };
    let next = match s.visit.site.house.perform(s.caller.clone(), look).await {
        Ok(page) => page.next,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let now = Instant::now();
    let stop = s.visit.site.live.stop.clone();
    let watching = Watching {
        token,
        tenant: s.who.id,
        visit: s.visit,
        filter,
        next,
        began: now,
        spoke: now,
        is_over: false,
        stop,
        _place: place,
    };
    let begin = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"retry: 3000\n\n"))]);
    let rest = stream::unfold(watching, Watching::look);
    let mut response = Body::from_stream(futures_util::StreamExt::chain(begin, rest)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Watching {
    token: String,
    tenant: TenantId,
    visit: Visit,
    filter: ActFilter,
    next: u64,
    began: Instant,
    spoke: Instant,
    is_over: bool,
    stop: watch::Receiver<bool>,
    _place: Place,
}

impl Watching {
    /// The next piece of the stream; none when it is over.
    async fn look(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        loop {
            if self.is_over {
                return None;
            }
            match self.news().await {
                Ok(Some(text)) if !text.is_empty() => {
                    self.spoke = Instant::now();
                    return Some((Ok(Bytes::from(text)), self));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.is_over = true;
                    return Some((Ok(Bytes::from_static(b"event: over\ndata: {}\n\n")), self));
                }
                // The database may be back in a moment; a stream that says nothing would look alive, so it is cut and
                // the browser asks again.
                Err(e) => {
                    tracing::warn!("a live view was cut: {e}");
                    return None;
                }
            }
            if self.spoke.elapsed() >= BEAT {
                self.spoke = Instant::now();
                let id = self.next.checked_sub(1).map(|n| format!("id: {n}\n")).unwrap_or_default();
                return Some((Ok(Bytes::from(format!("{id}: beat\n\n"))), self));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = self.stop.wait_for(|s| *s) => self.is_over = true,
            }
        }
    }

    /// What came since the last look, as events; none when this stream may not go on.
    async fn news(&mut self) -> Result<Option<String>, Failure> {
        let house = Arc::clone(&self.visit.site.house);
        if self.began.elapsed() >= STREAM_MAX {
            return Ok(None);
        }
        let session = house.session_watched(&self.token, self.visit.origin.clone()).await?;
        let Some(session) = session.filter(|s| s.caller.tenant() == Some(&self.tenant)) else {
            return Ok(None);
        };
        let look = TailActs {
            tenant: self.tenant.clone(),
            filter: self.filter.clone(),
            from: Some(self.next),
            records_max: RECORDS_MAX,
        };
        let page = match house.perform(session.caller.clone(), look).await {
            Ok(page) => page,
            Err(Failure::Refused(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut out = String::new();
        for item in page.items {
            let id = item.record();
            let (event, act) = match item {
                TailItem::Began(act) => ("act", *act),
                TailItem::Ended { intent, .. } => {
                    let get = GetAct { tenant: self.tenant.clone(), record: intent };
                    match house.perform(session.caller.clone(), get).await {
                        Ok(act) => ("ended", act),
                        Err(_) => continue,
                    }
                }
            };
            out.push_str(&event_text(self.visit.lang, event, id, &act));
        }
        self.next = page.next;
        Ok(Some(out))
    }
}

/// JSON has no line breaks, so it is one line of the stream.
fn event_text(lang: Lang, event: &str, id: u64, act: &bailee_rooms::trail::Act) -> String {
    let data = json!({ "record": act.record, "html": trail::row(lang, act).into_string() });
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_so_many_streams_and_no_more() {
        let live = Live::new(watch::channel(false).1);
        let mut places: Vec<_> = (0..PER_SESSION_MAX).map(|_| live.enter("a").unwrap()).collect();
        assert!(live.enter("a").is_none());
        assert!(live.enter("b").is_some());
        places.pop();
        places.push(live.enter("a").unwrap());
        drop(places);
        assert!(live.running.lock().is_empty());
    }
}
