//! Secrets: values in versions, read under the tenant's policies and on record in its log.
//!
//! A value is sealed under the key of KMS that its secret names, else under the tenant's own key, and bound to tenant, secret
//! and version. `ACSCurrent` and `ACSPrevious` name the newest two; others are the tenant's to place. A secret that holds
//! a user's AccessKey changes it by itself ([`rotate`]).
//! INVARIANT: each stage names one version at most; a version that nobody names goes when there are more than
//! [`VERSIONS_MAX`].

mod filter;
pub mod rotate;
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_crypto::seal::aad;
use bailee_store::TenantTx;
use bailee_types::{KeyId, SecretBytes, TenantId, Timestamp};
use serde_json::{Value, json};

use super::cmk::{Context, KeyAct, KeyCx, KeyProblem, KeyState, Paged};
use super::policy::{self, Guarded};
use super::{Resealed, TenantKey};
use crate::gate::Class;
use crate::vault::check_tags;
use crate::{Failure, House, Thing};
pub use filter::Filter;
use rotate::{Holds, OfUser, Rotates};

/// Versions of one secret.
pub const VERSIONS_MAX: usize = 10;
/// Secrets of one tenant.
pub const SECRETS_MAX: u64 = 10_000;
/// Bytes of one value.
pub const VALUE_MAX: usize = 30_720;
const STAGES_MAX: usize = 8;
const TAGS_MAX: usize = 20;
const DAY_MS: i64 = 86_400_000;

/// The stage of the newest value.
pub const CURRENT: &str = "ACSCurrent";
/// The stage of the one before.
pub const PREVIOUS: &str = "ACSPrevious";

const READ: Class = Class::Management { write: false };
const WRITE: Class = Class::Management { write: true };

