//! Keys that customers use through KMS: their specs, their material, and what each can do.
//!
//! Symmetric keys seal as [`crate::seal`] does: a key for each message, derived from a salt, so that no key comes near
//! the bound of random nonces. SM4 keys do the same with HMAC-SM3 and SM4-GCM.
//! INVARIANT: an algorithm that does not belong to a key's spec and usage is refused before any material is touched.

mod pair;
mod sealer;

use bailee_types::{SecretBytes, random_bytes};
use hmac::{Hmac, KeyInit, Mac};

pub use pair::{PublicKey, SignAlgorithm, WrapAlgorithm};

use pair::Pair;
use sealer::Sm4Key;

use crate::seal::SealingKey;

/// What kind of key it is (contract §5: KMS).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Spec {
    /// 256 bits, AES-GCM.
    Aes256,
    /// 128 bits, SM4-GCM.
    Sm4,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
    /// NIST P-256.
    EcP256,
    /// secp256k1.
    EcP256K,
    /// SM2.
    EcSm2,
    /// A key of message authentication.
    Hmac(MacAlgorithm),
}

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Usage {
    /// To encrypt and decrypt.
    Encrypt,
    /// To sign and verify.
    Sign,
    /// To make and check authentication codes.
    Mac,
}

/// An algorithm of message authentication.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MacAlgorithm {
    /// HMAC-SM3.
    Sm3,
    /// HMAC-SHA-224.
    Sha224,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-384.
    Sha384,
    /// HMAC-SHA-512.
    Sha512,
}

const SPECS: [(Spec, &str, Usage); 13] = [
    (Spec::Aes256, "Aliyun_AES_256", Usage::Encrypt),
    (Spec::Sm4, "Aliyun_SM4", Usage::Encrypt),
    (Spec::Rsa2048, "RSA_2048", Usage::Encrypt),
    (Spec::Rsa3072, "RSA_3072", Usage::Encrypt),
    (Spec::Rsa4096, "RSA_4096", Usage::Encrypt),
    (Spec::EcP256, "EC_P256", Usage::Sign),
    (Spec::EcP256K, "EC_P256K", Usage::Sign),
    (Spec::EcSm2, "EC_SM2", Usage::Encrypt),
    (Spec::Hmac(MacAlgorithm::Sm3), "HMAC_SM3", Usage::Mac),
    (Spec::Hmac(MacAlgorithm::Sha224), "HMAC_SHA_224", Usage::Mac),
    (Spec::Hmac(MacAlgorithm::Sha256), "HMAC_SHA_256", Usage::Mac),
    (Spec::Hmac(MacAlgorithm::Sha384), "HMAC_SHA_384", Usage::Mac),
    (Spec::Hmac(MacAlgorithm::Sha512), "HMAC_SHA_512", Usage::Mac),
];

impl Spec {
    /// The names on the wire.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SPECS.iter().map(|(_, name, _)| *name)
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        SPECS.iter().find(|(spec, _, _)| *spec == self).map_or("", |(_, name, _)| name)
    }

    /// The spec of this name.
    pub fn parse(name: &str) -> Option<Self> {
        SPECS.iter().find(|(_, n, _)| *n == name).map(|(spec, _, _)| *spec)
    }

    /// What a key of this spec is for when nobody says.
    pub fn default_usage(self) -> Usage {
        SPECS.iter().find(|(spec, _, _)| *spec == self).map_or(Usage::Encrypt, |(_, _, usage)| *usage)
    }

    /// Whether a key of this spec can be for that.
    pub fn can(self, usage: Usage) -> bool {
        match self {
            Self::Aes256 | Self::Sm4 => usage == Usage::Encrypt,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 | Self::EcSm2 => usage != Usage::Mac,
            Self::EcP256 | Self::EcP256K => usage == Usage::Sign,
            Self::Hmac(_) => usage == Usage::Mac,
        }
    }

    /// Whether its key seals with one secret.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Aes256 | Self::Sm4)
    }

    /// Whether it has a public half.
    pub fn is_pair(self) -> bool {
        !self.is_symmetric() && !matches!(self, Self::Hmac(_))
    }

    /// Bytes of material that a customer may bring; none where he may not.
    pub fn import_len(self) -> Option<usize> {
        match self {
            Self::Aes256 => Some(32),
            Self::Sm4 => Some(16),
            _ => None,
        }
    }
}

impl Usage {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "ENCRYPT/DECRYPT",
            Self::Sign => "SIGN/VERIFY",
            Self::Mac => "GENERATE/VERIFY_MAC",
        }
    }

    /// The usage of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Encrypt, Self::Sign, Self::Mac].into_iter().find(|u| u.name() == name)
    }
}

impl MacAlgorithm {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        Spec::Hmac(self).name()
    }

    /// The algorithm of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match Spec::parse(name) {
            Some(Spec::Hmac(algorithm)) => Some(algorithm),
            _ => None,
        }
    }
}

/// Why a key did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CmkError {
    /// The stored material is not a key of its spec.
    #[error("the key's material is not a key of its spec")]
    Material,
    /// The algorithm is not one of this key's spec.
    #[error("the key's spec does not offer this algorithm")]
    Algorithm,
    /// Changed, cut, of another key or of another context. Deliberately no detail.
    #[error("the ciphertext does not open")]
    Open,
    /// The input is too long for the algorithm, or a digest has a wrong length.
    #[error("the input has a length that the algorithm does not take")]
    Length,
    /// A public key from outside cannot be read or is too small.
    #[error("the public key cannot be read")]
    PublicKey,
    /// The operating system gave no randomness, or a key could not be made.
    #[error("the key could not be made")]
    Make,
}

