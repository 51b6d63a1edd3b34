//! What anybody may fetch of the head log, and the checkpoints with what witnesses said of them.

use std::sync::Arc;

use bailee_proof::head::HEADS_WIDTH;
use bailee_proof::note::VerifierKey;
use bailee_proof::policy::Policy;
use bailee_proof::tile::Tile;
use bailee_store::Tx;
use bailee_types::TenantId;

use super::super::{Head, LogPart, rows::Signed, tree};
use super::{HeadRows, rows};
use crate::{Failure, House, Thing};

/// With a quorum asked for and not reached in this time, the checkpoint is served without it: a head that nobody
/// cosigned says more than one that is old.
const WITHOUT_QUORUM_MS: i64 = 300_000;
/// So many cosigned sizes are looked at for one with a quorum.
const SIZES: i64 = 50;

impl House {
    /// The part of the head log at a path below its prefix: `checkpoint`, `tile/…`.
    ///
    /// # Errors
    /// `NotFound` for a path that is none, or a tile beyond the signed head.
    pub async fn head_log_part(self: &Arc<Self>, path: &str) -> Result<LogPart, Failure> {
        let name = format!("heads/{path}");
        let missing = move || Failure::not_found(Thing::Log, &name);
        if path == "checkpoint" {
            let head = self.public_head().await?.ok_or_else(&missing)?;
            return Ok(LogPart::Growing(head.note));
        }
        let tile = Tile::parse(path).map_err(|_| missing())?;
        self.db
            .read(move |tx| {
                let newest = rows::newest_checkpoints(tx, 1)?.into_iter().next();
                if newest.is_none_or(|signed| !tile.exists(signed.size)) {
                    return Err(missing());
                }
                tree::part(&mut HeadRows(tx), &tile).map(LogPart::Immutable)
            })
            .await
    }

    /// The head log's checkpoint as it is published, with the cosignatures that are there; none before the first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn public_head(self: &Arc<Self>) -> Result<Option<Head>, Failure> {
        let log = self.head_log()?;
        let (policy, origin, now) = (self.witness_policy(), log.origin.clone(), self.now());
        let found = self
            .db
            .read(move |tx| {
                let Some(newest) = rows::newest_checkpoints(tx, 1)?.into_iter().next() else {
                    return Ok(None);
                };
                let records = newest.size;
                let with_quorum = match &policy {
                    Some(policy) => newest_quorum(tx, &origin, policy)?,
                    None => None,
                };
                let chosen = match with_quorum {
                    Some(size) => rows::checkpoint(tx, size)?,
                    None => None,
                };
                let chosen = chosen
                    .filter(|c| c.size == records || c.signed_at.plus_ms(WITHOUT_QUORUM_MS) > now)
                    .unwrap_or(newest);
                let note = with_lines(tx, &origin, &chosen)?;
                Ok::<_, Failure>(Some((chosen, note, records)))
            })
            .await?;
        Ok(found.map(|(signed, note, records)| Head {
            origin: log.origin.clone(),
            vkey: log.signer.verifier().to_string(),
            size: signed.size,
            root: signed.root,
            note,
            signed_at: signed.signed_at,
            records,
        }))
    }

    /// The policy by which heads are cosigned, if there is one.
    pub fn witness_policy(&self) -> Option<Arc<Policy>> {
        self.trail.heads.policy.read().clone()
    }
}

/// A tenant's heads, 256 to a file, as lines that a watcher compares with the head log.
pub(in crate::trail) fn heads_file(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    number: u64,
) -> Result<Option<LogPart>, Failure> {
    let Some(first) = number.checked_mul(HEADS_WIDTH).filter(|first| i64::try_from(*first).is_ok()) else {
        return Ok(None);
    };
    let heads = rows::heads(&mut tx.tenant(tenant), first, HEADS_WIDTH)?;
    let text: String = heads.iter().map(|h| h.line.to_string()).collect();
    Ok(match heads.len() as u64 {
        0 => None,
        HEADS_WIDTH => Some(LogPart::Immutable(text.into_bytes())),
        _ => Some(LogPart::Growing(text)),
    })
}

/// The note by which a log's key changed for the `number`th time, counted from 1.
pub(in crate::trail) fn key_file(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    number: u64,
) -> Result<Option<LogPart>, Failure> {
    let changes = rows::key_changes(&mut tx.tenant(tenant))?;
    let at = number.checked_sub(1).and_then(|n| usize::try_from(n).ok());
    Ok(at.and_then(|at| changes.into_iter().nth(at)).map(|note| LogPart::Immutable(note.into_bytes())))
}

/// The signed note with the lines of its witnesses.
pub(in crate::trail) fn with_lines(
    tx: &mut Tx<'_>,
    origin: &str,
    signed: &Signed,
) -> Result<String, Failure> {
    let mut note = signed.note.clone();
    for (_, line, _) in rows::cosignatures(tx, origin, signed.size)? {
        note.push_str(&line);
    }
    Ok(note)
}

/// The newest size whose cosignatures meet the policy; the policy must ask for witnesses.
pub(in crate::trail) fn newest_quorum(
    tx: &mut Tx<'_>,
    origin: &str,
    policy: &Policy,
) -> Result<Option<u64>, Failure> {
    if !policy.asks_for_witnesses() {
        return Ok(None);
    }
    for size in rows::cosigned_sizes(tx, origin, SIZES)? {
        let said = rows::cosignatures(tx, origin, size)?;
        let by = |key: &VerifierKey| said.iter().any(|(witness, _, _)| *witness == key.to_string());
        if policy.is_met(|at| policy.witnesses().get(at).is_some_and(|w| by(&w.key))) {
            return Ok(Some(size));
        }
    }
    Ok(None)
}
