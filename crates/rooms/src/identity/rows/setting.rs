//! Rows of a tenant's settings.

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::TenantId;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A setting, or its default when it was never set.
pub(in crate::identity) fn load<T: DeserializeOwned + Default>(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
) -> Result<T, StoreError> {
    match tx
        .query_opt("SELECT value FROM tenant_setting WHERE tenant_id = $1 AND name = $2", &[name.into()])?
    {
        None => Ok(T::default()),
        Some(r) => serde_json::from_str(r.text(0)?)
            .map_err(|e| StoreError::Corrupt(format!("setting `{name}`: {e}"))),
    }
}

pub(in crate::identity) fn store<T: Serialize>(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
    value: &T,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(value).map_err(|e| StoreError::Statement(e.to_string()))?;
    tx.execute(
        "INSERT INTO tenant_setting (tenant_id, name, value) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant_id, name) DO UPDATE SET value = excluded.value",
        &[name.into(), (&text).into()],
    )
    .map(drop)
}

pub(in crate::identity) fn delete(tx: &mut TenantTx<'_, '_>, name: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM tenant_setting WHERE tenant_id = $1 AND name = $2", &[name.into()]).map(drop)
}

pub(in crate::identity) fn account_alias(tx: &mut TenantTx<'_, '_>) -> Result<Option<String>, StoreError> {
    let row = tx.query_opt("SELECT account_alias FROM tenant WHERE tenant_id = $1", &[])?;
    Ok(row.map(|r| r.opt_text(0).map(|t| t.map(str::to_owned))).transpose()?.flatten())
}

/// False when another tenant is known by it.
pub(in crate::identity) fn set_account_alias(
    tx: &mut TenantTx<'_, '_>,
    alias: Option<&str>,
) -> Result<bool, StoreError> {
    if let Some(alias) = alias {
        let taken = tx.query_opt(
            "SELECT count(*) FROM tenant WHERE tenant_id <> $1 AND (alias = $2 OR account_alias = $2)",
            &[alias.into()],
        )?;
        if super::count_of(taken)? > 0 {
            return Ok(false);
        }
    }
    tx.execute("UPDATE tenant SET account_alias = $2 WHERE tenant_id = $1", &[alias.into()])?;
    Ok(true)
}

/// Tenants that have a setting.
pub(in crate::identity) fn with(tx: &mut Tx<'_>, name: &str) -> Result<Vec<TenantId>, StoreError> {
    tx.query("SELECT tenant_id FROM tenant_setting WHERE name = $1", &[name.into()])?
        .iter()
        .map(|r| r.parsed(0, TenantId::parse))
        .collect()
}
