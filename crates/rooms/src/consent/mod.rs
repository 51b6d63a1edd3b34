//! Consent: what a tenant has allowed the provider to do, and until when.
//!
//! If no grant covers an operation the answer is "ask", never "probably fine".
//! INVARIANT: a request row is never edited; what was decided is a row of its own, so an auditor can see what
//! was allowed at any past moment.
//! INVARIANT: scope only narrows from request to grant; doing nothing means no (a request lapses).
//! INVARIANT: whether a grant is live is computed from rows and the present instant, never stored.

mod decide;
mod look;
mod request;
mod rows;
mod scope;

use bailee_proof::grant::GrantStatement;
use bailee_store::{StoreError, Tx};
use bailee_types::{GrantId, OperatorId, Pseudonym, TenantId, TicketId, Timestamp};

pub use decide::{Decide, Decided, Decision};
pub use look::{GetConsent, ListConsents};
pub(crate) use request::parameters;
pub use request::{RequestConsent, WithdrawRequest};
pub use scope::{ClusterRule, Limits, Scope, ServiceRule};
pub(crate) use scope::{session_action, target_arn};

use crate::gate::Asked;
use crate::{Failure, House, Thing};

/// A request waits this long for the tenant's answer; then it lapses, which is a no.
pub const LAPSE_MS: i64 = 72 * 3_600_000;

/// A grant that covers an act at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The grant.
    pub grant: GrantId,
    /// Whose data.
    pub tenant: TenantId,
    /// The action it allows.
    pub action: String,
    /// On what.
    pub scope: Scope,
    /// The first instant at which it allows nothing any more.
    pub until: Timestamp,
    /// Reads left after this one.
    pub uses_left: u64,
    /// Why the operator asked.
    pub reason: String,
}

/// Why no grant covers an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCoverage {
    /// Nobody asked.
    NotAsked,
    /// A request waits for the tenant.
    Waiting,
    /// The tenant said no.
    Denied,
    /// The operator took the request back, or it lapsed.
    Lapsed,
    /// The grant's time is over.
    Expired,
    /// The tenant took the grant back.
    Revoked,
    /// All reads of the grant are used.
    Exhausted,
    /// The ticket is closed.
    TicketClosed,
    /// The operator is disabled.
    OperatorDisabled,
}

impl std::fmt::Display for NoCoverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "none was asked for",
            Self::Waiting => "the request waits for the tenant",
            Self::Denied => "the tenant denied it",
            Self::Lapsed => "the request lapsed",
            Self::Expired => "the grant has expired",
            Self::Revoked => "the tenant revoked the grant",
            Self::Exhausted => "all reads of the grant are used",
            Self::TicketClosed => "the ticket is closed",
            Self::OperatorDisabled => "the operator is disabled",
        })
    }
}

/// Where a request or grant stands at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for the tenant.
    Pending,
    /// Live: the operator may act.
    Live,
    /// Denied by the tenant.
    Denied,
    /// Taken back by the operator.
    Withdrawn,
    /// Not answered in time.
    Lapsed,
    /// Its time is over.
    Expired,
    /// Taken back by the tenant.
    Revoked,
    /// All reads are used.
    Exhausted,
    /// Its ticket was closed.
    TicketClosed,
    /// Its operator was disabled.
    OperatorDisabled,
}

/// A request with what was decided and used, as both sides see it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request, and the grant if approved.
    pub id: GrantId,
    /// Whose data.
    pub tenant: TenantId,
    /// The ticket it is bound to.
    pub ticket: TicketId,
    /// Who asks; for the provider's own pages only.
    pub operator: OperatorId,
    /// Who asks, as the tenant sees him.
    pub pseudonym: Pseudonym,
    /// Where the operator is, ISO 3166-1 alpha-2.
    pub place: String,
    /// The action asked for, `oss:GetObject`.
    pub action: String,
    /// On what.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// Minutes asked for, counted from the approval.
    pub minutes: u32,
    /// Reads asked for.
    pub uses_max_asked: u32,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it lapses without an answer.
    pub lapses_at: Timestamp,
    /// Who decided, when.
    pub decided: Option<(String, Timestamp)>,
    /// Until when and how many reads the tenant approved.
    pub approved: Option<(Timestamp, u32)>,
    /// Who revoked, when.
    pub revoked: Option<(String, Timestamp)>,
    /// Reads so far.
    pub uses: u32,
    ticket_open: bool,
    operator_active: bool,
    denied: bool,
    withdrawn: bool,
}

