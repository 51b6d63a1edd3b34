//! HTTP: Kubernetes API servers, and services such as YARN and WebHDFS.
//!
//! A client shows the session's name and secret with each request. The broker reads the path once, compares what it read with
//! the grant's rules, and sends a request of its own: of the client's headers a few pass, none that says who he is.
//! INVARIANT: no byte of a body passes before it is recorded, and no request is sent before its note is.
//! INVARIANT: the target's credential goes to the target's address alone; no redirect leads a client to another place.

mod body;
mod path;
mod rules;
mod upstream;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use bailee_types::{SecretText, random_text};
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::body::Scribe;
use self::path::Asked;
use self::rules::{Wanted, service_allows};
use self::upstream::Place;
use crate::{Door, Ended, Family, Hello, Seat, Side, Target};

const CONNECTIONS: usize = 256;
const HEAD_TIME: Duration = Duration::from_secs(20);
const HEAD_MAX: usize = 64 << 10;
/// For the target to begin its answer.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// Ways to data nodes that were not taken yet, and for how long they are open.
const WAYS_MAX: usize = 1024;
const WAY_TIME: Duration = Duration::from_secs(60);
const WAY: &str = "/.bailee/";

/// Headers of a request that pass. Everything else stays behind: who a client is, what it has from elsewhere, by which
/// method it would rather be understood; nor what compresses the answer, which the recording is read for.
const PASSED: [HeaderName; 12] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
    header::USER_AGENT,
];
/// Headers of a WebSocket that pass besides; no extensions, which would compress it.
const UPGRADE: [HeaderName; 3] =
    [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_PROTOCOL, header::SEC_WEBSOCKET_VERSION];
