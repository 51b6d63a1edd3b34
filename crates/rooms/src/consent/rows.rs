//! The consent room's only SQL. One query reads a request with everything that decides its state.

pub(super) mod figures;
pub(super) mod standing;

use bailee_store::{Row, StoreError, TenantTx, Tx, Value};
use bailee_types::{Arn, GrantId, OperatorId, Pseudonym, StandingId, TenantId, TicketId, Timestamp};

use super::life::Approval;
use super::policy::{Circumstances, ConsentPolicy, SetPolicy};
use super::scope::object_of;
use super::{COMMENTS_MAX, Category, Code, Comment, Confirmed, Request, Scope};

pub(super) struct NewRequest {
    pub(super) id: GrantId,
    pub(super) ticket: TicketId,
    pub(super) operator: OperatorId,
    pub(super) pseudonym: Pseudonym,
    pub(super) place: String,
    pub(super) scope: Scope,
    pub(super) reason: String,
    pub(super) because: super::Because,
    pub(super) minutes: u32,
    pub(super) uses_max: u32,
    pub(super) asked_at: Timestamp,
    pub(super) lapses_at: Timestamp,
    pub(super) second_eye: bool,
    pub(super) seen: Timestamp,
}

pub(super) fn insert(tx: &mut TenantTx<'_, '_>, r: &NewRequest) -> Result<(), StoreError> {
    let (covers, bucket, name, limits) = r.scope.columns();
    tx.execute(
        "INSERT INTO consent_request (tenant_id, grant_id, ticket_number, operator_id, pseudonym, place, action, \
         bucket, object_key, reason, minutes, uses_max, asked_at_ms, lapses_at_ms, covers, limits, code, reference, \
         renews, second_eye, seen_ms, ticket_reopened, operator_disabled) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
         (SELECT reopened FROM ticket WHERE tenant_id = $1 AND number = $3), \
         (SELECT disabled FROM operator WHERE operator_id = $4))",
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
            r.because.code.word().into(),
            (&r.because.reference).into(),
            r.because.renews.as_ref().map(GrantId::as_str).into(),
            i64::from(r.second_eye).into(),
            r.seen.ms().into(),
        ],
    )
    .map(drop)
}

/// A decision as it is kept.
pub(super) struct Decision<'a> {
    /// 1 decides, 2 ends a grant.
    pub(super) seq: i64,
    pub(super) act: &'static str,
    pub(super) by: &'a str,
    pub(super) at: Timestamp,
    pub(super) seen: Timestamp,
    pub(super) given: Option<&'a super::life::Given>,
    pub(super) given_back: bool,
}

pub(super) fn decide(tx: &mut TenantTx<'_, '_>, id: &GrantId, d: &Decision<'_>) -> Result<(), StoreError> {
    let scope = d.given.map(|g| g.scope.columns());
    tx.execute(
        "INSERT INTO consent_decision (tenant_id, grant_id, seq, act, decided_by, decided_at_ms, until_ms, uses_max, \
         covers, bucket, object_key, limits, given_back, seen_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        &[
            id.as_str().into(),
            d.seq.into(),
            d.act.into(),
            d.by.into(),
            d.at.ms().into(),
            d.given.map(|g| g.until.ms()).into(),
            d.given.map(|g| i64::from(g.uses_max)).into(),
            scope.as_ref().map(|s| s.0).into(),
            scope.as_ref().map(|s| s.1).into(),
            scope.as_ref().map(|s| s.2).into(),
            scope.as_ref().and_then(|s| s.3.as_deref()).into(),
            i64::from(d.given_back).into(),
            d.seen.ms().into(),
        ],
    )
    .map(drop)
}

/// One approval as it is kept.
pub(super) struct Approved {
    pub(super) approval: Approval,
    pub(super) by: String,
    pub(super) then: Circumstances,
    pub(super) statement: Option<String>,
    /// By what it is signed, where that was checked.
    pub(super) signed_with: Option<String>,
}

