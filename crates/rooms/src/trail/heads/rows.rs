//! The head log's only SQL.

use bailee_proof::hash::Hash;
use bailee_proof::head::HeadLine;
use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantId, Timestamp};

use super::super::rows::Signed;

pub(super) struct HeadLogRow {
    pub(super) origin: String,
    pub(super) vkey: String,
    pub(super) seed: Vec<u8>,
    pub(super) second: Vec<u8>,
}

/// The right edge of the head log.
pub(super) struct Edge {
    pub(super) size: u64,
    pub(super) frontier: Vec<u8>,
    pub(super) last_time: Timestamp,
    /// The number of the epoch that runs.
    pub(super) epoch: u64,
    /// Entries since the last epoch ended.
    pub(super) epoch_leaves: u64,
    pub(super) epoch_ended: Timestamp,
}

/// A tenant's log that has records, or an enrolment, which the head log does not know.
pub(super) struct Unheaded {
    pub(super) tenant: TenantId,
    pub(super) signed_size: u64,
    pub(super) enrolled: bool,
    /// Version and commitment of its newest head.
    pub(super) last: Option<(u64, [u8; 32])>,
    pub(super) head_size: Option<u64>,
}

pub(super) fn head_log(tx: &mut Tx<'_>) -> Result<Option<HeadLogRow>, StoreError> {
    tx.query_opt(
        "SELECT origin, vkey, sealed_signing_seed, sealed_second_seed FROM head_log WHERE one = 1",
        &[],
    )?
    .map(|r| {
        Ok(HeadLogRow {
            origin: r.text(0)?.to_owned(),
            vkey: r.text(1)?.to_owned(),
            seed: r.blob(2)?.to_vec(),
            second: r.blob(3)?.to_vec(),
        })
    })
    .transpose()
}

/// Gives the head log other bytes for one of its seeds, if it still has those that were read.
pub(super) fn reseal_head_log(
    tx: &mut Tx<'_>,
    column: &'static str,
    (before, after): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let sql = format!("UPDATE head_log SET {column} = $2 WHERE one = 1 AND {column} = $1");
    Ok(tx.execute(&sql, &[before.into(), after.into()])? == 1)
}

pub(super) fn insert_head_log(
    tx: &mut Tx<'_>,
    row: &HeadLogRow,
    frontier: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO head_log (one, origin, vkey, sealed_signing_seed, sealed_second_seed, size, frontier, \
         last_time_ms, epoch, epoch_leaves, epoch_ended_ms) VALUES (1, $1, $2, $3, $4, 0, $5, $6, 0, 0, $6)",
        &[
            (&row.origin).into(),
            (&row.vkey).into(),
            (&row.seed).into(),
            (&row.second).into(),
            frontier.into(),
            now.ms().into(),
        ],
    )
    .map(drop)
}

pub(super) fn edge(tx: &mut Tx<'_>) -> Result<Edge, StoreError> {
    let row = tx
        .query_opt(
            "SELECT size, frontier, last_time_ms, epoch, epoch_leaves, epoch_ended_ms FROM head_log WHERE one = 1",
            &[],
        )?
        .ok_or_else(|| StoreError::Corrupt("there is no head log".into()))?;
    Ok(Edge {
        size: row.uint(0)?,
        frontier: row.blob(1)?.to_vec(),
        last_time: Timestamp::from_ms(row.int(2)?),
        epoch: row.uint(3)?,
        epoch_leaves: row.uint(4)?,
        epoch_ended: Timestamp::from_ms(row.int(5)?),
    })
}

pub(super) fn advance(tx: &mut Tx<'_>, edge: &Edge) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE head_log SET size = $1, frontier = $2, last_time_ms = $3, epoch = $4, epoch_leaves = $5, \
         epoch_ended_ms = $6 WHERE one = 1",
        &[
            (edge.size as i64).into(),
            (&edge.frontier).into(),
            edge.last_time.ms().into(),
            (edge.epoch as i64).into(),
            (edge.epoch_leaves as i64).into(),
            edge.epoch_ended.ms().into(),
        ],
    )
    .map(drop)
}

pub(super) fn insert_entry(tx: &mut Tx<'_>, index: u64, entry: &[u8], leaf: &Hash) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO head_entry (entry_index, entry, leaf_hash) VALUES ($1, $2, $3)",
        &[(index as i64).into(), entry.into(), (&leaf.0).into()],
    )
    .map(drop)
}

