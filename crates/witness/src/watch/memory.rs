//! What a watch remembers between rounds.
//!
//! ```text
//! <state>/memory     JSON: the last checkpoint's note, the tree's right edge, epochs, the own log
//! <state>/labels     the first 16 bytes of each label, one after the other, in the order of the log
//! ```
//! Labels are hashes, so 16 bytes tell them apart. They are held in memory too: about 30 bytes each, so that ten million
//! need 300 MB.
//! INVARIANT: labels are on disk before the memory counts them; what lies behind the count is cut off at start.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::{Hash, from_hex};
use bailee_proof::head::{HeadChain, HeadLine};
use bailee_proof::note::Note;
use bailee_proof::tree::Frontier;
use serde::{Deserialize, Serialize};

use super::{Alarm, Own};
use crate::disk;

/// Bytes of a label that are kept.
const LABEL_BYTES: usize = 16;

pub(super) type Label = [u8; LABEL_BYTES];

/// The part of a label that is remembered.
pub(super) fn short(label: &Hash) -> Label {
    let mut short = [0; LABEL_BYTES];
    short.iter_mut().zip(label.0).for_each(|(to, from)| *to = from);
    short
}

/// Why the memory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file system.
    #[error("the watch's memory `{path}`: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("the watch's memory `{0}` is used by another process")]
    Taken(String),
    /// Not what was written.
    #[error("the watch's memory `{0}` is damaged: restore it, or start anew with an empty folder")]
    Damaged(String),
    /// Of another own log.
    #[error("the watch's memory is of the own log `{0}`, not of the one that you gave: use another folder")]
    Other(String),
}

/// The memory, open.
pub(super) struct Memory {
    folder: std::path::PathBuf,
    pub(super) kept: Kept,
    pub(super) labels: HashSet<Label>,
    _lock: File,
}

/// What is remembered apart from labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// The last checkpoint's note.
    pub(super) note: String,
    pub(super) frontier: Frontier,
    /// Labels in the file.
    pub(super) labels: u64,
    /// The last epoch that ended, and when (milliseconds).
    pub(super) epoch: Option<(u64, u64)>,
    /// Entries since that end.
    pub(super) since_epoch: u64,
    /// When a round first saw that nothing had ended yet, POSIX seconds.
    pub(super) began: u64,
    pub(super) own: Option<OwnKept>,
    /// What is wrong with entries that are remembered.
    pub(super) alarms: Vec<Alarm>,
}

/// What is remembered of the own log.
#[derive(Clone, Debug)]
pub(super) struct OwnKept {
    pub(super) chain: HeadChain,
    pub(super) enrolled: bool,
    /// When its last head came: the end of the epoch, or the round that saw it; POSIX seconds.
    pub(super) head_time: u64,
    /// Commitments under own labels whose heads were not served yet, in order.
    pub(super) waiting: Vec<Hash>,
    /// The log's own last checkpoint.
    pub(super) size: u64,
    pub(super) root: Option<Hash>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    note: String,
    size: u64,
    frontier: Vec<String>,
    labels: u64,
    epoch: Option<(u64, u64)>,
    since_epoch: u64,
    began: u64,
    own: Option<StoredOwn>,
    alarms: Vec<Alarm>,
}

#[derive(Serialize, Deserialize)]
struct StoredOwn {
    origin: String,
    heads: String,
    previous: String,
    enrolled: bool,
    head_time: u64,
    waiting: Vec<String>,
    size: u64,
    root: Option<String>,
}

impl Kept {
    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }
}

impl Memory {
    pub(super) fn open(folder: &Path, own: Option<&Own>) -> Result<Self, MemoryError> {
        let path = folder.display().to_string();
        let io = |source| MemoryError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let lock = disk::lock(folder).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => MemoryError::Taken(path.clone()),
            _ => io(e),
        })?;
        let damaged = || MemoryError::Damaged(path.clone());
        let kept = match disk::read(&folder.join("memory")).map_err(io)? {
            Some(bytes) => {
                serde_json::from_slice::<Stored>(&bytes).map_err(|_| damaged())?.kept(own, &damaged)?
            }
            // Labels without memory: the memory was taken away.
            None if folder.join("labels").exists() => return Err(damaged()),
            None => Kept { own: own.and_then(OwnKept::new), ..Kept::default() },
        };
        let labels = read_labels(folder, kept.labels).map_err(io)?.ok_or_else(damaged)?;
        Ok(Self { folder: folder.to_owned(), kept, labels, _lock: lock })
    }

    /// Remembers what was verified.
    pub(super) fn keep(&mut self, mut kept: Kept, labels: &[Label]) -> Result<(), MemoryError> {
        let io = |source| MemoryError::Io { path: self.folder.display().to_string(), source };
        if !labels.is_empty() {
            let path = self.folder.join("labels");
            let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(io)?;
            file.write_all(labels.as_flattened()).map_err(io)?;
            file.sync_all().map_err(io)?;
            disk::sync_folder(&path).map_err(io)?;
        }
        kept.labels += labels.len() as u64;
        let stored = serde_json::to_vec(&Stored::new(&kept)).map_err(|e| io(e.into()))?;
        disk::replace(&self.folder.join("memory"), &stored).map_err(io)?;
        self.labels.extend(labels);
        self.kept = kept;
        Ok(())
    }
}

