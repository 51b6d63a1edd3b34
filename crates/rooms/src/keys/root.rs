//! Under what the root key lies: put under a passphrase or an HSM, backed up, restored. Each stands in the provider's own log.

use std::path::PathBuf;
use std::sync::Arc;

use bailee_crypto::root::{Protection, RootKey, Unlock};
use bailee_store::{Db, StoreError};
use bailee_types::{Arn, TenantId};
use serde_json::json;

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

impl Operation for WriteRootKey {
    type Output = ();

    fn asks(&self) -> Asked {
        let provider = TenantId::provider();
        Asked {
            action: if self.backup { "bailee:BackUpRootKey" } else { "bailee:ProtectRootKey" },
            resource: Arn::own(&provider, "root-key"),
            resource_type: "ACS::Bailee::RootKey",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "protection": self.protection.to_string() })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
            tenant: provider,
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant().is_some() || intent.caller().is_operator() {
            return Err(Failure::Conflict("the root key is the machine's administrator's".into()));
        }
        let key = house.keys.root_key();
        // Argon2 and tokens take their time.
        tokio::task::spawn_blocking(move || {
            key.write(&self.path, &self.protection, &self.unlock, !self.backup)
        })
        .await
        .map_err(|e| Failure::Bug(e.to_string()))?
        .map_err(|e| Failure::Conflict(e.to_string()))
    }
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
