//! The gateway to hosts over SSH.
//!
//! An operator's ordinary `ssh`, `scp` or `sftp` shows a session's name as user and its secret as password. For each
//! channel the gateway logs in to the host with a certificate made for it (see `host`): one principal, five minutes, this
//! gateway's address, nothing forwarded. What passes is recorded first, both ways, whatever the channel carries.
//! INVARIANT: a byte goes on after [`crate::Seat::record`] took it and while the session has not ended; see `line`.
//! INVARIANT: of channels only `session` opens; of requests only terminal, environment (`LANG`, `LC_*`), shell, command,
//! `sftp`, window and signal pass, as far as the grant allows them.
//! INVARIANT: each channel has its own connection to the host and its own queue, so that one that stands still holds up none
//! of the others for long; see `channel` for how long.
//!
//! In a recording a channel has two numbers: an even one for what is sent in and shown, the odd one after it for the
//! standard error of a command without a terminal. Notes carry the even one.

pub mod asciicast;
mod channel;
mod command;
mod front;
mod host;
mod line;
mod pressure;
pub mod sftp;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use bailee_types::Clock;
use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};
use russh::{MethodKind, MethodSet, Preferred, SshId, kex, server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::seat::{Door, Ended, Seat};
use front::Front;
use host::Kill;
use line::Line;
use pressure::{Pressure, Throttled};

/// How many connections there may be at once; more are closed at once.
pub const CONNECTIONS_MAX: usize = 256;
/// How many of them may be of clients that showed no secret yet: strangers take no place of people at work.
pub const STRANGERS_MAX: usize = 64;
/// How long a client may take until the keys are exchanged.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long a person may take until the session's secret is typed.
const LOGIN: Duration = Duration::from_secs(120);
/// How long a session that ended may take to say so to its channels, and then to its client.
const LAST_WORDS: Duration = Duration::from_millis(100);
const GOODBYE: Duration = Duration::from_millis(50);

/// Curves only: OpenSSH knows them since 2014, and a group exchange lets strangers make us count.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// What all connections share.
struct Shared<D> {
    door: Arc<D>,
    clock: Arc<dyn Clock>,
    channels: AtomicU32,
}

/// An SSH server that ends at a door.
pub struct Gateway<D: Door> {
    shared: Arc<Shared<D>>,
    config: Arc<server::Config>,
    host_key: String,
}

impl<D: Door> Gateway<D> {
    /// A gateway that shows the host key of this seed (Ed25519).
    pub fn new(door: Arc<D>, clock: Arc<dyn Clock>, host_key_seed: &[u8; 32]) -> Self {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(host_key_seed));
        let host_key = key.public_key().to_openssh().unwrap_or_default();
        let mut preferred = Preferred::DEFAULT;
        preferred.kex = KEX.into();
        let config = server::Config {
            preferred,
            server_id: SshId::Standard("SSH-2.0-Bailee".into()),
            methods: MethodSet::from(&[MethodKind::KeyboardInteractive, MethodKind::Password][..]),
            auth_rejection_time: Duration::from_secs(1),
            auth_rejection_time_initial: Some(Duration::ZERO),
            // Secrets are counted by `Front`; this also counts asking which methods there are.
            max_auth_attempts: 2 * front::TRIES_MAX,
            keys: vec![key],
            window_size: 1024 * 1024,
            channel_buffer_size: 1,
            inactivity_timeout: None,
            // Only so that something is sent to a client that is gone: one that is not read cannot answer.
            keepalive_interval: Some(Duration::from_secs(30)),
            keepalive_max: 0,
            nodelay: true,
            ..server::Config::default()
        };
        // Even numbers are channels, odd ones their standard error; a start by chance keeps two gateways apart that write
        // into one recording.
        let first = u32::from_be_bytes(bailee_types::random_bytes()) & 0x3fff_fffe;
        let shared = Arc::new(Shared { door, clock, channels: AtomicU32::new(first) });
        Self { shared, config: Arc::new(config), host_key }
    }

    /// The gateway's own public key, as it stands in a `known_hosts` file after the name.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// Takes connections until `stop` resolves; then all of them end.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
        let (stopped, _) = watch::channel(false);
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    tracing::warn!("the SSH gateway could not take a connection: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let place = Arc::clone(&places).try_acquire_owned();
            let (Ok(place), Ok(stranger)) = (place, Arc::clone(&strangers).try_acquire_owned()) else {
                tracing::warn!(%peer, "the SSH gateway has all the connections that it takes; one more was closed");
                continue;
            };
            let (shared, config, stopped) =
                (Arc::clone(&self.shared), Arc::clone(&self.config), stopped.subscribe());
            tokio::spawn(async move {
                if let Err(why) = connection(shared, config, stream, (peer, stranger), stopped).await {
                    tracing::debug!(%peer, "an SSH connection ended: {why}");
                }
                drop(place);
            });
        }
        let _ = stopped.send(true);
        let all = places.acquire_many(u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX));
        let _ = tokio::time::timeout(Duration::from_secs(1), all).await;
    }
}

