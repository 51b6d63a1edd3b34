//! Repair: what a scrub finds damaged is brought back from a second copy, byte for byte.
//!
//! The source is a folder of blobs: another store's, or a backup's. Sealed bytes are copied as they are, no key is used. It runs at
//! the machine, under a change that was announced to the tenant for this bucket, and each object that it mends is an act of its own.
//! INVARIANT: nothing is written but bytes whose length, header and CRC-64 are those that the row has kept.
//! INVARIANT: a blob is replaced as a whole (written aside, synced, renamed) or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailee_crypto::envelope::{HEADER_LEN, sealed_len};
use bailee_types::{Arn, BucketName, ObjectVersionId, TenantId};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt as _;

use super::rows;
use super::scrub::{BATCH, BlobAt, Damage, FINDINGS_MAX, PIECE};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Principal, Touches};
use crate::handling::{self, Work};
use crate::{Failure, House};

/// Mends a bucket's damaged blobs from a folder of blobs.
pub struct Repair {
    /// Whose.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// A folder of blobs: `00` to `ff`.
    pub from: PathBuf,
    /// Change nothing; say what could be mended.
    pub dry_run: bool,
    /// Hears how far it is.
    pub progress: Box<dyn FnMut(&Repaired) + Send>,
}

/// How far a repair is.
#[derive(Clone, Debug, Default)]
pub struct Repaired {
    /// Object versions, and parts of uploads under way, that there are.
    pub objects_in_all: u64,
    /// Those looked at.
    pub objects: u64,
    /// Those that were damaged.
    pub damaged: u64,
    /// Those mended, or on a dry run: that can be.
    pub repaired: u64,
    /// Bytes that were written, or would be.
    pub bytes: u64,
    /// What stays damaged, and why; the first ten thousand.
    pub left: Vec<Damage>,
}

impl Operation for Repair {
    type Output = Repaired;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:RepairVault",
            resource: Arn::own(&self.tenant, "vault"),
            resource_type: "ACS::Bailee::Vault",
            class: Class::Management { write: !self.dry_run },
            touches: Touches::Metadata,
            ticket: None,
            parameters: parameters(json!({ "bucket": self.bucket.as_str(), "dryRun": self.dry_run })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<Repaired, Failure> {
        let caller = intent.caller();
        let (Principal::System { .. }, Some(change)) = (caller.principal(), caller.change().cloned()) else {
            return Err(Failure::Conflict("a repair runs at the machine, under a change".into()));
        };
        let (tenant, work, now) = (self.tenant.clone(), Work::Repair(self.bucket.clone()), house.now());
        let may = house
            .db
            .read(move |tx| handling::is_announced(&mut tx.tenant(&tenant), &change, &work, now))
            .await?;
        if !may {
            return Err(Failure::Conflict(format!(
                "no change of that number announces a repair of `{}` to this tenant for now: announce it at the desk first",
                self.bucket
            )));
        }
        let from = source(&self.from)?;
        let only = rows::Only { tenant: Some(self.tenant.clone()), bucket: Some(self.bucket.clone()) };
        let wanted = only.clone();
        let (objects_in_all, _) =
            house.db.read(move |tx| rows::stored(tx, &wanted).map_err(Failure::from)).await?;
        let mut done = Repaired { objects_in_all, ..Repaired::default() };
        for table in rows::Stored::ALL {
            let mut after = None;
            loop {
                let (wanted, place) = (only.clone(), after.clone());
                let batch = house
                    .db
                    .read(move |tx| {
                        rows::to_scrub(tx, table, &wanted, place.as_ref(), BATCH).map_err(Failure::from)
                    })
                    .await?;
                let Some(last) = batch.last() else { break };
                after = Some(last.place());
                for row in batch {
                    done.objects += 1;
                    let Some(found) = house.look_at(table, &row).await? else { continue };
                    done.damaged += 1;
                    let mended = match (self.dry_run, &found.blob) {
                        (true, Some(blob)) => copy(house, &from, blob, false).await,
                        (true, None) => Err(in_database()),
                        (false, _) => {
                            let mend = RepairObject { table, row: row.clone(), from: from.clone() };
                            house.perform(caller.clone(), mend).await
                        }
                    };
                    match mended {
                        Ok(bytes) => {
                            done.repaired += 1;
                            done.bytes += bytes;
                        }
                        Err(e) if done.left.len() < FINDINGS_MAX => {
                            done.left.push(row.damage(format!("{}: {e}", found.what)));
                        }
                        Err(_) => {}
                    }
                    (self.progress)(&done);
                }
                (self.progress)(&done);
            }
        }
        Ok(done)
    }

    fn outcome_detail(done: &Repaired) -> Map<String, Value> {
        parameters(json!({
            "objects": done.objects, "damaged": done.damaged, "repaired": done.repaired, "bytes": done.bytes,
        }))
    }
}

/// Mends one object version; answers how many bytes were written.
struct RepairObject {
    table: rows::Stored,
    row: rows::ScrubRow,
    from: PathBuf,
}

impl Operation for RepairObject {
    type Output = u64;

