//! `bailee collector …`: the credentials of machines that hand in logs.

use std::process::ExitCode;

use bailee_collect::Source;
use bailee_rooms::trail::collected::{CreateCollector, SetCollectorState};
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use super::tenant::print;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Collectors: machines that hand in what other programs logged.
#[derive(Subcommand)]
pub(crate) enum Collector {
    /// Add a collector; prints its token once.
    Add {
        /// Its name: lower-case letters, digits and hyphens.
        name: String,
        /// Whose logs it may hand in: kubernetes, postgres, auditd, sshd, hdfs, yarn, oss, s3.
        #[arg(long, required = true, value_delimiter = ',', value_parser = source)]
        sources: Vec<Source>,
    },
    /// List collectors.
    List,
    /// Disable a collector: its token opens nothing from now on.
    Disable {
        /// Its name.
        name: String,
    },
    /// Enable a collector again.
    Enable {
        /// Its name.
        name: String,
    },
}

fn source(word: &str) -> Result<Source, String> {
    let all = || Source::ALL.map(Source::word).join(", ");
    Source::parse(word).ok_or_else(|| format!("must be one of {}", all()))
}

pub(crate) fn run(common: &Common, c: Collector) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        let caller = house.system_caller("bailee collector");
        match c {
            Collector::Add { name, sources } => {
                let create = CreateCollector { name: name.clone(), sources };
                let token = house.perform(caller, create).await?;
                print(json_out, &json!({ "name": name, "token": token.expose() }), "Shown once:");
            }
            Collector::List => {
                let all = house.collectors().await?;
                let words = |s: &[Source]| s.iter().map(|s| s.word()).collect::<Vec<_>>();
                if json_out {
                    let list: Vec<_> = all
                        .iter()
                        .map(|c| {
                            json!({
                                "name": c.name, "sources": words(&c.sources), "active": c.active,
                                "seen": c.seen_at.map(|t| t.iso()), "events": c.events, "unmapped": c.unmapped,
                            })
                        })
                        .collect();
                    println!("{}", json!(list));
                } else if all.is_empty() {
                    println!("No collector yet. Add one: bailee collector add db-1 --sources postgres");
                } else {
                    let rows: Vec<_> = all
                        .iter()
                        .map(|c| {
                            vec![
                                c.name.clone(),
                                words(&c.sources).join(", "),
                                if c.active { "active" } else { "disabled" }.to_owned(),
                                c.seen_at.map_or_else(|| "never".to_owned(), |t| t.iso()),
                                c.events.to_string(),
                                c.unmapped.to_string(),
                            ]
                        })
                        .collect();
                    println!("{}", table(&["NAME", "SOURCES", "STATE", "SEEN", "EVENTS", "UNMAPPED"], &rows));
                }
            }
            Collector::Disable { name } => {
                house.perform(caller, SetCollectorState { name: name.clone(), active: false }).await?;
                print(json_out, &json!({ "name": name, "state": "disabled" }), "Done:");
            }
            Collector::Enable { name } => {
                house.perform(caller, SetCollectorState { name: name.clone(), active: true }).await?;
                print(json_out, &json!({ "name": name, "state": "active" }), "Done:");
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
