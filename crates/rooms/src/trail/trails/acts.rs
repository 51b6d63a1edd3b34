//! The acts on trails.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{RegionId, TenantId, Timestamp};
use serde_json::{Value, json};

use super::{Status, TRAILS_MAX, Trail, TrailFamily, TrailSettings, asked, check_name, rows};
use crate::gate::{Asked, Intent, Operation};
use crate::{Failure, House, Thing, vault};

/// One act on trails. [`TrailAct::of`] makes it an [`Operation`] of a tenant.
pub trait TrailAct: Clone + Send + Sync + 'static {
    /// What it answers.
    type Output: Send + 'static;
    /// Whether it changes anything.
    const WRITE: bool;

    /// The policy action.
    fn action(&self) -> &'static str;

    /// The trail's name, or `*`.
    fn name(&self) -> &str;

    /// Parameters for the event.
    fn detail(&self) -> Value {
        json!({ "name": self.name() })
    }

    /// The act itself, in one transaction.
    ///
    /// # Errors
    /// What is wrong with it; then nothing of it is stored.
    fn run(self, tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<Self::Output, Failure>;

    /// The act as an operation of a tenant, in a region.
    fn of(self, tenant: &TenantId, region: &RegionId) -> TrailOf<Self> {
        TrailOf { tenant: tenant.clone(), region: region.clone(), act: self }
    }
}

/// An act of a tenant on its trails.
#[derive(Clone)]
pub struct TrailOf<A> {
    tenant: TenantId,
    region: RegionId,
    act: A,
}

impl<A: TrailAct> Operation for TrailOf<A> {
    type Output = A::Output;

    fn asks(&self) -> Asked {
        let on = (self.act.name(), A::WRITE);
        asked(&self.tenant, &self.region, self.act.action(), on, self.act.detail())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<A::Output, Failure> {
        let now = house.now();
        let work = move |tx: &mut bailee_store::Tx<'_>| self.act.run(&mut tx.tenant(&self.tenant), now);
        if A::WRITE { house.db.write(work).await } else { house.db.read(work).await }
    }
}

/// Makes a trail; it is `Fresh` until it is started.
#[derive(Clone, Debug)]
pub struct CreateTrail {
    /// Whose events.
    pub family: TrailFamily,
    /// The name.
    pub name: String,
    /// Where to.
    pub settings: TrailSettings,
}

/// Changes a trail's settings; its status stays.
#[derive(Clone, Debug)]
pub struct UpdateTrail {
    /// The name.
    pub name: String,
    /// What is to be instead; what is none stays.
    pub change: TrailChange,
}

/// New settings, as they were written.
#[derive(Clone, Debug, Default)]
pub struct TrailChange {
    /// See [`TrailSettings`].
    pub event_rw: Option<String>,
    /// See [`TrailSettings`].
    pub trail_region: Option<String>,
    /// See [`TrailSettings`].
    pub bucket: Option<String>,
    /// See [`TrailSettings`].
    pub prefix: Option<String>,
    /// See [`TrailSettings`].
    pub role_arn: Option<String>,
}

/// Deletes a trail; what was delivered stays in the bucket.
#[derive(Clone, Debug)]
pub struct DeleteTrail {
    /// Whose events.
    pub family: TrailFamily,
    /// The name.
    pub name: String,
}

/// All trails of a family, or those with these names, by name.
#[derive(Clone, Debug)]
pub struct DescribeTrails {
    /// Whose events.
    pub family: TrailFamily,
    /// Empty means all.
    pub names: Vec<String>,
}

/// Starts delivery from the end of the log on.
#[derive(Clone, Debug)]
pub struct StartLogging {
    /// The name.
    pub name: String,
}

/// Stops delivery.
#[derive(Clone, Debug)]
pub struct StopLogging {
    /// The name.
    pub name: String,
}

/// Which regions there are: the answer is the house's, the act asks whether one may.
#[derive(Clone, Debug)]
pub struct DescribeRegions;

impl TrailAct for DescribeRegions {
    type Output = ();
    const WRITE: bool = false;

    fn action(&self) -> &'static str {
        "actiontrail:DescribeRegions"
    }

    fn name(&self) -> &'static str {
        "*"
    }

    fn run(self, _tx: &mut TenantTx<'_, '_>, _now: Timestamp) -> Result<(), Failure> {
        Ok(())
    }
}

/// How a trail does.
#[derive(Clone, Debug)]
pub struct GetTrailStatus {
    /// The name.
    pub name: String,
}

/// How a trail does, now.
#[derive(Clone, Debug)]
pub struct TrailStatus {
    /// The trail.
    pub trail: Trail,
    /// Whether its bucket is still there and the tenant's.
    pub bucket_exists: bool,
    /// Records of the log that are still to be looked at for delivery; none while it is not started.
    pub records_waiting: Option<u64>,
}

fn found(tx: &mut TenantTx<'_, '_>, family: TrailFamily, name: &str) -> Result<Trail, Failure> {
    rows::one(tx, family, name)?.ok_or_else(|| Failure::not_found(Thing::Trail, name))
}

fn need_bucket(tx: &mut TenantTx<'_, '_>, settings: &TrailSettings) -> Result<(), Failure> {
    if vault::has_bucket(tx, &settings.bucket)? {
        return Ok(());
    }
    // Another tenant's bucket answers like one that is not there.
    Err(Failure::not_found(Thing::Bucket, &settings.bucket))
}

