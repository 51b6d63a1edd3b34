//! What a broker asks of the house that it stands before: who may come in, until when, and where to write down what passes.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bailee_types::{SecretBytes, SecretText, Timestamp};

/// The families of systems that a broker reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Hosts over SSH.
    Host,
    /// PostgreSQL databases.
    Database,
    /// Kubernetes API servers.
    Cluster,
    /// Other services over HTTP: YARN, WebHDFS.
    Service,
}

/// What a client showed of itself.
pub struct Hello<'a> {
    /// By which broker it came.
    pub family: Family,
    /// The session's name, `s-` and 16 characters.
    pub name: &'a str,
    /// The session's secret.
    pub secret: SecretText,
    /// Where it comes from.
    pub peer: IpAddr,
}

/// Lets sessions in.
pub trait Door: Send + Sync + 'static {
    /// A place at a session's table.
    type Seat: Seat;

    /// The seat of a client that showed a session's name and secret. A session may be entered several times while it lives, by
    /// several connections at once; all of them write into its one recording.
    fn enter(&self, hello: Hello<'_>) -> impl Future<Output = Result<Arc<Self::Seat>, Refused>> + Send;

    /// The address at which a broker may reach a host of a tenant, looked up now: what is connected to is what was looked at.
    /// For the brokers over HTTP, whose targets need a name for TLS and send clients on to further hosts.
    fn reach(&self, host: &str, port: u16) -> impl Future<Output = Result<SocketAddr, Refused>> + Send;
}

/// One connection of a session: what it may reach, and where what passes is written down.
pub trait Seat: Send + Sync + 'static {
    /// What stands at the other end, and what the grant allows there.
    fn target(&self) -> &Target;

    /// The session's name.
    fn session(&self) -> &str;

    /// The grant's id; goes into the credential made for the target, so that the target's own log can be matched.
    fn grant(&self) -> &str;

    /// Who acts, as the tenant sees him (`emp-…`).
    fn operator(&self) -> &str;

    /// The first instant at which the grant allows nothing any more.
    fn until(&self) -> Timestamp;

    /// Writes a frame into the recording, in the order of the calls. When it answers, the frame survives this process.
    fn record(&self, frame: Frame<'_>) -> impl Future<Output = Result<(), Ended>> + Send;

    /// Resolves when the session must end, with the reason; at once when it has ended. May be awaited by many.
    fn ended(&self) -> impl Future<Output = Ended> + Send;
}

/// From where a frame comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The operator's client sent it; it goes to the target.
    Client,
    /// The target sent it; it goes to the client.
    Target,
    /// The broker's own note: a JSON object that says what happens (a command begins, a statement with its parameters, how it
    /// ended). Its `kind` member says which.
    Note,
}

/// A piece of what passes.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// From where.
    pub side: Side,
    /// Which connection and channel of the session, as the broker counts them; notes name it too.
    pub channel: u32,
    /// The bytes exactly as they pass, or the note's JSON.
    pub bytes: &'a [u8],
}

/// What stands at the other end, how to reach it, and what the grant allows there.
#[derive(Clone, Debug)]
pub enum Target {
    /// A host over SSH.
    Host {
        /// `host:port`.
        address: String,
        /// Its host keys in OpenSSH's form (`ssh-ed25519 AAAA…`), at least one: another key ends the session.
        host_keys: Vec<String>,
        /// The user to log in as.
        login: String,
        /// The seed of the tenant's certificate authority (Ed25519, 32 bytes): the host trusts its public key.
        authority: SecretBytes,
        /// A shell with a terminal.
        shell: bool,
        /// Commands without a terminal (`ssh host command`).
        exec: bool,
        /// Files out of the host: sftp reads (and the scp that speaks sftp).
        download: bool,
        /// Files into the host.
        upload: bool,
    },
    /// A PostgreSQL database.
    Database {
        /// `host:port`.
        address: String,
        /// The database.
        database: String,
        /// A role that may create roles and belongs to what it hands on.
        admin: String,
        /// Its password.
        password: SecretText,
        /// Roles of the target that carry the grant's rights; the session's role becomes a member of them and of nothing else.
        roles: Vec<String>,
        /// Whether transactions are read-only.
        read_only: bool,
        /// The longest that a statement may run, milliseconds.
        statement_ms: u32,
        /// Whether values of parameters are left out of notes (their bytes stay in the recording).
        mask: bool,
    },
    /// A Kubernetes API server.
    Cluster {
        /// `https://host:port`, or `http://` on this machine.
        address: String,
        /// Certificates that it is believed by, PEM; empty: the public ones.
        ca_pem: String,
        /// The broker's token: may impersonate, nothing else.
        token: SecretText,
        /// What may be asked: verbs × resources × namespaces × names.
        rules: Vec<ClusterRule>,
    },
    /// A service over HTTP.
    Service {
        /// `https://host:port/base`, or `http://` on this machine.
        address: String,
        /// Certificates that it is believed by, PEM; empty: the public ones.
        ca_pem: String,
        /// A header that the target wants, `Authorization: …`; none for open ones.
        authorization: Option<SecretText>,
        /// Whether it is WebHDFS: redirects lead back to the broker, user names are stripped.
        webhdfs: bool,
        /// What may be asked.
        rules: Vec<ServiceRule>,
    },
}

/// What a grant allows at a Kubernetes API server. `*` as a whole word stands for all.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterRule {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verbs: Vec<String>,
    /// `pods`, `pods/log`, `pods/exec`, `deployments.apps`.
    pub resources: Vec<String>,
    /// Namespaces; empty: what lies in none.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Names; empty: all.
    #[serde(default)]
    pub names: Vec<String>,
}

/// What a grant allows at a service over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRule {
    /// `GET`, `PUT`, …
    pub methods: Vec<String>,
    /// A path; `*` at its end stands for any rest.
    pub path: String,
    /// For WebHDFS: the `op` values, `LISTSTATUS`, `OPEN`.
    #[serde(default)]
    pub ops: Vec<String>,
}

/// Why a client was not let in. The text says nothing of what is not his.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Why a session ended, as the client and the recording are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Ended(pub String);
