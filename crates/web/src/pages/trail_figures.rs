//! The same acts as pictures: by day, by hour of the week, by who, by resource. Each picture has its numbers as a table
//! beside it.

use std::collections::HashMap;

use axum::extract::Query;
use axum::response::Response;
use bailee_rooms::trail::{CountActs, Figures, Tally};
use bailee_types::Timestamp;
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, badge, icon, inside};
use super::trail_filter;
use super::visit::{Lang, Signed, Tenant};

const DAY_MS: i64 = 86_400_000;
/// Days shown when the address does not say.
const DAYS: i64 = 30;
/// Bars of a picture; the rest stands in the table.
const BARS_MAX: usize = 12;
const TABLE_MAX: usize = 200;

pub(super) async fn page(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let lang = s.visit.lang;
    let mut filter = match trail_filter::read(lang, &q) {
        Ok(filter) => filter,
        Err(text) => return failure::invalid(&s.visit, text),
    };
    let today = s.visit.site.house.now().ms().div_euclid(DAY_MS) * DAY_MS;
    let until = *filter.until.get_or_insert(Timestamp::from_ms(today + DAY_MS));
    filter.from.get_or_insert(until.plus_ms(-DAYS * DAY_MS));
    let count = CountActs { tenant: s.who.id.clone(), filter };
    let figures = match s.visit.site.house.perform(s.caller.clone(), count).await {
        Ok(figures) => figures,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        div.title { div { h1 { (t("Who touched my data, in figures", "谁动过我的数据：图表")) } p { (t("Counted out of the log itself, act by act. Times are UTC.", "逐条取自日志本身。时间为 UTC。")) } } }
        (trail_filter::tabs(&s.visit, &q, "/console/trail/figures"))
        (trail_filter::form(&s.visit, &q))
        @if !figures.complete { p #incomplete.notice.warn role="alert" { (icon("warn")) (t("The span holds more than is counted at once; older acts are missing here. Choose a shorter one.", "时间范围过大，较早的操作未计入。请缩短范围。")) } }
        @if figures.damaged > 0 { p.notice.bad role="alert" { (icon("warn")) (figures.damaged) (t(" records do not verify and are not counted.", " 条记录未通过验证，未计入。")) } }
        div.stack {
            div.card.pad { dl.tally {
                div { dt { (t("Acts", "操作")) } dd #acts { (figures.all.acts) } }
                div { dt { (t("Refused", "已拒绝")) } dd { (figures.all.refused) } }
                div { dt { (t("Persons", "人员")) } dd { (figures.by_who.iter().filter(|(w, _)| !w.is_empty()).count()) } }
                div { dt { (t("Resources", "资源")) } dd { (figures.by_resource.len()) } }
            } }
            @if figures.all.acts == 0 {
                div.card { div.empty { h3 { (t("No act matches", "没有符合的操作")) } p { (t("Nobody touched what this view shows. That is the good case.", "没有任何人动过此视图中的资源。这是好的情况。")) } } }
            } @else {
                (timeline(lang, &figures))
                (heat(lang, &figures))
                (bars(lang, "who", t("By who acted", "按操作人"), t("automatic", "自动操作"), &figures.by_who))
                (bars(lang, "resource", t("By resource", "按资源"), "—", &figures.by_resource))
            }
            div.card { p.note { (badge(lang, &figures.head)) } }
        }
    };
    let title = t("Who touched my data, in figures", "谁动过我的数据：图表");
    inside(&s.visit, StatusCode::OK, title, Some(Here::Trail), &main)
}

/// A card with a picture and its numbers.
fn picture(id: &str, title: &str, svg: &Markup, numbers: (&str, &Markup)) -> Markup {
    html! {
        section.card id={ "by-" (id) } {
            div.head { h2 { (title) } }
            div.chart.pan tabindex="0" role="group" aria-label=(title) { (svg) }
            details.pad { summary { (numbers.0) } (numbers.1) }
        }
    }
}

fn numbers(lang: Lang, what: &str, rows: &[(String, Tally)], none: &str) -> Markup {
    let shown = |name: &String| if name.is_empty() { none.to_owned() } else { name.clone() };
    html! {
        table.tbl.slim {
            thead { tr { th { (what) } th.r { (lang.t("Acts", "操作")) } th.r { (lang.t("Refused", "已拒绝")) } } }
            tbody { @for (name, tally) in rows.iter().take(TABLE_MAX) {
                tr { th scope="row" { (shown(name)) } td.r data-l=(lang.t("Acts", "操作")) { (tally.acts) } td.r data-l=(lang.t("Refused", "已拒绝")) { (tally.refused) } }
            } }
        }
        @if rows.len() > TABLE_MAX { p.hint { (rows.len() - TABLE_MAX) (lang.t(" more are not listed", " 项未列出")) } }
    }
}

fn as_numbers(lang: Lang) -> &'static str {
    lang.t("As numbers", "以数字显示")
}

fn timeline(lang: Lang, f: &Figures) -> Markup {
    let most = f.by_day.iter().map(|(_, t)| t.acts).max().unwrap_or(0).max(1);
    let (left, top, height) = (40u64, 12u64, 120u64);
    let step = (880 / (f.by_day.len() as u64).max(1)).clamp(6, 60);
    let width = left + step * f.by_day.len() as u64 + 8;
    let tall = |n: u64| n * height / most;
    let title = lang.t("Acts by day", "按日的操作数");
    let svg = html! {
        svg.m viewBox={ "0 0 " (width) " 170" } role="img" aria-labelledby="by-day-t by-day-d" {
            title #by-day-t { (title) }
            desc #by-day-d { (lang.t("A bar for each day; the refused acts in red at its foot. At most ", "每日一条柱，底部红色为被拒绝的操作。最多 ")) (most) (lang.t(" a day.", " 次/日。")) }
            text.e.m x=(left - 6) y=(top + 8) { (most) }
            text.e.m x=(left - 6) y=(top + height) { "0" }
            @for (n, (day, tally)) in (0u64..).zip(&f.by_day) {
                @let x = left + n * step;
                rect.h3 x=(x) y=(top + height - tall(tally.acts)) width=(step - 2) height=(tall(tally.acts)) { title { (day) ": " (tally.acts) } }
                rect.x x=(x) y=(top + height - tall(tally.refused)) width=(step - 2) height=(tall(tally.refused)) {}
                @if n % 7 == 0 { text.m x=(x) y=(top + height + 16) { (day.get(5..).unwrap_or_default()) } }
            }
        }
    };
    picture("day", title, &svg, (as_numbers(lang), &numbers(lang, lang.t("Day", "日期"), &f.by_day, "")))
}

fn heat(lang: Lang, f: &Figures) -> Markup {
    let days = [
        lang.t("Mon", "周一"),
        lang.t("Tue", "周二"),
        lang.t("Wed", "周三"),
        lang.t("Thu", "周四"),
        lang.t("Fri", "周五"),
        lang.t("Sat", "周六"),
        lang.t("Sun", "周日"),
    ];
    let most = f.by_hour.iter().flatten().copied().max().unwrap_or(0).max(1);
    // Anything at all is told apart from nothing.
    let shade = |n: u64| {
        if n == 0 {
            "h0"
        } else {
            ["h1", "h2", "h3", "h4"].get(((n * 4 - 1) / most).min(3) as usize).copied().unwrap_or("h4")
        }
    };
    let title = lang.t("By hour of the week", "按星期与小时");
    let svg = html! {
        svg.m viewBox="0 0 800 232" role="img" aria-labelledby="by-hour-t by-hour-d" {
            title #by-hour-t { (title) }
            desc #by-hour-d { (lang.t("Seven rows of twenty-four hours; the darker, the more acts. At most ", "七行二十四小时，颜色越深操作越多。最多 ")) (most) (lang.t(" in an hour.", " 次/小时。")) }
            @for (y, (day, hours)) in (0u64..).zip(days.iter().zip(&f.by_hour)) {
                text.e x="42" y=(y * 28 + 20) { (day) }
                @for (x, n) in (0u64..).zip(hours) {
                    rect class=(shade(*n)) x=(x * 31 + 50) y=(y * 28 + 2) width="29" height="26" rx="2" { title { (day) " " (x) ":00 — " (n) } }
                }
            }
            @for x in (0u64..24).step_by(3) { text.m x=(x * 31 + 50) y="218" { (x) ":00" } }
        }
    };
    let table = html! {
        table.tbl.slim {
            thead { tr { th { (lang.t("Hour", "小时")) } @for day in days { th.r { (day) } } } }
            tbody { @for hour in 0..24usize { tr { th scope="row" { (hour) ":00" }
                @for (day, hours) in days.iter().zip(&f.by_hour) { td.r data-l=(day) { (hours.get(hour).copied().unwrap_or(0)) } }
            } } }
        }
    };
    picture("hour", title, &svg, (as_numbers(lang), &table))
}

fn bars(lang: Lang, id: &str, title: &str, none: &str, rows: &[(String, Tally)]) -> Markup {
    let most = rows.iter().map(|(_, t)| t.acts).max().unwrap_or(0).max(1);
    let shown = &rows[..rows.len().min(BARS_MAX)];
    let long = |n: u64| (n * 360 / most).max(1);
    let cut = |name: &str| {
        // The end of a path tells more than its beginning.
        let name = if name.is_empty() { none } else { name };
        let count = name.chars().count();
        if count <= 40 {
            name.to_owned()
        } else {
            format!("…{}", name.chars().skip(count - 39).collect::<String>())
        }
    };
    let height = shown.len() as u64 * 26 + 10;
    let svg = html! {
        svg.m viewBox={ "0 0 800 " (height) } role="img" aria-labelledby={ "by-" (id) "-t by-" (id) "-d" } {
            title id={ "by-" (id) "-t" } { (title) }
            desc id={ "by-" (id) "-d" } { (lang.t("The most first, ", "由多到少，")) (shown.len()) (lang.t(" of ", " / 共 ")) (rows.len()) }
            @for (y, (name, tally)) in (0u64..).zip(shown) {
                text.e x="300" y=(y * 26 + 20) { (cut(name)) }
                rect.h3 x="308" y=(y * 26 + 6) width=(long(tally.acts)) height="18" rx="2" {}
                @if tally.refused > 0 { rect.x x="308" y=(y * 26 + 6) width=(long(tally.refused)) height="18" rx="2" {} }
                text.m x=(314 + long(tally.acts)) y=(y * 26 + 20) { (tally.acts) @if tally.refused > 0 { " (" (tally.refused) (lang.t(" refused", " 被拒绝")) ")" } }
            }
        }
    };
    picture(id, title, &svg, (as_numbers(lang), &numbers(lang, title, rows, none)))
}
