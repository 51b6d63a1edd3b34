//! What the provider did to a tenant's things without its consent: takedowns of public data, to be acknowledged, and stability work.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::handling::{Acknowledge, Change, ListHandling, State, Step, Takedown, Work, Worker};
use bailee_rooms::tickets::Category;
use bailee_types::{BucketName, HandlingId, Timestamp};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, icon, inside, time};
use super::visit::{Lang, Posted, Signed, Tenant, Visit};

const HERE: &str = "/console/handling";
/// Of each kind.
pub(super) const SHOWN_MAX: u32 = 100;

/// What stands on top of every page of the console until somebody acknowledges it.
pub(super) fn banner(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        @if !visit.to_acknowledge.is_empty() {
            div.notice.bad #handling-banner role="alert" { (icon("no")) p {
                (t("The provider handled public data of yours on a legal order, or is about to: ", "平台依据法律要求处置或将处置您的公开数据："))
                @for id in &visit.to_acknowledge { a href={ (HERE) "#" (id) } { (id) } " " }
                (t("Look at it and acknowledge it.", "请查看并确认知悉。"))
            } }
        }
    }
}

pub(super) fn chip(lang: Lang, k: &Takedown, now: Timestamp) -> Markup {
    let (class, text) = match k.state(now) {
        State::Filed => ("warn", lang.t("filed, nothing is blocked", "已提出，尚未生效")),
        State::Declined => ("", lang.t("declined", "已否决")),
        State::Lapsed => ("", lang.t("lapsed", "已失效")),
        State::InForce => ("bad", lang.t("in force", "生效中")),
        State::Ended => ("", lang.t("ended", "已到期")),
        State::Lifted => ("ok", lang.t("lifted", "已解除")),
    };
    html! { span.chip class=(class) { (text) } }
}

fn act(lang: Lang, step: &Step) -> &'static str {
    match step.act.as_str() {
        "file" => lang.t("filed", "提出"),
        "confirm" => lang.t("confirmed", "确认"),
        "decline" => lang.t("declined", "否决"),
        "lift" => lang.t("lifted", "解除"),
        _ => lang.t("acknowledged", "确认知悉"),
    }
}

/// A takedown with its history; who the provider's people are is for themselves alone.
pub(super) fn facts(visit: &Visit, k: &Takedown, desk: bool) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        dl.facts {
            dt { (t("What", "对象")) } dd { code { (k.what()) } }
            dt { (t("Legal reference", "法律依据")) } dd { (k.order.reference()) }
            dt { (t("Why", "原因")) } dd { (k.reason) }
            dt { (t("Ends", "截止")) } dd { @match k.until { Some(at) => (time(at)), None => (t("when it is lifted", "直至解除")) } }
            @if k.order.presigned { dt { (t("Also blocked", "同时阻止")) } dd { (t("addresses that your own people signed", "您的人员签名的访问地址")) } }
        }
        ul.rows.steps { @for step in &k.steps { li { div {
            strong { (act(visit.lang, step)) } " " (time(step.at)) " "
            @match (&step.operator, desk) { (Some(id), true) => (id), _ => code { (step.writer) } }
            @if !step.note.is_empty() { p { (step.note) } }
        } } } }
    }
}

pub(super) fn work(lang: Lang, work: &Work) -> Markup {
    let on = |bucket: &Option<BucketName>| html! { @match bucket { Some(b) => code { (b) }, None => (lang.t("everything", "全部")) } };
    match work {
        Work::Quota(None) => html! { (lang.t("quota: none", "配额：无限制")) },
        Work::Quota(Some(max)) => html! { (lang.t("quota, bytes: ", "配额（字节）：")) (max) },
        Work::Scrub(bucket) => {
            html! { (lang.t("look at sealed bytes for damage: ", "检查密文是否损坏：")) code { (bucket) } }
        }
        Work::Rewrap(bucket) => {
            html! { (lang.t("seal anew under the newest key: ", "以最新密钥重新密封：")) (on(bucket)) }
        }
        Work::Repair(bucket) => {
            html! { (lang.t("bring damaged sealed bytes back from a second copy: ", "以备份恢复损坏的密文：")) code { (bucket) } }
        }
        Work::Suspend(Worker::Replication, bucket) => {
            html! { (lang.t("replication stands still: ", "暂停复制：")) (on(bucket)) }
        }
        Work::Suspend(Worker::Lifecycle, bucket) => {
            html! { (lang.t("lifecycle rules stand still: ", "暂停生命周期规则：")) (on(bucket)) }
        }
    }
}

