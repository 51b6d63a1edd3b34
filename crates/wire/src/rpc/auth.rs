//! Who signed a request, and whether the signature holds: V1 (HMAC-SHA1), V3 (SHA-256, SM3), V4 (contract §2).

use std::collections::BTreeMap;

use bailee_types::{SecretText, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use sm3::{Digest as _, Sm3};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::SKEW_MS_MAX;
use super::error::RpcError;
use super::request::{RpcRequest, header};
use crate::object::encode::{hmac_sha1, hmac_sha256, percent_encode, sha256};

/// Headers that a V3 or V4 signature must cover.
const SIGNED_ALWAYS: &[&str] =
    &["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"];
/// Headers that it must cover when they are sent.
const SIGNED_WHEN_SENT: &[&str] = &["x-acs-security-token", "x-acs-accesskey-id", "x-acs-bearer-token"];
const NONCE_CHARS_MAX: usize = 128;

/// The signing scheme.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// `Signature` in the query, HMAC-SHA1.
    V1,
    /// `ACS3-HMAC-SHA256`.
    V3,
    /// `ACS3-HMAC-SM3`.
    V3Sm3,
    /// `ACS4-HMAC-SHA256` with a day key.
    V4,
}

impl Scheme {
    /// The name of the algorithm.
    pub fn word(self) -> &'static str {
        match self {
            Self::V1 => "HMAC-SHA1",
            Self::V3 => "ACS3-HMAC-SHA256",
            Self::V3Sm3 => "ACS3-HMAC-SM3",
            Self::V4 => "ACS4-HMAC-SHA256",
        }
    }
}

/// A parsed signature, not yet believed.
pub struct Signed {
    pub(super) scheme: Scheme,
    pub(super) access_key_id: String,
    pub(super) nonce: String,
    pub(super) date: Timestamp,
    pub(super) string_to_sign: String,
    pub(super) scope: Option<Scope>,
    pub(super) signature: Vec<u8>,
    pub(super) token: Option<SecretText>,
}

pub(super) struct Scope {
    date: String,
    region: String,
    product: String,
}

