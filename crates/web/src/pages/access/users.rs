//! Users: the list, a user's own page, and what changes him.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::gate::Principal;
use bailee_rooms::identity::{
    AddUserToGroup, CreateUser, DeleteUser, Entity, GetUser, Group, ListGroups, ListGroupsForUser, ListUsers,
    Owner, Paging, RemoveUserFromGroup, Tagged, UpdateUser, User,
};
use bailee_types::{GroupName, Timestamp, UserName};
use http::StatusCode;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, enc, icon, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Confirm, Field, Said, Tab, ask, button, fresh, name_in, page, part, seg};
use super::{attach as policies, keys, logins, tags};

const PER_PAGE: u32 = 50;

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    show_list(&s, &q, &Said::nothing()).await
}

async fn show_list(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let begin = q.get("begin").map_or("", |b| b.trim());
    let mut paging = Paging::beginning_with(begin, PER_PAGE);
    paging.marker = q.get("after").cloned().or(paging.marker);
    let mut users = match ask(s, ListUsers { page: paging, tags: Vec::new() }).await {
        Ok(users) => users,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let read = users.items.len();
    users.items.retain(|u| u.name.as_str().starts_with(begin));
    let next = users.marker.filter(|_| users.items.len() == read);
    let main = html! {
        div.title { div { h1 { (t("Users", "用户")) } p { (t("A user is a person or a program of yours. New users may do nothing until a policy allows it.", "用户是您的一个人或一个程序。新用户在策略允许之前不能做任何事。")) } } a.btn href="#create-user" { (t("New user", "新建用户")) } }
        (said.notice())
        form #filter.filters.card.pad method="get" action="/console/access/users" {
            div.field.big { label for="begin" { (t("Name begins with", "名称开头")) } input.in #begin name="begin" value=(begin) maxlength="64"; }
            button.btn { (icon("search")) (t("Show", "显示")) }
            @if !begin.is_empty() { a.btn.low href="/console/access/users" { (t("All", "全部")) } }
        }
        section { div.card {
            @if users.items.is_empty() { div.empty { h3 { (t("No user here", "没有用户")) } p { @if begin.is_empty() { (t("Work as root only to set things up: make the first user below.", "主账号只用于初始设置：请在下方建立第一个用户。")) } @else { (t("No name begins so. Upper and lower case count.", "没有以此开头的名称。区分大小写。")) } } } }
            @else { table.tbl #users { thead { tr { th { (t("Name", "名称")) } th { (t("Console sign-in", "控制台登录")) } th { (t("Last sign-in", "最近登录")) } th { (t("Created", "创建时间")) } } } tbody {
                @for u in &users.items { tr {
                    th scope="row" { a href=(address(&u.name)) { (u.name) } span.sub { (u.display_name) } }
                    td data-l=(t("Console sign-in", "控制台登录")) { @if u.has_password { (t("With password", "口令")) } @else { (t("None", "无")) } }
                    td data-l=(t("Last sign-in", "最近登录")) { @match u.last_login_at { Some(at) => (time(at)), None => "–" } }
                    td data-l=(t("Created", "创建时间")) { (time(u.created_at)) }
                } }
            } } }
            @if let Some(next) = &next { p.pad { a #next href={ "/console/access/users?begin=" (enc(begin)) "&after=" (enc(next)) } { (t("Next page", "下一页")) } } }
        } }
        section { h2 { (t("New user", "新建用户")) }
            form #create-user.card method="post" action="/console/access/users" { div.pad.stack { (csrf(&s.visit))
                div { (Field { form: "create", name: "name", label: t("Name", "名称"), value: said.typed("create", "name", ""), max: 64, required: true, hint: t("A-Z, a-z, 0-9, `.`, `_`, `-`; it stands in policies and records.", "A-Z、a-z、0-9、`.`、`_`、`-`；将出现在策略与记录中。"), ..Field::default() }.show()) (details(&s.visit, "create", said, None)) }
                p { button.btn.main-act { (t("Create the user", "创建用户")) } }
            } }
        }
    };
    page(&s.visit, said.status, t("Users", "用户"), Tab::Users, &main)
}

