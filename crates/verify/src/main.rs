//! `bailee-verify FILE`: checks a bundle without network or database. `bailee-verify witness` and `watch` are what others
//! run beside a provider; they live in the crate `bailee-witness`, and a program built without the feature `outside` has no
//! network in it at all.
//!
//! Exit codes: 0 it holds, 1 could not tell, 3 it does not verify.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use bailee_proof::note::VerifierKey;
use bailee_verify::{Expect, Problem, verify};
#[cfg(feature = "outside")]
use clap::Subcommand;
use clap::{Parser, ValueEnum};

/// Check a tenant's bundle offline: integrity, order, completeness up to the signed head, signature, consent.
#[derive(Parser)]
#[command(name = "bailee-verify", version, about)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[cfg(feature = "outside")]
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    bundle: Bundle,
}

#[cfg(feature = "outside")]
#[derive(Subcommand)]
enum Command {
    Witness(bailee_witness::cli::WitnessArgs),
    Watch(bailee_witness::cli::WatchArgs),
}

#[derive(clap::Args)]
struct Bundle {
    /// The bundle that `bailee trail export` or the console gave.
    #[arg(required = true)]
    bundle: Option<PathBuf>,
    /// The log's public key (vkey), as the provider published it.
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// The tenant that it must be of: 16 digits.
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// A file with a checkpoint of this log that you kept: the bundle must continue it.
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn main() -> ExitCode {
    // Usage errors mean "could not tell" (1); clap's own code for them is 2, which means "refused" here.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Printing is all that is left to do.
            let _ = e.print();
            return if e.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
        }
    };
    #[cfg(feature = "outside")]
    match cli.command {
        Some(Command::Witness(args)) => return args.run(),
        Some(Command::Watch(args)) => return args.run(),
        None => {}
    }
    let cli = cli.bundle;
    match check(&cli) {
        Ok(report) => {
            match cli.output {
                Output::Text => println!("{report}"),
                Output::Json => println!("{}", serde_json::json!({ "verifies": true, "report": report })),
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            let code = if matches!(problem, Problem::Violation { .. }) { 3 } else { 1 };
            match cli.output {
                Output::Text if code == 3 => eprintln!("DOES NOT VERIFY\n{problem}"),
                Output::Text => eprintln!("bailee-verify: could not tell: {problem}"),
                Output::Json => println!(
                    "{}",
                    serde_json::json!({ "verifies": if code == 3 { Some(false) } else { None }, "problem": problem.to_string() })
                ),
            }
            ExitCode::from(code)
        }
    }
}

fn check(cli: &Bundle) -> Result<bailee_verify::Report, Problem> {
    let unreadable = |what: &dyn std::fmt::Display, why: &dyn std::fmt::Display| {
        Problem::Unreadable(format!("{what}: {why}"))
    };
    let key = cli.key.as_deref().map(VerifierKey::parse).transpose().map_err(|e| unreadable(&"--key", &e))?;
    let head = match &cli.head {
        None => None,
        Some(path) => Some(std::fs::read(path).map_err(|e| unreadable(&path.display(), &e))?),
    };
    // The command line asks for one.
    let path = cli.bundle.clone().unwrap_or_default();
    let file = File::open(&path).map_err(|e| unreadable(&path.display(), &e))?;
    verify(file, &Expect { key, tenant: cli.tenant.clone(), head })
}
