//! Writing an object: sealed as it arrives, in constant memory.

use std::sync::Arc;

use bailee_crypto::envelope::{Context, SEGMENT_LEN, Sealer, Suite};
use bailee_store::{BlobWriter, TenantTx};
use bailee_types::{BucketName, ObjectKey, ObjectVersionId, TenantId, Timestamp};
use bytes::{Bytes, BytesMut};

use super::bucket::known;
use super::checksum::{Algorithm, Checksum, Running};
use super::crossing::let_in;
use super::encryption::{Encryption, decide};
use super::replicate::enqueue;
use super::version::{Versioning, shown_id};
use super::{Body, BodyDigests, Bucket, INLINE_MAX, ObjectMeta, object_asked, quota, rows};
use crate::gate::{Asked, Intent, Operation};
use crate::house::Counters;
use crate::keys::{CustomerKey, TenantKey, expect_version};
use crate::{Failure, House, Thing};

/// The largest object of one PUT (both dialects: 5 GiB).
const PUT_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Sealed segments are handed to the blob store in parts of about this size.
const PART_LEN: usize = 1024 * 1024;

/// Writes an object whole; a former object of this key is replaced at the commit.
pub struct PutObject {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// `Content-Type` and other headers; `md5` and `crc64` are filled in here.
    pub meta: ObjectMeta,
    /// Bytes of content, as the client says; checked before anything is kept.
    pub len: Option<u64>,
    /// Refuse when the key exists (`If-None-Match: *`, `x-oss-forbid-overwrite`).
    pub must_be_new: bool,
    /// Refuse unless the present object has this MD5 (`If-Match`).
    pub must_have_md5: Option<String>,
    /// The key that only the customer keeps, when the object is under one.
    pub customer_key: Option<CustomerKey>,
    /// The content.
    pub body: Box<dyn Body>,
}

/// A written object.
#[derive(Clone, Debug)]
pub struct PutDone {
    /// The stored version.
    pub version: ObjectVersionId,
    /// The version's id as clients know it; none where a bucket keeps no versions.
    pub shown: Option<String>,
    /// Bytes of content.
    pub size: u64,
    /// MD5 and the rest.
    pub meta: ObjectMeta,
    /// When it was committed.
    pub modified_at: Timestamp,
}

impl Operation for PutObject {
    type Output = PutDone;

    fn asks(&self) -> Asked {
        object_asked(&self.tenant, &self.bucket, &self.key, "oss:PutObject", None)
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<PutDone, Failure> {
        super::check_tags(&self.meta.tags, super::OBJECT_TAGS_MAX)?;
        if self.len.is_some_and(|n| n > PUT_MAX) {
            return Err(Failure::Body(format!("the body is larger than {PUT_MAX} bytes; use parts")));
        }
        let (tenant, bucket, len) = (self.tenant.clone(), self.bucket.clone(), self.len);
        let there = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&tenant);
                let there = known(&mut tx, &bucket)?;
                quota::check_room(&mut tx, &there, len.unwrap_or(0))?;
                Ok::<_, Failure>(there)
            })
            .await?;
        self.meta.lock = there.lock_for(&self.meta.lock, house.now())?;
        self.meta.tier = there.tier_for(self.meta.tier);
        self.body = let_in(house, intent, self.body, (&there, len)).await?;
        let version = house.new_blob_id(&there.region)?;
        let began = house.now();
        let release = intent.release(&self.bucket, &self.key, &version, began)?;
        let cover = decide(house, &self.tenant, &there, &mut self.meta, self.customer_key.as_ref()).await?;
        let (data_key, key_version, wrapped_key) = house.new_data_key(&release, &cover).await?;
        let suite = self.meta.encryption.as_ref().map_or(Suite::default(), Encryption::suite);
        let context =
            Context { tenant: self.tenant.as_str(), bucket: self.bucket.as_str(), version: raw(&version)? };
        let (sealer, header) = Sealer::new(&data_key, suite, &context);
        let intake = Intake::new(house, version.clone(), sealer, header.to_vec(), house.keeps(&there));
        let asked = self.meta.checksum.take().map(|sum| sum.algorithm);
        let algorithm = self.body.claims().or(asked).unwrap_or_default();
        let (sealed, digests) =
            receive(intake, self.body.as_mut(), self.len, PUT_MAX, Some(algorithm)).await?;
        self.meta.md5 = digests.md5;
        self.meta.crc64 = digests.crc64;
        self.meta.checksum = digests.checksums.into_iter().next().map(|(algorithm, value)| Checksum {
            algorithm,
            value,
            ..Checksum::default()
        });
        let key = house.tenant_key(&self.tenant).await?;
        let meta = serde_json::to_vec(&self.meta).map_err(|e| Failure::Bug(e.to_string()))?;
        let now = house.now();
        let row = rows::NewObject {
            key: self.key.clone(),
            version: version.clone(),
            size: sealed.size,
            modified_at: now,
            key_version,
            wrapped_key,
            sealed_meta: key.seal_metadata(&self.bucket, &version, &meta),
            header: header.to_vec(),
            inline: sealed.inline.clone(),
            sealed_crc: Some(sealed.crc),
            parts: 0,
        };
        let condition =
            Condition { must_be_new: self.must_be_new, must_have_md5: self.must_have_md5.clone() };
        let opener = key;
        let (tenant, bucket) = (self.tenant.clone(), self.bucket.clone());
        let (lies, under) = (there.region, self.meta.encryption.clone());
        let replica = self.meta.replica;
        let committed = house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                let there = known(&mut tx, &bucket)?;
                there.takes(&lies, under.as_ref())?;
                expect_version(&mut tx, row.key_version, (began, now))?;
                let former = condition.check(&mut tx, &opener, &bucket, &row.key)?;
                let guard = there.guard(&opener, now);
                rows::put_object(&mut tx, &bucket, &row, (former.as_ref(), there.versioning), &guard)?;
                enqueue(&mut tx, &there, &row.key, &row.version, (replica, now))?;
                // What replaces as much as it brings has room, also where there is too much already.
                let replaced = former.as_ref().filter(|_| there.versioning == Versioning::Off);
                if replaced.is_none_or(|former| former.size < row.size) {
                    quota::check(&mut tx, &there)?;
                }
                Ok(there.versioning)
            })
            .await;
        let versioning = match committed {
            Ok(versioning) => versioning,
            Err(e) => {
                sealed.discard(house, &version).await;
                return Err(e);
            }
        };
        Counters::add(&house.counters().bytes_sealed, sealed.size);
        let shown = shown_version(versioning, &version);
        Ok(PutDone { version, shown, size: sealed.size, meta: self.meta, modified_at: now })
    }
}

