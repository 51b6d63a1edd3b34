//! Groups: policies that several users share.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::identity::{
    AddUserToGroup, CreateGroup, DeleteGroup, Entity, GetGroup, Group, ListGroups, ListUsersForGroup, Member,
    Page, Paging, RemoveUserFromGroup, UpdateGroup,
};
use bailee_types::{GroupName, UserName};
use http::StatusCode;
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, enc, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::attach as policies;
use super::parts::{Confirm, Field, Said, Tab, ask, button, name_in, page, part, seg};
use super::users::{self, wrong_name};

const PER_PAGE: u32 = 50;

/// `/console/access/groups/readers`.
pub(super) fn address(name: &GroupName) -> String {
    format!("/console/access/groups/{}", seg(name.as_str()))
}

fn parse(visit: &Visit, name: &str) -> Result<GroupName, Response> {
    GroupName::parse(name_in(name)).map_err(|_| failure::missing(visit))
}

pub(super) async fn list(s: Signed<Tenant>, Query(q): Query<HashMap<String, String>>) -> Response {
    show_list(&s, &q, &Said::nothing()).await
}

async fn show_list(s: &Signed<Tenant>, q: &HashMap<String, String>, said: &Said) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let paging = Paging { marker: q.get("after").cloned(), items_max: PER_PAGE };
    let groups = match ask(s, ListGroups { page: paging }).await {
        Ok(groups) => groups,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        div.title { div { h1 { (t("Groups", "用户组")) } p { (t("Put policies on groups and users into them: then one look tells what a kind of work may do.", "将策略添加到用户组，再将用户加入：这样一眼就能看出某类工作可以做什么。")) } } a.btn href="#create-group" { (t("New group", "新建用户组")) } }
        (said.notice())
        div.card {
            @if groups.items.is_empty() { div.empty { h3 { (t("No group", "没有用户组")) } p { (t("Policies can also stand on users, one by one.", "策略也可以逐个添加到用户。")) } } }
            @else { table.tbl #groups { thead { tr { th { (t("Name", "名称")) } th { (t("Comments", "备注")) } th { (t("Created", "创建时间")) } } } tbody {
                @for g in &groups.items { tr {
                    th scope="row" { a href=(address(&g.name)) { (g.name) } span.sub { (g.display_name) } }
                    td data-l=(t("Comments", "备注")) { (g.comments) }
                    td data-l=(t("Created", "创建时间")) { (time(g.created_at)) }
                } }
            } } }
            @if let Some(next) = &groups.marker { p.pad { a #next href={ "/console/access/groups?after=" (enc(next)) } { (t("Next page", "下一页")) } } }
        }
        section { h2 { (t("New group", "新建用户组")) }
            form #create-group.card method="post" action="/console/access/groups" { div.pad.stack { (csrf(&s.visit))
                div { (fields(&s.visit, "create", said, None)) }
                p { button.btn.main-act { (t("Create the group", "创建用户组")) } }
            } }
        }
    };
    page(&s.visit, said.status, t("Groups", "用户组"), Tab::Groups, &main)
}

fn fields(visit: &Visit, form: &'static str, said: &Said, group: Option<&Group>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let line = |name: &'static str, label: &'static str, stored: &str, max: u32| {
        let value = said.typed(form, name, stored);
        Field { form, name, label, value, max, required: name == "name", ..Field::default() }.show()
    };
    html! {
        (line("name", t("Name", "名称"), group.map_or("", |g| g.name.as_str()), 64))
        (line("display_name", t("Display name", "显示名称"), group.map_or("", |g| &g.display_name), 128))
        (line("comments", t("Comments", "备注"), group.map_or("", |g| &g.comments), 128))
    }
}

pub(super) async fn create(p: Posted<Tenant>) -> Response {
    let said = match GroupName::parse(p.field("name").trim()) {
        Err(_) => Said::wrong(&p, "create", wrong_name(&p.signed.visit)),
        Ok(name) => {
            let text = |field: &str| p.field(field).trim().to_owned();
            let act = CreateGroup { name, display_name: text("display_name"), comments: text("comments") };
            match ask(&p.signed, act).await {
                Ok(group) => return Redirect::to(&address(&group.name)).into_response(),
                Err(e) => match Said::failed(&p, "create", &e) {
                    Ok(said) => said,
                    Err(page) => return page,
                },
            }
        }
    };
    show_list(&p.signed, &HashMap::new(), &said).await
}

