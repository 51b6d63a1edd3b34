//! The RPC protocol on the console listener: one signed request → one operation → one JSON answer.
//!
//! INVARIANT: every answer is JSON with a request id, errors included; an SDK shows nothing of any other.

mod failure;

use std::net::SocketAddr;
use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::gate::{Caller, Operation, Origin, Principal};
use bailee_rooms::identity::{
    AttachPolicy, CreateAccessKey, CreatePolicy, CreateUser, GetCallerIdentity, GetUser, ListAccessKeys,
    ListUsers, SetPassword, User,
};
use bailee_types::{RequestId, TenantId, UserName};
use bailee_wire::rpc::{Call, RpcError, RpcRequest, looks_like_rpc, reply};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::traffic::Traffic;

pub(crate) struct RpcState {
    pub(crate) house: Arc<House>,
    pub(crate) traffic: Arc<Traffic>,
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
    let signed = request.signed(state.house.now())?;
    if signed.has_security_token() {
        // STS comes with the identity issue; a token that cannot be checked must not be ignored.
        return Err(RpcError::new(
            400,
            "InvalidSecurityToken.Malformed",
            "Security tokens are not served yet; sign with a permanent AccessKey.",
        ));
    }
    let origin = Origin {
        source_ip: peer.ip().to_string(),
        user_agent: crate::origin::user_agent(&parts.headers),
        request_id: request_id.to_string(),
        channel: "ApiCall",
    };
    let (caller, ()) = state
        .house
        .authenticate(signed.access_key_id(), origin, Some(signed.nonce()), |secret| signed.verify(secret))
        .await
        .map_err(failure::of_auth)?;
    let call = Call::parse(request)?;
    let Some(tenant) = caller.tenant().cloned() else {
        return Err(RpcError::new(403, "Forbidden", "Only a tenant's caller is served here."));
    };
    let cx = Cx { house: &state.house, caller, tenant, id: request_id.as_str() };
    cx.run(call).await
}

struct Cx<'a> {
    house: &'a Arc<House>,
    caller: Caller,
    tenant: TenantId,
    id: &'a str,
}

impl Cx<'_> {
    async fn run(&self, call: Call) -> Result<Vec<u8>, RpcError> {
        let tenant = self.tenant.clone();
        Ok(match call {
            Call::GetCallerIdentity => {
                let me = self.perform(GetCallerIdentity { tenant }).await?;
                let identity = reply::Identity {
                    identity_type: me.identity_type,
                    account_id: &me.account_id,
                    principal_id: &me.principal_id,
                    user_id: me.user_id.as_deref(),
                    arn: &me.arn,
                };
                reply::caller_identity(&identity, self.id)
            }
            Call::CreateUser { name, display_name, comments, email, mobile_phone } => {
                let op = CreateUser { tenant, name, display_name, comments, email, mobile_phone };
                reply::user(&shown(&self.perform(op).await?), self.id)
            }
            Call::GetUser { name } => {
                reply::user(&shown(&self.perform(GetUser { tenant, name }).await?), self.id)
            }
            Call::ListUsers { marker, items_max } => {
                let page = self.perform(ListUsers { tenant, marker, items_max }).await?;
                let users: Vec<_> = page.users.iter().map(shown).collect();
                reply::users(&users, page.marker.as_deref(), self.id)
            }
            Call::CreateAccessKey { user } => {
                let key = self.perform(CreateAccessKey { tenant, user: self.or_own(user) }).await?;
                reply::new_access_key(key.id.as_str(), key.secret.expose(), key.created_at, self.id)
            }
            Call::ListAccessKeys { user } => {
                let keys = self.perform(ListAccessKeys { tenant, user: self.or_own(user) }).await?;
                let rows: Vec<_> =
                    keys.iter().map(|k| (k.id.as_str(), k.status.as_str(), k.created_at)).collect();
                reply::access_keys(&rows, self.id)
            }
            Call::CreateLoginProfile { name, password } => {
                self.perform(SetPassword { tenant, name: name.clone(), password }).await?;
                reply::login_profile(name.as_str(), self.house.now(), self.id)
            }
            Call::CreatePolicy { name, document, description } => {
                self.perform(CreatePolicy { tenant, name: name.clone(), document }).await?;
                reply::policy(&name, &description, self.house.now(), self.id)
            }
            Call::AttachPolicyToUser { policy, system, user } => {
                self.perform(AttachPolicy { tenant, user, policy, system }).await?;
                reply::empty(self.id)
            }
        })
    }

    async fn perform<O: Operation>(&self, op: O) -> Result<O::Output, RpcError> {
        let done = self.house.perform(self.caller.clone(), op).await;
        done.map_err(|e| failure::of(e, &self.caller))
    }

    /// The user that was named, or else the caller himself (none for root).
    fn or_own(&self, named: Option<UserName>) -> Option<UserName> {
        named.or_else(|| match self.caller.principal() {
            Principal::User { name, .. } => Some(name.clone()),
            _ => None,
        })
    }
}

fn shown(user: &User) -> reply::User<'_> {
    reply::User {
        id: &user.id,
        name: &user.name,
        display_name: &user.display_name,
        comments: &user.comments,
        email: &user.email,
        mobile_phone: &user.mobile_phone,
        created_at: user.created_at,
        updated_at: user.updated_at,
        last_login_at: user.last_login_at,
    }
}
