//! Keys in use, opened in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bailee_crypto::cmk::{Cmk, Usage};
use bailee_crypto::seal::aad;
use bailee_types::{KeyId, KeyVersionId, SecretBytes, TenantId, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;

use super::{AliasName, Key, KeyProblem, KeyState, rows};
use crate::keys::TenantKey;
use crate::{Failure, House, Thing};

/// How long nobody looks whether a key was changed by another process. A change by this one is seen at once.
const LEASE: Duration = Duration::from_secs(1);
/// Keys that are held opened; beyond, all are dropped and opened again when they are used.
const OPENED_MAX: usize = 4_096;
/// The same for versions of all of them.
const VERSIONS_HELD_MAX: usize = 16_384;
/// Uses that wait to be written: of so many keys and operations at most.
const USES_MAX: usize = 65_536;

/// Keys that are made at a time, and uses of key pairs: they take milliseconds to seconds of a core.
const MADE_AT_ONCE: usize = 2;
const PAIRS_AT_ONCE: usize = 8;

/// What is in memory of KMS.
pub(in crate::keys) struct Opened {
    /// Changes by this process: what was read before one is not kept after it.
    changes: AtomicU64,
    pub(super) makers: Semaphore,
    pub(super) pairs: Semaphore,
    pub(super) leases: super::store::Leases,
    pub(super) asks: super::store::Asks,
    keys: RwLock<HashMap<(TenantId, KeyId), Held>>,
    aliases: RwLock<HashMap<(TenantId, AliasName), (KeyId, Instant)>>,
    uses: Mutex<HashMap<(TenantId, KeyId, &'static str), u64>>,
}

impl Default for Opened {
    fn default() -> Self {
        Self {
            changes: AtomicU64::new(0),
            makers: Semaphore::new(MADE_AT_ONCE),
            pairs: Semaphore::new(PAIRS_AT_ONCE),
            leases: super::store::Leases::default(),
            asks: super::store::Asks::default(),
            keys: RwLock::default(),
            aliases: RwLock::default(),
            uses: Mutex::default(),
        }
    }
}

#[derive(Clone)]
struct Held {
    key: Arc<OpenKey>,
    looked_at: Instant,
}

/// A key whose versions can be used.
pub(super) struct OpenKey {
    pub(super) key: Key,
    tenant: TenantId,
    /// Sealed until it is asked for.
    sealed: HashMap<KeyVersionId, (Option<Vec<u8>>, i64)>,
    open: RwLock<HashMap<KeyVersionId, Arc<Cmk>>>,
}

impl OpenKey {
    /// Refuses a key that may do nothing now, or is for something else.
    pub(super) fn expect(&self, usage: Usage, now: Timestamp) -> Result<(), Failure> {
        let state = match self.key.material_until {
            Some(until) if self.key.state == KeyState::Enabled && now >= until => KeyState::PendingImport,
            _ => self.key.state,
        };
        if state != KeyState::Enabled {
            return Err(Failure::Key(KeyProblem::State(state)));
        }
        if self.key.usage == usage { Ok(()) } else { Err(Failure::Key(KeyProblem::Unsupported)) }
    }
}

pub(super) fn material_aad(tenant: &TenantId, key: &Key, version: &KeyVersionId) -> Vec<u8> {
    aad(&[
        b"bailee/cmk/v1",
        tenant.as_str().as_bytes(),
        key.id.as_str().as_bytes(),
        version.as_str().as_bytes(),
        key.spec.name().as_bytes(),
        key.usage.name().as_bytes(),
    ])
}

impl House {
    /// A key that can be used; looked at again when the last look is older than the lease.
    pub(super) async fn open_key(&self, tenant: &TenantId, id: &KeyId) -> Result<Arc<OpenKey>, Failure> {
        let place = (tenant.clone(), id.clone());
        let held = self.keys.kms.keys.read().get(&place).cloned();
        if let Some(held) = &held
            && held.looked_at.elapsed() < LEASE
        {
            return Ok(Arc::clone(&held.key));
        }
        let (looked_at, changes) = (Instant::now(), self.keys.kms.changes.load(Ordering::Acquire));
        let (of, wanted) = place.clone();
        let known = held.as_ref().map(|h| h.key.key.revision);
        let found = self
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&of);
                let Some(key) = rows::find(&mut tx, &wanted)? else { return Ok(None) };
                if known == Some(key.revision) {
                    return Ok(Some((key, None)));
                }
                let versions = rows::versions(&mut tx, &wanted)?;
                Ok::<_, Failure>(Some((key, Some(versions))))
            })
            .await?;
        let Some((key, versions)) = found else {
            self.forget_key(tenant, id);
            return Err(Failure::not_found(Thing::Key, id));
        };
        let opened = match (versions, held) {
            (None, Some(held)) => held.key,
            (versions, _) => Arc::new(OpenKey {
                key,
                tenant: tenant.clone(),
                sealed: versions
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(version, _, sealed, under)| (version, (sealed, under)))
                    .collect(),
                open: RwLock::default(),
            }),
        };
        let mut keys = self.keys.kms.keys.write();
        if self.keys.kms.changes.load(Ordering::Acquire) == changes {
            let held = || keys.values().map(|h| h.key.sealed.len()).sum::<usize>();
            if !keys.contains_key(&place) && (keys.len() >= OPENED_MAX || held() >= VERSIONS_HELD_MAX) {
                keys.clear();
            }
            keys.insert(place, Held { key: Arc::clone(&opened), looked_at });
        }
        Ok(opened)
    }

    /// A version of a key, opened.
    pub(super) async fn open_version(
        &self,
        key: &OpenKey,
        version: &KeyVersionId,
    ) -> Result<Arc<Cmk>, Failure> {
        if let Some(found) = key.open.read().get(version) {
            return Ok(Arc::clone(found));
        }
        let (sealed, under) =
            key.sealed.get(version).ok_or_else(|| Failure::not_found(Thing::KeyVersion, version))?;
        let sealed = sealed.as_ref().ok_or(Failure::Key(KeyProblem::State(KeyState::PendingImport)))?;
        let opener = self.tenant_key_version(&key.tenant, *under).await?;
        let material = opener.open_cmk(&material_aad(&key.tenant, &key.key, version), sealed)?;
        let opened = Arc::new(Cmk::open(key.key.spec, &material)?);
        key.open.write().insert(version.clone(), Arc::clone(&opened));
        Ok(opened)
    }

    /// After a change of this process.
    pub(super) fn forget_key(&self, tenant: &TenantId, id: &KeyId) {
        let mut keys = self.keys.kms.keys.write();
        self.keys.kms.changes.fetch_add(1, Ordering::AcqRel);
        keys.remove(&(tenant.clone(), id.clone()));
        self.keys.kms.leases.clear();
    }

    pub(super) fn forget_alias(&self, tenant: &TenantId, alias: &AliasName) {
        let mut aliases = self.keys.kms.aliases.write();
        self.keys.kms.changes.fetch_add(1, Ordering::AcqRel);
        aliases.remove(&(tenant.clone(), alias.clone()));
    }

    pub(super) async fn alias_target(&self, tenant: &TenantId, alias: &AliasName) -> Result<KeyId, Failure> {
        let place = (tenant.clone(), alias.clone());
        if let Some((id, looked_at)) = self.keys.kms.aliases.read().get(&place)
            && looked_at.elapsed() < LEASE
        {
            return Ok(id.clone());
        }
        let (looked_at, changes) = (Instant::now(), self.keys.kms.changes.load(Ordering::Acquire));
        let (of, wanted) = place.clone();
        let found =
            self.db.read(move |tx| rows::alias(&mut tx.tenant(&of), &wanted).map_err(Failure::from)).await?;
        let id = found.ok_or_else(|| Failure::not_found(Thing::Alias, alias))?;
        let mut aliases = self.keys.kms.aliases.write();
        if self.keys.kms.changes.load(Ordering::Acquire) == changes {
            if aliases.len() >= OPENED_MAX {
                aliases.clear();
            }
            aliases.insert(place, (id.clone(), looked_at));
        }
        Ok(id)
    }

    pub(super) fn count_use(&self, tenant: &TenantId, id: &KeyId, operation: &'static str, times: u64) {
        let mut uses = self.keys.kms.uses.lock();
        let place = (tenant.clone(), id.clone(), operation);
        if uses.len() < USES_MAX || uses.contains_key(&place) {
            *uses.entry(place).or_default() += times;
        }
    }

    /// What was used since the last time, by tenant.
    pub(super) fn take_uses(&self) -> HashMap<TenantId, Vec<(KeyId, &'static str, u64)>> {
        let mut out: HashMap<_, Vec<_>> = HashMap::new();
        for ((tenant, id, operation), uses) in std::mem::take(&mut *self.keys.kms.uses.lock()) {
            out.entry(tenant).or_default().push((id, operation, uses));
        }
        out
    }
}

impl TenantKey {
    pub(in crate::keys) fn seal_cmk(&self, aad: &[u8], material: &[u8]) -> Vec<u8> {
        self.seals.kms.seal(aad, material)
    }

    pub(in crate::keys) fn open_cmk(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, Failure> {
        self.open_part(|v| &v.kms, aad, sealed).ok_or_else(|| self.cmk_damage())
    }

    /// Sealed anew, when it lies under another version than the one that seals.
    pub(in crate::keys) fn reseal_cmk(&self, aad: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.reseal_part(|v| &v.kms, aad, sealed).transpose().map_err(|_| self.cmk_damage())
    }

    fn cmk_damage(&self) -> Failure {
        Failure::Damaged(format!("the material of a key of tenant `{}` does not open", self.tenant))
    }

    /// The version that seals.
    pub(crate) fn version(&self) -> i64 {
        self.seals.number
    }
}
