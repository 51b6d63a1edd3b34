//! The JSON API under `/api/v1`, on the console's listener: for programs of a tenant, signed with an AccessKey (V3, docs/api.md).
//!
//! INVARIANT: no byte of a body is taken in before the head's signature is good; then the body's hash must be the one signed.
//! INVARIANT: every route of [`ROUTES`] stands in `openapi.json`, and no other.

mod consents;
mod glasses;
mod tickets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bailee_rooms::gate::{Caller, Operation, Origin};
use bailee_rooms::identity::Presented;
use bailee_rooms::vault::PAPER_BYTES_MAX;
use bailee_rooms::{Failure, House};
use bailee_types::{RequestId, TenantId};
use bailee_wire::rpc::{RestRequest, RpcError};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::pages::Uploads;
use crate::rpc::failure;
use crate::server::collect;

/// What the API looks like, for programs.
const OPENAPI: &str = include_str!("openapi.json");
/// Bytes of a JSON body: a message of 20,000 characters, each escaped.
const JSON_BYTES_MAX: usize = 512 * 1024;
const JSON_PATIENCE: Duration = Duration::from_secs(30);
const DOCUMENT_PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Api {
    pub(crate) house: Arc<House>,
    pub(crate) uploads: Uploads,
    /// Whether requests come over TLS, from a proxy before us.
    pub(crate) secure: bool,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    List,
    Open,
    Get,
    Reply,
    Solve,
    Reopen,
    Close,
    Attach,
    Read,
    Remove,
    Consents,
    Figures,
    Consent,
    Approve,
    Deny,
    Revoke,
    Rights,
    SetRight,
    EndRight,
    Glasses,
    EndGlass,
    AcknowledgeGlass,
    ReviewGlass,
}

/// Method, path and what it does; `{…}` stands for one piece of the path.
const ROUTES: &[(&str, &str, Act)] = &[
    ("GET", "/api/v1/tickets", Act::List),
    ("POST", "/api/v1/tickets", Act::Open),
    ("GET", "/api/v1/tickets/{ticket}", Act::Get),
    ("POST", "/api/v1/tickets/{ticket}/messages", Act::Reply),
    ("POST", "/api/v1/tickets/{ticket}/solve", Act::Solve),
    ("POST", "/api/v1/tickets/{ticket}/reopen", Act::Reopen),
    ("POST", "/api/v1/tickets/{ticket}/close", Act::Close),
    ("POST", "/api/v1/tickets/{ticket}/attachments", Act::Attach),
    ("GET", "/api/v1/tickets/{ticket}/attachments/{sha256}", Act::Read),
    ("DELETE", "/api/v1/tickets/{ticket}/attachments/{sha256}", Act::Remove),
    ("GET", "/api/v1/consents", Act::Consents),
    ("GET", "/api/v1/consents/figures", Act::Figures),
    ("GET", "/api/v1/consents/{grant}", Act::Consent),
    ("POST", "/api/v1/consents/{grant}/approve", Act::Approve),
    ("POST", "/api/v1/consents/{grant}/deny", Act::Deny),
    ("POST", "/api/v1/consents/{grant}/revoke", Act::Revoke),
    ("GET", "/api/v1/standing-rights", Act::Rights),
    ("POST", "/api/v1/standing-rights", Act::SetRight),
    ("DELETE", "/api/v1/standing-rights/{right}", Act::EndRight),
    ("GET", "/api/v1/glasses", Act::Glasses),
    ("POST", "/api/v1/glasses/{glass}/end", Act::EndGlass),
    ("POST", "/api/v1/glasses/{glass}/acknowledge", Act::AcknowledgeGlass),
    ("POST", "/api/v1/glasses/{glass}/review", Act::ReviewGlass),
];

impl Act {
    /// Bytes of the body it takes, and how long it may take to come.
    fn takes(self) -> (usize, Duration) {
        match self {
            Self::Open
            | Self::Reply
            | Self::Approve
            | Self::Deny
            | Self::Revoke
            | Self::SetRight
            | Self::ReviewGlass => (JSON_BYTES_MAX, JSON_PATIENCE),
            Self::Attach => (PAPER_BYTES_MAX, DOCUMENT_PATIENCE),
            _ => (0, JSON_PATIENCE),
        }
    }
}

