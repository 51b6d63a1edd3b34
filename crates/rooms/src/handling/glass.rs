//! Breaking glass: in an emergency one operator names an incident, another breaks the glass, and then the first may look at a
//! tenant's metadata and sealed bytes for an hour at most, without its consent. The tenant is told, may end it, and reviews it.
//!
//! INVARIANT: it opens no content: the gate lets pass [`GLASS_ACTS`] alone, and the key refuses whoever is under a glass.
//! INVARIANT: it takes two people, both on record as done before the first act; where a record was lost nothing opens.
//! INVARIANT: what is over stays over: neither the clock nor a step brings it back.

use std::sync::Arc;

use bailee_store::{StoreError, TenantTx};
use bailee_types::{Arn, HandlingId, OperatorId, TenantId, TicketId, Timestamp};
use serde_json::{Map, Value, json};

use super::{line, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing, notices, tickets};

/// Minutes for which a glass is broken at most; also how long it waits for the other person.
pub const GLASS_MINUTES_MAX: u32 = 60;
/// Glasses of one operator that wait or are broken at most, over all tenants.
pub const GLASSES_MAX: usize = 3;
/// How long until a tenant is told again.
pub(super) const AGAIN_MS: i64 = 6 * 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// All that may be done under a broken glass: names, sizes, settings, and whether sealed bytes are damaged.
pub const GLASS_ACTS: [&str; 5] =
    ["oss:ListBuckets", "oss:GetBucketInfo", "oss:ListObjects", "bailee:GetTenantUsage", "bailee:ScrubVault"];

/// How far a glass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlassState {
    /// It waits for another operator.
    Asked,
    /// Nobody broke it in time.
    Lapsed,
    /// It is broken.
    Broken,
    /// Its time is over.
    Expired,
    /// It was ended.
    Ended,
    /// One of the two is no operator any more, or the record of his act was lost.
    Void,
}

impl GlassState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Lapsed => "lapsed",
            Self::Broken => "broken",
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::Void => "void",
        }
    }

    /// Whether it waits or is broken.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Asked | Self::Broken)
    }
}

/// What a tenant says to it afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was right.
    Accepted,
    /// It was not: a ticket is opened.
    Disputed,
}

impl Verdict {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Disputed => "disputed",
        }
    }

    /// What a word says.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Accepted, Self::Disputed].into_iter().find(|v| v.word() == word)
    }
}

/// One of the two.
#[derive(Clone, Debug)]
pub struct Hand {
    /// Who; the tenant does not see it.
    pub operator: OperatorId,
    /// Who, as the tenant sees him.
    pub pseudonym: String,
    /// When.
    pub at: Timestamp,
    /// Whether his act is on record as done; none while it runs.
    pub(super) recorded: Option<bool>,
    /// Whether he is an operator, and was all the time since.
    pub(super) active: bool,
}

/// A tenant's review.
#[derive(Clone, Debug)]
pub struct Review {
    /// What it says.
    pub verdict: Verdict,
    /// In words.
    pub note: String,
    /// Who of the tenant.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The ticket that was opened for it.
    pub ticket: Option<TicketId>,
}

/// An act under a broken glass.
#[derive(Clone, Debug)]
pub struct GlassAct {
    /// The record in the tenant's log.
    pub record: u64,
    /// Its name, `ListObjects`.
    pub name: String,
    /// On what.
    pub resource: String,
    /// When.
    pub at: Timestamp,
}

/// A glass that was to be broken.
#[derive(Clone, Debug)]
pub struct Glass {
    /// Whose things.
    pub tenant: TenantId,
    /// Its id.
    pub id: HandlingId,
    /// The provider's number of the incident.
    pub incident: String,
    /// Why, in words.
    pub reason: String,
    /// For how long.
    pub minutes: u32,
    /// Who asked, and acts.
    pub asked: Hand,
    /// The other person.
    pub broken: Option<Hand>,
    /// When it is over.
    pub until: Option<Timestamp>,
    /// By whom it was ended and when: a pseudonym, or a user of the tenant.
    pub ended: Option<(String, Timestamp)>,
    /// What the tenant said.
    pub review: Option<Review>,
    /// Whether the tenant has acknowledged its newest step.
    pub acknowledged: bool,
    /// What was done, in order.
    pub acts: Vec<GlassAct>,
    /// The newest time of the tenant's log: it never goes back.
    pub(super) last: Timestamp,
}

/// A step after it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlassStep {
    /// Another person than asked: break it.
    Break,
    /// It ends now: by an operator, the tenant, or at the machine.
    End,
    /// The tenant says what it thinks of it, once, when it is over.
    Review(Verdict),
}

