//! What comes after the password: the second factor, binding one, a new password.

use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    BeginTotp, ChoosePassword, Factor, FinishTotp, OwnFactors, PendingTotp, SessionToken, ShowFactor, Stage,
};
use bailee_types::SecretText;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use maud::{Markup, html};

use super::frame::{Here, csrf, icon, inside, public};
use super::login::carry_on;
use super::visit::{Newcomer, Posted, Signed, Visit};
use super::{failure, passkey};

/// The step that is due.
pub(super) async fn page(s: Signed<Newcomer>) -> Response {
    step(&s, StatusCode::OK, None).await
}

fn home(s: &Signed<Newcomer>) -> &'static str {
    if s.who.0.is_operator { "/desk" } else { "/console" }
}

pub(super) fn stage(visit: &Visit) -> Stage {
    visit.session.as_ref().map_or(Stage::Full, |s| s.stage())
}

async fn step(s: &Signed<Newcomer>, status: StatusCode, failed: Option<&str>) -> Response {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let said = html! {
        @if let Some(text) = failed { div.notice.bad role="alert" { (icon("no")) div { p #failure { (text) } } } }
    };
    let (title, body) = match stage(visit) {
        Stage::Full => return Redirect::to(home(s)).into_response(),
        Stage::Mfa => {
            let factors = match visit.site.house.own_factors(&s.caller).await {
                Ok(factors) => factors,
                Err(e) => return failure::page(visit, &e),
            };
            (t("Second factor", "第二因素"), factor_forms(visit, "/signin/factor", &factors).await)
        }
        Stage::Enrol => (
            t("Bind a second factor", "绑定第二因素"),
            html! { form #begin-totp.card method="post" action="/signin/totp/begin" { div.pad.stack { (csrf(visit))
                p { (t("Your account asks for a second factor. Have an authenticator app at hand.", "您的账号要求第二因素。请准备好身份验证器应用。")) }
                button.btn.main-act { (t("Begin", "开始")) }
            } }
            @if visit.site.house.offers_passkeys() { div.card { div.pad { (passkey::bind_form(visit)) } } } },
        ),
        Stage::Password => (t("Choose a new password", "设置新口令"), password_form(visit)),
    };
    let main = html! { div.title { div { h1 { (title) } } } (said) (body) };
    passkey::with_script(public(visit, status, title, &main))
}

/// The forms that show a second factor.
pub(super) async fn factor_forms(visit: &Visit, to: &'static str, own: &OwnFactors) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let may_save = match &visit.session {
        Some(session) => visit.site.house.may_save_factor(session).await.unwrap_or(false),
        None => false,
    };
    let save = |id: &'static str| {
        html! { @if may_save { label for=(id) { input id=(id) type="checkbox" name="save" value="yes"; " " (t("Do not ask on this device for 7 days", "此设备 7 天内不再询问")) } } }
    };
    html! {
        div.cols {
            @if !own.passkeys.is_empty() { div.card { div.pad.stack {
                h2 { (t("Passkey", "通行密钥")) }
                (passkey::show_form(visit, &save("save-passkey")))
            } } }
            @if own.totp_since.is_some() { form #show-totp.card method="post" action=(to) { div.pad.stack { (csrf(visit))
                h2 { (t("Code of your app", "应用中的验证码")) }
                div.field { label for="code" { (t("Six digits", "六位数字")) }
                    input.in #code name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{6}" maxlength="6" required autofocus; }
                (save("save-totp"))
                button.btn.main-act { (t("Go on", "继续")) }
            } } }
            form #show-recovery.card method="post" action=(to) { div.pad.stack { (csrf(visit))
                h2 { (t("Recovery code", "恢复码")) }
                div.field { label for="recovery" { (t("One of the ten; it works once", "十个之一，仅可使用一次")) }
                    input.in #recovery name="recovery" autocomplete="off" maxlength="40" required; }
                button.btn { (t("Use it", "使用")) }
            } }
        }
    }
}

