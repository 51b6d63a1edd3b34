//! "Who wants to touch my data" in figures: a tenant's own, and the provider's over all tenants.

use std::collections::HashMap;

use axum::extract::Query;
use axum::response::Response;
use bailee_rooms::Failure;
use bailee_rooms::consent::{
    Answers, Figures, GetAllFigures, GetConsentFigures, Outlier, Span, State, TENANTS_MANY,
};
use bailee_rooms::gate::Operation;
use http::StatusCode;
use maud::{Markup, html};

use super::consent::{code_said, state_said};
use super::failure;
use super::frame::{Here, icon, inside};
use super::ticket_view::category_name;
use super::visit::{Lang, Operator, Signed, Tenant};

/// Operators that one table lists.
const OPERATORS_MAX: usize = 200;

pub(super) async fn page(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let tenant = s.who.id.clone();
    let f = match look(&s, &q, |span| GetConsentFigures { tenant, span }).await {
        Ok(f) => f,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let (lang, t) = (s.visit.lang, |en, zh| s.visit.lang.t(en, zh));
    let title = t("Who wanted to touch my data, in figures", "谁想动我的数据：数据统计");
    let main = html! {
        p.crumb { a href="/console/consent" { (t("Who wants to touch my data", "谁想动我的数据")) } " / " (t("Figures", "数据统计")) }
        div.title { div { h1 { (title) } p { (t("Requests by the day on which they were asked (UTC), as they stand now.", "请求按提出之日（UTC）统计，以当前状态为准。")) } } }
        (span_form(lang, f.span))
        (incomplete(lang, &f))
        @if f.all.asked == 0 && f.beside.is_none_or(|b| b == bailee_rooms::consent::Beside::default()) {
            div.card { div.empty #nothing { h3 { (t("Nobody asked for anything", "没有任何请求")) } p { (t("No request, no read and no session in these days.", "这些天没有请求、读取或会话。")) } } }
        } @else { div.stack {
            (sums(lang, &f))
            (tables(lang, &f))
            (grants(lang, &f))
        } }
    };
    inside(&s.visit, StatusCode::OK, title, Some(Here::Consent), &main)
}

pub(super) async fn of_all(s: Signed<Operator>, Query(q): Query<HashMap<String, String>>) -> Response {
    let f = match look(&s, &q, |span| GetAllFigures { span }).await {
        Ok(f) => f,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let (lang, t) = (s.visit.lang, |en, zh| s.visit.lang.t(en, zh));
    let title = t("What we asked for, in figures", "我们的请求：数据统计");
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " (t("Figures", "数据统计")) }
        div.title { div { h1 { (title) } p { (t("Over all tenants, without a name of anything of theirs. That you looked stands in the provider’s log.", "统计所有租户，不含其任何内容名称。您的查看记入平台日志。")) } } }
        (span_form(lang, f.span))
        (incomplete(lang, &f))
        @if f.all.asked == 0 { div.card { div.empty #nothing { h3 { (t("Nobody asked for anything", "没有任何请求")) } p { (t("No request to any tenant in these days.", "这些天没有向任何租户提出请求。")) } } } }
        @else { div.stack {
            (outliers(lang, &f.outliers))
            (sums(lang, &f))
            (tables(lang, &f))
            (grants(lang, &f))
        } }
    };
    inside(&s.visit, StatusCode::OK, title, Some(Here::Desk), &main)
}

async fn look<W, O: Operation<Output = Figures>>(
    s: &Signed<W>,
    q: &HashMap<String, String>,
    op: impl FnOnce(Span) -> O,
) -> Result<Figures, Failure> {
    let given = |name: &str| q.get(name).map(String::as_str);
    let span = Span::days(given("from"), given("to"), s.visit.site.house.now())?;
    s.visit.site.house.perform(s.caller.clone(), op(span)).await
}

fn span_form(lang: Lang, span: Span) -> Markup {
    let (from, to) = span.named();
    let day = |name: &str, label: &str, value: &str| {
        html! { div.field { label for=(name) { (label) } input.in id=(name) name=(name) type="date" value=(value); } }
    };
    html! { form.filters.card.pad method="get" {
        (day("from", lang.t("From", "自"), &from)) (day("to", lang.t("To", "至"), &to))
        button.btn { (lang.t("Show", "显示")) }
    } }
}

fn incomplete(lang: Lang, f: &Figures) -> Markup {
    html! { @if !f.complete { p #incomplete.notice.warn role="alert" { (icon("warn")) (lang.t("The span holds more than is counted at once; older requests are missing here. Choose a shorter one.", "时间范围过大，较早的请求未计入。请缩短范围。")) } } }
}

/// "2 h 5 min".
pub(super) fn duration(lang: Lang, ms: i64) -> String {
    let minutes = ms / 60_000;
    let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    let (d, h, m) = (lang.t("d", "天"), lang.t("h", "小时"), lang.t("min", "分钟"));
    match (days, hours) {
        (0, 0) => format!("{rest} {m}"),
        (0, _) => format!("{hours} {h} {rest} {m}"),
        _ => format!("{days} {d} {hours} {h}"),
    }
}

fn sums(lang: Lang, f: &Figures) -> Markup {
    let t = |en, zh| lang.t(en, zh);
    let sum = |id: &str, label: &str, n: u64| html! { div { dt { (label) } dd id=(id) { (n) } } };
    html! {
        div.card.pad { dl.tally {
            (sum("asked", t("Requests", "请求"), f.all.asked))
            (sum("approved", t("Approved", "已批准"), f.all.approved))
            (sum("denied", t("Denied", "已拒绝"), f.all.denied))
            (sum("lapsed", t("Lapsed", "已失效"), f.all.lapsed))
            (sum("withdrawn", t("Withdrawn", "已撤回"), f.all.withdrawn))
            (sum("declined", t("Declined by the provider", "平台复核未通过"), f.all.declined))
            (sum("waiting", t("Waiting", "等待中"), f.all.waiting))
            @if let Some(d) = f.decisions {
                div { dt { (t("Time to decide: half within", "决定用时（中位数）")) } dd #median { (duration(lang, d.median_ms)) } }
                div { dt { (t("Nine of ten within", "决定用时（90%）")) } dd #p90 { (duration(lang, d.p90_ms)) } }
            }
        } }
        @if let Some(b) = f.beside { div.card.pad { dl.tally {
            (sum("reads", t("Reads of content", "内容读取"), b.reads))
            (sum("sessions", t("Sessions with systems", "系统会话"), b.sessions))
            (sum("rights", t("Standing rights set", "新设常设授权"), b.rights))
            (sum("takedowns", t("Takedowns filed", "下架申请"), b.takedowns))
            (sum("changes", t("Stability work planned", "计划的稳定性工作"), b.changes))
        } } }
    }
}

fn tables(lang: Lang, f: &Figures) -> Markup {
    let codes: Vec<_> = f.by_code.iter().map(|(c, a)| (code_said(lang, *c).to_owned(), *a)).collect();
    let more = f.by_operator.len().saturating_sub(OPERATORS_MAX);
    let shown = f.by_operator.get(..OPERATORS_MAX).unwrap_or(&f.by_operator);
    html! {
        (answers(lang, "codes", lang.t("By reason", "按原因"), &codes))
        (answers(lang, "operators", lang.t("By operator", "按运维人员"), shown))
        @if more > 0 { p.hint { (more) (lang.t(" more are not listed", " 项未列出")) } }
    }
}

fn answers(lang: Lang, id: &str, title: &str, rows: &[(String, Answers)]) -> Markup {
    let t = |en, zh| lang.t(en, zh);
    let columns = |a: &Answers| {
        [
            (t("Requests", "请求"), a.asked),
            (t("Approved", "已批准"), a.approved),
            (t("Denied", "已拒绝"), a.denied),
            (t("Lapsed", "已失效"), a.lapsed),
            (t("Withdrawn", "已撤回"), a.withdrawn),
            (t("Declined", "复核未过"), a.declined),
            (t("Waiting", "等待中"), a.waiting),
        ]
    };
    html! { section.card { div.head { h2 { (title) } } table.tbl.slim id=(id) {
        thead { tr { th { (title) } @for (name, _) in columns(&Answers::default()) { th.r { (name) } } } }
        tbody { @for (name, a) in rows { tr { th scope="row" { (name) } @for (column, n) in columns(a) { td.r data-l=(column) { (n) } } } } }
    } } }
}

fn grants(lang: Lang, f: &Figures) -> Markup {
    let (g, t) = (&f.grants, |en, zh| lang.t(en, zh));
    let row = |id: &str, label: &str, n: u64| html! { tr { th scope="row" { (label) } td.r id=(id) data-l=(label) { (n) } } };
    html! { section.card { div.head { h2 { (t("Grants", "授权")) } } table.tbl.slim #grants { tbody {
        (row("given", t("Given", "已给出"), g.given))
        (row("standing", t("of these by standing rights", "其中凭常设授权"), g.standing))
        (row("live", state_said(lang, State::Live), g.live))
        @for (state, n) in &g.ended { (row(&format!("ended-{}", state.word()), state_said(lang, *state), *n)) }
        (row("unused", t("Ended without one use", "结束时从未使用"), g.unused))
        (row("uses-allowed", t("Uses that ended grants allowed", "已结束授权允许的次数"), g.uses_allowed))
        (row("uses-made", t("Uses that were made of these", "其中实际使用的次数"), g.uses_made))
    } }
    @if g.unused > 0 { p.note #ask-for-less { (t("What was never used need not have been asked for: ask for less, or give less.", "从未使用的授权本不必请求：可以少请求、少给予。")) } } } }
}

fn outliers(lang: Lang, all: &[Outlier]) -> Markup {
    let t = |en, zh| lang.t(en, zh);
    html! { section.card #outliers { div.head { h2 { (t("What stands out", "值得留意")) } p { (t("Each may have a good reason. Look before you judge.", "每一项都可能有正当理由，请先查看再判断。")) } }
        @if all.is_empty() { div.empty { p { (t("Nothing.", "无。")) } } }
        @else { ul.rows { @for o in all { li { @match (o, lang) {
            (Outlier::ManyTenants { operator, tenants }, Lang::En) => { strong { (operator) } " asked " (tenants) " tenants; " (TENANTS_MANY) " or more are listed" },
            (Outlier::ManyTenants { operator, tenants }, Lang::Zh) => { strong { (operator) } " 向 " (tenants) " 个租户提出请求（达到 " (TENANTS_MANY) " 个即列出）" },
            (Outlier::OffHours { operator, requests }, Lang::En) => { strong { (operator) } " asked " (requests) " times outside the hours that the tenant set" },
            (Outlier::OffHours { operator, requests }, Lang::Zh) => { strong { (operator) } " 在租户设定的时段之外提出请求 " (requests) " 次" },
            (Outlier::OtherCode { operator, request, ticket, code, category }, _) => { strong { (operator) } " · " (ticket) " · " code { (request) } ": "
                (t("the reason", "原因")) " “" (code_said(lang, *code)) "” " (t("does not fit a ticket about", "与工单类别不符：")) " “" (category_name(lang, *category)) "”" },
        } } } } }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let said = |minutes: i64| duration(Lang::En, minutes * 60_000 + 59_000);
        assert_eq!(
            [said(0), said(59), said(125), said(1_440 * 3 + 61)],
            ["0 min", "59 min", "2 h 5 min", "3 d 1 h"]
        );
    }
}
