//! "Where it lies": the jurisdiction of the tenant's data, the register of transfers, and what crossed a border.

use std::collections::{BTreeMap, HashMap};

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::residency::{
    AllowRegions, Basis, ChangeTransfer, GetAllowedRegions, ListMoves, ListTransfers, Move, Region,
    RegisterTransfer, Told, Transfer, TransferChange, TransferDocument, TransferState,
};
use bailee_rooms::vault::{Bucket, ListBuckets};
use bailee_types::{RegionId, Timestamp};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, icon, inside, size, time};
use super::visit::{Lang, Posted, Signed, Tenant, Visit};

const HERE: &str = "/console/places";
const PER_PAGE: u32 = 100;
/// Places that the map draws; the table has all.
const DRAWN_MAX: usize = 8;

fn chip(lang: Lang, state: TransferState) -> Markup {
    let (class, symbol, text) = match state {
        TransferState::Live => ("ok", "check", lang.t("Live", "有效")),
        TransferState::NotYet => ("info", "clock", lang.t("Not yet", "未生效")),
        TransferState::Suspended => ("warn", "no", lang.t("Suspended", "已暂停")),
        TransferState::Expired => ("", "clock", lang.t("Expired", "已到期")),
        TransferState::Ended => ("", "cross", lang.t("Ended", "已终止")),
    };
    html! { span class={ "chip " (class) } { (icon(symbol)) (text) } }
}

fn basis_name(lang: Lang, id: &str) -> String {
    Basis::find(id).map_or_else(|| id.to_owned(), |b| lang.t(b.en, b.zh).to_owned())
}

pub(super) async fn page(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let house = &s.visit.site.house;
    let buckets =
        house.perform(s.caller.clone(), ListBuckets { tenant: s.who.id.clone(), ticket: None }).await;
    let transfers = house.perform(s.caller.clone(), ListTransfers { tenant: s.who.id.clone() }).await;
    let (buckets, transfers) = match (buckets, transfers) {
        (Ok(b), Ok(t)) => (b, t),
        (Err(e), _) | (_, Err(e)) => return failure::page(&s.visit, &e),
    };
    // Who may not know where buckets may lie sees where they lie all the same.
    let allowed = house.perform(s.caller.clone(), GetAllowedRegions { tenant: s.who.id.clone() }).await.ok();
    let regions = house.regions();
    let t = |en, zh| s.visit.lang.t(en, zh);
    let now = house.now();
    let main = html! {
        div.title { div { h1 { (t("Where it lies", "数据在哪里")) } p { (t("Your content stays in one jurisdiction. It leaves it only under a transfer that you registered here, with a legal basis, for its time; you can stop it at any moment.", "您的内容留在一个法域之内。只有在您于此登记、具备法律依据且在有效期内的跨境传输下才会离开；您可随时停止。")) } } }
        (map(&s.visit, &regions, &buckets, &transfers, now))
        @if regions.len() > 1 { @if let Some(allowed) = &allowed { (lets(&s.visit, &regions, &buckets, allowed)) } }
        section.card #register { div.head { h2 { (t("Register of transfers", "跨境传输登记")) } }
            @if transfers.is_empty() { div.empty { h3 { (t("Nothing may leave", "任何内容不得出境")) } p { (t("No transfer is registered. Operators in other places are refused.", "未登记任何传输。其他地区的运维人员会被拒绝。")) } } }
            @else { table.tbl { thead { tr { th { (t("Transfer", "传输")) } th { (t("Basis", "依据")) } th { (t("State", "状态")) } th { (t("Until", "至")) } th { (t("Moved", "已移动")) } } } tbody {
                @for x in &transfers { tr {
                    th scope="row" { a href={ (HERE) "/" (x.id) } { (x.from) " → " (x.to) } span.sub { (x.told.importer) } }
                    td data-l=(t("Basis", "依据")) { (basis_name(s.visit.lang, &x.basis)) }
                    td data-l=(t("State", "状态")) { (chip(s.visit.lang, x.state(now))) }
                    td data-l=(t("Until", "至")) { (time(x.valid_until)) }
                    td data-l=(t("Moved", "已移动")) { (x.moves) " · " (size(x.moved_bytes)) }
                } }
            } } }
        }
        (register(&s.visit, &regions, q.get("basis").map(String::as_str).unwrap_or_default()))
    };
    inside(&s.visit, StatusCode::OK, t("Where it lies", "数据在哪里"), Some(Here::Places), &main)
}

