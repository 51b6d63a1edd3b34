//! The accept loop of both listeners, and the console listener's dispatch.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bailee_rooms::House;
use bytes::{Buf, Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use crate::api::Api;
use crate::socket::{Socket, Unreadable};
use crate::traffic::Traffic;
use crate::{collect as collectors, log, ops, pages, rpc};

/// Connections at one time on one listener; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// A client that sends its head slower than this is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an RPC body; the longest field (a policy) has 32 KiB before encoding.
const RPC_BODY_BYTES_MAX: usize = 1024 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long running requests may go on once we stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves HTTP/1.1 until `stop`, then lets running requests end.
pub(crate) async fn accept<F, Fut, B>(
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    unreadable: Unreadable,
    handler: F,
) where
    F: Fn(Request<Incoming>, SocketAddr) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let running = hyper_util::server::graceful::GracefulShutdown::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|s| *s) => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors: wait for some to come back instead of spinning.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Without this the second write of an answer waits for the client's delayed ACK: 44 ms a request.
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        let service = service_fn(move |request| {
            let answer = handler(request, peer);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(128)
            // A client may close its side when it has sent all: it still gets its answer.
            .half_close(true)
            .serve_connection(TokioIo::new(Socket::new(stream, unreadable)), service);
        let watched = running.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks is the client's matter.
            let _ = watched.await;
            drop(slot);
        });
    }
    // Nobody is accepted any more: a client that tries gets a refusal at once, not a silence.
    drop(listener);
    let _ = tokio::time::timeout(GRACE, running.shutdown()).await;
}

/// The console listener's parts.
pub(crate) struct Front {
    pages: Router,
    log: Router,
    ops: Router,
    rpc: Arc<rpc::RpcState>,
    api: Api,
    traffic: Arc<Traffic>,
}

impl Front {
    pub(crate) fn new(house: Arc<House>, site: pages::Site, traffic: Arc<Traffic>) -> Self {
        let secure = site.secure;
        let api = Api { house: Arc::clone(&house), uploads: site.uploads.clone(), secure };
        Self {
            pages: pages::router(Arc::new(site)),
            log: log::router(Arc::clone(&house)),
            ops: ops::router(Arc::clone(&house), Arc::clone(&traffic)),
            rpc: Arc::new(rpc::RpcState { house, traffic: Arc::clone(&traffic), secure }),
            api,
            traffic,
        }
    }
}

pub(crate) async fn serve_console(front: Front, listener: TcpListener, stop: watch::Receiver<bool>) {
    let front = Arc::new(front);
    accept(listener, stop, rpc::unreadable, move |request, peer| {
        let front = Arc::clone(&front);
        async move { front.answer(request, peer).await }
    })
    .await;
}

impl Front {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let (parts, incoming) = request.into_parts();
        if parts.uri.path().starts_with("/collect/") {
            // Who it is stands in the head: a stranger's body is not read.
            let answer = match collectors::admit(&self.rpc.house, &parts).await {
                Err(refused) => refused,
                Ok(known) => {
                    let body = collect(incoming, collectors::BODY_BYTES_MAX, BODY_TIMEOUT).await;
                    collectors::answer(&self.rpc.house, known, body).await
                }
            };
            self.traffic.count_rpc(answer.status().as_u16());
            return answer.map(Body::from);
        }
        if parts.uri.path().starts_with("/api/") {
            let answer = self.api.answer(parts, incoming, peer).await;
            self.traffic.count_rpc(answer.status().as_u16());
            return answer;
        }
        if rpc::is_rpc(&parts) {
            let body = collect(incoming, RPC_BODY_BYTES_MAX, BODY_TIMEOUT).await;
            return match body {
                Some(body) => rpc::answer(&self.rpc, parts, body, peer).await.map(Body::from),
                None => rpc::refuse_body(&self.rpc).map(Body::from),
            };
        }
        let path = parts.uri.path();
        let (router, kind) = if is_of_a_log(path) {
            (&self.log, Part::Log)
        } else if matches!(path, "/healthz" | "/readyz" | "/metrics") {
            (&self.ops, Part::Ops)
        } else {
            (&self.pages, Part::Pages)
        };
        let mut request = Request::from_parts(parts, Body::new(incoming));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        match kind {
            Part::Log => self.traffic.count_log(response.status().as_u16()),
            Part::Pages => self.traffic.count_page(response.status().as_u16()),
            Part::Ops => {}
        }
        response
    }
}

enum Part {
    Log,
    Ops,
    Pages,
}

/// Reads a body whole; none when it is longer than `max`, breaks, or takes too long.
pub(crate) async fn collect(mut incoming: Incoming, max: usize, patience: Duration) -> Option<Bytes> {
    let whole = async {
        let mut out = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            if let Ok(data) = frame.ok()?.into_data() {
                if out.len() + data.remaining() > max {
                    return None;
                }
                out.extend_from_slice(&data);
            }
        }
        Some(out.freeze())
    };
    tokio::time::timeout(patience, whole).await.ok().flatten()
}

fn is_of_a_log(path: &str) -> bool {
    ["/trail/", "/log/", "/heads/"].iter().any(|prefix| path.starts_with(prefix))
}
