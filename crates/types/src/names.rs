//! Names that people choose. A name that exists as a value is a name that is allowed.

use serde::{Deserialize, Serialize};

/// Why a name or id was refused: which kind, and the text (cut to 80 characters).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind}")]
pub struct NameError {
    kind: &'static str,
    text: String,
}

impl NameError {
    pub(crate) fn new(kind: &'static str, text: &str) -> Self {
        Self { kind, text: text.chars().take(80).filter(|c| !c.is_control()).collect() }
    }

    /// What was expected, e.g. `bucket name (3 to 63 of a-z, 0-9, hyphen)`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// When the text breaks the rule named in the error.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(NameError::new($what, text)) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

fn hyphenated(text: &str, len: std::ops::RangeInclusive<usize>) -> bool {
    len.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

name!(
    /// A bucket, unique over all tenants (OSS and S3 share this rule).
    BucketName, "bucket name (3 to 63 of a-z, 0-9, hyphen; no hyphen at the ends)", |t| hyphenated(t, 3..=63)
);
name!(
    /// A tenant's short name for people and the command line, e.g. `acme`.
    TenantAlias, "tenant alias (2 to 63 of a-z, 0-9, hyphen)", |t| hyphenated(t, 2..=63)
);
name!(
    /// A region id, e.g. `cn-hangzhou`.
    RegionId, "region id (`cn-hangzhou`)", |t| hyphenated(t, 2..=32)
);
name!(
    /// A RAM user's name (contract §5: 64 of `[A-Za-z0-9._-]`).
    UserName, "user name (1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`)",
    |t| (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
);
name!(
    /// A RAM group's name (contract §5).
    GroupName, "group name (1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`)",
    |t| (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
);
name!(
    /// A RAM role's name (contract §5). Two names that differ by case alone are one.
    RoleName, "role name (1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`)",
    |t| (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
);
name!(
    /// A policy's name (contract §5).
    PolicyName, "policy name (1 to 128 of A-Z, a-z, 0-9, hyphen)",
    |t| (1..=128).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
);
name!(
    /// An identity provider's name.
    ProviderName, "identity provider name (1 to 128 of A-Z, a-z, 0-9, `.`, `_`, `-`)",
    |t| (1..=128).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
);
name!(
    /// A system of a tenant that brokers reach: a host, a database, a cluster, a service.
    TargetName, "target name (2 to 63 of a-z, 0-9, hyphen; no hyphen at the ends)", |t| hyphenated(t, 2..=63)
);
name!(
    /// A role session's name (contract §5).
    SessionName, "role session name (2 to 64 of A-Z, a-z, 0-9, `.`, `@`, `_`, `-`)",
    |t| (2..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b".@_-".contains(&b))
);
name!(
    /// An object's key: 1 to 1,023 bytes of UTF-8, not starting with `/` or `\` (OSS), without control
    /// characters, and without `.` or `..` as a path part, so that no tool that maps keys to files is led astray.
    ObjectKey, "object key (1 to 1,023 bytes, no leading slash, no control characters, no `.` or `..` part)",
    |t| {
        (1..=1023).contains(&t.len())
            && !t.starts_with(['/', '\\'])
            && !t.chars().any(char::is_control)
            && !t.split(['/', '\\']).any(|part| part == "." || part == "..")
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_that_climbs_out_of_its_folder_is_refused() {
        for bad in
            ["", "/etc/passwd", "../x", "a/../b", "a/..", "a\\..\\b", "./a", "a\nb", "\\x", &"k".repeat(1024)]
        {
            assert!(ObjectKey::parse(bad).is_err(), "{bad:?}");
        }
        for good in
            ["a", "a..b/c", "…/x", "invoices/2026-11/1.pdf", "a//b", "dir/", "中文 名.txt", &"k".repeat(1023)]
        {
            assert!(ObjectKey::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn an_error_names_the_rule_and_hides_control_characters() {
        let text = BucketName::parse("Bad\u{1b}[31m").unwrap_err().to_string();
        assert_eq!(
            text,
            "`Bad[31m` is not a valid bucket name (3 to 63 of a-z, 0-9, hyphen; no hyphen at the ends)"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,80}") {
            let _ = (BucketName::parse(&text), ObjectKey::parse(&text), UserName::parse(&text));
        }
    }
}
