//! A copy whose content leaves its jurisdiction: under a transfer of the register, and only while that is live.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_types::TenantId;
use bytes::Bytes;

use super::{Algorithm, Body, BodyDigests, Bucket};
use crate::gate::Intent;
use crate::residency::MoveContent;
use crate::{Failure, House};

/// A transfer that was stopped stops what runs within this.
const LOOK: Duration = Duration::from_millis(500);

/// What a body carries out of where it lies.
#[derive(Clone, Debug)]
pub struct Carried {
    pub(super) tenant: TenantId,
    /// `bucket/key`.
    pub(super) object: String,
    /// The jurisdiction that it lies in.
    pub(super) from: String,
}

/// A body that goes on only while its transfer does.
struct Watched {
    inner: Box<dyn Body>,
    house: Arc<House>,
    tenant: TenantId,
    transfer: String,
    looked_at: Instant,
}

#[async_trait::async_trait]
impl Body for Watched {
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        if self.looked_at.elapsed() >= LOOK {
            match self.house.still_moves(&self.tenant, &self.transfer).await {
                Ok(true) => self.looked_at = Instant::now(),
                Ok(false) => return Some(Err(format!("the transfer `{}` was stopped", self.transfer))),
                Err(e) => return Some(Err(e.to_string())),
            }
        }
        self.inner.next().await
    }

    fn claims(&self) -> Option<Algorithm> {
        self.inner.claims()
    }

    fn finish(&mut self) -> Result<BodyDigests, String> {
        self.inner.finish()
    }
}

/// Lets a body into a bucket: what it carries from another jurisdiction needs a transfer.
pub(super) async fn let_in(
    house: &Arc<House>,
    intent: &Intent,
    body: Box<dyn Body>,
    (into, bytes): (&Bucket, Option<u64>),
) -> Result<Box<dyn Body>, Failure> {
    let Some(carried) = body.carries() else { return Ok(body) };
    let to = house.jurisdiction_of(&into.region);
    if carried.from == to {
        return Ok(body);
    }
    let tenant = carried.tenant.clone();
    let op = MoveContent {
        tenant: carried.tenant,
        object: carried.object,
        from: carried.from,
        to,
        into: into.name.clone(),
        bytes,
    };
    let transfer = house.perform(intent.caller().clone(), op).await?;
    Ok(Box::new(Watched {
        inner: body,
        house: Arc::clone(house),
        tenant,
        transfer,
        looked_at: Instant::now(),
    }))
}
