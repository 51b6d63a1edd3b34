//! The register's only SQL.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{OperatorId, Pseudonym, RegionId, TenantId, TicketId, Timestamp};

use super::register::{Move, Transfer};
use super::request::{Answer, TransferRequest};

/// A region as its row has it.
pub(super) struct RegionRow {
    pub(super) id: RegionId,
    pub(super) jurisdiction: String,
    pub(super) tag: String,
    pub(super) folder: String,
    pub(super) added_at: Timestamp,
}

/// All regions but the house's own; there are few.
pub(super) fn regions(tx: &mut Tx<'_>) -> Result<Vec<RegionRow>, StoreError> {
    tx.query("SELECT region_id, jurisdiction, tag, folder, added_at_ms FROM region ORDER BY region_id", &[])?
        .iter()
        .map(|r| {
            Ok(RegionRow {
                id: r.parsed(0, RegionId::parse)?,
                jurisdiction: r.text(1)?.to_owned(),
                tag: r.text(2)?.to_owned(),
                folder: r.text(3)?.to_owned(),
                added_at: Timestamp::from_ms(r.int(4)?),
            })
        })
        .collect()
}

pub(super) fn insert_region(tx: &mut Tx<'_>, r: &RegionRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO region (region_id, jurisdiction, tag, folder, added_at_ms) VALUES ($1, $2, $3, $4, $5)",
        &[
            r.id.as_str().into(),
            (&r.jurisdiction).into(),
            (&r.tag).into(),
            (&r.folder).into(),
            r.added_at.ms().into(),
        ],
    )
    .map(drop)
}

/// Where a tenant lets its buckets lie; empty for everywhere.
pub(super) fn allowed(tx: &mut TenantTx<'_, '_>) -> Result<Vec<RegionId>, StoreError> {
    tx.query("SELECT region_id FROM tenant_region WHERE tenant_id = $1 ORDER BY region_id", &[])?
        .iter()
        .map(|r| r.parsed(0, RegionId::parse))
        .collect()
}

pub(super) fn set_allowed(tx: &mut TenantTx<'_, '_>, regions: &[RegionId]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM tenant_region WHERE tenant_id = $1", &[])?;
    for region in regions {
        let sql = "INSERT INTO tenant_region (tenant_id, region_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[region.as_str().into()])?;
    }
    Ok(())
}

const COLUMNS: &str = "t.transfer_id, t.from_place, t.to_place, t.resources, t.basis, t.told, t.valid_from_ms, \
     t.valid_until_ms, t.registered_at_ms, t.registered_by, t.suspended_at_ms, t.ended_at_ms, t.stop_reason";

fn read(r: &Row) -> Result<Transfer, StoreError> {
    let at = |n: usize| Ok::<_, StoreError>(r.opt_int(n)?.map(Timestamp::from_ms));
    Ok(Transfer {
        id: r.text(0)?.to_owned(),
        from: r.text(1)?.to_owned(),
        to: r.text(2)?.to_owned(),
        resources: r.parsed(3, |t| serde_json::from_str(t).map_err(|_| "resources of a transfer"))?,
        basis: r.text(4)?.to_owned(),
        told: r.parsed(5, |t| serde_json::from_str(t).map_err(|_| "what was told of a transfer"))?,
        valid_from: Timestamp::from_ms(r.int(6)?),
        valid_until: Timestamp::from_ms(r.int(7)?),
        registered_at: Timestamp::from_ms(r.int(8)?),
        registered_by: r.text(9)?.to_owned(),
        suspended_at: at(10)?,
        ended_at: at(11)?,
        stop_reason: r.text(12)?.to_owned(),
        moves: 0,
        moved_bytes: 0,
        first_moved_at: None,
        last_moved_at: None,
    })
}

pub(super) fn insert(tx: &mut TenantTx<'_, '_>, t: &Transfer) -> Result<(), StoreError> {
    let text = |v: serde_json::Result<String>| v.map_err(|e| StoreError::Statement(e.to_string()));
    let (resources, told) =
        (text(serde_json::to_string(&t.resources))?, text(serde_json::to_string(&t.told))?);
    tx.execute(
        "INSERT INTO transfer (tenant_id, transfer_id, from_place, to_place, resources, basis, told, valid_from_ms, \
         valid_until_ms, registered_at_ms, registered_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            (&t.id).into(),
            (&t.from).into(),
            (&t.to).into(),
            (&resources).into(),
            (&t.basis).into(),
            (&told).into(),
            t.valid_from.ms().into(),
            t.valid_until.ms().into(),
            t.registered_at.ms().into(),
            (&t.registered_by).into(),
        ],
    )
    .map(drop)
}

