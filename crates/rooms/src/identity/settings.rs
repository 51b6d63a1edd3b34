//! What a tenant decides for all of its users: account alias, password policy, security preference.

use std::net::IpAddr;

use bailee_store::{StoreError, TenantTx};
use bailee_types::{SecretText, TenantAlias, TenantId, UserName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::act::{Act, Cx, head};
use super::rows::setting;
use crate::{Failure, House, Thing};

/// What users may do to themselves without a policy, if the preference says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfService {
    /// Change the own password.
    ChangePassword,
    /// Make, list, switch and delete own AccessKeys.
    AccessKeys,
    /// Bind and unbind the own MFA device.
    MfaDevices,
}

/// Rules for console passwords (contract §5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PasswordPolicy {
    /// 8 to 32.
    pub length_min: u32,
    /// At least one of `a-z`.
    pub lower: bool,
    /// At least one of `A-Z`.
    pub upper: bool,
    /// At least one digit.
    pub digit: bool,
    /// At least one other character.
    pub symbol: bool,
    /// At least so many different characters, 0 to 8.
    pub different_min: u32,
    /// The password must not hold the user's name.
    pub not_name: bool,
    /// After this no sign-in until an administrator sets a new one; else a new one is asked for.
    pub hard_expiry: bool,
    /// Days, 0 for ever, to 1,095.
    pub age_max_days: u32,
    /// Passwords before the present one that may not come again, 0 to 24.
    pub reuse_prevention: u32,
    /// Wrong passwords in an hour before waiting starts, 0 for the built-in five, to 32.
    pub attempts_max: u32,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            length_min: 8,
            lower: false,
            upper: false,
            digit: false,
            symbol: false,
            different_min: 0,
            not_name: false,
            hard_expiry: false,
            age_max_days: 0,
            reuse_prevention: 0,
            attempts_max: 5,
        }
    }
}

/// What users may do to themselves, and from where they sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityPreference {
    /// Whether a browser may be remembered for the second factor.
    pub save_mfa_ticket: bool,
    /// Whether users change their own passwords.
    pub change_password: bool,
    /// Whether users manage their own AccessKeys.
    pub manage_access_keys: bool,
    /// Whether users manage their own MFA devices.
    pub manage_mfa_devices: bool,
    /// Kept for the wire; key pairs are not offered.
    pub manage_public_keys: bool,
    /// Whether a passkey is enough to sign in.
    pub passkey_sign_in: bool,
    /// Networks that users may sign in from, separated by `;`; empty for all.
    pub login_networks: String,
    /// Hours that a console session lasts, 1 to 24.
    pub session_hours: u32,
    /// `mandatory`: all users need MFA to sign in; `independent`: as each login profile says.
    pub mfa_for_login: String,
}

impl Default for SecurityPreference {
    fn default() -> Self {
        Self {
            save_mfa_ticket: false,
            change_password: true,
            manage_access_keys: false,
            manage_mfa_devices: true,
            manage_public_keys: false,
            passkey_sign_in: true,
            login_networks: String::new(),
            session_hours: 6,
            mfa_for_login: "independent".into(),
        }
    }
}

impl PasswordPolicy {
    pub(super) fn load(tx: &mut TenantTx<'_, '_>) -> Result<Self, StoreError> {
        setting::load(tx, "password-policy")
    }

    fn refuse_nonsense(&self) -> Result<(), Failure> {
        let range = |field, n: u32, from: u32, to: u32| {
            if (from..=to).contains(&n) {
                Ok(())
            } else {
                Err(Failure::invalid(field, format!("must be {from} to {to}")))
            }
        };
        range("MinimumPasswordLength", self.length_min, 8, 32)?;
        range("MaxPasswordAge", self.age_max_days, 0, 1_095)?;
        range("PasswordReusePrevention", self.reuse_prevention, 0, 24)?;
        range("MaxLoginAttemps", self.attempts_max, 0, 32)?;
        range("MinimumPasswordDifferentCharacter", self.different_min, 0, 8)
    }

