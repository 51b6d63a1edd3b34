//! Custody: a bucket in which everything lies under a key that never leaves the tenant's own key service.
//!
//! INVARIANT: it begins with an empty bucket, so nothing in it was ever readable without that service.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{BucketName, KeyId, RegionId, TenantId};
use serde_json::json;

use super::bucket::known;
use super::encryption::Encryption;
use super::{Bucket, bucket_asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// Gives a bucket into the tenant's custody, or takes it out for what comes.
#[derive(Clone, Debug)]
pub struct SetCustody {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// A key of KMS that lies in a key store of the tenant's; none: new objects lie under the provider's keys again.
    pub key: Option<KeyId>,
}

/// Under which key a bucket is in the tenant's custody.
#[derive(Clone, Debug)]
pub struct GetCustody {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
}

/// Whether everything in a bucket lies under a key of the tenant's own service.
pub(crate) fn is_in_custody(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<bool, Failure> {
    Ok(rows::bucket(tx, bucket)?.is_some_and(|b| b.settings.custody.is_some()))
}

impl Bucket {
    /// In the transaction that keeps something new: the bucket is still what it was when its bytes were sealed. It may have been
    /// made anew elsewhere, or been given into custody, meanwhile.
    pub(super) fn takes(&self, lies: &RegionId, encryption: Option<&Encryption>) -> Result<(), Failure> {
        let under = encryption.and_then(|e| e.kms.as_ref());
        let custody = self.settings.custody.as_ref();
        if self.region != *lies || custody.is_some_and(|key| under != Some(key)) {
            return Err(Failure::Unavailable(format!(
                "bucket `{}` was changed meanwhile; try again",
                self.name
            )));
        }
        Ok(())
    }
}

impl Operation for SetCustody {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = bucket_asked(&self.tenant, &self.bucket, "oss:PutBucketCustody");
        asked.class = Class::Management { write: true };
        let key = self.key.as_ref().map(KeyId::as_str);
        asked.parameters = parameters(json!({ "bucket": self.bucket.as_str(), "key": key }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant gives a bucket into his own custody".into()));
        }
        if let Some(key) = &self.key {
            if !house.lies_elsewhere(&self.tenant, key).await? {
                return Err(Failure::invalid("KeyId", "must name a key that lies in a key store of yours"));
            }
            house.can_cover((&self.tenant, intent), key).await?;
        }
        let (tenant, bucket) = (self.tenant.clone(), self.bucket.clone());
        let empty = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&tenant);
                known(&mut tx, &bucket)?;
                rows::is_empty(&mut tx, &bucket).map_err(Failure::from)
            })
            .await?;
        if self.key.is_some() && !empty {
            return Err(Failure::Conflict(format!(
                "bucket `{}` is not empty: what lies in it could be read without your key service",
                self.bucket
            )));
        }
        let key = self.key.map(|k| k.to_string());
        house
            .change_bucket_in(&self.tenant, &self.bucket, move |tx, bucket, _| {
                // Looked at again in the transaction that decides.
                if key.is_some() && !rows::is_empty(tx, &bucket.name)? {
                    return Err(Failure::Conflict(format!("bucket `{}` is not empty", bucket.name)));
                }
                bucket.settings.custody.clone_from(&key);
                Ok(())
            })
            .await
    }
}

/// Whether any bucket of the tenant's lies in custody under a key.
pub(crate) fn has_custody_under(tx: &mut TenantTx<'_, '_>, key: &KeyId) -> Result<bool, Failure> {
    Ok(rows::buckets(tx)?.iter().any(|b| b.settings.custody.as_deref() == Some(key.as_str())))
}

impl Operation for GetCustody {
    type Output = Option<String>;

    fn asks(&self) -> Asked {
        bucket_asked(&self.tenant, &self.bucket, "oss:GetBucketCustody")
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Option<String>, Failure> {
        let found = house.db.read(move |tx| known(&mut tx.tenant(&self.tenant), &self.bucket)).await?;
        Ok(found.settings.custody)
    }
}
