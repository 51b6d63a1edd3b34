//! What a tenant has covered when its recordings are read.

use axum::response::{IntoResponse, Redirect, Response};
use bailee_rooms::broker::{
    Builtin, MASKS_MAX, Masks, OwnMask, PATTERN_MAX, SetMasks, SetRecordingMasks, ShowRecordingMasks,
};
use http::StatusCode;
use maud::html;

use super::failure;
use super::frame::{Here, csrf, inside, time};
use super::visit::{Lang, Posted, Signed, Tenant};

const HERE: &str = "/console/sessions/masks";

pub(super) async fn show(s: Signed<Tenant>) -> Response {
    let show = ShowRecordingMasks { tenant: s.who.id.clone() };
    match s.visit.site.house.perform(s.caller.clone(), show).await {
        Ok(set) => page(&s, &set),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn page(s: &Signed<Tenant>, SetMasks { masks, set }: &SetMasks) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let title = t("What is covered in recordings", "录像中遮盖的内容");
    let own: String = masks.own.iter().map(|m| format!("{} = {}\n", m.name, m.pattern)).collect();
    let rows = own.lines().count().clamp(3, MASKS_MAX);
    let main = html! {
        p.crumb { a href="/console/targets" { (t("Systems", "系统")) } " / " a href="/console/sessions" { (t("Sessions", "会话")) } " / " (title) }
        div.title { div { h1 { (title) } p #since { @match set {
            Some((by, at)) => { (t("Set by ", "设置人：")) (by) " " (time(*at)) },
            None => (t("Nobody has set it: all masks of ours are laid on.", "尚未设置：使用全部内置遮盖。")),
        } } } }
        form #masks-form.card method="post" action=(HERE) { div.pad.stack { (csrf(&s.visit))
            p.hint { (t("Masks are laid on when a recording is read or taken along. What is recorded, and its chain, stay as they are. Whoever may change this may uncover: give bailee:SetRecordingMasks to few.", "遮盖在查看或下载录像时生效；录制内容及其校验链保持不变。能更改此设置者即可取消遮盖：请谨慎授予 bailee:SetRecordingMasks。")) }
            fieldset { legend { (t("Masks of ours", "内置遮盖")) } @for builtin in Builtin::ALL {
                p { input type="checkbox" id={ "mask-" (builtin.word()) } name=(builtin.word()) value="1" checked[masks.builtin.contains(&builtin)]; " " label for={ "mask-" (builtin.word()) } { (name(s.visit.lang, builtin)) } }
            } }
            div.field { label for="own" { (t("Your own, one a line: name = regular expression. Its first group is covered, else all of it.", "自定义，每行一个：名称 = 正则表达式。遮盖第一个分组，无分组则遮盖全部。")) }
                textarea.in #own name="own" rows=(rows) maxlength=(MASKS_MAX * (PATTERN_MAX + 80)) spellcheck="false" { (own) } }
            p { button.btn.main-act { (t("Store", "保存")) } }
        } }
    };
    inside(&s.visit, StatusCode::OK, title, Some(Here::Targets), &main)
}

fn name(lang: Lang, builtin: Builtin) -> &'static str {
    match builtin {
        Builtin::AccessKeys => lang.t("AccessKeys: ids and secrets", "AccessKey：ID 与密钥"),
        Builtin::Passwords => lang.t(
            "Passwords: in statements, commands, addresses, typed at prompts",
            "密码：语句、命令、地址中，以及提示时键入的",
        ),
        Builtin::PrivateKeys => lang.t("Private keys (PEM)", "私钥（PEM）"),
        Builtin::Tokens => lang.t("Tokens: bearer, JWT, keys of APIs", "令牌：Bearer、JWT、API 密钥"),
        Builtin::NationalIds => lang.t("Numbers of identity cards", "身份证号"),
        Builtin::Phones => lang.t("Telephone numbers", "电话号码"),
        Builtin::Cards => lang.t("Numbers of payment cards", "银行卡号"),
    }
}

pub(super) async fn set(p: Posted<Tenant>) -> Response {
    let s = &p.signed;
    let builtin = Builtin::ALL.into_iter().filter(|b| p.field(b.word()) == "1").collect();
    let mut own = Vec::new();
    for line in super::places::lines(p.field("own")) {
        let Some((name, pattern)) = line.split_once('=') else {
            let text = s
                .visit
                .lang
                .t("Each line must be: name = regular expression.", "每行须为：名称 = 正则表达式。");
            return failure::invalid(&s.visit, text);
        };
        own.push(OwnMask { name: name.trim().to_owned(), pattern: pattern.trim().to_owned() });
    }
    let set = SetRecordingMasks { tenant: s.who.id.clone(), masks: Masks { builtin, own } };
    match s.visit.site.house.perform(s.caller.clone(), set).await {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(e) => failure::page(&s.visit, &e),
    }
}
