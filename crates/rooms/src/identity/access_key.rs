//! AccessKeys: sealed secrets, and the proof that a request was signed with one.

use std::sync::Arc;

use bailee_crypto::seal::aad;
use bailee_policy::PolicySet;
use bailee_types::{
    AccessKeyId, Arn, SecretText, TenantAlias, TenantId, Timestamp, UserId, UserName, random_text,
};
use serde_json::{Map, Value, json};

use super::{policy, rows, still_fresh};
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Origin, Principal, Touches};
use crate::house::Counters;
use crate::{Failure, House, Thing};

/// AccessKeys a user may have (contract §5).
const PER_USER_MAX: u64 = 2;
const CACHED_MAX: usize = 10_000;
/// Nonces are remembered for twice the permitted clock skew of 15 minutes.
const NONCE_MS: i64 = 30 * 60_000;
const SECRET_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// An AccessKey without its secret.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// `Active` or `Inactive`.
    pub status: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A new AccessKey; the only time that the secret is shown.
#[derive(Clone, Debug)]
pub struct NewAccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// Its secret.
    pub secret: SecretText,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why a signature did not make a caller.
#[derive(Debug)]
pub enum AuthError<E> {
    /// No such AccessKey.
    UnknownKey,
    /// The AccessKey is inactive, or its tenant is suspended.
    Inactive,
    /// The signature was refused by the dialect's own check.
    Signature(E),
    /// The key could not be looked up.
    Failed(Failure),
}

pub(super) struct Cached {
    read_at: Timestamp,
    active: bool,
    secret: SecretText,
    owner: Owner,
}

struct Owner {
    tenant: TenantId,
    alias: TenantAlias,
    user: Option<(UserId, UserName, Arc<PolicySet>)>,
}

impl House {
    /// Makes a caller of a signed request: `verify` gets the secret and says whether the signature is right.
    /// The nonce, where the scheme has one, is burnt with the intent of the act.
    ///
    /// # Errors
    /// When the key is unknown or inactive, or `verify` refuses.
    pub async fn authenticate<T, E>(
        &self,
        access_key_id: &str,
        origin: Origin,
        nonce: Option<&str>,
        verify: impl FnOnce(&SecretText) -> Result<T, E>,
    ) -> Result<(Caller, T), AuthError<E>> {
        let Ok(id) = AccessKeyId::parse(access_key_id) else { return Err(AuthError::UnknownKey) };
        let cached = self.cached_key(&id).await.map_err(AuthError::Failed)?.ok_or(AuthError::UnknownKey)?;
        let verified = verify(&cached.secret).map_err(|e| {
            Counters::add(&self.counters().sign_in_failures, 1);
            AuthError::Signature(e)
        })?;
        if !cached.active {
            return Err(AuthError::Inactive);
        }
        let Owner { tenant, alias, user } = &cached.owner;
        let principal = match user {
            None => Principal::Root { tenant: tenant.clone(), alias: alias.clone() },
            Some((id, name, policies)) => Principal::User {
                tenant: tenant.clone(),
                alias: alias.clone(),
                id: id.clone(),
                name: name.clone(),
                policies: Arc::clone(policies),
            },
        };
        let nonce = nonce.map(|nonce| crate::gate::Nonce {
            access_key_id: id.to_string(),
            nonce: nonce.to_owned(),
            expires_at: self.now().plus_ms(NONCE_MS),
        });
        Ok((Caller::new(principal, origin).with_key(id).with_nonce(nonce), verified))
    }

    async fn cached_key(&self, id: &AccessKeyId) -> Result<Option<Arc<Cached>>, Failure> {
        let now = self.now();
        if let Some(found) = self.identity.keys.read().get(id.as_str())
            && still_fresh(found.read_at, now)
        {
            return Ok(Some(Arc::clone(found)));
        }
        let wanted = id.clone();
        let Some(row) = self.db.read(move |tx| rows::access_key(tx, &wanted).map_err(Failure::from)).await?
        else {
            return Ok(None);
        };
        let secret = self
            .identity
            .credentials
            .open(&secret_aad(&row.tenant, id), &row.sealed_secret)
            .map_err(|_| Failure::Damaged(format!("the secret of AccessKey `{id}` does not open")))?;
        let secret = String::from_utf8(secret.expose().to_vec())
            .map_err(|_| Failure::Damaged(format!("the secret of AccessKey `{id}` is not text")))?;
        let user = match row.user {
            None => None,
            Some((user_id, name)) => {
                let policies = self.policies_of(&row.tenant, &name).await?;
                Some((user_id, name, policies))
            }
        };
        let cached = Arc::new(Cached {
            read_at: now,
            active: row.active,
            secret: SecretText::new(secret),
            owner: Owner { tenant: row.tenant, alias: row.alias, user },
        });
        let mut keys = self.identity.keys.write();
        if keys.len() >= CACHED_MAX {
            keys.clear();
        }
        keys.insert(id.to_string(), Arc::clone(&cached));
        Ok(Some(cached))
    }

