//! The broker room's only SQL.

use bailee_store::{Row, StoreError, TenantTx, Tx, Value};
use bailee_types::{
    AccessKeyId, GrantId, ObjectVersionId, OperatorId, Pseudonym, TargetName, TenantId, TicketId, Timestamp,
};

use super::mask::{Masks, SetMasks};
use super::recording::{Place, Recorded};
use super::session::Ended;
use super::{ObjectKeys, Session, Settings};

pub(super) struct TargetRow {
    pub(super) name: TargetName,
    pub(super) settings: Settings,
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) changed_at: Timestamp,
    pub(super) changed_by: String,
}

fn read_target(r: &Row) -> Result<TargetRow, StoreError> {
    Ok(TargetRow {
        name: r.parsed(0, TargetName::parse)?,
        settings: serde_json::from_str(r.text(1)?)
            .map_err(|e| StoreError::Corrupt(format!("the settings of a target: {e}")))?,
        sealed: r.opt_blob(2)?.map(<[u8]>::to_vec),
        changed_at: Timestamp::from_ms(r.int(3)?),
        changed_by: r.text(4)?.to_owned(),
    })
}

const TARGET: &str =
    "SELECT name, settings, sealed, changed_at_ms, changed_by FROM target WHERE tenant_id = $1";

pub(super) fn target(tx: &mut TenantTx<'_, '_>, name: &TargetName) -> Result<Option<TargetRow>, StoreError> {
    tx.query_opt(&format!("{TARGET} AND name = $2"), &[name.as_str().into()])?
        .as_ref()
        .map(read_target)
        .transpose()
}

pub(super) fn targets(tx: &mut TenantTx<'_, '_>) -> Result<Vec<TargetRow>, StoreError> {
    tx.query(&format!("{TARGET} ORDER BY name"), &[])?.iter().map(read_target).collect()
}

pub(super) fn put_target(tx: &mut TenantTx<'_, '_>, row: &TargetRow) -> Result<(), StoreError> {
    let settings = serde_json::to_string(&row.settings).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    tx.execute(
        "INSERT INTO target (tenant_id, name, family, settings, sealed, changed_at_ms, changed_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, name) DO UPDATE SET \
         settings = excluded.settings, sealed = excluded.sealed, changed_at_ms = excluded.changed_at_ms, \
         changed_by = excluded.changed_by",
        &[
            row.name.as_str().into(),
            row.settings.family().into(),
            (&settings).into(),
            row.sealed.as_deref().into(),
            row.changed_at.ms().into(),
            (&row.changed_by).into(),
        ],
    )
    .map(drop)
}

pub(super) fn move_target(
    tx: &mut TenantTx<'_, '_>,
    name: &TargetName,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE target SET moved_at_ms = $3 WHERE tenant_id = $1 AND name = $2";
    tx.execute(sql, &[name.as_str().into(), now.ms().into()]).map(drop)
}

/// Whether a system was given another place at or after a time.
pub(super) fn moved_since(
    tx: &mut TenantTx<'_, '_>,
    name: &TargetName,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let sql =
        "SELECT 1 FROM target WHERE tenant_id = $1 AND name = $2 AND moved_at_ms >= $3 AND moved_at_ms > 0";
    Ok(tx.query_opt(sql, &[name.as_str().into(), at.ms().into()])?.is_some())
}

pub(super) fn delete_target(tx: &mut TenantTx<'_, '_>, name: &TargetName) -> Result<bool, StoreError> {
    let sql = "DELETE FROM target WHERE tenant_id = $1 AND name = $2";
    Ok(tx.execute(sql, &[name.as_str().into()])? == 1)
}

pub(super) fn reseal_target(
    tx: &mut TenantTx<'_, '_>,
    name: &TargetName,
    (old, new): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let sql = "UPDATE target SET sealed = $4 WHERE tenant_id = $1 AND name = $2 AND sealed = $3";
    Ok(tx.execute(sql, &[name.as_str().into(), old.into(), new.into()])? == 1)
}

pub(super) struct NewSession {
    pub(super) id: String,
    pub(super) grant: GrantId,
    pub(super) ticket: TicketId,
    pub(super) operator: OperatorId,
    pub(super) pseudonym: Pseudonym,
    pub(super) target: TargetName,
    pub(super) limits: String,
    pub(super) secret_hash: String,
    pub(super) intent: u64,
    pub(super) opened_at: Timestamp,
    pub(super) until: Timestamp,
}

