//! The offline bundle: a tenant's records with the signed head that covers them, in one file.
//!
//! ```text
//! b"bailee-bundle/v2\n"
//! u32 length, manifest note      signed by the log's key; names the digest of the next three
//! u32 length, checkpoint note    signed by the log's key, maybe cosigned
//! u32 length, places             where heads of this log stand in the head log: see [`Places`]; empty when nowhere yet
//! u64 number of records
//! per record: entry[50], a mark and what the mark announces:
//!   01, nonce[32], u32 length, event      opened
//!   00                                    erased: a later record says by whom and why
//!   02                                    withheld: outside of the scope that the manifest names
//! ```
//! Numbers are big-endian; nothing follows the last record. There are no proof hashes for records: whoever has all
//! entries computes the root himself.
//! INVARIANT: each byte is fixed (the first line), or signed (the manifest), or under the digest that the manifest
//! signs, or an entry under the signed root, or an opening that its entry commits to, or a mark or length whose change
//! moves one of those; so no byte can change unnoticed.
//! INVARIANT: reading needs memory for the notes, the places and one batch of records, whatever the file says.

mod manifest;
mod places;
mod read;
mod scope;
mod write;

pub use manifest::{Manifest, ManifestError};
pub use places::{Place, PlaceError, Placed, PlacedHead, Places};
pub use read::{BundleError, Opening, Part, Reader, RecordRef, records};
pub use scope::{Scope, ScopeError};
pub use write::{WriteError, Writer, lead_digest};

/// The first bytes of a bundle.
pub const MAGIC: &[u8] = b"bailee-bundle/v2\n";

/// Bytes of the manifest note, at most.
pub const MANIFEST_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the places, at most.
pub const PLACES_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of an opened record in front of its event: entry, mark, nonce, length.
pub const RECORD_HEAD_BYTES: usize = 87;

const ERASED: u8 = 0;
const OPENED: u8 = 1;
const WITHHELD: u8 = 2;

#[cfg(test)]
mod tests;
