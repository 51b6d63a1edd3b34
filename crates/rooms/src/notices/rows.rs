//! The notices room's only SQL.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantId, Timestamp};

use super::{Kind, PROVIDER};

/// Who has a notice keeps it for so long (ms), if he dies: some times what a post may take (5 s), or a talk with a mail server.
const POST_LEASE_MS: i64 = 15_000;
const MAIL_LEASE_MS: i64 = 120_000;

/// What happens to a notice that is there already: it is said once more.
const AGAIN: &str =
    "ON CONFLICT (tenant_id, target_id, kind, reference) DO UPDATE SET again = notice.again + 1";

pub(super) fn emit(
    tx: &mut TenantTx<'_, '_>,
    kind: Kind,
    reference: &str,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    // The column is a word of ours.
    emit_where(tx, &format!("{} = 1", kind.word()), (kind, reference), id, now)
}

pub(super) fn emit_to_all(
    tx: &mut TenantTx<'_, '_>,
    reference: &str,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    emit_where(tx, "1 = 1", (Kind::Alert, reference), id, now)
}

fn emit_where(
    tx: &mut TenantTx<'_, '_>,
    whom: &str,
    (kind, reference): (Kind, &str),
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO notice (tenant_id, target_id, kind, reference, notice_id, since_ms, retry_at_ms) \
         SELECT tenant_id, target_id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT), \
         CAST($5 AS BIGINT) FROM notice_target WHERE tenant_id = $1 AND {whom} {AGAIN}"
    );
    tx.execute(&sql, &[kind.word().into(), reference.into(), id.into(), now.ms().into()]).map(drop)
}

pub(super) fn emit_to_provider(
    tx: &mut TenantTx<'_, '_>,
    kind: Kind,
    reference: &str,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO notice (tenant_id, target_id, kind, reference, notice_id, since_ms, retry_at_ms) \
         VALUES ($1, '{PROVIDER}', $2, $3, $4, $5, $5) {AGAIN}"
    );
    tx.execute(&sql, &[kind.word().into(), reference.into(), id.into(), now.ms().into()]).map(drop)
}

/// A target as its row has it.
#[derive(Clone)]
pub(super) struct TargetRow {
    pub(super) id: String,
    pub(super) webhook: bool,
    pub(super) kinds: Vec<Kind>,
    pub(super) sealed: Vec<u8>,
    pub(super) failed: Option<(Timestamp, String)>,
}

pub(super) fn targets(tx: &mut TenantTx<'_, '_>) -> Result<Vec<TargetRow>, StoreError> {
    let sql = "SELECT target_id, channel, ticket, consent, alert, digest, sealed, failed_at_ms, last_error \
               FROM notice_target WHERE tenant_id = $1 ORDER BY channel, target_id";
    let read = |r: &Row| {
        let mut kinds = Vec::new();
        for (n, kind) in Kind::ALL.into_iter().enumerate() {
            if r.int(2 + n)? == 1 {
                kinds.push(kind);
            }
        }
        Ok(TargetRow {
            id: r.text(0)?.to_owned(),
            webhook: r.text(1)? == "webhook",
            kinds,
            sealed: r.blob(6)?.to_vec(),
            failed: r.opt_int(7)?.map(Timestamp::from_ms).zip(r.opt_text(8)?.map(str::to_owned)),
        })
    };
    tx.query(sql, &[])?.iter().map(read).collect()
}

/// Writes a target; of one that is there, of what it hears.
pub(super) fn put(tx: &mut TenantTx<'_, '_>, target: &TargetRow) -> Result<(), StoreError> {
    let wants = |kind| i64::from(target.kinds.contains(&kind));
    tx.execute(
        "INSERT INTO notice_target (tenant_id, target_id, channel, ticket, consent, alert, digest, sealed) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant_id, target_id) DO UPDATE SET \
         ticket = excluded.ticket, consent = excluded.consent, alert = excluded.alert, \
         digest = excluded.digest",
        &[
            (&target.id).into(),
            if target.webhook { "webhook" } else { "mail" }.into(),
            wants(Kind::Ticket).into(),
            wants(Kind::Consent).into(),
            wants(Kind::Alert).into(),
            wants(Kind::Digest).into(),
            (&target.sealed).into(),
        ],
    )
    .map(drop)
}

