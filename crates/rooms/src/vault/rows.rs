//! The vault's only SQL.

use bailee_store::{Row, StoreError, TenantTx, Tx, Value};
use bailee_types::{BucketName, ObjectKey, ObjectVersionId, RegionId, TenantId, Timestamp};
use bytes::Bytes;

use super::Bucket;
use super::destroy::Destruction;
use super::lifecycle::Rule;
use super::papers::Holder;
use super::parts::PartRow;
use super::quota::Usage;
use super::replicate::{ReplicationLag, Waiting};
use super::retain::Guard;
use super::scrub;
use super::settings::Settings;
use super::tags::Tags;
use super::upload::Upload;
use super::version::{Versioning, Which};
use crate::Failure;

pub(super) struct NewObject {
    pub(super) key: ObjectKey,
    pub(super) version: ObjectVersionId,
    pub(super) size: u64,
    pub(super) modified_at: Timestamp,
    pub(super) key_version: i64,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) sealed_meta: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) inline: Option<Bytes>,
    /// CRC-64 of the stored bytes; none for an object of parts.
    pub(super) sealed_crc: Option<i64>,
    /// Parts that it was put together of; 0 when it came as a whole.
    pub(super) parts: u64,
}

pub(super) struct ObjectRow {
    pub(super) version: ObjectVersionId,
    pub(super) size: u64,
    pub(super) modified_at: Timestamp,
    pub(super) key_version: i64,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) sealed_meta: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) inline: Option<Vec<u8>>,
    /// By number; none for an object that came as a whole.
    pub(super) parts: Vec<PartRow>,
    pub(super) is_null: bool,
}

/// A version or a delete marker.
pub(super) struct VersionRow {
    pub(super) key: ObjectKey,
    pub(super) place: i64,
    pub(super) marker: bool,
    pub(super) row: ObjectRow,
}

pub(super) struct UploadRow {
    pub(super) version: ObjectVersionId,
    pub(super) key_version: i64,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) sealed_meta: Vec<u8>,
}

pub(super) struct UploadPart {
    pub(super) part: PartRow,
    pub(super) sealed_digests: Vec<u8>,
    pub(super) written_at: Timestamp,
}

pub(super) struct Former {
    pub(super) version: ObjectVersionId,
    pub(super) is_inline: bool,
    pub(super) in_parts: bool,
    pub(super) sealed_meta: Vec<u8>,
    pub(super) modified_at: Timestamp,
    pub(super) size: u64,
}

pub(super) fn bucket_owner(tx: &mut Tx<'_>, bucket: &BucketName) -> Result<Option<TenantId>, StoreError> {
    tx.query_opt("SELECT tenant_id FROM bucket WHERE bucket = $1", &[bucket.as_str().into()])?
        .map(|r| r.parsed(0, TenantId::parse))
        .transpose()
}

pub(super) fn insert_bucket(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    region: &RegionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO bucket (tenant_id, bucket, region, created_at_ms) VALUES ($1, $2, $3, $4)",
        &[bucket.as_str().into(), region.as_str().into(), now.ms().into()],
    )?;
    tx.execute(
        "INSERT INTO bucket_usage (tenant_id, bucket, objects, bytes) VALUES ($1, $2, 0, 0)",
        &[bucket.as_str().into()],
    )
    .map(drop)
}

