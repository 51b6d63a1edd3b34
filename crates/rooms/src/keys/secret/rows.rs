//! The SQL of secrets.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{AccessKeyId, KeyId, KeyVersionId, TenantId, Timestamp, UserId};

use super::filter::Filter;
use super::rotate::{Due, Rotation, Step};
use super::{DataType, Holds, Rotates, Secret, SecretName, VersionInfo};

const COLUMNS: &str = "name, description, key_id, config, created_at_ms, updated_at_ms, delete_at_ms, user_id, \
                       access_key_id, rotation_s, rotated_at_ms, rotate_at_ms, rotation_failed";

fn secret(r: &Row) -> Result<Secret, StoreError> {
    let holds = match r.opt_text(7)? {
        None => Holds::Anything,
        Some(_) => {
            Holds::AccessKey { user: r.parsed(7, UserId::parse)?, key: r.parsed(8, AccessKeyId::parse)? }
        }
    };
    Ok(Secret {
        name: SecretName::parse(r.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        description: r.text(1)?.to_owned(),
        key: r.opt_text(2)?.map(KeyId::parse).transpose().map_err(|e| StoreError::Corrupt(e.to_string()))?,
        config: r.text(3)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(4)?),
        updated_at: Timestamp::from_ms(r.int(5)?),
        delete_at: r.opt_int(6)?.map(Timestamp::from_ms),
        holds,
        rotates: Rotates {
            every_s: r.opt_int(9)?,
            last_at: r.opt_int(10)?.map(Timestamp::from_ms),
            next_at: r.opt_int(11)?.map(Timestamp::from_ms),
            failed: r.int(12)? == 1,
        },
    })
}

pub(super) fn find(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<Option<Secret>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM secret WHERE tenant_id = $1 AND name = $2");
    tx.query_opt(&sql, &[name.as_str().into()])?.as_ref().map(secret).transpose()
}

pub(super) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    tx.query_opt("SELECT count(*) FROM secret WHERE tenant_id = $1", &[])?.map_or(Ok(0), |r| r.uint(0))
}

/// A page of those that all filters let through, and how many these are.
pub(super) fn list(
    tx: &mut TenantTx<'_, '_>,
    filters: &[Filter],
    (skip, max): (u64, u64),
) -> Result<(Vec<Secret>, u64), StoreError> {
    let mut values = Vec::new();
    let wanted = Filter::sql(filters, &mut values);
    let total = tx
        .query_opt(&format!("SELECT count(*) FROM secret WHERE tenant_id = $1{wanted}"), &values)?
        .map_or(Ok(0), |r| r.uint(0))?;
    let n = values.len() + 2;
    let sql = format!(
        "SELECT {COLUMNS} FROM secret WHERE tenant_id = $1{wanted} ORDER BY name LIMIT ${n} OFFSET ${}",
        n + 1
    );
    values.push((max as i64).into());
    values.push((skip as i64).into());
    let found = tx.query(&sql, &values)?.iter().map(secret).collect::<Result<_, _>>()?;
    Ok((found, total))
}

/// The secret that holds this user's AccessKey.
pub(super) fn of_user(tx: &mut TenantTx<'_, '_>, user: &UserId) -> Result<Option<SecretName>, StoreError> {
    tx.query_opt("SELECT name FROM secret WHERE tenant_id = $1 AND user_id = $2", &[user.as_str().into()])?
        .map(|r| r.parsed(0, SecretName::parse))
        .transpose()
}

pub(super) fn insert(tx: &mut TenantTx<'_, '_>, s: &Secret) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO secret (tenant_id, name, description, key_id, config, created_at_ms, updated_at_ms, user_id, \
         access_key_id, rotation_s, rotate_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10) \
         ON CONFLICT DO NOTHING",
        &[
            s.name.as_str().into(),
            (&s.description).into(),
            s.key.as_ref().map(KeyId::as_str).into(),
            (&s.config).into(),
            s.created_at.ms().into(),
            held(s).map(|(user, _)| user.as_str()).into(),
            held(s).map(|(_, key)| key.as_str()).into(),
            s.rotates.every_s.into(),
            s.rotates.next_at.map(Timestamp::ms).into(),
        ],
    )?;
    Ok(added == 1)
}