impl Request {
    /// What an approver signs if he approves all that was asked for, from `now` on.
    pub fn statement(&self, now: Timestamp) -> GrantStatement {
        GrantStatement {
            grant: self.id.to_string(),
            tenant: self.tenant.to_string(),
            operator: self.pseudonym.to_string(),
            place: self.place.clone(),
            action: self.action.clone(),
            covers: self.scope.said(),
            reason: self.reason.clone(),
            until_ms: u64::try_from(now.plus_ms(i64::from(self.minutes) * 60_000).ms()).unwrap_or(0),
            reads: self.uses_max_asked,
        }
    }

    /// Until when a signed statement allows it, when it says what was asked for, or less.
    fn accepts(&self, said: &GrantStatement, now: Timestamp) -> Result<Timestamp, Failure> {
        let most = self.statement(now);
        let same = GrantStatement { until_ms: most.until_ms, reads: most.reads, ..said.clone() };
        if same != most {
            return Err(Failure::invalid("statement", "is not about this request, or not about all of it"));
        }
        if said.reads == 0 || said.reads > most.reads {
            return Err(Failure::invalid("statement", format!("must allow 1 to {} reads", most.reads)));
        }
        let now_ms = u64::try_from(now.ms()).unwrap_or(0);
        if said.until_ms <= now_ms || said.until_ms > most.until_ms {
            return Err(Failure::invalid(
                "statement",
                format!("must end within {} minutes from now", self.minutes),
            ));
        }
        Ok(Timestamp::from_ms(i64::try_from(said.until_ms).unwrap_or(0)))
    }

    /// Where it stands at `now`. Time that goes back never revives what ended by a row.
    pub fn state(&self, now: Timestamp) -> State {
        if self.denied {
            return State::Denied;
        }
        if self.withdrawn {
            return State::Withdrawn;
        }
        let Some((until, uses_max)) = self.approved else {
            return match (self.ticket_open, self.operator_active) {
                (false, _) => State::TicketClosed,
                (_, false) => State::OperatorDisabled,
                _ if now >= self.lapses_at => State::Lapsed,
                _ => State::Pending,
            };
        };
        if self.revoked.is_some() {
            State::Revoked
        } else if now >= until {
            State::Expired
        } else if self.uses >= uses_max {
            State::Exhausted
        } else if !self.ticket_open {
            State::TicketClosed
        } else if !self.operator_active {
            State::OperatorDisabled
        } else {
            State::Live
        }
    }
}

/// The grant that covers `asked` for `operator` at `now`, or why there is none. Runs inside the caller's
/// transaction: the gate calls it once to answer early and once with the intent.
pub(crate) fn coverage(
    tx: &mut Tx<'_>,
    asked: &Asked,
    operator: &OperatorId,
    now: Timestamp,
) -> Result<Result<Coverage, NoCoverage>, StoreError> {
    let Some(ticket) = &asked.ticket else { return Ok(Err(NoCoverage::NotAsked)) };
    let found = rows::about(&mut tx.tenant(&asked.tenant), operator, ticket, asked.action, &asked.resource)?;
    let mut nearest = NoCoverage::NotAsked;
    for request in found.iter().filter(|r| r.scope.covers(&asked.resource)) {
        let state = request.state(now);
        let continues = asked.continues.as_ref() == Some(&request.id);
        // The windows of one long read are one use: its last use may exhaust the count and still be finished.
        let live = state == State::Live || (continues && state == State::Exhausted);
        match (live, request.approved) {
            (true, Some((until, uses_max))) if asked.continues.is_none() || continues => {
                return Ok(Ok(Coverage {
                    grant: request.id.clone(),
                    tenant: asked.tenant.clone(),
                    action: request.action.clone(),
                    scope: request.scope.clone(),
                    until,
                    uses_left: u64::from(
                        uses_max.saturating_sub(request.uses).saturating_sub(u32::from(!continues)),
                    ),
                    reason: request.reason.clone(),
                }));
            }
            _ if nearest == NoCoverage::NotAsked => nearest = why(state),
            _ => {}
        }
    }
    Ok(Err(nearest))
}

