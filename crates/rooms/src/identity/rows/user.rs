//! Rows of RAM users.

use bailee_store::{Row, StoreError, TenantTx};
use bailee_types::{Timestamp, UserId, UserName};

use super::{count_of, tag};
use crate::identity::{CreateUser, User};

const USER: &str = "SELECT u.user_id, u.user_name, u.display_name, u.comments, u.email, u.mobile_phone, \
     CASE WHEN l.user_id IS NULL THEN 0 ELSE 1 END, u.created_at_ms, u.updated_at_ms, u.last_login_at_ms \
     FROM ram_user u LEFT JOIN login_profile l ON l.user_id = u.user_id ";

pub(in crate::identity) fn by_name(
    tx: &mut TenantTx<'_, '_>,
    name: &UserName,
) -> Result<Option<User>, StoreError> {
    tx.query_opt(&format!("{USER} WHERE u.tenant_id = $1 AND u.user_name = $2"), &[name.as_str().into()])?
        .as_ref()
        .map(read)
        .transpose()
}

pub(in crate::identity) fn by_id(tx: &mut TenantTx<'_, '_>, id: &UserId) -> Result<Option<User>, StoreError> {
    by_text_id(tx, id.as_str())
}

pub(in crate::identity) fn by_text_id(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
) -> Result<Option<User>, StoreError> {
    tx.query_opt(&format!("{USER} WHERE u.tenant_id = $1 AND u.user_id = $2"), &[id.into()])?
        .as_ref()
        .map(read)
        .transpose()
}

pub(in crate::identity) fn page(
    tx: &mut TenantTx<'_, '_>,
    tags: &[(String, String)],
    after: &str,
    limit: u32,
) -> Result<Vec<User>, StoreError> {
    let mut values = vec![after.into(), i64::from(limit).into()];
    let having = tag::having("user", "u.user_id", tags, &mut values);
    let sql =
        format!("{USER} WHERE u.tenant_id = $1 AND u.user_name > $2{having} ORDER BY u.user_name LIMIT $3");
    tx.query(&sql, &values)?.iter().map(read).collect()
}

fn read(r: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: r.parsed(0, UserId::parse)?,
        name: r.parsed(1, UserName::parse)?,
        display_name: r.text(2)?.to_owned(),
        comments: r.text(3)?.to_owned(),
        email: r.text(4)?.to_owned(),
        mobile_phone: r.text(5)?.to_owned(),
        has_password: r.int(6)? == 1,
        created_at: Timestamp::from_ms(r.int(7)?),
        updated_at: Timestamp::from_ms(r.int(8)?),
        last_login_at: r.opt_int(9)?.map(Timestamp::from_ms),
    })
}

pub(in crate::identity) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    count_of(tx.query_opt("SELECT count(*) FROM ram_user WHERE tenant_id = $1", &[])?)
}

/// False when the name is taken.
pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    id: &UserId,
    u: &CreateUser,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO ram_user (tenant_id, user_name, user_id, display_name, comments, email, mobile_phone, \
         created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) \
         ON CONFLICT (tenant_id, user_name) DO NOTHING",
        &[
            u.name.as_str().into(),
            id.as_str().into(),
            (&u.display_name).into(),
            (&u.comments).into(),
            (&u.email).into(),
            (&u.mobile_phone).into(),
            now.ms().into(),
        ],
    )?;
    Ok(added == 1)
}

pub(in crate::identity) fn update(
    tx: &mut TenantTx<'_, '_>,
    u: &User,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_user SET user_name = $3, display_name = $4, comments = $5, email = $6, mobile_phone = $7, \
         updated_at_ms = $8 WHERE tenant_id = $1 AND user_id = $2",
        &[
            u.id.as_str().into(),
            u.name.as_str().into(),
            (&u.display_name).into(),
            (&u.comments).into(),
            (&u.email).into(),
            (&u.mobile_phone).into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

pub(in crate::identity) fn delete(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM ram_user WHERE tenant_id = $1 AND user_id = $2", &[id.into()]).map(drop)
}

pub(in crate::identity) fn note_login(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_user SET last_login_at_ms = $3, last_active_at_ms = $3 WHERE tenant_id = $1 AND user_id = $2",
        &[id.into(), now.ms().into()],
    )
    .map(drop)
}

pub(in crate::identity) fn note_active(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_user SET last_active_at_ms = $3 WHERE tenant_id = $1 AND user_id = $2",
        &[id.into(), now.ms().into()],
    )
    .map(drop)
}
