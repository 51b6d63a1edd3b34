//! Console sign-in and sessions.
//!
//! The token is 256 random bits in the browser; the database holds its hash. Idle 30 minutes or 12 hours of
//! age end a session.

use std::sync::Arc;

use bailee_types::{Arn, OperatorId, SecretText, TenantId, Timestamp, UserName, random_bytes};
use serde_json::{Map, json};
use sha2::{Digest, Sha256};

use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Origin, Principal, Touches};
use crate::house::Counters;
use crate::{Failure, House};

const IDLE_MS: i64 = 30 * 60_000;
const AGE_MS: i64 = 12 * 3_600_000;
/// Attempts that are free before waiting starts; then 1, 2, 4 … 60 seconds.
const FREE_ATTEMPTS: u32 = 5;
const WAIT_MAX_S: u64 = 60;
const THROTTLED_MAX: usize = 50_000;
const WRONG: &str = "the name or the password is wrong";

/// Failed attempts on one name.
#[derive(Clone, Copy, Default)]
pub(super) struct Attempts {
    failed: u32,
    next_at_ms: i64,
}

/// What the browser holds.
#[derive(Clone)]
pub struct SessionToken(SecretText);

impl SessionToken {
    /// For the cookie.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// A live session.
#[derive(Clone)]
pub struct SessionInfo {
    /// Who.
    pub caller: Caller,
    /// The token that each form carries.
    pub csrf: String,
    /// When it began.
    pub created_at: Timestamp,
}

/// Who wants to sign in.
pub enum SignIn {
    /// A tenant's root or user.
    Tenant {
        /// Alias or id.
        tenant: String,
        /// `root` or a user's name.
        user: String,
        /// The password.
        password: SecretText,
    },
    /// An operator.
    Operator {
        /// `op-…`.
        id: String,
        /// The password.
        password: SecretText,
    },
}

struct Found {
    hash: Option<String>,
    kind: &'static str,
    tenant: Option<TenantId>,
    name: String,
}

impl House {
    /// Checks name and password and begins a session, recorded in the log of the tenant (or the provider).
    ///
    /// # Errors
    /// `SignIn` with one text for every wrong name or password; `Throttled` when tried too often.
    pub async fn sign_in(self: &Arc<Self>, who: SignIn, origin: Origin) -> Result<SessionToken, Failure> {
        let (label, password, cost) = match &who {
            SignIn::Tenant { tenant, user, password } => {
                (format!("t:{}:{}", clip(tenant), clip(user)), password.clone(), self.identity.user_cost)
            }
            SignIn::Operator { id, password } => {
                (format!("o:{}", clip(id)), password.clone(), self.identity.operator_cost)
            }
        };
        self.check_throttle(&label)?;
        let found = self.find_sign_in(who).await?;
        let fits = self.password_fits(password, found.as_ref().and_then(|f| f.hash.clone()), cost).await?;
        let Some(found) = found.filter(|_| fits) else {
            self.note_failure(&label);
            Counters::add(&self.counters().sign_in_failures, 1);
            return Err(Failure::SignIn(WRONG.into()));
        };
        self.identity.throttle.lock().remove(&label);
        let token = SecretText::new(hex::encode(random_bytes::<32>()));
        let caller = self
            .principal_of(found.kind, found.tenant.as_ref(), &found.name, origin)
            .await?
            .ok_or_else(|| Failure::SignIn(WRONG.into()))?;
        let begin = BeginSession {
            tenant: found.tenant.clone().unwrap_or_else(TenantId::provider),
            kind: found.kind,
            owner: found.tenant,
            name: found.name,
            token_hash: hash_of(token.expose()),
        };
        self.perform(caller, begin).await?;
        Ok(SessionToken(token))
    }

    /// The session that a token belongs to, if it lives.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session(
        self: &Arc<Self>,
        token: &str,
        origin: Origin,
    ) -> Result<Option<SessionInfo>, Failure> {
        if token.len() != 64 {
            return Ok(None);
        }
        let hash = hash_of(token);
        let now = self.now();
        let Some(row) = self.db.read(move |tx| rows::session(tx, &hash).map_err(Failure::from)).await? else {
            return Ok(None);
        };
        if now >= row.ends_at || now >= row.seen_at.plus_ms(IDLE_MS) {
            return Ok(None);
        }
        if now >= row.seen_at.plus_ms(60_000) {
            self.db.write(move |tx| rows::touch_session(tx, &hash, now).map_err(Failure::from)).await?;
        }
        let Some(caller) = self.principal_of(row.kind, row.tenant.as_ref(), &row.name, origin).await? else {
            return Ok(None);
        };
        let csrf = hex::encode(self.identity.csrf.mac(&[&hash]));
        Ok(Some(SessionInfo { caller, csrf, created_at: row.created_at }))
    }

