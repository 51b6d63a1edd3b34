//! The root key: one file, readable by its owner alone; in clear, under a passphrase, or under a key in an HSM.
//!
//! ```text
//! bailee-root-key-v1\n <64 hex digits>\n
//! bailee-root-key-v2\n argon2id <KiB> <passes> <lanes> <salt, hex>\n <sealed, hex>\n
//! bailee-root-key-v3\n pkcs11 <token> <key> <module>\n <IV ‖ ciphertext ‖ tag, hex>\n
//! ```
//! The first two lines are associated data of what is sealed.
//! Refuses: a file that others may read or write, a symbolic link's looser target, any other form.
//! INVARIANT: a file is replaced whole, by one that was written beside it, synced, and opened again with what was given: there is
//! always one that opens.

mod hsm;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use bailee_types::{SecretBytes, SecretText, random_bytes};
use zeroize::Zeroize;

use crate::seal::SealingKey;

const V1: &str = "bailee-root-key-v1";
const V2: &str = "bailee-root-key-v2";
const V3: &str = "bailee-root-key-v3";
const FILE_LEN_MAX: u64 = 8 * 1024;
/// Argon2id of new files: 64 MiB, 4 passes, 1 lane; RFC 9106 asks for 64 MiB and 3 where memory is short.
const COST: (u32, u32, u32) = (64 * 1024, 4, 1);
/// What a file may ask for: 2 GiB, 64 passes, 16 lanes.
const COST_MAX: (u32, u32, u32) = (2 * 1024 * 1024, 64, 16);
/// Characters of a passphrase at least.
const PASSPHRASE_MIN: usize = 12;

/// The key that everything else hangs on.
pub struct RootKey(SealingKey);

/// What opens a root key that does not lie in clear.
#[derive(Clone, Debug, Default)]
pub struct Unlock {
    /// For a file under a passphrase.
    pub passphrase: Option<SecretText>,
    /// For a token behind PKCS#11.
    pub pin: Option<SecretText>,
}

/// Under what a root key lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing but the file's mode.
    Clear,
    /// A passphrase.
    Passphrase,
    /// A key in an HSM.
    Hsm {
        /// The PKCS#11 module.
        module: PathBuf,
        /// The token's label.
        token: String,
        /// The key's label.
        key: String,
    },
}

impl std::fmt::Display for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clear => f.write_str("in clear, behind the file's mode"),
            Self::Passphrase => f.write_str("under a passphrase"),
            Self::Hsm { module, token, key } => {
                write!(f, "under the key `{key}` in the token `{token}` ({})", module.display())
            }
        }
    }
}

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
        "the root key {path} is damaged: it must hold a line `bailee-root-key-v1` to `-v3` and what belongs to it"
    )]
    Form {
        /// The file.
        path: String,
    },
    /// A passphrase is needed.
    #[error(
        "the root key {path} is under a passphrase: give it with --root-passphrase-file (or `-` for standard input)"
    )]
    NeedsPassphrase {
        /// The file.
        path: String,
    },
    /// The passphrase is another one.
    #[error(
        "the passphrase does not open the root key {path}. A lost passphrase cannot be recovered by anybody: without it, or a backup \
         under another one (`bailee root restore`), nothing in this house can be opened"
    )]
    Passphrase {
        /// The file.
        path: String,
    },
    /// The passphrase is too short.
    #[error("a passphrase has at least {PASSPHRASE_MIN} characters, on one line")]
    Weak,
    /// A PIN is needed.
    #[error("the root key {path} is under a key in an HSM: give the token's PIN with --root-pin-file")]
    NeedsPin {
        /// The file.
        path: String,
    },
    /// The token does not open it.
    #[error("the HSM of the root key: {0}")]
    Hsm(String),
}

