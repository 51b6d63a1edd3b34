//! The handling room's only SQL.

pub(super) mod glass;

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{BucketName, ChangeId, HandlingId, OperatorId, TenantId, Timestamp};

use super::{Block, Change, Covers, NewChange, Order, Step, Takedown, Work, Worker};

const COLUMNS: &str = "tenant_id, handling_id, bucket, covers, name, presigned, authority, document, dated, reason, \
                       filed_at_ms, until_ms, state, notice_at_ms";

fn covers(r: &Row, kind: usize, name: usize) -> Result<Covers, StoreError> {
    let text = r.text(name)?.to_owned();
    r.parsed(kind, |kind| Covers::of_columns(kind, &text))
}

fn takedown(r: &Row) -> Result<Takedown, StoreError> {
    Ok(Takedown {
        tenant: r.parsed(0, TenantId::parse)?,
        id: r.parsed(1, HandlingId::parse)?,
        bucket: r.parsed(2, BucketName::parse)?,
        covers: covers(r, 3, 4)?,
        order: Order {
            authority: r.text(6)?.to_owned(),
            document: r.text(7)?.to_owned(),
            dated: r.text(8)?.to_owned(),
            presigned: r.int(5)? == 1,
        },
        reason: r.text(9)?.to_owned(),
        filed_at: Timestamp::from_ms(r.int(10)?),
        until: r.opt_int(11)?.map(Timestamp::from_ms),
        acknowledged: r.opt_int(13)?.is_none(),
        steps: Vec::new(),
        stored: r.parsed(12, |word| {
            ["filed", "declined", "in_force", "lifted"].into_iter().find(|w| *w == word).ok_or("a state")
        })?,
    })
}

fn with_steps(tx: &mut TenantTx<'_, '_>, mut k: Takedown) -> Result<Takedown, StoreError> {
    let sql = "SELECT act, operator_id, writer, note, at_ms FROM handling_step WHERE tenant_id = $1 AND handling_id = $2 \
               ORDER BY seq";
    let read = |r: &Row| {
        let operator = r.opt_text(1)?.is_some().then(|| r.parsed(1, OperatorId::parse)).transpose()?;
        Ok(Step {
            act: r.text(0)?.to_owned(),
            operator,
            writer: r.text(2)?.to_owned(),
            note: r.text(3)?.to_owned(),
            at: Timestamp::from_ms(r.int(4)?),
        })
    };
    k.steps = tx.query(sql, &[k.id.as_str().into()])?.iter().map(read).collect::<Result<_, StoreError>>()?;
    Ok(k)
}

pub(super) fn insert(tx: &mut TenantTx<'_, '_>, k: &Takedown) -> Result<(), StoreError> {
    let (covers, name) = k.covers.columns();
    tx.execute(
        "INSERT INTO handling (tenant_id, handling_id, bucket, covers, name, presigned, authority, document, dated, reason, \
         filed_at_ms, until_ms, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'filed')",
        &[
            k.id.as_str().into(),
            k.bucket.as_str().into(),
            covers.into(),
            name.into(),
            i64::from(k.order.presigned).into(),
            (&k.order.authority).into(),
            (&k.order.document).into(),
            (&k.order.dated).into(),
            (&k.reason).into(),
            k.filed_at.ms().into(),
            k.until.map(Timestamp::ms).into(),
        ],
    )
    .map(drop)
}

pub(super) fn one(tx: &mut TenantTx<'_, '_>, id: &HandlingId) -> Result<Option<Takedown>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM handling WHERE tenant_id = $1 AND handling_id = $2");
    let found = tx.query_opt(&sql, &[id.as_str().into()])?.as_ref().map(takedown).transpose()?;
    found.map(|k| with_steps(tx, k)).transpose()
}

/// A tenant's, the newest first.
pub(super) fn all(tx: &mut TenantTx<'_, '_>, limit: u32) -> Result<Vec<Takedown>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM handling WHERE tenant_id = $1 ORDER BY filed_at_ms DESC LIMIT $2");
    let found: Vec<_> =
        tx.query(&sql, &[i64::from(limit).into()])?.iter().map(takedown).collect::<Result<_, _>>()?;
    found.into_iter().map(|k| with_steps(tx, k)).collect()
}

