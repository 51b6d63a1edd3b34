//! The consent room's only SQL. One query reads a request with everything that decides its state.

use bailee_store::{Row, StoreError, TenantTx, Tx, Value};
use bailee_types::{Arn, GrantId, OperatorId, Pseudonym, TenantId, TicketId, Timestamp};

use super::scope::object_of;
use super::{Request, Scope};

pub(super) struct NewRequest {
    pub(super) id: GrantId,
    pub(super) ticket: TicketId,
    pub(super) operator: OperatorId,
    pub(super) pseudonym: Pseudonym,
    pub(super) place: String,
    pub(super) scope: Scope,
    pub(super) reason: String,
    pub(super) minutes: u32,
    pub(super) uses_max: u32,
    pub(super) asked_at: Timestamp,
    pub(super) lapses_at: Timestamp,
}

pub(super) fn insert(tx: &mut TenantTx<'_, '_>, r: &NewRequest) -> Result<(), StoreError> {
    let (covers, bucket, name, limits) = r.scope.columns();
    tx.execute(
        "INSERT INTO consent_request (tenant_id, grant_id, ticket_number, operator_id, pseudonym, place, action, \
         bucket, object_key, reason, minutes, uses_max, asked_at_ms, lapses_at_ms, covers, limits, ticket_reopened) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
         (SELECT reopened FROM ticket WHERE tenant_id = $1 AND number = $3))",
        &[
            r.id.as_str().into(),
            crate::tickets::number(&r.ticket).into(),
            r.operator.as_str().into(),
            r.pseudonym.as_str().into(),
            (&r.place).into(),
            r.scope.action().into(),
            bucket.into(),
            name.into(),
            (&r.reason).into(),
            i64::from(r.minutes).into(),
            i64::from(r.uses_max).into(),
            r.asked_at.ms().into(),
            r.lapses_at.ms().into(),
            covers.into(),
            limits.as_deref().into(),
        ],
    )
    .map(drop)
}

pub(super) fn decide(
    tx: &mut TenantTx<'_, '_>,
    id: &GrantId,
    seq: i64,
    act: &str,
    by: &str,
    now: Timestamp,
    approved: Option<(Timestamp, u32)>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO consent_decision (tenant_id, grant_id, seq, act, decided_by, decided_at_ms, until_ms, uses_max) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            id.as_str().into(),
            seq.into(),
            act.into(),
            by.into(),
            now.ms().into(),
            approved.map(|(until, _)| until.ms()).into(),
            approved.map(|(_, uses)| i64::from(uses)).into(),
        ],
    )
    .map(drop)
}

pub(super) fn keep_statement(tx: &mut TenantTx<'_, '_>, id: &GrantId, note: &str) -> Result<(), StoreError> {
    let sql = "UPDATE consent_decision SET statement = $3 WHERE tenant_id = $1 AND grant_id = $2 AND seq = 1";
    tx.execute(sql, &[id.as_str().into(), note.into()]).map(drop)
}

pub(super) fn statement(tx: &mut TenantTx<'_, '_>, id: &GrantId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT statement FROM consent_decision WHERE tenant_id = $1 AND grant_id = $2 AND seq = 1";
    let row = tx.query_opt(sql, &[id.as_str().into()])?;
    row.map_or(Ok(None), |r| Ok(r.opt_text(0)?.map(str::to_owned)))
}

const SELECT: &str = "SELECT r.tenant_id, r.grant_id, r.ticket_number, r.operator_id, r.pseudonym, r.place, r.action, \
     r.bucket, r.object_key, r.reason, r.minutes, r.uses_max, r.asked_at_ms, r.lapses_at_ms, \
     d.act, d.decided_by, d.decided_at_ms, d.until_ms, d.uses_max, v.decided_by, v.decided_at_ms, \
     (SELECT count(*) FROM access_intent i WHERE i.tenant_id = r.tenant_id AND i.grant_id = r.grant_id \
      AND i.counts_as_use = 1), t.closed_at_ms, o.state, t.solved_at_ms, \
     t.reopened, r.ticket_reopened, r.covers, r.limits \
     FROM consent_request r \
     JOIN ticket t ON t.tenant_id = r.tenant_id AND t.number = r.ticket_number \
     JOIN operator o ON o.operator_id = r.operator_id \
     LEFT JOIN consent_decision d ON d.tenant_id = r.tenant_id AND d.grant_id = r.grant_id AND d.seq = 1 \
     LEFT JOIN consent_decision v ON v.tenant_id = r.tenant_id AND v.grant_id = r.grant_id AND v.seq = 2 ";

pub(super) fn one(tx: &mut TenantTx<'_, '_>, id: &GrantId) -> Result<Option<Request>, StoreError> {
    tx.query_opt(&format!("{SELECT} WHERE r.tenant_id = $1 AND r.grant_id = $2"), &[id.as_str().into()])?
        .as_ref()
        .map(read)
        .transpose()
}

