//! Replication: new versions of a bucket are copied into another one of the same account, in another region as a rule, by a worker.
//!
//! What is to be copied is written down in the transaction that keeps it, so nothing is forgotten. The owner's rule is the leave: it is
//! read anew before each copy, and the keys open for it alone ([`crate::gate::Intent::release`]).
//! INVARIANT: a copy is recorded in the owner's log before it is made; across a border it needs a transfer, as any other.
//! INVARIANT: a replica is not replicated further.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bailee_store::{StoreError, TenantTx};
use bailee_types::{Arn, BucketName, ObjectKey, ObjectVersionId, TenantId, Timestamp};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::bucket::known;
use super::get::{Choice, GetObject};
use super::put::PutObject;
use super::{Bucket, CopyBody, ObjectMeta, Versioning, Which, bucket_asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Touches};
use crate::handling::Worker;
use crate::{Failure, House};

/// Rules of one bucket.
pub const REPLICATION_RULES_MAX: usize = 10;
/// How often it is looked what is due when nothing was.
const ROUND: Duration = Duration::from_secs(1);
/// Copies that run at a time, and versions of one look.
const AT_ONCE: usize = 4;
const LOOK: u32 = 100;
/// The longest pause between two tries.
const PAUSE_MS_MAX: i64 = 3_600_000;
/// How often what stands still is looked at again.
const STILL_MS: i64 = 60_000;
/// Bytes of the largest object that is copied as a whole.
const WHOLE_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// What is copied where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationRule {
    /// Its name.
    pub id: String,
    /// Keys that begin so.
    pub prefix: String,
    /// A bucket of the same account.
    pub to: BucketName,
    /// Whether it is on.
    pub on: bool,
}

/// How a rule stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicationLag {
    /// Versions that wait.
    pub waiting: u64,
    /// Since when the oldest of them does.
    pub oldest: Option<Timestamp>,
    /// Those that were tried without success.
    pub failed: u64,
    /// Why the newest of them was not copied.
    pub why: Option<String>,
}

/// A version that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) tenant: TenantId,
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) version: ObjectVersionId,
    pub(super) rule: String,
    pub(super) tries: i64,
}

/// Sets what of a bucket is replicated; nothing ends it, and what waits is forgotten.
#[derive(Clone, Debug)]
pub struct SetReplication {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The rules.
    pub rules: Vec<ReplicationRule>,
}

impl Operation for SetReplication {
    type Output = ();

    fn asks(&self) -> Asked {
        let action =
            if self.rules.is_empty() { "oss:DeleteBucketReplication" } else { "oss:PutBucketReplication" };
        let mut asked = bucket_asked(&self.tenant, &self.bucket, action);
        asked.class = Class::Management { write: true };
        let rules = self.rules.iter().take(REPLICATION_RULES_MAX);
        let rules: Vec<Value> =
            rules.map(|r| json!({ "prefix": r.prefix, "to": r.to.as_str(), "on": r.on })).collect();
        asked.parameters.extend(parameters(json!({ "rules": rules })));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let wrong = |why: String| Failure::invalid("Replication", why);
        if self.rules.len() > REPLICATION_RULES_MAX {
            return Err(wrong(format!("has more than {REPLICATION_RULES_MAX} rules")));
        }
        for (at, rule) in self.rules.iter().enumerate() {
            let plain = |t: &str, max: usize| t.len() <= max && !t.chars().any(char::is_control);
            if rule.id.is_empty() || !plain(&rule.id, 255) || !plain(&rule.prefix, 1_023) {
                return Err(wrong("has a rule whose name or prefix is missing or too long".into()));
            }
            if self.rules.iter().take(at).any(|r| r.id == rule.id) {
                return Err(wrong(format!("has two rules `{}`", rule.id)));
            }
            if rule.to == self.bucket {
                return Err(wrong("leads into the bucket itself".into()));
            }
            let (tenant, to) = (self.tenant.clone(), rule.to.clone());
            let there = house.db.read(move |tx| known(&mut tx.tenant(&tenant), &to)).await?;
            if there.versioning != Versioning::Enabled {
                return Err(wrong(format!(
                    "leads into `{}`, which keeps no versions: switch that on first",
                    rule.to
                )));
            }
            // Who has something copied somewhere reads it here and writes it there.
            for (bucket, action) in [(&self.bucket, "oss:GetObject"), (&rule.to, "oss:PutObject")] {
                let any = Arn::parse(&format!("acs:oss:*:{}:{bucket}/{}*", self.tenant, rule.prefix))
                    .map_err(|e| Failure::Bug(e.to_string()))?;
                house.ask_further(intent, action, (any, "ACS::OSS::Object")).await?;
            }
        }
        let (rules, ids) = (self.rules.clone(), self.rules.iter().map(|r| r.id.clone()).collect::<Vec<_>>());
        house
            .change_bucket_in(&self.tenant, &self.bucket, move |tx, bucket, _| {
                if !rules.is_empty() && bucket.versioning != Versioning::Enabled {
                    return Err(Failure::invalid("Replication", "needs a bucket that keeps versions"));
                }
                bucket.settings.replication.clone_from(&rules);
                rows::forget_waiting(tx, &bucket.name, &ids)?;
                Ok(())
            })
            .await
    }
}

