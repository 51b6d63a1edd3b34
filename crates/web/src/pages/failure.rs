//! Pages for what did not happen: the rule that refused, the next step, and never more than the visitor may know.

use axum::response::Response;
use bailee_rooms::consent::NoCoverage;
use bailee_rooms::gate::{Phase, Refusal, RefusalKind};
use bailee_rooms::keys::cmk::{KeyProblem, StoreProblem};
use bailee_rooms::{Failure, Fault};
use http::StatusCode;
use maud::{Markup, html};

use super::frame::{icon, inside};
use super::said;
use super::visit::{Lang, Visit};

/// The page of a failure.
pub(super) fn page(visit: &Visit, failure: &Failure) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let text = said::text(visit.lang, failure);
    let (status, title, more) = match failure {
        Failure::Refused(r) if *r.kind() == RefusalKind::NotYours => return missing(visit),
        Failure::NotFound { .. } | Failure::DeleteMarker { .. } => return missing(visit),
        Failure::Refused(r) => (StatusCode::FORBIDDEN, t("Refused", "已拒绝"), recorded(visit, r.record())),
        Failure::Key(KeyProblem::Store(StoreProblem::Denied | StoreProblem::Unsigned)) => {
            (StatusCode::FORBIDDEN, t("Refused", "已拒绝"), html! {})
        }
        Failure::Key(KeyProblem::Store(StoreProblem::Unreachable)) => {
            (StatusCode::SERVICE_UNAVAILABLE, t("Not possible now", "当前无法执行"), html! {})
        }
        Failure::Exists { .. }
        | Failure::Conflict(_)
        | Failure::BucketState(_)
        | Failure::Retained(_)
        | Failure::PublicBlocked(_)
        | Failure::ObjectState(_)
        | Failure::Quota { .. }
        | Failure::Append(_)
        | Failure::InUse { .. }
        | Failure::Key(_) => (StatusCode::CONFLICT, t("Not possible now", "当前无法执行"), html! {}),
        Failure::Throttled(_) => {
            (StatusCode::TOO_MANY_REQUESTS, t("Too many attempts", "尝试过多"), html! {})
        }
        Failure::WrongCode => (StatusCode::FORBIDDEN, t("Not accepted", "未被接受"), html! {}),
        Failure::FreshMfa => (
            StatusCode::FORBIDDEN,
            t("Show your second factor", "请出示第二因素"),
            html! { p { a #fresh-mfa href="/security" { (t("Show it on the page of your own security", "在您的安全设置页面出示")) } } },
        ),
        Failure::SignIn(_) => (StatusCode::FORBIDDEN, t("Not signed in", "未登录"), html! {}),
        Failure::Precondition(_) => {
            (StatusCode::PRECONDITION_FAILED, t("Changed meanwhile", "已被更改"), html! {})
        }
        Failure::Unavailable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            t("Not possible now", "当前无法执行"),
            html! {
                p { (t("Nothing was changed or opened. Try again later.", "没有任何更改，也没有打开任何内容。请稍后再试。")) }
            },
        ),
        Failure::Damaged(_) | Failure::Bug(_) => {
            tracing::error!(request.id = %visit.origin.request_id, "a page failed: {text}");
            let shown = html! {
                p { (t("Something failed on our side. Request ", "平台内部出错。请求 ")) code { (visit.origin.request_id) } }
            };
            return notice(
                visit,
                StatusCode::INTERNAL_SERVER_ERROR,
                t("An internal error", "内部错误"),
                "",
                &shown,
            );
        }
        Failure::Invalid { .. }
        | Failure::Limit { .. }
        | Failure::Body(_)
        | Failure::Checksum(_)
        | Failure::Replayed => (StatusCode::BAD_REQUEST, t("Not accepted", "未被接受"), html! {}),
    };
    debug_assert!(failure.fault() != Fault::Ours);
    notice(visit, status, title, &text, &more)
}

