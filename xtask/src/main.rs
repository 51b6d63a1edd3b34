//! `cargo xtask test`: every check of this repository, in order; and each part of it alone.

mod bench;
mod clients;
mod fuzz;
mod host;
mod kube;
mod oracle;
mod postgres;
mod steps;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clients::Suite;
use steps::Steps;
use workspace::{Workspace, cargo};

const USAGE: &str = "\
usage: cargo xtask <task> [arguments]

  test               everything below but kubernetes and the benches; installs what is missing when it is root on Debian
  tidy               edges between crates, leftovers in the text, documents
  lint               format and clippy
  deny               licences, bans and sources of dependencies
  rust [args]        Rust tests on SQLite and on a private PostgreSQL; arguments go to `cargo test`
  oracle [n]         n random policy decisions against @cloud-copilot/iam-simulate from npm (100,000)
  e2e [args]         real clients and a real browser against the release binaries; arguments go to pytest
  killtest [rounds]  kill -9 under mixed load, 200 rounds
  kubernetes [args]  the broker before a real Kubernetes API server, which is built once; arguments go to pytest
  tour               every line of the README's tour
  fuzz [seconds]     every fuzz target for so long, 60 seconds
  nightly            what is too long for each run: kubernetes, oracle, killtest, fuzz, each at its full length
  bench [args]       the benches; arguments go to `cargo bench`";

/// `kill -9` rounds of a test run; `killtest` does more.
const KILL_ROUNDS: u32 = 10;
/// Questions to the other policy engine in a test run; `cargo xtask oracle` asks more.
const ORACLE_CASES: u32 = 20_000;
/// Seconds for each fuzz target of a test run.
const FUZZ_SECONDS: u32 = 10;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match Workspace::find().and_then(|workspace| run(&workspace, &args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nxtask: {why}");
            ExitCode::from(1)
        }
    }
}

fn run(workspace: &Workspace, args: &[&str]) -> Result<(), String> {
    let (task, extra) = args.split_first().ok_or(USAGE)?;
    let number = |default: u32| match extra {
        [] => Ok(default),
        [text] => text.parse().map_err(|_| format!("`{text}` is not a number\n\n{USAGE}")),
        _ => Err(USAGE.to_owned()),
    };
    match *task {
        "test" => test(workspace),
        "tidy" => tidy::check(workspace),
        "lint" => format(workspace).and_then(|()| lints(workspace)),
        "deny" => host::deny(workspace),
        "rust" => {
            host::ready(workspace)?;
            rust(workspace, extra)
        }
        "e2e" => with_clients(workspace, &Suite::EndToEnd, extra),
        "killtest" => with_clients(workspace, &Suite::Kill { rounds: number(200)? }, &[]),
        "tour" => with_clients(workspace, &Suite::Tour, extra),
        "kubernetes" => kubernetes(workspace, extra),
        "nightly" => nightly(workspace),
        "oracle" => oracle::compare(workspace, number(100_000)?),
        "fuzz" => fuzz::run(workspace, number(60)?),
        "bench" => bench::run(workspace, extra),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no task `{other}`\n\n{USAGE}")),
    }
}

fn test(workspace: &Workspace) -> Result<(), String> {
    let mut steps = Steps::default();
    steps.run("what the tests need", || host::ready(workspace))?;
    steps.run("format", || format(workspace))?;
    steps.run("tidy", || tidy::check(workspace))?;
    steps.run("lints", || lints(workspace))?;
    steps.run("dependencies", || host::deny(workspace))?;
    steps.run("Rust tests, on SQLite and PostgreSQL", || rust(workspace, &[]))?;
    steps.run("policies, as another engine decides them", || oracle::compare(workspace, ORACLE_CASES))?;
    steps.run("release build", || clients::build(workspace))?;
    steps.run("real clients and a real browser", || clients::run(workspace, &Suite::EndToEnd, &[]))?;
    steps.run("kill -9 under load", || clients::run(workspace, &Suite::Kill { rounds: KILL_ROUNDS }, &[]))?;
    steps.run("the README's tour", || clients::run(workspace, &Suite::Tour, &[]))?;
    steps.run("fuzz smoke", || fuzz::run(workspace, FUZZ_SECONDS))?;
    steps.summary();
    Ok(())
}

fn nightly(workspace: &Workspace) -> Result<(), String> {
    let mut steps = Steps::default();
    steps.run("a real Kubernetes API server", || kubernetes(workspace, &[]))?;
    steps.run("policies, as another engine decides them", || oracle::compare(workspace, 100_000))?;
    steps.run("kill -9 under load", || clients::run(workspace, &Suite::Kill { rounds: 200 }, &[]))?;
    steps.run("fuzz", || fuzz::run(workspace, 60))?;
    steps.summary();
    Ok(())
}

fn kubernetes(workspace: &Workspace, extra: &[&str]) -> Result<(), String> {
    let api_server = kube::api_server(workspace)?;
    with_clients(workspace, &Suite::Nightly { api_server }, extra)
}

fn with_clients(workspace: &Workspace, suite: &Suite, extra: &[&str]) -> Result<(), String> {
    host::ready(workspace)?;
    clients::build(workspace)?;
    clients::run(workspace, suite, extra)
}

fn format(workspace: &Workspace) -> Result<(), String> {
    cargo(workspace, &["fmt", "--all", "--check"], &[])
}

fn lints(workspace: &Workspace) -> Result<(), String> {
    cargo(workspace, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])
}

fn rust(workspace: &Workspace, extra: &[&str]) -> Result<(), String> {
    let cluster = postgres::Cluster::start()?;
    let mut args = vec!["test", "--workspace", "--locked", "--quiet"];
    args.extend(extra);
    cargo(workspace, &args, &[("BAILEE_TEST_POSTGRES", cluster.url())])
}
