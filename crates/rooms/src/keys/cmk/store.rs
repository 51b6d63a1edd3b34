//! Key stores: services that a tenant runs himself and that hold keys which never come here (HYOK). A key of KMS may lie in
//! one; each use of it is a question over the network (XKS, see [`crate::outside`]), which the service may answer with no.
//!
//! INVARIANT: somebody of the provider shows the service the grant that the tenant's approver signed, and his intent with its
//! place in the tenant's log; what he opened is not kept for a second time.
//! INVARIANT: for the tenant's own people what was opened is kept no longer than the tenant's lease says, for that person alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_proof::note::VerifierKey;
use bailee_store::TenantTx;
use bailee_types::{Arn, KeyId, SecretBytes, SecretText, TenantId, Timestamp, random_text};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::manage::{READ, WRITE};
use super::opened::OpenKey;
use super::{Context, KeyAct, KeyCx, KeyProblem, rows};
use crate::gate::{Class, Intent};
use crate::keys::{Resealed, TenantKey};
use crate::outside::{
    ExternalAnswer, ExternalAsk, ExternalCipher, ExternalFor, ExternalNo, KeyService, ShownEvidence,
};
use crate::{Failure, House, Thing};

/// Key stores of one tenant.
pub const STORES_MAX: usize = 20;
/// Seconds that an opened data key may be kept for one person.
pub const LEASE_S_MAX: i64 = 3_600;
/// Bytes that every service takes at once (XKS specification, Encrypt).
const PLAIN_MAX: usize = 4_300;
const BOUND_MAX: usize = 8_192;
const LEASES_MAX: usize = 16_384;
const ROOTS_MAX: usize = 64 * 1024;
const CIPHER_VERSION: u8 = 2;
/// Questions of one tenant that are under way at a time: a service that is slow holds up its own tenant, nobody else.
const ASKS: usize = 16;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// A key store as it is told; never its secret.
#[derive(Clone, Debug)]
pub struct KeyStore {
    /// Its id, `ks-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The address up to and with `/kms/xks/v1`.
    pub address: String,
    /// The id of the credential that we sign with.
    pub credential_id: String,
    /// PEM of the roots to trust; empty for the public list.
    pub roots: String,
    /// Seconds for which an opened data key may be kept for the person who asked; 0: not at all.
    pub lease_s: i64,
    /// Keys of approvers, as vkeys; with them a signed grant is checked before it is stored.
    pub approvers: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    pub(super) sealed_secret: Vec<u8>,
    pub(super) sealed_under: i64,
}

/// Why a key store did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreProblem {
    /// It says no.
    #[error("the tenant's key store refuses this use of the key")]
    Denied,
    /// It has no such key.
    #[error("the tenant's key store has no such key")]
    NoKey,
    /// The key is disabled there.
    #[error("the key is disabled in the tenant's key store")]
    Disabled,
    /// The key is not for this there.
    #[error(
        "the key in the tenant's key store is not for this, or the request is longer than the store takes"
    )]
    Unsupported,
    /// It does not take our signature.
    #[error("the tenant's key store does not take the credential that was set for it")]
    Credential,
    /// It cannot be reached, or is too busy.
    #[error("the tenant's key store does not answer; try again")]
    Unreachable,
    /// It answers something else than the protocol has.
    #[error("the tenant's key store gives an answer that cannot be used")]
    Answer,
    /// The grant is not signed.
    #[error(
        "the key lies in the tenant's key store, and the grant has no statement that the tenant's approver signed"
    )]
    Unsigned,
}

/// Questions that are under way, by tenant.
#[derive(Default)]
pub(in crate::keys) struct Asks(Mutex<HashMap<TenantId, Arc<Semaphore>>>);

impl Asks {
    fn of(&self, tenant: &TenantId) -> Arc<Semaphore> {
        let mut all = self.0.lock();
        Arc::clone(all.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(ASKS))))
    }
}

/// Opened data keys that are kept for a moment.
#[derive(Default)]
pub(in crate::keys) struct Leases(Mutex<HashMap<[u8; 32], (SecretBytes, Instant)>>);

