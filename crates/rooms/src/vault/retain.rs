//! Retention: what nobody may destroy yet, its owner and the provider's root included.
//!
//! Two kinds, as the two dialects have them. *Locks* are of single versions (S3 Object Lock, OSS object WORM): governance, which
//! who may bypass it can shorten; compliance, which nobody can; and a legal hold without an end. They are sealed with the
//! version's metadata. The *WORM* of a bucket (OSS) keeps everything in it for days after it was written.
//!
//! INVARIANT: every statement that destroys content passes a [`Guard`] in the transaction that destroys it.
//! INVARIANT: a lock in compliance mode is replaced by a longer one only; a WORM that is locked grows only.

use std::sync::Arc;

use bailee_store::{StoreError, TenantTx};
use bailee_types::{BucketName, ObjectKey, ObjectVersionId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::get::{find, open_meta};
use super::meta::not_for_operators;
use super::version::Versioning;
use super::{Bucket, Which, bucket_asked, object_asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::keys::TenantKey;
use crate::{Failure, House, Thing};

const DAY_MS: i64 = 86_400_000;
/// The longest time that anything is retained (both services: 70 years for a bucket; 100 for a version).
const WORM_DAYS_MAX: u32 = 25_550;
const LOCK_DAYS_MAX: u32 = 36_500;
/// How long a WORM may be given up before it is locked; then it lapses.
const WORM_TRIAL_MS: i64 = DAY_MS;

/// How hard a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockMode {
    /// Who may `oss:BypassGovernanceRetention` can shorten it.
    #[serde(rename = "GOVERNANCE")]
    Governance,
    /// Nobody can.
    #[serde(rename = "COMPLIANCE")]
    Compliance,
}

impl LockMode {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// What has this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Governance, Self::Compliance].into_iter().find(|m| m.word() == word)
    }
}

/// Until when a version is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How hard.
    pub mode: LockMode,
    /// The instant from which on it is not.
    pub until: Timestamp,
}

/// What holds a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Until when it is retained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Whether somebody holds it without an end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub legal_hold: bool,
}

impl Lock {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How long new versions are retained when their writer does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// How hard.
    pub mode: LockMode,
    /// For so many days, or
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// for so many years (of 365 days).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub years: Option<u32>,
}

impl DefaultRetention {
    fn days(&self) -> u32 {
        self.days.unwrap_or_else(|| self.years.unwrap_or(0).saturating_mul(365))
    }
}

/// How a bucket retains versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRules {
    /// What new versions get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultRetention>,
}

/// Retention of all that is in a bucket (OSS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worm {
    /// Its id.
    pub id: String,
    /// Days after each write.
    pub days: u32,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Whether it can no longer be given up.
    pub locked: bool,
}

impl Worm {
    /// When it lapses unless it is locked.
    pub fn lapses_at(&self) -> Timestamp {
        self.begun_at.plus_ms(WORM_TRIAL_MS)
    }
}

impl Bucket {
    /// The WORM that binds now: one that was neither locked nor given up lapses after a day.
    pub fn worm(&self, now: Timestamp) -> Option<&Worm> {
        self.settings.worm.as_ref().filter(|w| w.locked || now < w.lapses_at())
    }

    /// What a destroyer of anything in this bucket must pass.
    pub(super) fn guard(&self, opener: &Arc<TenantKey>, now: Timestamp) -> Guard {
        Guard {
            bucket: self.name.clone(),
            now,
            worm_days: self.worm(now).map(|w| w.days),
            opener: self.settings.lock.map(|_| Arc::clone(opener)),
            bypass: false,
        }
    }

    /// The lock of a new version, of which its writer said `wanted`.
    pub(super) fn lock_for(&self, wanted: &Lock, now: Timestamp) -> Result<Lock, Failure> {
        let Some(rules) = self.settings.lock else {
            return if wanted.is_none() { Ok(Lock::default()) } else { Err(not_on()) };
        };
        if let Some(asked) = wanted.retention {
            check_until(asked.until, now)?;
        }
        let by_default = rules
            .default
            .map(|d| Retention { mode: d.mode, until: now.plus_ms(i64::from(d.days()) * DAY_MS) });
        Ok(Lock { retention: wanted.retention.or(by_default), legal_hold: wanted.legal_hold })
    }
}

