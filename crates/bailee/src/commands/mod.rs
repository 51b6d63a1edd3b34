//! The commands, `bailee <noun> <verb>`.

mod access;
mod acts;
mod alerts;
mod api;
mod check;
mod collect;
mod collector;
mod consent;
mod credentials;
mod dev;
mod doctor;
mod handling;
mod init;
mod keeping;
mod keyhouse;
mod keys;
mod kms;
mod notify;
mod operator;
mod region;
mod residency;
mod resolve;
mod root;
mod serve;
mod sinks;
mod takeout;
mod tenant;
mod ticket;
mod trail;
mod vault;

use std::process::ExitCode;

use clap::{CommandFactory, Subcommand};

use crate::config::Common;
use crate::output::Stop;

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Try it: make a sample provider with tenants, operators and data (once), and serve.
    Dev(dev::Dev),
    /// Make an empty house for production: root key, database, provider.
    Init(init::Init),
    /// Serve portal, console, RPC, log and objects.
    Serve(serve::Serve),
    /// Say what this machine and this data folder lack; recompute every log.
    Doctor(doctor::Doctor),
    /// Tenants and their users.
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    /// Operators: the provider's staff.
    #[command(subcommand)]
    Operator(operator::Operator),
    /// Run an operation of Ram, Ims or Actiontrail as an administrator at the machine, e.g. `ram CreateGroup GroupName=ops`.
    Api(api::Api),
    /// Roles: end their sessions.
    #[command(subcommand)]
    Role(credentials::Role),
    /// Reports on passwords, keys and second factors.
    #[command(subcommand)]
    Report(credentials::Report),
    /// AccessKeys and what is wrong with them.
    #[command(subcommand)]
    Key(credentials::Key),
    /// Say why somebody may or may not do something, statement by statement.
    Why(access::Why),
    /// List who may do something, and how.
    WhoCan(access::WhoCan),
    /// The trail: head, acts, tail, export; whose number stands in it.
    #[command(subcommand)]
    Trail(trail::Trail),
    /// Checks of the running system, whose answers carry the provider's claims.
    #[command(subcommand)]
    Check(check::Check),
    /// What the provider claims, how each claim stands, and the file that proves it.
    #[command(subcommand)]
    Claim(check::Claim),
    /// Collectors: machines that hand in what other programs logged.
    #[command(subcommand)]
    Collector(collector::Collector),
    /// Hand in what other programs logged: Kubernetes, PostgreSQL, auditd, sshd, HDFS, YARN, OSS, S3.
    #[command(subcommand)]
    Collect(Box<collect::Collect>),
    /// Stored objects: look for damage, end what is due.
    #[command(subcommand)]
    Vault(vault::Vault),
    /// Keys that tenants use through KMS: list, uses, do what is due.
    #[command(subcommand)]
    Kms(kms::Kms),
    /// Tenants' own keys, under which everything of theirs lies: new versions, and the end of old ones.
    #[command(subcommand)]
    Keys(keys::Keys),
    Keyhouse(keyhouse::Keyhouse),
    Takeout(takeout::Takeout),
    #[command(subcommand)]
    Region(region::Region),
    #[command(subcommand)]
    Residency(residency::Residency),
    #[command(subcommand)]
    Root(root::Root),
    #[command(subcommand)]
    Ticket(ticket::Ticket),
    #[command(subcommand)]
    Notify(notify::Notify),
    #[command(subcommand)]
    Consent(consent::Consent),
    #[command(subcommand)]
    Handling(handling::Handling),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

pub(crate) fn run(common: Common, command: Command) -> Result<ExitCode, Stop> {
    match command {
        Command::Dev(c) => dev::run(&common, c),
        Command::Init(c) => init::run(&common, c),
        Command::Serve(c) => serve::run(&common, c),
        Command::Doctor(c) => doctor::run(&common, c),
        Command::Tenant(c) => tenant::run(&common, c),
        Command::Operator(c) => operator::run(&common, c),
        Command::Api(c) => api::run(&common, c),
        Command::Role(c) => credentials::role(&common, c),
        Command::Report(c) => credentials::report(&common, c),
        Command::Key(c) => credentials::key(&common, c),
        Command::Why(c) => access::why(&common, c),
        Command::WhoCan(c) => access::who_can(&common, c),
        Command::Trail(c) => trail::run(&common, c),
        Command::Check(c) => check::run(&common, c),
        Command::Claim(c) => check::claims(&common, c),
        Command::Collector(c) => collector::run(&common, c),
        Command::Collect(c) => collect::run(&common, *c),
        Command::Vault(c) => vault::run(&common, c),
        Command::Kms(c) => kms::run(&common, c),
        Command::Keys(c) => keys::run(&common, c),
        Command::Keyhouse(c) => keyhouse::run(&common, c),
        Command::Takeout(c) => takeout::run(&common, c),
        Command::Region(c) => region::run(&common, c),
        Command::Residency(c) => residency::run(&common, c),
        Command::Root(c) => root::run(&common, c),
        Command::Ticket(c) => ticket::run(&common, c),
        Command::Notify(c) => notify::run(&common, c),
        Command::Consent(c) => consent::run(&common, c),
        Command::Handling(c) => handling::run(&common, c),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut crate::Cli::command(), "bailee", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs an administrator's command to its end on a small runtime.
fn on_runtime<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Stop::unable(format!("cannot start: {e}")))?;
    runtime.block_on(work)
}
