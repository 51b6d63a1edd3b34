//! "Where it lies": the jurisdiction of the tenant's data, the register of transfers, and what crossed a border.

use std::collections::{BTreeMap, HashMap};

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::residency::{
    AllowRegions, AttachDocument, Basis, ChangeTransfer, DeclineTransfer, Documents, GetAllowedRegions,
    ListDocuments, ListMoves, ListTransferRequests, ListTransfers, Move, ReadDocument, Region,
    RegisterTransfer, RemoveDocument, RequestState, Told, Transfer, TransferChange, TransferDocument,
    TransferRequest, TransferState,
};
use bailee_rooms::vault::{Bucket, ListBuckets, is_digest};
use bailee_types::{RegionId, Timestamp};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, enc, icon, inside, size, time};
use super::objects::attachment;
use super::upload::WithPapers;
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

/// How a request stands.
pub(super) fn request_chip(lang: Lang, state: RequestState) -> Markup {
    let (class, symbol, text) = match state {
        RequestState::Requested => ("warn", "clock", lang.t("Requested", "待答复")),
        RequestState::Accepted => ("ok", "check", lang.t("Accepted", "已接受")),
        RequestState::Declined => ("", "cross", lang.t("Declined", "已拒绝")),
        RequestState::Lapsed => ("", "clock", lang.t("Lapsed", "已失效")),
        RequestState::TicketClosed => ("", "cross", lang.t("Ticket closed", "工单已关闭")),
    };
    html! { span class={ "chip " (class) } { (icon(symbol)) (text) } }
}

/// The bases that can be chosen.
pub(super) fn basis_choice(lang: Lang, chosen: &str) -> Markup {
    html! { select.in #basis name="basis" {
        @for b in Basis::all().iter().filter(|b| b.kind != "restriction" && b.usable_until.is_none()) { option value=(b.id) selected[b.id == chosen] { (b.law.to_uppercase()) " · " (lang.t(b.en, b.zh)) } }
    } }
}

/// The lines of a field that has one thing a line.
pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).take(200).collect()
}

pub(super) fn basis_name(lang: Lang, id: &str) -> String {
    Basis::find(id).map_or_else(|| id.to_owned(), |b| lang.t(b.en, b.zh).to_owned())
}

pub(super) async fn page(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let house = &s.visit.site.house;
    let buckets =
        house.perform(s.caller.clone(), ListBuckets { tenant: s.who.id.clone(), ticket: None }).await;
    let transfers = house.perform(s.caller.clone(), ListTransfers { tenant: s.who.id.clone() }).await;
    let requests = house.perform(s.caller.clone(), ListTransferRequests { tenant: s.who.id.clone() }).await;
    let (buckets, transfers, requests) = match (buckets, transfers, requests) {
        (Ok(b), Ok(t), Ok(q)) => (b, t, q),
        (Err(e), ..) | (_, Err(e), _) | (.., Err(e)) => return failure::page(&s.visit, &e),
    };
    let asked = |name: &str| q.get(name).map(String::as_str).unwrap_or_default();
    let accepted = requests.iter().find(|r| r.id == asked("request"));
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
        (wanted(&s.visit, &requests, now))
        (register(&s.visit, &regions, asked("basis"), accepted))
    };
    inside(&s.visit, StatusCode::OK, t("Where it lies", "数据在哪里"), Some(Here::Places), &main)
}

