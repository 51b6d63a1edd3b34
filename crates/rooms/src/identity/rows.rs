//! The identity room's only SQL.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{AccessKeyId, OperatorId, TenantAlias, TenantId, Timestamp, UserId, UserName};

use super::{AccessKey, CreateUser, Operator, Tenant, User};

pub(super) struct NewKey {
    pub(super) id: AccessKeyId,
    pub(super) sealed_secret: Vec<u8>,
}

pub(super) struct KeyRow {
    pub(super) tenant: TenantId,
    pub(super) alias: TenantAlias,
    pub(super) user: Option<(UserId, UserName)>,
    pub(super) sealed_secret: Vec<u8>,
    pub(super) active: bool,
}

pub(super) struct Attached {
    pub(super) name: String,
    /// None for a system policy.
    pub(super) document: Option<String>,
}

pub(super) struct SessionRow {
    pub(super) kind: &'static str,
    pub(super) tenant: Option<TenantId>,
    pub(super) name: String,
    pub(super) created_at: Timestamp,
    pub(super) seen_at: Timestamp,
    pub(super) ends_at: Timestamp,
}

pub(crate) fn insert_tenant(
    tx: &mut Tx<'_>,
    id: &TenantId,
    alias: &TenantAlias,
    name: &str,
    root_password_hash: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tenant (tenant_id, alias, name, state, root_password_hash, created_at_ms) \
         VALUES ($1, $2, $3, 'active', $4, $5)",
        &[id.as_str().into(), alias.as_str().into(), name.into(), root_password_hash.into(), now.ms().into()],
    )
    .map(drop)
}

const TENANT: &str = "SELECT tenant_id, alias, name, created_at_ms FROM tenant ";

pub(super) fn tenants(tx: &mut Tx<'_>) -> Result<Vec<Tenant>, StoreError> {
    let provider = TenantId::provider();
    tx.query(&format!("{TENANT} WHERE tenant_id <> $1 ORDER BY alias"), &[provider.as_str().into()])?
        .iter()
        .map(read_tenant)
        .collect()
}

/// An active tenant by alias or id; the provider is none.
pub(super) fn tenant_by_alias(tx: &mut Tx<'_>, alias_or_id: &str) -> Result<Option<Tenant>, StoreError> {
    let provider = TenantId::provider();
    tx.query_opt(
        &format!("{TENANT} WHERE (alias = $1 OR tenant_id = $1) AND state = 'active' AND tenant_id <> $2"),
        &[alias_or_id.into(), provider.as_str().into()],
    )?
    .as_ref()
    .map(read_tenant)
    .transpose()
}

fn read_tenant(r: &Row) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        id: r.parsed(0, TenantId::parse)?,
        alias: r.parsed(1, TenantAlias::parse)?,
        name: r.text(2)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(3)?),
    })
}

pub(super) fn root_password(tx: &mut TenantTx<'_, '_>) -> Result<Option<String>, StoreError> {
    let row = tx.query_opt("SELECT root_password_hash FROM tenant WHERE tenant_id = $1", &[])?;
    Ok(row.map(|r| r.opt_text(0).map(|t| t.map(str::to_owned))).transpose()?.flatten())
}

const USER: &str = "SELECT user_id, user_name, display_name, comments, email, mobile_phone, \
     CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END, \
     created_at_ms, updated_at_ms, last_login_at_ms FROM ram_user ";

pub(super) fn user(tx: &mut TenantTx<'_, '_>, name: &UserName) -> Result<Option<User>, StoreError> {
    tx.query_opt(&format!("{USER} WHERE tenant_id = $1 AND user_name = $2"), &[name.as_str().into()])?
        .as_ref()
        .map(read_user)
        .transpose()
}

