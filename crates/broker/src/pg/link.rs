//! The broker's own connections to a database: login, and statements of the administering role.
//!
//! A database is asked for SCRAM-SHA-256; a password in clear goes only to this machine, and never as MD5.
//! INVARIANT: what a database sends before it is logged in to is bounded in time and size like everything else.

use std::time::Duration;

use bailee_types::SecretText;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::{Broken, Fields, Key, WHOLE_MAX, message, message_len, put_sized, put_text};

/// For reaching a database, for logging in, and for each statement of the administering role.
const STEP_TIME: Duration = Duration::from_secs(10);
/// What a database says to itself: the types of a session and those of a login.
const LOGIN: &[u8] = b"SZTDCIENARKv";

/// What is said of a connection that ended in the middle.
pub(super) const GONE: &str = "the database closed the connection";

/// A database and who logs in.
#[derive(Clone)]
pub(super) struct Account<'a> {
    /// `host:port`.
    pub(super) address: &'a str,
    /// The database.
    pub(super) database: &'a str,
    /// The role.
    pub(super) role: &'a str,
    /// Its password.
    pub(super) password: &'a SecretText,
}

/// A connection that is logged in and stands between two messages.
pub(super) struct Link {
    /// The connection.
    pub(super) stream: TcpStream,
    /// What was read and is not looked at yet.
    pub(super) unread: BytesMut,
    /// What cancels its statement.
    pub(super) key: Key,
    /// What the database said of itself (`S`, `N`) up to and with its first `Z`, as it came.
    pub(super) greeting: BytesMut,
    /// Whether an answer is on its way: nothing else can be asked then.
    busy: bool,
}

