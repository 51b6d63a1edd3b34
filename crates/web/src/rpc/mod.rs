//! The RPC protocol on the console listener: one signed request → one operation → one JSON answer.
//!
//! INVARIANT: every answer is JSON with a request id, errors included; an SDK shows nothing of any other.

mod actiontrail;
pub(crate) mod failure;
mod federated;
mod kms;
mod ram;
mod show;
mod sts;

use std::net::SocketAddr;
use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::gate::{Caller, Operation, Origin};
use bailee_rooms::identity::Presented;
use bailee_types::{RequestId, TenantId};
use bailee_wire::rpc::{RpcError, RpcRequest, looks_like_rpc, reply};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::traffic::Traffic;

pub(crate) struct RpcState {
    pub(crate) house: Arc<House>,
    pub(crate) traffic: Arc<Traffic>,
    /// Whether requests come over TLS, from a proxy before us.
    pub(crate) secure: bool,
}

/// Whether a request on the shared listener is for us.
pub(crate) fn is_rpc(parts: &Parts) -> bool {
    looks_like_rpc(parts)
}

/// Answers one request.
pub(crate) async fn answer(
    state: &Arc<RpcState>,
    parts: Parts,
    body: Bytes,
    peer: SocketAddr,
) -> Response<Bytes> {
    let request_id = RequestId::random();
    let (result, kms) = match RpcRequest::read(&parts, &body) {
        Ok(request) => {
            let kms = request.operation().product.name == "Kms";
            (respond(state, &request, &parts, &request_id, peer).await, kms)
        }
        Err(error) => (Err(error), false),
    };
    finish(state, &request_id, result, kms)
}

/// The answer to a body that is too long, broke off, or came too slowly.
pub(crate) fn refuse_body(state: &Arc<RpcState>) -> Response<Bytes> {
    let error = RpcError::new(
        413,
        "RequestEntityTooLarge",
        "The body is longer than 1 MiB, or it did not arrive whole.",
    );
    finish(state, &RequestId::random(), Err(error), false)
}

/// The body of an answer to a head that hyper could not read.
pub(crate) fn unreadable(status: u16) -> (&'static str, String) {
    let (code, text) = match status {
        414 => ("InvalidURI.TooLong", "The address of the request is too long."),
        431 => ("RequestHeaderTooLarge", "The headers of the request are too large."),
        _ => ("MalformedRequest", "The request is not HTTP that can be read."),
    };
    let body = RpcError::new(status, code, text).render(RequestId::random().as_str(), "bailee", false);
    ("application/json;charset=utf-8", String::from_utf8_lossy(&body).into_owned())
}

fn finish(
    state: &RpcState,
    request_id: &RequestId,
    result: Result<Vec<u8>, RpcError>,
    kms: bool,
) -> Response<Bytes> {
    let (status, body, retry) = match result {
        Ok(body) => (StatusCode::OK, body, None),
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let host = &state.house.provider().host;
            (status, error.render(request_id.as_str(), host, kms), error.retry_after())
        }
    };
    state.traffic.count_rpc(status.as_u16());
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
        headers.insert(HeaderName::from_static("x-acs-request-id"), id);
    }
    if let Some(ms) = retry {
        headers.insert(HeaderName::from_static("x-acs-retry-after"), HeaderValue::from(ms));
    }
    response
}

async fn respond(
    state: &Arc<RpcState>,
    request: &RpcRequest<'_>,
    parts: &Parts,
    request_id: &RequestId,
    peer: SocketAddr,
) -> Result<Vec<u8>, RpcError> {
    let origin = Origin {
        source_ip: peer.ip().to_string(),
        user_agent: crate::origin::user_agent(&parts.headers),
        request_id: request_id.to_string(),
        channel: "ApiCall",
        secure: state.secure,
    };
    if federated::is_anonymous(request) {
        let body = federated::answer(state, request, origin).await?;
        return Ok(reply::render(body, request_id.as_str()));
    }
    let signed = request.signed(state.house.now())?;
    let presented = Presented {
        access_key_id: signed.access_key_id(),
        token: signed.security_token(),
        nonce: Some(signed.nonce()),
        service: request.operation().product.name,
        scheme: signed.scheme().word(),
    };
    let (caller, ()) = state
        .house
        .authenticate(presented, origin, |secret| signed.verify(secret))
        .await
        .map_err(failure::of_auth)?;
    let Some(tenant) = caller.tenant().cloned() else {
        return Err(RpcError::new(403, "Forbidden", "Only a tenant's caller is served here."));
    };
    let cx = Cx { house: &state.house, caller, tenant, request };
    let answered = match request.operation().product.name {
        "Ram" | "Ims" => ram::answer(&cx).await?,
        "Sts" => sts::answer(&cx).await?,
        "Actiontrail" => actiontrail::answer(&cx).await?,
        "Kms" => kms::answer(&cx).await?,
        _ => None,
    };
    let body = answered.ok_or_else(|| {
        let (product, name) = (request.operation().product.name, request.operation().name);
        RpcError::new(
            404,
            "InvalidAction.NotFound",
            format!("Specified api is not found: {product} {name} is not offered by this server yet."),
        )
    })?;
    Ok(reply::render(body, request_id.as_str()))
}

struct Cx<'a> {
    house: &'a Arc<House>,
    caller: Caller,
    tenant: TenantId,
    request: &'a RpcRequest<'a>,
}

impl Cx<'_> {
    async fn perform<O: Operation>(&self, op: O) -> Result<O::Output, RpcError> {
        let done = self.house.perform(self.caller.clone(), op).await;
        done.map_err(|e| failure::of(e, self.house, &self.caller))
    }
}

/// Runs an operation of Ram, Ims or Actiontrail as an administrator at the machine, with the same reading of arguments and the
/// same answers as over the wire.
///
/// # Errors
/// The wire's code and text.
pub async fn at_the_machine(
    house: &Arc<House>,
    caller: Caller,
    tenant: TenantId,
    (product, action): (&str, &str),
    arguments: &[(String, String)],
) -> Result<serde_json::Value, String> {
    let known = bailee_wire::rpc::operations()
        .find(|o| o.product.name.eq_ignore_ascii_case(product) && o.name.eq_ignore_ascii_case(action))
        .ok_or_else(|| format!("there is no operation `{product} {action}`"))?;
    let mut form = String::new();
    let own = [("Action", known.name), ("Version", known.product.version)];
    let all = own.iter().copied().chain(arguments.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    for (name, value) in all {
        let enc = |t: &str| {
            percent_encoding::utf8_percent_encode(t, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        form.push_str(&format!("{}={}&", enc(name), enc(value)));
    }
    let parts = http::Request::post("/")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(())
        .map_err(|e| e.to_string())?
        .into_parts()
        .0;
    let shown = |e: RpcError| format!("{}: {}", e.code(), e.message());
    let request = RpcRequest::read(&parts, form.as_bytes()).map_err(shown)?;
    let cx = Cx { house, caller, tenant, request: &request };
    let answered = match known.product.name {
        "Ram" | "Ims" => ram::answer(&cx).await.map_err(shown)?,
        "Actiontrail" => actiontrail::answer(&cx).await.map_err(shown)?,
        // An administrator at the machine manages keys; what a key encrypts is the tenant's.
        "Kms" if !kms::uses_keys(known.name) => kms::answer(&cx).await.map_err(shown)?,
        _ => None,
    };
    answered
        .ok_or_else(|| format!("InvalidAction.NotFound: {product} {action} is not offered at the machine"))
}