fn places(rows: &[Row]) -> Result<Vec<(TenantId, HandlingId)>, StoreError> {
    rows.iter().map(|r| Ok((r.parsed(0, TenantId::parse)?, r.parsed(1, HandlingId::parse)?))).collect()
}

/// Of all tenants, the newest first.
pub(super) fn newest(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<(TenantId, HandlingId)>, StoreError> {
    let sql = "SELECT tenant_id, handling_id FROM handling ORDER BY filed_at_ms DESC LIMIT $1";
    places(&tx.query(sql, &[i64::from(limit).into()])?)
}

/// Of whose newest step the tenant is to be told again.
pub(super) fn due(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(TenantId, HandlingId)>, StoreError> {
    let sql =
        "SELECT tenant_id, handling_id FROM handling WHERE notice_at_ms <= $1 ORDER BY notice_at_ms LIMIT $2";
    places(&tx.query(sql, &[now.ms().into(), i64::from(limit).into()])?)
}

pub(super) fn to_acknowledge(tx: &mut TenantTx<'_, '_>) -> Result<Vec<HandlingId>, StoreError> {
    let sql = "SELECT handling_id FROM handling WHERE tenant_id = $1 AND notice_at_ms IS NOT NULL \
               ORDER BY filed_at_ms LIMIT 20";
    tx.query(sql, &[])?.iter().map(|r| r.parsed(0, HandlingId::parse)).collect()
}

/// Puts a notice that is due off; `false` when it is not due any more.
pub(super) fn postpone(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    due: Timestamp,
    to: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE handling SET notice_at_ms = $3 WHERE tenant_id = $1 AND handling_id = $2 AND notice_at_ms <= $4";
    Ok(tx.execute(sql, &[id.as_str().into(), to.ms().into(), due.ms().into()])? == 1)
}

/// When the tenant is told next; none: it has acknowledged.
pub(super) fn postpone_from(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    to: Option<Timestamp>,
) -> Result<(), StoreError> {
    let sql = "UPDATE handling SET notice_at_ms = $3 WHERE tenant_id = $1 AND handling_id = $2";
    tx.execute(sql, &[id.as_str().into(), to.map(Timestamp::ms).into()]).map(drop)
}

pub(super) fn set_state(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    state: &'static str,
) -> Result<(), StoreError> {
    let sql = "UPDATE handling SET state = $3 WHERE tenant_id = $1 AND handling_id = $2";
    tx.execute(sql, &[id.as_str().into(), state.into()]).map(drop)
}

pub(super) struct NewStep<'a> {
    pub(super) act: &'static str,
    pub(super) operator: Option<&'a OperatorId>,
    pub(super) writer: &'a str,
    pub(super) note: &'a str,
    pub(super) at: Timestamp,
}

pub(super) fn add_step(
    tx: &mut TenantTx<'_, '_>,
    id: &HandlingId,
    s: &NewStep<'_>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO handling_step (tenant_id, handling_id, seq, act, operator_id, writer, note, at_ms) \
         SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), count(*) + 1, CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), \
         CAST($6 AS TEXT), CAST($7 AS BIGINT) FROM handling_step WHERE tenant_id = $1 AND handling_id = $2",
        &[
            id.as_str().into(),
            s.act.into(),
            s.operator.map(OperatorId::as_str).into(),
            s.writer.into(),
            s.note.into(),
            s.at.ms().into(),
        ],
    )
    .map(drop)
}