/// A refusal in the visitor's language. The record and other readers have it in English.
pub(super) fn refusal(lang: Lang, refusal: &Refusal) -> String {
    if lang == Lang::En {
        return refusal.to_string();
    }
    let object = refusal.resource().splitn(5, ':').last().unwrap_or_default();
    let action = refusal.action();
    match refusal.kind() {
        RefusalKind::NotYours => format!("`{object}` 不存在"),
        RefusalKind::ImplicitDeny { phase: Phase::Trust } => {
            format!("`{object}` 的信任策略不允许您扮演该角色")
        }
        RefusalKind::KeyNetwork => {
            "此 AccessKey 不允许从您的网络使用；请从其策略或账号策略所列的网络调用，或联系您的管理员"
                .to_owned()
        }
        RefusalKind::Unsigned => "请求未签名，而该内容并非公开：请使用 AccessKey 签名".to_owned(),
        RefusalKind::SignInUnfinished => "登录尚未完成；请先出示第二因素或设置新口令".to_owned(),
        RefusalKind::ImplicitDeny { .. } => {
            format!("您的策略均未允许对 `{object}` 执行 `{action}`；请联系您的管理员")
        }
        RefusalKind::ExplicitDeny { policy, statement, .. } => {
            format!("策略 `{policy}` 的第 {statement} 条语句拒绝对 `{object}` 执行 `{action}`")
        }
        RefusalKind::OperatorRole { role } => format!("角色 `{role}` 不包含 `{action}`"),
        RefusalKind::NoTicket => format!("对 `{object}` 执行 `{action}` 需要该租户的一个打开的工单"),
        RefusalKind::NoGlass(id) => format!(
            "紧急访问 `{id}` 不允许对 `{object}` 执行 `{action}`：须已启用、未结束、由您提出且包含此操作"
        ),
        RefusalKind::NoConsent(why) => format!(
            "读取 `{object}` 需要租户同意：没有有效授权覆盖 `{action}`（{}）；请在工单页面上请求",
            no_coverage(*why)
        ),
        RefusalKind::LegalBlock => "因法律原因，公众无法在此访问该内容".to_owned(),
        RefusalKind::KeysEnded(why) => format!("临时密钥已失效（{why}）；授权有效期间可在工作台重新领取"),
        RefusalKind::OutsideGrant { covers } => {
            format!("授权不覆盖对 `{object}` 执行 `{action}`：密钥绑定于 {covers}")
        }
        RefusalKind::Residency { place, jurisdiction } => format!(
            "`{object}` 必须留在 `{jurisdiction}`：从 `{place}` 打开需要具有法律依据的传输审批（目前没有）"
        ),
    }
}

fn no_coverage(why: NoCoverage) -> &'static str {
    match why {
        NoCoverage::NotAsked => "尚未请求",
        NoCoverage::Waiting => "请求正等待租户答复",
        NoCoverage::Denied => "租户已拒绝",
        NoCoverage::Lapsed => "请求已失效",
        NoCoverage::Expired => "授权已到期",
        NoCoverage::Revoked => "租户已撤销授权",
        NoCoverage::Exhausted => "授权的读取次数已用尽",
        NoCoverage::TicketClosed => "工单已关闭",
        NoCoverage::OperatorDisabled => "运维人员已停用",
        NoCoverage::Declined => "平台的另一名人员已否决该请求",
        NoCoverage::Returned => "运维人员已交还授权",
        NoCoverage::OutsideHours => "租户仅允许在其规定时段内使用授权",
    }
}

pub(super) fn recorded(visit: &Visit, record: Option<u64>) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        @match record {
            Some(n) => p.small { (t("The refusal is recorded as record ", "此拒绝已记录为第 ")) b #refusal-record { (n) } (t(", and the tenant sees it.", " 条记录，租户可以看到。")) },
            None => p.small { (t("The refusal could not be recorded: the trail cannot be written now.", "此拒绝未能记录：审计日志当前不可写。")) },
        }
    }
}

pub(super) fn notice(visit: &Visit, status: StatusCode, title: &str, text: &str, more: &Markup) -> Response {
    let main = html! {
        div.title { div { h1 { (title) } } }
        div.notice.bad role="alert" { (icon("no")) div { @if !text.is_empty() { p #failure { (text) } } (more) } }
    };
    inside(visit, status, title, None, &main)
}

/// The same for what is not there and for what one may not know of.
pub(super) fn missing(visit: &Visit) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let main = html! {
        div.card.empty { h1 { (t("There is nothing here", "这里什么也没有")) } p { (t("The address is wrong, or it is not for you.", "地址有误，或者它不对您开放。")) } a.btn href="/" { (t("To the start", "回到首页")) } }
    };
    inside(visit, StatusCode::NOT_FOUND, t("Not found", "未找到"), None, &main)
}

pub(super) async fn not_found(visit: Visit) -> Response {
    missing(&visit)
}

pub(super) async fn method_not_allowed(visit: Visit) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let text = t("This page does not take such a request.", "此页面不接受这种请求。");
    notice(&visit, StatusCode::METHOD_NOT_ALLOWED, t("Not possible", "不可执行"), text, &html! {})
}

pub(super) fn bad_form(visit: &Visit) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let text = t("The form could not be read, or it is too long.", "无法读取表单，或表单过长。");
    notice(visit, StatusCode::BAD_REQUEST, t("Not accepted", "未被接受"), text, &html! {})
}

pub(super) fn foreign_form(visit: &Visit) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let text = t(
        "The form was not sent from this page in this session. Nothing was done; open the page again and repeat it.",
        "表单不是在本会话中从本页面提交的。没有执行任何操作；请重新打开页面再试。",
    );
    notice(visit, StatusCode::FORBIDDEN, t("Refused", "已拒绝"), text, &html! {})
}

/// A field that is wrong.
pub(super) fn invalid(visit: &Visit, text: &str) -> Response {
    notice(visit, StatusCode::BAD_REQUEST, visit.lang.t("Not accepted", "未被接受"), text, &html! {})
}

/// A page that says one sentence.
pub(super) fn notice_text(visit: &Visit, status: StatusCode, text: &str) -> Response {
    notice(visit, status, visit.lang.t("Not accepted", "未被接受"), text, &html! {})
}
