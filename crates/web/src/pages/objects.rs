//! The tenant's own object browser.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::vault::{
    AccessAct, Acl, Bucket, ChangeAccess, Choice, DeleteObject, GetObject, GetReplication, GetSettings,
    GetUsage, ListBuckets, ListObjects, Listed, ObjectInfo, ObjectPage, Public, ReplicationLag,
    ReplicationRule, Setting,
};
use bailee_types::{BucketName, ObjectKey};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, enc, inside, size, time};
use super::visit::{Posted, Signed, Tenant, Visit};

/// Entries of a page.
pub(super) const PER_PAGE: u32 = 100;

pub(super) async fn buckets(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let op = ListBuckets { tenant: s.who.id.clone(), ticket: None };
    let all = match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(all) => all,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let mut used = HashMap::new();
    for bucket in &all {
        let op = GetUsage { tenant: s.who.id.clone(), bucket: bucket.name.clone() };
        // Who may not know how much lies there sees the buckets all the same, and is refused once.
        let Ok((_, usage)) = s.visit.site.house.perform(s.caller.clone(), op).await else { break };
        used.insert(bucket.name.clone(), usage);
    }
    let main = html! {
        div.title { div { h1 { (t("Data", "数据")) } p { (t("Your buckets. Upload with any OSS or S3 tool.", "您的存储桶。可用任何 OSS 或 S3 工具上传。")) " " a href="/console/destructions" { (t("Destroyed for good", "已彻底销毁")) } } } }
        div.card {
            @if all.is_empty() { div.empty { h3 { (t("No bucket yet", "还没有存储桶")) } p { code { "aws --endpoint-url " (s.visit.site.objects_url) " s3 mb s3://my-bucket" } } } }
            @else { table.tbl { thead { tr { th { (t("Bucket", "存储桶")) } th { (t("Region", "地域")) } th { (t("Made", "创建")) } th { (t("Versions", "版本数")) } th { (t("Size", "大小")) } } } tbody {
                @for b in &all { tr { th scope="row" { a href={ "/console/data/" (b.name) } { (b.name) } } td data-l=(t("Region", "地域")) { (b.region) } td data-l=(t("Made", "创建")) { (time(b.created_at)) } td.num data-l=(t("Versions", "版本数")) { @if let Some(u) = used.get(&b.name) { (u.objects) } } td.num data-l=(t("Size", "大小")) { @if let Some(u) = used.get(&b.name) { (size(u.bytes)) @if let Some(max) = b.settings.quota { " / " (size(max)) } } } } }
            } } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Data", "数据"), Some(Here::Data), &main)
}

pub(super) async fn list(
    s: Signed<Tenant>,
    Path(bucket): Path<String>,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let Ok(bucket) = BucketName::parse(&bucket) else { return failure::missing(&s.visit) };
    let op = listing(s.who.id.clone(), &bucket, &q, None);
    let page = match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(page) => page,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let base = format!("/console/data/{bucket}");
    // Who may not know its rules sees its objects all the same.
    let op = GetSettings { tenant: s.who.id.clone(), bucket: bucket.clone(), setting: Setting::Policy };
    let access = s.visit.site.house.perform(s.caller.clone(), op).await.ok();
    let op = GetReplication { tenant: s.who.id.clone(), bucket: bucket.clone() };
    let replication = s.visit.site.house.perform(s.caller.clone(), op).await.ok();
    let act = |info: &ObjectInfo| {
        html! {
            form method="post" action={ (base) "/read" } { (csrf(&s.visit)) input type="hidden" name="key" value=(info.key); button.btn.slim { (t("Download", "下载")) } }
            form method="post" action={ (base) "/delete" } { (csrf(&s.visit)) input type="hidden" name="key" value=(info.key);
                label.small { input type="checkbox" name="sure" value="yes" required; " " (t("for good", "永久")) } " " button.btn.slim.stop { (t("Delete", "删除")) } }
        }
    };
    let main = html! {
        p.crumb { a href="/console/data" { (t("Data", "数据")) } " / " (bucket) }
        div.title { div { h1 { (bucket) } } }
        (table(&s.visit, &base, &q, &page, &act))
        @if let Some(there) = &replication { @if !there.is_empty() { (copied(&s.visit, there)) } }
        @if let Some(there) = &access { (who(&s.visit, &base, there)) }
        (super::destructions::form(&s.visit, &bucket, q.get("prefix").map(String::as_str).unwrap_or_default()))
    };
    inside(&s.visit, StatusCode::OK, bucket.as_str(), Some(Here::Data), &main)
}

/// What of a bucket is copied where, and how far that is.
fn copied(visit: &Visit, rules: &[(ReplicationRule, ReplicationLag)]) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        div.card.pad #replication { h2 { (t("Copied elsewhere", "复制到其他位置")) }
            table.tbl { thead { tr { th { (t("Rule", "规则")) } th { (t("Keys", "键")) } th { (t("Into", "目标")) } th { (t("Waiting", "等待")) } th { (t("Since", "自")) } th { (t("Trouble", "问题")) } } } tbody {
                @for (rule, lag) in rules { tr {
                    th scope="row" { (rule.id) @if !rule.on { " · " (t("off", "已关闭")) } }
                    td data-l=(t("Keys", "键")) { code { (rule.prefix) "*" } }
                    td data-l=(t("Into", "目标")) { a href={ "/console/data/" (rule.to) } { (rule.to) } }
                    td.num data-l=(t("Waiting", "等待")) { (lag.waiting) }
                    td data-l=(t("Since", "自")) { @match lag.oldest { Some(at) => (time(at)), None => "–" } }
                    td data-l=(t("Trouble", "问题")) { @if let Some(why) = &lag.why { (lag.failed) ": " (why) } @else { "–" } }
                } }
            } }
        }
    }
}

