//! What a collector sends and a server answers: JSON, strict on both sides.

use std::collections::BTreeMap;

use bailee_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Outcome, Source};

/// The session of an act that did not come by a broker: the log would name the session.
pub const NO_SESSION: &str = "-";

/// Events of one batch at most.
pub const EVENTS_MAX: usize = 500;
/// Bytes of a batch at most.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Events of one source, and what happened to the lines between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Batch {
    /// Names the batch: a batch that comes twice counts once.
    pub id: String,
    /// Whose log it is.
    pub source: Source,
    /// At most [`EVENTS_MAX`].
    pub events: Vec<Event>,
    /// What happened to every unit that was read for it.
    pub tally: Tally,
}

/// A platform event, in Inner-ActionTrail's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Event {
    /// The same for the same act: 64 hex digits.
    pub id: String,
    /// SHA-256 of the unit as it stands in the provider's log, hex.
    pub line: String,
    /// When the collector read it.
    pub observed_at: String,
    /// When it happened, by the log; none where the log does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Whose resource it is: alias or id.
    pub tenant: String,
    /// Who did it; none when nobody did (automatic), or when the session says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Whether who did it came in by a broker of Bailee, under an account that many share.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brokered: bool,
    /// The broker's session, if the log names it; [`NO_SESSION`] where it would; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session: String,
    /// EventName.
    pub name: String,
    /// EventType, of [`EVENT_TYPES`].
    #[serde(rename = "type")]
    pub kind: String,
    /// EventProduct, of [`PRODUCTS`].
    pub product: String,
    /// EventLevel, of [`LEVELS`].
    pub level: String,
    /// EventMethod.
    pub method: String,
    /// `ACS::ECS::Instance`.
    pub resource_type: String,
    /// The resource in the tenant's words.
    pub resource: String,
    /// EventDescription.
    #[serde(default)]
    pub description: String,
    /// EventAdditionalDetail: what the mapping chose.
    #[serde(default)]
    pub detail: BTreeMap<String, String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The log's code of a refusal or failure.
    #[serde(default)]
    pub code: String,
    /// The rule of the mapping that made it.
    pub rule: String,
}

/// What happened to units: each is counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tally {
    /// Units read.
    pub read: u64,
    /// Units that became events.
    pub mapped: u64,
    /// By rule: units that are no act of the platform.
    #[serde(default)]
    pub ignored: BTreeMap<String, u64>,
    /// By reason: units that nothing could be made of. The collector's machine keeps them.
    #[serde(default)]
    pub unmapped: BTreeMap<String, u64>,
    /// SHA-256 over the digests of those units in their order, hex; empty when there are none.
    #[serde(default)]
    pub unmapped_digest: String,
    /// What may be missing: a file that was gone before it was read to its end.
    #[serde(default)]
    pub gaps: Vec<String>,
    /// SHA-256 of the mapping file, hex.
    pub mapping: String,
}

/// A server's answer: one verdict an event, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Answer {
    /// One an event.
    pub verdicts: Vec<Recorded>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Recorded {
    /// It stands in the tenant's log since now.
    Recorded,
    /// It stood there before.
    Duplicate,
    /// It was not taken; why.
    Refused(String),
}

/// The three types of Inner-ActionTrail.
pub const EVENT_TYPES: [&str; 3] =
    ["CUSTOMER_INITIATED_SUPPORT", "ALIYUN_INITIATED_SERVICE", "ALIYUN_INITIATED_PENALTY"];
/// The five products of Inner-ActionTrail.
pub const PRODUCTS: [&str; 5] = ["OSS", "ECS", "RDS", "ACK", "EMR"];
/// The two levels of Inner-ActionTrail.
pub const LEVELS: [&str; 2] = ["NOTICE", "WARNING"];

impl Batch {
    /// Reads a batch.
    ///
    /// # Errors
    /// What is wrong, for the one who sent it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > BATCH_BYTES_MAX {
            return Err(format!("a batch has at most {BATCH_BYTES_MAX} bytes"));
        }
        let batch: Self = serde_json::from_slice(bytes).map_err(|e| format!("not a batch: {e}"))?;
        if batch.events.len() > EVENTS_MAX {
            return Err(format!("a batch has at most {EVENTS_MAX} events"));
        }
        if !is_hex(&batch.id, 32) {
            return Err("the batch's id must have 32 hex digits".into());
        }
        let short = |t: &str| t.chars().count() <= 200;
        let tally = &batch.tally;
        let reasons = tally.ignored.keys().chain(tally.unmapped.keys()).chain(&tally.gaps);
        if tally.ignored.len() + tally.unmapped.len() + tally.gaps.len() > 300
            || !reasons.into_iter().all(|r| short(r))
        {
            return Err("the tally has too many or too long reasons".into());
        }
        Ok(batch)
    }
}

impl Event {
    /// Whether its words are those that an event may have.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), String> {
        let one_of = |what: &str, word: &str, all: &[&str]| {
            if all.contains(&word) {
                Ok(())
            } else {
                Err(format!("the {what} must be one of {}", all.join(", ")))
            }
        };
        one_of("type", &self.kind, &EVENT_TYPES)?;
        one_of("product", &self.product, &PRODUCTS)?;
        one_of("level", &self.level, &LEVELS)?;
        if !is_hex(&self.id, 64) || !is_hex(&self.line, 64) {
            return Err("id and line must have 64 hex digits".into());
        }
        if !matches!(self.session.as_str(), "" | NO_SESSION) && !is_session(&self.session) {
            return Err("the session must be `s-` and 16 small letters and digits, or `-`".into());
        }
        if self.brokered && self.operator.is_some() {
            return Err("either an operator is named, or the session says who it was".into());
        }
        let name_ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(name_ok) {
            return Err("the name must have 1 to 64 letters, digits, `.`, `_` or `-`".into());
        }
        if self.resource.is_empty() {
            return Err("the resource is empty".into());
        }
        for (what, text, max) in [
            ("resource", &self.resource, 2048),
            ("resource type", &self.resource_type, 64),
            ("description", &self.description, 1024),
            ("method", &self.method, 64),
            ("code", &self.code, 1100),
            ("rule", &self.rule, 200),
        ] {
            if text.chars().count() > max {
                return Err(format!("the {what} must have at most {max} characters"));
            }
        }
        if self.detail.len() > 16 || self.detail.iter().any(|(k, v)| k.len() > 64 || v.chars().count() > 1100)
        {
            return Err("the detail must have at most 16 entries of 1,100 characters".into());
        }
        let time = |text: &str| Timestamp::parse_iso(text).map_err(|e| e.to_string());
        time(&self.observed_at)?;
        self.time.as_deref().map_or(Ok(()), |t| time(t).map(drop))
    }
}

/// Whether this is a session's name.
pub fn is_session(text: &str) -> bool {
    text.strip_prefix("s-").is_some_and(|rest| {
        rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
