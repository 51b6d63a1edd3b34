//! Console sign-in and sessions.
//!
//! The token is 256 random bits in the browser; the database holds its hash. It changes whenever a session learns more
//! of who holds it: at the second factor, after a new password.
//!
//! INVARIANT: a session that has not passed all that is asked of its holder acts on nothing but that.

use std::sync::Arc;

use bailee_types::{OperatorId, SecretText, TenantId, Timestamp, UserName, random_bytes};
use sha2::{Digest, Sha256};

use super::device::{Device, KnownDevices};
use super::rows::{login, mfa, operator, session as rows, tenant, user};
use super::settings::{PasswordPolicy, SecurityPreference};
use super::throttle::FREE_ATTEMPTS;
use crate::gate::{Caller, Origin, Principal};
use crate::house::Counters;
use crate::{Failure, House, SignInProblem};

const IDLE_MS: i64 = 30 * 60_000;
/// The longest session of an operator or root; users' sessions last as the tenant prefers.
pub(super) const AGE_HOURS: i64 = 12;
/// How long somebody may take between password and second factor.
const UNFINISHED_MS: i64 = 10 * 60_000;
/// How long a second factor counts as fresh, for acts that ask for it.
pub const FRESH_MFA_MS: i64 = 5 * 60_000;
const DAY_MS: i64 = 86_400_000;

/// How far a sign-in has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Everything that is asked for was shown.
    Full,
    /// The second factor is due.
    Mfa,
    /// A second factor must be bound first.
    Enrol,
    /// A new password must be chosen first.
    Password,
}

impl Stage {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Mfa => "mfa",
            Self::Enrol => "enrol",
            Self::Password => "password",
        }
    }
}

/// What the browser holds.
#[derive(Clone)]
pub struct SessionToken(SecretText);

impl SessionToken {
    pub(super) fn random() -> Self {
        Self(SecretText::new(hex::encode(random_bytes::<32>())))
    }

    /// For the cookie.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        hash_of(self.expose())
    }
}

/// A session as lists show it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Names it; opens nothing.
    pub id: String,
    /// How far it has come.
    pub stage: Stage,
    /// `root`, `user/<id>` or `operator/<id>`.
    pub holder: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
    /// When a second factor was last shown in it.
    pub mfa_at: Option<Timestamp>,
    /// Where from.
    pub source_ip: String,
    /// The browser's name for itself.
    pub user_agent: String,
}

/// A live session.
#[derive(Clone)]
pub struct SessionInfo {
    /// Who.
    pub caller: Caller,
    /// The token that each form carries.
    pub csrf: String,
    /// The session.
    pub session: Session,
}

impl SessionInfo {
    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.session.stage
    }
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

/// A session that begins.
pub(super) struct Begun {
    pub(super) tenant: TenantId,
    pub(super) holder: String,
    /// How its holder proved himself: `password`, `passkey`, `single-sign-on`.
    pub(super) by: &'static str,
    pub(super) stage: Stage,
    pub(super) hours: i64,
    pub(super) mfa_at: Option<Timestamp>,
}

/// Somebody whose name and password fit.
struct Found {
    hash: Option<String>,
    tenant: TenantId,
    holder: String,
    /// What his tenant and his login profile ask for beyond the password.
    needs: Needs,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Needs {
    pub(super) has_factor: bool,
    /// A factor must be bound.
    pub(super) mfa: bool,
    /// A factor must be bound, unless the device is known.
    pub(super) mfa_if_strange: bool,
    /// A device may be spared the factor.
    pub(super) saves_factor: bool,
    pub(super) new_password: bool,
    pub(super) refused: Option<SignInProblem>,
    pub(super) hours: Option<i64>,
}

impl Needs {
    /// What is due, on a device that is known, or on a strange one.
    pub(super) fn stage(self, device: Option<&Device>, now: Timestamp) -> Stage {
        let spared = self.saves_factor && device.is_some_and(|d| d.mfa_until.is_some_and(|at| now < at));
        match self {
            Self { has_factor: true, .. } if !spared => Stage::Mfa,
            Self { has_factor: false, mfa: true, .. } => Stage::Enrol,
            Self { has_factor: false, mfa_if_strange: true, .. } if device.is_none() => Stage::Enrol,
            Self { new_password: true, .. } => Stage::Password,
            _ => Stage::Full,
        }
    }
}

impl House {
    /// Checks name and password and begins a session, recorded in the log of the tenant (or the provider). How far it
    /// has come is in [`House::session`].
    ///
    /// # Errors
    /// `SignIn` with one text for every wrong name or password; `Throttled` when tried too often.
    pub async fn sign_in(self: &Arc<Self>, who: SignIn, origin: Origin) -> Result<SessionToken, Failure> {
        self.sign_in_on(who, &KnownDevices::default(), origin).await
    }

