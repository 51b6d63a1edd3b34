//! Who signed a request to object storage, and whether the signature holds.
//!
//! Promises: [`parse`] names the claimed AccessKey id without trusting it; [`Signed::verify`] recomputes the
//! signature in constant-time comparison and says what the signature covers of the body ([`Payload`]).
//! Schemes: OSS V1 and V4, AWS SigV4, each by header and presigned (contract §2).
//! Refuses: OSS V2, AWS SigV2, signed requests in two ways at once, dates outside 15 minutes, presigned validity
//! over 7 days (V4), unsigned `host` or `x-amz-*` headers (SigV4), scopes of another region, service or day.
//! INVARIANT: a [`Verified`] exists only for a request whose signature was recomputed from the decoded values that
//! the typed request is read from.
//! INVARIANT: a security token is data here. OSS V1 may send it unsigned, so the server must bind a token to its
//! AccessKey id before it believes either.

mod form;
pub(crate) mod keys;
mod legacy;
mod modern;

use bailee_types::{SecretText, Timestamp};
use subtle::ConstantTimeEq;

pub use form::SignedForm;
pub use keys::SigningKeyCache;
pub(super) use modern::oss_v4_signature;

use super::chunk::ChunkContext;
use super::dialect::Dialect;
use super::error::{Code, ObjectError};
use super::head::Head;

/// How far a signing date may lie from now, either way.
pub const SKEW_MS_MAX: i64 = 15 * 60 * 1000;
/// Longest validity of a presigned V4 address, in seconds.
pub const PRESIGNED_SECONDS_MAX: i64 = 7 * 24 * 3600;

/// What a request says about its sender, not yet believed.
#[derive(Clone, Debug)]
pub enum Auth {
    /// No signature at all.
    Anonymous,
    /// A signature to verify.
    Signed(Signed),
}

/// The signing scheme of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// `Authorization: OSS ak:sig` (HMAC-SHA1).
    OssV1,
    /// `?OSSAccessKeyId=…&Expires=…&Signature=…`.
    OssV1Presigned,
    /// `Authorization: OSS4-HMAC-SHA256 …`.
    OssV4,
    /// `?x-oss-signature-version=OSS4-HMAC-SHA256…`.
    OssV4Presigned,
    /// `Authorization: AWS4-HMAC-SHA256 …`.
    SigV4,
    /// `?X-Amz-Algorithm=AWS4-HMAC-SHA256…`.
    SigV4Presigned,
}

impl Scheme {
    /// The name of the algorithm.
    pub fn word(self) -> &'static str {
        match self {
            Self::OssV1 | Self::OssV1Presigned => "OSS-HMAC-SHA1",
            Self::OssV4 | Self::OssV4Presigned => "OSS4-HMAC-SHA256",
            Self::SigV4 | Self::SigV4Presigned => "AWS4-HMAC-SHA256",
        }
    }

    /// Whether the signature travels in the address.
    pub fn is_presigned(self) -> bool {
        matches!(self, Self::OssV1Presigned | Self::OssV4Presigned | Self::SigV4Presigned)
    }
}

/// A parsed signature.
#[derive(Clone)]
pub struct Signed {
    scheme: Scheme,
    access_key_id: String,
    security_token: Option<String>,
    date: Timestamp,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    Legacy(legacy::Proof),
    Modern(Box<modern::Proof>),
}

/// What verification needs besides the request and the secret.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The present instant.
    pub now: Timestamp,
    /// The regions that a V4 scope may name; empty accepts any.
    pub regions: &'a [&'a str],
    /// Day keys already derived; `None` derives anew each time.
    pub keys: Option<&'a SigningKeyCache>,
}

/// A request whose signature held.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The scheme it was signed with.
    pub scheme: Scheme,
    /// The AccessKey id whose secret made the signature.
    pub access_key_id: String,
    /// What the signature says about the body.
    pub payload: Payload,
}

/// What a signature says about the body.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Nothing: the body is not covered.
    Unsigned,
    /// The body has this SHA-256.
    Sha256([u8; 32]),
    /// The body is aws-chunked and every chunk is signed.
    StreamingSigned(ChunkContext),
    /// As above, and a signed trailer follows.
    StreamingSignedTrailer(ChunkContext),
    /// The body is aws-chunked, chunks are unsigned, a trailer may follow.
    StreamingUnsignedTrailer,
}

impl Payload {
    /// Whether the body must go through the chunk decoder.
    pub fn is_chunked(&self) -> bool {
        !matches!(self, Self::Unsigned | Self::Sha256(_))
    }
}

/// Reads the signature of a request.
///
/// # Errors
/// `AuthHeaderMalformed`, `AuthQueryMalformed`, `InvalidRequest` (SigV2, two signatures), `AccessDenied` (OSS V2, no
/// date), `InvalidAccessKeyId` for an id that cannot exist.
pub fn parse(head: &Head<'_>) -> Result<Auth, ObjectError> {
    let header = head.header("authorization")?;
    let presigned = presigned_scheme(head)?;
    match (header, presigned) {
        (Some(_), Some(_)) => Err(ObjectError::because(
            Code::InvalidRequest,
            "Only one auth mechanism is allowed: sign in the header or in the query, not in both.",
        )),
        (None, None) => Ok(Auth::Anonymous),
        (None, Some(Scheme::OssV1Presigned)) => legacy::presigned(head).map(Auth::Signed),
        (None, Some(scheme)) => modern::presigned(head, scheme).map(Auth::Signed),
        (Some(value), None) => header_scheme(head, value).map(Auth::Signed),
    }
}

