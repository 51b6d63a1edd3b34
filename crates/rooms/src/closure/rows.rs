//! The SQL of closures.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantId, Timestamp};

use super::{Closure, ClosureState};

const COLUMNS: &str = "tenant_id, asked_at_ms, due_at_ms, state, sealed_report";

fn read(r: &Row) -> Result<(TenantId, Closure), StoreError> {
    Ok((
        r.parsed(0, TenantId::parse)?,
        Closure {
            asked_at: Timestamp::from_ms(r.int(1)?),
            due_at: Timestamp::from_ms(r.int(2)?),
            state: r.parsed(3, |w| ClosureState::parse(w).ok_or("the state of a closure"))?,
            sealed_report: r.opt_blob(4)?.map(<[u8]>::to_vec),
        },
    ))
}

pub(super) fn one(tx: &mut TenantTx<'_, '_>) -> Result<Option<Closure>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM account_closure WHERE tenant_id = $1");
    Ok(tx.query_opt(&sql, &[])?.as_ref().map(read).transpose()?.map(|(_, c)| c))
}

pub(super) fn by_receipt(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
) -> Result<Option<(TenantId, Closure)>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM account_closure WHERE receipt_hash = $1");
    tx.query_opt(&sql, &[hash.as_slice().into()])?.as_ref().map(read).transpose()
}

pub(super) fn insert(
    tx: &mut TenantTx<'_, '_>,
    c: &Closure,
    receipt_hash: &[u8; 32],
) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO account_closure (tenant_id, asked_at_ms, due_at_ms, state, receipt_hash) \
         VALUES ($1, $2, $3, 'waiting', $4) ON CONFLICT DO NOTHING",
        &[c.asked_at.ms().into(), c.due_at.ms().into(), receipt_hash.as_slice().into()],
    )?;
    Ok(added == 1)
}

/// Whether it was waiting.
pub(super) fn call_back(tx: &mut TenantTx<'_, '_>) -> Result<bool, StoreError> {
    let sql = "DELETE FROM account_closure WHERE tenant_id = $1 AND state = 'waiting'";
    Ok(tx.execute(sql, &[])? == 1)
}

pub(super) fn set(
    tx: &mut TenantTx<'_, '_>,
    state: ClosureState,
    due_at: Timestamp,
    sealed_report: Option<&[u8]>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE account_closure SET state = $2, due_at_ms = $3, sealed_report = coalesce($4, sealed_report) \
         WHERE tenant_id = $1 AND state <> 'closed'",
        &[state.word().into(), due_at.ms().into(), sealed_report.into()],
    )
    .map(drop)
}

pub(super) fn due(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<TenantId>, StoreError> {
    tx.query(
        "SELECT tenant_id FROM account_closure WHERE state <> 'closed' AND due_at_ms <= $1 ORDER BY due_at_ms LIMIT 100",
        &[now.ms().into()],
    )?
    .iter()
    .map(|r| r.parsed(0, TenantId::parse))
    .collect()
}

/// Gives the report other bytes, if it still has those that were read.
pub(super) fn reseal(tx: &mut TenantTx<'_, '_>, (before, after): (&[u8], &[u8])) -> Result<bool, StoreError> {
    let sql = "UPDATE account_closure SET sealed_report = $3 WHERE tenant_id = $1 AND sealed_report = $2";
    Ok(tx.execute(sql, &[before.into(), after.into()])? == 1)
}
