//! Collects cosignatures: every new checkpoint goes to each witness of the policy (C2SP tlog-witness), by itself, so that one
//! that is slow or gone holds up no other.
//!
//! INVARIANT: a line is kept only when the witness's key of the policy verifies it over our own checkpoint.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::note::VerifierKey;
use bailee_proof::policy::Policy;
use bailee_proof::witness::{AddCheckpoint, monitoring_path, read_answer, read_size};
use bailee_types::TenantId;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::{TenantRows, rows as trail_rows, tree};
use super::{HeadRows, rows};
use crate::house::Counters;
use crate::outside::Post;
use crate::{Failure, House};

/// A witness is asked for one log at most so often.
const PACE: Duration = Duration::from_secs(1);
/// A log that did not grow is shown again after this time: the cosignature's time says how fresh the view is.
const REFRESH_S: u64 = 600;
/// The pause after a failure doubles up to this.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Tries of one submission: the witness may tell us another size once or twice.
const TRIES: usize = 3;

/// Which log is shown.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Shown {
    HeadLog,
    Tenant(TenantId),
}

/// One log at one witness.
#[derive(Clone)]
struct Target {
    shown: Shown,
    origin: String,
    log_key: VerifierKey,
    witness: VerifierKey,
    url: String,
    /// Whether the provider named the address; tenants' addresses must be public.
    trusted: bool,
}

type Key = (String, String);

impl Target {
    fn key(&self) -> Key {
        (self.origin.clone(), self.witness.to_string())
    }
}

/// When a target may be tried again, and how often it failed in a row.
#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    failures: u32,
}

