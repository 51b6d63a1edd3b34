//! What the channels of one connection share: the seat, the recording, and the moment when all of it ends.
//!
//! INVARIANT: [`Line::record`] answers `Ok` only if the frame was taken and the session had not ended by then; a frame that
//! was not taken ends the session before the caller hears of it.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::seat::{Ended, Frame, Seat, Side};

pub(super) struct Line<S> {
    pub(super) seat: Arc<S>,
    ended: watch::Sender<Option<Ended>>,
}

impl<S: Seat> Line<S> {
    pub(super) fn new(seat: Arc<S>) -> Self {
        Self { seat, ended: watch::Sender::new(None) }
    }

    /// Writes down what is about to pass.
    pub(super) async fn record(&self, side: Side, channel: u32, bytes: &[u8]) -> Result<(), Ended> {
        self.lives()?;
        if let Err(ended) = self.seat.record(Frame { side, channel, bytes }).await {
            self.end(&ended);
            return Err(ended);
        }
        self.lives()
    }

    /// Writes down what is about to happen, or was refused. `note` has its `kind`.
    pub(super) async fn note(&self, channel: u32, mut note: Value) -> Result<(), Ended> {
        note["channel"] = json!(channel);
        self.record(Side::Note, channel, note.to_string().as_bytes()).await
    }

    /// Ends the session's connection, for the first reason that is given.
    pub(super) fn end(&self, why: &Ended) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(why.clone());
            }
            first
        });
    }

    /// Resolves when [`Line::end`] was called.
    pub(super) async fn cut(&self) -> Ended {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(why)) => why.clone(),
            _ => Ended("the connection closed".to_owned()),
        }
    }

    fn lives(&self) -> Result<(), Ended> {
        match &*self.ended.borrow() {
            None => Ok(()),
            Some(why) => Err(why.clone()),
        }
    }
}

/// A text that cannot act on a terminal and stays on its line.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect()
}
