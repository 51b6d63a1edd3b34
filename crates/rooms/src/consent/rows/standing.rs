//! Rows of standing rights.

use bailee_store::{Row, StoreError, TenantTx, Value};
use bailee_types::{GrantId, Pseudonym, StandingId, Timestamp};

use super::super::policy::Circumstances;
use super::super::standing::{ENDED_MAX, StandingRight, Terms};
use super::{Code, count, scope};

const DAY_MS: i64 = 86_400_000;

/// A right with what it gave within the 24 hours before `$2`.
const SELECT: &str = "SELECT s.right_id, s.covers, s.bucket, s.object_key, s.limits, s.operators, s.codes, s.minutes, \
     s.uses_max, s.day_uses_max, s.until_ms, s.why, s.set_by, s.person, s.source_ip, s.secure, s.mfa, s.set_at_ms, \
     (SELECT i.result FROM access_intent i WHERE i.tenant_id = s.tenant_id AND i.intent_index = s.record), \
     e.ended_by, e.ended_at_ms, \
     CAST((SELECT coalesce(sum(d.uses_max), 0) FROM consent_decision d WHERE d.tenant_id = s.tenant_id \
      AND d.right_id = s.right_id AND d.decided_at_ms > $2 AND d.seq = 1) AS BIGINT) \
     FROM standing_right s \
     LEFT JOIN standing_end e ON e.tenant_id = s.tenant_id AND e.right_id = s.right_id ";

pub(in super::super) fn insert(
    tx: &mut TenantTx<'_, '_>,
    right: &StandingRight,
    record: u64,
) -> Result<(), StoreError> {
    let words =
        |all: Vec<&str>| serde_json::to_string(&all).map_err(|e| StoreError::Statement(e.to_string()));
    let (terms, then) = (&right.terms, &right.then);
    let (covers, bucket, name, limits) = terms.scope.columns();
    let operators = words(terms.operators.iter().map(Pseudonym::as_str).collect())?;
    let codes = words(terms.codes.iter().map(|c| c.word()).collect())?;
    let record = i64::try_from(record).map_err(|e| StoreError::Statement(e.to_string()))?;
    tx.execute(
        "INSERT INTO standing_right (tenant_id, right_id, covers, bucket, object_key, limits, operators, codes, minutes, \
         uses_max, day_uses_max, until_ms, why, set_by, person, source_ip, secure, mfa, set_at_ms, record) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        &[
            right.id.as_str().into(),
            covers.into(),
            bucket.into(),
            name.into(),
            limits.as_deref().into(),
            (&operators).into(),
            (&codes).into(),
            i64::from(terms.minutes).into(),
            i64::from(terms.uses_max).into(),
            i64::from(terms.day_uses_max).into(),
            terms.until.ms().into(),
            (&right.why).into(),
            (&right.set.0).into(),
            (&right.person).into(),
            (&then.source_ip).into(),
            i64::from(then.secure).into(),
            i64::from(then.mfa).into(),
            right.set.1.ms().into(),
            record.into(),
        ],
    )
    .map(drop)
}

pub(in super::super) fn end(
    tx: &mut TenantTx<'_, '_>,
    id: &StandingId,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO standing_end (tenant_id, right_id, ended_by, ended_at_ms) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, &[id.as_str().into(), by.into(), now.ms().into()]).map(drop)
}

/// Names the right that an approval is by, and the record of the act in which it opened.
pub(in super::super) fn opened(
    tx: &mut TenantTx<'_, '_>,
    grant: &GrantId,
    right: &StandingId,
    record: u64,
) -> Result<(), StoreError> {
    let sql = "UPDATE consent_decision SET right_id = $3, record = $4 WHERE tenant_id = $1 AND grant_id = $2 AND seq = 1";
    let record = i64::try_from(record).map_err(|e| StoreError::Statement(e.to_string()))?;
    tx.execute(sql, &[grant.as_str().into(), right.as_str().into(), record.into()]).map(drop)
}

