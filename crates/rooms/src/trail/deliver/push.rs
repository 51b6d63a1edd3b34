//! To a webhook or a syslog server.

use std::sync::Arc;

use bailee_types::TenantId;
use ring::hmac;
use serde_json::{Value, json};

use super::{Sink, SinkFormat, SinkKind, short};
use crate::House;
use crate::outside::{Post, TlsLines};
use crate::trail::Act;

/// RFC 5424: facility 13 (log audit).
const FACILITY: u8 = 13;

/// Sends a batch; `id` is the same when it is sent again.
pub(super) async fn send(
    house: &Arc<House>,
    tenant: &TenantId,
    sink: &Sink,
    id: &str,
    acts: &[Act],
    events: Vec<Value>,
) -> Result<(), String> {
    match sink.kind {
        SinkKind::Webhook => post(house, tenant, sink, id, events).await,
        SinkKind::Syslog => {
            let host = house.provider().host.clone();
            let lines =
                acts.iter().zip(events).map(|(act, event)| message(&host, tenant, act, &event)).collect();
            let to = TlsLines { address: sink.address.clone(), frames: lines, roots: sink.roots.clone() };
            house.outside.send_frames(to).await.map_err(|e| short(&e))
        }
    }
}

/// `POST` with the body's MAC: `bailee-signature: v1=<hex HMAC-SHA256 of "<timestamp>.<body>">`.
async fn post(
    house: &Arc<House>,
    tenant: &TenantId,
    sink: &Sink,
    id: &str,
    events: Vec<Value>,
) -> Result<(), String> {
    let kind = match sink.format {
        SinkFormat::CloudEvents => "application/cloudevents-batch+json",
        SinkFormat::Ocsf | SinkFormat::Bailee => "application/json",
    };
    let body = json!(events).to_string().into_bytes();
    let key = house.tenant_key(tenant).await.map_err(|e| e.to_string())?;
    let secret = key.open_trail(&super::sinks::purpose(&sink.name), &sink.sealed_secret);
    let secret = secret.map_err(|e| e.to_string())?;
    signed_post(house, &sink.address, secret.expose(), (id, kind), body).await
}

/// Posts a body to an address of a tenant, signed.
pub(crate) async fn signed_post(
    house: &House,
    address: &str,
    secret: &[u8],
    (id, kind): (&str, &str),
    body: Vec<u8>,
) -> Result<(), String> {
    let timestamp = house.now().ms() / 1000;
    let post = Post {
        address: address.to_owned(),
        headers: vec![
            ("content-type", kind.to_owned()),
            ("bailee-delivery", id.to_owned()),
            ("bailee-timestamp", timestamp.to_string()),
            ("bailee-signature", format!("v1={}", signature(secret, timestamp, &body))),
        ],
        body,
        trusted: false,
    };
    let answer = house.outside.submit(post).await.map_err(|e| short(&e))?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(format!("the webhook answered with status {status}")),
    }
}

/// The signature of a body at a time, hex.
pub(super) fn signature(secret: &[u8], timestamp: i64, body: &[u8]) -> String {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.sign())
}

/// One message of RFC 5424 with the event as JSON; the structured data names event and place (32473 is the number that
/// RFC 5612 gives to documentation: this project has none of its own).
fn message(host: &str, tenant: &TenantId, act: &Act, event: &Value) -> Vec<u8> {
    let severity = if act.level == "WARNING" || act.error_code == "DataDamaged" { 4 } else { 6 };
    let priority = FACILITY * 8 + severity;
    let id = if act.event_id.is_empty() { format!("record-{}", act.record) } else { act.event_id.clone() };
    format!(
        "<{priority}>1 {} {} bailee - {} [bailee@32473 eventId=\"{}\" tenant=\"{tenant}\" record=\"{}\"] \u{feff}{event}",
        act.at.iso_ms(),
        name(host, 255),
        name(&act.event_name, 32),
        value(&id),
        act.record
    )
    .into_bytes()
}

/// A header field: printable ASCII without spaces, at most so long; `-` for none.
fn name(text: &str, max: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(max).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// A value of structured data: `"`, `\` and `]` are escaped (RFC 5424 §6.3.3).
fn value(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_time_and_body() {
        // printf '1700000000.[]' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            signature(b"secret", 1_700_000_000, b"[]"),
            hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), b"1700000000.[]"))
        );
        assert_ne!(signature(b"secret", 1, b"[]"), signature(b"secret", 2, b"[]"));
    }

    #[test]
    fn fields_of_syslog_hold_nothing_that_ends_them() {
        assert_eq!(name("Get Object\n\u{53d1}", 32), "GetObject");
        assert_eq!(name("", 32), "-");
        assert_eq!(name(&"x".repeat(99), 32).len(), 32);
        assert_eq!(value("a\"b]c\\d\n"), "a\\\"b\\]c\\\\d");
    }
}
