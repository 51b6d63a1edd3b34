//! The tenant's keys of KMS: what there are, what they did, and the acts that people do by hand.

use std::collections::{BTreeMap, HashMap};

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::keys::cmk::{
    CancelDeletion, CreateKey, CreateVersion, DescribeKey, Key, KeyAct, KeyOrigin, KeyState, ListAliases,
    ListKeyUses, ListKeys, ListVersions, Paged, ScheduleDeletion, SetEnabled, SetRotation, Spec,
};
use bailee_rooms::keys::policy::{GetPolicy, Guarded, POLICY_BYTES_MAX, SetPolicy};
use bailee_types::{KeyId, KeyVersionId, Timestamp};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Lang, Posted, Signed, Tenant};

const HERE: &str = "/console/keys";
const PER_PAGE: u64 = 50;
/// Days of uses that a key's page shows.
const DAYS: u32 = 30;
const DAY_MS: i64 = 86_400_000;

async fn act<A: KeyAct>(s: &Signed<Tenant>, act: A) -> Result<A::Output, Failure> {
    let house = &s.visit.site.house;
    house.perform(s.caller.clone(), act.of(&s.who.id, house)).await
}

fn state(lang: Lang, state: KeyState) -> &'static str {
    match state {
        KeyState::Enabled => lang.t("Enabled", "已启用"),
        KeyState::Disabled => lang.t("Disabled", "已禁用"),
        KeyState::PendingDeletion => lang.t("Will be destroyed", "待删除"),
        KeyState::PendingImport => lang.t("Waits for material", "待导入"),
    }
}

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    let page = q.get("page").and_then(|p| p.parse().ok()).unwrap_or(1).clamp(1, 1_000_000);
    let states: Vec<_> = q.get("state").and_then(|w| KeyState::parse(w)).into_iter().collect();
    let ask = ListKeys { states: states.clone(), specs: Vec::new(), page, size: PER_PAGE };
    match act(&s, ask).await {
        Ok(found) => show_list(&s, &found, (page, states.first().copied())),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn show_list(s: &Signed<Tenant>, found: &Paged<Key>, (page, only): (u64, Option<KeyState>)) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let at = |page: u64| {
        let state = only.map(|o| format!("state={}&", o.name())).unwrap_or_default();
        format!("{HERE}?{state}page={page}")
    };
    let states = [KeyState::Enabled, KeyState::Disabled, KeyState::PendingDeletion, KeyState::PendingImport];
    let main = html! {
        div.title { div { h1 { (t("Encryption keys", "加密密钥")) } p { (t("Your keys of KMS. Encrypt with any KMS SDK; what your people do with a key stands in your log as counts, each hour.", "您的 KMS 密钥。可用任何 KMS SDK 加密；密钥的使用次数每小时记入您的日志。")) } } div.acts { a.btn #stores href="/console/keys/stores" { (t("Key services of your own", "您自己的密钥服务")) } } }
        div.stack {
            form.pad method="get" action=(HERE) {
                div.field { label for="state" { (t("State", "状态")) } select.in #state name="state" {
                    option value="" { (t("all", "全部")) }
                    @for one in states { option value=(one.name()) selected[only == Some(one)] { (state(s.visit.lang, one)) } }
                } }
                p { button.btn { (t("Show", "显示")) } }
            }
            div.card #keys {
                @if found.items.is_empty() { div.empty { h3 { (t("No key here", "没有密钥")) } p { (t("Make one below, or with CreateKey of a KMS SDK.", "可在下方创建，或用 KMS SDK 的 CreateKey。")) } } }
                @else { table.tbl { thead { tr { th { (t("Key", "密钥")) } th { (t("Kind", "规格")) } th { (t("State", "状态")) } th { (t("Made", "创建")) } th { (t("Description", "描述")) } } } tbody {
                    @for k in &found.items { tr {
                        th scope="row" { a.mono href={ (HERE) "/" (k.id) } { (k.id) } }
                        td data-l=(t("Kind", "规格")) { (k.spec.name()) }
                        td data-l=(t("State", "状态")) { (state(s.visit.lang, k.state)) }
                        td data-l=(t("Made", "创建")) { (time(k.created_at)) }
                        td data-l=(t("Description", "描述")) { (k.description) }
                    } }
                } } }
            }
            p.pad { (found.total) " " (t("keys", "个密钥"))
                @if page > 1 { " · " a #newer href=(at(page - 1)) { (t("Page before", "上一页")) } }
                @if page * PER_PAGE < found.total { " · " a #older href=(at(page + 1)) { (t("Next page", "下一页")) } } }
            section { h2 { (t("Make a key", "创建密钥")) } div.card { form.pad.stack method="post" action=(HERE) { (csrf(&s.visit))
                div.field { label for="spec" { (t("Kind", "规格")) } select.in #spec name="spec" { @for name in Spec::names() { option value=(name) { (name) } } } }
                div.field { label for="description" { (t("Description", "描述")) } input.in #description name="description" maxlength="8192"; }
                div.field { label for="days" { (t("New version each … days (AES and SM4; empty for never)", "每隔多少天轮转（AES 与 SM4；留空表示不轮转）")) } input.in #days name="days" inputmode="numeric"; }
                label.tick { input type="checkbox" name="external" value="yes"; " " (t("I bring the material (AES and SM4)", "由我导入密钥材料（AES 与 SM4）")) }
                p { button.btn.main { (t("Make", "创建")) } }
            } } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Encryption keys", "加密密钥"), Some(Here::Keys), &main)
}

pub(super) async fn make(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Some(spec) = Spec::parse(p.field("spec")) else { return failure::missing(&s.visit) };
    let Ok(rotation_s) = days(p.field("days")) else {
        return failure::invalid(&s.visit, s.visit.lang.t("Days are a number.", "天数必须是数字。"));
    };
    let origin = if p.field("external").is_empty() { KeyOrigin::Own } else { KeyOrigin::External };
    let make = CreateKey {
        spec,
        usage: spec.default_usage(),
        origin,
        description: p.field("description").to_owned(),
        rotation_s,
        tags: BTreeMap::new(),
        lies_at: None,
        policy: None,
    };
    match act(s, make).await {
        Ok(key) => Redirect::to(&format!("{HERE}/{}", key.id)).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// Seconds of so many days; none for an empty field.
fn days(text: &str) -> Result<Option<i64>, std::num::ParseIntError> {
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { text.parse::<i64>().map(|d| Some(d.saturating_mul(86_400))) }
}

struct Told {
    key: Key,
    versions: Paged<(KeyVersionId, Timestamp)>,
    aliases: Paged<(String, KeyId)>,
    uses: Vec<(i64, String, u64)>,
}

async fn told(s: &Signed<Tenant>, key: KeyId) -> Result<Told, Failure> {
    Ok(Told {
        key: act(s, DescribeKey { key: key.clone() }).await?,
        versions: act(s, ListVersions { key: key.clone(), page: 1, size: 20 }).await?,
        aliases: act(s, ListAliases { key: Some(key.clone()), page: 1, size: 20 }).await?,
        uses: act(s, ListKeyUses { key, days: DAYS }).await?,
    })
}

pub(super) async fn one(s: Signed<Tenant>, Path(id): Path<String>) -> Response {
    let Ok(id) = KeyId::parse(&id) else { return failure::missing(&s.visit) };
    match told(&s, id).await {
        Ok(told) => show_one(&s, &told),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn show_one(s: &Signed<Tenant>, told: &Told) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let k = &told.key;
    let at = format!("{HERE}/{}", k.id);
    let button = |what: &str, label: &str| {
        html! { form method="post" action={ (at) "/" (what) } { (csrf(&s.visit)) button.btn #(what) { (label) } } }
    };
    let row = |name: &str, value: Markup| html! { tr { th scope="row" { (name) } td { (value) } } };
    let when = |at: Option<Timestamp>| html! { @match at { Some(at) => (time(at)), None => "–" } };
    let rotates = k.spec.is_symmetric() && k.origin == KeyOrigin::Own;
    let main = html! {
        p.crumb { a href=(HERE) { (t("Encryption keys", "加密密钥")) } " / " span.mono { (k.id) } }
        div.title { div { h1 { (k.spec.name()) " " (state(s.visit.lang, k.state)) } p { (k.description) } }
            div.acts {
                @match k.state {
                    KeyState::Enabled => { (button("disable", t("Disable", "禁用"))) @if k.origin == KeyOrigin::Own { (button("rotate", t("New version now", "立即轮转"))) } }
                    KeyState::Disabled => (button("enable", t("Enable", "启用"))),
                    KeyState::PendingDeletion => (button("cancel", t("Keep it after all", "取消删除"))),
                    KeyState::PendingImport => {}
                }
            } }
        div.stack {
            div.card { table.tbl #key { tbody {
                (row(t("Usage", "用途"), html! { (k.usage.name()) }))
                (row(t("Material", "材料"), html! { @match k.origin { KeyOrigin::Own => (t("made here", "平台生成")), KeyOrigin::External => (t("brought by you", "由您导入")), KeyOrigin::Store => (t("stays in your own key service", "保留在您自己的密钥服务中")) } }))
                (row(t("Made", "创建"), html! { (time(k.created_at)) " " span.mono { (k.creator) } }))
                (row(t("Encrypts with version", "加密版本"), html! { span.mono { (k.primary) } }))
                @if let Some((store, external)) = &k.lies_at { (row(t("Key service", "密钥服务"), html! { span.mono { (store) } " · " span.mono { (external) } })) }
                @if rotates { (row(t("Next new version", "下次轮转"), when(k.rotate_at))) }
                @if k.material_until.is_some() { (row(t("Material ends", "材料到期"), when(k.material_until))) }
                @if k.delete_at.is_some() { (row(t("Will be destroyed", "删除时间"), when(k.delete_at))) }
                @if let Some(why) = &k.protected { (row(t("Protected from deletion", "删除保护"), html! { (t("yes", "是")) " " (why) })) }
                (row(t("Policy", "策略"), html! { a #policy href={ (at) "/policy" } { (t("who may use it", "谁可以使用")) } }))
                (row(t("Other names", "别名"), html! { @if told.aliases.items.is_empty() { "–" } @for (name, _) in &told.aliases.items { span.mono { (name) } " " } }))
            } } }
            section { h2 { (t("Uses in the last 30 days", "近 30 天的使用")) } div.card #uses { (uses(s, &told.uses)) } }
            section { h2 { (t("Versions", "版本")) } div.card { table.tbl { tbody {
                @for (version, made) in &told.versions.items { tr { th scope="row" { span.mono { (version) } } td { (time(*made)) } } }
            } } @if told.versions.total > 20 { p.pad { (told.versions.total) " " (t("in all; ListKeyVersions lists them", "个版本；可用 ListKeyVersions 列出")) } } } }
            @if rotates && k.state == KeyState::Enabled { section { h2 { (t("Rotation", "轮转")) } div.card { form.pad.stack method="post" action={ (at) "/rotation" } { (csrf(&s.visit))
                div.field { label for="days" { (t("New version each … days (7 to 730; empty for never)", "每隔多少天轮转（7 至 730；留空表示不轮转）")) } input.in #days name="days" inputmode="numeric" value=(k.rotation_s.map(|r| (r / 86_400).to_string()).unwrap_or_default()); }
                p { button.btn { (t("Store", "保存")) } }
            } } } }
            @if k.state != KeyState::PendingDeletion { section { h2 { (t("Destroy", "删除")) } div.card { form.pad.stack method="post" action={ (at) "/destroy" } { (csrf(&s.visit))
                p { (t("What it encrypted is lost for ever once it is destroyed. Until then it does nothing, and you can call it back.", "删除后，用它加密的数据将永久无法恢复。在此之前密钥不可用，您可以取消删除。")) }
                div.field { label for="window" { (t("In … days (7 to 366)", "等待天数（7 至 366）")) } input.in #window name="days" inputmode="numeric" value="30"; }
                div.field { label for="confirm" { (t("Type the first eight characters of the key", "请输入密钥的前八个字符")) } input.in #confirm name="confirm" autocomplete="off"; }
                p { button.btn.danger { (t("Let it be destroyed", "计划删除")) } }
            } } } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Key", "密钥"), Some(Here::Keys), &main)
}

pub(super) async fn policy(s: Signed<Tenant>, Path(id): Path<String>) -> Response {
    let Ok(key) = KeyId::parse(&id) else { return failure::missing(&s.visit) };
    let document = match act(&s, GetPolicy { of: Guarded::Key(key) }).await {
        Ok(document) => document,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let t = |en, zh| s.visit.lang.t(en, zh);
    let pretty = serde_json::from_str::<serde_json::Value>(&document)
        .and_then(|v| serde_json::to_string_pretty(&v))
        .ok()
        // What is shown can be stored again.
        .filter(|pretty| pretty.len() <= POLICY_BYTES_MAX)
        .unwrap_or(document);
    let at = format!("{HERE}/{id}");
    let main = html! {
        p.crumb { a href=(HERE) { (t("Encryption keys", "加密密钥")) } " / " a.mono href=(at) { (id) } " / " (t("Policy", "策略")) }
        div.title { div { h1 { (t("Who may use this key", "谁可以使用此密钥")) } p { (t("Beside those whom policies of RAM let: users and roles of your account that are named here. A Deny here wins over RAM. An Allow for the whole account adds nobody: it leaves the key to RAM.", "除 RAM 策略授权者外，此处点名的本账号用户与角色也可使用。此处的 Deny 优先于 RAM。对整个账号的 Allow 不新增任何人，仍由 RAM 决定。")) } } }
        div.card { form.pad.stack method="post" action={ (at) "/policy" } { (csrf(&s.visit))
            div.field { label for="document" { (t("Policy (JSON, at most 32,768 bytes)", "策略（JSON，最多 32,768 字节）")) } textarea.in.mono #document name="document" rows="18" spellcheck="false" { (pretty) } }
            p { button.btn.main #store { (t("Store", "保存")) } }
        } }
    };
    inside(&s.visit, StatusCode::OK, t("Key policy", "密钥策略"), Some(Here::Keys), &main)
}

fn uses(s: &Signed<Tenant>, uses: &[(i64, String, u64)]) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    if uses.is_empty() {
        return html! { div.empty { h3 { (t("Not used", "未使用")) } p { (t("Uses are written down once a minute.", "使用次数每分钟记录一次。")) } } };
    }
    html! { table.tbl { thead { tr { th { (t("Day (UTC)", "日期（UTC）")) } th { (t("Operation", "操作")) } th { (t("Times", "次数")) } } } tbody {
        @for (day, operation, times) in uses.iter().rev() { tr {
            th scope="row" { (Timestamp::from_ms(day * DAY_MS).iso().get(..10).unwrap_or_default()) }
            td data-l=(t("Operation", "操作")) { (operation) } td data-l=(t("Times", "次数")) { (times) }
        } }
    } } }
}

pub(super) async fn change_policy(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    change(Path((id, "policy".to_owned())), p).await
}

pub(super) async fn change(Path((id, what)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Ok(key) = KeyId::parse(&id) else { return failure::missing(&s.visit) };
    let number = || days(p.field("days"));
    let wrong = |en, zh| failure::invalid(&s.visit, s.visit.lang.t(en, zh));
    let done = match what.as_str() {
        "enable" | "disable" => act(s, SetEnabled { key, enabled: what == "enable" }).await,
        "rotate" => act(s, CreateVersion { key, by_interval: false }).await.map(drop),
        "policy" => {
            let document = p.field("document").to_owned();
            act(s, SetPolicy { of: Guarded::Key(key), document }).await
        }
        "cancel" => act(s, CancelDeletion { key }).await,
        "rotation" => {
            let Ok(seconds) = number() else {
                return wrong("Days are a number.", "天数必须是数字。");
            };
            act(s, SetRotation { key, seconds }).await
        }
        "destroy" => {
            let confirmed = p.field("confirm").trim();
            if confirmed.len() != 8 || !id.starts_with(confirmed) {
                return wrong(
                    "The eight characters are not the key's; nothing was done.",
                    "输入的字符与密钥不符；未执行任何操作。",
                );
            }
            let Ok(Some(seconds)) = number() else {
                return wrong("Days are a number.", "天数必须是数字。");
            };
            act(s, ScheduleDeletion { key, days: seconds / 86_400 }).await.map(drop)
        }
        _ => return failure::missing(&s.visit),
    };
    match done {
        Ok(()) => Redirect::to(&format!("{HERE}/{id}")).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
