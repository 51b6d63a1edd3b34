//! Making, naming, rotating and ending keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_crypto::cmk::{Spec, Usage, generate};
use bailee_store::TenantTx;
use bailee_types::{KeyId, KeyVersionId, SecretBytes, Timestamp};
use serde_json::{Value, json};

use super::opened::material_aad;
use super::{
    ALIASES_MAX, KEY_TAGS_MAX, KEYS_MAX, Key, KeyAct, KeyCx, KeyOrigin, KeyProblem, KeyState, VERSIONS_MAX,
    rows, short,
};
use crate::gate::Class;
use crate::keys::policy::{self, Guarded};
use crate::vault::{check_tags, has_custody_under};
use crate::{Failure, Thing};

pub(super) const READ: Class = Class::Management { write: false };
pub(super) const WRITE: Class = Class::Management { write: true };
const DAY_S: i64 = 86_400;
const DESCRIPTION_MAX: usize = 8_192;

/// `alias/` and 1 to 249 letters, digits, `/`, `_`, `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AliasName(String);

impl AliasName {
    /// Reads an alias.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let name = text.strip_prefix("alias/").unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-');
        if (1..=249).contains(&name.len()) && name.bytes().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        let why = format!("`{}` must be `alias/` and 1 to 249 letters, digits, `/`, `_` or `-`", short(text));
        Err(Failure::invalid("AliasName", why))
    }

    /// With `alias/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for AliasName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A page, and how many there are in all.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    /// The page.
    pub items: Vec<T>,
    /// All there are.
    pub total: u64,
}

/// What part of a list.
fn part(page: u64, size: u64) -> (u64, u64) {
    (page.saturating_sub(1).saturating_mul(size).min(i64::MAX as u64), size)
}

pub(in crate::keys) fn on_key(id: &KeyId) -> String {
    format!("key/{id}")
}

pub(super) fn find(tx: &mut TenantTx<'_, '_>, id: &KeyId) -> Result<Key, Failure> {
    rows::find(tx, id)?.ok_or_else(|| Failure::not_found(Thing::Key, id))
}

pub(in crate::keys) fn expect_key(tx: &mut TenantTx<'_, '_>, id: &KeyId) -> Result<(), Failure> {
    find(tx, id).map(drop)
}

impl KeyCx<'_> {
    pub(in crate::keys) async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut TenantTx<'_, '_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let tenant = self.tenant.clone();
        self.house.db.read(move |tx| f(&mut tx.tenant(&tenant))).await
    }

    pub(in crate::keys) async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut TenantTx<'_, '_>, Timestamp) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (tenant, now) = (self.tenant.clone(), self.house.now());
        self.house.db.write(move |tx| f(&mut tx.tenant(&tenant), now)).await
    }

    /// Changes a key in one transaction.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        id: &KeyId,
        f: impl FnOnce(&mut TenantTx<'_, '_>, &mut Key, Timestamp) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let wanted = id.clone();
        let done = self
            .write(move |tx, now| {
                let mut key = find(tx, &wanted)?;
                let out = f(tx, &mut key, now)?;
                rows::update(tx, &key)?;
                Ok(out)
            })
            .await;
        // Also after an error: what is held may be what misled somebody.
        self.house.forget_key(self.tenant, id);
        done
    }

    /// New material, made where it may take its time; a few at once.
    pub(super) async fn generate(&self, spec: Spec) -> Result<SecretBytes, Failure> {
        let bug = |e: String| Failure::Bug(format!("a key could not be made: {e}"));
        let _place = self.house.keys.kms.makers.acquire().await.map_err(|e| bug(e.to_string()))?;
        Ok(tokio::task::spawn_blocking(move || generate(spec)).await.map_err(|e| bug(e.to_string()))??)
    }

    /// New material, sealed for a version.
    async fn make(&self, key: &Key, version: &KeyVersionId) -> Result<(Vec<u8>, i64), Failure> {
        let material = self.generate(key.spec).await?;
        self.seal(key, version, &material).await
    }

    pub(super) async fn seal(
        &self,
        key: &Key,
        version: &KeyVersionId,
        material: &SecretBytes,
    ) -> Result<(Vec<u8>, i64), Failure> {
        let opener = self.house.tenant_key(self.tenant).await?;
        let aad = material_aad(self.tenant, key, version);
        Ok((opener.seal_cmk(&aad, material.expose()), opener.version()))
    }
}

