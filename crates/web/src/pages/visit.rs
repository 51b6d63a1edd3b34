//! One request of a browser: language, look, session, and whether a form is ours.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Form;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::gate::{Caller, Origin, Principal};
use bailee_rooms::identity::{KnownDevices, SessionInfo, Stage};
use bailee_types::{HandlingId, OperatorId, RequestId, TenantId};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use subtle::ConstantTimeEq;

use super::Site;
use super::failure;

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lang {
    En,
    Zh,
}

impl Lang {
    /// A text in this language: both must be given.
    pub(super) fn t(self, en: &'static str, zh: &'static str) -> &'static str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }

    pub(super) fn code(self) -> &'static str {
        self.t("en", "zh")
    }

    fn read(text: &str) -> Option<Self> {
        match text.get(..2)? {
            "en" => Some(Self::En),
            "zh" => Some(Self::Zh),
            _ => None,
        }
    }
}

/// Light, dark, or what the system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Auto,
    Light,
    Dark,
}

/// Everything a page needs to know of its visitor.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) site: Arc<Site>,
    pub(super) lang: Lang,
    pub(super) theme: Theme,
    pub(super) session: Option<SessionInfo>,
    pub(super) token: Option<String>,
    /// The people whom this browser belongs to, as it says.
    pub(super) devices: KnownDevices,
    pub(super) origin: Origin,
    /// Path and query without language and look, for links that switch them.
    pub(super) here: String,
    pub(super) set: Vec<String>,
    /// Glasses, and takedowns, that the visitor's account has not acknowledged.
    pub(super) glasses: Vec<HandlingId>,
    pub(super) to_acknowledge: Vec<HandlingId>,
}

/// A tenant's caller with his session.
pub(super) struct Signed<T> {
    pub(super) visit: Visit,
    pub(super) caller: Caller,
    pub(super) who: T,
}

/// A tenant's user or root.
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) alias: String,
}

/// An operator.
pub(super) struct Operator {
    pub(super) id: OperatorId,
    pub(super) place: String,
}

/// Anybody who signed in, on either side; under which tenant his sign-in stands.
pub(super) struct Person {
    pub(super) tenant: TenantId,
    pub(super) is_operator: bool,
}

/// As [`Person`], also before the sign-in is finished.
pub(super) struct Newcomer(pub(super) Person);

/// A form that was sent from our own page within the visitor's session.
pub(super) struct Posted<T> {
    pub(super) signed: Signed<T>,
    pub(super) form: HashMap<String, String>,
}

impl Site {
    pub(super) fn cookie(&self) -> &'static str {
        if self.secure { "__Host-bailee" } else { "bailee-session" }
    }

    pub(super) fn device_cookie(&self) -> &'static str {
        if self.secure { "__Host-bailee-device" } else { "bailee-device" }
    }
}

impl Visit {
    pub(super) async fn of(parts: &Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let cookies = cookies(&parts.headers);
        let query = parts.uri.query().unwrap_or_default();
        let asked = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
        let mut set = Vec::new();
        let accept =
            || parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).and_then(Lang::read);
        let lang = asked("lang").and_then(Lang::read);
        if let Some(lang) = lang {
            set.push(format!("bailee-lang={}; Path=/; Max-Age=31536000; SameSite=Lax", lang.code()));
        }
        let lang = lang
            .or_else(|| cookies.get("bailee-lang").and_then(|c| Lang::read(c)))
            .or_else(accept)
            .unwrap_or(Lang::En);
        let theme = asked("theme");
        let read_theme = |t: &str| match t {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::Auto,
        };
        if let Some(theme) = theme {
            let word = match read_theme(theme) {
                Theme::Light => "light",
                Theme::Dark => "dark",
                Theme::Auto => "auto",
            };
            set.push(format!("bailee-theme={word}; Path=/; Max-Age=31536000; SameSite=Lax"));
        }
        let theme =
            theme.or_else(|| cookies.get("bailee-theme").map(String::as_str)).map_or(Theme::Auto, read_theme);
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip().to_string());
        let origin = Origin {
            source_ip: peer.unwrap_or_default(),
            user_agent: crate::origin::user_agent(&parts.headers),
            request_id: RequestId::random().to_string(),
            channel: "ConsoleOperation",
            secure: site.secure,
        };
        let kept: Vec<_> = query
            .split('&')
            .filter(|p| !p.is_empty() && !p.starts_with("lang=") && !p.starts_with("theme="))
            .collect();
        let here = format!("{}?{}", parts.uri.path(), kept.join("&"));
        let token = cookies.get(site.cookie()).cloned();
        let mut visit = Self {
            site: Arc::clone(site),
            lang,
            theme,
            session: None,
            token: token.clone(),
            devices: cookies.get(site.device_cookie()).map(|c| KnownDevices::read(c)).unwrap_or_default(),
            origin,
            here,
            set,
            glasses: Vec::new(),
            to_acknowledge: Vec::new(),
        };
        if let Some(token) = token {
            match site.house.session(&token, visit.origin.clone()).await {
                Ok(session) => visit.session = session,
                Err(e) => return Err(failure::page(&visit, &e)),
            }
        }
        let signed_in = visit.session.as_ref().filter(|s| s.stage() == Stage::Full);
        if let Some(tenant) = signed_in.and_then(|s| s.caller.tenant()) {
            match site.house.to_acknowledge(tenant).await {
                Ok(found) => (visit.glasses, visit.to_acknowledge) = found,
                Err(e) => return Err(failure::page(&visit, &e)),
            }
        }
        Ok(visit)
    }

    /// Whether a form carries the session's token.
    pub(super) fn has_token(&self, form: &HashMap<String, String>) -> bool {
        let wanted = self.session.as_ref().map(|s| s.csrf.as_str()).unwrap_or_default();
        let given = form.get("csrf").map(String::as_str).unwrap_or_default();
        !wanted.is_empty() && bool::from(given.as_bytes().ct_eq(wanted.as_bytes()))
    }

    /// Adds one query argument to the present address.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let sep = if self.here.ends_with('?') { "" } else { "&" };
        format!("{}{sep}{name}={value}", self.here)
    }
}

