//! One channel: its connection to the host, and the two pumps between.
//!
//! What a host does not read waits in the channel's queue. When all queues of a connection are full, its client is not read
//! (see [`super::pressure`]), and its other channels wait too. So a channel whose host takes nothing for [`STUCK`] ends, if
//! there are others, or if its own output waits for a client that cannot be heard. Alone and silent it may wait for ever.
//! INVARIANT: in either direction a piece is recorded, then forwarded, then the next one is looked at; what waits is bounded
//! by [`super::pressure::HELD_MAX`] and the windows of both sides.
//! INVARIANT: whatever way a channel ends, its connection to the host ends with it.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bailee_types::Clock;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use russh::client;
use russh::server;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty, Sig};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::front::CHANNELS_MAX;
use super::host::{self, Host, NoWay};
use super::line::{Line, one_line};
use super::pressure::{HELD_MAX, Held, Pressure};
use super::sftp::{Broken, Gate, Rules, Step};
use crate::seat::{Ended, Seat, Side, Target};

/// How long a host may take nothing while others wait behind it.
const STUCK: Duration = Duration::from_secs(5);
/// How much goes on at once, so that a slow host is seen to move.
const STEP: usize = 32 * 1024;
/// How much is recorded and forwarded in one piece: less syncing, and a terminal never has so much.
const PIECE_MAX: usize = 256 * 1024;
/// How long what a client left behind may take to reach the host.
const LEFTOVERS: Duration = Duration::from_secs(10);
/// How long the end of a session may take to be said in a channel.
const LAST_WORDS: Duration = Duration::from_millis(40);
/// How many answers of ours may wait for an SFTP client that does not read.
const ANSWERS_MAX: usize = 64;
const STDERR: u32 = 1;

/// The terminal that a client asked for.
pub(super) struct Terminal {
    pub(super) term: String,
    /// Columns, rows, and both in pixels.
    pub(super) size: [u32; 4],
    pub(super) modes: Vec<(Pty, u32)>,
}

/// What is to run in a channel.
pub(super) enum Start {
    Shell,
    Exec(Vec<u8>),
    Sftp(Rules),
}

/// What a client sent into a running channel.
pub(super) enum Event {
    Data(Bytes),
    Resize([u32; 4]),
    Signal(Sig),
    Eof,
}

/// An event with its place in the queue.
pub(super) struct Piece {
    pub(super) event: Event,
    pub(super) held: Held,
}

/// Whether a channel moves.
pub(super) struct Watch {
    pressure: Arc<Pressure>,
    held: Arc<AtomicUsize>,
    /// Grows with all that goes on.
    moved: AtomicUsize,
    /// Whether output waits for the client.
    unread: AtomicBool,
}

impl Watch {
    pub(super) fn new(pressure: Arc<Pressure>, held: Arc<AtomicUsize>) -> Self {
        Self { pressure, held, moved: AtomicUsize::new(0), unread: AtomicBool::new(false) }
    }

    /// Resolves when this channel holds up what should not wait.
    async fn stuck(&self) -> Stop {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            tokio::time::sleep(STUCK / 10).await;
            let now = self.moved.load(Ordering::Acquire);
            let holds_up = self.pressure.is_high()
                && self.held.load(Ordering::Acquire) >= HELD_MAX / CHANNELS_MAX
                && (self.pressure.channels.load(Ordering::Acquire) > 1
                    || self.unread.load(Ordering::Acquire));
            if !holds_up || now != before {
                (before, since) = (now, Instant::now());
            } else if since.elapsed() >= STUCK {
                return Stop::Stuck;
            }
        }
    }
}

/// All that a channel needs to run.
pub(super) struct Job<S> {
    pub(super) line: Arc<Line<S>>,
    pub(super) watch: Watch,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) number: u32,
    pub(super) peer: IpAddr,
    pub(super) terminal: Option<Terminal>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) start: Start,
    pub(super) queue: mpsc::UnboundedReceiver<Piece>,
    pub(super) client: ChannelWriteHalf<server::Msg>,
    pub(super) handle: server::Handle,
}

/// Why a channel ended before the host closed it.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("session ended: {0}")]
    Ended(#[from] Ended),
    #[error(transparent)]
    NoWay(#[from] NoWay),
    #[error("the host does not take the terminal")]
    Terminal,
    #[error("the host does not run this")]
    Refused,
    #[error("{0}")]
    Sftp(#[from] Broken),
    #[error("the host closed the connection")]
    Lost,
    #[error(
        "the host reads nothing of what was sent, and other channels of this connection waited behind it"
    )]
    Stuck,
    /// Nobody is there to be told.
    #[error("the client is gone")]
    Gone,
}

