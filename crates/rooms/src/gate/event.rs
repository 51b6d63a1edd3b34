//! The texts of records. The tenant's own acts have ActionTrail's shape, the provider's acts have
//! Inner-ActionTrail's (contract §6); around both stands what the verifier reads: `record`, `index`,
//! `timeMs`, `tenant`.

use serde_json::{Map, Value, json};

use super::rows::Ending;
use super::{Asked, Caller, Class, Principal, RecordedAt, Touches};
use crate::House;
use crate::consent::Coverage;

/// The event of an intent, a management act or a refusal.
pub(super) fn of_act(
    house: &House,
    caller: &Caller,
    asked: &Asked,
    grant: Option<&Coverage>,
    at: RecordedAt,
) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("eventName".into(), asked.event_name().into());
    event.insert("resource".into(), asked.resource.to_string().into());
    event.insert("requestId".into(), caller.origin().request_id.clone().into());
    match caller.principal() {
        Principal::Root { .. }
        | Principal::User { .. }
        | Principal::Session(_)
        | Principal::Federated { .. } => {
            event.insert("management".into(), management(house, caller, asked, at));
        }
        Principal::Operator { .. } | Principal::System { .. } => {
            event.insert("platform".into(), platform(house, caller, asked, grant, at));
        }
    }
    if let Some(ticket) = &asked.ticket {
        event.insert("ticket".into(), ticket.as_str().into());
    }
    if let Some(grant) = grant {
        event.insert("grant".into(), grant.grant.as_str().into());
        event.insert("reason".into(), grant.reason.clone().into());
    }
    event
}

/// The event of an outcome: it names its intent.
pub(super) fn of_outcome(end: &Ending, _at: RecordedAt) -> Map<String, Value> {
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

fn management(house: &House, caller: &Caller, asked: &Asked, at: RecordedAt) -> Value {
    let origin = caller.origin();
    let write = matches!(asked.class, Class::Management { write: true });
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
    let service = asked.action.split_once(':').map_or("", |(s, _)| s);
    json!({
        "eventId": origin.request_id,
        "eventVersion": "1",
        "eventTime": at.time.iso(),
        "eventName": asked.event_name(),
        "eventSource": house.provider().host,
        "eventType": origin.channel,
        "eventCategory": "Management",
        "eventRW": if write { "Write" } else { "Read" },
        "serviceName": service_name(service),
        "acsRegion": house.provider().region.as_str(),
        "requestId": origin.request_id,
        "requestParameters": asked.parameters,
        "resourceType": asked.resource_type,
        "resourceName": asked.resource.relative(),
        "sourceIpAddress": origin.source_ip,
        "userAgent": origin.user_agent,
        "recipientAccountId": caller.tenant().map(ToString::to_string),
        "userIdentity": {
            "type": kind,
            "principalId": principal_id,
            "accountId": caller.tenant().map(ToString::to_string),
            "accessKeyId": caller.access_key().map(ToString::to_string),
            "userName": user_name,
            "sessionContext": { "attributes": { "mfaAuthenticated": caller.mfa_present().to_string() } },
        },
    })
}

fn platform(
    house: &House,
    caller: &Caller,
    asked: &Asked,
    grant: Option<&Coverage>,
    at: RecordedAt,
) -> Value {
    let (employee, place, method) = match caller.principal() {
        Principal::Operator { id, place, .. } => {
            (house.pseudonym(&asked.tenant, id).to_string(), place.clone(), "Regular Read")
        }
        // Automatic operations have no employee (contract §6).
        _ => (String::new(), house.provider().jurisdiction.clone(), "internal-interface"),
    };
    // A grant makes it support that the customer authorised; so does asking for one on his ticket.
    let support = asked.touches == Touches::Content || asked.touches == Touches::Nothing || grant.is_some();
    let kind = if caller.is_operator() && support {
        "CUSTOMER_INITIATED_SUPPORT"
    } else {
        "ALIYUN_INITIATED_SERVICE"
    };
    let why = match (&asked.ticket, caller.principal()) {
        (Some(ticket), _) => format!("ticket {ticket}"),
        (None, Principal::System { worker }) => (*worker).to_owned(),
        (None, _) => String::new(),
    };
    json!({
        "EventID": caller.origin().request_id,
        "EventVersion": "1.0.0",
        "EventProduct": "OSS",
        "EventName": asked.event_name(),
        "EventDescription": why,
        "EventType": kind,
        "EmployeeID": employee,
        "EventMethod": method,
        "ResourceType": asked.resource_type,
        "ResourceID": asked.resource.relative(),
        "ResourceRegionID": house.provider().region.as_str(),
        "ResourceOwnerID": asked.tenant.as_str(),
        "EventAdditionalDetail": Value::Object(asked.parameters.clone()).to_string(),
        "EventTime": at.time.iso(),
        "EventLevel": if asked.touches == Touches::Content { "WARNING" } else { "NOTICE" },
        "EventLocation": place,
    })
}

fn service_name(code: &str) -> &str {
    match code {
        "oss" => "Oss",
        "ram" => "Ram",
        "sts" => "Sts",
        "bailee" => "Bailee",
        other => other,
    }
}
