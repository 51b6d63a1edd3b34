//! Totals over all tenants, for anybody: on a page, and as the file that the provider signed.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bailee_rooms::consent::Published;
use http::{HeaderValue, StatusCode, header};
use maud::html;

use super::failure;
use super::frame::{public, time};
use super::visit::Visit;

/// A day has one note: who fetched it need not ask again.
const KEPT: &str = "public, max-age=86400";
const FRESH: &str = "public, max-age=60";

pub(super) async fn page(visit: Visit) -> Response {
    let (lang, t) = (visit.lang, |en, zh| visit.lang.t(en, zh));
    let house = &visit.site.house;
    let found = match house.totals(None).await {
        Ok(found) => found,
        Err(e) => return failure::page(&visit, &e),
    };
    if !house.publishes_totals() {
        return failure::missing(&visit);
    }
    let title = t("How often we asked, and what tenants said", "我们请求了多少次，租户如何答复");
    let name = |figure: &str| match figure {
        "requests" => t("Requests for consent", "同意请求"),
        "approvals" => t("Approved", "已批准"),
        "refusals" => t("Refused", "已拒绝"),
        "median-minutes" => t("Minutes to a decision (median)", "决定用时（分钟，中位数）"),
        _ => t("Reads of content under a grant", "授权下的内容读取"),
    };
    let main = html! {
        div.title { div { h1 { (title) } p { (t("Over all tenants together, up to the last full day (UTC).", "所有租户合计，截至最近一个完整日（UTC）。")) } } }
        @match &found {
            None => div.card { div.empty #no-totals { h3 { (t("No totals yet", "尚无统计")) } p { (t("They are made within some minutes: come back then.", "将在几分钟内生成，请稍后再来。")) } } },
            Some(Published { totals, note, signed_at }) => div.stack {
                div.card.pad {
                    p #span { (totals.from) " – " (totals.to) }
                    dl.tally { @for (figure, n) in totals.figures() { div { dt { (name(figure)) } dd id=(figure) { @match n { Some(n) => (n), None => (t("too few", "过少")) } } } } }
                    p.hint { @match lang {
                        super::visit::Lang::En => { "A figure is told when at least " (totals.tenants_min) " tenants are behind it; counts are rounded down to a multiple of " (totals.step) ". So no figure tells of one tenant." },
                        super::visit::Lang::Zh => { "至少 " (totals.tenants_min) " 个租户参与的数字才会公布；计数向下取整为 " (totals.step) " 的倍数，以免透露单个租户的情况。" },
                    } }
                }
                div.card { div.head { h2 { (t("Signed with the key of the provider’s log", "由平台日志密钥签名")) } p { (time(*signed_at)) } } div.pad {
                    p { a #totals-file href={ "/totals/" (totals.to) ".txt" } { "/totals/" (totals.to) ".txt" } " · " a href="/totals.txt" { "/totals.txt" } " " (t("(the newest)", "（最新）")) }
                    pre #totals-note { (note) }
                    p { (t("Take the key from “Verify”, and check it without network:", "从“验证”页取得公钥，离线核对：")) }
                    pre { "bailee-verify totals totals.txt --key …" }
                } }
            },
        }
    };
    public(&visit, StatusCode::OK, title, &main)
}

pub(super) async fn newest(visit: Visit) -> Response {
    file(&visit, None).await
}

pub(super) async fn of_day(Path(name): Path<String>, visit: Visit) -> Response {
    match name.strip_suffix(".txt") {
        Some(day) if day.len() == 10 => file(&visit, Some(day)).await,
        _ => failure::missing(&visit),
    }
}

async fn file(visit: &Visit, day: Option<&str>) -> Response {
    let note = match visit.site.house.totals(day).await {
        Ok(Some(found)) => found.note,
        Ok(None) => return failure::missing(visit),
        Err(e) => return failure::page(visit, &e),
    };
    let mut response = note.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let cache = if day.is_some() { KEPT } else { FRESH };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}
