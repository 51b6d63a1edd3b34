//! Actiontrail 2020-07-06: events and trails; and, for generic clients, the platform's events (Inner-ActionTrail).

use bailee_rooms::gate::Operation;
use bailee_rooms::trail::{
    Act, ActFilter, CountByDay, Counted, CreateTrail, DeleteTrail, DescribeRegions, DescribeTrails, Family,
    GetTrailStatus, KeyUses, LookupEvents, Order, StartLogging, StopLogging, Trail, TrailAct, TrailChange,
    TrailFamily, TrailSettings, UpdateTrail,
};
use bailee_rooms::{Failure, Thing};
use bailee_types::{AccessKeyId, RegionId, Timestamp};
use bailee_wire::rpc::RpcError;
use serde_json::{Map, Value, json};

use super::{Cx, failure};

/// Answers a signed operation; none when it is not built.
pub(super) async fn answer(cx: &Cx<'_>) -> Result<Option<Value>, RpcError> {
    let at = Actiontrail { cx, region: cx.house.provider().region.clone() };
    let name = cx.request.operation().name;
    if let Some(answer) = at.trails(name).await? {
        return Ok(Some(answer));
    }
    at.events(name).await
}

struct Actiontrail<'a> {
    cx: &'a Cx<'a>,
    region: RegionId,
}

