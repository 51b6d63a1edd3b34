//! The answer, and why.

use serde::Serialize;

/// What limits or grants, in the order it is asked (rule X1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// No policy: the resource's account is the caller's own, and the caller is its owner.
    Root,
    /// Control policies of the accounts above.
    Control,
    /// The policy of the session.
    Session,
    /// Policies of the caller: own, of groups.
    Identity,
    /// The policy of the bucket or key.
    Resource,
    /// The trust policy of the role.
    Trust,
}

/// The statement that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deciding<'a> {
    /// The policy's name, as it was given to [`crate::PolicySet::compile`]; empty when no policy decided.
    pub policy: &'a str,
    /// The statement's number in it, from 1; 0 when no policy decided.
    pub statement: usize,
}

/// The statement that decided, to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecidingOwned {
    /// The policy's name.
    pub policy: String,
    /// The statement's number in it, from 1.
    pub statement: usize,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Allowed by this statement, and denied by none.
    Allow {
        /// Where it stands.
        phase: Phase,
        /// Which.
        by: Deciding<'a>,
    },
    /// Denied by this statement.
    ExplicitDeny {
        /// Where it stands.
        phase: Phase,
        /// Which.
        by: Deciding<'a>,
    },
    /// Nothing allows it.
    ImplicitDeny {
        /// Where an Allow is missing.
        phase: Phase,
    },
}

impl Deciding<'_> {
    /// To be kept.
    pub fn to_owned(&self) -> DecidingOwned {
        DecidingOwned { policy: self.policy.to_owned(), statement: self.statement }
    }
}

impl<'a> Verdict<'a> {
    /// Whether the answer is yes.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }

    /// Which phase decided.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Allow { phase, .. } | Self::ExplicitDeny { phase, .. } | Self::ImplicitDeny { phase } => {
                *phase
            }
        }
    }

    /// Which statement decided, if one did.
    pub fn by(&self) -> Option<Deciding<'a>> {
        match self {
            Self::Allow { by, .. } | Self::ExplicitDeny { by, .. } => Some(*by),
            Self::ImplicitDeny { .. } => None,
        }
    }

    pub(crate) fn root() -> Self {
        Self::Allow { phase: Phase::Root, by: Deciding { policy: "", statement: 0 } }
    }
}