/// 1 to 192 letters, digits, and `_/+=.@-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// Reads a name, or the ARN of a secret.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let own = match bailee_types::Arn::parse(text) {
            Ok(arn) if arn.service() == "kms" => {
                arn.relative().strip_prefix("secret/").unwrap_or_default().to_owned()
            }
            _ => text.to_owned(),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_/+=.@-".contains(&b);
        if (1..=192).contains(&own.len()) && own.bytes().all(plain) {
            return Ok(Self(own));
        }
        Err(Failure::invalid("SecretName", "must be 1 to 192 letters, digits or of `_/+=.@-`"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SecretName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a value is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// As text.
    Text,
    /// As base64.
    Binary,
}

impl DataType {
    /// The name on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

/// A secret without its values.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its name.
    pub name: SecretName,
    /// Free text.
    pub description: String,
    /// The key of KMS that seals it.
    pub key: Option<KeyId>,
    /// The tenant's own settings, JSON.
    pub config: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// When it will be destroyed.
    pub delete_at: Option<Timestamp>,
    /// What it holds.
    pub holds: Holds,
    /// How it rotates.
    pub rotates: Rotates,
}

/// A version without its value.
#[derive(Clone, Debug)]
pub struct VersionInfo {
    /// As the tenant called it.
    pub id: String,
    /// How it is to be read.
    pub data_type: DataType,
    /// What names it.
    pub stages: Vec<String>,
    /// When it was put.
    pub created_at: Timestamp,
}

/// A new value.
#[derive(Debug)]
pub struct NewValue {
    /// What the version is called.
    pub version: String,
    /// The value.
    pub data: SecretBytes,
    /// How it is to be read.
    pub data_type: DataType,
}

fn check_version(id: &str) -> Result<(), Failure> {
    if (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Failure::invalid("VersionId", "must be 1 to 64 printable characters without blanks"))
}

fn check_stage(stage: &str) -> Result<(), Failure> {
    check_version(stage)
        .map_err(|_| Failure::invalid("VersionStage", "must be 1 to 64 printable characters without blanks"))
}

fn check_value(value: &NewValue) -> Result<(), Failure> {
    check_version(&value.version)?;
    if value.data.expose().is_empty() || value.data.expose().len() > VALUE_MAX {
        return Err(Failure::invalid("SecretData", format!("must have 1 to {VALUE_MAX} bytes")));
    }
    Ok(())
}

fn check_texts(description: &str, config: &str) -> Result<(), Failure> {
    if description.len() > 8_192 {
        return Err(Failure::invalid("Description", "has more than 8192 bytes"));
    }
    if config.len() > 8_192
        || !(config.is_empty() || serde_json::from_str::<serde_json::Map<String, Value>>(config).is_ok())
    {
        return Err(Failure::invalid("ExtendedConfig", "must be a JSON object of at most 8192 bytes"));
    }
    Ok(())
}

pub(super) fn on(name: &SecretName) -> String {
    format!("secret/{name}")
}

fn value_aad(tenant: &TenantId, name: &SecretName, version: &str) -> Vec<u8> {
    aad(&[b"bailee/secret/v1", tenant.as_str().as_bytes(), name.as_str().as_bytes(), version.as_bytes()])
}

/// What a value sealed under a key of KMS is bound to.
fn context(name: &SecretName, version: &str) -> Context {
    Context::from([
        ("bailee:secret".to_owned(), name.to_string()),
        ("bailee:version".to_owned(), version.to_owned()),
    ])
}

fn find(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<Secret, Failure> {
    rows::find(tx, name)?.ok_or_else(|| Failure::not_found(Thing::Secret, name))
}

pub(super) fn expect_secret(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<(), Failure> {
    find(tx, name).map(drop)
}

/// A secret that is not about to be destroyed.
fn live(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<Secret, Failure> {
    let secret = find(tx, name)?;
    if secret.delete_at.is_some() {
        return Err(Failure::Key(KeyProblem::State(KeyState::PendingDeletion)));
    }
    Ok(secret)
}

impl KeyCx<'_> {
    async fn seal_value(
        &self,
        secret: &SecretName,
        key: Option<&KeyId>,
        value: &NewValue,
    ) -> Result<rows::VersionRow, Failure> {
        let info = VersionInfo {
            id: value.version.clone(),
            data_type: value.data_type,
            stages: Vec::new(),
            created_at: self.house.now(),
        };
        if let Some(key) = key {
            let (version, sealed) =
                self.seal_for_secret(key, value.data.expose(), &context(secret, &value.version)).await?;
            return Ok(rows::VersionRow { info, sealed, key_version: Some(version), tenant_key_version: 0 });
        }
        let opener = self.house.tenant_key(self.tenant).await?;
        let sealed = opener.seal_cmk(&value_aad(self.tenant, secret, &value.version), value.data.expose());
        Ok(rows::VersionRow { info, sealed, key_version: None, tenant_key_version: opener.version() })
    }

    async fn open_value(&self, secret: &Secret, row: &rows::VersionRow) -> Result<SecretBytes, Failure> {
        let name = &secret.name;
        match (&secret.key, &row.key_version) {
            (Some(key), Some(version)) => {
                self.open_for_secret(key, version, &row.sealed, &context(name, &row.info.id)).await
            }
            _ => {
                let opener = self.house.tenant_key_version(self.tenant, row.tenant_key_version).await?;
                opener.open_cmk(&value_aad(self.tenant, name, &row.info.id), &row.sealed)
            }
        }
    }
}

/// Values of one commit.
const RESEAL: u64 = 200;

/// Seals values that lie under the tenant's own key anew, where it is an older version of it.
pub(super) async fn reseal(
    house: &House,
    tenant: &TenantId,
    opener: &Arc<TenantKey>,
) -> Result<Resealed, Failure> {
    let mut all = Resealed::default();
    for table in rows::SEALED {
        let mut after = (String::new(), String::new());
        loop {
            let (of, opener, from) = (tenant.clone(), Arc::clone(opener), after.clone());
            let (done, last) = house
                .db
                .write(move |tx| {
                    let (mut tx, mut done) = (tx.tenant(&of), Resealed::default());
                    let batch = rows::own_values(&mut tx, table, (&from.0, &from.1), RESEAL)?;
                    for (name, version, sealed) in &batch {
                        let parsed = SecretName(name.clone());
                        if let Some(new) = opener.reseal_cmk(&value_aad(&of, &parsed, version), sealed)? {
                            let bytes = (sealed.as_slice(), new.as_slice(), opener.version());
                            done.note(rows::reseal(&mut tx, table, (name, version), bytes)?);
                        }
                    }
                    Ok::<_, Failure>((done, batch.into_iter().last()))
                })
                .await?;
            all.add(done);
            match last {
                Some((name, version, _)) => after = (name, version),
                None => break,
            }
        }
    }
    Ok(all)
}

/// Puts a version under stages: each leaves the version that had it; what was current becomes the previous.
fn place(
    tx: &mut TenantTx<'_, '_>,
    name: &SecretName,
    mut row: rows::VersionRow,
    stages: &[String],
) -> Result<Vec<String>, Failure> {
    let all = rows::versions(tx, name)?;
    if all.iter().any(|v| v.info.id == row.info.id) {
        return Err(Failure::exists(Thing::SecretVersion, &row.info.id));
    }
    let becomes_current = stages.iter().any(|s| s == CURRENT);
    for v in &all {
        let was_current = v.info.stages.iter().any(|s| s == CURRENT);
        let mut left: Vec<String> = v
            .info
            .stages
            .iter()
            .filter(|s| !(stages.contains(s) || becomes_current && *s == PREVIOUS))
            .cloned()
            .collect();
        if becomes_current && was_current {
            left.push(PREVIOUS.to_owned());
        }
        if left != v.info.stages {
            rows::set_stages(tx, name, (&v.info.id, &left))?;
        }
    }
    row.info.stages = stages.to_vec();
    row.info.stages.sort();
    row.info.stages.dedup();
    let number = rows::newest_number(tx, name)? + 1;
    rows::insert_version(tx, name, &row, number)?;
    forget_unnamed(tx, name)?;
    Ok(row.info.stages)
}

/// Of more than [`VERSIONS_MAX`] the oldest that nobody names go.
fn forget_unnamed(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<(), Failure> {
    let all = rows::versions(tx, name)?;
    let over = all.len().saturating_sub(VERSIONS_MAX);
    let unnamed: Vec<_> = all.iter().filter(|v| v.info.stages.is_empty()).take(over).collect();
    if unnamed.len() < over {
        return Err(Failure::limit(
            Thing::SecretVersion,
            "versions of a secret that stages name",
            VERSIONS_MAX as u64,
        ));
    }
    for v in unnamed {
        rows::delete_version(tx, name, &v.info.id)?;
    }
    Ok(())
}

/// Makes a secret with its first value.
#[derive(Debug)]
pub struct CreateSecret {
    /// Its name.
    pub name: SecretName,
    /// Its value.
    pub value: NewValue,
    /// Free text.
    pub description: String,
    /// The key of KMS that seals it.
    pub key: Option<KeyId>,
    /// The tenant's own settings, JSON.
    pub config: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its policy, if it is not the usual one.
    pub policy: Option<String>,
    /// Whose AccessKey it holds, if one's; then [`SecretName::of_user`] is its name.
    pub of_user: Option<OfUser>,
}

impl KeyAct for CreateSecret {
    type Output = Secret;
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:CreateSecret"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    fn detail(&self) -> Value {
        json!({ "secretName": self.name.as_str(), "versionId": self.value.version,
                "encryptionKeyId": self.key.as_ref().map(KeyId::as_str),
                "userName": self.of_user.as_ref().map(|o| o.user.as_str()),
                "rotationSeconds": self.of_user.as_ref().and_then(|o| o.every_s),
                "secretPolicy": self.policy.as_deref().map(policy::told) })
    }

    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        self.tags.iter().map(|(k, v)| (format!("acs:RequestTag/{k}"), vec![v.clone()])).collect()
    }

    async fn run(mut self, cx: &KeyCx<'_>) -> Result<Secret, Failure> {
        check_value(&self.value)?;
        check_texts(&self.description, &self.config)?;
        check_tags(&self.tags, TAGS_MAX)?;
        if self.of_user.is_none() && self.name.as_str().starts_with(rotate::RESERVED) {
            return Err(Failure::invalid("SecretName", "must not begin with `acs/` for this SecretType"));
        }
        let holds = match &self.of_user {
            None => Holds::Anything,
            Some(of) => cx.take_access_key(of, &mut self.value).await?,
        };
        let row = cx.seal_value(&self.name, self.key.as_ref(), &self.value).await?;
        let (of, house) = (Guarded::Secret(self.name.clone()), Arc::clone(cx.house));
        let made = cx
            .write(move |tx, now| {
                if rows::count(tx)? >= SECRETS_MAX {
                    return Err(Failure::limit(Thing::Secret, "secrets of a tenant", SECRETS_MAX));
                }
                let secret = Secret {
                    name: self.name.clone(),
                    description: self.description,
                    key: self.key,
                    config: rotate::kept_config(self.of_user.as_ref(), self.config),
                    created_at: now,
                    updated_at: now,
                    delete_at: None,
                    holds,
                    rotates: rotate::beginning(self.of_user.as_ref(), now),
                };
                if !rows::insert(tx, &secret)? {
                    let there = match &secret.holds {
                        Holds::AccessKey { user, .. } => rows::of_user(tx, user)?,
                        Holds::Anything => None,
                    };
                    return Err(Failure::exists(Thing::Secret, there.unwrap_or(self.name)));
                }
                rows::set_tags(tx, &self.name, self.tags.iter())?;
                if let Some(policy) = &self.policy {
                    Guarded::Secret(self.name.clone()).keep(tx, &house, policy)?;
                }
                place(tx, &self.name, row, &[CURRENT.to_owned()])?;
                Ok(secret)
            })
            .await?;
        of.forget(cx);
        Ok(made)
    }
}

/// Puts a new value.
#[derive(Debug)]
pub struct PutValue {
    /// The secret.
    pub name: SecretName,
    /// The value.
    pub value: NewValue,
    /// What names it from now on; nothing for `ACSCurrent`.
    pub stages: Vec<String>,
}

impl KeyAct for PutValue {
    type Output = Vec<String>;
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:PutSecretValue"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    fn detail(&self) -> Value {
        json!({ "secretName": self.name.as_str(), "versionId": self.value.version, "versionStages": self.stages })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Vec<String>, Failure> {
        check_value(&self.value)?;
        let stages = if self.stages.is_empty() { vec![CURRENT.to_owned()] } else { self.stages };
        stages.iter().try_for_each(|s| check_stage(s))?;
        if stages.len() > STAGES_MAX {
            return Err(Failure::limit(Thing::SecretVersion, "stages of a version", STAGES_MAX as u64));
        }
        let name = self.name.clone();
        let secret = cx.read(move |tx| live(tx, &name)).await?;
        rotate::expect_anything(&secret)?;
        let row = cx.seal_value(&self.name, secret.key.as_ref(), &self.value).await?;
        cx.write(move |tx, now| {
            let mut secret = live(tx, &self.name)?;
            secret.updated_at = now;
            rows::update(tx, &secret)?;
            place(tx, &self.name, row, &stages)
        })
        .await
    }
}

/// A value with what belongs to it.
#[derive(Debug)]
pub struct SecretValue {
    /// The secret.
    pub secret: Secret,
    /// The version.
    pub version: VersionInfo,
    /// The value.
    pub data: SecretBytes,
}

/// Reads a value.
#[derive(Clone, Debug)]
pub struct GetValue {
    /// The secret.
    pub name: SecretName,
    /// The version; none for what the stage names.
    pub version: Option<String>,
    /// The stage.
    pub stage: String,
}

impl KeyAct for GetValue {
    type Output = SecretValue;
    const CLASS: Class = READ;
    const TENANT_ONLY: bool = true;

    fn action(&self) -> &'static str {
        "kms:GetSecretValue"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    fn detail(&self) -> Value {
        json!({ "secretName": self.name.as_str(), "versionId": self.version, "versionStage": self.stage })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<SecretValue, Failure> {
        self.value(cx).await
    }

    fn outcome(value: &SecretValue) -> Value {
        json!({ "versionId": value.version.id })
    }
}

impl GetValue {
    async fn value(self, cx: &KeyCx<'_>) -> Result<SecretValue, Failure> {
        let (secret, row) = cx
            .read(move |tx| {
                let secret = live(tx, &self.name)?;
                let all = rows::versions(tx, &self.name)?;
                let found = all.into_iter().find(|v| match &self.version {
                    Some(id) => v.info.id == *id,
                    None => v.info.stages.contains(&self.stage),
                });
                let named = self.version.unwrap_or(self.stage);
                Ok((secret, found.ok_or_else(|| Failure::not_found(Thing::SecretVersion, named))?))
            })
            .await?;
        let data = cx.open_value(&secret, &row).await?;
        Ok(SecretValue { secret, version: row.info, data })
    }
}

/// Reads several values. The caller must be allowed to read each; what is not there is told beside the others.
#[derive(Clone, Debug)]
pub struct GetValues {
    /// Which.
    pub of: Vec<GetValue>,
}

impl KeyAct for GetValues {
    type Output = Vec<Result<SecretValue, Failure>>;
    const CLASS: Class = READ;
    const TENANT_ONLY: bool = true;

    fn action(&self) -> &'static str {
        "kms:GetSecretValue"
    }

    fn on(&self) -> String {
        self.of.first().map_or_else(|| "secret/*".to_owned(), |one| on(&one.name))
    }

    fn also(&self) -> Vec<String> {
        self.of.iter().skip(1).map(|one| on(&one.name)).collect()
    }

    fn detail(&self) -> Value {
        json!({ "secretNames": self.of.iter().map(|one| one.name.as_str()).collect::<Vec<_>>() })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        let mut out = Vec::new();
        for one in self.of {
            out.push(one.value(cx).await);
        }
        Ok(out)
    }
}

/// Shows a secret and its tags.
#[derive(Clone, Debug)]
pub struct DescribeSecret {
    /// Which.
    pub name: SecretName,
}

impl KeyAct for DescribeSecret {
    type Output = (Secret, Vec<(String, String)>);
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:DescribeSecret"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        cx.read(move |tx| Ok((find(tx, &self.name)?, rows::tags(tx, &self.name)?))).await
    }
}

/// Lists secrets.
#[derive(Clone, Debug)]
pub struct ListSecrets {
    /// The page, from 1.
    pub page: u64,
    /// Secrets on a page.
    pub size: u64,
    /// Which.
    pub filters: Vec<Filter>,
}

impl KeyAct for ListSecrets {
    type Output = Paged<(Secret, Vec<(String, String)>)>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:ListSecrets"
    }

    fn on(&self) -> String {
        "secret/*".into()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        cx.read(move |tx| {
            let skip = self.page.saturating_sub(1).saturating_mul(self.size).min(i64::MAX as u64);
            let (found, total) = rows::list(tx, &self.filters, (skip, self.size))?;
            let mut items = Vec::new();
            for secret in found {
                let tags = rows::tags(tx, &secret.name)?;
                items.push((secret, tags));
            }
            Ok(Paged { items, total })
        })
        .await
    }
}

