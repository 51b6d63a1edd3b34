//! PostgreSQL: a proxy that ends the client's login, logs in with a role made for this connection, and pumps messages.
//!
//! What the session may is what its role may: the database says no, not a reading of statements. The role is a member of the
//! target's roles, has its own random password, cannot outlive the grant, and is gone when the connection is.
//! INVARIANT: the client's secret goes no further than [`Door::enter`]; the credentials of the target never go to the client.
//! INVARIANT: no role is made before the recording took the note of it, and one that was made is removed: by this connection, or
//! by the next one of any broker when this one died.
//! INVARIANT: everything that a stranger can make the broker hold or wait for has a limit.

mod frames;
mod guard;
mod link;
mod notes;
mod pump;
mod role;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bailee_types::{SecretText, random_bytes};
use bytes::{BufMut as _, BytesMut};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::frames::{Broken, Key, Opening, fatal, message, opening, put_sized, put_text};
use self::link::{Account, Link};
use self::pump::{Pace, Pump, Stop};
use self::role::{Role, Scope, sweep};
use crate::{Door, Ended, Family, Frame, Hello, Seat, Side, Target};

/// Sessions at one time; and so many connections that have not logged in yet.
const CONNECTIONS: usize = 256;
/// For a client to show who it is.
const STARTUP_TIME: Duration = Duration::from_secs(20);
const STARTUP_MAX: usize = 10_000;
const PASSWORD_MAX: usize = 1_024;
/// For a client to take its last message.
const LAST_WORD_TIME: Duration = Duration::from_millis(100);
/// For removing roles when the broker stops.
const STOP_TIME: Duration = Duration::from_secs(20);
const CANCEL_TIME: Duration = Duration::from_secs(10);
/// Parameters of a client's startup that reach the database.
const PARAMETERS: [&str; 5] =
    ["application_name", "client_encoding", "datestyle", "timezone", "extra_float_digits"];

/// Lets clients of PostgreSQL in.
pub struct Proxy<D: Door> {
    door: Arc<D>,
    live: Mutex<HashMap<Key, Live<D::Seat>>>,
    entering: Arc<Semaphore>,
    seated: Semaphore,
    channels: AtomicU32,
}

/// What a request to cancel needs.
struct Live<S> {
    seat: Arc<S>,
    channel: u32,
    address: SocketAddr,
    key: Key,
}

impl<S> Clone for Live<S> {
    fn clone(&self) -> Self {
        Self { seat: Arc::clone(&self.seat), ..*self }
    }
}

/// A client that showed a session's name and secret.
struct Client<S> {
    stream: TcpStream,
    peer: IpAddr,
    seat: Arc<S>,
    parameters: Vec<(String, String)>,
}

impl<D: Door> Proxy<D> {
    /// In front of `door`.
    pub fn new(door: Arc<D>) -> Arc<Self> {
        Arc::new(Self {
            door,
            live: Mutex::default(),
            entering: Arc::new(Semaphore::new(CONNECTIONS)),
            seated: Semaphore::new(CONNECTIONS),
            channels: AtomicU32::new(0),
        })
    }

