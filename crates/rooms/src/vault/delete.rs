//! Deleting an object: the wrapped data key goes with the row, so what is left of the bytes cannot be opened. A bucket that keeps
//! versions gets a delete marker instead, and nothing goes.

use std::sync::Arc;

use bailee_types::{BucketName, ObjectKey, TenantId};

use super::bucket::known;
use super::version::{Deleted, Versioning, shown_id};
use super::{object_asked, rows};
use crate::gate::{Asked, Intent, Operation, Touches};
use crate::{Failure, House};

/// Deletes an object, or hides it where versions are kept; a missing one is fine (both dialects), a missing bucket is not.
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
    type Output = Deleted;

    fn asks(&self) -> Asked {
        let mut asked = object_asked(&self.tenant, &self.bucket, &self.key, "oss:DeleteObject", None);
        asked.touches = Touches::Metadata;
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Deleted, Failure> {
        let now = house.now();
        let opener = house.tenant_key(&self.tenant).await?;
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let there = known(&mut tx, &self.bucket)?;
                let guard = there.guard(&opener, now);
                let former = rows::former(&mut tx, &self.bucket, &self.key)?;
                let found = former.is_some();
                if there.versioning != Versioning::Off {
                    let (id, is_null) =
                        rows::put_marker(&mut tx, &self.bucket, &self.key, there.versioning, &guard)?;
                    return Ok(Deleted { found, version: Some(shown_id(is_null, &id)), marker: true });
                }
                if let Some(former) = former {
                    rows::delete_object(&mut tx, &self.bucket, &self.key, &former, &guard)?;
                }
                Ok(Deleted { found, ..Deleted::default() })
            })
            .await
    }
}
