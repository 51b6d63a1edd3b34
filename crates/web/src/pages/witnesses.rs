//! Proof of one's log: the enrolment receipt to keep outside, and the witnesses.

use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::Failure;
use bailee_rooms::trail::{SetWitnessing, ShowEnrolment, ShowWitnessing, Witnessing};
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, icon, inside, time};
use super::visit::{Posted, Signed, Tenant};

pub(super) async fn show(s: Signed<Tenant>) -> Response {
    let show = ShowWitnessing { tenant: s.who.id.clone() };
    match s.visit.site.house.perform(s.caller.clone(), show).await {
        Ok(now) => page(&s, StatusCode::OK, &now, None),
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// The receipt as a file. A POST: reading it is recorded.
pub(super) async fn receipt(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let show = ShowEnrolment { tenant: s.who.id.clone() };
    let found = match s.visit.site.house.perform(s.caller.clone(), show).await {
        Ok(found) => found,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let mut response = found.receipt.to_string().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{}.receipt\"", s.who.alias)) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

pub(super) async fn set(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let house = &s.visit.site.house;
    let (policy, before_act) = (p.field("policy").replace("\r\n", "\n"), !p.field("before_act").is_empty());
    let set = SetWitnessing { tenant: s.who.id.clone(), policy: policy.clone(), before_act };
    match house.perform(s.caller.clone(), set).await {
        Ok(()) => Redirect::to("/console/trail/proof").into_response(),
        Err(Failure::Invalid { why, .. }) => {
            // What was typed stays, with what is wrong beside it.
            let show = ShowWitnessing { tenant: s.who.id.clone() };
            match house.perform(s.caller.clone(), show).await {
                Ok(now) => {
                    let typed = Witnessing { policy, before_act, witnesses: now.witnesses };
                    page(s, StatusCode::BAD_REQUEST, &typed, Some(&why))
                }
                Err(e) => failure::page(&s.visit, &e),
            }
        }
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn page(s: &Signed<Tenant>, status: StatusCode, now: &Witnessing, wrong: Option<&str>) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let main = html! {
        p.crumb { a href="/console/trail" { (t("Who touched my data", "谁动过我的数据")) } " / " (t("Proof", "证明")) }
        div.title { div { h1 { (t("Proof of your log", "日志的证明")) } p { (t("Each head of your log goes into a public log, blinded. With the receipt you and your auditors find yours there; witnesses sign that everybody sees the same.", "您日志的每个日志头都会以盲化形式进入公开日志。凭回执，您和审计方可在其中找到自己的日志头；见证方签名证明所有人看到的是同一份日志。")) } } }
        div.stack {
            section #receipt { h2 { (t("Enrolment receipt", "登记回执")) } div.card.pad {
                p { (t("Keep it where we cannot change it, and give it to auditors yourself. It opens nothing of your data; whoever holds it can recognise the heads of your log. Taking it out is recorded.", "请保存在我们无法改动的地方，并由您本人交给审计方。它不能打开您的任何数据；持有者可以识别您日志的日志头。下载会被记录。")) }
                form method="post" action="/console/trail/proof/receipt" { (csrf(&s.visit)) button.btn { (icon("down")) (t("Download the receipt", "下载回执")) } }
                pre { "bailee-verify watch --url " (s.visit.site.console_url) "/heads --policy stranger.policy --state watch \\\n  --tenant ORIGIN --watch-key-file " (s.who.alias) ".receipt --tenant-url " (s.visit.site.console_url) "/trail/ID" }
            } }
            section #auditor { h2 { (t("A part for an auditor", "提供给审计方的部分")) } div.card { form.pad.stack method="post" action="/console/trail/export" { (csrf(&s.visit))
                p { (t("A bundle that proves your whole log and opens only what you name: the auditor sees how many records there are, of which kind and when, and reads those of this time and these resources, with your decisions about them.", "该证据包证明您的整份日志，但只打开您指定的部分：审计方可看到记录的数量、类别与时间，并阅读该时段、这些资源的记录以及您对它们的决定。")) }
                div.field { label for="from" { (t("From (day, UTC)", "起始日期（UTC）")) } input.in #from type="date" name="from"; }
                div.field { label for="until" { (t("Until (day, UTC)", "截止日期（UTC）")) } input.in #until type="date" name="until"; }
                div.field { label for="resources" { (t("Resources", "资源")) }
                    textarea.in #resources name="resources" rows="3" spellcheck="false" placeholder="invoices/2026/*" {}
                    p.hint { (t("One line each, bucket/key; * at the end stands for all that begin so. Empty: all resources of that time.", "每行一个，格式为 存储桶/键；末尾的 * 表示以此开头的全部。留空表示该时段的所有资源。")) } }
                p { button.btn { (icon("down")) (t("Bundle for the auditor", "下载审计证据包")) } }
                pre { "bailee-verify audit " (s.who.alias) ".bundle --enrolment " (s.who.alias) ".receipt --policy auditor.policy --pdf report.pdf" }
            } } }
            section #witnesses { h2 { (t("Witnesses", "见证方")) } div.card { (said(s, now)) } }
            section #own { h2 { (t("Your own witnesses", "您自己的见证方")) } div.card { form.pad.stack method="post" action="/console/trail/proof/witnesses" { (csrf(&s.visit))
                div.field { label for="policy" { (t("Policy (C2SP tlog-policy)", "策略（C2SP tlog-policy）")) }
                    textarea.in #policy name="policy" rows="6" spellcheck="false" aria-invalid=[wrong.map(|_| "true")] { "\n" (now.policy) }
                    @if let Some(why) = wrong { p.error role="alert" { (why) } }
                    p.hint { (t("One line a witness: witness NAME VKEY ADDRESS; then groups and a quorum. It cosigns your own log. Empty for none.", "每行一个见证方：witness 名称 VKEY 地址；然后是 group 与 quorum。它们为您自己的日志联署。留空表示没有。")) } }
                label.tick { input type="checkbox" name="before_act" value="yes" checked[now.before_act]; " " (t("Operators wait: nobody of the provider acts on your resources before the record of it is cosigned", "操作员须等待：在记录获得联署之前，平台任何人不得操作您的资源")) }
                p { button.btn { (t("Store", "保存")) } }
            } } }
        }
    };
    inside(&s.visit, status, t("Proof of your log", "日志的证明"), Some(Here::Trail), &main)
}

fn said(s: &Signed<Tenant>, now: &Witnessing) -> Markup {
    let t = |en, zh| s.visit.lang.t(en, zh);
    if now.witnesses.is_empty() {
        return html! { div.empty { h3 { (t("No witness yet", "尚无见证方")) } p { (t("The provider has named none. Your own can cosign your log: one command on any machine, bailee-verify witness.", "平台尚未指定见证方。您可以用自己的见证方为日志联署：在任意机器上运行一条命令 bailee-verify witness。")) } } };
    }
    html! { table { thead { tr { th { (t("Witness", "见证方")) } th { (t("Log", "日志")) } th { (t("Cosigned", "已联署")) } th { (t("Time", "时间")) } } }
        tbody { @for w in &now.witnesses { tr {
            td { (w.name) } td { code { (w.origin) } }
            @match w.last {
                Some((size, at)) => { td { (size) } td { (time(at)) } }
                None => { td { (t("never", "从未")) } td {} }
            }
        } } }
    } }
}