    /// As [`House::sign_in`], in a browser that may be known.
    ///
    /// # Errors
    /// As [`House::sign_in`].
    pub async fn sign_in_on(
        self: &Arc<Self>,
        who: SignIn,
        devices: &KnownDevices,
        origin: Origin,
    ) -> Result<SessionToken, Failure> {
        let (label, password, cost) = match &who {
            SignIn::Tenant { tenant, user, password } => {
                // By its id: a tenant goes by three names, and attempts at one person count together.
                let name = tenant.clone();
                let known = self.db.read(move |tx| tenant::by_name(tx, &name).map_err(Failure::from)).await?;
                let tenant = known.map_or_else(|| clip(tenant), |t| t.id.to_string());
                (format!("t:{tenant}:{}", clip(user)), password.clone(), self.identity.user_cost)
            }
            SignIn::Operator { id, password } => {
                (format!("o:{}", clip(id)), password.clone(), self.identity.operator_cost)
            }
        };
        // Two buckets: one for the name wherever it is tried from, one for the name from one network. The first only
        // slows down, so that nobody can lock another one out by guessing at his name. A device that he signed in with
        // before has one of its own instead: strangers do not make him wait there, and who stole it waits for himself.
        let device = self.device_at_sign_in(&who, devices).await?;
        let buckets = match &device {
            Some(d) => vec![format!("d:{}", d.id)],
            None => vec![format!("{label}@{}", super::throttle::network_of(&origin.source_ip)), label],
        };
        for bucket in &buckets {
            self.check_throttle(bucket)?;
        }
        let (found, free) = self.find_sign_in(who, &origin).await?;
        let fits = self.password_fits(password, found.as_ref().and_then(|f| f.hash.clone()), cost).await?;
        let Some(found) = found.filter(|_| fits) else {
            for bucket in &buckets {
                self.note_failure(bucket, free);
            }
            Counters::add(&self.counters().sign_in_failures, 1);
            return Err(Failure::SignIn(SignInProblem::Wrong));
        };
        if let Some(why) = found.needs.refused {
            return Err(Failure::SignIn(why));
        }
        for bucket in &buckets {
            self.forget_failures(bucket);
        }
        let hours = found.needs.hours.unwrap_or(AGE_HOURS);
        let stage = found.needs.stage(device.as_ref(), self.now());
        let begun =
            Begun { tenant: found.tenant, holder: found.holder, by: "password", stage, hours, mfa_at: None };
        self.begin_session(begun, origin).await
    }

    /// Begins a session for a holder who proved himself, recorded before it is good for anything.
    pub(super) async fn begin_session(
        self: &Arc<Self>,
        begun: Begun,
        origin: Origin,
    ) -> Result<SessionToken, Failure> {
        let Begun { tenant, holder, by, stage, hours, mfa_at } = begun;
        let token = SessionToken::random();
        let caller = self
            .holder_principal(&tenant, &holder)
            .await?
            .map(|p| Caller::new(p, origin.clone()).at_stage(stage))
            .ok_or(Failure::SignIn(SignInProblem::Wrong))?;
        let now = self.now();
        let session = Session {
            id: hex::encode(random_bytes::<8>()),
            stage,
            holder,
            created_at: now,
            seen_at: now,
            ends_at: now.plus_ms(hours * 3_600_000),
            mfa_at,
            source_ip: origin.source_ip.clone(),
            user_agent: origin.user_agent.clone(),
        };
        let begin = super::console::BeginSession { tenant, token_hash: token.hash(), session, by };
        self.perform(caller, begin).await?;
        Ok(token)
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
        self.session_at(token, origin, true).await
    }

