//! Identity providers: OIDC issuers and SAML IdPs whose word counts for roles that trust them.

use std::collections::HashMap;

use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::identity::{
    CreateOidcProvider, CreateSamlProvider, ListOidcProviders, ListSamlProviders, OidcProvider, OidcSettings,
    Page, Paging, SamlProvider,
};
use bailee_types::ProviderName;
use maud::{Markup, html};

use super::super::frame::{csrf, enc, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Field, Said, Tab, ask, lines, page, part, seg};

pub(super) const HERE: &str = "/console/access/providers";
const PER_PAGE: u32 = 50;

pub(super) fn address(kind: &str, name: &ProviderName) -> String {
    format!("{HERE}/{kind}/{}", seg(name.as_str()))
}

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    show(&s, &q, &Said::nothing()).await
}

async fn show(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Response {
    match build(s, q, said).await {
        Ok(page) | Err(page) => page,
    }
}

async fn build(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Result<Response, Response> {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let paging = |which: &str| Paging { marker: q.get(which).cloned(), items_max: PER_PAGE };
    let oidc = part(&s.visit, ask(s, ListOidcProviders { page: paging("oidc") }).await)?;
    let saml = part(&s.visit, ask(s, ListSamlProviders { page: paging("saml") }).await)?;
    let main = html! {
        div.title { div { h1 { (t("Identity providers", "身份提供商")) } p { (t("Whom another system vouches for may take on a role that trusts it, without a password or a key here.", "其他系统确认身份的人或程序，可扮演信任该系统的角色，无需此处的口令或密钥。")) } } }
        (said.notice())
        section #oidc { h2 { "OIDC" } div.card { @match &oidc { Err(why) => (why), Ok(all) => (oidc_list(&s.visit, all)) } } }
        section #saml { h2 { "SAML 2.0" } div.card { @match &saml { Err(why) => (why), Ok(all) => (saml_list(&s.visit, all)) } } }
        section { h2 { (t("New OIDC provider", "新建 OIDC 提供商")) } (oidc_form(&s.visit, said)) }
        section { h2 { (t("New SAML provider", "新建 SAML 提供商")) } (saml_form(&s.visit, said)) }
    };
    Ok(page(&s.visit, said.status, t("Identity providers", "身份提供商"), Tab::Providers, &main))
}

fn oidc_list(visit: &Visit, all: &Page<OidcProvider>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        @if all.items.is_empty() { div.empty { h3 { (t("No OIDC provider", "没有 OIDC 提供商")) } p { (t("No token of another system opens a role here.", "没有其他系统的令牌可在此扮演角色。")) } } }
        @else { table.tbl { thead { tr { th { (t("Name", "名称")) } th { (t("Issuer", "颁发者")) } th { (t("Client ids", "客户端 ID")) } th { (t("Changed", "更改时间")) } } } tbody {
            @for p in &all.items { tr {
                th scope="row" { a href=(address("oidc", &p.name)) { (p.name) } span.sub { (p.description) } }
                td data-l=(t("Issuer", "颁发者")) { code { (p.settings.issuer) } }
                td data-l=(t("Client ids", "客户端 ID")) { (p.settings.client_ids.len()) }
                td data-l=(t("Changed", "更改时间")) { (time(p.updated_at)) }
            } }
        } } }
        @if let Some(next) = &all.marker { p.pad { a #next-oidc href={ (HERE) "?oidc=" (enc(next)) } { (t("Next page", "下一页")) } } }
    }
}

fn saml_list(visit: &Visit, all: &Page<SamlProvider>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        @if all.items.is_empty() { div.empty { h3 { (t("No SAML provider", "没有 SAML 提供商")) } p { (t("No assertion of another system opens a role here.", "没有其他系统的断言可在此扮演角色。")) } } }
        @else { table.tbl { thead { tr { th { (t("Name", "名称")) } th { (t("Created", "创建时间")) } th { (t("Changed", "更改时间")) } } } tbody {
            @for p in &all.items { tr {
                th scope="row" { a href=(address("saml", &p.name)) { (p.name) } span.sub { (p.description) } }
                td data-l=(t("Created", "创建时间")) { (time(p.created_at)) }
                td data-l=(t("Changed", "更改时间")) { (time(p.updated_at)) }
            } }
        } } }
        @if let Some(next) = &all.marker { p.pad { a #next-saml href={ (HERE) "?saml=" (enc(next)) } { (t("Next page", "下一页")) } } }
    }
}

/// A text with several lines.
pub(super) fn text_area(id: &str, name: &str, label: &str, value: &str, hint: &str) -> Markup {
    html! { div.field { label for=(id) { (label) } textarea.in id=(id) name=(name) rows="6" spellcheck="false" { "\n" (value) } p.hint { (hint) } } }
}

fn oidc_form(visit: &Visit, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let typed = |field| said.typed("oidc", field, "");
    html! { form #create-oidc.card method="post" action={ (HERE) "/oidc" } { div.pad.stack { (csrf(visit))
        (Field { form: "oidc", name: "name", label: t("Name", "名称"), value: typed("name"), max: 128, required: true, ..Field::default() }.show())
        (Field { form: "oidc", name: "issuer", label: t("Issuer’s address", "颁发者地址"), value: typed("issuer"), max: 255, required: true, hint: t("As its tokens spell it: https, without query.", "与其令牌中一致：https，不含查询参数。"), ..Field::default() }.show())
        (text_area("oidc-client-ids", "client_ids", t("Client ids (audiences), one a line", "客户端 ID（受众），每行一个"), typed("client_ids"), t("1 to 50; a token for somebody else is refused.", "1 至 50 个；面向其他受众的令牌会被拒绝。")))
        (text_area("oidc-fingerprints", "fingerprints", t("Fingerprints of the issuer’s TLS certificate (SHA-1), one a line", "颁发者 TLS 证书指纹（SHA-1），每行一个"), typed("fingerprints"), t("Kept for tools that ask for them; TLS itself is checked against the system’s roots.", "供工具查询；TLS 本身依据系统根证书校验。")))
        (Field { form: "oidc", name: "hours", label: t("A token may be old, hours", "令牌签发时限（小时）"), value: said.typed("oidc", "hours", "12"), max: 3, required: true, kind: "number", hint: t("1 to 168", "1 至 168") }.show())
        (Field { form: "oidc", name: "description", label: t("Description", "说明"), value: typed("description"), max: 256, ..Field::default() }.show())
        p { button.btn.main-act { (t("Create the OIDC provider", "创建 OIDC 提供商")) } }
    } } }
}

fn saml_form(visit: &Visit, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let typed = |field| said.typed("saml", field, "");
    html! { form #create-saml.card method="post" action={ (HERE) "/saml" } { div.pad.stack { (csrf(visit))
        (Field { form: "saml", name: "name", label: t("Name", "名称"), value: typed("name"), max: 128, required: true, ..Field::default() }.show())
        (Field { form: "saml", name: "description", label: t("Description", "说明"), value: typed("description"), max: 256, ..Field::default() }.show())
        (text_area("saml-metadata", "metadata", t("Metadata document of the IdP (XML)", "IdP 元数据文档（XML）"), typed("metadata"), t("Paste the whole file, 100 KiB at most.", "请粘贴整个文件，最多 100 KiB。")))
        p { button.btn.main-act { (t("Create the SAML provider", "创建 SAML 提供商")) } }
    } } }
}