pub(super) fn delete_bucket(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<(), StoreError> {
    for table in ["bucket", "bucket_usage", "replication"] {
        let sql = format!("DELETE FROM {table} WHERE tenant_id = $1 AND bucket = $2");
        tx.execute(&sql, &[bucket.as_str().into()])?;
    }
    Ok(())
}

pub(super) fn bucket(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<Option<Bucket>, StoreError> {
    tx.query_opt(
        "SELECT bucket, region, created_at_ms, versioning, settings FROM bucket WHERE tenant_id = $1 AND bucket = $2",
        &[bucket.as_str().into()],
    )?
    .as_ref()
    .map(read_bucket)
    .transpose()
}

/// Whether the id of any stored bytes begins so. Walks all of them: asked when a region is added.
pub(super) fn has_blob_like(tx: &mut Tx<'_>, tag: &str) -> Result<bool, StoreError> {
    let like = format!("{tag}%");
    for (table, column) in [
        ("object", "version_id"),
        ("object_version", "version_id"),
        ("object_part", "part_id"),
        ("upload_part", "part_id"),
        ("paper", "version_id"),
        ("blob_garbage", "version_id"),
    ] {
        let sql = format!("SELECT 1 FROM {table} WHERE {column} LIKE $1 LIMIT 1");
        if tx.query_opt(&sql, &[(&like).into()])?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn enqueue(
    tx: &mut TenantTx<'_, '_>,
    (bucket, key, version): (&BucketName, &ObjectKey, &ObjectVersionId),
    rule: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO replication (tenant_id, bucket, object_key, version_id, rule, queued_at_ms, due_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        &[bucket.as_str().into(), key.as_str().into(), version.as_str().into(), rule.into(), now.ms().into()],
    )
    .map(drop)
}

/// Forgets what waits for other rules than these.
pub(super) fn forget_waiting(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    rules: &[String],
) -> Result<(), StoreError> {
    let known = "SELECT DISTINCT rule FROM replication WHERE tenant_id = $1 AND bucket = $2";
    for row in tx.query(known, &[bucket.as_str().into()])? {
        let rule = row.text(0)?;
        if !rules.iter().any(|r| r == rule) {
            let sql = "DELETE FROM replication WHERE tenant_id = $1 AND bucket = $2 AND rule = $3";
            tx.execute(sql, &[bucket.as_str().into(), rule.into()])?;
        }
    }
    Ok(())
}

/// Whether anything is due.
pub(super) fn waits(tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM replication WHERE due_at_ms <= $1 LIMIT 1";
    Ok(tx.query_opt(sql, &[now.ms().into()])?.is_some())
}

/// How long a server keeps what it took.
const TAKEN_MS: i64 = 3_600_000;

/// Takes what is due, the oldest first, for an hour; of a key never what has an older version waiting before it.
pub(super) fn take_waiting(tx: &mut Tx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Waiting>, StoreError> {
    let due = tx.query(
        "SELECT tenant_id, bucket, object_key, version_id, rule, tries FROM replication r WHERE due_at_ms <= $1 \
         AND NOT EXISTS (SELECT 1 FROM replication o WHERE o.tenant_id = r.tenant_id AND o.bucket = r.bucket \
         AND o.object_key = r.object_key AND o.rule = r.rule AND o.queued_at_ms < r.queued_at_ms) \
         ORDER BY due_at_ms, queued_at_ms LIMIT $2",
        &[now.ms().into(), i64::from(limit).into()],
    )?;
    let mut out = Vec::with_capacity(due.len());
    for r in &due {
        let what = Waiting {
            tenant: r.parsed(0, TenantId::parse)?,
            bucket: r.parsed(1, BucketName::parse)?,
            key: r.parsed(2, ObjectKey::parse)?,
            version: r.parsed(3, ObjectVersionId::parse)?,
            rule: r.text(4)?.to_owned(),
            tries: r.int(5)?,
        };
        let mut own = tx.tenant(&what.tenant);
        set_waiting(&mut own, &what, (now.plus_ms(TAKEN_MS), what.tries, None))?;
        out.push(what);
    }
    Ok(out)
}

fn set_waiting(
    tx: &mut TenantTx<'_, '_>,
    what: &Waiting,
    (due, tries, failed): (Timestamp, i64, Option<&str>),
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE replication SET due_at_ms = $5, tries = $6, failed = coalesce($7, failed) \
         WHERE tenant_id = $1 AND bucket = $2 AND version_id = $3 AND rule = $4",
        &[
            what.bucket.as_str().into(),
            what.version.as_str().into(),
            (&what.rule).into(),
            due.ms().into(),
            tries.into(),
            failed.into(),
        ],
    )
    .map(drop)
}

pub(super) fn not_replicated(
    tx: &mut TenantTx<'_, '_>,
    what: &Waiting,
    due: Timestamp,
    why: &str,
) -> Result<(), StoreError> {
    set_waiting(tx, what, (due, what.tries + 1, Some(why)))
}

/// As it was, later: this is no failure.
pub(super) fn put_off(
    tx: &mut TenantTx<'_, '_>,
    what: &Waiting,
    due: Timestamp,
    why: &str,
) -> Result<(), StoreError> {
    set_waiting(tx, what, (due, what.tries, Some(why)))
}

pub(super) fn replicated(tx: &mut TenantTx<'_, '_>, what: &Waiting) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM replication WHERE tenant_id = $1 AND bucket = $2 AND version_id = $3 AND rule = $4",
        &[what.bucket.as_str().into(), what.version.as_str().into(), (&what.rule).into()],
    )
    .map(drop)
}

/// What was taken by a server that died is due again.
pub(super) fn give_back_waiting(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE replication SET due_at_ms = $1 WHERE due_at_ms > $1 AND failed IS NULL",
        &[now.ms().into()],
    )
    .map(drop)
}

pub(super) fn lag(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    rule: &str,
) -> Result<ReplicationLag, StoreError> {
    let sql = "SELECT count(*), min(queued_at_ms), sum(CASE WHEN failed IS NULL THEN 0 ELSE 1 END) \
               FROM replication WHERE tenant_id = $1 AND bucket = $2 AND rule = $3";
    let Some(r) = tx.query_opt(sql, &[bucket.as_str().into(), rule.into()])? else {
        return Ok(ReplicationLag::default());
    };
    let newest = "SELECT failed FROM replication WHERE tenant_id = $1 AND bucket = $2 AND rule = $3 \
                  AND failed IS NOT NULL ORDER BY queued_at_ms DESC LIMIT 1";
    let why = tx.query_opt(newest, &[bucket.as_str().into(), rule.into()])?;
    Ok(ReplicationLag {
        waiting: r.uint(0)?,
        oldest: r.opt_int(1)?.map(Timestamp::from_ms),
        failed: r.opt_int(2)?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        why: why.map(|r| r.text(0).map(str::to_owned)).transpose()?,
    })
}

pub(super) fn buckets(tx: &mut TenantTx<'_, '_>) -> Result<Vec<Bucket>, StoreError> {
    let sql = "SELECT bucket, region, created_at_ms, versioning, settings FROM bucket WHERE tenant_id = $1 ORDER BY bucket";
    tx.query(sql, &[])?.iter().map(read_bucket).collect()
}

fn read_bucket(r: &Row) -> Result<Bucket, StoreError> {
    Ok(Bucket {
        name: r.parsed(0, BucketName::parse)?,
        region: r.parsed(1, RegionId::parse)?,
        created_at: Timestamp::from_ms(r.int(2)?),
        versioning: r.parsed(3, |w| Versioning::parse(w).ok_or("how a bucket keeps versions"))?,
        settings: r.parsed(4, |t| serde_json::from_str(t).map_err(|_| "settings of a bucket"))?,
    })
}

/// What lies in a bucket changes by so much.
fn account(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    bytes: i64,
    objects: i64,
) -> Result<(), StoreError> {
    if bytes == 0 && objects == 0 {
        return Ok(());
    }
    tx.execute(
        "UPDATE bucket_usage SET bytes = bytes + $3, objects = objects + $4 WHERE tenant_id = $1 AND bucket = $2",
        &[bucket.as_str().into(), bytes.into(), objects.into()],
    )
    .map(drop)
}

/// What lies in a bucket, without uploads.
pub(super) fn used(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<Usage, StoreError> {
    let sql = "SELECT objects, bytes FROM bucket_usage WHERE tenant_id = $1 AND bucket = $2";
    let row = tx.query_opt(sql, &[bucket.as_str().into()])?;
    row.map_or(Ok(Usage::default()), |r| Ok(Usage { objects: r.uint(0)?, bytes: r.uint(1)?, uploads: 0 }))
}

/// Bytes in all buckets of a tenant.
pub(super) fn used_in_all(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    let sql = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM bucket_usage WHERE tenant_id = $1";
    tx.query_opt(sql, &[])?.map_or(Ok(0), |r| r.uint(0))
}

/// Uploads under way in a bucket.
pub(super) fn uploads_of(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM upload WHERE tenant_id = $1 AND bucket = $2";
    tx.query_opt(sql, &[bucket.as_str().into()])?.map_or(Ok(0), |r| r.uint(0))
}

/// Bytes that a tenant may store; `alone`: nobody else checks it until this transaction ends.
pub(super) fn tenant_quota(tx: &mut TenantTx<'_, '_>, alone: bool) -> Result<Option<u64>, StoreError> {
    let row = tx.query_opt("SELECT bytes_max FROM tenant_quota WHERE tenant_id = $1", &[])?;
    let max = row.map(|r| r.uint(0)).transpose()?;
    if alone && max.is_some() {
        tx.execute("UPDATE tenant_quota SET checks = checks + 1 WHERE tenant_id = $1", &[])?;
    }
    Ok(max)
}

pub(super) fn set_tenant_quota(tx: &mut TenantTx<'_, '_>, bytes_max: Option<u64>) -> Result<(), StoreError> {
    match bytes_max {
        None => tx.execute("DELETE FROM tenant_quota WHERE tenant_id = $1", &[]),
        Some(max) => tx.execute(
            "INSERT INTO tenant_quota (tenant_id, bytes_max) VALUES ($1, $2) \
             ON CONFLICT (tenant_id) DO UPDATE SET bytes_max = excluded.bytes_max",
            &[(max as i64).into()],
        ),
    }
    .map(drop)
}

/// Gives a bucket other settings, if it still has those that were read.
pub(super) fn replace_settings(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    before: &Settings,
    after: &Settings,
) -> Result<bool, StoreError> {
    let text = |s: &Settings| serde_json::to_string(s).map_err(|e| StoreError::Statement(e.to_string()));
    let (before, after) = (text(before)?, text(after)?);
    let changed = tx.execute(
        "UPDATE bucket SET settings = $3 WHERE tenant_id = $1 AND bucket = $2 AND settings = $4",
        &[bucket.as_str().into(), (&after).into(), (&before).into()],
    )?;
    Ok(changed == 1)
}

/// The rules of a bucket.
pub(super) fn lifecycle(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
) -> Result<Option<Vec<Rule>>, StoreError> {
    let sql = "SELECT lifecycle FROM bucket WHERE tenant_id = $1 AND bucket = $2";
    let row = tx.query_opt(sql, &[bucket.as_str().into()])?;
    let read = |r: Row| r.parsed(0, |t| serde_json::from_str(t).map_err(|_| "rules of a bucket"));
    row.map(read).transpose()
}

/// False when there is no such bucket.
pub(super) fn set_lifecycle(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    rules: &[Rule],
) -> Result<bool, StoreError> {
    let text = serde_json::to_string(rules).map_err(|e| StoreError::Statement(e.to_string()))?;
    let changed = tx.execute(
        "UPDATE bucket SET lifecycle = $3 WHERE tenant_id = $1 AND bucket = $2",
        &[bucket.as_str().into(), (&text).into()],
    )?;
    Ok(changed == 1)
}

/// All buckets with rules, and these as they stand.
pub(super) fn with_lifecycle(tx: &mut Tx<'_>) -> Result<Vec<(TenantId, BucketName, String)>, StoreError> {
    let sql =
        "SELECT tenant_id, bucket, lifecycle FROM bucket WHERE lifecycle <> '[]' ORDER BY tenant_id, bucket";
    tx.query(sql, &[])?
        .iter()
        .map(|r| Ok((r.parsed(0, TenantId::parse)?, r.parsed(1, BucketName::parse)?, r.text(2)?.to_owned())))
        .collect()
}

pub(super) fn bucket_tags(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
) -> Result<Option<Tags>, StoreError> {
    let sql = "SELECT tags FROM bucket WHERE tenant_id = $1 AND bucket = $2";
    let row = tx.query_opt(sql, &[bucket.as_str().into()])?;
    let read = |r: Row| r.parsed(0, |t| serde_json::from_str(t).map_err(|_| "tags of a bucket"));
    row.map(read).transpose()
}

/// False when there is no such bucket.
pub(super) fn set_bucket_tags(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    tags: &Tags,
) -> Result<bool, StoreError> {
    let text = serde_json::to_string(tags).map_err(|e| StoreError::Statement(e.to_string()))?;
    let changed = tx.execute(
        "UPDATE bucket SET tags = $3 WHERE tenant_id = $1 AND bucket = $2",
        &[bucket.as_str().into(), (&text).into()],
    )?;
    Ok(changed == 1)
}

/// Gives a version other metadata, if it still has those that were read.
pub(super) fn replace_meta(
    tx: &mut TenantTx<'_, '_>,
    row: &ObjectRow,
    sealed: &[u8],
) -> Result<bool, StoreError> {
    let crc = scrub::row_crc(row.size, &row.wrapped_key, sealed, &row.header);
    for table in ["object", "object_version"] {
        let changed = tx.execute(
            &format!(
                "UPDATE {table} SET sealed_meta = $3, row_crc = $4 \
                 WHERE tenant_id = $1 AND version_id = $2 AND sealed_meta = $5"
            ),
            &[row.version.as_str().into(), sealed.into(), crc.into(), (&row.sealed_meta).into()],
        )?;
        if changed == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// False when there is no such bucket.
pub(super) fn set_versioning(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    versioning: Versioning,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE bucket SET versioning = $3 WHERE tenant_id = $1 AND bucket = $2",
        &[bucket.as_str().into(), versioning.word().into()],
    )?;
    Ok(changed == 1)
}

pub(super) fn is_empty(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<bool, StoreError> {
    for table in ["object", "object_version", "upload"] {
        let sql = format!("SELECT 1 FROM {table} WHERE tenant_id = $1 AND bucket = $2 LIMIT 1");
        if !tx.query(&sql, &[bucket.as_str().into()])?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn former(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<Option<Former>, StoreError> {
    let sql = "SELECT version_id, is_inline, sealed_meta, parts, modified_at_ms, size FROM object \
               WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3";
    let row = tx.query_opt(sql, &[bucket.as_str().into(), key.as_str().into()])?;
    row.as_ref().map(read_former).transpose()
}

fn read_former(r: &Row) -> Result<Former, StoreError> {
    Ok(Former {
        version: r.parsed(0, ObjectVersionId::parse)?,
        is_inline: r.int(1)? == 1,
        sealed_meta: r.blob(2)?.to_vec(),
        in_parts: r.int(3)? > 0,
        modified_at: Timestamp::from_ms(r.int(4)?),
        size: r.uint(5)?,
    })
}

/// Columns that `object` and `object_version` share beside the key.
const KEPT: &str = "version_id, size, modified_at_ms, key_version, wrapped_key, sealed_meta, header, is_inline, parts, \
                    is_null, place, sealed_crc, row_crc";

/// The place of the next version of a key: before all others.
fn next_place(tx: &mut TenantTx<'_, '_>, bucket: &BucketName, key: &ObjectKey) -> Result<i64, StoreError> {
    let sql = "SELECT min(place) FROM (\
               SELECT place FROM object WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3 UNION ALL \
               SELECT place FROM object_version WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3) AS all_places";
    let row = tx.query_opt(sql, &[bucket.as_str().into(), key.as_str().into()])?;
    let least = row.map_or(Ok(None), |r| r.opt_int(0))?;
    Ok(least.unwrap_or(0) - 1)
}

/// What is current becomes a former version, if there is one.
fn retire(tx: &mut TenantTx<'_, '_>, bucket: &BucketName, key: &ObjectKey) -> Result<(), StoreError> {
    tx.execute(
        &format!(
            "INSERT INTO object_version (tenant_id, bucket, object_key, is_marker, {KEPT}) \
             SELECT tenant_id, bucket, object_key, 0, {KEPT} FROM object \
             WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3"
        ),
        &[bucket.as_str().into(), key.as_str().into()],
    )?;
    remove_current(tx, bucket, key)
}

fn remove_current(tx: &mut TenantTx<'_, '_>, bucket: &BucketName, key: &ObjectKey) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM object WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3",
        &[bucket.as_str().into(), key.as_str().into()],
    )
    .map(drop)
}

/// Makes the newest version current when nothing is and it is no delete marker.
fn promote(tx: &mut TenantTx<'_, '_>, bucket: &BucketName, key: &ObjectKey) -> Result<(), StoreError> {
    if former(tx, bucket, key)?.is_some() {
        return Ok(());
    }
    let values = [bucket.as_str().into(), key.as_str().into()];
    let newest = "SELECT place, is_marker FROM object_version \
                  WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3 ORDER BY place LIMIT 1";
    let Some(row) = tx.query_opt(newest, &values)? else { return Ok(()) };
    if row.int(1)? == 1 {
        return Ok(());
    }
    let place = row.int(0)?;
    let values = [bucket.as_str().into(), key.as_str().into(), place.into()];
    tx.execute(
        &format!(
            "INSERT INTO object (tenant_id, bucket, object_key, {KEPT}) SELECT tenant_id, bucket, object_key, {KEPT} \
             FROM object_version WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3 AND place = $4"
        ),
        &values,
    )?;
    tx.execute(
        "DELETE FROM object_version WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3 AND place = $4",
        &values,
    )
    .map(drop)
}

/// Destroys one version; answers whether it was a delete marker, or nothing when it was not there.
pub(super) fn delete_version(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    which: &Which,
    guard: &Guard,
) -> Result<Option<bool>, Failure> {
    let (condition, id) = condition(which);
    let mut values = vec![bucket.as_str().into(), key.as_str().into()];
    values.extend(id.map(Value::from));
    let place = format!("tenant_id = $1 AND bucket = $2 AND object_key = $3 AND {condition}");
    let found = format!(
        "SELECT version_id, is_inline, sealed_meta, parts, modified_at_ms, size FROM object WHERE {place}"
    );
    if let Some(row) = tx.query_opt(&found, &values)? {
        drop_bytes(tx, bucket, &read_former(&row)?, guard)?;
        remove_current(tx, bucket, key)?;
        promote(tx, bucket, key)?;
        return Ok(Some(false));
    }
    let found = format!(
        "SELECT version_id, is_inline, sealed_meta, parts, modified_at_ms, size, is_marker FROM object_version WHERE {place}"
    );
    let Some(row) = tx.query_opt(&found, &values)? else { return Ok(None) };
    let marker = row.int(6)? == 1;
    if !marker {
        drop_bytes(tx, bucket, &read_former(&row)?, guard)?;
    }
    tx.execute(&format!("DELETE FROM object_version WHERE {place}"), &values)?;
    promote(tx, bucket, key)?;
    Ok(Some(marker))
}

fn condition(which: &Which) -> (&'static str, Option<&str>) {
    match which {
        Which::Null => ("is_null = 1", None),
        Which::Id(id) => ("is_null = 0 AND version_id = $4", Some(id.as_str())),
        Which::Stored(id) => ("version_id = $4", Some(id.as_str())),
    }
}

/// Writes a delete marker where a bucket keeps versions; answers its id.
pub(super) fn put_marker(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    versioning: Versioning,
    guard: &Guard,
) -> Result<(ObjectVersionId, bool), Failure> {
    let (place, is_null) = make_room(tx, bucket, key, versioning, guard)?;
    let id = ObjectVersionId::random();
    let nothing: &[u8] = &[];
    tx.execute(
        &format!(
            "INSERT INTO object_version (tenant_id, bucket, object_key, is_marker, {KEPT}) \
             VALUES ($1, $2, $3, 1, $4, 0, $5, 0, $6, $6, $6, 0, 0, $7, $8, NULL, NULL)"
        ),
        &[
            bucket.as_str().into(),
            key.as_str().into(),
            id.as_str().into(),
            guard.now.ms().into(),
            nothing.into(),
            is_null.into(),
            place.into(),
        ],
    )?;
    Ok((id, is_null))
}

/// Makes room for a new version where a bucket keeps them: its place, and whether it is the null version.
fn make_room(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    versioning: Versioning,
    guard: &Guard,
) -> Result<(i64, bool), Failure> {
    let place = next_place(tx, bucket, key)?;
    let is_null = versioning != Versioning::Enabled;
    if is_null {
        // One null version of a key at most. What becomes current by that is retired next.
        delete_version(tx, bucket, key, &Which::Null, guard)?;
    }
    retire(tx, bucket, key)?;
    Ok((place, is_null))
}

pub(super) fn put_object(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    o: &NewObject,
    (former, versioning): (Option<&Former>, Versioning),
    guard: &Guard,
) -> Result<(), Failure> {
    let (place, is_null) = match versioning {
        Versioning::Off => {
            if let Some(former) = former {
                drop_bytes(tx, bucket, former, guard)?;
            }
            (0, true)
        }
        kept => make_room(tx, bucket, &o.key, kept, guard)?,
    };
    tx.execute(
        "INSERT INTO object (tenant_id, bucket, object_key, version_id, size, modified_at_ms, key_version, \
         wrapped_key, sealed_meta, header, is_inline, parts, is_null, place, sealed_crc, row_crc) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
         ON CONFLICT (tenant_id, bucket, object_key) DO UPDATE SET version_id = excluded.version_id, \
         size = excluded.size, modified_at_ms = excluded.modified_at_ms, key_version = excluded.key_version, \
         wrapped_key = excluded.wrapped_key, sealed_meta = excluded.sealed_meta, header = excluded.header, \
         is_inline = excluded.is_inline, parts = excluded.parts, sealed_crc = excluded.sealed_crc, \
         row_crc = excluded.row_crc",
        &[
            bucket.as_str().into(),
            o.key.as_str().into(),
            o.version.as_str().into(),
            (o.size as i64).into(),
            o.modified_at.ms().into(),
            o.key_version.into(),
            (&o.wrapped_key).into(),
            (&o.sealed_meta).into(),
            (&o.header).into(),
            o.inline.is_some().into(),
            (o.parts as i64).into(),
            is_null.into(),
            place.into(),
            o.sealed_crc.into(),
            scrub::row_crc(o.size, &o.wrapped_key, &o.sealed_meta, &o.header).into(),
        ],
    )?;
    // Parts were counted when they were written.
    account(tx, bucket, if o.parts == 0 { o.size as i64 } else { 0 }, 1)?;
    if let Some(bytes) = &o.inline {
        tx.execute(
            "INSERT INTO object_inline (tenant_id, version_id, sealed_bytes) VALUES ($1, $2, $3)",
            &[o.version.as_str().into(), bytes.as_ref().into()],
        )?;
    }
    Ok(())
}

/// A part of an object that grows.
pub(super) fn insert_part(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    version: &ObjectVersionId,
    part: &PartRow,
) -> Result<(), StoreError> {
    account(tx, bucket, part.size as i64, 0)?;
    tx.execute(
        "INSERT INTO object_part (tenant_id, version_id, part_number, part_id, size, header, sealed_crc) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            version.as_str().into(),
            i64::from(part.number).into(),
            part.id.as_str().into(),
            (part.size as i64).into(),
            (&part.header).into(),
            part.sealed_crc.into(),
        ],
    )
    .map(drop)
}

/// The current version has more parts now.
pub(super) fn grow_object(tx: &mut TenantTx<'_, '_>, o: &NewObject) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE object SET size = $3, modified_at_ms = $4, sealed_meta = $5, parts = $6, row_crc = $7 \
         WHERE tenant_id = $1 AND version_id = $2",
        &[
            o.version.as_str().into(),
            (o.size as i64).into(),
            o.modified_at.ms().into(),
            (&o.sealed_meta).into(),
            (o.parts as i64).into(),
            scrub::row_crc(o.size, &o.wrapped_key, &o.sealed_meta, &o.header).into(),
        ],
    )
    .map(drop)
}

pub(super) fn delete_object(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    former: &Former,
    guard: &Guard,
) -> Result<(), Failure> {
    drop_bytes(tx, bucket, former, guard)?;
    Ok(remove_current(tx, bucket, key)?)
}

/// The one place where content ends: not before the guard was asked.
fn drop_bytes(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    former: &Former,
    guard: &Guard,
) -> Result<(), Failure> {
    guard.check(former)?;
    account(tx, bucket, -(former.size as i64), -1)?;
    let now = guard.now;
    if former.is_inline {
        tx.execute(
            "DELETE FROM object_inline WHERE tenant_id = $1 AND version_id = $2",
            &[former.version.as_str().into()],
        )?;
    } else if former.in_parts {
        tx.execute(
            "INSERT INTO blob_garbage (version_id, since_ms) SELECT part_id, $3 FROM object_part \
             WHERE tenant_id = $1 AND version_id = $2 ON CONFLICT DO NOTHING",
            &[former.version.as_str().into(), now.ms().into()],
        )?;
        tx.execute(
            "DELETE FROM object_part WHERE tenant_id = $1 AND version_id = $2",
            &[former.version.as_str().into()],
        )?;
    } else {
        // `tenant_id = $1` is always true here; it keeps the statement scoped like every other.
        tx.execute(
            "INSERT INTO blob_garbage (version_id, since_ms) SELECT version_id, $3 FROM (\
             SELECT version_id FROM object WHERE tenant_id = $1 AND version_id = $2 UNION ALL \
             SELECT version_id FROM object_version WHERE tenant_id = $1 AND version_id = $2) AS named \
             WHERE true ON CONFLICT DO NOTHING",
            &[former.version.as_str().into(), now.ms().into()],
        )?;
    }
    Ok(())
}

/// The current version of an object, or the one that is named.
pub(super) fn object(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    which: Option<&Which>,
    with_bytes: bool,
) -> Result<Option<ObjectRow>, StoreError> {
    // A row and its parts are two statements: somebody may replace the object between them, or destroy it. What is then
    // incomplete is read anew; what stays so is damaged, and said to be by who opens it.
    let mut before: Option<ObjectRow> = None;
    loop {
        let Some((row, whole)) = object_once(tx, bucket, key, which, with_bytes)? else { return Ok(None) };
        if whole || before.is_some_and(|b| b.sealed_meta == row.sealed_meta) {
            return Ok(Some(row));
        }
        before = Some(row);
    }
}

/// An object, and whether all its parts were there.
fn object_once(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    which: Option<&Which>,
    with_bytes: bool,
) -> Result<Option<(ObjectRow, bool)>, StoreError> {
    const CURRENT: &str = "SELECT o.version_id, o.size, o.modified_at_ms, o.key_version, o.wrapped_key, o.sealed_meta, \
         o.header, o.is_null, o.is_inline, o.parts, i.sealed_bytes FROM object o \
         LEFT JOIN object_inline i ON i.version_id = o.version_id \
         WHERE o.tenant_id = $1 AND o.bucket = $2 AND o.object_key = $3";
    const PLAIN: &str = "SELECT o.version_id, o.size, o.modified_at_ms, o.key_version, o.wrapped_key, o.sealed_meta, \
         o.header, o.is_null FROM object o WHERE o.tenant_id = $1 AND o.bucket = $2 AND o.object_key = $3";
    let Some(which) = which else {
        let sql = if with_bytes { CURRENT } else { PLAIN };
        let row = tx.query_opt(sql, &[bucket.as_str().into(), key.as_str().into()])?;
        return row.map(|r| read_with_bytes(tx, &r, with_bytes)).transpose();
    };
    let (condition, id) = condition(which);
    let mut values = vec![bucket.as_str().into(), key.as_str().into()];
    values.extend(id.map(Value::from));
    // A delete marker is no object.
    for (table, real) in [("object", ""), ("object_version", " AND is_marker = 0")] {
        let sql = format!(
            "SELECT o.version_id, o.size, o.modified_at_ms, o.key_version, o.wrapped_key, o.sealed_meta, o.header, \
             o.is_null, o.is_inline, o.parts, i.sealed_bytes FROM {table} o \
             LEFT JOIN object_inline i ON i.version_id = o.version_id \
             WHERE o.tenant_id = $1 AND o.bucket = $2 AND o.object_key = $3 AND {}{real}",
            condition.replace("version_id", "o.version_id")
        );
        if let Some(row) = tx.query_opt(&sql, &values)? {
            return read_with_bytes(tx, &row, with_bytes).map(Some);
        }
    }
    Ok(None)
}

fn read_with_bytes(
    tx: &mut TenantTx<'_, '_>,
    r: &Row,
    with_bytes: bool,
) -> Result<(ObjectRow, bool), StoreError> {
    let row = read_object(r, 0)?;
    if !with_bytes {
        return Ok((row, true));
    }
    let inline = if r.int(8)? == 1 { Some(r.blob(10)?.to_vec()) } else { None };
    let count = usize::try_from(r.int(9)?).unwrap_or(usize::MAX);
    let mut parts = if count > 0 { parts_of_object(tx, &row.version)? } else { Vec::new() };
    let whole = parts.len() >= count;
    // An append adds parts behind those that the row, read before it, knows.
    parts.truncate(count);
    Ok((ObjectRow { inline, parts, ..row }, whole))
}

/// The newest version of a key when it is a delete marker, or the marker that is named: id, whether null, when.
pub(super) fn marker(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    which: Option<&Which>,
) -> Result<Option<(ObjectVersionId, bool, Timestamp)>, StoreError> {
    let (condition, id) = which.map_or(("true", None), condition);
    let mut values = vec![bucket.as_str().into(), key.as_str().into()];
    values.extend(id.map(Value::from));
    let sql = format!(
        "SELECT version_id, is_null, modified_at_ms, is_marker FROM object_version \
         WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3 AND {condition} ORDER BY place LIMIT 1"
    );
    let Some(r) = tx.query_opt(&sql, &values)? else { return Ok(None) };
    if r.int(3)? == 0 {
        return Ok(None);
    }
    Ok(Some((r.parsed(0, ObjectVersionId::parse)?, r.int(1)? == 1, Timestamp::from_ms(r.int(2)?))))
}

/// The place of a version among those of its key.
pub(super) fn place_of(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    which: &Which,
) -> Result<Option<i64>, StoreError> {
    let (condition, id) = condition(which);
    let mut values = vec![bucket.as_str().into(), key.as_str().into()];
    values.extend(id.map(Value::from));
    for table in ["object", "object_version"] {
        let sql = format!(
            "SELECT place FROM {table} WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3 AND {condition}"
        );
        if let Some(row) = tx.query_opt(&sql, &values)? {
            return row.int(0).map(Some);
        }
    }
    Ok(None)
}

/// Versions and delete markers after a key and a place, by both, up to the name `end` (exclusive), at most so many.
pub(super) fn versions(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    (key, place): &(String, i64),
    end: Option<&str>,
    limit: u32,
) -> Result<Vec<VersionRow>, StoreError> {
    let mut all = Vec::new();
    for (table, marker) in [("object", "CAST(0 AS BIGINT)"), ("object_version", "is_marker")] {
        let mut values = vec![bucket.as_str().into(), key.into(), (*place).into(), i64::from(limit).into()];
        let below = end.map_or("", |_| " AND object_key < $6");
        values.extend(end.map(Value::from));
        let sql = format!(
            "SELECT object_key, place, {marker}, version_id, size, modified_at_ms, key_version, wrapped_key, \
             sealed_meta, header, is_null FROM {table} WHERE tenant_id = $1 AND bucket = $2 AND object_key >= $3 \
             AND (object_key > $3 OR place > $4){below} ORDER BY object_key, place LIMIT $5"
        );
        for r in &tx.query(&sql, &values)? {
            all.push(VersionRow {
                key: r.parsed(0, ObjectKey::parse)?,
                place: r.int(1)?,
                marker: r.int(2)? == 1,
                row: read_object(r, 3)?,
            });
        }
    }
    all.sort_by(|a, b| (a.key.as_str(), a.place).cmp(&(b.key.as_str(), b.place)));
    all.truncate(limit as usize);
    Ok(all)
}

/// Up to `limit` objects from the name `from` (inclusive) to `end` (exclusive).
pub(super) fn page(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    from: &str,
    end: Option<&str>,
    limit: i64,
) -> Result<Vec<(ObjectKey, ObjectRow)>, StoreError> {
    const SELECT: &str = "SELECT object_key, version_id, size, modified_at_ms, key_version, wrapped_key, sealed_meta, \
         header, is_null FROM object WHERE tenant_id = $1 AND bucket = $2 AND object_key >= $3";
    let rows = match end {
        Some(end) => tx.query(
            &format!("{SELECT} AND object_key < $4 ORDER BY object_key LIMIT $5"),
            &[bucket.as_str().into(), from.into(), end.into(), limit.into()],
        )?,
        None => tx.query(
            &format!("{SELECT} ORDER BY object_key LIMIT $4"),
            &[bucket.as_str().into(), from.into(), limit.into()],
        )?,
    };
    rows.iter().map(|r| Ok((r.parsed(0, ObjectKey::parse)?, read_object(r, 1)?))).collect()
}

fn read_object(r: &Row, at: usize) -> Result<ObjectRow, StoreError> {
    Ok(ObjectRow {
        version: r.parsed(at, ObjectVersionId::parse)?,
        size: r.uint(at + 1)?,
        modified_at: Timestamp::from_ms(r.int(at + 2)?),
        key_version: r.int(at + 3)?,
        wrapped_key: r.blob(at + 4)?.to_vec(),
        sealed_meta: r.blob(at + 5)?.to_vec(),
        header: r.blob(at + 6)?.to_vec(),
        inline: None,
        parts: Vec::new(),
        is_null: r.int(at + 7)? == 1,
    })
}

fn parts_of_object(tx: &mut TenantTx<'_, '_>, version: &ObjectVersionId) -> Result<Vec<PartRow>, StoreError> {
    tx.query(
        "SELECT part_number, part_id, size, header, sealed_crc FROM object_part \
         WHERE tenant_id = $1 AND version_id = $2 ORDER BY part_number",
        &[version.as_str().into()],
    )?
    .iter()
    .map(read_part)
    .collect()
}

/// A part of an object and its sealed digests.
pub(super) type DigestedPart = (PartRow, Option<Vec<u8>>);

/// Parts of an object after a number, at most so many, with their digests.
pub(super) fn digests_of_object(
    tx: &mut TenantTx<'_, '_>,
    version: &ObjectVersionId,
    after: u32,
    limit: u32,
) -> Result<Vec<DigestedPart>, StoreError> {
    tx.query(
        "SELECT part_number, part_id, size, header, sealed_crc, sealed_digests FROM object_part \
         WHERE tenant_id = $1 AND version_id = $2 AND part_number > $3 ORDER BY part_number LIMIT $4",
        &[version.as_str().into(), i64::from(after).into(), i64::from(limit).into()],
    )?
    .iter()
    .map(|r| Ok((read_part(r)?, r.opt_blob(5)?.map(<[u8]>::to_vec))))
    .collect()
}

fn read_part(r: &Row) -> Result<PartRow, StoreError> {
    Ok(PartRow {
        number: u32::try_from(r.int(0)?).map_err(|_| StoreError::Corrupt("a part's number".into()))?,
        id: r.parsed(1, ObjectVersionId::parse)?,
        size: r.uint(2)?,
        header: r.blob(3)?.to_vec(),
        sealed_crc: r.opt_int(4)?,
    })
}

pub(super) fn upload_count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    tx.query_opt("SELECT count(*) FROM upload WHERE tenant_id = $1", &[])?.map_or(Ok(0), |r| r.uint(0))
}

pub(super) fn insert_upload(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: &str,
    row: &UploadRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO upload (tenant_id, bucket, object_key, upload_id, version_id, key_version, wrapped_key, \
         sealed_meta, begun_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            bucket.as_str().into(),
            key.as_str().into(),
            upload.into(),
            row.version.as_str().into(),
            row.key_version.into(),
            (&row.wrapped_key).into(),
            (&row.sealed_meta).into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

pub(super) fn upload(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: &str,
) -> Result<Option<UploadRow>, StoreError> {
    tx.query_opt(
        "SELECT version_id, key_version, wrapped_key, sealed_meta FROM upload \
         WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3 AND upload_id = $4",
        &[bucket.as_str().into(), key.as_str().into(), upload.into()],
    )?
    .as_ref()
    .map(read_upload)
    .transpose()
}

fn read_upload(r: &Row) -> Result<UploadRow, StoreError> {
    Ok(UploadRow {
        version: r.parsed(0, ObjectVersionId::parse)?,
        key_version: r.int(1)?,
        wrapped_key: r.blob(2)?.to_vec(),
        sealed_meta: r.blob(3)?.to_vec(),
    })
}

pub(super) fn delete_upload(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM upload WHERE tenant_id = $1 AND bucket = $2 AND object_key = $3 AND upload_id = $4",
        &[bucket.as_str().into(), key.as_str().into(), upload.into()],
    )
    .map(drop)
}

/// Uploads of keys from `from` (inclusive) to `end` (exclusive), after a key and an id.
pub(super) fn uploads(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    (from, end): (&str, Option<&str>),
    (key, id): &(String, String),
    limit: u32,
) -> Result<Vec<(Upload, UploadRow)>, StoreError> {
    // After all uploads of a key: behind its name. No id is as large as this one.
    let id = if id.is_empty() && !key.is_empty() { "~" } else { id.as_str() };
    let mut values =
        vec![bucket.as_str().into(), from.into(), key.into(), id.into(), i64::from(limit).into()];
    let below = match end {
        Some(end) => {
            values.push(end.into());
            " AND object_key < $7"
        }
        None => "",
    };
    let sql = format!(
        "SELECT version_id, key_version, wrapped_key, sealed_meta, object_key, upload_id, begun_at_ms FROM upload \
         WHERE tenant_id = $1 AND bucket = $2 \
         AND object_key >= $3 AND (object_key, upload_id) > ($4, $5){below} ORDER BY object_key, upload_id LIMIT $6"
    );
    tx.query(&sql, &values)?
        .iter()
        .map(|r| {
            let upload = Upload {
                key: r.parsed(4, ObjectKey::parse)?,
                id: r.text(5)?.to_owned(),
                begun_at: Timestamp::from_ms(r.int(6)?),
                checksum: None,
            };
            Ok((upload, read_upload(r)?))
        })
        .collect()
}

/// Writes a part; the bytes of a former one of its number are garbage.
pub(super) fn put_part(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    upload: &str,
    row: &UploadPart,
    now: Timestamp,
) -> Result<(), StoreError> {
    let number = i64::from(row.part.number);
    let before = tx.query_opt(
        "SELECT size FROM upload_part WHERE tenant_id = $1 AND upload_id = $2 AND part_number = $3",
        &[upload.into(), number.into()],
    )?;
    let before = before.map_or(Ok(0), |r| r.int(0))?;
    account(tx, bucket, row.part.size as i64 - before, 0)?;
    tx.execute(
        "INSERT INTO blob_garbage (version_id, since_ms) SELECT part_id, $4 FROM upload_part \
         WHERE tenant_id = $1 AND upload_id = $2 AND part_number = $3 ON CONFLICT DO NOTHING",
        &[upload.into(), number.into(), now.ms().into()],
    )?;
    tx.execute(
        "INSERT INTO upload_part (tenant_id, upload_id, part_number, part_id, size, header, sealed_digests, \
         written_at_ms, sealed_crc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (tenant_id, upload_id, part_number) DO UPDATE SET part_id = excluded.part_id, \
         size = excluded.size, header = excluded.header, sealed_digests = excluded.sealed_digests, \
         written_at_ms = excluded.written_at_ms, sealed_crc = excluded.sealed_crc",
        &[
            upload.into(),
            number.into(),
            row.part.id.as_str().into(),
            (row.part.size as i64).into(),
            (&row.part.header).into(),
            (&row.sealed_digests).into(),
            row.written_at.ms().into(),
            row.part.sealed_crc.into(),
        ],
    )
    .map(drop)
}

/// Parts after a number, at most so many.
pub(super) fn parts_of_upload(
    tx: &mut TenantTx<'_, '_>,
    upload: &str,
    after: u32,
    limit: u32,
) -> Result<Vec<UploadPart>, StoreError> {
    tx.query(
        "SELECT part_number, part_id, size, header, sealed_crc, sealed_digests, written_at_ms FROM upload_part \
         WHERE tenant_id = $1 AND upload_id = $2 AND part_number > $3 ORDER BY part_number LIMIT $4",
        &[upload.into(), i64::from(after).into(), i64::from(limit).into()],
    )?
    .iter()
    .map(|r| {
        Ok(UploadPart {
            part: read_part(r)?,
            sealed_digests: r.blob(5)?.to_vec(),
            written_at: Timestamp::from_ms(r.int(6)?),
        })
    })
    .collect()
}

/// Moves the chosen parts of an upload to the object; the others are garbage. False when one of the chosen is not there
/// any more.
pub(super) fn assemble(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    upload: &str,
    version: &ObjectVersionId,
    chosen: &[PartRow],
    now: Timestamp,
) -> Result<bool, StoreError> {
    for part in chosen {
        let moved = tx.execute(
            "INSERT INTO object_part (tenant_id, version_id, part_number, part_id, size, header, sealed_crc, \
             sealed_digests) SELECT tenant_id, $2, part_number, part_id, size, header, sealed_crc, sealed_digests \
             FROM upload_part \
             WHERE tenant_id = $1 AND upload_id = $3 AND part_number = $4 AND part_id = $5",
            &[version.as_str().into(), upload.into(), i64::from(part.number).into(), part.id.as_str().into()],
        )?;
        if moved != 1 {
            return Ok(false);
        }
        tx.execute(
            "DELETE FROM upload_part WHERE tenant_id = $1 AND upload_id = $2 AND part_number = $3",
            &[upload.into(), i64::from(part.number).into()],
        )?;
    }
    drop_parts_of_upload(tx, bucket, upload, now)?;
    Ok(true)
}

/// The bytes of all parts of an upload are garbage.
pub(super) fn drop_parts_of_upload(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    upload: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let left = tx.query_opt(
        "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM upload_part WHERE tenant_id = $1 AND upload_id = $2",
        &[upload.into()],
    )?;
    account(tx, bucket, -left.map_or(Ok(0), |r| r.int(0))?, 0)?;
    tx.execute(
        "INSERT INTO blob_garbage (version_id, since_ms) SELECT part_id, $3 FROM upload_part \
         WHERE tenant_id = $1 AND upload_id = $2 ON CONFLICT DO NOTHING",
        &[upload.into(), now.ms().into()],
    )?;
    tx.execute("DELETE FROM upload_part WHERE tenant_id = $1 AND upload_id = $2", &[upload.into()]).map(drop)
}

pub(super) fn insert_destruction(
    tx: &mut TenantTx<'_, '_>,
    done: &Destruction,
    sealed: &[u8],
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO destruction (tenant_id, record_index, destroyed_at_ms, bucket, items, bytes, sealed) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            (done.record as i64).into(),
            done.at.ms().into(),
            done.bucket.as_str().into(),
            (done.items as i64).into(),
            (done.bytes as i64).into(),
            sealed.into(),
        ],
    )
    .map(drop)
}