/// Lists the versions of a secret, the oldest first.
#[derive(Clone, Debug)]
pub struct ListSecretVersions {
    /// Which.
    pub name: SecretName,
    /// Also those that nobody names.
    pub all: bool,
}

impl KeyAct for ListSecretVersions {
    type Output = Vec<VersionInfo>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:ListSecretVersionIds"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Vec<VersionInfo>, Failure> {
        cx.read(move |tx| {
            find(tx, &self.name)?;
            let all = rows::versions(tx, &self.name)?.into_iter().map(|v| v.info);
            Ok(all.filter(|v| self.all || !v.stages.is_empty()).collect())
        })
        .await
    }
}

/// Changes the texts of a secret.
#[derive(Clone, Debug)]
pub struct UpdateSecret {
    /// Which.
    pub name: SecretName,
    /// Another description.
    pub description: Option<String>,
    /// Other settings.
    pub config: Option<String>,
}

impl KeyAct for UpdateSecret {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:UpdateSecret"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        check_texts(
            self.description.as_deref().unwrap_or_default(),
            self.config.as_deref().unwrap_or_default(),
        )?;
        cx.write(move |tx, now| {
            let mut secret = live(tx, &self.name)?;
            secret.updated_at = now;
            secret.description = self.description.unwrap_or(secret.description);
            if let Some(config) = self.config {
                secret.config = rotate::changed_config(&secret, config)?;
            }
            rows::update(tx, &secret).map_err(Failure::from)
        })
        .await
    }
}