impl Glass {
    /// How far it is. What the tenant's log has seen counts: a clock that goes back brings nothing back.
    pub fn state(&self, now: Timestamp) -> GlassState {
        let moment = now.max(self.last);
        let both = [Some(&self.asked), self.broken.as_ref()];
        let lost = both.into_iter().flatten().any(|h| h.recorded == Some(false) || !h.active);
        match (&self.ended, &self.broken, self.until) {
            (Some(_), ..) => GlassState::Ended,
            (_, Some(_), Some(until)) if moment >= until => GlassState::Expired,
            (_, None, _) if moment >= plus(self.asked.at, GLASS_MINUTES_MAX) => GlassState::Lapsed,
            _ if lost => GlassState::Void,
            (_, Some(_), _) => GlassState::Broken,
            (_, None, _) => GlassState::Asked,
        }
    }

    /// Whether an operator may do this under it.
    pub(super) fn lets(&self, operator: &OperatorId, action: &str, now: Timestamp) -> bool {
        let on_record = |hand: &Hand| hand.recorded == Some(true);
        self.state(now) == GlassState::Broken
            && on_record(&self.asked)
            && self.broken.as_ref().is_some_and(|b| on_record(b) && b.operator != self.asked.operator)
            && self.asked.operator == *operator
            && GLASS_ACTS.contains(&action)
    }

    /// Why a step is not taken; `by`: the operator, if it is one.
    pub(super) fn stops(&self, step: GlassStep, by: Option<&OperatorId>, now: Timestamp) -> Option<String> {
        let state = self.state(now);
        let fits = match step {
            GlassStep::Break if by == Some(&self.asked.operator) => {
                return Some("who asked does not break it: another person must".into());
            }
            // Judged by such a log its time would not pass.
            GlassStep::Break if self.last > now.plus_ms(MINUTE_MS) => {
                return Some(format!(
                    "is not broken: the tenant's log is ahead of the clock, at {}; mend the clock first",
                    self.last.iso()
                ));
            }
            GlassStep::Break => {
                state == GlassState::Asked && self.asked.recorded == Some(true) && by.is_some()
            }
            GlassStep::End => state.is_open(),
            GlassStep::Review(_) => !state.is_open() && self.broken.is_some() && self.review.is_none(),
        };
        (!fits).then(|| match (&self.review, step) {
            (Some(review), GlassStep::Review(_)) => format!("was {} before", review.verdict.word()),
            _ => format!("is {}", state.word()),
        })
    }
}

fn plus(at: Timestamp, minutes: u32) -> Timestamp {
    at.plus_ms(i64::from(minutes) * MINUTE_MS)
}

/// Whether an act of an operator lies under a broken glass; then it is noted with it.
pub(crate) fn lets(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    (caller, action): (&Caller, &str),
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (Some(operator), None, None) = (caller.operator(), caller.bound(), caller.change()) else {
        return Ok(false);
    };
    Ok(rows::glass::one(tx, id)?.is_some_and(|g| g.lets(operator, action, now)))
}

/// Notes an act under a glass, in the transaction of its intent.
pub(crate) fn note_act(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    record: u64,
    asked: &Asked,
    now: Timestamp,
) -> Result<(), StoreError> {
    rows::glass::note(tx, id, record, (asked.event_name(), asked.resource.relative()), now)
}

/// An operator asks for a glass to be broken. It does nothing yet.
#[derive(Clone, Debug)]
pub struct AskGlass {
    /// Whose things.
    pub tenant: TenantId,
    /// The provider's number of the incident, 1 to 64 characters.
    pub incident: String,
    /// Why, 5 to 1,000 characters; the tenant reads it.
    pub reason: String,
    /// For how long, 1 to 60.
    pub minutes: u32,
}

/// A step of a glass as it is on file; [`House::step_glass`] makes it.
struct Moved {
    glass: Glass,
    step: GlassStep,
    note: String,
}

fn short(text: &str, max: usize) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(max).collect()
}

