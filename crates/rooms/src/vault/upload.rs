//! Objects that arrive in parts: begun, written in any order and at the same time, put together or given up.
//!
//! Each part is an envelope and a blob of its own, all under the data key of the object to be, so that putting them together
//! moves no byte, and destroying that one key destroys them all.
//! INVARIANT: which parts an object has, in which order, is sealed in its metadata ([`super::parts`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_crypto::envelope::{Context, Sealer, Suite};
use bailee_types::{BucketName, ObjectKey, ObjectVersionId, TenantId, Timestamp};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::bucket::known as known_bucket;
use super::checksum::{Algorithm, Checksum, ChecksumProblem, ChecksumType, Together};
use super::crossing::let_in;
use super::encryption::{Encryption, cover_of, decide};
use super::put::{Condition, Intake, Keep, raw, receive, shown_version};
use super::replicate::enqueue;
use super::{Body, ObjectMeta, PutDone, bucket_asked, object_asked, parts, quota, rows};
use crate::gate::{Asked, Intent, Operation, Touches};
use crate::house::Counters;
use crate::keys::{CustomerKey, TenantKey};
use crate::{Failure, House, Thing};

/// Parts of one object (both dialects).
pub const PARTS_MAX: u32 = 10_000;
/// Bytes of one part (both dialects: 5 GiB).
const PART_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Uploads of one tenant that are under way.
const UPLOADS_MAX: u64 = 10_000;

/// Begins an upload in parts.
#[derive(Clone, Debug)]
pub struct CreateUpload {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key of the object to be.
    pub key: ObjectKey,
    /// `Content-Type` and other headers.
    pub meta: ObjectMeta,
    /// The key that only the customer keeps, when the object is under one.
    pub customer_key: Option<CustomerKey>,
}

/// Writes one part; a former one of this number is replaced.
pub struct PutPart {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key of the object to be.
    pub key: ObjectKey,
    /// The upload.
    pub upload: String,
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes of content, as the client says.
    pub len: Option<u64>,
    /// The key that only the customer keeps, when the object is under one.
    pub customer_key: Option<CustomerKey>,
    /// The content.
    pub body: Box<dyn Body>,
}

/// A part that was written.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its number.
    pub number: u32,
    /// Bytes of content.
    pub size: u64,
    /// MD5, lower-case hex.
    pub md5: String,
    /// CRC-64/XZ.
    pub crc64: u64,
    /// S3 checksums: the upload's first, then another that came with it.
    pub checksums: Vec<(Algorithm, String)>,
    /// When it was written.
    pub written_at: Timestamp,
}

/// A part as who puts an object together lists it.
#[derive(Clone, Debug, Default)]
pub struct ListedPart {
    /// Its number.
    pub number: u32,
    /// Its MD5, lower-case hex.
    pub md5: String,
    /// S3 checksums of it, base64.
    pub checksums: Vec<(Algorithm, String)>,
}

/// What is claimed of an object of parts as a whole.
#[derive(Clone, Debug, Default)]
pub struct WholeClaim {
    /// Its size.
    pub size: Option<u64>,
    /// Its S3 checksum: base64, of a composite one also with `-` and the number of parts.
    pub checksum: Option<(Algorithm, String)>,
    /// What that is made of.
    pub kind: Option<ChecksumType>,
}

/// Puts an object together.
#[derive(Clone, Debug)]
pub struct CompleteUpload {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: String,
    /// By number, ascending; none: every part that is there.
    pub parts: Option<Vec<ListedPart>>,
    /// Bytes that each part but the last must have.
    pub part_min: u64,
    /// What the object must be.
    pub claim: WholeClaim,
    /// Refuse when the key exists.
    pub must_be_new: bool,
    /// Refuse unless the present object has this MD5.
    pub must_have_md5: Option<String>,
}

/// Gives an upload up; its parts are destroyed.
#[derive(Clone, Debug)]
pub struct AbortUpload {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key of the object that was to be.
    pub key: ObjectKey,
    /// The upload.
    pub upload: String,
}

/// Parts of an upload by number.
#[derive(Clone, Debug)]
pub struct ListParts {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key of the object to be.
    pub key: ObjectKey,
    /// The upload.
    pub upload: String,
    /// Only parts after this number.
    pub after: u32,
    /// At most so many.
    pub parts_max: u32,
}

