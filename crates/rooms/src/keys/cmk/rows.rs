//! The SQL of KMS.

use bailee_crypto::cmk::{Spec, Usage};
use bailee_store::{Row, StoreError, TenantTx, Tx, Value};
use bailee_types::{KeyId, KeyVersionId, TenantId, Timestamp};

use super::{AliasName, Key, KeyOrigin, KeyState, KeyStore};

const COLUMNS: &str = "key_id, spec, key_usage, origin, state, description, creator, created_at_ms, delete_at_ms, \
                       protected, protected_text, rotation_s, rotated_at_ms, rotate_at_ms, primary_version, \
                       material_print, material_until_ms, revision, store_id, external_key";

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a key's {what} is not known"))
}

fn key(r: &Row) -> Result<Key, StoreError> {
    let time = |i| Ok::<_, StoreError>(r.opt_int(i)?.map(Timestamp::from_ms));
    Ok(Key {
        id: r.parsed(0, KeyId::parse)?,
        spec: Spec::parse(r.text(1)?).ok_or_else(|| corrupt("spec"))?,
        usage: Usage::parse(r.text(2)?).ok_or_else(|| corrupt("usage"))?,
        origin: match (r.text(3)?, r.opt_text(18)?) {
            (_, Some(_)) => KeyOrigin::Store,
            ("EXTERNAL", None) => KeyOrigin::External,
            _ => KeyOrigin::Own,
        },
        state: KeyState::parse(r.text(4)?).ok_or_else(|| corrupt("state"))?,
        description: r.text(5)?.to_owned(),
        creator: r.text(6)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(7)?),
        delete_at: time(8)?,
        protected: (r.int(9)? == 1).then(|| r.text(10).map(str::to_owned)).transpose()?,
        rotation_s: r.opt_int(11)?,
        rotated_at: time(12)?,
        rotate_at: time(13)?,
        primary: r.parsed(14, KeyVersionId::parse)?,
        material_print: r.opt_text(15)?.map(str::to_owned),
        material_until: time(16)?,
        revision: r.int(17)?,
        lies_at: r.opt_text(18)?.map(str::to_owned).zip(r.opt_text(19)?.map(str::to_owned)),
    })
}

pub(super) fn find(tx: &mut TenantTx<'_, '_>, id: &KeyId) -> Result<Option<Key>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM cmk WHERE tenant_id = $1 AND key_id = $2");
    tx.query_opt(&sql, &[id.as_str().into()])?.as_ref().map(key).transpose()
}

pub(super) fn insert(tx: &mut TenantTx<'_, '_>, k: &Key) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO cmk (tenant_id, key_id, spec, key_usage, origin, state, description, creator, created_at_ms, \
         rotation_s, rotate_at_ms, primary_version, store_id, external_key) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        &[
            k.id.as_str().into(),
            k.spec.name().into(),
            k.usage.name().into(),
            // The column knows two words; of a key elsewhere the store says more.
            (if k.origin == KeyOrigin::Own { KeyOrigin::Own } else { KeyOrigin::External }).name().into(),
            k.state.name().into(),
            (&k.description).into(),
            (&k.creator).into(),
            k.created_at.ms().into(),
            k.rotation_s.into(),
            k.rotate_at.map(Timestamp::ms).into(),
            k.primary.as_str().into(),
            k.lies_at.as_ref().map(|(store, _)| store.as_str()).into(),
            k.lies_at.as_ref().map(|(_, external)| external.as_str()).into(),
        ],
    )
    .map(drop)
}

/// Whether a key of a store is a key of KMS already.
pub(super) fn is_taken(tx: &mut TenantTx<'_, '_>, store: &str, external: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM cmk WHERE tenant_id = $1 AND store_id = $2 AND external_key = $3";
    Ok(tx.query_opt(sql, &[store.into(), external.into()])?.is_some())
}

/// Whether a key of KMS lies in a store.
pub(super) fn has_keys(tx: &mut TenantTx<'_, '_>, store: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM cmk WHERE tenant_id = $1 AND store_id = $2 LIMIT 1";
    Ok(tx.query_opt(sql, &[store.into()])?.is_some())
}

const STORE: &str = "SELECT store_id, name, address, credential_id, sealed_secret, tenant_key_version, roots, lease_s, \
                     approvers, created_at_ms FROM key_store WHERE tenant_id = $1";

