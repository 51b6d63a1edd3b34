//! The same signature (V3) over requests in REST's style: method, path, query and headers, and the body by its hash.
//!
//! The head alone says who asks, so a stranger's body need not be read; [`RestSigned::fits`] then compares the body that came.

use std::collections::BTreeMap;

use bailee_types::{SecretText, Timestamp};
use http::request::Parts;
use sm3::{Digest as _, Sm3};
use subtle::ConstantTimeEq;

use super::auth::{
    Scheme, Shown, Signed, covers, illegal_time, key_id, malformed, nonce, shown, string_to_sign, unsupported,
};
use super::error::RpcError;
use super::request::{header, pairs};
use crate::object::encode::sha256;

/// Headers that a signature must cover.
const SIGNED_ALWAYS: &[&str] = &["host", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"];

/// The head of a request, decoded and not yet believed.
pub struct RestRequest<'a> {
    parts: &'a Parts,
    query: BTreeMap<String, String>,
}

/// A parsed signature, not yet believed, and the hash of the body that it covers.
pub struct RestSigned {
    /// Who signed it, and whether he did.
    pub signed: Signed,
    body_hash: String,
}

impl<'a> RestRequest<'a> {
    /// Reads a head.
    ///
    /// # Errors
    /// When its query cannot be decoded.
    pub fn read(parts: &'a Parts) -> Result<Self, RpcError> {
        Ok(Self { parts, query: pairs(parts.uri.query().unwrap_or_default())? })
    }

    /// The arguments of its query.
    pub fn query(&self) -> &BTreeMap<String, String> {
        &self.query
    }

    /// Reads the signature.
    ///
    /// # Errors
    /// When there is none, it is malformed, not V3, covers too little, or its date lies outside 15 minutes.
    pub fn signed(&self, now: Timestamp) -> Result<RestSigned, RpcError> {
        let value = header(self.parts, "authorization")?
            .ok_or_else(|| RpcError::new(401, "IncompleteSignature", "The request is not signed."))?;
        let Shown { scheme, algorithm, credential, names, signature } = shown(value)?;
        if !matches!(scheme, Scheme::V3 | Scheme::V3Sm3) {
            return Err(unsupported("Sign with ACS3-HMAC-SHA256 or ACS3-HMAC-SM3."));
        }
        covers(&names, SIGNED_ALWAYS, self.parts)?;
        if header(self.parts, "x-acs-accesskey-id")?.is_some_and(|other| other != credential) {
            return Err(malformed("names another AccessKey than x-acs-accesskey-id"));
        }
        let date = header(self.parts, "x-acs-date")?.unwrap_or_default();
        let body_hash = header(self.parts, "x-acs-content-sha256")?.unwrap_or_default().to_owned();
        let place = (self.parts.uri.path(), &self.query);
        let token = header(self.parts, "x-acs-security-token")?.filter(|t| !t.is_empty());
        let signed = Signed {
            scheme,
            access_key_id: key_id(credential)?,
            nonce: nonce(header(self.parts, "x-acs-signature-nonce")?.unwrap_or_default())?,
            date: Timestamp::parse_iso(date).map_err(|_| illegal_time())?,
            string_to_sign: string_to_sign(self.parts, place, (scheme, algorithm), &names, &body_hash)?,
            scope: None,
            signature: hex::decode(signature).unwrap_or_default(),
            token: token.map(|t| SecretText::new(t.to_owned())),
        };
        signed.is_of(now)?;
        Ok(RestSigned { signed, body_hash })
    }
}

impl RestSigned {
    /// Whether this is the body whose hash was signed.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub fn fits(&self, body: &[u8]) -> Result<(), RpcError> {
        let hash = match self.signed.scheme() {
            Scheme::V3Sm3 => hex::encode(Sm3::digest(body)),
            _ => hex::encode(sha256(body)),
        };
        if bool::from(self.body_hash.as_bytes().ct_eq(hash.as_bytes())) {
            return Ok(());
        }
        let why = "The hash in x-acs-content-sha256 is not that of the body.";
        Err(RpcError::new(400, "SignatureDoesNotMatch", why))
    }
}
