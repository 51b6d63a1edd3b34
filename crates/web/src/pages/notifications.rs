//! Whom a tenant wants told that something waits for it.

use axum::response::Response;
use bailee_rooms::notices::{
    ADDRESSES_MAX, GetNotifications, Heard, Kind, MailAddress, SetNotifications, Target, Wanted,
};
use http::StatusCode;
use maud::html;

use super::failure;
use super::frame::{Here, csrf, icon, inside, time};
use super::visit::{Lang, Posted, Signed, Tenant};

const HERE: &str = "/console/notifications";

pub(super) async fn show(s: Signed<Tenant>) -> Response {
    page(&s, None).await
}

pub(super) async fn set(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let targets = match read(s.visit.lang, &p) {
        Ok(targets) => targets,
        Err(text) => return failure::invalid(&s.visit, &text),
    };
    let set = SetNotifications { tenant: s.who.id.clone(), targets };
    match s.visit.site.house.perform(s.caller.clone(), set).await {
        Ok(secret) => page(s, Some(secret.as_ref().map_or("", |s| s.expose()))).await,
        Err(e) => failure::page(&s.visit, &e),
    }
}

/// What a form says: an address a line, with the kinds that it hears of behind it; none: all.
fn read(lang: Lang, p: &Posted<Tenant>) -> Result<Vec<Wanted>, String> {
    let mut targets = Vec::new();
    for line in p.field("addresses").lines().map(str::trim).filter(|l| !l.is_empty()) {
        let mut words = line.split_whitespace();
        let (Ok(address), kinds) = (
            MailAddress::parse(words.next().unwrap_or_default()),
            words.map(Kind::parse).collect::<Option<Vec<_>>>(),
        ) else {
            let why =
                lang.t("This line is no address with kinds behind it: ", "此行不是“地址 + 类别”的形式：");
            return Err(format!("{why}{}", line.chars().take(200).collect::<String>()));
        };
        let Some(kinds) = kinds else {
            let why = lang.t(
                "Kinds are ticket, consent, alert and digest: ",
                "类别为 ticket、consent、alert、digest：",
            );
            return Err(format!("{why}{}", line.chars().take(200).collect::<String>()));
        };
        let kinds = if kinds.is_empty() { Kind::ALL.to_vec() } else { kinds };
        targets.push(Wanted { target: Target::Mail(address), kinds });
    }
    let webhook = p.field("webhook").trim();
    if !webhook.is_empty() {
        let kinds: Vec<_> = Kind::ALL.into_iter().filter(|k| !p.field(k.word()).is_empty()).collect();
        targets.push(Wanted { target: Target::Webhook(webhook.to_owned()), kinds });
    }
    Ok(targets)
}

fn name(lang: Lang, kind: Kind) -> &'static str {
    match kind {
        Kind::Ticket => lang.t("tickets", "工单"),
        Kind::Consent => lang.t("requests for consent", "同意请求"),
        Kind::Alert => lang.t("alerts", "告警"),
        Kind::Digest => lang.t("a weekly digest", "每周摘要"),
    }
}

async fn page(s: &Signed<Tenant>, saved: Option<&str>) -> Response {
    let (lang, t) = (s.visit.lang, |en, zh| s.visit.lang.t(en, zh));
    let get = GetNotifications { tenant: s.who.id.clone() };
    let found = match s.visit.site.house.perform(s.caller.clone(), get).await {
        Ok(found) => found,
        Err(e) => return failure::page(&s.visit, &e),
    };
    let (mut lines, mut webhook) = (String::new(), None);
    for Heard { wanted, .. } in &found.targets {
        match &wanted.target {
            Target::Webhook(address) => webhook = Some((address.as_str(), wanted.kinds.as_slice())),
            Target::Mail(address) => {
                let kinds: Vec<_> = wanted.kinds.iter().map(|k| k.word()).collect();
                lines.push_str(&format!("{address} {}\n", kinds.join(" ")));
            }
        }
    }
    let hears = |kind| webhook.is_none_or(|(_, kinds)| kinds.contains(&kind));
    let main = html! {
        p.crumb { a href="/console/tickets" { (t("Tickets", "工单")) } " / " (t("Notices", "通知")) }
        div.title { div { h1 { (t("Notices", "通知")) } p { (t("They say that something waits, and where to look; nothing of what is there. Addresses lie sealed under your key.", "通知只说明有事项等待处理及查看位置，不含任何内容。地址以您的密钥密封保存。")) } } }
        @if let Some(secret) = saved { div.notice.ok #saved role="status" { div { p { (t("Set.", "已保存。")) }
            @if !secret.is_empty() { p #secret { (t("The secret by which your webhook checks signatures. It is shown once: ", "供您的 Webhook 校验签名的密钥，仅显示一次：")) code { (secret) } } }
        } } }
        @if !found.sends_mail { div.notice.warn #no-mail { (icon("no")) p { (t("This provider has no mail server set up: no mail is sent, webhooks are.", "本服务商未配置邮件服务器：不会发送邮件，Webhook 照常。")) } } }
        @for Heard { wanted, failed } in &found.targets { @if let Some((at, why)) = failed {
            div.notice.bad.failed { (icon("no")) p { code { @match &wanted.target { Target::Mail(a) => (a), Target::Webhook(a) => (a) } } " " (time(*at)) " " (why) } }
        } }
        div.card { form.pad.stack #notices method="post" action=(HERE) { (csrf(&s.visit))
            div.field { label for="addresses" { (t("Mail addresses, one a line", "邮件地址，每行一个")) " (≤ " (ADDRESSES_MAX) ")" } textarea.in #addresses name="addresses" rows="5" maxlength="4000" placeholder="ops@example.com ticket consent alert digest" { (lines) }
                p.hint { (t("Behind an address: what it hears of, out of ", "地址后可写类别：")) @for k in Kind::ALL { code { (k.word()) } " (" (name(lang, k)) ") " } (t("; nothing: all.", "；不写表示全部。")) } }
            div.field { label for="webhook" { "Webhook" } input.in #webhook name="webhook" maxlength="512" placeholder="https://chat.example/hook" value=(webhook.map_or("", |(a, _)| a)); }
            @for k in Kind::ALL { label.tick { input type="checkbox" name=(k.word()) value="yes" checked[hears(k)]; " " (name(lang, k)) } }
            p { button.btn.main-act { (t("Save", "保存")) } }
        } }
    };
    inside(&s.visit, StatusCode::OK, t("Notices", "通知"), Some(Here::Tickets), &main)
}
