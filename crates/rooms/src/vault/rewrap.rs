//! What lies under a tenant's key, sealed anew under its newest version: wraps and metadata. No byte of content is touched, so
//! retention does not hinder it; whoever writes meanwhile wins, and the next pass finds it.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{BucketName, ObjectVersionId, TenantId};

use super::encryption::cover_of;
use super::get::open_meta;
use super::{ObjectMeta, destroy, papers, rows};
use crate::gate::Intent;
use crate::keys::{Resealed, Rewrapped, TenantKey, Waits, Wrapped};
use crate::{Failure, House};

/// Versions of one commit.
const BATCH: i64 = 200;
/// Damaged ones that are named.
const NAMED_MAX: usize = 100;

/// What is to be sealed anew.
pub(crate) struct Rewrapping<'r> {
    /// Whose.
    pub(crate) tenant: &'r TenantId,
    /// Only this bucket's objects.
    pub(crate) bucket: Option<BucketName>,
    /// Also what lies under an older version of its own key of KMS.
    pub(crate) covers: bool,
    /// The tenant's key.
    pub(crate) key: Arc<TenantKey>,
    /// It ends after so many were sealed anew.
    pub(crate) max: u64,
}

/// How far it is.
#[derive(Clone, Debug, Default)]
pub struct RewrapDone {
    /// Object versions that there are.
    pub in_all: u64,
    /// Object versions looked at.
    pub looked: u64,
    /// Object versions and uploads whose wraps were made anew.
    pub rewrapped: u64,
    /// Anything else that was sealed anew: parts, certificates, keys of KMS, secrets, keys of the log.
    pub others: u64,
    /// Changed by somebody else meanwhile.
    pub raced: u64,
    /// They lie under a key that only the customer keeps and sends with each request.
    pub wait_for_customer: u64,
    /// They lie under a key in a key service of the tenant's.
    pub wait_for_service: u64,
    /// Their key of KMS is disabled, destroyed, or waits for material.
    pub wait_for_key: u64,
    /// Keys of KMS whose brought material is not there, and whose fingerprint only the first version of the tenant's key knows.
    pub wait_for_material: u64,
    /// The first that do not open: bucket, key and version.
    pub damaged: Vec<String>,
    /// All that do not open.
    pub damaged_in_all: u64,
    /// It ended before it had looked at all.
    pub more: bool,
}

impl RewrapDone {
    /// Whether nothing lies under an older version any more.
    pub fn is_settled(&self) -> bool {
        !self.more && self.changed() == 0 && self.raced == 0
    }

    /// How much an old version is still needed for.
    pub fn waiting(&self) -> u64 {
        self.wait_for_customer
            + self.wait_for_service
            + self.wait_for_key
            + self.wait_for_material
            + self.damaged_in_all
    }

    /// How much was sealed anew.
    pub fn changed(&self) -> u64 {
        self.rewrapped + self.others
    }

    pub(crate) fn note(&mut self, others: Resealed) {
        self.others += others.changed;
        self.raced += others.raced;
        self.wait_for_material += others.waiting;
    }

    fn waits(&mut self, why: Waits) {
        match why {
            Waits::Customer => self.wait_for_customer += 1,
            Waits::Elsewhere => self.wait_for_service += 1,
            Waits::Unusable => self.wait_for_key += 1,
        }
    }

    fn damage(&mut self, what: impl FnOnce() -> String) {
        self.damaged_in_all += 1;
        if self.damaged.len() < NAMED_MAX {
            self.damaged.push(what());
        }
    }
}

/// A row's new secrets: wrap, metadata, under which version.
type Anew = (Vec<u8>, Vec<u8>, i64);

