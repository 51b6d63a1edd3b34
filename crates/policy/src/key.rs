//! Policies of keys and secrets (contract §5; KMS `SetKeyPolicy`): who of the account may use one of them, beside whom
//! policies of RAM let. A Deny here wins over them.
//!
//! They say `"Resource": ["*"]`, which is the key that the policy is on, and name people of the account that it belongs to.
//! An Allow for the whole account (`acs:ram::<account>:*`, as in the policy that a new key has) adds nobody: it leaves the
//! key to the policies of RAM. Else whoever writes the usual policy would open the key to each user of the account.

use std::sync::Arc;

use bailee_types::Arn;

use crate::document::{Effect, Kind, Policy, Statement};
use crate::error::PolicyError;
use crate::json::Fault;
use crate::principal::Who;
use crate::resource::{ResourcePattern, Resources};

impl Policy {
    /// The policy of one key or secret, which `resource` names.
    ///
    /// # Errors
    /// When anything in it is not understood, is about other resources or actions than this one's, or names others than people
    /// of the account.
    ///
    /// ```
    /// use bailee_policy::Policy;
    /// let key = bailee_types::Arn::parse("acs:kms:cn-hangzhou:1000000000000001:key/key-1").unwrap();
    /// let document = r#"{"Version":"1","Statement":[{"Sid":"users","Effect":"Allow","Action":["kms:Decrypt"],
    ///     "Principal":{"RAM":["acs:ram::1000000000000001:user/li"]},"Resource":["*"]}]}"#;
    /// assert!(Policy::of_key(document, &key).is_ok());
    /// let error = Policy::of_key(&document.replace("::1000000000000001:", "::1000000000000002:"), &key).unwrap_err();
    /// assert!(error.to_string().contains("another account"));
    /// ```
    pub fn of_key(document: &str, resource: &Arn) -> Result<Self, PolicyError> {
        let mut policy = Self::parse_as(Kind::Key, document)?;
        let about = format!("acs:kms:*:{}:{}", resource.account(), resource.relative());
        let about = ResourcePattern::read(&about).map_err(PolicyError::whole)?;
        for statement in &mut policy.statements {
            let bound = bind(statement, resource.account(), &about)
                .map_err(|text| PolicyError::of(Fault::at(&statement.span, text), document))?;
            *statement = Arc::new(bound);
        }
        Ok(policy)
    }
}

fn bind(statement: &Statement, account: &str, about: &ResourcePattern) -> Result<Statement, String> {
    let of_kms = |text: &str| text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("kms:"));
    if let Some(other) = statement.actions.list.iter().find(|a| !of_kms(&a.text)) {
        return Err(format!("the action `{}` is none of `kms:`", other.text));
    }
    let itself = |r: &Resources| !r.negated && r.list.iter().all(|one| one.is_any());
    if !statement.resources.as_ref().is_some_and(itself) {
        return Err("`Resource` must be `*`: the key or secret that the policy is on".into());
    }
    let Some(said) = &statement.principals else { return Err("the statement has no `Principal`".into()) };
    if said.negated && statement.effect == Effect::Allow {
        return Err("`NotPrincipal` with Allow would let in everybody but those it names".into());
    }
    for one in &said.list {
        expect_own(&one.who, &one.text, account)?;
    }
    let mut principals = said.clone();
    if statement.effect == Effect::Allow {
        principals.list.retain(|p| !is_whole_account(&p.who, account));
    }
    let resources = Some(Resources { negated: false, list: vec![about.clone()] });
    Ok(Statement { principals: Some(principals), resources, ..statement.clone() })
}

/// Somebody of this account; ids of users and roles may be of any, and those of others are never asked for.
fn expect_own(who: &Who, text: &str, account: &str) -> Result<(), String> {
    let of = match who {
        Who::AnyIdentity | Who::Id(_) => return Ok(()),
        Who::Account(of)
        | Who::User { account: of, .. }
        | Who::Role { account: of, .. }
        | Who::Session { account: of, .. } => of,
        Who::Anyone | Who::Service(_) | Who::Federated(_) => {
            return Err(format!("the principal `{text}` is none of RAM's"));
        }
    };
    if of.literal() == Some(account) {
        return Ok(());
    }
    Err(format!(
        "the principal `{text}` is of another account: keys and secrets are for their own account's people"
    ))
}

