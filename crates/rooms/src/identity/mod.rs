//! Identity: who calls, and what he may do.
//!
//! INVARIANT: a [`Caller`] exists only after a signature, a password or a session was checked here.
//! INVARIANT: secrets of AccessKeys are sealed, passwords are argon2id hashes; both are shown once, at creation.
//! INVARIANT: an unknown name costs the same time and gets the same answer as a wrong password.

mod access_key;
mod operator;
mod policy;
mod rows;
mod session;
mod tenant;
mod user;

use std::collections::HashMap;
use std::sync::Arc;

use bailee_crypto::password::{Cost, Hasher};
use bailee_crypto::seal::SealingKey;
use bailee_types::{OperatorId, Pseudonym, SecretText, TenantId, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;

pub use access_key::{AccessKey, AuthError, CreateAccessKey, ListAccessKeys, NewAccessKey};
pub use operator::{CreateOperator, Operator, SetOperatorState};
pub use policy::{AttachPolicy, CreatePolicy};
pub(crate) use rows::insert_tenant;
pub use session::{SessionInfo, SessionToken, SignIn};
pub use tenant::{CreateTenant, NewTenant, Tenant};
pub use user::{
    CallerIdentity, CreateUser, GetCallerIdentity, GetUser, ListUsers, SetPassword, User, UserPage,
};

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
    hashing: Semaphore,
    hashes_waiting: std::sync::atomic::AtomicUsize,
    keys: RwLock<HashMap<String, Arc<access_key::Cached>>>,
    throttle: Mutex<HashMap<String, session::Attempts>>,
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
            hashing: Semaphore::new(2),
            hashes_waiting: std::sync::atomic::AtomicUsize::new(0),
            keys: RwLock::default(),
            throttle: Mutex::default(),
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
        use std::sync::atomic::Ordering;
        let waiting = &self.identity.hashes_waiting;
        if waiting.fetch_add(1, Ordering::AcqRel) >= HASHES_WAITING_MAX {
            waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(Failure::Throttled(2));
        }
        let permit = self.identity.hashing.acquire().await;
        let done = tokio::task::spawn_blocking(f).await;
        drop(permit);
        waiting.fetch_sub(1, Ordering::AcqRel);
        done.map_err(|e| Failure::Bug(format!("hashing stopped: {e}")))
    }
}

/// The rule for passwords that people choose (contract §5: 8 to 32 by default; longer is fine).
fn check_password(password: &SecretText) -> Result<(), Failure> {
    let n = password.expose().chars().count();
    if (8..=128).contains(&n) {
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
pub(crate) fn still_fresh(read_at: Timestamp, now: Timestamp) -> bool {
    now.ms() - read_at.ms() < 5_000
}
