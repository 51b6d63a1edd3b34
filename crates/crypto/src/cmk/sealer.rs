//! SM4-GCM with a key for each message: `01 ‖ salt[16] ‖ nonce[12] ‖ ciphertext ‖ tag[16]`, as in [`crate::seal`].

use aes_gcm::aead::{Aead, KeyInit as _, Payload};
use aes_gcm::aes::cipher::consts::U12;
use aes_gcm::{AesGcm, Nonce};
use bailee_sm4::Sm4;
use bailee_types::{SecretBytes, random_bytes};
use hmac::{Hmac, Mac};
use sm3::Sm3;

use super::CmkError;

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"bailee/sm4-seal/v1\0";

type Sm4Gcm = AesGcm<Sm4, U12>;

/// 16 bytes.
pub(super) struct Sm4Key(SecretBytes);

impl Sm4Key {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CmkError> {
        if bytes.len() == 16 { Ok(Self(SecretBytes::new(bytes.to_vec()))) } else { Err(CmkError::Material) }
    }

    pub(super) fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, CmkError> {
        let (salt, nonce) = (random_bytes::<16>(), random_bytes::<12>());
        let sealed = self
            .message_key(&salt)?
            .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad })
            .map_err(|_| CmkError::Length)?;
        Ok([&[VERSION][..], &salt, &nonce, &sealed].concat())
    }

    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, CmkError> {
        let (version, rest) = sealed.split_first().ok_or(CmkError::Open)?;
        let (salt, rest) = rest.split_first_chunk::<16>().ok_or(CmkError::Open)?;
        let (nonce, body) = rest.split_first_chunk::<12>().ok_or(CmkError::Open)?;
        if *version != VERSION {
            return Err(CmkError::Open);
        }
        self.message_key(salt)?
            .decrypt(&Nonce::from(*nonce), Payload { msg: body, aad })
            .map(SecretBytes::new)
            .map_err(|_| CmkError::Open)
    }

    /// The first half of HMAC-SM3(key, domain ‖ salt).
    fn message_key(&self, salt: &[u8; 16]) -> Result<Sm4Gcm, CmkError> {
        let mut mac = Hmac::<Sm3>::new_from_slice(self.0.expose()).map_err(|_| CmkError::Material)?;
        mac.update(DOMAIN);
        mac.update(salt);
        let derived = SecretBytes::new(mac.finalize().into_bytes().to_vec());
        let half = derived.expose().get(..16).ok_or(CmkError::Material)?;
        Sm4Gcm::new_from_slice(half).map_err(|_| CmkError::Material)
    }
}