/// Who besides the account's people may use a bucket.
fn who(visit: &Visit, base: &str, bucket: &Bucket) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let settings = &bucket.settings;
    let public = settings.public;
    let crowd = settings.policy.as_ref().is_some_and(|p| p.is_public().unwrap_or(true));
    let acl = match settings.acl {
        _ if !public.acl => t("The account's people only.", "仅本账号人员。"),
        Acl::Private => t("The account's people only.", "仅本账号人员。"),
        Acl::PublicRead => t(
            "Everybody may read and list every object that is not private itself.",
            "任何人都可以读取和列出未单独设为私有的对象。",
        ),
        Acl::PublicReadWrite => {
            t("Everybody may read, list, write and delete.", "任何人都可以读取、列出、写入和删除。")
        }
    };
    html! {
        @if let Some(key) = &settings.custody { div.card.pad #custody { h2 { (t("In your custody", "由您保管")) } p { (t("Everything here lies under a key in your own key service: without it nobody here reads it. ", "此处一切均由您自己密钥服务中的密钥加密：没有它，平台上无人能够读取。")) a.mono href={ "/console/keys/" (key) } { (key) } } } }
        div.card.pad #access { h2 { (t("Who may use it", "谁可以使用")) }
            p { b { "ACL" } " " (acl) @if public.acl { " " (t("An object whose own ACL is public-read is open to everybody.", "自身 ACL 为 public-read 的对象对任何人开放。")) } }
            @match &settings.policy {
                None => p { (t("The bucket has no policy.", "该存储桶没有策略。")) },
                Some(policy) => {
                    p { @if crowd && public.policy { b { (t("Its policy lets everybody in whom its conditions fit.", "其策略允许所有符合条件的人访问。")) } }
                        @else if crowd { (t("Its policy would let everybody in; it is blocked, and holds for the account's people only.", "其策略会允许所有人访问；现已阻止，仅对本账号人员有效。")) }
                        @else { (t("Its policy names whom it lets in.", "其策略指明了可以访问的人。")) } }
                    details { summary { (t("The policy", "策略")) } pre { (policy.text()) } }
                },
            }
            @if public.is_blocked() { p { (t("Public access is blocked.", "已阻止公共访问。")) } }
            @else { form method="post" action={ (base) "/block" } { (csrf(visit)) p { (t("Public access is not blocked.", "未阻止公共访问。")) " " button.btn.slim.stop { (t("Block it", "阻止")) } } } }
        }
    }
}

pub(super) async fn block(Path(bucket): Path<String>, p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let Ok(bucket) = BucketName::parse(&bucket) else { return failure::missing(visit) };
    let to = format!("/console/data/{bucket}#access");
    let op =
        ChangeAccess { tenant: p.signed.who.id.clone(), bucket, act: AccessAct::Public(Public::default()) };
    match visit.site.house.perform(p.signed.caller.clone(), op).await {
        Ok(()) => Redirect::to(&to).into_response(),
        Err(e) => failure::page(visit, &e),
    }
}