/// Entries with their leaf hashes from `first`.
pub(super) fn entries(tx: &mut Tx<'_>, first: u64, count: u64) -> Result<Vec<(Vec<u8>, Hash)>, StoreError> {
    tx.query(
        "SELECT entry, leaf_hash FROM head_entry WHERE entry_index >= $1 ORDER BY entry_index LIMIT $2",
        &[(first as i64).into(), (count as i64).into()],
    )?
    .iter()
    .map(|r| Ok((r.blob(0)?.to_vec(), Hash(r.bytes(1)?))))
    .collect()
}

pub(super) fn node_count(tx: &mut Tx<'_>, level: u8) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(node_index) + 1, 0) FROM head_node WHERE level = $1";
    tx.query_opt(sql, &[i64::from(level).into()])?.map_or(Ok(0), |r| r.uint(0))
}

pub(super) fn nodes(tx: &mut Tx<'_>, level: u8, first: u64, count: u64) -> Result<Vec<Hash>, StoreError> {
    tx.query(
        "SELECT hash FROM head_node WHERE level = $1 AND node_index >= $2 ORDER BY node_index LIMIT $3",
        &[i64::from(level).into(), (first as i64).into(), (count as i64).into()],
    )?
    .iter()
    .map(|r| r.bytes(0).map(Hash))
    .collect()
}

pub(super) fn insert_node(tx: &mut Tx<'_>, level: u8, index: u64, hash: &Hash) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO head_node (level, node_index, hash) VALUES ($1, $2, $3)",
        &[i64::from(level).into(), (index as i64).into(), (&hash.0).into()],
    )
    .map(drop)
}

pub(super) fn insert_checkpoint(
    tx: &mut Tx<'_>,
    size: u64,
    root: &Hash,
    note: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO head_checkpoint (size, root, note, signed_at_ms) VALUES ($1, $2, $3, $4)",
        &[(size as i64).into(), (&root.0).into(), note.into(), now.ms().into()],
    )
    .map(drop)
}

/// The newest checkpoints of the head log, newest first.
pub(super) fn newest_checkpoints(tx: &mut Tx<'_>, count: u64) -> Result<Vec<Signed>, StoreError> {
    tx.query(
        "SELECT size, root, note, signed_at_ms FROM head_checkpoint ORDER BY size DESC LIMIT $1",
        &[(count as i64).into()],
    )?
    .iter()
    .map(super::super::rows::read_signed)
    .collect()
}

pub(super) fn checkpoint(tx: &mut Tx<'_>, size: u64) -> Result<Option<Signed>, StoreError> {
    tx.query_opt(
        "SELECT size, root, note, signed_at_ms FROM head_checkpoint WHERE size = $1",
        &[(size as i64).into()],
    )?
    .as_ref()
    .map(super::super::rows::read_signed)
    .transpose()
}

