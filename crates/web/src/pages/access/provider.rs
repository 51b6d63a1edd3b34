//! One identity provider: what counts of it, its change and its end.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    DeleteOidcProvider, DeleteSamlProvider, GetOidcProvider, GetSamlProvider, OidcChange, SAML_AUDIENCE,
    SAML_RECIPIENT, UpdateOidcProvider, UpdateSamlProvider,
};
use bailee_types::ProviderName;
use http::StatusCode;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Confirm, Field, Said, Tab, ask, button, lines, name_in, page};
use super::providers::{HERE, address, text_area};

fn parse(visit: &Visit, name: &str) -> Result<ProviderName, Response> {
    ProviderName::parse(name_in(name)).map_err(|_| failure::missing(visit))
}

pub(super) async fn oidc(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    match parse(&s.visit, &name) {
        Ok(name) => show_oidc(&s, &name, &Said::nothing()).await,
        Err(page) => page,
    }
}

async fn show_oidc(s: &Signed<Tenant>, name: &ProviderName, said: &Said) -> Response {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let p = match ask(s, GetOidcProvider { name: name.clone() }).await {
        Ok(p) => p,
        Err(e) => return failure::page(visit, &e),
    };
    let base = address("oidc", &p.name);
    let hours = p.settings.issuance_limit_hours.to_string();
    let main = html! {
        p.crumb { a href=(HERE) { (t("Identity providers", "身份提供商")) } " / " (p.name) }
        div.title { div { h1 { (p.name) } p { (p.description) } } div.acts { a.btn.stop #to-delete href={ (base) "/delete" } { (t("Delete", "删除")) } } }
        (said.notice())
        div.card { dl.facts.pad {
            dt { "ARN" } dd.mono { (p.arn(&s.who.id)) }
            dt { (t("Issuer", "颁发者")) } dd.mono { (p.settings.issuer) }
            dt { (t("A token may be old", "令牌签发时限")) } dd #hours { (hours) (t(" hours", " 小时")) }
            dt { (t("Created", "创建时间")) } dd { (time(p.created_at)) }
            dt { (t("Changed", "更改时间")) } dd { (time(p.updated_at)) }
        }
        div.note { details open[said.is("edit")] { summary { (t("Change", "修改")) } form #edit-oidc method="post" action=(base) { (csrf(visit))
            (Field { form: "edit", name: "description", label: t("Description", "说明"), value: said.typed("edit", "description", &p.description), max: 256, ..Field::default() }.show())
            (Field { form: "edit", name: "hours", label: t("A token may be old, hours", "令牌签发时限（小时）"), value: said.typed("edit", "hours", &hours), max: 3, kind: "number", required: true, hint: t("1 to 168", "1 至 168") }.show())
            p.acts { button.btn.main-act { (t("Store", "保存")) } }
        } } } }
        section #client-ids { h2 { (t("Client ids", "客户端 ID")) } (strings(visit, &base, "client", &p.settings.client_ids, 64, said)) }
        section #fingerprints { h2 { (t("Fingerprints", "证书指纹")) } (strings(visit, &base, "fingerprint", &p.settings.fingerprints, 40, said)) }
        p.small { (t("A role trusts it by a trust policy with ", "角色通过信任策略信任它：")) code { "\"Federated\": [\"" (p.arn(&s.who.id)) "\"]" } }
    };
    page(visit, said.status, p.name.as_str(), Tab::Providers, &main)
}

/// A list of words, each with a button, and a form for one more.
fn strings(visit: &Visit, base: &str, which: &'static str, all: &[String], max: u32, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { div.card {
        @if all.is_empty() { div.empty { h3 { (t("None", "无")) } p { (t("Nothing is listed.", "没有条目。")) } } }
        @else { ul.rows { @for one in all { li { div { code { (one) } } span.end { (button(visit, &format!("{base}/list/{which}/remove"), &[("value", one.as_str())], "", t("Take out", "移除"))) } } } } }
        form.pad id={ "add-" (which) } method="post" action={ (base) "/list/" (which) "/add" } { (csrf(visit))
            (Field { form: which, name: "value", label: t("One more", "添加"), value: said.typed(which, "value", ""), max, required: true, ..Field::default() }.show())
            p.acts { button.btn { (t("Add it", "添加")) } }
        }
    } }
}

async fn again<T>(
    p: &Posted<Tenant>,
    name: &ProviderName,
    kind: &'static str,
    which: &'static str,
    done: Result<T, Failure>,
) -> Response {
    match done {
        Ok(_) => Redirect::to(&address(kind, name)).into_response(),
        Err(e) => match Said::failed(p, which, &e) {
            Ok(said) if said.status == StatusCode::NOT_FOUND => failure::missing(&p.signed.visit),
            Ok(said) if kind == "oidc" => show_oidc(&p.signed, name, &said).await,
            Ok(said) => show_saml(&p.signed, name, &said).await,
            Err(page) => page,
        },
    }
}

