//! What keys do: encrypt, decrypt, make data keys, sign, authenticate. Data events: they touch no storage once the key is
//! opened, and are counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_crypto::cmk::{MacAlgorithm, PublicKey, SignAlgorithm, Usage, WrapAlgorithm};
use bailee_crypto::seal::aad;
use bailee_types::{Arn, KeyId, KeyVersionId, SecretBytes, TenantId, random_bytes};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::manage::{READ, on_key};
use super::{KeyAct, KeyCx, KeyProblem, PLAINTEXT_MAX};
use crate::gate::{Class, Intent};
use crate::{Failure, House};

/// Names and values that a ciphertext is bound to.
pub type Context = BTreeMap<String, String>;

/// Bytes of a context, all names and values together.
pub const CONTEXT_BYTES_MAX: usize = 8_192;
const DATA_KEY_MAX: usize = 1_024;
const MESSAGE_MAX: usize = 32 * 1024;
const BLOB_VERSION: u8 = 1;

/// What `Encrypt` gives: `01 ‖ key[16] ‖ version[16] ‖ sealed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphertext {
    /// Under which key.
    pub key: KeyId,
    /// Under which version of it.
    pub version: KeyVersionId,
    sealed: Vec<u8>,
}

impl Ciphertext {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let read = || {
            let (version, rest) = bytes.split_first()?;
            let (key, rest) = rest.split_first_chunk::<16>()?;
            let (of, sealed) = rest.split_first_chunk::<16>()?;
            (*version == BLOB_VERSION).then(|| Self {
                key: KeyId::from_bytes(key),
                version: KeyVersionId::from_bytes(of),
                sealed: sealed.to_vec(),
            })
        };
        read().ok_or_else(|| Failure::invalid("CiphertextBlob", "is not a ciphertext of this service"))
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[BLOB_VERSION][..], &self.key.to_bytes(), &self.version.to_bytes(), &self.sealed].concat()
    }
}

/// A result, and by which version of which key.
#[derive(Debug)]
pub struct Used<T> {
    /// The key.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersionId,
    /// The result.
    pub result: T,
}

fn blob_aad(tenant: &TenantId, key: &KeyId, version: &KeyVersionId, context: &Context) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = vec![
        b"bailee/kms-blob/v1",
        tenant.as_str().as_bytes(),
        key.as_str().as_bytes(),
        version.as_str().as_bytes(),
    ];
    parts.extend(context.iter().flat_map(|(k, v)| [k.as_bytes(), v.as_bytes()]));
    aad(&parts)
}

