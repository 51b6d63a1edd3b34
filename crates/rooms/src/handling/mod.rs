//! Handling: what the provider does to a tenant's things without the tenant's consent, and never to its content.
//!
//! A takedown keeps public data from the public on a legal order: one operator files it, another confirms it, the tenant is told at
//! each step, daily until it acknowledges. It opens nothing, deletes nothing, and does not touch what is not public: the tenant's
//! own people read on. A change is stability work: announced in the tenant's log, then run under its id. A broken glass lets one
//! operator look at metadata and sealed bytes for an hour at most, by the hand of another.
//! INVARIANT: a takedown takes effect by the confirmation of another person than filed it, and only while what it names is public.
//! INVARIANT: a step and the notice of it are one transaction; so are a confirmation and its effect.
//! INVARIANT: a worker that stands still under a change goes on when the change's days are over, whatever runs then.
//! INVARIANT: an act under a change or a glass opens no key of content ([`crate::gate::Intent::release`] refuses).

mod change;
mod glass;
mod rows;
mod takedown;

use std::sync::Arc;
use std::time::Duration;

use bailee_store::TenantTx;
use bailee_types::{Arn, BucketName, HandlingId, ObjectKey, OperatorId, TenantId, Timestamp};
use tokio::sync::watch;

pub use change::{CHANGE_DAYS, Change, NewChange, Work, Worker};
pub(crate) use change::{is_announced, may_run, still};
pub use glass::{
    AskGlass, GLASS_ACTS, GLASS_MINUTES_MAX, GLASSES_MAX, Glass, GlassAct, GlassState, GlassStep, Hand,
    Review, Verdict,
};
pub(crate) use glass::{lets, note_act};
pub(crate) use rows::count;
pub use takedown::{Acknowledge, Answer, FileTakedown, ListHandling, Listed};

use crate::{Failure, House, Thing, notices};

/// Takedowns of one bucket that are in force at most.
pub const BLOCKS_MAX: u64 = 1_000;
/// Days after which what nobody confirmed lapses.
pub const LAPSE_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;
/// How often it is looked who is to be told again.
const ROUND: Duration = Duration::from_secs(60);
/// Of one look.
const BATCH: u32 = 100;

/// What of a bucket is taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Covers {
    /// All public access to the bucket.
    Bucket,
    /// Objects whose names begin so.
    Prefix(String),
    /// One object, whatever is stored under its name.
    Object(ObjectKey),
}

impl Covers {
    /// What a form says: nothing is the bucket, what ends with `*` a prefix, else an object.
    ///
    /// # Errors
    /// When it is no object's name.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |_| {
            Failure::invalid("object", "must be the name of an object, or the beginning of names and `*`")
        };
        match text.strip_suffix('*') {
            _ if text.is_empty() => Ok(Self::Bucket),
            Some("") => Err(Failure::invalid("object", "is everything: leave it empty for the whole bucket")),
            Some(prefix) => ObjectKey::parse(prefix).map(|p| Self::Prefix(p.to_string())).map_err(wrong),
            None => ObjectKey::parse(text).map(Self::Object).map_err(wrong),
        }
    }

    fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Bucket => ("bucket", ""),
            Self::Prefix(prefix) => ("prefix", prefix),
            Self::Object(key) => ("object", key.as_str()),
        }
    }

    fn of_columns(covers: &str, name: &str) -> Result<Self, String> {
        match covers {
            "bucket" => Ok(Self::Bucket),
            "prefix" => Ok(Self::Prefix(name.to_owned())),
            "object" => ObjectKey::parse(name).map(Self::Object).map_err(|e| e.to_string()),
            other => Err(format!("`{other}` is nothing that can be taken down")),
        }
    }
}

/// What is kept from the public, as the gate looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Of which takedown.
    pub(crate) id: HandlingId,
    bucket: BucketName,
    covers: Covers,
    until: Option<Timestamp>,
    /// Also addresses that the tenant's own people signed.
    pub(crate) presigned: bool,
}

impl Block {
    /// Whether it holds for a bucket or an object now.
    pub(crate) fn holds(&self, resource: &Arn, now: Timestamp) -> bool {
        let (bucket, key) = match resource.relative().split_once('/') {
            Some((bucket, key)) => (bucket, Some(key)),
            None => (resource.relative(), None),
        };
        let covered = match (&self.covers, key) {
            (Covers::Bucket, _) => true,
            (Covers::Prefix(prefix), Some(key)) => key.starts_with(prefix.as_str()),
            (Covers::Object(one), Some(key)) => one.as_str() == key,
            (_, None) => false,
        };
        bucket == self.bucket.as_str() && covered && self.until.is_none_or(|until| now < until)
    }
}

