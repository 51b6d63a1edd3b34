//! Seats: connections of sessions in this process, and whether their sessions live.
//!
//! One worker looks at all seats of this process together, ten times a second and right after each act that may have ended one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bailee_crypto::seal::SealingKey;
use bailee_store::TenantTx;
use bailee_types::{AccessKeyId, SecretBytes, TenantId, Timestamp};
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::recording::{Place, Recorder, Side};
use super::session::hash;
use super::target::secret_of;
use super::{Session, Settings, rows};
use crate::keys::TenantKey;
use crate::{Failure, House};

/// A seat whose session could not be confirmed for so many milliseconds ends.
pub const LEASE_MS: u64 = 500;
/// Streams of one set of keys in one process.
pub const STREAMS_MAX: usize = 32;
/// How often the worker looks.
const LOOK: Duration = Duration::from_millis(100);
/// It does not look more often than this.
const PAUSE: Duration = Duration::from_millis(10);

/// What the broker room keeps in memory.
pub(crate) struct BrokerState {
    /// Where recordings lie.
    pub(super) folder: PathBuf,
    live: Mutex<HashMap<String, Live>>,
    /// Keys with which somebody reads here now.
    reading: Mutex<HashMap<String, Held>>,
    /// Making a recorder takes a moment; two connections of one session wait for each other.
    entering: tokio::sync::Mutex<()>,
    poke: Notify,
}

/// A session that has seats in this process, or a recording that is not closed yet.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) tenant: TenantId,
    pub(super) recorder: Arc<Recorder>,
    lease: watch::Sender<Lease>,
    /// Some while there are seats.
    seats: Weak<()>,
}

impl Lease {
    /// Why it does not hold any more.
    fn over(&self) -> Option<String> {
        let is_old = self.seen.elapsed() >= Duration::from_millis(LEASE_MS);
        self.ended.clone().or_else(|| is_old.then(|| "the house could not say that the grant lives".into()))
    }
}

/// A stream that an operator reads with the keys of a grant.
pub struct Reading {
    lease: watch::Receiver<Lease>,
    _stream: Arc<()>,
}

impl Reading {
    /// Asked before each segment.
    ///
    /// # Errors
    /// Why no further byte may leave.
    pub fn goes_on(&self) -> Result<(), Failure> {
        match self.lease.borrow().over() {
            None => Ok(()),
            Some(why) => Err(Failure::Conflict(format!("the read was cut: {why}"))),
        }
    }
}

/// Keys of a grant with which this process sends something.
#[derive(Clone)]
struct Held {
    tenant: TenantId,
    lease: watch::Sender<Lease>,
    /// Some while there are streams.
    streams: Weak<()>,
}

#[derive(Clone, Debug)]
struct Lease {
    /// When it was last seen alive; before the look began.
    seen: Instant,
    ended: Option<String>,
}

/// One connection of a session.
pub struct Seat {
    house: Arc<House>,
    /// The session.
    pub session: Session,
    /// Where its target is.
    pub settings: Settings,
    secret: Option<SecretBytes>,
    recorder: Arc<Recorder>,
    lease: watch::Receiver<Lease>,
    _seated: Arc<()>,
}

impl BrokerState {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            folder: data.join("recordings"),
            live: Mutex::default(),
            reading: Mutex::default(),
            entering: tokio::sync::Mutex::default(),
            poke: Notify::new(),
        }
    }

    /// Watches over a stream that is read with these keys. Whoever sends it asked the gate since, which looked itself.
    pub(super) fn read_with(&self, tenant: &TenantId, keys: &AccessKeyId) -> Result<Reading, Failure> {
        let mut reading = self.reading.lock();
        let there = reading.get(keys.as_str()).and_then(|held| Some((held.clone(), held.streams.upgrade()?)));
        let (held, stream) = there.unwrap_or_else(|| {
            let stream = Arc::new(());
            let lease = watch::Sender::new(Lease { seen: Instant::now(), ended: None });
            let held = Held { tenant: tenant.clone(), lease, streams: Arc::downgrade(&stream) };
            reading.insert(keys.to_string(), held.clone());
            (held, stream)
        });
        // Each holds a window in memory.
        if Arc::strong_count(&stream) > STREAMS_MAX {
            return Err(Failure::Throttled(1));
        }
        Ok(Reading { lease: held.lease.subscribe(), _stream: stream })
    }

    fn readers(&self) -> Vec<(TenantId, String, watch::Sender<Lease>)> {
        let mut reading = self.reading.lock();
        reading.retain(|_, held| held.streams.strong_count() > 0);
        reading.iter().map(|(id, held)| (held.tenant.clone(), id.clone(), held.lease.clone())).collect()
    }

    /// Something happened that may have ended a session.
    pub(crate) fn look(&self) {
        self.poke.notify_one();
    }

    pub(super) fn of_this_process(&self) -> Vec<(String, Live)> {
        self.live.lock().iter().map(|(id, live)| (id.clone(), live.clone())).collect()
    }

    /// Forgets a session whose part is closed.
    pub(super) fn forget(&self, id: &str) {
        self.live.lock().remove(id);
    }
}

