//! Looking at an object or a bucket with the temporary keys of a grant: what is metadata, and nothing that tells of content.

use std::sync::Arc;

use bailee_types::{BucketName, ObjectKey, TenantId, TicketId};

use super::bucket::bucket_asked;
use super::encryption::cover_of;
use super::get::{find, info_of};
use super::{Bucket, ObjectInfo, Which, object_asked};
use crate::gate::{Asked, Intent, Operation, Touches};
use crate::{Failure, House};

/// Looks at an object: size, time, type, what its owner wrote on it. Its digests are left out: they tell of content.
#[derive(Clone, Debug)]
pub struct SeeObject {
    /// Whose object.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version; none: the current one.
    pub which: Option<Which>,
    /// The ticket of the grant.
    pub ticket: TicketId,
    /// Whether its tags are what is asked for.
    pub tags: bool,
}

/// Looks at a bucket.
#[derive(Clone, Debug)]
pub struct SeeBucket {
    /// Whose bucket.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The ticket of the grant.
    pub ticket: TicketId,
}

impl Operation for SeeObject {
    type Output = ObjectInfo;

    fn asks(&self) -> Asked {
        let action = if self.tags { "oss:GetObjectTagging" } else { "oss:GetObjectMeta" };
        let mut asked = object_asked(&self.tenant, &self.bucket, &self.key, action, Some(&self.ticket));
        asked.touches = Touches::Metadata;
        if let Some(which) = &self.which {
            asked.parameters.insert("versionId".into(), which.to_string().into());
        }
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<ObjectInfo, Failure> {
        under_a_grant(intent)?;
        let row = find(house, &self.tenant, &self.bucket, &self.key, self.which.as_ref()).await?;
        let key = house.tenant_key_version(&self.tenant, row.key_version).await?;
        let mut info = info_of(&key, &self.bucket, &self.key, &row)?;
        // Who has not the key that only the customer keeps gets no headers either.
        cover_of(&info.meta, None)?;
        info.meta.md5 = info.tag();
        (info.meta.crc64, info.meta.checksum) = (0, None);
        Ok(info)
    }
}

impl Operation for SeeBucket {
    type Output = Bucket;

    fn asks(&self) -> Asked {
        let mut asked = bucket_asked(&self.tenant, &self.bucket, "oss:GetBucketLocation");
        asked.ticket = Some(self.ticket.clone());
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Bucket, Failure> {
        under_a_grant(intent)?;
        house.known_bucket(&self.tenant, &self.bucket).await
    }
}

fn under_a_grant(intent: &Intent) -> Result<(), Failure> {
    match intent.grant() {
        Some(_) => Ok(()),
        None => Err(Failure::Conflict("only an operator with the keys of a grant looks so".into())),
    }
}
