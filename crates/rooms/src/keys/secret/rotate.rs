//! Secrets that rotate: the AccessKey of a RAM user (type `RAMCredentials`).
//!
//! A rotation goes step by step, each on record in the tenant's log: `kms:RotateSecret` draws the new AccessKey and keeps
//! it sealed; the service gives it to the user (`ram:CreateAccessKey`); the version becomes `ACSCurrent`; when
//! [`WINDOW_S`] is over the service deletes the old AccessKey (`ram:DeleteAccessKey`), then its version
//! (`kms:RetireSecretVersion`). Who reads the secret within that time always holds an AccessKey that works.
//!
//! INVARIANT: an AccessKey is made after its secret is kept, and `ACSCurrent` names it after it is made; what is deleted
//! is what was current before. A process that dies between two steps leaves a row from which the next round goes on with the
//! very same AccessKey.
//! INVARIANT: who makes such a secret may make and delete AccessKeys of that user himself. A secret gives its readers
//! each AccessKey that is to come; it must not be a way to what its maker could not get. Who may rotate it or change how
//! often (`kms:RotateSecret`, `kms:UpdateSecretRotationPolicy`) learns nothing by that: reading is a right of its own.

use bailee_types::{AccessKeyId, Arn, KeyVersionId, SecretBytes, SecretText, UserId, UserName};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;
use crate::gate::Caller;
use crate::identity::{Act as _, EndHeldKey, MakeHeldKey, draw_access_key, user_has_key};

/// How long the AccessKey of before works beside the new one; where a secret rotates often, half its interval at most.
pub const WINDOW_S: i64 = 2 * 86_400;
/// From 6 hours to 365 days between rotations.
pub const INTERVAL_S: std::ops::RangeInclusive<i64> = 6 * 3_600..=365 * 86_400;
/// When what failed is tried again.
const RETRY_MS: i64 = 3_600_000;
const SUB_TYPE: &str = "RamUserAccessKey";
const CUSTOM_MAX: usize = 10;

/// What a secret of a user's AccessKey is called.
const OF_USERS: &str = "acs/ram/user/";
/// What names of other secrets do not begin with.
pub(super) const RESERVED: &str = "acs/";

impl SecretName {
    /// The name of the secret of this user's AccessKey.
    pub fn of_user(user: &UserName) -> Self {
        Self(format!("{OF_USERS}{user}"))
    }
}

/// What a secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Whatever its owner puts into it.
    Anything,
    /// The AccessKey of a RAM user.
    AccessKey {
        /// Whose.
        user: UserId,
        /// Which one is current.
        key: AccessKeyId,
    },
}

impl Holds {
    pub(super) const ACCESS_KEY: &'static str = "RAMCredentials";

    /// The type's name on the wire.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Anything => "Generic",
            Self::AccessKey { .. } => Self::ACCESS_KEY,
        }
    }

    fn held(&self) -> Result<(UserId, AccessKeyId), Failure> {
        match self {
            Self::AccessKey { user, key } => Ok((user.clone(), key.clone())),
            Self::Anything => Err(Failure::Key(KeyProblem::SecretType(
                "a secret of the type Generic does not rotate by itself: put a new value with PutSecretValue",
            ))),
        }
    }
}

/// How a secret rotates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotates {
    /// Seconds between rotations; none when it does not by itself.
    pub every_s: Option<i64>,
    /// When it was rotated last.
    pub last_at: Option<Timestamp>,
    /// When it will be.
    pub next_at: Option<Timestamp>,
    /// Whether the last try by itself failed; each hour it is tried again.
    pub failed: bool,
}

impl Rotates {
    /// `Enabled`, `Disabled`, or `Invalid` while it cannot be rotated.
    pub fn word(&self) -> &'static str {
        match self.every_s {
            None => "Disabled",
            Some(_) if self.failed => "Invalid",
            Some(_) => "Enabled",
        }
    }

    fn plan(&mut self, made_at: Timestamp) {
        let last = self.last_at.unwrap_or(made_at);
        self.next_at = self.every_s.map(|s| last.plus_ms(s * 1_000));
        self.failed = false;
    }

    fn window_ms(&self) -> i64 {
        self.every_s.map_or(WINDOW_S, |s| WINDOW_S.min(s / 2)) * 1_000
    }
}

