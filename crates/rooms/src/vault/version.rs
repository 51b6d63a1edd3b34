//! Versions of objects: how a bucket keeps them, one by one, and all of them by key.
//!
//! INVARIANT: in a bucket that keeps versions a write or a delete destroys nothing; only naming a version does.
//! INVARIANT: what is current is the newest version of its key that is no delete marker, or nothing when that is one.

use std::sync::Arc;

use bailee_types::{BucketName, ObjectKey, ObjectVersionId, TenantId, TicketId, Timestamp};
use serde_json::json;

use super::bucket::known;
use super::get::info_of;
use super::list::{fold, successor};
use super::{ObjectInfo, bucket_asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House, Thing};

/// How a bucket keeps versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Versioning {
    /// It never kept any.
    #[default]
    Off,
    /// Every write makes a new one.
    Enabled,
    /// New writes replace each other again; what was kept stays.
    Suspended,
}

impl Versioning {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Enabled => "Enabled",
            Self::Suspended => "Suspended",
        }
    }

    /// What has this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Off, Self::Enabled, Self::Suspended].into_iter().find(|v| v.word() == word)
    }
}

/// Which version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that a bucket has which keeps none: `null`.
    Null,
    /// This one.
    Id(ObjectVersionId),
    /// The stored version of this id, be it called `null` or not. No client names one so.
    Stored(ObjectVersionId),
}

impl Which {
    /// `null`, or an id of 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "null" => Some(Self::Null),
            id => ObjectVersionId::parse(id).ok().map(Self::Id),
        }
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Id(id) | Self::Stored(id) => f.write_str(id.as_str()),
        }
    }
}

/// Says how a bucket keeps versions from now on.
#[derive(Clone, Debug)]
pub struct SetVersioning {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// Not [`Versioning::Off`]: what was kept once cannot be unkept.
    pub versioning: Versioning,
}

impl Operation for SetVersioning {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = bucket_asked(&self.tenant, &self.bucket, "oss:PutBucketVersioning");
        asked.class = Class::Management { write: true };
        asked.parameters = parameters(json!({
            "bucket": self.bucket.as_str(), "versioning": self.versioning.word(),
        }));
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        if self.versioning == Versioning::Off {
            return Err(Failure::invalid("Status", "must be Enabled or Suspended"));
        }
        house
            .db
            .write(move |tx| {
                let there = rows::bucket(&mut tx.tenant(&self.tenant), &self.bucket)?;
                if self.versioning == Versioning::Suspended
                    && there.is_some_and(|b| b.settings.lock.is_some())
                {
                    return Err(Failure::BucketState(
                        "this bucket retains single versions: versioning cannot be suspended".into(),
                    ));
                }
                match rows::set_versioning(&mut tx.tenant(&self.tenant), &self.bucket, self.versioning)? {
                    true => Ok(()),
                    false => Err(Failure::not_found(Thing::Bucket, &self.bucket)),
                }
            })
            .await
    }
}

/// Destroys one version of an object for good; a missing one is fine.
#[derive(Clone, Debug)]
pub struct DeleteVersion {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which one.
    pub which: Which,
    /// Whether governance is passed over; [`super::MayLock`] was asked. Such an act stands in the tenant's log.
    pub bypass: bool,
}

/// What a delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Whether anything was there.
    pub found: bool,
    /// The version that was destroyed, or the delete marker that was written; none where a bucket keeps no versions.
    pub version: Option<String>,
    /// Whether that is a delete marker.
    pub marker: bool,
}

impl Operation for DeleteVersion {
    type Output = Deleted;

    fn asks(&self) -> Asked {
        let mut asked =
            super::object_asked(&self.tenant, &self.bucket, &self.key, "oss:DeleteObjectVersion", None);
        asked.touches = crate::gate::Touches::Metadata;
        asked.parameters.insert("versionId".into(), self.which.to_string().into());
        if self.bypass {
            asked.class = Class::Management { write: true };
            asked.parameters.insert("bypassGovernanceRetention".into(), true.into());
        }
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Deleted, Failure> {
        let now = house.now();
        let opener = house.tenant_key(&self.tenant).await?;
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let there = known(&mut tx, &self.bucket)?;
                let mut guard = there.guard(&opener, now);
                guard.bypass = self.bypass;
                let gone = rows::delete_version(&mut tx, &self.bucket, &self.key, &self.which, &guard)?;
                Ok(Deleted {
                    found: gone.is_some(),
                    version: Some(self.which.to_string()),
                    marker: gone.unwrap_or(false),
                })
            })
            .await
    }
}

/// Versions and delete markers by key, the newest first.
#[derive(Clone, Debug)]
pub struct ListVersions {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys with this prefix.
    pub prefix: String,
    /// Keys are cut behind it, after the prefix; empty: they are not.
    pub delimiter: String,
    /// Only what comes after this key, or after this version of it.
    pub after: (String, Option<Which>),
    /// At most so many.
    pub entries_max: u32,
    /// For operators with keys: the ticket of their grant.
    pub ticket: Option<TicketId>,
}

/// One version.
#[derive(Clone, Debug)]
pub struct Version {
    /// The object; of a delete marker only key, version and time say something.
    pub info: ObjectInfo,
    /// The id as clients know it: `null`, or the stored version's.
    pub id: String,
    /// Whether it is the newest of its key.
    pub latest: bool,
    /// Whether it is a delete marker.
    pub marker: bool,
}