impl Actiontrail<'_> {
    async fn perform<O: Operation>(&self, op: O) -> Result<O::Output, RpcError> {
        let done = self.cx.house.perform(self.cx.caller.clone(), op).await;
        done.map_err(|e| self.failed(e))
    }

    async fn act<A: TrailAct>(&self, act: A) -> Result<A::Output, RpcError> {
        self.perform(act.of(&self.cx.tenant, &self.region)).await
    }

    /// The codes of this product (contract §4); what has none is as for every other.
    fn failed(&self, e: Failure) -> RpcError {
        let text = failure::sentence(&e.to_string());
        match &e {
            Failure::NotFound { thing: Thing::Trail, .. } => {
                RpcError::new(404, "TrailNotFoundException", text)
            }
            Failure::NotFound { thing: Thing::Bucket, .. } => {
                RpcError::new(400, "BucketDoesNotExistException", text)
            }
            Failure::Exists { thing: Thing::Trail, .. } => {
                RpcError::new(400, "TrailAlreadyExistsException", text)
            }
            Failure::Limit { thing: Thing::Trail, .. } => {
                RpcError::new(400, "MaximumNumberOfTrailsExceededException", text)
            }
            Failure::Invalid { field, .. } => {
                let code = match *field {
                    "Name" => "InvalidTrailNameException",
                    "OssBucketName" => "InvalidBucketNameException",
                    "OssKeyPrefix" => "InvalidPrefixException",
                    _ => "InvalidQueryParameter",
                };
                RpcError::new(400, code, text)
            }
            _ => failure::of(e, self.cx.house, &self.cx.caller),
        }
    }

    async fn trails(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        let family = if name.contains("Inner") { TrailFamily::Inner } else { TrailFamily::Management };
        let trail_name = || request.required("Name").map(str::to_owned);
        Ok(Some(match name {
            "CreateTrail" | "CreateInnerTrail" => {
                self.refuse_unknown_destinations()?;
                let name = trail_name()?;
                let (rw, region) = (self.or("EventRW", "Write"), self.trail_region()?);
                let to = (
                    &*self.or("OssBucketName", ""),
                    &*request.text("OssKeyPrefix"),
                    &*request.text("OssWriteRoleArn"),
                );
                if to.0.is_empty() {
                    return Err(RpcError::missing("OssBucketName"));
                }
                let settings =
                    TrailSettings::new(&self.cx.tenant, &rw, region.as_deref().unwrap_or("All"), to)
                        .map_err(|e| self.failed(e))?;
                let made = self.act(CreateTrail { family, name, settings }).await?;
                Value::Object(self.settings_of(&made))
            }
            "UpdateTrail" => {
                self.refuse_unknown_destinations()?;
                let change = TrailChange {
                    event_rw: request.filled("EventRW"),
                    trail_region: self.trail_region()?,
                    bucket: request.filled("OssBucketName"),
                    prefix: request.given("OssKeyPrefix"),
                    role_arn: request.given("OssWriteRoleArn"),
                };
                let changed = self.act(UpdateTrail { name: trail_name()?, change }).await?;
                Value::Object(self.settings_of(&changed))
            }
            "DeleteTrail" | "DeleteInnerTrail" => {
                self.act(DeleteTrail { family, name: trail_name()? }).await?;
                json!({})
            }
            "DescribeTrails" | "DescribeInnerTrails" => {
                let names = request.text("NameList");
                let names: Vec<String> =
                    names.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
                let all = self.act(DescribeTrails { family, names }).await?;
                json!({ "TrailList": all.iter().map(|t| self.trail(t)).collect::<Vec<_>>() })
            }
            "StartLogging" => {
                self.act(StartLogging { name: trail_name()? }).await?;
                json!({})
            }
            "StopLogging" => {
                self.act(StopLogging { name: trail_name()? }).await?;
                json!({})
            }
            "GetTrailStatus" => self.status(trail_name()?).await?,
            "DescribeRegions" => {
                self.act(DescribeRegions).await?;
                let region = self.region.as_str();
                let endpoint = &self.cx.house.provider().host;
                json!({ "Regions": { "Region": [
                    { "RegionId": region, "LocalName": region, "RegionEndpoint": endpoint },
                ] } })
            }
            _ => return Ok(None),
        }))
    }

    fn or(&self, name: &str, default: &str) -> String {
        self.cx.request.filled(name).unwrap_or_else(|| default.to_owned())
    }

    fn trail_region(&self) -> Result<Option<String>, RpcError> {
        let given = self.cx.request.filled("TrailRegion");
        match &given {
            Some(r) if r != "All" && r != self.region.as_str() => Err(RpcError::new(
                400,
                "InvalidQueryParameter",
                format!("The parameter TrailRegion must be All or {}.", self.region),
            )),
            _ => Ok(given),
        }
    }

    /// There is no log service and no MaxCompute here: a trail that names one would look delivered and is not.
    fn refuse_unknown_destinations(&self) -> Result<(), RpcError> {
        let request = self.cx.request;
        for name in ["SlsProjectArn", "SlsWriteRoleArn", "MaxComputeProjectArn", "MaxComputeWriteRoleArn"] {
            if request.filled(name).is_some() {
                return Err(RpcError::invalid(
                    name,
                    format!("The parameter {name} is not supported: this provider delivers to buckets."),
                ));
            }
        }
        if request.flag("IsOrganizationTrail")?.unwrap_or(false) {
            return Err(RpcError::invalid(
                "IsOrganizationTrail",
                "There are no organizations at this provider.",
            ));
        }
        Ok(())
    }

    fn settings_of(&self, trail: &Trail) -> Map<String, Value> {
        let s = &trail.settings;
        super::show::map(json!({
            "Name": trail.name,
            "EventRW": s.event_rw,
            "HomeRegion": self.region.as_str(),
            "TrailRegion": s.trail_region,
            "OssBucketName": s.bucket.as_str(),
            "OssKeyPrefix": s.prefix,
            "OssWriteRoleArn": s.role_arn,
            "SlsProjectArn": "",
            "SlsWriteRoleArn": "",
        }))
    }

    fn trail(&self, trail: &Trail) -> Value {
        let time = |at: Option<Timestamp>| at.map(Timestamp::iso).unwrap_or_default();
        let mut out = self.settings_of(trail);
        out.extend(super::show::map(json!({
            "TrailArn": trail.arn(&self.cx.tenant, &self.region).to_string(),
            "Region": self.region.as_str(),
            "OssBucketLocation": format!("oss-{}", self.region),
            "Status": trail.status.word(),
            "IsOrganizationTrail": false,
            "CreateTime": trail.created_at.iso(),
            "UpdateTime": trail.updated_at.iso(),
            "StartLoggingTime": time(trail.started_at),
            "StopLoggingTime": time(trail.stopped_at),
        })));
        Value::Object(out)
    }

    /// The members beyond ActionTrail's say how far delivery is behind; without them silence would look like health.
    async fn status(&self, name: String) -> Result<Value, RpcError> {
        let status = self.act(GetTrailStatus { name }).await?;
        let trail = &status.trail;
        let time = |at: Option<Timestamp>| at.map(Timestamp::iso).unwrap_or_default();
        let error = trail.failed.as_ref().map(|(_, why)| why.clone()).unwrap_or_default();
        Ok(json!({
            "IsLogging": status.records_waiting.is_some(),
            "StartLoggingTime": time(trail.started_at),
            "StopLoggingTime": time(trail.stopped_at),
            "LatestDeliveryTime": time(trail.delivered_at),
            "LatestDeliveryError": error,
            "LatestDeliveryLogServiceTime": "",
            "LatestDeliveryLogServiceError": "",
            "OssBucketStatus": status.bucket_exists,
            "SlsLogStoreStatus": false,
            "RecordsWaiting": status.records_waiting,
            "NextRecord": trail.next_record,
        }))
    }

    async fn events(&self, name: &str) -> Result<Option<Value>, RpcError> {
        Ok(Some(match name {
            "LookupEvents" => self.lookup(Family::Own, self.management_filter()?).await?,
            "LookupInnerEvents" => self.lookup(Family::Platform, self.inner_filter()?).await?,
            "DescribeUserLogCount" => self.count(Counted::Events).await?,
            "DescribeUserAlertCount" => self.count(Counted::Alerts).await?,
            "GetAccessKeyLastUsedInfo" => self.last_used().await?,
            "GetAccessKeyLastUsedProducts" => {
                let uses = self
                    .uses("actiontrail:GetAccessKeyLastUsedProducts", false, |a| a.service.clone())
                    .await?;
                json!({ "Products": uses.iter().map(product).collect::<Vec<_>>() })
            }
            "GetAccessKeyLastUsedEvents" => {
                let uses = self
                    .uses("actiontrail:GetAccessKeyLastUsedEvents", true, |a| a.wire_name.clone())
                    .await?;
                self.used("Events", &uses, |a| json!({ "EventName": a.wire_name }))
            }
            "GetAccessKeyLastUsedIps" => {
                let uses =
                    self.uses("actiontrail:GetAccessKeyLastUsedIps", true, |a| a.place.clone()).await?;
                self.used("Ips", &uses, |a| json!({ "Ip": a.place }))
            }
            "GetAccessKeyLastUsedResources" => {
                let uses = self
                    .uses("actiontrail:GetAccessKeyLastUsedResources", true, |a| a.resource.clone())
                    .await?;
                self.used(
                    "Resources",
                    &uses,
                    |a| json!({ "ResourceName": a.resource_name, "ResourceType": a.resource_type }),
                )
            }
            _ => return Ok(None),
        }))
    }

    /// The one attribute that a lookup may name (contract §6).
    fn management_filter(&self) -> Result<ActFilter, RpcError> {
        let request = self.cx.request;
        let mut filter = ActFilter::default();
        if request.argument("LookupAttribute.2.Key").is_some() {
            return Err(query("LookupAttribute", "may name one attribute"));
        }
        let Some(key) = request.filled("LookupAttribute.1.Key") else { return Ok(filter) };
        let value = request.required("LookupAttribute.1.Value")?.to_owned();
        let place = match key.as_str() {
            "ServiceName" => &mut filter.service,
            "EventName" => &mut filter.event_name,
            "User" => &mut filter.user,
            "EventId" => &mut filter.event_id,
            "ResourceType" => &mut filter.resource_type,
            "ResourceName" => &mut filter.resource_name,
            "EventAccessKeyId" => &mut filter.access_key,
            "EventRW" => {
                filter.write = match value.as_str() {
                    "Write" => Some(true),
                    "Read" => Some(false),
                    "All" => None,
                    _ => return Err(query("LookupAttribute.1.Value", "must be Write, Read or All")),
                };
                return Ok(filter);
            }
            _ => return Err(query("LookupAttribute.1.Key", "names no attribute that can be looked for")),
        };
        *place = Some(value);
        Ok(filter)
    }

    fn inner_filter(&self) -> Result<ActFilter, RpcError> {
        let r = self.cx.request;
        let kind = r.filled("EventType");
        let kinds = ["CUSTOMER_INITIATED_SUPPORT", "ALIYUN_INITIATED_SERVICE", "ALIYUN_INITIATED_PENALTY"];
        if kind.as_ref().is_some_and(|k| !kinds.contains(&k.as_str())) {
            return Err(query("EventType", &format!("must be one of {}", kinds.join(", "))));
        }
        let level = r.filled("EventLevel");
        if level.as_ref().is_some_and(|l| l != "NOTICE" && l != "WARNING") {
            return Err(query("EventLevel", "must be NOTICE or WARNING"));
        }
        Ok(ActFilter {
            event_type: kind,
            level,
            product: r.filled("EventProduct"),
            event_name: r.filled("EventName"),
            event_id: r.filled("EventId"),
            resource_name: r.filled("ResourceID"),
            resource_type: r.filled("ResourceType"),
            operator: r.filled("EmployeeID"),
            ticket: r.filled("Ticket"),
            grant: r.filled("Grant"),
            result: r.filled("Result"),
            text: r.filled("Text"),
            ..ActFilter::default()
        })
    }

    async fn lookup(&self, family: Family, mut filter: ActFilter) -> Result<Value, RpcError> {
        let request = self.cx.request;
        let time = |name: &str| {
            let read = |text: String| {
                Timestamp::parse_iso(&text).map_err(|_| query(name, "must look like 2026-11-25T08:00:00Z"))
            };
            request.filled(name).map(read).transpose()
        };
        (filter.from, filter.until) = (time("StartTime")?, time("EndTime")?);
        let order = match request.text("Direction").as_str() {
            "" | "BACKWARD" => Order::Newest,
            "FORWARD" => Order::Oldest,
            _ => return Err(query("Direction", "must be FORWARD or BACKWARD")),
        };
        let max = request.text("MaxResults");
        // `0` and nothing mean the default: the SDKs send either.
        let events_max = match max.as_str() {
            "" | "0" => 20,
            n => n
                .parse()
                .ok()
                .filter(|n| (1..=50).contains(n))
                .ok_or_else(|| query("MaxResults", "must be a number from 0 to 50"))?,
        };
        let op = LookupEvents {
            tenant: self.cx.tenant.clone(),
            region: self.region.clone(),
            family,
            filter,
            order,
            token: request.filled("NextToken"),
            events_max,
        };
        let page = self.perform(op).await?;
        Ok(json!({
            "StartTime": page.from.iso(),
            "EndTime": page.until.iso(),
            "Events": page.events,
            "NextToken": page.token.unwrap_or_default(),
        }))
    }

    async fn count(&self, counted: Counted) -> Result<Value, RpcError> {
        let today = self.cx.house.now().iso().get(..10).unwrap_or_default().to_owned();
        let day = |name: &str, text: String| {
            Timestamp::parse_iso(&format!("{text}T00:00:00Z"))
                .or_else(|_| Timestamp::parse_iso(&text))
                .map_err(|_| query(name, "must look like 2026-11-25"))
        };
        let until = day("EndDate", self.cx.request.filled("EndDate").unwrap_or(today))?;
        let from = match self.cx.request.filled("StartDate") {
            Some(text) => day("StartDate", text)?,
            None => until.plus_ms(-6 * 86_400_000),
        };
        let op =
            CountByDay { tenant: self.cx.tenant.clone(), region: self.region.clone(), counted, from, until };
        let (dates, counts): (Vec<_>, Vec<_>) = self.perform(op).await?.into_iter().unzip();
        Ok(json!({ "Data": { "Dates": dates, "Counts": counts } }))
    }

    async fn uses(
        &self,
        action: &'static str,
        of_service: bool,
        kind: fn(&Act) -> String,
    ) -> Result<Vec<Act>, RpcError> {
        let request = self.cx.request;
        let missing =
            |_| RpcError::new(404, "EntityNotExist.User.AccessKey", "The AccessKey does not exist.");
        let key = AccessKeyId::parse(request.required("AccessKey")?).map_err(missing)?;
        let service = if of_service { Some(request.required("ServiceName")?.to_owned()) } else { None };
        let op = KeyUses {
            tenant: self.cx.tenant.clone(),
            region: self.region.clone(),
            action,
            key,
            service,
            kinds_max: if action == "actiontrail:GetAccessKeyLastUsedInfo" { 1 } else { 1_000 },
            kind,
        };
        self.perform(op).await
    }

    /// All of a kind on as many pages as were asked for; the marker is a number.
    fn used(&self, list: &str, uses: &[Act], show: fn(&Act) -> Value) -> Value {
        let request = self.cx.request;
        let size = request.text("PageSize").parse().ok().filter(|n| (1..=100).contains(n)).unwrap_or(20);
        let from: usize = request.text("NextToken").parse().unwrap_or(0);
        let shown: Vec<Value> = uses
            .iter()
            .skip(from)
            .take(size)
            .map(|a| {
                let mut out = super::show::map(show(a));
                out.extend(super::show::map(use_of(a)));
                Value::Object(out)
            })
            .collect();
        let next = from.saturating_add(size);
        json!({ list: shown, "NextToken": if next < uses.len() { next.to_string() } else { String::new() } })
    }

    async fn last_used(&self) -> Result<Value, RpcError> {
        let uses = self.uses("actiontrail:GetAccessKeyLastUsedInfo", false, |_| String::new()).await?;
        let key = self.cx.request.text("AccessKey");
        let account = self.cx.tenant.as_str();
        let Some(last) = uses.first() else {
            return Ok(
                json!({ "AccessKeyId": key, "AccountId": account, "ServiceName": "", "UsedTimestamp": 0 }),
            );
        };
        let event = last.management_event().unwrap_or_default();
        let identity = event.get("userIdentity").cloned().unwrap_or_default();
        let of = |name: &str| identity.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut out = super::show::map(product(last));
        out.extend(super::show::map(json!({
            "AccessKeyId": key, "AccountId": account, "OwnerId": of("principalId"), "AccountType": of("type"),
            "UserName": last.who,
        })));
        Ok(Value::Object(out))
    }
}

fn use_of(act: &Act) -> Value {
    let detail = json!({ "eventId": act.event_id, "record": act.record });
    json!({ "UsedTimestamp": act.at.ms(), "Source": "ManagementEvent", "Detail": detail.to_string() })
}

fn product(act: &Act) -> Value {
    let mut out = super::show::map(use_of(act));
    for name in ["ServiceName", "ServiceNameCn", "ServiceNameEn"] {
        out.insert(name.into(), act.service.clone().into());
    }
    Value::Object(out)
}

fn query(name: &str, why: &str) -> RpcError {
    RpcError::new(400, "InvalidQueryParameter", format!("The parameter {name} {why}."))
}
