//! What lies around the wrap of a data key, beside the tenant's key: a key of KMS, or a key that the customer keeps himself and
//! sends with each request.
//!
//! A cover is outside of the tenant's wrap, so both are needed: without the one, or the other, nothing opens.

use std::sync::Arc;

use bailee_crypto::seal::{SealingKey, aad};
use bailee_types::{Arn, BucketName, KeyId, ObjectVersionId, SecretBytes, TenantId};

use super::cmk::{Context, KeyProblem};
use crate::gate::{Intent, KeyRelease};
use crate::{Failure, House};

/// A key of 32 bytes that the customer keeps; here for one request.
#[derive(Clone)]
pub struct CustomerKey(SealingKey);

impl CustomerKey {
    /// Of these bytes.
    ///
    /// # Errors
    /// When they are not 32.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Failure> {
        let base = SealingKey::from_bytes(bytes)
            .map_err(|_| Failure::invalid("CustomerKey", "must have 32 bytes (base64)"))?;
        Ok(Self(base.derive("bailee/customer-key/v1", b"")))
    }
}

impl std::fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What lies around a wrap.
#[derive(Clone, Debug)]
pub(crate) enum Cover {
    /// Nothing but the tenant's key.
    Nothing,
    /// A key of KMS.
    Kms(KeyId),
    /// The customer's own.
    Customer(CustomerKey),
}

fn customer_aad(release: &KeyRelease<'_>) -> Vec<u8> {
    aad(&[
        b"bailee/customer-cover/v1",
        release.tenant().as_str().as_bytes(),
        release.bucket().as_str().as_bytes(),
        release.version().as_str().as_bytes(),
    ])
}

/// To what a ciphertext of KMS is bound. For a key service of the tenant's, to the object's name, too: it looks for which
/// object somebody may open it.
pub(super) fn context(
    (tenant, bucket, version): (&TenantId, &BucketName, &ObjectVersionId),
    elsewhere: Option<&Arn>,
) -> Context {
    let mut out = Context::from([
        ("acs:oss:bucket".to_owned(), Arn::bucket(tenant, bucket).to_string()),
        ("acs:oss:version".to_owned(), version.to_string()),
    ]);
    if let Some(object) = elsewhere {
        out.insert("acs:oss:object".to_owned(), object.to_string());
    }
    out
}

impl House {
    /// Puts a cover around a wrap.
    pub(super) async fn put_cover(
        self: &Arc<Self>,
        release: &KeyRelease<'_>,
        cover: &Cover,
        wrapped: Vec<u8>,
    ) -> Result<Vec<u8>, Failure> {
        match cover {
            Cover::Nothing => Ok(wrapped),
            Cover::Kms(key) => {
                self.use_of_key(release.intent(), key, "kms:GenerateDataKey").await?;
                let of = (release.tenant(), release.intent());
                let context = self.context_of(release, key).await?;
                self.cover_under(of, key, &wrapped, &context).await
            }
            Cover::Customer(customer) => Ok(customer.0.seal(&customer_aad(release), &wrapped)),
        }
    }

    async fn context_of(&self, release: &KeyRelease<'_>, key: &KeyId) -> Result<Context, Failure> {
        let elsewhere = self.lies_elsewhere(release.tenant(), key).await?;
        let place = (release.tenant(), release.bucket(), release.version());
        Ok(context(place, elsewhere.then_some(&release.intent().asked().resource)))
    }

    /// Takes a cover off.
    pub(super) async fn take_cover(
        self: &Arc<Self>,
        release: &KeyRelease<'_>,
        cover: &Cover,
        covered: &[u8],
    ) -> Result<SecretBytes, Failure> {
        match cover {
            Cover::Nothing => Ok(SecretBytes::new(covered.to_vec())),
            Cover::Kms(key) => {
                self.use_of_key(release.intent(), key, "kms:Decrypt").await?;
                let of = (release.tenant(), release.intent());
                let context = self.context_of(release, key).await?;
                self.uncover_under(of, key, covered, &context).await
            }
            Cover::Customer(customer) => customer
                .0
                .open(&customer_aad(release), covered)
                .map_err(|_| Failure::Key(KeyProblem::Customer)),
        }
    }

    /// Asks a tenant's caller for his right to use a key. Who acts by a grant on the object, or brings the tenant what he
    /// ordered, was asked for that.
    async fn use_of_key(
        self: &Arc<Self>,
        intent: &Intent,
        key: &KeyId,
        action: &'static str,
    ) -> Result<(), Failure> {
        let tenant: &TenantId = &intent.asked().tenant;
        if intent.shared().is_some() {
            // A bucket's rules let him to the object, not to the key.
            return Err(Failure::Key(KeyProblem::Stranger));
        }
        if intent.caller().tenant() != Some(tenant) {
            return Ok(());
        }
        let region = self.provider().region.as_str().to_owned();
        let resource = Arn::kms(tenant, &region, &format!("key/{key}"));
        self.ask_further(intent, action, (resource, "ACS::KMS::Key")).await
    }
}