pub(super) fn password_form(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        form #choose-password.card method="post" action="/signin/password" { div.pad.stack { (csrf(visit))
            div.field { label for="old" { (t("Present password", "当前口令")) }
                input.in #old name="old" type="password" autocomplete="current-password" maxlength="128" required; }
            div.field { label for="new" { (t("New password", "新口令")) }
                input.in #new name="new" type="password" autocomplete="new-password" maxlength="128" required; }
            div.field { label for="again" { (t("New password once more", "再次输入新口令")) }
                input.in #again name="again" type="password" autocomplete="new-password" maxlength="128" required; }
            button.btn.main-act { (t("Change it", "更改")) }
        } }
    }
}

/// Goes on under another token.
pub(super) async fn go_on(
    s: &Signed<Newcomer>,
    token: &SessionToken,
    to: &str,
    save_factor: bool,
) -> Response {
    let mut response = Redirect::to(to).into_response();
    carry_on(&s.visit, &mut response, token, save_factor).await;
    response
}

/// The visit as it goes on under another token: the page's forms must carry that of the new session.
pub(super) async fn moved(visit: &Visit, token: &SessionToken) -> Visit {
    let mut new = visit.clone();
    match visit.site.house.session(token.expose(), visit.origin.clone()).await {
        Ok(session) => {
            new.session = session;
            new.token = Some(token.expose().to_owned());
        }
        Err(e) => tracing::warn!("a session could not be read: {e}"),
    }
    new
}

pub(super) async fn failed(s: &Signed<Newcomer>, e: &Failure) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let (status, text) = match e {
        Failure::WrongCode => (
            StatusCode::FORBIDDEN,
            t("The code is wrong or was used. Wait for the next one.", "验证码有误或已使用，请等待下一个。")
                .to_owned(),
        ),
        Failure::Throttled(seconds) => (
            StatusCode::TOO_MANY_REQUESTS,
            format!("{} {seconds} s", t("Too many attempts. Try again in", "尝试过多，请稍候再试：")),
        ),
        Failure::Invalid { field: "OldPassword", .. } => {
            (StatusCode::FORBIDDEN, t("The present password is wrong.", "当前口令有误。").to_owned())
        }
        Failure::Invalid { .. } => (StatusCode::BAD_REQUEST, e.to_string()),
        _ => return failure::page(&s.visit, e),
    };
    if stage(&s.visit) == Stage::Full {
        return failure::notice_text(&s.visit, status, &text);
    }
    step(s, status, Some(&text)).await
}

/// Shows a second factor, at sign-in or to make it fresh.
pub(super) async fn factor(p: Posted<Newcomer>) -> Response {
    let code = p.field("code");
    let factor = if code.is_empty() {
        Factor::Recovery(SecretText::new(p.field("recovery").to_owned()))
    } else {
        Factor::Totp(SecretText::new(code.to_owned()))
    };
    let s = &p.signed;
    let was_full = stage(&s.visit) == Stage::Full;
    let token = s.visit.token.clone().unwrap_or_default();
    let act = ShowFactor { tenant: s.who.0.tenant.clone(), token, factor };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(token) => go_on(s, &token, if was_full { "/security" } else { "/signin" }, wants_saved(&p)).await,
        Err(e) => failed(s, &e).await,
    }
}

/// Whether he wants to be spared the second factor on this device.
pub(super) fn wants_saved(p: &Posted<Newcomer>) -> bool {
    p.field("save") == "yes"
}

/// Makes a seed that waits in the session, and shows it.
pub(super) async fn begin_totp(p: Posted<Newcomer>) -> Response {
    let s = &p.signed;
    let act = BeginTotp { tenant: s.who.0.tenant.clone(), token: s.visit.token.clone().unwrap_or_default() };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(pending) => bind_page(&s.visit, &pending),
        Err(e) => failed(s, &e).await,
    }
}

