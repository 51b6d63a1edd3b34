//! The public face: promises with what is true now, how to verify them, questions, contact.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bailee_types::Timestamp;
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, html::push_html};

use super::failure;
use super::frame::{CSS, CSS_NAME, public, time};
use super::visit::{Lang, Visit};

const FAQ_EN: &str = include_str!("../../content/faq.en.md");
const FAQ_ZH: &str = include_str!("../../content/faq.zh.md");
/// `Expires` of security.txt (RFC 9116): so long from now.
const CONTACT_MS: i64 = 180 * 86_400_000;

pub(super) async fn home(visit: Visit) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let house = &visit.site.house;
    let head = match house.provider_head().await {
        Ok(head) => head,
        Err(e) => return failure::page(&visit, &e),
    };
    let reads = match house.content_reads().await {
        Ok(reads) => reads,
        Err(e) => return failure::page(&visit, &e),
    };
    let count = |c: &std::sync::atomic::AtomicU64| c.load(std::sync::atomic::Ordering::Relaxed);
    let counters = house.counters();
    let (intents, refusals, unknown) =
        (count(&counters.intents), count(&counters.refusals), count(&counters.unknown));
    let promise = |say: &'static str, how: &'static str, found: &Markup| {
        html! { li { div { p.say { (say) } p { (how) } } div.found { (found) } } }
    };
    let main = html! {
        div.hero { div.cols.a {
            div {
                h1 { (t("What we promise you, and how you check it", "我们的承诺，以及您如何验证")) }
                p.lead { (t("Every act of ours on your data goes into an append-only log before it happens. You can verify that log without trusting us.", "我们对您数据的每个操作，都在发生之前写入只增日志。您无需信任我们即可验证这份日志。")) }
                p.acts { a.btn.main-act href="#promises" { (t("Read the promises", "查看承诺")) } a.btn href="/verify" { (t("Verify it yourself", "自行验证")) } }
            }
            aside #log.card.check aria-label=(t("Latest checkpoint of the provider’s log", "平台日志的最新检查点")) {
                h2 { span { (t("Checkpoint ", "检查点 ")) (head.size) } }
                dl.facts.tight.keep {
                    dt { (t("Records", "记录数")) } dd.num { (head.records) }
                    dt { (t("Root hash", "根哈希")) } dd { code { (hex::encode(head.root)) } }
                    dt { (t("Signed", "签名时间")) } dd { (time(head.signed_at)) }
                }
            }
        } }
        section #promises {
            div.head { h2 { (t("Promises", "承诺")) } p { (t("Reads of content are counted over all logs, ever; the other numbers since this server started.", "内容读取次数统计全部日志的全部时间；其他数字自本服务启动起计。")) } }
            div.card { ul.claims {
                (promise(
                    t("No operator reads your content without your consent.", "没有您的同意，运维人员不读取您的内容。"),
                    t("The key refuses, not only the front door: a data key opens only for a recorded intent under a live grant.", "不仅入口拒绝，密钥也拒绝：数据密钥只为有效授权下已记录的意图打开。"),
                    &html! { p { strong { (reads.without_grant) (t(" of ", " / ")) (reads.all) } " " (t("operator reads of content were without a grant. ", "次运维读取没有授权。")) strong { (refusals) } " " (t("attempts were refused since start.", "次尝试自启动起被拒绝。")) }
                        @if house.publishes_totals() { p { a #totals href="/totals" { (t("How often we asked, and what tenants said", "我们请求了多少次，租户如何答复")) } } } },
                ))
                (promise(
                    t("Every act of ours is recorded before it happens.", "我们的每个操作都先记录、后发生。"),
                    t("If the record cannot be made durable, the act does not take place.", "记录无法持久化时，操作不会发生。"),
                    &html! { p { strong { (intents) } " " (t("intents were made durable; ", "条意图已持久化；")) strong { (unknown.max(reads.unknown)) } " " (t("have an unknown outcome.", "条结果未知。")) } },
                ))
                (promise(
                    t("When you revoke consent, the next operation stops.", "您撤销同意后，下一个操作即停止。"),
                    t("The grant is checked again in the transaction that writes the intent; long reads are cut into windows.", "写入意图的同一事务会再次检查授权；长读取被切成多个窗口。"),
                    &html! { p { (t("Holds by construction; a test tries to break it.", "由构造保证；有测试尝试打破它。")) } },
                ))
                (promise(
                    t("Everything you store is encrypted under a key of its own.", "您存储的一切都用各自的密钥加密。"),
                    t("Content in authenticated segments, AES-256-GCM; names of objects are stored in clear so that they can be listed.", "内容分段认证加密（AES-256-GCM）；对象名以明文保存，以便列举。"),
                    &html! { p { (t("No plaintext of content lies on our disks.", "我们的磁盘上没有内容明文。")) } },
                ))
                (promise(
                    t("Your data stays in its region.", "您的数据留在其所在地域。"),
                    t("An operator in another jurisdiction is refused too, and no copy leaves, but under a transfer that you registered with its legal basis.", "其他法域的运维人员同样被拒绝，任何副本也不会离开，除非您登记了带有法律依据的传输。"),
                    &html! { p { (t("Region ", "地域 ")) code { (house.provider().region) } ", " (house.provider().jurisdiction) } },
                ))
            } }
        }
        section { div.head { h2 { (t("Questions", "常见问题")) } a.more href="/faq" { (t("All answers", "全部回答")) } }
            ul.topics { @for (n, question) in questions(source(visit.lang)).enumerate() { li { a href={ "/faq#q" (n + 1) } { (question) } } } }
        }
    };
    public(&visit, StatusCode::OK, t("Trust centre", "信任中心"), &main)
}

