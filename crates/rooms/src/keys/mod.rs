//! Keys: root key → tenant key → data key of each object; and [`cmk`], the keys that tenants use through KMS.
//!
//! Key material never leaves in clear: callers get handles, or a data key against a [`KeyRelease`] that only
//! an intent can give (I1: the key refuses, not only the front door).
//!
//! INVARIANT: each wrap binds what it belongs to (tenant, version, purpose; for data keys also bucket and
//! object version), so a row moved to another place does not open.

pub mod cmk;
mod cover;
pub mod policy;
mod root;
mod rows;
pub mod secret;

use std::collections::HashMap;
use std::sync::Arc;

use bailee_crypto::envelope::DataKey;
use bailee_crypto::root::RootKey;
use bailee_crypto::seal::{SealingKey, aad};
use bailee_store::Tx;
use bailee_types::{BucketName, ObjectVersionId, SecretBytes, TenantId, Timestamp, random_bytes};
use parking_lot::RwLock;

pub use bailee_crypto::root::{Protection, Unlock};
pub(crate) use cover::Cover;
pub use cover::CustomerKey;
pub use root::WriteRootKey;

use crate::gate::{KeyRelease, Principal};
use crate::house::Counters;
use crate::{Failure, House, Thing};

/// The root key and the tenant keys opened so far.
pub struct Keys {
    root: SealingKey,
    opened: RwLock<HashMap<(TenantId, i64), Arc<TenantKey>>>,
    kms: cmk::Opened,
}

/// One version of a tenant's key, opened. Wraps data keys, seals metadata and the trail's keys.
pub struct TenantKey {
    tenant: TenantId,
    version: i64,
    wrap: SealingKey,
    metadata: SealingKey,
    trail: SealingKey,
    kms: SealingKey,
}

impl Keys {
    pub(crate) fn new(root: RootKey) -> Self {
        Self { root: root.into_sealing_key(), opened: RwLock::default(), kms: cmk::Opened::default() }
    }

    /// The root key, to be written under something.
    fn root_key(&self) -> RootKey {
        RootKey::of(self.root.clone())
    }

    /// A value that tells two root keys apart and tells nothing about either.
    pub(crate) fn check_value(&self) -> String {
        self.root.fingerprint()
    }

    /// Seals secrets of AccessKeys.
    pub(crate) fn credential_key(&self) -> SealingKey {
        self.root.derive("bailee/credentials/v1", b"")
    }

    /// The pepper of password hashes, and the key of pseudonyms: derived, never stored.
    pub(crate) fn derived(&self, purpose: &str) -> SealingKey {
        self.root.derive(purpose, b"")
    }

    pub(crate) fn create_tenant_key(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Arc<TenantKey>, Failure> {
        let version = 1;
        let material = SecretBytes::new(random_bytes::<32>().to_vec());
        let sealed = self.root.seal(&tenant_aad(tenant, version), material.expose());
        rows::insert(&mut tx.tenant(tenant), version, &sealed, now)?;
        self.remember(tenant, version, &material)
    }

    fn remember(
        &self,
        tenant: &TenantId,
        version: i64,
        material: &SecretBytes,
    ) -> Result<Arc<TenantKey>, Failure> {
        let base = SealingKey::from_bytes(material.expose())
            .map_err(|_| Failure::Damaged(format!("the key of tenant `{tenant}` has a wrong length")))?;
        let key = Arc::new(TenantKey {
            tenant: tenant.clone(),
            version,
            wrap: base.derive("bailee/data-key-wrap/v1", tenant.as_str().as_bytes()),
            metadata: base.derive("bailee/object-metadata/v1", tenant.as_str().as_bytes()),
            trail: base.derive("bailee/trail/v1", tenant.as_str().as_bytes()),
            kms: base.derive("bailee/kms/v1", tenant.as_str().as_bytes()),
        });
        self.opened.write().insert((tenant.clone(), version), Arc::clone(&key));
        Ok(key)
    }

    fn open(&self, tenant: &TenantId, version: i64, sealed: &[u8]) -> Result<Arc<TenantKey>, Failure> {
        let material = self.root.open(&tenant_aad(tenant, version), sealed).map_err(|_| {
            Failure::Damaged(format!("the key of tenant `{tenant}`, version {version}, does not open"))
        })?;
        self.remember(tenant, version, &material)
    }
}

impl House {
    /// The newest key of a tenant.
    pub(crate) async fn tenant_key(&self, tenant: &TenantId) -> Result<Arc<TenantKey>, Failure> {
        // There is one version until rotation comes with the keys issue; the row says which.
        self.tenant_key_version(tenant, 1).await
    }

    /// A given version of a tenant's key.
    pub(crate) async fn tenant_key_version(
        &self,
        tenant: &TenantId,
        version: i64,
    ) -> Result<Arc<TenantKey>, Failure> {
        if let Some(found) = self.keys.opened.read().get(&(tenant.clone(), version)) {
            return Ok(Arc::clone(found));
        }
        let id = tenant.clone();
        let sealed = self
            .db
            .read(move |tx| rows::sealed(&mut tx.tenant(&id), version).map_err(Failure::from))
            .await?
            .ok_or_else(|| Failure::not_found(Thing::Tenant, tenant))?;
        self.keys.open(tenant, version, &sealed)
    }

    pub(crate) fn tenant_key_blocking(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
    ) -> Result<Arc<TenantKey>, Failure> {
        if let Some(found) = self.keys.opened.read().get(&(tenant.clone(), 1)) {
            return Ok(Arc::clone(found));
        }
        let sealed = rows::sealed(&mut tx.tenant(tenant), 1)?
            .ok_or_else(|| Failure::not_found(Thing::Tenant, tenant))?;
        self.keys.open(tenant, 1, &sealed)
    }

