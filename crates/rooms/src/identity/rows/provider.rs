//! Rows of identity providers, and of assertions that were used.

use bailee_store::{Row, StoreError, TenantTx};
use bailee_types::{ProviderName, Timestamp};

use super::count_of;
use crate::identity::provider::ProviderRow;

const PROVIDER: &str = "SELECT provider_name, description, document, created_at_ms, updated_at_ms FROM ram_provider \
     WHERE tenant_id = $1 AND kind = $2 ";

fn read(r: &Row) -> Result<ProviderRow, StoreError> {
    Ok(ProviderRow {
        name: r.parsed(0, ProviderName::parse)?,
        description: r.text(1)?.to_owned(),
        document: r.text(2)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(3)?),
        updated_at: Timestamp::from_ms(r.int(4)?),
    })
}

pub(in crate::identity) fn by_name(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    name: &ProviderName,
) -> Result<Option<ProviderRow>, StoreError> {
    tx.query_opt(&format!("{PROVIDER} AND provider_name = $3"), &[kind.into(), name.as_str().into()])?
        .as_ref()
        .map(read)
        .transpose()
}

pub(in crate::identity) fn page(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<ProviderRow>, StoreError> {
    tx.query(
        &format!("{PROVIDER} AND provider_name > $3 ORDER BY provider_name LIMIT $4"),
        &[kind.into(), after.into(), i64::from(limit).into()],
    )?
    .iter()
    .map(read)
    .collect()
}

pub(in crate::identity) fn count(tx: &mut TenantTx<'_, '_>, kind: &str) -> Result<u64, StoreError> {
    count_of(
        tx.query_opt("SELECT count(*) FROM ram_provider WHERE tenant_id = $1 AND kind = $2", &[kind.into()])?,
    )
}

/// False when the name is taken.
pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    p: &ProviderRow,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO ram_provider (tenant_id, kind, provider_name, description, document, created_at_ms, \
         updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        &[
            kind.into(),
            p.name.as_str().into(),
            (&p.description).into(),
            (&p.document).into(),
            p.created_at.ms().into(),
            p.updated_at.ms().into(),
        ],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn update(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    p: &ProviderRow,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_provider SET description = $4, document = $5, updated_at_ms = $6 \
         WHERE tenant_id = $1 AND kind = $2 AND provider_name = $3",
        &[
            kind.into(),
            p.name.as_str().into(),
            (&p.description).into(),
            (&p.document).into(),
            p.updated_at.ms().into(),
        ],
    )
    .map(drop)
}

/// False when there was none.
pub(in crate::identity) fn delete(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    name: &ProviderName,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "DELETE FROM ram_provider WHERE tenant_id = $1 AND kind = $2 AND provider_name = $3",
        &[kind.into(), name.as_str().into()],
    )?;
    Ok(n == 1)
}

/// False when this token or assertion was used before.
pub(in crate::identity) fn use_once(
    tx: &mut TenantTx<'_, '_>,
    token_id: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM sts_used WHERE tenant_id = $1 AND until_ms < $2", &[now.ms().into()])?;
    let n = tx.execute(
        "INSERT INTO sts_used (tenant_id, token_id, until_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[token_id.into(), until.ms().into()],
    )?;
    Ok(n == 1)
}
