//! `cargo xtask test`: every check of this repository, in order, stopping at the first that fails.

use std::process::{Command, ExitCode};
use std::time::Instant;

const STEPS: &[(&str, &[&str])] = &[
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("tests", &["test", "--workspace"]),
];

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("test") => test(),
        _ => {
            eprintln!("usage: cargo xtask test");
            ExitCode::from(1)
        }
    }
}

fn test() -> ExitCode {
    for (name, arguments) in STEPS {
        println!("== {name}");
        let started = Instant::now();
        match Command::new("cargo").args(*arguments).status() {
            Ok(status) if status.success() => println!("== {name}: ok, {} s", started.elapsed().as_secs()),
            Ok(_) => {
                eprintln!("== {name}: failed");
                return ExitCode::from(1);
            }
            Err(e) => {
                eprintln!("== {name}: cargo cannot be started: {e}");
                return ExitCode::from(1);
            }
        }
    }
    ExitCode::SUCCESS
}
