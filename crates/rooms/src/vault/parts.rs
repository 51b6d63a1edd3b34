//! The parts of an object that arrived in parts.

use bailee_types::ObjectVersionId;
use sha2::{Digest, Sha256};

use crate::Failure;

/// One part: an envelope in a blob of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartRow {
    pub(super) number: u32,
    pub(super) id: ObjectVersionId,
    pub(super) size: u64,
    pub(super) header: Vec<u8>,
    /// CRC-64 of the blob.
    pub(super) sealed_crc: Option<i64>,
}

/// What vouches for the list of parts: SHA-256 over number, id, size and header of each, in order; lower-case hex.
pub(super) fn digest(parts: &[PartRow]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"bailee/parts/v1\0");
    for part in parts {
        hasher.update(part.number.to_be_bytes());
        hasher.update(part.id.as_str().as_bytes());
        hasher.update(part.size.to_be_bytes());
        hasher.update((part.header.len() as u64).to_be_bytes());
        hasher.update(&part.header);
    }
    hex::encode(hasher.finalize())
}

/// Refuses parts that are not those which the object was put together of.
pub(super) fn check(
    version: &ObjectVersionId,
    size: u64,
    parts: &[PartRow],
    sealed: Option<&str>,
) -> Result<(), Failure> {
    let same = match sealed {
        None => parts.is_empty(),
        Some(sealed) => digest(parts) == sealed && parts.iter().map(|p| p.size).sum::<u64>() == size,
    };
    if same {
        return Ok(());
    }
    Err(Failure::Damaged(format!(
        "the parts of object version `{version}` are not those that it was put together of"
    )))
}
