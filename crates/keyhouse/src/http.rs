//! The keyhouse over HTTP/1.1, with TLS, and a limit for everything that a stranger can make it wait for or hold.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, Request, Response, StatusCode, header};
use bailee_wire::xks::{BODY_MAX, ErrorAnswer, XksError};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::Trouble;
use crate::files::trouble;
use crate::service::{Asked, Keyhouse, Said};

const CONNECTIONS: usize = 512;
/// Requests that are worked on at one time; the others are told to come back.
const WORKING: usize = 64;
const HEAD_TIME: Duration = Duration::from_secs(30);
const BODY_TIME: Duration = Duration::from_secs(20);
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const CONNECTION_TIME: Duration = Duration::from_secs(3600);

/// A certificate and its key.
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads PEM files: the certificate with its chain, and its key.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, Trouble> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|e| trouble(certificate, e))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|e| trouble(key, e))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| trouble(certificate, e))?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|e| trouble(certificate, e))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// A keyhouse that listens and does not answer yet.
pub struct Bound {
    listener: TcpListener,
    /// Where.
    pub address: SocketAddr,
}

/// Listens at the configuration's address. Without TLS only this machine may be named.
///
/// # Errors
/// When the address is taken, or is for others and there is no certificate.
pub async fn bind(listen: &str, tls: bool) -> Result<Bound, Trouble> {
    let told = |e: &dyn std::fmt::Display| Trouble::File { path: listen.to_owned(), why: e.to_string() };
    let listener = TcpListener::bind(listen).await.map_err(|e| told(&e))?;
    let address = listener.local_addr().map_err(|e| told(&e))?;
    if !tls && !address.ip().is_loopback() {
        return Err(told(&"without --tls-cert and --tls-key only an address of this machine is listened at"));
    }
    Ok(Bound { listener, address })
}

impl Bound {
    /// Serves until `stop` is done.
    ///
    /// # Errors
    /// When the listener is of no use any more.
    pub async fn serve(
        self,
        house: Arc<Keyhouse>,
        tls: Option<Tls>,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let working = Arc::new(Semaphore::new(WORKING));
        tokio::pin!(stop);
        loop {
            let place = Arc::clone(&places).acquire_owned().await.map_err(std::io::Error::other)?;
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = &mut stop => break,
            };
            let _ = stream.set_nodelay(true);
            let (house, working) = (Arc::clone(&house), Arc::clone(&working));
            let acceptor = tls.as_ref().map(|t| t.0.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => converse(stream, house, working).await,
                    Some(acceptor) => {
                        // Who does not finish the handshake is not waited for.
                        if let Ok(Ok(stream)) =
                            tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await
                        {
                            converse(stream, house, working).await;
                        }
                    }
                }
                drop(place);
            });
        }
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        // An answer that is on its way is finished; who only keeps a connection open is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(2), places.acquire_many(all)).await;
        Ok(())
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    house: Arc<Keyhouse>,
    working: Arc<Semaphore>,
) {
    let service = service_fn(move |request| {
        let answer = answer(Arc::clone(&house), Arc::clone(&working), request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
}

fn refused(error: XksError, status: u16, text: &str) -> Said {
    let answer = ErrorAnswer { error_name: error.name().to_owned(), error_message: text.to_owned() };
    Said { status, body: serde_json::to_vec(&answer).unwrap_or_default() }
}

async fn answer(
    house: Arc<Keyhouse>,
    working: Arc<Semaphore>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let (said, whole) = match work(house, working, parts, body).await {
        Ok(said) => (said, true),
        // The rest of the body is not read: nothing can follow on this connection.
        Err(said) => (said, false),
    };
    let mut response = Response::new(Full::new(Bytes::from(said.body)));
    *response.status_mut() = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if !whole {
        headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    response
}

async fn work(
    house: Arc<Keyhouse>,
    working: Arc<Semaphore>,
    parts: ::http::request::Parts,
    body: Incoming,
) -> Result<Said, Said> {
    if parts.method != Method::POST {
        return Err(refused(XksError::Validation, 405, "every operation is a POST"));
    }
    let too_long =
        || refused(XksError::UnsupportedOperation, 413, "the body is longer than any request can be");
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(too_long());
    }
    let body = Limited::new(body, BODY_MAX);
    let body = match tokio::time::timeout(BODY_TIME, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(e)) if e.is::<http_body_util::LengthLimitError>() => return Err(too_long()),
        Ok(Err(_)) => return Err(refused(XksError::Validation, 400, "the body could not be read")),
        Err(_) => return Err(refused(XksError::Validation, 408, "the body did not come in time")),
    };
    let Ok(place) = working.try_acquire_owned() else {
        return Ok(refused(XksError::Throttling, 429, "too many requests at once; try again"));
    };
    // A client that hangs up does not stop what is being recorded.
    let done = tokio::task::spawn_blocking(move || {
        let said = house.answer(&Asked { parts: &parts, body: &body });
        drop(place);
        said
    });
    Ok(done.await.unwrap_or_else(|_| refused(XksError::Internal, 500, "the service failed")))
}
