//! The offline bundle: a tenant's records, opened, with the signed head that covers them, in one file.
//!
//! ```text
//! b"bailee-bundle/v1\n"
//! u32 length, manifest note      signed by the log's key; names the digest of all bytes that follow
//! u32 length, checkpoint note    signed by the log's key, maybe cosigned
//! u64 number of records
//! per record: entry[50], 01, nonce[32], u32 length, event
//! ```
//! Numbers are big-endian; nothing follows the last record. There are no proof hashes: whoever has all records
//! computes the root himself.
//! INVARIANT: each byte is fixed (the first line), or signed (the manifest), or under the digest that the manifest
//! signs, or a length whose change moves one of those; so no byte can change unnoticed.
//! INVARIANT: reading needs memory for the two notes and one batch of records, whatever the file says.

mod manifest;
mod read;
mod write;

pub use manifest::{Manifest, ManifestError};
pub use read::{BundleError, Part, Reader, RecordRef, records};
pub use write::{BodyDigest, WriteError, Writer};

/// The first bytes of a bundle.
pub const MAGIC: &[u8] = b"bailee-bundle/v1\n";

/// Bytes of the manifest note, at most.
pub const MANIFEST_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a record in front of its event: entry, opening mark, nonce, length.
pub const RECORD_HEAD_BYTES: usize = 87;

/// The byte between entry and nonce: the record's opening follows.
const OPENED: u8 = 1;

#[cfg(test)]
mod tests;
