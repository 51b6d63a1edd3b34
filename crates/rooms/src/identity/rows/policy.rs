//! Rows of policies, their versions, and whom they are on.

use bailee_store::{Row, StoreError, TenantTx};
use bailee_types::{PolicyName, Timestamp};

use super::{count_of, tag};
use crate::identity::{CreatePolicy, PolicyInfo, PolicyType, PolicyVersion};

/// A policy that is on somebody; the document is missing for a system policy.
pub(in crate::identity) struct Attached {
    pub(in crate::identity) name: String,
    pub(in crate::identity) document: Option<String>,
}

/// Somebody that a policy is on.
pub(in crate::identity) struct Holder {
    pub(in crate::identity) kind: String,
    pub(in crate::identity) id: String,
    pub(in crate::identity) at: Timestamp,
}

const POLICY: &str = "SELECT p.policy_name, p.description, p.default_version, p.created_at_ms, p.updated_at_ms, \
     (SELECT count(*) FROM ram_attached a WHERE a.tenant_id = p.tenant_id AND a.policy_type = 'Custom' \
      AND a.policy_name = p.policy_name) FROM ram_policy p ";

fn read(r: &Row) -> Result<PolicyInfo, StoreError> {
    Ok(PolicyInfo {
        name: r.text(0)?.to_owned(),
        kind: PolicyType::Custom,
        description: r.text(1)?.to_owned(),
        default_version: r.int(2)?,
        created_at: Timestamp::from_ms(r.int(3)?),
        updated_at: Timestamp::from_ms(r.int(4)?),
        attached: r.uint(5)?,
    })
}

pub(in crate::identity) fn by_name(
    tx: &mut TenantTx<'_, '_>,
    name: &PolicyName,
) -> Result<Option<PolicyInfo>, StoreError> {
    tx.query_opt(&format!("{POLICY} WHERE p.tenant_id = $1 AND p.policy_name = $2"), &[name.as_str().into()])?
        .as_ref()
        .map(read)
        .transpose()
}

pub(in crate::identity) fn page(
    tx: &mut TenantTx<'_, '_>,
    tags: &[(String, String)],
    after: &str,
    limit: u32,
) -> Result<Vec<PolicyInfo>, StoreError> {
    let mut values = vec![after.into(), i64::from(limit).into()];
    let having = tag::having("policy", "p.policy_name", tags, &mut values);
    let sql = format!(
        "{POLICY} WHERE p.tenant_id = $1 AND p.policy_name > $2{having} ORDER BY p.policy_name LIMIT $3"
    );
    tx.query(&sql, &values)?.iter().map(read).collect()
}

pub(in crate::identity) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    count_of(tx.query_opt("SELECT count(*) FROM ram_policy WHERE tenant_id = $1", &[])?)
}

/// False when the name is taken.
pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    p: &CreatePolicy,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO ram_policy (tenant_id, policy_name, description, default_version, last_version, created_at_ms, \
         updated_at_ms) VALUES ($1, $2, $3, 1, 1, $4, $4) ON CONFLICT (tenant_id, policy_name) DO NOTHING",
        &[p.name.as_str().into(), (&p.description).into(), now.ms().into()],
    )?;
    if n == 1 {
        insert_version(tx, &p.name, 1, &p.document, now)?;
    }
    Ok(n == 1)
}

fn insert_version(
    tx: &mut TenantTx<'_, '_>,
    name: &PolicyName,
    version: i64,
    document: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ram_policy_version (tenant_id, policy_name, version, document, created_at_ms) \
         VALUES ($1, $2, $3, $4, $5)",
        &[name.as_str().into(), version.into(), document.into(), now.ms().into()],
    )
    .map(drop)
}

pub(in crate::identity) fn describe(
    tx: &mut TenantTx<'_, '_>,
    name: &PolicyName,
    text: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_policy SET description = $3, updated_at_ms = $4 WHERE tenant_id = $1 AND policy_name = $2",
        &[name.as_str().into(), text.into(), now.ms().into()],
    )
    .map(drop)
}

/// Numbers are never used again, also when the version is gone.
pub(in crate::identity) fn add_version(
    tx: &mut TenantTx<'_, '_>,
    name: &PolicyName,
    document: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    tx.execute(
        "UPDATE ram_policy SET last_version = last_version + 1, updated_at_ms = $3 \
         WHERE tenant_id = $1 AND policy_name = $2",
        &[name.as_str().into(), now.ms().into()],
    )?;
    let row = tx.query_opt(
        "SELECT last_version FROM ram_policy WHERE tenant_id = $1 AND policy_name = $2",
        &[name.as_str().into()],
    )?;
    let version =
        row.map_or(Err(StoreError::Corrupt(format!("the policy `{name}` is gone"))), |r| r.int(0))?;
    insert_version(tx, name, version, document, now)?;
    Ok(version)
}