fn expect_state(key: &Key, allowed: &[KeyState]) -> Result<(), Failure> {
    if allowed.contains(&key.state) { Ok(()) } else { Err(Failure::Key(KeyProblem::State(key.state))) }
}

fn check_description(text: &str) -> Result<(), Failure> {
    if text.len() > DESCRIPTION_MAX {
        return Err(Failure::invalid("Description", format!("has more than {DESCRIPTION_MAX} bytes")));
    }
    Ok(())
}

fn check_interval(seconds: i64) -> Result<(), Failure> {
    if (7 * DAY_S..=730 * DAY_S).contains(&seconds) {
        return Ok(());
    }
    Err(Failure::invalid("RotationInterval", "must be from 7 to 730 days, as `30d` or `2592000s`"))
}

/// Keys that rotate by themselves: one secret, made here.
fn expect_rotates(key: &Key) -> Result<(), Failure> {
    if !key.spec.is_symmetric() {
        return Err(Failure::Key(KeyProblem::Unsupported));
    }
    if key.origin != KeyOrigin::Own {
        return Err(Failure::Key(KeyProblem::Origin));
    }
    Ok(())
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_ms(now.ms().saturating_add(seconds.saturating_mul(1000)))
}

/// When the key rotates next: never while it can do nothing; what was missed meanwhile is done once.
fn plan_rotation(key: &mut Key, now: Timestamp) {
    let last = key.rotated_at.unwrap_or(key.created_at);
    key.rotate_at = match key.rotation_s {
        Some(seconds) if key.state == KeyState::Enabled => Some(after(last, seconds).max(now)),
        _ => None,
    };
}

/// Makes a key.
#[derive(Clone, Debug)]
pub struct CreateKey {
    /// What kind.
    pub spec: Spec,
    /// What for.
    pub usage: Usage,
    /// Whose material.
    pub origin: KeyOrigin,
    /// Free text.
    pub description: String,
    /// Seconds between rotations, if it rotates by itself.
    pub rotation_s: Option<i64>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// For [`KeyOrigin::Store`]: in which key store it lies, and under which name there.
    pub lies_at: Option<(String, String)>,
    /// Its policy, if it is not the usual one.
    pub policy: Option<String>,
}