fn read_store(r: &Row) -> Result<KeyStore, StoreError> {
    Ok(KeyStore {
        id: r.text(0)?.to_owned(),
        name: r.text(1)?.to_owned(),
        address: r.text(2)?.to_owned(),
        credential_id: r.text(3)?.to_owned(),
        sealed_secret: r.blob(4)?.to_vec(),
        sealed_under: r.int(5)?,
        roots: r.text(6)?.to_owned(),
        lease_s: r.int(7)?,
        approvers: serde_json::from_str(r.text(8)?).map_err(|_| corrupt("store"))?,
        created_at: Timestamp::from_ms(r.int(9)?),
    })
}

pub(super) fn store(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<Option<KeyStore>, StoreError> {
    tx.query_opt(&format!("{STORE} AND store_id = $2"), &[id.into()])?.as_ref().map(read_store).transpose()
}

/// All of a tenant's, by name; there are few.
pub(super) fn stores(tx: &mut TenantTx<'_, '_>) -> Result<Vec<KeyStore>, StoreError> {
    tx.query(&format!("{STORE} ORDER BY name"), &[])?.iter().map(read_store).collect()
}

/// Whether the name was free.
pub(super) fn insert_store(tx: &mut TenantTx<'_, '_>, s: &KeyStore) -> Result<bool, StoreError> {
    let approvers = serde_json::to_string(&s.approvers).unwrap_or_default();
    let added = tx.execute(
        "INSERT INTO key_store (tenant_id, store_id, name, address, credential_id, sealed_secret, tenant_key_version, \
         roots, lease_s, approvers, created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT DO NOTHING",
        &[
            (&s.id).into(),
            (&s.name).into(),
            (&s.address).into(),
            (&s.credential_id).into(),
            s.sealed_secret.as_slice().into(),
            s.sealed_under.into(),
            (&s.roots).into(),
            s.lease_s.into(),
            (&approvers).into(),
            s.created_at.ms().into(),
        ],
    )?;
    Ok(added == 1)
}

pub(super) fn update_store(tx: &mut TenantTx<'_, '_>, s: &KeyStore) -> Result<(), StoreError> {
    let approvers = serde_json::to_string(&s.approvers).unwrap_or_default();
    tx.execute(
        "UPDATE key_store SET name = $3, address = $4, credential_id = $5, sealed_secret = $6, tenant_key_version = $7, \
         roots = $8, lease_s = $9, approvers = $10 WHERE tenant_id = $1 AND store_id = $2",
        &[
            (&s.id).into(),
            (&s.name).into(),
            (&s.address).into(),
            (&s.credential_id).into(),
            s.sealed_secret.as_slice().into(),
            s.sealed_under.into(),
            (&s.roots).into(),
            s.lease_s.into(),
            (&approvers).into(),
        ],
    )
    .map(drop)
}

/// Makes all keys due for destruction now; their ids.
pub(super) fn make_due(tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<Vec<KeyId>, StoreError> {
    tx.execute(
        "UPDATE cmk SET state = 'PendingDeletion', delete_at_ms = $2, revision = revision + 1 WHERE tenant_id = $1",
        &[now.ms().into()],
    )?;
    let all = tx.query("SELECT key_id FROM cmk WHERE tenant_id = $1 ORDER BY key_id", &[])?;
    all.iter().map(|r| r.parsed(0, KeyId::parse)).collect()
}

pub(super) fn delete_stores(tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM key_store WHERE tenant_id = $1", &[]).map(drop)
}

pub(super) fn delete_store(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM key_store WHERE tenant_id = $1 AND store_id = $2", &[id.into()]).map(drop)
}

/// Writes all that can change.
pub(super) fn update(tx: &mut TenantTx<'_, '_>, k: &Key) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE cmk SET state = $3, description = $4, delete_at_ms = $5, protected = $6, protected_text = $7, \
         rotation_s = $8, rotated_at_ms = $9, rotate_at_ms = $10, primary_version = $11, material_print = $12, \
         material_until_ms = $13, revision = revision + 1 WHERE tenant_id = $1 AND key_id = $2",
        &[
            k.id.as_str().into(),
            k.state.name().into(),
            (&k.description).into(),
            k.delete_at.map(Timestamp::ms).into(),
            k.protected.is_some().into(),
            k.protected.as_deref().unwrap_or_default().into(),
            k.rotation_s.into(),
            k.rotated_at.map(Timestamp::ms).into(),
            k.rotate_at.map(Timestamp::ms).into(),
            k.primary.as_str().into(),
            k.material_print.as_deref().into(),
            k.material_until.map(Timestamp::ms).into(),
        ],
    )
    .map(drop)
}

pub(super) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    one(tx, "SELECT count(*) FROM cmk WHERE tenant_id = $1", &[])
}

