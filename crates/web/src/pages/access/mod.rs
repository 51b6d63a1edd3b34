//! People and keys: users, groups, roles, policies, AccessKeys; why somebody may do something, and who could.
//!
//! Every button asks the gate as the signed-in caller; a page shows what he may see and says what he may not.
//! INVARIANT: a secret is in the body of one answer to one POST, never in an address or a form that comes back.

mod attach;
mod devices;
mod groups;
mod keyring;
mod keys;
mod linked;
mod logins;
mod parts;
mod policies;
mod provider;
mod providers;
mod report;
mod roles;
mod settings;
mod tags;
mod users;
mod versions;
mod who_can;
mod why;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::{get, post};
use bailee_rooms::gate::Principal;
use bailee_rooms::identity::{AccountSummary, GetAccountSummary, GetSecurityPractice, SecurityPractice};
use http::StatusCode;
use maud::{Markup, html};

use super::Site;
use super::frame::icon;
use super::visit::{Lang, Signed, Tenant};
use parts::{Tab, ask, page, part};

pub(super) fn routes() -> Router<Arc<Site>> {
    // Not nested: a page's address is told whole, for the links that switch its language.
    let at = |rest: &str| format!("/console/access{rest}");
    let people = Router::new()
        .route("/console/access", get(overview))
        .route(&at("/users"), get(users::list).post(users::create))
        .route(&at("/users/{name}"), get(users::one).post(users::update))
        .route(&at("/users/{name}/delete"), get(users::confirm_delete).post(users::delete))
        .route(&at("/users/{name}/join"), post(users::join))
        .route(&at("/users/{name}/leave"), post(users::leave))
        .route(&at("/users/{name}/attach"), post(users::attach))
        .route(&at("/users/{name}/detach"), post(users::detach))
        .route(&at("/users/{name}/login"), post(logins::set))
        .route(&at("/users/{name}/login/switch"), post(logins::switch))
        .route(&at("/users/{name}/login/delete"), get(logins::confirm_delete).post(logins::delete))
        .route(&at("/users/{name}/mfa/unbind"), get(logins::confirm_unbind).post(logins::unbind))
        .route(&at("/users/{name}/keys"), post(keys::create_of_user))
        .route(&at("/users/{name}/keys/{id}/switch"), post(keys::switch_of_user))
        .route(&at("/users/{name}/keys/{id}/delete"), get(keys::confirm_of_user).post(keys::delete_of_user))
        .route(&at("/account"), get(keys::root))
        .route(&at("/account/keys"), post(keys::create_of_root))
        .route(&at("/account/keys/{id}/switch"), post(keys::switch_of_root))
        .route(&at("/account/keys/{id}/delete"), get(keys::confirm_of_root).post(keys::delete_of_root))
        .route(&at("/groups"), get(groups::list).post(groups::create))
        .route(&at("/groups/{name}"), get(groups::one).post(groups::update))
        .route(&at("/groups/{name}/delete"), get(groups::confirm_delete).post(groups::delete))
        .route(&at("/groups/{name}/add"), post(groups::add))
        .route(&at("/groups/{name}/remove"), post(groups::remove))
        .route(&at("/groups/{name}/attach"), post(groups::attach))
        .route(&at("/groups/{name}/detach"), post(groups::detach));
    let rules = Router::new()
        .route(&at("/roles"), get(roles::list).post(roles::create))
        .route(&at("/roles/{name}"), get(roles::one).post(roles::update))
        .route(&at("/roles/{name}/revoke"), get(roles::confirm_revoke).post(roles::revoke))
        .route(&at("/roles/{name}/delete"), get(roles::confirm_delete).post(roles::delete))
        .route(&at("/roles/{name}/attach"), post(roles::attach))
        .route(&at("/roles/{name}/detach"), post(roles::detach))
        .route(&at("/policies"), get(policies::list).post(policies::create))
        .route(&at("/policies/new"), get(policies::new))
        .route(&at("/policies/{kind}/{name}"), get(policies::one).post(policies::describe))
        .route(&at("/policies/{kind}/{name}/edit"), get(versions::edit).post(versions::add))
        .route(&at("/policies/{kind}/{name}/default"), post(versions::set_default))
        .route(
            &at("/policies/{kind}/{name}/v/{n}/delete"),
            get(versions::confirm_delete).post(versions::delete),
        )
        .route(&at("/policies/{kind}/{name}/delete"), get(policies::confirm_delete).post(policies::delete))
        .route(&at("/why"), get(why::page))
        .route(&at("/who-can"), get(who_can::page))
        .route(&at("/settings"), get(settings::show))
        .route(&at("/settings/alias"), post(settings::alias))
        .route(&at("/settings/passwords"), post(settings::passwords))
        .route(&at("/settings/preference"), post(settings::preference));
    people.merge(rules).merge(credentials()).merge(trust())
}

