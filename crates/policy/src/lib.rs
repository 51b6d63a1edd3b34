//! The RAM policy language (contract §5): parse, decide, say why. No IO, no clock.
//!
//! First form: `Effect`, `Action`/`NotAction`, `Resource`/`NotResource` with wildcards. Conditions, variables and
//! principals come with the identity issue.
//! INVARIANT: a policy that is not understood whole is refused when it is made (rule P1): nothing of it is ignored.
//! INVARIANT: an explicit Deny wins over any Allow; what no statement allows is denied.
//! INVARIANT: matching costs at most pattern length times text length: no pattern is exponential.

mod document;
mod error;
mod matching;
mod set;
pub mod system;

pub use document::{DOCUMENT_CHARS_MAX, Effect, Policy};
pub use error::PolicyError;
pub use set::{Deciding, Decision, PolicySet, Request};
