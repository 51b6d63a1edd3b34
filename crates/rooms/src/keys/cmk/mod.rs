//! KMS: keys that a tenant makes, uses and destroys (contract §5).
//!
//! Material lies sealed under the tenant's key. A key that was used stays opened in memory for a moment, so that
//! encrypting and decrypting touch no storage; each second it is looked at again whether it was changed.
//! INVARIANT: a key that is disabled, waits for its deletion or has no material does nothing.
//! INVARIANT: a ciphertext opens under its key, version, tenant and encryption context only.
//! Uses by the tenant are data events: they are counted, and each hour the counts become a record of the tenant's log.

mod import;
mod keeper;
mod manage;
mod opened;
mod rows;
mod store;
mod uses;

use std::sync::Arc;

use bailee_crypto::cmk::CmkError;
use bailee_types::{Arn, KeyId, KeyVersionId, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

pub use bailee_crypto::cmk::{MacAlgorithm, PublicKey, SignAlgorithm, Spec, Usage, WrapAlgorithm};
pub(super) use import::reseal;
pub use import::{DeleteMaterial, ImportMaterial, ImportParameters, PrepareImport};
pub(crate) use keeper::{destroy_all, keep};
pub use manage::{
    AliasName, CancelDeletion, CreateAlias, CreateKey, CreateVersion, DeleteAlias, DescribeKey,
    DescribeVersion, ListAliases, ListKeyUses, ListKeys, ListTagged, ListTags, ListVersions, Paged,
    RemoveTags, ScheduleDeletion, SetEnabled, SetKeyTags, SetProtection, SetRotation, UpdateAlias,
    UpdateDescription,
};
pub(super) use manage::{expect_key, on_key};
pub(super) use opened::Opened;
pub use store::{
    CreateKeyStore, DeleteKeyStore, KeyStore, LEASE_S_MAX, ListKeyStores, STORES_MAX, StoreProblem,
    StoreSettings, TestKeyStore, UpdateKeyStore,
};
pub use uses::{
    CONTEXT_BYTES_MAX, Ciphertext, Context, Decrypt, DecryptWith, Encrypt, EncryptTo, ExportKey,
    GenerateDataKey, KeyMac, PublicHalf, ReEncrypt, ReEncryptFrom, Sign, Used, Verify, VerifyKeyMac,
};

/// Keys of one tenant.
pub const KEYS_MAX: u64 = 10_000;
/// Versions of one key.
pub const VERSIONS_MAX: u64 = 1_000;
/// Aliases of one tenant.
pub const ALIASES_MAX: u64 = 10_000;
/// Tags of one key.
pub const KEY_TAGS_MAX: usize = 20;
/// Bytes that `Encrypt` takes.
pub const PLAINTEXT_MAX: usize = 6 * 1024;

/// Whose material it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// Made here.
    Own,
    /// Brought by the tenant.
    External,
    /// It lies in a key service of the tenant's and never comes here.
    Store,
}

impl KeyOrigin {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "Aliyun_KMS",
            Self::External => "EXTERNAL",
            Self::Store => "EXTERNAL_KEY_STORE",
        }
    }
}

/// What a key can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Everything.
    Enabled,
    /// Nothing, until it is enabled.
    Disabled,
    /// Nothing; it will be destroyed.
    PendingDeletion,
    /// Nothing; it has no material.
    PendingImport,
}

impl KeyState {
    const ALL: [Self; 4] = [Self::Enabled, Self::Disabled, Self::PendingDeletion, Self::PendingImport];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
            Self::PendingImport => "PendingImport",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A key as it is told.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// What kind of key it is.
    pub spec: Spec,
    /// What it is for.
    pub usage: Usage,
    /// Whose material it is.
    pub origin: KeyOrigin,
    /// What it can do now.
    pub state: KeyState,
    /// Free text.
    pub description: String,
    /// Who made it.
    pub creator: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it will be destroyed.
    pub delete_at: Option<Timestamp>,
    /// Whether it cannot be scheduled for deletion, and why.
    pub protected: Option<String>,
    /// Seconds between rotations.
    pub rotation_s: Option<i64>,
    /// When it was rotated last.
    pub rotated_at: Option<Timestamp>,
    /// When it will be rotated.
    pub rotate_at: Option<Timestamp>,
    /// The version that encrypts.
    pub primary: KeyVersionId,
    /// When the material that the tenant brought ends.
    pub material_until: Option<Timestamp>,
    /// In which key store it lies, and under which name there.
    pub lies_at: Option<(String, String)>,
    pub(super) material_print: Option<String>,
    pub(super) revision: i64,
}

