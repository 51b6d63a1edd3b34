//! Which acts the pages of the trail show: read from the address, so that a view can be mailed and reloaded.

use std::collections::HashMap;

use bailee_rooms::trail::{ActFilter, Family};
use bailee_types::Timestamp;
use maud::{Markup, html};

use super::frame::enc;
use super::visit::{Lang, Visit};

/// What an address may say, in the order of the form.
const NAMES: [&str; 11] =
    ["family", "type", "result", "product", "operator", "ticket", "grant", "event", "from", "until", "text"];
const VALUE_MAX: usize = 200;
const DAY_MS: i64 = 86_400_000;

fn value<'a>(q: &'a HashMap<String, String>, name: &str) -> Option<&'a str> {
    q.get(name).map(|v| v.trim()).filter(|v| !v.is_empty())
}

/// The filter that an address says.
pub(super) fn read(lang: Lang, q: &HashMap<String, String>) -> Result<ActFilter, &'static str> {
    let day = |name: &str, add: i64| {
        value(q, name)
            .map(|d| Timestamp::parse_iso(&format!("{d}T00:00:00Z")).map(|at| at.plus_ms(add)))
            .transpose()
            .map_err(|_| lang.t("A date must look like 2026-11-25.", "日期格式应为 2026-11-25。"))
    };
    let text = |name: &str| value(q, name).map(|v| v.chars().take(VALUE_MAX).collect::<String>());
    Ok(ActFilter {
        from: day("from", 0)?,
        until: day("until", DAY_MS)?,
        family: match value(q, "family") {
            Some("own") => Some(Family::Own),
            Some("all") => None,
            _ => Some(Family::Platform),
        },
        event_type: text("type"),
        result: text("result"),
        product: text("product"),
        operator: text("operator"),
        ticket: text("ticket"),
        grant: text("grant"),
        event_name: text("event"),
        text: text("text"),
        ..ActFilter::default()
    })
}

/// An address with the same filter, and one argument more.
pub(super) fn link(path: &str, q: &HashMap<String, String>, more: Option<(&str, &str)>) -> String {
    let mut out = path.to_owned();
    let named = NAMES.iter().filter_map(|n| Some((*n, value(q, n)?)));
    for (n, (name, v)) in named.chain(more).enumerate() {
        out.push_str(&format!("{}{name}={}", if n == 0 { '?' } else { '&' }, enc(v)));
    }
    out
}

/// The three views of the same acts.
pub(super) fn tabs(visit: &Visit, q: &HashMap<String, String>, here: &str) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let views = [
        ("/console/trail", t("List", "列表")),
        ("/console/trail/figures", t("Figures", "图表")),
        ("/console/trail/watch", t("Live", "实时")),
    ];
    html! { nav.acts #views aria-label=(t("Views", "视图")) { @for (path, text) in views {
        a.btn.slim href=(link(path, q, None)) aria-current=[(path == here).then_some("page")] { (text) }
    } } }
}

/// The form of the filter.
pub(super) fn form(visit: &Visit, q: &HashMap<String, String>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let any = ("", t("Any", "不限"));
    let select = |name: &'static str, label: &'static str, choices: &[(&'static str, &'static str)]| {
        html! { div.field { label for=(name) { (label) } select.in id=(name) name=(name) { @for (v, text) in choices {
            option value=(v) selected[value(q, name).unwrap_or_default() == *v] { (text) }
        } } } }
    };
    let input = |name: &'static str, label: &'static str, kind: &'static str, hint: &'static str| {
        html! { div.field { label for=(name) { (label) } input.in id=(name) name=(name) type=(kind) maxlength=(VALUE_MAX) placeholder=(hint) value=[value(q, name)]; } }
    };
    html! {
        form.filters.card.pad method="get" {
            (select("family", t("Whose", "操作方"), &[("", t("The provider’s", "平台")), ("own", t("Your own", "您自己")), ("all", t("All", "全部"))]))
            (select("type", t("Type", "类型"), &[any, ("CUSTOMER_INITIATED_SUPPORT", t("Support you consented to", "经您授权的支持")), ("ALIYUN_INITIATED_SERVICE", t("Stability work", "稳定性工作")), ("ALIYUN_INITIATED_PENALTY", t("Legal handling", "合规处置"))]))
            (select("result", t("Result", "结果"), &[any, ("done", t("Done", "完成")), ("refused", t("Refused", "已拒绝")), ("failed", t("Failed", "失败")), ("unknown", t("Unknown", "未知")), ("open", t("Running", "进行中"))]))
            (select("product", t("Product", "产品"), &[any, ("OSS", "OSS"), ("ECS", "ECS"), ("RDS", "RDS"), ("ACK", "ACK"), ("EMR", "EMR"), ("RAM", "RAM"), ("BAILEE", "Bailee")]))
            (input("operator", t("Operator", "运维人员"), "text", "emp-…"))
            (input("ticket", t("Ticket", "工单"), "text", "T-1"))
            (input("grant", t("Grant", "授权"), "text", "G-…"))
            (input("event", t("Event", "事件"), "text", "GetObject"))
            (input("from", t("From", "自"), "date", ""))
            (input("until", t("Until", "至"), "date", ""))
            (input("text", t("Text", "文本"), "text", ""))
            button.btn { (t("Show", "显示")) }
            @if NAMES.iter().any(|n| value(q, n).is_some()) { a.btn.slim #all href="?" { (t("Clear", "清除")) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_a_filter_and_gives_it_back() {
        let q = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<HashMap<_, _>>()
        };
        let asked = q(&[
            ("operator", " emp-x "),
            ("from", "2026-11-25"),
            ("text", "a b&c"),
            ("before", "9"),
            ("x", "y"),
        ]);
        let filter = read(Lang::En, &asked).unwrap();
        assert_eq!(filter.operator.as_deref(), Some("emp-x"));
        assert_eq!(filter.family, Some(Family::Platform));
        assert_eq!(
            link("/console/trail", &asked, Some(("before", "7"))),
            "/console/trail?operator=emp-x&from=2026-11-25&text=a%20b%26c&before=7"
        );
        assert!(read(Lang::En, &q(&[("until", "yesterday")])).is_err());
        assert_eq!(link("/console/trail", &q(&[]), None), "/console/trail");
    }
}
