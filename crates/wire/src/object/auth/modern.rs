//! OSS V4 and AWS SigV4: one algorithm, two tables of words.
//!
//! The canonical request is method, path, query, headers, header list and payload hash; its SHA-256 goes with date
//! and scope into one HMAC under the day key (contract §2; AWS "Signature calculations for the Authorization
//! header").
//! INVARIANT: the canonical path and query are encoded anew from decoded values, so `dir%2Fk` and `dir/k` sign alike.
//! INVARIANT (SigV4): `host` and every `x-amz-*` header that is present is signed, else the request is refused.

use bailee_types::{SecretText, Timestamp};
use http::{HeaderName, HeaderValue};

use super::keys::{DayKey, Scope, derive};
use super::{
    PRESIGNED_SECONDS_MAX, Payload, SKEW_MS_MAX, Scheme, Signed, Terms, any_date, expired, key_id, no_date,
    same, within_skew,
};
use crate::object::chunk::ChunkContext;
use crate::object::dialect::Dialect;
use crate::object::encode::{hmac_sha256, is_hex64, percent_encode, sha256};
use crate::object::error::{Code, ObjectError};
use crate::object::head::Head;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const HEADER_LIST_MAX: usize = 64;

/// What a V4 signature consists of.
#[derive(Clone)]
pub(super) struct Proof {
    /// `20260102T030405Z`.
    date_text: String,
    /// `20260102` as the scope says.
    scope_date: String,
    region: String,
    /// SignedHeaders or AdditionalHeaders, lower case, in the sender's order.
    headers: Vec<String>,
    /// 64 lower-case hex digits.
    signature: String,
    /// Validity of a presigned address, in seconds.
    expires: Option<i64>,
}

/// `Authorization: <algorithm> Credential=…, SignedHeaders=…, Signature=…`; both separators, any order.
pub(super) fn header(head: &Head<'_>, scheme: Scheme, rest: &str) -> Result<Signed, ObjectError> {
    let words = head.words();
    let wrong = || ObjectError::new(Code::AuthHeaderMalformed);
    let (mut credential, mut list, mut signature) = (None, None, None);
    for field in rest.split(',') {
        let (name, value) = field.trim().split_once('=').ok_or_else(wrong)?;
        let slot = match name.trim() {
            "Credential" => &mut credential,
            "Signature" => &mut signature,
            other if other == words.header_list => &mut list,
            _ => return Err(wrong()),
        };
        if slot.replace(value.trim()).is_some() {
            return Err(wrong());
        }
    }
    let date = match head.header(words.date)? {
        Some(date) => Timestamp::parse_basic(date).ok(),
        None => head.header("date")?.and_then(any_date),
    };
    let date = date.ok_or_else(|| no_date(head.dialect))?;
    let parts = Parts {
        scheme,
        code: Code::AuthHeaderMalformed,
        credential: credential.ok_or_else(wrong)?,
        list: list.unwrap_or_default(),
        signature: signature.ok_or_else(wrong)?,
        date,
        expires: None,
        token: head.header(words.security_token)?,
    };
    signed(head, parts)
}

/// Signature parameters in the address.
pub(super) fn presigned(head: &Head<'_>, scheme: Scheme) -> Result<Signed, ObjectError> {
    let words = head.words();
    let need = |name: &'static str| {
        head.param(name).ok_or_else(|| {
            ObjectError::because(
                Code::AuthQueryMalformed,
                format!("A signed address needs the parameter `{name}`."),
            )
        })
    };
    if need(words.q_algorithm)? != words.algorithm {
        let text = format!("`{}` only supports `{}`.", words.q_algorithm, words.algorithm);
        return Err(ObjectError::because(Code::AuthQueryMalformed, text));
    }
    let expires = Some(need(words.q_expires)?)
        .filter(|e| (1..=9).contains(&e.len()) && e.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|e| e.parse::<i64>().ok())
        .filter(|e| (1..=PRESIGNED_SECONDS_MAX).contains(e))
        .ok_or_else(|| {
            let text = format!("`{}` must be 1 to {PRESIGNED_SECONDS_MAX} seconds.", words.q_expires);
            ObjectError::because(Code::AuthQueryMalformed, text)
        })?;
    let date = Timestamp::parse_basic(need(words.q_date)?).map_err(|_| {
        ObjectError::because(
            Code::AuthQueryMalformed,
            format!("`{}` must have the form 20260102T030405Z.", words.q_date),
        )
    })?;
    let list = match head.dialect {
        Dialect::S3 => need(words.q_headers)?,
        Dialect::Oss => head.param(words.q_headers).unwrap_or_default(),
    };
    let parts = Parts {
        scheme,
        code: Code::AuthQueryMalformed,
        credential: need(words.q_credential)?,
        list,
        signature: need(words.q_signature)?,
        date,
        expires: Some(expires),
        token: head.param(words.q_token),
    };
    signed(head, parts)
}

