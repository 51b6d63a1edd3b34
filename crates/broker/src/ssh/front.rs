//! What a client may ask: one client's requests, answered by the grant.
//!
//! Requests are answered here, in their order; what passes goes into the channel's queue, which [`super::channel`] empties.
//! INVARIANT: what a client may not have it is told at once, and a `refused` note says what it was.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bailee_types::SecretText;
use bytes::Bytes;
use russh::server::{Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Response, Session};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, Pty, Sig};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::channel::{Event, Job, Piece, Start, Terminal, Watch};
use super::line::{Line, one_line};
use super::pressure::Pressure;
use super::sftp::Rules;
use super::{Shared, command};
use crate::seat::{Door, Ended, Family, Hello, Refused, Seat, Target};

/// How many secrets a connection may try.
pub(super) const TRIES_MAX: usize = 3;
/// How many channels a connection may have.
pub(super) const CHANNELS_MAX: usize = 16;
/// How many variables of environment a channel may set, and how long each may be.
const VARIABLES_MAX: usize = 32;
const VARIABLE_LEN_MAX: usize = 256;
/// The longest command.
const COMMAND_MAX: usize = 128 * 1024;

const BANNER: &str =
    "Bailee: the user is a session's name (s-...), the password its secret. What passes is recorded.\r\n";

/// How far a connection has come.
pub(super) enum Stage<S> {
    /// Keys are exchanged.
    Handshake,
    /// The client may show a name and a secret.
    Login,
    /// It was let in.
    In(Arc<Line<S>>),
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    #[error("the session ended: {0}")]
    Ended(#[from] Ended),
    #[error("{TRIES_MAX} secrets were wrong")]
    Tries,
    #[error("a channel before the login")]
    Early,
}

/// A channel as the client's side sees it.
enum Port {
    /// Open; what is to run in it was not said.
    Idle { client: ChannelWriteHalf<Msg>, terminal: Option<Terminal>, environment: Vec<(String, String)> },
    /// Running in a task of its own; `_open` tells it when the client closes.
    Running { queue: mpsc::UnboundedSender<Piece>, held: Arc<AtomicUsize>, _open: oneshot::Sender<()> },
}

/// Answers one client.
pub(super) struct Front<D: Door> {
    shared: Arc<Shared<D>>,
    peer: IpAddr,
    pressure: Arc<Pressure>,
    stage: watch::Sender<Stage<D::Seat>>,
    line: Option<Arc<Line<D::Seat>>>,
    tries: usize,
    refusal: Option<String>,
    ports: HashMap<ChannelId, (u32, Port)>,
    /// A place for each channel that runs; one that its client closed runs until the host has what was sent.
    places: Arc<Semaphore>,
    alive: mpsc::Sender<()>,
}

impl<D: Door> Front<D> {
    pub(super) fn new(
        shared: Arc<Shared<D>>,
        peer: IpAddr,
        pressure: Arc<Pressure>,
        stage: watch::Sender<Stage<D::Seat>>,
        alive: mpsc::Sender<()>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(CHANNELS_MAX));
        Self {
            shared,
            peer,
            pressure,
            stage,
            line: None,
            tries: 0,
            refusal: None,
            ports: HashMap::new(),
            places,
            alive,
        }
    }

    async fn admit(&mut self, user: &str, secret: SecretText) -> Result<Auth, Fault> {
        if self.tries >= TRIES_MAX || self.line.is_some() {
            return Err(Fault::Tries);
        }
        self.tries += 1;
        let named = user.len() <= 64 && user.bytes().all(|b| b.is_ascii_graphic());
        let entered = if named {
            let hello = Hello { family: Family::Host, name: user, secret, peer: self.peer };
            self.shared.door.enter(hello).await
        } else {
            Err(Refused("no session has this name".to_owned()))
        };
        let entered = entered.and_then(|seat| match seat.target() {
            Target::Host { .. } => Ok(seat),
            _ => Err(Refused("this session reaches no host; its own broker lets it in".to_owned())),
        });
        match entered {
            Ok(seat) => {
                self.line = Some(Arc::new(Line::new(seat)));
                Ok(Auth::Accept)
            }
            Err(Refused(why)) => {
                tracing::info!(peer = %self.peer, "an SSH login was refused: {}", one_line(&why));
                self.refusal = Some(why);
                Ok(Auth::reject())
            }
        }
    }

    fn line(&self) -> Result<&Arc<Line<D::Seat>>, Fault> {
        self.line.as_ref().ok_or(Fault::Early)
    }

