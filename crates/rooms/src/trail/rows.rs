//! The trail room's only SQL.

use bailee_proof::hash::Hash;
use bailee_proof::tree::Frontier;
use bailee_store::{Late, Row, StoreError, TenantTx, Tx};
use bailee_types::{LogId, TenantId, Timestamp};

pub(super) struct NewLog {
    pub(super) id: LogId,
    pub(super) origin: String,
    pub(super) vkey: String,
    pub(super) seed: Vec<u8>,
    pub(super) watch_key: Vec<u8>,
    pub(super) event_key: Vec<u8>,
    pub(super) frontier: Vec<u8>,
}

pub(super) struct LogRow {
    pub(super) origin: String,
    pub(super) vkey: String,
    pub(super) seed: Vec<u8>,
    pub(super) watch_key: Vec<u8>,
    pub(super) event_key: Vec<u8>,
}

pub(super) struct HeadRow {
    pub(super) size: u64,
    pub(super) last_time: Timestamp,
    pub(super) frontier: Vec<u8>,
    pub(super) signed_size: u64,
}

pub(super) struct Signed {
    pub(super) size: u64,
    pub(super) root: [u8; 32],
    pub(super) note: String,
    pub(super) signed_at: Timestamp,
}

/// A record as it is stored: index, entry, sealed opening.
pub(super) type Stored = (u64, [u8; 50], Vec<u8>);

pub(super) fn insert_log(tx: &mut TenantTx<'_, '_>, log: &NewLog, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail_log (tenant_id, log_id, origin, vkey, sealed_signing_seed, sealed_watch_key, \
         sealed_event_key, size, last_time_ms, frontier, signed_size) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, 0)",
        &[
            log.id.as_str().into(),
            (&log.origin).into(),
            (&log.vkey).into(),
            (&log.seed).into(),
            (&log.watch_key).into(),
            (&log.event_key).into(),
            now.ms().into(),
            (&log.frontier).into(),
        ],
    )
    .map(drop)
}

pub(super) fn log(tx: &mut TenantTx<'_, '_>) -> Result<Option<LogRow>, StoreError> {
    tx.query_opt(
        "SELECT origin, vkey, sealed_signing_seed, sealed_event_key, sealed_watch_key FROM trail_log WHERE tenant_id = $1",
        &[],
    )?
    .map(|r| {
        Ok(LogRow {
            origin: r.text(0)?.to_owned(),
            vkey: r.text(1)?.to_owned(),
            seed: r.blob(2)?.to_vec(),
            event_key: r.blob(3)?.to_vec(),
            watch_key: r.blob(4)?.to_vec(),
        })
    })
    .transpose()
}

/// Gives a log other bytes for one of its secrets, if it still has those that were read.
pub(super) fn reseal_log(
    tx: &mut TenantTx<'_, '_>,
    column: &'static str,
    (before, after): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let sql = format!("UPDATE trail_log SET {column} = $3 WHERE tenant_id = $1 AND {column} = $2");
    Ok(tx.execute(&sql, &[before.into(), after.into()])? == 1)
}

pub(super) fn all(tx: &mut Tx<'_>) -> Result<Vec<TenantId>, StoreError> {
    tx.query("SELECT tenant_id FROM trail_log ORDER BY tenant_id", &[])?
        .iter()
        .map(|r| r.parsed(0, TenantId::parse))
        .collect()
}

/// Logs with records that no checkpoint covers.
pub(super) fn grown(tx: &mut Tx<'_>) -> Result<Vec<TenantId>, StoreError> {
    tx.query("SELECT tenant_id FROM trail_log WHERE size > signed_size ORDER BY tenant_id", &[])?
        .iter()
        .map(|r| r.parsed(0, TenantId::parse))
        .collect()
}

pub(super) fn tenant_of(tx: &mut Tx<'_>, id: &LogId) -> Result<Option<TenantId>, StoreError> {
    tx.query_opt("SELECT tenant_id FROM trail_log WHERE log_id = $1", &[id.as_str().into()])?
        .map(|r| r.parsed(0, TenantId::parse))
        .transpose()
}

