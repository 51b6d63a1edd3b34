//! Finds intents that lost their outcome and writes `unknown`, so that the tenant sees it.

use std::sync::Arc;
use std::time::Duration;

use bailee_store::Tx;
use bailee_types::Timestamp;
use serde_json::Map;
use tokio::sync::watch;

use super::rows::{self, Ending};
use crate::house::Counters;
use crate::{Failure, House};

/// How often a process says that it lives.
const BEAT: Duration = Duration::from_secs(5);
/// A process that was silent for this long has died; its open intents are lost.
const SILENT_MS: i64 = 30_000;
/// An intent of this process that is not in flight and older than this lost its outcome.
const LATE_MS: i64 = 10_000;
const AT_ONCE: i64 = 500;

/// Says that this process lives, before it opens its first intent.
pub(crate) fn register_instance(house: &House) -> Result<(), Failure> {
    let (instance, now, check) = (house.instance.clone(), house.now(), house.keys.check_value());
    house.db.write_blocking(move |tx| {
        // Locked: a renewal of the root key sees this process, or this process sees that it came too late.
        if !rows::lock_root_check(tx, &check)? {
            return Err(Failure::Conflict("the root key was renewed this moment: start again".into()));
        }
        rows::beat(tx, &instance, now).map_err(Failure::from)
    })
}

/// This process ends: nobody has to wait whether it is still at work.
pub(crate) async fn leave_instances(house: &House) -> Result<(), Failure> {
    let instance = house.instance.clone();
    house.db.write(move |tx| rows::leave(tx, &instance).map_err(Failure::from)).await
}

/// The processes that were at work lately, this one or others.
pub(crate) fn live_instances(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<String>, Failure> {
    Ok(rows::live_instances(tx, now.plus_ms(-SILENT_MS))?.into_iter().collect())
}

/// Whether other processes were at work since an instant.
pub(crate) fn others_at_work(tx: &mut Tx<'_>, own: &str, since: Timestamp) -> Result<bool, Failure> {
    Ok(rows::live_instances(tx, since)?.iter().any(|instance| instance != own))
}

/// The sweeper: beats, and closes what was lost, until `stop`.
pub(crate) async fn sweep(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        let (instance, now) = (house.instance.clone(), house.now());
        let beat = house.db.write(move |tx| rows::beat(tx, &instance, now).map_err(Failure::from)).await;
        let swept = match beat {
            Ok(()) => close_lost(&house, false).await,
            Err(e) => Err(e),
        };
        if let Err(e) = swept {
            tracing::warn!("the sweeper could not work: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

/// Writes `unknown` for each intent whose process died. `alone` says that this is the only process there is.
pub(crate) async fn close_lost(house: &Arc<House>, alone: bool) -> Result<u64, Failure> {
    let mut closed = 0;
    loop {
        let now = house.now();
        let (live, open) = house
            .db
            .read(move |tx| {
                let live = rows::live_instances(tx, now.plus_ms(-SILENT_MS))?;
                Ok::<_, Failure>((live, rows::open_intents(tx, AT_ONCE)?))
            })
            .await?;
        let lost: Vec<_> = open
            .into_iter()
            .filter(|(tenant, index, _, instance, at)| {
                if *instance == house.instance {
                    !house.in_flight.contains(tenant, *index)
                        && now >= Timestamp::from_ms(*at).plus_ms(LATE_MS)
                } else {
                    alone || !live.contains(instance)
                }
            })
            .collect();
        let more = lost.len() as i64 == AT_ONCE;
        for (tenant, index, name, _, _) in lost {
            let text = "the platform stopped before it could record how this act ended".to_owned();
            let end = Ending {
                index,
                name: name.clone(),
                word: "unknown",
                code: Some("OutcomeUnknown"),
                text: Some(text),
                detail: Map::new(),
            };
            if house.close_intent(&tenant, end).await? {
                tracing::error!(tenant.id = %tenant, intent = index, "the outcome of `{name}` is unknown");
                Counters::add(&house.counters().unknown, 1);
                closed += 1;
            }
        }
        if !more {
            house
                .db
                .write(move |tx| rows::forget_instances(tx, now.plus_ms(-86_400_000)).map_err(Failure::from))
                .await?;
            return Ok(closed);
        }
    }
}