impl FromRequestParts<Arc<Site>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        Self::of(parts, site).await
    }
}

/// What a principal must be for a page.
pub(super) trait Role: Sized {
    /// Whether the page is for those whose sign-in is not finished, too.
    const ANY_STAGE: bool = false;

    fn of(principal: &Principal) -> Option<Self>;
}

impl Role for Tenant {
    fn of(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::Root { tenant, alias } | Principal::User { tenant, alias, .. } => {
                Some(Self { id: tenant.clone(), alias: alias.to_string() })
            }
            Principal::Session(s) => Some(Self { id: s.tenant.clone(), alias: s.alias.to_string() }),
            _ => None,
        }
    }
}

impl Role for Person {
    fn of(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::Root { tenant, .. } | Principal::User { tenant, .. } => {
                Some(Self { tenant: tenant.clone(), is_operator: false })
            }
            Principal::Operator { .. } => Some(Self { tenant: TenantId::provider(), is_operator: true }),
            _ => None,
        }
    }
}

impl Role for Newcomer {
    const ANY_STAGE: bool = true;

    fn of(principal: &Principal) -> Option<Self> {
        Person::of(principal).map(Self)
    }
}

impl Role for Operator {
    fn of(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::Operator { id, place, .. } => Some(Self { id: id.clone(), place: place.clone() }),
            _ => None,
        }
    }
}

impl<T: Role> Signed<T> {
    pub(super) fn of(visit: Visit) -> Result<Self, Response> {
        let Some(session) = &visit.session else { return Err(Redirect::to("/login").into_response()) };
        if session.stage() != Stage::Full && !T::ANY_STAGE {
            return Err(Redirect::to("/signin").into_response());
        }
        let caller = session.caller.clone();
        match T::of(caller.principal()) {
            Some(who) => Ok(Self { visit, caller, who }),
            // Who is signed in as the other kind sees what a stranger sees: nothing is there.
            None => Err(failure::missing(&visit)),
        }
    }
}

impl<T: Role + Send> FromRequestParts<Arc<Site>> for Signed<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        Self::of(Visit::of(parts, site).await?)
    }
}

impl<T: Role + Send> FromRequest<Arc<Site>> for Posted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let visit = Visit::of(&parts, site).await?;
        let from_us = is_same_origin(&parts.method, &parts.headers);
        let form =
            Form::<HashMap<String, String>>::from_request(Request::from_parts(parts, body), site).await;
        let signed = Signed::of(visit)?;
        let Ok(Form(form)) = form else { return Err(failure::bad_form(&signed.visit)) };
        if !from_us || !signed.visit.has_token(&form) {
            return Err(failure::foreign_form(&signed.visit));
        }
        Ok(Self { signed, form })
    }
}

impl<T> Posted<T> {
    /// A field of the form; empty when it is missing.
    pub(super) fn field(&self, name: &str) -> &str {
        self.form.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Whether a form comes from our own pages. A browser says so itself; what says nothing is no browser, and then only
/// the form's token counts.
pub(super) fn is_same_origin(method: &Method, headers: &HeaderMap) -> bool {
    if method != Method::POST {
        return true;
    }
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    match (text("origin"), text("host")) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, o)| o == host),
        (Some(_), None) => false,
    }
}

pub(super) fn cookies(headers: &HeaderMap) -> HashMap<String, String> {
    let mut out = HashMap::new();
    for value in headers.get_all(header::COOKIE) {
        for pair in value.to_str().unwrap_or_default().split(';') {
            if let Some((name, value)) = pair.trim().split_once('=') {
                out.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        is_same_origin(&Method::POST, &headers)
    }

    #[test]
    fn a_form_from_elsewhere_is_refused() {
        assert!(from(&[("sec-fetch-site", "same-origin"), ("origin", "http://a"), ("host", "a")]));
        assert!(!from(&[("sec-fetch-site", "cross-site")]));
        assert!(!from(&[("sec-fetch-site", "same-site")]));
        assert!(!from(&[("origin", "null"), ("host", "a")]));
        assert!(!from(&[("origin", "http://evil.example"), ("host", "a")]));
        assert!(from(&[("origin", "http://127.0.0.1:8420"), ("host", "127.0.0.1:8420")]));
    }

    #[test]
    fn the_first_of_two_cookies_with_one_name_counts() {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", "a=1; b=2; a=3".parse().unwrap());
        assert_eq!(cookies(&headers).get("a").map(String::as_str), Some("1"));
    }
}