/// The fields for people.
fn details(visit: &Visit, form: &'static str, said: &Said, user: Option<&User>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let stored = |f: fn(&User) -> &String| user.map_or("", |u| f(u).as_str());
    let line = |name: &'static str, label: &'static str, stored: &str, max: u32| {
        let value = said.typed(form, name, stored);
        Field { form, name, label, value, max, ..Field::default() }.show()
    };
    html! {
        (line("display_name", t("Display name", "显示名称"), stored(|u| &u.display_name), 128))
        (line("comments", t("Comments", "备注"), stored(|u| &u.comments), 128))
        (line("email", t("E-mail", "邮箱"), stored(|u| &u.email), 128))
        (line("mobile_phone", t("Mobile phone", "手机号"), stored(|u| &u.mobile_phone), 64))
    }
}

/// `/console/access/users/li`.
pub(super) fn address(name: &UserName) -> String {
    format!("/console/access/users/{}", seg(name.as_str()))
}

pub(super) fn parse(visit: &Visit, name: &str) -> Result<UserName, Response> {
    UserName::parse(name_in(name)).map_err(|_| failure::missing(visit))
}

pub(super) async fn create(p: Posted<Tenant>) -> Response {
    let said = match UserName::parse(p.field("name").trim()) {
        Err(_) => Said::wrong(&p, "create", wrong_name(&p.signed.visit)),
        Ok(name) => {
            let text = |field: &str| p.field(field).trim().to_owned();
            let act = CreateUser {
                display_name: text("display_name"),
                comments: text("comments"),
                email: text("email"),
                mobile_phone: text("mobile_phone"),
                ..CreateUser::named(name)
            };
            match ask(&p.signed, act).await {
                Ok(user) => return Redirect::to(&address(&user.name)).into_response(),
                Err(e) => match Said::failed(&p, "create", &e) {
                    Ok(said) => said,
                    Err(page) => return page,
                },
            }
        }
    };
    show_list(&p.signed, &HashMap::new(), &said).await
}

/// The rule for names of users, groups and roles.
pub(super) fn wrong_name(visit: &Visit) -> &'static str {
    visit.lang.t(
        "The name must have 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`.",
        "名称须为 1 至 64 位的 A-Z、a-z、0-9、`.`、`_`、`-`。",
    )
}

pub(super) async fn one(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    match parse(&s.visit, &name) {
        Ok(name) => show(&s, &name, &Said::nothing()).await,
        Err(page) => page,
    }
}

/// A user's page.
pub(super) async fn show(s: &Signed<Tenant>, name: &UserName, said: &Said) -> Response {
    match build(s, name, said).await {
        Ok(page) | Err(page) => page,
    }
}

