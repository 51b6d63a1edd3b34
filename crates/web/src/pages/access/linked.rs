//! Roles that services of the platform work with: apart from the other roles, made from what the service says.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{CreateServiceLinkedRole, DeleteRole, GetRole, ListRoles, Paging, ServiceRole};
use bailee_types::RoleName;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, enc, icon, time};
use super::super::visit::{Posted, Signed, Tenant};
use super::parts::{Confirm, Field, Said, Tab, ask, name_in, page};
use super::roles;

const HERE: &str = "/console/access/service-roles";
const PER_PAGE: u32 = 50;

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    show(&s, &q, &Said::nothing()).await
}

async fn show(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let paging = Paging { marker: q.get("after").cloned(), items_max: PER_PAGE };
    let list = ListRoles { page: paging, tags: Vec::new(), linked: Some(true) };
    let found = match ask(s, list).await {
        Ok(found) => found,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        p.crumb { a href="/console/access/roles" { (t("Roles", "角色")) } " / " (t("Of services", "服务角色")) }
        div.title { div { h1 { (t("Roles of services", "服务关联角色")) } p { (t("A service of the platform works in your account with such a role, and only with it. Its trust policy cannot be changed.", "平台服务仅凭此类角色在您的账号中工作。其信任策略不可更改。")) } } }
        (said.notice())
        (task(s, q).await)
        div.card {
            @if found.items.is_empty() { div.empty { h3 { (t("No service has a role here", "没有服务关联角色")) } p { (t("No service of the platform may act in your account.", "没有平台服务可以在您的账号中执行操作。")) } } }
            @else { table.tbl #service-roles { thead { tr { th { (t("Name", "名称")) } th { (t("Service", "服务")) } th { (t("Created", "创建时间")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for r in &found.items { tr {
                    th scope="row" { a href=(roles::address(&r.name)) { (r.name) } span.sub { (r.description) } }
                    td data-l=(t("Service", "服务")) { (r.service.as_deref().unwrap_or("–")) }
                    td data-l=(t("Created", "创建时间")) { (time(r.created_at)) }
                    td.act { a.btn.slim.stop href={ (HERE) "/" (r.name) "/delete" } { (t("Delete", "删除")) } }
                } }
            } } }
            @if let Some(next) = &found.marker { p.pad { a #next href={ (HERE) "?after=" (enc(next)) } { (t("Next page", "下一页")) } } }
        }
        section { h2 { (t("New role of a service", "新建服务关联角色")) }
            form #create-service-role.card method="post" action=(HERE) { div.pad.stack { (csrf(&s.visit))
                div.field { label for="create-service" { (t("Service", "服务")) }
                    select.in #create-service name="service" { @for r in ServiceRole::all() { option value=(r.service) selected[said.typed("create", "service", "") == r.service] { (r.service) " · " (r.role) " · " (r.policy) } } } }
                (Field { form: "create", name: "suffix", label: t("Suffix of the name", "名称后缀"), value: said.typed("create", "suffix", ""), max: 32, hint: t("Only where a service may have several roles.", "仅适用于可有多个角色的服务。"), ..Field::default() }.show())
                (Field { form: "create", name: "description", label: t("Description", "说明"), value: said.typed("create", "description", ""), max: 1024, ..Field::default() }.show())
                p { button.btn.main-act { (t("Create the role", "创建角色")) } }
            } }
        }
    };
    page(&s.visit, said.status, t("Roles of services", "服务关联角色"), Tab::Roles, &main)
}

/// How a deletion stands: it is done when the role is not there any more.
async fn task(s: &Signed<Tenant>, q: &HashMap<String, String>) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let Some(name) = q.get("deleted").and_then(|n| RoleName::parse(n).ok()) else { return html! {} };
    match ask(s, GetRole { name: name.clone() }).await {
        Err(Failure::NotFound { .. }) => {
            html! { div.notice #task role="status" { (icon("check")) div { p { (t("Deletion task: SUCCEEDED. ", "删除任务：已完成（SUCCEEDED）。")) b { (name) } (t(" is not there any more.", " 已不存在。")) } } } }
        }
        Ok(_) => {
            html! { div.notice.warn #task role="status" { (icon("clock")) div { p { (t("Deletion task: NOT STARTED. ", "删除任务：未开始（NOT_STARTED）。")) b { (name) } (t(" is there.", " 仍存在。")) } } } }
        }
        Err(_) => html! {},
    }
}

pub(super) async fn create(p: Posted<Tenant>) -> Response {
    let text = |field: &str| Some(p.field(field).trim().to_owned()).filter(|t| !t.is_empty());
    let act = CreateServiceLinkedRole {
        service: p.field("service").to_owned(),
        suffix: text("suffix"),
        description: text("description"),
    };
    match ask(&p.signed, act).await {
        Ok(role) => Redirect::to(&roles::address(&role.name)).into_response(),
        Err(e) => match Said::failed(&p, "create", &e) {
            Ok(said) => show(&p.signed, &HashMap::new(), &said).await,
            Err(page) => page,
        },
    }
}

pub(super) async fn confirm_delete(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let Ok(name) = RoleName::parse(name_in(&name)) else { return failure::missing(&s.visit) };
    let role = match ask(&s, GetRole { name }).await {
        Ok(role) if role.service.is_some() => role,
        Ok(_) => return failure::missing(&s.visit),
        Err(e) => return failure::page(&s.visit, &e),
    };
    Confirm {
        here: Tab::Roles,
        title: &format!("{} {}", t("Delete the service’s role", "删除服务关联角色"), role.name),
        text: t(
            "The role, its policies and its sessions are gone for good; the service can do nothing in your account until it has a role again.",
            "该角色及其策略、会话将永久删除；在重新创建之前，该服务无法在您的账号中执行任何操作。",
        ),
        more: html! {},
        to: &format!("{HERE}/{}/delete", role.name),
        back: HERE,
        button: t("Delete the role", "删除角色"),
    }
    .show(&s, false)
    .await
}

pub(super) async fn delete(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let Ok(name) = RoleName::parse(name_in(&name)) else { return failure::missing(&p.signed.visit) };
    match ask(&p.signed, DeleteRole { name: name.clone(), linked: true }).await {
        Ok(_) => Redirect::to(&format!("{HERE}?deleted={}", enc(name.as_str()))).into_response(),
        Err(e) => match Said::failed(&p, "delete", &e) {
            Ok(said) => show(&p.signed, &HashMap::new(), &said).await,
            Err(page) => page,
        },
    }
}
