//! Retention: a tenant may let what events say go by age. Without its word nothing goes.

use std::sync::Arc;
use std::time::Duration;

use bailee_proof::record::{Entry, Kind};
use bailee_types::{TenantId, Timestamp};
use serde_json::json;
use tokio::sync::watch;

use super::super::look::trail_asked;
use super::{Found, Said, Stays, records, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// Days for which every event is kept.
pub const RETENTION_DAYS_MIN: u32 = 180;
/// The longest period that can be set; for ever is none.
pub const RETENTION_DAYS_MAX: u32 = 3_650;

const DAY_MS: i64 = 86_400_000;
/// How often ages are looked at.
const LOOK: Duration = Duration::from_secs(600);
/// Records looked at in one transaction: with their outcomes fewer than one erasure names.
const ROUND: u64 = 512;

/// How long a tenant's events say what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days after which text goes; none: never.
    pub days: Option<u32>,
    /// What that would take now.
    pub plan: RetentionPlan,
}

/// What a period takes, if it were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPlan {
    /// Acts and refusals that are old enough.
    pub old: u64,
    /// Of these, gone already.
    pub erased: u64,
    /// Of these, held, with the hold's number and how many.
    pub held: u64,
    /// Of these, that stay for another reason (no outcome yet).
    pub waiting: u64,
}

/// Shows what is set, and what `days` (or what is set) would take.
#[derive(Clone, Debug)]
pub struct ShowRetention {
    /// Whose log.
    pub tenant: TenantId,
    /// As if this were set.
    pub days: Option<u32>,
}

/// Sets it.
#[derive(Clone, Debug)]
pub struct SetRetention {
    /// Whose log.
    pub tenant: TenantId,
    /// Days, 180 to 3,650; none: for ever.
    pub days: Option<u32>,
}

fn valid(days: u32) -> Result<(), Failure> {
    if (RETENTION_DAYS_MIN..=RETENTION_DAYS_MAX).contains(&days) {
        return Ok(());
    }
    Err(Failure::invalid(
        "days",
        format!("must be {RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX}, or nothing for ever"),
    ))
}

impl Operation for ShowRetention {
    type Output = Retention;

    fn asks(&self) -> Asked {
        let detail = parameters(json!({ "days": self.days }));
        trail_asked(&self.tenant, "bailee:ShowRetention", Class::Data, detail)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Retention, Failure> {
        if let Some(days) = self.days {
            valid(days)?;
        }
        let tenant = self.tenant.clone();
        let set =
            house.db.read(move |tx| rows::retention(&mut tx.tenant(&tenant)).map_err(Failure::from)).await?;
        let days = set.map(|(days, _)| days);
        let plan = match self.days.or(days) {
            None => RetentionPlan::default(),
            Some(days) => plan(house, &self.tenant, days).await?,
        };
        Ok(Retention { days, plan })
    }
}

impl Operation for SetRetention {
    type Output = ();