async fn build(s: &Signed<Tenant>, name: &UserName, said: &Said) -> Result<Response, Response> {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let u = match ask(s, GetUser { name: name.clone() }).await {
        Ok(u) => u,
        // Who may not read users still has his own keys here, where the account lets him manage them.
        Err(Failure::Refused(_)) if is_own(s, name) => return own_page(s, name, said).await,
        Err(e) => return Err(failure::page(visit, &e)),
    };
    let groups = part(visit, ask(s, ListGroupsForUser { user: name.clone() }).await)?;
    let all = Paging { marker: None, items_max: 1_000 };
    let offered = part(visit, ask(s, ListGroups { page: all }).await)?.map(|p| p.items).unwrap_or_default();
    let attached = policies::load(s, Entity::User(name.clone())).await?;
    let keys = keys::load(s, Owner::User(name.clone())).await?;
    let login = logins::load(s, name).await?;
    let tagged = tags::load(s, Tagged::User(name.clone())).await?;
    let base = address(name);
    let main = html! {
        p.crumb { a href="/console/access/users" { (t("Users", "用户")) } " / " (u.name) }
        div.title { div { h1 { (u.name) } p { (u.display_name) } }
            div.acts { a.btn #ask-why href={ "/console/access/why?who=user/" (u.name) } { (t("What may this user do?", "此用户可以做什么？")) } a.btn.stop #to-delete href={ (base) "/delete" } { (t("Delete", "删除")) } } }
        (said.notice())
        div.stack {
            div.card { dl.facts.pad {
                dt { (t("User id", "用户 ID")) } dd.mono { (u.id) }
                dt { (t("Created", "创建时间")) } dd { (time(u.created_at)) }
                dt { (t("Last sign-in", "最近登录")) } dd { @match u.last_login_at { Some(at) => (time(at)), None => (t("never", "从未")) } }
                @for (label, text) in [(t("Comments", "备注"), &u.comments), (t("E-mail", "邮箱"), &u.email), (t("Mobile phone", "手机号"), &u.mobile_phone)] { @if !text.is_empty() { dt { (label) } dd { (text) } } }
            }
            div.note { details open[said.is("edit")] { summary #edit-open { (t("Change", "修改")) }
                form #edit-user method="post" action=(base) { (csrf(visit))
                    (Field { form: "edit", name: "name", label: t("Name", "名称"), value: said.typed("edit", "name", u.name.as_str()), max: 64, required: true, hint: t("Keys, groups and policies go with him; policies of buckets that name him do not follow.", "密钥、用户组和策略随之保留；以名称引用他的存储空间策略不会随之更改。"), ..Field::default() }.show())
                    (details(visit, "edit", said, Some(&u)))
                    p.acts { button.btn.main-act { (t("Store", "保存")) } }
                } } }
            }
        }
        (groups_part(visit, &base, &groups, &offered))
        (policies::section(visit, &base, &attached))
        (keys::section(visit, &Owner::User(name.clone()), &keys))
        (logins::section(visit, name, &login, said))
        (tags::section(visit, &base, &tagged, said))
    };
    Ok(page(visit, said.status, u.name.as_str(), Tab::Users, &main))
}

fn is_own(s: &Signed<Tenant>, name: &UserName) -> bool {
    matches!(s.caller.principal(), Principal::User { name: own, .. } if own == name)
}

/// What a user without rights sees of himself.
async fn own_page(s: &Signed<Tenant>, name: &UserName, said: &Said) -> Result<Response, Response> {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let keys = keys::load(s, Owner::User(name.clone())).await?;
    let main = html! {
        div.title { div { h1 { (name) } p { (t("You see your own keys; for the rest ask your administrator. Password and second factor are under “My sign-in”.", "您可以查看自己的密钥；其他内容请联系您的管理员。口令与第二因素在“我的登录”中。")) } } }
        (said.notice())
        (keys::section(&s.visit, &Owner::User(name.clone()), &keys))
    };
    Ok(page(&s.visit, said.status, name.as_str(), Tab::Users, &main))
}

fn groups_part(
    visit: &Visit,
    base: &str,
    groups: &Result<Vec<(Group, Timestamp)>, Markup>,
    offered: &[Group],
) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { section #groups { h2 { (t("Groups", "用户组")) } div.card {
        @match groups {
            Err(why) => (why),
            Ok(groups) => {
                @if groups.is_empty() { div.empty { h3 { (t("In no group", "不在任何用户组中")) } p { (t("A group’s policies hold for everybody in it.", "用户组的策略对组内所有人有效。")) } } }
                @else { ul.rows { @for (group, at) in groups { li {
                    div { a href=(super::groups::address(&group.name)) { (group.name) } p { (t("since ", "加入于 ")) (time(*at)) } }
                    span.end { (button(visit, &format!("{base}/leave"), &[("group", group.name.as_str())], "", t("Take out", "移出"))) }
                } } } }
                @let free: Vec<_> = offered.iter().filter(|o| !groups.iter().any(|(g, _)| g.id == o.id)).collect();
                @if !free.is_empty() { form #join.pad.acts method="post" action={ (base) "/join" } { (csrf(visit))
                    label.sr for="join-group" { (t("Group", "用户组")) }
                    select.in #join-group name="group" { @for g in &free { option value=(g.name) { (g.name) } } }
                    button.btn { (t("Put in", "加入")) }
                } }
            }
        }
    } } }
}