struct Parts<'a> {
    scheme: Scheme,
    /// What to answer when a part is wrong.
    code: Code,
    credential: &'a str,
    list: &'a str,
    signature: &'a str,
    date: Timestamp,
    expires: Option<i64>,
    token: Option<&'a str>,
}

fn signed(head: &Head<'_>, parts: Parts<'_>) -> Result<Signed, ObjectError> {
    let words = head.words();
    let wrong = |text: String| ObjectError::because(parts.code, text);
    let mut fields = parts.credential.rsplitn(5, '/');
    let (Some(end), Some(service), Some(region), Some(date), Some(id)) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        let text = format!(
            "The credential must be AccessKeyId/yyyymmdd/region/{}/{}.",
            words.service, words.terminator
        );
        return Err(wrong(text));
    };
    if service != words.service || end != words.terminator {
        return Err(wrong(format!("The credential must end with {}/{}.", words.service, words.terminator)));
    }
    let date_text = parts.date.basic();
    if date.len() != 8 || !date_text.starts_with(date) {
        return Err(wrong("The credential's date is not the same as the request's date.".to_owned()));
    }
    if region.is_empty()
        || region.len() > 64
        || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        return Err(wrong("The credential's region is not valid.".to_owned()));
    }
    let headers: Vec<String> =
        parts.list.split(';').filter(|n| !n.is_empty()).map(str::to_ascii_lowercase).collect();
    if headers.len() > HEADER_LIST_MAX {
        return Err(wrong("Too many headers are signed.".to_owned()));
    }
    if head.dialect == Dialect::S3 && headers.is_empty() {
        return Err(wrong("No headers are signed; sign at least `host`.".to_owned()));
    }
    if !is_hex64(parts.signature) {
        return Err(wrong("The signature must be 64 lower-case hex digits.".to_owned()));
    }
    Ok(Signed {
        scheme: parts.scheme,
        access_key_id: key_id(id)?,
        security_token: parts.token.map(str::to_owned),
        date: parts.date,
        proof: super::Proof::Modern(Box::new(Proof {
            date_text,
            scope_date: date.to_owned(),
            region: region.to_owned(),
            headers,
            signature: parts.signature.to_owned(),
            expires: parts.expires,
        })),
    })
}

pub(super) fn verify(
    signed: &Signed,
    proof: &Proof,
    head: &Head<'_>,
    secret: &SecretText,
    terms: &Terms<'_>,
) -> Result<Payload, ObjectError> {
    let words = head.words();
    in_time(signed, proof, terms)?;
    if !terms.regions.is_empty() && !terms.regions.contains(&proof.region.as_str()) {
        return Err(wrong_region(head, proof, terms));
    }
    if head.dialect == Dialect::S3 {
        everything_signed(head, proof)?;
    }
    let hash = payload_hash(head, proof)?;
    let canonical = canonical_request(head, proof, hash)?;
    let scope = format!("{}/{}/{}/{}", proof.scope_date, proof.region, words.service, words.terminator);
    let text =
        format!("{}\n{}\n{scope}\n{}", words.algorithm, proof.date_text, hex::encode(sha256(&canonical)));
    let key_scope = Scope {
        dialect: head.dialect,
        access_key_id: &signed.access_key_id,
        date: &proof.scope_date,
        region: &proof.region,
    };
    let key = terms.keys.map_or_else(|| derive(secret, key_scope), |keys| keys.day_key(secret, key_scope));
    let mut computed = [0; 64];
    let _ = hex::encode_to_slice(hmac_sha256(key.as_slice(), text.as_bytes()), &mut computed);
    if !same(&computed, proof.signature.as_bytes()) {
        let id = if head.dialect == Dialect::Oss { "OSSAccessKeyId" } else { "AWSAccessKeyId" };
        return Err(ObjectError::new(Code::SignatureDoesNotMatch)
            .with(id, &signed.access_key_id)
            .with("SignatureProvided", &proof.signature)
            .with("StringToSign", text));
    }
    payload(head.dialect, hash, key, proof, scope)
}

