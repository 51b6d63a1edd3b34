//! Consent: what a tenant has allowed the provider to do, and until when.
//!
//! If no grant covers an operation the answer is "ask", never "probably fine".
//! INVARIANT: a request row is never edited; what was decided is a row of its own, so an auditor can see what
//! was allowed at any past moment.
//! INVARIANT: scope only narrows from request to grant; doing nothing means no (a request lapses).
//! INVARIANT: who asks neither confirms nor approves; approvals are counted by persons, as they stand at the decision.
//! INVARIANT: whether a grant is live is computed from rows and the present instant, never stored.

mod code;
mod decide;
mod figures;
mod life;
mod look;
mod policy;
mod request;
mod rows;
mod scope;
mod signed;
mod standing;
mod talk;
mod totals;

use bailee_proof::grant::GrantStatement;
use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::{GrantId, OperatorId, Pseudonym, StandingId, TenantId, TicketId, Timestamp};

pub use code::{Because, Code};
pub use decide::{Decide, Decided, Decision};
pub(crate) use figures::happened;
pub use figures::{
    Answers, Beside, Decisions, FIGURE_DAYS_MAX, Figures, GetAllFigures, GetConsentFigures, Grants, Outlier,
    Span, TENANTS_MANY,
};
pub use life::State;
pub use look::{ConsentPage, FindConsents, GetConsent, ListConsents};
pub use policy::{Approver, ConsentPolicy, Hours, SetConsentPolicy, SetPolicy, ShowConsentPolicy};
pub(crate) use request::parameters;
pub use request::{RequestConsent, Requested, WithdrawRequest};
pub use scope::{ClusterRule, Limits, Scope, ServiceRule};
pub(crate) use scope::{session_action, target_arn};
pub use signed::{ApprovalAsked, AskApproval, ByPasskey};
pub(crate) use standing::end_standing_of_target;
pub use standing::{
    ListStandingRights, RevokeStandingRight, RightEnded, SetStandingRight, StandingOpened, StandingRight,
    Terms,
};
pub use talk::{Comment, CommentRequest, ConfirmRequest};
pub(crate) use totals::publish;
pub use totals::{Published, TENANTS_MIN, TOTALS_DAYS, Totals};

use self::life::{Approval, Given, Life, Over, Step, Stop};
use self::rows::Approved;
use crate::gate::{Asked, Bound, RefusalKind};
use crate::tickets::Category;
use crate::{Failure, House, Thing};

/// Comments of one side on one request, at most.
const COMMENTS_MAX: i64 = 100;

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
    /// The operator is disabled, or was since.
    OperatorDisabled,
    /// Another of the provider's people declined the request.
    Declined,
    /// The operator gave the grant back.
    Returned,
    /// The tenant lets grants be used within its hours only.
    OutsideHours,
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
            Self::Declined => "another of the provider's people declined it",
            Self::Returned => "the operator gave the grant back",
            Self::OutsideHours => "the tenant lets grants be used within its hours only",
        })
    }
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
    /// On what: as approved, and before that as asked.
    pub scope: Scope,
    /// On what, as it was asked.
    pub scope_asked: Scope,
    /// Why, in words.
    pub reason: String,
    /// Why, as a code.
    pub code: Code,
    /// Of a legal request: its reference.
    pub reference: String,
    /// The request that it follows.
    pub renews: Option<GrantId>,
    /// Minutes asked for, counted from the approval.
    pub minutes: u32,
    /// Reads asked for.
    pub uses_max_asked: u32,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it lapses without an answer.
    pub lapses_at: Timestamp,
    /// Whether another of the provider's people must confirm it first.
    pub second_eye: bool,
    /// What he said.
    pub confirmed: Option<Confirmed>,
    /// Who decided, when.
    pub decided: Option<(String, Timestamp)>,
    /// Until when and how many reads the tenant approved.
    pub approved: Option<(Timestamp, u32)>,
    /// The standing right that opened it.
    pub standing: Option<StandingId>,
    /// Who revoked, when.
    pub revoked: Option<(String, Timestamp)>,
    /// Reads so far.
    pub uses: u32,
    /// While it waits: whose approvals count, since when.
    pub approvals: Vec<(String, Timestamp)>,
    /// How many persons must approve.
    pub approvals_needed: u32,
    /// What both sides wrote; of one request only, not in lists.
    pub comments: Vec<Comment>,
    category: Category,
    /// When its ticket was solved or closed, unless it was reopened.
    ticket_ended_at: Option<Timestamp>,
    ticket_open: bool,
    operator_active: bool,
    denied: bool,
    withdrawn: bool,
    given_back: bool,
    seen: Timestamp,
}

