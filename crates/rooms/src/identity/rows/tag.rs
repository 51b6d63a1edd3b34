//! Rows of tags.

use bailee_store::{Row, StoreError, TenantTx, Value};

use super::count_of;
use crate::identity::TagRow;

pub(in crate::identity) fn put(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    id: &str,
    key: &str,
    value: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ram_tag (tenant_id, resource_type, resource_id, tag_key, tag_value) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant_id, resource_type, resource_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        &[kind.into(), id.into(), key.into(), value.into()],
    )
    .map(drop)
}

pub(in crate::identity) fn count(tx: &mut TenantTx<'_, '_>, kind: &str, id: &str) -> Result<u64, StoreError> {
    count_of(tx.query_opt(
        "SELECT count(*) FROM ram_tag WHERE tenant_id = $1 AND resource_type = $2 AND resource_id = $3",
        &[kind.into(), id.into()],
    )?)
}

pub(in crate::identity) fn delete(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    id: &str,
    key: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM ram_tag WHERE tenant_id = $1 AND resource_type = $2 AND resource_id = $3 AND tag_key = $4",
        &[kind.into(), id.into(), key.into()],
    )
    .map(drop)
}

pub(in crate::identity) fn delete_all(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    id: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM ram_tag WHERE tenant_id = $1 AND resource_type = $2 AND resource_id = $3",
        &[kind.into(), id.into()],
    )
    .map(drop)
}

/// Conditions on a statement of its own: the resource of `kind` whose id is in column `id` has all of these tags; an empty
/// value means any. Their values are added to `values`, the first of which is `$2`.
pub(in crate::identity) fn having<'t>(
    kind: &'static str,
    id: &'static str,
    tags: &'t [(String, String)],
    values: &mut Vec<Value<'t>>,
) -> String {
    let mut sql = String::new();
    for (key, value) in tags {
        let n = values.len() + 2;
        sql.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM ram_tag h WHERE h.tenant_id = $1 AND h.resource_type = '{kind}' \
             AND h.resource_id = {id} AND h.tag_key = ${n} AND (${m} = '' OR h.tag_value = ${m}))",
            m = n + 1
        ));
        values.push(key.into());
        values.push(value.into());
    }
    sql
}

const ROWS: &str = "SELECT t.resource_type, coalesce(u.user_name, r.role_name, t.resource_id), t.resource_id, t.tag_key, \
     t.tag_value FROM ram_tag t \
     LEFT JOIN ram_user u ON t.resource_type = 'user' AND u.user_id = t.resource_id \
     LEFT JOIN ram_role r ON t.resource_type = 'role' AND r.role_id = t.resource_id \
     WHERE t.tenant_id = $1 AND t.resource_type = $2";

/// Resources whose tags are read at once.
const AT_ONCE: usize = 100;

/// Tags of these resources with their names, by id and key.
pub(in crate::identity) fn of<'i>(
    tx: &mut TenantTx<'_, '_>,
    kind: &str,
    ids: impl IntoIterator<Item = &'i str>,
) -> Result<Vec<TagRow>, StoreError> {
    let ids: Vec<&str> = ids.into_iter().collect();
    let mut rows = Vec::new();
    for some in ids.chunks(AT_ONCE) {
        let places: Vec<String> = (0..some.len()).map(|n| format!("${}", n + 3)).collect();
        let sql =
            format!("{ROWS} AND t.resource_id IN ({}) ORDER BY t.resource_id, t.tag_key", places.join(", "));
        let mut values: Vec<Value<'_>> = vec![kind.into()];
        values.extend(some.iter().map(|id| Value::Text(id)));
        for row in &tx.query(&sql, &values)? {
            rows.push(read(row)?);
        }
    }
    Ok(rows)
}

/// Tags of a kind after a resource and a key, by id and key, at most so many: of these resources, of all when there are
/// none, and only of resources that have all of `tags`.
pub(in crate::identity) fn page(
    tx: &mut TenantTx<'_, '_>,
    kind: &'static str,
    (ids, tags): (&[String], &[(String, String)]),
    (id, key): (&str, &str),
    limit: u32,
) -> Result<Vec<TagRow>, StoreError> {
    let mut values: Vec<Value<'_>> = vec![kind.into(), id.into(), key.into(), i64::from(limit).into()];
    let having = having(kind, "t.resource_id", tags, &mut values);
    let mut among = String::new();
    if !ids.is_empty() {
        let places: Vec<String> = (0..ids.len()).map(|n| format!("${}", values.len() + 2 + n)).collect();
        among = format!(" AND t.resource_id IN ({})", places.join(", "));
        values.extend(ids.iter().map(|id| Value::Text(id)));
    }
    let sql = format!(
        "{ROWS} AND (t.resource_id, t.tag_key) > ($3, $4){having}{among} \
         ORDER BY t.resource_id, t.tag_key LIMIT $5"
    );
    tx.query(&sql, &values)?.iter().map(read).collect()
}

fn read(r: &Row) -> Result<TagRow, StoreError> {
    Ok(TagRow {
        kind: r.text(0)?.to_owned(),
        name: r.text(1)?.to_owned(),
        id: r.text(2)?.to_owned(),
        key: r.text(3)?.to_owned(),
        value: r.text(4)?.to_owned(),
    })
}