pub(super) fn shown_version(versioning: Versioning, version: &ObjectVersionId) -> Option<String> {
    match versioning {
        Versioning::Off => None,
        kept => Some(shown_id(kept == Versioning::Suspended, version)),
    }
}

/// What must hold of the object that a write replaces.
pub(super) struct Condition {
    pub(super) must_be_new: bool,
    pub(super) must_have_md5: Option<String>,
}

impl Condition {
    /// The object that is replaced, if there is one.
    pub(super) fn check(
        &self,
        tx: &mut TenantTx<'_, '_>,
        opener: &TenantKey,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Option<rows::Former>, Failure> {
        let former = rows::former(tx, bucket, key)?;
        if self.must_be_new && former.is_some() {
            return Err(Failure::exists(Thing::Object, key));
        }
        if let Some(wanted) = &self.must_have_md5 {
            let has = match &former {
                Some(f) => Some(super::get::open_meta(opener, bucket, &f.version, &f.sealed_meta)?.md5),
                None => None,
            };
            if has.as_ref() != Some(wanted) {
                return Err(Failure::Precondition("If-Match"));
            }
        }
        Ok(former)
    }
}

/// Takes a whole body in; when anything is wrong with it, nothing stays. The checksum that is wanted is the first of its digests.
pub(super) async fn receive(
    mut intake: Intake<'_>,
    body: &mut dyn Body,
    len: Option<u64>,
    max: u64,
    wanted: Option<Algorithm>,
) -> Result<(Sealed, BodyDigests), Failure> {
    // What comes with the body is computed where it is checked.
    let mut sum = wanted.filter(|w| body.claims() != Some(*w)).map(|w| (w, Running::new(w)));
    if let Err(e) = take_all(&mut intake, body, len, max, sum.as_mut().map(|(_, sum)| sum)).await {
        intake.give_up().await;
        return Err(e);
    }
    let (house, id) = (intake.house, intake.version.clone());
    let sealed = intake.finish().await?;
    match body.finish() {
        Ok(mut digests) => {
            if let Some((algorithm, sum)) = sum {
                digests.checksums.insert(0, (algorithm, sum.finish()));
            }
            Ok((sealed, digests))
        }
        Err(why) => {
            sealed.discard(house, &id).await;
            Err(Failure::Body(why))
        }
    }
}

async fn take_all(
    intake: &mut Intake<'_>,
    body: &mut dyn Body,
    len: Option<u64>,
    max: u64,
    mut sum: Option<&mut Running>,
) -> Result<(), Failure> {
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(Failure::Body)?;
        if let Some(sum) = &mut sum {
            sum.update(&piece);
        }
        intake.take(piece).await?;
        if len.is_some_and(|n| intake.size > n) || intake.size > max {
            return Err(Failure::Body("the body is longer than it was said to be".into()));
        }
    }
    match len {
        Some(n) if n != intake.size => Err(Failure::Body(format!(
            "the body ended after {} of {n} bytes; nothing was stored",
            intake.size
        ))),
        _ => Ok(()),
    }
}

