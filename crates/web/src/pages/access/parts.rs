//! What the pages of people and keys share: the frame with its tabs, forms that come back with what was typed, the page
//! before something is destroyed.

use std::collections::HashMap;

use axum::response::Response;
use bailee_rooms::Failure;
use bailee_rooms::identity::Act;
use http::StatusCode;
use maud::{Markup, html};

use super::super::frame::{Here, csrf, icon, inside};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::super::{failure, said};

/// Which of the pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Users,
    Groups,
    Roles,
    Policies,
    Keys,
    Providers,
    Why,
    WhoCan,
    Settings,
}

/// A page with the tabs above it.
pub(super) fn page(visit: &Visit, status: StatusCode, title: &str, here: Tab, main: &Markup) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let tab = |to: &'static str, tab: Tab, text: &'static str| {
        html! { a href=(to) aria-current=[(tab == here).then_some("page")] { (text) } }
    };
    let main = html! {
        nav.tabs aria-label=(t("People and keys", "人员与密钥")) {
            (tab("/console/access", Tab::Overview, t("Overview", "概览")))
            (tab("/console/access/users", Tab::Users, t("Users", "用户")))
            (tab("/console/access/groups", Tab::Groups, t("Groups", "用户组")))
            (tab("/console/access/roles", Tab::Roles, t("Roles", "角色")))
            (tab("/console/access/policies", Tab::Policies, t("Policies", "策略")))
            (tab("/console/access/keys", Tab::Keys, "AccessKeys"))
            (tab("/console/access/providers", Tab::Providers, t("Providers", "身份提供商")))
            (tab("/console/access/why", Tab::Why, t("Why", "为什么")))
            (tab("/console/access/who-can", Tab::WhoCan, t("Who can", "谁可以")))
            (tab("/console/access/settings", Tab::Settings, t("Settings", "设置")))
        }
        (main)
    };
    inside(visit, status, title, Some(Here::Access), &main)
}

/// An act of the signed-in caller on his tenant, through the gate.
pub(super) async fn ask<A: Act>(s: &Signed<Tenant>, act: A) -> Result<A::Output, Failure> {
    s.visit.site.house.perform(s.caller.clone(), act.of(&s.who.id)).await
}

/// A part of a page, or the sentence that says why it is not shown. What is our own fault takes the whole page.
pub(super) fn part<T>(visit: &Visit, result: Result<T, Failure>) -> Result<Result<T, Markup>, Response> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Refused(r)) => {
            Ok(Err(html! { p.pad.hint { (icon("no")) " " (failure::refusal(visit.lang, &r)) } }))
        }
        Err(e) => Err(failure::page(visit, &e)),
    }
}

/// Refuses unless the caller just showed his second factor; who has none bound is not asked.
pub(super) async fn fresh(s: &Signed<Tenant>) -> Result<(), Failure> {
    let house = &s.visit.site.house;
    let factors = match house.own_factors(&s.caller).await {
        Ok(factors) => factors,
        // A role's session is no person's: the factor was asked for where the role was taken on.
        Err(Failure::Conflict(_)) => return Ok(()),
        Err(e) => return Err(e),
    };
    if factors.totp_since.is_some() || !factors.passkeys.is_empty() {
        s.caller.need_fresh_mfa(house.now())?;
    }
    Ok(())
}

/// What a page says beside its content: nothing, or why a form was not accepted, with what was typed in it.
pub(super) struct Said {
    pub(super) status: StatusCode,
    which: &'static str,
    text: String,
    /// Of a policy: the text with the line and the caret.
    shown: String,
    form: HashMap<String, String>,
}

impl Said {
    pub(super) fn nothing() -> Self {
        Self {
            status: StatusCode::OK,
            which: "",
            text: String::new(),
            shown: String::new(),
            form: HashMap::new(),
        }
    }

    /// Why the form `which` was not accepted.
    pub(super) fn wrong(p: &Posted<Tenant>, which: &'static str, text: &str) -> Self {
        let mut form = p.form.clone();
        // What is secret does not travel back.
        form.retain(|name, _| !name.starts_with("password"));
        Self { status: StatusCode::BAD_REQUEST, which, text: text.to_owned(), form, ..Self::nothing() }
    }

    /// A policy's document that was not accepted.
    pub(super) fn document(p: &Posted<Tenant>, which: &'static str, shown: String) -> Self {
        let text = p
            .signed
            .visit
            .lang
            .t("The document was not accepted. Nothing was stored.", "策略文档未被接受，没有存储任何内容。");
        Self { shown, ..Self::wrong(p, which, text) }
    }

    /// The same for a failure that can be mended in the form; another one has a page of its own.
    pub(super) fn failed(p: &Posted<Tenant>, which: &'static str, e: &Failure) -> Result<Self, Response> {
        let status = match e {
            Failure::Invalid { .. } | Failure::Limit { .. } => StatusCode::BAD_REQUEST,
            Failure::Exists { .. } | Failure::InUse { .. } | Failure::Conflict(_) => StatusCode::CONFLICT,
            // If the page's own thing is what is missing, showing the page says so.
            Failure::NotFound { .. } => StatusCode::NOT_FOUND,
            _ => return Err(failure::page(&p.signed.visit, e)),
        };
        Ok(Self { status, ..Self::wrong(p, which, &said::text(p.signed.visit.lang, e)) })
    }