impl KeyAct for CreateKey {
    type Output = Key;
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:CreateKey"
    }

    fn on(&self) -> String {
        "key/*".into()
    }

    fn detail(&self) -> Value {
        json!({ "keySpec": self.spec.name(), "keyUsage": self.usage.name(), "origin": self.origin.name(),
                "rotationSeconds": self.rotation_s, "tags": self.tags.len(),
                "keyStore": self.lies_at.as_ref().map(|(store, _)| store),
                "externalKey": self.lies_at.as_ref().map(|(_, key)| key),
                "keyPolicy": self.policy.as_deref().map(policy::told) })
    }

    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        self.tags.iter().map(|(k, v)| (format!("acs:RequestTag/{k}"), vec![v.clone()])).collect()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Key, Failure> {
        check_description(&self.description)?;
        check_tags(&self.tags, KEY_TAGS_MAX)?;
        if !self.spec.can(self.usage) {
            return Err(Failure::invalid(
                "KeyUsage",
                format!("{} is not for {}", self.usage.name(), self.spec.name()),
            ));
        }
        let now = cx.house.now();
        let external = self.origin == KeyOrigin::External;
        if external && self.spec.import_len().is_none() {
            return Err(Failure::Key(KeyProblem::Origin));
        }
        if (self.origin == KeyOrigin::Store) != self.lies_at.is_some() {
            return Err(Failure::invalid(
                "KeyStoreId",
                "and ExternalKeyId go with Origin EXTERNAL_KEY_STORE, and only with it",
            ));
        }
        if let Some((store, external)) = &self.lies_at {
            if self.spec != Spec::Aes256 || self.usage != Usage::Encrypt {
                return Err(Failure::invalid("KeySpec", "must be Aliyun_AES_256 for a key in a key store"));
            }
            let store = cx.known_store(store).await?;
            cx.check_external(&store, external).await?;
        }
        let mut key = Key {
            id: KeyId::random(),
            spec: self.spec,
            usage: self.usage,
            origin: self.origin,
            state: if external { KeyState::PendingImport } else { KeyState::Enabled },
            description: self.description,
            creator: cx.creator(),
            created_at: now,
            delete_at: None,
            protected: None,
            rotation_s: None,
            rotated_at: None,
            rotate_at: None,
            primary: KeyVersionId::random(),
            material_until: None,
            material_print: None,
            lies_at: self.lies_at.clone(),
            revision: 0,
        };
        if let Some(seconds) = self.rotation_s {
            check_interval(seconds)?;
            expect_rotates(&key)?;
            key.rotation_s = Some(seconds);
            key.rotate_at = Some(after(now, seconds));
        }
        let elsewhere = external || self.lies_at.is_some();
        let made = if elsewhere { None } else { Some(cx.make(&key, &key.primary).await?) };
        let (tags, policy, house) = (self.tags, self.policy, Arc::clone(cx.house));
        cx.write(move |tx, now| {
            if rows::count(tx)? >= KEYS_MAX {
                return Err(Failure::limit(Thing::Key, "keys of a tenant", KEYS_MAX));
            }
            if let Some((store, external)) = &key.lies_at {
                // Looked at again: it may have been deleted meanwhile.
                rows::store(tx, store)?.ok_or_else(|| Failure::not_found(Thing::KeyStore, store))?;
                if rows::is_taken(tx, store, external)? {
                    return Err(Failure::exists(Thing::Key, external));
                }
            }
            rows::insert(tx, &key)?;
            let (sealed, under) = made.as_ref().map_or((None, 1), |(s, v)| (Some(s.as_slice()), *v));
            rows::insert_version(tx, &key.id, (&key.primary, sealed, under), now)?;
            for (k, v) in &tags {
                rows::set_tag(tx, &key.id, (k, v))?;
            }
            if let Some(policy) = &policy {
                Guarded::Key(key.id.clone()).keep(tx, &house, policy)?;
            }
            Ok(key)
        })
        .await
    }

    fn outcome(key: &Key) -> Value {
        json!({ "keyId": key.id.as_str() })
    }
}

