//! Between a client and a database: what comes from one is written down, then goes to the other, both ways at once.
//!
//! INVARIANT: bytes are recorded, with what they mean, before the first of them is forwarded. A message that is refused is not
//! forwarded, nor is anything behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};

use super::frames::{Broken, CLIENT, Fields, Message, Splitter, TARGET};
use super::guard::asks_to_write;
use super::link::GONE;
use super::notes::Notes;
use crate::{Ended, Frame, Seat, Side};

/// Read at once.
const READ_MAX: usize = 32 << 10;
/// What a statement may take beyond its time until the broker ends it: the database's own timeout comes first, unless the
/// client switched it off.
const GRACE: Duration = Duration::from_secs(1);

/// Why a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The client went.
    Left,
    /// The database closed the connection, after it said why.
    Gone,
    /// The session may not go on.
    Ended(Ended),
    /// The client or the database sent what is refused.
    Refused(Broken),
}

impl Stop {
    /// The SQLSTATE and text that the client is told.
    pub(super) fn told(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Left | Self::Gone => None,
            Self::Ended(why) => Some(("57P01", format!("session ended: {why}"))),
            Self::Refused(broken) => Some((broken.code, broken.text.clone())),
        }
    }

    /// What the recording says.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Left => "the client left".to_owned(),
            Self::Gone => GONE.to_owned(),
            Self::Ended(why) => why.to_string(),
            Self::Refused(broken) => broken.text.clone(),
        }
    }
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

/// One connection of a session.
pub(super) struct Pump<'a, S> {
    /// The session.
    pub(super) seat: &'a S,
    /// Its connection.
    pub(super) channel: u32,
    /// Whether it only reads.
    pub(super) read_only: bool,
    /// Whether values stay out of notes.
    pub(super) mask: bool,
    /// Whether the client was sent whole messages only, so that one can follow.
    pub(super) between: AtomicBool,
    /// How long the database has been at work.
    pub(super) pace: Pace,
}

impl<S: Seat> Pump<'_, S> {
    /// From the client to the database, until one of them ends it.
    pub(super) async fn up(
        &self,
        mut client: impl AsyncRead + Unpin,
        mut target: impl AsyncWrite + Unpin,
    ) -> Stop {
        let (mut bytes, mut splitter) = (BytesMut::new(), Splitter::new(CLIENT));
        let mut notes = Notes::new(self.channel, self.mask);
        loop {
            bytes.reserve(READ_MAX);
            if !matches!(client.read_buf(&mut bytes).await, Ok(1..)) {
                return Stop::Left;
            }
            let (mut said, mut leaves) = (Vec::new(), false);
            let split = splitter.split(&bytes, |message| {
                said.extend(notes.of_client(message));
                self.check(message)?;
                self.pace.client_sends(message.tag);
                leaves |= message.tag == b'X';
                Ok(())
            });
            let passes = match split {
                Ok(passes) => passes,
                Err(broken) => return self.refuse(said, broken).await,
            };
            if let Err(ended) = self.record(Side::Client, bytes.get(..passes), &said).await {
                return ended.into();
            }
            if target.write_all(bytes.get(..passes).unwrap_or_default()).await.is_err() {
                return Stop::Gone;
            }
            if leaves {
                return Stop::Left;
            }
            bytes.advance(passes);
        }
    }

    /// From the database to the client, until one of them ends it.
    pub(super) async fn down(
        &self,
        mut target: impl AsyncRead + Unpin,
        mut client: impl AsyncWrite + Unpin,
        mut bytes: BytesMut,
    ) -> Stop {
        let mut splitter = Splitter::new(TARGET);
        let mut notes = Notes::new(self.channel, self.mask);
        loop {
            bytes.reserve(READ_MAX);
            if !matches!(target.read_buf(&mut bytes).await, Ok(1..)) {
                return Stop::Gone;
            }
            let mut said = Vec::new();
            let split = splitter.split(&bytes, |message| {
                said.extend(notes.of_target(message));
                self.pace.target_sends(message.tag);
                self.check_report(message)
            });
            let passes = match split {
                Ok(passes) => passes,
                Err(broken) => return self.refuse(said, broken).await,
            };
            if let Err(ended) = self.record(Side::Target, bytes.get(..passes), &said).await {
                return ended.into();
            }
            self.between.store(false, Ordering::Relaxed);
            if client.write_all(bytes.get(..passes).unwrap_or_default()).await.is_err() {
                return Stop::Left;
            }
            self.between.store(splitter.is_between(), Ordering::Relaxed);
            bytes.advance(passes);
        }
    }

    /// Writes down bytes that are about to pass, and what they mean.
    pub(super) async fn record(&self, side: Side, bytes: Option<&[u8]>, said: &[Value]) -> Result<(), Ended> {
        if let Some(bytes) = bytes.filter(|b| !b.is_empty()) {
            self.seat.record(Frame { side, channel: self.channel, bytes }).await?;
        }
        for note in said {
            self.note(note).await?;
        }
        Ok(())
    }

    /// Writes down a note.
    pub(super) async fn note(&self, note: &Value) -> Result<(), Ended> {
        let bytes = note.to_string();
        self.seat.record(Frame { side: Side::Note, channel: self.channel, bytes: bytes.as_bytes() }).await
    }

    /// What was tried is written down, though it does not pass.
    async fn refuse(&self, tried: Vec<Value>, broken: Broken) -> Stop {
        let note = json!({"kind": "refused", "channel": self.channel, "why": broken.text, "tried": tried});
        match self.note(&note).await {
            Ok(()) => Stop::Refused(broken),
            Err(ended) => ended.into(),
        }
    }

    fn check(&self, message: Message<'_>) -> Result<(), Broken> {
        let mut fields = Fields(message.body);
        match message.tag {
            b'Q' => (),
            b'P' => {
                fields.text();
            }
            _ => return Ok(()),
        }
        if self.read_only && asks_to_write(fields.0) {
            let text = "this session only reads: a read-write transaction is refused".to_owned();
            return Err(Broken { code: "25006", text });
        }
        Ok(())
    }

    /// Newer databases (14 on) report what transactions will be, however they were told to.
    fn check_report(&self, message: Message<'_>) -> Result<(), Broken> {
        if self.read_only && message.tag == b'S' && message.body == b"default_transaction_read_only\0off\0" {
            let text = "this session only reads: it was switched to read-write transactions".to_owned();
            return Err(Broken { code: "25006", text });
        }
        Ok(())
    }
}

