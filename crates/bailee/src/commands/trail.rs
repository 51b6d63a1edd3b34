//! `bailee trail …`: heads, acts, export, receipt, witnesses, keys.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::trail::{ExportTrail, RotateLogKey, SetWitnessing, ShowEnrolment, ShowWitnessing};
use bailee_types::TenantId;
use clap::Subcommand;
use serde_json::json;

use super::acts::{HEAD, Which, cells, shown, tail, time};
use super::on_runtime;
use super::tenant::print;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// The trail of a tenant.
#[derive(Subcommand)]
pub(crate) enum Trail {
    /// Write the trail into one file that `bailee-verify` checks offline; for an auditor, opened in a part only: all
    /// records are there and proven, those outside are not opened.
    Export {
        /// The tenant's alias or id; `provider` for the provider's own log.
        #[arg(long)]
        tenant: String,
        /// Open only records at or after, e.g. 2026-11-25T08:00:00Z or 2026-11-25.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Open only records before; without it but with another limit: before now.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Open only records about this resource: `bucket/key` or `acs:…`, with `*` at the end for all that begin so. May
        /// be given again.
        #[arg(long = "resource", value_name = "RESOURCE")]
        resources: Vec<String>,
        /// The file.
        #[arg(short, long = "out", value_name = "FILE")]
        out: PathBuf,
    },
    /// The newest signed checkpoint and the log's public key.
    Head {
        /// The tenant's alias or id; without it, the provider's own log.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// The enrolment receipt of a tenant's log: log key and watch key. Whoever holds it can check the log's heads against
    /// the public head log with `bailee-verify watch`; give it to auditors yourself.
    Enrolment {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Write the receipt into this file, for its owner only.
        #[arg(short, long = "out", value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The public head log: its newest checkpoint with cosignatures, its key, and a policy file for verifiers.
    Heads {
        /// Print a C2SP tlog-policy with the head log and this house's witnesses.
        #[arg(long)]
        policy: bool,
        /// The witnesses of this house, as `bailee serve --witness-policy` has them.
        #[arg(long, env = "BAILEE_WITNESS_POLICY", value_name = "FILE")]
        witness_policy: Option<PathBuf>,
    },
    /// Show or set a tenant's own witnesses, and whether operators wait for cosignatures.
    Witnesses {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Set: a file in the form of C2SP tlog-policy with the tenant's witnesses; an empty file for none.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// Set: whether an operator's act waits until its record is cosigned.
        #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
        before_act: Option<bool>,
    },
    /// Give a tenant's log a new signing key; the old one signs that it passes on, in the log.
    RotateKey {
        /// The tenant's alias or id; `provider` for the provider's own log.
        #[arg(long)]
        tenant: String,
    },
    Erase(Box<super::keeping::Erase>),
    Retention(super::keeping::Keep),
    #[command(subcommand)]
    Hold(Box<super::keeping::Holds>),
    Alerts(super::alerts::Alerts),
    #[command(subcommand)]
    Sink(Box<super::sinks::Sinks>),
    /// Acts of the platform on a tenant's resources, newest first.
    #[command(visible_alias = "acts")]
    List {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        which: Box<Which>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Only acts before this record (for the next page).
        #[arg(long)]
        before: Option<u64>,
    },
    /// Acts as they come, each with its outcome.
    Tail {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        which: Box<Which>,
        /// Begin at this record; without it, with what comes from now on.
        #[arg(long, value_name = "RECORD")]
        from: Option<u64>,
        /// Go on until interrupted; without it, stop at the end of the log.
        #[arg(long)]
        follow: bool,
    },
    /// Say whose number stands in a tenant's events. For an operator with the role compliance; both logs say that he asked.
    ResolveEmployee(super::resolve::Resolve),
}

pub(crate) fn run(common: &Common, c: Trail) -> Result<ExitCode, Stop> {
    let house = match &c {
        Trail::Sink(args) => common.open_reaching(args.is_local())?,
        _ => common.open()?,
    };
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        match c {
            Trail::Export { tenant, since, until, resources, out } => {
                let tenant = log_owner(&house, &tenant).await?;
                let [since, until] = [since, until].map(|t| t.as_deref().map(time).transpose());
                let scope = ExportTrail::scope_of(&tenant, since?, until?, &resources, house.now())?;
                let shown_scope = scope.to_string();
                let export = ExportTrail { tenant, scope, path: out.clone() };
                let done = house.perform(house.system_caller("bailee trail export"), export).await?;
                let shown = json!({
                    "file": out.display().to_string(), "records": done.records, "bytes": done.bytes,
                    "scope": shown_scope, "log": done.origin, "key": done.vkey,
                });
                print(json_out, &shown, "Exported; check it anywhere with `bailee-verify`:");
            }
            Trail::Erase(args) => super::keeping::erase(&house, *args, json_out).await?,
            Trail::Retention(args) => super::keeping::keep(&house, args, json_out).await?,
            Trail::Alerts(args) => super::alerts::run(&house, args, json_out).await?,
            Trail::Sink(args) => super::sinks::run(&house, *args, json_out).await?,
            Trail::Hold(args) => super::keeping::holds(&house, *args, json_out).await?,
            Trail::Head { tenant } => {
                let head = match tenant {
                    Some(t) => house.head(&log_owner(&house, &t).await?).await?,
                    None => house.provider_head().await?,
                };
                if json_out {
                    println!(
                        "{}",
                        json!({ "log": head.origin, "key": head.vkey, "size": head.size, "signed": head.signed_at.iso(), "checkpoint": head.note })
                    );
                } else {
                    println!(
                        "key        {}\nsigned     {}\n\n{}",
                        head.vkey,
                        head.signed_at.iso(),
                        head.note
                    );
                }
            }
            Trail::Enrolment { tenant, out } => {
                let tenant = house.find_tenant(&tenant).await?;
                let show = ShowEnrolment { tenant: tenant.id };
                let found = house.perform(house.system_caller("bailee trail enrolment"), show).await?;
                let receipt = found.receipt.to_string();
                if let Some(path) = &out {
                    write_private(path, &receipt)?;
                }
                let shown = json!({
                    "log": found.receipt.log.to_string(), "head_log": found.head_log, "enrolled_at": found.index,
                    "heads": found.heads,
                    "receipt": out.map_or(receipt, |path| path.display().to_string()),
                });
                print(json_out, &shown, "Enrolment; the receipt opens this log's heads in the head log:");
            }
            Trail::Heads { policy, witness_policy } => {
                let head = house.public_head().await?;
                if policy {
                    print!("{}", verifiers_policy(&house.head_log_key()?, witness_policy.as_deref())?);
                } else if let Some(head) = head {
                    if json_out {
                        println!(
                            "{}",
                            json!({ "log": head.origin, "key": head.vkey, "size": head.size, "signed": head.signed_at.iso(), "checkpoint": head.note })
                        );
                    } else {
                        println!(
                            "key        {}\nsigned     {}\n\n{}",
                            head.vkey,
                            head.signed_at.iso(),
                            head.note
                        );
                    }
                } else {
                    println!("The head log is empty: heads come when `bailee serve` runs.");
                }
            }
            Trail::Witnesses { tenant, policy, before_act } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                let caller = || house.system_caller("bailee trail witnesses");
                let now = house.perform(caller(), ShowWitnessing { tenant: tenant.clone() }).await?;
                if policy.is_some() || before_act.is_some() {
                    let text = match &policy {
                        Some(path) => std::fs::read_to_string(path)
                            .map_err(|e| Stop::unable(format!("{}: {e}", path.display())))?,
                        None => now.policy,
                    };
                    let before_act = before_act.unwrap_or(now.before_act);
                    house
                        .perform(caller(), SetWitnessing { tenant: tenant.clone(), policy: text, before_act })
                        .await?;
                }
                let now = house.perform(caller(), ShowWitnessing { tenant }).await?;
                show_witnesses(&now, json_out);
            }
            Trail::RotateKey { tenant } => {
                let tenant = log_owner(&house, &tenant).await?;
                let vkey = house
                    .perform(house.system_caller("bailee trail rotate-key"), RotateLogKey { tenant })
                    .await?;
                print(json_out, &json!({ "key": vkey }), "The log signs with a new key:");
            }
            Trail::List { tenant, which, limit, before } => {
                let tenant = house.find_tenant(&tenant).await?;
                let page = house.acts(&tenant.id, &which.filter()?, before, usize::from(limit)).await?;
                if json_out {
                    let acts: Vec<_> = page.acts.iter().map(shown).collect();
                    println!(
                        "{}",
                        json!({ "acts": acts, "next_before": page.next_before, "checkpoint": page.head.size })
                    );
                    return Ok(ExitCode::SUCCESS);
                }
                match (page.acts.is_empty(), page.next_before) {
                    (true, None) => println!("No act matches: nobody touched what was asked for."),
                    (true, Some(_)) => println!("Nothing in the part of the log that was looked through."),
                    _ => println!("{}", table(&HEAD, &page.acts.iter().map(cells).collect::<Vec<_>>())),
                }
                if let Some(before) = page.next_before {
                    println!("More: --before {before}");
                }
            }
            Trail::Tail { tenant, which, from, follow } => {
                let tenant = house.find_tenant(&tenant).await?.id;
                tail(&house, &tenant, &which.filter()?, from, follow, json_out).await?;
            }
            Trail::ResolveEmployee(resolve) => super::resolve::run(&house, resolve, json_out).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Whose log: a tenant's, or the provider's own.
pub(super) async fn log_owner(house: &Arc<House>, name: &str) -> Result<TenantId, Stop> {
    match name {
        "provider" => Ok(TenantId::provider()),
        _ => Ok(house.find_tenant(name).await?.id),
    }
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no".into()),
    }
}

/// A file that others cannot read; an existing one is not overwritten.
fn write_private(path: &std::path::Path, text: &str) -> Result<(), Stop> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .map_err(|e| Stop::unable(format!("{}: {e}", path.display())))
}

/// The policy for verifiers: the provider's, with the head log's key before it.
fn verifiers_policy(head_log: &str, path: Option<&std::path::Path>) -> Result<String, Stop> {
    let text = match path {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|e| Stop::unable(format!("{}: {e}", path.display())))?
        }
        None => "quorum none\n".to_owned(),
    };
    let witnesses: String =
        text.lines().filter(|l| !l.trim_start().starts_with("log ")).map(|l| format!("{l}\n")).collect();
    Ok(format!("log {head_log}\n{witnesses}"))
}

fn show_witnesses(now: &bailee_rooms::trail::Witnessing, json_out: bool) {
    let last = |w: &bailee_rooms::trail::WitnessState| w.last.map(|(size, at)| (size, at.iso()));
    if json_out {
        let witnesses: Vec<_> = now
            .witnesses
            .iter()
            .map(|w| {
                json!({
                    "name": w.name, "log": w.origin, "size": last(w).map(|l| l.0), "time": last(w).map(|l| l.1),
                })
            })
            .collect();
        println!("{}", json!({ "policy": now.policy, "before_act": now.before_act, "witnesses": witnesses }));
        return;
    }
    println!("operators wait for witnesses: {}", if now.before_act { "yes" } else { "no" });
    if now.witnesses.is_empty() {
        println!("There are no witnesses: name your own with --policy, or ask your provider to name some.");
        return;
    }
    let rows: Vec<_> = now
        .witnesses
        .iter()
        .map(|w| {
            let (size, at) = last(w).map_or(("never".into(), String::new()), |(s, at)| (s.to_string(), at));
            vec![w.name.clone(), w.origin.clone(), size, at]
        })
        .collect();
    println!("{}", table(&["WITNESS", "LOG", "COSIGNED", "TIME"], &rows));
}
