//! The gate: nothing acts unauthorized, uncleared or unlogged.
//!
//! Each step yields the value that the next one needs, and only the gate can make it:
//! [`Caller`] → [`Permit`] → [`Cleared`] → [`Intent`] → outcome. A [`Refusal`] is recorded as it is made.
//!
//! INVARIANT: an act of an operator, and every management act, has a durable intent before it happens (I3).
//! A tenant's own reads and writes of objects are data events: authorized here, not waited for.
//! INVARIANT: a grant is checked again inside the transaction that writes the intent (I2).
//! INVARIANT: an [`Intent`] that is dropped without an outcome becomes `unknown`, never `done`.

mod caller;
#[cfg(test)]
mod corrupt;
mod count;
mod decision;
mod event;
mod intent;
mod observed;
mod recent;
mod refusal;
mod rows;
mod sweeper;

use std::future::Future;
use std::sync::Arc;

use bailee_store::{StoreError, Tx};
use bailee_types::{Arn, GrantId, TenantId, TicketId, Timestamp};
use serde_json::{Map, Value};

pub use bailee_policy::{Explanation, Phase};
pub(crate) use caller::{Bound, Nonce};
pub use caller::{Caller, Origin, Principal};
pub use count::ContentReads;
pub(crate) use decision::{Leave, leave, lets_everybody_in, of_verdict, phases, words};
pub(crate) use intent::{InFlight, PaperRelease};
pub use intent::{Intent, KeyRelease, Shared};
pub(crate) use observed::{ObservedEnd, record_observed};
pub(crate) use recent::RecentNonces;
pub use refusal::{Refusal, RefusalKind};
pub(crate) use rows::count_reads;
pub(crate) use sweeper::{
    close_lost, leave_instances, live_instances, others_at_work, register_instance, sweep,
};

use crate::consent::Coverage;
use crate::house::Counters;
use crate::trail::{Draft, Kind};
use crate::vault::{Access, VersionOf};
use crate::{Failure, House, broker, consent, handling, tickets};

/// How an act is treated by the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A tenant's own read or write of an object: a data event, not waited for. Operators never get this.
    Data,
    /// Everything else; the flag tells writes from reads.
    Management {
        /// Whether the act changes anything.
        write: bool,
    },
}

/// What of a tenant an operator touches with this act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touches {
    /// Nothing of the tenant's (asking for consent, answering a ticket).
    Nothing,
    /// Names, sizes, settings: needs an open ticket of the tenant.
    Metadata,
    /// A document that lies on the ticket for the provider to read: needs that ticket, open, and no grant.
    Attachment,
    /// Content: needs a live grant that covers action and object.
    Content,
}

/// What an operation asks for: the words of the policy, of the consent and of the event.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose resource it is.
    pub tenant: TenantId,
    /// The policy action, `oss:GetObject`.
    pub action: &'static str,
    /// The resource.
    pub resource: Arn,
    /// The resource's type in events, `ACS::OSS::Object`.
    pub resource_type: &'static str,
    /// How the trail treats it.
    pub class: Class,
    /// What an operator would touch.
    pub touches: Touches,
    /// The ticket that an operator works on.
    pub ticket: Option<TicketId>,
    /// Parameters for the event; never secrets, never content.
    pub parameters: Map<String, Value>,
    /// For the later windows of one long read: the grant of the first. They are re-checked like any operation
    /// and do not count as further uses.
    pub continues: Option<GrantId>,
    /// Further resources that the same act touches (the policy that is put on a user); each must be allowed.
    pub also: Vec<Arn>,
    /// Keys for the conditions of policies, e.g. `oss:Prefix`, `acs:RequestTag/team`.
    pub conditions: Vec<(String, Vec<String>)>,
}

impl Asked {
    /// The action's name without the service, `GetObject`.
    pub fn event_name(&self) -> &'static str {
        self.action.split_once(':').map_or(self.action, |(_, name)| name)
    }
}

