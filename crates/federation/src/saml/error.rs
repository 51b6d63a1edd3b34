//! Why a SAML document is refused: one variant for each reason.

use bailee_types::Timestamp;

use super::xml::XML_BYTES_MAX;
use crate::certificate::CertificateError;

/// Why a response or metadata is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamlError {
    /// Longer than [`XML_BYTES_MAX`].
    #[error("the document has more than {XML_BYTES_MAX} bytes")]
    TooLong,
    /// Not base64.
    #[error("the form value `SAMLResponse` is not base64")]
    Base64,
    /// Not UTF-8.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// A document type, with which entities and defaults come.
    #[error("the document has a document type (DTD); SAML has none")]
    DocumentType,
    /// A processing instruction.
    #[error("the document has a processing instruction")]
    ProcessingInstruction,
    /// Nested deeper than anything in SAML.
    #[error("the document is nested too deep")]
    TooDeep,
    /// More elements, texts or attributes than anything in SAML.
    #[error("the document has too many elements or attributes")]
    TooManyNodes,
    /// Not well-formed, or an entity that XML does not predefine.
    #[error("the document is not well-formed at line {row}, column {column}")]
    Xml {
        /// Line.
        row: u32,
        /// Column.
        column: u32,
    },
    /// Two elements with one id.
    #[error("two elements have the id `{id}`")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// An element that must be there once is there more often.
    #[error("`{element}` stands there more than once")]
    Twice {
        /// Which.
        element: &'static str,
    },
    /// An element or attribute that must be there is not.
    #[error("`{what}` is missing")]
    Missing {
        /// Which.
        what: &'static str,
    },
    /// A value that cannot be read.
    #[error("`{what}` has a value of the wrong form")]
    Form {
        /// Which.
        what: &'static str,
    },
    /// The root is no `samlp:Response`.
    #[error("the document is no SAML 2.0 response")]
    NotResponse,
    /// The identity provider did not sign the person on.
    #[error("the identity provider did not sign the person on: `{status}`")]
    Status {
        /// Its status code, the last part.
        status: String,
    },
    /// Encrypted parts, which we cannot read.
    #[error(
        "the response is encrypted; switch encryption of assertions off at the identity provider (TLS protects them)"
    )]
    Encrypted,
    /// Not exactly one assertion.
    #[error("the response has {count} assertions, not exactly one")]
    Assertions {
        /// How many.
        count: usize,
    },
    /// The assertion is not a child of the response.
    #[error("the assertion does not stand directly in the response")]
    Misplaced,
    /// Nothing is signed.
    #[error("neither the assertion nor the response is signed; switch signing on at the identity provider")]
    Unsigned,
    /// A signature where none belongs.
    #[error("a signature stands elsewhere than directly in the response or the assertion")]
    SignatureElsewhere,
    /// A signature of another form than SAML's.
    #[error("the signature has another form than SAML prescribes: {what}")]
    SignatureForm {
        /// What is wrong.
        what: &'static str,
    },
    /// The signature covers another element than the one it stands in.
    #[error("the signature covers another element than the one that it stands in")]
    ReferenceElsewhere,
    /// Another canonicalization than exclusive C14N without comments.
    #[error("the canonicalization `{algorithm}` is not accepted, only exclusive C14N without comments")]
    Canonicalization {
        /// Its identifier.
        algorithm: String,
    },
    /// SHA-1, which can be forged.
    #[error("the signature uses SHA-1; set SHA-256 at the identity provider")]
    Sha1,
    /// An algorithm that is not accepted.
    #[error(
        "the algorithm `{algorithm}` is not accepted; set RSA or ECDSA with SHA-256 at the identity provider"
    )]
    Algorithm {
        /// Its identifier.
        algorithm: String,
    },
    /// No key of the metadata made the signature.
    #[error(
        "no key of the identity provider's metadata made this signature; if it changed its key, load its metadata again"
    )]
    Signature,
    /// The element was changed after it was signed.
    #[error("what was signed was changed (its digest is another)")]
    Digest,
    /// Another version than 2.0.
    #[error("the assertion is not of SAML 2.0")]
    Version,
    /// Another identity provider.
    #[error("the assertion is from `{found}`, not from the configured identity provider")]
    Issuer {
        /// Who it is.
        found: String,
    },
    /// Not for us.
    #[error("the assertion is not for this audience")]
    Audience,
    /// To be handed in elsewhere.
    #[error("the assertion is to be handed in at `{found}`, not here")]
    Recipient {
        /// Where.
        found: String,
    },
    /// The answer to another request, or an answer nobody asked for.
    #[error("the assertion does not answer this sign-on; begin again")]
    InResponseTo,
    /// A condition that we do not know and so cannot keep.
    #[error("the assertion has the condition `{condition}`, which is not known")]
    Condition {
        /// Its name.
        condition: String,
    },
    /// Past its end.
    #[error("the assertion ended at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Not valid yet.
    #[error("the assertion begins at {at}: check the clocks")]
    NotYet {
        /// When.
        at: Timestamp,
    },
    /// The identity provider wants what we do not do.
    #[error(
        "the identity provider wants signed requests; switch that off there, the answer is what is signed"
    )]
    SignedRequests,
    /// The metadata may not be used any more; its keys may have been withdrawn.
    #[error("the identity provider's metadata ended at {at}; load it again")]
    MetadataExpired {
        /// `validUntil`.
        at: Timestamp,
    },
    /// Metadata of another kind.
    #[error("the document is no metadata of one SAML 2.0 identity provider")]
    NotMetadata,
    /// An address that a browser is not sent to.
    #[error("`{found}` is no https address (http is for loopback hosts only)")]
    Address {
        /// What it says.
        found: String,
    },
    /// No certificate of the metadata can be used.
    #[error("the metadata has no signing certificate that can be used: {reason}")]
    Certificate {
        /// What is wrong with the last one.
        reason: CertificateError,
    },
}
