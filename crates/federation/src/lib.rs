//! What other identity systems signed, checked: OpenID Connect, SAML, one-time codes and passkeys.
//!
//! Bytes come in, a checked statement or a refusal goes out. Fetching, storing and counting are the caller's: he hands
//! in documents, the time and what he remembers (a nonce, a last used step, ids of assertions).
//! INVARIANT: no IO, no clock, no thread. Chance comes from [`bailee_types::random_bytes`] alone.
//! INVARIANT: a key comes from what the operator configured (metadata, JWKS, credential), never from the message.

mod certificate;
mod json;
pub mod jwt;
mod key;
pub mod oidc;
pub mod passkey;
pub mod qr;
pub mod recovery;
pub mod saml;
mod show;
pub mod totp;
