//! SQL of trails.

use bailee_store::{Row, StoreError, TenantTx};
use bailee_types::{BucketName, Timestamp};

use super::{Status, Trail, TrailFamily, TrailSettings};

const COLUMNS: &str = "SELECT name, status, event_rw, trail_region, oss_bucket, oss_prefix, oss_role_arn, \
     created_at_ms, updated_at_ms, started_at_ms, stopped_at_ms, next_record, delivered_at_ms, failed_at_ms, \
     last_error FROM trail WHERE tenant_id = $1 AND family = $2";

fn read(family: TrailFamily, r: &Row) -> Result<Trail, StoreError> {
    let time = |n: usize| Ok::<_, StoreError>(r.opt_int(n)?.map(Timestamp::from_ms));
    Ok(Trail {
        family,
        name: r.text(0)?.to_owned(),
        status: match r.text(1)? {
            "Fresh" => Status::Fresh,
            "Enable" => Status::Enable,
            _ => Status::Disable,
        },
        settings: TrailSettings {
            event_rw: r.text(2)?.to_owned(),
            trail_region: r.text(3)?.to_owned(),
            bucket: r.parsed(4, BucketName::parse)?,
            prefix: r.text(5)?.to_owned(),
            role_arn: r.text(6)?.to_owned(),
        },
        created_at: Timestamp::from_ms(r.int(7)?),
        updated_at: Timestamp::from_ms(r.int(8)?),
        started_at: time(9)?,
        stopped_at: time(10)?,
        next_record: r.uint(11)?,
        delivered_at: time(12)?,
        failed: time(13)?.zip(r.opt_text(14)?.map(str::to_owned)),
    })
}

pub(super) fn all(tx: &mut TenantTx<'_, '_>, family: TrailFamily) -> Result<Vec<Trail>, StoreError> {
    tx.query(&format!("{COLUMNS} ORDER BY name"), &[family.word().into()])?
        .iter()
        .map(|r| read(family, r))
        .collect()
}

pub(in crate::trail) fn one(
    tx: &mut TenantTx<'_, '_>,
    family: TrailFamily,
    name: &str,
) -> Result<Option<Trail>, StoreError> {
    tx.query_opt(&format!("{COLUMNS} AND name = $3"), &[family.word().into(), name.into()])?
        .map(|r| read(family, &r))
        .transpose()
}

pub(super) fn insert(
    tx: &mut TenantTx<'_, '_>,
    family: TrailFamily,
    name: &str,
    s: &TrailSettings,
    from: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail (tenant_id, family, name, status, event_rw, trail_region, oss_bucket, oss_prefix, \
         oss_role_arn, created_at_ms, updated_at_ms, next_record) \
         VALUES ($1, $2, $3, 'Fresh', $4, $5, $6, $7, $8, $9, $9, $10)",
        &[
            family.word().into(),
            name.into(),
            (&s.event_rw).into(),
            (&s.trail_region).into(),
            s.bucket.as_str().into(),
            (&s.prefix).into(),
            (&s.role_arn).into(),
            now.ms().into(),
            (from as i64).into(),
        ],
    )
    .map(drop)
}

pub(super) fn update(
    tx: &mut TenantTx<'_, '_>,
    family: TrailFamily,
    name: &str,
    s: &TrailSettings,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE trail SET event_rw = $4, trail_region = $5, oss_bucket = $6, oss_prefix = $7, oss_role_arn = $8, \
         updated_at_ms = $9 WHERE tenant_id = $1 AND family = $2 AND name = $3",
        &[
            family.word().into(),
            name.into(),
            (&s.event_rw).into(),
            (&s.trail_region).into(),
            s.bucket.as_str().into(),
            (&s.prefix).into(),
            (&s.role_arn).into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

pub(super) fn start(
    tx: &mut TenantTx<'_, '_>,
    family: TrailFamily,
    name: &str,
    from: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE trail SET status = 'Enable', started_at_ms = $4, next_record = $5 \
         WHERE tenant_id = $1 AND family = $2 AND name = $3",
        &[family.word().into(), name.into(), now.ms().into(), (from as i64).into()],
    )
    .map(drop)
}

pub(super) fn stop(
    tx: &mut TenantTx<'_, '_>,
    family: TrailFamily,
    name: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE trail SET status = 'Disable', stopped_at_ms = $4 \
         WHERE tenant_id = $1 AND family = $2 AND name = $3",
        &[family.word().into(), name.into(), now.ms().into()],
    )
    .map(drop)
}

/// Ends all delivery of a tenant's events.
pub(super) fn delete_all(tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
    for table in ["trail", "trail_sink"] {
        tx.execute(&format!("DELETE FROM {table} WHERE tenant_id = $1"), &[])?;
    }
    Ok(())
}

pub(super) fn delete(tx: &mut TenantTx<'_, '_>, family: TrailFamily, name: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM trail WHERE tenant_id = $1 AND family = $2 AND name = $3",
        &[family.word().into(), name.into()],
    )
    .map(drop)
}
