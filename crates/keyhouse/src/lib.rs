//! The key service that a tenant runs at home: keys that a provider uses only by asking, one data key at a time.
//!
//! It speaks AWS's XKS proxy API (see [`bailee_wire::xks`]), so a provider needs nothing of ours to use it, and ours needs
//! nothing of Bailee to be a proxy. What it adds: people of the provider must show a grant that the tenant's own approver
//! signed, and the record of their intent with its place in the tenant's log. Both are checked here, by the tenant.
//! INVARIANT: without a rule that allows it, nothing is encrypted or decrypted.
//! INVARIANT: a decision is on disk, in the journal, before its answer leaves.
//! INVARIANT: a key's material leaves the process sealed only.

mod approver;
mod config;
mod files;
mod http;
mod journal;
mod judge;
mod keys;
mod service;

pub use approver::{new_approver, read_approver};
pub use bailee_crypto::root::{Protection, Unlock};
pub use bailee_proof::grant::{Covers, GrantStatement};
pub use config::{Config, ConfigError, Needs, Rule, first_config};
pub use http::{Bound, Tls, bind};
pub use journal::{Checked, JournalError, check_journal, read_journal};
pub use keys::{KeyError, KeyInfo, Store};
pub use service::{Asked, Keyhouse, Said};

/// Why a keyhouse cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A file cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        why: String,
    },
    /// The folder holds one already.
    #[error("{0} holds a keyhouse already")]
    Exists(String),
    /// The folder holds none.
    #[error("{0} holds no keyhouse: make one with `bailee keyhouse init`")]
    None(String),
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its root key.
    #[error(transparent)]
    Root(#[from] bailee_crypto::root::RootError),
}