/// AccessKeys of everybody, second factors, the report, tags.
fn credentials() -> Router<Arc<Site>> {
    let at = |rest: &str| format!("/console/access{rest}");
    Router::new()
        .route(&at("/keys"), get(keyring::list))
        .route(&at("/keys/networks"), post(keyring::set_account))
        .route(&at("/keys/{owner}/{id}/networks"), get(keyring::one).post(keyring::set_one))
        .route(&at("/mfa"), get(devices::list).post(devices::create))
        .route(&at("/mfa/{name}/bind"), get(devices::ask_codes).post(devices::bind))
        .route(&at("/mfa/{name}/delete"), get(devices::confirm_delete).post(devices::delete))
        .route(&at("/report"), get(report::show).post(report::download))
        .route(&at("/users/{name}/tags"), post(tags::add_to_user))
        .route(&at("/users/{name}/tags/remove"), post(tags::take_off_user))
        .route(&at("/roles/{name}/tags"), post(tags::add_to_role))
        .route(&at("/roles/{name}/tags/remove"), post(tags::take_off_role))
        .route(&at("/policies/{kind}/{name}/tags"), post(tags::add_to_policy))
        .route(&at("/policies/{kind}/{name}/tags/remove"), post(tags::take_off_policy))
}

/// A metadata document of 100 KiB, each byte of it as `%XX`, and the rest of its form.
const METADATA_FORM_BYTES_MAX: usize = 400 * 1024;

/// Whose word counts from outside: identity providers and services.
fn trust() -> Router<Arc<Site>> {
    let at = |rest: &str| format!("/console/access{rest}");
    let wide = || DefaultBodyLimit::max(METADATA_FORM_BYTES_MAX);
    Router::new()
        .route(&at("/providers"), get(providers::list))
        .route(&at("/providers/oidc"), post(providers::create_oidc))
        .route(&at("/providers/saml"), post(providers::create_saml).layer(wide()))
        .route(&at("/providers/oidc/{name}"), get(provider::oidc).post(provider::update_oidc))
        .route(&at("/providers/oidc/{name}/list/{which}/{what}"), post(provider::change_list))
        .route(&at("/providers/saml/{name}"), get(provider::saml).post(provider::update_saml).layer(wide()))
        .route(&at("/providers/{kind}/{name}/delete"), get(provider::confirm_delete).post(provider::delete))
        .route(&at("/service-roles"), get(linked::list).post(linked::create))
        .route(&at("/service-roles/{name}/delete"), get(linked::confirm_delete).post(linked::delete))
}

