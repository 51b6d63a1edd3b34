//! Closing the account, and what who keeps the receipt may read afterwards.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::closure::{CancelClosure, CloseAccount, ClosureState, GetClosure, WAIT_DAYS_MAX};
use http::{StatusCode, header};
use maud::html;

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Posted, Signed, Tenant, Visit};

const HERE: &str = "/console/close";

pub(super) async fn page(s: Signed<Tenant>) -> Response {
    show(&s, None).await
}

async fn show(s: &Signed<Tenant>, receipt: Option<&str>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let op = GetClosure { tenant: s.who.id.clone() };
    let closure = match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(found) => found.map(|(closure, _)| closure),
        Err(e) => return failure::page(&s.visit, &e),
    };
    let main = html! {
        div.title { div { h1 { (t("Close the account", "关闭账号")) } p { (t("Everything of it is destroyed: objects and their versions, each with a certificate, keys, secrets, people and their rights. Its log stays, and tells of it.", "将销毁其全部内容：对象及其所有版本（均附销毁证明）、密钥、凭据、人员及其权限。日志会保留并记录这一切。")) } } }
        @if let Some(receipt) = receipt {
            div.notice #receipt role="status" { div { p { (t("Keep this address: nobody can sign in afterwards, and it shows the report and the certificates. It is shown once.", "请保存此地址：之后无人能够登录，可凭它查看报告和证明。仅显示一次。")) } p { code { "/closed/" (receipt) } } } }
        }
        @match &closure {
            Some(c) if c.state == ClosureState::Waiting => div.card.pad #waiting {
                p { (t("It begins ", "开始时间：")) (time(c.due_at)) }
                form method="post" action={ (HERE) "/cancel" } { (csrf(&s.visit)) button.btn.main { (t("Keep the account after all", "取消关闭")) } }
            },
            Some(_) => div.card.pad { p { (t("It has begun.", "已开始。")) } },
            None => div.card { form.pad.stack #close method="post" action=(HERE) { (csrf(&s.visit))
                p { (t("Take out first what you want to keep (bailee takeout). What is retained stays until its time is over; the account is closed to everybody all the same.", "请先导出需要保留的内容（bailee takeout）。处于保留期的内容会留存至到期；但账号对所有人关闭。")) }
                div.field { label for="days" { (t("Begin in … days (until then you can call it back)", "… 天后开始（在此之前可以撤回）")) } input.in #days name="days" type="number" min="0" max=(WAIT_DAYS_MAX) value="14"; }
                div.field { label for="confirm" { (t("Type the account's alias", "请输入账号别名")) } input.in #confirm name="confirm" autocomplete="off" required; }
                p { button.btn.danger { (t("Close it", "关闭账号")) } }
            } },
        }
    };
    inside(&s.visit, StatusCode::OK, t("Close the account", "关闭账号"), Some(Here::Security), &main)
}

pub(super) async fn close(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let lang = s.visit.lang;
    if p.field("confirm").trim() != s.who.alias {
        return failure::invalid(
            &s.visit,
            lang.t(
                "That is not the account's alias; nothing was done.",
                "输入的不是账号别名；未执行任何操作。",
            ),
        );
    }
    let Ok(days) = p.field("days").trim().parse() else {
        return failure::invalid(&s.visit, lang.t("Days are a number.", "天数必须是数字。"));
    };
    let op = CloseAccount { tenant: s.who.id.clone(), days };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok((receipt, _)) => show(s, Some(receipt.expose())).await,
        Err(e) => failure::page(&s.visit, &e),
    }
}

pub(super) async fn cancel(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let op = CancelClosure { tenant: s.who.id.clone() };
    match s.visit.site.house.perform(s.caller.clone(), op).await {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// The report, for who has the receipt: JSON.
pub(super) async fn report(visit: Visit, Path(receipt): Path<String>) -> Response {
    let house = &visit.site.house;
    match house.closure_report(&receipt).await {
        Ok((closure, report)) => {
            let told = serde_json::json!({
                "state": closure.state.word(), "dueAt": closure.due_at.iso(), "report": report,
            });
            plain("application/json", format!("{told:#}\n"))
        }
        Err(_) => failure::missing(&visit),
    }
}

/// A certificate of destruction by its number, or the report as its digest stands in the log; for who has the receipt.
pub(super) async fn certificate(visit: Visit, Path((receipt, what)): Path<(String, String)>) -> Response {
    let house = &visit.site.house;
    if what == "report" {
        return match house.closure_report_text(&receipt).await {
            Ok(text) => plain("application/json", text),
            Err(_) => failure::missing(&visit),
        };
    }
    let Ok(record) = what.parse() else { return failure::missing(&visit) };
    match house.closure_certificate(&receipt, record).await {
        Ok(text) => plain("text/plain; charset=utf-8", text),
        Err(_) => failure::missing(&visit),
    }
}

fn plain(kind: &'static str, body: String) -> Response {
    // The address is a secret: no page that is linked learns it, and no cache keeps what is behind it.
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, body).into_response()
}
