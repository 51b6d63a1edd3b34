//! Acts in the shapes that other people's tools read: ActionTrail's management events and Inner-ActionTrail's platform
//! events (contract §6). One place for lookups and for delivery.

use bailee_types::Timestamp;
use serde_json::{Map, Value, json};

use super::{Act, ActEnd, Family};

impl Act {
    /// The act as ActionTrail has it; none for an act of the platform, which never shows there.
    pub fn management_event(&self) -> Option<Map<String, Value>> {
        if self.family != Family::Own {
            return None;
        }
        if let Some(empty) = self.without_text("eventId", "eventTime", "errorMessage") {
            return Some(empty);
        }
        let mut event = self.shape.as_object().cloned().unwrap_or_default();
        let parameters = event.get("requestParameters").map(ToString::to_string).unwrap_or_default();
        event.insert("requestParameterJson".into(), parameters.into());
        event.insert("responseElements".into(), self.detail.as_object().cloned().unwrap_or_default().into());
        event.insert("errorCode".into(), self.error_code.clone().into());
        event.insert("errorMessage".into(), self.error_message.clone().into());
        event.retain(|_, value| !value.is_null());
        Some(event)
    }

    /// The act as Inner-ActionTrail has it, all members strings, and beside them where it stands in the log and how it
    /// ended; none for an act of the tenant's own.
    pub fn platform_event(&self) -> Option<Map<String, Value>> {
        if self.family != Family::Platform {
            return None;
        }
        if let Some(empty) = self.without_text("EventID", "EventTime", "EventDescription") {
            return Some(empty);
        }
        let mut event = self.shape.as_object().cloned().unwrap_or_default();
        let (ended, at) = match &self.end {
            ActEnd::Ended { record, at, .. } => (record.to_string(), at.iso()),
            _ => (String::new(), String::new()),
        };
        for (name, value) in [
            ("RecordIndex", self.record.to_string()),
            ("OutcomeIndex", ended),
            ("OutcomeTime", at),
            ("Result", self.result().to_owned()),
            ("ErrorCode", self.error_code.clone()),
            ("ErrorMessage", self.error_message.clone()),
            ("Ticket", self.ticket.clone()),
            ("Grant", self.grant.clone()),
            ("Reason", self.reason.clone()),
        ] {
            event.insert(name.into(), value.into());
        }
        Some(event)
    }

    /// A record that does not open, or was erased, holds its place; nothing of it is made up.
    fn without_text(&self, id: &str, time: &str, text: &str) -> Option<Map<String, Value>> {
        let (why, code) = match (&self.damaged, &self.erased) {
            (Some(why), _) => (why.clone(), "DataDamaged"),
            (None, Some(e)) => (
                format!(
                    "erased at {} by {}: {} ({}); see record {}",
                    e.at.iso(),
                    e.by,
                    e.reason,
                    e.legal_basis,
                    e.record
                ),
                "DataErased",
            ),
            (None, None) => return None,
        };
        let at = if self.at == Timestamp::from_ms(0) { String::new() } else { self.at.iso() };
        let event = json!({ id: format!("record-{}", self.record), time: at, text: why, "errorCode": code });
        event.as_object().cloned()
    }
}
