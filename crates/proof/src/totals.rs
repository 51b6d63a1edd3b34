//! Totals: how often a provider's people asked its tenants, and what these answered, over all of them, as the provider publishes
//! it (docs/consent.md).
//!
//! ```text
//! bailee-totals/v1
//! log <origin of the provider's own log>
//! from 2026-08-30
//! to 2026-11-27                  both days counted, UTC
//! tenants-min <n>                a figure with fewer tenants behind it is `few`
//! step <n>                       counts are rounded down to a multiple of it
//! requests <n or few>
//! approvals <n or few>
//! refusals <n or few>
//! median-minutes <n or few>      from the question to the answer
//! content-reads <n or few>
//! ```
//! It is the text of a signed note (C2SP signed-note) by the key of the provider's own log.
//! INVARIANT: what is read prints the same bytes. No totals are a checkpoint, and no checkpoint is totals: the first line is never
//! an origin, and there are more lines.

use std::fmt;

use crate::grant::{GrantError, Lines};
use crate::note::{self, Note, NoteError, Signer, VerifierKey};

const FIRST: &str = "bailee-totals/v1";
/// Bytes of a text, at most.
const BYTES_MAX: usize = 4 * 1024;

/// What is published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Totals {
    /// The provider's own log, whose key signs.
    pub log: String,
    /// The first day, `2026-08-30`.
    pub from: String,
    /// The last day.
    pub to: String,
    /// A figure with fewer tenants behind it is not told.
    pub tenants_min: u32,
    /// Counts are rounded down to a multiple of it.
    pub step: u32,
    /// Requests for consent; none: too few tenants are behind it, as with the others.
    pub requests: Option<u64>,
    /// Requests that became grants.
    pub approvals: Option<u64>,
    /// Requests that tenants denied.
    pub refusals: Option<u64>,
    /// Minutes from the question to the answer, the median.
    pub median_minutes: Option<u64>,
    /// Reads of content under a grant.
    pub content_reads: Option<u64>,
}

/// Why totals were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotalsError {
    /// Longer than any can be.
    #[error("the totals have {0} bytes, more than 4096")]
    TooLong(usize),
    /// A line of another form.
    #[error("line {line} of the totals must be {wanted}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it must be.
        wanted: &'static str,
    },
    /// Its form or signatures as a note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Signed by the key of another log.
    #[error("the totals are of `{log}`, the key is of `{key}`")]
    OtherLog {
        /// The log in the text.
        log: String,
        /// The name of the key.
        key: String,
    },
}

impl From<GrantError> for TotalsError {
    fn from(e: GrantError) -> Self {
        match e {
            GrantError::TooLong(bytes) => Self::TooLong(bytes),
            GrantError::Line { line, wanted } => Self::Line { line, wanted },
            GrantError::Note(e) => Self::Note(e),
        }
    }
}

fn is_day(text: &str) -> bool {
    let part = |range, most: u32| {
        text.get(range)
            .filter(|p: &&str| p.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|p| p.parse::<u32>().ok())
            .is_some_and(|n| (1..=most).contains(&n))
    };
    text.len() == 10
        && part(0..4, 9999)
        && part(5..7, 12)
        && part(8..10, 31)
        && text.get(4..5) == Some("-")
        && text.get(7..8) == Some("-")
}

