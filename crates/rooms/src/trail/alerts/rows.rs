//! SQL of alerts.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantId, Timestamp};

use super::{Alert, AlertKind};

/// Logs with records that were not looked at, and the first of them.
pub(super) fn grown(tx: &mut Tx<'_>) -> Result<Vec<(TenantId, u64)>, StoreError> {
    tx.query(
        "SELECT l.tenant_id, coalesce(a.next_record, 0) FROM trail_log l \
         LEFT JOIN trail_alerting a ON a.tenant_id = l.tenant_id \
         WHERE l.size > coalesce(a.next_record, 0) ORDER BY l.tenant_id",
        &[],
    )?
    .iter()
    .map(|r| Ok((r.parsed(0, TenantId::parse)?, r.uint(1)?)))
    .collect()
}

/// Logs whose newest record is from before `before` and not signed, or not in the head log, and their sizes.
pub(super) fn behind(tx: &mut Tx<'_>, before: Timestamp) -> Result<Vec<(TenantId, u64)>, StoreError> {
    tx.query(
        "SELECT tenant_id, size FROM trail_log WHERE size > signed_size AND last_time_ms < $1 \
         UNION SELECT tenant_id, size FROM trail_log WHERE signed_size > head_size AND last_time_ms < $1",
        &[before.ms().into()],
    )?
    .iter()
    .map(|r| Ok((r.parsed(0, TenantId::parse)?, r.uint(1)?)))
    .collect()
}

/// The cursor goes from `from` to `to`, if it still stands there.
pub(super) fn advance(tx: &mut TenantTx<'_, '_>, from: u64, to: u64) -> Result<bool, StoreError> {
    if from == 0 {
        let made = tx.execute(
            "INSERT INTO trail_alerting (tenant_id, next_record) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[(to as i64).into()],
        )?;
        if made == 1 {
            return Ok(true);
        }
    }
    let changed = tx.execute(
        "UPDATE trail_alerting SET next_record = $3 WHERE tenant_id = $1 AND next_record = $2",
        &[(from as i64).into(), (to as i64).into()],
    )?;
    Ok(changed == 1)
}

/// Kinds that the tenant does not want.
pub(super) fn muted(tx: &mut TenantTx<'_, '_>) -> Result<Vec<AlertKind>, StoreError> {
    let row = tx.query_opt("SELECT muted FROM trail_alerting WHERE tenant_id = $1", &[])?;
    let Some(row) = row else { return Ok(Vec::new()) };
    Ok(row.text(0)?.split(',').filter_map(AlertKind::parse).collect())
}

pub(super) fn set_muted(tx: &mut TenantTx<'_, '_>, muted: &[AlertKind]) -> Result<(), StoreError> {
    let words: Vec<&str> = muted.iter().map(|k| k.word()).collect();
    tx.execute(
        "INSERT INTO trail_alerting (tenant_id, next_record, muted) VALUES ($1, 0, $2) \
         ON CONFLICT (tenant_id) DO UPDATE SET muted = excluded.muted",
        &[words.join(",").as_str().into()],
    )
    .map(drop)
}

/// Raises an alert, if there is none for this record yet; answers how many were raised.
pub(super) fn raise(
    tx: &mut TenantTx<'_, '_>,
    kind: AlertKind,
    record: u64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(alert), 0) + 1 FROM trail_alert WHERE tenant_id = $1";
    let number = tx.query_opt(sql, &[])?.map_or(Ok(1), |r| r.int(0))?;
    tx.execute(
        "INSERT INTO trail_alert (tenant_id, alert, kind, record_index, raised_at_ms) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant_id, kind, record_index) DO NOTHING",
        &[number.into(), kind.word().into(), (record as i64).into(), now.ms().into()],
    )
}

/// Alerts before a number, newest first.
pub(super) fn page(
    tx: &mut TenantTx<'_, '_>,
    open_only: bool,
    before: u64,
    limit: u32,
) -> Result<Vec<Alert>, StoreError> {
    let which = if open_only { "AND acknowledged_at_ms IS NULL " } else { "" };
    tx.query(
        &format!(
            "SELECT alert, kind, record_index, raised_at_ms, acknowledged_at_ms, acknowledged_by FROM trail_alert \
             WHERE tenant_id = $1 AND alert < $2 {which}ORDER BY alert DESC LIMIT $3"
        ),
        &[i64::try_from(before).unwrap_or(i64::MAX).into(), i64::from(limit).into()],
    )?
    .iter()
    .map(read)
    .collect()
}

fn read(r: &Row) -> Result<Alert, StoreError> {
    let at = r.opt_int(4)?.map(Timestamp::from_ms);
    Ok(Alert {
        number: r.uint(0)?,
        kind: r.parsed(1, |w| AlertKind::parse(w).ok_or("a kind of alert"))?,
        record: r.uint(2)?,
        raised_at: Timestamp::from_ms(r.int(3)?),
        acknowledged: at.zip(r.opt_text(5)?.map(str::to_owned)),
    })
}

pub(super) fn open_count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM trail_alert WHERE tenant_id = $1 AND acknowledged_at_ms IS NULL";
    tx.query_opt(sql, &[])?.map_or(Ok(0), |r| r.uint(0))
}

/// Acknowledges one alert, or all up to it; answers how many.
pub(super) fn acknowledge(
    tx: &mut TenantTx<'_, '_>,
    number: u64,
    and_before: bool,
    by: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let which = if and_before { "alert <= $2" } else { "alert = $2" };
    tx.execute(
        &format!(
            "UPDATE trail_alert SET acknowledged_at_ms = $3, acknowledged_by = $4 \
             WHERE tenant_id = $1 AND {which} AND acknowledged_at_ms IS NULL"
        ),
        &[i64::try_from(number).unwrap_or(i64::MAX).into(), now.ms().into(), by.into()],
    )
}
