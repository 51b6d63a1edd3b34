//! The tickets room's only SQL.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantAlias, TenantId, TicketId, Timestamp};

use super::Ticket;

const SELECT: &str = "SELECT k.tenant_id, t.alias, k.number, k.title, k.opened_by, k.opened_at_ms, k.closed_at_ms \
     FROM ticket k JOIN tenant t ON t.tenant_id = k.tenant_id ";

pub(super) fn next_number(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT coalesce(max(number), 0) + 1 FROM ticket", &[])?;
    row.map_or(Ok(1), |r| r.int(0))
}

pub(super) fn insert(
    tx: &mut TenantTx<'_, '_>,
    number: i64,
    title: &str,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ticket (tenant_id, number, title, opened_by, opened_at_ms) VALUES ($1, $2, $3, $4, $5)",
        &[number.into(), title.into(), by.into(), now.ms().into()],
    )
    .map(drop)
}

pub(super) fn close(tx: &mut TenantTx<'_, '_>, number: i64, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE ticket SET closed_at_ms = $3 WHERE tenant_id = $1 AND number = $2 AND closed_at_ms IS NULL",
        &[number.into(), now.ms().into()],
    )
}

pub(super) fn is_open(tx: &mut TenantTx<'_, '_>, number: i64) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM ticket WHERE tenant_id = $1 AND number = $2 AND closed_at_ms IS NULL";
    Ok(tx.query_opt(sql, &[number.into()])?.is_some())
}

pub(super) fn of_tenant(tx: &mut TenantTx<'_, '_>, limit: u32) -> Result<Vec<Ticket>, StoreError> {
    let sql = format!("{SELECT} WHERE k.tenant_id = $1 ORDER BY k.number DESC LIMIT $2");
    tx.query(&sql, &[i64::from(limit).into()])?.iter().map(read).collect()
}

pub(super) fn one(tx: &mut Tx<'_>, number: i64) -> Result<Option<Ticket>, StoreError> {
    tx.query_opt(&format!("{SELECT} WHERE k.number = $1"), &[number.into()])?.as_ref().map(read).transpose()
}

pub(super) fn all_open(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Ticket>, StoreError> {
    let sql = format!("{SELECT} WHERE k.closed_at_ms IS NULL ORDER BY k.number LIMIT $1");
    tx.query(&sql, &[i64::from(limit).into()])?.iter().map(read).collect()
}

fn read(r: &Row) -> Result<Ticket, StoreError> {
    Ok(Ticket {
        tenant: r.parsed(0, TenantId::parse)?,
        alias: r.parsed(1, TenantAlias::parse)?,
        id: TicketId::parse(&format!("T-{}", r.int(2)?)).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        title: r.text(3)?.to_owned(),
        opened_by: r.text(4)?.to_owned(),
        opened_at: Timestamp::from_ms(r.int(5)?),
        closed_at: r.opt_int(6)?.map(Timestamp::from_ms),
    })
}
