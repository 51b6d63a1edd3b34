//! Public keys and the signature algorithms that fit them; `ring` does the arithmetic.
//!
//! INVARIANT: an algorithm is tried only with the kind of key that it names, so a key of one kind never answers for
//! another (RFC 8725 §3.1). No HMAC, no SHA-1, no RSA below 2048 bits exists here.

use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

/// The smallest RSA modulus, bits.
pub(crate) const RSA_BITS_MIN: usize = 2048;
/// The largest that `ring` takes, bits.
pub(crate) const RSA_BITS_MAX: usize = 8192;

/// A public key of another party.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PublicKey {
    /// Modulus and exponent, big-endian without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point, 65 bytes.
    P256(Vec<u8>),
    /// An uncompressed point, 97 bytes.
    P384(Vec<u8>),
    /// RFC 8032, 32 bytes.
    Ed25519(Vec<u8>),
}

/// Why numbers are no key that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The modulus is too short.
    #[error("the RSA key has {bits} bits, at least 2048 are needed")]
    WeakRsa {
        /// Its length.
        bits: usize,
    },
    /// The modulus is longer than what we are ready to compute with.
    #[error("the RSA key has {bits} bits, at most 8192 are taken")]
    LongRsa {
        /// Its length.
        bits: usize,
    },
    /// The exponent is even, one, or longer than 32 bits.
    #[error("the RSA exponent is none that is used")]
    Exponent,
    /// A point or key of another length than its curve has.
    #[error("the key has another length than its curve")]
    Length,
}

/// A signature algorithm, named as in RFC 7518 and RFC 8037.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// How ECDSA signatures come: two numbers side by side (JOSE, XML) or as ASN.1 (X.509, WebAuthn).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EcdsaForm {
    Fixed,
    Asn1,
}

impl PublicKey {
    /// An RSA key of these numbers.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (without_zeros(n), without_zeros(e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if bits < RSA_BITS_MIN {
            return Err(KeyError::WeakRsa { bits });
        }
        if bits > RSA_BITS_MAX {
            return Err(KeyError::LongRsa { bits });
        }
        let odd = e.last().is_some_and(|last| last & 1 == 1);
        if !odd || e == [1] || e.len() > 4 {
            return Err(KeyError::Exponent);
        }
        Ok(Self::Rsa { n: n.to_vec(), e: e.to_vec() })
    }

    /// A key on P-256 of its coordinates.
    pub(crate) fn p256(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        point(x, y, 32).map(Self::P256)
    }

    /// A key on P-384 of its coordinates.
    pub(crate) fn p384(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        point(x, y, 48).map(Self::P384)
    }

    /// An Ed25519 key.
    pub(crate) fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        if x.len() == 32 { Ok(Self::Ed25519(x.to_vec())) } else { Err(KeyError::Length) }
    }

    /// Whether `algorithm` is one for this kind of key.
    pub(crate) const fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        matches!(
            (self, algorithm),
            (Self::Rsa { .. }, A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512)
                | (Self::P256(_), A::Es256)
                | (Self::P384(_), A::Es384)
                | (Self::Ed25519(_), A::EdDsa)
        )
    }

    /// Whether `signature` is this key's over `message`. False also when the algorithm does not fit.
    pub(crate) fn verifies(
        &self,
        algorithm: Algorithm,
        form: EcdsaForm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        use Algorithm as A;
        let plain = |with: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(with, key).verify(message, signature).is_ok()
        };
        match (self, algorithm, form) {
            (Self::Rsa { n, e }, _, _) => rsa_parameters(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            (Self::P256(key), A::Es256, EcdsaForm::Fixed) => plain(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Self::P256(key), A::Es256, EcdsaForm::Asn1) => plain(&signature::ECDSA_P256_SHA256_ASN1, key),
            (Self::P384(key), A::Es384, EcdsaForm::Fixed) => plain(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Self::P384(key), A::Es384, EcdsaForm::Asn1) => plain(&signature::ECDSA_P384_SHA384_ASN1, key),
            (Self::Ed25519(key), A::EdDsa, _) => plain(&signature::ED25519, key),
            _ => false,
        }
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    })
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn point(x: &[u8], y: &[u8], len: usize) -> Result<Vec<u8>, KeyError> {
    if x.len() != len || y.len() != len {
        return Err(KeyError::Length);
    }
    Ok([&[4], x, y].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_or_odd_rsa_key_is_refused() {
        let long = [0xff; 256];
        assert!(PublicKey::rsa(&long, &[1, 0, 1]).is_ok());
        assert!(PublicKey::rsa(&[&[0, 0], &long[..]].concat(), &[0, 1, 0, 1]).is_ok());
        assert_eq!(PublicKey::rsa(&[0xff; 128], &[3]), Err(KeyError::WeakRsa { bits: 1024 }));
        let mut almost = long;
        almost[0] = 0x7f;
        assert_eq!(PublicKey::rsa(&almost, &[3]), Err(KeyError::WeakRsa { bits: 2047 }));
        assert_eq!(PublicKey::rsa(&[0xff; 1025], &[3]), Err(KeyError::LongRsa { bits: 8200 }));
        for e in [&[1][..], &[2], &[], &[1, 0, 0, 0, 1]] {
            assert_eq!(PublicKey::rsa(&long, e), Err(KeyError::Exponent));
        }
    }

    #[test]
    fn each_algorithm_fits_one_kind_of_key() {
        let ec = PublicKey::p256(&[1; 32], &[2; 32]).unwrap();
        assert!(ec.fits(Algorithm::Es256));
        assert!(!ec.fits(Algorithm::Es384) && !ec.fits(Algorithm::Rs256) && !ec.fits(Algorithm::EdDsa));
        assert_eq!(PublicKey::p384(&[1; 32], &[2; 32]), Err(KeyError::Length));
        assert_eq!(PublicKey::ed25519(&[1; 31]), Err(KeyError::Length));
    }
}
