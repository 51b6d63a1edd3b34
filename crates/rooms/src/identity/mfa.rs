//! Virtual MFA devices of a tenant, as Ram and Ims have them.

use bailee_crypto::seal::aad;
use bailee_federation::{qr, totp};
use bailee_types::{SecretText, TenantId, Timestamp, UserId, UserName};
use serde_json::{Value, json};

use super::act::{Act, Cx, head};
use super::rows::{device, mfa, user as user_rows};
use super::user::{self, User};
use crate::{Failure, House, Thing};

/// Devices that wait to be bound, beside one a user: more than anybody needs.
const UNBOUND_MAX: u64 = 5_100;

/// A virtual MFA device.
#[derive(Clone, Debug)]
pub struct MfaDevice {
    /// Its name within the tenant.
    pub name: String,
    /// `root` or `user/<id>`; none before it is bound.
    pub holder: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was bound.
    pub activated_at: Option<Timestamp>,
}

/// A new device; the only time that its seed is shown.
#[derive(Clone, Debug)]
pub struct NewMfaDevice {
    /// `acs:ram::<tenant>:mfa/<name>`.
    pub serial: String,
    /// For typing into an app.
    pub base32: SecretText,
    /// For scanning into an app: a PNG.
    pub qr_png: Vec<u8>,
}

/// Creates a device.
#[derive(Clone, Debug)]
pub struct CreateVirtualMfaDevice {
    /// 1 to 64 of `[A-Za-z0-9-]`.
    pub name: String,
}

/// All devices, with the users that they are bound to.
#[derive(Clone, Debug)]
pub struct ListVirtualMfaDevices;

/// Deletes a device that is bound to nobody.
#[derive(Clone, Debug)]
pub struct DeleteVirtualMfaDevice {
    /// Its serial number.
    pub serial: String,
}

/// Binds a device to a user: two codes that follow each other prove that his app works.
#[derive(Clone)]
pub struct BindMfaDevice {
    /// The user.
    pub user: UserName,
    /// The device's serial number.
    pub serial: String,
    /// The first code.
    pub first: SecretText,
    /// The code after it.
    pub second: SecretText,
}

/// Takes a user's device away and deletes it.
#[derive(Clone, Debug)]
pub struct UnbindMfaDevice {
    /// The user.
    pub user: UserName,
    /// Whether to delete the device with it (Ims `DisableVirtualMFA`).
    pub delete: bool,
}

/// A user's device.
#[derive(Clone, Debug)]
pub struct GetUserMfaInfo {
    /// The user.
    pub user: UserName,
}

/// Whether root has a second factor.
#[derive(Clone, Debug)]
pub struct GetAccountMfaInfo;

/// `acs:ram::<tenant>:mfa/<name>`.
pub fn serial(tenant: &TenantId, name: &str) -> String {
    format!("acs:ram::{tenant}:mfa/{name}")
}

/// The name within a serial number of this tenant.
fn name_in<'s>(tenant: &TenantId, serial: &'s str) -> Option<&'s str> {
    serial.strip_prefix("acs:ram::")?.strip_prefix(tenant.as_str())?.strip_prefix(":mfa/")
}

impl House {
    pub(super) fn seal_seed(&self, tenant: &TenantId, name: &str, seed: &totp::Seed) -> Vec<u8> {
        self.identity.credentials.seal(&seed_aad(tenant, name), seed.expose())
    }

    pub(super) fn open_seed(
        &self,
        tenant: &TenantId,
        name: &str,
        sealed: &[u8],
    ) -> Result<totp::Seed, Failure> {
        let damaged = || Failure::Damaged(format!("the seed of the MFA device `{name}` does not open"));
        let plain = self.identity.credentials.open(&seed_aad(tenant, name), sealed).map_err(|_| damaged())?;
        totp::Seed::from_bytes(plain.expose()).map_err(|_| damaged())
    }
}

pub(super) fn seed_aad(tenant: &TenantId, name: &str) -> Vec<u8> {
    aad(&[b"bailee/totp-seed/v1", tenant.as_str().as_bytes(), name.as_bytes()])
}

