//! `bailee collect …`: what other programs logged, handed in as platform events (docs/collectors.md).

mod check;
mod reconcile;
mod run;
mod send;
mod state;
mod tail;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bailee_collect::{Mapping, Source};
use clap::{Args, Subcommand};

use crate::config::Common;
use crate::output::Stop;

/// Hand in what other programs logged.
#[derive(Subcommand)]
pub(crate) enum Collect {
    /// Kubernetes' audit log, from a file or as its webhook.
    Kubernetes(Run),
    /// PostgreSQL's csvlog or jsonlog, with pgaudit.
    Postgres(Run),
    /// Linux' audit log.
    Auditd(Run),
    /// The log of OpenSSH's server.
    Sshd(Run),
    /// The audit log of HDFS.
    Hdfs(Run),
    /// The audit log of YARN's resource manager.
    Yarn(Run),
    /// Access logs of OSS.
    Oss(Run),
    /// Access logs of S3.
    S3(Run),
    /// Show what each line of a file would become; sends nothing.
    Check(check::Check),
    /// Compare reads of objects that access logs saw with those that the gate recorded.
    Reconcile(reconcile::Reconcile),
}

/// Options of a collector that runs.
#[derive(Args)]
pub(crate) struct Run {
    /// The mapping: whose act a line is, on whose resource, of which type.
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// The log.
    #[arg(long, value_name = "FILE", required_unless_present = "listen")]
    file: Option<PathBuf>,
    /// Take events of Kubernetes' audit webhook here.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with_all = ["file", "once"])]
    listen: Option<SocketAddr>,
    /// The token that the webhook's caller must show; needed where others can reach the address.
    #[arg(long, value_name = "FILE", requires = "listen")]
    listen_token_file: Option<PathBuf>,
    /// Go on when the end is reached: wait for more, and follow when the file is rotated.
    #[arg(long)]
    follow: bool,
    /// End at the end of the file (what happens without --follow).
    #[arg(long, conflicts_with = "follow")]
    once: bool,
    /// The console's address, e.g. https://trust.example.
    #[arg(long, value_name = "URL", env = "BAILEE_COLLECT_SERVER")]
    server: String,
    /// The file with the token that `bailee collector add` printed.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Where this collector remembers how far it is, and keeps what could not be mapped. One folder for each log.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

pub(crate) fn run(common: &Common, c: Collect) -> Result<ExitCode, Stop> {
    let (source, options) = match c {
        Collect::Kubernetes(o) => (Source::Kubernetes, o),
        Collect::Postgres(o) => (Source::Postgres, o),
        Collect::Auditd(o) => (Source::Auditd, o),
        Collect::Sshd(o) => (Source::Sshd, o),
        Collect::Hdfs(o) => (Source::Hdfs, o),
        Collect::Yarn(o) => (Source::Yarn, o),
        Collect::Oss(o) => (Source::Oss, o),
        Collect::S3(o) => (Source::S3, o),
        Collect::Check(c) => return check::run(common, &c),
        Collect::Reconcile(c) => return reconcile::run(common, c),
    };
    run::run(common, source, &options)
}

/// The mapping in a file.
fn mapping(path: &std::path::Path) -> Result<Mapping, Stop> {
    let cannot = |e: &dyn std::fmt::Display| Stop::unable(format!("{}: {e}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| cannot(&e))?;
    Mapping::parse(&text).map_err(|e| cannot(&e))
}