impl Leases {
    fn get(&self, place: &[u8; 32]) -> Option<SecretBytes> {
        let mut all = self.0.lock();
        match all.get(place) {
            Some((found, until)) if Instant::now() < *until => Some(found.clone()),
            Some(_) => {
                all.remove(place);
                None
            }
            None => None,
        }
    }

    fn put(&self, place: [u8; 32], plain: &SecretBytes, lease: Duration) {
        let mut all = self.0.lock();
        if all.len() >= LEASES_MAX {
            let now = Instant::now();
            all.retain(|_, (_, until)| now < *until);
            if all.len() >= LEASES_MAX {
                all.clear();
            }
        }
        all.insert(place, (plain.clone(), Instant::now() + lease));
    }

    /// After a key or store was changed: everything is asked again.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

fn secret_aad(tenant: &TenantId, id: &str) -> Vec<u8> {
    bailee_crypto::seal::aad(&[b"bailee/key-store/v1", tenant.as_str().as_bytes(), id.as_bytes()])
}

/// To what a ciphertext of an external key is bound, in a form that its service can read: JSON with sorted names.
fn bound(tenant: &TenantId, key: &KeyId, context: &Context) -> Result<Vec<u8>, Failure> {
    let value = json!({ "context": context, "key": key.as_str(), "tenant": tenant.as_str() });
    let bytes = value.to_string().into_bytes();
    if bytes.len() > BOUND_MAX {
        return Err(Failure::invalid(
            "EncryptionContext",
            format!("is longer than a key store takes: {BOUND_MAX} bytes of JSON with the names around it"),
        ));
    }
    Ok(bytes)
}

/// `02 ‖ len(iv) ‖ iv ‖ len(metadata) ‖ metadata ‖ tag[16] ‖ ciphertext`.
fn pack(c: &ExternalCipher) -> Vec<u8> {
    let (iv, metadata) = (c.iv.len() as u8, c.metadata.len() as u8);
    [&[CIPHER_VERSION, iv], c.iv.as_slice(), &[metadata], &c.metadata, &c.tag, &c.cipher].concat()
}

fn unpack(bytes: &[u8]) -> Option<ExternalCipher> {
    let (&[version, iv], rest) = bytes.split_first_chunk::<2>()?;
    let (iv, rest) = rest.split_at_checked(iv.into())?;
    let (&metadata, rest) = rest.split_first()?;
    let (metadata, rest) = rest.split_at_checked(metadata.into())?;
    let (tag, cipher) = rest.split_first_chunk::<16>()?;
    (version == CIPHER_VERSION).then(|| ExternalCipher {
        iv: iv.to_vec(),
        metadata: metadata.to_vec(),
        tag: tag.to_vec(),
        cipher: cipher.to_vec(),
    })
}

fn failed(no: &ExternalNo) -> Failure {
    let problem = match no {
        ExternalNo::Unreachable(_) => StoreProblem::Unreachable,
        ExternalNo::Answer(_) => StoreProblem::Answer,
        ExternalNo::Refused(name, _) => match name.as_str() {
            "AccessDeniedException" => StoreProblem::Denied,
            "KeyNotFoundException" | "InvalidUriPathException" => StoreProblem::NoKey,
            "InvalidStateException" => StoreProblem::Disabled,
            "InvalidKeyUsageException" | "UnsupportedOperationException" => StoreProblem::Unsupported,
            "AuthenticationFailedException" => StoreProblem::Credential,
            "ThrottlingException" | "DependencyTimeoutException" => StoreProblem::Unreachable,
            "InvalidCiphertextException" => return Failure::Key(KeyProblem::Ciphertext),
            _ => StoreProblem::Answer,
        },
    };
    Failure::Key(KeyProblem::Store(problem))
}

/// Seals what opens key services anew, where it lies under an older version of the tenant's key.
pub(super) fn reseal(
    tx: &mut TenantTx<'_, '_>,
    tenant: &TenantId,
    opener: &TenantKey,
    done: &mut Resealed,
) -> Result<(), Failure> {
    for store in rows::stores(tx)? {
        if let Some(after) = opener.reseal_cmk(&secret_aad(tenant, &store.id), &store.sealed_secret)? {
            done.note(rows::reseal_store(tx, &store.id, (&store.sealed_secret, &after, opener.version()))?);
        }
    }
    Ok(())
}

impl House {
    async fn key_service(&self, tenant: &TenantId, store: &KeyStore) -> Result<KeyService, Failure> {
        let opener = self.tenant_key_version(tenant, store.sealed_under).await?;
        let secret = opener.open_cmk(&secret_aad(tenant, &store.id), &store.sealed_secret)?;
        let secret = String::from_utf8(secret.expose().to_vec())
            .map_err(|_| Failure::Damaged("the secret of a key store is no text".into()))?;
        Ok(KeyService {
            address: store.address.clone(),
            credential_id: store.credential_id.clone(),
            secret: SecretText::new(secret),
            region: self.provider().region.to_string(),
            roots: store.roots.clone(),
        })
    }

