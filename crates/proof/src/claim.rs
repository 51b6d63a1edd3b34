//! Claims: sentences that a provider publishes, each carried by checks of the running system. A claim file shows the newest
//! finding of each check in the provider's log, so that anybody can judge the claim offline.
//!
//! ```text
//! bailee-claim/v1
//! claim <id>
//! at <milliseconds since 1970>           when it was asked for
//! claims <n>
//! <id> TAB <oldest finding that counts, seconds> TAB <check>,<check> TAB <English> TAB <Chinese>
//! …                                      all claims of the provider, in its order
//!
//! proof <bytes>
//! <offline proof of a record that holds findings>
//! …
//! ```
//! Each line ends with a line feed, and so does each proof. Findings commit to the list of claims by its SHA-256: a claim
//! cannot be made weaker after its checks failed without saying so.
//! INVARIANT: what is not known is never a pass: [`stand`] calls a claim proven only when all its checks answered in time.
//! INVARIANT: a file has one spelling: what is read is written again as the same bytes.

use std::fmt::Write as _;

use crate::hash::{Hash, sha256};
use crate::offline::{EXTRA_BYTES_MAX, OfflineError, OfflineProof};

const FORMAT: &str = "bailee-claim/v1";
/// Claims of a provider, at most.
pub const CLAIMS_MAX: usize = 1_000;
/// Checks of one claim, at most; as many proofs has a file.
pub const CHECKS_MAX: usize = 64;
/// Bytes of one text.
const TEXT_MAX: usize = 2_000;
/// Bytes of a file.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a check answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It could not be looked at.
    Unknown,
    /// There was nothing to look at.
    NotApplicable,
}

impl Answer {
    /// Its word in records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::NotApplicable => "na",
        }
    }

    /// The answer of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Pass, Self::Fail, Self::Unknown, Self::NotApplicable].into_iter().find(|a| a.word() == word)
    }
}

/// The newest finding of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// What it answered.
    pub answer: Answer,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}

/// A claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Its name.
    pub id: String,
    /// Seconds after which a finding no longer counts.
    pub max_age_secs: u64,
    /// The checks that carry it; none makes it a statement.
    pub checks: Vec<String>,
    /// The sentence in English.
    pub en: String,
    /// The sentence in Chinese.
    pub zh: String,
}

/// How a claim stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// At least one check passed in time, and none failed, is unknown or too old.
    Proven {
        /// The oldest of the findings that count, milliseconds since 1970.
        since_ms: i64,
    },
    /// A check failed, in time or before it grew old.
    Failing,
    /// A check is unknown, was not run in time, or there was nothing to look at.
    Unproven,
    /// No check carries it.
    Stated,
}

impl Standing {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Proven { .. } => "proven",
            Self::Failing => "failing",
            Self::Unproven => "unproven",
            Self::Stated => "stated",
        }
    }
}

/// How the claim stands at `now_ms`, by the newest finding of each check. A failure counts however old it is: only a newer
/// answer takes it away.
pub fn stand(claim: &Claim, found: impl Fn(&str) -> Option<Found>, now_ms: i64) -> Standing {
    let found: Vec<_> = claim.checks.iter().map(|c| found(c)).collect();
    if found.is_empty() {
        return Standing::Stated;
    }
    if found.iter().flatten().any(|f| f.answer == Answer::Fail) {
        return Standing::Failing;
    }
    let age_max = i64::try_from(claim.max_age_secs).unwrap_or(i64::MAX).saturating_mul(1000);
    let counts = |f: &Found| {
        f.answer != Answer::Unknown && f.at_ms <= now_ms && now_ms.saturating_sub(f.at_ms) <= age_max
    };
    let in_time: Option<Vec<Found>> = found.into_iter().map(|f| f.filter(counts)).collect();
    match in_time {
        Some(all) if all.iter().any(|f| f.answer == Answer::Pass) => {
            Standing::Proven { since_ms: all.iter().map(|f| f.at_ms).min().unwrap_or(now_ms) }
        }
        _ => Standing::Unproven,
    }
}

/// The lines of all claims, as a file has them.
///
/// # Errors
/// When a part cannot be written in its line.
pub fn list(claims: &[Claim]) -> Result<String, ClaimError> {
    let mut text = String::new();
    for (n, claim) in claims.iter().enumerate() {
        let line = spelled(claim).ok_or(ClaimError::Line(n + 5))?;
        let _ = writeln!(text, "{line}");
    }
    if claims.len() > CLAIMS_MAX { Err(ClaimError::TooLong) } else { Ok(text) }
}

/// What findings commit to: SHA-256 of [`list`].
pub fn digest(list: &str) -> Hash {
    sha256(&[list.as_bytes()])
}