impl<S: Seat> Job<S> {
    /// Runs the channel until either side closes it (the client: `closed`), the session ends, or it holds up others.
    pub(super) async fn run(mut self, closed: oneshot::Receiver<()>) {
        let mut host = None;
        let line = Arc::clone(&self.line);
        let stop = {
            let work = async {
                let host = host.insert(self.connect().await?);
                self.pump(host).await
            };
            tokio::select! {
                biased;
                ended = line.cut() => Err(Stop::Ended(ended)),
                stop = given_up(closed) => Err(stop),
                done = work => done,
            }
        };
        if let Err(stop) = stop {
            self.broken(&stop, host.as_ref()).await;
        }
        drop(host);
        let _ = tokio::time::timeout(LAST_WORDS, self.handle.close(self.client.id())).await;
    }

    /// Says why a channel ends. After the end of a session nothing more is written down.
    async fn broken(&self, stop: &Stop, host: Option<&Host>) {
        let why = one_line(&stop.to_string());
        if !matches!(stop, Stop::Ended(_)) {
            let note = self.line.note(self.number, json!({ "kind": "broken", "why": why }));
            let _ = tokio::time::timeout(LEFTOVERS, note).await;
        }
        let id = self.client.id();
        let words = async {
            let text = format!("\r\nbailee: {why}\r\n");
            let _ = self.handle.extended_data(id, STDERR, text.into_bytes()).await;
            let _ = self.handle.exit_status_request(id, 255).await;
            let _ = self.handle.eof(id).await;
        };
        // A command without a terminal would go on when its connection goes.
        let hang_up = async {
            if let Some(host) = host {
                let _ = host.write.signal(Sig::HUP).await;
                tokio::time::sleep(LAST_WORDS / 4).await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, async { tokio::join!(words, hang_up) }).await;
    }

    /// Logs in to the host and starts what was asked for.
    async fn connect(&mut self) -> Result<Host, Stop> {
        let seat = &self.line.seat;
        let Target::Host { address, login, .. } = seat.target() else { return Err(NoWay::NoHost.into()) };
        let connect = json!({
            "kind": "connect", "address": address, "login": login, "peer": self.peer.to_string(),
            "operator": seat.operator(), "stderr": self.number + 1,
        });
        self.line.note(self.number, connect).await?;
        let dialled = host::dial(seat.target()).await?;
        let login = dialled.login(&**seat, self.clock.now())?;
        self.line.note(self.number, login.note()).await?;
        let mut host = dialled.open(login, address).await?;
        self.line.note(self.number, self.begins()).await?;
        for (name, value) in self.environment.drain(..) {
            host.write.set_env(false, name, value).await.map_err(|_| Stop::Lost)?;
        }
        if let Some(Terminal { term, size: [cols, rows, width, height], modes }) = &self.terminal {
            let asked = host.write.request_pty(true, term, *cols, *rows, *width, *height, modes);
            asked.await.map_err(|_| Stop::Lost)?;
            if !agreed(&mut host.read).await? {
                return Err(Stop::Terminal);
            }
        }
        let asked = match &self.start {
            Start::Shell => host.write.request_shell(true).await,
            Start::Exec(command) => host.write.exec(true, command.clone()).await,
            Start::Sftp(_) => host.write.request_subsystem(true, "sftp").await,
        };
        asked.map_err(|_| Stop::Lost)?;
        if agreed(&mut host.read).await? { Ok(host) } else { Err(Stop::Refused) }
    }

    /// The note of what begins.
    fn begins(&self) -> Value {
        let mut note = match &self.start {
            Start::Shell => json!({ "kind": "shell" }),
            Start::Exec(command) => match std::str::from_utf8(command) {
                Ok(command) => json!({ "kind": "exec", "command": command }),
                Err(_) => json!({
                    "kind": "exec", "command": String::from_utf8_lossy(command),
                    "command_hex": command.iter().map(|b| format!("{b:02x}")).collect::<String>(),
                }),
            },
            Start::Sftp(rules) => {
                json!({ "kind": "sftp", "op": "begin", "download": rules.download, "upload": rules.upload })
            }
        };
        if let Some(terminal) = &self.terminal {
            note["term"] = json!(terminal.term);
            note["cols"] = json!(terminal.size[0]);
            note["rows"] = json!(terminal.size[1]);
        }
        if !self.environment.is_empty() {
            note["environment"] = json!(self.environment);
        }
        note
    }

    /// Both directions at once, until the host closes.
    async fn pump(&mut self, host: &mut Host) -> Result<(), Stop> {
        let gate = match self.start {
            Start::Sftp(rules) => Some(Mutex::new(Gate::new(rules))),
            _ => None,
        };
        let (answers, answered) = mpsc::channel(ANSWERS_MAX);
        let Host { read, write, .. } = host;
        let up = Up {
            line: &self.line,
            watch: &self.watch,
            number: self.number,
            host: write,
            gate: gate.as_ref(),
            answers,
        };
        let down = Down {
            line: &self.line,
            watch: &self.watch,
            number: self.number,
            client: &self.client,
            handle: &self.handle,
            gate: gate.as_ref(),
        };
        let done = tokio::select! {
            stop = up.run(&mut self.queue) => Err(stop),
            stop = self.watch.stuck() => Err(stop),
            done = down.run(read, answered) => done,
        };
        for note in gate.map(|gate| gate.into_inner().rest()).unwrap_or_default() {
            self.line.note(self.number, note).await?;
        }
        done
    }
}

/// Resolves when the client has been gone for [`LEFTOVERS`].
async fn given_up(closed: oneshot::Receiver<()>) -> Stop {
    let _ = closed.await;
    tokio::time::sleep(LEFTOVERS).await;
    Stop::Gone
}

/// Whether the host agrees to what was asked.
async fn agreed(host: &mut ChannelReadHalf) -> Result<bool, Stop> {
    loop {
        match tokio::time::timeout(LEFTOVERS, host.wait()).await.map_err(|_| Stop::Lost)? {
            Some(ChannelMsg::Success) => return Ok(true),
            Some(ChannelMsg::Failure) => return Ok(false),
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            _ => return Err(Stop::Lost),
        }
    }
}

/// From the client to the host.
struct Up<'a, S> {
    line: &'a Line<S>,
    watch: &'a Watch,
    number: u32,
    host: &'a ChannelWriteHalf<client::Msg>,
    gate: Option<&'a Mutex<Gate>>,
    answers: mpsc::Sender<Vec<u8>>,
}