/// The signature of a canonical request in OSS's words.
pub(in crate::object) fn oss_v4_signature(
    secret: &SecretText,
    (access_key_id, region): (&str, &str),
    date: &str,
    canonical: &[u8],
) -> String {
    let words = Dialect::Oss.words();
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/{}/{}", words.service, words.terminator);
    let text = format!("{}\n{date}\n{scope}\n{}", words.algorithm, hex::encode(sha256(canonical)));
    let key = derive(secret, Scope { dialect: Dialect::Oss, access_key_id, date: day, region });
    hex::encode(hmac_sha256(key.as_slice(), text.as_bytes()))
}

fn in_time(signed: &Signed, proof: &Proof, terms: &Terms<'_>) -> Result<(), ObjectError> {
    let Some(seconds) = proof.expires else { return within_skew(signed.date, terms.now) };
    if signed.date > terms.now.plus_ms(SKEW_MS_MAX) {
        return Err(ObjectError::because(Code::AccessDenied, "Request is not valid yet.")
            .with("X-Date", signed.date.iso_ms())
            .with("ServerTime", terms.now.iso_ms()));
    }
    let ends = signed.date.plus_ms(seconds.saturating_mul(1000));
    if terms.now >= ends { Err(expired(ends, terms.now)) } else { Ok(()) }
}

fn wrong_region(head: &Head<'_>, proof: &Proof, terms: &Terms<'_>) -> ObjectError {
    let code = if proof.expires.is_some() { Code::AuthQueryMalformed } else { Code::AuthHeaderMalformed };
    let expected = terms.regions.first().copied().unwrap_or_default();
    let text = match head.dialect {
        Dialect::Oss => format!(
            "Invalid signing region in Authorization header: `{}`; expecting `{expected}`.",
            proof.region
        ),
        Dialect::S3 => format!(
            "The authorization header is malformed; the region '{}' is wrong; expecting '{expected}'",
            proof.region
        ),
    };
    ObjectError::because(code, text).with("Region", expected)
}

fn everything_signed(head: &Head<'_>, proof: &Proof) -> Result<(), ObjectError> {
    let listed = |name: &str| proof.headers.iter().any(|h| h == name);
    let missing: Vec<&str> = std::iter::once("host")
        .chain(head.parts.headers.keys().map(HeaderName::as_str).filter(|n| n.starts_with("x-amz-")))
        .filter(|name| !listed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = "There were headers present in the request which were not signed.";
    Err(ObjectError::because(Code::AccessDenied, text).with("HeadersNotSigned", missing.join(", ")))
}

/// The canonical request's last line.
fn payload_hash<'a>(head: &Head<'a>, proof: &Proof) -> Result<&'a str, ObjectError> {
    let words = head.words();
    match head.header(words.content_sha256)? {
        Some(hash) => Ok(hash),
        None if head.dialect == Dialect::S3 && proof.expires.is_none() => Err(ObjectError::because(
            Code::InvalidRequest,
            "Missing required header for this request: x-amz-content-sha256",
        )),
        None => Ok(UNSIGNED),
    }
}

fn payload(
    dialect: Dialect,
    hash: &str,
    key: DayKey,
    proof: &Proof,
    scope: String,
) -> Result<Payload, ObjectError> {
    let context = || ChunkContext::new(key, proof.date_text.clone(), scope, proof.signature.clone());
    if is_hex64(hash) {
        let mut bytes = [0; 32];
        hex::decode_to_slice(hash, &mut bytes).map_err(|_| ObjectError::new(Code::InvalidArgument))?;
        return Ok(Payload::Sha256(bytes));
    }
    if hash == UNSIGNED {
        return Ok(Payload::Unsigned);
    }
    if dialect == Dialect::Oss {
        let text = "x-oss-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.";
        return Err(ObjectError::because(Code::InvalidArgument, text));
    }
    match (hash, proof.expires) {
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", _) => Ok(Payload::StreamingUnsignedTrailer),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", None) => Ok(Payload::StreamingSigned(context())),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", None) => {
            Ok(Payload::StreamingSignedTrailer(context()))
        }
        _ => Err(ObjectError::because(
            Code::InvalidArgument,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
             STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        )),
    }
}