pub(super) fn head(tx: &mut TenantTx<'_, '_>) -> Result<HeadRow, StoreError> {
    let row = tx
        .query_opt(
            "SELECT size, last_time_ms, frontier, signed_size FROM trail_log WHERE tenant_id = $1",
            &[],
        )?
        .ok_or_else(|| StoreError::Corrupt("a tenant without a log".into()))?;
    Ok(HeadRow {
        size: row.uint(0)?,
        last_time: Timestamp::from_ms(row.int(1)?),
        frontier: row.blob(2)?.to_vec(),
        signed_size: row.uint(3)?,
    })
}

pub(super) fn insert_record(
    tx: &mut TenantTx<'_, '_>,
    index: u64,
    entry: &[u8; 50],
    leaf: &[u8; 32],
    sealed: &[u8],
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail_record (tenant_id, record_index, entry, leaf_hash, sealed_opening) \
         VALUES ($1, $2, $3, $4, $5)",
        &[(index as i64).into(), entry.into(), leaf.into(), sealed.into()],
    )
    .map(drop)
}

/// Where the next record goes.
#[derive(Clone)]
pub(super) struct Tip {
    pub(super) last_time: Timestamp,
    pub(super) frontier: Frontier,
    /// The newest record that must go into the head log at once, when this commit has one.
    urgent_size: Option<u64>,
}

/// Where the next record goes, seen by the commit's own records.
pub(super) fn tip(tx: &mut TenantTx<'_, '_>) -> Result<Tip, StoreError> {
    if let Some(tip) = tx.late::<Tip>() {
        return Ok(tip.clone());
    }
    let head = head(tx)?;
    let frontier = Frontier::from_bytes(head.size, &head.frontier)
        .map_err(|e| StoreError::Corrupt(format!("the frontier of a log cannot be read: {e}")))?;
    Ok(Tip { last_time: head.last_time, frontier, urgent_size: None })
}

/// The log ends here now. Written once for all records of a commit.
pub(super) fn advance(tx: &mut TenantTx<'_, '_>, mut tip: Tip, urgent: bool) {
    if urgent {
        tip.urgent_size = Some(tip.frontier.size());
    }
    tx.set_late(tip);
}

impl Late for Tip {
    const TABLE: &'static str = "trail_log";

    fn write(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
        tx.execute(
            "UPDATE trail_log SET size = $2, last_time_ms = $3, frontier = $4, \
             urgent_size = coalesce($5, urgent_size) WHERE tenant_id = $1",
            &[
                (self.frontier.size() as i64).into(),
                self.last_time.ms().into(),
                (&self.frontier.to_bytes()).into(),
                self.urgent_size.map(|size| size as i64).into(),
            ],
        )
        .map(drop)
    }
}

pub(super) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    // The newest index plus one: counting a million rows at each start would be slow, and the primary key
    // admits no index twice; `doctor` walks them all.
    let row = tx
        .query_opt("SELECT coalesce(max(record_index) + 1, 0) FROM trail_record WHERE tenant_id = $1", &[])?;
    row.map_or(Ok(0), |r| r.uint(0))
}

/// A record without its opening: index, entry, leaf hash.
type Bare = (u64, [u8; 50], [u8; 32]);

/// Index, entry and leaf hash of `count` records from `first`.
pub(super) fn entries(tx: &mut TenantTx<'_, '_>, first: u64, count: u64) -> Result<Vec<Bare>, StoreError> {
    tx.query(
        "SELECT record_index, entry, leaf_hash FROM trail_record WHERE tenant_id = $1 AND record_index >= $2 \
         ORDER BY record_index LIMIT $3",
        &[(first as i64).into(), (count as i64).into()],
    )?
    .iter()
    .map(|r| Ok((r.uint(0)?, r.bytes(1)?, r.bytes(2)?)))
    .collect()
}