/// The newest first, below a number.
pub(super) fn destructions(
    tx: &mut TenantTx<'_, '_>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Destruction>, StoreError> {
    let before = before.and_then(|b| i64::try_from(b).ok()).unwrap_or(i64::MAX);
    tx.query(
        "SELECT record_index, destroyed_at_ms, bucket, items, bytes FROM destruction \
         WHERE tenant_id = $1 AND record_index < $2 ORDER BY record_index DESC LIMIT $3",
        &[before.into(), i64::from(limit).into()],
    )?
    .iter()
    .map(|r| {
        Ok(Destruction {
            record: r.uint(0)?,
            at: Timestamp::from_ms(r.int(1)?),
            bucket: r.parsed(2, BucketName::parse)?,
            items: r.uint(3)?,
            bytes: r.uint(4)?,
        })
    })
    .collect()
}

pub(super) fn destruction(tx: &mut TenantTx<'_, '_>, record: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT sealed FROM destruction WHERE tenant_id = $1 AND record_index = $2";
    tx.query_opt(sql, &[(record as i64).into()])?.map(|r| Ok(r.blob(0)?.to_vec())).transpose()
}

pub(super) fn garbage(
    tx: &mut Tx<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<ObjectVersionId>, StoreError> {
    tx.query(
        "SELECT version_id FROM blob_garbage WHERE since_ms < $1 ORDER BY since_ms LIMIT $2",
        &[before.ms().into(), limit.into()],
    )?
    .iter()
    .map(|r| r.parsed(0, ObjectVersionId::parse))
    .collect()
}

pub(super) fn forget_garbage(tx: &mut Tx<'_>, id: &ObjectVersionId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM blob_garbage WHERE version_id = $1", &[id.as_str().into()]).map(drop)
}

/// Which of `ids` the row of an object or a paper names, or the garbage list will remove.
pub(super) fn named(tx: &mut Tx<'_>, ids: &[ObjectVersionId]) -> Result<Vec<ObjectVersionId>, StoreError> {
    let mut out = Vec::new();
    for id in ids {
        let row = tx.query(
            "SELECT 1 FROM object WHERE version_id = $1 UNION ALL SELECT 1 FROM blob_garbage WHERE version_id = $1 \
             UNION ALL SELECT 1 FROM upload_part WHERE part_id = $1 UNION ALL SELECT 1 FROM object_part WHERE part_id = $1 \
             UNION ALL SELECT 1 FROM object_version WHERE version_id = $1 UNION ALL SELECT 1 FROM paper WHERE version_id = $1",
            &[id.as_str().into()],
        )?;
        if !row.is_empty() {
            out.push(id.clone());
        }
    }
    Ok(out)
}

/// A paper as its row has it.
pub(super) struct PaperRow {
    pub(super) version: ObjectVersionId,
    pub(super) size: u64,
    pub(super) key_version: i64,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) sealed_meta: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) sealed_crc: i64,
    pub(super) attached_at: Timestamp,
}

