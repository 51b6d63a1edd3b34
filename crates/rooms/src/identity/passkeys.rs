//! Passkeys as a second factor: bound in a session, shown at sign-in and whenever a fresh factor is asked for.
//!
//! The challenge waits in the session's row, sealed, and goes with its first use.

use std::sync::Arc;

use bailee_federation::passkey::{CredentialRecord, PasskeyError, RelyingParty, credential_id};
use bailee_proof::passkey::{Assertion, fingerprint};
use bailee_store::Tx;
use bailee_types::{SecretText, TenantId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::console::{asked, holder_of, next_stage, own_session};
use super::rows::{device, mfa, session as rows};
use super::session::{SessionToken, hash_of};
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Intent, Operation};
use crate::{Failure, House, SignInProblem, Thing};

/// Passkeys that one person may have.
const PER_HOLDER_MAX: usize = 10;

/// What the browser's `navigator.credentials` is asked, as JSON.
#[derive(Clone, Debug)]
pub struct PasskeyOptions(pub String);

/// Begins to bind a passkey to oneself.
pub struct BeginPasskey {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
}

/// Binds the passkey that [`BeginPasskey`] asked for.
pub struct FinishPasskey {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
    /// What its holder calls it.
    pub label: String,
    /// The browser's answer.
    pub response: String,
}

/// A passkey that was bound.
pub struct BoundPasskey {
    /// The session goes on under this one.
    pub token: SessionToken,
    /// With the first factor: new recovery codes.
    pub codes: Option<Vec<SecretText>>,
    id: String,
    public_key: String,
}

/// A text that a person signed with his passkey, for whoever checks it from the log; all in base64url.
#[derive(Clone, Debug)]
pub(crate) struct SignedText {
    credential_id: String,
    public_key: String,
    authenticator_data: String,
    client_data: String,
    signature: String,
}

/// Begins to show a passkey.
pub struct AskPasskey {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
}

/// Shows a passkey: moves a session on, or makes its second factor fresh again.
pub struct ShowPasskey {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
    /// The browser's answer.
    pub response: String,
}

/// Forgets one of one's passkeys. Needs a fresh second factor.
pub struct RemovePasskey {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The credential's id.
    pub id: String,
}

impl House {
    pub(super) fn party(&self) -> Result<&RelyingParty, Failure> {
        self.relying_party.get().ok_or_else(|| {
            Failure::Unavailable(
                "passkeys are not offered here: the server does not know its own address".into(),
            )
        })
    }

    /// Whether passkeys are offered, that is, whether the console's address is known.
    pub fn offers_passkeys(&self) -> bool {
        self.relying_party.get().is_some()
    }

    pub(super) fn user_handle(&self, tenant: &TenantId, holder: &str) -> [u8; 32] {
        self.identity.recovery.mac(&[b"user-handle", tenant.as_str().as_bytes(), holder.as_bytes()])
    }
}

impl super::Passkey {
    /// By which people compare it: `SHA256:…` of its public key.
    pub fn fingerprint(&self) -> String {
        let key = |r: CredentialRecord| fingerprint(&URL_SAFE_NO_PAD.encode(r.public_key)).ok();
        serde_json::from_str(&self.record).ok().and_then(key).unwrap_or_default()
    }
}

impl House {
    /// Asks the caller to sign a text with one of his passkeys, within this session. The challenge is the hash of the text.
    pub(crate) fn ask_signature(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        (token, text): (&str, &str),
        now: Timestamp,
    ) -> Result<PasskeyOptions, Failure> {
        let (tenant, holder) = holder_of(caller)?;
        let there = mfa::passkeys(&mut tx.tenant(&tenant), &holder)?;
        if there.is_empty() {
            return Err(Failure::Conflict(
                "you have no passkey to sign with: bind one under \"My sign-in\", and come back".into(),
            ));
        }
        let ceremony = self
            .party()?
            .start_statement(&records(&there)?, text, now)
            .map_err(|e| Failure::Conflict(format!("a passkey cannot be asked for: {e}")))?;
        let hash = hash_of(token);
        own_session(tx, &hash, (&tenant, &holder))?;
        let sealed = self.identity.credentials.seal(&pending_aad(b"sign", &hash), &ceremony.state);
        rows::set_pending(tx, &hash, Some(&sealed))?;
        Ok(PasskeyOptions(ceremony.options))
    }

