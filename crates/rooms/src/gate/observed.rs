//! Acts that other programs did and logged: by the time we hear of them they are over.

use bailee_store::{StoreError, Tx};
use bailee_types::{TenantId, Timestamp};
use serde_json::{Map, Value};

use super::{RecordedAt, event, rows};
use crate::trail::{Kind, LogKeys};

/// Stands where else the process stands that answers for an intent.
const NOBODY: &str = "collected";

/// How such an act ended.
pub(crate) struct ObservedEnd {
    /// `done`, `refused`, `failed` or `unknown`.
    pub(crate) word: &'static str,
    /// The log's code of a refusal or failure.
    pub(crate) text: Option<String>,
}

/// Records such an act: intent and outcome together, so that there is never the one without the other.
pub(crate) fn record_observed(
    tx: &mut Tx<'_>,
    log: &LogKeys,
    tenant: &TenantId,
    name: &str,
    now: Timestamp,
    build: impl FnOnce(RecordedAt) -> Map<String, Value>,
    end: ObservedEnd,
) -> Result<u64, StoreError> {
    let index = crate::trail::append(tx, log, Kind::Intent, now, build)?;
    rows::open_intent(&mut tx.tenant(tenant), index, NOBODY, None, false, name, now)?;
    let code = match end.word {
        "refused" => Some("RefusedBySource"),
        "failed" => Some("FailedAtSource"),
        "unknown" => Some("NotToldBySource"),
        _ => None,
    };
    let ending = rows::Ending {
        index,
        name: name.to_owned(),
        word: end.word,
        code,
        text: end.text.filter(|_| code.is_some()),
        detail: Map::new(),
    };
    let outcome = crate::trail::append(tx, log, Kind::Outcome, now, |_| event::of_outcome(&ending))?;
    rows::close_intent(&mut tx.tenant(tenant), index, outcome, end.word)?;
    Ok(index)
}