    /// Ends a session; an unknown token is fine.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_out(&self, token: &str) -> Result<(), Failure> {
        let hash = hash_of(token);
        let now = self.now();
        self.db.write(move |tx| rows::end_session(tx, &hash, now).map_err(Failure::from)).await
    }

    async fn find_sign_in(&self, who: SignIn) -> Result<Option<Found>, Failure> {
        self.db
            .read(move |tx| {
                Ok(match who {
                    SignIn::Tenant { tenant, user, .. } => {
                        let Some(tenant) = rows::tenant_by_alias(tx, &tenant)? else { return Ok(None) };
                        let hash = if user == "root" {
                            rows::root_password(&mut tx.tenant(&tenant.id))?
                        } else {
                            match UserName::parse(&user) {
                                Ok(name) => rows::user_password(&mut tx.tenant(&tenant.id), &name)?,
                                Err(_) => None,
                            }
                        };
                        let kind = if user == "root" { "root" } else { "user" };
                        Some(Found { hash, kind, tenant: Some(tenant.id), name: user })
                    }
                    SignIn::Operator { id, .. } => match OperatorId::parse(&id) {
                        Ok(id) => rows::operator_password(tx, &id)?.map(|hash| Found {
                            hash: Some(hash),
                            kind: "operator",
                            tenant: None,
                            name: id.to_string(),
                        }),
                        Err(_) => None,
                    },
                })
            })
            .await
    }

    /// The principal as it is now: a user that was removed or an operator that was disabled has none.
    async fn principal_of(
        &self,
        kind: &str,
        tenant: Option<&TenantId>,
        name: &str,
        origin: Origin,
    ) -> Result<Option<Caller>, Failure> {
        let principal = match (kind, tenant) {
            ("operator", None) => {
                let Ok(id) = OperatorId::parse(name) else { return Ok(None) };
                let wanted = id.clone();
                let found =
                    self.db.read(move |tx| rows::operator(tx, &wanted).map_err(Failure::from)).await?;
                match found.filter(|o| o.active) {
                    Some(o) => Principal::Operator { id, role: o.role, place: o.place },
                    None => return Ok(None),
                }
            }
            (_, Some(tenant)) => {
                let wanted = tenant.to_string();
                let Some(found) =
                    self.db.read(move |tx| rows::tenant_by_alias(tx, &wanted).map_err(Failure::from)).await?
                else {
                    return Ok(None);
                };
                if kind == "root" {
                    Principal::Root { tenant: found.id, alias: found.alias }
                } else {
                    let Ok(user) = UserName::parse(name) else { return Ok(None) };
                    let (t, u) = (found.id.clone(), user.clone());
                    let row = self
                        .db
                        .read(move |tx| rows::user(&mut tx.tenant(&t), &u).map_err(Failure::from))
                        .await?;
                    let Some(row) = row else { return Ok(None) };
                    let id =
                        bailee_types::UserId::parse(&row.id).map_err(|e| Failure::Damaged(e.to_string()))?;
                    let policies = self.policies_of(&found.id, &user).await?;
                    Principal::User { tenant: found.id, alias: found.alias, id, name: user, policies }
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Caller::new(principal, origin)))
    }

    fn check_throttle(&self, label: &str) -> Result<(), Failure> {
        let now = self.now().ms();
        let wait_ms = self.identity.throttle.lock().get(label).map_or(0, |a| a.next_at_ms - now);
        if wait_ms > 0 { Err(Failure::Throttled((wait_ms as u64).div_ceil(1000))) } else { Ok(()) }
    }

    fn note_failure(&self, label: &str) {
        let now = self.now().ms();
        let mut throttle = self.identity.throttle.lock();
        if throttle.len() >= THROTTLED_MAX {
            throttle.retain(|_, a| a.next_at_ms + 3_600_000 > now);
        }
        let attempts = throttle.entry(label.to_owned()).or_default();
        attempts.failed = attempts.failed.saturating_add(1);
        let over = attempts.failed.saturating_sub(FREE_ATTEMPTS);
        let wait_s = if over == 0 { 0 } else { (1u64 << (over - 1).min(6)).min(WAIT_MAX_S) };
        attempts.next_at_ms = now + wait_s as i64 * 1000;
    }
}

struct BeginSession {
    tenant: TenantId,
    kind: &'static str,
    owner: Option<TenantId>,
    name: String,
    token_hash: [u8; 32],
}

impl Operation for BeginSession {
    type Output = ();

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:SignIn",
            resource: Arn::own(&self.tenant, "console"),
            resource_type: "ACS::Bailee::Session",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "kind": self.kind })),
            continues: None,
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let now = house.now();
        house
            .db
            .write(move |tx| {
                rows::insert_session(
                    tx,
                    &self.token_hash,
                    self.kind,
                    self.owner.as_ref(),
                    &self.name,
                    now,
                    now.plus_ms(AGE_MS),
                )
                .map_err(Failure::from)
            })
            .await
    }

    fn outcome_detail((): &()) -> Map<String, serde_json::Value> {
        Map::new()
    }
}

fn hash_of(token: &str) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(b"bailee/session/v1\0");
    h.update(token.as_bytes());
    h.finalize().into()
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}
