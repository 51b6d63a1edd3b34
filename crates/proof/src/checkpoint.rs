//! Checkpoints: the signed head of a log (C2SP tlog-checkpoint 1.0.0; facts/tlog.md §3).
//!
//! Read strictly: a size with a leading zero, a root that is not 32 bytes in canonical base64, an empty line are
//! refused. Extension lines are refused too: post-quantum cosignatures do not cover them, so nothing may stand there.
//! INVARIANT: a checkpoint that was read prints the same bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::{Hash, empty_root};
use crate::note::{self, KeyKind, Note, NoteError, Signer, VerifierKey};

/// The head of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The log: `<provider host>/trail/<log id>` without scheme; equals the name of the log's key.
    pub origin: String,
    /// Number of records.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a checkpoint was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text has not exactly three lines.
    #[error("a checkpoint has three lines: origin, size and root")]
    Lines,
    /// The origin cannot name a log.
    #[error("`{0}` cannot be a log's origin: 1 to 256 bytes without spaces and plus signs")]
    Origin(String),
    /// The size is not a plain decimal number of 64 bits.
    #[error("`{0}` is not a log's size: a decimal number without leading zero")]
    Size(String),
    /// The root is not 32 bytes in base64.
    #[error("the root is not 32 bytes in base64")]
    Root,
    /// Size 0 with the root of some other tree.
    #[error("a log of size 0 has the root of the empty tree, not another")]
    EmptyRoot,
    /// Signed by the key of another log.
    #[error("the checkpoint is of `{origin}`, the key is of `{key}`")]
    OtherLog {
        /// The origin in the checkpoint.
        origin: String,
        /// The name of the key.
        key: String,
    },
}

impl Checkpoint {
    /// Reads the signed text of a checkpoint (with its last newline).
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Lines);
        };
        let origin_valid = (1..=256).contains(&origin.len())
            && !origin.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
        if !origin_valid {
            return Err(CheckpointError::Origin(shown(origin)));
        }
        let size = size
            .parse::<u64>()
            .ok()
            .filter(|n| n.to_string() == size)
            .ok_or_else(|| CheckpointError::Size(shown(size)))?;
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|bytes| Hash::from_slice(&bytes))
            .ok_or(CheckpointError::Root)?;
        if size == 0 && root != empty_root() {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The note over this checkpoint, signed by the log's key.
    ///
    /// Whoever calls this has made sure that the log never signed a tree of which this one is not a continuation.
    ///
    /// # Errors
    /// When the key is that of another log, or the origin cannot be signed.
    pub fn sign(&self, signer: &Signer) -> Result<String, CheckpointError> {
        self.expect_origin(signer.verifier())?;
        let text = self.to_string();
        Self::parse(&text)?;
        Ok(note::sign(&text, &[signer])?)
    }

    /// As [`Checkpoint::sign`], with a second line by the log's ML-DSA-44 key (type 06), which carries a time (POSIX
    /// seconds) and says: as of then, this is the largest tree of this log.
    ///
    /// # Errors
    /// When a key is that of another log, or of the wrong type.
    pub fn sign_both(
        &self,
        signer: &Signer,
        second: &Signer,
        timestamp: u64,
    ) -> Result<String, CheckpointError> {
        self.expect_origin(second.verifier())?;
        if second.verifier().kind() != KeyKind::MlDsa44 {
            return Err(NoteError::Unsignable.into());
        }
        let mut signed = self.sign(signer)?;
        signed.push_str(&note::cosign(&self.to_string(), second, timestamp)?);
        Ok(signed)
    }

    /// Reads a note, verifies the log's signature, and reads the checkpoint in it.
    ///
    /// # Errors
    /// When the log's signature is missing or wrong, or the text is not a checkpoint of that log.
    pub fn open(note: &[u8], log: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(&[log])?;
        let checkpoint = Self::parse(note.text())?;
        checkpoint.expect_origin(log)?;
        Ok(checkpoint)
    }

    fn expect_origin(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        if key.name() == self.origin {
            return Ok(());
        }
        Err(CheckpointError::OtherLog { origin: shown(&self.origin), key: key.name().to_owned() })
    }
}

