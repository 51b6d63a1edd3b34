//! Changes: stability work on a tenant's things, announced in the tenant's log and then run. It works on sealed bytes and metadata.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, BucketName, ChangeId, OperatorId, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::{DAY_MS, line, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Touches};
use crate::rekey::RewrapTenant;
use crate::vault::{Repair, Repaired, Scrub, SetTenantQuota};
use crate::{Failure, House, Thing, notices};

/// Days after its planned time for which a change may be run.
pub const CHANGE_DAYS: i64 = 7;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// How much the tenant may store in all.
    Quota(Option<u64>),
    /// A bucket's sealed bytes are looked at for damage.
    Scrub(BucketName),
    /// What lies under older versions of the tenant's key is sealed anew, of one bucket or of everything.
    Rewrap(Option<BucketName>),
    /// A bucket's damaged blobs are brought back from a second copy, at the machine.
    Repair(BucketName),
    /// A worker stands still, for one bucket or for all, until it is run again or the change's days are over.
    Suspend(Worker, Option<BucketName>),
}

/// What works on a tenant's things as the tenant's own settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    /// Copies of new versions.
    Replication,
    /// The end of what a bucket's rules say is due.
    Lifecycle,
}

impl Worker {
    pub(super) const fn suspends(self) -> &'static str {
        match self {
            Self::Replication => "suspend-replication",
            Self::Lifecycle => "suspend-lifecycle",
        }
    }
}

impl Work {
    /// The word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Quota(_) => "quota",
            Self::Scrub(_) => "scrub",
            Self::Rewrap(_) => "rewrap",
            Self::Repair(_) => "repair",
            Self::Suspend(worker, _) => worker.suspends(),
        }
    }

    /// The bucket that it is about.
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::Quota(_) => None,
            Self::Scrub(bucket) | Self::Repair(bucket) => Some(bucket),
            Self::Rewrap(bucket) | Self::Suspend(_, bucket) => bucket.as_ref(),
        }
    }

    pub(super) fn bytes_max(&self) -> Option<u64> {
        match self {
            Self::Quota(max) => *max,
            _ => None,
        }
    }

    fn is_done_by(&self, action: &str) -> bool {
        match self {
            Self::Quota(_) => action == "bailee:SetTenantQuota",
            Self::Scrub(_) => action == "bailee:ScrubVault",
            Self::Rewrap(_) => action == "bailee:RewrapTenant",
            // At the machine: the repair asks for its change itself.
            Self::Repair(_) => false,
            Self::Suspend(..) => matches!(action, "bailee:SuspendWorker" | "bailee:ResumeWorker"),
        }
    }
}

/// A change that is to be announced.
#[derive(Clone, Debug)]
pub struct NewChange {
    /// Whose things.
    pub tenant: TenantId,
    /// The provider's number for it.
    pub id: ChangeId,
    /// What is done.
    pub work: Work,
    /// Why, 5 to 1,000 characters; the tenant reads it.
    pub reason: String,
    /// When; it may be run from then on.
    pub planned_at: Timestamp,
}

/// A change that was announced.
#[derive(Clone, Debug)]
pub struct Change {
    /// What was announced.
    pub new: NewChange,
    /// Who announced it; the tenant does not see it.
    pub operator: OperatorId,
    /// Who, as the tenant sees him.
    pub pseudonym: String,
    /// When it was announced.
    pub announced_at: Timestamp,
    /// Since when a worker stands still under it.
    pub began_at: Option<Timestamp>,
    /// How its last run ended: whether it was done, when, and what came of it.
    pub ended: Option<(bool, Timestamp, String)>,
}

impl Change {
    fn is_due(&self, now: Timestamp) -> bool {
        !self.is_done() && self.new.planned_at <= now && now < self.until()
    }

    /// From when on nothing is done under it any more, and no worker stands still.
    pub fn until(&self) -> Timestamp {
        self.new.planned_at.plus_ms(CHANGE_DAYS * DAY_MS)
    }

    /// Whether it was run to its end.
    pub fn is_done(&self) -> bool {
        matches!(self.ended, Some((true, ..)))
    }

    /// `planned`, `due`, `running` (a worker stands still), `over`, `failed` (and due), `done`.
    pub fn word(&self, now: Timestamp) -> &'static str {
        match self.ended {
            Some((true, ..)) => "done",
            _ if now < self.new.planned_at => "planned",
            _ if !self.is_due(now) => "over",
            Some(_) => "failed",
            None if self.began_at.is_some() => "running",
            None => "due",
        }
    }
}

/// Whether an operator may do this under a change: it was announced for that, and its time has come.
pub(crate) fn may_run(
    tx: &mut TenantTx<'_, '_>,
    id: &ChangeId,
    action: &str,
    now: Timestamp,
) -> Result<bool, Failure> {
    Ok(rows::change(tx, id)?.is_some_and(|c| c.new.work.is_done_by(action) && c.is_due(now)))
}

