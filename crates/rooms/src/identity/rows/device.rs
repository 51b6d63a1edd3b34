//! Rows of known devices, and of challenges that were answered.

use bailee_store::{Row, StoreError, TenantTx, Tx};
use bailee_types::{TenantId, Timestamp};

use crate::identity::device::Device;

/// Devices of one person, at most; the one that was not seen for longest makes room.
const PER_HOLDER_MAX: usize = 20;

const DEVICE: &str = "SELECT device_id, tenant_id, holder, created_at_ms, seen_at_ms, ends_at_ms, mfa_until_ms, \
     source_ip, user_agent FROM known_device ";

/// A device, and whose it is.
pub(in crate::identity) struct DeviceRow {
    pub(in crate::identity) tenant: TenantId,
    pub(in crate::identity) holder: String,
    pub(in crate::identity) device: Device,
}

fn read(r: &Row) -> Result<DeviceRow, StoreError> {
    Ok(DeviceRow {
        tenant: r.parsed(1, TenantId::parse)?,
        holder: r.text(2)?.to_owned(),
        device: Device {
            id: r.text(0)?.to_owned(),
            created_at: Timestamp::from_ms(r.int(3)?),
            seen_at: Timestamp::from_ms(r.int(4)?),
            ends_at: Timestamp::from_ms(r.int(5)?),
            mfa_until: r.opt_int(6)?.map(Timestamp::from_ms),
            source_ip: r.text(7)?.to_owned(),
            user_agent: r.text(8)?.to_owned(),
        },
    })
}

/// The device of a token, if it is known still.
pub(in crate::identity) fn by_token(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<DeviceRow>, StoreError> {
    tx.query_opt(
        &format!("{DEVICE} WHERE token_hash = $1 AND ends_at_ms > $2"),
        &[hash.into(), now.ms().into()],
    )?
    .as_ref()
    .map(read)
    .transpose()
}

pub(in crate::identity) fn of_holder(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    now: Timestamp,
) -> Result<Vec<Device>, StoreError> {
    tx.query(
        &format!(
            "{DEVICE} WHERE tenant_id = $1 AND holder = $2 AND ends_at_ms > $3 ORDER BY seen_at_ms DESC, device_id"
        ),
        &[holder.into(), now.ms().into()],
    )?
    .iter()
    .map(|r| Ok(read(r)?.device))
    .collect()
}

/// Adds a device; those that ended, and those beyond what one person may have, go.
pub(in crate::identity) fn insert(
    tx: &mut TenantTx<'_, '_>,
    hash: &[u8; 32],
    holder: &str,
    d: &Device,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM known_device WHERE tenant_id = $1 AND holder = $2 AND ends_at_ms <= $3",
        &[holder.into(), d.seen_at.ms().into()],
    )?;
    for old in of_holder(tx, holder, d.seen_at)?.iter().skip(PER_HOLDER_MAX - 1) {
        forget(tx, holder, &old.id)?;
    }
    tx.execute(
        "INSERT INTO known_device (token_hash, device_id, tenant_id, holder, created_at_ms, seen_at_ms, ends_at_ms, \
         mfa_until_ms, source_ip, user_agent) VALUES ($2, $3, $1, $4, $5, $6, $7, $8, $9, $10)",
        &[
            hash.into(),
            (&d.id).into(),
            holder.into(),
            d.created_at.ms().into(),
            d.seen_at.ms().into(),
            d.ends_at.ms().into(),
            d.mfa_until.map(Timestamp::ms).into(),
            (&d.source_ip).into(),
            (&d.user_agent).into(),
        ],
    )
    .map(drop)
}

/// Notes that a device was used, and until when it is spared the second factor, if that is new. False when it was
/// forgotten meanwhile.
pub(in crate::identity) fn touch(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    d: &Device,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "UPDATE known_device SET seen_at_ms = $4, ends_at_ms = $5, mfa_until_ms = coalesce($6, mfa_until_ms), \
         source_ip = $7, user_agent = $8 WHERE tenant_id = $1 AND holder = $2 AND device_id = $3",
        &[
            holder.into(),
            (&d.id).into(),
            d.seen_at.ms().into(),
            d.ends_at.ms().into(),
            d.mfa_until.map(Timestamp::ms).into(),
            (&d.source_ip).into(),
            (&d.user_agent).into(),
        ],
    )?;
    Ok(n == 1)
}

/// False when the holder has no such device.
pub(in crate::identity) fn forget(
    tx: &mut TenantTx<'_, '_>,
    holder: &str,
    id: &str,
) -> Result<bool, StoreError> {
    let n = tx.execute(
        "DELETE FROM known_device WHERE tenant_id = $1 AND holder = $2 AND device_id = $3",
        &[holder.into(), id.into()],
    )?;
    Ok(n == 1)
}

pub(in crate::identity) fn forget_all(tx: &mut TenantTx<'_, '_>, holder: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM known_device WHERE tenant_id = $1 AND holder = $2", &[holder.into()]).map(drop)
}

/// Asks every device of a holder for the second factor again: what it was spared for has changed.
pub(in crate::identity) fn end_tickets(tx: &mut TenantTx<'_, '_>, holder: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE known_device SET mfa_until_ms = NULL WHERE tenant_id = $1 AND holder = $2",
        &[holder.into()],
    )
    .map(drop)
}

/// False when this challenge was answered before. Those that nobody can answer any more are forgotten.
pub(in crate::identity) fn use_challenge(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    ends_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM used_challenge WHERE ends_at_ms < $1", &[now.ms().into()])?;
    let n = tx.execute(
        "INSERT INTO used_challenge (challenge_hash, ends_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &[hash.into(), ends_at.ms().into()],
    )?;
    Ok(n == 1)
}
