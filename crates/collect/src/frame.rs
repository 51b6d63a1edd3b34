//! Bytes of a log into units: one line, one CSV record with ends of lines in quotes, one auditd event of several lines.
//!
//! INVARIANT: every byte that was pushed is in exactly one unit, but for ends of lines between them and what still waits.
//! INVARIANT: what an actor of the log can write (a statement with ends of lines and quotes) never becomes a unit of its
//! own: a CSV record ends where its quotes say, also when it is too long to be read.

use std::collections::VecDeque;

use crate::{Source, auditd};

/// The longest unit that is read, bytes; a longer one is given out in pieces that say so.
pub const UNIT_BYTES_MAX: usize = 1024 * 1024;
/// How many auditd events may be open at one time before the oldest is taken as whole.
const OPEN_MAX: usize = 512;
/// How many lines a path of HDFS may make out of a record.
const HDFS_LINES_MAX: usize = 16;

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where it begins in the file.
    pub start: u64,
    /// Its bytes; lines that belong together are parted by `\n`.
    pub bytes: Vec<u8>,
    /// Whether it is a piece of one that is too long, or was torn by a crash.
    pub torn: Option<&'static str>,
}

/// Where to begin again.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The offset in the file.
    pub offset: u64,
    /// auditd events whose lines lie behind the offset and that were given out already: key and end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<(String, u64)>,
}

/// Cuts the bytes of one file.
#[derive(Debug)]
pub struct Framer {
    source: Source,
    buffer: Vec<u8>,
    /// The offset of the buffer's first byte.
    base: u64,
    /// How much of the buffer was looked at for the end of the unit at its beginning, and whether that is in quotes.
    seen: usize,
    quoted: bool,
    /// Whether the buffer begins in the middle of a unit that is too long.
    overlong: bool,
    /// Whether the unit at the beginning is of csvlog, whose ends of lines may be in quotes.
    is_csv: bool,
    open: VecDeque<Open>,
    given: Vec<(String, u64)>,
}

#[derive(Debug)]
struct Open {
    key: Option<auditd::Key>,
    start: u64,
    end: u64,
    bytes: Vec<u8>,
    whole: bool,
}