/// Each once, the house's own first.
fn jurisdictions(regions: &[Region]) -> Vec<&str> {
    let mut out: Vec<&str> = Vec::new();
    for r in regions {
        if !out.contains(&r.jurisdiction.as_str()) {
            out.push(&r.jurisdiction);
        }
    }
    out
}

fn map(visit: &Visit, regions: &[Region], all: &[Bucket], transfers: &[Transfer], now: Timestamp) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    // One row a region where something lies, and always the house's own.
    let lies: Vec<(&Region, usize)> = regions
        .iter()
        .map(|r| (r, all.iter().filter(|b| b.region == r.id).count()))
        .enumerate()
        .filter(|(n, (_, count))| *n == 0 || *count > 0)
        .map(|(_, row)| row)
        .take(DRAWN_MAX)
        .collect();
    // Of each way: whether anything may go it now, acts, bytes.
    let mut places: BTreeMap<(&str, &str), (bool, u64, u64)> = BTreeMap::new();
    for x in transfers {
        let of = places.entry((&x.to, &x.from)).or_default();
        of.0 |= x.state(now) == TransferState::Live;
        of.1 += x.moves;
        of.2 += x.moved_bytes;
    }
    let rows = places.len().clamp(1, DRAWN_MAX).max(lies.len());
    let height = 40 + rows * 80;
    let middle_of = |n: usize| {
        20 + n * height.saturating_sub(40) / lies.len().max(1)
            + height.saturating_sub(40) / lies.len().max(1) / 2
    };
    let from_y = |place: &str| middle_of(lies.iter().position(|(r, _)| r.jurisdiction == place).unwrap_or(0));
    html! {
        section.card #map {
            div.head { h2 { (t("What lies where, what crossed", "所在与出境")) } }
            div.chart.pan tabindex="0" role="group" aria-label=(t("Map of places", "地点图")) {
                svg viewBox={ "0 0 760 " (height) } role="img" aria-labelledby="map-t map-d" {
                    title #map-t { (t("Places and transfers", "地点与传输")) }
                    desc #map-d { @for (r, count) in &lies { (count) " " (t("buckets in", "个存储桶位于")) " " (r.jurisdiction) ", " (r.id) ". " } @for ((place, from), (live, moves, _)) in &places { (from) " → " (place) ": " (moves) " " (t("acts", "次操作")) ", " @if *live { (t("allowed now", "当前允许")) } @else { (t("stopped", "已停止")) } ". " } }
                    @for (n, (r, count)) in lies.iter().enumerate() {
                        @let y = middle_of(n);
                        rect.h1 x="10" y=(y - 34) width="240" height="68" rx="6" {}
                        text.t x="26" y=(y - 8) { (r.jurisdiction) " · " (r.id) }
                        text x="26" y=(y + 16) { (count) " " (t("buckets", "个存储桶")) }
                    }
                    @if places.is_empty() { text x="300" y=(middle_of(0) + 4) { (t("Nothing crossed, and nothing may.", "没有内容出境，也不允许出境。")) } }
                    @for (n, ((place, from), (live, moves, bytes))) in places.iter().take(DRAWN_MAX).enumerate() {
                        @let y = 20 + n * 80 + 40;
                        @let middle = from_y(from);
                        line x1="250" y1=(middle) x2="520" y2=(y) stroke=(if *live { "currentColor" } else { "gray" }) stroke-width="1.5" stroke-dasharray=(if *live { "none" } else { "5 5" }) {}
                        text x="360" y=((middle + y) / 2 - 6) { (moves) " · " (size(*bytes)) }
                        rect.h0 x="520" y=(y - 20) width="220" height="40" rx="6" {}
                        text.t x="536" y=(y + 5) { (place) }
                        text x="580" y=(y + 5) { @if *live { (t("may receive now", "当前可接收")) } @else { (t("stopped", "已停止")) } }
                    }
                }
            }
        }
    }
}