/// Puts a paper behind the others of its holder.
pub(super) fn insert_paper(
    tx: &mut TenantTx<'_, '_>,
    holder: &Holder,
    p: &PaperRow,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO paper (tenant_id, holder, holder_id, number, version_id, size, key_version, wrapped_key, sealed_meta, \
         header, sealed_crc, row_crc, attached_at_ms) VALUES ($1, $2, $3, (SELECT coalesce(max(number), 0) + 1 FROM paper \
         WHERE tenant_id = $1 AND holder = $2 AND holder_id = $3), $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            holder.kind.into(),
            (&holder.id).into(),
            p.version.as_str().into(),
            (p.size as i64).into(),
            p.key_version.into(),
            p.wrapped_key.as_slice().into(),
            p.sealed_meta.as_slice().into(),
            p.header.as_slice().into(),
            p.sealed_crc.into(),
            scrub::row_crc(p.size, &p.wrapped_key, &p.sealed_meta, &p.header).into(),
            p.attached_at.ms().into(),
        ],
    )
    .map(drop)
}

/// Papers of a holder, in the order in which they came.
pub(super) fn papers(tx: &mut TenantTx<'_, '_>, holder: &Holder) -> Result<Vec<PaperRow>, StoreError> {
    tx.query(
        "SELECT version_id, size, key_version, wrapped_key, sealed_meta, header, sealed_crc, attached_at_ms FROM paper \
         WHERE tenant_id = $1 AND holder = $2 AND holder_id = $3 ORDER BY number",
        &[holder.kind.into(), (&holder.id).into()],
    )?
    .iter()
    .map(read_paper)
    .collect()
}

