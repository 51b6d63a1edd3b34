//! What we say to an identity provider: the request to sign somebody on, and metadata about us.
//!
//! Requests are not signed: nothing in them is secret, and the answer is bound to the request by its id.

use bailee_types::{Timestamp, random_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::metadata::POST;
use super::xml::{METADATA, SAML, SAMLP};
use super::{IdpMetadata, SamlError};

/// SAML 2.0 bindings §3.4.3.
const RELAY_STATE_BYTES_MAX: usize = 80;

/// A sign-on at an identity provider, binding HTTP-Redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOnRequest {
    /// Where to send the browser.
    pub url: String,
    /// To be kept on the server, bound to the browser's session, and used once as
    /// [`Expect::in_response_to`](super::Expect::in_response_to).
    pub id: String,
}

impl SignOnRequest {
    /// Begins a sign-on. `audience` is our entity id, `recipient` where the answer is to be handed in; `relay_state`
    /// comes back with it, unchecked: an opaque word, never an address to go to.
    ///
    /// # Errors
    /// When the identity provider has no address for this binding, wants signed requests, or `relay_state` is longer
    /// than 80 bytes.
    pub fn new(
        idp: &IdpMetadata,
        audience: &str,
        recipient: &str,
        relay_state: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, SamlError> {
        let address =
            idp.sso_redirect.as_deref().ok_or(SamlError::Missing { what: "SingleSignOnService" })?;
        if idp.wants_signed_requests {
            return Err(SamlError::SignedRequests);
        }
        if relay_state.is_some_and(|state| state.len() > RELAY_STATE_BYTES_MAX) {
            return Err(SamlError::Form { what: "RelayState" });
        }
        // An id is an NCName: it may not begin with a digit.
        let hex: String = random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("_{hex}");
        let xml = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{}\" Destination=\"{}\" AssertionConsumerServiceURL=\"{}\" ProtocolBinding=\"{POST}\">\
             <saml:Issuer>{}</saml:Issuer><samlp:NameIDPolicy AllowCreate=\"true\"/></samlp:AuthnRequest>",
            now.iso(),
            escaped(address),
            escaped(recipient),
            escaped(audience),
        );
        let packed = deflated(xml.as_bytes()).ok_or(SamlError::TooLong)?;
        let joint = if address.contains('?') { '&' } else { '?' };
        let mut url = format!("{address}{joint}SAMLRequest={}", in_query(&STANDARD.encode(packed)));
        if let Some(state) = relay_state {
            url.push_str("&RelayState=");
            url.push_str(&in_query(state));
        }
        Ok(Self { url, id })
    }
}

/// Metadata about us, for the operator of the identity provider.
pub fn service_metadata(audience: &str, recipient: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<md:EntityDescriptor xmlns:md=\"{METADATA}\" entityID=\"{}\">\
         <md:SPSSODescriptor AuthnRequestsSigned=\"false\" WantAssertionsSigned=\"true\" \
         protocolSupportEnumeration=\"{SAMLP}\"><md:AssertionConsumerService Binding=\"{POST}\" Location=\"{}\" \
         index=\"0\" isDefault=\"true\"/></md:SPSSODescriptor></md:EntityDescriptor>\n",
        escaped(audience),
        escaped(recipient),
    )
}

/// The binding wants DEFLATE (RFC 1951). One stored block is that too, and a request is small. None over 64 KiB.
fn deflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let len = u16::try_from(bytes.len()).ok()?;
    // The last block, not compressed; its length, and the same inverted.
    Some([&[1], &len.to_le_bytes()[..], &(!len).to_le_bytes()[..], bytes].concat())
}

fn in_query(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
