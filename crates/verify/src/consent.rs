//! Consent replayed from the records alone: each read of content by an operator must lie under a grant that the tenant
//! approved before it, for this operator and object, not expired and not revoked.
//!
//! A grant that a standing right opened needs that right: set by the tenant before, live then, and around all that was given
//! (`standing`).
//! INVARIANT: what is not understood covers nothing: a read whose grant cannot be found is a violation.

mod standing;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use bailee_proof::event::{Ended, EventView};
use bailee_proof::grant::Covers;
use serde_json::Value;

use crate::Expect;
use crate::approval::{Approval, Signatures};

/// Grants so far, and decisions whose outcome has not come yet.
#[derive(Default)]
pub(crate) struct Replay {
    grants: HashMap<String, Grant>,
    /// With the times of their records.
    deciding: HashMap<u64, u64>,
    pub(crate) signatures: Signatures,
    /// Operators who give a grant back; they can end one and nothing else.
    returning: BTreeSet<u64>,
    /// What operators ask for, until the outcome names the request.
    asking: HashMap<u64, Asked>,
    /// What was asked for, by request.
    asked: HashMap<String, Asked>,
    /// Whose act an operator's intent or refusal is, and whether it was refused.
    acts: HashMap<u64, (String, bool)>,
    /// Acts that other logs show, laid to a refusal: they opened nothing, or it was not that.
    opened_nothing: BTreeSet<u64>,
    /// The tenant's standing rights.
    rights: standing::Rights,
    /// Acts in which a request may become a grant by such a right, with their times.
    opening: HashMap<u64, u64>,
}

/// What an operator asked for: an approval may give less and never more.
struct Asked {
    covers: Covers,
    operator: String,
    minutes: u64,
    uses_max: u64,
    code: String,
}

/// What a record of the platform is to consent.
pub(crate) enum Said {
    /// No read of content.
    Nothing,
    /// A request became a grant by a standing right that no record sets, in words.
    NoRight(String),
    /// A read that a live grant covers.
    Covered,
    /// A read whose grant no record approves, in words.
    NoGrant(String),
    /// An operator's act that a log of the platform shows; and whether the house says what let it in.
    Collected(LetIn),
}

/// What the house says of an act that it did not stop.
pub(crate) enum LetIn {
    /// A session or a record, which holds.
    Yes,
    /// Nothing did.
    No,
    /// It did not ask.
    NotAsked,
}

/// How far the clock of another log may be apart from the house's (ms).
const APART_MS: u64 = 120_000;

struct Grant {
    covers: Covers,
    action: String,
    operator: String,
    until_ms: u64,
    /// Reads that it allows; older logs do not say.
    uses_max: Option<u64>,
    uses: u64,
    approved_ms: u64,
    revoked_ms: Option<u64>,
    /// The standing right that opened it.
    right: Option<String>,
}

/// Whether acts of this name decide what operators may read.
pub(crate) fn is_decision(name: &str) -> bool {
    matches!(name, "ApproveConsent" | "RevokeConsent" | "SetStandingRight" | "RevokeStandingRight")
}

impl Replay {
    pub(crate) fn new(tenant: &str, expect: &Expect) -> Self {
        Self { signatures: Signatures::new(tenant, expect), ..Self::default() }
    }

    /// A record of the tenant's own act: remembers decisions about consent until their outcome comes.
    pub(crate) fn management(
        &mut self,
        index: u64,
        time_ms: u64,
        event: &EventView<'_>,
    ) -> Result<(), String> {
        let name = text(event.event_name)?;
        if !event.management.is_some_and(|m| m.starts_with('{')) {
            return Ok(());
        }
        if is_decision(&name) {
            self.deciding.insert(index, time_ms);
        }
        self.signatures.management(index, &name, event)
    }