/// A page of parts.
#[derive(Clone, Debug)]
pub struct PartPage {
    /// The checksum that the object will have, where one was asked for.
    pub checksum: Option<Checksum>,
    /// By number.
    pub parts: Vec<Part>,
    /// Whether there are more.
    pub more: bool,
}

/// Uploads that are under way, by key and id.
#[derive(Clone, Debug)]
pub struct ListUploads {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys with this prefix.
    pub prefix: String,
    /// Keys are cut behind it, after the prefix; empty: they are not.
    pub delimiter: String,
    /// Only uploads after this key and id; with an empty id after all of the key's.
    pub after: (String, String),
    /// At most so many.
    pub uploads_max: u32,
}

/// An upload that is under way.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The key of the object to be.
    pub key: ObjectKey,
    /// Its id.
    pub id: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// The checksum that the object will have, where one was asked for.
    pub checksum: Option<Checksum>,
}

/// A page of uploads.
#[derive(Clone, Debug, Default)]
pub struct UploadPage {
    /// Uploads, by key and id.
    pub uploads: Vec<Upload>,
    /// Prefixes that keys were cut to, in order.
    pub prefixes: Vec<String>,
    /// Key and id after which the next page begins; none at the end.
    pub next: Option<(String, String)>,
}

/// Digests of a part. Sealed: an MD5 in clear would tell which parts are equal.
#[derive(Serialize, Deserialize)]
pub(super) struct PartDigests {
    md5: String,
    crc64: u64,
    /// The upload's first.
    #[serde(default)]
    checksums: Vec<(Algorithm, String)>,
}

impl PartDigests {
    pub(super) fn open(
        key: &TenantKey,
        bucket: &BucketName,
        part: &ObjectVersionId,
        sealed: &[u8],
    ) -> Result<Self, Failure> {
        let plain = key.open_metadata(bucket, part, sealed)?;
        serde_json::from_slice(plain.expose())
            .map_err(|e| Failure::Damaged(format!("the digests of part `{part}` cannot be read: {e}")))
    }

    pub(super) fn checksum(&self, of: Algorithm) -> Option<&str> {
        self.checksums.iter().find(|(algorithm, _)| *algorithm == of).map(|(_, value)| value.as_str())
    }
}

/// What an upload says of the checksum, when that was asked for.
fn asked_for(meta: ObjectMeta) -> Option<Checksum> {
    meta.checksum.filter(|sum| !sum.by_default)
}

fn upload_asked(
    tenant: &TenantId,
    bucket: &BucketName,
    key: &ObjectKey,
    action: &'static str,
    upload: &str,
) -> Asked {
    let mut asked = object_asked(tenant, bucket, key, action, None);
    asked.parameters.insert("uploadId".into(), upload.chars().take(64).collect::<String>().into());
    asked
}

async fn known(
    house: &House,
    tenant: &TenantId,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: &str,
) -> Result<rows::UploadRow, Failure> {
    let (t, b, k, u) = (tenant.clone(), bucket.clone(), key.clone(), upload.to_owned());
    house.db.read(move |tx| there(&mut tx.tenant(&t), &b, &k, &u)).await
}

fn there(
    tx: &mut bailee_store::TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: &str,
) -> Result<rows::UploadRow, Failure> {
    if let Some(found) = rows::upload(tx, bucket, key, upload)? {
        return Ok(found);
    }
    Err(match rows::bucket(tx, bucket)? {
        Some(_) => Failure::not_found(Thing::Upload, upload.chars().take(64).collect::<String>()),
        None => Failure::not_found(Thing::Bucket, bucket),
    })
}

fn digests_of(key: &TenantKey, bucket: &BucketName, row: &rows::UploadPart) -> Result<PartDigests, Failure> {
    PartDigests::open(key, bucket, &row.part.id, &row.sealed_digests)
}

impl Operation for CreateUpload {
    type Output = String;

