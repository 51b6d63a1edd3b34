//! Access logs: who asked for what of a bucket, as its owner wants it, written into a bucket of his.
//!
//! Lines are gathered in memory and written every few minutes and when the server ends, as at the real services: a crash loses
//! what was gathered. What must not be lost stands in the trail; this is for figures and for what the trail does not have, reads by
//! the tenant's own people and by strangers.
//! INVARIANT: the platform seals these objects and opens none ([`Caller::delivery`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailee_types::{Arn, BucketName, ObjectKey, TenantId, Timestamp};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use super::bucket::known;
use super::put::PutObject;
use super::{ObjectMeta, WholeBody, bucket_asked};
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation};
use crate::{Failure, House};

/// How often lines are written.
const ROUND: Duration = Duration::from_secs(300);
/// A bucket's lines are written earlier when there are so many bytes of them.
const EARLY: usize = 1024 * 1024;
/// Bytes that are gathered in all; what is beyond is not kept, and counted.
const GATHERED_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a prefix: a name follows it.
const PREFIX_MAX: usize = 512;

/// Where a bucket's access log goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// A bucket of the same account.
    pub target: BucketName,
    /// What names of its objects begin with.
    pub prefix: String,
    /// Whether lines are S3's; else OSS's.
    pub s3: bool,
}

/// Lines that are not written yet.
#[derive(Default)]
pub(crate) struct Gathered {
    by_bucket: Mutex<HashMap<(TenantId, BucketName), (Logging, String)>>,
    /// Lines that were not kept.
    lost: AtomicU64,
}

/// Sets where a bucket's access log goes; none ends it.
#[derive(Clone, Debug)]
pub struct SetLogging {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// Where.
    pub to: Option<Logging>,
}

impl Operation for SetLogging {
    type Output = ();

    fn asks(&self) -> Asked {
        let action = if self.to.is_some() { "oss:PutBucketLogging" } else { "oss:DeleteBucketLogging" };
        let mut asked = bucket_asked(&self.tenant, &self.bucket, action);
        asked.class = Class::Management { write: true };
        let target = self.to.as_ref().map(|to| to.target.as_str());
        asked.parameters.extend(parameters(json!({ "targetBucket": target })));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if let Some(to) = &self.to {
            if to.prefix.len() > PREFIX_MAX || to.prefix.chars().any(char::is_control) {
                return Err(Failure::invalid(
                    "TargetPrefix",
                    format!("must have at most {PREFIX_MAX} bytes on one line"),
                ));
            }
            let (tenant, target) = (self.tenant.clone(), to.target.clone());
            house.db.read(move |tx| known(&mut tx.tenant(&tenant), &target)).await?;
            // Who has logs written somewhere writes there.
            let name = ObjectKey::parse(&format!("{}log", to.prefix))
                .map_err(|e| Failure::invalid("TargetPrefix", e.to_string()))?;
            let object = Arn::object(&self.tenant, &to.target, &name);
            house.ask_further(intent, "oss:PutObject", (object, "ACS::OSS::Object")).await?;
        }
        let to = self.to;
        house
            .change_bucket(&self.tenant, &self.bucket, move |bucket, _| {
                bucket.settings.logging.clone_from(&to);
                Ok(())
            })
            .await
    }
}

impl House {
    /// Where a bucket's access log goes, and whose it is; none where nobody wants one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn logging_of(&self, bucket: &BucketName) -> Result<Option<(TenantId, Logging)>, Failure> {
        let access = self.access(bucket).await?;
        Ok(access.and_then(|a| Some((a.tenant.clone(), a.logging.clone()?))))
    }

    /// Notes a line of a bucket's access log, to be written later.
    pub fn note_access(self: &Arc<Self>, tenant: &TenantId, bucket: &BucketName, to: &Logging, line: &str) {
        let mut there = self.gathered.by_bucket.lock();
        if there.values().map(|(_, lines)| lines.len()).sum::<usize>() > GATHERED_MAX {
            self.gathered.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let place = (tenant.clone(), bucket.clone());
        let (_, lines) = there.entry(place.clone()).or_insert_with(|| (to.clone(), String::new()));
        lines.push_str(line);
        lines.push('\n');
        if lines.len() < EARLY {
            return;
        }
        if let Some((to, lines)) = there.remove(&place) {
            let house = Arc::clone(self);
            tokio::spawn(async move { house.write_lines(&place, &to, lines).await });
        }
    }

    /// Writes what was gathered.
    pub async fn write_access_logs(self: &Arc<Self>) {
        let all = std::mem::take(&mut *self.gathered.by_bucket.lock());
        for (place, (to, lines)) in all {
            self.write_lines(&place, &to, lines).await;
        }
        let lost = self.gathered.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "lines of access logs were not kept: there were too many");
        }
    }

    async fn write_lines(
        self: &Arc<Self>,
        (tenant, bucket): &(TenantId, BucketName),
        to: &Logging,
        lines: String,
    ) {
        let put = PutObject {
            tenant: tenant.clone(),
            bucket: to.target.clone(),
            key: match ObjectKey::parse(&name(to, bucket, self.now())) {
                Ok(key) => key,
                Err(e) => return tracing::warn!(tenant.id = %tenant, "an access log has no name: {e}"),
            },
            meta: ObjectMeta { content_type: "text/plain".into(), ..ObjectMeta::default() },
            len: None,
            must_be_new: false,
            must_have_md5: None,
            customer_key: None,
            body: Box::new(WholeBody::new(Bytes::from(lines))),
        };
        if let Err(e) = self.perform(Caller::delivery(tenant), put).await {
            tracing::warn!(tenant.id = %tenant, "an access log could not be written: {e}");
        }
    }
}

/// The name of a log: `<prefix><bucket>-2026-11-27-06-00-00-<unique>` (OSS), `<prefix>2026-11-27-06-00-00-<unique>` (S3).
fn name(to: &Logging, bucket: &BucketName, at: Timestamp) -> String {
    let iso = at.iso();
    let time: String = iso.chars().take(19).map(|c| if c.is_ascii_digit() { c } else { '-' }).collect();
    let unique = bailee_types::random_text(b"0123456789ABCDEF", 16);
    let bucket = if to.s3 { String::new() } else { format!("{bucket}-") };
    format!("{}{bucket}{time}-{unique}", to.prefix)
}

/// The worker, until `stop`. Who serves writes what is left when its listeners have ended ([`House::write_access_logs`]).
pub(crate) async fn write_logs(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        house.write_access_logs().await;
    }
}
