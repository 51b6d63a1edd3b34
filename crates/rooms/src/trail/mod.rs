//! The trail: complete, ordered, append-only, checkable from outside.
//!
//! Rows are the truth (entry, leaf hash, sealed opening, all in the caller's transaction); tiles and proofs are
//! computed from them. One log per tenant, plus the provider's own.
//!
//! INVARIANT: a record's index is its position; time never falls; both hold in the transaction that writes it.
//! INVARIANT: a checkpoint is committed before anybody sees it, and only for a tree that the rows give.
//! Each head goes on into the public head log and to its witnesses: [`heads`].

pub mod alerts;
mod bundle;
pub mod collected;
pub mod deliver;
mod erase;
mod figures;
mod head;
mod heads;
mod look;
mod lookup;
mod publish;
mod rows;
mod shape;
mod trails;
mod tree;
mod used;
mod view;

use std::collections::HashMap;
use std::sync::Arc;

use bailee_crypto::seal::{SealingKey, aad};
use bailee_proof::event::EVENT_BYTES_MAX;
use bailee_proof::hash::Hash;
use bailee_proof::head::WatchKey;
use bailee_proof::note::{Signer, VerifierKey};
use bailee_proof::record::{self, Entry};
use bailee_proof::rotation::Rotation;
use bailee_proof::tree::Frontier;
use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::{LogId, SecretBytes, TenantId, Timestamp, random_bytes};
use parking_lot::RwLock;
use serde_json::{Map, Value};
use tokio::sync::Notify;

pub use bailee_proof::bundle::Scope;
pub use bailee_proof::policy::Policy as WitnessPolicy;
pub use bailee_proof::record::Kind;
pub use bundle::{ExportTrail, Exported};
pub(crate) use erase::keep_retention;
pub use erase::{
    EraseEvents, Erased, Hold, HoldScope, LiftHold, ListHolds, PlaceHold, RETENTION_DAYS_MAX,
    RETENTION_DAYS_MIN, Retention, RetentionPlan, SetRetention, ShowRetention, WhyErased,
};
pub use figures::{CountActs, DAYS_MAX, Figures, Tally};
pub use head::Head;
pub(crate) use head::{KnownHeads, check_heads, sign_heads};
pub use heads::{
    Enrolment, RotateLogKey, SetWitnessing, ShowEnrolment, ShowWitnessing, WitnessState, Witnessing,
};
pub(crate) use heads::{collect_cosignatures, open_head_log, waits_for_witnesses};
pub use look::{GetAct, ListActs, Looked, LookupEvents, TailActs};
pub(crate) use lookup::summarise;
pub use lookup::{ActFilter, Order, TailItem, TailPage};
pub use publish::LogPart;
pub(crate) use trails::forget_targets;
pub use trails::{
    CreateTrail, DeleteTrail, DescribeRegions, DescribeTrails, GetTrailStatus, StartLogging, Status,
    StopLogging, TRAILS_MAX, Trail, TrailAct, TrailChange, TrailFamily, TrailOf, TrailSettings, TrailStatus,
    UpdateTrail,
};
pub use used::{CountByDay, Counted, KeyUses};
pub use view::{Act, ActEnd, ActPage, Family};

use crate::gate::RecordedAt;
use crate::keys::{Resealed, TenantKey};
use crate::{Failure, House, Thing};

/// What the trail keeps in memory.
#[derive(Default)]
pub(crate) struct TrailState {
    logs: RwLock<HashMap<TenantId, Arc<LogKeys>>>,
    /// Rung after each append; the signer listens.
    pub(crate) changed: Notify,
    heads: heads::HeadsState,
}

/// The keys of one log.
pub(crate) struct LogKeys {
    tenant: TenantId,
    pub(crate) origin: String,
    vkey: String,
    event_key: SealingKey,
    signer: Signer,
    /// The log's first key, which its enrolment names.
    first: VerifierKey,
    watch: WatchKey,
}

