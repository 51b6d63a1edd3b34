//! Rows of second factors: virtual devices, passkeys, recovery codes.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantId, Timestamp};

use super::count_of;
use crate::identity::{MfaDevice, Passkey};

/// A device with its sealed seed.
pub(in crate::identity) struct DeviceRow {
    pub(in crate::identity) device: MfaDevice,
    pub(in crate::identity) sealed_seed: Vec<u8>,
    pub(in crate::identity) last_step: u64,
}

const DEVICE: &str = "SELECT device_name, holder, created_at_ms, activated_at_ms, sealed_seed, last_step \
     FROM mfa_device WHERE tenant_id = $1 ";

fn read(r: &Row) -> Result<DeviceRow, StoreError> {
    Ok(DeviceRow {
        device: MfaDevice {
            name: r.text(0)?.to_owned(),
            holder: r.opt_text(1)?.map(str::to_owned),
            created_at: Timestamp::from_ms(r.int(2)?),
            activated_at: r.opt_int(3)?.map(Timestamp::from_ms),
        },
        sealed_seed: r.blob(4)?.to_vec(),
        last_step: r.uint(5)?,
    })
}

pub(in crate::identity) fn by_name(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
) -> Result<Option<DeviceRow>, StoreError> {
    tx.query_opt(&format!("{DEVICE} AND device_name = $2"), &[name.into()])?.as_ref().map(read).transpose()
}

pub(in crate::identity) fn of_holder(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
) -> Result<Option<DeviceRow>, StoreError> {
    tx.query_opt(&format!("{DEVICE} AND holder = $2"), &[holder.into()])?.as_ref().map(read).transpose()
}

pub(in crate::identity) fn all(tx: &mut TenantTx<'_, '_>) -> Result<Vec<MfaDevice>, StoreError> {
    tx.query(&format!("{DEVICE} ORDER BY device_name"), &[])?.iter().map(|r| Ok(read(r)?.device)).collect()
}

pub(in crate::identity) fn count(tx: &mut TenantTx<'_, '_>) -> Result<u64, StoreError> {
    count_of(tx.query_opt("SELECT count(*) FROM mfa_device WHERE tenant_id = $1", &[])?)
}

/// False when the name is taken.
pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
    sealed_seed: &[u8],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO mfa_device (tenant_id, device_name, sealed_seed, last_step, created_at_ms) \
         VALUES ($1, $2, $3, 0, $4) ON CONFLICT DO NOTHING",
        &[name.into(), sealed_seed.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn bind(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
    holder: &str,
    step: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE mfa_device SET holder = $3, last_step = $4, activated_at_ms = $5 \
         WHERE tenant_id = $1 AND device_name = $2",
        &[name.into(), holder.into(), (step as i64).into(), now.ms().into()],
    )
    .map(drop)
}

