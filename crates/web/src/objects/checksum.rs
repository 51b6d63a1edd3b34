//! S3's checksums: the wire's words and what is kept.

use bailee_rooms::vault::Choice;
use bailee_rooms::vault::{self, Checksum, GetObject, ObjectInfo};
use bailee_types::TenantId;
use bailee_wire::object::reply::{self, ObjectPart, Sum};
use bailee_wire::object::{self as wire, Algorithm, ChecksumType, Dialect, ObjectError, Reply};

use super::dispatch::{Cx, Kept};
use super::encryption::customer_key;
use super::version::which;

pub(super) fn kept(algorithm: Algorithm) -> vault::Algorithm {
    match algorithm {
        Algorithm::Crc32 => vault::Algorithm::Crc32,
        Algorithm::Crc32c => vault::Algorithm::Crc32c,
        Algorithm::Crc64Nvme => vault::Algorithm::Crc64Nvme,
        Algorithm::Sha1 => vault::Algorithm::Sha1,
        Algorithm::Sha256 => vault::Algorithm::Sha256,
    }
}

pub(super) fn told(algorithm: vault::Algorithm) -> Algorithm {
    match algorithm {
        vault::Algorithm::Crc32 => Algorithm::Crc32,
        vault::Algorithm::Crc32c => Algorithm::Crc32c,
        vault::Algorithm::Crc64Nvme => Algorithm::Crc64Nvme,
        vault::Algorithm::Sha1 => Algorithm::Sha1,
        vault::Algorithm::Sha256 => Algorithm::Sha256,
    }
}

pub(super) fn kept_type(kind: ChecksumType) -> vault::ChecksumType {
    match kind {
        ChecksumType::FullObject => vault::ChecksumType::FullObject,
        ChecksumType::Composite => vault::ChecksumType::Composite,
    }
}

pub(super) fn told_type(kind: vault::ChecksumType) -> ChecksumType {
    match kind {
        vault::ChecksumType::FullObject => ChecksumType::FullObject,
        vault::ChecksumType::Composite => ChecksumType::Composite,
    }
}

/// What an object is asked to have.
pub(super) fn wanted((algorithm, kind): (Algorithm, ChecksumType)) -> Checksum {
    Checksum { algorithm: kept(algorithm), kind: kept_type(kind), ..Checksum::default() }
}

/// Algorithm and type of an upload's checksum.
pub(super) fn asked(checksum: &Checksum) -> (Algorithm, ChecksumType) {
    (told(checksum.algorithm), told_type(checksum.kind))
}

/// An object's checksum.
pub(super) fn sum(checksum: &Checksum) -> Sum<'_> {
    let (algorithm, kind) = asked(checksum);
    Sum { algorithm, kind, value: &checksum.value }
}

impl Cx<'_> {
    pub(super) async fn attributes(
        &self,
        tenant: TenantId,
        asked: wire::GetAttributes,
    ) -> Result<Reply, ObjectError> {
        let parts = asked.parts;
        let op = GetObject {
            customer_key: customer_key(asked.get.customer_key.as_ref())?,
            tenant,
            bucket: asked.get.bucket.clone(),
            key: asked.get.key.clone(),
            which: which(asked.get.version.clone())?,
            choose: Box::new(move |_: &ObjectInfo| match parts {
                // One more than a page tells whether there are more.
                Some((after, parts_max)) => Choice::Parts { after, parts_max: parts_max + 1 },
                None => Choice::Nothing,
            }),
        };
        let found = self.perform(op).await?;
        let info = &found.info;
        asked.get.conditions.check(&info.meta.md5, info.modified_at)?;
        let (kept, sums) = (Kept::of(info), info.meta.checksum.as_ref().map(sum));
        let facts = reply::ObjectFacts { checksum: sums, ..kept.facts(info) };
        let (list, count) = &found.parts;
        let list: Vec<_> = list
            .iter()
            .map(|p| ObjectPart {
                number: p.number,
                size: p.size,
                checksum: sums.map(|s| s.algorithm).zip(p.checksum.as_deref()),
            })
            .collect();
        let reply = reply::attributes(&asked, &facts, (*count > 0).then_some((&list, *count)));
        let version = (asked.get.version.is_some() || !info.is_null).then(|| info.version_id());
        Ok(reply
            .of_version(Dialect::S3, version.as_deref(), false)
            .with_customer_key(asked.get.customer_key.as_ref()))
    }
}
