//! What of a log a bundle opens: all of it, or what a tenant hands to an auditor.
//!
//! ```text
//! all
//! {"from":1767225600000,"to":1769904000000,"resources":["acs:oss:*:1000000000000001:invoices/*"]}
//! ```
//! Times are milliseconds since 1970: from the first, before the second. A resource that ends with `*` stands for all
//! that begin so; without resources, every record of that time is opened.

use crate::event::{quoted, scan_elements, scan_members, unquoted};
use crate::witness::canonical;

/// Resources that one scope may name.
const RESOURCES_MAX: usize = 32;

/// Bytes of one of them, at most.
const RESOURCE_BYTES_MAX: usize = 256;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// A part.
    Part {
        /// Milliseconds since 1970: records of this time on.
        from_ms: u64,
        /// Milliseconds since 1970: records before this time.
        to_ms: u64,
        /// Resources, or beginnings of resources before a `*`; none: all.
        resources: Vec<String>,
    },
}

/// Why a scope was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It holds no time.
    #[error("the scope ends before it begins")]
    Empty,
    /// Too many, too long, or empty resources.
    #[error("a scope names at most 32 resources of 1 to 256 bytes without control characters")]
    Resources,
}

impl Scope {
    /// A part of a log.
    ///
    /// # Errors
    /// When it holds no time, or its resources are too many or too long.
    pub fn part(from_ms: u64, to_ms: u64, resources: Vec<String>) -> Result<Self, ScopeError> {
        if from_ms >= to_ms {
            return Err(ScopeError::Empty);
        }
        let fits =
            |r: &String| (1..=RESOURCE_BYTES_MAX).contains(&r.len()) && !r.chars().any(char::is_control);
        if resources.len() > RESOURCES_MAX || !resources.iter().all(fits) {
            return Err(ScopeError::Resources);
        }
        Ok(Self::Part { from_ms, to_ms, resources })
    }

    /// Reads the line of a manifest; `None` when it is not written as [`Scope`] prints it.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "all" {
            return Some(Self::All);
        }
        let members = scan_members(text)?;
        let [(_, from), (_, to), (_, resources)] = members.as_slice() else { return None };
        let resources: Option<Vec<String>> =
            scan_elements(resources)?.into_iter().map(|json| unquoted(json).map(Into::into)).collect();
        let scope = Self::part(canonical(from)?, canonical(to)?, resources?).ok()?;
        (scope.to_string() == text).then_some(scope)
    }

    /// Whether a record of this time may be withheld under the scope.
    pub fn may_withhold(&self, time_ms: u64) -> bool {
        match self {
            Self::All => false,
            Self::Part { resources, .. } => !resources.is_empty() || !self.holds_time(time_ms),
        }
    }

    /// Whether a record of this time is in the scope, by its time.
    pub fn holds_time(&self, time_ms: u64) -> bool {
        match self {
            Self::All => true,
            Self::Part { from_ms, to_ms, .. } => (*from_ms..*to_ms).contains(&time_ms),
        }
    }

    /// Whether this time is after all that the scope holds.
    pub fn is_after(&self, time_ms: u64) -> bool {
        match self {
            Self::All => false,
            Self::Part { to_ms, .. } => time_ms >= *to_ms,
        }
    }

    /// Whether a resource is in the scope, by its name.
    pub fn holds_resource(&self, resource: &str) -> bool {
        let Self::Part { resources, .. } = self else { return true };
        let holds = |named: &String| match named.strip_suffix('*') {
            Some(beginning) => resource.starts_with(beginning),
            None => resource == named,
        };
        resources.is_empty() || resources.iter().any(holds)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Part { from_ms, to_ms, resources } => {
                let resources: Vec<String> = resources.iter().map(|r| quoted(r)).collect();
                write!(f, r#"{{"from":{from_ms},"to":{to_ms},"resources":[{}]}}"#, resources.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scope_has_one_spelling() {
        let scope = Scope::part(5, 9, vec!["a/*".into(), "b \"c\"".into()]).unwrap();
        let text = scope.to_string();
        assert_eq!(text, r#"{"from":5,"to":9,"resources":["a/*","b \"c\""]}"#);
        assert_eq!(Scope::parse(&text), Some(scope));
        assert_eq!(Scope::parse("all"), Some(Scope::All));
        for other in [
            String::new(),
            text.replace("5", "05"),
            text.replace(",", ", "),
            text.replace("\"from\":5,\"to\":9", "\"to\":9,\"from\":5"),
            text.replace("9", "5"),
            text.replace("a/*", "\\u0061/*"),
            text.replace("a/*", ""),
            text.replace("]", ",7]"),
            format!("{text}\n"),
        ] {
            assert_eq!(Scope::parse(&other), None, "{other}");
        }
        assert_eq!(Scope::part(0, 1, vec!["x".repeat(257)]), Err(ScopeError::Resources));
        assert_eq!(Scope::part(0, 1, vec!["x".into(); 33]), Err(ScopeError::Resources));
        assert_eq!(Scope::part(1, 1, Vec::new()), Err(ScopeError::Empty));
    }

    #[test]
    fn what_a_scope_holds() {
        let scope = Scope::part(5, 9, vec!["a/*".into(), "b".into()]).unwrap();
        assert!(scope.holds_time(5) && scope.holds_time(8) && !scope.holds_time(9) && !scope.holds_time(4));
        assert!(scope.holds_resource("a/") && scope.holds_resource("b") && !scope.holds_resource("b/"));
        assert!(scope.may_withhold(6));
        let time = Scope::part(5, 9, Vec::new()).unwrap();
        assert!(!time.may_withhold(6) && time.may_withhold(9) && time.holds_resource("anything"));
        assert!(!Scope::All.may_withhold(0) && Scope::All.holds_time(0));
    }

    proptest! {
        #[test]
        fn what_reads_prints_the_same(text in r#"\{"from":[0-9]{1,3},"to":[0-9]{1,4},"resources":\[("\PC{0,6}")?\]\}"#) {
            if let Some(scope) = Scope::parse(&text) {
                prop_assert_eq!(scope.to_string(), text);
            }
        }
    }
}
