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

#[cfg(test)]
mod tests {
    use super::*;
    use bailee_types::Timestamp;
    use proptest::prelude::*;

    fn tenant() -> TenantId {
        TenantId::parse("1000000000000001").unwrap()
    }

    fn act(family: Family, name: &str, write: bool, level: &str, end: ActEnd) -> Act {
        Act {
            family,
            event_name: name.into(),
            wire_name: name.into(),
            write,
            level: level.into(),
            event_id: "id-1".into(),
            resource: "acs:oss:*:1000000000000001:invoices/1.pdf".into(),
            resource_name: "invoices/1.pdf".into(),
            resource_type: "ACS::OSS::Object".into(),
            who: "emp-a".into(),
            place: "CN".into(),
            product: "OSS".into(),
            end,
            ..Act::ping(Timestamp::from_ms(1_700_000_000_123))
        }
    }

    fn done() -> ActEnd {
        ActEnd::Ended { result: "done".into(), record: 2, at: Timestamp::from_ms(1_700_000_000_200) }
    }

    #[test]
    fn a_read_of_the_platform_as_ocsf() {
        let event = ocsf(
            "trust.example/trail/0",
            &tenant(),
            &act(Family::Platform, "GetObject", false, "WARNING", done()),
        );
        for (name, value) in [
            ("class_uid", json!(6003)),
            ("activity_id", json!(2)),
            ("type_uid", json!(600_302)),
            ("severity_id", json!(3)),
            ("status_id", json!(1)),
            ("time", json!(1_700_000_000_123_i64)),
            ("src_endpoint", json!({ "location": { "country": "CN" } })),
        ] {
            assert_eq!(event[name], value, "{name}");
        }
        assert_eq!(event["metadata"]["uid"], "id-1");
        assert_eq!(event["actor"]["user"]["type"], "Admin");
        let mut own = act(Family::Own, "ConsoleSignin", true, "", ActEnd::Refused);
        own.place = "192.0.2.7".into();
        let event = ocsf("o", &tenant(), &own);
        assert_eq!(
            (&event["class_uid"], &event["type_uid"], &event["status_id"]),
            (&json!(3002), &json!(300_201), &json!(2))
        );
        assert_eq!(event["src_endpoint"], json!({ "ip": "192.0.2.7" }));
        assert_eq!(event["user"]["name"], "emp-a");
        for (name, id) in [("CreateUser", 1), ("DeleteUser", 4), ("UpdateUser", 3), ("EraseEvents", 4)] {
            assert_eq!(
                ocsf("o", &tenant(), &act(Family::Own, name, true, "", done()))["activity_id"],
                json!(id),
                "{name}"
            );
        }
    }

    #[test]
    fn a_cloud_event_has_no_empty_attribute() {
        let mut plain = act(Family::Platform, "GetObject", false, "", done());
        plain.resource = String::new();
        plain.event_id = String::new();
        let event = cloud_event("trust.example/trail/0", &tenant(), &plain);
        assert!(event.get("subject").is_none());
        assert_eq!(
            (&event["id"], &event["source"]),
            (&json!("trust.example/trail/0/0"), &json!("https://trust.example/trail/0"))
        );
        assert_eq!(event["time"], "2023-11-14T22:13:20.123Z");
    }

    proptest! {
        #[test]
        fn whatever_an_act_says_each_shape_is_whole(
            own in any::<bool>(), name in "\\PC{0,12}", text in "\\PC{0,20}", write in any::<bool>(), end in 0..4,
        ) {
            let end = match end {
                0 => ActEnd::Open,
                1 => ActEnd::Refused,
                2 => done(),
                _ => ActEnd::Ended { result: text.clone(), record: 9, at: Timestamp::from_ms(0) },
            };
            let mut act = act(if own { Family::Own } else { Family::Platform }, &name, write, &text, end);
            (act.resource, act.who, act.place) = (text.clone(), text.clone(), text);
            let cloud = cloud_event("o", &tenant(), &act);
            for attribute in ["specversion", "id", "source", "type", "time", "data"] {
                prop_assert!(cloud.get(attribute).is_some_and(|v| v != ""), "{attribute}");
            }
            // Names of attributes are lower-case letters and digits (CloudEvents 1.0, §3.1).
            prop_assert!(cloud.as_object().unwrap().keys().all(|k| k.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())));
            let ocsf = ocsf("o", &tenant(), &act);
            prop_assert_eq!(
                ocsf["type_uid"].as_i64().unwrap(),
                ocsf["class_uid"].as_i64().unwrap() * 100 + ocsf["activity_id"].as_i64().unwrap()
            );
            prop_assert!(serde_json::from_str::<Value>(ocsf["raw_data"].as_str().unwrap()).is_ok());
        }
    }
}
