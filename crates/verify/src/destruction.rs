//! `bailee-verify destruction`: whether a certificate of destruction is what a log says was done.
//!
//! The bundle is verified whole first. Then: the log is the certificate's; its record is an intent of `DestroyObjects` (or
//! another act that destroys); it ended as done; and the digest, the number and the bytes that its outcome names are those of the
//! certificate's list.

use std::borrow::Cow;
use std::io::Read;

use bailee_proof::destruction::Certificate;
use bailee_proof::event::{Ended, EventView, unquoted};
use bailee_proof::hash::Hash;
use bailee_proof::record::{Entry, Kind};
use serde::Serialize;
use serde_json::Value;

use crate::report::Report;
use crate::{Expect, Follow, Problem, verify_with, violation};

/// The promise that a certificate is about.
const DESTRUCTION: &str = "destruction";
/// The house's clock at the act, and the time of the records around it, may differ by so much.
const BRACKET_MS: i64 = 10 * 60_000;

/// A certificate that holds.
#[derive(Clone, Debug, Serialize)]
pub struct Destroyed {
    /// Whose objects.
    pub tenant: String,
    /// The log.
    pub log: String,
    /// The act's intent.
    pub record: u64,
    /// The record that says how it ended.
    pub outcome: u64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Object versions.
    pub items: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// SHA-256 of the list, hex.
    pub list_sha256: String,
    /// The bundle's own verification.
    pub verification: Report,
}

/// Why an outcome does not show that the act was done.
enum Doubt {
    /// It says something else.
    Wrong(String),
    /// The process died between act and outcome: nobody knows.
    Unknown,
}

impl From<&str> for Doubt {
    fn from(why: &str) -> Self {
        Self::Wrong(why.to_owned())
    }
}

struct Search<'c> {
    certificate: &'c Certificate,
    digest: Hash,
    intent: Option<Result<(), String>>,
    outcome: Option<Result<u64, Doubt>>,
}

fn text(raw: Option<&str>) -> Cow<'_, str> {
    raw.and_then(unquoted).unwrap_or_default()
}

impl Search<'_> {
    fn intent(&self, entry: &Entry, view: &EventView<'_>) -> Result<(), String> {
        let name = text(view.event_name);
        if !matches!(entry.kind, Kind::Management | Kind::Intent) || name != "DestroyObjects" {
            return Err(format!("it is no act that destroys objects but `{name}`"));
        }
        let at = i64::try_from(entry.time_ms).unwrap_or(i64::MAX);
        if at > self.certificate.at_ms.saturating_add(BRACKET_MS) {
            return Err("it is later than the certificate says".into());
        }
        Ok(())
    }

    fn outcome(&self, entry: &Entry, view: &EventView<'_>, result: Ended) -> Result<u64, Doubt> {
        match result {
            Ended::Done => {}
            Ended::Unknown => return Err(Doubt::Unknown),
            other => return Err(Doubt::Wrong(format!("the act ended as `{}`", other.word()))),
        }
        let detail: Value = view.detail.and_then(|d| serde_json::from_str(d).ok()).unwrap_or(Value::Null);
        let number = |name: &str| detail.get(name).and_then(Value::as_u64);
        if detail.get("listSha256").and_then(Value::as_str) != Some(self.digest.to_string().as_str()) {
            return Err("the digest that the log holds is not that of the certificate's list".into());
        }
        let counts = (number("items"), number("bytes"));
        if counts != (Some(self.certificate.items.len() as u64), Some(self.certificate.bytes())) {
            return Err("number or bytes are not those of the certificate's list".into());
        }
        if i64::try_from(entry.time_ms).unwrap_or(i64::MAX)
            < self.certificate.at_ms.saturating_sub(BRACKET_MS)
        {
            return Err("it is earlier than the certificate says".into());
        }
        Ok(entry.index)
    }
}

impl Follow for Search<'_> {
    fn record(&mut self, entry: &Entry, event: Option<&EventView<'_>>) {
        let Some(view) = event else { return };
        if entry.index == self.certificate.record {
            self.intent = Some(self.intent(entry, view));
        } else if entry.kind == Kind::Outcome
            && let Some(closes) = view.envelope().ok().and_then(|e| e.closes)
            && closes.intent == self.certificate.record
        {
            self.outcome = Some(self.outcome(entry, view, closes.result));
        }
    }
}

/// Verifies a bundle, and a certificate against it.
///
/// # Errors
/// The first thing that does not hold; [`Problem::Unreadable`] for a file that is no certificate, or a bundle that ends before
/// the act or does not open it.
pub fn destruction(
    source: impl Read + Send,
    certificate: &str,
    expect: &Expect,
) -> Result<Destroyed, Problem> {
    let certificate = Certificate::parse(certificate)
        .map_err(|e| violation(DESTRUCTION, "the certificate", e.to_string()))?;
    let digest = certificate.digest();
    let mut search = Search { certificate: &certificate, digest, intent: None, outcome: None };
    let report = verify_with(source, expect, Some(&mut search))?;
    for (what, said, of) in
        [("log", &certificate.log, &report.origin), ("tenant", &certificate.tenant, &report.tenant)]
    {
        if said != of {
            let why = format!("its {what} is `{said}` and the bundle's is `{of}`");
            return Err(violation(DESTRUCTION, "the certificate", why));
        }
    }
    let place = format!("record {}", certificate.record);
    let missing = |what: &str| {
        Problem::Unreadable(format!(
            "the bundle does not show {what} of {place}: export a newer or a whole one"
        ))
    };
    let in_place = |why: String| violation(DESTRUCTION, place.clone(), why);
    search.intent.ok_or_else(|| missing("the intent"))?.map_err(in_place)?;
    let outcome = search.outcome.ok_or_else(|| missing("the outcome"))?.map_err(|doubt| match doubt {
        Doubt::Wrong(why) => in_place(why),
        Doubt::Unknown => Problem::Unreadable(format!(
            "nobody knows how {place} ended: the house stopped between the act and its outcome"
        )),
    })?;
    Ok(Destroyed {
        record: certificate.record,
        outcome,
        at_ms: certificate.at_ms,
        items: certificate.items.len() as u64,
        bytes: certificate.bytes(),
        list_sha256: digest.to_string(),
        tenant: certificate.tenant,
        log: certificate.log,
        verification: report,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(result: Ended) -> Result<u64, Doubt> {
        let certificate = Certificate {
            tenant: "1000000000000001".into(),
            log: "log.example/trail/1".into(),
            record: 3,
            at_ms: 1_000,
            items: Vec::new(),
        };
        let digest = certificate.digest();
        let detail = format!("{{\"listSha256\":\"{digest}\",\"items\":0,\"bytes\":0}}");
        let search = Search { certificate: &certificate, digest, intent: None, outcome: None };
        let entry = Entry { kind: Kind::Outcome, index: 4, time_ms: 1_000, commitment: digest };
        search.outcome(&entry, &EventView { detail: Some(&detail), ..EventView::default() }, result)
    }

    #[test]
    fn an_outcome_that_nobody_knows_is_no_lie_and_no_proof() {
        assert!(matches!(judged(Ended::Done), Ok(4)));
        assert!(matches!(judged(Ended::Unknown), Err(Doubt::Unknown)));
        assert!(matches!(judged(Ended::Failed), Err(Doubt::Wrong(_))));
    }
}