    fn asks(&self) -> Asked {
        object_asked(&self.tenant, &self.bucket, &self.key, "oss:PutObject", None)
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<String, Failure> {
        super::check_tags(&self.meta.tags, super::OBJECT_TAGS_MAX)?;
        let there = house.known_bucket(&self.tenant, &self.bucket).await?;
        let version = house.new_blob_id(&there.region)?;
        let release = intent.release(&self.bucket, &self.key, &version, house.now())?;
        let cover = decide(house, &self.tenant, &there, &mut self.meta, self.customer_key.as_ref()).await?;
        let (_, key_version, wrapped_key) = house.new_data_key(&release, &cover).await?;
        self.meta.checksum.get_or_insert(Checksum { by_default: true, ..Checksum::default() });
        let key = house.tenant_key(&self.tenant).await?;
        let meta = serde_json::to_vec(&self.meta).map_err(|e| Failure::Bug(e.to_string()))?;
        let row = rows::UploadRow {
            sealed_meta: key.seal_metadata(&self.bucket, &version, &meta),
            version,
            key_version,
            wrapped_key,
        };
        let id = ObjectVersionId::random().to_string();
        let (upload, now, lock) = (id.clone(), house.now(), self.meta.lock.clone());
        let (lies, under) = (there.region, self.meta.encryption.clone());
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let there = known_bucket(&mut tx, &self.bucket)?;
                there.takes(&lies, under.as_ref())?;
                there.lock_for(&lock, now)?;
                if rows::upload_count(&mut tx)? >= UPLOADS_MAX {
                    return Err(Failure::limit(Thing::Upload, "uploads under way", UPLOADS_MAX));
                }
                rows::insert_upload(&mut tx, &self.bucket, &self.key, &upload, &row, now)
                    .map_err(Failure::from)
            })
            .await?;
        Ok(id)
    }
}

impl Operation for PutPart {
    type Output = Part;

    fn asks(&self) -> Asked {
        let mut asked = upload_asked(&self.tenant, &self.bucket, &self.key, "oss:PutObject", &self.upload);
        asked.parameters.insert("partNumber".into(), self.number.into());
        asked
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<Part, Failure> {
        if !(1..=PARTS_MAX).contains(&self.number) {
            return Err(Failure::invalid("partNumber", "must be from 1 to 10000"));
        }
        let (t, b, len) = (self.tenant.clone(), self.bucket.clone(), self.len.unwrap_or(0));
        let into = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&t);
                let bucket = known_bucket(&mut tx, &b)?;
                quota::check_room(&mut tx, &bucket, len)?;
                Ok::<_, Failure>(bucket)
            })
            .await?;
        let copies = self.body.carries().is_some();
        self.body = let_in(house, intent, self.body, (&into, self.len)).await?;
        let upload = known(house, &self.tenant, &self.bucket, &self.key, &self.upload).await?;
        let release = intent.release(&self.bucket, &self.key, &upload.version, house.now())?;
        let key = house.tenant_key_version(&self.tenant, upload.key_version).await?;
        let meta = super::get::open_meta(&key, &self.bucket, &upload.version, &upload.sealed_meta)?;
        let algorithm = meta.checksum.as_ref().map(|sum| sum.algorithm);
        if let Some(asked) = meta.checksum.as_ref().filter(|sum| !sum.by_default) {
            // What is to be part of a composite checksum, its writer says; what is copied he cannot.
            let actual = self.body.claims();
            let needed = asked.kind == ChecksumType::Composite && !copies;
            if actual != algorithm && (actual.is_some() || needed) {
                return Err(Failure::Checksum(ChecksumProblem::Algorithm { expected: algorithm, actual }));
            }
        }
        let cover = cover_of(&meta, self.customer_key.as_ref())?;
        let suite = meta.encryption.as_ref().map_or(Suite::default(), Encryption::suite);
        let data_key = house.open_data_key(&release, &cover, upload.key_version, &upload.wrapped_key).await?;
        let id = house.new_blob_id(&into.region)?;
        let context =
            Context { tenant: self.tenant.as_str(), bucket: self.bucket.as_str(), version: raw(&id)? };
        let (sealer, header) = Sealer::new(&data_key, suite, &context);
        let intake = Intake::new(house, id.clone(), sealer, header.to_vec(), Keep::InBlob);
        let (sealed, digests) = receive(intake, self.body.as_mut(), self.len, PART_MAX, algorithm).await?;
        let key = house.tenant_key(&self.tenant).await?;
        let digests = PartDigests { md5: digests.md5, crc64: digests.crc64, checksums: digests.checksums };
        let plain = serde_json::to_vec(&digests).map_err(|e| Failure::Bug(e.to_string()))?;
        let row = rows::UploadPart {
            part: parts::PartRow {
                number: self.number,
                id: id.clone(),
                size: sealed.size,
                header: header.to_vec(),
                sealed_crc: Some(sealed.crc),
            },
            sealed_digests: key.seal_metadata(&self.bucket, &id, &plain),
            written_at: house.now(),
        };
        let (tenant, now) = (self.tenant.clone(), house.now());
        let kept = house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                // It may have been put together or given up meanwhile.
                there(&mut tx, &self.bucket, &self.key, &self.upload)?;
                rows::put_part(&mut tx, &self.bucket, &self.upload, &row, now)?;
                let bucket = known_bucket(&mut tx, &self.bucket)?;
                quota::check(&mut tx, &bucket)
            })
            .await;
        if let Err(e) = kept {
            sealed.discard(house, &id).await;
            return Err(e);
        }
        Counters::add(&house.counters().bytes_sealed, sealed.size);
        Ok(Part {
            number: self.number,
            size: sealed.size,
            md5: digests.md5,
            crc64: digests.crc64,
            checksums: digests.checksums,
            written_at: now,
        })
    }
}

