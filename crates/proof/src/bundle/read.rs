//! Reading a bundle from front to back, record by record.

use std::io::{self, BufReader, Read};

use sha2::{Digest, Sha256};

use super::{ERASED, MAGIC, MANIFEST_BYTES_MAX, OPENED, PLACES_BYTES_MAX, RECORD_HEAD_BYTES, WITHHELD};
use crate::event::EVENT_BYTES_MAX;
use crate::hash::Hash;
use crate::note::NOTE_BYTES_MAX;
use crate::record::{ENTRY_BYTES, NONCE_BYTES};

/// Bytes asked of the source at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// A part of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The first line.
    Start,
    /// The manifest note and its length.
    Manifest,
    /// The checkpoint note and its length.
    Checkpoint,
    /// The places in the head log and their length.
    Places,
    /// The number of records.
    Count,
    /// The record at this position, counted from 0.
    Record(u64),
}

/// Why a bundle cannot be read (further). Positions count bytes from the start of the file.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The source failed: nothing is said about the bundle.
    #[error("could not read the bundle at byte {at}")]
    Io {
        /// Where.
        at: u64,
        /// Why.
        source: io::Error,
    },
    /// Not a bundle of this version.
    #[error("this is not a bundle: it does not begin with the line `bailee-bundle/v2`")]
    Magic,
    /// The file ends too early.
    #[error("the file ends at byte {at}, within {part}")]
    Cut {
        /// Where.
        at: u64,
        /// In which part.
        part: Part,
    },
    /// A length beyond what is accepted.
    #[error("{part} (byte {at}) says that {bytes} bytes follow, more than {max}")]
    TooLong {
        /// Where the length stands.
        at: u64,
        /// In which part.
        part: Part,
        /// What it says.
        bytes: u32,
        /// What is accepted.
        max: usize,
    },
    /// A byte that is no mark.
    #[error("{part} (byte {at}) has the mark {found}; a record is 0 (erased), 1 (opened) or 2 (withheld)")]
    Mark {
        /// Where.
        at: u64,
        /// In which part.
        part: Part,
        /// The byte found.
        found: u8,
    },
    /// Bytes after the last record.
    #[error("the last record ends at byte {at}, but the file goes on")]
    Trailing {
        /// Where the file should end.
        at: u64,
    },
}

/// A bundle that is being read. Nothing is verified here; see the crate `bailee-verify`.
pub struct Reader<R> {
    input: BufReader<R>,
    at: u64,
    manifest: Vec<u8>,
    checkpoint: Vec<u8>,
    places: Vec<u8>,
    lead: Hash,
    count: u64,
    next: u64,
}

/// One record as it stands in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordRef<'a> {
    /// The entry: see [`crate::record::Entry::decode`].
    pub entry: &'a [u8; ENTRY_BYTES],
    /// What its entry commits to.
    pub opening: Opening<'a>,
}

impl RecordRef<'_> {
    /// Bytes of it in the file.
    pub const fn bytes(&self) -> usize {
        match self.opening {
            Opening::Opened { event, .. } => RECORD_HEAD_BYTES + event.len(),
            Opening::Erased | Opening::Withheld => ENTRY_BYTES + 1,
        }
    }
}

/// What a bundle tells of a record's event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening<'a> {
    /// All of it.
    Opened {
        /// The nonce of the commitment.
        nonce: &'a [u8; NONCE_BYTES],
        /// The event, exactly as it was recorded.
        event: &'a [u8],
    },
    /// It is gone.
    Erased,
    /// It lies outside of the scope.
    Withheld,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("the first line"),
            Self::Manifest => f.write_str("the manifest"),
            Self::Checkpoint => f.write_str("the checkpoint"),
            Self::Places => f.write_str("the places in the head log"),
            Self::Count => f.write_str("the number of records"),
            Self::Record(position) => write!(f, "record {position}"),
        }
    }
}

impl<R: Read> Reader<R> {
    /// Reads everything in front of the records.
    ///
    /// # Errors
    /// When the file does not begin like a bundle.
    pub fn open(source: R) -> Result<Self, BundleError> {
        let mut reader = Self {
            input: BufReader::with_capacity(BUFFER_BYTES, source),
            at: 0,
            manifest: Vec::new(),
            checkpoint: Vec::new(),
            places: Vec::new(),
            lead: Hash([0; 32]),
            count: 0,
            next: 0,
        };
        let mut start = Vec::new();
        let cut = reader.append(&mut start, MAGIC.len(), Part::Start);
        if !MAGIC.starts_with(&start) {
            return Err(BundleError::Magic);
        }
        cut?;
        let mut lead = Sha256::new();
        reader.manifest = reader.sized(Part::Manifest, MANIFEST_BYTES_MAX, &mut lead)?;
        lead = Sha256::new();
        reader.checkpoint = reader.sized(Part::Checkpoint, NOTE_BYTES_MAX, &mut lead)?;
        reader.places = reader.sized(Part::Places, PLACES_BYTES_MAX, &mut lead)?;
        let count = reader.array::<8>(Part::Count)?;
        lead.update(count);
        reader.count = u64::from_be_bytes(count);
        reader.lead = Hash(lead.finalize().into());
        Ok(reader)
    }

