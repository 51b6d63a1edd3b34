//! Rows of RAM roles.

use bailee_store::{Row, StoreError, TenantTx};
use bailee_types::{RoleId, RoleName, Timestamp};

use super::{count_of, tag};
use crate::identity::{CreateRole, Role};

const ROLE: &str = "SELECT role_id, role_name, description, trust_document, session_max_s, allows_console, service, \
     void_before_ms, created_at_ms, updated_at_ms FROM ram_role ";

fn read(r: &Row) -> Result<Role, StoreError> {
    Ok(Role {
        id: r.parsed(0, RoleId::parse)?,
        name: r.parsed(1, RoleName::parse)?,
        description: r.text(2)?.to_owned(),
        trust: r.text(3)?.to_owned(),
        session_max_s: r.int(4)?,
        allows_console: r.int(5)? == 1,
        service: r.opt_text(6)?.map(str::to_owned),
        void_before: Timestamp::from_ms(r.int(7)?),
        created_at: Timestamp::from_ms(r.int(8)?),
        updated_at: Timestamp::from_ms(r.int(9)?),
    })
}

pub(in crate::identity) fn by_name(
    tx: &mut TenantTx<'_, '_>,
    name: &RoleName,
) -> Result<Option<Role>, StoreError> {
    let key = name.as_str().to_lowercase();
    tx.query_opt(&format!("{ROLE} WHERE tenant_id = $1 AND role_key = $2"), &[(&key).into()])?
        .as_ref()
        .map(read)
        .transpose()
}

pub(in crate::identity) fn by_text_id(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
) -> Result<Option<Role>, StoreError> {
    tx.query_opt(&format!("{ROLE} WHERE tenant_id = $1 AND role_id = $2"), &[id.into()])?
        .as_ref()
        .map(read)
        .transpose()
}

/// By name without case; `linked` keeps roles of services only, or none of them.
pub(in crate::identity) fn page(
    tx: &mut TenantTx<'_, '_>,
    tags: &[(String, String)],
    linked: Option<bool>,
    after: &str,
    limit: u32,
) -> Result<Vec<Role>, StoreError> {
    let mut values = vec![after.into(), i64::from(limit).into()];
    let having = tag::having("role", "ram_role.role_id", tags, &mut values);
    let service = match linked {
        None => "",
        Some(true) => " AND service IS NOT NULL",
        Some(false) => " AND service IS NULL",
    };
    let sql =
        format!("{ROLE} WHERE tenant_id = $1 AND role_key > $2{service}{having} ORDER BY role_key LIMIT $3");
    tx.query(&sql, &values)?.iter().map(read).collect()
}

pub(in crate::identity) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    count_of(tx.query_opt("SELECT count(*) FROM ram_role WHERE tenant_id = $1", &[])?)
}

/// False when the name is taken.
pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    id: &RoleId,
    role: &CreateRole,
    service: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let key = role.name.as_str().to_lowercase();
    let added = tx.execute(
        "INSERT INTO ram_role (tenant_id, role_key, role_name, role_id, description, trust_document, session_max_s, \
         allows_console, service, void_before_ms, created_at_ms, updated_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $10) ON CONFLICT (tenant_id, role_key) DO NOTHING",
        &[
            (&key).into(),
            role.name.as_str().into(),
            id.as_str().into(),
            (&role.description).into(),
            (&role.trust).into(),
            role.session_max_s.into(),
            role.allows_console.into(),
            service.into(),
            now.ms().into(),
        ],
    )?;
    Ok(added == 1)
}

pub(in crate::identity) fn update(
    tx: &mut TenantTx<'_, '_>,
    role: &Role,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_role SET description = $3, trust_document = $4, session_max_s = $5, allows_console = $6, \
         updated_at_ms = $7 WHERE tenant_id = $1 AND role_id = $2",
        &[
            role.id.as_str().into(),
            (&role.description).into(),
            (&role.trust).into(),
            role.session_max_s.into(),
            role.allows_console.into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

pub(in crate::identity) fn revoke_sessions(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    before: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_role SET void_before_ms = $3 WHERE tenant_id = $1 AND role_id = $2",
        &[id.into(), before.ms().into()],
    )
    .map(drop)
}

pub(in crate::identity) fn delete(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM ram_role WHERE tenant_id = $1 AND role_id = $2", &[id.into()]).map(drop)
}