fn is_whole_account(who: &Who, account: &str) -> bool {
    match who {
        Who::AnyIdentity | Who::Account(_) => true,
        Who::Id(id) => **id == *account,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bailee_types::{Arn, Timestamp};

    use crate::{Context, Phase, Phases, Policy, PolicySet, Request, Subject, Verdict, decide};

    const ACCOUNT: &str = "1000000000000001";

    fn key() -> Arn {
        Arn::parse("acs:kms:cn-hangzhou:1000000000000001:key/key-1").unwrap()
    }

    fn of(statement: &str) -> Result<Policy, String> {
        let document = format!(r#"{{"Version":"1","Statement":[{{{statement}}}]}}"#);
        Policy::of_key(&document, &key()).map_err(|e| e.to_string())
    }

    fn says(statement: &str, resource: &Arn) -> Option<bool> {
        let set = PolicySet::compile(vec![("p".into(), Arc::new(of(statement).unwrap()))]);
        let subject = Subject::User { account: ACCOUNT, id: "2000000000000001", name: "li" };
        let context = Context {
            now: Timestamp::from_secs(1_767_323_045),
            source_ip: None,
            secure_transport: true,
            mfa_present: None,
            subject,
            extra: &[],
        };
        let request = Request { action: "kms:Decrypt", resource, context: &context };
        match decide(&Phases { resource: Some(&set), ..Phases::default() }, &request) {
            Verdict::Allow { .. } => Some(true),
            Verdict::ExplicitDeny { phase: Phase::Resource, .. } => Some(false),
            _ => None,
        }
    }

    #[test]
    fn a_star_is_the_key_itself_and_the_whole_account_is_left_to_ram() {
        let with = |effect: &str, who: &str| {
            format!(
                r#""Sid":"kms default key policy","Effect":"{effect}","Principal":{{"RAM":["{who}"]}},
                "Action":["kms:*"],"Resource":["*"]"#
            )
        };
        let li = "acs:ram::1000000000000001:user/li";
        assert_eq!(says(&with("Allow", li), &key()), Some(true));
        let other = Arn::parse("acs:kms:cn-hangzhou:1000000000000001:key/key-2").unwrap();
        assert_eq!(says(&with("Allow", li), &other), None);
        for whole in ["acs:ram::1000000000000001:*", "acs:ram::1000000000000001:root", "*", ACCOUNT] {
            assert_eq!(says(&with("Allow", whole), &key()), None, "{whole}");
            assert_eq!(says(&with("Deny", whole), &key()), Some(false), "{whole}");
        }
        for named in ["acs:ram::1000000000000001:user/*", "2000000000000001"] {
            assert_eq!(says(&with("Allow", named), &key()), Some(true), "{named}");
        }
    }

    #[test]
    fn what_is_not_about_the_key_or_its_account_is_refused_whole() {
        let principal = r#""Principal":{"RAM":["acs:ram::1000000000000001:user/li"]}"#;
        for (statement, why) in [
            (format!(r#""Effect":"Allow",{principal},"Action":"oss:Get*","Resource":"*""#), "`oss:Get*`"),
            (format!(r#""Effect":"Deny",{principal},"Action":"*","Resource":"*""#), "none of `kms:`"),
            (
                format!(r#""Effect":"Allow",{principal},"Action":"kms:*","Resource":"acs:kms:*:*:key/key-2""#),
                "must be `*`",
            ),
            (format!(r#""Effect":"Allow",{principal},"Action":"kms:*","NotResource":"*""#), "must be `*`"),
            (format!(r#""Effect":"Allow",{principal},"Action":"kms:*""#), "Resource"),
            (
                r#""Effect":"Allow","NotPrincipal":{"RAM":["2000000000000001"]},"Action":"kms:*","Resource":"*""#.into(),
                "everybody but",
            ),
            (
                r#""Effect":"Deny","Principal":{"RAM":["acs:ram::*:user/li"]},"Action":"kms:*","Resource":"*""#.into(),
                "another account",
            ),
            (
                r#""Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]},"Action":"kms:*","Resource":"*""#.into(),
                "none of RAM's",
            ),
            (r#""Effect":"Allow","Action":"kms:*","Resource":"*""#.into(), "Principal"),
            (format!(r#""Sid":3,"Effect":"Allow",{principal},"Action":"kms:*","Resource":"*""#), "Sid"),
        ] {
            let no = of(&statement).unwrap_err();
            assert!(no.contains(why), "{statement}: {no}");
        }
    }
}
