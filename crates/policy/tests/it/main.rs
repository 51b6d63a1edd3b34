//! The policy language as a person meets it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod conditions;
mod equal;
mod explain;
mod kit;
mod lints;
mod order;
mod refusals;
mod statements;