    /// As [`House::session`], but watching is no sign of life: a page that is left open does not keep its session.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session_watched(
        self: &Arc<Self>,
        token: &str,
        origin: Origin,
    ) -> Result<Option<SessionInfo>, Failure> {
        self.session_at(token, origin, false).await
    }

    async fn session_at(
        self: &Arc<Self>,
        token: &str,
        origin: Origin,
        is_alive: bool,
    ) -> Result<Option<SessionInfo>, Failure> {
        if token.len() != 64 {
            return Ok(None);
        }
        let hash = hash_of(token);
        let now = self.now();
        let Some(row) = self.db.read(move |tx| rows::by_token(tx, &hash).map_err(Failure::from)).await?
        else {
            return Ok(None);
        };
        let s = row.session;
        let unfinished = s.stage != Stage::Full && now >= s.created_at.plus_ms(UNFINISHED_MS);
        if now >= s.ends_at || now >= s.seen_at.plus_ms(IDLE_MS) || unfinished {
            return Ok(None);
        }
        if is_alive && now >= s.seen_at.plus_ms(60_000) {
            self.db.write(move |tx| rows::touch(tx, &hash, now).map_err(Failure::from)).await?;
        }
        let Some(principal) = self.holder_principal(&row.tenant, &s.holder).await? else { return Ok(None) };
        let caller = Caller::new(principal, origin).at_stage(s.stage).with_mfa(s.mfa_at);
        let csrf = hex::encode(self.identity.csrf.mac(&[&hash]));
        Ok(Some(SessionInfo { caller, csrf, session: s }))
    }

    /// Ends a session; an unknown token is fine.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_out(&self, token: &str) -> Result<(), Failure> {
        let hash = hash_of(token);
        let now = self.now();
        self.db
            .write(move |tx| {
                // What an operator has open in customers' systems ends with it.
                if let Some(operator) = rows::operator_of(tx, &hash)? {
                    crate::broker::end_of_operator(tx, &operator, now)?;
                }
                rows::end(tx, &hash, now).map_err(Failure::from)
            })
            .await
    }

    /// Who it is, if anybody, and how many attempts are free: that depends on the tenant and not on whether the name is
    /// known, so that it does not tell names apart.
    async fn find_sign_in(&self, who: SignIn, origin: &Origin) -> Result<(Option<Found>, u32), Failure> {
        let now = self.now();
        let address = origin.source_ip.clone();
        self.db
            .read(move |tx| {
                Ok(match who {
                    SignIn::Tenant { tenant, user, .. } => {
                        let Some(tenant) = tenant::by_name(tx, &tenant)? else {
                            return Ok((None, FREE_ATTEMPTS));
                        };
                        let mut tx = tx.tenant(&tenant.id);
                        if user == "root" {
                            return Ok((find_root(&mut tx)?, FREE_ATTEMPTS));
                        }
                        let free = match PasswordPolicy::load(&mut tx)?.attempts_max {
                            0 => FREE_ATTEMPTS,
                            most => most,
                        };
                        match UserName::parse(&user) {
                            Ok(name) => (find_user(&mut tx, &name, &address, now)?, free),
                            Err(_) => (None, free),
                        }
                    }
                    SignIn::Operator { id, .. } => match OperatorId::parse(&id) {
                        Ok(id) => (find_operator(tx, &id)?, FREE_ATTEMPTS),
                        Err(_) => (None, FREE_ATTEMPTS),
                    },
                })
            })
            .await
    }

    /// The principal as it is now: a user that was removed or an operator that was disabled has none.
    pub(super) async fn holder_principal(
        &self,
        tenant: &TenantId,
        holder: &str,
    ) -> Result<Option<Principal>, Failure> {
        if let Some(id) = holder.strip_prefix("operator/") {
            let Ok(id) = OperatorId::parse(id) else { return Ok(None) };
            let wanted = id.clone();
            let found = self.db.read(move |tx| operator::by_id(tx, &wanted).map_err(Failure::from)).await?;
            return Ok(found.filter(|o| o.active).map(|o| Principal::Operator {
                id,
                roles: o.roles.into(),
                place: o.place,
            }));
        }
        let (t, h) = (tenant.clone(), holder.to_owned());
        let read = self
            .db
            .read(move |tx| {
                let Some(found) = tenant::by_name(tx, t.as_str())?.filter(|f| f.id == t) else {
                    return Ok(None);
                };
                let user = match h.strip_prefix("user/") {
                    None => None,
                    Some(id) => match user::by_text_id(&mut tx.tenant(&t), id)? {
                        None => return Ok(None),
                        found => found,
                    },
                };
                Ok::<_, Failure>(Some((found, user)))
            })
            .await?;
        Ok(match read {
            None => None,
            Some((found, None)) if holder == "root" => {
                Some(Principal::Root { tenant: found.id, alias: found.alias })
            }
            Some((_, None)) => None,
            Some((found, Some(user))) => {
                let policies = self.policies_of_user(&found.id, &user.id).await?;
                Some(Principal::User {
                    tenant: found.id,
                    alias: found.alias,
                    id: user.id,
                    name: user.name,
                    policies,
                })
            }
        })
    }
}

