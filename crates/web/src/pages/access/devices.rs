//! Authenticator apps of users: all of them, and binding one for somebody who sits beside the administrator.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    BindMfaDevice, CreateVirtualMfaDevice, DeleteVirtualMfaDevice, ListVirtualMfaDevices, MfaDevice,
    NewMfaDevice, User, mfa_serial,
};
use bailee_types::{SecretText, UserName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, enc, icon, time};
use super::super::visit::{Posted, Signed, Tenant};
use super::parts::{Confirm, Field, Said, Tab, ask, fresh, name_in, page, seg};
use super::users;

const HERE: &str = "/console/access/mfa";
const PER_PAGE: usize = 50;

/// Whether a name can be a device's, and so a part of an address.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    show(&s, &q, &Said::nothing()).await
}

async fn show(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let mut all = match ask(s, ListVirtualMfaDevices).await {
        Ok(all) => all,
        Err(e) => return failure::page(&s.visit, &e),
    };
    all.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    let after = q.get("after").map_or("", String::as_str);
    let mut shown: Vec<_> = all.iter().filter(|(d, _)| d.name.as_str() > after).collect();
    let more = shown.len() > PER_PAGE;
    shown.truncate(PER_PAGE);
    let next = shown.last().filter(|_| more).map(|(d, _)| d.name.as_str());
    let main = html! {
        p.crumb { a href="/console/access/users" { (t("Users", "用户")) } " / " (t("MFA devices", "MFA 设备")) }
        div.title { div { h1 { (t("MFA devices", "MFA 设备")) } p { (t("Authenticator apps of your users. People bind their own when they sign in; here you see whose is whose, and bind one for somebody else.", "用户的身份验证器应用。用户登录后可自行绑定；您可在此查看归属，或为他人绑定。")) } } }
        (said.notice())
        div.card {
            @if shown.is_empty() { div.empty { h3 { (t("No device here", "没有设备")) } p { (t("Nobody has an authenticator app from this list.", "此列表中没有任何人的身份验证器应用。")) } } }
            @else { table.tbl #devices { thead { tr { th { (t("Device", "设备")) } th { (t("Bound to", "绑定到")) } th { (t("Since", "开始于")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for (device, user) in &shown { (row(s, device, user.as_ref())) }
            } } }
            @if let Some(next) = next { p.pad { a #next href={ (HERE) "?after=" (enc(next)) } { (t("Next page", "下一页")) } } }
        }
        section { h2 { (t("New device for a user", "为用户新建设备")) }
            form #create-device.card method="post" action=(HERE) { div.pad.stack { (csrf(&s.visit))
                (Field { form: "create", name: "name", label: t("Name of the device", "设备名称"), value: said.typed("create", "name", ""), max: 64, required: true, hint: t("A-Z, a-z, 0-9, `.`, `_`, `-`; best the user’s own name.", "A-Z、a-z、0-9、`.`、`_`、`-`；建议与用户名相同。"), ..Field::default() }.show())
                (Field { form: "create", name: "user", label: t("For which user", "用户"), value: said.typed("create", "user", ""), max: 64, required: true, ..Field::default() }.show())
                p { button.btn.main-act { (t("Make the key and show it", "生成密钥并显示")) } }
            } }
        }
    };
    page(&s.visit, said.status, t("MFA devices", "MFA 设备"), Tab::Users, &main)
}

fn row(s: &Signed<Tenant>, device: &MfaDevice, user: Option<&User>) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let of_root = device.holder.as_deref() == Some("root");
    html! { tr id={ "device-" (device.name) } {
        th scope="row" { code { (device.name) } }
        td data-l=(t("Bound to", "绑定到")) { @match user {
            Some(user) => a href={ (users::address(&user.name)) "#mfa" } { (user.name) },
            None if of_root => "root",
            None => span.chip.warn { (icon("clock")) (t("nobody yet", "尚未绑定")) },
        } }
        td data-l=(t("Since", "开始于")) { (time(device.activated_at.unwrap_or(device.created_at))) }
        td.act {
            @if let Some(user) = user { a.btn.slim.stop href={ (users::address(&user.name)) "/mfa/unbind" } { (t("Take away", "解除绑定")) } }
            @else if !of_root {
                a.btn.slim href={ (HERE) "/" (seg(&device.name)) "/bind" } { (t("Bind", "绑定")) }
                " " a.btn.slim.stop href={ (HERE) "/" (seg(&device.name)) "/delete" } { (t("Delete", "删除")) }
            }
        }
    } }
}

pub(super) async fn create(p: Posted<Tenant>) -> Response {
    if let Err(e) = fresh(&p.signed).await {
        return failure::page(&p.signed.visit, &e);
    }
    let (name, user) = (p.field("name").trim().to_owned(), p.field("user").trim().to_owned());
    if UserName::parse(&user).is_err() {
        let said = Said::wrong(&p, "create", users::wrong_name(&p.signed.visit));
        return show(&p.signed, &HashMap::new(), &said).await;
    }
    match ask(&p.signed, CreateVirtualMfaDevice { name: name.clone() }).await {
        Ok(made) => bind_page(&p.signed, &name, &user, Some(&made), &Said::nothing()),
        Err(e) => match Said::failed(&p, "create", &e) {
            Ok(said) => show(&p.signed, &HashMap::new(), &said).await,
            Err(page) => page,
        },
    }
}

