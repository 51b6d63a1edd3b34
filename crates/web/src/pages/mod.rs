//! Portal and console, made on the server: they work without script, in Chinese and English, light and dark.
//!
//! Each text stands with both its languages at the place of use ([`visit::Lang::t`]), so one cannot be forgotten.
//! INVARIANT: whatever changes something is a POST whose form carries the session's token and whose request comes from
//! our own pages; reading content of a tenant as an operator counts as such.
//! INVARIANT: no page but those of one's own sign-in, and the one that shows acts as they come, runs script, and those only ours; none loads from elsewhere, or can be framed (Content-Security-Policy).

mod access;
mod alerts;
mod closing;
mod consent;
mod consent_figures;
mod consent_policy;
mod desk;
mod desk_ask;
mod desk_employee;
mod desk_handling;
mod desk_keys;
mod desk_objects;
mod desk_sessions;
mod desk_tickets;
mod destructions;
mod failure;
mod frame;
mod glass;
mod handling;
mod keeping;
mod key_stores;
mod keys;
mod login;
mod markdown;
mod masks;
mod notifications;
mod objects;
mod passkey;
mod places;
mod portal;
mod said;
mod security;
mod sessions;
mod signin;
mod sinks;
mod sso;
mod standing;
mod targets;
mod ticket_view;
mod tickets;
mod totals;
mod trail;
mod trail_figures;
mod trail_filter;
mod trail_live;
mod upload;
mod visit;
mod witnesses;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use bailee_rooms::House;

pub(crate) use consent::preview;
pub(crate) use objects::attachment;
pub(crate) use trail_live::Live;
pub(crate) use upload::Uploads;

/// What the pages know beside the house.
pub(crate) struct Site {
    pub(crate) house: Arc<House>,
    pub(crate) secure: bool,
    pub(crate) brokers: crate::Brokers,
    pub(crate) objects_url: String,
    pub(crate) console_url: String,
    pub(crate) live: Live,
    pub(crate) uploads: Uploads,
}

/// Bytes of a form.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// The same of one with a key's policy: each byte of it may be three in a form.
const POLICY_FORM_BYTES_MAX: usize = 4 * bailee_rooms::keys::policy::POLICY_BYTES_MAX;

/// The same of one with a message: each character of it may be twelve bytes in a form.
fn messages() -> DefaultBodyLimit {
    DefaultBodyLimit::max(16 * bailee_rooms::tickets::MESSAGE_MAX)
}

