//! The RPC OpenAPI (contract §§1–4): one request with its arguments in query or form, one JSON answer.
//!
//! The server's path: [`RpcRequest::read`] → [`RpcRequest::signed`] → look up the secret → [`Signed::verify`] →
//! read arguments → act → a [`reply`] or [`RpcError::render`].
//!
//! Promises: sans-IO, no clock; every input is bounded; no input panics; every error is JSON with a `Code`.
//! Refuses: bearer tokens, RSA key pairs, XML answers, a parameter that is given twice, an action or
//! version that header and query name differently.
//! INVARIANT: signature and arguments are read from the same decoded parameters.

mod args;
mod auth;
mod error;
pub mod reply;
mod request;
mod rest;
mod table;

pub use auth::{Scheme, Signed};
pub use error::{Denied, RpcError};
pub use request::{PARAMETERS_MAX, RpcRequest, looks_like_rpc};
pub use rest::{RestRequest, RestSigned, RestSigner, RestToSend};
pub use table::{Operation, Product, operations};

/// How far a signing date may lie from now, either way (contract §2).
pub const SKEW_MS_MAX: i64 = 15 * 60 * 1000;
