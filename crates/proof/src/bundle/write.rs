//! Writing a bundle in one pass over the records, with constant memory.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::{
    ERASED, MAGIC, MANIFEST_BYTES_MAX, Manifest, ManifestError, OPENED, Opening, PLACES_BYTES_MAX,
    RECORD_HEAD_BYTES, WITHHELD,
};
use crate::event::EVENT_BYTES_MAX;
use crate::hash::Hash;
use crate::note::NOTE_BYTES_MAX;
use crate::record::ENTRY_BYTES;

/// Why a bundle was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The bytes could not be written.
    #[error("could not write the bundle")]
    Io(#[from] io::Error),
    /// The manifest cannot be read.
    #[error("the manifest of the bundle is malformed")]
    Manifest(#[from] ManifestError),
    /// A note, the places or an event are larger than a reader accepts.
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
    /// The manifest was signed over another checkpoint, other places or another number of records.
    #[error("the manifest was signed over another checkpoint or other places")]
    Changed,
}

/// The digest of what stands in front of the records, for [`Manifest::lead`].
///
/// # Errors
/// When note or places are larger than a reader accepts.
pub fn lead_digest(checkpoint_note: &[u8], places: &[u8], records: u64) -> Result<Hash, WriteError> {
    let mut hasher = Sha256::new();
    hasher.update(length("the checkpoint note", checkpoint_note, NOTE_BYTES_MAX)?);
    hasher.update(checkpoint_note);
    hasher.update(length("the places", places, PLACES_BYTES_MAX)?);
    hasher.update(places);
    hasher.update(records.to_be_bytes());
    Ok(Hash(hasher.finalize().into()))
}

/// A bundle that is being written.
///
/// ```
/// use bailee_proof::{bundle::{Manifest, Reader, Scope, Writer, lead_digest}, checkpoint::Checkpoint, hash::empty_root, note::Signer};
/// let signer = Signer::from_seed("example.com/trail", &[7; 32])?;
/// let head = Checkpoint { origin: "example.com/trail".into(), size: 0, root: empty_root() }.sign(&signer)?;
/// let manifest = Manifest {
///     origin: "example.com/trail".into(),
///     tenant: "1000000000000001".into(),
///     exported: "2026-01-02T03:04:05Z".into(),
///     records: 0,
///     lead: lead_digest(head.as_bytes(), b"", 0)?,
///     scope: Scope::All,
///     key: signer.verifier().clone(),
/// };
/// let writer = Writer::new(Vec::new(), manifest.sign(&signer)?.as_bytes(), head.as_bytes(), b"")?;
/// let bundle = writer.finish()?; // after `record` for each
/// assert_eq!(Reader::open(bundle.as_slice())?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer<W> {
    out: W,
    announced: u64,
    got: u64,
}

impl<W: Write> Writer<W> {
    /// Writes everything in front of the records. `out` gets many small writes: hand in a buffered one.
    ///
    /// # Errors
    /// When the manifest cannot be read or is of something else, a part is too large, or `out` fails.
    pub fn new(
        mut out: W,
        manifest_note: &[u8],
        checkpoint_note: &[u8],
        places: &[u8],
    ) -> Result<Self, WriteError> {
        let manifest = Manifest::read_unverified(manifest_note)?;
        if lead_digest(checkpoint_note, places, manifest.records)? != manifest.lead {
            return Err(WriteError::Changed);
        }
        out.write_all(MAGIC)?;
        out.write_all(&length("the manifest note", manifest_note, MANIFEST_BYTES_MAX)?)?;
        out.write_all(manifest_note)?;
        out.write_all(&length("the checkpoint note", checkpoint_note, NOTE_BYTES_MAX)?)?;
        out.write_all(checkpoint_note)?;
        out.write_all(&length("the places", places, PLACES_BYTES_MAX)?)?;
        out.write_all(places)?;
        out.write_all(&manifest.records.to_be_bytes())?;
        Ok(Self { out, announced: manifest.records, got: 0 })
    }

    /// Writes the next record.
    ///
    /// # Errors
    /// When the event is too large or `out` fails.
    pub fn record(&mut self, entry: &[u8; ENTRY_BYTES], opening: Opening<'_>) -> Result<(), WriteError> {
        let mut head = [0; RECORD_HEAD_BYTES];
        head[..50].copy_from_slice(entry);
        match opening {
            Opening::Opened { nonce, event } => {
                head[50] = OPENED;
                head[51..83].copy_from_slice(nonce);
                head[83..].copy_from_slice(&length("an event", event, EVENT_BYTES_MAX)?);
                self.out.write_all(&head)?;
                self.out.write_all(event)?;
            }
            Opening::Erased | Opening::Withheld => {
                head[50] = if opening == Opening::Erased { ERASED } else { WITHHELD };
                self.out.write_all(&head[..51])?;
            }
        }
        self.got = self.got.saturating_add(1);
        Ok(())
    }

    /// Ends the bundle and gives `out` back, flushed.
    ///
    /// # Errors
    /// When there were more or fewer records than announced: what was written is then not a bundle and must be dropped.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.got != self.announced {
            return Err(WriteError::Count { announced: self.announced, got: self.got });
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

fn length(what: &'static str, bytes: &[u8], max: usize) -> Result<[u8; 4], WriteError> {
    let too_long = WriteError::TooLong { what, bytes: bytes.len(), max };
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= max);
    length.map(u32::to_be_bytes).ok_or(too_long)
}
