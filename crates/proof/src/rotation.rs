//! A log changes its key: a note that names the old and the new key, signed by both.
//!
//! ```text
//! bailee-log-key/v1
//! <origin>
//! index <index of the record that carries this note>
//! old <vkey>
//! new <vkey>
//! ```
//! The note stands in a record of kind 6 (`rotation`), and the log serves it as `keys/<n>`, n = 1, 2, …. The old key's
//! signature passes the right to sign on; the new key's shows that somebody holds it.
//! INVARIANT: a tree that holds the record is signed by the new key, every smaller one by the old key: each size has one
//! key, so a stolen old key signs nothing new.
//! INVARIANT: the text has five lines and a checkpoint has three, so no signature over one is good for the other.

use crate::note::{self, KeyError, KeyKind, Note, NoteError, Signer, VerifierKey};
use crate::witness::canonical;

/// A change of key, verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// The index of the record that carries it.
    pub index: u64,
    /// Who signed until then.
    pub old: VerifierKey,
    /// Who signs trees of more than `index` records.
    pub new: VerifierKey,
}

/// Why a change of key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// The note around it, or one of its two signatures.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text.
    #[error("line {line} of the key change must be {wanted}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it must be.
        wanted: &'static str,
    },
    /// A key in it.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key of another log, or of another type than 01, or the same key again.
    #[error("a log changes from one Ed25519 key (type 01) of its own to another one: `{0}` does not fit")]
    Keys(String),
    /// Signed by one of the two only.
    #[error("a key change is signed by the old and by the new key, each once, and by nobody else")]
    Signatures,
    /// Not the key that signed until now.
    #[error("the key change at record {index} is from `{old}`, which was not the log's key then")]
    Old {
        /// The index in it.
        index: u64,
        /// The key that it says was in use.
        old: String,
    },
    /// Not after the change before it.
    #[error("the key change at record {got} comes after one at record {before}")]
    Order {
        /// The index in it.
        got: u64,
        /// That of the change before.
        before: u64,
    },
}

impl Rotation {
    /// The note by which `old` passes on to `new`, in the record at `index`.
    ///
    /// # Errors
    /// When the keys are not two Ed25519 keys of one log.
    pub fn sign(index: u64, old: &Signer, new: &Signer) -> Result<String, RotationError> {
        let rotation = Self { index, old: old.verifier().clone(), new: new.verifier().clone() };
        rotation.expect_keys()?;
        Ok(note::sign(&rotation.to_string(), &[old, new])?)
    }

    /// Reads such a note and verifies both signatures, by the keys named in it. Whether the old key was the log's is for
    /// [`KeyChain::rotate`] to say.
    ///
    /// # Errors
    /// When it has another form or a signature is missing, wrong, or one too many.
    pub fn open(bytes: &[u8]) -> Result<Self, RotationError> {
        let note = Note::parse(bytes)?;
        let rotation = Self::parse(note.text())?;
        let verified = note.verify(&[&rotation.old, &rotation.new])?;
        let by = |key: usize| verified.iter().filter(|v| v.key == key).count();
        if note.lines().len() == 2 && by(0) == 1 && by(1) == 1 {
            return Ok(rotation);
        }
        Err(RotationError::Signatures)
    }

    fn parse(text: &str) -> Result<Self, RotationError> {
        let wrong = |line, wanted| RotationError::Line { line, wanted };
        let mut lines = text.strip_suffix('\n').unwrap_or_default().split('\n');
        let mut next = |line, prefix: &str, wanted| {
            lines.next().and_then(|l| l.strip_prefix(prefix)).ok_or_else(|| wrong(line, wanted))
        };
        let rest = next(1, "bailee-log-key/v1", "`bailee-log-key/v1`")?;
        if !rest.is_empty() {
            return Err(wrong(1, "`bailee-log-key/v1`"));
        }
        let origin = next(2, "", "the log's origin")?;
        let index = next(3, "index ", "`index` and a number")?;
        let index = canonical(index).ok_or_else(|| wrong(3, "`index` and a number"))?;
        let old = VerifierKey::parse(next(4, "old ", "`old` and a verifier key")?)?;
        let new = VerifierKey::parse(next(5, "new ", "`new` and a verifier key")?)?;
        if lines.next().is_some() {
            return Err(wrong(6, "absent"));
        }
        let rotation = Self { index, old, new };
        rotation.expect_keys()?;
        if rotation.old.name() != origin {
            return Err(RotationError::Keys(rotation.old.name().to_owned()));
        }
        Ok(rotation)
    }

    fn expect_keys(&self) -> Result<(), RotationError> {
        for key in [&self.old, &self.new] {
            if key.kind() != KeyKind::Ed25519 {
                return Err(RotationError::Keys(key.to_string()));
            }
        }
        if self.old.name() != self.new.name() || self.old.same_public(&self.new) {
            return Err(RotationError::Keys(self.new.to_string()));
        }
        Ok(())
    }
}

/// The text that both keys sign.
impl std::fmt::Display for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { index, old, new } = self;
        writeln!(f, "bailee-log-key/v1\n{}\nindex {index}\nold {old}\nnew {new}", old.name())
    }
}

