//! Console passwords: login profiles, the tenant's password policy, and changing one's own.

use std::sync::Arc;

use bailee_types::{SecretText, TenantId, Timestamp, UserName};
use serde_json::json;

use super::act::{Act, Cx, head};
use super::rows::{device, login, session, user as user_rows};
use super::settings::PasswordPolicy;
use super::throttle::FREE_ATTEMPTS;
use super::user;
use crate::{Failure, House, Thing};

/// A user's leave to sign in to the console with a password.
#[derive(Clone, Debug)]
pub struct LoginProfile {
    /// The user.
    pub user: UserName,
    /// Whether a new password must be chosen at the next sign-in.
    pub must_reset: bool,
    /// Whether an MFA device must be bound.
    pub mfa_required: bool,
    /// Whether it may be used.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A password, and what it became.
#[derive(Clone)]
pub(super) struct Secret {
    plain: SecretText,
    hash: Option<String>,
}

impl Secret {
    pub(super) fn new(plain: SecretText) -> Self {
        Self { plain, hash: None }
    }

    async fn hash(&mut self, house: &Arc<House>) -> Result<(), Failure> {
        self.hash = Some(house.hash_password(self.plain.clone(), house.identity.user_cost).await?);
        Ok(())
    }

    fn hashed(&self) -> Result<&str, Failure> {
        self.hash.as_deref().ok_or_else(|| Failure::Bug("a password was not hashed".into()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Gives a user a console password.
#[derive(Clone, Debug)]
pub struct CreateLoginProfile {
    user: UserName,
    secret: Secret,
    must_reset: bool,
    mfa_required: bool,
    active: bool,
}

/// A user's login profile.
#[derive(Clone, Debug)]
pub struct GetLoginProfile {
    /// The user.
    pub user: UserName,
}

/// Changes a user's password or its rules; what is `None` stays. A new password ends his sessions.
#[derive(Clone, Debug)]
pub struct UpdateLoginProfile {
    user: UserName,
    secret: Option<Secret>,
    must_reset: Option<bool>,
    mfa_required: Option<bool>,
    active: Option<bool>,
}

/// Takes the console password away; sessions end.
#[derive(Clone, Debug)]
pub struct DeleteLoginProfile {
    /// The user.
    pub user: UserName,
}

/// A user changes his own password.
#[derive(Clone, Debug)]
pub struct ChangePassword {
    user: UserName,
    old: Secret,
    new: Secret,
}

impl CreateLoginProfile {
    /// A profile that may be used at once.
    pub fn new(user: UserName, password: SecretText) -> Self {
        Self { user, secret: Secret::new(password), must_reset: false, mfa_required: false, active: true }
    }

    /// Whether a new password must be chosen at the first sign-in, and an MFA device bound.
    #[must_use]
    pub fn demanding(mut self, must_reset: bool, mfa_required: bool) -> Self {
        (self.must_reset, self.mfa_required) = (must_reset, mfa_required);
        self
    }

    /// Whether it may be used.
    #[must_use]
    pub fn active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }
}

impl UpdateLoginProfile {
    /// What is `None` stays.
    pub fn new(
        user: UserName,
        password: Option<SecretText>,
        must_reset: Option<bool>,
        mfa_required: Option<bool>,
        active: Option<bool>,
    ) -> Self {
        Self { user, secret: password.map(Secret::new), must_reset, mfa_required, active }
    }
}

impl ChangePassword {
    /// The user proves himself with the old password once more.
    pub fn new(user: UserName, old: SecretText, new: SecretText) -> Self {
        Self { user, old: Secret::new(old), new: Secret::new(new) }
    }
}

impl House {
    /// Refuses a password that the tenant's policy or its history does not allow.
    pub(super) async fn check_new_password(
        &self,
        tenant: &TenantId,
        user: &UserName,
        password: &SecretText,
    ) -> Result<(), Failure> {
        let (t, name) = (tenant.clone(), user.clone());
        let (policy, hashes) = self
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&t);
                let policy = PasswordPolicy::load(&mut tx)?;
                let hashes = match user_rows::by_name(&mut tx, &name)? {
                    Some(user) => login::hashes(&mut tx, user.id.as_str(), policy.reuse_prevention)?,
                    None => Vec::new(),
                };
                Ok::<_, Failure>((policy, hashes))
            })
            .await?;
        policy.check(password, user)?;
        for hash in hashes {
            if self.password_fits(password.clone(), Some(hash), self.identity.user_cost).await? {
                let n = policy.reuse_prevention;
                return Err(Failure::invalid("Password", format!("must differ from the last {n} passwords")));
            }
        }
        Ok(())
    }
}

fn found(cx: &mut Cx<'_, '_, '_>, name: &UserName) -> Result<(String, LoginProfile), Failure> {
    let user = user::found(cx, name)?;
    let profile =
        login::of_user(cx.tx, &user)?.ok_or_else(|| Failure::not_found(Thing::LoginProfile, name))?;
    Ok((user.id.to_string(), profile))
}

impl Act for CreateLoginProfile {
    type Output = LoginProfile;
    head!(
        "ACS::RAM::User",
        write,
        "ram:CreateLoginProfile",
        |s| [format!("user/{}", s.user)],
        |s| json!({ "UserName": s.user.as_str(), "MFABindRequired": s.mfa_required, "PasswordResetRequired": s.must_reset })
    );

