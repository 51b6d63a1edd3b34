//! Standing rights as the records tell of them: set and ended by the tenant; a grant that came of one lies wholly inside it.
//!
//! INVARIANT: uses of a day are counted as they were given, whether or not they were used.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bailee_proof::grant::Covers;
use serde_json::Value;

use super::{Asked, covers, is_within};

const DAY_MS: u64 = 86_400_000;
const MINUTE_MS: u64 = 60_000;
/// Days that a right holds, and uses that it gives within a day, at most.
const DAYS_MAX: u64 = 90;
const DAY_USES_MAX: u64 = 1_000;

/// Rights so far.
#[derive(Default)]
pub(super) struct Rights(HashMap<String, Right>);

struct Right {
    covers: Covers,
    operators: Vec<String>,
    codes: Vec<String>,
    minutes: u64,
    uses_max: u64,
    day_uses_max: u64,
    until_ms: u64,
    /// Grants that its end names; none while it holds. A grant may have been opened before the end and be told after it.
    ended: Option<BTreeSet<String>>,
    /// Uses that it gave, by the moment at which the grant began.
    given: BTreeMap<u64, u64>,
}

/// A grant that came of a right.
pub(super) struct Given {
    pub(super) right: String,
    pub(super) covers: Covers,
    pub(super) action: String,
    pub(super) operator: String,
    pub(super) code: String,
    pub(super) until_ms: u64,
    pub(super) uses_max: u64,
    /// Minutes that were asked for; with `until_ms` they say when it began.
    pub(super) minutes: u64,
}

/// A right was there for it.
pub(super) struct Born {
    /// The right ended before this was told, and names it.
    pub(super) revoked: bool,
}

fn text(of: &Value, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn number(of: &Value, name: &str) -> Option<u64> {
    of.get(name).and_then(Value::as_u64)
}

fn texts(of: &Value, name: &str) -> Option<Vec<String>> {
    of.get(name)?.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
}

impl Given {
    pub(super) fn read(opened: &Value) -> Option<Self> {
        Some(Self {
            right: text(opened, "standing")?,
            covers: covers(opened)?,
            action: text(opened, "action")?,
            operator: text(opened, "operator")?,
            code: text(opened, "code")?,
            until_ms: number(opened, "untilMs")?,
            uses_max: number(opened, "usesMax")?,
            minutes: number(opened, "minutes")?,
        })
    }

    pub(super) fn is_asked(&self, asked: &Asked) -> bool {
        self.covers == asked.covers
            && self.operator == asked.operator
            && self.code == asked.code
            && self.minutes == asked.minutes
            && self.uses_max == asked.uses_max
    }
}

impl Right {
    fn read(told: &Value) -> Option<Self> {
        Some(Self {
            covers: covers(told)?,
            operators: texts(told, "operators")?,
            codes: texts(told, "codes")?,
            minutes: number(told, "minutes")?,
            uses_max: number(told, "usesMax")?,
            day_uses_max: number(told, "dayUsesMax")?,
            until_ms: number(told, "untilMs")?,
            ended: None,
            given: BTreeMap::new(),
        })
    }
}

impl Rights {
    /// Learns that a right was set, or ended: then answers which. What is not told in full is no right.
    pub(super) fn learn(&mut self, told: &Value, time_ms: u64) -> Result<Option<String>, String> {
        let Some(id) = text(told, "right") else { return Ok(None) };
        match told.get("act").and_then(Value::as_str) {
            Some("set") => {
                let Some(right) = Right::read(told) else { return Ok(None) };
                // A prefix of records is `bucket/beginning`.
                let whole = matches!(&right.covers, Covers::Prefix(p) if p.split_once('/').is_none_or(|p| p.1.is_empty()));
                if whole
                    || right.until_ms > time_ms.saturating_add(DAYS_MAX * DAY_MS)
                    || right.day_uses_max > DAY_USES_MAX
                {
                    return Err(format!("standing right {id} is wider or longer than any may be"));
                }
                self.0.entry(id).or_insert(right);
                Ok(None)
            }
            Some("revoke") => {
                let grants = texts(told, "grants").unwrap_or_default().into_iter().collect();
                if let Some(right) = self.0.get_mut(&id) {
                    right.ended.get_or_insert(grants);
                }
                Ok(Some(id))
            }
            _ => Ok(None),
        }
    }

    /// Holds a grant against its right, which was begun and told at these times; none when there is no such right.
    pub(super) fn open(
        &mut self,
        grant: &str,
        given: &Given,
        (begun_ms, told_ms): (u64, u64),
    ) -> Result<Option<Born>, String> {
        let Some(right) = self.0.get_mut(&given.right) else { return Ok(None) };
        let id = &given.right;
        let opened_ms = given.until_ms.saturating_sub(given.minutes.saturating_mul(MINUTE_MS));
        if opened_ms < begun_ms || opened_ms > told_ms {
            return Err("it ends at another time than its minutes after it began".into());
        }
        let revoked = right.ended.is_some();
        if right.ended.as_ref().is_some_and(|grants| !grants.contains(grant)) {
            return Err(format!("standing right {id} had ended"));
        }
        if given.until_ms > right.until_ms {
            return Err(format!("it lasts longer than standing right {id}"));
        }
        if !right.operators.is_empty() && !right.operators.contains(&given.operator) {
            return Err(format!("standing right {id} does not name its operator"));
        }
        if !right.codes.contains(&given.code) {
            return Err(format!("standing right {id} is not for requests of code {}", given.code));
        }
        let limits = match (&given.covers, &right.covers) {
            (Covers::Target { limits, .. }, Covers::Target { limits: wider, .. }) => {
                limits_within(limits, wider)
            }
            _ => true,
        };
        if !is_within(&given.covers, &right.covers) || !limits {
            let (asked, covered) = (given.covers.name(), right.covers.name());
            return Err(format!("standing right {id} is for `{covered}`, and not for all of `{asked}`"));
        }
        let day = right.given.range(opened_ms.saturating_sub(DAY_MS).saturating_add(1)..);
        let day_uses: u64 = day.map(|(_, uses)| uses).sum();
        if given.uses_max == 0
            || given.minutes > right.minutes
            || given.uses_max > right.uses_max
            || day_uses.saturating_add(given.uses_max) > right.day_uses_max
        {
            return Err(format!("it is more than standing right {id} allows"));
        }
        *right.given.entry(opened_ms).or_default() += given.uses_max;
        Ok(Some(Born { revoked }))
    }
}

/// Whether limits of a session allow nothing that `wider` do not: each thing that is allowed is allowed there.
fn limits_within(limits: &str, wider: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<serde_json::Map<String, Value>>(text).ok();
    let (Some(limits), Some(wider)) = (parsed(limits), parsed(wider)) else { return false };
    limits.len() == wider.len()
        && limits.iter().all(|(name, value)| match (value, wider.get(name)) {
            (Value::Bool(own), Some(Value::Bool(other))) if name == "read_only" => *own || !*other,
            (Value::Bool(own), Some(Value::Bool(other))) => !*own || *other,
            (Value::Array(own), Some(Value::Array(other))) => own.iter().all(|v| other.contains(v)),
            (own, other) => Some(own) == other,
        })
}