    /// An outcome: a decision that was done takes effect here.
    pub(crate) fn outcome(
        &mut self,
        (intent, ended): (u64, Ended),
        (outcome, time_ms): (u64, u64),
        event: &EventView<'_>,
        whole: bool,
    ) -> Result<Said, String> {
        let done = ended == Ended::Done;
        if self.opened_nothing.remove(&intent) && matches!(ended, Ended::Done | Ended::Unknown) {
            return Err(
                "an operator's act that a log shows is laid to one that was refused, and was done".into()
            );
        }
        let person = self.signatures.outcome((intent, outcome), ended, event)?;
        let asked = self.asking.remove(&intent);
        if let Some(begun_ms) = self.opening.remove(&intent).filter(|_| done) {
            let detail = object(event.detail)?;
            let Some(grant) = detail.pointer("/consent/grant").and_then(Value::as_str) else {
                return Ok(Said::Nothing);
            };
            if let Some(asked) = asked {
                self.asked.insert(grant.to_owned(), asked);
            }
            return match detail.pointer("/consent/opened") {
                None | Some(Value::Null) => Ok(Said::Nothing),
                Some(opened) => self.opened(grant, opened, (intent, outcome), (begun_ms, time_ms)),
            };
        }
        let (decides, returns) = (self.deciding.remove(&intent), self.returning.remove(&intent));
        if !(decides.is_some() || returns) || !done {
            return Ok(Said::Nothing);
        }
        let detail = object(event.detail)?;
        if let Some(standing) = detail.get("standing").filter(|_| decides.is_some()) {
            if let Some(right) = self.rights.learn(standing, time_ms)? {
                let came_of_it = self.grants.values_mut().filter(|g| g.right.as_ref() == Some(&right));
                came_of_it.for_each(|g| {
                    g.revoked_ms.get_or_insert(time_ms);
                });
            }
            return Ok(Said::Nothing);
        }
        let Some(consent) = detail.get("consent") else { return Ok(Said::Nothing) };
        let text = |name: &str| consent.get(name).and_then(Value::as_str).map(str::to_owned);
        let approves = matches!(text("act").as_deref(), Some("approve" | "approve-part"));
        if let (true, Some(person), Some(intent_ms)) = (approves, person, decides) {
            let asked = text("grant").and_then(|g| self.asked.get(&g)).map(|a| &a.covers);
            let approval = Approval { intent, intent_ms, outcome, time_ms, consent, asked, whole };
            self.signatures.approval(person, &approval)?;
        }
        match (text("grant"), text("act").as_deref()) {
            (Some(grant), Some("approve")) if decides.is_some() => {
                let until = consent.get("untilMs").and_then(Value::as_u64);
                let parts = (covers(consent), text("action"), text("operator"), until);
                if let (Some(covers), Some(action), Some(operator), Some(until_ms)) = parts {
                    // A request whose text was erased is not there to compare with.
                    if let Some(asked) = self.asked.get(&grant) {
                        let uses = consent.get("usesMax").and_then(Value::as_u64).unwrap_or(u64::MAX);
                        let latest = time_ms.saturating_add(asked.minutes.saturating_mul(60_000));
                        if !is_within(&covers, &asked.covers)
                            || uses > asked.uses_max
                            || until_ms > latest
                            || operator != asked.operator
                        {
                            return Err(format!("the approval of {grant} gives more than was asked for"));
                        }
                    }
                    self.grants.entry(grant).or_insert(Grant {
                        covers,
                        action,
                        operator,
                        until_ms,
                        uses_max: consent.get("usesMax").and_then(Value::as_u64),
                        uses: 0,
                        approved_ms: time_ms,
                        revoked_ms: None,
                        right: None,
                    });
                }
            }
            (Some(grant), Some("revoke" | "return")) => {
                if let Some(grant) = self.grants.get_mut(&grant) {
                    grant.revoked_ms.get_or_insert(time_ms);
                }
            }
            _ => {}
        }
        Ok(Said::Nothing)
    }

    /// A request that became a grant by a standing right.
    fn opened(
        &mut self,
        grant: &str,
        opened: &Value,
        records: (u64, u64),
        times: (u64, u64),
    ) -> Result<Said, String> {
        let no = |why: String| Err(format!("grant {grant} was opened by a standing right, but {why}"));
        if self.signatures.policy(records) != (false, 1) {
            return no("the consent policy demands signed approvals, or several persons".into());
        }
        let Some(given) = standing::Given::read(opened) else { return no("its record is not whole".into()) };
        // A request whose text was erased is not there to compare with.
        if let Some(asked) = self.asked.get(grant)
            && !given.is_asked(asked)
        {
            return no("it gives something else than was asked for".into());
        }
        let born = match self.rights.open(grant, &given, times) {
            Ok(born) => born,
            Err(why) => return no(why),
        };
        let Some(standing::Born { revoked }) = born else {
            return Ok(Said::NoRight(format!(
                "grant {grant} was opened by standing right {}, which no record of the tenant sets",
                given.right
            )));
        };
        let standing::Given { right, covers, action, operator, until_ms, uses_max, .. } = given;
        let new = Grant {
            covers,
            action,
            operator,
            until_ms,
            uses_max: Some(uses_max),
            uses: 0,
            approved_ms: times.1,
            revoked_ms: revoked.then_some(times.1),
            right: Some(right),
        };
        if self.grants.insert(grant.to_owned(), new).is_some() {
            return no("it was a grant before".into());
        }
        Ok(Said::Nothing)
    }