fn held(s: &Secret) -> Option<(&UserId, &AccessKeyId)> {
    match &s.holds {
        Holds::Anything => None,
        Holds::AccessKey { user, key } => Some((user, key)),
    }
}

/// Writes all that can change.
pub(super) fn update(tx: &mut TenantTx<'_, '_>, s: &Secret) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE secret SET description = $3, config = $4, updated_at_ms = $5, delete_at_ms = $6, access_key_id = $7, \
         rotation_s = $8, rotated_at_ms = $9, rotate_at_ms = $10, rotation_failed = $11 \
         WHERE tenant_id = $1 AND name = $2",
        &[
            s.name.as_str().into(),
            (&s.description).into(),
            (&s.config).into(),
            s.updated_at.ms().into(),
            s.delete_at.map(Timestamp::ms).into(),
            held(s).map(|(_, key)| key.as_str()).into(),
            s.rotates.every_s.into(),
            s.rotates.last_at.map(Timestamp::ms).into(),
            s.rotates.next_at.map(Timestamp::ms).into(),
            s.rotates.failed.into(),
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

/// Where values lie: of versions, and of those that a rotation makes.
pub(super) const SEALED: [&str; 2] = ["secret_version", "secret_rotation"];

/// Values there that lie under the tenant's own key, after a place: the secret's name, the version's id, the sealed value.
pub(super) fn own_values(
    tx: &mut TenantTx<'_, '_>,
    table: &'static str,
    (name, version): (&str, &str),
    limit: u64,
) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
    let sql = format!(
        "SELECT name, version_id, sealed FROM {table} WHERE tenant_id = $1 AND key_version IS NULL \
         AND sealed IS NOT NULL AND (name, version_id) > ($2, $3) ORDER BY name, version_id LIMIT $4"
    );
    tx.query(&sql, &[name.into(), version.into(), (limit as i64).into()])?
        .iter()
        .map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.to_owned(), r.blob(2)?.to_vec())))
        .collect()
}

/// Gives a version other bytes for the same value, if it still has those that were read.
pub(super) fn reseal(
    tx: &mut TenantTx<'_, '_>,
    table: &'static str,
    (name, version): (&str, &str),
    (before, after, under): (&[u8], &[u8], i64),
) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE {table} SET sealed = $5, tenant_key_version = $6 \
         WHERE tenant_id = $1 AND name = $2 AND version_id = $3 AND sealed = $4"
    );
    let changed =
        tx.execute(&sql, &[name.into(), version.into(), before.into(), after.into(), under.into()])?;
    Ok(changed == 1)
}

/// Destroys a secret: its values first.
pub(super) fn destroy(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM secret_version WHERE tenant_id = $1 AND name = $2",
        "DELETE FROM secret_rotation WHERE tenant_id = $1 AND name = $2",
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

/// The rotation of a secret that is under way.
pub(super) fn rotation(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<Option<Rotation>, StoreError> {
    let row = tx.query_opt(
        "SELECT version_id, access_key_id, prepared_at_ms, sealed, key_version, tenant_key_version, old_version_id, \
         old_access_key_id, due_at_ms FROM secret_rotation WHERE tenant_id = $1 AND name = $2",
        &[name.as_str().into()],
    )?;
    let Some(r) = row else { return Ok(None) };
    let version = r.text(0)?.to_owned();
    let step = match r.opt_blob(3)? {
        Some(sealed) => Step::Making(VersionRow {
            info: VersionInfo {
                id: version.clone(),
                data_type: DataType::Text,
                stages: Vec::new(),
                created_at: Timestamp::from_ms(r.int(2)?),
            },
            sealed: sealed.to_vec(),
            key_version: r.opt_text(4)?.is_some().then(|| r.parsed(4, KeyVersionId::parse)).transpose()?,
            tenant_key_version: r.int(5)?,
        }),
        None => Step::Waiting {
            version: r.text(6)?.to_owned(),
            key: r.parsed(7, AccessKeyId::parse)?,
            until: Timestamp::from_ms(r.int(8)?),
        },
    };
    Ok(Some(Rotation { version, key: r.parsed(1, AccessKeyId::parse)?, step }))
}

pub(super) fn begin_rotation(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    (key, row): (&AccessKeyId, &VersionRow),
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO secret_rotation (tenant_id, name, version_id, access_key_id, prepared_at_ms, sealed, key_version, \
         tenant_key_version, due_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $5)",
        &[
            name.as_str().into(),
            (&row.info.id).into(),
            key.as_str().into(),
            row.info.created_at.ms().into(),
            (&row.sealed).into(),
            row.key_version.as_ref().map(KeyVersionId::as_str).into(),
            row.tenant_key_version.into(),
        ],
    )
    .map(drop)
}

/// The new version is current; what was before ends later.
pub(super) fn wait(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    (old, key, until): (&str, &AccessKeyId, Timestamp),
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE secret_rotation SET sealed = NULL, old_version_id = $3, old_access_key_id = $4, due_at_ms = $5 \
         WHERE tenant_id = $1 AND name = $2",
        &[name.as_str().into(), old.into(), key.as_str().into(), until.ms().into()],
    )
    .map(drop)
}