impl<S: Seat> Up<'_, S> {
    async fn run(self, queue: &mut mpsc::UnboundedReceiver<Piece>) -> Stop {
        let mut next = None;
        loop {
            let taken = match next.take() {
                Some(piece) => Some(piece),
                None => queue.recv().await,
            };
            let done = match taken {
                // The client closed. The host hears it after all that was sent, and its own close ends the channel.
                None => {
                    let _ = self.host.close().await;
                    return std::future::pending().await;
                }
                Some(Piece { event: Event::Data(first), held }) => {
                    let mut weights = vec![held];
                    let mut data = BytesMut::from(first);
                    while data.len() < PIECE_MAX {
                        match queue.try_recv() {
                            Ok(Piece { event: Event::Data(more), held }) => {
                                data.extend_from_slice(&more);
                                weights.push(held);
                            }
                            other => {
                                next = other.ok();
                                break;
                            }
                        }
                    }
                    self.data(data.freeze()).await
                }
                Some(Piece { event, .. }) => self.event(event).await,
            };
            if let Err(stop) = done {
                return stop;
            }
        }
    }

    async fn event(&self, event: Event) -> Result<(), Stop> {
        match event {
            Event::Data(data) => return self.data(data).await,
            Event::Resize([cols, rows, width, height]) => {
                self.line.note(self.number, json!({ "kind": "resize", "cols": cols, "rows": rows })).await?;
                self.host.window_change(cols, rows, width, height).await
            }
            Event::Signal(signal) => {
                self.line.note(self.number, json!({ "kind": "signal", "signal": name(&signal) })).await?;
                self.host.signal(signal).await
            }
            Event::Eof => {
                self.line.note(self.number, json!({ "kind": "eof", "side": "client" })).await?;
                self.host.eof().await
            }
        }
        .map_err(|_| Stop::Lost)
    }

    async fn data(&self, data: Bytes) -> Result<(), Stop> {
        let Some(gate) = self.gate else { return self.forward(data).await };
        let steps = gate.lock().from_client(&data)?;
        let mut whole = Vec::new();
        for step in steps {
            match step {
                Step::Pass(packet) => whole.extend(packet),
                Step::Note(note) => {
                    self.forward(std::mem::take(&mut whole).into()).await?;
                    self.line.note(self.number, note).await?;
                }
                Step::Answer(packet) => {
                    let _ = self.answers.send(packet).await;
                }
            }
        }
        self.forward(whole.into()).await
    }

    async fn forward(&self, mut data: Bytes) -> Result<(), Stop> {
        if data.is_empty() {
            return Ok(());
        }
        self.line.record(Side::Client, self.number, &data).await?;
        while !data.is_empty() {
            let step = data.split_to(data.len().min(STEP));
            self.watch.moved.fetch_add(1, Ordering::AcqRel);
            self.host.data_bytes(step).await.map_err(|_| Stop::Lost)?;
        }
        Ok(())
    }
}

