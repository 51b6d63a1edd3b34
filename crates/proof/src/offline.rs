//! Offline proofs: one leaf's place in a signed tree, in one small text file (C2SP tlog-proof, `.tlog-proof`;
//! facts/tlog.md §7).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>                 optional, not authenticated
//! index <n>
//! <hash>…                        siblings, the leaf's own first
//!
//! <checkpoint with its signatures, verbatim>
//! ```
//! INVARIANT: what is read prints the same bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::hash::Hash;
use crate::note::{NOTE_BYTES_MAX, Note};
use crate::policy::{Evaluation, Policy, PolicyRefusal};
use crate::tree::{ProofError, verify_inclusion};
use crate::witness::canonical;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Hashes of an inclusion proof, at most.
const HASHES_MAX: usize = 64;

/// Bytes of the extra data, at most.
pub const EXTRA_BYTES_MAX: usize = 64 * 1024;

/// An offline proof; nothing in it is verified until [`OfflineProof::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfflineProof {
    /// What the application adds (here: the opening of a record). Not covered by any signature.
    pub extra: Option<Vec<u8>>,
    /// The leaf's index.
    pub index: u64,
    /// Siblings from the leaf upwards.
    pub siblings: Vec<Hash>,
    /// The checkpoint's note.
    pub checkpoint: String,
}

/// Why an offline proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfflineError {
    /// Larger than any proof can be.
    #[error("the proof file has {0} bytes, more than a proof can have")]
    TooLong(usize),
    /// A line of another form.
    #[error("line {line} of the proof must be {wanted}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it must be.
        wanted: &'static str,
    },
    /// The checkpoint in it, under the policy.
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),
    /// The siblings.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl OfflineProof {
    /// Reads a proof file.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, OfflineError> {
        if bytes.len() > NOTE_BYTES_MAX + EXTRA_BYTES_MAX * 2 {
            return Err(OfflineError::TooLong(bytes.len()));
        }
        let wrong = |line, wanted| OfflineError::Line { line, wanted };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong(1, "UTF-8 text"))?;
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| wrong(1, "followed by a blank line and a checkpoint"))?;
        let mut lines = head.split('\n').enumerate().peekable();
        if lines.next().is_none_or(|(_, line)| line != HEADER) {
            return Err(wrong(1, "`c2sp.org/tlog-proof@v1`"));
        }
        let extra = match lines.next_if(|(_, line)| line.starts_with("extra ")) {
            None => None,
            Some((_, line)) => {
                let data = line.strip_prefix("extra ").and_then(|data| STANDARD.decode(data).ok());
                let data = data.filter(|data| data.len() <= EXTRA_BYTES_MAX);
                Some(data.ok_or_else(|| wrong(2, "`extra` and at most 65536 bytes in base64"))?)
            }
        };
        let (number, line) = lines.next().unwrap_or((1, ""));
        let index = line.strip_prefix("index ").and_then(canonical);
        let index = index.ok_or_else(|| wrong(number + 1, "`index` and a number"))?;
        let mut siblings = Vec::new();
        for (number, line) in lines {
            let hash = STANDARD.decode(line).ok().and_then(|bytes| Hash::from_slice(&bytes));
            let hash = hash.filter(|_| siblings.len() < HASHES_MAX);
            siblings.push(hash.ok_or_else(|| wrong(number + 1, "one of at most 64 hashes in base64"))?);
        }
        Ok(Self { extra, index, siblings, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that `leaf` (a leaf hash, which the application computed itself) is in a tree that a log of the policy
    /// signed and a quorum cosigned. `now` is POSIX seconds.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(&self, leaf: &Hash, policy: &Policy, now: u64) -> Result<Evaluation, OfflineError> {
        policy.accept(self.checkpoint.as_bytes(), now)?;
        self.holds(leaf, policy, now)
    }

    /// As [`OfflineProof::verify`], but the quorum may be missing: the evaluation tells.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn holds(&self, leaf: &Hash, policy: &Policy, now: u64) -> Result<Evaluation, OfflineError> {
        let evaluation = policy.evaluate(self.checkpoint.as_bytes(), now)?;
        let Checkpoint { size, root, .. } = &evaluation.checkpoint;
        verify_inclusion(self.index, *size, leaf, &self.siblings, root)?;
        Ok(evaluation)
    }

    /// The checkpoint in it, without verifying anything.
    ///
    /// # Errors
    /// When it is none.
    pub fn checkpoint_unverified(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::parse(Note::parse(self.checkpoint.as_bytes())?.text())
    }
}

/// The file.
impl std::fmt::Display for OfflineProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.siblings {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_100;