/// False when this step, or a later one, was used meanwhile: a code works once.
pub(in crate::identity) fn use_step(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
    step: u64,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "UPDATE mfa_device SET last_step = $3 WHERE tenant_id = $1 AND device_name = $2 AND last_step < $3",
        &[name.into(), (step as i64).into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn delete(tx: &mut TenantTx<'_, '_>, name: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM mfa_device WHERE tenant_id = $1 AND device_name = $2", &[name.into()]).map(drop)
}

const PASSKEY: &str = "SELECT credential_id, label, record, created_at_ms, last_used_at_ms FROM passkey ";

pub(in crate::identity) fn passkeys(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
) -> Result<Vec<Passkey>, StoreError> {
    tx.query(
        &format!("{PASSKEY} WHERE tenant_id = $1 AND holder = $2 ORDER BY created_at_ms, credential_id"),
        &[holder.into()],
    )?
    .iter()
    .map(passkey)
    .collect()
}

fn passkey(r: &Row) -> Result<Passkey, StoreError> {
    Ok(Passkey {
        id: r.text(0)?.to_owned(),
        label: r.text(1)?.to_owned(),
        record: r.text(2)?.to_owned(),
        created_at: Timestamp::from_ms(r.int(3)?),
        last_used_at: r.opt_int(4)?.map(Timestamp::from_ms),
    })
}

/// Passkeys with this id, and whose they are. A tenant's people cannot bind one twice; another tenant's may.
pub(in crate::identity) fn passkeys_of_credential(
    tx: &mut Tx<'_>,
    id: &str,
) -> Result<Vec<(TenantId, String, Passkey)>, StoreError> {
    tx.query(
        "SELECT credential_id, label, record, created_at_ms, last_used_at_ms, tenant_id, holder FROM passkey \
         WHERE credential_id = $1",
        &[id.into()],
    )?
    .iter()
    .map(|r| Ok((r.parsed(5, TenantId::parse)?, r.text(6)?.to_owned(), passkey(r)?)))
    .collect()
}

/// False when the credential is known already.
pub(in crate::identity) fn insert_passkey(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    id: &str,
    label: &str,
    record: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "INSERT INTO passkey (tenant_id, credential_id, holder, label, record, created_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        &[id.into(), holder.into(), label.into(), record.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn use_passkey(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    record: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE passkey SET record = $3, last_used_at_ms = $4 WHERE tenant_id = $1 AND credential_id = $2",
        &[id.into(), record.into(), now.ms().into()],
    )
    .map(drop)
}

/// False when the holder has no such passkey.
pub(in crate::identity) fn delete_passkey(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    id: &str,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "DELETE FROM passkey WHERE tenant_id = $1 AND holder = $2 AND credential_id = $3",
        &[holder.into(), id.into()],
    )?;
    Ok(n == 1)
}

/// New codes in the place of all old ones.
pub(in crate::identity) fn set_recovery_codes(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    macs: &[[u8; 32]],
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM recovery_code WHERE tenant_id = $1 AND holder = $2", &[holder.into()])?;
    for mac in macs {
        tx.execute(
            "INSERT INTO recovery_code (tenant_id, holder, code_mac) VALUES ($1, $2, $3)",
            &[holder.into(), mac.into()],
        )?;
    }
    Ok(())
}

/// False when there is no such code, or it was used.
pub(in crate::identity) fn use_recovery_code(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    mac: &[u8; 32],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "UPDATE recovery_code SET used_at_ms = $4 WHERE tenant_id = $1 AND holder = $2 AND code_mac = $3 \
         AND used_at_ms IS NULL",
        &[holder.into(), mac.into(), now.ms().into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn recovery_codes_left(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
) -> Result<u64, StoreError> {
    count_of(tx.query_opt(
        "SELECT count(*) FROM recovery_code WHERE tenant_id = $1 AND holder = $2 AND used_at_ms IS NULL",
        &[holder.into()],
    )?)
}

/// Recovery codes stand in for a factor: with the last one they go, or they would outlive what they were made for.
pub(in crate::identity) fn forget_codes_without_factor(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
) -> Result<(), StoreError> {
    if of_holder(tx, holder)?.is_none() && passkeys(tx, holder)?.is_empty() {
        set_recovery_codes(tx, holder, &[])?;
    }
    Ok(())
}

/// Passkeys and recovery codes of somebody who goes.
pub(in crate::identity) fn forget_holder(tx: &mut TenantTx<'_, '_>, holder: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM passkey WHERE tenant_id = $1 AND holder = $2", &[holder.into()])?;
    tx.execute("DELETE FROM recovery_code WHERE tenant_id = $1 AND holder = $2", &[holder.into()]).map(drop)
}

/// Every device's sealed seed.
pub(in crate::identity) fn every_seed(
    tx: &mut Tx<'_>,
) -> Result<Vec<(TenantId, String, Vec<u8>)>, StoreError> {
    tx.query("SELECT tenant_id, device_name, sealed_seed FROM mfa_device", &[])?
        .iter()
        .map(|r| Ok((r.parsed(0, TenantId::parse)?, r.text(1)?.to_owned(), r.blob(2)?.to_vec())))
        .collect()
}

pub(in crate::identity) fn reseal(
    tx: &mut TenantTx<'_, '_>,
    name: &str,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "UPDATE mfa_device SET sealed_seed = $3 WHERE tenant_id = $1 AND device_name = $2";
    tx.execute(sql, &[name.into(), sealed.into()]).map(drop)
}
