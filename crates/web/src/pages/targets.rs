//! The systems that a tenant lets brokers reach.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::broker::{DeleteTarget, ListTargets, PutTarget, Settings, Target};
use bailee_types::{SecretText, TargetName};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, icon, inside, time};
use super::places::lines;
use super::visit::{Lang, Posted, Signed, Tenant, Visit};

pub(super) async fn list(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let list = ListTargets { tenant: s.who.id.clone() };
    let all = match s.visit.site.house.perform(s.caller.clone(), list).await {
        Ok(all) => all,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        div.title { div { h1 { (t("Systems that support may reach with your consent", "经您同意后支持人员可访问的系统")) }
            p { (t("Nobody reaches one before you approve a request for it. Each session is recorded; you can watch and cut it.", "在您批准请求之前，无人可以访问。每次会话都会被录制；您可以观看并中断。")) } }
            p { a.btn #sessions href="/console/sessions" { (t("Sessions", "会话")) } } }
        div.stack {
            div.card {
                @if all.is_empty() { div.empty { h3 { (t("No system yet", "尚无系统")) } p { (t("Without one, there is nothing that a session could be opened with.", "没有系统，就无法建立任何会话。")) } } }
                @else { table.tbl { thead { tr { th { (t("Name", "名称")) } th { (t("Where", "地址")) } th { (t("Changed", "更改")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                    @for target in &all { tr id={ "target-" (target.name) } {
                        th scope="row" { (target.name) span.sub { (family(s.visit.lang, target.settings.family())) } }
                        td data-l=(t("Where", "地址")) { code { (target.settings.address()) } (details(s.visit.lang, target)) }
                        td data-l=(t("Changed", "更改")) { (time(target.changed_at)) " " (target.changed_by) }
                        td.act { form method="post" action={ "/console/targets/" (target.name) "/delete" } { (csrf(&s.visit)) button.btn.slim.stop { (t("Remove", "移除")) } } }
                    } }
                } } }
            }
            div.cols { (host_form(&s.visit)) (database_form(&s.visit)) }
            (other_form(&s.visit))
        }
    };
    let title = t("Systems and sessions", "系统与会话");
    inside(&s.visit, StatusCode::OK, title, Some(Here::Targets), &main)
}

/// A family's name.
pub(super) fn family(lang: Lang, family: &str) -> &'static str {
    match family {
        "host" => lang.t("Host (SSH)", "主机（SSH）"),
        "database" => lang.t("Database (PostgreSQL)", "数据库（PostgreSQL）"),
        "cluster" => lang.t("Cluster (Kubernetes)", "集群（Kubernetes）"),
        _ => lang.t("Service (HTTP)", "服务（HTTP）"),
    }
}

fn details(lang: Lang, target: &Target) -> Markup {
    let t = |en, zh| lang.t(en, zh);
    html! {
        @match &target.settings {
            Settings::Host { login, .. } => { span.sub { (t("logs in as ", "登录用户 ")) (login) } }
            Settings::Database { database, roles, .. } => { span.sub { (database) " · " (t("roles ", "角色 ")) (roles.join(", ")) } }
            Settings::Cluster { .. } | Settings::Service { .. } => {}
        }
        @if let Some(line) = &target.authority {
            details { summary { (t("What the host trusts", "主机信任的公钥")) }
                p.hint { (t("Put this line into the file that TrustedUserCAKeys of sshd_config names:", "将此行写入 sshd_config 中 TrustedUserCAKeys 指定的文件：")) }
                pre.authority { (line) } }
        }
    }
}

fn host_form(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        form #add-host.card method="post" action="/console/targets" { div.pad.stack { (csrf(visit)) input type="hidden" name="family" value="host";
            h2 { (icon("key")) " " (t("A host", "主机")) }
            div.field { label for="h-name" { (t("Name", "名称")) } input.in #h-name name="name" minlength="2" maxlength="63" required; }
            div.field { label for="h-address" { (t("Address (host:port)", "地址（host:port）")) } input.in #h-address name="address" maxlength="261" required; }
            div.field { label for="h-login" { (t("User to log in as", "登录用户")) } input.in #h-login name="login" maxlength="32" required; }
            div.field { label for="h-keys" { (t("Its host keys, one a line", "主机公钥，每行一个")) } textarea.in #h-keys name="host_keys" rows="3" maxlength="16000" placeholder="ssh-ed25519 AAAA…" required {} }
            button.btn.main-act { (t("Add or change", "添加或更改")) }
        } }
    }
}

fn database_form(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        form #add-database.card method="post" action="/console/targets" { div.pad.stack { (csrf(visit)) input type="hidden" name="family" value="database";
            h2 { (icon("db")) " " (t("A PostgreSQL database", "PostgreSQL 数据库")) }
            div.field { label for="d-name" { (t("Name", "名称")) } input.in #d-name name="name" minlength="2" maxlength="63" required; }
            div.field { label for="d-address" { (t("Address (host:port)", "地址（host:port）")) } input.in #d-address name="address" maxlength="261" required; }
            div.field { label for="d-database" { (t("Database", "数据库")) } input.in #d-database name="database" maxlength="63" required; }
            div.field { label for="d-admin" { (t("Role that makes the sessions’ roles (CREATEROLE)", "用于创建会话角色的角色（CREATEROLE）")) } input.in #d-admin name="admin" maxlength="63" required; }
            div.field { label for="d-password" { (t("Its password; empty keeps the one that is there", "其口令；留空则保留现有口令")) } input.in #d-password name="password" type="password" autocomplete="off" maxlength="1000"; }
            div.field { label for="d-roles" { (t("Roles that a session may get, one a line", "会话可获得的角色，每行一个")) } textarea.in #d-roles name="roles" rows="3" maxlength="2000" required {} }
            label.check { input type="checkbox" name="mask" value="yes"; " " (t("Leave values of parameters out of the notes", "记录中不含参数值")) }
            button.btn.main-act { (t("Add or change", "添加或更改")) }
        } }
    }
}

fn other_form(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        form #add-other.card method="post" action="/console/targets" { div.pad.stack { (csrf(visit))
            h2 { (t("A Kubernetes cluster, or a service over HTTP", "Kubernetes 集群或 HTTP 服务")) }
            div.field { label for="o-name" { (t("Name", "名称")) } input.in #o-name name="name" minlength="2" maxlength="63" required; }
            div.field { label for="o-family" { (t("What it is", "类型")) } select.in #o-family name="family" {
                option value="cluster" { (family(visit.lang, "cluster")) } option value="service" { (family(visit.lang, "service")) } option value="webhdfs" { "WebHDFS" } } }
            div.field { label for="o-address" { (t("Address (https://host:port)", "地址（https://host:port）")) } input.in #o-address name="address" maxlength="520" required; }
            div.field { label for="o-ca" { (t("Certificates that it is believed by (PEM); empty: the public ones", "信任的证书（PEM）；留空：公共证书")) } textarea.in #o-ca name="ca_pem" rows="3" maxlength="16000" {} }
            div.field { label for="o-secret" { (t("The broker’s token; of a service the header that it wants, Authorization: …", "代理令牌；服务则为其所需的头，Authorization: …")) } input.in #o-secret name="password" type="password" autocomplete="off" maxlength="8000"; }
            button.btn.main-act { (t("Add or change", "添加或更改")) }
        } }
    }
}

pub(super) async fn put(p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let text = |name: &str| p.field(name).trim().to_owned();
    let name = match TargetName::parse(&text("name")) {
        Ok(name) => name,
        Err(e) => return failure::invalid(visit, &e.to_string()),
    };
    let settings = match p.field("family") {
        "host" => Settings::Host {
            address: text("address"),
            host_keys: lines(p.field("host_keys")),
            login: text("login"),
        },
        "database" => Settings::Database {
            address: text("address"),
            database: text("database"),
            admin: text("admin"),
            roles: lines(p.field("roles")),
            statement_ms: 60_000,
            mask: p.field("mask") == "yes",
        },
        "cluster" => Settings::Cluster { address: text("address"), ca_pem: text("ca_pem") },
        kind => {
            Settings::Service { address: text("address"), ca_pem: text("ca_pem"), webhdfs: kind == "webhdfs" }
        }
    };
    let secret = Some(p.field("password")).filter(|s| !s.is_empty()).map(|s| SecretText::new(s.to_owned()));
    let put = PutTarget { tenant: p.signed.who.id.clone(), name, settings, secret };
    match visit.site.house.perform(p.signed.caller.clone(), put).await {
        Ok(target) => Redirect::to(&format!("/console/targets#target-{}", target.name)).into_response(),
        Err(e) => failure::page(visit, &e),
    }
}

pub(super) async fn delete(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let visit = &p.signed.visit;
    let Ok(name) = TargetName::parse(&name) else { return failure::missing(visit) };
    let delete = DeleteTarget { tenant: p.signed.who.id.clone(), name };
    match visit.site.house.perform(p.signed.caller.clone(), delete).await {
        Ok(()) => Redirect::to("/console/targets").into_response(),
        Err(e) => failure::page(visit, &e),
    }
}
