//! What a person does with his own sign-in: begin it, show the second factor, bind one, choose a new password, see and
//! end sessions.

use std::sync::Arc;

use bailee_federation::{qr, recovery, totp};
use bailee_store::Tx;
use bailee_types::{Arn, SecretText, TenantId, Timestamp, UserName, random_text};
use serde_json::{Map, Value, json};

use super::rows::{device, login, mfa, operator, session as rows, tenant, user as user_rows};
use super::session::{Session, SessionToken, Stage, hash_of};
use super::settings::{PasswordPolicy, SecurityPreference};
use super::throttle::FREE_ATTEMPTS;
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation, Principal, Touches};
use crate::{Failure, House, SignInProblem, Thing};

/// An act on the caller's own sign-in.
pub(super) fn asked(tenant: &TenantId, action: &'static str, write: bool, detail: Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "console"),
        resource_type: "ACS::Bailee::Session",
        class: Class::Management { write },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

/// `root`, `user/<id>` or `operator/<id>`, with the tenant under which it stands.
pub(super) fn holder_of(caller: &Caller) -> Result<(TenantId, String), Failure> {
    match caller.principal() {
        Principal::Root { tenant, .. } => Ok((tenant.clone(), "root".into())),
        Principal::User { tenant, id, .. } => Ok((tenant.clone(), format!("user/{id}"))),
        Principal::Operator { id, .. } => Ok((TenantId::provider(), format!("operator/{id}"))),
        _ => Err(Failure::Conflict("only people have a sign-in".into())),
    }
}

pub(super) struct BeginSession {
    pub(super) tenant: TenantId,
    pub(super) token_hash: [u8; 32],
    pub(super) session: Session,
    pub(super) by: &'static str,
}

impl Operation for BeginSession {
    type Output = ();

    fn asks(&self) -> Asked {
        let kind = self.session.holder.split('/').next().unwrap_or_default().to_owned();
        asked(
            &self.tenant,
            "bailee:SignIn",
            true,
            json!({ "kind": kind, "stage": self.session.stage.word(), "by": self.by }),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                rows::insert(&mut tx, &self.token_hash, &self.session)?;
                if let Some(id) = self.session.holder.strip_prefix("user/") {
                    user_rows::note_login(&mut tx, id, now)?;
                }
                Ok(())
            })
            .await
    }
}

/// The session of a token, if it is this person's own: what somebody proves counts for no other's session.
pub(super) fn own_session(
    tx: &mut Tx<'_>,
    token_hash: &[u8; 32],
    (tenant, holder): (&TenantId, &str),
) -> Result<rows::SessionRow, Failure> {
    rows::by_token(tx, token_hash)?
        .filter(|row| row.tenant == *tenant && row.session.holder == holder)
        .ok_or(Failure::SignIn(SignInProblem::Ended))
}

/// A second factor, as it was typed.
#[derive(Clone)]
pub enum Factor {
    /// Six digits of an app.
    Totp(SecretText),
    /// A recovery code.
    Recovery(SecretText),
}

/// Shows the second factor: moves a session from `Mfa` on, or makes it fresh again in a full one.
pub struct ShowFactor {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
    /// What was shown.
    pub factor: Factor,
}

impl Operation for ShowFactor {
    type Output = SessionToken;