/// From the host to the client.
struct Down<'a, S> {
    line: &'a Line<S>,
    watch: &'a Watch,
    number: u32,
    client: &'a ChannelWriteHalf<server::Msg>,
    handle: &'a server::Handle,
    gate: Option<&'a Mutex<Gate>>,
}

impl<S: Seat> Down<'_, S> {
    async fn run(self, host: &mut ChannelReadHalf, mut answers: mpsc::Receiver<Vec<u8>>) -> Result<(), Stop> {
        let mut next = None;
        loop {
            let message = match next.take() {
                Some(message) => Some(message),
                None => tokio::select! {
                    message = host.wait() => message,
                    Some(answer) = answers.recv() => {
                        self.tell(None, answer.into()).await?;
                        continue;
                    }
                },
            };
            match message {
                None => return Err(Stop::Lost),
                Some(ChannelMsg::Close) => return Ok(()),
                Some(ChannelMsg::Data { data: first }) => {
                    let mut data = BytesMut::from(first);
                    while data.len() < PIECE_MAX {
                        match at_once(host.wait()).await {
                            Some(Some(ChannelMsg::Data { data: more })) => data.extend_from_slice(&more),
                            Some(None) => break,
                            Some(other) => {
                                next = other;
                                break;
                            }
                            None => break,
                        }
                    }
                    self.data(data.freeze()).await?;
                }
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                    self.line.record(Side::Target, self.number + 1, &data).await?;
                    self.tell(Some(STDERR), data).await?;
                }
                Some(message) => self.event(message).await?,
            }
        }
    }

    async fn data(&self, data: Bytes) -> Result<(), Stop> {
        let data = match self.gate {
            Some(gate) => Bytes::from(gate.lock().from_host(&data)?),
            None => data,
        };
        if data.is_empty() {
            return Ok(());
        }
        self.line.record(Side::Target, self.number, &data).await?;
        self.tell(None, data).await
    }

    async fn tell(&self, extended: Option<u32>, data: Bytes) -> Result<(), Stop> {
        self.watch.unread.store(true, Ordering::Release);
        let told = match extended {
            None => self.client.data_bytes(data).await,
            Some(kind) => self.client.extended_data_bytes(kind, data).await,
        };
        self.watch.unread.store(false, Ordering::Release);
        self.watch.moved.fetch_add(1, Ordering::AcqRel);
        told.map_err(|_| Stop::Gone)
    }

    async fn event(&self, message: ChannelMsg) -> Result<(), Stop> {
        let id = self.client.id();
        match message {
            ChannelMsg::Eof => {
                self.line.note(self.number, json!({ "kind": "eof", "side": "target" })).await?;
                self.handle.eof(id).await
            }
            ChannelMsg::ExitStatus { exit_status } => {
                self.line.note(self.number, json!({ "kind": "exit", "status": exit_status })).await?;
                self.handle.exit_status_request(id, exit_status).await
            }
            ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, lang_tag } => {
                let note = json!({ "kind": "exit", "signal": name(&signal_name), "core": core_dumped });
                self.line.note(self.number, note).await?;
                self.handle.exit_signal_request(id, signal_name, core_dumped, error_message, lang_tag).await
            }
            // Windows and answers concern one side only.
            _ => Ok(()),
        }
        .map_err(|()| Stop::Gone)
    }
}

/// What a future has ready, without waiting.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        ready = future => Some(ready),
        () = std::future::ready(()) => None,
    }
}

fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => one_line(name),
        signal => format!("{signal:?}"),
    }
}
