//! The members by which records of kinds 5 to 8 say what they are about; writers and verifiers share them.
//!
//! | kind | member | form |
//! |---|---|---|
//! | erasure | `erasure` | `{"indices":[3,7],"reason":"…","by":"…","legalBasis":"…"}` |
//! | log | `rotation` | the note of [`crate::rotation`], as a string |
//! | log | `policy` | a witness policy ([`crate::policy`]) that holds from here on, as a string |
//! | heartbeat | `heartbeat` | `{"size":9,"headVersion":3}`: records before this one; the head log's last version, or null |
//! | finding | `finding` | `{"check":"…","result":"holds","detail":"…"}`: holds, fails or unknown |
//!
//! A log record has exactly one of its two. Each object has exactly these members; texts have 1 to 1,024 bytes.
//! INVARIANT: what is not of this form is refused, so no record of these kinds has a second reading.

use std::borrow::Cow;

use super::{EventError, EventView, scan};
use crate::policy::Policy;
use crate::record::Kind;
use crate::rotation::Rotation;

/// Records that one erasure may name.
pub const ERASED_MAX: usize = 2048;

/// Bytes of a text in these forms, at most.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Milliseconds for which the record of an operator's act cannot be erased: 180 days.
pub const KEPT_MS_MIN: u64 = 180 * 24 * 3600 * 1000;

/// What a record of kind 5 to 8 says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    /// Events were erased.
    Erasure(Erasure),
    /// The log's key changes.
    Rotation(Box<Rotation>),
    /// The witness policy changes.
    Policy(Box<Policy>),
    /// A sign of life.
    Heartbeat(Heartbeat),
    /// The result of a check.
    Finding(Finding),
}

/// Nonce and text of some events were erased; their entries stay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// Which, in rising order; all before this record.
    pub indices: Vec<u64>,
    /// Why, in words.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    /// The law or right it rests on.
    pub legal_basis: String,
}

/// A sign of life: without one for a day, silence is a symptom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// Records before this one; must be its index.
    pub size: u64,
    /// Version of the last head that went into the head log.
    pub head_version: Option<u64>,
}

/// The result of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which check.
    pub check: String,
    /// What came of it.
    pub result: Found,
    /// More, in words.
    pub detail: String,
}

/// What came of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// What was promised holds.
    Holds,
    /// It does not.
    Fails,
    /// The check could not tell.
    Unknown,
}

/// Why an event may not be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotErasable {
    /// Records about the log itself stay.
    #[error("a record of kind {0} is never erased")]
    Kind(Kind),
    /// The record of an operator's act that is too young.
    #[error("a record of kind {0} is not erased within 180 days")]
    Young(Kind),
}

/// Whether the event of a record may be erased at `erased_ms`: records about the log itself never; intents, outcomes and
/// refusals, which tell of operators, not before 180 days; a tenant's own management events when it wants.
///
/// # Errors
/// Why not.
pub fn may_erase(kind: Kind, recorded_ms: u64, erased_ms: u64) -> Result<(), NotErasable> {
    match kind {
        Kind::Management => Ok(()),
        Kind::Intent | Kind::Outcome | Kind::Refusal => {
            let old = erased_ms.checked_sub(recorded_ms).is_some_and(|age| age >= KEPT_MS_MIN);
            if old { Ok(()) } else { Err(NotErasable::Young(kind)) }
        }
        Kind::Erasure | Kind::Log | Kind::Heartbeat | Kind::Finding => Err(NotErasable::Kind(kind)),
    }
}

