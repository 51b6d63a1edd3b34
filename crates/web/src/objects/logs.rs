//! Lines of access logs, as the real services write them.
//!
//! INVARIANT: a line is one line: what came from outside is cut, and holds neither quotes nor control characters.
//! INVARIANT: no signature and no token stands in it: parameters that carry one are left out of the address.

use std::net::SocketAddr;
use std::time::Instant;

use bailee_rooms::vault::Logging;
use bailee_types::{BucketName, TenantId, Timestamp};
use bailee_wire::object::{Code, Dialect, Target};
use http::request::Parts;
use http::{HeaderMap, header};

use super::HOST_ID;

/// Characters of a text from outside.
const TEXT_MAX: usize = 1_024;
/// Parameters that are left out.
const SECRET: [&str; 10] = [
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-credential",
    "x-oss-signature",
    "x-oss-security-token",
    "x-oss-credential",
    "signature",
    "security-token",
    "ossaccesskeyid",
    "awsaccesskeyid",
];

/// What is known of a request when its answer begins.
#[derive(Default)]
pub(super) struct Seen {
    /// Headers for a page of another origin.
    pub(super) page: Option<HeaderMap>,
    pub(super) target: Option<Target>,
    /// Who asks.
    pub(super) requester: Option<String>,
    pub(super) access_key: Option<String>,
    pub(super) is_presigned: bool,
    pub(super) scheme: Option<&'static str>,
    /// What is asked for, `GetObject`.
    pub(super) operation: Option<&'static str>,
}

/// What is known when the answer is made.
pub(super) struct Ended<'a> {
    pub(super) parts: &'a Parts,
    pub(super) peer: SocketAddr,
    pub(super) request_id: &'a str,
    pub(super) status: u16,
    pub(super) code: Option<Code>,
    pub(super) answer: &'a HeaderMap,
    pub(super) at: Timestamp,
    pub(super) begun: Instant,
    pub(super) secure: bool,
}

/// A text from outside, for a line.
fn safe(text: &str) -> String {
    text.chars().take(TEXT_MAX).map(|c| if c.is_control() || c == '"' { '?' } else { c }).collect()
}

/// A key as one word.
fn encoded(key: &str) -> String {
    let mut out = String::new();
    for b in key.bytes() {
        match b {
            b'/' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(b)),
            _ if b.is_ascii_alphanumeric() => out.push(char::from(b)),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn dash(text: Option<String>) -> String {
    text.filter(|t| !t.is_empty()).unwrap_or_else(|| "-".to_owned())
}

fn given(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|v| std::str::from_utf8(v.as_bytes()).ok()).map(safe)
}

/// The address without what signs it.
fn address(parts: &Parts) -> String {
    let query: Vec<&str> = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|p| !p.is_empty())
        .filter(|p| !SECRET.contains(&p.split('=').next().unwrap_or(p).to_ascii_lowercase().as_str()))
        .collect();
    let path = parts.uri.path();
    let whole = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
    safe(&whole)
}

/// `06/Feb/2026:00:00:38 +0000`.
fn time(at: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let iso = at.iso();
    let part = |range: std::ops::Range<usize>| iso.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().ok().and_then(|m| MONTHS.get(m.checked_sub(1)?)).copied();
    format!("{}/{}/{}:{} +0000", part(8..10), month.unwrap_or("-"), part(0..4), part(11..19))
}

/// The line of a request, in the words that the log's owner chose.
pub(super) fn line(
    to: &Logging,
    owner: &TenantId,
    bucket: &BucketName,
    seen: &Seen,
    ended: &Ended<'_>,
) -> String {
    let key = match &seen.target {
        // Encoded, so that it is one word.
        Some(Target::Object(_, key)) => Some(encoded(key.as_str())),
        _ => None,
    };
    let dialect = if to.s3 { Dialect::S3 } else { Dialect::Oss };
    let code = ended.code.map(|c| c.name(dialect).to_owned());
    let number = |name: header::HeaderName| {
        given(ended.answer, name).filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
    };
    let sent = number(header::CONTENT_LENGTH);
    let ms = ended.begun.elapsed().as_millis();
    let method = safe(ended.parts.method.as_str());
    let (address, when, host) = (
        address(ended.parts),
        time(ended.at),
        given(&ended.parts.headers, header::HOST).map(|h| h.replace(' ', "")),
    );
    let agent = dash(given(&ended.parts.headers, header::USER_AGENT));
    let referer = dash(given(&ended.parts.headers, header::REFERER));
    let ip = ended.peer.ip();
    let request_id = ended.request_id;
    if to.s3 {
        let kind = match &seen.target {
            Some(Target::Object(..)) => "OBJECT",
            Some(Target::Bucket(_)) => "BUCKET",
            _ => "SERVICE",
        };
        let auth = match (seen.scheme, seen.is_presigned) {
            (None, _) => "-",
            (_, true) => "QueryString",
            (_, false) => "AuthHeader",
        };
        let version = ended.answer.get("x-amz-version-id").and_then(|v| v.to_str().ok()).map(safe);
        return format!(
            "{owner} {bucket} [{when}] {ip} {who} {request_id} REST.{method}.{kind} {key} \"{method} {address} HTTP/1.1\" \
             {status} {code} {sent} - {ms} {ms} \"{referer}\" \"{agent}\" {version} {HOST_ID} {scheme} - {auth} {host} {tls} - -",
            who = dash(seen.requester.clone()),
            key = dash(key),
            status = ended.status,
            code = dash(code),
            sent = dash(sent),
            version = dash(version),
            scheme = seen.scheme.map_or("-", |s| if s.starts_with("AWS4") { "SigV4" } else { s }),
            host = dash(host),
            tls = if ended.secure { "TLS" } else { "-" },
        );
    }
    format!(
        "{ip} - - [{when}] \"{method} {address} HTTP/1.1\" {status} {sent} {ms} \"{referer}\" \"{agent}\" \"{host}\" \
         \"{request_id}\" \"true\" \"{who}\" \"{operation}\" \"{bucket}\" \"{key}\" - {ms} \"{code}\" - \"{owner}\" - \"-\" \
         \"-\" \"-\" \"-\" \"{access_key}\"",
        status = ended.status,
        sent = dash(sent),
        host = dash(host),
        who = dash(seen.requester.clone()),
        operation = seen.operation.unwrap_or("-"),
        key = dash(key),
        code = dash(code),
        access_key = dash(seen.access_key.clone()),
    )
}