/// False when it was ended before.
pub(super) fn end_rotation(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    version: &str,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM secret_rotation WHERE tenant_id = $1 AND name = $2 AND version_id = $3";
    Ok(tx.execute(sql, &[name.as_str().into(), version.into()])? == 1)
}

/// What failed is tried later.
pub(super) fn postpone(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    what: &Due,
    until: Timestamp,
) -> Result<(), StoreError> {
    let (name, until) = (name.as_str().into(), until.ms().into());
    let sql = "UPDATE secret_rotation SET due_at_ms = $3 WHERE tenant_id = $1 AND name = $2";
    tx.execute(sql, &[name, until])?;
    match what {
        Due::End => Ok(()),
        Due::GoOn(_) => {
            let sql = "UPDATE secret SET rotation_failed = 1 WHERE tenant_id = $1 AND name = $2";
            tx.execute(sql, &[name]).map(drop)
        }
        Due::Begin => {
            let sql = "UPDATE secret SET rotation_failed = 1, rotate_at_ms = $3 \
                       WHERE tenant_id = $1 AND name = $2 AND rotate_at_ms IS NOT NULL";
            tx.execute(sql, &[name, until]).map(drop)
        }
    }
}

/// What is due of rotations, of all tenants.
pub(super) fn due_rotations(
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> Result<Vec<(TenantId, SecretName, Due)>, StoreError> {
    let mut due = Vec::new();
    for r in &tx.query(
        "SELECT r.tenant_id, r.name, CASE WHEN r.sealed IS NULL THEN NULL ELSE r.version_id END FROM secret_rotation r \
         WHERE r.due_at_ms <= $1 AND (r.sealed IS NULL OR EXISTS (SELECT 1 FROM secret s \
         WHERE s.tenant_id = r.tenant_id AND s.name = r.name AND s.delete_at_ms IS NULL)) LIMIT 1000",
        &[now.ms().into()],
    )? {
        let what = r.opt_text(2)?.map_or(Due::End, |version| Due::GoOn(version.to_owned()));
        due.push((r.parsed(0, TenantId::parse)?, r.parsed(1, SecretName::parse)?, what));
    }
    for r in &tx.query(
        "SELECT s.tenant_id, s.name FROM secret s WHERE s.rotate_at_ms <= $1 AND s.rotate_at_ms IS NOT NULL \
         AND s.delete_at_ms IS NULL AND NOT EXISTS (SELECT 1 FROM secret_rotation r \
         WHERE r.tenant_id = s.tenant_id AND r.name = s.name) LIMIT 1000",
        &[now.ms().into()],
    )? {
        due.push((r.parsed(0, TenantId::parse)?, r.parsed(1, SecretName::parse)?, Due::Begin));
    }
    Ok(due)
}