pub(super) fn insert_session(tx: &mut TenantTx<'_, '_>, s: &NewSession) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO broker_session (tenant_id, session_id, grant_id, ticket_number, operator_id, pseudonym, target, \
         limits, secret_hash, intent_index, opened_at_ms, until_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            (&s.id).into(),
            s.grant.as_str().into(),
            crate::tickets::number(&s.ticket).into(),
            s.operator.as_str().into(),
            s.pseudonym.as_str().into(),
            s.target.as_str().into(),
            (&s.limits).into(),
            (&s.secret_hash).into(),
            (s.intent as i64).into(),
            s.opened_at.ms().into(),
            s.until.ms().into(),
        ],
    )
    .map(drop)
}

const SESSION: &str = "SELECT s.tenant_id, s.session_id, s.grant_id, s.ticket_number, s.operator_id, s.pseudonym, \
     s.target, s.limits, s.intent_index, s.opened_at_ms, s.until_ms, s.ended_at_ms, s.ended_why, \
     CAST((SELECT coalesce(sum(p.frames), 0) FROM recording_part p WHERE p.tenant_id = s.tenant_id \
     AND p.session_id = s.session_id) AS BIGINT), \
     CAST((SELECT coalesce(sum(p.bytes), 0) FROM recording_part p WHERE p.tenant_id = s.tenant_id \
     AND p.session_id = s.session_id) AS BIGINT), \
     (SELECT count(*) FROM recording_part p WHERE p.tenant_id = s.tenant_id AND p.session_id = s.session_id), \
     s.secret_hash FROM broker_session s ";

fn read_session(r: &Row) -> Result<Session, StoreError> {
    let ended = r.opt_int(11)?.zip(r.opt_text(12)?.map(str::to_owned));
    Ok(Session {
        tenant: r.parsed(0, TenantId::parse)?,
        id: r.text(1)?.to_owned(),
        grant: r.parsed(2, GrantId::parse)?,
        ticket: TicketId::parse(&format!("T-{}", r.int(3)?))
            .map_err(|e| StoreError::Corrupt(e.to_string()))?,
        operator: r.parsed(4, OperatorId::parse)?,
        pseudonym: r.parsed(5, Pseudonym::parse)?,
        target: r.parsed(6, TargetName::parse)?,
        limits: serde_json::from_str(r.text(7)?)
            .map_err(|e| StoreError::Corrupt(format!("the limits of a session: {e}")))?,
        intent: r.uint(8)?,
        opened_at: Timestamp::from_ms(r.int(9)?),
        until: Timestamp::from_ms(r.int(10)?),
        ended: ended.map(|(at, why)| Ended { at: Timestamp::from_ms(at), why }),
        recorded: (r.uint(13)?, r.uint(14)?),
        parts: r.uint(15)?,
    })
}

