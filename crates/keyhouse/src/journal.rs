//! The keyhouse's own log: one line of JSON for each decision, each with the digest of the line before it.
//!
//! INVARIANT: a line is synced before [`Journal::write`] returns. A line that was cut by a crash belongs to a decision that
//! nobody heard of; it is taken away when the journal is opened, and the next line says so.
//! INVARIANT: after an error nothing more is written until the journal was opened again: what is on disk is not known then.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bailee_proof::hash::sha256;
use bailee_types::Timestamp;
use serde::{Deserialize, Serialize};

/// What the first line follows.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Why the journal is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The system does not let it be read or written.
    #[error("the journal {path}: {why}")]
    Io {
        /// Where.
        path: String,
        /// What the system says.
        why: String,
    },
    /// A line is missing, changed or moved.
    #[error(
        "line {line} of the journal does not follow the line before it: lines were changed, moved or removed"
    )]
    Broken {
        /// Counted from 1.
        line: u64,
    },
}

/// What is written of a decision. Never plaintext, never a secret.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Entry {
    pub(crate) operation: String,
    pub(crate) key: String,
    pub(crate) principal: String,
    pub(crate) kms_operation: String,
    pub(crate) request: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) via: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) credential: String,
    /// To what the bytes are bound, as far as it can be read.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) bound: serde_json::Value,
    /// SHA-256 of that.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) bound_sha256: String,
    pub(crate) decision: String,
    pub(crate) why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shown: Option<Shown>,
}

/// What somebody of the provider showed, and held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Shown {
    pub(crate) reason: String,
    pub(crate) grant: String,
    pub(crate) approved_by: Vec<String>,
    pub(crate) operator: String,
    pub(crate) object: String,
    pub(crate) log: String,
    pub(crate) index: u64,
    /// A window of a read that was counted before.
    pub(crate) continues: bool,
    pub(crate) size: u64,
    pub(crate) root: String,
    /// The log's signed word, to be held against what it says to others.
    pub(crate) checkpoint: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    n: u64,
    at: String,
    #[serde(flatten)]
    entry: Entry,
    prev: String,
}

/// What was used of one intent and one grant.
#[derive(Default)]
pub(crate) struct Used {
    /// Log and index of an intent: what was opened by it, how often.
    intents: HashMap<(String, u64), (String, u32)>,
    /// Grant: reads that count, by log and index.
    reads: HashMap<String, BTreeSet<(String, u64)>>,
    /// Grant: what was opened.
    opened: HashMap<String, BTreeSet<String>>,
    /// The roots that logs signed.
    roots: HashMap<(String, u64), String>,
}

/// An intent is tried again after a lost answer, so often.
const TRIES: u32 = 4;

impl Used {
    fn note(&mut self, entry: &Entry) {
        let Some(shown) = entry.shown.as_ref().filter(|_| entry.decision == "allowed") else { return };
        let place = (shown.log.clone(), shown.index);
        self.intents.entry(place.clone()).or_insert((entry.bound_sha256.clone(), 0)).1 += 1;
        if !shown.continues {
            self.reads.entry(shown.grant.clone()).or_default().insert(place);
        }
        self.opened.entry(shown.grant.clone()).or_default().insert(entry.bound_sha256.clone());
        self.roots.insert((shown.log.clone(), shown.size), shown.root.clone());
    }

    /// Whether what was shown may be used for `bound` once more.
    pub(crate) fn allows(&self, shown: &Shown, bound: &str, reads: u32) -> Result<(), String> {
        if let Some(root) = self.roots.get(&(shown.log.clone(), shown.size))
            && *root != shown.root
        {
            return Err(format!(
                "the log signed two different trees of {} records: keep this journal, it proves it",
                shown.size
            ));
        }
        let place = (shown.log.clone(), shown.index);
        if let Some((before, times)) = self.intents.get(&place)
            && (before != bound || *times >= TRIES)
        {
            return Err("the intent was used before".to_owned());
        }
        let used = self.reads.get(&shown.grant);
        if shown.continues {
            let opened = self.opened.get(&shown.grant).is_some_and(|all| all.contains(bound));
            return if opened {
                Ok(())
            } else {
                Err("the intent continues a read that was never begun here".to_owned())
            };
        }
        let others = used.map_or(0, |all| all.iter().filter(|p| **p != place).count());
        if others >= usize::try_from(reads).unwrap_or(usize::MAX) {
            return Err("all reads of the grant are used".to_owned());
        }
        Ok(())
    }
}

/// An open journal.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    next: u64,
    prev: String,
    pub(crate) used: Used,
    broken: bool,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whole lines.
    pub lines: u64,
    /// Bytes of a last line that was cut.
    pub cut: u64,
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> JournalError {
    let path = path.display().to_string();
    move |e| JournalError::Io { path: path.clone(), why: e.to_string() }
}

/// Reads all lines in order; the digest of the last, and what was cut off.
fn walk(path: &Path, mut each: impl FnMut(&str, &Line)) -> Result<(u64, String, u64, u64), JournalError> {
    let failed = failed(path);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((0, NOTHING.to_owned(), 0, 0)),
        Err(e) => return Err(failed(e)),
    };
    let mut reader = BufReader::new(file);
    let (mut n, mut prev, mut good) = (0, NOTHING.to_owned(), 0);
    let mut text = Vec::new();
    loop {
        text.clear();
        let len = reader.read_until(b'\n', &mut text).map_err(&failed)?;
        if len == 0 || text.last() != Some(&b'\n') {
            return Ok((n, prev, good, len as u64));
        }
        let broken = || JournalError::Broken { line: n + 1 };
        let line = text.strip_suffix(b"\n").unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|_| broken())?;
        let read: Line = serde_json::from_str(line).map_err(|_| broken())?;
        if read.n != n || read.prev != prev {
            return Err(broken());
        }
        each(line, &read);
        prev = hex::encode(sha256(&[line.as_bytes()]).0);
        n += 1;
        good += len as u64;
    }
}

