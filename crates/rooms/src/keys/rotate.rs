//! Versions of a tenant's key: a new one, what was sealed under an older one sealed anew, and the end of an old one.
//!
//! INVARIANT: a data key that is wrapped anew never leaves this room, and no content is opened.

use std::sync::Arc;

use bailee_store::{TenantTx, Tx};
use bailee_types::{BucketName, ObjectVersionId, TenantId, Timestamp};

use super::cmk::KeyProblem;
use super::cover::context;
use super::{ACTIVE_AFTER_MS, Cover, NotOpened, TenantKey, data_aad, rows};
use crate::gate::Intent;
use crate::{Failure, House, Thing};

/// Versions of one tenant's key at a time.
const VERSIONS_MAX: usize = 16;

/// A version of a tenant's key, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKeyVersion {
    /// Its number; the first is 1.
    pub number: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when what is new is sealed under it, or will be.
    pub seals_from: Timestamp,
    /// Since when nothing was found under an older one; none: that is not known yet.
    pub settled_at: Option<Timestamp>,
}

/// The wrap of a data key as its row has it.
pub(crate) struct Wrapped<'r> {
    pub(crate) tenant: &'r TenantId,
    pub(crate) bucket: &'r BucketName,
    pub(crate) version: &'r ObjectVersionId,
    pub(crate) key_version: i64,
    pub(crate) wrapped: &'r [u8],
}

/// What became of a wrap.
pub(crate) enum Rewrapped {
    /// Nothing is to be done.
    Same,
    /// The wrap under the version that seals, and its number.
    New(Vec<u8>, i64),
    /// It stays as it is.
    Waits(Waits),
}

/// Why a wrap stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// It lies under a key that only the customer keeps.
    Customer,
    /// It lies under a key in a key service of the tenant's.
    Elsewhere,
    /// Its key of KMS may do nothing now.
    Unusable,
}

impl House {
    /// Wraps a data key anew: when it lies under an older version of the tenant's key, and with `covers` also when its cover is
    /// of an older version of its key of KMS.
    ///
    /// # Errors
    /// When it does not open.
    pub(crate) async fn rewrap(
        self: &Arc<Self>,
        intent: &Intent,
        of: &Wrapped<'_>,
        cover: &Cover,
        covers: bool,
    ) -> Result<Rewrapped, Failure> {
        let key = self.tenant_key_version(of.tenant, of.key_version).await?;
        let behind = of.key_version != key.seals.number;
        let place = data_aad(of.tenant, of.bucket, of.version);
        let anew = |wrapped: &[u8]| match key.reseal_part(|v| &v.wrap, &place, wrapped) {
            None => Ok(wrapped.to_vec()),
            Some(done) => {
                done.map_err(|NotOpened| Failure::Damaged("the data key of an object does not open".into()))
            }
        };
        let kms = match cover {
            Cover::Nothing if behind => return Ok(Rewrapped::New(anew(of.wrapped)?, key.seals.number)),
            Cover::Customer(_) if behind => return Ok(Rewrapped::Waits(Waits::Customer)),
            Cover::Nothing | Cover::Customer(_) => return Ok(Rewrapped::Same),
            Cover::Kms(kms) => kms,
        };
        if !behind && !covers {
            return Ok(Rewrapped::Same);
        }
        let done = async {
            if self.lies_elsewhere(of.tenant, kms).await? {
                return Ok(if behind { Rewrapped::Waits(Waits::Elsewhere) } else { Rewrapped::Same });
            }
            if !behind && self.cover_is_newest(of.tenant, kms, of.wrapped).await? {
                return Ok(Rewrapped::Same);
            }
            let (whose, bound) = ((of.tenant, intent), context((of.tenant, of.bucket, of.version), None));
            let inner = self.uncover_under(whose, kms, of.wrapped, &bound).await?;
            let covered = self.cover_under(whose, kms, &anew(inner.expose())?, &bound).await?;
            Ok(Rewrapped::New(covered, key.seals.number))
        };
        match done.await {
            Err(Failure::Key(KeyProblem::State(_)) | Failure::NotFound { .. }) => {
                Ok(Rewrapped::Waits(Waits::Unusable))
            }
            done => done,
        }
    }