/// What operators ask for, and the answers.
fn wanted(visit: &Visit, requests: &[TransferRequest], now: Timestamp) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        section.card #requests { div.head { h2 { (t("Requests of operators", "运维人员的请求")) } p { (t("A request permits nothing. Accept it, or less of it, by registering a transfer; what you do not answer lapses.", "请求本身不允许任何操作。您可通过登记传输来接受全部或部分；未答复的请求会失效。")) } }
            @if requests.is_empty() { div.empty { p { (t("Nobody asks.", "没有请求。")) } } }
            @else { table.tbl { thead { tr { th { (t("Way", "方向")) } th { (t("Asked for", "请求内容")) } th { (t("State", "状态")) } th { span.sr { (t("Answer", "答复")) } } } } tbody {
                @for r in requests { @let state = r.state(now); tr id=(r.id) {
                    th scope="row" { (r.from) " → " (r.to) span.sub { (r.importer) " · " (r.pseudonym) " (" (r.place) ") · " (r.ticket) } }
                    td data-l=(t("Asked for", "请求内容")) { span { code { (r.resources.join(", ")) } small { (r.reason) " · " (basis_name(visit.lang, &r.basis)) " · " (r.days) " " (t("days", "天")) } } }
                    td data-l=(t("State", "状态")) { span { (request_chip(visit.lang, state)) small {
                        @match &r.answer {
                            Some(a) => { (time(a.at)) " " (a.by) " " (a.note) @if let Some(id) = &a.transfer { " " a href={ (HERE) "/" (id) } { (id) } } }
                            None => { (t("asked ", "提出于 ")) (time(r.asked_at)) @if state == RequestState::Requested { (t(", lapses ", "，失效于 ")) (time(r.lapses_at)) } }
                        }
                    } } }
                    td.act { @if state == RequestState::Requested {
                        a.btn.slim href={ (HERE) "?request=" (r.id) "&basis=" (enc(&r.basis)) "#new" } { (t("Look and accept", "查看并接受")) }
                        form method="post" action={ (HERE) "/requests/" (r.id) "/decline" } { (csrf(visit))
                            label.sr for={ "note-" (r.id) } { (t("Why not", "原因")) }
                            input.in id={ "note-" (r.id) } name="note" maxlength="500" placeholder=(t("Why not", "原因"));
                            button.btn.slim.stop { (t("Decline", "拒绝")) } }
                    } }
                } }
            } } }
        }
    }
}

