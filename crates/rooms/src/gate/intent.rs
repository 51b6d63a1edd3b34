//! The intent: the only value that acts. Made by the gate's `log_intent` alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bailee_types::{Arn, BucketName, ObjectKey, ObjectVersionId, TenantId, Timestamp};
use parking_lot::Mutex;

use super::{Asked, Caller, Principal, Touches};
use crate::Failure;
use crate::consent::Coverage;

/// A recorded (or, for a tenant's own data events, authorized) will to act.
#[must_use = "an intent without an outcome shows to the tenant as `unknown`"]
pub struct Intent {
    caller: Caller,
    asked: Asked,
    record: Option<u64>,
    grant: Option<Coverage>,
    at: Option<Timestamp>,
    waits: bool,
    /// What of the bucket's own rules lets the caller in, when he is none of its account's people.
    shared: Option<Shared>,
    /// The transfer under which content leaves its jurisdiction by it.
    transfer: Option<String>,
    /// The object version that it was counted for.
    opens: Option<ObjectVersionId>,
    /// Data keys that were opened for it.
    releases: AtomicU64,
    _in_flight: Option<Flight>,
}

/// Leave to make or open the data key of one object version. Borrowed from an [`Intent`] that covers it.
pub struct KeyRelease<'i> {
    intent: &'i Intent,
    /// It makes new keys and opens none.
    seals_only: bool,
    bucket: &'i BucketName,
    version: &'i ObjectVersionId,
}

/// Leave to make or open the data key of one paper. Borrowed from an [`Intent`] about what it is attached to.
pub(crate) struct PaperRelease<'i> {
    intent: &'i Intent,
    /// It makes new keys and opens none.
    seals_only: bool,
    holder: &'i str,
    id: &'i ObjectVersionId,
}

/// What lets somebody in whom no policy of his account does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The bucket's ACL.
    Acl,
    /// The bucket's policy.
    Policy,
    /// The object's own ACL, which the act looks at. Nobody was let in yet.
    Object,
}

impl Intent {
    pub(super) fn data_event(caller: Caller, asked: Asked, shared: Option<Shared>) -> Self {
        let releases = AtomicU64::new(0);
        Self {
            caller,
            asked,
            record: None,
            grant: None,
            at: None,
            waits: false,
            shared,
            transfer: None,
            opens: None,
            releases,
            _in_flight: None,
        }
    }

    pub(super) fn durable(
        caller: Caller,
        asked: Asked,
        record: u64,
        (grant, transfer, opens): (Option<Coverage>, Option<String>, Option<ObjectVersionId>),
        at: Timestamp,
        waits: bool,
        flight: Flight,
    ) -> Self {
        let releases = AtomicU64::new(0);
        let (record, at, flight) = (Some(record), Some(at), Some(flight));
        let shared = None;
        Self {
            caller,
            asked,
            record,
            grant,
            at,
            waits,
            shared,
            transfer,
            opens,
            releases,
            _in_flight: flight,
        }
    }

    /// Who acts.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What was asked.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The index of the intent's record in the tenant's log; none for data events.
    pub fn record(&self) -> Option<u64> {
        self.record
    }

    /// The transfer under which content leaves its jurisdiction.
    pub(crate) fn transfer(&self) -> Option<&str> {
        self.transfer.as_deref()
    }

    /// The object version that the gate counted it for; what is opened by it must be that one.
    pub(crate) fn opens(&self) -> Option<&ObjectVersionId> {
        self.opens.as_ref()
    }

    /// Whether a tenant's own people act, or who was let in by the tenant; never an operator or a worker.
    pub(crate) fn is_tenants(&self, tenant: &TenantId) -> bool {
        self.caller.tenant() == Some(tenant) || self.shared.is_some() && self.asked.tenant == *tenant
    }

    /// What lets a stranger in.
    pub(crate) fn shared(&self) -> Option<Shared> {
        self.shared
    }

    /// The grant under which an operator acts.
    pub fn grant(&self) -> Option<&Coverage> {
        self.grant.as_ref()
    }

