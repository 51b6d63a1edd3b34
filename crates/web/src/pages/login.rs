//! Signing in and out.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::identity::SignIn;
use bailee_rooms::{Failure, SignInProblem};
use bailee_types::SecretText;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maud::{Markup, html};

use super::frame::{icon, public};
use super::visit::{Lang, Visit, is_same_origin};
use super::{Site, failure};

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
    match visit.site.house.sign_in(who, origin).await {
        Ok(token) => {
            // Whoever had a session here before leaves it.
            if let Some(old) = &visit.token
                && let Err(e) = visit.site.house.sign_out(old).await
            {
                tracing::warn!("a session could not be ended: {e}");
            }
            let mut response = Redirect::to(to).into_response();
            set_cookie(&visit.site, &mut response, token.expose(), None);
            response
        }
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
            let said = html! { div.notice.bad role="alert" { (icon("no")) div { p #failure { (text) } } } };
            form(&visit, status, &said)
        }
        Err(e) => failure::page(&visit, &e),
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
    public(visit, status, t("Sign in", "登录"), &main)
}
