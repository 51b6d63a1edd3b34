//! The manifest: what a bundle says about itself, signed by the log's key.

use super::{MANIFEST_BYTES_MAX, Scope};
use crate::event::is_tenant;
use crate::hash::{Hash, from_hex};
use crate::note::{self, KeyError, Note, NoteError, Signer, VerifierKey};

/// What a bundle is: of which log and tenant, when it was made, what of the log it opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The log.
    pub origin: String,
    /// The tenant: 16 digits.
    pub tenant: String,
    /// When the bundle was made: `2026-01-02T03:04:05Z`.
    pub exported: String,
    /// Number of records in it.
    pub records: u64,
    /// SHA-256 of everything between the manifest note and the records: see [`super::lead_digest`].
    pub lead: Hash,
    /// What it opens.
    pub scope: Scope,
    /// The log's public key.
    pub key: VerifierKey,
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not exactly one signature, so that a line could be added or dropped unnoticed.
    #[error("the manifest has {0} signature lines, it must have one")]
    Signatures(usize),
    /// The text has other lines than a manifest.
    #[error("line {line} of the manifest must be {wanted}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it must be.
        wanted: &'static str,
    },
    /// The key in it is malformed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key in it is that of another log.
    #[error("the manifest is of the log `{origin}`, its key is of `{key}`")]
    OtherLog {
        /// The log named.
        origin: String,
        /// The name of the key.
        key: String,
    },
    /// More than [`MANIFEST_BYTES_MAX`] as a note.
    #[error("the manifest does not fit into 16384 bytes")]
    TooLong,
}

impl Manifest {
    /// The note over this manifest.
    ///
    /// # Errors
    /// When a field has another form than a reader accepts, or `signer` is not the key named in it.
    pub fn sign(&self, signer: &Signer) -> Result<String, ManifestError> {
        if *signer.verifier() != self.key {
            return Err(ManifestError::OtherLog {
                origin: self.origin.clone(),
                key: signer.verifier().name().to_owned(),
            });
        }
        let text = self.to_string();
        Self::parse(&text)?;
        let note = note::sign(&text, &[signer])?;
        if note.len() > MANIFEST_BYTES_MAX { Err(ManifestError::TooLong) } else { Ok(note) }
    }

    /// Reads a manifest note and verifies its one signature by `key`.
    ///
    /// # Errors
    /// When the signature does not verify or the text has another form. Whether the key *named* in the manifest is
    /// `key` is left to the caller, who has more to say about it.
    pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<Self, ManifestError> {
        let note = one_signature(bytes)?;
        note.verify(&[key])?;
        Self::parse(note.text())
    }

    /// Reads a manifest note without verifying anything: to learn which key it names, or what to write.
    ///
    /// # Errors
    /// When note or text have another form.
    pub fn read_unverified(bytes: &[u8]) -> Result<Self, ManifestError> {
        Self::parse(one_signature(bytes)?.text())
    }

    /// Reads the signed text.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = text.strip_suffix('\n').unwrap_or_default().split('\n').enumerate();
        let mut line = |prefix: &str, wanted: &'static str, valid: fn(&str) -> bool| {
            let (number, line) = lines.next().unwrap_or((0, ""));
            line.strip_prefix(prefix)
                .filter(|rest| valid(rest))
                .ok_or(ManifestError::Line { line: number + 1, wanted })
        };
        line("bailee-bundle/v2", "`bailee-bundle/v2`", str::is_empty)?;
        let origin = line("", "the log's origin", |o| !o.is_empty())?.to_owned();
        let tenant = line("tenant ", "`tenant` and 16 digits", is_tenant)?.to_owned();
        let exported =
            line("exported ", "`exported` and a time like 2026-01-02T03:04:05Z", is_time)?.to_owned();
        let records = line("records ", "`records` and a number", |n| canonical(n).is_some())?;
        let lead = line("lead ", "`lead` and 64 lower-case hex digits", |h| from_hex(h).is_some())?;
        let scope = line("scope ", "`scope` and `all` or a part", |s| Scope::parse(s).is_some())?;
        let key = VerifierKey::parse(line("key ", "`key` and a verifier key", |_| true)?)?;
        if let Some((number, _)) = lines.next() {
            return Err(ManifestError::Line { line: number + 1, wanted: "absent" });
        }
        if key.name() != origin {
            return Err(ManifestError::OtherLog { origin, key: key.name().to_owned() });
        }
        let ((records, lead), scope) = canonical(records)
            .zip(from_hex(lead))
            .zip(Scope::parse(scope))
            .ok_or(ManifestError::Line { line: 5, wanted: "`records` and a number" })?;
        Ok(Self { origin, tenant, exported, records, lead, scope, key })
    }
}

/// The text to be signed.
impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { origin, tenant, exported, records, lead, scope, key } = self;
        writeln!(f, "bailee-bundle/v2\n{origin}\ntenant {tenant}\nexported {exported}")?;
        writeln!(f, "records {records}\nlead {lead}\nscope {scope}\nkey {key}")
    }
}

fn one_signature(bytes: &[u8]) -> Result<Note<'_>, ManifestError> {
    let note = Note::parse(bytes)?;
    match note.lines().len() {
        1 => Ok(note),
        other => Err(ManifestError::Signatures(other)),
    }
}

fn canonical(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|n| n.to_string() == text)
}

/// `YYYY-MM-DDThh:mm:ssZ` with fields in their ranges; whether February has that day is not asked.
fn is_time(text: &str) -> bool {
    let shape = text.len() == 20
        && text.bytes().zip("0000-00-00T00:00:00Z".bytes()).all(|(b, form)| match form {
            b'0' => b.is_ascii_digit(),
            other => b == other,
        });
    let field =
        |range: std::ops::Range<usize>| text.get(range).and_then(|f| f.parse::<u8>().ok()).unwrap_or(u8::MAX);
    shape
        && (1..=12).contains(&field(5..7))
        && (1..=31).contains(&field(8..10))
        && field(11..13) <= 23
        && field(14..16) <= 59
        && field(17..19) <= 59
}