impl House {
    /// Seals a tenant's objects, uploads and certificates anew; `told` hears how far it is.
    pub(crate) async fn rewrap_vault(
        self: &Arc<Self>,
        intent: &Intent,
        what: &Rewrapping<'_>,
        done: &mut RewrapDone,
        told: &mut (dyn FnMut(&RewrapDone) + Send),
    ) -> Result<(), Failure> {
        let only = rows::Only { tenant: Some(what.tenant.clone()), bucket: what.bucket.clone() };
        let wanted = only.clone();
        done.in_all =
            self.db.read(move |tx| rows::stored_versions(tx, &wanted).map_err(Failure::from)).await?;
        told(done);
        for table in [rows::Stored::Current, rows::Stored::Former] {
            let mut after = None;
            loop {
                let (wanted, from) = (only.clone(), after.clone());
                let read = move |tx: &mut bailee_store::Tx<'_>| {
                    rows::to_scrub(tx, table, &wanted, from.as_ref(), BATCH).map_err(Failure::from)
                };
                let batch = self.db.read(read).await?;
                let Some(last) = batch.last() else { break };
                after = Some(last.place());
                self.rewrap_batch(intent, what, batch, done).await?;
                told(done);
                if done.rewrapped >= what.max {
                    done.more = true;
                    return Ok(());
                }
            }
        }
        if what.bucket.is_none() {
            self.rewrap_uploads(intent, what, done).await?;
            for parts in rows::PartsOf::ALL {
                done.note(self.reseal_parts(what, parts).await?);
            }
            done.note(papers::reseal(self, what.tenant, &what.key).await?);
            done.note(destroy::reseal(self, what.tenant, &what.key).await?);
        }
        Ok(())
    }

    async fn rewrap_batch(
        self: &Arc<Self>,
        intent: &Intent,
        what: &Rewrapping<'_>,
        batch: Vec<rows::ScrubRow>,
        done: &mut RewrapDone,
    ) -> Result<(), Failure> {
        let mut changes = Vec::new();
        for row in batch {
            done.looked += 1;
            let sealed = (row.key_version, row.wrapped_key.as_slice(), row.sealed_meta.as_slice());
            match self.anew(intent, what, (&row.bucket, &row.version), sealed).await {
                Ok(Ok(Some(anew))) => changes.push((row, anew)),
                Ok(Ok(None)) => {}
                Ok(Err(why)) => done.waits(why),
                Err(Failure::Damaged(_)) => {
                    done.damage(|| format!("{}/{} (version {})", row.bucket, row.key, row.version));
                }
                Err(other) => return Err(other),
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let tenant = what.tenant.clone();
        let (changed, raced) = self
            .db
            .write(move |tx| {
                let (mut tx, mut changed, mut raced) = (tx.tenant(&tenant), 0, 0);
                for (row, (wrapped, sealed, under)) in &changes {
                    match rows::replace_wrap(&mut tx, row, (wrapped, sealed, *under))? {
                        true => changed += 1,
                        false => raced += 1,
                    }
                }
                Ok::<_, Failure>((changed, raced))
            })
            .await?;
        done.rewrapped += changed;
        done.raced += raced;
        Ok(())
    }

    /// A row's secrets, sealed anew where that is wanted and can be.
    async fn anew(
        self: &Arc<Self>,
        intent: &Intent,
        what: &Rewrapping<'_>,
        (bucket, version): (&BucketName, &ObjectVersionId),
        (key_version, wrapped, sealed_meta): (i64, &[u8], &[u8]),
    ) -> Result<Result<Option<Anew>, Waits>, Failure> {
        // Metadata may have been written by an act that began when an older version sealed.
        let fresh_meta = what.key.reseal_metadata(bucket, version, sealed_meta)?;
        let same_wrap = |fresh: Option<Vec<u8>>| fresh.map(|meta| (wrapped.to_vec(), meta, key_version));
        if key_version == what.key.version() && !what.covers {
            return Ok(Ok(same_wrap(fresh_meta)));
        }
        let meta = open_meta(&what.key, bucket, version, sealed_meta)?;
        if is_customers(&meta) {
            let is_old = key_version != what.key.version();
            return Ok(if is_old { Err(Waits::Customer) } else { Ok(same_wrap(fresh_meta)) });
        }
        let of = Wrapped { tenant: what.tenant, bucket, version, key_version, wrapped };
        Ok(match self.rewrap(intent, &of, &cover_of(&meta, None)?, what.covers).await? {
            Rewrapped::Same => Ok(same_wrap(fresh_meta)),
            Rewrapped::Waits(why) => Err(why),
            Rewrapped::New(wrapped, under) => {
                Ok(Some((wrapped, fresh_meta.unwrap_or_else(|| sealed_meta.to_vec()), under)))
            }
        })
    }

    async fn rewrap_uploads(
        self: &Arc<Self>,
        intent: &Intent,
        what: &Rewrapping<'_>,
        done: &mut RewrapDone,
    ) -> Result<(), Failure> {
        let mut after = (String::new(), String::new(), String::new());
        loop {
            let (tenant, from) = (what.tenant.clone(), after.clone());
            let batch = self
                .db
                .read(move |tx| {
                    rows::sealed_uploads(&mut tx.tenant(&tenant), (&from.0, &from.1, &from.2), BATCH)
                        .map_err(Failure::from)
                })
                .await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = (last.bucket.to_string(), last.key.to_string(), last.id.clone());
            for upload in batch {
                let row = &upload.row;
                let sealed = (row.key_version, row.wrapped_key.as_slice(), row.sealed_meta.as_slice());
                let place = (&upload.bucket, &row.version);
                let (wrapped, meta, under) = match self.anew(intent, what, place, sealed).await {
                    Ok(Ok(Some(anew))) => anew,
                    Ok(Ok(None)) => continue,
                    Ok(Err(why)) => {
                        done.waits(why);
                        continue;
                    }
                    Err(Failure::Damaged(_)) => {
                        done.damage(|| format!("{}/{} (upload {})", upload.bucket, upload.key, upload.id));
                        continue;
                    }
                    Err(other) => return Err(other),
                };
                let tenant = what.tenant.clone();
                let changed = self
                    .db
                    .write(move |tx| {
                        let new = (wrapped.as_slice(), meta.as_slice(), under);
                        rows::replace_upload_wrap(&mut tx.tenant(&tenant), &upload, new)
                            .map_err(Failure::from)
                    })
                    .await?;
                done.rewrapped += u64::from(changed);
                done.raced += u64::from(!changed);
            }
        }
    }

    async fn reseal_parts(&self, what: &Rewrapping<'_>, parts: rows::PartsOf) -> Result<Resealed, Failure> {
        let (mut all, mut after) = (Resealed::default(), (String::new(), 0));
        loop {
            let (tenant, key, from) = (what.tenant.clone(), Arc::clone(&what.key), after.clone());
            let (done, last) = self
                .db
                .write(move |tx| {
                    let (mut tx, mut done) = (tx.tenant(&tenant), Resealed::default());
                    let batch = rows::sealed_parts(&mut tx, parts, (&from.0, from.1), BATCH)?;
                    for part in &batch {
                        if let Some(new) = key.reseal_metadata(&part.bucket, &part.id, &part.sealed)? {
                            done.note(rows::reseal_part(&mut tx, parts, &part.id, (&part.sealed, &new))?);
                        }
                    }
                    Ok::<_, Failure>((done, batch.into_iter().last()))
                })
                .await?;
            all.add(done);
            match last {
                Some(part) => after = (part.of, part.number),
                None => return Ok(all),
            }
        }
    }
}

fn is_customers(meta: &ObjectMeta) -> bool {
    meta.encryption.as_ref().is_some_and(|e| e.customer)
}

/// How many versions and uploads lie under a version of a tenant's key.
pub(crate) fn under_version(tx: &mut TenantTx<'_, '_>, key_version: i64) -> Result<u64, Failure> {
    Ok(rows::under(tx, key_version)?)
}
