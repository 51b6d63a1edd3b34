//! Single sign-on: to the issuer and back.

use axum::extract::RawQuery;
use axum::response::Response;
use bailee_rooms::{Failure, SignInProblem};
use bailee_types::SecretText;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use maud::html;

use super::failure;
use super::frame::public;
use super::login::{entered, problem};
use super::visit::{Visit, cookies};

impl super::Site {
    fn sso_cookie(&self) -> &'static str {
        if self.secure { "__Host-bailee-sign-on" } else { "bailee-sign-on" }
    }

    /// The address of our own pages that this browser sees.
    fn own_address(&self, headers: &HeaderMap) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
        format!("{scheme}://{host}")
    }
}

fn set_kept(visit: &Visit, response: &mut Response, value: &str, age_s: u32) {
    let secure = if visit.site.secure { "; Secure" } else { "" };
    let cookie = format!(
        "{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={age_s}",
        visit.site.sso_cookie()
    );
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded(query).find(|(n, _)| n == name).map(|(_, v)| v)
}

fn form_urlencoded(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |t: &str| {
            percent_encoding::percent_decode_str(&t.replace('+', " "))
                .decode_utf8()
                .ok()
                .map(|t| t.into_owned())
        };
        Some((decode(name)?, decode(value)?))
    })
}

/// Shows where the browser goes next; a link and no redirect, because a form may lead to our own pages only.
pub(super) async fn begin(visit: Visit, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let tenant = parameter(query.as_deref().unwrap_or_default(), "tenant").filter(|t| !t.is_empty());
    let redirect = format!("{}/login/sso/callback", visit.site.own_address(&headers));
    match visit.site.house.begin_sign_on(tenant.as_deref(), &redirect).await {
        Ok(begun) => {
            let main = html! {
                div.title { div { h1 { (t("Single sign-on", "单点登录")) } p { (t("You go on at ", "您将前往 ")) strong { (begun.issuer) } (t(" and come back here.", "，完成后返回此处。")) } } }
                p { a #sso-go.btn.main-act href=(begun.url) rel="noreferrer" { (t("Go on", "继续")) } }
            };
            let mut response = public(&visit, StatusCode::OK, t("Single sign-on", "单点登录"), &main);
            set_kept(&visit, &mut response, begun.kept.expose(), 600);
            response
        }
        Err(e) => refused(&visit, &e),
    }
}

pub(super) async fn callback(visit: Visit, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let kept = cookies(&headers).remove(visit.site.sso_cookie()).unwrap_or_default();
    let (state, code) =
        (parameter(&query, "state").unwrap_or_default(), parameter(&query, "code").unwrap_or_default());
    let iss = parameter(&query, "iss");
    if code.is_empty() {
        return refused(&visit, &Failure::SignIn(SignInProblem::SignOnBroken));
    }
    let mut origin = visit.origin.clone();
    origin.channel = "ConsoleSignin";
    let answer = (state.as_str(), &SecretText::new(code), iss.as_deref());
    match visit.site.house.finish_sign_on(&kept, answer, &visit.devices, origin).await {
        Ok((token, operator)) => {
            let mut response = entered(&visit, &token, if operator { "/desk" } else { "/console" }).await;
            set_kept(&visit, &mut response, "", 0);
            response
        }
        Err(e) => refused(&visit, &e),
    }
}

fn refused(visit: &Visit, e: &Failure) -> Response {
    match e {
        Failure::SignIn(why) => {
            let silent = *why == SignInProblem::IssuerSilent;
            let status = if silent { StatusCode::BAD_GATEWAY } else { StatusCode::FORBIDDEN };
            failure::notice_text(visit, status, problem(visit.lang, *why))
        }
        Failure::Invalid { .. } => {
            tracing::warn!("a sign-on was refused: {e}");
            failure::notice_text(
                visit,
                StatusCode::FORBIDDEN,
                problem(visit.lang, SignInProblem::SignOnBroken),
            )
        }
        _ => failure::page(visit, e),
    }
}
