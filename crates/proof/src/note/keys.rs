//! Keys that sign notes, and the text form of the public ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::SignatureLine;
use super::mldsa;
use crate::checkpoint::Checkpoint;
use crate::hash::{Hash, sha256};

/// Bytes of a key name, at most.
const NAME_BYTES_MAX: usize = 256;

/// The kinds of key that are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// Type 01: Ed25519 over the text.
    Ed25519,
    /// Type 04: an Ed25519 cosignature of a checkpoint, with a time.
    Cosignature,
    /// Type 06: an ML-DSA-44 cosignature of a checkpoint, with a time; witnesses and logs both have such keys.
    MlDsa44,
}

/// A public key that verifies lines of notes; its text form is the *vkey*, `name+hex8+base64(type ‖ key)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKey {
    name: String,
    id: u32,
    kind: KeyKind,
    public: Box<[u8]>,
}

/// A private key that signs notes. Its `Debug` shows the public half only.
pub struct Signer {
    secret: Secret,
    verifier: VerifierKey,
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    MlDsa44(Box<mldsa::Secret>),
}

/// Why a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+hex8+base64`.
    #[error("`{0}` is not a verifier key of the form name+hex8+base64")]
    Form(String),
    /// A name that is empty, too long, or has a space or a plus sign.
    #[error("`{0}` cannot name a key: 1 to 256 bytes without spaces, control characters and plus signs")]
    Name(String),
    /// The id in the text is not that of name and key.
    #[error(
        "the id in the verifier key `{name}` is {given}, its name and key give {computed}: a character was changed"
    )]
    Id {
        /// The key's name.
        name: String,
        /// The id in the text.
        given: String,
        /// The id that follows from name and key.
        computed: String,
    },
    /// A kind of key that is not understood here.
    #[error(
        "the verifier key `{name}` has type {kind:02x}: only 01 (Ed25519), 04 (Ed25519 cosignature) and 06 (ML-DSA-44 cosignature) are understood"
    )]
    Kind {
        /// The key's name.
        name: String,
        /// The type byte.
        kind: u8,
    },
    /// The seed makes no key.
    #[error("the seed does not make a key")]
    Seed,
}

impl KeyKind {
    const fn code(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
            Self::MlDsa44 => 6,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Ed25519,
            4 => Self::Cosignature,
            6 => Self::MlDsa44,
            _ => return None,
        })
    }

    const fn public_bytes(self) -> usize {
        match self {
            Self::Ed25519 | Self::Cosignature => 32,
            Self::MlDsa44 => mldsa::PUBLIC_BYTES,
        }
    }
}

impl VerifierKey {
    /// Reads a vkey, e.g. `example.com/trail+e0a97276+AQOh…`.
    ///
    /// # Errors
    /// When it has another form, its id does not fit, or its type is not understood.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let form = || KeyError::Form(shown(vkey));
        // Base64 has plus signs too: only the first two divide.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        if !name_is_valid(name) {
            return Err(KeyError::Name(shown(name)));
        }
        let payload = STANDARD.decode(key).map_err(|_| form())?;
        let (code, public) = payload.split_first().ok_or_else(form)?;
        let computed = format!("{:08x}", key_id(name, *code, public));
        if id != computed {
            return Err(KeyError::Id { name: shown(name), given: shown(id), computed });
        }
        let kind =
            KeyKind::from_code(*code).ok_or_else(|| KeyError::Kind { name: shown(name), kind: *code })?;
        if public.len() != kind.public_bytes() {
            return Err(form());
        }
        if kind == KeyKind::MlDsa44 && !mldsa::name_fits(name) {
            return Err(KeyError::Name(shown(name)));
        }
        Ok(Self::new(name, kind, public))
    }

    /// The key's name; for a log its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id: the first four bytes of the fingerprint.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What the key signs.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public key, without its type: 32 bytes for Ed25519, 1,312 for ML-DSA-44.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The public key of a type 01 or 04; `None` for any other.
    pub fn ed25519(&self) -> Option<&[u8; 32]> {
        self.public.as_ref().try_into().ok()
    }

    /// Whether both wrap the same public key, whatever their names: for a policy they are one and the same.
    pub fn same_public(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// SHA-256 over name, newline, type and key: the value to compare with the one on an enrolment receipt.
    pub fn fingerprint(&self) -> Hash {
        sha256(&[self.name.as_bytes(), b"\n", &[self.kind.code()], &self.public])
    }

    /// Checks a signature line's payload; the time, if it is a cosignature. `None`: it does not verify.
    pub(super) fn check(&self, text: &str, payload: &[u8]) -> Option<Option<u64>> {
        let ed25519 = |message: &[u8], signature: &[u8]| {
            UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).ok()
        };
        if self.kind == KeyKind::Ed25519 {
            return ed25519(text.as_bytes(), payload).map(|()| None);
        }
        let (time, signature) = payload.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        match self.kind {
            KeyKind::Ed25519 | KeyKind::Cosignature => ed25519(cosigned(text, time)?.as_bytes(), signature)?,
            KeyKind::MlDsa44 => {
                let message = subtree(&self.name, text, time)?;
                mldsa::verify(&self.public, &message, signature)?;
            }
        }
        Some(Some(time))
    }

    fn new(name: &str, kind: KeyKind, public: &[u8]) -> Self {
        Self { name: name.to_owned(), id: key_id(name, kind.code(), public), kind, public: public.into() }
    }
}