/// The operation behind a page of a bucket.
pub(super) fn listing(
    tenant: bailee_types::TenantId,
    bucket: &BucketName,
    q: &HashMap<String, String>,
    ticket: Option<bailee_types::TicketId>,
) -> ListObjects {
    let text = |name: &str| q.get(name).map(|v| v.chars().take(1023).collect::<String>()).unwrap_or_default();
    ListObjects {
        tenant,
        bucket: bucket.clone(),
        prefix: text("prefix"),
        delimiter: "/".into(),
        after: text("after"),
        entries_max: PER_PAGE,
        ticket,
    }
}

/// A page of a bucket as a table; `act` gives what can be done with an object.
pub(super) fn table(
    visit: &Visit,
    base: &str,
    q: &HashMap<String, String>,
    page: &ObjectPage,
    act: &dyn Fn(&ObjectInfo) -> Markup,
) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let prefix = q.get("prefix").map(String::as_str).unwrap_or_default();
    html! {
        form.filters.card.pad method="get" { div.field.big { label for="prefix" { (t("Begins with", "前缀")) } input.in #prefix name="prefix" value=(prefix) maxlength="1023"; } button.btn { (t("Show", "显示")) } }
        div.card {
            @if page.entries.is_empty() { div.empty { h3 { (t("Nothing here", "这里没有内容")) } p { (t("No object has a name that begins so.", "没有以此开头的对象。")) } } }
            @else { table.tbl { thead { tr { th { (t("Name", "名称")) } th { (t("Size", "大小")) } th { (t("Written", "写入")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for entry in &page.entries { @match entry {
                    Listed::Prefix(p) => tr { th scope="row" { a href={ (base) "?prefix=" (enc(p)) } { (p) } } td {} td {} td {} },
                    Listed::Object(info) => tr { th scope="row" { code { (info.key) } } td.num data-l=(t("Size", "大小")) { (size(info.size)) } td data-l=(t("Written", "写入")) { (time(info.modified_at)) } td.act { (act(info)) } },
                } }
            } } }
            @if let Some(after) = &page.next_after { p.pad { a href={ (base) "?prefix=" (enc(prefix)) "&after=" (enc(after)) } { (t("Next page", "下一页")) } } }
        }
    }
}

pub(super) async fn read(Path(bucket): Path<String>, p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let (Ok(bucket), Ok(key)) = (BucketName::parse(&bucket), ObjectKey::parse(p.field("key"))) else {
        return failure::missing(visit);
    };
    let op = GetObject {
        customer_key: None,
        tenant: p.signed.who.id.clone(),
        bucket,
        key: key.clone(),
        which: None,
        choose: Box::new(|info: &ObjectInfo| Choice::Bytes { start: 0, end: info.size }),
    };
    match visit.site.house.perform(p.signed.caller.clone(), op).await {
        Ok(content) if content.info.meta.symlink.is_some() => {
            let target = content.info.meta.symlink.unwrap_or_default();
            let text = visit
                .lang
                .t("This is a symbolic link; download what it means: ", "这是符号链接，请下载其目标：");
            failure::invalid(visit, &format!("{text}{target}"))
        }
        Ok(content) => {
            let first = stream::iter([Ok::<Bytes, Failure>(content.first)]);
            let body = match content.rest {
                Some(rest) => Body::from_stream(first.chain(rest)),
                None => Body::from_stream(first),
            };
            attachment(body, key.as_str(), content.info.size)
        }
        Err(e) => failure::page(visit, &e),
    }
}

pub(super) async fn delete(Path(bucket): Path<String>, p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let (Ok(bucket), Ok(key)) = (BucketName::parse(&bucket), ObjectKey::parse(p.field("key"))) else {
        return failure::missing(visit);
    };
    if p.field("sure") != "yes" {
        let text = visit.lang.t(
            "Deleting cannot be undone; tick the box to say that you mean it.",
            "删除无法撤销；请勾选确认。",
        );
        return failure::invalid(visit, text);
    }
    let to = format!("/console/data/{bucket}");
    let op = DeleteObject { tenant: p.signed.who.id.clone(), bucket, key };
    match visit.site.house.perform(p.signed.caller.clone(), op).await {
        Ok(_) => Redirect::to(&to).into_response(),
        Err(e) => failure::page(visit, &e),
    }
}

/// Content as a download: never shown as a page of ours, whatever it is.
pub(crate) fn attachment(body: Body, key: &str, len: u64) -> Response {
    let name = key.rsplit('/').find(|p| !p.is_empty()).unwrap_or("object");
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let disposition =
        format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", enc(name).replace('/', "%2F"));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
