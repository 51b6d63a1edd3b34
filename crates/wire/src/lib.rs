//! The wire: bytes ↔ typed requests and answers, sans-IO. No clock, no state, no network.
//!
//! [`object`] speaks OSS and S3 (contract §§2, 4, 7); [`rpc`] speaks the RPC OpenAPI of Ram, Sts and the others
//! (contract §§1–4); [`xks`] speaks with key services of tenants. Nothing here decides what a caller may do.
//! INVARIANT: a signature is verified over the very values that the typed request is read from.

pub mod object;
pub mod rpc;
pub mod xks;