/// All of a tenant: a few hundred at most.
pub(super) fn all(tx: &mut TenantTx<'_, '_>) -> Result<Vec<Transfer>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM transfer t WHERE t.tenant_id = $1 ORDER BY t.registered_at_ms DESC, t.transfer_id"
    );
    tx.query(&sql, &[])?.iter().map(read).collect()
}

pub(super) fn one(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<Option<Transfer>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM transfer t WHERE t.tenant_id = $1 AND t.transfer_id = $2");
    tx.query_opt(&sql, &[id.into()])?.as_ref().map(read).transpose()
}

/// Fills in what moved under a transfer.
pub(super) fn count(tx: &mut TenantTx<'_, '_>, t: &mut Transfer) -> Result<(), StoreError> {
    let sql = "SELECT count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT), min(moved_at_ms), max(moved_at_ms) \
               FROM transfer_move WHERE tenant_id = $1 AND transfer_id = $2";
    if let Some(r) = tx.query_opt(sql, &[(&t.id).into()])? {
        t.moves = r.uint(0)?;
        t.moved_bytes = r.uint(1)?;
        t.first_moved_at = r.opt_int(2)?.map(Timestamp::from_ms);
        t.last_moved_at = r.opt_int(3)?.map(Timestamp::from_ms);
    }
    Ok(())
}

/// Stops one for now or for good, or lets it go on.
pub(super) fn set_stopped(tx: &mut TenantTx<'_, '_>, t: &Transfer) -> Result<(), StoreError> {
    let at = |at: Option<Timestamp>| at.map(Timestamp::ms);
    tx.execute(
        "UPDATE transfer SET suspended_at_ms = $3, ended_at_ms = $4, stop_reason = $5 \
         WHERE tenant_id = $1 AND transfer_id = $2",
        &[(&t.id).into(), at(t.suspended_at).into(), at(t.ended_at).into(), (&t.stop_reason).into()],
    )
    .map(drop)
}

pub(super) fn insert_move(tx: &mut TenantTx<'_, '_>, id: &str, m: &Move) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO transfer_move (tenant_id, transfer_id, record_index, moved_at_ms, resource, who) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[id.into(), (m.record as i64).into(), m.at.ms().into(), (&m.resource).into(), (&m.who).into()],
    )
    .map(drop)
}

pub(super) fn set_bytes(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    record: u64,
    bytes: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE transfer_move SET bytes = $4 WHERE tenant_id = $1 AND transfer_id = $2 AND record_index = $3",
        &[id.into(), (record as i64).into(), (bytes as i64).into()],
    )
    .map(drop)
}

/// The newest first, below a record.
pub(super) fn moves(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Move>, StoreError> {
    let before = before.and_then(|b| i64::try_from(b).ok()).unwrap_or(i64::MAX);
    tx.query(
        "SELECT record_index, moved_at_ms, resource, who, bytes FROM transfer_move \
         WHERE tenant_id = $1 AND transfer_id = $2 AND record_index < $3 ORDER BY record_index DESC LIMIT $4",
        &[id.into(), before.into(), i64::from(limit).into()],
    )?
    .iter()
    .map(|r| {
        Ok(Move {
            record: r.uint(0)?,
            at: Timestamp::from_ms(r.int(1)?),
            resource: r.text(2)?.to_owned(),
            who: r.text(3)?.to_owned(),
            bytes: r.opt_int(4)?.and_then(|n| u64::try_from(n).ok()),
        })
    })
    .collect()
}

const REQUEST: &str = "tenant_id, request_id, ticket, operator_id, pseudonym, place, from_place, to_place, resources, basis, importer, \
     reason, valid_days, asked_at_ms, lapses_at_ms, answered_at_ms, answered_by, note, transfer_id FROM transfer_request";

fn read_request(r: &Row) -> Result<TransferRequest, StoreError> {
    let answer = match (r.opt_int(15)?, r.opt_text(16)?) {
        (Some(at), Some(by)) => Some(Answer {
            at: Timestamp::from_ms(at),
            by: by.to_owned(),
            note: r.text(17)?.to_owned(),
            transfer: r.opt_text(18)?.map(str::to_owned),
        }),
        _ => None,
    };
    Ok(TransferRequest {
        tenant: r.parsed(0, TenantId::parse)?,
        id: r.text(1)?.to_owned(),
        ticket: r.parsed(2, TicketId::parse)?,
        operator: r.parsed(3, OperatorId::parse)?,
        pseudonym: r.parsed(4, Pseudonym::parse)?,
        place: r.text(5)?.to_owned(),
        from: r.text(6)?.to_owned(),
        to: r.text(7)?.to_owned(),
        resources: r.parsed(8, |t| serde_json::from_str(t).map_err(|_| "resources of a request"))?,
        basis: r.text(9)?.to_owned(),
        importer: r.text(10)?.to_owned(),
        reason: r.text(11)?.to_owned(),
        days: u32::try_from(r.int(12)?).unwrap_or(0),
        asked_at: Timestamp::from_ms(r.int(13)?),
        lapses_at: Timestamp::from_ms(r.int(14)?),
        answer,
        ticket_open: false,
    })
}

pub(super) fn insert_request(tx: &mut TenantTx<'_, '_>, q: &TransferRequest) -> Result<(), StoreError> {
    let resources = serde_json::to_string(&q.resources).map_err(|e| StoreError::Statement(e.to_string()))?;
    tx.execute(
        "INSERT INTO transfer_request (tenant_id, request_id, ticket, operator_id, pseudonym, place, from_place, to_place, \
         resources, basis, importer, reason, valid_days, asked_at_ms, lapses_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        &[
            (&q.id).into(),
            q.ticket.as_str().into(),
            q.operator.as_str().into(),
            q.pseudonym.as_str().into(),
            (&q.place).into(),
            (&q.from).into(),
            (&q.to).into(),
            (&resources).into(),
            (&q.basis).into(),
            (&q.importer).into(),
            (&q.reason).into(),
            i64::from(q.days).into(),
            q.asked_at.ms().into(),
            q.lapses_at.ms().into(),
        ],
    )
    .map(drop)
}