/// Headers of an answer that stay behind.
const KEPT_BACK: [&str; 11] = [
    "connection",
    "keep-alive",
    "location",
    "proxy-authenticate",
    "refresh",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

type Answer = Response<UnsyncBoxBody<Bytes, Ended>>;

/// Lets clients of HTTP in: of one family, [`Family::Cluster`] or [`Family::Service`].
pub struct Proxy<D: Door> {
    door: Arc<D>,
    family: Family,
    ways: Mutex<HashMap<String, Way>>,
    open: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    channels: AtomicU32,
}

/// Where a one-time path leads: to a data node that a name node named for one request.
struct Way {
    session: String,
    method: Method,
    place: Place,
    target: String,
    until: Instant,
}

/// Why a request is not answered by its target.
struct No(StatusCode, String);

impl From<Ended> for No {
    fn from(ended: Ended) -> Self {
        Self(StatusCode::FORBIDDEN, format!("session ended: {ended}"))
    }
}

fn refused(text: String) -> No {
    No(StatusCode::BAD_REQUEST, text)
}

/// A request that is allowed, as it is sent.
struct Sent {
    place: Place,
    target: String,
    /// The target as the recording has it.
    shown: String,
    ca_pem: String,
    headers: HeaderMap,
    webhdfs: bool,
    upgrade: bool,
}

impl<D: Door> Proxy<D> {
    /// In front of `door`, for one family.
    pub fn new(door: Arc<D>, family: Family) -> Arc<Self> {
        Arc::new(Self {
            door,
            family,
            ways: Mutex::default(),
            open: Arc::new(Semaphore::new(CONNECTIONS)),
            streams: Arc::new(Semaphore::new(CONNECTIONS)),
            channels: AtomicU32::new(0),
        })
    }

    /// Serves clients until `stop` resolves; then cuts them off.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()> + Send) {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(_) = tasks.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Ok(open) = Arc::clone(&self.open).try_acquire_owned() else { continue };
                    let (proxy, stopped) = (Arc::clone(&self), stopped.clone());
                    tasks.spawn(async move {
                        proxy.connection(stream, peer.ip(), stopped).await;
                        drop(open);
                    });
                }
                Err(e) => {
                    tracing::warn!("a connection over HTTP could not be accepted: {e}");
                    // Out of descriptors: others have to end first.
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        stopping.send_replace(true);
        tasks.shutdown().await;
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: IpAddr, stopped: watch::Receiver<bool>) {
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let (proxy, stopped) = (Arc::clone(&self), stopped.clone());
            async move { Ok::<_, Infallible>(proxy.answer(request, peer, stopped).await) }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_MAX);
        // An error here is the client's, or the cut of a body that its recording names.
        let _ = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        stopped: watch::Receiver<bool>,
    ) -> Answer {
        let seat = match self.enter(request.headers(), peer).await {
            Ok(seat) => seat,
            Err(no) => return self.said(no),
        };
        let channel = self.channels.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let scribe = Scribe { seat, channel, stopped };
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answered = tokio::select! {
            // What ended is seen first: nothing of it reaches the target.
            biased;
            ended = scribe.ended() => Err(ended.into()),
            answered = self.forward(request, &scribe, peer) => answered,
        };
        match answered {
            Ok(answer) => answer,
            Err(no) => {
                let note = json!({"kind": "refused", "peer": peer, "method": method.as_str(),
                                  "path": path, "status": no.0.as_u16(), "why": no.1});
                match scribe.note(note).await {
                    Ok(()) => self.said(no),
                    Err(ended) => self.said(ended.into()),
                }
            }
        }
    }

    async fn enter(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Arc<D::Seat>, No> {
        let unknown = |text: &str| No(StatusCode::UNAUTHORIZED, text.to_owned());
        let (name, secret) = credentials(headers).ok_or_else(|| {
            unknown("show the session: `Bearer <name>.<secret>`, or Basic with its name and secret")
        })?;
        let hello = Hello { family: self.family, name: &name, secret, peer };
        self.door.enter(hello).await.map_err(|e| unknown(&e.0))
    }

    async fn forward(
        &self,
        mut request: Request<Incoming>,
        scribe: &Scribe<D::Seat>,
        peer: IpAddr,
    ) -> Result<Answer, No> {
        let sent = self.allowed(&request, &*scribe.seat)?;
        let note = json!({"kind": "request", "peer": peer, "method": request.method().as_str(),
                          "to": sent.place.authority, "target": sent.shown, "headers": texts(&passed(request.headers(), sent.upgrade))});
        scribe.note(note).await?;
        let (host, port) = sent.place.host();
        let at = self.door.reach(host, port).await.map_err(|e| No(StatusCode::BAD_GATEWAY, e.0))?;
        let stream =
            sent.place.connect(at, &sent.ca_pem).await.map_err(|e| No(StatusCode::BAD_GATEWAY, e))?;
        let gateway =
            |e: hyper::Error| No(StatusCode::BAD_GATEWAY, format!("the target does not answer: {e}"));
        let (mut to_target, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(gateway)?;
        tokio::spawn(connection.with_upgrades());
        // A connection that became a WebSocket no longer counts among those over HTTP.
        let full = |_| No(StatusCode::SERVICE_UNAVAILABLE, "too many WebSockets are open here".to_owned());
        let stream_open =
            sent.upgrade.then(|| Arc::clone(&self.streams).try_acquire_owned()).transpose().map_err(full)?;
        let client = sent.upgrade.then(|| hyper::upgrade::on(&mut request));
        let method = request.method().clone();
        let body = request.into_body();
        let mut out = Request::new(match body.is_end_stream() {
            true => empty(),
            false => scribe.pipe(body, Side::Client).boxed_unsync(),
        });
        *out.method_mut() = method.clone();
        *out.uri_mut() = sent.target.parse().map_err(|_| refused("the path cannot be sent".to_owned()))?;
        *out.headers_mut() = sent.headers;
        let mut answer = timeout(ANSWER_TIME, to_target.send_request(out))
            .await
            .map_err(|_| No(StatusCode::GATEWAY_TIMEOUT, "the target does not answer".to_owned()))?
            .map_err(gateway)?;
        let mut headers = answer.headers().clone();
        for name in KEPT_BACK {
            headers.remove(name);
        }
        let note =
            json!({"kind": "response", "status": answer.status().as_u16(), "headers": texts(&headers)});
        scribe.note(note).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(client) = client else {
                return Err(No(StatusCode::BAD_GATEWAY, "the target leaves HTTP unasked".to_owned()));
            };
            let tunnel = tunnel(scribe.clone(), client, hyper::upgrade::on(&mut answer));
            tokio::spawn(async move {
                tunnel.await;
                drop(stream_open);
            });
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            let mut switched = Response::new(empty());
            (*switched.status_mut(), *switched.headers_mut()) = (StatusCode::SWITCHING_PROTOCOLS, headers);
            return Ok(switched);
        }
        if sent.webhdfs && answer.status().is_redirection() {
            let way = self.way(&answer, &sent.place, &method, scribe.seat.session())?;
            headers.insert(header::LOCATION, way);
        }
        let status = answer.status();
        let mut back = Response::new(scribe.pipe(answer.into_body(), Side::Target).boxed_unsync());
        (*back.status_mut(), *back.headers_mut()) = (status, headers);
        Ok(back)
    }

    /// What is sent for a request, if the grant allows it.
    fn allowed(&self, request: &Request<Incoming>, seat: &D::Seat) -> Result<Sent, No> {
        let mut asked = Asked::read(request.uri()).map_err(refused)?;
        let forbidden = |what: String| No(StatusCode::FORBIDDEN, format!("the grant does not allow {what}"));
        let (method, is_upgrade) = (request.method(), request.headers().contains_key(header::UPGRADE));
        let mut headers = passed(request.headers(), is_upgrade);
        match seat.target() {
            Target::Cluster { address, ca_pem, token, rules } => {
                let wanted = Wanted::read(method, &asked).map_err(|e| No(StatusCode::FORBIDDEN, e))?;
                let upgrade = upgrades(&wanted, request.headers())?;
                // A WebSocket begins with a GET; a rule may name either verb for it.
                let creates = upgrade && wanted.created().is_allowed(rules);
                if !creates && !wanted.is_allowed(rules) {
                    return Err(forbidden(format!("{method} {}: {wanted}", asked.path)));
                }
                set(&mut headers, header::AUTHORIZATION, &format!("Bearer {}", token.expose()), true)?;
                let name = HeaderName::from_static;
                set(&mut headers, name("impersonate-user"), &format!("bailee:{}", seat.operator()), false)?;
                // The cluster's rules are for the grant; its log names the session, too.
                set(
                    &mut headers,
                    name("impersonate-group"),
                    &format!("bailee:grant:{}", seat.grant()),
                    false,
                )?;
                let group = HeaderValue::from_str(&format!("bailee:session:{}", seat.session()));
                headers.append(name("impersonate-group"), group.map_err(|_| unusable())?);
                let place = Place::read(address).map_err(refused)?;
                Self::sent(place, &asked, ca_pem, headers, false, upgrade)
            }
            Target::Service { address, ca_pem, authorization, webhdfs, rules } => {
                if is_upgrade {
                    return Err(refused("a service is spoken to in HTTP; nothing is upgraded".to_owned()));
                }
                let place = Place::read(address).map_err(refused)?;
                if *webhdfs && let Some(way) = asked.path.strip_prefix(WAY) {
                    return self.taken(way, method, seat.session(), headers, ca_pem);
                }
                asked.query.retain(|(name, _)| !is_who(name));
                let op = webhdfs
                    .then(|| asked.only("op").map(Option::unwrap_or_default))
                    .transpose()
                    .map_err(refused)?;
                // Some operations name other files beside the path.
                let beside =
                    webhdfs.then(|| asked.beside()).transpose().map_err(refused)?.unwrap_or_default();
                if let Some(path) = beside.iter().find(|p| !service_allows(rules, method, p, op)) {
                    return Err(forbidden(format!("{method} {path} {}", op.unwrap_or_default())));
                }
                if !service_allows(rules, method, &asked.path, op) {
                    return Err(forbidden(format!("{method} {} {}", asked.path, op.unwrap_or_default())));
                }
                if let Some(authorization) = authorization {
                    let text = authorization.expose();
                    let (name, value) = match text.split_once(':') {
                        Some((name, value)) => (name.trim().parse().map_err(|_| unusable())?, value.trim()),
                        None => (header::AUTHORIZATION, text),
                    };
                    set(&mut headers, name, value, true)?;
                }
                Self::sent(place, &asked, ca_pem, headers, *webhdfs, false)
            }
            _ => Err(No(StatusCode::UNAUTHORIZED, "this session is not for HTTP".to_owned())),
        }
    }

    fn sent(
        place: Place,
        asked: &Asked,
        ca_pem: &str,
        mut headers: HeaderMap,
        webhdfs: bool,
        upgrade: bool,
    ) -> Result<Sent, No> {
        set(&mut headers, header::HOST, &place.authority, false)?;
        if upgrade {
            set(&mut headers, header::CONNECTION, "upgrade", false)?;
            set(&mut headers, header::UPGRADE, "websocket", false)?;
        }
        let target = asked.written(&place.base);
        Ok(Sent {
            shown: target.clone(),
            target,
            place,
            ca_pem: ca_pem.to_owned(),
            headers,
            webhdfs,
            upgrade,
        })
    }

    /// Keeps where a name node sends a client, and gives it a path of ours instead.
    fn way(
        &self,
        answer: &Response<Incoming>,
        from: &Place,
        method: &Method,
        session: &str,
    ) -> Result<HeaderValue, No> {
        let gateway = |text: &str| No(StatusCode::BAD_GATEWAY, text.to_owned());
        let location = answer.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
        let location = location.ok_or_else(|| gateway("the name node redirects to nowhere"))?;
        let place = Place::read(location).ok().filter(|place| place.is_as(from));
        let place =
            place.ok_or_else(|| gateway("the name node redirects to what is not reached as it is itself"))?;
        // The name node's own words: it made them for this request, and they are taken back as they are.
        let target = location.splitn(4, '/').nth(3).map_or("/".to_owned(), |rest| format!("/{rest}"));
        let now = Instant::now();
        let mut ways = self.ways.lock();
        ways.retain(|_, way| way.until > now);
        if ways.len() >= WAYS_MAX {
            return Err(No(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many redirects are not followed yet".to_owned(),
            ));
        }
        let name = random_text(b"abcdefghijklmnopqrstuvwxyz234567", 32);
        let back = HeaderValue::from_str(&format!("{WAY}{name}")).map_err(|_| unusable())?;
        let (session, method) = (session.to_owned(), method.clone());
        ways.insert(name, Way { session, method, place, target, until: now + WAY_TIME });
        Ok(back)
    }

    /// Follows a way, once, by the session and the method that it was made for. The target's credential is not for it.
    fn taken(
        &self,
        name: &str,
        method: &Method,
        session: &str,
        mut headers: HeaderMap,
        ca_pem: &str,
    ) -> Result<Sent, No> {
        let mut ways = self.ways.lock();
        let is_his =
            |way: &&Way| way.session == session && way.method == *method && way.until > Instant::now();
        if ways.get(name).filter(is_his).is_none() {
            return Err(No(
                StatusCode::NOT_FOUND,
                "this redirect was followed, or is too old: ask again".to_owned(),
            ));
        }
        let Some(Way { place, target, .. }) = ways.remove(name) else { return Err(unusable()) };
        set(&mut headers, header::HOST, &place.authority, false)?;
        // Its parameters may hold a token that the name node made.
        let shown = target.split('?').next().unwrap_or_default().to_owned();
        Ok(Sent { place, target, shown, ca_pem: ca_pem.to_owned(), headers, webhdfs: false, upgrade: false })
    }

    /// An answer of the broker's own, in the words of the family.
    fn said(&self, No(status, text): No) -> Answer {
        let (kind, text) = match self.family {
            Family::Cluster => {
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                    "message": text, "code": status.as_u16()});
                ("application/json", status.to_string())
            }
            _ => ("text/plain; charset=utf-8", text + "\n"),
        };
        let mut answer = Response::new(Full::new(Bytes::from(text)).map_err(|e| match e {}).boxed_unsync());
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if status == StatusCode::UNAUTHORIZED {
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"bailee\""));
        }
        answer
    }
}