    /// Says no, and writes it down.
    async fn refuse(&self, channel: Option<ChannelId>, what: &str, mut more: Value) -> Result<(), Fault> {
        more["kind"] = json!("refused");
        more["what"] = json!(what);
        let number = channel.and_then(|id| self.ports.get(&id)).map_or(0, |(number, _)| *number);
        Ok(self.line()?.note(number, more).await?)
    }

    /// Puts an event into a channel's queue.
    fn queue(&mut self, channel: ChannelId, event: Event) {
        if let Some((_, Port::Running { queue, held, .. })) = self.ports.get(&channel) {
            let bytes = if let Event::Data(data) = &event { data.len() } else { 0 };
            // A task that is gone takes no more: then this is nobody's.
            let _ = queue.send(Piece { event, held: self.pressure.hold(bytes, held) });
        }
    }

    /// Starts what a channel is for.
    fn start(&mut self, id: ChannelId, start: Start, session: &mut Session) -> Result<(), Fault> {
        let line = Arc::clone(self.line()?);
        let Some((number, port)) = self.ports.remove(&id) else { return Ok(()) };
        let Port::Idle { client, terminal, environment } = port else {
            self.ports.insert(id, (number, port));
            return Ok(session.channel_failure(id)?);
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Ok(session.close(id)?);
        };
        let (sender, queue) = mpsc::unbounded_channel();
        let (open, closed) = oneshot::channel();
        let held = Arc::new(AtomicUsize::new(0));
        let port = Port::Running { queue: sender, held: Arc::clone(&held), _open: open };
        self.ports.insert(id, (number, port));
        let job = Job {
            line,
            watch: Watch::new(Arc::clone(&self.pressure), held),
            clock: Arc::clone(&self.shared.clock),
            number,
            peer: self.peer,
            terminal,
            environment,
            start,
            queue,
            client,
            handle: session.handle(),
        };
        let alive = self.alive.clone();
        tokio::spawn(async move {
            job.run(closed).await;
            drop((place, alive));
        });
        Ok(session.channel_success(id)?)
    }

    /// Forgets channels that the host closed: of the client's answer to that, `russh` says nothing.
    fn forget_ended(&mut self) {
        self.ports.retain(|_, (_, port)| !matches!(port, Port::Running { queue, .. } if queue.is_closed()));
        self.pressure.channels.store(self.ports.len(), Ordering::Release);
    }

    fn idle(&self, id: ChannelId) -> bool {
        matches!(self.ports.get(&id), Some((_, Port::Idle { .. })))
    }

    fn allowed(&self) -> Result<Allowed, Fault> {
        match self.line()?.seat.target() {
            Target::Host { shell, exec, download, upload, .. } => Ok(Allowed {
                shell: *shell,
                exec: *exec,
                files: Rules { download: *download, upload: *upload },
            }),
            _ => Err(Fault::Early),
        }
    }
}

/// What the grant allows.
struct Allowed {
    shell: bool,
    exec: bool,
    files: Rules,
}

