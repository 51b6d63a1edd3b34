//! Broken glass on both sides: what stands on top of the console and of "who can touch my data", cards with what was done, and the
//! desk's page from which metadata is looked at.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::gate::Caller;
use bailee_rooms::handling::{
    AskGlass, GLASS_MINUTES_MAX, Glass, GlassState, GlassStep, ListHandling, Verdict,
};
use bailee_rooms::vault::{GetBucket, GetTenantUsage, ListBuckets, ListObjects, Listed, Scrub};
use bailee_rooms::{Failure, House};
use bailee_types::{BucketName, HandlingId, TenantId, Timestamp};
use http::StatusCode;
use maud::{Markup, html};

use super::desk_handling::is;
use super::failure;
use super::frame::{Here, csrf, enc, icon, inside, size, time};
use super::visit::{Lang, Operator, Posted, Signed, Tenant, Visit};

const DESK: &str = "/desk/handling";
const CONSOLE: &str = "/console/handling";
/// Names that one look lists.
const NAMES_MAX: u32 = 200;
/// A scrub that takes longer goes on without the page.
const SCRUB_SHOWN: Duration = Duration::from_secs(5);

/// What stands above everything until somebody acknowledges it.
pub(super) fn banner(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { @if !visit.glasses.is_empty() {
        div.notice.bad #glass-banner role="alert" { (icon("no")) p {
            (t("The provider’s people broke the glass, or ask each other to: without your consent they may look at names, sizes and sealed bytes, never at content. ", "平台人员启用了或正在申请紧急访问：未经您同意可查看名称、大小与密文，绝不能查看内容。"))
            @for id in &visit.glasses { a href={ (CONSOLE) "#" (id) } { (id) } " " }
            (t("Look at it, end it, or acknowledge it.", "请查看、终止或确认知悉。"))
        } }
    } }
}

fn chip(lang: Lang, g: &Glass, now: Timestamp) -> Markup {
    let (class, text) = match g.state(now) {
        GlassState::Asked => ("warn", lang.t("asked for, nothing is open", "已申请，尚未启用")),
        GlassState::Broken => ("bad", lang.t("broken", "启用中")),
        GlassState::Lapsed => ("", lang.t("lapsed", "已失效")),
        GlassState::Expired => ("", lang.t("its time is over", "已到期")),
        GlassState::Ended => ("ok", lang.t("ended", "已终止")),
        GlassState::Void => ("", lang.t("void", "已作废")),
    };
    html! { span.chip class=(class) { (text) } @if let Some(review) = &g.review { " " (verdict(lang, review.verdict)) } }
}

fn verdict(lang: Lang, verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Accepted => html! { span.chip.ok { (lang.t("accepted", "已认可")) } },
        Verdict::Disputed => html! { span.chip.bad { (lang.t("disputed", "有异议")) } },
    }
}

/// A glass with its acts; who the provider's people are is for themselves alone.
fn facts(visit: &Visit, g: &Glass, desk: bool) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let hands = [
        Some((t("Asked for by, and acts", "申请并执行"), &g.asked)),
        g.broken.as_ref().map(|b| (t("Broken by", "批准启用"), b)),
    ];
    html! {
        dl.facts {
            dt { (t("Incident", "事件")) } dd { (g.incident) }
            dt { (t("Why", "原因")) } dd { (g.reason) }
            dt { (t("Minutes", "分钟")) } dd { (g.minutes) }
            @for (what, hand) in hands.into_iter().flatten() { dt { (what) } dd { @if desk { (hand.operator) } @else { code { (hand.pseudonym) } } " " (time(hand.at)) } }
            @if let Some(until) = g.until { dt { (t("Until", "截止")) } dd { (time(until)) } }
            @if let Some((by, at)) = &g.ended { dt { (t("Ended by", "终止人")) } dd { (by) " " (time(*at)) } }
            @if let Some(r) = &g.review { dt { (t("The tenant’s review", "租户的评审")) } dd { (verdict(visit.lang, r.verdict)) " " (r.by) " " (time(r.at)) " " (r.note)
                @if let Some(ticket) = &r.ticket { " " a href={ @if desk { "/desk/tickets/" } @else { "/console/tickets/" } (ticket) } { (ticket) } } } }
        }
        @if !g.acts.is_empty() { ul.rows.steps { @for act in &g.acts { li { div {
            strong { (act.name) } " " code { (act.resource) } " " (time(act.at)) " "
            @if desk { (act.record) } @else { a href={ "/console/trail/" (act.record) } { (t("record ", "记录 ")) (act.record) } }
        } } } } }
    }
}

fn end_form(visit: &Visit, g: &Glass) -> Markup {
    html! { form method="post" action={ (CONSOLE) "/" (g.id) "/end" } { (csrf(visit)) button.btn.stop id={ "end-" (g.id) } { (visit.lang.t("End it now", "立即终止")) } } }
}

