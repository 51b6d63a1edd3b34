//! Id tokens (OpenID Connect Core 1.0 §3.1.3.7).

use bailee_types::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use crate::json::text;
use crate::jwt::{self, Algorithm, Jwks, TokenError};

/// The longest subject, bytes. The standard says 255.
const SUBJECT_BYTES_MAX: usize = 255;

/// What a token must say to be accepted.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'e> {
    /// The issuer that was configured; compared byte for byte.
    pub issuer: &'e str,
    /// Our client ids at this issuer; one must be in `aud`.
    pub audiences: &'e [String],
    /// The nonce of this sign-on. None only where no browser took part.
    pub nonce: Option<&'e str>,
    /// The present instant.
    pub now: Timestamp,
    /// By how much the issuer's clock may differ, milliseconds.
    pub leeway_ms: i64,
}

/// A verified id token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdToken {
    /// Who says it.
    pub issuer: String,
    /// Of whom: unique and never given again at this issuer. The name to bind an account to.
    pub subject: String,
    /// For whom.
    pub audiences: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The nonce, equal to the expected one where one was expected.
    pub nonce: Option<String>,
    /// The e-mail address as the issuer has it; never an identity by itself.
    pub email: Option<String>,
    /// Whether the issuer says that it checked the address.
    pub email_verified: bool,
    /// The name to show.
    pub name: Option<String>,
    /// With what it was signed.
    pub algorithm: Algorithm,
    /// All claims as they came.
    pub claims: Map<String, Value>,
}

/// Checks an id token: form, signature, issuer, audience, time and nonce.
///
/// # Errors
/// One variant for each reason; on [`TokenError::UnknownKey`] the caller fetches the JWKS again, once.
pub fn verify_id_token(token: &str, jwks: &Jwks, expect: &Expect<'_>) -> Result<IdToken, TokenError> {
    let opened = jwt::open(token, jwks)?;
    let claims = opened.claims;
    let issuer = needed_text(&claims, "iss")?;
    if issuer != expect.issuer {
        return Err(TokenError::Issuer { found: issuer });
    }
    let subject = needed_text(&claims, "sub")?;
    if subject.len() > SUBJECT_BYTES_MAX {
        return Err(TokenError::Form { claim: "sub" });
    }
    let audiences = audiences(&claims)?;
    check_audience(&claims, &audiences, expect.audiences)?;
    let expires_at = needed_time(&claims, "exp")?;
    let issued_at = needed_time(&claims, "iat")?;
    check_time(&claims, issued_at, expires_at, expect)?;
    let nonce = optional_text(&claims, "nonce")?;
    if let Some(wanted) = expect.nonce {
        let found = nonce.as_deref().ok_or(TokenError::Missing { claim: "nonce" })?;
        if !bool::from(found.as_bytes().ct_eq(wanted.as_bytes())) {
            return Err(TokenError::Nonce);
        }
    }
    Ok(IdToken {
        issuer,
        subject,
        audiences,
        issued_at,
        expires_at,
        nonce,
        email: text(&claims, "email").map(str::to_owned),
        // Some issuers send the word.
        email_verified: matches!(claims.get("email_verified"), Some(Value::Bool(true)))
            || text(&claims, "email_verified") == Some("true"),
        name: text(&claims, "name").map(str::to_owned),
        algorithm: opened.algorithm,
        claims,
    })
}

impl IdToken {
    /// Checks that `access_token` is the one which came with this token (`at_hash`, Core §3.1.3.8).
    /// A token without `at_hash` says nothing and passes: in the code flow it is optional.
    ///
    /// # Errors
    /// When `at_hash` is there and is of another access token.
    pub fn check_access_token(&self, access_token: &str) -> Result<(), TokenError> {
        let Some(at_hash) = optional_text(&self.claims, "at_hash")? else { return Ok(()) };
        let hash = digest::digest(hash_of(self.algorithm), access_token.as_bytes());
        let half = hash.as_ref().get(..hash.as_ref().len() / 2).unwrap_or_default();
        let wanted = URL_SAFE_NO_PAD.encode(half);
        if bool::from(wanted.as_bytes().ct_eq(at_hash.as_bytes())) {
            Ok(())
        } else {
            Err(TokenError::AccessTokenHash)
        }
    }
}

fn hash_of(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &digest::SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => &digest::SHA512,
    }
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<String>, TokenError> {
    let wrong = || TokenError::Form { claim: "aud" };
    match claims.get("aud").ok_or(TokenError::Missing { claim: "aud" })? {
        Value::String(one) if !one.is_empty() => Ok(vec![one.clone()]),
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|a| a.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

fn check_audience(claims: &Map<String, Value>, found: &[String], ours: &[String]) -> Result<(), TokenError> {
    if !found.iter().any(|a| ours.contains(a)) {
        return Err(TokenError::Audience);
    }
    match optional_text(claims, "azp")? {
        Some(party) if !ours.contains(&party) => Err(TokenError::AuthorizedParty),
        None if found.len() > 1 => Err(TokenError::AuthorizedParty),
        _ => Ok(()),
    }
}

fn check_time(
    claims: &Map<String, Value>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    expect: &Expect<'_>,
) -> Result<(), TokenError> {
    let leeway_ms = expect.leeway_ms.max(0);
    if expires_at.plus_ms(leeway_ms) <= expect.now {
        return Err(TokenError::Expired { at: expires_at });
    }
    let not_before = if claims.contains_key("nbf") { Some(needed_time(claims, "nbf")?) } else { None };
    for begin in [Some(issued_at), not_before].into_iter().flatten() {
        if begin > expect.now.plus_ms(leeway_ms) {
            return Err(TokenError::NotYet { at: begin });
        }
    }
    Ok(())
}

fn needed_text(claims: &Map<String, Value>, claim: &'static str) -> Result<String, TokenError> {
    let found = optional_text(claims, claim)?.ok_or(TokenError::Missing { claim })?;
    if found.is_empty() { Err(TokenError::Form { claim }) } else { Ok(found) }
}

fn optional_text(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<String>, TokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(TokenError::Form { claim }),
    }
}

/// Seconds since 1970, whole or with a fraction (RFC 7519 §2, NumericDate).
fn needed_time(claims: &Map<String, Value>, claim: &'static str) -> Result<Timestamp, TokenError> {
    /// The year 9999.
    const SECS_MAX: i64 = 253_402_300_799;
    let wrong = TokenError::Form { claim };
    let secs = match claims.get(claim).ok_or(TokenError::Missing { claim })? {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(secs), _) => secs,
            // A cast from float to integer saturates; the range is checked below.
            (None, Some(secs)) => secs.floor() as i64,
            (None, None) => return Err(wrong),
        },
        _ => return Err(wrong),
    };
    if (0..=SECS_MAX).contains(&secs) { Ok(Timestamp::from_secs(secs)) } else { Err(wrong) }
}
