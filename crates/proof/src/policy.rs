//! Trust policies: which logs, which witnesses, and how many of them must have cosigned (C2SP tlog-policy;
//! facts/tlog.md §5).
//!
//! A checkpoint is believed when one of the logs signed it and the quorum is met. The file is the verifier's own: what
//! the provider thinks of witnesses does not count.
//! INVARIANT: a cosignature counts once, in one place: no public key stands for two names, no name in two groups.
//! INVARIANT: a cosignature from the future (by more than five minutes) or without a time counts for nothing.

mod evaluate;
mod parse;

use crate::note::VerifierKey;

pub use evaluate::{Evaluation, PolicyRefusal, Seen};

/// Seconds by which a witness's clock may run ahead of the reader's.
pub const FUTURE_SECONDS_MAX: u64 = 300;

/// Bytes of a policy file, at most.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;

/// Logs, witnesses and groups of a policy, at most, of each. (32 must be accepted.)
pub const POLICY_ITEMS_MAX: usize = 256;

/// A policy that was read: see [`Policy::parse`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// A log that the policy accepts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyLog {
    /// Its key; the key's name is the log's origin.
    pub key: VerifierKey,
    /// Where it is.
    pub url: Option<String>,
}

/// A witness that the policy knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyWitness {
    /// Its name within the policy.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// The prefix under which it takes `add-checkpoint`.
    pub url: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Group {
    needed: usize,
    members: Vec<Member>,
}

/// An index into the witnesses or the groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// Why a policy was refused, and on which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the policy: {why}")]
pub struct PolicyError {
    /// Counted from 1; for what is missing as a whole, the last line.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// ```
    /// use bailee_proof::policy::Policy;
    /// let text = "
    ///     log example.com/trail+e0a97276+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4
    ///     witness w1 witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X https://witness.example
    ///     quorum w1
    /// ";
    /// assert_eq!(Policy::parse(text.as_bytes())?.witnesses().len(), 1);
    /// # Ok::<(), bailee_proof::policy::PolicyError>(())
    /// ```
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        parse::policy(bytes)
    }

    /// The logs, in the order of the file.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses, in the order of the file.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether cosignatures are asked for at all (`quorum none` asks for none).
    pub const fn asks_for_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether the quorum is met when exactly the witnesses for which `cosigned` says so (by their place in
    /// [`Policy::witnesses`]) have cosigned.
    pub fn is_met(&self, cosigned: impl Fn(usize) -> bool) -> bool {
        let Some(quorum) = self.quorum else { return true };
        // A group names earlier groups only, so one pass in order decides them all.
        let mut met: Vec<bool> = Vec::with_capacity(self.groups.len());
        let is = |member: &Member, met: &[bool]| match member {
            Member::Witness(at) => cosigned(*at),
            Member::Group(at) => met.get(*at).copied().unwrap_or(false),
        };
        for group in &self.groups {
            let count = group.members.iter().filter(|m| is(m, &met)).count();
            met.push(count >= group.needed);
        }
        is(&quorum, &met)
    }
}

#[cfg(test)]
mod tests;
