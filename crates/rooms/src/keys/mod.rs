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
mod rotate;
mod rows;
pub mod secret;

use std::collections::HashMap;
use std::sync::Arc;

use bailee_crypto::envelope::DataKey;
use bailee_crypto::root::RootKey;
use bailee_crypto::seal::{SealingKey, aad};
use bailee_store::{TenantTx, Tx};
use bailee_types::{BucketName, ObjectVersionId, SecretBytes, TenantId, Timestamp, random_bytes};

pub use bailee_crypto::root::{Protection, Unlock};
pub(crate) use cover::Cover;
pub use cover::CustomerKey;
pub(crate) use root::load_root;
pub use root::{RenewRootKey, WriteRootKey};
pub use rotate::TenantKeyVersion;
pub(crate) use rotate::{Resealed, Rewrapped, Waits, Wrapped, expect_version, reseal_keys, retire, settle};

use crate::fresh::Fresh;
use crate::gate::{KeyRelease, PaperRelease, Principal};
use crate::house::Counters;
use crate::{Failure, House, Thing};

/// What secrets of AccessKeys are sealed for.
const CREDENTIALS: &str = "bailee/credentials/v1";

/// A new version of a tenant's key seals only after so long (ms): until then every server has seen it and can open with it.
const ACTIVE_AFTER_MS: i64 = 15_000;

/// The root key and the tenant keys opened so far.
pub struct Keys {
    root: SealingKey,
    /// Keys that stayed what they were when the root key was renewed.
    carried: HashMap<String, SealingKey>,
    opened: Fresh<TenantId, Arc<TenantKey>>,
    kms: cmk::Opened,
}

/// A tenant's key, opened: one version seals, all that are there open. Wraps data keys, seals metadata and the trail's keys.
pub struct TenantKey {
    tenant: TenantId,
    seals: Version,
    /// The others, the newest first.
    opens: Vec<Version>,
}

/// One version of a tenant's key.
struct Version {
    number: i64,
    wrap: SealingKey,
    metadata: SealingKey,
    trail: SealingKey,
    kms: SealingKey,
}

/// A wrap and what lies sealed beside it.
type Anew = (Vec<u8>, Vec<u8>);

/// For what a version seals.
type Part = fn(&Version) -> &SealingKey;

impl Keys {
    pub(crate) fn new(root: RootKey) -> Self {
        Self {
            root: root.into_sealing_key(),
            carried: HashMap::new(),
            opened: Fresh::default(),
            kms: cmk::Opened::default(),
        }
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
        self.root.derive(CREDENTIALS, b"")
    }

    /// The pepper of password hashes, the key of pseudonyms and others: derived from the root key, or from the first one for
    /// those on which stored values hang.
    pub(crate) fn derived(&self, purpose: &str) -> SealingKey {
        self.carried.get(purpose).cloned().unwrap_or_else(|| self.root.derive(purpose, b""))
    }

    pub(crate) fn create_tenant_key(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Arc<TenantKey>, Failure> {
        let row = self.insert_version(&mut tx.tenant(tenant), tenant, 1, now)?;
        self.open(tenant, &[row], now)
    }

    fn insert_version(
        &self,
        tx: &mut TenantTx<'_, '_>,
        tenant: &TenantId,
        number: i64,
        now: Timestamp,
    ) -> Result<rows::Row, Failure> {
        let material = SecretBytes::new(random_bytes::<32>().to_vec());
        let sealed = self.root.seal(&tenant_aad(tenant, number), material.expose());
        rows::insert(tx, number, &sealed, now)?;
        Ok(rows::Row { number, sealed, created_at: now, settled_at: None })
    }

    /// Opens all versions of a tenant's key; they come the oldest first.
    fn open(&self, tenant: &TenantId, rows: &[rows::Row], now: Timestamp) -> Result<Arc<TenantKey>, Failure> {
        let mut opens = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            let material = self.root.open(&tenant_aad(tenant, row.number), &row.sealed).map_err(|_| {
                Failure::Damaged(format!(
                    "the key of tenant `{tenant}`, version {}, does not open",
                    row.number
                ))
            })?;
            let base = SealingKey::from_bytes(material.expose())
                .map_err(|_| Failure::Damaged(format!("the key of tenant `{tenant}` has a wrong length")))?;
            let derive = |purpose: &str| base.derive(purpose, tenant.as_str().as_bytes());
            opens.push(Version {
                number: row.number,
                wrap: derive("bailee/data-key-wrap/v1"),
                metadata: derive("bailee/object-metadata/v1"),
                trail: derive("bailee/trail/v1"),
                kms: derive("bailee/kms/v1"),
            });
        }
        // The newest that every server knows; the first one needs no wait.
        let seals = rows.iter().rev().position(|row| row.created_at.plus_ms(ACTIVE_AFTER_MS) <= now);
        let place = seals.unwrap_or(opens.len().saturating_sub(1));
        if opens.is_empty() {
            return Err(Failure::not_found(Thing::Tenant, tenant));
        }
        let seals = opens.remove(place);
        Ok(Arc::new(TenantKey { tenant: tenant.clone(), seals, opens }))
    }
}