/// Records from `first`, oldest first.
pub(super) fn records(tx: &mut TenantTx<'_, '_>, first: u64, count: u64) -> Result<Vec<Stored>, StoreError> {
    tx.query(
        "SELECT record_index, entry, sealed_opening FROM trail_record WHERE tenant_id = $1 AND record_index >= $2 \
         ORDER BY record_index LIMIT $3",
        &[(first as i64).into(), (count as i64).into()],
    )?
    .iter()
    .map(stored)
    .collect()
}

/// The index of the outcome that closes each of these intents' range, where there is one.
pub(super) fn outcomes(
    tx: &mut TenantTx<'_, '_>,
    from: u64,
    to: u64,
) -> Result<Vec<(u64, Option<u64>)>, StoreError> {
    tx.query(
        "SELECT intent_index, outcome_index FROM access_intent WHERE tenant_id = $1 AND intent_index >= $2 \
         AND intent_index <= $3 ORDER BY intent_index",
        &[(from as i64).into(), (to as i64).into()],
    )?
    .iter()
    .map(|r| Ok((r.uint(0)?, r.opt_int(1)?.map(|v| v as u64))))
    .collect()
}

fn stored(r: &Row) -> Result<Stored, StoreError> {
    Ok((r.uint(0)?, r.bytes(1)?, r.blob(2)?.to_vec()))
}

pub(super) fn checkpoint(tx: &mut TenantTx<'_, '_>, size: u64) -> Result<Option<Signed>, StoreError> {
    tx.query_opt(
        "SELECT size, root, note, signed_at_ms FROM trail_checkpoint WHERE tenant_id = $1 AND size = $2",
        &[(size as i64).into()],
    )?
    .as_ref()
    .map(read_signed)
    .transpose()
}

pub(super) fn newest_checkpoint(tx: &mut TenantTx<'_, '_>) -> Result<Option<Signed>, StoreError> {
    tx.query_opt(
        "SELECT size, root, note, signed_at_ms FROM trail_checkpoint WHERE tenant_id = $1 ORDER BY size DESC LIMIT 1",
        &[],
    )?
    .as_ref()
    .map(read_signed)
    .transpose()
}

pub(super) fn read_signed(r: &Row) -> Result<Signed, StoreError> {
    Ok(Signed {
        size: r.uint(0)?,
        root: r.bytes(1)?,
        note: r.text(2)?.to_owned(),
        signed_at: Timestamp::from_ms(r.int(3)?),
    })
}

pub(super) fn insert_checkpoint(
    tx: &mut TenantTx<'_, '_>,
    size: u64,
    root: &[u8; 32],
    note: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail_checkpoint (tenant_id, size, root, note, signed_at_ms) VALUES ($1, $2, $3, $4, $5)",
        &[(size as i64).into(), root.into(), note.into(), now.ms().into()],
    )?;
    tx.execute("UPDATE trail_log SET signed_size = $2 WHERE tenant_id = $1", &[(size as i64).into()])
        .map(drop)
}

/// Number of derived nodes at a level; they are written in order, without gaps.
pub(super) fn node_count(tx: &mut TenantTx<'_, '_>, level: u8) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(node_index) + 1, 0) FROM trail_node WHERE tenant_id = $1 AND level = $2";
    tx.query_opt(sql, &[i64::from(level).into()])?.map_or(Ok(0), |r| r.uint(0))
}

pub(super) fn nodes(
    tx: &mut TenantTx<'_, '_>,
    level: u8,
    first: u64,
    count: u64,
) -> Result<Vec<Hash>, StoreError> {
    tx.query(
        "SELECT hash FROM trail_node WHERE tenant_id = $1 AND level = $2 AND node_index >= $3 \
         ORDER BY node_index LIMIT $4",
        &[i64::from(level).into(), (first as i64).into(), (count as i64).into()],
    )?
    .iter()
    .map(|r| r.bytes(0).map(Hash))
    .collect()
}

pub(super) fn insert_node(
    tx: &mut TenantTx<'_, '_>,
    level: u8,
    index: u64,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail_node (tenant_id, level, node_index, hash) VALUES ($1, $2, $3, $4)",
        &[i64::from(level).into(), (index as i64).into(), hash.into()],
    )
    .map(drop)
}
