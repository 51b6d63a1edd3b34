//! Heads: signed at most a moment after a record, checked at start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::Hash;
use bailee_proof::note::VerifierKey;
use bailee_proof::record::{Entry, commitment};
use bailee_proof::rotation::KeyChain;
use bailee_proof::totals::Totals;
use bailee_proof::tree::Frontier;
use bailee_store::{StoreError, Tx};
use bailee_types::{TenantId, Timestamp};
use tokio::sync::watch;

use super::{LogKeys, TenantRows, erase, heads, rows, tree};
use crate::{Failure, House, Thing};

/// Records that arrive within this time share a checkpoint; the promise is "within a second".
const GATHER: Duration = Duration::from_millis(200);
/// Another process may have appended: look even when nobody rang.
const LOOK: Duration = Duration::from_millis(900);

/// The newest signed head of a log.
#[derive(Clone, Debug)]
pub struct Head {
    /// The log's origin, `<host>/trail/<log id>`.
    pub origin: String,
    /// The verification key, as C2SP vkey text.
    pub vkey: String,
    /// Records covered.
    pub size: u64,
    /// The root hash.
    pub root: [u8; 32],
    /// The signed note.
    pub note: String,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// Records there are, covered or not.
    pub records: u64,
}

impl House {
    /// The newest signed head of a tenant's log; signs one first when records wait for it.
    ///
    /// # Errors
    /// When the tenant has no log or the database cannot be written.
    pub async fn head(self: &Arc<Self>, tenant: &TenantId) -> Result<Head, Failure> {
        let log = self.log_keys(tenant).await?;
        let id = tenant.clone();
        let state = self.db.read(move |tx| rows::head(&mut tx.tenant(&id)).map_err(Failure::from)).await?;
        if state.size != state.signed_size || state.size == 0 {
            self.sign(&log).await?;
        }
        self.signed_head(&log).await
    }

    /// The head of the provider's own log, for the portal.
    ///
    /// # Errors
    /// As [`House::head`].
    pub async fn provider_head(self: &Arc<Self>) -> Result<Head, Failure> {
        self.head(&TenantId::provider()).await
    }

    async fn signed_head(&self, log: &Arc<LogKeys>) -> Result<Head, Failure> {
        let id = log.tenant.clone();
        let (state, signed) = self
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&id);
                let state = rows::head(&mut tx)?;
                let signed = rows::checkpoint(&mut tx, state.signed_size)?;
                Ok::<_, Failure>((state, signed))
            })
            .await?;
        let signed = signed.ok_or_else(|| Failure::not_found(Thing::Log, &log.origin))?;
        Ok(Head {
            origin: log.origin.clone(),
            vkey: log.vkey.clone(),
            size: signed.size,
            root: signed.root,
            note: signed.note,
            signed_at: signed.signed_at,
            records: state.size,
        })
    }

    /// Signs the head as it is now. The row is written in the transaction that reads the frontier, so two
    /// signers cannot sign two trees of one size, and a smaller one is never signed after a larger.
    pub(super) async fn sign(&self, log: &Arc<LogKeys>) -> Result<(), Failure> {
        let (keys, now) = (Arc::clone(log), self.now());
        let signed = self
            .db
            .write(move |tx| {
                let log = keys;
                log.expect_current(tx)?;
                let mut tx = tx.tenant(&log.tenant);
                let head = rows::head(&mut tx)?;
                if rows::checkpoint(&mut tx, head.size)?.is_some() {
                    return Ok(None);
                }
                let frontier = Frontier::from_bytes(head.size, &head.frontier)
                    .map_err(|e| Failure::Damaged(e.to_string()))?;
                let root = frontier.root();
                let checkpoint = Checkpoint { origin: log.origin.clone(), size: head.size, root };
                let note = checkpoint.sign(&log.signer).map_err(|e| Failure::Bug(e.to_string()))?;
                tree::derive_nodes(&mut TenantRows(&mut tx), head.size)?;
                rows::insert_checkpoint(&mut tx, head.size, &root.0, &note, now)?;
                Ok::<_, Failure>(Some(note))
            })
            .await;
        if signed.is_err() {
            // The likeliest reason is another key: read it again the next time.
            self.forget_log_keys(&log.tenant);
        }
        if let Some(note) = signed? {
            self.known_heads.remember(log, &note);
        }
        Ok(())
    }
}

