//! `bailee handling …`: what was done to a tenant's things without its consent, at the machine. It opens
//! nothing, and can end a broken glass.

use std::process::ExitCode;

use bailee_rooms::House;
use bailee_rooms::handling::{Change, Glass, GlassStep, Hand, ListHandling, Takedown};
use bailee_types::{BucketName, HandlingId, TicketId, Timestamp};
use clap::Subcommand;
use serde_json::{Value, json};

use super::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Takedowns of public data, stability work and broken glass: list them. Operators file, confirm and run them at their desk.
#[derive(Subcommand)]
pub(crate) enum Handling {
    /// List what was done to a tenant's things, the newest first.
    List {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// At most so many of each kind.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// End a broken glass, or the asking for one, now.
    EndGlass {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The glass, `H-…`.
        #[arg(long, value_parser = HandlingId::parse)]
        id: HandlingId,
    },
}

pub(crate) fn run(common: &Common, command: Handling) -> Result<ExitCode, Stop> {
    match command {
        Handling::List { tenant, limit } => list(common, tenant, limit),
        Handling::EndGlass { tenant, id } => {
            let house = common.open()?;
            on_runtime(async {
                let tenant = house.find_tenant(&tenant).await?.id;
                let who = house.system_caller("bailee handling");
                house.step_glass(who, (&tenant, &id), GlassStep::End, "").await?;
                match common.output {
                    Output::Json => println!("{}", json!({ "id": id.as_str() })),
                    _ => println!("Ended."),
                }
                Ok(ExitCode::SUCCESS)
            })
        }
    }
}

fn list(common: &Common, tenant: String, limit: u32) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    on_runtime(async {
        let tenant = house.find_tenant(&tenant).await?.id;
        let found =
            house.perform(house.system_caller("bailee handling"), ListHandling { tenant, limit }).await?;
        if common.output == Output::Json {
            let takedowns: Vec<_> = found.takedowns.iter().map(|k| takedown(&house, k)).collect();
            let changes: Vec<_> = found.changes.iter().map(|c| change(c, house.now())).collect();
            let glasses: Vec<_> = found.glasses.iter().map(|g| glass(g, house.now())).collect();
            println!("{}", json!({ "glasses": glasses, "takedowns": takedowns, "changes": changes }));
            return Ok(ExitCode::SUCCESS);
        }
        let known = |acknowledged| if acknowledged { "yes" } else { "no" }.to_owned();
        let rows: Vec<_> = found
            .glasses
            .iter()
            .map(|g| {
                let (state, acts) =
                    (g.state(house.now()).word().to_owned(), format!("{} acts", g.acts.len()));
                let why = format!("{}: {}", g.incident, g.reason);
                vec![g.id.to_string(), state, known(g.acknowledged), acts, why]
            })
            .chain(found.takedowns.iter().map(|k| {
                vec![
                    k.id.to_string(),
                    k.state(house.now()).word().to_owned(),
                    known(k.acknowledged),
                    k.what(),
                    k.order.reference(),
                ]
            }))
            .chain(found.changes.iter().map(|c| {
                vec![
                    c.new.id.to_string(),
                    c.word(house.now()).to_owned(),
                    String::new(),
                    format!("{} {}", c.new.work.word(), c.new.work.bucket().map_or("", BucketName::as_str)),
                    c.new.reason.clone(),
                ]
            }))
            .collect();
        if rows.is_empty() {
            println!("Nothing.");
        } else {
            println!("{}", table(&["ACT", "STATE", "ACKNOWLEDGED", "WHAT", "WHY"], &rows));
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn glass(g: &Glass, now: Timestamp) -> Value {
    let hand = |h: &Hand| json!({ "operator": h.operator.as_str(), "by": h.pseudonym, "at": h.at.iso() });
    json!({
        "id": g.id.as_str(), "state": g.state(now).word(), "incident": g.incident, "reason": g.reason,
        "minutes": g.minutes, "asked": hand(&g.asked), "broken": g.broken.as_ref().map(hand),
        "until": g.until.map(Timestamp::iso), "acknowledged": g.acknowledged,
        "ended": g.ended.as_ref().map(|(by, at)| json!({ "by": by, "at": at.iso() })),
        "review": g.review.as_ref().map(|r| json!({
            "verdict": r.verdict.word(), "note": r.note, "by": r.by, "at": r.at.iso(),
            "ticket": r.ticket.as_ref().map(TicketId::as_str),
        })),
        "acts": g.acts.iter().map(|a| json!({ "record": a.record, "name": a.name, "resource": a.resource })).collect::<Vec<_>>(),
    })
}

fn takedown(house: &House, k: &Takedown) -> Value {
    json!({
        "id": k.id.as_str(), "state": k.state(house.now()).word(), "what": k.what(), "authority": k.order.authority,
        "document": k.order.document, "dated": k.order.dated, "presigned": k.order.presigned, "reason": k.reason,
        "filed": k.filed_at.iso(), "until": k.until.map(Timestamp::iso), "acknowledged": k.acknowledged,
        "steps": k.steps.iter().map(|s| json!({
            "act": s.act, "by": s.writer, "operator": s.operator.as_ref().map(ToString::to_string), "note": s.note,
            "at": s.at.iso(),
        })).collect::<Vec<_>>(),
    })
}

fn change(c: &Change, now: Timestamp) -> Value {
    json!({
        "id": c.new.id.as_str(), "state": c.word(now), "work": c.new.work.word(),
        "bucket": c.new.work.bucket().map(BucketName::as_str), "reason": c.new.reason, "operator": c.operator.as_str(),
        "by": c.pseudonym, "announced": c.announced_at.iso(), "planned": c.new.planned_at.iso(),
        "began": c.began_at.map(Timestamp::iso), "until": c.until().iso(),
        "ended": c.ended.as_ref().map(|(_, at, said)| json!({ "at": at.iso(), "said": said })),
    })
}
