//! "Who wants to touch my data": requests, live grants, and what became of the others.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::consent::{Decide, Decision, Limits, ListConsents, Request, Scope, State};
use bailee_types::{GrantId, Timestamp};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, icon, inside, time};
use super::visit::{Lang, Posted, Signed, Tenant, Visit};

pub(super) async fn list(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    let list = ListConsents { tenant: s.who.id.clone(), requests_max: 200 };
    let all = match house.perform(s.caller.clone(), list).await {
        Ok(all) => all,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let now = house.now();
    let of = |wanted: State| all.iter().filter(move |r| r.state(now) == wanted);
    let ended: Vec<_> =
        all.iter().filter(|r| !matches!(r.state(now), State::Pending | State::Live)).collect();
    let main = html! {
        div.title { div { h1 { (t("Who wants to touch my data", "谁想动我的数据")) } p { (t("Nobody has access until you approve. If you do nothing, a request lapses and nothing is opened.", "在您批准之前，没有人能访问。您不作回应，请求即失效，什么也不会打开。")) } } }
        div.stack #pending {
            @for r in of(State::Pending) { (pending(&s.visit, r)) }
            @if of(State::Pending).next().is_none() { div.card.empty { h3 { (t("No request waits", "没有等待的请求")) } p { (t("Nobody asks to read your content.", "没有人请求读取您的内容。")) } } }
        }
        section #live { div.head { h2 { (t("Live grants", "有效授权")) } } div.card {
            @if of(State::Live).next().is_none() { div.empty { h3 { (t("No grant is live", "没有有效授权")) } p { (t("No operator can open any of your objects now.", "目前没有运维人员能打开您的任何对象。")) } } }
            @else { table.tbl { thead { tr { th { (t("What it allows", "允许的操作")) } th { (t("Ends", "结束")) } th { (t("Used", "已用")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for r in of(State::Live) { tr id=(r.id) {
                    th scope="row" { (wants(s.visit.lang, &r.scope)) " " code { (r.scope) } span.sub { (r.id) " · " (r.pseudonym) ", " (r.place) } }
                    td data-l=(t("Ends", "结束")) { @if let Some((until, _)) = r.approved { (time(until)) } }
                    td data-l=(t("Used", "已用")) { (r.uses) " / " (r.approved.map_or(0, |a| a.1)) }
                    td.act { form id={ "revoke-" (r.id) } method="post" action={ "/console/consent/" (r.id) "/revoke" } { (csrf(&s.visit)) button.btn.slim.stop { (t("Revoke now", "立即撤销")) } } }
                } }
            } } }
        } }
        section #ended { div.head { h2 { (t("Ended and refused", "已结束与已拒绝")) } } div.card {
            @if ended.is_empty() { div.empty { p { (t("Nothing yet.", "暂无。")) } } }
            @else { table.tbl.slim { thead { tr { th { (t("What was asked", "请求内容")) } th { (t("Operator", "运维人员")) } th { (t("How it ended", "结束方式")) } th { (t("Used", "已用")) } } } tbody {
                @for r in &ended { tr {
                    th scope="row" { code { (r.scope) } span.sub { (r.id) " · " (r.ticket) } }
                    td data-l=(t("Operator", "运维人员")) { (r.pseudonym) ", " (r.place) }
                    td data-l=(t("End", "结束")) { (chip(s.visit.lang, r, now)) }
                    td data-l=(t("Used", "已用")) { (r.uses) }
                } }
            } } }
        } }
    };
    inside(
        &s.visit,
        StatusCode::OK,
        t("Who wants to touch my data", "谁想动我的数据"),
        Some(Here::Consent),
        &main,
    )
}

