//! System policies: made by the platform, the same for every tenant, as data.

use std::sync::{Arc, LazyLock};

use crate::Policy;

const DOCUMENTS: &[(&str, &str)] = &[
    (
        "AdministratorAccess",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        "ReadOnlyAccess",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["*:Describe*","*:List*","*:Get*","*:Lookup*","*:Query*","*:Read*"],"Resource":"*"}]}"#,
    ),
    (
        "AliyunOSSFullAccess",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#,
    ),
    (
        "AliyunOSSReadOnlyAccess",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":"*"}]}"#,
    ),
    (
        "AliyunRAMFullAccess",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:*","Resource":"*"}]}"#,
    ),
    (
        "AliyunRAMReadOnlyAccess",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ram:Get*","ram:List*"],"Resource":"*"}]}"#,
    ),
    (
        "AliyunSTSAssumeRoleAccess",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#,
    ),
];

static PARSED: LazyLock<Vec<(&str, Arc<Policy>)>> = LazyLock::new(|| {
    // A test holds that every document parses; one that did not would simply not exist (deny by default).
    DOCUMENTS.iter().filter_map(|(name, text)| Some((*name, Arc::new(Policy::parse(text).ok()?)))).collect()
});

/// Names and documents of all system policies.
pub fn all() -> &'static [(&'static str, &'static str)] {
    DOCUMENTS
}

/// A system policy by name.
pub fn policy(name: &str) -> Option<Arc<Policy>> {
    PARSED.iter().find(|(n, _)| *n == name).map(|(_, p)| Arc::clone(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_policy_parses() {
        for (name, text) in all() {
            assert!(Policy::parse(text).is_ok() && policy(name).is_some(), "{name}");
        }
        assert!(policy("NoSuchAccess").is_none());
    }
}