/// The lines of a text that are not empty.
fn each(text: &str) -> Vec<String> {
    lines(text).lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

fn wrong_name(p: &Posted<Tenant>, form: &'static str) -> Said {
    let text = p.signed.visit.lang.t(
        "The name must have 1 to 128 of A-Z, a-z, 0-9, `.`, `_`, `-`.",
        "名称须为 1 至 128 位的 A-Z、a-z、0-9、`.`、`_`、`-`。",
    );
    Said::wrong(p, form, text)
}

pub(super) async fn create_oidc(p: Posted<Tenant>) -> Response {
    let Ok(name) = ProviderName::parse(p.field("name").trim()) else {
        return show(&p.signed, &HashMap::new(), &wrong_name(&p, "oidc")).await;
    };
    let settings = OidcSettings {
        issuer: p.field("issuer").trim().to_owned(),
        client_ids: each(p.field("client_ids")),
        fingerprints: each(p.field("fingerprints")),
        issuance_limit_hours: p.field("hours").trim().parse().unwrap_or(0),
    };
    let act = CreateOidcProvider { name, description: p.field("description").trim().to_owned(), settings };
    match ask(&p.signed, act).await {
        Ok(made) => Redirect::to(&address("oidc", &made.name)).into_response(),
        Err(e) => match Said::failed(&p, "oidc", &e) {
            Ok(said) => show(&p.signed, &HashMap::new(), &said).await,
            Err(page) => page,
        },
    }
}

pub(super) async fn create_saml(p: Posted<Tenant>) -> Response {
    let Ok(name) = ProviderName::parse(p.field("name").trim()) else {
        return show(&p.signed, &HashMap::new(), &wrong_name(&p, "saml")).await;
    };
    let description = p.field("description").trim().to_owned();
    let act = CreateSamlProvider { name, description, metadata: lines(p.field("metadata")) };
    match ask(&p.signed, act).await {
        Ok(made) => Redirect::to(&address("saml", &made.name)).into_response(),
        Err(e) => match Said::failed(&p, "saml", &e) {
            Ok(said) => show(&p.signed, &HashMap::new(), &said).await,
            Err(page) => page,
        },
    }
}
