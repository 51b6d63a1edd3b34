//! Buckets.

use std::sync::Arc;

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::{Arn, BucketName, RegionId, TenantId, TicketId};
use serde_json::json;

use super::{Bucket, Settings, Tier, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

const PER_TENANT_MAX: u64 = 100;

/// Creates a bucket in the house's region; creating one's own again is fine.
#[derive(Clone, Debug)]
pub struct CreateBucket {
    /// The tenant.
    pub tenant: TenantId,
    /// The name, unique over all tenants.
    pub bucket: BucketName,
    /// The region asked for; none means the house's.
    pub region: Option<String>,
    /// The storage type of objects that do not say one.
    pub tier: Option<Tier>,
}

/// Deletes an empty bucket.
#[derive(Clone, Debug)]
pub struct DeleteBucket {
    /// The tenant.
    pub tenant: TenantId,
    /// The name.
    pub bucket: BucketName,
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct GetBucket {
    /// The tenant.
    pub tenant: TenantId,
    /// The name.
    pub bucket: BucketName,
}

/// All buckets of a tenant by name.
#[derive(Clone, Debug)]
pub struct ListBuckets {
    /// The tenant.
    pub tenant: TenantId,
    /// For operators: the tenant's ticket they work on.
    pub ticket: Option<TicketId>,
}

/// In which region a bucket's content lies, by the ARN of it or of something in it.
pub(crate) fn region_of(tx: &mut TenantTx<'_, '_>, resource: &Arn) -> Result<Option<RegionId>, StoreError> {
    let name = resource.relative().split('/').next().unwrap_or_default();
    let Ok(name) = BucketName::parse(name) else { return Ok(None) };
    Ok(rows::bucket(tx, &name)?.map(|b| b.region))
}

/// Whether the id of any stored bytes begins with a tag.
pub(crate) fn has_blob_like(tx: &mut Tx<'_>, tag: &str) -> Result<bool, StoreError> {
    rows::has_blob_like(tx, tag)
}

impl Operation for CreateBucket {
    type Output = Bucket;

    fn asks(&self) -> Asked {
        asked(&self.tenant, Some(&self.bucket), "oss:PutBucket", Class::Management { write: true })
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Bucket, Failure> {
        let region = house.region_for(&self.tenant, self.region.as_deref()).await?;
        let now = house.now();
        house
            .db
            .write(move |tx| {
                if let Some(owner) = rows::bucket_owner(tx, &self.bucket)? {
                    if owner != self.tenant {
                        return Err(Failure::exists(Thing::Bucket, &self.bucket));
                    }
                    let there = rows::bucket(&mut tx.tenant(&self.tenant), &self.bucket)?;
                    if self.region.is_some() && there.is_some_and(|b| b.region != region) {
                        return Err(Failure::invalid(
                            "LocationConstraint",
                            "names another region than the bucket lies in; a bucket does not move",
                        ));
                    }
                } else {
                    let mut tx = tx.tenant(&self.tenant);
                    if rows::buckets(&mut tx)?.len() as u64 >= PER_TENANT_MAX {
                        return Err(Failure::Limit {
                            what: "buckets",
                            max: PER_TENANT_MAX,
                            thing: Thing::Bucket,
                        });
                    }
                    rows::insert_bucket(&mut tx, &self.bucket, &region, now)?;
                    let settings = Settings { tier: self.tier, ..Settings::default() };
                    rows::replace_settings(&mut tx, &self.bucket, &Settings::default(), &settings)?;
                }
                rows::bucket(&mut tx.tenant(&self.tenant), &self.bucket)?
                    .ok_or_else(|| Failure::Bug("a new bucket is missing".into()))
            })
            .await
    }
}

impl Operation for DeleteBucket {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(&self.tenant, Some(&self.bucket), "oss:DeleteBucket", Class::Management { write: true })
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let name = self.bucket.clone();
        let done = house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::bucket(&mut tx, &self.bucket)?.is_none() {
                    return Err(Failure::not_found(Thing::Bucket, &self.bucket));
                }
                if !rows::is_empty(&mut tx, &self.bucket)? {
                    return Err(Failure::Conflict(format!(
                        "bucket `{}` is not empty: delete its objects and give up its uploads first",
                        self.bucket
                    )));
                }
                rows::delete_bucket(&mut tx, &self.bucket).map_err(Failure::from)
            })
            .await;
        house.access.forget(&name);
        done
    }
}

impl Operation for GetBucket {
    type Output = Bucket;

    fn asks(&self) -> Asked {
        asked(&self.tenant, Some(&self.bucket), "oss:GetBucketInfo", Class::Data)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Bucket, Failure> {
        house.known_bucket(&self.tenant, &self.bucket).await
    }
}

impl Operation for ListBuckets {
    type Output = Vec<Bucket>;

    fn asks(&self) -> Asked {
        let mut asked = asked(&self.tenant, None, "oss:ListBuckets", Class::Data);
        asked.ticket.clone_from(&self.ticket);
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Bucket>, Failure> {
        house.db.read(move |tx| rows::buckets(&mut tx.tenant(&self.tenant)).map_err(Failure::from)).await
    }
}

/// A bucket that must be there.
pub(super) fn known(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<Bucket, Failure> {
    rows::bucket(tx, bucket)?.ok_or_else(|| Failure::not_found(Thing::Bucket, bucket))
}

impl House {
    /// The same, read for itself.
    pub(super) async fn known_bucket(
        &self,
        tenant: &TenantId,
        bucket: &BucketName,
    ) -> Result<Bucket, Failure> {
        let (tenant, bucket) = (tenant.clone(), bucket.clone());
        self.db.read(move |tx| known(&mut tx.tenant(&tenant), &bucket)).await
    }
}

/// Whether the tenant has this bucket.
pub(crate) fn has_bucket(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<bool, StoreError> {
    Ok(rows::bucket(tx, bucket)?.is_some())
}

fn asked(tenant: &TenantId, bucket: Option<&BucketName>, action: &'static str, class: Class) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: bucket.map_or_else(|| Arn::all_buckets(tenant), |b| Arn::bucket(tenant, b)),
        resource_type: "ACS::OSS::Bucket",
        class,
        touches: Touches::Metadata,
        ticket: None,
        parameters: parameters(json!({ "bucket": bucket.map(BucketName::as_str) })),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

/// An act on what lies in a bucket, without content.
pub(super) fn bucket_asked(tenant: &TenantId, bucket: &BucketName, action: &'static str) -> Asked {
    asked(tenant, Some(bucket), action, Class::Data)
}
