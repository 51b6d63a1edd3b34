//! Conditions: an operator, a key of the request, values of the policy (rules P3, W1, W2, E1).
//!
//! Missing key: positive operators are false, negated ones true, `…IfExists` and `ForAllValues` true, `ForAnyValue` false
//! also when negated; `Null` asks for presence, and an empty text is present.

mod operator;
mod values;

use bailee_types::Timestamp;

pub(crate) use operator::{Operator, Order, Qualifier, Test};
pub(crate) use values::{Decimal, Network, truth};

use crate::context::{Eval, Found, Value};
use crate::json::Span;
use crate::pattern::Pattern;

/// One operator on one key.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) operator: Operator,
    pub(crate) key: Key,
    pub(crate) wanted: Wanted,
    /// The values as they stand in the document.
    pub(crate) span: Span,
}

/// A key; the ones that every request has are known by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: Box<str>,
    pub(crate) known: Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    CurrentTime,
    SecureTransport,
    SourceIp,
    MfaPresent,
    PrincipalArn,
    /// In the request's list.
    Listed,
}

/// The policy's values, read when the policy was made.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Texts(Box<[Pattern]>),
    Numbers(Box<[Decimal<Box<str>>]>),
    Dates(Box<[Timestamp]>),
    Flags(Box<[bool]>),
    Networks(Box<[Network]>),
}

/// Keys of RAM itself, as they are spelled in its documents; `…/` takes a name.
pub(crate) const GLOBAL_KEYS: &[&str] = &[
    "acs:CurrentTime",
    "acs:SecureTransport",
    "acs:SourceIp",
    "acs:MFAPresent",
    "acs:PrincipalARN",
    "acs:PrincipalRDId",
    "acs:PrincipalRDPath",
    "acs:RequestTag/",
    "acs:ResourceTag/",
    "acs:SourceVpc",
    "acs:VpcSourceIp",
];

impl Key {
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.into(), known: Known::of(name) }
    }
}

impl Known {
    pub(crate) fn of(name: &str) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("acs:CurrentTime") => Self::CurrentTime,
            () if is("acs:SecureTransport") => Self::SecureTransport,
            () if is("acs:SourceIp") => Self::SourceIp,
            () if is("acs:MFAPresent") => Self::MfaPresent,
            () if is("acs:PrincipalARN") => Self::PrincipalArn,
            () => Self::Listed,
        }
    }
}

impl Condition {
    /// Whether the request meets the condition.
    pub(crate) fn holds(&self, eval: &Eval<'_, '_>) -> bool {
        let found = eval.find(&self.key);
        if self.operator.test == Test::Null {
            let Wanted::Flags(flags) = &self.wanted else { return false };
            return flags.contains(&matches!(found, Found::Missing));
        }
        let Operator { qualifier, negated, if_exists, .. } = self.operator;
        let one = |value: Value<'_>| self.matches(value, eval);
        match (qualifier, found) {
            (_, Found::Missing) if if_exists => true,
            (None, Found::Missing) => negated,
            (Some(Qualifier::All), Found::Missing) => true,
            (Some(Qualifier::Any), Found::Missing) => false,
            (_, Found::One(value)) => one(value) != negated,
            (None, Found::Many(list)) => list.iter().any(|v| one(Value::Text(v))) != negated,
            (Some(Qualifier::Any), Found::Many(list)) => list.iter().any(|v| one(Value::Text(v)) != negated),
            (Some(Qualifier::All), Found::Many(list)) => list.iter().all(|v| one(Value::Text(v)) != negated),
        }
    }

    /// Whether one value of the request matches any of the policy, before negation. One that cannot be read matches none.
    fn matches(&self, value: Value<'_>, eval: &Eval<'_, '_>) -> bool {
        match (&self.wanted, self.operator.test) {
            (Wanted::Texts(patterns), test) => {
                let text = value.text();
                patterns.iter().any(|p| {
                    let Some(inserted) = eval.inserted(p) else { return false };
                    match test {
                        Test::EqualFolded => p.equals_folded(&text, &inserted),
                        _ => p.matches_with(&text, &inserted),
                    }
                })
            }
            (Wanted::Numbers(list), Test::Number(order)) => {
                let Value::Text(text) = value else { return false };
                Decimal::parse(text).is_some_and(|n| list.iter().any(|w| order.admits(n.compare(w))))
            }
            (Wanted::Dates(list), Test::Date(order)) => {
                value.time().is_some_and(|t| list.iter().any(|w| order.admits(t.cmp(w))))
            }
            (Wanted::Flags(list), Test::Bool) => value.flag().is_some_and(|f| list.contains(&f)),
            (Wanted::Networks(list), Test::Ip) => {
                value.address().is_some_and(|a| list.iter().any(|n| n.holds(a)))
            }
            _ => false,
        }
    }
}