fn bind_page(visit: &Visit, pending: &PendingTotp) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let png = format!("data:image/png;base64,{}", STANDARD.encode(&pending.qr_png));
    let code = |id: &'static str, label: &'static str| {
        html! { div.field { label for=(id) { (label) }
        input.in id=(id) name=(id) inputmode="numeric" autocomplete="off" pattern="[0-9]{6}" maxlength="6" required; } }
    };
    let main = html! {
        div.title { div { h1 { (t("Bind a second factor", "绑定第二因素")) } p { (t("Scan it with an authenticator app, or type the key in. Then enter two codes that follow each other.", "用身份验证器应用扫描，或手动输入密钥，然后依次输入两个连续的验证码。")) } } }
        form #finish-totp.card method="post" action="/signin/totp" { div.pad.stack { (csrf(visit))
            img src=(png) width="220" height="220" alt=(t("QR code of the key", "密钥二维码"));
            p { (t("Key: ", "密钥：")) code #totp-key { (pending.base32.expose()) } }
            (code("first", t("First code", "第一个验证码")))
            (code("second", t("The code after it", "下一个验证码")))
            button.btn.main-act { (t("Bind", "绑定")) }
        } }
    };
    public(visit, StatusCode::OK, t("Bind a second factor", "绑定第二因素"), &main)
}

pub(super) async fn finish_totp(p: Posted<Newcomer>) -> Response {
    let s = &p.signed;
    let act = FinishTotp {
        tenant: s.who.0.tenant.clone(),
        token: s.visit.token.clone().unwrap_or_default(),
        first: SecretText::new(p.field("first").to_owned()),
        second: SecretText::new(p.field("second").to_owned()),
    };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok((token, codes)) => {
            let mut response = codes_page(&moved(&s.visit, &token).await, &codes, "/signin");
            carry_on(&s.visit, &mut response, &token, false).await;
            response
        }
        Err(e) => failed(s, &e).await,
    }
}

/// Recovery codes, shown once.
pub(super) fn codes_page(visit: &Visit, codes: &[SecretText], to: &'static str) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let main = html! {
        div.title { div { h1 { (t("Recovery codes", "恢复码")) } p { (t("Keep them where your phone is not. Each works once, and they are not shown again.", "请与手机分开保存。每个仅可使用一次，且不会再次显示。")) } } }
        div.card { div.pad.stack {
            ul #recovery-codes.plain { @for c in codes { li { code { (c.expose()) } } } }
            p { a #codes-kept.btn.main-act href=(to) { (t("I have kept them", "我已保存")) } }
        } }
    };
    inside_or_public(visit, t("Recovery codes", "恢复码"), &main)
}

fn inside_or_public(visit: &Visit, title: &str, main: &Markup) -> Response {
    if stage(visit) == Stage::Full {
        inside(visit, StatusCode::OK, title, Some(Here::Security), main)
    } else {
        public(visit, StatusCode::OK, title, main)
    }
}

pub(super) async fn password(p: Posted<Newcomer>) -> Response {
    let s = &p.signed;
    if p.field("new") != p.field("again") {
        let text = s.visit.lang.t("The two new passwords differ.", "两次输入的新口令不一致。");
        return if stage(&s.visit) == Stage::Full {
            failure::notice_text(&s.visit, StatusCode::BAD_REQUEST, text)
        } else {
            step(s, StatusCode::BAD_REQUEST, Some(text)).await
        };
    }
    let was_full = stage(&s.visit) == Stage::Full;
    let act = ChoosePassword {
        tenant: s.who.0.tenant.clone(),
        token: s.visit.token.clone().unwrap_or_default(),
        old: SecretText::new(p.field("old").to_owned()),
        new: SecretText::new(p.field("new").to_owned()),
    };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(token) => go_on(s, &token, if was_full { "/security" } else { "/signin" }, false).await,
        Err(e) => failed(s, &e).await,
    }
}
