//! What an outsider needs to check a log: hashes, the tree, tiles, signed notes, records, events and bundles.
//!
//! Pure: no IO beyond the readers and writers handed in, no clock, no randomness. The server appends and signs with
//! the same functions by which `bailee-verify` and strangers check.
//! INVARIANT: whatever bytes are read here, the answer is a value or an error that says what is wrong; never a panic,
//! and never more memory than a stated limit.
//! INVARIANT: what is read has one spelling, so no byte of a proof can change without the proof failing.

pub mod approval;
pub mod bundle;
pub mod checkpoint;
pub mod claim;
pub mod destruction;
pub mod event;
pub mod grant;
pub mod hash;
pub mod head;
pub mod note;
pub mod offline;
pub mod passkey;
pub mod policy;
pub mod record;
pub mod rotation;
pub mod tile;
pub mod totals;
pub mod tree;
pub mod witness;
