//! What anybody may fetch of a log: checkpoint, tiles and entry bundles (C2SP tlog-tiles), out of rows.
//!
//! Entries hold commitments only, so nothing of an event can be read from them. A log is found by its random id.

use std::sync::Arc;

use bailee_proof::hash::Hash;
use bailee_proof::tile::{TILE_WIDTH, Tile, TileKind, bundle_bytes, tile_bytes};
use bailee_types::{LogId, TenantId};

use super::rows;
use crate::{Failure, House, Thing};

/// A published part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPart {
    /// The newest signed checkpoint: changes every moment.
    Checkpoint(String),
    /// A tile or an entry bundle: never changes.
    Immutable(Vec<u8>),
}

impl House {
    /// The part of a log at a path below its prefix: `checkpoint`, `tile/…`.
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
        if path == "checkpoint" {
            return Ok(LogPart::Checkpoint(self.head(&tenant).await?.note));
        }
        let tile = Tile::parse(path).map_err(|_| missing())?;
        let signed = self.head(&tenant).await?.size;
        if !tile.exists(signed) {
            return Err(missing());
        }
        let (first, count) = (tile.index * u64::from(TILE_WIDTH), u64::from(tile.width));
        let bytes = match tile.kind {
            TileKind::Entries => {
                let entries = self.entries_of(&tenant, first, count).await?;
                bundle_bytes(entries.iter().map(|(e, _)| e.as_slice()))
                    .map_err(|e| Failure::Bug(e.to_string()))?
            }
            TileKind::Hashes(0) => {
                let leaves: Vec<Hash> =
                    self.entries_of(&tenant, first, count).await?.into_iter().map(|(_, leaf)| leaf).collect();
                tile_bytes(&leaves)
            }
            TileKind::Hashes(level) => {
                let id = tenant.clone();
                let nodes = self
                    .db
                    .read(move |tx| {
                        rows::nodes(&mut tx.tenant(&id), level, first, count).map_err(Failure::from)
                    })
                    .await?;
                if nodes.len() as u64 != count {
                    return Err(Failure::Damaged("a log has fewer nodes than its head says".into()));
                }
                tile_bytes(&nodes)
            }
        };
        Ok(LogPart::Immutable(bytes))
    }

    async fn entries_of(
        &self,
        tenant: &TenantId,
        first: u64,
        count: u64,
    ) -> Result<Vec<([u8; 50], Hash)>, Failure> {
        let tenant = tenant.clone();
        self.db
            .read(move |tx| {
                let rows = rows::entries(&mut tx.tenant(&tenant), first, count)?;
                if rows.len() as u64 != count {
                    return Err(Failure::Damaged("a log has fewer records than its head says".into()));
                }
                Ok(rows.into_iter().map(|(_, entry, leaf)| (entry, Hash(leaf))).collect())
            })
            .await
    }
}