fn pending(visit: &Visit, r: &Request) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        div.cols.a.deciding id=(r.id) {
            article.card {
                div.pad { p.ask { (t("An operator wants to ", "一名运维人员想要")) mark { (wants(visit.lang, &r.scope)) } ", " code { (r.scope) } (t(", for ", "，时长 ")) mark { (r.minutes) (t(" minutes", " 分钟")) } "." } }
                dl.five {
                    div { dt { (t("Who", "谁")) } dd { (r.pseudonym) } }
                    div { dt { (t("From where", "从哪里")) } dd { (r.place) @if r.place == visit.site.house.provider().jurisdiction { small { (t("Same country as the data", "与数据同一国家")) } } @else { small { (t("Another country: refused without a ", "其他国家：没有")) a href="/console/places" { (t("transfer", "跨境传输登记")) } (t("", "则会被拒绝")) } } } }
                    div { dt { (t("Why", "为什么")) } dd { (r.ticket) small { (r.reason) } } }
                    div { dt { (t("When", "何时")) } dd { (r.minutes) (t(" min from approval", " 分钟，自批准起")) small { (t("lapses ", "失效于 ")) (time(r.lapses_at)) } } }
                    div { dt { (t("How often", "次数")) } dd { (r.uses_max_asked) (t(" reads at most", " 次以内")) } }
                }
                div.pad.cols {
                    div { h3 { (t("If you approve, they may", "若您批准，可以")) } ul.may.yes { @for may in may(visit.lang, &r.scope) { li { (icon("check")) span { (may) } } } } }
                    div { h3 { (t("Still forbidden", "仍然禁止")) } ul.may.no { @for no in may_not(visit.lang, &r.scope) { li { (icon("no")) span { (no) } } } } }
                }
            }
            div.card.decide {
                form id={ "approve-" (r.id) } method="post" action={ "/console/consent/" (r.id) "/approve" } {
                    (csrf(visit))
                    fieldset.pad {
                        legend { (t("Narrow it first, if you like", "可先收窄范围")) } p.hint { (t("You can take away, never add.", "只能减少，不能增加。")) }
                        div.field { label for={ "minutes-" (r.id) } { (t("Minutes", "分钟")) } input.in id={ "minutes-" (r.id) } name="minutes" type="number" min="1" max=(r.minutes) value=(r.minutes); }
                        div.field { label for={ "uses-" (r.id) } { (t("Reads at most", "最多读取次数")) } input.in id={ "uses-" (r.id) } name="uses" type="number" min="1" max=(r.uses_max_asked) value=(r.uses_max_asked); }
                    }
                    div.pad { button.btn.main-act.wide { (t("Approve", "批准")) } }
                }
                details.pad id={ "sign-" (r.id) } { summary { (t("Sign it with a key of your own", "用您自己的密钥签署")) }
                    p.hint { (t("Needed where the bucket's key lies in your own key service. Run `bailee keyhouse approve` with this statement on your own machine and paste what it prints.", "如果存储空间的密钥在您自己的密钥服务中，则必须签署。请在您自己的机器上用此声明运行 `bailee keyhouse approve`，并粘贴其输出。")) }
                    pre.statement { (r.statement(visit.site.house.now())) }
                    form method="post" action={ "/console/consent/" (r.id) "/approve" } { (csrf(visit))
                        div.field { label for={ "statement-" (r.id) } { (t("Signed statement", "已签署的声明")) } textarea.in id={ "statement-" (r.id) } name="statement" rows="14" required {} }
                        button.btn { (t("Approve as signed", "按签署内容批准")) }
                    }
                }
                form.pad id={ "deny-" (r.id) } method="post" action={ "/console/consent/" (r.id) "/deny" } { (csrf(visit)) button.btn.stop.wide { (t("Deny", "拒绝")) } }
            }
        }
    }
}

/// What somebody wants, in a few words.
pub(super) fn wants(lang: Lang, scope: &Scope) -> &'static str {
    match scope {
        Scope::Object { .. } => lang.t("read one object", "读取一个对象"),
        Scope::Prefix { .. } => lang.t("read the objects that begin so", "读取以此开头的对象"),
        Scope::Target { limits: Limits::Host { .. }, .. } => lang.t("work on a host", "操作一台主机"),
        Scope::Target { limits: Limits::Database { .. }, .. } => {
            lang.t("work in a database", "操作一个数据库")
        }
        Scope::Target { limits: Limits::Cluster { .. }, .. } => lang.t("work in a cluster", "操作一个集群"),
        Scope::Target { limits: Limits::Service { .. }, .. } => lang.t("use a service", "使用一项服务"),
    }
}

