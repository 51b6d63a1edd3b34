//! "Who wants to touch my data": requests, live grants, and what became of the others.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::consent::{
    ApprovalAsked, AskApproval, Code, CommentRequest, Decide, Decision, GetConsent, Limits, ListConsents,
    Request, Scope, State,
};
use bailee_types::{GrantId, ObjectKey, Timestamp};
use http::StatusCode;
use maud::{Markup, html};

use super::frame::{Here, csrf, icon, inside, time};
use super::sessions::cut_button;
use super::visit::{Lang, Posted, Signed, Tenant, Visit};
use super::{failure, passkey};

pub(super) async fn list(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    let list = ListConsents { tenant: s.who.id.clone(), requests_max: 200 };
    let all = match house.perform(s.caller.clone(), list).await {
        Ok(all) => all,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let (open, keys) = match (house.open_sessions(&s.who.id).await, house.keys_in_use(&s.who.id).await) {
        (Ok(open), Ok(keys)) => (open, keys),
        (Err(e), _) | (_, Err(e)) => return failure::page(&s.visit, &e),
    };
    let glass = match super::glass::section(&s).await {
        Ok(section) => section,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let standing = match super::standing::section(&s).await {
        Ok(section) => section,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let now = house.now();
    let of = |wanted: State| all.iter().filter(move |r| r.state(now) == wanted);
    let ended: Vec<_> = all.iter().filter(|r| !r.state(now).is_open()).collect();
    let main = html! {
        div.title { div { h1 { (t("Who wants to touch my data", "谁想动我的数据")) } p { a #policy href="/console/consent/policy" { (t("Who may approve, and when", "谁可以批准、何时批准")) } " · " a #figures href="/console/consent/figures" { (t("Figures", "数据统计")) } } p { (t("Nobody has access until you approve, or what you approved beforehand covers it. If you do nothing, a request lapses and nothing is opened.", "在您批准（或事先批准）之前，没有人能访问。您不作回应，请求即失效，什么也不会打开。")) } } }
        (glass)
        (standing)
        div.stack #pending {
            @for r in of(State::Pending) { (pending(&s.visit, r)) }
            @if of(State::Pending).next().is_none() { div.card.empty { h3 { (t("No request waits", "没有等待的请求")) } p { (t("Nobody asks to read your content.", "没有人请求读取您的内容。")) } } }
        }
        @if of(State::Confirming).next().is_some() { section #confirming { div.head { h2 { (t("Not yet asked of you", "尚未提交给您")) } p { (t("Another of the provider's people looks at these first.", "平台的另一名人员先行复核。")) } } div.card { ul.rows {
            @for r in of(State::Confirming) { li { div { strong { a href={ "/console/consent/" (r.id) } { (r.scope) } } p { (sentence(s.visit.lang, r)) } } } }
        } } } }
        @if !open.is_empty() { section #in-now { div.head { h2 { (t("In your systems now", "正在您的系统中")) } a.more href="/console/sessions" { (t("All sessions", "全部会话")) } } div.card { table.tbl { tbody {
            @for x in &open { tr {
                th scope="row" { a href={ "/console/sessions/" (x.id) } { (x.target) } span.sub { (x.pseudonym) " · " (x.grant) " · " (x.ticket) } }
                td data-l=(t("Since", "自")) { (time(x.opened_at)) }
                td.act { (cut_button(&s.visit, x)) }
            } }
        } } } } }
        @if !keys.is_empty() { section #keys { div.head { h2 { (t("Keys to your objects now", "当前可访问您对象的密钥")) } a.more href="/console/sessions#keys" { (t("All keys", "全部密钥")) } } div.card { (super::desk_keys::table(&s.visit, &keys, &|k| super::desk_keys::cut_button(&s.visit, k))) } } }
        section #live { div.head { h2 { (t("Live grants", "有效授权")) } } div.card {
            @if of(State::Live).next().is_none() { div.empty { h3 { (t("No grant is live", "没有有效授权")) } p { (t("No operator can open any of your objects now.", "目前没有运维人员能打开您的任何对象。")) } } }
            @else { table.tbl { thead { tr { th { (t("What it allows", "允许的操作")) } th { (t("Ends", "结束")) } th { (t("Used", "已用")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for r in of(State::Live) { tr id=(r.id) {
                    th scope="row" { (wants(s.visit.lang, &r.scope)) " " a href={ "/console/consent/" (r.id) } { code { (r.scope) } } span.sub { (r.id) " · " (r.pseudonym) ", " (r.place) @if let Some(id) = &r.standing { " · " (t("by ", "凭 ")) (id) } } }
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
                    th scope="row" { a href={ "/console/consent/" (r.id) } { code { (r.scope) } } span.sub { (r.id) " · " (r.ticket) } }
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

/// One request: the link of a notice leads here. It opens nothing by itself: whoever follows it signs in like anybody.
pub(super) async fn one(Path(id): Path<String>, s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let Ok(id) = GrantId::parse(&id) else { return failure::missing(&s.visit) };
    let house = &s.visit.site.house;
    let get = GetConsent { tenant: s.who.id.clone(), id };
    let r = match house.perform(s.caller.clone(), get).await {
        Ok(r) => r,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let now = house.now();
    let title = format!("{} {}", t("Request", "请求"), r.id);
    let main = html! {
        p.crumb { a href="/console/consent" { (t("Who wants to touch my data", "谁想动我的数据")) } " / " (r.id) }
        div.title { div { h1 { (title) } p { (chip(s.visit.lang, &r, now)) " " (r.ticket) } } }
        div.stack {
            @if r.state(now) == State::Pending { (pending(&s.visit, &r)) } @else {
                div.card.pad { p.ask { (sentence(s.visit.lang, &r)) } (facts(s.visit.lang, &r))
                    @if r.approved.is_some() && r.scope != r.scope_asked { p.hint #narrowed { (t("Asked for: ", "请求的范围：")) code { (r.scope_asked) } } }
                    @match r.state(now) {
                        State::Live | State::Exhausted => form method="post" action={ "/console/consent/" (r.id) "/revoke" } { (csrf(&s.visit)) button.btn.stop { (t("Revoke now", "立即撤销")) } },
                        State::Confirming => form method="post" action={ "/console/consent/" (r.id) "/deny" } { (csrf(&s.visit)) button.btn.stop { (t("Deny", "拒绝")) } },
                        _ => {},
                    }
                }
            }
            (comments(&s.visit, &r, &format!("/console/consent/{}/comment", r.id)))
        }
    };
    inside(&s.visit, StatusCode::OK, &title, Some(Here::Consent), &main)
}

/// What both sides wrote, and the form for more.
pub(super) fn comments(visit: &Visit, r: &Request, action: &str) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { section #comments { div.head { h2 { (t("Comments", "评论")) } p { (t("Both sides read them.", "双方均可阅读。")) } } div.card {
        @if r.comments.is_empty() { div.empty { p { (t("Nothing was written.", "暂无内容。")) } } }
        @else { ul.rows { @for c in &r.comments { li { div { strong { (c.writer) } " " @if c.by_provider { (t("(provider)", "（平台）")) } " " (time(c.at)) p { (c.text) } } } } } }
        form.pad method="post" action=(action) { (csrf(visit))
            div.field { label for="comment" { (t("Write a comment", "撰写评论")) } textarea.in #comment name="comment" rows="3" maxlength="1000" required {} }
            button.btn { (t("Send", "发送")) }
        }
    } } }
}

/// What happens if it is approved, or did, in one sentence.
pub(super) fn sentence(lang: Lang, r: &Request) -> Markup {
    let who = html! { (r.pseudonym) };
    match r.approved {
        Some((until, uses)) => {
            said(lang, &who, &r.place, &r.scope, uses, &html! { (lang.t("until ", "，截至 ")) (time(until)) })
        }
        None => said(lang, &who, &r.place, &r.scope, r.uses_max_asked, &within(lang, r.minutes)),
    }
}

/// The sentence without markup, and line by line what is allowed: for programs.
pub(crate) fn preview(r: &Request) -> [(&'static str, String, Vec<String>); 2] {
    [("en", Lang::En), ("zh", Lang::Zh)]
        .map(|(name, lang)| (name, plain(&sentence(lang, r).into_string()), may(lang, &r.scope)))
}

/// The text of markup of ours.
fn plain(markup: &str) -> String {
    let mut text = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    // What maud escapes, the ampersand last.
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (escaped, c)| text.replace(escaped, c))
}

/// "within 30 minutes of the approval".
pub(super) fn within(lang: Lang, minutes: u32) -> Markup {
    match lang {
        Lang::En => html! { "within " (minutes) " minutes of the approval" },
        Lang::Zh => html! { "，自批准起 " (minutes) " 分钟内" },
    }
}

/// "Lin, from SG, may read objects under `invoices/2026/` 3 times until …", the same on both sides of the house.
pub(super) fn said(lang: Lang, who: &Markup, place: &str, scope: &Scope, uses: u32, when: &Markup) -> Markup {
    let what = match scope {
        Scope::Object { bucket, key } => {
            html! { (lang.t("read the object ", "读取对象 ")) code { (bucket) "/" (key) } }
        }
        Scope::Prefix { bucket, prefix } if prefix.is_empty() => {
            html! { (lang.t("read any object of the bucket ", "读取该存储桶中的任何对象：")) code { (bucket) } }
        }
        Scope::Prefix { bucket, prefix } => {
            html! { (lang.t("read objects under ", "读取以此开头的对象：")) code { (bucket) "/" (prefix) } }
        }
        Scope::Target { .. } => html! { (wants(lang, scope)) ", " code { (scope) } "," },
    };
    match (lang, uses) {
        (Lang::En, 1) => html! { (who) ", from " (place) ", may " (what) " once " (when) "." },
        (Lang::En, _) => html! { (who) ", from " (place) ", may " (what) " " (uses) " times " (when) "." },
        (Lang::Zh, _) => html! { (who) "（位于 " (place) "）可以" (what) "，最多 " (uses) " 次" (when) "。" },
    }
}

/// A code in words.
pub(super) fn code_said(lang: Lang, code: Code) -> &'static str {
    match code {
        Code::CustomerInitiatedSupport => lang.t("Support that the tenant asked for", "应租户请求的支持"),
        Code::ProviderInitiatedService => lang.t("The provider keeps its service going", "平台主动维护服务"),
        Code::ProviderInitiatedReview => {
            lang.t("The provider reviews whether rules are kept", "平台主动审查")
        }
        Code::ResponseToAlert => lang.t("An alert of the running system", "响应运行告警"),
        Code::LegalRequest => lang.t("An authority demands it", "法律要求"),
    }
}

/// Who, from where, why, when, how often.
fn facts(lang: Lang, r: &Request) -> Markup {
    let t = |en, zh| lang.t(en, zh);
    html! { dl.facts {
        dt { (t("Why", "为什么")) } dd { (code_said(lang, r.code)) @if !r.reference.is_empty() { " · " (r.reference) } br; (r.reason) }
        dt { (t("Asked", "提出时间")) } dd { (time(r.asked_at)) }
        @if let Some(c) = &r.confirmed { dt { (t("Second pair of eyes", "平台复核")) } dd #confirmed { (c.pseudonym) " " (time(c.at)) } }
        @if let Some(old) = &r.renews { dt { (t("Follows", "续接请求")) } dd { a href={ "/console/consent/" (old) } { (old) } } }
        @if let Some((by, at)) = &r.decided { dt { (t("Decided by", "决定人")) } dd { (by) " " (time(*at)) } }
        dt { (t("Used", "已用")) } dd { (r.uses) }
    } }
}

fn pending(visit: &Visit, r: &Request) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        div.cols.a.deciding id=(r.id) {
            article.card {
                div.pad { p.ask { (t("An operator wants to ", "一名运维人员想要")) mark { (wants(visit.lang, &r.scope)) } ", " code { (r.scope) } (t(", for ", "，时长 ")) mark { (r.minutes) (t(" minutes", " 分钟")) } "." } p.hint.sentence { (sentence(visit.lang, r)) } }
                dl.five {
                    div { dt { (t("Who", "谁")) } dd { (r.pseudonym) @if let Some(c) = &r.confirmed { small { (t("confirmed by ", "复核人 ")) (c.pseudonym) } } } }
                    div { dt { (t("From where", "从哪里")) } dd { (r.place) @if r.place == visit.site.house.provider().jurisdiction { small { (t("Same country as the data", "与数据同一国家")) } } @else { small { (t("Another country: refused without a ", "其他国家：没有")) a href="/console/places" { (t("transfer", "跨境传输登记")) } (t("", "则会被拒绝")) } } } }
                    div { dt { (t("Why", "为什么")) } dd { (code_said(visit.lang, r.code)) @if !r.reference.is_empty() { " · " (r.reference) } small { (r.ticket) " · " (r.reason) } @if let Some(old) = &r.renews { small { (t("follows ", "续接 ")) a href={ "/console/consent/" (old) } { (old) } } } } }
                    div { dt { (t("When", "何时")) } dd { (r.minutes) (t(" min from approval", " 分钟，自批准起")) small { (t("lapses ", "失效于 ")) (time(r.lapses_at)) } } }
                    div { dt { (t("How often", "次数")) } dd { (r.uses_max_asked) (t(" reads at most", " 次以内")) } }
                }
                @if r.approvals_needed > 1 { p.pad.approvals { strong { (r.approvals.len()) (t(" of ", " / ")) (r.approvals_needed) } " " (t("persons have approved", "人已批准")) @for (by, at) in &r.approvals { ", " (by) " " (time(*at)) } } }
                div.pad.cols {
                    div { h3 { (t("If you approve, they may", "若您批准，可以")) } ul.may.yes { @for may in may(visit.lang, &r.scope) { li { (icon("check")) span { (may) } } } } }
                    div { h3 { (t("Still forbidden", "仍然禁止")) } ul.may.no { @for no in may_not(visit.lang, &r.scope) { li { (icon("no")) span { (no) } } } } }
                }
                p.pad { a href={ "/console/consent/" (r.id) } { (t("Comments and details", "评论与详情")) } }
            }
            div.card.decide {
                form id={ "approve-" (r.id) } method="post" action={ "/console/consent/" (r.id) "/approve" } {
                    (csrf(visit))
                    fieldset.pad {
                        legend { (t("Narrow it first, if you like", "可先收窄范围")) } p.hint { (t("You can take away, never add.", "只能减少，不能增加。")) }
                        div.field { label for={ "minutes-" (r.id) } { (t("Minutes", "分钟")) } input.in id={ "minutes-" (r.id) } name="minutes" type="number" min="1" max=(r.minutes) value=(r.minutes); }
                        div.field { label for={ "uses-" (r.id) } { (t("Reads at most", "最多读取次数")) } input.in id={ "uses-" (r.id) } name="uses" type="number" min="1" max=(r.uses_max_asked) value=(r.uses_max_asked); }
                        (narrowing(visit.lang, r))
                        (note(visit.lang, r, "approve"))
                    }
                    div.pad.stack { button.btn.main-act.wide { (t("Approve", "批准")) }
                        @if visit.site.house.offers_passkeys() { button.btn.wide id={ "by-passkey-" (r.id) } formaction={ "/console/consent/" (r.id) "/sign" } { (t("Sign with a passkey", "使用通行密钥签署")) } }
                    }
                }
                details.pad id={ "sign-" (r.id) } { summary { (t("Sign it with a key of your own", "用您自己的密钥签署")) }
                    p.hint { (t("Needed where the bucket's key lies in your own key service. Run `bailee keyhouse approve` with this statement on your own machine and paste what it prints.", "如果存储空间的密钥在您自己的密钥服务中，则必须签署。请在您自己的机器上用此声明运行 `bailee keyhouse approve`，并粘贴其输出。")) }
                    pre.statement { (r.statement(visit.site.house.now())) }
                    form method="post" action={ "/console/consent/" (r.id) "/approve" } { (csrf(visit))
                        div.field { label for={ "statement-" (r.id) } { (t("Signed statement", "已签署的声明")) } textarea.in id={ "statement-" (r.id) } name="statement" rows="14" required {} }
                        button.btn { (t("Approve as signed", "按签署内容批准")) }
                    }
                }
                form.pad id={ "deny-" (r.id) } method="post" action={ "/console/consent/" (r.id) "/deny" } { (csrf(visit)) (note(visit.lang, r, "deny")) button.btn.stop.wide { (t("Deny", "拒绝")) } }
            }
        }
    }
}

fn note(lang: Lang, r: &Request, what: &str) -> Markup {
    html! { div.field { label for={ "note-" (what) "-" (r.id) } { (lang.t("Note to the provider", "给平台的附言")) } input.in id={ "note-" (what) "-" (r.id) } name="note" maxlength="1000"; } }
}

/// The part of the form that takes away from the scope; `narrow` says that it was there.
fn narrowing(lang: Lang, r: &Request) -> Markup {
    let t = |en, zh| lang.t(en, zh);
    let tick = |name: String, text: String, on: bool| {
        let id = format!("{name}-{}", r.id);
        html! { p { input type="checkbox" id=(id) name=(name) value="1" checked[on]; " " label for=(id) { (text) } } }
    };
    let hidden = html! { input type="hidden" name="narrow" value="1"; };
    match &r.scope_asked {
        Scope::Object { .. } => html! {},
        Scope::Prefix { prefix, .. } => html! { (hidden)
            div.field { label for={ "under-" (r.id) } { (t("Only names that begin with", "仅限名称以此开头")) } input.in id={ "under-" (r.id) } name="under" value=(prefix) maxlength="1023"; }
            (tick("exact".into(), t("Only the one object of exactly this name", "仅限名称完全相同的一个对象").into(), false))
        },
        Scope::Target { limits, .. } => html! { (hidden) @match limits {
            Limits::Host { shell, exec, download, upload } => {
                @for (name, on, text) in [("shell", shell, t("Open a shell with a terminal", "打开终端")), ("exec", exec, t("Run single commands", "执行单条命令")), ("download", download, t("Copy files out", "复制文件出来")), ("upload", upload, t("Copy files in", "复制文件进去"))] { @if *on { (tick(name.into(), text.into(), true)) } }
            },
            Limits::Database { roles, read_only } => {
                @for (i, role) in roles.iter().enumerate() { (tick(format!("part-{i}"), role.clone(), true)) }
                @if !read_only { (tick("read_only".into(), t("Read only", "只读").into(), false)) }
            },
            Limits::Cluster { .. } | Limits::Service { .. } => {
                @for (i, text) in may(lang, &r.scope_asked).iter().enumerate().take(limits.rules()) { (tick(format!("part-{i}"), text.clone(), true)) }
            },
        } },
    }
}

/// What the form left of the scope; none: all of it. Whether it is less is the room's to judge.
fn narrowed(p: &Posted<Tenant>, asked: &Scope) -> Result<Option<Scope>, ()> {
    let ticked = |name: &str| p.field(name) == "1";
    let scope = match asked {
        Scope::Object { .. } => return Ok(None),
        Scope::Prefix { bucket, .. } if ticked("exact") => {
            Scope::object(bucket.clone(), ObjectKey::parse(p.field("under")).map_err(drop)?)
        }
        Scope::Prefix { bucket, .. } => {
            Scope::Prefix { bucket: bucket.clone(), prefix: p.field("under").to_owned() }
        }
        Scope::Target { target, limits } => {
            let part = |i: usize| ticked(&format!("part-{i}"));
            let limits = match limits {
                Limits::Host { .. } => Limits::Host {
                    shell: ticked("shell"),
                    exec: ticked("exec"),
                    download: ticked("download"),
                    upload: ticked("upload"),
                },
                Limits::Database { roles, read_only } => Limits::Database {
                    roles: kept(roles, part),
                    read_only: *read_only || ticked("read_only"),
                },
                Limits::Cluster { rules } => Limits::Cluster { rules: kept(rules, part) },
                Limits::Service { rules } => Limits::Service { rules: kept(rules, part) },
            };
            Scope::Target { target: target.clone(), limits }
        }
    };
    Ok(Some(scope).filter(|s| s != asked))
}

fn kept<T: Clone>(all: &[T], keep: impl Fn(usize) -> bool) -> Vec<T> {
    all.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, x)| x.clone()).collect()
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
    let (class, symbol, text) = looks(lang, r.state(now));
    html! { span class={ "chip " (class) } { (icon(symbol)) (text) } }
}

/// A state in words.
pub(super) fn state_said(lang: Lang, state: State) -> &'static str {
    looks(lang, state).2
}

fn looks(lang: Lang, state: State) -> (&'static str, &'static str, &'static str) {
    match state {
        State::Pending => ("info", "clock", lang.t("Waits for the tenant", "等待租户")),
        State::Live => ("ok", "hand", lang.t("Live", "有效")),
        State::Denied => ("bad", "no", lang.t("Denied", "已拒绝")),
        State::Withdrawn => ("", "cross", lang.t("Withdrawn", "已撤回")),
        State::Lapsed => ("", "clock", lang.t("Lapsed", "已失效")),
        State::Expired => ("", "clock", lang.t("Expired", "已到期")),
        State::Revoked => ("warn", "cross", lang.t("Revoked", "已撤销")),
        State::Exhausted => ("", "check", lang.t("All reads used", "次数用尽")),
        State::TicketClosed => ("", "check", lang.t("Ticket closed", "工单已关闭")),
        State::Confirming => {
            ("info", "clock", lang.t("Waits for the provider's second pair of eyes", "等待平台复核"))
        }
        State::Declined => ("bad", "no", lang.t("Declined by the provider", "平台复核未通过")),
        State::Returned => ("", "check", lang.t("Given back", "已交还")),
        State::OperatorDisabled => ("warn", "no", lang.t("Operator disabled", "运维人员已停用")),
    }
}

pub(super) async fn approve(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Ok(id) = GrantId::parse(&id) else { return failure::missing(&s.visit) };
    // Browsers send lines with CR LF.
    let statement = p.field("statement").replace("\r\n", "\n");
    if !statement.trim().is_empty() {
        let statement = Some(format!("{}\n", statement.trim_end()));
        let yes = Decision::Approve { minutes: 1, uses_max: 1 };
        return decide(&p, Decide { statement, ..Decide::new(s.who.id.clone(), id, yes) }).await;
    }
    let (minutes, uses_max, scope) = match limits(&p, &id).await {
        Ok(limits) => limits,
        Err(no) => return no,
    };
    let decision = Decision::Approve { minutes, uses_max };
    decide(&p, Decide { scope, ..Decide::new(s.who.id.clone(), id, decision) }).await
}

/// Minutes, reads and what is left of the scope, as the form has them; or the page that says what is wrong.
async fn limits(p: &Posted<Tenant>, id: &GrantId) -> Result<(u32, u32, Option<Scope>), Response> {
    let s = &p.signed;
    let number = |name: &str| p.field(name).trim().parse::<u32>();
    let (Ok(minutes), Ok(uses_max)) = (number("minutes"), number("uses")) else {
        let text = s.visit.lang.t("Minutes and reads must be whole numbers.", "分钟与次数必须是整数。");
        return Err(failure::invalid(&s.visit, text));
    };
    // Who takes nothing away need not be allowed to look.
    let get = GetConsent { tenant: s.who.id.clone(), id: id.clone() };
    let scope = match p.field("narrow") {
        "1" => match s.visit.site.house.perform(s.caller.clone(), get).await {
            Ok(request) => narrowed(p, &request.scope_asked),
            Err(e) => return Err(failure::page(&s.visit, &e)),
        },
        _ => Ok(None),
    };
    match scope {
        Ok(scope) => Ok((minutes, uses_max, scope)),
        Err(()) => {
            let text = s.visit.lang.t("That is no object's name.", "这不是对象名称。");
            Err(failure::invalid(&s.visit, text))
        }
    }
}

/// Shows the text of an approval, for a passkey to sign.
pub(super) async fn sign(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let t = |en, zh| s.visit.lang.t(en, zh);
    let Ok(id) = GrantId::parse(&id) else { return failure::missing(&s.visit) };
    let (minutes, uses_max, scope) = match limits(&p, &id).await {
        Ok(limits) => limits,
        Err(no) => return no,
    };
    let token = s.visit.token.clone().unwrap_or_default();
    let ask = AskApproval { tenant: s.who.id.clone(), token, id, minutes, uses_max, scope };
    let ApprovalAsked { request: r, statement, options } =
        match s.visit.site.house.perform(s.caller.clone(), ask).await {
            Ok(asked) => asked,
            Err(e) => return failure::page(&s.visit, &e),
        };
    let title = t("Sign this approval", "签署此批准");
    let here = format!("/console/consent/{}", r.id);
    let button = t("Sign and approve", "签署并批准");
    let main = html! {
        p.crumb { a href="/console/consent" { (t("Who wants to touch my data", "谁想动我的数据")) } " / " a href=(here) { (r.id) } }
        div.title { div { h1 { (title) } p { (t("Your passkey signs exactly this text. It stands in your log with the signature, and `bailee-verify` checks it without us.", "您的通行密钥签署的正是以下文本。它与签名一起保存在您的日志中，`bailee-verify` 无需我们即可验证。")) } } }
        div.card.pad.stack {
            pre.statement #statement { (statement) }
            (passkey::sign_form(&s.visit, &format!("{here}/signed"), &options, (p.field("note"), button)))
            p.hint { a href=(here) { (t("Back: nothing is approved yet", "返回：尚未批准任何内容")) } }
        }
    };
    passkey::with_script(inside(&s.visit, StatusCode::OK, title, Some(Here::Consent), &main))
}

/// Approves as it was signed.
pub(super) async fn signed(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let answer = (
        s.visit.token.clone().unwrap_or_default(),
        // Browsers send lines with CR LF.
        p.field("statement").replace("\r\n", "\n"),
        p.field("response").to_owned(),
    );
    match Decide::signed(s.who.id.clone(), answer) {
        Ok(op) if op.id.as_str() == id => decide(&p, op).await,
        Ok(_) => failure::missing(&s.visit),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// Denies, revokes, or comments.
pub(super) async fn act(Path((id, what)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Ok(id) = GrantId::parse(&id) else { return failure::missing(&s.visit) };
    let decision = match what.as_str() {
        "deny" => Decision::Deny,
        "revoke" => Decision::Revoke,
        "comment" => {
            let here = format!("/console/consent/{id}#comments");
            let op = CommentRequest { tenant: s.who.id.clone(), id, text: p.field("comment").to_owned() };
            return match s.visit.site.house.perform(s.caller.clone(), op).await {
                Ok(()) => Redirect::to(&here).into_response(),
                Err(e) => failure::page(&s.visit, &e),
            };
        }
        _ => return failure::missing(&s.visit),
    };
    decide(&p, Decide::new(s.who.id.clone(), id, decision)).await
}

async fn decide(p: &Posted<Tenant>, op: Decide) -> Response {
    let op = Decide { note: p.field("note").to_owned(), ..op };
    match p.signed.visit.site.house.perform(p.signed.caller.clone(), op).await {
        Ok(_) => Redirect::to("/console/consent").into_response(),
        Err(e) => failure::page(&p.signed.visit, &e),
    }
}