    /// The manifest note.
    pub fn manifest_note(&self) -> &[u8] {
        &self.manifest
    }

    /// The checkpoint note.
    pub fn checkpoint_note(&self) -> &[u8] {
        &self.checkpoint
    }

    /// The places in the head log: see [`super::Places::parse`].
    pub fn places(&self) -> &[u8] {
        &self.places
    }

    /// The digest of what stands between manifest and records, to compare with the manifest.
    pub const fn lead(&self) -> &Hash {
        &self.lead
    }

    /// How many records the bundle says it has. Do not allocate by this number.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes were read.
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// Appends the next record to `batch`, for [`records`]; `false` when there is none left.
    ///
    /// # Errors
    /// When the record is cut or cannot be delimited: the rest of the file cannot be read then. `batch` holds whole
    /// records only.
    pub fn read_into(&mut self, batch: &mut Vec<u8>) -> Result<bool, BundleError> {
        if self.next == self.count {
            return Ok(false);
        }
        let begin = batch.len();
        match self.record(batch, begin) {
            Ok(()) => {
                self.next += 1;
                Ok(true)
            }
            Err(error) => {
                batch.truncate(begin);
                Err(error)
            }
        }
    }

    /// Makes sure that the file ends here.
    ///
    /// # Errors
    /// When the file goes on, or records are left unread.
    pub fn finish(mut self) -> Result<(), BundleError> {
        if self.next != self.count {
            return Err(BundleError::Cut { at: self.at, part: Part::Record(self.next) });
        }
        let mut beyond = Vec::new();
        match self.append(&mut beyond, 1, Part::Record(self.next)) {
            Ok(()) => Err(BundleError::Trailing { at: self.at.saturating_sub(1) }),
            Err(BundleError::Cut { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    fn record(&mut self, batch: &mut Vec<u8>, begin: usize) -> Result<(), BundleError> {
        let (at, part) = (self.at, Part::Record(self.next));
        self.append(batch, ENTRY_BYTES + 1, part)?;
        match batch.last().copied().unwrap_or_default() {
            ERASED | WITHHELD => return Ok(()),
            OPENED => {}
            found => return Err(BundleError::Mark { at: at + ENTRY_BYTES as u64, part, found }),
        }
        self.append(batch, RECORD_HEAD_BYTES - ENTRY_BYTES - 1, part)?;
        let head = batch.get(begin..).unwrap_or_default();
        let bytes = head.last_chunk::<4>().copied().map_or(0, u32::from_be_bytes);
        let length = self.length(bytes, part, EVENT_BYTES_MAX)?;
        self.append(batch, length, part)
    }

    fn sized(&mut self, part: Part, max: usize, digest: &mut Sha256) -> Result<Vec<u8>, BundleError> {
        let bytes = self.array::<4>(part)?;
        let length = self.length(u32::from_be_bytes(bytes), part, max)?;
        let mut sized = Vec::new();
        self.append(&mut sized, length, part)?;
        digest.update(bytes);
        digest.update(&sized);
        Ok(sized)
    }

    fn length(&self, bytes: u32, part: Part, max: usize) -> Result<usize, BundleError> {
        let too_long = BundleError::TooLong { at: self.at.saturating_sub(4), part, bytes, max };
        usize::try_from(bytes).ok().filter(|length| *length <= max).ok_or(too_long)
    }

    fn array<const N: usize>(&mut self, part: Part) -> Result<[u8; N], BundleError> {
        let mut bytes = Vec::with_capacity(N);
        self.append(&mut bytes, N, part)?;
        bytes.try_into().map_err(|_| BundleError::Cut { at: self.at, part })
    }

    /// Appends exactly `length` bytes (at most a limit that the caller has checked).
    fn append(&mut self, to: &mut Vec<u8>, length: usize, part: Part) -> Result<(), BundleError> {
        let got = (&mut self.input).take(length as u64).read_to_end(to);
        match got {
            Ok(got) => {
                self.at += got as u64;
                if got == length { Ok(()) } else { Err(BundleError::Cut { at: self.at, part }) }
            }
            Err(source) => Err(BundleError::Io { at: self.at, source }),
        }
    }
}

/// The records in a batch that [`Reader::read_into`] filled.
pub fn records(batch: &[u8]) -> impl Iterator<Item = RecordRef<'_>> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        let (entry, after) = rest.split_first_chunk::<ENTRY_BYTES>()?;
        let (mark, after) = after.split_first()?;
        if *mark != OPENED {
            rest = after;
            let opening = if *mark == ERASED { Opening::Erased } else { Opening::Withheld };
            return Some(RecordRef { entry, opening });
        }
        let (nonce, after) = after.split_first_chunk::<NONCE_BYTES>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (event, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        rest = after;
        Some(RecordRef { entry, opening: Opening::Opened { nonce, event } })
    })
}