pub(crate) fn session(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<Option<Session>, StoreError> {
    let sql = format!("{SESSION} WHERE s.tenant_id = $1 AND s.session_id = $2");
    tx.query_opt(&sql, &[id.into()])?.as_ref().map(read_session).transpose()
}

/// A session by its name, and the hash of its secret.
pub(super) fn session_to_enter(tx: &mut Tx<'_>, id: &str) -> Result<Option<(Session, String)>, StoreError> {
    let row = tx.query_opt(&format!("{SESSION} WHERE s.session_id = $1"), &[id.into()])?;
    row.map_or(Ok(None), |r| Ok(Some((read_session(&r)?, r.text(16)?.to_owned()))))
}

pub(super) fn sessions(
    tx: &mut TenantTx<'_, '_>,
    before: Option<Timestamp>,
    most: u32,
) -> Result<Vec<Session>, StoreError> {
    let before = before.map_or(i64::MAX, Timestamp::ms);
    tx.query(
        &format!(
            "{SESSION} WHERE s.tenant_id = $1 AND s.opened_at_ms < $2 ORDER BY s.opened_at_ms DESC, s.session_id LIMIT $3"
        ),
        &[before.into(), i64::from(most).into()],
    )?
    .iter()
    .map(read_session)
    .collect()
}

/// Sessions that lived at a moment, give or take `apart` ms. None lives longer than a day.
pub(crate) fn sessions_about(
    tx: &mut TenantTx<'_, '_>,
    at: Timestamp,
    apart: i64,
) -> Result<Vec<Session>, StoreError> {
    const LONGEST_MS: i64 = 86_400_000;
    let (from, to) = (at.plus_ms(-apart), at.plus_ms(apart));
    tx.query(
        &format!(
            "{SESSION} WHERE s.tenant_id = $1 AND s.opened_at_ms >= $2 AND s.opened_at_ms <= $3 AND s.until_ms >= $4 \
             AND (s.ended_at_ms IS NULL OR s.ended_at_ms >= $4) ORDER BY s.opened_at_ms DESC, s.session_id LIMIT 200"
        ),
        &[from.plus_ms(-LONGEST_MS).ms().into(), to.ms().into(), from.ms().into()],
    )?
    .iter()
    .map(read_session)
    .collect()
}

/// Sessions opened in a span of time, oldest first.
pub(crate) fn sessions_within(
    tx: &mut TenantTx<'_, '_>,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<Session>, StoreError> {
    tx.query(
        &format!(
            "{SESSION} WHERE s.tenant_id = $1 AND s.opened_at_ms >= $2 AND s.opened_at_ms < $3 ORDER BY s.opened_at_ms, s.session_id"
        ),
        &[from.ms().into(), until.ms().into()],
    )?
    .iter()
    .map(read_session)
    .collect()
}

pub(super) fn open_sessions_of(tx: &mut TenantTx<'_, '_>) -> Result<Vec<Session>, StoreError> {
    tx.query(
        &format!(
            "{SESSION} WHERE s.tenant_id = $1 AND s.ended_at_ms IS NULL ORDER BY s.opened_at_ms DESC, s.session_id LIMIT 200"
        ),
        &[],
    )?
    .iter()
    .map(read_session)
    .collect()
}

pub(super) fn sessions_of_operator(
    tx: &mut Tx<'_>,
    operator: &OperatorId,
    most: u32,
) -> Result<Vec<Session>, StoreError> {
    tx.query(
        &format!("{SESSION} WHERE s.operator_id = $1 ORDER BY s.opened_at_ms DESC, s.session_id LIMIT $2"),
        &[operator.as_str().into(), i64::from(most).into()],
    )?
    .iter()
    .map(read_session)
    .collect()
}

/// Sessions that have not ended, those first that must.
pub(super) fn open_sessions(tx: &mut Tx<'_>, most: u32) -> Result<Vec<Session>, StoreError> {
    tx.query(
        &format!("{SESSION} WHERE s.ended_at_ms IS NULL ORDER BY s.until_ms, s.session_id LIMIT $1"),
        &[i64::from(most).into()],
    )?
    .iter()
    .map(read_session)
    .collect()
}

pub(super) fn open_of(tx: &mut Tx<'_>, operator: &OperatorId) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM broker_session WHERE operator_id = $1 AND ended_at_ms IS NULL";
    tx.query_opt(sql, &[operator.as_str().into()])?.map_or(Ok(0), |r| r.int(0))
}

pub(super) fn end_session(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    now: Timestamp,
    why: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE broker_session SET ended_at_ms = $3, ended_why = $4 \
         WHERE tenant_id = $1 AND session_id = $2 AND ended_at_ms IS NULL",
        &[id.into(), now.ms().into(), why.into()],
    )
    .map(drop)
}

pub(super) fn end_sessions_of(
    tx: &mut TenantTx<'_, '_>,
    target: &TargetName,
    now: Timestamp,
    why: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE broker_session SET ended_at_ms = $3, ended_why = $4 \
         WHERE tenant_id = $1 AND target = $2 AND ended_at_ms IS NULL",
        &[target.as_str().into(), now.ms().into(), why.into()],
    )
    .map(drop)
}

/// An operator signed out: his sessions and keys end, wherever they are.
pub(crate) fn end_of_operator(
    tx: &mut Tx<'_>,
    operator: &OperatorId,
    now: Timestamp,
) -> Result<(), StoreError> {
    for table in ["operator_keys", "broker_session"] {
        let sql = format!(
            "UPDATE {table} SET ended_at_ms = $2, ended_why = 'the operator signed out' \
             WHERE operator_id = $1 AND ended_at_ms IS NULL"
        );
        tx.execute(&sql, &[operator.as_str().into(), now.ms().into()])?;
    }
    Ok(())
}

