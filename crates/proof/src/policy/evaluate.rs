//! What a note is worth under a policy.

use super::{FUTURE_SECONDS_MAX, Policy};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::{Note, NoteError, VerifierKey};

/// A checkpoint as the policy sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evaluation {
    /// The checkpoint, signed by a log of the policy.
    pub checkpoint: Checkpoint,
    /// Which log of the policy, by its place in [`Policy::logs`].
    pub log: usize,
    /// The witnesses that cosigned, in the order of the policy, each with its latest time.
    pub seen: Vec<Seen>,
    /// Cosignatures that hold and do not count, with the reason: their time is missing or in the future.
    pub not_counted: Vec<(usize, &'static str)>,
    /// Whether the quorum is met.
    pub met: bool,
    /// How fresh the quorum is (POSIX seconds): the latest time from which on the cosignatures alone meet it. `None`
    /// when it is not met or asks for nobody.
    pub quorum_time: Option<u64>,
}

/// One witness's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// By its place in [`Policy::witnesses`].
    pub witness: usize,
    /// POSIX seconds.
    pub timestamp: u64,
}

/// Why a note is worth nothing under a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// The note, a signature in it, or the checkpoint in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// No log of the policy signed it.
    #[error("no log of the policy signed this checkpoint (its origin is `{0}`)")]
    Log(String),
    /// Too few witnesses.
    #[error("the policy's quorum is not met: cosigned by {cosigned}; missing are {missing}")]
    Quorum {
        /// Their names, or `nobody`.
        cosigned: String,
        /// The names of the others.
        missing: String,
    },
}

impl Policy {
    /// Verifies the signatures of a checkpoint's note and counts its witnesses; the quorum may or may not be met.
    ///
    /// `now` is POSIX seconds by the reader's clock.
    ///
    /// # Errors
    /// When no log of the policy signed it, or a line by a known key does not verify.
    pub fn evaluate(&self, note: &[u8], now: u64) -> Result<Evaluation, PolicyRefusal> {
        let note = Note::parse(note).map_err(CheckpointError::from)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        // A log's key speaks for its own origin only.
        let logs: Vec<usize> = (0..self.logs.len())
            .filter(|at| self.logs.get(*at).is_some_and(|l| l.key.name() == checkpoint.origin))
            .collect();
        let mut keys: Vec<&VerifierKey> =
            logs.iter().filter_map(|at| self.logs.get(*at)).map(|l| &l.key).collect();
        keys.extend(self.witnesses.iter().map(|w| &w.key));
        let verified = match note.verify(&keys) {
            Ok(verified) => verified,
            Err(NoteError::NoneKnown { .. }) => return Err(PolicyRefusal::Log(checkpoint.origin)),
            Err(e) => return Err(CheckpointError::from(e).into()),
        };
        let log = verified.iter().filter_map(|v| logs.get(v.key)).next();
        let log = *log.ok_or_else(|| PolicyRefusal::Log(checkpoint.origin.clone()))?;
        let mut times: Vec<Option<u64>> = vec![None; self.witnesses.len()];
        let mut not_counted = Vec::new();
        for v in &verified {
            let Some(witness) = v.key.checked_sub(logs.len()) else { continue };
            let time = v.timestamp.unwrap_or(0);
            if time == 0 {
                not_counted.push((witness, "it has no time"));
            } else if time > now.saturating_add(FUTURE_SECONDS_MAX) {
                not_counted.push((witness, "its time is in the future"));
            } else if let Some(latest) = times.get_mut(witness) {
                *latest = (*latest).max(Some(time));
            }
        }
        let seen: Vec<Seen> = times
            .iter()
            .enumerate()
            .filter_map(|(witness, time)| time.map(|timestamp| Seen { witness, timestamp }))
            .collect();
        let since = |from: u64| self.is_met(|w| times.get(w).copied().flatten().is_some_and(|t| t >= from));
        let met = since(0);
        let quorum_time = seen.iter().map(|s| s.timestamp).filter(|from| since(*from)).max();
        let quorum_time = if self.asks_for_witnesses() { quorum_time } else { None };
        Ok(Evaluation { checkpoint, log, seen, not_counted, met, quorum_time })
    }

    /// As [`Policy::evaluate`], and the quorum must be met.
    ///
    /// # Errors
    /// As there, and [`PolicyRefusal::Quorum`].
    pub fn accept(&self, note: &[u8], now: u64) -> Result<Evaluation, PolicyRefusal> {
        let evaluation = self.evaluate(note, now)?;
        if evaluation.met {
            return Ok(evaluation);
        }
        let has = |at: usize| evaluation.seen.iter().any(|s| s.witness == at);
        let names = |wanted: bool| {
            let all = self.witnesses.iter().enumerate();
            let names: Vec<&str> =
                all.filter(|(at, _)| has(*at) == wanted).map(|(_, w)| w.name.as_str()).collect();
            if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
        };
        Err(PolicyRefusal::Quorum { cosigned: names(true), missing: names(false) })
    }
}
