//! Consent replayed from the records alone: each read of content by an operator must lie under a grant that the tenant
//! approved before it, for this operator and object, not expired and not revoked.
//!
//! INVARIANT: what is not understood covers nothing: a read whose grant cannot be found is a violation.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// Grants so far, and decisions whose outcome has not come yet.
#[derive(Default)]
pub(crate) struct Replay {
    grants: HashMap<String, Grant>,
    deciding: BTreeMap<u64, ()>,
}

struct Grant {
    object: String,
    action: String,
    operator: String,
    until_ms: u64,
    revoked: bool,
}

impl Replay {
    /// A record of the tenant's own act: remembers decisions about consent until their outcome comes.
    pub(crate) fn management(&mut self, index: u64, event: &[u8]) {
        // A decision that is spelled so as to be missed here only takes a grant away.
        if !contains(event, b"Consent\"") {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(event) else { return };
        let name = event.get("eventName").and_then(Value::as_str);
        let by_tenant = event.get("management").is_some_and(Value::is_object);
        if by_tenant && matches!(name, Some("ApproveConsent" | "RevokeConsent")) {
            self.deciding.insert(index, ());
        }
    }

    /// An outcome: a decision that was done takes effect here.
    pub(crate) fn outcome(&mut self, intent: u64, done: bool, event: &[u8]) {
        if self.deciding.remove(&intent).is_none() || !done {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(event) else { return };
        let Some(consent) = event.get("detail").and_then(|d| d.get("consent")) else { return };
        let text = |name: &str| consent.get(name).and_then(Value::as_str).map(str::to_owned);
        match (text("grant"), text("act").as_deref()) {
            (Some(grant), Some("approve")) => {
                let until = consent.get("untilMs").and_then(Value::as_u64);
                let parts = (text("object"), text("action"), text("operator"), until);
                if let (Some(object), Some(action), Some(operator), Some(until_ms)) = parts {
                    self.grants.entry(grant).or_insert(Grant {
                        object,
                        action,
                        operator,
                        until_ms,
                        revoked: false,
                    });
                }
            }
            (Some(grant), Some("revoke")) => {
                if let Some(grant) = self.grants.get_mut(&grant) {
                    grant.revoked = true;
                }
            }
            _ => {}
        }
    }

    /// An intent of the platform: whether it is a read of content, which then must be covered.
    pub(crate) fn intent(&self, time_ms: u64, event: &[u8]) -> Result<bool, String> {
        let event: Value = serde_json::from_slice(event).map_err(|e| e.to_string())?;
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let platform = |name: &str| {
            event.get("platform").and_then(|p| p.get(name)).and_then(Value::as_str).unwrap_or_default()
        };
        if text("eventName") != "GetObject" {
            return Ok(false);
        }
        let object = text("resource").splitn(5, ':').last().unwrap_or_default();
        let operator = platform("EmployeeID");
        let id = text("grant");
        let no = |why: String| Err(format!("an operator's read of `{object}` {why}"));
        let Some(grant) = self.grants.get(id) else {
            return no(if id.is_empty() {
                "names no grant".into()
            } else {
                format!("names grant {id}, which no record of the tenant approves")
            });
        };
        if grant.object != object || grant.action != "oss:GetObject" {
            return no(format!("is not covered by grant {id}, which is for `{}`", grant.object));
        }
        if grant.operator != operator || operator.is_empty() {
            return no(format!("is by another operator than grant {id} names"));
        }
        if grant.revoked {
            return no(format!("comes after grant {id} was revoked"));
        }
        if time_ms >= grant.until_ms {
            return no(format!("comes after grant {id} had expired"));
        }
        Ok(true)
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}
