//! Known devices: browsers that somebody signed in with before, to the end.
//!
//! The token is 256 random bits in the browser; the database holds its hash, with whose it is. It is no key: it spares
//! its holder the waiting that strangers cause who guess at his name, and, where account and person want it, the second
//! factor for a week. It goes with a new password, and its holder sees and forgets his devices himself.
//!
//! INVARIANT: a token is made here and never taken from a browser, so that nobody can hand another one a token that he
//! knows; it counts for its holder's name only.

use std::sync::Arc;

use bailee_types::{OperatorId, SecretText, TenantId, Timestamp, UserName, random_bytes};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::console::{asked, holder_of};
use super::rows::{device as rows, tenant, user};
use super::session::{SessionInfo, SignIn, Stage};
use super::settings::SecurityPreference;
use crate::gate::{Asked, Intent, Operation};
use crate::{Failure, House, Thing};

/// How long a device is known after it was last used.
pub const DEVICE_MS: i64 = 90 * 86_400_000;
/// How long the second factor may be remembered on a device.
pub const MFA_TICKET_MS: i64 = 7 * 86_400_000;
/// People who share one browser, at most.
const TOKENS_MAX: usize = 4;

/// What a browser holds.
#[derive(Clone)]
pub struct DeviceToken(SecretText);

impl DeviceToken {
    /// For the cookie.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The devices that a browser says it is, one for each person who used it.
#[derive(Clone, Default)]
pub struct KnownDevices(Vec<SecretText>);

impl KnownDevices {
    /// Reads a cookie; what is no token is left out.
    pub fn read(cookie: &str) -> Self {
        let is_token = |t: &&str| t.len() == 64 && t.bytes().all(|b| b.is_ascii_hexdigit());
        Self(cookie.split('.').filter(is_token).take(TOKENS_MAX).map(|t| SecretText::new(t.into())).collect())
    }

    /// The cookie with one more token, which is written first; the last makes room.
    pub fn with(&self, token: &DeviceToken) -> SecretText {
        let kept = self.0.iter().take(TOKENS_MAX - 1).map(SecretText::expose);
        SecretText::new(std::iter::once(token.expose()).chain(kept).collect::<Vec<_>>().join("."))
    }

    fn hashes(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(|t| hash_of(t.expose())).collect()
    }
}

/// A device as lists show it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Names it; opens nothing.
    pub id: String,
    /// When its holder first signed in with it.
    pub created_at: Timestamp,
    /// When he last did.
    pub seen_at: Timestamp,
    /// When it is forgotten at the latest.
    pub ends_at: Timestamp,
    /// Until when it is spared the second factor.
    pub mfa_until: Option<Timestamp>,
    /// Where from, the last time.
    pub source_ip: String,
    /// The browser's name for itself.
    pub user_agent: String,
}

impl House {
    /// The device of this browser that belongs to whoever is named at sign-in. A token that is not known costs the same
    /// whoever is named.
    pub(super) async fn device_at_sign_in(
        &self,
        who: &SignIn,
        devices: &KnownDevices,
    ) -> Result<Option<Device>, Failure> {
        let hashes = devices.hashes();
        if hashes.is_empty() {
            return Ok(None);
        }
        let now = self.now();
        let named = match who {
            SignIn::Tenant { tenant, user, .. } => (Some(tenant.clone()), user.clone()),
            SignIn::Operator { id, .. } => (None, id.clone()),
        };
        self.db
            .read(move |tx| {
                for hash in &hashes {
                    let Some(row) = rows::by_token(tx, hash, now)? else { continue };
                    let whose = match &named {
                        (None, id) => OperatorId::parse(id)
                            .ok()
                            .map(|id| (TenantId::provider(), format!("operator/{id}"))),
                        (Some(name), user_name) => match tenant::by_name(tx, name)? {
                            None => None,
                            Some(t) if user_name == "root" => Some((t.id, "root".to_owned())),
                            Some(t) => match UserName::parse(user_name) {
                                Err(_) => None,
                                Ok(n) => user::by_name(&mut tx.tenant(&t.id), &n)?
                                    .map(|u| (t.id, format!("user/{}", u.id))),
                            },
                        },
                    };
                    if whose == Some((row.tenant, row.holder)) {
                        return Ok(Some(row.device));
                    }
                }
                Ok(None)
            })
            .await
    }

    /// The device of this browser that belongs to a holder who is known already.
    pub(super) async fn device_of(
        &self,
        tenant: &TenantId,
        holder: &str,
        devices: &KnownDevices,
    ) -> Result<Option<Device>, Failure> {
        let (hashes, tenant, holder, now) = (devices.hashes(), tenant.clone(), holder.to_owned(), self.now());
        self.db.read(move |tx| find(tx, &hashes, &tenant, &holder, now).map_err(Failure::from)).await
    }