fn header_scheme(head: &Head<'_>, value: &str) -> Result<Signed, ObjectError> {
    let (name, rest) = value.split_once(' ').unwrap_or((value, ""));
    match name {
        "OSS" => legacy::header(head, rest.trim()),
        "OSS4-HMAC-SHA256" => modern::header(head, Scheme::OssV4, rest),
        "AWS4-HMAC-SHA256" => modern::header(head, Scheme::SigV4, rest),
        "OSS2" => Err(v2_refused()),
        "AWS" => Err(sigv2_refused()),
        _ => Err(ObjectError::because(
            Code::AuthHeaderMalformed,
            "The authorization mechanism is not supported.",
        )),
    }
}

fn presigned_scheme(head: &Head<'_>) -> Result<Option<Scheme>, ObjectError> {
    let amz = head.param("X-Amz-Algorithm").is_some() || head.param("X-Amz-Signature").is_some();
    let oss = head.param("x-oss-signature-version").or(head.param("x-oss-signature"));
    let oss1 = head.param("OSSAccessKeyId").is_some();
    if head.param("AWSAccessKeyId").is_some() {
        return Err(sigv2_refused());
    }
    match (amz, oss, oss1) {
        (false, None, false) => Ok(None),
        (true, None, false) => Ok(Some(Scheme::SigV4Presigned)),
        (false, None, true) => Ok(Some(Scheme::OssV1Presigned)),
        (false, Some("OSS2"), _) => Err(v2_refused()),
        (false, Some(_), false) => Ok(Some(Scheme::OssV4Presigned)),
        _ => Err(ObjectError::because(
            Code::InvalidRequest,
            "Only one auth mechanism is allowed in the query.",
        )),
    }
}

fn v2_refused() -> ObjectError {
    ObjectError::because(
        Code::AccessDenied,
        "Signature version OSS2 is not accepted; sign with OSS4-HMAC-SHA256.",
    )
}

fn sigv2_refused() -> ObjectError {
    ObjectError::because(
        Code::InvalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}

impl Signed {
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The AccessKey id the sender claims.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The STS token the sender shows. Bind it to the AccessKey id before believing it.
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }

    /// The signing date; for OSS V1 presigned addresses the end of validity.
    pub fn date(&self) -> Timestamp {
        self.date
    }

    /// Recomputes the signature with `secret` and compares.
    ///
    /// # Errors
    /// `RequestTimeTooSkewed`, `AccessDenied` (expired, unsigned headers), `SignatureDoesNotMatch`,
    /// `AuthHeaderMalformed` and `AuthQueryMalformed` (scope), `InvalidArgument` (payload hash).
    pub fn verify(
        &self,
        head: &Head<'_>,
        secret: &SecretText,
        terms: &Terms<'_>,
    ) -> Result<Verified, ObjectError> {
        let payload = match &self.proof {
            Proof::Legacy(proof) => legacy::verify(self, proof, head, secret, terms)?,
            Proof::Modern(proof) => modern::verify(self, proof, head, secret, terms)?,
        };
        Ok(Verified { scheme: self.scheme, access_key_id: self.access_key_id.clone(), payload })
    }
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed")
            .field("scheme", &self.scheme)
            .field("access_key_id", &self.access_key_id)
            .field("date", &self.date)
            .finish_non_exhaustive()
    }
}

/// An AccessKey id as text; the server looks it up and answers `InvalidAccessKeyId` itself when it is unknown.
fn key_id(text: &str) -> Result<String, ObjectError> {
    let ok = (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if ok { Ok(text.to_owned()) } else { Err(ObjectError::new(Code::InvalidAccessKeyId)) }
}

/// Constant-time comparison of a computed and a provided signature.
fn same(computed: &[u8], provided: &[u8]) -> bool {
    bool::from(computed.ct_eq(provided))
}

fn within_skew(date: Timestamp, now: Timestamp) -> Result<(), ObjectError> {
    if date.ms().abs_diff(now.ms()) <= SKEW_MS_MAX.unsigned_abs() {
        return Ok(());
    }
    Err(ObjectError::new(Code::RequestTimeTooSkewed)
        .with("RequestTime", date.iso_ms())
        .with("ServerTime", now.iso_ms())
        .with("MaxAllowedSkewMilliseconds", SKEW_MS_MAX.to_string()))
}

fn expired(at: Timestamp, now: Timestamp) -> ObjectError {
    ObjectError::because(Code::AccessDenied, "Request has expired.")
        .with("Expires", at.iso_ms())
        .with("ServerTime", now.iso_ms())
}

/// `Fri, 02 Jan 2026 03:04:05 GMT` or `20260102T030405Z`.
pub(super) fn any_date(text: &str) -> Option<Timestamp> {
    if let Ok(at) = Timestamp::parse_basic(text) {
        return Some(at);
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok().map(Timestamp::from_secs)
}

fn no_date(dialect: Dialect) -> ObjectError {
    let text = match dialect {
        Dialect::Oss => "OSS authentication requires a valid Date.",
        Dialect::S3 => "AWS authentication requires a valid Date or x-amz-date header.",
    };
    ObjectError::because(Code::AccessDenied, text)
}
