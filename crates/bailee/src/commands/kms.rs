//! `bailee kms …`: keys that tenants use through KMS.

use std::process::ExitCode;
use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::keys::cmk::{Key, KeyAct, KeyState, ListKeyUses, ListKeys};
use bailee_types::{TenantId, Timestamp};
use clap::Subcommand;
use serde_json::json;

use super::on_runtime;
use super::trail::log_owner;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

const PAGE: u64 = 100;
const DAY_MS: i64 = 86_400_000;

/// Keys that tenants use through KMS. To change one: `bailee api kms …`.
#[derive(Subcommand)]
pub(crate) enum Kms {
    /// List a tenant's keys.
    List {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Only in this state: Enabled, Disabled, PendingDeletion or PendingImport.
        #[arg(long, value_parser = state)]
        state: Option<KeyState>,
    },
    /// How often a key was used, by day and operation. What was used within the last minute is not in it.
    Uses {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The key: its id, `alias/<name>` or ARN.
        #[arg(long)]
        key: String,
        /// So many days, with today.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Do now what is due: rotate, end brought material, destroy. The house does so by itself every minute.
    Keep,
}

fn state(text: &str) -> Result<KeyState, String> {
    KeyState::parse(text)
        .ok_or_else(|| "it is one of Enabled, Disabled, PendingDeletion, PendingImport".to_owned())
}

pub(crate) fn run(common: &Common, command: Kms) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    on_runtime(async {
        match command {
            Kms::List { tenant, state } => {
                let tenant = log_owner(&house, &tenant).await?;
                say_keys(common, &all(&house, &tenant, state).await?);
            }
            Kms::Uses { tenant, key, days } => {
                let tenant = log_owner(&house, &tenant).await?;
                let key = house.key_named(&tenant, &key).await?;
                let act = ListKeyUses { key, days }.of(&tenant, &house);
                say_uses(common, &house.perform(house.system_caller("bailee kms"), act).await?);
            }
            Kms::Keep => {
                let done = house.keep_keys().await?;
                match common.output {
                    Output::Json => println!("{}", json!({ "changed": done })),
                    Output::Table => println!("{done} keys were rotated, emptied or destroyed"),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn all(house: &Arc<House>, tenant: &TenantId, state: Option<KeyState>) -> Result<Vec<Key>, Stop> {
    let mut out = Vec::new();
    for page in 1.. {
        let states = state.into_iter().collect();
        let act = ListKeys { states, specs: Vec::new(), page, size: PAGE }.of(tenant, house);
        let found = house.perform(house.system_caller("bailee kms"), act).await?;
        out.extend(found.items);
        if page * PAGE >= found.total {
            break;
        }
    }
    Ok(out)
}

fn say_keys(common: &Common, keys: &[Key]) {
    let iso = |at: Option<Timestamp>| at.map(Timestamp::iso);
    if common.output == Output::Json {
        for k in keys {
            println!(
                "{}",
                json!({ "keyId": k.id.as_str(), "keySpec": k.spec.name(), "keyUsage": k.usage.name(),
                        "state": k.state.name(), "origin": k.origin.name(), "created": k.created_at.iso(),
                        "rotates": iso(k.rotate_at), "deleted": iso(k.delete_at), "description": k.description })
            );
        }
        return;
    }
    if keys.is_empty() {
        println!("no key");
        return;
    }
    let rows: Vec<_> = keys
        .iter()
        .map(|k| {
            let next = match (k.delete_at, k.rotate_at) {
                (Some(at), _) => format!("destroyed {}", at.iso()),
                (None, Some(at)) => format!("rotates {}", at.iso()),
                (None, None) => String::new(),
            };
            vec![
                k.id.to_string(),
                k.spec.name().to_owned(),
                k.state.name().to_owned(),
                k.created_at.iso(),
                next,
                k.description.chars().filter(|c| !c.is_control()).take(40).collect(),
            ]
        })
        .collect();
    println!("{}", table(&["KEY", "SPEC", "STATE", "MADE", "NEXT", "DESCRIPTION"], &rows));
}

fn say_uses(common: &Common, uses: &[(i64, String, u64)]) {
    let day = |day: i64| Timestamp::from_ms(day * DAY_MS).iso().chars().take(10).collect::<String>();
    if common.output == Output::Json {
        for (at, operation, times) in uses {
            println!("{}", json!({ "day": day(*at), "operation": operation, "times": times }));
        }
        return;
    }
    if uses.is_empty() {
        println!("not used");
        return;
    }
    let rows: Vec<_> = uses.iter().map(|(at, op, n)| vec![day(*at), op.clone(), n.to_string()]).collect();
    println!("{}", table(&["DAY", "OPERATION", "TIMES"], &rows));
}