/// Why a key does not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// Its state does not allow it.
    #[error("the key is in the state {}", .0.name())]
    State(KeyState),
    /// It is protected from deletion.
    #[error("the key is protected from deletion; take the protection off first")]
    Protected,
    /// A bucket is in its custody.
    #[error(
        "a bucket lies in custody under the key, and without it nobody could read what is there; end the custody first"
    )]
    Custody,
    /// Its spec or usage does not offer that.
    #[error("the key's spec or usage does not offer this")]
    Unsupported,
    /// It concerns keys of the other origin only.
    #[error("this is not for keys of this origin")]
    Origin,
    /// What came as material does not open, has a wrong length, or is not what was brought before.
    #[error(
        "the key material does not open, has a wrong length, or is not the material that the key had first"
    )]
    Material,
    /// The token is none of this key.
    #[error("the import token is none of this key")]
    Token,
    /// The token is too old.
    #[error("the import token has expired; ask for new import parameters")]
    TokenExpired,
    /// The ciphertext does not open.
    #[error("the ciphertext does not open: it was changed, or the encryption context is another")]
    Ciphertext,
    /// The customer's key is not the one that was used.
    #[error("the customer key is not the one that the object was written with")]
    Customer,
    /// The object is under a key of KMS, and its rules let somebody in who has no right to the key.
    #[error("the object is under a key of KMS, which only the account's own people use")]
    Stranger,
    /// A rotation of the secret is under way.
    #[error(
        "the secret is being rotated: its AccessKey of before still works; try again when that has ended, or delete that one"
    )]
    Rotating,
    /// It concerns secrets of another type.
    #[error("{0}")]
    SecretType(&'static str),
    /// The tenant's key store.
    #[error(transparent)]
    Store(#[from] StoreProblem),
}

/// Reads a public key to which a data key is exported: SubjectPublicKeyInfo DER of the kind that `spec` names.
///
/// # Errors
/// When it is not such a key.
pub fn read_public_key(spec: &str, der: &[u8]) -> Result<PublicKey, Failure> {
    Ok(PublicKey::read(spec, der)?)
}

/// Encrypts a data key to such a key.
///
/// # Errors
/// When the algorithm is not the key's, or the data key is too long for it.
pub fn export_to(to: &PublicKey, algorithm: WrapAlgorithm, plain: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(to.encrypt(algorithm, plain)?)
}

impl From<CmkError> for Failure {
    fn from(e: CmkError) -> Self {
        match e {
            CmkError::Algorithm => Self::Key(KeyProblem::Unsupported),
            CmkError::Open => Self::Key(KeyProblem::Ciphertext),
            CmkError::Length => Self::invalid("Plaintext", "has a length that the algorithm does not take"),
            CmkError::PublicKey => {
                Self::invalid("PublicKeyBlob", "is not a public key of the spec that was named (DER, base64)")
            }
            CmkError::Material => Self::Damaged("a key's material is not a key of its spec".into()),
            CmkError::Make => Self::Bug("a key could not be made".into()),
        }
    }
}

/// One act on keys. [`KeyAct::of`] makes it an [`Operation`] of a tenant.
pub trait KeyAct: Send + 'static {
    /// What it answers.
    type Output: Send + 'static;
    /// How the trail treats it.
    const CLASS: Class;
    /// Whether it uses a key or tells a secret: then the tenant alone does it, whoever else the gate lets pass.
    const TENANT_ONLY: bool = matches!(Self::CLASS, Class::Data);

    /// The policy action.
    fn action(&self) -> &'static str;

    /// What it is done to, behind `acs:kms:<region>:<tenant>:`.
    fn on(&self) -> String;

    /// What else is touched.
    fn also(&self) -> Vec<String> {
        Vec::new()
    }

    /// Parameters for the event; never secrets.
    fn detail(&self) -> Value {
        json!({})
    }

    /// Keys for the conditions of policies.
    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        Vec::new()
    }

    /// The act itself.
    fn run(self, cx: &KeyCx<'_>) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// What the outcome record says beside its result.
    fn outcome(_output: &Self::Output) -> Value {
        json!({})
    }

    /// The act as an operation of a tenant.
    fn of(self, tenant: &TenantId, house: &House) -> KeyOf<Self>
    where
        Self: Sized,
    {
        let region = house.provider().region.as_str().to_owned();
        KeyOf { tenant: tenant.clone(), region, act: self }
    }
}