/// Material of a new key of this spec: secret bytes, as [`Cmk::open`] takes them. RSA of 4096 bits takes seconds.
///
/// # Errors
/// When no key could be made.
pub fn generate(spec: Spec) -> Result<SecretBytes, CmkError> {
    Ok(match spec {
        Spec::Aes256 => SecretBytes::new(random_bytes::<32>().to_vec()),
        Spec::Sm4 => SecretBytes::new(random_bytes::<16>().to_vec()),
        Spec::Hmac(_) => SecretBytes::new(random_bytes::<64>().to_vec()),
        _ => Pair::generate(spec)?,
    })
}

/// One version of a key, opened.
pub struct Cmk {
    spec: Spec,
    kind: Kind,
}

enum Kind {
    Aes(SealingKey),
    Sm4(Sm4Key),
    Mac(SecretBytes),
    Pair(Box<Pair>),
}

impl std::fmt::Debug for Cmk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cmk({}, [redacted])", self.spec.name())
    }
}

impl Cmk {
    /// Opens the material of [`generate`], or what a customer brought.
    ///
    /// # Errors
    /// When it is not a key of this spec.
    pub fn open(spec: Spec, material: &SecretBytes) -> Result<Self, CmkError> {
        let kind = match spec {
            Spec::Aes256 => {
                Kind::Aes(SealingKey::from_bytes(material.expose()).map_err(|_| CmkError::Material)?)
            }
            Spec::Sm4 => Kind::Sm4(Sm4Key::from_bytes(material.expose())?),
            Spec::Hmac(_) => Kind::Mac(SecretBytes::new(material.expose().to_vec())),
            _ => Kind::Pair(Box::new(Pair::open(spec, material)?)),
        };
        Ok(Self { spec, kind })
    }

    /// Seals with a symmetric key; it opens only with the same `aad`.
    ///
    /// # Errors
    /// When the key is not symmetric.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, CmkError> {
        match &self.kind {
            Kind::Aes(key) => Ok(key.seal(aad, plain)),
            Kind::Sm4(key) => key.seal(aad, plain),
            _ => Err(CmkError::Algorithm),
        }
    }

    /// Opens what [`Cmk::seal`] sealed.
    ///
    /// # Errors
    /// When the key is not symmetric, or anything was changed.
    pub fn unseal(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, CmkError> {
        match &self.kind {
            Kind::Aes(key) => key.open(aad, sealed).map_err(|_| CmkError::Open),
            Kind::Sm4(key) => key.open(aad, sealed),
            _ => Err(CmkError::Algorithm),
        }
    }

    /// The authentication code of a message.
    ///
    /// # Errors
    /// When the algorithm is not the key's.
    pub fn mac(&self, algorithm: MacAlgorithm, message: &[u8]) -> Result<Vec<u8>, CmkError> {
        let Kind::Mac(key) = &self.kind else { return Err(CmkError::Algorithm) };
        if self.spec != Spec::Hmac(algorithm) {
            return Err(CmkError::Algorithm);
        }
        macro_rules! code {
            ($digest:ty) => {{
                let mut mac =
                    Hmac::<$digest>::new_from_slice(key.expose()).map_err(|_| CmkError::Material)?;
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }};
        }
        Ok(match algorithm {
            MacAlgorithm::Sm3 => code!(sm3::Sm3),
            MacAlgorithm::Sha224 => code!(sha2::Sha224),
            MacAlgorithm::Sha256 => code!(sha2::Sha256),
            MacAlgorithm::Sha384 => code!(sha2::Sha384),
            MacAlgorithm::Sha512 => code!(sha2::Sha512),
        })
    }

    /// The public half as PEM (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// When the key has none.
    pub fn public_pem(&self) -> Result<String, CmkError> {
        self.pair()?.public_pem()
    }

    /// Encrypts to the public half.
    ///
    /// # Errors
    /// When the algorithm is not the key's, or `plain` is too long for it.
    pub fn encrypt(&self, algorithm: WrapAlgorithm, plain: &[u8]) -> Result<Vec<u8>, CmkError> {
        self.pair()?.encrypt(algorithm, plain)
    }

    /// Decrypts with the private half.
    ///
    /// # Errors
    /// When the algorithm is not the key's, or the ciphertext is not of this key.
    pub fn decrypt(&self, algorithm: WrapAlgorithm, cipher: &[u8]) -> Result<SecretBytes, CmkError> {
        self.pair()?.decrypt(algorithm, cipher)
    }

    /// Signs a digest of 32 bytes.
    ///
    /// # Errors
    /// When the algorithm is not the key's, or the digest has another length.
    pub fn sign(&self, algorithm: SignAlgorithm, digest: &[u8]) -> Result<Vec<u8>, CmkError> {
        self.pair()?.sign(algorithm, digest)
    }

    /// Whether a signature over a digest is this key's.
    ///
    /// # Errors
    /// As [`Cmk::sign`].
    pub fn verify(
        &self,
        algorithm: SignAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<bool, CmkError> {
        self.pair()?.verify(algorithm, digest, signature)
    }

    fn pair(&self) -> Result<&Pair, CmkError> {
        match &self.kind {
            Kind::Pair(pair) => Ok(pair),
            _ => Err(CmkError::Algorithm),
        }
    }
}

#[cfg(test)]
mod tests;