pub(super) async fn one(
    s: Signed<Tenant>,
    Path(name): Path<String>,
    Query(q): Query<HashMap<String, String>>,
) -> Response {
    match parse(&s.visit, &name) {
        Ok(name) => show(&s, &name, q.get("after").cloned(), &Said::nothing()).await,
        Err(page) => page,
    }
}

async fn show(s: &Signed<Tenant>, name: &GroupName, after: Option<String>, said: &Said) -> Response {
    match build(s, name, after, said).await {
        Ok(page) | Err(page) => page,
    }
}

async fn build(
    s: &Signed<Tenant>,
    name: &GroupName,
    after: Option<String>,
    said: &Said,
) -> Result<Response, Response> {
    let visit = &s.visit;
    let t = |en, zh| visit.lang.t(en, zh);
    let g = ask(s, GetGroup { name: name.clone() }).await.map_err(|e| failure::page(visit, &e))?;
    let paging = Paging { marker: after, items_max: PER_PAGE };
    let members = part(visit, ask(s, ListUsersForGroup { group: name.clone(), page: paging }).await)?;
    let attached = policies::load(s, Entity::Group(name.clone())).await?;
    let base = address(name);
    let main = html! {
        p.crumb { a href="/console/access/groups" { (t("Groups", "用户组")) } " / " (g.name) }
        div.title { div { h1 { (g.name) } p { (g.display_name) } } div.acts { a.btn.stop #to-delete href={ (base) "/delete" } { (t("Delete", "删除")) } } }
        (said.notice())
        div.card {
            dl.facts.pad {
                dt { (t("Group id", "用户组 ID")) } dd.mono { (g.id) }
                dt { (t("Created", "创建时间")) } dd { (time(g.created_at)) }
                @if !g.comments.is_empty() { dt { (t("Comments", "备注")) } dd { (g.comments) } }
            }
            div.note { details open[said.is("edit")] { summary #edit-open { (t("Change", "修改")) }
                form #edit-group method="post" action=(base) { (csrf(visit)) (fields(visit, "edit", said, Some(&g))) p.acts { button.btn.main-act { (t("Store", "保存")) } } }
            } }
        }
        section #members { h2 { (t("Who is in it", "成员")) } div.card {
            @match &members { Err(why) => (why), Ok(members) => (member_list(visit, &base, members)) }
            form #add-member.pad.acts method="post" action={ (base) "/add" } { (csrf(visit))
                label.sr for="member-user" { (t("User name", "用户名")) }
                input.in #member-user name="user" required maxlength="64" placeholder=(t("User name", "用户名")) value=(said.typed("member", "user", "")) autocomplete="off";
                button.btn { (t("Put in", "加入")) }
            }
        } }
        (policies::section(visit, &base, &attached))
    };
    Ok(page(visit, said.status, g.name.as_str(), Tab::Groups, &main))
}

fn member_list(visit: &Visit, base: &str, members: &Page<Member>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        @if members.items.is_empty() { div.empty { h3 { (t("Nobody is in it", "没有成员")) } p { (t("Its policies hold for nobody yet.", "其策略目前对任何人都不生效。")) } } }
        @else { ul.rows { @for m in &members.items { li {
            div { a href=(users::address(&m.name)) { (m.name) } " " (m.display_name) p { (t("since ", "加入于 ")) (time(m.joined_at)) } }
            span.end { (button(visit, &format!("{base}/remove"), &[("user", m.name.as_str())], "", t("Take out", "移出"))) }
        } } } }
        @if let Some(next) = &members.marker { p.pad { a href={ (base) "?after=" (enc(next)) "#members" } { (t("Next page", "下一页")) } } }
    }
}

