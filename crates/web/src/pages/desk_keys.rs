//! Temporary keys for the objects of a grant: an operator takes them, and sees them once.

use axum::extract::Path;
use axum::response::Response;
use bailee_rooms::Failure;
use bailee_rooms::broker::{ObjectKeys, TakeKeys, TakenKeys};
use bailee_rooms::consent::{Request, Scope};
use bailee_types::{GrantId, TenantId};
use http::StatusCode;
use maud::{Markup, html};

use super::failure;
use super::frame::{Here, csrf, icon, inside, time};
use super::visit::{Lang, Operator, Posted, Signed, Visit};

/// The buttons that take keys.
pub(super) fn form(visit: &Visit, r: &Request) -> Markup {
    html! {
        form method="post" action={ "/desk/requests/" (r.tenant) "/" (r.id) "/keys" } { (csrf(visit))
            button.btn.slim name="content" value="yes" { (visit.lang.t("Take keys", "领取密钥")) } " "
            button.btn.slim name="content" value="no" { (visit.lang.t("Keys for names only", "仅元数据密钥")) }
        }
    }
}

pub(super) async fn take(Path((tenant, id)): Path<(String, String)>, p: Posted<Operator>) -> Response {
    let s = &p.signed;
    let (Ok(tenant), Ok(id)) = (TenantId::parse(&tenant), GrantId::parse(&id)) else {
        return failure::missing(&s.visit);
    };
    let house = &s.visit.site.house;
    let request = match house.consent_request(&tenant, &id).await {
        Ok(request) if request.operator == s.who.id => request,
        // Another's grant and none look the same.
        Ok(_) | Err(Failure::NotFound { .. }) => return failure::missing(&s.visit),
        Err(e) => return failure::page(&s.visit, &e),
    };
    let take = match TakeKeys::of(&request, p.field("content") == "yes", house.now()) {
        Ok(take) => take,
        Err(e) => return failure::page(&s.visit, &e),
    };
    match house.perform(s.caller.clone(), take).await {
        Ok(taken) => shown(s, &request, &taken),
        Err(e) => failure::page(&s.visit, &e),
    }
}

fn shown(s: &Signed<Operator>, request: &Request, taken: &TakenKeys) -> Response {
    let t = |en, zh| s.visit.lang.t(en, zh);
    let site = &s.visit.site;
    let (url, region) = (&site.objects_url, site.house.provider().region.as_str());
    let (id, secret, token) = (taken.keys.id.as_str(), taken.secret.expose(), taken.token.expose());
    let (bucket, name) = match &request.scope {
        Scope::Object { bucket, key } => (bucket.as_str(), key.as_str()),
        Scope::Prefix { bucket, prefix } => (bucket.as_str(), prefix.as_str()),
        Scope::Target { .. } => ("", ""),
    };
    let verb = if matches!(request.scope, Scope::Object { .. }) { "cp" } else { "ls" };
    let to = if verb == "cp" { " ." } else { "" };
    let aws = format!(
        "export AWS_ACCESS_KEY_ID={id}\nexport AWS_SECRET_ACCESS_KEY={secret}\nexport AWS_SESSION_TOKEN={token}\n\
         aws --endpoint-url {url} --region {region} s3 {verb} {}{to}",
        quoted(&format!("s3://{bucket}/{name}"))
    );
    let rclone = format!(
        "export RCLONE_S3_PROVIDER=Other RCLONE_S3_ENDPOINT={url} RCLONE_S3_REGION={region}\n\
         export RCLONE_S3_ACCESS_KEY_ID={id}\nexport RCLONE_S3_SECRET_ACCESS_KEY={secret}\n\
         export RCLONE_S3_SESSION_TOKEN={token}\nrclone {} {}{to}",
        if verb == "cp" { "copy" } else { "lsl" },
        quoted(&format!(":s3:{bucket}/{name}"))
    );
    let ossutil = format!(
        "ossutil {verb} {}{to} --endpoint {url} --region {region} \\\n  --access-key-id {id} \\\n  --access-key-secret {secret} \\\n  \
         --sts-token {token}",
        quoted(&format!("oss://{bucket}/{name}"))
    );
    let oss2 = format!(
        "auth = oss2.StsAuth('{id}', '{secret}',\n    '{token}', auth_version='v4')\n\
         bucket = oss2.Bucket(auth, '{url}', '{bucket}', region='{region}')"
    );
    let main = html! {
        p.crumb { a href="/desk/sessions" { (t("Your sessions", "您的会话")) } " / " (id) }
        div.title { div { h1 { code { (request.scope) } } p { (t("Good until ", "有效至 ")) (time(taken.keys.until)) (t(" at most. Secret and token are shown this once. Each read is recorded, and the tenant can cut it.", "。密钥与令牌仅显示这一次。每次读取都会被记录，租户可随时中断。")) } } }
        div.card.pad.stack {
            dl.facts {
                dt { "AccessKeyId" } dd { code #access-key { (id) } }
                dt { "AccessKeySecret" } dd { code #secret { (secret) } }
                dt { "SecurityToken" } dd { code #token { (token) } }
                dt { (t("May do", "允许")) } dd { (may(s.visit.lang, taken.keys.content)) }
            }
            p { "aws s3" } pre #aws { (aws) }
            p { "rclone" } pre #rclone { (rclone) }
            p { "ossutil" } pre #ossutil { (ossutil) }
            p { "oss2 (Python)" } pre #oss2 { (oss2) }
        }
    };
    inside(&s.visit, StatusCode::OK, t("Temporary keys", "临时密钥"), Some(Here::Targets), &main)
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What keys are good for.
pub(super) fn may(lang: Lang, content: bool) -> &'static str {
    if content {
        lang.t("list and read", "列出与读取")
    } else {
        lang.t("names, sizes and settings; no content", "名称、大小与设置，不含内容")
    }
}

/// Keys as a table; `end` is the button that ends a set.
pub(super) fn table(visit: &Visit, all: &[ObjectKeys], end: &dyn Fn(&ObjectKeys) -> Markup) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        table.tbl { thead { tr { th { (t("Objects", "对象")) } th { (t("Taken", "领取")) } th { (t("Opened", "已打开")) } th { (t("State", "状态")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
            @for k in all { tr id=(k.id) {
                th scope="row" { code { (k.scope) } span.sub { (k.id) " · " (k.pseudonym) " · " (k.grant) " · " (k.ticket) " · " (may(visit.lang, k.content)) } }
                td data-l=(t("Taken", "领取")) { (time(k.taken_at)) }
                td.num data-l=(t("Opened", "已打开")) { (k.opened) }
                td data-l=(t("State", "状态")) { @match &k.ended {
                    None => { span.chip.ok { (icon("hand")) (t("Good", "有效")) } small { (t("until ", "至 ")) (time(k.until)) } }
                    Some(ended) => { span.chip { (icon("check")) (t("Ended", "已结束")) } small { (ended.why) " · " (time(ended.at)) } }
                } }
                td.act { @if k.ended.is_none() { (end(k)) } }
            } }
        } }
    }
}

/// The tenant's button.
pub(super) fn cut_button(visit: &Visit, keys: &ObjectKeys) -> Markup {
    html! {
        form id={ "cut-" (keys.id) } method="post" action={ "/console/sessions/" (keys.id) "/cut" } { (csrf(visit))
            button.btn.slim.stop { (visit.lang.t("Cut now", "立即中断")) } }
    }
}