/// An act on one key that needs no more than its id.
macro_rules! on_one_key {
    ($(#[$doc:meta])* $name:ident $(, $(#[$field_doc:meta])* $field:ident : $type:ty)*) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            /// The key.
            pub key: KeyId,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

on_one_key!(
    /// Shows a key.
    DescribeKey
);

impl KeyAct for DescribeKey {
    type Output = Key;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:DescribeKey"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Key, Failure> {
        cx.read(move |tx| find(tx, &self.key)).await
    }
}

/// Lists keys.
#[derive(Clone, Debug)]
pub struct ListKeys {
    /// In these states; empty for all.
    pub states: Vec<KeyState>,
    /// Of these specs; empty for all.
    pub specs: Vec<Spec>,
    /// The page, from 1.
    pub page: u64,
    /// Keys on a page.
    pub size: u64,
}

impl KeyAct for ListKeys {
    type Output = Paged<Key>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:ListKeys"
    }

    fn on(&self) -> String {
        "key/*".into()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Paged<Key>, Failure> {
        cx.read(move |tx| {
            let (items, total) = rows::list(tx, (&self.states, &self.specs), part(self.page, self.size))?;
            Ok(Paged { items, total })
        })
        .await
    }
}

on_one_key!(
    /// Enables or disables a key.
    SetEnabled,
    /// Which of them.
    enabled: bool
);

impl KeyAct for SetEnabled {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        if self.enabled { "kms:EnableKey" } else { "kms:DisableKey" }
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        let enabled = self.enabled;
        cx.change(&self.key, move |_, key, now| {
            expect_state(key, &[KeyState::Enabled, KeyState::Disabled])?;
            key.state = if enabled { KeyState::Enabled } else { KeyState::Disabled };
            plan_rotation(key, now);
            Ok(())
        })
        .await
    }
}

on_one_key!(
    /// Writes another description.
    UpdateDescription,
    /// The new one.
    description: String
);

impl KeyAct for UpdateDescription {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:UpdateKeyDescription"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        check_description(&self.description)?;
        cx.change(&self.key, move |_, key, _| {
            if key.state == KeyState::PendingDeletion {
                return Err(Failure::Key(KeyProblem::State(key.state)));
            }
            key.description = self.description;
            Ok(())
        })
        .await
    }
}

on_one_key!(
    /// Lets a key be destroyed after some days; until then it can be called back.
    ScheduleDeletion,
    /// 7 to 366.
    days: i64
);

impl KeyAct for ScheduleDeletion {
    type Output = Timestamp;
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:ScheduleKeyDeletion"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    fn detail(&self) -> Value {
        json!({ "pendingWindowInDays": self.days })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Timestamp, Failure> {
        if !(7..=366).contains(&self.days) {
            return Err(Failure::invalid("PendingWindowInDays", "must be from 7 to 366"));
        }
        cx.change(&self.key, move |tx, key, now| {
            if key.state == KeyState::PendingDeletion {
                return Err(Failure::Key(KeyProblem::State(key.state)));
            }
            if key.protected.is_some() {
                return Err(Failure::Key(KeyProblem::Protected));
            }
            if has_custody_under(tx, &key.id)? {
                return Err(Failure::Key(KeyProblem::Custody));
            }
            let at = after(now, self.days * DAY_S);
            key.state = KeyState::PendingDeletion;
            key.delete_at = Some(at);
            plan_rotation(key, now);
            Ok(at)
        })
        .await
    }

    fn outcome(at: &Timestamp) -> Value {
        json!({ "deleteDate": at.iso() })
    }
}

on_one_key!(
    /// Calls a key back that waits for its deletion. It can do everything again; one without material waits for it.
    CancelDeletion
);

impl KeyAct for CancelDeletion {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:CancelKeyDeletion"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        cx.change(&self.key, |tx, key, now| {
            expect_state(key, &[KeyState::PendingDeletion])?;
            let lacks = rows::versions(tx, &key.id)?.iter().all(|(_, _, sealed, _)| sealed.is_none());
            key.state = if lacks { KeyState::PendingImport } else { KeyState::Enabled };
            key.delete_at = None;
            plan_rotation(key, now);
            Ok(())
        })
        .await
    }
}

on_one_key!(
    /// Protects a key from deletion, or no longer.
    SetProtection,
    /// Whether, and why.
    protect: Option<String>
);

impl KeyAct for SetProtection {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:SetDeletionProtection"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    fn detail(&self) -> Value {
        json!({ "enableDeletionProtection": self.protect.is_some() })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        check_description(self.protect.as_deref().unwrap_or_default())?;
        cx.change(&self.key, move |_, key, _| {
            if key.state == KeyState::PendingDeletion {
                return Err(Failure::Key(KeyProblem::State(key.state)));
            }
            key.protected = self.protect;
            Ok(())
        })
        .await
    }
}