pub(super) fn request(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<Option<TransferRequest>, StoreError> {
    let sql = format!("SELECT {REQUEST} WHERE tenant_id = $1 AND request_id = $2");
    tx.query_opt(&sql, &[id.into()])?.as_ref().map(read_request).transpose()
}

/// All of a tenant, the newest first: a thousand at most.
pub(super) fn requests(tx: &mut TenantTx<'_, '_>) -> Result<Vec<TransferRequest>, StoreError> {
    let sql = format!("SELECT {REQUEST} WHERE tenant_id = $1 ORDER BY asked_at_ms DESC, request_id");
    tx.query(&sql, &[])?.iter().map(read_request).collect()
}

pub(super) fn requests_of_operator(
    tx: &mut Tx<'_>,
    operator: &OperatorId,
    limit: u32,
) -> Result<Vec<TransferRequest>, StoreError> {
    let sql =
        format!("SELECT {REQUEST} WHERE operator_id = $1 ORDER BY asked_at_ms DESC, request_id LIMIT $2");
    tx.query(&sql, &[operator.as_str().into(), i64::from(limit).into()])?.iter().map(read_request).collect()
}

/// Whether it was not answered before.
pub(super) fn answer_request(tx: &mut TenantTx<'_, '_>, id: &str, a: &Answer) -> Result<bool, StoreError> {
    let answered = tx.execute(
        "UPDATE transfer_request SET answered_at_ms = $3, answered_by = $4, note = $5, transfer_id = $6 \
         WHERE tenant_id = $1 AND request_id = $2 AND answered_at_ms IS NULL",
        &[id.into(), a.at.ms().into(), (&a.by).into(), (&a.note).into(), a.transfer.as_deref().into()],
    )?;
    Ok(answered == 1)
}

/// Transfers that are not over: their bases, and when they end.
pub(super) fn not_over(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let sql = "SELECT basis, valid_until_ms FROM transfer WHERE ended_at_ms IS NULL AND valid_until_ms > $1";
    let all = tx.query(sql, &[now.ms().into()])?;
    all.iter().map(|r| Ok((r.text(0)?.to_owned(), Timestamp::from_ms(r.int(1)?)))).collect()
}

/// What moved under transfers: all moves, and those from outside their transfer's time.
pub(super) fn moves_out_of_time(tx: &mut Tx<'_>) -> Result<(u64, u64), StoreError> {
    let row = tx.query_opt(
        "SELECT count(*), count(CASE WHEN m.moved_at_ms < t.valid_from_ms OR m.moved_at_ms >= t.valid_until_ms \
         OR m.moved_at_ms > coalesce(t.ended_at_ms, m.moved_at_ms) THEN 1 END) \
         FROM transfer_move m JOIN transfer t ON t.tenant_id = m.tenant_id AND t.transfer_id = m.transfer_id",
        &[],
    )?;
    row.map_or(Ok((0, 0)), |r| Ok((r.uint(0)?, r.uint(1)?)))
}
