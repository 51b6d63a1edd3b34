//! Standing rights: what a tenant has decided before it is asked.
//!
//! A standing right opens nothing by itself. An operator asks on an open ticket as ever; a request that lies wholly inside a live
//! right becomes a grant at once, in the transaction that asks (or that the provider's second pair of eyes confirms in).
//! INVARIANT: a right is for one object, a beginning of keys that is not empty, or one system with limits, for 90 days at most.
//! INVARIANT: it opens what its setter could approve at that moment: he is judged again, as an approver is when he is counted.
//! INVARIANT: a right holds, and a grant of it allows something, once the log tells of it; what a lost outcome leaves is nothing.
//! INVARIANT: a right's end ends every grant that came of it, in the same transaction.
//! Where its system was moved it ends without that: no session opens under a grant of before (`broker::session`).

use std::sync::Arc;

use bailee_store::{StoreError, TenantTx};
use bailee_types::{Arn, GrantId, OperatorId, Pseudonym, StandingId, TargetName, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::life::{Given, Life, Step};
use super::policy::{Circumstances, Person};
use super::request::parameters;
use super::{Code, Scope, rows};
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing, notices};

/// Live rights of a tenant, at most.
const RIGHTS_MAX: u64 = 20;
/// Operators that a right names, at most.
const OPERATORS_MAX: usize = 50;
const DAY_MS: i64 = 86_400_000;
/// Days that a right holds, at most.
const DAYS_MAX: i64 = 90;
/// Rights that are over and listed.
pub(super) const ENDED_MAX: u32 = 100;

/// What a standing right allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// On what.
    pub scope: Scope,
    /// Whom, as the tenant sees them; empty: any operator who holds an open ticket.
    pub operators: Vec<Pseudonym>,
    /// For which codes of requests.
    pub codes: Vec<Code>,
    /// Minutes of one grant, at most.
    pub minutes: u32,
    /// Uses of one grant, at most.
    pub uses_max: u32,
    /// Uses of all its grants that begin within 24 hours, at most.
    pub day_uses_max: u32,
    /// The first instant at which it and its grants allow nothing any more.
    pub until: Timestamp,
}

/// A standing right as the tenant sees it.
#[derive(Clone, Debug)]
pub struct StandingRight {
    /// Its id.
    pub id: StandingId,
    /// What it allows.
    pub terms: Terms,
    /// What the tenant wrote on it.
    pub why: String,
    /// Who set it, when.
    pub set: (String, Timestamp),
    /// Who ended it, when.
    pub ended: Option<(String, Timestamp)>,
    /// What it gave within the last 24 hours.
    pub day_uses: u32,
    pub(super) person: String,
    pub(super) then: Circumstances,
    /// Whether the log tells that it was set.
    pub(super) told: bool,
}

/// A grant that a standing right opened, as the outcome record tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingOpened {
    /// The right.
    pub right: StandingId,
    /// On what.
    pub scope: Scope,
    /// Who asked, as the tenant sees him.
    pub operator: Pseudonym,
    /// Why he asked.
    pub code: Code,
    /// The first instant at which it allows nothing any more.
    pub until: Timestamp,
    /// Uses.
    pub uses_max: u32,
    /// Minutes from its beginning to its end.
    pub minutes: u32,
}

impl StandingOpened {
    /// In the words of records.
    pub(super) fn told(&self) -> Value {
        let mut told = self.scope.told();
        told.extend(parameters(json!({
            "standing": self.right.as_str(), "action": self.scope.action(), "operator": self.operator.as_str(),
            "code": self.code.word(), "untilMs": self.until.ms(), "usesMax": self.uses_max,
            "minutes": self.minutes,
        })));
        Value::Object(told)
    }
}

/// A right held against a request: everything that decides whether it opens it.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    pub(super) terms: Terms,
    pub(super) operator: Pseudonym,
    pub(super) code: Code,
    pub(super) day_uses: u32,
    pub(super) ended: bool,
}

impl Stand {
    /// All that was asked for, when it lies wholly inside the right; else nothing.
    pub(super) fn gives(&self, request: &Life, now: Timestamp) -> Option<Given> {
        let (t, until) = (&self.terms, now.plus_ms(i64::from(request.minutes) * 60_000));
        let inside = !self.ended
            && now < t.until
            && until <= t.until
            && (t.operators.is_empty() || t.operators.contains(&self.operator))
            && t.codes.contains(&self.code)
            && request.scope.is_within(&t.scope)
            && request.minutes <= t.minutes
            && request.uses_max <= t.uses_max
            && self.day_uses.saturating_add(request.uses_max) <= t.day_uses_max;
        inside.then(|| Given { until, uses_max: request.uses_max, scope: request.scope.clone() })
    }
}

