//! Forms that a browser posts: what is signed is the policy, a text in base64 that says which fields the form may have.
//!
//! INVARIANT: the policy that is checked is the text that was signed.

use bailee_types::{SecretText, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::keys::{Scope, derive};
use super::{Payload, Scheme, Terms, Verified, key_id, same, sigv2_refused, v2_refused};
use crate::object::dialect::Dialect;
use crate::object::encode::{hmac_sha1, hmac_sha256, is_hex64};
use crate::object::error::{Code, ObjectError};

/// The signature of a form.
#[derive(Clone)]
pub struct SignedForm {
    scheme: Scheme,
    access_key_id: String,
    security_token: Option<String>,
    /// The policy in base64, as it was sent.
    policy: String,
    signature: String,
    /// Day and region of a V4 scope.
    scope: Option<(String, String)>,
}

impl SignedForm {
    /// Reads the signature among a form's fields, which `find` gives by lower-case name. None: it is not signed.
    ///
    /// # Errors
    /// As [`super::parse`].
    pub(in crate::object) fn read<'f>(
        dialect: Dialect,
        find: impl Fn(&str) -> Option<&'f str>,
    ) -> Result<Option<Self>, ObjectError> {
        let words = dialect.words();
        let wrong = |why: &'static str| ObjectError::because(Code::InvalidRequest, why);
        let policy =
            || find("policy").map(str::to_owned).ok_or_else(|| wrong("A signed form needs a policy."));
        let token = find(words.security_token).map(str::to_owned);
        if find("awsaccesskeyid").is_some() {
            return Err(sigv2_refused());
        }
        if let Some(id) = find("ossaccesskeyid") {
            let signature = find("signature").ok_or_else(|| wrong("The form has no Signature."))?;
            return Ok(Some(Self {
                scheme: Scheme::OssV1,
                access_key_id: key_id(id)?,
                security_token: token,
                policy: policy()?,
                signature: signature.to_owned(),
                scope: None,
            }));
        }
        let algorithm = find(&words.q_algorithm.to_ascii_lowercase());
        let credential = find(&words.q_credential.to_ascii_lowercase());
        let (Some(algorithm), Some(credential)) = (algorithm, credential) else {
            return match algorithm.or(credential) {
                None if find("policy").is_none() => Ok(None),
                _ => Err(wrong("The form's signature is not complete.")),
            };
        };
        if algorithm == "OSS2" {
            return Err(v2_refused());
        }
        if algorithm != words.algorithm {
            return Err(wrong("The form's algorithm is not accepted."));
        }
        let need = |name: &str| {
            find(&name.to_ascii_lowercase()).ok_or_else(|| wrong("The form's signature is not complete."))
        };
        let (date, signature) = (need(words.q_date)?, need(words.q_signature)?);
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [end, service, region, day, id] = parts.as_slice() else {
            return Err(wrong(
                "The form's credential is not AccessKeyId/yyyymmdd/region/service/terminator.",
            ));
        };
        let region_ok = (1..=64).contains(&region.len())
            && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if *end != words.terminator || *service != words.service || !region_ok {
            return Err(wrong("The form's credential does not fit."));
        }
        let date = Timestamp::parse_basic(date).map_err(|_| wrong("The form's date is none."))?;
        if day.len() != 8 || !date.basic().starts_with(*day) || !is_hex64(signature) {
            return Err(wrong("The form's date or signature does not fit."));
        }
        Ok(Some(Self {
            scheme: if dialect == Dialect::Oss { Scheme::OssV4 } else { Scheme::SigV4 },
            access_key_id: key_id(id)?,
            security_token: token,
            policy: policy()?,
            signature: signature.to_owned(),
            scope: Some(((*day).to_owned(), (*region).to_owned())),
        }))
    }

    /// The AccessKey id the sender claims.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The STS token the sender shows. Bind it to the AccessKey id before believing it.
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Recomputes the signature over the policy and compares. How long it holds, the policy says.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub fn verify(&self, secret: &SecretText, terms: &Terms<'_>) -> Result<Verified, ObjectError> {
        let computed = match &self.scope {
            None => BASE64.encode(hmac_sha1(secret.expose().as_bytes(), self.policy.as_bytes())),
            Some((date, region)) => {
                let dialect = if self.scheme == Scheme::OssV4 { Dialect::Oss } else { Dialect::S3 };
                let scope = Scope { dialect, access_key_id: &self.access_key_id, date, region };
                let key =
                    terms.keys.map_or_else(|| derive(secret, scope), |keys| keys.day_key(secret, scope));
                hex::encode(hmac_sha256(key.as_slice(), self.policy.as_bytes()))
            }
        };
        if !same(computed.as_bytes(), self.signature.as_bytes()) {
            return Err(ObjectError::new(Code::SignatureDoesNotMatch));
        }
        Ok(Verified {
            scheme: self.scheme,
            access_key_id: self.access_key_id.clone(),
            payload: Payload::Unsigned,
        })
    }
}
