//! Rows of AccessKeys.

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::{AccessKeyId, TenantAlias, TenantId, Timestamp, UserId, UserName};

use super::count_of;
use crate::identity::AccessKey;

pub(in crate::identity) struct NewKey {
    pub(in crate::identity) id: AccessKeyId,
    pub(in crate::identity) sealed_secret: Vec<u8>,
}

pub(in crate::identity) struct KeyRow {
    pub(in crate::identity) tenant: TenantId,
    pub(in crate::identity) alias: TenantAlias,
    pub(in crate::identity) user: Option<(UserId, UserName)>,
    pub(in crate::identity) sealed_secret: Vec<u8>,
    pub(in crate::identity) active: bool,
    pub(in crate::identity) last_used_at: Option<Timestamp>,
}

pub(in crate::identity) fn by_id(tx: &mut Tx<'_>, id: &AccessKeyId) -> Result<Option<KeyRow>, StoreError> {
    let row = tx.query_opt(
        "SELECT k.tenant_id, t.alias, k.owner, u.user_name, k.sealed_secret, k.status, t.state, k.last_used_at_ms \
         FROM access_key k JOIN tenant t ON t.tenant_id = k.tenant_id \
         LEFT JOIN ram_user u ON u.tenant_id = k.tenant_id AND u.user_id = k.owner WHERE k.access_key_id = $1",
        &[id.as_str().into()],
    )?;
    let Some(r) = row else { return Ok(None) };
    let user = match (r.text(2)?, r.opt_text(3)?) {
        ("root", _) => None,
        // A key whose user is gone opens nothing.
        (_, None) => return Ok(None),
        (_, Some(_)) => Some((r.parsed(2, UserId::parse)?, r.parsed(3, UserName::parse)?)),
    };
    Ok(Some(KeyRow {
        tenant: r.parsed(0, TenantId::parse)?,
        alias: r.parsed(1, TenantAlias::parse)?,
        user,
        sealed_secret: r.blob(4)?.to_vec(),
        active: r.text(5)? == "Active" && r.text(6)? == "active",
        last_used_at: r.opt_int(7)?.map(Timestamp::from_ms),
    }))
}

pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    owner: &str,
    key: &NewKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO access_key (access_key_id, tenant_id, owner, sealed_secret, status, created_at_ms, updated_at_ms) \
         VALUES ($2, $1, $3, $4, 'Active', $5, $5)",
        &[key.id.as_str().into(), owner.into(), (&key.sealed_secret).into(), now.ms().into()],
    )
    .map(drop)
}

pub(in crate::identity) fn count(tx: &mut TenantTx<'_, '_>, owner: &str) -> Result<u64, StoreError> {
    count_of(
        tx.query_opt("SELECT count(*) FROM access_key WHERE tenant_id = $1 AND owner = $2", &[owner.into()])?,
    )
}

const KEY: &str = "SELECT access_key_id, status, created_at_ms, updated_at_ms, last_used_at_ms, last_used_service, \
     last_used_scheme, owner FROM access_key WHERE tenant_id = $1 ";

fn read(r: &bailee_store::Row) -> Result<AccessKey, StoreError> {
    Ok(AccessKey {
        id: r.parsed(0, AccessKeyId::parse)?,
        active: r.text(1)? == "Active",
        created_at: Timestamp::from_ms(r.int(2)?),
        updated_at: Timestamp::from_ms(r.int(3)?),
        last_used_at: r.opt_int(4)?.map(Timestamp::from_ms),
        last_service: r.opt_text(5)?.map(str::to_owned),
        last_scheme: r.opt_text(6)?.map(str::to_owned),
    })
}

pub(in crate::identity) fn list(
    tx: &mut TenantTx<'_, '_>,
    owner: &str,
) -> Result<Vec<AccessKey>, StoreError> {
    tx.query(&format!("{KEY} AND owner = $2 ORDER BY created_at_ms, access_key_id"), &[owner.into()])?
        .iter()
        .map(read)
        .collect()
}

/// All keys of the tenant with their owners (`root` or a user's id).
pub(in crate::identity) fn all(tx: &mut TenantTx<'_, '_>) -> Result<Vec<(String, AccessKey)>, StoreError> {
    tx.query(&format!("{KEY} ORDER BY owner, created_at_ms, access_key_id"), &[])?
        .iter()
        .map(|r| Ok((r.text(7)?.to_owned(), read(r)?)))
        .collect()
}

/// All keys of the tenant with the users' names (none for root's), the oldest first.
pub(in crate::identity) fn all_named(
    tx: &mut TenantTx<'_, '_>,
) -> Result<Vec<(Option<UserName>, AccessKey)>, StoreError> {
    tx.query(
        "SELECT k.access_key_id, k.status, k.created_at_ms, k.updated_at_ms, k.last_used_at_ms, k.last_used_service, \
         k.last_used_scheme, u.user_name FROM access_key k \
         LEFT JOIN ram_user u ON u.tenant_id = k.tenant_id AND u.user_id = k.owner \
         WHERE k.tenant_id = $1 ORDER BY k.created_at_ms, k.access_key_id",
        &[],
    )?
    .iter()
    .map(|r| Ok((r.opt_text(7)?.is_some().then(|| r.parsed(7, UserName::parse)).transpose()?, read(r)?)))
    .collect()
}

pub(in crate::identity) fn set_status(
    tx: &mut TenantTx<'_, '_>,
    id: &AccessKeyId,
    active: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let status = if active { "Active" } else { "Inactive" };
    tx.execute(
        "UPDATE access_key SET status = $3, updated_at_ms = $4 WHERE tenant_id = $1 AND access_key_id = $2",
        &[id.as_str().into(), status.into(), now.ms().into()],
    )
    .map(drop)
}

pub(in crate::identity) fn delete(tx: &mut TenantTx<'_, '_>, id: &AccessKeyId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM access_key WHERE tenant_id = $1 AND access_key_id = $2", &[id.as_str().into()])
        .map(drop)
}

pub(in crate::identity) fn note_use(
    tx: &mut Tx<'_>,
    id: &AccessKeyId,
    service: &str,
    scheme: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE access_key SET last_used_at_ms = $2, last_used_service = $3, last_used_scheme = $4 \
         WHERE access_key_id = $1",
        &[id.as_str().into(), now.ms().into(), service.into(), scheme.into()],
    )
    .map(drop)
}

/// Every AccessKey's sealed secret.
pub(in crate::identity) fn every_secret(
    tx: &mut Tx<'_>,
) -> Result<Vec<(AccessKeyId, TenantId, Vec<u8>)>, StoreError> {
    tx.query("SELECT access_key_id, tenant_id, sealed_secret FROM access_key", &[])?
        .iter()
        .map(|r| Ok((r.parsed(0, AccessKeyId::parse)?, r.parsed(1, TenantId::parse)?, r.blob(2)?.to_vec())))
        .collect()
}

pub(in crate::identity) fn reseal(
    tx: &mut Tx<'_>,
    id: &AccessKeyId,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "UPDATE access_key SET sealed_secret = $2 WHERE access_key_id = $1";
    tx.execute(sql, &[id.as_str().into(), sealed.into()]).map(drop)
}