fn check_context(context: &Context) -> Result<(), Failure> {
    let bytes: usize = context.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > CONTEXT_BYTES_MAX {
        return Err(Failure::invalid(
            "EncryptionContext",
            format!("has more than {CONTEXT_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}

/// Conditions of policies on a context (contract §5).
fn on_context(context: &Context) -> Vec<(String, Vec<String>)> {
    context.iter().map(|(k, v)| (format!("kms:EncryptionContext/{k}"), vec![v.clone()])).collect()
}

impl KeyCx<'_> {
    async fn seal_under(&self, key: &KeyId, plain: &[u8], context: &Context) -> Result<Ciphertext, Failure> {
        check_context(context)?;
        let open = self.house.open_key(self.tenant, key).await?;
        open.expect(Usage::Encrypt, self.house.now())?;
        let version = open.key.primary.clone();
        if let Some(sealed) = self.seal_elsewhere(&open, plain, context).await? {
            return Ok(Ciphertext { key: key.clone(), version, sealed });
        }
        let cmk = self.house.open_version(&open, &version).await?;
        let sealed = cmk.seal(&blob_aad(self.tenant, key, &version, context), plain)?;
        Ok(Ciphertext { key: key.clone(), version, sealed })
    }

    async fn unseal(&self, blob: &Ciphertext, context: &Context) -> Result<SecretBytes, Failure> {
        check_context(context)?;
        let open = self.house.open_key(self.tenant, &blob.key).await?;
        open.expect(Usage::Encrypt, self.house.now())?;
        if let Some(plain) = self.unseal_elsewhere(&open, &blob.sealed, context).await? {
            return Ok(plain);
        }
        let cmk = self.house.open_version(&open, &blob.version).await?;
        Ok(cmk.unseal(&blob_aad(self.tenant, &blob.key, &blob.version, context), &blob.sealed)?)
    }

    /// Covers a data key's wrap; the use is counted.
    async fn cover(&self, key: &KeyId, wrapped: &[u8], context: &Context) -> Result<Vec<u8>, Failure> {
        let blob = self.seal_under(key, wrapped, context).await?;
        self.count(key, "GenerateDataKey");
        Ok(blob.to_bytes())
    }

    async fn uncover(&self, key: &KeyId, covered: &[u8], context: &Context) -> Result<SecretBytes, Failure> {
        let damaged = || Failure::Damaged("the data key of an object does not open".into());
        let blob = Ciphertext::read(covered).map_err(|_| damaged())?;
        if blob.key != *key {
            return Err(damaged());
        }
        let wrapped = self.unseal(&blob, context).await.map_err(|e| match e {
            // What lies here did not come from the caller.
            Failure::Key(KeyProblem::Ciphertext) => damaged(),
            other => other,
        })?;
        self.count(key, "Decrypt");
        Ok(wrapped)
    }

    /// Seals a secret's value; the use is counted.
    pub(in crate::keys) async fn seal_for_secret(
        &self,
        key: &KeyId,
        plain: &[u8],
        context: &Context,
    ) -> Result<(KeyVersionId, Vec<u8>), Failure> {
        let blob = self.seal_under(key, plain, context).await?;
        self.count(key, "Encrypt");
        Ok((blob.version, blob.sealed))
    }

    /// Opens a secret's value; the use is counted.
    pub(in crate::keys) async fn open_for_secret(
        &self,
        key: &KeyId,
        version: &KeyVersionId,
        sealed: &[u8],
        context: &Context,
    ) -> Result<SecretBytes, Failure> {
        let blob = Ciphertext { key: key.clone(), version: version.clone(), sealed: sealed.to_vec() };
        let plain = self.unseal(&blob, context).await.map_err(|e| match e {
            // What lies here did not come from the caller.
            Failure::Key(KeyProblem::Ciphertext) => Failure::Damaged("a secret's value does not open".into()),
            other => other,
        })?;
        self.count(key, "Decrypt");
        Ok(plain)
    }

    /// A key pair's or MAC key's version, to be used on a thread of its own: RSA takes milliseconds.
    async fn with_version<T: Send + 'static>(
        &self,
        key: &KeyId,
        usage: Usage,
        version: Option<KeyVersionId>,
        f: impl FnOnce(&bailee_crypto::cmk::Cmk) -> Result<T, bailee_crypto::cmk::CmkError> + Send + 'static,
    ) -> Result<Used<T>, Failure> {
        let open = self.house.open_key(self.tenant, key).await?;
        open.expect(usage, self.house.now())?;
        let version = version.unwrap_or_else(|| open.key.primary.clone());
        let cmk = self.house.open_version(&open, &version).await?;
        let result = if open.key.spec.is_pair() {
            let _place =
                self.house.keys.kms.pairs.acquire().await.map_err(|e| Failure::Bug(e.to_string()))?;
            tokio::task::spawn_blocking(move || f(&cmk))
                .await
                .map_err(|e| Failure::Bug(format!("a use of a key stopped: {e}")))??
        } else {
            f(&cmk)?
        };
        Ok(Used { key: key.clone(), version, result })
    }

    fn count(&self, key: &KeyId, operation: &'static str) {
        self.house.count_use(self.tenant, key, operation, 1);
    }
}

/// Encrypts a few bytes under a symmetric key.
pub struct Encrypt {
    /// The key.
    pub key: KeyId,
    /// At most [`PLAINTEXT_MAX`] bytes.
    pub plaintext: SecretBytes,
    /// What the ciphertext is bound to.
    pub context: Context,
}

impl KeyAct for Encrypt {
    type Output = Ciphertext;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:Encrypt"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        on_context(&self.context)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Ciphertext, Failure> {
        if self.plaintext.expose().len() > PLAINTEXT_MAX {
            return Err(Failure::invalid("Plaintext", format!("has more than {PLAINTEXT_MAX} bytes")));
        }
        let out = cx.seal_under(&self.key, self.plaintext.expose(), &self.context).await?;
        cx.count(&self.key, "Encrypt");
        Ok(out)
    }
}

/// Decrypts what a symmetric key encrypted.
pub struct Decrypt {
    /// The ciphertext; it names its key.
    pub blob: Ciphertext,
    /// What it was bound to.
    pub context: Context,
}

impl KeyAct for Decrypt {
    type Output = SecretBytes;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:Decrypt"
    }

    fn on(&self) -> String {
        on_key(&self.blob.key)
    }

    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        on_context(&self.context)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<SecretBytes, Failure> {
        let out = cx.unseal(&self.blob, &self.context).await?;
        cx.count(&self.blob.key, "Decrypt");
        Ok(out)
    }
}

/// From what is encrypted anew.
pub enum ReEncryptFrom {
    /// A symmetric key's ciphertext.
    Blob(Ciphertext, Context),
    /// What was encrypted to a key pair.
    Pair(DecryptWith),
}

/// Decrypts and encrypts under another key, without the plaintext leaving.
pub struct ReEncrypt {
    /// What.
    pub from: ReEncryptFrom,
    /// The new key.
    pub to: KeyId,
    /// What the new ciphertext is bound to.
    pub context: Context,
}

impl ReEncrypt {
    fn source_key(&self) -> &KeyId {
        match &self.from {
            ReEncryptFrom::Blob(blob, _) => &blob.key,
            ReEncryptFrom::Pair(pair) => &pair.key,
        }
    }
}

impl KeyAct for ReEncrypt {
    type Output = Ciphertext;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:ReEncrypt"
    }

    fn on(&self) -> String {
        on_key(&self.to)
    }

    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        on_context(&self.context)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Ciphertext, Failure> {
        let from = self.source_key().clone();
        // Its right to the old key, in the old context: else who may use one context carried everything into it.
        let old = match &self.from {
            ReEncryptFrom::Blob(_, context) => on_context(context),
            ReEncryptFrom::Pair(_) => Vec::new(),
        };
        let source = Arn::kms(cx.tenant, cx.house.provider().region.as_str(), &on_key(&from));
        cx.house.ask_further_with(cx.intent, self.action(), (source, "ACS::KMS::Key"), old).await?;
        let plain = match self.from {
            ReEncryptFrom::Blob(blob, context) => cx.unseal(&blob, &context).await?,
            ReEncryptFrom::Pair(pair) => pair.open(cx).await?.result,
        };
        let out = cx.seal_under(&self.to, plain.expose(), &self.context).await?;
        cx.count(&from, "ReEncrypt");
        if from != self.to {
            cx.count(&self.to, "ReEncrypt");
        }
        Ok(out)
    }
}

