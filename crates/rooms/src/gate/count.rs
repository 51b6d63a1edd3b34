//! What the portal says about operators' reads, counted over the intents themselves.

use bailee_types::Timestamp;

use super::rows;
use crate::{Failure, House};

/// Operators' reads of content over all tenants; a long read counts once for each of its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentReads {
    /// Intents to read content.
    pub all: u64,
    /// Of these, without a grant: the promise is that there are none.
    pub without_grant: u64,
    /// Of these, with an outcome that was lost.
    pub unknown: u64,
}

impl House {
    /// Intents that have no outcome, of before `before`.
    pub(crate) async fn open_intents(&self, before: Timestamp) -> Result<u64, Failure> {
        self.db.read(move |tx| rows::open_since(tx, before).map_err(Failure::from)).await
    }

    /// Counts operators' reads of content.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn content_reads(&self) -> Result<ContentReads, Failure> {
        let (all, granted, unknown) =
            self.db.read(|tx| rows::content_reads(tx).map_err(Failure::from)).await?;
        Ok(ContentReads { all, without_grant: all.saturating_sub(granted), unknown })
    }
}