/// The account is closed: its sessions and keys end, its targets are forgotten.
pub(crate) fn end_all(tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE operator_keys SET ended_at_ms = $2, ended_why = 'the account is closed' \
         WHERE tenant_id = $1 AND ended_at_ms IS NULL",
        &[now.ms().into()],
    )?;
    tx.execute(
        "UPDATE broker_session SET ended_at_ms = $2, ended_why = 'the account is closed' \
         WHERE tenant_id = $1 AND ended_at_ms IS NULL",
        &[now.ms().into()],
    )?;
    tx.execute("DELETE FROM target WHERE tenant_id = $1", &[]).map(drop)
}

pub(super) fn next_part(tx: &mut TenantTx<'_, '_>, session: &str) -> Result<i64, StoreError> {
    let sql =
        "SELECT coalesce(max(part), 0) + 1 FROM recording_part WHERE tenant_id = $1 AND session_id = $2";
    tx.query_opt(sql, &[session.into()])?.map_or(Ok(1), |r| r.int(0))
}

pub(super) fn open_part(
    tx: &mut TenantTx<'_, '_>,
    place: &Place,
    instance: &str,
    sealed_key: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO recording_part (tenant_id, session_id, part, instance_id, sealed_key, opened_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[(&place.session).into(), place.part.into(), instance.into(), sealed_key.into(), now.ms().into()],
    )
    .map(drop)
}

pub(super) fn close_part(
    tx: &mut TenantTx<'_, '_>,
    session: &str,
    part: i64,
    recorded: &Recorded,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE recording_part SET frames = $4, bytes = $5, head = $6 \
         WHERE tenant_id = $1 AND session_id = $2 AND part = $3 AND frames IS NULL",
        &[
            session.into(),
            part.into(),
            (recorded.frames as i64).into(),
            (recorded.bytes as i64).into(),
            (&recorded.head).into(),
        ],
    )
    .map(drop)
}

pub(super) struct PartRow {
    pub(super) part: i64,
    pub(super) sealed_key: Vec<u8>,
    pub(super) closed: Option<Recorded>,
}

pub(super) fn parts(tx: &mut TenantTx<'_, '_>, session: &str) -> Result<Vec<PartRow>, StoreError> {
    let sql = "SELECT part, sealed_key, frames, bytes, head FROM recording_part \
               WHERE tenant_id = $1 AND session_id = $2 ORDER BY part";
    let read = |r: &Row| {
        let closed = match (r.opt_int(2)?, r.opt_int(3)?, r.opt_text(4)?) {
            (Some(frames), Some(bytes), Some(head)) => {
                Some(Recorded { frames: frames as u64, bytes: bytes as u64, head: head.to_owned() })
            }
            _ => None,
        };
        Ok(PartRow { part: r.int(0)?, sealed_key: r.blob(1)?.to_vec(), closed })
    };
    tx.query(sql, &[session.into()])?.iter().map(read).collect()
}

/// Parts that are not closed, and which process wrote them.
pub(super) fn open_parts(tx: &mut Tx<'_>, most: u32) -> Result<Vec<(Place, String)>, StoreError> {
    let sql = "SELECT tenant_id, session_id, part, instance_id FROM recording_part WHERE frames IS NULL \
               ORDER BY opened_at_ms LIMIT $1";
    let read = |r: &Row| {
        let tenant = r.parsed(0, TenantId::parse)?;
        Ok((Place { tenant, session: r.text(1)?.to_owned(), part: r.int(2)? }, r.text(3)?.to_owned()))
    };
    tx.query(sql, &[i64::from(most).into()])?.iter().map(read).collect()
}

pub(super) fn part_keys(
    tx: &mut TenantTx<'_, '_>,
    tenant: &TenantId,
) -> Result<Vec<(Place, Vec<u8>)>, StoreError> {
    let sql = "SELECT session_id, part, sealed_key FROM recording_part WHERE tenant_id = $1";
    let read = |r: &Row| {
        let place = Place { tenant: tenant.clone(), session: r.text(0)?.to_owned(), part: r.int(1)? };
        Ok((place, r.blob(2)?.to_vec()))
    };
    tx.query(sql, &[])?.iter().map(read).collect()
}

