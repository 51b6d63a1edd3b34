//! What holds for all users of the account: alias, password rules, sign-in.

use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    ClearAccountAlias, GetAccountAlias, GetPasswordPolicy, GetSecurityPreference, PasswordPolicy,
    SecurityPreference, SetAccountAlias, SetPasswordPolicy, SetSecurityPreference,
};
use maud::{Markup, html};

use super::super::frame::csrf;
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Field, Said, Tab, ask, page, part, tick};

pub(super) async fn show(s: Signed<Tenant>) -> Response {
    with(&s, &Said::nothing()).await
}

async fn with(s: &Signed<Tenant>, said: &Said) -> Response {
    match build(s, said).await {
        Ok(page) | Err(page) => page,
    }
}

async fn build(s: &Signed<Tenant>, said: &Said) -> Result<Response, Response> {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let alias = part(visit, ask(s, GetAccountAlias).await)?;
    let passwords = part(visit, ask(s, GetPasswordPolicy).await)?;
    let preference = part(visit, ask(s, GetSecurityPreference).await)?;
    let main = html! {
        div.title { div { h1 { (t("Account settings", "账号设置")) } p { (t("They hold for all users of this account from now on.", "对本账号的所有用户从现在起生效。")) } } }
        (said.notice())
        section #alias { h2 { (t("Account alias", "账号别名")) } div.card { @match &alias { Err(why) => (why), Ok(alias) => (alias_form(visit, alias.as_deref(), said)) } } }
        section #passwords { h2 { (t("Password rules", "口令规则")) } div.card { @match &passwords { Err(why) => (why), Ok(rules) => (passwords_form(visit, rules, said)) } } }
        section #preference { h2 { (t("Sign-in and self-service", "登录与自助管理")) } div.card { @match &preference { Err(why) => (why), Ok(p) => (preference_form(visit, p, said)) } } }
    };
    Ok(page(visit, said.status, t("Account settings", "账号设置"), Tab::Settings, &main))
}

fn alias_form(visit: &Visit, alias: Option<&str>, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { form #set-alias.pad.stack method="post" action="/console/access/settings/alias" { (csrf(visit))
        (Field { form: "alias", name: "alias", label: t("Alias", "别名"), value: said.typed("alias", "alias", alias.unwrap_or_default()), max: 63, hint: t("3 to 63 of a-z, 0-9, hyphen; users may sign in with it. Empty takes it away.", "3 至 63 位的 a-z、0-9、连字符；用户可用它登录。留空则取消别名。"), ..Field::default() }.show())
        p { button.btn { (t("Store the alias", "保存别名")) } }
    } }
}

fn passwords_form(visit: &Visit, rules: &PasswordPolicy, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let number = |name: &'static str, label: &'static str, stored: u32, hint: &'static str| {
        let stored = stored.to_string();
        let value = said.typed("rules", name, &stored);
        Field { form: "rules", name, label, value, hint, max: 4, kind: "number", required: true }.show()
    };
    let check = |name: &str, label: &str, on: bool| tick(name, label, said.ticked("rules", name, on));
    html! { form #set-passwords.pad.stack method="post" action="/console/access/settings/passwords" { (csrf(visit))
        div {
            (number("length_min", t("Shortest password", "最小长度"), rules.length_min, t("8 to 32 characters", "8 至 32 个字符")))
            fieldset.field { legend { (t("It must hold", "须包含")) }
                (check("lower", t("a lower-case letter", "小写字母"), rules.lower))
                (check("upper", t("an upper-case letter", "大写字母"), rules.upper))
                (check("digit", t("a digit", "数字"), rules.digit))
                (check("symbol", t("a symbol", "符号"), rules.symbol))
            }
            div.field { (check("not_name", t("It must not hold the user’s name", "不得包含用户名"), rules.not_name)) }
            (number("different_min", t("Different characters at least", "不同字符数至少"), rules.different_min, t("0 to 8", "0 至 8")))
            (number("age_max_days", t("A password ends after days", "口令有效天数"), rules.age_max_days, t("0 for never, to 1,095", "0 为永久，最多 1,095")))
            div.field { (check("hard_expiry", t("An ended password cannot sign in to be changed", "口令过期后不能登录修改"), rules.hard_expiry)) }
            (number("reuse_prevention", t("Earlier passwords that may not come again", "不得重复的历史口令数"), rules.reuse_prevention, t("0 to 24", "0 至 24")))
            (number("attempts_max", t("Wrong passwords in an hour before waiting", "每小时错误口令次数上限"), rules.attempts_max, t("0 for the built-in five, to 32", "0 为内置的五次，最多 32")))
        }
        p { button.btn { (t("Store the rules", "保存口令规则")) } }
    } }
}

