//! Entries of the public head log: blinded, labelled heads of the tenants' logs (facts/trail.md §5).
//!
//! A stranger sees that a label never repeats, and nothing else; who holds the log's watch key finds his own heads.
//! INVARIANT: a label depends on watch key and version only, so two heads for one version have one label and show.

mod chain;
mod receipt;

use ring::hmac;

use crate::hash::{Hash, sha256};

pub use chain::{ChainError, HeadChain, HeadLine, HeadLineError, heads_path};
pub use receipt::{Receipt, ReceiptError};

/// The secret that labels and blinds the heads of one log: 32 random bytes, shown to the tenant at enrolment.
/// Its `Debug` shows nothing.
#[derive(Clone)]
pub struct WatchKey(hmac::Key, [u8; 32]);

/// Heads in a full file of heads: see [`heads_path`].
pub const HEADS_WIDTH: u64 = 256;

/// Bytes of an enrol entry and of a head entry.
pub const HEAD_BYTES: usize = 65;

/// Bytes of an epoch entry.
pub const EPOCH_BYTES: usize = 53;

/// A head, before it is blinded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head<'a> {
    /// The log's origin.
    pub origin: &'a str,
    /// 0 for the first head of the log, then one more each time.
    pub version: u64,
    /// Number of records.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// The commitment of the version before; for version 0 that of the enrolment.
    pub previous: Hash,
}

impl WatchKey {
    /// From its 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes), bytes)
    }

    /// The label of the head with this version: what to look for in the head log.
    pub fn label(&self, version: u64) -> Hash {
        self.tagged(b"bailee/head-label/v1\0", version)
    }

    fn blind(&self, version: u64) -> Hash {
        self.tagged(b"bailee/head-blind/v1\0", version)
    }

    fn tagged(&self, domain: &[u8], version: u64) -> Hash {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(domain);
        context.update(&version.to_be_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        Hash(out)
    }
}

impl std::fmt::Debug for WatchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// An entry of the head log, as anybody reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadLogEntry {
    /// Type 2: a log enrols. Nobody enrols one origin twice.
    Enrol {
        /// By the origin: see [`origin_label`].
        label: Hash,
        /// To watch key and first public key: see [`enrol_commit`].
        commit: Hash,
    },
    /// Type 1: a head of some log.
    Head {
        /// By watch key and version: see [`WatchKey::label`].
        label: Hash,
        /// To the head: see [`head_commit`].
        commit: Hash,
    },
    /// Type 3: an epoch ends.
    EpochEnd {
        /// Its number: larger than that of the epoch end before it (an epoch in which nothing happened has no end).
        epoch: u64,
        /// When it ended: milliseconds since 1970, UTC.
        time_ms: u64,
        /// Entries since the epoch end before it, itself not counted.
        leaves: u32,
        /// Root of the index of all labels; zeros while there is none.
        index_root: Hash,
    },
}

/// Why an entry of a head log was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadEntryError {
    /// No bytes at all, or a type that is not known.
    #[error("an entry of a head log has type 1, 2 or 3, not {0:?}")]
    Type(Option<u8>),
    /// Another length than its type has.
    #[error("an entry of type {kind} has {wanted} bytes, not {got}")]
    Length {
        /// The type.
        kind: u8,
        /// Bytes that entries of this type have.
        wanted: usize,
        /// Bytes given.
        got: usize,
    },
}

impl HeadLogEntry {
    /// Reads an entry.
    ///
    /// # Errors
    /// When its type is not known or its length is not that of its type.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeadEntryError> {
        let kind = bytes.first().copied();
        let wanted = match kind {
            Some(1 | 2) => HEAD_BYTES,
            Some(3) => EPOCH_BYTES,
            other => return Err(HeadEntryError::Type(other)),
        };
        let kind = kind.unwrap_or_default();
        let length = HeadEntryError::Length { kind, wanted, got: bytes.len() };
        if bytes.len() != wanted {
            return Err(length);
        }
        let hash = |at: usize| bytes.get(at..at + 32).and_then(Hash::from_slice).ok_or(length);
        let number = |at: usize| {
            bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes).ok_or(length)
        };
        Ok(match kind {
            1 => Self::Head { label: hash(1)?, commit: hash(33)? },
            2 => Self::Enrol { label: hash(1)?, commit: hash(33)? },
            _ => Self::EpochEnd {
                epoch: number(1)?,
                time_ms: number(9)?,
                leaves: bytes
                    .get(17..21)
                    .and_then(|b| b.try_into().ok())
                    .map(u32::from_be_bytes)
                    .ok_or(length)?,
                index_root: hash(21)?,
            },
        })
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Head { label, commit } => two_hashes(1, label, commit).to_vec(),
            Self::Enrol { label, commit } => two_hashes(2, label, commit).to_vec(),
            Self::EpochEnd { epoch, time_ms, leaves, index_root } => {
                epoch_entry(*epoch, *time_ms, *leaves, &index_root.0).to_vec()
            }
        }
    }

    /// What must not occur twice in a head log.
    pub const fn label(&self) -> Option<&Hash> {
        match self {
            Self::Head { label, .. } | Self::Enrol { label, .. } => Some(label),
            Self::EpochEnd { .. } => None,
        }
    }
}

/// The label under which a log with this origin enrols.
pub fn origin_label(origin: &str) -> Hash {
    sha256(&[b"bailee/enrol/v1\0", origin.as_bytes()])
}