/// A secret must hold the AccessKey of this user from its making on.
#[derive(Clone, Debug)]
pub struct OfUser {
    /// The user.
    pub user: UserName,
    /// Settings as they are kept, JSON.
    config: String,
    /// Seconds between rotations; none for none by itself.
    pub every_s: Option<i64>,
}

impl OfUser {
    /// Reads `ExtendedConfig` of a secret of the type RAMCredentials.
    ///
    /// # Errors
    /// When something is missing or strange.
    pub fn parse(config: &str, every_s: Option<i64>) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::invalid("ExtendedConfig", why);
        if config.len() > 8_192 {
            return Err(wrong("has more than 8192 bytes"));
        }
        let read: Map<String, Value> = serde_json::from_str(config).map_err(|_| {
            wrong("must be a JSON object with SecretSubType `RamUserAccessKey` and UserName for this SecretType")
        })?;
        let text = |name| read.get(name).and_then(Value::as_str);
        if text("SecretSubType") != Some(SUB_TYPE) {
            return Err(wrong("must have the SecretSubType `RamUserAccessKey`"));
        }
        let user = text("UserName").ok_or_else(|| wrong("must have the UserName of a RAM user"))?;
        let user = UserName::parse(user).map_err(|_| wrong("must have the UserName of a RAM user"))?;
        if read.keys().any(|k| !["SecretSubType", "UserName", "CustomData"].contains(&k.as_str())) {
            return Err(wrong("may have SecretSubType, UserName and CustomData only"));
        }
        if let Some(every_s) = every_s {
            check_interval(every_s)?;
        }
        let config = config_of(user.as_str(), read.get("CustomData"))?;
        Ok(Self { user, config, every_s })
    }
}

/// Settings as they are kept: what the secret is of, and what its owner adds.
fn config_of(user: &str, custom: Option<&Value>) -> Result<String, Failure> {
    let custom = match custom {
        None => Map::new(),
        Some(Value::Object(map)) if map.len() <= CUSTOM_MAX && map.values().all(Value::is_string) => {
            map.clone()
        }
        Some(_) => {
            let why = "must have as CustomData an object of at most 10 texts";
            return Err(Failure::invalid("ExtendedConfig", why));
        }
    };
    Ok(json!({ "SecretSubType": SUB_TYPE, "UserName": user, "CustomData": custom }).to_string())
}

/// The settings after a change: its owner changes what he added, nothing else.
pub(super) fn changed_config(secret: &Secret, new: String) -> Result<String, Failure> {
    if secret.holds == Holds::Anything {
        return Ok(new);
    }
    let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let (old, new) = (read(&secret.config), read(&new));
    let user = old.get("UserName").and_then(Value::as_str).unwrap_or_default();
    let whole = new.contains_key("CustomData");
    config_of(
        user,
        Some(&if whole { new.get("CustomData").cloned().unwrap_or_default() } else { new.into() }),
    )
}

fn check_interval(every_s: i64) -> Result<(), Failure> {
    if INTERVAL_S.contains(&every_s) {
        return Ok(());
    }
    Err(Failure::invalid(
        "RotationInterval",
        "must be from 6 hours to 8760 hours (365 days), as `30d` or `12h`",
    ))
}