    fn asks(&self) -> Asked {
        let kind = match self.factor {
            Factor::Totp(_) => "totp",
            Factor::Recovery(_) => "recovery-code",
        };
        asked(&self.tenant, "bailee:ShowSecondFactor", true, json!({ "factor": kind }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<SessionToken, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        let label = format!("f:{tenant}:{holder}");
        house.begin_attempt(&label)?;
        let inner = Arc::clone(house);
        let now = house.now();
        let (old, new) = (hash_of(&self.token), SessionToken::random());
        let new_hash = new.hash();
        let factor = self.factor;
        let shown = house
            .db
            .write(move |tx| {
                own_session(tx, &old, (&tenant, &holder))?;
                let stage = next_stage(tx, &tenant, &holder, now)?;
                let mut own = tx.tenant(&tenant);
                let fits = match &factor {
                    Factor::Totp(code) => use_code(&inner, &mut own, &holder, code, now)?,
                    Factor::Recovery(code) => match recovery::normalise(code.expose()) {
                        None => false,
                        Some(code) => {
                            let mac = inner.recovery_mac(&tenant, &holder, &code);
                            mfa::use_recovery_code(&mut own, &holder, &mac, now)?
                        }
                    },
                };
                if !fits {
                    return Err(Failure::WrongCode);
                }
                if !rows::advance(tx, &old, &new_hash, stage, Some(now))? {
                    return Err(Failure::SignIn(SignInProblem::Ended));
                }
                Ok(())
            })
            .await;
        shown?;
        house.forget_failures(&label);
        Ok(new)
    }
}

/// Checks a code of a holder's app and burns it.
fn use_code(
    house: &Arc<House>,
    tx: &mut bailee_store::TenantTx<'_, '_>,
    holder: &str,
    code: &SecretText,
    now: Timestamp,
) -> Result<bool, Failure> {
    let Some(row) = mfa::of_holder(tx, holder)? else { return Ok(false) };
    let seed = house.open_seed(tx.id(), &row.device.name, &row.sealed_seed)?;
    match totp::check(code.expose(), &seed, now, Some(row.last_step)) {
        Some(step) => Ok(mfa::use_step(tx, &row.device.name, step)?),
        None => Ok(false),
    }
}

/// What is due after the second factor: a new password, or nothing.
pub(super) fn next_stage(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    holder: &str,
    now: Timestamp,
) -> Result<Stage, Failure> {
    let Some(id) = holder.strip_prefix("user/") else { return Ok(Stage::Full) };
    let mut tx = tx.tenant(tenant);
    let Some(user) = user_rows::by_text_id(&mut tx, id)? else { return Ok(Stage::Full) };
    let rules = PasswordPolicy::load(&mut tx)?;
    let reset = login::of_user(&mut tx, &user)?.is_some_and(|p| p.must_reset);
    let age_ms = i64::from(rules.age_max_days) * 86_400_000;
    let old = age_ms > 0 && login::password_age(&mut tx, id)?.is_some_and(|at| now.ms() - at.ms() > age_ms);
    Ok(if reset || old { Stage::Password } else { Stage::Full })
}

/// An app that is about to be bound.
#[derive(Clone, Debug)]
pub struct PendingTotp {
    /// For typing into an app.
    pub base32: SecretText,
    /// For scanning into an app: a PNG.
    pub qr_png: Vec<u8>,
}

/// Begins to bind an app to oneself: the seed waits in the session.
pub struct BeginTotp {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
}

impl Operation for BeginTotp {
    type Output = PendingTotp;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:BindSecondFactor", true, json!({ "factor": "totp", "step": "begin" }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<PendingTotp, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        house.need_fresh_if_bound(intent.caller()).await?;
        let seed = totp::Seed::random();
        let account = format!("{}@{}", intent.caller().name(), tenant_label(intent.caller()));
        let uri = seed.uri(&house.provider().name, &account);
        let shown = PendingTotp {
            base32: seed.base32(),
            qr_png: qr::qr_png(uri.expose()).map_err(|e| Failure::Bug(e.to_string()))?,
        };
        let hash = hash_of(&self.token);
        let sealed = house.identity.credentials.seal(&pending_aad(&hash), seed.expose());
        house
            .db
            .write(move |tx| {
                own_session(tx, &hash, (&tenant, &holder))?;
                if mfa::of_holder(&mut tx.tenant(&tenant), &holder)?.is_some() {
                    return Err(Failure::exists(Thing::UserMfa, "yourself"));
                }
                rows::set_pending(tx, &hash, Some(&sealed)).map_err(Failure::from)
            })
            .await?;
        Ok(shown)
    }
}

/// Binds the app that [`BeginTotp`] made a seed for.
pub struct FinishTotp {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
    /// A code.
    pub first: SecretText,
    /// The code after it.
    pub second: SecretText,
}

impl Operation for FinishTotp {
    /// The session goes on under another token; the recovery codes are shown once.
    type Output = (SessionToken, Vec<SecretText>);

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:BindSecondFactor", true, json!({ "factor": "totp", "step": "finish" }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        let name = intent.caller().name().to_owned();
        let inner = Arc::clone(house);
        let now = house.now();
        let (old, new) = (hash_of(&self.token), SessionToken::random());
        let new_hash = new.hash();
        let (codes, macs) = inner.new_recovery_codes(&tenant, &holder);
        house
            .db
            .write(move |tx| {
                let none =
                    || Failure::Conflict("no app is about to be bound in this session; begin again".into());
                let sealed = own_session(tx, &old, (&tenant, &holder))?.pending.ok_or_else(none)?;
                let plain =
                    inner.identity.credentials.open(&pending_aad(&old), &sealed).map_err(|_| none())?;
                let seed = totp::Seed::from_bytes(plain.expose()).map_err(|_| none())?;
                let step = totp::check_two_consecutive(self.first.expose(), self.second.expose(), &seed, now)
                    .ok_or(Failure::WrongCode)?;
                let stage = next_stage(tx, &tenant, &holder, now)?;
                let mut own = tx.tenant(&tenant);
                if mfa::of_holder(&mut own, &holder)?.is_some() {
                    return Err(Failure::exists(Thing::UserMfa, &name));
                }
                // The device's name is the person's; an old device of that name that is bound to nobody makes room.
                let mut device = name.clone();
                if let Some(there) = mfa::by_name(&mut own, &device)? {
                    match there.device.holder {
                        None => mfa::delete(&mut own, &device)?,
                        Some(_) => {
                            device =
                                format!("{device}-{}", random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 6))
                        }
                    }
                }
                let sealed = inner.seal_seed(&tenant, &device, &seed);
                mfa::insert(&mut own, &device, &sealed, now)?;
                mfa::bind(&mut own, &device, &holder, step, now)?;
                mfa::set_recovery_codes(&mut own, &holder, &macs)?;
                device::end_tickets(&mut own, &holder)?;
                rows::advance(tx, &old, &new_hash, stage, Some(now))?;
                Ok(())
            })
            .await?;
        Ok((new, codes))
    }

    fn outcome_detail(_: &Self::Output) -> Map<String, Value> {
        Map::new()
    }
}