/// Makes a tenant's log. The log id says nothing about the tenant.
pub(crate) fn create_log(
    tx: &mut Tx<'_>,
    key: &TenantKey,
    tenant: &TenantId,
    id: &LogId,
    host: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let origin = format!("{host}/trail/{id}");
    let seed = random_bytes::<32>();
    let signer = Signer::from_seed(&origin, &seed).map_err(|e| Failure::Bug(e.to_string()))?;
    let row = rows::NewLog {
        id: id.clone(),
        origin,
        vkey: signer.verifier().to_string(),
        seed: key.seal_trail("signing seed", &seed),
        watch_key: key.seal_trail("watch key", &random_bytes::<32>()),
        event_key: key.seal_trail("event key", &random_bytes::<32>()),
        frontier: Frontier::new().to_bytes(),
    };
    rows::insert_log(&mut tx.tenant(tenant), &row, now)?;
    Ok(())
}

/// Seals the secrets of a tenant's log and of its sinks anew, where they lie under an older version of the tenant's key; of the
/// provider's also those of the head log.
pub(crate) fn reseal(tx: &mut Tx<'_>, tenant: &TenantId, key: &TenantKey) -> Result<Resealed, Failure> {
    let mut done = Resealed::default();
    if *tenant == TenantId::provider() {
        heads::reseal(tx, key, &mut done)?;
    }
    let mut tx = tx.tenant(tenant);
    if let Some(row) = rows::log(&mut tx)? {
        for (purpose, column, sealed) in [
            ("signing seed", "sealed_signing_seed", &row.seed),
            ("event key", "sealed_event_key", &row.event_key),
            ("watch key", "sealed_watch_key", &row.watch_key),
        ] {
            if let Some(after) = key.reseal_trail(purpose, sealed)? {
                done.note(rows::reseal_log(&mut tx, column, (sealed, &after))?);
            }
        }
    }
    deliver::reseal(&mut tx, key, &mut done)?;
    Ok(done)
}

/// What a record will say, made before the transaction that writes it: as much of it as does not depend on its place.
pub(crate) struct Draft {
    kind: Kind,
    nonce: [u8; 32],
    /// JSON without its end.
    text: Vec<u8>,
    /// The text ends inside of an object that wants the time under this name.
    time_as: Option<&'static str>,
}

impl Draft {
    /// What the verifier reads (`record`, `index`, `timeMs`, `tenant`) is added here, so no caller can get it wrong.
    pub(crate) fn new(log: &LogKeys, kind: Kind, mut event: Map<String, Value>) -> Result<Self, StoreError> {
        event.insert("record".into(), kind.word().into());
        event.insert("tenant".into(), log.tenant.as_str().into());
        let text = unended(&event)?;
        Ok(Self { kind, nonce: random_bytes(), text, time_as: None })
    }