pub(super) fn change_state(lang: Lang, c: &Change, now: Timestamp) -> Markup {
    let text = match c.word(now) {
        "planned" => lang.t("planned", "已计划"),
        "due" => lang.t("may be run", "可执行"),
        "failed" => lang.t("failed", "失败"),
        "running" => lang.t("stands still", "已暂停"),
        "done" => lang.t("done", "完成"),
        _ => lang.t("over, not run", "已过期，未执行"),
    };
    html! { (text) @if let (Some(at), "running") = (c.began_at, c.word(now)) { span.sub { (lang.t("since ", "自 ")) (time(at)) (lang.t(", until it is ended or ", "，直至恢复，或 ")) (time(c.until())) } } @if let Some((_, at, said)) = &c.ended { span.sub { (time(*at)) " " (said) } } }
}

pub(super) async fn list(s: Signed<Tenant>) -> Response {
    let (lang, t) = (s.visit.lang, |en, zh| s.visit.lang.t(en, zh));
    let list = ListHandling { tenant: s.who.id.clone(), limit: SHOWN_MAX };
    let found = match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(found) => found,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let now = s.visit.site.house.now();
    let main = html! {
        div.title { div { h1 { (t("What we did without your consent", "未经您同意的平台操作")) } p { (t("Takedowns keep public data from the public on a legal order: two of our people, always with a reference; nothing is opened or deleted, and your own people read on. Stability work and a broken glass touch sealed bytes and metadata only.", "依法处置仅阻止公众访问公开数据：须两名平台人员并注明依据；不打开、不删除任何内容，您的人员仍可读取。稳定性工作与紧急访问只涉及密文与元数据。")) } } }
        div.stack {
            (super::glass::cards(&s.visit, &found.glasses, now))
            @if found.takedowns.is_empty() { div.card { div.empty #no-takedown { h3 { (t("Nothing of yours was taken down", "没有处置过您的数据")) } } } }
            @for k in &found.takedowns { div.card.pad.stack id=(k.id) {
                h2 { (k.id) " " (chip(lang, k, now)) }
                (facts(&s.visit, k, false))
                @if !k.acknowledged { form method="post" action={ (HERE) "/" (k.id) "/acknowledge" } { (csrf(&s.visit))
                    button.btn.main-act id={ "acknowledge-" (k.id) } { (t("We have seen this", "确认知悉")) }
                } }
                details { summary { (t("Answer by a ticket", "通过工单申诉")) }
                    form.stack id={ "appeal-" (k.id) } method="post" action="/console/tickets" enctype="multipart/form-data" { (csrf(&s.visit))
                        input type="hidden" name="new-category" value=(Category::Compliance.word()); input type="hidden" name="title" value={ (t("Appeal against ", "申诉：")) (k.id) };
                        div.field { label for={ "message-" (k.id) } { (t("What you say to it", "申诉内容")) } textarea.in id={ "message-" (k.id) } name="message" rows="4" maxlength="10000" required {} }
                        button.btn { (t("Open a ticket", "新建工单")) }
                    }
                }
            } }
            div.card { div.head { h2 { (t("Stability work", "稳定性工作")) } }
                @if found.changes.is_empty() { div.empty { p { (t("None was announced.", "没有公告。")) } } }
                @else { table.tbl.slim #changes { thead { tr { th { (t("Change", "变更")) } th { (t("Planned", "计划时间")) } th { (t("State", "状态")) } } } tbody {
                    @for c in &found.changes { tr {
                        th scope="row" { (c.new.id) span.sub { (work(lang, &c.new.work)) } span.sub { (c.new.reason) " · " (c.pseudonym) } }
                        td data-l=(t("Planned", "计划时间")) { (time(c.new.planned_at)) }
                        td data-l=(t("State", "状态")) { (change_state(lang, c, now)) }
                    } }
                } } }
            }
        }
    };
    inside(&s.visit, StatusCode::OK, t("What we did", "平台操作"), Some(Here::Handling), &main)
}

pub(super) async fn acknowledge(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Ok(id) = HandlingId::parse(&id) else { return failure::missing(&s.visit) };
    let op = Acknowledge { tenant: s.who.id.clone(), id };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
