//! Portal and console, made on the server: they work without script, in Chinese and English, light and dark.
//!
//! Each text stands with both its languages at the place of use ([`visit::Lang::t`]), so one cannot be forgotten.
//! INVARIANT: whatever changes something is a POST whose form carries the session's token and whose request comes from
//! our own pages; reading content of a tenant as an operator counts as such.
//! INVARIANT: no page runs script, loads from elsewhere, or can be framed (Content-Security-Policy).

mod consent;
mod desk;
mod failure;
mod frame;
mod login;
mod objects;
mod portal;
mod tickets;
mod trail;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use bailee_rooms::House;

/// What the pages know beside the house.
pub(crate) struct Site {
    pub(crate) house: Arc<House>,
    pub(crate) secure: bool,
    pub(crate) objects_url: String,
    pub(crate) console_url: String,
}

/// Bytes of a form.
const FORM_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(portal::home))
        .route("/faq", get(portal::faq))
        .route("/verify", get(portal::verify))
        .route("/.well-known/security.txt", get(portal::security_txt))
        .route("/assets/{name}", get(portal::asset))
        .route("/login", get(login::page))
        .route("/login/tenant", post(login::tenant))
        .route("/login/operator", post(login::operator))
        .route("/logout", post(login::logout))
        .route("/console", get(trail::overview))
        .route("/console/trail", get(trail::list))
        .route("/console/trail/{record}", get(trail::one))
        .route("/console/trail/export", post(trail::export))
        .route("/console/consent", get(consent::list))
        .route("/console/consent/{id}/approve", post(consent::approve))
        .route("/console/consent/{id}/deny", post(consent::deny))
        .route("/console/consent/{id}/revoke", post(consent::revoke))
        .route("/console/data", get(objects::buckets))
        .route("/console/data/{bucket}", get(objects::list))
        .route("/console/data/{bucket}/read", post(objects::read))
        .route("/console/data/{bucket}/delete", post(objects::delete))
        .route("/console/tickets", get(tickets::list).post(tickets::open))
        .route("/console/tickets/{id}/close", post(tickets::close))
        .route("/desk", get(desk::overview))
        .route("/desk/tickets/{id}", get(desk::ticket))
        .route("/desk/tickets/{id}/data/{bucket}", get(desk::objects))
        .route("/desk/tickets/{id}/read", post(desk::read))
        .route("/desk/tickets/{id}/ask", post(desk::ask))
        .route("/desk/requests/{tenant}/{id}/withdraw", post(desk::withdraw))
        .fallback(failure::not_found)
        .method_not_allowed_fallback(failure::method_not_allowed)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), frame::harden))
        .with_state(site)
}
