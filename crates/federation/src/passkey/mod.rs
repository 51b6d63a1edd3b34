//! Passkeys: a WebAuthn Level 3 relying party for ES256, EdDSA and RS256, without attestation.
//!
//! A ceremony has two halves. The first gives options for the browser and a state; the caller keeps the state **on the
//! server** (it is not sealed), bound to the session, and deletes it in the transaction that hands it to the second
//! half, so that it works once. States end after [`CEREMONY_MS`].
//! The caller also makes sure that a credential id belongs to one user, and stores what [`Outcome`] says.
//! INVARIANT: an answer counts only for its own challenge, on one of the configured origins, for our relying party id,
//! with somebody present.
//! INVARIANT: a counter that went back is told, never an error: whether to alert or to refuse is the caller's policy.

mod authenticator;
mod client;
mod error;
mod options;
mod state;

use bailee_types::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use self::authenticator::{Attested, AuthenticatorData};
use self::client::{Assertion, Attestation};
pub use self::error::PasskeyError;
use self::state::{Kind, State, base64url};
use crate::key::EcdsaForm;
use crate::oidc::discovery::is_safe_address;
use crate::show::shown;

/// How long a ceremony may take, milliseconds.
pub const CEREMONY_MS: i64 = 5 * 60 * 1000;
/// The longest answer of a browser, bytes.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// The most credentials of one user.
pub const CREDENTIALS_MAX: usize = 64;

/// Who we are towards browsers.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    id: String,
    origins: Vec<String>,
    name: String,
}

/// What the browser gets, and what stays here.
#[derive(Debug, Clone)]
pub struct Ceremony {
    /// JSON for `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    pub options: String,
    /// For the second half; to be kept on the server and used once.
    pub state: Vec<u8>,
}

/// A registered passkey, to be stored with its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRecord {
    /// The credential's id.
    #[serde(with = "base64url")]
    pub id: Vec<u8>,
    /// The public key as COSE_Key (RFC 9052), as the authenticator wrote it.
    #[serde(with = "base64url")]
    pub public_key: Vec<u8>,
    /// The user handle that it was registered for.
    #[serde(with = "base64url")]
    pub user_handle: Vec<u8>,
    /// The last counter; 0 where the authenticator does not count.
    pub counter: u32,
    /// Whether the person was verified (PIN, finger) at registration.
    pub user_verified: bool,
    /// How the authenticator is reached, as the browser said.
    pub transports: Vec<String>,
    /// Whether the passkey may be copied to other devices. Does not change.
    pub backup_eligible: bool,
    /// Whether it was copied when last seen.
    pub backed_up: bool,
    /// The model of the authenticator, unchecked; for showing a name only.
    #[serde(with = "base64url")]
    pub aaguid: Vec<u8>,
}

/// A statement that a passkey signed: what an outsider needs to check it, beside the text and the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// What the caller stores of the passkey, as after a sign-on.
    pub outcome: Outcome,
    /// What the authenticator says.
    pub authenticator_data: Vec<u8>,
    /// What the browser says.
    pub client_data: Vec<u8>,
    /// Over the two.
    pub signature: Vec<u8>,
}

/// A good answer of a passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The counter now; the caller stores the larger one.
    pub counter: u32,
    /// The counter did not grow though one of both counts: perhaps a copy of the key. To be alerted on.
    pub counter_regressed: bool,
    /// Whether the person was verified (PIN, finger), not only present.
    pub user_verified: bool,
    /// Whether the passkey is copied to other devices now.
    pub backed_up: bool,
}

impl RelyingParty {
    /// `id` is a domain, `origins` are the addresses of pages on it (`https://trust.example`), `name` is shown.
    ///
    /// # Errors
    /// When an origin is not on the domain, or not https.
    pub fn new(id: &str, origins: &[String], name: &str) -> Result<Self, PasskeyError> {
        for origin in origins {
            let wrong = || PasskeyError::Origins { origin: shown(origin), id: shown(id) };
            let authority = origin.split_once("://").map(|(_, rest)| rest).ok_or_else(wrong)?;
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            let below = host.strip_suffix(id).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            let bare = !authority.contains(['/', '?']) && *origin == origin.to_ascii_lowercase();
            if id.is_empty() || !below || !bare || !is_safe_address(origin) {
                return Err(wrong());
            }
        }
        if origins.is_empty() {
            return Err(PasskeyError::Origins { origin: String::new(), id: shown(id) });
        }
        Ok(Self { id: id.to_owned(), origins: origins.to_vec(), name: name.to_owned() })
    }

