//! Actions: `service:Name`, without case; wildcards in both parts; `*` alone is everything.

use crate::error::shown;
use crate::pattern::{Pattern, Stars};

#[derive(Clone, Debug)]
pub(crate) struct Actions {
    pub(crate) negated: bool,
    pub(crate) list: Vec<ActionPattern>,
}

/// In lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActionPattern {
    pub(crate) service: Pattern,
    pub(crate) name: Pattern,
    /// As it was written.
    pub(crate) text: Box<str>,
}

impl Actions {
    pub(crate) fn covers(&self, service: &str, name: &str) -> bool {
        self.list.iter().any(|a| a.service.matches_lower(service) && a.name.matches_lower(name))
            != self.negated
    }
}

impl ActionPattern {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text.contains('$') {
            return Err(format!("the action `{}` holds a `$`; actions have no variables", shown(text)));
        }
        let made = |service: &str, name: &str| {
            let part = |t: &str| Pattern::parse(t, Stars::Wild).map(Pattern::lower);
            Ok(Self { service: part(service)?, name: part(name)?, text: text.into() })
        };
        if text == "*" {
            return made("*", "*");
        }
        let Some((service, name)) = text.split_once(':').filter(|(s, n)| !s.is_empty() && !n.is_empty())
        else {
            return Err(format!(
                "the action `{}` has no service; write `service:Name`, or `*` for all",
                shown(text)
            ));
        };
        let ok = |t: &str, more: &[u8]| {
            t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*' || b == b'?' || more.contains(&b))
        };
        if !ok(service, b"-") || !ok(name, b"-_.:/") {
            return Err(format!("the action `{}` holds a character that no action has", shown(text)));
        }
        made(service, name)
    }

    /// Whether every action of `other` is one of this pattern.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.service.covers(&other.service) && self.name.covers(&other.name)
    }

    /// Whether everything is an action of this pattern.
    pub(crate) fn is_any(&self) -> bool {
        self.service.is_any() && self.name.is_any()
    }
}