fn not_on() -> Failure {
    Failure::invalid("ObjectLock", "is not on for this bucket: retention of single versions needs it")
}

fn check_until(until: Timestamp, now: Timestamp) -> Result<(), Failure> {
    if until <= now {
        return Err(Failure::invalid("RetainUntilDate", "must lie in the future"));
    }
    if until > now.plus_ms(i64::from(LOCK_DAYS_MAX) * DAY_MS) {
        return Err(Failure::invalid("RetainUntilDate", "must lie within 100 years"));
    }
    Ok(())
}

/// Says whether a version may be destroyed now. Whoever destroys content asks it in the same transaction.
pub(super) struct Guard {
    bucket: BucketName,
    pub(super) now: Timestamp,
    worm_days: Option<u32>,
    /// Opens metadata, where locks of versions can be.
    opener: Option<Arc<TenantKey>>,
    /// Whether governance is passed over; who says so was asked for the right to.
    pub(super) bypass: bool,
}

impl Guard {
    /// Refuses what is retained.
    pub(super) fn check(&self, version: &rows::Former) -> Result<(), Failure> {
        match self.holds(&version.version, version.modified_at, &version.sealed_meta)? {
            None => Ok(()),
            Some(why) => Err(Failure::Retained(why)),
        }
    }

    /// Why a version may not be destroyed.
    pub(super) fn holds(
        &self,
        version: &bailee_types::ObjectVersionId,
        written: Timestamp,
        sealed_meta: &[u8],
    ) -> Result<Option<String>, Failure> {
        if let Some(days) = self.worm_days {
            let until = written.plus_ms(i64::from(days) * DAY_MS);
            if self.now < until {
                return Ok(Some(format!(
                    "version `{version}` is under the bucket's WORM until {}",
                    until.iso()
                )));
            }
        }
        let Some(opener) = &self.opener else { return Ok(None) };
        // Metadata that does not open may hold a lock: then nothing is destroyed.
        let lock = open_meta(opener, &self.bucket, version, sealed_meta)?.lock;
        if lock.legal_hold {
            return Ok(Some(format!("version `{version}` is under a legal hold")));
        }
        Ok(lock
            .retention
            .filter(|r| self.now < r.until && !(self.bypass && r.mode == LockMode::Governance))
            .map(|r| {
                let (mode, until) = (r.mode.word(), r.until.iso());
                format!("version `{version}` is retained until {until} ({mode})")
            }))
    }
}

/// Switches retention of versions on, and says what new ones get.
#[derive(Clone, Debug)]
pub struct SetLockRules {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The rules.
    pub rules: LockRules,
}

impl Operation for SetLockRules {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = bucket_asked(&self.tenant, &self.bucket, "oss:PutBucketObjectWormConfiguration");
        asked.class = Class::Management { write: true };
        asked.parameters =
            parameters(json!({ "bucket": self.bucket.as_str(), "default": self.rules.default }));
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        if let Some(default) = &self.rules.default {
            let one = default.days.is_some() != default.years.is_some();
            if !one || !(1..=LOCK_DAYS_MAX).contains(&default.days()) {
                return Err(Failure::invalid(
                    "DefaultRetention",
                    "needs either Days (1 to 36500) or Years (1 to 100)",
                ));
            }
        }
        let rules = self.rules;
        house
            .change_bucket(&self.tenant, &self.bucket, move |bucket, _| {
                if bucket.versioning != Versioning::Enabled {
                    return Err(Failure::BucketState(
                        "retention of single versions needs a bucket that keeps versions: enable versioning first"
                            .into(),
                    ));
                }
                bucket.settings.lock = Some(rules);
                Ok(())
            })
            .await
    }
}

/// Which version of an object.
#[derive(Clone, Debug)]
pub struct VersionOf {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which one; none: the current one.
    pub which: Option<Which>,
}

impl VersionOf {
    /// The stored version that is meant now, if there is one.
    pub(crate) fn stored(&self, tx: &mut TenantTx<'_, '_>) -> Result<Option<ObjectVersionId>, StoreError> {
        let found = rows::object(tx, &self.bucket, &self.key, self.which.as_ref(), false)?;
        Ok(found.map(|row| row.version))
    }

