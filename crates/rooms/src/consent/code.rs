//! Why an operator asks, as a code: the tenant sees it before it decides, and an auditor counts by it.

use bailee_types::GrantId;

use crate::Failure;

/// Why. There is none for "could not say".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// The tenant asked for help.
    #[default]
    CustomerInitiatedSupport,
    /// The provider keeps its service going.
    ProviderInitiatedService,
    /// The provider looks whether its rules are kept.
    ProviderInitiatedReview,
    /// An alert of the running system.
    ResponseToAlert,
    /// An authority or court demands it; the reference says which.
    LegalRequest,
}

impl Code {
    /// All, in the order of forms.
    pub const ALL: [Self; 5] = [
        Self::CustomerInitiatedSupport,
        Self::ProviderInitiatedService,
        Self::ProviderInitiatedReview,
        Self::ResponseToAlert,
        Self::LegalRequest,
    ];

    /// As records and forms have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::CustomerInitiatedSupport => "customer_initiated_support",
            Self::ProviderInitiatedService => "provider_initiated_service",
            Self::ProviderInitiatedReview => "provider_initiated_review",
            Self::ResponseToAlert => "response_to_alert",
            Self::LegalRequest => "legal_request",
        }
    }

    /// Reads [`Code::word`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.word() == word)
    }
}

/// Why a request is made, beside its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Because {
    /// The code.
    pub code: Code,
    /// The reference of a legal request, 3 to 200 characters; may say more of other ones.
    pub reference: String,
    /// The operator's request that it follows.
    pub renews: Option<GrantId>,
}

impl Because {
    pub(super) fn check(&self) -> Result<(), Failure> {
        let reference = self.reference.trim();
        let n = reference.chars().count();
        if n > 200 || !super::request::is_plain(reference) {
            return Err(Failure::invalid("reference", "must have at most 200 characters on one line"));
        }
        if self.code == Code::LegalRequest && n < 3 {
            return Err(Failure::invalid(
                "reference",
                "must name the order of a legal request, in 3 to 200 characters",
            ));
        }
        Ok(())
    }
}
