//! What the server remembers between the halves of a ceremony.

use bailee_types::{Timestamp, random_bytes};
use serde::{Deserialize, Serialize};

use super::{CEREMONY_MS, CREDENTIALS_MAX, CredentialRecord, PasskeyError};

/// What the server remembers between the halves.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    version: u8,
    kind: Kind,
    #[serde(with = "base64url")]
    pub(super) challenge: Vec<u8>,
    #[serde(with = "base64url")]
    pub(super) user_handle: Vec<u8>,
    pub(super) credentials: Vec<Id>,
    pub(super) require_user_verification: bool,
    ends_at: Timestamp,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, Clone, Copy)]
pub(super) enum Kind {
    Registration,
    Authentication,
    Statement,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Id(#[serde(with = "base64url")] pub(super) Vec<u8>);

impl State {
    pub(super) fn new(
        kind: Kind,
        user_handle: &[u8],
        credentials: &[CredentialRecord],
        require_user_verification: bool,
        now: Timestamp,
    ) -> Result<Self, PasskeyError> {
        if credentials.len() > CREDENTIALS_MAX {
            return Err(PasskeyError::TooMany);
        }
        Ok(Self {
            version: 1,
            kind,
            challenge: random_bytes::<32>().to_vec(),
            user_handle: user_handle.to_vec(),
            credentials: credentials.iter().map(|c| Id(c.id.clone())).collect(),
            require_user_verification,
            ends_at: now.plus_ms(CEREMONY_MS),
        })
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>, PasskeyError> {
        serde_json::to_vec(self).map_err(|_| PasskeyError::State)
    }

    pub(super) fn read(bytes: &[u8], kind: Kind, now: Timestamp) -> Result<Self, PasskeyError> {
        let state: Self = serde_json::from_slice(bytes).map_err(|_| PasskeyError::State)?;
        if state.version != 1 || state.kind != kind || state.challenge.len() != 32 {
            return Err(PasskeyError::State);
        }
        // A clock that went back before the beginning is no longer life either.
        let live = now < state.ends_at && state.ends_at <= now.plus_ms(CEREMONY_MS);
        if live { Ok(state) } else { Err(PasskeyError::Expired) }
    }
}

/// Bytes as base64url in JSON, as WebAuthn writes them.
pub(super) mod base64url {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in crate::passkey) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(in crate::passkey) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| serde::de::Error::custom("not base64url"))
    }
}
