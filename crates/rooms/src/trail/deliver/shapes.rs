//! Events in the shapes that other people's tools read: CloudEvents 1.0 and OCSF 1.5 (API Activity). Pure.

use bailee_types::TenantId;
use serde_json::{Map, Value, json};

use super::SinkFormat;
use crate::trail::{Act, ActEnd, Family};

/// `specversion` of CloudEvents.
pub const CLOUDEVENTS_VERSION: &str = "1.0";
/// `metadata.version` of OCSF.
pub const OCSF_VERSION: &str = "1.5.0";

/// An act in the shape of a sink.
pub(super) fn event(format: SinkFormat, origin: &str, tenant: &TenantId, act: &Act) -> Value {
    match format {
        SinkFormat::CloudEvents => cloud_event(origin, tenant, act),
        SinkFormat::Ocsf => ocsf(origin, tenant, act),
        SinkFormat::Bailee => data(act),
    }
}

/// The id by which a receiver knows an event that comes again.
fn id(origin: &str, act: &Act) -> String {
    if act.event_id.is_empty() { format!("{origin}/{}", act.record) } else { act.event_id.clone() }
}

/// The event as ActionTrail or Inner-ActionTrail has it.
fn data(act: &Act) -> Value {
    let event = match act.family {
        Family::Own => act.management_event(),
        Family::Platform => act.platform_event(),
    };
    let mut event = event.unwrap_or_default();
    event.insert("recordIndex".into(), act.record.into());
    Value::Object(event)
}

/// An act as a CloudEvent (CloudEvents 1.0, JSON format): source is the log, `recordindex` its place there.
pub fn cloud_event(origin: &str, tenant: &TenantId, act: &Act) -> Value {
    let (kind, data) = (
        match act.family {
            Family::Own => "cloud.bailee.trail.management",
            Family::Platform => "cloud.bailee.trail.platform",
        },
        data(act),
    );
    let mut event = json!({
        "specversion": CLOUDEVENTS_VERSION,
        "id": id(origin, act),
        "source": format!("https://{origin}"),
        "type": kind,
        "time": act.at.iso_ms(),
        "datacontenttype": "application/json",
        "tenant": tenant.as_str(),
        "recordindex": act.record.to_string(),
        "data": data,
    });
    if let (Value::Object(event), false) = (&mut event, act.resource.is_empty()) {
        // An attribute that has no value is absent, not empty.
        event.insert("subject".into(), act.resource.clone().into());
    }
    event
}

/// An act as OCSF: API Activity (6003), or Authentication (3002) for a sign-in at the console.
pub fn ocsf(origin: &str, tenant: &TenantId, act: &Act) -> Value {
    let signs_in =
        act.family == Family::Own && matches!(act.wire_name.as_str(), "ConsoleSignin" | "ConsoleSignout");
    let (class, class_name, category, category_name) = if signs_in {
        (3002, "Authentication", 3, "Identity & Access Management")
    } else {
        (6003, "API Activity", 6, "Application Activity")
    };
    let activity = match (signs_in, act.wire_name.as_str(), act.write) {
        (true, "ConsoleSignin", _) => 1,
        (true, _, _) => 2,
        (false, _, true) if starts(act, &["Create", "Put", "Add", "Upload"]) => 1,
        (false, _, true) if starts(act, &["Delete", "Remove", "Erase"]) => 4,
        (false, _, true) => 3,
        (false, _, false) => 2,
    };
    let (status, status_id) = match &act.end {
        ActEnd::Refused => ("Failure", 2),
        ActEnd::Ended { result, .. } if result == "done" => ("Success", 1),
        ActEnd::Ended { result, .. } if result == "unknown" => ("Unknown", 0),
        ActEnd::Ended { .. } => ("Failure", 2),
        ActEnd::Open => ("Unknown", 0),
    };
    let warns = act.level == "WARNING";
    let user_type = if act.family == Family::Platform { ("Admin", 2) } else { ("User", 1) };
    let mut event = json!({
        "class_uid": class,
        "class_name": class_name,
        "category_uid": category,
        "category_name": category_name,
        "activity_id": activity,
        "type_uid": class * 100 + activity,
        "time": act.at.ms(),
        "severity_id": if warns { 3 } else { 1 },
        "severity": if warns { "Medium" } else { "Informational" },
        "status": status,
        "status_id": status_id,
        "metadata": {
            "version": OCSF_VERSION,
            "uid": id(origin, act),
            "log_name": origin,
            "sequence": act.record,
            "tenant_uid": tenant.as_str(),
            "product": { "name": "Bailee", "vendor_name": "Bailee" },
            "event_code": act.event_type,
        },
        "actor": { "user": {
            "name": act.who, "type": user_type.0, "type_id": user_type.1,
            "account": { "uid": tenant.as_str() },
        } },
        "api": {
            "operation": act.event_name,
            "service": { "name": if act.service.is_empty() { &act.product } else { &act.service } },
            "response": { "error": act.error_code, "error_message": act.error_message },
        },
        "unmapped": { "ticket": act.ticket, "grant": act.grant, "reason": act.reason },
        "raw_data": data(act).to_string(),
    });
    if let Value::Object(event) = &mut event {
        if !act.place.is_empty() {
            event.insert("src_endpoint".into(), endpoint(act));
        }
        if signs_in {
            event.insert("user".into(), json!({ "name": act.who, "type_id": 1 }));
            event.remove("api");
        } else if !act.resource.is_empty() {
            let resource =
                json!([{ "uid": act.resource, "name": act.resource_name, "type": act.resource_type }]);
            event.insert("resources".into(), resource);
        }
    }
    event
}

/// Own acts come from an address, the platform's from a place.
fn endpoint(act: &Act) -> Value {
    let mut out = Map::new();
    match act.family {
        Family::Own => out.insert("ip".into(), act.place.clone().into()),
        Family::Platform => out.insert("location".into(), json!({ "country": act.place })),
    };
    Value::Object(out)
}

fn starts(act: &Act, words: &[&str]) -> bool {
    words.iter().any(|w| act.event_name.starts_with(w))
}
