//! Kms 2016-01-20: keys, secrets and their policies.

mod secrets;
mod stores;

use std::collections::BTreeMap;

use bailee_rooms::keys::cmk::{
    AliasName, CancelDeletion, Ciphertext, Context, CreateAlias, CreateKey, CreateVersion, Decrypt,
    DecryptWith, DeleteAlias, DeleteMaterial, DescribeKey, DescribeVersion, Encrypt, EncryptTo, ExportKey,
    GenerateDataKey, ImportMaterial, Key, KeyAct, KeyMac, KeyOrigin, KeyProblem, KeyState, ListAliases,
    ListKeys, ListTagged, ListTags, ListVersions, MacAlgorithm, PrepareImport, PublicHalf, PublicKey,
    ReEncrypt, ReEncryptFrom, RemoveTags, ScheduleDeletion, SetEnabled, SetKeyTags, SetProtection,
    SetRotation, Sign, SignAlgorithm, Spec, StoreProblem, UpdateAlias, UpdateDescription, Usage, Verify,
    VerifyKeyMac, WrapAlgorithm, export_to, read_public_key,
};
use bailee_rooms::keys::policy::{GetPolicy, Guarded, SetPolicy};
use bailee_rooms::{Failure, Thing};
use bailee_types::{KeyId, KeyVersionId, SecretBytes, Timestamp, random_text};
use bailee_wire::rpc::RpcError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Cx, failure};

/// Operations in which a key does its work, or a secret is told.
const USES: &[&str] = &[
    "Encrypt",
    "Decrypt",
    "ReEncrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateAndExportDataKey",
    "ExportDataKey",
    "AsymmetricEncrypt",
    "AsymmetricDecrypt",
    "AsymmetricSign",
    "AsymmetricVerify",
    "GenerateMac",
    "VerifyMac",
    "GetSecretValue",
    "BatchGetSecretValue",
];

pub(super) fn uses_keys(operation: &str) -> bool {
    USES.contains(&operation)
}

/// Answers a signed operation; none when it is not built.
pub(super) async fn answer(cx: &Cx<'_>) -> Result<Option<Value>, RpcError> {
    let kms = Kms { cx };
    let name = cx.request.operation().name;
    if cx.request.flag("DryRun")? == Some(true) {
        return Err(unsupported("DryRun is not offered: ask `bailee why`, or leave it out."));
    }
    if let Some(answer) = kms.keys(name).await? {
        return Ok(Some(answer));
    }
    if let Some(answer) = kms.names(name).await? {
        return Ok(Some(answer));
    }
    if let Some(answer) = kms.symmetric(name).await? {
        return Ok(Some(answer));
    }
    if let Some(answer) = kms.pairs(name).await? {
        return Ok(Some(answer));
    }
    if let Some(answer) = kms.stores(name).await? {
        return Ok(Some(answer));
    }
    if let Some(answer) = kms.secrets(name).await? {
        return Ok(Some(answer));
    }
    kms.account(name)
}

struct Kms<'a> {
    cx: &'a Cx<'a>,
}

fn nothing() -> RemoveTags {
    RemoveTags::Named(Vec::new())
}

fn unsupported(text: &str) -> RpcError {
    RpcError::new(400, "UnsupportedOperation", text)
}

fn invalid(name: &str, why: &str) -> RpcError {
    RpcError::new(400, "InvalidParameter", format!("The parameter {name} {why}."))
}

/// Seconds of `7d`, `168h`, `10080m` or `604800s`.
fn interval(text: &str) -> Result<i64, RpcError> {
    let wrong = || invalid("RotationInterval", "must be a number with d, h, m or s, as `30d` or `12h`");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let times = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(times).filter(|s| *s > 0).ok_or_else(wrong)
}