impl House {
    /// The key of a tenant.
    pub(crate) async fn tenant_key(&self, tenant: &TenantId) -> Result<Arc<TenantKey>, Failure> {
        let now = self.now();
        let missing = match self.keys.opened.get(tenant, now) {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        let id = tenant.clone();
        let rows = self.db.read(move |tx| rows::all(&mut tx.tenant(&id)).map_err(Failure::from)).await?;
        let key = self.keys.open(tenant, &rows, now)?;
        self.keys.opened.put(&missing, tenant.clone(), Arc::clone(&key), now);
        Ok(key)
    }

    /// The key of a tenant, to open what was sealed under a version: looks again when it does not know that one yet.
    pub(crate) async fn tenant_key_version(
        &self,
        tenant: &TenantId,
        version: i64,
    ) -> Result<Arc<TenantKey>, Failure> {
        let key = self.tenant_key(tenant).await?;
        if key.has(version) {
            return Ok(key);
        }
        self.keys.opened.forget(tenant);
        self.tenant_key(tenant).await
    }

    pub(crate) fn tenant_key_blocking(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
    ) -> Result<Arc<TenantKey>, Failure> {
        let now = self.now();
        let missing = match self.keys.opened.get(tenant, now) {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        let rows = rows::all(&mut tx.tenant(tenant))?;
        let key = self.keys.open(tenant, &rows, now)?;
        self.keys.opened.put(&missing, tenant.clone(), Arc::clone(&key), now);
        Ok(key)
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
            .seals
            .wrap
            .seal(&data_aad(release.tenant(), release.bucket(), release.version()), data_key.expose());
        Ok((data_key, key.seals.number, self.put_cover(release, cover, wrapped).await?))
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
        let place = data_aad(release.tenant(), release.bucket(), release.version());
        let opened = key
            .open_part(|v| &v.wrap, &place, wrapped.expose())
            .ok_or_else(|| Failure::Damaged("the data key of an object does not open".into()))?;
        Counters::add(&self.counters().key_releases, 1);
        release.count();
        DataKey::from_bytes(opened.expose())
            .map_err(|_| Failure::Damaged("a data key has a wrong length".into()))
    }
}

impl House {
    /// Makes a data key for a paper, and its wrap for the row.
    pub(crate) async fn new_paper_key(
        &self,
        release: &PaperRelease<'_>,
    ) -> Result<(DataKey, i64, Vec<u8>), Failure> {
        let key = self.tenant_key(release.tenant()).await?;
        let data_key = DataKey::random();
        let aad = paper_aad(release.tenant(), release.holder(), release.id());
        let wrapped = key.seals.wrap.seal(&aad, data_key.expose());
        Ok((data_key, key.seals.number, wrapped))
    }

    /// Opens the data key of a paper.
    pub(crate) async fn open_paper_key(
        &self,
        release: &PaperRelease<'_>,
        key_version: i64,
        wrapped: &[u8],
    ) -> Result<DataKey, Failure> {
        release.may_open()?;
        let key = self.tenant_key_version(release.tenant(), key_version).await?;
        let damaged = || Failure::Damaged("the data key of a document does not open".into());
        let aad = paper_aad(release.tenant(), release.holder(), release.id());
        let opened = key.open_part(|v| &v.wrap, &aad, wrapped).ok_or_else(damaged)?;
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
    fn has(&self, version: i64) -> bool {
        self.versions().any(|v| v.number == version)
    }

    fn versions(&self) -> impl Iterator<Item = &Version> {
        std::iter::once(&self.seals).chain(&self.opens)
    }

    /// Opens with whichever version does: the one that seals, then the others.
    fn open_part(&self, part: Part, aad: &[u8], sealed: &[u8]) -> Option<SecretBytes> {
        self.versions().find_map(|v| part(v).open(aad, sealed).ok())
    }

    /// What was sealed under another version than the one that seals, sealed under it; nothing when it is so already.
    fn reseal_part(&self, part: Part, aad: &[u8], sealed: &[u8]) -> Option<Result<Vec<u8>, NotOpened>> {
        if part(&self.seals).open(aad, sealed).is_ok() {
            return None;
        }
        let opened = self.opens.iter().find_map(|v| part(v).open(aad, sealed).ok());
        Some(opened.map(|plain| part(&self.seals).seal(aad, plain.expose())).ok_or(NotOpened))
    }

    /// Seals metadata of an object (ETag, content type, user metadata).
    pub(crate) fn seal_metadata(
        &self,
        bucket: &BucketName,
        version: &ObjectVersionId,
        plain: &[u8],
    ) -> Vec<u8> {
        self.seals.metadata.seal(&data_aad(&self.tenant, bucket, version), plain)
    }

    /// Metadata of an object, sealed anew when they lie under another version than the one that seals.
    pub(crate) fn reseal_metadata(
        &self,
        bucket: &BucketName,
        version: &ObjectVersionId,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Failure> {
        let aad = data_aad(&self.tenant, bucket, version);
        let done = self.reseal_part(|v| &v.metadata, &aad, sealed).transpose();
        done.map_err(|NotOpened| metadata_damage(version))
    }

    /// Opens metadata of an object.
    pub(crate) fn open_metadata(
        &self,
        bucket: &BucketName,
        version: &ObjectVersionId,
        sealed: &[u8],
    ) -> Result<SecretBytes, Failure> {
        let aad = data_aad(&self.tenant, bucket, version);
        self.open_part(|v| &v.metadata, &aad, sealed).ok_or_else(|| metadata_damage(version))
    }

    /// Seals what is said of a paper: its name, what it is, its digest.
    pub(crate) fn seal_paper(&self, holder: &str, id: &ObjectVersionId, plain: &[u8]) -> Vec<u8> {
        self.seals.metadata.seal(&paper_aad(&self.tenant, holder, id), plain)
    }

    /// Opens what is said of a paper.
    pub(crate) fn open_paper(
        &self,
        holder: &str,
        id: &ObjectVersionId,
        sealed: &[u8],
    ) -> Result<SecretBytes, Failure> {
        self.open_part(|v| &v.metadata, &paper_aad(&self.tenant, holder, id), sealed)
            .ok_or_else(|| Failure::Damaged(format!("what is said of document `{id}` does not open")))
    }

    /// The wrap of a paper's data key and what is said of it, sealed anew where either lies under another version than the one
    /// that seals.
    pub(crate) fn reseal_paper(
        &self,
        (holder, id): (&str, &ObjectVersionId),
        (wrapped, sealed): (&[u8], &[u8]),
    ) -> Result<Option<Anew>, Failure> {
        let aad = paper_aad(&self.tenant, holder, id);
        let damaged = |NotOpened| Failure::Damaged(format!("document `{id}` does not open"));
        let wrap = self.reseal_part(|v| &v.wrap, &aad, wrapped).transpose().map_err(damaged)?;
        let said = self.reseal_part(|v| &v.metadata, &aad, sealed).transpose().map_err(damaged)?;
        Ok((wrap.is_some() || said.is_some())
            .then(|| (wrap.unwrap_or_else(|| wrapped.to_vec()), said.unwrap_or_else(|| sealed.to_vec()))))
    }

    /// Seals what belongs to the tenant's log.
    pub(crate) fn seal_trail(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        self.seals.trail.seal(&self.trail_aad(purpose), plain)
    }

    /// Opens what belongs to the tenant's log.
    pub(crate) fn open_trail(&self, purpose: &str, sealed: &[u8]) -> Result<SecretBytes, Failure> {
        self.open_part(|v| &v.trail, &self.trail_aad(purpose), sealed)
            .ok_or_else(|| self.trail_damage(purpose))
    }

    /// Of what belongs to the tenant's log: sealed anew, when it lies under another version than the one that seals.
    pub(crate) fn reseal_trail(&self, purpose: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let done = self.reseal_part(|v| &v.trail, &self.trail_aad(purpose), sealed).transpose();
        done.map_err(|NotOpened| self.trail_damage(purpose))
    }

    fn trail_aad(&self, purpose: &str) -> Vec<u8> {
        aad(&[b"bailee/trail-secret/v1", self.tenant.as_str().as_bytes(), purpose.as_bytes()])
    }

    fn trail_damage(&self, purpose: &str) -> Failure {
        Failure::Damaged(format!("the {purpose} of the log of tenant `{}` does not open", self.tenant))
    }
}

/// No version of a tenant's key opens it.
#[derive(Debug)]
struct NotOpened;

fn metadata_damage(version: &ObjectVersionId) -> Failure {
    Failure::Damaged(format!("the metadata of object version `{version}` does not open"))
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

fn paper_aad(tenant: &TenantId, holder: &str, id: &ObjectVersionId) -> Vec<u8> {
    aad(&[b"bailee/paper/v1", tenant.as_str().as_bytes(), holder.as_bytes(), id.as_str().as_bytes()])
}
