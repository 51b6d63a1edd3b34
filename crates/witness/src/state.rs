//! What a witness remembers and decides (C2SP tlog-witness; facts/tlog.md §6).
//!
//! ```text
//! <state>/witness                       the vkeys of the witness that this folder belongs to
//! <state>/<SHA-256 of origin>           the last checkpoint cosigned, with the log's and the own signatures
//! ```
//! INVARIANT: comparing the old size, storing the new head and cosigning it are one step under the log's lock, and the
//! head is on disk before the cosignature is given away: no order of requests and no crash rolls a log back.
//! INVARIANT: a folder without memory is not taken for a new witness's: keys and folder are made together.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bailee_proof::checkpoint::{Checkpoint, CheckpointError};
use bailee_proof::hash::{Hash, empty_root, sha256};
use bailee_proof::note::{Note, NoteError, VerifierKey, cosign};
use bailee_proof::tree::verify_consistency;
use bailee_proof::witness::{AddCheckpoint, SIZE_MEDIA_TYPE};

use crate::WitnessKey;
use crate::disk;

const TEXT: &str = "text/plain; charset=utf-8";

/// A running witness.
pub struct Witness {
    key: WitnessKey,
    logs: HashMap<String, Log>,
    _lock: File,
}

struct Log {
    keys: Vec<VerifierKey>,
    path: PathBuf,
    last: Mutex<Last>,
}

struct Last {
    size: u64,
    root: Hash,
    /// The note as it is served to monitors.
    note: Option<Vec<u8>>,
    /// A head could not be stored: what is on disk is not known any more.
    broken: bool,
}

/// An answer over HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The media type.
    pub media_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system.
    #[error("the state folder: `{path}`: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody made this folder.
    #[error(
        "`{0}` is not the state of a witness: make key and state together with `bailee-verify witness keygen`"
    )]
    None(String),
    /// It belongs to another witness.
    #[error("`{0}` is the state of a witness with other keys")]
    Other(String),
    /// Another process runs on it.
    #[error("`{0}` is used by another process")]
    Taken(String),
    /// A remembered head does not verify.
    #[error(
        "`{path}` does not hold a head that this witness cosigned ({why}): restore it, or give up this key"
    )]
    Damaged {
        /// Which file.
        path: String,
        /// Why.
        why: String,
    },
    /// A key that is not a log's.
    #[error("`{0}` is not a log's key: type 01 or 06 is needed")]
    LogKey(String),
}

impl Witness {
    /// Makes the state folder of a new witness.
    ///
    /// # Errors
    /// When it is there already or cannot be made.
    pub fn create(state: &Path, key: &WitnessKey) -> Result<(), StateError> {
        let io = |source| StateError::Io { path: state.display().to_string(), source };
        std::fs::create_dir_all(state).map_err(io)?;
        if std::fs::read_dir(state).map_err(io)?.next().is_some() {
            return Err(io(io::Error::new(io::ErrorKind::AlreadyExists, "it is not empty")));
        }
        disk::create_secret(&state.join("witness"), key.vkeys().as_bytes()).map_err(io)?;
        disk::sync_folder(state).map_err(io)
    }