fn spelled(claim: &Claim) -> Option<String> {
    let is_id =
        |id: &str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_text = |text: &str| {
        (1..=TEXT_MAX).contains(&text.len()) && !text.chars().any(char::is_control) && text.trim() == text
    };
    let well = is_id(&claim.id)
        && claim.checks.len() <= CHECKS_MAX
        && claim.checks.iter().all(|c| is_id(c))
        && is_text(&claim.en)
        && is_text(&claim.zh);
    let Claim { id, max_age_secs, checks, en, zh } = claim;
    well.then(|| format!("{id}\t{max_age_secs}\t{}\t{en}\t{zh}", checks.join(",")))
}

fn read(line: &str) -> Option<Claim> {
    let mut parts = line.split('\t');
    let mut next = || parts.next();
    let (id, age, checks, en, zh) = (next()?, next()?, next()?, next()?, next()?);
    let checks = if checks.is_empty() { Vec::new() } else { checks.split(',').map(str::to_owned).collect() };
    let claim =
        Claim { id: id.into(), max_age_secs: age.parse().ok()?, checks, en: en.into(), zh: zh.into() };
    (spelled(&claim)? == line).then_some(claim)
}

/// A claim file; nothing in it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimFile {
    /// The claim that it is about.
    pub claim: String,
    /// When it was asked for, milliseconds since 1970.
    pub at_ms: i64,
    /// All claims of the provider.
    pub claims: Vec<Claim>,
    /// Records with findings; their openings are in the proofs.
    pub proofs: Vec<OfflineProof>,
}

/// Why bytes are no claim file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another format, or a line that is not spelled as it must be.
    #[error("line {0} is not one of a claim file")]
    Line(usize),
    /// A proof in it.
    #[error("proof {0}: {1}")]
    Proof(usize, OfflineError),
    /// The claim is not among the provider's.
    #[error("there is no claim `{0}` in the list")]
    NoClaim(String),
    /// More claims, proofs or bytes than a file has.
    #[error("the claim file is too long")]
    TooLong,
}

