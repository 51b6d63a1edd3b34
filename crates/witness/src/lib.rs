//! What runs on somebody else's machine: the witness, which cosigns heads and refuses rollback and forks, and the watch,
//! which reads a head log and raises an alarm.
//!
//! Only the program `bailee-verify` uses this crate; its offline checks do not.
//! INVARIANT: a witness's cosignature leaves only after the head that it is for is on disk.
//! INVARIANT: a watch forgets nothing that it verified, and remembers nothing that it did not.

pub mod cli;
mod disk;
mod http;
mod key;
mod state;
pub mod watch;

pub use http::{Clock, Limits, serve};
pub use key::{KeyFileError, WitnessKey};
pub use state::{Answer, StateError, Witness};