pub(super) async fn update_oidc(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let name = match parse(&p.signed.visit, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let change = OidcChange::Update {
        description: Some(p.field("description").trim().to_owned()),
        client_ids: None,
        issuance_limit_hours: Some(p.field("hours").trim().parse().unwrap_or(0)),
    };
    let done = ask(&p.signed, UpdateOidcProvider { name: name.clone(), change }).await;
    again(&p, &name, "oidc", "edit", done).await
}

pub(super) async fn change_list(
    Path((name, which, what)): Path<(String, String, String)>,
    p: Posted<Tenant>,
) -> Response {
    let name = match parse(&p.signed.visit, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let value = p.field("value").trim().to_owned();
    let (which, change) = match (which.as_str(), what.as_str()) {
        ("client", "add") => ("client", OidcChange::AddClientId(value)),
        ("client", "remove") => ("client", OidcChange::RemoveClientId(value)),
        ("fingerprint", "add") => ("fingerprint", OidcChange::AddFingerprint(value)),
        ("fingerprint", "remove") => ("fingerprint", OidcChange::RemoveFingerprint(value)),
        _ => return failure::missing(&p.signed.visit),
    };
    let done = ask(&p.signed, UpdateOidcProvider { name: name.clone(), change }).await;
    again(&p, &name, "oidc", which, done).await
}

pub(super) async fn saml(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    match parse(&s.visit, &name) {
        Ok(name) => show_saml(&s, &name, &Said::nothing()).await,
        Err(page) => page,
    }
}

async fn show_saml(s: &Signed<Tenant>, name: &ProviderName, said: &Said) -> Response {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let p = match ask(s, GetSamlProvider { name: name.clone() }).await {
        Ok(p) => p,
        Err(e) => return failure::page(visit, &e),
    };
    let base = address("saml", &p.name);
    let main = html! {
        p.crumb { a href=(HERE) { (t("Identity providers", "身份提供商")) } " / " (p.name) }
        div.title { div { h1 { (p.name) } p { (p.description) } } div.acts { a.btn.stop #to-delete href={ (base) "/delete" } { (t("Delete", "删除")) } } }
        (said.notice())
        div.card { dl.facts.pad {
            dt { "ARN" } dd.mono { (p.arn(&s.who.id)) }
            dt { (t("Audience for the IdP", "IdP 中的受众（Audience）")) } dd.mono { (SAML_AUDIENCE) }
            dt { (t("Recipient for the IdP", "IdP 中的接收方（Recipient）")) } dd.mono { (SAML_RECIPIENT) }
            dt { (t("Created", "创建时间")) } dd { (time(p.created_at)) }
            dt { (t("Changed", "更改时间")) } dd { (time(p.updated_at)) }
        } }
        section #metadata { h2 { (t("Metadata", "元数据")) } div.card {
            pre.pad { (p.metadata) }
            div.note { details open[said.is("edit")] { summary { (t("Change", "修改")) } form #edit-saml method="post" action=(base) { (csrf(visit))
                (Field { form: "edit", name: "description", label: t("Description", "说明"), value: said.typed("edit", "description", &p.description), max: 256, ..Field::default() }.show())
                (text_area("edit-metadata", "metadata", t("Metadata document of the IdP (XML)", "IdP 元数据文档（XML）"), said.typed("edit", "metadata", &p.metadata), t("From now on only assertions signed by its keys count.", "此后仅其密钥签名的断言有效。")))
                p.acts { button.btn.main-act { (t("Store", "保存")) } }
            } } }
        } }
    };
    page(visit, said.status, p.name.as_str(), Tab::Providers, &main)
}

pub(super) async fn update_saml(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let name = match parse(&p.signed.visit, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let act = UpdateSamlProvider {
        name: name.clone(),
        description: Some(p.field("description").trim().to_owned()),
        metadata: Some(lines(p.field("metadata"))),
    };
    let done = ask(&p.signed, act).await;
    again(&p, &name, "saml", "edit", done).await
}

pub(super) async fn confirm_delete(
    s: Signed<Tenant>,
    Path((kind, name)): Path<(String, String)>,
) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let name = match parse(&s.visit, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let there = match kind.as_str() {
        "oidc" => ask(&s, GetOidcProvider { name: name.clone() }).await.map(drop),
        "saml" => ask(&s, GetSamlProvider { name: name.clone() }).await.map(drop),
        _ => return failure::missing(&s.visit),
    };
    if let Err(e) = there {
        return failure::page(&s.visit, &e);
    }
    let base = address(&kind, &name);
    Confirm {
        here: Tab::Providers,
        title: &format!("{} {name}", t("Delete identity provider", "删除身份提供商")),
        text: t(
            "Whom it vouches for cannot take on a role any more. Sessions that run end by themselves; revoke them on the role’s page if they must end now.",
            "经其确认身份者将不能再扮演角色。现有会话会自行结束；如需立即结束，请在角色页面撤销。",
        ),
        more: html! {},
        to: &format!("{base}/delete"),
        back: &base,
        button: t("Delete the provider", "删除提供商"),
    }
    .show(&s, false)
    .await
}

pub(super) async fn delete(Path((kind, name)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let name = match parse(&p.signed.visit, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let (kind, done) = match kind.as_str() {
        "oidc" => ("oidc", ask(&p.signed, DeleteOidcProvider { name: name.clone() }).await),
        "saml" => ("saml", ask(&p.signed, DeleteSamlProvider { name: name.clone() }).await),
        _ => return failure::missing(&p.signed.visit),
    };
    match done {
        Ok(()) => Redirect::to(HERE).into_response(),
        done => again(&p, &name, kind, "delete", done).await,
    }
}