pub(super) fn reseal_part(
    tx: &mut TenantTx<'_, '_>,
    place: &Place,
    (old, new): (&[u8], &[u8]),
) -> Result<bool, StoreError> {
    let wanted: [Value<'_>; 4] = [(&place.session).into(), place.part.into(), old.into(), new.into()];
    let sql = "UPDATE recording_part SET sealed_key = $5 \
               WHERE tenant_id = $1 AND session_id = $2 AND part = $3 AND sealed_key = $4";
    Ok(tx.execute(sql, &wanted)? == 1)
}

const KEYS: &str = "SELECT k.tenant_id, k.key_id, k.grant_id, k.ticket_number, k.operator_id, k.pseudonym, k.scope, \
     k.content, k.intent_index, k.taken_at_ms, k.until_ms, k.ended_at_ms, k.ended_why, \
     (SELECT count(*) FROM operator_keys_opened o WHERE o.tenant_id = k.tenant_id AND o.key_id = k.key_id) \
     FROM operator_keys k ";

fn read_keys(r: &Row) -> Result<ObjectKeys, StoreError> {
    let ended = r.opt_int(11)?.zip(r.opt_text(12)?.map(str::to_owned));
    Ok(ObjectKeys {
        tenant: r.parsed(0, TenantId::parse)?,
        id: r.parsed(1, AccessKeyId::parse)?,
        grant: r.parsed(2, GrantId::parse)?,
        ticket: TicketId::parse(&format!("T-{}", r.int(3)?))
            .map_err(|e| StoreError::Corrupt(e.to_string()))?,
        operator: r.parsed(4, OperatorId::parse)?,
        pseudonym: r.parsed(5, Pseudonym::parse)?,
        scope: r.text(6)?.to_owned(),
        content: r.int(7)? == 1,
        intent: r.uint(8)?,
        taken_at: Timestamp::from_ms(r.int(9)?),
        until: Timestamp::from_ms(r.int(10)?),
        ended: ended.map(|(at, why)| Ended { at: Timestamp::from_ms(at), why }),
        opened: r.uint(13)?,
    })
}

pub(super) fn insert_keys(tx: &mut TenantTx<'_, '_>, k: &ObjectKeys) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO operator_keys (tenant_id, key_id, grant_id, ticket_number, operator_id, pseudonym, scope, content, \
         intent_index, taken_at_ms, until_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            k.id.as_str().into(),
            k.grant.as_str().into(),
            crate::tickets::number(&k.ticket).into(),
            k.operator.as_str().into(),
            k.pseudonym.as_str().into(),
            (&k.scope).into(),
            i64::from(k.content).into(),
            (k.intent as i64).into(),
            k.taken_at.ms().into(),
            k.until.ms().into(),
        ],
    )
    .map(drop)
}

