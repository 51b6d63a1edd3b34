//! Key pairs: RSA, P-256, secp256k1, SM2. Material is PKCS #8 DER for RSA, the scalar for curves.

use bailee_types::SecretBytes;
use getrandom::SysRng;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::signature::hazmat::{PrehashSigner, PrehashVerifier, RandomizedPrehashSigner};
use rsa::traits::PublicKeyParts;
use rsa::{Oaep, Pkcs1v15Encrypt, PrivateKey};
use sha1::Sha1;
use sha2::Sha256;

use super::{CmkError, Spec};

/// The identity of GB/T 32918 for signers who have none.
const DIST_ID: &str = "1234567812345678";

/// How bytes are encrypted to a public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WrapAlgorithm {
    /// RSAES-OAEP with SHA-1.
    OaepSha1,
    /// RSAES-OAEP with SHA-256.
    OaepSha256,
    /// RSAES-PKCS1-v1_5: only to import key material, as the contract demands it.
    Pkcs1,
    /// SM2 encryption, ciphertext in DER (C1 C3 C2).
    Sm2,
}

/// How a digest is signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SignAlgorithm {
    /// RSASSA-PSS with SHA-256.
    PssSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Pkcs1Sha256,
    /// ECDSA with SHA-256, signature in DER.
    EcdsaSha256,
    /// SM2 over the digest SM3(Z ‖ message), signature in DER.
    Sm2,
}

impl WrapAlgorithm {
    /// The algorithm of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RSAES_OAEP_SHA_1" => Self::OaepSha1,
            "RSAES_OAEP_SHA_256" => Self::OaepSha256,
            "RSAES_PKCS1_V1_5" => Self::Pkcs1,
            "SM2PKE" => Self::Sm2,
            _ => return None,
        })
    }
}

impl SignAlgorithm {
    /// The algorithm of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RSA_PSS_SHA_256" => Self::PssSha256,
            "RSA_PKCS1_SHA_256" => Self::Pkcs1Sha256,
            "ECDSA_SHA_256" => Self::EcdsaSha256,
            "SM2DSA" => Self::Sm2,
            _ => return None,
        })
    }
}

/// Bytes of a digest that is signed, whatever the algorithm.
const DIGEST_LEN: usize = 32;

pub(super) enum Pair {
    Rsa(PrivateKey),
    P256(p256::SecretKey),
    K256(k256::SecretKey),
    Sm2(sm2::SecretKey),
}

impl Pair {
    pub(super) fn generate(spec: Spec) -> Result<SecretBytes, CmkError> {
        use p256::elliptic_curve::Generate as _;
        let bits = match spec {
            Spec::Rsa2048 => 2048,
            Spec::Rsa3072 => 3072,
            Spec::Rsa4096 => 4096,
            Spec::EcP256 => {
                let key = p256::SecretKey::try_generate_from_rng(&mut SysRng).map_err(|_| CmkError::Make)?;
                return Ok(SecretBytes::new(key.to_bytes().to_vec()));
            }
            Spec::EcP256K => {
                let key = k256::SecretKey::try_generate_from_rng(&mut SysRng).map_err(|_| CmkError::Make)?;
                return Ok(SecretBytes::new(key.to_bytes().to_vec()));
            }
            Spec::EcSm2 => {
                let key = sm2::SecretKey::try_generate_from_rng(&mut SysRng).map_err(|_| CmkError::Make)?;
                return Ok(SecretBytes::new(key.to_bytes().to_vec()));
            }
            Spec::Aes256 | Spec::Sm4 | Spec::Hmac(_) => return Err(CmkError::Algorithm),
        };
        let mut rng = getrandom::rand_core::UnwrapErr(SysRng);
        let key = PrivateKey::new(&mut rng, bits).map_err(|_| CmkError::Make)?;
        let der = key.to_pkcs8_der().map_err(|_| CmkError::Make)?;
        Ok(SecretBytes::new(der.as_bytes().to_vec()))
    }

    pub(super) fn open(spec: Spec, material: &SecretBytes) -> Result<Self, CmkError> {
        let bytes = material.expose();
        Ok(match spec {
            Spec::EcP256 => Self::P256(p256::SecretKey::from_slice(bytes).map_err(|_| CmkError::Material)?),
            Spec::EcP256K => Self::K256(k256::SecretKey::from_slice(bytes).map_err(|_| CmkError::Material)?),
            Spec::EcSm2 => Self::Sm2(sm2::SecretKey::from_slice(bytes).map_err(|_| CmkError::Material)?),
            Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => {
                Self::Rsa(PrivateKey::from_pkcs8_der(bytes).map_err(|_| CmkError::Material)?)
            }
            Spec::Aes256 | Spec::Sm4 | Spec::Hmac(_) => return Err(CmkError::Algorithm),
        })
    }

