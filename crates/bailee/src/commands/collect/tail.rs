//! A log file that grows, is renamed and begun anew, or cut to nothing.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bailee_collect::Source;
use bailee_collect::frame::{Framer, Position, Unit};
use bailee_types::{Clock, SystemClock, Timestamp};
use sha2::{Digest, Sha256};

use super::state::{FileId, State};
use crate::output::Stop;

/// Nothing written for so long means that nothing of the last event is still to come.
const QUIET: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 256 * 1024;
const HEAD_BYTES: u64 = 256;

/// The file that is being read, and what was cut of it.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
    framer: Framer,
    source: Source,
    grown: Instant,
    /// Whether a cut of the file is ours (the webhook's inbox).
    own: bool,
}

impl Tail {
    /// Goes on where the state says; notes in `gaps` what is gone.
    pub(super) fn open(
        path: &Path,
        own: bool,
        state: &mut State,
        gaps: &mut Vec<String>,
    ) -> Result<Self, Stop> {
        let mut tail = Self {
            path: path.to_path_buf(),
            file: None,
            framer: Framer::at(state.source, &state.position),
            source: state.source,
            grown: Instant::now(),
            own,
        };
        let Some(id) = state.file.clone() else {
            tail.begin(path, state)?;
            return Ok(tail);
        };
        for candidate in tail.family() {
            if is_same(&candidate, &id) {
                tail.continue_in(&candidate, state, gaps)?;
                return Ok(tail);
            }
        }
        gaps.push(
            "the file that was read last is gone: what it held behind the last line read is missing".into(),
        );
        let next = tail.younger_than(&id);
        state.generation += 1;
        state.position = Position::default();
        state.file = None;
        tail.begin(&next, state)?;
        Ok(tail)
    }

    /// The next unit; none when there is nothing to read now. Answers also whether the file came to its end.
    pub(super) fn next(&mut self, state: &mut State, gaps: &mut Vec<String>) -> Result<Option<Unit>, Stop> {
        loop {
            if let Some(unit) = self.framer.next(false) {
                return Ok(Some(unit));
            }
            if self.fill()? {
                continue;
            }
            if self.is_quiet()
                && let Some(unit) = self.framer.next(true)
            {
                return Ok(Some(unit));
            }
            if !self.move_on(state, gaps)? {
                return Ok(None);
            }
        }
    }

    /// Whether there will be no more without new lines: nothing waits but an unfinished one, and the file was not renamed
    /// (then the next one is still to be read).
    pub(super) fn is_at_end(&self) -> bool {
        let identity = |m: std::fs::Metadata| (m.dev(), m.ino());
        let ours = self.file.as_ref().and_then(|f| f.metadata().ok()).map(identity);
        let named = std::fs::metadata(&self.path).ok().map(identity);
        (self.framer.waiting() == 0 || self.is_quiet()) && (named.is_none() || named == ours)
    }

    /// Bytes of an unfinished line or event.
    pub(super) fn waiting(&self) -> u64 {
        self.framer.waiting()
    }

    /// Puts into the state where to go on.
    pub(super) fn note(&self, state: &mut State) -> Result<(), Stop> {
        state.position = self.framer.position();
        if let Some(file) = &self.file {
            state.file = Some(identify(file).map_err(|e| self.cannot(&e))?);
        }
        Ok(())
    }

    /// Where a unit stands, for sources without ids of their own.
    pub(super) fn place(&self, state: &State, unit: &Unit) -> String {
        let inode = self.file.as_ref().and_then(|f| f.metadata().ok()).map_or(0, |m| m.ino());
        format!("{inode}:{}:{}", state.generation, unit.start)
    }

    /// How many bytes of the file were read and given out.
    pub(super) fn offset(&self) -> u64 {
        self.framer.position().offset
    }

    fn fill(&mut self) -> Result<bool, Stop> {
        let Some(file) = &mut self.file else {
            return Ok(false);
        };
        let mut bytes = vec![0; READ_BYTES];
        let n = file.read(&mut bytes).map_err(|e| Stop::unable(format!("{}: {e}", self.path.display())))?;
        self.framer.push(bytes.get(..n).unwrap_or_default());
        if n > 0 {
            self.grown = Instant::now();
        }
        Ok(n > 0)
    }

    fn is_quiet(&self) -> bool {
        let written = self.file.as_ref().and_then(|f| f.metadata().ok()).map(|m| modified_ms(&m));
        let quiet_ms = i64::try_from(QUIET.as_millis()).unwrap_or(i64::MAX);
        let age_ms = written.map(|at| SystemClock::default().now().ms().saturating_sub(at));
        self.grown.elapsed() >= QUIET || age_ms.is_some_and(|age| age >= quiet_ms)
    }

