//! Answers about retention.

use bailee_types::Timestamp;

use super::Reply;
use crate::object::dialect::Dialect;
use crate::object::request::{LockHeaders, LockSettings, LockTerm, lock_words};
use crate::object::xml::Xml;

const fn mode(compliance: bool) -> &'static str {
    if compliance { "COMPLIANCE" } else { "GOVERNANCE" }
}

const fn hold(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

/// The answer to GetObjectRetention.
pub fn retention(term: &LockTerm) -> Reply {
    let mut xml = Xml::document();
    xml.open("Retention");
    xml.text("Mode", mode(term.compliance));
    xml.text("RetainUntilDate", &term.until.iso_ms());
    xml.close("Retention");
    Reply::xml(xml)
}

/// The answer to GetObjectLegalHold.
pub fn legal_hold(on: bool) -> Reply {
    let mut xml = Xml::document();
    xml.open("LegalHold");
    xml.text("Status", hold(on));
    xml.close("LegalHold");
    Reply::xml(xml)
}

/// The answer about a bucket's rules for new versions.
pub fn lock_settings(dialect: Dialect, settings: &LockSettings) -> Reply {
    let (root, switch) = lock_words(dialect);
    let mut xml = Xml::document();
    xml.open(root);
    xml.text(switch, "Enabled");
    if let Some((compliance, days, years)) = settings.default {
        xml.open("Rule");
        xml.open("DefaultRetention");
        xml.text("Mode", mode(compliance));
        for (name, value) in [("Days", days), ("Years", years)] {
            if let Some(value) = value {
                xml.plain(name, value);
            }
        }
        xml.close("DefaultRetention");
        xml.close("Rule");
    }
    xml.close(root);
    Reply::xml(xml)
}

/// The WORM of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WormFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// Days after each write.
    pub days: u32,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When it lapses, unless it is locked.
    pub lapses_at: Option<Timestamp>,
}

/// The answer to GetBucketWorm.
pub fn worm(facts: &WormFacts<'_>) -> Reply {
    let mut xml = Xml::document();
    xml.open("WormConfiguration");
    xml.text("WormId", facts.id);
    xml.text("State", if facts.lapses_at.is_some() { "InProgress" } else { "Locked" });
    xml.plain("RetentionPeriodInDays", facts.days);
    xml.text("CreationDate", &facts.begun_at.iso_ms());
    if let Some(at) = facts.lapses_at {
        xml.text("ExpirationDate", &at.iso_ms());
    }
    xml.close("WormConfiguration");
    Reply::xml(xml)
}

impl Reply {
    /// The answer to InitiateBucketWorm.
    pub fn worm_begun(id: &str) -> Self {
        let mut reply = Self::empty(200);
        reply.push("x-oss-worm-id", id);
        reply
    }

    /// Adds what holds an object, if anything does.
    #[must_use]
    pub fn with_lock(mut self, dialect: Dialect, lock: &LockHeaders) -> Self {
        let words = dialect.words();
        if let Some(term) = &lock.term {
            self.push(words.lock_mode, mode(term.compliance));
            self.push(words.lock_until, term.until.iso_ms());
        }
        if let Some(on) = lock.legal_hold {
            self.push(words.lock_hold, hold(on));
        }
        self
    }
}