fn read_paper(r: &Row) -> Result<PaperRow, StoreError> {
    Ok(PaperRow {
        version: r.parsed(0, ObjectVersionId::parse)?,
        size: r.uint(1)?,
        key_version: r.int(2)?,
        wrapped_key: r.blob(3)?.to_vec(),
        sealed_meta: r.blob(4)?.to_vec(),
        header: r.blob(5)?.to_vec(),
        sealed_crc: r.int(6)?,
        attached_at: Timestamp::from_ms(r.int(7)?),
    })
}

/// Papers after one of them, each with what it is attached to.
pub(super) fn sealed_papers(
    tx: &mut TenantTx<'_, '_>,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, PaperRow)>, StoreError> {
    tx.query(
        "SELECT version_id, size, key_version, wrapped_key, sealed_meta, header, sealed_crc, attached_at_ms, \
         holder, holder_id FROM paper WHERE tenant_id = $1 AND version_id > $2 ORDER BY version_id LIMIT $3",
        &[after.into(), limit.into()],
    )?
    .iter()
    .map(|r| Ok((format!("{}/{}", r.text(8)?, r.text(9)?), read_paper(r)?)))
    .collect()
}

/// Gives a paper another wrap of the same data key, if it still has what was read.
pub(super) fn reseal_paper(
    tx: &mut TenantTx<'_, '_>,
    p: &PaperRow,
    (wrapped, sealed, key_version): (&[u8], &[u8], i64),
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE paper SET wrapped_key = $3, sealed_meta = $4, key_version = $5, row_crc = $6 \
         WHERE tenant_id = $1 AND version_id = $2 AND wrapped_key = $7 AND sealed_meta = $8",
        &[
            p.version.as_str().into(),
            wrapped.into(),
            sealed.into(),
            key_version.into(),
            scrub::row_crc(p.size, wrapped, sealed, &p.header).into(),
            p.wrapped_key.as_slice().into(),
            p.sealed_meta.as_slice().into(),
        ],
    )?;
    Ok(changed == 1)
}

