//! The public head log: every head of every tenant's log, blinded and labelled, so that two people can see that they were
//! shown the same log, and strangers see nothing but that no label repeats (facts: trail log §5).
//!
//! INVARIANT: heads, epochs and the checkpoint over them are committed in one transaction, before anybody sees them.
//! INVARIANT: a log's next head continues its last one: never smaller, never another root for a size (`HeadChain`).
//! INVARIANT: after a witness showed a larger head log signed by our own key, this house signs no heads: its database is
//! older than what it published.

mod enrol;
mod prove;
mod rotate;
pub(super) mod rows;
mod serve;
mod witness;
mod witnessing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::{Hash, empty_root, leaf_hash};
use bailee_proof::head::{HeadChain, HeadLine, HeadLogEntry, epoch_entry};
use bailee_proof::note::Signer;
use bailee_proof::policy::Policy;
use bailee_proof::record::Kind;
use bailee_proof::tree::Frontier;
use bailee_store::Tx;
use bailee_types::{TenantId, Timestamp, random_bytes};
use parking_lot::RwLock;
use serde_json::json;
use tokio::sync::Notify;

use super::{LogKeys, tree};
use crate::consent::parameters;
use crate::house::Counters;
use crate::keys::{Resealed, TenantKey};
use crate::{Failure, House};

pub(super) use rotate::key_chain;
pub(super) use serve::{heads_file, key_file, with_lines};

pub use enrol::{Enrolment, ShowEnrolment};
pub use rotate::RotateLogKey;
pub(crate) use witness::collect_cosignatures;
pub(crate) use witnessing::waits_for_witnesses;
pub use witnessing::{SetWitnessing, ShowWitnessing, WitnessState, Witnessing};

/// An epoch ends after this time, if it has entries.
const EPOCH_MS: i64 = 60_000;
/// A head that holds no operator's act and no refusal waits for others up to this time.
const CADENCE_MS: i64 = 60_000;
/// A log that was silent for this long says that it lives.
const SILENCE_MS: i64 = 86_400_000;
/// After the start heads wait so long for the first answer of a witness.
const FIRST_WORD: Duration = Duration::from_secs(30);
/// Heads in one transaction, at most; the next round takes the rest.
const AT_ONCE: i64 = 2_000;

/// What this process keeps of the head log.
#[derive(Default)]
pub(crate) struct HeadsState {
    log: RwLock<Option<Arc<HeadLog>>>,
    policy: RwLock<Option<Arc<Policy>>>,
    /// Rung after each checkpoint of the head log, and of a log with witnesses of its own.
    signed: Notify,
    /// Rung after each new cosignature.
    cosigned: Notify,
    /// A witness has seen more than this house knows.
    behind: AtomicBool,
    /// A witness has answered since the start, and not shown more than this house knows.
    heard: AtomicBool,
    /// When the policy was set.
    since: RwLock<Option<Instant>>,
}

/// The head log's name and key.
pub(crate) struct HeadLog {
    origin: String,
    signer: Signer,
    /// ML-DSA-44: who records today's heads cannot forge them when Ed25519 has fallen.
    second: Signer,
}

const SEED: &str = "head log seed";
const SECOND_SEED: &str = "head log second seed";

/// Makes the head log, once in the life of a house, and reads its key.
pub(crate) fn open_head_log(house: &Arc<House>) -> Result<(), Failure> {
    let inner = Arc::clone(house);
    let log = house.db.write_blocking(move |tx| {
        let key = inner.tenant_key_blocking(tx, &TenantId::provider())?;
        if let Some(row) = rows::head_log(tx)? {
            let seed = super::exact(&key.open_trail(SEED, &row.seed)?)?;
            let signer =
                Signer::from_seed(&row.origin, &seed).map_err(|e| Failure::Damaged(e.to_string()))?;
            if signer.verifier().to_string() != row.vkey {
                return Err(Failure::Damaged("the head log names another key than it signs with".into()));
            }
            let second = super::exact(&key.open_trail(SECOND_SEED, &row.second)?)?;
            let second = Signer::mldsa44_from_seed(&row.origin, &second)
                .map_err(|e| Failure::Damaged(e.to_string()))?;
            return Ok(HeadLog { origin: row.origin, signer, second });
        }
        let origin = format!("{}/heads", inner.provider().host);
        let seed = random_bytes::<32>();
        let signer = Signer::from_seed(&origin, &seed).map_err(|e| Failure::Bug(e.to_string()))?;
        let second_seed = random_bytes::<32>();
        let second =
            Signer::mldsa44_from_seed(&origin, &second_seed).map_err(|e| Failure::Bug(e.to_string()))?;
        let row = rows::HeadLogRow {
            second: key.seal_trail(SECOND_SEED, &second_seed),
            origin: origin.clone(),
            vkey: signer.verifier().to_string(),
            seed: key.seal_trail(SEED, &seed),
        };
        rows::insert_head_log(tx, &row, &Frontier::new().to_bytes(), inner.now())?;
        Ok(HeadLog { origin, signer, second })
    })?;
    *house.trail.heads.log.write() = Some(Arc::new(log));
    Ok(())
}