    /// The grants' approvers that a tenant named at his key stores.
    pub(crate) fn approvers(&self, tx: &mut TenantTx<'_, '_>) -> Result<Vec<VerifierKey>, Failure> {
        let stores = rows::stores(tx)?;
        let keys = stores.iter().flat_map(|s| &s.approvers).map(|text| {
            VerifierKey::parse(text).map_err(|e| Failure::Damaged(format!("the key of an approver: {e}")))
        });
        keys.collect()
    }
}

impl KeyCx<'_> {
    /// For whom a store is asked.
    async fn asks_for(&self, key: &KeyId, operation: &'static str) -> Result<ExternalFor, Failure> {
        let caller = self.intent.caller();
        let region = self.house.provider().region.as_str();
        let (principal, evidence) = match (caller.operator(), caller.arn()) {
            (Some(operator), _) => {
                let name = self.house.pseudonym(self.tenant, operator);
                (
                    format!("acs:bailee::provider:operator/{name}"),
                    Some(evidence(self.house, self.tenant, self.intent).await?),
                )
            }
            (None, Some(arn)) => (arn, None),
            (None, None) => {
                (format!("acs:bailee::provider:worker/{}", caller.name().replace(' ', "-")), None)
            }
        };
        let request = caller.origin().request_id.clone();
        Ok(ExternalFor {
            principal,
            key_arn: Arn::kms(self.tenant, region, &format!("key/{key}")).to_string(),
            operation,
            // A worker's act has no request of somebody.
            request: if request.is_empty() { "none".to_owned() } else { request },
            via: self.intent.asked().resource.service().to_owned(),
            evidence,
        })
    }

    async fn store_of(&self, key: &OpenKey) -> Result<Option<(KeyStore, String)>, Failure> {
        let Some((store, external)) = key.key.lies_at.clone() else { return Ok(None) };
        let found = self.read(move |tx| rows::store(tx, &store).map_err(Failure::from)).await?;
        let found = found.ok_or_else(|| Failure::Damaged("the key store of a key is missing".into()))?;
        Ok(Some((found, external)))
    }

    async fn ask(
        &self,
        store: &KeyStore,
        external: Option<&str>,
        by: ExternalFor,
        ask: ExternalAsk,
    ) -> Result<ExternalAnswer, ExternalNo> {
        let service = self.house.key_service(self.tenant, store).await.map_err(|e| {
            tracing::error!("a key store cannot be asked: {e}");
            ExternalNo::Unreachable("its credential does not open".to_owned())
        })?;
        let busy = || ExternalNo::Unreachable("too many requests of this tenant wait for it".to_owned());
        let places = self.house.keys.kms.asks.of(self.tenant);
        let place = tokio::time::timeout(PATIENCE, places.acquire_owned()).await;
        let _place = place.ok().and_then(Result::ok).ok_or_else(busy)?;
        let answer = self.house.outside.external(&service, external, &by, ask).await;
        if let Err(no) = &answer {
            tracing::warn!(tenant.id = %self.tenant, store = store.id, "a key store did not do it: {no}");
        }
        answer
    }

