//! A client's connection: what hyper answers by itself gets a body that the client's SDK can read, and an answer
//! that is sent before the request was read whole still arrives.
//!
//! hyper refuses a head that it cannot read (too long, not HTTP) with an empty body, before any code of ours runs.
//! And a socket that is closed while bytes of the client lie unread in it sends a reset, which makes the client
//! forget the answer: so the write side is closed first, and what still comes is read and thrown away for a moment.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// How long what follows a last answer is read.
const LINGER: Duration = Duration::from_secs(2);
/// And how much of it.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The body of an answer to a head that could not be read: content type and text, for a status.
pub(crate) type Unreadable = fn(u16) -> (&'static str, String);

/// A client that takes nothing of an answer for this long is given up.
const STALL: Duration = Duration::from_secs(60);

pub(crate) struct Socket {
    stream: TcpStream,
    /// Ends a write that the client does not let go on.
    stalled: Option<Pin<Box<Sleep>>>,
    stall: Duration,
    unreadable: Unreadable,
    /// An answer in place of hyper's, not yet sent whole.
    instead: Option<Bytes>,
    lingering: Option<Lingering>,
    is_read_to_end: bool,
}

struct Lingering {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, unreadable: Unreadable) -> Self {
        Self {
            stream,
            stalled: None,
            stall: STALL,
            unreadable,
            instead: None,
            lingering: None,
            is_read_to_end: false,
        }
    }

    /// The outcome of a write; one that has been pending for too long fails.
    fn within(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if write.is_ready() {
            self.stalled = None;
            return write;
        }
        let stall = self.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }

    /// Sends the answer in place of `theirs`; answers the length of `theirs` when it is out.
    fn poll_instead(&mut self, cx: &mut Context<'_>, theirs: usize) -> Poll<io::Result<usize>> {
        while let Some(bytes) = &mut self.instead {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
            bytes.advance(sent);
            if bytes.is_empty() || sent == 0 {
                self.instead = None;
            }
        }
        Poll::Ready(Ok(theirs))
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingering = self.lingering.get_or_insert_with(|| Lingering {
            until: Box::pin(tokio::time::sleep(LINGER)),
            left: LINGER_BYTES_MAX,
        });
        let mut scratch = [0u8; 16 * 1024];
        loop {
            if lingering.left == 0 || lingering.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    lingering.left = lingering.left.saturating_sub(buffer.filled().len());
                }
                _ => return Poll::Ready(()),
            }
        }
    }
}

/// hyper's own answer to a head that it cannot read has no body and, unlike each of ours, no request id.
fn automatic(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?;
    let status = text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 "))?.get(..3)?;
    let status: u16 = status.parse().ok().filter(|s| matches!(s, 400 | 414 | 431))?;
    let is_theirs = text.ends_with("\r\n\r\n")
        && text.contains("\r\ncontent-length: 0\r\n")
        && !text.contains("-request-id: ");
    is_theirs.then_some(status)
}

fn whole_answer(status: u16, unreadable: Unreadable) -> Bytes {
    let reason =
        http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or_default();
    let (kind, body) = unreadable(status);
    let length = body.len();
    Bytes::from(format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n\
         {body}"
    ))
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        self.is_read_to_end = read.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            match automatic(bytes) {
                None => {
                    let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
                    return self.within(cx, write);
                }
                Some(status) => self.instead = Some(whole_answer(status, self.unreadable)),
            }
        }
        let write = self.poll_instead(cx, bytes.len());
        self.within(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match parts {
            [only] => self.poll_write(cx, only),
            _ => {
                let write = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
                self.within(cx, write)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if !self.is_read_to_end {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = Socket::new(stream, |_| ("text/plain", String::new()));
        socket.stall = Duration::from_millis(100);
        let write = async {
            loop {
                if let Err(error) = socket.write(&[7; 65536]).await {
                    return error;
                }
            }
        };
        let error = tokio::time::timeout(Duration::from_secs(20), write).await.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[test]
    fn only_an_answer_without_body_and_request_id_is_hypers_own() {
        let theirs = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(automatic(theirs), Some(431));
        assert_eq!(automatic(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 7\r\n\r\n"), None);
        assert_eq!(automatic(b"HTTP/1.1 400 Bad\r\nx-oss-request-id: 1\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(automatic(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(automatic(b"\xff\xfe"), None);
    }
}
