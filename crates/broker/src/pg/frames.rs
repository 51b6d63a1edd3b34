//! Messages of protocol 3.0: where one ends and the next begins, and the few that the broker writes itself. No IO.
//!
//! INVARIANT: a type that is not in the table of its side, a length that cannot be and a length above [`MESSAGE_MAX`] are
//! errors; nothing after them is looked at.
//! INVARIANT: no more than [`WHOLE_MAX`] bytes of a message need to be held: of a longer one the rest passes in pieces.

use bytes::{BufMut as _, BytesMut};

/// The longest message, of both sides.
pub(super) const MESSAGE_MAX: usize = 64 << 20;
/// So much of a message is held until it is whole; a longer one passes in pieces.
pub(super) const WHOLE_MAX: usize = 64 << 10;

/// What a client sends after it logged in. Not here: a second password (`p`).
pub(super) const CLIENT: &[u8] = b"QPBEDSHCdcfFX";
/// What a database sends after the login. Not here: authentication (`R`), a key for cancelling (`K`), another protocol
/// version (`v`), streaming replication (`W`).
pub(super) const TARGET: &[u8] = b"SZTDCIENA123nstGHdcV";

/// A message that cannot be, or is not for a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(super) struct Broken {
    /// The SQLSTATE that the client is told.
    pub(super) code: &'static str,
    /// What is wrong with it.
    pub(super) text: String,
}

impl Broken {
    pub(super) fn protocol(text: impl Into<String>) -> Self {
        Self { code: "08P01", text: text.into() }
    }
}

/// A message, or the beginning of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// Its type.
    pub(super) tag: u8,
    /// What follows its length, or the beginning of that.
    pub(super) body: &'a [u8],
    /// How long the body is.
    pub(super) len: usize,
}

impl Message<'_> {
    /// Whether the body goes on.
    pub(super) fn is_cut(&self) -> bool {
        self.body.len() < self.len
    }
}

/// Finds the ends of messages in a stream.
pub(super) struct Splitter {
    known: &'static [u8],
    rest: usize,
}

impl Splitter {
    /// For a stream with messages of the types `known`.
    pub(super) fn new(known: &'static [u8]) -> Self {
        Self { known, rest: 0 }
    }

    /// Shows each message that begins in `bytes` and can pass now; answers how many of the bytes may pass. The others are to be
    /// shown again with what follows them.
    pub(super) fn split(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Message<'_>) -> Result<(), Broken>,
    ) -> Result<usize, Broken> {
        let passes = self.rest.min(bytes.len());
        self.rest -= passes;
        let mut at = passes;
        while let Some((head, after)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk::<5>) {
            let len = message_len(self.known, *head)?;
            let body = match after.get(..len) {
                Some(whole) => whole,
                None if len > WHOLE_MAX && after.len() >= WHOLE_MAX => after,
                None => break,
            };
            each(Message { tag: head[0], body, len })?;
            self.rest = len - body.len();
            at += head.len() + body.len();
        }
        Ok(at)
    }

    /// Whether the bytes that passed end with a whole message.
    pub(super) fn is_between(&self) -> bool {
        self.rest == 0
    }
}

/// The length of the body that a message's head announces.
pub(super) fn message_len(known: &[u8], head: [u8; 5]) -> Result<usize, Broken> {
    let [tag, len @ ..] = head;
    if !known.contains(&tag) {
        let tag = char::from(tag).escape_default();
        return Err(Broken::protocol(format!("a message of type `{tag}` has no place here")));
    }
    let len = u32::from_be_bytes(len) as usize;
    match len.checked_sub(4) {
        Some(body) if len <= MESSAGE_MAX => Ok(body),
        _ => Err(Broken::protocol(format!("a message cannot have a length of {len} bytes"))),
    }
}

/// Reads the fields of a body.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.take(2)?.try_into().ok().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    /// Bytes that end with a zero, without it.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }
}

/// A message of type `tag`.
pub(super) fn message(tag: u8, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(body.len() + 5);
    out.put_u8(tag);
    put_sized(&mut out, body);
    out
}

/// A length and what it counts.
pub(super) fn put_sized(out: &mut BytesMut, body: &[u8]) {
    out.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
    out.put_slice(body);
}

/// A zero behind a text. A zero within would end it early.
pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().filter(|b| *b != 0));
    out.put_u8(0);
}

/// The last that a client hears.
pub(super) fn fatal(code: &str, text: &str) -> BytesMut {
    let mut body = BytesMut::new();
    for (field, value) in [('S', "FATAL"), ('V', "FATAL"), ('C', code), ('M', text)] {
        body.put_u8(field as u8);
        put_text(&mut body, value);
    }
    body.put_u8(0);
    message(b'E', &body)
}

/// What a client that is not logged in yet wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// TLS or GSS encryption.
    Encryption,
    /// That a statement of another connection is cancelled.
    Cancel(Key),
    /// A session.
    Start {
        /// The minor version of the protocol that it speaks.
        minor: u16,
        /// Parameters, names in lower case.
        parameters: Vec<(String, String)>,
    },
}

/// What a connection is cancelled by.
pub(super) type Key = [u8; 8];

const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// Reads a startup packet, without its length.
pub(super) fn opening(body: &[u8]) -> Result<Opening, Broken> {
    let (code, rest) =
        body.split_first_chunk::<4>().ok_or_else(|| Broken::protocol("a startup packet ends early"))?;
    match u32::from_be_bytes(*code) {
        TLS | GSS if rest.is_empty() => Ok(Opening::Encryption),
        CANCEL => match rest.try_into() {
            Ok(key) => Ok(Opening::Cancel(key)),
            Err(_) => Err(Broken::protocol("a request to cancel has another length")),
        },
        code if code >> 16 == 3 => {
            Ok(Opening::Start { minor: (code & 0xffff) as u16, parameters: parameters(rest)? })
        }
        code => {
            Err(Broken::protocol(format!("protocol {}.{} is not spoken here", code >> 16, code & 0xffff)))
        }
    }
}

