//! The texts of records. The tenant's own acts have ActionTrail's shape, the provider's acts have
//! Inner-ActionTrail's (contract §6); around both stands what the verifier reads: `record`, `index`,
//! `timeMs`, `tenant`.
//!
//! What an outcome adds to a management event (`errorCode`, `responseElements`) and what only repeats it
//! (`requestParameterJson`) is put in when the event is shown or delivered: see `trail::shape`.

use bailee_store::{StoreError, Tx};
use bailee_types::{Arn, RegionId, RequestId};
use serde_json::{Map, Value, json};

use super::rows::Ending;
use super::{Asked, Caller, Class, Principal, RecordedAt, Touches};
use crate::House;
use crate::consent::Coverage;
use crate::trail::{Draft, Kind, LogKeys};

const EVENT_TIME: &str = "eventTime";

/// The record of a tenant's management act, made before the transaction that gives it its place and time.
pub(super) fn draft(
    house: &House,
    log: &LogKeys,
    caller: &Caller,
    asked: &Asked,
) -> Result<Draft, StoreError> {
    let told = management(house, caller, asked);
    Draft::timed(log, Kind::Management, around(caller, asked), ("management", &told), EVENT_TIME)
}

/// The event of an intent, a management act or a refusal.
pub(super) fn of_act(
    house: &House,
    caller: &Caller,
    asked: &Asked,
    (grant, region): (Option<&Coverage>, Option<&RegionId>),
    at: RecordedAt,
) -> Map<String, Value> {
    let mut event = around(caller, asked);
    match caller.principal() {
        Principal::Root { .. }
        | Principal::User { .. }
        | Principal::Session(_)
        | Principal::Federated { .. } => {
            let mut told = management(house, caller, asked);
            told.insert(EVENT_TIME.into(), at.time.iso().into());
            event.insert("management".into(), Value::Object(told));
        }
        // Who is anonymous has no acts that are recorded.
        Principal::Anonymous | Principal::Operator { .. } | Principal::System { .. } => {
            event.insert("platform".into(), platform(house, caller, asked, (grant, region), at));
        }
    }
    if let Some(grant) = grant {
        event.insert("grant".into(), grant.grant.as_str().into());
        event.insert("reason".into(), grant.reason.clone().into());
    }
    event
}

/// Where that lies which the platform acts on, for its events; none where the house's own region is meant.
pub(super) fn lies_in(
    tx: &mut Tx<'_>,
    caller: &Caller,
    asked: &Asked,
) -> Result<Option<RegionId>, StoreError> {
    if caller.is_tenant() || asked.resource.service() != "oss" {
        return Ok(None);
    }
    crate::vault::region_of(&mut tx.tenant(&asked.tenant), &asked.resource)
}

/// What stands around both shapes.
fn around(caller: &Caller, asked: &Asked) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("eventName".into(), asked.event_name().into());
    event.insert("resource".into(), asked.resource.to_string().into());
    event.insert("requestId".into(), caller.origin().request_id.clone().into());
    if let Some(ticket) = &asked.ticket {
        event.insert("ticket".into(), ticket.as_str().into());
    }
    if let Some(change) = caller.change() {
        event.insert("change".into(), change.as_str().into());
    }
    if let Some((glass, _)) = caller.glass() {
        event.insert("glass".into(), glass.as_str().into());
    }
    if let Some(grant) = &asked.continues {
        // A window of a read that was counted with its first one.
        event.insert("continues".into(), grant.as_str().into());
    }
    event
}

/// The event of an outcome: it names its intent.
pub(super) fn of_outcome(end: &Ending) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("intent".into(), end.index.into());
    event.insert("eventName".into(), end.name.clone().into());
    event.insert("result".into(), end.word.into());
    if let Some(code) = end.code {
        event.insert("errorCode".into(), code.into());
    }
    if let Some(text) = &end.text {
        event.insert("errorMessage".into(), text.clone().into());
    }
    if !end.detail.is_empty() {
        event.insert("detail".into(), Value::Object(end.detail.clone()));
    }
    event
}