/// Logs with a signed head that the head log must have: it holds what is urgent, or the last one is from before
/// `before`.
pub(super) fn unheaded(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<Vec<Unheaded>, StoreError> {
    tx.query(
        "SELECT tenant_id, signed_size, enrol_index, head_version, head_commit, head_size FROM trail_log \
         WHERE signed_size > head_size AND (urgent_size > head_size OR head_made_at_ms <= $1) \
         ORDER BY tenant_id LIMIT $2",
        &[before.ms().into(), limit.into()],
    )?
    .iter()
    .map(read_unheaded)
    .collect()
}

fn read_unheaded(r: &Row) -> Result<Unheaded, StoreError> {
    let version = u64::try_from(r.int(3)?).ok();
    let commit = if r.opt_blob(4)?.is_some() { Some(r.bytes::<32>(4)?) } else { None };
    Ok(Unheaded {
        tenant: r.parsed(0, TenantId::parse)?,
        signed_size: r.uint(1)?,
        enrolled: r.opt_int(2)?.is_some(),
        last: version.zip(commit),
        head_size: u64::try_from(r.int(5)?).ok(),
    })
}

pub(super) fn enrolled(tx: &mut TenantTx<'_, '_>, index: u64) -> Result<(), StoreError> {
    tx.execute("UPDATE trail_log SET enrol_index = $2 WHERE tenant_id = $1", &[(index as i64).into()])
        .map(drop)
}

pub(super) fn insert_head(
    tx: &mut TenantTx<'_, '_>,
    head: &HeadLine,
    entry_index: u64,
    commit: &Hash,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (version, size) = (head.version as i64, head.size as i64);
    tx.execute(
        "INSERT INTO trail_head (tenant_id, version, size, root, entry_index, made_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[version.into(), size.into(), (&head.root.0).into(), (entry_index as i64).into(), now.ms().into()],
    )?;
    tx.execute(
        "UPDATE trail_log SET head_version = $2, head_size = $3, head_commit = $4, head_made_at_ms = $5 \
         WHERE tenant_id = $1",
        &[version.into(), size.into(), (&commit.0).into(), now.ms().into()],
    )
    .map(drop)
}

/// A head with its place in the head log.
pub(super) struct HeadRow {
    pub(super) line: HeadLine,
    pub(super) entry_index: u64,
}

pub(super) fn heads(tx: &mut TenantTx<'_, '_>, from: u64, count: u64) -> Result<Vec<HeadRow>, StoreError> {
    tx.query(
        "SELECT version, size, root, entry_index FROM trail_head WHERE tenant_id = $1 AND version >= $2 \
         ORDER BY version LIMIT $3",
        &[(from as i64).into(), (count as i64).into()],
    )?
    .iter()
    .map(read_head)
    .collect()
}

pub(super) fn newest_head(tx: &mut TenantTx<'_, '_>) -> Result<Option<HeadRow>, StoreError> {
    tx.query_opt(
        "SELECT version, size, root, entry_index FROM trail_head WHERE tenant_id = $1 \
         ORDER BY version DESC LIMIT 1",
        &[],
    )?
    .as_ref()
    .map(read_head)
    .transpose()
}

fn read_head(r: &Row) -> Result<HeadRow, StoreError> {
    Ok(HeadRow {
        line: HeadLine { version: r.uint(0)?, size: r.uint(1)?, root: Hash(r.bytes(2)?) },
        entry_index: r.uint(3)?,
    })
}

pub(super) fn enrol_index(tx: &mut TenantTx<'_, '_>) -> Result<Option<u64>, StoreError> {
    let row = tx.query_opt("SELECT enrol_index FROM trail_log WHERE tenant_id = $1", &[])?;
    row.map_or(Ok(None), |r| Ok(r.opt_int(0)?.and_then(|i| u64::try_from(i).ok())))
}

/// Logs without a record since `before`.
pub(super) fn silent(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<Vec<TenantId>, StoreError> {
    tx.query(
        "SELECT tenant_id FROM trail_log WHERE last_time_ms < $1 ORDER BY last_time_ms LIMIT $2",
        &[before.ms().into(), limit.into()],
    )?
    .iter()
    .map(|r| r.parsed(0, TenantId::parse))
    .collect()
}

pub(super) fn insert_cosignature(
    tx: &mut Tx<'_>,
    origin: &str,
    size: u64,
    witness: &str,
    line: &str,
    at_s: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO cosignature (origin, size, witness, line, at_s) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (origin, size, witness) DO UPDATE SET line = excluded.line, at_s = excluded.at_s",
        &[origin.into(), (size as i64).into(), witness.into(), line.into(), (at_s as i64).into()],
    )
    .map(drop)
}

/// Witness (vkey), line and time (POSIX seconds) of what was cosigned over a checkpoint.
pub(super) type Cosigned = (String, String, u64);

pub(super) fn cosignatures(tx: &mut Tx<'_>, origin: &str, size: u64) -> Result<Vec<Cosigned>, StoreError> {
    tx.query(
        "SELECT witness, line, at_s FROM cosignature WHERE origin = $1 AND size = $2 ORDER BY witness",
        &[origin.into(), (size as i64).into()],
    )?
    .iter()
    .map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.to_owned(), r.uint(2)?)))
    .collect()
}

/// Sizes of this log that some witness cosigned, largest first.
pub(super) fn cosigned_sizes(tx: &mut Tx<'_>, origin: &str, limit: i64) -> Result<Vec<u64>, StoreError> {
    tx.query(
        "SELECT DISTINCT size FROM cosignature WHERE origin = $1 ORDER BY size DESC LIMIT $2",
        &[origin.into(), limit.into()],
    )?
    .iter()
    .map(|r| r.uint(0))
    .collect()
}

