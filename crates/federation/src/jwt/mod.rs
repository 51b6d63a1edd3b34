//! Signed tokens (RFC 7515, RFC 7519) in compact form, checked as RFC 8725 says.
//!
//! The algorithm comes from an allow-list and must fit the key's type; keys come from the issuer's [`Jwks`] only.
//! Refused outright: `none`, HMAC, critical extensions, keys or addresses of keys in the header, members that stand
//! twice, more than [`TOKEN_BYTES_MAX`] bytes.
//! INVARIANT: claims are read from the very bytes that were signed, after the signature was checked.

mod jwks;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

pub use self::jwks::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, Jwks, JwksError, KeyRefusal, RefusedKey};
use self::jwks::{Jwk, KID_BYTES_MAX};
use crate::json::{self, JsonError, text};
use crate::key::EcdsaForm;
pub use crate::key::{Algorithm, KeyError};
use crate::show::shown;

/// The longest token, bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token has more than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not `header.claims.signature`.
    #[error("the token has not three parts")]
    NotCompact,
    /// A part is not base64url without padding.
    #[error("the token's {part} is not base64url")]
    Encoding {
        /// `header`, `claims` or `signature`.
        part: &'static str,
    },
    /// A part is no strict JSON object; a member that stands twice is named.
    #[error("the token's {part} {source}")]
    Json {
        /// `header` or `claims`.
        part: &'static str,
        /// What is wrong.
        source: JsonError,
    },
    /// The header has no text `alg`.
    #[error("the token's header names no algorithm")]
    NoAlgorithm,
    /// `alg` is `none`: nobody signed.
    #[error("the token is not signed: its algorithm is `none`")]
    Unsigned,
    /// An HMAC: whoever can check it could have made it.
    #[error("the token's algorithm `{alg}` uses a shared secret; the issuer must sign with its private key")]
    Symmetric {
        /// `alg`.
        alg: String,
    },
    /// Not on the allow-list.
    #[error(
        "the token's algorithm `{alg}` is not accepted; set RS256, PS256, ES256, ES384 or EdDSA at the issuer"
    )]
    Algorithm {
        /// `alg`.
        alg: String,
    },
    /// The algorithm is not one for the key that the token names.
    #[error("the token's algorithm `{alg:?}` does not fit the key that it names")]
    Mismatch {
        /// `alg`.
        alg: Algorithm,
    },
    /// `crit`: extensions that must be understood, and none is.
    #[error("the token's header demands extensions (`crit`)")]
    Critical,
    /// The token brings its own key.
    #[error("the token's header brings a key or its address (`{name}`)")]
    KeyInHeader {
        /// `jku`, `jwk`, `x5u` or `x5c`.
        name: &'static str,
    },
    /// `typ` says that it is another kind of token.
    #[error("the token is of the type `{typ}`, not `JWT`")]
    Type {
        /// `typ`.
        typ: String,
    },
    /// `kid` is no text, or too long.
    #[error("the token's key id is no text of at most {KID_BYTES_MAX} bytes")]
    KeyId,
    /// The issuer's keys do not hold this one: fetch the JWKS again, once, the issuer may have rotated.
    #[error("the issuer's keys have none with the id `{}`", shown(kid))]
    UnknownKey {
        /// The key id that the token names.
        kid: String,
    },
    /// The key exists and is not used.
    #[error("the key `{}` is not used: {reason}", shown(kid))]
    RefusedKey {
        /// The key id that the token names.
        kid: String,
        /// Why.
        reason: KeyRefusal,
    },
    /// No `kid`, and more than one key could have signed.
    #[error("the token names no key, and not exactly one of the issuer's keys fits its algorithm")]
    AmbiguousKey,
    /// The signature is not the key's.
    #[error("the token's signature does not verify")]
    Signature,
    /// A claim that must be there is not.
    #[error("the token has no claim `{claim}`")]
    Missing {
        /// Which.
        claim: &'static str,
    },
    /// A claim is of another type, or empty.
    #[error("the token's claim `{claim}` has a value of the wrong form")]
    Form {
        /// Which.
        claim: &'static str,
    },
    /// Another issuer.
    #[error("the token is from `{}`, not from the issuer that was asked", shown(found))]
    Issuer {
        /// `iss`.
        found: String,
    },
    /// Not for us.
    #[error("the token is not for this audience")]
    Audience,
    /// Issued to another party (`azp`), or for several without saying to whom.
    #[error("the token was issued to another party (`azp`)")]
    AuthorizedParty,
    /// Past its end.
    #[error("the token ended at {at}")]
    Expired {
        /// `exp`.
        at: bailee_types::Timestamp,
    },
    /// Issued in the future, or not to be used yet.
    #[error("the token begins at {at}: check the clocks")]
    NotYet {
        /// `iat` or `nbf`.
        at: bailee_types::Timestamp,
    },
    /// Not the nonce of this sign-on: a replayed or injected token.
    #[error("the token's nonce is not the one of this sign-on")]
    Nonce,
    /// `at_hash` is not the hash of the access token that came along.
    #[error("the access token is not the one that the id token speaks of (`at_hash`)")]
    AccessTokenHash,
}

