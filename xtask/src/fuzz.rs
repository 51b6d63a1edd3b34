//! Fuzz targets for a time each. They live in `fuzz/`, a workspace of its own, and need nothing but stable Rust: the
//! coverage instrumentation is LLVM's, switched on by flags.

use std::process::Command;

use crate::workspace::{self, Workspace};

/// Where and how libFuzzer looks. As `cargo fuzz` sets them, but for the sanitizer, which wants nightly; these
/// targets have no unsafe code of ours to watch.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1";

/// The longest input, bytes; the formats' own limits are tested elsewhere.
const INPUT_BYTES_MAX: u32 = 16 * 1024;

/// Builds all targets and runs each for `seconds`.
///
/// # Errors
/// When one does not build, or finds something: the input that shows it lies in `fuzz/artifacts`.
pub(crate) fn run(workspace: &Workspace, seconds: u32) -> Result<(), String> {
    let folder = workspace.root.join("fuzz");
    let target = workspace.target.join("fuzz");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // With a target triple the flags stay away from build scripts, which run here and now.
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    build.args(["build", "--release", "--locked", "--bins", "--target", &triple]).current_dir(&folder);
    build.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", FLAGS);
    workspace::run(&mut build)?;
    for name in targets(workspace)? {
        let corpus = folder.join("corpus").join(&name);
        let artifacts = folder.join("artifacts").join(&name);
        for made in [&corpus, &artifacts] {
            std::fs::create_dir_all(made).map_err(|e| format!("{}: {e}", made.display()))?;
        }
        println!("fuzz {name}: {seconds} s");
        let mut fuzz = Command::new(target.join(&triple).join("release").join(&name));
        fuzz.arg(format!("-max_total_time={seconds}"));
        fuzz.arg(format!("-max_len={INPUT_BYTES_MAX}"));
        fuzz.arg(format!("-artifact_prefix={}/", artifacts.display()));
        fuzz.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]).arg(&corpus);
        // Whole requests, signed by real SDKs: what random bytes would hardly reach. Read, never written.
        let seeds = folder.join("seeds").join(&name);
        if seeds.exists() {
            fuzz.arg(seeds);
        }
        let said = workspace::quiet_with_errors(&mut fuzz)?;
        let runs = said.lines().find_map(|l| l.strip_prefix("stat::number_of_executed_units:"));
        let runs: u64 = runs.and_then(|n| n.trim().parse().ok()).unwrap_or_default();
        if runs < 1000 {
            return Err(format!("fuzz {name}: only {runs} inputs were tried\n{said}"));
        }
        println!("fuzz {name}: {runs} inputs, nothing found");
    }
    Ok(())
}

fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.root.join("fuzz/src/bin");
    let listed = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> =
        listed.flatten().filter_map(|e| Some(e.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}
