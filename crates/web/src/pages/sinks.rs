//! Where a tenant's events go: buckets, webhooks, syslog servers, with their lag.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::trail::deliver::{
    CreateSink, DeleteSink, ListSinks, ReplayFrom, ReplaySink, Sink, SinkFormat, SinkKind, TestSink,
};
use bailee_rooms::trail::{DescribeTrails, Family, Trail, TrailAct, TrailFamily};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Posted, Signed, Tenant};

const HERE: &str = "/console/trail/sinks";

pub(super) async fn show(s: Signed<Tenant>) -> Response {
    page(&s, None).await
}

pub(super) async fn add(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let t = |en, zh| s.visit.lang.t(en, zh);
    let (Some(kind), Some(format)) = (SinkKind::parse(p.field("kind")), SinkFormat::parse(p.field("format")))
    else {
        return failure::invalid(&s.visit, t("Choose a kind and a format.", "请选择类型与格式。"));
    };
    let create = CreateSink {
        tenant: s.who.id.clone(),
        name: p.field("name").trim().to_owned(),
        kind,
        address: p.field("address").trim().to_owned(),
        format,
        family: match p.field("events") {
            "own" => Some(Family::Own),
            "platform" => Some(Family::Platform),
            _ => None,
        },
        roots: p.field("roots").trim().replace("\r\n", "\n"),
    };
    match s.visit.site.house.perform(s.caller.clone(), create).await {
        Ok(made) => page(s, Some(made.secret.expose())).await,
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn act(Path((name, what)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let (house, tenant) = (&s.visit.site.house, s.who.id.clone());
    let caller = s.caller.clone();
    let done = match what.as_str() {
        "test" => house.perform(caller, TestSink { tenant, name }).await,
        "remove" => house.perform(caller, DeleteSink { tenant, name }).await,
        "replay" => match p.field("from").trim().parse() {
            Ok(record) => {
                let from = ReplayFrom::Record(record);
                house.perform(caller, ReplaySink { tenant, name, from }).await.map(drop)
            }
            Err(_) => {
                let why = s.visit.lang.t("A record is a number.", "记录编号必须是数字。");
                return failure::invalid(&s.visit, why);
            }
        },
        _ => return failure::missing(&s.visit),
    };
    match done {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

async fn page(s: &Signed<Tenant>, secret: Option<&str>) -> Response {
    let (house, tenant) = (&s.visit.site.house, &s.who.id);
    let t = |en, zh| s.visit.lang.t(en, zh);
    let sinks = match house.perform(s.caller.clone(), ListSinks { tenant: tenant.clone() }).await {
        Ok(sinks) => sinks,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let mut trails = Vec::new();
    for family in [TrailFamily::Management, TrailFamily::Inner] {
        let describe = DescribeTrails { family, names: Vec::new() }.of(tenant, &house.provider().region);
        match house.perform(s.caller.clone(), describe).await {
            Ok(found) => trails.extend(found),
            // Who may see sinks and not trails sees sinks.
            Err(Failure::Refused(_)) => {}
            Err(e) => return failure::page(&s.visit, &e),
        }
    }
    let main = html! {
        p.crumb { a href="/console/trail" { (t("Who touched my data", "谁动过我的数据")) } " / " (t("Delivery", "投递")) }
        div.title { div { h1 { (t("Delivery", "投递")) } p { (t("Events go where you want them, in the order of the log, at least once; each has an id by which a repeat is known.", "事件按日志顺序投递到您指定的位置，至少一次；每个事件都有编号，可识别重复。")) } } }
        @if let Some(secret) = secret { div.notice #secret role="status" { div { p { (t("The secret by which your webhook checks signatures. It is shown once.", "供您的 Webhook 校验签名的密钥，仅显示一次。")) } p { code { (secret) } } } } }
        div.stack {
            section #sinks { h2 { (t("Webhooks and syslog", "Webhook 与 syslog")) } div.card { (listed(s, &sinks)) } }
            section #trails { h2 { (t("Buckets", "存储桶")) } div.card { (buckets(s, &trails)) } }
            section #add { h2 { (t("Add a webhook or a syslog server", "添加 Webhook 或 syslog 服务器")) } div.card { form.pad.stack method="post" action=(HERE) { (csrf(&s.visit))
                div.field { label for="name" { (t("Name", "名称")) } input.in #name name="name" required maxlength="40" pattern="[a-z0-9\\-]+"; }
                div.field { label for="kind" { (t("Kind", "类型")) } select.in #kind name="kind" { option value="webhook" { "Webhook (HTTPS)" } option value="syslog" { "Syslog (RFC 5424, TLS)" } } }
                div.field { label for="address" { (t("Address", "地址")) } input.in #address name="address" required maxlength="512" placeholder="https://siem.example/hook"; p.hint { (t("https://… for a webhook, host:port for syslog.", "Webhook 为 https://…，syslog 为 主机:端口。")) } }
                div.field { label for="format" { (t("Format", "格式")) } select.in #format name="format" { option value="cloudevents" { "CloudEvents 1.0" } option value="ocsf" { "OCSF" } option value="bailee" { "ActionTrail" } } }
                div.field { label for="events" { (t("Events", "事件")) } select.in #events name="events" { option value="all" { (t("all", "全部")) } option value="platform" { (t("the platform's", "平台的")) } option value="own" { (t("our own", "我们自己的")) } } }
                div.field { label for="roots" { (t("Roots of a syslog server (PEM; empty: the public list)", "syslog 服务器的根证书（PEM；留空使用公共列表）")) } textarea.in #roots name="roots" rows="3" spellcheck="false" {} }
                p { button.btn { (t("Add", "添加")) } }
            } } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Delivery", "投递"), Some(Here::Trail), &main)
}

fn listed(s: &Signed<Tenant>, sinks: &[Sink]) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    if sinks.is_empty() {
        return html! { div.empty { h3 { (t("No webhook, no syslog server", "没有 Webhook 或 syslog 服务器")) } p { (t("Add one below.", "请在下方添加。")) } } };
    }
    let form = |name: &str, what: &str, more: Markup, label: &str| {
        html! { form method="post" action={ (HERE) "/" (name) "/" (what) } { (csrf(&s.visit)) (more) button.btn { (label) } } }
    };
    html! { table { thead { tr { th { (t("Name", "名称")) } th { (t("Address", "地址")) } th { (t("Format", "格式")) } th { (t("Last delivery", "最近投递")) } th { (t("Waiting", "等待")) } th {} } }
        tbody { @for k in sinks { tr {
            td { (k.name) } td { code { (k.address) } } td { (k.kind.word()) ", " (k.format.word()) }
            td { @match k.delivered_at { Some(at) => (time(at)), None => (t("never", "从未")) }
                @if let Some((at, why)) = &k.failed { p.error { (time(*at)) " " (why) } } }
            td { (k.waiting) }
            td { div.acts {
                (form(&k.name, "test", html! {}, t("Test", "测试")))
                (form(&k.name, "replay", html! { label for={ "from-" (k.name) } { (t("From record", "自记录")) } " " input.in id={ "from-" (k.name) } name="from" inputmode="numeric" required size="8"; " " }, t("Deliver again", "重新投递")))
                (form(&k.name, "remove", html! {}, t("Remove", "删除")))
            } }
        } } }
    } }
}

fn buckets(s: &Signed<Tenant>, trails: &[Trail]) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    if trails.is_empty() {
        return html! { div.empty { h3 { (t("No trail", "没有跟踪")) } p { (t("Make one with CreateTrail of ActionTrail's API.", "请通过操作审计 API 的 CreateTrail 创建。")) } } };
    }
    html! { table { thead { tr { th { (t("Trail", "跟踪")) } th { (t("Bucket", "存储桶")) } th { (t("State", "状态")) } th { (t("Last delivery", "最近投递")) } } }
        tbody { @for k in trails { tr {
            td { (k.name) } td { code { (k.settings.bucket) "/" (k.settings.prefix) } } td { (k.status.word()) }
            td { @match k.delivered_at { Some(at) => (time(at)), None => (t("never", "从未")) }
                @if let Some((at, why)) = &k.failed { p.error { (time(*at)) " " (why) } } }
        } } }
    } }
}