impl Operation for CompleteUpload {
    type Output = PutDone;

    fn asks(&self) -> Asked {
        upload_asked(&self.tenant, &self.bucket, &self.key, "oss:PutObject", &self.upload)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<PutDone, Failure> {
        let upload = known(house, &self.tenant, &self.bucket, &self.key, &self.upload).await?;
        let key = house.tenant_key_version(&self.tenant, upload.key_version).await?;
        let (tenant, id) = (self.tenant.clone(), self.upload.clone());
        let found = house
            .db
            .read(move |tx| {
                rows::parts_of_upload(&mut tx.tenant(&tenant), &id, 0, PARTS_MAX).map_err(Failure::from)
            })
            .await?;
        let mut meta = super::get::open_meta(&key, &self.bucket, &upload.version, &upload.sealed_meta)?;
        let (chosen, whole) = self.choose(&key, found, meta.checksum.take())?;
        meta.checksum = whole.checksum;
        meta.md5 = whole.etag;
        meta.crc64 = whole.crc64;
        meta.parts = Some(parts::digest(&chosen));
        // A term that ended while the parts came holds nothing; it does not hinder the object.
        meta.lock.retention = meta.lock.retention.filter(|term| house.now() < term.until);
        let place = house.known_bucket(&self.tenant, &self.bucket).await?;
        meta.lock = place.lock_for(&meta.lock, house.now())?;
        meta.tier = place.tier_for(meta.tier);
        let plain = serde_json::to_vec(&meta).map_err(|e| Failure::Bug(e.to_string()))?;
        let now = house.now();
        let row = rows::NewObject {
            key: self.key.clone(),
            version: upload.version.clone(),
            size: whole.size,
            modified_at: now,
            key_version: upload.key_version,
            wrapped_key: upload.wrapped_key.clone(),
            sealed_meta: key.seal_metadata(&self.bucket, &upload.version, &plain),
            header: Vec::new(),
            inline: None,
            sealed_crc: None,
            parts: chosen.len() as u64,
        };
        let condition =
            Condition { must_be_new: self.must_be_new, must_have_md5: self.must_have_md5.clone() };
        let (tenant, opener) = (self.tenant.clone(), key);
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                there(&mut tx, &self.bucket, &self.key, &self.upload)?;
                let former = condition.check(&mut tx, &opener, &self.bucket, &self.key)?;
                if !rows::assemble(&mut tx, &self.bucket, &self.upload, &upload.version, &chosen, now)? {
                    return Err(Failure::invalid(
                        "Part",
                        "was written again while the object was put together; complete it once more",
                    ));
                }
                rows::delete_upload(&mut tx, &self.bucket, &self.key, &self.upload)?;
                let bucket = known_bucket(&mut tx, &self.bucket)?;
                let (versioning, guard) = (bucket.versioning, bucket.guard(&opener, now));
                rows::put_object(&mut tx, &self.bucket, &row, (former.as_ref(), versioning), &guard)?;
                enqueue(&mut tx, &bucket, &self.key, &row.version, (false, now))?;
                // No byte is new: parts were counted when they came.
                let shown = shown_version(versioning, &row.version);
                Ok(PutDone { version: row.version, shown, size: row.size, meta, modified_at: now })
            })
            .await
    }
}

/// What an object is as a whole.
struct Whole {
    size: u64,
    etag: String,
    crc64: u64,
    checksum: Option<Checksum>,
}

