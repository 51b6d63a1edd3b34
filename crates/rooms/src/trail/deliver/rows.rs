//! SQL of delivery. Trails are made and changed in `trails::rows`; here they are leased and moved on.

use bailee_store::{Row, StoreError, TenantTx, Tx, Value};
use bailee_types::{TenantId, Timestamp};

use super::{LEASE_MS, Sink, SinkFormat, SinkKind, Target, pause_ms, short};
use crate::trail::Family;
use crate::trail::trails::{self, TrailFamily};

/// Targets that are on and not resting after a failure.
pub(super) fn due(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<(TenantId, Target)>, StoreError> {
    let found = tx.query(
        "SELECT tenant_id, family, name FROM trail WHERE (status = 'Enable' OR family = 'inner') \
         AND retry_at_ms <= $1 ORDER BY tenant_id, family, name",
        &[now.ms().into()],
    )?;
    let mut targets = Vec::new();
    for row in &found {
        let tenant = row.parsed(0, TenantId::parse)?;
        let family = if row.text(1)? == "inner" { TrailFamily::Inner } else { TrailFamily::Management };
        let trail = trails::one_trail(&mut tx.tenant(&tenant), family, row.text(2)?)?;
        targets.extend(trail.map(|t| (tenant, Target::Trail(Box::new(t)))));
    }
    let found = tx.query(
        &format!(
            "SELECT tenant_id, {COLUMNS} FROM trail_sink WHERE retry_at_ms <= $1 ORDER BY tenant_id, name"
        ),
        &[now.ms().into()],
    )?;
    for row in &found {
        targets.push((row.parsed(0, TenantId::parse)?, Target::Sink(Box::new(read(row, 1)?))));
    }
    Ok(targets)
}

/// The table, what names the row in it, and its parameters from `$2` on.
fn place(target: &Target) -> (&'static str, &'static str, [String; 2]) {
    match target {
        Target::Trail(t) => {
            ("trail", "family = $2 AND name = $3", [t.family.word().to_owned(), t.name.clone()])
        }
        Target::Sink(s) => {
            ("trail_sink", "kind = $2 AND name = $3", [s.kind.word().to_owned(), s.name.clone()])
        }
    }
}

/// Takes a target for a while; `false` when another process has it.
pub(super) fn lease(
    tx: &mut TenantTx<'_, '_>,
    target: &Target,
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (table, which, [a, b]) = place(target);
    let changed = tx.execute(
        &format!(
            "UPDATE {table} SET lease_by = $4, lease_until_ms = $5 WHERE tenant_id = $1 AND {which} \
             AND next_record = $6 AND (lease_by = $4 OR lease_until_ms <= $7)"
        ),
        &[
            (&a).into(),
            (&b).into(),
            by.into(),
            now.plus_ms(LEASE_MS).ms().into(),
            (target.next_record() as i64).into(),
            now.ms().into(),
        ],
    )?;
    Ok(changed == 1)
}

/// The cursor goes from `from` to `to` if it still stands there and the lease is ours.
pub(super) fn advance(
    tx: &mut TenantTx<'_, '_>,
    target: &Target,
    by: &str,
    (from, to): (u64, u64),
    delivered: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (table, which, [a, b]) = place(target);
    let delivered: Value<'_> = delivered.map_or(Value::Null, |at| at.ms().into());
    let changed = tx.execute(
        &format!(
            "UPDATE {table} SET next_record = $5, delivered_at_ms = coalesce($7, delivered_at_ms), \
             failed_at_ms = NULL, last_error = NULL, failures = 0, lease_until_ms = $8 \
             WHERE tenant_id = $1 AND {which} AND next_record = $4 AND lease_by = $6"
        ),
        &[
            (&a).into(),
            (&b).into(),
            (from as i64).into(),
            (to as i64).into(),
            by.into(),
            delivered,
            now.plus_ms(LEASE_MS).ms().into(),
        ],
    )?;
    Ok(changed == 1)
}

/// Gives a target back, with why it failed.
pub(super) fn release(
    tx: &mut TenantTx<'_, '_>,
    target: &Target,
    by: &str,
    failed: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (table, which, [a, b]) = place(target);
    tx.execute(
        &format!("UPDATE {table} SET lease_by = '', lease_until_ms = 0 WHERE tenant_id = $1 AND {which} AND lease_by = $4"),
        &[(&a).into(), (&b).into(), by.into()],
    )?;
    let Some(why) = failed.map(short) else { return Ok(()) };
    let sql = format!("SELECT failures FROM {table} WHERE tenant_id = $1 AND {which}");
    let failures = tx.query_opt(&sql, &[(&a).into(), (&b).into()])?.map_or(Ok(0), |r| r.uint(0))?;
    tx.execute(
        &format!(
            "UPDATE {table} SET failures = failures + 1, failed_at_ms = $4, last_error = $5, retry_at_ms = $6 \
             WHERE tenant_id = $1 AND {which}"
        ),
        &[
            (&a).into(),
            (&b).into(),
            now.ms().into(),
            (&why).into(),
            now.plus_ms(pause_ms(failures)).ms().into(),
        ],
    )
    .map(drop)
}

const COLUMNS: &str = "name, kind, address, format, family, sealed_secret, roots, created_at_ms, next_record, \
     delivered_at_ms, failed_at_ms, last_error, failures";

fn read(r: &Row, at: usize) -> Result<Sink, StoreError> {
    let time = |n: usize| Ok::<_, StoreError>(r.opt_int(at + n)?.map(Timestamp::from_ms));
    Ok(Sink {
        name: r.text(at)?.to_owned(),
        kind: if r.text(at + 1)? == "syslog" { SinkKind::Syslog } else { SinkKind::Webhook },
        address: r.text(at + 2)?.to_owned(),
        format: SinkFormat::parse(r.text(at + 3)?).unwrap_or(SinkFormat::CloudEvents),
        family: match r.text(at + 4)? {
            "own" => Some(Family::Own),
            "platform" => Some(Family::Platform),
            _ => None,
        },
        sealed_secret: r.blob(at + 5)?.to_vec(),
        roots: r.text(at + 6)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(at + 7)?),
        next_record: r.uint(at + 8)?,
        delivered_at: time(9)?,
        failed: time(10)?.zip(r.opt_text(at + 11)?.map(str::to_owned)),
        failures: r.uint(at + 12)?,
        waiting: 0,
    })
}