/// Takes one's own app away. Needs a fresh second factor.
pub struct RemoveTotp {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
}

impl Operation for RemoveTotp {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:RemoveSecondFactor", true, json!({ "factor": "totp" }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        intent.caller().need_fresh_mfa(house.now())?;
        let (tenant, holder) = holder_of(intent.caller())?;
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&tenant);
                let row = mfa::of_holder(&mut tx, &holder)?
                    .ok_or_else(|| Failure::not_found(Thing::UserMfa, "yourself"))?;
                mfa::delete(&mut tx, &row.device.name)?;
                mfa::forget_codes_without_factor(&mut tx, &holder)?;
                device::end_tickets(&mut tx, &holder)?;
                Ok(())
            })
            .await
    }
}

/// New recovery codes in the place of all old ones. Needs a fresh second factor.
pub struct RenewRecoveryCodes {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
}

impl Operation for RenewRecoveryCodes {
    type Output = Vec<SecretText>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:RenewRecoveryCodes", true, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Vec<SecretText>, Failure> {
        intent.caller().need_fresh_mfa(house.now())?;
        let (tenant, holder) = holder_of(intent.caller())?;
        let (codes, macs) = house.new_recovery_codes(&tenant, &holder);
        house
            .db
            .write(move |tx| {
                mfa::set_recovery_codes(&mut tx.tenant(&tenant), &holder, &macs).map_err(Failure::from)
            })
            .await?;
        Ok(codes)
    }

    fn outcome_detail(_: &Vec<SecretText>) -> Map<String, Value> {
        Map::new()
    }
}