/// Moves a stage to another version, or takes it from the one that has it.
#[derive(Clone, Debug)]
pub struct MoveStage {
    /// The secret.
    pub name: SecretName,
    /// The stage.
    pub stage: String,
    /// The version that has it, if it is taken away.
    pub from: Option<String>,
    /// The version that gets it.
    pub to: Option<String>,
}

impl KeyAct for MoveStage {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:UpdateSecretVersionStage"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    fn detail(&self) -> Value {
        json!({ "versionStage": self.stage, "removeFromVersion": self.from, "moveToVersion": self.to })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        check_stage(&self.stage)?;
        if self.from.is_none() && self.to.is_none() {
            return Err(Failure::invalid("MoveToVersion", "or RemoveFromVersion must be given"));
        }
        if self.stage == CURRENT && self.to.is_none() {
            return Err(Failure::invalid(
                "MoveToVersion",
                "must be given: ACSCurrent always names a version",
            ));
        }
        cx.write(move |tx, now| {
            let mut secret = live(tx, &self.name)?;
            rotate::expect_anything(&secret)?;
            let mut all = rows::versions(tx, &self.name)?;
            for named in self.from.iter().chain(&self.to) {
                if !all.iter().any(|v| v.info.id == *named) {
                    return Err(Failure::not_found(Thing::SecretVersion, named));
                }
            }
            let has = all.iter().find(|v| v.info.stages.contains(&self.stage)).map(|v| v.info.id.clone());
            if self.from.is_some() && self.from != has {
                return Err(Failure::invalid("RemoveFromVersion", "does not have this stage"));
            }
            // What was current is the previous one, unless it stays.
            let demoted = has.filter(|id| self.stage == CURRENT && self.to.as_ref() != Some(id));
            for v in &mut all {
                let mut stages = v.info.stages.clone();
                stages.retain(|s| *s != self.stage && !(demoted.is_some() && s == PREVIOUS));
                if demoted.as_ref() == Some(&v.info.id) {
                    stages.push(PREVIOUS.to_owned());
                }
                if self.to.as_ref() == Some(&v.info.id) {
                    stages.push(self.stage.clone());
                }
                if stages.len() > STAGES_MAX {
                    return Err(Failure::limit(
                        Thing::SecretVersion,
                        "stages of a version",
                        STAGES_MAX as u64,
                    ));
                }
                if stages != v.info.stages {
                    rows::set_stages(tx, &self.name, (&v.info.id, &stages))?;
                }
            }
            secret.updated_at = now;
            rows::update(tx, &secret).map_err(Failure::from)
        })
        .await
    }
}

