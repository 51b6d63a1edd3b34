//! The acts on alerts.

use std::sync::Arc;

use bailee_types::TenantId;
use serde_json::{Map, Value, json};

use super::super::look::trail_asked;
use super::{Alert, AlertKind, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// Alerts, newest first.
#[derive(Clone, Debug)]
pub struct ListAlerts {
    /// Whose.
    pub tenant: TenantId,
    /// Only those that nobody acknowledged.
    pub open_only: bool,
    /// Only alerts before this number.
    pub before: Option<u64>,
    /// At most so many.
    pub alerts_max: u32,
}

/// A page of alerts.
#[derive(Clone, Debug)]
pub struct AlertPage {
    /// Newest first.
    pub alerts: Vec<Alert>,
    /// All that nobody acknowledged.
    pub open: u64,
    /// Kinds that are raised.
    pub settings: AlertSettings,
}

/// Which kinds are raised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertSettings {
    /// Kinds that the tenant does not want.
    pub muted: Vec<AlertKind>,
}

/// Acknowledges an alert, or all up to it.
#[derive(Clone, Debug)]
pub struct AcknowledgeAlerts {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub number: u64,
    /// And all before it.
    pub and_before: bool,
}

/// Says which kinds are raised.
#[derive(Clone, Debug)]
pub struct SetAlerts {
    /// Whose.
    pub tenant: TenantId,
    /// The new settings.
    pub settings: AlertSettings,
}

impl Operation for ListAlerts {
    type Output = AlertPage;

    fn asks(&self) -> Asked {
        trail_asked(&self.tenant, "bailee:ListAlerts", Class::Data, Map::new())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<AlertPage, Failure> {
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let before = self.before.unwrap_or(u64::MAX);
                Ok(AlertPage {
                    alerts: rows::page(&mut tx, self.open_only, before, self.alerts_max.min(1_000))?,
                    open: rows::open_count(&mut tx)?,
                    settings: AlertSettings { muted: rows::muted(&mut tx)? },
                })
            })
            .await
    }
}

impl Operation for AcknowledgeAlerts {
    /// How many.
    type Output = u64;

    fn asks(&self) -> Asked {
        let detail = parameters(json!({ "alert": self.number, "andBefore": self.and_before }));
        trail_asked(&self.tenant, "bailee:AcknowledgeAlerts", Class::Management { write: true }, detail)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<u64, Failure> {
        let (by, now) = (intent.caller().name().to_owned(), house.now());
        house
            .db
            .write(move |tx| {
                rows::acknowledge(&mut tx.tenant(&self.tenant), self.number, self.and_before, &by, now)
                    .map_err(Failure::from)
            })
            .await
    }

    fn outcome_detail(done: &u64) -> Map<String, Value> {
        parameters(json!({ "acknowledged": done }))
    }
}

impl Operation for SetAlerts {
    type Output = ();

    fn asks(&self) -> Asked {
        let muted: Vec<&str> = self.settings.muted.iter().map(|k| k.word()).collect();
        let detail = parameters(json!({ "muted": muted }));
        trail_asked(&self.tenant, "bailee:SetAlerts", Class::Management { write: true }, detail)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        house
            .db
            .write(move |tx| {
                rows::set_muted(&mut tx.tenant(&self.tenant), &self.settings.muted).map_err(Failure::from)
            })
            .await
    }
}
