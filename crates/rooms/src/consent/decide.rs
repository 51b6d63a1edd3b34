//! The tenant approves (perhaps narrower), denies, or revokes.

use std::sync::Arc;

use bailee_proof::grant::{GrantError, GrantStatement};
use bailee_proof::note::VerifierKey;
use bailee_store::TenantTx;
use bailee_types::{Arn, GrantId, Pseudonym, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::request::parameters;
use super::{Scope, State, rows};
use crate::gate::{Asked, Class, Intent, Operation, Touches};
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
    /// Who signed the statement, when there is one.
    pub signed_by: Vec<String>,
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
                json!({ "grant": self.id.as_str(), "minutes": minutes, "usesMax": uses_max }),
            ),
            Decision::Deny => ("bailee:DenyConsent", json!({ "grant": self.id.as_str() })),
            Decision::Revoke => ("bailee:RevokeConsent", json!({ "grant": self.id.as_str() })),
        };
        Asked {
            tenant: self.tenant.clone(),
            action,
            resource: Arn::own(&self.tenant, &format!("consent/{}", self.id)),
            resource_type: "ACS::Bailee::Consent",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(detail),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Decided, Failure> {
        // The consent is the tenant's to give: no worker and no operator decides in his name.
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant decides about consent".into()));
        }
        // To let an operator in is as grave as anything here: whoever has a second factor shows it just before.
        if matches!(self.decision, Decision::Approve { .. }) {
            house.need_fresh_if_bound(intent.caller()).await?;
        }
        let by = intent.caller().name().to_owned();
        let now = house.now();
        let inner = Arc::clone(house);
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let request = rows::one(&mut tx, &self.id)?
                    .ok_or_else(|| Failure::not_found(Thing::Grant, &self.id))?;
                let mut approved_until = None;
                let (statement, signed_by) = match &self.statement {
                    Some(note) => {
                        let (read, by) = signed(&inner, &mut tx, note)?;
                        (Some(read), by)
                    }
                    None => (None, Vec::new()),
                };
                let mut decision = self.decision;
                match (self.decision, request.state(now)) {
                    (Decision::Approve { .. }, State::Pending) if statement.is_some() => {
                        let said = statement.as_ref().ok_or_else(|| Failure::Bug("no statement".into()))?;
                        let until = request.accepts(said, now)?;
                        decision = Decision::Approve { minutes: request.minutes, uses_max: said.reads };
                        approved_until = Some(until);
                        rows::decide(&mut tx, &self.id, 1, "approve", &by, now, Some((until, said.reads)))?;
                        let note = self.statement.as_deref().unwrap_or_default();
                        rows::keep_statement(&mut tx, &self.id, note)?;
                    }
                    (Decision::Approve { minutes, uses_max }, State::Pending) => {
                        let custody = match request.scope.bucket() {
                            Some(bucket) => crate::vault::is_in_custody(&mut tx, bucket)?,
                            None => false,
                        };
                        if custody {
                            return Err(Failure::invalid(
                                "statement",
                                "is missing: the bucket's key lies with you; sign the statement with an approver's key \
                                 (`bailee keyhouse approve`) and give it here",
                            ));
                        }
                        if minutes < 1 || minutes > request.minutes {
                            return Err(Failure::invalid(
                                "minutes",
                                format!("must be 1 to {}", request.minutes),
                            ));
                        }
                        if uses_max < 1 || uses_max > request.uses_max_asked {
                            return Err(Failure::invalid(
                                "uses",
                                format!("must be 1 to {}", request.uses_max_asked),
                            ));
                        }
                        let until = now.plus_ms(i64::from(minutes) * 60_000);
                        approved_until = Some(until);
                        rows::decide(&mut tx, &self.id, 1, "approve", &by, now, Some((until, uses_max)))?;
                    }
                    (Decision::Deny, State::Pending) => {
                        rows::decide(&mut tx, &self.id, 1, "deny", &by, now, None)?;
                    }
                    (
                        Decision::Revoke,
                        State::Live | State::Exhausted | State::TicketClosed | State::OperatorDisabled,
                    ) if request.approved.is_some() => {
                        rows::decide(&mut tx, &self.id, 2, "revoke", &by, now, None)?;
                    }
                    (_, state) => {
                        return Err(Failure::Conflict(format!(
                            "request `{}` is {state:?} now; nothing was changed",
                            self.id
                        )));
                    }
                }
                Ok(Decided {
                    id: self.id,
                    decision,
                    scope: request.scope,
                    operator: request.pseudonym,
                    until: approved_until,
                    signed_by,
                })
            })
            .await
    }

    fn outcome_detail(done: &Decided) -> Map<String, Value> {
        let (act, uses_max) = match done.decision {
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
            "signedBy": done.signed_by,
        })));
        parameters(json!({ "consent": told }))
    }
}