    /// Serves clients until `stop` resolves; then ends all sessions and removes their roles.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()> + Send) {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(ended) = tasks.join_next() => {
                    if let Err(e) = ended { tracing::error!("a connection to PostgreSQL failed: {e}"); }
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Ok(entering) = Arc::clone(&self.entering).try_acquire_owned() else { continue };
                    let (proxy, stopped) = (Arc::clone(&self), stopped.clone());
                    tasks.spawn(async move { proxy.connection(stream, peer.ip(), entering, stopped).await });
                }
                Err(e) => {
                    tracing::warn!("a connection to PostgreSQL could not be accepted: {e}");
                    // Out of descriptors: others have to end first.
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(STOP_TIME, all).await.is_err() {
            tracing::warn!("sessions to PostgreSQL did not end in time; the next broker removes their roles");
        }
    }

    async fn connection<P>(
        &self,
        mut stream: TcpStream,
        peer: IpAddr,
        entering: P,
        stopped: watch::Receiver<bool>,
    ) {
        let _ = stream.set_nodelay(true);
        let mut stops = stopped.clone();
        let entered = tokio::select! {
            entered = timeout(STARTUP_TIME, self.enter(&mut stream, peer)) => entered,
            _ = stops.wait_for(|stops| *stops) => return,
        };
        drop(entering);
        let (seat, parameters) = match entered {
            Ok(Ok(Some(entered))) => entered,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(broken)) => return last_word(&mut stream, broken.code, &broken.text).await,
        };
        let Ok(_seated) = self.seated.try_acquire() else {
            return last_word(&mut stream, "53300", "too many sessions are open here; try again later").await;
        };
        self.session(Client { stream, peer, seat, parameters }, stopped).await;
    }

    /// Who comes in and what he wants to set; or nobody, when a request to cancel was answered.
    async fn enter(
        &self,
        stream: &mut TcpStream,
        peer: IpAddr,
    ) -> Result<Option<(Arc<D::Seat>, Vec<(String, String)>)>, Broken> {
        // A client may ask for TLS and for GSS encryption, once each.
        for _ in 0..3 {
            match opening(&packet(stream, STARTUP_MAX).await?)? {
                Opening::Encryption => write(stream, b"N").await?,
                Opening::Cancel(key) => {
                    self.cancel(&key).await;
                    return Ok(None);
                }
                Opening::Start { minor, parameters } => {
                    let seat = self.log_in(stream, peer, minor, &parameters).await?;
                    return Ok(Some((seat, parameters)));
                }
            }
        }
        Err(Broken::protocol("encryption was asked for too often"))
    }

    async fn log_in(
        &self,
        stream: &mut TcpStream,
        peer: IpAddr,
        minor: u16,
        parameters: &[(String, String)],
    ) -> Result<Arc<D::Seat>, Broken> {
        let value = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let refused = |text: String| Broken { code: "28000", text };
        let unknown: Vec<&str> = parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| name.starts_with("_pq_."))
            .collect();
        if minor > 0 || !unknown.is_empty() {
            write(stream, &only_3_0(&unknown)).await?;
        }
        if !matches!(value("replication"), None | Some("false" | "off" | "no" | "0")) {
            return Err(refused("replication does not go through a session".to_owned()));
        }
        let name =
            value("user").ok_or_else(|| refused("the user is missing: a session's name".to_owned()))?;
        write(stream, &message(b'R', &3u32.to_be_bytes())).await?;
        let hello = Hello { family: Family::Database, name, secret: password(stream).await?, peer };
        let seat = self.door.enter(hello).await.map_err(|e| Broken { code: "28P01", text: e.0 })?;
        let Target::Database { database, .. } = seat.target() else {
            return Err(refused("this session is not for a database".to_owned()));
        };
        // Clients that name none mean one with the user's name.
        match value("database") {
            Some(other) if other != database && other != name => {
                let text = format!("this session is for database `{database}`, not for `{other}`");
                Err(Broken { code: "3D000", text })
            }
            _ => Ok(seat),
        }
    }

    async fn session(&self, mut client: Client<D::Seat>, stopped: watch::Receiver<bool>) {
        let seat = Arc::clone(&client.seat);
        let Target::Database { address, database, admin, password, roles, read_only, statement_ms, mask } =
            seat.target()
        else {
            return;
        };
        let scope = Scope { admin, roles, read_only: *read_only, statement_ms: *statement_ms };
        let account = Account { address, database, role: admin, password };
        let pump = Pump {
            seat: &*seat,
            channel: self.channels.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
            read_only: *read_only,
            mask: *mask,
            between: AtomicBool::new(true),
            pace: Pace::new(*statement_ms),
        };
        let role = Role::random(seat.session());
        let connect = json!({
            "kind": "connect", "channel": pump.channel, "family": "database", "peer": client.peer,
            "database": database, "role": role.name, "read_only": read_only, "scope": roles,
            "parameters": passed(&client.parameters).collect::<Vec<_>>(),
            "ignored": client.parameters.iter().map(|(name, _)| name).filter(|name| !is_used(name)).collect::<Vec<_>>(),
        });
        if let Err(ended) = pump.note(&connect).await {
            let (code, text) = ("57P01", format!("session ended: {ended}"));
            return last_word(&mut client.stream, code, &text).await;
        }
        let mut administering = None;
        let stop = tokio::select! {
            stop = self.run(&mut client, &pump, &account, &scope, &role, &mut administering) => stop,
            stop = interrupted(&*seat, stopped) => stop,
        };
        let told = stop.told();
        let say = async {
            if let Some((code, text)) = told.filter(|_| pump.between.load(Ordering::Relaxed)) {
                last_word(&mut client.stream, code, &text).await;
            }
            let _ = timeout(LAST_WORD_TIME, client.stream.shutdown()).await;
        };
        let ((), removed) = tokio::join!(say, remove(&role, administering, &account, &scope));
        if let Err(e) = &removed {
            tracing::error!(role = %role.name, session = seat.session(), "a session's role is not removed yet: {e}");
        }
        let end = json!({"kind": "end", "channel": pump.channel, "why": stop.reason(), "role_removed": removed.is_ok()});
        if let Err(ended) = pump.note(&end).await {
            tracing::warn!(
                session = seat.session(),
                "the end of a connection is not in its recording: {ended}"
            );
        }
    }

    /// Makes the role, logs in as it, and pumps.
    async fn run(
        &self,
        client: &mut Client<D::Seat>,
        pump: &Pump<'_, D::Seat>,
        account: &Account<'_>,
        scope: &Scope<'_>,
        role: &Role,
        administering: &mut Option<Link>,
    ) -> Stop {
        let failed = |text: String| Stop::Refused(Broken { code: "08006", text });
        let admin = match administer(account).await {
            Ok(admin) => administering.insert(admin),
            Err(e) => return failed(e),
        };
        if let Err(e) = sweep(admin).await {
            tracing::warn!(database = account.database, "left-over roles cannot be looked for: {e}");
        }
        if let Err(e) = role.create(admin, pump.seat, scope).await {
            return failed(e);
        }
        let as_role = Account { role: &role.name, password: &role.password, ..account.clone() };
        let parameters: Vec<(String, String)> = passed(&client.parameters).cloned().collect();
        let mut target = match Link::login(&as_role, &parameters).await {
            Ok(target) => target,
            Err(e) => return failed(e),
        };
        let Ok(address) = target.stream.peer_addr() else { return Stop::Gone };
        let key = Registered::new(self, pump, client, address, target.key);
        if let Err(ended) = pump.record(Side::Target, Some(&target.greeting), &[]).await {
            return ended.into();
        }
        let mut welcome = message(b'R', &0u32.to_be_bytes());
        welcome.extend_from_slice(&message(b'K', &key.key));
        welcome.extend_from_slice(&target.greeting);
        pump.between.store(false, Ordering::Relaxed);
        if client.stream.write_all(&welcome).await.is_err() {
            return Stop::Left;
        }
        pump.between.store(true, Ordering::Relaxed);
        let (from_client, to_client) = client.stream.split();
        let (from_target, to_target) = target.stream.split();
        tokio::select! {
            stop = pump.up(from_client, to_target) => stop,
            stop = pump.down(from_target, to_client, target.unread) => stop,
            stop = pump.pace.overrun() => stop,
            e = admin.broken() => failed(format!("the session is no longer administered: {e}")),
        }
    }

    async fn cancel(&self, key: &Key) {
        let Some(live) = self.live.lock().get(key).cloned() else { return };
        let note = json!({"kind": "cancel", "channel": live.channel}).to_string();
        let frame = Frame { side: Side::Note, channel: live.channel, bytes: note.as_bytes() };
        if live.seat.record(frame).await.is_err() {
            return;
        }
        let send = async {
            let mut target = TcpStream::connect(live.address).await?;
            let mut request = BytesMut::new();
            put_sized(&mut request, &[&80_877_102u32.to_be_bytes()[..], &live.key].concat());
            target.write_all(&request).await?;
            // The database closes when it has passed the signal on.
            target.read_u8().await
        };
        let _ = timeout(CANCEL_TIME, send).await;
    }
}

