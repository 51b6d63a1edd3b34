//! How long events say what they say: retention, legal hold, erasing one.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::trail::{
    EraseEvents, Hold, HoldScope, LiftHold, ListHolds, PlaceHold, Retention, SetRetention, ShowRetention,
};
use bailee_types::Timestamp;
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, icon, inside, time};
use super::visit::{Lang, Posted, Signed, Tenant};

const HERE: &str = "/console/trail/keeping";
const DAY_MS: i64 = 86_400_000;

pub(super) async fn show(s: Signed<Tenant>) -> Response {
    let house = &s.visit.site.house;
    let tenant = s.who.id.clone();
    let retention =
        house.perform(s.caller.clone(), ShowRetention { tenant: tenant.clone(), days: None }).await;
    let holds = house.perform(s.caller.clone(), ListHolds { tenant }).await;
    match (retention, holds) {
        (Ok(retention), Ok(holds)) => page(&s, &retention, &holds),
        (Err(e), _) | (_, Err(e)) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn set(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let days = match p.field("days").trim() {
        "" => None,
        text => match text.parse() {
            Ok(days) => Some(days),
            Err(_) => {
                let why = s.visit.lang.t("Days must be a number.", "天数必须是数字。");
                return failure::invalid(&s.visit, why);
            }
        },
    };
    let set = SetRetention { tenant: s.who.id.clone(), days };
    back(s, s.visit.site.house.perform(s.caller.clone(), set).await)
}

pub(super) async fn place(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let day = |name: &str, add: i64, none: Timestamp| match p.field(name).trim() {
        "" => Ok(none),
        day => Timestamp::parse_iso(&format!("{day}T00:00:00Z")).map(|at| at.plus_ms(add)),
    };
    let all = HoldScope::all();
    let (Ok(from), Ok(to)) = (day("from", 0, all.from), day("until", DAY_MS, all.to)) else {
        let why = s.visit.lang.t("A date must look like 2026-11-25.", "日期格式应为 2026-11-25。");
        return failure::invalid(&s.visit, why);
    };
    let place = PlaceHold {
        tenant: s.who.id.clone(),
        scope: HoldScope { from, to, resource: p.field("resource").trim().to_owned() },
        reference: p.field("reference").to_owned(),
        reason: p.field("reason").to_owned(),
    };
    back(s, s.visit.site.house.perform(s.caller.clone(), place).await)
}

pub(super) async fn lift(Path(number): Path<u64>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let lift = LiftHold { tenant: s.who.id.clone(), number, reason: p.field("reason").to_owned() };
    back(s, s.visit.site.house.perform(s.caller.clone(), lift).await)
}

pub(super) async fn erase(Path(record): Path<u64>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let erase = EraseEvents {
        tenant: s.who.id.clone(),
        records: vec![record],
        reason: p.field("reason").to_owned(),
        legal_basis: p.field("legal_basis").to_owned(),
    };
    match s.visit.site.house.perform(s.caller.clone(), erase).await {
        Ok(_) => Redirect::to(&format!("/console/trail/{record}")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn back<T>(s: &Signed<Tenant>, done: Result<T, Failure>) -> Response {
    match done {
        Ok(_) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// The form by which a record's text is erased, for the page of one record.
pub(super) fn erase_form(s: &Signed<Tenant>, record: u64) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    html! { details.card #erase { summary.pad { (t("Erase what this record says", "擦除此记录的内容")) }
        form.pad.stack method="post" action={ "/console/trail/" (record) "/erase" } { (csrf(&s.visit))
            p { (t("The text goes and does not come back. That something stood here, its kind and its time stay, and a new record says who erased it, when and why. Acts of the provider stay 180 days.", "文本将被删除且无法恢复。此处曾有记录这一事实、其类别与时间会保留，并由一条新记录说明由谁、何时、因何擦除。平台的操作须保留 180 天。")) }
            div.field { label for="reason" { (t("Why", "原因")) } input.in #reason name="reason" required maxlength="1024"; }
            div.field { label for="basis" { (t("Legal basis", "法律依据")) } input.in #basis name="legal_basis" required maxlength="1024" placeholder="GDPR Art. 17"; }
            p { button.btn.stop { (t("Erase", "擦除")) } }
        }
    } }
}

fn page(s: &Signed<Tenant>, retention: &Retention, holds: &[Hold]) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let plan = &retention.plan;
    let main = html! {
        p.crumb { a href="/console/trail" { (t("Who touched my data", "谁动过我的数据")) } " / " (t("Retention", "保留")) }
        div.title { div { h1 { (t("Retention and erasure", "保留与擦除")) } p { (t("What events say is kept at least 180 days. The entry of each record stays for ever, so every proof stays valid.", "事件内容至少保留 180 天。每条记录的条目永久保留，因此所有证明始终有效。")) } } }
        div.stack {
            section #retention { h2 { (t("Erasure by age", "按时间擦除")) } div.card { form.pad.stack method="post" action=(HERE) { (csrf(&s.visit))
                p #now { @match retention.days {
                    None => (t("Nothing is erased by age.", "目前不按时间擦除。")),
                    Some(days) => { (t("What events say goes after ", "事件内容在以下天数后擦除：")) strong { (days) } (t(" days.", " 天。")) " "
                        (t("Old enough: ", "已到期：")) (plan.old) (t("; gone: ", "；已擦除：")) (plan.erased) (t("; held: ", "；被保全：")) (plan.held) (t("; waiting: ", "；等待中：")) (plan.waiting) }
                } }
                div.field { label for="days" { (t("Days (180 to 3,650; empty: for ever)", "天数（180 至 3650；留空表示永久保留）")) }
                    input.in #days name="days" inputmode="numeric" value=(retention.days.map_or_else(String::new, |d| d.to_string())); }
                p { button.btn { (t("Store", "保存")) } }
            } } }
            section #holds { h2 { (t("Legal hold", "法律保全")) } div.card { (held(s, holds)) }
                div.card { form.pad.stack method="post" action={ (HERE) "/holds" } { (csrf(&s.visit))
                    p { (t("While a hold covers a record nobody erases it, by hand or by age, the provider neither.", "在保全期间，任何人（包括平台）都不能手动或按时间擦除所覆盖的记录。")) }
                    div.field { label for="reference" { (t("Case or order", "案件或命令编号")) } input.in #reference name="reference" required maxlength="1024"; }
                    div.field { label for="why" { (t("Why", "原因")) } input.in #why name="reason" required maxlength="1024"; }
                    div.field { label for="from" { (t("From (day, UTC; empty: the beginning)", "起始日期（UTC；留空表示从头）")) } input.in #from type="date" name="from"; }
                    div.field { label for="until" { (t("Until (day, UTC; empty: for ever)", "截止日期（UTC；留空表示永久）")) } input.in #until type="date" name="until"; }
                    div.field { label for="resource" { (t("Resource (empty: all)", "资源（留空表示全部）")) } input.in #resource name="resource" placeholder="invoices/2026/*"; }
                    p { button.btn { (icon("lock")) (t("Place the hold", "设置保全")) } }
                } }
            }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Retention and erasure", "保留与擦除"), Some(Here::Trail), &main)
}

fn held(s: &Signed<Tenant>, holds: &[Hold]) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    if holds.is_empty() {
        return html! { div.empty { h3 { (t("No hold", "没有保全")) } p { (t("Nothing is kept beyond its time.", "没有记录被延长保留。")) } } };
    }
    html! { table { thead { tr { th { "#" } th { (t("Case", "案件")) } th { (t("Placed by", "设置人")) } th { (t("Holds", "范围")) } th { (t("Since", "起始")) } th { (t("Lifted", "解除")) } } }
        tbody { @for h in holds { tr {
            td { (h.number) } td { (h.reference) br; (h.reason) }
            td { (h.placed_by) @if h.by_provider { " " (t("(provider)", "（平台）")) } }
            td { (scope(s.visit.lang, &h.scope)) } td { (time(h.placed_at)) }
            td { @match h.lifted_at {
                Some(at) => (time(at)),
                None if h.by_provider => (t("by the provider only", "仅平台可解除")),
                None => { form method="post" action={ (HERE) "/holds/" (h.number) "/lift" } { (csrf(&s.visit))
                    label for={ "lift" (h.number) } { (t("Why", "原因")) } " " input.in id={ "lift" (h.number) } name="reason" required maxlength="1024"; " " button.btn { (t("Lift", "解除")) } } }
            } }
        } } }
    } }
}

fn scope(lang: Lang, scope: &HoldScope) -> String {
    let all = HoldScope::all();
    let from = if scope.from == all.from { String::new() } else { scope.from.iso() };
    let to = if scope.to == all.to { String::new() } else { scope.to.iso() };
    let time = if from.is_empty() && to.is_empty() {
        lang.t("always", "全部时间").to_owned()
    } else {
        format!("{from} – {to}")
    };
    let resource = scope.resource.splitn(5, ':').last().unwrap_or_default();
    let resource = if resource.is_empty() { lang.t("all resources", "全部资源") } else { resource };
    format!("{time}; {resource}")
}