/// One client, from its first byte until its last channel is gone.
async fn connection<D: Door>(
    shared: Arc<Shared<D>>,
    config: Arc<server::Config>,
    stream: TcpStream,
    (peer, stranger): (SocketAddr, OwnedSemaphorePermit),
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let (kill, stream) = Kill::of(stream).map_err(|e| e.to_string())?;
    // Whatever way this ends, the client's stream ends with it.
    let _kill = kill;
    let (alive, mut ports) = mpsc::channel::<()>(1);
    let (begun, mut stage) = watch::channel(front::Stage::Handshake);
    let pressure = Arc::new(Pressure::default());
    let stream = Throttled::new(stream, Arc::clone(&pressure));
    let front = Front::new(shared, peer.ip(), pressure, begun, alive);
    let running = tokio::time::timeout(HANDSHAKE, server::run_stream(config, stream, front));
    let session =
        running.await.map_err(|_| "no SSH greeting came".to_owned())?.map_err(|fault| fault.to_string())?;
    let handle = session.handle();
    tokio::pin!(session);
    let line = {
        let entered = enter(&mut stage);
        tokio::select! {
            line = entered => line?,
            gone = &mut session => return gone.map_err(|fault| fault.to_string()),
            _ = stopped.wait_for(|stopped| *stopped) => return Err("the gateway stops".to_owned()),
        }
    };
    drop(stranger);
    let mut gone = false;
    let ended = tokio::select! {
        ended = line.seat.ended() => Some(ended),
        ended = line.cut() => Some(ended),
        _ = stopped.wait_for(|stopped| *stopped) => Some(Ended("the gateway stops".to_owned())),
        // The client is gone; its channels may still hand on what they took.
        how = async {
            let how = (&mut session).await;
            gone = true;
            let _ = ports.recv().await;
            how
        } => {
            if let Err(fault) = how {
                tracing::info!(session = line.seat.session(), "an SSH connection broke: {fault}");
            }
            None
        }
    };
    if let Some(ended) = ended {
        line.end(&ended);
        let _ = tokio::time::timeout(LAST_WORDS, ports.recv()).await;
        let goodbye = async {
            let text = format!("session ended: {}", line::one_line(&ended.0));
            let _ = handle.disconnect(russh::Disconnect::ByApplication, text, String::new()).await;
            if !gone {
                let _ = session.await;
            }
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
    Ok(())
}

/// Waits for the client to be let in.
async fn enter<S: Seat>(stage: &mut watch::Receiver<front::Stage<S>>) -> Result<Arc<Line<S>>, String> {
    let late = |what: &str| format!("{what} took too long");
    let handshake = stage.wait_for(|s| !matches!(s, front::Stage::Handshake));
    let begun = tokio::time::timeout(HANDSHAKE, handshake).await.map_err(|_| late("the key exchange"))?;
    drop(begun.map_err(|_| "the connection closed".to_owned())?);
    let login = stage.wait_for(|s| matches!(s, front::Stage::In(_)));
    let entered = tokio::time::timeout(LOGIN, login).await.map_err(|_| late("the login"))?;
    match &*entered.map_err(|_| "the connection closed before a login".to_owned())? {
        front::Stage::In(line) => Ok(Arc::clone(line)),
        _ => Err(late("the login")),
    }
}