/// Refuses what would take the place of a value that rotates.
pub(super) fn expect_anything(secret: &Secret) -> Result<(), Failure> {
    match secret.holds {
        Holds::Anything => Ok(()),
        Holds::AccessKey { .. } => Err(Failure::Key(KeyProblem::SecretType(
            "versions and stages of a secret of the type RAMCredentials are changed by RotateSecret only",
        ))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(rename = "AccessKeys")]
    keys: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    #[serde(rename = "AccessKeyId")]
    id: AccessKeyId,
    #[serde(rename = "AccessKeySecret")]
    secret: SecretTextOnWire,
}

/// A secret as it is read from JSON.
#[derive(Deserialize)]
#[serde(from = "String")]
struct SecretTextOnWire(SecretText);

impl From<String> for SecretTextOnWire {
    fn from(text: String) -> Self {
        Self(SecretText::new(text))
    }
}

/// The value of a version, as clients of the original read it. Ids and secrets are letters and digits.
fn value_of(id: &AccessKeyId, secret: &SecretText, at: Timestamp) -> SecretBytes {
    let text = format!(
        r#"{{"AccessKeyId":"{id}","AccessKeySecret":"{}","GenerateTimestamp":"{}"}}"#,
        secret.expose(),
        at.iso()
    );
    SecretBytes::new(text.into_bytes())
}

impl KeyCx<'_> {
    /// Asks whether the caller might do himself what the secret will do, and takes the AccessKey that he gives.
    pub(super) async fn take_access_key(&self, of: &OfUser, value: &mut NewValue) -> Result<Holds, Failure> {
        let arn = Arn::ram(self.tenant, &format!("user/{}", of.user));
        for action in ["ram:CreateAccessKey", "ram:DeleteAccessKey"] {
            self.house.ask_further(self.intent(), action, (arn.clone(), "ACS::RAM::AccessKey")).await?;
        }
        let given: Option<Given> = serde_json::from_slice(value.data.expose()).ok();
        let Some(pair) = given.and_then(|g| <[Pair; 1]>::try_from(g.keys).ok()) else {
            let why = r#"must be {"AccessKeys":[{"AccessKeyId":"…","AccessKeySecret":"…"}]} with the user's only AccessKey"#;
            return Err(Failure::invalid("SecretData", why));
        };
        let [Pair { id, secret: SecretTextOnWire(secret) }] = pair;
        if value.data_type != DataType::Text {
            return Err(Failure::invalid("SecretDataType", "must be text for this SecretType"));
        }
        let user = self.house.holder_of(self.tenant, &of.user, (&id, &secret)).await?;
        value.data = value_of(&id, &secret, self.house.now());
        Ok(Holds::AccessKey { user, key: id })
    }
}

/// How a new secret begins.
pub(super) fn beginning(of: Option<&OfUser>, now: Timestamp) -> Rotates {
    let mut rotates = Rotates { every_s: of.and_then(|o| o.every_s), ..Rotates::default() };
    rotates.plan(now);
    rotates
}

/// The settings that a new secret keeps.
pub(super) fn kept_config(of: Option<&OfUser>, given: String) -> String {
    of.map_or(given, |o| o.config.clone())
}

/// A rotation that is under way.
pub(super) struct Rotation {
    /// The version that it makes.
    pub(super) version: String,
    /// The AccessKey in it.
    pub(super) key: AccessKeyId,
    pub(super) step: Step,
}

/// How far it is.
pub(super) enum Step {
    /// The new AccessKey is drawn and kept, and perhaps made.
    Making(rows::VersionRow),
    /// The new one is current; the one before ends at a time.
    Waiting { version: String, key: AccessKeyId, until: Timestamp },
}

/// Ends a rotation whose old AccessKey is gone already: by hand, because it leaked. Refuses while it is under way.
fn settle(tx: &mut TenantTx<'_, '_>, secret: &Secret) -> Result<(), Failure> {
    let (user, _) = secret.holds.held()?;
    let Some(rotation) = rows::rotation(tx, &secret.name)? else { return Ok(()) };
    match rotation.step {
        Step::Waiting { version, key, .. } if !user_has_key(tx, &user, &key)? => {
            rows::delete_version(tx, &secret.name, &version)?;
            rows::end_rotation(tx, &secret.name, &rotation.version)?;
            Ok(())
        }
        _ => Err(Failure::Key(KeyProblem::Rotating)),
    }
}

/// Rotates a secret: its new value is the version of this name. Asked for again it goes on, or has nothing to do.
#[derive(Clone, Debug)]
pub struct RotateSecret {
    /// Which.
    pub name: SecretName,
    /// What the new version is called.
    pub version: String,
    /// Whether its time has come, not its owner asked.
    pub by_interval: bool,
}

enum Seen {
    /// The version is there.
    Done,
    /// It is being made: of this AccessKey.
    Making(Box<(Secret, AccessKeyId, rows::VersionRow)>),
    /// Nothing is under way.
    Nothing(Box<Secret>),
}

