//! What anybody may fetch of a log: checkpoint, tiles and entry bundles (C2SP tlog-tiles), out of rows.
//!
//! Entries hold commitments only, so nothing of an event can be read from them. A log is found by its random id.

use std::sync::Arc;

use bailee_proof::hash::Hash;
use bailee_proof::offline::OfflineProof;
use bailee_proof::tile::Tile;
use bailee_proof::tree::verify_consistency;
use bailee_types::{LogId, TenantId};

use super::{Head, TenantRows, heads, rows, tree};
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

impl House {
    /// A record's place in its tenant's log, with the record itself: what shows somebody elsewhere, at once, that it stands there.
    ///
    /// # Errors
    /// When there is no such record, or it was erased.
    pub(crate) async fn record_proof(
        self: &Arc<Self>,
        tenant: &TenantId,
        index: u64,
    ) -> Result<OfflineProof, Failure> {
        let log = self.log_keys(tenant).await?;
        let head = self.head(tenant).await?;
        let (of, size) = (tenant.clone(), head.size);
        let (sealed, siblings) = self
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&of);
                let record = rows::records(&mut tx, index, 1)?.into_iter().find(|r| r.0 == index);
                let siblings = tree::inclusion(&mut TenantRows(&mut tx), index, size)?;
                Ok::<_, Failure>((record.map(|r| r.2).unwrap_or_default(), siblings))
            })
            .await?;
        let (nonce, event) = log.open(index, &sealed)?;
        let extra = Some([&nonce[..], &event].concat());
        Ok(OfflineProof { extra, index, siblings, checkpoint: head.note })
    }
}

impl House {
    /// The record that says how an intent ended, if it did.
    pub(crate) async fn outcome_of(&self, tenant: &TenantId, intent: u64) -> Result<Option<u64>, Failure> {
        let of = tenant.clone();
        let found = self
            .db
            .read(move |tx| rows::outcomes(&mut tx.tenant(&of), intent, intent).map_err(Failure::from));
        Ok(found.await?.pop().and_then(|(_, outcome)| outcome))
    }

    /// Whether the tree of a log, as it is stored, still begins with the tree that was signed at `size` with `root`.
    pub(crate) async fn log_begins_with(
        self: &Arc<Self>,
        tenant: &TenantId,
        (size, root): (u64, Hash),
        head: &Head,
    ) -> Result<bool, Failure> {
        let (of, new) = (tenant.clone(), head.size);
        let proof = self
            .db
            .read(move |tx| tree::consistency(&mut TenantRows(&mut tx.tenant(&of)), size, new))
            .await?;
        Ok(verify_consistency(size, new, &proof, &root, &Hash(head.root)).is_ok())
    }
}

/// The number after a prefix, in its one spelling.
fn numbered(path: &str, prefix: &str) -> Option<u64> {
    let digits = path.strip_prefix(prefix)?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}
