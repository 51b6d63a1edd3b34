//! The scrub: looks at everything that is stored for damage, without opening anything.
//!
//! Each sealed byte is read and compared with the CRC-64 that was kept when it was written, each row's wrapped key, sealed
//! metadata and header with theirs, each blob's front with the header in its row. No key is used, so it needs no consent;
//! that it ran, and what it found, is in the tenant's log when it is of one tenant, else in the provider's. It repairs nothing;
//! `repair` does.

use std::sync::Arc;

use bailee_crypto::envelope::{HEADER_LEN, Suite, sealed_len};
use bailee_store::BlobError;
use bailee_types::{Arn, BucketName, ObjectKey, ObjectVersionId, RegionId, TenantId};
use serde_json::{Map, Value, json};

use super::parts::PartRow;
use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

/// Objects looked at between two words of progress.
pub(super) const BATCH: i64 = 200;
/// Bytes read at once.
pub(super) const PIECE: u64 = 1024 * 1024;
/// Findings that are kept; more are counted.
pub(super) const FINDINGS_MAX: usize = 10_000;

/// Looks for damage.
pub struct Scrub {
    /// Only this tenant's objects.
    pub tenant: Option<TenantId>,
    /// Only this bucket's.
    pub bucket: Option<BucketName>,
    /// Hears how far it is.
    pub progress: Box<dyn FnMut(&Scrubbed) + Send>,
}

/// How far a scrub is, and what it found.
#[derive(Clone, Debug, Default)]
pub struct Scrubbed {
    /// Object versions, and parts of uploads under way, that there are.
    pub objects_in_all: u64,
    /// Bytes of content that there are.
    pub bytes_in_all: u64,
    /// Object versions looked at.
    pub objects: u64,
    /// Bytes of content looked at.
    pub bytes: u64,
    /// Object versions from before checksums were kept: only their length and place were looked at.
    pub without_checksum: u64,
    /// Damage, the first ten thousand.
    pub damaged: Vec<Damage>,
    /// All damage.
    pub damaged_in_all: u64,
}

/// One damaged object version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Whose.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The stored version.
    pub version: ObjectVersionId,
    /// What is wrong.
    pub what: String,
}

/// What is wrong with a stored version.
pub(super) struct Found {
    pub(super) what: String,
    /// The blob that is damaged; none: it is the row.
    pub(super) blob: Option<BlobAt>,
}

/// A blob, as the row that names it describes it.
#[derive(Clone)]
pub(super) struct BlobAt {
    pub(super) id: ObjectVersionId,
    pub(super) header: Vec<u8>,
    pub(super) size: u64,
    pub(super) sealed_crc: Option<i64>,
}

impl Operation for Scrub {
    type Output = Scrubbed;

