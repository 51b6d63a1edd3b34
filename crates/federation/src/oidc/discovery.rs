//! What an issuer says about itself (OpenID Connect Discovery 1.0 §4).
//!
//! INVARIANT: the document's issuer is, byte for byte, the one that was asked for; each address is https. Only an
//! issuer that is itself on http and a loopback host may name such addresses: an issuer outside cannot make us ask our
//! own machine.

use serde_json::{Map, Value};

use crate::json::{self, JsonError, text};
use crate::show::shown;

/// The longest document, bytes.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// The longest address, bytes.
const ADDRESS_BYTES_MAX: usize = 2048;

/// The parts of a discovery document that sign-on needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The issuer, as expected.
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: String,
    /// Where the code is redeemed.
    pub token_endpoint: String,
    /// Where the keys are.
    pub jwks_uri: String,
    /// Where the browser goes to sign off at the issuer, if it can.
    pub end_session_endpoint: Option<String>,
    /// Whether the secret may go into the form (`client_secret_post`) only; the standard way is Basic.
    pub secret_in_form_only: bool,
    /// Whether the issuer puts `iss` into its answers (RFC 9207).
    pub answers_with_issuer: bool,
}

/// Why a discovery document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Longer than [`DOCUMENT_BYTES_MAX`].
    #[error("the discovery document has more than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
    /// Not an object in strict JSON.
    #[error("the discovery document {0}")]
    Json(#[from] JsonError),
    /// Another issuer than the one that was asked.
    #[error("the discovery document is of `{}`, not of the issuer that was asked", shown(found))]
    Issuer {
        /// What it says.
        found: String,
    },
    /// A member is missing or no text.
    #[error("the discovery document has no text `{name}`")]
    Missing {
        /// Which.
        name: &'static str,
    },
    /// An address that we do not go to.
    #[error("`{name}` is no https address (http is for loopback hosts only): `{}`", shown(found))]
    Address {
        /// Which member, or `issuer`.
        name: &'static str,
        /// What it says.
        found: String,
    },
    /// The issuer does not offer the authorization-code flow.
    #[error("the issuer does not offer the authorization-code flow")]
    NoCodeFlow,
}

/// Where the document of `issuer` is.
///
/// # Errors
/// When the issuer is no https address without query and fragment.
///
/// ```
/// let address = bailee_federation::oidc::discovery::address("https://id.example/tenant/").unwrap();
/// assert_eq!(address, "https://id.example/tenant/.well-known/openid-configuration");
/// ```
pub fn address(issuer: &str) -> Result<String, DiscoveryError> {
    if issuer.contains('?') {
        return Err(DiscoveryError::Address { name: "issuer", found: issuer.to_owned() });
    }
    checked("issuer", issuer)?;
    Ok(format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
}

impl Document {
    /// Reads the document that was fetched from [`address`] of `expected_issuer`.
    ///
    /// # Errors
    /// When it is of another issuer, lacks a part, or names an address that is not https.
    pub fn parse(bytes: &[u8], expected_issuer: &str) -> Result<Self, DiscoveryError> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(DiscoveryError::TooLong);
        }
        let document = json::object(bytes)?;
        let issuer = text(&document, "issuer").ok_or(DiscoveryError::Missing { name: "issuer" })?;
        if issuer != expected_issuer {
            return Err(DiscoveryError::Issuer { found: issuer.to_owned() });
        }
        checked("issuer", issuer)?;
        if !allows(&document, "response_types_supported", "code") {
            return Err(DiscoveryError::NoCodeFlow);
        }
        let end_session_endpoint = match document.get("end_session_endpoint") {
            None | Some(Value::Null) => None,
            Some(_) => Some(endpoint(&document, "end_session_endpoint")?),
        };
        let methods = "token_endpoint_auth_methods_supported";
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint(&document, "authorization_endpoint")?,
            token_endpoint: endpoint(&document, "token_endpoint")?,
            jwks_uri: endpoint(&document, "jwks_uri")?,
            end_session_endpoint,
            // Without the list, Basic is what the standard says.
            secret_in_form_only: !allows(&document, methods, "client_secret_basic")
                && allows(&document, methods, "client_secret_post"),
            answers_with_issuer: document.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
        })
    }
}

/// Whether a list names `value`; a list that is missing allows all.
fn allows(document: &Map<String, Value>, list: &str, value: &str) -> bool {
    let Some(list) = document.get(list).and_then(Value::as_array) else { return true };
    list.iter().any(|entry| entry.as_str() == Some(value))
}