impl Terms {
    /// Refuses what no right may be.
    fn check(&self, now: Timestamp) -> Result<(), Failure> {
        self.scope.check()?;
        if matches!(&self.scope, Scope::Prefix { prefix, .. } if prefix.is_empty()) {
            let why = "must not be empty: a standing right is for a part of a bucket, not for all of it";
            return Err(Failure::invalid("prefix", why));
        }
        for (field, n, max) in [
            ("minutes", self.minutes, 1_440),
            ("uses", self.uses_max, 1_000),
            ("uses_a_day", self.day_uses_max, 1_000),
        ] {
            if !(1..=max).contains(&n) {
                return Err(Failure::invalid(field, format!("must be 1 to {max}")));
            }
        }
        if self.day_uses_max < self.uses_max {
            return Err(Failure::invalid("uses_a_day", "must not be less than the uses of one grant"));
        }
        let once = |n: usize, all: Vec<&str>| {
            all.len() == n && all.iter().collect::<std::collections::BTreeSet<_>>().len() == n
        };
        let operators: Vec<_> = self.operators.iter().map(Pseudonym::as_str).take(OPERATORS_MAX).collect();
        if !once(self.operators.len(), operators) {
            let why = format!("must be at most {OPERATORS_MAX} numbers such as `emp-…`, each once");
            return Err(Failure::invalid("operators", why));
        }
        let codes: Vec<_> = self.codes.iter().map(|c| c.word()).take(Code::ALL.len()).collect();
        if codes.is_empty() || !once(self.codes.len(), codes) {
            return Err(Failure::invalid("codes", "must be some of the codes of requests, each once"));
        }
        if self.codes.contains(&Code::LegalRequest) {
            let why = "must not name legal_request: each is decided by itself, by its reference";
            return Err(Failure::invalid("codes", why));
        }
        if self.until <= now || self.until > now.plus_ms(DAYS_MAX * DAY_MS) {
            return Err(Failure::invalid("until", format!("must lie ahead, at most {DAYS_MAX} days")));
        }
        Ok(())
    }

    /// In the words of records.
    fn told(&self) -> Map<String, Value> {
        let mut told = self.scope.told();
        let operators: Vec<_> = self.operators.iter().take(OPERATORS_MAX).map(Pseudonym::as_str).collect();
        let codes: Vec<_> = self.codes.iter().take(Code::ALL.len()).map(|c| c.word()).collect();
        told.extend(parameters(json!({
            "action": self.scope.action(), "operators": operators, "codes": codes, "minutes": self.minutes,
            "usesMax": self.uses_max, "dayUsesMax": self.day_uses_max, "untilMs": self.until.ms(),
        })));
        told
    }
}

impl StandingRight {
    /// Whether it opens anything now: set on record, not ended, not over.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.told && self.ended.is_none() && now < self.terms.until
    }
}

/// Sets a standing right.
#[derive(Clone, Debug)]
pub struct SetStandingRight {
    /// The tenant.
    pub tenant: TenantId,
    /// What it allows.
    pub terms: Terms,
    /// What the tenant's people read of it later, at most 1,000 characters; may be empty.
    pub why: String,
}

/// Ends a standing right, and every grant that came of it.
#[derive(Clone, Debug)]
pub struct RevokeStandingRight {
    /// The tenant.
    pub tenant: TenantId,
    /// The right.
    pub id: StandingId,
}

/// The tenant's standing rights: those that are live, the newest first, then the newest that are over.
#[derive(Clone, Debug)]
pub struct ListStandingRights {
    /// The tenant.
    pub tenant: TenantId,
}

/// A right that was ended, and the grants that ended with it.
#[derive(Clone, Debug)]
pub struct RightEnded {
    /// The right.
    pub id: StandingId,
    /// The grants.
    pub grants: Vec<GrantId>,
}

fn asked(
    tenant: &TenantId,
    action: &'static str,
    id: &str,
    class: Class,
    detail: Map<String, Value>,
) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, &format!("standing-right/{id}")),
        resource_type: "ACS::Bailee::Consent",
        class,
        touches: Touches::Nothing,
        ticket: None,
        parameters: detail,
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

const WRITES: Class = Class::Management { write: true };

impl Operation for SetStandingRight {
    type Output = (StandingId, Terms);