    async fn prepare(&mut self, house: &Arc<House>, tenant: &TenantId) -> Result<(), Failure> {
        house.check_new_password(tenant, &self.user, &self.secret.plain).await?;
        self.secret.hash(house).await
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<LoginProfile, Failure> {
        let user = user::found(cx, &self.user)?;
        if login::of_user(cx.tx, &user)?.is_some() {
            return Err(Failure::exists(Thing::LoginProfile, &self.user));
        }
        let profile = LoginProfile {
            user: self.user,
            must_reset: self.must_reset,
            mfa_required: self.mfa_required,
            active: self.active,
            created_at: cx.now,
            updated_at: cx.now,
        };
        login::insert(cx.tx, user.id.as_str(), self.secret.hashed()?, &profile)?;
        Ok(profile)
    }
}

impl Act for GetLoginProfile {
    type Output = LoginProfile;
    head!(
        "ACS::RAM::User",
        read,
        "ram:GetLoginProfile",
        |s| [format!("user/{}", s.user)],
        |s| json!({ "UserName": s.user.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<LoginProfile, Failure> {
        Ok(found(cx, &self.user)?.1)
    }
}

impl Act for UpdateLoginProfile {
    type Output = LoginProfile;
    head!(
        "ACS::RAM::User",
        write,
        "ram:UpdateLoginProfile",
        |s| [format!("user/{}", s.user)],
        |s| json!({ "UserName": s.user.as_str(), "Password": s.secret.is_some(), "MFABindRequired": s.mfa_required,
                    "PasswordResetRequired": s.must_reset })
    );

    async fn prepare(&mut self, house: &Arc<House>, tenant: &TenantId) -> Result<(), Failure> {
        if let Some(secret) = &mut self.secret {
            house.check_new_password(tenant, &self.user, &secret.plain).await?;
            secret.hash(house).await?;
        }
        Ok(())
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<LoginProfile, Failure> {
        let (id, mut profile) = found(cx, &self.user)?;
        profile.must_reset = self.must_reset.unwrap_or(profile.must_reset);
        profile.mfa_required = self.mfa_required.unwrap_or(profile.mfa_required);
        profile.active = self.active.unwrap_or(profile.active);
        profile.updated_at = cx.now;
        login::update(cx.tx, &id, &profile)?;
        if let Some(secret) = &self.secret {
            login::set_password(cx.tx, &id, secret.hashed()?, cx.now)?;
        }
        if self.secret.is_some() || !profile.active {
            session::end_all(cx.tx, &format!("user/{id}"))?;
            device::forget_all(cx.tx, &format!("user/{id}"))?;
        }
        Ok(profile)
    }
}

impl Act for DeleteLoginProfile {
    type Output = ();
    head!(
        "ACS::RAM::User",
        write,
        "ram:DeleteLoginProfile",
        |s| [format!("user/{}", s.user)],
        |s| json!({ "UserName": s.user.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let (id, _) = found(cx, &self.user)?;
        login::delete(cx.tx, &id)?;
        session::end_all(cx.tx, &format!("user/{id}"))?;
        device::forget_all(cx.tx, &format!("user/{id}"))?;
        Ok(())
    }
}

impl Act for ChangePassword {
    type Output = ();
    head!(
        "ACS::RAM::User",
        write,
        "ram:ChangePassword",
        |s| [format!("user/{}", s.user)],
        |s| json!({ "UserName": s.user.as_str() })
    );

    async fn prepare(&mut self, house: &Arc<House>, tenant: &TenantId) -> Result<(), Failure> {
        let label = format!("t:{tenant}:change:{}", self.user);
        house.check_throttle(&label)?;
        let (t, name) = (tenant.clone(), self.user.clone());
        let hash = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&t);
                let Some(user) = user_rows::by_name(&mut tx, &name)? else { return Ok(None) };
                Ok::<_, Failure>(login::password(&mut tx, user.id.as_str())?)
            })
            .await?;
        if !house.password_fits(self.old.plain.clone(), hash, house.identity.user_cost).await? {
            house.note_failure(&label, FREE_ATTEMPTS);
            return Err(Failure::invalid("OldPassword", "is wrong"));
        }
        house.forget_failures(&label);
        house.check_new_password(tenant, &self.user, &self.new.plain).await?;
        self.new.hash(house).await
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let (id, mut profile) = found(cx, &self.user)?;
        login::set_password(cx.tx, &id, self.new.hashed()?, cx.now)?;
        profile.must_reset = false;
        profile.updated_at = cx.now;
        login::update(cx.tx, &id, &profile)?;
        // Whoever else knew the old password is out; the one session that changed it signs in again as well.
        session::end_all(cx.tx, &format!("user/{id}"))?;
        device::forget_all(cx.tx, &format!("user/{id}"))?;
        Ok(())
    }
}
