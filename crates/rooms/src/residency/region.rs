//! Regions: places for data, each with a jurisdiction and a blob store of its own.
//!
//! The id of a blob says where it lies: it begins with the tag of its region; all others lie in the house's own. So whoever has an
//! id, the cleaner or a reader, finds the bytes, and nothing else has to remember where they are.
//! INVARIANT: content of a bucket is written to its region's store and nowhere else: what the database keeps of it is metadata.
//! INVARIANT: a store that is not there (a disk that is not mounted) is never taken for an empty one.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailee_store::{BlobError, BlobWriter, Blobs};
use bailee_types::{Arn, BucketName, ObjectVersionId, RegionId, TenantId, Timestamp};
use bytes::Bytes;
use parking_lot::RwLock;
use serde_json::json;
use tokio::sync::watch;

use super::{register, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

/// Regions of one house.
pub const REGIONS_MAX: usize = 64;
/// How often servers look for new regions.
const LOOK: Duration = Duration::from_secs(2);
/// A new region is used when every server knows it.
const SETTLE_MS: i64 = 6_000;
const MARK: &str = "region";

/// A place for data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its id.
    pub id: RegionId,
    /// Its jurisdiction, ISO 3166-1 alpha-2.
    pub jurisdiction: String,
    /// Where its blobs lie; none for the house's own.
    pub folder: Option<PathBuf>,
    /// When it was added; none for the house's own.
    pub added_at: Option<Timestamp>,
    tag: String,
}

/// Where the blobs lie.
pub(crate) struct Depots {
    data: PathBuf,
    home: Blobs,
    others: RwLock<Arc<Vec<Depot>>>,
}

/// A region and its store; none when that is not there.
type Depot = (Region, Option<Blobs>);

impl Depots {
    pub(crate) fn new(data: &Path) -> Result<Self, BlobError> {
        let home = Blobs::local(&data.join("blobs"))?;
        Ok(Self { data: data.to_owned(), home, others: RwLock::default() })
    }

    fn folder(&self, row: &rows::RegionRow) -> PathBuf {
        match row.folder.as_str() {
            "" => self.data.join("regions").join(row.id.as_str()),
            path => PathBuf::from(path),
        }
    }

    /// Opens what is there; what was open stays.
    fn learn(&self, found: Vec<rows::RegionRow>) {
        let before = Arc::clone(&self.others.read());
        let mut all = Vec::with_capacity(found.len());
        for row in found {
            let folder = self.folder(&row);
            let known = before.iter().find(|(r, _)| r.id == row.id);
            let open = known.and_then(|(_, blobs)| blobs.clone());
            // Said once, when it is found to be gone.
            let news = known.is_none_or(|(_, blobs)| blobs.is_some());
            let region = Region {
                id: row.id,
                jurisdiction: row.jurisdiction,
                folder: Some(folder.clone()),
                added_at: Some(row.added_at),
                tag: row.tag,
            };
            let open = match (open, marked(&folder, &region)) {
                (open @ Some(_), true) => open,
                (None, true) => match Blobs::local(&folder.join("blobs")) {
                    Ok(blobs) => Some(blobs),
                    Err(e) => {
                        if news {
                            tracing::error!("the store of region `{}` cannot be used: {e}", region.id);
                        }
                        None
                    }
                },
                (_, false) => {
                    if news {
                        tracing::error!("the store of region `{}` is not at {}", region.id, folder.display());
                    }
                    None
                }
            };
            all.push((region, open));
        }
        *self.others.write() = Arc::new(all);
    }

    fn of(&self, id: &ObjectVersionId) -> Result<Blobs, BlobError> {
        let tag = id.as_str().get(..8).unwrap_or_default();
        match self.others.read().iter().find(|(region, _)| region.tag == tag) {
            None => Ok(self.home.clone()),
            Some((_, Some(blobs))) => Ok(blobs.clone()),
            Some((region, None)) => {
                Err(BlobError::Unavailable(format!("the store of region `{}` is not there", region.id)))
            }
        }
    }

    pub(crate) async fn create(&self, id: &ObjectVersionId) -> Result<BlobWriter, BlobError> {
        self.of(id)?.create(id).await
    }

    pub(crate) async fn read(&self, id: &ObjectVersionId, range: Range<u64>) -> Result<Bytes, BlobError> {
        self.of(id)?.read(id, range).await
    }

    pub(crate) async fn size(&self, id: &ObjectVersionId) -> Result<u64, BlobError> {
        self.of(id)?.size(id).await
    }

    pub(crate) async fn delete(&self, id: &ObjectVersionId) -> Result<(), BlobError> {
        self.of(id)?.delete(id).await
    }

