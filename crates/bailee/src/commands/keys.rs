//! `bailee keys …`: versions of tenants' own keys.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_rooms::House;
use bailee_rooms::gate::Caller;
use bailee_rooms::keys::TenantKeyVersion;
use bailee_rooms::rekey::{RetireTenantKey, RewrapTenant, RotateTenantKey, told};
use bailee_rooms::vault::RewrapDone;
use bailee_types::{BucketName, ChangeId, TenantId};
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use super::trail::log_owner;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// How often progress is said.
const WORD: Duration = Duration::from_secs(1);

/// Tenants' own keys.
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// List the versions of a tenant's key.
    Status {
        /// The tenant's alias or id; `provider` for the provider's own.
        #[arg(long)]
        tenant: String,
    },
    /// Make a new version. It seals what is new after 15 seconds; a serving house then seals anew what lies under older ones.
    Rotate {
        /// The tenant's alias or id; `provider` for the provider's own.
        #[arg(long)]
        tenant: String,
        /// The provider's change that this is part of, e.g. CHG-1234: the tenant's log names it.
        #[arg(long, value_name = "ID", value_parser = ChangeId::parse)]
        change: Option<ChangeId>,
    },
    /// Seal anew, now, what lies under older versions: wraps and metadata, no content. What was done before is passed over, so
    /// that a run that was cut goes on. Exit code 3 when something has to stay under an older version, or does not open.
    Rewrap {
        /// The tenant's alias or id; `provider` for the provider's own.
        #[arg(long)]
        tenant: String,
        /// Only this bucket's objects.
        #[arg(long)]
        bucket: Option<String>,
        /// Also bring objects under keys of KMS to the newest versions of those keys.
        #[arg(long)]
        covers: bool,
        /// The provider's change that this is part of, e.g. CHG-1234: the tenant's log names it.
        #[arg(long, value_name = "ID", value_parser = ChangeId::parse)]
        change: Option<ChangeId>,
    },
    /// Destroy an old version, a day after the newest began to seal and when a whole look finds nothing under it.
    Retire {
        /// The tenant's alias or id; `provider` for the provider's own.
        #[arg(long)]
        tenant: String,
        /// Its number.
        #[arg(long)]
        number: i64,
        /// The provider's change that this is part of, e.g. CHG-1234: the tenant's log names it.
        #[arg(long, value_name = "ID", value_parser = ChangeId::parse)]
        change: Option<ChangeId>,
    },
}

pub(crate) fn run(common: &Common, command: Keys) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let caller = |change| house.system_caller("bailee keys").under_change(change);
    on_runtime(async {
        match command {
            Keys::Status { tenant } => {
                let tenant = log_owner(&house, &tenant).await?;
                say_versions(common, &house.tenant_key_versions(&tenant).await?);
            }
            Keys::Rotate { tenant, change } => {
                let tenant = log_owner(&house, &tenant).await?;
                let made = house.perform(caller(change), RotateTenantKey { tenant }).await?;
                match common.output {
                    Output::Json => println!("{}", version(&made)),
                    Output::Table => {
                        println!(
                            "version {} seals what is new from {} on",
                            made.number,
                            made.seals_from.iso()
                        );
                    }
                }
            }
            Keys::Rewrap { tenant, bucket, covers, change } => {
                let tenant = log_owner(&house, &tenant).await?;
                let bucket = bucket
                    .map(|b| BucketName::parse(&b).map_err(|e| Stop::unable(format!("--bucket: {e}"))))
                    .transpose()?;
                return rewrap(common, &house, (tenant, bucket, covers), caller(change)).await;
            }
            Keys::Retire { tenant, number, change } => {
                let tenant = log_owner(&house, &tenant).await?;
                let act = RetireTenantKey { tenant, version: number };
                house.perform(caller(change), act).await?;
                match common.output {
                    Output::Json => println!("{}", json!({ "destroyed": number })),
                    Output::Table => println!("version {number} is destroyed"),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn rewrap(
    common: &Common,
    house: &Arc<House>,
    (tenant, bucket, covers): (TenantId, Option<BucketName>, bool),
    caller: Caller,
) -> Result<ExitCode, Stop> {
    let act = RewrapTenant { tenant, bucket, covers, max: u64::MAX, progress: Box::new(progress()) };
    let done = house.perform(caller, act).await?;
    match common.output {
        Output::Json => println!(
            "{}",
            json!({
                "objectsInAll": done.in_all, "looked": done.looked, "objects": done.rewrapped, "others": done.others,
                "raced": done.raced, "waitForCustomer": done.wait_for_customer, "waitForService": done.wait_for_service,
                "waitForKey": done.wait_for_key, "waitForMaterial": done.wait_for_material,
                "damagedInAll": done.damaged_in_all, "damaged": done.damaged,
            })
        ),
        Output::Table => {
            println!(
                "{} objects looked at; {} and {} other things were sealed anew",
                done.looked, done.rewrapped, done.others
            );
            if done.waiting() + done.raced > 0 {
                println!("{}", told(&RewrapDone { rewrapped: 0, others: 0, ..done.clone() }));
            }
            for name in &done.damaged {
                println!("does not open: {name}");
            }
        }
    }
    Ok(if done.waiting() > 0 { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn version(v: &TenantKeyVersion) -> serde_json::Value {
    json!({
        "version": v.number, "createdAt": v.created_at.iso(), "sealsFrom": v.seals_from.iso(),
        "settledAt": v.settled_at.map(|t| t.iso()),
    })
}

fn say_versions(common: &Common, all: &[TenantKeyVersion]) {
    if common.output == Output::Json {
        println!("{}", json!(all.iter().map(version).collect::<Vec<_>>()));
        return;
    }
    let newest = all.last().map(|v| v.number);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|v| {
            let state = match (newest == Some(v.number), v.settled_at) {
                (true, Some(at)) => format!("seals; nothing was found under older ones at {}", at.iso()),
                (true, None) if v.number > 1 => "seals; older ones are being left".to_owned(),
                (true, None) => "seals".to_owned(),
                (false, _) => "opens only".to_owned(),
            };
            vec![v.number.to_string(), v.created_at.iso(), v.seals_from.iso(), state]
        })
        .collect();
    println!("{}", table(&["VERSION", "MADE", "SEALS FROM", "STATE"], &rows));
}

/// A line on a terminal that is written over; nothing where nobody looks.
fn progress() -> impl FnMut(&RewrapDone) + Send {
    let shows = std::io::stderr().is_terminal();
    let mut last: Option<Instant> = None;
    move |done: &RewrapDone| {
        let over = done.looked >= done.in_all;
        if !shows || (!over && last.is_some_and(|at| at.elapsed() < WORD)) {
            return;
        }
        last = Some(Instant::now());
        let percent = (done.looked * 100).checked_div(done.in_all).unwrap_or(100).min(100);
        let mut out = std::io::stderr();
        // Nobody is told when the terminal is gone.
        let _ = write!(
            out,
            "\r{percent:>3} %  {} of {} objects, {} sealed anew \x1b[K{}",
            done.looked,
            done.in_all,
            done.rewrapped,
            if over { "\n" } else { "" }
        );
        let _ = out.flush();
    }
}