pub(super) fn has_factor(tx: &mut bailee_store::TenantTx<'_, '_>, holder: &str) -> Result<bool, Failure> {
    Ok(mfa::of_holder(tx, holder)?.is_some() || !mfa::passkeys(tx, holder)?.is_empty())
}

fn find_root(tx: &mut bailee_store::TenantTx<'_, '_>) -> Result<Option<Found>, Failure> {
    Ok(Some(Found {
        hash: tenant::root_password(tx)?,
        tenant: tx.id().clone(),
        holder: "root".into(),
        needs: Needs { has_factor: has_factor(tx, "root")?, ..Default::default() },
    }))
}

fn find_user(
    tx: &mut bailee_store::TenantTx<'_, '_>,
    name: &UserName,
    address: &str,
    now: Timestamp,
) -> Result<Option<Found>, Failure> {
    let Some(user) = user::by_name(tx, name)? else { return Ok(None) };
    let Some(profile) = login::of_user(tx, &user)? else { return Ok(None) };
    Ok(Some(Found {
        hash: login::password(tx, user.id.as_str())?,
        tenant: tx.id().clone(),
        needs: needs_of_user(tx, &user, Some(&profile), address, now)?,
        holder: format!("user/{}", user.id),
    }))
}

/// What the account and the user's own settings ask of him, however he proved who he is.
pub(super) fn needs_of_user(
    tx: &mut bailee_store::TenantTx<'_, '_>,
    user: &super::User,
    profile: Option<&super::LoginProfile>,
    address: &str,
    now: Timestamp,
) -> Result<Needs, Failure> {
    let preference = SecurityPreference::load(tx)?;
    let rules = PasswordPolicy::load(tx)?;
    let too_old = rules.age_max_days > 0
        && login::password_age(tx, user.id.as_str())?
            .is_some_and(|at| now.ms() - at.ms() > i64::from(rules.age_max_days) * DAY_MS);
    let refused = if profile.is_some_and(|p| !p.active) {
        Some(SignInProblem::Inactive)
    } else if !preference.allows_address(address) {
        Some(SignInProblem::Network)
    } else if too_old && rules.hard_expiry {
        Some(SignInProblem::Expired)
    } else {
        None
    };
    Ok(Needs {
        has_factor: has_factor(tx, &format!("user/{}", user.id))?,
        mfa: profile.is_some_and(|p| p.mfa_required) || preference.mfa_for_login == "mandatory",
        mfa_if_strange: preference.mfa_for_login == "adaptive",
        saves_factor: preference.save_mfa_ticket,
        new_password: profile.is_some_and(|p| p.must_reset) || too_old,
        refused,
        hours: Some(i64::from(preference.session_hours)),
    })
}

fn find_operator(tx: &mut bailee_store::Tx<'_>, id: &OperatorId) -> Result<Option<Found>, Failure> {
    let Some(hash) = operator::password(tx, id)? else { return Ok(None) };
    let provider = TenantId::provider();
    let holder = format!("operator/{id}");
    let has_factor = has_factor(&mut tx.tenant(&provider), &holder)?;
    Ok(Some(Found {
        hash: Some(hash),
        tenant: provider,
        holder,
        needs: Needs { has_factor, ..Default::default() },
    }))
}

pub(super) fn hash_of(token: &str) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(b"bailee/session/v1\0");
    h.update(token.as_bytes());
    h.finalize().into()
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}
