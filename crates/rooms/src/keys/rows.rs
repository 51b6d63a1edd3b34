//! The keys room's only SQL.

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::Timestamp;

pub(super) fn insert(
    tx: &mut TenantTx<'_, '_>,
    version: i64,
    sealed: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tenant_key (tenant_id, version, sealed_key, created_at_ms) VALUES ($1, $2, $3, $4)",
        &[version.into(), sealed.into(), now.ms().into()],
    )
    .map(drop)
}

pub(super) fn sealed(tx: &mut TenantTx<'_, '_>, version: i64) -> Result<Option<Vec<u8>>, StoreError> {
    tx.query_opt(
        "SELECT sealed_key FROM tenant_key WHERE tenant_id = $1 AND version = $2",
        &[version.into()],
    )?
    .map(|r| r.blob(0).map(<[u8]>::to_vec))
    .transpose()
}

pub(super) fn keep(tx: &mut Tx<'_>, name: &str, sealed: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[format!("sealed.{name}").as_str().into(), sealed.into()],
    )
    .map(drop)
}

pub(super) fn kept(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT value FROM setting WHERE name = $1", &[format!("sealed.{name}").as_str().into()])?
        .map(|r| r.text(0).map(str::to_owned))
        .transpose()
}