/// The keys of a log over time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChain {
    first: VerifierKey,
    changes: Vec<Rotation>,
}

impl KeyChain {
    /// The log's first key, as its enrolment receipt names it.
    pub const fn new(first: VerifierKey) -> Self {
        Self { first, changes: Vec::new() }
    }

    /// Takes the next change.
    ///
    /// # Errors
    /// When it is not from the key of now, or not after the change before it.
    pub fn rotate(&mut self, rotation: Rotation) -> Result<(), RotationError> {
        if rotation.old != *self.latest() {
            return Err(RotationError::Old { index: rotation.index, old: rotation.old.to_string() });
        }
        if let Some(last) = self.changes.last().filter(|last| last.index >= rotation.index) {
            return Err(RotationError::Order { got: rotation.index, before: last.index });
        }
        self.changes.push(rotation);
        Ok(())
    }

    /// The key that signs trees of this many records.
    pub fn key_for(&self, size: u64) -> &VerifierKey {
        let change = self.changes.iter().rev().find(|change| change.index < size);
        change.map_or(&self.first, |change| &change.new)
    }

    /// The key of now.
    pub fn latest(&self) -> &VerifierKey {
        self.changes.last().map_or(&self.first, |change| &change.new)
    }

    /// The first key.
    pub const fn first(&self) -> &VerifierKey {
        &self.first
    }

    /// The changes so far.
    pub fn changes(&self) -> &[Rotation] {
        &self.changes
    }

    /// Opens a checkpoint with the one key that signs trees of its size.
    ///
    /// # Errors
    /// As [`crate::checkpoint::Checkpoint::open`].
    pub fn open(
        &self,
        bytes: &[u8],
    ) -> Result<crate::checkpoint::Checkpoint, crate::checkpoint::CheckpointError> {
        let named = crate::checkpoint::Checkpoint::parse(Note::parse(bytes)?.text())?;
        crate::checkpoint::Checkpoint::open(bytes, self.key_for(named.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::hash::leaf_hash;

    fn signer(n: u8) -> Signer {
        Signer::from_seed("example.com/trail", &[n; 32]).unwrap()
    }

    #[test]
    fn each_size_has_one_key() {
        let mut keys = KeyChain::new(signer(1).verifier().clone());
        for (index, old, new) in [(3, 1, 2), (9, 2, 3)] {
            let note = Rotation::sign(index, &signer(old), &signer(new)).unwrap();
            keys.rotate(Rotation::open(note.as_bytes()).unwrap()).unwrap();
        }
        for (size, by) in [(0, 1), (3, 1), (4, 2), (9, 2), (10, 3)] {
            assert_eq!(keys.key_for(size), signer(by).verifier(), "{size}");
            let root = if size == 0 { crate::hash::empty_root() } else { leaf_hash(b"x") };
            let head = Checkpoint { origin: "example.com/trail".into(), size, root };
            for n in 1..=3 {
                let note = head.sign(&signer(n)).unwrap();
                assert_eq!(keys.open(note.as_bytes()).is_ok(), n == by, "{size} by {n}");
            }
        }
    }

    #[test]
    fn a_change_that_is_not_from_the_key_of_now_is_refused() {
        let mut keys = KeyChain::new(signer(1).verifier().clone());
        let change = |index, old, new| {
            Rotation::open(Rotation::sign(index, &signer(old), &signer(new)).unwrap().as_bytes()).unwrap()
        };
        assert!(matches!(keys.rotate(change(3, 2, 3)), Err(RotationError::Old { index: 3, .. })));
        keys.rotate(change(5, 1, 2)).unwrap();
        assert_eq!(keys.rotate(change(5, 2, 3)), Err(RotationError::Order { got: 5, before: 5 }));
        assert!(matches!(keys.rotate(change(6, 1, 3)), Err(RotationError::Old { .. })));
    }

    #[test]
    fn a_change_signed_by_one_key_or_a_third_or_of_another_log_is_refused() {
        let good = Rotation::sign(3, &signer(1), &signer(2)).unwrap();
        let text = good.split_once("\n\n").unwrap().0.to_owned() + "\n";
        for signers in [vec![1], vec![2], vec![1, 1], vec![1, 2, 3], vec![2, 2], vec![3]] {
            let signers: Vec<Signer> = signers.into_iter().map(signer).collect();
            let note = note::sign(&text, &signers.iter().collect::<Vec<_>>()).unwrap();
            assert!(Rotation::open(note.as_bytes()).is_err());
        }
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(Rotation::open(&bytes).is_err(), "byte {at}");
        }
        let other = Signer::from_seed("example.com/other", &[4; 32]).unwrap();
        assert!(matches!(Rotation::sign(3, &signer(1), &other), Err(RotationError::Keys(_))));
        assert!(matches!(Rotation::sign(3, &signer(1), &signer(1)), Err(RotationError::Keys(_))));
        let second = Signer::mldsa44_from_seed("example.com/trail", &[4; 32]).unwrap();
        assert!(matches!(Rotation::sign(3, &signer(1), &second), Err(RotationError::Keys(_))));
        // A checkpoint's signature is not one of a change.
        assert!(Checkpoint::open(good.as_bytes(), signer(1).verifier()).is_err());
    }
}
