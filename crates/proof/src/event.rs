//! Events: the JSON that a record commits to, read so that it can have one meaning only.
//!
//! Refused: a name that occurs twice in one object (at any depth, also when it is spelled with escapes), text that is
//! not UTF-8, half of a surrogate pair, a number that no double can hold, depth above 32, more than 64 KiB, anything
//! after the object. Two readers that follow RFC 8259 then see the same event.
//! Nothing is built: the members that a verifier needs are borrowed from the bytes, so a million records cost no tree.
//! INVARIANT: what is accepted here is accepted by `serde_json` with the same values (a property test compares them).

mod forms;
mod scan;

use std::borrow::Cow;

use crate::record::Kind;

pub use forms::{
    ERASED_MAX, Erasure, Finding, Form, Found, Heartbeat, KEPT_MS_MIN, NotErasable, TEXT_BYTES_MAX, may_erase,
};

/// Bytes of an event, at most.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;

/// How deep objects and arrays may lie within each other; the event itself is depth 1.
pub const EVENT_DEPTH_MAX: usize = 32;

/// Bytes of one number in an event, at most.
pub const NUMBER_BYTES_MAX: usize = 64;

/// The members of an event that a verifier reads, as they stand in the bytes (JSON text, not decoded). Everything else
/// in the event is well-formed and free.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventView<'a> {
    /// `record`: the word of the record's kind.
    pub record: Option<&'a str>,
    /// `index`: the record's place in its log.
    pub index: Option<&'a str>,
    /// `timeMs`: when it was recorded, milliseconds since 1970.
    pub time_ms: Option<&'a str>,
    /// `tenant`: whose log it is, 16 digits.
    pub tenant: Option<&'a str>,
    /// `intent`: for an outcome, the index of the record that it closes.
    pub intent: Option<&'a str>,
    /// `result`: for an outcome, how the act ended.
    pub result: Option<&'a str>,
    /// `eventName`: what was done, e.g. `GetObject`.
    pub event_name: Option<&'a str>,
    /// `resource`: to what.
    pub resource: Option<&'a str>,
    /// `grant`: under which consent.
    pub grant: Option<&'a str>,
    /// `continues`: the grant of a long read whose first window was counted.
    pub continues: Option<&'a str>,
    /// `glass`: the broken glass under which an operator acts.
    pub glass: Option<&'a str>,
    /// `platform`: an act of the provider.
    pub platform: Option<&'a str>,
    /// `management`: an act of the tenant's own.
    pub management: Option<&'a str>,
    /// `EventID` of the platform's act, or `eventId` of the tenant's own.
    pub event_id: Option<&'a str>,
    /// `EventType` of the platform's act: one of three (contract §6).
    pub event_type: Option<&'a str>,
    /// `EventLevel` of the platform's act.
    pub event_level: Option<&'a str>,
    /// `EmployeeID` of the platform's act: the operator's number at this tenant; empty for automatic ones.
    pub employee: Option<&'a str>,
    /// `detail`: for an outcome, what came of the act.
    pub detail: Option<&'a str>,
    /// `collected`: of an act that a log of the platform shows, which log, and what let it in.
    pub collected: Option<&'a str>,
    /// `erasure`: see [`Form`], as the next four.
    pub erasure: Option<&'a str>,
    /// `rotation`.
    pub rotation: Option<&'a str>,
    /// `policy`.
    pub policy: Option<&'a str>,
    /// `heartbeat`.
    pub heartbeat: Option<&'a str>,
    /// `finding`.
    pub finding: Option<&'a str>,
}

/// The members that each event has, decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// What the record is about.
    pub kind: Kind,
    /// Its place in the log.
    pub index: u64,
    /// When it was recorded, milliseconds since 1970.
    pub time_ms: u64,
    /// The tenant: 16 digits.
    pub tenant: &'a str,
    /// What an outcome closes; `None` for every other kind.
    pub closes: Option<Closes>,
}

/// Which record an outcome closes, and how the act ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closes {
    /// The index of the intent.
    pub intent: u64,
    /// How the act ended.
    pub result: Ended,
}

/// How an act ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It was done.
    Done,
    /// It was refused after its intent was written.
    Refused,
    /// It failed.
    Failed,
    /// The program stopped before it could say.
    Unknown,
}