/// Chooses a new password for oneself at the console: the old one is asked for once more, unless it must be replaced.
pub struct ChoosePassword {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's token.
    pub token: String,
    /// The present password.
    pub old: SecretText,
    /// The new one.
    pub new: SecretText,
}

impl Operation for ChoosePassword {
    type Output = SessionToken;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ChangePassword", true, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<SessionToken, Failure> {
        let caller = intent.caller();
        let (tenant, holder) = holder_of(caller)?;
        let label = format!("c:{tenant}:{holder}");
        house.check_throttle(&label)?;
        let (t, h) = (tenant.clone(), holder.clone());
        let (hash, may) = house
            .db
            .read(move |tx| {
                if let Some(id) = h.strip_prefix("operator/") {
                    let id =
                        bailee_types::OperatorId::parse(id).map_err(|e| Failure::Damaged(e.to_string()))?;
                    return Ok((operator::password(tx, &id)?, true));
                }
                let mut tx = tx.tenant(&t);
                match h.strip_prefix("user/") {
                    Some(id) => Ok((
                        login::password(&mut tx, id)?,
                        SecurityPreference::load(&mut tx)?.change_password,
                    )),
                    None => Ok::<_, Failure>((tenant::root_password(&mut tx)?, true)),
                }
            })
            .await?;
        if !may && caller.stage() != Stage::Password {
            return Err(Failure::Conflict("your account does not let users change their passwords".into()));
        }
        let cost =
            if caller.operator().is_some() { house.identity.operator_cost } else { house.identity.user_cost };
        if !house.password_fits(self.old.clone(), hash, cost).await? {
            house.note_failure(&label, FREE_ATTEMPTS);
            return Err(Failure::invalid("OldPassword", "is wrong"));
        }
        house.forget_failures(&label);
        match caller.principal() {
            Principal::User { name, .. } => house.check_new_password(&tenant, name, &self.new).await?,
            _ => {
                let name = UserName::parse(caller.name()).unwrap_or_else(|_| root_name());
                super::settings::PasswordPolicy { length_min: 12, not_name: true, ..Default::default() }
                    .check(&self.new, &name)?;
                super::common::refuse_common(&self.new)?;
            }
        }
        if self.old.expose() == self.new.expose() {
            return Err(Failure::invalid("Password", "must differ from the present one"));
        }
        let hash = house.hash_password(self.new, cost).await?;
        let now = house.now();
        let (old, new) = (hash_of(&self.token), SessionToken::random());
        let new_hash = new.hash();
        house
            .db
            .write(move |tx| {
                let row = own_session(tx, &old, (&tenant, &holder))?;
                if let Some(id) = holder.strip_prefix("operator/") {
                    let id =
                        bailee_types::OperatorId::parse(id).map_err(|e| Failure::Damaged(e.to_string()))?;
                    operator::set_password(tx, &id, &hash)?;
                } else {
                    let mut own = tx.tenant(&tenant);
                    match holder.strip_prefix("user/") {
                        Some(id) => {
                            login::set_password(&mut own, id, &hash, now)?;
                            if let Some(user) = user_rows::by_text_id(&mut own, id)?
                                && let Some(mut profile) = login::of_user(&mut own, &user)?
                            {
                                profile.must_reset = false;
                                login::update(&mut own, id, &profile)?;
                            }
                        }
                        None => tenant::set_root_password(&mut own, &hash)?,
                    }
                }
                // Whoever else knew the old password is out; this session goes on under another token.
                rows::end_all(&mut tx.tenant(&tenant), &holder)?;
                device::forget_all(&mut tx.tenant(&tenant), &holder)?;
                let session = Session { stage: Stage::Full, ..row.session };
                rows::insert(&mut tx.tenant(&tenant), &new_hash, &session).map_err(Failure::from)
            })
            .await?;
        Ok(new)
    }

    fn outcome_detail(_: &SessionToken) -> Map<String, Value> {
        Map::new()
    }
}

