//! Key services of the tenant's own, the keys that lie there, and the buckets in the tenant's custody.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::keys::cmk::{
    CreateKey, CreateKeyStore, DeleteKeyStore, KeyAct, KeyOrigin, KeyStore, LEASE_S_MAX, ListKeyStores, Spec,
    StoreSettings, TestKeyStore, Usage,
};
use bailee_rooms::vault::SetCustody;
use bailee_rooms::{Failure, House};
use bailee_types::{BucketName, SecretText};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Posted, Signed, Tenant};

const HERE: &str = "/console/keys/stores";

async fn act<A: KeyAct>(s: &Signed<Tenant>, act: A) -> Result<A::Output, Failure> {
    let house: &std::sync::Arc<House> = &s.visit.site.house;
    house.perform(s.caller.clone(), act.of(&s.who.id, house)).await
}

pub(super) async fn list(s: Signed<Tenant>) -> Response {
    page(&s, None).await
}

async fn page(s: &Signed<Tenant>, said: Option<&str>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let stores = match act(s, ListKeyStores).await {
        Ok(stores) => stores,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        p.crumb { a href="/console/keys" { (t("Encryption keys", "加密密钥")) } " / " (t("Key services", "密钥服务")) }
        div.title { div { h1 { (t("Key services of your own", "您自己的密钥服务")) } p { (t("Keys that never come here: each use is a question to a service that you run (bailee keyhouse, or any XKS proxy), and it may say no.", "密钥从不进入本平台：每次使用都会询问您运行的服务（bailee keyhouse 或任何 XKS 代理），它可以拒绝。")) } } }
        @if let Some(said) = said { div.notice #said role="status" { p { (said) } } }
        div.stack {
            section #stores { div.card { (listed(s, &stores)) } }
            @if !stores.is_empty() {
                section #key { h2 { (t("Use a key that lies there", "使用其中的密钥")) } div.card { form.pad.stack method="post" action={ (HERE) "/key" } { (csrf(&s.visit))
                    div.field { label for="store" { (t("Key service", "密钥服务")) } select.in #store name="store" { @for k in &stores { option value=(k.id) { (k.name) } } } }
                    div.field { label for="external" { (t("Name of the key there", "密钥在该服务中的名称")) } input.in #external name="external" required maxlength="128"; }
                    div.field { label for="bucket" { (t("Give this empty bucket into your custody with it (optional)", "用它将此空存储桶置于您的保管之下（可选）")) } input.in #bucket name="bucket" maxlength="63"; p.hint { (t("Everything in it then lies under that key: without your service nobody here reads it.", "其中的一切都将由该密钥加密：没有您的服务，平台上无人能够读取。")) } }
                    p { button.btn.main { (t("Use it", "使用")) } }
                } } }
            }
            section #add { h2 { (t("Add a key service", "添加密钥服务")) } div.card { form.pad.stack method="post" action=(HERE) { (csrf(&s.visit))
                div.field { label for="name" { (t("Name", "名称")) } input.in #name name="name" required maxlength="64"; }
                div.field { label for="address" { (t("Address", "地址")) } input.in #address name="address" required maxlength="512" placeholder="https://keys.example/acme/kms/xks/v1"; }
                div.field { label for="credential" { (t("Credential", "凭证")) } input.in #credential name="credential" required autocomplete="off"; }
                div.field { label for="secret" { (t("Its secret", "凭证密码")) } input.in #secret name="secret" type="password" required autocomplete="off"; }
                div.field { label for="lease" { (t("Keep what was opened for … seconds for the person who asked (0: ask each time)", "为请求者保留已解开的数据密钥 … 秒（0：每次都询问）")) } input.in #lease name="lease" type="number" min="0" max=(LEASE_S_MAX) value="0"; }
                div.field { label for="approvers" { (t("Keys of your approvers, one on a line (bailee keyhouse approver)", "审批人公钥，每行一个（bailee keyhouse approver）")) } textarea.in #approvers name="approvers" rows="3" {} }
                div.field { label for="roots" { (t("Roots of its certificate (PEM; empty: the public list)", "其证书的根证书（PEM；留空使用公共列表）")) } textarea.in #roots name="roots" rows="4" {} }
                p { button.btn { (t("Ask it and add it", "测试并添加")) } }
            } } }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Key services", "密钥服务"), Some(Here::Keys), &main)
}

fn listed(s: &Signed<Tenant>, stores: &[KeyStore]) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    if stores.is_empty() {
        return html! { div.empty { h3 { (t("No key service", "没有密钥服务")) } p { (t("Your keys lie with the provider. Run one with ", "您的密钥由平台保管。可运行 ")) code { "bailee keyhouse init" } (t(" and add it below.", " 自建服务并在下方添加。")) } } };
    }
    let button = |id: &str, what: &str, label: &str| {
        html! { form method="post" action={ (HERE) "/" (id) "/" (what) } { (csrf(&s.visit)) button.btn { (label) } } }
    };
    html! { table.tbl { thead { tr { th { (t("Name", "名称")) } th { (t("Address", "地址")) } th { (t("Lease", "保留时间")) } th { (t("Approvers", "审批人")) } th { (t("Added", "添加时间")) } th {} } } tbody {
        @for k in stores { tr {
            th scope="row" { (k.name) br; span.mono { (k.id) } }
            td data-l=(t("Address", "地址")) { code { (k.address) } }
            td data-l=(t("Lease", "保留时间")) { (k.lease_s) " s" }
            td data-l=(t("Approvers", "审批人")) { @if k.approvers.is_empty() { "–" } @for a in &k.approvers { span.mono { (a.split('+').next().unwrap_or_default()) } " " } }
            td data-l=(t("Added", "添加时间")) { (time(k.created_at)) }
            td { div.acts { (button(&k.id, "test", t("Test", "测试"))) (button(&k.id, "remove", t("Remove", "移除"))) } }
        } }
    } } }
}

pub(super) async fn add(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Ok(lease_s) = p.field("lease").trim().parse::<i64>() else {
        return failure::invalid(&s.visit, s.visit.lang.t("Seconds are a number.", "秒数必须是数字。"));
    };
    let lines = p.field("approvers").lines().map(str::trim);
    let settings = StoreSettings {
        name: p.field("name").trim().to_owned(),
        address: p.field("address").trim().trim_end_matches('/').to_owned(),
        credential_id: p.field("credential").trim().to_owned(),
        secret: Some(SecretText::new(p.field("secret").to_owned())),
        roots: p.field("roots").trim().to_owned(),
        lease_s,
        approvers: lines.filter(|l| !l.is_empty()).map(str::to_owned).collect(),
    };
    match act(s, CreateKeyStore { settings }).await {
        Ok(_) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// Makes a key of KMS of a key that lies elsewhere, and gives a bucket into custody with it, where one is named.
pub(super) async fn key(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let name = p.field("bucket").trim();
    let bucket = match BucketName::parse(name) {
        Ok(bucket) => Some(bucket),
        Err(_) if name.is_empty() => None,
        Err(_) => {
            return failure::invalid(&s.visit, s.visit.lang.t("There is no such bucket.", "没有该存储桶。"));
        }
    };
    let make = CreateKey {
        spec: Spec::Aes256,
        usage: Usage::Encrypt,
        origin: KeyOrigin::Store,
        description: String::new(),
        rotation_s: None,
        tags: BTreeMap::new(),
        lies_at: Some((p.field("store").to_owned(), p.field("external").trim().to_owned())),
        policy: None,
    };
    let key = match act(s, make).await {
        Ok(key) => key.id,
        Err(e) => return failure::page(&s.visit, &e),
    };
    if let Some(bucket) = bucket {
        let op = SetCustody { tenant: s.who.id.clone(), bucket, key: Some(key.clone()) };
        if let Err(e) = s.visit.site.house.perform(s.caller.clone(), op).await {
            return failure::page(&s.visit, &e);
        }
    }
    Redirect::to(&format!("/console/keys/{key}")).into_response()
}

pub(super) async fn change(Path((id, what)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    match what.as_str() {
        "test" => match act(s, TestKeyStore { id }).await {
            Ok(health) => page(s, Some(&health)).await,
            Err(e) => failure::page(&s.visit, &e),
        },
        "remove" => match act(s, DeleteKeyStore { id }).await {
            Ok(()) => Redirect::to(HERE).into_response(),
            Err(e) => failure::page(&s.visit, &e),
        },
        _ => failure::missing(&s.visit),
    }
}
