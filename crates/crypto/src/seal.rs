//! Sealing: small secrets (keys, credentials, metadata, openings of records) under a 256-bit key.
//!
//! Sealed bytes: `01 ‖ salt[16] ‖ nonce[12] ‖ ciphertext ‖ tag[16]`. The cipher is AES-256-GCM under a key that is
//! derived for this one message from the salt, so that random nonces never come near their birthday bound however
//! many messages a key seals.
//! INVARIANT: deriving, sealing, MACs and fingerprints use the key under separate domain strings.

use bailee_types::{SecretBytes, random_bytes};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;

const VERSION: u8 = 1;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// Bytes that sealing adds to the plain ones.
pub const OVERHEAD: usize = 1 + SALT_LEN + NONCE_LEN + TAG_LEN;

/// A key that seals, derives other keys and makes MACs. 32 bytes.
#[derive(Clone)]
pub struct SealingKey(SecretBytes);

/// Why sealed bytes did not open: changed, cut, of another key or of another place. Deliberately no detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes do not open")]
pub struct OpenError;

/// A key has 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key must have 32 bytes")]
pub struct KeyLenError;

/// Parts as one unambiguous byte string: each with its length (u32, big-endian) in front.
///
/// ```
/// use bailee_crypto::seal::aad;
/// assert_ne!(aad(&[b"ab", b"c"]), aad(&[b"a", b"bc"]));
/// ```
pub fn aad(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|p| p.len() + 4).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u32).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

impl SealingKey {
    /// A new random key.
    pub fn random() -> Self {
        Self(SecretBytes::new(random_bytes::<32>().to_vec()))
    }

    /// The key itself, to be sealed under another.
    pub fn bytes(&self) -> &[u8] {
        self.expose()
    }

    /// A key of these 32 bytes.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyLenError> {
        if bytes.len() == 32 { Ok(Self(SecretBytes::new(bytes.to_vec()))) } else { Err(KeyLenError) }
    }

    /// A key for one purpose and context; the derived key tells nothing about this one.
    #[must_use]
    pub fn derive(&self, purpose: &str, context: &[u8]) -> Self {
        Self(SecretBytes::new(self.prf("bailee/derive/v1", &aad(&[purpose.as_bytes(), context])).to_vec()))
    }

    /// Seals `plain`; it opens only under this key and the same `aad`.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let salt = random_bytes::<SALT_LEN>();
        let nonce = random_bytes::<NONCE_LEN>();
        let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
        out.push(VERSION);
        out.extend_from_slice(&salt);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let body = out.get_mut(1 + SALT_LEN + NONCE_LEN..).unwrap_or_default();
        #[expect(
            clippy::expect_used,
            reason = "a message of less than 64 GiB under a 32-byte key always seals"
        )]
        let tag = self
            .message_key(&salt)
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
            .expect("AES-256-GCM seals");
        out.extend_from_slice(tag.as_ref());
        out
    }

    /// Seals another key.
    pub fn seal_key(&self, aad: &[u8], key: &Self) -> Vec<u8> {
        self.seal(aad, key.expose())
    }

    /// Opens what [`SealingKey::seal`] sealed with the same `aad`.
    ///
    /// # Errors
    /// When anything of it was changed, or key or `aad` are others.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let (version, rest) = sealed.split_first().ok_or(OpenError)?;
        let (salt, rest) = rest.split_first_chunk::<SALT_LEN>().ok_or(OpenError)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError)?;
        if *version != VERSION {
            return Err(OpenError);
        }
        let mut body = body.to_vec();
        let plain_len = self
            .message_key(salt)
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut body)
            .map_err(|_| OpenError)?
            .len();
        body.truncate(plain_len);
        Ok(SecretBytes::new(body))
    }

    /// HMAC-SHA-256 over the parts, each with its length.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.prf("bailee/mac/v1", &aad(parts))
    }

    /// 16 bytes in hex that tell two keys apart and tell nothing about either.
    pub fn fingerprint(&self) -> String {
        let full = self.prf("bailee/fingerprint/v1", &[]);
        full.iter().take(16).map(|b| format!("{b:02x}")).collect()
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    fn message_key(&self, salt: &[u8; SALT_LEN]) -> LessSafeKey {
        let bytes = SecretBytes::new(self.prf("bailee/seal/v1", salt).to_vec());
        #[expect(clippy::expect_used, reason = "HMAC-SHA-256 gives the 32 bytes that AES-256 takes")]
        let key = UnboundKey::new(&AES_256_GCM, bytes.expose()).expect("a key of 32 bytes");
        LessSafeKey::new(key)
    }

    fn prf(&self, domain: &str, message: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.expose()));
        context.update(domain.as_bytes());
        context.update(&[0]);
        context.update(message);
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_sealed_opens_only_in_its_place_and_under_its_key() {
        let key = SealingKey::random();
        let sealed = key.seal(b"tenant 1", b"secret");
        assert_eq!(key.open(b"tenant 1", &sealed).unwrap().expose(), b"secret");
        assert_eq!(key.open(b"tenant 2", &sealed).unwrap_err(), OpenError);
        assert!(SealingKey::random().open(b"tenant 1", &sealed).is_err());
        assert!(key.derive("other", b"").open(b"tenant 1", &sealed).is_err());
    }

    #[test]
    fn purposes_and_contexts_give_other_keys() {
        let key = SealingKey::from_bytes(&[7; 32]).unwrap();
        let all = [
            key.clone(),
            key.derive("a", b""),
            key.derive("b", b""),
            key.derive("a", b"x"),
            key.derive("ax", b""),
        ];
        let prints: std::collections::BTreeSet<_> = all.iter().map(SealingKey::fingerprint).collect();
        assert_eq!(prints.len(), all.len());
        assert_eq!(format!("{key:?}"), "[redacted]");
        assert_ne!(key.mac(&[b"a", b"b"]), key.mac(&[b"ab"]));
        assert!(SealingKey::from_bytes(&[7; 31]).is_err());
    }

    proptest! {
        #[test]
        fn any_changed_or_missing_byte_is_found(plain in proptest::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let key = SealingKey::random();
            let sealed = key.seal(b"x", &plain);
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            let mut changed = sealed.clone();
            let i = at.index(changed.len());
            changed[i] ^= 1 << bit;
            prop_assert!(key.open(b"x", &changed).is_err());
            prop_assert!(key.open(b"x", &sealed[..i]).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(SealingKey::from_bytes(&[1; 32]).unwrap().open(b"", &bytes).is_err());
        }
    }
}
