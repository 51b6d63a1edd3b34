//! Rows of collectors and of what they handed in.

use bailee_store::{Row, StoreError, Tx};
use bailee_types::{TenantId, Timestamp};

use super::Collector;

const COLLECTOR: &str =
    "SELECT name, sources, state, created_at_ms, seen_at_ms, events, unmapped FROM collector ";

fn read(r: &Row) -> Result<Collector, StoreError> {
    Ok(Collector {
        name: r.text(0)?.to_owned(),
        sources: r.text(1)?.split(',').filter_map(bailee_collect::Source::parse).collect(),
        active: r.text(2)? == "active",
        created_at: Timestamp::from_ms(r.int(3)?),
        seen_at: r.opt_int(4)?.map(Timestamp::from_ms),
        events: r.uint(5)?,
        unmapped: r.uint(6)?,
    })
}

/// False when the name is taken.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    name: &str,
    token_hash: &[u8; 32],
    sources: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO collector (name, token_hash, sources, state, created_at_ms) VALUES ($1, $2, $3, 'active', $4) \
         ON CONFLICT (name) DO NOTHING",
        &[name.into(), token_hash.into(), sources.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

pub(super) fn set_state(tx: &mut Tx<'_>, name: &str, active: bool) -> Result<bool, StoreError> {
    let state = if active { "active" } else { "disabled" };
    Ok(tx.execute("UPDATE collector SET state = $2 WHERE name = $1", &[name.into(), state.into()])? == 1)
}

pub(super) fn all(tx: &mut Tx<'_>) -> Result<Vec<Collector>, StoreError> {
    tx.query(&format!("{COLLECTOR} ORDER BY name"), &[])?.iter().map(read).collect()
}

pub(super) fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Collector>, StoreError> {
    tx.query_opt(&format!("{COLLECTOR} WHERE name = $1"), &[name.into()])?.as_ref().map(read).transpose()
}

pub(super) fn token_hash(tx: &mut Tx<'_>, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
    tx.query_opt("SELECT token_hash FROM collector WHERE name = $1 AND state = 'active'", &[name.into()])?
        .map(|r| r.bytes(0))
        .transpose()
}

/// The answer that a batch got before.
pub(super) fn answer(tx: &mut Tx<'_>, collector: &str, batch: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt(
        "SELECT answer FROM collected_batch WHERE collector = $1 AND batch_id = $2",
        &[collector.into(), batch.into()],
    )?
    .map(|r| r.text(0).map(str::to_owned))
    .transpose()
}

pub(super) fn insert_batch(
    tx: &mut Tx<'_>,
    collector: &str,
    batch: &str,
    answer: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO collected_batch (collector, batch_id, answer, received_at_ms) VALUES ($1, $2, $3, $4)",
        &[collector.into(), batch.into(), answer.into(), now.ms().into()],
    )
    .map(drop)
}

pub(super) fn forget_batches(tx: &mut Tx<'_>, before: Timestamp) -> Result<(), StoreError> {
    tx.execute("DELETE FROM collected_batch WHERE received_at_ms < $1", &[before.ms().into()]).map(drop)
}

pub(super) fn is_known(tx: &mut Tx<'_>, collector: &str, event: &[u8]) -> Result<bool, StoreError> {
    Ok(tx
        .query_opt(
            "SELECT 1 FROM collected_event WHERE collector = $1 AND event_id = $2",
            &[collector.into(), event.into()],
        )?
        .is_some())
}

pub(super) fn insert_event(
    tx: &mut Tx<'_>,
    collector: &str,
    event: &[u8],
    tenant: &TenantId,
    index: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO collected_event (collector, event_id, tenant_id, intent_index) VALUES ($1, $2, $3, $4)",
        &[collector.into(), event.into(), tenant.as_str().into(), (index as i64).into()],
    )
    .map(drop)
}

pub(super) fn count(
    tx: &mut Tx<'_>,
    collector: &str,
    events: u64,
    unmapped: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (events, unmapped) = (i64::try_from(events).unwrap_or(0), i64::try_from(unmapped).unwrap_or(0));
    tx.execute(
        "UPDATE collector SET seen_at_ms = $2, events = events + $3, unmapped = unmapped + $4 WHERE name = $1",
        &[collector.into(), now.ms().into(), events.into(), unmapped.into()],
    )
    .map(drop)
}