/// Whether this work was announced under this number, and its time has come.
pub(crate) fn is_announced(
    tx: &mut TenantTx<'_, '_>,
    id: &ChangeId,
    work: &Work,
    now: Timestamp,
) -> Result<bool, Failure> {
    Ok(rows::change(tx, id)?.is_some_and(|c| c.new.work == *work && c.is_due(now)))
}

/// Under which change a worker stands still for a bucket, in words; none: it works.
pub(crate) fn still(
    tx: &mut TenantTx<'_, '_>,
    worker: Worker,
    bucket: &BucketName,
    now: Timestamp,
) -> Result<Option<String>, Failure> {
    let begun = rows::begun(tx, (worker, bucket), now.plus_ms(-CHANGE_DAYS * DAY_MS))?;
    let until = begun.iter().max_by_key(|c| c.until());
    Ok(until.map(|c| {
        format!(
            "it stands still under the provider's change `{}`, until {} at most",
            c.new.id,
            c.until().iso()
        )
    }))
}

/// Lets a worker stand still, or go on; [`House::run_change`] performs it.
struct Pause {
    change: NewChange,
    resume: bool,
}

impl Operation for Pause {
    type Output = String;

    fn asks(&self) -> Asked {
        let NewChange { tenant, id, work, planned_at, .. } = &self.change;
        let until = (!self.resume).then(|| planned_at.plus_ms(CHANGE_DAYS * DAY_MS).iso());
        Asked {
            tenant: tenant.clone(),
            action: if self.resume { "bailee:ResumeWorker" } else { "bailee:SuspendWorker" },
            resource: Arn::own(tenant, &format!("change/{id}")),
            resource_type: "ACS::Bailee::Change",
            class: Class::Management { write: true },
            touches: Touches::Metadata,
            ticket: None,
            parameters: parameters(json!({
                "work": work.word(), "bucket": work.bucket().map(BucketName::as_str), "untilAtMost": until,
            })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<String, Failure> {
        if intent.caller().operator().is_none() {
            return Err(Failure::Conflict("changes are run by the provider's people".into()));
        }
        let (now, NewChange { tenant, id, planned_at, .. }) = (house.now(), self.change);
        let until = planned_at.plus_ms(CHANGE_DAYS * DAY_MS).iso();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                if self.resume {
                    rows::end_change(&mut tx, &id, (true, now, "it works again"))?;
                    Ok("it works again".to_owned())
                } else if rows::begin_change(&mut tx, &id, now)? {
                    Ok(format!("it stands still until this is run again, or {until}"))
                } else {
                    Err(Failure::Conflict(format!("change `{id}` was run meanwhile")))
                }
            })
            .await
    }
}

/// Announces a change; [`House::announce_change`] performs it.
struct Announce(NewChange);

impl Operation for Announce {
    type Output = ();

    fn asks(&self) -> Asked {
        let NewChange { tenant, id, work, reason, planned_at } = &self.0;
        let reason: String = reason.trim().chars().filter(|c| !c.is_control()).take(1_000).collect();
        Asked {
            tenant: tenant.clone(),
            action: "bailee:AnnounceChange",
            resource: Arn::own(tenant, &format!("change/{id}")),
            resource_type: "ACS::Bailee::Change",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({
                "change": id.as_str(), "work": work.word(), "bucket": work.bucket().map(BucketName::as_str),
                "bytesMax": work.bytes_max(), "reason": reason, "plannedAt": planned_at.iso(),
            })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let mut new = self.0;
        let Some(operator) = intent.caller().operator().cloned() else {
            return Err(Failure::Conflict("changes are announced by the provider's people".into()));
        };
        new.reason = line("reason", &new.reason, (5, 1_000))?;
        if new.work.bytes_max().is_some_and(|m| m == 0 || i64::try_from(m).is_err()) {
            return Err(Failure::invalid("bytes", "must be a positive number"));
        }
        let now = house.now();
        if new.planned_at < now.plus_ms(-DAY_MS) || new.planned_at > now.plus_ms(366 * DAY_MS) {
            return Err(Failure::invalid("planned", "must lie within a year from now"));
        }
        let pseudonym = house.pseudonym(&new.tenant, &operator).to_string();
        let change = Change { new, operator, pseudonym, announced_at: now, began_at: None, ended: None };
        house
            .db
            .write(move |tx| {
                let id = change.new.id.clone();
                let mut tx = tx.tenant(&change.new.tenant);
                if !rows::insert_change(&mut tx, &change)? {
                    return Err(Failure::Conflict(format!(
                        "change `{id}` was announced to this tenant already"
                    )));
                }
                notices::emit(&mut tx, notices::Kind::Alert, id.as_str(), now)?;
                Ok(())
            })
            .await
    }

    fn outcome_detail((): &()) -> Map<String, Value> {
        Map::new()
    }
}

impl House {
    /// Announces stability work to a tenant, in its log.
    ///
    /// # Errors
    /// When the caller may not, or the change was announced before.
    pub async fn announce_change(self: &Arc<Self>, caller: Caller, new: NewChange) -> Result<(), Failure> {
        self.perform(caller.under_change(Some(new.id.clone())), Announce(new)).await
    }

