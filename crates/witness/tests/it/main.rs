//! Witness and watch against logs that are honest, and logs that are not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod conformance;
mod over_http;
mod site;
mod watching;
mod witnesses;
