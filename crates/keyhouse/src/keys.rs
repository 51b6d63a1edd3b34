//! The keys and the credentials of a keyhouse: files sealed under its root key, in versions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailee_crypto::root::{RootKey, Unlock};
use bailee_crypto::seal::{SealingKey, aad};
use bailee_types::{SecretBytes, SecretText, Timestamp, random_bytes, random_text};
use bailee_wire::xks::Credential;
use parking_lot::Mutex;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use crate::Trouble;
use crate::files::{Print, print, put, trouble};

const IV_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// Credentials that are good at the same time: the old one and the new one.
const CREDENTIALS_MAX: usize = 2;
const VERSIONS_MAX: usize = 10_000;

/// Why a key does not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key of this name.
    #[error("there is no such key")]
    Missing,
    /// There is one of this name.
    #[error("there is a key of this name already")]
    Exists,
    /// A name of another form.
    #[error("a key's name has 1 to 128 letters, digits, `-`, `.` and `_`")]
    Name,
    /// It is disabled.
    #[error("the key is disabled")]
    Disabled,
    /// It is not for this.
    #[error("the key is not for this operation")]
    Usage,
    /// The ciphertext does not open.
    #[error("the ciphertext does not open: it was changed, or is bound to something else")]
    Ciphertext,
    /// The key's file does not open.
    #[error("the key's file is damaged")]
    Damaged,
    /// Two credentials are good already.
    #[error("there are two credentials already; remove one first")]
    Credentials,
    /// No such credential.
    #[error("there is no such credential")]
    NoCredential,
    /// Too many versions.
    #[error("the key has as many versions as a key can have")]
    Versions,
}

/// A key as its file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyInfo {
    /// Its name.
    pub id: String,
    /// `ENCRYPT`, `DECRYPT`.
    pub usage: Vec<String>,
    /// Whether it does anything.
    pub enabled: bool,
    /// When it was made.
    pub made: String,
    versions: Vec<String>,
}

impl KeyInfo {
    /// Versions, the first first.
    pub fn versions(&self) -> usize {
        self.versions.len()
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedCredential {
    id: String,
    made: String,
    sealed: String,
}

type Versions = HashMap<u32, Arc<LessSafeKey>>;

struct Held {
    print: Option<Print>,
    info: KeyInfo,
    open: Mutex<Versions>,
}

/// The folder's keys.
pub struct Store {
    folder: PathBuf,
    root: SealingKey,
    held: Mutex<HashMap<String, Arc<Held>>>,
    credentials: Mutex<Option<(Print, Arc<Vec<Credential>>)>>,
}

/// A ciphertext and what belongs to it.
pub(crate) struct Encrypted {
    pub(crate) iv: [u8; IV_LEN],
    pub(crate) tag: [u8; TAG_LEN],
    pub(crate) cipher: Vec<u8>,
    /// The key's version, four bytes.
    pub(crate) metadata: [u8; 4],
}

fn check_name(id: &str) -> Result<(), KeyError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    // No path: neither `..` nor a hidden file.
    if (1..=128).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with('.') {
        Ok(())
    } else {
        Err(KeyError::Name)
    }
}

fn key_aad(id: &str, version: u32) -> Vec<u8> {
    aad(&[b"bailee/keyhouse/key/v1", id.as_bytes(), &version.to_be_bytes()])
}

/// What GCM authenticates: the lengths keep apart what a caller could move from one to the other (specification, Encrypt).
fn bound(aad: &[u8], metadata: &[u8]) -> Option<Vec<u8>> {
    let (a, m) = (u16::try_from(aad.len()).ok()?, u8::try_from(metadata.len()).ok()?);
    Some([&a.to_be_bytes(), aad, &[m], metadata].concat())
}

impl Store {
    pub(crate) fn open(folder: &Path, unlock: &Unlock) -> Result<Self, Trouble> {
        let path = folder.join("root.key");
        if !path.exists() {
            return Err(Trouble::None(folder.display().to_string()));
        }
        let root = RootKey::load(&path, unlock)?.into_sealing_key();
        Ok(Self { folder: folder.to_owned(), root, held: Mutex::default(), credentials: Mutex::default() })
    }

    fn path(&self, id: &str) -> Result<PathBuf, KeyError> {
        check_name(id)?;
        Ok(self.folder.join("keys").join(format!("{id}.json")))
    }

