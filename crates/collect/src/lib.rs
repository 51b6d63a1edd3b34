//! What other programs logged about the provider's people, read: one parser a source, one mapping file, platform events.
//!
//! Bytes become units ([`frame`]: one line, one quoted CSV record, one auditd event of many lines), units become
//! [`Observed`] (who did what on what, by the source's own words), and a [`Mapping`] says whose act that is and on whose
//! resource. What cannot be read or mapped is an answer too ([`Verdict::Unmapped`]): nothing is dropped.
//!
//! INVARIANT: no IO, no clock; the same bytes and mapping give the same answer, whoever asks.
//! INVARIANT: a statement, an argument or a query of the log never enters an event by itself; the digest of the
//! line does, so that the provider's own copy can be shown to be the one that was seen.

mod access;
mod auditd;
pub mod frame;
mod glob;
mod hadoop;
mod kubernetes;
mod mapping;
mod postgres;
mod sshd;
mod text;
pub mod wire;

use std::collections::BTreeMap;

use bailee_types::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use mapping::{Mapping, MappingError, Verdict};

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Kubernetes' `audit.k8s.io/v1` events.
    Kubernetes,
    /// PostgreSQL's csvlog or jsonlog, with pgaudit.
    Postgres,
    /// Linux' audit.
    Auditd,
    /// OpenSSH's server.
    Sshd,
    /// The audit log of HDFS.
    Hdfs,
    /// The audit log of YARN's resource manager.
    Yarn,
    /// Access logs of OSS.
    Oss,
    /// Access logs of S3.
    S3,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Kubernetes,
        Self::Postgres,
        Self::Auditd,
        Self::Sshd,
        Self::Hdfs,
        Self::Yarn,
        Self::Oss,
        Self::S3,
    ];

    /// As commands and mapping files name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Postgres => "postgres",
            Self::Auditd => "auditd",
            Self::Sshd => "sshd",
            Self::Hdfs => "hdfs",
            Self::Yarn => "yarn",
            Self::Oss => "oss",
            Self::S3 => "s3",
        }
    }

    /// Reads [`Source::word`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// How an act ended, by the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Done,
    /// Who did it was not allowed.
    Refused,
    /// It was tried and did not work.
    Failed,
    /// The log does not say.
    Unknown,
}

impl Outcome {
    /// As events name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// What makes a unit the same when it is met again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The source's own id of the event; other units with it are the same event (its later stage, a part of it).
    Event(String),
    /// The source's own id, and the text: several lines may share the id.
    Line(String),
    /// Nothing but its place in the file, and the text.
    Place,
}

/// An act as the log tells it, in the log's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When; none where the log does not say.
    pub at: Option<Timestamp>,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Where from.
    pub address: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The log's code of a refusal or failure.
    pub code: String,
    /// The session that a broker of Bailee named in what it showed the target; [`wire::NO_SESSION`] where the line would name it;
    /// empty where such lines never do. It is the log's word: who can make credentials can write any name into them.
    pub session: String,
    /// What else rules may ask for.
    pub fields: BTreeMap<&'static str, String>,
    /// What makes it the same when met again.
    pub identity: Identity,
}

/// What a unit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// An act.
    Act(Observed),
    /// The beginning of something whose end the same log will tell; why.
    Preliminary(&'static str),
}

/// Why a unit cannot be read. Short and of a fixed set, so that it can be counted; holds nothing of the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

/// How the lines of one log are to be read, beside its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// The offset of times that name no zone, `+08:00`.
    pub utc_offset: Option<String>,
    /// How many fields a line of an access log has.
    pub fields: Option<usize>,
}

/// The longest text that an observation keeps of one field, characters. A longer one ends in `…`; the digest of the
/// line pins the rest.
const FIELD_CHARS_MAX: usize = 1024;

/// Reads a unit of a source. `now` guesses the year where the log has none.
///
/// # Errors
/// When it is not what that source writes.
pub fn read(source: Source, unit: &[u8], manner: &Manner, now: Timestamp) -> Result<Reading, Unreadable> {
    let text = std::str::from_utf8(unit).map_err(|_| Unreadable("not UTF-8"))?;
    let mut reading = match source {
        Source::Kubernetes => kubernetes::read(text),
        Source::Postgres => postgres::read(text, manner),
        Source::Auditd => auditd::read(text),
        Source::Sshd => sshd::read(text, manner, now),
        Source::Hdfs => hadoop::hdfs(text, manner),
        Source::Yarn => hadoop::yarn(text, manner),
        Source::Oss => access::oss(text, manner),
        Source::S3 => access::s3(text, manner),
    }?;
    if let Reading::Act(act) = &mut reading {
        for field in [&mut act.actor, &mut act.action, &mut act.resource, &mut act.address, &mut act.code] {
            clip(field);
        }
        act.fields.values_mut().for_each(clip);
    }
    Ok(reading)
}

fn clip(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(FIELD_CHARS_MAX) {
        text.truncate(at);
        text.push('…');
    }
}

/// A session's name, `s-` and 16 characters, when `text` is one.
fn session_of(text: Option<&str>) -> String {
    text.filter(|t| wire::is_session(t)).unwrap_or(wire::NO_SESSION).to_owned()
}

/// SHA-256 of a unit's bytes.
pub fn digest(unit: &[u8]) -> [u8; 32] {
    Sha256::digest(unit).into()
}

/// The id under which a server knows an event again. `place` names file and offset.
pub fn event_id(source: Source, identity: &Identity, place: &str, unit: &[u8]) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(source.word().as_bytes());
    match identity {
        Identity::Event(id) => {
            part(b"event");
            part(id.as_bytes());
        }
        Identity::Line(id) => {
            part(b"line");
            part(id.as_bytes());
            part(unit);
        }
        Identity::Place => {
            part(b"place");
            part(place.as_bytes());
            part(unit);
        }
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests;
