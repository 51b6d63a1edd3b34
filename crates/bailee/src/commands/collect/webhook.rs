//! Kubernetes' audit webhook: `POST` of an `EventList`, whose events go into a file before it is told that they are taken.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bailee_types::SecretText;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::output::Stop;

/// Kubernetes sends at most 400 events a time by default, of some KiB each.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// More than this unread, and the webhook is told to try again later: the disk is not ours alone.
const UNREAD_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The file between webhook and collector.
pub(super) struct Inbox(Arc<Mutex<File>>);

struct Hook {
    inbox: Arc<Mutex<File>>,
    token: Option<SecretText>,
}

#[derive(Deserialize)]
struct EventList<'b> {
    kind: String,
    #[serde(borrow)]
    items: Vec<&'b RawValue>,
}

/// Listens on a thread of its own.
pub(super) fn serve(address: SocketAddr, token: Option<SecretText>, path: &Path) -> Result<Inbox, Stop> {
    if token.is_none() && !address.ip().is_loopback() {
        return Err(Stop::unable(format!(
            "{address} can be reached by others, who could invent events: say --listen-token-file"
        )));
    }
    let cannot = |e: &dyn std::fmt::Display| Stop::unable(format!("{}: {e}", path.display()));
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|e| cannot(&e))?;
    let inbox = Arc::new(Mutex::new(file));
    let hook = Arc::new(Hook { inbox: Arc::clone(&inbox), token });
    let unable = |e: std::io::Error| Stop::unable(format!("cannot listen on {address}: {e}"));
    let listener = std::net::TcpListener::bind(address).map_err(unable)?;
    listener.set_nonblocking(true).map_err(unable)?;
    eprintln!("webhook  http://{}", listener.local_addr().map_err(unable)?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(unable)?;
    std::thread::spawn(move || {
        let served = runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let router = Router::new()
                .route("/", post(take))
                .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
                .with_state(hook);
            axum::serve(listener, router).await
        });
        if let Err(e) = served {
            eprintln!("bailee: the webhook ended: {e}");
            std::process::exit(1);
        }
    });
    Ok(Inbox(inbox))
}

async fn take(State(hook): State<Arc<Hook>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let said = |status: StatusCode, text: &str| (status, format!("{text}\n"));
    if let Some(token) = &hook.token {
        let shown = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let digest = |text: &str| <[u8; 32]>::from(Sha256::digest(text.as_bytes()));
        let same = digest(shown).ct_eq(&digest(&format!("Bearer {}", token.expose())));
        if !bool::from(same) {
            return said(StatusCode::UNAUTHORIZED, "the token is wrong");
        }
    }
    let list: EventList<'_> = match serde_json::from_slice(&body) {
        Ok(list) => list,
        Err(e) => return said(StatusCode::BAD_REQUEST, &format!("not an EventList: {e}")),
    };
    if list.kind != "EventList" {
        return said(StatusCode::BAD_REQUEST, "not an EventList");
    }
    let mut lines = Vec::with_capacity(body.len());
    for item in list.items {
        // An end of line between the parts of an event would cut it in two; inside a text there can be none.
        lines.extend(item.get().bytes().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { b }));
        lines.push(b'\n');
    }
    let written = tokio::task::spawn_blocking(move || {
        let mut file = hook.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata()?.len() > UNREAD_BYTES_MAX {
            return Err(std::io::Error::other("too much waits to be sent"));
        }
        let before = file.metadata()?.len();
        let written = file.write_all(&lines).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half an event must not stand before the next one. If this fails too, the line is kept as unreadable.
            let _ = file.set_len(before);
        }
        written
    })
    .await;
    match written {
        Ok(Ok(())) => said(StatusCode::OK, "taken"),
        Ok(Err(e)) => said(StatusCode::SERVICE_UNAVAILABLE, &format!("cannot keep the events: {e}")),
        Err(e) => said(StatusCode::SERVICE_UNAVAILABLE, &e.to_string()),
    }
}

impl Inbox {
    /// Empties the file if it holds nothing behind `read`; false when something came meanwhile.
    pub(super) fn empty_at(&self, read: u64) -> Result<bool, Stop> {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unable = |e: std::io::Error| Stop::unable(format!("the inbox cannot be emptied: {e}"));
        if file.metadata().map_err(unable)?.len() != read {
            return Ok(false);
        }
        file.set_len(0).map_err(unable)?;
        Ok(true)
    }
}