fn preference_form(visit: &Visit, p: &SecurityPreference, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let check = |name: &str, label: &str, on: bool| tick(name, label, said.ticked("sign-in", name, on));
    let hours = p.session_hours.to_string();
    let mfa = said.typed("sign-in", "mfa_for_login", &p.mfa_for_login);
    let choice = |value: &'static str, text: &'static str| html! { option value=(value) selected[value == mfa] { (text) } };
    html! { form #set-preference.pad.stack method="post" action="/console/access/settings/preference" { (csrf(visit))
        div {
            div.field { label for="mfa-for-login" { (t("Second factor at sign-in", "登录时的第二因素")) }
                select.in #mfa-for-login name="mfa_for_login" {
                    (choice("mandatory", t("From all users", "所有用户必须使用")))
                    (choice("independent", t("As each user’s sign-in says", "按各用户的登录设置")))
                    @if mfa == "adaptive" { (choice("adaptive", t("When something is unusual", "仅在异常登录时"))) }
                } }
            (Field { form: "sign-in", name: "login_networks", label: t("Networks that users sign in from", "允许登录的网络"), value: said.typed("sign-in", "login_networks", &p.login_networks), max: 1024, hint: t("10.0.0.0/8;192.0.2.7 – empty for everywhere. Your own network must be among them.", "10.0.0.0/8;192.0.2.7，留空为不限。请确保包含您自己的网络。"), ..Field::default() }.show())
            (Field { form: "sign-in", name: "session_hours", label: t("Hours that a console session lasts", "控制台会话小时数"), value: said.typed("sign-in", "session_hours", &hours), max: 2, kind: "number", required: true, hint: t("1 to 24", "1 至 24") }.show())
            fieldset.field { legend { (t("Users may, for themselves", "用户可自行")) }
                (check("change_password", t("change their password", "更改口令"), p.change_password))
                (check("manage_access_keys", t("make and delete AccessKeys", "创建与删除 AccessKey"), p.manage_access_keys))
                (check("manage_mfa_devices", t("bind and take away a second factor", "绑定与解除第二因素"), p.manage_mfa_devices))
                (check("passkey_sign_in", t("sign in with a passkey", "使用通行密钥登录"), p.passkey_sign_in))
                (check("save_mfa_ticket", t("have a browser remembered for the second factor", "让浏览器记住第二因素"), p.save_mfa_ticket))
            }
        }
        p { button.btn { (t("Store the preference", "保存登录设置")) } }
    } }
}

pub(super) async fn alias(p: Posted<Tenant>) -> Response {
    let alias = p.field("alias").trim().to_owned();
    let done = if alias.is_empty() {
        ask(&p.signed, ClearAccountAlias).await
    } else {
        ask(&p.signed, SetAccountAlias { alias }).await
    };
    after(&p, "alias", "#alias", done).await
}

pub(super) async fn passwords(p: Posted<Tenant>) -> Response {
    // What is no number is out of every range, and the room says which range.
    let number = |name: &str| p.field(name).trim().parse::<u32>().unwrap_or(u32::MAX);
    let on = |name: &str| p.form.contains_key(name);
    let policy = PasswordPolicy {
        length_min: number("length_min"),
        lower: on("lower"),
        upper: on("upper"),
        digit: on("digit"),
        symbol: on("symbol"),
        different_min: number("different_min"),
        not_name: on("not_name"),
        hard_expiry: on("hard_expiry"),
        age_max_days: number("age_max_days"),
        reuse_prevention: number("reuse_prevention"),
        attempts_max: number("attempts_max"),
    };
    let done = ask(&p.signed, SetPasswordPolicy { policy }).await;
    after(&p, "rules", "#passwords", done).await
}

pub(super) async fn preference(p: Posted<Tenant>) -> Response {
    let on = |name: &str| Some(p.form.contains_key(name));
    let networks = SecurityPreference {
        login_networks: p.field("login_networks").trim().to_owned(),
        ..SecurityPreference::default()
    };
    if networks.shuts_out(&p.signed.visit.origin.source_ip) {
        let text = p.signed.visit.lang.t(
            "Your own address is not among the networks: you could not sign in again. Nothing was stored.",
            "这些网络不包含您当前的地址，您将无法再次登录。没有存储任何内容。",
        );
        return with(&p.signed, &Said::wrong(&p, "sign-in", text)).await;
    }
    let act = SetSecurityPreference {
        save_mfa_ticket: on("save_mfa_ticket"),
        change_password: on("change_password"),
        manage_access_keys: on("manage_access_keys"),
        manage_mfa_devices: on("manage_mfa_devices"),
        manage_public_keys: None,
        passkey_sign_in: on("passkey_sign_in"),
        login_networks: Some(networks.login_networks),
        session_hours: Some(p.field("session_hours").trim().parse().unwrap_or(u32::MAX)),
        mfa_for_login: Some(p.field("mfa_for_login").to_owned()),
    };
    let done = ask(&p.signed, act).await;
    after(&p, "sign-in", "#preference", done).await
}

async fn after<T>(
    p: &Posted<Tenant>,
    which: &'static str,
    place: &str,
    done: Result<T, Failure>,
) -> Response {
    match done {
        Ok(_) => Redirect::to(&format!("/console/access/settings{place}")).into_response(),
        Err(e) => match Said::failed(p, which, &e) {
            Ok(said) => with(&p.signed, &said).await,
            Err(page) => page,
        },
    }
}
