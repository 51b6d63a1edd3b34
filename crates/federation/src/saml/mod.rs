//! SAML 2.0 as a service provider: responses of the Web Browser SSO profile, and metadata of identity providers.
//!
//! The flaw of most SAML libraries is that the document which was verified is not the one that is consumed. Here:
//! INVARIANT: what an assertion says is read from the canonical bytes whose digest the signature covers, and from
//! nothing else. The received document can only make us say no.
//! INVARIANT: a signature counts only for the element that it stands in (response or assertion), by a key of the
//! metadata; `KeyInfo` is never read.
//! Refused: more or fewer than one assertion, encrypted parts, signatures elsewhere, SHA-1, other canonicalizations
//! and transforms, document types, processing instructions, two elements with one id.
//!
//! The caller remembers: which request he sent ([`SignOnRequest::id`]), and the id of each accepted assertion until its end,
//! so that it works once.

mod assertion;
mod c14n;
mod error;
mod metadata;
mod request;
mod signature;
mod xml;

use bailee_types::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

pub use self::assertion::Assertion;
pub use self::error::SamlError;
pub use self::metadata::IdpMetadata;
pub use self::request::{SignOnRequest, service_metadata};
pub use self::xml::XML_BYTES_MAX;
use self::xml::{DSIG, SAML, SAMLP, children, is, one};
pub use crate::certificate::CertificateError;
use crate::show::shown;

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// What a response must say to be accepted.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'e> {
    /// Our entity id.
    pub audience: &'e str,
    /// The address at which the response was handed in (our assertion consumer service).
    pub recipient: &'e str,
    /// The present instant.
    pub now: Timestamp,
    /// By how much the identity provider's clock may differ, milliseconds.
    pub leeway_ms: i64,
    /// The id of the request that we sent. None: the identity provider began, and the assertion must not answer one.
    pub in_response_to: Option<&'e str>,
}

/// The XML in the form value `SAMLResponse` (binding HTTP-POST).
///
/// # Errors
/// When it is too long or not base64.
pub fn decode_response(form_value: &str) -> Result<Vec<u8>, SamlError> {
    if form_value.len() > XML_BYTES_MAX * 2 {
        return Err(SamlError::TooLong);
    }
    let plain: String = form_value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(plain).map_err(|_| SamlError::Base64)
}

/// Verifies a response and reads its assertion.
///
/// # Errors
/// One variant for each reason.
pub fn verify_response(xml: &[u8], idp: &IdpMetadata, expect: &Expect<'_>) -> Result<Assertion, SamlError> {
    if let Some(at) = idp.valid_until.filter(|at| *at <= expect.now) {
        return Err(SamlError::MetadataExpired { at });
    }
    let document = xml::parse(xml)?;
    let response = document.root_element();
    check_wrapper(response, expect)?;
    let assertion = only_assertion(&document)?;
    let mut of_response = None;
    let mut of_assertion = None;
    for signature in document.descendants().filter(|n| is(n, DSIG, "Signature")) {
        let (parent, place) = match signature.parent() {
            Some(parent) if parent == response => (response, &mut of_response),
            Some(parent) if parent == assertion => (assertion, &mut of_assertion),
            _ => return Err(SamlError::SignatureElsewhere),
        };
        if place.is_some() {
            return Err(SamlError::Twice { element: "Signature" });
        }
        *place = Some(signature::verify(parent, signature, idp.keys())?);
    }
    // The inner signature says most about the assertion itself.
    let digested = of_assertion.or(of_response).ok_or(SamlError::Unsigned)?;
    assertion::read(&digested, &idp.entity_id, expect)
}

/// What is around the assertion. It need not be signed, so it can only lead to a no.
fn check_wrapper(response: Node<'_, '_>, expect: &Expect<'_>) -> Result<(), SamlError> {
    if !is(&response, SAMLP, "Response") {
        return Err(SamlError::NotResponse);
    }
    if response.attribute("Version") != Some("2.0") {
        return Err(SamlError::Version);
    }
    let status = one(one(response, SAMLP, "Status")?, SAMLP, "StatusCode")?;
    let code = status.attribute("Value").unwrap_or_default();
    if code != SUCCESS {
        // The inner code says more than `Responder`.
        let inner = children(status, SAMLP, "StatusCode").next().and_then(|s| s.attribute("Value"));
        let status = inner.unwrap_or(code);
        return Err(SamlError::Status { status: shown(status.rsplit(':').next().unwrap_or_default()) });
    }
    if let Some(found) = response.attribute("Destination").filter(|d| *d != expect.recipient) {
        return Err(SamlError::Recipient { found: shown(found) });
    }
    match response.attribute("InResponseTo") {
        found if found == expect.in_response_to => Ok(()),
        _ => Err(SamlError::InResponseTo),
    }
}

/// The one assertion, which is a child of the root.
fn only_assertion<'d, 'i>(document: &'d Document<'i>) -> Result<Node<'d, 'i>, SamlError> {
    const ENCRYPTED: [&str; 3] = ["EncryptedAssertion", "EncryptedID", "EncryptedAttribute"];
    if document.descendants().any(|n| ENCRYPTED.iter().any(|name| is(&n, SAML, name))) {
        return Err(SamlError::Encrypted);
    }
    let all: Vec<_> = document.descendants().filter(|n| is(n, SAML, "Assertion")).collect();
    match all.as_slice() {
        [one] if one.parent() == Some(document.root_element()) => Ok(*one),
        [_] => Err(SamlError::Misplaced),
        many => Err(SamlError::Assertions { count: many.len() }),
    }
}
