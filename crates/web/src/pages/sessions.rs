//! Sessions of operators with a tenant's systems: who is in now, who was, what they did.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_broker::seat::{Frame, Side as Passed};
use bailee_broker::ssh::asciicast::{self, Moment};
use bailee_rooms::broker::{
    CutSession, KEYS_PAGE_MAX, ListKeys, ListSessions, ReadRecording, RecordedFrame, Replay, Session, Side,
};
use bailee_types::Timestamp;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::desk_keys;
use super::failure;
use super::frame::{Here, csrf, icon, inside, size, time};
use super::objects::attachment;
use super::targets::family;
use super::visit::{Lang, Posted, Signed, Tenant, Visit};

const PER_PAGE: u32 = 50;
/// Notes and characters of one page of a recording.
const NOTES_MAX: usize = 500;
const TEXT_MAX: usize = 200_000;

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let before = q.get("before").and_then(|b| b.parse().ok()).map(Timestamp::from_ms);
    let list = ListSessions { tenant: s.who.id.clone(), session: None, before, sessions_max: PER_PAGE + 1 };
    let mut all = match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(all) => all,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let keys_before = q.get("keys-before").and_then(|b| b.parse().ok()).map(Timestamp::from_ms);
    let of = ListKeys { tenant: s.who.id.clone(), before: keys_before };
    let keys = match s.visit.site.house.perform(s.caller.clone(), of).await {
        Ok(keys) => keys,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let more = all.len() > PER_PAGE as usize;
    all.truncate(PER_PAGE as usize);
    let main = html! {
        p.crumb { a href="/console/targets" { (t("Systems", "系统")) } " / " (t("Sessions", "会话")) }
        div.title { div { h1 { (t("Sessions with your systems", "与您系统的会话")) } p { (t("All that passes is recorded before it passes. The recording lies under your key. ", "所有内容在通过之前都已录制。录像由您的密钥加密。")) a href="/console/sessions/masks" { (t("What is covered when one is read", "查看时遮盖哪些内容")) } } } }
        div.card {
            @if all.is_empty() { div.empty { h3 { (t("Nobody was in any of your systems", "无人进入过您的系统")) } p { (t("A session needs your consent first.", "会话须先得到您的同意。")) } } }
            @else { table.tbl { thead { tr { th { (t("System", "系统")) } th { (t("Who", "谁")) } th { (t("Opened", "打开")) } th { (t("State", "状态")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for x in &all { tr {
                    th scope="row" { a href={ "/console/sessions/" (x.id) } { (x.target) } span.sub { (x.id) " · " (x.grant) " · " (x.ticket) } }
                    td data-l=(t("Who", "谁")) { (x.pseudonym) }
                    td data-l=(t("Opened", "打开")) { (time(x.opened_at)) }
                    td data-l=(t("State", "状态")) { (state(s.visit.lang, x)) }
                    td.act { @if x.ended.is_none() { (cut_button(&s.visit, x)) } }
                } }
            } } }
            @if let (true, Some(last)) = (more, all.last()) { p.pad { a href={ "/console/sessions?before=" (last.opened_at.ms()) } { (t("Older", "更早")) } } }
        }
        @if !keys.is_empty() { section #keys { div.head { h2 { (t("Temporary keys for your objects", "您对象的临时密钥")) } p { (t("What is read with them stands in your log, read by read. Cutting ends the keys; to end the consent, revoke it.", "使用它们的每次读取都记入您的日志。中断将使密钥失效；如需终止授权，请撤销。")) } } div.card { (desk_keys::table(&s.visit, &keys, &|k| desk_keys::cut_button(&s.visit, k)))
            @if let (true, Some(last)) = (keys.len() >= KEYS_PAGE_MAX as usize, keys.last()) { p.pad { a href={ "/console/sessions?keys-before=" (last.taken_at.ms()) "#keys" } { (t("Older", "更早")) } } }
        } } }
    };
    inside(&s.visit, StatusCode::OK, t("Sessions", "会话"), Some(Here::Targets), &main)
}

/// Whether a session goes on, or how it ended.
pub(super) fn state(lang: Lang, session: &Session) -> Markup {
    html! {
        @match &session.ended {
            None => { span.chip.ok { (icon("hand")) (lang.t("Open", "进行中")) } small { (lang.t("until ", "至 ")) (time(session.until)) } }
            Some(ended) => { span.chip { (icon("check")) (lang.t("Ended", "已结束")) } small { (ended.why) " · " (time(ended.at)) } }
        }
    }
}

pub(super) fn cut_button(visit: &Visit, session: &Session) -> Markup {
    html! {
        form id={ "cut-" (session.id) } method="post" action={ "/console/sessions/" (session.id) "/cut" } { (csrf(visit))
            button.btn.slim.stop { (visit.lang.t("Cut now", "立即中断")) } }
    }
}

async fn find(s: &Signed<Tenant>, id: &str) -> Result<Session, Response> {
    let list = ListSessions {
        tenant: s.who.id.clone(),
        session: Some(id.to_owned()),
        before: None,
        sessions_max: 1,
    };
    match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(mut found) => found.pop().ok_or_else(|| failure::missing(&s.visit)),
        Err(e) => Err(failure::page(&s.visit, &e)),
    }
}

