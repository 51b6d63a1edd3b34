//! What a tenant demands of its decisions about consent.

use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::consent::{ConsentPolicy, Hours, SetConsentPolicy, SetPolicy, ShowConsentPolicy};
use http::StatusCode;
use maud::html;

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Lang, Posted, Signed, Tenant};

const HERE: &str = "/console/consent/policy";

pub(super) async fn show(s: Signed<Tenant>) -> Response {
    let show = ShowConsentPolicy { tenant: s.who.id.clone() };
    match s.visit.site.house.perform(s.caller.clone(), show).await {
        Ok(set) => page(&s, &set),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn page(s: &Signed<Tenant>, SetPolicy { policy, set }: &SetPolicy) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let title = t("Who may approve, and when", "谁可以批准、何时批准");
    let names: Vec<_> = policy.approvers.iter().map(|a| a.name.as_str()).collect();
    let hours = policy.hours.as_ref();
    let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let main = html! {
        p.crumb { a href="/console/consent" { (t("Who wants to touch my data", "谁想动我的数据")) } " / " (title) }
        div.title { div { h1 { (title) } p #since { @match set {
            Some((by, at)) => { (t("Set by ", "设置人：")) (by) " " (time(*at)) },
            None => (t("Nobody has set it: one person decides whom your RAM policies let.", "尚未设置：由 RAM 策略允许的任一人决定。")),
        } } } }
        form #policy-form.card method="post" action=(HERE) { div.pad.stack { (csrf(&s.visit))
            p.hint { (t("It holds from the next decision on, for requests that wait, too, and each change is recorded.", "自下一次决定起生效，包括正在等待的请求；每次更改都会被记录。")) }
            div.field { label for="approvals" { (t("Different persons who must approve (1 to 5)", "须由几名不同的人批准（1 至 5）")) } input.in #approvals name="approvals" type="number" min="1" max="5" value=(policy.approvals) required; }
            div.field { label for="approvers" { (t("Who may, one a line: root, user/<name>, group/<name>; empty: whom RAM lets", "允许谁批准，每行一个：root、user/<名称>、group/<名称>；留空则由 RAM 决定")) } textarea.in #approvers name="approvers" rows="4" maxlength="4000" { (names.join("\n")) } }
            p { input type="checkbox" #mfa name="mfa" value="1" checked[policy.mfa]; " " label for="mfa" { (t("Only with a second factor shown within the last five minutes", "仅限五分钟内验证过第二因素")) } }
            p { input type="checkbox" #signed name="signed" value="1" checked[policy.signed]; " " label for="signed" { (t("Only signed: with a passkey, or with the key of an approver whom a key store names", "仅限已签署：使用通行密钥，或密钥存储中登记的批准人密钥")) } }
            div.field { label for="lapse" { (t("Hours after which a request lapses (1 to 336)", "请求在多少小时后失效（1 至 336）")) } input.in #lapse name="lapse_hours" type="number" min="1" max="336" value=(policy.lapse_hours) required; }
            div.field { label for="longest" { (t("Minutes that a grant lasts at most (1 to 1,440)", "授权最长分钟数（1 至 1440）")) } input.in #longest name="minutes_max" type="number" min="1" max="1440" value=(policy.minutes_max) required; }
            fieldset { legend { (t("Hours", "时段")) } p.hint { (t("Without a day: approvals are given at any time.", "不选日期则任何时间均可批准。")) }
                p { @for day in 1..=7u32 { input type="checkbox" id={ "day-" (day) } name={ "day-" (day) } value="1" checked[hours.is_some_and(|h| h.days.contains(&day))]; " " label for={ "day-" (day) } { (weekday(s.visit.lang, day)) } " " } }
                div.field { label for="from" { (t("From", "从")) } input.in #from name="from" type="time" value=(clock(hours.map_or(540, |h| h.from))); }
                div.field { label for="to" { (t("To", "至")) } input.in #to name="to" pattern="[0-9]{2}:[0-9]{2}" value=(clock(hours.map_or(1_080, |h| h.to))); }
                div.field { label for="offset" { (t("Minutes from UTC (480: China)", "与 UTC 相差的分钟数（480：中国）")) } input.in #offset name="offset" type="number" min="-720" max="840" value=(hours.map_or(480, |h| h.offset)); }
                p { input type="checkbox" #uses-too name="uses_too" value="1" checked[hours.is_some_and(|h| h.uses)]; " " label for="uses-too" { (t("Grants are used within these hours only, too", "授权也仅可在此时段内使用")) } }
            }
            p { button.btn.main-act { (t("Store", "保存")) } }
        } }
    };
    inside(&s.visit, StatusCode::OK, title, Some(Here::Consent), &main)
}

fn weekday(lang: Lang, day: u32) -> &'static str {
    match day {
        1 => lang.t("Mon", "周一"),
        2 => lang.t("Tue", "周二"),
        3 => lang.t("Wed", "周三"),
        4 => lang.t("Thu", "周四"),
        5 => lang.t("Fri", "周五"),
        6 => lang.t("Sat", "周六"),
        _ => lang.t("Sun", "周日"),
    }
}

/// Minutes after midnight; `24:00` is the end of a day.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn policy(p: &Posted<Tenant>) -> Option<ConsentPolicy> {
    let number = |name: &str| p.field(name).trim().parse::<u32>().ok();
    let ticked = |name: &str| p.field(name) == "1";
    let days: Vec<u32> = (1..=7).filter(|day| ticked(&format!("day-{day}"))).collect();
    let hours = match days.is_empty() {
        true => None,
        false => Some(Hours {
            days,
            from: minutes(p.field("from"))?,
            to: minutes(p.field("to"))?,
            offset: p.field("offset").trim().parse().ok()?,
            uses: ticked("uses_too"),
        }),
    };
    Some(ConsentPolicy {
        approvals: number("approvals")?,
        approvers: Vec::new(),
        mfa: ticked("mfa"),
        signed: ticked("signed"),
        hours,
        lapse_hours: number("lapse_hours")?,
        minutes_max: number("minutes_max")?,
    })
}

pub(super) async fn set(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Some(policy) = policy(&p) else {
        let text =
            s.visit.lang.t("Numbers and times (09:00) must be given.", "必须填写数字与时间（09:00）。");
        return failure::invalid(&s.visit, text);
    };
    let approvers = super::places::lines(p.field("approvers"));
    let set = SetConsentPolicy { tenant: s.who.id.clone(), policy, approvers };
    match s.visit.site.house.perform(s.caller.clone(), set).await {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
