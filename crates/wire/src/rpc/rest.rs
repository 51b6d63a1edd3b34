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
use crate::object::encode::{hmac_sha256, percent_encode, sha256};

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

/// An AccessKey that signs requests in this style: the other side of [`RestRequest::signed`].
pub struct RestSigner {
    /// Its id.
    pub access_key_id: String,
    /// Its secret.
    pub secret: SecretText,
    /// The token of a session's key.
    pub token: Option<SecretText>,
}

/// A request that is signed: its path with the query, and its headers.
pub struct RestToSend {
    /// What stands behind the host.
    pub target: String,
    /// Names and values; `host` is among them.
    pub headers: Vec<(&'static str, String)>,
}

impl RestSigner {
    /// Signs a request. A nonce is good once.
    ///
    /// # Errors
    /// When the path or a header's value cannot be sent.
    pub fn sign(
        &self,
        (method, host, path): (&str, &str, &str),
        query: &[(&str, &str)],
        body: &[u8],
        (now, nonce): (Timestamp, &str),
    ) -> Result<RestToSend, RpcError> {
        let query: BTreeMap<String, String> =
            query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut target = path.as_bytes().to_vec();
        for (i, (name, value)) in query.iter().enumerate() {
            target.push(if i == 0 { b'?' } else { b'&' });
            percent_encode(&mut target, name.as_bytes(), false);
            target.push(b'=');
            percent_encode(&mut target, value.as_bytes(), false);
        }
        let target = String::from_utf8_lossy(&target).into_owned();
        let body_hash = hex::encode(sha256(body));
        // In the order in which they are signed.
        let mut headers = vec![
            ("host", host.to_owned()),
            ("x-acs-content-sha256", body_hash.clone()),
            ("x-acs-date", now.iso()),
        ];
        headers.extend(self.token.as_ref().map(|t| ("x-acs-security-token", t.expose().to_owned())));
        headers.push(("x-acs-signature-nonce", nonce.to_owned()));
        let mut request = http::Request::builder().method(method).uri(&target);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let wrong = |_| RpcError::new(400, "InvalidParameter", "The request cannot be sent as it is.");
        let (parts, ()) = request.body(()).map_err(wrong)?.into_parts();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let scheme = (Scheme::V3, Scheme::V3.word());
        let text = string_to_sign(&parts, (path, &query), scheme, &names, &body_hash)?;
        let signature = hex::encode(hmac_sha256(self.secret.expose().as_bytes(), text.as_bytes()));
        let (algorithm, id, names) = (scheme.1, &self.access_key_id, names.join(";"));
        headers.push((
            "authorization",
            format!("{algorithm} Credential={id},SignedHeaders={names},Signature={signature}"),
        ));
        Ok(RestToSend { target, headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_one_side_signs_the_other_verifies() {
        let secret = SecretText::new("s3cret".into());
        let now = Timestamp::from_secs(1_795_608_000);
        for token in [None, Some(SecretText::new("tok/en+=".into()))] {
            let signer =
                RestSigner { access_key_id: "LTAI5tabcdefghijklmnop".into(), secret: secret.clone(), token };
            let query = [("state", "a b&c=泵"), ("cursor", "G-1"), ("empty", "")];
            let sent = signer
                .sign(
                    ("POST", "trust.example:8420", "/api/v1/consents"),
                    &query,
                    b"{}",
                    (now, "nonce-0123456789"),
                )
                .unwrap();
            let mut request = http::Request::builder().method("POST").uri(&sent.target);
            for (name, value) in &sent.headers {
                request = request.header(*name, value);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let read = RestRequest::read(&parts).unwrap();
            assert_eq!(read.query().get("state").unwrap(), "a b&c=泵");
            let signed = read.signed(now).unwrap();
            signed.signed.verify(&secret).unwrap();
            assert_eq!(signed.signed.security_token(), signer.token.as_ref().map(SecretText::expose));
            assert!(signed.fits(b"{}").is_ok() && signed.fits(b"[]").is_err());
            assert!(signed.signed.verify(&SecretText::new("other".into())).is_err());
            parts.headers.insert("host", "elsewhere.example".parse().unwrap());
            assert!(RestRequest::read(&parts).unwrap().signed(now).unwrap().signed.verify(&secret).is_err());
        }
        let signer = RestSigner { access_key_id: "LTAI5tabcdefghijklmnop".into(), secret, token: None };
        assert!(signer.sign(("GET", "a\nb", "/"), &[], b"", (now, "n")).is_err());
    }
}