/// How many papers a tenant has, and their bytes.
pub(super) fn papers_in_all(tx: &mut TenantTx<'_, '_>) -> Result<(u64, u64), StoreError> {
    let sql = "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM paper WHERE tenant_id = $1";
    tx.query_opt(sql, &[])?.map_or(Ok((0, 0)), |r| Ok((r.uint(0)?, r.uint(1)?)))
}

/// Removes a paper, or all of a tenant.
pub(super) fn remove_papers(
    tx: &mut TenantTx<'_, '_>,
    only: Option<&ObjectVersionId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let only = only.map(ObjectVersionId::as_str);
    tx.execute(
        "INSERT INTO blob_garbage (version_id, since_ms) SELECT version_id, $2 FROM paper \
         WHERE tenant_id = $1 AND version_id = coalesce($3, version_id) ON CONFLICT DO NOTHING",
        &[now.ms().into(), only.into()],
    )?;
    let sql = "DELETE FROM paper WHERE tenant_id = $1 AND version_id = coalesce($2, version_id)";
    tx.execute(sql, &[only.into()]).map(drop)
}

/// What a scrub looks at.
#[derive(Clone, Debug, Default)]
pub(super) struct Only {
    pub(super) tenant: Option<TenantId>,
    pub(super) bucket: Option<BucketName>,
}

