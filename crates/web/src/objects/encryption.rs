//! Encryption over the wire.

use bailee_rooms::keys::CustomerKey;
use bailee_rooms::vault::{Encryption, GetSettings, ObjectInfo, ObjectMeta, SetEncryption, Setting};
use bailee_types::{BucketName, TenantId};
use bailee_wire::object::{self as wire, Code, Dialect, Head, ObjectError, Reply, TagAct, reply};
use hyper::body::Incoming;

use super::answer::of_failure;
use super::dispatch::Cx;

/// What the wire asks for, as it is kept. With `KMS` and no key the tenant's default one is meant.
pub(super) fn kept(asked: wire::Encryption) -> Encryption {
    let kms = (asked.algorithm == "KMS").then(|| asked.key_id.unwrap_or_default());
    Encryption { sm4: asked.algorithm == "SM4" || asked.sm4_data, kms, customer: false }
}

/// What is kept, in the words of the wire; of an object under a customer's key nothing of this kind is told.
fn shown(kept: Option<&Encryption>) -> Option<wire::Encryption> {
    let kept = kept.cloned().unwrap_or_default();
    if kept.customer {
        return None;
    }
    let algorithm = match (&kept.kms, kept.sm4) {
        (Some(_), _) => "KMS",
        (None, true) => "SM4",
        (None, false) => "AES256",
    };
    let sm4_data = kept.kms.is_some() && kept.sm4;
    Some(wire::Encryption { algorithm, key_id: kept.kms.filter(|k| !k.is_empty()), sm4_data })
}

/// How an object is encrypted, for its answer.
pub(super) fn of_object(info: &ObjectInfo) -> Option<wire::Encryption> {
    shown(info.meta.encryption.as_ref())
}

/// The customer's key that came with a request.
pub(super) fn customer_key(key: Option<&wire::CustomerKey>) -> Result<Option<CustomerKey>, ObjectError> {
    key.map(|k| CustomerKey::from_bytes(k.key.expose())).transpose().map_err(of_failure)
}

/// Says how something written is encrypted.
pub(super) fn told(
    reply: Reply,
    dialect: Dialect,
    meta: &ObjectMeta,
    key: Option<&wire::CustomerKey>,
) -> Reply {
    let reply = match shown(meta.encryption.as_ref()) {
        Some(encryption) => reply.with_encryption(dialect, &encryption),
        None => reply,
    };
    reply.with_customer_key(key)
}

impl Cx<'_> {
    pub(super) async fn encryption(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        act: TagAct,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        match act {
            TagAct::Get => {
                let there =
                    self.perform(GetSettings { tenant, bucket, setting: Setting::Encryption }).await?;
                // S3 tells of the encryption that every object has; OSS tells of a rule.
                let rule = match (&there.settings.encryption, self.dialect) {
                    (None, Dialect::Oss) => None,
                    (rule, _) => shown(rule.as_ref()),
                };
                rule.map(|rule| reply::encryption(self.dialect, &rule))
                    .ok_or_else(|| ObjectError::new(Code::NoEncryptionRule))
            }
            TagAct::Put => {
                let raw = self.body_of(head, body).await?;
                let encryption = Some(kept(wire::Encryption::parse(&raw, self.dialect)?));
                self.perform(SetEncryption { tenant, bucket, encryption }).await?;
                Ok(Reply::empty(200))
            }
            TagAct::Delete => {
                self.perform(SetEncryption { tenant, bucket, encryption: None }).await?;
                Ok(Reply::no_content())
            }
        }
    }
}
