//! An operator asks, or takes back what he asked.

use std::sync::Arc;

use bailee_types::{Arn, GrantId, TenantId, TicketId};
use serde_json::{Map, Value, json};

use super::{LAPSE_MS, Scope, rows};
use crate::gate::{Asked, Class, Intent, Operation, Principal, Touches};
use crate::{Failure, House, Thing, notices, tickets};

/// Asks a tenant for consent to read objects or to open sessions with a system, bound to a ticket.
#[derive(Clone, Debug)]
pub struct RequestConsent {
    /// Whose data.
    pub tenant: TenantId,
    /// The tenant's open ticket.
    pub ticket: TicketId,
    /// For what.
    pub scope: Scope,
    /// Minutes from the approval, 1 to 1,440.
    pub minutes: u32,
    /// Reads, 1 to 1,000.
    pub uses_max: u32,
    /// Why, 5 to 1,000 characters; the tenant reads it.
    pub reason: String,
}

impl Operation for RequestConsent {
    type Output = GrantId;

    fn asks(&self) -> Asked {
        let mut told = self.scope.told();
        told.extend(parameters(json!({
            "action": self.scope.action(),
            "minutes": self.minutes,
            "usesMax": self.uses_max,
            "reason": self.reason.chars().take(1000).collect::<String>(),
        })));
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:RequestConsent",
            resource: Arn::own(&self.tenant, "consent/*"),
            resource_type: "ACS::Bailee::Consent",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: Some(self.ticket.clone()),
            parameters: told,
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<GrantId, Failure> {
        let Principal::Operator { id, place, .. } = intent.caller().principal() else {
            return Err(Failure::Conflict("only an operator asks for consent".into()));
        };
        self.scope.check()?;
        if !(1..=1440).contains(&self.minutes) {
            return Err(Failure::invalid("minutes", "must be 1 to 1440"));
        }
        if !(1..=1000).contains(&self.uses_max) {
            return Err(Failure::invalid("uses", "must be 1 to 1000"));
        }
        let reason = self.reason.trim();
        if !(5..=1000).contains(&reason.chars().count()) {
            return Err(Failure::invalid(
                "reason",
                "must have 5 to 1000 characters: the tenant decides by it",
            ));
        }
        let now = house.now();
        let row = rows::NewRequest {
            id: GrantId::random(),
            ticket: self.ticket.clone(),
            operator: id.clone(),
            pseudonym: house.pseudonym(&self.tenant, id),
            place: place.clone(),
            scope: self.scope,
            reason: reason.to_owned(),
            minutes: self.minutes,
            uses_max: self.uses_max,
            asked_at: now,
            lapses_at: now.plus_ms(LAPSE_MS),
        };
        let (tenant, ticket) = (self.tenant, self.ticket);
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                if !tickets::is_open(&mut tx, &ticket)? {
                    return Err(Failure::not_found(Thing::Ticket, &ticket));
                }
                if let Scope::Target { target, limits } = &row.scope {
                    crate::broker::fits(&mut tx, target, limits)?;
                }
                rows::insert(&mut tx, &row)?;
                notices::emit(&mut tx, notices::Kind::Consent, row.id.as_str(), now)?;
                Ok(row.id)
            })
            .await
    }

    fn outcome_detail(id: &GrantId) -> Map<String, Value> {
        parameters(json!({ "consent": { "grant": id.as_str(), "act": "request" } }))
    }
}

/// Takes back a request that waits, or gives a grant back early.
#[derive(Clone, Debug)]
pub struct WithdrawRequest {
    /// Whose data.
    pub tenant: TenantId,
    /// The request.
    pub id: GrantId,
}

impl Operation for WithdrawRequest {
    type Output = GrantId;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:WithdrawRequest",
            resource: Arn::own(&self.tenant, &format!("consent/{}", self.id)),
            resource_type: "ACS::Bailee::Consent",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<GrantId, Failure> {
        let operator = intent.caller().operator().cloned();
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let request = rows::one(&mut tx, &self.id)?
                    .filter(|r| Some(&r.operator) == operator.as_ref())
                    .ok_or_else(|| Failure::not_found(Thing::Grant, &self.id))?;
                if request.state(now) != super::State::Pending {
                    return Err(Failure::Conflict(format!("request `{}` does not wait any more", self.id)));
                }
                rows::decide(&mut tx, &self.id, 1, "withdraw", request.operator.as_str(), now, None)?;
                Ok(self.id)
            })
            .await
    }

    fn outcome_detail(id: &GrantId) -> Map<String, Value> {
        parameters(json!({ "consent": { "grant": id.as_str(), "act": "withdraw" } }))
    }
}

/// A JSON object as a map; anything else is an empty map.
pub(crate) fn parameters(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}