pub(crate) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(portal::home))
        .route("/faq", get(portal::faq))
        .route("/verify", get(portal::verify))
        .route("/totals", get(totals::page))
        .route("/totals.txt", get(totals::newest))
        .route("/totals/{name}", get(totals::of_day))
        .route("/.well-known/security.txt", get(portal::security_txt))
        .route("/assets/{name}", get(portal::asset))
        .route("/login", get(login::page))
        .route("/login/tenant", post(login::tenant))
        .route("/login/operator", post(login::operator))
        .route("/login/passkey/begin", post(passkey::begin_enter))
        .route("/login/passkey", post(passkey::enter))
        .route("/logout", post(login::logout))
        .route("/login/sso", get(sso::begin))
        .route("/login/sso/callback", get(sso::callback))
        .route("/signin", get(signin::page))
        .route("/signin/factor", post(signin::factor))
        .route("/signin/totp/begin", post(signin::begin_totp))
        .route("/signin/totp", post(signin::finish_totp))
        .route("/signin/password", post(signin::password))
        .route("/signin/passkey/bind/begin", post(passkey::begin_bind))
        .route("/signin/passkey/bind", post(passkey::bind))
        .route("/signin/passkey/begin", post(passkey::begin_show))
        .route("/signin/passkey", post(passkey::show))
        .route("/security", get(security::page))
        .route("/console/close", get(closing::page).post(closing::close))
        .route("/console/close/cancel", post(closing::cancel))
        .route("/closed/{receipt}", get(closing::report))
        .route("/closed/{receipt}/{record}", get(closing::certificate))
        .route("/security/passkeys/{id}/remove", post(passkey::remove))
        .route("/security/totp/remove", post(security::remove_totp))
        .route("/security/recovery", post(security::renew_recovery))
        .route("/security/sessions/{id}/end", post(security::end_session))
        .route("/security/devices/{id}/forget", post(security::forget_device))
        .route("/console", get(trail::overview))
        .route("/console/trail", get(trail::list))
        .route("/console/trail/figures", get(trail_figures::page))
        .route("/console/trail/watch", get(trail_live::page))
        .route("/console/trail/live", get(trail_live::stream))
        .route("/console/trail/{record}", get(trail::one))
        .route("/console/trail/{record}/erase", post(keeping::erase))
        .route("/console/trail/alerts", get(alerts::show).post(alerts::acknowledge))
        .route("/console/trail/alerts/kinds", post(alerts::set))
        .route("/console/trail/sinks", get(sinks::show).post(sinks::add))
        .route("/console/trail/sinks/{name}/{what}", post(sinks::act))
        .route("/console/trail/keeping", get(keeping::show).post(keeping::set))
        .route("/console/trail/keeping/holds", post(keeping::place))
        .route("/console/trail/keeping/holds/{number}/lift", post(keeping::lift))
        .route("/console/trail/export", post(trail::export))
        .route("/console/trail/proof", get(witnesses::show))
        .route("/console/trail/proof/receipt", post(witnesses::receipt))
        .route("/console/trail/proof/witnesses", post(witnesses::set))
        .route("/console/consent", get(consent::list))
        .route("/console/consent/policy", get(consent_policy::show).post(consent_policy::set))
        .route("/console/consent/standing", get(standing::form).post(standing::set))
        .route("/console/consent/standing/{id}/revoke", post(standing::revoke))
        .route("/console/consent/figures", get(consent_figures::page))
        .route("/console/consent/{id}", get(consent::one))
        .route("/console/consent/{id}/approve", post(consent::approve))
        .route("/console/consent/{id}/sign", post(consent::sign))
        .route("/console/consent/{id}/signed", post(consent::signed))
        .route("/console/consent/{id}/{what}", post(consent::act))
        .route("/console/data", get(objects::buckets))
        .route("/console/data/{bucket}", get(objects::list))
        .route("/console/data/{bucket}/read", post(objects::read))
        .route("/console/data/{bucket}/delete", post(objects::delete))
        .route("/console/data/{bucket}/block", post(objects::block))
        .route("/console/data/{bucket}/destroy", post(destructions::destroy))
        .route("/console/destructions", get(destructions::list))
        .route("/console/destructions/{record}", get(destructions::one))
        .route("/console/places", get(places::page).post(places::add))
        .route("/console/places/regions", post(places::allow))
        .route("/console/places/requests/{id}/decline", post(places::decline))
        .route("/console/places/{id}", get(places::one))
        .route("/console/places/{id}/documents", post(places::attach))
        .route("/console/places/{id}/documents/{sha256}/{what}", post(places::document))
        .route("/console/places/{id}/{what}", post(places::change))
        .route("/console/keys", get(keys::list).post(keys::make))
        .route("/console/keys/stores", get(key_stores::list).post(key_stores::add))
        .route("/console/keys/stores/key", post(key_stores::key))
        .route("/console/keys/stores/{id}/{what}", post(key_stores::change))
        .route("/console/keys/{id}", get(keys::one))
        .route(
            "/console/keys/{id}/policy",
            get(keys::policy).post(keys::change_policy).layer(DefaultBodyLimit::max(POLICY_FORM_BYTES_MAX)),
        )
        .route("/console/keys/{id}/{what}", post(keys::change))
        .route("/console/tickets", get(tickets::list).post(tickets::open).layer(messages()))
        .route("/console/tickets/{id}", get(tickets::one))
        .route("/console/tickets/{id}/{what}", post(tickets::act).layer(messages()))
        .route("/console/targets", get(targets::list).post(targets::put))
        .route("/console/targets/{name}/delete", post(targets::delete))
        .route("/console/sessions", get(sessions::list))
        .route("/console/sessions/masks", get(masks::show).post(masks::set))
        .route("/console/sessions/{id}", get(sessions::one))
        .route("/console/sessions/{id}/cut", post(sessions::cut))
        .route("/console/sessions/{id}/recording", post(sessions::recording))
        .route("/desk/sessions", get(desk_sessions::list))
        .route("/desk/sessions/{tenant}/{id}/end", post(desk_sessions::end))
        .route("/desk/tickets/{id}/session", post(desk_sessions::open))
        .route("/desk/tickets/{id}/ask-target", get(desk_sessions::form).post(desk_sessions::ask))
        .route("/console/tickets/{id}/documents/{sha256}/{what}", post(tickets::document))
        .route("/console/handling", get(handling::list))
        .route("/console/handling/{id}/acknowledge", post(handling::acknowledge))
        .route("/desk/handling", get(desk_handling::page).post(desk_handling::file))
        .route("/desk/handling/{tenant}/{id}/{what}", post(desk_handling::answer))
        .route("/console/handling/{id}/end", post(glass::end))
        .route("/console/handling/{id}/review", post(glass::review))
        .route("/desk/glass", post(glass::ask))
        .route("/desk/glass/{tenant}/{id}", get(glass::page))
        .route("/desk/glass/{tenant}/{id}/{what}", post(glass::step))
        .route("/desk/changes", post(desk_handling::announce))
        .route("/desk/changes/{tenant}/{id}/run", post(desk_handling::run))
        .route("/console/notifications", get(notifications::show).post(notifications::set))
        .route("/desk", get(desk::overview))
        .route("/desk/figures", get(consent_figures::of_all))
        .route("/desk/employee", get(desk_employee::page).post(desk_employee::resolve))
        .route("/desk/tickets", get(desk_tickets::list))
        .route("/desk/tickets/{id}", get(desk::ticket))
        .route("/desk/tickets/{id}/reply", post(desk_tickets::reply).layer(messages()))
        .route("/desk/tickets/{id}/documents/{sha256}/read", post(desk_tickets::read))
        .route("/desk/tickets/{id}/assign", post(desk_tickets::assign))
        .route("/desk/tickets/{id}/solve", post(desk_tickets::solve))
        .route("/desk/tickets/{id}/data/{bucket}", get(desk_objects::list))
        .route("/desk/tickets/{id}/show", post(desk_objects::show))
        .route("/desk/requests/{tenant}/{id}/keys", post(desk_keys::take))
        .route("/desk/tickets/{id}/read", post(desk::read))
        .route("/desk/tickets/{id}/ask", get(desk_ask::form).post(desk_ask::ask))
        .route("/desk/tickets/{id}/transfer", post(desk::ask_transfer))
        .route("/desk/requests/{tenant}/{id}", get(desk_ask::one))
        .route("/desk/requests/{tenant}/{id}/{what}", post(desk_ask::act))
        .merge(access::routes())
        .fallback(failure::not_found)
        .method_not_allowed_fallback(failure::method_not_allowed)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), frame::harden))
        .with_state(site)
}