impl RootKey {
    /// Makes a new root key in a file that must not exist, durable before it is used.
    ///
    /// # Errors
    /// When the file exists or cannot be written and synced.
    pub fn create(path: &Path) -> Result<Self, RootError> {
        let key = SealingKey::random();
        let text = clear(&key);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.expose().as_bytes())?;
            file.sync_all()?;
            sync_folder(path)
        })();
        written.map_err(|e: std::io::Error| RootError::Io { path: shown(path), why: e.to_string() })?;
        Ok(Self(key))
    }

    /// Reads a root key.
    ///
    /// # Errors
    /// When the file is missing, may be read by others, or has another form; when what opens it is missing or wrong.
    pub fn load(path: &Path, unlock: &Unlock) -> Result<Self, RootError> {
        let mut bytes = read(path)?;
        let key = Form::parse(&bytes)
            .ok_or_else(|| RootError::Form { path: shown(path) })
            .and_then(|form| form.open(path, unlock));
        bytes.zeroize();
        key.map(Self)
    }

    /// Under what a file's key lies; it is not opened.
    ///
    /// # Errors
    /// When the file is missing, may be read by others, or has another form.
    pub fn protection(path: &Path) -> Result<Protection, RootError> {
        let mut bytes = read(path)?;
        let form = Form::parse(&bytes).map(|form| form.protection());
        bytes.zeroize();
        form.ok_or_else(|| RootError::Form { path: shown(path) })
    }

    /// Writes the key into a file, under something; a file that is there is replaced whole when `replace` says so.
    ///
    /// # Errors
    /// When the file exists and shall not be replaced, cannot be written, or what protects it is missing or refused.
    pub fn write(
        &self,
        path: &Path,
        protection: &Protection,
        unlock: &Unlock,
        replace: bool,
    ) -> Result<(), RootError> {
        let text = match protection {
            Protection::Clear => clear(&self.0),
            Protection::Passphrase => {
                let passphrase = unlock
                    .passphrase
                    .as_ref()
                    .ok_or_else(|| RootError::NeedsPassphrase { path: shown(path) })?;
                under_passphrase(&self.0, passphrase)?
            }
            Protection::Hsm { module, token, key } => {
                let pin = unlock.pin.as_ref().ok_or_else(|| RootError::NeedsPin { path: shown(path) })?;
                under_hsm(&self.0, (module, token, key), pin)?
            }
        };
        let io = |e: std::io::Error| RootError::Io { path: shown(path), why: e.to_string() };
        if !replace && path.exists() {
            return Err(io(std::io::Error::other("it exists already")));
        }
        // A name of its own: nothing that somebody else put there is touched.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.with_file_name(format!(".{name}.{}", hex_text(&random_bytes::<8>())));
        let written = self
            .write_beside(&beside, &text, unlock)
            .and_then(|()| std::fs::rename(&beside, path).and_then(|()| sync_folder(path)).map_err(io));
        if written.is_err() {
            // It may be there no more, or never have been.
            let _ = std::fs::remove_file(&beside);
        }
        written
    }

    /// Writes a new file and reads it again: what does not open with what was given is no protection but a loss.
    fn write_beside(&self, path: &Path, text: &SecretText, unlock: &Unlock) -> Result<(), RootError> {
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.expose().as_bytes())?;
            file.sync_all()
        })();
        written.map_err(|e: std::io::Error| RootError::Io { path: shown(path), why: e.to_string() })?;
        if Self::load(path, unlock)?.fingerprint() == self.fingerprint() {
            return Ok(());
        }
        Err(RootError::Form { path: shown(path) })
    }

    /// A value that tells two root keys apart and tells nothing about either.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    /// The root key that this key is.
    pub fn of(key: SealingKey) -> Self {
        Self(key)
    }

    /// The key as what it is used for, beside this one.
    pub fn sealing_key(&self) -> SealingKey {
        self.0.clone()
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

/// Puts a key's file in the place of another, durably.
///
/// # Errors
/// When the folder cannot be written.
pub fn take_place(new: &Path, path: &Path) -> Result<(), RootError> {
    let done = std::fs::rename(new, path).and_then(|()| sync_folder(path));
    done.map_err(|e| RootError::Io { path: shown(path), why: e.to_string() })
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RootError> {
    let io = |e: std::io::Error| RootError::Io { path: shown(path), why: e.to_string() };
    let file = File::open(path).map_err(io)?;
    // The mode of the file that is open, not of whatever the path names a moment later.
    let mode = file.metadata().map_err(io)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(RootError::Open { path: shown(path), mode });
    }
    let mut bytes = Vec::with_capacity(FILE_LEN_MAX as usize);
    file.take(FILE_LEN_MAX).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn hex_text(bytes: &[u8]) -> String {
    let mut out = String::new();
    hex_of(bytes, &mut out);
    out
}

fn hex_of(bytes: &[u8], out: &mut String) {
    bytes.iter().for_each(|byte| out.push_str(&format!("{byte:02x}")));
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(plain) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok()).collect()
}

/// Room for the digits from the beginning: a text that grows leaves copies behind.
fn clear(key: &SealingKey) -> SecretText {
    let mut text = String::with_capacity(96);
    text.push_str(V1);
    text.push('\n');
    hex_of(key.expose(), &mut text);
    text.push('\n');
    SecretText::new(text)
}

fn sealed_text(head: &str, sealed: &[u8]) -> SecretText {
    let mut text = String::with_capacity(head.len() + 2 * sealed.len() + 1);
    text.push_str(head);
    hex_of(sealed, &mut text);
    text.push('\n');
    SecretText::new(text)
}

fn passphrase_key(
    passphrase: &SecretText,
    (memory, passes, lanes): (u32, u32, u32),
    salt: &[u8],
) -> Option<SealingKey> {
    let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
    let mut out = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase.expose().as_bytes(), salt, &mut out).ok()?;
    let key = SealingKey::from_bytes(&out).ok();
    out.zeroize();
    key
}