impl ClaimFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ClaimError> {
        if bytes.len() > BYTES_MAX {
            return Err(ClaimError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ClaimError::Line(1))?;
        let (head, mut rest) = text.split_once("\n\n").ok_or(ClaimError::Line(1))?;
        let mut lines = head.split('\n').enumerate();
        let mut line = |before: &str| {
            let (n, line) = lines.next().ok_or(ClaimError::Line(1))?;
            line.strip_prefix(before).map(str::to_owned).ok_or(ClaimError::Line(n + 1))
        };
        if !line(FORMAT)?.is_empty() {
            return Err(ClaimError::Line(1));
        }
        let (claim, at, count) = (line("claim ")?, line("at ")?, line("claims ")?);
        let at_ms: i64 = at.parse().map_err(|_| ClaimError::Line(3))?;
        let claims = lines
            .map(|(n, line)| read(line).ok_or(ClaimError::Line(n + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if claims.len() > CLAIMS_MAX {
            return Err(ClaimError::TooLong);
        }
        if claims.len().to_string() != count || at_ms.to_string() != at {
            return Err(ClaimError::Line(4));
        }
        let mut proofs = Vec::new();
        while !rest.is_empty() {
            let at = || ClaimError::Line(6 + claims.len());
            if proofs.len() == CHECKS_MAX {
                return Err(ClaimError::TooLong);
            }
            let (length, after) =
                rest.strip_prefix("proof ").and_then(|r| r.split_once('\n')).ok_or_else(at)?;
            let bytes: usize =
                length.parse().ok().filter(|n: &usize| n.to_string() == length).ok_or_else(at)?;
            let (proof, next) = after.split_at_checked(bytes).ok_or_else(at)?;
            let parsed =
                OfflineProof::parse(proof.as_bytes()).map_err(|e| ClaimError::Proof(proofs.len() + 1, e))?;
            proofs.push(parsed);
            rest = next;
        }
        let file = Self { claim, at_ms, claims, proofs };
        file.its_claim()?;
        Ok(file)
    }

    /// The claim that it is about.
    ///
    /// # Errors
    /// When it is not in the list.
    pub fn its_claim(&self) -> Result<&Claim, ClaimError> {
        let no = || ClaimError::NoClaim(self.claim.clone());
        self.claims.iter().find(|c| c.id == self.claim).ok_or_else(no)
    }

    /// The file.
    ///
    /// # Errors
    /// When a part cannot be written in its line.
    pub fn print(&self) -> Result<String, ClaimError> {
        let claims = list(&self.claims)?;
        let (claim, at) = (&self.its_claim()?.id, self.at_ms);
        let mut text = format!("{FORMAT}\nclaim {claim}\nat {at}\nclaims {}\n{claims}\n", self.claims.len());
        for proof in &self.proofs {
            let proof = proof.to_string();
            let _ = write!(text, "proof {}\n{proof}", proof.len());
        }
        Ok(text)
    }
}

/// Bytes of an opened record in a proof, at most.
pub const RECORD_BYTES_MAX: usize = EXTRA_BYTES_MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(checks: &[&str]) -> Claim {
        Claim {
            id: "data-location".into(),
            max_age_secs: 3600,
            checks: checks.iter().map(|&c| c.to_owned()).collect(),
            en: "All copies lie in the region".into(),
            zh: "全部副本都在该区域".into(),
        }
    }

    const NOW: i64 = 1_800_000_000_000;

    fn at(found: &[(&str, Answer, i64)]) -> Standing {
        let look = |check: &str| {
            let one = found.iter().find(|f| f.0 == check)?;
            Some(Found { answer: one.1, at_ms: NOW - one.2 })
        };
        stand(&claim(&["RES-01", "RES-02"]), look, NOW)
    }

    #[test]
    fn only_answers_in_time_prove() {
        use Answer::{Fail, NotApplicable, Pass, Unknown};
        let proven = |ago| Standing::Proven { since_ms: NOW - ago };
        assert_eq!(at(&[("RES-01", Pass, 5), ("RES-02", Pass, 9)]), proven(9));
        assert_eq!(at(&[("RES-01", Pass, 5), ("RES-02", NotApplicable, 9)]), proven(9));
        assert_eq!(at(&[("RES-01", Pass, 3_600_000), ("RES-02", Pass, 0)]), proven(3_600_000));
        for unproven in [
            &[("RES-01", Pass, 3_600_001), ("RES-02", Pass, 0)][..],
            &[("RES-01", Pass, 5), ("RES-02", Unknown, 5)],
            &[("RES-01", NotApplicable, 5), ("RES-02", NotApplicable, 5)],
            &[("RES-01", Pass, 5)],
            &[("RES-01", Pass, -1), ("RES-02", Pass, 0)],
            &[],
        ] {
            assert_eq!(at(unproven), Standing::Unproven, "{unproven:?}");
        }
        // A failure does not go away by growing old or by standing beside something unknown.
        assert_eq!(at(&[("RES-01", Fail, 99_000_000)]), Standing::Failing);
        assert_eq!(at(&[("RES-01", Fail, 5), ("RES-02", Unknown, 5)]), Standing::Failing);
        assert_eq!(stand(&claim(&[]), |_| None, NOW), Standing::Stated);
    }

    fn file() -> ClaimFile {
        let proof = OfflineProof {
            extra: Some(vec![1; 80]),
            index: 7,
            siblings: vec![sha256(&[b"a"])],
            checkpoint: "trust.example/log\n8\nAAAA\n\n— trust.example/log AAAA\n".into(),
        };
        let other = Claim { id: "stated".into(), checks: Vec::new(), ..claim(&[]) };
        let claims = vec![claim(&["RES-01", "RES-02"]), other];
        ClaimFile { claim: "data-location".into(), at_ms: NOW, claims, proofs: vec![proof.clone(), proof] }
    }

    #[test]
    fn a_file_has_one_spelling() {
        let text = file().print().unwrap();
        assert_eq!(ClaimFile::parse(text.as_bytes()).unwrap(), file());
        for (from, to) in [
            ("v1\n", "v2\n"),
            ("claim data", "claim  data"),
            ("claims 2", "claims 1"),
            ("claims 2", "claims 02"),
            ("at 18", "at +18"),
            ("\t3600\t", "\t03600\t"),
            ("RES-01,RES-02", "RES-01,,RES-02"),
            ("proof ", "proof 0"),
            ("\nclaim data-location", "\nclaim no-such"),
            ("region", "region "),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert!(ClaimFile::parse(changed.as_bytes()).is_err(), "{from} -> {to}");
        }
        let long = ClaimFile { proofs: vec![file().proofs[0].clone(); CHECKS_MAX + 1], ..file() };
        assert_eq!(ClaimFile::parse(long.print().unwrap().as_bytes()), Err(ClaimError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_the_same_bytes(cut in 0usize..600, insert in ".{0,4}") {
            let text = file().print().unwrap();
            let at = (0..=cut.min(text.len())).rev().find(|&n| text.is_char_boundary(n)).unwrap_or(0);
            let changed = format!("{}{insert}{}", &text[..at], &text[at..]);
            if let Ok(read) = ClaimFile::parse(changed.as_bytes()) {
                prop_assert_eq!(read.print().unwrap(), changed);
            }
        }
    }
}