/// One operation of one room.
pub trait Operation: Send + 'static {
    /// What it answers.
    type Output: Send + 'static;

    /// Whether a tenant's own act of this kind changes nothing, so that it may stop anywhere when the client hangs
    /// up. It then runs where it was asked for, without a task of its own.
    const MAY_STOP_ANYWHERE: bool = false;

    /// Whether the act itself asks the object whom its own ACL lets in: where an ACL may open one, the gate then leaves the no
    /// to it ([`Shared::Object`]).
    const ASKS_OBJECT: bool = false;

    /// What it asks for. Called once, before anything else.
    fn asks(&self) -> Asked;

    /// The act itself. Needs an [`Intent`], which only [`House::perform`] can make.
    fn act(
        self,
        house: &Arc<House>,
        intent: &Intent,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// The object version whose content it opens, where the gate counts versions: with an operator's temporary keys.
    fn opens(&self) -> Option<VersionOf> {
        None
    }

    /// What the outcome record says beside its result, e.g. the number of bytes.
    fn outcome_detail(_output: &Self::Output) -> Map<String, Value> {
        Map::new()
    }
}

/// A caller whom the policies allow the act. Made by the gate only.
#[must_use = "a permit alone does nothing: the act still needs clearance and an intent"]
pub struct Permit {
    caller: Caller,
    asked: Asked,
    shared: Option<Shared>,
}

/// A permit that consent and residency do not forbid. Made by the gate only.
#[must_use = "clearance alone does nothing: the act still needs an intent"]
pub struct Cleared {
    caller: Caller,
    asked: Asked,
    shared: Option<Shared>,
    grant: Option<Coverage>,
}

impl House {
    /// The one path of every act of every caller. Runs on its own task, so a client that hangs up cannot cut
    /// an act from its outcome; only a tenant's reads have none.
    ///
    /// # Errors
    /// A recorded refusal, or what the operation answers.
    pub async fn perform<O: Operation>(
        self: &Arc<Self>,
        caller: Caller,
        op: O,
    ) -> Result<O::Output, Failure> {
        if O::MAY_STOP_ANYWHERE && caller.is_tenant() {
            return self.perform_here(caller, op).await;
        }
        let house = Arc::clone(self);
        tokio::spawn(async move { house.perform_here(caller, op).await })
            .await
            .unwrap_or_else(|e| Err(Failure::Bug(format!("an act stopped: {e}"))))
    }

    async fn perform_here<O: Operation>(
        self: &Arc<Self>,
        caller: Caller,
        op: O,
    ) -> Result<O::Output, Failure> {
        let (mut asked, opens) = (op.asks(), op.opens());
        if let Some(bound) = caller.bound() {
            asked.parameters.insert("accessKeyId".into(), bound.key.as_str().into());
        }
        let permit = self.authorize(caller, asked, O::ASKS_OBJECT).await?;
        let cleared = self.clear(permit, opens.as_ref()).await?;
        let intent = self.log_intent(cleared, opens).await?;
        let result = match self.witnessed(&intent).await {
            Ok(()) => op.act(self, &intent).await,
            Err(e) => Err(e),
        };
        let ended = Ended::of::<O>(&result);
        let changes = intent.asked().class == Class::Management { write: true };
        self.log_outcome(intent, ended).await;
        if changes {
            // It may have ended a session.
            self.broker.look();
        }
        result
    }