/// Why an event was refused. Positions count bytes from the start of the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Longer than [`EVENT_BYTES_MAX`].
    #[error("the event has {0} bytes, more than 65536")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the event is not UTF-8 from byte {at}")]
    NotUtf8 {
        /// The first byte that is not part of a character.
        at: usize,
    },
    /// Not JSON, or not the JSON that is accepted.
    #[error("the event is not strict JSON at byte {at}: expected {wanted}")]
    Syntax {
        /// Where.
        at: usize,
        /// What would have been right.
        wanted: &'static str,
    },
    /// Deeper than [`EVENT_DEPTH_MAX`].
    #[error("the event is nested deeper than 32 at byte {at}")]
    TooDeep {
        /// Where.
        at: usize,
    },
    /// One name twice in one object.
    #[error("the event has the name `{name}` twice in one object, the second time at byte {at}")]
    DuplicateName {
        /// Where the second one begins.
        at: usize,
        /// The name, decoded (cut to 80 characters).
        name: String,
    },
    /// A member that each event has is missing or has another form.
    #[error("the event's member `{name}` must be {wanted}")]
    Member {
        /// Its name.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}

/// Reads an event strictly and borrows the members that a verifier needs.
///
/// ```
/// let event = br#"{"record":"intent","index":5,"timeMs":1700000000000,"tenant":"1000000000000001","x":[1]}"#;
/// let envelope = bailee_proof::event::scan(event)?.envelope()?;
/// assert_eq!((envelope.index, envelope.tenant), (5, "1000000000000001"));
/// assert!(bailee_proof::event::scan(br#"{"a":1,"\u0061":2}"#).is_err());
/// # Ok::<(), bailee_proof::event::EventError>(())
/// ```
///
/// # Errors
/// When the bytes are not one JSON object in the strict sense of this module.
pub fn scan(bytes: &[u8]) -> Result<EventView<'_>, EventError> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(EventError::TooLong(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| EventError::NotUtf8 { at: e.valid_up_to() })?;
    scan::object(text)
}

impl<'a> EventView<'a> {
    /// Decodes the members that each event has.
    ///
    /// # Errors
    /// [`EventError::Member`] when one is missing or has another form.
    pub fn envelope(&self) -> Result<Envelope<'a>, EventError> {
        let kind = self.record.and_then(string).and_then(Kind::from_word).ok_or(EventError::Member {
            name: "record",
            wanted: "one of intent, outcome, refusal, management, erasure, log, heartbeat, finding",
        })?;
        let closes = if kind == Kind::Outcome {
            Some(Closes {
                intent: number("intent", self.intent)?,
                result: self.result.and_then(string).and_then(Ended::from_word).ok_or(
                    EventError::Member { name: "result", wanted: "one of done, refused, failed, unknown" },
                )?,
            })
        } else {
            None
        };
        Ok(Envelope {
            kind,
            index: number("index", self.index)?,
            time_ms: number("timeMs", self.time_ms)?,
            tenant: self
                .tenant
                .and_then(string)
                .filter(|t| is_tenant(t))
                .ok_or(EventError::Member { name: "tenant", wanted: "16 digits" })?,
            closes,
        })
    }
}

impl Ended {
    /// The word for it in the event's member `result`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The ending with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Done, Self::Refused, Self::Failed, Self::Unknown].into_iter().find(|e| e.word() == word)
    }
}

/// A text as a JSON string: for writers of events.
pub fn quoted(text: &str) -> String {
    scan::quoted(text)
}

/// What a JSON string (a member of [`EventView`]) says; `None` when it is no string.
pub fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    scan::text(json)
}

/// The members of a JSON object, for a manifest's scope.
pub(crate) fn scan_members(json: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    scan::members(json)
}

/// The elements of a JSON array.
pub(crate) fn scan_elements(json: &str) -> Option<Vec<&str>> {
    scan::elements(json)
}

/// Whether a text is a tenant's id: 16 digits.
pub fn is_tenant(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The inside of a JSON string; words and ids are written without escapes.
fn string(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

fn number(name: &'static str, json: Option<&str>) -> Result<u64, EventError> {
    // The scanner let no leading zero or plus sign through; `parse` refuses sign, fraction and exponent.
    json.and_then(|digits| digits.parse().ok())
        .ok_or(EventError::Member { name, wanted: "a whole number from 0 to 18446744073709551615" })
}

#[cfg(test)]
mod tests;