    /// Seals under a key that lies elsewhere; none when the key lies here.
    pub(super) async fn seal_elsewhere(
        &self,
        key: &OpenKey,
        plain: &[u8],
        context: &Context,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let Some((store, external)) = self.store_of(key).await? else { return Ok(None) };
        if plain.len() > PLAIN_MAX {
            return Err(Failure::invalid(
                "Plaintext",
                format!("has more than {PLAIN_MAX} bytes, which a key store takes"),
            ));
        }
        let by = self.asks_for(&key.key.id, "Encrypt").await?;
        let ask = ExternalAsk::Encrypt {
            plain: SecretBytes::new(plain.to_vec()),
            bound: bound(self.tenant, &key.key.id, context)?,
        };
        match self.ask(&store, Some(&external), by, ask).await.map_err(|no| failed(&no))? {
            ExternalAnswer::Encrypted(cipher) if cipher.cipher.len() == plain.len() => {
                Ok(Some(pack(&cipher)))
            }
            _ => Err(Failure::Key(KeyProblem::Store(StoreProblem::Answer))),
        }
    }

    /// Opens what [`KeyCx::seal_elsewhere`] sealed; none when the key lies here.
    pub(super) async fn unseal_elsewhere(
        &self,
        key: &OpenKey,
        sealed: &[u8],
        context: &Context,
    ) -> Result<Option<SecretBytes>, Failure> {
        let Some((store, external)) = self.store_of(key).await? else { return Ok(None) };
        let cipher = unpack(sealed).ok_or(Failure::Key(KeyProblem::Ciphertext))?;
        let len = cipher.cipher.len();
        let bound = bound(self.tenant, &key.key.id, context)?;
        let by = self.asks_for(&key.key.id, "Decrypt").await?;
        // What is kept is for the tenant's own people, each for himself.
        let lease = if by.evidence.is_none() && self.intent.caller().is_tenant() { store.lease_s } else { 0 };
        let place = bailee_proof::hash::sha256(&[&bailee_crypto::seal::aad(&[
            b"bailee/lease/v1",
            self.tenant.as_str().as_bytes(),
            key.key.id.as_str().as_bytes(),
            store.id.as_bytes(),
            by.principal.as_bytes(),
            &bound,
            sealed,
        ])])
        .0;
        if lease > 0
            && let Some(found) = self.house.keys.kms.leases.get(&place)
        {
            return Ok(Some(found));
        }
        let ask = ExternalAsk::Decrypt { cipher, bound };
        match self.ask(&store, Some(&external), by, ask).await.map_err(|no| failed(&no))? {
            ExternalAnswer::Plain(plain) if plain.expose().len() == len => {
                if let Ok(seconds @ 1..) = u64::try_from(lease) {
                    self.house.keys.kms.leases.put(place, &plain, Duration::from_secs(seconds));
                }
                Ok(Some(plain))
            }
            _ => Err(Failure::Key(KeyProblem::Store(StoreProblem::Answer))),
        }
    }

    /// Whether a store has a key that can be used: asked when a key of KMS is made of it.
    pub(super) async fn check_external(&self, store: &KeyStore, external: &str) -> Result<(), Failure> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if !(1..=128).contains(&external.len()) || !external.bytes().all(plain) || external.starts_with('.') {
            return Err(Failure::invalid(
                "ExternalKeyId",
                "must have 1 to 128 letters, digits, `-`, `.` and `_`",
            ));
        }
        let mut by = self.asks_for(&KeyId::random(), "CreateKey").await?;
        by.key_arn = String::new();
        let answer =
            self.ask(store, Some(external), by, ExternalAsk::Metadata).await.map_err(|no| failed(&no))?;
        let ExternalAnswer::Metadata { spec, usage, enabled } = answer else {
            return Err(Failure::Key(KeyProblem::Store(StoreProblem::Answer)));
        };
        if !enabled {
            return Err(Failure::Key(KeyProblem::Store(StoreProblem::Disabled)));
        }
        let can = |word: &str| usage.iter().any(|u| u == word);
        if spec != "AES_256" || !can("ENCRYPT") || !can("DECRYPT") {
            return Err(Failure::invalid(
                "ExternalKeyId",
                "must name an AES_256 key for ENCRYPT and DECRYPT in the key store",
            ));
        }
        Ok(())
    }
}

