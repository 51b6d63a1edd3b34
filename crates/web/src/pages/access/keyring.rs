//! All AccessKeys of the account with what is wrong with them, and the networks that they may be used from.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::identity::{
    GetAccountKeyNetworks, GetKeyNetworks, KeyFinding, KeyNetworks, ListKeyFindings, Owner,
    SetAccountKeyNetworks, SetKeyNetworks,
};
use bailee_types::{AccessKeyId, UserName};
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, enc, icon, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Said, Tab, ask, lines, name_in, page, part, seg};
use super::users;

const HERE: &str = "/console/access/keys";
const PER_PAGE: usize = 100;

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    show(&s, &q, &Said::nothing()).await
}

async fn show(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Response {
    match build(s, q, said).await {
        Ok(page) | Err(page) => page,
    }
}

async fn build(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Result<Response, Response> {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let only_bad = q.contains_key("bad");
    let mut all = ask(s, ListKeyFindings { days_min: 0 }).await.map_err(|e| failure::page(visit, &e))?;
    let (count, bad) = (all.len(), all.iter().filter(|f| f.is_old || f.is_unused).count());
    if only_bad {
        all.retain(|f| f.is_old || f.is_unused);
    }
    let from =
        q.get("after").map_or(0, |a| all.iter().position(|f| f.key.id.as_str() == a).map_or(0, |n| n + 1));
    let shown: Vec<_> = all.iter().skip(from).take(PER_PAGE).collect();
    let next = (all.len() > from + shown.len()).then(|| shown.last().map(|f| f.key.id.as_str())).flatten();
    let account = part(visit, ask(s, GetAccountKeyNetworks).await)?;
    let main = html! {
        div.title { div { h1 { "AccessKeys" } p #key-count { (bad) " / " (count) (t(" keys should be rotated or switched off.", " 个密钥需要轮换或停用。")) } } }
        (said.notice())
        p.acts { @if only_bad { a.btn.low href=(HERE) { (t("All keys", "全部密钥")) } } @else if bad > 0 { a.btn href={ (HERE) "?bad=1" } { (t("Only those with a finding", "仅显示有问题的")) } } }
        div.card {
            @if shown.is_empty() { div.empty { h3 { (t("No AccessKey here", "没有 AccessKey")) } p { (t("No program can sign a request for this account with a permanent key.", "没有程序可以用永久密钥为此账号签名请求。")) } } }
            @else { table.tbl #keys { thead { tr { th { "AccessKey" } th { (t("Owner", "所有者")) } th { (t("State", "状态")) } th { (t("Age", "已创建")) } th { (t("Last used", "最近使用")) } th { (t("Networks", "网络")) } } } tbody {
                @for f in &shown { (row(visit, f)) }
            } } }
            @if let Some(next) = next { p.pad { a #next href={ (HERE) "?" @if only_bad { "bad=1&" } "after=" (enc(next)) } { (t("Next page", "下一页")) } } }
        }
        section #rotate { h2 { (t("Replacing a key without an outage", "无中断更换密钥")) } div.card.pad { ol {
            li { (t("Make a second key on its owner’s page.", "在所有者页面创建第二个密钥。")) }
            li { (t("Move the programs to it; the old key’s “last used” stops moving.", "将程序切换到新密钥；旧密钥的“最近使用”时间不再更新。")) }
            li { (t("Switch the old key off. Nothing is lost: it can be switched on again.", "停用旧密钥。此操作可撤销：可以重新启用。")) }
            li { (t("Delete it when nothing fails for some days.", "数日内没有异常后删除旧密钥。")) }
        } } }
        section #networks { div.head { h2 { (t("Networks for all keys", "所有密钥的网络")) } p { (t("A key’s own networks stand in place of these. Sessions of roles are not bound.", "密钥自身的网络设置优先于此设置。角色会话不受限制。")) } } div.card {
            @match &account { Err(why) => (why), Ok(networks) => (form(visit, &format!("{HERE}/networks"), networks, said)) }
        } }
    };
    Ok(page(visit, said.status, "AccessKeys", Tab::Keys, &main))
}

fn base(f: &KeyFinding) -> String {
    f.user.as_ref().map_or_else(|| "/console/access/account".to_owned(), users::address)
}

