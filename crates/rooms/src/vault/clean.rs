//! The cleaner: removes the bytes of versions that no row names any more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::rows;
use crate::{Failure, House};

const ROUND: Duration = Duration::from_secs(60);
/// A read that began before a delete may go on this long.
const GRACE_MS: i64 = 15 * 60_000;
/// A blob without a row that is older than this belongs to a PUT that died.
const ORPHAN_MS: i64 = 3_600_000;
const ORPHAN_ROUNDS: u32 = 30;

/// Cleans until `stop`.
pub(crate) async fn clean(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut round = 0u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        round = round.wrapping_add(1);
        let cleaned = async {
            house.remove_garbage().await?;
            house.db.forget_deleted().await?;
            let before = house.now().ms() - ORPHAN_MS;
            if round % ORPHAN_ROUNDS == 1 { house.find_orphans(before).await } else { Ok(()) }
        };
        if let Err(e) = cleaned.await {
            tracing::warn!("the cleaner could not work: {e}");
        }
    }
}

impl House {
    /// Removes the bytes that no row names any more. Blob first, row after: a crash in between removes a missing blob once
    /// more, which is fine.
    ///
    /// # Errors
    /// When the database or the blobs cannot be written.
    pub async fn remove_garbage(&self) -> Result<(), Failure> {
        let before = self.now().plus_ms(-GRACE_MS);
        let garbage = self.db.read(move |tx| rows::garbage(tx, before, 1_000).map_err(Failure::from)).await?;
        for id in garbage {
            self.blobs.delete(&id).await?;
            self.db.write(move |tx| rows::forget_garbage(tx, &id).map_err(Failure::from)).await?;
        }
        Ok(())
    }

    /// Removes blobs from before an instant (milliseconds since 1970) that no row ever named: of writes that died.
    ///
    /// # Errors
    /// When the database cannot be read or the blobs cannot be removed.
    pub async fn find_orphans(&self, before: i64) -> Result<(), Failure> {
        let mut old = Vec::new();
        self.blobs
            .each(|id, modified_ms| {
                if modified_ms < before {
                    old.push(id);
                }
            })
            .await?;
        for some in old.chunks(500) {
            let ids = some.to_vec();
            let named: HashSet<_> = self
                .db
                .read(move |tx| rows::named(tx, &ids).map_err(Failure::from))
                .await?
                .into_iter()
                .collect();
            for id in some.iter().filter(|id| !named.contains(*id)) {
                self.blobs.delete(id).await?;
            }
        }
        Ok(())
    }
}