fn empty() -> UnsyncBoxBody<Bytes, Ended> {
    Full::new(Bytes::new()).map_err(|e| match e {}).boxed_unsync()
}

fn unusable() -> No {
    No(StatusCode::BAD_GATEWAY, "the target's settings cannot be sent as headers".to_owned())
}

/// Parameters by which a client of Hadoop says who it is, or asks not to be led.
fn is_who(name: &str) -> bool {
    ["user.name", "doas", "delegation", "noredirect"].iter().any(|n| name.eq_ignore_ascii_case(n))
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str, secret: bool) -> Result<(), No> {
    let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
    value.set_sensitive(secret);
    headers.insert(name, value);
    Ok(())
}

/// The session's name and secret, from the one `Authorization` header.
fn credentials(headers: &HeaderMap) -> Option<(String, SecretText)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let (name, secret) = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => rest.trim().split_once('.').map(|(name, secret)| (name.to_owned(), secret.to_owned()))?,
        "basic" => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
            let text = String::from_utf8(decoded).ok()?;
            text.split_once(':').map(|(name, secret)| (name.to_owned(), secret.to_owned()))?
        }
        _ => return None,
    };
    Some((name, SecretText::new(secret)))
}

/// The headers of a client that pass.
fn passed(headers: &HeaderMap, upgrade: bool) -> HeaderMap {
    let names = PASSED.iter().chain(UPGRADE.iter().filter(|_| upgrade));
    let values = names.flat_map(|name| headers.get_all(name).iter().map(move |v| (name.clone(), v.clone())));
    values.collect()
}