    /// As [`Draft::new`], with one more object in the event, which gets the record's time as text.
    pub(crate) fn timed(
        log: &LogKeys,
        kind: Kind,
        event: Map<String, Value>,
        (name, inside): (&'static str, &Map<String, Value>),
        time_as: &'static str,
    ) -> Result<Self, StoreError> {
        let mut draft = Self::new(log, kind, event)?;
        draft.text.extend_from_slice(format!(",{}:", Value::from(name)).as_bytes());
        draft.text.extend_from_slice(&unended(inside)?);
        draft.time_as = Some(time_as);
        Ok(draft)
    }

    fn finish(&self, index: u64, time: Timestamp) -> Vec<u8> {
        let mut text = self.text.clone();
        if let Some(name) = self.time_as {
            text.extend_from_slice(format!(",\"{name}\":\"{}\"}}", time.iso()).as_bytes());
        }
        text.extend_from_slice(format!(",\"index\":{index},\"timeMs\":{}}}", time.ms()).as_bytes());
        text
    }
}

/// The JSON of an object that is not empty, without its closing brace.
fn unended(object: &Map<String, Value>) -> Result<Vec<u8>, StoreError> {
    let mut text = serde_json::to_vec(object).map_err(|e| StoreError::Statement(e.to_string()))?;
    text.pop();
    // Room for the end of two objects.
    if text.len() + 200 > EVENT_BYTES_MAX || object.is_empty() {
        return Err(StoreError::Statement(format!("an event of {} bytes is too long or empty", text.len())));
    }
    Ok(text)
}

/// Appends a record inside the caller's transaction and answers its index. `build` gives the event.
pub(crate) fn append(
    tx: &mut Tx<'_>,
    log: &LogKeys,
    kind: Kind,
    now: Timestamp,
    build: impl FnOnce(RecordedAt) -> Map<String, Value>,
) -> Result<u64, StoreError> {
    let time = now.max(rows::tip(&mut tx.tenant(&log.tenant))?.last_time);
    let draft = Draft::new(log, kind, build(RecordedAt { time }))?;
    append_draft(tx, log, &draft, now)
}

/// The newest time in a tenant's log: it never goes back, whatever the clock does.
pub(crate) fn last_time(tx: &mut TenantTx<'_, '_>) -> Result<Timestamp, StoreError> {
    Ok(rows::tip(tx)?.last_time)
}

/// The index that the next record of this transaction will have.
pub(crate) fn next_index(tx: &mut Tx<'_>, log: &LogKeys) -> Result<u64, StoreError> {
    Ok(rows::tip(&mut tx.tenant(&log.tenant))?.frontier.size())
}

/// Appends a record that is written already but for its place and time; answers its index.
pub(crate) fn append_draft(
    tx: &mut Tx<'_>,
    log: &LogKeys,
    draft: &Draft,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut tx = tx.tenant(&log.tenant);
    let mut tip = rows::tip(&mut tx)?;
    let index = tip.frontier.size();
    let time = now.max(tip.last_time);
    let event = draft.finish(index, time);
    if event.len() > EVENT_BYTES_MAX {
        return Err(StoreError::Statement(format!("an event of {} bytes is too long", event.len())));
    }
    let entry = Entry {
        kind: draft.kind,
        index,
        time_ms: u64::try_from(time.ms()).map_err(|_| StoreError::Corrupt("time before 1970".into()))?,
        commitment: record::commitment(&draft.nonce, &event),
    }
    .encode();
    let leaf = bailee_proof::hash::leaf_hash(&entry);
    tip.frontier.append(leaf).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let sealed = log.event_key.seal(&opening_aad(&log.origin, index), &[&draft.nonce[..], &event].concat());
    rows::insert_record(&mut tx, index, &entry, &leaf.0, &sealed)?;
    // Acts of operators, refusals and words about the log itself go into the head log at once.
    let urgent = !matches!(draft.kind, Kind::Management | Kind::Outcome | Kind::Heartbeat);
    tip.last_time = time;
    rows::advance(&mut tx, tip, urgent);
    Ok(index)
}

impl LogKeys {
    fn first_key(&self) -> Result<&[u8; 32], Failure> {
        self.first.ed25519().ok_or_else(|| Failure::Damaged("a log's first key is not Ed25519".into()))
    }

    /// Another process may have changed the log's key: what is signed with the old one would be refused.
    fn expect_current(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let row = rows::log(&mut tx.tenant(&self.tenant))?;
        if row.is_some_and(|row| row.vkey == self.vkey) {
            return Ok(());
        }
        Err(Failure::Unavailable("the key of this log was changed a moment ago; try again".into()))
    }

    /// Opens a record's nonce and event.
    fn open(&self, index: u64, sealed: &[u8]) -> Result<([u8; 32], Vec<u8>), Failure> {
        let damaged = || Failure::Damaged(format!("record {index} of log `{}` does not open", self.origin));
        let opening =
            self.event_key.open(&opening_aad(&self.origin, index), sealed).map_err(|_| damaged())?;
        let (nonce, event) = opening.expose().split_first_chunk::<32>().ok_or_else(damaged)?;
        Ok((*nonce, event.to_vec()))
    }
}

impl House {
    /// The keys of a tenant's log.
    pub(crate) async fn log_keys(&self, tenant: &TenantId) -> Result<Arc<LogKeys>, Failure> {
        if let Some(found) = self.trail.logs.read().get(tenant) {
            return Ok(Arc::clone(found));
        }
        let key = self.tenant_key(tenant).await?;
        let id = tenant.clone();
        let row = self
            .db
            .read(move |tx| log_rows(tx, &id))
            .await?
            .ok_or_else(|| Failure::not_found(Thing::Log, tenant))?;
        self.remember_log(tenant, &key, row)
    }

