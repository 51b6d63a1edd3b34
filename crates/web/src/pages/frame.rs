//! The frames around pages: public, console and desk; security headers; small pieces that pages share.

use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use bailee_rooms::gate::Principal;
use bailee_rooms::trail::Head;
use bailee_types::Timestamp;
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest;

use super::Site;
use super::visit::{Lang, Theme, Visit};

pub(super) const CSS: &str = include_str!("../../assets/bailee.css");
const ICONS: &str = include_str!("../../assets/icons.svg");
const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
                   frame-ancestors 'none'";

/// The style sheet's name holds its digest, so that it can be cached for ever.
pub(super) static CSS_NAME: LazyLock<String> = LazyLock::new(|| {
    let hash = digest::digest(&digest::SHA256, CSS.as_bytes());
    format!("bailee-{}.css", hex::encode(hash.as_ref().get(..8).unwrap_or_default()))
});

/// Headers that every page carries, also the ones that fail.
pub(super) async fn harden(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let is_asset = request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &'static str| {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    };
    set("content-security-policy", CSP);
    set("x-content-type-options", "nosniff");
    set("x-frame-options", "DENY");
    set("referrer-policy", "same-origin");
    set("cross-origin-opener-policy", "same-origin");
    set("cross-origin-resource-policy", "same-origin");
    set("permissions-policy", "camera=(), microphone=(), geolocation=()");
    if !is_asset {
        set("cache-control", "no-store");
    }
    if site.secure {
        set("strict-transport-security", "max-age=31536000");
    }
    response
}

/// Which entry of the side menu is the present page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    Overview,
    Trail,
    Consent,
    Handling,
    Targets,
    Data,
    Keys,
    Places,
    Tickets,
    Access,
    Desk,
    Security,
}

pub(super) fn icon(name: &str) -> Markup {
    html! { svg.i aria-hidden="true" { use href={ "#i-" (name) } {} } }
}

fn mark() -> Markup {
    html! {
        svg viewBox="0 0 28 28" aria-hidden="true" {
            rect x="1.5" y="1.5" width="25" height="25" rx="5" fill="currentColor" {}
            path d="M9 7v14M9 7h6.2a3.5 3.5 0 010 7H9M9 14h7.2a3.5 3.5 0 010 7H9" fill="none" stroke="#fff" stroke-width="2.4" stroke-linejoin="round" {}
        }
    }
}

fn document(visit: &Visit, status: StatusCode, title: &str, body: &Markup) -> Response {
    let provider = &visit.site.house.provider().name;
    let theme = match visit.theme {
        Theme::Auto => None,
        Theme::Light => Some("light"),
        Theme::Dark => Some("dark"),
    };
    let page = html! {
        (DOCTYPE)
        html lang=(visit.lang.code()) data-theme=[theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " — " (provider) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href={ "/assets/" (CSS_NAME.as_str()) };
            }
            body {
                (PreEscaped(ICONS))
                a.skip href="#main" { (visit.lang.t("Skip to content", "跳到正文")) }
                (body)
            }
        }
    };
    let mut response = (status, Html(page.into_string())).into_response();
    for cookie in &visit.set {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

fn switches(visit: &Visit) -> Markup {
    let (other, name) = match visit.lang {
        Lang::En => ("zh", "中文"),
        Lang::Zh => ("en", "English"),
    };
    let (theme, label) = match visit.theme {
        Theme::Dark => ("light", visit.lang.t("Light", "浅色")),
        _ => ("dark", visit.lang.t("Dark", "深色")),
    };
    html! {
        a #switch-lang lang=(other) href=(visit.with("lang", other)) { (name) }
        a #switch-theme href=(visit.with("theme", theme)) { (label) }
    }
}

/// A page of the public portal.
pub(super) fn public(visit: &Visit, status: StatusCode, title: &str, main: &Markup) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let provider = &visit.site.house.provider().name;
    let body = html! {
        header.mast { div.wrap {
            a.brand href="/" { (mark()) span { (provider) small { (t("Trust centre", "信任中心")) } } }
            nav aria-label=(t("Main", "主导航")) {
                a href="/#promises" { (t("Promises", "承诺")) }
                a href="/verify" { (t("Verify", "验证")) }
                a href="/faq" { (t("Questions", "常见问题")) }
            }
            div.tools {
                (switches(visit))
                @if visit.session.is_some() {
                    a.btn.slim href=(home_of(visit)) { (t("Console", "控制台")) }
                } @else {
                    a.btn.slim href="/login" { (t("Sign in", "登录")) }
                }
            }
        } }
        main #main.wrap { (main) }
        footer.foot { div.wrap {
            div { strong { (t("Report a vulnerability", "报告漏洞")) } br; a href="/.well-known/security.txt" { "security.txt" } }
            div { strong { (t("Log key", "日志公钥")) } br; a href="/verify" { (t("Key, checkpoint and how to verify", "公钥、检查点与验证方法")) } }
        } }
    };
    document(visit, status, title, &body)
}

fn home_of(visit: &Visit) -> &'static str {
    match visit.session.as_ref().map(|s| s.caller.principal()) {
        Some(Principal::Operator { .. }) => "/desk",
        _ => "/console",
    }
}

