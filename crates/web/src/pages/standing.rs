//! Standing rights: above everything else in "who can touch my data", a form to set one, and what an operator sees of them.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::consent::{
    Code, Limits, ListStandingRights, RevokeStandingRight, Scope, SetStandingRight, StandingRight, Terms,
};
use bailee_rooms::tickets::Ticket;
use bailee_types::{BucketName, ObjectKey, Pseudonym, StandingId, TargetName};
use http::StatusCode;
use maud::{Markup, html};

use super::consent::{code_said, may, wants};
use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::places::lines;
use super::visit::{Lang, Operator, Posted, Signed, Tenant, Visit};

const HERE: &str = "/console/consent#standing";

/// The tenant's rights, for the top of the page; nothing for whom no policy lets see them.
pub(super) async fn section(s: &Signed<Tenant>) -> Result<Markup, Failure> {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let house = &s.visit.site.house;
    let list = ListStandingRights { tenant: s.who.id.clone() };
    let all = match house.perform(s.caller.clone(), list).await {
        Ok(all) => all,
        Err(Failure::Refused(_)) => return Ok(html! {}),
        Err(e) => return Err(e),
    };
    let now = house.now();
    let (live, over): (Vec<_>, Vec<_>) = all.iter().partition(|r| r.is_live(now));
    Ok(html! { section #standing {
        div.head { h2 { (t("Standing rights", "常设授权")) } a.more #set-standing href="/console/consent/standing" { (t("Set one", "设置")) } }
        div.card {
            @if live.is_empty() { div.empty { p { (t("None: each request waits for a decision of yours.", "无：每个请求都等待您决定。")) } } }
            @else { table.tbl { thead { tr { th { (t("What a request gets at once", "请求可立即获得")) } th { (t("For whom, and why", "何人、何因")) } th { (t("Ends", "结束")) } th { (t("Last 24 hours", "最近 24 小时")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for r in &live { tr id=(r.id) {
                    th scope="row" { (wants(s.visit.lang, &r.terms.scope)) " " code { (r.terms.scope) } span.sub { (r.id) " · " (r.set.0) " " (time(r.set.1)) @if !r.why.is_empty() { " · " (r.why) } } (limits(s.visit.lang, r)) }
                    td data-l=(t("For whom", "何人")) { (whom(s.visit.lang, r)) }
                    td data-l=(t("Ends", "结束")) { (time(r.terms.until)) }
                    td data-l=(t("Last 24 hours", "最近 24 小时")) { (r.day_uses) " / " (r.terms.day_uses_max) }
                    td.act { form method="post" action={ "/console/consent/standing/" (r.id) "/revoke" } { (csrf(&s.visit)) button.btn.slim.stop { (t("End it now", "立即终止")) } } }
                } }
            } } }
            @if !over.is_empty() { details.pad { summary { (t("Over", "已结束")) } ul.rows { @for r in &over { li { div { code { (r.terms.scope) } " " (r.id) @if let Some((by, at)) = &r.ended { " · " (t("ended by ", "终止人 ")) (by) " " (time(*at)) } @else { " · " (t("until ", "至 ")) (time(r.terms.until)) } } } } } } }
        }
    } })
}

/// What a grant of it is at most, and line by line what is allowed at a system.
fn limits(lang: Lang, r: &StandingRight) -> Markup {
    let t = &r.terms;
    html! {
        span.sub { @match lang {
            Lang::En => { "at most " (t.minutes) " minutes and " (t.uses_max) " uses a grant" },
            Lang::Zh => { "每次授权至多 " (t.minutes) " 分钟、" (t.uses_max) " 次" },
        } }
        @if let Scope::Target { .. } = &t.scope { ul { @for line in may(lang, &t.scope) { li { (line) } } } }
    }
}

fn whom(lang: Lang, r: &StandingRight) -> Markup {
    html! {
        @if r.terms.operators.is_empty() { (lang.t("Any operator on an open ticket", "持有打开工单的任何运维人员")) }
        @for who in &r.terms.operators { code { (who) } " " }
        @for code in &r.terms.codes { span.sub { (code_said(lang, *code)) } }
    }
}

/// What a standing right of the tenant's covers for this operator.
pub(super) async fn covered(s: &Signed<Operator>, ticket: &Ticket) -> Result<Markup, Failure> {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let all = s.visit.site.house.standing_for(&ticket.tenant, &s.who.id).await?;
    if all.is_empty() {
        return Ok(html! {});
    }
    Ok(html! { div.card #covered {
        div.head { h2 { (t("Covered by a standing right", "常设授权覆盖的范围")) } p { (t("A request wholly inside one of these is a grant at once. The tenant is told.", "完全在其范围内的请求立即成为授权，租户会收到通知。")) } }
        ul.rows { @for r in &all { li { div {
            strong { (wants(s.visit.lang, &r.terms.scope)) " " code { (r.terms.scope) } }
            p { (r.id) " · " (t("until ", "至 ")) (time(r.terms.until)) " · " (r.day_uses) " / " (r.terms.day_uses_max) (t(" uses in 24 hours", " 次（24 小时内）")) }
            (limits(s.visit.lang, r))
            @for code in &r.terms.codes { span.sub { (code_said(s.visit.lang, *code)) } }
        } } } }
    } })
}

pub(super) async fn form(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let title = t("Set a standing right", "设置常设授权");
    let number = |name: &str, label: &str, max: u32, value: u32| {
        html! { div.field { label for=(name) { (label) } input.in id=(name) name=(name) type="number" min="1" max=(max) value=(value) required; } }
    };
    let main = html! {
        p.crumb { a href="/console/consent" { (t("Who wants to touch my data", "谁想动我的数据")) } " / " (title) }
        div.title { div { h1 { (title) } p { (t("A request that lies wholly inside it is a grant at once, without a further decision of yours. You are told, and can end it at any moment.", "完全在其范围内的请求立即成为授权，无需您再次决定。您会收到通知，并可随时终止。")) } } }
        form #standing-form.card method="post" action="/console/consent/standing" { div.pad.stack { (csrf(&s.visit))
            div.field { label for="covers" { (t("What", "范围")) } select.in #covers name="covers" {
                option value="prefix" { (t("All objects whose name begins so", "名称以此开头的所有对象")) }
                option value="object" { (t("One object", "一个对象")) }
                option value="target" { (t("A system", "一个系统")) }
            } }
            div.field { label for="bucket" { (t("Bucket (of objects)", "存储桶（对象）")) } input.in #bucket name="bucket" maxlength="63"; }
            div.field { label for="name" { (t("Object, the beginning of names, or the system’s name", "对象名、名称的开头，或系统名称")) } input.in #name name="name" maxlength="1023" required; }
            div.field { label for="limits" { (t("What may be done at a system, as JSON", "系统上允许的操作（JSON）")) } textarea.in #limits name="limits" rows="3" maxlength="8192" placeholder="{\"family\":\"host\",\"exec\":true}" {} }
            div.field { label for="operators" { (t("Operators by their numbers, one a line; empty: any who holds an open ticket", "运维人员编号，每行一个；留空则为任何持有打开工单的人员")) } textarea.in #operators name="operators" rows="2" maxlength="2000" {} }
            fieldset { legend { (t("For requests because of", "适用的请求原因")) } @for code in Code::ALL.into_iter().filter(|c| *c != Code::LegalRequest) {
                p { input type="checkbox" id=(code.word()) name=(code.word()) value="1" checked[code == Code::default()]; " " label for=(code.word()) { (code_said(s.visit.lang, code)) } }
            } }
            (number("minutes", t("Minutes of a grant at most", "每次授权最长分钟数"), 1_440, 30))
            (number("uses", t("Uses of a grant at most", "每次授权最多使用次数"), 1_000, 3))
            (number("uses_a_day", t("Uses that it gives within 24 hours at most", "24 小时内最多给出的使用次数"), 1_000, 10))
            (number("days", t("It ends after days (at most 90)", "有效天数（最多 90）"), 90, 30))
            div.field { label for="why" { (t("Why, for your own people", "原因（供本方人员）")) } input.in #why name="why" maxlength="1000"; }
            p { button.btn.main-act { (t("Set it", "设置")) } }
        } }
    };
    inside(&s.visit, StatusCode::OK, title, Some(Here::Consent), &main)
}

/// What the form sets, or what is wrong with it.
fn terms(p: &Posted<Tenant>, visit: &Visit) -> Result<Terms, Response> {
    let wrong = |en, zh| failure::invalid(visit, visit.lang.t(en, zh));
    let name = p.field("name");
    let scope = match (p.field("covers"), BucketName::parse(p.field("bucket").trim())) {
        ("target", _) => match (TargetName::parse(name.trim()), Limits::parse(p.field("limits"))) {
            (Ok(target), Ok(limits)) => Scope::Target { target, limits },
            (_, Err(e)) => return Err(failure::page(visit, &e)),
            _ => return Err(wrong("That is no system’s name.", "这不是系统名称。")),
        },
        ("prefix", Ok(bucket)) => Scope::Prefix { bucket, prefix: name.to_owned() },
        (_, Ok(bucket)) => match ObjectKey::parse(name) {
            Ok(key) => Scope::object(bucket, key),
            Err(_) => return Err(wrong("That is no object's name.", "这不是对象名称。")),
        },
        _ => return Err(wrong("Bucket and object must be given.", "必须给出存储桶与对象。")),
    };
    let number = |name: &str| p.field(name).trim().parse::<u32>().ok();
    let numbers = (number("minutes"), number("uses"), number("uses_a_day"), number("days"));
    let (Some(minutes), Some(uses_max), Some(day_uses_max), Some(days)) = numbers else {
        return Err(wrong("Minutes, uses and days must be whole numbers.", "分钟、次数与天数必须是整数。"));
    };
    let operators = lines(p.field("operators")).iter().map(|o| Pseudonym::parse(o)).collect::<Result<_, _>>();
    let Ok(operators) = operators else {
        return Err(wrong("Operators are named by numbers such as emp-….", "运维人员以 emp-… 编号表示。"));
    };
    Ok(Terms {
        scope,
        operators,
        codes: Code::ALL.into_iter().filter(|c| p.field(c.word()) == "1").collect(),
        minutes,
        uses_max,
        day_uses_max,
        until: visit.site.house.now().plus_ms(i64::from(days) * 86_400_000),
    })
}

pub(super) async fn set(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let terms = match terms(&p, &s.visit) {
        Ok(terms) => terms,
        Err(response) => return response,
    };
    let op = SetStandingRight { tenant: s.who.id.clone(), terms, why: p.field("why").to_owned() };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(_) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn revoke(Path(id): Path<String>, p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let Ok(id) = StandingId::parse(&id) else { return failure::missing(&s.visit) };
    let op = RevokeStandingRight { tenant: s.who.id.clone(), id };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(_) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
