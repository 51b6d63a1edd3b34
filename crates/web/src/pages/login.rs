//! Signing in and out.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::identity::{DEVICE_MS, SessionToken, SignIn};
use bailee_rooms::{Failure, SignInProblem};
use bailee_types::SecretText;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maud::{Markup, html};

use super::frame::{icon, public};
use super::visit::{Lang, Visit, is_same_origin};
use super::{Site, failure, passkey};

pub(super) async fn page(visit: Visit) -> Response {
    form(&visit, StatusCode::OK, &html! {})
}

pub(super) async fn tenant(
    visit: Visit,
    headers: HeaderMap,
    form: Form<HashMap<String, String>>,
) -> Response {
    let field = |name: &str| form.0.get(name).cloned().unwrap_or_default();
    let who = SignIn::Tenant {
        tenant: field("tenant"),
        user: field("user"),
        password: SecretText::new(field("password")),
    };
    sign_in(visit, &headers, who, "/console").await
}

pub(super) async fn operator(
    visit: Visit,
    headers: HeaderMap,
    form: Form<HashMap<String, String>>,
) -> Response {
    let field = |name: &str| form.0.get(name).cloned().unwrap_or_default();
    let who = SignIn::Operator { id: field("operator"), password: SecretText::new(field("password")) };
    sign_in(visit, &headers, who, "/desk").await
}

async fn sign_in(visit: Visit, headers: &HeaderMap, who: SignIn, to: &'static str) -> Response {
    if !is_same_origin(&Method::POST, headers) {
        return failure::foreign_form(&visit);
    }
    let mut origin = visit.origin.clone();
    origin.channel = "ConsoleSignin";
    match visit.site.house.sign_in_on(who, &visit.devices, origin).await {
        Ok(token) => entered(&visit, &token, to).await,
        Err(e @ (Failure::SignIn(_) | Failure::Throttled(_))) => {
            let t = |en, zh| visit.lang.t(en, zh);
            let (status, text) = match &e {
                Failure::Throttled(seconds) => (
                    StatusCode::TOO_MANY_REQUESTS,
                    format!(
                        "{} {seconds} s",
                        t("Too many attempts on this name. Try again in", "该名称尝试过多，请稍候再试：")
                    ),
                ),
                Failure::SignIn(why) => (StatusCode::FORBIDDEN, problem(visit.lang, *why).to_owned()),
                other => (StatusCode::FORBIDDEN, other.to_string()),
            };
            failed(&visit, status, &text)
        }
        Err(e) => failure::page(&visit, &e),
    }
}