    /// Begins a registration. `user_handle` are random bytes that name the user for ever; `exclude` are his passkeys.
    ///
    /// # Errors
    /// When the handle has another length, or there are too many passkeys.
    pub fn start_registration(
        &self,
        user_handle: &[u8],
        user_name: &str,
        exclude: &[CredentialRecord],
        require_user_verification: bool,
        now: Timestamp,
    ) -> Result<Ceremony, PasskeyError> {
        if user_handle.is_empty() || user_handle.len() > 64 {
            return Err(PasskeyError::UserHandle);
        }
        let state = State::new(Kind::Registration, user_handle, exclude, require_user_verification, now)?;
        Ok(Ceremony { options: options::creation(self, &state, user_name, exclude), state: state.bytes()? })
    }

    /// Ends a registration with the browser's answer (`PublicKeyCredential.toJSON()`).
    ///
    /// # Errors
    /// One variant for each reason.
    pub fn finish_registration(
        &self,
        state: &[u8],
        response_json: &[u8],
        now: Timestamp,
    ) -> Result<CredentialRecord, PasskeyError> {
        let state = State::read(state, Kind::Registration, now)?;
        let answer = Attestation::parse(response_json)?;
        client::check(&answer.client_data, "webauthn.create", &state.challenge, &self.origins)?;
        let data = AuthenticatorData::parse(&answer.authenticator_data)?;
        self.check(&data, state.require_user_verification)?;
        let Some(Attested { aaguid, credential_id, public_key, .. }) = data.attested else {
            return Err(PasskeyError::Form { what: "attestedCredentialData" });
        };
        if credential_id != answer.id {
            return Err(PasskeyError::Credential);
        }
        if state.credentials.iter().any(|known| known.0 == credential_id) {
            return Err(PasskeyError::AlreadyRegistered);
        }
        Ok(CredentialRecord {
            id: credential_id,
            public_key,
            user_handle: state.user_handle,
            counter: data.counter,
            user_verified: data.user_verified,
            transports: answer.transports,
            backup_eligible: data.backup_eligible,
            backed_up: data.backed_up,
            aaguid,
        })
    }

    /// Begins a sign-on or step-up with one of `allow`; with none, with any passkey that the device knows for us.
    ///
    /// # Errors
    /// When there are too many.
    pub fn start_authentication(
        &self,
        allow: &[CredentialRecord],
        require_user_verification: bool,
        now: Timestamp,
    ) -> Result<Ceremony, PasskeyError> {
        let state = State::new(Kind::Authentication, &[], allow, require_user_verification, now)?;
        Ok(Ceremony { options: options::request(self, &state, allow), state: state.bytes()? })
    }

    /// Ends a sign-on with the browser's answer. `credential` is the stored record of the answer's id (see
    /// [`credential_id`]). A person must be verified when either half asks for it.
    ///
    /// # Errors
    /// One variant for each reason.
    pub fn finish_authentication(
        &self,
        state: &[u8],
        response_json: &[u8],
        credential: &CredentialRecord,
        require_user_verification: bool,
        now: Timestamp,
    ) -> Result<Outcome, PasskeyError> {
        let state = State::read(state, Kind::Authentication, now)?;
        let answer = Assertion::parse(response_json)?;
        self.judge(&state, &answer, credential, require_user_verification)
    }

    /// Begins to sign `text` with one of `allow`: the challenge is the hash of the text, so that the signature is one over
    /// its words. The caller puts into the text what makes it another one each time.
    ///
    /// # Errors
    /// When there are too many.
    pub fn start_statement(
        &self,
        allow: &[CredentialRecord],
        text: &str,
        now: Timestamp,
    ) -> Result<Ceremony, PasskeyError> {
        let mut state = State::new(Kind::Statement, &[], allow, true, now)?;
        state.challenge = digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec();
        Ok(Ceremony { options: options::request(self, &state, allow), state: state.bytes()? })
    }