    /// What stands in a field: what was typed, or else what is stored.
    pub(super) fn typed<'a>(&'a self, which: &str, field: &str, stored: &'a str) -> &'a str {
        if self.which == which { self.form.get(field).map_or("", String::as_str) } else { stored }
    }

    /// The same for a box.
    pub(super) fn ticked(&self, which: &str, field: &str, stored: bool) -> bool {
        if self.which == which { self.form.contains_key(field) } else { stored }
    }

    /// Whether it is about this form, which then stays open.
    pub(super) fn is(&self, which: &str) -> bool {
        self.which == which
    }

    pub(super) fn notice(&self) -> Markup {
        html! {
            @if !self.text.is_empty() {
                div.notice.bad role="alert" { (icon("no")) div {
                    p #failure { (self.text) }
                    @if !self.shown.is_empty() { pre.err #policy-error { (self.shown) } }
                } }
            }
        }
    }
}

/// One line of a form.
pub(super) struct Field<'a> {
    /// The form's short name: ids are unique on a page.
    pub(super) form: &'a str,
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) value: &'a str,
    pub(super) max: u32,
    pub(super) hint: &'a str,
    pub(super) required: bool,
    pub(super) kind: &'a str,
}

impl Default for Field<'_> {
    fn default() -> Self {
        Self { form: "", name: "", label: "", value: "", max: 128, hint: "", required: false, kind: "text" }
    }
}

impl Field<'_> {
    pub(super) fn show(&self) -> Markup {
        let id = format!("{}-{}", self.form, self.name);
        let hint = (!self.hint.is_empty()).then(|| format!("{id}-hint"));
        let autocomplete = if self.kind == "password" { "new-password" } else { "off" };
        html! { div.field {
            label for=(id) { (self.label) }
            input.in id=(id) name=(self.name) type=(self.kind) value=(self.value) maxlength=(self.max) required[self.required]
                autocomplete=(autocomplete) aria-describedby=[hint.as_deref()];
            @if let Some(hint) = &hint { p.hint id=(hint) { (self.hint) } }
        } }
    }
}

/// A box to tick.
pub(super) fn tick(name: &str, label: &str, on: bool) -> Markup {
    html! { label.pick { input type="checkbox" name=(name) value="on" checked[on]; span { (label) } } }
}

/// The page before something is destroyed.
pub(super) struct Confirm<'a> {
    pub(super) here: Tab,
    pub(super) title: &'a str,
    /// What goes, and whether it comes back.
    pub(super) text: &'a str,
    pub(super) more: Markup,
    /// Where the form goes; the page has the same address.
    pub(super) to: &'a str,
    pub(super) back: &'a str,
    pub(super) button: &'a str,
}

impl Confirm<'_> {
    /// `is_sensitive` acts want the second factor first, when there is one.
    pub(super) async fn show(self, s: &Signed<Tenant>, is_sensitive: bool) -> Response {
        let t = |en, zh| s.visit.lang.t(en, zh);
        let stale = match if is_sensitive { fresh(s).await } else { Ok(()) } {
            Ok(()) => false,
            Err(Failure::FreshMfa) => true,
            Err(e) => return failure::page(&s.visit, &e),
        };
        let main = html! {
            div.title { div { h1 { (self.title) } } }
            form #confirm.card method="post" action=(self.to) { (csrf(&s.visit))
                div.pad.stack {
                    p { (self.text) }
                    (self.more)
                    @if stale { (show_factor(&s.visit)) }
                    div.acts {
                        @if !stale { button.btn.stop { (self.button) } }
                        a.btn href=(self.back) { (t("Leave it as it is", "保持不变")) }
                    }
                }
            }
        };
        page(&s.visit, StatusCode::OK, self.title, self.here, &main)
    }
}

/// Where to show the second factor.
pub(super) fn show_factor(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        div.notice.warn { (icon("lock")) div {
            p { (t("This needs your second factor, shown within the last five minutes.", "此操作需要您在五分钟内出示过第二因素。")) }
            p { a #fresh-mfa href="/security" { (t("Show it, then come back here", "前往出示，然后回到此页")) } }
        } }
    }
}

/// A name as a part of an address. `.` and `..` are names too, but a browser would walk with them.
pub(super) fn seg(name: &str) -> String {
    if name == "." || name == ".." { format!("!{name}") } else { name.to_owned() }
}

/// The name in a part of an address.
pub(super) fn name_in(seg: &str) -> &str {
    seg.strip_prefix('!').unwrap_or(seg)
}

/// A form of one button.
pub(super) fn button(visit: &Visit, to: &str, hidden: &[(&str, &str)], class: &str, text: &str) -> Markup {
    html! {
        form method="post" action=(to) { (csrf(visit))
            @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
            button class={ "btn slim " (class) } { (text) }
        }
    }
}

/// What a browser sent of a text with several lines.
pub(super) fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}