/// Since when the database works on a statement.
pub(super) struct Pace {
    statement: Option<Duration>,
    state: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    since: Option<Instant>,
    /// Messages on the way that a `ReadyForQuery` answers.
    turns: u32,
    /// Whether some were sent that no such message follows yet.
    open: bool,
    /// Whether the last of them was a simple query.
    simple: bool,
}

impl Pace {
    /// With a limit for one statement; zero is none.
    pub(super) fn new(statement_ms: u32) -> Self {
        let statement = (statement_ms > 0).then(|| Duration::from_millis(statement_ms.into()));
        Self { statement, state: Mutex::default() }
    }

    fn client_sends(&self, tag: u8) {
        let mut work = self.state.lock();
        work.since.get_or_insert_with(Instant::now);
        match tag {
            b'Q' | b'F' => (work.turns, work.open, work.simple) = (work.turns.saturating_add(1), false, true),
            b'S' => (work.turns, work.open) = (work.turns.saturating_add(1), false),
            // A database that takes in a copy does not answer the Syncs before its end.
            b'c' | b'f' if !work.simple => (work.turns, work.open) = (0, true),
            b'P' | b'B' | b'E' | b'D' | b'C' => (work.open, work.simple) = (true, false),
            _ => (),
        }
    }

    fn target_sends(&self, tag: u8) {
        let mut work = self.state.lock();
        match tag {
            b'Z' => {
                work.turns = work.turns.saturating_sub(1);
                work.since = (work.turns > 0 || work.open).then(Instant::now);
            }
            // One statement, or one step of one, is over.
            b'C' | b'I' | b'E' | b's' | b'1' | b'2' | b'3' => {
                work.since = work.since.map(|_| Instant::now());
            }
            _ => (),
        }
    }

    /// Resolves when a statement runs for longer than it may.
    pub(super) async fn overrun(&self) -> Stop {
        let Some(limit) = self.statement else { return std::future::pending().await };
        loop {
            let since = self.state.lock().since;
            let ends = since.unwrap_or_else(Instant::now) + limit + GRACE;
            if since.is_some() && ends <= Instant::now() {
                let text = format!("a statement ran for longer than {} ms", limit.as_millis());
                return Stop::Refused(Broken { code: "57014", text });
            }
            sleep_until(ends).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the database counts as working after the messages, `<` before those that it sends.
    fn works(messages: &str) -> bool {
        let pace = Pace::new(1);
        let mut from_target = false;
        for tag in messages.bytes() {
            match (tag, from_target) {
                (b'<', _) => {
                    from_target = true;
                    continue;
                }
                (tag, true) => pace.target_sends(tag),
                (tag, false) => pace.client_sends(tag),
            }
            from_target = false;
        }
        pace.state.lock().since.is_some()
    }

    #[test]
    fn the_database_works_until_everything_is_answered() {
        for idle in [
            "",
            "Q<T<D<C<Z",
            "PBES<1<2<C<Z",
            "QQ<C<Z<C<Z",
            "PBES<1<2<E<Z",
            "Q<Gddc<C<Z",
            // A Sync while a copy comes in has no answer of its own.
            "PS<1<ZBES<2<GddcS<C<Z",
            "PBE<1<2<GdddfS<E<Z",
        ] {
            assert!(!works(idle), "{idle}");
        }
        for busy in ["Q", "Q<T<D", "QQ<C<Z", "PBEH<1<2", "QPBEH<C<Z", "PBESQ<1<2<C<Z", "Q<Gd"] {
            assert!(works(busy), "{busy}");
        }
    }
}
