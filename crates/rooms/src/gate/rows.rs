//! The gate's only SQL: open intents, seen nonces, live processes.

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::{GrantId, TenantId, Timestamp};
use serde_json::{Map, Value};

use super::IntentError;
use super::caller::Nonce;

/// How an act ended.
#[derive(Clone)]
pub(super) struct Ending {
    pub(super) index: u64,
    pub(super) name: String,
    pub(super) word: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) text: Option<String>,
    pub(super) detail: Map<String, Value>,
}

pub(super) fn remember_nonce(tx: &mut Tx<'_>, nonce: &Nonce, now: Timestamp) -> Result<(), IntentError> {
    tx.execute("DELETE FROM rpc_nonce WHERE expires_at_ms < $1", &[now.ms().into()])?;
    let added = tx.execute(
        "INSERT INTO rpc_nonce (access_key_id, nonce, expires_at_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[(&nonce.access_key_id).into(), (&nonce.nonce).into(), nonce.expires_at.ms().into()],
    )?;
    if added == 1 { Ok(()) } else { Err(IntentError::Replayed) }
}

pub(super) fn open_intent(
    tx: &mut TenantTx<'_, '_>,
    index: u64,
    instance: &str,
    grant: Option<&GrantId>,
    counts_as_use: bool,
    event_name: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO access_intent (tenant_id, intent_index, instance_id, grant_id, counts_as_use, event_name, \
         opened_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            (index as i64).into(),
            instance.into(),
            grant.map(GrantId::as_str).into(),
            counts_as_use.into(),
            event_name.into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

/// Closes an intent that is open; false when it has an outcome already.
pub(super) fn close_intent(
    tx: &mut TenantTx<'_, '_>,
    index: u64,
    outcome: u64,
    result: &str,
) -> Result<bool, StoreError> {
    let closed = tx.execute(
        "UPDATE access_intent SET outcome_index = $3, result = $4 \
         WHERE tenant_id = $1 AND intent_index = $2 AND outcome_index IS NULL",
        &[(index as i64).into(), (outcome as i64).into(), result.into()],
    )?;
    Ok(closed == 1)
}

/// An intent without outcome: tenant, index, event name, process, opened at.
type Open = (TenantId, u64, String, String, i64);

/// Intents without outcome.
pub(super) fn open_intents(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Open>, StoreError> {
    tx.query(
        "SELECT tenant_id, intent_index, event_name, instance_id, opened_at_ms FROM access_intent \
         WHERE outcome_index IS NULL ORDER BY opened_at_ms LIMIT $1",
        &[limit.into()],
    )?
    .iter()
    .map(|r| {
        Ok((
            r.parsed(0, TenantId::parse)?,
            r.uint(1)?,
            r.text(2)?.to_owned(),
            r.text(3)?.to_owned(),
            r.int(4)?,
        ))
    })
    .collect()
}

/// Intents without an outcome, of before a time.
pub(super) fn open_since(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM access_intent WHERE outcome_index IS NULL AND opened_at_ms < $1";
    tx.query_opt(sql, &[before.ms().into()])?.map_or(Ok(0), |r| r.uint(0))
}

/// Operators' reads of content, and sessions: all, with a grant, with a lost outcome. A tenant's own reads are data events and
/// have no row here.
pub(super) fn content_reads(tx: &mut Tx<'_>) -> Result<(u64, u64, u64), StoreError> {
    let row = tx.query_opt(
        "SELECT count(*), count(grant_id), count(CASE WHEN result = 'unknown' THEN 1 END) FROM access_intent \
         WHERE event_name IN ('GetObject', 'StartSession')",
        &[],
    )?;
    row.map_or(Ok((0, 0, 0)), |r| Ok((r.uint(0)?, r.uint(1)?, r.uint(2)?)))
}

/// Operators' reads of a tenant's content within a time, counted up to `most`; a long read is one.
pub(crate) fn count_reads(
    tx: &mut TenantTx<'_, '_>,
    (from, until): (Timestamp, Timestamp),
    most: u32,
) -> Result<u64, StoreError> {
    let rows = "FROM access_intent WHERE tenant_id = $1 AND opened_at_ms >= $2 AND opened_at_ms < $3 \
                AND counts_as_use = 1 AND event_name = 'GetObject'";
    tx.count(rows, &[from.ms().into(), until.ms().into()], most)
}

pub(super) fn beat(tx: &mut Tx<'_>, instance: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO instance (instance_id, started_at_ms, seen_at_ms) VALUES ($1, $2, $2) \
         ON CONFLICT (instance_id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms",
        &[instance.into(), now.ms().into()],
    )
    .map(drop)
}

/// Processes seen since `since`.
pub(super) fn leave(tx: &mut Tx<'_>, instance: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM instance WHERE instance_id = $1", &[instance.into()]).map(drop)
}

/// Whether the house has the root key of this check value; nobody changes it until the transaction ends.
pub(super) fn lock_root_check(tx: &mut Tx<'_>, check: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE setting SET value = value WHERE name = 'root.check' AND value = $1";
    Ok(tx.execute(sql, &[check.into()])? == 1)
}

pub(super) fn live_instances(tx: &mut Tx<'_>, since: Timestamp) -> Result<Vec<String>, StoreError> {
    tx.query("SELECT instance_id FROM instance WHERE seen_at_ms >= $1", &[since.ms().into()])?
        .iter()
        .map(|r| r.text(0).map(str::to_owned))
        .collect()
}

pub(super) fn forget_instances(tx: &mut Tx<'_>, before: Timestamp) -> Result<(), StoreError> {
    tx.execute("DELETE FROM instance WHERE seen_at_ms < $1", &[before.ms().into()]).map(drop)
}