impl CompleteUpload {
    /// The parts of the object, and what they are together.
    fn choose(
        &self,
        key: &TenantKey,
        found: Vec<rows::UploadPart>,
        asked: Option<Checksum>,
    ) -> Result<(Vec<parts::PartRow>, Whole), Failure> {
        self.fits(asked.as_ref())?;
        let mut there: BTreeMap<u32, rows::UploadPart> =
            found.into_iter().map(|p| (p.part.number, p)).collect();
        let wanted: Vec<(u32, Option<&ListedPart>)> = match &self.parts {
            Some(list) => list.iter().map(|part| (part.number, Some(part))).collect(),
            None => there.keys().map(|n| (*n, None)).collect(),
        };
        if wanted.is_empty() {
            return Err(Failure::invalid("Part", "is missing: an object has at least one"));
        }
        if wanted.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a >= b)) {
            return Err(Failure::invalid("PartOrder", "must ascend: parts are listed by number, each once"));
        }
        let (count, mut chosen) = (wanted.len(), Vec::with_capacity(wanted.len()));
        let (mut md5s, mut whole) =
            (Md5::new(), Whole { size: 0, etag: String::new(), crc64: 0, checksum: None });
        let mut together = asked.as_ref().map(|sum| Together::new(sum.algorithm, sum.kind));
        for (at, (number, listed)) in wanted.into_iter().enumerate() {
            let missing =
                || Failure::invalid("Part", format!("{number} was not written, or has another ETag"));
            let row = there.remove(&number).ok_or_else(missing)?;
            let digests = digests_of(key, &self.bucket, &row)?;
            if let Some(listed) = listed {
                let is =
                    |(algorithm, value): &(Algorithm, String)| digests.checksum(*algorithm) == Some(value);
                if listed.md5 != digests.md5 || !listed.checksums.iter().all(is) {
                    return Err(missing());
                }
                if let Some(asked) = asked.as_ref().filter(|sum| sum.kind == ChecksumType::Composite)
                    && listed.checksums.is_empty()
                {
                    return Err(Failure::Checksum(ChecksumProblem::Missing(asked.algorithm, number)));
                }
            }
            if row.part.size < self.part_min && at + 1 < count {
                return Err(Failure::invalid(
                    "PartSize",
                    format!(
                        "of part {number} is {}; all but the last need {} bytes",
                        row.part.size, self.part_min
                    ),
                ));
            }
            let raw = hex::decode(&digests.md5).map_err(|e| Failure::Bug(e.to_string()))?;
            md5s.update(raw);
            whole.crc64 = crc_fast::checksum_combine(
                crc_fast::CrcAlgorithm::Crc64Xz,
                whole.crc64,
                digests.crc64,
                row.part.size,
            );
            if let (Some(sums), Some(asked)) = (&mut together, &asked)
                && !digests.checksum(asked.algorithm).is_some_and(|sum| sums.add(sum, row.part.size))
            {
                // A server of before checksums were kept wrote it.
                if !asked.by_default || self.claim.checksum.is_some() {
                    return Err(Failure::invalid(
                        "Part",
                        format!("{number} has no checksum; write it again"),
                    ));
                }
                together = None;
            }
            whole.size += row.part.size;
            chosen.push(row.part);
        }
        if let Some(size) = self.claim.size.filter(|size| *size != whole.size) {
            return Err(Failure::Checksum(ChecksumProblem::Size(size, whole.size)));
        }
        whole.checksum = asked.zip(together).map(|(sum, together)| Checksum {
            value: together.finish(),
            by_default: false,
            ..sum
        });
        if let (Some((algorithm, said)), Some(sum)) = (&self.claim.checksum, &whole.checksum) {
            let bare = sum.value.split('-').next();
            if *said != sum.value && Some(said.as_str()) != bare {
                return Err(Failure::Checksum(ChecksumProblem::Differs(*algorithm)));
            }
        }
        whole.etag = format!("{}-{count}", hex::encode(md5s.finalize()));
        Ok((chosen, whole))
    }

    /// Whether what is claimed can be held against what the upload was begun with.
    fn fits(&self, asked: Option<&Checksum>) -> Result<(), Failure> {
        let actual = self.claim.checksum.as_ref().map(|(algorithm, _)| *algorithm);
        let expected = asked.map(|sum| sum.algorithm);
        if actual.is_some() && actual != expected {
            return Err(Failure::Checksum(ChecksumProblem::Algorithm { expected, actual }));
        }
        match asked {
            Some(sum) if self.claim.kind.is_some_and(|kind| kind != sum.kind) => {
                Err(Failure::Checksum(ChecksumProblem::Type(sum.kind)))
            }
            _ => Ok(()),
        }
    }
}