/// The cards of a tenant's page.
pub(super) fn cards(visit: &Visit, all: &[Glass], now: Timestamp) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { @for g in all { div.card.pad.stack.glass id=(g.id) {
        h2 { (t("Broken glass ", "紧急访问 ")) (g.id) " " (chip(visit.lang, g, now)) }
        (facts(visit, g, false))
        @if g.state(now).is_open() { (end_form(visit, g)) }
        @else if g.broken.is_some() && g.review.is_none() { form.stack method="post" action={ (CONSOLE) "/" (g.id) "/review" } { (csrf(visit))
            div.field { label for={ "note-" (g.id) } { (t("What you say to it (needed to dispute it; a ticket is opened)", "您的意见（提出异议时必填，并将新建工单）")) } input.in id={ "note-" (g.id) } name="note" maxlength="1000"; }
            p { button.btn.main-act name="verdict" value="accepted" { (t("Accept", "认可")) } " " button.btn.stop name="verdict" value="disputed" { (t("Dispute", "提出异议")) } }
        } }
        @if !g.acknowledged { form method="post" action={ (CONSOLE) "/" (g.id) "/acknowledge" } { (csrf(visit)) button.btn id={ "acknowledge-" (g.id) } { (t("We have seen this", "确认知悉")) } } }
    } } }
}

/// What is open now, above everything else in "who can touch my data"; nothing for whom no policy lets see it.
pub(super) async fn section(s: &Signed<Tenant>) -> Result<Markup, Failure> {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    // One is open at most, and it is the newest.
    let found =
        match house.perform(s.caller.clone(), ListHandling { tenant: s.who.id.clone(), limit: 1 }).await {
            Ok(found) => found,
            Err(Failure::Refused(_)) => return Ok(html! {}),
            Err(e) => return Err(e),
        };
    let now = house.now();
    Ok(html! { @for g in found.glasses.iter().filter(|g| g.state(now).is_open()) { section #glass {
        div.head { h2 { (t("Broken glass", "紧急访问")) } a.more href={ (CONSOLE) "#" (g.id) } { (t("What was done", "已执行的操作")) } }
        div.card.pad.stack { p { (chip(s.visit.lang, g, now)) " " (g.incident) ": " (g.reason) " · " code { (g.asked.pseudonym) } @if let Some(until) = g.until { " · " (t("until ", "至 ")) (time(until)) } } (end_form(&s.visit, g)) }
    } } })
}

/// The desk's part of the page of handling.
pub(super) fn desk(s: &Signed<Operator>, all: &[Glass], now: Timestamp) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    html! {
        @if is(&s.caller, "stability") { form #ask-glass.card.pad method="post" action="/desk/glass" { div.stack { (csrf(&s.visit))
            h2 { (t("Break the glass", "紧急访问")) }
            p.hint { (t("For an emergency: names, sizes and sealed bytes of one tenant, never content. Another person breaks it; both show a second factor. The tenant is told at once, may end it, and reviews it.", "仅限紧急情况：查看单个租户的名称、大小与密文，绝不涉及内容。须由另一人批准启用，双方均须出示第二因素。租户立即收到通知，可终止并评审。")) }
            div.field { label for="glass-tenant" { (t("Tenant (alias or id)", "租户（别名或 ID）")) } input.in #glass-tenant name="tenant" maxlength="64" required; }
            div.field { label for="incident" { (t("Incident", "事件编号")) } input.in #incident name="incident" maxlength="64" placeholder="INC-1234" required; }
            div.field { label for="glass-reason" { (t("Why (the tenant reads it)", "原因（租户可见）")) } input.in #glass-reason name="reason" minlength="5" maxlength="1000" required; }
            div.field { label for="minutes" { (t("Minutes (at most 60)", "分钟（最多 60）")) } input.in #minutes name="minutes" type="number" min="1" max=(GLASS_MINUTES_MAX) value="30" required; }
            p { button.btn.main-act { (t("Ask for it", "申请")) } }
        } } }
        @for g in all { div.card.pad.stack.glass id=(g.id) {
            h2 { a href={ "/desk/glass/" (g.tenant) "/" (g.id) } { (t("Glass ", "紧急访问 ")) (g.id) } " " (chip(s.visit.lang, g, now)) small { " " (g.tenant) } }
            (facts(&s.visit, g, true))
            (steps(s, g, now))
        } }
    }
}

fn steps(s: &Signed<Operator>, g: &Glass, now: Timestamp) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let at = format!("/desk/glass/{}/{}", g.tenant, g.id);
    html! { @if g.state(now).is_open() { form method="post" { (csrf(&s.visit))
        @if g.state(now) == GlassState::Asked && g.asked.operator != s.who.id { button.btn.stop formaction={ (at) "/break" } id={ "break-" (g.id) } { (t("Break it", "批准启用")) } " " }
        button.btn formaction={ (at) "/end" } id={ "end-" (g.id) } { (t("End it", "终止")) }
    } } }
}