async fn overview(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let summary = match part(&s.visit, ask(&s, GetAccountSummary).await) {
        Ok(summary) => summary,
        Err(page) => return page,
    };
    let practice = match part(&s.visit, ask(&s, GetSecurityPractice).await) {
        Ok(practice) => practice,
        Err(page) => return page,
    };
    let main = html! {
        div.title { div { h1 { (t("People and keys", "人员与密钥")) } p { (t("Who may do what in your account, with which keys, and what should be put right.", "您的账号中谁可以做什么、使用哪些密钥，以及有哪些需要改进。")) } } }
        div.card { @match &summary { Ok(summary) => (counts(s.visit.lang, summary)), Err(why) => (why) } }
        section #practice { div.head { h2 { (t("What to put right", "需要改进")) }
            @if let Ok(p) = &practice { p { (t("Score ", "得分 ")) b.num { (p.score) } " / 100" } } }
            div.card { @match &practice { Ok(p) => (findings(s.visit.lang, p)), Err(why) => (why) } }
        }
        section { div.head { h2 { (t("Look closer", "进一步查看")) } } ul.card.rows {
            li { div { a href="/console/access/who-can" { (t("Who can do something?", "谁可以做某件事？")) } p { (t("Everybody who may do one act on one resource, operators by your grants first.", "可以对某个资源执行某个操作的所有人，经您授权的运维人员排在最前。")) } } }
            li { div { a href="/console/access/why" { (t("Why may somebody do something, or why not?", "某人为什么可以或不可以？")) } p { (t("The statements that decide, and those that nearly did.", "起决定作用的语句，以及只差一点的语句。")) } } }
            li { div { a #to-report href="/console/access/report" { (t("Credential report", "凭证报告")) } p { (t("Passwords, keys and second factors of everybody, as CSV.", "所有人的口令、密钥与第二因素，CSV 格式。")) } } }
            li { div { a #to-mfa href="/console/access/mfa" { (t("MFA devices", "MFA 设备")) } p { (t("Whose is whose; bind one for somebody else.", "查看归属；为他人绑定。")) } } }
            @if let Principal::User { name, .. } = s.caller.principal() { li { div { a #own-keys href={ (users::address(name)) "#keys" } { (t("Your own AccessKeys", "您自己的 AccessKey")) } p { (t("For the programs that work in your name.", "供以您的名义工作的程序使用。")) } } } }
            li { div { a #root-keys href="/console/access/account" { (t("AccessKeys of root", "主账号的 AccessKey")) } p { (t("Root may do everything; it should have none.", "主账号可以做任何事；它最好没有任何 AccessKey。")) } } }
        } }
    };
    page(&s.visit, StatusCode::OK, t("People and keys", "人员与密钥"), Tab::Overview, &main)
}

fn counts(lang: Lang, summary: &AccountSummary) -> Markup {
    let t = |en, zh| lang.t(en, zh);
    let count = |n: u64, to: &'static str, text: &'static str| {
        html! { div { dt { (text) } dd { a href=(to) { (n) } } } }
    };
    html! { dl.tally.pad #counts {
        (count(summary.users, "/console/access/users", t("Users", "用户")))
        (count(summary.groups, "/console/access/groups", t("Groups", "用户组")))
        (count(summary.roles, "/console/access/roles", t("Roles", "角色")))
        (count(summary.policies, "/console/access/policies?kind=custom", t("Own policies", "自定义策略")))
        div { dt { (t("MFA devices in use", "使用中的 MFA 设备")) } dd { (summary.mfa_devices_in_use) } }
    } }
}

/// One finding: whether it is bad, what is so, what to do next, and where.
struct Finding {
    bad: bool,
    is: String,
    next: &'static str,
    to: &'static str,
}

fn findings(lang: Lang, p: &SecurityPractice) -> Markup {
    let t = |en, zh| lang.t(en, zh);
    let users = "/console/access/users";
    let all = [
        Finding {
            bad: p.root_keys > 0,
            is: format!("{}{}", t("Active AccessKeys of root: ", "主账号的有效 AccessKey："), p.root_keys),
            next: t(
                "Give your programs users or roles of their own, then switch root’s keys off and delete them.",
                "请为程序建立各自的用户或角色，然后停用并删除主账号的密钥。",
            ),
            to: "/console/access/account",
        },
        Finding {
            bad: !p.root_has_mfa,
            is: if p.root_has_mfa {
                t("Root has a second factor", "主账号已绑定第二因素").into()
            } else {
                t("Root has no second factor", "主账号没有第二因素").into()
            },
            next: t("Sign in as root and bind an authenticator app.", "以主账号登录并绑定身份验证器应用。"),
            to: "/security",
        },
        Finding {
            bad: p.old_keys > 0,
            is: format!("{}{}", t("Active keys older than 90 days: ", "超过 90 天的有效密钥："), p.old_keys),
            next: t("Rotate them: the page of each user tells how.", "请轮换：每个用户的页面上有步骤说明。"),
            to: "/console/access/keys?bad=1",
        },
        Finding {
            bad: p.unused_keys > 0,
            is: format!(
                "{}{}",
                t("Active keys that nobody used for 90 days: ", "90 天内无人使用的有效密钥："),
                p.unused_keys
            ),
            next: t("Switch them off; delete them when nothing fails.", "请先停用；确认没有影响后删除。"),
            to: "/console/access/keys?bad=1",
        },
        Finding {
            bad: p.users_without_mfa > 0,
            is: format!(
                "{}{} / {}",
                t("Users who sign in without a second factor: ", "无第二因素即可登录的用户："),
                p.users_without_mfa,
                p.users
            ),
            next: t(
                "Ask for it from all users in the settings, or from each in his sign-in.",
                "请在设置中对所有用户要求第二因素，或在各用户的登录设置中要求。",
            ),
            to: "/console/access/settings#preference",
        },
        Finding {
            bad: p.sha1_keys > 0,
            is: format!(
                "{}{}",
                t("Keys that last signed with SHA-1: ", "最近一次以 SHA-1 签名的密钥："),
                p.sha1_keys
            ),
            next: t(
                "Update the programs’ SDKs to one that signs with SHA-256 (V4, ACS3).",
                "请将程序的 SDK 升级到使用 SHA-256 签名（V4、ACS3）的版本。",
            ),
            to: users,
        },
        Finding {
            bad: p.password_level == "low",
            is: format!(
                "{}{}",
                t("Password rules: ", "口令规则："),
                match p.password_level {
                    "high" => t("strict", "严格"),
                    "mid" => t("medium", "中等"),
                    _ => t("weak", "较弱"),
                }
            ),
            next: t("Ask for longer passwords of more kinds.", "请要求更长、字符类型更多的口令。"),
            to: "/console/access/settings#passwords",
        },
    ];
    // Bad news first; what is fine stays on the list, so that a reader knows it was looked at.
    let (bad, fine): (Vec<_>, Vec<_>) = all.into_iter().partition(|f| f.bad);
    html! { ul.rows #findings {
        @for f in &bad { li { div { b { (f.is) } p { (f.next) } p.acts { a href=(f.to) { (t("Go there", "前往处理")) } } } span.end { span.chip.warn { (icon("warn")) (t("Put right", "待改进")) } } } }
        @for f in &fine { li { div { (f.is) } span.end { span.chip.ok { (icon("check")) (t("Fine", "正常")) } } } }
    } }
}