    /// Takes the answer to [`House::ask_signature`], once. It counts if `bailee-verify` would find it good, too.
    pub(crate) fn take_signature(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        (token, text, response): (&str, &str, &str),
        now: Timestamp,
    ) -> Result<SignedText, Failure> {
        let refused = |e: PasskeyError| Failure::invalid("passkey", format!("is refused: {e}"));
        let (tenant, holder) = holder_of(caller)?;
        let state = take_pending(tx, self, (&tenant, &holder), &hash_of(token), b"sign")?;
        let id = URL_SAFE_NO_PAD.encode(credential_id(response.as_bytes()).map_err(refused)?);
        let mut own = tx.tenant(&tenant);
        let found = mfa::passkeys(&mut own, &holder)?.into_iter().find(|p| p.id == id);
        let found = found.ok_or_else(|| Failure::not_found(Thing::Passkey, "of yours"))?;
        let mut record =
            records(&[found])?.pop().ok_or_else(|| Failure::Bug("a passkey has no record".into()))?;
        let said = self
            .party()?
            .finish_statement(&state, (text, response.as_bytes()), &record, now)
            .map_err(refused)?;
        if said.outcome.counter_regressed {
            tracing::error!(tenant.id = %tenant, holder, passkey = id, "a passkey's counter went back");
            return Err(Failure::invalid(
                "passkey",
                "is refused: its counter went back, so there may be a copy of it; remove it and bind another",
            ));
        }
        record.counter = record.counter.max(said.outcome.counter);
        record.backed_up = said.outcome.backed_up;
        let kept = serde_json::to_string(&record).map_err(|e| Failure::Bug(e.to_string()))?;
        mfa::use_passkey(&mut own, &id, &kept, now)?;
        let signed = SignedText {
            credential_id: id,
            public_key: URL_SAFE_NO_PAD.encode(&record.public_key),
            authenticator_data: URL_SAFE_NO_PAD.encode(&said.authenticator_data),
            client_data: URL_SAFE_NO_PAD.encode(&said.client_data),
            signature: URL_SAFE_NO_PAD.encode(&said.signature),
        };
        signed.assertion().open().map_err(|e| {
            Failure::invalid("passkey", format!("is refused, as whoever checks the log would: {e}"))
        })?;
        Ok(signed)
    }
}

impl SignedText {
    fn assertion(&self) -> Assertion<'_> {
        Assertion {
            public_key: &self.public_key,
            authenticator_data: &self.authenticator_data,
            client_data: &self.client_data,
            signature: &self.signature,
        }
    }

    /// By which people compare the passkey.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.public_key).unwrap_or_default()
    }

    /// In the words of records.
    pub(crate) fn told(&self) -> Map<String, Value> {
        parameters(json!({
            "credentialId": self.credential_id,
            "publicKey": self.public_key,
            "authenticatorData": self.authenticator_data,
            "clientDataJSON": self.client_data,
            "signature": self.signature,
        }))
    }
}

fn pending_aad(kind: &[u8], hash: &[u8; 32]) -> Vec<u8> {
    bailee_crypto::seal::aad(&[b"bailee/pending-passkey/v1", kind, hash])
}

fn records(found: &[super::Passkey]) -> Result<Vec<CredentialRecord>, Failure> {
    found
        .iter()
        .map(|p| {
            serde_json::from_str(&p.record)
                .map_err(|e| Failure::Damaged(format!("the passkey `{}`: {e}", p.id)))
        })
        .collect()
}

/// Takes what waits in a session; it is gone after.
fn take_pending(
    tx: &mut bailee_store::Tx<'_>,
    house: &House,
    person: (&TenantId, &str),
    hash: &[u8; 32],
    kind: &[u8],
) -> Result<Vec<u8>, Failure> {
    let none =
        || Failure::Conflict("nothing is under way with a passkey in this session; begin again".into());
    let sealed = own_session(tx, hash, person)?.pending.ok_or_else(none)?;
    rows::set_pending(tx, hash, None)?;
    let plain = house.identity.credentials.open(&pending_aad(kind, hash), &sealed).map_err(|_| none())?;
    Ok(plain.expose().to_vec())
}