pub(in crate::identity) fn versions(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
    default: i64,
) -> Result<Vec<PolicyVersion>, StoreError> {
    tx.query(
        "SELECT version, document, created_at_ms FROM ram_policy_version WHERE tenant_id = $1 AND policy_name = $2 \
         ORDER BY version",
        &[name.into()],
    )?
    .iter()
    .map(|r| {
        let version = r.int(0)?;
        Ok(PolicyVersion {
            version,
            document: r.text(1)?.to_owned(),
            is_default: version == default,
            created_at: Timestamp::from_ms(r.int(2)?),
        })
    })
    .collect()
}

pub(in crate::identity) fn delete_version(
    tx: &mut TenantTx<'_, '_>,
    name: &PolicyName,
    version: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM ram_policy_version WHERE tenant_id = $1 AND policy_name = $2 AND version = $3",
        &[name.as_str().into(), version.into()],
    )
    .map(drop)
}

pub(in crate::identity) fn set_default(
    tx: &mut TenantTx<'_, '_>,
    name: &PolicyName,
    version: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ram_policy SET default_version = $3, updated_at_ms = $4 WHERE tenant_id = $1 AND policy_name = $2",
        &[name.as_str().into(), version.into(), now.ms().into()],
    )
    .map(drop)
}

pub(in crate::identity) fn delete(tx: &mut TenantTx<'_, '_>, name: &PolicyName) -> Result<(), StoreError> {
    let name = name.as_str();
    tx.execute("DELETE FROM ram_policy_version WHERE tenant_id = $1 AND policy_name = $2", &[name.into()])?;
    tx.execute("DELETE FROM ram_policy WHERE tenant_id = $1 AND policy_name = $2", &[name.into()]).map(drop)
}

const ATTACHED: &str = "SELECT DISTINCT a.policy_type, a.policy_name, v.document FROM ram_attached a \
     LEFT JOIN ram_policy p ON a.policy_type = 'Custom' AND p.tenant_id = a.tenant_id AND p.policy_name = a.policy_name \
     LEFT JOIN ram_policy_version v ON v.tenant_id = p.tenant_id AND v.policy_name = p.policy_name \
     AND v.version = p.default_version ";

fn read_attached(rows: &[Row]) -> Result<Vec<Attached>, StoreError> {
    rows.iter()
        .map(|r| {
            let document = match r.text(0)? {
                "System" => None,
                _ => Some(r.text(2)?.to_owned()),
            };
            Ok(Attached { name: r.text(1)?.to_owned(), document })
        })
        .collect()
}

/// What counts for a user: his own policies and those of his groups.
pub(in crate::identity) fn on_user(
    tx: &mut TenantTx<'_, '_>,
    user: &str,
) -> Result<Vec<Attached>, StoreError> {
    read_attached(&tx.query(
        &format!(
            // Each half finds its rows by the key; an OR would walk all of the tenant's.
            "{ATTACHED} WHERE a.tenant_id = $1 AND a.entity_kind = 'user' AND a.entity_id = $2 \
             UNION {ATTACHED} WHERE a.tenant_id = $1 AND a.entity_kind = 'group' AND a.entity_id IN \
             (SELECT m.group_id FROM ram_membership m WHERE m.tenant_id = $1 AND m.user_id = $2) ORDER BY 1, 2"
        ),
        &[user.into()],
    )?)
}

/// What is on one user, group or role itself.
pub(in crate::identity) fn on(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    id: &str,
) -> Result<Vec<Attached>, StoreError> {
    read_attached(&tx.query(
        &format!(
            "{ATTACHED} WHERE a.tenant_id = $1 AND a.entity_kind = $2 AND a.entity_id = $3 \
             ORDER BY a.policy_type, a.policy_name"
        ),
        &[kind.into(), id.into()],
    )?)
}

/// Type, name and time of what is on one user, group or role.
pub(in crate::identity) fn names_on(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    id: &str,
) -> Result<Vec<(PolicyType, String, Timestamp)>, StoreError> {
    tx.query(
        "SELECT policy_type, policy_name, attached_at_ms FROM ram_attached \
         WHERE tenant_id = $1 AND entity_kind = $2 AND entity_id = $3 ORDER BY policy_type, policy_name",
        &[kind.into(), id.into()],
    )?
    .iter()
    .map(|r| {
        let kind = if r.text(0)? == "System" { PolicyType::System } else { PolicyType::Custom };
        Ok((kind, r.text(1)?.to_owned(), Timestamp::from_ms(r.int(2)?)))
    })
    .collect()
}