    /// Refuses a password that breaks a rule, and names the rule.
    pub(super) fn check(&self, password: &SecretText, user: &UserName) -> Result<(), Failure> {
        let text = password.expose();
        let weak = |why: String| Err(Failure::invalid("Password", why));
        let n = text.chars().count();
        if n < self.length_min as usize || n > super::PASSWORD_CHARS_MAX {
            return weak(format!(
                "must have {} to {} characters",
                self.length_min,
                super::PASSWORD_CHARS_MAX
            ));
        }
        let has = |f: fn(char) -> bool| text.chars().any(f);
        for (asked, there, what) in [
            (self.lower, has(|c| c.is_ascii_lowercase()), "a lower-case letter"),
            (self.upper, has(|c| c.is_ascii_uppercase()), "an upper-case letter"),
            (self.digit, has(|c| c.is_ascii_digit()), "a digit"),
            (self.symbol, has(|c| !c.is_ascii_alphanumeric()), "a symbol"),
        ] {
            if asked && !there {
                return weak(format!("must hold {what}"));
            }
        }
        let different: std::collections::BTreeSet<_> = text.chars().collect();
        if different.len() < self.different_min as usize {
            return weak(format!("must hold {} different characters", self.different_min));
        }
        if self.not_name && text.to_lowercase().contains(&user.as_str().to_lowercase()) {
            return weak("must not hold the user's name".into());
        }
        Ok(())
    }
}

impl SecurityPreference {
    pub(crate) fn load(tx: &mut TenantTx<'_, '_>) -> Result<Self, StoreError> {
        setting::load(tx, "security-preference")
    }

    pub(crate) fn allows(&self, what: SelfService) -> bool {
        match what {
            SelfService::ChangePassword => self.change_password,
            SelfService::AccessKeys => self.manage_access_keys,
            SelfService::MfaDevices => self.manage_mfa_devices,
        }
    }

    fn refuse_nonsense(&self) -> Result<(), Failure> {
        if !(1..=24).contains(&self.session_hours) {
            return Err(Failure::invalid("LoginSessionDuration", "must be 1 to 24 hours"));
        }
        if !["mandatory", "independent", "adaptive"].contains(&self.mfa_for_login.as_str()) {
            return Err(Failure::invalid(
                "MFAOperationForLogin",
                "must be mandatory, independent or adaptive",
            ));
        }
        let masks: Vec<_> = self.login_networks.split(';').filter(|m| !m.trim().is_empty()).collect();
        if masks.len() > 40 {
            return Err(Failure::invalid("LoginNetworkMasks", "must have at most 40 networks"));
        }
        for mask in masks {
            if network(mask).is_none() {
                return Err(Failure::invalid(
                    "LoginNetworkMasks",
                    "must be addresses or networks such as 10.0.0.0/8, separated by `;`",
                ));
            }
        }
        Ok(())
    }

    /// Whether who sets this from here could not sign in from here again.
    pub fn shuts_out(&self, address: &str) -> bool {
        self.refuse_nonsense().is_ok() && !self.allows_address(address)
    }

    /// Whether a sign-in may come from this address; one that cannot be read may not if anything is set.
    pub(super) fn allows_address(&self, address: &str) -> bool {
        let mut masks = self.login_networks.split(';').filter(|m| !m.trim().is_empty()).peekable();
        if masks.peek().is_none() {
            return true;
        }
        let Ok(address) = address.parse::<IpAddr>() else { return false };
        masks.any(|m| network(m).is_some_and(|n| n.contains(&address.to_canonical())))
    }
}

/// A network, or an address as the network of itself.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

impl House {
    /// Whether a tenant lets its users do this to themselves.
    pub(crate) async fn self_service_allowed(
        &self,
        tenant: &TenantId,
        what: SelfService,
    ) -> Result<bool, Failure> {
        let tenant = tenant.clone();
        self.db.read(move |tx| Ok(SecurityPreference::load(&mut tx.tenant(&tenant))?.allows(what))).await
    }
}

/// The account's alias.
#[derive(Clone, Debug)]
pub struct GetAccountAlias;

/// Sets the account's alias, which no other account may have.
#[derive(Clone, Debug)]
pub struct SetAccountAlias {
    /// 3 to 63 of `a-z`, `0-9`, hyphen.
    pub alias: String,
}

/// Takes the account's alias away.
#[derive(Clone, Debug)]
pub struct ClearAccountAlias;

/// The password policy.
#[derive(Clone, Debug)]
pub struct GetPasswordPolicy;

/// Sets the password policy, for passwords from now on.
#[derive(Clone, Debug)]
pub struct SetPasswordPolicy {
    /// The whole policy.
    pub policy: PasswordPolicy,
}

/// The security preference.
#[derive(Clone, Debug)]
pub struct GetSecurityPreference;