    pub(super) fn asked(&self, action: &'static str, class: Class) -> Asked {
        let mut asked = object_asked(&self.tenant, &self.bucket, &self.key, action, None);
        asked.class = class;
        asked.touches = Touches::Metadata;
        if let Some(which) = &self.which {
            asked.parameters.insert("versionId".into(), which.to_string().into());
        }
        asked
    }
}

/// Reads what holds a version.
#[derive(Clone, Debug)]
pub struct GetLock {
    /// Of what.
    pub of: VersionOf,
    /// Whether its legal hold is asked for, and not its retention.
    pub hold: bool,
}

impl Operation for GetLock {
    type Output = Lock;

    fn asks(&self) -> Asked {
        let action = if self.hold { "oss:GetObjectLegalHold" } else { "oss:GetObjectRetention" };
        self.of.asked(action, Class::Data)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Lock, Failure> {
        let VersionOf { tenant, bucket, key, which } = self.of;
        not_for_operators(intent, &tenant)?;
        let row = find(house, &tenant, &bucket, &key, which.as_ref()).await?;
        let opener = house.tenant_key_version(&tenant, row.key_version).await?;
        let lock = open_meta(&opener, &bucket, &row.version, &row.sealed_meta)?.lock;
        if lock.is_none() {
            let there = house.known_bucket(&tenant, &bucket).await?;
            if there.settings.lock.is_none() {
                return Err(not_on());
            }
        }
        Ok(lock)
    }
}

/// Retains a version, or changes until when.
#[derive(Clone, Debug)]
pub struct SetRetention {
    /// Of what.
    pub of: VersionOf,
    /// Until when; none: not any more.
    pub retention: Option<Retention>,
    /// Whether governance is passed over; [`MayBypass`] was asked.
    pub bypass: bool,
}

/// Puts a legal hold on a version, or takes it away.
#[derive(Clone, Debug)]
pub struct SetLegalHold {
    /// Of what.
    pub of: VersionOf,
    /// Whether it is held.
    pub hold: bool,
}

impl Operation for SetRetention {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = self.of.asked("oss:PutObjectRetention", Class::Management { write: true });
        if let Some(r) = &self.retention {
            asked.parameters.insert("mode".into(), r.mode.word().into());
            asked.parameters.insert("retainUntil".into(), r.until.iso_ms().into());
        }
        if self.bypass {
            asked.parameters.insert("bypassGovernanceRetention".into(), true.into());
        }
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let now = house.now();
        if let Some(wanted) = self.retention {
            check_until(wanted.until, now)?;
        }
        let (wanted, bypass) = (self.retention, self.bypass);
        let change = move |lock: &mut Lock| {
            let old = lock.retention.filter(|r| now < r.until);
            if let Some(old) = old {
                let shorter = wanted.is_none_or(|w| w.until < old.until);
                let softer =
                    old.mode == LockMode::Compliance && wanted.is_none_or(|w| w.mode != LockMode::Compliance);
                let passed = bypass && old.mode == LockMode::Governance;
                if (shorter || softer) && !passed {
                    let (until, mode) = (old.until.iso(), old.mode.word());
                    return Err(Failure::Retained(format!(
                        "the version is retained until {until} ({mode}); that can be made longer, not shorter or softer"
                    )));
                }
            }
            lock.retention = wanted;
            Ok(())
        };
        change_lock(house, intent, self.of, change).await
    }
}

impl Operation for SetLegalHold {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = self.of.asked("oss:PutObjectLegalHold", Class::Management { write: true });
        asked.parameters.insert("hold".into(), self.hold.into());
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        let hold = self.hold;
        let change = move |lock: &mut Lock| {
            lock.legal_hold = hold;
            Ok(())
        };
        change_lock(house, intent, self.of, change).await
    }
}

/// Changes what holds a version.
async fn change_lock(
    house: &House,
    intent: &Intent,
    of: VersionOf,
    change: impl Fn(&mut Lock) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let holds = |bucket: &Bucket| bucket.settings.lock.as_ref().map(drop).ok_or_else(not_on);
    house.change_meta(intent, of, holds, |meta| change(&mut meta.lock)).await
}

