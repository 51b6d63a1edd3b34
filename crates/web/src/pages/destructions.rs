//! Destruction that can be shown: the act from a bucket's page, and the certificates.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::vault::{DestroyObjects, Destruction, GetDestruction, ListDestructions};
use bailee_types::{BucketName, ObjectKey};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, inside, size, time};
use super::objects::attachment;
use super::visit::{Posted, Signed, Tenant, Visit};

const HERE: &str = "/console/destructions";
const PER_PAGE: u32 = 50;

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let before = q.get("before").and_then(|n| n.parse().ok());
    let op = ListDestructions { tenant: s.who.id.clone(), before, rows_max: PER_PAGE + 1 };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(all) => show(&s.visit, all, &q),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn show(visit: &Visit, mut all: Vec<Destruction>, q: &HashMap<String, String>) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let more = all.len() > PER_PAGE as usize;
    all.truncate(PER_PAGE as usize);
    let number = |name: &str| q.get(name).and_then(|n| n.parse::<u64>().ok());
    let main = html! {
        p.crumb { a href="/console/data" { (t("Data", "数据")) } " / " (t("Destroyed for good", "已彻底销毁")) }
        div.title { div { h1 { (t("Destroyed for good", "已彻底销毁")) }
            p { (t("Each certificate names the versions that are gone and the fingerprint of each key; its digest stands in your log. Check it with ", "每份证明列出已销毁的版本及其密钥指纹，摘要记入您的日志。核验：")) code { "bailee-verify destruction CERTIFICATE BUNDLE" } } } }
        @if let Some(items) = number("items") {
            p.note role="status" {
                (items) " " (t("versions were destroyed.", "个版本已销毁。"))
                @if let Some(kept @ 1..) = number("retained") { " " (kept) " " (t("are retained and stay.", "个处于保留期，未销毁。")) }
                @if q.get("more").is_some_and(|m| m == "true") { " " (t("More lies there: destroy again.", "仍有剩余：请再次执行。")) }
            }
        }
        div.card {
            @if all.is_empty() { div.empty { h3 { (t("Nothing was destroyed yet", "尚未销毁任何内容")) } p { (t("A bucket's page has the form for it.", "可在存储桶页面执行销毁。")) } } }
            @else { table.tbl { thead { tr { th { (t("Record", "记录")) } th { (t("When", "时间")) } th { (t("Bucket", "存储桶")) } th { (t("Versions", "版本数")) } th { (t("Size", "大小")) } th { span.sr { (t("Certificate", "证明")) } } } } tbody {
                @for d in &all { tr {
                    th scope="row" { (d.record) }
                    td data-l=(t("When", "时间")) { (time(d.at)) }
                    td data-l=(t("Bucket", "存储桶")) { (d.bucket) }
                    td.num data-l=(t("Versions", "版本数")) { (d.items) }
                    td.num data-l=(t("Size", "大小")) { (size(d.bytes)) }
                    td.act { a.btn.slim href={ (HERE) "/" (d.record) } { (t("Certificate", "证明")) } }
                } }
            } } }
            @if let (true, Some(last)) = (more, all.last()) { p.pad { a href={ (HERE) "?before=" (last.record) } { (t("Next page", "下一页")) } } }
        }
    };
    inside(visit, StatusCode::OK, t("Destroyed for good", "已彻底销毁"), Some(Here::Data), &main)
}

pub(super) async fn one(s: Signed<Tenant>, Path(record): Path<String>) -> Response {
    let Ok(record) = record.parse() else { return failure::missing(&s.visit) };
    let op = GetDestruction { tenant: s.who.id.clone(), record };
    let name = ObjectKey::parse(&format!("{}-destruction-{record}.txt", s.who.alias));
    match (s.visit.site.house.perform(s.caller.clone(), op).await, name) {
        (Ok(text), Ok(name)) => {
            let len = text.len() as u64;
            attachment(Body::from(text), name.as_str(), len)
        }
        (Err(e), _) => failure::page(&s.visit, &e),
        (_, Err(_)) => failure::missing(&s.visit),
    }
}

/// The form on a bucket's page.
pub(super) fn form(visit: &Visit, bucket: &BucketName, prefix: &str) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        details.card.pad #destroy {
            summary { (t("Destroy for good, with a certificate", "彻底销毁并出具证明")) }
            p { (t("All versions, delete markers and unfinished uploads of the names that begin so; what is retained stays. Nobody can bring it back.", "销毁以此前缀开头的全部版本、删除标记和未完成的上传；处于保留期的内容不受影响。无法恢复。")) " " a href=(HERE) { (t("Certificates", "证明列表")) } }
            form.pad method="post" action={ "/console/data/" (bucket) "/destroy" } {
                (csrf(visit))
                div.field { label for="destroy-prefix" { (t("Names that begin with (empty: all)", "名称前缀（留空表示全部）")) } input.in #destroy-prefix name="prefix" value=(prefix) maxlength="1023"; }
                div.field { label for="destroy-confirm" { (t("Type the bucket's name", "请输入存储桶名称")) } input.in #destroy-confirm name="confirm" required autocomplete="off"; }
                button #destroy-do.btn.stop { (t("Destroy", "销毁")) }
            }
        }
    }
}

pub(super) async fn destroy(Path(bucket): Path<String>, p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let Ok(bucket) = BucketName::parse(&bucket) else { return failure::missing(visit) };
    if p.field("confirm").trim() != bucket.as_str() {
        let text = visit.lang.t(
            "That is not the bucket's name; nothing was destroyed.",
            "输入的名称与存储桶不符；未销毁任何内容。",
        );
        return failure::invalid(visit, text);
    }
    let prefix = p.field("prefix").to_owned();
    let op = DestroyObjects { tenant: p.signed.who.id.clone(), bucket, prefix, exact: false };
    match visit.site.house.perform(p.signed.caller.clone(), op).await {
        Ok(done) => {
            let (items, retained, more) = (done.done.items, done.retained, done.more);
            Redirect::to(&format!("{HERE}?items={items}&retained={retained}&more={more}")).into_response()
        }
        Err(e) => failure::page(visit, &e),
    }
}