fn under_passphrase(key: &SealingKey, passphrase: &SecretText) -> Result<SecretText, RootError> {
    if passphrase.expose().chars().count() < PASSPHRASE_MIN || passphrase.expose().contains(char::is_control)
    {
        return Err(RootError::Weak);
    }
    let salt = random_bytes::<16>();
    let (memory, passes, lanes) = COST;
    let mut head = format!("{V2}\nargon2id {memory} {passes} {lanes} ");
    hex_of(&salt, &mut head);
    head.push('\n');
    let wrap = passphrase_key(passphrase, COST, &salt).ok_or(RootError::Weak)?;
    Ok(sealed_text(&head, &wrap.seal(head.as_bytes(), key.expose())))
}

fn is_label(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn under_hsm(
    key: &SealingKey,
    (module, token, label): (&Path, &str, &str),
    pin: &SecretText,
) -> Result<SecretText, RootError> {
    let named = module.to_str().filter(|m| m.starts_with('/') && !m.contains(char::is_control));
    let named = named.ok_or_else(|| RootError::Hsm("the module must be an absolute path".into()))?;
    if !is_label(token) || !is_label(label) {
        return Err(RootError::Hsm("labels have 1 to 32 letters, digits, `.`, `_` and `-`".into()));
    }
    let head = format!("{V3}\npkcs11 {token} {label} {named}\n");
    let sealed = hsm::Token::open(module, token, pin)
        .and_then(|t| t.seal(label, head.as_bytes(), key.expose()))
        .map_err(RootError::Hsm)?;
    Ok(sealed_text(&head, &sealed))
}

/// A file, read.
enum Form<'t> {
    Clear(SealingKey),
    Passphrase { head: &'t str, cost: (u32, u32, u32), salt: Vec<u8>, sealed: Vec<u8> },
    Hsm { head: &'t str, token: &'t str, key: &'t str, module: &'t str, sealed: Vec<u8> },
}

impl<'t> Form<'t> {
    fn parse(bytes: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (version, rest) = text.split_once('\n')?;
        let (first, last) = match version {
            V1 => ("", rest),
            _ => rest.split_once('\n')?,
        };
        let digits = last.strip_suffix('\n')?;
        let head = text.get(..text.len() - last.len())?;
        match version {
            V1 if digits.len() == 64 => {
                let key = SecretBytes::new(unhex(digits)?);
                SealingKey::from_bytes(key.expose()).ok().map(Self::Clear)
            }
            V2 => {
                let fields: Vec<&str> = first.split(' ').collect();
                let &["argon2id", memory, passes, lanes, salt] = fields.as_slice() else { return None };
                let cost = (memory.parse().ok()?, passes.parse().ok()?, lanes.parse().ok()?);
                let salt = unhex(salt).filter(|s| s.len() == 16)?;
                let bounded = cost.0 <= COST_MAX.0 && cost.1 <= COST_MAX.1 && cost.2 <= COST_MAX.2;
                bounded.then_some(Self::Passphrase { head, cost, salt, sealed: unhex(digits)? })
            }
            V3 => {
                let mut fields = first.splitn(4, ' ');
                let (Some("pkcs11"), Some(token), Some(key), Some(module)) =
                    (fields.next(), fields.next(), fields.next(), fields.next())
                else {
                    return None;
                };
                let good = is_label(token) && is_label(key) && module.starts_with('/');
                good.then_some(Self::Hsm { head, token, key, module, sealed: unhex(digits)? })
            }
            _ => None,
        }
    }

    fn protection(&self) -> Protection {
        match self {
            Self::Clear(_) => Protection::Clear,
            Self::Passphrase { .. } => Protection::Passphrase,
            Self::Hsm { token, key, module, .. } => Protection::Hsm {
                module: PathBuf::from(module),
                token: (*token).to_owned(),
                key: (*key).to_owned(),
            },
        }
    }

    fn open(self, path: &Path, unlock: &Unlock) -> Result<SealingKey, RootError> {
        let form = || RootError::Form { path: shown(path) };
        match self {
            Self::Clear(key) => Ok(key),
            Self::Passphrase { head, cost, salt, sealed } => {
                let passphrase = unlock
                    .passphrase
                    .as_ref()
                    .ok_or_else(|| RootError::NeedsPassphrase { path: shown(path) })?;
                let wrap = passphrase_key(passphrase, cost, &salt).ok_or_else(form)?;
                let plain = wrap
                    .open(head.as_bytes(), &sealed)
                    .map_err(|_| RootError::Passphrase { path: shown(path) })?;
                SealingKey::from_bytes(plain.expose()).map_err(|_| form())
            }
            Self::Hsm { head, token, key, module, sealed } => {
                let pin = unlock.pin.as_ref().ok_or_else(|| RootError::NeedsPin { path: shown(path) })?;
                let plain = hsm::Token::open(Path::new(module), token, pin)
                    .and_then(|t| t.open_sealed(key, head.as_bytes(), &sealed))
                    .map_err(RootError::Hsm)?;
                SealingKey::from_bytes(plain.expose()).map_err(|_| form())
            }
        }
    }
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
        let read = RootKey::load(&path, &Unlock::default()).unwrap().into_sealing_key();
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
            let error = RootKey::load(&path, &Unlock::default()).unwrap_err().to_string();
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
            let error = RootKey::load(&path, &Unlock::default()).unwrap_err().to_string();
            assert!(error.contains("is damaged"), "{error}");
            assert!(!error.contains(&whole[20..40]), "{error}");
        }
    }

    fn with(passphrase: &str) -> Unlock {
        Unlock { passphrase: Some(SecretText::new(passphrase.into())), pin: None }
    }

    #[test]
    fn a_passphrase_is_needed_and_no_other_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let key = RootKey::create(&path).unwrap();
        let good = with("correct horse battery");
        assert!(matches!(
            key.write(&path, &Protection::Passphrase, &with("short"), true),
            Err(RootError::Weak)
        ));
        assert!(matches!(key.write(&path, &Protection::Passphrase, &good, false), Err(RootError::Io { .. })));
        key.write(&path, &Protection::Passphrase, &good, true).unwrap();
        assert_eq!(RootKey::protection(&path).unwrap(), Protection::Passphrase);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RootKey::load(&path, &good).unwrap().fingerprint(), key.fingerprint());
        let needs = RootKey::load(&path, &Unlock::default());
        assert!(matches!(needs, Err(RootError::NeedsPassphrase { .. })));
        let lost = RootKey::load(&path, &with("correct horse batterx")).unwrap_err().to_string();
        assert!(lost.contains("cannot be recovered"), "{lost}");
        // Each changed character is found, and none makes it panic or wait for ever.
        let whole = std::fs::read_to_string(&path).unwrap();
        let salt_at = whole.find("\n").unwrap() + 20;
        for at in [5, 22, salt_at + 12, whole.len() - 3] {
            let mut changed = whole.clone().into_bytes();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            std::fs::write(&path, changed).unwrap();
            assert!(RootKey::load(&path, &good).is_err(), "{at}");
        }
        std::fs::write(&path, whole.replace("argon2id 65536", "argon2id 4000000000")).unwrap();
        assert!(matches!(RootKey::load(&path, &good), Err(RootError::Form { .. })));
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let key = RootKey::create(&path).unwrap();
        std::fs::write(folder.path().join("root.new"), "somebody's").unwrap();
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        let good = with("correct horse battery");
        // A folder stands where the file shall be; the passphrase for reading is not there.
        for (to, unlock) in [("taken", &good), ("root.key", &Unlock::default())] {
            let refused = key.write(&folder.path().join(to), &Protection::Passphrase, unlock, true);
            assert!(refused.is_err(), "{to}");
        }
        key.write(&path, &Protection::Passphrase, &good, true).unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["root.key", "root.new", "taken"]);
        assert_eq!(std::fs::read_to_string(folder.path().join("root.new")).unwrap(), "somebody's");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(text in "(bailee-root-key-v[123]\n)?(argon2id|pkcs11)? ?[ -~\n]{0,200}") {
            let _ = Form::parse(text.as_bytes());
        }
    }
}
