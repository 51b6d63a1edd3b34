//! The tenant approves (perhaps narrower), denies, or revokes.

use std::sync::Arc;

use bailee_proof::grant::{GrantError, GrantStatement};
use bailee_proof::note::VerifierKey;
use bailee_store::TenantTx;
use bailee_types::{GrantId, Pseudonym, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::life::Approval;
use super::policy::{Circumstances, Person, consent_arn};
use super::request::parameters;
use super::rows::Approved;
use super::signed::{ByPasskey, Signature};
use super::{Request, Scope, Step, counting, rows, talk};
use crate::gate::{Asked, Caller, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

/// What the tenant decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, for at most this many minutes from now and this many reads; never more than asked for.
    Approve {
        /// Minutes from now; at most what was asked for.
        minutes: u32,
        /// Reads; at most what was asked for.
        uses_max: u32,
    },
    /// No.
    Deny,
    /// The grant ends now.
    Revoke,
}

/// A tenant's decision about one request.
#[derive(Clone, Debug)]
pub struct Decide {
    /// The tenant.
    pub tenant: TenantId,
    /// The request or grant.
    pub id: GrantId,
    /// What.
    pub decision: Decision,
    /// An approval as the tenant's approver signed it with a key of his own ([`GrantStatement`]): then it says until when and
    /// how many reads.
    pub statement: Option<String>,
    /// An approval that was signed with a passkey: see [`Decide::signed`].
    pub passkey: Option<ByPasskey>,
    /// An approval for less than was asked for.
    pub scope: Option<Scope>,
    /// What the other side reads of it, at most 1,000 characters; may be empty.
    pub note: String,
}

impl Decide {
    /// A decision about all that was asked for.
    pub fn new(tenant: TenantId, id: GrantId, decision: Decision) -> Self {
        Self { tenant, id, decision, statement: None, passkey: None, scope: None, note: String::new() }
    }
}

/// A decision as the outcome record tells it: everything that an outsider needs to replay consent from the log.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The request or grant.
    pub id: GrantId,
    /// What.
    pub decision: Decision,
    /// On what.
    pub scope: Scope,
    /// Who asked, as the tenant sees him.
    pub operator: Pseudonym,
    /// For an approval: the first instant at which it allows nothing any more.
    pub until: Option<Timestamp>,
    /// Of an approval: how it is signed.
    pub(super) signature: Option<Signature>,
    /// Of an approval: whose approvals count now.
    pub approved_by: Vec<String>,
    /// Of an approval: how many persons must approve. While there are fewer it opens nothing.
    pub needed: u32,
}

impl Decided {
    /// Whether an approval waits for further persons.
    pub fn waits(&self) -> bool {
        matches!(self.decision, Decision::Approve { .. }) && self.until.is_none()
    }
}

/// A signed statement, and whose signatures hold. Where the tenant named approvers, one of them must have signed.
fn signed(
    house: &House,
    tx: &mut TenantTx<'_, '_>,
    note: &str,
) -> Result<(GrantStatement, Vec<String>), Failure> {
    let wrong = |e: GrantError| Failure::invalid("statement", format!("is refused: {e}"));
    let approvers = house.approvers(tx)?;
    if approvers.is_empty() {
        return Ok((GrantStatement::read_unverified(note.as_bytes()).map_err(wrong)?, Vec::new()));
    }
    // One approver may be named at several stores.
    let mut known: Vec<&VerifierKey> = Vec::new();
    for key in &approvers {
        if !known.contains(&key) {
            known.push(key);
        }
    }
    GrantStatement::open(note.as_bytes(), &known).map_err(wrong)
}

impl Operation for Decide {
    type Output = Decided;

