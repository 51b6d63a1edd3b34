//! A user's sign-in to the console: his password and its rules, and the state of his second factor.

use axum::extract::Path;
use axum::response::Response;
use bailee_rooms::identity::{
    CreateLoginProfile, DeleteLoginProfile, GetLoginProfile, GetUserMfaInfo, LoginProfile, MfaDevice,
    UnbindMfaDevice, UpdateLoginProfile,
};
use bailee_rooms::{Failure, Thing};
use bailee_types::{SecretText, UserName};
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, icon, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Confirm, Field, Said, Tab, ask, button, fresh, part, show_factor, tick};
use super::users::{address, back_to, parse, show};

/// What the page shows of a user's sign-in.
pub(super) struct Login {
    profile: Result<Option<LoginProfile>, Markup>,
    device: Result<Option<MfaDevice>, Markup>,
    is_stale: bool,
}

pub(super) async fn load(s: &Signed<Tenant>, user: &UserName) -> Result<Login, Response> {
    let profile = match ask(s, GetLoginProfile { user: user.clone() }).await {
        Ok(profile) => Ok(Some(profile)),
        Err(Failure::NotFound { thing: Thing::LoginProfile, .. }) => Ok(None),
        Err(e) => Err(e),
    };
    let device = ask(s, GetUserMfaInfo { user: user.clone() }).await;
    let is_stale = match fresh(s).await {
        Ok(()) => false,
        Err(Failure::FreshMfa) => true,
        Err(e) => return Err(failure::page(&s.visit, &e)),
    };
    Ok(Login { profile: part(&s.visit, profile)?, device: part(&s.visit, device)?, is_stale })
}

/// The sections of the user's page.
pub(super) fn section(visit: &Visit, user: &UserName, login: &Login, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let base = address(user);
    html! {
        section #login { h2 { (t("Console sign-in", "控制台登录")) } div.card {
            @match &login.profile {
                Err(why) => (why),
                Ok(profile) => {
                    @match profile {
                        None => div.empty { h3 { (t("He cannot sign in to the console", "他不能登录控制台")) } p { (t("A program needs no password.", "程序不需要口令。")) } },
                        Some(profile) => (state(visit, &base, profile)),
                    }
                    @if login.is_stale { div.pad { (show_factor(visit)) } } @else { (form(visit, &base, profile.as_ref(), said)) }
                }
            }
        } }
        section #mfa { h2 { (t("Second factor", "第二因素")) } div.card.pad {
            @match &login.device {
                Err(why) => (why),
                Ok(None) => p #mfa-state { (t("No authenticator app is bound. He binds it himself when he signs in.", "尚未绑定身份验证器应用。用户登录后自行绑定。")) },
                Ok(Some(device)) => {
                    p #mfa-state { (t("An authenticator app is bound", "已绑定身份验证器应用")) @if let Some(at) = device.activated_at { (t(" since ", "，绑定于 ")) (time(at)) } "." }
                    p.acts { a.btn.slim.stop href={ (base) "/mfa/unbind" } { (t("Take it away (lost phone)", "解除绑定（手机丢失）")) } }
                }
            }
        } }
    }
}

fn state(visit: &Visit, base: &str, profile: &LoginProfile) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let yes_no = |yes| if yes { t("yes", "是") } else { t("no", "否") };
    html! { div.pad.stack {
        dl.facts #login-state {
            dt { (t("State", "状态")) } dd { @if profile.active { span.chip.ok { (icon("check")) (t("May sign in", "可登录")) } } @else { span.chip { (icon("no")) (t("Switched off", "已停用")) } } }
            dt { (t("Must choose a new password", "须更改口令")) } dd { (yes_no(profile.must_reset)) }
            dt { (t("Must show a second factor", "须使用第二因素")) } dd { (yes_no(profile.mfa_required)) }
            dt { (t("Changed", "更改时间")) } dd { (time(profile.updated_at)) }
        }
        div.acts {
            (button(visit, &format!("{base}/login/switch"), &[("to", if profile.active { "off" } else { "on" })], "", if profile.active { t("Switch the sign-in off", "停用登录") } else { t("Switch it on", "启用登录") }))
            a.btn.slim.stop href={ (base) "/login/delete" } { (t("Take the password away", "删除口令")) }
        }
    } }
}

fn form(visit: &Visit, base: &str, profile: Option<&LoginProfile>, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let (reset, mfa) = profile.map_or((true, true), |p| (p.must_reset, p.mfa_required));
    let password = |name, label, hint| {
        Field {
            form: "login",
            name,
            label,
            hint,
            kind: "password",
            required: profile.is_none(),
            ..Field::default()
        }
        .show()
    };
    html! { div.note { details open[said.is("login")] { summary #login-open { (if profile.is_some() { t("New password or rules", "新口令或规则") } else { t("Give him a password", "设置口令") }) }
        form #set-login method="post" action={ (base) "/login" } { (csrf(visit))
            (password("password", t("Password", "口令"), if profile.is_some() { t("Empty: it stays as it is. A new one ends his sessions.", "留空则保持不变。设置新口令会结束其会话。") } else { t("Hand it to him on another way than his name.", "请通过与用户名不同的渠道告知用户。") }))
            (password("password_again", t("The same again", "再次输入"), ""))
            div.field {
                (tick("must_reset", t("He chooses his own at the next sign-in", "下次登录时须自行更改口令"), said.ticked("login", "must_reset", reset)))
                (tick("mfa_required", t("He needs a second factor", "须使用第二因素"), said.ticked("login", "mfa_required", mfa)))
            }
            p.acts { button.btn.main-act { (t("Store the sign-in", "保存登录设置")) } }
        }
    } } }
}

