//! The authorization-code flow with PKCE (RFC 6749 §4.1, RFC 7636, RFC 9207), without HTTP.
//!
//! INVARIANT: `state`, `nonce` and the PKCE verifier are 256 random bits each, fresh for each sign-on.
//! INVARIANT: codes, secrets and tokens have no `Debug` that prints them.

use bailee_types::{SecretText, random_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::discovery::{Document, is_safe_address};
use crate::json::{self, JsonError, text};
use crate::jwt::TOKEN_BYTES_MAX;
use crate::show::shown;

/// The longest token response, bytes.
const RESPONSE_BYTES_MAX: usize = 128 * 1024;

/// RFC 3986 "unreserved" stays as it is; it is also what forms and Basic need.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// We at this issuer.
#[derive(Debug, Clone)]
pub struct Client {
    /// Our name there.
    pub client_id: String,
    /// Our secret there; None for a public client, whom PKCE alone protects.
    pub client_secret: Option<SecretText>,
    /// Where the browser comes back to, exactly as registered there.
    pub redirect_uri: String,
}

/// Where to send the browser, and what to keep.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// The address for the browser.
    pub url: String,
    /// To be kept on the server until the browser returns, bound to its session, used once, some minutes at most.
    pub pending: Pending,
}

/// A sign-on that waits for its answer.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Comes back with the browser; protects from foreign answers.
    pub state: SecretText,
    /// Comes back in the id token; protects from replayed tokens.
    pub nonce: SecretText,
    /// Redeems the code; never leaves the server before.
    pub verifier: SecretText,
}

/// Why an answer to a sign-on is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignOnError {
    /// Our own address is none that a code may travel to.
    #[error("the redirect address is no https address (http is for loopback hosts only)")]
    RedirectAddress,
    /// A further parameter has the name of one that is ours to set.
    #[error("the parameter `{name}` is set by the sign-on itself")]
    Parameter {
        /// Which.
        name: String,
    },
    /// Not the state of this sign-on.
    #[error("the answer does not belong to this sign-on: its `state` is another; begin again")]
    State,
    /// Another issuer answers (mix-up, RFC 9207).
    #[error("another issuer answered than the one that was asked")]
    Issuer,
    /// The issuer always says who it is, and here it does not.
    #[error("the answer does not say who gives it (`iss`), though the issuer promises to")]
    NoIssuer,
}

impl AuthorizationRequest {
    /// Begins a sign-on. `scopes` should hold `openid`; it is added when missing. `extra` are further parameters
    /// such as `("prompt", "login")`, `("max_age", "300")` or `("login_hint", …)`.
    ///
    /// # Errors
    /// When the redirect address is neither https nor on a loopback host, or `extra` names a parameter of the flow.
    pub fn new(
        issuer: &Document,
        client: &Client,
        scopes: &[&str],
        extra: &[(&str, &str)],
    ) -> Result<Self, SignOnError> {
        if !is_safe_address(&client.redirect_uri) {
            return Err(SignOnError::RedirectAddress);
        }
        let pending = Pending { state: random(), nonce: random(), verifier: random() };
        let challenge =
            URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, pending.verifier.expose().as_bytes()));
        let missing = if scopes.contains(&"openid") { None } else { Some("openid") };
        let scope = missing.into_iter().chain(scopes.iter().copied()).collect::<Vec<_>>().join(" ");
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &client.client_id),
            ("redirect_uri", &client.redirect_uri),
            ("scope", &scope),
            ("state", pending.state.expose()),
            ("nonce", pending.nonce.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if let Some((name, _)) =
            parameters.iter().find(|(name, _)| extra.iter().any(|(more, _)| more == name))
        {
            return Err(SignOnError::Parameter { name: (*name).to_owned() });
        }
        parameters.extend_from_slice(extra);
        let endpoint = &issuer.authorization_endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Self { url: format!("{endpoint}{joint}{}", form(&parameters)), pending })
    }
}

