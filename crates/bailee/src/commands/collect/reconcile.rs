//! `bailee collect reconcile`: what logs of the platform saw against what the house recorded.

use std::process::ExitCode;

use bailee_rooms::trail::collected::Unmatched;
use bailee_types::Timestamp;
use clap::Args;
use serde_json::json;

use crate::commands::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Compare what logs of the platform saw of operators with what the gate recorded and what sessions were open.
#[derive(Args)]
pub(crate) struct Reconcile {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// Acts at or after, e.g. 2026-11-25T00:00:00Z.
    #[arg(long)]
    from: String,
    /// Acts before.
    #[arg(long)]
    to: String,
}

/// Ends with 3 when a log saw an act that nothing let in.
pub(crate) fn run(common: &Common, c: Reconcile) -> Result<ExitCode, Stop> {
    let time = |text: &str| Timestamp::parse_iso_offset(text).map_err(|e| Stop::unable(e.to_string()));
    let (from, until) = (time(&c.from)?, time(&c.to)?);
    let house = common.open()?;
    let json_out = common.output == Output::Json;
    on_runtime(async move {
        let tenant = house.find_tenant(&c.tenant).await?;
        let found = house.reconcile(&tenant.id, from, until).await?;
        let list = |all: &[Unmatched]| {
            all.iter()
                .map(|u| {
                    json!({ "record": u.record, "time": u.at.iso_ms(), "object": u.object, "who": u.who, "source": u.source })
                })
                .collect::<Vec<_>>()
        };
        if json_out {
            println!(
                "{}",
                json!({
                    "seen": found.seen, "recorded": found.recorded,
                    "neverLogged": list(&found.never_logged), "notSeen": list(&found.not_seen),
                    "inSessions": found.in_sessions, "uncovered": list(&found.uncovered),
                    "sessionsNotSeen": found.sessions_not_seen.iter().map(|s| json!({
                        "session": s.id, "grant": s.grant.as_str(), "target": s.target.as_str(),
                        "who": s.pseudonym.as_str(), "openedAt": s.opened_at.iso_ms(),
                    })).collect::<Vec<_>>(),
                })
            );
        } else {
            println!("{} reads seen by collectors, {} recorded by the gate", found.seen, found.recorded);
            println!(
                "{} acts with systems seen by collectors within sessions, {} outside of any",
                found.in_sessions,
                found.uncovered.len()
            );
            let rows = |all: &[Unmatched]| {
                all.iter()
                    .map(|u| {
                        vec![
                            u.record.to_string(),
                            u.at.iso(),
                            u.object.clone(),
                            u.who.clone(),
                            u.source.clone(),
                        ]
                    })
                    .collect::<Vec<_>>()
            };
            let head = ["RECORD", "TIME", "RESOURCE", "WHO", "SOURCE"];
            if !found.never_logged.is_empty() {
                println!("\nNEVER LOGGED: an access log saw these, and no intent announced them:");
                println!("{}", table(&head, &rows(&found.never_logged)));
            }
            if !found.not_seen.is_empty() {
                println!("\nNot seen: recorded, but in no access log that was collected (yet):");
                println!("{}", table(&head, &rows(&found.not_seen)));
            }
            if !found.uncovered.is_empty() {
                println!("\nUNCOVERED: a log saw these, and no session let them in:");
                println!("{}", table(&head, &rows(&found.uncovered)));
            }
            if !found.sessions_not_seen.is_empty() {
                println!("\nSessions of which no log that was collected shows anything (yet):");
                let rows: Vec<_> = found
                    .sessions_not_seen
                    .iter()
                    .map(|s| {
                        let (target, who) = (s.target.to_string(), s.pseudonym.to_string());
                        vec![s.id.clone(), s.opened_at.iso(), target, who, s.grant.to_string()]
                    })
                    .collect();
                println!("{}", table(&["SESSION", "OPENED", "TARGET", "WHO", "GRANT"], &rows));
            }
        }
        let clean = found.never_logged.is_empty() && found.uncovered.is_empty();
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(3) })
    })
}