    fn asks(&self) -> Asked {
        let mut detail = self.terms.told();
        detail.insert("why".into(), self.why.chars().take(1_000).collect::<String>().into());
        asked(&self.tenant, "bailee:SetStandingRight", "*", WRITES, detail)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(StandingId, Terms), Failure> {
        let caller = intent.caller().clone();
        if caller.tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant sets its standing rights".into()));
        }
        let Some(record) = intent.record() else {
            return Err(Failure::Bug("a standing right is set without a record".into()));
        };
        house.need_fresh_if_bound(&caller).await?;
        // Who may not approve one request may not approve many that nobody has seen yet.
        let all = Arn::own(&self.tenant, "consent/*");
        house.ask_further(intent, "bailee:ApproveConsent", (all, "ACS::Bailee::Consent")).await?;
        self.terms.check(house.now())?;
        let why = super::talk::written(&self.why)?.unwrap_or_default();
        let inner = Arc::clone(house);
        house
            .db
            .write(move |tx| {
                let (mut tx, now) = (tx.tenant(&self.tenant), inner.now());
                let policy = rows::policy(&mut tx)?.policy;
                let person = Person::of(&mut tx, &caller)?;
                if matches!(person, Person::Session) {
                    let why = "a standing right outlives a session of a role: a user or root sets it";
                    return Err(Failure::Conflict(why.into()));
                }
                policy.admit((&caller, &person), false, now)?;
                if policy.approvals > 1 {
                    return Err(Failure::Conflict(format!(
                        "the consent policy demands {} persons for each grant: while it does, there are no standing \
                         rights",
                        policy.approvals
                    )));
                }
                if policy.signed {
                    let why = "the consent policy demands that each approval is signed: while it does, there are no standing rights";
                    return Err(Failure::Conflict(why.into()));
                }
                if self.terms.minutes > policy.minutes_max {
                    let why = format!("must be 1 to {}: the consent policy allows no longer", policy.minutes_max);
                    return Err(Failure::invalid("minutes", why));
                }
                match &self.terms.scope {
                    Scope::Target { target, limits } => crate::broker::fits(&mut tx, target, limits)?,
                    Scope::Object { bucket, .. } | Scope::Prefix { bucket, .. } => {
                        if crate::vault::region_of(&mut tx, &Arn::bucket(&self.tenant, bucket))?.is_none() {
                            return Err(Failure::not_found(Thing::Bucket, bucket));
                        }
                        if crate::vault::is_in_custody(&mut tx, bucket)? {
                            let why = "must not be of a bucket whose key lies with you: there each grant is signed by itself";
                            return Err(Failure::invalid("scope", why));
                        }
                    }
                }
                if rows::standing::live(&mut tx, now)?.len() as u64 >= RIGHTS_MAX {
                    return Err(Failure::limit(Thing::StandingRight, "live standing rights", RIGHTS_MAX));
                }
                let origin = caller.origin();
                let then = Circumstances {
                    source_ip: origin.source_ip.clone(),
                    secure: origin.secure,
                    mfa: caller.mfa_present(),
                    at: now,
                };
                if !person.counts(&policy, (&self.tenant, &GrantId::random()), &then) {
                    return Err(Failure::Conflict(format!(
                        "`{}` may not approve any request that comes; nothing was changed",
                        caller.name()
                    )));
                }
                let right = StandingRight {
                    id: StandingId::random(),
                    terms: self.terms,
                    why,
                    set: (caller.name().to_owned(), now),
                    ended: None,
                    day_uses: 0,
                    person: person.id().to_owned(),
                    then,
                    told: false,
                };
                rows::standing::insert(&mut tx, &right, record)?;
                Ok((right.id, right.terms))
            })
            .await
    }

    fn outcome_detail((id, terms): &Self::Output) -> Map<String, Value> {
        let mut told = terms.told();
        told.extend(parameters(json!({ "right": id.as_str(), "act": "set" })));
        parameters(json!({ "standing": told }))
    }
}

impl Operation for RevokeStandingRight {
    type Output = RightEnded;

    fn asks(&self) -> Asked {
        let detail = parameters(json!({ "right": self.id.as_str() }));
        asked(&self.tenant, "bailee:RevokeStandingRight", self.id.as_str(), WRITES, detail)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<RightEnded, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant ends its standing rights".into()));
        }
        let (by, inner) = (intent.caller().name().to_owned(), Arc::clone(house));
        house
            .db
            .write(move |tx| {
                let (mut tx, now) = (tx.tenant(&self.tenant), inner.now());
                let right = rows::standing::one(&mut tx, &self.id, now)?
                    .ok_or_else(|| Failure::not_found(Thing::StandingRight, &self.id))?;
                if right.ended.is_some() {
                    return Err(Failure::Conflict(format!("standing right `{}` was ended before", self.id)));
                }
                rows::standing::end(&mut tx, &self.id, &by, now)?;
                let seen = crate::trail::last_time(&mut tx)?;
                let grants = rows::standing::not_over(&mut tx, &self.id, now)?;
                for grant in &grants {
                    let (act, by) = ("revoke", by.as_str());
                    let end =
                        rows::Decision { seq: 2, act, by, at: now, seen, given: None, given_back: false };
                    rows::decide(&mut tx, grant, &end)?;
                }
                Ok(RightEnded { id: self.id, grants })
            })
            .await
    }

    fn outcome_detail(done: &RightEnded) -> Map<String, Value> {
        let grants: Vec<_> = done.grants.iter().map(GrantId::as_str).collect();
        parameters(json!({ "standing": { "right": done.id.as_str(), "act": "revoke", "grants": grants } }))
    }
}

