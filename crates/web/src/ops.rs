//! `/healthz`, `/readyz` and `/metrics`.
//!
//! Metrics are for the machine's own collector: they are served to loopback peers that no proxy stands before.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bailee_rooms::House;
use bailee_types::Timestamp;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use parking_lot::Mutex;

use crate::traffic::Traffic;

/// A probe writes to the database; more probes than one a second share its answer.
const PROBE_MS: i64 = 1_000;

pub(crate) struct Ops {
    house: Arc<House>,
    traffic: Arc<Traffic>,
    probed: Mutex<Option<(Timestamp, bool)>>,
}

pub(crate) fn router(house: Arc<House>, traffic: Arc<Traffic>) -> Router {
    let ops = Arc::new(Ops { house, traffic, probed: Mutex::new(None) });
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(ops)
}

async fn ready(State(ops): State<Arc<Ops>>) -> Response {
    let now = ops.house.now();
    let known = *ops.probed.lock();
    let is_ready = match known {
        Some((at, is_ready)) if now < at.plus_ms(PROBE_MS) => is_ready,
        _ => {
            let checked = ops.house.check_ready().await;
            if let Err(e) = &checked {
                tracing::warn!("not ready: {e}");
            }
            *ops.probed.lock() = Some((now, checked.is_ok()));
            checked.is_ok()
        }
    };
    if is_ready {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be written; operators' acts are refused\n")
            .into_response()
    }
}

async fn metrics(
    State(ops): State<Arc<Ops>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let proxied =
        ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|h| headers.contains_key(*h));
    if proxied || !is_loopback(peer.ip()) {
        return (StatusCode::NOT_FOUND, "metrics are served to this machine only\n").into_response();
    }
    let mut response = render(&ops).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    }
}

fn render(ops: &Ops) -> String {
    let counters = ops.house.counters();
    let writes = ops.house.write_stats();
    let mut out = String::with_capacity(4096);
    let mut counter = |name: &str, help: &str, rows: &[(String, u64)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
        for (labels, value) in rows {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let one = |n: u64| [(String::new(), n)];
    let load = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
    counter("bailee_intents_total", "Durable intents.", &one(load(&counters.intents)));
    counter("bailee_refusals_total", "Recorded refusals.", &one(load(&counters.refusals)));
    counter(
        "bailee_outcomes_unknown_total",
        "Intents whose outcome was lost.",
        &one(load(&counters.unknown)),
    );
    counter("bailee_key_releases_total", "Data keys released.", &one(load(&counters.key_releases)));
    counter("bailee_opened_bytes_total", "Content bytes opened.", &one(load(&counters.bytes_opened)));
    counter("bailee_sealed_bytes_total", "Content bytes sealed.", &one(load(&counters.bytes_sealed)));
    counter(
        "bailee_sign_in_failures_total",
        "Failed sign-ins and signatures.",
        &one(load(&counters.sign_in_failures)),
    );
    counter(
        "bailee_head_checkpoints_total",
        "Signed checkpoints of the public head log.",
        &one(load(&counters.head_checkpoints)),
    );
    counter("bailee_cosignatures_total", "Cosignatures of witnesses.", &one(load(&counters.cosignatures)));
    counter(
        "bailee_cosigning_failures_total",
        "Tries to get a cosignature that failed.",
        &one(load(&counters.cosigning_failures)),
    );
    let by_kind = |counts: &[AtomicU64; 3]| {
        let kinds = ["bucket", "webhook", "syslog"].iter().zip(counts);
        kinds.map(|(kind, n)| (format!("{{kind=\"{kind}\"}}"), load(n))).collect::<Vec<_>>()
    };
    counter(
        "bailee_delivered_events_total",
        "Events delivered, by kind of receiver.",
        &by_kind(&counters.delivered_events),
    );
    counter(
        "bailee_delivery_failures_total",
        "Deliveries that failed and are tried again.",
        &by_kind(&counters.delivery_failures),
    );
    counter("bailee_commits_total", "Database commits (syncs).", &one(writes.commits));
    counter("bailee_writes_total", "Writes that shared those commits.", &one(writes.writes));
    counter("bailee_write_failures_total", "Writes that failed.", &one(writes.failed));
    let traffic = &ops.traffic;
    let mut rows = Vec::new();
    for (part, classes) in [
        ("objects", &traffic.objects),
        ("rpc", &traffic.rpc),
        ("pages", &traffic.pages),
        ("log", &traffic.log),
    ] {
        rows.extend(classes.each().map(|(class, n)| (format!("{{part=\"{part}\",class=\"{class}\"}}"), n)));
    }
    counter("bailee_answers_total", "Answers by part and status class.", &rows);
    let behind = u8::from(ops.house.is_behind_its_witnesses());
    let _ = writeln!(
        out,
        "# HELP bailee_behind_witnesses 1 when a witness has a larger head log than the database.\n\
         # TYPE bailee_behind_witnesses gauge\nbailee_behind_witnesses {behind}"
    );
    let waiting = load(&counters.delivery_waiting);
    let _ = writeln!(
        out,
        "# HELP bailee_delivery_waiting_records Records that wait for delivery, over all targets.\n\
         # TYPE bailee_delivery_waiting_records gauge\nbailee_delivery_waiting_records {waiting}"
    );
    out
}
