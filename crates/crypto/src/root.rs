//! The root key: one file, readable by its owner alone.
//!
//! The file is text: `bailee-root-key-v1`, a newline, 64 hex digits, a newline.
//! Refuses: a file that others may read or write, a symbolic link's looser target, any other form. A passphrase or an
//! HSM in front of it comes with the keys issue.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use bailee_types::{SecretBytes, SecretText};
use zeroize::Zeroize;

use crate::seal::SealingKey;

const FIRST_LINE: &str = "bailee-root-key-v1";
const FILE_LEN_MAX: u64 = 256;

/// The key that everything else hangs on.
pub struct RootKey(SealingKey);

/// Why a root key could not be made or read. Never shows anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The file cannot be read or written.
    #[error("the root key {path}: {why}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        why: String,
    },
    /// Others may read or change it.
    #[error(
        "the root key {path} may be read or changed by others (mode {mode:04o}): chmod 600 it, and if it lay open for long, make a new house"
    )]
    Open {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// It is no root key.
    #[error(
        "the root key {path} is damaged: it must hold `bailee-root-key-v1` and 64 hex digits on two lines"
    )]
    Form {
        /// The file.
        path: String,
    },
}

impl RootKey {
    /// Makes a new root key in a file that must not exist, durable before it is used.
    ///
    /// # Errors
    /// When the file exists or cannot be written and synced.
    pub fn create(path: &Path) -> Result<Self, RootError> {
        let key = SealingKey::random();
        let mut text = String::with_capacity(96);
        text.push_str(FIRST_LINE);
        text.push('\n');
        for byte in key.expose() {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
        let text = SecretText::new(text);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.expose().as_bytes())?;
            file.sync_all()?;
            match path.parent().filter(|p| !p.as_os_str().is_empty()) {
                Some(folder) => File::open(folder)?.sync_all(),
                None => File::open(".")?.sync_all(),
            }
        })();
        written.map_err(|e: std::io::Error| RootError::Io { path: shown(path), why: e.to_string() })?;
        Ok(Self(key))
    }

    /// Reads a root key.
    ///
    /// # Errors
    /// When the file is missing, may be read by others, or has another form.
    pub fn load(path: &Path) -> Result<Self, RootError> {
        let io = |e: std::io::Error| RootError::Io { path: shown(path), why: e.to_string() };
        let file = File::open(path).map_err(io)?;
        // The mode of the file that is open, not of whatever the path names a moment later.
        let mode = file.metadata().map_err(io)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(RootError::Open { path: shown(path), mode });
        }
        let mut bytes = Vec::with_capacity(FILE_LEN_MAX as usize);
        file.take(FILE_LEN_MAX).read_to_end(&mut bytes).map_err(io)?;
        let key = parse(&bytes);
        bytes.zeroize();
        key.map(Self).ok_or_else(|| RootError::Form { path: shown(path) })
    }

    /// The key as what it is used for.
    pub fn into_sealing_key(self) -> SealingKey {
        self.0
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

fn parse(bytes: &[u8]) -> Option<SealingKey> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.strip_prefix(FIRST_LINE)?.strip_prefix('\n')?.strip_suffix('\n')?;
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    let mut key = Vec::with_capacity(32);
    for i in (0..64).step_by(2) {
        key.push(u8::from_str_radix(digits.get(i..i + 2)?, 16).ok()?);
    }
    let key = SecretBytes::new(key);
    SealingKey::from_bytes(key.expose()).ok()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_reads_back_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let made = RootKey::create(&path).unwrap().into_sealing_key();
        let read = RootKey::load(&path).unwrap().into_sealing_key();
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(RootKey::create(&path), Err(RootError::Io { .. })));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_and_its_text_stays_out_of_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        RootKey::create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = RootKey::load(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_damaged_file_is_refused_without_showing_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        RootKey::create(&path).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        for bad in [
            String::new(),
            whole.replace('\n', ""),
            whole.to_uppercase(),
            whole[..40].to_owned(),
            format!("{whole}x"),
        ] {
            std::fs::write(&path, &bad).unwrap();
            let error = RootKey::load(&path).unwrap_err().to_string();
            assert!(error.contains("is damaged"), "{error}");
            assert!(!error.contains(&whole[20..40]), "{error}");
        }
    }
}