/// Makes a data key.
pub struct GenerateDataKey {
    /// The key that encrypts it.
    pub key: KeyId,
    /// Its bytes, 1 to 1,024.
    pub bytes: usize,
    /// What its ciphertext is bound to.
    pub context: Context,
    /// The action of policies: with plaintext, without, or exported.
    pub action: &'static str,
}

impl KeyAct for GenerateDataKey {
    type Output = (SecretBytes, Ciphertext);
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        self.action
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        on_context(&self.context)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(SecretBytes, Ciphertext), Failure> {
        let plain = SecretBytes::new(random_bytes::<DATA_KEY_MAX>().to_vec());
        let plain = plain.expose().get(..self.bytes).filter(|b| !b.is_empty());
        let plain = plain.ok_or_else(|| Failure::invalid("NumberOfBytes", "must be from 1 to 1024"))?;
        let blob = cx.seal_under(&self.key, plain, &self.context).await?;
        cx.count(&self.key, "GenerateDataKey");
        Ok((SecretBytes::new(plain.to_vec()), blob))
    }
}

/// Hands a data key out, encrypted to a public key of the caller.
pub struct ExportKey {
    /// The data key's ciphertext.
    pub blob: Ciphertext,
    /// What it was bound to.
    pub context: Context,
    /// To whom.
    pub to: PublicKey,
    /// How.
    pub algorithm: WrapAlgorithm,
}

