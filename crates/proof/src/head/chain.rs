//! The heads of one log in their order, opened with its watch key.
//!
//! A commitment hides size and root, so whoever opens it must be told them: the log serves them as lines of text beside
//! its tiles, and the watcher believes a line only when the head log committed to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{HEADS_WIDTH, Head, WatchKey, enrol_commit, head_commit};
use crate::hash::Hash;
use crate::witness::canonical;

/// A head as the log tells it: `<version> <size> <root in base64>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadLine {
    /// 0 for the first head of the log, then one more each time.
    pub version: u64,
    /// Number of records.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// Why a line is not a head's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {0} of the heads is not `<version> <size> <root in base64>`")]
pub struct HeadLineError(pub usize);

/// Why the next head was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Another version than the next one.
    #[error("the next head has version {wanted}, this one has {got}")]
    Version {
        /// The next.
        wanted: u64,
        /// What was given.
        got: u64,
    },
    /// The log became smaller.
    #[error("head {version} has {got} records, the one before it had {before}: records were removed")]
    Smaller {
        /// Its version.
        version: u64,
        /// Its size.
        got: u64,
        /// The size of the one before it.
        before: u64,
    },
    /// One size, two roots.
    #[error("head {version} has the size of the one before it and another root: the log was rewritten")]
    Root {
        /// Its version.
        version: u64,
    },
    /// The head log committed to something else.
    #[error("head {version} is not what the head log committed to under its label")]
    Commit {
        /// Its version.
        version: u64,
    },
    /// The enrolment commits to another watch key or first key.
    #[error("the log is not enrolled with this watch key and this first key")]
    Enrolment,
}

/// The heads so far.
#[derive(Clone, Debug)]
pub struct HeadChain {
    origin: String,
    key: WatchKey,
    next: u64,
    size: u64,
    root: Option<Hash>,
    previous: Hash,
}

impl HeadChain {
    /// The chain of a log before its first head. `first_key` is the log's first Ed25519 public key.
    pub fn new(origin: &str, key: WatchKey, first_key: &[u8; 32]) -> Self {
        let previous = enrol_commit(&key, first_key);
        Self { origin: origin.to_owned(), key, next: 0, size: 0, root: None, previous }
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The label of the next head: what to look for in the head log.
    pub fn next_label(&self) -> Hash {
        self.key.label(self.next)
    }

    /// The version of the next head.
    pub const fn next_version(&self) -> u64 {
        self.next
    }

    /// The last head.
    pub fn last(&self) -> Option<HeadLine> {
        let version = self.next.checked_sub(1)?;
        self.root.map(|root| HeadLine { version, size: self.size, root })
    }

    /// The commitment of the last head; before the first, that of the enrolment.
    pub const fn previous(&self) -> &Hash {
        &self.previous
    }

    /// Checks what the head log committed to when the log enrolled.
    ///
    /// # Errors
    /// [`ChainError::Enrolment`]. Only before the first head.
    pub fn enrolled(&self, commit: &Hash) -> Result<(), ChainError> {
        if self.next == 0 && *commit == self.previous { Ok(()) } else { Err(ChainError::Enrolment) }
    }

    /// Takes the next head, which the head log committed to with `commit` under [`HeadChain::next_label`].
    ///
    /// # Errors
    /// When it is not the next, shrinks or rewrites the log, or is not what was committed to; the chain stays as it was.
    pub fn accept(&mut self, line: HeadLine, commit: &Hash) -> Result<(), ChainError> {
        let HeadLine { version, size, root } = line;
        if version != self.next {
            return Err(ChainError::Version { wanted: self.next, got: version });
        }
        let head = Head { origin: &self.origin, version, size, root, previous: self.previous };
        if head_commit(&self.key, &head) != *commit {
            return Err(ChainError::Commit { version });
        }
        if size < self.size {
            return Err(ChainError::Smaller { version, got: size, before: self.size });
        }
        if size == self.size && self.root.is_some_and(|r| r != root) {
            return Err(ChainError::Root { version });
        }
        (self.next, self.size, self.root, self.previous) =
            (version.saturating_add(1), size, Some(root), *commit);
        Ok(())
    }

    /// Makes the next head: the server's side. The chain moves on.
    ///
    /// # Errors
    /// As [`HeadChain::accept`]: a log does not commit to a smaller tree either.
    pub fn extend(&mut self, size: u64, root: Hash) -> Result<[u8; super::HEAD_BYTES], ChainError> {
        let head = Head { origin: &self.origin, version: self.next, size, root, previous: self.previous };
        let entry = super::head_entry(&self.key, &head);
        let commit = head_commit(&self.key, &head);
        self.accept(HeadLine { version: self.next, size, root }, &commit)?;
        Ok(entry)
    }

    /// A chain that was stored: the last head and its commitment.
    pub fn restore(origin: &str, key: WatchKey, last: HeadLine, commit: Hash) -> Self {
        let HeadLine { version, size, root } = last;
        let next = version.saturating_add(1);
        Self { origin: origin.to_owned(), key, next, size, root: Some(root), previous: commit }
    }
}

/// Where a log serves its heads, below its prefix: the file with the head of this version, 256 to a file. The last file
/// grows; all others never change.
pub fn heads_path(version: u64) -> String {
    format!("heads/{}", version / HEADS_WIDTH)
}

impl HeadLine {
    /// Reads a file of heads: every line, in its one spelling, ended by a newline.
    ///
    /// # Errors
    /// The first line that is not a head's.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, HeadLineError> {
        let mut heads = Vec::new();
        for line in text.split_inclusive('\n') {
            let wrong = HeadLineError(heads.len() + 1);
            let head = line.strip_suffix('\n').and_then(Self::parse).ok_or(wrong.clone())?;
            if heads.len() as u64 == HEADS_WIDTH {
                return Err(wrong);
            }
            heads.push(head);
        }
        Ok(heads)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let (version, size, root) = (parts.next()?, parts.next()?, parts.next()?);
        let root = Hash::from_slice(&STANDARD.decode(root).ok()?)?;
        let head = Self { version: canonical(version)?, size: canonical(size)?, root };
        parts.next().is_none().then_some(head)
    }
}

