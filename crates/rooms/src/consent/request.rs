//! An operator asks, or takes back what he asked.

use std::sync::Arc;

use bailee_types::{Arn, GrantId, TenantId, TicketId};
use serde_json::{Map, Value, json};

use super::{Because, Scope, StandingOpened, State, Step, rows, standing};
use crate::gate::{Asked, Class, Intent, Operation, Principal, Touches};
use crate::{Failure, House, Thing, notices, tickets};

/// Requests and grants of an operator at one tenant that are not over, at most: more would hide each other.
const OPEN_MAX: usize = 50;

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
    /// Why, as a code.
    pub because: Because,
}

/// What became of an operator's request.
#[derive(Clone, Debug)]
pub struct Requested {
    /// The request.
    pub id: GrantId,
    /// The grant, where a standing right of the tenant's opened it at once.
    pub opened: Option<StandingOpened>,
}

impl Operation for RequestConsent {
    type Output = Requested;

    fn asks(&self) -> Asked {
        let mut told = self.scope.told();
        told.extend(parameters(json!({
            "action": self.scope.action(),
            "minutes": self.minutes,
            "usesMax": self.uses_max,
            "reason": self.reason.chars().take(1000).collect::<String>(),
            "code": self.because.code.word(),
            "reference": self.because.reference.trim().chars().take(200).collect::<String>(),
            "renews": self.because.renews.as_ref().map(GrantId::as_str),
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

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Requested, Failure> {
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
        if !(5..=1000).contains(&reason.chars().count()) || !is_plain(reason) {
            return Err(Failure::invalid(
                "reason",
                "must have 5 to 1000 characters, none of them a control or direction mark: the tenant decides by it",
            ));
        }
        self.because.check()?;
        let because = Because { reference: self.because.reference.trim().to_owned(), ..self.because };
        let mut row = rows::NewRequest {
            id: GrantId::random(),
            ticket: self.ticket.clone(),
            operator: id.clone(),
            pseudonym: house.pseudonym(&self.tenant, id),
            place: place.clone(),
            scope: self.scope,
            reason: reason.to_owned(),
            because,
            minutes: self.minutes,
            uses_max: self.uses_max,
            asked_at: house.now(),
            lapses_at: house.now(),
            second_eye: house.second_eye,
            seen: house.now(),
        };
        let (tenant, ticket, inner) = (self.tenant, self.ticket, Arc::clone(house));
        let record = intent.record();
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
                if let Some(old) = &row.because.renews {
                    rows::one(&mut tx, old)?
                        .filter(|r| r.operator == row.operator)
                        .ok_or_else(|| Failure::not_found(Thing::Grant, old))?;
                }
                let policy = rows::policy(&mut tx)?.policy;
                if row.minutes > policy.minutes_max {
                    return Err(Failure::invalid(
                        "minutes",
                        format!("must be 1 to {}: the tenant allows no longer", policy.minutes_max),
                    ));
                }
                row.asked_at = inner.now();
                if rows::not_over_of(&mut tx, &row.operator, row.asked_at)? >= OPEN_MAX {
                    return Err(Failure::Conflict(format!(
                        "you have {OPEN_MAX} requests and grants at this tenant that are not over: take some back first"
                    )));
                }
                row.lapses_at = row.asked_at.plus_ms(i64::from(policy.lapse_hours) * 3_600_000);
                row.seen = crate::trail::last_time(&mut tx)?;
                rows::insert(&mut tx, &row)?;
                // With a second pair of eyes the tenant is asked when it said yes.
                let mut opened = None;
                if !row.second_eye {
                    opened = standing::open(&mut tx, (&tenant, &row.id), record, row.asked_at)?;
                    if opened.is_none() {
                        notices::emit(&mut tx, notices::Kind::Consent, row.id.as_str(), row.asked_at)?;
                    }
                }
                Ok(Requested { id: row.id, opened })
            })
            .await
    }

    fn outcome_detail(Requested { id, opened }: &Requested) -> Map<String, Value> {
        let opened = opened.as_ref().map(StandingOpened::told);
        parameters(json!({ "consent": { "grant": id.as_str(), "act": "request", "opened": opened } }))
    }
}

/// Whether a text shows what it is: no control characters, and none that turn the direction of what follows.
pub(super) fn is_plain(text: &str) -> bool {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.chars().any(|c| c.is_control() || turns(c))
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
    /// The request, and whether it was a grant that was given back.
    type Output = (GrantId, bool);

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

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        let operator = intent.caller().operator().cloned();
        let inner = Arc::clone(house);
        house
            .db
            .write(move |tx| {
                let now = inner.now();
                let mut tx = tx.tenant(&self.tenant);
                let request = rows::one(&mut tx, &self.id)?
                    .filter(|r| Some(&r.operator) == operator.as_ref())
                    .ok_or_else(|| Failure::not_found(Thing::Grant, &self.id))?;
                let seen = crate::trail::last_time(&mut tx)?;
                let next = request.step(Step::Withdraw, request.moment(now, seen))?;
                let given_back = next.taken_back == Some(State::Returned);
                let (seq, act) = if given_back { (2, "revoke") } else { (1, "withdraw") };
                let by = request.operator.as_str();
                let decision = rows::Decision { seq, act, by, at: now, seen, given: None, given_back };
                rows::decide(&mut tx, &self.id, &decision)?;
                Ok((self.id, given_back))
            })
            .await
    }

    fn outcome_detail((id, given_back): &(GrantId, bool)) -> Map<String, Value> {
        let act = if *given_back { "return" } else { "withdraw" };
        parameters(json!({ "consent": { "grant": id.as_str(), "act": act } }))
    }
}

/// A JSON object as a map; anything else is an empty map.
pub(crate) fn parameters(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}
