//! Rows of console passwords.

use bailee_store::{StoreError, TenantTx};
use bailee_types::Timestamp;

use crate::identity::{LoginProfile, User};

/// Hashes of passwords that were used before, at most.
const PREVIOUS_MAX: usize = 24;

pub(in crate::identity) fn of_user(
    tx: &mut TenantTx<'_, '_>,
    user: &User,
) -> Result<Option<LoginProfile>, StoreError> {
    tx.query_opt(
        "SELECT must_reset, mfa_required, status, created_at_ms, updated_at_ms FROM login_profile \
         WHERE tenant_id = $1 AND user_id = $2",
        &[user.id.as_str().into()],
    )?
    .map(|r| {
        Ok(LoginProfile {
            user: user.name.clone(),
            must_reset: r.int(0)? == 1,
            mfa_required: r.int(1)? == 1,
            active: r.text(2)? == "Active",
            created_at: Timestamp::from_ms(r.int(3)?),
            updated_at: Timestamp::from_ms(r.int(4)?),
        })
    })
    .transpose()
}

pub(in crate::identity) fn password(
    tx: &mut TenantTx<'_, '_>,
    user: &str,
) -> Result<Option<String>, StoreError> {
    tx.query_opt(
        "SELECT password_hash FROM login_profile WHERE tenant_id = $1 AND user_id = $2",
        &[user.into()],
    )?
    .map(|r| r.text(0).map(str::to_owned))
    .transpose()
}

/// When the password was set.
pub(in crate::identity) fn password_age(
    tx: &mut TenantTx<'_, '_>,
    user: &str,
) -> Result<Option<Timestamp>, StoreError> {
    tx.query_opt(
        "SELECT password_set_at_ms FROM login_profile WHERE tenant_id = $1 AND user_id = $2",
        &[user.into()],
    )?
    .map(|r| r.int(0).map(Timestamp::from_ms))
    .transpose()
}

/// The present hash and those before it, newest first, `count` in all.
pub(in crate::identity) fn hashes(
    tx: &mut TenantTx<'_, '_>,
    user: &str,
    count: u32,
) -> Result<Vec<String>, StoreError> {
    let row = tx.query_opt(
        "SELECT password_hash, previous_hashes FROM login_profile WHERE tenant_id = $1 AND user_id = $2",
        &[user.into()],
    )?;
    let Some(r) = row else { return Ok(Vec::new()) };
    let all = std::iter::once(r.text(0)?).chain(r.text(1)?.lines());
    Ok(all.take(count as usize).map(str::to_owned).collect())
}

pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    user: &str,
    hash: &str,
    profile: &LoginProfile,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO login_profile (tenant_id, user_id, password_hash, previous_hashes, must_reset, mfa_required, \
         status, created_at_ms, updated_at_ms, password_set_at_ms) VALUES ($1, $2, $3, '', $4, $5, $6, $7, $7, $7)",
        &[
            user.into(),
            hash.into(),
            profile.must_reset.into(),
            profile.mfa_required.into(),
            status(profile).into(),
            profile.created_at.ms().into(),
        ],
    )
    .map(drop)
}

pub(in crate::identity) fn update(
    tx: &mut TenantTx<'_, '_>,
    user: &str,
    profile: &LoginProfile,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE login_profile SET must_reset = $3, mfa_required = $4, status = $5, updated_at_ms = $6 \
         WHERE tenant_id = $1 AND user_id = $2",
        &[
            user.into(),
            profile.must_reset.into(),
            profile.mfa_required.into(),
            status(profile).into(),
            profile.updated_at.ms().into(),
        ],
    )
    .map(drop)
}

fn status(profile: &LoginProfile) -> &'static str {
    if profile.active { "Active" } else { "Inactive" }
}

/// Replaces the password; the old hash is remembered.
pub(in crate::identity) fn set_password(
    tx: &mut TenantTx<'_, '_>,
    user: &str,
    hash: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let previous = hashes(tx, user, PREVIOUS_MAX as u32)?.join("\n");
    tx.execute(
        "UPDATE login_profile SET password_hash = $3, previous_hashes = $4, password_set_at_ms = $5, \
         updated_at_ms = $5 WHERE tenant_id = $1 AND user_id = $2",
        &[user.into(), hash.into(), (&previous).into(), now.ms().into()],
    )
    .map(drop)
}

pub(in crate::identity) fn delete(tx: &mut TenantTx<'_, '_>, user: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM login_profile WHERE tenant_id = $1 AND user_id = $2", &[user.into()]).map(drop)
}
