//! What a tenant should look at.

use std::collections::HashMap;

use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::trail::alerts::{
    AcknowledgeAlerts, Alert, AlertKind, AlertPage, AlertSettings, ListAlerts, SetAlerts,
};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Lang, Posted, Signed, Tenant};

const HERE: &str = "/console/trail/alerts";
const PER_PAGE: u32 = 50;

pub(super) async fn show(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let list = ListAlerts {
        tenant: s.who.id.clone(),
        open_only: !q.contains_key("all"),
        before: q.get("before").and_then(|b| b.parse().ok()),
        alerts_max: PER_PAGE,
    };
    let all = !list.open_only;
    match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(found) => page(&s, &found, all),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn acknowledge(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Ok(number) = p.field("alert").parse() else {
        return failure::invalid(&s.visit, s.visit.lang.t("An alert is a number.", "告警编号必须是数字。"));
    };
    let and_before = !p.field("and_before").is_empty();
    let acknowledge = AcknowledgeAlerts { tenant: s.who.id.clone(), number, and_before };
    match s.visit.site.house.perform(s.caller.clone(), acknowledge).await {
        Ok(_) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn set(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let muted = AlertKind::ALL.into_iter().filter(|k| p.field(k.word()).is_empty()).collect();
    let set = SetAlerts { tenant: s.who.id.clone(), settings: AlertSettings { muted } };
    match s.visit.site.house.perform(s.caller.clone(), set).await {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn name(lang: Lang, kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Content => lang.t("An operator opened content", "操作员打开了内容"),
        AlertKind::Uncovered => lang.t("An operator's act that nothing let in", "未经任何授权的操作员行为"),
        AlertKind::Warning => lang.t("An act at level WARNING", "WARNING 级别的操作"),
        AlertKind::Unknown => lang.t("Nobody knows how an act ended", "操作结果未知"),
        AlertKind::Refused => lang.t("An operator was refused", "操作员被拒绝"),
        AlertKind::Behind => lang.t("The log is behind", "日志签名滞后"),
    }
}

fn page(s: &Signed<Tenant>, found: &AlertPage, all: bool) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let keep = if all { "all=1&" } else { "" };
    let main = html! {
        p.crumb { a href="/console/trail" { (t("Who touched my data", "谁动过我的数据")) } " / " (t("Alerts", "告警")) }
        div.title { div { h1 { (t("Alerts", "告警")) } p { (t("Raised within seconds of the record, once each, until somebody of you acknowledges it.", "在记录产生后数秒内触发，每条一次，直到您的人员确认。")) } }
            div.acts { @if all { a.btn href=(HERE) { (t("Open ones only", "仅未确认")) } } @else { a.btn href={ (HERE) "?all=1" } { (t("All", "全部")) } } } }
        div.stack {
            section #alerts { h2 { (t("Open: ", "未确认：")) (found.open) } div.card { (listed(s, &found.alerts)) }
                @if let (Some(newest), true) = (found.alerts.first(), found.open > 1) {
                    form method="post" action=(HERE) { (csrf(&s.visit)) input type="hidden" name="alert" value=(newest.number); input type="hidden" name="and_before" value="yes"; p { button.btn { (t("Acknowledge all of these", "全部确认")) } } }
                }
                @if let Some(last) = found.alerts.last().filter(|_| found.alerts.len() == PER_PAGE as usize) { p.pad { a #older href={ (HERE) "?" (keep) "before=" (last.number) } { (t("Older alerts", "更早的告警")) } } }
            }
            section #kinds { h2 { (t("What is raised", "触发条件")) } div.card { form.pad.stack method="post" action={ (HERE) "/kinds" } { (csrf(&s.visit))
                @for kind in AlertKind::ALL { label.tick { input type="checkbox" name=(kind.word()) value="yes" checked[!found.settings.muted.contains(&kind)]; " " (name(s.visit.lang, kind)) } }
                p { button.btn { (t("Store", "保存")) } }
            } } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Alerts", "告警"), Some(Here::Trail), &main)
}

fn listed(s: &Signed<Tenant>, alerts: &[Alert]) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    if alerts.is_empty() {
        return html! { div.empty { h3 { (t("No alert", "没有告警")) } p { (t("Nothing waits for you here.", "这里没有等待您处理的事项。")) } } };
    }
    html! { table { thead { tr { th { "#" } th { (t("What", "内容")) } th { (t("Record", "记录")) } th { (t("Raised", "触发时间")) } th { (t("Acknowledged", "确认")) } } }
        tbody { @for a in alerts { tr {
            td { (a.number) } td { (name(s.visit.lang, a.kind)) }
            td { @if a.kind == AlertKind::Behind { (a.record) } @else { a href={ "/console/trail/" (a.record) } { (a.record) } } }
            td { (time(a.raised_at)) }
            td { @match &a.acknowledged {
                Some((at, by)) => { (time(*at)) " " (by) }
                None => { form method="post" action=(HERE) { (csrf(&s.visit)) input type="hidden" name="alert" value=(a.number); button.btn { (t("Acknowledge", "确认")) } } }
            } }
        } } }
    } }
}