fn management(house: &House, caller: &Caller, asked: &Asked) -> Map<String, Value> {
    let origin = caller.origin();
    let service = asked.action.split_once(':').map_or("", |(s, _)| s);
    let (name, kind) = match asked.event_name() {
        "SignIn" => ("ConsoleSignin", "ConsoleSignin"),
        "EndSession" => ("ConsoleSignout", "ConsoleSignout"),
        other => (other, origin.channel),
    };
    let mut event = parts(json!({
        "eventId": RequestId::random().as_str(),
        "eventVersion": "1",
        "eventName": name,
        "eventSource": house.provider().host,
        "eventType": kind,
        "eventCategory": "Management",
        "eventRW": if is_write(asked) { "Write" } else { "Read" },
        "serviceName": service_name(service),
        "acsRegion": house.provider().region.as_str(),
        "requestId": origin.request_id,
        "requestParameters": asked.parameters,
        "resourceType": asked.resource_type,
        "resourceName": resource_name(&asked.resource),
        "referencedResources": referenced(asked),
        "sourceIpAddress": origin.source_ip,
        "userAgent": origin.user_agent,
        "vpcId": "",
        "isGlobal": matches!(service, "ram" | "sts"),
        "recipientAccountId": caller.tenant().map(ToString::to_string),
        "eventAttributes": { "SensitiveAction": is_sensitive(name) },
        "additionalEventData": {
            "isMFAChecked": caller.mfa_present().to_string(),
            "loginAccount": caller.alias().map(ToString::to_string),
        },
        "userIdentity": identity(caller, asked),
    }));
    if let Some(version) = api_version(service) {
        event.insert("apiVersion".into(), version.into());
    }
    event
}

fn identity(caller: &Caller, asked: &Asked) -> Value {
    let (kind, principal_id, user_name) = match caller.principal() {
        Principal::User { id, name, .. } => ("ram-user", id.to_string(), name.to_string()),
        Principal::Session(s) => {
            ("assumed-role", format!("{}:{}", s.role_id, s.session), format!("{}:{}", s.role, s.session))
        }
        Principal::Federated { provider, subject, .. } => {
            let kind = if provider.contains(":saml-provider/") { "saml-user" } else { "oidc-user" };
            (kind, provider.clone(), subject.clone())
        }
        _ => ("root-account", asked.tenant.to_string(), "root".to_owned()),
    };
    json!({
        "type": kind,
        "principalId": principal_id,
        "accountId": caller.tenant().map(ToString::to_string),
        "accessKeyId": caller.access_key().map(ToString::to_string),
        "userName": user_name,
        "sessionContext": { "attributes": { "mfaAuthenticated": caller.mfa_present().to_string() } },
    })
}

fn platform(
    house: &House,
    caller: &Caller,
    asked: &Asked,
    (grant, region): (Option<&Coverage>, Option<&RegionId>),
    at: RecordedAt,
) -> Value {
    let (employee, place, method) = match caller.principal() {
        Principal::Operator { id, place, .. } => {
            let method = if is_write(asked) { "Regular Write" } else { "Regular Read" };
            (house.pseudonym(&asked.tenant, id).to_string(), place.clone(), method)
        }
        // Automatic operations have no employee (contract §6).
        _ => {
            let method = if is_write(asked) { "Internal Write" } else { "Internal Read" };
            (String::new(), house.provider().jurisdiction.clone(), method)
        }
    };
    let kind = event_type(caller, asked, grant);
    let incident = incident(asked);
    let why = match (&asked.ticket, legal_reference(asked), caller.change(), caller.principal()) {
        _ if let Some((glass, incident)) = caller.glass() => format!("glass {glass}, incident {incident}"),
        _ if let Some(incident) = incident => format!("incident {incident}"),
        (_, _, Some(change), _) => format!("change {change}"),
        (Some(ticket), ..) => format!("ticket {ticket}"),
        (None, Some(reference), ..) => format!("legal reference {reference}"),
        (None, None, None, Principal::System { worker }) => (*worker).to_owned(),
        (None, None, None, _) => String::new(),
    };
    // What the tenant's own rule ordered is no reason to warn him.
    let opens =
        matches!(asked.touches, Touches::Content | Touches::Attachment) && caller.replicates().is_none();
    let glass = caller.glass().is_some() || incident.is_some();
    let warns = opens || glass || kind == PENALTY || legal_reference(asked).is_some();
    json!({
        "EventID": RequestId::random().as_str(),
        "EventVersion": "1.0.0",
        "EventProduct": product(asked),
        "EventName": asked.event_name(),
        "EventDescription": why,
        "EventType": kind,
        "EmployeeID": employee,
        "EventMethod": method,
        "ResourceType": asked.resource_type,
        "ResourceID": asked.resource.relative(),
        "ResourceRegionID": region.unwrap_or(&house.provider().region).as_str(),
        "ResourceOwnerID": asked.tenant.as_str(),
        "EventAdditionalDetail": Value::Object(asked.parameters.clone()).to_string(),
        "EventTime": at.time.iso(),
        "EventLevel": if warns { "WARNING" } else { "NOTICE" },
        "EventLocation": place,
    })
}

const SUPPORT: &str = "CUSTOMER_INITIATED_SUPPORT";
const SERVICE: &str = "ALIYUN_INITIATED_SERVICE";
const PENALTY: &str = "ALIYUN_INITIATED_PENALTY";

