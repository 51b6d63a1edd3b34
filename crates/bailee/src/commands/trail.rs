//! `bailee trail …`: head, acts, export.

use std::path::PathBuf;
use std::process::ExitCode;

use bailee_rooms::trail::{ActEnd, ActFilter, ExportTrail, Family};
use clap::Subcommand;
use serde_json::json;

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
    Acts {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Also the tenant's own management events.
        #[arg(long)]
        all: bool,
        /// Only acts with this text in name, resource, operator, ticket, grant or reason.
        #[arg(long)]
        text: Option<String>,
        /// Only this result: open, done, refused, failed, unknown.
        #[arg(long)]
        result: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Only acts before this record (for the next page).
        #[arg(long)]
        before: Option<u64>,
    },
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
            Trail::Acts { tenant, all, text, result, limit, before } => {
                let tenant = house.find_tenant(&tenant).await?;
                let filter = ActFilter {
                    family: (!all).then_some(Family::Platform),
                    text,
                    result,
                    ..ActFilter::default()
                };
                let page = house.acts(&tenant.id, &filter, before, usize::from(limit)).await?;
                let end = |e: &ActEnd| match e {
                    ActEnd::Open => "open".to_owned(),
                    ActEnd::Refused => "refused".to_owned(),
                    ActEnd::Ended { result, .. } => result.clone(),
                };
                if json_out {
                    let acts: Vec<_> = page
                        .acts
                        .iter()
                        .map(|a| {
                            json!({
                                "record": a.record, "time": a.at.iso_ms(), "event": a.event_name, "resource": a.resource,
                                "who": a.who, "place": a.place, "reason": a.reason, "ticket": a.ticket, "grant": a.grant,
                                "result": end(&a.end), "error": a.error_message, "collected": a.collected_from(),
                            })
                        })
                        .collect();
                    println!(
                        "{}",
                        json!({ "acts": acts, "next_before": page.next_before, "checkpoint": page.head.size })
                    );
                } else if page.acts.is_empty() {
                    println!("Nobody of the provider touched this tenant's resources.");
                } else {
                    let rows: Vec<_> = page
                        .acts
                        .iter()
                        .map(|a| {
                            vec![
                                a.record.to_string(),
                                a.at.iso(),
                                match a.collected_from() {
                                    Some(source) => format!("{} (from {source})", a.event_name),
                                    None => a.event_name.clone(),
                                },
                                a.resource.splitn(5, ':').last().unwrap_or_default().to_owned(),
                                a.who.clone(),
                                a.place.clone(),
                                a.ticket.clone(),
                                a.grant.clone(),
                                end(&a.end),
                            ]
                        })
                        .collect();
                    let head =
                        ["RECORD", "TIME", "EVENT", "RESOURCE", "WHO", "PLACE", "TICKET", "GRANT", "RESULT"];
                    println!("{}", table(&head, &rows));
                    if let Some(before) = page.next_before {
                        println!("More: --before {before}");
                    }
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