impl Live {
    /// Why it ended, when it has.
    pub(super) fn ended(&self) -> Option<String> {
        self.lease.borrow().ended.clone()
    }

    pub(super) fn has_seats(&self) -> bool {
        self.seats.strong_count() > 0
    }

    fn end(&self, why: String) {
        end(&self.lease, why);
    }
}

fn end(lease: &watch::Sender<Lease>, why: String) {
    lease.send_if_modified(|lease| {
        let ends = lease.ended.is_none();
        if ends {
            lease.ended = Some(why);
        }
        ends
    });
}

impl House {
    /// Lets a connection in that shows a session's name and secret at a broker of its family. All of a no is the same.
    ///
    /// # Errors
    /// `NotFound` when there is no such session, the secret is another, or it has ended; `Unavailable` when it cannot be
    /// recorded.
    pub async fn enter_session(
        self: &Arc<Self>,
        family: &str,
        (name, secret): (&str, &str),
        peer: IpAddr,
    ) -> Result<Seat, Failure> {
        let no = || Failure::not_found(crate::Thing::BrokerSession, "of this name and secret");
        let id = name.to_owned();
        let now = self.now();
        let found = self
            .db
            .read(move |tx| {
                let Some((session, secret_hash)) = rows::session_to_enter(tx, &id)? else { return Ok(None) };
                let live = crate::consent::lives(&mut tx.tenant(&session.tenant), &session.grant, now)?;
                let row = rows::target(&mut tx.tenant(&session.tenant), &session.target)?;
                Ok::<_, Failure>(Some((session, secret_hash, live.is_ok(), row)))
            })
            .await?;
        // Who guesses names learns nothing by the time either.
        let shown = hash(secret);
        let known = found.as_ref().map_or("", |f| f.1.as_str());
        let is_right = bool::from(shown.as_bytes().ct_eq(known.as_bytes()));
        let Some((session, _, true, Some(row))) = found.filter(|_| is_right) else {
            tracing::info!(peer = %peer, "a broker refused a session's name or secret");
            return Err(no());
        };
        if session.ended.is_some() || now >= session.until || row.settings.family() != family {
            return Err(no());
        }
        if session.limits.family() != family {
            return Err(no());
        }
        let key = self.tenant_key(&session.tenant).await?;
        let secret = secret_of(&key, &row)?.map(SecretBytes::new);
        let (recorder, lease, seated) = self.seat(&session, &key).await?;
        Ok(Seat {
            house: Arc::clone(self),
            settings: row.settings,
            session,
            secret,
            recorder,
            lease,
            _seated: seated,
        })
    }

    async fn seat(
        self: &Arc<Self>,
        session: &Session,
        key: &Arc<TenantKey>,
    ) -> Result<(Arc<Recorder>, watch::Receiver<Lease>, Arc<()>), Failure> {
        let _entering = self.broker.entering.lock().await;
        {
            let mut live = self.broker.live.lock();
            if let Some(live) = live.get_mut(&session.id)
                && live.ended().is_none()
            {
                let seated = live.seats.upgrade().unwrap_or_default();
                live.seats = Arc::downgrade(&seated);
                return Ok((Arc::clone(&live.recorder), live.lease.subscribe(), seated));
            }
            if live.contains_key(&session.id) {
                return Err(Failure::not_found(crate::Thing::BrokerSession, "of this name and secret"));
            }
        }
        let frames = SealingKey::random();
        let (tenant, id, now) = (session.tenant.clone(), session.id.clone(), self.now());
        let (instance, key, of_frames) = (self.instance.clone(), Arc::clone(key), frames.clone());
        let grant = session.grant.clone();
        let (place, seen) = self
            .db
            .write(move |tx| {
                // The lease counts from this look; the queue before it costs none of it.
                let seen = Instant::now();
                let mut tx = tx.tenant(&tenant);
                if crate::consent::lives(&mut tx, &grant, now)?.is_err() {
                    return Err(Failure::not_found(crate::Thing::BrokerSession, "of this name and secret"));
                }
                let part = rows::next_part(&mut tx, &id)?;
                let place = Place { tenant: tenant.clone(), session: id, part };
                let sealed = key.seal_trail(&place.purpose(), of_frames.bytes());
                rows::open_part(&mut tx, &place, &instance, &sealed, now)?;
                Ok::<_, Failure>((place, seen))
            })
            .await?;
        let recorder = Recorder::create(&self.broker.folder, place, frames)
            .map_err(|e| Failure::Unavailable(format!("a recording cannot be begun: {e}")))?;
        let recorder = Arc::new(recorder);
        let (sender, receiver) = watch::channel(Lease { seen, ended: None });
        let seated = Arc::new(());
        let live = Live {
            tenant: session.tenant.clone(),
            recorder: Arc::clone(&recorder),
            lease: sender,
            seats: Arc::downgrade(&seated),
        };
        self.broker.live.lock().insert(session.id.clone(), live);
        self.broker.look();
        Ok((recorder, receiver, seated))
    }