    /// As [`Blobs::each`], over all stores that are there.
    pub(crate) async fn each(&self, mut f: impl FnMut(ObjectVersionId, i64)) -> Result<(), BlobError> {
        self.home.each(&mut f).await?;
        let others = Arc::clone(&self.others.read());
        for (_, blobs) in others.iter() {
            if let Some(blobs) = blobs {
                blobs.each(&mut f).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn remove_unfinished(&self) -> Result<(), BlobError> {
        self.home.remove_unfinished()?;
        for (_, blobs) in self.others.read().iter() {
            if let Some(blobs) = blobs {
                blobs.remove_unfinished()?;
            }
        }
        Ok(())
    }
}

/// Whether a folder is the region's: it holds a file that says so.
fn marked(folder: &Path, region: &Region) -> bool {
    std::fs::read_to_string(folder.join(MARK)).is_ok_and(|t| t == mark(&region.id, &region.tag))
}

fn mark(id: &RegionId, tag: &str) -> String {
    format!("bailee-region-v1\n{id} {tag}\n")
}

impl House {
    pub(crate) async fn look_for_regions(&self) -> Result<(), Failure> {
        let found = self.db.read(|tx| rows::regions(tx).map_err(Failure::from)).await?;
        self.blobs.learn(found);
        Ok(())
    }

    pub(crate) fn look_for_regions_blocking(&self) -> Result<(), Failure> {
        let found = self.db.write_blocking(|tx| rows::regions(tx).map_err(Failure::from))?;
        self.blobs.learn(found);
        Ok(())
    }

    /// The house's own region.
    pub fn home_region(&self) -> Region {
        let provider = self.provider();
        Region {
            id: provider.region.clone(),
            jurisdiction: provider.jurisdiction.clone(),
            folder: None,
            added_at: None,
            tag: String::new(),
        }
    }

    /// All regions, the house's own first.
    pub fn regions(&self) -> Vec<Region> {
        let others = Arc::clone(&self.blobs.others.read());
        std::iter::once(self.home_region()).chain(others.iter().map(|(r, _)| r.clone())).collect()
    }

    /// A region by its id; none when it is not the house's.
    pub fn region(&self, id: &RegionId) -> Option<Region> {
        self.regions().into_iter().find(|r| r.id == *id)
    }

    /// The jurisdiction of what lies in a region. One that is not known is nobody's: nothing leaves it.
    pub(crate) fn jurisdiction_of(&self, id: &RegionId) -> String {
        self.region(id).map_or_else(|| "??".to_owned(), |r| r.jurisdiction)
    }

    /// A new id for bytes that lie in a region.
    pub(crate) fn new_blob_id(&self, region: &RegionId) -> Result<ObjectVersionId, Failure> {
        let gone = || Failure::Damaged(format!("the region `{region}` of a bucket is not known"));
        let others = Arc::clone(&self.blobs.others.read());
        let random = ObjectVersionId::random();
        if *region == self.provider().region {
            let taken = |id: &ObjectVersionId| others.iter().any(|(r, _)| id.as_str().starts_with(&r.tag));
            return Ok(if taken(&random) { ObjectVersionId::random() } else { random });
        }
        let (found, _) = others.iter().find(|(r, _)| r.id == *region).ok_or_else(gone)?;
        let tail = random.as_str().get(8..).unwrap_or_default();
        ObjectVersionId::parse(&format!("{}{tail}", found.tag)).map_err(|e| Failure::Bug(e.to_string()))
    }

    /// In which region the bytes of this id lie.
    pub(crate) fn region_of_blob(&self, id: &ObjectVersionId) -> RegionId {
        let others = self.blobs.others.read();
        let found = others.iter().find(|(r, _)| id.as_str().starts_with(&r.tag));
        found.map_or_else(|| self.provider().region.clone(), |(r, _)| r.id.clone())
    }

    /// Where that of a tenant lies which is in no bucket: the house's own region, or, where the tenant lets nothing lie there, the
    /// first that it lets.
    pub(crate) async fn home_of(&self, tenant: &TenantId) -> Result<RegionId, Failure> {
        let (home, of) = (self.provider().region.clone(), tenant.clone());
        let allowed =
            self.db.read(move |tx| rows::allowed(&mut tx.tenant(&of)).map_err(Failure::from)).await?;
        let first = allowed.first().filter(|_| !allowed.contains(&home)).cloned();
        Ok(first.unwrap_or(home))
    }

    /// The region for a new bucket of a tenant; none that is asked for means the house's own, if the tenant lets it.
    pub(crate) async fn region_for(
        &self,
        tenant: &TenantId,
        asked: Option<&str>,
    ) -> Result<RegionId, Failure> {
        // OSS writes `oss-cn-hangzhou` for the place of a bucket; both name the same region.
        let name = asked.map(|r| r.strip_prefix("oss-").unwrap_or(r));
        let wrong = |why: String| Err(Failure::invalid("LocationConstraint", why));
        let all = self.regions();
        let list = || all.iter().map(|r| format!("`{}`", r.id)).collect::<Vec<_>>().join(", ");
        let region = match name {
            None => self.home_region(),
            Some(name) => match all.iter().find(|r| r.id.as_str() == name) {
                Some(found) => found.clone(),
                None => {
                    return wrong(format!(
                        "names a region that this provider does not have; it has {}",
                        list()
                    ));
                }
            },
        };
        if region.added_at.is_some_and(|at| self.now() < at.plus_ms(SETTLE_MS)) {
            return wrong("names a region that was added a moment ago; try again in a few seconds".into());
        }
        let of = tenant.clone();
        let allowed =
            self.db.read(move |tx| rows::allowed(&mut tx.tenant(&of)).map_err(Failure::from)).await?;
        if !allowed.is_empty() && !allowed.contains(&region.id) {
            let list = allowed.iter().map(|r| format!("`{r}`")).collect::<Vec<_>>().join(", ");
            return wrong(format!(
                "names `{}`, where this account lets no bucket lie; it lets {list}",
                region.id
            ));
        }
        Ok(region.id)
    }
}

/// Looks for new regions until `stop`.
pub(crate) async fn watch_regions(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        if let Err(e) = house.look_for_regions().await {
            tracing::warn!("regions cannot be read: {e}");
        }
    }
}

/// Adds a region. The provider's, at the machine; it stands in the provider's own log.
#[derive(Clone, Debug)]
pub struct AddRegion {
    /// Its id.
    pub id: RegionId,
    /// Its jurisdiction, ISO 3166-1 alpha-2.
    pub jurisdiction: String,
    /// Where its blobs lie (a disk of that place); none: `regions/<id>` in the data folder.
    pub folder: Option<PathBuf>,
}

impl Operation for AddRegion {
    type Output = ();

    fn asks(&self) -> Asked {
        let provider = TenantId::provider();
        Asked {
            action: "bailee:AddRegion",
            resource: Arn::own(&provider, &format!("region/{}", self.id)),
            resource_type: "ACS::Bailee::Region",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "region": self.id.as_str(), "jurisdiction": self.jurisdiction })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
            tenant: provider,
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant().is_some() || intent.caller().is_operator() {
            return Err(Failure::Conflict("regions are the machine's administrator's".into()));
        }
        if self.jurisdiction.len() != 2 || !self.jurisdiction.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(Failure::invalid("jurisdiction", "must be an ISO 3166-1 alpha-2 code such as DE"));
        }
        house.look_for_regions().await?;
        let all = house.regions();
        if all.iter().any(|r| r.id == self.id) {
            return Err(Failure::exists(Thing::Region, &self.id));
        }
        if all.len() >= REGIONS_MAX {
            return Err(Failure::limit(Thing::Region, "regions of a house", REGIONS_MAX as u64));
        }
        if self.folder.as_ref().is_some_and(|f| !f.is_absolute()) {
            return Err(Failure::invalid("folder", "must be an absolute path"));
        }
        let tag = hex::encode(bailee_types::random_bytes::<4>());
        let row = rows::RegionRow {
            id: self.id.clone(),
            jurisdiction: self.jurisdiction,
            tag: tag.clone(),
            folder: self.folder.map(|f| f.display().to_string()).unwrap_or_default(),
            added_at: house.now(),
        };
        let folder = house.blobs.folder(&row);
        let told = |e: std::io::Error| Failure::invalid("folder", format!("{}: {e}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(told)?;
        if folder.join(MARK).exists() {
            return Err(Failure::invalid("folder", format!("{} is another region's", folder.display())));
        }
        let added = house
            .db
            .write(move |tx| {
                // Blobs of before, of the house's own store, that happen to begin so.
                if crate::vault::has_blob_like(tx, &tag)? {
                    return Err(Failure::Unavailable(
                        "the region's tag is taken by chance; try again".into(),
                    ));
                }
                rows::insert_region(tx, &row)?;
                Ok(row)
            })
            .await?;
        // The row first: a folder with a mark and no row would keep the id from being used.
        std::fs::write(folder.join(MARK), mark(&added.id, &added.tag)).map_err(told)?;
        std::fs::File::open(&folder).and_then(|f| f.sync_all()).map_err(told)?;
        house.look_for_regions().await
    }
}

/// Says in which regions a tenant's new buckets may lie.
#[derive(Clone, Debug)]
pub struct AllowRegions {
    /// The tenant.
    pub tenant: TenantId,
    /// These; none: in all.
    pub regions: Vec<RegionId>,
}

/// In which regions a tenant's new buckets may lie; empty: in all.
#[derive(Clone, Debug)]
pub struct GetAllowedRegions {
    /// The tenant.
    pub tenant: TenantId,
}

fn regions_asked(tenant: &TenantId, action: &'static str, write: bool) -> Asked {
    Asked {
        resource: Arn::own(tenant, "regions"),
        resource_type: "ACS::Bailee::Region",
        ..register::asked(tenant, action, "*", write)
    }
}

impl Operation for AllowRegions {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = regions_asked(&self.tenant, "bailee:AllowRegions", true);
        let names: Vec<_> = self.regions.iter().take(REGIONS_MAX).map(RegionId::as_str).collect();
        asked.parameters = parameters(json!({ "regions": names }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        register::only_tenant(intent, &self.tenant)?;
        for region in &self.regions {
            if house.region(region).is_none() {
                return Err(Failure::not_found(Thing::Region, region));
            }
        }
        house
            .db
            .write(move |tx| {
                rows::set_allowed(&mut tx.tenant(&self.tenant), &self.regions).map_err(Failure::from)
            })
            .await
    }
}

impl Operation for GetAllowedRegions {
    type Output = Vec<RegionId>;

    fn asks(&self) -> Asked {
        regions_asked(&self.tenant, "bailee:GetAllowedRegions", false)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<RegionId>, Failure> {
        house.db.read(move |tx| rows::allowed(&mut tx.tenant(&self.tenant)).map_err(Failure::from)).await
    }
}

/// Content on its way from one jurisdiction into another, by a copy.
#[derive(Clone, Debug)]
pub(crate) struct MoveContent {
    /// Whose.
    pub(crate) tenant: TenantId,
    /// `bucket/key` that is left.
    pub(crate) object: String,
    /// From where.
    pub(crate) from: String,
    /// To where.
    pub(crate) to: String,
    /// The bucket that is reached.
    pub(crate) into: BucketName,
    /// Bytes, where they are known.
    pub(crate) bytes: Option<u64>,
}

impl Operation for MoveContent {
    /// The transfer.
    type Output = String;

    fn asks(&self) -> Asked {
        let (bucket, key) = self.object.split_once('/').unwrap_or((&self.object, ""));
        let resource = match (BucketName::parse(bucket), bailee_types::ObjectKey::parse(key)) {
            (Ok(bucket), Ok(key)) => Arn::object(&self.tenant, &bucket, &key),
            _ => Arn::own(&self.tenant, "transfer/*"),
        };
        Asked {
            resource,
            resource_type: "ACS::OSS::Object",
            parameters: parameters(json!({ "from": self.from, "to": self.to, "into": self.into.as_str(),
                                           "bytes": self.bytes })),
            ..register::asked(&self.tenant, "bailee:MoveContent", "*", true)
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<String, Failure> {
        if intent.caller().replicates() != Some(&self.tenant) {
            register::only_tenant(intent, &self.tenant)?;
        }
        let record = intent.record().ok_or_else(|| Failure::Bug("a crossing without a record".into()))?;
        let (now, who) = (house.now(), intent.caller().name().to_owned());
        let (to, from) = (self.to.clone(), self.from.clone());
        let found = house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                // Looked at in the transaction that writes down what moves.
                let found = register::covering(&mut tx, &self.object, (&self.from, &self.to), now)?;
                if let Some(id) = &found {
                    let it =
                        register::Move { record, at: now, resource: self.object, who, bytes: self.bytes };
                    register::note_move(&mut tx, id, &it)?;
                    rows::set_bytes(&mut tx, id, record, self.bytes.unwrap_or(0))?;
                }
                Ok::<_, Failure>(found)
            })
            .await?;
        match found {
            Some(id) => Ok(id),
            None => Err(house.refuse_to_leave(intent, to, from).await),
        }
    }

    fn outcome_detail(id: &String) -> serde_json::Map<String, serde_json::Value> {
        parameters(json!({ "transfer": id }))
    }
}

impl House {
    /// Whether a transfer still covers what moves under it.
    pub(crate) async fn still_moves(&self, tenant: &TenantId, id: &str) -> Result<bool, Failure> {
        let (tenant, id, now) = (tenant.clone(), id.to_owned(), self.now());
        let found =
            self.db.read(move |tx| rows::one(&mut tx.tenant(&tenant), &id).map_err(Failure::from)).await?;
        Ok(found.is_some_and(|t| t.state(now) == register::TransferState::Live))
    }
}
