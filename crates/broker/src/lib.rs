//! Brokers: the one way from an operator's client to a customer's system, protocol by protocol.
//!
//! A client shows the name and secret of a session that the house opened under a grant. The broker ends his protocol, opens its
//! own connection to the target with a credential that the client never sees, and pumps between the two.
//! INVARIANT: record, then forward. No byte reaches the other side before [`Seat::record`] took it; when that fails, the
//! session ends.
//! INVARIANT: a pump stops when [`Seat::ended`] resolves: the grant ended, the tenant cut it, or the house could not say for
//! [`LEASE_MS`] that the grant lives.
//! INVARIANT: what a broker does not know (a message, a channel, a subsystem, an extension) it refuses.

pub mod http;
pub mod pg;
pub mod seat;
pub mod ssh;

pub use seat::{Door, Ended, Family, Frame, Hello, Refused, Seat, Side, Target};

/// A seat that could not confirm its grant for so many milliseconds ends.
pub const LEASE_MS: u64 = 500;
