//! Signing in with a passkey alone: the device knows who it is for, and that he unlocked it, which are two factors.
//!
//! Nobody is named before the answer, so that asking tells nothing about names. What was asked travels sealed in the
//! browser; an answer is good once, and in that browser only.

use std::sync::Arc;

use bailee_federation::passkey::{CEREMONY_MS, CredentialRecord, PasskeyError, answered_by};
use bailee_store::Tx;
use bailee_types::{SecretText, TenantId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::rows::{device, login, mfa, user};
use super::session::{AGE_HOURS, Begun, SessionToken, Stage, needs_of_user};
use super::settings::SecurityPreference;
use crate::gate::Origin;
use crate::house::Counters;
use crate::{Failure, House, SignInProblem};

const KEPT_AAD: &[u8] = b"bailee/passkey-sign-in/v1";

/// A sign-in by passkey that began.
pub struct PasskeyBegun {
    /// What the browser's `navigator.credentials` is asked, as JSON.
    pub options: String,
    /// For a cookie of five minutes; opens nothing but the second half.
    pub kept: SecretText,
}

impl House {
    /// Begins a sign-in with a passkey alone. Nothing is stored.
    ///
    /// # Errors
    /// `Unavailable` when passkeys are not offered here.
    pub fn begin_passkey_sign_in(&self) -> Result<PasskeyBegun, Failure> {
        let ceremony = self
            .party()?
            .start_authentication(&[], true, self.now())
            .map_err(|e| Failure::Bug(format!("a passkey cannot be asked for: {e}")))?;
        let sealed = self.identity.sessions.seal(KEPT_AAD, &ceremony.state);
        Ok(PasskeyBegun { options: ceremony.options, kept: SecretText::new(URL_SAFE_NO_PAD.encode(sealed)) })
    }

    /// Ends a sign-in with a passkey alone, and begins the session of whoever it belongs to.
    ///
    /// # Errors
    /// `SignIn`: with one text for a passkey that is not known, a bad answer, and an account that does not allow it.
    pub async fn finish_passkey_sign_in(
        self: &Arc<Self>,
        kept: &str,
        response: String,
        origin: Origin,
    ) -> Result<SessionToken, Failure> {
        let broken = || Failure::SignIn(SignInProblem::SignOnBroken);
        let sealed = URL_SAFE_NO_PAD.decode(kept).map_err(|_| broken())?;
        let state = self.identity.sessions.open(KEPT_AAD, &sealed).map_err(|_| broken())?;
        let (house, address, now) = (Arc::clone(self), origin.source_ip.clone(), self.now());
        let entered =
            self.db.write(move |tx| enter(&house, tx, state.expose(), &response, &address, now)).await;
        if matches!(entered, Err(Failure::SignIn(SignInProblem::Passkey))) {
            Counters::add(&self.counters().sign_in_failures, 1);
        }
        self.begin_session(entered?, origin).await
    }
}

fn enter(
    house: &House,
    tx: &mut Tx<'_>,
    state: &[u8],
    response: &str,
    address: &str,
    now: Timestamp,
) -> Result<Begun, Failure> {
    let no = || Failure::SignIn(SignInProblem::Passkey);
    let refused = |e: PasskeyError| {
        tracing::info!("a sign-in by passkey was refused: {e}");
        no()
    };
    let (id, handle) = answered_by(response.as_bytes()).map_err(refused)?;
    let id = URL_SAFE_NO_PAD.encode(id);
    let (tenant, holder, mut record) = owner(house, tx, &id, handle.as_deref())?.ok_or_else(no)?;
    let outcome = house
        .party()?
        .finish_authentication(state, response.as_bytes(), &record, true, now)
        .map_err(refused)?;
    if !device::use_challenge(tx, &challenge_hash(state), now.plus_ms(CEREMONY_MS), now)? {
        return Err(no());
    }
    let mut own = tx.tenant(&tenant);
    // Users only: root and operators type their password first.
    let user = match holder.strip_prefix("user/") {
        Some(user_id) => user::by_text_id(&mut own, user_id)?.ok_or_else(no)?,
        None => return Err(no()),
    };
    if !SecurityPreference::load(&mut own)?.passkey_sign_in {
        return Err(no());
    }
    let profile = login::of_user(&mut own, &user)?.ok_or(Failure::SignIn(SignInProblem::Inactive))?;
    let needs = needs_of_user(&mut own, &user, Some(&profile), address, now)?;
    if let Some(why) = needs.refused {
        return Err(Failure::SignIn(why));
    }
    if outcome.counter_regressed {
        // Perhaps a copy of the key: said loudly, and no lock, which a copy could be used for as well.
        tracing::error!(tenant.id = %tenant, holder, passkey = id, "a passkey's counter went back");
    }
    record.counter = record.counter.max(outcome.counter);
    record.backed_up = outcome.backed_up;
    let text = serde_json::to_string(&record).map_err(|e| Failure::Bug(e.to_string()))?;
    mfa::use_passkey(&mut own, &id, &text, now)?;
    Ok(Begun {
        tenant,
        holder,
        by: "passkey",
        stage: if needs.new_password { Stage::Password } else { Stage::Full },
        hours: needs.hours.unwrap_or(AGE_HOURS),
        mfa_at: Some(now),
    })
}

/// Whose passkey it is. Its id alone does not say: somebody may have bound one with an id that he saw at another
/// tenant's; the handle is ours, and of one person.
fn owner(
    house: &House,
    tx: &mut Tx<'_>,
    id: &str,
    handle: Option<&[u8]>,
) -> Result<Option<(TenantId, String, CredentialRecord)>, Failure> {
    let Some(handle) = handle else { return Ok(None) };
    for (tenant, holder, passkey) in mfa::passkeys_of_credential(tx, id)? {
        if house.user_handle(&tenant, &holder) != handle {
            continue;
        }
        let record = serde_json::from_str(&passkey.record)
            .map_err(|e| Failure::Damaged(format!("the passkey `{id}`: {e}")))?;
        return Ok(Some((tenant, holder, record)));
    }
    Ok(None)
}

fn challenge_hash(state: &[u8]) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(b"bailee/used-challenge/v1\0");
    h.update(state);
    h.finalize().into()
}