impl Pending {
    /// Checks what came back beside the code: `state`, and `iss` where the issuer sends it.
    ///
    /// # Errors
    /// When the answer is of another sign-on or another issuer.
    pub fn accept(&self, issuer: &Document, state: &str, iss: Option<&str>) -> Result<(), SignOnError> {
        if !bool::from(self.state.expose().as_bytes().ct_eq(state.as_bytes())) {
            return Err(SignOnError::State);
        }
        match iss {
            Some(iss) if iss != issuer.issuer => Err(SignOnError::Issuer),
            None if issuer.answers_with_issuer => Err(SignOnError::NoIssuer),
            _ => Ok(()),
        }
    }
}

/// The request that redeems a code: `POST`, `Content-Type: application/x-www-form-urlencoded`.
#[derive(Debug)]
pub struct TokenRequest {
    /// Where to.
    pub address: String,
    /// The body.
    pub form: SecretText,
    /// `Authorization`, where the secret goes there.
    pub authorization: Option<SecretText>,
}

impl TokenRequest {
    /// Redeems `code` of the sign-on `pending`.
    pub fn new(issuer: &Document, client: &Client, pending: &Pending, code: &SecretText) -> Self {
        let mut parameters = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &client.redirect_uri),
            ("client_id", &client.client_id),
            ("code_verifier", pending.verifier.expose()),
        ];
        let mut authorization = None;
        if let Some(secret) = &client.client_secret {
            if issuer.secret_in_form_only {
                parameters.push(("client_secret", secret.expose()));
            } else {
                let pair =
                    SecretText::new(format!("{}:{}", escaped(&client.client_id), escaped(secret.expose())));
                authorization = Some(SecretText::new(format!("Basic {}", STANDARD.encode(pair.expose()))));
            }
        }
        let form = SecretText::new(form(&parameters));
        Self { address: issuer.token_endpoint.clone(), form, authorization }
    }
}

/// What the token endpoint gave.
#[derive(Debug, Clone)]
pub struct TokenResponse {
    /// To be checked with [`super::verify_id_token`] before anything in it is believed.
    pub id_token: SecretText,
    /// For calls on the person's behalf; we need none.
    pub access_token: Option<SecretText>,
}

/// Why the token endpoint gave no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenResponseError {
    /// More bytes than a token response has.
    #[error("the token response has more than {RESPONSE_BYTES_MAX} bytes")]
    TooLong,
    /// Not an object in strict JSON.
    #[error("the token response {0}")]
    Json(#[from] JsonError),
    /// The issuer says no (RFC 6749 §5.2).
    #[error("the issuer did not redeem the code: `{error}` {description}")]
    Refused {
        /// Its code, such as `invalid_grant`.
        error: String,
        /// Its words, shortened.
        description: String,
    },
    /// A yes without an id token: `openid` was not among the scopes, or this is plain OAuth.
    #[error("the token response has no `id_token`")]
    NoIdToken,
    /// Not a bearer token.
    #[error("the token response is of the type `{token_type}`, not `Bearer`")]
    Type {
        /// `token_type`.
        token_type: String,
    },
}

impl TokenResponse {
    /// Reads the body of the answer, whatever its status was.
    ///
    /// # Errors
    /// When the issuer refused, or the body has no id token.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenResponseError> {
        if bytes.len() > RESPONSE_BYTES_MAX {
            return Err(TokenResponseError::TooLong);
        }
        let body = json::object(bytes)?;
        if let Some(error) = body.get("error") {
            return Err(TokenResponseError::Refused {
                error: shown(error.as_str().unwrap_or_default()),
                description: shown(text(&body, "error_description").unwrap_or_default()),
            });
        }
        let id_token = text(&body, "id_token").filter(|t| t.len() <= TOKEN_BYTES_MAX);
        let id_token = id_token.ok_or(TokenResponseError::NoIdToken)?;
        let token_type = body.get("token_type").and_then(Value::as_str).unwrap_or_default();
        if !token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenResponseError::Type { token_type: shown(token_type) });
        }
        Ok(Self {
            id_token: SecretText::new(id_token.to_owned()),
            access_token: text(&body, "access_token").map(|t| SecretText::new(t.to_owned())),
        })
    }
}

/// 256 random bits as 43 characters.
fn random() -> SecretText {
    SecretText::new(URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
}

fn form(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = parameters.iter().map(|(n, v)| format!("{}={}", escaped(n), escaped(v))).collect();
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
