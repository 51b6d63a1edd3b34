//! Roles: who may take them on, for how long, and what they may then do.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    CreateRole, DeleteRole, Entity, GetRole, ListRoles, Paging, RevokeRoleSessions, Role, Tagged, UpdateRole,
    check_trust_policy, trust_policy_lints,
};
use bailee_types::RoleName;
use http::StatusCode;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, enc, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::attach as policies;
use super::parts::{Confirm, Field, Said, Tab, ask, lines, name_in, page, seg, tick};
use super::policies::hints;
use super::tags;
use super::users::wrong_name;

const PER_PAGE: u32 = 50;

pub(super) fn address(name: &RoleName) -> String {
    format!("/console/access/roles/{}", seg(name.as_str()))
}

fn parse(visit: &Visit, name: &str) -> Result<RoleName, Response> {
    RoleName::parse(name_in(name)).map_err(|_| failure::missing(visit))
}

/// Trust policies to begin with: for the own account, a service, an OIDC provider.
fn sample(account: &str, of: &str) -> String {
    let (principal, condition) = match of {
        "service" => (r#""Service": ["actiontrail.aliyuncs.com"]"#.to_owned(), String::new()),
        "oidc" => (
            format!(r#""Federated": ["acs:ram::{account}:oidc-provider/NAME"]"#),
            ",\n      \"Condition\": {\n        \"StringEquals\": {\n          \"oidc:iss\": \"https://id.example.com\",\n          \"oidc:aud\": \"CLIENT-ID\",\n          \"oidc:sub\": \"repo:example/app:ref:refs/heads/main\"\n        }\n      }"
                .to_owned(),
        ),
        _ => (format!(r#""RAM": ["acs:ram::{account}:root"]"#), String::new()),
    };
    format!(
        "{{\n  \"Version\": \"1\",\n  \"Statement\": [\n    {{\n      \"Effect\": \"Allow\",\n      \"Action\": \"sts:AssumeRole\",\n      \"Principal\": {{ {principal} }}{condition}\n    }}\n  ]\n}}"
    )
}

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    show_list(&s, &q, &Said::nothing()).await
}

async fn show_list(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let paging = Paging { marker: q.get("after").cloned(), items_max: PER_PAGE };
    let roles = match ask(s, ListRoles { page: paging, tags: Vec::new(), linked: Some(false) }).await {
        Ok(roles) => roles,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        div.title { div { h1 { (t("Roles", "角色")) } p { (t("A role is taken on for a time, with keys that end by themselves. Programs, services and people of other accounts work so.", "角色在一段时间内被扮演，其密钥会自动失效。程序、服务和其他账号的人以此方式工作。")) } } div.acts { a.btn.low #to-service-roles href="/console/access/service-roles" { (t("Roles of services", "服务关联角色")) } a.btn href="#create-role" { (t("New role", "新建角色")) } } }
        (said.notice())
        div.card {
            @if roles.items.is_empty() { div.empty { h3 { (t("No role", "没有角色")) } p { (t("Nobody from outside can take anything on here.", "外部没有人能在此扮演任何角色。")) } } }
            @else { table.tbl #roles { thead { tr { th { (t("Name", "名称")) } th { (t("Longest session", "会话最长时间")) } th { (t("Service", "服务")) } th { (t("Created", "创建时间")) } } } tbody {
                @for r in &roles.items { tr {
                    th scope="row" { a href=(address(&r.name)) { (r.name) } span.sub { (r.description) } }
                    td data-l=(t("Longest session", "会话最长时间")) { (r.session_max_s / 60) (t(" min", " 分钟")) }
                    td data-l=(t("Service", "服务")) { (r.service.as_deref().unwrap_or("–")) }
                    td data-l=(t("Created", "创建时间")) { (time(r.created_at)) }
                } }
            } } }
            @if let Some(next) = &roles.marker { p.pad { a #next href={ "/console/access/roles?after=" (enc(next)) } { (t("Next page", "下一页")) } } }
        }
        section { h2 { (t("New role", "新建角色")) }
            form #create-role.card method="post" action="/console/access/roles" { div.pad.stack { (csrf(&s.visit))
                div {
                    (Field { form: "create", name: "name", label: t("Name", "名称"), value: said.typed("create", "name", ""), max: 64, required: true, ..Field::default() }.show())
                    (fields(s, "create", said, None))
                }
                p { button.btn.main-act { (t("Create the role", "创建角色")) } }
            } }
        }
    };
    page(&s.visit, said.status, t("Roles", "角色"), Tab::Roles, &main)
}

fn fields(s: &Signed<Tenant>, form: &'static str, said: &Said, role: Option<&Role>) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let account = s.who.id.as_str();
    let minutes = role.map_or(60, |r| r.session_max_s / 60).to_string();
    let own = sample(account, "account");
    let trust = said.typed(form, "trust", role.map_or(&own, |r| &r.trust));
    let id = format!("{form}-trust");
    let is_service = role.is_some_and(|r| r.service.is_some());
    html! {
        (Field { form, name: "description", label: t("Description", "说明"), value: said.typed(form, "description", role.map_or("", |r| &r.description)), max: 1024, ..Field::default() }.show())
        (Field { form, name: "minutes", label: t("Longest session, minutes", "会话最长时间（分钟）"), value: said.typed(form, "minutes", &minutes), max: 4, kind: "number", required: true, hint: t("60 to 720", "60 至 720") }.show())
        div.field { (tick("console", t("May also be used in the console", "也可用于控制台"), said.ticked(form, "console", role.is_none_or(|r| r.allows_console)))) }
        @if !is_service {
            div.field { label for=(id) { (t("Trust policy: who may take it on", "信任策略：谁可以扮演")) }
                textarea.in id=(id) name="trust" rows="14" spellcheck="false" required { "\n" (trust) } }
            details.field { summary { (t("Samples", "示例")) }
                p.hint { (t("For users and roles of your own account whom a policy allows `sts:AssumeRole`", "本账号中策略允许 `sts:AssumeRole` 的用户与角色")) } pre { (sample(account, "account")) }
                p.hint { (t("For a service of the platform", "平台的服务")) } pre { (sample(account, "service")) }
                p.hint { (t("For programs with a token of an OIDC provider; always name `oidc:sub` or all its users may come", "持有 OIDC 提供商令牌的程序；请务必限定 `oidc:sub`，否则其所有用户都可进入")) } pre { (sample(account, "oidc")) }
            }
        }
    }
}

fn session_s(p: &Posted<Tenant>) -> i64 {
    p.field("minutes").trim().parse::<i64>().unwrap_or(0).saturating_mul(60)
}

pub(super) async fn create(p: Posted<Tenant>) -> Response {
    let trust = lines(p.field("trust"));
    let said = match (RoleName::parse(p.field("name").trim()), check_trust_policy(&trust)) {
        (Err(_), _) => Said::wrong(&p, "create", wrong_name(&p.signed.visit)),
        (_, Err(shown)) => Said::document(&p, "create", shown),
        (Ok(name), Ok(())) => {
            let act = CreateRole {
                name,
                description: p.field("description").trim().to_owned(),
                trust,
                session_max_s: session_s(&p),
                allows_console: p.form.contains_key("console"),
                tags: Vec::new(),
            };
            match ask(&p.signed, act).await {
                Ok(role) => return Redirect::to(&address(&role.name)).into_response(),
                Err(e) => match Said::failed(&p, "create", &e) {
                    Ok(said) => said,
                    Err(page) => return page,
                },
            }
        }
    };
    show_list(&p.signed, &HashMap::new(), &said).await
}

pub(super) async fn one(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    match parse(&s.visit, &name) {
        Ok(name) => show(&s, &name, &Said::nothing()).await,
        Err(page) => page,
    }
}

async fn show(s: &Signed<Tenant>, name: &RoleName, said: &Said) -> Response {
    match build(s, name, said).await {
        Ok(page) | Err(page) => page,
    }
}

async fn build(s: &Signed<Tenant>, name: &RoleName, said: &Said) -> Result<Response, Response> {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let r = ask(s, GetRole { name: name.clone() }).await.map_err(|e| failure::page(visit, &e))?;
    let attached = policies::load(s, Entity::Role(name.clone())).await?;
    let tagged = tags::load(s, Tagged::Role(name.clone())).await?;
    let base = address(name);
    let main = html! {
        p.crumb { a href="/console/access/roles" { (t("Roles", "角色")) } " / " (r.name) }
        div.title { div { h1 { (r.name) } p { (r.description) } }
            div.acts { a.btn #ask-why href={ "/console/access/why?who=role/" (r.name) } { (t("What may it do?", "它可以做什么？")) } a.btn.stop #to-delete href={ @if r.service.is_some() { "/console/access/service-roles/" (r.name) } @else { (base) } "/delete" } { (t("Delete", "删除")) } } }
        (said.notice())
        div.card { dl.facts.pad {
            dt { "ARN" } dd.mono { (r.arn(&s.who.id)) }
            dt { (t("Longest session", "会话最长时间")) } dd { (r.session_max_s / 60) (t(" min", " 分钟")) }
            dt { (t("In the console", "用于控制台")) } dd { (if r.allows_console { t("yes", "是") } else { t("no", "否") }) }
            @if let Some(service) = &r.service { dt { (t("Belongs to the service", "所属服务")) } dd { (service) } }
            dt { (t("Created", "创建时间")) } dd { (time(r.created_at)) }
            dt { (t("Sessions revoked", "会话撤销")) } dd #revoked { @if r.void_before.ms() > 0 { (t("all that began before ", "所有开始于此前的会话：")) (time(r.void_before)) } @else { (t("never", "从未")) } }
        } }
        section #trust { div.head { h2 { (t("Who may take it on", "谁可以扮演")) } } div.card {
            pre.pad { (r.trust) }
            (hints(visit, &trust_policy_lints(&r.trust)))
            div.note { details open[said.is("edit")] { summary #edit-open { (t("Change", "修改")) }
                form #edit-role method="post" action=(base) { (csrf(visit)) (fields(s, "edit", said, Some(&r))) p.acts { button.btn.main-act { (t("Store", "保存")) } } }
            } }
        } }
        section #sessions { h2 { (t("Sessions", "会话")) } div.card.pad {
            p { (t("A changed trust policy stops new sessions only. To stop those that run, revoke them all.", "修改信任策略只影响新会话。若要停止正在进行的会话，请全部撤销。")) }
            p.acts { a.btn.stop #to-revoke href={ (base) "/revoke" } { (t("Revoke all sessions", "撤销全部会话")) } }
        } }
        (policies::section(visit, &base, &attached))
        (tags::section(visit, &base, &tagged, said))
    };
    Ok(page(visit, said.status, r.name.as_str(), Tab::Roles, &main))
}

pub(super) async fn again(p: &Posted<Tenant>, name: &RoleName, which: &'static str, e: &Failure) -> Response {
    match Said::failed(p, which, e) {
        Ok(said) if which == "delete" && said.status == StatusCode::NOT_FOUND => {
            failure::missing(&p.signed.visit)
        }
        Ok(said) => show(&p.signed, name, &said).await,
        Err(page) => page,
    }
}

pub(super) async fn update(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let name = match parse(&p.signed.visit, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    // The form of a service's role has no trust policy.
    let trust = p.form.get("trust").map(|text| lines(text));
    if let Some(Err(shown)) = trust.as_deref().map(check_trust_policy) {
        return show(&p.signed, &name, &Said::document(&p, "edit", shown)).await;
    }
    let act = UpdateRole {
        name: name.clone(),
        description: Some(p.field("description").trim().to_owned()),
        trust,
        session_max_s: Some(session_s(&p)),
        allows_console: Some(p.form.contains_key("console")),
    };
    match ask(&p.signed, act).await {
        Ok(role) => Redirect::to(&address(&role.name)).into_response(),
        Err(e) => again(&p, &name, "edit", &e).await,
    }
}

pub(super) async fn attach(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    change_policies(&name, &p, true).await
}

pub(super) async fn detach(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    change_policies(&name, &p, false).await
}

async fn change_policies(name: &str, p: &Posted<Tenant>, put: bool) -> Response {
    let role = match parse(&p.signed.visit, name) {
        Ok(role) => role,
        Err(page) => return page,
    };
    match policies::change(p, Entity::Role(role.clone()), put).await {
        Ok(()) => Redirect::to(&format!("{}#policies", address(&role))).into_response(),
        Err(Ok(said)) => show(&p.signed, &role, &said).await,
        Err(Err(page)) => page,
    }
}

pub(super) async fn confirm_revoke(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let text = t(
        "Every session of the role that runs now ends at its next request; the keys it had work nowhere any more. Who is still trusted may take the role on anew.",
        "该角色当前所有会话在下一次请求时结束，其密钥不再有效。仍受信任者可以重新扮演该角色。",
    );
    let title = t("Revoke all sessions of", "撤销全部会话：");
    confirm(&s, &name, title, text, "revoke", t("Revoke all sessions now", "立即撤销全部会话")).await
}

pub(super) async fn confirm_delete(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let text = t(
        "The role is gone for good and its sessions end with it. It must have no policy any more.",
        "该角色将永久删除，其会话随之结束。在此之前须移除其策略。",
    );
    confirm(&s, &name, t("Delete role", "删除角色"), text, "delete", t("Delete the role", "删除角色")).await
}

async fn confirm(
    s: &Signed<Tenant>,
    name: &str,
    title: &str,
    text: &str,
    to: &str,
    button: &str,
) -> Response {
    let role = match parse(&s.visit, name) {
        Ok(role) => role,
        Err(page) => return page,
    };
    if let Err(e) = ask(s, GetRole { name: role.clone() }).await {
        return failure::page(&s.visit, &e);
    }
    let base = address(&role);
    let title = format!("{title} {role}");
    let to = format!("{base}/{to}");
    let more = html! {};
    Confirm { here: Tab::Roles, title: &title, text, more, to: &to, back: &base, button }.show(s, false).await
}

pub(super) async fn revoke(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let role = match parse(&p.signed.visit, &name) {
        Ok(role) => role,
        Err(page) => return page,
    };
    match ask(&p.signed, RevokeRoleSessions { name: role.clone() }).await {
        Ok(_) => Redirect::to(&address(&role)).into_response(),
        Err(e) => again(&p, &role, "revoke", &e).await,
    }
}

pub(super) async fn delete(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let role = match parse(&p.signed.visit, &name) {
        Ok(role) => role,
        Err(page) => return page,
    };
    match ask(&p.signed, DeleteRole { name: role.clone(), linked: false }).await {
        Ok(_) => Redirect::to("/console/access/roles").into_response(),
        Err(e) => again(&p, &role, "delete", &e).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_are_trust_policies() {
        for of in ["account", "service", "oidc"] {
            let document = sample("1000000000000001", of);
            assert_eq!(check_trust_policy(&document), Ok(()), "{document}");
        }
    }
}