/// What an act on keys works with.
pub struct KeyCx<'a> {
    pub(super) house: &'a Arc<House>,
    pub(super) tenant: &'a TenantId,
    /// Under what it is done.
    intent: &'a Intent,
}

impl KeyCx<'_> {
    pub(super) fn intent(&self) -> &Intent {
        self.intent
    }

    /// Who acts, for the key's row.
    fn creator(&self) -> String {
        let caller = self.intent.caller();
        caller.arn().unwrap_or_else(|| caller.name().to_owned())
    }
}

/// An act on a tenant's keys.
pub struct KeyOf<A> {
    tenant: TenantId,
    region: String,
    act: A,
}

impl<A: KeyAct> Operation for KeyOf<A> {
    type Output = A::Output;

    // A use of a key changes nothing but counters.
    const MAY_STOP_ANYWHERE: bool = matches!(A::CLASS, Class::Data);

    fn asks(&self) -> Asked {
        let on = self.act.on();
        let resource_type = match on.split('/').next() {
            Some("alias") => "ACS::KMS::Alias",
            Some("secret") => "ACS::KMS::Secret",
            Some("keystore") => "ACS::KMS::KeyStore",
            _ => "ACS::KMS::Key",
        };
        let arn = |relative: &str| Arn::kms(&self.tenant, &self.region, relative);
        Asked {
            tenant: self.tenant.clone(),
            action: self.act.action(),
            resource: arn(&on),
            resource_type,
            class: A::CLASS,
            // No grant is for keys: an operator uses none.
            touches: if A::CLASS == Class::Data { Touches::Content } else { Touches::Metadata },
            ticket: None,
            parameters: parameters(self.act.detail()),
            continues: None,
            also: self.act.also().iter().map(|relative| arn(relative)).collect(),
            conditions: self.act.conditions(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<A::Output, Failure> {
        if A::TENANT_ONLY && intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Bug(format!(
                "`{}` was asked for by another than the tenant",
                self.act.action()
            )));
        }
        self.act.run(&KeyCx { house, tenant: &self.tenant, intent }).await
    }

    fn outcome_detail(output: &A::Output) -> Map<String, Value> {
        parameters(A::outcome(output))
    }
}

/// How a key is named by a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// By its id.
    Id(KeyId),
    /// By an alias.
    Alias(AliasName),
}

impl KeyName {
    /// Reads an id, `alias/<name>`, or an ARN of either.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let relative = match Arn::parse(text) {
            Ok(arn) if arn.service() == "kms" => arn.relative().to_owned(),
            _ => text.to_owned(),
        };
        let id = relative.strip_prefix("key/").unwrap_or(&relative);
        if relative.starts_with("alias/") {
            return AliasName::parse(&relative).map(Self::Alias);
        }
        KeyId::parse(id).map(Self::Id).map_err(|_| Failure::not_found(Thing::Key, short(text)))
    }
}

/// What a caller wrote, short enough for an error.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

impl House {
    /// The id of a tenant's key by any of its names. Whether it exists is found out by who uses it.
    ///
    /// # Errors
    /// When there is no such alias, or the name is none.
    pub async fn key_named(&self, tenant: &TenantId, name: &str) -> Result<KeyId, Failure> {
        match KeyName::parse(name)? {
            KeyName::Id(id) => Ok(id),
            KeyName::Alias(alias) => self.alias_target(tenant, &alias).await,
        }
    }
}

impl House {
    /// Keys that rotate by themselves: all, and those that are more than a day late.
    pub(crate) async fn late_rotations(&self) -> Result<(u64, u64), Failure> {
        let before = self.now().plus_ms(-86_400_000);
        self.db.read(move |tx| rows::rotations(tx, before).map_err(Failure::from)).await
    }
}