    fn asks(&self) -> Asked {
        let (action, detail) = match self.decision {
            Decision::Approve { minutes, uses_max } => (
                "bailee:ApproveConsent",
                json!({ "grant": self.id.as_str(), "minutes": minutes, "usesMax": uses_max, "narrowedTo": self.scope.as_ref().map(Scope::told) }),
            ),
            Decision::Deny => ("bailee:DenyConsent", json!({ "grant": self.id.as_str() })),
            Decision::Revoke => ("bailee:RevokeConsent", json!({ "grant": self.id.as_str() })),
        };
        let mut detail = parameters(detail);
        detail.insert("note".into(), self.note.chars().take(1_000).collect::<String>().into());
        Asked {
            tenant: self.tenant.clone(),
            action,
            resource: consent_arn(&self.tenant, &self.id),
            resource_type: "ACS::Bailee::Consent",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: detail,
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<Decided, Failure> {
        // The consent is the tenant's to give: no worker and no operator decides in his name.
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant decides about consent".into()));
        }
        // To let an operator in is as grave as anything here: whoever has a second factor shows it just before, or signs by it.
        if matches!(self.decision, Decision::Approve { .. }) && self.passkey.is_none() {
            house.need_fresh_if_bound(intent.caller()).await?;
        }
        let note = talk::written(&self.note)?;
        let (caller, record, inner) = (intent.caller().clone(), intent.record(), Arc::clone(house));
        house
            .db
            .write(move |tx| {
                let (by, now) = (caller.name(), inner.now());
                if let Some(passkey) = &mut self.passkey {
                    passkey.prove(&inner, tx, &caller, now)?;
                }
                let mut tx = tx.tenant(&self.tenant);
                let request = rows::one(&mut tx, &self.id)?
                    .ok_or_else(|| Failure::not_found(Thing::Grant, &self.id))?;
                let seen = crate::trail::last_time(&mut tx)?;
                let done = self.decide(&inner, &mut tx, (&caller, &request), (now, seen))?;
                if let (Decision::Approve { .. }, Some(record)) = (self.decision, record) {
                    rows::recorded(&mut tx, &self.id, record)?;
                }
                if let Some(text) = note {
                    talk::keep(&mut tx, &self.id, ("tenant", by), &text, now)?;
                }
                Ok(done)
            })
            .await
    }

    fn outcome_detail(done: &Decided) -> Map<String, Value> {
        let (act, uses_max) = match done.decision {
            // It opens nothing yet: who replays the log takes `approve` alone for a grant.
            Decision::Approve { .. } if done.waits() => ("approve-part", None),
            Decision::Approve { uses_max, .. } => ("approve", Some(uses_max)),
            Decision::Deny => ("deny", None),
            Decision::Revoke => ("revoke", None),
        };
        let mut told = done.scope.told();
        told.extend(parameters(json!({
            "grant": done.id.as_str(),
            "act": act,
            "action": done.scope.action(),
            "operator": done.operator.as_str(),
            "untilMs": done.until.map(Timestamp::ms),
            "usesMax": uses_max,
            "signedBy": done.signature.as_ref().map_or(&[][..], Signature::signed_by),
            "approvedBy": done.approved_by,
            "approvalsNeeded": done.needed,
        })));
        if let Some(signature) = &done.signature {
            told.insert("signature".into(), signature.told());
        }
        parameters(json!({ "consent": told }))
    }
}

impl Decide {
    /// The decision, in one transaction with the policy and the approvals that it is judged by.
    fn decide(
        &self,
        house: &House,
        tx: &mut TenantTx<'_, '_>,
        (caller, request): (&Caller, &Request),
        (now, seen): (Timestamp, Timestamp),
    ) -> Result<Decided, Failure> {
        let moment = request.moment(now, seen);
        let (seq, act, step) = match self.decision {
            Decision::Approve { minutes, uses_max } => {
                return self.approve(house, tx, (caller, request), (minutes, uses_max), (now, seen));
            }
            Decision::Deny => (1, "deny", Step::Deny),
            Decision::Revoke => (2, "revoke", Step::Revoke),
        };
        request.step(step, moment)?;
        let by = caller.name();
        let decision = rows::Decision { seq, act, by, at: now, seen, given: None, given_back: false };
        rows::decide(tx, &self.id, &decision)?;
        Ok(Decided {
            id: self.id.clone(),
            decision: self.decision,
            scope: request.scope.clone(),
            operator: request.pseudonym.clone(),
            until: None,
            signature: None,
            approved_by: Vec::new(),
            needed: 0,
        })
    }