    /// Makes a key.
    ///
    /// # Errors
    /// When there is one of this name, or the name has another form.
    pub fn add(&self, id: &str, usage: &[&str], now: Timestamp) -> Result<(), Trouble> {
        let path = self.path(id)?;
        if path.exists() {
            return Err(KeyError::Exists.into());
        }
        let usage = usage.iter().map(|&u| u.to_owned()).collect();
        let mut info =
            KeyInfo { id: id.to_owned(), usage, enabled: true, made: now.iso(), versions: Vec::new() };
        self.grow(&mut info)?;
        put(&path, &to_json(&info), true)
    }

    fn grow(&self, info: &mut KeyInfo) -> Result<(), KeyError> {
        if info.versions.len() >= VERSIONS_MAX {
            return Err(KeyError::Versions);
        }
        let version = info.versions.len() as u32 + 1;
        let material = SecretBytes::new(random_bytes::<32>().to_vec());
        info.versions.push(hex::encode(self.root.seal(&key_aad(&info.id, version), material.expose())));
        Ok(())
    }

    /// Gives a key a new version; the old ones go on to decrypt.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn rotate(&self, id: &str) -> Result<usize, Trouble> {
        let mut info = self.info(id)?;
        self.grow(&mut info)?;
        put(&self.path(id)?, &to_json(&info), false)?;
        Ok(info.versions.len())
    }