/// Which of the three kinds an act of the platform is. A grant makes it support that the customer authorised, so does
/// asking for one on his ticket; a legal reference without a ticket of his makes it legal handling; a change of the provider's own
/// or an incident makes it stability work.
fn event_type(caller: &Caller, asked: &Asked, grant: Option<&Coverage>) -> &'static str {
    if caller.change().is_some() || caller.glass().is_some() || incident(asked).is_some() {
        return SERVICE;
    }
    if legal_reference(asked).is_some() {
        return if asked.ticket.is_some() { SUPPORT } else { PENALTY };
    }
    let support = asked.touches != Touches::Metadata || grant.is_some();
    if caller.is_operator() && support { SUPPORT } else { SERVICE }
}

/// The incident for which a glass is asked for, broken or ended.
fn incident(asked: &Asked) -> Option<&str> {
    matches!(asked.event_name(), "AskGlass" | "BreakGlass" | "EndGlass")
        .then(|| asked.parameters.get("incident")?.as_str())
        .flatten()
}

/// The reference of a compliance act; such an act has it among its parameters.
fn legal_reference(asked: &Asked) -> Option<&str> {
    matches!(
        asked.event_name(),
        "ResolveEmployee"
            | "NoteResolveEmployee"
            | "FileTakedown"
            | "ConfirmTakedown"
            | "DeclineTakedown"
            | "LiftTakedown"
    )
    .then(|| asked.parameters.get("legalReference")?.as_str())
    .flatten()
}

/// The product by the resource. What belongs to none of the five products of the contract has its service's name.
fn product(asked: &Asked) -> String {
    let service = asked.resource_type.split("::").nth(1).unwrap_or_default();
    match service {
        "OSS" | "RDS" | "ACK" | "EMR" => service.to_owned(),
        "ECS" | "VPC" => "ECS".to_owned(),
        other => other.to_ascii_uppercase(),
    }
}

fn is_write(asked: &Asked) -> bool {
    matches!(asked.class, Class::Management { write: true })
}

/// A name as lists show it: of RAM's things without their kind, of objects with their bucket.
fn resource_name(resource: &Arn) -> &str {
    match (resource.service(), resource.relative().split_once('/')) {
        ("oss", _) | (_, None) => resource.relative(),
        (_, Some((_, name))) => name,
    }
}

/// Everything that the act touches, by type.
fn referenced(asked: &Asked) -> Value {
    let mut out: Map<String, Value> = Map::new();
    let also = asked.also.iter().map(|arn| {
        let kind = arn.relative().split('/').next().unwrap_or_default();
        let kind = match kind {
            "mfa" => "MFADevice".to_owned(),
            other => other
                .split('-')
                .map(|w| match w {
                    "oidc" | "saml" => w.to_ascii_uppercase(),
                    _ => w.get(..1).unwrap_or_default().to_ascii_uppercase() + w.get(1..).unwrap_or_default(),
                })
                .collect(),
        };
        (format!("ACS::{}::{kind}", arn.service().to_ascii_uppercase()), arn)
    });
    for (kind, arn) in std::iter::once((asked.resource_type.to_owned(), &asked.resource)).chain(also) {
        if let Value::Array(ids) = out.entry(kind).or_insert_with(|| Value::Array(Vec::new())) {
            ids.push(resource_name(arn).into());
        }
    }
    Value::Object(out)
}

/// Acts after which somebody may do more than before, or less is recorded.
fn is_sensitive(name: &str) -> bool {
    matches!(
        name,
        "CreateAccessKey"
            | "CreateLoginProfile"
            | "UpdateLoginProfile"
            | "AttachPolicyToUser"
            | "AttachPolicyToGroup"
            | "AttachPolicyToRole"
            | "AddUserToGroup"
            | "CreatePolicyVersion"
            | "SetDefaultPolicyVersion"
            | "UpdateRole"
            | "UnbindMFADevice"
            | "DeleteUser"
            | "SetSecurityPreference"
            | "StopLogging"
            | "DeleteTrail"
            | "UpdateTrail"
            | "ApproveConsent"
            | "SetStandingRight"
    )
}

fn api_version(service: &str) -> Option<&'static str> {
    Some(match service {
        "ram" => "2015-05-01",
        "sts" => "2015-04-01",
        "kms" => "2016-01-20",
        "actiontrail" => "2020-07-06",
        "vpc" => "2016-04-28",
        "ecs" => "2014-05-26",
        "yundun-cloudfirewall" => "2017-12-07",
        _ => return None,
    })
}

fn service_name(code: &str) -> &str {
    match code {
        "oss" => "Oss",
        "ram" => "Ram",
        "sts" => "Sts",
        "kms" => "Kms",
        "actiontrail" => "Actiontrail",
        "vpc" => "Vpc",
        "ecs" => "Ecs",
        "yundun-cloudfirewall" => "Cloudfw",
        "bailee" => "Bailee",
        other => other,
    }
}

fn parts(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}