    async fn authorize(
        self: &Arc<Self>,
        caller: Caller,
        asked: Asked,
        asks_object: bool,
    ) -> Result<Permit, Failure> {
        let mut shared = None;
        let access = match caller.principal() {
            Principal::System { .. } | Principal::Operator { .. } => None,
            _ => self.access_of(&asked.tenant, &asked.resource, &asked.also).await?,
        };
        let by_object = access.as_ref().filter(|a| a.object_acls && asks_object).map(|_| Shared::Object);
        let no = match caller.principal() {
            _ if !caller::stage_allows(caller.stage(), asked.action) => Some(RefusalKind::SignInUnfinished),
            Principal::System { .. } => None,
            Principal::Operator { roles, .. } => (!caller::role_allows(roles, asked.action))
                .then(|| RefusalKind::OperatorRole { role: roles.join(", ") }),
            _ if caller.is_off_network() => Some(RefusalKind::KeyNetwork),
            _ if caller.tenant() != Some(&asked.tenant) => {
                let found = decision::shared(&caller, &asked, access.as_deref(), by_object, self.now());
                shared = found.as_ref().ok().copied();
                found.err()
            }
            _ if caller.is_by_link()
                && access.as_ref().is_some_and(|a| a.is_blocked_for_links(&asked.resource, self.now())) =>
            {
                Some(RefusalKind::LegalBlock)
            }
            // Taking on a role asks two policies at once, his and the role's: the act does it.
            _ if asked.action.starts_with("sts:AssumeRole") => None,
            Principal::Federated { .. } => Some(RefusalKind::ImplicitDeny { phase: Phase::Identity }),
            _ => match decision::refuses(&caller, &asked, access.as_deref(), self.now()) {
                None => None,
                Some(RefusalKind::ImplicitDeny { phase: Phase::Identity })
                    if self.has_leave(&caller, &asked).await? =>
                {
                    None
                }
                // What is open to everybody is open to the account's people, too.
                Some(RefusalKind::ImplicitDeny { phase: Phase::Identity }) if by_object.is_some() => {
                    shared = by_object;
                    None
                }
                no => no,
            },
        };
        match no {
            None => Ok(Permit { caller, asked, shared }),
            Some(kind) => Err(self.refuse(&caller, &asked, access.as_deref(), kind).await),
        }
    }

    async fn clear(self: &Arc<Self>, permit: Permit, opens: Option<&VersionOf>) -> Result<Cleared, Failure> {
        let Permit { caller, asked, shared } = permit;
        let Principal::Operator { id, place, .. } = caller.principal() else {
            return Ok(Cleared { caller, asked, shared, grant: None });
        };
        let (id, place) = (id.clone(), place.clone());
        if let Some((glass, _)) = caller.glass() {
            #[cfg(test)]
            if corrupt::is(self) {
                return Ok(Cleared { caller, asked, shared, grant: None });
            }
            let (of, who, tenant) = (glass.clone(), caller.clone(), asked.tenant.clone());
            let (action, now) = (asked.action, self.now());
            let lets = self.db.read(move |tx| {
                handling::lets(&mut tx.tenant(&tenant), &of, (&who, action), now).map_err(Failure::from)
            });
            return match lets.await? {
                true => Ok(Cleared { caller, asked, shared, grant: None }),
                false => {
                    let no = RefusalKind::NoGlass(glass.clone());
                    Err(self.refuse(&caller, &asked, None, no).await)
                }
            };
        }
        if let Some(bound) = caller.bound().cloned() {
            let (wanted, operator, now) = (asked.clone(), id.clone(), self.now());
            let within = self.db.read(move |tx| {
                consent::within(tx, &wanted, (&operator, &bound), now).map_err(Failure::from)
            });
            match within.await? {
                Err(no) => return Err(self.refuse(&caller, &asked, None, no).await),
                Ok(grant) if asked.touches != Touches::Content => {
                    return Ok(Cleared { caller, asked, shared, grant: Some(grant) });
                }
                Ok(_) => {}
            }
        }
        if asked.touches == Touches::Nothing {
            return Ok(Cleared { caller, asked, shared, grant: None });
        }
        let tenant = asked.tenant.clone();
        let open = match (asked.ticket.clone(), caller.change().cloned()) {
            // What was announced stands in place of a ticket, for that work alone.
            (_, Some(change)) if asked.touches == Touches::Metadata => {
                let (action, now) = (asked.action, self.now());
                self.db
                    .read(move |tx| handling::may_run(&mut tx.tenant(&tenant), &change, action, now))
                    .await?
            }
            (Some(ticket), None) => {
                self.db
                    .read(move |tx| tickets::is_open(&mut tx.tenant(&tenant), &ticket).map_err(Failure::from))
                    .await?
            }
            _ => false,
        };
        if !open {
            return Err(self.refuse(&caller, &asked, None, RefusalKind::NoTicket).await);
        }
        if matches!(asked.touches, Touches::Metadata | Touches::Attachment) {
            return Ok(Cleared { caller, asked, shared, grant: None });
        }
        #[cfg(test)]
        if corrupt::is(self) {
            return Ok(Cleared { caller, asked, shared, grant: None });
        }
        let now = self.now();
        let (mut wanted, operator) = (asked.clone(), id);
        let (bound, opens) = (caller.bound().cloned(), opens.cloned());
        let house = Arc::clone(self);
        let coverage = self
            .db
            .read(move |tx| {
                if let Leaves::Nowhere(no) = leaves(tx, &house, &wanted, &place, now)? {
                    return Ok(Err(no));
                }
                if let Some(bound) = &bound {
                    broker::opened_before(tx, &mut wanted, bound, opens.as_ref())?;
                }
                let under = bound.as_ref().map(|b| &b.grant);
                let covered = consent::coverage(tx, &wanted, (&operator, under), now)?;
                Ok::<_, Failure>(covered.map_err(RefusalKind::NoConsent))
            })
            .await?;
        match coverage {
            Ok(grant) => Ok(Cleared { caller, asked, shared, grant: Some(grant) }),
            Err(no) => Err(self.refuse(&caller, &asked, None, no).await),
        }
    }

