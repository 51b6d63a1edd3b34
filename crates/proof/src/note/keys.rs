//! Keys that sign notes, and the text form of the public ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::SignatureLine;
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
}

/// A public key that verifies lines of notes; its text form is the *vkey*, `name+hex8+base64(type ‖ key)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKey {
    name: String,
    id: u32,
    kind: KeyKind,
    public: [u8; 32],
}

/// A private key that signs notes. Its `Debug` shows the public half only.
pub struct Signer {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
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
        "the verifier key `{name}` has type {kind:02x}: only 01 (Ed25519) and 04 (cosignature) are understood"
    )]
    Kind {
        /// The key's name.
        name: String,
        /// The type byte.
        kind: u8,
    },
    /// The seed is not one of an Ed25519 key.
    #[error("the seed does not make an Ed25519 key")]
    Seed,
}

impl KeyKind {
    const fn code(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
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
        let kind = match code {
            1 => KeyKind::Ed25519,
            4 => KeyKind::Cosignature,
            _ => return Err(KeyError::Kind { name: shown(name), kind: *code }),
        };
        let public = public.try_into().map_err(|_| form())?;
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

    /// The public key, without its type.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// SHA-256 over name, newline, type and key: the value to compare with the one on an enrolment receipt.
    pub fn fingerprint(&self) -> Hash {
        sha256(&[self.name.as_bytes(), b"\n", &[self.kind.code()], &self.public])
    }

    /// Checks a signature line's payload; the time, if it is a cosignature. `None`: it does not verify.
    pub(super) fn check(&self, text: &str, payload: &[u8]) -> Option<Option<u64>> {
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        match self.kind {
            KeyKind::Ed25519 => key.verify(text.as_bytes(), payload).ok().map(|()| None),
            KeyKind::Cosignature => {
                let (time, signature) = payload.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                let message = cosigned(text, time)?;
                key.verify(message.as_bytes(), signature).ok().map(|()| Some(time))
            }
        }
    }

    fn new(name: &str, kind: KeyKind, public: [u8; 32]) -> Self {
        Self { name: name.to_owned(), id: key_id(name, kind.code(), &public), kind, public }
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

    /// The public half.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text. A witness's line has time 0, which no policy accepts: use [`super::cosign`].
    pub(super) fn line(&self, text: &str) -> SignatureLine<'_> {
        if let Some(line) = self.cosignature(text, 0) {
            return line;
        }
        self.with(self.pair.sign(text.as_bytes()).as_ref().to_vec())
    }

    /// Cosigns a checkpoint's text; `None` when this is not a witness's key or the time does not fit 63 bits.
    pub(super) fn cosignature(&self, text: &str, time: u64) -> Option<SignatureLine<'_>> {
        if self.verifier.kind != KeyKind::Cosignature {
            return None;
        }
        let mut payload = time.to_be_bytes().to_vec();
        payload.extend_from_slice(self.pair.sign(cosigned(text, time)?.as_bytes()).as_ref());
        Some(self.with(payload))
    }

    fn with(&self, signature: Vec<u8>) -> SignatureLine<'_> {
        SignatureLine { name: &self.verifier.name, key_id: self.verifier.id, signature }
    }

    fn of_kind(name: &str, seed: &[u8; 32], kind: KeyKind) -> Result<Self, KeyError> {
        if !name_is_valid(name) {
            return Err(KeyError::Name(shown(name)));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Seed)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Seed)?;
        Ok(Self { verifier: VerifierKey::new(name, kind, public), pair })
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

fn cosigned(text: &str, time: u64) -> Option<String> {
    (time < 1 << 63).then(|| format!("cosignature/v1\ntime {time}\n{text}"))
}

fn shown(text: &str) -> String {
    text.chars().take(200).filter(|c| !c.is_control()).collect()
}