fn asked(tenant: &TenantId, action: &'static str, id: &str, told: Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, &format!("handling/{id}")),
        resource_type: "ACS::Bailee::Handling",
        class: Class::Management { write: true },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(told),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

/// Who opens it: an operator who showed his second factor just now, by an act on record.
fn opener(house: &House, intent: &Intent) -> Result<(OperatorId, u64), Failure> {
    let caller = intent.caller();
    let (Some(operator), Some(record)) = (caller.operator(), intent.record()) else {
        return Err(Failure::Conflict(
            "a glass is broken by the provider's people: sign in as an operator".into(),
        ));
    };
    caller.need_fresh_mfa(house.now())?;
    Ok((operator.clone(), record))
}

impl Operation for AskGlass {
    type Output = (HandlingId, u32);

    fn asks(&self) -> Asked {
        let told = json!({
            "incident": short(&self.incident, 64), "reason": short(&self.reason, 1_000), "minutes": self.minutes,
        });
        asked(&self.tenant, "bailee:AskGlass", "*", told)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        let (operator, record) = opener(house, intent)?;
        let incident = line("incident", &self.incident, (1, 64))?;
        let reason = line("reason", &self.reason, (5, 1_000))?;
        if !(1..=GLASS_MINUTES_MAX).contains(&self.minutes) {
            return Err(Failure::invalid("minutes", format!("must be 1 to {GLASS_MINUTES_MAX}")));
        }
        let pseudonym = house.pseudonym(&self.tenant, &operator).to_string();
        let inner = Arc::clone(house);
        house
            .db
            .write(move |tx| {
                let now = inner.now();
                let mut own = 0;
                for (tenant, id) in rows::glass::of_operator(tx, &operator, now)? {
                    let found = rows::glass::one(&mut tx.tenant(&tenant), &id)?;
                    own += usize::from(found.is_some_and(|g| g.state(now).is_open()));
                }
                if own >= GLASSES_MAX {
                    return Err(Failure::Conflict(format!(
                        "{GLASSES_MAX} glasses of yours wait or are broken: end one first"
                    )));
                }
                let mut tx = tx.tenant(&self.tenant);
                // None is asked for while another is open: if one is, it is among the newest, several of which may be of one moment.
                let newest = rows::glass::all(&mut tx, 20)?;
                if let Some(open) = newest.iter().find(|g| g.state(now).is_open()) {
                    return Err(Failure::Conflict(format!(
                        "glass `{}` of this tenant is {}: there is one at a time",
                        open.id,
                        open.state(now).word()
                    )));
                }
                let moment = now.max(crate::trail::last_time(&mut tx)?);
                let id = HandlingId::random();
                let who = (&operator, pseudonym.as_str(), record);
                rows::glass::insert(&mut tx, (&id, &incident, &reason, self.minutes), who, moment)?;
                tell(&mut tx, &id, now)?;
                Ok((id, self.minutes))
            })
            .await
    }

    fn outcome_detail((id, minutes): &Self::Output) -> Map<String, Value> {
        parameters(json!({ "glass": { "id": id.as_str(), "act": "ask", "minutes": minutes } }))
    }
}

/// Tells everybody whom the tenant named, now and again until somebody acknowledges it.
fn tell(tx: &mut TenantTx<'_, '_>, id: &HandlingId, now: Timestamp) -> Result<(), Failure> {
    rows::glass::postpone_from(tx, id, Some(now.plus_ms(AGAIN_MS)))?;
    notices::emit_to_all(tx, id, now)?;
    Ok(())
}

impl Operation for Moved {
    type Output = (HandlingId, GlassStep, Option<Timestamp>, Option<TicketId>);

    fn asks(&self) -> Asked {
        let g = &self.glass;
        let action = match self.step {
            GlassStep::Break => "bailee:BreakGlass",
            GlassStep::End => "bailee:EndGlass",
            GlassStep::Review(_) => "bailee:ReviewGlass",
        };
        let verdict = match self.step {
            GlassStep::Review(verdict) => Some(verdict.word()),
            _ => None,
        };
        let told = json!({
            "handling": g.id.as_str(), "incident": g.incident, "reason": g.reason, "minutes": g.minutes,
            "askedBy": g.asked.pseudonym, "brokenBy": g.broken.as_ref().map(|b| b.pseudonym.as_str()),
            "verdict": verdict, "note": verdict.map(|_| short(&self.note, 1_000)),
        });
        asked(&g.tenant, action, g.id.as_str(), told)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        let (step, Glass { tenant, id, .. }) = (self.step, self.glass);
        let caller = intent.caller();
        let opens = match step {
            GlassStep::Break => Some(opener(house, intent)?),
            _ => None,
        };
        if matches!(step, GlassStep::Review(_)) && caller.tenant() != Some(&tenant) {
            return Err(Failure::Conflict("only the tenant's own people review it".into()));
        }
        let note = match step {
            GlassStep::Review(Verdict::Disputed) => line("note", &self.note, (5, 1_000))?,
            _ => line("note", &self.note, (0, 1_000))?,
        };
        let sealer = match step {
            GlassStep::Review(Verdict::Disputed) => Some(house.tenant_key(&tenant).await?),
            _ => None,
        };
        let by = caller.operator().cloned();
        let writer = match &by {
            Some(operator) => house.pseudonym(&tenant, operator).to_string(),
            None => caller.name().to_owned(),
        };
        let (inner, side) = (Arc::clone(house), tickets::side_of(caller, &tenant));
        let is_tenants = caller.tenant().is_some();
        house
            .db
            .write(move |tx| {
                let now = inner.now();
                let there = rows::glass::one(&mut tx.tenant(&tenant), &id)?
                    .ok_or_else(|| Failure::not_found(Thing::Glass, &id))?;
                if let Some(why) = there.stops(step, by.as_ref(), now) {
                    return Err(Failure::Conflict(format!("glass `{id}` {why}")));
                }
                let (mut until, mut ticket) = (None, None);
                match step {
                    GlassStep::Break => {
                        let mut tx = tx.tenant(&tenant);
                        let over = plus(now, there.minutes);
                        let Some((operator, record)) = &opens else {
                            return Err(Failure::Bug("a glass is broken by nobody".into()));
                        };
                        rows::glass::break_it(&mut tx, &id, (operator, &writer, *record), (now, over))?;
                        until = Some(over);
                    }
                    GlassStep::End => rows::glass::end(&mut tx.tenant(&tenant), &id, &writer, now)?,
                    GlassStep::Review(verdict) => {
                        if let Some(sealer) = sealer {
                            let title = format!("Glass {id} is disputed");
                            let kind = (tickets::Category::Compliance, tickets::Priority::High);
                            let text = Some((sealer, note.clone()));
                            ticket = Some(tickets::enter(tx, &tenant, (&title, kind), side, text, now)?);
                        }
                        let review =
                            Review { verdict, note, by: writer.clone(), at: now, ticket: ticket.clone() };
                        rows::glass::review(&mut tx.tenant(&tenant), &id, &review)?;
                    }
                }
                let mut tx = tx.tenant(&tenant);
                // What the tenant itself did it need not be told.
                if is_tenants {
                    rows::glass::postpone_from(&mut tx, &id, None)?;
                } else {
                    tell(&mut tx, &id, now)?;
                }
                Ok((id, step, until, ticket))
            })
            .await
    }

    fn outcome_detail((id, step, until, ticket): &Self::Output) -> Map<String, Value> {
        let act = match step {
            GlassStep::Break => "break",
            GlassStep::End => "end",
            GlassStep::Review(verdict) => verdict.word(),
        };
        parameters(json!({ "glass": {
            "id": id.as_str(), "act": act, "untilMs": until.map(Timestamp::ms),
            "ticket": ticket.as_ref().map(TicketId::as_str),
        } }))
    }
}

impl House {
    /// One glass, for the provider's people.
    ///
    /// # Errors
    /// When there is none.
    pub async fn glass(&self, tenant: &TenantId, id: &HandlingId) -> Result<Glass, Failure> {
        let (tenant, of) = (tenant.clone(), id.clone());
        let read = move |tx: &mut bailee_store::Tx<'_>| {
            let tx = &mut tx.tenant(&tenant);
            let found = rows::glass::one(tx, &of)?;
            Ok::<_, Failure>(found.map(|g| rows::glass::with_acts(tx, g)).transpose()?)
        };
        self.db.read(read).await?.ok_or_else(|| Failure::not_found(Thing::Glass, id))
    }

    /// Breaks, ends or reviews a glass: the act names the incident and both people.
    ///
    /// # Errors
    /// When there is no such glass, the caller may not, or it is not in the state for it.
    pub async fn step_glass(
        self: &Arc<Self>,
        caller: Caller,
        (tenant, id): (&TenantId, &HandlingId),
        step: GlassStep,
        note: &str,
    ) -> Result<Option<TicketId>, Failure> {
        let glass = self.glass(tenant, id).await?;
        let done = self.perform(caller, Moved { glass, step, note: note.to_owned() }).await?;
        Ok(done.3)
    }

    /// The caller under a glass: the gate then lets pass what that one allows, and nothing else.
    ///
    /// # Errors
    /// When there is no such glass.
    pub async fn under_glass(
        &self,
        caller: Caller,
        (tenant, id): (&TenantId, &HandlingId),
    ) -> Result<Caller, Failure> {
        let Glass { id, incident, .. } = self.glass(tenant, id).await?;
        Ok(caller.under_glass(id, incident))
    }

    /// What takes long asks again on its way whether the glass is still broken.
    pub(crate) async fn still_under_glass(&self, intent: &Intent) -> Result<(), Failure> {
        let Some((id, _)) = intent.caller().glass() else { return Ok(()) };
        let (tenant, caller) = (intent.asked().tenant.clone(), intent.caller().clone());
        let (of, action, now) = (id.clone(), intent.asked().action, self.now());
        let lets = self.db.read(move |tx| {
            lets(&mut tx.tenant(&tenant), &of, (&caller, action), now).map_err(Failure::from)
        });
        if lets.await? { Ok(()) } else { Err(Failure::Conflict(format!("glass `{id}` is over"))) }
    }
}

#[cfg(test)]
mod tests;
