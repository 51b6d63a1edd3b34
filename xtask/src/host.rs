//! What the tests need on the machine: Debian packages, Python packages, `cargo deny`.
//!
//! As root on Debian all of it is installed by name. Elsewhere nothing is touched outside the cache folder, and what
//! is missing is said, with the command that would bring it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::{Workspace, quiet, run};

/// A Debian package and how to see that it is there (by what is used of it, not by dpkg: another system may have it).
struct Need {
    package: &'static str,
    is_there: fn() -> bool,
}

const TESTS: &[Need] = &[
    Need { package: "postgresql", is_there: || postgres_programs().is_some() },
    // Debian names it after the server's version, of which each release has one: apt-get takes patterns.
    Need { package: "^postgresql-[0-9]+-pgaudit$", is_there: has_pgaudit },
    Need { package: "openssh-client", is_there: || on_path("ssh") && on_path("scp") },
    Need { package: "openssh-server", is_there: || on_path("sshd") || Path::new("/usr/sbin/sshd").exists() },
    Need { package: "auditd", is_there: || on_path("ausearch") || Path::new("/usr/sbin/ausearch").exists() },
    Need { package: "chromium", is_there: || on_path("chromium") },
    Need { package: "chromium-driver", is_there: || on_path("chromedriver") },
    Need { package: "fonts-noto-cjk", is_there: has_chinese_font },
    Need { package: "python3-venv", is_there: || python(&["-c", "import ensurepip, venv"]) },
    Need { package: "softhsm2", is_there: || on_path("softhsm2-util") },
    Need { package: "nodejs", is_there: || on_path("node") },
    Need { package: "npm", is_there: || on_path("npm") },
    Need { package: "rclone", is_there: || on_path("rclone") },
    Need { package: "s3cmd", is_there: || on_path("s3cmd") },
    Need { package: "restic", is_there: || on_path("restic") },
    Need { package: "git", is_there: || on_path("git") },
];

const BENCHES: &[Need] = &[
    Need { package: "nginx", is_there: || on_path("nginx") || Path::new("/usr/sbin/nginx").exists() },
    Need { package: "wrk", is_there: || on_path("wrk") },
];

/// Servers of other people that `--bench peers` runs: package, version, features.
const PEERS: &[(&str, &str, &str)] = &[("s3s-fs", "0.14.1", "binary"), ("garage", "2.5.0", "bundled-libs")];

/// The release that `deny.toml` is written for.
const DENY_VERSION: &str = "0.20.2";

/// Makes the machine ready for `test`.
///
/// # Errors
/// When something is missing and may not or cannot be installed.
pub(crate) fn ready(workspace: &Workspace) -> Result<(), String> {
    packages(TESTS)?;
    clients(workspace)?;
    cargo_deny(workspace).map(drop)
}

/// Makes the machine ready for `bench`.
///
/// # Errors
/// As [`ready`].
pub(crate) fn ready_for_benches() -> Result<(), String> {
    packages(BENCHES)
}

/// The folder in whose `bin` the peers of the object store lie. They are built once, from their registry packages; one that
/// does not build is not measured, and the bench says so.
pub(crate) fn peers(workspace: &Workspace) -> PathBuf {
    let root = workspace.cache.join("peers");
    for (name, version, features) in PEERS {
        if root.join("bin").join(name).exists() {
            continue;
        }
        println!("building {name} {version}");
        let mut command = Command::new("cargo");
        command.args(["install", "--quiet", "--locked", name, "--version", version, "--features", features]);
        command.arg("--root").arg(&root).arg("--target-dir").arg(workspace.target.join("peers"));
        if let Err(why) = quiet(&mut command) {
            println!("{name} does not build here: {why}");
        }
    }
    root
}

