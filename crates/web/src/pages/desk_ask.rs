//! An operator asks for consent: what will be possible is said in a sentence before it is sent. Another one confirms.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::consent::{
    Because, Code, CommentRequest, ConfirmRequest, Request, RequestConsent, Scope, State, WithdrawRequest,
};
use bailee_rooms::gate::{Caller, Principal};
use bailee_rooms::tickets::Ticket;
use bailee_types::{BucketName, GrantId, ObjectKey, TenantId};
use http::StatusCode;
use maud::{Markup, html};

use super::consent::{chip, code_said, comments, said, sentence, within};
use super::desk::{open_ticket, use_it};
use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Lang, Operator, Posted, Signed, Visit};

/// The fields of the form, as they were typed.
type Fields = HashMap<String, String>;

fn field<'a>(fields: &'a Fields, name: &str, none: &'a str) -> &'a str {
    fields.get(name).map_or(none, String::as_str)
}

/// The form, empty, about an object that was refused, or as an earlier request that it follows.
pub(super) async fn form(s: Signed<Operator>, Path(id): Path<String>, Query(q): Query<Fields>) -> Response {
    let ticket = match open_ticket(&s, &id).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let mut fields = q;
    if let Some(renews) = fields.get("renews") {
        let Ok(old) = GrantId::parse(renews) else { return failure::missing(&s.visit) };
        match s.visit.site.house.consent_request(&ticket.tenant, &old).await {
            Ok(r) if r.operator == s.who.id => fields = again(&r),
            Ok(_) => return failure::missing(&s.visit),
            Err(e) => return failure::page(&s.visit, &e),
        }
    }
    page(&s, &ticket, &fields, &html! {})
}

/// The fields of a request that is asked again.
fn again(r: &Request) -> Fields {
    let mut fields = Fields::from([
        ("renews".to_owned(), r.id.to_string()),
        ("minutes".to_owned(), r.minutes.to_string()),
        ("uses".to_owned(), r.uses_max_asked.to_string()),
        ("code".to_owned(), r.code.word().to_owned()),
        ("reference".to_owned(), r.reference.clone()),
        ("reason".to_owned(), r.reason.clone()),
    ]);
    let (covers, bucket, name) = match &r.scope_asked {
        Scope::Object { bucket, key } => ("object", bucket.to_string(), key.to_string()),
        Scope::Prefix { bucket, prefix } => ("prefix", bucket.to_string(), prefix.clone()),
        Scope::Target { .. } => return fields,
    };
    fields.extend([
        ("covers".to_owned(), covers.to_owned()),
        ("bucket".to_owned(), bucket),
        ("name".to_owned(), name),
    ]);
    fields
}

/// What the form asks for, or what is wrong with it.
fn asked(lang: Lang, ticket: &Ticket, fields: &Fields) -> Result<RequestConsent, &'static str> {
    let of = |name| field(fields, name, "");
    let number = |name| of(name).trim().parse::<u32>();
    // The form of a refused read calls the object's name its key.
    let name = if of("name").is_empty() { of("key") } else { of("name") };
    let bucket = BucketName::parse(of("bucket").trim());
    let scope = match (of("covers"), bucket, ObjectKey::parse(name)) {
        ("prefix", Ok(bucket), _) => Scope::Prefix { bucket, prefix: name.to_owned() },
        (_, Ok(bucket), Ok(key)) => Scope::object(bucket, key),
        _ => return Err(lang.t("Bucket and object must be given.", "必须给出存储桶与对象。")),
    };
    let (Ok(minutes), Ok(uses_max)) = (number("minutes"), number("uses")) else {
        return Err(lang.t("Minutes and reads must be whole numbers.", "分钟与次数必须是整数。"));
    };
    let code = match of("code") {
        "" => Code::default(),
        word => Code::parse(word).ok_or(lang.t("There is no such code.", "没有此原因代码。"))?,
    };
    let renews = match of("renews") {
        "" => None,
        id => Some(GrantId::parse(id).map_err(|_| lang.t("That is no request.", "这不是请求编号。"))?),
    };
    Ok(RequestConsent {
        tenant: ticket.tenant.clone(),
        ticket: ticket.id.clone(),
        scope,
        minutes,
        uses_max,
        reason: of("reason").to_owned(),
        because: Because { code, reference: of("reference").to_owned(), renews },
    })
}