    fn asks(&self) -> Asked {
        let detail = parameters(json!({ "days": self.days }));
        trail_asked(&self.tenant, "bailee:SetRetention", Class::Management { write: true }, detail)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if let Some(days) = self.days {
            valid(days)?;
            if intent.caller().is_tenant() {
                intent.caller().need_fresh_mfa(house.now())?;
            }
        }
        let Self { tenant, days } = self;
        house
            .db
            .write(move |tx| rows::set_retention(&mut tx.tenant(&tenant), days).map_err(Failure::from))
            .await
    }
}

/// What a period would take now, looked at record by record and nothing touched.
async fn plan(house: &Arc<House>, tenant: &TenantId, days: u32) -> Result<RetentionPlan, Failure> {
    let before = house.now().plus_ms(-i64::from(days) * DAY_MS);
    let (log, now) = (house.log_keys(tenant).await?, house.now());
    let (mut plan, mut from) = (RetentionPlan::default(), 0);
    loop {
        let log = Arc::clone(&log);
        let (found, more) = house
            .db
            .read(move |tx| {
                let mut found = RetentionPlan::default();
                let rows = records::records(&mut tx.tenant(&log.tenant), from, ROUND)?;
                for (index, raw, sealed) in &rows {
                    let Some(entry) = aged(raw, before)? else { return Ok((found, false)) };
                    if !is_act(entry.kind) {
                        continue;
                    }
                    found.old += 1;
                    found.erased += u64::from(sealed.is_empty());
                    match Found::default().take(tx, &log, *index, now) {
                        Ok(()) | Err(Stays::Gone) => {}
                        Err(Stays::Failed(e)) => return Err(e),
                        Err(Stays::Held(_)) => found.held += 1,
                        Err(Stays::Because(_)) => found.waiting += 1,
                    }
                }
                Ok::<_, Failure>((found, rows.len() as u64 == ROUND))
            })
            .await?;
        plan.old += found.old;
        plan.erased += found.erased;
        plan.held += found.held;
        plan.waiting += found.waiting;
        from += ROUND;
        if !more {
            return Ok(plan);
        }
    }
}

fn is_act(kind: Kind) -> bool {
    matches!(kind, Kind::Intent | Kind::Management | Kind::Refusal)
}

/// The entry, if it is from before.
fn aged(raw: &[u8; 50], before: Timestamp) -> Result<Option<Entry>, Failure> {
    let entry = Entry::decode(raw).map_err(|e| Failure::Damaged(e.to_string()))?;
    Ok(u64::try_from(before.ms()).is_ok_and(|before| entry.time_ms < before).then_some(entry))
}

/// The worker: what has reached its age goes, until `stop`.
pub(crate) async fn keep_retention(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(e) = house.retain_once().await {
            tracing::warn!("events could not be erased by age: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl House {
    /// One round over all tenants with a period; answers how many events went.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn retain_once(self: &Arc<Self>) -> Result<u64, Failure> {
        let tenants = self.db.read(|tx| rows::retained(tx).map_err(Failure::from)).await?;
        let mut gone = 0;
        for tenant in tenants {
            loop {
                match self.retain_some(&tenant).await {
                    Ok((erased, more)) => {
                        gone += erased;
                        if !more {
                            break;
                        }
                    }
                    // One log's trouble is not another's.
                    Err(e) => {
                        tracing::warn!(tenant.id = %tenant, "events could not be erased by age: {e}");
                        break;
                    }
                }
            }
        }
        if gone > 0 {
            self.trail.changed.notify_one();
        }
        Ok(gone)
    }

    /// Some records of one log, in one transaction: what goes, the record of it, and how far it came.
    async fn retain_some(self: &Arc<Self>, tenant: &TenantId) -> Result<(u64, bool), Failure> {
        let (log, now) = (self.log_keys(tenant).await?, self.now());
        self.db
            .write(move |tx| {
                let Some((days, from)) = rows::retention(&mut tx.tenant(&log.tenant))? else {
                    return Ok((0, false));
                };
                let before = now.plus_ms(-i64::from(days) * DAY_MS);
                let stored = records::records(&mut tx.tenant(&log.tenant), from, ROUND)?;
                let (mut found, mut next) = (Found::default(), from);
                for (index, raw, _) in &stored {
                    let Some(entry) = aged(raw, before)? else { break };
                    if is_act(entry.kind) {
                        match found.take(tx, &log, *index, now) {
                            // What is held is passed over until the hold is lifted.
                            Ok(()) | Err(Stays::Held(_) | Stays::Gone) => {}
                            Err(Stays::Failed(e)) => return Err(e),
                            // Its outcome is too young, or still to come: the next round finds it.
                            Err(Stays::Because(_)) => break,
                        }
                    }
                    next = index + 1;
                }
                let count = found.indices.len() as u64;
                let said = Said {
                    by: "retention".into(),
                    reason: format!("older than {days} days"),
                    legal_basis: format!("the tenant's retention of {days} days"),
                };
                found.erase(tx, &log, said, now)?;
                rows::advance_retention(&mut tx.tenant(&log.tenant), next)?;
                Ok::<_, Failure>((count, next == from + ROUND))
            })
            .await
    }
}