/// A page of versions.
#[derive(Clone, Debug, Default)]
pub struct VersionPage {
    /// By key, the newest first.
    pub versions: Vec<Version>,
    /// Prefixes that keys were cut to, in order.
    pub prefixes: Vec<String>,
    /// Key and version after which the next page begins (an empty version: after all of the key's); none at the end.
    pub next: Option<(String, String)>,
}

/// A place in the order of keys and versions.
type Place = (String, i64);

impl Operation for ListVersions {
    type Output = VersionPage;

    fn asks(&self) -> Asked {
        let mut asked = bucket_asked(&self.tenant, &self.bucket, "oss:ListObjectVersions");
        asked.ticket.clone_from(&self.ticket);
        asked.parameters = parameters(json!({ "bucket": self.bucket.as_str(), "prefix": self.prefix }));
        asked.conditions = vec![
            ("oss:Prefix".into(), vec![self.prefix.clone()]),
            ("oss:Delimiter".into(), vec![self.delimiter.clone()]),
        ];
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<VersionPage, Failure> {
        let key = house.tenant_key(&self.tenant).await?;
        // As in other lists, an operator sees names, sizes and dates.
        let key = intent.is_tenants(&self.tenant).then_some(key);
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::bucket(&mut tx, &self.bucket)?.is_none() {
                    return Err(Failure::not_found(Thing::Bucket, &self.bucket));
                }
                self.page(&mut tx, key.as_deref())
            })
            .await
    }
}

impl ListVersions {
    fn start(&self, tx: &mut bailee_store::TenantTx<'_, '_>) -> Result<Place, Failure> {
        let (key, which) = &self.after;
        if key.is_empty() {
            return Ok((self.prefix.clone(), i64::MIN));
        }
        let Some(which) = which else { return Ok((key.clone(), i64::MAX)) };
        let parsed = ObjectKey::parse(key).map_err(|e| Failure::invalid("key-marker", e.to_string()))?;
        let place = rows::place_of(tx, &self.bucket, &parsed, which)?;
        // A version that is gone meanwhile: what is newer was listed before it, so the rest of the key is listed again rather
        // than passed over.
        Ok((key.clone(), place.unwrap_or(i64::MIN)))
    }

    fn page(
        &self,
        tx: &mut bailee_store::TenantTx<'_, '_>,
        tenant_key: Option<&crate::keys::TenantKey>,
    ) -> Result<VersionPage, Failure> {
        let max = self.entries_max.min(1_000) as usize;
        let end = successor(&self.prefix);
        let mut page = VersionPage::default();
        let mut at = self.start(tx)?;
        let mut last: Option<(String, String)> = None;
        // Whose newest version was seen, on this page or on those before it.
        let mut newest_of = (at.1 > i64::MIN).then(|| at.0.clone());
        loop {
            let batch = rows::versions(tx, &self.bucket, &at, end.as_deref(), 256)?;
            let Some(until) = batch.last().map(|v| (v.key.to_string(), v.place)) else { return Ok(page) };
            let mut sought = None;
            for found in batch {
                let name = found.key.to_string();
                let name = name.as_str();
                if let Some(folded) = fold(name, &self.prefix, &self.delimiter) {
                    let again = self.after.0.starts_with(&folded);
                    if !again {
                        if page.versions.len() + page.prefixes.len() == max {
                            page.next = last;
                            return Ok(page);
                        }
                        page.prefixes.push(folded.clone());
                        last = Some((folded.clone(), String::new()));
                    }
                    sought = Some(successor(&folded));
                    break;
                }
                if page.versions.len() + page.prefixes.len() == max {
                    page.next = last;
                    return Ok(page);
                }
                let latest = newest_of.as_deref() != Some(name);
                newest_of = Some(name.to_owned());
                let version = found.shown(tenant_key, &self.bucket, latest)?;
                last = Some((name.to_owned(), version.id.clone()));
                page.versions.push(version);
            }
            at = match sought {
                Some(Some(next)) => (next, i64::MIN),
                Some(None) => return Ok(page),
                None => until,
            };
        }
    }
}

impl rows::VersionRow {
    fn shown(
        self,
        key: Option<&crate::keys::TenantKey>,
        bucket: &BucketName,
        latest: bool,
    ) -> Result<Version, Failure> {
        let id = shown_id(self.row.is_null, &self.row.version);
        let info = match key {
            Some(key) if !self.marker => info_of(key, bucket, &self.key, &self.row)?,
            _ => ObjectInfo {
                key: self.key,
                version: self.row.version,
                is_null: self.row.is_null,
                size: if self.marker { 0 } else { self.row.size },
                modified_at: self.row.modified_at,
                meta: super::ObjectMeta::default(),
            },
        };
        Ok(Version { info, id, latest, marker: self.marker })
    }
}

/// A version's id as clients know it.
pub(super) fn shown_id(is_null: bool, version: &ObjectVersionId) -> String {
    if is_null { "null".to_owned() } else { version.to_string() }
}

/// What a failed read tells of a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Its id as clients know it.
    pub id: String,
    /// When it was written.
    pub at: Timestamp,
    /// Whether the caller named it; then it is no missing object but one that cannot be read.
    pub named: bool,
}
