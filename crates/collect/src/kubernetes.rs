//! Kubernetes' audit events, `audit.k8s.io/v1`, one JSON object a line.
//!
//! A client may choose the `Audit-ID` of its request. It therefore does not stand alone for the event: two requests with
//! one id would else hide behind each other.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Identity, Observed, Outcome, Reading, Unreadable, text};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Event {
    kind: String,
    api_version: String,
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(rename = "sourceIPs")]
    source_ips: Vec<String>,
    user_agent: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<Status>,
    request_received_timestamp: String,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct User {
    username: String,
    groups: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    resource: String,
    namespace: String,
    name: String,
    api_group: String,
    subresource: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
    reason: String,
}

pub(crate) fn read(line: &str) -> Result<Reading, Unreadable> {
    let event: Event = serde_json::from_str(line).map_err(|_| Unreadable("not an event of audit.k8s.io"))?;
    if event.kind != "Event" || !event.api_version.starts_with("audit.k8s.io/") || event.audit_id.is_empty() {
        return Err(Unreadable("not an event of audit.k8s.io"));
    }
    match event.stage.as_str() {
        "RequestReceived" => return Ok(Reading::Preliminary("the request arrived; its answer follows")),
        // What runs long (exec, watch) tells its start, which may be all there is; the end has the same identity.
        "ResponseStarted" | "ResponseComplete" | "Panic" => {}
        _ => return Err(Unreadable("an unknown stage of a request")),
    }
    let at =
        text::rfc3339(&event.request_received_timestamp).ok_or(Unreadable("no time that can be read"))?;
    let object = event.object_ref.unwrap_or_default();
    let resource = if object.resource.is_empty() {
        format!("uri:{}", event.request_uri.split('?').next().unwrap_or_default())
    } else {
        let namespace = if object.namespace.is_empty() { "-" } else { &object.namespace };
        [namespace, &object.resource, &object.name, &object.subresource]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/")
    };
    let code = event.response_status.as_ref().map_or(0, |s| s.code);
    let outcome = match code {
        _ if event.stage == "Panic" => Outcome::Failed,
        0 => Outcome::Unknown,
        1..=399 => Outcome::Done,
        401 | 403 => Outcome::Refused,
        _ => Outcome::Failed,
    };
    let reason = event.response_status.map(|s| s.reason).filter(|r| !r.is_empty());
    let identity = [
        event.audit_id.as_str(),
        &event.request_received_timestamp,
        &event.verb,
        &event.request_uri,
        &event.user.username,
    ]
    .join("\n");
    let decision = event.annotations.get("authorization.k8s.io/decision").cloned().unwrap_or_default();
    let acting = event.impersonated_user.as_ref().unwrap_or(&event.user);
    // Only an impersonated user has groups that a broker set.
    let session = event
        .impersonated_user
        .as_ref()
        .and_then(|user| user.groups.iter().find_map(|g| g.strip_prefix("bailee:session:")));
    let fields = BTreeMap::from([
        ("user", event.user.username.clone()),
        ("groups", acting.groups.join(",")),
        ("impersonated", event.impersonated_user.is_some().to_string()),
        ("namespace", object.namespace),
        ("kind", object.resource),
        ("name", object.name),
        ("subresource", object.subresource.clone()),
        ("apiGroup", object.api_group),
        ("stage", event.stage),
        ("userAgent", event.user_agent),
        ("decision", decision),
    ]);
    let action = if object.subresource.is_empty() {
        event.verb
    } else {
        format!("{} {}", event.verb, object.subresource)
    };
    Ok(Reading::Act(Observed {
        at: Some(at),
        actor: acting.username.clone(),
        action,
        resource,
        address: event.source_ips.into_iter().next().unwrap_or_default(),
        outcome,
        code: match outcome {
            Outcome::Done | Outcome::Unknown => String::new(),
            _ => reason.unwrap_or_else(|| code.to_string()),
        },
        session: crate::session_of(session),
        fields,
        identity: Identity::Event(identity),
    }))
}
