//! `bailee trail erase|retention|hold`: how long events say what they say.

use std::sync::Arc;

use bailee_rooms::House;
use bailee_rooms::trail::{
    EraseEvents, Hold, HoldScope, LiftHold, ListHolds, PlaceHold, SetRetention, ShowRetention,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::acts::time;
use super::tenant::print;
use super::trail::log_owner;
use crate::output::{Stop, table};

/// Erase what records say; the entries stay and a new record says who, when and why.
#[derive(Args)]
pub(crate) struct Erase {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// An act or refusal, by its record; its outcome goes with it. May be given again.
    #[arg(long = "record", value_name = "RECORD", required = true)]
    records: Vec<u64>,
    /// Why, in words.
    #[arg(long)]
    reason: String,
    /// The law or right it rests on, e.g. "GDPR Art. 17".
    #[arg(long, value_name = "TEXT")]
    legal_basis: String,
}

/// Show or set after how many days what events say is erased; without a word of the tenant, never.
#[derive(Args)]
pub(crate) struct Keep {
    /// The tenant's alias or id.
    #[arg(long)]
    tenant: String,
    /// Set: days, 180 to 3,650, or `forever`.
    #[arg(long, value_name = "DAYS", value_parser = days)]
    days: Option<Days>,
    /// Change nothing: say what this period would take now.
    #[arg(long, requires = "days")]
    explain: bool,
}

#[derive(Clone, Copy)]
struct Days(Option<u32>);

fn days(text: &str) -> Result<Days, String> {
    match text {
        "forever" => Ok(Days(None)),
        text => {
            text.parse().map(|n| Days(Some(n))).map_err(|_| "must be a number of days or `forever`".into())
        }
    }
}

/// Legal hold: records that nobody erases until it is lifted.
#[derive(Subcommand)]
pub(crate) enum Holds {
    /// List holds, newest first.
    List {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
    },
    /// Place a hold, for an order that reached the provider; only the provider lifts it then.
    Place {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The case or order.
        #[arg(long)]
        reference: String,
        /// Why, in words.
        #[arg(long)]
        reason: String,
        /// Only records at or after, e.g. 2026-11-25.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only records before.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Only records about this resource: `bucket/key` or `acs:…`, `*` at the end for all that begin so.
        #[arg(long, default_value = "")]
        resource: String,
    },
    /// Lift a hold.
    Lift {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// Its number.
        number: u64,
        /// Why, in words.
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn erase(house: &Arc<House>, args: Erase, json_out: bool) -> Result<(), Stop> {
    let tenant = log_owner(house, &args.tenant).await?;
    let Erase { records, reason, legal_basis, .. } = args;
    let erase = EraseEvents { tenant, records, reason, legal_basis };
    let done = house.perform(house.system_caller("bailee trail erase"), erase).await?;
    let shown = json!({ "record": done.record, "erased": done.indices, "kept_outcomes": done.kept });
    print(json_out, &shown, "Erased; the log says so:");
    Ok(())
}

pub(super) async fn keep(house: &Arc<House>, args: Keep, json_out: bool) -> Result<(), Stop> {
    let tenant = log_owner(house, &args.tenant).await?;
    let caller = || house.system_caller("bailee trail retention");
    let mut asked = None;
    match args.days {
        Some(Days(days)) if args.explain => asked = days,
        Some(Days(days)) => house.perform(caller(), SetRetention { tenant: tenant.clone(), days }).await?,
        None => {}
    }
    let now = house.perform(caller(), ShowRetention { tenant, days: asked }).await?;
    let set = now.days.map_or_else(|| json!("forever"), |days| json!(days));
    let plan = json!({
        "days": set, "asked": asked, "old_enough": now.plan.old, "erased": now.plan.erased,
        "held": now.plan.held, "waiting": now.plan.waiting,
    });
    print(json_out, &plan, "What events say is kept:");
    Ok(())
}

pub(super) async fn holds(house: &Arc<House>, args: Holds, json_out: bool) -> Result<(), Stop> {
    let caller = house.system_caller("bailee trail hold");
    match args {
        Holds::List { tenant } => {
            let tenant = log_owner(house, &tenant).await?;
            let all = house.perform(caller, ListHolds { tenant }).await?;
            if json_out {
                println!("{}", json!(all.iter().map(shown).collect::<Vec<_>>()));
            } else if all.is_empty() {
                println!("No hold.");
            } else {
                let rows: Vec<_> = all.iter().map(row).collect();
                println!("{}", table(&["HOLD", "REFERENCE", "BY", "RESOURCE", "SINCE", "LIFTED"], &rows));
            }
        }
        Holds::Place { tenant, reference, reason, since, until, resource } => {
            let tenant = log_owner(house, &tenant).await?;
            let all = HoldScope::all();
            let scope = HoldScope {
                from: since.as_deref().map(time).transpose()?.unwrap_or(all.from),
                to: until.as_deref().map(time).transpose()?.unwrap_or(all.to),
                resource,
            };
            let hold = house.perform(caller, PlaceHold { tenant, scope, reference, reason }).await?;
            print(json_out, &shown(&hold), "Held:");
        }
        Holds::Lift { tenant, number, reason } => {
            let tenant = log_owner(house, &tenant).await?;
            house.perform(caller, LiftHold { tenant, number, reason }).await?;
            print(json_out, &json!({ "hold": number }), "Lifted:");
        }
    }
    Ok(())
}

fn shown(hold: &Hold) -> Value {
    json!({
        "hold": hold.number, "reference": hold.reference, "reason": hold.reason, "placed_by": hold.placed_by,
        "by_provider": hold.by_provider, "resource": hold.scope.resource, "from_ms": hold.scope.from.ms(),
        "to_ms": hold.scope.to.ms(), "placed": hold.placed_at.iso(), "lifted": hold.lifted_at.map(|at| at.iso()),
    })
}

fn row(hold: &Hold) -> Vec<String> {
    vec![
        hold.number.to_string(),
        hold.reference.clone(),
        hold.placed_by.clone(),
        if hold.scope.resource.is_empty() { "all".into() } else { hold.scope.resource.clone() },
        hold.placed_at.iso(),
        hold.lifted_at.map_or_else(|| "holds".to_owned(), |at| at.iso()),
    ]
}
