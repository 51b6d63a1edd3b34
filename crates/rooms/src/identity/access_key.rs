//! AccessKeys: sealed secrets, and the proof that a request was signed with one.

use std::sync::Arc;

use bailee_crypto::seal::aad;
use bailee_policy::PolicySet;
use bailee_types::{
    AccessKeyId, SecretText, TenantAlias, TenantId, Timestamp, UserId, UserName, random_text,
};
use serde_json::{Value, json};

use super::act::{Act, Cx, head};
use super::rows::{key, user as user_rows};
use super::{key_network, policy, rows, still_fresh, user};
use crate::gate::{Caller, Origin, Principal};
use crate::house::Counters;
use crate::{Failure, House, Thing};

/// AccessKeys a user may have (contract §5): two, so that one can be rotated while the other works.
pub(super) const PER_USER_MAX: u64 = 2;
const CACHED_MAX: usize = 10_000;
/// Nonces are remembered for twice the permitted clock skew of 15 minutes.
const NONCE_MS: i64 = 30 * 60_000;
/// How exact "last used" is: a key that is used all the time is written once in this time.
const LAST_USED_MS: i64 = 60_000;
pub(super) const SECRET_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// An AccessKey without its secret.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// Whether it may be used.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last switched on or off.
    pub updated_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// For which service (`Ram`, `Oss`, …).
    pub last_service: Option<String>,
    /// With which signature.
    pub last_scheme: Option<String>,
}

impl AccessKey {
    /// `Active` or `Inactive`, as the wire spells it.
    pub fn status(&self) -> &'static str {
        if self.active { "Active" } else { "Inactive" }
    }
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

/// What a signed request says of itself, beside its signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// The AccessKey id.
    pub access_key_id: &'a str,
    /// The session token, where one was sent.
    pub token: Option<&'a str>,
    /// The nonce, where the scheme has one; burnt with the intent of the act.
    pub nonce: Option<&'a str>,
    /// The service that was called, e.g. `Ram`.
    pub service: &'static str,
    /// The signature's scheme, e.g. `ACS3-HMAC-SHA256`.
    pub scheme: &'static str,
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
    /// The key is a role session's, and the token is missing.
    TokenMissing,
    /// The token is not one of ours, or was changed.
    TokenMalformed,
    /// The token belongs to another AccessKey, or the AccessKey needs none.
    TokenMismatch,
    /// The session is over, was revoked, or its role is gone.
    TokenExpired,
    /// The key could not be looked up.
    Failed(Failure),
}

pub(super) struct Cached {
    read_at: Timestamp,
    active: bool,
    secret: SecretText,
    owner: KeyOwner,
    bound: key_network::Bound,
    last_used_ms: std::sync::atomic::AtomicI64,
}

struct KeyOwner {
    tenant: TenantId,
    alias: TenantAlias,
    user: Option<(UserId, UserName, Arc<PolicySet>)>,
}

impl House {
    /// Makes a caller of a signed request: `verify` gets the secret and says whether the signature is right.
    ///
    /// # Errors
    /// When the key is unknown or inactive, the token does not belong to it or is over, or `verify` refuses.
    pub async fn authenticate<T, E>(
        &self,
        presented: Presented<'_>,
        origin: Origin,
        verify: impl FnOnce(&SecretText) -> Result<T, E>,
    ) -> Result<(Caller, T), AuthError<E>> {
        let Ok(id) = AccessKeyId::parse(presented.access_key_id) else { return Err(AuthError::UnknownKey) };
        let failed = |e| {
            Counters::add(&self.counters().sign_in_failures, 1);
            AuthError::Signature(e)
        };
        let (mut off_network, mut bound) = (false, None);
        let (principal, verified) = if id.is_session() {
            let token = presented.token.ok_or(AuthError::TokenMissing)?;
            let opened = self.open_token(&id, token)?;
            let verified = verify(&opened.secret).map_err(failed)?;
            (self.session_principal(opened).await?, verified)
        } else if id.is_grant() {
            // Good for objects and nothing else.
            if presented.service != "Oss" {
                return Err(AuthError::UnknownKey);
            }
            let (tenant, secret) =
                self.open_grant_token(&id, presented.token.ok_or(AuthError::TokenMissing)?)?;
            let verified = verify(&secret).map_err(failed)?;
            let (principal, to) = self.grant_principal(&tenant, &id).await?;
            bound = Some(to);
            (principal, verified)
        } else {
            let cached =
                self.cached_key(&id).await.map_err(AuthError::Failed)?.ok_or(AuthError::UnknownKey)?;
            let verified = verify(&cached.secret).map_err(failed)?;
            if !cached.active {
                return Err(AuthError::Inactive);
            }
            if presented.token.is_some() {
                return Err(AuthError::TokenMismatch);
            }
            // The signature is right, so that it is the key's holder who is told; the gate refuses him and records it.
            off_network = !cached.bound.allows(&origin.source_ip);
            if !off_network {
                self.note_use(&id, &cached, presented);
            }
            (cached.owner.principal(), verified)
        };
        let nonce = presented.nonce.map(|nonce| crate::gate::Nonce {
            access_key_id: id.to_string(),
            nonce: nonce.to_owned(),
            expires_at: self.now().plus_ms(NONCE_MS),
        });
        let mut caller = Caller::new(principal, origin).with_key(id).with_nonce(nonce);
        if let Some(bound) = bound {
            caller = caller.bound_to(bound);
        }
        Ok((if off_network { caller.off_network() } else { caller }, verified))
    }