/// The vkey.
impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut payload = vec![self.kind.code()];
        payload.extend_from_slice(&self.public);
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(payload))
    }
}

impl Signer {
    /// A log's key (type 01) from its 32-byte seed. The seed is not kept; the caller wipes its own copy.
    ///
    /// # Errors
    /// When the name cannot name a key.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::of_kind(name, seed, KeyKind::Ed25519)
    }

    /// A witness's key (type 04) from its seed. Never use a log's seed, nor one seed for two witnesses: the signed
    /// message does not name the witness.
    ///
    /// # Errors
    /// When the name cannot name a key.
    pub fn witness_from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::of_kind(name, seed, KeyKind::Cosignature)
    }

    /// An ML-DSA-44 key (type 06) from its 32-byte seed (FIPS 204, `ML-DSA.KeyGen_internal`). As a log's key it is the
    /// second signature beside the Ed25519 one; as a witness's it stands alone. The signed message names the signer.
    ///
    /// # Errors
    /// When the name cannot name such a key: here it has at most 255 bytes.
    pub fn mldsa44_from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        if !name_is_valid(name) || !mldsa::name_fits(name) {
            return Err(KeyError::Name(shown(name)));
        }
        let (secret, public) = mldsa::from_seed(seed);
        Ok(Self {
            verifier: VerifierKey::new(name, KeyKind::MlDsa44, &public),
            secret: Secret::MlDsa44(Box::new(secret)),
        })
    }

    /// The public half.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text; `None` when this key makes cosignatures, which have a time: see [`super::cosign`].
    pub(super) fn line(&self, text: &str) -> Option<SignatureLine<'_>> {
        match &self.secret {
            Secret::Ed25519(pair) if self.verifier.kind == KeyKind::Ed25519 => {
                Some(self.with(pair.sign(text.as_bytes()).as_ref().to_vec()))
            }
            _ => None,
        }
    }

    /// Cosigns a checkpoint's text; `None` when this key makes no cosignatures, the time does not fit 63 bits, or (for
    /// ML-DSA-44) the text is not a checkpoint.
    pub(super) fn cosignature(&self, text: &str, time: u64) -> Option<SignatureLine<'_>> {
        let signature = match &self.secret {
            Secret::Ed25519(pair) if self.verifier.kind == KeyKind::Cosignature => {
                pair.sign(cosigned(text, time)?.as_bytes()).as_ref().to_vec()
            }
            Secret::Ed25519(_) => return None,
            Secret::MlDsa44(secret) => mldsa::sign(secret, &subtree(&self.verifier.name, text, time)?)?,
        };
        Some(self.with([time.to_be_bytes().as_slice(), &signature].concat()))
    }

    fn with(&self, signature: Vec<u8>) -> SignatureLine<'_> {
        SignatureLine { name: &self.verifier.name, key_id: self.verifier.id, signature }
    }

    fn of_kind(name: &str, seed: &[u8; 32], kind: KeyKind) -> Result<Self, KeyError> {
        if !name_is_valid(name) {
            return Err(KeyError::Name(shown(name)));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Seed)?;
        let verifier = VerifierKey::new(name, kind, pair.public_key().as_ref());
        Ok(Self { verifier, secret: Secret::Ed25519(pair) })
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// Whether a text can name a key: no Unicode space, no plus sign, no control character, not empty.
pub(super) fn name_is_valid(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, code: u8, public: &[u8]) -> u32 {
    let Hash([a, b, c, d, ..]) = sha256(&[name.as_bytes(), b"\n", &[code], public]);
    u32::from_be_bytes([a, b, c, d])
}

/// What an ML-DSA-44 key signs of a checkpoint: the tree from 0 to its size, not the lines below the root.
fn subtree(name: &str, text: &str, time: u64) -> Option<Vec<u8>> {
    let checkpoint = Checkpoint::parse(text).ok()?;
    mldsa::message(name, time, &checkpoint.origin, checkpoint.size, &checkpoint.root)
}

fn cosigned(text: &str, time: u64) -> Option<String> {
    (time < 1 << 63).then(|| format!("cosignature/v1\ntime {time}\n{text}"))
}

fn shown(text: &str) -> String {
    text.chars().take(200).filter(|c| !c.is_control()).collect()
}