/// What a watch has seen of a head log and verified.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The head log's last checkpoint.
    pub head_log: Checkpoint,
    /// The origin of the own log, if one is watched.
    pub origin: Option<String>,
    /// Its last head.
    pub head: Option<HeadLine>,
    /// What stands in the head log for good and cannot be of an honest provider.
    pub alarms: Vec<Alarm>,
}

/// Reads the memory of a watch, which may be running; none when it has not finished a round yet.
///
/// # Errors
/// When it cannot be read, or is not a watch's.
pub fn remembered(folder: &Path) -> Result<Option<Remembered>, MemoryError> {
    let path = folder.display().to_string();
    let damaged = || MemoryError::Damaged(path.clone());
    let bytes = disk::read(&folder.join("memory"))
        .map_err(|source| MemoryError::Io { path: path.clone(), source })?;
    let Some(bytes) = bytes else { return Ok(None) };
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    if stored.version != 1 {
        return Err(damaged());
    }
    let note = Note::parse(stored.note.as_bytes()).map_err(|_| damaged())?;
    let head_log = Checkpoint::parse(note.text()).map_err(|_| damaged())?;
    let (origin, heads) = stored.own.map_or((None, String::new()), |own| (Some(own.origin), own.heads));
    let head = HeadLine::parse_all(&heads).map_err(|_| damaged())?.pop();
    Ok(Some(Remembered { head_log, origin, head, alarms: stored.alarms }))
}

/// The labels of the file, which is cut to what is counted; `None` when it has fewer.
fn read_labels(folder: &Path, count: u64) -> io::Result<Option<HashSet<Label>>> {
    let path = folder.join("labels");
    let mut bytes = disk::read(&path)?.unwrap_or_default();
    let Some(wanted) = usize::try_from(count).ok().and_then(|n| n.checked_mul(LABEL_BYTES)) else {
        return Ok(None);
    };
    if bytes.len() < wanted {
        return Ok(None);
    }
    if bytes.len() > wanted {
        bytes.truncate(wanted);
        OpenOptions::new().write(true).open(&path)?.set_len(wanted as u64)?;
    }
    Ok(Some(bytes.as_chunks::<LABEL_BYTES>().0.iter().copied().collect()))
}

impl OwnKept {
    pub(super) fn new(own: &Own) -> Option<Self> {
        let chain = own.receipt.chain()?;
        Some(Self { chain, enrolled: false, head_time: 0, waiting: Vec::new(), size: 0, root: None })
    }
}

impl Stored {
    fn new(kept: &Kept) -> Self {
        let own = kept.own.as_ref().map(|own| StoredOwn {
            origin: own.chain.origin().to_owned(),
            heads: own.chain.last().map_or_else(String::new, |line| line.to_string()),
            previous: own.chain.previous().to_string(),
            enrolled: own.enrolled,
            head_time: own.head_time,
            waiting: own.waiting.iter().map(ToString::to_string).collect(),
            size: own.size,
            root: own.root.map(|r| r.to_string()),
        });
        Self {
            version: 1,
            note: kept.note.clone(),
            size: kept.size(),
            frontier: kept.frontier.hashes().iter().map(ToString::to_string).collect(),
            labels: kept.labels,
            epoch: kept.epoch,
            since_epoch: kept.since_epoch,
            began: kept.began,
            own,
            alarms: kept.alarms.clone(),
        }
    }

    fn kept(self, own: Option<&Own>, damaged: &impl Fn() -> MemoryError) -> Result<Kept, MemoryError> {
        if self.version != 1 {
            return Err(damaged());
        }
        let hashes: Option<Vec<Hash>> = self.frontier.iter().map(|h| from_hex(h)).collect();
        let frontier = hashes.and_then(|h| Frontier::restore(self.size, h).ok()).ok_or_else(damaged)?;
        let own = match (self.own, own) {
            (Some(stored), Some(own)) => Some(stored.kept(own, damaged)?),
            // Entries that were read without the receipt were not looked at with it.
            (None, Some(_)) if self.size > 0 => return Err(MemoryError::Other("none".into())),
            (None, own) => own.and_then(OwnKept::new),
            (Some(stored), None) => return Err(MemoryError::Other(stored.origin)),
        };
        Ok(Kept {
            note: self.note,
            frontier,
            labels: self.labels,
            epoch: self.epoch,
            since_epoch: self.since_epoch,
            began: self.began,
            own,
            alarms: self.alarms,
        })
    }
}

impl StoredOwn {
    fn kept(self, own: &Own, damaged: &impl Fn() -> MemoryError) -> Result<OwnKept, MemoryError> {
        let fresh = OwnKept::new(own).ok_or_else(damaged)?;
        if fresh.chain.origin() != self.origin {
            return Err(MemoryError::Other(self.origin));
        }
        let lines = HeadLine::parse_all(&self.heads).map_err(|_| damaged())?;
        let chain = match lines.last() {
            Some(last) => {
                let previous = from_hex(&self.previous).ok_or_else(damaged)?;
                HeadChain::restore(own.receipt.log.name(), own.receipt.watch.clone(), *last, previous)
            }
            None => fresh.chain,
        };
        let waiting: Option<Vec<Hash>> = self.waiting.iter().map(|h| from_hex(h)).collect();
        let root = self.root.as_deref().map(|h| from_hex(h).ok_or_else(damaged)).transpose()?;
        Ok(OwnKept {
            chain,
            enrolled: self.enrolled,
            head_time: self.head_time,
            waiting: waiting.ok_or_else(damaged)?,
            size: self.size,
            root,
        })
    }
}
