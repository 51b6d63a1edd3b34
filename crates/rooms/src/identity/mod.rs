//! Identity: who calls, and what he may do.
//!
//! INVARIANT: a [`Caller`] exists only after a signature, a password or a session was checked here.
//! INVARIANT: secrets of AccessKeys are sealed, passwords are argon2id hashes; both are shown once, at creation.
//! INVARIANT: an unknown name costs the same time and gets the same answer as a wrong password.

mod access_key;
mod act;
mod attach;
mod common;
mod console;
mod device;
mod federated;
mod grant_keys;
mod group;
mod held_key;
mod issuer;
mod key_network;
mod login;
mod mfa;
mod operator;
mod passkey_sign_in;
mod passkeys;
mod policy;
mod provider;
mod report;
mod reseal;
mod resolve;
mod role;
mod rows;
mod service_role;
mod session;
mod settings;
mod sso;
mod standing;
mod sts;
mod tag;
mod tenant;
mod throttle;
mod user;
mod why;

use std::collections::HashMap;
use std::sync::Arc;

use bailee_crypto::password::{Cost, Hasher};
use bailee_crypto::seal::SealingKey;
use bailee_types::{OperatorId, Pseudonym, SecretText, TenantId, Timestamp};
use parking_lot::RwLock;
use tokio::sync::Semaphore;

pub use bailee_policy::{Effect, ElementOutcome, Lint, NearMiss, StatementOutcome};

pub use access_key::{
    AccessKey, AuthError, CreateAccessKey, DeleteAccessKey, GetAccessKeyLastUsed, ListAccessKeys,
    NewAccessKey, Owner, Presented, UpdateAccessKey,
};
pub(crate) use access_key::{draw_access_key, has_access_key};
pub use act::{Act, Of, Page, Paging};
pub use attach::{AttachPolicy, DetachPolicy, Entities, Entity, ListEntitiesForPolicy, ListPoliciesFor};
pub use console::{
    BeginTotp, ChoosePassword, EndSession, Factor, FinishTotp, ListSessions, OwnFactors, PendingTotp,
    RemoveTotp, RenewRecoveryCodes, ShowFactor,
};
pub use device::{DEVICE_MS, Device, DeviceToken, ForgetDevice, KnownDevices, ListDevices, MFA_TICKET_MS};
pub use federated::{SAML_AUDIENCE, SAML_RECIPIENT, Told, Vouched};
pub use group::{
    AddUserToGroup, CreateGroup, DeleteGroup, GetGroup, Group, ListGroups, ListGroupsForUser,
    ListUsersForGroup, Member, RemoveUserFromGroup, UpdateGroup,
};
pub(crate) use held_key::{EndHeldKey, MakeHeldKey, user_has_key};
pub use key_network::{
    GetAccountKeyNetworks, GetKeyNetworks, KeyNetworks, SetAccountKeyNetworks, SetKeyNetworks,
};
pub use login::{
    ChangePassword, CreateLoginProfile, DeleteLoginProfile, GetLoginProfile, LoginProfile, UpdateLoginProfile,
};
pub use mfa::{
    BindMfaDevice, CreateVirtualMfaDevice, DeleteVirtualMfaDevice, GetAccountMfaInfo, GetUserMfaInfo,
    ListVirtualMfaDevices, MfaDevice, NewMfaDevice, UnbindMfaDevice, serial as mfa_serial,
};
pub use operator::{CreateOperator, EXCLUSIVE, OPERATOR_ROLES, Operator, SetOperatorRoles, SetOperatorState};
pub use passkey_sign_in::PasskeyBegun;
pub(crate) use passkeys::SignedText;
pub use passkeys::{
    AskPasskey, BeginPasskey, BoundPasskey, FinishPasskey, PasskeyOptions, RemovePasskey, ShowPasskey,
};
pub use policy::{
    CreatePolicy, CreatePolicyVersion, DeletePolicy, DeletePolicyVersion, GetPolicy, GetPolicyVersion,
    ListPolicies, ListPolicyVersions, PolicyInfo, PolicyType, PolicyVersion, SetDefaultPolicyVersion,
    UpdatePolicyDescription, check_policy, check_trust_policy, is_system_policy, policy_lints,
    trust_policy_lints,
};
pub use provider::{
    CreateOidcProvider, CreateSamlProvider, DeleteOidcProvider, DeleteSamlProvider, GetOidcProvider,
    GetSamlProvider, ListOidcProviders, ListSamlProviders, OidcChange, OidcProvider, OidcSettings,
    SamlProvider, UpdateOidcProvider, UpdateSamlProvider,
};
pub use report::{
    AccountSummary, DOMAIN_SUFFIX, Domains, GetAccountSummary, GetCredentialReport, GetDefaultDomain,
    GetSecurityPractice, KeyFinding, ListKeyFindings, SecurityPractice, SetDefaultDomain, for_spreadsheets,
};
pub(crate) use reseal::reseal;
pub use resolve::{ResolveEmployee, Resolved};
pub use role::{
    CreateRole, CreateServiceLinkedRole, DeleteRole, GetRole, GetServiceLinkedRoleTemplate, ListRoles,
    RevokeRoleSessions, Role, UpdateRole,
};
pub(crate) use rows::tenant::insert_tenant;
pub use service_role::ServiceRole;
pub use session::{FRESH_MFA_MS, Session, SessionInfo, SessionToken, SignIn, Stage};
pub use settings::{
    ClearAccountAlias, GetAccountAlias, GetPasswordPolicy, GetSecurityPreference, PasswordPolicy,
    SecurityPreference, SelfService, SetAccountAlias, SetPasswordPolicy, SetSecurityPreference,
};
pub use sso::{GetSingleSignOn, SetSingleSignOn, SignOnBegun, SignOnSettings, SingleSignOn};
pub(crate) use standing::{Named, Standing};
pub use sts::{AssumeRole, Credentials, RoleSession, RoleWish};
pub use tag::{ListTagResources, TagResources, TagRow, Tagged, UntagResources};
pub(crate) use tenant::erase_people;
pub use tenant::{CreateTenant, NewTenant, Tenant};
pub use user::{
    CallerIdentity, CreateUser, DeleteUser, GetCallerIdentity, GetUser, ListUsers, OnNobody, UpdateUser, User,
};
pub use why::{Can, DecodeDiagnostic, Decoded, WhoCan, Whom, Why};