pub(super) fn blocks(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<Vec<Block>, StoreError> {
    let sql = "SELECT covers, name, until_ms, presigned, handling_id FROM handling WHERE tenant_id = $1 AND bucket = $2 \
               AND state = 'in_force'";
    let read = |r: &Row| {
        Ok(Block {
            id: r.parsed(4, HandlingId::parse)?,
            bucket: bucket.clone(),
            covers: covers(r, 0, 1)?,
            until: r.opt_int(2)?.map(Timestamp::from_ms),
            presigned: r.int(3)? == 1,
        })
    };
    tx.query(sql, &[bucket.as_str().into()])?.iter().map(read).collect()
}

pub(super) fn in_force(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM handling WHERE tenant_id = $1 AND bucket = $2 AND state = 'in_force'";
    tx.query_opt(sql, &[bucket.as_str().into()])?.map_or(Ok(0), |r| r.uint(0))
}

const CHANGE: &str = "tenant_id, change_id, operator_id, pseudonym, work, bucket, bytes_max, reason, announced_at_ms, \
                      planned_at_ms, ended, ended_at_ms, said, began_at_ms";

fn read_change(r: &Row) -> Result<Change, StoreError> {
    let bucket = r.opt_text(5)?.is_some().then(|| r.parsed(5, BucketName::parse)).transpose()?;
    let max = r.opt_int(6)?.map(|_| r.uint(6)).transpose()?;
    let work = r.parsed(4, |word| match (word, bucket) {
        ("quota", None) => Ok(Work::Quota(max)),
        ("scrub", Some(bucket)) => Ok(Work::Scrub(bucket)),
        ("rewrap", bucket) => Ok(Work::Rewrap(bucket)),
        ("repair", Some(bucket)) => Ok(Work::Repair(bucket)),
        ("suspend-replication", bucket) => Ok(Work::Suspend(Worker::Replication, bucket)),
        ("suspend-lifecycle", bucket) => Ok(Work::Suspend(Worker::Lifecycle, bucket)),
        _ => Err("work on a tenant's things"),
    })?;
    let ended = match (r.opt_text(10)?, r.opt_int(11)?, r.opt_text(12)?) {
        (Some(word), Some(at), Some(said)) => Some((word == "done", Timestamp::from_ms(at), said.to_owned())),
        _ => None,
    };
    Ok(Change {
        new: NewChange {
            tenant: r.parsed(0, TenantId::parse)?,
            id: r.parsed(1, ChangeId::parse)?,
            work,
            reason: r.text(7)?.to_owned(),
            planned_at: Timestamp::from_ms(r.int(9)?),
        },
        operator: r.parsed(2, OperatorId::parse)?,
        pseudonym: r.text(3)?.to_owned(),
        announced_at: Timestamp::from_ms(r.int(8)?),
        began_at: r.opt_int(13)?.map(Timestamp::from_ms),
        ended,
    })
}

/// Announces a change; `false` when the tenant has one of that number.
pub(super) fn insert_change(tx: &mut TenantTx<'_, '_>, c: &Change) -> Result<bool, StoreError> {
    let bytes_max = c.new.work.bytes_max().map(|max| i64::try_from(max).unwrap_or(i64::MAX));
    let sql = "INSERT INTO provider_change (tenant_id, change_id, operator_id, pseudonym, work, bucket, bytes_max, reason, \
               announced_at_ms, planned_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    let params = [
        c.new.id.as_str().into(),
        c.operator.as_str().into(),
        (&c.pseudonym).into(),
        c.new.work.word().into(),
        c.new.work.bucket().map(BucketName::as_str).into(),
        bytes_max.into(),
        (&c.new.reason).into(),
        c.announced_at.ms().into(),
        c.new.planned_at.ms().into(),
    ];
    Ok(tx.execute(sql, &params)? == 1)
}

pub(super) fn change(tx: &mut TenantTx<'_, '_>, id: &ChangeId) -> Result<Option<Change>, StoreError> {
    let sql = format!("SELECT {CHANGE} FROM provider_change WHERE tenant_id = $1 AND change_id = $2");
    tx.query_opt(&sql, &[id.as_str().into()])?.as_ref().map(read_change).transpose()
}

