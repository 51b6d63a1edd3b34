//! ML-DSA-44 (FIPS 204) as tlog-cosignature uses it: type 06, empty context, key of 1,312 and signature of 2,420 bytes.
//!
//! INVARIANT: nothing rests on this signature alone where an Ed25519 one is asked for: the crate that computes it has
//! had no audit of its own.

use ml_dsa::signature::Keypair;
use ml_dsa::{EncodedVerifyingKey, MlDsa44, Signature, SigningKey, VerifyingKey};

use crate::hash::Hash;

/// Bytes of a public key.
pub(super) const PUBLIC_BYTES: usize = 1312;

pub(super) type Secret = SigningKey<MlDsa44>;

/// Whether a name fits into the one length byte that the message has for it.
pub(super) const fn name_fits(name: &str) -> bool {
    name.len() <= 255
}

/// The secret and the public key that a seed makes.
pub(super) fn from_seed(seed: &[u8; 32]) -> (Secret, Vec<u8>) {
    let secret = Secret::from_seed(&(*seed).into());
    let public = secret.verifying_key().encode().to_vec();
    (secret, public)
}

/// The message: `subtree/v1`, who signs, when, which log, from 0 to `size`, the root. `None` when a name is too long or
/// the time does not fit 63 bits.
pub(super) fn message(name: &str, time: u64, origin: &str, size: u64, root: &Hash) -> Option<Vec<u8>> {
    let (name_bytes, origin_bytes) = (u8::try_from(name.len()).ok()?, u8::try_from(origin.len()).ok()?);
    (time < 1 << 63).then(|| {
        let parts: [&[u8]; 9] = [
            b"subtree/v1\n\0",
            &[name_bytes],
            name.as_bytes(),
            &time.to_be_bytes(),
            &[origin_bytes],
            origin.as_bytes(),
            &0u64.to_be_bytes(),
            &size.to_be_bytes(),
            &root.0,
        ];
        parts.concat()
    })
}

/// Signs, in the deterministic variant: one checkpoint has one signature.
pub(super) fn sign(secret: &Secret, message: &[u8]) -> Option<Vec<u8>> {
    let signature = secret.expanded_key().sign_deterministic(message, b"").ok()?;
    Some(signature.encode().to_vec())
}

/// Verifies; `None` when it does not.
pub(super) fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = VerifyingKey::<MlDsa44>::decode(&EncodedVerifyingKey::<MlDsa44>::try_from(public).ok()?);
    let signature = Signature::<MlDsa44>::try_from(signature).ok()?;
    key.verify_with_context(message, b"", &signature).then_some(())
}