    async fn cached_key(&self, id: &AccessKeyId) -> Result<Option<Arc<Cached>>, Failure> {
        let now = self.now();
        if let Some(found) = self.identity.keys.read().get(id.as_str())
            && still_fresh(found.read_at, now)
        {
            return Ok(Some(Arc::clone(found)));
        }
        let wanted = id.clone();
        let Some(row) = self.db.read(move |tx| key::by_id(tx, &wanted).map_err(Failure::from)).await? else {
            return Ok(None);
        };
        let secret = self.open_key_secret(&row.tenant, id, &row.sealed_secret)?;
        let user = match row.user {
            None => None,
            Some((user_id, name)) => {
                let policies = self.policies_of_user(&row.tenant, &user_id).await?;
                Some((user_id, name, policies))
            }
        };
        let (tenant, of) = (row.tenant.clone(), id.clone());
        let bound = self
            .db
            .read(move |tx| key_network::Bound::load(&mut tx.tenant(&tenant), &of).map_err(Failure::from))
            .await?;
        let cached = Arc::new(Cached {
            read_at: now,
            active: row.active,
            secret,
            owner: KeyOwner { tenant: row.tenant, alias: row.alias, user },
            bound,
            last_used_ms: row.last_used_at.map_or(0, Timestamp::ms).into(),
        });
        let mut keys = self.identity.keys.write();
        if keys.len() >= CACHED_MAX {
            keys.clear();
        }
        keys.insert(id.to_string(), Arc::clone(&cached));
        Ok(Some(cached))
    }

    /// Notes that a key was used, at most once a minute and without making the caller wait.
    fn note_use(&self, id: &AccessKeyId, cached: &Cached, presented: Presented<'_>) {
        use std::sync::atomic::Ordering::Relaxed;
        let now = self.now();
        let before = cached.last_used_ms.load(Relaxed);
        if now.ms() - before < LAST_USED_MS
            || cached.last_used_ms.compare_exchange(before, now.ms(), Relaxed, Relaxed).is_err()
        {
            return;
        }
        let (db, id) = (self.db.clone(), id.clone());
        let (service, scheme) = (presented.service, presented.scheme);
        let user = cached.owner.user.as_ref().map(|(id, _, _)| id.to_string());
        let tenant = cached.owner.tenant.clone();
        tokio::spawn(async move {
            let noted = db
                .write(move |tx| {
                    key::note_use(tx, &id, service, scheme, now)?;
                    if let Some(user) = user {
                        user_rows::note_active(&mut tx.tenant(&tenant), &user, now)?;
                    }
                    Ok::<_, Failure>(())
                })
                .await;
            if let Err(e) = noted {
                tracing::warn!("failed to note the use of an AccessKey: {e}");
            }
        });
    }