fn is_for(caller: &Caller) -> bool {
    is(caller, "stability") || is(caller, "approver")
}

fn ids(tenant: &str, id: &str) -> Option<(TenantId, HandlingId)> {
    Some((TenantId::parse(tenant).ok()?, HandlingId::parse(id).ok()?))
}

pub(super) async fn ask(p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let house = &s.visit.site.house;
    let asked = async {
        let minutes = p.field("minutes").trim().parse();
        let op = AskGlass {
            incident: p.field("incident").to_owned(),
            reason: p.field("reason").to_owned(),
            minutes: minutes
                .map_err(|_| Failure::Invalid { field: "minutes", why: "must be a number".into() })?,
            tenant: house.find_tenant(p.field("tenant").trim()).await?.id,
        };
        house.perform(s.caller.clone(), op).await
    };
    match asked.await {
        Ok((id, _)) => Redirect::to(&format!("{DESK}#{id}")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// What is looked at, by words of the address.
async fn looked(
    house: &std::sync::Arc<House>,
    caller: Caller,
    tenant: &TenantId,
    q: &HashMap<String, String>,
) -> Result<Markup, Failure> {
    let given = |name: &str| q.get(name).cloned().unwrap_or_default();
    let bucket = || {
        BucketName::parse(&given("bucket"))
            .map_err(|e| Failure::Invalid { field: "bucket", why: e.to_string() })
    };
    let tenant = tenant.clone();
    Ok(match given("look").as_str() {
        "buckets" => {
            let all = house.perform(caller, ListBuckets { tenant, ticket: None }).await?;
            html! { ul.rows #looked { @for b in &all { li { div { strong { (b.name) } p { (b.region) } } } } } }
        }
        "usage" => {
            let (max, all) = house.perform(caller, GetTenantUsage { tenant }).await?;
            html! { ul.rows #looked { li { div { "quota " @match max { Some(max) => (size(max)), None => "–" } } } @for (name, usage) in &all { li { div { strong { (name) } p { (size(usage.bytes)) " · " (usage.objects) } } } } } }
        }
        "bucket" => {
            let b = house.perform(caller, GetBucket { tenant, bucket: bucket()? }).await?;
            html! { dl.facts #looked { dt { (b.name) } dd { (b.region) " " (time(b.created_at)) } } }
        }
        "objects" => {
            let op = ListObjects {
                tenant,
                bucket: bucket()?,
                prefix: given("prefix"),
                delimiter: String::new(),
                after: given("after"),
                entries_max: NAMES_MAX,
                ticket: None,
            };
            let page = house.perform(caller, op).await?;
            html! { ul.rows #looked { @for entry in &page.entries { @if let Listed::Object(o) = entry { li { div { code { (o.key) } p { (size(o.size)) " " (time(o.modified_at)) } } } } } }
                @if let Some(after) = &page.next_after { p { a #more href={ "?look=objects&bucket=" (enc(&given("bucket"))) "&prefix=" (enc(&given("prefix"))) "&after=" (enc(after)) } { "→" } } }
            }
        }
        _ => html! {},
    })
}

/// One glass at the desk; who asked for it looks from here.
pub(super) async fn page(
    s: Signed<Operator>,
    Path((tenant, id)): Path<(String, String)>,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let (true, Some(of)) = (is_for(&s.caller), ids(&tenant, &id)) else { return failure::missing(&s.visit) };
    let house = &s.visit.site.house;
    let shown = async {
        let looked = match q.contains_key("look") {
            true => {
                let caller = house.under_glass(s.caller.clone(), (&of.0, &of.1)).await?;
                looked(house, caller, &of.0, &q).await?
            }
            false => html! {},
        };
        Ok::<_, Failure>((house.glass(&of.0, &of.1).await?, looked))
    };
    let (g, looked) = match shown.await {
        Ok(shown) => shown,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let now = house.now();
    let main = html! {
        p.crumb { a href=(DESK) { (t("Handling", "处置与变更")) } " / " (g.id) }
        div.title { div { h1 { (t("Glass ", "紧急访问 ")) (g.id) " " (chip(s.visit.lang, &g, now)) } p { (g.tenant) } } }
        div.stack {
            div.card.pad.stack { (facts(&s.visit, &g, true)) (steps(&s, &g, now)) }
            @if g.state(now) == GlassState::Broken && g.asked.operator == s.who.id { div.card.pad.stack #looks {
                p { a.btn href="?look=buckets" { (t("Buckets", "存储桶")) } " " a.btn href="?look=usage" { (t("Sizes", "用量")) } }
                form.stack method="get" {
                    div.field { label for="bucket" { (t("Bucket", "存储桶")) } input.in #bucket name="bucket" maxlength="63" required; }
                    div.field { label for="prefix" { (t("Names that begin with", "名称前缀")) } input.in #prefix name="prefix" maxlength="1023"; }
                    p { button.btn name="look" value="objects" { (t("Names and sizes", "名称与大小")) } " " button.btn name="look" value="bucket" { (t("Where it lies", "所在地域")) } }
                }
                form.stack method="post" action={ "/desk/glass/" (g.tenant) "/" (g.id) "/scrub" } { (csrf(&s.visit))
                    div.field { label for="scrubbed" { (t("Bucket (empty: all)", "存储桶（留空：全部）")) } input.in #scrubbed name="bucket" maxlength="63"; }
                    p { button.btn { (t("Look at sealed bytes for damage", "检查密文是否损坏")) } }
                }
            } }
            (looked)
        }
    };
    inside(&s.visit, StatusCode::OK, t("Broken glass", "紧急访问"), Some(Here::Handling), &main)
}

pub(super) async fn step(
    Path((tenant, id, what)): Path<(String, String, String)>,
    p: Posted<Operator>,
) -> Response {
    let s = &p.signed;
    let (true, Some(of)) = (is_for(&s.caller), ids(&tenant, &id)) else { return failure::missing(&s.visit) };
    let house = &s.visit.site.house;
    let done = match what.as_str() {
        "break" => house.step_glass(s.caller.clone(), (&of.0, &of.1), GlassStep::Break, "").await.map(drop),
        "end" => house.step_glass(s.caller.clone(), (&of.0, &of.1), GlassStep::End, "").await.map(drop),
        "scrub" => return scrub(&p, of).await,
        _ => return failure::missing(&s.visit),
    };
    match done {
        Ok(()) => Redirect::to(&format!("/desk/glass/{}/{}", of.0, of.1)).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

async fn scrub(p: &Posted<Operator>, (tenant, id): (TenantId, HandlingId)) -> Response {
    let s = &p.signed;
    let at = format!("/desk/glass/{tenant}/{id}");
    let bucket = match p.field("bucket").trim() {
        "" => None,
        name => match BucketName::parse(name) {
            Ok(bucket) => Some(bucket),
            Err(e) => {
                return failure::page(&s.visit, &Failure::Invalid { field: "bucket", why: e.to_string() });
            }
        },
    };
    let (house, caller) = (std::sync::Arc::clone(&s.visit.site.house), s.caller.clone());
    let run = tokio::spawn(async move {
        let caller = house.under_glass(caller, (&tenant, &id)).await?;
        let scrub = Scrub { tenant: Some(tenant), bucket, progress: Box::new(|_| {}) };
        house.perform(caller, scrub).await
    });
    match tokio::time::timeout(SCRUB_SHOWN, run).await {
        Ok(Ok(Err(e))) => failure::page(&s.visit, &e),
        Ok(Err(e)) => failure::page(&s.visit, &Failure::Bug(format!("a scrub stopped: {e}"))),
        Ok(Ok(Ok(done))) => {
            let t = |en, zh| s.visit.lang.t(en, zh);
            let main = html! {
                p.crumb { a href=(at) { (t("Broken glass", "紧急访问")) } }
                p #looked { (done.objects) (t(" objects looked at, damaged: ", " 个对象已检查，损坏：")) (done.damaged_in_all) }
                ul.rows { @for d in done.damaged.iter().take(NAMES_MAX as usize) { li { div { code { (d.bucket) "/" (d.key) } p { (d.what) } } } } }
            };
            inside(&s.visit, StatusCode::OK, t("Broken glass", "紧急访问"), Some(Here::Handling), &main)
        }
        // Its end is in the tenant's log.
        Err(_) => Redirect::to(&at).into_response(),
    }
}

async fn by_tenant(p: &Posted<Tenant>, id: &str, step: GlassStep, note: &str) -> Response {
    let s = &p.signed;
    let Ok(id) = HandlingId::parse(id) else { return failure::missing(&s.visit) };
    match s.visit.site.house.step_glass(s.caller.clone(), (&s.who.id, &id), step, note).await {
        Ok(_) => Redirect::to(&format!("{CONSOLE}#{id}")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn end(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    by_tenant(&p, &id, GlassStep::End, "").await
}

pub(super) async fn review(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let Some(verdict) = Verdict::parse(p.field("verdict")) else { return failure::missing(&p.signed.visit) };
    by_tenant(&p, &id, GlassStep::Review(verdict), p.field("note")).await
}