on_one_key!(
    /// Makes a new version, which encrypts from now on; older ones still decrypt.
    CreateVersion,
    /// Whether the key's own interval wants it: then it must be due.
    by_interval: bool
);

impl KeyAct for CreateVersion {
    type Output = (KeyVersionId, Timestamp);
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:CreateKeyVersion"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    fn detail(&self) -> Value {
        json!({ "byInterval": self.by_interval })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(KeyVersionId, Timestamp), Failure> {
        let id = self.key.clone();
        let key = cx.read(move |tx| find(tx, &id)).await?;
        if key.origin != KeyOrigin::Own {
            return Err(Failure::Key(KeyProblem::Origin));
        }
        let version = KeyVersionId::random();
        let (sealed, under) = cx.make(&key, &version).await?;
        cx.change(&self.key, move |tx, key, now| {
            expect_state(key, &[KeyState::Enabled])?;
            if self.by_interval && key.rotate_at.is_none_or(|at| at > now) {
                return Err(Failure::Conflict("the key was rotated meanwhile".into()));
            }
            let versions = rows::versions(tx, &key.id)?;
            if versions.len() as u64 >= VERSIONS_MAX {
                return Err(Failure::limit(Thing::KeyVersion, "versions of a key", VERSIONS_MAX));
            }
            // In the order of their making, also where the clock stands.
            let newest = versions.last().map_or(now, |(_, at, _, _)| *at);
            let at = now.max(Timestamp::from_ms(newest.ms() + 1));
            rows::insert_version(tx, &key.id, (&version, Some(&sealed), under), at)?;
            key.primary = version.clone();
            key.rotated_at = Some(now);
            plan_rotation(key, now);
            Ok((version, at))
        })
        .await
    }

    fn outcome((version, _): &(KeyVersionId, Timestamp)) -> Value {
        json!({ "keyVersionId": version.as_str() })
    }
}

on_one_key!(
    /// Lists versions, the oldest first.
    ListVersions,
    /// The page, from 1.
    page: u64,
    /// Versions on a page.
    size: u64
);

impl KeyAct for ListVersions {
    type Output = Paged<(KeyVersionId, Timestamp)>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:ListKeyVersions"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        cx.read(move |tx| {
            find(tx, &self.key)?;
            let all = rows::versions(tx, &self.key)?;
            let (skip, max) = part(self.page, self.size);
            let total = all.len() as u64;
            let items = all.into_iter().skip(skip as usize).take(max as usize).map(|v| (v.0, v.1)).collect();
            Ok(Paged { items, total })
        })
        .await
    }
}

on_one_key!(
    /// Shows a version.
    DescribeVersion,
    /// Which.
    version: KeyVersionId
);

impl KeyAct for DescribeVersion {
    type Output = Timestamp;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:DescribeKeyVersion"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Timestamp, Failure> {
        cx.read(move |tx| {
            find(tx, &self.key)?;
            let all = rows::versions(tx, &self.key)?;
            let found = all.into_iter().find(|v| v.0 == self.version);
            found.map(|v| v.1).ok_or_else(|| Failure::not_found(Thing::KeyVersion, &self.version))
        })
        .await
    }
}

on_one_key!(
    /// Lets a key rotate by itself, or no longer.
    SetRotation,
    /// Seconds between rotations; none for never.
    seconds: Option<i64>
);

impl KeyAct for SetRotation {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:UpdateRotationPolicy"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    fn detail(&self) -> Value {
        json!({ "rotationSeconds": self.seconds })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        if let Some(seconds) = self.seconds {
            check_interval(seconds)?;
        }
        cx.change(&self.key, move |_, key, now| {
            expect_rotates(key)?;
            expect_state(key, &[KeyState::Enabled])?;
            key.rotation_s = self.seconds;
            plan_rotation(key, now);
            Ok(())
        })
        .await
    }
}

