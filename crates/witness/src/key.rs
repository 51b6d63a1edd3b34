//! The file with a witness's keys.
//!
//! ```text
//! bailee-witness-key/v1
//! name witness.example/w1
//! ed25519 <seed, 64 lower-case hex digits>
//! mldsa44 <seed>                               optional: a second line in each answer
//! ```
//! INVARIANT: the file is for its owner alone: one that others can read is refused.

use std::path::Path;

use bailee_proof::hash::{Hash, from_hex};
use bailee_proof::note::{KeyError, Signer};

use crate::disk;

/// A witness's keys.
#[derive(Debug)]
pub struct WitnessKey {
    /// By which it cosigns: Ed25519 (type 04) first.
    pub signers: Vec<Signer>,
}

/// Why a key file was refused or not made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system.
    #[error("the key file `{path}`: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("the key file `{0}` can be read by others: run `chmod 600` on it, and better make a new key")]
    Open(String),
    /// Other lines.
    #[error(
        "the key file must have the lines `bailee-witness-key/v1`, `name <name>`, `ed25519 <hex>` and maybe `mldsa44 <hex>`"
    )]
    Form,
    /// The name or the seed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(String),
}

impl WitnessKey {
    /// Reads a key file.
    ///
    /// # Errors
    /// When it is not there, others can read it, or it has another form.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let io = |source| KeyFileError::Io { path: path.display().to_string(), source };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).map_err(io)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(KeyFileError::Open(path.display().to_string()));
            }
        }
        Self::parse(&std::fs::read_to_string(path).map_err(io)?)
    }

    /// Makes new keys and writes their file, which must not be there yet.
    ///
    /// # Errors
    /// When the name cannot name a key or the file cannot be made.
    pub fn create(path: &Path, name: &str, mldsa44: bool) -> Result<Self, KeyFileError> {
        let mut text = format!("bailee-witness-key/v1\nname {name}\n");
        for kind in if mldsa44 { &["ed25519", "mldsa44"][..] } else { &["ed25519"] } {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|e| KeyFileError::Random(e.to_string()))?;
            text.push_str(&format!("{kind} {}\n", Hash(seed)));
        }
        let key = Self::parse(&text)?;
        disk::create_secret(path, text.as_bytes())
            .map_err(|source| KeyFileError::Io { path: path.display().to_string(), source })?;
        Ok(key)
    }

    fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut lines = text.strip_suffix('\n').unwrap_or_default().split('\n');
        if lines.next() != Some("bailee-witness-key/v1") {
            return Err(KeyFileError::Form);
        }
        let mut next = |prefix: &str| lines.next().and_then(|l| l.strip_prefix(prefix));
        let name = next("name ").ok_or(KeyFileError::Form)?;
        let seed = next("ed25519 ").and_then(from_hex).ok_or(KeyFileError::Form)?;
        let mut signers = vec![Signer::witness_from_seed(name, &seed.0)?];
        if let Some(line) = lines.next() {
            let seed = line.strip_prefix("mldsa44 ").and_then(from_hex).ok_or(KeyFileError::Form)?;
            signers.push(Signer::mldsa44_from_seed(name, &seed.0)?);
        }
        if lines.next().is_some() { Err(KeyFileError::Form) } else { Ok(Self { signers }) }
    }

    /// The public halves, one vkey a line.
    pub fn vkeys(&self) -> String {
        self.signers.iter().map(|s| format!("{}\n", s.verifier())).collect()
    }
}