/// What somebody of the provider shows: the signed grant, and the intent in the tenant's log.
async fn evidence(house: &Arc<House>, tenant: &TenantId, intent: &Intent) -> Result<ShownEvidence, Failure> {
    let unsigned = || Failure::Key(KeyProblem::Store(StoreProblem::Unsigned));
    let (grant, record) = intent.grant().zip(intent.record()).ok_or_else(unsigned)?;
    let statement = house.grant_statement(tenant, &grant.grant).await?.ok_or_else(unsigned)?;
    Ok(ShownEvidence {
        reason: "CUSTOMER_INITIATED_SUPPORT",
        grant: statement,
        intent: house.record_proof(tenant, record).await?.to_string(),
    })
}

/// What a tenant says about his key service.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// 1 to 64 characters.
    pub name: String,
    /// `https://host[:port][/prefix]/kms/xks/v1`.
    pub address: String,
    /// The id of the credential.
    pub credential_id: String,
    /// Its secret; of a change: none leaves the one that is there.
    pub secret: Option<SecretText>,
    /// PEM of the roots to trust; empty for the public list.
    pub roots: String,
    /// See [`KeyStore::lease_s`].
    pub lease_s: i64,
    /// See [`KeyStore::approvers`].
    pub approvers: Vec<String>,
}

impl StoreSettings {
    fn check(&self) -> Result<(), Failure> {
        let name = self.name.chars();
        if self.name.trim().is_empty() || name.clone().count() > 64 || name.clone().any(char::is_control) {
            return Err(Failure::invalid("Name", "must have 1 to 64 characters on one line"));
        }
        let rest = self.address.strip_prefix("https://").or_else(|| self.address.strip_prefix("http://"));
        let path = rest.and_then(|r| r.find('/').and_then(|at| r.get(at..))).unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_');
        let host = rest.and_then(|r| r.split('/').next()).unwrap_or_default();
        let good_host = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
        if !good_host || !path.ends_with("/kms/xks/v1") || path.len() > 128 || !path.bytes().all(plain) {
            return Err(Failure::invalid(
                "Address",
                "must be https://host[:port][/prefix]/kms/xks/v1 with a path of letters, digits, `/`, `-` and `_`",
            ));
        }
        let word = |t: &str| t.bytes().all(|b| b.is_ascii_alphanumeric());
        if !(1..=128).contains(&self.credential_id.len()) || !word(&self.credential_id) {
            return Err(Failure::invalid("CredentialId", "must be letters and digits"));
        }
        if self.secret.as_ref().is_some_and(|s| !(1..=256).contains(&s.expose().len())) {
            return Err(Failure::invalid("CredentialSecret", "must have 1 to 256 characters"));
        }
        if !(0..=LEASE_S_MAX).contains(&self.lease_s) {
            return Err(Failure::invalid("LeaseSeconds", format!("must be 0 to {LEASE_S_MAX}")));
        }
        if self.roots.len() > ROOTS_MAX
            || (!self.roots.is_empty() && !self.roots.contains("BEGIN CERTIFICATE"))
        {
            return Err(Failure::invalid("Roots", "must be certificates in PEM, at most 64 KiB"));
        }
        if self.approvers.len() > 32 {
            return Err(Failure::invalid("Approvers", "are at most 32"));
        }
        for text in &self.approvers {
            VerifierKey::parse(text)
                .map_err(|e| Failure::invalid("Approvers", format!("holds something that is no key: {e}")))?;
        }
        Ok(())
    }

    fn told(&self) -> Value {
        json!({ "name": self.name, "address": self.address, "credentialId": self.credential_id,
                "newSecret": self.secret.is_some(), "roots": !self.roots.is_empty(),
                "leaseSeconds": self.lease_s, "approvers": self.approvers })
    }
}

