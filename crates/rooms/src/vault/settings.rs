//! What a bucket's owner has set.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{BucketName, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::access::{Acl, BucketPolicy, Public};
use super::bucket::known;
use super::cors::CorsRule;
use super::encryption::Encryption;
use super::logging::Logging;
use super::replicate::ReplicationRule;
use super::retain::{LockRules, Worm};
use super::tier::Tier;
use super::{Bucket, bucket_asked, rows};
use crate::gate::{Asked, Intent, Operation};
use crate::{Failure, House};

/// All settings of a bucket but its versioning, rules and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Retention of single versions, when it is on. Never off again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockRules>,
    /// Retention of everything in the bucket by age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worm: Option<Worm>,
    /// How new objects are encrypted, when otherwise than every object is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Who besides the account's people may use it.
    #[serde(skip_serializing_if = "is_default")]
    pub acl: Acl,
    /// What else says who may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<BucketPolicy>,
    /// What of it may be public.
    #[serde(skip_serializing_if = "is_default")]
    pub public: Public,
    /// Which pages of which origins may call it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cors: Vec<CorsRule>,
    /// Where its access log goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// The storage type of objects that do not say one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The key of KMS, in a key store of the tenant's, that everything here lies under: the provider alone reads nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custody: Option<String>,
    /// What of it is copied where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replication: Vec<ReplicationRule>,
    /// Bytes that may lie here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl House {
    /// Reads, changes and writes a bucket's settings. When somebody else changed them meanwhile, it begins anew.
    pub(super) async fn change_bucket<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        bucket: &BucketName,
        change: impl Fn(&mut Bucket, Timestamp) -> Result<T, Failure> + Send + Sync + 'static,
    ) -> Result<T, Failure> {
        self.change_bucket_in(tenant, bucket, move |_, there, now| change(there, now)).await
    }

    /// As [`House::change_bucket`], for a change that looks at what lies there.
    pub(super) async fn change_bucket_in<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        bucket: &BucketName,
        change: impl Fn(&mut TenantTx<'_, '_>, &mut Bucket, Timestamp) -> Result<T, Failure>
        + Send
        + Sync
        + 'static,
    ) -> Result<T, Failure> {
        let (tenant, bucket, now) = (tenant.clone(), bucket.clone(), self.now());
        let name = bucket.clone();
        let done = self
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                for _ in 0..TRIES {
                    let mut there = known(&mut tx, &bucket)?;
                    let before = there.settings.clone();
                    let out = change(&mut tx, &mut there, now)?;
                    if there.settings == before
                        || rows::replace_settings(&mut tx, &bucket, &before, &there.settings)?
                    {
                        return Ok(out);
                    }
                }
                Err(Failure::Unavailable("the bucket's settings are changed all the time; try again".into()))
            })
            .await;
        // Also when it failed: an answer that was lost on the way may have been stored.
        self.access.forget(&name);
        done
    }
}

const TRIES: u32 = 8;

/// Settings of a bucket that are read one by one, each with a right of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Retention of versions.
    Lock,
    /// Retention of everything.
    Worm,
    /// How new objects are encrypted.
    Encryption,
    /// Its ACL.
    Acl,
    /// Its policy.
    Policy,
    /// Whether its policy is public.
    PolicyStatus,
    /// What may be public.
    Public,
    /// Which pages may call it.
    Cors,
    /// Where its access log goes.
    Logging,
}

/// Reads one of a bucket's settings.
#[derive(Clone, Debug)]
pub struct GetSettings {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// Which.
    pub setting: Setting,
}

impl Operation for GetSettings {
    type Output = Bucket;

    fn asks(&self) -> Asked {
        let action = match self.setting {
            Setting::Lock => "oss:GetBucketObjectWormConfiguration",
            Setting::Worm => "oss:GetBucketWorm",
            Setting::Encryption => "oss:GetBucketEncryption",
            Setting::Acl => "oss:GetBucketAcl",
            Setting::Policy => "oss:GetBucketPolicy",
            Setting::PolicyStatus => "oss:GetBucketPolicyStatus",
            Setting::Logging => "oss:GetBucketLogging",
            Setting::Cors => "oss:GetBucketCors",
            Setting::Public => "oss:GetBucketPublicAccessBlock",
        };
        bucket_asked(&self.tenant, &self.bucket, action)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Bucket, Failure> {
        house.known_bucket(&self.tenant, &self.bucket).await
    }
}