impl RotateSecret {
    fn look(&self, tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<Seen, Failure> {
        let secret = live(tx, &self.name)?;
        let (user, _) = secret.holds.held()?;
        if rows::versions(tx, &self.name)?.iter().any(|v| v.info.id == self.version) {
            return Ok(Seen::Done);
        }
        match rows::rotation(tx, &self.name)? {
            Some(Rotation { version, key, step: Step::Making(row) }) if version == self.version => {
                return Ok(Seen::Making(Box::new((secret, key, row))));
            }
            Some(Rotation { step: Step::Waiting { key, .. }, .. }) if !user_has_key(tx, &user, &key)? => {}
            Some(_) => return Err(Failure::Key(KeyProblem::Rotating)),
            None => {}
        }
        if self.by_interval && secret.rotates.next_at.is_none_or(|at| at > now) {
            return Err(Failure::Conflict("the secret was rotated meanwhile".into()));
        }
        Ok(Seen::Nothing(Box::new(secret)))
    }

    /// Draws the new AccessKey and keeps it, before anybody has it.
    async fn prepare(&self, cx: &KeyCx<'_>, secret: &Secret) -> Result<(), Failure> {
        let (id, plain) = draw_access_key();
        let data = value_of(&id, &plain, cx.house.now());
        let value = NewValue { version: self.version.clone(), data, data_type: DataType::Text };
        let row = cx.seal_value(&self.name, secret.key.as_ref(), &value).await?;
        let act = self.clone();
        cx.write(move |tx, now| {
            if let Seen::Nothing(secret) = act.look(tx, now)? {
                settle(tx, &secret)?;
                rows::begin_rotation(tx, &act.name, (&id, &row))?;
            }
            Ok(())
        })
        .await
    }

    /// Gives the user the AccessKey that is kept, then lets the secret name it.
    async fn finish(
        self,
        cx: &KeyCx<'_>,
        (secret, key, row): (Secret, AccessKeyId, rows::VersionRow),
    ) -> Result<(), Failure> {
        let (user, instead_of) = secret.holds.held()?;
        let kept = cx.open_value(&secret, &row).await?;
        let Pair { id, secret: SecretTextOnWire(plain) } = serde_json::from_slice(kept.expose())
            .map_err(|_| Failure::Damaged("the value of a rotation is no AccessKey".into()))?;
        let made = match cx.house.user_name(cx.tenant, &user).await? {
            _ if id != key => {
                Err(Failure::Damaged("a rotation holds another AccessKey than it names".into()))
            }
            None => Err(Failure::not_found(Thing::User, &user)),
            Some(name) => {
                let act = MakeHeldKey { user: (user.clone(), name), id, secret: plain, instead_of };
                cx.house.perform(service(cx.house), act.of(cx.tenant)).await
            }
        };
        if let Err(e) = made {
            // It cannot be made, and was not: then nothing is under way. What only broke is tried again.
            if matches!(e, Failure::NotFound { .. } | Failure::Limit { .. }) {
                cx.write(move |tx, _| Ok(rows::end_rotation(tx, &self.name, &self.version)?)).await?;
            }
            return Err(e);
        }
        cx.write(move |tx, now| {
            // Somebody who asked for the same version may have been faster.
            let Seen::Making(seen) = self.look(tx, now)? else { return Ok(()) };
            let (mut secret, key, row) = *seen;
            let (user, old_key) = secret.holds.held()?;
            let all = rows::versions(tx, &self.name)?;
            let old = all.into_iter().find(|v| v.info.stages.iter().any(|s| s == CURRENT));
            let old = old.ok_or_else(|| Failure::Damaged("a secret has no current version".into()))?;
            place(tx, &self.name, row, &[CURRENT.to_owned()])?;
            let until = now.plus_ms(secret.rotates.window_ms());
            rows::wait(tx, &self.name, (&old.info.id, &old_key, until))?;
            secret.holds = Holds::AccessKey { user, key };
            secret.rotates.last_at = Some(now);
            secret.rotates.plan(secret.created_at);
            secret.updated_at = now;
            rows::update(tx, &secret).map_err(Failure::from)
        })
        .await
    }
}

fn service(house: &House) -> Caller {
    house.system_caller("secret rotation")
}

impl KeyAct for RotateSecret {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:RotateSecret"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    fn detail(&self) -> Value {
        json!({ "secretName": self.name.as_str(), "versionId": self.version })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        check_version(&self.version)?;
        for _ in 0..2 {
            let (act, now) = (self.clone(), cx.house.now());
            match cx.read(move |tx| act.look(tx, now)).await? {
                Seen::Done => return Ok(()),
                Seen::Making(kept) => return self.finish(cx, *kept).await,
                Seen::Nothing(secret) => self.prepare(cx, &secret).await?,
            }
        }
        Err(Failure::Key(KeyProblem::Rotating))
    }
}

