//! What lies under the key of credentials, sealed under another: when the root key is renewed.
//!
//! Half-done enrolments of second factors are left: they are begun anew.

use bailee_crypto::seal::SealingKey;
use bailee_store::Tx;
use bailee_types::SecretBytes;

use super::{access_key, mfa, rows, sso};
use crate::Failure;

pub(crate) fn reseal(tx: &mut Tx<'_>, old: &SealingKey, new: &SealingKey) -> Result<(), Failure> {
    let open = |place: &[u8], sealed: &[u8], what: &dyn std::fmt::Display| -> Result<SecretBytes, Failure> {
        old.open(place, sealed).map_err(|_| Failure::Damaged(format!("{what} does not open")))
    };
    for (id, tenant, sealed) in rows::key::every_secret(tx)? {
        let place = access_key::secret_aad(&tenant, &id);
        let plain = open(&place, &sealed, &format_args!("the secret of AccessKey `{id}`"))?;
        rows::key::reseal(tx, &id, &new.seal(&place, plain.expose()))?;
    }
    for (tenant, name, sealed) in rows::mfa::every_seed(tx)? {
        let place = mfa::seed_aad(&tenant, &name);
        let plain = open(&place, &sealed, &format_args!("the seed of the MFA device `{name}`"))?;
        rows::mfa::reseal(&mut tx.tenant(&tenant), &name, &new.seal(&place, plain.expose()))?;
    }
    for tenant in rows::setting::with(tx, sso::SETTING)? {
        sso::reseal(&mut tx.tenant(&tenant), &tenant, old, new)?;
    }
    Ok(())
}