fn canonical_request(head: &Head<'_>, proof: &Proof, hash: &str) -> Result<Vec<u8>, ObjectError> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(head.parts.method.as_str().as_bytes());
    out.push(b'\n');
    match head.dialect {
        Dialect::Oss => percent_encode(&mut out, head.resource().as_bytes(), true),
        Dialect::S3 => percent_encode(&mut out, head.path.as_bytes(), true),
    }
    out.push(b'\n');
    write_query(&mut out, head, proof);
    out.push(b'\n');
    let headers = signed_headers(head, proof)?;
    write_headers(&mut out, &headers, head.dialect == Dialect::S3);
    out.push(b'\n');
    for (i, name) in proof.headers.iter().enumerate() {
        if i > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(hash.as_bytes());
    Ok(out)
}

/// Encoded pairs sorted by encoded name; OSS writes an empty value as the bare name.
fn write_query(out: &mut Vec<u8>, head: &Head<'_>, proof: &Proof) {
    let words = head.words();
    let mut pairs: Vec<Vec<u8>> = Vec::with_capacity(head.query.len());
    let mut names: Vec<(usize, usize)> = Vec::with_capacity(head.query.len());
    for param in &head.query {
        if proof.expires.is_some() && param.name == words.q_signature {
            continue;
        }
        let mut pair = Vec::with_capacity(param.name.len() + param.value.len() + 8);
        percent_encode(&mut pair, param.name.as_bytes(), false);
        names.push((pairs.len(), pair.len()));
        if head.dialect == Dialect::S3 || !param.value.is_empty() {
            pair.push(b'=');
            percent_encode(&mut pair, param.value.as_bytes(), false);
        }
        pairs.push(pair);
    }
    let name_of =
        |&(pair, len): &(usize, usize)| pairs.get(pair).and_then(|p| p.get(..len)).unwrap_or_default();
    names.sort_by(|a, b| name_of(a).cmp(name_of(b)));
    for (i, (pair, _)) in names.iter().enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(pairs.get(*pair).map(Vec::as_slice).unwrap_or_default());
    }
}

type HeaderRef<'a> = (&'a HeaderName, &'a HeaderValue);

/// S3: the listed headers in the listed order. OSS: `x-oss-*`, `content-type`, `content-md5` and the listed ones,
/// sorted.
fn signed_headers<'a>(head: &Head<'a>, proof: &Proof) -> Result<Vec<HeaderRef<'a>>, ObjectError> {
    let map = &head.parts.headers;
    let mut out: Vec<HeaderRef<'a>> = Vec::with_capacity(proof.headers.len() + 8);
    for name in &proof.headers {
        let before = out.len();
        out.extend(map.iter().filter(|(n, _)| n.as_str() == name));
        if out.len() == before {
            let text = "A header that was signed is not present in the request.";
            return Err(ObjectError::because(Code::SignatureDoesNotMatch, text)
                .with("SignedHeader", super::super::encode::shown(name)));
        }
    }
    if head.dialect == Dialect::Oss {
        let always = |n: &str| n.starts_with("x-oss-") || n == "content-type" || n == "content-md5";
        out.retain(|(n, _)| !always(n.as_str()));
        out.extend(map.iter().filter(|(n, _)| always(n.as_str())));
        out.sort_by_key(|(n, _)| n.as_str());
    }
    Ok(out)
}

/// `name:value\n` each; values of the same name are joined with a comma. SigV4 also folds runs of spaces.
pub(super) fn write_headers(out: &mut Vec<u8>, headers: &[HeaderRef<'_>], fold: bool) {
    let mut last: Option<&HeaderName> = None;
    for (name, value) in headers {
        if last == Some(*name) {
            out.push(b',');
        } else {
            if last.is_some() {
                out.push(b'\n');
            }
            out.extend_from_slice(name.as_str().as_bytes());
            out.push(b':');
        }
        last = Some(*name);
        let trimmed = value.as_bytes().trim_ascii();
        let mut space = false;
        for &byte in trimmed {
            if !(fold && space && byte == b' ') {
                out.push(byte);
            }
            space = byte == b' ';
        }
    }
    if last.is_some() {
        out.push(b'\n');
    }
}
