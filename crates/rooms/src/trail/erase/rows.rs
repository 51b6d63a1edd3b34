//! SQL of erasures, retention and holds.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantId, Timestamp};

use super::hold::{Hold, HoldScope};

/// The text of a record goes; the record `erasure` says why.
pub(super) fn erase(tx: &mut TenantTx<'_, '_>, index: u64, erasure: u64) -> Result<(), StoreError> {
    let nothing: &[u8] = &[];
    tx.execute(
        "UPDATE trail_record SET sealed_opening = $3 WHERE tenant_id = $1 AND record_index = $2",
        &[(index as i64).into(), nothing.into()],
    )?;
    tx.execute(
        "INSERT INTO trail_erased (tenant_id, record_index, erasure_index) VALUES ($1, $2, $3)",
        &[(index as i64).into(), (erasure as i64).into()],
    )
    .map(drop)
}

/// The filter over what a block said goes with what is erased.
pub(super) fn forget_summary(tx: &mut TenantTx<'_, '_>, block: u64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM trail_block WHERE tenant_id = $1 AND block_index = $2", &[(block as i64).into()])
        .map(drop)
}

/// Records `from..to` that are erased, each with the record of its erasure.
pub(in crate::trail) fn erased(
    tx: &mut TenantTx<'_, '_>,
    from: u64,
    to: u64,
) -> Result<Vec<(u64, u64)>, StoreError> {
    tx.query(
        "SELECT record_index, erasure_index FROM trail_erased WHERE tenant_id = $1 AND record_index >= $2 \
         AND record_index < $3 ORDER BY record_index",
        &[(from as i64).into(), (to as i64).into()],
    )?
    .iter()
    .map(|r| Ok((r.uint(0)?, r.uint(1)?)))
    .collect()
}

/// Whether a record is erased.
pub(in crate::trail) fn is_erased(tx: &mut TenantTx<'_, '_>, index: u64) -> Result<bool, StoreError> {
    Ok(!erased(tx, index, index + 1)?.is_empty())
}

/// Days, and the first record that age was not asked of.
pub(super) fn retention(tx: &mut TenantTx<'_, '_>) -> Result<Option<(u32, u64)>, StoreError> {
    tx.query_opt("SELECT days, next_record FROM trail_retention WHERE tenant_id = $1", &[])?
        .map(|r| Ok((u32::try_from(r.int(0)?).unwrap_or(u32::MAX), r.uint(1)?)))
        .transpose()
}

pub(super) fn set_retention(tx: &mut TenantTx<'_, '_>, days: Option<u32>) -> Result<(), StoreError> {
    let Some(days) = days else {
        return tx.execute("DELETE FROM trail_retention WHERE tenant_id = $1", &[]).map(drop);
    };
    // What was skipped for a longer period or a hold is looked at again.
    tx.execute(
        "INSERT INTO trail_retention (tenant_id, days, next_record) VALUES ($1, $2, 0) \
         ON CONFLICT (tenant_id) DO UPDATE SET days = excluded.days, next_record = 0",
        &[i64::from(days).into()],
    )
    .map(drop)
}

pub(super) fn advance_retention(tx: &mut TenantTx<'_, '_>, next: u64) -> Result<(), StoreError> {
    tx.execute("UPDATE trail_retention SET next_record = $2 WHERE tenant_id = $1", &[(next as i64).into()])
        .map(drop)
}

/// Ages are asked from the first record on again.
pub(super) fn look_again(tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
    tx.execute("UPDATE trail_retention SET next_record = 0 WHERE tenant_id = $1", &[]).map(drop)
}

/// Tenants whose events go by age.
pub(super) fn retained(tx: &mut Tx<'_>) -> Result<Vec<TenantId>, StoreError> {
    tx.query("SELECT tenant_id FROM trail_retention ORDER BY tenant_id", &[])?
        .iter()
        .map(|r| r.parsed(0, TenantId::parse))
        .collect()
}

pub(super) fn next_hold(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(hold), 0) + 1 FROM trail_hold WHERE tenant_id = $1";
    tx.query_opt(sql, &[])?.map_or(Ok(1), |r| r.uint(0))
}

pub(super) fn insert_hold(tx: &mut TenantTx<'_, '_>, hold: &Hold) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail_hold (tenant_id, hold, placed_by, by_provider, reference, reason, from_ms, to_ms, \
         resource, placed_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (hold.number as i64).into(),
            (&hold.placed_by).into(),
            hold.by_provider.into(),
            (&hold.reference).into(),
            (&hold.reason).into(),
            hold.scope.from.ms().into(),
            hold.scope.to.ms().into(),
            (&hold.scope.resource).into(),
            hold.placed_at.ms().into(),
        ],
    )
    .map(drop)
}

/// Ends a hold; answers whether it held.
pub(super) fn lift_hold(tx: &mut TenantTx<'_, '_>, number: u64, now: Timestamp) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE trail_hold SET lifted_at_ms = $3 WHERE tenant_id = $1 AND hold = $2 AND lifted_at_ms IS NULL",
        &[(number as i64).into(), now.ms().into()],
    )?;
    Ok(changed == 1)
}

pub(super) fn holds(tx: &mut TenantTx<'_, '_>, live_only: bool) -> Result<Vec<Hold>, StoreError> {
    let which = if live_only { "AND lifted_at_ms IS NULL " } else { "" };
    tx.query(
        &format!(
            "SELECT hold, placed_by, by_provider, reference, reason, from_ms, to_ms, resource, placed_at_ms, \
             lifted_at_ms FROM trail_hold WHERE tenant_id = $1 {which}ORDER BY hold DESC"
        ),
        &[],
    )?
    .iter()
    .map(read_hold)
    .collect()
}

fn read_hold(r: &Row) -> Result<Hold, StoreError> {
    Ok(Hold {
        number: r.uint(0)?,
        placed_by: r.text(1)?.to_owned(),
        by_provider: r.int(2)? == 1,
        reference: r.text(3)?.to_owned(),
        reason: r.text(4)?.to_owned(),
        scope: HoldScope {
            from: Timestamp::from_ms(r.int(5)?),
            to: Timestamp::from_ms(r.int(6)?),
            resource: r.text(7)?.to_owned(),
        },
        placed_at: Timestamp::from_ms(r.int(8)?),
        lifted_at: r.opt_int(9)?.map(Timestamp::from_ms),
    })
}