    /// Opens a witness for these logs.
    ///
    /// # Errors
    /// When the state is not that of this key, is in use, or does not verify.
    pub fn open(state: &Path, key: WitnessKey, logs: &[VerifierKey]) -> Result<Self, StateError> {
        let io = |source| StateError::Io { path: state.display().to_string(), source };
        let name = || state.display().to_string();
        let owner =
            disk::read(&state.join("witness")).map_err(io)?.ok_or_else(|| StateError::None(name()))?;
        if owner != key.vkeys().as_bytes() {
            return Err(StateError::Other(name()));
        }
        let lock = disk::lock(state).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => StateError::Taken(name()),
            _ => io(e),
        })?;
        let mut keys: HashMap<String, Vec<VerifierKey>> = HashMap::new();
        for log in logs {
            if log.kind() == bailee_proof::note::KeyKind::Cosignature {
                return Err(StateError::LogKey(log.to_string()));
            }
            keys.entry(log.name().to_owned()).or_default().push(log.clone());
        }
        let mut known = HashMap::new();
        for (origin, keys) in keys {
            let path = state.join(sha256(&[origin.as_bytes()]).to_string());
            let last = Last::read(&path, &origin, &key)?;
            known.insert(origin, Log { keys, path, last: Mutex::new(last) });
        }
        Ok(Self { key, logs: known, _lock: lock })
    }

    /// Decides one request; blocks while the head goes to disk. `now` is POSIX seconds.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Answer {
        self.decide(body, now).unwrap_or_else(|refusal| refusal)
    }

    /// What monitors are served: the last cosigned checkpoint of the log whose origin has this hash (lower-case hex).
    pub fn monitored(&self, origin_hash: &str) -> Answer {
        let found =
            self.logs.iter().find(|(origin, _)| sha256(&[origin.as_bytes()]).to_string() == origin_hash);
        let note =
            found.and_then(|(_, log)| log.last.lock().unwrap_or_else(PoisonError::into_inner).note.clone());
        note.map_or_else(
            || Answer::text(404, "no checkpoint of such a log was cosigned here"),
            |body| Answer { status: 200, media_type: TEXT, body },
        )
    }

    fn decide(&self, body: &[u8], now: u64) -> Result<Answer, Answer> {
        let bad = |e: &dyn std::fmt::Display| Answer::text(400, &e.to_string());
        let request = AddCheckpoint::parse(body).map_err(|e| bad(&e))?;
        let note = Note::parse(request.note).map_err(|e| bad(&e))?;
        let (origin, size, root) = match Checkpoint::parse(note.text()) {
            Ok(checkpoint) => (checkpoint.origin, checkpoint.size, Some(checkpoint.root)),
            // Judged later, where the specification wants it: with 422.
            Err(CheckpointError::EmptyRoot) => {
                (note.text().split('\n').next().unwrap_or_default().to_owned(), 0, None)
            }
            Err(e) => return Err(bad(&e)),
        };
        let log = self
            .logs
            .get(&origin)
            .ok_or_else(|| Answer::text(404, "this witness does not know a log with this origin"))?;
        let keys: Vec<&VerifierKey> = log.keys.iter().collect();
        note.verify(&keys).map_err(|e| Answer::text(403, &e.to_string()))?;
        if request.old > size {
            return Err(Answer::text(400, "the old size is larger than the checkpoint's"));
        }
        let mut last = log.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.broken {
            return Err(Answer::text(
                500,
                "the state of this log is not known: the witness must be restarted",
            ));
        }
        if request.old != last.size {
            let body = format!("{}\n", last.size).into_bytes();
            return Err(Answer { status: 409, media_type: SIZE_MEDIA_TYPE, body });
        }
        let root = root.ok_or_else(|| Answer::text(422, &CheckpointError::EmptyRoot.to_string()))?;
        verify_consistency(request.old, size, &request.proof, &last.root, &root)
            .map_err(|e| Answer::text(422, &e.to_string()))?;
        let lines = self.cosign(note.text(), now).map_err(|e| Answer::text(500, &e.to_string()))?;
        let stored = stored_note(&note, &keys, &lines);
        if let Err(e) = disk::replace(&log.path, &stored) {
            last.broken = true;
            return Err(Answer::text(500, &format!("the head could not be stored: {e}")));
        }
        *last = Last { size, root, note: Some(stored), broken: false };
        Ok(Answer { status: 200, media_type: TEXT, body: lines.into_bytes() })
    }

    fn cosign(&self, text: &str, now: u64) -> Result<String, NoteError> {
        // Time 0 says "not the largest tree I know", which is not what is meant.
        self.key.signers.iter().map(|signer| cosign(text, signer, now.max(1))).collect()
    }
}

/// The checkpoint with the log's lines (those that were verified) and the own ones.
fn stored_note(note: &Note<'_>, keys: &[&VerifierKey], lines: &str) -> Vec<u8> {
    let mut stored = format!("{}\n", note.text());
    for line in note.lines() {
        if keys.iter().any(|k| k.name() == line.name() && k.id() == line.key_id()) {
            stored.push_str(&line.to_string());
        }
    }
    stored.push_str(lines);
    stored.into_bytes()
}

impl Last {
    fn read(path: &Path, origin: &str, key: &WitnessKey) -> Result<Self, StateError> {
        let io = |source| StateError::Io { path: path.display().to_string(), source };
        let Some(note) = disk::read(path).map_err(io)? else {
            return Ok(Self { size: 0, root: empty_root(), note: None, broken: false });
        };
        let damaged = |why: String| StateError::Damaged { path: path.display().to_string(), why };
        let read = Note::parse(&note).map_err(|e| damaged(e.to_string()))?;
        let own: Vec<&VerifierKey> = key.signers.iter().map(|s| s.verifier()).collect();
        read.verify(&own).map_err(|e| damaged(e.to_string()))?;
        let checkpoint = Checkpoint::parse(read.text()).map_err(|e| damaged(e.to_string()))?;
        if checkpoint.origin != origin {
            return Err(damaged(format!("it is of `{}`", checkpoint.origin)));
        }
        let (size, root) = (checkpoint.size, checkpoint.root);
        Ok(Self { size, root, note: Some(note), broken: false })
    }
}

impl Answer {
    pub(crate) fn text(status: u16, why: &str) -> Self {
        Self { status, media_type: TEXT, body: format!("{why}\n").into_bytes() }
    }
}
