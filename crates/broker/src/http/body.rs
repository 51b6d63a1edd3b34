//! Bodies: each piece is written down, then forwarded; both stop when the session ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame as Piece, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::{Ended, Frame, Seat, Side};

/// A body that comes out of a pump. An error in it breaks the connection: a cut body must not look like a whole one.
pub(super) struct Piped {
    pieces: mpsc::Receiver<Result<Piece<Bytes>, Ended>>,
    hint: SizeHint,
}

impl Body for Piped {
    type Data = Bytes;
    type Error = Ended;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece<Bytes>, Ended>>> {
        self.pieces.poll_recv(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.hint.exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// What a request of a session is written down with.
pub(super) struct Scribe<S> {
    /// The session.
    pub(super) seat: Arc<S>,
    /// The request's number.
    pub(super) channel: u32,
    /// When the broker stops.
    pub(super) stopped: watch::Receiver<bool>,
}

impl<S> Clone for Scribe<S> {
    fn clone(&self) -> Self {
        Self { seat: Arc::clone(&self.seat), channel: self.channel, stopped: self.stopped.clone() }
    }
}

impl<S: Seat> Scribe<S> {
    /// Writes down bytes that are about to pass.
    pub(super) async fn record(&self, side: Side, bytes: &[u8]) -> Result<(), Ended> {
        match bytes {
            [] => Ok(()),
            bytes => self.seat.record(Frame { side, channel: self.channel, bytes }).await,
        }
    }

    /// Writes down a note.
    pub(super) async fn note(&self, mut note: serde_json::Value) -> Result<(), Ended> {
        note["channel"] = json!(self.channel);
        self.record(Side::Note, note.to_string().as_bytes()).await
    }

    /// Resolves when the session or the broker ends.
    pub(super) async fn ended(&self) -> Ended {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            ended = self.seat.ended() => ended,
            _ = stopped.wait_for(|stops| *stops) => Ended("the broker stops".to_owned()),
        }
    }

    /// A body with the pieces of `from`, each recorded before it can be taken out.
    pub(super) fn pipe(&self, from: Incoming, side: Side) -> Piped {
        let hint = from.size_hint();
        let (out, pieces) = mpsc::channel(1);
        let scribe = self.clone();
        tokio::spawn(async move {
            let cut = tokio::select! {
                end = scribe.pump(from, side, &out) => end.err(),
                ended = scribe.ended() => Some(ended),
                () = out.closed() => Some(Ended("the other side left".to_owned())),
            };
            if side == Side::Target {
                let why = cut.as_ref().map_or("complete", |ended| ended.0.as_str());
                if let Err(e) = scribe.note(json!({"kind": "end", "why": why})).await {
                    tracing::warn!(
                        session = scribe.seat.session(),
                        "the end of an answer is not recorded: {e}"
                    );
                }
            }
            if let Some(ended) = cut {
                let _ = out.try_send(Err(ended));
            }
        });
        Piped { pieces, hint }
    }

    async fn pump(
        &self,
        mut from: Incoming,
        side: Side,
        out: &mpsc::Sender<Result<Piece<Bytes>, Ended>>,
    ) -> Result<(), Ended> {
        while let Some(piece) = from.frame().await {
            let piece = piece.map_err(|_| Ended("the body ended early".to_owned()))?;
            // Trailers mean nothing to the targets.
            let Ok(bytes) = piece.into_data() else { continue };
            self.record(side, &bytes).await?;
            if out.send(Ok(Piece::data(bytes))).await.is_err() {
                return Err(Ended("the other side left".to_owned()));
            }
        }
        Ok(())
    }
}
