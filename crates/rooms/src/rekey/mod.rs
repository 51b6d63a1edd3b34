//! New versions of tenants' keys: made, everything that lies under an older one sealed anew, an old one destroyed.
//!
//! A new version seals after 15 seconds, when every server knows it. Then a worker seals anew what lies under older ones: wraps of
//! data keys, metadata, keys of KMS, secrets, the log's keys, certificates, messages of tickets, secrets of targets, keys of recordings, addresses of notices. Content is not touched and no data key leaves the
//! keys room, so it needs no consent; each pass is an act in the tenant's log.
//! INVARIANT: a version is destroyed only when a whole pass found nothing that lies under it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bailee_types::{Arn, BucketName, TenantId, Timestamp};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::keys::{self, TenantKey, TenantKeyVersion};
use crate::vault::{RewrapDone, Rewrapping, under_version};
use crate::{Failure, House, broker, closure, notices, tickets, trail};

/// A version is destroyed this long (ms) after the newest began to seal at the earliest: what long requests sealed with the
/// old one is there by then.
pub const RETIRE_AFTER_MS: i64 = 24 * 3_600_000;
/// How long (ms) after a version was made its passes may begin: acts that began with the old one are over.
const PASS_AFTER_MS: i64 = 30_000;
/// What the worker seals anew in one act.
const ACT_MAX: u64 = 20_000;
/// What failed is tried again after so long (ms): each try stands in the tenant's log.
const RETRY_MS: i64 = 3_600_000;
/// How often the worker looks.
const ROUND: Duration = Duration::from_secs(30);

/// Makes a new version of a tenant's key. The machine's administrator only.
#[derive(Clone, Debug)]
pub struct RotateTenantKey {
    /// Whose.
    pub tenant: TenantId,
}

/// Seals anew what lies under older versions of a tenant's key. The machine's administrator only.
pub struct RewrapTenant {
    /// Whose.
    pub tenant: TenantId,
    /// Only this bucket's objects.
    pub bucket: Option<BucketName>,
    /// Also what lies under an older version of its own key of KMS.
    pub covers: bool,
    /// It ends after so many objects were sealed anew.
    pub max: u64,
    /// Hears how far it is.
    pub progress: Box<dyn FnMut(&RewrapDone) + Send>,
}

/// Destroys an old version of a tenant's key, when nothing lies under it any more. The machine's administrator only.
#[derive(Clone, Debug)]
pub struct RetireTenantKey {
    /// Whose.
    pub tenant: TenantId,
    /// Its number.
    pub version: i64,
}

fn asked(tenant: &TenantId, action: &'static str, detail: Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "tenant-key"),
        resource_type: "ACS::Bailee::TenantKey",
        class: Class::Management { write: true },
        touches: Touches::Metadata,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

fn administrator(intent: &Intent) -> Result<(), Failure> {
    let caller = intent.caller();
    if caller.tenant().is_some() || caller.is_operator() && caller.change().is_none() {
        return Err(Failure::Conflict("versions of a tenant's key are the machine's administrator's".into()));
    }
    Ok(())
}

impl Operation for RotateTenantKey {
    type Output = TenantKeyVersion;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:RotateTenantKey", json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<TenantKeyVersion, Failure> {
        administrator(intent)?;
        house.new_tenant_key_version(&self.tenant).await
    }

    fn outcome_detail(made: &TenantKeyVersion) -> Map<String, Value> {
        parameters(json!({ "version": made.number }))
    }
}

impl Operation for RewrapTenant {
    type Output = RewrapDone;

    fn asks(&self) -> Asked {
        let detail = json!({ "bucket": self.bucket.as_ref().map(BucketName::as_str), "covers": self.covers });
        asked(&self.tenant, "bailee:RewrapTenant", detail)
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<RewrapDone, Failure> {
        administrator(intent)?;
        let key = house.settled_key(&self.tenant).await?;
        let began = house.now();
        let what = Rewrapping {
            tenant: &self.tenant,
            bucket: self.bucket.clone(),
            covers: self.covers,
            key: Arc::clone(&key),
            max: self.max,
        };
        let done = house.pass(intent, &what, &mut *self.progress).await?;
        if done.is_settled() && self.bucket.is_none() {
            let tenant = self.tenant;
            house.db.write(move |tx| keys::settle(&mut tx.tenant(&tenant), &key, began)).await?;
        }
        Ok(done)
    }

    fn outcome_detail(done: &RewrapDone) -> Map<String, Value> {
        parameters(json!({
            "objects": done.rewrapped, "others": done.others, "looked": done.looked, "waiting": done.waiting(),
            "damaged": done.damaged_in_all, "more": done.more,
        }))
    }
}

impl Operation for RetireTenantKey {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:RetireTenantKey", json!({ "version": self.version }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        administrator(intent)?;
        let versions = house.tenant_key_versions(&self.tenant).await?;
        let newest = versions.last().ok_or_else(|| Failure::Bug("a tenant without a key".into()))?;
        if !versions.iter().any(|v| v.number == self.version) {
            return Err(Failure::invalid("version", format!("{} is not there", self.version)));
        }
        if self.version == newest.number {
            return Err(Failure::Conflict("the newest version seals what is new: rotate first".into()));
        }
        let may = newest.seals_from.plus_ms(RETIRE_AFTER_MS);
        if house.now() < may {
            return Err(Failure::Conflict(format!(
                "requests that began before the newest version sealed may still write under version {}: it can be \
                 destroyed from {} on",
                self.version,
                may.iso()
            )));
        }
        let key = house.settled_key(&self.tenant).await?;
        let what = Rewrapping { tenant: &self.tenant, bucket: None, covers: false, key, max: u64::MAX };
        // The first pass brings home what came late; the second has to find nothing.
        house.pass(intent, &what, &mut |_| {}).await?;
        let done = house.pass(intent, &what, &mut |_| {}).await?;
        if !done.is_settled() || done.waiting() > 0 {
            return Err(Failure::Conflict(format!("an old version is still needed: {}", told(&done))));
        }
        let (tenant, version) = (self.tenant.clone(), self.version);
        house
            .db
            .write(move |tx| match under_version(&mut tx.tenant(&tenant), version)? {
                0 => keys::retire(tx, &tenant, version),
                n => Err(Failure::Conflict(format!("{n} objects lie under version {version}"))),
            })
            .await?;
        house.forget_tenant_key(&self.tenant);
        house.db.forget_deleted().await.map_err(Failure::from)
    }
}