impl Operation for ListStandingRights {
    type Output = Vec<StandingRight>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListStandingRights", "*", Class::Data, Map::new())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<StandingRight>, Failure> {
        let now = house.now();
        house
            .db
            .read(move |tx| {
                let tx = &mut tx.tenant(&self.tenant);
                let mut all = rows::standing::live(tx, now)?;
                all.extend(rows::standing::over(tx, now)?);
                Ok(all)
            })
            .await
    }
}

impl House {
    /// The live standing rights of a tenant by which an operator would get a grant.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn standing_for(
        &self,
        tenant: &TenantId,
        operator: &OperatorId,
    ) -> Result<Vec<StandingRight>, Failure> {
        let (of, now, who) = (tenant.clone(), self.now(), self.pseudonym(tenant, operator));
        let read = move |tx: &mut bailee_store::Tx<'_>| {
            rows::standing::live(&mut tx.tenant(&of), now).map_err(Failure::from)
        };
        let mut all = self.db.read(read).await?;
        all.retain(|r| r.is_live(now) && (r.terms.operators.is_empty() || r.terms.operators.contains(&who)));
        Ok(all)
    }
}

/// Opens a request that waits for the tenant, when a standing right covers it: the grant is kept with the right's name and the
/// record of this act, and the tenant is told.
pub(super) fn open(
    tx: &mut TenantTx<'_, '_>,
    (tenant, id): (&TenantId, &GrantId),
    record: Option<u64>,
    now: Timestamp,
) -> Result<Option<StandingOpened>, Failure> {
    // What the log has seen counts: a clock that goes back brings no right back.
    let seen = crate::trail::last_time(tx)?;
    let moment = now.max(seen);
    let rights = rows::standing::live(tx, moment)?;
    let (false, Some(record)) = (rights.is_empty(), record) else { return Ok(None) };
    let policy = rows::policy(tx)?.policy;
    let Some(request) = rows::one(tx, id)? else { return Ok(None) };
    let in_custody = match request.scope.bucket() {
        Some(bucket) => crate::vault::is_in_custody(tx, bucket)?,
        None => false,
    };
    let closed = policy.hours.as_ref().is_some_and(|h| h.end(moment).is_none());
    if in_custody || closed || policy.approvals > 1 || policy.signed || request.minutes > policy.minutes_max {
        return Ok(None);
    }
    for right in rights.into_iter().filter(|r| r.is_live(moment)) {
        let setter = Person::by_id(tx, &right.person)?;
        if !setter.is_some_and(|p| p.counts(&policy, (tenant, id), &right.then)) {
            continue;
        }
        let stand = Stand {
            terms: right.terms,
            operator: request.pseudonym.clone(),
            code: request.code,
            day_uses: right.day_uses,
            ended: false,
        };
        let Ok(next) = request.life().next(Step::Stand(Box::new(stand)), moment) else { continue };
        let Some(given) = next.given else { continue };
        let by = format!("standing right {} of {}", right.id, right.set.0);
        let decision = rows::Decision {
            seq: 1,
            act: "approve",
            by: &by,
            at: moment,
            seen,
            given: Some(&given),
            given_back: false,
        };
        rows::decide(tx, id, &decision)?;
        rows::standing::opened(tx, id, &right.id, record)?;
        notices::emit(tx, notices::Kind::Consent, right.id.as_str(), now)?;
        return Ok(Some(StandingOpened {
            right: right.id,
            scope: given.scope,
            operator: request.pseudonym,
            code: request.code,
            until: given.until,
            uses_max: given.uses_max,
            minutes: request.minutes,
        }));
    }
    Ok(None)
}
/// Ends the rights to a system that is not where it was.
pub(crate) fn end_standing_of_target(
    tx: &mut TenantTx<'_, '_>,
    name: &TargetName,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for right in rows::standing::live(tx, now)? {
        if matches!(&right.terms.scope, Scope::Target { target, .. } if target == name) {
            rows::standing::end(tx, &right.id, by, now)?;
        }
    }
    Ok(())
}