    /// What the policies attached to a user say, compiled.
    pub(super) async fn policies_of(
        &self,
        tenant: &TenantId,
        user: &UserName,
    ) -> Result<Arc<PolicySet>, Failure> {
        let (tenant, user) = (tenant.clone(), user.clone());
        let attached = self
            .db
            .read(move |tx| rows::attached(&mut tx.tenant(&tenant), &user).map_err(Failure::from))
            .await?;
        policy::compile(attached)
    }

    /// Forgets what was read of AccessKeys and policies, after a change.
    pub(super) fn forget_cached_keys(&self) {
        self.identity.keys.write().clear();
    }

    /// A new AccessKey as a row to insert, and as what is shown once.
    pub(super) fn new_access_key(&self, tenant: &TenantId, now: Timestamp) -> (rows::NewKey, NewAccessKey) {
        let id = AccessKeyId::random();
        let secret = SecretText::new(random_text(SECRET_ALPHABET, 30));
        let sealed = self.identity.credentials.seal(&secret_aad(tenant, &id), secret.expose().as_bytes());
        (rows::NewKey { id: id.clone(), sealed_secret: sealed }, NewAccessKey { id, secret, created_at: now })
    }
}

/// Creates an AccessKey for a user, or for the caller himself (root included) when no user is named.
#[derive(Clone, Debug)]
pub struct CreateAccessKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The user; none means root.
    pub user: Option<UserName>,
}

impl Operation for CreateAccessKey {
    type Output = NewAccessKey;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "ram:CreateAccessKey", self.user.as_ref(), true)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<NewAccessKey, Failure> {
        let now = house.now();
        let (row, shown) = house.new_access_key(&self.tenant, now);
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if let Some(user) = &self.user
                    && rows::user(&mut tx, user)?.is_none()
                {
                    return Err(Failure::not_found(Thing::User, user));
                }
                if rows::count_keys(&mut tx, self.user.as_ref())? >= PER_USER_MAX {
                    return Err(Failure::Limit {
                        what: "AccessKeys of a user",
                        max: PER_USER_MAX,
                        thing: Thing::AccessKey,
                    });
                }
                rows::insert_key(&mut tx, self.user.as_ref(), &row, now)?;
                Ok(())
            })
            .await?;
        Ok(shown)
    }

    fn outcome_detail(key: &NewAccessKey) -> Map<String, Value> {
        parameters(json!({ "accessKeyId": key.id.as_str() }))
    }
}

/// Lists a user's AccessKeys, or root's when no user is named.
#[derive(Clone, Debug)]
pub struct ListAccessKeys {
    /// The tenant.
    pub tenant: TenantId,
    /// The user; none means root.
    pub user: Option<UserName>,
}

impl Operation for ListAccessKeys {
    type Output = Vec<AccessKey>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "ram:ListAccessKeys", self.user.as_ref(), false)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<AccessKey>, Failure> {
        house
            .db
            .read(move |tx| {
                rows::keys(&mut tx.tenant(&self.tenant), self.user.as_ref()).map_err(Failure::from)
            })
            .await
    }
}

fn asked(tenant: &TenantId, action: &'static str, user: Option<&UserName>, write: bool) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: user.map_or_else(|| Arn::ram(tenant, "root"), |u| Arn::user(tenant, u)),
        resource_type: "ACS::RAM::AccessKey",
        class: Class::Management { write },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(json!({ "UserName": user.map(UserName::as_str) })),
        continues: None,
    }
}

fn secret_aad(tenant: &TenantId, id: &AccessKeyId) -> Vec<u8> {
    aad(&[b"bailee/access-key/v1", tenant.as_str().as_bytes(), id.as_str().as_bytes()])
}