impl TrailAct for CreateTrail {
    type Output = Trail;
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        match self.family {
            TrailFamily::Management => "actiontrail:CreateTrail",
            TrailFamily::Inner => "actiontrail:CreateInnerTrail",
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn detail(&self) -> Value {
        let s = &self.settings;
        json!({ "name": self.name, "ossBucketName": s.bucket.as_str(), "ossKeyPrefix": s.prefix, "eventRW": s.event_rw })
    }

    fn run(self, tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<Trail, Failure> {
        check_name(&self.name)?;
        if rows::one(tx, self.family, &self.name)?.is_some() {
            return Err(Failure::exists(Thing::Trail, &self.name));
        }
        if rows::all(tx, self.family)?.len() as u64 >= TRAILS_MAX {
            return Err(Failure::limit(Thing::Trail, "trails", TRAILS_MAX));
        }
        need_bucket(tx, &self.settings)?;
        // One of the platform's events is on from the first; the other begins when it is started.
        let from = crate::trail::rows::head(tx)?.size;
        rows::insert(tx, self.family, &self.name, &self.settings, from, now)?;
        found(tx, self.family, &self.name)
    }
}

impl TrailAct for UpdateTrail {
    type Output = Trail;
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        "actiontrail:UpdateTrail"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn detail(&self) -> Value {
        let c = &self.change;
        json!({ "name": self.name, "ossBucketName": c.bucket, "ossKeyPrefix": c.prefix, "eventRW": c.event_rw })
    }

    fn run(self, tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<Trail, Failure> {
        let old = found(tx, TrailFamily::Management, &self.name)?.settings;
        let tenant = tx.id().clone();
        let (c, or) = (self.change, |new: Option<String>, old: &str| new.unwrap_or_else(|| old.to_owned()));
        let settings = TrailSettings::new(
            &tenant,
            &or(c.event_rw, &old.event_rw),
            &or(c.trail_region, &old.trail_region),
            (&or(c.bucket, old.bucket.as_str()), &or(c.prefix, &old.prefix), &or(c.role_arn, &old.role_arn)),
        )?;
        need_bucket(tx, &settings)?;
        rows::update(tx, TrailFamily::Management, &self.name, &settings, now)?;
        found(tx, TrailFamily::Management, &self.name)
    }
}

impl TrailAct for DeleteTrail {
    type Output = ();
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        match self.family {
            TrailFamily::Management => "actiontrail:DeleteTrail",
            TrailFamily::Inner => "actiontrail:DeleteInnerTrail",
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn run(self, tx: &mut TenantTx<'_, '_>, _now: Timestamp) -> Result<(), Failure> {
        found(tx, self.family, &self.name)?;
        rows::delete(tx, self.family, &self.name).map_err(Failure::from)
    }
}

impl TrailAct for DescribeTrails {
    type Output = Vec<Trail>;
    const WRITE: bool = false;

    fn action(&self) -> &'static str {
        match self.family {
            TrailFamily::Management => "actiontrail:DescribeTrails",
            TrailFamily::Inner => "actiontrail:DescribeInnerTrails",
        }
    }

    fn name(&self) -> &'static str {
        "*"
    }

    fn detail(&self) -> Value {
        json!({ "names": self.names })
    }

    fn run(self, tx: &mut TenantTx<'_, '_>, _now: Timestamp) -> Result<Vec<Trail>, Failure> {
        let all = rows::all(tx, self.family)?;
        Ok(all.into_iter().filter(|t| self.names.is_empty() || self.names.contains(&t.name)).collect())
    }
}

impl TrailAct for StartLogging {
    type Output = ();
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        "actiontrail:StartLogging"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn run(self, tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<(), Failure> {
        let trail = found(tx, TrailFamily::Management, &self.name)?;
        if trail.status == Status::Enable {
            return Ok(());
        }
        need_bucket(tx, &trail.settings)?;
        let from = crate::trail::rows::head(tx)?.size;
        rows::start(tx, TrailFamily::Management, &self.name, from, now).map_err(Failure::from)
    }
}

impl TrailAct for StopLogging {
    type Output = ();
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        "actiontrail:StopLogging"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn run(self, tx: &mut TenantTx<'_, '_>, now: Timestamp) -> Result<(), Failure> {
        if found(tx, TrailFamily::Management, &self.name)?.status == Status::Enable {
            rows::stop(tx, TrailFamily::Management, &self.name, now)?;
        }
        Ok(())
    }
}

impl TrailAct for GetTrailStatus {
    type Output = TrailStatus;
    const WRITE: bool = false;

    fn action(&self) -> &'static str {
        "actiontrail:GetTrailStatus"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn run(self, tx: &mut TenantTx<'_, '_>, _now: Timestamp) -> Result<TrailStatus, Failure> {
        let trail = found(tx, TrailFamily::Management, &self.name)?;
        let bucket_exists = vault::has_bucket(tx, &trail.settings.bucket)?;
        let size = crate::trail::rows::head(tx)?.size;
        let records_waiting =
            (trail.status == Status::Enable).then(|| size.saturating_sub(trail.next_record));
        Ok(TrailStatus { trail, bucket_exists, records_waiting })
    }
}
