//! The benches, and the peers that their ratios are taken against.

use crate::host;
use crate::workspace::{Workspace, cargo};

/// Runs `cargo bench` over the workspace; `extra` names benches.
///
/// # Errors
/// When a peer is missing or a bench fails.
pub(crate) fn run(workspace: &Workspace, extra: &[&str]) -> Result<(), String> {
    host::ready_for_benches()?;
    // What customers run: `release` leaves the server's own crate half optimised.
    let build = ["build", "--profile", "dist", "--locked", "-p", "bailee", "-p", "bailee-verify"];
    cargo(workspace, &build, &[])?;
    let mut args = vec!["bench", "--locked", "-p", "bailee-benches"];
    args.extend(extra);
    let bailee = workspace.target.join("dist/bailee");
    let mut env = vec![("BAILEE_BIN", bailee)];
    // Their builds take minutes: only who asks for this bench by name waits for them.
    if extra.contains(&"peers") {
        env.push(("BAILEE_PEERS", host::peers(workspace)));
    }
    let env: Vec<_> = env.iter().map(|(name, path)| (*name, path.to_string_lossy())).collect();
    let env: Vec<_> = env.iter().map(|(name, path)| (*name, path.as_ref())).collect();
    cargo(workspace, &args, &env)
}