/// Headers for a note.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// Whether a request becomes a WebSocket, as those for `exec` and `attach` must and no others may.
fn upgrades(wanted: &Wanted, headers: &HeaderMap) -> Result<bool, No> {
    let to = headers.get(header::UPGRADE).map(|v| v.as_bytes().to_ascii_lowercase());
    match (wanted.streams(), to.as_deref()) {
        (true, Some(b"websocket")) => Ok(true),
        (true, _) => Err(refused(
            "exec and attach come as WebSockets, which are recorded; SPDY is not spoken: use kubectl 1.31 or newer, or \
             KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true with 1.29 and 1.30"
                .to_owned(),
        )),
        (false, Some(_)) => Err(refused("only exec and attach leave HTTP".to_owned())),
        (false, None) => Ok(false),
    }
}

/// A WebSocket's bytes, both ways, until one side or the session ends.
async fn tunnel<S: Seat>(
    scribe: Scribe<S>,
    client: hyper::upgrade::OnUpgrade,
    target: hyper::upgrade::OnUpgrade,
) {
    let both = async {
        let (Ok(client), Ok(target)) = tokio::join!(client, target) else {
            return Ended("one side did not change to a WebSocket".to_owned());
        };
        let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
        let (from_target, to_target) = tokio::io::split(TokioIo::new(target));
        tokio::select! {
            ended = copy(&scribe, Side::Client, from_client, to_target) => ended,
            ended = copy(&scribe, Side::Target, from_target, to_client) => ended,
        }
    };
    let why = tokio::select! {
        ended = both => ended,
        ended = scribe.ended() => ended,
    };
    if let Err(e) = scribe.note(json!({"kind": "end", "why": why.0})).await {
        tracing::warn!(session = scribe.seat.session(), "the end of a WebSocket is not recorded: {e}");
    }
}

async fn copy<S: Seat>(
    scribe: &Scribe<S>,
    side: Side,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Ended {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let Ok(n @ 1..) = from.read(&mut bytes).await else {
            let _ = to.shutdown().await;
            return Ended("one side closed it".to_owned());
        };
        let piece = bytes.get(..n).unwrap_or_default();
        if let Err(ended) = scribe.record(side, piece).await {
            return ended;
        }
        if to.write_all(piece).await.is_err() || to.flush().await.is_err() {
            return Ended("one side closed it".to_owned());
        }
    }
}
