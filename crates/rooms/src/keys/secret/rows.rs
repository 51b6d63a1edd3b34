//! The SQL of secrets.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{KeyId, KeyVersionId, TenantId, Timestamp};

use super::{DataType, Secret, SecretName, VersionInfo};

const COLUMNS: &str = "name, description, key_id, config, created_at_ms, updated_at_ms, delete_at_ms";

fn secret(r: &Row) -> Result<Secret, StoreError> {
    Ok(Secret {
        name: SecretName::parse(r.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        description: r.text(1)?.to_owned(),
        key: r.opt_text(2)?.map(KeyId::parse).transpose().map_err(|e| StoreError::Corrupt(e.to_string()))?,
        config: r.text(3)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(4)?),
        updated_at: Timestamp::from_ms(r.int(5)?),
        delete_at: r.opt_int(6)?.map(Timestamp::from_ms),
    })
}

pub(super) fn find(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<Option<Secret>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM secret WHERE tenant_id = $1 AND name = $2");
    tx.query_opt(&sql, &[name.as_str().into()])?.as_ref().map(secret).transpose()
}

pub(super) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    tx.query_opt("SELECT count(*) FROM secret WHERE tenant_id = $1", &[])?.map_or(Ok(0), |r| r.uint(0))
}

pub(super) fn list(tx: &mut TenantTx<'_, '_>, skip: u64, max: u64) -> Result<Vec<Secret>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM secret WHERE tenant_id = $1 ORDER BY name LIMIT $2 OFFSET $3");
    tx.query(&sql, &[(max as i64).into(), (skip as i64).into()])?.iter().map(secret).collect()
}

pub(super) fn insert(tx: &mut TenantTx<'_, '_>, s: &Secret) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO secret (tenant_id, name, description, key_id, config, created_at_ms, updated_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING",
        &[
            s.name.as_str().into(),
            (&s.description).into(),
            s.key.as_ref().map(KeyId::as_str).into(),
            (&s.config).into(),
            s.created_at.ms().into(),
        ],
    )?;
    Ok(added == 1)
}

/// Writes all that can change.
pub(super) fn update(tx: &mut TenantTx<'_, '_>, s: &Secret) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE secret SET description = $3, config = $4, updated_at_ms = $5, delete_at_ms = $6 \
         WHERE tenant_id = $1 AND name = $2",
        &[
            s.name.as_str().into(),
            (&s.description).into(),
            (&s.config).into(),
            s.updated_at.ms().into(),
            s.delete_at.map(Timestamp::ms).into(),
        ],
    )
    .map(drop)
}

/// A version with its sealed value.
pub(super) struct VersionRow {
    pub(super) info: VersionInfo,
    pub(super) sealed: Vec<u8>,
    pub(super) key_version: Option<KeyVersionId>,
    pub(super) tenant_key_version: i64,
}

/// All versions, the oldest first: ten at most that somebody names, and a few more.
pub(super) fn versions(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<Vec<VersionRow>, StoreError> {
    let corrupt = |e: String| StoreError::Corrupt(format!("a version of a secret: {e}"));
    tx.query(
        "SELECT version_id, data_type, stages, created_at_ms, sealed, key_version, tenant_key_version \
         FROM secret_version WHERE tenant_id = $1 AND name = $2 ORDER BY number",
        &[name.as_str().into()],
    )?
    .iter()
    .map(|r| {
        Ok(VersionRow {
            info: VersionInfo {
                id: r.text(0)?.to_owned(),
                data_type: if r.text(1)? == "binary" { DataType::Binary } else { DataType::Text },
                stages: serde_json::from_str(r.text(2)?).map_err(|e| corrupt(e.to_string()))?,
                created_at: Timestamp::from_ms(r.int(3)?),
            },
            sealed: r.blob(4)?.to_vec(),
            key_version: r
                .opt_text(5)?
                .map(KeyVersionId::parse)
                .transpose()
                .map_err(|e| corrupt(e.to_string()))?,
            tenant_key_version: r.int(6)?,
        })
    })
    .collect()
}

pub(super) fn insert_version(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    v: &VersionRow,
    number: i64,
) -> Result<(), StoreError> {
    let stages = serde_json::Value::from(v.info.stages.clone()).to_string();
    tx.execute(
        "INSERT INTO secret_version (tenant_id, name, version_id, number, data_type, stages, created_at_ms, sealed, \
         key_version, tenant_key_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            name.as_str().into(),
            (&v.info.id).into(),
            number.into(),
            v.info.data_type.word().into(),
            (&stages).into(),
            v.info.created_at.ms().into(),
            (&v.sealed).into(),
            v.key_version.as_ref().map(KeyVersionId::as_str).into(),
            v.tenant_key_version.into(),
        ],
    )
    .map(drop)
}

pub(super) fn newest_number(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(number), 0) FROM secret_version WHERE tenant_id = $1 AND name = $2";
    tx.query_opt(sql, &[name.as_str().into()])?.map_or(Ok(0), |r| r.int(0))
}

pub(super) fn set_stages(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    (version, stages): (&str, &[String]),
) -> Result<(), StoreError> {
    let stages = serde_json::Value::from(stages.to_vec()).to_string();
    tx.execute(
        "UPDATE secret_version SET stages = $4 WHERE tenant_id = $1 AND name = $2 AND version_id = $3",
        &[name.as_str().into(), version.into(), (&stages).into()],
    )
    .map(drop)
}

pub(super) fn delete_version(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    version: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM secret_version WHERE tenant_id = $1 AND name = $2 AND version_id = $3",
        &[name.as_str().into(), version.into()],
    )
    .map(drop)
}

/// Destroys a secret: its values first.
pub(super) fn destroy(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM secret_version WHERE tenant_id = $1 AND name = $2",
        "DELETE FROM secret_tag WHERE tenant_id = $1 AND name = $2",
        "DELETE FROM secret WHERE tenant_id = $1 AND name = $2",
    ] {
        tx.execute(sql, &[name.as_str().into()])?;
    }
    Ok(())
}

pub(super) fn tags(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
) -> Result<Vec<(String, String)>, StoreError> {
    tx.query(
        "SELECT tag_key, tag_value FROM secret_tag WHERE tenant_id = $1 AND name = $2 ORDER BY tag_key",
        &[name.as_str().into()],
    )?
    .iter()
    .map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.to_owned())))
    .collect()
}

/// Replaces all tags.
pub(super) fn set_tags<'a>(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    tags: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM secret_tag WHERE tenant_id = $1 AND name = $2";
    tx.execute(sql, &[name.as_str().into()])?;
    for (key, value) in tags {
        tx.execute(
            "INSERT INTO secret_tag (tenant_id, name, tag_key, tag_value) VALUES ($1, $2, $3, $4)",
            &[name.as_str().into(), key.into(), value.into()],
        )?;
    }
    Ok(())
}

/// Secrets whose time has come, of all tenants.
pub(super) fn due(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<(TenantId, SecretName)>, StoreError> {
    let sql =
        "SELECT tenant_id, name FROM secret WHERE delete_at_ms <= $1 AND delete_at_ms IS NOT NULL LIMIT 1000";
    tx.query(sql, &[now.ms().into()])?
        .iter()
        .map(|r| {
            let name = SecretName::parse(r.text(1)?).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            Ok((r.parsed(0, TenantId::parse)?, name))
        })
        .collect()
}
