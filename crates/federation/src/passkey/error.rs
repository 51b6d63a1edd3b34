//! Why a passkey's answer is refused: one variant for each reason.

use super::{CREDENTIALS_MAX, RESPONSE_BYTES_MAX};

/// Why an answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// The configuration names an origin that browsers would not accept for the id.
    #[error(
        "the origin `{origin}` is not https on `{id}` or a host below it (http is for loopback hosts only)"
    )]
    Origins {
        /// Which.
        origin: String,
        /// The relying party id.
        id: String,
    },
    /// A user handle has 1 to 64 bytes and is no personal data.
    #[error("a user handle must have 1 to 64 bytes")]
    UserHandle,
    /// More than [`CREDENTIALS_MAX`].
    #[error("a user can have at most {CREDENTIALS_MAX} passkeys")]
    TooMany,
    /// The state is not ours or of the other ceremony.
    #[error("the state of this ceremony cannot be read; begin again")]
    State,
    /// The state ended.
    #[error("the ceremony took too long; begin again")]
    Expired,
    /// Longer than [`RESPONSE_BYTES_MAX`].
    #[error("the browser's answer has more than {RESPONSE_BYTES_MAX} bytes")]
    TooLong,
    /// The answer lacks a part or cannot be read.
    #[error("`{what}` of the browser's answer is missing or cannot be read")]
    Form {
        /// Which part.
        what: &'static str,
    },
    /// Made for the other ceremony.
    #[error("the answer is of the kind `{found}`")]
    Kind {
        /// `type` of the client data.
        found: String,
    },
    /// Not the challenge of this ceremony: replayed, or of another session.
    #[error("the answer is to another challenge; begin again")]
    Challenge,
    /// Made on another page.
    #[error("the answer was made on `{found}`, which is none of the configured origins")]
    Origin {
        /// Where.
        found: String,
    },
    /// Made in a frame of another site.
    #[error("the answer was made in a frame of another site")]
    CrossOrigin,
    /// Made for another relying party.
    #[error("the answer is for another relying party id")]
    RelyingPartyId,
    /// Nobody touched the authenticator.
    #[error("nobody was present at the authenticator")]
    NotPresent,
    /// A PIN or finger is needed and was not asked for.
    #[error("the authenticator did not verify the person; use one with PIN, finger or face")]
    NotVerified,
    /// The key is of another kind than those that were offered.
    #[error("the authenticator's key is none of ES256, EdDSA and RS256")]
    Key,
    /// The credential is one of those that were excluded.
    #[error("this passkey is registered already")]
    AlreadyRegistered,
    /// Another credential than asked for.
    #[error("the answer is of another passkey than the ones that were asked for")]
    Credential,
    /// Another user than the credential's.
    #[error("the passkey answers for another user")]
    User,
    /// A single-device passkey says that it is copied, or the other way round.
    #[error("the passkey's backup flags contradict what was registered")]
    Backup,
    /// The signature is not the key's.
    #[error("the passkey's signature does not verify")]
    Signature,
}