fn holder(user: &User) -> String {
    format!("user/{}", user.id)
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

fn on_device(serial: &str) -> String {
    let name = serial.rsplit_once(":mfa/").map_or(serial, |(_, name)| name);
    format!("mfa/{}", clip(name))
}

impl Act for CreateVirtualMfaDevice {
    type Output = NewMfaDevice;
    head!(
        "ACS::RAM::MFADevice",
        write,
        "ram:CreateVirtualMFADevice",
        |s| [format!("mfa/{}", clip(&s.name))],
        |s| json!({ "VirtualMFADeviceName": clip(&s.name) })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<NewMfaDevice, Failure> {
        let field = if !(1..=64).contains(&self.name.len()) {
            Some("VirtualMFADeviceName.Length")
        } else if !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            Some("VirtualMFADeviceName.InvalidChars")
        } else {
            None
        };
        if let Some(field) = field {
            return Err(Failure::invalid(field, "must have 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, hyphen"));
        }
        if mfa::count(cx.tx)? >= UNBOUND_MAX {
            return Err(Failure::limit(Thing::MfaDevice, "MFA devices", UNBOUND_MAX));
        }
        let tenant = cx.tx.id().clone();
        let seed = totp::Seed::random();
        let sealed = cx.house.seal_seed(&tenant, &self.name, &seed);
        if !mfa::insert(cx.tx, &self.name, &sealed, cx.now)? {
            return Err(Failure::exists(Thing::MfaDevice, &self.name));
        }
        let uri = seed.uri(&cx.house.provider().name, &format!("{}@{tenant}", self.name));
        Ok(NewMfaDevice {
            serial: serial(&tenant, &self.name),
            base32: seed.base32(),
            qr_png: qr::qr_png(uri.expose()).map_err(|e| Failure::Bug(e.to_string()))?,
        })
    }

    fn outcome(made: &NewMfaDevice) -> Value {
        json!({ "serialNumber": made.serial })
    }
}

impl Act for ListVirtualMfaDevices {
    type Output = Vec<(MfaDevice, Option<User>)>;
    head!(
        "ACS::RAM::MFADevice",
        read,
        "ram:ListVirtualMFADevices",
        |_s| ["mfa/*".to_owned()],
        |_s| json!({})
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Vec<(MfaDevice, Option<User>)>, Failure> {
        let mut out = Vec::new();
        for device in mfa::all(cx.tx)? {
            let user = match device.holder.as_deref().and_then(|h| h.strip_prefix("user/")) {
                Some(id) => match UserId::parse(id) {
                    Ok(id) => user_rows::by_id(cx.tx, &id)?,
                    Err(_) => None,
                },
                None => None,
            };
            out.push((device, user));
        }
        Ok(out)
    }
}

impl Act for DeleteVirtualMfaDevice {
    type Output = ();
    head!(
        "ACS::RAM::MFADevice",
        write,
        "ram:DeleteVirtualMFADevice",
        |s| [on_device(&s.serial)],
        |s| json!({ "SerialNumber": clip(&s.serial) })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let row = found(cx, &self.serial)?;
        if row.device.holder.is_some() {
            return Err(Failure::in_use(
                Thing::MfaDevice,
                clip(&self.serial),
                Thing::User,
                "a user that it is bound to",
            ));
        }
        mfa::delete(cx.tx, &row.device.name)?;
        Ok(())
    }
}

fn found(cx: &mut Cx<'_, '_, '_>, serial: &str) -> Result<mfa::DeviceRow, Failure> {
    let row = match name_in(cx.tx.id(), serial).map(str::to_owned) {
        Some(name) => mfa::by_name(cx.tx, &name)?,
        None => None,
    };
    row.ok_or_else(|| Failure::not_found(Thing::MfaDevice, clip(serial)))
}

impl Act for BindMfaDevice {
    type Output = ();
    head!(
        "ACS::RAM::MFADevice",
        write,
        "ram:BindMFADevice",
        |s| [format!("user/{}", s.user), on_device(&s.serial)],
        |s| json!({ "UserName": s.user.as_str(), "SerialNumber": clip(&s.serial) })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        for code in [&self.first, &self.second] {
            if code.expose().len() != totp::DIGITS || !code.expose().bytes().all(|b| b.is_ascii_digit()) {
                // The wire has one code for both (contract §4).
                return Err(Failure::invalid("AuthenticationCode.Format", "must have six digits"));
            }
        }
        let user = user::found(cx, &self.user)?;
        let row = found(cx, &self.serial)?;
        if row.device.holder.is_some() {
            return Err(Failure::exists(Thing::MfaUser, clip(&self.serial)));
        }
        if mfa::of_holder(cx.tx, &holder(&user))?.is_some() {
            return Err(Failure::exists(Thing::UserMfa, &self.user));
        }
        let tenant = cx.tx.id().clone();
        let seed = cx.house.open_seed(&tenant, &row.device.name, &row.sealed_seed)?;
        let step = totp::check_two_consecutive(self.first.expose(), self.second.expose(), &seed, cx.now)
            .ok_or(Failure::WrongCode)?;
        mfa::bind(cx.tx, &row.device.name, &holder(&user), step, cx.now)?;
        device::end_tickets(cx.tx, &holder(&user))?;
        Ok(())
    }
}

impl Act for UnbindMfaDevice {
    type Output = String;
    const TYPE: &'static str = "ACS::RAM::MFADevice";
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        if self.delete { "ram:DisableVirtualMFA" } else { "ram:UnbindMFADevice" }
    }

    fn on(&self) -> Vec<String> {
        vec![format!("user/{}", self.user)]
    }

    fn detail(&self) -> Value {
        json!({ "UserName": self.user.as_str() })
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<String, Failure> {
        let user = user::found(cx, &self.user)?;
        let row = mfa::of_holder(cx.tx, &holder(&user))?
            .ok_or_else(|| Failure::not_found(Thing::UserMfa, &self.user))?;
        // The seed was in somebody's hands: an unbound device is made anew rather than bound again.
        mfa::delete(cx.tx, &row.device.name)?;
        mfa::forget_codes_without_factor(cx.tx, &holder(&user))?;
        device::end_tickets(cx.tx, &holder(&user))?;
        if !self.delete {
            let tenant = cx.tx.id().clone();
            let sealed = cx.house.seal_seed(&tenant, &row.device.name, &totp::Seed::random());
            mfa::insert(cx.tx, &row.device.name, &sealed, cx.now)?;
        }
        Ok(serial(cx.tx.id(), &row.device.name))
    }
}

impl Act for GetUserMfaInfo {
    type Output = Option<MfaDevice>;
    head!(
        "ACS::RAM::MFADevice",
        read,
        "ram:GetUserMFAInfo",
        |s| [format!("user/{}", s.user)],
        |s| json!({ "UserName": s.user.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Option<MfaDevice>, Failure> {
        let user = user::found(cx, &self.user)?;
        Ok(mfa::of_holder(cx.tx, &holder(&user))?.map(|r| r.device))
    }
}

impl Act for GetAccountMfaInfo {
    type Output = bool;
    head!("ACS::RAM::MFADevice", read, "ram:GetAccountMFAInfo", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<bool, Failure> {
        Ok(mfa::of_holder(cx.tx, "root")?.is_some() || !mfa::passkeys(cx.tx, "root")?.is_empty())
    }
}
