//! The network, handed in: what the rooms fetch from elsewhere (an issuer's keys) goes through here, so that a test can
//! be the outside and a server can say whom it talks to.

use async_trait::async_trait;

/// Bytes of an answer, at most.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Fetches documents over HTTP. An implementation refuses addresses that are not meant for it: a tenant names them.
#[async_trait]
pub trait Outside: Send + Sync {
    /// The body of a GET that answered 200; at most [`ANSWER_BYTES_MAX`] bytes, no redirects.
    ///
    /// # Errors
    /// Why there is none, for people; never holds what was fetched.
    async fn get(&self, address: &str) -> Result<Vec<u8>, String>;

    /// Posts a form: the status and the body of whatever was answered; else as [`Outside::get`].
    ///
    /// # Errors
    /// As [`Outside::get`].
    async fn post(
        &self,
        address: &str,
        form: &str,
        authorization: Option<&str>,
    ) -> Result<(u16, Vec<u8>), String>;
}

/// No outside at all: every fetch is refused.
pub struct NoOutside;

#[async_trait]
impl Outside for NoOutside {
    async fn get(&self, _address: &str) -> Result<Vec<u8>, String> {
        Err("this process does not fetch from elsewhere".into())
    }

    async fn post(
        &self,
        _address: &str,
        _form: &str,
        _authorization: Option<&str>,
    ) -> Result<(u16, Vec<u8>), String> {
        Err("this process does not fetch from elsewhere".into())
    }
}
