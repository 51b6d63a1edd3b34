//! The network, handed in: what the rooms fetch from elsewhere (an issuer's keys) goes through here, so that a test can
//! be the outside and a server can say whom it talks to.

use async_trait::async_trait;
use bailee_types::{SecretBytes, SecretText};

use crate::notices::Mail;

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

    /// Hands a mail to the provider's mail server.
    ///
    /// # Errors
    /// Why it was not taken, for people.
    async fn mail(&self, _mail: Mail) -> Result<(), String> {
        Err("this process sends no mail".into())
    }

    /// As [`Outside::get`], with `trusted` as in [`Post`].
    ///
    /// # Errors
    /// As [`Outside::get`].
    async fn fetch_at(&self, _address: &str, _trusted: bool) -> Result<Vec<u8>, String> {
        Err(NOWHERE.into())
    }

    /// Asks a tenant's key service (AWS's XKS proxy API, version 1), about one of its keys where one is named.
    ///
    /// # Errors
    /// Why it did not do it.
    async fn external(
        &self,
        _service: &KeyService,
        _key: Option<&str>,
        _by: &ExternalFor,
        _ask: ExternalAsk,
    ) -> Result<ExternalAnswer, ExternalNo> {
        Err(ExternalNo::Unreachable(NOWHERE.into()))
    }
}

/// A key service that a tenant runs.
#[derive(Clone, Debug)]
pub struct KeyService {
    /// The address, with `/kms/xks/v1`.
    pub address: String,
    /// Who signs.
    pub credential_id: String,
    /// His secret.
    pub secret: SecretText,
    /// The region to sign for.
    pub region: String,
    /// PEM of the roots to trust; empty for the public list.
    pub roots: String,
}

/// For whom and why a key service is asked.
#[derive(Clone, Debug)]
pub struct ExternalFor {
    /// Who, as an ARN.
    pub principal: String,
    /// Our name of the key; empty where there is none yet.
    pub key_arn: String,
    /// What we were asked to do.
    pub operation: &'static str,
    /// The request's id.
    pub request: String,
    /// The service in between, `oss`.
    pub via: String,
    /// What somebody of the provider shows.
    pub evidence: Option<ShownEvidence>,
}

/// That a tenant let somebody of the provider, and that his intent stands in the tenant's log.
#[derive(Clone, Debug)]
pub struct ShownEvidence {
    /// Why.
    pub reason: &'static str,
    /// The grant, as the tenant's approver signed it.
    pub grant: String,
    /// The intent's record and its place.
    pub intent: String,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum ExternalAsk {
    /// How the service is.
    Health,
    /// What a key is.
    Metadata,
    /// To encrypt.
    Encrypt {
        /// What.
        plain: SecretBytes,
        /// To what it is bound.
        bound: Vec<u8>,
    },
    /// To decrypt.
    Decrypt {
        /// What.
        cipher: ExternalCipher,
        /// To what it is bound.
        bound: Vec<u8>,
    },
}

/// What a key service encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalCipher {
    /// 12 or 16 bytes.
    pub iv: Vec<u8>,
    /// The service's own, at most 20 bytes.
    pub metadata: Vec<u8>,
    /// 16 bytes.
    pub tag: Vec<u8>,
    /// As long as the plaintext.
    pub cipher: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum ExternalAnswer {
    /// How the service is, for people.
    Health(String),
    /// What the key is.
    Metadata {
        /// `AES_256`.
        spec: String,
        /// `ENCRYPT`, `DECRYPT`, ….
        usage: Vec<String>,
        /// Whether it does anything.
        enabled: bool,
    },
    /// The ciphertext; its digest, when there was one, fits.
    Encrypted(ExternalCipher),
    /// The plaintext.
    Plain(SecretBytes),
}

/// Why a key service did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalNo {
    /// No answer.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// An answer that the protocol does not have.
    #[error("an answer that cannot be used: {0}")]
    Answer(String),
    /// The service says no: the error's name, and what it says to it.
    #[error("{0}: {1}")]
    Refused(String, String),
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
