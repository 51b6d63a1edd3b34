//! Passkeys: the two forms, and what the script on them asks for.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Form;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    AskPasskey, BeginPasskey, BoundPasskey, FinishPasskey, Passkey, PasskeyOptions, RemovePasskey,
    ShowPasskey, Stage,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maud::{Markup, html};
use ring::digest;

use super::frame::{csrf, time};
use super::login::{carry_on, entered, problem};
use super::signin::{codes_page, failed, go_on, moved, stage, wants_saved};
use super::visit::{Newcomer, Person, Posted, Visit, cookies, is_same_origin};
use super::{failure, login};

const SCRIPT: &str = include_str!("../../assets/passkey.js");

/// The script's name holds its digest, so that it can be cached for ever.
pub(super) static SCRIPT_NAME: LazyLock<String> = LazyLock::new(|| {
    let hash = digest::digest(&digest::SHA256, SCRIPT.as_bytes());
    format!("passkey-{}.js", hex::encode(hash.as_ref().get(..8).unwrap_or_default()))
});

/// What a page with the script may do beyond the others: run that script and ask us.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn script() -> Response {
    let mut response = SCRIPT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

/// Lets a page run the script.
pub(super) fn with_script(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    response
}

impl super::Site {
    fn passkey_cookie(&self) -> &'static str {
        if self.secure { "__Host-bailee-passkey" } else { "bailee-passkey" }
    }
}

fn form(visit: &Visit, kind: &str, begin: &str, action: &str, inner: &Markup, button: &str) -> Markup {
    html! {
        form id={ (kind) "-passkey" } method="post" action=(action) data-passkey=(kind) data-begin=(begin) {
            div.stack {
                (csrf(visit))
                input type="hidden" name="response";
                (inner)
                button.btn { (button) }
                p.hint data-said hidden role="alert" {}
                noscript { p.hint { (visit.lang.t("Passkeys need a script on this page; your browser does not run it.", "通行密钥需要本页面的脚本，您的浏览器未运行它。")) } }
            }
        }
        script src={ "/assets/" (SCRIPT_NAME.as_str()) } defer {}
    }
}

/// The form that binds a passkey.
pub(super) fn bind_form(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let label = html! { div.field { label for="label" { (t("What you call it", "名称")) }
    input.in #label name="label" maxlength="64" placeholder=(t("laptop", "笔记本电脑")); } };
    form(
        visit,
        "bind",
        "/signin/passkey/bind/begin",
        "/signin/passkey/bind",
        &label,
        t("Bind a passkey", "绑定通行密钥"),
    )
}

/// The form that shows a passkey.
pub(super) fn show_form(visit: &Visit, save: &Markup) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    form(visit, "show", "/signin/passkey/begin", "/signin/passkey", save, t("Use a passkey", "使用通行密钥"))
}

/// The form that signs in with a passkey alone.
pub(super) fn enter_form(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let hint = html! { p.hint { (t("For users of a customer who bound one here.", "适用于已在此绑定通行密钥的客户用户。")) } };
    form(
        visit,
        "enter",
        "/login/passkey/begin",
        "/login/passkey",
        &hint,
        t("Sign in with a passkey", "使用通行密钥登录"),
    )
}

/// The form that signs the text of the element `#statement`: the script takes its hash for the challenge.
pub(super) fn sign_form(
    visit: &Visit,
    action: &str,
    options: &PasskeyOptions,
    (note, button): (&str, &str),
) -> Markup {
    html! {
        form #sign-passkey method="post" action=(action) data-passkey="sign" data-options=(options.0) data-statement="#statement" {
            (csrf(visit))
            input type="hidden" name="response";
            input type="hidden" name="statement";
            input type="hidden" name="note" value=(note);
            button.btn.main-act.wide { (button) }
            p.hint data-said hidden role="alert" {}
            noscript { p.hint { (visit.lang.t("Passkeys need a script on this page; your browser does not run it.", "通行密钥需要本页面的脚本，您的浏览器未运行它。")) } }
        }
        script src={ "/assets/" (SCRIPT_NAME.as_str()) } defer {}
    }
}

fn set_kept(visit: &Visit, response: &mut Response, value: &str, age_s: i64) {
    let secure = if visit.site.secure { "; Secure" } else { "" };
    let name = visit.site.passkey_cookie();
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}; Max-Age={age_s}");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Asks for any passkey of ours; what was asked stays in the browser, sealed.
pub(super) async fn begin_enter(visit: Visit, headers: HeaderMap) -> Response {
    if !is_same_origin(&Method::POST, &headers) {
        return failure::foreign_form(&visit);
    }
    match visit.site.house.begin_passkey_sign_in() {
        Ok(begun) => {
            let mut response = answer(&visit, Ok(PasskeyOptions(begun.options)));
            set_kept(&visit, &mut response, begun.kept.expose(), 300);
            response
        }
        Err(e) => answer(&visit, Err(e)),
    }
}