/// Seals the head log's seeds anew, where they lie under an older version of the provider's key.
pub(super) fn reseal(tx: &mut Tx<'_>, key: &TenantKey, done: &mut Resealed) -> Result<(), Failure> {
    let Some(row) = rows::head_log(tx)? else { return Ok(()) };
    for (purpose, column, sealed) in
        [(SEED, "sealed_signing_seed", &row.seed), (SECOND_SEED, "sealed_second_seed", &row.second)]
    {
        if let Some(after) = key.reseal_trail(purpose, sealed)? {
            done.note(rows::reseal_head_log(tx, column, (sealed, &after))?);
        }
    }
    Ok(())
}

impl House {
    /// By this policy (C2SP tlog-policy) heads are cosigned. Said once, by the server; without it no witness is asked.
    pub fn witnessed_by(&self, policy: Policy) {
        *self.trail.heads.since.write() = Some(Instant::now());
        *self.trail.heads.policy.write() = Some(Arc::new(policy));
    }

    /// Whether to hold heads back for a moment: a witness may know more than this database, and what is signed before it
    /// says so would be a second history.
    fn waits_for_a_first_word(&self) -> bool {
        let asked = self.witness_policy().is_some_and(|p| p.witnesses().iter().any(|w| w.url.is_some()));
        let since = *self.trail.heads.since.read();
        asked
            && !self.trail.heads.heard.load(Ordering::Relaxed)
            && since.is_some_and(|at| at.elapsed() < FIRST_WORD)
    }

    /// The head log's verification key, as C2SP vkey text; its name is the head log's origin.
    ///
    /// # Errors
    /// When the house is not open yet.
    pub fn head_log_key(&self) -> Result<String, Failure> {
        Ok(self.head_log()?.signer.verifier().to_string())
    }

    /// The head log's second key (ML-DSA-44), as C2SP vkey text.
    ///
    /// # Errors
    /// When the house is not open yet.
    pub fn head_log_second_key(&self) -> Result<String, Failure> {
        Ok(self.head_log()?.second.verifier().to_string())
    }

    fn head_log(&self) -> Result<Arc<HeadLog>, Failure> {
        self.trail.heads.log.read().clone().ok_or_else(|| Failure::Bug("the head log is not open".into()))
    }

    /// Whether a witness showed that this house is older than what it published; then heads stop and operators wait.
    pub fn is_behind_its_witnesses(&self) -> bool {
        self.trail.heads.behind.load(Ordering::Relaxed)
    }

    /// Puts the heads that are due into the head log and signs it. Answers whether it grew.
    pub(crate) async fn publish_heads(self: &Arc<Self>) -> Result<bool, Failure> {
        if self.is_behind_its_witnesses() {
            return Err(Failure::Damaged(
                "a witness has a larger head log of this house than its database: restore the newest backup"
                    .into(),
            ));
        }
        let (house, log) = (Arc::clone(self), self.head_log()?);
        let now = self.now();
        let waits = self.waits_for_a_first_word();
        // Most rounds find nothing: look before taking the writer's turn.
        let idle = self
            .db
            .read(move |tx| {
                let edge = rows::edge(tx)?;
                let due = rows::unheaded(tx, now.plus_ms(-CADENCE_MS), 1)?;
                Ok::<_, Failure>((waits && edge.size > 0) || (due.is_empty() && !epoch_is_over(&edge, now)))
            })
            .await?;
        if idle {
            return Ok(false);
        }
        let note = self.db.write(move |tx| publish(tx, &house, &log, now)).await?;
        if let Some(note) = &note {
            Counters::add(&self.counters().head_checkpoints, 1);
            self.known_heads.remember_note("head-log", note);
            self.trail.heads.signed.notify_one();
        }
        Ok(note.is_some())
    }