/// The commitment by which a log enrols: to its watch key and its first public key (Ed25519).
pub fn enrol_commit(key: &WatchKey, log_key: &[u8; 32]) -> Hash {
    sha256(&[b"bailee/enrol-key/v1\0", &key.1, &[1], log_key])
}

/// The entry (type 2) by which a log enrols.
pub fn enrol_entry(origin: &str, key: &WatchKey, log_key: &[u8; 32]) -> [u8; HEAD_BYTES] {
    two_hashes(2, &origin_label(origin), &enrol_commit(key, log_key))
}

/// The commitment to a head; the next version names it as its previous one.
pub fn head_commit(key: &WatchKey, head: &Head<'_>) -> Hash {
    sha256(&[
        b"bailee/head/v1\0",
        &key.blind(head.version).0,
        &sha256(&[head.origin.as_bytes()]).0,
        &head.version.to_be_bytes(),
        &head.size.to_be_bytes(),
        &head.root.0,
        &head.previous.0,
    ])
}

/// The entry (type 1) of a head.
pub fn head_entry(key: &WatchKey, head: &Head<'_>) -> [u8; HEAD_BYTES] {
    two_hashes(1, &key.label(head.version), &head_commit(key, head))
}

/// The entry (type 3) that ends an epoch; the index root is zeros until there is a label index.
pub fn epoch_entry(epoch: u64, time_ms: u64, leaves: u32, index_root: &[u8; 32]) -> [u8; EPOCH_BYTES] {
    let mut bytes = [0; EPOCH_BYTES];
    bytes[0] = 3;
    bytes[1..9].copy_from_slice(&epoch.to_be_bytes());
    bytes[9..17].copy_from_slice(&time_ms.to_be_bytes());
    bytes[17..21].copy_from_slice(&leaves.to_be_bytes());
    bytes[21..].copy_from_slice(index_root);
    bytes
}

fn two_hashes(code: u8, first: &Hash, second: &Hash) -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    bytes[0] = code;
    bytes[1..33].copy_from_slice(&first.0);
    bytes[33..].copy_from_slice(&second.0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    #[test]
    fn the_known_enrolment_and_first_head_are_encoded() {
        let key = WatchKey::new(std::array::from_fn(|i| 0x60 + i as u8));
        let signer =
            crate::note::Signer::from_seed("example.com/trail", &std::array::from_fn(|i| i as u8)).unwrap();
        let public = signer.verifier().ed25519().unwrap();
        assert_eq!(
            hex::encode(enrol_entry("example.com/trail", &key, public)),
            "02cba8f2226b3ee5fe7d9b1d0cd82b4fa49ad7542d38fd8dca23b6047f54cae0f719f4fc8ebf8fc55d8748fcb7c03f9a006f76cabad4514551331a0bb50b85538d"
        );
        let entry = "010100000000000000000000018bcfe56800b03e1351927ea920fbfcf51b4c35c7f3ac73bc7483570cbe1fdd615f18b5acff";
        let head = Head {
            origin: "example.com/trail",
            version: 0,
            size: 1,
            root: leaf_hash(&hex::decode(entry).unwrap()),
            previous: enrol_commit(&key, public),
        };
        assert_eq!(
            hex::encode(head_entry(&key, &head)),
            "01c2bcc317a24ad7b92f2585108e002f9f606fa985d5736c2debfbb2dfc31eca1cd802862ca4960c289dc096f49e15d1e6a5e413a352b1795b5e20687d6fba0d8f"
        );
        assert_eq!(format!("{key:?}"), "[redacted]");
        assert_ne!(key.label(0), key.label(1));
    }

    #[test]
    fn an_epoch_entry_has_its_fields_in_order() {
        let bytes = epoch_entry(1, 2, 3, &[4; 32]);
        assert_eq!(hex::encode(bytes), format!("03{:016x}{:016x}{:08x}{}", 1, 2, 3, "04".repeat(32)));
    }

    #[test]
    fn an_entry_reads_and_prints_and_another_type_or_length_is_refused() {
        let key = WatchKey::new([9; 32]);
        let head =
            Head { origin: "o", version: 3, size: 4, root: leaf_hash(b"r"), previous: leaf_hash(b"p") };
        let entries = [
            enrol_entry("o", &key, &[7; 32]).to_vec(),
            head_entry(&key, &head).to_vec(),
            epoch_entry(5, 6, 7, &[0; 32]).to_vec(),
        ];
        for bytes in &entries {
            let entry = HeadLogEntry::decode(bytes).unwrap();
            assert_eq!(&entry.encode(), bytes);
            for other in [&bytes[..bytes.len() - 1], &[bytes.as_slice(), &[0]].concat()] {
                assert!(matches!(HeadLogEntry::decode(other), Err(HeadEntryError::Length { .. })));
            }
        }
        assert_eq!(HeadLogEntry::decode(&entries[0]).unwrap().label(), Some(&origin_label("o")));
        assert_eq!(HeadLogEntry::decode(&entries[1]).unwrap().label(), Some(&key.label(3)));
        assert_eq!(HeadLogEntry::decode(&entries[2]).unwrap().label(), None);
        assert_eq!(HeadLogEntry::decode(&[]), Err(HeadEntryError::Type(None)));
        for kind in [0, 4, 255] {
            assert_eq!(HeadLogEntry::decode(&[kind; 65]), Err(HeadEntryError::Type(Some(kind))));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_decodes_encodes_the_same(kind in 0..5u8, tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 50..67)) {
            let bytes = [&[kind], tail.as_slice()].concat();
            if let Ok(entry) = HeadLogEntry::decode(&bytes) {
                proptest::prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }
}