impl Operation for BeginPasskey {
    type Output = PasskeyOptions;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:BindSecondFactor", true, json!({ "factor": "passkey", "step": "begin" }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<PasskeyOptions, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        house.need_fresh_if_bound(intent.caller()).await?;
        let name = intent.caller().name().to_owned();
        let (inner, hash, now) = (Arc::clone(house), hash_of(&self.token), house.now());
        // What an operator could bind without proving himself could never be shown: see `AskPasskey`.
        let verified = intent.caller().operator().is_some();
        house
            .db
            .write(move |tx| {
                own_session(tx, &hash, (&tenant, &holder))?;
                let there = mfa::passkeys(&mut tx.tenant(&tenant), &holder)?;
                if there.len() >= PER_HOLDER_MAX {
                    return Err(Failure::limit(
                        Thing::Passkey,
                        "passkeys of one person",
                        PER_HOLDER_MAX as u64,
                    ));
                }
                let handle = inner.user_handle(&tenant, &holder);
                let ceremony = inner
                    .party()?
                    .start_registration(&handle, &name, &records(&there)?, verified, now)
                    .map_err(|e| Failure::Conflict(format!("a passkey cannot be bound: {e}")))?;
                let sealed = inner.identity.credentials.seal(&pending_aad(b"bind", &hash), &ceremony.state);
                rows::set_pending(tx, &hash, Some(&sealed))?;
                Ok(PasskeyOptions(ceremony.options))
            })
            .await
    }
}

impl Operation for FinishPasskey {
    type Output = BoundPasskey;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:BindSecondFactor", true, json!({ "factor": "passkey", "step": "finish" }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        super::act::short("label", &self.label, 64)?;
        let label =
            if self.label.trim().is_empty() { "passkey".to_owned() } else { self.label.trim().to_owned() };
        let (inner, old, now) = (Arc::clone(house), hash_of(&self.token), house.now());
        let new = SessionToken::random();
        let new_hash = new.hash();
        let codes = house.new_recovery_codes(&tenant, &holder);
        let (codes, id, public_key) = house
            .db
            .write(move |tx| {
                let state = take_pending(tx, &inner, (&tenant, &holder), &old, b"bind")?;
                let record = inner
                    .party()?
                    .finish_registration(&state, self.response.as_bytes(), now)
                    .map_err(|e| Failure::invalid("passkey", format!("is refused: {e}")))?;
                let id = URL_SAFE_NO_PAD.encode(&record.id);
                let text = serde_json::to_string(&record).map_err(|e| Failure::Bug(e.to_string()))?;
                let stage = next_stage(tx, &tenant, &holder, now)?;
                let mut own = tx.tenant(&tenant);
                // The first factor brings the recovery codes.
                let first = mfa::of_holder(&mut own, &holder)?.is_none()
                    && mfa::passkeys(&mut own, &holder)?.is_empty();
                if !mfa::insert_passkey(&mut own, &holder, &id, &label, &text, now)? {
                    return Err(Failure::exists(Thing::Passkey, label));
                }
                if first {
                    mfa::set_recovery_codes(&mut own, &holder, &codes.1)?;
                }
                device::end_tickets(&mut own, &holder)?;
                rows::advance(tx, &old, &new_hash, stage, Some(now))?;
                Ok((first.then_some(codes.0), id, URL_SAFE_NO_PAD.encode(&record.public_key)))
            })
            .await?;
        Ok(BoundPasskey { token: new, codes, id, public_key })
    }

    /// Who checks signatures from the log knows from here whose key it was, and since when.
    fn outcome_detail(bound: &BoundPasskey) -> Map<String, Value> {
        parameters(json!({ "passkey": {
            "act": "bind",
            "credentialId": bound.id,
            "publicKey": bound.public_key,
            "fingerprint": fingerprint(&bound.public_key).unwrap_or_default(),
        } }))
    }
}