    /// An intent of the platform: whether it is a read of content, which then must be covered.
    pub(crate) fn intent(&mut self, index: u64, time_ms: u64, event: &EventView<'_>) -> Result<Said, String> {
        let name = text(event.event_name)?;
        if name == "WithdrawRequest" {
            self.returning.insert(index);
        }
        if matches!(&*name, "RequestConsent" | "ConfirmRequest") {
            self.opening.insert(index, time_ms);
        }
        if name == "RequestConsent" {
            self.asking.extend(asked(event)?.map(|asked| (index, asked)));
        }
        if name.starts_with("collected:") {
            return self.collected(index, event);
        }
        let who = text(event.employee)?;
        if !who.is_empty() {
            self.acts.insert(index, (who.into_owned(), false));
        }
        if !matches!(&*name, "GetObject" | "StartSession") {
            return Ok(Said::Nothing);
        }
        let (resource, id) = (text(event.resource)?, text(event.grant)?);
        let platform = object(event.platform)?;
        let operator = platform.get("EmployeeID").and_then(Value::as_str).unwrap_or_default();
        let (id, resource) = (&*id, &*resource);
        let object = resource.splitn(5, ':').last().unwrap_or_default();
        let no = |why: String| Err(format!("an operator's read of `{object}` {why}"));
        if id.is_empty() {
            return no("names no grant".into());
        }
        let Some(grant) = self.grants.get_mut(id) else {
            return Ok(Said::NoGrant(format!(
                "an operator's read of `{object}` names grant {id}, which no record of the tenant approves"
            )));
        };
        let service = resource.split(':').nth(1).unwrap_or_default();
        if !grant.covers.covers(object) || grant.action != format!("{service}:{name}") {
            return no(format!("is not covered by grant {id}, which is for `{}`", grant.covers.name()));
        }
        if grant.operator != operator || operator.is_empty() {
            return no(format!("is by another operator than grant {id} names"));
        }
        if grant.revoked_ms.is_some() {
            return no(format!("comes after grant {id} was revoked or given back"));
        }
        if time_ms >= grant.until_ms {
            return no(format!("comes after grant {id} had expired"));
        }
        // The windows of one long read count once.
        if text(event.continues)? != id {
            grant.uses += 1;
        }
        if let Some(max) = grant.uses_max.filter(|max| grant.uses > *max) {
            return no(format!("is one more than the {max} that grant {id} allows"));
        }
        Ok(Said::Covered)
    }

    /// An operator's act that was refused.
    pub(crate) fn refusal(&mut self, index: u64, event: &EventView<'_>) -> Result<(), String> {
        self.acts.insert(index, (text(event.employee)?.into_owned(), true));
        Ok(())
    }

    /// An act that a log of the platform shows: what the house says of it must hold.
    fn collected(&mut self, index: u64, event: &EventView<'_>) -> Result<Said, String> {
        let operator = text(event.employee)?;
        let collected = object(event.collected)?;
        if collected.get("uncovered").is_some() {
            return Ok(Said::Collected(LetIn::No));
        }
        let Some(covered) = collected.get("covered") else {
            return Ok(if operator.is_empty() { Said::Nothing } else { Said::Collected(LetIn::NotAsked) });
        };
        if let Some(record) = covered.get("record").and_then(Value::as_u64) {
            // Whether it was allowed is judged where it stands.
            return match self.acts.get(&record) {
                Some((who, refused)) if *who == operator => {
                    if *refused {
                        self.opened_nothing.insert(index);
                    }
                    Ok(Said::Collected(LetIn::Yes))
                }
                _ => Err(format!("an operator's act that a log shows is no act of his at record {record}")),
            };
        }
        let Some(id) = covered.get("grant").and_then(Value::as_str) else {
            // One of several sessions, and nobody knows which.
            return Ok(Said::Collected(if operator.is_empty() { LetIn::Yes } else { LetIn::NotAsked }));
        };
        let Some(grant) = self.grants.get(id) else {
            return Ok(Said::NoGrant(format!(
                "an operator's act that a log shows is laid under grant {id}, which no record of the tenant approves"
            )));
        };
        let at = covered.get("atMs").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let end = grant.revoked_ms.unwrap_or(u64::MAX).min(grant.until_ms);
        // Without a time of the log's own it may have been read at any time later.
        let late = collected.get("timeBy").and_then(Value::as_str) != Some("collector")
            && at > end.saturating_add(APART_MS);
        if grant.operator != operator || late || at < grant.approved_ms.saturating_sub(APART_MS) {
            return Err(format!(
                "an operator's act that a log shows is laid under grant {id}, which was not his or not live then"
            ));
        }
        Ok(Said::Collected(LetIn::Yes))
    }
}