/// In which regions new buckets may lie.
fn lets(visit: &Visit, regions: &[Region], buckets: &[Bucket], allowed: &[RegionId]) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        section.card #regions { div.head { h2 { (t("Where your buckets may lie", "您的存储桶可以位于哪里")) } p { (t("For new buckets; one that lies somewhere does not move. With none chosen, everywhere.", "适用于新建存储桶；已有存储桶不会移动。未选择则不限。")) } }
            form.pad method="post" action={ (HERE) "/regions" } { (csrf(visit))
                @for r in regions {
                    @let there = buckets.iter().filter(|b| b.region == r.id).count();
                    p { label.tick { input type="checkbox" name={ "r-" (r.id) } value="yes" checked[allowed.contains(&r.id)]; " " (r.jurisdiction) " · " (r.id) " · " (there) " " (t("buckets", "个存储桶")) } }
                }
                button.btn { (t("Store", "保存")) }
            }
        }
    }
}

pub(super) async fn allow(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let house = &s.visit.site.house;
    let chosen =
        house.regions().into_iter().map(|r| r.id).filter(|id| !p.field(&format!("r-{id}")).is_empty());
    let op = AllowRegions { tenant: s.who.id.clone(), regions: chosen.collect() };
    match house.perform(s.caller.clone(), op).await {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn register(visit: &Visit, regions: &[Region], chosen: &str) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let field = |name: &str, label: &str, hint: &str, max: u32| {
        html! { div.field { label for=(name) { (label) } input.in id=(name) name=(name) maxlength=(max) placeholder=(hint); } }
    };
    let roles = |name: &str, label: &str, roles: &[(&str, &str)]| {
        html! { div.field { label for=(name) { (label) } select.in id=(name) name=(name) { @for (value, shown) in roles { option value=(value) { (shown) } } } } }
    };
    let (controller, processor, sub) =
        (t("controller", "控制者"), t("processor", "处理者"), t("sub-processor", "子处理者"));
    html! {
        section.card #new { div.head { h2 { (t("Register a transfer", "登记一项传输")) } p { (t("To register is to consent. Which basis holds is for you and your counsel to judge; its form is checked here.", "登记即表示同意。法律依据是否成立由您与您的顾问判断；此处检查其形式。")) } }
            form.pad method="get" action={ (HERE) "#new" } {
                div.field.big { label for="basis" { (t("Legal basis", "法律依据")) } select.in #basis name="basis" {
                    @for b in Basis::all().iter().filter(|b| b.kind != "restriction" && b.usable_until.is_none()) { option value=(b.id) selected[b.id == chosen] { (b.law.to_uppercase()) " · " (t(b.en, b.zh)) } }
                } }
                button.btn { (t("Choose", "选择")) }
            }
            @if let Some(basis) = Basis::find(chosen) {
                form.pad #transfer method="post" action=(HERE) {
                    (csrf(visit)) input type="hidden" name="basis" value=(basis.id);
                    p { strong { (t(basis.en, basis.zh)) } }
                    @if regions.len() > 1 { div.field { label for="from" { (t("From", "来自")) } select.in #from name="from" {
                        @for place in jurisdictions(regions) { option value=(place) { (place) } } } } }
                    (field("to", t("To (country)", "目的地（国家代码）"), "SG", 2))
                    div.field { label for="resources" { (t("Buckets or prefixes, one a line", "存储桶或前缀，每行一个")) } textarea.in #resources name="resources" rows="3" maxlength="4000" {} }
                    (field("importer", t("Who receives", "接收方"), "", 500))
                    (roles("exporter_role", t("Your role", "您的角色"), &[("controller", controller), ("processor", processor)]))
                    (roles("importer_role", t("Role of the receiver", "接收方角色"), &[("processor", processor), ("controller", controller), ("sub_processor", sub)]))
                    (field("purpose", t("Purpose", "目的"), "", 500))
                    (field("data_categories", t("Categories of data", "数据类别"), "", 500))
                    (field("subjects", t("Whose data, of how many people", "人群与人数"), "", 500))
                    label { input type="checkbox" name="sensitive" value="yes"; " " (t("Sensitive data is among it", "含敏感信息")) }
                    @for name in basis.needed() { (field(&format!("f-{name}"), &name.replace('_', " "), if name.ends_with("_on") || name.ends_with("_date") || name == "valid_until" { "2026-11-26" } else { "" }, 500)) }
                    div.field { label for="documents" { (t("Documents, one a line, as sha256sum prints them", "文件，每行一个，格式同 sha256sum 输出")) } textarea.in #documents name="documents" rows="3" maxlength="8000" placeholder="64 hex  contract.pdf" {} }
                    (field("days", t("Valid for days", "有效天数"), "30", 4))
                    button #do-register.btn.main-act { (t("Register", "登记")) }
                }
            }
        }
    }
}