/// What the provider's second pair of eyes said.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// Whether the tenant may be asked.
    pub yes: bool,
    /// Who, as the tenant sees him.
    pub pseudonym: Pseudonym,
    /// When.
    pub at: Timestamp,
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

    /// What decides where it stands; approvals that count are the caller's to add.
    fn life(&self) -> Life {
        Life {
            scope: self.scope_asked.clone(),
            minutes: self.minutes,
            uses_max: self.uses_max_asked,
            lapses_at: self.lapses_at,
            unconfirmed: self.second_eye && self.confirmed.is_none(),
            over: match (self.denied, self.withdrawn, &self.confirmed) {
                (true, ..) => Some(Over::Denied),
                (_, true, _) => Some(Over::Withdrawn),
                (.., Some(Confirmed { yes: false, .. })) => Some(Over::Declined),
                _ => None,
            },
            approvals: Vec::new(),
            given: self.approved.map(|(until, uses_max)| Given {
                until,
                uses_max,
                scope: self.scope.clone(),
            }),
            taken_back: self.revoked.as_ref().map(|_| match self.given_back {
                true => State::Returned,
                false => State::Revoked,
            }),
            uses: self.uses,
            ticket_open: self.ticket_open,
            operator_active: self.operator_active,
        }
    }

    /// Where it stands at `now`.
    pub fn state(&self, now: Timestamp) -> State {
        self.life().state(now)
    }

    /// What a step makes of it at a moment; a step that is not taken changes nothing.
    fn step(&self, step: Step, moment: Timestamp) -> Result<Life, Failure> {
        self.life().next(step, moment).map_err(|stop| self.stopped(stop))
    }

    fn stopped(&self, stop: Stop) -> Failure {
        Failure::Conflict(format!("request `{}` {stop}; nothing was changed", self.id))
    }

    /// Fills in whose approvals count.
    fn count(
        &mut self,
        tx: &mut TenantTx<'_, '_>,
        policy: &ConsentPolicy,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.approvals_needed = policy.approvals;
        self.approvals = counting(tx, self, policy, now)?.into_iter().map(|a| (a.by, a.then.at)).collect();
        Ok(())
    }

    /// The moment by which it is judged. Where the tenant's log (`last` is its newest time) has gone on since it was asked or
    /// approved, a clock that went back does not bring back what ended.
    fn moment(&self, now: Timestamp, last: Timestamp) -> Timestamp {
        if last > self.seen { now.max(last) } else { now }
    }
}

impl Approval {
    /// Refuses more minutes or reads than were asked for, or than the policy allows.
    fn fits(&self, request: &Request, minutes_max: u32) -> Result<(), Failure> {
        let minutes_max = request.minutes.min(minutes_max);
        if !(1..=minutes_max).contains(&self.minutes) {
            return Err(Failure::invalid("minutes", format!("must be 1 to {minutes_max}")));
        }
        if !(1..=request.uses_max_asked).contains(&self.uses_max) {
            return Err(Failure::invalid("uses", format!("must be 1 to {}", request.uses_max_asked)));
        }
        if !self.scope.is_within(&request.scope_asked) {
            return Err(request.stopped(Stop::Wider));
        }
        Ok(())
    }
}

/// Approvals of a request that count now: each by a person who is still there, may still approve, signed for later than now,
/// and signed at all where the policy wants that.
fn counting(
    tx: &mut TenantTx<'_, '_>,
    request: &Request,
    policy: &ConsentPolicy,
    now: Timestamp,
) -> Result<Vec<Approved>, Failure> {
    let mut counting: Vec<Approved> = Vec::new();
    for approved in rows::approvals(tx, &request.id)? {
        let a = &approved.approval;
        let person = policy::Person::by_id(tx, &a.person)?;
        let counts = person.is_some_and(|p| p.counts(policy, (&request.tenant, &request.id), &approved.then))
            && a.until.is_none_or(|until| now < until)
            && (!policy.signed || approved.signed_with.is_some());
        if counts && !counting.iter().any(|c| c.approval.person == a.person) {
            counting.push(approved);
        }
    }
    Ok(counting)
}

