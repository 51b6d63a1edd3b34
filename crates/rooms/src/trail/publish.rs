//! What anybody may fetch of a log: checkpoint, tiles and entry bundles (C2SP tlog-tiles), out of rows.
//!
//! Entries hold commitments only, so nothing of an event can be read from them. A log is found by its random id.

use std::sync::Arc;

use bailee_proof::tile::Tile;
use bailee_types::LogId;

use super::{TenantRows, heads, rows, tree};
use crate::{Failure, House, Thing};

/// A published part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPart {
    /// Text that changes: the newest signed checkpoint, the last heads.
    Growing(String),
    /// A tile, an entry bundle, a full file of heads, a key change: never changes.
    Immutable(Vec<u8>),
}

impl House {
    /// The part of a log at a path below its prefix: `checkpoint`, `tile/…`, `heads/<n>`, `keys/<n>`.
    ///
    /// # Errors
    /// `NotFound` for an unknown log, a path that is none, or a tile beyond the signed head.
    pub async fn log_part(self: &Arc<Self>, id: &LogId, path: &str) -> Result<LogPart, Failure> {
        let missing = || Failure::not_found(Thing::Log, format!("{id}/{path}"));
        let wanted = id.clone();
        let tenant = self
            .db
            .read(move |tx| rows::tenant_of(tx, &wanted).map_err(Failure::from))
            .await?
            .ok_or_else(missing)?;
        let log = self.log_keys(&tenant).await?;
        if path == "checkpoint" {
            let head = self.head(&tenant).await?;
            let note = self
                .db
                .read(move |tx| {
                    let signed = rows::checkpoint(&mut tx.tenant(&log.tenant), head.size)?;
                    signed.map(|s| heads::with_lines(tx, &log.origin, &s)).transpose()
                })
                .await?;
            return note.map(LogPart::Growing).ok_or_else(missing);
        }
        if let Some(number) = numbered(path, "heads/") {
            let file = self.db.read(move |tx| heads::heads_file(tx, &tenant, number)).await?;
            return file.ok_or_else(missing);
        }
        if let Some(number) = numbered(path, "keys/") {
            let file = self.db.read(move |tx| heads::key_file(tx, &tenant, number)).await?;
            return file.ok_or_else(missing);
        }
        let tile = Tile::parse(path).map_err(|_| missing())?;
        let signed = self.head(&tenant).await?.size;
        if !tile.exists(signed) {
            return Err(missing());
        }
        self.db
            .read(move |tx| tree::part(&mut TenantRows(&mut tx.tenant(&tenant)), &tile))
            .await
            .map(LogPart::Immutable)
    }
}

/// The number after a prefix, in its one spelling.
fn numbered(path: &str, prefix: &str) -> Option<u64> {
    let digits = path.strip_prefix(prefix)?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}
