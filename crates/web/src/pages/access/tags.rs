//! Tags of a user, a role or an own policy: the same part on each of their pages.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::identity::{ListTagResources, PolicyType, TagResources, TagRow, Tagged, UntagResources};
use bailee_types::{PolicyName, RoleName, UserName};
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::csrf;
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Field, Said, ask, button, name_in, part};
use super::{policies, roles, users};

pub(super) async fn load(s: &Signed<Tenant>, of: Tagged) -> Result<Result<Vec<TagRow>, Markup>, Response> {
    let kind = match of {
        Tagged::User(_) => "user",
        Tagged::Role(_) => "role",
        Tagged::Policy(_) => "policy",
    };
    part(
        &s.visit,
        ask(s, ListTagResources { kind, resources: vec![of], tags: Vec::new(), after: None, rows_max: 100 })
            .await,
    )
}

/// The section of a page; `base` is the page's address.
pub(super) fn section(visit: &Visit, base: &str, tags: &Result<Vec<TagRow>, Markup>, said: &Said) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let field = |name, label, required| {
        Field { form: "tag", name, label, value: said.typed("tag", name, ""), required, ..Field::default() }
            .show()
    };
    html! { section #tags { div.head { h2 { (t("Tags", "标签")) } p { (t("For finding it again; 20 at most.", "便于查找；最多 20 个。")) } } div.card {
        @match tags {
            Err(why) => (why),
            Ok(tags) => {
                @if tags.is_empty() { div.empty { h3 { (t("No tag", "没有标签")) } p { (t("A tag is a word and its value, such as team and billing.", "标签是一个键及其值，例如 team 与 billing。")) } } }
                @else { ul.rows { @for tag in tags { li {
                    div { b { (tag.key) } p { (tag.value) } }
                    span.end { (button(visit, &format!("{base}/tags/remove"), &[("key", tag.key.as_str())], "", t("Take off", "移除"))) }
                } } } }
                form #add-tag.pad method="post" action={ (base) "/tags" } { (csrf(visit))
                    (field("key", t("Key", "键"), true)) (field("value", t("Value", "值"), false))
                    p.acts { button.btn { (t("Store the tag", "保存标签")) } }
                }
            }
        }
    } } }
}

async fn change(p: &Posted<Tenant>, of: Tagged, put: bool) -> Result<(), Failure> {
    let (resources, key) = (vec![of], p.field("key").to_owned());
    if put {
        let tags = vec![(key.trim().to_owned(), p.field("value").trim().to_owned())];
        return ask(&p.signed, TagResources { resources, tags }).await;
    }
    ask(&p.signed, UntagResources { resources, keys: Some(vec![key]) }).await
}

async fn of_user(name: &str, p: &Posted<Tenant>, put: bool) -> Response {
    let Ok(user) = UserName::parse(name_in(name)) else { return failure::missing(&p.signed.visit) };
    let done = change(p, Tagged::User(user.clone()), put).await;
    users::back_to(p, &user, "tag", "#tags", done).await
}

pub(super) async fn add_to_user(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    of_user(&name, &p, true).await
}

pub(super) async fn take_off_user(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    of_user(&name, &p, false).await
}

async fn of_role(name: &str, p: &Posted<Tenant>, put: bool) -> Response {
    let Ok(role) = RoleName::parse(name_in(name)) else { return failure::missing(&p.signed.visit) };
    match change(p, Tagged::Role(role.clone()), put).await {
        Ok(()) => Redirect::to(&format!("{}#tags", roles::address(&role))).into_response(),
        Err(e) => roles::again(p, &role, "tag", &e).await,
    }
}

pub(super) async fn add_to_role(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    of_role(&name, &p, true).await
}

pub(super) async fn take_off_role(Path(name): Path<String>, p: Posted<Tenant>) -> Response {
    of_role(&name, &p, false).await
}

async fn of_policy(kind: &str, name: &str, p: &Posted<Tenant>, put: bool) -> Response {
    let ("custom", Ok(name)) = (kind, PolicyName::parse(name)) else {
        return failure::missing(&p.signed.visit);
    };
    let done = change(p, Tagged::Policy(name.clone()), put).await;
    policies::back(p, PolicyType::Custom, &name, "tag", done).await
}

pub(super) async fn add_to_policy(Path((kind, name)): Path<(String, String)>, p: Posted<Tenant>) -> Response {
    of_policy(&kind, &name, &p, true).await
}

pub(super) async fn take_off_policy(
    Path((kind, name)): Path<(String, String)>,
    p: Posted<Tenant>,
) -> Response {
    of_policy(&kind, &name, &p, false).await
}