impl House {
    /// Signs totals with the key of the provider's own log; `keep` writes the note in the same transaction.
    ///
    /// It takes [`Totals`], no text: nobody has this key sign what a head looks like.
    pub(crate) async fn sign_totals(
        &self,
        totals: Totals,
        keep: impl FnOnce(&mut Tx<'_>, &str) -> Result<bool, StoreError> + Send + 'static,
    ) -> Result<bool, Failure> {
        let log = self.log_keys(&TenantId::provider()).await?;
        let kept = self
            .db
            .write(move |tx| {
                log.expect_current(tx)?;
                let note = totals.sign(&log.signer).map_err(|e| Failure::Bug(e.to_string()))?;
                Ok::<_, Failure>(keep(tx, &note)?)
            })
            .await;
        if kept.is_err() {
            // As with heads: another process may have changed the key.
            self.forget_log_keys(&TenantId::provider());
        }
        kept
    }
}

/// The newest head of each log as a file beside the database (`heads/<log id>`, the signed note): what an old
/// backup of the database does not know.
pub(crate) struct KnownHeads {
    folder: PathBuf,
}

impl KnownHeads {
    pub(crate) fn new(data: &Path) -> Self {
        Self { folder: data.join("heads") }
    }

    fn name(log: &LogKeys) -> &str {
        log.origin.rsplit('/').next().unwrap_or_default()
    }

    fn remember(&self, log: &LogKeys, note: &str) {
        self.remember_note(Self::name(log), note);
    }

    /// Not synced: after a power cut an older head may stand here, which only finds less.
    pub(super) fn remember_note(&self, name: &str, note: &str) {
        let path = self.folder.join(name);
        let partial = path.with_extension("partial");
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(&partial, note))
            .and_then(|()| std::fs::rename(&partial, &path));
        if let Err(e) = written {
            tracing::warn!("the newest head cannot be kept at {}: {e}", path.display());
        }
    }

    /// The head that was seen last; none when none was, or when the file is not what we wrote.
    fn last(&self, log: &LogKeys, keys: &KeyChain) -> Option<Checkpoint> {
        let note = std::fs::read(self.folder.join(Self::name(log))).ok()?;
        keys.open(&note).ok()
    }

    pub(super) fn last_note(&self, name: &str, key: &VerifierKey) -> Option<Checkpoint> {
        let note = std::fs::read(self.folder.join(name)).ok()?;
        Checkpoint::open(&note, key).ok()
    }
}

/// The signer: a checkpoint for each log that grew, until `stop`; then a last round.
pub(crate) async fn sign_heads(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        let stopping = tokio::select! {
            () = house.trail.changed.notified() => false,
            () = tokio::time::sleep(LOOK) => false,
            _ = stop.wait_for(|s| *s) => true,
        };
        if !stopping {
            tokio::time::sleep(GATHER).await;
        }
        if let Err(e) = sign_all(&house).await {
            tracing::error!("checkpoints could not be signed: {e}");
        }
        if let Err(e) = house.publish_heads().await {
            tracing::error!("heads could not be published: {e}");
        }
        if let Err(e) = house.beat_logs().await {
            tracing::error!("heartbeats could not be written: {e}");
        }
        if stopping {
            return;
        }
    }
}

async fn sign_all(house: &Arc<House>) -> Result<(), Failure> {
    let grown = house.db.read(|tx| rows::grown(tx).map_err(Failure::from)).await?;
    for tenant in grown {
        let log = house.log_keys(&tenant).await?;
        house.sign(&log).await?;
    }
    Ok(())
}

/// At start: every log's rows must give what was last signed. A restored old backup, or a changed row at the
/// edge, stops the start; `bailee doctor` recomputes whole trees.
pub(crate) fn check_heads(house: &Arc<House>) -> Result<(), Failure> {
    let inner = Arc::clone(house);
    house.db.write_blocking(move |tx| {
        for tenant in rows::all(tx)? {
            let log = inner.log_keys_blocking(tx, &tenant)?;
            check_head(tx, &log, &inner.known_heads, false)?;
        }
        heads::check_head_log(tx, &inner, false)?;
        Ok(())
    })
}

