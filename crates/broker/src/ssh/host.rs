//! The way to a host: its key is checked, and the login is a certificate that exists for this one connection.
//!
//! INVARIANT: a host whose key is not among the target's learns nothing but our greeting.
//! INVARIANT: a certificate names one principal, the address it is used from, the grant and the session; it lives five
//! minutes at most, never past the grant, and carries no extension but `permit-pty`, that only with a shell.

use std::net::{IpAddr, Shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bailee_types::Timestamp;
use russh::client::{self, AuthResult, ChannelOpenHandle, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::certificate::{Builder, CertType, Certificate};
use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};
use russh::keys::ssh_key::public::PublicKey;
use russh::{Channel, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, SshId};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::seat::{Seat, Target};

/// How long the way to the host may take.
const DIAL: Duration = Duration::from_secs(20);
const LIFE_MS: i64 = 5 * 60 * 1000;
/// The host's clock may be behind ours.
const BEFORE_MS: i64 = 60 * 1000;

/// Ends a stream when dropped, whoever still holds it.
pub(super) struct Kill(std::net::TcpStream);

impl Kill {
    pub(super) fn of(stream: TcpStream) -> std::io::Result<(Self, TcpStream)> {
        let stream = stream.into_std()?;
        let kill = Self(stream.try_clone()?);
        let stream = TcpStream::from_std(stream)?;
        stream.set_nodelay(true)?;
        Ok((kill, stream))
    }
}

impl Drop for Kill {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A channel on a host, in a connection of its own.
pub(super) struct Host {
    pub(super) read: ChannelReadHalf,
    pub(super) write: ChannelWriteHalf<client::Msg>,
    _handle: client::Handle<Guard>,
    _kill: Kill,
}

/// Where a connection stands with its host before the login.
pub(super) struct Dialled {
    handle: client::Handle<Guard>,
    kill: Kill,
    from: IpAddr,
}

/// Why there is no way to the host; the operator reads it.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoWay {
    #[error("the host at {0} cannot be reached: {1}")]
    Unreachable(String, String),
    #[error("the host at {0} did not answer in time")]
    Late(String),
    #[error("the host at {0} shows a key that is not on file; ask the tenant whether it was replaced")]
    WrongKey(String),
    #[error("the host's keys on file cannot be read: `{0}` is no Ed25519 or ECDSA key in OpenSSH's form")]
    Keys(String),
    #[error("the login `{0}` cannot stand in a certificate")]
    Login(String),
    #[error("the grant has ended")]
    Over,
    #[error("the host refuses the login as `{0}`; does it trust the tenant's authority (TrustedUserCAKeys)?")]
    Refused(String),
    #[error("no certificate could be made: {0}")]
    Certificate(russh::keys::ssh_key::Error),
    #[error("the connection to the host broke: {0}")]
    Broke(#[from] russh::Error),
    #[error("this session reaches no host")]
    NoHost,
}

/// Connects and checks the host's key.
pub(super) async fn dial(target: &Target) -> Result<Dialled, NoWay> {
    let Target::Host { address, host_keys, .. } = target else { return Err(NoWay::NoHost) };
    let keys = host_keys.iter().map(|key| known(key)).collect::<Result<Vec<_>, _>>()?;
    let mut config = client::Config {
        client_id: SshId::Standard("SSH-2.0-Bailee".into()),
        window_size: 1024 * 1024,
        channel_buffer_size: 16,
        keepalive_interval: Some(Duration::from_secs(30)),
        nodelay: true,
        ..client::Config::default()
    };
    // Only those algorithms are asked for of which a key is on file: else a host with several would show another.
    config.preferred.key = keys.iter().map(PublicKey::algorithm).collect::<Vec<_>>().into();
    let wrong = Arc::new(AtomicBool::new(false));
    let guard = Guard { keys, wrong: Arc::clone(&wrong) };
    let way = async {
        let unreachable = |e: std::io::Error| NoWay::Unreachable(address.clone(), e.to_string());
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        let from = stream.local_addr().map_err(unreachable)?.ip().to_canonical();
        let (kill, stream) = Kill::of(stream).map_err(unreachable)?;
        match client::connect_stream(Arc::new(config), stream, guard).await {
            Ok(handle) => Ok(Dialled { handle, kill, from }),
            Err(_) if wrong.load(Ordering::Acquire) => Err(NoWay::WrongKey(address.clone())),
            Err(russh::Error::NoCommonAlgo { .. }) => Err(NoWay::WrongKey(address.clone())),
            Err(e) => Err(NoWay::Unreachable(address.clone(), e.to_string())),
        }
    };
    tokio::time::timeout(DIAL, way).await.map_err(|_| NoWay::Late(address.clone()))?
}

/// The key for one connection, and what the authority says of it.
pub(super) struct Login {
    user: String,
    key: PrivateKey,
    certificate: Certificate,
}

impl Login {
    /// For the note that is recorded before it is used; a host's log names the same key id and serial number.
    pub(super) fn note(&self) -> Value {
        json!({
            "kind": "login", "login": self.user, "key_id": self.certificate.key_id(),
            "serial": self.certificate.serial().to_string(), "valid_before": self.certificate.valid_before(),
        })
    }
}

impl Dialled {
    /// Makes the key and the certificate for this connection.
    pub(super) fn login<S: Seat>(&self, seat: &S, now: Timestamp) -> Result<Login, NoWay> {
        let Target::Host { login, authority, shell, .. } = seat.target() else { return Err(NoWay::NoHost) };
        // A comma would make two principals of one.
        if login.is_empty() || !login.chars().all(|c| c.is_ascii_alphanumeric() || "._-@\\$".contains(c)) {
            return Err(NoWay::Login(login.clone()));
        }
        let seed: &[u8; 32] = authority
            .expose()
            .try_into()
            .map_err(|_| NoWay::Certificate(russh::keys::ssh_key::Error::Crypto))?;
        let authority = PrivateKey::from(Ed25519Keypair::from_seed(seed));
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&bailee_types::random_bytes()));
        let until = seat.until().min(now.plus_ms(LIFE_MS));
        if until <= now {
            return Err(NoWay::Over);
        }
        let seconds = |at: Timestamp| u64::try_from(at.secs()).unwrap_or_default();
        let certificate = (|| {
            let mut builder = Builder::new(
                bailee_types::random_bytes::<32>().to_vec(),
                key.public_key().key_data().clone(),
                seconds(now.plus_ms(-BEFORE_MS)),
                seconds(until),
            )?;
            let prefix = if self.from.is_ipv4() { 32 } else { 128 };
            builder
                .serial(u64::from_be_bytes(bailee_types::random_bytes()))?
                .key_id(format!("grant:{} session:{}", seat.grant(), seat.session()))?
                .cert_type(CertType::User)?
                .valid_principal(login.as_str())?
                .critical_option("source-address", format!("{}/{prefix}", self.from))?;
            if *shell {
                builder.extension("permit-pty", "")?;
            }
            builder.sign(&authority)
        })()
        .map_err(NoWay::Certificate)?;
        Ok(Login { user: login.clone(), key, certificate })
    }

    /// Logs in and opens the channel.
    pub(super) async fn open(mut self, login: Login, address: &str) -> Result<Host, NoWay> {
        let way = async {
            let Login { user, key, certificate } = login;
            match self.handle.authenticate_openssh_cert(&user, Arc::new(key), certificate).await? {
                AuthResult::Success => {}
                AuthResult::Failure { .. } => return Err(NoWay::Refused(user)),
            }
            let (read, write) = self.handle.channel_open_session().await?.split();
            Ok(Host { read, write, _handle: self.handle, _kill: self.kill })
        };
        tokio::time::timeout(DIAL, way).await.map_err(|_| NoWay::Late(address.to_owned()))?
    }
}