    /// Ends what [`RelyingParty::start_statement`] began; the person must have been verified.
    ///
    /// # Errors
    /// One variant for each reason; [`PasskeyError::Challenge`] also when `text` is another one than was begun with.
    pub fn finish_statement(
        &self,
        state: &[u8],
        (text, response_json): (&str, &[u8]),
        credential: &CredentialRecord,
        now: Timestamp,
    ) -> Result<SignedStatement, PasskeyError> {
        let state = State::read(state, Kind::Statement, now)?;
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        if hash.as_ref() != state.challenge || state.credentials.is_empty() {
            return Err(PasskeyError::Challenge);
        }
        let answer = Assertion::parse(response_json)?;
        let outcome = self.judge(&state, &answer, credential, true)?;
        let Assertion { authenticator_data, client_data, signature, .. } = answer;
        Ok(SignedStatement { outcome, authenticator_data, client_data, signature })
    }

    fn judge(
        &self,
        state: &State,
        answer: &Assertion,
        credential: &CredentialRecord,
        require_user_verification: bool,
    ) -> Result<Outcome, PasskeyError> {
        let asked_for = state.credentials.is_empty() || state.credentials.iter().any(|c| c.0 == answer.id);
        if !asked_for || answer.id != credential.id {
            return Err(PasskeyError::Credential);
        }
        match &answer.user_handle {
            Some(user) if *user != credential.user_handle => return Err(PasskeyError::User),
            // Without a list the handle is what says who this is.
            None if state.credentials.is_empty() => return Err(PasskeyError::User),
            _ => {}
        }
        client::check(&answer.client_data, "webauthn.get", &state.challenge, &self.origins)?;
        let data = AuthenticatorData::parse(&answer.authenticator_data)?;
        self.check(&data, require_user_verification || state.require_user_verification)?;
        if data.attested.is_some() {
            return Err(PasskeyError::Form { what: "authenticatorData" });
        }
        if data.backup_eligible != credential.backup_eligible {
            return Err(PasskeyError::Backup);
        }
        let (key, algorithm) = authenticator::cose_key(&credential.public_key)?;
        let hash = digest::digest(&digest::SHA256, &answer.client_data);
        let signed = [&answer.authenticator_data, hash.as_ref()].concat();
        if !key.verifies(algorithm, EcdsaForm::Asn1, &signed, &answer.signature) {
            return Err(PasskeyError::Signature);
        }
        let counts = data.counter > 0 || credential.counter > 0;
        Ok(Outcome {
            counter: data.counter,
            counter_regressed: counts && data.counter <= credential.counter,
            user_verified: data.user_verified,
            backed_up: data.backed_up,
        })
    }

    fn check(&self, data: &AuthenticatorData, require_user_verification: bool) -> Result<(), PasskeyError> {
        let ours = digest::digest(&digest::SHA256, self.id.as_bytes());
        if !bool::from(ours.as_ref().ct_eq(&data.rp_id_hash)) {
            return Err(PasskeyError::RelyingPartyId);
        }
        if !data.user_present {
            return Err(PasskeyError::NotPresent);
        }
        if require_user_verification && !data.user_verified {
            return Err(PasskeyError::NotVerified);
        }
        if data.backed_up && !data.backup_eligible {
            return Err(PasskeyError::Backup);
        }
        Ok(())
    }
}

/// The credential id and the user handle in a browser's answer, for looking up whose passkey it is where nobody was named.
/// Nothing is checked yet.
///
/// # Errors
/// When the answer cannot be read.
pub fn answered_by(response_json: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>), PasskeyError> {
    Assertion::parse(response_json).map(|answer| (answer.id, answer.user_handle))
}

/// The credential id in a browser's answer, for looking up its record. Nothing is checked yet.
///
/// # Errors
/// When the answer cannot be read.
pub fn credential_id(response_json: &[u8]) -> Result<Vec<u8>, PasskeyError> {
    Assertion::parse(response_json).map(|answer| answer.id)
}
