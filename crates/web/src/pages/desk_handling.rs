//! The desk's side of handling: takedowns for compliance and approvers, stability work for those whose it is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::gate::{Caller, Principal};
use bailee_rooms::handling::{Answer, Covers, FileTakedown, NewChange, Order, State, Takedown, Work, Worker};
use bailee_types::{BucketName, ChangeId, HandlingId, TenantId, Timestamp};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::handling::{SHOWN_MAX, change_state, chip, facts, work};
use super::visit::{Operator, Posted, Signed, Visit};

const HERE: &str = "/desk/handling";
/// A run that takes longer goes on without the page.
const RUN_SHOWN: Duration = Duration::from_secs(5);

pub(super) fn is(caller: &Caller, role: &str) -> bool {
    matches!(caller.principal(), Principal::Operator { roles, .. } if roles.iter().any(|r| r == role))
}

/// Whether the page is for an operator.
pub(super) fn is_for(caller: &Caller) -> bool {
    ["compliance", "approver", "stability"].iter().any(|role| is(caller, role))
}

pub(super) async fn page(s: Signed<Operator>) -> Response {
    if !is_for(&s.caller) {
        return failure::missing(&s.visit);
    }
    let (lang, t) = (s.visit.lang, |en, zh| s.visit.lang.t(en, zh));
    let found = match s.visit.site.house.all_handling(SHOWN_MAX).await {
        Ok(found) => found,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let (files, answers, runs) =
        (is(&s.caller, "compliance"), is(&s.caller, "approver"), is(&s.caller, "stability"));
    let now = s.visit.site.house.now();
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " (t("Handling", "处置与变更")) }
        div.title { div { h1 { (t("Handling", "处置与变更")) } p { (t("The tenant’s log has each step before it happens, and the tenant is told.", "每一步在发生之前记入租户日志，并通知租户。")) } } }
        div.stack {
            @if runs || answers { (super::glass::desk(&s, &found.glasses, now)) }
            @if files { (form(&s.visit)) }
            @if files || answers { @for k in &found.takedowns { div.card.pad.stack id=(k.id) {
                h2 { (k.id) " " (chip(lang, k, now)) small { " " (k.tenant) } }
                (facts(&s.visit, k, true))
                (buttons(&s, k, now))
            } } }
            @if runs {
                (announcement(&s.visit))
                div.card { table.tbl.slim #changes { thead { tr { th { (t("Change", "变更")) } th { (t("Planned", "计划时间")) } th { (t("State", "状态")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                    @for c in &found.changes { tr {
                        th scope="row" { (c.new.id) " " (c.new.tenant) span.sub { (work(lang, &c.new.work)) } span.sub { (c.new.reason) " · " (c.operator) } }
                        td data-l=(t("Planned", "计划时间")) { (time(c.new.planned_at)) }
                        td data-l=(t("State", "状态")) { (change_state(lang, c, now)) }
                        td.act { @if let "due" | "failed" | "running" = c.word(now) { form method="post" action={ "/desk/changes/" (c.new.tenant) "/" (c.new.id) "/run" } { (csrf(&s.visit)) button.btn.slim id={ "run-" (c.new.id) } { @if c.word(now) == "running" { (t("Let it work again", "恢复")) } @else { (t("Run", "执行")) } } } } }
                    } }
                } } }
            }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Handling", "处置与变更"), Some(Here::Handling), &main)
}

/// What somebody may do next about a takedown.
fn buttons(s: &Signed<Operator>, k: &Takedown, now: Timestamp) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let own = k.steps.first().and_then(|step| step.operator.as_ref()) == Some(&s.who.id);
    let choices: &[(&str, &str)] = match k.state(now) {
        State::Filed if !own => {
            &[("confirm", t("Confirm: block it", "确认：阻止访问")), ("decline", t("Decline", "否决"))]
        }
        State::InForce if is(&s.caller, "compliance") => &[("lift", t("Lift it", "解除"))],
        _ => return html! {},
    };
    html! { form method="post" { (csrf(&s.visit))
        div.field { label for={ "note-" (k.id) } { (t("Note (needed but for a confirmation; the tenant reads it)", "说明（确认以外必填；租户可见）")) } input.in id={ "note-" (k.id) } name="note" maxlength="1000"; }
        @for (what, text) in choices { button.btn formaction={ (HERE) "/" (k.tenant) "/" (k.id) "/" (what) } id={ (what) "-" (k.id) } { (text) } " " }
    } }
}

