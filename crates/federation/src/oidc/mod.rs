//! OpenID Connect Core 1.0 as a relying party: discovery, the authorization-code flow with PKCE, id tokens.
//!
//! The caller fetches; this module says what to fetch and judges what came:
//! 1. [`discovery::address`] → [`discovery::Document::parse`] → its `jwks_uri` → [`crate::jwt::Jwks::parse`];
//! 2. [`AuthorizationRequest::new`]: send the browser to `url`, keep `pending` on the server, bound to its session;
//! 3. on return, [`Pending::accept`] the `state`, post [`TokenRequest::form`], read [`TokenResponse::parse`];
//! 4. [`verify_id_token`] with the nonce of `pending`; on [`TokenError::UnknownKey`] fetch the JWKS again, once.
//!
//! [`TokenError::UnknownKey`]: crate::jwt::TokenError::UnknownKey

pub mod discovery;
mod id_token;
mod sign_on;

pub use self::id_token::{Expect, IdToken, verify_id_token};
pub use self::sign_on::{
    AuthorizationRequest, Client, Pending, SignOnError, TokenRequest, TokenResponse, TokenResponseError,
};
