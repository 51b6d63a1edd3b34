//! Summaries: for each 512 records the terms that occur in them, as a sealed filter of keyed MACs.
//!
//! INVARIANT: a block is summarised when it is full, each of its records opens, and none of its intents waits for an
//! outcome. After that its acts never change. What erases a record's text must delete the row of its block
//! (`record / 512`) in the same transaction: the summary is then derived again from what is left.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bailee_crypto::seal::{SealingKey, aad};
use bailee_types::TenantId;
use tokio::sync::watch;

use super::bloom::Bloom;
use super::filter::{self, ActFilter, Term};
use super::rows;
use crate::trail::{LogKeys, erase, view};
use crate::{Failure, House};

/// Records of a block.
pub(in crate::trail) const BLOCK: u64 = 512;
const VERSION: u8 = 1;
/// Bytes before the filter: version, first index, number, first and last time.
const FIXED: usize = 1 + 8 + 4 + 8 + 8;
/// How often the worker looks for full blocks.
const LOOK: Duration = Duration::from_secs(2);
/// Blocks derived for one tenant before the next has its turn.
const ROUND_MAX: usize = 32;

/// The terms that a lookup asks of each block.
pub(super) struct Wanted(Vec<[u8; 32]>);

impl Wanted {
    pub(super) fn of(log: &LogKeys, filter: &ActFilter) -> Self {
        let key = terms_key(log);
        Self(filter::wanted(filter).iter().map(|t| mac(&key, t)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn may_be_in(&self, bloom: &Bloom) -> bool {
        self.0.iter().all(|t| bloom.may_hold(t))
    }
}

fn terms_key(log: &LogKeys) -> SealingKey {
    log.event_key.derive("bailee/trail-terms/v1", log.origin.as_bytes())
}

fn block_key(log: &LogKeys) -> SealingKey {
    log.event_key.derive("bailee/trail-block/v1", log.origin.as_bytes())
}

fn mac(key: &SealingKey, (field, value): &Term) -> [u8; 32] {
    key.mac(&[field.as_bytes(), value.as_bytes()])
}

fn block_aad(log: &LogKeys, block: u64) -> Vec<u8> {
    aad(&[b"bailee/trail-block/v1", log.origin.as_bytes(), &block.to_be_bytes()])
}

/// The filter of a block; none when it is not what we sealed, which is as good as no summary.
pub(super) fn open(log: &LogKeys, block: u64, sealed: &[u8]) -> Option<Bloom> {
    let Ok(plain) = block_key(log).open(&block_aad(log, block), sealed) else {
        tracing::warn!(log = %log.origin, "the summary of block {block} does not open; its records are read instead");
        return None;
    };
    read(plain.expose(), block)
}

fn read(bytes: &[u8], block: u64) -> Option<Bloom> {
    let (head, bits) = bytes.split_at_checked(FIXED)?;
    let first = head.get(1..9)?.try_into().ok().map(u64::from_be_bytes)?;
    let count = head.get(9..13)?.try_into().ok().map(u32::from_be_bytes)?;
    (head.first() == Some(&VERSION) && first == block * BLOCK && u64::from(count) == BLOCK)
        .then(|| Bloom::from_bytes(bits))
        .flatten()
}

/// The sealed summary of a block; none when it cannot have one yet.
fn derive(log: &LogKeys, block: u64, batch: &view::Batch) -> Option<Vec<u8>> {
    if batch.has_open {
        return None;
    }
    let (acts, times) = (batch.acts(log), batch.times());
    if acts.iter().any(|a| a.damaged.is_some()) {
        return None;
    }
    let terms: HashSet<Term> = acts.iter().flat_map(filter::said).collect();
    let key = terms_key(log);
    let bloom = Bloom::of(&terms.iter().map(|t| mac(&key, t)).collect::<Vec<_>>());
    let mut plain = vec![VERSION];
    plain.extend((block * BLOCK).to_be_bytes());
    plain.extend((BLOCK as u32).to_be_bytes());
    plain.extend(times?.0.to_be_bytes());
    plain.extend(times?.1.to_be_bytes());
    plain.extend(bloom.bytes());
    Some(block_key(log).seal(&block_aad(log, block), &plain))
}

/// The worker: summaries for blocks that are full, until `stop`.
pub(crate) async fn summarise(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    // Below this all blocks of a tenant have theirs.
    let mut done = HashMap::new();
    loop {
        let more = match house.summarise_once(&mut done).await {
            Ok(more) => more,
            Err(e) => {
                tracing::warn!("blocks of a log could not be summarised: {e}");
                false
            }
        };
        if more && !*stop.borrow() {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl House {
    /// Derives all summaries that can be derived now; for tests and measurements.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn summarise_blocks(self: &Arc<Self>) -> Result<(), Failure> {
        let mut done = HashMap::new();
        while self.summarise_once(&mut done).await? {}
        Ok(())
    }

    /// One round over all logs; answers whether there is more to do at once.
    async fn summarise_once(self: &Arc<Self>, done: &mut HashMap<TenantId, u64>) -> Result<bool, Failure> {
        let sizes = self.db.read(|tx| rows::sizes(tx).map_err(Failure::from)).await?;
        let mut more = false;
        for (tenant, size) in sizes {
            let from = done.get(&tenant).copied().unwrap_or(0);
            if size / BLOCK > from {
                let (below, again) = self.summarise_log(&tenant, from, size / BLOCK).await?;
                done.insert(tenant, below);
                more |= again;
            }
        }
        Ok(more)
    }

    /// Blocks `from..full` of one log, as many as a round has; answers below which all are done, and whether some wait.
    async fn summarise_log(
        self: &Arc<Self>,
        tenant: &TenantId,
        from: u64,
        full: u64,
    ) -> Result<(u64, bool), Failure> {
        let log = self.log_keys(tenant).await?;
        let id = tenant.clone();
        let there: BTreeSet<u64> = self
            .db
            .read(move |tx| rows::summarised(&mut tx.tenant(&id), from).map_err(Failure::from))
            .await?
            .into_iter()
            .collect();
        let missing: Vec<u64> = (from..full).filter(|b| !there.contains(b)).collect();
        let (mut made, mut waiting) = (Vec::new(), Vec::new());
        for block in missing.iter().copied().take(ROUND_MAX) {
            let id = tenant.clone();
            let batch = self
                .db
                .read(move |tx| {
                    view::batch(&mut tx.tenant(&id), block * BLOCK, (block + 1) * BLOCK)
                        .map_err(Failure::from)
                })
                .await?;
            match derive(&log, block, &batch) {
                Some(sealed) => made.push((block, sealed, batch.erased())),
                None => waiting.push(block),
            }
        }
        let progress = !made.is_empty();
        let id = tenant.clone();
        if progress {
            self.db
                .write(move |tx| {
                    let mut tx = tx.tenant(&id);
                    for (block, sealed, erased) in made {
                        // What was erased since it was read must not live on in a summary.
                        let now = erase::erased(&mut tx, block * BLOCK, (block + 1) * BLOCK)?;
                        if now.len() == erased {
                            rows::insert(&mut tx, block, &sealed)?;
                        }
                    }
                    Ok::<_, Failure>(())
                })
                .await?;
        }
        let beyond = missing.get(ROUND_MAX).copied();
        let below = waiting.first().copied().into_iter().chain(beyond).min().unwrap_or(full);
        Ok((below, progress && beyond.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200), block in 0u64..9) {
            let _ = read(&bytes, block);
        }
    }
}