impl Totals {
    /// The figures by their names, in order.
    pub fn figures(&self) -> [(&'static str, Option<u64>); 5] {
        [
            ("requests", self.requests),
            ("approvals", self.approvals),
            ("refusals", self.refusals),
            ("median-minutes", self.median_minutes),
            ("content-reads", self.content_reads),
        ]
    }

    /// Reads totals without signatures.
    ///
    /// # Errors
    /// When the text is not exactly what [`Totals`] prints.
    pub fn parse(text: &str) -> Result<Self, TotalsError> {
        if text.len() > BYTES_MAX {
            return Err(TotalsError::TooLong(text.len()));
        }
        let mut lines = Lines::of(text);
        if lines.next() != FIRST {
            return Err(lines.wrong("`bailee-totals/v1`").into());
        }
        let log = lines.word("log", "`log` and its origin")?;
        let mut day = |name, wanted| {
            let day = lines.word(name, wanted)?;
            if is_day(&day) { Ok(day) } else { Err(lines.wrong(wanted)) }
        };
        let (from, to) = (day("from", "`from` and a day")?, day("to", "`to` and a day")?);
        if to < from {
            return Err(lines.wrong("a day that is not before the first").into());
        }
        let tenants_min = lines.count("tenants-min", "`tenants-min` and a number")?;
        let step = lines.count("step", "`step` and a number")?;
        let mut figure = |name, wanted| {
            let told = lines.word(name, wanted)?;
            let number = crate::witness::canonical(&told);
            if number.is_some() || told == "few" { Ok(number) } else { Err(lines.wrong(wanted)) }
        };
        let read = Self {
            log,
            from,
            to,
            tenants_min,
            step,
            requests: figure("requests", "`requests` and a number or `few`")?,
            approvals: figure("approvals", "`approvals` and a number or `few`")?,
            refusals: figure("refusals", "`refusals` and a number or `few`")?,
            median_minutes: figure("median-minutes", "`median-minutes` and a number or `few`")?,
            content_reads: figure("content-reads", "`content-reads` and a number or `few`")?,
        };
        // Something behind the last line, or no end of it.
        if read.to_string() == text { Ok(read) } else { Err(lines.spelling().into()) }
    }

    /// The note over these totals, signed by the key of the provider's own log.
    ///
    /// # Errors
    /// When the key is that of another log, or the totals cannot be read again.
    pub fn sign(&self, signer: &Signer) -> Result<String, TotalsError> {
        self.expect_log(signer.verifier())?;
        let text = self.to_string();
        Self::parse(&text)?;
        Ok(note::sign(&text, &[signer])?)
    }

    /// Reads a note, checks the log's signature, and reads the totals in it.
    ///
    /// # Errors
    /// When the signature is missing or wrong, or the text is not totals of that log.
    pub fn open(note: &[u8], log: &VerifierKey) -> Result<Self, TotalsError> {
        let note = Note::parse(note)?;
        note.verify(&[log])?;
        let totals = Self::parse(note.text())?;
        totals.expect_log(log)?;
        Ok(totals)
    }

    /// Reads a note without looking at its signatures.
    ///
    /// # Errors
    /// When it has another form.
    pub fn read_unverified(note: &[u8]) -> Result<Self, TotalsError> {
        Self::parse(Note::parse(note)?.text())
    }

    fn expect_log(&self, key: &VerifierKey) -> Result<(), TotalsError> {
        if self.log == key.name() {
            return Ok(());
        }
        Err(TotalsError::OtherLog { log: self.log.clone(), key: key.name().to_owned() })
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST}\nlog {}\nfrom {}\nto {}", self.log, self.from, self.to)?;
        writeln!(f, "tenants-min {}\nstep {}", self.tenants_min, self.step)?;
        for (name, figure) in self.figures() {
            match figure {
                Some(n) => writeln!(f, "{name} {n}")?,
                None => writeln!(f, "{name} few")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use proptest::prelude::*;

    const LOG: &str = "trust.example/trail/0";

    fn totals() -> Totals {
        Totals {
            log: LOG.into(),
            from: "2026-08-30".into(),
            to: "2026-11-27".into(),
            tenants_min: 5,
            step: 5,
            requests: Some(120),
            approvals: Some(0),
            refusals: None,
            median_minutes: Some(14),
            content_reads: Some(u64::MAX),
        }
    }

    #[test]
    fn totals_open_under_their_logs_key_only_and_are_no_checkpoint() {
        let signer = Signer::from_seed(LOG, &[3; 32]).unwrap();
        let note = totals().sign(&signer).unwrap();
        assert_eq!(Totals::open(note.as_bytes(), signer.verifier()), Ok(totals()));
        assert!(Checkpoint::open(note.as_bytes(), signer.verifier()).is_err());
        for (name, seed) in [(LOG, [4; 32]), ("trust.example/trail/1", [3; 32])] {
            let other = Signer::from_seed(name, &seed).unwrap();
            assert!(Totals::open(note.as_bytes(), other.verifier()).is_err());
        }
        assert!(totals().sign(&Signer::from_seed("trust.example/trail/1", &[3; 32]).unwrap()).is_err());
        let root = crate::hash::sha256(&[b"x"]);
        let checkpoint = Checkpoint { origin: LOG.into(), size: 7, root }.sign(&signer).unwrap();
        assert!(Totals::open(checkpoint.as_bytes(), signer.verifier()).is_err());
        for at in 0..note.len() {
            let mut changed = note.clone().into_bytes();
            changed[at] ^= 1;
            assert!(Totals::open(&changed, signer.verifier()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn totals_have_one_spelling() {
        let good = totals().to_string();
        assert_eq!(Totals::parse(&good), Ok(totals()));
        for (from, to, why) in [
            ("totals/v1", "totals/v2", "line 1"),
            ("from 2026-08-30", "from 2026-8-30", "line 3"),
            ("from 2026-08-30", "from 2026-13-30", "line 3"),
            ("from 2026-08-30", "from +026-08-30", "line 3"),
            ("to 2026-11-27", "to 2026-08-29", "line 4"),
            ("tenants-min 5", "tenants-min 05", "line 5"),
            ("requests 120", "requests +120", "line 7"),
            ("refusals few", "refusals Few", "line 9"),
            ("content-reads", "reads", "line 11"),
            ("18446744073709551615\n", "18446744073709551615\n\n", "as it is printed"),
            ("18446744073709551615", "18446744073709551616", "line 11"),
        ] {
            assert!(good.contains(from), "{from}");
            let said = Totals::parse(&good.replace(from, to)).unwrap_err().to_string();
            assert!(said.contains(why), "{to}: {said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_prints_the_same(
            text in "\\PC{0,200}",
            figures in any::<[Option<u64>; 5]>(),
            (tenants_min, step) in any::<(u32, u32)>(),
            cut in any::<prop::sample::Index>(),
        ) {
            if let Ok(read) = Totals::parse(&text) {
                prop_assert_eq!(read.to_string(), text);
            }
            let [requests, approvals, refusals, median_minutes, content_reads] = figures;
            let whole =
                Totals { tenants_min, step, requests, approvals, refusals, median_minutes, content_reads, ..totals() };
            let written = whole.to_string();
            prop_assert_eq!(Totals::parse(&written), Ok(whole));
            prop_assert!(Totals::parse(&written[..cut.index(written.len())]).is_err());
        }
    }
}