    /// What the policies say that are on a user and on the groups he is in, compiled.
    pub(super) async fn policies_of_user(
        &self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Arc<PolicySet>, Failure> {
        let (tenant, user) = (tenant.clone(), user.clone());
        let attached = self
            .db
            .read(move |tx| {
                rows::policy::on_user(&mut tx.tenant(&tenant), user.as_str()).map_err(Failure::from)
            })
            .await?;
        policy::compile(attached)
    }

    /// Forgets what was read of AccessKeys, roles and policies, after a change.
    pub(super) fn forget_cached_keys(&self) {
        self.identity.keys.write().clear();
        self.identity.roles.write().clear();
    }

    /// A new AccessKey as a row to insert, and as what is shown once.
    pub(super) fn new_access_key(
        &self,
        tenant: &TenantId,
        now: Timestamp,
    ) -> (rows::key::NewKey, NewAccessKey) {
        let (id, secret) = draw_access_key();
        let row = self.seal_access_key(tenant, id.clone(), &secret);
        (row, NewAccessKey { id, secret, created_at: now })
    }

    /// An AccessKey as a row to insert.
    pub(super) fn seal_access_key(
        &self,
        tenant: &TenantId,
        id: AccessKeyId,
        secret: &SecretText,
    ) -> rows::key::NewKey {
        let aad = secret_aad(tenant, &id);
        let sealed_secret = self.identity.credentials.seal(&aad, secret.expose().as_bytes());
        rows::key::NewKey { id, sealed_secret }
    }

    pub(super) fn open_key_secret(
        &self,
        tenant: &TenantId,
        id: &AccessKeyId,
        sealed: &[u8],
    ) -> Result<SecretText, Failure> {
        let secret = self
            .identity
            .credentials
            .open(&secret_aad(tenant, id), sealed)
            .map_err(|_| Failure::Damaged(format!("the secret of AccessKey `{id}` does not open")))?;
        String::from_utf8(secret.expose().to_vec())
            .map(SecretText::new)
            .map_err(|_| Failure::Damaged(format!("the secret of AccessKey `{id}` is not text")))
    }
}

/// Id and secret of an AccessKey that is nobody's yet.
pub(crate) fn draw_access_key() -> (AccessKeyId, SecretText) {
    (AccessKeyId::random(), SecretText::new(random_text(SECRET_ALPHABET, 30)))
}

impl KeyOwner {
    fn principal(&self) -> Principal {
        let (tenant, alias) = (self.tenant.clone(), self.alias.clone());
        match &self.user {
            None => Principal::Root { tenant, alias },
            Some((id, name, policies)) => Principal::User {
                tenant,
                alias,
                id: id.clone(),
                name: name.clone(),
                policies: Arc::clone(policies),
            },
        }
    }
}

/// Whose AccessKey it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The account's root.
    Root,
    /// A RAM user.
    User(UserName),
}

impl Owner {
    pub(super) fn relative(&self) -> String {
        match self {
            Self::Root => "root".into(),
            Self::User(name) => format!("user/{name}"),
        }
    }

    fn id(&self, cx: &mut Cx<'_, '_, '_>) -> Result<String, Failure> {
        Ok(match self {
            Self::Root => "root".into(),
            Self::User(name) => user::found(cx, name)?.id.to_string(),
        })
    }

    fn detail(&self) -> Value {
        match self {
            Self::Root => json!({}),
            Self::User(name) => json!({ "UserName": name.as_str() }),
        }
    }

    pub(super) fn with_key(&self, id: &AccessKeyId) -> Value {
        let mut detail = self.detail();
        if let Some(map) = detail.as_object_mut() {
            map.insert("UserAccessKeyId".into(), id.as_str().into());
        }
        detail
    }
}

/// Creates an AccessKey.
#[derive(Clone, Debug)]
pub struct CreateAccessKey {
    /// For whom.
    pub owner: Owner,
}

/// Someone's AccessKeys.
#[derive(Clone, Debug)]
pub struct ListAccessKeys {
    /// Whose.
    pub owner: Owner,
}

/// Switches an AccessKey on or off.
#[derive(Clone, Debug)]
pub struct UpdateAccessKey {
    /// Whose.
    pub owner: Owner,
    /// Which.
    pub id: AccessKeyId,
    /// Whether it may be used.
    pub active: bool,
}

/// Deletes an AccessKey for good.
#[derive(Clone, Debug)]
pub struct DeleteAccessKey {
    /// Whose.
    pub owner: Owner,
    /// Which.
    pub id: AccessKeyId,
}

