//! Rows of broken glass. One query reads a glass with everything that decides its state.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{HandlingId, OperatorId, TenantId, TicketId, Timestamp};

use super::super::glass::{GLASS_MINUTES_MAX, Glass, GlassAct, Hand, Review, Verdict};
use super::places;

/// Acts that are read with a glass; one has a handful.
const ACTS_MAX: i64 = 500;

const SELECT: &str = "SELECT g.tenant_id, g.handling_id, g.incident, g.reason, g.minutes, g.asked_by, g.asked_as, g.asked_at_ms, \
     (SELECT i.result FROM access_intent i WHERE i.tenant_id = g.tenant_id AND i.intent_index = g.asked_record), \
     CAST(CASE WHEN a.state = 'active' AND a.disabled = g.asked_disabled THEN 1 ELSE 0 END AS BIGINT), g.broken_by, g.broken_as, g.broken_at_ms, \
     (SELECT i.result FROM access_intent i WHERE i.tenant_id = g.tenant_id AND i.intent_index = g.broken_record), \
     CAST(CASE WHEN b.state = 'active' AND b.disabled = g.broken_disabled THEN 1 ELSE 0 END AS BIGINT), g.until_ms, g.ended_by, g.ended_at_ms, g.verdict, g.note, \
     g.reviewed_by, g.reviewed_at_ms, g.ticket, g.notice_at_ms \
     FROM glass g JOIN operator a ON a.operator_id = g.asked_by LEFT JOIN operator b ON b.operator_id = g.broken_by \
     WHERE g.tenant_id = $1";

fn hand(r: &Row, at: usize) -> Result<Hand, StoreError> {
    Ok(Hand {
        operator: r.parsed(at, OperatorId::parse)?,
        pseudonym: r.text(at + 1)?.to_owned(),
        at: Timestamp::from_ms(r.int(at + 2)?),
        recorded: r.opt_text(at + 3)?.map(|result| result == "done"),
        active: r.int(at + 4)? == 1,
    })
}

fn reviewed(r: &Row) -> Result<Option<Review>, StoreError> {
    let (Some(_), Some(note), Some(by), Some(at)) =
        (r.opt_text(18)?, r.opt_text(19)?, r.opt_text(20)?, r.opt_int(21)?)
    else {
        return Ok(None);
    };
    let ticket = r.opt_int(22)?.map(|n| TicketId::parse(&format!("T-{n}"))).transpose();
    Ok(Some(Review {
        verdict: r.parsed(18, |word| Verdict::parse(word).ok_or("a verdict"))?,
        note: note.to_owned(),
        by: by.to_owned(),
        at: Timestamp::from_ms(at),
        ticket: ticket.map_err(|e| StoreError::Corrupt(e.to_string()))?,
    }))
}

fn glass(r: &Row, last: Timestamp) -> Result<Glass, StoreError> {
    let ended = match (r.opt_text(16)?, r.opt_int(17)?) {
        (Some(by), Some(at)) => Some((by.to_owned(), Timestamp::from_ms(at))),
        _ => None,
    };
    Ok(Glass {
        tenant: r.parsed(0, TenantId::parse)?,
        id: r.parsed(1, HandlingId::parse)?,
        incident: r.text(2)?.to_owned(),
        reason: r.text(3)?.to_owned(),
        minutes: u32::try_from(r.int(4)?).unwrap_or(0).min(GLASS_MINUTES_MAX),
        asked: hand(r, 5)?,
        broken: r.opt_text(10)?.is_some().then(|| hand(r, 10)).transpose()?,
        until: r.opt_int(15)?.map(Timestamp::from_ms),
        ended,
        review: reviewed(r)?,
        acknowledged: r.opt_int(23)?.is_none(),
        acts: Vec::new(),
        last,
    })
}

/// One, without what was done under it.
pub(in super::super) fn one(tx: &mut TenantTx<'_, '_>, id: &HandlingId) -> Result<Option<Glass>, StoreError> {
    let last = crate::trail::last_time(tx)?;
    let found = tx.query_opt(&format!("{SELECT} AND g.handling_id = $2"), &[id.as_str().into()])?;
    found.map(|r| glass(&r, last)).transpose()
}

/// A tenant's, the newest first.
pub(in super::super) fn all(tx: &mut TenantTx<'_, '_>, limit: u32) -> Result<Vec<Glass>, StoreError> {
    let last = crate::trail::last_time(tx)?;
    let sql = format!("{SELECT} ORDER BY g.asked_at_ms DESC LIMIT $2");
    let found: Vec<_> = tx
        .query(&sql, &[i64::from(limit).into()])?
        .iter()
        .map(|r| glass(r, last))
        .collect::<Result<_, _>>()?;
    found.into_iter().map(|g| with_acts(tx, g)).collect()
}

pub(in super::super) fn with_acts(tx: &mut TenantTx<'_, '_>, mut g: Glass) -> Result<Glass, StoreError> {
    let sql = "SELECT record, name, resource, at_ms FROM glass_act WHERE tenant_id = $1 AND handling_id = $2 \
               ORDER BY record LIMIT $3";
    let read = |r: &Row| {
        Ok(GlassAct {
            record: r.uint(0)?,
            name: r.text(1)?.to_owned(),
            resource: r.text(2)?.to_owned(),
            at: Timestamp::from_ms(r.int(3)?),
        })
    };
    let rows = tx.query(sql, &[g.id.as_str().into(), ACTS_MAX.into()])?;
    g.acts = rows.iter().map(read).collect::<Result<_, StoreError>>()?;
    Ok(g)
}