/// A passkey as lists show it.
#[derive(Clone, Debug)]
pub struct Passkey {
    /// The credential's id, base64url.
    pub id: String,
    /// What its holder calls it.
    pub label: String,
    /// What is needed to check it; no secret.
    pub record: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

use crate::gate::Caller;
use crate::keys::Keys;
use crate::{Failure, House};

/// Hashing waits beyond this many are refused: each takes tens of megabytes.
const HASHES_WAITING_MAX: usize = 32;

/// What identity keeps in memory.
pub(crate) struct IdentityState {
    credentials: SealingKey,
    pseudonyms: SealingKey,
    csrf: SealingKey,
    hasher: Arc<Hasher>,
    operator_cost: Cost,
    user_cost: Cost,
    hashing: Arc<Semaphore>,
    hashes_waiting: Arc<Semaphore>,
    keys: RwLock<HashMap<String, Arc<access_key::Cached>>>,
    roles: RwLock<HashMap<String, Arc<sts::CachedRole>>>,
    sessions: SealingKey,
    recovery: SealingKey,
    diagnostics: SealingKey,
    throttle: throttle::Throttle,
    issuers: issuer::Issuers,
}

impl IdentityState {
    pub(crate) fn new(keys: &Keys, operator_cost: Cost, user_cost: Cost) -> Result<Self, Failure> {
        Ok(Self {
            credentials: keys.credential_key(),
            pseudonyms: keys.derived("bailee/pseudonym/v1"),
            csrf: keys.derived("bailee/csrf/v1"),
            hasher: Arc::new(Hasher::new(&keys.derived("bailee/password-pepper/v1"))),
            operator_cost,
            user_cost,
            hashing: Arc::new(Semaphore::new(2)),
            hashes_waiting: Arc::new(Semaphore::new(HASHES_WAITING_MAX)),
            keys: RwLock::default(),
            roles: RwLock::default(),
            sessions: keys.derived("bailee/sts/v1"),
            recovery: keys.derived("bailee/recovery-code/v1"),
            diagnostics: keys.derived("bailee/diagnostic/v1"),
            throttle: throttle::Throttle::default(),
            issuers: issuer::Issuers::default(),
        })
    }
}

impl House {
    /// An operator as one tenant sees him: stable within the tenant, unlinkable across tenants.
    pub fn pseudonym(&self, tenant: &TenantId, operator: &OperatorId) -> Pseudonym {
        let mac = self.identity.pseudonyms.mac(&[tenant.as_str().as_bytes(), operator.as_str().as_bytes()]);
        let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
        let text: String = mac
            .iter()
            .take(16)
            .filter_map(|b| alphabet.get(usize::from(b % 32)))
            .map(|c| char::from(*c))
            .collect();
        #[expect(
            clippy::expect_used,
            reason = "16 characters of a-z and 2-7 are a pseudonym by its own rule"
        )]
        Pseudonym::parse(&format!("emp-{text}")).expect("a pseudonym")
    }

    /// A caller for a worker of the platform or an administrator at the machine.
    pub fn system_caller(&self, worker: &'static str) -> Caller {
        let origin = crate::gate::Origin {
            request_id: bailee_types::RequestId::random().to_string(),
            channel: "CommandLine",
            ..Default::default()
        };
        Caller::new(crate::gate::Principal::System { worker }, origin)
    }

    /// Hashes a password off the async threads, at most two at a time.
    async fn hash_password(&self, password: SecretText, cost: Cost) -> Result<String, Failure> {
        check_password(&password)?;
        let hasher = Arc::clone(&self.identity.hasher);
        self.hashing(move || hasher.hash(&password, cost).map_err(|e| Failure::Bug(e.to_string()))).await?
    }

    /// Checks a password; an absent hash costs the same and is a no.
    async fn password_fits(
        &self,
        password: SecretText,
        hash: Option<String>,
        cost: Cost,
    ) -> Result<bool, Failure> {
        let hasher = Arc::clone(&self.identity.hasher);
        self.hashing(move || match hash {
            Some(hash) => hasher.verify(&password, &hash),
            None => {
                hasher.verify_dummy(&password, cost);
                false
            }
        })
        .await
    }

    async fn hashing<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        // Whoever goes away while he waits gives his place back: both are guards.
        let Ok(place) = Arc::clone(&self.identity.hashes_waiting).try_acquire_owned() else {
            return Err(Failure::Throttled(2));
        };
        let permit = Arc::clone(&self.identity.hashing).acquire_owned().await;
        let work = move || {
            // The work goes on when nobody waits for it any more, and so does the place that it takes.
            let _held = (place, permit);
            f()
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|e| Failure::Bug(format!("hashing stopped: {e}")))
    }
}

/// Characters of a password, at most.
const PASSWORD_CHARS_MAX: usize = 128;

/// The rule for passwords that people choose (contract §5: 8 to 32 by default; longer is fine).
fn check_password(password: &SecretText) -> Result<(), Failure> {
    let n = password.expose().chars().count();
    if (8..=PASSWORD_CHARS_MAX).contains(&n) {
        Ok(())
    } else {
        Err(Failure::invalid("Password", "must have 8 to 128 characters"))
    }
}

/// A random password of 20 characters without look-alikes (about 98 bits).
fn random_password() -> SecretText {
    SecretText::new(bailee_types::random_text(b"abcdefghijkmnpqrstuvwxyz23456789", 20))
}

/// How long what was read from the database may be believed; another process may have changed it.
pub(crate) const FRESH_MS: i64 = 5_000;

/// Whether that time is not over.
pub(crate) fn still_fresh(read_at: Timestamp, now: Timestamp) -> bool {
    now.ms() - read_at.ms() < FRESH_MS
}