impl RpcRequest<'_> {
    /// Reads the signature.
    ///
    /// # Errors
    /// When there is none, it is malformed, of a scheme that is not served, or its date lies outside 15 minutes.
    pub fn signed(&self, now: Timestamp) -> Result<Signed, RpcError> {
        let header = self.header("authorization")?;
        let bearer = self.header("x-acs-bearer-token")?.is_some() || self.argument("BearerToken").is_some();
        if bearer {
            return Err(unsupported("Bearer tokens are not served; sign with an AccessKey."));
        }
        let token = match (self.header("x-acs-security-token")?, self.argument("SecurityToken")) {
            (Some(a), Some(b)) if a != b => {
                return Err(RpcError::invalid(
                    "SecurityToken",
                    "Header and parameter hold different tokens.",
                ));
            }
            (a, b) => a.or(b).filter(|t| !t.is_empty()).map(|t| SecretText::new(t.to_owned())),
        };
        let signed = match (header, self.argument("Signature")) {
            (Some(_), Some(_)) => {
                return Err(RpcError::new(
                    400,
                    "IncompleteSignature",
                    "Sign in the header or in the query, not in both.",
                ));
            }
            (Some(value), None) => self.modern(value)?,
            (None, Some(signature)) => self.legacy(signature)?,
            (None, None) => {
                return Err(RpcError::new(400, "IncompleteSignature", "The request is not signed."));
            }
        };
        signed.is_of(now)?;
        Ok(Signed { token, ..signed })
    }

    fn legacy(&self, signature: &str) -> Result<Signed, RpcError> {
        if self.argument("SignatureType").is_some_and(|t| !t.is_empty()) {
            return Err(unsupported(
                "Signatures by key pair or bearer token are not served; use HMAC-SHA1 or V3.",
            ));
        }
        if self.required("SignatureMethod")? != "HMAC-SHA1" || self.required("SignatureVersion")? != "1.0" {
            return Err(unsupported("SignatureMethod must be HMAC-SHA1 and SignatureVersion 1.0."));
        }
        let mut all: Vec<_> =
            self.query.iter().chain(&self.form).filter(|(name, _)| *name != "Signature").collect();
        all.sort();
        let mut canonical = Vec::new();
        for (i, (name, value)) in all.iter().enumerate() {
            if i > 0 {
                canonical.push(b'&');
            }
            percent_encode(&mut canonical, name.as_bytes(), false);
            canonical.push(b'=');
            percent_encode(&mut canonical, value.as_bytes(), false);
        }
        let mut text = format!("{}&%2F&", self.parts.method).into_bytes();
        percent_encode(&mut text, &canonical, false);
        let date = self.required("Timestamp")?;
        Ok(Signed {
            scheme: Scheme::V1,
            access_key_id: key_id(self.required("AccessKeyId")?)?,
            nonce: nonce(self.required("SignatureNonce")?)?,
            date: Timestamp::parse_iso(date).map_err(|_| illegal_time())?,
            string_to_sign: String::from_utf8(text).unwrap_or_default(),
            scope: None,
            signature: base64_bytes(signature),
            token: None,
        })
    }

    fn modern(&self, value: &str) -> Result<Signed, RpcError> {
        let Shown { scheme, algorithm, credential, names, signature } = shown(value)?;
        covers(&names, SIGNED_ALWAYS, self.parts)?;
        let (id, scope) = if scheme == Scheme::V4 { self.scope(credential)? } else { (credential, None) };
        if let Some(other) = self.header("x-acs-accesskey-id")?.filter(|other| *other != id) {
            return Err(malformed(&format!(
                "names another AccessKey than x-acs-accesskey-id ({} characters)",
                other.len()
            )));
        }
        let date = self.header("x-acs-date")?.unwrap_or_default();
        let date = Timestamp::parse_iso(date).map_err(|_| illegal_time())?;
        if scope.as_ref().is_some_and(|s| !date.basic().starts_with(&s.date)) {
            return Err(malformed("has a scope of another day than x-acs-date"));
        }
        Ok(Signed {
            scheme,
            access_key_id: key_id(id)?,
            nonce: nonce(self.header("x-acs-signature-nonce")?.unwrap_or_default())?,
            date,
            string_to_sign: self.modern_string(scheme, algorithm, &names)?,
            scope,
            signature: hex::decode(signature).unwrap_or_default(),
            token: None,
        })
    }

    fn scope<'c>(&self, credential: &'c str) -> Result<(&'c str, Option<Scope>), RpcError> {
        let mut parts = credential.split('/');
        let found = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(id), Some(date), Some(region), Some(product), Some("aliyun_v4_request"), None) = found
        else {
            return Err(RpcError::new(400, "IncompleteSignature", "The credential's scope is malformed."));
        };
        if product != self.operation().product.name {
            return Err(RpcError::new(
                400,
                "IncompleteSignature",
                "The credential's scope names another product.",
            ));
        }
        let scope = Scope { date: date.into(), region: region.into(), product: product.into() };
        Ok((id, Some(scope)))
    }

    fn modern_string(&self, scheme: Scheme, algorithm: &str, names: &[&str]) -> Result<String, RpcError> {
        // The hash that was signed must be that of the body that came.
        let body_hash = if scheme == Scheme::V3Sm3 {
            hex::encode(Sm3::digest(self.body))
        } else {
            hex::encode(sha256(self.body))
        };
        let claimed = self.header("x-acs-content-sha256")?.unwrap_or_default();
        if !bool::from(claimed.as_bytes().ct_eq(body_hash.as_bytes())) {
            return Err(RpcError::new(
                400,
                "SignatureDoesNotMatch",
                "Specified signature is not matched with our calculation. server string to sign is:the hash in \
                 x-acs-content-sha256 is not that of the body",
            ));
        }
        string_to_sign(self.parts, ("/", &self.query), (scheme, algorithm), names, &body_hash)
    }
}

/// An authorization header, taken apart.
pub(super) struct Shown<'v> {
    pub(super) scheme: Scheme,
    pub(super) algorithm: &'v str,
    pub(super) credential: &'v str,
    pub(super) names: Vec<&'v str>,
    pub(super) signature: &'v str,
}

pub(super) fn malformed(why: &str) -> RpcError {
    RpcError::new(400, "IncompleteSignature", format!("The authorization header {why}."))
}

pub(super) fn shown(value: &str) -> Result<Shown<'_>, RpcError> {
    let (algorithm, rest) = value.split_once(' ').ok_or_else(|| malformed("has no parameters"))?;
    let scheme = match algorithm {
        "ACS3-HMAC-SHA256" => Scheme::V3,
        "ACS3-HMAC-SM3" => Scheme::V3Sm3,
        "ACS4-HMAC-SHA256" => Scheme::V4,
        _ => {
            return Err(unsupported(
                "The signature algorithm must be ACS3-HMAC-SHA256, ACS3-HMAC-SM3 or ACS4-HMAC-SHA256.",
            ));
        }
    };
    let (mut credential, mut names, mut signature) = (None, None, None);
    for part in rest.split(',') {
        let (name, value) = part.trim().split_once('=').ok_or_else(|| malformed("is malformed"))?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut names,
            "Signature" => &mut signature,
            _ => return Err(malformed("holds an unknown part")),
        };
        if slot.replace(value).is_some() {
            return Err(malformed("holds a part twice"));
        }
    }
    let (Some(credential), Some(names), Some(signature)) = (credential, names, signature) else {
        return Err(malformed("must hold Credential, SignedHeaders and Signature"));
    };
    Ok(Shown { scheme, algorithm, credential, names: names.split(';').collect(), signature })
}

/// Whether a signature covers what it must.
pub(super) fn covers(names: &[&str], always: &[&str], parts: &Parts) -> Result<(), RpcError> {
    for needed in always {
        if !names.contains(needed) {
            return Err(malformed(&format!("does not sign {needed}")));
        }
    }
    for sent in SIGNED_WHEN_SENT {
        if parts.headers.contains_key(*sent) && !names.contains(sent) {
            return Err(malformed(&format!("does not sign {sent}")));
        }
    }
    Ok(())
}

