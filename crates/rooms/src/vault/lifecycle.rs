//! Lifecycle: what a bucket's owner wants to end by itself, and the worker that ends it.
//!
//! Days are counted as the real services do: an object is due at the first midnight of UTC that is so many days after it was
//! written (a former version: after it was replaced; an upload: after it began).
//! A round is one act in the tenant's log that says by which rules how much went, and names the first hundred.
//! INVARIANT: what is ended is exactly the version that was found due: one that was written meanwhile stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bailee_store::TenantTx;
use bailee_types::{Arn, BucketName, ObjectKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::get::open_meta;
use super::list::successor;
use super::retain::Guard;
use super::tier::Tier;
use super::version::Versioning;
use super::{Which, bucket_asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::handling::{self, Worker};
use crate::keys::TenantKey;
use crate::{Failure, House, Thing};

const DAY_MS: i64 = 86_400_000;
/// Rules of one bucket.
const RULES_MAX: usize = 1_000;
/// Versions looked at in one read.
const LOOK: u32 = 500;
/// What is ended in one act, and in one commit of it.
const ACT_MAX: usize = 10_000;
const COMMIT_MAX: usize = 200;
/// Names in an act's outcome.
const NAMED_MAX: usize = 100;
/// How often rules are looked at.
const ROUND: Duration = Duration::from_secs(300);

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name, one of a kind in its bucket.
    pub id: String,
    /// Whether it is on.
    pub enabled: bool,
    /// Keys with this prefix.
    pub prefix: String,
    /// Objects with all of these tags.
    pub tags: BTreeMap<String, String>,
    /// Objects larger than so many bytes.
    pub larger_than: Option<u64>,
    /// Objects smaller than so many bytes.
    pub smaller_than: Option<u64>,
    /// Days after which current versions expire.
    pub days: Option<u32>,
    /// Milliseconds since 1970 from which on current versions expire.
    pub date_ms: Option<i64>,
    /// Current versions from before this instant (milliseconds since 1970) expire.
    pub created_before_ms: Option<i64>,
    /// Whether delete markers go when nothing is behind them.
    pub expired_markers: bool,
    /// Days after which former versions are destroyed.
    pub noncurrent_days: Option<u32>,
    /// Former versions that stay in any case, the newest.
    pub noncurrent_kept: Option<u32>,
    /// Days after which uploads under way are given up.
    pub abort_days: Option<u32>,
    /// When current versions move to another storage type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// Days after which former versions do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noncurrent_moves: Vec<(u32, Tier)>,
}

/// When current versions move to another storage type: one of the three is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// To which.
    pub to: Tier,
    /// Days after they were written.
    pub days: Option<u32>,
    /// Milliseconds since 1970 from which on.
    pub date_ms: Option<i64>,
    /// Those from before this instant (milliseconds since 1970).
    pub created_before_ms: Option<i64>,
}

/// Rules of a bucket.
#[derive(Clone, Debug)]
pub struct GetLifecycle {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
}

/// Sets all rules of a bucket; none deletes them.
#[derive(Clone, Debug)]
pub struct SetLifecycle {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The new rules; those without a name get one.
    pub rules: Vec<Rule>,
}

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ends {
    /// A current version expires: it goes, or gets a delete marker where versions are kept.
    Expires,
    /// A former version is destroyed.
    Former,
    /// A delete marker with nothing behind it goes.
    Marker,
    /// An upload under way is given up.
    Upload,
    /// A version moves to another storage type. Nothing of it ends.
    Moves(Tier),
}

impl Ends {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expires => "expires",
            Self::Former => "former version",
            Self::Marker => "delete marker",
            Self::Upload => "upload",
            Self::Moves(Tier::Standard) => "moves to Standard",
            Self::Moves(Tier::InfrequentAccess) => "moves to IA",
            Self::Moves(Tier::Archive) => "moves to Archive",
            Self::Moves(Tier::ColdArchive) => "moves to ColdArchive",
            Self::Moves(Tier::DeepColdArchive) => "moves to DeepColdArchive",
        }
    }
}

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its key.
    pub key: ObjectKey,
    /// What ends.
    pub ends: Ends,
    /// The stored version, or the upload.
    pub id: String,
    /// Bytes of content.
    pub size: u64,
    /// When it was written last, or begun.
    pub written_at: Timestamp,
    /// By which rule.
    pub rule: String,
    /// Since when.
    pub since: Timestamp,
}

