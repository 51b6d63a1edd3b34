//! `bailee trail …`: head, acts, export.

use std::path::PathBuf;
use std::process::ExitCode;

use bailee_rooms::trail::ExportTrail;
use clap::Subcommand;
use serde_json::json;

use super::acts::{HEAD, Which, cells, shown, tail};
use super::on_runtime;
use super::tenant::print;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// The trail of a tenant.
#[derive(Subcommand)]
pub(crate) enum Trail {
    /// Write the whole trail into one file that `bailee-verify` checks offline.
    Export {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
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
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        match c {
            Trail::Export { tenant, out } => {
                let tenant = house.find_tenant(&tenant).await?;
                let export = ExportTrail { tenant: tenant.id.clone(), path: out.clone() };
                let done = house.perform(house.system_caller("bailee trail export"), export).await?;
                let shown = json!({
                    "file": out.display().to_string(), "records": done.records, "bytes": done.bytes,
                    "log": done.origin, "key": done.vkey,
                });
                print(json_out, &shown, "Exported; check it anywhere with `bailee-verify`:");
            }
            Trail::Head { tenant } => {
                let head = match tenant {
                    Some(t) => house.head(&house.find_tenant(&t).await?.id).await?,
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
