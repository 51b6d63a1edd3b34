//! What shows a stranger that a tenant's newest head stands in the head log: about 2 kB.

use std::sync::Arc;

use bailee_proof::hash::Hash;
use bailee_proof::head::{HeadLine, HeadLogEntry, enrol_commit};
use bailee_types::{TenantId, Timestamp};

use super::super::tree;
use super::{HeadRows, rows};
use crate::{Failure, House};

/// Proofs for one head, under one checkpoint of the head log.
#[derive(Clone, Debug)]
pub struct HeadProof {
    /// The head log's checkpoint with its cosignatures.
    pub note: String,
    /// Where the log's enrolment stands, and the siblings from there to the root.
    pub enrolment: (u64, Vec<Hash>),
    /// The head.
    pub head: HeadLine,
    /// The commitment of the head before it; for the first, that of the enrolment.
    pub previous: Hash,
    /// Where it stands, and the siblings from there to the root.
    pub place: (u64, Vec<Hash>),
    /// When it was put there.
    pub made_at: Timestamp,
}

impl House {
    /// The newest head of a tenant's log of at most `size` records under the published checkpoint of the head log; none
    /// when there is none yet.
    ///
    /// # Errors
    /// When the database cannot be read, or holds less than it signed.
    pub async fn head_proof(
        self: &Arc<Self>,
        tenant: &TenantId,
        size: u64,
    ) -> Result<Option<HeadProof>, Failure> {
        let log = self.log_keys(tenant).await?;
        let Some(public) = self.public_head().await? else { return Ok(None) };
        self.db
            .read(move |tx| {
                let mut narrow = tx.tenant(&log.tenant);
                let Some(enrolled) = rows::enrol_index(&mut narrow)? else { return Ok(None) };
                let Some(row) = rows::head_below(&mut narrow, size, public.size)? else { return Ok(None) };
                let before = match row.line.version.checked_sub(1) {
                    Some(version) => rows::heads(&mut narrow, version, 1)?.into_iter().next(),
                    None => None,
                };
                let previous = match before {
                    Some(before) => commit_of(tx, before.entry_index)?,
                    None => enrol_commit(&log.watch, log.first_key()?),
                };
                let mut rows = HeadRows(tx);
                Ok(Some(HeadProof {
                    enrolment: (enrolled, tree::inclusion(&mut rows, enrolled, public.size)?),
                    head: row.line,
                    previous,
                    place: (row.entry_index, tree::inclusion(&mut rows, row.entry_index, public.size)?),
                    made_at: row.made_at,
                    note: public.note,
                }))
            })
            .await
    }
}

fn commit_of(tx: &mut bailee_store::Tx<'_>, index: u64) -> Result<Hash, Failure> {
    let damaged = || Failure::Damaged(format!("entry {index} of the head log is no head"));
    let (entry, _) = rows::entries(tx, index, 1)?.into_iter().next().ok_or_else(damaged)?;
    match HeadLogEntry::decode(&entry) {
        Ok(HeadLogEntry::Head { commit, .. }) => Ok(commit),
        _ => Err(damaged()),
    }
}
