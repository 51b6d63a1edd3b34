//! The assurance room's only SQL.

use bailee_proof::claim::Answer;
use bailee_store::{Row, StoreError, Tx};
use bailee_types::Timestamp;

use super::Finding;

fn finding(r: &Row) -> Result<Finding, StoreError> {
    Ok(Finding {
        check: r.text(0)?.to_owned(),
        at: Timestamp::from_ms(r.int(1)?),
        answer: r.parsed(2, |word| Answer::from_word(word).ok_or("an answer"))?,
        numbers: r.parsed(3, |text| serde_json::from_str(text))?,
        why: r.text(4)?.to_owned(),
        record: r.uint(5)?,
    })
}

const COLUMNS: &str = "check_id, at_ms, answer, numbers, why, record_index";

/// Keeps a finding, and forgets those of the check from before `keep_from`.
pub(super) fn insert(tx: &mut Tx<'_>, f: &Finding, keep_from: Timestamp) -> Result<(), StoreError> {
    let numbers = serde_json::Value::Object(f.numbers.clone()).to_string();
    tx.execute(
        "INSERT INTO finding (check_id, at_ms, answer, numbers, why, record_index) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (check_id, at_ms) DO NOTHING",
        &[
            f.check.as_str().into(),
            f.at.ms().into(),
            f.answer.word().into(),
            numbers.as_str().into(),
            f.why.as_str().into(),
            (f.record as i64).into(),
        ],
    )?;
    tx.execute(
        "DELETE FROM finding WHERE check_id = $1 AND at_ms < $2",
        &[f.check.as_str().into(), keep_from.ms().into()],
    )
    .map(drop)
}

/// The newest of a check, newest first.
pub(super) fn of_check(tx: &mut Tx<'_>, check: &str, limit: u32) -> Result<Vec<Finding>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM finding WHERE check_id = $1 ORDER BY at_ms DESC LIMIT $2");
    tx.query(&sql, &[check.into(), i64::from(limit).into()])?.iter().map(finding).collect()
}

/// Checks that are due.
pub(super) fn due(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT check_id, due_at_ms FROM check_due WHERE due_at_ms <= $1 ORDER BY due_at_ms";
    tx.query(sql, &[now.ms().into()])?.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect()
}

/// Makes a check due at a time, unless it has one.
pub(super) fn begin(tx: &mut Tx<'_>, check: &str, at: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO check_due (check_id, due_at_ms) VALUES ($1, $2) ON CONFLICT (check_id) DO NOTHING";
    tx.execute(sql, &[check.into(), at.ms().into()]).map(drop)
}

/// Moves a check's time; false when another server did.
pub(super) fn take(tx: &mut Tx<'_>, check: &str, was: i64, next: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE check_due SET due_at_ms = $3 WHERE check_id = $1 AND due_at_ms = $2";
    Ok(tx.execute(sql, &[check.into(), was.into(), next.ms().into()])? == 1)
}
