//! The credential report: made when it is asked for, so that it is always complete.

use axum::response::{IntoResponse, Response};
use bailee_rooms::identity::{GetCredentialReport, for_spreadsheets};
use http::{StatusCode, header};
use maud::html;

use super::super::failure;
use super::super::frame::csrf;
use super::super::visit::{Posted, Signed, Tenant};
use super::parts::{Tab, ask, page};

pub(super) async fn show(s: Signed<Tenant>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let main = html! {
        p.crumb { a href="/console/access" { (t("People and keys", "人员与密钥")) } " / " (t("Credential report", "凭证报告")) }
        div.title { div { h1 { (t("Credential report", "凭证报告")) } p { (t("One line for root and for each user: password, second factor, and both AccessKeys with age and last use.", "主账号与每个用户各一行：口令、第二因素，以及两个 AccessKey 的创建时间与最近使用时间。")) } } }
        form #make-report.card method="post" action="/console/access/report" { div.pad.stack { (csrf(&s.visit))
            p { (t("The report is made now and holds what is so at this moment. That you took it is recorded.", "报告即时生成，反映当前状态。下载行为会被记录。")) }
            p { button.btn.main-act { (t("Make the report and download it (CSV)", "生成并下载报告（CSV）")) } }
        } }
        p.small { a href="/console/access/keys" { (t("AccessKeys with their findings", "AccessKey 及其检查结果")) } }
    };
    page(&s.visit, StatusCode::OK, t("Credential report", "凭证报告"), Tab::Overview, &main)
}

pub(super) async fn download(p: Posted<Tenant>) -> Response {
    let report = match ask(&p.signed, GetCredentialReport).await {
        Ok(report) => report,
        Err(e) => return failure::page(&p.signed.visit, &e),
    };
    let day: String = p.signed.visit.site.house.now().iso().chars().take(10).collect();
    let name = format!("attachment; filename=\"credentials-{}-{day}.csv\"", p.signed.who.id);
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    (headers, for_spreadsheets(&report)).into_response()
}
