//! Whether a collected act was let in: by a broker's session, or as a read that the gate recorded.
//!
//! It is asked in the transaction that writes the act into the tenant's log, so the record itself says so: an act of an operator
//! that nothing let in stands there at level `WARNING`, which raises an alert.
//! INVARIANT: a session covers acts of its tenant, its family and its operator, while it lived, and nothing else.

use bailee_collect::Outcome;
use bailee_collect::wire::{Event, NO_SESSION};
use bailee_store::TenantTx;
use bailee_types::{OperatorId, Timestamp};
use serde_json::{Value, json};

use super::reconcile::APART_MS;
use crate::Failure;
use crate::broker::{Session, sessions_about};

/// What the gate recorded of an operator, for what access logs tell of him.
pub(super) struct Own {
    pub(super) record: u64,
    pub(super) at: Timestamp,
    /// Whether the gate let it not begin.
    pub(super) refused: bool,
    pub(super) name: String,
    pub(super) resource: String,
    pub(super) who: String,
}

/// What is known of a collected act.
pub(super) struct Cover {
    /// Whose act it was, by the mapping or by the session.
    pub(super) operator: Option<OperatorId>,
    /// The member that goes into the record; none for what nobody did.
    pub(super) said: Option<(&'static str, Value)>,
}

impl Cover {
    /// Whether it is an act of an operator that nothing let in.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.said, Some(("uncovered", _)))
    }

    fn missing(operator: Option<OperatorId>, why: &str) -> Self {
        Self { operator, said: Some(("uncovered", why.into())) }
    }

    fn session(session: &Session, by: &str, at: Timestamp) -> Self {
        let said =
            json!({ "session": session.id, "grant": session.grant.as_str(), "by": by, "atMs": at.ms() });
        Self { operator: Some(session.operator.clone()), said: Some(("covered", said)) }
    }

    /// Asks for an act. `named` is the operator that the mapping names; `resource` and `who` are as the gate would write them.
    pub(super) fn of(
        tx: &mut TenantTx<'_, '_>,
        event: &Event,
        named: Option<&OperatorId>,
        (own, resource, who): (&[Own], &str, &str),
    ) -> Result<Self, Failure> {
        let named = named.cloned();
        let says_session = !matches!(event.session.as_str(), "" | NO_SESSION);
        if named.is_none() && !event.brokered && !says_session {
            return Ok(Self { operator: None, said: None });
        }
        // A log without times leaves the moment of reading, which may be late by any time: then only a name tells.
        let told = event.time.as_deref().and_then(|t| Timestamp::parse_iso(t).ok());
        let at = match told {
            Some(at) => at,
            None => Timestamp::parse_iso(&event.observed_at).map_err(|e| Failure::Bug(e.to_string()))?,
        };
        let Some(family) = family(&event.product) else {
            return Ok(Self::in_log(event, named, at, (own, resource, who)));
        };
        if event.session == NO_SESSION {
            return Ok(Self::missing(named, "it did not come by a broker: the log names no session"));
        }
        if says_session {
            let found = crate::broker::session_of(tx, &event.session)?;
            return Ok(match found.filter(|s| s.limits.family() == family) {
                None => Self::missing(named, "no session of the tenant has the name that the log names"),
                Some(s) if named.as_ref().is_some_and(|n| *n != s.operator) => {
                    Self::missing(named, "the session that the log names is another operator's")
                }
                Some(s) if told.is_some() && !lived(&s, at) => {
                    Self::missing(Some(s.operator), "the session that the log names did not live then")
                }
                Some(s) => Self::session(&s, "name", at),
            });
        }
        let mut about = sessions_about(tx, at, APART_MS)?;
        about.retain(|s| {
            s.limits.family() == family
                && lived(s, at)
                && named.as_ref().is_none_or(|named| *named == s.operator)
        });
        Ok(match about.as_slice() {
            [] => Self::missing(named, "no session of this operator with such a system lived then"),
            [one] => Self::session(one, "time", at),
            [first, rest @ ..] if rest.iter().all(|s| s.operator == first.operator) => {
                Self::session(first, "time", at)
            }
            // One of them did it; the log does not say which.
            several => {
                let sessions: Vec<&str> = several.iter().map(|s| s.id.as_str()).collect();
                Self { operator: None, said: Some(("covered", json!({ "oneOf": sessions, "by": "time" }))) }
            }
        })
    }

    /// An act on objects: the gate records each before it happens, and each that it refuses.
    fn in_log(
        event: &Event,
        named: Option<OperatorId>,
        at: Timestamp,
        (own, resource, who): (&[Own], &str, &str),
    ) -> Self {
        let opened = matches!(event.outcome, Outcome::Done | Outcome::Unknown);
        let meets = |o: &&Own| {
            o.name == event.name
                && !(opened && o.refused)
                && o.resource == resource
                && o.who == who
                && (o.at.ms() - at.ms()).abs() <= APART_MS
        };
        match own.iter().find(meets) {
            Some(own) => Self {
                operator: named,
                said: Some(("covered", json!({ "record": own.record, "by": "record" }))),
            },
            None => Self::missing(named, "the gate recorded no such act of this operator"),
        }
    }
}

fn family(product: &str) -> Option<&'static str> {
    match product {
        "ECS" => Some("host"),
        "RDS" => Some("database"),
        "ACK" => Some("cluster"),
        "EMR" => Some("service"),
        _ => None,
    }
}

fn lived(session: &Session, at: Timestamp) -> bool {
    let end = session.ended.as_ref().map_or(session.until, |e| e.at.min(session.until));
    session.opened_at.plus_ms(-APART_MS) <= at && at <= end.plus_ms(APART_MS)
}