impl EventView<'_> {
    /// What a record of kind 5 to 8 at `index` says; `None` for kinds 1 to 4.
    ///
    /// # Errors
    /// [`EventError::Member`] when it has another form, or names records at or after its own index.
    pub fn form(&self, kind: Kind, index: u64) -> Result<Option<Form>, EventError> {
        let form = match kind {
            Kind::Erasure => Form::Erasure(erasure(self.erasure, index).ok_or(EventError::Member {
                name: "erasure",
                wanted: "rising indices below the record's own, reason, by and legalBasis",
            })?),
            Kind::Log => self.log(index)?,
            Kind::Heartbeat => Form::Heartbeat(heartbeat(self.heartbeat).filter(|h| h.size == index).ok_or(
                EventError::Member {
                    name: "heartbeat",
                    wanted: "the record's own index as size, and a headVersion or null",
                },
            )?),
            Kind::Finding => Form::Finding(finding(self.finding).ok_or(EventError::Member {
                name: "finding",
                wanted: "check, result (holds, fails or unknown) and detail",
            })?),
            Kind::Intent | Kind::Outcome | Kind::Refusal | Kind::Management => return Ok(None),
        };
        Ok(Some(form))
    }

    fn log(&self, index: u64) -> Result<Form, EventError> {
        let wrong = |name, wanted| EventError::Member { name, wanted };
        match (self.rotation, self.policy) {
            (Some(note), None) => {
                let wrong =
                    || wrong("rotation", "a key change of this record, signed by the old and the new key");
                let note = scan::text(note).ok_or_else(wrong)?;
                let rotation = Rotation::open(note.as_bytes()).ok().filter(|r| r.index == index);
                Ok(Form::Rotation(Box::new(rotation.ok_or_else(wrong)?)))
            }
            (None, Some(policy)) => {
                let policy = scan::text(policy).and_then(|text| Policy::parse(text.as_bytes()).ok());
                Ok(Form::Policy(Box::new(policy.ok_or_else(|| wrong("policy", "a witness policy"))?)))
            }
            _ => Err(wrong("rotation", "there, or else `policy`, and not both")),
        }
    }
}

impl Erasure {
    /// The value of the member `erasure`.
    pub fn json(&self) -> String {
        let indices: Vec<String> = self.indices.iter().map(ToString::to_string).collect();
        format!(
            r#"{{"indices":[{}],"reason":{},"by":{},"legalBasis":{}}}"#,
            indices.join(","),
            scan::quoted(&self.reason),
            scan::quoted(&self.by),
            scan::quoted(&self.legal_basis)
        )
    }
}

impl Heartbeat {
    /// The value of the member `heartbeat`.
    pub fn json(&self) -> String {
        let version = self.head_version.map_or_else(|| "null".to_owned(), |v| v.to_string());
        format!(r#"{{"size":{},"headVersion":{version}}}"#, self.size)
    }
}

impl Finding {
    /// The value of the member `finding`.
    pub fn json(&self) -> String {
        let [check, result, detail] = [&self.check, self.result.word(), &self.detail].map(scan::quoted);
        format!(r#"{{"check":{check},"result":{result},"detail":{detail}}}"#)
    }
}

impl Found {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Unknown => "unknown",
        }
    }
}

fn erasure(json: Option<&str>, index: u64) -> Option<Erasure> {
    let [indices, reason, by, legal_basis] = exactly(json?, ["indices", "reason", "by", "legalBasis"])?;
    let indices: Option<Vec<u64>> = scan::elements(indices)?.into_iter().map(|n| n.parse().ok()).collect();
    let indices = indices.filter(|all| (1..=ERASED_MAX).contains(&all.len()))?;
    let rising = indices.is_sorted_by(|a, b| a < b) && indices.last().is_some_and(|last| *last < index);
    let [reason, by, legal_basis] = [words(reason)?, words(by)?, words(legal_basis)?].map(Cow::into_owned);
    rising.then_some(Erasure { indices, reason, by, legal_basis })
}

fn heartbeat(json: Option<&str>) -> Option<Heartbeat> {
    let [size, version] = exactly(json?, ["size", "headVersion"])?;
    let head_version = if version == "null" { None } else { Some(version.parse().ok()?) };
    Some(Heartbeat { size: size.parse().ok()?, head_version })
}

fn finding(json: Option<&str>) -> Option<Finding> {
    let [check, result, detail] = exactly(json?, ["check", "result", "detail"])?;
    let result = words(result)?;
    let result = [Found::Holds, Found::Fails, Found::Unknown].into_iter().find(|f| f.word() == result)?;
    Some(Finding { check: words(check)?.into_owned(), result, detail: words(detail)?.into_owned() })
}

/// The values of an object that has exactly these members, in any order.
fn exactly<'a, const N: usize>(json: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let members = scan::members(json)?;
    if members.len() != N {
        return None;
    }
    let mut values = [""; N];
    for (name, value) in names.iter().zip(&mut values) {
        *value = members.iter().find(|(found, _)| found == name).map(|(_, json)| *json)?;
    }
    Some(values)
}