    /// One person's yes. Enough of them open what the strictest of them allows.
    fn approve(
        &self,
        house: &House,
        tx: &mut TenantTx<'_, '_>,
        (caller, request): (&Caller, &Request),
        (minutes, uses_max): (u32, u32),
        (now, seen): (Timestamp, Timestamp),
    ) -> Result<Decided, Failure> {
        let moment = request.moment(now, seen);
        let policy = rows::policy(tx)?.policy;
        let person = Person::of(tx, caller)?;
        let by_passkey = self.passkey.is_some();
        policy.admit((caller, &person), by_passkey, now)?;
        let origin = caller.origin();
        let then = Circumstances {
            source_ip: origin.source_ip.clone(),
            secure: origin.secure,
            mfa: caller.mfa_present() || by_passkey,
            at: now,
        };
        if !person.counts(&policy, (&self.tenant, &self.id), &then) {
            return Err(Failure::Conflict(format!(
                "`{}` may not approve any more; nothing was changed",
                caller.name()
            )));
        }
        let minutes_max = request.minutes.min(policy.minutes_max);
        let mut approval = Approval {
            person: person.id().to_owned(),
            minutes,
            until: None,
            uses_max,
            scope: self.scope.clone().unwrap_or_else(|| request.scope_asked.clone()),
        };
        let mut signature = None;
        if let Some(note) = &self.statement {
            if self.scope.is_some() {
                return Err(Failure::invalid(
                    "statement",
                    "is about all that was asked for: sign it, or narrow it",
                ));
            }
            let (said, by) = signed(house, tx, note)?;
            let until = request.accepts(&said, now)?;
            (approval.minutes, approval.uses_max, approval.until) = (minutes_max, said.reads, Some(until));
            signature = Some(Signature::Note(note.clone(), by));
        } else {
            let custody = match request.scope.bucket() {
                Some(bucket) => crate::vault::is_in_custody(tx, bucket)?,
                None => false,
            };
            if custody {
                return Err(Failure::invalid(
                    "statement",
                    "is missing: the bucket's key lies with you; sign the statement with an approver's key \
                     (`bailee keyhouse approve`) and give it here",
                ));
            }
        }
        approval.fits(request, policy.minutes_max)?;
        if let Some(passkey) = &self.passkey {
            signature = Some(passkey.covers(caller, request, &approval)?);
        }
        let signed_with = signature.as_ref().and_then(Signature::with);
        if policy.signed && signed_with.is_none() {
            return Err(super::signed::missing());
        }
        let mut life = request.life();
        let before = counting(tx, request, &policy, now)?;
        life.approvals = before.iter().map(|a| a.approval.clone()).collect();
        let next = life
            .next(Step::Approve(approval.clone(), policy.approvals), moment)
            .map_err(|stop| request.stopped(stop))?;
        let (by, statement) = (caller.name().to_owned(), self.statement.clone());
        let approved = Approved { approval, by, then, statement, signed_with };
        rows::approve(tx, &self.id, &approved)?;
        let all: Vec<&Approved> = before.iter().chain([&approved]).collect();
        if let Some(given) = &next.given {
            let by = caller.name();
            let (given, given_back) = (Some(given), false);
            let decision = rows::Decision { seq: 1, act: "approve", by, at: now, seen, given, given_back };
            rows::decide(tx, &self.id, &decision)?;
            if let Some(note) = all.iter().rev().find_map(|a| a.statement.as_deref()) {
                rows::keep_statement(tx, &self.id, note)?;
            }
        }
        let given = next.given;
        Ok(Decided {
            id: self.id.clone(),
            decision: Decision::Approve {
                minutes: approved.approval.minutes,
                uses_max: given.as_ref().map_or(approved.approval.uses_max, |g| g.uses_max),
            },
            scope: given.as_ref().map_or(approved.approval.scope, |g| g.scope.clone()),
            operator: request.pseudonym.clone(),
            until: given.map(|g| g.until),
            signature,
            approved_by: before.iter().map(|a| a.by.clone()).chain([caller.name().to_owned()]).collect(),
            needed: policy.approvals,
        })
    }
}
