//! Appendable objects (OSS): each append is a part of its own under the object's one data key; nothing that is there is written again.

use std::sync::Arc;

use bailee_crypto::envelope::{Context, Sealer, Suite};
use bailee_types::{BucketName, ObjectKey, TenantId};
use md5::{Digest, Md5};

use super::bucket::known;
use super::encryption::{Encryption, cover_of, decide};
use super::get::open_meta;
use super::put::{Intake, Keep, raw, receive};
use super::{Body, ObjectMeta, PutDone, object_asked, parts, quota, rows};
use crate::gate::{Asked, Intent, Operation};
use crate::house::Counters;
use crate::keys::expect_version;
use crate::{Failure, House};

/// Bytes of an appendable object (OSS: 5 GiB), and appends of one (ours).
const BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
const APPENDS_MAX: usize = 10_000;

/// Appends to an object at its end, or makes it.
pub struct AppendObject {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Where the end must be.
    pub position: u64,
    /// `Content-Type` and other headers, of an object that is made.
    pub meta: ObjectMeta,
    /// Bytes of content, as the client says.
    pub len: Option<u64>,
    /// The content.
    pub body: Box<dyn Body>,
}

impl Operation for AppendObject {
    type Output = PutDone;

    fn asks(&self) -> Asked {
        object_asked(&self.tenant, &self.bucket, &self.key, "oss:PutObject", None)
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<PutDone, Failure> {
        let (t, b, k, len) = (self.tenant.clone(), self.bucket.clone(), self.key.clone(), self.len);
        let (there, former) = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&t);
                let there = known(&mut tx, &b)?;
                quota::check_room(&mut tx, &there, len.unwrap_or(0))?;
                let row = rows::object(&mut tx, &b, &k, None, true)?;
                Ok::<_, Failure>((there, row))
            })
            .await?;
        let opener = house.tenant_key(&self.tenant).await?;
        let now = house.now();
        let (version, mut meta) = match &former {
            Some(row) => {
                let meta = open_meta(&opener, &self.bucket, &row.version, &row.sealed_meta)?;
                if !meta.appendable {
                    return Err(Failure::Append(None));
                }
                if meta.tier().is_archive() {
                    return Err(Failure::ObjectState("what is archived is not appended to".into()));
                }
                (row.version.clone(), meta)
            }
            None => {
                super::check_tags(&self.meta.tags, super::OBJECT_TAGS_MAX)?;
                self.meta.lock = there.lock_for(&self.meta.lock, now)?;
                self.meta.tier = there.tier_for(self.meta.tier);
                if self.meta.tier().is_archive() {
                    return Err(Failure::ObjectState("what is archived is not appended to".into()));
                }
                (house.new_blob_id(&there.region)?, ObjectMeta { appendable: true, ..self.meta.clone() })
            }
        };
        let size = former.as_ref().map_or(0, |row| row.size);
        if self.position != size {
            return Err(Failure::Append(Some(size)));
        }
        let mut list = former.as_ref().map_or_else(Vec::new, |row| row.parts.clone());
        if list.len() >= APPENDS_MAX {
            return Err(Failure::Conflict(format!(
                "an object can be appended to {APPENDS_MAX} times: begin another"
            )));
        }
        let release = intent.release(&self.bucket, &self.key, &version, now)?;
        let (data_key, key_version, wrapped_key) = match &former {
            Some(row) => {
                parts::check(&row.version, row.size, &row.parts, meta.parts.as_deref())?;
                let cover = cover_of(&meta, None)?;
                let key = house.open_data_key(&release, &cover, row.key_version, &row.wrapped_key).await?;
                (key, row.key_version, row.wrapped_key.clone())
            }
            None => {
                let cover = decide(house, &self.tenant, &there, &mut meta, None).await?;
                house.new_data_key(&release, &cover).await?
            }
        };
        let id = house.new_blob_id(&there.region)?;
        let (lies, under) = (there.region.clone(), meta.encryption.clone());
        let context =
            Context { tenant: self.tenant.as_str(), bucket: self.bucket.as_str(), version: raw(&id)? };
        let suite = meta.encryption.as_ref().map_or(Suite::default(), Encryption::suite);
        let (sealer, header) = Sealer::new(&data_key, suite, &context);
        let intake = Intake::new(house, id.clone(), sealer, header.to_vec(), Keep::InBlob);
        let (sealed, digests) =
            receive(intake, self.body.as_mut(), self.len, BYTES_MAX.saturating_sub(size), None).await?;
        let part = parts::PartRow {
            number: u32::try_from(list.len() + 1).unwrap_or(u32::MAX),
            id: id.clone(),
            size: sealed.size,
            header: header.to_vec(),
            sealed_crc: Some(sealed.crc),
        };
        list.push(part.clone());
        // No MD5 of the whole is to be had without reading it again: the ETag tells states of the object apart.
        meta.md5 = hex::encode(Md5::digest(format!("{}{}", meta.md5, digests.md5)));
        meta.crc64 = crc_fast::checksum_combine(
            crc_fast::CrcAlgorithm::Crc64Xz,
            meta.crc64,
            digests.crc64,
            sealed.size,
        );
        meta.parts = Some(parts::digest(&list));
        let plain = serde_json::to_vec(&meta).map_err(|e| Failure::Bug(e.to_string()))?;
        let row = rows::NewObject {
            key: self.key.clone(),
            version: version.clone(),
            size: size + sealed.size,
            modified_at: house.now(),
            key_version,
            wrapped_key,
            sealed_meta: opener.seal_metadata(&self.bucket, &version, &plain),
            header: Vec::new(),
            inline: None,
            sealed_crc: None,
            parts: list.len() as u64,
        };
        let (tenant, bucket, opener) = (self.tenant.clone(), self.bucket.clone(), Arc::clone(&opener));
        let done = PutDone {
            version: version.clone(),
            shown: None,
            size: row.size,
            meta,
            modified_at: row.modified_at,
        };
        let began = now;
        let committed = house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                let there = known(&mut tx, &bucket)?;
                there.takes(&lies, under.as_ref())?;
                let guard = there.guard(&opener, row.modified_at);
                let now = rows::former(&mut tx, &bucket, &row.key)?;
                match (&former, now) {
                    (None, None) => {
                        expect_version(&mut tx, row.key_version, (began, row.modified_at))?;
                        rows::insert_part(&mut tx, &bucket, &version, &part)?;
                        rows::put_object(&mut tx, &bucket, &row, (None, there.versioning), &guard)?;
                    }
                    // Somebody appended, wrote or deleted meanwhile.
                    (Some(old), Some(now)) if now.sealed_meta == old.sealed_meta => {
                        guard.check(&now)?;
                        rows::insert_part(&mut tx, &bucket, &version, &part)?;
                        rows::grow_object(&mut tx, &row)?;
                    }
                    (_, now) => return Err(Failure::Append(Some(now.map_or(0, |n| n.size)))),
                }
                quota::check(&mut tx, &there)
            })
            .await;
        if let Err(e) = committed {
            sealed.discard(house, &id).await;
            return Err(e);
        }
        Counters::add(&house.counters().bytes_sealed, sealed.size);
        Ok(done)
    }
}