/// Where versions are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Current,
    Former,
    UnderWay,
    Paper,
}

impl Stored {
    pub(super) const ALL: [Self; 4] = [Self::Current, Self::Former, Self::UnderWay, Self::Paper];

    /// A statement's beginning: what is stored there, a place in it, and its size.
    const fn from(self) -> &'static str {
        match self {
            Self::Current => "object o WHERE true",
            Self::Former => "object_version o WHERE o.is_marker = 0",
            Self::UnderWay => {
                "upload_part o JOIN upload u ON u.tenant_id = o.tenant_id AND u.upload_id = o.upload_id WHERE true"
            }
            // What a paper is attached to stands where an object has bucket and key.
            Self::Paper => {
                "(SELECT tenant_id, holder AS bucket, holder_id AS object_key, number AS place, version_id, size, \
                 key_version, wrapped_key, sealed_meta, header, CAST(0 AS BIGINT) AS is_inline, \
                 CAST(0 AS BIGINT) AS parts, sealed_crc, row_crc FROM paper) o WHERE true"
            }
        }
    }
}

/// One stored version, or one part of an upload under way.
#[derive(Clone)]
pub(super) struct ScrubRow {
    pub(super) tenant: TenantId,
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    place: i64,
    pub(super) version: ObjectVersionId,
    /// The blob of a part of an upload under way.
    pub(super) part: Option<ObjectVersionId>,
    pub(super) size: u64,
    pub(super) key_version: i64,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) sealed_meta: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) inline: bool,
    pub(super) parts: u64,
    pub(super) sealed_crc: Option<i64>,
    pub(super) row_crc: Option<i64>,
}

/// Where a page of a scrub ended.
#[derive(Clone, Debug)]
pub(super) struct ScrubPlace {
    tenant: String,
    bucket: String,
    key: String,
    place: i64,
    /// Several uploads of one key may have a part of one number.
    part: String,
}

impl ScrubRow {
    pub(super) fn place(&self) -> ScrubPlace {
        ScrubPlace {
            tenant: self.tenant.to_string(),
            bucket: self.bucket.to_string(),
            key: self.key.to_string(),
            place: self.place,
            part: self.part.as_ref().map_or_else(String::new, ObjectVersionId::to_string),
        }
    }

    pub(super) fn crc(&self) -> i64 {
        scrub::row_crc(self.size, &self.wrapped_key, &self.sealed_meta, &self.header)
    }

    pub(super) fn has_checksum(&self) -> bool {
        self.sealed_crc.is_some() || (self.part.is_none() && self.parts > 0)
    }
}

/// How many versions and bytes there are to look at.
pub(super) fn stored(tx: &mut Tx<'_>, only: &Only) -> Result<(u64, u64), StoreError> {
    let (mut count, mut bytes) = (0, 0);
    for table in Stored::ALL {
        let owner = if table == Stored::UnderWay { "u" } else { "o" };
        let (limits, values) = limited(only, owner);
        let sql = format!(
            "SELECT count(*), CAST(coalesce(sum(o.size), 0) AS BIGINT) FROM {}{limits}",
            table.from()
        );
        if let Some(r) = tx.query_opt(&sql, &values)? {
            count += r.uint(0)?;
            bytes += r.uint(1)?;
        }
    }
    Ok((count, bytes))
}

/// How many versions there are.
pub(super) fn stored_versions(tx: &mut Tx<'_>, only: &Only) -> Result<u64, StoreError> {
    let mut count = 0;
    for table in [Stored::Current, Stored::Former] {
        let (limits, values) = limited(only, "o");
        let sql = format!("SELECT count(*) FROM {}{limits}", table.from());
        count += tx.query_opt(&sql, &values)?.map_or(Ok(0), |r| r.uint(0))?;
    }
    Ok(count)
}

fn limited<'o>(only: &'o Only, owner: &str) -> (String, Vec<Value<'o>>) {
    let (mut sql, mut values) = (String::new(), Vec::new());
    for (column, value) in [
        ("tenant_id", only.tenant.as_ref().map(TenantId::as_str)),
        ("bucket", only.bucket.as_ref().map(BucketName::as_str)),
    ] {
        if let Some(value) = value {
            values.push(Value::from(value));
            sql.push_str(&format!(" AND {owner}.{column} = ${}", values.len()));
        }
    }
    (sql, values)
}

/// Versions after a place, in the order of tenant, bucket, key and place.
pub(super) fn to_scrub(
    tx: &mut Tx<'_>,
    table: Stored,
    only: &Only,
    after: Option<&ScrubPlace>,
    limit: i64,
) -> Result<Vec<ScrubRow>, StoreError> {
    let (owner, place, part, columns) = match table {
        Stored::UnderWay => (
            "u",
            "o.part_number",
            ", o.part_id",
            "u.version_id, o.part_id, o.size, u.wrapped_key, u.sealed_meta, o.header, \
             CAST(0 AS BIGINT), CAST(0 AS BIGINT), o.sealed_crc, CAST(NULL AS BIGINT), u.key_version",
        ),
        _ => (
            "o",
            "o.place",
            "",
            "o.version_id, CAST(NULL AS TEXT), o.size, o.wrapped_key, o.sealed_meta, o.header, o.is_inline, o.parts, \
             o.sealed_crc, o.row_crc, o.key_version",
        ),
    };
    let order = format!("{owner}.tenant_id, {owner}.bucket, {owner}.object_key, {place}{part}");
    let (mut limits, mut values) = limited(only, owner);
    if let Some(after) = after {
        let first = values.len() + 1;
        for text in [&after.tenant, &after.bucket, &after.key] {
            values.push(text.into());
        }
        values.push(after.place.into());
        if table == Stored::UnderWay {
            values.push((&after.part).into());
        }
        let places: Vec<String> = (first..=values.len()).map(|n| format!("${n}")).collect();
        limits.push_str(&format!(" AND ({order}) > ({})", places.join(", ")));
    }
    values.push(limit.into());
    let sql = format!(
        "SELECT {owner}.tenant_id, {owner}.bucket, {owner}.object_key, {place}, {columns} FROM {}{limits} \
         ORDER BY {order} LIMIT ${}",
        table.from(),
        values.len()
    );
    tx.query(&sql, &values)?.iter().map(scrub_row).collect()
}

fn scrub_row(r: &Row) -> Result<ScrubRow, StoreError> {
    Ok(ScrubRow {
        tenant: r.parsed(0, TenantId::parse)?,
        bucket: r.parsed(1, BucketName::parse)?,
        key: r.parsed(2, ObjectKey::parse)?,
        place: r.int(3)?,
        version: r.parsed(4, ObjectVersionId::parse)?,
        part: match r.opt_text(5)? {
            Some(_) => Some(r.parsed(5, ObjectVersionId::parse)?),
            None => None,
        },
        size: r.uint(6)?,
        wrapped_key: r.blob(7)?.to_vec(),
        sealed_meta: r.blob(8)?.to_vec(),
        header: r.blob(9)?.to_vec(),
        inline: r.int(10)? == 1,
        parts: r.uint(11)?,
        sealed_crc: r.opt_int(12)?,
        row_crc: r.opt_int(13)?,
        key_version: r.int(14)?,
    })
}

/// Versions with content whose ids follow `from`, in the order of the ids, each with its bucket's region.
pub(super) fn versions_from(
    tx: &mut Tx<'_>,
    table: Stored,
    from: &str,
    limit: i64,
) -> Result<Vec<(ScrubRow, RegionId)>, StoreError> {
    let sql = format!(
        "SELECT o.tenant_id, o.bucket, o.object_key, o.place, o.version_id, CAST(NULL AS TEXT), o.size, o.wrapped_key, \
         o.sealed_meta, o.header, o.is_inline, o.parts, o.sealed_crc, o.row_crc, o.key_version, \
         (SELECT region FROM bucket b WHERE b.bucket = o.bucket) FROM {} AND o.version_id >= $1 \
         ORDER BY o.version_id LIMIT $2",
        table.from()
    );
    let all = tx.query(&sql, &[from.into(), limit.into()])?;
    all.iter().map(|r| Ok((scrub_row(r)?, r.parsed(15, RegionId::parse)?))).collect()
}