/// Sets the security preference; what is `None` stays. Fields as in [`SecurityPreference`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct SetSecurityPreference {
    pub save_mfa_ticket: Option<bool>,
    pub change_password: Option<bool>,
    pub manage_access_keys: Option<bool>,
    pub manage_mfa_devices: Option<bool>,
    pub manage_public_keys: Option<bool>,
    pub passkey_sign_in: Option<bool>,
    pub login_networks: Option<String>,
    pub session_hours: Option<u32>,
    pub mfa_for_login: Option<String>,
}

impl Act for GetAccountAlias {
    type Output = Option<String>;
    head!("ACS::RAM::Account", read, "ram:GetAccountAlias", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Option<String>, Failure> {
        Ok(setting::account_alias(cx.tx)?)
    }
}

impl Act for SetAccountAlias {
    type Output = ();
    head!(
        "ACS::RAM::Account",
        write,
        "ram:SetAccountAlias",
        |_s| ["*".to_owned()],
        |s| json!({ "AccountAlias": s.alias.chars().take(63).collect::<String>() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let ok = TenantAlias::parse(&self.alias).is_ok_and(|a| a.as_str().len() >= 3);
        // Sixteen digits could be read as another account's id.
        if !ok || self.alias.bytes().all(|b| b.is_ascii_digit()) {
            let long = !(3..=63).contains(&self.alias.len());
            return Err(Failure::invalid(
                if long { "AccountAlias.Length" } else { "AccountAlias.InvalidChars" },
                "must have 3 to 63 of a-z, 0-9, hyphen, no hyphen at the ends and not digits alone",
            ));
        }
        if !setting::set_account_alias(cx.tx, Some(&self.alias))? {
            return Err(Failure::exists(Thing::AccountAlias, &self.alias));
        }
        Ok(())
    }
}

impl Act for ClearAccountAlias {
    type Output = ();
    head!("ACS::RAM::Account", write, "ram:ClearAccountAlias", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        setting::set_account_alias(cx.tx, None)?;
        Ok(())
    }
}

impl Act for GetPasswordPolicy {
    type Output = PasswordPolicy;
    head!("ACS::RAM::Account", read, "ram:GetPasswordPolicy", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<PasswordPolicy, Failure> {
        Ok(PasswordPolicy::load(cx.tx)?)
    }
}

impl Act for SetPasswordPolicy {
    type Output = PasswordPolicy;
    head!("ACS::RAM::Account", write, "ram:SetPasswordPolicy", |_s| ["*".to_owned()], |s| {
        serde_json::to_value(&s.policy).unwrap_or_default()
    });

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<PasswordPolicy, Failure> {
        self.policy.refuse_nonsense()?;
        setting::store(cx.tx, "password-policy", &self.policy)?;
        Ok(self.policy)
    }
}

impl Act for GetSecurityPreference {
    type Output = SecurityPreference;
    head!("ACS::RAM::Account", read, "ram:GetSecurityPreference", |_s| ["*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<SecurityPreference, Failure> {
        Ok(SecurityPreference::load(cx.tx)?)
    }
}

impl Act for SetSecurityPreference {
    type Output = SecurityPreference;
    head!("ACS::RAM::Account", write, "ram:SetSecurityPreference", |_s| ["*".to_owned()], |s| {
        serde_json::to_value(s).unwrap_or_default()
    });

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<SecurityPreference, Failure> {
        let old = SecurityPreference::load(cx.tx)?;
        let preference = SecurityPreference {
            save_mfa_ticket: self.save_mfa_ticket.unwrap_or(old.save_mfa_ticket),
            change_password: self.change_password.unwrap_or(old.change_password),
            manage_access_keys: self.manage_access_keys.unwrap_or(old.manage_access_keys),
            manage_mfa_devices: self.manage_mfa_devices.unwrap_or(old.manage_mfa_devices),
            manage_public_keys: self.manage_public_keys.unwrap_or(old.manage_public_keys),
            passkey_sign_in: self.passkey_sign_in.unwrap_or(old.passkey_sign_in),
            login_networks: self.login_networks.unwrap_or(old.login_networks),
            session_hours: self.session_hours.unwrap_or(old.session_hours),
            mfa_for_login: self.mfa_for_login.unwrap_or(old.mfa_for_login),
        };
        preference.refuse_nonsense()?;
        setting::store(cx.tx, "security-preference", &preference)?;
        Ok(preference)
    }
}