/// Removes a target, or all with all that is kept here; what was to be said to it is said to nobody.
pub(super) fn remove(tx: &mut TenantTx<'_, '_>, target: Option<&str>) -> Result<(), StoreError> {
    match target {
        Some(id) => {
            for table in ["notice", "notice_target"] {
                let sql = format!("DELETE FROM {table} WHERE tenant_id = $1 AND target_id = $2");
                tx.execute(&sql, &[id.into()])?;
            }
        }
        None => {
            for table in ["notice", "notice_target", "digest"] {
                tx.execute(&format!("DELETE FROM {table} WHERE tenant_id = $1"), &[])?;
            }
        }
    }
    Ok(())
}

/// Tenants behind one who want digests and at whose week, or a later one, nobody has looked yet.
pub(super) fn without_digest(
    tx: &mut Tx<'_>,
    week: Timestamp,
    after: &str,
    limit: i64,
) -> Result<Vec<TenantId>, StoreError> {
    let sql = "SELECT DISTINCT tenant_id FROM notice_target WHERE digest = 1 AND tenant_id > $2 AND NOT EXISTS (SELECT 1 FROM digest d \
               WHERE d.tenant_id = notice_target.tenant_id AND d.week_ms >= $1) ORDER BY tenant_id LIMIT $3";
    tx.query(sql, &[week.ms().into(), after.into(), limit.into()])?
        .iter()
        .map(|r| r.parsed(0, TenantId::parse))
        .collect()
}

/// The newest week that was looked at.
pub(super) fn newest_digest(tx: &mut TenantTx<'_, '_>) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT week_ms FROM digest WHERE tenant_id = $1 ORDER BY week_ms DESC LIMIT 1";
    tx.query_opt(sql, &[])?.map(|r| r.int(0).map(Timestamp::from_ms)).transpose()
}

/// Notes that a week was looked at; `false` when it was before.
pub(super) fn note_digest(
    tx: &mut TenantTx<'_, '_>,
    week: Timestamp,
    told: bool,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO digest (tenant_id, week_ms, told) VALUES ($1, $2, $3) ON CONFLICT (tenant_id, week_ms) DO NOTHING";
    Ok(tx.execute(sql, &[week.ms().into(), i64::from(told).into()])? == 1)
}

/// Gives a target other bytes, if it still has those that were read.
pub(super) fn reseal(
    tx: &mut TenantTx<'_, '_>,
    target: &str,
    (before, after): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let sql = "UPDATE notice_target SET sealed = $4 WHERE tenant_id = $1 AND target_id = $2 AND sealed = $3";
    Ok(tx.execute(sql, &[target.into(), before.into(), after.into()])? == 1)
}

/// A notice that is to be said.
#[derive(Clone)]
pub(super) struct Due {
    pub(super) tenant: TenantId,
    pub(super) target: String,
    pub(super) kind: Kind,
    pub(super) reference: String,
    pub(super) id: String,
    pub(super) since: Timestamp,
    pub(super) again: i64,
    pub(super) failures: u64,
    /// Of a tenant's target.
    pub(super) webhook: bool,
    pub(super) sealed: Option<Vec<u8>>,
}