/// What of a bucket is kept from the public.
pub(crate) fn blocks(tx: &mut TenantTx<'_, '_>, bucket: &BucketName) -> Result<Vec<Block>, Failure> {
    rows::blocks(tx, bucket).map_err(Failure::from)
}

/// A legal order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who gave it, 2 to 100 characters.
    pub authority: String,
    /// The number of the document, 1 to 100 characters.
    pub document: String,
    /// Its date, `2026-11-25`.
    pub dated: String,
    /// Whether it names addresses that the tenant's own people signed, too.
    pub presigned: bool,
}

impl Order {
    /// As records name it.
    pub fn reference(&self) -> String {
        format!("{}, {}, {}", self.authority, self.document, self.dated)
    }
}

/// How far a takedown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for another operator; nothing is blocked.
    Filed,
    /// Another operator said no.
    Declined,
    /// Nobody confirmed it in time.
    Lapsed,
    /// What it names is kept from the public.
    InForce,
    /// Its end has come.
    Ended,
    /// It was undone.
    Lifted,
}

impl State {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Filed => "filed",
            Self::Declined => "declined",
            Self::Lapsed => "lapsed",
            Self::InForce => "in force",
            Self::Ended => "ended",
            Self::Lifted => "lifted",
        }
    }
}

/// One step of a takedown.
#[derive(Clone, Debug)]
pub struct Step {
    /// `file`, `confirm`, `decline`, `lift`, `acknowledge`.
    pub act: String,
    /// Who of the provider; the tenant does not see it.
    pub operator: Option<OperatorId>,
    /// An operator's pseudonym, or a user of the tenant.
    pub writer: String,
    /// What he said; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// A takedown of public data.
#[derive(Clone, Debug)]
pub struct Takedown {
    /// Whose data.
    pub tenant: TenantId,
    /// Its id.
    pub id: HandlingId,
    /// The bucket.
    pub bucket: BucketName,
    /// What of it.
    pub covers: Covers,
    /// On whose order.
    pub order: Order,
    /// Why, in words.
    pub reason: String,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Whether the tenant has acknowledged its newest step.
    pub acknowledged: bool,
    /// What happened, in order; the first files it.
    pub steps: Vec<Step>,
    stored: &'static str,
}

impl Takedown {
    /// How far it is.
    pub fn state(&self, now: Timestamp) -> State {
        match self.stored {
            "filed" if now >= self.filed_at.plus_ms(LAPSE_DAYS * DAY_MS) => State::Lapsed,
            "filed" => State::Filed,
            "in_force" if self.until.is_some_and(|until| until <= now) => State::Ended,
            "in_force" => State::InForce,
            "declined" => State::Declined,
            _ => State::Lifted,
        }
    }

    /// What it names, for people.
    pub fn what(&self) -> String {
        match &self.covers {
            Covers::Bucket => self.bucket.to_string(),
            Covers::Prefix(prefix) => format!("{}/{prefix}*", self.bucket),
            Covers::Object(key) => format!("{}/{key}", self.bucket),
        }
    }

    fn filer(&self) -> Result<&Step, Failure> {
        self.steps.first().ok_or_else(|| Failure::Damaged(format!("nobody filed takedown `{}`", self.id)))
    }
}

/// Whose words are on one line and not too many.
fn line(field: &'static str, text: &str, (min, max): (usize, usize)) -> Result<String, Failure> {
    let text = text.trim();
    if !(min..=max).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        return Err(Failure::invalid(field, format!("must have {min} to {max} characters on one line")));
    }
    Ok(text.to_owned())
}

impl House {
    /// One takedown, for the provider's people.
    ///
    /// # Errors
    /// When there is none.
    pub async fn takedown(&self, tenant: &TenantId, id: &HandlingId) -> Result<Takedown, Failure> {
        let (tenant, of) = (tenant.clone(), id.clone());
        let found =
            self.db.read(move |tx| rows::one(&mut tx.tenant(&tenant), &of).map_err(Failure::from)).await?;
        found.ok_or_else(|| Failure::not_found(Thing::Handling, id))
    }

