//! Checkpoint, tiles and entry bundles of logs (C2SP tlog-tiles), for anybody: `/trail/<log id>/…` (also as
//! `/log/<log id>/…`), and the public head log at `/heads/…`. A log's origin is its address without the scheme.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bailee_rooms::trail::LogPart;
use bailee_rooms::{Failure, Fault, House};
use bailee_types::LogId;
use http::{HeaderValue, StatusCode, header};

pub(crate) fn router(house: Arc<House>) -> Router {
    Router::new()
        .route("/trail/{id}/{*part}", get(part))
        .route("/log/{id}/{*part}", get(part))
        .route("/heads/{*part}", get(head_log_part))
        .with_state(house)
}

async fn part(State(house): State<Arc<House>>, Path((id, part)): Path<(String, String)>) -> Response {
    let Ok(id) = LogId::parse(&id) else { return missing() };
    answered(house.log_part(&id, &part).await)
}

async fn head_log_part(State(house): State<Arc<House>>, Path(part): Path<String>) -> Response {
    answered(house.head_log_part(&part).await)
}

fn answered(part: Result<LogPart, Failure>) -> Response {
    match part {
        Ok(LogPart::Growing(text)) => answer(text.into_bytes(), "text/plain; charset=utf-8", "no-cache"),
        Ok(LogPart::Immutable(bytes)) => {
            answer(bytes, "application/octet-stream", "public, max-age=31536000, immutable")
        }
        Err(Failure::NotFound { .. }) => missing(),
        Err(e) if e.fault() == Fault::World => {
            (StatusCode::SERVICE_UNAVAILABLE, "the log cannot be read now; try again\n").into_response()
        }
        Err(e) => {
            tracing::error!("a part of a log cannot be served: {e}");
            (StatusCode::INTERNAL_SERVER_ERROR, "the log cannot be served\n").into_response()
        }
    }
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "no such log, or no such part of it\n").into_response()
}

fn answer(bytes: Vec<u8>, kind: &'static str, cache: &'static str) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