/// What a scope allows, line by line.
pub(super) fn may(lang: Lang, scope: &Scope) -> Vec<String> {
    let t = |en, zh| lang.t(en, zh).to_owned();
    let listed = |words: &[String]| words.join(", ");
    match scope {
        Scope::Object { .. } => vec![t("Read the content of this one object", "读取这一个对象的内容")],
        Scope::Prefix { bucket, prefix } if prefix.is_empty() => {
            vec![format!(
                "{} {bucket}",
                lang.t("Read every object of the bucket", "读取该存储桶的所有对象：")
            )]
        }
        Scope::Prefix { bucket, prefix } => vec![format!(
            "{} {bucket}/{prefix}",
            lang.t(
                "Read every object, present and coming, whose name begins with",
                "读取名称以此开头的所有现有与将来的对象："
            )
        )],
        Scope::Target { limits, .. } => {
            let mut may = match limits {
                Limits::Host { shell, exec, download, upload } => [
                    (*shell, t("Open a shell with a terminal", "打开终端")),
                    (*exec, t("Run single commands", "执行单条命令")),
                    (*download, t("Copy files out", "复制文件出来")),
                    (*upload, t("Copy files in", "复制文件进去")),
                ]
                .into_iter()
                .filter_map(|(is, text)| is.then_some(text))
                .collect(),
                Limits::Database { roles, read_only } => vec![
                    format!(
                        "{} {}",
                        lang.t("Do what these roles may:", "执行这些角色允许的操作："),
                        listed(roles)
                    ),
                    match read_only {
                        true => t("Read only", "只读"),
                        false => t("Read and change", "读取与更改"),
                    },
                ],
                Limits::Cluster { rules } => rules
                    .iter()
                    .map(|r| {
                        let mut text = format!("{} · {}", listed(&r.verbs), listed(&r.resources));
                        if !r.namespaces.is_empty() {
                            text.push_str(&format!(
                                " · {} {}",
                                lang.t("namespaces", "命名空间"),
                                listed(&r.namespaces)
                            ));
                        }
                        if !r.names.is_empty() {
                            text.push_str(&format!(" · {}", listed(&r.names)));
                        }
                        text
                    })
                    .collect(),
                Limits::Service { rules } => rules
                    .iter()
                    .map(|r| {
                        format!("{} {} {}", listed(&r.methods), r.path, listed(&r.ops)).trim_end().to_owned()
                    })
                    .collect::<Vec<_>>(),
            };
            may.push(t("All of it recorded; you can watch and cut it", "全程录制；您可以观看并中断"));
            may
        }
    }
}

/// What a scope leaves forbidden, line by line.
fn may_not(lang: Lang, scope: &Scope) -> Vec<&'static str> {
    match scope {
        Scope::Object { .. } | Scope::Prefix { .. } => vec![
            lang.t("Changing, deleting or sharing anything", "更改、删除或分享任何内容"),
            lang.t("Any other object", "任何其他对象"),
        ],
        Scope::Target { .. } => vec![
            lang.t("Any other system", "任何其他系统"),
            lang.t("Anything that is not recorded", "任何未被录制的操作"),
        ],
    }
}

/// The state of a request as a chip.
pub(super) fn chip(lang: Lang, r: &Request, now: Timestamp) -> Markup {
    let (class, symbol, text) = match r.state(now) {
        State::Pending => ("info", "clock", lang.t("Waits for the tenant", "等待租户")),
        State::Live => ("ok", "hand", lang.t("Live", "有效")),
        State::Denied => ("bad", "no", lang.t("Denied", "已拒绝")),
        State::Withdrawn => ("", "cross", lang.t("Withdrawn", "已撤回")),
        State::Lapsed => ("", "clock", lang.t("Lapsed", "已失效")),
        State::Expired => ("", "clock", lang.t("Expired", "已到期")),
        State::Revoked => ("warn", "cross", lang.t("Revoked", "已撤销")),
        State::Exhausted => ("", "check", lang.t("All reads used", "次数用尽")),
        State::TicketClosed => ("", "check", lang.t("Ticket closed", "工单已关闭")),
        State::OperatorDisabled => ("warn", "no", lang.t("Operator disabled", "运维人员已停用")),
    };
    html! { span class={ "chip " (class) } { (icon(symbol)) (text) } }
}

pub(super) async fn approve(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    // Browsers send lines with CR LF.
    let statement = p.field("statement").replace("\r\n", "\n");
    if !statement.trim().is_empty() {
        let note = format!("{}\n", statement.trim_end());
        return decide(&id, &p, (Decision::Approve { minutes: 1, uses_max: 1 }, Some(note))).await;
    }
    let number = |name: &str| p.field(name).trim().parse::<u32>();
    let (Ok(minutes), Ok(uses_max)) = (number("minutes"), number("uses")) else {
        let text =
            p.signed.visit.lang.t("Minutes and reads must be whole numbers.", "分钟与次数必须是整数。");
        return failure::invalid(&p.signed.visit, text);
    };
    decide(&id, &p, (Decision::Approve { minutes, uses_max }, None)).await
}

pub(super) async fn deny(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    decide(&id, &p, (Decision::Deny, None)).await
}

pub(super) async fn revoke(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    decide(&id, &p, (Decision::Revoke, None)).await
}

async fn decide(id: &str, p: &Posted<Tenant>, (decision, statement): (Decision, Option<String>)) -> Response {
    let Ok(id) = GrantId::parse(id) else { return failure::missing(&p.signed.visit) };
    let op = Decide { tenant: p.signed.who.id.clone(), id, decision, statement };
    match p.signed.visit.site.house.perform(p.signed.caller.clone(), op).await {
        Ok(_) => Redirect::to("/console/consent").into_response(),
        Err(e) => failure::page(&p.signed.visit, &e),
    }
}