/// The route of a path, and the pieces that stand for something.
fn route<'p>(method: &Method, path: &'p str) -> Result<(Act, Vec<&'p str>), RpcError> {
    let mut allowed = false;
    for (verb, template, act) in ROUTES {
        let (mut given, mut wanted, mut found) = (path.split('/'), template.split('/'), Vec::new());
        let fits = loop {
            match (given.next(), wanted.next()) {
                (None, None) => break true,
                (Some(piece), Some(name)) if name.starts_with('{') => found.push(piece),
                (Some(piece), Some(name)) if piece == name => {}
                _ => break false,
            }
        };
        if fits && method == verb {
            return Ok((*act, found));
        }
        allowed |= fits;
    }
    Err(match allowed {
        true => RpcError::new(405, "UnsupportedHTTPMethod", "This path is not served by that method."),
        false => {
            RpcError::new(404, "InvalidAction.NotFound", "There is no such path; see /api/v1/openapi.json.")
        }
    })
}

/// One request of somebody who is known.
struct Cx<'a> {
    house: &'a Arc<House>,
    caller: Caller,
    tenant: TenantId,
    query: &'a std::collections::BTreeMap<String, String>,
    body: Bytes,
}

impl Cx<'_> {
    async fn perform<O: Operation>(&self, op: O) -> Result<O::Output, RpcError> {
        self.house.perform(self.caller.clone(), op).await.map_err(|e| self.failed(e))
    }

    fn failed(&self, e: Failure) -> RpcError {
        let code = match &e {
            Failure::Invalid { field, .. } => Some(format!("InvalidParameter.{field}")),
            _ => None,
        };
        let error = failure::of(e, self.house, &self.caller);
        match code {
            Some(code) => error.with_code(&code),
            None => error,
        }
    }

    /// The query, which has arguments of these names only.
    fn arguments(&self, names: &[&str]) -> Result<(), RpcError> {
        match self.query.keys().find(|k| !names.contains(&k.as_str())) {
            None => Ok(()),
            Some(_) => Err(RpcError::invalid("query", format!("The query may hold: {}.", names.join(", ")))),
        }
    }

    /// The body as an object of this form; none at all is an empty one.
    fn object<T: serde::de::DeserializeOwned>(&self) -> Result<T, RpcError> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        // A list would be read as an object's members in order.
        serde_json::from_slice::<Map<String, Value>>(body)
            .and_then(|object| serde_json::from_value(Value::Object(object)))
            .map_err(|e| {
                let why = format!("The body is not as /api/v1/openapi.json has it: {e}.");
                RpcError::new(400, "InvalidParameter.body", why)
            })
    }

    /// The body as an object of texts with these names only.
    fn texts(&self, names: &[&str]) -> Result<Map<String, Value>, RpcError> {
        let wrong = |why: String| RpcError::new(400, "InvalidParameter.body", why);
        let Ok(Value::Object(body)) = serde_json::from_slice(&self.body) else {
            return Err(wrong("The body must be a JSON object.".into()));
        };
        if body.iter().any(|(name, value)| !names.contains(&name.as_str()) || !value.is_string()) {
            return Err(wrong(format!("The body may hold, each a string: {}.", names.join(", "))));
        }
        Ok(body)
    }
}

impl Api {
    pub(crate) async fn answer(&self, parts: Parts, body: Incoming, peer: SocketAddr) -> Response<Body> {
        let id = RequestId::random();
        let mut response = self.respond(&parts, body, peer, &id).await.unwrap_or_else(|e| {
            let told = json!({ "code": e.code(), "message": e.message(), "requestId": id.as_str() });
            let mut response = json_answer(e.status(), &told);
            if let Some(ms) = e.retry_after() {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
            }
            response
        });
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            headers.insert(HeaderName::from_static("x-acs-request-id"), id);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
        response
    }

