//! `bailee trail sink …`: webhooks and syslog servers that get a tenant's events.

use std::path::PathBuf;
use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::trail::Family;
use bailee_rooms::trail::deliver::{
    CreateSink, DeleteSink, ListSinks, ReplayFrom, ReplaySink, Sink, SinkFormat, SinkKind, TestSink,
};
use clap::Subcommand;
use serde_json::{Value, json};

use super::acts::time;
use super::tenant::print;
use super::trail::log_owner;
use crate::output::{Stop, table};

/// Sinks: where events of a tenant go besides buckets.
#[derive(Subcommand)]
pub(crate) enum Sinks {
    /// Add a sink; it gets what is recorded from now on. Prints the secret for signatures once.
    Add {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Its name: lower-case letters, digits and hyphens.
        name: String,
        /// `https://…` for a webhook, `host:port` for syslog over TLS.
        address: String,
        /// webhook or syslog.
        #[arg(long, value_parser = kind)]
        kind: SinkKind,
        /// cloudevents, ocsf, or bailee (as LookupEvents has them).
        #[arg(long, value_parser = format, default_value = "cloudevents")]
        format: SinkFormat,
        /// Whose events: own, platform or all.
        #[arg(long, default_value = "all", value_parser = ["own", "platform", "all"])]
        events: String,
        /// Roots in PEM that a syslog server's certificate must lead to, in place of the public list.
        #[arg(long, value_name = "FILE")]
        roots: Option<PathBuf>,
    },
    /// List sinks with their lag.
    List {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
    },
    /// Send one event that is none, and say what came of it.
    Test {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Its name.
        name: String,
        /// The address may be of this machine or its networks.
        #[arg(long)]
        local: bool,
    },
    /// Deliver again, from a record or a time on.
    Replay {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Its name.
        name: String,
        /// From this record on.
        #[arg(long, value_name = "RECORD", required_unless_present = "since")]
        from: Option<u64>,
        /// From this time on, e.g. 2026-11-25T08:00:00Z.
        #[arg(long, value_name = "TIME", conflicts_with = "from")]
        since: Option<String>,
    },
    /// Remove a sink.
    Remove {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Its name.
        name: String,
    },
}

fn kind(word: &str) -> Result<SinkKind, String> {
    SinkKind::parse(word).ok_or_else(|| "must be webhook or syslog".into())
}

fn format(word: &str) -> Result<SinkFormat, String> {
    SinkFormat::parse(word).ok_or_else(|| "must be cloudevents, ocsf or bailee".into())
}

impl Sinks {
    /// Whether the machine's own networks may be reached.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Test { local: true, .. })
    }
}

pub(super) async fn run(house: &Arc<House>, args: Sinks, json_out: bool) -> Result<(), Stop> {
    let caller = house.system_caller("bailee trail sink");
    match args {
        Sinks::Add { tenant, name, address, kind, format, events, roots } => {
            let tenant = log_owner(house, &tenant).await?;
            let roots = match roots {
                None => String::new(),
                Some(path) => std::fs::read_to_string(&path)
                    .map_err(|e| Stop::unable(format!("{}: {e}", path.display())))?,
            };
            let family = match events.as_str() {
                "own" => Some(Family::Own),
                "platform" => Some(Family::Platform),
                _ => None,
            };
            let create = CreateSink { tenant, name: name.clone(), kind, address, format, family, roots };
            let made = house.perform(caller, create).await?;
            print(json_out, &json!({ "name": name, "secret": made.secret.expose() }), "Shown once:");
        }
        Sinks::List { tenant } => {
            let tenant = log_owner(house, &tenant).await?;
            let all = house.perform(caller, ListSinks { tenant }).await?;
            if json_out {
                println!("{}", json!(all.iter().map(shown).collect::<Vec<_>>()));
            } else if all.is_empty() {
                println!(
                    "No sink yet. Add one: bailee trail sink add --tenant … --kind webhook NAME https://…"
                );
            } else {
                let rows: Vec<_> = all.iter().map(row).collect();
                let head = ["NAME", "KIND", "ADDRESS", "FORMAT", "DELIVERED", "WAITING", "LAST ERROR"];
                println!("{}", table(&head, &rows));
            }
        }
        Sinks::Test { tenant, name, .. } => {
            let tenant = log_owner(house, &tenant).await?;
            house.perform(caller, TestSink { tenant, name: name.clone() }).await?;
            print(json_out, &json!({ "name": name }), "Taken:");
        }
        Sinks::Replay { tenant, name, from, since } => {
            let tenant = log_owner(house, &tenant).await?;
            let from = match (from, since) {
                (Some(record), _) => ReplayFrom::Record(record),
                (None, since) => ReplayFrom::Time(time(&since.unwrap_or_default())?),
            };
            let begins = house.perform(caller, ReplaySink { tenant, name: name.clone(), from }).await?;
            print(json_out, &json!({ "name": name, "from": begins }), "Delivered again from:");
        }
        Sinks::Remove { tenant, name } => {
            let tenant = log_owner(house, &tenant).await?;
            house.perform(caller, DeleteSink { tenant, name: name.clone() }).await?;
            print(json_out, &json!({ "name": name }), "Removed:");
        }
    }
    Ok(())
}

fn shown(sink: &Sink) -> Value {
    json!({
        "name": sink.name, "kind": sink.kind.word(), "address": sink.address, "format": sink.format.word(),
        "created": sink.created_at.iso(), "next_record": sink.next_record, "waiting": sink.waiting,
        "delivered": sink.delivered_at.map(|at| at.iso()), "failures": sink.failures,
        "failed": sink.failed.as_ref().map(|(at, why)| json!({ "at": at.iso(), "why": why })),
    })
}

fn row(sink: &Sink) -> Vec<String> {
    vec![
        sink.name.clone(),
        sink.kind.word().to_owned(),
        sink.address.clone(),
        sink.format.word().to_owned(),
        sink.delivered_at.map_or_else(|| "never".to_owned(), |at| at.iso()),
        sink.waiting.to_string(),
        sink.failed.as_ref().map_or_else(String::new, |(_, why)| why.clone()),
    ]
}
