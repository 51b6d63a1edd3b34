//! The commands `bailee-verify witness` and `bailee-verify watch`.
//!
//! Exit codes: 0 all well, 1 could not tell, 3 an alarm.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bailee_proof::head::Receipt;
use bailee_proof::note::VerifierKey;
use bailee_proof::policy::Policy;
use clap::{Args, Subcommand};

use crate::watch::{Own, Watch, Web};
use crate::{Limits, Witness, WitnessKey, serve};

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Cosigns the heads of logs, for those who do not want to trust the logs alone.
///
/// Make key and state with `witness keygen` first. The vkey that it prints goes into the policies of those who trust this
/// witness; the address goes to the log, whose server posts its heads to <ADDRESS>/add-checkpoint.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct WitnessArgs {
    #[command(subcommand)]
    command: Option<WitnessCommand>,
    /// The file with this witness's keys.
    #[arg(long, value_name = "FILE", required = true)]
    key: Option<PathBuf>,
    /// The folder with the heads that it cosigned. Losing it means giving up the key.
    #[arg(long, value_name = "DIR", required = true)]
    state: Option<PathBuf>,
    /// Where to listen, e.g. 127.0.0.1:8430 behind a proxy with TLS. Port 0 takes a free one; it is printed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8430")]
    listen: std::net::SocketAddr,
    /// The key of a log to cosign, once per key.
    #[arg(long, value_name = "VKEY", required_unless_present = "policy")]
    log: Vec<String>,
    /// A policy file (tlog-policy) whose `log` lines name the logs.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
enum WitnessCommand {
    /// Makes a new witness: its key file (for its owner alone) and its state folder; prints the vkey.
    Keygen {
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The folder to make, or an empty one.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// The witness's name: an address without scheme, e.g. witness.example/w1.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Sign with ML-DSA-44 as well: answers then have a second line of 3.3 kB.
        #[arg(long)]
        mldsa44: bool,
    },
}

/// Watches a public head log from outside and raises an alarm.
///
/// Checks signatures by your own policy, that the past stays as it was, that no label repeats, entries, epochs and times.
/// With your log's enrolment receipt it also opens your own heads and compares them with what your log serves.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// The head log's address, e.g. https://trust.example/log/heads.
    #[arg(long, value_name = "URL")]
    url: String,
    /// Your policy (tlog-policy): the head log's key, the witnesses that you trust, how many of them.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The folder for what was verified; made when it is not there.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Raise an alarm when no epoch ended, or no quorum cosigned, for so many minutes.
    #[arg(long, value_name = "MINUTES")]
    expect_every: Option<u64>,
    /// The origin of your own log.
    #[arg(long, value_name = "ORIGIN", requires_all = ["watch_key_file", "tenant_url"])]
    tenant: Option<String>,
    /// Your own log's enrolment receipt, which holds its watch key.
    #[arg(long, value_name = "FILE", requires = "tenant")]
    watch_key_file: Option<PathBuf>,
    /// Your own log's address.
    #[arg(long, value_name = "URL", requires = "tenant")]
    tenant_url: Option<String>,
    /// One round, then end with its exit code.
    #[arg(long)]
    once: bool,
    /// Seconds between rounds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    /// One JSON object a round.
    #[arg(long)]
    json: bool,
}

impl WitnessArgs {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        match self.execute() {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => could_not_tell("witness", &*e),
        }
    }

    fn execute(self) -> Result<(), Trouble> {
        if let Some(WitnessCommand::Keygen { key, state, name, mldsa44 }) = self.command {
            let keys = WitnessKey::create(&key, &name, mldsa44)?;
            Witness::create(&state, &keys)?;
            print!("{}", keys.vkeys());
            return Ok(());
        }
        let (Some(key), Some(state)) = (&self.key, &self.state) else {
            return Err("--key and --state are needed".into());
        };
        let mut logs: Vec<VerifierKey> =
            self.log.iter().map(|vkey| VerifierKey::parse(vkey)).collect::<Result<_, _>>()?;
        if let Some(path) = &self.policy {
            logs.extend(policy(path)?.logs().iter().map(|log| log.key.clone()));
        }
        if logs.is_empty() {
            return Err("the policy names no log to cosign".into());
        }
        let key = WitnessKey::read(key)?;
        let vkeys = key.vkeys();
        let witness = Arc::new(Witness::open(state, key, &logs)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind(self.listen).await?;
            let said =
                format!("witness at http://{} for {} log keys\n{vkeys}", listener.local_addr()?, logs.len());
            // A supervisor reads the address through a pipe; one that then closes it is no reason to stop.
            let mut out = std::io::stdout();
            let _ = out.write_all(said.as_bytes()).and_then(|()| out.flush());
            serve(listener, witness, Limits::default(), now, stopped()).await
        })?;
        Ok(())
    }
}

impl WatchArgs {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        match self.execute() {
            Ok(code) => ExitCode::from(code),
            Err(e) => could_not_tell("watch", &*e),
        }
    }

    fn execute(self) -> Result<u8, Trouble> {
        let own = match (&self.tenant, &self.watch_key_file, &self.tenant_url) {
            (Some(origin), Some(file), Some(url)) => {
                let receipt = Receipt::parse(&read(file)?)?;
                if receipt.log.name() != origin {
                    return Err(format!("the receipt is of the log `{}`", receipt.log.name()).into());
                }
                Some(Own { receipt, source: Box::new(Web::new(url)) })
            }
            _ => None,
        };
        let watch = Watch {
            policy: policy(&self.policy)?,
            state: self.state.clone(),
            expect_every: self.expect_every.map(|m| m.saturating_mul(60)),
            own,
        };
        let log = Web::new(&self.url);
        loop {
            let round = watch.round(&log, now())?;
            let said = if self.json { serde_json::to_string(&round)? } else { round.to_string() };
            writeln!(std::io::stdout(), "{said}")?;
            if self.once {
                return Ok(round.exit_code());
            }
            std::thread::sleep(Duration::from_secs(self.interval));
        }
    }
}

fn policy(path: &Path) -> Result<Policy, Trouble> {
    let bytes = std::fs::read(path).map_err(|e| format!("`{}`: {e}", path.display()))?;
    Ok(Policy::parse(&bytes).map_err(|e| format!("`{}`: {e}", path.display()))?)
}

fn read(path: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(path).map_err(|e| format!("`{}`: {e}", path.display()).into())
}

fn could_not_tell(what: &str, e: &dyn std::error::Error) -> ExitCode {
    eprintln!("bailee-verify {what}: could not tell: {e}");
    ExitCode::from(1)
}

/// Until SIGINT or SIGTERM.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where these programs look at the clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
