//! The operator's side of sessions: asking for one, opening it, what is open.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::broker::{OpenSession, Opened, ReturnSession};
use bailee_rooms::consent::{Because, Code, Limits, RequestConsent, Scope};
use bailee_types::{TargetName, TenantId};
use http::StatusCode;
use maud::{Markup, html};

use super::consent::code_said;
use super::desk::open_ticket;
use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::places::lines;
use super::sessions::state;
use super::targets::family;
use super::visit::{Operator, Posted, Signed, Visit};

pub(super) async fn list(s: Signed<Operator>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let all = match s.visit.site.house.operator_sessions(&s.who.id, 100).await {
        Ok(all) => all,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let keys = match s.visit.site.house.operator_keys(&s.who.id).await {
        Ok(keys) => keys,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let done = |tenant: &TenantId, id: &str| html! { form method="post" action={ "/desk/sessions/" (tenant) "/" (id) "/end" } { (csrf(&s.visit)) button.btn.slim { (t("I am done", "完成")) } } };
    let main = html! {
        div.title { div { h1 { (t("Your sessions", "您的会话")) } p { (t("What you do in one is recorded and belongs to the tenant, who can watch and cut it.", "您在会话中的操作会被录制并归租户所有，租户可以观看并中断。")) } } }
        div.card {
            @if all.is_empty() { div.empty { p { (t("You have opened no session.", "您没有打开过会话。")) } } }
            @else { table.tbl { thead { tr { th { (t("System", "系统")) } th { (t("Opened", "打开")) } th { (t("State", "状态")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for x in &all { tr {
                    th scope="row" { (x.target) span.sub { (x.id) " · " (x.grant) " · " (x.ticket) } }
                    td data-l=(t("Opened", "打开")) { (time(x.opened_at)) }
                    td data-l=(t("State", "状态")) { (state(s.visit.lang, x)) }
                    td.act { @if x.ended.is_none() { (done(&x.tenant, &x.id)) } }
                } }
            } } }
        }
        @if !keys.is_empty() { section #keys { div.head { h2 { (t("Temporary keys for objects", "对象临时密钥")) } } div.card { (super::desk_keys::table(&s.visit, &keys, &|k| done(&k.tenant, k.id.as_str()))) } } }
    };
    inside(&s.visit, StatusCode::OK, t("Your sessions", "您的会话"), Some(Here::Targets), &main)
}

pub(super) async fn end(Path((tenant, id)): Path<(String, String)>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let Ok(tenant) = TenantId::parse(&tenant) else { return failure::missing(&s.visit) };
    let end = ReturnSession { tenant, session: id, why: None };
    match s.visit.site.house.perform(s.caller.clone(), end).await {
        Ok(()) => Redirect::to("/desk/sessions").into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn open(Path(id): Path<String>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let ticket = match open_ticket(s, &id).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let Ok(target) = TargetName::parse(p.field("target")) else { return failure::missing(&s.visit) };
    let family = p.field("family").to_owned();
    let open = OpenSession {
        tenant: ticket.tenant.clone(),
        ticket: ticket.id.clone(),
        target: target.clone(),
        family: family.clone(),
    };
    match s.visit.site.house.perform(s.caller.clone(), open).await {
        Ok(opened) => shown(s, &target, &opened),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn shown(s: &Signed<Operator>, target: &TargetName, opened: &Opened) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let brokers = &s.visit.site.brokers;
    let (ssh, postgres) = (brokers.ssh, brokers.postgres);
    let main = html! {
        p.crumb { a href="/desk/sessions" { (t("Your sessions", "您的会话")) } " / " (opened.id) }
        div.title { div { h1 { (target) } p { (t("Open until ", "有效至 ")) (time(opened.until)) (t(" at most. The secret is shown this once.", "。密钥仅显示这一次。")) } } }
        div.card.pad.stack {
            dl.facts {
                dt { (t("Session", "会话")) } dd { code #session { (opened.id) } }
                dt { (t("Secret", "密钥")) } dd { code #secret { (opened.secret.expose()) } }
            }
            @match &opened.limits {
                Limits::Host { .. } => { @match ssh {
                    Some(at) => {
                        p { (t("With your own ssh, scp or sftp:", "使用您自己的 ssh、scp 或 sftp：")) }
                        pre { "ssh -p " (at.port()) " " (opened.id) "@" (at.ip()) }
                        @if let Some(key) = &brokers.ssh_host_key { p.hint { (t("The gateway’s host key:", "网关主机公钥：")) } pre { (key) } }
                    }
                    None => (off(&s.visit)),
                } }
                Limits::Database { .. } => { @match postgres {
                    Some(at) => {
                        p { (t("With your own PostgreSQL client:", "使用您自己的 PostgreSQL 客户端：")) }
                        pre { "psql \"host=" (at.ip()) " port=" (at.port()) " user=" (opened.id) " sslmode=disable\"" }
                    }
                    None => (off(&s.visit)),
                } }
                Limits::Cluster { .. } => { @match brokers.clusters {
                    Some(at) => {
                        p { (t("As the token of a kubeconfig:", "作为 kubeconfig 的令牌：")) }
                        pre { "server: http://" (at) "\ntoken: " (opened.id) "." (opened.secret.expose()) }
                    }
                    None => (off(&s.visit)),
                } }
                Limits::Service { .. } => { @match brokers.services {
                    Some(at) => {
                        p { (t("With your own HTTP client:", "使用您自己的 HTTP 客户端：")) }
                        pre { "curl -u " (opened.id) " http://" (at) "/" }
                    }
                    None => (off(&s.visit)),
                } }
            }
        }
    };
    inside(&s.visit, StatusCode::OK, target.as_str(), Some(Here::Targets), &main)
}

fn off(visit: &Visit) -> Markup {
    html! { p.notice.bad { (visit.lang.t("This server runs no broker for such systems.", "此服务器未运行该类系统的代理。")) } }
}

pub(super) async fn form(s: Signed<Operator>, Path(id): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let ticket = match open_ticket(&s, &id).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let targets = match s.visit.site.house.target_names(&ticket.tenant).await {
        Ok(targets) => targets,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let check = |name: &'static str, text: &'static str| html! { label.check { input type="checkbox" name=(name) value="yes"; " " (text) } };
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " a href={ "/desk/tickets/" (ticket.id) } { (ticket.id) } }
        div.title { div { h1 { (t("Ask for a session with a system", "请求与系统建立会话")) } p { (t("The tenant may approve less. What you do there is recorded.", "租户可以批准得更少。您的操作会被录制。")) } } }
        div.stack {
            @if targets.is_empty() { div.card.empty { h3 { (t("The tenant has named no system", "租户未登记任何系统")) } } }
            @for (name, of, roles) in &targets {
                form.card id={ "ask-" (name) } method="post" { div.pad.stack { (csrf(&s.visit))
                    input type="hidden" name="target" value=(name); input type="hidden" name="family" value=(of);
                    h2 { (name) " " small { (family(s.visit.lang, of)) } }
                    @match *of {
                        "host" => { fieldset { legend { (t("What you need there", "您需要的操作")) }
                            (check("shell", t("A shell", "终端"))) (check("exec", t("Single commands", "单条命令")))
                            (check("download", t("Copy files out", "复制文件出来"))) (check("upload", t("Copy files in", "复制文件进去"))) } }
                        "database" => {
                            div.field { label for={ "roles-" (name) } { (t("Roles, one a line", "角色，每行一个")) } textarea.in id={ "roles-" (name) } name="roles" rows="2" { (roles.join("\n")) } }
                            (check("write", t("I must change data", "需要更改数据")))
                        }
                        _ => { div.field { label for={ "limits-" (name) } { (t("What may be asked, as JSON", "允许的请求（JSON）")) } textarea.in id={ "limits-" (name) } name="limits" rows="4" {} } }
                    }
                    div.field { label for={ "minutes-" (name) } { (t("Minutes", "分钟")) } input.in id={ "minutes-" (name) } name="minutes" type="number" min="1" max="1440" value="30" required; }
                    div.field { label for={ "uses-" (name) } { (t("Sessions at most", "最多会话数")) } input.in id={ "uses-" (name) } name="uses" type="number" min="1" max="1000" value="3" required; }
                    div.field { label for={ "why-" (name) } { (t("Why", "原因")) } input.in id={ "why-" (name) } name="reason" minlength="5" maxlength="1000" required; }
                    div.field { label for={ "code-" (name) } { (t("Code", "原因代码")) } select.in id={ "code-" (name) } name="code" { @for code in Code::ALL { option value=(code.word()) { (code_said(s.visit.lang, code)) } } } }
                    div.field { label for={ "reference-" (name) } { (t("Reference (a legal request must have one)", "编号（法律要求必须填写）")) } input.in id={ "reference-" (name) } name="reference" maxlength="200"; }
                    button.btn.main-act { (t("Ask the tenant", "向租户请求")) }
                } }
            }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Ask for a session", "请求会话"), Some(Here::Desk), &main)
}

pub(super) async fn ask(Path(id): Path<String>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let ticket = match open_ticket(s, &id).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let Ok(target) = TargetName::parse(p.field("target")) else { return failure::missing(&s.visit) };
    let is = |name: &str| p.field(name) == "yes";
    let limits = match p.field("family") {
        "host" => Limits::Host {
            shell: is("shell"),
            exec: is("exec"),
            download: is("download"),
            upload: is("upload"),
        },
        "database" => Limits::Database { roles: lines(p.field("roles")), read_only: !is("write") },
        _ => match Limits::parse(p.field("limits")) {
            Ok(limits) => limits,
            Err(e) => return failure::page(&s.visit, &e),
        },
    };
    let Some(code) =
        Some(p.field("code")).filter(|c| !c.is_empty()).map_or(Some(Code::default()), Code::parse)
    else {
        return failure::invalid(&s.visit, s.visit.lang.t("There is no such code.", "没有此原因代码。"));
    };
    let number = |name: &str| p.field(name).trim().parse::<u32>();
    let (Ok(minutes), Ok(uses_max)) = (number("minutes"), number("uses")) else {
        let text = s.visit.lang.t("Minutes and sessions are numbers.", "分钟与会话数必须是数字。");
        return failure::invalid(&s.visit, text);
    };
    let op = RequestConsent {
        tenant: ticket.tenant.clone(),
        ticket: ticket.id.clone(),
        scope: Scope::Target { target, limits },
        minutes,
        uses_max,
        reason: p.field("reason").to_owned(),
        because: Because { code, reference: p.field("reference").to_owned(), renews: None },
    };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(_) => Redirect::to("/desk#requests").into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