pub(super) fn approve(tx: &mut TenantTx<'_, '_>, id: &GrantId, a: &Approved) -> Result<(), StoreError> {
    let (covers, bucket, name, limits) = a.approval.scope.columns();
    tx.execute(
        "INSERT INTO consent_approval (tenant_id, grant_id, seq, person, approved_by, approved_at_ms, source_ip, secure, \
         mfa, minutes, uses_max, covers, bucket, object_key, limits, statement, until_ms, signed_with) VALUES ($1, $2, \
         (SELECT coalesce(max(seq), 0) + 1 FROM consent_approval WHERE tenant_id = $1 AND grant_id = $2), \
         $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        &[
            id.as_str().into(),
            (&a.approval.person).into(),
            (&a.by).into(),
            a.then.at.ms().into(),
            (&a.then.source_ip).into(),
            i64::from(a.then.secure).into(),
            i64::from(a.then.mfa).into(),
            i64::from(a.approval.minutes).into(),
            i64::from(a.approval.uses_max).into(),
            covers.into(),
            bucket.into(),
            name.into(),
            limits.as_deref().into(),
            a.statement.as_deref().into(),
            a.approval.until.map(Timestamp::ms).into(),
            a.signed_with.as_deref().into(),
        ],
    )
    .map(drop)
}

/// Names the record of the act in which the newest approval of a request was given, and the decision that came of it.
pub(super) fn recorded(tx: &mut TenantTx<'_, '_>, id: &GrantId, record: u64) -> Result<(), StoreError> {
    let record = i64::try_from(record).map_err(|e| StoreError::Statement(e.to_string()))?;
    let newest = "SELECT max(seq) FROM consent_approval WHERE tenant_id = $1 AND grant_id = $2";
    for (table, seq) in [("consent_approval", newest), ("consent_decision", "1")] {
        let sql = format!(
            "UPDATE {table} SET record = $3 WHERE tenant_id = $1 AND grant_id = $2 AND seq = ({seq})"
        );
        tx.execute(&sql, &[id.as_str().into(), record.into()])?;
    }
    Ok(())
}

/// All approvals of a request, in order, but those of which the log does not say that they were given.
pub(super) fn approvals(tx: &mut TenantTx<'_, '_>, id: &GrantId) -> Result<Vec<Approved>, StoreError> {
    let sql = "SELECT person, approved_by, approved_at_ms, source_ip, secure, mfa, minutes, uses_max, covers, bucket, \
               object_key, limits, statement, until_ms, signed_with FROM consent_approval \
               WHERE tenant_id = $1 AND grant_id = $2 AND NOT EXISTS (SELECT 1 FROM access_intent i \
               WHERE i.tenant_id = $1 AND i.intent_index = consent_approval.record AND i.result <> 'done') ORDER BY seq";
    tx.query(sql, &[id.as_str().into()])?
        .iter()
        .map(|r| {
            let scope = scope(r, [8, 9, 10, 11])?;
            Ok(Approved {
                approval: Approval {
                    person: r.text(0)?.to_owned(),
                    minutes: count(r, 6)?,
                    until: r.opt_int(13)?.map(Timestamp::from_ms),
                    uses_max: count(r, 7)?,
                    scope,
                },
                by: r.text(1)?.to_owned(),
                then: Circumstances {
                    source_ip: r.text(3)?.to_owned(),
                    secure: r.int(4)? == 1,
                    mfa: r.int(5)? == 1,
                    at: Timestamp::from_ms(r.int(2)?),
                },
                statement: r.opt_text(12)?.map(str::to_owned),
                signed_with: r.opt_text(14)?.map(str::to_owned),
            })
        })
        .collect()
}

/// The statement that a grant rests on: the newest that was signed for it.
pub(super) fn statement(tx: &mut TenantTx<'_, '_>, id: &GrantId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT statement FROM consent_decision WHERE tenant_id = $1 AND grant_id = $2 AND seq = 1";
    let row = tx.query_opt(sql, &[id.as_str().into()])?;
    row.map_or(Ok(None), |r| Ok(r.opt_text(0)?.map(str::to_owned)))
}

pub(super) fn keep_statement(tx: &mut TenantTx<'_, '_>, id: &GrantId, note: &str) -> Result<(), StoreError> {
    let sql = "UPDATE consent_decision SET statement = $3 WHERE tenant_id = $1 AND grant_id = $2 AND seq = 1";
    tx.execute(sql, &[id.as_str().into(), note.into()]).map(drop)
}

