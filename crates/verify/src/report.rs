//! What holds, promise by promise, in plain words, and what a bundle alone cannot show.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// A bundle that verified.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The log.
    pub origin: String,
    /// Whose.
    pub tenant: String,
    /// When the bundle was made, as the log's key signed it.
    pub exported: String,
    /// What of the log it opens: `all`, or a part.
    pub scope: String,
    /// Records, all below the signed head.
    pub records: u64,
    /// Root hash, hex.
    pub root: String,
    /// The log's public key (vkey).
    pub key: String,
    /// Its fingerprint, hex.
    pub key_fingerprint: String,
    /// Whether a key was given, rather than taken from the bundle.
    pub key_given: bool,
    /// Size of the head that was given for comparison.
    pub head_given: Option<u64>,
    /// Intents without outcome.
    pub open: Vec<u64>,
    /// Of these, those that are older than ten minutes at the last record.
    pub overdue: Vec<u64>,
    /// Time of the last record, milliseconds since 1970.
    pub last_ms: u64,
    /// How often the log's key changed, each time signed by the key before.
    pub key_changes: usize,
    /// Events that are gone, each explained by the log.
    pub erased: u64,
    /// Records outside of the scope, by kind.
    pub withheld: BTreeMap<&'static str, u64>,
    /// Counts.
    pub counts: Counts,
    /// Passkeys that signed approvals.
    pub passkeys: Vec<Passkey>,
    /// Promise by promise.
    pub promises: Vec<Promise>,
}

/// A passkey that signed approvals. Whether it is the person's own nobody knows but he: compare its fingerprint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Passkey {
    /// `SHA256:…` of its public key (COSE_Key).
    pub fingerprint: String,
    /// Whose it is, by name: `root`, or a user.
    pub by: BTreeSet<String>,
    /// On which pages of the console it signed.
    pub origins: BTreeSet<String>,
    /// How many approvals.
    pub approvals: u64,
    /// The record of its registration; none: the log does not show it, its key is known from its first approval.
    pub bound: Option<u64>,
    /// The record of the first approval.
    pub first: u64,
}

/// One promise, and what the bundle shows of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Promise {
    /// `integrity`, `order`, …: see `docs/trail-security.md`.
    pub name: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// In words.
    pub detail: String,
}

/// What is shown of a promise. One that is broken ends the check: see [`crate::Problem`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// Nothing is proven false, and somebody should ask.
    Doubt,
    /// The bundle and what was given beside it do not show it.
    NotShown,
}

/// Counts over all records that are opened, and of all by kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Records by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Acts of the platform, refused ones too, by type and level.
    pub types: BTreeMap<String, u64>,
    /// Reads of content by operators.
    pub content_reads: u64,
    /// Of these, whose grant may be among what was erased.
    pub reads_without_approval: u64,
    /// Acts of operators that logs of the platform show and the house did not stop.
    pub collected: u64,
    /// Of these, those that nothing let in, by the house's own word.
    pub collected_uncovered: u64,
    /// Of these, those of which the house does not say what let them in.
    pub collected_not_asked: u64,
    /// Outcomes that are not known.
    pub unknown: u64,
    /// Time of the first record.
    pub first_ms: Option<u64>,
    /// Longest time between two records, milliseconds.
    pub longest_gap_ms: u64,
    /// The record after it.
    pub longest_gap_before: u64,
    /// How often the log was silent for more than a day and an hour.
    pub silences: u64,
}

impl Promise {
    pub(crate) fn holds(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Holds, detail: detail.into() }
    }

    pub(crate) fn not_shown(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::NotShown, detail: detail.into() }
    }
}

impl Report {
    /// What is shown of a promise.
    pub fn promise(&self, name: &str) -> Option<&Promise> {
        self.promises.iter().find(|p| p.name == name)
    }

    /// Promises about which somebody should ask.
    pub fn doubts(&self) -> impl Iterator<Item = &Promise> {
        self.promises.iter().filter(|p| p.verdict == Verdict::Doubt)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Doubt => "DOUBT",
            Self::NotShown => "not shown",
        })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |counts: &mut dyn Iterator<Item = (String, u64)>| {
            counts.map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", ")
        };
        let kinds = list(&mut self.counts.kinds.iter().map(|(w, n)| ((*w).to_owned(), *n)));
        writeln!(f, "log           {}", self.origin)?;
        writeln!(f, "tenant        {}", self.tenant)?;
        writeln!(f, "exported      {}", self.exported)?;
        writeln!(f, "records       {} ({kinds})", self.records)?;
        if !self.counts.types.is_empty() {
            let types = list(&mut self.counts.types.iter().map(|(w, n)| (w.clone(), *n)));
            writeln!(f, "platform      {types}")?;
        }
        writeln!(f)?;
        for Promise { name, verdict, detail } in &self.promises {
            writeln!(f, "{name:<13} {verdict:<9}  {detail}")?;
        }
        if !self.passkeys.is_empty() {
            writeln!(f)?;
            writeln!(f, "Passkeys that signed approvals; compare them with your approvers' (--passkey):")?;
        }
        for Passkey { fingerprint, by, origins, approvals, bound, first } in &self.passkeys {
            let joined =
                |all: &BTreeSet<String>| all.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let since = match bound {
                Some(record) => format!("bound in record {record}"),
                None => format!("its registration is not shown, first in record {first}"),
            };
            let (by, on) = (joined(by), joined(origins));
            writeln!(f, "  {fingerprint}  {by}: {approvals} approvals on {on}; {since}")?;
        }
        if !self.key_given {
            writeln!(f)?;
            writeln!(
                f,
                "The key was taken from the bundle. Compare its fingerprint with the one the provider published:"
            )?;
            writeln!(f, "  {}", self.key_fingerprint)?;
        }
        Ok(())
    }
}
