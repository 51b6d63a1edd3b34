//! A passkey's signature over a statement, as it stands in a log: a WebAuthn assertion whose challenge is the hash of the
//! statement's text.
//!
//! Here are the key and the signature; what the browser said about the page (`clientDataJSON`) is handed back, and the
//! caller reads it. ES256, EdDSA and RS256, as the server takes them.
//! INVARIANT: an algorithm is tried only with the kind of key that names it; nothing counts without a person who was
//! present and verified.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

/// Bytes of a key or a part of an assertion, at most.
const PART_BYTES_MAX: usize = 16 * 1024;

const PRESENT_AND_VERIFIED: u8 = 0x05;
const ATTESTED: u8 = 0x40;

/// Why an assertion is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// A part is not base64url, or too long.
    #[error("`{0}` of the passkey's answer cannot be read")]
    Part(&'static str),
    /// The key is of another kind.
    #[error("the passkey's public key is none of ES256, EdDSA and RS256")]
    Key,
    /// Present is not enough.
    #[error("the passkey did not verify the person")]
    NotVerified,
    /// The signature is not the key's.
    #[error("the passkey's signature does not verify")]
    Signature,
}

/// An assertion as a record has it: each part base64url without padding.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// COSE_Key of the passkey.
    pub public_key: &'a str,
    /// What the authenticator says.
    pub authenticator_data: &'a str,
    /// What the browser says.
    pub client_data: &'a str,
    /// Over the two.
    pub signature: &'a str,
}

/// An assertion whose signature is its key's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The bytes of `clientDataJSON`, which are signed.
    pub client_data: Vec<u8>,
    rp_id_hash: [u8; 32],
}

/// The challenge that binds a text: its SHA-256, as `clientDataJSON` spells it.
pub fn challenge(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

/// How people compare passkeys: `SHA256:` and the hash of the COSE_Key, which is given in base64url.
///
/// # Errors
/// When it is no base64url.
pub fn fingerprint(public_key: &str) -> Result<String, PasskeyError> {
    let key = part("publicKey", public_key)?;
    Ok(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key))))
}

impl Assertion<'_> {
    /// Checks the signature, and that the authenticator verified a person.
    ///
    /// # Errors
    /// One variant for each reason.
    pub fn open(&self) -> Result<Signed, PasskeyError> {
        let cose = part("publicKey", self.public_key)?;
        let key = Key::parse(&cose).ok_or(PasskeyError::Key)?;
        let data = part("authenticatorData", self.authenticator_data)?;
        let client_data = part("clientDataJSON", self.client_data)?;
        let signature = part("signature", self.signature)?;
        let wrong = PasskeyError::Part("authenticatorData");
        let (rp_id_hash, rest) = data.split_first_chunk::<32>().ok_or(wrong)?;
        // Flags and the counter; of an assertion no new key.
        let flags = *rest.first().filter(|f| rest.len() >= 5 && **f & ATTESTED == 0).ok_or(wrong)?;
        if flags & PRESENT_AND_VERIFIED != PRESENT_AND_VERIFIED {
            return Err(PasskeyError::NotVerified);
        }
        let message = [data.as_slice(), Sha256::digest(&client_data).as_slice()].concat();
        if !key.verifies(&message, &signature) {
            return Err(PasskeyError::Signature);
        }
        Ok(Signed { client_data, rp_id_hash: *rp_id_hash })
    }
}

impl Signed {
    /// Whether the authenticator signed for this domain.
    pub fn is_for(&self, domain: &str) -> bool {
        Sha256::digest(domain.as_bytes()).as_slice() == self.rp_id_hash
    }
}

fn part(what: &'static str, text: &str) -> Result<Vec<u8>, PasskeyError> {
    let read = Some(text).filter(|t| t.len() <= PART_BYTES_MAX).and_then(|t| URL_SAFE_NO_PAD.decode(t).ok());
    read.ok_or(PasskeyError::Part(what))
}

enum Key<'a> {
    P256(Vec<u8>),
    Ed25519(&'a [u8]),
    Rsa { n: &'a [u8], e: &'a [u8] },
}