    /// Makes a data key for the object version that `release` names, and its wrap for the row.
    ///
    /// # Errors
    /// When the tenant's key does not open.
    pub(crate) async fn new_data_key(
        self: &Arc<Self>,
        release: &KeyRelease<'_>,
        cover: &Cover,
    ) -> Result<(DataKey, i64, Vec<u8>), Failure> {
        let key = self.tenant_key(release.tenant()).await?;
        let data_key = DataKey::random();
        let wrapped = key
            .wrap
            .seal(&data_aad(release.tenant(), release.bucket(), release.version()), data_key.expose());
        Ok((data_key, key.version, self.put_cover(release, cover, wrapped).await?))
    }

    /// I4 once more, at the key: for somebody elsewhere it opens only what leaves under a transfer.
    fn may_leave(&self, release: &KeyRelease<'_>) -> Result<(), Failure> {
        let Principal::Operator { place, .. } = release.intent().caller().principal() else { return Ok(()) };
        let lies_in = self.jurisdiction_of(&self.region_of_blob(release.version()));
        if *place == lies_in || release.intent().transfer().is_some() {
            return Ok(());
        }
        Err(Failure::Bug(format!(
            "the key refused: content would leave `{lies_in}` for `{place}` without a transfer"
        )))
    }

    /// Opens the data key of the object version that `release` names.
    ///
    /// # Errors
    /// When the wrap was changed or belongs to another object version.
    pub(crate) async fn open_data_key(
        self: &Arc<Self>,
        release: &KeyRelease<'_>,
        cover: &Cover,
        key_version: i64,
        wrapped: &[u8],
    ) -> Result<DataKey, Failure> {
        release.may_open()?;
        self.may_leave(release)?;
        let wrapped = self.take_cover(release, cover, wrapped).await?;
        let key = self.tenant_key_version(release.tenant(), key_version).await?;
        let opened = key
            .wrap
            .open(&data_aad(release.tenant(), release.bucket(), release.version()), wrapped.expose())
            .map_err(|_| Failure::Damaged("the data key of an object does not open".into()))?;
        Counters::add(&self.counters().key_releases, 1);
        release.count();
        DataKey::from_bytes(opened.expose())
            .map_err(|_| Failure::Damaged("a data key has a wrong length".into()))
    }
}

impl House {
    /// Keeps a secret of the house itself, sealed under the root key, under a name of `[a-z.]`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn keep_sealed(&self, name: &str, secret: &SecretBytes) -> Result<(), Failure> {
        let sealed = hex::encode(self.keys.root.seal(&setting_aad(name), secret.expose()));
        let name = name.to_owned();
        self.db.write(move |tx| rows::keep(tx, &name, &sealed).map_err(Failure::from)).await
    }

    /// A secret that [`House::keep_sealed`] kept.
    ///
    /// # Errors
    /// When the database cannot be read or the secret does not open.
    pub async fn kept_sealed(&self, name: &str) -> Result<Option<SecretBytes>, Failure> {
        let wanted = name.to_owned();
        let Some(sealed) = self.db.read(move |tx| rows::kept(tx, &wanted).map_err(Failure::from)).await?
        else {
            return Ok(None);
        };
        let damaged = || Failure::Damaged(format!("the sealed setting `{name}` does not open"));
        let sealed = hex::decode(sealed).map_err(|_| damaged())?;
        self.keys.root.open(&setting_aad(name), &sealed).map(Some).map_err(|_| damaged())
    }
}

fn setting_aad(name: &str) -> Vec<u8> {
    aad(&[b"bailee/setting/v1", name.as_bytes()])
}

impl TenantKey {
    /// Seals metadata of an object (ETag, content type, user metadata).
    pub(crate) fn seal_metadata(
        &self,
        bucket: &BucketName,
        version: &ObjectVersionId,
        plain: &[u8],
    ) -> Vec<u8> {
        self.metadata.seal(&data_aad(&self.tenant, bucket, version), plain)
    }

    /// Opens metadata of an object.
    pub(crate) fn open_metadata(
        &self,
        bucket: &BucketName,
        version: &ObjectVersionId,
        sealed: &[u8],
    ) -> Result<SecretBytes, Failure> {
        self.metadata.open(&data_aad(&self.tenant, bucket, version), sealed).map_err(|_| {
            Failure::Damaged(format!("the metadata of object version `{version}` does not open"))
        })
    }

    /// Seals what belongs to the tenant's log.
    pub(crate) fn seal_trail(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        self.trail.seal(
            &aad(&[b"bailee/trail-secret/v1", self.tenant.as_str().as_bytes(), purpose.as_bytes()]),
            plain,
        )
    }

    /// Opens what belongs to the tenant's log.
    pub(crate) fn open_trail(&self, purpose: &str, sealed: &[u8]) -> Result<SecretBytes, Failure> {
        self.trail
            .open(
                &aad(&[b"bailee/trail-secret/v1", self.tenant.as_str().as_bytes(), purpose.as_bytes()]),
                sealed,
            )
            .map_err(|_| {
                Failure::Damaged(format!(
                    "the {purpose} of the log of tenant `{}` does not open",
                    self.tenant
                ))
            })
    }
}

fn tenant_aad(tenant: &TenantId, version: i64) -> Vec<u8> {
    aad(&[b"bailee/tenant-key/v1", tenant.as_str().as_bytes(), &version.to_be_bytes()])
}

fn data_aad(tenant: &TenantId, bucket: &BucketName, version: &ObjectVersionId) -> Vec<u8> {
    aad(&[
        b"bailee/object/v1",
        tenant.as_str().as_bytes(),
        bucket.as_str().as_bytes(),
        version.as_str().as_bytes(),
    ])
}