fn destroy(tx: &mut TenantTx<'_, '_>, name: &SecretName) -> Result<(), Failure> {
    rows::destroy(tx, name)?;
    Guarded::Secret(name.clone()).drop_policy(tx).map_err(Failure::from)
}

/// Lets a secret be destroyed after some days, or at once.
#[derive(Clone, Debug)]
pub struct DeleteSecret {
    /// Which.
    pub name: SecretName,
    /// 7 to 30; none for at once.
    pub days: Option<i64>,
}

impl KeyAct for DeleteSecret {
    type Output = Timestamp;
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:DeleteSecret"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    fn detail(&self) -> Value {
        json!({ "secretName": self.name.as_str(), "recoveryWindowInDays": self.days })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Timestamp, Failure> {
        if self.days.is_some_and(|d| !(7..=30).contains(&d)) {
            return Err(Failure::invalid("RecoveryWindowInDays", "must be from 7 to 30"));
        }
        let (at_once, of) = (self.days.is_none(), Guarded::Secret(self.name.clone()));
        let at = cx
            .write(move |tx, now| {
                let Some(days) = self.days else {
                    find(tx, &self.name)?;
                    destroy(tx, &self.name)?;
                    return Ok(now);
                };
                let mut secret = live(tx, &self.name)?;
                let at = Timestamp::from_ms(now.ms() + days * DAY_MS);
                secret.delete_at = Some(at);
                rows::update(tx, &secret)?;
                Ok(at)
            })
            .await?;
        if at_once {
            of.forget(cx);
            cx.house.db.forget_deleted().await?;
        }
        Ok(at)
    }
}

