//! Under what the root key lies: put under a passphrase or an HSM, backed up, restored. Each stands in the provider's own log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailee_crypto::root::{Protection, RootKey, Unlock};
use bailee_crypto::seal::SealingKey;
use bailee_store::{Db, StoreError, Tx};
use bailee_types::{Arn, TenantId};
use serde_json::json;

use super::{Keys, rows, setting_aad, tenant_aad};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, HouseConfig};

/// Writes the root key under something, in place of the file that is there, or as a copy elsewhere.
pub struct WriteRootKey {
    /// The file.
    pub path: PathBuf,
    /// Under what.
    pub protection: Protection,
    /// The new passphrase, or the token's PIN.
    pub unlock: Unlock,
    /// Whether it is a copy: then the file must not exist.
    pub backup: bool,
}

fn root_asked(action: &'static str, protection: &Protection) -> Asked {
    let provider = TenantId::provider();
    Asked {
        action,
        resource: Arn::own(&provider, "root-key"),
        resource_type: "ACS::Bailee::RootKey",
        class: Class::Management { write: true },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(json!({ "protection": protection.to_string() })),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
        tenant: provider,
    }
}

fn administrator(intent: &Intent) -> Result<(), Failure> {
    if intent.caller().tenant().is_some() || intent.caller().is_operator() {
        return Err(Failure::Conflict("the root key is the machine's administrator's".into()));
    }
    Ok(())
}

impl Operation for WriteRootKey {
    type Output = ();

    fn asks(&self) -> Asked {
        let action = if self.backup { "bailee:BackUpRootKey" } else { "bailee:ProtectRootKey" };
        root_asked(action, &self.protection)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        administrator(intent)?;
        let key = house.keys.root_key();
        on_thread(move || {
            key.write(&self.path, &self.protection, &self.unlock, !self.backup)
                .map_err(|e| Failure::Conflict(e.to_string()))
        })
        .await
    }
}

/// What is derived from the root key and must stay what it is, since stored values hang on it: names that tenants know operators
/// by, hashes of passwords, hashes of recovery codes and handles of passkeys.
const STAY: [&str; 3] = ["bailee/pseudonym/v1", "bailee/password-pepper/v1", "bailee/recovery-code/v1"];

/// Whoever was at work within this time (ms) may be so still.
const AT_WORK_MS: i64 = 30_000;

/// Makes a new root key and seals everything under it that lay under the old one. No server may run.
pub struct RenewRootKey {
    /// The root key's file.
    pub path: PathBuf,
    /// Under what the new one lies.
    pub protection: Protection,
    /// What opens it.
    pub unlock: Unlock,
}

fn next_path(path: &Path) -> PathBuf {
    path.with_file_name("root.key.next")
}

impl Operation for RenewRootKey {
    type Output = ();

    fn asks(&self) -> Asked {
        root_asked("bailee:RenewRootKey", &self.protection)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        administrator(intent)?;
        let told = |e: bailee_crypto::root::RootError| Failure::Conflict(e.to_string());
        let new = RootKey::of(SealingKey::random());
        let (check, key) = (new.fingerprint(), new.sealing_key());
        let next = next_path(&self.path);
        // Beside the old one first: from the commit on, it is what opens the house.
        let (beside, path) = (next.clone(), self.path.clone());
        on_thread(move || new.write(&beside, &self.protection, &self.unlock, true).map_err(told)).await?;
        let (inner, old_check) = (Arc::clone(house), house.keys.check_value());
        let now = house.now();
        let done = house
            .db
            .write(move |tx| {
                if !rows::replace_check(tx, &old_check, &check)? {
                    return Err(Failure::Conflict("the root key was renewed by somebody else".into()));
                }
                if crate::gate::others_at_work(tx, &inner.instance, now.plus_ms(-AT_WORK_MS))? {
                    return Err(Failure::Conflict(
                        "another server or command was at work within the last 30 seconds: stop all servers, wait \
                         so long, and try again"
                            .into(),
                    ));
                }
                inner.keys.reseal_all(tx, &key)?;
                crate::identity::reseal(tx, &inner.keys.credential_key(), &credentials(&key))
            })
            .await;
        if let Err(e) = done {
            // Where nobody knows whether it was committed the new file stays: the next start sees which one opens the house.
            let kept = house.db.read(|tx| rows::root_check(tx).map_err(Failure::from)).await;
            if kept.is_ok_and(|check| check == house.keys.check_value()) {
                let _ = std::fs::remove_file(&next);
            }
            return Err(e);
        }
        house.db.forget_deleted().await?;
        on_thread(move || bailee_crypto::root::take_place(&next, &path).map_err(told)).await
    }
}

