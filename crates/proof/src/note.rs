//! Signed notes (C2SP signed-note 1.0.0, tlog-cosignature; facts/tlog.md §2 and §5).
//!
//! A line by a key that is not known is ignored; a line by a known key that does not verify rejects the whole note;
//! a note without a line by a known key is rejected. Other spellings of the same note (stray bits in base64, CR,
//! tabs) are refused, so what was signed has one form.
//! INVARIANT: the text is everything before the *last* blank line; it may hold blank lines itself.

mod keys;
mod mldsa;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use keys::{KeyError, KeyKind, Signer, VerifierKey};

/// Bytes of a note, at most.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;

/// Signature lines of a note, at most. (A post-quantum line has about 3,300 bytes; 16 must be accepted.)
pub const NOTE_LINES_MAX: usize = 64;

/// What begins a signature line: an em dash (U+2014) and a space.
const DASH: &str = "\u{2014} ";

/// A note as read; nothing is verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note<'a> {
    text: &'a str,
    lines: Vec<SignatureLine<'a>>,
}

/// One line below the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureLine<'a> {
    name: &'a str,
    key_id: u32,
    signature: Vec<u8>,
}

/// A signature that was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// Which of the keys given verified it.
    pub key: usize,
    /// For a cosignature: when the witness saw the checkpoint, POSIX seconds.
    pub timestamp: Option<u64>,
}

/// Why a note was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than [`NOTE_BYTES_MAX`].
    #[error("the note has {0} bytes, more than 262144")]
    TooLong(usize),
    /// Not UTF-8, or with a control character other than the end of a line.
    #[error("the note is not plain UTF-8 text")]
    NotText,
    /// No blank line followed by signatures, or no end of line at the end.
    #[error("the note has no signature lines below a blank line")]
    NoSignatures,
    /// More than [`NOTE_LINES_MAX`] signatures.
    #[error("the note has more than 64 signature lines")]
    TooManyLines,
    /// A signature line that is not `— name base64`.
    #[error("signature line {0} is not `\u{2014} name base64`")]
    Line(usize),
    /// A line by a known key that does not verify.
    #[error("the signature by `{name}` does not verify: the text or the signature was changed")]
    Wrong {
        /// The key's name.
        name: String,
    },
    /// No line by a known key.
    #[error("the note is not signed by a known key (it names {found})")]
    NoneKnown {
        /// The names and key ids of the lines, or `none`.
        found: String,
    },
    /// The text to be signed does not end in a newline, or holds what a note must not; or the key signs other things.
    #[error(
        "this key cannot sign this: only text that ends in a newline and has no other control characters, and only checkpoints by a cosigner"
    )]
    Unsignable,
}

impl<'a> Note<'a> {
    /// Reads a note, without verifying anything.
    ///
    /// # Errors
    /// When the bytes do not have the form of a note.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if !is_plain(note) {
            return Err(NoteError::NotText);
        }
        let end = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, below) = note.split_at_checked(end + 1).ok_or(NoteError::NoSignatures)?;
        let below =
            below.strip_prefix('\n').and_then(|b| b.strip_suffix('\n')).ok_or(NoteError::NoSignatures)?;
        let mut lines = Vec::new();
        for (number, line) in below.split('\n').enumerate() {
            if number == NOTE_LINES_MAX {
                return Err(NoteError::TooManyLines);
            }
            lines.push(SignatureLine::parse(line).ok_or(NoteError::Line(number + 1))?);
        }
        Ok(Self { text, lines })
    }

    /// The signed text, with its last newline.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The signature lines, in order.
    pub fn lines(&self) -> &[SignatureLine<'a>] {
        &self.lines
    }

    /// Verifies every line by one of `keys`; at least one line is returned.
    ///
    /// # Errors
    /// [`NoteError::Wrong`] when a line by a known key does not verify, [`NoteError::NoneKnown`] when there is none.
    pub fn verify(&self, keys: &[&VerifierKey]) -> Result<Vec<Verified>, NoteError> {
        let mut verified = Vec::new();
        for line in &self.lines {
            for (at, key) in keys.iter().enumerate() {
                if key.name() == line.name && key.id() == line.key_id {
                    let timestamp = key
                        .check(self.text, &line.signature)
                        .ok_or_else(|| NoteError::Wrong { name: line.name.to_owned() })?;
                    verified.push(Verified { key: at, timestamp });
                }
            }
        }
        if verified.is_empty() {
            return Err(NoteError::NoneKnown { found: self.signers() });
        }
        Ok(verified)
    }

    fn signers(&self) -> String {
        let names: Vec<String> =
            self.lines.iter().take(4).map(|l| format!("`{}+{:08x}`", l.name, l.key_id)).collect();
        let more = if self.lines.len() > 4 { " and others" } else { "" };
        if names.is_empty() { "none".to_owned() } else { format!("{}{more}", names.join(", ")) }
    }
}

impl<'a> SignatureLine<'a> {
    /// Reads one line, without its newline.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (name, payload) = line.strip_prefix(DASH)?.split_once(' ')?;
        // The engine refuses stray trailing bits and missing or extra padding.
        let payload = STANDARD.decode(payload).ok()?;
        let (id, signature) = payload.split_first_chunk::<4>()?;
        let valid = keys::name_is_valid(name) && !signature.is_empty();
        valid.then(|| Self { name, key_id: u32::from_be_bytes(*id), signature: signature.to_vec() })
    }

    /// The name of the key.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The id of the key.
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The bytes after the key id.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// The line as it stands in a note, with its newline.
impl std::fmt::Display for SignatureLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut payload = self.key_id.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.signature);
        writeln!(f, "{DASH}{} {}", self.name, STANDARD.encode(payload))
    }
}

/// The note over `text`, signed by each of `signers` in turn.
///
/// ```
/// use bailee_proof::note::{Note, Signer, sign};
/// let signer = Signer::from_seed("example.com/trail", &[7; 32])?;
/// let note = sign("hello\n", &[&signer])?;
/// let verified = Note::parse(note.as_bytes())?.verify(&[signer.verifier()])?;
/// assert_eq!(verified.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`NoteError::Unsignable`] when the text does not end in a newline or holds control characters, or a signer makes
/// cosignatures.
pub fn sign(text: &str, signers: &[&Signer]) -> Result<String, NoteError> {
    if !text.ends_with('\n') || !is_plain(text) {
        return Err(NoteError::Unsignable);
    }
    let mut note = format!("{text}\n");
    for signer in signers {
        note.push_str(&signer.line(text).ok_or(NoteError::Unsignable)?.to_string());
    }
    Ok(note)
}

/// The signature line by which a witness says that it saw the checkpoint `text` at `timestamp` (POSIX seconds); it is
/// appended to the checkpoint's note.
///
/// # Errors
/// [`NoteError::Unsignable`] when the text cannot be signed or the signer makes no cosignatures.
pub fn cosign(text: &str, signer: &Signer, timestamp: u64) -> Result<String, NoteError> {
    if !text.ends_with('\n') || !is_plain(text) {
        return Err(NoteError::Unsignable);
    }
    signer.cosignature(text, timestamp).map(|line| line.to_string()).ok_or(NoteError::Unsignable)
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b >= 0x20 || b == b'\n')
}

#[cfg(test)]
mod tests;