/// What of a bucket is replicated, and how far it is.
#[derive(Clone, Debug)]
pub struct GetReplication {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
}

impl Operation for GetReplication {
    type Output = Vec<(ReplicationRule, ReplicationLag)>;

    fn asks(&self) -> Asked {
        bucket_asked(&self.tenant, &self.bucket, "oss:GetBucketReplication")
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Self::Output, Failure> {
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let there = known(&mut tx, &self.bucket)?;
                let mut out = Vec::new();
                for rule in there.settings.replication {
                    let lag = rows::lag(&mut tx, &self.bucket, &rule.id)?;
                    out.push((rule, lag));
                }
                Ok(out)
            })
            .await
    }
}

/// In the transaction that keeps a version: what it is to be copied to is written down.
pub(super) fn enqueue(
    tx: &mut TenantTx<'_, '_>,
    bucket: &Bucket,
    key: &ObjectKey,
    version: &ObjectVersionId,
    (replica, now): (bool, Timestamp),
) -> Result<(), StoreError> {
    if replica {
        return Ok(());
    }
    for rule in bucket.settings.replication.iter().filter(|r| r.on && key.as_str().starts_with(&r.prefix)) {
        rows::enqueue(tx, (&bucket.name, key, version), &rule.id, now)?;
    }
    Ok(())
}

/// Copies one version, as a rule of its bucket says.
struct Replicate {
    what: Waiting,
    to: BucketName,
}

impl Operation for Replicate {
    /// Bytes; none when there was nothing to do any more.
    type Output = Option<u64>;