pub(super) async fn set(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let user = match parse(visit, &name) {
        Ok(user) => user,
        Err(page) => return page,
    };
    if let Err(e) = fresh(&p.signed).await {
        return failure::page(visit, &e);
    }
    let (password, again) = (p.field("password"), p.field("password_again"));
    if password != again {
        let text = visit.lang.t("The two passwords differ.", "两次输入的口令不一致。");
        return show(&p.signed, &user, &Said::wrong(&p, "login", text)).await;
    }
    let (reset, mfa) = (p.form.contains_key("must_reset"), p.form.contains_key("mfa_required"));
    let new = (!password.is_empty()).then(|| SecretText::new(password.to_owned()));
    let act = UpdateLoginProfile::new(user.clone(), new.clone(), Some(reset), Some(mfa), None);
    let done = match (ask(&p.signed, GetLoginProfile { user: user.clone() }).await, new) {
        (Err(Failure::NotFound { thing: Thing::LoginProfile, .. }), Some(new)) => {
            ask(&p.signed, CreateLoginProfile::new(user.clone(), new).demanding(reset, mfa)).await
        }
        _ => ask(&p.signed, act).await,
    };
    back_to(&p, &user, "login", "#login", done).await
}

pub(super) async fn switch(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let (user, to @ ("on" | "off")) = (parse(&p.signed.visit, &name), p.field("to")) else {
        return failure::missing(&p.signed.visit);
    };
    let user = match user {
        Ok(user) => user,
        Err(page) => return page,
    };
    let act = UpdateLoginProfile::new(user.clone(), None, None, None, Some(to == "on"));
    let done = ask(&p.signed, act).await;
    back_to(&p, &user, "switch", "#login", done).await
}

pub(super) async fn confirm_delete(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let user = match parse(&s.visit, &name) {
        Ok(user) => user,
        Err(page) => return page,
    };
    if let Err(e) = ask(&s, GetLoginProfile { user: user.clone() }).await {
        return failure::page(&s.visit, &e);
    }
    let base = address(&user);
    Confirm {
        here: Tab::Users,
        title: &format!("{} {user}", t("Take the password away from", "删除口令：")),
        text: t(
            "He cannot sign in to the console any more, and his sessions end now. His AccessKeys go on working.",
            "他将不能再登录控制台，现有会话立即结束。其 AccessKey 继续有效。",
        ),
        more: html! {},
        to: &format!("{base}/login/delete"),
        back: &format!("{base}#login"),
        button: t("Take the password away", "删除口令"),
    }
    .show(&s, true)
    .await
}

pub(super) async fn delete(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let user = match parse(&p.signed.visit, &name) {
        Ok(user) => user,
        Err(page) => return page,
    };
    let done = match fresh(&p.signed).await {
        Ok(()) => ask(&p.signed, DeleteLoginProfile { user: user.clone() }).await,
        Err(e) => Err(e),
    };
    back_to(&p, &user, "login-delete", "#login", done).await
}

pub(super) async fn confirm_unbind(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let user = match parse(&s.visit, &name) {
        Ok(user) => user,
        Err(page) => return page,
    };
    match ask(&s, GetUserMfaInfo { user: user.clone() }).await {
        Ok(Some(_)) => {}
        Ok(None) => return failure::missing(&s.visit),
        Err(e) => return failure::page(&s.visit, &e),
    }
    let base = address(&user);
    Confirm {
        here: Tab::Users,
        title: &format!("{} {user}", t("Take the second factor away from", "解除第二因素：")),
        text: t(
            "Only his password protects him until he binds another app. Be sure that it is he who asks.",
            "在他绑定新的应用之前，仅有口令保护。请确认确实是本人提出请求。",
        ),
        more: html! {},
        to: &format!("{base}/mfa/unbind"),
        back: &format!("{base}#mfa"),
        button: t("Take it away", "解除绑定"),
    }
    .show(&s, true)
    .await
}

pub(super) async fn unbind(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let user = match parse(&p.signed.visit, &name) {
        Ok(user) => user,
        Err(page) => return page,
    };
    let done = match fresh(&p.signed).await {
        Ok(()) => ask(&p.signed, UnbindMfaDevice { user: user.clone(), delete: true }).await,
        Err(e) => Err(e),
    };
    back_to(&p, &user, "unbind", "#mfa", done).await
}