/// Lets a secret rotate by itself, or no longer.
#[derive(Clone, Debug)]
pub struct SetSecretRotation {
    /// Which.
    pub name: SecretName,
    /// Seconds between rotations; none for none by itself.
    pub every_s: Option<i64>,
}

impl KeyAct for SetSecretRotation {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:UpdateSecretRotationPolicy"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    fn detail(&self) -> Value {
        json!({ "secretName": self.name.as_str(), "rotationSeconds": self.every_s })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        if let Some(every_s) = self.every_s {
            check_interval(every_s)?;
        }
        cx.write(move |tx, now| {
            let mut secret = live(tx, &self.name)?;
            settle(tx, &secret)?;
            secret.rotates.every_s = self.every_s;
            secret.rotates.plan(secret.created_at);
            secret.updated_at = now;
            rows::update(tx, &secret).map_err(Failure::from)
        })
        .await
    }
}

/// Ends the AccessKey of before, and its version, when its time is over.
struct RetireVersion {
    name: SecretName,
}

impl KeyAct for RetireVersion {
    type Output = String;
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:RetireSecretVersion"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<String, Failure> {
        let (name, now) = (self.name.clone(), cx.house.now());
        let seen = cx.read(move |tx| Ok((find(tx, &name)?, rows::rotation(tx, &name)?))).await?;
        let (secret, Some(Rotation { version: new, step: Step::Waiting { version, key, until }, .. })) = seen
        else {
            return Err(Failure::Conflict("the rotation was ended meanwhile".into()));
        };
        let (user, current) = secret.holds.held()?;
        if until > now || key == current {
            return Err(Failure::Conflict("the AccessKey is still in use".into()));
        }
        if let Some(name) = cx.house.user_name(cx.tenant, &user).await? {
            let act = EndHeldKey { user: (user, name), id: key };
            cx.house.perform(service(cx.house), act.of(cx.tenant)).await?;
        }
        let gone = version.clone();
        cx.write(move |tx, _| {
            // Only the one who ends the rotation takes the version away: its name may be used again.
            if rows::end_rotation(tx, &self.name, &new)? {
                rows::delete_version(tx, &self.name, &gone)?;
            }
            Ok(())
        })
        .await?;
        cx.house.db.forget_deleted().await?;
        Ok(version)
    }

    fn outcome(version: &String) -> Value {
        json!({ "versionId": version })
    }
}

/// What is due of a secret.
pub(super) enum Due {
    /// To begin a rotation.
    Begin,
    /// To go on with the one that makes this version.
    GoOn(String),
    /// To end the AccessKey of before.
    End,
}

impl House {
    /// Begins, goes on with and ends rotations whose time has come. Answers how many steps were done.
    pub(in crate::keys) async fn rotate_due_secrets(self: &Arc<Self>) -> Result<u64, Failure> {
        let now = self.now();
        let due = self.db.read(move |tx| rows::due_rotations(tx, now).map_err(Failure::from)).await?;
        let mut done = 0;
        for (tenant, name, what) in due {
            let caller = self.system_caller("key keeper");
            let rotate = |version, by_interval| {
                RotateSecret { name: name.clone(), version, by_interval }.of(&tenant, self)
            };
            let ended = match &what {
                Due::Begin => self.perform(caller, rotate(KeyVersionId::random().to_string(), true)).await,
                Due::GoOn(version) => self.perform(caller, rotate(version.clone(), false)).await,
                Due::End => {
                    let act = RetireVersion { name: name.clone() }.of(&tenant, self);
                    self.perform(caller, act).await.map(drop)
                }
            };
            match ended {
                Ok(()) => done += 1,
                // Another process was faster, or the owner.
                Err(Failure::Conflict(_) | Failure::Key(KeyProblem::Rotating)) => {}
                Err(e) => {
                    tracing::warn!(tenant.id = %tenant, "a secret could not be rotated: {e}");
                    let later = now.plus_ms(RETRY_MS);
                    let postponed = self
                        .db
                        .write(move |tx| {
                            rows::postpone(&mut tx.tenant(&tenant), &name, &what, later)
                                .map_err(Failure::from)
                        })
                        .await;
                    if let Err(e) = postponed {
                        tracing::warn!("its next try could not be written down: {e}");
                    }
                }
            }
        }
        Ok(done)
    }
}