impl Operation for AskPasskey {
    type Output = PasskeyOptions;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ShowSecondFactor", true, json!({ "factor": "passkey", "step": "begin" }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<PasskeyOptions, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        let (inner, hash, now) = (Arc::clone(house), hash_of(&self.token), house.now());
        // An operator must show that it is he, not only that his device is there.
        let verified = intent.caller().operator().is_some();
        house
            .db
            .write(move |tx| {
                own_session(tx, &hash, (&tenant, &holder))?;
                let there = mfa::passkeys(&mut tx.tenant(&tenant), &holder)?;
                if there.is_empty() {
                    return Err(Failure::not_found(Thing::Passkey, "of yours"));
                }
                let ceremony = inner
                    .party()?
                    .start_authentication(&records(&there)?, verified, now)
                    .map_err(|e| Failure::Conflict(format!("a passkey cannot be asked for: {e}")))?;
                let sealed = inner.identity.credentials.seal(&pending_aad(b"show", &hash), &ceremony.state);
                rows::set_pending(tx, &hash, Some(&sealed))?;
                Ok(PasskeyOptions(ceremony.options))
            })
            .await
    }
}

impl Operation for ShowPasskey {
    type Output = SessionToken;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ShowSecondFactor", true, json!({ "factor": "passkey", "step": "finish" }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<SessionToken, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        let (inner, old, now) = (Arc::clone(house), hash_of(&self.token), house.now());
        let verified = intent.caller().operator().is_some();
        let new = SessionToken::random();
        let new_hash = new.hash();
        house
            .db
            .write(move |tx| {
                let refused = |e: bailee_federation::passkey::PasskeyError| {
                    Failure::invalid("passkey", format!("is refused: {e}"))
                };
                let state = take_pending(tx, &inner, (&tenant, &holder), &old, b"show")?;
                let id = URL_SAFE_NO_PAD.encode(credential_id(self.response.as_bytes()).map_err(refused)?);
                let stage = next_stage(tx, &tenant, &holder, now)?;
                let mut own = tx.tenant(&tenant);
                let there = mfa::passkeys(&mut own, &holder)?;
                let found = there.iter().find(|p| p.id == id).cloned();
                let found = found.ok_or_else(|| Failure::not_found(Thing::Passkey, "of yours"))?;
                let mut record = records(std::slice::from_ref(&found))?
                    .pop()
                    .ok_or_else(|| Failure::Bug("a passkey has no record".into()))?;
                let outcome = inner
                    .party()?
                    .finish_authentication(&state, self.response.as_bytes(), &record, verified, now)
                    .map_err(refused)?;
                if outcome.counter_regressed {
                    // Perhaps a copy of the key: said loudly, and no lock, which a copy could be used for as well.
                    tracing::error!(tenant.id = %tenant, holder, passkey = id, "a passkey's counter went back");
                }
                record.counter = record.counter.max(outcome.counter);
                record.backed_up = outcome.backed_up;
                let text = serde_json::to_string(&record).map_err(|e| Failure::Bug(e.to_string()))?;
                mfa::use_passkey(&mut own, &id, &text, now)?;
                if !rows::advance(tx, &old, &new_hash, stage, Some(now))? {
                    return Err(Failure::SignIn(SignInProblem::Ended));
                }
                Ok(())
            })
            .await?;
        Ok(new)
    }

    fn outcome_detail(_: &SessionToken) -> Map<String, Value> {
        Map::new()
    }
}

impl Operation for RemovePasskey {
    /// The credential's id.
    type Output = String;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:RemoveSecondFactor", true, json!({ "factor": "passkey" }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<String, Failure> {
        intent.caller().need_fresh_mfa(house.now())?;
        let (tenant, holder) = holder_of(intent.caller())?;
        house
            .db
            .write(move |tx| {
                let mut own = tx.tenant(&tenant);
                if mfa::delete_passkey(&mut own, &holder, &self.id)? {
                    device::end_tickets(&mut own, &holder)?;
                    mfa::forget_codes_without_factor(&mut own, &holder)?;
                    return Ok(self.id);
                }
                Err(Failure::not_found(Thing::Passkey, "of yours"))
            })
            .await
    }
    fn outcome_detail(id: &String) -> Map<String, Value> {
        parameters(json!({ "passkey": { "act": "remove", "credentialId": id } }))
    }
}