impl Link {
    /// Reaches a database and logs in with `parameters` besides user and database.
    pub(super) async fn login(
        account: &Account<'_>,
        parameters: &[(String, String)],
    ) -> Result<Self, String> {
        let connect = timeout(STEP_TIME, TcpStream::connect(account.address));
        let stream = match connect.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Err(format!("the database cannot be reached: {}", e.kind())),
            Err(_) => return Err("the database cannot be reached: timed out".to_owned()),
        };
        // Without it every small answer would wait for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (unread, greeting) = (BytesMut::new(), BytesMut::new());
        let link = Self { stream, unread, key: Key::default(), greeting, busy: false };
        timeout(STEP_TIME, link.log_in(account, parameters))
            .await
            .unwrap_or_else(|_| Err("the database does not finish the login".to_owned()))
    }

    async fn log_in(
        mut self,
        account: &Account<'_>,
        parameters: &[(String, String)],
    ) -> Result<Self, String> {
        let mut body = BytesMut::from(&[0, 3, 0, 0][..]);
        let own = [("user", account.role), ("database", account.database)];
        for (name, value) in own.into_iter().chain(parameters.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
            put_text(&mut body, name);
            put_text(&mut body, value);
        }
        body.put_u8(0);
        let mut start = BytesMut::new();
        put_sized(&mut start, &body);
        self.send(&start).await?;
        self.authenticate(account.password).await?;
        loop {
            let (tag, body) = self.message(LOGIN).await?;
            match tag {
                b'K' => {
                    self.key = body.as_ref().try_into().map_err(|_| odd("a key to cancel by"))?;
                }
                b'S' | b'N' => self.greeting.extend_from_slice(&message(tag, &body)),
                b'Z' => {
                    self.greeting.extend_from_slice(&message(tag, &body));
                    return Ok(self);
                }
                b'E' => return Err(refusal(&body)),
                _ => return Err(odd("a login's end")),
            }
        }
    }

    async fn authenticate(&mut self, password: &SecretText) -> Result<(), String> {
        let mut scram: Option<ScramSha256> = None;
        let mut proved = false;
        loop {
            let (tag, body) = self.message(LOGIN).await?;
            let mut fields = Fields(&body);
            match (tag, fields.i32().unwrap_or(-1)) {
                (b'E', _) => return Err(refusal(&body)),
                (b'N' | b'v', _) => (),
                // Without a password too (`trust`): which roles need one is the database's to say. But one that began to
                // prove that it knows the password must have done so.
                (b'R', 0) if scram.is_none() || proved => return Ok(()),
                (b'R', 3) if self.is_here() => {
                    let mut clear = BytesMut::new();
                    put_text(&mut clear, password.expose());
                    self.send(&message(b'p', &clear)).await?;
                }
                (b'R', 10) if scram.is_none() => {
                    let offers = fields.0.split(|b| *b == 0).any(|name| name == SCRAM_SHA_256.as_bytes());
                    if !offers {
                        return Err("the database does not offer SCRAM-SHA-256".to_owned());
                    }
                    let first = ScramSha256::new(password.expose().as_bytes(), ChannelBinding::unsupported());
                    let mut answer = BytesMut::new();
                    put_text(&mut answer, SCRAM_SHA_256);
                    answer.put_u32(u32::try_from(first.message().len()).unwrap_or(u32::MAX));
                    answer.put_slice(first.message());
                    self.send(&message(b'p', &answer)).await?;
                    scram = Some(first);
                }
                (b'R', 11) if !proved => {
                    let state = scram.as_mut().ok_or_else(|| odd("a login"))?;
                    state.update(fields.0).map_err(|_| odd("a SCRAM message"))?;
                    let answer = message(b'p', state.message());
                    self.send(&answer).await?;
                }
                (b'R', 12) if !proved => {
                    let state = scram.as_mut().ok_or_else(|| odd("a login"))?;
                    state.finish(fields.0).map_err(|_| {
                        "the database does not know the password that it was made with".to_owned()
                    })?;
                    proved = true;
                }
                (b'R', 3) => {
                    return Err("the database wants a password in clear over the network; \
                                         set `scram-sha-256` in its pg_hba.conf"
                        .to_owned());
                }
                (b'R', 5) => {
                    return Err("the database wants a password as MD5; set `scram-sha-256` in its \
                                         pg_hba.conf and set the role's password again"
                        .to_owned());
                }
                _ => return Err("the database wants another kind of login than SCRAM-SHA-256".to_owned()),
            }
        }
    }

    fn is_here(&self) -> bool {
        self.stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|_| GONE.to_owned())
    }

    /// The next message. May be dropped while it waits.
    async fn message(&mut self, known: &[u8]) -> Result<(u8, Bytes), String> {
        loop {
            if let Some(head) = self.unread.first_chunk::<5>().copied() {
                let len = message_len(known, head).map_err(|e: Broken| format!("the database: {e}"))?;
                if len > WHOLE_MAX {
                    return Err(odd("a message of this size"));
                }
                if self.unread.len() >= 5 + len {
                    self.unread.advance(5);
                    return Ok((head[0], self.unread.split_to(len).freeze()));
                }
            }
            self.unread.reserve(4096);
            match self.stream.read_buf(&mut self.unread).await {
                Ok(0) | Err(_) => return Err(GONE.to_owned()),
                Ok(_) => (),
            }
        }
    }

    /// Runs statements of the broker's own; answers the rows of all of them.
    pub(super) async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        timeout(STEP_TIME, self.run(sql))
            .await
            .unwrap_or_else(|_| Err("the database does not answer".to_owned()))
    }

    async fn run(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        if std::mem::replace(&mut self.busy, true) {
            return Err("an answer of the database was not waited for".to_owned());
        }
        let mut body = BytesMut::new();
        put_text(&mut body, sql);
        self.send(&message(b'Q', &body)).await?;
        let (mut rows, mut refused) = (Vec::new(), None);
        loop {
            let (tag, body) = self.message(LOGIN).await?;
            match tag {
                b'D' => rows.push(row(&body).ok_or_else(|| odd("a row"))?),
                b'E' => refused = Some(refusal(&body)),
                b'Z' => {
                    self.busy = false;
                    return refused.map_or(Ok(rows), Err);
                }
                _ => (),
            }
        }
    }

    /// Resolves when the connection, on which nothing is asked, breaks.
    pub(super) async fn broken(&mut self) -> String {
        loop {
            match self.message(LOGIN).await {
                Ok((b'E', body)) => return refusal(&body),
                Ok(_) => (),
                Err(e) => return e,
            }
        }
    }
}

fn odd(what: &str) -> String {
    format!("the database sends what is not {what}")
}

fn row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let mut fields = Fields(body);
    let columns = fields.i16()?;
    (0..columns)
        .map(|_| match fields.i32()? {
            -1 => Some(None),
            len => String::from_utf8(fields.take(usize::try_from(len).ok()?)?.to_vec()).ok().map(Some),
        })
        .collect()
}

/// The fields of an error that a database sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `ERROR`, `FATAL`.
    pub(super) severity: String,
    /// The SQLSTATE.
    pub(super) code: String,
    /// The text.
    pub(super) text: String,
}

/// Reads an error's fields.
pub(super) fn told(body: &[u8]) -> Told {
    let mut told = Told::default();
    let mut fields = Fields(body);
    while let Some([field, ..]) = fields.take(1) {
        // A zero is the last of them.
        let Some(value) = fields.text() else { break };
        let value = String::from_utf8_lossy(value).into_owned();
        match field {
            b'S' => told.severity = value,
            b'C' => told.code = value,
            b'M' => told.text = value,
            _ => (),
        }
    }
    told
}

fn refusal(body: &[u8]) -> String {
    let told = told(body);
    format!("the database refuses: {} ({})", told.text, told.code)
}