/// What a record says of a scope.
pub(crate) fn covers(of: &Value) -> Option<Covers> {
    let text = |name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    text("object").map(Covers::Object).or_else(|| text("prefix").map(Covers::Prefix)).or_else(|| {
        let limits = of.get("limits").map(Value::to_string).unwrap_or_default();
        text("target").map(|name| Covers::Target { name, limits })
    })
}

/// Whether a scope covers nothing that `wider` does not.
pub(crate) fn is_within(scope: &Covers, wider: &Covers) -> bool {
    match (scope, wider) {
        (Covers::Object(name) | Covers::Prefix(name), Covers::Prefix(_)) => wider.covers(name),
        (Covers::Object(name), Covers::Object(asked)) => name == asked,
        (Covers::Target { name, limits }, Covers::Target { name: wide, limits: most }) => {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
            name == wide && limits_within(&read(limits), &read(most))
        }
        _ => false,
    }
}

/// Whether limits allow nothing that `most` do not: no rule or role more, nothing that is not allowed there, and reading only
/// where only that is.
fn limits_within(limits: &Value, most: &Value) -> bool {
    let (Some(limits), Some(most)) = (limits.as_object(), most.as_object()) else { return limits == most };
    let is = |of: &serde_json::Map<String, Value>, name: &str| of.get(name) == Some(&Value::Bool(true));
    limits.iter().all(|(name, value)| match value {
        Value::Bool(allowed) => name == "read_only" || !allowed || is(most, name),
        Value::Array(all) => {
            let there = most.get(name).and_then(Value::as_array);
            there.is_some_and(|there| all.iter().all(|x| there.contains(x)))
        }
        other => most.get(name) == Some(other),
    }) && (is(limits, "read_only") || !is(most, "read_only"))
}

/// What an operator's request asks for; none when its record does not say.
fn asked(event: &EventView<'_>) -> Result<Option<Asked>, String> {
    let platform = object(event.platform)?;
    let text = |name: &str| platform.get(name).and_then(Value::as_str);
    let Some(detail) = text("EventAdditionalDetail").and_then(|d| serde_json::from_str::<Value>(d).ok())
    else {
        return Ok(None);
    };
    let number = |name: &str| detail.get(name).and_then(Value::as_u64);
    let parts = (covers(&detail), text("EmployeeID"), number("minutes"), number("usesMax"));
    let (Some(covers), Some(operator), Some(minutes), Some(uses_max)) = parts else { return Ok(None) };
    let code = detail.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Some(Asked { covers, operator: operator.to_owned(), minutes, uses_max, code }))
}

/// A string member as it was meant, however it is escaped; empty when there is none.
pub(crate) fn text<'a>(raw: Option<&'a str>) -> Result<Cow<'a, str>, String> {
    let Some(raw) = raw else { return Ok(Cow::Borrowed("")) };
    match raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str(raw).map(Cow::Owned).map_err(|e| e.to_string()),
    }
}

/// An object member; `null` when there is none.
pub(crate) fn object(raw: Option<&str>) -> Result<Value, String> {
    raw.map_or(Ok(Value::Null), |raw| serde_json::from_str(raw).map_err(|e| e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(limits: &str, most: &str) -> bool {
        let target = |limits: &str| Covers::Target { name: "web-1".into(), limits: limits.into() };
        is_within(&target(limits), &target(most))
    }

    #[test]
    fn limits_lie_within_others_when_they_allow_nothing_more() {
        let host = r#"{"family":"host","shell":false,"exec":true,"download":false,"upload":false}"#;
        let more = &host.replace("\"shell\":false", "\"shell\":true");
        assert!(within(host, host) && within(host, more) && !within(more, host));
        assert!(within(r#"{"upload":false,"exec":true,"family":"host"}"#, host), "in another order");
        assert!(!within(r#"{"family":"host","exec":true,"sudo":true}"#, host), "what is not known");
        let reads = r#"{"family":"database","roles":["r"],"read_only":true}"#;
        let writes = r#"{"family":"database","roles":["r","w"],"read_only":false}"#;
        assert!(within(reads, writes) && !within(writes, reads));
        assert!(!within(&reads.replace("true", "false"), reads) && !within(reads, host));
        assert!(
            !within(r#"{"family":"database","roles":["r"]}"#, reads),
            "it does not say that it only reads"
        );
        let rule = r#"{"family":"service","rules":[{"methods":["GET"],"path":"/a"}]}"#;
        let rules = r#"{"family":"service","rules":[{"methods":["GET"],"path":"/a"},{"methods":["PUT"],"path":"/b"}]}"#;
        assert!(within(rule, rules) && !within(rules, rule) && !within("", rule));
    }
}