/// When an AccessKey was last used, and for what.
#[derive(Clone, Debug)]
pub struct GetAccessKeyLastUsed {
    /// Whose.
    pub owner: Owner,
    /// Which.
    pub id: AccessKeyId,
}

/// A key of this owner; another's is as if it were not there.
pub(super) fn found(cx: &mut Cx<'_, '_, '_>, owner: &Owner, id: &AccessKeyId) -> Result<AccessKey, Failure> {
    let owner = owner.id(cx)?;
    key::list(cx.tx, &owner)?
        .into_iter()
        .find(|k| k.id == *id)
        .ok_or_else(|| Failure::not_found(Thing::AccessKey, id))
}

impl Act for CreateAccessKey {
    type Output = NewAccessKey;
    head!("ACS::RAM::AccessKey", write, "ram:CreateAccessKey", |s| [s.owner.relative()], |s| s
        .owner
        .detail());

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<NewAccessKey, Failure> {
        let owner = self.owner.id(cx)?;
        if key::count(cx.tx, &owner)? >= PER_USER_MAX {
            return Err(Failure::limit(Thing::AccessKey, "AccessKeys of one user", PER_USER_MAX));
        }
        let tenant = cx.tx.id().clone();
        let (row, shown) = cx.house.new_access_key(&tenant, cx.now);
        key::insert(cx.tx, &owner, &row, cx.now)?;
        Ok(shown)
    }

    fn outcome(key: &NewAccessKey) -> Value {
        json!({ "accessKeyId": key.id.as_str() })
    }
}

impl Act for ListAccessKeys {
    type Output = Vec<AccessKey>;
    head!("ACS::RAM::AccessKey", read, "ram:ListAccessKeys", |s| [s.owner.relative()], |s| s.owner.detail());

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Vec<AccessKey>, Failure> {
        let owner = self.owner.id(cx)?;
        Ok(key::list(cx.tx, &owner)?)
    }
}

impl Act for UpdateAccessKey {
    type Output = ();
    head!("ACS::RAM::AccessKey", write, "ram:UpdateAccessKey", |s| [s.owner.relative()], |s| s
        .owner
        .with_key(&s.id));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        found(cx, &self.owner, &self.id)?;
        key::set_status(cx.tx, &self.id, self.active, cx.now)?;
        Ok(())
    }
}

impl Act for DeleteAccessKey {
    type Output = ();
    head!("ACS::RAM::AccessKey", write, "ram:DeleteAccessKey", |s| [s.owner.relative()], |s| s
        .owner
        .with_key(&s.id));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        found(cx, &self.owner, &self.id)?;
        key::delete(cx.tx, &self.id)?;
        key_network::forget(cx.tx, &self.id)?;
        Ok(())
    }
}

impl Act for GetAccessKeyLastUsed {
    type Output = AccessKey;
    head!("ACS::RAM::AccessKey", read, "ram:GetAccessKeyLastUsed", |s| [s.owner.relative()], |s| s
        .owner
        .with_key(&s.id));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<AccessKey, Failure> {
        found(cx, &self.owner, &self.id)
    }
}

/// Whether a tenant has this key.
pub(crate) fn has_access_key(
    tx: &mut bailee_store::Tx<'_>,
    tenant: &TenantId,
    id: &AccessKeyId,
) -> Result<bool, bailee_store::StoreError> {
    Ok(key::by_id(tx, id)?.is_some_and(|row| row.tenant == *tenant))
}

pub(super) fn secret_aad(tenant: &TenantId, id: &AccessKeyId) -> Vec<u8> {
    aad(&[b"bailee/access-key/v1", tenant.as_str().as_bytes(), id.as_str().as_bytes()])
}

impl House {
    /// The user whose AccessKey this is; none for root's and for keys that are not the tenant's. Asks nothing: the act
    /// that uses it does.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn key_owner(&self, tenant: &TenantId, id: &AccessKeyId) -> Result<Option<UserName>, Failure> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.db
            .read(move |tx| {
                let found = key::by_id(tx, &id)?.filter(|k| k.tenant == tenant);
                Ok(found.and_then(|k| k.user).map(|(_, name)| name))
            })
            .await
    }
}