fn form(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let field = |name: &'static str, label: &'static str, max: &'static str, required: bool| html! { div.field { label for=(name) { (label) } input.in id=(name) name=(name) maxlength=(max) required[required]; } };
    html! { form #file.card.pad method="post" action=(HERE) { div.stack { (csrf(visit))
        h2 { (t("Take down public data on a legal order", "依法处置公开数据")) }
        p.hint { (t("Another person confirms it. What is private cannot be named. Nothing is opened or deleted; the tenant reads on.", "须由另一人确认。不能针对非公开数据；不打开、不删除，租户仍可读取。")) }
        (field("tenant", t("Tenant (alias or id)", "租户（别名或 ID）"), "64", true))
        (field("bucket", t("Bucket", "存储桶"), "63", true))
        (field("object", t("Object, or the beginning of names and *; empty: all public access to the bucket", "对象名，或前缀加 *；留空表示整个存储桶的公开访问"), "1023", false))
        (field("authority", t("Authority", "机关"), "100", true))
        (field("document", t("Number of the document", "文号"), "100", true))
        div.field { label for="dated" { (t("Its date", "文件日期")) } input.in #dated name="dated" type="date" required; }
        (field("reason", t("Why (the tenant reads it)", "原因（租户可见）"), "1000", true))
        div.field { label for="until" { (t("Ends on (empty: when it is lifted)", "截止日期（留空：直至解除）")) } input.in #until name="until" type="date"; }
        label.tick { input type="checkbox" name="presigned" value="yes"; " " (t("The order names addresses that the tenant’s people signed, too", "法律文件同时针对租户签名的访问地址")) }
        p { button.btn.main-act { (t("File", "提出")) } }
    } } }
}