    /// At the end of a file: whether there is another one, or the same was cut.
    fn move_on(&mut self, state: &mut State, gaps: &mut Vec<String>) -> Result<bool, Stop> {
        let Some(file) = &self.file else {
            if self.path.exists() {
                let path = self.path.clone();
                self.begin(&path, state)?;
                return Ok(self.file.is_some());
            }
            return Ok(false);
        };
        let ours = file.metadata().map_err(|e| self.cannot(&e))?;
        if ours.len() < self.framer.pushed() {
            if !self.own {
                gaps.push(
                    "the file was cut: what was written between the last look and the cut is missing".into(),
                );
            }
            state.generation += 1;
            self.restart(state)?;
            return Ok(true);
        }
        let Ok(named) = std::fs::metadata(&self.path) else { return Ok(false) };
        // Whoever renamed it may still write into it for a while.
        if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) || !self.is_quiet() {
            return Ok(false);
        }
        if self.framer.waiting() > 0 {
            // Its last line has no end, and will get none.
            self.framer.push(b"\n");
            return Ok(true);
        }
        let id = identify(file).map_err(|e| self.cannot(&e))?;
        let next = self.younger_than(&id);
        state.generation += 1;
        state.position = Position::default();
        self.begin(&next, state)?;
        Ok(true)
    }

    fn begin(&mut self, path: &Path, state: &mut State) -> Result<(), Stop> {
        self.framer = Framer::at(self.source, &state.position);
        self.file = match File::open(path) {
            Ok(file) => Some(file),
            // It may be made later, or be between two names.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(self.cannot(&e)),
        };
        self.note(state)
    }

    fn continue_in(&mut self, path: &Path, state: &mut State, gaps: &mut Vec<String>) -> Result<(), Stop> {
        let mut file = File::open(path).map_err(|e| self.cannot(&e))?;
        let length = file.metadata().map_err(|e| self.cannot(&e))?.len();
        if length < state.position.offset {
            if !self.own {
                gaps.push(
                    "the file was cut: what was written between the last look and the cut is missing".into(),
                );
            }
            state.generation += 1;
            state.position = Position::default();
        }
        file.seek(SeekFrom::Start(state.position.offset)).map_err(|e| self.cannot(&e))?;
        self.framer = Framer::at(self.source, &state.position);
        self.file = Some(file);
        Ok(())
    }

    /// From the beginning of the same file.
    pub(super) fn restart(&mut self, state: &mut State) -> Result<(), Stop> {
        state.position = Position::default();
        self.framer = Framer::at(self.source, &state.position);
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(0))
                .map_err(|e| Stop::unable(format!("{}: {e}", self.path.display())))?;
        }
        self.note(state)
    }

    /// The file and what it was renamed to (`pg.csv`, `pg.csv.1`, `pg.csv-20261125`), the oldest first.
    fn family(&self) -> Vec<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let packed = [".gz", ".bz2", ".xz", ".zst"];
        let mut found: Vec<(i64, PathBuf)> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|e| {
                let other = e.file_name().to_string_lossy().into_owned();
                other.starts_with(&name) && !packed.iter().any(|p| other.ends_with(p))
            })
            .filter_map(|e| Some((modified_ms(&e.metadata().ok()?), e.path())))
            .collect();
        found.sort();
        found.into_iter().map(|(_, path)| path).collect()
    }

    fn younger_than(&self, id: &FileId) -> PathBuf {
        self.family()
            .into_iter()
            .find(|p| {
                std::fs::metadata(p).is_ok_and(|m| m.is_file() && modified_ms(&m) >= id.modified_ms)
                    && !is_same(p, id)
            })
            .unwrap_or_else(|| self.path.clone())
    }

    fn cannot(&self, e: &std::io::Error) -> Stop {
        Stop::unable(format!("{}: {e}", self.path.display()))
    }
}

fn modified_ms(m: &std::fs::Metadata) -> i64 {
    Timestamp::from_ms(m.mtime().saturating_mul(1000).saturating_add(m.mtime_nsec() / 1_000_000)).ms()
}

fn identify(file: &File) -> std::io::Result<FileId> {
    let m = file.metadata()?;
    let head_bytes = m.len().min(HEAD_BYTES);
    Ok(FileId {
        device: m.dev(),
        inode: m.ino(),
        modified_ms: modified_ms(&m),
        head_bytes,
        head: head(file, head_bytes)?,
    })
}

fn head(file: &File, bytes: u64) -> std::io::Result<String> {
    let mut first = vec![0; usize::try_from(bytes).unwrap_or(0)];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut first, 0)?;
    Ok(Sha256::digest(&first).iter().map(|b| format!("{b:02x}")).collect())
}

fn is_same(path: &Path, id: &FileId) -> bool {
    let same = || {
        let file = File::open(path).ok()?;
        let m = file.metadata().ok()?;
        // A file that was cut has another head, but is the same.
        let cut = m.len() < id.head_bytes;
        let ours = (m.dev(), m.ino()) == (id.device, id.inode);
        Some(ours && (cut || head(&file, id.head_bytes).ok()? == id.head))
    };
    same().unwrap_or(false)
}