    /// Writes a heartbeat into every log that was silent for a day.
    pub(crate) async fn beat_logs(self: &Arc<Self>) -> Result<(), Failure> {
        let before = self.now().plus_ms(-SILENCE_MS);
        let silent = self.db.read(move |tx| rows::silent(tx, before, AT_ONCE).map_err(Failure::from)).await?;
        for tenant in silent {
            let log = self.log_keys(&tenant).await?;
            let house = Arc::clone(self);
            self.db
                .write(move |tx| {
                    let now = house.now();
                    let head = super::rows::head(&mut tx.tenant(&log.tenant))?;
                    // Another process may have been here first.
                    if head.last_time >= now.plus_ms(-SILENCE_MS) {
                        return Ok::<_, Failure>(());
                    }
                    let newest = rows::newest_head(&mut tx.tenant(&log.tenant))?;
                    super::append(tx, &log, Kind::Heartbeat, now, |_| {
                        parameters(json!({
                            "eventName": "Heartbeat",
                            "heartbeat": {
                                "size": head.size, "headVersion": newest.map(|h| h.line.version)
                            },
                        }))
                    })?;
                    Ok(())
                })
                .await?;
            self.trail.changed.notify_one();
        }
        Ok(())
    }
}

fn epoch_is_over(edge: &rows::Edge, now: Timestamp) -> bool {
    edge.epoch_leaves > 0 && now >= edge.epoch_ended.plus_ms(EPOCH_MS)
}

/// The head log's edge as it grows within a transaction.
struct Growing {
    edge: rows::Edge,
    frontier: Frontier,
}

impl Growing {
    fn append(&mut self, tx: &mut Tx<'_>, entry: &[u8]) -> Result<u64, Failure> {
        let (index, leaf) = (self.edge.size, leaf_hash(entry));
        rows::insert_entry(tx, index, entry, &leaf)?;
        self.frontier.append(leaf).map_err(|e| Failure::Damaged(e.to_string()))?;
        self.edge.size += 1;
        Ok(index)
    }
}

/// One round: enrolments and heads that are due, an epoch's end, a checkpoint. Answers its note if anything was added.
fn publish(
    tx: &mut Tx<'_>,
    house: &Arc<House>,
    log: &HeadLog,
    now: Timestamp,
) -> Result<Option<String>, Failure> {
    let edge = rows::edge(tx)?;
    let before = edge.size;
    let frontier = Frontier::from_bytes(edge.size, &edge.frontier)
        .map_err(|e| Failure::Damaged(format!("the head log's edge cannot be read: {e}")))?;
    let mut growing = Growing { edge, frontier };
    for due in rows::unheaded(tx, now.plus_ms(-CADENCE_MS), AT_ONCE)? {
        let keys = house.log_keys_blocking(tx, &due.tenant)?;
        add_head(tx, &mut growing, &keys, &due, now)?;
    }
    growing.edge.epoch_leaves += growing.edge.size - before;
    growing.edge.last_time = growing.edge.last_time.max(now);
    if epoch_is_over(&growing.edge, now) {
        let time_ms = u64::try_from(growing.edge.last_time.ms()).unwrap_or_default();
        let leaves = u32::try_from(growing.edge.epoch_leaves).unwrap_or(u32::MAX);
        growing.append(tx, &epoch_entry(growing.edge.epoch, time_ms, leaves, &[0; 32]))?;
        growing.edge.epoch += 1;
        growing.edge.epoch_leaves = 0;
        growing.edge.epoch_ended = now;
    }
    let Growing { mut edge, frontier } = growing;
    if edge.size == before {
        return Ok(None);
    }
    edge.frontier = frontier.to_bytes();
    rows::advance(tx, &edge)?;
    tree::derive_nodes(&mut HeadRows(tx), edge.size)?;
    let checkpoint = Checkpoint { origin: log.origin.clone(), size: edge.size, root: frontier.root() };
    let time = u64::try_from(now.ms() / 1000).unwrap_or_default();
    let note =
        checkpoint.sign_both(&log.signer, &log.second, time).map_err(|e| Failure::Bug(e.to_string()))?;
    rows::insert_checkpoint(tx, edge.size, &checkpoint.root, &note, now)?;
    Ok(Some(note))
}