/// The form with two codes; the key stands above it once, right after it was made.
fn bind_page(
    s: &Signed<Tenant>,
    name: &str,
    user: &str,
    made: Option<&NewMfaDevice>,
    said: &Said,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let code = |name, label| {
        html! { div.field { label for=(name) { (label) } input.in id=(name) name=(name) inputmode="numeric" pattern="[0-9]{6}" maxlength="6" required autocomplete="one-time-code"; } }
    };
    let main = html! {
        p.crumb { a href=(HERE) { (t("MFA devices", "MFA 设备")) } " / " (name) }
        div.title { div { h1 { (t("Bind the device ", "绑定设备 ")) (name) } p { (t("Two codes that follow each other prove that the app works.", "连续两个验证码证明应用可用。")) } } }
        (said.notice())
        @if let Some(made) = made { div.card { div.pad.stack {
            p { (t("Shown this once: scan it with the user’s app now.", "仅显示这一次：请立即用用户的应用扫描。")) }
            img src={ "data:image/png;base64," (STANDARD.encode(&made.qr_png)) } width="220" height="220" alt=(t("QR code of the key", "密钥二维码"));
            dl.facts { dt { (t("Key", "密钥")) } dd { code #device-key { (made.base32.expose()) } } }
        } } }
        form #bind-device.card method="post" action={ (HERE) "/" (seg(name)) "/bind" } { div.pad.stack { (csrf(&s.visit))
            (Field { form: "bind", name: "user", label: t("User", "用户"), value: user, max: 64, required: true, ..Field::default() }.show())
            (code("first", t("Code", "验证码"))) (code("second", t("The code after it", "下一个验证码")))
            p.acts { button.btn.main-act { (t("Bind it", "绑定")) } a.btn href=(HERE) { (t("Later", "稍后")) } }
        } }
    };
    page(&s.visit, said.status, t("Bind a device", "绑定设备"), Tab::Users, &main)
}

/// The device of an address, when it is there and nobody's.
async fn free(s: &Signed<Tenant>, name: &str) -> Result<String, Response> {
    let name = name_in(name);
    let all = ask(s, ListVirtualMfaDevices).await.map_err(|e| failure::page(&s.visit, &e))?;
    let is_there = is_name(name) && all.iter().any(|(d, _)| d.name == name && d.holder.is_none());
    if is_there { Ok(name.to_owned()) } else { Err(failure::missing(&s.visit)) }
}

pub(super) async fn ask_codes(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    match free(&s, &name).await {
        Ok(name) => bind_page(&s, &name, "", None, &Said::nothing()),
        Err(page) => page,
    }
}

pub(super) async fn bind(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let name = name_in(&name);
    if !is_name(name) {
        return failure::missing(visit);
    }
    if let Err(e) = fresh(&p.signed).await {
        return failure::page(visit, &e);
    }
    let typed = p.field("user").trim();
    let Ok(user) = UserName::parse(typed) else {
        return bind_page(&p.signed, name, typed, None, &Said::wrong(&p, "bind", users::wrong_name(visit)));
    };
    let secret = |field: &str| SecretText::new(p.field(field).trim().to_owned());
    let act = BindMfaDevice {
        serial: mfa_serial(&p.signed.who.id, name),
        first: secret("first"),
        second: secret("second"),
        user: user.clone(),
    };
    let said = match ask(&p.signed, act).await {
        Ok(()) => return Redirect::to(&format!("{}#mfa", users::address(&user))).into_response(),
        Err(Failure::WrongCode) => Said::wrong(
            &p,
            "bind",
            visit.lang.t(
                "The two codes do not fit. Take two that follow each other, and check the clock of the phone.",
                "两个验证码不匹配。请使用连续的两个验证码，并检查手机时间。",
            ),
        ),
        Err(e) => match Said::failed(&p, "bind", &e) {
            Ok(said) => said,
            Err(page) => return page,
        },
    };
    bind_page(&p.signed, name, typed, None, &said)
}

pub(super) async fn confirm_delete(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let name = match free(&s, &name).await {
        Ok(name) => name,
        Err(page) => return page,
    };
    Confirm {
        here: Tab::Users,
        title: &format!("{} {name}", t("Delete MFA device", "删除 MFA 设备")),
        text: t(
            "The key in the app is of no use any more. Nobody is bound to it.",
            "应用中的密钥将不再有效。目前没有用户绑定它。",
        ),
        more: html! {},
        to: &format!("{HERE}/{}/delete", seg(&name)),
        back: HERE,
        button: t("Delete the device", "删除设备"),
    }
    .show(&s, true)
    .await
}

pub(super) async fn delete(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let name = name_in(&name);
    if !is_name(name) {
        return failure::missing(&p.signed.visit);
    }
    let done = match fresh(&p.signed).await {
        Ok(()) => ask(&p.signed, DeleteVirtualMfaDevice { serial: mfa_serial(&p.signed.who.id, name) }).await,
        Err(e) => Err(e),
    };
    match done {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => match Said::failed(&p, "delete", &e) {
            Ok(said) if said.status != StatusCode::NOT_FOUND => show(&p.signed, &HashMap::new(), &said).await,
            Ok(_) => failure::missing(&p.signed.visit),
            Err(page) => page,
        },
    }
}
