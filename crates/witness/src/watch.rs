//! The watch: reads a head log, entry by entry, and says what an honest provider cannot have done.
//!
//! Each round fetches the checkpoint, judges it by the reader's own policy, fetches every entry since the round before and
//! computes the root itself: so the remembered tree is the beginning of the new one, or an alarm is raised. With an
//! enrolment receipt it also opens one log's own heads and compares them with what that log serves.
//! What it finds is named by the numbers of the cheats in `docs/trail-security.md`.
//! INVARIANT: memory moves on only when the entries give the root that was signed and the quorum is met.
//! INVARIANT: no answer of a server is taken as an all-clear for what it did not show: what is missing is an alarm, what
//! could not be asked is "could not tell".

mod memory;
mod own;
mod scan;
mod source;

use std::path::PathBuf;

use bailee_proof::head::Receipt;
use bailee_proof::policy::Policy;
use serde::{Deserialize, Serialize};

pub use memory::{MemoryError, Remembered, remembered};
pub use source::{Source, SourceError, Web};

/// Seconds after which an own log without a new head is silent: a day and an hour.
pub const SILENCE_SECONDS_MAX: u64 = 25 * 3600;

/// What to watch.
pub struct Watch {
    /// The watcher's own policy for the head log.
    pub policy: Policy,
    /// Where the memory is; made when it is not there.
    pub state: PathBuf,
    /// Seconds after which a head log without a new epoch end is late; `None`: not asked.
    pub expect_every: Option<u64>,
    /// One's own log.
    pub own: Option<Own>,
}

/// One's own log.
pub struct Own {
    /// Origin, first key and watch key.
    pub receipt: Receipt,
    /// Where the log is served.
    pub source: Box<dyn Source>,
}

/// What one round found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Round {
    /// When, POSIX seconds.
    pub time: u64,
    /// Entries in the head log that are verified and remembered.
    pub entries: u64,
    /// Entries that are new in this round.
    pub new_entries: u64,
    /// Labels that are remembered.
    pub labels: u64,
    /// Number of the last epoch that ended.
    pub epoch: Option<u64>,
    /// Witnesses of the policy that cosigned the checkpoint.
    pub cosigned_by: Vec<String>,
    /// How fresh the quorum is.
    pub quorum_time: Option<u64>,
    /// The own log, if one is watched.
    pub own: Option<OwnRound>,
    /// What cannot be of an honest provider. What stands in the log for good is named again in each round.
    pub alarms: Vec<Alarm>,
    /// What could not be asked.
    pub unknown: Vec<String>,
}

/// What one round found of the own log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OwnRound {
    /// Its origin.
    pub origin: String,
    /// Heads opened so far.
    pub heads: u64,
    /// Records under the last head.
    pub head_size: u64,
    /// Records under the checkpoint that the log serves.
    pub size: u64,
}

/// One alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What kind.
    pub kind: AlarmKind,
    /// In words, with the places.
    pub what: String,
}

/// Kinds of alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// A signature is missing or wrong (cheat 16).
    Signature,
    /// The quorum of the policy is not met (cheat 9).
    Quorum,
    /// The log became smaller, or its past changed (cheat 3).
    Rewritten,
    /// One label twice (cheats 5 and 6).
    RepeatedLabel,
    /// An entry that no head log has.
    Entry,
    /// An epoch end with a wrong number, time or count.
    Epoch,
    /// Nothing new for too long (cheat 8).
    Late,
    /// What must be there is not served (cheat 12).
    Withheld,
    /// The own log's heads do not open, are out of order, or do not fit the log that is served (cheats 3, 4 and 8).
    OwnHead,
    /// The own log is not enrolled as the receipt says (cheats 6 and 7).
    Enrolment,
}

impl Round {
    fn alarm(&mut self, kind: AlarmKind, what: impl Into<String>) {
        self.alarms.push(Alarm { kind, what: what.into() });
    }

    /// The program's exit code: 0 all well, 1 could not tell, 3 an alarm.
    pub fn exit_code(&self) -> u8 {
        match (self.alarms.is_empty(), self.unknown.is_empty()) {
            (false, _) => 3,
            (true, false) => 1,
            (true, true) => 0,
        }
    }

    /// Notes that something could not be fetched: not there is an alarm, not reachable is not known.
    fn missing(&mut self, what: &str, error: &SourceError) {
        match error {
            SourceError::NotThere => self.alarm(AlarmKind::Withheld, format!("{what} is not served")),
            SourceError::Failed(why) => self.unknown.push(format!("{what}: {why}")),
        }
    }
}

impl Watch {
    /// One round. `now` is POSIX seconds.
    ///
    /// # Errors
    /// When the memory cannot be read or written: then nothing is known.
    pub fn round(&self, log: &dyn Source, now: u64) -> Result<Round, MemoryError> {
        let mut memory = memory::Memory::open(&self.state, self.own.as_ref())?;
        let mut round = Round { time: now, alarms: memory.kept.alarms.clone(), ..Round::default() };
        if let Some(next) = scan::scan(self, log, &memory.kept, &memory.labels, now, &mut round) {
            let own = self.own.as_ref().zip(next.kept.own.clone());
            let mut kept = next.kept;
            if let Some((own, state)) = own {
                kept.own = Some(own::check(own, state, &next.own_heads, &mut round));
            }
            memory.keep(kept, &next.labels)?;
        }
        scan::late(self, &memory.kept, now, &mut round);
        round.entries = memory.kept.size();
        round.labels = memory.labels.len() as u64;
        round.epoch = memory.kept.epoch.map(|(epoch, _)| epoch);
        Ok(round)
    }
}

impl std::fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Signature => "signature",
            Self::Quorum => "quorum",
            Self::Rewritten => "rewritten",
            Self::RepeatedLabel => "repeated label",
            Self::Entry => "entry",
            Self::Epoch => "epoch",
            Self::Late => "late",
            Self::Withheld => "withheld",
            Self::OwnHead => "own head",
            Self::Enrolment => "enrolment",
        })
    }
}

/// The report of a round.
impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "head log: {} entries ({} new), {} labels", self.entries, self.new_entries, self.labels)?;
        if let Some(epoch) = self.epoch {
            write!(f, ", epoch {epoch}")?;
        }
        if !self.cosigned_by.is_empty() {
            write!(f, ", cosigned by {}", self.cosigned_by.join(", "))?;
        }
        if let Some(own) = &self.own {
            write!(
                f,
                "\nown log: {} heads opened, {} of {} records under the last",
                own.heads, own.head_size, own.size
            )?;
        }
        for why in &self.unknown {
            write!(f, "\ncould not tell: {why}")?;
        }
        for Alarm { kind, what } in &self.alarms {
            write!(f, "\nALARM {kind}: {what}")?;
        }
        Ok(())
    }
}