pub(super) async fn add(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let lang = s.visit.lang;
    let Ok(days @ 1..=3_660) = p.field("days").trim().parse::<i64>() else {
        return failure::invalid(
            &s.visit,
            lang.t("Days are a number from 1 to 3660.", "天数必须是 1 到 3660 的数字。"),
        );
    };
    let lines = |name: &str| -> Vec<String> {
        p.field(name).lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).take(200).collect()
    };
    let text = |name: &str| p.field(name).trim().to_owned();
    let documents = lines("documents")
        .iter()
        .map(|line| {
            let (sha256, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let name = name.trim().trim_start_matches('*').to_owned();
            TransferDocument { sha256: sha256.to_ascii_lowercase(), name }
        })
        .collect();
    let basis = text("basis");
    let facts = Basis::find(&basis)
        .map(|b| b.needed().map(|n| (n.to_owned(), text(&format!("f-{n}")))).collect())
        .unwrap_or_default();
    let op = RegisterTransfer {
        tenant: s.who.id.clone(),
        from: Some(text("from")).filter(|f| !f.is_empty()),
        to: text("to").to_ascii_uppercase(),
        resources: lines("resources"),
        basis,
        told: Told {
            exporter_role: text("exporter_role"),
            importer: text("importer"),
            importer_role: text("importer_role"),
            purpose: text("purpose"),
            data_categories: text("data_categories"),
            sensitive: p.field("sensitive") == "yes",
            subjects: text("subjects"),
            facts,
            documents,
        },
        valid_from: None,
        valid_until: s.visit.site.house.now().plus_ms(days * 86_400_000),
    };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(id) => Redirect::to(&format!("{HERE}/{id}")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn one(
    s: Signed<Tenant>,
    Path(id): Path<String>,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    if !Transfer::is_id(&id) {
        return failure::missing(&s.visit);
    }
    let before = q.get("before").and_then(|n| n.parse().ok());
    let op = ListMoves { tenant: s.who.id.clone(), id, before, rows_max: PER_PAGE + 1 };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok((transfer, moves)) => show(&s.visit, &transfer, moves),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn show(visit: &Visit, x: &Transfer, mut moves: Vec<Move>) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let state = x.state(visit.site.house.now());
    let more = moves.len() > PER_PAGE as usize;
    moves.truncate(PER_PAGE as usize);
    let act = |what: &str, label: &str, class: &str| {
        html! { form.pad method="post" action={ (HERE) "/" (x.id) "/" (what) } { (csrf(visit))
        div.field { label for={ "why-" (what) } { (t("Why", "原因")) } input.in id={ "why-" (what) } name="reason" maxlength="500"; }
        button id=(what) class={ "btn " (class) } { (label) } } }
    };
    let row = |name: &str, value: &str| html! { tr { th scope="row" { (name) } td { (value) } } };
    let main = html! {
        p.crumb { a href=(HERE) { (t("Where it lies", "数据在哪里")) } " / " (x.id) }
        div.title { div { h1 { (x.from) " → " (x.to) } p { (x.told.importer) " · " (chip(visit.lang, state)) } } }
        section.card { div.head { h2 { (t("What was registered", "登记内容")) } } table.tbl.slim { tbody {
            (row(t("Covers", "范围"), &x.resources.join(", ")))
            (row(t("Legal basis", "法律依据"), &format!("{} ({})", basis_name(visit.lang, &x.basis), x.basis)))
            (row(t("Roles", "角色"), &format!("{} → {}", x.told.exporter_role, x.told.importer_role)))
            (row(t("Purpose", "目的"), &x.told.purpose))
            (row(t("Categories of data", "数据类别"), &x.told.data_categories))
            (row(t("Sensitive data", "敏感信息"), if x.told.sensitive { t("yes", "是") } else { t("no", "否") }))
            (row(t("Whose data", "人群"), &x.told.subjects))
            @for (name, value) in &x.told.facts { (row(&name.replace('_', " "), value)) }
            @for d in &x.told.documents { tr { th scope="row" { (d.name) } td { code { (d.sha256) } } } }
            (row(t("Valid", "有效期"), &format!("{} – {}", x.valid_from.iso(), x.valid_until.iso())))
            (row(t("Registered", "登记"), &format!("{}, {}", x.registered_at.iso(), x.registered_by)))
            @if let Some(at) = x.suspended_at { (row(t("Suspended", "暂停"), &format!("{} {}", at.iso(), x.stop_reason))) }
            @if let Some(at) = x.ended_at { (row(t("Ended", "终止"), &format!("{} {}", at.iso(), x.stop_reason))) }
        } } }
        section.card #stop { div.head { h2 { (t("Stop it", "停止")) } p { (t("Takes effect with the next act.", "自下一次操作起生效。")) } }
            @if matches!(state, TransferState::Live | TransferState::NotYet) { (act("suspend", t("Suspend", "暂停"), "")) }
            @if state == TransferState::Suspended { (act("resume", t("Resume", "恢复"), "")) }
            @if matches!(state, TransferState::Live | TransferState::NotYet | TransferState::Suspended) { (act("end", t("End for good", "永久终止"), "stop")) }
            @else { p.pad { (t("It is over.", "已结束。")) } }
        }
        section.card #moves { div.head { h2 { (t("What crossed under it", "在其下出境的内容")) } p { (x.moves) " · " (size(x.moved_bytes)) } }
            @if moves.is_empty() { div.empty { p { (t("Nothing yet.", "暂无。")) } } }
            @else { table.tbl.slim { thead { tr { th { (t("When", "时间")) } th { (t("What", "内容")) } th { (t("Who", "谁")) } th { (t("Bytes", "字节")) } th { (t("Record", "记录")) } } } tbody {
                @for m in &moves { tr {
                    td data-l=(t("When", "时间")) { (time(m.at)) }
                    th scope="row" { code { (m.resource) } }
                    td data-l=(t("Who", "谁")) { (m.who) }
                    td.num data-l=(t("Bytes", "字节")) { @match m.bytes { Some(n) => (n), None => (t("not known", "未知")) } }
                    td data-l=(t("Record", "记录")) { a href={ "/console/trail/" (m.record) } { (m.record) } }
                } }
            } } }
            @if let (true, Some(last)) = (more, moves.last()) { p.pad { a href={ (HERE) "/" (x.id) "?before=" (last.record) } { (t("Next page", "下一页")) } } }
        }
    };
    inside(visit, StatusCode::OK, &x.id, Some(Here::Places), &main)
}

pub(super) async fn change(Path((id, what)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    if !Transfer::is_id(&id) {
        return failure::missing(&s.visit);
    }
    let change = match what.as_str() {
        "suspend" => TransferChange::Suspend,
        "resume" => TransferChange::Resume,
        "end" => TransferChange::End,
        _ => return failure::missing(&s.visit),
    };
    let op = ChangeTransfer {
        tenant: s.who.id.clone(),
        id: id.clone(),
        change,
        reason: p.field("reason").trim().to_owned(),
    };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(()) => Redirect::to(&format!("{HERE}/{id}")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
