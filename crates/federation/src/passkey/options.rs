//! What the browser is asked, as the JSON of WebAuthn Level 3 (§5.1.8, §5.1.9): bytes are base64url.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{CEREMONY_MS, CredentialRecord, RelyingParty, State};

/// ES256, EdDSA, RS256 in the order in which we like them.
pub(super) const ALGORITHMS: [i64; 3] = [-7, -8, -257];

pub(super) fn creation(
    party: &RelyingParty,
    state: &State,
    user_name: &str,
    exclude: &[CredentialRecord],
) -> String {
    let algorithms: Vec<_> = ALGORITHMS.iter().map(|alg| json!({"type": "public-key", "alg": alg})).collect();
    json!({
        "rp": {"id": party.id, "name": party.name},
        "user": {"id": URL_SAFE_NO_PAD.encode(&state.user_handle), "name": user_name, "displayName": user_name},
        "challenge": URL_SAFE_NO_PAD.encode(&state.challenge),
        "pubKeyCredParams": algorithms,
        "timeout": CEREMONY_MS,
        "excludeCredentials": descriptors(exclude),
        "authenticatorSelection": {
            "residentKey": "preferred", "requireResidentKey": false, "userVerification": verification(state),
        },
        "attestation": "none",
    })
    .to_string()
}

pub(super) fn request(party: &RelyingParty, state: &State, allow: &[CredentialRecord]) -> String {
    json!({
        "challenge": URL_SAFE_NO_PAD.encode(&state.challenge),
        "timeout": CEREMONY_MS,
        "rpId": party.id,
        "allowCredentials": descriptors(allow),
        "userVerification": verification(state),
    })
    .to_string()
}

fn descriptors(credentials: &[CredentialRecord]) -> Vec<Value> {
    let one = |c: &CredentialRecord| json!({"type": "public-key", "id": URL_SAFE_NO_PAD.encode(&c.id), "transports": c.transports});
    credentials.iter().map(one).collect()
}

const fn verification(state: &State) -> &'static str {
    if state.require_user_verification { "required" } else { "preferred" }
}
