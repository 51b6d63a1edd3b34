//! The object listener: OSS and S3 on one port, over the same operations.
//!
//! Every answer is in the caller's dialect, errors included. Bodies stream in both directions in constant memory.
//! INVARIANT: nothing of a body is kept unless its length, chunk signatures and checksums all held.

mod access;
mod answer;
mod body;
mod checksum;
mod destroy;
mod dispatch;
mod encryption;
mod form;
mod granted;
mod lifecycle;
mod logs;
mod quota;
mod retain;
mod upload;
mod version;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bailee_rooms::House;
use bailee_rooms::gate::Origin;
use bailee_rooms::identity::Presented;
use bailee_types::RequestId;
use bailee_wire::object::auth::{self, SigningKeyCache, Terms};
use bailee_wire::object::{Code, Dialect, Head, Hosts, ObjectError, ObjectRequest, Target};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use self::body::Answer;
use self::logs::{Ended, Seen};
use crate::traffic::Traffic;

const HOST_ID: &str = "bailee";
/// Copies at the same time; one more is asked to slow down.
const COPIES_MAX: usize = 64;

pub(crate) struct Objects {
    house: Arc<House>,
    hosts: Hosts,
    keys: SigningKeyCache,
    endpoint: String,
    traffic: Arc<Traffic>,
    secure: bool,
    /// Copies that may run at the same time.
    copies: Arc<Semaphore>,
}

/// Serves objects until `stop`, then lets running requests end.
pub(crate) async fn serve(
    house: Arc<House>,
    listener: TcpListener,
    hosts: Vec<String>,
    traffic: Arc<Traffic>,
    secure: bool,
    stop: watch::Receiver<bool>,
) {
    let endpoint = listener.local_addr().map(|a| a.to_string()).unwrap_or_default();
    let objects = Arc::new(Objects {
        house,
        hosts: Hosts::new(hosts),
        keys: SigningKeyCache::new(4096),
        endpoint,
        traffic,
        secure,
        copies: Arc::new(Semaphore::new(COPIES_MAX)),
    });
    crate::server::accept(listener, stop, unreadable, move |request, peer| {
        let objects = Arc::clone(&objects);
        async move { handle(&objects, request, peer).await }
    })
    .await;
}

/// The body of an answer to a head that hyper could not read: whose dialect it is cannot be told, both read this.
fn unreadable(status: u16) -> (&'static str, String) {
    let code = match status {
        414 => Code::UriTooLong,
        431 => Code::HeadersTooLarge,
        _ => Code::InvalidRequest,
    };
    let request_id = RequestId::random();
    let answer = ObjectError::new(code).render(Dialect::Oss, request_id.as_str(), HOST_ID, false);
    ("application/xml", String::from_utf8_lossy(&answer.body).into_owned())
}

async fn handle(objects: &Arc<Objects>, request: Request<Incoming>, peer: SocketAddr) -> Response<Answer> {
    let (parts, body) = request.into_parts();
    let dialect = Dialect::detect(&parts);
    let request_id = RequestId::random();
    let is_head = parts.method == http::Method::HEAD;
    let (begun, at, mut seen) = (Instant::now(), objects.house.now(), Seen::default());
    let answered = respond(objects, &parts, body, dialect, &request_id, peer, &mut seen).await;
    let mut code = None;
    let mut response = match answered {
        Ok(response) => response,
        Err(error) => {
            code = Some(error.code());
            if error.status(dialect) >= 500 && error.code() != Code::NotImplemented {
                tracing::error!(request.id = %request_id, "an object request failed: {error}");
            }
            Answer::complete(error.render(dialect, request_id.as_str(), HOST_ID, is_head))
        }
    };
    if let Some(headers) = seen.page.take() {
        response.headers_mut().extend(headers);
    }
    if let Some(Target::Bucket(bucket) | Target::Object(bucket, _)) = &seen.target
        && let Ok(Some((owner, to))) = objects.house.logging_of(bucket).await
    {
        let ended = Ended {
            parts: &parts,
            peer,
            request_id: request_id.as_str(),
            status: response.status().as_u16(),
            code,
            answer: response.headers(),
            at,
            begun,
            secure: objects.secure,
        };
        let line = logs::line(&to, &owner, bucket, &seen, &ended);
        objects.house.note_access(&owner, bucket, &to, &line);
    }
    objects.traffic.count_object(response.status().as_u16());
    response
}

async fn respond(
    objects: &Arc<Objects>,
    parts: &http::request::Parts,
    body: Incoming,
    dialect: Dialect,
    request_id: &RequestId,
    peer: SocketAddr,
    seen: &mut Seen,
) -> Result<Response<Answer>, ObjectError> {
    let head = Head::read(parts, dialect, &objects.hosts)?;
    seen.target = Some(head.target().clone());
    seen.page = objects.cors_headers(parts, head.target()).await;
    if parts.method == http::Method::OPTIONS {
        let reply = access::preflight(parts, seen.page.as_ref(), dialect, request_id.as_str())?;
        return Ok(Answer::complete(reply));
    }
    let origin = Origin {
        source_ip: peer.ip().to_string(),
        user_agent: crate::origin::user_agent(&parts.headers),
        request_id: request_id.to_string(),
        channel: "ApiCall",
        secure: objects.secure,
    };
    let signed = match auth::parse(&head)? {
        auth::Auth::Signed(signed) => signed,
        auth::Auth::Anonymous => {
            if let (Target::Bucket(bucket), Some(boundary)) = (head.target(), form::boundary(parts)) {
                seen.operation = Some("PostObject");
                return form::post(objects, bucket, boundary, body, origin, request_id).await;
            }
            let request = ObjectRequest::parse(&head)?;
            seen.operation = Some(request.name());
            let cx = dispatch::Cx::anonymous(objects, origin, dialect, request_id);
            return dispatch::run(cx, &head, request, body).await;
        }
    };
    let presented = Presented {
        access_key_id: signed.access_key_id(),
        token: signed.security_token(),
        nonce: None,
        service: "Oss",
        scheme: signed.scheme().word(),
    };
    let terms = Terms { now: objects.house.now(), regions: &[], keys: Some(&objects.keys) };
    let (caller, verified) = objects
        .house
        .authenticate(presented, origin, |secret| signed.verify(&head, secret, &terms))
        .await
        .map_err(answer::auth_error)?;
    let caller = caller.by_link(signed.scheme().is_presigned());
    seen.requester = caller.arn();
    seen.access_key = Some(signed.access_key_id().to_owned());
    (seen.scheme, seen.is_presigned) = (Some(signed.scheme().word()), signed.scheme().is_presigned());
    let request = ObjectRequest::parse(&head)?;
    seen.operation = Some(request.name());
    let cx = dispatch::Cx { objects, caller, dialect, request_id, verified };
    if cx.caller.grant_keys().is_some() {
        return granted::run(cx, &head, request, body).await;
    }
    let reply = dispatch::run(cx, &head, request, body).await?;
    Ok(reply)
}

impl Objects {
    pub(crate) fn house(&self) -> &Arc<House> {
        &self.house
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}