pub(super) fn due(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<Due>, StoreError> {
    let sql = "SELECT n.tenant_id, n.target_id, n.kind, n.reference, n.notice_id, n.since_ms, n.again, n.failures, \
               t.channel, t.sealed FROM notice n LEFT JOIN notice_target t ON t.tenant_id = n.tenant_id \
               AND t.target_id = n.target_id WHERE n.retry_at_ms <= $1 AND n.lease_until_ms <= $1 \
               ORDER BY n.retry_at_ms LIMIT $2";
    let read = |r: &Row| {
        Ok(Due {
            tenant: r.parsed(0, TenantId::parse)?,
            target: r.text(1)?.to_owned(),
            kind: r.parsed(2, |w| Kind::parse(w).ok_or("a kind"))?,
            reference: r.text(3)?.to_owned(),
            id: r.text(4)?.to_owned(),
            since: Timestamp::from_ms(r.int(5)?),
            again: r.int(6)?,
            failures: r.uint(7)?,
            webhook: r.opt_text(8)? == Some("webhook"),
            sealed: r.opt_blob(9)?.map(<[u8]>::to_vec),
        })
    };
    tx.query(sql, &[now.ms().into(), limit.into()])?.iter().map(read).collect()
}

const ONE: &str = "tenant_id = $1 AND target_id = $2 AND kind = $3 AND reference = $4";

/// Takes a notice for a while; `false` when another process has it, or it was said.
pub(super) fn lease(
    tx: &mut TenantTx<'_, '_>,
    n: &Due,
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE notice SET lease_by = $5, lease_until_ms = $6 WHERE {ONE} AND notice_id = $7 AND again = $8 \
         AND lease_until_ms <= $9"
    );
    let lease = if n.webhook { POST_LEASE_MS } else { MAIL_LEASE_MS };
    let changed = tx.execute(
        &sql,
        &[
            (&n.target).into(),
            n.kind.word().into(),
            (&n.reference).into(),
            by.into(),
            now.plus_ms(lease).ms().into(),
            (&n.id).into(),
            n.again.into(),
            now.ms().into(),
        ],
    )?;
    Ok(changed == 1)
}

/// It was said, or is given up: its row goes. What happened meanwhile is a new notice.
pub(super) fn done(
    tx: &mut TenantTx<'_, '_>,
    n: &Due,
    (by, fresh): (&str, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let which = [(&n.target).into(), n.kind.word().into(), (&n.reference).into()];
    let [target, kind, reference] = which;
    let sql = format!("DELETE FROM notice WHERE {ONE} AND lease_by = $5 AND again = $6");
    if tx.execute(&sql, &[target, kind, reference, by.into(), n.again.into()])? == 1 {
        return Ok(());
    }
    let sql = format!(
        "UPDATE notice SET notice_id = $6, since_ms = $7, retry_at_ms = $7, again = 0, failures = 0, lease_by = '', \
         lease_until_ms = 0 WHERE {ONE} AND lease_by = $5"
    );
    let params = [
        (&n.target).into(),
        n.kind.word().into(),
        (&n.reference).into(),
        by.into(),
        fresh.into(),
        now.ms().into(),
    ];
    tx.execute(&sql, &params).map(drop)
}

/// It could not be said: later again.
pub(super) fn failed(
    tx: &mut TenantTx<'_, '_>,
    n: &Due,
    by: &str,
    retry_at: Timestamp,
) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE notice SET failures = failures + 1, retry_at_ms = $6, lease_by = '', lease_until_ms = 0 \
         WHERE {ONE} AND lease_by = $5"
    );
    let params =
        [(&n.target).into(), n.kind.word().into(), (&n.reference).into(), by.into(), retry_at.ms().into()];
    tx.execute(&sql, &params).map(drop)
}

/// Notes at a target that it could not be told, and why; or that it could.
pub(super) fn note(
    tx: &mut TenantTx<'_, '_>,
    target: &str,
    failed: Option<(&str, Timestamp)>,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE notice_target SET failed_at_ms = $3, last_error = $4 WHERE tenant_id = $1 AND target_id = $2";
    let (why, at) = failed.map_or((None, None), |(why, at)| (Some(why.to_owned()), Some(at.ms())));
    tx.execute(sql, &[target.into(), at.into(), why.as_ref().into()]).map(drop)
}