/// A page of the console or the desk, by who is signed in.
pub(super) fn inside(
    visit: &Visit,
    status: StatusCode,
    title: &str,
    here: Option<Here>,
    main: &Markup,
) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let Some(session) = &visit.session else { return public(visit, status, title, main) };
    let provider = &visit.site.house.provider().name;
    let entry = |to: &'static str, place: Here, symbol: &str, text: &'static str| {
        html! { a href=(to) aria-current=[(here == Some(place)).then_some("page")] { (icon(symbol)) (text) } }
    };
    let caller = &session.caller;
    let (desk, who) = match caller.principal() {
        Principal::Operator { id, roles, place } => (
            true,
            html! {
                b { (t("Operators’ zone", "运维人员区")) } span { (id) ", " (roles.join(", ")) ", " (place) }
            },
        ),
        Principal::Root { alias, tenant } | Principal::User { alias, tenant, .. } => (
            false,
            html! {
                b { (alias) } span.mono { (tenant) }
            },
        ),
        Principal::Session(s) => (
            false,
            html! {
                b { (s.alias) } span.mono { (s.tenant) }
            },
        ),
        Principal::Anonymous | Principal::Federated { .. } | Principal::System { .. } => (false, html! {}),
    };
    let body = html! {
        div.app.desk[desk] {
            header.bar {
                a.burger href="#menu" aria-label=(t("Open menu", "打开菜单")) { (icon("menu")) }
                a.brand href="/" { (mark()) span { (provider) } }
                span.who { (who) }
                div.right {
                    span.wideonly { (icon("lock")) " " (caller.name()) ", " (if session.session.mfa_at.is_some() { t("second factor", "双因素") } else { t("password", "口令") }) " " (session.session.created_at.iso().get(11..16).unwrap_or_default()) }
                    (switches(visit))
                    form method="post" action="/logout" {
                        (csrf(visit))
                        button #logout.btn.slim { (t("Sign out", "退出")) }
                    }
                }
            }
            nav.side #menu aria-label=(t("Main", "主导航")) {
                a.close href="#main" { (t("Close", "关闭")) (icon("cross")) }
                @if desk {
                    h2 { (t("Your work", "您的工作")) }
                    (entry("/desk", Here::Desk, "home", t("Desk", "工作台")))
                    (entry("/desk/sessions", Here::Targets, "eye", t("My sessions", "我的会话")))
                    @if super::desk_handling::is_for(caller) { (entry("/desk/handling", Here::Handling, "no", t("Handling", "处置与变更"))) }
                    (entry("/security", Here::Security, "key", t("My sign-in", "我的登录")))
                } @else {
                    h2 { (t("Yours", "您的资源")) }
                    (entry("/console", Here::Overview, "home", t("Overview", "概览")))
                    (entry("/console/data", Here::Data, "db", t("Data", "数据")))
                    (entry("/console/keys", Here::Keys, "sealed", t("Encryption keys", "加密密钥")))
                    (entry("/console/places", Here::Places, "lock", t("Where it lies", "数据在哪里")))
                    h2 { (t("Our access to it", "平台对它的访问")) }
                    (entry("/console/trail", Here::Trail, "eye", t("Who touched my data", "谁动过我的数据")))
                    (entry("/console/consent", Here::Consent, "hand", t("Who wants to touch my data", "谁想动我的数据")))
                    (entry("/console/handling", Here::Handling, "no", t("What we did without asking", "未经同意的平台操作")))
                    (entry("/console/targets", Here::Targets, "db", t("Systems and sessions", "系统与会话")))
                    (entry("/console/tickets", Here::Tickets, "ticket", t("Tickets", "工单")))
                    h2 { (t("Account", "账号")) }
                    (entry("/console/access", Here::Access, "user", t("People and keys", "人员与密钥")))
                    h2 { (t("You", "您")) }
                    (entry("/security", Here::Security, "key", t("My sign-in", "我的登录")))
                }
            }
            main.main #main { (super::glass::banner(visit)) (super::handling::banner(visit)) (main) }
        }
    };
    document(visit, status, title, &body)
}

/// The hidden field that makes a form ours.
pub(super) fn csrf(visit: &Visit) -> Markup {
    let token = visit.session.as_ref().map(|s| s.csrf.as_str()).unwrap_or_default();
    html! { input type="hidden" name="csrf" value=(token); }
}

pub(super) fn time(at: Timestamp) -> Markup {
    let iso = at.iso();
    html! { time datetime=(iso) { (iso.replace('T', " ").replace('Z', " UTC")) } }
}

/// The badge that names the checkpoint over what is shown.
pub(super) fn badge(lang: Lang, head: &Head) -> Markup {
    let root = hex::encode(head.root);
    let short = format!("{}…{}", root.get(..8).unwrap_or_default(), root.get(56..).unwrap_or_default());
    let waiting = head.records.saturating_sub(head.size);
    html! {
        span.proof #checkpoint {
            (icon("sealed"))
            span { (lang.t("in checkpoint ", "检查点 ")) b { (head.size) } ", " (lang.t("root ", "根 ")) code { (short) } ", " (lang.t("signed ", "签名于 ")) (time(head.signed_at)) }
            @if waiting > 0 {
                span.chip.warn { (waiting) (lang.t(" newer records wait for the next one", " 条新记录等待下一个检查点")) }
            }
        }
    }
}

/// Percent-encodes one value of a query.
pub(super) fn enc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.~/".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_blocks_of_dark_colours_agree() {
        let blocks: Vec<Vec<&str>> = CSS
            .split('{')
            .filter(|b| b.contains("--paper:"))
            .map(|b| {
                b.split('}')
                    .next()
                    .unwrap_or_default()
                    .split(';')
                    .map(str::trim)
                    .filter(|l| l.starts_with("--"))
                    .collect()
            })
            .collect();
        assert!(blocks.len() >= 3, "one light and two dark blocks");
        assert_eq!(blocks[1], blocks[2]);
    }

    #[test]
    fn sizes_and_encodings_read_well() {
        assert_eq!([size(0), size(1023), size(1536), size(5 << 30)], ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
        assert_eq!(enc("a b&c/é"), "a%20b%26c/%C3%A9");
    }
}