/// The text to be signed.
impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(120).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::root_of;
    use proptest::prelude::*;

    const TEXT: &str = "example.com/trail\n7\nWmH8K1T5z6cXdPJDIUPdQMbLKxGUf69lp9PaXLZRmcg=\n";

    fn signer() -> Signer {
        Signer::from_seed("example.com/trail", &std::array::from_fn(|i| i as u8)).unwrap()
    }

    fn seven() -> Checkpoint {
        let leaves: Vec<Hash> =
            (0..7).map(|i| crate::hash::leaf_hash(format!("leaf {i}").as_bytes())).collect();
        Checkpoint { origin: "example.com/trail".into(), size: 7, root: root_of(&leaves) }
    }

    #[test]
    fn the_known_checkpoint_prints_signs_and_opens() {
        assert_eq!(seven().to_string(), TEXT);
        let note = seven().sign(&signer()).unwrap();
        assert_eq!(
            note,
            format!(
                "{TEXT}\n— example.com/trail 4KlydpiHX3zHwqOEIBVP+UI1rWZPnAtQ3Y6AE77YNf8m560xDW3e6iLfFzXgta8/ciyF47d0uvuOa0y0hI8YbnBxnQg=\n"
            )
        );
        assert_eq!(Checkpoint::open(note.as_bytes(), signer().verifier()), Ok(seven()));
        let empty = "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        assert_eq!(Checkpoint::parse(empty).map(|c| c.root), Ok(empty_root()));
    }

    #[test]
    fn another_form_is_refused() {
        let cases = [
            (TEXT.trim_end().to_owned(), CheckpointError::Lines),
            (format!("{TEXT}extension\n"), CheckpointError::Lines),
            (format!("{TEXT}\n"), CheckpointError::Lines),
            (TEXT.replace("example", "exam ple"), CheckpointError::Origin("exam ple.com/trail".into())),
            (TEXT.replace("example", "a+b"), CheckpointError::Origin("a+b.com/trail".into())),
            (TEXT.replace("\n7\n", "\n07\n"), CheckpointError::Size("07".into())),
            (TEXT.replace("\n7\n", "\n+7\n"), CheckpointError::Size("+7".into())),
            (
                TEXT.replace("\n7\n", "\n18446744073709551616\n"),
                CheckpointError::Size("18446744073709551616".into()),
            ),
            (TEXT.replace("cg=", "ch="), CheckpointError::Root),
            (TEXT.replace("Rmcg=", "Rm"), CheckpointError::Root),
            (TEXT.replace("\n7\n", "\n0\n"), CheckpointError::EmptyRoot),
        ];
        for (text, error) in cases {
            assert_eq!(Checkpoint::parse(&text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_checkpoint_by_the_key_of_another_log_is_refused() {
        let other = Signer::from_seed("example.com/other", &[1; 32]).unwrap();
        let text = "the checkpoint is of `example.com/trail`, the key is of `example.com/other`";
        assert_eq!(seven().sign(&other).unwrap_err().to_string(), text);
        let note = note::sign(TEXT, &[&other]).unwrap();
        assert_eq!(Checkpoint::open(note.as_bytes(), other.verifier()).unwrap_err().to_string(), text);
        let note = seven().sign(&signer()).unwrap();
        assert!(matches!(
            Checkpoint::open(note.as_bytes(), other.verifier()),
            Err(CheckpointError::Note(NoteError::NoneKnown { .. }))
        ));
    }

    proptest! {
        #[test]
        fn what_reads_prints_the_same(text in "[a-z+ ]{0,3}\n[0-9+]{0,3}\n[A-Za-z0-9+/]{42}[A-Z]=\n") {
            if let Ok(read) = Checkpoint::parse(&text) {
                prop_assert_eq!(read.to_string(), text);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,60}") {
            let _ = Checkpoint::parse(&text);
        }
    }
}