pub(super) fn sinks(tx: &mut TenantTx<'_, '_>) -> Result<Vec<Sink>, StoreError> {
    tx.query(&format!("SELECT {COLUMNS} FROM trail_sink WHERE tenant_id = $1 ORDER BY name"), &[])?
        .iter()
        .map(|r| read(r, 0))
        .collect()
}

pub(super) fn insert(tx: &mut TenantTx<'_, '_>, sink: &Sink) -> Result<(), StoreError> {
    let family = match sink.family {
        Some(Family::Own) => "own",
        Some(Family::Platform) => "platform",
        None => "all",
    };
    tx.execute(
        "INSERT INTO trail_sink (tenant_id, name, kind, address, format, family, sealed_secret, roots, \
         created_at_ms, next_record) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&sink.name).into(),
            sink.kind.word().into(),
            (&sink.address).into(),
            sink.format.word().into(),
            family.into(),
            (&sink.sealed_secret).into(),
            (&sink.roots).into(),
            sink.created_at.ms().into(),
            (sink.next_record as i64).into(),
        ],
    )
    .map(drop)
}

pub(super) fn delete(tx: &mut TenantTx<'_, '_>, name: &str) -> Result<bool, StoreError> {
    let changed = tx.execute("DELETE FROM trail_sink WHERE tenant_id = $1 AND name = $2", &[name.into()])?;
    Ok(changed == 1)
}

/// The cursor is set; whoever is at it finds it moved and stops.
pub(super) fn replay(tx: &mut TenantTx<'_, '_>, name: &str, from: u64) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE trail_sink SET next_record = $3, failures = 0, retry_at_ms = 0 WHERE tenant_id = $1 AND name = $2",
        &[name.into(), (from as i64).into()],
    )?;
    Ok(changed == 1)
}

/// Gives a sink other bytes for its secret, if it still has those that were read.
pub(super) fn reseal(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
    (before, after): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let sql =
        "UPDATE trail_sink SET sealed_secret = $4 WHERE tenant_id = $1 AND name = $2 AND sealed_secret = $3";
    Ok(tx.execute(sql, &[name.into(), before.into(), after.into()])? == 1)
}