/// A tenant's, the newest first.
pub(super) fn changes(tx: &mut TenantTx<'_, '_>, limit: u32) -> Result<Vec<Change>, StoreError> {
    let sql = format!(
        "SELECT {CHANGE} FROM provider_change WHERE tenant_id = $1 ORDER BY planned_at_ms DESC LIMIT $2"
    );
    tx.query(&sql, &[i64::from(limit).into()])?.iter().map(read_change).collect()
}

/// Of all tenants, the newest first.
pub(super) fn newest_changes(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Change>, StoreError> {
    let sql = format!("SELECT {CHANGE} FROM provider_change ORDER BY planned_at_ms DESC LIMIT $1");
    tx.query(&sql, &[i64::from(limit).into()])?.iter().map(read_change).collect()
}

/// How a run ended; what is done stays done.
pub(super) fn end_change(
    tx: &mut TenantTx<'_, '_>,
    id: &ChangeId,
    (ok, at, said): (bool, Timestamp, &str),
) -> Result<(), StoreError> {
    let sql = "UPDATE provider_change SET ended = $3, ended_at_ms = $4, said = $5 WHERE tenant_id = $1 AND change_id = $2 \
               AND coalesce(ended, '') <> 'done'";
    let word = if ok { "done" } else { "failed" };
    tx.execute(sql, &[id.as_str().into(), word.into(), at.ms().into(), said.into()]).map(drop)
}

/// A worker stands still from now on; `false` when it does already, or the change has ended.
pub(super) fn begin_change(
    tx: &mut TenantTx<'_, '_>,
    id: &ChangeId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE provider_change SET began_at_ms = $3 WHERE tenant_id = $1 AND change_id = $2 \
               AND began_at_ms IS NULL AND ended IS NULL";
    Ok(tx.execute(sql, &[id.as_str().into(), at.ms().into()])? == 1)
}

/// Changes under which a worker stands still, for one bucket or for all; those that were planned after.
pub(super) fn begun(
    tx: &mut TenantTx<'_, '_>,
    (worker, bucket): (Worker, &BucketName),
    planned_after: Timestamp,
) -> Result<Vec<Change>, StoreError> {
    let sql = format!(
        "SELECT {CHANGE} FROM provider_change WHERE tenant_id = $1 AND planned_at_ms > $2 AND work = $3 \
         AND (bucket IS NULL OR bucket = $4) AND began_at_ms IS NOT NULL AND ended IS NULL ORDER BY planned_at_ms"
    );
    tx.query(&sql, &[planned_after.ms().into(), worker.suspends().into(), bucket.as_str().into()])?
        .iter()
        .map(read_change)
        .collect()
}

/// Takedowns that were filed, and changes that were planned, within a time; each counted up to `most`.
pub(crate) fn count(
    tx: &mut TenantTx<'_, '_>,
    (from, until): (Timestamp, Timestamp),
    most: u32,
) -> Result<(u64, u64), StoreError> {
    let mut within = |table: &str, at: &str| {
        let rows = format!("FROM {table} WHERE tenant_id = $1 AND {at} >= $2 AND {at} < $3");
        tx.count(&rows, &[from.ms().into(), until.ms().into()], most)
    };
    Ok((within("handling", "filed_at_ms")?, within("provider_change", "planned_at_ms")?))
}

/// Takedowns that took effect: all, and those for which not two operators stood.
pub(super) fn by_one_person(tx: &mut Tx<'_>) -> Result<(u64, u64), StoreError> {
    let row = tx.query_opt(
        "SELECT count(*), count(CASE WHEN people < 2 THEN 1 END) FROM ( \
         SELECT count(DISTINCT s.operator_id) AS people FROM handling h JOIN handling_step s \
         ON s.tenant_id = h.tenant_id AND s.handling_id = h.handling_id \
         WHERE h.state IN ('in_force', 'lifted') AND s.act IN ('file', 'confirm') \
         GROUP BY h.tenant_id, h.handling_id) AS each_one",
        &[],
    )?;
    row.map_or(Ok((0, 0)), |r| Ok((r.uint(0)?, r.uint(1)?)))
}