fn one(tx: &mut TenantTx<'_, '_>, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
    tx.query_opt(sql, params)?.map_or(Ok(0), |r| r.uint(0))
}

/// A page of keys in one of the states, of one of the specs; empty lists for any.
pub(super) fn list(
    tx: &mut TenantTx<'_, '_>,
    (states, specs): (&[KeyState], &[Spec]),
    (skip, max): (u64, u64),
) -> Result<(Vec<Key>, u64), StoreError> {
    let words = |names: Vec<&str>| names.iter().map(|n| format!("|{n}|")).collect::<String>();
    let states = words(states.iter().map(|s| s.name()).collect());
    let specs = words(specs.iter().map(|s| s.name()).collect());
    let filter = "($2 = '' OR $2 LIKE '%|' || state || '|%') AND ($3 = '' OR $3 LIKE '%|' || spec || '|%')";
    let sql = format!(
        "SELECT {COLUMNS} FROM cmk WHERE tenant_id = $1 AND {filter} ORDER BY key_id LIMIT $4 OFFSET $5"
    );
    let page = [(&states).into(), (&specs).into(), (max as i64).into(), (skip as i64).into()];
    let keys = tx.query(&sql, &page)?.iter().map(key).collect::<Result<_, _>>()?;
    let sql = format!("SELECT count(*) FROM cmk WHERE tenant_id = $1 AND {filter}");
    Ok((keys, one(tx, &sql, &[(&states).into(), (&specs).into()])?))
}

/// A version: id, when it was made, sealed material, under which version of the tenant's key.
pub(super) type VersionRow = (KeyVersionId, Timestamp, Option<Vec<u8>>, i64);

pub(super) fn insert_version(
    tx: &mut TenantTx<'_, '_>,
    id: &KeyId,
    (version, sealed, under): (&KeyVersionId, Option<&[u8]>, i64),
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO cmk_version (tenant_id, key_id, version_id, created_at_ms, sealed_material, tenant_key_version) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            id.as_str().into(),
            version.as_str().into(),
            now.ms().into(),
            sealed.into(),
            under.into(),
        ],
    )
    .map(drop)
}

pub(super) fn set_material(
    tx: &mut TenantTx<'_, '_>,
    id: &KeyId,
    (version, sealed, under): (&KeyVersionId, Option<&[u8]>, i64),
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE cmk_version SET sealed_material = $4, tenant_key_version = $5 \
         WHERE tenant_id = $1 AND key_id = $2 AND version_id = $3",
        &[id.as_str().into(), version.as_str().into(), sealed.into(), under.into()],
    )
    .map(drop)
}

pub(super) fn versions(tx: &mut TenantTx<'_, '_>, id: &KeyId) -> Result<Vec<VersionRow>, StoreError> {
    tx.query(
        "SELECT version_id, created_at_ms, sealed_material, tenant_key_version FROM cmk_version \
         WHERE tenant_id = $1 AND key_id = $2 ORDER BY created_at_ms, version_id",
        &[id.as_str().into()],
    )?
    .iter()
    .map(|r| {
        Ok((
            r.parsed(0, KeyVersionId::parse)?,
            Timestamp::from_ms(r.int(1)?),
            r.opt_blob(2)?.map(<[u8]>::to_vec),
            r.int(3)?,
        ))
    })
    .collect()
}

/// Gives a version of a key other bytes for the same material, if it still has those that were read.
pub(super) fn reseal_material(
    tx: &mut TenantTx<'_, '_>,
    id: &KeyId,
    version: &KeyVersionId,
    (before, after, under): (&[u8], &[u8], i64),
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE cmk_version SET sealed_material = $5, tenant_key_version = $6 \
         WHERE tenant_id = $1 AND key_id = $2 AND version_id = $3 AND sealed_material = $4",
        &[id.as_str().into(), version.as_str().into(), before.into(), after.into(), under.into()],
    )?;
    // Whoever holds the key opened reads it again.
    let sql = "UPDATE cmk SET revision = revision + 1 WHERE tenant_id = $1 AND key_id = $2";
    tx.execute(sql, &[id.as_str().into()])?;
    Ok(changed == 1)
}

pub(super) fn reseal_print(
    tx: &mut TenantTx<'_, '_>,
    id: &KeyId,
    (before, after): (&str, &str),
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE cmk SET material_print = $4, revision = revision + 1 \
         WHERE tenant_id = $1 AND key_id = $2 AND material_print = $3",
        &[id.as_str().into(), before.into(), after.into()],
    )?;
    Ok(changed == 1)
}