/// Checks a journal: every line follows the one before it.
///
/// # Errors
/// The first line that does not.
pub fn check_journal(path: &Path) -> Result<Checked, JournalError> {
    let (lines, _, _, cut) = walk(path, |_, _| {})?;
    Ok(Checked { lines, cut })
}

/// Checks a journal and hands each line on, as it is written.
///
/// # Errors
/// The first line that does not follow.
pub fn read_journal(path: &Path, mut each: impl FnMut(&str)) -> Result<Checked, JournalError> {
    let (lines, _, _, cut) = walk(path, |text, _| each(text))?;
    Ok(Checked { lines, cut })
}

impl Journal {
    pub(crate) fn open(path: &Path, now: Timestamp) -> Result<Self, JournalError> {
        let failed = failed(path);
        let mut used = Used::default();
        let (next, prev, good, cut) = walk(path, |_, line| used.note(&line.entry))?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(&failed)?;
        // Two services that write one journal would break it.
        file.try_lock().map_err(|_| JournalError::Io {
            path: path.display().to_string(),
            why: "another process writes it".to_owned(),
        })?;
        file.set_len(good).map_err(&failed)?;
        file.seek(SeekFrom::End(0)).map_err(&failed)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(&failed)?;
        let mut out = Self { path: path.to_owned(), file, next, prev, used, broken: false };
        if cut > 0 {
            out.write(
                Entry {
                    operation: "Journal".into(),
                    decision: "mended".into(),
                    why: format!("{cut} bytes of a line that was cut were taken away"),
                    ..Entry::default()
                },
                now,
            )?;
        }
        Ok(out)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    #[cfg(test)]
    pub(crate) fn break_it(&mut self) {
        self.broken = true;
    }

    /// Writes a decision; it is on disk when this returns.
    pub(crate) fn write(&mut self, entry: Entry, now: Timestamp) -> Result<u64, JournalError> {
        let failed = failed(&self.path);
        if self.broken {
            return Err(failed(std::io::Error::other("an earlier line could not be written; start again")));
        }
        let line = Line { n: self.next, at: now.iso_ms(), entry, prev: self.prev.clone() };
        let text = serde_json::to_string(&line).map_err(|e| failed(e.into()))?;
        let written =
            self.file.write_all(format!("{text}\n").as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(e) = written {
            self.broken = true;
            return Err(failed(e));
        }
        self.used.note(&line.entry);
        self.prev = hex::encode(sha256(&[text.as_bytes()]).0);
        self.next += 1;
        Ok(line.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, grant: &str) -> Entry {
        Entry {
            operation: "Decrypt".into(),
            decision: "allowed".into(),
            bound_sha256: "aa".into(),
            shown: Some(Shown {
                grant: grant.into(),
                log: "l".into(),
                index,
                size: 9,
                root: "r".into(),
                ..Shown::default()
            }),
            ..Entry::default()
        }
    }

    #[test]
    fn lines_follow_each_other_and_a_cut_one_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let now = Timestamp::from_secs(1);
        let mut journal = Journal::open(&path, now).unwrap();
        for n in 0..3 {
            assert_eq!(journal.write(entry(n, "g"), now).unwrap(), n);
        }
        assert!(Journal::open(&path, now).is_err(), "two write one journal");
        drop(journal);
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!(check_journal(&path).unwrap(), Checked { lines: 3, cut: 0 });
        std::fs::write(&path, format!("{whole}{{\"n\":3")).unwrap();
        assert_eq!(check_journal(&path).unwrap(), Checked { lines: 3, cut: 6 });
        let mut journal = Journal::open(&path, now).unwrap();
        assert_eq!(journal.write(entry(3, "g"), now).unwrap(), 4);
        drop(journal);
        assert_eq!(check_journal(&path).unwrap(), Checked { lines: 5, cut: 0 });
        let lines: Vec<_> = whole.lines().collect();
        for (bad, line) in [
            (format!("{}\n{}\n", lines[0], lines[2]), 2),
            (whole.replacen("\"Decrypt\"", "\"Encrypt\"", 1), 2),
            (format!("{}\n{}\n", lines[1], lines[0]), 1),
            ("\n".to_owned(), 1),
        ] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(check_journal(&path), Err(JournalError::Broken { line }));
            assert!(Journal::open(&path, now).is_err());
        }
    }

    #[test]
    fn an_intent_opens_one_thing_and_a_grant_so_many() {
        let mut used = Used::default();
        let shown = |index, continues| Shown { continues, ..entry(index, "g").shown.unwrap() };
        assert!(used.allows(&shown(1, true), "aa", 2).unwrap_err().contains("never begun"));
        used.note(&entry(1, "g"));
        assert!(used.allows(&shown(1, false), "aa", 1).is_ok(), "tried again");
        assert!(used.allows(&shown(1, false), "bb", 1).unwrap_err().contains("used before"));
        assert!(used.allows(&shown(2, false), "aa", 1).unwrap_err().contains("all reads"));
        assert!(used.allows(&shown(2, false), "aa", 2).is_ok());
        assert!(used.allows(&shown(2, true), "aa", 1).is_ok());
        assert!(used.allows(&shown(2, true), "bb", 1).is_err());
        for _ in 0..3 {
            used.note(&entry(1, "g"));
        }
        assert!(used.allows(&shown(1, false), "aa", 1).is_err(), "four times");
        let fork = Shown { root: "other".into(), ..shown(2, false) };
        assert!(used.allows(&fork, "aa", 2).unwrap_err().contains("two different trees"));
    }
}