pub(super) fn confirm(
    tx: &mut TenantTx<'_, '_>,
    id: &GrantId,
    (operator, pseudonym): (&OperatorId, &Pseudonym),
    yes: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO consent_confirmation (tenant_id, grant_id, act, operator_id, pseudonym, confirmed_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            id.as_str().into(),
            (if yes { "confirm" } else { "decline" }).into(),
            operator.as_str().into(),
            pseudonym.as_str().into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

/// Adds a comment; false when its side has written as many as fit. The other side's do not count: nobody is talked down.
pub(super) fn comment(
    tx: &mut TenantTx<'_, '_>,
    id: &GrantId,
    (side, writer): (&'static str, &str),
    text: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let there = "SELECT count(*), coalesce(sum(CASE WHEN side = $3 THEN 1 ELSE 0 END), 0) FROM consent_comment \
                 WHERE tenant_id = $1 AND grant_id = $2";
    let (all, own) = match tx.query_opt(there, &[id.as_str().into(), side.into()])? {
        Some(r) => (r.int(0)?, r.int(1)?),
        None => (0, 0),
    };
    if own >= COMMENTS_MAX {
        return Ok(false);
    }
    let seq = all + 1;
    tx.execute(
        "INSERT INTO consent_comment (tenant_id, grant_id, seq, side, writer, written_at_ms, text) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[id.as_str().into(), seq.into(), side.into(), writer.into(), now.ms().into(), text.into()],
    )?;
    Ok(true)
}

pub(super) fn comments(tx: &mut TenantTx<'_, '_>, id: &GrantId) -> Result<Vec<Comment>, StoreError> {
    let sql = "SELECT side, writer, written_at_ms, text FROM consent_comment WHERE tenant_id = $1 AND grant_id = $2 \
               ORDER BY seq";
    tx.query(sql, &[id.as_str().into()])?
        .iter()
        .map(|r| {
            Ok(Comment {
                by_provider: r.text(0)? == "provider",
                writer: r.text(1)?.to_owned(),
                at: Timestamp::from_ms(r.int(2)?),
                text: r.text(3)?.to_owned(),
            })
        })
        .collect()
}

pub(super) fn policy(tx: &mut TenantTx<'_, '_>) -> Result<SetPolicy, StoreError> {
    let sql = "SELECT told, set_by, set_at_ms FROM consent_policy WHERE tenant_id = $1";
    let Some(r) = tx.query_opt(sql, &[])? else {
        return Ok(SetPolicy { policy: ConsentPolicy::default(), set: None });
    };
    let policy = serde_json::from_str(r.text(0)?)
        .map_err(|e| StoreError::Corrupt(format!("a consent policy cannot be read: {e}")))?;
    Ok(SetPolicy { policy, set: Some((r.text(1)?.to_owned(), Timestamp::from_ms(r.int(2)?))) })
}

pub(super) fn set_policy(
    tx: &mut TenantTx<'_, '_>,
    policy: &ConsentPolicy,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let told = serde_json::to_string(policy).map_err(|e| StoreError::Statement(e.to_string()))?;
    tx.execute(
        "INSERT INTO consent_policy (tenant_id, told, set_by, set_at_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id) DO UPDATE SET told = excluded.told, set_by = excluded.set_by, \
         set_at_ms = excluded.set_at_ms",
        &[(&told).into(), by.into(), now.ms().into()],
    )
    .map(drop)
}

const SELECT: &str = "SELECT r.tenant_id, r.grant_id, r.ticket_number, r.operator_id, r.pseudonym, r.place, r.action, \
     r.bucket, r.object_key, r.reason, r.minutes, r.uses_max, r.asked_at_ms, r.lapses_at_ms, \
     d.act, d.decided_by, d.decided_at_ms, d.until_ms, d.uses_max, v.decided_by, v.decided_at_ms, \
     (SELECT count(*) FROM access_intent i WHERE i.tenant_id = r.tenant_id AND i.grant_id = r.grant_id \
      AND i.counts_as_use = 1), t.closed_at_ms, o.state, t.solved_at_ms, \
     t.reopened, r.ticket_reopened, r.covers, r.limits, d.covers, d.bucket, d.object_key, d.limits, \
     r.code, r.reference, r.renews, r.second_eye, c.act, c.pseudonym, c.confirmed_at_ms, o.disabled, \
     r.operator_disabled, v.given_back, coalesce(d.seen_ms, r.seen_ms), d.right_id, \
     (SELECT i.result FROM access_intent i WHERE i.tenant_id = d.tenant_id AND i.intent_index = d.record), d.record, t.category \
     FROM consent_request r \
     JOIN ticket t ON t.tenant_id = r.tenant_id AND t.number = r.ticket_number \
     JOIN operator o ON o.operator_id = r.operator_id \
     LEFT JOIN consent_decision d ON d.tenant_id = r.tenant_id AND d.grant_id = r.grant_id AND d.seq = 1 \
     LEFT JOIN consent_decision v ON v.tenant_id = r.tenant_id AND v.grant_id = r.grant_id AND v.seq = 2 \
     LEFT JOIN consent_confirmation c ON c.tenant_id = r.tenant_id AND c.grant_id = r.grant_id ";

pub(super) fn one(tx: &mut TenantTx<'_, '_>, id: &GrantId) -> Result<Option<Request>, StoreError> {
    tx.query_opt(&format!("{SELECT} WHERE r.tenant_id = $1 AND r.grant_id = $2"), &[id.as_str().into()])?
        .as_ref()
        .map(read)
        .transpose()
}

/// What opens a request, or may: nobody decided it and its time is not over, or it was approved and is not over.
const NOT_OVER: &str =
    "((d.grant_id IS NULL AND r.lapses_at_ms > $2) OR (d.until_ms > $2 AND v.grant_id IS NULL))";

/// All requests of a tenant that are not over, newest first: none of them is hidden by others.
pub(super) fn not_over(tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<Vec<Request>, StoreError> {
    let sql =
        format!("{SELECT} WHERE r.tenant_id = $1 AND {NOT_OVER} ORDER BY r.asked_at_ms DESC, r.grant_id");
    tx.query(&sql, &[now.ms().into()])?.iter().map(read).collect()
}

/// How many requests of an operator to a tenant are not over.
pub(super) fn not_over_of(
    tx: &mut TenantTx<'_, '_>,
    operator: &OperatorId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = format!("{SELECT} WHERE r.tenant_id = $1 AND r.operator_id = $3 AND {NOT_OVER}");
    Ok(tx.query(&sql, &[now.ms().into(), operator.as_str().into()])?.len())
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

/// A tenant's requests, perhaps of one operator, from behind one of them on, newest first.
pub(super) fn find(
    tx: &mut TenantTx<'_, '_>,
    operator: Option<&Pseudonym>,
    after: Option<&GrantId>,
    limit: u32,
) -> Result<Vec<Request>, StoreError> {
    let mut place = (i64::MAX, "");
    if let Some(after) = after {
        let sql = "SELECT asked_at_ms FROM consent_request WHERE tenant_id = $1 AND grant_id = $2";
        let Some(row) = tx.query_opt(sql, &[after.as_str().into()])? else { return Ok(Vec::new()) };
        place = (row.int(0)?, after.as_str());
    }
    tx.query(
        &format!(
            "{SELECT} WHERE r.tenant_id = $1 AND r.asked_at_ms <= $2 AND (r.asked_at_ms < $2 OR r.grant_id > $3) \
             AND (CAST($4 AS TEXT) = '' OR r.pseudonym = $4) ORDER BY r.asked_at_ms DESC, r.grant_id LIMIT $5"
        ),
        &[
            place.0.into(),
            place.1.into(),
            operator.map_or("", Pseudonym::as_str).into(),
            i64::from(limit).into(),
        ],
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

/// Requests to all tenants that may wait for the provider's second pair of eyes, newest first.
pub(super) fn to_confirm(tx: &mut Tx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Request>, StoreError> {
    tx.query(
        &format!(
            "{SELECT} WHERE r.second_eye = 1 AND c.act IS NULL AND d.act IS NULL AND r.lapses_at_ms > $1 \
             ORDER BY r.asked_at_ms DESC, r.grant_id LIMIT $2"
        ),
        &[now.ms().into(), i64::from(limit).into()],
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

fn count(r: &Row, i: usize) -> Result<u32, StoreError> {
    u32::try_from(r.int(i)?).map_err(|_| StoreError::Corrupt(format!("column {i} is out of range")))
}

/// The scope in the columns `covers`, `bucket`, `object_key` and `limits`.
fn scope(r: &Row, [covers, bucket, name, limits]: [usize; 4]) -> Result<Scope, StoreError> {
    Scope::from_columns(r.text(covers)?, r.text(bucket)?, r.text(name)?, r.opt_text(limits)?)
        .map_err(|e| StoreError::Corrupt(format!("what a consent request is about: {e}")))
}

fn read(r: &Row) -> Result<Request, StoreError> {
    let at = |i: usize| Ok::<_, StoreError>(r.opt_int(i)?.map(Timestamp::from_ms));
    let pair =
        |by: usize, when: usize| Ok::<_, StoreError>(r.opt_text(by)?.map(str::to_owned).zip(at(when)?));
    let act = r.opt_text(14)?;
    let approved = match (act, at(17)?) {
        (Some("approve"), Some(until)) => Some((until, count(r, 18)?)),
        _ => None,
    };
    let scope_asked = scope(r, [27, 7, 8, 28])?;
    // Approvals from before scopes could be narrowed cover what was asked for.
    let scope = match r.opt_text(29)? {
        Some(_) => scope(r, [29, 30, 31, 32])?,
        None => scope_asked.clone(),
    };
    let standing = r.opt_text(44)?.map(StandingId::parse).transpose();
    let standing = standing.map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let confirmed = match (r.opt_text(37)?, r.opt_text(38)?, at(39)?) {
        (Some(act), Some(_), Some(at)) => {
            Some(Confirmed { yes: act == "confirm", pseudonym: r.parsed(38, Pseudonym::parse)?, at })
        }
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
        scope,
        scope_asked,
        reason: r.text(9)?.to_owned(),
        code: Code::parse(r.text(33)?).ok_or_else(|| StoreError::Corrupt("a code is not known".into()))?,
        reference: r.text(34)?.to_owned(),
        renews: r
            .opt_text(35)?
            .map(GrantId::parse)
            .transpose()
            .map_err(|e| StoreError::Corrupt(e.to_string()))?,
        minutes: count(r, 10)?,
        uses_max_asked: count(r, 11)?,
        asked_at: Timestamp::from_ms(r.int(12)?),
        lapses_at: Timestamp::from_ms(r.int(13)?),
        second_eye: r.int(36)? == 1,
        confirmed,
        decided: pair(15, 16)?,
        approved,
        // A grant allows something once the log says that it was given: what is not told there is covered by nothing. Those of
        // before records were kept have none.
        withdrawn: act == Some("withdraw") || (r.opt_int(46)?.is_some() && r.opt_text(45)? != Some("done")),
        standing,
        revoked: pair(19, 20)?,
        uses: count(r, 21)?,
        approvals: Vec::new(),
        approvals_needed: 1,
        comments: Vec::new(),
        category: r.parsed(47, |w| Category::parse(w).ok_or("a category of tickets"))?,
        ticket_ended_at: [at(22)?, at(24)?].into_iter().flatten().min(),
        // A ticket that was reopened does not bring back what was asked for before, nor an operator who is let in again.
        ticket_open: r.opt_int(22)?.is_none() && r.opt_int(24)?.is_none() && r.int(25)? == r.int(26)?,
        operator_active: r.text(23)? == "active" && r.int(40)? == r.int(41)?,
        denied: act == Some("deny"),
        given_back: r.opt_int(42)? == Some(1),
        seen: Timestamp::from_ms(r.int(43)?),
    })
}

/// Grants: all that were approved, those for longer than `minutes_max`, and the longest in minutes.
pub(super) fn approved_times(tx: &mut Tx<'_>, minutes_max: i64) -> Result<(u64, u64, u64), StoreError> {
    let row = tx.query_opt(
        "SELECT count(*), count(CASE WHEN until_ms - decided_at_ms > $1 * 60000 THEN 1 END), \
         coalesce(max((until_ms - decided_at_ms) / 60000), 0) FROM consent_decision WHERE act = 'approve'",
        &[minutes_max.into()],
    )?;
    row.map_or(Ok((0, 0, 0)), |r| Ok((r.uint(0)?, r.uint(1)?, r.uint(2)?)))
}
