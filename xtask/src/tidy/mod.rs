//! What clippy cannot check: edges between crates, leftovers in the text, documents that must name things.
//!
//! INVARIANT: every finding names a file (and a line where there is one), and all findings are printed, not the first.

mod edges;
mod text;

use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

/// Runs every check.
///
/// # Errors
/// When one finds something; all findings are in the text.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let root = &workspace.root;
    let files = files(root)?;
    let mut findings = edges::check(root)?;
    for file in &files {
        let path = root.join(file);
        // What is not text has no lines to look at.
        if let Ok(text) = std::fs::read_to_string(&path) {
            findings.extend(text::check(file, &text));
        }
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing found", files.len());
        return Ok(());
    }
    Err(format!("{} findings\n  {}", findings.len(), findings.join("\n  ")))
}

/// The repository's own files, relative to its root: not what is built or run, not what git keeps.
fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let listed =
            std::fs::read_dir(root.join(&folder)).map_err(|e| format!("{}: {e}", folder.display()))?;
        for entry in listed {
            let entry = entry.map_err(|e| format!("{}: {e}", folder.display()))?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(|e| format!("{}: {e}", path.display()))?;
            if kind.is_dir() && !is_foreign(&path) {
                folders.push(path);
            } else if kind.is_file() && path != Path::new("Cargo.lock") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Folders that `.gitignore` names, and git's own.
fn is_foreign(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    matches!(name, ".git" | "target" | "__pycache__" | "ci-artifacts" | "data" | "bailee-data")
        || path == Path::new("fuzz/corpus")
        || path == Path::new("fuzz/artifacts")
}
