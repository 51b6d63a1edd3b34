//! `bailee-verify FILE` checks a bundle without network or database; `bailee-verify audit FILE` performs agreed-upon
//! procedures over it; `bailee-verify totals FILE` checks published totals. `bailee-verify witness` and `watch` are what others run beside a provider; they live in the crate
//! `bailee-witness`, and a program built without the feature `outside` has no network in it at all.
//!
//! Exit codes: 0 it holds, 1 could not tell, 3 it does not verify (audit: or there are exceptions).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use bailee_proof::claim::BYTES_MAX as CLAIM_BYTES_MAX;
use bailee_proof::head::Receipt;
use bailee_proof::note::{NOTE_BYTES_MAX, VerifierKey};
use bailee_proof::policy::Policy;
use bailee_proof::totals::Totals;
use bailee_verify::{Audit, Expect, Problem, Report, audit, claim, destruction, verify};
use clap::{Parser, Subcommand, ValueEnum};

/// Check a tenant's bundle offline: integrity, order, completeness up to the signed head, consent, the head log and its
/// witnesses.
#[derive(Parser)]
#[command(name = "bailee-verify", version, about)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    check: Check,
}

#[derive(Subcommand)]
enum Command {
    /// Perform agreed-upon procedures over a bundle and write the report; two runs write the same bytes.
    Audit(AuditArgs),
    /// Check a certificate of destruction against a bundle: that the log says so, of these versions, then.
    Destruction(DestructionArgs),
    /// Check the totals of consent that a provider publishes: that the key of its log signed them, and what they say.
    Totals(TotalsArgs),
    /// Check how a claim of the provider stands: the findings in its log, by your clock. Ends with 3 unless it is proven.
    Claim(ClaimArgs),
    #[cfg(feature = "outside")]
    Witness(bailee_witness::cli::WitnessArgs),
    #[cfg(feature = "outside")]
    Watch(bailee_witness::cli::WatchArgs),
}

#[derive(clap::Args)]
struct Check {
    /// The bundle that `bailee trail export` or the console gave.
    #[arg(required = true)]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    known: Known,
    /// A promise in doubt counts as one that does not hold.
    #[arg(long)]
    strict: bool,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(clap::Args)]
struct AuditArgs {
    /// The bundle that `bailee trail export` or the console gave.
    bundle: PathBuf,
    #[command(flatten)]
    known: Known,
    /// Write the report as Markdown to this file; without any of the three, it is printed.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write it as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write it as PDF.
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
}

#[derive(clap::Args)]
struct DestructionArgs {
    /// The certificate, as the console or the API gave it.
    certificate: PathBuf,
    /// A bundle of the same log, made after it.
    bundle: PathBuf,
    #[command(flatten)]
    known: Known,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(clap::Args)]
struct TotalsArgs {
    /// The file, as the portal gave it at `/totals.txt`.
    file: PathBuf,
    /// The public key (vkey) of the provider's own log, as the provider published it.
    #[arg(long, value_name = "VKEY")]
    key: String,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(clap::Args)]
