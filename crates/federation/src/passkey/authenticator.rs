//! What the authenticator says: authenticator data (WebAuthn Level 3 §6.1), attestation objects (§6.5), COSE keys
//! (RFC 9053).
//!
//! The attestation statement is not judged: `none` was asked for, and no model of authenticator is preferred.

use std::collections::BTreeMap;

use ciborium::Value;

use super::PasskeyError;
use super::options::ALGORITHMS;
use crate::jwt::Algorithm;
use crate::key::PublicKey;

/// How deep CBOR may nest.
const DEPTH_MAX: usize = 8;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

const DATA: PasskeyError = PasskeyError::Form { what: "authenticatorData" };
const OBJECT: PasskeyError = PasskeyError::Form { what: "attestationObject" };

/// Authenticator data, read to its last byte.
pub(super) struct AuthenticatorData {
    pub(super) rp_id_hash: [u8; 32],
    pub(super) user_present: bool,
    pub(super) user_verified: bool,
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
    pub(super) counter: u32,
    pub(super) attested: Option<Attested>,
}

/// A new credential.
pub(super) struct Attested {
    pub(super) aaguid: Vec<u8>,
    pub(super) credential_id: Vec<u8>,
    /// COSE_Key, which was read once already.
    pub(super) public_key: Vec<u8>,
}

impl AuthenticatorData {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PasskeyError> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(DATA)?;
        let (flags, rest) = rest.split_first().ok_or(DATA)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(DATA)?;
        let attested = if flags & ATTESTED == 0 { None } else { Some(Attested::parse(&mut rest)?) };
        if flags & EXTENSIONS != 0 && !matches!(cbor(&mut rest), Some(Value::Map(_))) {
            return Err(DATA);
        }
        if !rest.is_empty() {
            return Err(DATA);
        }
        Ok(Self {
            rp_id_hash: *rp_id_hash,
            user_present: flags & USER_PRESENT != 0,
            user_verified: flags & USER_VERIFIED != 0,
            backup_eligible: flags & BACKUP_ELIGIBLE != 0,
            backed_up: flags & BACKED_UP != 0,
            counter: u32::from_be_bytes(*counter),
            attested,
        })
    }
}

impl Attested {
    fn parse(rest: &mut &[u8]) -> Result<Self, PasskeyError> {
        let (aaguid, after) = rest.split_first_chunk::<16>().ok_or(DATA)?;
        let (len, after) = after.split_first_chunk::<2>().ok_or(DATA)?;
        let (id, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(DATA)?;
        let mut behind = after;
        cbor(&mut behind).ok_or(DATA)?;
        let key = after.get(..after.len() - behind.len()).ok_or(DATA)?;
        cose_key(key)?;
        *rest = behind;
        Ok(Self { aaguid: aaguid.to_vec(), credential_id: id.to_vec(), public_key: key.to_vec() })
    }
}

/// `authData` of an attestation object.
pub(super) fn authenticator_data_of(object: &[u8]) -> Result<Vec<u8>, PasskeyError> {
    let mut rest = object;
    let Some(Value::Map(members)) = cbor(&mut rest) else { return Err(OBJECT) };
    let mut found = BTreeMap::new();
    for (name, value) in members {
        let Value::Text(name) = name else { return Err(OBJECT) };
        if found.insert(name, value).is_some() {
            return Err(OBJECT);
        }
    }
    let statement_fits = match (found.get("fmt"), found.get("attStmt")) {
        (Some(Value::Text(format)), Some(Value::Map(statement))) => format != "none" || statement.is_empty(),
        _ => false,
    };
    match found.remove("authData") {
        Some(Value::Bytes(data)) if statement_fits && rest.is_empty() => Ok(data),
        _ => Err(OBJECT),
    }
}

/// A COSE_Key of one of the kinds that we offer.
pub(super) fn cose_key(bytes: &[u8]) -> Result<(PublicKey, Algorithm), PasskeyError> {
    let wrong = || PasskeyError::Key;
    let mut rest = bytes;
    let Some(Value::Map(members)) = cbor(&mut rest) else { return Err(wrong()) };
    let mut found = BTreeMap::new();
    for (label, value) in members {
        let label = label.as_integer().and_then(|n| i64::try_from(n).ok()).ok_or_else(wrong)?;
        if found.insert(label, value).is_some() {
            return Err(wrong());
        }
    }
    if !rest.is_empty() {
        return Err(wrong());
    }
    let number =
        |label: i64| found.get(&label).and_then(Value::as_integer).and_then(|n| i64::try_from(n).ok());
    let bytes = |label: i64| found.get(&label).and_then(Value::as_bytes).map(Vec::as_slice).ok_or_else(wrong);
    let (kty, alg) = (number(1), number(3).filter(|alg| ALGORITHMS.contains(alg)));
    let (key, algorithm) = match (kty, alg, number(-1)) {
        (Some(2), Some(-7), Some(1)) => (PublicKey::p256(bytes(-2)?, bytes(-3)?), Algorithm::Es256),
        (Some(1), Some(-8), Some(6)) => (PublicKey::ed25519(bytes(-2)?), Algorithm::EdDsa),
        (Some(3), Some(-257), None) => (PublicKey::rsa(bytes(-1)?, bytes(-2)?), Algorithm::Rs256),
        _ => return Err(wrong()),
    };
    Ok((key.map_err(|_| wrong())?, algorithm))
}

/// One CBOR item from the front of `rest`.
fn cbor(rest: &mut &[u8]) -> Option<Value> {
    ciborium::de::from_reader_with_recursion_limit(rest, DEPTH_MAX).ok()
}