    /// Looks once at all sessions of this process, and at the keys with which somebody reads.
    pub(super) async fn look_at_leases(self: &Arc<Self>) -> Result<(), Failure> {
        let seats = self.broker.of_this_process();
        let mut watched: Vec<_> = seats.into_iter().map(|(id, live)| (live.tenant, id, live.lease)).collect();
        watched.extend(self.broker.readers());
        watched.retain(|(_, _, lease)| lease.borrow().ended.is_none());
        if watched.is_empty() {
            return Ok(());
        }
        let (began, now) = (Instant::now(), self.now());
        let ids: Vec<_> = watched.iter().map(|(tenant, id, _)| (tenant.clone(), id.clone())).collect();
        let states = self
            .db
            .read(move |tx| {
                ids.iter()
                    .map(|(tenant, id)| over(&mut tx.tenant(tenant), id, now))
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        for ((_, _, lease), ended) in watched.iter().zip(states) {
            match ended {
                Some(why) => end(lease, why),
                None => lease.send_modify(|lease| lease.seen = lease.seen.max(began)),
            }
        }
        Ok(())
    }
}

/// Why a session, or a set of keys, is over at `now`.
fn over(tx: &mut TenantTx<'_, '_>, id: &str, now: Timestamp) -> Result<Option<String>, Failure> {
    let (grant, ended) = if let Ok(keys) = AccessKeyId::parse(id) {
        let Some(row) = rows::keys(tx, id)? else { return Ok(Some("they are gone".into())) };
        (row.grant, super::keys_ended(tx, &keys, now)?)
    } else {
        let Some(session) = rows::session(tx, id)? else { return Ok(Some("it is gone".into())) };
        (session.grant, session.ended.map(|e| e.why))
    };
    if ended.is_some() {
        return Ok(ended);
    }
    Ok(crate::consent::lives(tx, &grant, now)?.err().map(|e| e.to_string()))
}

/// The worker.
pub(crate) async fn watch_leases(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(e) = house.look_at_leases().await {
            tracing::warn!("sessions cannot be looked at: {e}");
        }
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = house.broker.poke.notified() => {}
            _ = stop.wait_for(|s| *s) => break,
        }
    }
    for (_, live) in house.broker.of_this_process() {
        live.end("the server stops".into());
    }
    for (_, _, lease) in house.broker.readers() {
        end(&lease, "the server stops".into());
    }
}

impl Seat {
    /// What opens the target.
    pub fn secret(&self) -> Option<&SecretBytes> {
        self.secret.as_ref()
    }

    /// Writes what passes into the recording. When it answers, the frame survives this process.
    ///
    /// # Errors
    /// Why the session ends: it cannot be recorded, or has ended.
    pub fn record(&self, side: Side, channel: u32, bytes: &[u8]) -> Result<(), String> {
        if let Some(why) = self.ended_now() {
            return Err(why);
        }
        self.recorder.write(self.house.now(), side, channel, bytes).inspect_err(|why| {
            if let Some(live) = self.house.broker.live.lock().get(&self.session.id) {
                live.end(why.clone());
            }
        })
    }

    /// Why the session has ended, when it has.
    pub fn ended_now(&self) -> Option<String> {
        match self.lease.borrow().over() {
            None if self.house.now() >= self.session.until => Some("the grant has expired".into()),
            over => over,
        }
    }

    /// Waits until the session must end; says why.
    pub async fn ended(&self) -> String {
        let mut lease = self.lease.clone();
        loop {
            if let Some(why) = self.ended_now() {
                return why;
            }
            let rest =
                Duration::from_millis(LEASE_MS).saturating_sub(lease.borrow_and_update().seen.elapsed());
            tokio::select! {
                changed = lease.changed() => if changed.is_err() { return "the server stops".into() },
                () = tokio::time::sleep(rest.min(LOOK)) => {}
            }
        }
    }
}