impl House {
    /// Recomputes every log from its entries and compares with what was signed; answers records checked.
    ///
    /// # Errors
    /// When a log does not fit what was signed for it.
    pub fn recheck_logs(self: &Arc<Self>) -> Result<u64, Failure> {
        let inner = Arc::clone(self);
        self.db.write_blocking(move |tx| {
            let mut checked = 0;
            for tenant in rows::all(tx)? {
                let log = inner.log_keys_blocking(tx, &tenant)?;
                checked += check_head(tx, &log, &inner.known_heads, true)?;
            }
            Ok(checked + heads::check_head_log(tx, &inner, true)?)
        })
    }
}

fn check_head(tx: &mut Tx<'_>, log: &LogKeys, known: &KnownHeads, whole: bool) -> Result<u64, Failure> {
    let mut tx = tx.tenant(&log.tenant);
    let head = rows::head(&mut tx)?;
    let differs = |what: &str| {
        Failure::Damaged(format!(
            "log `{}`: {what}; the data folder is older than what was signed, or was changed: restore the newest \
             backup, or keep this one for the auditors",
            log.origin
        ))
    };
    let frontier = Frontier::from_bytes(head.size, &head.frontier).map_err(|e| differs(&e.to_string()))?;
    let rows_there = rows::count(&mut tx)?;
    if rows_there != head.size {
        return Err(differs(&format!("{rows_there} records are stored and the head says {}", head.size)));
    }
    // Each size has one key: a head from before a change of key is by the old one.
    let keys = heads::key_chain(&mut tx, &log.first).map_err(|e| differs(&e.to_string()))?;
    if let Some(seen) = known.last(log, &keys) {
        let root = match rows::checkpoint(&mut tx, seen.size)? {
            Some(row) => Some(row.root),
            None if seen.size == head.size => Some(frontier.root().0),
            None => None,
        };
        if root != Some(seen.root.0) {
            return Err(differs(&format!(
                "a checkpoint of {} records was signed here, and the database with {} does not know it",
                seen.size, head.size
            )));
        }
    }
    let Some(signed) = rows::newest_checkpoint(&mut tx)? else { return Ok(head.size) };
    let opened = keys
        .open(signed.note.as_bytes())
        .map_err(|e| differs(&format!("the last checkpoint does not verify ({e})")))?;
    if opened.size > head.size {
        return Err(differs(&format!(
            "a checkpoint covers {} records and {} are stored",
            opened.size, head.size
        )));
    }
    if opened.size == head.size && opened.root != frontier.root() {
        return Err(differs("the tree has another root than the last checkpoint"));
    }
    if whole {
        let mut rebuilt = Frontier::new();
        let mut from = 0;
        loop {
            let batch = rows::entries(&mut tx, from, 1024)?;
            if batch.is_empty() {
                break;
            }
            for (index, entry, sealed) in rows::records(&mut tx, from, 1024)? {
                if sealed.is_empty() && erase::is_erased(&mut tx, index)? {
                    continue;
                }
                let (nonce, event) = log.open(index, &sealed)?;
                let said = Entry::decode(&entry).map_err(|e| differs(&format!("record {index}: {e}")))?;
                if commitment(&nonce, &event) != said.commitment {
                    return Err(differs(&format!("the event of record {index} was changed")));
                }
            }
            for (index, entry, leaf) in &batch {
                let hash = bailee_proof::hash::leaf_hash(entry);
                if hash.0 != *leaf || *index != from {
                    return Err(differs(&format!("record {index} was changed")));
                }
                if rebuilt.size() == opened.size && rebuilt.root() != opened.root {
                    return Err(differs("the entries give another root than the last checkpoint"));
                }
                rebuilt.append(hash).map_err(|e| differs(&e.to_string()))?;
                from += 1;
            }
        }
        if rebuilt.root() != frontier.root() {
            return Err(differs("the entries give another root than the stored tree"));
        }
        let at = Hash(signed.root);
        if opened.size == rebuilt.size() && at != rebuilt.root() {
            return Err(differs("the entries give another root than the last checkpoint"));
        }
    }
    Ok(head.size)
}
