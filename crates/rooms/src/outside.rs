//! The network, handed in: what the rooms fetch from elsewhere (an issuer's keys) goes through here, so that a test can
//! be the outside and a server can say whom it talks to.

use async_trait::async_trait;

/// Bytes of an answer, at most.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

const NOWHERE: &str = "this process does not fetch from elsewhere";

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

    /// Posts bytes and answers whatever status came.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    async fn submit(&self, _post: Post) -> Result<Answer, String> {
        Err(NOWHERE.into())
    }

    /// Sends frames over TLS to a server that a tenant named, each with its length in front (RFC 6587 §3.4.1), and ends the
    /// connection in order.
    ///
    /// # Errors
    /// Why they were not all handed over, for people.
    async fn send_frames(&self, _to: TlsLines) -> Result<(), String> {
        Err(NOWHERE.into())
    }

    /// As [`Outside::get`], with `trusted` as in [`Post`].
    ///
    /// # Errors
    /// As [`Outside::get`].
    async fn fetch_at(&self, _address: &str, _trusted: bool) -> Result<Vec<u8>, String> {
        Err(NOWHERE.into())
    }
}

/// What is posted where.
#[derive(Clone, Debug)]
pub struct Post {
    /// The address.
    pub address: String,
    /// Further headers, by their lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the provider named the address, not a tenant: then it may be of this machine and its networks, without TLS.
    pub trusted: bool,
}

/// Frames for a server over TLS.
#[derive(Clone, Debug)]
pub struct TlsLines {
    /// `host:port`.
    pub address: String,
    /// What to send.
    pub frames: Vec<Vec<u8>>,
    /// PEM of the roots to trust; empty for the public list.
    pub roots: String,
}

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, at most [`ANSWER_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

/// No outside at all: every fetch is refused.
pub struct NoOutside;

#[async_trait]
impl Outside for NoOutside {
    async fn get(&self, _address: &str) -> Result<Vec<u8>, String> {
        Err(NOWHERE.into())
    }

    async fn post(
        &self,
        _address: &str,
        _form: &str,
        _authorization: Option<&str>,
    ) -> Result<(u16, Vec<u8>), String> {
        Err(NOWHERE.into())
    }
}