/// Shows what it would allow, or sends it.
pub(super) async fn ask(Path(id): Path<String>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let ticket = match open_ticket(s, &id).await {
        Ok(ticket) => ticket,
        Err(response) => return response,
    };
    let op = match asked(s.visit.lang, &ticket, &p.form) {
        Ok(op) => op,
        Err(text) => return failure::invalid(&s.visit, text),
    };
    if p.field("step") == "preview" {
        let t = |en, zh| s.visit.lang.t(en, zh);
        let who = html! { (s.who.id) };
        let sentence =
            said(s.visit.lang, &who, &s.who.place, &op.scope, op.uses_max, &within(s.visit.lang, op.minutes));
        let preview = html! { div.notice role="status" { div {
            p #preview { (sentence) }
            p.hint { (t("The tenant sees your number in place of your name, may approve less, and reads: ", "租户看到的是您的编号而非姓名，可以只批准一部分，并会看到：")) (code_said(s.visit.lang, op.because.code)) @if !op.because.reference.is_empty() { " · " (op.because.reference) } " · " (op.reason) }
        } } };
        return page(s, &ticket, &p.form, &preview);
    }
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(_) => Redirect::to("/desk#requests").into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn page(s: &Signed<Operator>, ticket: &Ticket, fields: &Fields, preview: &Markup) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let of = |name, none| field(fields, name, none);
    let title = t("Ask for consent", "请求同意");
    let covers = of("covers", "object");
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " a href={ "/desk/tickets/" (ticket.id) } { (ticket.id) } " / " (title) }
        div.title { div { h1 { (title) } p { (ticket.id) " · " (ticket.alias) } } }
        (preview)
        form #ask.card method="post" action={ "/desk/tickets/" (ticket.id) "/ask" } { div.pad.stack {
            p.hint { (t("As little as the work needs. It opens nothing until the tenant approves it, or less of it.", "仅限工作所需。在租户批准全部或部分之前，不会打开任何内容。")) }
            (csrf(&s.visit))
            @if !of("renews", "").is_empty() { input type="hidden" name="renews" value=(of("renews", "")); p { (t("Follows ", "续接 ")) code { (of("renews", "")) } } }
            div.field { label for="covers" { (t("What", "范围")) } select.in #covers name="covers" {
                option value="object" selected[covers == "object"] { (t("One object", "一个对象")) }
                option value="prefix" selected[covers == "prefix"] { (t("All objects whose name begins so", "名称以此开头的所有对象")) }
            } }
            div.field { label for="bucket" { (t("Bucket", "存储桶")) } input.in #bucket name="bucket" value=(of("bucket", "")) maxlength="63" required; }
            div.field { label for="name" { (t("Object, or the beginning of names", "对象名，或名称的开头")) } input.in #name name="name" value=(of("name", of("key", ""))) maxlength="1023"; }
            div.field { label for="minutes" { (t("Minutes", "分钟")) } input.in #minutes name="minutes" type="number" min="1" max="1440" value=(of("minutes", "30")) required; }
            div.field { label for="uses" { (t("Reads at most", "最多读取次数")) } input.in #uses name="uses" type="number" min="1" max="1000" value=(of("uses", "3")) required; }
            div.field { label for="code" { (t("Code", "原因代码")) } select.in #code name="code" { @for code in Code::ALL { option value=(code.word()) selected[of("code", "") == code.word()] { (code_said(s.visit.lang, code)) } } } }
            div.field { label for="reference" { (t("Reference (a legal request must have one)", "编号（法律要求必须填写）")) } input.in #reference name="reference" value=(of("reference", "")) maxlength="200"; }
            div.field { label for="reason" { (t("Why, for the tenant", "原因（租户可见）")) } input.in #reason name="reason" value=(of("reason", "")) minlength="5" maxlength="1000" required; }
            p { button.btn name="step" value="preview" { (t("Show what it would allow", "预览将允许的操作")) } " " button.btn.main-act { (t("Ask the tenant", "向租户请求")) } }
        } }
    };
    inside(&s.visit, StatusCode::OK, title, Some(Here::Desk), &main)
}

fn confirms(caller: &Caller) -> bool {
    matches!(caller.principal(), Principal::Operator { roles, .. } if roles.iter().any(|r| r == "approver"))
}

/// The button by which an operator takes a request back, or gives a grant back.
pub(super) fn take_back(visit: &Visit, r: &Request, text: &str) -> Markup {
    html! { form method="post" action={ "/desk/requests/" (r.tenant) "/" (r.id) "/withdraw" } { (csrf(visit)) button.btn.slim { (text) } } }
}

/// What waits for this operator as the second pair of eyes.
pub(super) async fn to_confirm(s: &Signed<Operator>) -> Result<Markup, Failure> {
    if !confirms(&s.caller) {
        return Ok(html! {});
    }
    let t = |en, zh| s.visit.lang.t(en, zh);
    let all = s.visit.site.house.requests_to_confirm(&s.who.id, 100).await?;
    Ok(
        html! { div.card #to-confirm { div.head { h2 { (t("Requests for a second pair of eyes", "等待复核的请求")) } }
            @if all.is_empty() { div.empty { p { (t("None waits.", "没有等待的请求。")) } } }
            @else { ul.rows { @for r in &all { li { div {
                strong { a href={ "/desk/requests/" (r.tenant) "/" (r.id) } { (r.id) } } " · " (r.ticket) " · " (r.operator)
                p { (sentence(s.visit.lang, r)) }
            } } } } }
        } },
    )
}

/// A request as the provider's people see it: who asked, and whoever confirms.
async fn request(s: &Signed<Operator>, tenant: &str, id: &str) -> Result<Request, Response> {
    let (Ok(tenant), Ok(id)) = (TenantId::parse(tenant), GrantId::parse(id)) else {
        return Err(failure::missing(&s.visit));
    };
    match s.visit.site.house.consent_request(&tenant, &id).await {
        Ok(r) if r.operator == s.who.id || confirms(&s.caller) => Ok(r),
        Ok(_) => Err(failure::missing(&s.visit)),
        Err(e) => Err(failure::page(&s.visit, &e)),
    }
}

pub(super) async fn one(s: Signed<Operator>, Path((tenant, id)): Path<(String, String)>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let r = match request(&s, &tenant, &id).await {
        Ok(r) => r,
        Err(response) => return response,
    };
    let (now, own) = (s.visit.site.house.now(), r.operator == s.who.id);
    let title = format!("{} {}", t("Request", "请求"), r.id);
    let base = format!("/desk/requests/{}/{}", r.tenant, r.id);
    let main = html! {
        p.crumb { a href="/desk" { (t("Desk", "工作台")) } " / " (r.id) }
        div.title { div { h1 { (title) } p { (chip(s.visit.lang, &r, now)) " " (r.ticket) } } }
        div.stack {
            div.card.pad { p.ask { (sentence(s.visit.lang, &r)) }
                dl.facts {
                    dt { (t("Asked by", "请求人")) } dd { (r.operator) " " (time(r.asked_at)) }
                    dt { (t("Why", "原因")) } dd { (code_said(s.visit.lang, r.code)) @if !r.reference.is_empty() { " · " (r.reference) } br; (r.reason) }
                    @if let Some(c) = &r.confirmed { dt { (t("Second pair of eyes", "平台复核")) } dd { (c.pseudonym) " " (time(c.at)) } }
                    @if let Some(old) = &r.renews { dt { (t("Follows", "续接请求")) } dd { (old) } }
                }
                @if own { @match r.state(now) {
                    State::Confirming | State::Pending => (take_back(&s.visit, &r, t("Withdraw", "撤回"))),
                    State::Live => { (use_it(&s.visit, &r)) (take_back(&s.visit, &r, t("Give back", "交还"))) },
                    _ => {},
                } }
            }
            @if !own && r.state(now) == State::Confirming {
                form #confirm.card.pad method="post" action={ (base) "/confirm" } { (csrf(&s.visit))
                    h2 { (t("Is it needed, and is it as little as can be?", "是否必要，范围是否已最小？")) }
                    div.field { label for="why" { (t("Comment (needed for a no; the tenant reads it)", "评论（否决时必填；租户可见）")) } input.in #why name="comment" maxlength="1000"; }
                    button.btn.main-act name="answer" value="yes" { (t("Confirm: ask the tenant", "确认：提交租户")) } " "
                    button.btn.stop name="answer" value="no" { (t("Decline", "否决")) }
                }
            }
            (comments(&s.visit, &r, &format!("{base}/comment")))
        }
    };
    inside(&s.visit, StatusCode::OK, &title, Some(Here::Desk), &main)
}

/// Withdraws, gives back, confirms, declines, or comments.
pub(super) async fn act(
    Path((tenant, id, what)): Path<(String, String, String)>,
    p: Posted<Operator>,
) -> Response {
    let s = &p.signed;
    let (Ok(tenant), Ok(id)) = (TenantId::parse(&tenant), GrantId::parse(&id)) else {
        return failure::missing(&s.visit);
    };
    let (house, caller) = (&s.visit.site.house, s.caller.clone());
    let mut next = "/desk#requests".to_owned();
    let done = match what.as_str() {
        "withdraw" => house.perform(caller, WithdrawRequest { tenant, id }).await.map(drop),
        "confirm" => {
            let (yes, comment) = (p.field("answer") == "yes", p.field("comment").to_owned());
            next = "/desk#to-confirm".to_owned();
            house.perform(caller, ConfirmRequest { tenant, id, yes, comment }).await.map(drop)
        }
        "comment" => {
            if let Err(response) = request(s, tenant.as_str(), id.as_str()).await {
                return response;
            }
            next = format!("/desk/requests/{tenant}/{id}#comments");
            house.perform(caller, CommentRequest { tenant, id, text: p.field("comment").to_owned() }).await
        }
        _ => return failure::missing(&s.visit),
    };
    match done {
        Ok(()) => Redirect::to(&next).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
