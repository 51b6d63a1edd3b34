//! The keys room's only SQL.

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::{TenantId, Timestamp};

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

/// A version of a tenant's key.
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) sealed: Vec<u8>,
    pub(super) created_at: Timestamp,
    pub(super) settled_at: Option<Timestamp>,
}

/// All versions of a tenant's key, the oldest first.
pub(super) fn all(tx: &mut TenantTx<'_, '_>) -> Result<Vec<Row>, StoreError> {
    let sql = "SELECT version, sealed_key, created_at_ms, settled_at_ms FROM tenant_key WHERE tenant_id = $1 ORDER BY version";
    tx.query(sql, &[])?
        .iter()
        .map(|r| {
            Ok(Row {
                number: r.int(0)?,
                sealed: r.blob(1)?.to_vec(),
                created_at: Timestamp::from_ms(r.int(2)?),
                settled_at: r.opt_int(3)?.map(Timestamp::from_ms),
            })
        })
        .collect()
}

/// Nothing was found under a version older than this.
pub(super) fn settle(tx: &mut TenantTx<'_, '_>, number: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE tenant_key SET settled_at_ms = $3 WHERE tenant_id = $1 AND version = $2";
    tx.execute(sql, &[number.into(), now.ms().into()]).map(drop)
}

pub(super) fn delete(tx: &mut TenantTx<'_, '_>, number: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM tenant_key WHERE tenant_id = $1 AND version = $2";
    tx.execute(sql, &[number.into()]).map(drop)
}

/// Tenants whose newest version came after others and is not settled, and since when it is there.
pub(super) fn unsettled(tx: &mut Tx<'_>, before: Timestamp) -> Result<Vec<TenantId>, StoreError> {
    let sql = "SELECT tenant_id FROM tenant_key k WHERE settled_at_ms IS NULL AND created_at_ms <= $1 \
               AND EXISTS (SELECT 1 FROM tenant_key o WHERE o.tenant_id = k.tenant_id AND o.version < k.version) \
               AND NOT EXISTS (SELECT 1 FROM tenant_key o WHERE o.tenant_id = k.tenant_id AND o.version > k.version) \
               ORDER BY tenant_id";
    tx.query(sql, &[before.ms().into()])?.iter().map(|r| r.parsed(0, TenantId::parse)).collect()
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

/// Gives the house another root key's check value, if it still has the one of the old; whoever starts meanwhile waits.
pub(super) fn replace_check(tx: &mut Tx<'_>, before: &str, after: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE setting SET value = $2 WHERE name = 'root.check' AND value = $1";
    Ok(tx.execute(sql, &[before.into(), after.into()])? == 1)
}

/// The check value of the house's root key.
pub(super) fn root_check(tx: &mut Tx<'_>) -> Result<String, StoreError> {
    let row = tx.query_opt("SELECT value FROM setting WHERE name = 'root.check'", &[])?;
    row.map_or(Ok(String::new()), |r| Ok(r.text(0)?.to_owned()))
}

/// Every version of every tenant's key.
pub(super) fn every_version(tx: &mut Tx<'_>) -> Result<Vec<(TenantId, i64, Vec<u8>)>, StoreError> {
    let sql = "SELECT tenant_id, version, sealed_key FROM tenant_key ORDER BY tenant_id, version";
    tx.query(sql, &[])?
        .iter()
        .map(|r| Ok((r.parsed(0, TenantId::parse)?, r.int(1)?, r.blob(2)?.to_vec())))
        .collect()
}

pub(super) fn reseal(tx: &mut TenantTx<'_, '_>, number: i64, sealed: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE tenant_key SET sealed_key = $3 WHERE tenant_id = $1 AND version = $2";
    tx.execute(sql, &[number.into(), sealed.into()]).map(drop)
}

/// Every secret that the house keeps: its name, and the sealed value in hex.
pub(super) fn every_kept(tx: &mut Tx<'_>) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT name, value FROM setting WHERE name LIKE 'sealed.%'";
    let read = |r: &bailee_store::Row| {
        let name = r.text(0)?;
        Ok((name.strip_prefix("sealed.").unwrap_or(name).to_owned(), r.text(1)?.to_owned()))
    };
    tx.query(sql, &[])?.iter().map(read).collect()
}