/// Sizes of this log above `over` that some witness cosigned, smallest first.
pub(super) fn cosigned_sizes_over(
    tx: &mut Tx<'_>,
    origin: &str,
    over: u64,
    limit: i64,
) -> Result<Vec<u64>, StoreError> {
    tx.query(
        "SELECT DISTINCT size FROM cosignature WHERE origin = $1 AND size > $2 ORDER BY size LIMIT $3",
        &[origin.into(), (over as i64).into(), limit.into()],
    )?
    .iter()
    .map(|r| r.uint(0))
    .collect()
}

/// The newest size that a witness cosigned, with its time.
pub(super) fn last_cosigned(
    tx: &mut Tx<'_>,
    origin: &str,
    witness: &str,
) -> Result<Option<(u64, u64)>, StoreError> {
    tx.query_opt(
        "SELECT size, at_s FROM cosignature WHERE origin = $1 AND witness = $2 ORDER BY size DESC LIMIT 1",
        &[origin.into(), witness.into()],
    )?
    .map(|r| Ok((r.uint(0)?, r.uint(1)?)))
    .transpose()
}

/// What a tenant asks of witnesses: its policy's text ("" for none) and whether operators wait for them.
pub(super) fn witnessing(tx: &mut TenantTx<'_, '_>) -> Result<(String, bool), StoreError> {
    let row = tx.query_opt("SELECT policy, before_act FROM trail_witnessing WHERE tenant_id = $1", &[])?;
    row.map_or(Ok((String::new(), false)), |r| Ok((r.text(0)?.to_owned(), r.int(1)? == 1)))
}

pub(super) fn set_witnessing(
    tx: &mut TenantTx<'_, '_>,
    policy: &str,
    before_act: bool,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail_witnessing (tenant_id, policy, before_act) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant_id) DO UPDATE SET policy = excluded.policy, before_act = excluded.before_act",
        &[policy.into(), before_act.into()],
    )
    .map(drop)
}

/// Tenants with witnesses of their own.
pub(super) fn witnessed_tenants(tx: &mut Tx<'_>) -> Result<Vec<TenantId>, StoreError> {
    tx.query("SELECT tenant_id FROM trail_witnessing WHERE policy <> '' ORDER BY tenant_id", &[])?
        .iter()
        .map(|r| r.parsed(0, TenantId::parse))
        .collect()
}

pub(super) fn insert_key_change(
    tx: &mut TenantTx<'_, '_>,
    change: u64,
    record: u64,
    note: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trail_key_change (tenant_id, change, record_index, note) VALUES ($1, $2, $3, $4)",
        &[(change as i64).into(), (record as i64).into(), note.into()],
    )
    .map(drop)
}

/// The notes of all key changes of a log, in order.
pub(in crate::trail) fn key_changes(tx: &mut TenantTx<'_, '_>) -> Result<Vec<String>, StoreError> {
    tx.query("SELECT note FROM trail_key_change WHERE tenant_id = $1 ORDER BY change", &[])?
        .iter()
        .map(|r| r.text(0).map(str::to_owned))
        .collect()
}

pub(super) fn set_key(tx: &mut TenantTx<'_, '_>, vkey: &str, seed: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE trail_log SET vkey = $2, sealed_signing_seed = $3 WHERE tenant_id = $1",
        &[vkey.into(), seed.into()],
    )
    .map(drop)
}

/// Whether a head of more than `record` records stands below `size` in the head log.
pub(super) fn has_head_over(tx: &mut TenantTx<'_, '_>, record: u64, size: u64) -> Result<bool, StoreError> {
    let row = tx.query_opt(
        "SELECT 1 FROM trail_head WHERE tenant_id = $1 AND size > $2 AND entry_index < $3 \
         ORDER BY version DESC LIMIT 1",
        &[(record as i64).into(), (size as i64).into()],
    )?;
    Ok(row.is_some())
}

/// The newest head of at most `records` records that stands below `size` in the head log.
pub(super) fn head_below(
    tx: &mut TenantTx<'_, '_>,
    records: u64,
    size: u64,
) -> Result<Option<HeadRow>, StoreError> {
    tx.query_opt(
        "SELECT version, size, root, entry_index FROM trail_head WHERE tenant_id = $1 AND size <= $2 \
         AND entry_index < $3 ORDER BY version DESC LIMIT 1",
        &[(records as i64).into(), (size as i64).into()],
    )?
    .as_ref()
    .map(read_head)
    .transpose()
}
