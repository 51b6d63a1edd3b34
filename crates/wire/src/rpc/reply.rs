//! Answers: one JSON object with a request id. A field of another JSON type than the operation's model makes the SDK drop
//! the whole body in silence (contract §1), so the shapes are tested against the table of the real SDK's models.

use serde_json::Value;

/// Adds the request id to an answer and renders it.
pub fn render(mut body: Value, request_id: &str) -> Vec<u8> {
    if let Some(map) = body.as_object_mut() {
        map.insert("RequestId".into(), request_id.into());
    }
    body.to_string().into_bytes()
}
