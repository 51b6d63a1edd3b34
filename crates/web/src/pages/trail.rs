//! "Who touched my data": acts as intent and outcome, out of the log itself.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use bailee_rooms::Failure;
use bailee_rooms::consent::ListConsents;
use bailee_rooms::trail::alerts::ListAlerts;
use bailee_rooms::trail::{Act, ActEnd, ActFilter, ExportTrail, Family, GetAct, ListActs};
use bailee_types::Timestamp;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};
use tokio::io::AsyncReadExt;

use super::failure;
use super::frame::{Here, badge, csrf, icon, inside, time};
use super::keeping;
use super::trail_filter;
use super::visit::{Lang, Posted, Signed, Tenant};

const PER_PAGE: usize = 50;

pub(super) async fn overview(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    let filter = ActFilter { family: Some(Family::Platform), ..ActFilter::default() };
    let list = ListActs { tenant: s.who.id.clone(), filter, before: None, acts_max: 5 };
    let acts = match house.perform(s.caller.clone(), list).await {
        Ok(acts) => acts,
        Err(Failure::Refused(_)) => return no_rights(&s),
        Err(e) => return failure::page(&s.visit, &e),
    };
    let list = ListConsents { tenant: s.who.id.clone(), requests_max: 200 };
    let requests = match house.perform(s.caller.clone(), list).await {
        Ok(requests) => requests,
        Err(Failure::Refused(_)) => return no_rights(&s),
        Err(e) => return failure::page(&s.visit, &e),
    };
    let open = ListAlerts { tenant: s.who.id.clone(), open_only: true, before: None, alerts_max: 1 };
    let alerts = match house.perform(s.caller.clone(), open).await {
        Ok(page) => Some(page.open),
        Err(Failure::Refused(_)) => None,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let now = house.now();
    let in_state = |state| requests.iter().filter(|r| r.state(now) == state).count();
    let main = html! {
        div.title { div { h1 { (t("Overview", "概览")) } p { (s.who.alias) } } }
        div.card.pad { dl.tally {
            div { dt { (t("Requests that wait for you", "等待您决定的请求")) } dd { a href="/console/consent" { (in_state(bailee_rooms::consent::State::Pending)) } } }
            @if let Some(open) = alerts { div { dt { (t("Open alerts", "未确认告警")) } dd { a href="/console/trail/alerts" { (open) } } } }
            div { dt { (t("Live grants", "有效授权")) } dd { a href="/console/consent#live" { (in_state(bailee_rooms::consent::State::Live)) } } }
        } }
        section { div.head { h2 { (t("Last acts of the provider", "平台的最近操作")) } a.more href="/console/trail" { (t("All", "全部")) } }
            div.card { (rows(s.visit.lang, &acts.acts)) p.note { (badge(s.visit.lang, &acts.head)) } }
        }
        section { div.head { h2 { (t("For your tools", "供您的工具使用")) } }
            div.card.pad { dl.facts { dt { "OSS / S3" } dd { code { (s.visit.site.objects_url) } } dt { "RPC (Ram, Sts)" } dd { code { (s.visit.site.console_url) } } } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Overview", "概览"), Some(Here::Overview), &main)
}

/// Where somebody lands whom no policy lets see the overview: with what is his own.
fn no_rights(s: &Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let main = html! {
        div.title { div { h1 { (t("Overview", "概览")) } p { (s.who.alias) } } }
        div.card { div.empty {
            h3 { (t("Nothing to show", "没有可显示的内容")) }
            p #no-rights { (t("No policy of yours lets you see the trail and the requests. Ask your administrator.", "您的策略不允许查看审计日志与请求，请联系您的管理员。")) }
            p { a href="/security" { (t("My sign-in", "我的登录")) } }
        } }
    };
    inside(&s.visit, StatusCode::OK, t("Overview", "概览"), Some(Here::Overview), &main)
}

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let filter = match trail_filter::read(s.visit.lang, &q) {
        Ok(filter) => filter,
        Err(text) => return failure::invalid(&s.visit, text),
    };
    let before = q.get("before").and_then(|b| b.parse().ok());
    let list = ListActs { tenant: s.who.id.clone(), filter, before, acts_max: PER_PAGE };
    let page = match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(page) => page,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let next =
        page.next_before.map(|b| trail_filter::link("/console/trail", &q, Some(("before", &b.to_string()))));
    let main = html! {
        div.title {
            div { h1 { (t("Who touched my data", "谁动过我的数据")) } p { (t("Each act of the provider on your resources: an intent, recorded before it, and an outcome. Refusals too. Times are UTC.", "平台对您资源的每个操作：事前记录的意图，以及结果；拒绝也在其中。时间为 UTC。")) } }
            form #export.acts method="post" action="/console/trail/export" { (csrf(&s.visit)) button.btn { (icon("down")) (t("Bundle for bailee-verify", "下载 bailee-verify 证据包")) " " a.btn href="/console/trail/proof" { (t("Receipt and witnesses", "回执与见证方")) } " " a.btn href="/console/trail/alerts" { (t("Alerts", "告警")) } " " a.btn href="/console/trail/sinks" { (t("Delivery", "投递")) } " " a.btn href="/console/trail/keeping" { (t("Retention", "保留")) } } }
        }
        (trail_filter::tabs(&s.visit, &q, "/console/trail"))
        (trail_filter::form(&s.visit, &q))
        div.card {
            @if page.acts.is_empty() && next.is_some() {
                div.empty { h3 { (t("Nothing here yet", "此处暂无结果")) } p { (t("Only a part of the log was looked through. Go on with older acts.", "仅查找了日志的一部分。请继续查看更早的操作。")) } }
            } @else { (rows(s.visit.lang, &page.acts)) }
            @if let Some(next) = &next { p.pad { a #older href=(next) { (t("Older acts", "更早的操作")) } } }
            p.note { (badge(s.visit.lang, &page.head)) }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Who touched my data", "谁动过我的数据"), Some(Here::Trail), &main)
}

pub(super) async fn one(s: Signed<Tenant>, Path(record): Path<u64>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    let get = GetAct { tenant: s.who.id.clone(), record };
    let (act, head) = match (house.perform(s.caller.clone(), get).await, house.head(&s.who.id).await) {
        (Ok(a), Ok(h)) => (a, h),
        (Err(e), _) | (_, Err(e)) => return failure::page(&s.visit, &e),
    };
    let row = |name: &'static str, value: &str| {
        html! { @if !value.is_empty() { dt { (name) } dd { (value) } } }
    };
    let main = html! {
        p.crumb { a href="/console/trail" { (t("Who touched my data", "谁动过我的数据")) } " / " (t("Record ", "记录 ")) (record) }
        div.title { div { h1 { (act.event_name) " " code { (short(&act.resource)) } } p { (time(act.at)) } } }
        @if let Some(why) = &act.erased { p #erased.notice { (t("What this record said was erased ", "此记录的内容已于以下时间擦除：")) (time(why.at)) (t(" by ", "，操作人 ")) (why.by) (t(", because: ", "，原因：")) (why.reason) " (" (why.legal_basis) "). " (t("The erasure is record ", "擦除记录为 ")) (why.record) "." } }
        @if let Some(why) = &act.damaged { p #damaged.notice.bad role="alert" { (icon("warn")) (t("This record does not verify: ", "此记录未通过验证：")) (why) } }
        div.stack {
            div.card { div.pad { dl.facts {
                (row(t("Who", "操作人"), &act.who)) (row(t("Place", "所在地"), &act.place)) (row(t("Why", "原因"), &act.reason))
                (row(t("Ticket", "工单"), &act.ticket)) (row(t("Grant", "授权"), &act.grant)) (row(t("Type", "类型"), &act.event_type))
                @if act.erased.is_none() { dt { (t("Result", "结果")) } dd { (end(s.visit.lang, &act)) } }
                (row(t("Error", "错误"), &act.error_message))
            } } p.note { (badge(s.visit.lang, &head)) } }
            @if act.erased.is_none() { div.card { div.head { h2 { (t("The record, as it is committed to", "记录原文（已被承诺）")) } } pre.pad { (act.event) } } }
            @if act.erased.is_none() && act.damaged.is_none() { (keeping::erase_form(&s, act.record)) }
            @if !act.outcome_event.is_empty() { div.card { div.head { h2 { (t("Its outcome", "其结果")) } } pre.pad { (act.outcome_event) } } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Record", "记录"), Some(Here::Trail), &main)
}

/// The bundle goes through a file of its own, which is gone once it is open: nothing stays behind.
pub(super) async fn export(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let house = &s.visit.site.house;
    let t = |en, zh| s.visit.lang.t(en, zh);
    // A part for an auditor: days and lines of resources; without any, everything.
    let day = |name: &str, add: i64| match p.field(name).trim() {
        "" => Ok(None),
        day => Timestamp::parse_iso(&format!("{day}T00:00:00Z")).map(|at| Some(at.plus_ms(add))),
    };
    let (Ok(since), Ok(until)) = (day("from", 0), day("until", 86_400_000)) else {
        let why = t("A date must look like 2026-11-25.", "日期格式应为 2026-11-25。");
        return failure::invalid(&s.visit, why);
    };
    let resources: Vec<String> =
        p.field("resources").lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    let scope = match ExportTrail::scope_of(&s.who.id, since, until, &resources, house.now()) {
        Ok(scope) => scope,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let path =
        std::env::temp_dir().join(format!("bailee-{}.bundle", bailee_types::ObjectVersionId::random()));
    let op = ExportTrail { tenant: s.who.id.clone(), scope, path: path.clone() };
    let done = house.perform(s.caller.clone(), op).await;
    let opened = match done {
        Ok(done) => tokio::fs::File::open(&path).await.map(|f| (f, done)),
        Err(e) => return failure::page(&s.visit, &e),
    };
    // An unlinked file lives as long as it is open.
    let removed = tokio::fs::remove_file(&path).await;
    let (file, done) = match (opened, removed) {
        (Ok(found), Ok(())) => found,
        (Err(e), _) | (_, Err(e)) => {
            return failure::page(&s.visit, &Failure::Unavailable(format!("the bundle cannot be read: {e}")));
        }
    };
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; 64 * 1024];
        let n = file.read(&mut chunk).await?;
        chunk.truncate(n);
        Ok::<_, std::io::Error>((n > 0).then_some((chunk, file)))
    });
    let name = format!("attachment; filename=\"{}.bundle\"", s.who.alias);
    let mut response = Body::from_stream(chunks.boxed()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(done.bytes));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// The part of an ARN that people read.
pub(super) fn short(resource: &str) -> &str {
    resource.splitn(5, ':').last().unwrap_or_default()
}

fn end(lang: Lang, act: &Act) -> Markup {
    let word = match &act.end {
        ActEnd::Open => "open",
        ActEnd::Refused => "refused",
        ActEnd::Ended { result, .. } => result.as_str(),
    };
    let (class, symbol, text) = match word {
        "done" => ("ok", "check", lang.t("Done", "完成")),
        "refused" => ("bad", "no", lang.t("Refused", "已拒绝")),
        "failed" => ("warn", "warn", lang.t("Failed", "失败")),
        "open" => ("info", "clock", lang.t("Running", "进行中")),
        _ => ("odd", "odd", lang.t("Outcome unknown", "结果未知")),
    };
    html! { span class={ "chip " (class) } { (icon(symbol)) (text) } }
}

fn pair(act: &Act) -> Markup {
    let refused = act.end == ActEnd::Refused;
    let (closed, unknown) = match &act.end {
        ActEnd::Ended { result, .. } => (true, result == "unknown"),
        _ => (false, false),
    };
    html! {
        svg.pair viewBox="0 0 16 48" preserveAspectRatio="xMidYMin meet" aria-hidden="true" {
            @if refused {
                circle.xs cx="8" cy="10" r="5.5" stroke-width="2" {} path.xs d="M4.2 13.8l7.6-7.6" stroke-width="2" {}
            } @else {
                circle cx="8" cy="10" r="3.5" fill="none" stroke="currentColor" stroke-width="2" {}
                path d="M8 14v21" stroke="currentColor" stroke-width="2" stroke-dasharray=[(!closed).then_some("2 3")] {}
                @if closed && !unknown { circle cx="8" cy="40" r="4.5" fill="currentColor" {} }
                @else { circle cx="8" cy="40" r="4.5" fill="none" stroke="currentColor" stroke-width="2" stroke-dasharray="2 2.3" {} }
            }
        }
    }
}

/// Where nobody gave a reason, the event names the ticket, which stands beside it already.
fn reason(act: &Act) -> String {
    if act.reason == format!("ticket {}", act.ticket) { String::new() } else { act.reason.clone() }
}

/// What let a collected act of an operator in.
fn let_in(lang: Lang, act: &Act) -> String {
    if let Some(why) = act.uncovered() {
        return format!("{}{why}", lang.t("; nothing let it in: ", "；没有任何授权："));
    }
    let covered = act.covered().unwrap_or_default();
    let text = |name: &str| covered.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    match (text("session"), covered.get("record"), covered.get("oneOf")) {
        (Some(session), ..) => format!("{}{session}", lang.t("; let in by session ", "；由会话放行：")),
        (_, Some(record), _) => {
            format!("{}{record}", lang.t("; the gate recorded it as record ", "；网关已记录为 "))
        }
        (.., Some(sessions)) => {
            format!("{}{sessions}", lang.t("; in one of the sessions ", "；属于其中一个会话："))
        }
        _ => String::new(),
    }
}

/// Acts as a list, newest first.
pub(super) fn rows(lang: Lang, acts: &[Act]) -> Markup {
    if acts.is_empty() {
        return html! { div.empty { h3 { (lang.t("No act matches", "没有符合的操作")) } p { (lang.t("Nobody of the provider touched what this view shows. That is the good case.", "平台没有任何人动过此视图中的资源。这是好的情况。")) } } };
    }
    html! { ol { @for act in acts { (row(lang, act)) } } }
}

/// One act of a list.
pub(super) fn row(lang: Lang, act: &Act) -> Markup {
    let dot =
        |parts: &[String]| parts.iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join(" · ");
    if let Some(why) = &act.damaged {
        return html! {
            li.ev id={ "r" (act.record) } {
                (time(act.at)) (pair(act))
                div.what { strong { (lang.t("This record does not verify", "此记录未通过验证")) } p { (why) } }
                div.res { span.chip.bad { (icon("warn")) (lang.t("Damaged", "已损坏")) } span { (lang.t("record ", "记录 ")) (act.record) } }
            }
        };
    }
    if let Some(why) = &act.erased {
        return html! {
            li.ev id={ "r" (act.record) } {
                (time(act.at)) (pair(act))
                div.what { a href={ "/console/trail/" (act.record) } { (lang.t("Erased", "已擦除")) } p { (dot(&[why.by.clone(), why.reason.clone(), why.legal_basis.clone()])) } }
                div.res { span.chip { (lang.t("Erased", "已擦除")) } span { (lang.t("record ", "记录 ")) (act.record) (lang.t(", by record ", "，依据记录 ")) (why.record) } }
            }
        };
    }
    html! {
        li.ev id={ "r" (act.record) } {
            (time(act.at)) (pair(act))
            div.what {
                a href={ "/console/trail/" (act.record) } { (act.event_name) " " code { (short(&act.resource)) } }
                p { (dot(&[act.who.clone(), act.place.clone(), act.ticket.clone(), act.grant.clone(), reason(act)])) }
                @if let Some(source) = act.collected_from() { p { (lang.t("collected from ", "采集自 ")) (source) (lang.t(", not stopped by the gate", "，未经网关拦截")) (let_in(lang, act)) } }
                @if !act.error_message.is_empty() { p { (act.error_message) } }
            }
            div.res {
                (end(lang, act))
                @if let ActEnd::Ended { record, at, .. } = &act.end { span { (lang.t("records ", "记录 ")) (act.record) ", " (record) " · " (at.ms().saturating_sub(act.at.ms())) " ms" } }
                @else { span { (lang.t("record ", "记录 ")) (act.record) } }
            }
        }
    }
}