/// Gives a key another name.
#[derive(Clone, Debug)]
pub struct CreateAlias {
    /// The name.
    pub alias: AliasName,
    /// The key.
    pub key: KeyId,
}

/// Moves a name to another key.
#[derive(Clone, Debug)]
pub struct UpdateAlias {
    /// The name.
    pub alias: AliasName,
    /// The key that has it from now on.
    pub key: KeyId,
}

/// Takes a name away.
#[derive(Clone, Debug)]
pub struct DeleteAlias {
    /// The name.
    pub alias: AliasName,
}

impl KeyAct for CreateAlias {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:CreateAlias"
    }

    fn on(&self) -> String {
        self.alias.as_str().to_owned()
    }

    fn also(&self) -> Vec<String> {
        vec![on_key(&self.key)]
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        let alias = self.alias.clone();
        cx.write(move |tx, _| {
            let key = find(tx, &self.key)?;
            if key.state == KeyState::PendingDeletion {
                return Err(Failure::Key(KeyProblem::State(key.state)));
            }
            if rows::count_aliases(tx)? >= ALIASES_MAX {
                return Err(Failure::limit(Thing::Alias, "aliases of a tenant", ALIASES_MAX));
            }
            if rows::insert_alias(tx, &self.alias, &self.key)? {
                return Ok(());
            }
            Err(Failure::exists(Thing::Alias, &self.alias))
        })
        .await?;
        cx.house.forget_alias(cx.tenant, &alias);
        Ok(())
    }
}

impl KeyAct for UpdateAlias {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:UpdateAlias"
    }

    fn on(&self) -> String {
        self.alias.as_str().to_owned()
    }

    fn also(&self) -> Vec<String> {
        vec![on_key(&self.key)]
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        let alias = self.alias.clone();
        cx.write(move |tx, _| {
            let key = find(tx, &self.key)?;
            let had = rows::alias(tx, &self.alias)?;
            let had = had.ok_or_else(|| Failure::not_found(Thing::Alias, &self.alias))?;
            let before = find(tx, &had)?;
            if (key.spec, key.usage) != (before.spec, before.usage) {
                return Err(Failure::invalid(
                    "KeyId",
                    "is of another spec or usage than the key that has the alias",
                ));
            }
            rows::move_alias(tx, &self.alias, &self.key).map(drop).map_err(Failure::from)
        })
        .await?;
        cx.house.forget_alias(cx.tenant, &alias);
        Ok(())
    }
}

impl KeyAct for DeleteAlias {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:DeleteAlias"
    }

    fn on(&self) -> String {
        self.alias.as_str().to_owned()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        let alias = self.alias.clone();
        cx.write(move |tx, _| {
            if rows::delete_alias(tx, &self.alias)? {
                return Ok(());
            }
            Err(Failure::not_found(Thing::Alias, &self.alias))
        })
        .await?;
        cx.house.forget_alias(cx.tenant, &alias);
        Ok(())
    }
}

/// Lists aliases.
#[derive(Clone, Debug)]
pub struct ListAliases {
    /// Of one key, or all.
    pub key: Option<KeyId>,
    /// The page, from 1.
    pub page: u64,
    /// Aliases on a page.
    pub size: u64,
}

impl KeyAct for ListAliases {
    type Output = Paged<(String, KeyId)>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        if self.key.is_some() { "kms:ListAliasesByKeyId" } else { "kms:ListAliases" }
    }

    fn on(&self) -> String {
        self.key.as_ref().map_or_else(|| "alias/*".to_owned(), on_key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        cx.read(move |tx| {
            if let Some(key) = &self.key {
                find(tx, key)?;
            }
            let (items, total) = rows::aliases(tx, self.key.as_ref(), part(self.page, self.size))?;
            Ok(Paged { items, total })
        })
        .await
    }
}