pub(super) fn keys(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<Option<ObjectKeys>, StoreError> {
    let sql = format!("{KEYS} WHERE k.tenant_id = $1 AND k.key_id = $2");
    tx.query_opt(&sql, &[id.into()])?.as_ref().map(read_keys).transpose()
}

/// A tenant's keys that were taken before, the newest first.
pub(super) fn keys_of(
    tx: &mut TenantTx<'_, '_>,
    before: Option<Timestamp>,
    most: u32,
) -> Result<Vec<ObjectKeys>, StoreError> {
    let before = before.map_or(i64::MAX, Timestamp::ms);
    tx.query(
        &format!(
            "{KEYS} WHERE k.tenant_id = $1 AND k.taken_at_ms < $2 ORDER BY k.taken_at_ms DESC, k.key_id LIMIT $3"
        ),
        &[before.into(), i64::from(most).into()],
    )?
    .iter()
    .map(read_keys)
    .collect()
}

pub(super) fn open_keys_of(tx: &mut TenantTx<'_, '_>) -> Result<Vec<ObjectKeys>, StoreError> {
    tx.query(
        &format!(
            "{KEYS} WHERE k.tenant_id = $1 AND k.ended_at_ms IS NULL ORDER BY k.taken_at_ms DESC, k.key_id LIMIT 200"
        ),
        &[],
    )?
    .iter()
    .map(read_keys)
    .collect()
}

pub(super) fn keys_of_operator(
    tx: &mut Tx<'_>,
    operator: &OperatorId,
    most: u32,
) -> Result<Vec<ObjectKeys>, StoreError> {
    tx.query(
        &format!("{KEYS} WHERE k.operator_id = $1 ORDER BY k.taken_at_ms DESC, k.key_id LIMIT $2"),
        &[operator.as_str().into(), i64::from(most).into()],
    )?
    .iter()
    .map(read_keys)
    .collect()
}

/// Keys that have not ended, those first that must.
pub(super) fn keys_in_use(tx: &mut Tx<'_>, most: u32) -> Result<Vec<ObjectKeys>, StoreError> {
    tx.query(
        &format!("{KEYS} WHERE k.ended_at_ms IS NULL ORDER BY k.until_ms, k.key_id LIMIT $1"),
        &[i64::from(most).into()],
    )?
    .iter()
    .map(read_keys)
    .collect()
}

pub(super) fn end_keys(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    now: Timestamp,
    why: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE operator_keys SET ended_at_ms = $3, ended_why = $4 \
         WHERE tenant_id = $1 AND key_id = $2 AND ended_at_ms IS NULL",
        &[id.into(), now.ms().into(), why.into()],
    )
    .map(drop)
}

pub(super) fn end_keys_of_grant(
    tx: &mut TenantTx<'_, '_>,
    grant: &GrantId,
    now: Timestamp,
    why: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE operator_keys SET ended_at_ms = $3, ended_why = $4 \
         WHERE tenant_id = $1 AND grant_id = $2 AND ended_at_ms IS NULL",
        &[grant.as_str().into(), now.ms().into(), why.into()],
    )
    .map(drop)
}

pub(super) fn has_opened(
    tx: &mut TenantTx<'_, '_>,
    keys: &AccessKeyId,
    version: &ObjectVersionId,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM operator_keys_opened WHERE tenant_id = $1 AND key_id = $2 AND version_id = $3";
    Ok(tx.query_opt(sql, &[keys.as_str().into(), version.as_str().into()])?.is_some())
}

pub(super) fn note_opened(
    tx: &mut TenantTx<'_, '_>,
    keys: &AccessKeyId,
    version: &ObjectVersionId,
    intent: u64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO operator_keys_opened (tenant_id, key_id, version_id, intent_index) VALUES ($1, $2, $3, $4)",
        &[keys.as_str().into(), version.as_str().into(), (intent as i64).into()],
    )
    .map(drop)
}

pub(super) fn masks(tx: &mut TenantTx<'_, '_>) -> Result<SetMasks, StoreError> {
    let sql = "SELECT told, set_by, set_at_ms FROM recording_masks WHERE tenant_id = $1";
    let Some(r) = tx.query_opt(sql, &[])? else {
        return Ok(SetMasks { masks: Masks::default(), set: None });
    };
    let masks = serde_json::from_str(r.text(0)?)
        .map_err(|e| StoreError::Corrupt(format!("masks of recordings cannot be read: {e}")))?;
    Ok(SetMasks { masks, set: Some((r.text(1)?.to_owned(), Timestamp::from_ms(r.int(2)?))) })
}

pub(super) fn set_masks(
    tx: &mut TenantTx<'_, '_>,
    masks: &Masks,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let told = serde_json::to_string(masks).map_err(|e| StoreError::Statement(e.to_string()))?;
    tx.execute(
        "INSERT INTO recording_masks (tenant_id, told, set_by, set_at_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id) DO UPDATE SET told = excluded.told, set_by = excluded.set_by, \
         set_at_ms = excluded.set_at_ms",
        &[(&told).into(), by.into(), now.ms().into()],
    )
    .map(drop)
}

/// Sessions that were opened within a time, counted up to `most`.
pub(crate) fn count_sessions(
    tx: &mut TenantTx<'_, '_>,
    (from, until): (Timestamp, Timestamp),
    most: u32,
) -> Result<u64, StoreError> {
    let rows = "FROM broker_session WHERE tenant_id = $1 AND opened_at_ms >= $2 AND opened_at_ms < $3";
    tx.count(rows, &[from.ms().into(), until.ms().into()], most)
}