    /// The newest glasses (without their acts), takedowns and changes of all tenants, for the provider's people.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn all_handling(&self, limit: u32) -> Result<Listed, Failure> {
        self.db
            .read(move |tx| {
                let mut takedowns = Vec::new();
                for (tenant, id) in rows::newest(tx, limit)? {
                    takedowns.extend(rows::one(&mut tx.tenant(&tenant), &id)?);
                }
                let mut glasses = Vec::new();
                for (tenant, id) in rows::glass::newest(tx, limit)? {
                    glasses.extend(rows::glass::one(&mut tx.tenant(&tenant), &id)?);
                }
                Ok(Listed { glasses, takedowns, changes: rows::newest_changes(tx, limit)? })
            })
            .await
    }

    /// Of what a tenant has not acknowledged the newest step: glasses, takedowns.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn to_acknowledge(
        &self,
        tenant: &TenantId,
    ) -> Result<(Vec<HandlingId>, Vec<HandlingId>), Failure> {
        let tenant = tenant.clone();
        self.db
            .read(move |tx| {
                let tx = &mut tx.tenant(&tenant);
                Ok((rows::glass::to_acknowledge(tx)?, rows::to_acknowledge(tx)?))
            })
            .await
    }

    /// Tells tenants again what they have not acknowledged in time; answers how many acts that were.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn remind_tenants(&self) -> Result<u64, Failure> {
        let now = self.now();
        let (glasses, due) = self
            .db
            .read(move |tx| Ok::<_, Failure>((rows::glass::due(tx, now, BATCH)?, rows::due(tx, now, BATCH)?)))
            .await?;
        if due.is_empty() && glasses.is_empty() {
            return Ok(0);
        }
        self.db
            .write(move |tx| {
                let mut told = 0;
                for (tenant, id) in glasses {
                    let mut tx = tx.tenant(&tenant);
                    if rows::glass::postpone(&mut tx, &id, now, now.plus_ms(glass::AGAIN_MS))? {
                        notices::emit_to_all(&mut tx, &id, now)?;
                        told += 1;
                    }
                }
                for (tenant, id) in due {
                    let mut tx = tx.tenant(&tenant);
                    // Another server may have told it, or the tenant have acknowledged it meanwhile.
                    if rows::postpone(&mut tx, &id, now, now.plus_ms(DAY_MS))? {
                        notices::emit_to_all(&mut tx, &id, now)?;
                        told += 1;
                    }
                }
                Ok(told)
            })
            .await
    }
}

impl House {
    /// Takedowns that took effect: all, and those for which not two operators stood.
    pub(crate) async fn takedowns_by_one(&self) -> Result<(u64, u64), Failure> {
        self.db.read(|tx| rows::by_one_person(tx).map_err(Failure::from)).await
    }
}

/// The worker.
pub(crate) async fn remind(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        if let Err(e) = house.remind_tenants().await {
            tracing::warn!("it cannot be told again what tenants are to acknowledge: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_for_what_it_names_and_until_its_end() {
        let (tenant, at) = (TenantId::provider(), Timestamp::from_secs);
        let bucket = BucketName::parse("site").unwrap();
        let on = |name: &str| match name {
            "" => Arn::bucket(&tenant, &bucket),
            name => Arn::object(&tenant, &bucket, &ObjectKey::parse(name).unwrap()),
        };
        let block = |covers: &str| Block {
            id: HandlingId::parse("H-7f3k9m2p4q8r").unwrap(),
            bucket: bucket.clone(),
            covers: Covers::parse(covers).unwrap(),
            until: Some(at(10)),
            presigned: false,
        };
        for (covers, holds, not) in [
            ("", &["", "a", "a/b"][..], &[][..]),
            ("a/*", &["a/b", "a/"], &["", "a", "b/a/"]),
            ("a", &["a"], &["", "a/b", "ab"]),
        ] {
            for name in holds {
                assert!(block(covers).holds(&on(name), at(9)), "{covers} {name}");
                assert!(!block(covers).holds(&on(name), at(10)), "{covers} {name}: over");
            }
            assert!(!not.iter().any(|name| block(covers).holds(&on(name), at(9))), "{covers}");
        }
        let other = Arn::bucket(&tenant, &BucketName::parse("site2").unwrap());
        assert!(!block("").holds(&other, at(9)));
        assert!(Covers::parse("*").is_err() && Covers::parse(&"x".repeat(1100)).is_err());
    }
}