/// Whether a session under this grant lives: the grant does, or it was exhausted by uses that were counted.
pub(crate) fn lives(
    tx: &mut bailee_store::TenantTx<'_, '_>,
    grant: &GrantId,
    now: Timestamp,
) -> Result<Result<(), NoCoverage>, StoreError> {
    let Some(request) = rows::one(tx, grant)? else { return Ok(Err(NoCoverage::NotAsked)) };
    Ok(match request.state(now) {
        State::Live => Ok(()),
        State::Exhausted if request.ticket_open && request.operator_active => Ok(()),
        State::Exhausted if !request.ticket_open => Err(NoCoverage::TicketClosed),
        State::Exhausted => Err(NoCoverage::OperatorDisabled),
        state => Err(why(state)),
    })
}

/// The operators who may do an action on a resource by a live grant: pseudonym, grant, until when.
pub(crate) fn live_for(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    action: &str,
    resource: &bailee_types::Arn,
    now: Timestamp,
) -> Result<Vec<(Pseudonym, GrantId, Timestamp)>, StoreError> {
    let found = rows::maybe_live(&mut tx.tenant(tenant), action, now)?;
    Ok(found
        .into_iter()
        .filter(|r| r.scope.covers(resource) && r.state(now) == State::Live)
        .filter_map(|r| Some((r.pseudonym.clone(), r.id.clone(), r.approved?.0)))
        .collect())
}

fn why(state: State) -> NoCoverage {
    match state {
        State::Pending => NoCoverage::Waiting,
        State::Denied => NoCoverage::Denied,
        State::Withdrawn | State::Lapsed => NoCoverage::Lapsed,
        State::Expired => NoCoverage::Expired,
        State::Revoked => NoCoverage::Revoked,
        State::Exhausted => NoCoverage::Exhausted,
        State::TicketClosed => NoCoverage::TicketClosed,
        State::OperatorDisabled => NoCoverage::OperatorDisabled,
        State::Live => NoCoverage::NotAsked,
    }
}

impl House {
    /// Requests to a tenant, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn consent_requests(&self, tenant: &TenantId, limit: u32) -> Result<Vec<Request>, Failure> {
        let tenant = tenant.clone();
        self.db.read(move |tx| rows::of_tenant(&mut tx.tenant(&tenant), limit).map_err(Failure::from)).await
    }

    /// One request to a tenant.
    ///
    /// # Errors
    /// When the tenant has none of this id.
    pub async fn consent_request(&self, tenant: &TenantId, id: &GrantId) -> Result<Request, Failure> {
        let (tenant, wanted) = (tenant.clone(), id.clone());
        self.db
            .read(move |tx| rows::one(&mut tx.tenant(&tenant), &wanted).map_err(Failure::from))
            .await?
            .ok_or_else(|| Failure::not_found(Thing::Grant, id))
    }

    /// A grant as the tenant's approver signed it.
    pub(crate) async fn grant_statement(
        &self,
        tenant: &TenantId,
        id: &GrantId,
    ) -> Result<Option<String>, Failure> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.db.read(move |tx| rows::statement(&mut tx.tenant(&tenant), &id).map_err(Failure::from)).await
    }

    /// An operator's own requests to all tenants, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn operator_requests(
        &self,
        operator: &OperatorId,
        limit: u32,
    ) -> Result<Vec<Request>, Failure> {
        let operator = operator.clone();
        self.db.read(move |tx| rows::of_operator(tx, &operator, limit).map_err(Failure::from)).await
    }
}
