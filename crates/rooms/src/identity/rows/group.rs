//! Rows of RAM groups and memberships.

use bailee_store::{Row, StoreError, TenantTx};
use bailee_types::{GroupId, GroupName, Timestamp, UserId, UserName};

use super::count_of;
use crate::identity::{CreateGroup, Group, Member};

const GROUP: &str =
    "SELECT g.group_id, g.group_name, g.display_name, g.comments, g.created_at_ms, g.updated_at_ms";

fn read(r: &Row) -> Result<Group, StoreError> {
    Ok(Group {
        id: r.parsed(0, GroupId::parse)?,
        name: r.parsed(1, GroupName::parse)?,
        display_name: r.text(2)?.to_owned(),
        comments: r.text(3)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(4)?),
        updated_at: Timestamp::from_ms(r.int(5)?),
    })
}

pub(in crate::identity) fn by_name(
    tx: &mut TenantTx<'_, '_>,
    name: &GroupName,
) -> Result<Option<Group>, StoreError> {
    tx.query_opt(
        &format!("{GROUP} FROM ram_group g WHERE g.tenant_id = $1 AND g.group_name = $2"),
        &[name.as_str().into()],
    )?
    .as_ref()
    .map(read)
    .transpose()
}

pub(in crate::identity) fn by_text_id(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
) -> Result<Option<Group>, StoreError> {
    tx.query_opt(
        &format!("{GROUP} FROM ram_group g WHERE g.tenant_id = $1 AND g.group_id = $2"),
        &[id.into()],
    )?
    .as_ref()
    .map(read)
    .transpose()
}

pub(in crate::identity) fn page(
    tx: &mut TenantTx<'_, '_>,
    after: &str,
    limit: u32,
) -> Result<Vec<Group>, StoreError> {
    tx.query(
        &format!("{GROUP} FROM ram_group g WHERE g.tenant_id = $1 AND g.group_name > $2 ORDER BY g.group_name LIMIT $3"),
        &[after.into(), i64::from(limit).into()],
    )?
    .iter()
    .map(read)
    .collect()
}

pub(in crate::identity) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    count_of(tx.query_opt("SELECT count(*) FROM ram_group WHERE tenant_id = $1", &[])?)
}

/// False when the name is taken.
pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    id: &GroupId,
    g: &CreateGroup,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO ram_group (tenant_id, group_name, group_id, display_name, comments, created_at_ms, updated_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (tenant_id, group_name) DO NOTHING",
        &[
            g.name.as_str().into(),
            id.as_str().into(),
            (&g.display_name).into(),
            (&g.comments).into(),
            now.ms().into(),
        ],
    )?;
    Ok(added == 1)
}

pub(in crate::identity) fn update(
    tx: &mut TenantTx<'_, '_>,
    g: &Group,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_group SET group_name = $3, display_name = $4, comments = $5, updated_at_ms = $6 \
         WHERE tenant_id = $1 AND group_id = $2",
        &[
            g.id.as_str().into(),
            g.name.as_str().into(),
            (&g.display_name).into(),
            (&g.comments).into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

pub(in crate::identity) fn delete(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM ram_group WHERE tenant_id = $1 AND group_id = $2", &[id.into()]).map(drop)
}

/// False when he is in it already.
pub(in crate::identity) fn add(
    tx: &mut TenantTx<'_, '_>,
    group: &str,
    user: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO ram_membership (tenant_id, group_id, user_id, joined_at_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
        &[group.into(), user.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

/// False when he was not in it.
pub(in crate::identity) fn remove(
    tx: &mut TenantTx<'_, '_>,
    group: &str,
    user: &str,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "DELETE FROM ram_membership WHERE tenant_id = $1 AND group_id = $2 AND user_id = $3",
        &[group.into(), user.into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn count_members(tx: &mut TenantTx<'_, '_>, group: &str) -> Result<u64, StoreError> {
    count_of(tx.query_opt(
        "SELECT count(*) FROM ram_membership WHERE tenant_id = $1 AND group_id = $2",
        &[group.into()],
    )?)
}

pub(in crate::identity) fn count_of_user(tx: &mut TenantTx<'_, '_>, user: &str) -> Result<u64, StoreError> {
    count_of(tx.query_opt(
        "SELECT count(*) FROM ram_membership WHERE tenant_id = $1 AND user_id = $2",
        &[user.into()],
    )?)
}

pub(in crate::identity) fn members(
    tx: &mut TenantTx<'_, '_>,
    group: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<Member>, StoreError> {
    tx.query(
        "SELECT u.user_id, u.user_name, u.display_name, m.joined_at_ms FROM ram_membership m \
         JOIN ram_user u ON u.user_id = m.user_id WHERE m.tenant_id = $1 AND m.group_id = $2 AND u.user_name > $3 \
         ORDER BY u.user_name LIMIT $4",
        &[group.into(), after.into(), i64::from(limit).into()],
    )?
    .iter()
    .map(|r| {
        Ok(Member {
            id: r.parsed(0, UserId::parse)?,
            name: r.parsed(1, UserName::parse)?,
            display_name: r.text(2)?.to_owned(),
            joined_at: Timestamp::from_ms(r.int(3)?),
        })
    })
    .collect()
}

/// The groups of a user with the time he joined.
pub(in crate::identity) fn of_user(
    tx: &mut TenantTx<'_, '_>,
    user: &str,
) -> Result<Vec<(Group, Timestamp)>, StoreError> {
    tx.query(
        &format!(
            "{GROUP}, m.joined_at_ms FROM ram_membership m JOIN ram_group g ON g.group_id = m.group_id \
             WHERE m.tenant_id = $1 AND m.user_id = $2 ORDER BY g.group_name"
        ),
        &[user.into()],
    )?
    .iter()
    .map(|r| Ok((read(r)?, Timestamp::from_ms(r.int(6)?))))
    .collect()
}
