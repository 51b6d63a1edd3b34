//! An approver's key: a file that only he may read, by which he signs grants on his own machine.
//!
//! ```text
//! bailee-approver-key-v1
//! name <name>
//! ed25519 <seed, 64 lower-case hex digits>
//! ```

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bailee_proof::note::Signer;
use bailee_types::{SecretText, random_bytes};

use crate::Trouble;
use crate::files::{put, trouble};

const FIRST: &str = "bailee-approver-key-v1";

/// Makes a key and writes its file, which must not be there.
///
/// # Errors
/// When the name cannot be a key's, or the file cannot be written.
pub fn new_approver(path: &Path, name: &str) -> Result<Signer, Trouble> {
    let seed: [u8; 32] = random_bytes();
    let signer = Signer::from_seed(name, &seed).map_err(|e| trouble(path, e))?;
    let text = SecretText::new(format!("{FIRST}\nname {name}\ned25519 {}\n", hex::encode(seed)));
    put(path, text.expose().as_bytes(), true)?;
    Ok(signer)
}

/// Reads a key's file.
///
/// # Errors
/// When it is none, or others may read it.
pub fn read_approver(path: &Path) -> Result<Signer, Trouble> {
    let mode = std::fs::metadata(path).map_err(|e| trouble(path, e))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(trouble(
            path,
            format!("it may be read or changed by others (mode {mode:04o}): chmod 600 it"),
        ));
    }
    let text = SecretText::new(std::fs::read_to_string(path).map_err(|e| trouble(path, e))?);
    let parsed = || {
        let mut lines = text.expose().lines();
        let first = lines.next()?;
        let name = lines.next()?.strip_prefix("name ")?;
        let seed = hex::decode(lines.next()?.strip_prefix("ed25519 ")?).ok()?;
        let seed: [u8; 32] = seed.try_into().ok()?;
        (first == FIRST && lines.next().is_none()).then(|| Signer::from_seed(name, &seed).ok()).flatten()
    };
    parsed().ok_or_else(|| trouble(path, "it is no approver's key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alice.key");
        let made = new_approver(&path, "alice@acme").unwrap();
        assert_eq!(read_approver(&path).unwrap().verifier(), made.verifier());
        assert!(new_approver(&path, "alice@acme").is_err());
        assert!(new_approver(&folder.path().join("b"), "two words").is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_approver(&path).err().unwrap().to_string().contains("chmod 600"));
        std::fs::write(folder.path().join("x"), "hello").unwrap();
        std::fs::set_permissions(folder.path().join("x"), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read_approver(&folder.path().join("x")).err().unwrap().to_string().contains("no approver"));
    }
}