    pub(super) fn public_pem(&self) -> Result<String, CmkError> {
        match self {
            Self::Rsa(key) => key.to_public_key().to_public_key_pem(LineEnding::LF),
            Self::P256(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::K256(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::Sm2(key) => key.public_key().to_public_key_pem(LineEnding::LF),
        }
        .map_err(|_| CmkError::Material)
    }

    pub(super) fn encrypt(&self, algorithm: WrapAlgorithm, plain: &[u8]) -> Result<Vec<u8>, CmkError> {
        if algorithm == WrapAlgorithm::Pkcs1 {
            return Err(CmkError::Algorithm);
        }
        match self {
            Self::Rsa(key) => PublicKey::Rsa(key.to_public_key()).encrypt(algorithm, plain),
            Self::Sm2(key) => PublicKey::Sm2(key.public_key()).encrypt(algorithm, plain),
            Self::P256(_) | Self::K256(_) => Err(CmkError::Algorithm),
        }
    }

    pub(super) fn decrypt(&self, algorithm: WrapAlgorithm, cipher: &[u8]) -> Result<SecretBytes, CmkError> {
        // Blinded: how long it takes says nothing about the key.
        let mut rng = getrandom::rand_core::UnwrapErr(SysRng);
        let opened = match (self, algorithm) {
            (Self::Rsa(key), WrapAlgorithm::OaepSha1) => {
                key.decrypt_blinded(&mut rng, Oaep::<Sha1>::new(), cipher).map_err(|_| CmkError::Open)?
            }
            (Self::Rsa(key), WrapAlgorithm::OaepSha256) => {
                key.decrypt_blinded(&mut rng, Oaep::<Sha256>::new(), cipher).map_err(|_| CmkError::Open)?
            }
            (Self::Rsa(key), WrapAlgorithm::Pkcs1) => {
                key.decrypt_blinded(&mut rng, Pkcs1v15Encrypt, cipher).map_err(|_| CmkError::Open)?
            }
            (Self::Sm2(key), WrapAlgorithm::Sm2) => {
                sm2::pke::DecryptingKey::new(key.clone()).decrypt_der(cipher).map_err(|_| CmkError::Open)?
            }
            _ => return Err(CmkError::Algorithm),
        };
        Ok(SecretBytes::new(opened))
    }

    pub(super) fn sign(&self, algorithm: SignAlgorithm, digest: &[u8]) -> Result<Vec<u8>, CmkError> {
        use rsa::signature::SignatureEncoding;
        if digest.len() != DIGEST_LEN {
            return Err(CmkError::Length);
        }
        let failed = |_| CmkError::Make;
        Ok(match (self, algorithm) {
            (Self::Rsa(key), SignAlgorithm::PssSha256) => rsa::pss::SigningKey::<Sha256>::new(key.clone())
                .sign_prehash_with_rng(&mut SysRng, digest)
                .map_err(failed)?
                .to_vec(),
            (Self::Rsa(key), SignAlgorithm::Pkcs1Sha256) => {
                rsa::pkcs1v15::SigningKey::<Sha256>::new(key.clone())
                    .sign_prehash(digest)
                    .map_err(failed)?
                    .to_vec()
            }
            (Self::P256(key), SignAlgorithm::EcdsaSha256) => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::SigningKey::from(key).sign_prehash(digest).map_err(failed)?;
                signature.to_der().to_vec()
            }
            (Self::K256(key), SignAlgorithm::EcdsaSha256) => {
                let signature: k256::ecdsa::Signature =
                    k256::ecdsa::SigningKey::from(key).sign_prehash(digest).map_err(failed)?;
                signature.to_der().to_vec()
            }
            (Self::Sm2(key), SignAlgorithm::Sm2) => {
                let signer = sm2::dsa::SigningKey::new(DIST_ID, key).map_err(failed)?;
                let signature: sm2::dsa::Signature = signer.sign_prehash(digest).map_err(failed)?;
                signature.to_der().to_vec()
            }
            _ => return Err(CmkError::Algorithm),
        })
    }

    pub(super) fn verify(
        &self,
        algorithm: SignAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<bool, CmkError> {
        if digest.len() != DIGEST_LEN {
            return Err(CmkError::Length);
        }
        Ok(match (self, algorithm) {
            (Self::Rsa(key), SignAlgorithm::PssSha256) => {
                let verifier = rsa::pss::VerifyingKey::<Sha256>::new(key.to_public_key());
                rsa::pss::Signature::try_from(signature)
                    .is_ok_and(|s| verifier.verify_prehash(digest, &s).is_ok())
            }
            (Self::Rsa(key), SignAlgorithm::Pkcs1Sha256) => {
                let verifier = rsa::pkcs1v15::VerifyingKey::<Sha256>::new(key.to_public_key());
                rsa::pkcs1v15::Signature::try_from(signature)
                    .is_ok_and(|s| verifier.verify_prehash(digest, &s).is_ok())
            }
            (Self::P256(key), SignAlgorithm::EcdsaSha256) => {
                let verifier = p256::ecdsa::VerifyingKey::from(key.public_key());
                p256::ecdsa::Signature::from_der(signature)
                    .is_ok_and(|s| verifier.verify_prehash(digest, &s).is_ok())
            }
            (Self::K256(key), SignAlgorithm::EcdsaSha256) => {
                let verifier = k256::ecdsa::VerifyingKey::from(key.public_key());
                // Both halves of the curve are taken: other libraries do not know the rule of the smaller one.
                k256::ecdsa::Signature::from_der(signature)
                    .is_ok_and(|s| verifier.verify_prehash(digest, &s.normalize_s()).is_ok())
            }
            (Self::Sm2(key), SignAlgorithm::Sm2) => {
                let verifier =
                    sm2::dsa::VerifyingKey::new(DIST_ID, key.public_key()).map_err(|_| CmkError::Material)?;
                sm2::dsa::Signature::from_der(signature)
                    .is_ok_and(|s| verifier.verify_prehash(digest, &s).is_ok())
            }
            _ => return Err(CmkError::Algorithm),
        })
    }
}

/// A public key from outside, to which a data key is exported.
pub enum PublicKey {
    /// RSA of at least 2048 and at most 4096 bits.
    Rsa(rsa::PublicKey),
    /// SM2.
    Sm2(sm2::PublicKey),
}

impl PublicKey {
    /// Reads SubjectPublicKeyInfo DER of the kind that `spec` names: `RSA_2048` or `EC_SM2`.
    ///
    /// # Errors
    /// When it is not such a key.
    pub fn read(spec: &str, der: &[u8]) -> Result<Self, CmkError> {
        match spec {
            "RSA_2048" | "RSA_3072" | "RSA_4096" => {
                let key = rsa::PublicKey::from_public_key_der(der).map_err(|_| CmkError::PublicKey)?;
                let bits = key.n().bit_width();
                if format!("RSA_{bits}") != spec {
                    return Err(CmkError::PublicKey);
                }
                Ok(Self::Rsa(key))
            }
            "EC_SM2" => {
                sm2::PublicKey::from_public_key_der(der).map(Self::Sm2).map_err(|_| CmkError::PublicKey)
            }
            _ => Err(CmkError::Algorithm),
        }
    }

    /// Encrypts to it.
    ///
    /// # Errors
    /// When the algorithm is not the key's, or `plain` is too long for it.
    pub fn encrypt(&self, algorithm: WrapAlgorithm, plain: &[u8]) -> Result<Vec<u8>, CmkError> {
        let mut rng = getrandom::rand_core::UnwrapErr(SysRng);
        match (self, algorithm) {
            (Self::Rsa(key), WrapAlgorithm::OaepSha1) => key.encrypt(&mut rng, Oaep::<Sha1>::new(), plain),
            (Self::Rsa(key), WrapAlgorithm::OaepSha256) => {
                key.encrypt(&mut rng, Oaep::<Sha256>::new(), plain)
            }
            (Self::Rsa(key), WrapAlgorithm::Pkcs1) => key.encrypt(&mut rng, Pkcs1v15Encrypt, plain),
            (Self::Sm2(key), WrapAlgorithm::Sm2) => {
                return sm2::pke::EncryptingKey::new(*key)
                    .encrypt_der(&mut rng, plain)
                    .map_err(|_| CmkError::Length);
            }
            _ => return Err(CmkError::Algorithm),
        }
        .map_err(|_| CmkError::Length)
    }
}
