//! `bailee`: run, administer and export from a trust centre.
//!
//! Exit codes: 0 yes, 1 could not tell or could not do, 2 refused, 3 evidence does not verify.

mod brokers;
mod commands;
mod config;
mod output;
mod outside;

use std::process::ExitCode;

use clap::Parser;

use commands::Command;

/// A self-hosted trust centre: customers' data under their rule, every act of the provider on record.
#[derive(Parser)]
#[command(name = "bailee", version, about, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: config::Common,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(cli.common, cli.command) {
        Ok(code) => code,
        Err(stop) => {
            eprintln!("bailee: {}", stop.text);
            ExitCode::from(stop.code)
        }
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