/// Says what a bucket's rules would end at a time, and ends nothing.
#[derive(Clone, Debug)]
pub struct ExplainLifecycle {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// At which time.
    pub at: Timestamp,
    /// At most so many.
    pub due_max: usize,
}

/// Ends what is due now.
#[derive(Clone, Debug)]
pub struct ApplyLifecycle {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
}

/// What an [`ApplyLifecycle`] ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// How much of each kind.
    pub counts: BTreeMap<Ends, u64>,
    /// How much by each rule.
    pub by_rule: BTreeMap<String, u64>,
    /// Bytes of content.
    pub bytes: u64,
    /// The first of it.
    pub first: Vec<Due>,
    /// Whether more is due than one act ends.
    pub more: bool,
}

impl Rule {
    fn matches(&self, key: &str, size: u64) -> bool {
        self.enabled
            && key.starts_with(&self.prefix)
            && self.larger_than.is_none_or(|n| size > n)
            && self.smaller_than.is_none_or(|n| size < n)
    }

    /// Since when a current version that was written then is due.
    fn current_due(&self, written: Timestamp) -> Option<Timestamp> {
        earliest(written, (self.days, self.date_ms, self.created_before_ms))
    }

    /// The storage types that a version which is due by this rule moves to, each with since when.
    fn moves_due(&self, written: Timestamp, replaced: Option<Timestamp>) -> Vec<(Timestamp, Tier)> {
        match replaced {
            None => self
                .moves
                .iter()
                .filter_map(|m| Some((earliest(written, (m.days, m.date_ms, m.created_before_ms))?, m.to)))
                .collect(),
            Some(replaced) => self
                .noncurrent_moves
                .iter()
                .map(|(days, to)| (midnight_after(replaced, *days), *to))
                .collect(),
        }
    }
}

/// The earliest of days after something was written, a date, and that it is older than one.
fn earliest(
    written: Timestamp,
    (days, date_ms, before_ms): (Option<u32>, Option<i64>, Option<i64>),
) -> Option<Timestamp> {
    let by_days = days.map(|days| midnight_after(written, days));
    let by_date = date_ms.map(Timestamp::from_ms);
    let by_age = before_ms.map(Timestamp::from_ms).filter(|before| written < *before);
    [by_days, by_date, by_age].into_iter().flatten().min()
}

/// The first midnight of UTC that is so many days after an instant.
fn midnight_after(at: Timestamp, days: u32) -> Timestamp {
    let due = at.ms().saturating_add(i64::from(days) * DAY_MS);
    Timestamp::from_ms(due.div_euclid(DAY_MS).saturating_add(i64::from(due.rem_euclid(DAY_MS) > 0)) * DAY_MS)
}

impl Operation for GetLifecycle {
    type Output = Vec<Rule>;

    fn asks(&self) -> Asked {
        bucket_asked(&self.tenant, &self.bucket, "oss:GetBucketLifecycle")
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Rule>, Failure> {
        house.lifecycle_of(&self.tenant, &self.bucket).await
    }
}

impl Operation for SetLifecycle {
    type Output = ();

    fn asks(&self) -> Asked {
        let action =
            if self.rules.is_empty() { "oss:DeleteBucketLifecycle" } else { "oss:PutBucketLifecycle" };
        let mut asked = bucket_asked(&self.tenant, &self.bucket, action);
        asked.class = Class::Management { write: true };
        let ids: Vec<&str> = self.rules.iter().take(NAMED_MAX).map(|r| r.id.as_str()).collect();
        asked.parameters =
            parameters(json!({ "bucket": self.bucket.as_str(), "rules": self.rules.len(), "ids": ids }));
        asked
    }