/// Where sealed bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Small ones into the row, others into a blob.
    InRowIfSmall,
    /// Into a blob always.
    InBlob,
}

/// Takes plain bytes, gives sealed segments to the row or the blob.
pub(super) struct Intake<'h> {
    keep: Keep,
    house: &'h House,
    version: ObjectVersionId,
    sealer: Sealer,
    header: Vec<u8>,
    plain: BytesMut,
    part: BytesMut,
    blob: Option<BlobWriter>,
    size: u64,
    crc: crc_fast::Digest,
}

pub(super) struct Sealed {
    pub(super) size: u64,
    /// CRC-64 of what is stored.
    pub(super) crc: i64,
    /// The sealed bytes of a small object; none when they are a blob.
    inline: Option<Bytes>,
}

impl<'h> Intake<'h> {
    pub(super) fn new(
        house: &'h House,
        version: ObjectVersionId,
        sealer: Sealer,
        header: Vec<u8>,
        keep: Keep,
    ) -> Self {
        Self {
            keep,
            house,
            version,
            sealer,
            header,
            plain: BytesMut::new(),
            part: BytesMut::new(),
            blob: None,
            size: 0,
            crc: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz),
        }
    }

    async fn take(&mut self, mut piece: Bytes) -> Result<(), Failure> {
        self.size += piece.len() as u64;
        while !piece.is_empty() {
            // A full segment is sealed only when more follows: the last one carries the last-segment flag.
            if self.plain.len() == SEGMENT_LEN {
                self.seal(false).await?;
            }
            let room = SEGMENT_LEN - self.plain.len();
            let now = piece.split_to(room.min(piece.len()));
            self.plain.extend_from_slice(&now);
        }
        Ok(())
    }

    async fn seal(&mut self, last: bool) -> Result<(), Failure> {
        if self.blob.is_none() && self.part.is_empty() && !last {
            self.part.reserve(PART_LEN + 2 * SEGMENT_LEN);
            self.blob = Some(self.house.blobs.create(&self.version).await?);
            self.part.extend_from_slice(&self.header);
        }
        self.sealer.seal_segment(&mut self.plain, last).map_err(|e| Failure::Bug(e.to_string()))?;
        self.part.extend_from_slice(&self.plain);
        self.plain.clear();
        if self.part.len() >= PART_LEN {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let part =
            std::mem::replace(&mut self.part, BytesMut::with_capacity(PART_LEN + 2 * SEGMENT_LEN)).freeze();
        self.crc.update(&part);
        if let Some(blob) = &mut self.blob {
            blob.write(part).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Sealed, Failure> {
        let small = self.keep == Keep::InRowIfSmall && self.blob.is_none() && self.size <= INLINE_MAX as u64;
        if !small && self.blob.is_none() {
            self.blob = Some(self.house.blobs.create(&self.version).await?);
            self.part.extend_from_slice(&self.header);
        }
        self.seal(true).await?;
        let inline = if small {
            self.crc.update(&self.part);
            Some(std::mem::take(&mut self.part).freeze())
        } else {
            if !self.part.is_empty() {
                self.flush().await?;
            }
            if let Some(blob) = self.blob.take() {
                blob.finish().await?;
            }
            None
        };
        Ok(Sealed { size: self.size, crc: self.crc.finalize() as i64, inline })
    }

    async fn give_up(mut self) {
        if let Some(blob) = self.blob.take() {
            blob.abort().await;
        }
    }
}

impl House {
    /// Whether small objects of a bucket lie in their row: only where the database is.
    fn keeps(&self, bucket: &Bucket) -> Keep {
        if bucket.region == self.provider().region { Keep::InRowIfSmall } else { Keep::InBlob }
    }
}

impl Sealed {
    /// Removes a blob that no row will name; what stays (a crash here) the cleaner removes.
    pub(super) async fn discard(&self, house: &House, version: &ObjectVersionId) {
        if self.inline.is_none()
            && let Err(e) = house.blobs.delete(version).await
        {
            tracing::warn!("a blob without a row stays for the cleaner: {e}");
        }
    }
}

pub(super) fn raw(version: &ObjectVersionId) -> Result<[u8; 16], Failure> {
    let mut out = [0; 16];
    hex::decode_to_slice(version.as_str(), &mut out).map_err(|e| Failure::Bug(e.to_string()))?;
    Ok(out)
}
