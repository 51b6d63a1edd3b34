//! What lies in each bucket, and how much may.
//!
//! INVARIANT: usage changes in the transaction that changes what is stored; a write that would go over a quota is undone whole.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, BucketName, TenantId};
use serde_json::json;

use super::bucket::known;
use super::{Bucket, bucket_asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

/// What lies in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Object versions.
    pub objects: u64,
    /// Bytes of content of all of them, and of parts of uploads under way.
    pub bytes: u64,
    /// Uploads under way.
    pub uploads: u64,
}

/// Refuses when what lies there now is more than may: asked at the end of a write, in its transaction.
pub(super) fn check(tx: &mut TenantTx<'_, '_>, bucket: &Bucket) -> Result<(), Failure> {
    if let Some(max) = bucket.settings.quota {
        let used = rows::used(tx, &bucket.name)?.bytes;
        if used > max {
            return Err(Failure::Quota { of: format!("bucket `{}`", bucket.name), max, used });
        }
    }
    if let Some(max) = rows::tenant_quota(tx, true)? {
        let used = rows::used_in_all(tx)?;
        if used > max {
            return Err(Failure::Quota { of: "account".into(), max, used });
        }
    }
    Ok(())
}

/// Refuses at once what could only be refused at its end.
pub(super) fn check_room(tx: &mut TenantTx<'_, '_>, bucket: &Bucket, more: u64) -> Result<(), Failure> {
    if let Some(max) = bucket.settings.quota
        && more > max
    {
        return Err(Failure::Quota { of: format!("bucket `{}`", bucket.name), max, used: more });
    }
    match rows::tenant_quota(tx, false)? {
        Some(max) if more > max => Err(Failure::Quota { of: "account".into(), max, used: more }),
        _ => Ok(()),
    }
}

/// Says how much a bucket may hold.
#[derive(Clone, Debug)]
pub struct SetQuota {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// Bytes; none: as much as the account may.
    pub bytes_max: Option<u64>,
}

impl Operation for SetQuota {
    type Output = ();

    fn asks(&self) -> Asked {
        let action = if self.bytes_max.is_some() {
            "oss:PutBucketStorageQuota"
        } else {
            "oss:DeleteBucketStorageQuota"
        };
        let mut asked = bucket_asked(&self.tenant, &self.bucket, action);
        asked.class = Class::Management { write: true };
        asked.parameters = parameters(json!({ "bucket": self.bucket.as_str(), "bytesMax": self.bytes_max }));
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let max = self.bytes_max;
        if max.is_some_and(|m| m == 0 || i64::try_from(m).is_err()) {
            return Err(Failure::invalid("StorageQuota", "must be a positive number of bytes"));
        }
        house
            .change_bucket(&self.tenant, &self.bucket, move |bucket, _| {
                bucket.settings.quota = max;
                Ok(())
            })
            .await
    }
}

/// A bucket and what lies in it.
#[derive(Clone, Debug)]
pub struct GetUsage {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
}

impl Operation for GetUsage {
    type Output = (Bucket, Usage);

    fn asks(&self) -> Asked {
        bucket_asked(&self.tenant, &self.bucket, "oss:GetBucketStat")
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(Bucket, Usage), Failure> {
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let bucket = known(&mut tx, &self.bucket)?;
                let mut usage = rows::used(&mut tx, &self.bucket)?;
                usage.uploads = rows::uploads_of(&mut tx, &self.bucket)?;
                Ok((bucket, usage))
            })
            .await
    }
}

/// Says how much a tenant may store in all. The provider's, at the machine.
#[derive(Clone, Debug)]
pub struct SetTenantQuota {
    /// The tenant.
    pub tenant: TenantId,
    /// Bytes; none: as much as there is room.
    pub bytes_max: Option<u64>,
}

/// What a tenant may store, and what lies there.
#[derive(Clone, Debug)]
pub struct GetTenantUsage {
    /// The tenant.
    pub tenant: TenantId,
}

fn tenant_asked(tenant: &TenantId, action: &'static str, write: bool) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::all_buckets(tenant),
        resource_type: "ACS::OSS::Bucket",
        class: Class::Management { write },
        touches: Touches::Metadata,
        ticket: None,
        parameters: serde_json::Map::new(),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for SetTenantQuota {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = tenant_asked(&self.tenant, "bailee:SetTenantQuota", true);
        asked.parameters = parameters(json!({ "bytesMax": self.bytes_max }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant().is_some() {
            return Err(Failure::Conflict("the provider says how much an account may store".into()));
        }
        if self.bytes_max.is_some_and(|m| m == 0 || i64::try_from(m).is_err()) {
            return Err(Failure::invalid("bytes", "must be a positive number"));
        }
        house
            .db
            .write(move |tx| {
                rows::set_tenant_quota(&mut tx.tenant(&self.tenant), self.bytes_max).map_err(Failure::from)
            })
            .await
    }
}

impl Operation for GetTenantUsage {
    type Output = (Option<u64>, Vec<(BucketName, Usage)>);

    fn asks(&self) -> Asked {
        tenant_asked(&self.tenant, "bailee:GetTenantUsage", false)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Self::Output, Failure> {
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let max = rows::tenant_quota(&mut tx, false)?;
                let mut all = Vec::new();
                for bucket in rows::buckets(&mut tx)? {
                    let usage = rows::used(&mut tx, &bucket.name)?;
                    all.push((bucket.name, usage));
                }
                Ok((max, all))
            })
            .await
    }
}