impl Operation for AbortUpload {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked =
            upload_asked(&self.tenant, &self.bucket, &self.key, "oss:AbortMultipartUpload", &self.upload);
        asked.touches = Touches::Metadata;
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                there(&mut tx, &self.bucket, &self.key, &self.upload)?;
                rows::drop_parts_of_upload(&mut tx, &self.bucket, &self.upload, now)?;
                rows::delete_upload(&mut tx, &self.bucket, &self.key, &self.upload).map_err(Failure::from)
            })
            .await
    }
}

impl Operation for ListParts {
    type Output = PartPage;

    fn asks(&self) -> Asked {
        let mut asked = upload_asked(&self.tenant, &self.bucket, &self.key, "oss:ListParts", &self.upload);
        asked.touches = Touches::Metadata;
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<PartPage, Failure> {
        let key = house.tenant_key(&self.tenant).await?;
        let max = self.parts_max.min(1_000);
        let (meta, found) = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let upload = there(&mut tx, &self.bucket, &self.key, &self.upload)?;
                let meta = super::get::open_meta(&key, &self.bucket, &upload.version, &upload.sealed_meta)?;
                let found = rows::parts_of_upload(&mut tx, &self.upload, self.after, max + 1)?;
                let found = found
                    .into_iter()
                    .map(|row| {
                        let digests = digests_of(&key, &self.bucket, &row)?;
                        Ok(Part {
                            number: row.part.number,
                            size: row.part.size,
                            md5: digests.md5,
                            crc64: digests.crc64,
                            checksums: digests.checksums,
                            written_at: row.written_at,
                        })
                    })
                    .collect::<Result<Vec<_>, Failure>>()?;
                Ok::<_, Failure>((meta, found))
            })
            .await?;
        let more = found.len() > max as usize;
        Ok(PartPage {
            checksum: asked_for(meta),
            parts: found.into_iter().take(max as usize).collect(),
            more,
        })
    }
}

impl Operation for ListUploads {
    type Output = UploadPage;

    fn asks(&self) -> Asked {
        let mut asked = bucket_asked(&self.tenant, &self.bucket, "oss:ListMultipartUploads");
        asked.parameters =
            crate::consent::parameters(json!({ "bucket": self.bucket.as_str(), "prefix": self.prefix }));
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<UploadPage, Failure> {
        let key = house.tenant_key(&self.tenant).await?;
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::bucket(&mut tx, &self.bucket)?.is_none() {
                    return Err(Failure::not_found(Thing::Bucket, &self.bucket));
                }
                self.page(&mut tx, &key)
            })
            .await
    }
}

impl ListUploads {
    fn page(
        &self,
        tx: &mut bailee_store::TenantTx<'_, '_>,
        tenant_key: &TenantKey,
    ) -> Result<UploadPage, Failure> {
        let max = self.uploads_max.min(1_000) as usize;
        let mut page = UploadPage::default();
        let mut after = self.after.clone();
        let end = super::list::successor(&self.prefix);
        loop {
            let from = (self.prefix.as_str(), end.as_deref());
            let found = rows::uploads(tx, &self.bucket, from, &after, max as u32 + 1)?;
            let full = found.len() > max;
            for (upload, row) in found {
                let place = (upload.key.to_string(), upload.id.clone());
                let folded = super::list::fold(upload.key.as_str(), &self.prefix, &self.delimiter);
                if let Some(folded) = folded {
                    // A prefix counts once; the marker may lie within it.
                    let again = page.prefixes.last() == Some(&folded)
                        || self.after.0.starts_with(&folded) && !self.after.0.is_empty();
                    if again {
                        after = place;
                        continue;
                    }
                    if page.uploads.len() + page.prefixes.len() == max {
                        page.next = Some(after);
                        return Ok(page);
                    }
                    page.prefixes.push(folded);
                } else {
                    if page.uploads.len() + page.prefixes.len() == max {
                        page.next = Some(after);
                        return Ok(page);
                    }
                    let meta =
                        super::get::open_meta(tenant_key, &self.bucket, &row.version, &row.sealed_meta)?;
                    page.uploads.push(Upload { checksum: asked_for(meta), ..upload });
                }
                after = place;
            }
            if !full {
                return Ok(page);
            }
        }
    }
}