pub(super) async fn update(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let name = match parse(&p.signed.visit, &name) {
        Ok(name) => name,
        Err(page) => return page,
    };
    let Ok(new_name) = GroupName::parse(p.field("name").trim()) else {
        let said = Said::wrong(&p, "edit", wrong_name(&p.signed.visit));
        return show(&p.signed, &name, None, &said).await;
    };
    let text = |field: &str| Some(p.field(field).trim().to_owned());
    let act = UpdateGroup {
        new_name: (new_name != name).then_some(new_name),
        display_name: text("display_name"),
        comments: text("comments"),
        name: name.clone(),
    };
    match ask(&p.signed, act).await {
        Ok(group) => Redirect::to(&address(&group.name)).into_response(),
        Err(e) => again(&p, &name, "edit", &e).await,
    }
}

async fn again(
    p: &Posted<Tenant>,
    name: &GroupName,
    which: &'static str,
    e: &bailee_rooms::Failure,
) -> Response {
    match Said::failed(p, which, e) {
        Ok(said) => show(&p.signed, name, None, &said).await,
        Err(page) => page,
    }
}

pub(super) async fn add(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    change_members(&name, &p, true).await
}

pub(super) async fn remove(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    change_members(&name, &p, false).await
}

async fn change_members(name: &str, p: &Posted<Tenant>, put: bool) -> Response {
    let group = match parse(&p.signed.visit, name) {
        Ok(group) => group,
        Err(page) => return page,
    };
    let Ok(user) = UserName::parse(p.field("user").trim()) else {
        return show(&p.signed, &group, None, &Said::wrong(p, "member", wrong_name(&p.signed.visit))).await;
    };
    let done = if put {
        ask(&p.signed, AddUserToGroup { user, group: group.clone() }).await
    } else {
        ask(&p.signed, RemoveUserFromGroup { user, group: group.clone() }).await
    };
    match done {
        Ok(()) => Redirect::to(&format!("{}#members", address(&group))).into_response(),
        Err(e) => again(p, &group, "member", &e).await,
    }
}

pub(super) async fn attach(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    change_policies(&name, &p, true).await
}

pub(super) async fn detach(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    change_policies(&name, &p, false).await
}

async fn change_policies(name: &str, p: &Posted<Tenant>, put: bool) -> Response {
    let group = match parse(&p.signed.visit, name) {
        Ok(group) => group,
        Err(page) => return page,
    };
    match policies::change(p, Entity::Group(group.clone()), put).await {
        Ok(()) => Redirect::to(&format!("{}#policies", address(&group))).into_response(),
        Err(Ok(said)) => show(&p.signed, &group, None, &said).await,
        Err(Err(page)) => page,
    }
}

pub(super) async fn confirm_delete(s: Signed<Tenant>, Path(name): Path<String>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let group = match parse(&s.visit, &name) {
        Ok(group) => group,
        Err(page) => return page,
    };
    if let Err(e) = ask(&s, GetGroup { name: group.clone() }).await {
        return failure::page(&s.visit, &e);
    }
    let base = address(&group);
    Confirm {
        here: Tab::Groups,
        title: &format!("{} {group}", t("Delete group", "删除用户组")),
        text: t(
            "The group is gone for good. It must have no member and no policy any more.",
            "该用户组将永久删除。在此之前须移除其成员与策略。",
        ),
        more: html! {},
        to: &format!("{base}/delete"),
        back: &base,
        button: t("Delete the group", "删除用户组"),
    }
    .show(&s, false)
    .await
}

pub(super) async fn delete(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    let group = match parse(&p.signed.visit, &name) {
        Ok(group) => group,
        Err(page) => return page,
    };
    match ask(&p.signed, DeleteGroup { name: group.clone() }).await {
        Ok(()) => Redirect::to("/console/access/groups").into_response(),
        Err(e) => match Said::failed(&p, "delete", &e) {
            Ok(said) if said.status == StatusCode::NOT_FOUND => failure::missing(&p.signed.visit),
            Ok(said) => show(&p.signed, &group, None, &said).await,
            Err(page) => page,
        },
    }
}