/// Gives a version another wrap of the same data key and other bytes for the same metadata, if it still has those that were
/// read.
pub(super) fn replace_wrap(
    tx: &mut TenantTx<'_, '_>,
    row: &ScrubRow,
    (wrapped, sealed, key_version): (&[u8], &[u8], i64),
) -> Result<bool, StoreError> {
    // A row from before checksums gets none: what is in it now was not looked at when it was written.
    let crc = row.row_crc.map(|_| scrub::row_crc(row.size, wrapped, sealed, &row.header));
    for table in ["object", "object_version"] {
        let changed = tx.execute(
            &format!(
                "UPDATE {table} SET wrapped_key = $3, sealed_meta = $4, key_version = $5, row_crc = $6 \
                 WHERE tenant_id = $1 AND version_id = $2 AND wrapped_key = $7 AND sealed_meta = $8"
            ),
            &[
                row.version.as_str().into(),
                wrapped.into(),
                sealed.into(),
                key_version.into(),
                crc.into(),
                (&row.wrapped_key).into(),
                (&row.sealed_meta).into(),
            ],
        )?;
        if changed == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An upload under way: bucket, key, id, and what is sealed.
pub(super) struct SealedUpload {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) id: String,
    pub(super) row: UploadRow,
}

/// Uploads under way after a place, in the order of bucket, key and id.
pub(super) fn sealed_uploads(
    tx: &mut TenantTx<'_, '_>,
    (bucket, key, id): (&str, &str, &str),
    limit: i64,
) -> Result<Vec<SealedUpload>, StoreError> {
    tx.query(
        "SELECT bucket, object_key, upload_id, version_id, key_version, wrapped_key, sealed_meta FROM upload \
         WHERE tenant_id = $1 AND (bucket, object_key, upload_id) > ($2, $3, $4) \
         ORDER BY bucket, object_key, upload_id LIMIT $5",
        &[bucket.into(), key.into(), id.into(), limit.into()],
    )?
    .iter()
    .map(|r| {
        Ok(SealedUpload {
            bucket: r.parsed(0, BucketName::parse)?,
            key: r.parsed(1, ObjectKey::parse)?,
            id: r.text(2)?.to_owned(),
            row: UploadRow {
                version: r.parsed(3, ObjectVersionId::parse)?,
                key_version: r.int(4)?,
                wrapped_key: r.blob(5)?.to_vec(),
                sealed_meta: r.blob(6)?.to_vec(),
            },
        })
    })
    .collect()
}

pub(super) fn replace_upload_wrap(
    tx: &mut TenantTx<'_, '_>,
    upload: &SealedUpload,
    (wrapped, sealed, key_version): (&[u8], &[u8], i64),
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE upload SET wrapped_key = $3, sealed_meta = $4, key_version = $5 \
         WHERE tenant_id = $1 AND upload_id = $2 AND wrapped_key = $6 AND sealed_meta = $7",
        &[
            (&upload.id).into(),
            wrapped.into(),
            sealed.into(),
            key_version.into(),
            (&upload.row.wrapped_key).into(),
            (&upload.row.sealed_meta).into(),
        ],
    )?;
    Ok(changed == 1)
}

/// Where sealed digests of parts lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PartsOf {
    /// In uploads under way.
    Uploads,
    /// In objects that were put together.
    Objects,
}

impl PartsOf {
    pub(super) const ALL: [Self; 2] = [Self::Uploads, Self::Objects];

    /// The table, the column of what a part belongs to, and how its bucket is found.
    const fn place(self) -> [&'static str; 3] {
        match self {
            Self::Uploads => [
                "upload_part",
                "upload_id",
                "(SELECT bucket FROM upload u WHERE u.tenant_id = o.tenant_id AND u.upload_id = o.upload_id)",
            ],
            Self::Objects => [
                "object_part",
                "version_id",
                "coalesce((SELECT bucket FROM object u WHERE u.version_id = o.version_id), \
                 (SELECT bucket FROM object_version u WHERE u.version_id = o.version_id))",
            ],
        }
    }
}

/// The sealed digests of a part.
pub(super) struct SealedPart {
    /// The upload, or the object's version.
    pub(super) of: String,
    pub(super) number: i64,
    pub(super) bucket: BucketName,
    pub(super) id: ObjectVersionId,
    pub(super) sealed: Vec<u8>,
}

/// Parts with digests after a place: what they belong to, and the number.
pub(super) fn sealed_parts(
    tx: &mut TenantTx<'_, '_>,
    parts: PartsOf,
    (of, number): (&str, i64),
    limit: i64,
) -> Result<Vec<SealedPart>, StoreError> {
    let [table, whole, bucket] = parts.place();
    let sql = format!(
        "SELECT o.{whole}, o.part_number, {bucket}, o.part_id, o.sealed_digests FROM {table} o \
         WHERE o.tenant_id = $1 AND (o.{whole}, o.part_number) > ($2, $3) AND o.sealed_digests IS NOT NULL \
         ORDER BY o.{whole}, o.part_number LIMIT $4"
    );
    tx.query(&sql, &[of.into(), number.into(), limit.into()])?
        .iter()
        .map(|r| {
            Ok(SealedPart {
                of: r.text(0)?.to_owned(),
                number: r.int(1)?,
                bucket: r.parsed(2, BucketName::parse)?,
                id: r.parsed(3, ObjectVersionId::parse)?,
                sealed: r.blob(4)?.to_vec(),
            })
        })
        .collect()
}

pub(super) fn reseal_part(
    tx: &mut TenantTx<'_, '_>,
    parts: PartsOf,
    part: &ObjectVersionId,
    (before, after): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let [table, ..] = parts.place();
    let sql = format!(
        "UPDATE {table} SET sealed_digests = $4 WHERE tenant_id = $1 AND part_id = $2 AND sealed_digests = $3"
    );
    Ok(tx.execute(&sql, &[part.as_str().into(), before.into(), after.into()])? == 1)
}

/// Certificates of destruction after one of them, sealed.
pub(super) fn sealed_destructions(
    tx: &mut TenantTx<'_, '_>,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    tx.query(
        "SELECT record_index, sealed FROM destruction WHERE tenant_id = $1 AND record_index > $2 \
         ORDER BY record_index LIMIT $3",
        &[after.into(), limit.into()],
    )?
    .iter()
    .map(|r| Ok((r.int(0)?, r.blob(1)?.to_vec())))
    .collect()
}

pub(super) fn reseal_destruction(
    tx: &mut TenantTx<'_, '_>,
    record: i64,
    (before, after): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let sql = "UPDATE destruction SET sealed = $4 WHERE tenant_id = $1 AND record_index = $2 AND sealed = $3";
    Ok(tx.execute(sql, &[record.into(), before.into(), after.into()])? == 1)
}

/// How many versions and uploads lie under a version of the tenant's key. Walks all of them: asked before one is destroyed.
pub(super) fn under(tx: &mut TenantTx<'_, '_>, key_version: i64) -> Result<u64, StoreError> {
    let mut all = 0;
    for table in ["object", "object_version", "upload", "paper"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE tenant_id = $1 AND key_version = $2");
        all += tx.query_opt(&sql, &[key_version.into()])?.map_or(Ok(0), |r| r.uint(0))?;
    }
    Ok(all)
}

/// The bytes of a small object.
pub(super) fn inline_bytes(
    tx: &mut Tx<'_>,
    version: &ObjectVersionId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT sealed_bytes FROM object_inline WHERE version_id = $1";
    tx.query_opt(sql, &[version.as_str().into()])?.map(|r| Ok(r.blob(0)?.to_vec())).transpose()
}

/// Parts of an object.
pub(super) fn parts_to_scrub(tx: &mut Tx<'_>, version: &ObjectVersionId) -> Result<Vec<PartRow>, StoreError> {
    tx.query(
        "SELECT part_number, part_id, size, header, sealed_crc FROM object_part WHERE version_id = $1 \
         ORDER BY part_number",
        &[version.as_str().into()],
    )?
    .iter()
    .map(read_part)
    .collect()
}

/// Whether what was looked at is still stored there.
pub(super) fn still_there(
    tx: &mut Tx<'_>,
    table: Stored,
    version: &ObjectVersionId,
    part: Option<&ObjectVersionId>,
    row_crc: Option<i64>,
) -> Result<bool, StoreError> {
    if let (Stored::UnderWay, Some(part)) = (table, part) {
        let sql = "SELECT 1 FROM upload_part WHERE part_id = $1";
        return Ok(!tx.query(sql, &[part.as_str().into()])?.is_empty());
    }
    let sql = match table {
        Stored::Former => "SELECT row_crc FROM object_version WHERE version_id = $1",
        Stored::Paper => "SELECT row_crc FROM paper WHERE version_id = $1",
        _ => "SELECT row_crc FROM object WHERE version_id = $1",
    };
    // A row that was written anew since, by an append or with other tags, is not the one that was looked at.
    let row = tx.query_opt(sql, &[version.as_str().into()])?;
    row.map_or(Ok(false), |r| Ok(r.opt_int(0)? == row_crc))
}