pub(super) async fn decline(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    if !TransferRequest::is_id(&id) {
        return failure::missing(&s.visit);
    }
    let op = DeclineTransfer { tenant: s.who.id.clone(), id, note: p.field("note").trim().to_owned() };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(()) => Redirect::to(&format!("{HERE}#requests")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// Each once, the house's own first.
pub(super) fn jurisdictions(regions: &[Region]) -> Vec<&str> {
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

fn register(visit: &Visit, regions: &[Region], chosen: &str, accepted: Option<&TransferRequest>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let filled = |name: &str, label: &str, hint: &str, max: u32, value: Option<String>| {
        html! { div.field { label for=(name) { (label) } input.in id=(name) name=(name) maxlength=(max) placeholder=(hint) value=[value]; } }
    };
    let field = |name: &str, label: &str, hint: &str, max: u32| filled(name, label, hint, max, None);
    let wish = |of: fn(&TransferRequest) -> String| accepted.map(of);
    let request = html! { @if let Some(r) = accepted { input type="hidden" name="request" value=(r.id); } };
    let roles = |name: &str, label: &str, roles: &[(&str, &str)]| {
        html! { div.field { label for=(name) { (label) } select.in id=(name) name=(name) { @for (value, shown) in roles { option value=(value) { (shown) } } } } }
    };
    let (controller, processor, sub) =
        (t("controller", "控制者"), t("processor", "处理者"), t("sub-processor", "子处理者"));
    html! {
        section.card #new { div.head { h2 { (t("Register a transfer", "登记一项传输")) } p { (t("To register is to consent. Which basis holds is for you and your counsel to judge; its form is checked here.", "登记即表示同意。法律依据是否成立由您与您的顾问判断；此处检查其形式。")) } }
            @if let Some(r) = accepted { p.pad { (t("This accepts request ", "此操作将接受请求 ")) code { (r.id) } (t(": from and to stay as asked; buckets may be fewer or prefixes longer, days fewer.", "：来源与目的地保持不变；存储桶可更少、前缀可更长、天数可更短。")) } }
            form.pad method="get" action={ (HERE) "#new" } { (request)
                div.field.big { label for="basis" { (t("Legal basis", "法律依据")) } (basis_choice(visit.lang, chosen)) }
                button.btn { (t("Choose", "选择")) }
            }
            @if let Some(basis) = Basis::find(chosen) {
                form.pad #transfer method="post" action=(HERE) enctype="multipart/form-data" {
                    (csrf(visit)) (request) input type="hidden" name="basis" value=(basis.id);
                    p { strong { (t(basis.en, basis.zh)) } }
                    @if regions.len() > 1 { div.field { label for="from" { (t("From", "来自")) } select.in #from name="from" {
                        @for place in jurisdictions(regions) { option value=(place) selected[accepted.is_some_and(|r| r.from == place)] { (place) } } } } }
                    (filled("to", t("To (country)", "目的地（国家代码）"), "SG", 2, wish(|r| r.to.clone())))
                    div.field { label for="resources" { (t("Buckets or prefixes, one a line", "存储桶或前缀，每行一个")) } textarea.in #resources name="resources" rows="3" maxlength="60000" { @if let Some(r) = accepted { (r.resources.join("\n")) } } }
                    (filled("importer", t("Who receives", "接收方"), "", 500, wish(|r| r.importer.clone())))
                    (roles("exporter_role", t("Your role", "您的角色"), &[("controller", controller), ("processor", processor)]))
                    (roles("importer_role", t("Role of the receiver", "接收方角色"), &[("processor", processor), ("controller", controller), ("sub_processor", sub)]))
                    (filled("purpose", t("Purpose", "目的"), "", 500, wish(|r| r.reason.clone())))
                    (field("data_categories", t("Categories of data", "数据类别"), "", 500))
                    (field("subjects", t("Whose data, of how many people", "人群与人数"), "", 500))
                    label { input type="checkbox" name="sensitive" value="yes"; " " (t("Sensitive data is among it", "含敏感信息")) }
                    @for name in basis.needed() { (field(&format!("f-{name}"), &name.replace('_', " "), if name.ends_with("_on") || name.ends_with("_date") || name == "valid_until" { "2026-11-26" } else { "" }, 500)) }
                    div.field { label for="documents" { (t("Documents, one a line, as sha256sum prints them", "文件，每行一个，格式同 sha256sum 输出")) } textarea.in #documents name="documents" rows="3" maxlength="8000" placeholder="64 hex  contract.pdf" {} }
                    div.field { label for="files" { (t("Documents themselves: PDF, PNG, JPEG, DOCX, XLSX, text; 20 MiB each, 40 in one form", "文件本身：PDF、PNG、JPEG、DOCX、XLSX、文本；每个 20 MiB，每次共 40 MiB")) } input.in #files type="file" name="files" multiple; }
                    (filled("days", t("Valid for days", "有效天数"), "30", 4, wish(|r| r.days.to_string())))
                    button #do-register.btn.main-act { (t("Register", "登记")) }
                }
            }
        }
    }
}

pub(super) async fn add(with: WithPapers<Tenant>) -> Response {
    let (p, s) = (&with.posted, &with.posted.signed);
    let lang = s.visit.lang;
    let Ok(days @ 1..=3_660) = p.field("days").trim().parse::<i64>() else {
        return failure::invalid(
            &s.visit,
            lang.t("Days are a number from 1 to 3660.", "天数必须是 1 到 3660 的数字。"),
        );
    };
    let text = |name: &str| p.field(name).trim().to_owned();
    let documents = lines(p.field("documents"))
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
        resources: lines(p.field("resources")),
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
        attached: with.papers.clone(),
        request: Some(text("request")).filter(|r| !r.is_empty()),
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
    let documents = ListDocuments { tenant: s.who.id.clone(), id: id.clone() };
    let documents = s.visit.site.house.perform(s.caller.clone(), documents).await;
    let op = ListMoves { tenant: s.who.id.clone(), id, before, rows_max: PER_PAGE + 1 };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok((transfer, moves)) => show(&s.visit, &transfer, documents, moves),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// The documents of a transfer: what is kept, what was named only, and the forms that bring more.
fn papers(visit: &Visit, x: &Transfer, documents: &Documents) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let over = matches!(x.state(visit.site.house.now()), TransferState::Ended | TransferState::Expired);
    let here = format!("{HERE}/{}/documents", x.id);
    let act = |sha256: &str, what: &str, label: &str, class: &str| {
        html! { form method="post" action={ (here) "/" (sha256) "/" (what) } { (csrf(visit)) button class={ "btn slim " (class) } { (label) } } }
    };
    let bring = |id: &str, named: Option<&str>, label: &str| {
        html! { form method="post" action=(here) enctype="multipart/form-data" { (csrf(visit))
        @if let Some(sha256) = named { input type="hidden" name="named" value=(sha256); }
        label.sr for=(id) { (t("Document", "文件")) } input.in id=(id) type="file" name="files" required;
        button.btn.slim { (label) } } }
    };
    html! {
        section.card #documents { div.head { h2 { (t("Documents", "文件")) } p { (t("Kept sealed under your key. Each reading stands in your log; no operator can read them. While the transfer is live, none is removed.", "以您的密钥密封保存。每次读取都记入您的日志；任何运维人员都无法读取。传输有效期间不可移除。")) } }
            @if documents.kept.is_empty() && documents.missing.is_empty() { div.empty { p { (t("None.", "无。")) } } }
            @else { table.tbl { thead { tr { th { (t("Document", "文件")) } th { "SHA-256" } th { (t("Kept", "保存")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for d in &documents.kept { tr {
                    th scope="row" { (d.name) span.sub { (d.media.mime()) " · " (size(d.size)) } }
                    td data-l="SHA-256" { code { (d.sha256) } }
                    td data-l=(t("Kept", "保存")) { span { (time(d.attached_at)) small { (d.attached_by) } } }
                    td.act { (act(&d.sha256, "read", t("Download", "下载"), "")) @if over { (act(&d.sha256, "remove", t("Remove", "移除"), "stop")) } }
                } }
                @for (n, d) in documents.missing.iter().enumerate() { tr {
                    th scope="row" { (d.name) }
                    td data-l="SHA-256" { code { (d.sha256) } }
                    td data-l=(t("Kept", "保存")) { (t("named only", "仅登记")) }
                    td.act { (bring(&format!("named-{n}"), Some(&d.sha256), t("Supply it", "补交"))) }
                } }
            } } }
            div.pad #attach { (bring("file", None, t("Attach a document", "附加文件"))) }
        }
    }
}

pub(super) async fn attach(Path(id): Path<String>, with: WithPapers<Tenant>) -> Response {
    let s = &with.posted.signed;
    if !Transfer::is_id(&id) {
        return failure::missing(&s.visit);
    }
    let [document] = with.papers.as_slice() else {
        return failure::invalid(&s.visit, s.visit.lang.t("Choose one document.", "请选择一个文件。"));
    };
    let named = Some(with.posted.field("named").trim().to_owned()).filter(|n| !n.is_empty());
    let op = AttachDocument { tenant: s.who.id.clone(), id: id.clone(), document: document.clone(), named };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(()) => Redirect::to(&format!("{HERE}/{id}#documents")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn document(
    Path((id, sha256, what)): Path<(String, String, String)>,
    p: Posted<Tenant>,
) -> Response {
    let s = &p.signed;
    let (house, tenant) = (&s.visit.site.house, s.who.id.clone());
    if !Transfer::is_id(&id) || !is_digest(&sha256) {
        return failure::missing(&s.visit);
    }
    match what.as_str() {
        "read" => match house.perform(s.caller.clone(), ReadDocument { tenant, id, sha256 }).await {
            Ok((paper, bytes)) => attachment(Body::from_stream(bytes), &paper.name, paper.size),
            Err(e) => failure::page(&s.visit, &e),
        },
        "remove" => {
            let to = format!("{HERE}/{id}#documents");
            match house.perform(s.caller.clone(), RemoveDocument { tenant, id, sha256 }).await {
                Ok(()) => Redirect::to(&to).into_response(),
                Err(e) => failure::page(&s.visit, &e),
            }
        }
        _ => failure::missing(&s.visit),
    }
}

fn show(
    visit: &Visit,
    x: &Transfer,
    documents: Result<Documents, Failure>,
    mut moves: Vec<Move>,
) -> Response {
    // A document that is damaged keeps nobody from stopping the transfer.
    let documents = match &documents {
        Ok(documents) => papers(visit, x, documents),
        Err(e) => {
            tracing::error!(request.id = %visit.origin.request_id, "the documents of `{}` cannot be listed: {e}", x.id);
            html! { section.card #documents { div.notice.bad role="alert" { (icon("no")) div { p { (visit.lang.t("The documents cannot be listed: something failed on our side. Request ", "无法列出文件：平台内部出错。请求 ")) code { (visit.origin.request_id) } } } } } }
        }
    };
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
            (row(t("Valid", "有效期"), &format!("{} – {}", x.valid_from.iso(), x.valid_until.iso())))
            (row(t("Registered", "登记"), &format!("{}, {}", x.registered_at.iso(), x.registered_by)))
            @if let Some(at) = x.suspended_at { (row(t("Suspended", "暂停"), &format!("{} {}", at.iso(), x.stop_reason))) }
            @if let Some(at) = x.ended_at { (row(t("Ended", "终止"), &format!("{} {}", at.iso(), x.stop_reason))) }
        } } }
        (documents)
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
