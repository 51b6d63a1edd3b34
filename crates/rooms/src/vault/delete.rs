//! Deleting an object: the wrapped data key goes with the row, so what is left of the bytes cannot be opened.

use std::sync::Arc;

use bailee_types::{BucketName, ObjectKey, TenantId};

use super::{object_asked, rows};
use crate::gate::{Asked, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

/// Deletes an object; a missing one is fine (both dialects), a missing bucket is not.
#[derive(Clone, Debug)]
pub struct DeleteObject {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
}

impl Operation for DeleteObject {
    type Output = bool;

    fn asks(&self) -> Asked {
        let mut asked = object_asked(&self.tenant, &self.bucket, &self.key, "oss:DeleteObject", None);
        asked.touches = Touches::Metadata;
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<bool, Failure> {
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::bucket(&mut tx, &self.bucket)?.is_none() {
                    return Err(Failure::not_found(Thing::Bucket, &self.bucket));
                }
                let Some(former) = rows::former(&mut tx, &self.bucket, &self.key)? else { return Ok(false) };
                rows::delete_object(&mut tx, &self.bucket, &self.key, &former, now)?;
                Ok(true)
            })
            .await
    }
}
