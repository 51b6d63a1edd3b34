//! The enrolment receipt: what a tenant keeps outside, to check its log against the public head log.

use std::sync::Arc;

use bailee_proof::head::Receipt;
use bailee_types::TenantId;
use serde_json::Map;

use super::super::look::trail_asked;
use super::rows;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// Shows the receipt of a tenant's log. Recorded: who holds it recognises the log's heads.
#[derive(Clone, Debug)]
pub struct ShowEnrolment {
    /// Whose log.
    pub tenant: TenantId,
}

/// What a watcher needs.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Log key and watch key; its `Display` is the file for `bailee-verify`.
    pub receipt: Receipt,
    /// The head log's key, as C2SP vkey text.
    pub head_log: String,
    /// Where the enrolment stands in the head log; none until the next round of heads.
    pub index: Option<u64>,
    /// Heads so far.
    pub heads: u64,
}

impl Operation for ShowEnrolment {
    type Output = Enrolment;

    fn asks(&self) -> Asked {
        trail_asked(&self.tenant, "bailee:GetTrailEnrolment", Class::Management { write: false }, Map::new())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Enrolment, Failure> {
        let log = house.log_keys(&self.tenant).await?;
        let receipt = Receipt { log: log.first.clone(), watch: log.watch.clone() };
        let tenant = self.tenant;
        let (index, heads) = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&tenant);
                let newest = rows::newest_head(&mut tx)?;
                Ok::<_, Failure>((rows::enrol_index(&mut tx)?, newest.map_or(0, |h| h.line.version + 1)))
            })
            .await?;
        Ok(Enrolment { receipt, head_log: house.head_log_key()?, index, heads })
    }
}