/// Calls a secret back that waits for its destruction.
#[derive(Clone, Debug)]
pub struct RestoreSecret {
    /// Which.
    pub name: SecretName,
}

impl KeyAct for RestoreSecret {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:RestoreSecret"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        cx.write(move |tx, now| {
            let mut secret = find(tx, &self.name)?;
            if secret.delete_at.is_none() {
                return Err(Failure::Key(KeyProblem::State(KeyState::Enabled)));
            }
            secret.delete_at = None;
            secret.updated_at = now;
            rows::update(tx, &secret).map_err(Failure::from)
        })
        .await
    }
}

/// Sets some tags of a secret and takes others away.
#[derive(Clone, Debug)]
pub struct SetSecretTags {
    /// Which.
    pub name: SecretName,
    /// Set.
    pub set: BTreeMap<String, String>,
    /// Taken away.
    pub remove: Vec<String>,
}

impl KeyAct for SetSecretTags {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        if self.set.is_empty() { "kms:UntagResource" } else { "kms:TagResource" }
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    fn detail(&self) -> Value {
        json!({ "set": self.set.keys().collect::<Vec<_>>(), "removed": self.remove })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        cx.write(move |tx, _| {
            live(tx, &self.name)?;
            let mut all: BTreeMap<_, _> = rows::tags(tx, &self.name)?.into_iter().collect();
            all.retain(|key, _| !self.remove.contains(key));
            all.extend(self.set);
            check_tags(&all, TAGS_MAX)?;
            rows::set_tags(tx, &self.name, all.iter()).map_err(Failure::from)
        })
        .await
    }
}