    fn asks(&self) -> Asked {
        let Waiting { tenant, bucket, key, version, rule, .. } = &self.what;
        Asked {
            tenant: tenant.clone(),
            action: "oss:ReplicateObject",
            resource: Arn::object(tenant, bucket, key),
            resource_type: "ACS::OSS::Object",
            class: Class::Management { write: true },
            touches: Touches::Content,
            ticket: None,
            parameters: parameters(
                json!({ "rule": rule, "to": self.to.as_str(), "versionId": version.as_str() }),
            ),
            continues: None,
            also: vec![Arn::object(tenant, &self.to, key)],
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Option<u64>, Failure> {
        let Waiting { tenant, bucket, key, version, rule, .. } = self.what;
        // The rule is the leave: what was taken back since opens nothing.
        let there = house.known_bucket(&tenant, &bucket).await?;
        let live = there
            .settings
            .replication
            .iter()
            .any(|r| r.id == rule && r.on && r.to == self.to && key.as_str().starts_with(&r.prefix));
        if !live {
            return Ok(None);
        }
        let get = GetObject {
            tenant: tenant.clone(),
            bucket,
            key: key.clone(),
            which: Some(Which::Stored(version)),
            choose: Box::new(|info| Choice::Bytes { start: 0, end: info.size }),
            customer_key: None,
        };
        let content = match get.act(house, intent).await {
            Err(Failure::NotFound { .. } | Failure::DeleteMarker { .. }) => return Ok(None),
            found => found?,
        };
        // A rule is no right to a key: who reads through one is asked for it.
        if content.info.meta.encryption.as_ref().is_some_and(|e| e.kms.is_some()) {
            return Err(Failure::Conflict("what lies under a key of KMS is not replicated".into()));
        }
        let size = content.info.size;
        if size > WHOLE_MAX {
            return Err(Failure::Conflict("an object of more than 5 GiB is not replicated".into()));
        }
        let from = &content.info.meta;
        let meta = ObjectMeta {
            content_type: from.content_type.clone(),
            headers: from.headers.clone(),
            user: from.user.clone(),
            tags: from.tags.clone(),
            checksum: from.checksum.clone(),
            symlink: from.symlink.clone(),
            private: from.private,
            replica: true,
            ..ObjectMeta::default()
        };
        let put = PutObject {
            tenant,
            bucket: self.to,
            key,
            meta,
            len: Some(size),
            must_be_new: false,
            must_have_md5: None,
            customer_key: None,
            body: Box::new(CopyBody::new(content)),
        };
        put.act(house, intent).await.map(|done| Some(done.size))
    }

    fn outcome_detail(bytes: &Option<u64>) -> Map<String, Value> {
        parameters(json!({ "bytes": bytes }))
    }
}

/// Copies what is due until `stop`.
pub(crate) async fn replicate(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        let idle = match house.replicate_due().await {
            Ok(done) => done == 0,
            Err(e) => {
                tracing::warn!("what is to be replicated cannot be read: {e}");
                true
            }
        };
        let pause = if idle { ROUND } else { Duration::from_millis(1) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

/// At the start of the only process: what the one before had taken is due again.
pub(crate) async fn take_back_replication(house: &House) -> Result<(), Failure> {
    let now = house.now();
    house.db.write(move |tx| rows::give_back_waiting(tx, now).map_err(Failure::from)).await
}

impl House {
    /// Copies what is due; answers how many versions were looked after. One version's trouble is not another's.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn replicate_due(self: &Arc<Self>) -> Result<u64, Failure> {
        let now = self.now();
        // Nothing is due nearly always: then nobody waits for a writer.
        if !self.db.read(move |tx| rows::waits(tx, now).map_err(Failure::from)).await? {
            return Ok(0);
        }
        // What one server works on, another leaves alone for a while.
        let due = self.db.write(move |tx| rows::take_waiting(tx, now, LOOK).map_err(Failure::from)).await?;
        let count = due.len() as u64;
        // Versions of one key in their order, keys beside each other.
        let mut by_key: BTreeMap<(TenantId, BucketName, ObjectKey), Vec<Waiting>> = BTreeMap::new();
        for what in due {
            by_key
                .entry((what.tenant.clone(), what.bucket.clone(), what.key.clone()))
                .or_default()
                .push(what);
        }
        let work = by_key.into_values().map(|versions| async move {
            for what in versions {
                self.replicate_one(what).await?;
            }
            Ok::<_, Failure>(())
        });
        let mut work = futures_util::stream::iter(work).buffer_unordered(AT_ONCE);
        while let Some(done) = work.next().await {
            done?;
        }
        Ok(count)
    }

    async fn replicate_one(self: &Arc<Self>, what: Waiting) -> Result<(), Failure> {
        let now = self.now();
        if let Some(why) = self.is_still(Worker::Replication, &what.tenant, &what.bucket).await? {
            return self
                .db
                .write(move |tx| {
                    let mut tx = tx.tenant(&what.tenant);
                    rows::put_off(&mut tx, &what, now.plus_ms(STILL_MS), &why).map_err(Failure::from)
                })
                .await;
        }
        let there = self.known_bucket(&what.tenant, &what.bucket).await.ok();
        let rule = there.and_then(|b| b.settings.replication.into_iter().find(|r| r.id == what.rule && r.on));
        let done = match rule {
            None => Ok(None),
            Some(rule) => {
                let caller = Caller::replicating(&what.tenant);
                self.perform(caller, Replicate { what: what.clone(), to: rule.to }).await
            }
        };
        let now = self.now();
        self.db
            .write(move |tx| {
                let mut own = tx.tenant(&what.tenant);
                match done {
                    Ok(_) => rows::replicated(&mut own, &what),
                    Err(e) => {
                        let pause = 1_000i64.saturating_mul(1 << what.tries.clamp(0, 20)).min(PAUSE_MS_MAX);
                        let why: String = e.to_string().chars().take(500).collect();
                        rows::not_replicated(&mut own, &what, now.plus_ms(pause), &why)
                    }
                }
                .map_err(Failure::from)
            })
            .await
    }
}
