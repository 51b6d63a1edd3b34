//! How an object is encrypted beyond what every object is: under a key of KMS, with SM4, with a key that the customer keeps.

use std::sync::Arc;

use bailee_crypto::envelope::Suite;
use bailee_types::{BucketName, KeyId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Bucket, ObjectMeta, bucket_asked};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::keys::{Cover, CustomerKey};
use crate::{Failure, House};

/// The alias of the key that is meant where a writer asks for KMS and names none.
pub const DEFAULT_KEY_ALIAS: &str = "alias/acs/oss";

/// What a writer or a bucket asks for, and what is kept of it with the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// Segments are sealed with SM4-GCM, else with AES-256-GCM.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sm4: bool,
    /// Under which key of KMS: as asked an id, an ARN or an alias, empty for the default; as kept an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms: Option<String>,
    /// Under a key that the customer keeps; of a write the request says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub customer: bool,
}

impl Encryption {
    pub(super) fn suite(&self) -> Suite {
        if self.sm4 { Suite::Sm4Gcm } else { Suite::Aes256Gcm }
    }
}

/// With what something new is sealed: decides it, writes it into the metadata, and gives the cover of the data key.
pub(super) async fn decide(
    house: &Arc<House>,
    tenant: &TenantId,
    bucket: &Bucket,
    meta: &mut ObjectMeta,
    customer: Option<&CustomerKey>,
) -> Result<Cover, Failure> {
    let cover = choose(house, tenant, bucket, meta, customer).await?;
    meta.check_acl()?;
    Ok(cover)
}

async fn choose(
    house: &Arc<House>,
    tenant: &TenantId,
    bucket: &Bucket,
    meta: &mut ObjectMeta,
    customer: Option<&CustomerKey>,
) -> Result<Cover, Failure> {
    if let Some(id) = &bucket.settings.custody {
        let damaged = |_| Failure::Damaged("a bucket's custody names a key that is none".into());
        let key = KeyId::parse(id).map_err(damaged)?;
        let asked = meta.encryption.take().unwrap_or_default();
        let other = match &asked.kms {
            None => false,
            // Its default, or its key by whatever name.
            Some(name) if name.is_empty() => false,
            Some(name) => house.key_named(tenant, name).await? != key,
        };
        if customer.is_some() || other {
            return Err(Failure::invalid(
                "Encryption",
                "must be the bucket's own: everything in it lies under the key of its custody",
            ));
        }
        meta.encryption = Some(Encryption { sm4: asked.sm4, kms: Some(key.to_string()), customer: false });
        return Ok(Cover::Kms(key));
    }
    if let Some(key) = customer {
        if meta.encryption.as_ref().is_some_and(|e| e.kms.is_some() || e.sm4) {
            return Err(Failure::invalid("CustomerKey", "goes with no other encryption"));
        }
        meta.encryption = Some(Encryption { customer: true, ..Encryption::default() });
        return Ok(Cover::Customer(key.clone()));
    }
    let mut wanted =
        meta.encryption.take().or_else(|| bucket.settings.encryption.clone()).unwrap_or_default();
    wanted.customer = false;
    let cover = match &wanted.kms {
        None => Cover::Nothing,
        Some(name) => {
            let key = key_of(house, tenant, name).await?;
            wanted.kms = Some(key.to_string());
            Cover::Kms(key)
        }
    };
    meta.encryption = (wanted != Encryption::default()).then_some(wanted);
    Ok(cover)
}

async fn key_of(house: &House, tenant: &TenantId, name: &str) -> Result<KeyId, Failure> {
    let named = if name.is_empty() { DEFAULT_KEY_ALIAS } else { name };
    match house.key_named(tenant, named).await {
        Err(Failure::NotFound { .. }) if name.is_empty() => Err(Failure::invalid(
            "KMSMasterKeyID",
            format!("is missing: name a key, or give one the alias `{DEFAULT_KEY_ALIAS}`"),
        )),
        found => found,
    }
}

/// The cover of the data key of what is stored.
pub(super) fn cover_of(meta: &ObjectMeta, customer: Option<&CustomerKey>) -> Result<Cover, Failure> {
    let kept = meta.encryption.as_ref();
    match (kept.is_some_and(|e| e.customer), customer) {
        (true, Some(key)) => return Ok(Cover::Customer(key.clone())),
        (true, None) => {
            return Err(Failure::invalid(
                "CustomerKey",
                "is missing: the object was written with a key that only its customer keeps",
            ));
        }
        (false, Some(_)) => {
            return Err(Failure::invalid("CustomerKey", "is not wanted: the object was written without one"));
        }
        (false, None) => {}
    }
    match kept.and_then(|e| e.kms.as_deref()) {
        None => Ok(Cover::Nothing),
        Some(id) => KeyId::parse(id)
            .map(Cover::Kms)
            .map_err(|_| Failure::Damaged("an object names a key that is none".into())),
    }
}

/// Says how new objects of a bucket are encrypted when their writer does not.
#[derive(Clone, Debug)]
pub struct SetEncryption {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// How; none: as every object is.
    pub encryption: Option<Encryption>,
}

impl Operation for SetEncryption {
    type Output = ();

    fn asks(&self) -> Asked {
        let action =
            if self.encryption.is_some() { "oss:PutBucketEncryption" } else { "oss:DeleteBucketEncryption" };
        let mut asked = bucket_asked(&self.tenant, &self.bucket, action);
        asked.class = Class::Management { write: true };
        asked.parameters =
            parameters(json!({ "bucket": self.bucket.as_str(), "encryption": self.encryption }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let mut wanted = self.encryption;
        if let Some(name) = wanted.as_mut().and_then(|e| e.kms.as_mut()) {
            let key = key_of(house, &self.tenant, name).await?;
            // A bucket whose writes all fail helps nobody.
            house.can_cover((&self.tenant, intent), &key).await.map_err(|e| match e {
                Failure::Key(crate::keys::cmk::KeyProblem::Unsupported) => Failure::invalid(
                    "KMSMasterKeyID",
                    "must be a symmetric key for ENCRYPT/DECRYPT (AES-256 or SM4)",
                ),
                other => other,
            })?;
            // An alias may move to another key later: the bucket then follows. A default stays one.
            if !name.is_empty() && !name.contains("alias/") {
                *name = key.to_string();
            }
        }
        house
            .change_bucket(&self.tenant, &self.bucket, move |bucket, _| {
                bucket.settings.encryption.clone_from(&wanted);
                Ok(())
            })
            .await
    }
}
