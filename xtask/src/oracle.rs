//! The second oracle of the policy language: an engine of other people's, from npm, asked the same questions.

use std::process::{Command, Stdio};

use crate::workspace::{Workspace, quiet, run};

/// The release that the differences were read for.
const PACKAGE: &str = "@cloud-copilot/iam-simulate@0.1.173";

/// Asks `cases` random questions of both.
///
/// # Errors
/// When the package cannot be had, or the answers differ.
pub(crate) fn compare(workspace: &Workspace, cases: u32) -> Result<(), String> {
    let folder = workspace.cache.join("oracles");
    let there = folder.join("node_modules/@cloud-copilot/iam-simulate/package.json");
    let version = PACKAGE.rsplit('@').next().unwrap_or_default();
    if !std::fs::read_to_string(&there).is_ok_and(|t| t.contains(&format!("\"{version}\""))) {
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut install = Command::new("npm");
        install
            .args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg(PACKAGE);
        quiet(&mut install)?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut ours = Command::new(cargo);
    ours.args([
        "run",
        "--quiet",
        "--locked",
        "-p",
        "bailee-policy",
        "--example",
        "oracle_cases",
        &cases.to_string(),
    ]);
    ours.current_dir(&workspace.root).env("CARGO_TARGET_DIR", &workspace.target).stdout(Stdio::piped());
    let mut ours = ours.spawn().map_err(|e| format!("the questions cannot be made: {e}"))?;
    let questions = ours.stdout.take().ok_or("the questions cannot be read")?;
    let mut theirs = Command::new("node");
    theirs.arg(workspace.root.join("tests/oracles/iam_simulate.mjs")).current_dir(&folder).stdin(questions);
    let compared = run(&mut theirs);
    let made = ours.wait().map_err(|e| format!("the questions cannot be made: {e}"))?;
    compared?;
    if made.success() { Ok(()) } else { Err("the questions could not be made".into()) }
}