/// The sign-in page, with what went wrong.
pub(super) fn failed(visit: &Visit, status: StatusCode, text: &str) -> Response {
    let said = html! { div.notice.bad role="alert" { (icon("no")) div { p #failure { (text) } } } };
    form(visit, status, &said)
}

/// Goes on with a session that began; whoever had one here before leaves it.
pub(super) async fn entered(visit: &Visit, token: &SessionToken, to: &str) -> Response {
    if let Some(old) = &visit.token
        && let Err(e) = visit.site.house.sign_out(old).await
    {
        tracing::warn!("a session could not be ended: {e}");
    }
    let mut response = Redirect::to(to).into_response();
    carry_on(visit, &mut response, token, false).await;
    response
}

/// Hands a session's token to the browser. When its sign-in is complete, the browser is known from now on.
pub(super) async fn carry_on(
    visit: &Visit,
    response: &mut Response,
    token: &SessionToken,
    save_factor: bool,
) {
    set_cookie(&visit.site, response, token.expose(), None);
    let house = &visit.site.house;
    let known = match house.session(token.expose(), visit.origin.clone()).await {
        Ok(Some(session)) => house.remember_device(&session, &visit.devices, save_factor).await,
        Ok(None) => Ok(None),
        Err(e) => Err(e),
    };
    match known {
        Ok(None) => {}
        Ok(Some(device)) => {
            let value = visit.devices.with(&device);
            let secure = if visit.site.secure { "; Secure" } else { "" };
            let (name, age_s) = (visit.site.device_cookie(), DEVICE_MS / 1000);
            let cookie =
                format!("{name}={}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={age_s}", value.expose());
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
        }
        // He is signed in all the same; next time he waits like anybody.
        Err(e) => tracing::warn!("a device could not be remembered: {e}"),
    }
}

/// Why somebody is not signed in, in his language.
pub(super) fn problem(lang: Lang, why: SignInProblem) -> &'static str {
    let t = |en, zh| lang.t(en, zh);
    match why {
        SignInProblem::Wrong => t("The name or the password is wrong.", "名称或口令有误。"),
        SignInProblem::Ended => t("The session has ended. Sign in again.", "会话已结束，请重新登录。"),
        SignInProblem::Inactive => t(
            "This user may not sign in to the console. Ask your administrator.",
            "该用户不可登录控制台，请联系您的管理员。",
        ),
        SignInProblem::Network => {
            t("This account does not allow to sign in from your network.", "该账号不允许从您所在的网络登录。")
        }
        SignInProblem::NoSingleSignOn => {
            t("Single sign-on is not set up for this account.", "该账号未设置单点登录。")
        }
        SignInProblem::SignOnBroken => t(
            "The sign-on was broken off or began in another browser. Begin again.",
            "单点登录已中断或在其他浏览器中开始，请重新开始。",
        ),
        SignInProblem::Unknown => t(
            "The issuer vouches for you, but no user here has your name.",
            "身份提供方已为您担保，但此处没有同名用户。",
        ),
        SignInProblem::Passkey => {
            t("This passkey signs nobody in here. Use your password.", "此通行密钥无法在此登录，请使用口令。")
        }
        SignInProblem::IssuerRefused => t(
            "Your identity provider refused the sign-on. Begin again, or ask your administrator.",
            "您的身份提供方拒绝了此次登录。请重新开始，或联系您的管理员。",
        ),
        SignInProblem::IssuerSilent => t(
            "Your identity provider does not answer. Try again in a while.",
            "您的身份提供方没有应答，请稍后再试。",
        ),
        SignInProblem::Expired => t(
            "The password has expired. Ask your administrator for a new one.",
            "口令已过期，请向您的管理员索取新口令。",
        ),
    }
}

pub(super) async fn logout(
    State(site): State<Arc<Site>>,
    visit: Visit,
    headers: HeaderMap,
    form: Form<HashMap<String, String>>,
) -> Response {
    let wanted = visit.session.as_ref().map(|s| s.csrf.clone()).unwrap_or_default();
    let given = form.0.get("csrf").cloned().unwrap_or_default();
    let fits = bool::from(subtle::ConstantTimeEq::ct_eq(given.as_bytes(), wanted.as_bytes()));
    if visit.session.is_some() && !(is_same_origin(&Method::POST, &headers) && fits) {
        return failure::foreign_form(&visit);
    }
    if let Some(token) = &visit.token
        && let Err(e) = site.house.sign_out(token).await
    {
        return failure::page(&visit, &e);
    }
    let mut response = Redirect::to("/").into_response();
    set_cookie(&site, &mut response, "", Some(0));
    response
}

pub(super) fn set_cookie(site: &Site, response: &mut Response, value: &str, age: Option<u32>) {
    let secure = if site.secure { "; Secure" } else { "" };
    let age = age.map_or_else(String::new, |s| format!("; Max-Age={s}"));
    let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", site.cookie());
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn form(visit: &Visit, status: StatusCode, said: &Markup) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let field = |id: &'static str,
                 name: &'static str,
                 label: &'static str,
                 kind: &'static str,
                 auto: &'static str| {
        html! {
            div.field {
                label for=(id) { (label) }
                input.in id=(id) name=(name) type=(kind) autocomplete=(auto) required maxlength="128" autocapitalize="off" spellcheck="false";
            }
        }
    };
    let main = html! {
        div.title { div { h1 { (t("Sign in", "登录")) } p { (t("Each sign-in is recorded in the trail.", "每次登录都记录在审计日志中。")) } } }
        (said)
        form #login-sso.card method="get" action="/login/sso" { div.pad.acts {
            label for="sso-tenant" { (t("Your company signs you on? Tenant", "由企业单点登录？租户")) }
            input.in #sso-tenant name="tenant" maxlength="128" autocapitalize="off" spellcheck="false" placeholder=(t("empty for operators", "运维人员留空"));
            button.btn { (t("Single sign-on", "单点登录")) }
        } }
        @if visit.site.house.offers_passkeys() { div.card { div.pad { (passkey::enter_form(visit)) } } }
        div.cols {
            form #login-tenant.card method="post" action="/login/tenant" { div.pad.stack {
                h2 { (t("Customer", "客户")) }
                (field("tenant", "tenant", t("Tenant", "租户"), "text", "organization"))
                (field("user", "user", t("User (or root)", "用户（或 root）"), "text", "username"))
                (field("tenant-password", "password", t("Password", "口令"), "password", "current-password"))
                button.btn.main-act { (t("Sign in as customer", "以客户身份登录")) }
            } }
            form #login-operator.card method="post" action="/login/operator" { div.pad.stack {
                h2 { (t("Operator of the provider", "平台运维人员")) }
                (field("operator", "operator", t("Operator id", "运维人员编号"), "text", "username"))
                (field("operator-password", "password", t("Password", "口令"), "password", "current-password"))
                button.btn { (t("Sign in as operator", "以运维人员身份登录")) }
                p.hint { (t("Operators have no standing access to any tenant.", "运维人员对任何租户都没有常设访问权。")) }
            } }
        }
    };
    passkey::with_script(public(visit, status, t("Sign in", "登录"), &main))
}