    fn asks(&self) -> Asked {
        // Of one tenant's things the tenant's own log tells.
        let log = self.tenant.clone().unwrap_or_else(TenantId::provider);
        Asked {
            action: "bailee:ScrubVault",
            resource: Arn::own(&log, "vault"),
            resource_type: "ACS::Bailee::Vault",
            class: Class::Management { write: false },
            touches: Touches::Metadata,
            ticket: None,
            parameters: parameters(json!({
                "tenant": self.tenant.as_ref().map(TenantId::as_str),
                "bucket": self.bucket.as_ref().map(BucketName::as_str),
            })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
            tenant: log,
        }
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<Scrubbed, Failure> {
        let only = rows::Only { tenant: self.tenant.clone(), bucket: self.bucket.clone() };
        let wanted = only.clone();
        let (objects_in_all, bytes_in_all) =
            house.db.read(move |tx| rows::stored(tx, &wanted).map_err(Failure::from)).await?;
        let mut done = Scrubbed { objects_in_all, bytes_in_all, ..Scrubbed::default() };
        (self.progress)(&done);
        for table in rows::Stored::ALL {
            let mut after = None;
            loop {
                let (wanted, from) = (only.clone(), after.clone());
                let batch = house
                    .db
                    .read(move |tx| {
                        rows::to_scrub(tx, table, &wanted, from.as_ref(), BATCH).map_err(Failure::from)
                    })
                    .await?;
                let Some(last) = batch.last() else { break };
                house.still_under_glass(intent).await?;
                after = Some(last.place());
                for row in batch {
                    let found = house.look_at(table, &row).await?;
                    done.objects += 1;
                    done.bytes += row.size;
                    done.without_checksum += u64::from(!row.has_checksum());
                    if let Some(found) = found {
                        done.damaged_in_all += 1;
                        if done.damaged.len() < FINDINGS_MAX {
                            done.damaged.push(row.damage(found.what));
                        }
                    }
                }
                (self.progress)(&done);
            }
        }
        Ok(done)
    }

    fn outcome_detail(done: &Scrubbed) -> Map<String, Value> {
        parameters(json!({
            "objects": done.objects, "bytes": done.bytes, "damaged": done.damaged_in_all,
            "withoutChecksum": done.without_checksum,
        }))
    }
}

impl rows::ScrubRow {
    pub(super) fn damage(&self, what: String) -> Damage {
        Damage {
            tenant: self.tenant.clone(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            version: self.version.clone(),
            what,
        }
    }
}

/// What a sample of stored versions shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sampled {
    /// Versions that are stored.
    pub(crate) versions: u64,
    /// Versions looked at.
    pub(crate) sample: u64,
    /// Of these, without a wrapped key or without an envelope's header where their bytes begin.
    pub(crate) unsealed: u64,
    /// Of these, damaged; looked for where all bytes are read.
    pub(crate) damaged: u64,
    /// Of these, in another region than their bucket.
    pub(crate) elsewhere: u64,
}

impl House {
    /// Looks at some stored versions, drawn at random; reads all their bytes where `bytes` says so.
    pub(crate) async fn sample(&self, size: u64, bytes: bool) -> Result<Sampled, Failure> {
        let only = rows::Only { tenant: None, bucket: None };
        let versions =
            self.db.read(move |tx| rows::stored_versions(tx, &only).map_err(Failure::from)).await?;
        let mut done = Sampled { versions, ..Sampled::default() };
        for table in [rows::Stored::Current, rows::Stored::Former] {
            let mut drawn: Vec<(rows::ScrubRow, RegionId)> = Vec::new();
            // Ids are random: what follows a random one is drawn by nobody. Fewer than wanted are looked at all.
            let draws = if versions <= size { 1 } else { size };
            for _ in 0..draws {
                let from = if draws == 1 { String::new() } else { ObjectVersionId::random().to_string() };
                let limit = if draws == 1 { size as i64 } else { 1 };
                let more = self
                    .db
                    .read(move |tx| rows::versions_from(tx, table, &from, limit).map_err(Failure::from));
                drawn.extend(more.await?);
            }
            for (row, region) in drawn {
                done.sample += 1;
                done.elsewhere += u64::from(self.region_of_blob(&row.version) != region && !row.inline);
                done.unsealed += u64::from(!self.is_sealed(&row).await?);
                done.damaged += u64::from(bytes && self.look_at(table, &row).await?.is_some());
            }
        }
        Ok(done)
    }

    /// Whether a version has a wrapped key, and each of its streams an envelope's header.
    async fn is_sealed(&self, row: &rows::ScrubRow) -> Result<bool, Failure> {
        let mut headers = vec![row.header.clone()];
        if row.parts > 0 {
            let version = row.version.clone();
            let parts = self.db.read(move |tx| rows::parts_to_scrub(tx, &version).map_err(Failure::from));
            headers = parts.await?.into_iter().map(|p| p.header).collect();
        }
        Ok(!row.wrapped_key.is_empty() && headers.iter().all(|h| Suite::of_header(h).is_some()))
    }

    /// What is wrong with one stored version; nothing when all is as it was written, or when it is gone meanwhile.
    pub(super) async fn look_at(
        &self,
        table: rows::Stored,
        row: &rows::ScrubRow,
    ) -> Result<Option<Found>, Failure> {
        let found = self.damage_of(row).await?;
        if found.is_none() {
            return Ok(None);
        }
        // It may have been replaced, destroyed or appended to while it was looked at: that is no damage.
        let (version, part, crc) = (row.version.clone(), row.part.clone(), row.row_crc);
        let there = self.db.read(move |tx| {
            rows::still_there(tx, table, &version, part.as_ref(), crc).map_err(Failure::from)
        });
        Ok(if there.await? { found } else { None })
    }

    async fn damage_of(&self, row: &rows::ScrubRow) -> Result<Option<Found>, Failure> {
        let of_row = |what: String| Ok(Some(Found { what, blob: None }));
        if row.row_crc.is_some_and(|crc| crc != row.crc()) {
            return of_row("its row was changed: wrapped key, metadata or header".into());
        }
        if row.part.is_some() || !(row.inline || row.parts > 0) {
            let blob = BlobAt {
                id: row.part.as_ref().unwrap_or(&row.version).clone(),
                header: row.header.clone(),
                size: row.size,
                sealed_crc: row.sealed_crc,
            };
            let what = self.blob_damage(&blob).await?;
            return Ok(what.map(|what| Found { what, blob: Some(blob) }));
        }
        if row.inline {
            let version = row.version.clone();
            let bytes =
                self.db.read(move |tx| rows::inline_bytes(tx, &version).map_err(Failure::from)).await?;
            let Some(bytes) = bytes else { return of_row("its bytes are missing in the database".into()) };
            if bytes.len() as u64 != sealed_len(row.size) {
                return of_row(format!(
                    "its bytes in the database have another length: {} in place of {}",
                    bytes.len(),
                    sealed_len(row.size)
                ));
            }
            let changed = row.sealed_crc.is_some_and(|crc| crc != crc64(&bytes));
            return if changed { of_row("its bytes in the database were changed".into()) } else { Ok(None) };
        }
        let version = row.version.clone();
        let parts = self.db.read(move |tx| rows::parts_to_scrub(tx, &version).map_err(Failure::from)).await?;
        let size: u64 = parts.iter().map(|p| p.size).sum();
        if parts.len() as u64 != row.parts || size != row.size {
            return of_row(format!(
                "it has {} parts of {size} bytes in place of {} of {}",
                parts.len(),
                row.parts,
                row.size
            ));
        }
        for PartRow { number, id, size, header, sealed_crc } in parts {
            let blob = BlobAt { id, header, size, sealed_crc };
            if let Some(what) = self.blob_damage(&blob).await? {
                return Ok(Some(Found { what: format!("part {number}: {what}"), blob: Some(blob) }));
            }
        }
        Ok(None)
    }

    async fn blob_damage(&self, blob: &BlobAt) -> Result<Option<String>, Failure> {
        let BlobAt { id, header, size, sealed_crc } = blob;
        let there = match self.blobs.size(id).await {
            Ok(there) => there,
            Err(BlobError::Missing(_)) => return Ok(Some(format!("its blob `{id}` is missing"))),
            Err(e) => return Err(e.into()),
        };
        let whole = HEADER_LEN as u64 + sealed_len(*size);
        if there != whole {
            return Ok(Some(format!("its blob `{id}` has {there} bytes in place of {whole}")));
        }
        let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz);
        let mut at = 0;
        while at < whole {
            let end = whole.min(at + PIECE);
            let piece = match self.blobs.read(id, at..end).await {
                Ok(piece) => piece,
                Err(BlobError::Missing(_)) => return Ok(Some(format!("its blob `{id}` went missing"))),
                Err(e) => return Err(e.into()),
            };
            if at == 0 && piece.get(..HEADER_LEN) != Some(header) {
                return Ok(Some(format!("the header of its blob `{id}` is not the one in its row")));
            }
            crc.update(&piece);
            at = end;
        }
        let changed = sealed_crc.is_some_and(|kept| kept != crc.finalize() as i64);
        Ok(changed.then(|| format!("the bytes of its blob `{id}` were changed")))
    }
}

/// CRC-64/XZ as a row keeps it.
pub(super) fn crc64(bytes: &[u8]) -> i64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, bytes) as i64
}

/// The checksum of a row's own secrets.
pub(super) fn row_crc(size: u64, wrapped_key: &[u8], sealed_meta: &[u8], header: &[u8]) -> i64 {
    let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz);
    crc.update(&size.to_be_bytes());
    for part in [wrapped_key, sealed_meta, header] {
        crc.update(&(part.len() as u64).to_be_bytes());
        crc.update(part);
    }
    crc.finalize() as i64
}