pub(super) fn of_tenant(tx: &mut TenantTx<'_, '_>, limit: u32) -> Result<Vec<Request>, StoreError> {
    tx.query(
        &format!("{SELECT} WHERE r.tenant_id = $1 ORDER BY r.asked_at_ms DESC, r.grant_id LIMIT $2"),
        &[i64::from(limit).into()],
    )?
    .iter()
    .map(read)
    .collect()
}

pub(super) fn of_operator(
    tx: &mut Tx<'_>,
    operator: &OperatorId,
    limit: u32,
) -> Result<Vec<Request>, StoreError> {
    tx.query(
        &format!("{SELECT} WHERE r.operator_id = $1 ORDER BY r.asked_at_ms DESC, r.grant_id LIMIT $2"),
        &[operator.as_str().into(), i64::from(limit).into()],
    )?
    .iter()
    .map(read)
    .collect()
}

/// Requests of exactly this operator, ticket and action that may be about this resource, newest first: for an object those about
/// it and about beginnings of keys of its bucket.
pub(super) fn about(
    tx: &mut TenantTx<'_, '_>,
    operator: &OperatorId,
    ticket: &TicketId,
    action: &str,
    resource: &Arn,
) -> Result<Vec<Request>, StoreError> {
    let object = object_of(resource);
    let (bucket, name) = match &object {
        Some((bucket, key)) => (bucket.as_str(), key.as_str()),
        None => ("", resource.relative().strip_prefix("target/").unwrap_or_default()),
    };
    let wanted: [Value<'_>; 5] = [
        operator.as_str().into(),
        crate::tickets::number(ticket).into(),
        action.into(),
        bucket.into(),
        name.into(),
    ];
    tx.query(
        &format!(
            "{SELECT} WHERE r.tenant_id = $1 AND r.operator_id = $2 AND r.ticket_number = $3 AND r.action = $4 \
             AND r.bucket = $5 AND (r.object_key = $6 OR r.covers = 'prefix') \
             ORDER BY r.asked_at_ms DESC, r.grant_id LIMIT 1000"
        ),
        &wanted,
    )?
    .iter()
    .map(read)
    .collect()
}

/// Requests for this action that may be live now, of any operator.
pub(super) fn maybe_live(
    tx: &mut TenantTx<'_, '_>,
    action: &str,
    now: Timestamp,
) -> Result<Vec<Request>, StoreError> {
    tx.query(
        &format!(
            "{SELECT} WHERE r.tenant_id = $1 AND r.action = $2 AND d.until_ms > $3 ORDER BY r.asked_at_ms, r.grant_id"
        ),
        &[action.into(), now.ms().into()],
    )?
    .iter()
    .map(read)
    .collect()
}

fn read(r: &Row) -> Result<Request, StoreError> {
    let count = |i: usize| {
        u32::try_from(r.int(i)?).map_err(|_| StoreError::Corrupt(format!("column {i} is out of range")))
    };
    let at = |i: usize| Ok::<_, StoreError>(r.opt_int(i)?.map(Timestamp::from_ms));
    let pair =
        |by: usize, when: usize| Ok::<_, StoreError>(r.opt_text(by)?.map(str::to_owned).zip(at(when)?));
    let act = r.opt_text(14)?;
    let approved = match (act, at(17)?) {
        (Some("approve"), Some(until)) => Some((until, count(18)?)),
        _ => None,
    };
    Ok(Request {
        tenant: r.parsed(0, TenantId::parse)?,
        id: r.parsed(1, GrantId::parse)?,
        ticket: TicketId::parse(&format!("T-{}", r.int(2)?))
            .map_err(|e| StoreError::Corrupt(e.to_string()))?,
        operator: r.parsed(3, OperatorId::parse)?,
        pseudonym: r.parsed(4, Pseudonym::parse)?,
        place: r.text(5)?.to_owned(),
        action: r.text(6)?.to_owned(),
        scope: Scope::from_columns(r.text(27)?, r.text(7)?, r.text(8)?, r.opt_text(28)?)
            .map_err(|e| StoreError::Corrupt(format!("what a consent request is about: {e}")))?,
        reason: r.text(9)?.to_owned(),
        minutes: count(10)?,
        uses_max_asked: count(11)?,
        asked_at: Timestamp::from_ms(r.int(12)?),
        lapses_at: Timestamp::from_ms(r.int(13)?),
        decided: pair(15, 16)?,
        approved,
        revoked: pair(19, 20)?,
        uses: count(21)?,
        // A ticket that was reopened does not bring back what was asked for before.
        ticket_open: r.opt_int(22)?.is_none() && r.opt_int(24)?.is_none() && r.int(25)? == r.int(26)?,
        operator_active: r.text(23)? == "active",
        denied: act == Some("deny"),
        withdrawn: act == Some("withdraw"),
    })
}
