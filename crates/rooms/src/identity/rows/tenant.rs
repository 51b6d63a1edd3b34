//! Rows of tenants.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantAlias, TenantId, Timestamp};

use crate::identity::Tenant;

pub(crate) fn insert_tenant(
    tx: &mut Tx<'_>,
    id: &TenantId,
    alias: &TenantAlias,
    name: &str,
    root_password_hash: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tenant (tenant_id, alias, account_alias, name, state, root_password_hash, created_at_ms) \
         VALUES ($1, $2, $2, $3, 'active', $4, $5)",
        &[id.as_str().into(), alias.as_str().into(), name.into(), root_password_hash.into(), now.ms().into()],
    )
    .map(drop)
}

const TENANT: &str = "SELECT tenant_id, alias, name, created_at_ms FROM tenant ";

pub(in crate::identity) fn all(tx: &mut Tx<'_>) -> Result<Vec<Tenant>, StoreError> {
    let provider = TenantId::provider();
    tx.query(&format!("{TENANT} WHERE tenant_id <> $1 ORDER BY alias"), &[provider.as_str().into()])?
        .iter()
        .map(read)
        .collect()
}

/// An active tenant by the platform's alias, its own account alias, or its id; the provider is none. No two tenants
/// are known by one name: [`super::setting::set_account_alias`] and [`is_taken`] see to it.
pub(in crate::identity) fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Tenant>, StoreError> {
    named(tx, name, "AND state = 'active'")
}

/// As [`by_name`], closed ones, too: their logs are still there.
pub(in crate::identity) fn any_by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Tenant>, StoreError> {
    named(tx, name, "")
}

fn named(tx: &mut Tx<'_>, name: &str, only: &str) -> Result<Option<Tenant>, StoreError> {
    let provider = TenantId::provider();
    tx.query_opt(
        &format!(
            "{TENANT} WHERE (alias = $1 OR account_alias = $1 OR tenant_id = $1) {only} AND tenant_id <> $2"
        ),
        &[name.into(), provider.as_str().into()],
    )?
    .as_ref()
    .map(read)
    .transpose()
}

/// Whether any tenant is known by this alias, active or not.
pub(in crate::identity) fn is_taken(tx: &mut Tx<'_>, alias: &str) -> Result<bool, StoreError> {
    Ok(!tx.query("SELECT 1 FROM tenant WHERE alias = $1 OR account_alias = $1", &[alias.into()])?.is_empty())
}

pub(in crate::identity) fn is_active(tx: &mut Tx<'_>, id: &TenantId) -> Result<bool, StoreError> {
    Ok(tx
        .query_opt("SELECT 1 FROM tenant WHERE tenant_id = $1 AND state = 'active'", &[id.as_str().into()])?
        .is_some())
}

fn read(r: &Row) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        id: r.parsed(0, TenantId::parse)?,
        alias: r.parsed(1, TenantAlias::parse)?,
        name: r.text(2)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(3)?),
    })
}

pub(in crate::identity) fn root_password(tx: &mut TenantTx<'_, '_>) -> Result<Option<String>, StoreError> {
    let row = tx.query_opt("SELECT root_password_hash FROM tenant WHERE tenant_id = $1", &[])?;
    Ok(row.map(|r| r.opt_text(0).map(|t| t.map(str::to_owned))).transpose()?.flatten())
}

pub(in crate::identity) fn set_root_password(
    tx: &mut TenantTx<'_, '_>,
    hash: &str,
) -> Result<(), StoreError> {
    tx.execute("UPDATE tenant SET root_password_hash = $2 WHERE tenant_id = $1", &[hash.into()]).map(drop)
}
