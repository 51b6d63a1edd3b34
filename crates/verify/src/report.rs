//! What holds, in plain words, and what a bundle alone cannot show.

use std::collections::BTreeMap;

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
    /// Records, all below the signed head.
    pub records: u64,
    /// Root hash, hex.
    pub root: String,
    /// The log's public key (vkey).
    pub key: String,
    /// Its fingerprint, hex.
    pub key_fingerprint: String,
    /// Whether the key was given, rather than taken from the bundle.
    pub key_given: bool,
    /// Size of the head that was given for comparison.
    pub head_given: Option<u64>,
    /// Intents without outcome.
    pub open: Vec<u64>,
    /// Time of the last record, milliseconds since 1970.
    pub last_ms: u64,
    /// How often the log's key changed, each time signed by the key before.
    pub key_changes: usize,
    /// Counts.
    pub counts: Counts,
}

/// Counts over all records.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Records by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Reads of content by operators, each covered by a grant.
    pub content_reads: u64,
    /// Outcomes that are not known.
    pub unknown: u64,
    /// Time of the first record.
    pub first_ms: Option<u64>,
    /// Longest time between two records, milliseconds.
    pub longest_gap_ms: u64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds: Vec<_> = self.counts.kinds.iter().map(|(word, n)| format!("{n} {word}")).collect();
        writeln!(f, "log           {}", self.origin)?;
        writeln!(f, "tenant        {}", self.tenant)?;
        writeln!(f, "exported      {}", self.exported)?;
        writeln!(f, "records       {} ({})", self.records, kinds.join(", "))?;
        writeln!(f)?;
        writeln!(f, "signature     holds: manifest and checkpoint are signed by {}", self.key)?;
        if self.key_changes > 0 {
            writeln!(
                f,
                "keys          hold: {} changes, each signed by the key before it",
                self.key_changes
            )?;
        }
        writeln!(f, "integrity     holds: each record's event is the one that the log committed to")?;
        writeln!(f, "order         holds: each record stands at its index, and time never falls")?;
        writeln!(
            f,
            "completeness  holds: all records below the signed head {} are here, root {}",
            self.records, self.root
        )?;
        writeln!(
            f,
            "outcomes      intents without one yet: {}{}; unknown: {}",
            self.open.len(),
            shown(&self.open),
            self.counts.unknown
        )?;
        writeln!(
            f,
            "consent       holds: operators' reads of content: {}, each under a live grant of the tenant",
            self.counts.content_reads
        )?;
        match self.head_given {
            Some(size) => writeln!(
                f,
                "continuity    holds: the log continues the head of {size} records that you gave"
            )?,
            None => writeln!(f, "continuity    not checked: give a checkpoint from elsewhere with --head")?,
        }
        writeln!(f)?;
        if !self.key_given {
            writeln!(
                f,
                "The key was taken from the bundle. Compare its fingerprint with the one the provider published:"
            )?;
            writeln!(f, "  {}", self.key_fingerprint)?;
        }
        writeln!(
            f,
            "Not shown here: that others see the same log (`bailee-verify watch` shows it), and an act that was never logged"
        )?;
        write!(
            f,
            "(no log can show it). The longest time without a record was {} s.",
            self.counts.longest_gap_ms / 1000
        )
    }
}

fn shown(open: &[u64]) -> String {
    if open.is_empty() {
        return String::new();
    }
    let first: Vec<_> = open.iter().take(10).map(ToString::to_string).collect();
    format!(" (records {}{})", first.join(", "), if open.len() > 10 { ", …" } else { "" })
}
