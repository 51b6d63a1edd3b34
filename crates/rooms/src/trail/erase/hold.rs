//! Legal hold: records that nobody erases, by hand or by age, until it is lifted.

use std::sync::Arc;

use bailee_proof::event::TEXT_BYTES_MAX;
use bailee_store::{StoreError, TenantTx};
use bailee_types::{TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::super::look::trail_asked;
use super::{cut, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House, Thing};

/// Holds that one tenant may have at a time.
const HOLDS_MAX: usize = 100;

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its number in this tenant's log, from 1.
    pub number: u64,
    /// Who placed it.
    pub placed_by: String,
    /// Whether the provider did; then only the provider lifts it.
    pub by_provider: bool,
    /// The case or order that asks for it.
    pub reference: String,
    /// Why, in words.
    pub reason: String,
    /// What it holds.
    pub scope: HoldScope,
    /// Since when.
    pub placed_at: Timestamp,
    /// When it was lifted.
    pub lifted_at: Option<Timestamp>,
}

/// What a hold holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldScope {
    /// Records of this time on.
    pub from: Timestamp,
    /// Records before this time.
    pub to: Timestamp,
    /// Records about this resource; a beginning before a `*`; empty: all.
    pub resource: String,
}

/// Places a hold.
#[derive(Clone, Debug)]
pub struct PlaceHold {
    /// Whose log.
    pub tenant: TenantId,
    /// What to hold.
    pub scope: HoldScope,
    /// The case or order: 1 to 1,024 bytes.
    pub reference: String,
    /// Why: 1 to 1,024 bytes.
    pub reason: String,
}

/// Lifts a hold.
#[derive(Clone, Debug)]
pub struct LiftHold {
    /// Whose log.
    pub tenant: TenantId,
    /// Which.
    pub number: u64,
    /// Why: 1 to 1,024 bytes.
    pub reason: String,
}

/// All holds of a tenant's log, newest first.
#[derive(Clone, Debug)]
pub struct ListHolds {
    /// Whose log.
    pub tenant: TenantId,
}

impl HoldScope {
    /// Everything, for ever.
    pub fn all() -> Self {
        Self { from: Timestamp::from_ms(0), to: Timestamp::from_ms(i64::MAX), resource: String::new() }
    }

    fn holds(&self, time_ms: u64, resource: &str) -> bool {
        let time = i64::try_from(time_ms).unwrap_or(i64::MAX);
        let named = match self.resource.strip_suffix('*') {
            Some(beginning) => resource.starts_with(beginning),
            None => self.resource.is_empty() || resource == self.resource,
        };
        (self.from.ms()..self.to.ms()).contains(&time) && named
    }
}

/// The number of a live hold over a record.
pub(super) fn over(
    tx: &mut TenantTx<'_, '_>,
    time_ms: u64,
    resource: &str,
) -> Result<Option<u64>, StoreError> {
    Ok(rows::holds(tx, true)?.into_iter().find(|h| h.scope.holds(time_ms, resource)).map(|h| h.number))
}

/// The number of a live hold over a time, whatever it is about.
pub(super) fn over_time(tx: &mut TenantTx<'_, '_>, time_ms: u64) -> Result<Option<u64>, StoreError> {
    let time = i64::try_from(time_ms).unwrap_or(i64::MAX);
    let covers = |h: &Hold| (h.scope.from.ms()..h.scope.to.ms()).contains(&time);
    Ok(rows::holds(tx, true)?.into_iter().find(covers).map(|h| h.number))
}

fn words(field: &'static str, text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if (1..=TEXT_BYTES_MAX).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Failure::invalid(field, "must have 1 to 1,024 bytes"))
    }
}

impl Operation for PlaceHold {
    type Output = Hold;

    fn asks(&self) -> Asked {
        let detail = json!({
            "reference": cut(&self.reference), "reason": cut(&self.reason), "resource": cut(&self.scope.resource),
            "from": self.scope.from.iso(), "to": self.scope.to.ms().min(253_402_300_799_000),
        });
        trail_asked(&self.tenant, "bailee:PlaceHold", Class::Management { write: true }, parameters(detail))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Hold, Failure> {
        let (reference, reason) = (words("reference", &self.reference)?, words("reason", &self.reason)?);
        let mut scope = self.scope;
        if scope.from >= scope.to {
            return Err(Failure::invalid("until", "must be later than the beginning"));
        }
        if scope.resource.len() > TEXT_BYTES_MAX {
            return Err(Failure::invalid("resource", "must have at most 1,024 bytes"));
        }
        scope.resource = match scope.resource.trim() {
            "" => String::new(),
            arn if arn.starts_with("acs:") => arn.to_owned(),
            object => format!("acs:oss:*:{}:{object}", self.tenant),
        };
        let placed_by = intent.caller().name().to_owned();
        let by_provider = !intent.caller().is_tenant();
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::holds(&mut tx, true)?.len() >= HOLDS_MAX {
                    return Err(Failure::Limit {
                        what: "live holds of a log",
                        max: HOLDS_MAX as u64,
                        thing: Thing::Hold,
                    });
                }
                let hold = Hold {
                    number: rows::next_hold(&mut tx)?,
                    placed_by,
                    by_provider,
                    reference,
                    reason,
                    scope,
                    placed_at: now,
                    lifted_at: None,
                };
                rows::insert_hold(&mut tx, &hold)?;
                Ok(hold)
            })
            .await
    }

    fn outcome_detail(done: &Hold) -> Map<String, Value> {
        parameters(json!({ "hold": done.number }))
    }
}

impl Operation for LiftHold {
    type Output = ();

    fn asks(&self) -> Asked {
        let detail = json!({ "hold": self.number, "reason": cut(&self.reason) });
        trail_asked(&self.tenant, "bailee:LiftHold", Class::Management { write: true }, parameters(detail))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        words("reason", &self.reason)?;
        let is_tenant = intent.caller().is_tenant();
        if is_tenant {
            intent.caller().need_fresh_mfa(house.now())?;
        }
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let hold = rows::holds(&mut tx, false)?.into_iter().find(|h| h.number == self.number);
                let hold = hold.ok_or_else(|| Failure::not_found(Thing::Hold, self.number))?;
                if hold.by_provider && is_tenant {
                    return Err(Failure::Conflict(format!(
                        "hold {} was placed by the provider for `{}`; only the provider lifts it",
                        hold.number, hold.reference
                    )));
                }
                if !hold.by_provider && !is_tenant {
                    return Err(Failure::Conflict(format!(
                        "hold {} was placed by `{}` of the tenant; only the tenant lifts it",
                        hold.number, hold.placed_by
                    )));
                }
                if !rows::lift_hold(&mut tx, self.number, now)? {
                    return Err(Failure::Conflict(format!("hold {} is lifted already", self.number)));
                }
                // What was passed over for it is looked at again.
                rows::look_again(&mut tx)?;
                Ok(())
            })
            .await
    }
}

impl Operation for ListHolds {
    type Output = Vec<Hold>;

    fn asks(&self) -> Asked {
        trail_asked(&self.tenant, "bailee:ListHolds", Class::Data, Map::new())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Hold>, Failure> {
        house.db.read(move |tx| rows::holds(&mut tx.tenant(&self.tenant), false).map_err(Failure::from)).await
    }
}