pub(in crate::identity) fn is_attached(
    tx: &mut TenantTx<'_, '_>,
    entity: &str,
    id: &str,
    kind: &str,
    name: &str,
) -> Result<bool, StoreError> {
    Ok(tx
        .query_opt(
            "SELECT 1 FROM ram_attached WHERE tenant_id = $1 AND entity_kind = $2 AND entity_id = $3 \
             AND policy_type = $4 AND policy_name = $5",
            &[entity.into(), id.into(), kind.into(), name.into()],
        )?
        .is_some())
}

/// How many policies are on somebody, of one type or of both.
pub(in crate::identity) fn count_attached(
    tx: &mut TenantTx<'_, '_>,
    entity: &str,
    id: &str,
    kind: Option<&str>,
) -> Result<u64, StoreError> {
    count_of(tx.query_opt(
        "SELECT count(*) FROM ram_attached WHERE tenant_id = $1 AND entity_kind = $2 AND entity_id = $3 \
         AND policy_type IN ($4, $5)",
        &[entity.into(), id.into(), kind.unwrap_or("System").into(), kind.unwrap_or("Custom").into()],
    )?)
}

pub(in crate::identity) fn attach(
    tx: &mut TenantTx<'_, '_>,
    entity: &str,
    id: &str,
    kind: &str,
    name: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ram_attached (tenant_id, entity_kind, entity_id, policy_type, policy_name, attached_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[entity.into(), id.into(), kind.into(), name.into(), now.ms().into()],
    )
    .map(drop)
}

/// False when it was not on.
pub(in crate::identity) fn detach(
    tx: &mut TenantTx<'_, '_>,
    entity: &str,
    id: &str,
    kind: &str,
    name: &str,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "DELETE FROM ram_attached WHERE tenant_id = $1 AND entity_kind = $2 AND entity_id = $3 \
         AND policy_type = $4 AND policy_name = $5",
        &[entity.into(), id.into(), kind.into(), name.into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn detach_all(
    tx: &mut TenantTx<'_, '_>,
    entity: &str,
    id: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM ram_attached WHERE tenant_id = $1 AND entity_kind = $2 AND entity_id = $3",
        &[entity.into(), id.into()],
    )
    .map(drop)
}

pub(in crate::identity) fn detach_everywhere(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM ram_attached WHERE tenant_id = $1 AND policy_type = 'Custom' AND policy_name = $2",
        &[name.into()],
    )
    .map(drop)
}

pub(in crate::identity) fn holders(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    name: &str,
) -> Result<Vec<Holder>, StoreError> {
    tx.query(
        "SELECT entity_kind, entity_id, attached_at_ms FROM ram_attached \
         WHERE tenant_id = $1 AND policy_type = $2 AND policy_name = $3 ORDER BY entity_kind, attached_at_ms, entity_id",
        &[kind.into(), name.into()],
    )?
    .iter()
    .map(|r| {
        Ok(Holder {
            kind: r.text(0)?.to_owned(),
            id: r.text(1)?.to_owned(),
            at: Timestamp::from_ms(r.int(2)?),
        })
    })
    .collect()
}

pub(in crate::identity) fn count_holders(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    name: &str,
) -> Result<u64, StoreError> {
    count_of(tx.query_opt(
        "SELECT count(*) FROM ram_attached WHERE tenant_id = $1 AND policy_type = $2 AND policy_name = $3",
        &[kind.into(), name.into()],
    )?)
}

/// Every policy that is on anybody, with its document; a system policy has none here.
pub(in crate::identity) fn all_attached(
    tx: &mut TenantTx<'_, '_>,
) -> Result<Vec<(PolicyType, String, Option<String>)>, StoreError> {
    tx.query(&format!("{ATTACHED} WHERE a.tenant_id = $1 ORDER BY a.policy_type, a.policy_name"), &[])?
        .iter()
        .map(|r| {
            let kind = if r.text(0)? == "System" { PolicyType::System } else { PolicyType::Custom };
            let document = if kind == PolicyType::System { None } else { Some(r.text(2)?.to_owned()) };
            Ok((kind, r.text(1)?.to_owned(), document))
        })
        .collect()
}