    /// Runs what was announced. What died on the way may be run again.
    ///
    /// # Errors
    /// When there is no such change, it is not its time, or what the work says.
    pub async fn run_change(
        self: &Arc<Self>,
        caller: Caller,
        tenant: &TenantId,
        id: &ChangeId,
    ) -> Result<String, Failure> {
        let (of, which) = (tenant.clone(), id.clone());
        let found =
            self.db.read(move |tx| rows::change(&mut tx.tenant(&of), &which).map_err(Failure::from)).await?;
        let change = found.ok_or_else(|| Failure::not_found(Thing::Change, id))?;
        let now = self.now();
        if !change.is_due(now) {
            return Err(Failure::Conflict(format!(
                "change `{id}` is {}: it may be run from {} on, for {CHANGE_DAYS} days, once",
                change.word(now),
                change.new.planned_at.iso()
            )));
        }
        let caller = caller.under_change(Some(id.clone()));
        match &change.new.work {
            Work::Suspend(..) => {
                let resume = change.began_at.is_some();
                return self.perform(caller, Pause { change: change.new, resume }).await;
            }
            Work::Repair(bucket) => {
                return Err(Failure::Conflict(format!(
                    "a repair needs the machine: `bailee vault repair --tenant {tenant} --bucket {bucket} --change {id} --from \
                     FOLDER`"
                )));
            }
            _ => {}
        }
        let done = self.work(caller, &change.new).await;
        if matches!(done, Err(Failure::Refused(_))) {
            return done;
        }
        let (ok, said) = match &done {
            Ok(said) => (true, said.clone()),
            Err(e) => (false, e.to_string()),
        };
        self.end_change(tenant, id, (ok, said)).await?;
        done
    }

    async fn end_change(
        &self,
        tenant: &TenantId,
        id: &ChangeId,
        (ok, said): (bool, String),
    ) -> Result<(), Failure> {
        let (of, which, at) = (tenant.clone(), id.clone(), self.now());
        self.db
            .write(move |tx| {
                rows::end_change(&mut tx.tenant(&of), &which, (ok, at, &said)).map_err(Failure::from)
            })
            .await
    }

    /// Mends a bucket under the change that announced it; what is left damaged may be tried again, from another source.
    ///
    /// # Errors
    /// When no change announces it for now, or what the repair says.
    pub async fn repair(
        self: &Arc<Self>,
        caller: Caller,
        id: &ChangeId,
        repair: Repair,
    ) -> Result<Repaired, Failure> {
        let (tenant, dry_run) = (repair.tenant.clone(), repair.dry_run);
        let done = self.perform(caller.under_change(Some(id.clone())), repair).await?;
        if !dry_run {
            let said = format!("{} of {} damaged objects mended", done.repaired, done.damaged);
            self.end_change(&tenant, id, (done.repaired == done.damaged, said)).await?;
        }
        Ok(done)
    }

    async fn work(self: &Arc<Self>, caller: Caller, new: &NewChange) -> Result<String, Failure> {
        let tenant = new.tenant.clone();
        match new.work.clone() {
            Work::Repair(_) | Work::Suspend(..) => {
                Err(Failure::Bug(format!("`{}` is run in another way", new.work.word())))
            }
            Work::Quota(bytes_max) => {
                self.perform(caller, SetTenantQuota { tenant, bytes_max }).await?;
                Ok(bytes_max.map_or_else(|| "no quota".into(), |max| format!("quota: {max} bytes")))
            }
            Work::Scrub(bucket) => {
                let scrub = Scrub { tenant: Some(tenant), bucket: Some(bucket), progress: Box::new(|_| {}) };
                let done = self.perform(caller, scrub).await?;
                Ok(format!(
                    "{} objects, {} bytes looked at; {} damaged",
                    done.objects, done.bytes, done.damaged_in_all
                ))
            }
            Work::Rewrap(bucket) => {
                let (max, progress) = (u64::MAX, Box::new(|_: &_| {}));
                let done = self
                    .perform(caller, RewrapTenant { tenant, bucket, covers: false, max, progress })
                    .await?;
                Ok(format!(
                    "{} objects and {} other things sealed anew; {} have to stay",
                    done.rewrapped,
                    done.others,
                    done.waiting()
                ))
            }
        }
    }
}