    async fn log_intent(
        self: &Arc<Self>,
        cleared: Cleared,
        opens: Option<VersionOf>,
    ) -> Result<Intent, Failure> {
        let Cleared { caller, asked, shared, grant } = cleared;
        if asked.class == Class::Data && !caller.is_operator() {
            if caller.nonce().is_some_and(|nonce| !self.recent_nonces.is_new(nonce, self.now())) {
                return Err(Failure::Replayed);
            }
            return Ok(Intent::data_event(caller, asked, shared));
        }
        let log = self.log_keys(&asked.tenant).await?;
        let house = Arc::clone(self);
        let (who, mut what) = (caller.clone(), asked.clone());
        // A tenant's act is known before the transaction: what can be made of its record is made outside of it.
        let draft = match who.is_tenant() {
            true => Some(event::draft(self, &log, &caller, &asked)?),
            false => None,
        };
        // A nonce that was seen ends the closure after it has forgotten old ones.
        let undoes = who.nonce().is_some();
        let log_it = move |tx: &mut Tx<'_>| {
            let now = house.now();
            if let Some(nonce) = who.nonce() {
                rows::remember_nonce(tx, nonce, now)?;
            }
            // I2, I4: what `clear` saw may have ended since; this look and the intent are one transaction.
            let mut transfer = None;
            let (mut within, mut first, mut version) = (None, false, None);
            if let (Some(bound), Some(id)) = (who.bound(), who.operator()) {
                within = Some(consent::within(tx, &what, (id, bound), now)?);
                version = broker::opened_before(tx, &mut what, bound, opens.as_ref())?;
                first = version.is_some() && what.continues.is_none();
            }
            let under = who.bound().map(|b| &b.grant);
            let live = match (who.principal(), what.touches) {
                _ if within.as_ref().is_some_and(|w| w.is_err() || what.touches != Touches::Content) => {
                    within
                }
                #[cfg(test)]
                _ if corrupt::is(&house) => None,
                _ if let Some((glass, _)) = who.glass() => {
                    let lets = handling::lets(&mut tx.tenant(&what.tenant), glass, (&who, what.action), now)?;
                    (!lets).then(|| Err(RefusalKind::NoGlass(glass.clone())))
                }
                (Principal::Operator { id, place, .. }, Touches::Content) => {
                    match leaves(tx, &house, &what, place, now)? {
                        Leaves::Nowhere(no) => Some(Err(no)),
                        found => {
                            if let Leaves::Under(id) = found {
                                transfer = Some(id);
                            }
                            let covered = consent::coverage(tx, &what, (id, under), now)?;
                            Some(covered.map_err(RefusalKind::NoConsent))
                        }
                    }
                }
                (Principal::Operator { .. }, Touches::Attachment) => {
                    let open = match &what.ticket {
                        Some(ticket) => tickets::is_open(&mut tx.tenant(&what.tenant), ticket)?,
                        None => false,
                    };
                    (!open).then_some(Err(RefusalKind::NoTicket))
                }
                _ => None,
            };
            let grant = match live {
                Some(Err(no)) => {
                    let index = refusal::append(tx, &house, &log, &who, &what, &no, now)?;
                    return Ok(Err((no, index)));
                }
                Some(Ok(grant)) => Some(grant),
                None => None,
            };
            let index = match &draft {
                Some(draft) => crate::trail::append_draft(tx, &log, draft, now)?,
                None => {
                    let region = event::lies_in(tx, &who, &what)?;
                    crate::trail::append(tx, &log, Kind::Intent, now, |at| {
                        event::of_act(&house, &who, &what, (grant.as_ref(), region.as_ref()), at)
                    })?
                }
            };
            rows::open_intent(
                &mut tx.tenant(&what.tenant),
                index,
                &house.instance,
                grant.as_ref().map(|g| &g.grant),
                what.continues.is_none() && what.touches == Touches::Content,
                what.event_name(),
                now,
            )?;
            if let Some((glass, _)) = who.glass() {
                handling::note_act(&mut tx.tenant(&what.tenant), glass, index, &what, now)?;
            }
            if let (true, Some(bound), Some(version)) = (first, who.bound(), &version) {
                broker::note_opened(tx, bound, version, index)?;
            }
            if let Some(id) = &transfer {
                let moved = crate::residency::Move {
                    record: index,
                    at: now,
                    resource: what.resource.relative().to_owned(),
                    who: who
                        .operator()
                        .map_or_else(String::new, |id| house.pseudonym(&what.tenant, id).to_string()),
                    bytes: None,
                };
                crate::residency::note_move(&mut tx.tenant(&what.tenant), id, &moved)?;
            }
            let waits = who.is_operator()
                && what.touches != Touches::Nothing
                && crate::trail::waits_for_witnesses(&mut tx.tenant(&what.tenant))?;
            Ok(Ok((index, (grant, transfer, version), now, waits)))
        };
        let written: Result<_, IntentError> =
            if undoes { self.db.write(log_it).await } else { self.db.write_sure(log_it).await };
        match written {
            Ok(Ok((index, (live, transfer, version), at, waits))) => {
                self.trail.changed.notify_one();
                Counters::add(&self.counters().intents, 1);
                let guard = self.in_flight.enter(&asked.tenant, index);
                let held = (live.or(grant), transfer, version);
                Ok(Intent::durable(caller, asked, index, held, at, waits, guard))
            }
            Ok(Err((kind, index))) => {
                self.trail.changed.notify_one();
                Counters::add(&self.counters().refusals, 1);
                Err(Failure::Refused(Refusal::recorded(&asked, kind, Some(index))))
            }
            Err(e) => Err(e.into_failure(&asked)),
        }
    }

    /// An operator's act on a tenant's things waits for witnesses where the tenant wants it.
    async fn witnessed(self: &Arc<Self>, intent: &Intent) -> Result<(), Failure> {
        if !intent.caller().is_operator() || intent.asked().touches == Touches::Nothing {
            return Ok(());
        }
        if self.is_behind_its_witnesses() {
            return Err(Failure::Unavailable(
                "a witness has a larger head log of this house than its database; operators wait until the newest \
                 backup is restored"
                    .into(),
            ));
        }
        match intent.record() {
            Some(record) if intent.waits() => self.await_witnesses(&intent.asked().tenant, record).await,
            _ => Ok(()),
        }
    }

    async fn log_outcome(self: &Arc<Self>, intent: Intent, ended: Ended) {
        let Some(index) = intent.record() else { return };
        let (tenant, name) = (intent.asked().tenant.clone(), intent.asked().event_name());
        let Ended { word, code, text, mut detail } = ended;
        if intent.releases() > 0 {
            detail.insert("keyReleases".into(), intent.releases().into());
        }
        for pause_ms in [0u64, 50, 500] {
            // Even a sleep of nothing waits for the timer's next tick, a millisecond that each act would pay.
            if pause_ms > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
            }
            let end = rows::Ending {
                index,
                name: name.to_owned(),
                word,
                code,
                text: text.clone(),
                detail: detail.clone(),
            };
            match self.close_intent(&tenant, end).await {
                Ok(_) => return,
                Err(e) => {
                    tracing::warn!(tenant.id = %tenant, intent = index, "failed to write an outcome: {e}")
                }
            }
        }
        // `intent` leaves the in-flight set when it drops here; the sweeper will write `unknown`.
        tracing::error!(tenant.id = %tenant, intent = index, "an outcome could not be written; it will show as unknown");
    }

    async fn close_intent(self: &Arc<Self>, tenant: &TenantId, end: rows::Ending) -> Result<bool, Failure> {
        let log = self.log_keys(tenant).await?;
        let house = Arc::clone(self);
        let id = tenant.clone();
        let draft = Draft::new(&log, Kind::Outcome, event::of_outcome(&end))?;
        let closed = self
            .db
            .write_sure(move |tx| {
                let next = crate::trail::next_index(tx, &log)?;
                if !rows::close_intent(&mut tx.tenant(&id), end.index, next, end.word)? {
                    return Ok::<_, Failure>(false);
                }
                crate::trail::append_draft(tx, &log, &draft, house.now())?;
                Ok(true)
            })
            .await?;
        self.trail.changed.notify_one();
        Ok(closed)
    }

    /// A no that an act found out while it ran; its outcome says so.
    pub(crate) fn refused(&self, intent: &Intent, kind: RefusalKind, why: Explanation) -> Failure {
        Counters::add(&self.counters().refusals, 1);
        Failure::Refused(Refusal::recorded(intent.asked(), kind, intent.record()).explained(Some(why)))
    }

    /// The no that the gate would have said, had it known the object's own ACL.
    pub(crate) async fn not_public(self: &Arc<Self>, intent: &Intent) -> Failure {
        let (caller, asked) = (intent.caller(), intent.asked());
        let kind = match caller.tenant() {
            Some(own) if *own == asked.tenant => RefusalKind::ImplicitDeny { phase: Phase::Identity },
            _ if caller.is_anonymous() => RefusalKind::Unsigned,
            _ => RefusalKind::NotYours,
        };
        match self.access_of(&asked.tenant, &asked.resource, &asked.also).await {
            Ok(access) => self.refuse(caller, asked, access.as_deref(), kind).await,
            Err(e) => e,
        }
    }

    /// Asks a tenant's caller, within an act, for his right to a further one; a no is recorded.
    pub(crate) async fn ask_further(
        self: &Arc<Self>,
        intent: &Intent,
        action: &'static str,
        (resource, resource_type): (Arn, &'static str),
    ) -> Result<(), Failure> {
        self.ask_further_with(intent, action, (resource, resource_type), Vec::new()).await
    }

    /// The same, with keys for the conditions of policies.
    pub(crate) async fn ask_further_with(
        self: &Arc<Self>,
        intent: &Intent,
        action: &'static str,
        (resource, resource_type): (Arn, &'static str),
        conditions: Vec<(String, Vec<String>)>,
    ) -> Result<(), Failure> {
        let asked =
            Asked { action, resource, resource_type, also: Vec::new(), conditions, ..intent.asked().clone() };
        // What a key's policy, or a bucket's, says to the account's own people; strangers are let to what they came for only.
        let access = match intent.caller().tenant() == Some(&asked.tenant) {
            true => self.access_of(&asked.tenant, &asked.resource, &[]).await?,
            false => None,
        };
        match decision::refuses(intent.caller(), &asked, access.as_deref(), self.now()) {
            None => Ok(()),
            Some(kind) => Err(self.refuse(intent.caller(), &asked, access.as_deref(), kind).await),
        }
    }

    /// Records a no and answers it. If even the no cannot be recorded, it is a no all the same.
    async fn refuse(
        self: &Arc<Self>,
        caller: &Caller,
        asked: &Asked,
        access: Option<&Access>,
        kind: RefusalKind,
    ) -> Failure {
        Counters::add(&self.counters().refusals, 1);
        // Anybody can send what is not signed: he must not be able to fill a tenant's log, and there is nobody to name.
        if caller.is_anonymous() {
            return Failure::Refused(Refusal::recorded(asked, kind, None));
        }
        // A tenant's caller who names something of another tenant is recorded in his own tenant's log, whatever the no: the
        // other tenant's log must not tell that something was there, and is not for strangers to fill.
        let mut asked = asked.clone();
        if let Some(tenant) = caller.tenant() {
            asked.tenant = tenant.clone();
        }
        let index = async {
            let log = self.log_keys(&asked.tenant).await?;
            let house = Arc::clone(self);
            let (who, what, no) = (caller.clone(), asked.clone(), kind.clone());
            self.db
                .write(move |tx| {
                    let now = house.now();
                    refusal::append(tx, &house, &log, &who, &what, &no, now).map_err(Failure::from)
                })
                .await
        }
        .await;
        let why = match kind {
            RefusalKind::ImplicitDeny { .. } | RefusalKind::ExplicitDeny { .. } => {
                decision::explanation(caller, &asked, access, self.now())
            }
            _ => None,
        };
        match index {
            Ok(index) => {
                self.trail.changed.notify_one();
                Failure::Refused(Refusal::recorded(&asked, kind, Some(index)).explained(why))
            }
            Err(e) => {
                tracing::error!(tenant.id = %asked.tenant, "failed to record a refusal: {e}");
                Failure::Refused(Refusal::recorded(&asked, kind, None).explained(why))
            }
        }
    }
}

impl House {
    /// Refuses to let content leave its jurisdiction, on record.
    pub(crate) async fn refuse_to_leave(
        self: &Arc<Self>,
        intent: &Intent,
        place: String,
        jurisdiction: String,
    ) -> Failure {
        let no = RefusalKind::Residency { place, jurisdiction };
        self.refuse(intent.caller(), intent.asked(), None, no).await
    }
}

/// Where content goes with an operator.
enum Leaves {
    /// It stays in its jurisdiction.
    Stays,
    /// It leaves it, under this transfer of the register.
    Under(String),
    /// It would leave it, and may not.
    Nowhere(RefusalKind),
}

/// I4: an operator who reads from elsewhere carries the content there.
fn leaves(
    tx: &mut Tx<'_>,
    house: &House,
    asked: &Asked,
    place: &str,
    now: Timestamp,
) -> Result<Leaves, StoreError> {
    let object = asked.resource.relative();
    let region = crate::vault::region_of(&mut tx.tenant(&asked.tenant), &asked.resource)?;
    // What lies nowhere cannot be read; the house's own place is as good an answer as any.
    let jurisdiction =
        region.map_or_else(|| house.provider().jurisdiction.clone(), |r| house.jurisdiction_of(&r));
    if place == jurisdiction {
        return Ok(Leaves::Stays);
    }
    let found =
        crate::residency::covering(&mut tx.tenant(&asked.tenant), object, (&jurisdiction, place), now)?;
    Ok(match found {
        Some(id) => Leaves::Under(id),
        None => Leaves::Nowhere(RefusalKind::Residency { place: place.to_owned(), jurisdiction }),
    })
}

/// How an act ended, for its outcome record.
struct Ended {
    word: &'static str,
    code: Option<&'static str>,
    text: Option<String>,
    detail: Map<String, Value>,
}

impl Ended {
    fn of<O: Operation>(result: &Result<O::Output, Failure>) -> Self {
        match result {
            Ok(output) => Self { word: "done", code: None, text: None, detail: O::outcome_detail(output) },
            Err(e) => Self {
                word: if matches!(e, Failure::Refused(_)) { "refused" } else { "failed" },
                code: Some(e.code()),
                text: Some(e.to_string()),
                detail: Map::new(),
            },
        }
    }
}

/// What stops an intent inside its transaction.
enum IntentError {
    Replayed,
    Store(StoreError),
}

impl From<StoreError> for IntentError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl IntentError {
    fn into_failure(self, asked: &Asked) -> Failure {
        match self {
            Self::Replayed => Failure::Replayed,
            Self::Store(StoreError::Unavailable(why)) => {
                tracing::error!(tenant.id = %asked.tenant, "the trail cannot be written: {why}");
                Failure::Unavailable(format!(
                    "the trail cannot be written, so `{}` was not done ({why}); try again when the provider has \
                     mended its disk or database",
                    asked.event_name()
                ))
            }
            Self::Store(other) => other.into(),
        }
    }
}

/// When an event is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordedAt {
    pub(crate) time: Timestamp,
}
