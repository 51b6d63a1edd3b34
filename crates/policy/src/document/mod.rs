//! Documents: `{"Version": "1", "Statement": […]}` read whole or refused (rule P1).

mod condition;
mod principal;
mod statement;

use std::sync::Arc;

use crate::error::PolicyError;
use crate::json;
pub(crate) use statement::Statement;

/// Characters of an identity policy, at most (contract §5).
pub const DOCUMENT_CHARS_MAX: usize = 6_144;
/// Characters of a session policy, at most (STS `Policy`).
pub const SESSION_CHARS_MAX: usize = 2_048;
/// Characters of a trust policy, at most. RAM documents no figure; ours is that of session policies.
pub const TRUST_CHARS_MAX: usize = 2_048;
/// Characters of a control policy, at most. As identity policies.
pub const CONTROL_CHARS_MAX: usize = 6_144;
/// Bytes of a bucket policy, at most (OSS).
pub const BUCKET_BYTES_MAX: usize = 16 * 1_024;
/// Bytes of a key policy, at most (KMS).
pub const KEY_BYTES_MAX: usize = 32_768;

/// What a policy is attached to: decides its size, and whether it names principals and resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A user, group or role: no principals.
    Identity,
    /// One session of a role: no principals.
    Session,
    /// A role, saying who may assume it: principals, no resources.
    Trust,
    /// A bucket: principals and resources.
    Bucket,
    /// A key: principals and resources.
    Key,
    /// Accounts below a folder: no principals.
    Control,
}

impl Kind {
    /// As it stands in texts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Session => "session",
            Self::Trust => "trust",
            Self::Bucket => "bucket",
            Self::Key => "key",
            Self::Control => "control",
        }
    }

    pub(crate) fn has_principals(self) -> bool {
        matches!(self, Self::Trust | Self::Bucket | Self::Key)
    }

    fn check_size(self, document: &str) -> Result<(), PolicyError> {
        let (size, max, unit) = match self {
            Self::Identity => (document.chars().count(), DOCUMENT_CHARS_MAX, "characters"),
            Self::Session => (document.chars().count(), SESSION_CHARS_MAX, "characters"),
            Self::Trust => (document.chars().count(), TRUST_CHARS_MAX, "characters"),
            Self::Control => (document.chars().count(), CONTROL_CHARS_MAX, "characters"),
            Self::Bucket => (document.len(), BUCKET_BYTES_MAX, "bytes"),
            Self::Key => (document.len(), KEY_BYTES_MAX, "bytes"),
        };
        if size > max {
            let text = format!("the document has {size} {unit}, at most {max} are allowed");
            return Err(PolicyError::whole(text));
        }
        Ok(())
    }
}

/// What a statement does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub enum Effect {
    /// The act is allowed, unless something denies it.
    Allow,
    /// The act is denied, whatever allows it.
    Deny,
}

/// A policy that was understood whole.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) kind: Kind,
    pub(crate) statements: Vec<Arc<Statement>>,
    source: Box<str>,
}

impl Policy {
    /// Reads an identity policy.
    ///
    /// # Errors
    /// When anything in it is not understood; the error names the place and what was expected.
    ///
    /// ```
    /// let error = bailee_policy::Policy::parse(
    ///     "{\"Version\": \"1\",\n \"Statement\": [{\"Efect\": \"Allow\"}]}",
    /// ).unwrap_err();
    /// assert_eq!(error.to_string(), "line 2, column 17: `Efect` is not a member of a statement; did you mean `Effect`?");
    /// ```
    pub fn parse(document: &str) -> Result<Self, PolicyError> {
        Self::parse_as(Kind::Identity, document)
    }

    /// Reads a policy of a kind.
    ///
    /// # Errors
    /// When anything in it is not understood; the error names the place and what was expected.
    ///
    /// ```
    /// use bailee_policy::{Kind, Policy};
    /// let trust = r#"{"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
    ///     "Principal": {"Service": ["ecs.aliyuncs.com"]}}]}"#;
    /// assert!(Policy::parse_as(Kind::Trust, trust).is_ok());
    /// assert!(Policy::parse_as(Kind::Identity, trust).is_err());
    /// ```
    pub fn parse_as(kind: Kind, document: &str) -> Result<Self, PolicyError> {
        kind.check_size(document)?;
        let statements = json::read(document)
            .and_then(|root| statement::document(kind, &root))
            .map_err(|f| PolicyError::of(f, document))?;
        Ok(Self { kind, statements, source: document.into() })
    }

    /// What it was read as.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The document as it was read.
    pub fn document(&self) -> &str {
        &self.source
    }

    /// How many statements it has.
    pub fn statements(&self) -> usize {
        self.statements.len()
    }

    /// The nth statement (from 1) as it stands in the document; empty when there is none.
    ///
    /// ```
    /// let document = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#;
    /// let policy = bailee_policy::Policy::parse(document).unwrap();
    /// assert_eq!(policy.statement_text(1), r#"{"Effect":"Allow","Action":"oss:*","Resource":"*"}"#);
    /// assert_eq!(policy.statement_text(2), "");
    /// ```
    pub fn statement_text(&self, number: usize) -> &str {
        let statement = number.checked_sub(1).and_then(|at| self.statements.get(at));
        statement.and_then(|s| self.source.get(s.span.clone())).unwrap_or_default()
    }

    pub(crate) fn slice(&self, span: &json::Span) -> &str {
        self.source.get(span.clone()).unwrap_or_default()
    }
}
