//! Requests of a span of days, and the totals that were published.

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::Timestamp;

use super::super::Request;
use super::super::figures::{DAY_MS, Span};
use super::{SELECT, read};

/// A request is decided within 14 days, and a grant ends within one more.
const OPEN_DAYS: i64 = 16;

/// A tenant's requests of these days, the newest first.
pub(in super::super) fn asked(
    tx: &mut TenantTx<'_, '_>,
    span: Span,
    limit: u32,
) -> Result<Vec<Request>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE r.tenant_id = $1 AND r.asked_at_ms >= $2 AND r.asked_at_ms < $3 \
         ORDER BY r.asked_at_ms DESC LIMIT $4"
    );
    let rows = tx.query(&sql, &[span.from.ms().into(), span.until.ms().into(), i64::from(limit).into()])?;
    rows.iter().map(read).collect()
}

/// Requests to all tenants of these days, the newest first.
pub(in super::super) fn asked_of_all(
    tx: &mut Tx<'_>,
    span: Span,
    limit: u32,
) -> Result<Vec<Request>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE r.asked_at_ms >= $1 AND r.asked_at_ms < $2 ORDER BY r.asked_at_ms DESC LIMIT $3"
    );
    let rows = tx.query(&sql, &[span.from.ms().into(), span.until.ms().into(), i64::from(limit).into()])?;
    rows.iter().map(read).collect()
}

/// Whether something was asked, decided or ended by somebody in these days.
pub(in super::super) fn stirred(tx: &mut TenantTx<'_, '_>, span: Span) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM consent_request WHERE tenant_id = $1 AND asked_at_ms >= $2 AND asked_at_ms < $3 LIMIT 1";
    let days = [span.from.ms().into(), span.until.ms().into()];
    if tx.query_opt(sql, &days)?.is_some() {
        return Ok(true);
    }
    let sql = "SELECT 1 FROM consent_request q JOIN consent_decision d ON d.tenant_id = q.tenant_id \
               AND d.grant_id = q.grant_id WHERE q.tenant_id = $1 AND q.asked_at_ms >= $4 AND q.asked_at_ms < $2 \
               AND d.decided_at_ms >= $2 AND d.decided_at_ms < $3 LIMIT 1";
    let [from, until] = days;
    let since = span.from.plus_ms(-OPEN_DAYS * DAY_MS).ms();
    Ok(tx.query_opt(sql, &[from, until, since.into()])?.is_some())
}

/// The note of a day, or the newest.
pub(in super::super) fn totals(
    tx: &mut Tx<'_>,
    day: Option<&str>,
) -> Result<Option<(String, Timestamp)>, StoreError> {
    let row = match day {
        Some(day) => {
            tx.query_opt("SELECT note, signed_at_ms FROM portal_totals WHERE day = $1", &[day.into()])?
        }
        None => {
            tx.query_opt("SELECT note, signed_at_ms FROM portal_totals ORDER BY day DESC LIMIT 1", &[])?
        }
    };
    row.map(|r| Ok((r.text(0)?.to_owned(), Timestamp::from_ms(r.int(1)?)))).transpose()
}

/// Keeps the note of a day, if there is none yet.
pub(in super::super) fn keep_totals(
    tx: &mut Tx<'_>,
    day: &str,
    note: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO portal_totals (day, note, signed_at_ms) VALUES ($1, $2, $3) ON CONFLICT (day) DO NOTHING";
    Ok(tx.execute(sql, &[day.into(), note.into(), now.ms().into()])? == 1)
}