/// A connection's entry among those that can be cancelled; dropping it takes it out.
struct Registered<'a, D: Door> {
    proxy: &'a Proxy<D>,
    key: Key,
}

impl<'a, D: Door> Registered<'a, D> {
    fn new(
        proxy: &'a Proxy<D>,
        pump: &Pump<'_, D::Seat>,
        client: &Client<D::Seat>,
        address: SocketAddr,
        target_key: Key,
    ) -> Self {
        let key = random_bytes();
        let seat = Arc::clone(&client.seat);
        proxy.live.lock().insert(key, Live { seat, channel: pump.channel, address, key: target_key });
        Self { proxy, key }
    }
}

impl<D: Door> Drop for Registered<'_, D> {
    fn drop(&mut self) {
        self.proxy.live.lock().remove(&self.key);
    }
}

async fn interrupted(seat: &impl Seat, mut stopped: watch::Receiver<bool>) -> Stop {
    tokio::select! {
        ended = seat.ended() => ended.into(),
        _ = stopped.wait_for(|stops| *stops) => Ended("the broker stops".to_owned()).into(),
    }
}

/// Logs in as the administering role, with settings that neither the database nor the role can change.
async fn administer(account: &Account<'_>) -> Result<Link, String> {
    let settings = [
        ("application_name", "bailee broker"),
        ("client_encoding", "UTF8"),
        ("search_path", "pg_catalog"),
        ("standard_conforming_strings", "on"),
        ("default_transaction_read_only", "off"),
        ("statement_timeout", "0"),
        ("lock_timeout", "2000"),
    ];
    Link::login(account, &settings.map(|(name, value)| (name.to_owned(), value.to_owned()))).await
}

