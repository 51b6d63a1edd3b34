//! What a collector remembers on disk: how far it is, the batch that is on its way, the lines of which nothing was made.
//!
//! INVARIANT: a batch is on disk before it is sent and stays there until its answer is, so that it is sent again as it was
//! after any crash; the server knows it by its id.
//! INVARIANT: `unmapped.log` holds each such line once: what a crash left behind the length that the state names is cut.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bailee_collect::Source;
use bailee_collect::frame::Position;
use bailee_collect::wire::Batch;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::output::Stop;

/// `state.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    version: u32,
    pub(super) source: Source,
    /// The file that is being read.
    pub(super) file: Option<FileId>,
    /// Counts files and cuts, so that one place means one line.
    pub(super) generation: u64,
    pub(super) position: Position,
    unmapped_bytes: u64,
    pub(super) pending: Option<Pending>,
}

/// What makes a file the same after it was renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) modified_ms: i64,
    /// How many of its first bytes are in `head`: an inode is used again.
    pub(super) head_bytes: u64,
    pub(super) head: String,
}

/// A batch on its way, with the lines of its events: those that are refused are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) lines: Vec<String>,
}

/// A line of which nothing was made.
pub(super) struct Kept<'l> {
    pub(super) reason: &'l str,
    pub(super) digest: String,
    pub(super) bytes: &'l [u8],
}

/// The folder, locked.
pub(super) struct Store {
    folder: PathBuf,
    unmapped: File,
    _lock: File,
}

impl Store {
    /// Opens the folder, or makes it, and answers the state in it.
    pub(super) fn open(folder: &Path, source: Source) -> Result<(Self, State), Stop> {
        let cannot =
            |what: &Path, e: &dyn std::fmt::Display| Stop::unable(format!("{}: {e}", what.display()));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| cannot(folder, &e))?;
        let open = |name: &str| {
            let path = folder.join(name);
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(&path);
            file.map_err(|e| cannot(&path, &e))
        };
        let lock = open("lock")?;
        lock.try_lock()
            .map_err(|_| Stop::unable(format!("another collector uses {} already", folder.display())))?;
        let path = folder.join("state.json");
        let state = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<State>(&bytes).map_err(|e| cannot(&path, &e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => State {
                version: 1,
                source,
                file: None,
                generation: 0,
                position: Position::default(),
                unmapped_bytes: 0,
                pending: None,
            },
            Err(e) => return Err(cannot(&path, &e)),
        };
        if state.source != source || state.version != 1 {
            return Err(Stop::unable(format!(
                "{} is the state of a collector of {}; each log needs a folder of its own",
                folder.display(),
                state.source.word()
            )));
        }
        let unmapped = open("unmapped.log")?;
        let length = unmapped.metadata().map_err(|e| cannot(folder, &e))?.len();
        if length < state.unmapped_bytes {
            return Err(Stop::unable(format!(
                "{}: unmapped.log is shorter than it was: what was kept there is gone; move the folder away and say \
                 why before you begin anew",
                folder.display()
            )));
        }
        unmapped.set_len(state.unmapped_bytes).map_err(|e| cannot(folder, &e))?;
        Ok((Self { folder: folder.to_path_buf(), unmapped, _lock: lock }, state))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Keeps lines; they count once the state is saved.
    pub(super) fn keep(&mut self, state: &mut State, kept: &[Kept<'_>]) -> Result<(), Stop> {
        if kept.is_empty() {
            return Ok(());
        }
        let mut out = Vec::new();
        for line in kept {
            let raw = match std::str::from_utf8(line.bytes) {
                Ok(text) => json!({ "raw": text }),
                Err(_) => {
                    json!({ "rawHex": line.bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() })
                }
            };
            let mut shown = json!({ "reason": line.reason, "sha256": line.digest });
            if let (Some(shown), Some(raw)) = (shown.as_object_mut(), raw.as_object()) {
                shown.extend(raw.clone());
            }
            out.extend_from_slice(shown.to_string().as_bytes());
            out.push(b'\n');
        }
        let write = |file: &mut File| {
            file.seek(SeekFrom::Start(state.unmapped_bytes))?;
            file.write_all(&out)?;
            file.sync_data()
        };
        write(&mut self.unmapped).map_err(|e| self.cannot("unmapped.log", &e))?;
        state.unmapped_bytes += out.len() as u64;
        Ok(())
    }

    /// Saves the state: all of it or the one before.
    pub(super) fn save(&self, state: &State) -> Result<(), Stop> {
        let bytes = serde_json::to_vec(state).map_err(|e| Stop::unable(e.to_string()))?;
        let write = || {
            let new = self.folder.join("state.json.new");
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&new, self.folder.join("state.json"))?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|e| self.cannot("state.json", &e))
    }

    fn cannot(&self, name: &str, e: &std::io::Error) -> Stop {
        Stop::unable(format!("{}: {e}", self.folder.join(name).display()))
    }
}
