//! `bailee trail alerts`: what a tenant should look at.

use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::trail::alerts::{
    AcknowledgeAlerts, Alert, AlertKind, AlertSettings, ListAlerts, SetAlerts,
};
use clap::Args;
use serde_json::{Value, json};

use super::tenant::print;
use super::trail::log_owner;
use crate::output::{Stop, table};

/// List alerts: content that an operator opened, acts that nothing let in, acts at level WARNING, refusals, unknown outcomes, a log that is behind.
#[derive(Args)]
pub(crate) struct Alerts {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// Acknowledged ones too.
    #[arg(long)]
    all: bool,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only alerts before this number (for the next page).
    #[arg(long)]
    before: Option<u64>,
    /// Acknowledge this one.
    #[arg(long, value_name = "ALERT", conflicts_with = "ack_up_to")]
    ack: Option<u64>,
    /// Acknowledge this one and all before it.
    #[arg(long, value_name = "ALERT")]
    ack_up_to: Option<u64>,
    /// Set which kinds are not raised any more: content, uncovered, warning, unknown, refused, behind; `none` for all to be raised.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    mute: Vec<String>,
}

pub(super) async fn run(house: &Arc<House>, args: Alerts, json_out: bool) -> Result<(), Stop> {
    let tenant = log_owner(house, &args.tenant).await?;
    let caller = || house.system_caller("bailee trail alerts");
    if let Some((number, and_before)) = args.ack.map(|n| (n, false)).or(args.ack_up_to.map(|n| (n, true))) {
        let acknowledge = AcknowledgeAlerts { tenant, number, and_before };
        let done = house.perform(caller(), acknowledge).await?;
        print(json_out, &json!({ "acknowledged": done }), "Done:");
        return Ok(());
    }
    if !args.mute.is_empty() {
        let words = args.mute.iter().filter(|w| *w != "none");
        let muted: Option<Vec<AlertKind>> = words.map(|w| AlertKind::parse(w)).collect();
        let muted = muted.ok_or_else(|| {
            Stop::unable(
                "--mute takes content, uncovered, warning, unknown, refused, behind, or none".to_owned(),
            )
        })?;
        house.perform(caller(), SetAlerts { tenant, settings: AlertSettings { muted } }).await?;
        print(json_out, &json!({ "muted": args.mute }), "Set:");
        return Ok(());
    }
    let list = ListAlerts { tenant, open_only: !args.all, before: args.before, alerts_max: args.limit };
    let page = house.perform(caller(), list).await?;
    if json_out {
        let muted: Vec<&str> = page.settings.muted.iter().map(|k| k.word()).collect();
        let alerts: Vec<Value> = page.alerts.iter().map(shown).collect();
        println!("{}", json!({ "alerts": alerts, "open": page.open, "muted": muted }));
    } else if page.alerts.is_empty() {
        println!("No alert.");
    } else {
        let rows: Vec<_> = page.alerts.iter().map(row).collect();
        println!("{}", table(&["ALERT", "KIND", "RECORD", "RAISED", "ACKNOWLEDGED"], &rows));
    }
    Ok(())
}

fn shown(alert: &Alert) -> Value {
    json!({
        "alert": alert.number, "kind": alert.kind.word(), "record": alert.record, "raised": alert.raised_at.iso(),
        "acknowledged": alert.acknowledged.as_ref().map(|(at, by)| json!({ "at": at.iso(), "by": by })),
    })
}

fn row(alert: &Alert) -> Vec<String> {
    vec![
        alert.number.to_string(),
        alert.kind.word().to_owned(),
        alert.record.to_string(),
        alert.raised_at.iso(),
        alert.acknowledged.as_ref().map_or_else(String::new, |(at, by)| format!("{} by {by}", at.iso())),
    ]
}