pub(super) fn reseal_store(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    (before, after, under): (&[u8], &[u8], i64),
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE key_store SET sealed_secret = $4, tenant_key_version = $5 \
         WHERE tenant_id = $1 AND store_id = $2 AND sealed_secret = $3",
        &[id.into(), before.into(), after.into(), under.into()],
    )?;
    Ok(changed == 1)
}

/// Destroys a key: material first, then all that names it.
pub(super) fn destroy(tx: &mut TenantTx<'_, '_>, id: &KeyId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM cmk_version WHERE tenant_id = $1 AND key_id = $2",
        "DELETE FROM cmk_alias WHERE tenant_id = $1 AND key_id = $2",
        "DELETE FROM cmk_tag WHERE tenant_id = $1 AND key_id = $2",
        "DELETE FROM cmk WHERE tenant_id = $1 AND key_id = $2",
    ] {
        tx.execute(sql, &[id.as_str().into()])?;
    }
    Ok(())
}

pub(super) fn alias(tx: &mut TenantTx<'_, '_>, alias: &AliasName) -> Result<Option<KeyId>, StoreError> {
    tx.query_opt(
        "SELECT key_id FROM cmk_alias WHERE tenant_id = $1 AND alias = $2",
        &[alias.as_str().into()],
    )?
    .map(|r| r.parsed(0, KeyId::parse))
    .transpose()
}

pub(super) fn insert_alias(
    tx: &mut TenantTx<'_, '_>,
    alias: &AliasName,
    id: &KeyId,
) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO cmk_alias (tenant_id, alias, key_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[alias.as_str().into(), id.as_str().into()],
    )?;
    Ok(added == 1)
}

pub(super) fn move_alias(
    tx: &mut TenantTx<'_, '_>,
    alias: &AliasName,
    id: &KeyId,
) -> Result<bool, StoreError> {
    let moved = tx.execute(
        "UPDATE cmk_alias SET key_id = $3 WHERE tenant_id = $1 AND alias = $2",
        &[alias.as_str().into(), id.as_str().into()],
    )?;
    Ok(moved == 1)
}

pub(super) fn delete_alias(tx: &mut TenantTx<'_, '_>, alias: &AliasName) -> Result<bool, StoreError> {
    let sql = "DELETE FROM cmk_alias WHERE tenant_id = $1 AND alias = $2";
    Ok(tx.execute(sql, &[alias.as_str().into()])? == 1)
}

pub(super) fn count_aliases(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    one(tx, "SELECT count(*) FROM cmk_alias WHERE tenant_id = $1", &[])
}

/// A page of aliases: of one key, or all.
pub(super) fn aliases(
    tx: &mut TenantTx<'_, '_>,
    of: Option<&KeyId>,
    (skip, max): (u64, u64),
) -> Result<(Vec<(String, KeyId)>, u64), StoreError> {
    let read = |r: &Row| Ok((r.text(0)?.to_owned(), r.parsed(1, KeyId::parse)?));
    let page = [(max as i64).into(), (skip as i64).into()];
    let Some(id) = of else {
        let sql =
            "SELECT alias, key_id FROM cmk_alias WHERE tenant_id = $1 ORDER BY alias LIMIT $2 OFFSET $3";
        let found = tx.query(sql, &page)?.iter().map(read).collect::<Result<_, _>>()?;
        return Ok((found, count_aliases(tx)?));
    };
    let [max, skip] = page;
    let sql = "SELECT alias, key_id FROM cmk_alias WHERE tenant_id = $1 AND key_id = $2 ORDER BY alias \
               LIMIT $3 OFFSET $4";
    let found =
        tx.query(sql, &[id.as_str().into(), max, skip])?.iter().map(read).collect::<Result<_, _>>()?;
    let sql = "SELECT count(*) FROM cmk_alias WHERE tenant_id = $1 AND key_id = $2";
    Ok((found, one(tx, sql, &[id.as_str().into()])?))
}

pub(super) fn tags(tx: &mut TenantTx<'_, '_>, id: &KeyId) -> Result<Vec<(String, String)>, StoreError> {
    tx.query(
        "SELECT tag_key, tag_value FROM cmk_tag WHERE tenant_id = $1 AND key_id = $2 ORDER BY tag_key",
        &[id.as_str().into()],
    )?
    .iter()
    .map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.to_owned())))
    .collect()
}

pub(super) fn set_tag(
    tx: &mut TenantTx<'_, '_>,
    id: &KeyId,
    (key, value): (&str, &str),
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO cmk_tag (tenant_id, key_id, tag_key, tag_value) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, key_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        &[id.as_str().into(), key.into(), value.into()],
    )
    .map(drop)
}