impl<'a> Key<'a> {
    /// Reads a COSE_Key (RFC 9052, RFC 9053): a map of small numbers to numbers and bytes.
    fn parse(cose: &'a [u8]) -> Option<Self> {
        let mut rest = cose;
        let (5, members @ 0..=8) = head(&mut rest)? else { return None };
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for _ in 0..members {
            let label = number(head(&mut rest)?)?;
            if numbers.iter().any(|(l, _)| *l == label) || texts.iter().any(|(l, _)| *l == label) {
                return None;
            }
            match head(&mut rest)? {
                (2, len) => {
                    let (bytes, behind) = rest.split_at_checked(usize::from(len))?;
                    (rest, _) = (behind, texts.push((label, bytes)));
                }
                value => numbers.push((label, number(value)?)),
            }
        }
        let number = |label: i32| numbers.iter().find(|(l, _)| *l == label).map(|(_, n)| *n);
        let bytes = |label: i32| texts.iter().find(|(l, _)| *l == label).map(|(_, b)| *b);
        let sized = |label: i32| bytes(label).filter(|b| b.len() == 32);
        // Key type, algorithm, curve.
        match (rest.is_empty(), number(1)?, number(3)?, number(-1)) {
            (true, 2, -7, Some(1)) => Some(Self::P256([&[4], sized(-2)?, sized(-3)?].concat())),
            (true, 1, -8, Some(6)) => Some(Self::Ed25519(sized(-2)?)),
            (true, 3, -257, None) => {
                Some(Self::Rsa { n: without_zeros(bytes(-1)?), e: without_zeros(bytes(-2)?) })
            }
            _ => None,
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let plain = |with: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(with, key).verify(message, signature).is_ok()
        };
        match self {
            Self::P256(point) => plain(&signature::ECDSA_P256_SHA256_ASN1, point),
            Self::Ed25519(key) => plain(&signature::ED25519, key),
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}

/// The head of one CBOR item: its major type and number, in the shortest form only.
fn head(rest: &mut &[u8]) -> Option<(u8, u16)> {
    let (first, behind) = rest.split_first()?;
    let (value, behind) = match first & 0x1f {
        small @ 0..=23 => (u16::from(small), behind),
        24 => behind.split_first().filter(|(n, _)| **n >= 24).map(|(n, b)| (u16::from(*n), b))?,
        25 => {
            behind.split_first_chunk().map(|(n, b)| (u16::from_be_bytes(*n), b)).filter(|(n, _)| *n > 255)?
        }
        _ => return None,
    };
    *rest = behind;
    Some((first >> 5, value))
}

fn number((major, value): (u8, u16)) -> Option<i32> {
    match major {
        0 => Some(i32::from(value)),
        1 => Some(-1 - i32::from(value)),
        _ => None,
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn cose() -> Vec<u8> {
        [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32], pair().public_key().as_ref()].concat()
    }

    /// Key, authenticator data, client data, signature.
    fn made(flags: u8) -> [Vec<u8>; 4] {
        let data = [Sha256::digest(b"trust.example").as_slice(), &[flags, 0, 0, 0, 1]].concat();
        let client = b"{}".to_vec();
        let signature = pair().sign(&[data.as_slice(), Sha256::digest(&client).as_slice()].concat());
        [cose(), data, client, signature.as_ref().to_vec()]
    }

    fn open(parts: &[Vec<u8>; 4]) -> Result<Signed, PasskeyError> {
        let [public_key, authenticator_data, client_data, signature] =
            &parts.each_ref().map(|p| URL_SAFE_NO_PAD.encode(p));
        Assertion { public_key, authenticator_data, client_data, signature }.open()
    }

    #[test]
    fn each_changed_bit_is_found() {
        let good = made(5);
        let signed = open(&good).unwrap();
        assert!(signed.is_for("trust.example") && !signed.is_for("example"));
        for (at, part) in good.iter().enumerate() {
            for bit in 0..part.len() * 8 {
                let mut bad = good.clone();
                bad[at][bit / 8] ^= 1 << (bit % 8);
                assert!(open(&bad).is_err(), "part {at}, bit {bit}");
            }
        }
        for flags in [0, 1, 4, 0x45] {
            assert!(open(&made(flags)).is_err(), "{flags:x}");
        }
        assert_eq!(open(&made(1)), Err(PasskeyError::NotVerified));
        let b64 = URL_SAFE_NO_PAD.encode(cose());
        assert!(fingerprint(&b64).unwrap().starts_with("SHA256:") && fingerprint("+").is_err());
    }

    #[test]
    fn a_key_is_of_one_kind_and_spelled_shortly() {
        let good = cose();
        assert!(Key::parse(&good).is_some());
        let bent = |at: usize, to: &[u8]| [&good[..at], to, &good[at + 1..]].concat();
        for bad in [
            bent(0, &[0xa3]),                 // a member less: something behind
            bent(4, &[0x26]),                 // ES256 with a key of Ed25519
            bent(2, &[2]),                    // the type of another curve
            bent(3, &[1]),                    // a label twice
            bent(2, &[0x18, 1]),              // a long spelling
            bent(9, &[31]),                   // a byte less
            [good.as_slice(), &[0]].concat(), // a byte more
            vec![0xbf, 0xff],                 // no length
            Vec::new(),
        ] {
            assert!(Key::parse(&bad).is_none(), "{bad:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Key::parse(&bytes);
            prop_assert!(open(&[bytes.clone(), bytes.clone(), bytes.clone(), bytes]).is_err());
        }
    }
}
