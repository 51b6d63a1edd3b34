//! Whom a trust policy trusts, with the rest left open in plain words: the other half of who can.

use crate::context::Subject;
use crate::document::{Effect, Policy};
use crate::principal::Who;

const ACTION: (&str, &str) = ("sts", "AssumeRole");

impl Policy {
    /// What must also hold for this caller to be trusted; none when he is not, whatever holds.
    ///
    /// ```
    /// use bailee_policy::{Kind, Policy, Subject};
    /// let trust = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
    ///     "Principal":{"RAM":["acs:ram::1000000000000001:user/li"]},"Condition":{"Bool":{"acs:MFAPresent":"true"}}}]}"#;
    /// let trust = Policy::parse_as(Kind::Trust, trust).unwrap();
    /// let li = Subject::User { account: "1000000000000001", id: "2000000000000001", name: "li" };
    /// assert_eq!(trust.trusts(&li).unwrap(), ["`acs:MFAPresent` is `true`"]);
    /// assert!(trust.trusts(&Subject::Root { account: "1000000000000002" }).is_none());
    /// ```
    pub fn trusts(&self, subject: &Subject<'_>) -> Option<Vec<String>> {
        let mut ways: Vec<String> = Vec::new();
        let mut always = false;
        let mut unless: Vec<String> = Vec::new();
        for statement in &self.statements {
            let covers = statement.principals.as_ref().is_some_and(|p| p.cover(subject));
            if !covers || !statement.actions.covers(ACTION.0, ACTION.1) {
                continue;
            }
            let words: Vec<String> = statement.conditions.iter().map(|c| c.words(self)).collect();
            match (statement.effect, words.is_empty()) {
                (Effect::Deny, true) => return None,
                (Effect::Deny, false) => unless.push(format!("not: {}", words.join(" and "))),
                (Effect::Allow, true) => always = true,
                (Effect::Allow, false) => ways.push(words.join(" and ")),
            }
        }
        if !always && ways.is_empty() {
            return None;
        }
        let mut out = if always { Vec::new() } else { vec![ways.join(", or ")] };
        out.extend(unless);
        Some(out)
    }

    /// The services, identity providers and other accounts that an Allow of this policy names, each with what must also
    /// hold.
    pub fn trusts_outside(&self, account: &str) -> Vec<(String, Vec<String>)> {
        let mut out = Vec::new();
        for statement in self.statements.iter().filter(|s| s.effect == Effect::Allow) {
            let Some(principals) = &statement.principals else { continue };
            if !statement.actions.covers(ACTION.0, ACTION.1) {
                continue;
            }
            let words: Vec<String> = statement.conditions.iter().map(|c| c.words(self)).collect();
            if principals.negated {
                out.push(("everybody but those that the trust policy names".to_owned(), words));
                continue;
            }
            for principal in &principals.list {
                let outside = match &principal.who {
                    Who::Anyone | Who::AnyIdentity => Some("everybody of every account".to_owned()),
                    Who::Service(name) => Some(format!("service {name}")),
                    Who::Federated(provider) => Some(format!("people of {provider}")),
                    _ if principal.text.contains(account) => None,
                    _ => Some(format!("account {}", principal.text)),
                };
                out.extend(outside.map(|o| (o, words.clone())));
            }
        }
        out
    }
}