pub(super) async fn enter(visit: Visit, headers: HeaderMap, form: Form<HashMap<String, String>>) -> Response {
    if !is_same_origin(&Method::POST, &headers) {
        return failure::foreign_form(&visit);
    }
    let kept = cookies(&headers).remove(visit.site.passkey_cookie()).unwrap_or_default();
    let given = form.0.get("response").cloned().unwrap_or_default();
    let mut origin = visit.origin.clone();
    origin.channel = "ConsoleSignin";
    let mut response = match visit.site.house.finish_passkey_sign_in(&kept, given, origin).await {
        Ok(token) => entered(&visit, &token, "/console").await,
        Err(Failure::SignIn(why)) => login::failed(&visit, StatusCode::FORBIDDEN, problem(visit.lang, why)),
        Err(e) => failure::page(&visit, &e),
    };
    set_kept(&visit, &mut response, "", 0);
    response
}

/// The list of one's passkeys.
pub(super) fn list(visit: &Visit, all: &[Passkey], fresh: bool) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        @if all.is_empty() { p #passkeys-none { (t("No passkey is bound.", "尚未绑定通行密钥。")) } }
        @else { table.tbl #passkeys { thead { tr { th { (t("Passkey", "通行密钥")) } th { (t("Bound", "绑定于")) } th { (t("Last used", "最近使用")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
            @for p in all { tr {
                th scope="row" { (p.label) span.sub { code.fingerprint { (p.fingerprint()) } } }
                td data-l=(t("Bound", "绑定于")) { (time(p.created_at)) }
                td data-l=(t("Last used", "最近使用")) { @if let Some(at) = p.last_used_at { (time(at)) } @else { "–" } }
                td.act { @if fresh { form method="post" action={ "/security/passkeys/" (p.id) "/remove" } { (csrf(visit)) button.btn.slim { (t("Remove", "移除")) } } } }
            } }
        } } }
    }
}

fn answer(visit: &Visit, result: Result<PasskeyOptions, Failure>) -> Response {
    let (status, body) = match result {
        Ok(options) => (StatusCode::OK, options.0),
        Err(e) => {
            if matches!(e, Failure::Damaged(_) | Failure::Bug(_)) {
                return failure::page(visit, &e);
            }
            (StatusCode::BAD_REQUEST, serde_json::json!({ "error": e.to_string() }).to_string())
        }
    };
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

pub(super) async fn begin_bind(p: Posted<Newcomer>) -> Response {
    let s = &p.signed;
    let act =
        BeginPasskey { tenant: s.who.0.tenant.clone(), token: s.visit.token.clone().unwrap_or_default() };
    answer(&s.visit, s.visit.site.house.perform(s.caller.clone(), act).await)
}

pub(super) async fn bind(p: Posted<Newcomer>) -> Response {
    let s = &p.signed;
    let act = FinishPasskey {
        tenant: s.who.0.tenant.clone(),
        token: s.visit.token.clone().unwrap_or_default(),
        label: p.field("label").to_owned(),
        response: p.field("response").to_owned(),
    };
    let to = if stage(&s.visit) == Stage::Full { "/security" } else { "/signin" };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(BoundPasskey { token, codes: Some(codes), .. }) => {
            let mut response = codes_page(&moved(&s.visit, &token).await, &codes, to);
            carry_on(&s.visit, &mut response, &token, false).await;
            response
        }
        Ok(BoundPasskey { token, .. }) => go_on(s, &token, to, false).await,
        Err(e) => failed(s, &e).await,
    }
}

pub(super) async fn begin_show(p: Posted<Newcomer>) -> Response {
    let s = &p.signed;
    let act = AskPasskey { tenant: s.who.0.tenant.clone(), token: s.visit.token.clone().unwrap_or_default() };
    answer(&s.visit, s.visit.site.house.perform(s.caller.clone(), act).await)
}

pub(super) async fn show(p: Posted<Newcomer>) -> Response {
    let s = &p.signed;
    let act = ShowPasskey {
        tenant: s.who.0.tenant.clone(),
        token: s.visit.token.clone().unwrap_or_default(),
        response: p.field("response").to_owned(),
    };
    let to = if stage(&s.visit) == Stage::Full { "/security" } else { "/signin" };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(token) => go_on(s, &token, to, wants_saved(&p)).await,
        Err(e) => failed(s, &e).await,
    }
}

pub(super) async fn remove(Path(id): Path<String>, p: Posted<Person>) -> Response {
    let s = &p.signed;
    let act = RemovePasskey { tenant: s.who.tenant.clone(), id };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(_) => Redirect::to("/security").into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