/// Names a key service of the tenant's own. It must answer.
#[derive(Clone, Debug)]
pub struct CreateKeyStore {
    /// What it is.
    pub settings: StoreSettings,
}

/// Changes what is known of a key service. It must answer.
#[derive(Clone, Debug)]
pub struct UpdateKeyStore {
    /// Which.
    pub id: String,
    /// What it is now.
    pub settings: StoreSettings,
}

/// Asks a key service how it is.
#[derive(Clone, Debug)]
pub struct TestKeyStore {
    /// Which.
    pub id: String,
}

/// Lists key services.
#[derive(Clone, Debug)]
pub struct ListKeyStores;

/// Forgets a key service in which no key of KMS lies.
#[derive(Clone, Debug)]
pub struct DeleteKeyStore {
    /// Which.
    pub id: String,
}

fn on_store(id: &str) -> String {
    format!("keystore/{id}")
}

fn known(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<KeyStore, Failure> {
    rows::store(tx, id)?.ok_or_else(|| Failure::not_found(Thing::KeyStore, super::short(id)))
}

impl KeyCx<'_> {
    pub(super) async fn known_store(&self, id: &str) -> Result<KeyStore, Failure> {
        let id = id.to_owned();
        self.read(move |tx| known(tx, &id)).await
    }

    /// A store that answers, and how it is.
    async fn probe(&self, store: &KeyStore, operation: &'static str) -> Result<String, Failure> {
        let mut by = self.asks_for(&KeyId::random(), operation).await?;
        by.key_arn = String::new();
        match self.ask(store, None, by, ExternalAsk::Health).await {
            Ok(ExternalAnswer::Health(text)) => Ok(text),
            Ok(_) => Err(Failure::Key(KeyProblem::Store(StoreProblem::Answer))),
            // The tenant's own words about his own service: he needs them.
            Err(no @ (ExternalNo::Unreachable(_) | ExternalNo::Answer(_))) => {
                Err(Failure::invalid("Address", format!("leads to no key service that can be used: {no}")))
            }
            Err(no) => Err(failed(&no)),
        }
    }

    async fn sealed_store(
        &self,
        id: String,
        settings: StoreSettings,
        before: Option<KeyStore>,
    ) -> Result<KeyStore, Failure> {
        settings.check()?;
        let opener = self.house.tenant_key(self.tenant).await?;
        let (sealed_secret, sealed_under) = match (&settings.secret, &before) {
            (Some(secret), _) => {
                (opener.seal_cmk(&secret_aad(self.tenant, &id), secret.expose().as_bytes()), opener.version())
            }
            (None, Some(before)) => (before.sealed_secret.clone(), before.sealed_under),
            (None, None) => return Err(Failure::invalid("CredentialSecret", "is missing")),
        };
        Ok(KeyStore {
            id,
            name: settings.name,
            address: settings.address,
            credential_id: settings.credential_id,
            roots: settings.roots,
            lease_s: settings.lease_s,
            approvers: settings.approvers,
            created_at: before.map_or(self.house.now(), |b| b.created_at),
            sealed_secret,
            sealed_under,
        })
    }
}

impl KeyAct for CreateKeyStore {
    type Output = KeyStore;
    const CLASS: Class = WRITE;
    const TENANT_ONLY: bool = true;

    fn action(&self) -> &'static str {
        "kms:CreateKeyStore"
    }

    fn on(&self) -> String {
        on_store("*")
    }

    fn detail(&self) -> Value {
        self.settings.told()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<KeyStore, Failure> {
        let id = format!("ks-{}", random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 16));
        let store = cx.sealed_store(id, self.settings, None).await?;
        cx.probe(&store, "CreateCustomKeyStore").await?;
        cx.write(move |tx, _| {
            if rows::stores(tx)?.len() >= STORES_MAX {
                return Err(Failure::limit(Thing::KeyStore, "key stores of a tenant", STORES_MAX as u64));
            }
            if !rows::insert_store(tx, &store)? {
                return Err(Failure::exists(Thing::KeyStore, &store.name));
            }
            Ok(store)
        })
        .await
    }

    fn outcome(store: &KeyStore) -> Value {
        json!({ "storeId": store.id })
    }
}