/// Grants of a right that nobody took back and whose time is not over.
pub(in super::super) fn not_over(
    tx: &mut TenantTx<'_, '_>,
    id: &StandingId,
    now: Timestamp,
) -> Result<Vec<GrantId>, StoreError> {
    let sql = "SELECT d.grant_id FROM consent_decision d WHERE d.tenant_id = $1 AND d.right_id = $2 AND d.until_ms > $3 \
               AND NOT EXISTS (SELECT 1 FROM consent_decision v WHERE v.tenant_id = d.tenant_id \
               AND v.grant_id = d.grant_id AND v.seq = 2) ORDER BY d.grant_id";
    tx.query(sql, &[id.as_str().into(), now.ms().into()])?
        .iter()
        .map(|r| r.parsed(0, GrantId::parse))
        .collect()
}

pub(in super::super) fn one(
    tx: &mut TenantTx<'_, '_>,
    id: &StandingId,
    now: Timestamp,
) -> Result<Option<StandingRight>, StoreError> {
    let sql = format!("{SELECT} WHERE s.tenant_id = $1 AND s.right_id = $3");
    tx.query_opt(&sql, &[(now.ms() - DAY_MS).into(), id.as_str().into()])?.as_ref().map(read).transpose()
}

/// Rights that were not ended and are not over, the newest first; one that the log does not tell of is among them.
pub(in super::super) fn live(
    tx: &mut TenantTx<'_, '_>,
    now: Timestamp,
) -> Result<Vec<StandingRight>, StoreError> {
    list(tx, "s.until_ms > $3 AND e.ended_by IS NULL ORDER BY s.set_at_ms DESC, s.right_id", now)
}

/// The newest of the others.
pub(in super::super) fn over(
    tx: &mut TenantTx<'_, '_>,
    now: Timestamp,
) -> Result<Vec<StandingRight>, StoreError> {
    let which = "(s.until_ms <= $3 OR e.ended_by IS NOT NULL) ORDER BY s.set_at_ms DESC, s.right_id";
    list(tx, &format!("{which} LIMIT {ENDED_MAX}"), now)
}

fn list(tx: &mut TenantTx<'_, '_>, which: &str, now: Timestamp) -> Result<Vec<StandingRight>, StoreError> {
    let times: [Value<'_>; 2] = [(now.ms() - DAY_MS).into(), now.ms().into()];
    tx.query(&format!("{SELECT} WHERE s.tenant_id = $1 AND {which}"), &times)?.iter().map(read).collect()
}

fn read(r: &Row) -> Result<StandingRight, StoreError> {
    let corrupt = |e: String| StoreError::Corrupt(format!("a standing right: {e}"));
    let words =
        |i: usize| serde_json::from_str::<Vec<String>>(r.text(i)?).map_err(|e| corrupt(e.to_string()));
    let operators = words(5)?.into_iter().map(|w| Pseudonym::parse(&w).map_err(|e| corrupt(e.to_string())));
    let codes = words(6)?;
    let codes = codes.iter().map(|w| Code::parse(w).ok_or_else(|| corrupt("a code is not known".into())));
    let at = |i: usize| Ok::<_, StoreError>(Timestamp::from_ms(r.int(i)?));
    Ok(StandingRight {
        id: r.parsed(0, StandingId::parse)?,
        terms: Terms {
            scope: scope(r, [1, 2, 3, 4])?,
            operators: operators.collect::<Result<_, _>>()?,
            codes: codes.collect::<Result<_, _>>()?,
            minutes: count(r, 7)?,
            uses_max: count(r, 8)?,
            day_uses_max: count(r, 9)?,
            until: at(10)?,
        },
        why: r.text(11)?.to_owned(),
        set: (r.text(12)?.to_owned(), at(17)?),
        ended: r.opt_text(19)?.map(str::to_owned).zip(r.opt_int(20)?.map(Timestamp::from_ms)),
        day_uses: count(r, 21)?,
        person: r.text(13)?.to_owned(),
        then: Circumstances {
            source_ip: r.text(14)?.to_owned(),
            secure: r.int(15)? == 1,
            mfa: r.int(16)? == 1,
            at: at(17)?,
        },
        told: r.opt_text(18)? == Some("done"),
    })
}

/// Rights that were set within a time, counted up to `most`.
pub(in super::super) fn set_within(
    tx: &mut TenantTx<'_, '_>,
    (from, until): (Timestamp, Timestamp),
    most: u32,
) -> Result<u64, StoreError> {
    // A right ends after it was set: the index is of ends.
    let rows =
        "FROM standing_right WHERE tenant_id = $1 AND until_ms > $2 AND set_at_ms >= $2 AND set_at_ms < $3";
    tx.count(rows, &[from.ms().into(), until.ms().into()], most)
}
