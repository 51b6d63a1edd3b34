//! What of an account's people goes when it is closed.

use bailee_store::{StoreError, Tx};
use bailee_types::TenantId;

/// Tables by what they hold, in an order that leaves no reference behind.
const TABLES: &[(&str, &str)] = &[
    ("sessions", "web_session"),
    ("rememberedDevices", "known_device"),
    ("accessKeys", "access_key"),
    ("passwords", "login_profile"),
    ("passkeys", "passkey"),
    ("mfaDevices", "mfa_device"),
    ("recoveryCodes", "recovery_code"),
    ("attachments", "ram_attached"),
    ("memberships", "ram_membership"),
    ("tags", "ram_tag"),
    ("policyVersions", "ram_policy_version"),
    ("policies", "ram_policy"),
    ("identityProviders", "ram_provider"),
    ("roles", "ram_role"),
    ("groups", "ram_group"),
    ("users", "ram_user"),
    ("settings", "tenant_setting"),
];

/// Deletes people, keys, roles and policies, and closes the account to everybody; counts by what they were.
pub(in crate::identity) fn erase(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let mut own = tx.tenant(tenant);
    let mut out = Vec::new();
    for (what, table) in TABLES {
        let gone = own.execute(&format!("DELETE FROM {table} WHERE tenant_id = $1"), &[])?;
        if gone > 0 {
            out.push((*what, gone));
        }
    }
    own.execute(
        "UPDATE tenant SET state = 'suspended', root_password_hash = NULL WHERE tenant_id = $1",
        &[],
    )?;
    Ok(out)
}