struct ClaimArgs {
    /// The file, as `bailee claim proof` gave it.
    file: PathBuf,
    /// The public key (vkey) of the provider's own log, as the provider published it.
    #[arg(long, value_name = "VKEY")]
    key: String,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What the checker brings, none of it from the provider.
#[derive(clap::Args)]
struct Known {
    /// The log's public key (vkey), as the provider published it.
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// The tenant that it must be of: 16 digits.
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// A file with a checkpoint of this log that you kept: the bundle must continue it.
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// The log's enrolment receipt, from the tenant (`bailee trail enrolment`): opens its heads in the head log.
    #[arg(long, value_name = "FILE")]
    enrolment: Option<PathBuf>,
    /// Your policy (tlog-policy): the head log's key, the witnesses that you trust, how many of them.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The folder of a watch of yours (`bailee-verify watch --state`): no label twice, and the same heads.
    #[arg(long, value_name = "DIR")]
    watch_state: Option<PathBuf>,
    /// The fingerprint (`SHA256:…`) of an approver's passkey, from himself; give all: an approval by another one is found.
    #[arg(long, value_name = "SHA256:…")]
    passkey: Vec<String>,
    /// The public key (vkey) of an approver who signs statements with a key of his own; give all.
    #[arg(long, value_name = "VKEY")]
    approver: Vec<String>,
    /// Each approval must be signed, whatever the consent policy in the log says.
    #[arg(long)]
    signed: bool,
    /// Threads; 0: as many as there are cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
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
    match cli.command {
        Some(Command::Audit(args)) => run_audit(&args),
        Some(Command::Destruction(args)) => run_destruction(&args),
        Some(Command::Totals(args)) => run_totals(&args),
        Some(Command::Claim(args)) => run_claim(&args),
        #[cfg(feature = "outside")]
        Some(Command::Witness(args)) => args.run(),
        #[cfg(feature = "outside")]
        Some(Command::Watch(args)) => args.run(),
        None => run_check(&cli.check),
    }
}

fn run_check(args: &Check) -> ExitCode {
    // The command line asks for one.
    let path = args.bundle.clone().unwrap_or_default();
    let checked = args.known.expect().and_then(|expect| verify(open(&path)?, &expect));
    match checked {
        Ok(report) => {
            let doubted = args.strict && report.doubts().next().is_some();
            match args.output {
                Output::Text => print!("{report}"),
                Output::Json => println!("{}", told(!doubted, &report)),
            }
            if doubted { ExitCode::from(3) } else { ExitCode::SUCCESS }
        }
        Err(problem) => say_problem(args.output, &problem),
    }
}

fn run_destruction(args: &DestructionArgs) -> ExitCode {
    let checked = args.known.expect().and_then(|expect| {
        let text = std::fs::read(&args.certificate)
            .map_err(|e| unreadable(&args.certificate.display(), &e))
            .and_then(|b| String::from_utf8(b).map_err(|e| unreadable(&args.certificate.display(), &e)))?;
        destruction(open(&args.bundle)?, &text, &expect)
    });
    match checked {
        Ok(done) => {
            match args.output {
                Output::Text => println!(
                    "DESTROYED, and the log says so\n{} versions of tenant {}, {} bytes\nrecord {}, outcome {} of {}\nlist sha256 {}",
                    done.items,
                    done.tenant,
                    done.bytes,
                    done.record,
                    done.outcome,
                    done.log,
                    done.list_sha256
                ),
                Output::Json => println!("{}", serde_json::json!({ "verifies": true, "destruction": done })),
            }
            ExitCode::SUCCESS
        }
        Err(problem) => say_problem(args.output, &problem),
    }
}

fn run_claim(args: &ClaimArgs) -> ExitCode {
    // The end of this second: a finding of its beginning is not of the future.
    let now = i64::try_from(now()).unwrap_or(i64::MAX / 2000) * 1000 + 999;
    let checked = VerifierKey::parse(&args.key).map_err(|e| unreadable(&"--key", &e)).and_then(|key| {
        let mut bytes = Vec::new();
        open(&args.file)?
            .take(CLAIM_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| unreadable(&args.file.display(), &e))?;
        claim(&bytes, &key, now)
    });
    match (checked, args.output) {
        (Ok(judged), output) => {
            match output {
                Output::Json => println!("{}", serde_json::json!({ "verifies": true, "claim": judged })),
                Output::Text => {
                    println!(
                        "{}: {}\n{}\nlog {}",
                        judged.standing.to_uppercase(),
                        judged.en,
                        judged.zh,
                        judged.log
                    );
                    for c in &judged.checks {
                        let record = c.record.map_or_else(|| "-".to_owned(), |r| r.to_string());
                        println!("  {} {} (record {record}) {}", c.check, c.answer, c.numbers);
                    }
                }
            }
            ExitCode::from(if judged.standing == "proven" { 0 } else { 3 })
        }
        (Err(problem), output) => say_problem(output, &problem),
    }
}

fn run_totals(args: &TotalsArgs) -> ExitCode {
    let checked = VerifierKey::parse(&args.key).map_err(|e| unreadable(&"--key", &e)).and_then(|key| {
        let mut bytes = Vec::new();
        open(&args.file)?
            .take(NOTE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| unreadable(&args.file.display(), &e))?;
        Totals::open(&bytes, &key).map_err(|e| Problem::Violation {
            promise: "totals",
            place: args.file.display().to_string(),
            why: e.to_string(),
        })
    });
    match (checked, args.output) {
        (Ok(totals), Output::Text) => print!("SIGNED by the key of {}\n\n{totals}", totals.log),
        (Ok(totals), Output::Json) => {
            let figures: serde_json::Map<_, _> =
                totals.figures().into_iter().map(|(name, n)| (name.to_owned(), n.into())).collect();
            println!(
                "{}",
                serde_json::json!({
                    "verifies": true, "log": totals.log, "from": totals.from, "to": totals.to,
                    "tenantsMin": totals.tenants_min, "step": totals.step, "figures": figures,
                })
            );
        }
        (Err(problem), output) => return say_problem(output, &problem),
    }
    ExitCode::SUCCESS
}

fn say_problem(output: Output, problem: &Problem) -> ExitCode {
    let (code, promise) = match problem {
        Problem::Violation { promise, .. } => (3, Some(*promise)),
        Problem::Unreadable(_) => (1, None),
    };
    match (output, promise) {
        (Output::Text, Some(promise)) => eprintln!("DOES NOT VERIFY ({promise})\n{problem}"),
        (Output::Text, None) => eprintln!("bailee-verify: could not tell: {problem}"),
        (Output::Json, _) => println!(
            "{}",
            serde_json::json!({
                "verifies": promise.map(|_| false), "promise": promise, "problem": problem.to_string(),
            })
        ),
    }
    ExitCode::from(code)
}

fn told(verifies: bool, report: &Report) -> serde_json::Value {
    serde_json::json!({ "verifies": verifies, "report": report })
}

fn run_audit(args: &AuditArgs) -> ExitCode {
    let done = args.known.expect().and_then(|expect| audit(open(&args.bundle)?, &expect));
    let written = done.and_then(|audit| write(args, &audit).map(|()| audit));
    match written {
        Ok(audit) if audit.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(3),
        Err(problem) => {
            eprintln!("bailee-verify: could not tell: {problem}");
            ExitCode::from(1)
        }
    }
}

fn write(args: &AuditArgs, audit: &Audit) -> Result<(), Problem> {
    let to = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).map_err(|e| Problem::Unreadable(format!("{}: {e}", path.display())))
    };
    if let Some(path) = &args.markdown {
        to(path, audit.markdown().as_bytes())?;
    }
    if let Some(path) = &args.json {
        to(path, audit.json().as_bytes())?;
    }
    if let Some(path) = &args.pdf {
        to(path, &audit.pdf())?;
    }
    if args.markdown.is_none() && args.json.is_none() && args.pdf.is_none() {
        print!("{}", audit.markdown());
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, Problem> {
    File::open(path).map_err(|e| unreadable(&path.display(), &e))
}

fn unreadable(what: &dyn std::fmt::Display, why: &dyn std::fmt::Display) -> Problem {
    Problem::Unreadable(format!("{what}: {why}"))
}

impl Known {
    fn expect(&self) -> Result<Expect, Problem> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|e| unreadable(&path.display(), &e));
        let key = self.key.as_deref().map(VerifierKey::parse).transpose();
        let receipt = self.enrolment.as_ref().map(|path| {
            let text = String::from_utf8(read(path)?).map_err(|e| unreadable(&path.display(), &e))?;
            Receipt::parse(&text).map_err(|e| unreadable(&path.display(), &e))
        });
        let policy = self
            .policy
            .as_ref()
            .map(|path| Policy::parse(&read(path)?).map_err(|e| unreadable(&path.display(), &e)));
        if let Some(odd) = self.passkey.iter().find(|p| !p.starts_with("SHA256:") || p.len() != 50) {
            let why = "it is no fingerprint: `SHA256:` and 43 characters, as the console shows it";
            return Err(Problem::Unreadable(format!("--passkey {odd}: {why}")));
        }
        let approvers = self.approver.iter().map(|k| VerifierKey::parse(k)).collect::<Result<_, _>>();
        Ok(Expect {
            passkeys: self.passkey.clone(),
            approvers: approvers.map_err(|e| unreadable(&"--approver", &e))?,
            signed: self.signed,
            key: key.map_err(|e| unreadable(&"--key", &e))?,
            tenant: self.tenant.clone(),
            head: self.head.as_ref().map(read).transpose()?,
            receipt: receipt.transpose()?,
            policy: policy.transpose()?,
            watched: self.watch_state.as_deref().map(watched).transpose()?,
            now: now(),
            threads: self.threads,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where this program looks at the clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(feature = "outside")]
fn watched(folder: &Path) -> Result<bailee_verify::Watched, Problem> {
    let seen = bailee_witness::watch::remembered(folder).map_err(|e| unreadable(&"--watch-state", &e))?;
    let seen = seen.ok_or_else(|| {
        Problem::Unreadable(format!("--watch-state: {} holds no round of a watch yet", folder.display()))
    })?;
    Ok(bailee_verify::Watched {
        head_log: seen.head_log,
        origin: seen.origin,
        head: seen.head,
        alarms: seen.alarms.into_iter().map(|a| a.what).collect(),
    })
}

#[cfg(not(feature = "outside"))]
fn watched(_: &Path) -> Result<bailee_verify::Watched, Problem> {
    Err(Problem::Unreadable("--watch-state: this program was built without the watch".into()))
}
