//! The keys of an issuer (RFC 7517), read from its JWKS document.
//!
//! A key that we do not use (another use, another type, too weak) does not spoil its neighbours: it is kept with the
//! reason, so that a token which names it is refused with that reason.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::json::{self, JsonError, text};
use crate::key::{Algorithm, KeyError, PublicKey};
use crate::show::shown;

/// The longest document, bytes. Large providers publish some 20 KiB.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// The most keys in one document.
pub const JWKS_KEYS_MAX: usize = 100;
/// The longest key id, bytes.
pub(super) const KID_BYTES_MAX: usize = 256;

/// The public keys of one issuer.
#[derive(Debug, Clone)]
pub struct Jwks {
    keys: Vec<Jwk>,
    refused: Vec<RefusedKey>,
}

/// One key that verifies signatures.
#[derive(Debug, Clone)]
pub(super) struct Jwk {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) key: PublicKey,
}

/// A key of the document that is not used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// Its id, where it has one.
    pub kid: Option<String>,
    /// Why it is not used.
    pub reason: KeyRefusal,
}

/// Why a key of a JWKS is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// `use` or `key_ops` say that it does not verify signatures.
    #[error("it is not meant for signatures")]
    NotForSignatures,
    /// A key type or curve that we do not verify with.
    #[error("its type `{kty}` is not RSA, EC P-256, EC P-384 or Ed25519")]
    Type {
        /// `kty`, with `crv` where there is one.
        kty: String,
    },
    /// Its `alg` is none of ours.
    #[error("its algorithm `{alg}` is not accepted")]
    Algorithm {
        /// `alg` of the key.
        alg: String,
    },
    /// A member is missing or no base64url.
    #[error("its member `{name}` is missing or not base64url")]
    Member {
        /// Which.
        name: &'static str,
    },
    /// The numbers are none of a key that we use.
    #[error("{0}")]
    Weak(#[from] KeyError),
    /// The private half is public: whoever reads the document can sign.
    #[error("its private part is published; the issuer must replace it")]
    Private,
}

/// Why a JWKS document is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Longer than [`JWKS_BYTES_MAX`].
    #[error("the JWKS has more than {JWKS_BYTES_MAX} bytes")]
    TooLong,
    /// Not an object in strict JSON.
    #[error("the JWKS {0}")]
    Json(#[from] JsonError),
    /// No list of objects `keys`.
    #[error("the JWKS has no list of objects `keys`")]
    NoList,
    /// More than [`JWKS_KEYS_MAX`].
    #[error("the JWKS has more than {JWKS_KEYS_MAX} keys")]
    TooMany,
    /// No key is left that verifies a signature.
    #[error("the JWKS has no key that can be used: RSA from 2048 bits, EC P-256, EC P-384 or Ed25519")]
    NoKey,
}

impl Jwks {
    /// Reads a JWKS document as it was fetched from the issuer's `jwks_uri`.
    ///
    /// # Errors
    /// When the document is too large, is no JWKS, or holds no key that we use.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLong);
        }
        let document = json::object(bytes)?;
        let list = document.get("keys").and_then(Value::as_array).ok_or(JwksError::NoList)?;
        if list.len() > JWKS_KEYS_MAX {
            return Err(JwksError::TooMany);
        }
        let mut jwks = Self { keys: Vec::new(), refused: Vec::new() };
        for entry in list {
            let entry = entry.as_object().ok_or(JwksError::NoList)?;
            let kid = text(entry, "kid").map(str::to_owned);
            match read_key(entry) {
                Ok((key, algorithm)) => jwks.keys.push(Jwk { kid, algorithm, key }),
                Err(reason) => jwks.refused.push(RefusedKey { kid, reason }),
            }
        }
        if jwks.keys.is_empty() { Err(JwksError::NoKey) } else { Ok(jwks) }
    }

    /// The keys that are not used, for an operator who wonders.
    pub fn refused(&self) -> &[RefusedKey] {
        &self.refused
    }

    /// How many keys verify signatures.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never true: a set without keys is not parsed.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn all(&self) -> &[Jwk] {
        &self.keys
    }
}

fn read_key(entry: &Map<String, Value>) -> Result<(PublicKey, Option<Algorithm>), KeyRefusal> {
    let for_signatures = match entry.get("use") {
        None => true,
        Some(used) => used.as_str() == Some("sig"),
    };
    let verifies = match entry.get("key_ops") {
        None => true,
        Some(ops) => ops.as_array().is_some_and(|ops| ops.iter().any(|op| op.as_str() == Some("verify"))),
    };
    if !for_signatures || !verifies {
        return Err(KeyRefusal::NotForSignatures);
    }
    if entry.get("kid").is_some_and(|kid| kid.as_str().is_none_or(|kid| kid.len() > KID_BYTES_MAX)) {
        return Err(KeyRefusal::Member { name: "kid" });
    }
    if entry.contains_key("d") {
        return Err(KeyRefusal::Private);
    }
    let algorithm = match entry.get("alg") {
        None => None,
        Some(alg) => {
            let alg = alg.as_str().unwrap_or_default();
            Some(Algorithm::named(alg).ok_or_else(|| KeyRefusal::Algorithm { alg: shown(alg) })?)
        }
    };
    let kty = text(entry, "kty").unwrap_or_default();
    let crv = text(entry, "crv");
    let key = match (kty, crv) {
        ("RSA", _) => PublicKey::rsa(&number(entry, "n")?, &number(entry, "e")?)?,
        ("EC", Some("P-256")) => PublicKey::p256(&number(entry, "x")?, &number(entry, "y")?)?,
        ("EC", Some("P-384")) => PublicKey::p384(&number(entry, "x")?, &number(entry, "y")?)?,
        ("OKP", Some("Ed25519")) => PublicKey::ed25519(&number(entry, "x")?)?,
        (kty, Some(crv)) => return Err(KeyRefusal::Type { kty: shown(&format!("{kty} {crv}")) }),
        (kty, None) => return Err(KeyRefusal::Type { kty: shown(kty) }),
    };
    if let Some(algorithm) = algorithm.filter(|a| !key.fits(*a)) {
        return Err(KeyRefusal::Algorithm { alg: format!("{algorithm:?}") });
    }
    Ok((key, algorithm))
}

fn number(entry: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyRefusal> {
    let text = text(entry, name).ok_or(KeyRefusal::Member { name })?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyRefusal::Member { name })
}
