//! How much of what a client sent waits for hosts, and the client's stream, which is not read while that is too much.
//!
//! `russh` gives a client its window back as bytes arrive, not as they are used, so windows do not slow a client down; not
//! reading does. What goes to the client goes on meanwhile.
//! INVARIANT: the queues of one connection hold no more than [`HELD_MAX`] and one packet.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes may wait, with what each entry costs.
pub(super) const HELD_MAX: usize = 8 * 1024 * 1024;
const ENTRY_BYTES: usize = 256;

/// What waits in the queues of one connection.
#[derive(Default)]
pub(super) struct Pressure {
    held: AtomicUsize,
    /// How many channels the connection has.
    pub(super) channels: AtomicUsize,
    reader: Mutex<Option<Waker>>,
}

impl Pressure {
    /// Whether the client is not read.
    pub(super) fn is_high(&self) -> bool {
        self.held.load(Ordering::Acquire) >= HELD_MAX
    }

    /// Counts an entry of a queue until the answer is dropped.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize, queue: &Arc<AtomicUsize>) -> Held {
        let bytes = bytes.saturating_add(ENTRY_BYTES);
        self.held.fetch_add(bytes, Ordering::AcqRel);
        queue.fetch_add(bytes, Ordering::AcqRel);
        Held { bytes, all: Arc::clone(self), queue: Arc::clone(queue) }
    }
}

/// An entry's weight.
pub(super) struct Held {
    bytes: usize,
    all: Arc<Pressure>,
    queue: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queue.fetch_sub(self.bytes, Ordering::AcqRel);
        self.all.held.fetch_sub(self.bytes, Ordering::AcqRel);
        if !self.all.is_high()
            && let Some(reader) = self.all.reader.lock().take()
        {
            reader.wake();
        }
    }
}

/// A stream that is read while little waits.
pub(super) struct Throttled<S> {
    stream: S,
    pressure: Arc<Pressure>,
}

impl<S> Throttled<S> {
    pub(super) fn new(stream: S, pressure: Arc<Pressure>) -> Self {
        Self { stream, pressure }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pressure.is_high() {
            *self.pressure.reader.lock() = Some(cx.waker().clone());
            // Looked at again: it may have fallen before the waker lay there.
            if self.pressure.is_high() {
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