    /// After a sign-in that is complete: knows this browser from now on. A token is given when it is a new one.
    /// `save_factor`: whether its holder wants to be spared the second factor here.
    ///
    /// # Errors
    /// When it cannot be stored or recorded.
    pub async fn remember_device(
        self: &Arc<Self>,
        session: &SessionInfo,
        devices: &KnownDevices,
        save_factor: bool,
    ) -> Result<Option<DeviceToken>, Failure> {
        if session.stage() != Stage::Full {
            return Ok(None);
        }
        let (tenant, holder) = holder_of(&session.caller)?;
        let now = self.now();
        // Only what was shown in this session just now can be remembered.
        let may_save = save_factor && session.caller.need_fresh_mfa(now).is_ok();
        let known = self.device_of(&tenant, &holder, devices).await?;
        if let (Some(device), false) = (&known, may_save) {
            let origin = session.caller.origin();
            let device = Device { mfa_until: None, ..used(device.clone(), now, origin) };
            self.db
                .write(move |tx| {
                    rows::touch(&mut tx.tenant(&tenant), &holder, &device).map_err(Failure::from)
                })
                .await?;
            return Ok(None);
        }
        let act = RememberDevice { tenant, known, save_factor: may_save };
        self.perform(session.caller.clone(), act).await
    }

    /// Whether somebody may ask to be spared the second factor on a device: his account says so.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn may_save_factor(&self, session: &SessionInfo) -> Result<bool, Failure> {
        let (tenant, holder) = holder_of(&session.caller)?;
        self.db.read(move |tx| may_save(&mut tx.tenant(&tenant), &holder)).await
    }
}

/// Users only, where the account allows it: root and operators show their factor each time.
fn may_save(tx: &mut bailee_store::TenantTx<'_, '_>, holder: &str) -> Result<bool, Failure> {
    Ok(holder.starts_with("user/") && SecurityPreference::load(tx)?.save_mfa_ticket)
}

fn used(device: Device, now: Timestamp, origin: &crate::gate::Origin) -> Device {
    Device {
        seen_at: now,
        ends_at: now.plus_ms(DEVICE_MS),
        source_ip: origin.source_ip.clone(),
        user_agent: origin.user_agent.clone(),
        ..device
    }
}

fn find(
    tx: &mut bailee_store::Tx<'_>,
    hashes: &[[u8; 32]],
    tenant: &TenantId,
    holder: &str,
    now: Timestamp,
) -> Result<Option<Device>, bailee_store::StoreError> {
    for hash in hashes {
        if let Some(row) = rows::by_token(tx, hash, now)?
            && row.tenant == *tenant
            && row.holder == holder
        {
            return Ok(Some(row.device));
        }
    }
    Ok(None)
}

/// Knows a device, or spares one that is known the second factor.
struct RememberDevice {
    tenant: TenantId,
    known: Option<Device>,
    save_factor: bool,
}

impl Operation for RememberDevice {
    type Output = Option<DeviceToken>;

    fn asks(&self) -> Asked {
        let detail = json!({ "new": self.known.is_none(), "saveFactor": self.save_factor });
        asked(&self.tenant, "bailee:RememberDevice", true, detail)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Option<DeviceToken>, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        let now = house.now();
        let is_new = self.known.is_none();
        let device = self.known.unwrap_or_else(|| Device {
            id: hex::encode(random_bytes::<8>()),
            created_at: now,
            seen_at: now,
            ends_at: now,
            mfa_until: None,
            source_ip: String::new(),
            user_agent: String::new(),
        });
        let mut device = used(device, now, intent.caller().origin());
        let token = DeviceToken(SecretText::new(hex::encode(random_bytes::<32>())));
        let hash = hash_of(token.expose());
        let save_factor = self.save_factor;
        house
            .db
            .write(move |tx| {
                let mut own = tx.tenant(&tenant);
                device.mfa_until =
                    (save_factor && may_save(&mut own, &holder)?).then(|| now.plus_ms(MFA_TICKET_MS));
                if is_new {
                    rows::insert(&mut own, &hash, &holder, &device)?;
                } else if !rows::touch(&mut own, &holder, &device)? {
                    return Err(Failure::not_found(Thing::Device, &device.id));
                }
                Ok(())
            })
            .await?;
        Ok(is_new.then_some(token))
    }

    fn outcome_detail(_: &Option<DeviceToken>) -> Map<String, Value> {
        Map::new()
    }
}

/// One's own devices, the last used first.
pub struct ListDevices {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
}

impl Operation for ListDevices {
    type Output = Vec<Device>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListDevices", false, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Vec<Device>, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        let now = house.now();
        house
            .db
            .read(move |tx| rows::of_holder(&mut tx.tenant(&tenant), &holder, now).map_err(Failure::from))
            .await
    }
}

/// Forgets one of one's own devices: it waits like a stranger's, and shows the second factor.
pub struct ForgetDevice {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The device's public id.
    pub id: String,
}

impl Operation for ForgetDevice {
    type Output = ();

    fn asks(&self) -> Asked {
        let id: String = self.id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        asked(&self.tenant, "bailee:ForgetDevice", true, json!({ "device": id }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        house
            .db
            .write(move |tx| {
                if rows::forget(&mut tx.tenant(&tenant), &holder, &self.id)? {
                    return Ok(());
                }
                Err(Failure::not_found(Thing::Device, &self.id))
            })
            .await
    }
}

fn hash_of(token: &str) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(b"bailee/device/v1\0");
    h.update(token.as_bytes());
    h.finalize().into()
}