fn words(json: &str) -> Option<Cow<'_, str>> {
    scan::text(json).filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Signer;
    use proptest::prelude::*;

    fn form(kind: Kind, index: u64, member: &str, json: &str) -> Result<Option<Form>, EventError> {
        super::super::scan(format!(r#"{{"{member}":{json}}}"#).as_bytes())?.form(kind, index)
    }

    #[test]
    fn what_is_written_is_read() {
        let erasure = Erasure {
            indices: vec![1, 4],
            reason: "asked \"politely\"\n".into(),
            by: "用户 7".into(),
            legal_basis: "PIPL 47".into(),
        };
        let read = form(Kind::Erasure, 5, "erasure", &erasure.json());
        assert_eq!(read, Ok(Some(Form::Erasure(erasure))));
        for head_version in [None, Some(u64::MAX)] {
            let beat = Heartbeat { size: 5, head_version };
            assert_eq!(form(Kind::Heartbeat, 5, "heartbeat", &beat.json()), Ok(Some(Form::Heartbeat(beat))));
            assert!(form(Kind::Heartbeat, 6, "heartbeat", &beat.json()).is_err());
        }
        let finding = Finding { check: "c".into(), result: Found::Fails, detail: "\u{1}".into() };
        let read = form(Kind::Finding, 5, "finding", &finding.json());
        assert_eq!(read, Ok(Some(Form::Finding(finding))));
        assert_eq!(form(Kind::Intent, 5, "finding", "1"), Ok(None));
    }

    #[test]
    fn a_log_record_carries_a_key_change_of_its_own_index_or_a_policy() {
        let [old, new] = [1, 2].map(|n| Signer::from_seed("o", &[n; 32]).unwrap());
        let note = scan::quoted(&Rotation::sign(5, &old, &new).unwrap());
        assert!(
            matches!(form(Kind::Log, 5, "rotation", &note), Ok(Some(Form::Rotation(r))) if r.new == *new.verifier())
        );
        assert!(form(Kind::Log, 6, "rotation", &note).is_err());
        assert!(matches!(form(Kind::Log, 5, "policy", r#""quorum none\n""#), Ok(Some(Form::Policy(_)))));
        assert!(form(Kind::Log, 5, "policy", r#""quorum x\n""#).is_err());
        assert!(form(Kind::Log, 5, "policy", &format!("{note},\"rotation\":{note}")).is_err());
        assert!(form(Kind::Log, 5, "x", "1").is_err());
    }

    #[test]
    fn another_form_is_refused() {
        let good = r#"{"indices":[1,4],"reason":"r","by":"b","legalBasis":"l"}"#;
        assert!(form(Kind::Erasure, 5, "erasure", good).is_ok());
        for (from, to) in [
            ("[1,4]", "[4,1]"),
            ("[1,4]", "[4,4]"),
            ("[1,4]", "[1,5]"),
            ("[1,4]", "[]"),
            ("[1,4]", "[1,-4]"),
            ("[1,4]", "[1.0]"),
            ("[1,4]", "[\"1\"]"),
            ("[1,4]", "1"),
            ("\"r\"", "\"\""),
            ("\"r\"", "7"),
            ("\"by\":\"b\",", ""),
            ("\"by\"", "\"By\""),
            ("{\"in", "{\"more\":1,\"in"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(form(Kind::Erasure, 5, "erasure", &bad).is_err(), "{bad}");
        }
        assert!(form(Kind::Finding, 5, "finding", r#"{"check":"c","result":"ok","detail":"d"}"#).is_err());
        assert!(form(Kind::Heartbeat, 5, "heartbeat", r#"{"size":5}"#).is_err());
        assert!(form(Kind::Heartbeat, 5, "heartbeat", "[]").is_err());
    }

    #[test]
    fn what_tells_of_operators_is_kept_for_180_days_and_what_tells_of_the_log_for_ever() {
        assert_eq!(may_erase(Kind::Management, 10, 10), Ok(()));
        assert_eq!(may_erase(Kind::Intent, 10, 10 + KEPT_MS_MIN), Ok(()));
        for kind in [Kind::Intent, Kind::Outcome, Kind::Refusal] {
            assert_eq!(may_erase(kind, 10, 9 + KEPT_MS_MIN), Err(NotErasable::Young(kind)));
        }
        assert_eq!(may_erase(Kind::Intent, 10, 0), Err(NotErasable::Young(Kind::Intent)));
        for kind in [Kind::Erasure, Kind::Log, Kind::Heartbeat, Kind::Finding] {
            assert_eq!(may_erase(kind, 0, u64::MAX), Err(NotErasable::Kind(kind)));
        }
    }

    proptest! {
        #[test]
        fn each_text_is_quoted_and_read_back(text in "\\PC{0,40}[\u{0}-\u{20}\"\\\\/]{0,4}") {
            let json = scan::quoted(&text);
            let read = scan::text(&json);
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
            let same: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(same, text);
        }
    }
}