/// The line, with its newline.
impl std::fmt::Display for HeadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} {} {}", self.version, self.size, STANDARD.encode(self.root.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use crate::head::HeadLogEntry;

    fn chain() -> HeadChain {
        HeadChain::new("o", WatchKey::new([5; 32]), &[6; 32])
    }

    fn commit(entry: &[u8]) -> Hash {
        match HeadLogEntry::decode(entry).unwrap() {
            HeadLogEntry::Head { commit, .. } | HeadLogEntry::Enrol { commit, .. } => commit,
            HeadLogEntry::EpochEnd { .. } => panic!("an epoch end"),
        }
    }

    #[test]
    fn what_a_server_makes_a_watcher_opens_in_order() {
        let (mut server, mut watcher) = (chain(), chain());
        let enrol = crate::head::enrol_entry("o", &WatchKey::new([5; 32]), &[6; 32]);
        assert_eq!(watcher.enrolled(&commit(&enrol)), Ok(()));
        assert_eq!(watcher.enrolled(&leaf_hash(b"x")), Err(ChainError::Enrolment));
        for (size, root) in [(1, b"1"), (4, b"4"), (4, b"4"), (9, b"9")] {
            let entry = server.extend(size, leaf_hash(root)).unwrap();
            let label = *HeadLogEntry::decode(&entry).unwrap().label().unwrap();
            assert_eq!(label, watcher.next_label());
            let line = HeadLine { version: watcher.next_version(), size, root: leaf_hash(root) };
            assert_eq!(watcher.accept(line, &commit(&entry)), Ok(()));
            let stored = HeadChain::restore("o", WatchKey::new([5; 32]), line, *watcher.previous());
            assert_eq!((stored.last(), stored.next_label()), (Some(line), watcher.next_label()));
            watcher = stored;
        }
    }

    #[test]
    fn a_smaller_rewritten_skipped_or_other_head_is_refused() {
        let mut server = chain();
        server.extend(4, leaf_hash(b"4")).unwrap();
        let accept = |size, root: &[u8], version| {
            // The dishonest server commits to what it shows.
            let head =
                Head { origin: "o", version: 1, size, root: leaf_hash(root), previous: server.previous };
            let commit = head_commit(&server.key, &head);
            let line = HeadLine { version, size, root: leaf_hash(root) };
            server.clone().accept(line, &commit).unwrap_err().to_string()
        };
        assert_eq!(accept(3, b"3", 1), "head 1 has 3 records, the one before it had 4: records were removed");
        assert_eq!(
            accept(4, b"x", 1),
            "head 1 has the size of the one before it and another root: the log was rewritten"
        );
        assert_eq!(accept(5, b"5", 2), "the next head has version 1, this one has 2");
        let line = HeadLine { version: 1, size: 5, root: leaf_hash(b"5") };
        assert_eq!(server.accept(line, &leaf_hash(b"other")), Err(ChainError::Commit { version: 1 }));
        assert!(server.extend(3, leaf_hash(b"3")).is_err());
    }

    #[test]
    fn a_line_has_one_spelling() {
        let line = HeadLine { version: 257, size: 9, root: leaf_hash(b"9") };
        let text = line.to_string();
        assert_eq!(HeadLine::parse_all(&text.repeat(2)), Ok(vec![line, line]));
        assert_eq!(heads_path(257), "heads/1");
        for other in [
            text.trim_end().to_owned(),
            text.replace("257", "0257"),
            text.replace(' ', "  "),
            text.replace("=\n", "\n"),
            text.replace('\n', " \n"),
            format!("{text}\n"),
            text.repeat(257),
        ] {
            assert!(HeadLine::parse_all(&other).is_err(), "{other}");
        }
    }
}