impl Framer {
    /// Begins at a position.
    pub fn at(source: Source, position: &Position) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            base: position.offset,
            seen: 0,
            quoted: false,
            overlong: false,
            is_csv: false,
            open: VecDeque::new(),
            given: position.given.clone(),
        }
    }

    /// Takes bytes that follow those before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The offset behind all that was pushed.
    pub fn pushed(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// How many bytes were pushed and not given out: an unfinished line or event.
    pub fn waiting(&self) -> u64 {
        self.pushed() - self.position().offset
    }

    /// Where to begin again so that what was not given out comes, and nothing twice.
    pub fn position(&self) -> Position {
        let offset = self.open.front().map_or(self.base, |o| o.start);
        let given = self.given.iter().filter(|(_, end)| *end > offset).cloned().collect();
        Position { offset, given }
    }

    /// The next unit. With `quiet` nothing has been written for a while: events of several lines are then whole, and
    /// open quotes are the trace of a crash.
    pub fn next(&mut self, quiet: bool) -> Option<Unit> {
        loop {
            if let Some(unit) = self.opened(quiet) {
                return Some(unit);
            }
            let (unit, end) = self.cut(quiet)?;
            if unit.bytes.is_empty() && unit.torn.is_none() {
                continue;
            }
            if self.source != Source::Auditd || unit.torn.is_some() {
                return Some(unit);
            }
            if let Some(late) = self.join(unit, end) {
                return Some(late);
            }
        }
    }

    /// Cuts a line or record off the buffer's beginning; the second is the offset behind it.
    fn cut(&mut self, quiet: bool) -> Option<(Unit, u64)> {
        let Some(length) = self.length(quiet) else {
            if self.buffer.len() < UNIT_BYTES_MAX {
                return None;
            }
            self.overlong = true;
            // The quotes that were seen count on: `seen` is the whole buffer here.
            return Some(self.take(UNIT_BYTES_MAX, Some("too long")));
        };
        let (mut length, mut torn) = (length, None);
        if self.overlong {
            torn = Some("too long");
        } else if self.quoted || (self.is_csv && self.buffer.get(..length).is_some_and(|r| !is_csv_record(r)))
        {
            // Half a record before this one turns its quotes inside out. The half goes alone, and what stands behind it is
            // looked at afresh; no statement can bring this about, for the server doubles the quotes that it logs.
            length = self.line(0)?;
            torn = Some("torn: its quotes do not close");
        }
        (self.overlong, self.quoted) = (false, false);
        Some(self.take(length, torn))
    }

    fn take(&mut self, length: usize, torn: Option<&'static str>) -> (Unit, u64) {
        let rest = self.buffer.split_off(length);
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        let start = self.base;
        self.base += length as u64;
        self.seen = self.seen.saturating_sub(length);
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        (Unit { start, bytes, torn }, self.base)
    }

    /// The length of the unit at the buffer's beginning with its end of line, once that is there.
    fn length(&mut self, quiet: bool) -> Option<usize> {
        if !self.overlong && self.seen == 0 {
            self.is_csv = self.source == Source::Postgres && self.buffer.first() != Some(&b'{');
        }
        match self.source {
            _ if self.is_csv => self.record(quiet),
            Source::Hdfs => self.hdfs_record(quiet),
            _ => self.line(0),
        }
    }

    fn line(&self, from: usize) -> Option<usize> {
        let rest = self.buffer.get(from..self.buffer.len().min(UNIT_BYTES_MAX))?;
        rest.iter().position(|b| *b == b'\n').map(|at| from + at + 1)
    }

    fn record(&mut self, quiet: bool) -> Option<usize> {
        while let Some(byte) = self.buffer.get(self.seen).filter(|_| self.seen < UNIT_BYTES_MAX) {
            self.seen += 1;
            match byte {
                b'"' => self.quoted = !self.quoted,
                b'\n' if !self.quoted => return Some(std::mem::take(&mut self.seen)),
                _ => {}
            }
        }
        if quiet && self.quoted {
            // The server writes a record at once: one whose quotes stay open was cut by a crash.
            let length = self.line(0)?;
            self.seen = 0;
            return Some(length);
        }
        None
    }

    fn hdfs_record(&self, quiet: bool) -> Option<usize> {
        let first = self.line(0)?;
        let is_open = |bytes: &[u8]| contains(bytes, b"FSNamesystem.audit: ") && !contains(bytes, b"\tperm=");
        let mut length = first;
        for _ in 1..HDFS_LINES_MAX {
            if !is_open(self.buffer.get(..length)?) {
                return Some(length);
            }
            match self.line(length) {
                Some(next) => length = next,
                None => return quiet.then_some(first),
            }
        }
        Some(first)
    }

    /// Puts a line of auditd to the event that it belongs to; answers one whose event was given out before.
    fn join(&mut self, line: Unit, end: u64) -> Option<Unit> {
        let key = auditd::key(&line.bytes);
        if let Some(key) = &key {
            if let Some((_, given_to)) = self.given.iter().find(|(given, _)| *given == key.text) {
                // Before the place where we began again, it was part of what was given out then.
                let is_known = line.start < *given_to || auditd::ends(&line.bytes);
                return (!is_known).then_some(Unit { torn: Some("late: its event was read before"), ..line });
            }
            // What began two seconds earlier is whole: the kernel writes the lines of an event at once.
            for open in &mut self.open {
                open.whole |= open.key.as_ref().is_some_and(|k| k.at_ms.saturating_add(2_000) <= key.at_ms);
            }
            let ends = auditd::ends(&line.bytes);
            if let Some(open) = self.open.iter_mut().find(|o| o.key.as_ref() == Some(key)) {
                open.bytes.push(b'\n');
                open.bytes.extend_from_slice(&line.bytes);
                open.end = end;
                open.whole |= ends || open.bytes.len() > UNIT_BYTES_MAX;
                return None;
            }
            let whole = ends || auditd::stands_alone(&line.bytes);
            self.open.push_back(Open {
                key: Some(key.clone()),
                start: line.start,
                end,
                bytes: line.bytes,
                whole,
            });
        } else {
            self.open.push_back(Open { key: None, start: line.start, end, bytes: line.bytes, whole: true });
        }
        None
    }

    fn opened(&mut self, quiet: bool) -> Option<Unit> {
        let front = self.open.front()?;
        let nothing_follows = quiet && self.line(0).is_none();
        if !front.whole && !nothing_follows && self.open.len() < OPEN_MAX {
            return None;
        }
        let open = self.open.pop_front()?;
        if let Some(key) = open.key {
            let offset = self.open.front().map_or(self.base, |o| o.start);
            self.given.retain(|(_, end)| *end > offset);
            self.given.push((key.text, open.end));
        }
        Some(Unit { start: open.start, bytes: open.bytes, torn: None })
    }
}

/// Whether quotes stand at the edges of fields only, or doubled inside.
fn is_csv_record(bytes: &[u8]) -> bool {
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (Some(b'"'), Some(b'"')) => at += 2,
                    (Some(b'"'), _) => break,
                    (Some(_), _) => at += 1,
                    (None, _) => return false,
                }
            }
            at += 1;
        } else {
            while bytes.get(at).is_some_and(|b| !matches!(b, b',' | b'"' | b'\n' | b'\r')) {
                at += 1;
            }
        }
        match bytes.get(at) {
            Some(b',') => at += 1,
            None => return true,
            Some(b'\n' | b'\r') => return bytes.len() - at <= 2,
            Some(_) => return false,
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|w| w == wanted)
}