/// Of all tenants, the newest first.
pub(in super::super) fn newest(
    tx: &mut Tx<'_>,
    limit: u32,
) -> Result<Vec<(TenantId, HandlingId)>, StoreError> {
    let sql = "SELECT tenant_id, handling_id FROM glass ORDER BY asked_at_ms DESC LIMIT $1";
    places(&tx.query(sql, &[i64::from(limit).into()])?)
}

/// What an operator asked for and may be open: that lies not further back than both of its times.
pub(in super::super) fn of_operator(
    tx: &mut Tx<'_>,
    operator: &OperatorId,
    now: Timestamp,
) -> Result<Vec<(TenantId, HandlingId)>, StoreError> {
    let since = now.plus_ms(-2 * 60_000 * i64::from(GLASS_MINUTES_MAX));
    let sql = "SELECT tenant_id, handling_id FROM glass WHERE asked_by = $1 AND asked_at_ms > $2 AND ended_at_ms IS NULL";
    places(&tx.query(sql, &[operator.as_str().into(), since.ms().into()])?)
}

pub(in super::super) fn insert(
    tx: &mut TenantTx<'_, '_>,
    (id, incident, reason, minutes): (&HandlingId, &str, &str, u32),
    (operator, pseudonym, record): (&OperatorId, &str, u64),
    at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO glass (tenant_id, handling_id, incident, reason, minutes, asked_by, asked_as, asked_at_ms, \
               asked_record, asked_disabled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
               (SELECT disabled FROM operator WHERE operator_id = $6))";
    let params = [
        id.as_str().into(),
        incident.into(),
        reason.into(),
        i64::from(minutes).into(),
        operator.as_str().into(),
        pseudonym.into(),
        at.ms().into(),
        number(record)?.into(),
    ];
    tx.execute(sql, &params).map(drop)
}

fn number(record: u64) -> Result<i64, StoreError> {
    i64::try_from(record).map_err(|e| StoreError::Statement(e.to_string()))
}

pub(in super::super) fn break_it(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    (operator, pseudonym, record): (&OperatorId, &str, u64),
    (now, until): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let sql = "UPDATE glass SET broken_by = $3, broken_as = $4, broken_at_ms = $5, until_ms = $6, broken_record = $7, \
               broken_disabled = (SELECT disabled FROM operator WHERE operator_id = $3) \
               WHERE tenant_id = $1 AND handling_id = $2 AND broken_by IS NULL";
    let params = [
        id.as_str().into(),
        operator.as_str().into(),
        pseudonym.into(),
        now.ms().into(),
        until.ms().into(),
        number(record)?.into(),
    ];
    tx.execute(sql, &params).map(drop)
}

pub(in super::super) fn end(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE glass SET ended_by = $3, ended_at_ms = $4 WHERE tenant_id = $1 AND handling_id = $2";
    tx.execute(sql, &[id.as_str().into(), by.into(), now.ms().into()]).map(drop)
}

pub(in super::super) fn review(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    r: &Review,
) -> Result<(), StoreError> {
    let sql = "UPDATE glass SET verdict = $3, note = $4, reviewed_by = $5, reviewed_at_ms = $6, ticket = $7 \
               WHERE tenant_id = $1 AND handling_id = $2";
    let params = [
        id.as_str().into(),
        r.verdict.word().into(),
        (&r.note).into(),
        (&r.by).into(),
        r.at.ms().into(),
        r.ticket.as_ref().map(crate::tickets::number).into(),
    ];
    tx.execute(sql, &params).map(drop)
}

pub(in super::super) fn note(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    record: u64,
    (name, resource): (&str, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO glass_act (tenant_id, handling_id, record, name, resource, at_ms) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let params = [id.as_str().into(), number(record)?.into(), name.into(), resource.into(), now.ms().into()];
    tx.execute(sql, &params).map(drop)
}

/// Of whose newest step the tenant is to be told again.
pub(in super::super) fn due(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(TenantId, HandlingId)>, StoreError> {
    let sql =
        "SELECT tenant_id, handling_id FROM glass WHERE notice_at_ms <= $1 ORDER BY notice_at_ms LIMIT $2";
    places(&tx.query(sql, &[now.ms().into(), i64::from(limit).into()])?)
}

pub(in super::super) fn to_acknowledge(tx: &mut TenantTx<'_, '_>) -> Result<Vec<HandlingId>, StoreError> {
    let sql = "SELECT handling_id FROM glass WHERE tenant_id = $1 AND notice_at_ms IS NOT NULL \
               ORDER BY asked_at_ms LIMIT 20";
    tx.query(sql, &[])?.iter().map(|r| r.parsed(0, HandlingId::parse)).collect()
}

/// Puts a notice that is due off; `false` when it is not due any more.
pub(in super::super) fn postpone(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    due: Timestamp,
    to: Timestamp,
) -> Result<bool, StoreError> {
    let sql =
        "UPDATE glass SET notice_at_ms = $3 WHERE tenant_id = $1 AND handling_id = $2 AND notice_at_ms <= $4";
    Ok(tx.execute(sql, &[id.as_str().into(), to.ms().into(), due.ms().into()])? == 1)
}

/// When the tenant is told next; none: it has acknowledged.
pub(in super::super) fn postpone_from(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    to: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE glass SET notice_at_ms = $3 WHERE tenant_id = $1 AND handling_id = $2";
    Ok(tx.execute(sql, &[id.as_str().into(), to.map(Timestamp::ms).into()])? == 1)
}