/// What a V3 or V4 signature is over.
pub(super) fn string_to_sign(
    parts: &Parts,
    (path, query): (&str, &BTreeMap<String, String>),
    (scheme, algorithm): (Scheme, &str),
    names: &[&str],
    body_hash: &str,
) -> Result<String, RpcError> {
    let mut canonical = Vec::with_capacity(1024);
    canonical.extend_from_slice(format!("{}\n{path}\n", parts.method).as_bytes());
    for (i, (name, value)) in query.iter().enumerate() {
        if i > 0 {
            canonical.push(b'&');
        }
        percent_encode(&mut canonical, name.as_bytes(), false);
        canonical.push(b'=');
        percent_encode(&mut canonical, value.as_bytes(), false);
    }
    canonical.push(b'\n');
    for name in names {
        let value = header(parts, name)?.ok_or_else(|| {
            let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            RpcError::new(400, "IncompleteSignature", format!("The signed header {name} was not sent."))
        })?;
        canonical.extend_from_slice(format!("{name}:{value}\n").as_bytes());
    }
    canonical.extend_from_slice(format!("\n{}\n{body_hash}", names.join(";")).as_bytes());
    let hash = if scheme == Scheme::V3Sm3 {
        hex::encode(Sm3::digest(&canonical))
    } else {
        hex::encode(sha256(&canonical))
    };
    Ok(format!("{algorithm}\n{hash}"))
}

impl Signed {
    pub(super) fn is_of(&self, now: Timestamp) -> Result<(), RpcError> {
        if (now.ms() - self.date.ms()).abs() <= SKEW_MS_MAX {
            return Ok(());
        }
        Err(RpcError::new(
            400,
            "InvalidTimeStamp.Expired",
            format!("Specified time stamp or date value is expired. The server's time is {}.", now.iso()),
        ))
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The claimed AccessKey id.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The nonce, to be remembered with the act.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The security token that the request carries. It is bound to nothing until somebody checks it.
    pub fn security_token(&self) -> Option<&str> {
        self.token.as_ref().map(SecretText::expose)
    }

    /// Recomputes the signature; compares in constant time.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`, with our string to sign behind the colon that the legacy SDK looks for.
    pub fn verify(&self, secret: &SecretText) -> Result<(), RpcError> {
        let text = self.string_to_sign.as_bytes();
        let ours: Vec<u8> = match (self.scheme, &self.scope) {
            (Scheme::V1, _) => {
                let key = Zeroizing::new(format!("{}&", secret.expose()));
                hmac_sha1(key.as_bytes(), text).to_vec()
            }
            (Scheme::V3, _) => hmac_sha256(secret.expose().as_bytes(), text).to_vec(),
            (Scheme::V3Sm3, _) => {
                let mac = Hmac::<Sm3>::new_from_slice(secret.expose().as_bytes());
                mac.map(|m| m.chain_update(text).finalize().into_bytes().to_vec()).unwrap_or_default()
            }
            (Scheme::V4, Some(scope)) => {
                let first = Zeroizing::new(format!("aliyun_v4{}", secret.expose()));
                let mut key = Zeroizing::new(hmac_sha256(first.as_bytes(), scope.date.as_bytes()));
                for part in [scope.region.as_str(), scope.product.as_str(), "aliyun_v4_request"] {
                    key = Zeroizing::new(hmac_sha256(&key[..], part.as_bytes()));
                }
                hmac_sha256(&key[..], text).to_vec()
            }
            (Scheme::V4, None) => Vec::new(),
        };
        // An empty value never fits: a signature that could not be decoded is empty.
        if !ours.is_empty() && bool::from(ours.ct_eq(&self.signature)) {
            return Ok(());
        }
        Err(RpcError::new(
            400,
            "SignatureDoesNotMatch",
            format!(
                "Specified signature is not matched with our calculation. server string to sign is:{}",
                self.string_to_sign
            ),
        ))
    }
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed({:?} by {})", self.scheme, self.access_key_id)
    }
}

pub(super) fn key_id(text: &str) -> Result<String, RpcError> {
    if (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(RpcError::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."))
    }
}

pub(super) fn nonce(text: &str) -> Result<String, RpcError> {
    if (1..=NONCE_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(RpcError::invalid(
            "SignatureNonce",
            "The signature nonce must have 1 to 128 visible ASCII characters.",
        ))
    }
}

pub(super) fn illegal_time() -> RpcError {
    RpcError::new(400, "IllegalTimestamp", "The time of the request must look like 2026-01-02T03:04:05Z.")
}

pub(super) fn unsupported(text: &str) -> RpcError {
    RpcError::new(400, "UnsupportedSignatureMethod", text)
}

/// The decoded signature; empty when it is not canonical base64.
fn base64_bytes(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}