    async fn act(mut self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        if self.rules.len() > RULES_MAX {
            return Err(Failure::invalid("Rule", format!("is one of more than {RULES_MAX}")));
        }
        for rule in &mut self.rules {
            if rule.id.is_empty() {
                rule.id = bailee_types::random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 16);
            }
            if rule.id.chars().count() > 255 || rule.id.chars().any(char::is_control) {
                return Err(Failure::invalid("ID", "must have at most 255 characters on one line"));
            }
        }
        let mut ids: Vec<&str> = self.rules.iter().map(|r| r.id.as_str()).collect();
        ids.sort_unstable();
        if let Some([twice, _]) = ids.array_windows::<2>().find(|[a, b]| a == b) {
            return Err(Failure::invalid("ID", format!("`{twice}` is the name of two rules")));
        }
        house
            .db
            .write(move |tx| {
                match rows::set_lifecycle(&mut tx.tenant(&self.tenant), &self.bucket, &self.rules)? {
                    true => Ok(()),
                    false => Err(Failure::not_found(Thing::Bucket, &self.bucket)),
                }
            })
            .await
    }
}

fn lifecycle_asked(tenant: &TenantId, bucket: &BucketName, action: &'static str, write: bool) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::bucket(tenant, bucket),
        resource_type: "ACS::OSS::Bucket",
        class: Class::Management { write },
        touches: Touches::Metadata,
        ticket: None,
        parameters: parameters(json!({ "bucket": bucket.as_str() })),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for ExplainLifecycle {
    type Output = Vec<Due>;

    fn asks(&self) -> Asked {
        lifecycle_asked(&self.tenant, &self.bucket, "bailee:ExplainLifecycle", false)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Due>, Failure> {
        let mut all = Vec::new();
        let mut search = house.search(&self.tenant, &self.bucket, self.at).await?;
        while all.len() < self.due_max
            && let Some(found) = house.look(&mut search).await?
        {
            all.extend(found);
        }
        all.truncate(self.due_max);
        Ok(all)
    }
}

impl Operation for ApplyLifecycle {
    type Output = Applied;

    fn asks(&self) -> Asked {
        lifecycle_asked(&self.tenant, &self.bucket, "bailee:ApplyLifecycle", true)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Applied, Failure> {
        let now = house.now();
        if let Some(why) = house.is_still(Worker::Lifecycle, &self.tenant, &self.bucket).await? {
            return Err(Failure::Conflict(format!("lifecycle of `{}`: {why}", self.bucket)));
        }
        let mut search = house.search(&self.tenant, &self.bucket, now).await?;
        let (mut done, mut ended) = (Applied::default(), 0);
        while let Some(found) = house.look(&mut search).await? {
            for some in found.chunks(COMMIT_MAX) {
                let (tenant, bucket, batch) = (self.tenant.clone(), self.bucket.clone(), some.to_vec());
                let opener = Arc::clone(&search.key);
                let gone = house
                    .db
                    .write(move |tx| {
                        let mut tx = tx.tenant(&tenant);
                        let mut gone = Vec::new();
                        let Some(there) = rows::bucket(&mut tx, &bucket)? else { return Ok(gone) };
                        let guard = there.guard(&opener, now);
                        for due in batch {
                            if end(&mut tx, &bucket, there.versioning, &due, (&guard, &opener))? {
                                gone.push(due);
                            }
                        }
                        Ok::<_, Failure>(gone)
                    })
                    .await?;
                ended += gone.len();
                for due in gone {
                    *done.counts.entry(due.ends).or_default() += 1;
                    *done.by_rule.entry(due.rule.clone()).or_default() += 1;
                    if !matches!(due.ends, Ends::Moves(_)) {
                        done.bytes += due.size;
                    }
                    if done.first.len() < NAMED_MAX {
                        done.first.push(due);
                    }
                }
            }
            if ended >= ACT_MAX {
                done.more = true;
                break;
            }
        }
        Ok(done)
    }

    fn outcome_detail(done: &Applied) -> Map<String, Value> {
        let counts: Map<String, Value> =
            done.counts.iter().map(|(ends, n)| (ends.word().to_owned(), (*n).into())).collect();
        let first: Vec<Value> = done
            .first
            .iter()
            .map(|d| json!({ "key": d.key.as_str(), "ends": d.ends.word(), "id": d.id, "rule": d.rule }))
            .collect();
        parameters(json!({ "ended": counts, "byRule": done.by_rule, "bytes": done.bytes, "first": first }))
    }
}

/// Ends one thing, if it is still what was found due.
fn end(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    versioning: Versioning,
    due: &Due,
    (guard, opener): (&Guard, &TenantKey),
) -> Result<bool, Failure> {
    if let Ends::Moves(tier) = due.ends {
        return move_one(tx, bucket, due, tier, opener);
    }
    let done = end_one(tx, bucket, versioning, due, guard);
    // It was put under retention since it was found due.
    if let Err(Failure::Retained(_)) = done { Ok(false) } else { done }
}

/// Moves a version to another storage type: its metadata are sealed anew, and no byte of its content is touched. That is allowed
/// under retention.
fn move_one(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    due: &Due,
    tier: Tier,
    opener: &TenantKey,
) -> Result<bool, Failure> {
    let id = bailee_types::ObjectVersionId::parse(&due.id).map_err(|e| Failure::Bug(e.to_string()))?;
    let which = Which::Stored(id);
    let Some(row) = rows::object(tx, bucket, &due.key, Some(&which), false)? else { return Ok(false) };
    let mut meta = open_meta(opener, bucket, &row.version, &row.sealed_meta)?;
    if row.modified_at != due.written_at || meta.tier() >= tier {
        return Ok(false);
    }
    meta.tier = Some(tier);
    meta.restored_until = None;
    let plain = serde_json::to_vec(&meta).map_err(|e| Failure::Bug(e.to_string()))?;
    Ok(rows::replace_meta(tx, &row, &opener.seal_metadata(bucket, &row.version, &plain))?)
}

fn end_one(
    tx: &mut TenantTx<'_, '_>,
    bucket: &BucketName,
    versioning: Versioning,
    due: &Due,
    guard: &Guard,
) -> Result<bool, Failure> {
    match due.ends {
        Ends::Expires => {
            let Some(former) = rows::former(tx, bucket, &due.key)? else { return Ok(false) };
            // An append leaves the version and makes it younger.
            if former.version.as_str() != due.id || former.modified_at != due.written_at {
                return Ok(false);
            }
            if versioning == Versioning::Off {
                rows::delete_object(tx, bucket, &due.key, &former, guard)?;
            } else {
                rows::put_marker(tx, bucket, &due.key, versioning, guard)?;
            }
            Ok(true)
        }
        Ends::Former | Ends::Marker => {
            let id =
                bailee_types::ObjectVersionId::parse(&due.id).map_err(|e| Failure::Bug(e.to_string()))?;
            // A former version that became current meanwhile is one no more.
            let current = rows::former(tx, bucket, &due.key)?;
            if current.is_some_and(|c| due.ends == Ends::Marker || c.version == id) {
                return Ok(false);
            }
            Ok(rows::delete_version(tx, bucket, &due.key, &Which::Stored(id), guard)?.is_some())
        }
        Ends::Upload => {
            if rows::upload(tx, bucket, &due.key, &due.id)?.is_none() {
                return Ok(false);
            }
            rows::drop_parts_of_upload(tx, bucket, &due.id, guard.now)?;
            rows::delete_upload(tx, bucket, &due.key, &due.id)?;
            Ok(true)
        }
        Ends::Moves(_) => Err(Failure::Bug("a move ends nothing".into())),
    }
}

/// A walk over a bucket for what is due; what must be remembered from one read to the next.
pub(super) struct Search {
    tenant: TenantId,
    bucket: BucketName,
    rules: Arc<Vec<Rule>>,
    at: Timestamp,
    key: Arc<TenantKey>,
    guard: Guard,
    versioning: Versioning,
    place: (String, i64),
    /// Of the key that is being looked at: its name, when the version before was written, and how many former versions there were.
    on: Option<(String, Timestamp, u32)>,
    /// A newest delete marker, until it shows that something is behind it.
    marker: Option<Due>,
    uploads_after: Option<(String, String)>,
    over: bool,
}

impl House {
    async fn lifecycle_of(&self, tenant: &TenantId, bucket: &BucketName) -> Result<Vec<Rule>, Failure> {
        let (t, b) = (tenant.clone(), bucket.clone());
        self.db
            .read(move |tx| {
                rows::lifecycle(&mut tx.tenant(&t), &b)?.ok_or_else(|| Failure::not_found(Thing::Bucket, &b))
            })
            .await
    }

    async fn search(&self, tenant: &TenantId, bucket: &BucketName, at: Timestamp) -> Result<Search, Failure> {
        let rules = self.lifecycle_of(tenant, bucket).await?;
        let there = self.known_bucket(tenant, bucket).await?;
        let key = self.tenant_key(tenant).await?;
        Ok(Search {
            tenant: tenant.clone(),
            bucket: bucket.clone(),
            over: !rules.iter().any(|r| r.enabled),
            rules: Arc::new(rules),
            at,
            guard: there.guard(&key, at),
            versioning: there.versioning,
            key,
            place: (String::new(), i64::MIN),
            on: None,
            marker: None,
            uploads_after: None,
        })
    }

    /// The next of what is due; none when all was looked at.
    async fn look(&self, search: &mut Search) -> Result<Option<Vec<Due>>, Failure> {
        if search.over {
            return Ok(None);
        }
        let (tenant, bucket) = (search.tenant.clone(), search.bucket.clone());
        if let Some(after) = search.uploads_after.clone() {
            let all = self
                .db
                .read(move |tx| {
                    rows::uploads(&mut tx.tenant(&tenant), &bucket, ("", None), &after, LOOK)
                        .map_err(Failure::from)
                })
                .await?;
            search.over = all.len() < LOOK as usize;
            if let Some((last, _)) = all.last() {
                search.uploads_after = Some((last.key.to_string(), last.id.clone()));
            }
            return Ok(Some(all.iter().filter_map(|(u, _)| search.upload_due(u)).collect()));
        }
        let (place, end) = (search.place.clone(), successor(""));
        let batch = self
            .db
            .read(move |tx| {
                rows::versions(&mut tx.tenant(&tenant), &bucket, &place, end.as_deref(), LOOK)
                    .map_err(Failure::from)
            })
            .await?;
        let mut found = Vec::new();
        match batch.last() {
            Some(last) => search.place = (last.key.to_string(), last.place),
            None => {
                found.extend(search.marker.take());
                search.uploads_after = Some((String::new(), String::new()));
            }
        }
        for row in batch {
            search.hear(row, &mut found)?;
        }
        Ok(Some(found))
    }
}

impl Search {
    fn upload_due(&self, upload: &super::Upload) -> Option<Due> {
        let by = |r: &&Rule| r.enabled && r.tags.is_empty() && upload.key.as_str().starts_with(&r.prefix);
        self.rules.iter().filter(by).find_map(|rule| {
            let since = midnight_after(upload.begun_at, rule.abort_days?);
            (since <= self.at).then(|| Due {
                key: upload.key.clone(),
                ends: Ends::Upload,
                id: upload.id.clone(),
                size: 0,
                written_at: upload.begun_at,
                rule: rule.id.clone(),
                since,
            })
        })
    }

    /// The next version in the order of keys and, of each, of age.
    fn hear(&mut self, row: rows::VersionRow, found: &mut Vec<Due>) -> Result<(), Failure> {
        let written = row.row.modified_at;
        let same = self.on.as_ref().is_some_and(|(key, _, _)| key == row.key.as_str());
        if !same {
            found.extend(self.marker.take());
            self.on = Some((row.key.to_string(), written, 0));
            if row.marker {
                self.marker = self.due(&row, Ends::Marker, |rule| rule.expired_markers.then_some(written))?;
            } else {
                let due = self.due(&row, Ends::Expires, |rule| rule.current_due(written))?;
                let due = due.map_or_else(|| self.moves(&row, None), |due| Ok(Some(due)))?;
                found.extend(due);
            }
            return Ok(());
        }
        // Something is behind the marker.
        self.marker = None;
        let Some((_, newer, formers)) = self.on.as_mut() else { return Ok(()) };
        let (replaced, before) = (*newer, *formers);
        (*newer, *formers) = (written, before + 1);
        let due = self.due(&row, Ends::Former, |rule| {
            let days = rule.noncurrent_days.filter(|_| before >= rule.noncurrent_kept.unwrap_or(0))?;
            Some(midnight_after(replaced, days))
        })?;
        let due = due.map_or_else(|| self.moves(&row, Some(replaced)), |due| Ok(Some(due)))?;
        found.extend(due);
        Ok(())
    }

    /// Whether a version moves, and to the coldest of what is due.
    fn moves(&self, row: &rows::VersionRow, replaced: Option<Timestamp>) -> Result<Option<Due>, Failure> {
        let written = row.row.modified_at;
        let mut due: Vec<_> = Vec::new();
        for rule in self.rules.iter().filter(|r| !row.marker && r.matches(row.key.as_str(), row.row.size)) {
            let all = rule.moves_due(written, replaced);
            due.extend(all.into_iter().filter(|(since, _)| *since <= self.at).map(|(s, t)| (t, s, rule)));
        }
        if due.is_empty() {
            return Ok(None);
        }
        let meta = open_meta(&self.key, &self.bucket, &row.row.version, &row.row.sealed_meta)?;
        due.retain(|(tier, _, rule)| {
            *tier > meta.tier() && rule.tags.iter().all(|(key, value)| meta.tags.get(key) == Some(value))
        });
        Ok(due.into_iter().max_by_key(|(tier, ..)| *tier).map(|(tier, since, rule)| Due {
            key: row.key.clone(),
            ends: Ends::Moves(tier),
            id: row.row.version.to_string(),
            size: row.row.size,
            written_at: written,
            rule: rule.id.clone(),
            since,
        }))
    }

    fn due(
        &self,
        row: &rows::VersionRow,
        ends: Ends,
        since: impl Fn(&Rule) -> Option<Timestamp>,
    ) -> Result<Option<Due>, Failure> {
        let mut tags = None;
        for rule in self.rules.iter().filter(|r| r.matches(row.key.as_str(), row.row.size)) {
            let Some(since) = since(rule).filter(|since| *since <= self.at) else { continue };
            if !rule.tags.is_empty() {
                if row.marker {
                    continue;
                }
                let has = match &tags {
                    Some(has) => has,
                    None => tags.insert(
                        open_meta(&self.key, &self.bucket, &row.row.version, &row.row.sealed_meta)?.tags,
                    ),
                };
                if !rule.tags.iter().all(|(key, value)| has.get(key) == Some(value)) {
                    continue;
                }
            }
            // What is retained is not due. A current version that gets a delete marker loses nothing.
            let destroys =
                ends == Ends::Former || ends == Ends::Expires && self.versioning != Versioning::Enabled;
            let (version, written) = (&row.row.version, row.row.modified_at);
            if destroys && self.guard.holds(version, written, &row.row.sealed_meta)?.is_some() {
                return Ok(None);
            }
            return Ok(Some(Due {
                key: row.key.clone(),
                ends,
                id: row.row.version.to_string(),
                size: row.row.size,
                written_at: row.row.modified_at,
                rule: rule.id.clone(),
                since,
            }));
        }
        Ok(None)
    }
}

/// The worker, until `stop`.
pub(crate) async fn live(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut looked_at = LookedAt::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        if let Err(e) = house.apply_new_lifecycles(&mut looked_at).await {
            tracing::warn!("lifecycle rules could not be looked at: {e}");
        }
    }
}

/// Of each bucket the rules by which it was looked through, and the day. What is due changes at midnights and with the rules
/// only, so that a large bucket is not walked again and again.
type LookedAt = BTreeMap<(TenantId, BucketName), (String, i64)>;

impl House {
    /// One round over all buckets with rules. An act is recorded where something is due only.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn apply_lifecycles(self: &Arc<Self>) -> Result<u64, Failure> {
        self.apply_new_lifecycles(&mut LookedAt::new()).await
    }

    /// The same for buckets that were not looked through today by the rules that they have now.
    async fn apply_new_lifecycles(self: &Arc<Self>, looked_at: &mut LookedAt) -> Result<u64, Failure> {
        let buckets = self.db.read(|tx| rows::with_lifecycle(tx).map_err(Failure::from)).await?;
        let mut ended = 0;
        for (tenant, bucket, rules) in buckets {
            let state = (rules, self.now().ms().div_euclid(DAY_MS));
            let place = (tenant.clone(), bucket.clone());
            if looked_at.get(&place) == Some(&state)
                || self.is_still(Worker::Lifecycle, &tenant, &bucket).await?.is_some()
            {
                continue;
            }
            match self.apply_lifecycle(&tenant, &bucket).await {
                Ok(n) => {
                    ended += n;
                    looked_at.insert(place, state);
                }
                // One bucket's trouble is not another's.
                Err(e) => {
                    tracing::warn!(tenant.id = %tenant, "a bucket's lifecycle could not be applied: {e}")
                }
            }
        }
        Ok(ended)
    }

    /// Why a worker leaves a bucket alone for now.
    pub(super) async fn is_still(
        &self,
        worker: Worker,
        tenant: &TenantId,
        bucket: &BucketName,
    ) -> Result<Option<String>, Failure> {
        let (tenant, bucket, now) = (tenant.clone(), bucket.clone(), self.now());
        self.db.read(move |tx| handling::still(&mut tx.tenant(&tenant), worker, &bucket, now)).await
    }

    async fn apply_lifecycle(
        self: &Arc<Self>,
        tenant: &TenantId,
        bucket: &BucketName,
    ) -> Result<u64, Failure> {
        let mut ended = 0;
        loop {
            let mut search = self.search(tenant, bucket, self.now()).await?;
            let mut any = false;
            while let Some(found) = self.look(&mut search).await? {
                if !found.is_empty() {
                    any = true;
                    break;
                }
            }
            if !any {
                return Ok(ended);
            }
            let act = ApplyLifecycle { tenant: tenant.clone(), bucket: bucket.clone() };
            let done = self.perform(self.system_caller("lifecycle"), act).await?;
            let now: u64 = done.counts.values().sum();
            ended += now;
            // Until nothing goes: what was behind a delete marker is gone now, so that the marker is due today, too.
            if now == 0 {
                return Ok(ended);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_at_the_next_midnight() {
        let at = |t: &str| Timestamp::parse_iso(t).unwrap();
        assert_eq!(midnight_after(at("2026-11-25T08:00:00Z"), 1), at("2026-11-27T00:00:00Z"));
        assert_eq!(midnight_after(at("2026-11-25T00:00:00Z"), 1), at("2026-11-26T00:00:00Z"));
    }

    #[test]
    fn the_earliest_reason_counts() {
        let written = Timestamp::parse_iso("2026-11-25T00:00:00Z").unwrap();
        let day = |n: i64| written.plus_ms(n * DAY_MS);
        let rule = Rule { days: Some(9), date_ms: Some(day(5).ms()), ..Rule::default() };
        assert_eq!(rule.current_due(written), Some(day(5)));
        let before = |n| Rule { created_before_ms: Some(day(n).ms()), ..Rule::default() };
        assert_eq!((before(1).current_due(written), before(0).current_due(written)), (Some(day(1)), None));
    }
}