    /// Switches a key on or off. A server that runs sees it with its next request.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn enable(&self, id: &str, enabled: bool) -> Result<(), Trouble> {
        let mut info = self.info(id)?;
        info.enabled = enabled;
        put(&self.path(id)?, &to_json(&info), false)
    }

    /// A key's file.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn info(&self, id: &str) -> Result<KeyInfo, Trouble> {
        let path = self.path(id)?;
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(KeyError::Missing.into()),
            Err(e) => return Err(trouble(&path, e)),
        };
        let info: KeyInfo = serde_json::from_slice(&bytes).map_err(|_| KeyError::Damaged)?;
        if info.id == id && !info.versions.is_empty() { Ok(info) } else { Err(KeyError::Damaged.into()) }
    }

    /// All keys, by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<KeyInfo>, Trouble> {
        let folder = self.folder.join("keys");
        let mut out = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(|e| trouble(&folder, e))? {
            let name = entry.map_err(|e| trouble(&folder, e))?.file_name();
            if let Some(id) = name.to_str().and_then(|n| n.strip_suffix(".json")) {
                out.push(self.info(id)?);
            }
        }
        out.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(out)
    }

    fn held(&self, id: &str) -> Result<Arc<Held>, Trouble> {
        let print = print(&self.path(id)?);
        if let Some(held) = self.held.lock().get(id)
            && held.print == print
            && print.is_some()
        {
            return Ok(Arc::clone(held));
        }
        let held = Arc::new(Held { print, info: self.info(id)?, open: Mutex::default() });
        self.held.lock().insert(id.to_owned(), Arc::clone(&held));
        Ok(held)
    }

    fn version(&self, held: &Held, version: u32) -> Result<Arc<LessSafeKey>, KeyError> {
        if let Some(found) = held.open.lock().get(&version) {
            return Ok(Arc::clone(found));
        }
        let at = usize::try_from(version).ok().and_then(|v| v.checked_sub(1)).ok_or(KeyError::Ciphertext)?;
        let sealed = held.info.versions.get(at).ok_or(KeyError::Ciphertext)?;
        let sealed = hex::decode(sealed).map_err(|_| KeyError::Damaged)?;
        let material =
            self.root.open(&key_aad(&held.info.id, version), &sealed).map_err(|_| KeyError::Damaged)?;
        let key = UnboundKey::new(&AES_256_GCM, material.expose()).map_err(|_| KeyError::Damaged)?;
        let key = Arc::new(LessSafeKey::new(key));
        held.open.lock().insert(version, Arc::clone(&key));
        Ok(key)
    }

    fn usable(&self, id: &str, usage: &str) -> Result<Arc<Held>, Trouble> {
        let held = self.held(id)?;
        if !held.info.enabled {
            return Err(KeyError::Disabled.into());
        }
        if !held.info.usage.iter().any(|u| u == usage) {
            return Err(KeyError::Usage.into());
        }
        Ok(held)
    }

    /// Whether the key could do `usage` now: what is refused later is refused before it is recorded as allowed.
    pub(crate) fn expect(&self, id: &str, usage: &str) -> Result<(), Trouble> {
        self.usable(id, usage).map(drop)
    }

    pub(crate) fn encrypt(&self, id: &str, context: &[u8], plain: &[u8]) -> Result<Encrypted, Trouble> {
        let held = self.usable(id, "ENCRYPT")?;
        let version = held.info.versions.len() as u32;
        let key = self.version(&held, version)?;
        let (iv, metadata) = (random_bytes::<IV_LEN>(), version.to_be_bytes());
        let bound = bound(context, &metadata).ok_or(KeyError::Ciphertext)?;
        let mut cipher = plain.to_vec();
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(&bound), &mut cipher)
            .map_err(|_| KeyError::Damaged)?;
        let tag = tag.as_ref().try_into().map_err(|_| KeyError::Damaged)?;
        Ok(Encrypted { iv, tag, cipher, metadata })
    }

    pub(crate) fn decrypt(
        &self,
        id: &str,
        context: &[u8],
        (iv, tag, metadata): (&[u8], &[u8], &[u8]),
        cipher: &[u8],
    ) -> Result<SecretBytes, Trouble> {
        let held = self.usable(id, "DECRYPT")?;
        let wrong = KeyError::Ciphertext;
        let version = u32::from_be_bytes(metadata.try_into().map_err(|_| wrong)?);
        let iv: [u8; IV_LEN] = iv.try_into().map_err(|_| wrong)?;
        let key = self.version(&held, version)?;
        let bound = bound(context, metadata).ok_or(wrong)?;
        let mut whole = [cipher, tag].concat();
        let len = key
            .open_in_place(Nonce::assume_unique_for_key(iv), Aad::from(&bound), &mut whole)
            .map_err(|_| wrong)?
            .len();
        whole.truncate(len);
        Ok(SecretBytes::new(whole))
    }

    fn credentials_path(&self) -> PathBuf {
        self.folder.join("credentials.json")
    }

    fn sealed_credentials(&self) -> Result<Vec<SealedCredential>, Trouble> {
        let path = self.credentials_path();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| trouble(&path, e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(trouble(&path, e)),
        }
    }

    /// Makes a credential for the provider; its secret is told this once.
    ///
    /// # Errors
    /// When two are good already.
    pub fn add_credential(&self, now: Timestamp) -> Result<Credential, Trouble> {
        let mut all = self.sealed_credentials()?;
        if all.len() >= CREDENTIALS_MAX {
            return Err(KeyError::Credentials.into());
        }
        let id = format!("BKH{}", random_text(b"ABCDEFGHJKLMNPQRSTUVWXYZ234567", 17));
        let secret = SecretText::new(random_text(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            43,
        ));
        let place = aad(&[b"bailee/keyhouse/credential/v1", id.as_bytes()]);
        let sealed = hex::encode(self.root.seal(&place, secret.expose().as_bytes()));
        all.push(SealedCredential { id: id.clone(), made: now.iso(), sealed });
        put(&self.credentials_path(), &to_json(&all), false)?;
        Ok(Credential { id, secret })
    }

    /// Forgets a credential.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn remove_credential(&self, id: &str) -> Result<(), Trouble> {
        let mut all = self.sealed_credentials()?;
        let before = all.len();
        all.retain(|c| c.id != id);
        if all.len() == before {
            return Err(KeyError::NoCredential.into());
        }
        put(&self.credentials_path(), &to_json(&all), false)
    }

    /// Ids of credentials, and when each was made.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn credential_ids(&self) -> Result<Vec<(String, String)>, Trouble> {
        Ok(self.sealed_credentials()?.into_iter().map(|c| (c.id, c.made)).collect())
    }

    pub(crate) fn credentials(&self) -> Result<Arc<Vec<Credential>>, Trouble> {
        let now = print(&self.credentials_path());
        let mut held = self.credentials.lock();
        if let (Some((before, all)), Some(now)) = (held.as_ref(), now)
            && *before == now
        {
            return Ok(Arc::clone(all));
        }
        let mut all = Vec::new();
        for c in self.sealed_credentials()? {
            let place = aad(&[b"bailee/keyhouse/credential/v1", c.id.as_bytes()]);
            let sealed = hex::decode(&c.sealed).map_err(|_| KeyError::Damaged)?;
            let secret = self.root.open(&place, &sealed).map_err(|_| KeyError::Damaged)?;
            let secret = std::str::from_utf8(secret.expose()).map_err(|_| KeyError::Damaged)?.to_owned();
            all.push(Credential { id: c.id, secret: SecretText::new(secret) });
        }
        let all = Arc::new(all);
        *held = now.map(|now| (now, Arc::clone(&all)));
        Ok(all)
    }
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        RootKey::create(&folder.path().join("root.key")).unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        let store = Store::open(folder.path(), &Unlock::default()).unwrap();
        (folder, store)
    }

    fn said<T>(done: Result<T, Trouble>) -> KeyError {
        match done.err().unwrap() {
            Trouble::Key(e) => e,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_a_version_encrypted_it_decrypts_after_a_rotation_and_in_its_place_only() {
        let (_folder, store) = store();
        let now = Timestamp::from_secs(1);
        store.add("k1", &["ENCRYPT", "DECRYPT"], now).unwrap();
        assert_eq!(said(store.add("k1", &["ENCRYPT"], now)), KeyError::Exists);
        let e = store.encrypt("k1", b"place", b"secret").unwrap();
        store.rotate("k1").unwrap();
        let open = |aad: &[u8], metadata: &[u8], tag: &[u8]| {
            store.decrypt("k1", aad, (&e.iv, tag, metadata), &e.cipher)
        };
        assert_eq!(open(b"place", &e.metadata, &e.tag).unwrap().expose(), b"secret");
        assert_eq!(store.encrypt("k1", b"", b"x").unwrap().metadata, [0, 0, 0, 2]);
        for (aad, metadata, tag) in [
            (&b"other"[..], &e.metadata[..], &e.tag[..]),
            (b"place", &[0, 0, 0, 2], &e.tag),
            (b"place", &[0, 0, 0, 0], &e.tag),
            (b"place", &[0, 0, 0, 9], &e.tag),
            (b"place", &[], &e.tag),
            (b"place", &e.metadata, &[0; 16]),
            (b"place", &e.metadata, &[]),
        ] {
            assert_eq!(said(open(aad, metadata, tag)), KeyError::Ciphertext);
        }
    }

    /// Metadata that a caller moves into the additional data is not taken for the same (specification, Encrypt).
    #[test]
    fn metadata_and_additional_data_are_kept_apart() {
        assert_ne!(bound(b"", b"v1"), bound(b"v1", b""));
        assert_ne!(bound(b"v1", b""), bound(b"", b""));
        assert!(bound(&[0; 70_000], b"").is_none());
    }

    #[test]
    fn a_disabled_key_and_one_for_another_use_do_nothing() {
        let (_folder, store) = store();
        store.add("only-e", &["ENCRYPT"], Timestamp::from_secs(1)).unwrap();
        let e = store.encrypt("only-e", b"", b"x").unwrap();
        assert_eq!(
            said(store.decrypt("only-e", b"", (&e.iv, &e.tag, &e.metadata), &e.cipher)),
            KeyError::Usage
        );
        store.enable("only-e", false).unwrap();
        assert_eq!(said(store.encrypt("only-e", b"", b"x")), KeyError::Disabled);
        assert_eq!(said(store.encrypt("no", b"", b"x")), KeyError::Missing);
        for name in ["", "..", "../root", ".hidden", "a/b", "ä"] {
            assert_eq!(said(store.info(name)), KeyError::Name, "{name}");
        }
    }

    #[test]
    fn a_file_of_another_key_does_not_open_under_this_name() {
        let (folder, store) = store();
        store.add("a", &["ENCRYPT"], Timestamp::from_secs(1)).unwrap();
        store.add("b", &["ENCRYPT"], Timestamp::from_secs(1)).unwrap();
        let keys = folder.path().join("keys");
        let text = std::fs::read_to_string(keys.join("a.json")).unwrap();
        std::fs::write(keys.join("b.json"), &text).unwrap();
        assert_eq!(said(store.encrypt("b", b"", b"x")), KeyError::Damaged);
        std::fs::write(keys.join("b.json"), text.replace("\"a\"", "\"b\"")).unwrap();
        assert_eq!(said(store.encrypt("b", b"", b"x")), KeyError::Damaged);
    }

    #[test]
    fn two_credentials_are_good_and_no_third() {
        let (folder, store) = store();
        let now = Timestamp::from_secs(1);
        let one = store.add_credential(now).unwrap();
        store.add_credential(now).unwrap();
        assert_eq!(said(store.add_credential(now)), KeyError::Credentials);
        assert_eq!(store.credentials().unwrap().len(), 2);
        let text = std::fs::read_to_string(folder.path().join("credentials.json")).unwrap();
        assert!(!text.contains(one.secret.expose()));
        store.remove_credential(&one.id).unwrap();
        assert_eq!(store.credentials().unwrap().len(), 1);
        assert_eq!(said(store.remove_credential(&one.id)), KeyError::NoCredential);
    }
}