#[expect(clippy::expect_used, reason = "`root` is a user name by its own rule")]
fn root_name() -> UserName {
    UserName::parse("root").expect("a name")
}

/// One's own sessions, newest first.
pub struct ListSessions {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
}

impl Operation for ListSessions {
    type Output = Vec<Session>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListSessions", false, json!({}))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Vec<Session>, Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        let now = house.now();
        house
            .db
            .read(move |tx| rows::of_holder(&mut tx.tenant(&tenant), &holder, now).map_err(Failure::from))
            .await
    }
}

/// Ends one of one's own sessions.
pub struct EndSession {
    /// The caller's tenant, or the provider's.
    pub tenant: TenantId,
    /// The session's public id.
    pub id: String,
}

impl Operation for EndSession {
    type Output = ();

    fn asks(&self) -> Asked {
        let id: String = self.id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        asked(&self.tenant, "bailee:EndSession", true, json!({ "session": id }))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let (tenant, holder) = holder_of(intent.caller())?;
        house
            .db
            .write(move |tx| {
                if rows::end_one(&mut tx.tenant(&tenant), &holder, &self.id)? {
                    return Ok(());
                }
                Err(Failure::not_found(Thing::Session, &self.id))
            })
            .await
    }
}

/// What one has for a second factor.
#[derive(Clone, Debug)]
pub struct OwnFactors {
    /// Since when an app is bound.
    pub totp_since: Option<Timestamp>,
    /// Recovery codes that were not used.
    pub recovery_codes_left: u64,
    /// Passkeys.
    pub passkeys: Vec<super::Passkey>,
}

impl House {
    /// What a caller has for a second factor.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn own_factors(&self, caller: &Caller) -> Result<OwnFactors, Failure> {
        let (tenant, holder) = holder_of(caller)?;
        self.db
            .read(move |tx| {
                let mut tx = tx.tenant(&tenant);
                Ok(OwnFactors {
                    totp_since: mfa::of_holder(&mut tx, &holder)?.and_then(|r| r.device.activated_at),
                    recovery_codes_left: mfa::recovery_codes_left(&mut tx, &holder)?,
                    passkeys: mfa::passkeys(&mut tx, &holder)?,
                })
            })
            .await
    }

    /// Ten new codes, and what of them is stored.
    pub(super) fn new_recovery_codes(
        &self,
        tenant: &TenantId,
        holder: &str,
    ) -> (Vec<SecretText>, Vec<[u8; 32]>) {
        let codes = recovery::codes().to_vec();
        let normal = codes.iter().filter_map(|c| recovery::normalise(c.expose()));
        let macs = normal.map(|c| self.recovery_mac(tenant, holder, &c)).collect();
        (codes, macs)
    }

    /// Refuses somebody who has a second factor and did not show it just now: adding another one is as good as having it.
    pub(crate) async fn need_fresh_if_bound(&self, caller: &Caller) -> Result<(), Failure> {
        if holder_of(caller).is_err() {
            // A role session or a worker has no factor of its own.
            return Ok(());
        }
        let own = self.own_factors(caller).await?;
        if own.totp_since.is_some() || !own.passkeys.is_empty() {
            caller.need_fresh_mfa(self.now())
        } else {
            Ok(())
        }
    }

    fn recovery_mac(&self, tenant: &TenantId, holder: &str, code: &SecretText) -> [u8; 32] {
        // 80 random bits need no slow hash: a keyed one tells a stolen table nothing.
        self.identity.recovery.mac(&[tenant.as_str().as_bytes(), holder.as_bytes(), code.expose().as_bytes()])
    }
}

fn tenant_label(caller: &Caller) -> String {
    match caller.principal() {
        Principal::Root { alias, .. } | Principal::User { alias, .. } => alias.to_string(),
        _ => "operators".into(),
    }
}

fn pending_aad(hash: &[u8; 32]) -> Vec<u8> {
    bailee_crypto::seal::aad(&[b"bailee/pending-totp/v1", hash])
}