pub(super) async fn one(s: Signed<Tenant>, Path(id): Path<String>) -> Response {
    let session = match find(&s, &id).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    show(&s, &session, None)
}

fn show(s: &Signed<Tenant>, x: &Session, recording: Option<&Markup>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let main = html! {
        p.crumb { a href="/console/targets" { (t("Systems", "系统")) } " / " a href="/console/sessions" { (t("Sessions", "会话")) } " / " (x.id) }
        div.title { div { h1 { (x.target) } p { (family(s.visit.lang, x.limits.family())) " · " (x.pseudonym) } } @if x.ended.is_none() { (cut_button(&s.visit, x)) } }
        div.stack {
            div.card { dl.facts.pad {
                dt { (t("State", "状态")) } dd { (state(s.visit.lang, x)) }
                dt { (t("Consent", "授权")) } dd { (x.grant) " · " (x.ticket) }
                dt { (t("Opened by record", "打开记录")) } dd { a href={ "/console/trail/" (x.intent) } { (x.intent) } " · " (time(x.opened_at)) }
                dt { (t("May do", "允许")) } dd { ul.may.yes { @for may in super::consent::may(s.visit.lang, &bailee_rooms::consent::Scope::Target { target: x.target.clone(), limits: x.limits.clone() }) { li { (icon("check")) span { (may) } } } } }
                dt { (t("Recorded", "已录制")) } dd { @if x.ended.is_none() { (t("in progress", "进行中")) } @else { (x.recorded.0) (t(" frames, ", " 帧，")) (size(x.recorded.1)) } }
            } }
            @match recording {
                Some(markup) => (markup),
                None => { form.card #watch method="post" action={ "/console/sessions/" (x.id) "/recording" } { div.pad { (csrf(&s.visit))
                    h2 { (t("What was done", "操作内容")) } p.hint { (t("Looking at a recording stands in your log.", "查看录像会记入您的日志。")) }
                    button.btn.main-act name="form" value="page" { (t("Show", "查看")) } " "
                    button.btn name="form" value="asciicast" { (t("Take along (asciicast)", "下载（asciicast）")) } " "
                    button.btn name="form" value="json" { (t("Take along (JSON lines)", "下载（JSON 行）")) }
                    p { input type="checkbox" #unmasked name="unmasked" value="1"; " " label for="unmasked" { (t("As recorded, without masks: needs ", "按原样，不遮盖：需要 ")) code { "bailee:ReplayUnmasked" } (t(", and your log says so", "，并记入您的日志")) } }
                } } }
            }
        }
    };
    inside(&s.visit, StatusCode::OK, x.target.as_str(), Some(Here::Targets), &main)
}

pub(super) async fn cut(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let cut = CutSession { tenant: p.signed.who.id.clone(), session: id.clone() };
    match p.signed.visit.site.house.perform(p.signed.caller.clone(), cut).await {
        Ok(()) if id.starts_with("GRT.") => Redirect::to("/console/sessions#keys").into_response(),
        Ok(()) => Redirect::to(&format!("/console/sessions/{}", super::frame::enc(&id))).into_response(),
        Err(e) => failure::page(&p.signed.visit, &e),
    }
}

fn moment(frame: &RecordedFrame) -> Moment<'_> {
    let side = match frame.side {
        Side::Client => Passed::Client,
        Side::Target => Passed::Target,
        Side::Note => Passed::Note,
    };
    Moment { at_ms: frame.at.ms(), frame: Frame { side, channel: frame.channel, bytes: &frame.bytes } }
}