    /// Leave to use the data key of an object version, if this intent covers that object.
    ///
    /// # Errors
    /// When the intent is for another object, or an operator acts without a durable record or a live grant:
    /// the key refuses even if a front door did not.
    pub fn release<'i>(
        &'i self,
        bucket: &'i BucketName,
        key: &ObjectKey,
        version: &'i ObjectVersionId,
        now: Timestamp,
    ) -> Result<KeyRelease<'i>, Failure> {
        self.no_own_work()?;
        let object = Arn::object(&self.asked.tenant, bucket, key);
        if self.caller.replicates() == Some(&self.asked.tenant)
            && self.asked.action == "oss:ReplicateObject"
            && self.record.is_some()
        {
            // It opens what it copies, and only seals where it copies to.
            let opens = self.asked.resource == object;
            if opens || self.asked.also.contains(&object) {
                return Ok(KeyRelease { intent: self, seals_only: !opens, bucket, version });
            }
        }
        if self.asked.resource != object || self.asked.touches != Touches::Content {
            return Err(Failure::Bug(format!(
                "an intent for `{}` was used for another object",
                self.asked.resource
            )));
        }
        if self.is_tenants(&self.asked.tenant) {
            return Ok(KeyRelease { intent: self, seals_only: false, bucket, version });
        }
        if self.caller.delivers_to() == Some(&self.asked.tenant) && self.asked.action == "oss:PutObject" {
            return Ok(KeyRelease { intent: self, seals_only: true, bucket, version });
        }
        let live = self.grant.as_ref().is_some_and(|g| {
            g.tenant == self.asked.tenant
                && g.scope.covers_object(bucket, key)
                && now < g.until
                && g.action == self.asked.action
        });
        if self.caller.is_operator() && self.record.is_some() && live {
            return Ok(KeyRelease { intent: self, seals_only: false, bucket, version });
        }
        Err(Failure::Bug(format!(
            "the key refused: `{}` acts on `{}` without a live grant",
            self.caller.name(),
            self.asked.resource
        )))
    }

    /// Leave to use the data key of a paper that is attached to what this intent is about.
    ///
    /// # Errors
    /// When the intent is about something else, or is not recorded. An operator has a way to papers of a ticket alone: one act
    /// seals them, another, which the gate let through for the open ticket, opens them. Who works at the machine can seal a paper,
    /// not open it.
    pub(crate) fn release_paper<'i>(
        &'i self,
        holder: &'i str,
        id: &'i ObjectVersionId,
    ) -> Result<PaperRelease<'i>, Failure> {
        self.no_own_work()?;
        let (asked, kind) = (&self.asked, holder.split_once('/').map_or("", |(kind, _)| kind));
        let is_it = asked.resource == Arn::own(&asked.tenant, holder);
        // What is made by this very act has no name before.
        let is_new = asked.resource == Arn::own(&asked.tenant, &format!("{kind}/*"));
        let own = self.caller.tenant() == Some(&asked.tenant);
        let system = matches!(self.caller.principal(), Principal::System { .. });
        let on_ticket = self.caller.is_operator() && is_it && kind == "ticket";
        let (files, reads) = (
            on_ticket && asked.action == "bailee:AttachToTicket",
            on_ticket && asked.action == "bailee:GetTicketAttachment" && asked.touches == Touches::Attachment,
        );
        if self.record.is_none() || !(is_it || is_new) || !(own || system || files || reads) {
            return Err(Failure::Bug(format!(
                "the key refused: `{}` has no way to a document of `{holder}`",
                self.caller.name()
            )));
        }
        let opens = reads || own && is_it && matches!(asked.touches, Touches::Content | Touches::Attachment);
        Ok(PaperRelease { intent: self, seals_only: !opens, holder, id })
    }

    /// Stability work and who is under a broken glass open nothing, whatever grant there is beside it.
    fn no_own_work(&self) -> Result<(), Failure> {
        match (self.caller.change(), self.caller.glass()) {
            (None, None) => Ok(()),
            (_, Some((glass, _))) => Err(Failure::Bug(format!(
                "the key refused: `{}` acts under glass `{glass}`, and a broken glass opens no content",
                self.caller.name()
            ))),
            (Some(change), _) => Err(Failure::Bug(format!(
                "the key refused: `{}` works on change `{change}`, and stability work opens no content",
                self.caller.name()
            ))),
        }
    }

    /// Whether the tenant wants witnesses to cosign the record before the act.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Data keys that were opened for it so far: its outcome says how many.
    pub(super) fn releases(&self) -> u64 {
        self.releases.load(Ordering::Relaxed)
    }

    /// When the intent became durable.
    pub fn at(&self) -> Option<Timestamp> {
        self.at
    }
}

impl KeyRelease<'_> {
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.intent.asked.tenant
    }

    /// Refuses to open a data key for a worker that only writes.
    pub(crate) fn may_open(&self) -> Result<(), Failure> {
        if self.seals_only {
            return Err(Failure::Bug(format!(
                "the key refused: `{}` opens nothing",
                self.intent.caller.name()
            )));
        }
        Ok(())
    }

    /// A data key is opened.
    pub(crate) fn count(&self) {
        self.intent.releases.fetch_add(1, Ordering::Relaxed);
    }

    /// Whose leave it is.
    pub(crate) fn intent(&self) -> &Intent {
        self.intent
    }

    pub(crate) fn bucket(&self) -> &BucketName {
        self.bucket
    }

    pub(crate) fn version(&self) -> &ObjectVersionId {
        self.version
    }
}

impl PaperRelease<'_> {
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.intent.asked.tenant
    }

    pub(crate) fn holder(&self) -> &str {
        self.holder
    }

    pub(crate) fn id(&self) -> &ObjectVersionId {
        self.id
    }

    /// Refuses to open for who only attaches.
    pub(crate) fn may_open(&self) -> Result<(), Failure> {
        if self.seals_only {
            return Err(Failure::Bug(format!(
                "the key refused: `{}` opens no document",
                self.intent.caller.name()
            )));
        }
        Ok(())
    }

    /// A data key is opened.
    pub(crate) fn count(&self) {
        self.intent.releases.fetch_add(1, Ordering::Relaxed);
    }
}

/// Intents of this process whose act still runs.
#[derive(Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<(TenantId, u64)>>>);

/// Membership in [`InFlight`]; ends when dropped.
pub(crate) struct Flight {
    set: InFlight,
    key: (TenantId, u64),
}

impl InFlight {
    pub(super) fn enter(&self, tenant: &TenantId, index: u64) -> Flight {
        let key = (tenant.clone(), index);
        self.0.lock().insert(key.clone());
        Flight { set: self.clone(), key }
    }

    pub(super) fn contains(&self, tenant: &TenantId, index: u64) -> bool {
        self.0.lock().contains(&(tenant.clone(), index))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.set.0.lock().remove(&self.key);
    }
}
