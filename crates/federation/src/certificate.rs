//! Public keys out of X.509 certificates. A certificate is a box for a key here: who put it into the configuration
//! vouches for it, so its dates, names and signature are not looked at (SAML V2.0 Metadata Interoperability §2.6.1).

use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

use crate::key::{KeyError, PublicKey};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// The longest certificate, bytes.
const BYTES_MAX: usize = 16 * 1024;

/// Why a certificate gives no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not an X.509 certificate in DER.
    #[error("it is no X.509 certificate")]
    NotX509,
    /// A key that we do not verify with.
    #[error("its key is neither RSA nor EC P-256 or P-384")]
    Type,
    /// The numbers are none of a key that we use.
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// The public key of a certificate in DER.
pub(crate) fn public_key(der: &[u8]) -> Result<PublicKey, CertificateError> {
    if der.len() > BYTES_MAX {
        return Err(CertificateError::NotX509);
    }
    let certificate = CertificateInner::<Raw>::from_der(der).map_err(|_| CertificateError::NotX509)?;
    let info = certificate.tbs_certificate().subject_public_key_info();
    let bits = info.subject_public_key.as_bytes().ok_or(CertificateError::NotX509)?;
    let curve = || info.algorithm.parameters.as_ref().and_then(|p| p.decode_as::<ObjectIdentifier>().ok());
    if info.algorithm.oid == RSA {
        return rsa(bits);
    }
    if info.algorithm.oid != EC {
        return Err(CertificateError::Type);
    }
    let Some((4, coordinates)) = bits.split_first() else { return Err(CertificateError::Type) };
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    match curve() {
        Some(P256) => Ok(PublicKey::p256(x, y)?),
        Some(P384) => Ok(PublicKey::p384(x, y)?),
        _ => Err(CertificateError::Type),
    }
}

/// RSAPublicKey of RFC 8017 A.1.1.
fn rsa(der: &[u8]) -> Result<PublicKey, CertificateError> {
    let numbers = || -> x509_cert::der::Result<(Vec<u8>, Vec<u8>)> {
        let mut reader = SliceReader::new(der)?;
        let both = reader.sequence(|inside| {
            let n = UintRef::decode(inside)?.as_bytes().to_vec();
            let e = UintRef::decode(inside)?.as_bytes().to_vec();
            Ok::<_, x509_cert::der::Error>((n, e))
        })?;
        reader.finish()?;
        Ok(both)
    };
    let (n, e) = numbers().map_err(|_| CertificateError::NotX509)?;
    Ok(PublicKey::rsa(&n, &e)?)
}