/// The channels that showed something, in the order in which they began.
fn channels(frames: &[RecordedFrame]) -> Vec<u32> {
    let mut seen = Vec::new();
    for frame in frames.iter().filter(|f| f.side == Side::Target) {
        if !seen.contains(&frame.channel) {
            seen.push(frame.channel);
        }
    }
    seen
}

pub(super) async fn recording(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let session = match find(s, &id).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let unmasked = p.field("unmasked") == "1";
    let read = ReadRecording { tenant: s.who.id.clone(), session: id.clone(), unmasked };
    let replay = match s.visit.site.house.perform(s.caller.clone(), read).await {
        Ok(replay) => replay,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let frames = &replay.frames;
    match p.field("form") {
        "asciicast" => {
            let cast =
                channels(frames).into_iter().find_map(|c| asciicast::asciicast(frames.iter().map(moment), c));
            match cast {
                Some(cast) => download(cast, &format!("{id}.cast")),
                None => failure::invalid(
                    &s.visit,
                    s.visit.lang.t("No terminal was opened in this session.", "此会话没有打开过终端。"),
                ),
            }
        }
        "json" => download(frames.iter().map(json_line).collect(), &format!("{id}.jsonl")),
        _ => show(s, &session, Some(&shown(&s.visit, &session, &replay, unmasked))),
    }
}

fn download(text: String, name: &str) -> Response {
    let len = text.len() as u64;
    attachment(Body::from(text), name, len)
}

fn json_line(frame: &RecordedFrame) -> String {
    let side = match frame.side {
        Side::Client => "client",
        Side::Target => "target",
        Side::Note => "note",
    };
    let mut line = serde_json::json!({ "at": frame.at.iso(), "side": side, "channel": frame.channel });
    if let Value::Object(map) = &mut line {
        match (frame.side, serde_json::from_slice::<Value>(&frame.bytes)) {
            (Side::Note, Ok(note)) => map.insert("note".into(), note),
            _ => map.insert("hex".into(), hex::encode(&frame.bytes).into()),
        };
    }
    format!("{line}\n")
}

fn shown(visit: &Visit, session: &Session, replay: &Replay, unmasked: bool) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let frames = &replay.frames;
    let notes: Vec<_> = frames.iter().filter(|f| f.side == Side::Note).collect();
    html! {
        section #recording { div.head { h2 { (t("What was done", "操作内容")) } @if session.ended.is_none() { form method="post" action={ "/console/sessions/" (session.id) "/recording" } { (csrf(visit)) button.btn.slim { (t("Look again", "刷新")) } } } }
            p.hint #masked { @if unmasked { (t("As it was recorded, without masks.", "按录制原样显示，未遮盖。")) } @else { (replay.covered) (t(" bytes are covered by your ", " 字节已被遮盖，见")) a href="/console/sessions/masks" { (t("masks", "遮盖规则")) } "." } }
            @if !replay.is_all { p.note { (t("The recording is long; this is its beginning.", "录像较长，此处为开头部分。")) } }
            div.card {
                @if notes.is_empty() { div.empty { p { (t("Nothing yet.", "暂无。")) } } }
                @else { ol.notes { @for note in notes.iter().take(NOTES_MAX) { li { (time(note.at)) " " (note_text(&note.bytes)) } } } }
                @if notes.len() > NOTES_MAX { p.pad { (notes.len() - NOTES_MAX) (t(" more: take the recording along", " 条未显示：请下载录像")) } }
            }
            @if session.limits.family() == "host" { @for channel in channels(frames) {
                details.card { summary.pad { (t("What it showed, channel ", "显示内容，通道 ")) (channel) }
                    @let text = asciicast::plain_text(frames.iter().map(moment), channel);
                    pre.pad.transcript { (text.chars().take(TEXT_MAX).collect::<String>()) }
                }
            } }
        }
    }
}

/// A note in one line: its kind, then what it says.
fn note_text(bytes: &[u8]) -> Markup {
    let Ok(Value::Object(note)) = serde_json::from_slice::<Value>(bytes) else { return html! {} };
    let kind = note.get("kind").and_then(Value::as_str).unwrap_or_default();
    html! { b { (kind) } @for (name, value) in note.iter().filter(|(n, _)| *n != "kind") {
        " " (name) "=" code { @match value { Value::String(text) => (text.chars().take(2000).collect::<String>()), other => (other.to_string().chars().take(2000).collect::<String>()) } }
    } }
}