async fn remove(
    role: &Role,
    admin: Option<Link>,
    account: &Account<'_>,
    scope: &Scope<'_>,
) -> Result<(), String> {
    // Never reached: nothing was made.
    let Some(mut admin) = admin else { return Ok(()) };
    // It may be broken, or stand in the middle of an answer: then another one waits until its work is over.
    if role.remove(&mut admin, scope).await.is_ok() {
        return Ok(());
    }
    drop(admin);
    let mut admin = administer(account).await?;
    role.lock(&mut admin).await?;
    role.remove(&mut admin, scope).await
}

fn is_used(parameter: &str) -> bool {
    matches!(parameter, "user" | "database") || PARAMETERS.contains(&parameter)
}

fn passed(parameters: &[(String, String)]) -> impl Iterator<Item = &(String, String)> {
    parameters.iter().filter(|(name, _)| PARAMETERS.contains(&name.as_str()))
}

/// A packet with a length and no type.
async fn packet(stream: &mut TcpStream, max: usize) -> Result<Vec<u8>, Broken> {
    let gone = |_| Broken::protocol("the client closed the connection");
    let len = stream.read_u32().await.map_err(gone)? as usize;
    match len.checked_sub(4) {
        Some(body) if len <= max => {
            let mut packet = vec![0; body];
            stream.read_exact(&mut packet).await.map_err(gone)?;
            Ok(packet)
        }
        _ => Err(Broken::protocol(format!("a startup packet cannot have a length of {len} bytes"))),
    }
}

async fn password(stream: &mut TcpStream) -> Result<SecretText, Broken> {
    let wanted = || Broken::protocol("a password is awaited: the session's secret");
    if stream.read_u8().await.map_err(|_| wanted())? != b'p' {
        return Err(wanted());
    }
    let mut text = packet(stream, PASSWORD_MAX).await?;
    text.pop_if(|last| *last == 0).ok_or_else(wanted)?;
    String::from_utf8(text).map(SecretText::new).map_err(|_| wanted())
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Broken> {
    stream.write_all(bytes).await.map_err(|_| Broken::protocol("the client closed the connection"))
}

/// "Of what you asked for, 3.0 without options is spoken".
fn only_3_0(unknown: &[&str]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u32(3 << 16);
    body.put_u32(u32::try_from(unknown.len()).unwrap_or(0));
    for name in unknown {
        put_text(&mut body, name);
    }
    message(b'v', &body)
}

/// Tells a client why it is the end, if it listens.
async fn last_word(stream: &mut TcpStream, code: &str, text: &str) {
    let _ = timeout(LAST_WORD_TIME, stream.write_all(&fatal(code, text))).await;
    let _ = timeout(LAST_WORD_TIME, stream.shutdown()).await;
}