impl KeyAct for ExportKey {
    type Output = Vec<u8>;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:ExportDataKey"
    }

    fn on(&self) -> String {
        on_key(&self.blob.key)
    }

    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        on_context(&self.context)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Vec<u8>, Failure> {
        let plain = cx.unseal(&self.blob, &self.context).await?;
        let out = self.to.encrypt(self.algorithm, plain.expose())?;
        cx.count(&self.blob.key, "ExportDataKey");
        Ok(out)
    }
}

/// Encrypts to a key pair.
pub struct EncryptTo {
    /// The key.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersionId,
    /// How.
    pub algorithm: WrapAlgorithm,
    /// What.
    pub plaintext: SecretBytes,
}

impl KeyAct for EncryptTo {
    type Output = Used<Vec<u8>>;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:AsymmetricEncrypt"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        if self.plaintext.expose().len() > PLAINTEXT_MAX {
            return Err(Failure::invalid("Plaintext", format!("has more than {PLAINTEXT_MAX} bytes")));
        }
        let (algorithm, plain) = (self.algorithm, self.plaintext);
        let f = move |cmk: &bailee_crypto::cmk::Cmk| cmk.encrypt(algorithm, plain.expose());
        let out = cx.with_version(&self.key, Usage::Encrypt, Some(self.version), f).await?;
        cx.count(&self.key, "AsymmetricEncrypt");
        Ok(out)
    }
}

/// Decrypts what was encrypted to a key pair.
pub struct DecryptWith {
    /// The key.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersionId,
    /// How it was encrypted.
    pub algorithm: WrapAlgorithm,
    /// The ciphertext.
    pub cipher: Vec<u8>,
}

impl DecryptWith {
    async fn open(self, cx: &KeyCx<'_>) -> Result<Used<SecretBytes>, Failure> {
        // PKCS #1 v1.5 is for imports: here its padding would be an oracle.
        if self.algorithm == WrapAlgorithm::Pkcs1 {
            return Err(Failure::Key(KeyProblem::Unsupported));
        }
        let (algorithm, cipher) = (self.algorithm, self.cipher);
        let f = move |cmk: &bailee_crypto::cmk::Cmk| cmk.decrypt(algorithm, &cipher);
        cx.with_version(&self.key, Usage::Encrypt, Some(self.version), f).await
    }
}

impl KeyAct for DecryptWith {
    type Output = Used<SecretBytes>;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:AsymmetricDecrypt"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        let key = self.key.clone();
        let out = self.open(cx).await?;
        cx.count(&key, "AsymmetricDecrypt");
        Ok(out)
    }
}

/// Signs a digest.
pub struct Sign {
    /// The key.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersionId,
    /// How.
    pub algorithm: SignAlgorithm,
    /// 32 bytes.
    pub digest: Vec<u8>,
}

/// Checks a signature over a digest.
pub struct Verify {
    /// The key.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersionId,
    /// How it was signed.
    pub algorithm: SignAlgorithm,
    /// 32 bytes.
    pub digest: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl KeyAct for Sign {
    type Output = Used<Vec<u8>>;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:AsymmetricSign"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        check_digest(&self.digest)?;
        let (algorithm, digest) = (self.algorithm, self.digest);
        let f = move |cmk: &bailee_crypto::cmk::Cmk| cmk.sign(algorithm, &digest);
        let out = cx.with_version(&self.key, Usage::Sign, Some(self.version), f).await?;
        cx.count(&self.key, "AsymmetricSign");
        Ok(out)
    }
}

impl KeyAct for Verify {
    type Output = Used<bool>;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:AsymmetricVerify"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Self::Output, Failure> {
        check_digest(&self.digest)?;
        let (algorithm, digest, signature) = (self.algorithm, self.digest, self.signature);
        let f = move |cmk: &bailee_crypto::cmk::Cmk| cmk.verify(algorithm, &digest, &signature);
        let out = cx.with_version(&self.key, Usage::Sign, Some(self.version), f).await?;
        cx.count(&self.key, "AsymmetricVerify");
        Ok(out)
    }
}

fn check_digest(digest: &[u8]) -> Result<(), Failure> {
    if digest.len() == 32 { Ok(()) } else { Err(Failure::invalid("Digest", "must have 32 bytes (base64)")) }
}

/// The public half of a key pair.
pub struct PublicHalf {
    /// The key.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersionId,
}