pub(super) fn delete_tag(tx: &mut TenantTx<'_, '_>, id: &KeyId, key: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM cmk_tag WHERE tenant_id = $1 AND key_id = $2 AND tag_key = $3",
        &[id.as_str().into(), key.into()],
    )
    .map(drop)
}

pub(super) fn add_uses(
    tx: &mut TenantTx<'_, '_>,
    id: &KeyId,
    (day, operation, uses): (i64, &str, u64),
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO cmk_use (tenant_id, key_id, day, operation, uses) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant_id, key_id, day, operation) DO UPDATE SET uses = cmk_use.uses + excluded.uses",
        &[id.as_str().into(), day.into(), operation.into(), (uses as i64).into()],
    )
    .map(drop)
}

/// Uses that do not stand in the tenant's log yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) tenant: TenantId,
    pub(super) key: KeyId,
    pub(super) day: i64,
    pub(super) operation: String,
    pub(super) uses: i64,
    pub(super) noted: i64,
}

pub(super) fn pending(tx: &mut Tx<'_>, max: i64) -> Result<Vec<Pending>, StoreError> {
    tx.query(
        "SELECT tenant_id, key_id, day, operation, uses, noted FROM cmk_use WHERE uses > noted \
         ORDER BY tenant_id LIMIT $1",
        &[max.into()],
    )?
    .iter()
    .map(|r| {
        Ok(Pending {
            tenant: r.parsed(0, TenantId::parse)?,
            key: r.parsed(1, KeyId::parse)?,
            day: r.int(2)?,
            operation: r.text(3)?.to_owned(),
            uses: r.int(4)?,
            noted: r.int(5)?,
        })
    })
    .collect()
}

/// They stand there now; false when another process was faster.
pub(super) fn note(tx: &mut TenantTx<'_, '_>, p: &Pending) -> Result<bool, StoreError> {
    let noted = tx.execute(
        "UPDATE cmk_use SET noted = $5 WHERE tenant_id = $1 AND key_id = $2 AND day = $3 AND operation = $4 \
         AND noted = $6",
        &[p.key.as_str().into(), p.day.into(), (&p.operation).into(), p.uses.into(), p.noted.into()],
    )?;
    Ok(noted == 1)
}

/// Uses of a key from a day on: day, operation, how often.
pub(super) fn uses(
    tx: &mut TenantTx<'_, '_>,
    id: &KeyId,
    from_day: i64,
) -> Result<Vec<(i64, String, u64)>, StoreError> {
    tx.query(
        "SELECT day, operation, uses FROM cmk_use WHERE tenant_id = $1 AND key_id = $2 AND day >= $3 \
         ORDER BY day, operation",
        &[id.as_str().into(), from_day.into()],
    )?
    .iter()
    .map(|r| Ok((r.int(0)?, r.text(1)?.to_owned(), r.uint(2)?)))
    .collect()
}

/// What is due, of all tenants.
pub(super) fn due(
    tx: &mut Tx<'_>,
    column: Due,
    now: Timestamp,
) -> Result<Vec<(TenantId, KeyId)>, StoreError> {
    let sql = match column {
        Due::Deletion => {
            "SELECT tenant_id, key_id FROM cmk WHERE delete_at_ms <= $1 AND delete_at_ms IS NOT NULL LIMIT 1000"
        }
        Due::Rotation => {
            "SELECT tenant_id, key_id FROM cmk WHERE rotate_at_ms <= $1 AND rotate_at_ms IS NOT NULL LIMIT 1000"
        }
        Due::Material => {
            "SELECT tenant_id, key_id FROM cmk WHERE material_until_ms <= $1 AND material_until_ms IS NOT NULL \
             LIMIT 1000"
        }
    };
    tx.query(sql, &[now.ms().into()])?
        .iter()
        .map(|r| Ok((r.parsed(0, TenantId::parse)?, r.parsed(1, KeyId::parse)?)))
        .collect()
}

/// What may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Deletion,
    Rotation,
    Material,
}

/// Keys that rotate by themselves: all, and those that should have by `before`.
pub(super) fn rotations(tx: &mut Tx<'_>, before: Timestamp) -> Result<(u64, u64), StoreError> {
    let row = tx.query_opt(
        "SELECT count(*), count(CASE WHEN rotate_at_ms < $1 THEN 1 END) FROM cmk \
         WHERE rotate_at_ms IS NOT NULL AND state = 'Enabled'",
        &[before.ms().into()],
    )?;
    row.map_or(Ok((0, 0)), |r| Ok((r.uint(0)?, r.uint(1)?)))
}