pub(super) fn users(tx: &mut TenantTx<'_, '_>, after: &str, limit: u32) -> Result<Vec<User>, StoreError> {
    tx.query(
        &format!("{USER} WHERE tenant_id = $1 AND user_name > $2 ORDER BY user_name LIMIT $3"),
        &[after.into(), i64::from(limit).into()],
    )?
    .iter()
    .map(read_user)
    .collect()
}

fn read_user(r: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: r.parsed(0, UserId::parse)?.to_string(),
        name: r.text(1)?.to_owned(),
        display_name: r.text(2)?.to_owned(),
        comments: r.text(3)?.to_owned(),
        email: r.text(4)?.to_owned(),
        mobile_phone: r.text(5)?.to_owned(),
        has_password: r.int(6)? == 1,
        created_at: Some(Timestamp::from_ms(r.int(7)?)),
        updated_at: Some(Timestamp::from_ms(r.int(8)?)),
        last_login_at: r.opt_int(9)?.map(Timestamp::from_ms),
    })
}

pub(super) fn count_users(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    count(tx.query_opt("SELECT count(*) FROM ram_user WHERE tenant_id = $1", &[])?)
}

/// False when the name is taken.
pub(super) fn insert_user(
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

pub(super) fn user_password(
    tx: &mut TenantTx<'_, '_>,
    name: &UserName,
) -> Result<Option<String>, StoreError> {
    let row = tx.query_opt(
        "SELECT password_hash FROM ram_user WHERE tenant_id = $1 AND user_name = $2",
        &[name.as_str().into()],
    )?;
    Ok(row.map(|r| r.opt_text(0).map(|t| t.map(str::to_owned))).transpose()?.flatten())
}

pub(super) fn set_user_password(
    tx: &mut TenantTx<'_, '_>,
    name: &UserName,
    hash: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "UPDATE ram_user SET password_hash = $3, updated_at_ms = $4 WHERE tenant_id = $1 AND user_name = $2",
        &[name.as_str().into(), hash.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

pub(super) fn access_key(tx: &mut Tx<'_>, id: &AccessKeyId) -> Result<Option<KeyRow>, StoreError> {
    let row = tx.query_opt(
        "SELECT k.tenant_id, t.alias, u.user_id, k.user_name, k.sealed_secret, k.status, t.state \
         FROM access_key k JOIN tenant t ON t.tenant_id = k.tenant_id \
         LEFT JOIN ram_user u ON u.tenant_id = k.tenant_id AND u.user_name = k.user_name \
         WHERE k.access_key_id = $1",
        &[id.as_str().into()],
    )?;
    let Some(r) = row else { return Ok(None) };
    let user = match r.opt_text(3)? {
        None => None,
        // A key whose user is gone opens nothing.
        Some(_) if r.opt_text(2)?.is_none() => return Ok(None),
        Some(_) => Some((r.parsed(2, UserId::parse)?, r.parsed(3, UserName::parse)?)),
    };
    Ok(Some(KeyRow {
        tenant: r.parsed(0, TenantId::parse)?,
        alias: r.parsed(1, TenantAlias::parse)?,
        user,
        sealed_secret: r.blob(4)?.to_vec(),
        active: r.text(5)? == "Active" && r.text(6)? == "active",
    }))
}

pub(super) fn insert_key(
    tx: &mut TenantTx<'_, '_>,
    user: Option<&UserName>,
    key: &NewKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO access_key (access_key_id, tenant_id, user_name, sealed_secret, status, created_at_ms) \
         VALUES ($2, $1, $3, $4, 'Active', $5)",
        &[
            key.id.as_str().into(),
            user.map(UserName::as_str).into(),
            (&key.sealed_secret).into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

pub(super) fn count_keys(tx: &mut TenantTx<'_, '_>, user: Option<&UserName>) -> Result<u64, StoreError> {
    count(match user {
        Some(u) => tx.query_opt(
            "SELECT count(*) FROM access_key WHERE tenant_id = $1 AND user_name = $2",
            &[u.as_str().into()],
        )?,
        None => {
            tx.query_opt("SELECT count(*) FROM access_key WHERE tenant_id = $1 AND user_name IS NULL", &[])?
        }
    })
}

pub(super) fn keys(tx: &mut TenantTx<'_, '_>, user: Option<&UserName>) -> Result<Vec<AccessKey>, StoreError> {
    const SELECT: &str =
        "SELECT access_key_id, status, created_at_ms FROM access_key WHERE tenant_id = $1 AND ";
    match user {
        Some(u) => tx.query(
            &format!("{SELECT} user_name = $2 ORDER BY created_at_ms, access_key_id"),
            &[u.as_str().into()],
        )?,
        None => {
            tx.query(&format!("{SELECT} user_name IS NULL ORDER BY created_at_ms, access_key_id"), &[])?
        }
    }
    .iter()
    .map(|r| {
        Ok(AccessKey {
            id: r.parsed(0, AccessKeyId::parse)?,
            status: r.text(1)?.to_owned(),
            created_at: Timestamp::from_ms(r.int(2)?),
        })
    })
    .collect()
}

pub(super) fn attached(tx: &mut TenantTx<'_, '_>, user: &UserName) -> Result<Vec<Attached>, StoreError> {
    tx.query(
        "SELECT a.policy_name, a.policy_type, p.document FROM ram_attachment a \
         LEFT JOIN ram_policy p ON a.policy_type = 'Custom' AND p.tenant_id = a.tenant_id AND p.policy_name = a.policy_name \
         WHERE a.tenant_id = $1 AND a.user_name = $2 ORDER BY a.policy_type, a.policy_name",
        &[user.as_str().into()],
    )?
    .iter()
    .map(|r| {
        let document = match r.text(1)? {
            "System" => None,
            _ => Some(r.text(2)?.to_owned()),
        };
        Ok(Attached { name: r.text(0)?.to_owned(), document })
    })
    .collect()
}

pub(super) fn count_attached(
    tx: &mut TenantTx<'_, '_>,
    user: &UserName,
    kind: &str,
) -> Result<u64, StoreError> {
    count(tx.query_opt(
        "SELECT count(*) FROM ram_attachment WHERE tenant_id = $1 AND user_name = $2 AND policy_type = $3",
        &[user.as_str().into(), kind.into()],
    )?)
}

/// False when it is attached already.
pub(super) fn attach(
    tx: &mut TenantTx<'_, '_>,
    user: &UserName,
    kind: &str,
    policy: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO ram_attachment (tenant_id, user_name, policy_type, policy_name, attached_at_ms) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        &[user.as_str().into(), kind.into(), policy.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

pub(super) fn policy(tx: &mut TenantTx<'_, '_>, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT document FROM ram_policy WHERE tenant_id = $1 AND policy_name = $2", &[name.into()])?
        .map(|r| r.text(0).map(str::to_owned))
        .transpose()
}

pub(super) fn count_policies(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    count(tx.query_opt("SELECT count(*) FROM ram_policy WHERE tenant_id = $1", &[])?)
}

/// False when the name is taken.
pub(super) fn insert_policy(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
    document: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO ram_policy (tenant_id, policy_name, document, created_at_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, policy_name) DO NOTHING",
        &[name.into(), document.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

const OPERATOR: &str = "SELECT operator_id, role, place, state, created_at_ms FROM operator ";

pub(super) fn operator(tx: &mut Tx<'_>, id: &OperatorId) -> Result<Option<Operator>, StoreError> {
    tx.query_opt(&format!("{OPERATOR} WHERE operator_id = $1"), &[id.as_str().into()])?
        .as_ref()
        .map(read_operator)
        .transpose()
}

pub(super) fn operators(tx: &mut Tx<'_>) -> Result<Vec<Operator>, StoreError> {
    tx.query(&format!("{OPERATOR} ORDER BY operator_id"), &[])?.iter().map(read_operator).collect()
}

fn read_operator(r: &Row) -> Result<Operator, StoreError> {
    Ok(Operator {
        id: r.parsed(0, OperatorId::parse)?,
        role: r.text(1)?.to_owned(),
        place: r.text(2)?.to_owned(),
        active: r.text(3)? == "active",
        created_at: Timestamp::from_ms(r.int(4)?),
    })
}

pub(super) fn operator_password(tx: &mut Tx<'_>, id: &OperatorId) -> Result<Option<String>, StoreError> {
    tx.query_opt(
        "SELECT password_hash FROM operator WHERE operator_id = $1 AND state = 'active'",
        &[id.as_str().into()],
    )?
    .map(|r| r.text(0).map(str::to_owned))
    .transpose()
}

/// False when the id is taken.
pub(super) fn insert_operator(
    tx: &mut Tx<'_>,
    id: &OperatorId,
    role: &str,
    place: &str,
    hash: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO operator (operator_id, password_hash, role, place, state, created_at_ms) \
         VALUES ($1, $2, $3, $4, 'active', $5) ON CONFLICT (operator_id) DO NOTHING",
        &[id.as_str().into(), hash.into(), role.into(), place.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

pub(super) fn set_operator_state(tx: &mut Tx<'_>, id: &OperatorId, active: bool) -> Result<bool, StoreError> {
    let state = if active { "active" } else { "disabled" };
    let n = tx.execute(
        "UPDATE operator SET state = $2 WHERE operator_id = $1",
        &[id.as_str().into(), state.into()],
    )?;
    if !active {
        tx.execute("DELETE FROM web_session WHERE kind = 'operator' AND name = $1", &[id.as_str().into()])?;
    }
    Ok(n == 1)
}

pub(super) fn insert_session(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    kind: &str,
    tenant: Option<&TenantId>,
    name: &str,
    now: Timestamp,
    ends_at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO web_session (token_hash, kind, tenant_id, name, created_at_ms, seen_at_ms, ends_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $5, $6)",
        &[
            hash.into(),
            kind.into(),
            tenant.map(TenantId::as_str).into(),
            name.into(),
            now.ms().into(),
            ends_at.ms().into(),
        ],
    )?;
    if let (Some(tenant), "user") = (tenant, kind) {
        tx.execute(
            "UPDATE ram_user SET last_login_at_ms = $3 WHERE tenant_id = $1 AND user_name = $2",
            &[tenant.as_str().into(), name.into(), now.ms().into()],
        )?;
    }
    Ok(())
}

pub(super) fn session(tx: &mut Tx<'_>, hash: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
    let row = tx.query_opt(
        "SELECT kind, tenant_id, name, created_at_ms, seen_at_ms, ends_at_ms FROM web_session WHERE token_hash = $1",
        &[hash.into()],
    )?;
    let Some(r) = row else { return Ok(None) };
    let kind = match r.text(0)? {
        "root" => "root",
        "user" => "user",
        "operator" => "operator",
        other => return Err(StoreError::Corrupt(format!("a session of kind `{other}`"))),
    };
    Ok(Some(SessionRow {
        kind,
        tenant: if r.opt_text(1)?.is_some() { Some(r.parsed(1, TenantId::parse)?) } else { None },
        name: r.text(2)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(3)?),
        seen_at: Timestamp::from_ms(r.int(4)?),
        ends_at: Timestamp::from_ms(r.int(5)?),
    }))
}

pub(super) fn touch_session(tx: &mut Tx<'_>, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE web_session SET seen_at_ms = $2 WHERE token_hash = $1",
        &[hash.into(), now.ms().into()],
    )
    .map(drop)
}

pub(super) fn end_session(tx: &mut Tx<'_>, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM web_session WHERE token_hash = $1 OR ends_at_ms < $2",
        &[hash.into(), now.ms().into()],
    )
    .map(drop)
}

fn count(row: Option<Row>) -> Result<u64, StoreError> {
    row.map_or(Ok(0), |r| r.uint(0))
}