fn known(key: &str) -> Result<PublicKey, NoWay> {
    let parsed = PublicKey::from_openssh(key.trim()).map_err(|_| NoWay::Keys(key.to_owned()))?;
    let algorithm = parsed.algorithm();
    if algorithm.clone().is_ed25519() || algorithm.is_ecdsa() {
        Ok(parsed)
    } else {
        Err(NoWay::Keys(key.to_owned()))
    }
}

/// Believes the host's keys on file, and lets the host open nothing.
pub(super) struct Guard {
    keys: Vec<PublicKey>,
    wrong: Arc<AtomicBool>,
}

/// What a host may not open.
macro_rules! refuse {
    ($($name:ident($($argument:ty),*);)*) => {$(
        async fn $name(
            &mut self,
            _channel: Channel<client::Msg>,
            $(_: $argument,)*
            reply: ChannelOpenHandle,
            _session: &mut Session,
        ) -> Result<(), russh::Error> {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            Ok(())
        }
    )*};
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let right = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.keys.iter().any(|known| known.key_data() == key.key_data())
            }
            PublicKeyOrCertificate::Certificate(_) => false,
        };
        self.wrong.store(!right, Ordering::Release);
        Ok(right)
    }

    refuse! {
        server_channel_open_session();
        server_channel_open_agent_forward();
        server_channel_open_unknown();
        server_channel_open_forwarded_streamlocal(&str);
        server_channel_open_direct_streamlocal(&str);
        server_channel_open_x11(&str, u32);
        server_channel_open_forwarded_tcpip(&str, u32, &str, u32);
        server_channel_open_direct_tcpip(&str, u32, &str, u32);
    }
}
