//! The temporary keys of an operator's grant, as the signature of a request shows them.
//!
//! The secret is derived and the token sealed, as of role sessions ([`super::sts`]); whether the keys live says their row, which the
//! gate asks with each act: who signs with keys that were cut is refused on record.
//! INVARIANT: a token is good only with the AccessKey id that is written inside of it.

use bailee_types::{AccessKeyId, SecretText, TenantId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::access_key::AuthError;
use super::rows;
use crate::gate::{Bound, Principal};
use crate::{Failure, House};

const TOKEN_AAD: &[u8] = b"bailee/grant-token/v1";
const TOKEN_CHARS_MAX: usize = 1_024;
/// Who signs with keys that ended longer ago is told so, and not recorded any more.
const RECORDED_MS: i64 = 24 * 3_600_000;

impl House {
    /// Secret and token of keys, to be shown once.
    pub(crate) fn grant_credentials(
        &self,
        tenant: &TenantId,
        id: &AccessKeyId,
    ) -> Result<(SecretText, SecretText), Failure> {
        let plain =
            serde_json::to_vec(&(id.as_str(), tenant.as_str())).map_err(|e| Failure::Bug(e.to_string()))?;
        let token = STANDARD.encode(self.identity.sessions.seal(TOKEN_AAD, &plain));
        Ok((self.session_secret(id), SecretText::new(token)))
    }

    /// Opens a token and binds it to the AccessKey id that came with it.
    pub(super) fn open_grant_token<E>(
        &self,
        id: &AccessKeyId,
        token: &str,
    ) -> Result<(TenantId, SecretText), AuthError<E>> {
        if token.len() > TOKEN_CHARS_MAX {
            return Err(AuthError::TokenMalformed);
        }
        let bytes = STANDARD.decode(token).map_err(|_| AuthError::TokenMalformed)?;
        let plain = self.identity.sessions.open(TOKEN_AAD, &bytes).map_err(|_| AuthError::TokenMalformed)?;
        let (key, tenant): (String, String) =
            serde_json::from_slice(plain.expose()).map_err(|_| AuthError::TokenMalformed)?;
        if key != id.as_str() {
            return Err(AuthError::TokenMismatch);
        }
        let tenant = TenantId::parse(&tenant).map_err(|_| AuthError::TokenMalformed)?;
        Ok((tenant, self.session_secret(id)))
    }

    /// Who the keys' operator is now, and what they are bound to. Called after the signature held.
    pub(super) async fn grant_principal<E>(
        &self,
        tenant: &TenantId,
        id: &AccessKeyId,
    ) -> Result<(Principal, Bound), AuthError<E>> {
        let keys = self.keys_of(tenant, id).await.map_err(AuthError::Failed)?.ok_or(AuthError::UnknownKey)?;
        let over = keys.ended.map_or(keys.until, |e| e.at);
        if self.now() >= over.plus_ms(RECORDED_MS) {
            return Err(AuthError::TokenExpired);
        }
        let wanted = keys.operator.clone();
        let found = self.db.read(move |tx| rows::operator::by_id(tx, &wanted).map_err(Failure::from)).await;
        // One who was disabled is refused by the gate, on record: his grants end with him.
        let operator = found.map_err(AuthError::Failed)?.ok_or(AuthError::UnknownKey)?;
        let principal =
            Principal::Operator { id: operator.id, roles: operator.roles.into(), place: operator.place };
        let bound = Bound {
            key: keys.id,
            tenant: keys.tenant,
            grant: keys.grant,
            ticket: keys.ticket,
            content: keys.content,
        };
        Ok((principal, bound))
    }
}