    /// Leaf 3 of the known tree of 7 leaves, under the known checkpoint.
    const PROOF: &str = "c2sp.org/tlog-proof@v1
extra aGVsbG8=
index 3
qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=
/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=
AVcbVXvHBnJlDUZ8e62DN+CafzVKcgUfI7Q6eCwPSOY=

example.com/trail
7
WmH8K1T5z6cXdPJDIUPdQMbLKxGUf69lp9PaXLZRmcg=

— example.com/trail 4KlydpiHX3zHwqOEIBVP+UI1rWZPnAtQ3Y6AE77YNf8m560xDW3e6iLfFzXgta8/ciyF47d0uvuOa0y0hI8YbnBxnQg=
— witness.example/w1 IDJKvgAAAABlU/EAfnVNI/ptGg6zEqqoMHJxUAbgpMrHX0EHB8LAqwnxbhOwvmeIbXNRM8ZLMzoL7/KK3+IAmBTRij24fKYYro8YAw==
";
    const POLICY: &str = "log example.com/trail+e0a97276+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4
witness w witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X
quorum w
";

    #[test]
    fn the_known_proof_reads_prints_and_verifies_for_its_leaf_only() {
        let policy = Policy::parse(POLICY.as_bytes()).unwrap();
        let proof = OfflineProof::parse(PROOF.as_bytes()).unwrap();
        assert_eq!(proof.to_string(), PROOF);
        assert_eq!(proof.extra.as_deref(), Some(b"hello".as_slice()));
        let evaluation = proof.verify(&leaf_hash(b"leaf 3"), &policy, NOW).unwrap();
        assert_eq!((evaluation.checkpoint.size, evaluation.quorum_time), (7, Some(1_700_000_000)));
        assert_eq!(
            proof.verify(&leaf_hash(b"leaf 4"), &policy, NOW),
            Err(OfflineError::Proof(ProofError::Root))
        );
        let early = proof.verify(&leaf_hash(b"leaf 3"), &policy, 1_699_999_000);
        assert!(matches!(early, Err(OfflineError::Policy(PolicyRefusal::Quorum { .. }))));
        let alone = PROOF.split_inclusive('\n').take(12).collect::<String>();
        let alone = OfflineProof::parse(alone.as_bytes()).unwrap();
        assert!(matches!(
            alone.verify(&leaf_hash(b"leaf 3"), &policy, NOW),
            Err(OfflineError::Policy(PolicyRefusal::Quorum { .. }))
        ));
    }

    #[test]
    fn each_changed_byte_outside_the_extra_line_is_refused() {
        let policy = Policy::parse(POLICY.as_bytes()).unwrap();
        let leaf = leaf_hash(b"leaf 3");
        let extra = PROOF.find("extra").unwrap()..PROOF.find("index").unwrap();
        for at in (0..PROOF.len()).filter(|at| !extra.contains(at)) {
            let mut bytes = PROOF.as_bytes().to_vec();
            bytes[at] ^= 1;
            let accepted = OfflineProof::parse(&bytes).is_ok_and(|p| p.verify(&leaf, &policy, NOW).is_ok());
            assert!(!accepted, "byte {at}");
        }
    }

    #[test]
    fn another_form_is_refused_with_its_line() {
        let cases = [
            (PROOF.replace("@v1", "@v2"), "line 1 of the proof must be `c2sp.org/tlog-proof@v1`"),
            (
                PROOF.replace("aGVsbG8=", "aGVsbG9="),
                "line 2 of the proof must be `extra` and at most 65536 bytes in base64",
            ),
            (PROOF.replace("index 3", "index 03"), "line 3 of the proof must be `index` and a number"),
            (PROOF.replace("v3w=", "v3x="), "line 4 of the proof must be one of at most 64 hashes in base64"),
            (
                PROOF.replace("extra aGVsbG8=\n", "extra aGVsbG8=\nextra aGVsbG8=\n"),
                "line 3 of the proof must be `index` and a number",
            ),
            ("x".into(), "line 1 of the proof must be followed by a blank line and a checkpoint"),
        ];
        for (text, why) in cases {
            assert_eq!(OfflineProof::parse(text.as_bytes()).unwrap_err().to_string(), why);
        }
    }

    proptest! {
        #[test]
        fn what_reads_prints_the_same(text in "c2sp.org/tlog-proof@v1\n(extra [A-Za-z0-9]{4}\n)?index [0-9]{1,2}\n([A-Za-z0-9+/]{42}[A-Z]=\n){0,2}\n[a-z\n]{0,9}") {
            if let Ok(read) = OfflineProof::parse(text.as_bytes()) {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
