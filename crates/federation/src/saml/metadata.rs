//! What an identity provider says about itself (SAML 2.0 Metadata): its name, its signing keys, where to sign on.
//!
//! The metadata's own signature is not looked at: whoever configures it vouches for it. Keys of a `KeyDescriptor` for
//! encryption are not taken.

use roxmltree::Node;

use bailee_types::Timestamp;

use super::SamlError;
use super::xml::{self, DSIG, METADATA, at_most_one, children, is, one};
use crate::certificate::{CertificateError, public_key};
use crate::key::PublicKey;
use crate::oidc::discovery::is_safe_address;
use crate::show::shown;

const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
pub(super) const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
const KEYS_MAX: usize = 10;

/// One identity provider.
#[derive(Debug, Clone)]
pub struct IdpMetadata {
    /// Its name, the issuer of its assertions.
    pub entity_id: String,
    /// Where a browser goes to sign on, binding HTTP-Redirect.
    pub sso_redirect: Option<String>,
    /// The same, binding HTTP-POST.
    pub sso_post: Option<String>,
    /// Whether it wants signed requests, which we do not make.
    pub wants_signed_requests: bool,
    /// Until when the metadata may be used, where it says so; the caller loads it again before.
    pub valid_until: Option<Timestamp>,
    keys: Vec<PublicKey>,
}

impl IdpMetadata {
    /// Reads metadata of one identity provider (`EntityDescriptor`).
    ///
    /// # Errors
    /// When it is something else, names an address without TLS, or has no signing key that we use.
    pub fn parse(bytes: &[u8]) -> Result<Self, SamlError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let document = xml::parse(bytes)?;
        let root = document.root_element();
        if !is(&root, METADATA, "EntityDescriptor") {
            return Err(SamlError::NotMetadata);
        }
        let idp = at_most_one(root, METADATA, "IDPSSODescriptor")?.ok_or(SamlError::NotMetadata)?;
        let entity_id = root.attribute("entityID").filter(|id| !id.is_empty() && id.len() <= 1024);
        let valid_until = root.attribute("validUntil").map(Timestamp::parse_iso).transpose();
        let found = Self {
            entity_id: entity_id.ok_or(SamlError::Missing { what: "entityID" })?.to_owned(),
            sso_redirect: sign_on_address(idp, REDIRECT)?,
            sso_post: sign_on_address(idp, POST)?,
            wants_signed_requests: matches!(idp.attribute("WantAuthnRequestsSigned"), Some("true" | "1")),
            valid_until: valid_until.map_err(|_| SamlError::Form { what: "validUntil" })?,
            keys: signing_keys(idp)?,
        };
        if found.sso_redirect.is_none() && found.sso_post.is_none() {
            return Err(SamlError::Missing { what: "SingleSignOnService" });
        }
        Ok(found)
    }

    pub(super) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }
}

fn sign_on_address(idp: Node<'_, '_>, binding: &str) -> Result<Option<String>, SamlError> {
    let mut services = children(idp, METADATA, "SingleSignOnService");
    let Some(service) = services.find(|s| s.attribute("Binding") == Some(binding)) else { return Ok(None) };
    let address = service.attribute("Location").unwrap_or_default();
    if is_safe_address(address) {
        Ok(Some(address.to_owned()))
    } else {
        Err(SamlError::Address { found: shown(address) })
    }
}

fn signing_keys(idp: Node<'_, '_>) -> Result<Vec<PublicKey>, SamlError> {
    let mut keys = Vec::new();
    let mut reason = None;
    for descriptor in children(idp, METADATA, "KeyDescriptor") {
        if descriptor.attribute("use").is_some_and(|used| used != "signing") {
            continue;
        }
        let info = one(descriptor, DSIG, "KeyInfo")?;
        let certificates =
            children(info, DSIG, "X509Data").flat_map(|data| children(data, DSIG, "X509Certificate"));
        for certificate in certificates {
            match public_key(&xml::base64(certificate, "X509Certificate")?) {
                Ok(key) if !keys.contains(&key) => keys.push(key),
                Ok(_) => {}
                Err(error) => reason = Some(error),
            }
        }
    }
    if keys.len() > KEYS_MAX {
        return Err(SamlError::TooManyNodes);
    }
    match (keys.is_empty(), reason) {
        (false, _) => Ok(keys),
        (true, Some(reason)) => Err(SamlError::Certificate { reason }),
        (true, None) => Err(SamlError::Certificate { reason: CertificateError::NotX509 }),
    }
}
