//! The RAM policy language (contract §5): parse, decide, say why. No IO, no clock.
//!
//! [`Policy::parse_as`] reads a document of a [`Kind`] or refuses it whole; [`PolicySet::compile`] makes policies fast to
//! ask; [`decide`] answers one request over all phases and [`explain`] shows every step of it.
//! INVARIANT: a policy that is not understood whole is refused when it is made (rule P1): nothing of it is ignored.
//! INVARIANT: an explicit Deny wins over any Allow; what no statement allows is denied.
//! INVARIANT: matching costs at most pattern length times text length: no pattern is exponential.

mod action;
mod bucket;
mod condition;
mod context;
mod decide;
mod document;
mod error;
mod explain;
mod json;
mod key;
mod lints;
mod pattern;
mod plain;
mod principal;
mod resource;
mod set;
pub mod system;
mod touching;
mod trie;
mod trusting;
mod verdict;

pub use bucket::{is_s3, of_s3};
pub use context::{Context, Request, Subject};
pub use decide::{Phases, decide, decide_assume_role};
pub use document::{
    BUCKET_BYTES_MAX, CONTROL_CHARS_MAX, DOCUMENT_CHARS_MAX, Effect, KEY_BYTES_MAX, Kind, Policy,
    SESSION_CHARS_MAX, TRUST_CHARS_MAX,
};
pub use error::PolicyError;
pub use explain::{
    DecidedBy, Element, ElementOutcome, Explanation, NearMiss, StatementOutcome, explain, explain_assume_role,
};
pub use lints::Lint;
pub use plain::decide_plainly;
pub use set::PolicySet;
pub use touching::Touch;
pub use verdict::{Deciding, DecidingOwned, Phase, Verdict};