pub(super) async fn verify(visit: Visit) -> Response {
    let t = |en, zh| visit.lang.t(en, zh);
    let head = match visit.site.house.provider_head().await {
        Ok(head) => head,
        Err(e) => return failure::page(&visit, &e),
    };
    let heads = match visit.site.house.public_head().await {
        Ok(heads) => heads,
        Err(e) => return failure::page(&visit, &e),
    };
    let second = match visit.site.house.head_log_second_key() {
        Ok(second) => second,
        Err(e) => return failure::page(&visit, &e),
    };
    let id = head.origin.rsplit('/').next().unwrap_or_default().to_owned();
    let main = html! {
        div.title { div { h1 { (t("Verify it yourself", "自行验证")) } p { (t("Keep the key below: a log that signs with another one is not ours.", "请留存下面的公钥：用其他密钥签名的日志不是我们的。")) } } }
        div.stack {
            div.card { div.head { h2 { (t("The provider’s log", "平台日志")) } } div.pad {
                dl.facts { dt { (t("Public key", "公钥")) } dd { code #vkey { (head.vkey) } } dt { (t("Tiles", "日志切片")) } dd { a href={ "/log/" (id) "/checkpoint" } { "/log/" (id) "/" } } }
                pre #checkpoint-note { (head.note) }
            } p.note { (t("C2SP tlog-tiles, signed note, Ed25519. Any client of that format reads it.", "C2SP tlog-tiles、签名注记、Ed25519；任何支持该格式的客户端都可读取。")) } }
            div.card { div.head { h2 { (t("The public head log", "公开的日志头日志")) } } div.pad {
                @match &heads {
                    Some(heads) => {
                        dl.facts { dt { (t("Public key", "公钥")) } dd { code #heads-vkey { (heads.vkey) } } dt { (t("Tiles", "日志切片")) } dd { a href="/heads/checkpoint" { "/heads/" } } }
                        details { summary { (t("Second key (ML-DSA-44)", "第二公钥（ML-DSA-44）")) } pre { (second) } }
                        pre #heads-note { (heads.note) }
                    }
                    None => p { (t("No head yet: come back in a second.", "尚无日志头，请稍后再来。")) }
                }
            } p.note { (t("Every head of every tenant’s log stands here, blinded, once. Watch it from your own machine: bailee-verify watch. Cosign it: bailee-verify witness.", "每个租户日志的每个日志头都以盲化形式在此出现一次。您可在自己的机器上监视：bailee-verify watch；或为其联署：bailee-verify witness。")) } }
            div.card { div.head { h2 { (t("Your own log", "您自己的日志")) } } div.pad {
                p { (t("Download the bundle under “Who touched my data”, carry it to a machine without network, and run:", "在“谁动过我的数据”下载证据包，拿到没有网络的机器上，运行：")) }
                pre { "bailee-verify acme.bundle" }
            } }
        }
    };
    public(&visit, StatusCode::OK, t("Verify", "验证"), &main)
}

fn source(lang: Lang) -> &'static str {
    match lang {
        Lang::En => FAQ_EN,
        Lang::Zh => FAQ_ZH,
    }
}

fn questions(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.strip_prefix("## "))
}

pub(super) async fn faq(visit: Visit) -> Response {
    let mut asked = 0u32;
    // Raw HTML in the content is shown as text: the content may be edited by people who are not us.
    let events = Parser::new_ext(source(visit.lang), Options::ENABLE_TABLES).map(|e| match e {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Heading { level: HeadingLevel::H2, classes, attrs, .. }) => {
            asked += 1;
            Event::Start(Tag::Heading {
                level: HeadingLevel::H2,
                id: Some(format!("q{asked}").into()),
                classes,
                attrs,
            })
        }
        other => other,
    });
    let mut rendered = String::new();
    push_html(&mut rendered, events);
    let main = html! { article.prose #faq { (PreEscaped(rendered)) } };
    public(&visit, StatusCode::OK, visit.lang.t("Questions", "常见问题"), &main)
}

pub(super) async fn security_txt(visit: Visit) -> Response {
    let house = &visit.site.house;
    let expires = house.now().plus_ms(CONTACT_MS);
    let host = &house.provider().host;
    let text = format!(
        "Contact: mailto:security@{host}\nExpires: {}\nPreferred-Languages: zh, en\nPolicy: https://{host}/faq\n",
        Timestamp::from_secs(expires.secs()).iso()
    );
    let mut response = text.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

pub(super) async fn asset(Path(name): Path<String>, visit: Visit) -> Response {
    if name == *super::passkey::SCRIPT_NAME {
        return super::passkey::script();
    }
    if name == *super::trail_live::SCRIPT_NAME {
        return super::trail_live::script();
    }
    if name != *CSS_NAME {
        return failure::missing(&visit);
    }
    let mut response = CSS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_faqs_have_the_same_questions() {
        assert!(questions(FAQ_EN).count() > 3);
        assert_eq!(questions(FAQ_EN).count(), questions(FAQ_ZH).count());
    }
}
