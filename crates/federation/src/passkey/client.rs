//! The browser's answers (WebAuthn Level 3 §5.1, `toJSON()`), and what it says about the page (§5.8.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::authenticator::authenticator_data_of;
use super::{PasskeyError, RESPONSE_BYTES_MAX};
use crate::json::{self, text};
use crate::show::shown;

/// The longest credential id (§4).
const ID_BYTES_MAX: usize = 1023;
const TRANSPORTS_MAX: usize = 8;

/// The answer to a registration.
pub(super) struct Attestation {
    pub(super) id: Vec<u8>,
    pub(super) client_data: Vec<u8>,
    pub(super) authenticator_data: Vec<u8>,
    pub(super) transports: Vec<String>,
}

/// The answer to a sign-on.
pub(super) struct Assertion {
    pub(super) id: Vec<u8>,
    pub(super) client_data: Vec<u8>,
    pub(super) authenticator_data: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) user_handle: Option<Vec<u8>>,
}

impl Attestation {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PasskeyError> {
        let (id, response) = credential(bytes)?;
        let listed =
            response.get("transports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_word = |t: &&str| {
            !t.is_empty() && t.len() <= 32 && t.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        };
        let transports = listed.iter().filter_map(Value::as_str).filter(is_word).take(TRANSPORTS_MAX);
        Ok(Self {
            id,
            client_data: needed(&response, "clientDataJSON")?,
            // The copy of `authenticatorData` that browsers put beside it is not looked at.
            authenticator_data: authenticator_data_of(&needed(&response, "attestationObject")?)?,
            transports: transports.map(str::to_owned).collect(),
        })
    }
}

impl Assertion {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PasskeyError> {
        let (id, response) = credential(bytes)?;
        let user_handle = match response.get("userHandle") {
            None | Some(Value::Null) => None,
            Some(_) => Some(needed(&response, "userHandle")?),
        };
        Ok(Self {
            id,
            client_data: needed(&response, "clientDataJSON")?,
            authenticator_data: needed(&response, "authenticatorData")?,
            signature: needed(&response, "signature")?,
            user_handle,
        })
    }
}

/// Checks what the browser says about the page and the ceremony.
pub(super) fn check(
    client_data: &[u8],
    kind: &str,
    challenge: &[u8],
    origins: &[String],
) -> Result<(), PasskeyError> {
    let data = json::object(client_data).map_err(|_| PasskeyError::Form { what: "clientDataJSON" })?;
    let found = text(&data, "type").unwrap_or_default();
    if found != kind {
        return Err(PasskeyError::Kind { found: shown(found) });
    }
    let wanted = URL_SAFE_NO_PAD.encode(challenge);
    let found = text(&data, "challenge").unwrap_or_default();
    if !bool::from(wanted.as_bytes().ct_eq(found.as_bytes())) {
        return Err(PasskeyError::Challenge);
    }
    let found = text(&data, "origin").unwrap_or_default();
    if !origins.iter().any(|origin| origin == found) {
        return Err(PasskeyError::Origin { found: shown(found) });
    }
    let in_a_frame = !matches!(data.get("crossOrigin"), None | Some(Value::Bool(false)));
    if in_a_frame || data.contains_key("topOrigin") {
        return Err(PasskeyError::CrossOrigin);
    }
    Ok(())
}

/// The id and `response` of a `PublicKeyCredential`.
fn credential(bytes: &[u8]) -> Result<(Vec<u8>, Map<String, Value>), PasskeyError> {
    if bytes.len() > RESPONSE_BYTES_MAX {
        return Err(PasskeyError::TooLong);
    }
    let mut answer = json::object(bytes).map_err(|_| PasskeyError::Form { what: "PublicKeyCredential" })?;
    if text(&answer, "type") != Some("public-key") {
        return Err(PasskeyError::Form { what: "type" });
    }
    let id = needed(&answer, "rawId")?;
    if needed(&answer, "id")? != id || id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(PasskeyError::Form { what: "id" });
    }
    match answer.remove("response") {
        Some(Value::Object(response)) => Ok((id, response)),
        _ => Err(PasskeyError::Form { what: "response" }),
    }
}

fn needed(map: &Map<String, Value>, what: &'static str) -> Result<Vec<u8>, PasskeyError> {
    let wrong = PasskeyError::Form { what };
    let Some(text) = text(map, what) else { return Err(wrong) };
    URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong)
}