/// Adds the newest signed head of one log, and its enrolment before its first.
fn add_head(
    tx: &mut Tx<'_>,
    growing: &mut Growing,
    keys: &LogKeys,
    due: &rows::Unheaded,
    now: Timestamp,
) -> Result<(), Failure> {
    if !due.enrolled {
        let entry = HeadLogEntry::Enrol {
            label: bailee_proof::head::origin_label(&keys.origin),
            commit: bailee_proof::head::enrol_commit(&keys.watch, keys.first_key()?),
        };
        let index = growing.append(tx, &entry.encode())?;
        rows::enrolled(&mut tx.tenant(&keys.tenant), index)?;
    }
    let mut chain = match due.last {
        Some((version, commit)) => {
            let size = due.head_size.unwrap_or_default();
            let root = signed_root(tx, &keys.tenant, size)?;
            let last = HeadLine { version, size, root };
            HeadChain::restore(&keys.origin, keys.watch.clone(), last, Hash(commit))
        }
        None => HeadChain::new(&keys.origin, keys.watch.clone(), keys.first_key()?),
    };
    let root = signed_root(tx, &keys.tenant, due.signed_size)?;
    let entry = chain.extend(due.signed_size, root).map_err(|e| {
        Failure::Damaged(format!("the head of log `{}` does not continue its last one: {e}", keys.origin))
    })?;
    let index = growing.append(tx, &entry)?;
    let line = chain.last().ok_or_else(|| Failure::Bug("a chain without a head".into()))?;
    rows::insert_head(&mut tx.tenant(&keys.tenant), &line, index, chain.previous(), now)?;
    Ok(())
}

fn signed_root(tx: &mut Tx<'_>, tenant: &TenantId, size: u64) -> Result<Hash, Failure> {
    match super::rows::checkpoint(&mut tx.tenant(tenant), size)? {
        Some(row) => Ok(Hash(row.root)),
        None if size == 0 => Ok(empty_root()),
        None => Err(Failure::Damaged(format!("the log of `{tenant}` has no checkpoint of {size} records"))),
    }
}

/// The head log's rows.
struct HeadRows<'a, 'c>(&'a mut Tx<'c>);

impl tree::Rows for HeadRows<'_, '_> {
    fn leaves(&mut self, first: u64, count: u64) -> Result<Vec<(Vec<u8>, Hash)>, bailee_store::StoreError> {
        rows::entries(self.0, first, count)
    }

    fn nodes(&mut self, level: u8, first: u64, count: u64) -> Result<Vec<Hash>, bailee_store::StoreError> {
        rows::nodes(self.0, level, first, count)
    }

    fn node_count(&mut self, level: u8) -> Result<u64, bailee_store::StoreError> {
        rows::node_count(self.0, level)
    }

    fn insert_node(&mut self, level: u8, index: u64, hash: &Hash) -> Result<(), bailee_store::StoreError> {
        rows::insert_node(self.0, level, index, hash)
    }
}

/// At start: the head log must be what was last signed here. See [`super::check_heads`].
pub(super) fn check_head_log(tx: &mut Tx<'_>, house: &House, whole: bool) -> Result<u64, Failure> {
    let log = house.head_log()?;
    let edge = rows::edge(tx)?;
    let differs = |what: String| {
        Failure::Damaged(format!(
            "the head log `{}`: {what}; the data folder is older than what was signed, or was changed: restore the \
             newest backup, or keep this one for the auditors",
            log.origin
        ))
    };
    let frontier = Frontier::from_bytes(edge.size, &edge.frontier).map_err(|e| differs(e.to_string()))?;
    let newest = rows::newest_checkpoints(tx, 1)?.into_iter().next();
    if let Some(signed) = &newest {
        let opened = Checkpoint::open(signed.note.as_bytes(), log.signer.verifier())
            .map_err(|e| differs(format!("the last checkpoint does not verify ({e})")))?;
        if opened.size != edge.size || opened.root != frontier.root() {
            return Err(differs("its rows give another tree than the last checkpoint".into()));
        }
    }
    if let Some(seen) = house.known_heads.last_note("head-log", log.signer.verifier()) {
        let known = rows::checkpoint(tx, seen.size)?.map(|row| row.root);
        if known != Some(seen.root.0) {
            return Err(differs(format!(
                "a checkpoint of {} entries was signed here, and the database with {} does not know it",
                seen.size, edge.size
            )));
        }
    }
    if whole {
        let mut rebuilt = Frontier::new();
        loop {
            let batch = rows::entries(tx, rebuilt.size(), 1024)?;
            if batch.is_empty() {
                break;
            }
            for (entry, leaf) in batch {
                if leaf_hash(&entry) != leaf {
                    return Err(differs(format!("entry {} was changed", rebuilt.size())));
                }
                rebuilt.append(leaf).map_err(|e| differs(e.to_string()))?;
            }
        }
        if rebuilt.root() != frontier.root() {
            return Err(differs("its entries give another root than its stored tree".into()));
        }
    }
    Ok(edge.size)
}
