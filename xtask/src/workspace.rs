//! Where things are, and how programs are run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository and the folders around it.
pub(crate) struct Workspace {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Tools and Python packages that outlive a clone.
    pub(crate) cache: PathBuf,
}

impl Workspace {
    /// Finds all three. Cargo says where the running package is; the program's own place says where cargo builds.
    ///
    /// # Errors
    /// When it was not started through cargo.
    pub(crate) fn find() -> Result<Self, String> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("run it as `cargo xtask …`")?;
        let root = Path::new(&package).parent().ok_or("xtask does not lie in a workspace")?.to_owned();
        let program = std::env::current_exe().map_err(|e| format!("this program cannot be found: {e}"))?;
        let target = program.ancestors().nth(2).ok_or("cargo's target folder cannot be found")?.to_owned();
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
            .ok_or("neither HOME nor XDG_CACHE_HOME is set")?
            .join("bailee-tests");
        Ok(Self { root, target, cache })
    }

    /// A release binary.
    pub(crate) fn release(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }
}

/// Runs cargo in the workspace.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn cargo(workspace: &Workspace, args: &[&str], env: &[(&str, &str)]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(&workspace.root).envs(env.iter().copied());
    command.env("CARGO_TARGET_DIR", &workspace.target);
    run(&mut command)
}

/// Runs a program to its end with our own output.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = shown(command);
    let status = command.status().map_err(|e| format!("`{name}` cannot be run: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{name}` ended with {status}")) }
}

/// Runs a program quietly; what it printed is part of the error.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn quiet(command: &mut Command) -> Result<String, String> {
    let name = shown(command);
    let output = command.output().map_err(|e| format!("`{name}` cannot be run: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("`{name}` ended with {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr)))
}

/// Runs a program quietly and answers what it said on standard error.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn quiet_with_errors(command: &mut Command) -> Result<String, String> {
    let name = shown(command);
    let output = command.output().map_err(|e| format!("`{name}` cannot be run: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("`{name}` ended with {}\n{said}", output.status))
    }
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}