/// Why an old version is still needed.
pub fn told(done: &RewrapDone) -> String {
    let mut out = Vec::new();
    for (n, what) in [
        (done.changed() + done.raced, "were sealed anew or changed while it was looked"),
        (done.wait_for_customer, "lie under a key that only the customer keeps: they must be written again"),
        (done.wait_for_service, "lie under a key in the tenant's key service: they must be written again"),
        (done.wait_for_key, "lie under a key of KMS that is disabled, gone or waits for material"),
        (done.wait_for_material, "keys of KMS wait for material that the first version knows"),
        (done.damaged_in_all, "do not open: see `bailee vault scrub`"),
    ] {
        if n > 0 {
            out.push(format!("{n} {what}"));
        }
    }
    out.join("; ")
}

impl House {
    /// A tenant's key, when its newest version seals and every server knows that.
    async fn settled_key(&self, tenant: &TenantId) -> Result<Arc<TenantKey>, Failure> {
        let versions = self.tenant_key_versions(tenant).await?;
        let newest = versions.last().ok_or_else(|| Failure::Bug("a tenant without a key".into()))?;
        let from = newest.created_at.plus_ms(PASS_AFTER_MS);
        if versions.len() > 1 && self.now() < from {
            return Err(Failure::Conflict(format!(
                "version {} is new: what is older can be sealed anew from {} on",
                newest.number,
                from.iso()
            )));
        }
        self.tenant_key_version(tenant, newest.number).await
    }

    /// Looks at everything of a tenant once.
    async fn pass(
        self: &Arc<Self>,
        intent: &Intent,
        what: &Rewrapping<'_>,
        told: &mut (dyn FnMut(&RewrapDone) + Send),
    ) -> Result<RewrapDone, Failure> {
        let mut done = RewrapDone::default();
        if what.bucket.is_none() {
            let (tenant, key) = (what.tenant.clone(), Arc::clone(&what.key));
            let few = self.db.write(move |tx| {
                let mut few = trail::reseal(tx, &tenant, &key)?;
                few.add(closure::reseal(&mut tx.tenant(&tenant), &key)?);
                few.add(notices::reseal(&mut tx.tenant(&tenant), &key)?);
                Ok::<_, Failure>(few)
            });
            done.note(few.await?);
            done.note(tickets::reseal(self, what.tenant, &what.key).await?);
            done.note(broker::reseal(self, what.tenant, &what.key).await?);
            done.note(keys::reseal_keys(self, what.tenant, &what.key).await?);
        }
        self.rewrap_vault(intent, what, &mut done, told).await?;
        Ok(done)
    }

    /// Seals anew what lies under old versions, of all tenants; answers how many acts there were. One tenant's trouble is not
    /// another's.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rewrap_due(self: &Arc<Self>) -> Result<u64, Failure> {
        self.rewrap_but(&mut HashMap::new()).await
    }

    /// The same, but for those who failed within [`RETRY_MS`]; whoever fails is added to them.
    async fn rewrap_but(self: &Arc<Self>, failed: &mut HashMap<TenantId, Timestamp>) -> Result<u64, Failure> {
        let mut acts = 0;
        let now = self.now();
        failed.retain(|_, at| now < at.plus_ms(RETRY_MS));
        for tenant in self.unsettled_keys().await? {
            if failed.contains_key(&tenant) {
                continue;
            }
            let act = RewrapTenant {
                tenant: tenant.clone(),
                bucket: None,
                covers: false,
                max: ACT_MAX,
                progress: Box::new(|_| {}),
            };
            match self.perform(self.system_caller("key keeper"), act).await {
                Ok(_) => acts += 1,
                Err(e) => {
                    tracing::warn!(tenant.id = %tenant, "what lies under an old key could not be sealed anew: {e}");
                    failed.insert(tenant, now);
                }
            }
        }
        Ok(acts)
    }
}

/// The worker.
pub(crate) async fn keep(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut failed = HashMap::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        if let Err(e) = house.rewrap_but(&mut failed).await {
            tracing::warn!("versions of tenants' keys cannot be read: {e}");
        }
    }
}
