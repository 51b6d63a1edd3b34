//! One's own sign-in: second factors, password, sessions.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::identity::{
    Device, EndSession, ForgetDevice, ListDevices, ListSessions, RemoveTotp, RenewRecoveryCodes,
};
use http::StatusCode;
use maud::{Markup, html};

use super::frame::{Here, csrf, inside, time};
use super::signin::{codes_page, factor_forms, password_form};
use super::visit::{Person, Posted, Signed, Visit};
use super::{failure, passkey};

pub(super) async fn page(s: Signed<Person>) -> Response {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let house = &visit.site.house;
    let factors = match house.own_factors(&s.caller).await {
        Ok(factors) => factors,
        Err(e) => return failure::page(visit, &e),
    };
    let sessions = match house.perform(s.caller.clone(), ListSessions { tenant: s.who.tenant.clone() }).await
    {
        Ok(sessions) => sessions,
        Err(e) => return failure::page(visit, &e),
    };
    let devices = match house.perform(s.caller.clone(), ListDevices { tenant: s.who.tenant.clone() }).await {
        Ok(devices) => devices,
        Err(e) => return failure::page(visit, &e),
    };
    let own = visit.session.as_ref().map(|s| s.session.id.clone()).unwrap_or_default();
    let fresh = s.caller.need_fresh_mfa(house.now()).is_ok();
    let has_factor = factors.totp_since.is_some() || !factors.passkeys.is_empty();
    let main = html! {
        div.title { div { h1 { (t("My sign-in", "我的登录")) } p { (t("What protects your access, and where it is open now.", "保护您访问权限的方式，以及当前已打开的会话。")) } } }
        section { h2 { (t("Second factor", "第二因素")) } div.card { div.pad.stack {
            @match factors.totp_since {
                Some(at) => {
                    p #totp-state { (t("An authenticator app is bound since ", "身份验证器应用绑定于 ")) (time(at)) "." }
                    @if fresh {
                        form #remove-totp method="post" action="/security/totp/remove" { (csrf(visit)) button.btn.slim { (t("Take it away", "解除绑定")) } }
                    }
                }
                None => {
                    p #totp-state { (t("No authenticator app is bound.", "尚未绑定身份验证器应用。")) }
                    form #begin-totp method="post" action="/signin/totp/begin" { (csrf(visit)) button.btn.main-act { (t("Bind an app", "绑定应用")) } }
                }
            }
            (passkey::list(visit, &factors.passkeys, fresh))
            @if house.offers_passkeys() { (passkey::bind_form(visit)) }
            p #recovery-state { (t("Recovery codes that were not used: ", "未使用的恢复码：")) b { (factors.recovery_codes_left) } }
            @if fresh {
                form #renew-recovery method="post" action="/security/recovery" { (csrf(visit)) button.btn.slim { (t("Make new codes", "重新生成恢复码")) } }
            } @else if has_factor {
                p.hint { (t("To change anything here, show your second factor once more.", "若要更改以上内容，请再次出示第二因素。")) }
            }
        } }
        @if has_factor && !fresh { (factor_forms(visit, "/signin/factor", &factors).await) }
        }
        section { h2 { (t("Password", "口令")) } (password_form(visit)) }
        section { h2 { (t("Open sessions", "已打开的会话")) } div.card {
            table.tbl #sessions { thead { tr { th { (t("Since", "开始于")) } th { (t("Last used", "最近使用")) } th { (t("From", "来源")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for k in &sessions { tr {
                    th scope="row" { (time(k.created_at)) @if k.id == own { span.chip.info { (t("this one", "当前")) } } }
                    td data-l=(t("Last used", "最近使用")) { (time(k.seen_at)) }
                    td data-l=(t("From", "来源")) { span { (k.source_ip) small { (k.user_agent.chars().take(80).collect::<String>()) } } }
                    td.act { form method="post" action={ "/security/sessions/" (k.id) "/end" } { (csrf(visit)) button.btn.slim { (t("End it", "结束")) } } }
                } }
            } }
        } }
        (device_list(visit, &devices))
    };
    passkey::with_script(inside(
        visit,
        StatusCode::OK,
        t("My sign-in", "我的登录"),
        Some(Here::Security),
        &main,
    ))
}

/// Browsers that are known, the last used first.
fn device_list(visit: &Visit, devices: &[Device]) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        section { h2 { (t("Known devices", "已知设备")) } div.card {
            div.pad { p.hint { (t("You signed in with these. Strangers who guess at your name do not make you wait there. A new password forgets them all.", "您曾用这些设备登录。他人猜测您的名称时，您在这些设备上无需等待。更改口令后全部失效。")) } }
            @if devices.is_empty() { div.pad { p #devices-none { (t("No device is known.", "没有已知设备。")) } } } @else {
            table.tbl #devices { thead { tr { th { (t("Known since", "首次使用")) } th { (t("Last sign-in", "最近登录")) } th { (t("From", "来源")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for d in devices { tr {
                    th scope="row" { (time(d.created_at)) }
                    td data-l=(t("Last sign-in", "最近登录")) { (time(d.seen_at))
                        @if let Some(at) = d.mfa_until.filter(|at| visit.site.house.now() < *at) { small { (t("no second factor until ", "免第二因素至 ")) (time(at)) } } }
                    td data-l=(t("From", "来源")) { span { (d.source_ip) small { (d.user_agent.chars().take(80).collect::<String>()) } } }
                    td.act { form method="post" action={ "/security/devices/" (d.id) "/forget" } { (csrf(visit)) button.btn.slim { (t("Forget it", "移除")) } } }
                } }
            } } }
        } }
    }
}

pub(super) async fn forget_device(Path(id): Path<String>, p: Posted<Person>) -> Response {
    let s = &p.signed;
    let act = ForgetDevice { tenant: s.who.tenant.clone(), id };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(()) => Redirect::to("/security").into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn remove_totp(p: Posted<Person>) -> Response {
    let s = &p.signed;
    match s.visit.site.house.perform(s.caller.clone(), RemoveTotp { tenant: s.who.tenant.clone() }).await {
        Ok(()) => Redirect::to("/security").into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn renew_recovery(p: Posted<Person>) -> Response {
    let s = &p.signed;
    let act = RenewRecoveryCodes { tenant: s.who.tenant.clone() };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(codes) => codes_page(&s.visit, &codes, "/security"),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn end_session(Path(id): Path<String>, p: Posted<Person>) -> Response {
    let s = &p.signed;
    let act = EndSession { tenant: s.who.tenant.clone(), id };
    match s.visit.site.house.perform(s.caller.clone(), act).await {
        Ok(()) => Redirect::to("/security").into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
