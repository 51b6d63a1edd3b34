//! Storage types: how an object may be read and what its owner means by it, from at hand to archived. An archived object is
//! restored for some days before it is read; its headers can be read always.

use std::sync::Arc;

use bailee_types::{ObjectKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::retain::VersionOf;
use super::{Bucket, ObjectMeta};
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

const DAY_MS: i64 = 86_400_000;
/// The longest that one restore holds.
pub const RESTORE_DAYS_MAX: u32 = 365;

/// A storage type, the warmest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// At hand.
    #[default]
    Standard,
    /// Seldom read.
    InfrequentAccess,
    /// Restored before it is read.
    Archive,
    /// The same, colder.
    ColdArchive,
    /// The coldest.
    DeepColdArchive,
}

impl Tier {
    /// Its name (OSS).
    pub fn word(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::InfrequentAccess => "IA",
            Self::Archive => "Archive",
            Self::ColdArchive => "ColdArchive",
            Self::DeepColdArchive => "DeepColdArchive",
        }
    }

    /// Whether what lies there is restored before it is read.
    pub fn is_archive(self) -> bool {
        self >= Self::Archive
    }
}

impl ObjectMeta {
    /// Its storage type.
    pub fn tier(&self) -> Tier {
        self.tier.unwrap_or_default()
    }

    /// Until when it is restored, if it is now.
    pub fn restored(&self, now: Timestamp) -> Option<Timestamp> {
        self.restored_until.filter(|until| now < *until)
    }

    /// Refuses to open content that is archived.
    pub(super) fn check_at_hand(&self, key: &ObjectKey, now: Timestamp) -> Result<(), Failure> {
        if self.tier().is_archive() && self.restored(now).is_none() {
            return Err(Failure::ObjectState(format!(
                "`{key}` is archived ({}): restore it for some days first",
                self.tier().word()
            )));
        }
        Ok(())
    }
}

impl Bucket {
    /// The storage type of a new object.
    pub(super) fn tier_for(&self, wanted: Option<Tier>) -> Option<Tier> {
        wanted.or(self.settings.tier)
    }
}

/// Restores an archived version for some days from now; answers whether it was restored before.
#[derive(Clone, Debug)]
pub struct RestoreObject {
    /// Of what.
    pub of: VersionOf,
    /// Days, at most [`RESTORE_DAYS_MAX`].
    pub days: u32,
}

impl Operation for RestoreObject {
    type Output = bool;

    fn asks(&self) -> Asked {
        let mut asked = self.of.asked("oss:RestoreObject", Class::Data);
        asked.parameters.insert("days".into(), self.days.into());
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<bool, Failure> {
        if !(1..=RESTORE_DAYS_MAX).contains(&self.days) {
            return Err(Failure::invalid("Days", format!("must be from 1 to {RESTORE_DAYS_MAX}")));
        }
        let now = house.now();
        let until = now.plus_ms(i64::from(self.days) * DAY_MS);
        let before = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (seen, key) = (Arc::clone(&before), self.of.key.clone());
        let change = move |meta: &mut ObjectMeta| {
            if !meta.tier().is_archive() {
                return Err(Failure::ObjectState(format!(
                    "`{key}` is not archived ({}): there is nothing to restore",
                    meta.tier().word()
                )));
            }
            seen.store(meta.restored(now).is_some(), std::sync::atomic::Ordering::Relaxed);
            // A second restore makes the first longer, never shorter.
            meta.restored_until = meta.restored_until.max(Some(until));
            Ok(())
        };
        house.change_meta(intent, self.of, |_| Ok(()), change).await?;
        Ok(before.load(std::sync::atomic::Ordering::Relaxed))
    }
}
