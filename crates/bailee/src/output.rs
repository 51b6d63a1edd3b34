//! What commands print, and how they stop.

use bailee_rooms::{Failure, Fault};

/// Why a command stopped, with its exit code.
pub(crate) struct Stop {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Stop {
    pub(crate) fn unable(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        let code = match (&failure, failure.fault()) {
            (Failure::Damaged(_), _) => 3,
            (_, Fault::Policy) => 2,
            _ => 1,
        };
        Self { code, text: failure.to_string() }
    }
}

/// A table for people: columns as wide as their widest cell.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |i: usize| {
        rows.iter()
            .filter_map(|r| r.get(i))
            .map(|c| c.chars().count())
            .chain([head.get(i).map_or(0, |h| h.len())])
            .max()
            .unwrap_or(0)
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for (i, cell) in cells.enumerate() {
            out.push_str(cell);
            out.push_str(&" ".repeat(width(i).saturating_sub(cell.chars().count()) + 2));
        }
        out.trim_end().to_owned()
    };
    let mut out = line(&mut head.iter().copied());
    for row in rows {
        out.push('\n');
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}
