//! What shows a stranger that heads of a tenant's log stand in the head log, and when witnesses saw them.

use std::sync::Arc;

use bailee_proof::bundle::{Place, PlacedHead, Places};
use bailee_proof::hash::Hash;
use bailee_proof::head::{HeadLogEntry, enrol_commit};
use bailee_proof::offline::OfflineProof;
use bailee_proof::policy::Policy;
use bailee_store::Tx;
use bailee_types::TenantId;

use super::super::rows::Signed;
use super::super::tree;
use super::serve::with_lines;
use super::{HeadRows, rows};
use crate::{Failure, House};

/// Heads whose places a bundle tells, at most: the newest, and others spread over the log's life. Each brackets the
/// times of the records around it.
const PLACES: u64 = 48;
/// Checkpoints of the head log after a head that are looked at for one that witnesses cosigned.
const NEXT_COSIGNED: i64 = 8;

impl House {
    /// Where the enrolment and heads of a tenant's log of at most `size` records stand in the head log; empty when no
    /// head of that log was published yet.
    ///
    /// # Errors
    /// When the database cannot be read, or holds less than it signed.
    pub async fn places(self: &Arc<Self>, tenant: &TenantId, size: u64) -> Result<Places, Failure> {
        let log = self.log_keys(tenant).await?;
        let Some(public) = self.public_head().await? else { return Ok(Places::default()) };
        let policy = self.witness_policy();
        self.db
            .read(move |tx| {
                let mut narrow = tx.tenant(&log.tenant);
                let Some(enrolled) = rows::enrol_index(&mut narrow)? else { return Ok(Places::default()) };
                let Some(newest) = rows::head_below(&mut narrow, size, public.size)? else {
                    return Ok(Places::default());
                };
                let mut places = vec![Place {
                    head: None,
                    proof: OfflineProof {
                        extra: None,
                        index: enrolled,
                        siblings: tree::inclusion(&mut HeadRows(tx), enrolled, public.size)?,
                        checkpoint: public.note.clone(),
                    },
                }];
                for version in spread(newest.line.version) {
                    let (head, previous) = head_and_previous(tx, &log, version)?;
                    // The earliest word of the witnesses over it is the tightest bracket.
                    let signed = earliest_cosigned(tx, &public.origin, head.entry_index, policy.as_deref())?;
                    let (size, checkpoint) = match signed.filter(|s| s.size <= public.size) {
                        Some(signed) => (signed.size, with_lines(tx, &public.origin, &signed)?),
                        None => (public.size, public.note.clone()),
                    };
                    places.push(Place {
                        head: Some(PlacedHead { line: head.line, previous }),
                        proof: OfflineProof {
                            extra: None,
                            index: head.entry_index,
                            siblings: tree::inclusion(&mut HeadRows(tx), head.entry_index, size)?,
                            checkpoint,
                        },
                    });
                }
                Places::new(places).map_err(|e| Failure::Bug(e.to_string()))
            })
            .await
    }
}

/// Versions from 0 to `newest`, both, at most [`PLACES`], evenly.
fn spread(newest: u64) -> Vec<u64> {
    let steps = newest.min(PLACES - 1);
    let at = |step: u64| u128::from(newest) * u128::from(step) / u128::from(steps.max(1));
    (0..=steps).map(|step| u64::try_from(at(step)).unwrap_or(newest)).collect()
}

fn head_and_previous(
    tx: &mut Tx<'_>,
    log: &super::LogKeys,
    version: u64,
) -> Result<(rows::HeadRow, Hash), Failure> {
    let first = version.saturating_sub(1);
    let mut found = rows::heads(&mut tx.tenant(&log.tenant), first, 2)?.into_iter();
    let missing = || Failure::Damaged(format!("head {version} of log `{}` is missing", log.origin));
    if version == 0 {
        let head = found.next().filter(|h| h.line.version == 0).ok_or_else(missing)?;
        return Ok((head, enrol_commit(&log.watch, log.first_key()?)));
    }
    let (before, head) = found.next().zip(found.next()).ok_or_else(missing)?;
    if before.line.version != first || head.line.version != version {
        return Err(missing());
    }
    Ok((head, commit_of(tx, before.entry_index)?))
}

/// The smallest checkpoint of the head log over an entry that the policy's witnesses cosigned, or else any witness.
fn earliest_cosigned(
    tx: &mut Tx<'_>,
    origin: &str,
    entry: u64,
    policy: Option<&Policy>,
) -> Result<Option<Signed>, Failure> {
    let sizes = rows::cosigned_sizes_over(tx, origin, entry, NEXT_COSIGNED)?;
    let mut chosen = sizes.first().copied();
    if let Some(policy) = policy.filter(|p| p.asks_for_witnesses()) {
        for size in &sizes {
            let said = rows::cosignatures(tx, origin, *size)?;
            let by = |key: String| said.iter().any(|(witness, _, _)| *witness == key);
            if policy.is_met(|at| policy.witnesses().get(at).is_some_and(|w| by(w.key.to_string()))) {
                chosen = Some(*size);
                break;
            }
        }
    }
    chosen.map_or(Ok(None), |size| rows::checkpoint(tx, size).map_err(Failure::from))
}

fn commit_of(tx: &mut Tx<'_>, index: u64) -> Result<Hash, Failure> {
    let damaged = || Failure::Damaged(format!("entry {index} of the head log is no head"));
    let (entry, _) = rows::entries(tx, index, 1)?.into_iter().next().ok_or_else(damaged)?;
    match HeadLogEntry::decode(&entry) {
        Ok(HeadLogEntry::Head { commit, .. }) => Ok(commit),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_spread_from_the_first_head_to_the_newest() {
        assert_eq!(spread(0), [0]);
        assert_eq!(spread(3), [0, 1, 2, 3]);
        let many = spread(u64::MAX);
        assert_eq!((many.len() as u64, many.first(), many.last()), (PLACES, Some(&0), Some(&u64::MAX)));
        assert!(many.is_sorted_by(|a, b| a < b) && spread(100).is_sorted_by(|a, b| a < b));
    }
}
