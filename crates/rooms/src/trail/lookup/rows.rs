//! SQL of block summaries.

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::TenantId;

/// Every log and its number of records.
pub(super) fn sizes(tx: &mut Tx<'_>) -> Result<Vec<(TenantId, u64)>, StoreError> {
    tx.query("SELECT tenant_id, size FROM trail_log ORDER BY tenant_id", &[])?
        .iter()
        .map(|r| Ok((r.parsed(0, TenantId::parse)?, r.uint(1)?)))
        .collect()
}

/// Summaries of `count` blocks from `first`.
pub(super) fn summaries(
    tx: &mut TenantTx<'_, '_>,
    first: u64,
    count: u64,
) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    tx.query(
        "SELECT block_index, sealed_summary FROM trail_block WHERE tenant_id = $1 AND block_index >= $2 \
         AND block_index < $3 ORDER BY block_index",
        &[(first as i64).into(), ((first + count) as i64).into()],
    )?
    .iter()
    .map(|r| Ok((r.uint(0)?, r.blob(1)?.to_vec())))
    .collect()
}

/// Blocks from `from` that have a summary.
pub(super) fn summarised(tx: &mut TenantTx<'_, '_>, from: u64) -> Result<Vec<u64>, StoreError> {
    tx.query(
        "SELECT block_index FROM trail_block WHERE tenant_id = $1 AND block_index >= $2",
        &[(from as i64).into()],
    )?
    .iter()
    .map(|r| r.uint(0))
    .collect()
}

/// Another process may have been first; both derived the same.
pub(super) fn insert(tx: &mut TenantTx<'_, '_>, block: u64, sealed: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail_block (tenant_id, block_index, sealed_summary) VALUES ($1, $2, $3) \
         ON CONFLICT DO NOTHING",
        &[(block as i64).into(), sealed.into()],
    )
    .map(drop)
}