fn parameters(body: &[u8]) -> Result<Vec<(String, String)>, Broken> {
    let mut fields = Fields(body);
    let mut found: Vec<(String, String)> = Vec::new();
    loop {
        let text = |bytes: Option<&[u8]>| {
            let bytes = bytes.ok_or_else(|| Broken::protocol("the startup parameters end early"))?;
            String::from_utf8(bytes.to_vec())
                .map_err(|_| Broken::protocol("the startup parameters are not UTF-8"))
        };
        let name = text(fields.text())?.to_ascii_lowercase();
        if name.is_empty() {
            return match fields.0 {
                [] => Ok(found),
                _ => Err(Broken::protocol("something follows the startup parameters")),
            };
        }
        let value = text(fields.text())?;
        if found.iter().any(|(other, _)| *other == name) {
            return Err(Broken::protocol(format!("the startup parameter `{name}` stands twice")));
        }
        found.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Seen = Vec<(u8, usize)>;

    /// Everything that passes when the stream comes in chunks of `sizes`, and the messages seen.
    fn pumped(stream: &[u8], sizes: &[usize]) -> (Vec<u8>, Seen, Result<(), Broken>) {
        let (mut passed, mut seen) = (Vec::new(), Vec::new());
        let (mut splitter, mut held) = (Splitter::new(CLIENT), Vec::new());
        let (mut at, mut turn) = (0, 0);
        while at < stream.len() {
            let n = sizes[turn % sizes.len()].min(stream.len() - at);
            held.extend_from_slice(&stream[at..at + n]);
            (at, turn) = (at + n, turn + 1);
            let done = splitter.split(&held, |m| {
                seen.push((m.tag, m.len));
                Ok(())
            });
            match done {
                Ok(done) => passed.extend(held.drain(..done)),
                Err(e) => return (passed, seen, Err(e)),
            }
            assert!(held.len() <= WHOLE_MAX + 5 + n, "{} bytes are held", held.len());
        }
        (passed, seen, Ok(()))
    }

    proptest! {
        #[test]
        fn messages_pass_whole_and_in_order_however_the_bytes_come(
            messages in prop::collection::vec((prop::sample::select(CLIENT), 0usize..200_000), 1..6),
            sizes in prop::collection::vec(1usize..70_000, 1..6),
        ) {
            let stream: Vec<u8> =
                messages.iter().flat_map(|(tag, len)| message(*tag, &vec![7; *len])).collect();
            let (passed, seen, end) = pumped(&stream, &sizes);
            prop_assert_eq!(end, Ok(()));
            prop_assert!(passed == stream);
            prop_assert_eq!(seen, messages);
        }

        #[test]
        fn any_bytes_are_split_without_a_panic(
            stream in prop::collection::vec(any::<u8>(), 0..600),
            sizes in prop::collection::vec(1usize..50, 1..4),
        ) {
            let (passed, ..) = pumped(&stream, &sizes);
            prop_assert!(stream.starts_with(&passed));
            let _ = opening(&stream);
        }

        #[test]
        fn parameters_are_read_as_they_were_written(
            written in prop::collection::btree_map("[a-z_]{1,20}", "[^\0]{0,30}", 0..8),
        ) {
            let mut body = BytesMut::from(&[0, 3, 0, 0][..]);
            for (name, value) in &written {
                put_text(&mut body, name);
                put_text(&mut body, value);
            }
            body.put_u8(0);
            let parameters = written.into_iter().collect();
            prop_assert_eq!(opening(&body), Ok(Opening::Start { minor: 0, parameters }));
        }
    }

    #[test]
    fn what_cannot_be_is_an_error_before_anything_behind_it_is_looked_at() {
        let unknown = [b"Q\0\0\0\x05\0".as_slice(), b"~\0\0\0\x04"].concat();
        assert_eq!(pumped(&unknown, &[99]).2.unwrap_err().text, "a message of type `~` has no place here");
        for head in [b"Q\0\0\0\x03", b"Q\xff\xff\xff\xff", b"Q\x04\0\0\x01", b"Q\0\0\0\0"] {
            let text = pumped(head, &[99]).2.unwrap_err().text;
            assert!(text.starts_with("a message cannot have a length of"), "{text}");
        }
        // A password after the login; replication; a database that asks again.
        assert!(pumped(b"p\0\0\0\x04", &[99]).2.is_err());
        for tag in *b"WRKvp" {
            assert!(message_len(TARGET, [tag, 0, 0, 0, 4]).is_err());
        }
    }

    #[test]
    fn a_startup_packet_that_is_not_one_is_told_so() {
        let start = |rest: &[u8]| opening(&[&[0, 3, 0, 0], rest].concat());
        for (body, says) in [
            (&b""[..], "a startup packet ends early"),
            (b"\0\x02\0\0", "protocol 2.0 is not spoken here"),
            (b"\x04\xd2\x16\x2e\0", "a request to cancel has another length"),
        ] {
            assert_eq!(opening(body).unwrap_err().text, says);
        }
        for (rest, says) in [
            (&b"user\0a"[..], "the startup parameters end early"),
            (b"user\0a\0", "the startup parameters end early"),
            (b"user\0a\0\0b", "something follows the startup parameters"),
            (b"user\0\xff\0\0", "the startup parameters are not UTF-8"),
            (b"user\0a\0USER\0b\0\0", "the startup parameter `user` stands twice"),
        ] {
            assert_eq!(start(rest).unwrap_err().text, says);
        }
    }
}