fn announcement(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { form #announce.card.pad method="post" action="/desk/changes" { div.stack { (csrf(visit))
        h2 { (t("Announce stability work", "公告稳定性工作")) }
        div.field { label for="change" { (t("Change", "变更编号")) } input.in #change name="change" maxlength="64" placeholder="CHG-1234" required; }
        div.field { label for="of" { (t("Tenant (alias or id)", "租户（别名或 ID）")) } input.in #of name="tenant" maxlength="64" required; }
        div.field { label for="work" { (t("Work", "工作")) } select.in #work name="work" {
            option value="quota" { (t("Set what it may store (bytes; empty: no limit)", "设置存储配额（字节；留空：无限制）")) }
            option value="scrub" { (t("Look at a bucket’s sealed bytes for damage", "检查存储桶密文是否损坏")) }
            option value="rewrap" { (t("Seal anew under the newest key (a bucket; empty: everything)", "以最新密钥重新密封（存储桶；留空：全部）")) }
            option value="repair" { (t("Bring a bucket’s damaged bytes back from a second copy (run at the machine)", "以备份恢复存储桶的损坏密文（在机器上执行）")) }
            option value="suspend-replication" { (t("Let replication stand still (a bucket; empty: all)", "暂停复制（存储桶；留空：全部）")) }
            option value="suspend-lifecycle" { (t("Let lifecycle rules stand still (a bucket; empty: all)", "暂停生命周期规则（存储桶；留空：全部）")) }
        } }
        div.field { label for="on" { (t("Bucket", "存储桶")) } input.in #on name="bucket" maxlength="63"; }
        div.field { label for="bytes" { (t("Bytes", "字节")) } input.in #bytes name="bytes" inputmode="numeric" maxlength="19"; }
        div.field { label for="why" { (t("Why (the tenant reads it)", "原因（租户可见）")) } input.in #why name="reason" minlength="5" maxlength="1000" required; }
        div.field { label for="planned" { (t("When, UTC (empty: now)", "计划时间（UTC；留空：现在）")) } input.in #planned name="planned" placeholder="2026-11-30T02:00" maxlength="16"; }
        p { button.btn.main-act { (t("Announce", "公告")) } }
    } } }
}

fn wrong(field: &'static str, why: impl Into<String>) -> Failure {
    Failure::Invalid { field, why: why.into() }
}

/// Nothing, or what a field holds.
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Result<T, Failure>) -> Result<Option<T>, Failure> {
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

fn instant(field: &'static str, text: &str, rest: &str) -> Result<Timestamp, Failure> {
    Timestamp::parse_iso(&format!("{text}{rest}"))
        .map_err(|_| wrong(field, "must be a day or a time, e.g. 2026-11-30 or 2026-11-30T02:00"))
}

fn bucket(text: &str) -> Result<BucketName, Failure> {
    BucketName::parse(text).map_err(|e| wrong("bucket", e.to_string()))
}

pub(super) async fn file(p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let house = &s.visit.site.house;
    let filed = async {
        let op = FileTakedown {
            bucket: bucket(p.field("bucket").trim())?,
            covers: Covers::parse(p.field("object"))?,
            order: Order {
                authority: p.field("authority").to_owned(),
                document: p.field("document").to_owned(),
                dated: p.field("dated").to_owned(),
                presigned: p.field("presigned") == "yes",
            },
            reason: p.field("reason").to_owned(),
            until: optional(p.field("until"), |day| instant("until", day, "T00:00:00Z"))?,
            tenant: house.find_tenant(p.field("tenant").trim()).await?.id,
        };
        house.perform(s.caller.clone(), op).await
    };
    match filed.await {
        Ok(id) => Redirect::to(&format!("{HERE}#{id}")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn answer(
    Path((tenant, id, what)): Path<(String, String, String)>,
    p: Posted<Operator>,
) -> Response {
    let s = &p.signed;
    let answer = match what.as_str() {
        "confirm" => Answer::Confirm,
        "decline" => Answer::Decline,
        "lift" => Answer::Lift,
        _ => return failure::missing(&s.visit),
    };
    let (true, Ok(tenant), Ok(id)) = (is_for(&s.caller), TenantId::parse(&tenant), HandlingId::parse(&id))
    else {
        return failure::missing(&s.visit);
    };
    let house = &s.visit.site.house;
    match house.answer_takedown(s.caller.clone(), (&tenant, &id), answer, p.field("note")).await {
        Ok(()) => Redirect::to(&format!("{HERE}#{id}")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn announce(p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let house = &s.visit.site.house;
    let announced = async {
        let on = optional(p.field("bucket"), bucket)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong("bytes", "must be a number"));
        let work = match (p.field("work"), on) {
            ("quota", _) => Work::Quota(optional(p.field("bytes"), number)?),
            ("scrub", Some(on)) => Work::Scrub(on),
            ("rewrap", on) => Work::Rewrap(on),
            ("repair", Some(on)) => Work::Repair(on),
            ("suspend-replication", on) => Work::Suspend(Worker::Replication, on),
            ("suspend-lifecycle", on) => Work::Suspend(Worker::Lifecycle, on),
            ("scrub" | "repair", None) => return Err(wrong("bucket", "is missing")),
            _ => return Err(wrong("work", "is none that there is")),
        };
        let planned = optional(p.field("planned"), |text| instant("planned", text, ":00Z"))?;
        let new = NewChange {
            id: ChangeId::parse(p.field("change").trim()).map_err(|e| wrong("change", e.to_string()))?,
            work,
            reason: p.field("reason").to_owned(),
            planned_at: planned.unwrap_or_else(|| house.now()),
            tenant: house.find_tenant(p.field("tenant").trim()).await?.id,
        };
        house.announce_change(s.caller.clone(), new).await
    };
    match announced.await {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn run(Path((tenant, id)): Path<(String, String)>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let (true, Ok(tenant), Ok(id)) = (is_for(&s.caller), TenantId::parse(&tenant), ChangeId::parse(&id))
    else {
        return failure::missing(&s.visit);
    };
    let (house, caller) = (Arc::clone(&s.visit.site.house), s.caller.clone());
    // It may take hours: who waits no longer looks again, the work goes on.
    let run = tokio::spawn(async move { house.run_change(caller, &tenant, &id).await });
    match tokio::time::timeout(RUN_SHOWN, run).await {
        Ok(Ok(Err(e))) => failure::page(&s.visit, &e),
        Ok(Err(e)) => failure::page(&s.visit, &Failure::Bug(format!("a run stopped: {e}"))),
        Ok(Ok(Ok(_))) | Err(_) => Redirect::to(HERE).into_response(),
    }
}
