//! Operators: `[ForAnyValue:|ForAllValues:]Name[IfExists]`.

use std::cmp::Ordering;

/// One of the language's operators, with its qualifier and suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) qualifier: Option<Qualifier>,
    pub(crate) test: Test,
    /// `…Not…`: holds when no value matches.
    pub(crate) negated: bool,
    pub(crate) if_exists: bool,
}

/// How many of the request's values the operator must hold for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier {
    Any,
    All,
}

/// How one value of the request is held against one of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equal,
    EqualFolded,
    Like,
    Number(Order),
    Date(Order),
    Bool,
    Ip,
    Null,
}

/// The orders that count as a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    pub(crate) fn admits(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

/// Names, what they test, and whether they negate it.
#[rustfmt::skip]
const OPERATORS: &[(&str, Test, bool)] = &[
    ("StringEquals", Test::Equal, false),
    ("StringNotEquals", Test::Equal, true),
    ("StringEqualsIgnoreCase", Test::EqualFolded, false),
    ("StringNotEqualsIgnoreCase", Test::EqualFolded, true),
    ("StringLike", Test::Like, false),
    ("StringNotLike", Test::Like, true),
    ("NumericEquals", Test::Number(Order::Equal), false),
    ("NumericNotEquals", Test::Number(Order::Equal), true),
    ("NumericLessThan", Test::Number(Order::Less), false),
    ("NumericLessThanEquals", Test::Number(Order::LessOrEqual), false),
    ("NumericGreaterThan", Test::Number(Order::Greater), false),
    ("NumericGreaterThanEquals", Test::Number(Order::GreaterOrEqual), false),
    ("DateEquals", Test::Date(Order::Equal), false),
    ("DateNotEquals", Test::Date(Order::Equal), true),
    ("DateLessThan", Test::Date(Order::Less), false),
    ("DateLessThanEquals", Test::Date(Order::LessOrEqual), false),
    ("DateGreaterThan", Test::Date(Order::Greater), false),
    ("DateGreaterThanEquals", Test::Date(Order::GreaterOrEqual), false),
    ("Bool", Test::Bool, false),
    ("IpAddress", Test::Ip, false),
    ("NotIpAddress", Test::Ip, true),
    ("Null", Test::Null, false),
];

impl Operator {
    /// Reads an operator's name.
    ///
    /// # Errors
    /// What is wrong, and what may be meant.
    pub(crate) fn parse(name: &str) -> Result<Self, (String, Option<String>)> {
        let shown = crate::error::shown(name);
        let (qualifier, rest) = match name.split_once(':') {
            None => (None, name),
            Some(("ForAnyValue", rest)) => (Some(Qualifier::Any), rest),
            Some(("ForAllValues", rest)) => (Some(Qualifier::All), rest),
            Some((other, _)) => {
                let help = crate::error::hint(other, ["ForAnyValue", "ForAllValues"]);
                return Err((format!("`{}` is not a qualifier", crate::error::shown(other)), help));
            }
        };
        let (plain, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |plain| (plain, true));
        let Some((_, test, negated)) = OPERATORS.iter().find(|(n, ..)| *n == plain) else {
            return Err((
                format!("`{shown}` is not an operator"),
                crate::error::hint(plain, OPERATORS.iter().map(|o| o.0)),
            ));
        };
        if *test == Test::Null && (qualifier.is_some() || if_exists) {
            return Err((
                "`Null` takes no qualifier and no `IfExists`: it asks whether the key is there".into(),
                None,
            ));
        }
        Ok(Self { qualifier, test: *test, negated: *negated, if_exists })
    }
}

impl std::fmt::Display for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.qualifier {
            None => "",
            Some(Qualifier::Any) => "ForAnyValue:",
            Some(Qualifier::All) => "ForAllValues:",
        })?;
        let name =
            OPERATORS.iter().find(|(_, t, n)| (*t, *n) == (self.test, self.negated)).map(|(name, ..)| *name);
        f.write_str(name.unwrap_or_default())?;
        f.write_str(if self.if_exists { "IfExists" } else { "" })
    }
}