    /// All versions of a tenant's key, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tenant_key_versions(&self, tenant: &TenantId) -> Result<Vec<TenantKeyVersion>, Failure> {
        let id = tenant.clone();
        let rows = self.db.read(move |tx| rows::all(&mut tx.tenant(&id)).map_err(Failure::from)).await?;
        Ok(rows.iter().map(shown).collect())
    }

    /// Makes a new version of a tenant's key.
    pub(crate) async fn new_tenant_key_version(
        self: &Arc<Self>,
        tenant: &TenantId,
    ) -> Result<TenantKeyVersion, Failure> {
        let (house, id, now) = (Arc::clone(self), tenant.clone(), self.now());
        let made = self
            .db
            .write(move |tx| {
                let mut own = tx.tenant(&id);
                let there = rows::all(&mut own)?;
                let newest = there.last().ok_or_else(|| Failure::not_found(Thing::Tenant, &id))?;
                if there.len() >= VERSIONS_MAX {
                    return Err(Failure::Conflict(format!(
                        "the key has {VERSIONS_MAX} versions: retire old ones first"
                    )));
                }
                if there.len() > 1 && now < shown(newest).seals_from {
                    return Err(Failure::Conflict("a version was made moments ago".into()));
                }
                let row = house.keys.insert_version(&mut own, &id, newest.number + 1, now)?;
                Ok(shown(&row))
            })
            .await?;
        self.keys.opened.forget(tenant);
        Ok(made)
    }

    /// Tenants whose keys have a new version, and what is older was not all sealed anew. Every server knows those versions.
    pub(crate) async fn unsettled_keys(&self) -> Result<Vec<TenantId>, Failure> {
        let before = self.now().plus_ms(-2 * ACTIVE_AFTER_MS);
        self.db.read(move |tx| rows::unsettled(tx, before).map_err(Failure::from)).await
    }

    /// After a version was destroyed.
    pub(crate) fn forget_tenant_key(&self, tenant: &TenantId) {
        self.keys.opened.forget(tenant);
    }
}

fn shown(row: &rows::Row) -> TenantKeyVersion {
    let wait = if row.number == 1 { 0 } else { ACTIVE_AFTER_MS };
    TenantKeyVersion {
        number: row.number,
        created_at: row.created_at,
        seals_from: row.created_at.plus_ms(wait),
        settled_at: row.settled_at,
    }
}

/// What became of things that lie under a tenant's key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resealed {
    /// Sealed anew.
    pub(crate) changed: u64,
    /// Changed by somebody else meanwhile.
    pub(crate) raced: u64,
    /// What an old version is still needed for: fingerprints of material that is not there.
    pub(crate) waiting: u64,
}

impl Resealed {
    /// Notes that a row was sealed anew, if it was.
    pub(crate) fn note(&mut self, changed: bool) {
        if changed {
            self.changed += 1;
        } else {
            self.raced += 1;
        }
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.changed += more.changed;
        self.raced += more.raced;
        self.waiting += more.waiting;
    }
}

/// Seals a tenant's keys of KMS, secrets and key services anew, where they lie under an older version.
pub(crate) async fn reseal_keys(
    house: &Arc<House>,
    tenant: &TenantId,
    key: &Arc<TenantKey>,
) -> Result<Resealed, Failure> {
    let mut done = super::cmk::reseal(house, tenant, key).await?;
    done.add(super::secret::reseal(house, tenant, key).await?);
    Ok(done)
}
/// Keeps that nothing was found under a version older than the one that seals.
pub(crate) fn settle(tx: &mut TenantTx<'_, '_>, key: &TenantKey, now: Timestamp) -> Result<(), Failure> {
    Ok(rows::settle(tx, key.seals.number, now)?)
}

/// Destroys an old version; what is sealed under it can be opened by nobody then.
pub(crate) fn retire(tx: &mut Tx<'_>, tenant: &TenantId, number: i64) -> Result<(), Failure> {
    Ok(rows::delete(&mut tx.tenant(tenant), number)?)
}

/// An act that takes longer (ms) looks whether the version under which it sealed is still there.
const LONG_MS: i64 = 3_600_000;

/// Refuses to commit what a long act sealed under a version that was destroyed meanwhile.
pub(crate) fn expect_version(
    tx: &mut TenantTx<'_, '_>,
    number: i64,
    (began, now): (Timestamp, Timestamp),
) -> Result<(), Failure> {
    if now < began.plus_ms(LONG_MS) {
        return Ok(());
    }
    match rows::all(tx)?.iter().any(|row| row.number == number) {
        true => Ok(()),
        false => Err(Failure::Unavailable("the tenant's key was changed meanwhile; write it again".into())),
    }
}