async fn on_thread(work: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Result<(), Failure> {
    // Argon2 and tokens take their time.
    tokio::task::spawn_blocking(work).await.map_err(|e| Failure::Bug(e.to_string()))?
}

fn credentials(root: &SealingKey) -> SealingKey {
    root.derive(super::CREDENTIALS, b"")
}

impl Keys {
    /// Seals under a new root key what lies under this one: tenants' keys, settings, and what must stay what it is.
    fn reseal_all(&self, tx: &mut Tx<'_>, new: &SealingKey) -> Result<(), Failure> {
        for (tenant, number, sealed) in rows::every_version(tx)? {
            let place = tenant_aad(&tenant, number);
            let plain = self.root.open(&place, &sealed).map_err(|_| {
                Failure::Damaged(format!("the key of tenant `{tenant}`, version {number}, does not open"))
            })?;
            rows::reseal(&mut tx.tenant(&tenant), number, &new.seal(&place, plain.expose()))?;
        }
        for (name, sealed) in rows::every_kept(tx)? {
            let damaged = || Failure::Damaged(format!("the sealed setting `{name}` does not open"));
            let sealed = hex::decode(sealed).map_err(|_| damaged())?;
            let plain = self.root.open(&setting_aad(&name), &sealed).map_err(|_| damaged())?;
            rows::keep(tx, &name, &hex::encode(new.seal(&setting_aad(&name), plain.expose())))?;
        }
        for purpose in STAY.into_iter().filter(|p| !self.carried.contains_key(*p)) {
            let sealed = new.seal_key(&setting_aad(purpose), &self.root.derive(purpose, b""));
            rows::keep(tx, purpose, &hex::encode(sealed))?;
        }
        Ok(())
    }

    /// Opens what stayed what it was when the root key was renewed.
    pub(crate) fn carry(&mut self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        for purpose in STAY {
            let Some(sealed) = rows::kept(tx, purpose)? else { continue };
            let opened = hex::decode(sealed)
                .ok()
                .and_then(|sealed| self.root.open(&setting_aad(purpose), &sealed).ok())
                .and_then(|plain| SealingKey::from_bytes(plain.expose()).ok());
            let damaged = || Failure::Damaged(format!("the kept key `{purpose}` does not open"));
            self.carried.insert(purpose.to_owned(), opened.ok_or_else(damaged)?);
        }
        Ok(())
    }
}

/// The root key that `check` tells of. A renewal that was cut after its commit is brought to its end.
pub(crate) fn load_root(config: &HouseConfig, check: &str) -> Result<RootKey, Failure> {
    let told = |e: bailee_crypto::root::RootError| Failure::Conflict(e.to_string());
    let path = config.root_key_path();
    let next = next_path(&path);
    let root = RootKey::load(&path, &config.unlock).map_err(told)?;
    if root.fingerprint() == check {
        return Ok(root);
    }
    if next.exists() {
        let new = RootKey::load(&next, &config.unlock).map_err(told)?;
        if new.fingerprint() == check {
            bailee_crypto::root::take_place(&next, &path).map_err(told)?;
            return Ok(new);
        }
    }
    Err(Failure::Conflict("root.key belongs to another house: with it nothing here could be opened".into()))
}

impl House {
    /// Under what the root key of a house lies, and whether it opens with what was given. The house need not be open.
    ///
    /// # Errors
    /// When the file is missing, may be read by others, or is none.
    pub fn root_protection(config: &HouseConfig) -> Result<(Protection, bool), Failure> {
        let path = config.root_key_path();
        let protection = RootKey::protection(&path).map_err(|e| Failure::Conflict(e.to_string()))?;
        Ok((protection, RootKey::load(&path, &config.unlock).is_ok()))
    }

    /// Puts a copy of the root key back, if it is of this house. The house must not be open.
    ///
    /// # Errors
    /// When the copy does not open, is of another house, or cannot be written.
    pub fn restore_root_key(
        config: &HouseConfig,
        copy: &std::path::Path,
        unlock: &Unlock,
    ) -> Result<(), Failure> {
        let told = |e: bailee_crypto::root::RootError| Failure::Conflict(e.to_string());
        let key = RootKey::load(copy, unlock).map_err(told)?;
        let protection = RootKey::protection(copy).map_err(told)?;
        let db = Db::open(config.db.clone())?;
        let known = db.write_blocking(|tx| {
            let row = tx.query_opt("SELECT value FROM setting WHERE name = 'root.check'", &[])?;
            row.map(|r| Ok::<_, StoreError>(r.text(0)?.to_owned())).transpose()
        })?;
        if known.as_deref() != Some(key.fingerprint().as_str()) {
            return Err(Failure::Conflict(
                "the copy is of another house's root key: with it nothing here could be opened".into(),
            ));
        }
        key.write(&config.root_key_path(), &protection, unlock, true).map_err(told)
    }
}
