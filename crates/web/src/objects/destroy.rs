//! Destruction over the wire: ours, in S3's words, so that any client that signs with SigV4 can ask for it.

use bailee_rooms::vault::{DestroyObjects, GetDestruction, ListDestructions};
use bailee_types::{BucketName, TenantId};
use bailee_wire::object::{Code, ObjectError, Reply};
use serde_json::json;

use super::dispatch::Cx;

impl Cx<'_> {
    pub(super) async fn destroy(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        (prefix, exact): (String, bool),
    ) -> Result<Reply, ObjectError> {
        let done = self.perform(DestroyObjects { tenant, bucket, prefix, exact }).await?;
        let facts = [
            ("x-bailee-record", done.done.record.to_string()),
            ("x-bailee-items", done.done.items.to_string()),
            ("x-bailee-retained", done.retained.to_string()),
            ("x-bailee-more", done.more.to_string()),
        ];
        Ok(facts
            .into_iter()
            .fold(Reply::text(done.certificate), |reply, (name, value)| reply.with(name, value)))
    }

    pub(super) async fn destructions(
        &self,
        tenant: TenantId,
        (before, record, rows_max): (Option<u64>, Option<u64>, u32),
    ) -> Result<Reply, ObjectError> {
        if let Some(record) = record {
            return self.perform(GetDestruction { tenant, record }).await.map(Reply::text);
        }
        let all = self.perform(ListDestructions { tenant, before, rows_max }).await?;
        let lines: Vec<String> = all
            .iter()
            .map(|d| {
                let (at, bucket) = (d.at.iso_ms(), d.bucket.as_str());
                json!({ "record": d.record, "at": at, "bucket": bucket, "items": d.items, "bytes": d.bytes })
                    .to_string()
                    + "\n"
            })
            .collect();
        Ok(Reply::text(lines.concat()))
    }
}

/// Why a certificate is not there.
pub(super) fn missing(name: &str) -> ObjectError {
    ObjectError::because(Code::NoSuchKey, "There is no certificate of destruction with this number.")
        .with("Record", name.to_owned())
}