    fn asks(&self) -> Asked {
        let rows::ScrubRow { tenant, bucket, key, version, .. } = &self.row;
        Asked {
            tenant: tenant.clone(),
            action: "bailee:RepairObject",
            resource: Arn::object(tenant, bucket, key),
            resource_type: "ACS::OSS::Object",
            class: Class::Management { write: true },
            touches: Touches::Metadata,
            ticket: None,
            parameters: parameters(json!({ "versionId": version.as_str() })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<u64, Failure> {
        let (mut bytes, mut mended) = (0, None);
        // Of an object in parts each look names the first that is damaged.
        while let Some(found) = house.look_at(self.table, &self.row).await? {
            let blob = found.blob.ok_or_else(in_database)?;
            if mended.as_ref() == Some(&blob.id) {
                return Err(Failure::Damaged(format!("blob `{}` was written and is damaged again", blob.id)));
            }
            bytes += copy(house, &self.from, &blob, true).await?;
            mended = Some(blob.id);
        }
        Ok(bytes)
    }

    fn outcome_detail(bytes: &u64) -> Map<String, Value> {
        parameters(json!({ "bytes": bytes }))
    }
}

fn in_database() -> Failure {
    Failure::Conflict("that lies in the database, which is restored as a whole".into())
}

/// The source, if it is a folder of blobs.
fn source(folder: &Path) -> Result<PathBuf, Failure> {
    let folder = folder
        .canonicalize()
        .map_err(|e| Failure::Conflict(format!("the source `{}` cannot be read: {e}", folder.display())))?;
    if !folder.join("00").is_dir() || !folder.join("ff").is_dir() {
        return Err(Failure::Conflict(format!(
            "the source `{}` is no folder of blobs: it has no `00` to `ff`; a data folder has them in `blobs`",
            folder.display()
        )));
    }
    Ok(folder)
}

/// Copies a blob of the source over the house's own, if it is the one that the row describes; answers its length.
async fn copy(house: &House, from: &Path, blob: &BlobAt, write: bool) -> Result<u64, Failure> {
    let BlobAt { id, header, size, sealed_crc } = blob;
    let no = |why: String| Failure::Conflict(format!("the source is of no use: {why}"));
    let kept = sealed_crc.ok_or_else(|| no(format!("no checksum was kept of blob `{id}`")))?;
    let whole = HEADER_LEN as u64 + sealed_len(*size);
    let mut file = open(from, id).await.map_err(|e| no(format!("blob `{id}` cannot be read there: {e}")))?;
    let mut writer = if write { Some(house.blobs.create(id).await?) } else { None };
    let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz);
    let (mut at, mut wrong) = (0, None);
    while wrong.is_none() {
        let mut piece = Vec::new();
        match (&mut file).take(PIECE).read_to_end(&mut piece).await {
            Ok(0) => break,
            Ok(_) if at == 0 && piece.get(..HEADER_LEN) != Some(header) => {
                wrong = Some(no(format!("blob `{id}` has another header there")));
            }
            Ok(n) if at + n as u64 > whole => wrong = Some(no(format!("blob `{id}` is longer there"))),
            Ok(n) => {
                crc.update(&piece);
                at += n as u64;
                if let Some(writer) = &mut writer
                    && let Err(e) = writer.write(Bytes::from(piece)).await
                {
                    wrong = Some(e.into());
                }
            }
            Err(e) => wrong = Some(no(format!("blob `{id}` cannot be read there: {e}"))),
        }
    }
    if wrong.is_none() && (at != whole || crc.finalize() as i64 != kept) {
        wrong = Some(no(format!("blob `{id}` differs there from what was stored")));
    }
    match (wrong, writer) {
        (None, Some(writer)) => writer.finish().await?,
        (None, None) => {}
        (Some(wrong), writer) => {
            if let Some(writer) = writer {
                writer.abort().await;
            }
            return Err(wrong);
        }
    }
    Ok(whole)
}

async fn open(from: &Path, id: &ObjectVersionId) -> std::io::Result<tokio::fs::File> {
    let path = from.join(id.as_str().get(..2).unwrap_or("00")).join(id.as_str());
    // A pipe or device would be waited for.
    if !tokio::fs::symlink_metadata(&path).await?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    tokio::fs::File::open(path).await
}