/// Has Debian's packages installed whose program (or folder, with its whole path) is not there: package, program.
///
/// # Errors
/// When one is missing and may not or cannot be installed.
pub(crate) fn debian(wanted: &[(&'static str, &str)]) -> Result<(), String> {
    let is_there = |what: &str| if what.starts_with('/') { Path::new(what).exists() } else { on_path(what) };
    install(wanted.iter().filter(|(_, what)| !is_there(what)).map(|w| w.0).collect())?;
    match wanted.iter().find(|(_, what)| !is_there(what)) {
        None => Ok(()),
        Some((package, what)) => Err(format!("{package} is installed, but there is no `{what}`")),
    }
}

/// Licences, bans and sources of all dependencies.
///
/// # Errors
/// When `cargo deny` finds something.
pub(crate) fn deny(workspace: &Workspace) -> Result<(), String> {
    let program = cargo_deny(workspace)?;
    let mut command = Command::new(program);
    command.args(["--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
    run(command.current_dir(&workspace.root))?;
    if std::env::var_os("BAILEE_ADVISORIES").is_some() {
        let mut command = Command::new(cargo_deny(workspace)?);
        return run(command.args(["--locked", "check", "advisories"]).current_dir(&workspace.root));
    }
    println!(
        "NOT CHECKED: security advisories. Their database is a git repository outside the package registries; where it \
         can be reached, set BAILEE_ADVISORIES=1."
    );
    Ok(())
}

/// The virtual environment's Python.
pub(crate) fn python_of_clients(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("venv/bin/python")
}

/// The folder of `initdb` and `postgres`, the newest if there are several.
pub(crate) fn postgres_programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin).or_else(|| find_on_path("initdb")?.parent().map(Path::to_owned))
}

/// Whether the server can load pgaudit.
fn has_pgaudit() -> bool {
    postgres_programs().is_some_and(|bin| bin.with_file_name("lib").join("pgaudit.so").exists())
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn packages(needs: &[Need]) -> Result<(), String> {
    let missing = || -> Vec<&str> { needs.iter().filter(|n| !(n.is_there)()).map(|n| n.package).collect() };
    install(missing())?;
    let left = missing();
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("installed, but still not usable: {}", left.join(", ")))
    }
}

fn install(wanted: Vec<&str>) -> Result<(), String> {
    if wanted.is_empty() {
        return Ok(());
    }
    if !is_root() || !on_path("apt-get") {
        return Err(format!(
            "missing on this machine: {}. On Debian, as root: apt-get install --no-install-recommends {}",
            wanted.join(", "),
            wanted.join(" ")
        ));
    }
    println!("installing {}", wanted.join(", "));
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        quiet(command.args(args).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], &wanted[..]].concat())
}

/// A virtual environment with the clients at the versions that `tests/clients/requirements.txt` pins.
fn clients(workspace: &Workspace) -> Result<(), String> {
    let wanted_file = workspace.root.join("tests/clients/requirements.txt");
    let wanted =
        std::fs::read_to_string(&wanted_file).map_err(|e| format!("{}: {e}", wanted_file.display()))?;
    let venv = workspace.cache.join("venv");
    let stamp = venv.join("bailee-requirements.txt");
    let python = python_of_clients(workspace);
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    println!("installing the Python clients into {}", venv.display());
    if venv.exists() {
        std::fs::remove_dir_all(&venv).map_err(|e| format!("{}: {e}", venv.display()))?;
    }
    std::fs::create_dir_all(&workspace.cache).map_err(|e| format!("{}: {e}", workspace.cache.display()))?;
    quiet(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&wanted_file);
    quiet(&mut pip)?;
    // Written last: an installation that was cut is begun anew.
    std::fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))
}

fn cargo_deny(workspace: &Workspace) -> Result<PathBuf, String> {
    let root = workspace.cache.join(format!("cargo-deny-{DENY_VERSION}"));
    let program = root.join("bin/cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    println!("building cargo-deny {DENY_VERSION} (once for this machine, some minutes)");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut install = Command::new(cargo);
    install
        .args(["install", "cargo-deny", "--locked", "--quiet", "--version", DENY_VERSION, "--root"])
        .arg(&root);
    // Its own target folder: a build of another package must not evict ours. It goes when the program is there.
    let build = root.join("build");
    install.env("CARGO_TARGET_DIR", &build).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    install.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    quiet(install.current_dir(&workspace.cache))?;
    std::fs::remove_dir_all(&build).map_err(|e| format!("{}: {e}", build.display()))?;
    Ok(program)
}

fn python(args: &[&str]) -> bool {
    Command::new("python3").args(args).output().is_ok_and(|o| o.status.success())
}

fn has_chinese_font() -> bool {
    let listed = Command::new("fc-list").args([":lang=zh-cn", "family"]).output();
    listed.is_ok_and(|o| o.status.success() && !o.stdout.is_empty())
}

fn on_path(program: &str) -> bool {
    find_on_path(program).is_some()
}

fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|p| p.is_file())
}