fn row(visit: &Visit, f: &KeyFinding) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let owner = f.user.as_ref().map_or("root", |u| u.as_str());
    html! { tr id=(f.key.id) {
        th scope="row" { code { (f.key.id) } }
        td data-l=(t("Owner", "所有者")) { a href={ (base(f)) "#keys" } { (owner) } }
        td data-l=(t("State", "状态")) { @if f.key.active { span.chip.ok { (icon("check")) (t("On", "启用")) } } @else { span.chip { (icon("no")) (t("Off", "停用")) } } }
        td data-l=(t("Age", "已创建")) { span { (f.age_days) (t(" days", " 天")) @if f.is_old { " " span.chip.warn { (icon("clock")) (t("rotate", "需轮换")) } } } }
        td data-l=(t("Last used", "最近使用")) { span { @match f.key.last_used_at { Some(at) => { (time(at)) small { (f.key.last_service.as_deref().unwrap_or_default()) } }, None => (t("never", "从未")) } @if f.is_unused { " " span.chip.warn { (icon("warn")) (t("unused for 90 days", "90 天未使用")) } } } }
        td data-l=(t("Networks", "网络")) { a href={ (HERE) "/" (seg(owner)) "/" (f.key.id) "/networks" } { (t("Show or set", "查看或设置")) } }
    } }
}

fn form(visit: &Visit, to: &str, networks: &KeyNetworks, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let stored =
        if networks.is_active() { networks.networks().collect::<Vec<_>>().join("\n") } else { String::new() };
    html! { form #set-networks method="post" action=(to) { div.pad.stack { (csrf(visit))
        p #networks-state { @if networks.is_active() { span.chip.ok { (icon("lock")) (t("Bound", "已限制")) } } @else { span.chip { (t("From anywhere", "不限网络")) } } }
        div.field { label for="networks-text" { (t("Addresses and networks, one a line", "地址与网段，每行一个")) }
            textarea.in #networks-text name="networks" rows="4" spellcheck="false" { "\n" (said.typed("networks", "networks", &stored)) }
            p.hint { (t("E.g. 203.0.113.7 or 10.0.0.0/8. Empty: from anywhere. A use from elsewhere is refused and recorded. The address counts that reaches this server: behind a proxy it is the proxy’s.", "例如 203.0.113.7 或 10.0.0.0/8。留空表示不限。来自其他网络的使用将被拒绝并记录。以到达本服务器的地址为准：经代理时为代理的地址。")) } }
        p { button.btn { (t("Store the networks", "保存网络设置")) } }
    } } }
}

pub(super) async fn set_account(p: Posted<Tenant>) -> Response {
    let done = match KeyNetworks::of_networks(&lines(p.field("networks"))) {
        Ok(to) => ask(&p.signed, SetAccountKeyNetworks { to }).await,
        Err(e) => Err(e),
    };
    match done {
        Ok(_) => Redirect::to(&format!("{HERE}#networks")).into_response(),
        Err(e) => match Said::failed(&p, "networks", &e) {
            Ok(said) => show(&p.signed, &HashMap::new(), &said).await,
            Err(page) => page,
        },
    }
}

fn parse(visit: &Visit, owner: &str, id: &str) -> Result<(Owner, AccessKeyId), Response> {
    let owner = match owner {
        "root" => Some(Owner::Root),
        name => UserName::parse(name_in(name)).ok().map(Owner::User),
    };
    match (owner, AccessKeyId::parse(id)) {
        (Some(owner), Ok(id)) => Ok((owner, id)),
        _ => Err(failure::missing(visit)),
    }
}

pub(super) async fn one(s: Signed<Tenant>, Path((owner, id)): Path<(String, String)>) -> Response {
    match parse(&s.visit, &owner, &id) {
        Ok((of, id)) => show_one(&s, &owner, of, id, &Said::nothing()).await,
        Err(page) => page,
    }
}

async fn show_one(s: &Signed<Tenant>, owner: &str, of: Owner, id: AccessKeyId, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let networks = match ask(s, GetKeyNetworks { owner: of, id: id.clone() }).await {
        Ok(networks) => networks,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        p.crumb { a href=(HERE) { "AccessKeys" } " / " (name_in(owner)) " / " (id) }
        div.title { div { h1 { (t("Networks of ", "网络设置：")) (id) } p { (t("When set, they stand in place of the account’s networks for this key.", "设置后，对此密钥替代账号的网络设置。")) } } }
        (said.notice())
        div.card { (form(&s.visit, &format!("{HERE}/{owner}/{id}/networks"), &networks, said)) }
    };
    page(&s.visit, said.status, id.as_str(), Tab::Keys, &main)
}

pub(super) async fn set_one(Path((owner, id)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let (of, id) = match parse(&p.signed.visit, &owner, &id) {
        Ok(found) => found,
        Err(page) => return page,
    };
    let done = match KeyNetworks::of_networks(&lines(p.field("networks"))) {
        Ok(to) => ask(&p.signed, SetKeyNetworks { owner: of.clone(), id: id.clone(), to }).await,
        Err(e) => Err(e),
    };
    match done {
        Ok(_) => Redirect::to(&format!("{HERE}/{owner}/{id}/networks")).into_response(),
        Err(e) => match Said::failed(&p, "networks", &e) {
            Ok(said) => show_one(&p.signed, &owner, of, id, &said).await,
            Err(page) => page,
        },
    }
}
