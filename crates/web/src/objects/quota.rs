//! What lies in a bucket and how much may, over the wire.

use bailee_rooms::vault::{GetUsage, SetQuota};
use bailee_types::{BucketName, TenantId};
use bailee_wire::object::{Code, Head, ObjectError, Reply, TagAct, quota_bytes, reply};
use hyper::body::Incoming;

use super::dispatch::Cx;

impl Cx<'_> {
    pub(super) async fn stat(&self, tenant: TenantId, bucket: BucketName) -> Result<Reply, ObjectError> {
        let (_, usage) = self.perform(GetUsage { tenant, bucket }).await?;
        Ok(reply::stat(usage.bytes, usage.objects, usage.uploads))
    }

    pub(super) async fn quota(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        (act, old): (TagAct, bool),
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        match act {
            TagAct::Get => {
                let (bucket, usage) = self.perform(GetUsage { tenant, bucket }).await?;
                match (bucket.settings.quota, old) {
                    (max, true) => Ok(reply::storage_capacity(max)),
                    (Some(max), false) => Ok(reply::quota(max, usage.bytes)),
                    (None, false) => Err(ObjectError::new(Code::NoQuota)),
                }
            }
            TagAct::Put => {
                let bytes_max = quota_bytes(&self.body_of(head, body).await?)?;
                self.perform(SetQuota { tenant, bucket, bytes_max }).await?;
                Ok(Reply::empty(200))
            }
            TagAct::Delete => {
                self.perform(SetQuota { tenant, bucket, bytes_max: None }).await?;
                Ok(Reply::no_content())
            }
        }
    }
}