impl KeyAct for PublicHalf {
    type Output = String;
    const CLASS: Class = READ;

    fn action(&self) -> &'static str {
        "kms:GetPublicKey"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<String, Failure> {
        let open = cx.house.open_key(cx.tenant, &self.key).await?;
        open.expect(open.key.usage, cx.house.now())?;
        Ok(cx.house.open_version(&open, &self.version).await?.public_pem()?)
    }
}

/// Makes an authentication code.
pub struct KeyMac {
    /// The key.
    pub key: KeyId,
    /// How.
    pub algorithm: MacAlgorithm,
    /// At most 32 KiB.
    pub message: Vec<u8>,
}

/// Checks an authentication code.
pub struct VerifyKeyMac {
    /// What is checked.
    pub of: KeyMac,
    /// The code.
    pub mac: Vec<u8>,
}

impl KeyMac {
    async fn make(self, cx: &KeyCx<'_>) -> Result<Vec<u8>, Failure> {
        if self.message.is_empty() || self.message.len() > MESSAGE_MAX {
            return Err(Failure::invalid("Message", format!("must have 1 to {MESSAGE_MAX} bytes (base64)")));
        }
        let (algorithm, message) = (self.algorithm, self.message);
        let f = move |cmk: &bailee_crypto::cmk::Cmk| cmk.mac(algorithm, &message);
        Ok(cx.with_version(&self.key, Usage::Mac, None, f).await?.result)
    }
}

impl KeyAct for KeyMac {
    type Output = Vec<u8>;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:GenerateMac"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<Vec<u8>, Failure> {
        let key = self.key.clone();
        let out = self.make(cx).await?;
        cx.count(&key, "GenerateMac");
        Ok(out)
    }
}

impl KeyAct for VerifyKeyMac {
    type Output = bool;
    const CLASS: Class = Class::Data;

    fn action(&self) -> &'static str {
        "kms:VerifyMac"
    }

    fn on(&self) -> String {
        on_key(&self.of.key)
    }

    fn detail(&self) -> Value {
        json!({ "algorithm": self.of.algorithm.name() })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<bool, Failure> {
        let key = self.of.key.clone();
        let made = self.of.make(cx).await?;
        cx.count(&key, "VerifyMac");
        Ok(bool::from(made.ct_eq(&self.mac)))
    }
}

impl House {
    /// Covers the wrap of an object's data key with a key of KMS.
    pub(in crate::keys) async fn cover_under(
        self: &Arc<Self>,
        (tenant, intent): (&TenantId, &Intent),
        key: &KeyId,
        wrapped: &[u8],
        context: &Context,
    ) -> Result<Vec<u8>, Failure> {
        KeyCx { house: self, tenant, intent }.cover(key, wrapped, context).await
    }

    /// Takes such a cover off.
    pub(in crate::keys) async fn uncover_under(
        self: &Arc<Self>,
        (tenant, intent): (&TenantId, &Intent),
        key: &KeyId,
        covered: &[u8],
        context: &Context,
    ) -> Result<SecretBytes, Failure> {
        KeyCx { house: self, tenant, intent }.uncover(key, covered, context).await
    }

    /// Whether a cover was made with the newest version of its key.
    pub(in crate::keys) async fn cover_is_newest(
        &self,
        tenant: &TenantId,
        key: &KeyId,
        covered: &[u8],
    ) -> Result<bool, Failure> {
        let damaged = |_| Failure::Damaged("the data key of an object does not open".into());
        let blob = Ciphertext::read(covered).map_err(damaged)?;
        Ok(blob.version == self.open_key(tenant, key).await?.key.primary)
    }

    /// Whether a key lies in a key store of the tenant's.
    pub(crate) async fn lies_elsewhere(&self, tenant: &TenantId, key: &KeyId) -> Result<bool, Failure> {
        Ok(self.open_key(tenant, key).await?.key.lies_at.is_some())
    }

    /// Whether a key can cover data keys now.
    pub(crate) async fn can_cover(
        self: &Arc<Self>,
        (tenant, intent): (&TenantId, &Intent),
        key: &KeyId,
    ) -> Result<(), Failure> {
        let cx = KeyCx { house: self, tenant, intent };
        cx.seal_under(key, &[0; 32], &Context::new()).await.map(drop)
    }
}