impl KeyAct for UpdateKeyStore {
    type Output = KeyStore;
    const CLASS: Class = WRITE;
    const TENANT_ONLY: bool = true;

    fn action(&self) -> &'static str {
        "kms:UpdateKeyStore"
    }

    fn on(&self) -> String {
        on_store(&self.id)
    }

    fn detail(&self) -> Value {
        self.settings.told()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<KeyStore, Failure> {
        let before = cx.known_store(&self.id).await?;
        let store = cx.sealed_store(self.id, self.settings, Some(before)).await?;
        cx.probe(&store, "UpdateCustomKeyStore").await?;
        let done = cx
            .write(move |tx, _| {
                let other = rows::stores(tx)?.into_iter().any(|s| s.name == store.name && s.id != store.id);
                if other {
                    return Err(Failure::exists(Thing::KeyStore, &store.name));
                }
                rows::update_store(tx, &store)?;
                known(tx, &store.id)
            })
            .await;
        cx.house.keys.kms.leases.clear();
        done
    }
}

impl KeyAct for TestKeyStore {
    type Output = String;
    const CLASS: Class = READ;
    const TENANT_ONLY: bool = true;

    fn action(&self) -> &'static str {
        "kms:TestKeyStore"
    }

    fn on(&self) -> String {
        on_store(&self.id)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<String, Failure> {
        let store = cx.known_store(&self.id).await?;
        cx.probe(&store, "ConnectCustomKeyStore").await
    }
}

impl KeyAct for ListKeyStores {
    type Output = Vec<KeyStore>;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:ListKeyStores"
    }

    fn on(&self) -> String {
        on_store("*")
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Vec<KeyStore>, Failure> {
        cx.read(|tx| rows::stores(tx).map_err(Failure::from)).await
    }
}

impl KeyAct for DeleteKeyStore {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:DeleteKeyStore"
    }

    fn on(&self) -> String {
        on_store(&self.id)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        cx.write(move |tx, _| {
            known(tx, &self.id)?;
            if rows::has_keys(tx, &self.id)? {
                return Err(Failure::Conflict(
                    "keys of KMS lie in this key store: schedule their deletion first, and wait for it"
                        .into(),
                ));
            }
            rows::delete_store(tx, &self.id).map_err(Failure::from)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_ciphertext_is_packed_and_unpacked() {
        let cipher = ExternalCipher {
            iv: vec![1; 12],
            metadata: vec![2; 4],
            tag: vec![3; 16],
            cipher: b"abc".to_vec(),
        };
        let packed = pack(&cipher);
        assert_eq!(unpack(&packed), Some(cipher));
        for end in 0..packed.len() - 3 {
            assert_eq!(unpack(&packed[..end]), None);
        }
    }

    #[test]
    fn addresses_are_of_one_form() {
        let settings = |address: &str| StoreSettings {
            name: "home".into(),
            address: address.into(),
            credential_id: "A1".into(),
            secret: None,
            roots: String::new(),
            lease_s: 0,
            approvers: Vec::new(),
        };
        assert!(settings("https://keys.acme.example/a/kms/xks/v1").check().is_ok());
        assert!(settings("http://127.0.0.1:9/kms/xks/v1").check().is_ok());
        for bad in [
            "",
            "https://",
            "ftp://a/kms/xks/v1",
            "https:///kms/xks/v1",
            "https://a/kms/xks/v2",
            "https://a/kms/xks/v1?x",
            "https://u@a/kms/xks/v1",
            "https://a b/kms/xks/v1",
            "https://a/../kms/xks/v1",
        ] {
            assert!(settings(bad).check().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(cipher) = unpack(&bytes) {
                prop_assert_eq!(pack(&cipher), bytes);
            }
        }
    }
}