/// The grant that covers `asked` for `operator` at `now`, or why there is none. Runs inside the caller's
/// transaction: the gate calls it once to answer early and once with the intent. `under` names the only grant that counts.
pub(crate) fn coverage(
    tx: &mut Tx<'_>,
    asked: &Asked,
    (operator, under): (&OperatorId, Option<&GrantId>),
    now: Timestamp,
) -> Result<Result<Coverage, NoCoverage>, StoreError> {
    let Some(ticket) = &asked.ticket else { return Ok(Err(NoCoverage::NotAsked)) };
    let tx = &mut tx.tenant(&asked.tenant);
    let is_his = |r: &Request| r.operator == *operator && r.ticket == *ticket && r.action == asked.action;
    let found = match under {
        Some(grant) => rows::one(tx, grant)?.into_iter().filter(is_his).collect(),
        None => rows::about(tx, operator, ticket, asked.action, &asked.resource)?,
    };
    if found.is_empty() {
        return Ok(Err(NoCoverage::NotAsked));
    }
    let last = crate::trail::last_time(tx)?;
    let hours = rows::policy(tx)?.policy.hours.filter(|h| h.uses);
    let mut nearest = NoCoverage::NotAsked;
    for request in found.iter().filter(|r| r.scope.covers(&asked.resource)) {
        let moment = request.moment(now, last);
        let state = request.state(moment);
        let continues = asked.continues.as_ref() == Some(&request.id);
        // The windows of one long read are one use: its last use may exhaust the count and still be finished.
        let goes_on = continues && request.ticket_open && request.operator_active;
        let live = state == State::Live || (goes_on && state == State::Exhausted);
        match (live, request.approved) {
            (true, Some((mut until, uses_max))) if asked.continues.is_none() || continues => {
                if let Some(hours) = &hours {
                    let Some(end) = hours.end(moment) else { return Ok(Err(NoCoverage::OutsideHours)) };
                    until = until.min(end);
                }
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

/// When a grant was asked for.
pub(crate) fn asked_at(tx: &mut TenantTx<'_, '_>, grant: &GrantId) -> Result<Timestamp, Failure> {
    let found = rows::one(tx, grant)?;
    found.map(|r| r.asked_at).ok_or_else(|| Failure::not_found(Thing::Grant, grant))
}

/// Whether a session under this grant lives: the grant does, or it was exhausted by uses that were counted.
pub(crate) fn lives(
    tx: &mut bailee_store::TenantTx<'_, '_>,
    grant: &GrantId,
    now: Timestamp,
) -> Result<Result<(), NoCoverage>, StoreError> {
    let Some(request) = rows::one(tx, grant)? else { return Ok(Err(NoCoverage::NotAsked)) };
    let moment = request.moment(now, crate::trail::last_time(tx)?);
    let hours = rows::policy(tx)?.policy.hours.filter(|h| h.uses);
    if hours.is_some_and(|h| h.end(moment).is_none()) {
        return Ok(Err(NoCoverage::OutsideHours));
    }
    Ok(match request.state(moment) {
        State::Live => Ok(()),
        State::Exhausted if request.ticket_open && request.operator_active => Ok(()),
        State::Exhausted if !request.ticket_open => Err(NoCoverage::TicketClosed),
        State::Exhausted => Err(NoCoverage::OperatorDisabled),
        state => Err(why(state)),
    })
}

/// An operator's grant that lives, for keys to be taken under it.
pub(crate) fn usable(
    tx: &mut TenantTx<'_, '_>,
    grant: &GrantId,
    operator: &OperatorId,
    now: Timestamp,
) -> Result<Result<Request, NoCoverage>, StoreError> {
    let Some(request) = rows::one(tx, grant)?.filter(|r| r.operator == *operator) else {
        return Ok(Err(NoCoverage::NotAsked));
    };
    if let Err(no) = lives(tx, grant, now)? {
        return Ok(Err(no));
    }
    let moment = request.moment(now, crate::trail::last_time(tx)?);
    Ok(match request.state(moment) {
        State::Live => Ok(request),
        state => Err(why(state)),
    })
}

/// The grant to which an operator's temporary keys are bound, when it covers what he asks with them. Content needs
/// [`coverage`] besides, which counts.
pub(crate) fn within(
    tx: &mut Tx<'_>,
    asked: &Asked,
    (operator, bound): (&OperatorId, &Bound),
    now: Timestamp,
) -> Result<Result<Coverage, RefusalKind>, StoreError> {
    let tx = &mut tx.tenant(&bound.tenant);
    if let Some(why) = crate::broker::keys_ended(tx, &bound.key, now)? {
        return Ok(Err(RefusalKind::KeysEnded(why)));
    }
    if let Err(no) = lives(tx, &bound.grant, now)? {
        return Ok(Err(RefusalKind::NoConsent(no)));
    }
    let Some(request) = rows::one(tx, &bound.grant)?.filter(|r| r.operator == *operator) else {
        return Ok(Err(RefusalKind::NoConsent(NoCoverage::NotAsked)));
    };
    let is_bucket = |bucket| asked.resource == bailee_types::Arn::bucket(&bound.tenant, bucket);
    let lists = asked.conditions.iter().find(|(name, _)| name == "oss:Prefix").and_then(|(_, v)| v.first());
    let covered = match (asked.action, &request.scope) {
        ("oss:GetObject", scope) => bound.content && scope.covers(&asked.resource),
        ("oss:GetObjectMeta" | "oss:GetObjectTagging", scope) => scope.covers(&asked.resource),
        ("oss:ListObjects" | "oss:ListObjectVersions", Scope::Prefix { bucket, prefix }) => {
            is_bucket(bucket) && lists.is_some_and(|l| l.starts_with(prefix.as_str()))
        }
        ("oss:GetBucketLocation", scope) => scope.bucket().is_some_and(is_bucket),
        _ => false,
    };
    let is_his = asked.tenant == bound.tenant && asked.ticket.as_ref() == Some(&bound.ticket);
    let (Some((until, uses_max)), true) = (request.approved, covered && is_his) else {
        let what = if bound.content { "reading" } else { "names, sizes and settings, no content, of" };
        let covers =
            format!("grant `{}`, which covers {what} `{}` and nothing else", request.id, request.scope);
        return Ok(Err(RefusalKind::OutsideGrant { covers }));
    };
    Ok(Ok(Coverage {
        grant: request.id,
        tenant: bound.tenant.clone(),
        action: request.action,
        scope: request.scope,
        until,
        uses_left: u64::from(uses_max.saturating_sub(request.uses)),
        reason: request.reason,
    }))
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
        State::Confirming | State::Pending => NoCoverage::Waiting,
        State::Declined => NoCoverage::Declined,
        State::Returned => NoCoverage::Returned,
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
    /// Requests to a tenant, newest first: all that are not over, and of the others so many that `limit` are answered.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn consent_requests(&self, tenant: &TenantId, limit: u32) -> Result<Vec<Request>, Failure> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.db
            .read(move |tx| {
                let tx = &mut tx.tenant(&tenant);
                let (mut all, policy) = (rows::not_over(tx, now)?, rows::policy(tx)?.policy);
                let newest = rows::of_tenant(tx, limit)?;
                let room = (limit as usize).saturating_sub(all.len());
                let over = newest.into_iter().filter(|r| !all.iter().any(|o| o.id == r.id)).take(room);
                let over: Vec<_> = over.collect();
                all.extend(over);
                all.sort_by(|a, b| {
                    b.asked_at.cmp(&a.asked_at).then_with(|| a.id.as_str().cmp(b.id.as_str()))
                });
                for request in all.iter_mut().filter(|r| r.state(now) == State::Pending) {
                    request.count(tx, &policy, now)?;
                }
                Ok(all)
            })
            .await
    }

    /// One request to a tenant.
    ///
    /// # Errors
    /// When the tenant has none of this id.
    pub async fn consent_request(&self, tenant: &TenantId, id: &GrantId) -> Result<Request, Failure> {
        let (tenant, wanted, now) = (tenant.clone(), id.clone(), self.now());
        self.db
            .read(move |tx| {
                let tx = &mut tx.tenant(&tenant);
                let Some(mut request) = rows::one(tx, &wanted)? else { return Ok(None) };
                if request.state(now) == State::Pending {
                    let policy = rows::policy(tx)?.policy;
                    request.count(tx, &policy, now)?;
                }
                request.comments = rows::comments(tx, &wanted)?;
                Ok::<_, Failure>(Some(request))
            })
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

    /// Requests of other operators that wait for the provider's second pair of eyes, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn requests_to_confirm(&self, by: &OperatorId, limit: u32) -> Result<Vec<Request>, Failure> {
        let (by, now) = (by.clone(), self.now());
        let mut all = self.db.read(move |tx| rows::to_confirm(tx, now, limit).map_err(Failure::from)).await?;
        all.retain(|r| r.operator != by && r.state(now) == State::Confirming);
        Ok(all)
    }
}

impl House {
    /// Grants: all that were approved, those for longer than `minutes_max`, and the longest in minutes.
    pub(crate) async fn approved_times(&self, minutes_max: i64) -> Result<(u64, u64, u64), Failure> {
        self.db.read(move |tx| rows::approved_times(tx, minutes_max).map_err(Failure::from)).await
    }
}