/// The statement of a token whose signature verified.
pub(crate) struct Opened {
    pub(crate) algorithm: Algorithm,
    pub(crate) claims: Map<String, Value>,
}

/// Checks the form and the signature of `token`; what the claims say is the caller's to check.
pub(crate) fn open(token: &str, jwks: &Jwks) -> Result<Opened, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotCompact)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::NotCompact)?;
    if claims.contains('.') {
        return Err(TokenError::NotCompact);
    }
    let header = Header::parse(&decode("header", header)?)?;
    let claims = decode("claims", claims)?;
    let signature = decode("signature", signature)?;
    let candidates = candidates(&header, jwks)?;
    let verified = candidates
        .iter()
        .any(|k| k.key.verifies(header.algorithm, EcdsaForm::Fixed, signed.as_bytes(), &signature));
    if !verified {
        return Err(TokenError::Signature);
    }
    let claims = json::object(&claims).map_err(|source| TokenError::Json { part: "claims", source })?;
    Ok(Opened { algorithm: header.algorithm, claims })
}

impl Algorithm {
    /// The algorithm of this name in RFC 7518, RFC 8037 and RFC 9864; None for all that we refuse.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        let header = json::object(bytes).map_err(|source| TokenError::Json { part: "header", source })?;
        let alg = text(&header, "alg").ok_or(TokenError::NoAlgorithm)?;
        if alg.eq_ignore_ascii_case("none") {
            return Err(TokenError::Unsigned);
        }
        if alg.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("HS")) {
            return Err(TokenError::Symmetric { alg: shown(alg) });
        }
        let algorithm = Algorithm::named(alg).ok_or_else(|| TokenError::Algorithm { alg: shown(alg) })?;
        if header.contains_key("crit") {
            return Err(TokenError::Critical);
        }
        if let Some(name) = ["jku", "jwk", "x5u", "x5c"].into_iter().find(|n| header.contains_key(*n)) {
            return Err(TokenError::KeyInHeader { name });
        }
        // An access or logout token of the same issuer is signed by the same key (RFC 8725 §3.11).
        if let Some(typ) = header.get("typ") {
            let typ = typ.as_str().unwrap_or_default();
            if !typ.eq_ignore_ascii_case("JWT") && !typ.eq_ignore_ascii_case("application/jwt") {
                return Err(TokenError::Type { typ: shown(typ) });
            }
        }
        let kid = match header.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().filter(|k| k.len() <= KID_BYTES_MAX).ok_or(TokenError::KeyId)?),
        };
        Ok(Self { algorithm, kid: kid.map(str::to_owned) })
    }
}

/// The keys that may have signed: those with the id, or the only one that fits when the token names none.
fn candidates<'j>(header: &Header, jwks: &'j Jwks) -> Result<Vec<&'j Jwk>, TokenError> {
    let fits = |k: &&Jwk| k.key.fits(header.algorithm) && k.algorithm.is_none_or(|a| a == header.algorithm);
    let Some(kid) = header.kid.as_deref() else {
        let fitting: Vec<_> = jwks.all().iter().filter(fits).collect();
        return if fitting.len() == 1 { Ok(fitting) } else { Err(TokenError::AmbiguousKey) };
    };
    let named: Vec<_> = jwks.all().iter().filter(|k| k.kid.as_deref() == Some(kid)).collect();
    if named.is_empty() {
        let refused = jwks.refused().iter().find(|k| k.kid.as_deref() == Some(kid));
        return Err(match refused {
            Some(key) => TokenError::RefusedKey { kid: kid.to_owned(), reason: key.reason.clone() },
            None => TokenError::UnknownKey { kid: kid.to_owned() },
        });
    }
    let fitting: Vec<_> = named.into_iter().filter(fits).collect();
    if fitting.is_empty() { Err(TokenError::Mismatch { alg: header.algorithm }) } else { Ok(fitting) }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Encoding { part })
}
