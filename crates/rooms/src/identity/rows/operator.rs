//! Rows of operators.

use bailee_store::{StoreError, Tx};
use bailee_types::{OperatorId, Timestamp};

use crate::identity::Operator;

const OPERATOR: &str = "SELECT o.operator_id, o.place, o.state, o.created_at_ms, r.role FROM operator o \
     LEFT JOIN operator_role r ON r.operator_id = o.operator_id ";

/// One row a role.
fn read(rows: &[bailee_store::Row]) -> Result<Vec<Operator>, StoreError> {
    let mut all: Vec<Operator> = Vec::new();
    for r in rows {
        let id = r.parsed(0, OperatorId::parse)?;
        if all.last().is_none_or(|o| o.id != id) {
            all.push(Operator {
                id,
                roles: Vec::new(),
                place: r.text(1)?.to_owned(),
                active: r.text(2)? == "active",
                created_at: Timestamp::from_ms(r.int(3)?),
            });
        }
        if let (Some(o), Some(role)) = (all.last_mut(), r.opt_text(4)?) {
            o.roles.push(role.to_owned());
        }
    }
    Ok(all)
}

pub(in crate::identity) fn by_id(tx: &mut Tx<'_>, id: &OperatorId) -> Result<Option<Operator>, StoreError> {
    let rows =
        tx.query(&format!("{OPERATOR} WHERE o.operator_id = $1 ORDER BY r.role"), &[id.as_str().into()])?;
    Ok(read(&rows)?.into_iter().next())
}

pub(in crate::identity) fn all(tx: &mut Tx<'_>) -> Result<Vec<Operator>, StoreError> {
    read(&tx.query(&format!("{OPERATOR} ORDER BY o.operator_id, r.role"), &[])?)
}

pub(in crate::identity) fn password(tx: &mut Tx<'_>, id: &OperatorId) -> Result<Option<String>, StoreError> {
    tx.query_opt(
        "SELECT password_hash FROM operator WHERE operator_id = $1 AND state = 'active'",
        &[id.as_str().into()],
    )?
    .map(|r| r.text(0).map(str::to_owned))
    .transpose()
}

pub(in crate::identity) fn set_password(
    tx: &mut Tx<'_>,
    id: &OperatorId,
    hash: &str,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "UPDATE operator SET password_hash = $2 WHERE operator_id = $1",
        &[id.as_str().into(), hash.into()],
    )?;
    Ok(n == 1)
}

/// False when the id is taken.
pub(in crate::identity) fn insert(
    tx: &mut Tx<'_>,
    id: &OperatorId,
    roles: &[String],
    place: &str,
    hash: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO operator (operator_id, password_hash, place, state, created_at_ms) \
         VALUES ($1, $2, $3, 'active', $4) ON CONFLICT (operator_id) DO NOTHING",
        &[id.as_str().into(), hash.into(), place.into(), now.ms().into()],
    )?;
    if n == 1 {
        set_roles(tx, id, roles)?;
    }
    Ok(n == 1)
}

pub(in crate::identity) fn set_roles(
    tx: &mut Tx<'_>,
    id: &OperatorId,
    roles: &[String],
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM operator_role WHERE operator_id = $1", &[id.as_str().into()])?;
    for role in roles {
        tx.execute(
            "INSERT INTO operator_role (operator_id, role) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[id.as_str().into(), role.into()],
        )?;
    }
    Ok(())
}

pub(in crate::identity) fn set_state(
    tx: &mut Tx<'_>,
    id: &OperatorId,
    active: bool,
) -> Result<bool, StoreError> {
    let state = if active { "active" } else { "disabled" };
    // How often he was disabled: grants from before do not come back with him.
    let n = tx.execute(
        "UPDATE operator SET disabled = disabled + CASE WHEN state = 'active' AND $2 = 'disabled' THEN 1 ELSE 0 END, \
         state = $2 WHERE operator_id = $1",
        &[id.as_str().into(), state.into()],
    )?;
    Ok(n == 1)
}