fn endpoint(document: &Map<String, Value>, name: &'static str) -> Result<String, DiscoveryError> {
    let found = text(document, name).ok_or(DiscoveryError::Missing { name })?;
    checked(name, found)?;
    let is_https =
        |address: &str| address.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
    if is_https(text(document, "issuer").unwrap_or_default()) && !is_https(found) {
        return Err(DiscoveryError::Address { name, found: found.to_owned() });
    }
    Ok(found.to_owned())
}

fn checked(name: &'static str, found: &str) -> Result<(), DiscoveryError> {
    let wrong = || DiscoveryError::Address { name, found: found.to_owned() };
    if is_safe_address(found) { Ok(()) } else { Err(wrong()) }
}

/// https, or http on a loopback host; without user, fragment, spaces or control characters.
pub(crate) fn is_safe_address(text: &str) -> bool {
    let plain = text.len() <= ADDRESS_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
    if !plain || text.contains(['#', '\\']) {
        return false;
    }
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return false;
    }
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(host),
        _ => false,
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example";

    fn document(change: &[(&str, Value)]) -> Vec<u8> {
        let mut all = serde_json::json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token",
            "jwks_uri": "https://keys.example/jwks",
            "response_types_supported": ["code", "id_token"],
        });
        for (name, value) in change {
            all[*name] = value.clone();
        }
        serde_json::to_vec(&all).unwrap()
    }

    #[test]
    fn a_document_is_read() {
        let found = Document::parse(&document(&[]), ISSUER).unwrap();
        assert_eq!(found.jwks_uri, "https://keys.example/jwks");
        assert!(!found.secret_in_form_only && !found.answers_with_issuer);
        let post = ("token_endpoint_auth_methods_supported", serde_json::json!(["client_secret_post"]));
        assert!(Document::parse(&document(&[post]), ISSUER).unwrap().secret_in_form_only);
    }

    #[test]
    fn another_issuer_is_refused_even_by_a_slash() {
        for other in ["https://id.example/", "https://ID.example", "https://evil.example"] {
            let found = Document::parse(&document(&[("issuer", other.into())]), ISSUER);
            assert_eq!(found, Err(DiscoveryError::Issuer { found: other.into() }));
        }
    }

    #[test]
    fn a_missing_part_or_an_open_address_is_refused() {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert_eq!(
                Document::parse(&document(&[(name, Value::Null)]), ISSUER),
                Err(DiscoveryError::Missing { name })
            );
            for open in [
                "http://id.example/x",
                "http://localhost/x",
                "http://127.0.0.1:80/x",
                "ftp://id.example",
                "//id.example/x",
                "https://",
                "javascript:alert(1)",
            ] {
                assert_eq!(
                    Document::parse(&document(&[(name, open.into())]), ISSUER),
                    Err(DiscoveryError::Address { name, found: open.into() })
                );
            }
        }
        let none = ("response_types_supported", serde_json::json!(["id_token"]));
        assert_eq!(Document::parse(&document(&[none]), ISSUER), Err(DiscoveryError::NoCodeFlow));
        assert_eq!(
            Document::parse(&vec![b' '; DOCUMENT_BYTES_MAX + 1], ISSUER),
            Err(DiscoveryError::TooLong)
        );
    }

    #[test]
    fn an_issuer_on_this_machine_may_name_addresses_on_it() {
        let local = String::from_utf8(document(&[])).unwrap().replace("https://", "http://localhost:8080/");
        assert_eq!(
            Document::parse(local.as_bytes(), "http://localhost:8080/id.example").unwrap().jwks_uri,
            "http://localhost:8080/keys.example/jwks"
        );
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for good in
            ["http://localhost:8080/a", "http://127.0.0.1/a", "http://[::1]:3/a", "https://a.example/"]
        {
            assert!(is_safe_address(good), "{good}");
        }
        for bad in [
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "https://user@id.example/",
            "https://id.example/#x",
            "https://id.example/ x",
            "https://id.example\\@evil.example/",
            "http://128.0.0.1/",
            "https:///x",
            "id.example",
        ] {
            assert!(!is_safe_address(bad), "{bad}");
        }
        assert!(address("https://id.example/?a").is_err());
        assert!(address("http://id.example").is_err());
    }
}