/// Asks whether the caller may lock what he writes, or pass over governance.
#[derive(Clone, Debug)]
pub struct MayLock {
    /// Of what.
    pub of: VersionOf,
    /// What he wants to do.
    pub wants: LockWish,
}

/// What of locks somebody wants to do with another act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWish {
    /// To write a version that is retained.
    Retain,
    /// To write a version under a legal hold.
    Hold,
    /// To pass over governance.
    Bypass,
}

impl Operation for MayLock {
    type Output = ();

    fn asks(&self) -> Asked {
        let action = match self.wants {
            LockWish::Retain => "oss:PutObjectRetention",
            LockWish::Hold => "oss:PutObjectLegalHold",
            LockWish::Bypass => "oss:BypassGovernanceRetention",
        };
        self.of.asked(action, Class::Data)
    }

    async fn act(self, _house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        Ok(())
    }
}

/// What is done with the WORM of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WormAct {
    /// One is begun, with so many days.
    Begin(u32),
    /// The one that is not locked yet is given up.
    GiveUp,
    /// This one is locked.
    Lock(String),
    /// This one, which is locked, gets more days.
    Extend(String, u32),
}

/// Changes the WORM of a bucket; answers it.
#[derive(Clone, Debug)]
pub struct ChangeWorm {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// What is done.
    pub act: WormAct,
}

impl Operation for ChangeWorm {
    type Output = Option<Worm>;

    fn asks(&self) -> Asked {
        let (action, days, id) = match &self.act {
            WormAct::Begin(days) => ("oss:InitiateBucketWorm", Some(*days), None),
            WormAct::GiveUp => ("oss:AbortBucketWorm", None, None),
            WormAct::Lock(id) => ("oss:CompleteBucketWorm", None, Some(id)),
            WormAct::Extend(id, days) => ("oss:ExtendBucketWorm", Some(*days), Some(id)),
        };
        let mut asked = bucket_asked(&self.tenant, &self.bucket, action);
        asked.class = Class::Management { write: true };
        asked.parameters =
            parameters(json!({ "bucket": self.bucket.as_str(), "retentionDays": days, "wormId": id }));
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Option<Worm>, Failure> {
        if let WormAct::Begin(days) | WormAct::Extend(_, days) = &self.act
            && !(1..=WORM_DAYS_MAX).contains(days)
        {
            return Err(Failure::invalid("RetentionPeriodInDays", "must be from 1 to 25550"));
        }
        let id = bailee_types::random_text(b"0123456789ABCDEF", 32);
        let act = self.act;
        house
            .change_bucket(&self.tenant, &self.bucket, move |bucket, now| {
                let there = bucket.worm(now).cloned();
                bucket.settings.worm = match (&act, there) {
                    (WormAct::Begin(days), None) => {
                        Some(Worm { id: id.clone(), days: *days, begun_at: now, locked: false })
                    }
                    (WormAct::Begin(_), Some(w)) => return Err(Failure::exists(Thing::Worm, w.id)),
                    (WormAct::GiveUp, Some(w)) if w.locked => return Err(Failure::exists(Thing::Worm, w.id)),
                    (WormAct::GiveUp, Some(_)) => None,
                    (WormAct::GiveUp, None) => return Err(Failure::not_found(Thing::Worm, &bucket.name)),
                    (WormAct::Lock(id), Some(w)) if w.id == *id => Some(Worm { locked: true, ..w }),
                    (WormAct::Extend(id, days), Some(w)) if w.id == *id => {
                        if !w.locked {
                            return Err(Failure::BucketState(
                                "the WORM is not locked yet: complete it first".into(),
                            ));
                        }
                        if *days <= w.days {
                            return Err(Failure::invalid(
                                "RetentionPeriodInDays",
                                format!("must be more than the {} days it has", w.days),
                            ));
                        }
                        Some(Worm { days: *days, ..w })
                    }
                    (WormAct::Lock(id) | WormAct::Extend(id, _), _) => {
                        return Err(Failure::not_found(Thing::Worm, id.chars().take(64).collect::<String>()));
                    }
                };
                Ok(bucket.settings.worm.clone())
            })
            .await
    }
}
