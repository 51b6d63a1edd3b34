//! Files that are replaced whole, and looked at again when they changed.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::Trouble;

pub(crate) fn trouble(path: &Path, why: impl std::fmt::Display) -> Trouble {
    Trouble::File { path: path.display().to_string(), why: why.to_string() }
}

/// Writes a file beside its place, syncs it and puts it there; mode 0600. With `new`, it must not be there.
pub(crate) fn put(path: &Path, bytes: &[u8], new: bool) -> Result<(), Trouble> {
    let told = |e: std::io::Error| trouble(path, e);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut partial = tempfile::NamedTempFile::new_in(folder).map_err(told)?;
    partial.write_all(bytes).and_then(|()| partial.as_file().sync_all()).map_err(told)?;
    let put = if new { partial.persist_noclobber(path) } else { partial.persist(path) };
    put.map_err(|e| told(e.error))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(told)
}

/// What tells that a file is another one than before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Print(u64, i64, i64, u64);

pub(crate) fn print(path: &Path) -> Option<Print> {
    let m = fs::metadata(path).ok()?;
    Some(Print(m.ino(), m.mtime(), m.mtime_nsec(), m.len()))
}
