//! Rows of console sessions.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{OperatorId, TenantId, Timestamp};

use crate::identity::session::{Session, Stage};

/// A session as it is stored.
pub(in crate::identity) struct SessionRow {
    pub(in crate::identity) tenant: TenantId,
    pub(in crate::identity) session: Session,
    pub(in crate::identity) pending: Option<Vec<u8>>,
}

const SESSION: &str = "SELECT session_id, stage, tenant_id, holder, created_at_ms, seen_at_ms, ends_at_ms, mfa_at_ms, \
     source_ip, user_agent, sealed_pending FROM web_session ";

fn read(r: &Row) -> Result<SessionRow, StoreError> {
    let stage = match r.text(1)? {
        "full" => Stage::Full,
        "mfa" => Stage::Mfa,
        "enrol" => Stage::Enrol,
        "password" => Stage::Password,
        other => return Err(StoreError::Corrupt(format!("a session in the stage `{other}`"))),
    };
    Ok(SessionRow {
        tenant: r.parsed(2, TenantId::parse)?,
        session: Session {
            id: r.text(0)?.to_owned(),
            stage,
            holder: r.text(3)?.to_owned(),
            created_at: Timestamp::from_ms(r.int(4)?),
            seen_at: Timestamp::from_ms(r.int(5)?),
            ends_at: Timestamp::from_ms(r.int(6)?),
            mfa_at: r.opt_int(7)?.map(Timestamp::from_ms),
            source_ip: r.text(8)?.to_owned(),
            user_agent: r.text(9)?.to_owned(),
        },
        pending: r.opt_blob(10)?.map(<[u8]>::to_vec),
    })
}

pub(in crate::identity) fn by_token(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
) -> Result<Option<SessionRow>, StoreError> {
    tx.query_opt(&format!("{SESSION} WHERE token_hash = $1"), &[hash.into()])?.as_ref().map(read).transpose()
}

pub(in crate::identity) fn of_holder(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    now: Timestamp,
) -> Result<Vec<Session>, StoreError> {
    tx.query(
        &format!(
            "{SESSION} WHERE tenant_id = $1 AND holder = $2 AND ends_at_ms > $3 ORDER BY created_at_ms DESC"
        ),
        &[holder.into(), now.ms().into()],
    )?
    .iter()
    .map(|r| Ok(read(r)?.session))
    .collect()
}

pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    hash: &[u8; 32],
    s: &Session,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO web_session (token_hash, session_id, stage, tenant_id, holder, created_at_ms, seen_at_ms, \
         ends_at_ms, mfa_at_ms, source_ip, user_agent) VALUES ($2, $3, $4, $1, $5, $6, $6, $7, $8, $9, $10)",
        &[
            hash.into(),
            (&s.id).into(),
            s.stage.word().into(),
            (&s.holder).into(),
            s.created_at.ms().into(),
            s.ends_at.ms().into(),
            s.mfa_at.map(Timestamp::ms).into(),
            (&s.source_ip).into(),
            (&s.user_agent).into(),
        ],
    )
    .map(drop)
}

/// Moves a session on; the token changes with it, so that one which was known before is worth nothing after.
pub(in crate::identity) fn advance(
    tx: &mut Tx<'_>,
    old: &[u8; 32],
    new: &[u8; 32],
    stage: Stage,
    mfa_at: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "UPDATE web_session SET token_hash = $2, stage = $3, mfa_at_ms = coalesce($4, mfa_at_ms), \
         sealed_pending = NULL WHERE token_hash = $1",
        &[old.into(), new.into(), stage.word().into(), mfa_at.map(Timestamp::ms).into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn set_pending(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    sealed: Option<&[u8]>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE web_session SET sealed_pending = $2 WHERE token_hash = $1",
        &[hash.into(), sealed.into()],
    )
    .map(drop)
}

pub(in crate::identity) fn touch(tx: &mut Tx<'_>, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE web_session SET seen_at_ms = $2 WHERE token_hash = $1",
        &[hash.into(), now.ms().into()],
    )
    .map(drop)
}

pub(in crate::identity) fn end(tx: &mut Tx<'_>, hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM web_session WHERE token_hash = $1 OR ends_at_ms < $2",
        &[hash.into(), now.ms().into()],
    )
    .map(drop)
}

/// The operator whose session it is, if it is one's.
pub(in crate::identity) fn operator_of(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
) -> Result<Option<OperatorId>, StoreError> {
    let sql = "SELECT holder FROM web_session WHERE token_hash = $1";
    let holder = tx.query_opt(sql, &[hash.into()])?;
    let holder = holder.map(|r| r.text(0).map(str::to_owned)).transpose()?;
    Ok(holder.and_then(|h| OperatorId::parse(h.strip_prefix("operator/")?).ok()))
}

/// Ends one session of a holder by its public id; false when he has none such.
pub(in crate::identity) fn end_one(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    id: &str,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "DELETE FROM web_session WHERE tenant_id = $1 AND holder = $2 AND session_id = $3",
        &[holder.into(), id.into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn end_all(tx: &mut TenantTx<'_, '_>, holder: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM web_session WHERE tenant_id = $1 AND holder = $2", &[holder.into()]).map(drop)
}
