//! The witness over HTTP/1.1, with a limit for everything that a stranger can make it wait for or hold.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bailee_proof::witness::REQUEST_BYTES_MAX;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::state::{Answer, Witness};

/// What a stranger may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more wait in the operating system's queue.
    pub connections: usize,
    /// For a request's head, also between two requests.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// For a connection as a whole.
    pub connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(30),
            body: Duration::from_secs(20),
            connection: Duration::from_secs(600),
        }
    }
}

/// The time of now, POSIX seconds.
pub type Clock = fn() -> u64;

/// Serves until `stop` is done; requests that are being answered are finished.
///
/// # Errors
/// When the listener is of no use any more.
pub async fn serve(
    listener: TcpListener,
    witness: Arc<Witness>,
    limits: Limits,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.connections));
    tokio::pin!(stop);
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(std::io::Error::other)?;
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of descriptors, or the peer is gone: neither gets better by asking at once.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let witness = Arc::clone(&witness);
        tokio::spawn(async move {
            let service =
                service_fn(move |request| answer(Arc::clone(&witness), request, limits.body, clock));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            // A connection that fails or lasts too long concerns its client only.
            let _ = tokio::time::timeout(limits.connection, connection).await;
            drop(place);
        });
    }
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    // An answer that is on its way is finished; who only keeps a connection open is not waited for.
    let _ = tokio::time::timeout(Duration::from_secs(2), places.acquire_many(all)).await;
    Ok(())
}

async fn answer(
    witness: Arc<Witness>,
    request: Request<Incoming>,
    body_time: Duration,
    clock: Clock,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let answer = match (request.method(), path.as_str()) {
        (&Method::POST, "/add-checkpoint") => add(witness, request, body_time, clock).await,
        (_, "/add-checkpoint") => Answer::text(405, "add-checkpoint takes POST"),
        (&Method::GET | &Method::HEAD, other) => other
            .strip_prefix('/')
            .and_then(|p| p.strip_suffix("/checkpoint"))
            .map_or_else(|| Answer::text(404, "nothing is here"), |hash| witness.monitored(hash)),
        _ => Answer::text(404, "nothing is here"),
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(answer.media_type));
    if matches!(answer.status, 408 | 413) {
        // The rest of the body is not read: nothing can follow on this connection.
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn add(witness: Arc<Witness>, request: Request<Incoming>, body_time: Duration, clock: Clock) -> Answer {
    let too_long = || Answer::text(413, "the request is longer than a checkpoint and its proof can be");
    if request.body().size_hint().lower() > REQUEST_BYTES_MAX as u64 {
        return too_long();
    }
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX);
    let body = match tokio::time::timeout(body_time, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(e)) if e.is::<http_body_util::LengthLimitError>() => return too_long(),
        Ok(Err(_)) => return Answer::text(400, "the body could not be read"),
        Err(_) => return Answer::text(408, "the body did not come in time"),
    };
    // On a thread that may block: the head goes to disk. A client that hangs up does not stop it.
    tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, clock()))
        .await
        .unwrap_or_else(|_| Answer::text(500, "the witness failed"))
}