    async fn respond(
        &self,
        parts: &Parts,
        body: Incoming,
        peer: SocketAddr,
        id: &RequestId,
    ) -> Result<Response<Body>, RpcError> {
        if parts.uri.path() == "/api/v1/openapi.json" && parts.method == Method::GET {
            let mut response = Response::new(Body::from(OPENAPI));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Ok(response);
        }
        let (act, pieces) = route(&parts.method, parts.uri.path())?;
        let request = RestRequest::read(parts)?;
        let signed = request.signed(self.house.now())?;
        let origin = Origin {
            source_ip: peer.ip().to_string(),
            user_agent: crate::origin::user_agent(&parts.headers),
            request_id: id.to_string(),
            channel: "ApiCall",
            secure: self.secure,
        };
        let presented = Presented {
            access_key_id: signed.signed.access_key_id(),
            token: signed.signed.security_token(),
            nonce: Some(signed.signed.nonce()),
            service: "Bailee",
            scheme: signed.signed.scheme().word(),
        };
        let known = self.house.authenticate(presented, origin, |secret| signed.signed.verify(secret)).await;
        let (caller, ()) = known.map_err(failure::of_auth)?;
        let Some(tenant) = caller.tenant().cloned() else {
            return Err(RpcError::new(403, "Forbidden", "Only a tenant's caller is served here."));
        };
        let slot = match act {
            Act::Attach => Some(self.uploads.enter(&tenant).ok_or_else(|| {
                RpcError::new(503, "ServiceUnavailable", "Too many documents are arriving at this moment.")
                    .retry_after_ms(60_000)
            })?),
            _ => None,
        };
        let (max, patience) = act.takes();
        let body = collect(body, max, patience).await.ok_or_else(|| {
            let why = format!("The body is longer than {max} bytes, or it did not arrive whole.");
            RpcError::new(413, "RequestEntityTooLarge", why)
        })?;
        signed.fits(&body)?;
        let cx = Cx { house: &self.house, caller, tenant, query: request.query(), body };
        let answered = match act {
            Act::Consents
            | Act::Figures
            | Act::Consent
            | Act::Approve
            | Act::Deny
            | Act::Revoke
            | Act::Rights
            | Act::SetRight
            | Act::EndRight => consents::answer(&cx, act, &pieces).await,
            Act::Glasses | Act::EndGlass | Act::AcknowledgeGlass | Act::ReviewGlass => {
                glasses::answer(&cx, act, &pieces).await
            }
            _ => tickets::answer(&cx, act, &pieces).await,
        };
        drop(slot);
        answered
    }
}

fn json_answer(status: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_each_route_and_no_other() {
        let told: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut described = Vec::new();
        for (path, item) in told["paths"].as_object().unwrap() {
            for verb in item.as_object().unwrap().keys().filter(|k| *k != "parameters") {
                described.push(format!("{} {path}", verb.to_uppercase()));
            }
        }
        let mut served: Vec<_> = ROUTES.iter().map(|(verb, path, _)| format!("{verb} {path}")).collect();
        served.push("GET /api/v1/openapi.json".into());
        described.sort();
        served.sort();
        assert_eq!(described, served);
    }

    #[test]
    fn a_path_is_of_one_route_or_none() {
        for (verb, template, act) in ROUTES {
            let path = template.replace("{ticket}", "T-7").replace("{sha256}", "ab").replace(['{', '}'], "");
            let method = Method::from_bytes(verb.as_bytes()).unwrap();
            assert_eq!(route(&method, &path).unwrap().0, *act);
            assert_eq!(route(&Method::PATCH, &path).unwrap_err().status(), 405);
        }
        for path in
            ["/api/v1/", "/api/v1/tickets/", "/api/v1/tickets/T-7/", "/api/v2/tickets", "/api/v1/tickets/a/b"]
        {
            let found = route(&Method::GET, path);
            assert!(found.is_err() || path.ends_with('/'), "{path}");
        }
        assert_eq!(route(&Method::GET, "/api/v1/tickets/T-7").unwrap().1, ["T-7"]);
    }
}
