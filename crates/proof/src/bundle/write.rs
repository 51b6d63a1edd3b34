//! Writing a bundle in two passes over the records, with constant memory.
//!
//! The manifest stands first and names the digest of what follows, so the records are walked twice: once into a
//! [`BodyDigest`], then, with the manifest signed, into a [`Writer`]. The writer counts and digests again: a pass that
//! differs from the first ends in an error, never in a bundle that does not verify.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::{MAGIC, MANIFEST_BYTES_MAX, Manifest, ManifestError, OPENED, RECORD_HEAD_BYTES};
use crate::event::EVENT_BYTES_MAX;
use crate::hash::Hash;
use crate::note::NOTE_BYTES_MAX;
use crate::record::{ENTRY_BYTES, NONCE_BYTES};

/// Why a bundle was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The bytes could not be written.
    #[error("could not write the bundle")]
    Io(#[from] io::Error),
    /// The manifest cannot be read.
    #[error("the manifest of the bundle is malformed")]
    Manifest(#[from] ManifestError),
    /// A note or an event is larger than a reader accepts.
    #[error("{what} has {bytes} bytes, more than {max}")]
    TooLong {
        /// What.
        what: &'static str,
        /// Its bytes.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Another number of records than announced.
    #[error("the bundle was announced with {announced} records and got {got}")]
    Count {
        /// Announced.
        announced: u64,
        /// Given.
        got: u64,
    },
    /// The second pass gave other bytes than the first.
    #[error(
        "the records differ from those that the manifest was signed over: the log was read in two states"
    )]
    Changed,
}

/// The first pass: the digest that the manifest names.
///
/// ```
/// use bailee_proof::{bundle::{BodyDigest, Manifest, Reader, Writer}, checkpoint::Checkpoint, hash::empty_root, note::Signer};
/// let signer = Signer::from_seed("example.com/trail", &[7; 32])?;
/// let head = Checkpoint { origin: "example.com/trail".into(), size: 0, root: empty_root() }.sign(&signer)?;
/// let digest = BodyDigest::new(head.as_bytes(), 0)?; // then `record` for each record
/// let manifest = Manifest {
///     origin: "example.com/trail".into(),
///     tenant: "1000000000000001".into(),
///     exported: "2026-01-02T03:04:05Z".into(),
///     records: 0,
///     body: digest.finish()?,
///     key: signer.verifier().clone(),
/// };
/// let writer = Writer::new(Vec::new(), manifest.sign(&signer)?.as_bytes(), head.as_bytes())?;
/// let bundle = writer.finish()?; // after the same records once more
/// assert_eq!(Reader::open(bundle.as_slice())?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BodyDigest {
    hasher: Sha256,
    announced: u64,
    got: u64,
}

/// The second pass: the bundle itself.
pub struct Writer<W> {
    out: W,
    digest: BodyDigest,
    body: Hash,
}

impl BodyDigest {
    /// Begins the body of a bundle with this checkpoint note and number of records.
    ///
    /// # Errors
    /// When the note is larger than a reader accepts.
    pub fn new(checkpoint_note: &[u8], records: u64) -> Result<Self, WriteError> {
        let mut hasher = Sha256::new();
        hasher.update(length("the checkpoint note", checkpoint_note, NOTE_BYTES_MAX)?);
        hasher.update(checkpoint_note);
        hasher.update(records.to_be_bytes());
        Ok(Self { hasher, announced: records, got: 0 })
    }

    /// Adds the next record: its entry, and the opening (nonce and event) of its commitment.
    ///
    /// # Errors
    /// When the event is larger than a reader accepts.
    pub fn record(
        &mut self,
        entry: &[u8; ENTRY_BYTES],
        nonce: &[u8; NONCE_BYTES],
        event: &[u8],
    ) -> Result<(), WriteError> {
        let head = record_head(entry, nonce, event)?;
        self.add(&head, event);
        Ok(())
    }

    /// The digest for [`Manifest::body`].
    ///
    /// # Errors
    /// When there were more or fewer records than announced.
    pub fn finish(self) -> Result<Hash, WriteError> {
        if self.got != self.announced {
            return Err(WriteError::Count { announced: self.announced, got: self.got });
        }
        Ok(Hash(self.hasher.finalize().into()))
    }

    fn add(&mut self, head: &[u8; RECORD_HEAD_BYTES], event: &[u8]) {
        self.hasher.update(head);
        self.hasher.update(event);
        self.got = self.got.saturating_add(1);
    }
}

impl<W: Write> Writer<W> {
    /// Writes everything in front of the records. `out` gets many small writes: hand in a buffered one.
    ///
    /// # Errors
    /// When the manifest cannot be read, a note is too large, or `out` fails.
    pub fn new(mut out: W, manifest_note: &[u8], checkpoint_note: &[u8]) -> Result<Self, WriteError> {
        let manifest = Manifest::read_unverified(manifest_note)?;
        let digest = BodyDigest::new(checkpoint_note, manifest.records)?;
        out.write_all(MAGIC)?;
        out.write_all(&length("the manifest note", manifest_note, MANIFEST_BYTES_MAX)?)?;
        out.write_all(manifest_note)?;
        out.write_all(&length("the checkpoint note", checkpoint_note, NOTE_BYTES_MAX)?)?;
        out.write_all(checkpoint_note)?;
        out.write_all(&manifest.records.to_be_bytes())?;
        Ok(Self { out, digest, body: manifest.body })
    }

    /// Writes the next record; the same ones in the same order as in the first pass.
    ///
    /// # Errors
    /// When the event is too large or `out` fails.
    pub fn record(
        &mut self,
        entry: &[u8; ENTRY_BYTES],
        nonce: &[u8; NONCE_BYTES],
        event: &[u8],
    ) -> Result<(), WriteError> {
        let head = record_head(entry, nonce, event)?;
        self.digest.add(&head, event);
        self.out.write_all(&head)?;
        self.out.write_all(event)?;
        Ok(())
    }

    /// Ends the bundle and gives `out` back, flushed.
    ///
    /// # Errors
    /// When the records were not those of the first pass: what was written is then not a bundle and must be dropped.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.digest.finish()? != self.body {
            return Err(WriteError::Changed);
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

fn record_head(
    entry: &[u8; ENTRY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    event: &[u8],
) -> Result<[u8; RECORD_HEAD_BYTES], WriteError> {
    let mut head = [0; RECORD_HEAD_BYTES];
    head[..50].copy_from_slice(entry);
    head[50] = OPENED;
    head[51..83].copy_from_slice(nonce);
    head[83..].copy_from_slice(&length("an event", event, EVENT_BYTES_MAX)?);
    Ok(head)
}

fn length(what: &'static str, bytes: &[u8], max: usize) -> Result<[u8; 4], WriteError> {
    let too_long = WriteError::TooLong { what, bytes: bytes.len(), max };
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= max);
    length.map(u32::to_be_bytes).ok_or(too_long)
}