impl Kms<'_> {
    async fn act<A: KeyAct>(&self, act: A) -> Result<A::Output, RpcError> {
        let op = act.of(&self.cx.tenant, self.cx.house);
        self.cx.house.perform(self.cx.caller.clone(), op).await.map_err(|e| self.failed(e))
    }

    /// The codes of this product (contract §4); what has none is as for every other.
    fn failed(&self, e: Failure) -> RpcError {
        let text = failure::sentence(&e.to_string());
        match &e {
            Failure::NotFound { thing: Thing::Key, .. } => RpcError::new(404, "Forbidden.KeyNotFound", text),
            Failure::NotFound { thing: Thing::KeyVersion, .. } => {
                RpcError::new(404, "Forbidden.KeyVersionNotFound", text)
            }
            Failure::NotFound { thing: Thing::Alias, .. } => {
                RpcError::new(404, "Forbidden.AliasNotFound", text)
            }
            Failure::NotFound { thing: Thing::Secret | Thing::SecretVersion | Thing::KeyStore, .. } => {
                RpcError::new(404, "Forbidden.ResourceNotFound", text)
            }
            Failure::Exists { thing: Thing::Secret | Thing::SecretVersion, .. } => {
                RpcError::new(409, "Rejected.ResourceExist", text)
            }
            Failure::Exists { thing: Thing::Alias, .. } => RpcError::new(400, "AliasAlreadyExists", text),
            Failure::Limit { .. } => RpcError::new(400, "Rejected.LimitExceeded", text),
            Failure::Invalid { .. } => RpcError::new(400, "InvalidParameter", text),
            Failure::Refused(_) => {
                let error = failure::of(e, self.cx.house, &self.cx.caller);
                if error.code() == "NoPermission" { error.with_code("Forbidden.NoPermission") } else { error }
            }
            Failure::Key(problem) => {
                let (status, code) = match problem {
                    KeyProblem::State(KeyState::PendingDeletion) => (409, "Rejected.PendingDeletion"),
                    KeyProblem::State(KeyState::PendingImport) => (409, "Rejected.PendingImport"),
                    KeyProblem::State(KeyState::Disabled) => (409, "Rejected.Disabled"),
                    KeyProblem::State(KeyState::Enabled) => (409, "Rejected.StateModifiedFailed"),
                    KeyProblem::Protected => (409, "Rejected.DeletionProtected"),
                    KeyProblem::Unsupported | KeyProblem::SecretType(_) => (400, "UnsupportedOperation"),
                    // Ours: the original's code for it is not documented.
                    KeyProblem::Rotating => (409, "Rejected.SecretRotating"),
                    KeyProblem::Custody => (409, "Rejected.KeyInUse"),
                    KeyProblem::Origin => (400, "Unsupported.Origin"),
                    KeyProblem::Material => (400, "InvalidKeyMaterial"),
                    KeyProblem::Token => (400, "InvalidImportToken"),
                    KeyProblem::TokenExpired => (400, "ExpiredImportToken"),
                    KeyProblem::Ciphertext | KeyProblem::Customer | KeyProblem::Stranger => {
                        (400, "InvalidParameter")
                    }
                    KeyProblem::Store(StoreProblem::Unreachable) => (503, "ServiceUnavailableTemporary"),
                    KeyProblem::Store(StoreProblem::Denied | StoreProblem::Unsigned) => {
                        (403, "Forbidden.KeyStore")
                    }
                    KeyProblem::Store(StoreProblem::Unsupported) => (400, "UnsupportedOperation"),
                    KeyProblem::Store(_) => (409, "Rejected.KeyStore"),
                };
                RpcError::new(status, code, text)
            }
            _ => failure::of(e, self.cx.house, &self.cx.caller),
        }
    }

    fn text(&self, name: &str) -> String {
        self.cx.request.text(name)
    }

    async fn key_of(&self, name: &str) -> Result<KeyId, RpcError> {
        let text = self.cx.request.required(name)?;
        self.cx.house.key_named(&self.cx.tenant, text).await.map_err(|e| self.failed(e))
    }

    async fn key(&self) -> Result<KeyId, RpcError> {
        self.key_of("KeyId").await
    }

    fn version(&self) -> Result<KeyVersionId, RpcError> {
        let text = self.cx.request.required("KeyVersionId")?;
        KeyVersionId::parse(text).map_err(|_| {
            RpcError::new(404, "Forbidden.KeyVersionNotFound", "The key version does not exist.")
        })
    }

    fn alias(&self) -> Result<AliasName, RpcError> {
        AliasName::parse(self.cx.request.required("AliasName")?).map_err(|e| self.failed(e))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, RpcError> {
        BASE64.decode(self.cx.request.required(name)?).map_err(|_| invalid(name, "is not base64"))
    }

    fn secret(&self, name: &str) -> Result<SecretBytes, RpcError> {
        self.bytes(name).map(SecretBytes::new)
    }

    fn blob(&self) -> Result<Ciphertext, RpcError> {
        Ciphertext::read(&self.bytes("CiphertextBlob")?).map_err(|e| self.failed(e))
    }

    fn context(&self, name: &str) -> Result<Context, RpcError> {
        let Some(text) = self.cx.request.filled(name) else { return Ok(Context::new()) };
        serde_json::from_str(&text).map_err(|_| invalid(name, "must be a JSON object of texts"))
    }

    /// Page and size, and how they are told.
    fn page(&self) -> Result<(u64, u64), RpcError> {
        let number = |name, range, or| {
            let found = self.cx.request.number(name, range).map_err(|e| e.with_code("InvalidParameter"))?;
            Ok::<_, RpcError>(found.unwrap_or(or) as u64)
        };
        Ok((number("PageNumber", 1..=1_000_000, 1)?, number("PageSize", 1..=101, 10)?))
    }

    /// What would need somebody or something that is not here.
    fn refuse_recipient(&self) -> Result<(), RpcError> {
        match self.cx.request.filled("Recipient") {
            Some(_) => Err(unsupported("Recipient is not offered: enclaves are not.")),
            None => Ok(()),
        }
    }

    fn arn(&self, relative: &str) -> String {
        let region = self.cx.house.provider().region.as_str();
        bailee_types::Arn::kms(&self.cx.tenant, region, relative).to_string()
    }

    fn metadata(&self, key: &Key) -> Value {
        let time = |t: Option<Timestamp>| t.map(Timestamp::iso).unwrap_or_default();
        let rotation = match (key.rotation_s, key.state) {
            (None, _) => "Disabled",
            (Some(_), KeyState::Enabled) => "Enabled",
            (Some(_), _) => "Suspended",
        };
        // The version that encrypts; of a pair each version is named by who uses it.
        let primary = if key.spec.is_pair() { "" } else { key.primary.as_str() };
        json!({
            "KeyId": key.id.as_str(),
            "Arn": self.arn(&format!("key/{}", key.id)),
            "Creator": key.creator,
            "CreationDate": key.created_at.iso(),
            "Description": key.description,
            "KeySpec": key.spec.name(),
            "KeyUsage": key.usage.name(),
            "KeyState": key.state.name(),
            "Origin": key.origin.name(),
            "ProtectionLevel": "SOFTWARE",
            "PrimaryKeyVersion": primary,
            "DeleteDate": time(key.delete_at),
            "MaterialExpireTime": time(key.material_until),
            "LastRotationDate": time(key.rotated_at.or(Some(key.created_at))),
            "NextRotationDate": time(key.rotate_at),
            "AutomaticRotation": rotation,
            "RotationInterval": key.rotation_s.map(|s| format!("{s}s")).unwrap_or_default(),
            "DeletionProtection": if key.protected.is_some() { "Enabled" } else { "Disabled" },
            "DeletionProtectionDescription": key.protected.clone().unwrap_or_default(),
            "KeyStoreId": key.lies_at.as_ref().map(|(store, _)| store),
            "ExternalKeyId": key.lies_at.as_ref().map(|(_, key)| key),
        })
    }

    /// Shows or sets the policy of a key or secret.
    async fn policy(&self, set: bool, of: Guarded) -> Result<Value, RpcError> {
        if !set {
            return Ok(json!({ "Policy": self.act(GetPolicy { of }).await? }));
        }
        let document = self.cx.request.required("Policy")?.to_owned();
        self.act(SetPolicy { of, document }).await?;
        Ok(json!({}))
    }

    fn expect_usual_name(&self) -> Result<(), RpcError> {
        match self.cx.request.filled("PolicyName") {
            Some(name) if name != "default" => Err(invalid("PolicyName", "must be default")),
            _ => Ok(()),
        }
    }

    async fn keys(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        Ok(Some(match name {
            "CreateKey" => {
                let key = self.act(self.new_key()?).await?;
                json!({ "KeyMetadata": self.metadata(&key) })
            }
            "DescribeKey" => {
                let key = self.act(DescribeKey { key: self.key().await? }).await?;
                json!({ "KeyMetadata": self.metadata(&key) })
            }
            "ListKeys" => self.list_keys().await?,
            "EnableKey" | "DisableKey" => {
                self.act(SetEnabled { key: self.key().await?, enabled: name == "EnableKey" }).await?;
                json!({})
            }
            "UpdateKeyDescription" => {
                let description = request.required("Description")?.to_owned();
                self.act(UpdateDescription { key: self.key().await?, description }).await?;
                json!({})
            }
            "ScheduleKeyDeletion" => {
                let days = request
                    .number("PendingWindowInDays", 7..=366)
                    .map_err(|e| e.with_code("InvalidParameter"))?;
                let days = days.ok_or_else(|| RpcError::missing("PendingWindowInDays"))?;
                self.act(ScheduleDeletion { key: self.key().await?, days }).await?;
                json!({})
            }
            "CancelKeyDeletion" => {
                self.act(CancelDeletion { key: self.key().await? }).await?;
                json!({})
            }
            "SetDeletionProtection" => {
                let on = request
                    .flag("EnableDeletionProtection")?
                    .ok_or_else(|| RpcError::missing("EnableDeletionProtection"))?;
                let field = if request.filled("KeyId").is_some() { "KeyId" } else { "ProtectedResourceArn" };
                let protect = on.then(|| self.text("DeletionProtectionDescription"));
                self.act(SetProtection { key: self.key_of(field).await?, protect }).await?;
                json!({})
            }
            "GetKeyPolicy" | "SetKeyPolicy" => {
                self.expect_usual_name()?;
                self.policy(name == "SetKeyPolicy", Guarded::Key(self.key().await?)).await?
            }
            "CreateKeyVersion" => {
                let key = self.key().await?;
                let (version, at) = self.act(CreateVersion { key: key.clone(), by_interval: false }).await?;
                json!({ "KeyVersion": told_version(&key, &version, at) })
            }
            "DescribeKeyVersion" => {
                let (key, version) = (self.key().await?, self.version()?);
                let at = self.act(DescribeVersion { key: key.clone(), version: version.clone() }).await?;
                json!({ "KeyVersion": told_version(&key, &version, at) })
            }
            "ListKeyVersions" => {
                let ((page, size), key) = (self.page()?, self.key().await?);
                let found = self.act(ListVersions { key: key.clone(), page, size }).await?;
                let all: Vec<_> = found.items.iter().map(|(v, at)| told_version(&key, v, *at)).collect();
                json!({ "KeyVersions": { "KeyVersion": all }, "PageNumber": page, "PageSize": size,
                        "TotalCount": found.total })
            }
            "UpdateRotationPolicy" => {
                let on = request
                    .flag("EnableAutomaticRotation")?
                    .ok_or_else(|| RpcError::missing("EnableAutomaticRotation"))?;
                let seconds = match (on, request.filled("RotationInterval")) {
                    (false, _) => None,
                    (true, Some(text)) => Some(interval(&text)?),
                    (true, None) => return Err(RpcError::missing("RotationInterval")),
                };
                self.act(SetRotation { key: self.key().await?, seconds }).await?;
                json!({})
            }
            "GetParametersForImport" => self.prepare_import().await?,
            "ImportKeyMaterial" => {
                let until = request
                    .number("KeyMaterialExpireUnix", 0..=253_402_300_799)
                    .map_err(|e| e.with_code("InvalidParameter"))?
                    .ok_or_else(|| RpcError::missing("KeyMaterialExpireUnix"))?;
                self.act(ImportMaterial {
                    key: self.key().await?,
                    wrapped: self.bytes("EncryptedKeyMaterial")?,
                    token: self.bytes("ImportToken")?,
                    until: (until > 0).then(|| Timestamp::from_ms(until * 1000)),
                })
                .await?;
                json!({})
            }
            "DeleteKeyMaterial" => {
                self.act(DeleteMaterial { key: self.key().await? }).await?;
                json!({})
            }
            _ => return Ok(None),
        }))
    }

    fn new_key(&self) -> Result<CreateKey, RpcError> {
        let request = self.cx.request;
        for (name, offered) in
            [("ProtectionLevel", "SOFTWARE"), ("DKMSInstanceId", ""), ("KeyStorageMechanism", "")]
        {
            if request.filled(name).is_some_and(|v| v != offered) {
                return Err(unsupported(&format!("{name} is not offered with this value.")));
            }
        }
        let spec = match request.filled("KeySpec") {
            None => Spec::Aes256,
            Some(name) => Spec::parse(&name).ok_or_else(|| {
                let all: Vec<_> = Spec::names().collect();
                invalid("KeySpec", &format!("must be one of {}", all.join(", ")))
            })?,
        };
        let usage = match request.filled("KeyUsage") {
            None => spec.default_usage(),
            Some(name) => Usage::parse(&name).ok_or_else(|| invalid("KeyUsage", "is not known"))?,
        };
        let origin = match request.filled("Origin").as_deref() {
            None | Some("Aliyun_KMS") => KeyOrigin::Own,
            Some("EXTERNAL") => KeyOrigin::External,
            Some("EXTERNAL_KEY_STORE") => KeyOrigin::Store,
            Some(_) => {
                return Err(invalid("Origin", "must be Aliyun_KMS, EXTERNAL or EXTERNAL_KEY_STORE"));
            }
        };
        let lies_at = match (request.filled("KeyStoreId"), request.filled("ExternalKeyId")) {
            (Some(store), Some(key)) => Some((store, key)),
            (None, None) => None,
            _ => return Err(invalid("KeyStoreId", "and ExternalKeyId go together")),
        };
        let rotation_s = match (request.flag("EnableAutomaticRotation")?, request.filled("RotationInterval"))
        {
            (Some(true), Some(text)) => Some(interval(&text)?),
            (Some(true), None) => return Err(RpcError::missing("RotationInterval")),
            _ => None,
        };
        let description = self.text("Description");
        let policy = request.filled("Policy");
        Ok(CreateKey {
            spec,
            usage,
            origin,
            description,
            rotation_s,
            tags: self.own_tags()?,
            lies_at,
            policy,
        })
    }

    async fn list_keys(&self) -> Result<Value, RpcError> {
        let (page, size) = self.page()?;
        let filters: Vec<BTreeMap<String, Value>> = match self.cx.request.filled("Filters") {
            None => Vec::new(),
            Some(text) => serde_json::from_str(&text)
                .map_err(|_| invalid("Filters", "must be a JSON list of {\"Key\": …, \"Values\": […]}"))?,
        };
        let (mut states, mut specs) = (Vec::new(), Vec::new());
        let wrong = || invalid("Filters", "has the keys KeyState and KeySpec, with lists of known values");
        for filter in filters {
            let values = filter.get("Values").and_then(Value::as_array).ok_or_else(wrong)?;
            for value in values.iter().map(|v| v.as_str().unwrap_or_default()) {
                match filter.get("Key").and_then(Value::as_str) {
                    Some("KeyState") => states.push(KeyState::parse(value).ok_or_else(wrong)?),
                    Some("KeySpec") => specs.push(Spec::parse(value).ok_or_else(wrong)?),
                    _ => return Err(wrong()),
                }
            }
        }
        let found = self.act(ListKeys { states, specs, page, size }).await?;
        let told = |k: &Key| json!({ "KeyId": k.id.as_str(), "KeyArn": self.arn(&format!("key/{}", k.id)) });
        Ok(json!({
            "Keys": { "Key": found.items.iter().map(told).collect::<Vec<_>>() },
            "PageNumber": page, "PageSize": size, "TotalCount": found.total,
        }))
    }

    async fn prepare_import(&self) -> Result<Value, RpcError> {
        let request = self.cx.request;
        let wrapping = match request.required("WrappingKeySpec")? {
            "RSA_2048" => Spec::Rsa2048,
            "EC_SM2" => Spec::EcSm2,
            _ => return Err(invalid("WrappingKeySpec", "must be RSA_2048 or EC_SM2")),
        };
        let algorithm = self.wrap_algorithm("WrappingAlgorithm")?;
        let key = self.key().await?;
        let made = self.act(PrepareImport { key: key.clone(), wrapping, algorithm }).await?;
        // DER in base64 (contract §5).
        let der: String = made.public_pem.lines().filter(|l| !l.starts_with('-')).collect();
        Ok(json!({
            "KeyId": key.as_str(),
            "PublicKey": der,
            "ImportToken": BASE64.encode(&made.token),
            "TokenExpireTime": made.until.iso(),
        }))
    }

    fn wrap_algorithm(&self, name: &str) -> Result<WrapAlgorithm, RpcError> {
        WrapAlgorithm::parse(self.cx.request.required(name)?).ok_or_else(|| {
            invalid(name, "must be RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, RSAES_PKCS1_V1_5 or SM2PKE")
        })
    }

    fn mac_algorithm(&self) -> Result<MacAlgorithm, RpcError> {
        MacAlgorithm::parse(self.cx.request.required("Algorithm")?)
            .ok_or_else(|| invalid("Algorithm", "must be HMAC_SM3 or HMAC_SHA_224, 256, 384 or 512"))
    }

    fn sign_algorithm(&self) -> Result<SignAlgorithm, RpcError> {
        SignAlgorithm::parse(self.cx.request.required("Algorithm")?).ok_or_else(|| {
            invalid("Algorithm", "must be RSA_PSS_SHA_256, RSA_PKCS1_SHA_256, ECDSA_SHA_256 or SM2DSA")
        })
    }

    /// Tags as Kms writes them: `[{"TagKey": …, "TagValue": …}]`.
    fn own_tags(&self) -> Result<BTreeMap<String, String>, RpcError> {
        let Some(text) = self.cx.request.filled("Tags") else { return Ok(BTreeMap::new()) };
        let wrong = || invalid("Tags", "must be a JSON list of {\"TagKey\": …, \"TagValue\": …}");
        let all: Vec<BTreeMap<String, String>> = serde_json::from_str(&text).map_err(|_| wrong())?;
        all.into_iter()
            .map(|mut tag| {
                let key = tag.remove("TagKey").ok_or_else(wrong)?;
                Ok((key, tag.remove("TagValue").unwrap_or_default()))
            })
            .collect()
    }

    fn refuse_other_resources(&self) -> Result<(), RpcError> {
        let given = |name: &str| self.cx.request.filled(name).is_some();
        if given("KeyId") && given("SecretName") {
            return Err(invalid("KeyId", "and SecretName exclude each other"));
        }
        if given("CertificateId") {
            return Err(unsupported("CertificateId is not offered: there are keys and secrets only."));
        }
        match self.cx.request.filled("ResourceType").as_deref() {
            None | Some("key") => Ok(()),
            Some(_) => Err(unsupported("ResourceType must be `key`; tag secrets with TagResource.")),
        }
    }

    async fn resources(&self) -> Result<Vec<KeyId>, RpcError> {
        let mut out = Vec::new();
        for name in self.cx.request.list("ResourceId")? {
            out.push(self.cx.house.key_named(&self.cx.tenant, &name).await.map_err(|e| self.failed(e))?);
        }
        if out.is_empty() || out.len() > 50 {
            return Err(invalid("ResourceId", "must name 1 to 50 keys"));
        }
        Ok(out)
    }

    async fn names(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        Ok(Some(match name {
            "CreateAlias" => {
                self.act(CreateAlias { alias: self.alias()?, key: self.key().await? }).await?;
                json!({})
            }
            "UpdateAlias" => {
                self.act(UpdateAlias { alias: self.alias()?, key: self.key().await? }).await?;
                json!({})
            }
            "DeleteAlias" => {
                self.act(DeleteAlias { alias: self.alias()? }).await?;
                json!({})
            }
            "ListAliases" | "ListAliasesByKeyId" => {
                let (page, size) = self.page()?;
                let key = if name == "ListAliases" { None } else { Some(self.key().await?) };
                let found = self.act(ListAliases { key, page, size }).await?;
                let told = |(alias, key): &(String, KeyId)| json!({ "AliasName": alias, "AliasArn": self.arn(alias), "KeyId": key.as_str() });
                json!({
                    "Aliases": { "Alias": found.items.iter().map(told).collect::<Vec<_>>() },
                    "PageNumber": page, "PageSize": size, "TotalCount": found.total,
                })
            }
            "TagResource" => {
                self.refuse_other_resources()?;
                let set = self.own_tags()?;
                if set.is_empty() {
                    return Err(RpcError::missing("Tags"));
                }
                if request.filled("SecretName").is_some() {
                    self.tag_secret(set, Vec::new()).await?;
                    return Ok(Some(json!({})));
                }
                self.act(SetKeyTags { keys: vec![self.key().await?], set, remove: nothing() }).await?;
                json!({})
            }
            "UntagResource" => {
                self.refuse_other_resources()?;
                let remove = serde_json::from_str(request.required("TagKeys")?)
                    .map_err(|_| invalid("TagKeys", "must be a JSON list of texts"))?;
                if request.filled("SecretName").is_some() {
                    self.tag_secret(BTreeMap::new(), remove).await?;
                    return Ok(Some(json!({})));
                }
                let (keys, remove) = (vec![self.key().await?], RemoveTags::Named(remove));
                self.act(SetKeyTags { keys, set: BTreeMap::new(), remove }).await?;
                json!({})
            }
            "ListResourceTags" => {
                let key = self.key().await?;
                let tags = self.act(ListTags { key: key.clone() }).await?;
                let told =
                    |(k, v): &(String, String)| json!({ "KeyId": key.as_str(), "TagKey": k, "TagValue": v });
                json!({ "Tags": { "Tag": tags.iter().map(told).collect::<Vec<_>>() } })
            }
            "TagResources" => {
                self.refuse_other_resources()?;
                let set: BTreeMap<_, _> = request.tags()?.into_iter().collect();
                if set.is_empty() {
                    return Err(RpcError::missing("Tag"));
                }
                self.act(SetKeyTags { keys: self.resources().await?, set, remove: nothing() }).await?;
                json!({})
            }
            "UntagResources" => {
                self.refuse_other_resources()?;
                let all = request.flag("All")? == Some(true);
                let given = request.list("TagKey")?;
                if given.is_empty() && !all {
                    return Err(RpcError::missing("TagKey"));
                }
                let remove = if given.is_empty() { RemoveTags::All } else { RemoveTags::Named(given) };
                self.act(SetKeyTags { keys: self.resources().await?, set: BTreeMap::new(), remove }).await?;
                json!({})
            }
            "ListTagResources" => {
                self.refuse_other_resources()?;
                let act = ListTagged { keys: self.resources().await?, with: request.tags()? };
                let found = self.act(act).await?;
                let told = found.iter().flat_map(|(key, tags)| {
                    tags.iter().map(move |(k, v)| {
                        json!({ "ResourceId": key.as_str(), "ResourceType": "key", "TagKey": k, "TagValue": v })
                    })
                });
                json!({ "TagResources": { "TagResource": told.collect::<Vec<_>>() }, "NextToken": "" })
            }
            _ => return Ok(None),
        }))
    }

    fn data_key_len(&self) -> Result<usize, RpcError> {
        let bytes =
            self.cx.request.number("NumberOfBytes", 1..=1024).map_err(|e| e.with_code("InvalidParameter"))?;
        let of_spec = match self.cx.request.filled("KeySpec").as_deref() {
            None => None,
            Some("AES_256") => Some(32),
            Some("AES_128") => Some(16),
            Some(_) => return Err(invalid("KeySpec", "must be AES_256 or AES_128")),
        };
        match (bytes, of_spec) {
            (Some(_), Some(_)) => Err(invalid("NumberOfBytes", "and KeySpec exclude each other")),
            (Some(bytes), None) => Ok(bytes as usize),
            (None, of_spec) => Ok(of_spec.unwrap_or(32)),
        }
    }

    fn recipient_key(&self) -> Result<(PublicKey, WrapAlgorithm), RpcError> {
        let spec = self.cx.request.required("WrappingKeySpec")?;
        let algorithm = self.wrap_algorithm("WrappingAlgorithm")?;
        let to = read_public_key(spec, &self.bytes("PublicKeyBlob")?).map_err(|e| self.failed(e))?;
        Ok((to, algorithm))
    }

    async fn symmetric(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let told = |blob: &Ciphertext| {
            json!({ "KeyId": blob.key.as_str(), "KeyVersionId": blob.version.as_str(),
                    "CiphertextBlob": BASE64.encode(blob.to_bytes()) })
        };
        Ok(Some(match name {
            "Encrypt" => {
                let act = Encrypt {
                    key: self.key().await?,
                    plaintext: self.secret("Plaintext")?,
                    context: self.context("EncryptionContext")?,
                };
                told(&self.act(act).await?)
            }
            "Decrypt" => {
                self.refuse_recipient()?;
                let blob = self.blob()?;
                let (key, version) = (blob.key.clone(), blob.version.clone());
                let plain = self.act(Decrypt { blob, context: self.context("EncryptionContext")? }).await?;
                json!({ "KeyId": key.as_str(), "KeyVersionId": version.as_str(),
                        "Plaintext": BASE64.encode(plain.expose()) })
            }
            "ReEncrypt" => {
                let from = match self.cx.request.filled("SourceKeyId") {
                    Some(_) if self.cx.request.filled("SourceEncryptionAlgorithm").is_some() => {
                        let version = self.cx.request.required("SourceKeyVersionId")?;
                        ReEncryptFrom::Pair(DecryptWith {
                            key: self.key_of("SourceKeyId").await?,
                            version: KeyVersionId::parse(version)
                                .map_err(|_| invalid("SourceKeyVersionId", "is not a key version"))?,
                            algorithm: self.wrap_algorithm("SourceEncryptionAlgorithm")?,
                            cipher: self.bytes("CiphertextBlob")?,
                        })
                    }
                    _ => ReEncryptFrom::Blob(self.blob()?, self.context("SourceEncryptionContext")?),
                };
                let to = self.key_of("DestinationKeyId").await?;
                let context = self.context("DestinationEncryptionContext")?;
                told(&self.act(ReEncrypt { from, to, context }).await?)
            }
            "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" | "GenerateAndExportDataKey" => {
                self.refuse_recipient()?;
                let (action, export) = match name {
                    "GenerateDataKey" => ("kms:GenerateDataKey", None),
                    "GenerateDataKeyWithoutPlaintext" => ("kms:GenerateDataKeyWithoutPlaintext", None),
                    _ => ("kms:GenerateAndExportDataKey", Some(self.recipient_key()?)),
                };
                let (plain, blob) = self
                    .act(GenerateDataKey {
                        key: self.key().await?,
                        bytes: self.data_key_len()?,
                        context: self.context("EncryptionContext")?,
                        action,
                    })
                    .await?;
                let mut answer = told(&blob);
                match export {
                    Some((to, algorithm)) => {
                        let out = export_to(&to, algorithm, plain.expose()).map_err(|e| self.failed(e))?;
                        answer["ExportedDataKey"] = BASE64.encode(out).into();
                    }
                    None if name == "GenerateDataKey" => {
                        answer["Plaintext"] = BASE64.encode(plain.expose()).into();
                    }
                    None => {}
                }
                answer
            }
            "ExportDataKey" => {
                let (to, algorithm) = self.recipient_key()?;
                let (blob, context) = (self.blob()?, self.context("EncryptionContext")?);
                let (key, version) = (blob.key.clone(), blob.version.clone());
                let out = self.act(ExportKey { blob, context, to, algorithm }).await?;
                json!({ "KeyId": key.as_str(), "KeyVersionId": version.as_str(),
                        "ExportedDataKey": BASE64.encode(out) })
            }
            _ => return Ok(None),
        }))
    }

    async fn pairs(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let told = |key: &KeyId, version: &KeyVersionId, name: &str, value: Value| {
            let mut answer = json!({ "KeyId": key.as_str(), "KeyVersionId": version.as_str() });
            answer[name] = value;
            answer
        };
        Ok(Some(match name {
            "GetPublicKey" => {
                let (key, version) = (self.key().await?, self.version()?);
                let pem = self.act(PublicHalf { key: key.clone(), version: version.clone() }).await?;
                told(&key, &version, "PublicKey", pem.into())
            }
            "AsymmetricEncrypt" => {
                let act = EncryptTo {
                    key: self.key().await?,
                    version: self.version()?,
                    algorithm: self.wrap_algorithm("Algorithm")?,
                    plaintext: self.secret("Plaintext")?,
                };
                let used = self.act(act).await?;
                told(&used.key, &used.version, "CiphertextBlob", BASE64.encode(used.result).into())
            }
            "AsymmetricDecrypt" => {
                self.refuse_recipient()?;
                let act = DecryptWith {
                    key: self.key().await?,
                    version: self.version()?,
                    algorithm: self.wrap_algorithm("Algorithm")?,
                    cipher: self.bytes("CiphertextBlob")?,
                };
                let used = self.act(act).await?;
                told(&used.key, &used.version, "Plaintext", BASE64.encode(used.result.expose()).into())
            }
            "AsymmetricSign" => {
                let act = Sign {
                    key: self.key().await?,
                    version: self.version()?,
                    algorithm: self.sign_algorithm()?,
                    digest: self.bytes("Digest")?,
                };
                let used = self.act(act).await?;
                told(&used.key, &used.version, "Value", BASE64.encode(used.result).into())
            }
            "AsymmetricVerify" => {
                let act = Verify {
                    key: self.key().await?,
                    version: self.version()?,
                    algorithm: self.sign_algorithm()?,
                    digest: self.bytes("Digest")?,
                    signature: self.bytes("Value")?,
                };
                let used = self.act(act).await?;
                told(&used.key, &used.version, "Value", used.result.into())
            }
            "GenerateMac" | "VerifyMac" => {
                let (key, algorithm) = (self.key().await?, self.mac_algorithm()?);
                let of = KeyMac { key: key.clone(), algorithm, message: self.bytes("Message")? };
                let mut answer = json!({ "KeyId": key.as_str(), "Algorithm": algorithm.name() });
                if name == "GenerateMac" {
                    answer["Mac"] = BASE64.encode(self.act(of).await?).into();
                } else {
                    answer["Value"] = self.act(VerifyKeyMac { of, mac: self.bytes("Mac")? }).await?.into();
                }
                answer
            }
            _ => return Ok(None),
        }))
    }

    /// What is the same for every caller who is known, and needs no key.
    fn account(&self, name: &str) -> Result<Option<Value>, RpcError> {
        Ok(Some(match name {
            "OpenKmsService" => json!({}),
            "DescribeAccountKmsStatus" => json!({ "AccountStatus": "Enabled" }),
            "DescribeRegions" => {
                json!({ "Regions": { "Region": [{ "RegionId": self.cx.house.provider().region.as_str() }] } })
            }
            "GetRandomPassword" => json!({ "RandomPassword": self.password()? }),
            _ => return Ok(None),
        }))
    }

    fn password(&self) -> Result<String, RpcError> {
        let request = self.cx.request;
        let length =
            request.number("PasswordLength", 8..=128).map_err(|e| e.with_code("InvalidParameter"))?;
        let length = length.unwrap_or(32) as usize;
        let without = self.text("ExcludeCharacters");
        let mut kinds = Vec::new();
        for (flag, letters) in [
            ("ExcludeLowercase", "abcdefghijklmnopqrstuvwxyz"),
            ("ExcludeUppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            ("ExcludeNumbers", "0123456789"),
            ("ExcludePunctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ] {
            let left: Vec<u8> = letters.bytes().filter(|b| !without.contains(char::from(*b))).collect();
            if request.flag(flag)? != Some(true) && !left.is_empty() {
                kinds.push(left);
            }
        }
        let alphabet = kinds.concat();
        if alphabet.is_empty() {
            return Err(invalid("ExcludeCharacters", "leaves no character"));
        }
        let each = request.flag("RequireEachIncludedType")?.unwrap_or(true);
        // Drawn again until each kind is there: all that qualify are equally likely. Eight of four kinds qualify in a
        // third of the draws at worst, unless a kind has few characters left; then one is put in for it.
        for _ in 0..1000 {
            let drawn = random_text(&alphabet, length);
            if !each || kinds.iter().all(|kind| drawn.bytes().any(|b| kind.contains(&b))) {
                return Ok(drawn);
            }
        }
        Err(invalid("ExcludeCharacters", "leaves too few characters of a kind that is required"))
    }
}

fn told_version(key: &KeyId, version: &KeyVersionId, at: Timestamp) -> Value {
    json!({ "KeyId": key.as_str(), "KeyVersionId": version.as_str(), "CreationDate": at.iso() })
}
