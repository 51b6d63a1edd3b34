//! `bailee residency …`: legal bases, and what tenants registered.

use std::process::ExitCode;

use bailee_rooms::residency::{Basis, ListTransfers};
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use super::trail::log_owner;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// What may leave its jurisdiction. The tenant registers and stops transfers, in the console under "Where it lies".
#[derive(Subcommand)]
pub(crate) enum Residency {
    /// List the legal bases that a transfer can be registered with.
    Bases,
    /// List a tenant's register.
    List {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
    },
}

pub(crate) fn run(common: &Common, command: Residency) -> Result<ExitCode, Stop> {
    match command {
        Residency::Bases => bases(common.output),
        Residency::List { tenant } => {
            let house = common.open()?;
            on_runtime(async {
                let tenant = log_owner(&house, &tenant).await?;
                let op = ListTransfers { tenant };
                let all = house.perform(house.system_caller("bailee residency"), op).await?;
                let now = house.now();
                if common.output == Output::Json {
                    for t in &all {
                        println!(
                            "{}",
                            json!({ "id": t.id, "from": t.from, "to": t.to, "resources": t.resources, "basis": t.basis,
                                    "state": t.state(now).word(), "told": t.told, "validFrom": t.valid_from.iso(),
                                    "validUntil": t.valid_until.iso(), "moves": t.moves, "movedBytes": t.moved_bytes })
                        );
                    }
                } else if all.is_empty() {
                    println!("no transfer: nothing may leave {}", house.provider().jurisdiction);
                } else {
                    let rows: Vec<_> = all
                        .iter()
                        .map(|t| {
                            vec![
                                t.id.clone(),
                                format!("{} -> {}", t.from, t.to),
                                t.basis.clone(),
                                t.state(now).word().to_owned(),
                                t.valid_until.iso(),
                                t.moves.to_string(),
                                t.moved_bytes.to_string(),
                            ]
                        })
                        .collect();
                    print!(
                        "{}",
                        table(&["TRANSFER", "WAY", "BASIS", "STATE", "UNTIL", "ACTS", "BYTES"], &rows)
                    );
                }
                Ok(())
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn bases(output: Output) {
    if output == Output::Json {
        for b in Basis::all() {
            println!(
                "{}",
                json!({ "id": b.id, "law": b.law, "kind": b.kind, "usableUntil": b.usable_until, "exporter": b.exporter,
                        "importer": b.importer, "needs": b.needed().collect::<Vec<_>>(), "en": b.en, "zh": b.zh })
            );
        }
        return;
    }
    let rows: Vec<_> = Basis::all()
        .iter()
        .map(|b| vec![b.id.to_owned(), b.law.to_owned(), b.kind.to_owned(), b.en.to_owned()])
        .collect();
    println!("{}", table(&["BASIS", "LAW", "KIND", "NAME"], &rows));
}