impl<D: Door> russh::server::Handler for Front<D> {
    type Error = Fault;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Fault> {
        self.stage.send_replace(Stage::Login);
        Ok(Some(BANNER.to_owned()))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Fault> {
        self.admit(user, SecretText::new(password.to_owned())).await
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Fault> {
        let secret = response.and_then(|mut given| given.next());
        if let Some(secret) = secret {
            let secret = SecretText::new(String::from_utf8_lossy(&secret).into_owned());
            return self.admit(user, secret).await;
        }
        let refusal = self.refusal.take().map(|why| one_line(&why)).unwrap_or_default();
        Ok(Auth::Partial {
            name: "".into(),
            instructions: refusal.into(),
            prompts: vec![("Secret of the session: ".into(), false)].into(),
        })
    }

    async fn auth_publickey_offered(&mut self, _: &str, _: PublicKeyOffer<'_>) -> Result<Auth, Fault> {
        Ok(Auth::reject())
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Fault> {
        let line = Arc::clone(self.line()?);
        tracing::info!(session = line.seat.session(), peer = %self.peer, "a session came in over SSH");
        self.stage.send_replace(Stage::In(line));
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.line()?;
        self.forget_ended();
        if self.ports.len() >= CHANNELS_MAX {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let number = self.shared.channels.fetch_add(2, Ordering::Relaxed);
        let id = channel.id();
        // The half for reading is dropped: what comes in is taken by `Front::data`, and nothing waits for a reader.
        let (_, client) = channel.split();
        self.ports.insert(id, (number, Port::Idle { client, terminal: None, environment: Vec::new() }));
        self.pressure.channels.store(self.ports.len(), Ordering::Release);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        host: &str,
        port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.refuse(None, "direct-tcpip", json!({ "to": format!("{}:{port}", one_line(host)) })).await?;
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.refuse(None, "direct-streamlocal", json!({ "to": one_line(path) })).await?;
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn tcpip_forward(&mut self, host: &str, port: &mut u32, _: &mut Session) -> Result<bool, Fault> {
        let to = format!("{}:{port}", one_line(host));
        self.refuse(None, "tcpip-forward", json!({ "to": to })).await?;
        Ok(false)
    }

    async fn streamlocal_forward(&mut self, path: &str, _: &mut Session) -> Result<bool, Fault> {
        self.refuse(None, "streamlocal-forward", json!({ "to": one_line(path) })).await?;
        Ok(false)
    }

    async fn agent_request(&mut self, id: ChannelId, _session: &mut Session) -> Result<bool, Fault> {
        self.refuse(Some(id), "agent forwarding", json!({})).await?;
        Ok(false)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.refuse(Some(id), "x11 forwarding", json!({})).await?;
        Ok(session.channel_failure(id)?)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Fault> {
        let passes = (name == "LANG" || name.starts_with("LC_"))
            && name.len() <= VARIABLE_LEN_MAX
            && value.len() <= VARIABLE_LEN_MAX
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && value.bytes().all(|b| b.is_ascii_graphic());
        match self.ports.get_mut(&id) {
            Some((_, Port::Idle { environment, .. })) if passes && environment.len() < VARIABLES_MAX => {
                environment.push((name.to_owned(), value.to_owned()));
                Ok(session.channel_success(id)?)
            }
            _ => {
                self.refuse(Some(id), "environment", json!({ "name": one_line(name) })).await?;
                Ok(session.channel_failure(id)?)
            }
        }
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        cols: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Fault> {
        let shell = self.allowed()?.shell;
        match self.ports.get_mut(&id) {
            Some((_, Port::Idle { terminal: terminal @ None, .. }))
                if shell && term.len() <= VARIABLE_LEN_MAX =>
            {
                *terminal = Some(Terminal {
                    term: one_line(term),
                    size: [cols, rows, width, height],
                    modes: modes.to_vec(),
                });
                Ok(session.channel_success(id)?)
            }
            _ => {
                self.refuse(Some(id), "terminal", json!({})).await?;
                Ok(session.channel_failure(id)?)
            }
        }
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Fault> {
        if self.idle(id) && self.allowed()?.shell {
            return self.start(id, Start::Shell, session);
        }
        self.refuse(Some(id), "shell", json!({})).await?;
        Ok(session.channel_failure(id)?)
    }

    async fn exec_request(&mut self, id: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Fault> {
        let allowed = self.allowed()?;
        let passes = allowed.exec || command::copies(data, allowed.files);
        if self.idle(id) && passes && data.len() <= COMMAND_MAX {
            return self.start(id, Start::Exec(data.to_vec()), session);
        }
        let shown: String = String::from_utf8_lossy(data).chars().take(4096).collect();
        self.refuse(Some(id), "exec", json!({ "command": shown })).await?;
        Ok(session.channel_failure(id)?)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Fault> {
        let files = self.allowed()?.files;
        if name == "sftp" && self.idle(id) && (files.download || files.upload) {
            return self.start(id, Start::Sftp(files), session);
        }
        self.refuse(Some(id), "subsystem", json!({ "name": one_line(name) })).await?;
        Ok(session.channel_failure(id)?)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        cols: u32,
        rows: u32,
        width: u32,
        height: u32,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.queue(id, Event::Resize([cols, rows, width, height]));
        Ok(())
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, _session: &mut Session) -> Result<(), Fault> {
        self.queue(id, Event::Signal(signal));
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Fault> {
        self.queue(id, Event::Data(Bytes::copy_from_slice(data)));
        Ok(())
    }

    async fn extended_data(&mut self, id: ChannelId, _: u32, _: &[u8], _: &mut Session) -> Result<(), Fault> {
        self.refuse(Some(id), "extended data", json!({})).await
    }

    async fn channel_eof(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), Fault> {
        self.queue(id, Event::Eof);
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), Fault> {
        // The queue ends with its sender; the task hands on what is in it and then closes at the host.
        self.ports.remove(&id);
        self.forget_ended();
        Ok(())
    }
}