/// Sets some tags of keys and takes others away, of all or of none.
#[derive(Clone, Debug)]
pub struct SetKeyTags {
    /// The keys.
    pub keys: Vec<KeyId>,
    /// Set.
    pub set: BTreeMap<String, String>,
    /// Taken away.
    pub remove: RemoveTags,
}

/// Which tags are taken away.
#[derive(Clone, Debug)]
pub enum RemoveTags {
    /// Those with these keys.
    Named(Vec<String>),
    /// All.
    All,
}

impl KeyAct for SetKeyTags {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        if self.set.is_empty() { "kms:UntagResource" } else { "kms:TagResource" }
    }

    fn on(&self) -> String {
        self.keys.first().map_or_else(|| "key/*".to_owned(), on_key)
    }

    fn also(&self) -> Vec<String> {
        self.keys.iter().skip(1).map(on_key).collect()
    }

    fn detail(&self) -> Value {
        let removed = match &self.remove {
            RemoveTags::Named(keys) => json!(keys),
            RemoveTags::All => json!("all"),
        };
        json!({ "set": self.set.keys().collect::<Vec<_>>(), "removed": removed })
    }

    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        self.set.iter().map(|(k, v)| (format!("acs:RequestTag/{k}"), vec![v.clone()])).collect()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        cx.write(move |tx, _| {
            for id in &self.keys {
                find(tx, id)?;
                let mut all: BTreeMap<_, _> = rows::tags(tx, id)?.into_iter().collect();
                let remove = match &self.remove {
                    RemoveTags::Named(keys) => keys.clone(),
                    RemoveTags::All => all.keys().cloned().collect(),
                };
                for key in &remove {
                    all.remove(key);
                    rows::delete_tag(tx, id, key)?;
                }
                all.extend(self.set.clone());
                check_tags(&all, KEY_TAGS_MAX)?;
                for (key, value) in &self.set {
                    rows::set_tag(tx, id, (key, value))?;
                }
            }
            Ok(())
        })
        .await
    }
}

on_one_key!(
    /// Lists the tags of a key.
    ListTags
);

impl KeyAct for ListTags {
    type Output = Vec<(String, String)>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:ListResourceTags"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        cx.read(move |tx| {
            find(tx, &self.key)?;
            Ok(rows::tags(tx, &self.key)?)
        })
        .await
    }
}

/// Lists the tags of several keys, those with all of the given tags only.
#[derive(Clone, Debug)]
pub struct ListTagged {
    /// The keys.
    pub keys: Vec<KeyId>,
    /// A key must have these; an empty value is any.
    pub with: Vec<(String, String)>,
}

impl KeyAct for ListTagged {
    type Output = Vec<(KeyId, Vec<(String, String)>)>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:ListTagResources"
    }

    fn on(&self) -> String {
        self.keys.first().map_or_else(|| "key/*".to_owned(), on_key)
    }

    fn also(&self) -> Vec<String> {
        self.keys.iter().skip(1).map(on_key).collect()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        cx.read(move |tx| {
            let mut out = Vec::new();
            for id in self.keys {
                find(tx, &id)?;
                let tags = rows::tags(tx, &id)?;
                let has = |k: &str, v: &str| tags.iter().any(|t| t.0 == k && (v.is_empty() || t.1 == v));
                if self.with.iter().all(|(k, v)| has(k, v)) {
                    out.push((id, tags));
                }
            }
            Ok(out)
        })
        .await
    }
}

on_one_key!(
    /// How often a key was used, by day and operation. What was used within the last minute is not in it.
    ListKeyUses,
    /// So many days back, with today.
    days: u32
);

impl KeyAct for ListKeyUses {
    type Output = Vec<(i64, String, u64)>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:ListKeyUses"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        let today = cx.house.now().ms().div_euclid(DAY_S * 1000);
        cx.read(move |tx| {
            find(tx, &self.key)?;
            Ok(rows::uses(tx, &self.key, today - i64::from(self.days.max(1)) + 1)?)
        })
        .await
    }
}