    fn log_keys_blocking(&self, tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Arc<LogKeys>, Failure> {
        let key = self.tenant_key_blocking(tx, tenant)?;
        let row = log_rows(tx, tenant)?.ok_or_else(|| Failure::not_found(Thing::Log, tenant))?;
        self.remember_log(tenant, &key, row)
    }

    fn forget_log_keys(&self, tenant: &TenantId) {
        self.trail.logs.write().remove(tenant);
    }

    fn remember_log(
        &self,
        tenant: &TenantId,
        key: &TenantKey,
        (row, first_change): (rows::LogRow, Option<String>),
    ) -> Result<Arc<LogKeys>, Failure> {
        let seed = key.open_trail("signing seed", &row.seed)?;
        let seed: [u8; 32] = exact(&seed)?;
        let signer = Signer::from_seed(&row.origin, &seed).map_err(|e| Failure::Damaged(e.to_string()))?;
        if signer.verifier().to_string() != row.vkey {
            return Err(Failure::Damaged(format!(
                "the log of tenant `{tenant}` names another key than it signs with"
            )));
        }
        let event_key = key.open_trail("event key", &row.event_key)?;
        let event_key = SealingKey::from_bytes(event_key.expose())
            .map_err(|_| Failure::Damaged("an event key has a wrong length".into()))?;
        let damaged = |e: &dyn std::fmt::Display| Failure::Damaged(format!("the first key of a log: {e}"));
        let first = match first_change {
            Some(note) => Rotation::open(note.as_bytes()).map_err(|e| damaged(&e))?.old,
            None => signer.verifier().clone(),
        };
        let watch = WatchKey::new(exact(&key.open_trail("watch key", &row.watch_key)?)?);
        let log = Arc::new(LogKeys {
            tenant: tenant.clone(),
            origin: row.origin,
            vkey: row.vkey,
            event_key,
            signer,
            first,
            watch,
        });
        self.trail.logs.write().insert(tenant.clone(), Arc::clone(&log));
        Ok(log)
    }
}

fn exact(bytes: &SecretBytes) -> Result<[u8; 32], Failure> {
    bytes.expose().try_into().map_err(|_| Failure::Damaged("a seed has a wrong length".into()))
}

fn opening_aad(origin: &str, index: u64) -> Vec<u8> {
    aad(&[b"bailee/opening/v1", origin.as_bytes(), &index.to_be_bytes()])
}

/// A log's row, and the note of its first key change.
fn log_rows(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Option<(rows::LogRow, Option<String>)>, Failure> {
    let mut tx = tx.tenant(tenant);
    let Some(row) = rows::log(&mut tx)? else { return Ok(None) };
    let first_change = heads::rows::key_changes(&mut tx)?.into_iter().next();
    Ok(Some((row, first_change)))
}

/// The rows of a tenant's log.
struct TenantRows<'a, 't, 'c>(&'a mut TenantTx<'t, 'c>);

impl tree::Rows for TenantRows<'_, '_, '_> {
    fn leaves(&mut self, first: u64, count: u64) -> Result<Vec<(Vec<u8>, Hash)>, StoreError> {
        let found = rows::entries(self.0, first, count)?;
        Ok(found.into_iter().map(|(_, entry, leaf)| (entry.to_vec(), Hash(leaf))).collect())
    }

    fn nodes(&mut self, level: u8, first: u64, count: u64) -> Result<Vec<Hash>, StoreError> {
        rows::nodes(self.0, level, first, count)
    }

    fn node_count(&mut self, level: u8) -> Result<u64, StoreError> {
        rows::node_count(self.0, level)
    }

    fn insert_node(&mut self, level: u8, index: u64, hash: &Hash) -> Result<(), StoreError> {
        rows::insert_node(self.0, level, index, &hash.0)
    }
}
