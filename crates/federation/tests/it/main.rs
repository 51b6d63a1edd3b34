//! What other systems sign, as they sign it, and as an attacker would change it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod id_token;
mod keys;
mod passkey;
mod saml;
mod sign_on;
