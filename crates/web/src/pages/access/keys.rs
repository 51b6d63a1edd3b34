//! AccessKeys of a user or of root: two at most, so that one can be replaced while the other works.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    AccessKey, CreateAccessKey, DeleteAccessKey, ListAccessKeys, NewAccessKey, Owner, UpdateAccessKey,
};
use bailee_types::{AccessKeyId, UserName};
use http::StatusCode;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, icon, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Confirm, Said, Tab, ask, button, fresh, name_in, page, part, show_factor};
use super::users;

const OLD_MS: i64 = 90 * 86_400_000;

pub(super) async fn load(
    s: &Signed<Tenant>,
    owner: Owner,
) -> Result<Result<Vec<AccessKey>, Markup>, Response> {
    part(&s.visit, ask(s, ListAccessKeys { owner }).await)
}

/// The address of the owner's page.
fn base(owner: &Owner) -> String {
    match owner {
        Owner::Root => "/console/access/account".into(),
        Owner::User(name) => users::address(name),
    }
}

/// The section of the owner's page.
pub(super) fn section(visit: &Visit, owner: &Owner, keys: &Result<Vec<AccessKey>, Markup>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let now = visit.site.house.now();
    let base = base(owner);
    html! { section #keys { div.head { h2 { "AccessKeys" } p { (t("With one a program signs its requests; two at most.", "程序用它为请求签名；最多两个。")) } } div.card {
        @match keys {
            Err(why) => (why),
            Ok(keys) => {
                @if keys.is_empty() { div.empty { h3 { (t("No AccessKey", "没有 AccessKey")) } p { (t("A person who only uses the console needs none.", "只使用控制台的人不需要。")) } } }
                @else { table.tbl { thead { tr { th { "AccessKey" } th { (t("State", "状态")) } th { (t("Last used", "最近使用")) } th { (t("Created", "创建时间")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                    @for k in keys { tr id=(k.id) {
                        th scope="row" { code { (k.id) } }
                        td data-l=(t("State", "状态")) { span { @if k.active { span.chip.ok { (icon("check")) (t("On", "启用")) } } @else { span.chip { (icon("no")) (t("Off", "停用")) } }
                            @if k.active && now.ms() - k.created_at.ms() > OLD_MS { " " span.chip.warn { (icon("clock")) (t("older than 90 days", "超过 90 天")) } } } }
                        td data-l=(t("Last used", "最近使用")) { @match k.last_used_at { Some(at) => span { (time(at)) small { (k.last_service.as_deref().unwrap_or_default()) " · " (k.last_scheme.as_deref().unwrap_or_default()) } }, None => (t("never", "从未")) } }
                        td data-l=(t("Created", "创建时间")) { (time(k.created_at)) }
                        td.act {
                            (button(visit, &format!("{base}/keys/{}/switch", k.id), &[("to", if k.active { "off" } else { "on" })], "", if k.active { t("Switch off", "停用") } else { t("Switch on", "启用") }))
                            " " a.btn.slim.stop href={ (base) "/keys/" (k.id) "/delete" } { (t("Delete", "删除")) }
                        }
                    } }
                } } }
                @if keys.len() < 2 { form #create-key.pad method="post" action={ (base) "/keys" } { (csrf(visit)) button.btn { (icon("key")) (if keys.is_empty() { t("Make a key", "创建密钥") } else { t("Make the second key", "创建第二个密钥") }) } } }
                p.note { b { (t("To replace a key: ", "更换密钥：")) } (t("make a second key, move your programs to it, switch the old one off, and delete it when nothing fails. Switched off, it can be switched on again; deleted, it is gone.", "创建第二个密钥，将程序切换过去，停用旧密钥，确认没有影响后再删除。停用后可以重新启用；删除后无法恢复。")) }
            }
        }
    } } }
}

pub(super) async fn root(s: Signed<Tenant>) -> Response {
    show_root(&s, &Said::nothing()).await
}

async fn show_root(s: &Signed<Tenant>, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let keys = match load(s, Owner::Root).await {
        Ok(keys) => keys,
        Err(page) => return page,
    };
    let stale = match fresh(s).await {
        Ok(()) => false,
        Err(Failure::FreshMfa) => true,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        p.crumb { a href="/console/access" { (t("People and keys", "人员与密钥")) } " / root" }
        div.title { div { h1 { (t("AccessKeys of root", "主账号的 AccessKey")) } p { (t("Whoever holds one may do everything in your account, and no policy can limit it.", "持有者可以在您的账号中做任何事，任何策略都无法限制。")) } } }
        (said.notice())
        @if stale { (show_factor(&s.visit)) }
        (section(&s.visit, &Owner::Root, &keys))
    };
    page(&s.visit, said.status, t("AccessKeys of root", "主账号的 AccessKey"), Tab::Overview, &main)
}

/// A user from an address.
fn user(visit: &Visit, name: &str) -> Result<Owner, Response> {
    UserName::parse(name_in(name)).map(Owner::User).map_err(|_| failure::missing(visit))
}

pub(super) async fn create_of_user(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    match user(&p.signed.visit, &name) {
        Ok(owner) => create(owner, &p).await,
        Err(page) => page,
    }
}

pub(super) async fn create_of_root(p: Posted<Tenant>) -> Response {
    create(Owner::Root, &p).await
}

async fn create(owner: Owner, p: &Posted<Tenant>) -> Response {
    if owner == Owner::Root
        && let Err(e) = fresh(&p.signed).await
    {
        return failure::page(&p.signed.visit, &e);
    }
    match ask(&p.signed, CreateAccessKey { owner: owner.clone() }).await {
        Ok(key) => secret_page(&p.signed.visit, &owner, &key),
        Err(e) => again(p, &owner, &e).await,
    }
}

/// The one time that a secret is shown: in the answer to the form, so that no address leads to it.
fn secret_page(visit: &Visit, owner: &Owner, key: &NewAccessKey) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let main = html! {
        div.title { div { h1 { (t("A new AccessKey", "新的 AccessKey")) } p { (t("The secret is shown this once. Store it where your program reads it, not in its code.", "密钥仅显示这一次。请保存到程序读取密钥的位置，不要写入代码。")) } } }
        div.card { div.pad.stack {
            dl.facts {
                dt { "AccessKey ID" } dd { code #key-id { (key.id) } }
                dt { "AccessKey Secret" } dd { code #key-secret { (key.secret.expose()) } }
            }
            p { a #key-kept.btn.main-act href={ (base(owner)) "#keys" } { (t("I have stored it", "我已保存")) } }
        } }
    };
    page(visit, StatusCode::OK, t("A new AccessKey", "新的 AccessKey"), tab(owner), &main)
}

fn tab(owner: &Owner) -> Tab {
    if *owner == Owner::Root { Tab::Overview } else { Tab::Users }
}

/// The owner's page with what went wrong.
async fn again(p: &Posted<Tenant>, owner: &Owner, e: &Failure) -> Response {
    match (Said::failed(p, "keys", e), owner) {
        (Ok(said), Owner::Root) => show_root(&p.signed, &said).await,
        (Ok(said), Owner::User(name)) => users::show(&p.signed, name, &said).await,
        (Err(page), _) => page,
    }
}

pub(super) async fn switch_of_user(Path((name, id)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    match user(&p.signed.visit, &name) {
        Ok(owner) => switch(owner, &id, &p).await,
        Err(page) => page,
    }
}

pub(super) async fn switch_of_root(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    switch(Owner::Root, &id, &p).await
}

async fn switch(owner: Owner, id: &str, p: &Posted<Tenant>) -> Response {
    let (Ok(id), to @ ("on" | "off")) = (AccessKeyId::parse(id), p.field("to")) else {
        return failure::missing(&p.signed.visit);
    };
    match ask(&p.signed, UpdateAccessKey { owner: owner.clone(), id, active: to == "on" }).await {
        Ok(()) => Redirect::to(&format!("{}#keys", base(&owner))).into_response(),
        Err(e) => again(p, &owner, &e).await,
    }
}

pub(super) async fn confirm_of_user(s: Signed<Tenant>, Path((name, id)): Path<(String, String)>) -> Response {
    match user(&s.visit, &name) {
        Ok(owner) => confirm(&s, &owner, &id).await,
        Err(page) => page,
    }
}

pub(super) async fn confirm_of_root(s: Signed<Tenant>, Path(id): Path<String>) -> Response {
    confirm(&s, &Owner::Root, &id).await
}

async fn confirm(s: &Signed<Tenant>, owner: &Owner, id: &str) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let keys = match ask(s, ListAccessKeys { owner: owner.clone() }).await {
        Ok(keys) => keys,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let Some(key) = keys.iter().find(|k| k.id.as_str() == id) else { return failure::missing(&s.visit) };
    let back = format!("{}#keys", base(owner));
    Confirm {
        here: tab(owner),
        title: &format!("{} {}", t("Delete AccessKey", "删除 AccessKey"), key.id),
        text: t(
            "The key is gone for good: programs that still sign with it fail at once. If you are not sure, switch it off first and wait.",
            "密钥将永久删除：仍用它签名的程序会立即失败。如不确定，请先停用并观察。",
        ),
        more: html! { p { (t("Last used: ", "最近使用：")) @match key.last_used_at { Some(at) => (time(at)), None => (t("never", "从未")) } } },
        to: &format!("{}/keys/{}/delete", base(owner), key.id),
        back: &back,
        button: t("Delete the key", "删除密钥"),
    }
    .show(s, false)
    .await
}

pub(super) async fn delete_of_user(Path((name, id)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    match user(&p.signed.visit, &name) {
        Ok(owner) => delete(owner, &id, &p).await,
        Err(page) => page,
    }
}

pub(super) async fn delete_of_root(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    delete(Owner::Root, &id, &p).await
}

async fn delete(owner: Owner, id: &str, p: &Posted<Tenant>) -> Response {
    let Ok(id) = AccessKeyId::parse(id) else { return failure::missing(&p.signed.visit) };
    match ask(&p.signed, DeleteAccessKey { owner: owner.clone(), id }).await {
        Ok(()) => Redirect::to(&format!("{}#keys", base(&owner))).into_response(),
        Err(e) => again(p, &owner, &e).await,
    }
}
