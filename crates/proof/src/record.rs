//! Records: the 50 bytes that a log holds of each event, and the commitment to the event (facts/trail.md §5).
//!
//! An entry has one reading: fixed length, version 1, a kind of the list; everything else is refused.
//! INVARIANT: the commitment is over the exact bytes of the event as they are stored; nothing is re-serialised.

use crate::hash::{Hash, leaf_hash, sha256};

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 50;

/// Bytes of the nonce that hides an event until it is opened.
pub const NONCE_BYTES: usize = 32;

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"bailee/event/v1\0";

/// What a record is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// An act that is about to happen.
    Intent,
    /// How an intent ended.
    Outcome,
    /// A decided no.
    Refusal,
    /// A management act of the tenant's own, about to happen.
    Management,
    /// The erasing of events that a law or the tenant asked for.
    Erasure,
    /// A change of this log's key or policy.
    Log,
    /// A sign of life.
    Heartbeat,
    /// The result of a check.
    Finding,
}

/// The entry of a record, without its event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// Its place in the log, from 0.
    pub index: u64,
    /// When it was recorded: milliseconds since 1970, UTC.
    pub time_ms: u64,
    /// What it commits to: see [`commitment`].
    pub commitment: Hash,
}

/// Why an entry was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not 50 bytes.
    #[error("an entry has 50 bytes, not {0}")]
    Length(usize),
    /// Another version.
    #[error("the entry has version {0}, only version 1 is known")]
    Version(u8),
    /// A kind outside the list.
    #[error("the entry has kind {0}, known are 1 to 8")]
    Kind(u8),
}

impl Kind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::Intent,
        Self::Outcome,
        Self::Refusal,
        Self::Management,
        Self::Erasure,
        Self::Log,
        Self::Heartbeat,
        Self::Finding,
    ];

    /// The byte in the entry, 1 to 8.
    pub const fn code(self) -> u8 {
        match self {
            Self::Intent => 1,
            Self::Outcome => 2,
            Self::Refusal => 3,
            Self::Management => 4,
            Self::Erasure => 5,
            Self::Log => 6,
            Self::Heartbeat => 7,
            Self::Finding => 8,
        }
    }

    /// The kind with this code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Intent,
            2 => Self::Outcome,
            3 => Self::Refusal,
            4 => Self::Management,
            5 => Self::Erasure,
            6 => Self::Log,
            7 => Self::Heartbeat,
            8 => Self::Finding,
            _ => return None,
        })
    }

    /// The word for it in the event's member `record`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Refusal => "refusal",
            Self::Management => "management",
            Self::Erasure => "erasure",
            Self::Log => "log",
            Self::Heartbeat => "heartbeat",
            Self::Finding => "finding",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether an outcome may name a record of this kind as its intent.
    pub const fn awaits_outcome(self) -> bool {
        matches!(self, Self::Intent | Self::Management)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Entry {
    /// The 50 bytes: version, kind, index, time, commitment; numbers big-endian.
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[0] = VERSION;
        bytes[1] = self.kind.code();
        bytes[2..10].copy_from_slice(&self.index.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.time_ms.to_be_bytes());
        bytes[18..].copy_from_slice(&self.commitment.0);
        bytes
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// When it has another length or version, or a kind that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let bytes: &[u8; ENTRY_BYTES] = bytes.try_into().map_err(|_| EntryError::Length(bytes.len()))?;
        let (&[version, code], rest) = bytes.split_first_chunk::<2>().ok_or(EntryError::Length(0))?;
        let (index, rest) = rest.split_first_chunk::<8>().ok_or(EntryError::Length(0))?;
        let (time_ms, rest) = rest.split_first_chunk::<8>().ok_or(EntryError::Length(0))?;
        let commitment = Hash::from_slice(rest).ok_or(EntryError::Length(0))?;
        if version != VERSION {
            return Err(EntryError::Version(version));
        }
        Ok(Self {
            kind: Kind::from_code(code).ok_or(EntryError::Kind(code))?,
            index: u64::from_be_bytes(*index),
            time_ms: u64::from_be_bytes(*time_ms),
            commitment,
        })
    }

    /// The leaf hash of the entry.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.encode())
    }
}

/// What an entry holds of its event: SHA-256 over a domain string, the nonce and the event's exact bytes.
pub fn commitment(nonce: &[u8; NONCE_BYTES], event: &[u8]) -> Hash {
    sha256(&[DOMAIN, nonce, event])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known() -> Entry {
        let nonce = std::array::from_fn(|i| 0x40 + i as u8);
        Entry {
            kind: Kind::Intent,
            index: 0,
            time_ms: 1_700_000_000_000,
            commitment: commitment(&nonce, br#"{"eventName":"GetObject"}"#),
        }
    }

    #[test]
    fn the_known_entry_is_encoded_and_hashed() {
        assert_eq!(
            hex::encode(known().encode()),
            "010100000000000000000000018bcfe56800b03e1351927ea920fbfcf51b4c35c7f3ac73bc7483570cbe1fdd615f18b5acff"
        );
        assert_eq!(
            known().leaf_hash().to_string(),
            "d3c3690da218d553b11670efbeb2b49e1e4417aba3e1f8925e53f87d082a84db"
        );
    }

    #[test]
    fn an_entry_of_another_version_kind_or_length_is_refused() {
        let good = known().encode();
        let text = |bytes: &[u8]| Entry::decode(bytes).unwrap_err().to_string();
        assert_eq!(Entry::decode(&good), Ok(known()));
        assert_eq!(text(&good[..49]), "an entry has 50 bytes, not 49");
        assert_eq!(text(&[good.as_slice(), &[0]].concat()), "an entry has 50 bytes, not 51");
        let mut other = good;
        other[0] = 2;
        assert_eq!(text(&other), "the entry has version 2, only version 1 is known");
        for code in [0, 9, 255] {
            let mut other = good;
            other[1] = code;
            assert_eq!(text(&other), format!("the entry has kind {code}, known are 1 to 8"));
        }
    }

    #[test]
    fn a_kind_has_one_code_and_one_word() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.code()), at + 1);
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(Kind::from_word("Intent"), None);
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_the_same(mut bytes: [u8; 25], tail: [u8; 25], code in 0..10u8) {
            bytes[0] = 1;
            bytes[1] = code;
            let bytes = [bytes, tail].concat();
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode().to_vec(), bytes);
            } else {
                prop_assert!(code == 0 || code == 9);
            }
        }
    }
}
