//! `POST /collect/v1/events`: collectors hand in batches (docs/collectors.md).
//!
//! The credential is a bearer token in the head; the body is JSON, and so is every answer.

use std::sync::Arc;

use bailee_rooms::trail::collected::wire::{BATCH_BYTES_MAX, Batch};
use bailee_rooms::trail::collected::{HandIn, Known};
use bailee_rooms::{Failure, Fault, House};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

/// Bytes of a batch.
pub(crate) const BODY_BYTES_MAX: usize = BATCH_BYTES_MAX;

/// Who hands in, or the answer to somebody who may not.
pub(crate) async fn admit(house: &Arc<House>, parts: &Parts) -> Result<Known, Response<Bytes>> {
    if parts.uri.path() != "/collect/v1/events" {
        return Err(said(StatusCode::NOT_FOUND, "NotFound", "there is only /collect/v1/events"));
    }
    if parts.method != Method::POST {
        let mut response = said(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "events are posted");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Err(response);
    }
    let shown = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = shown.and_then(|v| v.strip_prefix("Bearer ")).unwrap_or_default();
    house.collector(token.trim()).await.map_err(|e| failed(&e))
}

/// Takes a batch.
pub(crate) async fn answer(house: &Arc<House>, collector: Known, body: Option<Bytes>) -> Response<Bytes> {
    let Some(body) = body else {
        return said(StatusCode::PAYLOAD_TOO_LARGE, "BadBody", "the body is too long, or did not come whole");
    };
    let batch = match Batch::parse(&body) {
        Ok(batch) => batch,
        Err(why) => return said(StatusCode::BAD_REQUEST, "InvalidParameter", &why),
    };
    match house.perform(house.system_caller("collector"), HandIn { collector, batch }).await {
        Ok(answer) => json_answer(StatusCode::OK, &json!(answer)),
        Err(e) => failed(&e),
    }
}

fn failed(failure: &Failure) -> Response<Bytes> {
    match failure {
        Failure::SignIn(_) => {
            let mut response = said(
                StatusCode::UNAUTHORIZED,
                failure.code(),
                "the token is wrong, or the collector is disabled",
            );
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        _ => match failure.fault() {
            Fault::World => said(StatusCode::SERVICE_UNAVAILABLE, failure.code(), &failure.to_string()),
            Fault::Caller => said(StatusCode::BAD_REQUEST, failure.code(), &failure.to_string()),
            Fault::Policy => said(StatusCode::FORBIDDEN, failure.code(), &failure.to_string()),
            Fault::Ours => {
                tracing::error!("a batch of a collector failed: {failure}");
                said(StatusCode::INTERNAL_SERVER_ERROR, failure.code(), "the batch could not be taken")
            }
        },
    }
}

fn said(status: StatusCode, code: &str, why: &str) -> Response<Bytes> {
    json_answer(status, &json!({ "code": code, "message": why }))
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