pub(super) async fn update(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let name = match parse(&p.signed.visit, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let Ok(new_name) = UserName::parse(p.field("name").trim()) else {
        return show(&p.signed, &name, &Said::wrong(&p, "edit", wrong_name(&p.signed.visit))).await;
    };
    let text = |field: &str| Some(p.field(field).trim().to_owned());
    let act = UpdateUser {
        new_name: (new_name != name).then_some(new_name),
        display_name: text("display_name"),
        comments: text("comments"),
        email: text("email"),
        mobile_phone: text("mobile_phone"),
        name: name.clone(),
    };
    match ask(&p.signed, act).await {
        Ok(user) => Redirect::to(&address(&user.name)).into_response(),
        Err(e) => match Said::failed(&p, "edit", &e) {
            Ok(said) => show(&p.signed, &name, &said).await,
            Err(page) => page,
        },
    }
}

pub(super) async fn join(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    move_in_groups(&name, &p, true).await
}

pub(super) async fn leave(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    move_in_groups(&name, &p, false).await
}

async fn move_in_groups(name: &str, p: &Posted<Tenant>, join: bool) -> Response {
    let (Ok(user), Ok(group)) = (UserName::parse(name_in(name)), GroupName::parse(p.field("group"))) else {
        return failure::missing(&p.signed.visit);
    };
    let done = if join {
        ask(&p.signed, AddUserToGroup { user: user.clone(), group }).await
    } else {
        ask(&p.signed, RemoveUserFromGroup { user: user.clone(), group }).await
    };
    back_to(p, &user, "join", "#groups", done).await
}

/// The user's page again: elsewhere on it, or with what went wrong.
pub(super) async fn back_to<T>(
    p: &Posted<Tenant>,
    user: &UserName,
    which: &'static str,
    place: &str,
    done: Result<T, Failure>,
) -> Response {
    match done {
        Ok(_) => Redirect::to(&format!("{}{place}", address(user))).into_response(),
        Err(e) => match Said::failed(p, which, &e) {
            Ok(said) => show(&p.signed, user, &said).await,
            Err(page) => page,
        },
    }
}

pub(super) async fn attach(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    change_policies(&name, &p, true).await
}

pub(super) async fn detach(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    change_policies(&name, &p, false).await
}

async fn change_policies(name: &str, p: &Posted<Tenant>, put: bool) -> Response {
    let user = match parse(&p.signed.visit, name) {
        Ok(user) => user,
        Err(page) => return page,
    };
    match policies::change(p, Entity::User(user.clone()), put).await {
        Ok(()) => Redirect::to(&format!("{}#policies", address(&user))).into_response(),
        Err(Ok(said)) => show(&p.signed, &user, &said).await,
        Err(Err(page)) => page,
    }
}

pub(super) async fn confirm_delete(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let user = match parse(&s.visit, &name) {
        Ok(user) => user,
        Err(page) => return page,
    };
    let user = match ask(&s, GetUser { name: user }).await {
        Ok(user) => user,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let base = address(&user.name);
    let title = format!("{} {}", t("Delete user", "删除用户"), user.name);
    Confirm {
        here: Tab::Users,
        title: &title,
        text: t(
            "The user, his console password and his sessions are gone for good. He must have no AccessKey, group, policy or MFA device any more. What he did stays in the trail.",
            "该用户及其控制台口令、会话将永久删除。在此之前须移除其 AccessKey、用户组、策略与 MFA 设备。其操作仍保留在审计日志中。",
        ),
        more: html! {},
        to: &format!("{base}/delete"),
        back: &base,
        button: t("Delete the user", "删除用户"),
    }
    .show(&s, true)
    .await
}

pub(super) async fn delete(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let user = match parse(&p.signed.visit, &name) {
        Ok(user) => user,
        Err(page) => return page,
    };
    if let Err(e) = fresh(&p.signed).await {
        return failure::page(&p.signed.visit, &e);
    }
    match ask(&p.signed, DeleteUser { name: user.clone() }).await {
        Ok(_) => Redirect::to("/console/access/users").into_response(),
        Err(e) => match Said::failed(&p, "delete", &e) {
            Ok(said) if said.status != StatusCode::NOT_FOUND => show(&p.signed, &user, &said).await,
            Ok(_) => failure::missing(&p.signed.visit),
            Err(page) => page,
        },
    }
}