/// Destroys a secret whose time has come.
struct Destroy {
    name: SecretName,
}

impl KeyAct for Destroy {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:DestroySecret"
    }

    fn on(&self) -> String {
        on(&self.name)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        let of = Guarded::Secret(self.name.clone());
        cx.write(move |tx, now| {
            let secret = find(tx, &self.name)?;
            if secret.delete_at.is_none_or(|at| at > now) {
                return Err(Failure::Conflict("the secret was called back meanwhile".into()));
            }
            destroy(tx, &self.name)
        })
        .await?;
        of.forget(cx);
        cx.house.db.forget_deleted().await.map_err(Failure::from)
    }
}

/// Destroys all secrets of a tenant whose account is closed; answers their names.
pub(crate) async fn destroy_all(house: &Arc<House>, tenant: &TenantId) -> Result<Vec<String>, Failure> {
    let mut out = Vec::new();
    loop {
        let of = tenant.clone();
        let some = house
            .db
            .read(move |tx| Ok::<_, Failure>(rows::list(&mut tx.tenant(&of), &[], (0, 100))?.0))
            .await?;
        if some.is_empty() {
            return Ok(out);
        }
        for secret in some {
            let act = DeleteSecret { name: secret.name.clone(), days: None };
            house.perform(house.system_caller("account closure"), act.of(tenant, house)).await?;
            out.push(secret.name.to_string());
        }
    }
}

impl House {
    /// Destroys the secrets whose time has come. Answers how many.
    pub(super) async fn destroy_due_secrets(self: &Arc<Self>) -> Result<u64, Failure> {
        let now = self.now();
        let due = self.db.read(move |tx| rows::due(tx, now).map_err(Failure::from)).await?;
        let mut done = 0;
        for (tenant, name) in due {
            let act = Destroy { name }.of(&tenant, self);
            match self.perform(self.system_caller("key keeper"), act).await {
                Ok(()) => done += 1,
                Err(e) => tracing::warn!(tenant.id = %tenant, "a secret could not be destroyed: {e}"),
            }
        }
        Ok(done)
    }
}