/// The collector, until `stop`.
pub(crate) async fn collect_cosignatures(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut running: HashSet<Key> = HashSet::new();
    let mut pauses: HashMap<Key, Pause> = HashMap::new();
    let mut tasks: JoinSet<(Target, Result<(), Failure>)> = JoinSet::new();
    // At start each witness is asked whatever the rows say: they may be older than what it saw.
    let mut at_start = true;
    loop {
        match wanting(&house, at_start).await {
            Ok(targets) => {
                at_start = false;
                for target in targets {
                    let key = target.key();
                    let waits = pauses.get(&key).is_some_and(|p| p.until > Instant::now());
                    if !waits && running.insert(key) {
                        let house = Arc::clone(&house);
                        tasks.spawn(async move {
                            let done = submit(&house, &target).await;
                            (target, done)
                        });
                    }
                }
            }
            Err(e) => tracing::warn!("witnesses cannot be asked: {e}"),
        }
        tokio::select! {
            Some(done) = tasks.join_next() => {
                let Ok((target, result)) = done else { continue };
                running.remove(&target.key());
                let failures = match &result {
                    Ok(()) => 0,
                    Err(e) => {
                        Counters::add(&house.counters().cosigning_failures, 1);
                        tracing::warn!(witness = target.witness.name(), log = target.origin, "not cosigned: {e}");
                        pauses.get(&target.key()).map_or(1, |p| p.failures.saturating_add(1))
                    }
                };
                let pause = PACE.saturating_mul(1 << failures.min(6)).min(PAUSE_MAX);
                pauses.insert(target.key(), Pause { until: Instant::now() + pause, failures });
            }
            () = house.trail.heads.signed.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

/// The targets whose witness has not seen the newest checkpoint, or not for a while.
async fn wanting(house: &Arc<House>, all: bool) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    if let Some(policy) = house.witness_policy() {
        let log = house.head_log()?;
        targets.extend(targets_of(&policy, Shown::HeadLog, log.signer.verifier(), true));
    }
    let tenants = house.db.read(|tx| rows::witnessed_tenants(tx).map_err(Failure::from)).await?;
    for tenant in tenants {
        let id = tenant.clone();
        let (text, _) =
            house.db.read(move |tx| rows::witnessing(&mut tx.tenant(&id)).map_err(Failure::from)).await?;
        let log = house.log_keys(&tenant).await?;
        if let Ok(policy) = Policy::parse(text.as_bytes()) {
            targets.extend(targets_of(&policy, Shown::Tenant(tenant), log.signer.verifier(), false));
        }
    }
    let now = now_s(house);
    house
        .db
        .read(move |tx| {
            let mut wanting = Vec::new();
            for target in targets {
                let newest = match &target.shown {
                    Shown::HeadLog => rows::newest_checkpoints(tx, 1)?.into_iter().next(),
                    Shown::Tenant(tenant) => trail_rows::newest_checkpoint(&mut tx.tenant(tenant))?,
                };
                let Some(newest) = newest else { continue };
                let witness = target.witness.to_string();
                let last = rows::last_cosigned(tx, &target.origin, &witness)?;
                let fresh =
                    last.is_some_and(|(size, at)| size >= newest.size && at.saturating_add(REFRESH_S) > now);
                if all || !fresh {
                    wanting.push(target);
                }
            }
            Ok::<_, Failure>(wanting)
        })
        .await
}

fn targets_of(policy: &Policy, shown: Shown, log: &VerifierKey, trusted: bool) -> Vec<Target> {
    let target = |w: &bailee_proof::policy::PolicyWitness| {
        Some(Target {
            shown: shown.clone(),
            origin: log.name().to_owned(),
            log_key: log.clone(),
            witness: w.key.clone(),
            url: w.url.as_ref()?.trim_end_matches('/').to_owned(),
            trusted,
        })
    };
    policy.witnesses().iter().filter_map(target).collect()
}

fn now_s(house: &House) -> u64 {
    u64::try_from(house.now().ms() / 1000).unwrap_or_default()
}

/// Shows a witness the newest checkpoint and keeps its line.
async fn submit(house: &Arc<House>, target: &Target) -> Result<(), Failure> {
    let (origin, witness) = target.key();
    let last =
        house.db.read(move |tx| rows::last_cosigned(tx, &origin, &witness).map_err(Failure::from)).await?;
    let mut old = last.map_or(0, |(size, _)| size);
    for _ in 0..TRIES {
        let (note, size, proof) = newest(house, target, old).await?;
        let body = AddCheckpoint { old: old.min(size), proof, note: note.as_bytes() }.body();
        let post = Post {
            address: format!("{}/add-checkpoint", target.url),
            headers: Vec::new(),
            body,
            trusted: target.trusted,
        };
        let answer = house.outside.submit(post).await.map_err(Failure::Unavailable)?;
        match answer.status {
            200 => {
                house.trail.heads.heard.store(true, Ordering::Relaxed);
                let text = note.split_once("\n\n").map(|(text, _)| format!("{text}\n")).unwrap_or_default();
                let (line, at) = read_answer(&answer.body, &text, &target.witness, now_s(house))
                    .map_err(|e| Failure::Unavailable(format!("its answer does not count: {e}")))?;
                let (origin, witness) = target.key();
                house
                    .db
                    .write(move |tx| {
                        rows::insert_cosignature(tx, &origin, size, &witness, &line, at)
                            .map_err(Failure::from)
                    })
                    .await?;
                Counters::add(&house.counters().cosignatures, 1);
                house.trail.heads.cosigned.notify_waiters();
                return Ok(());
            }
            409 => {
                let said = read_size(&answer.body)
                    .ok_or_else(|| Failure::Unavailable("it names no size with its 409".into()))?;
                if said > size {
                    let judged = larger(house, target, said, size).await;
                    house.trail.heads.heard.store(true, Ordering::Relaxed);
                    return judged;
                }
                old = said;
            }
            status => {
                return Err(Failure::Unavailable(format!("it answered with status {status}")));
            }
        }
    }
    Err(Failure::Unavailable("it names another size each time".into()))
}

/// The newest checkpoint, and that it continues the tree of `old` leaves.
async fn newest(
    house: &Arc<House>,
    target: &Target,
    old: u64,
) -> Result<(String, u64, Vec<bailee_proof::hash::Hash>), Failure> {
    let shown = target.shown.clone();
    house
        .db
        .read(move |tx| {
            let signed = match &shown {
                Shown::HeadLog => rows::newest_checkpoints(tx, 1)?.into_iter().next(),
                Shown::Tenant(tenant) => trail_rows::newest_checkpoint(&mut tx.tenant(tenant))?,
            };
            let signed = signed.ok_or_else(|| Failure::Unavailable("nothing is signed yet".into()))?;
            let old = old.min(signed.size);
            let proof = match &shown {
                Shown::HeadLog => tree::consistency(&mut HeadRows(tx), old, signed.size)?,
                Shown::Tenant(tenant) => {
                    tree::consistency(&mut TenantRows(&mut tx.tenant(tenant)), old, signed.size)?
                }
            };
            Ok((signed.note, signed.size, proof))
        })
        .await
}

/// A witness claims to have cosigned more than there is. Only our own signature proves it: then the database is older
/// than what this house published, and signing on would show two histories.
async fn larger(house: &Arc<House>, target: &Target, said: u64, size: u64) -> Result<(), Failure> {
    let address = format!("{}/{}", target.url, monitoring_path(&target.origin));
    let note = house.outside.fetch_at(&address, target.trusted).await.map_err(Failure::Unavailable)?;
    let seen = Checkpoint::open(&note, &target.log_key)
        .map_err(|e| Failure::Unavailable(format!("it claims {said} entries and shows no proof: {e}")))?;
    // What was signed while we asked is no proof of anything.
    let (_, size_now, _) = newest(house, target, size).await?;
    if seen.size <= size_now {
        return Ok(());
    }
    if target.shown == Shown::HeadLog && !house.trail.heads.behind.swap(true, Ordering::Relaxed) {
        tracing::error!(
            witness = target.witness.name(),
            "this witness holds a head of {} entries with our signature and the database has {size_now}: no head is \
             signed until the newest backup is restored",
            seen.size
        );
    }
    Err(Failure::Damaged(format!("it holds a checkpoint of {} entries, and there are {size_now}", seen.size)))
}
