//! KMS: keys, secrets, key services; the keys of the house.

use std::collections::BTreeMap;

use bailee_rooms::keys::cmk::{
    AliasName, CancelDeletion, Context, CreateAlias, CreateKey, CreateKeyStore, CreateVersion, Decrypt,
    DecryptWith, DeleteAlias, DeleteKeyStore, DeleteMaterial, DescribeKey, DescribeVersion, Encrypt,
    EncryptTo, ExportKey, GenerateDataKey, ImportMaterial, KeyAct, KeyOf, KeyOrigin, ListAliases,
    ListKeyStores, ListKeyUses, ListKeys, ListTagged, ListTags, ListVersions, PrepareImport, PublicHalf,
    ReEncrypt, ReEncryptFrom, RemoveTags, ScheduleDeletion, SetEnabled, SetKeyTags, SetProtection,
    SetRotation, Spec, StoreSettings, TestKeyStore, UpdateAlias, UpdateDescription, UpdateKeyStore, Usage,
    Verify, VerifyKeyMac, WrapAlgorithm,
};
use bailee_rooms::keys::policy::{GetPolicy, Guarded, SetPolicy};
use bailee_rooms::keys::secret::rotate::{RotateSecret, SetSecretRotation};
use bailee_rooms::keys::secret::{
    CreateSecret, DataType, DeleteSecret, DescribeSecret, GetValue, GetValues, ListSecretVersions,
    ListSecrets, MoveStage, NewValue, PutValue, RestoreSecret, SecretName, SetSecretTags, UpdateSecret,
};
use bailee_rooms::keys::{Protection, RenewRootKey, Unlock, WriteRootKey};
use bailee_rooms::rekey::{RetireTenantKey, RewrapTenant, RotateTenantKey};
use bailee_types::{SecretBytes, SecretText, UserName};

use super::scene::{Scene, alias, code, secret, secret_name, sign};
use super::{NO_ROLE, Row, never, opens, refused};

impl Scene {
    fn kms<A: KeyAct>(&self, act: A) -> KeyOf<A> {
        act.of(&self.id, &self.t.house)
    }
}

fn bytes() -> SecretBytes {
    SecretBytes::new(b"pumps".to_vec())
}

fn plain(bytes: &SecretBytes) -> String {
    String::from_utf8_lossy(bytes.expose()).into_owned()
}

fn decrypt_with(s: &Scene) -> DecryptWith {
    DecryptWith {
        key: s.rsa.id.clone(),
        version: s.rsa.primary.clone(),
        algorithm: WrapAlgorithm::OaepSha256,
        cipher: s.wrapped.clone(),
    }
}

fn value(version: &str) -> NewValue {
    NewValue { version: version.into(), data: bytes(), data_type: DataType::Text }
}

fn get() -> GetValue {
    GetValue { name: secret_name(), version: None, stage: "ACSCurrent".into() }
}

fn app() -> SecretName {
    SecretName::of_user(&UserName::parse("app").unwrap())
}

fn service() -> StoreSettings {
    StoreSettings {
        name: "our keys".into(),
        address: "https://keys.acme.example/kms/xks/v1".into(),
        credential_id: "bailee".into(),
        secret: Some(SecretText::new("secret".into())),
        roots: String::new(),
        lease_s: 60,
        approvers: Vec::new(),
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let mut all = uses();
    all.extend(secrets());
    all.extend(looks());
    all.extend(changes());
    all
}

fn uses() -> Vec<Row> {
    vec![
        opens(NO_ROLE, |s| s.kms(Decrypt { blob: s.blob.clone(), context: Context::new() }), |p| plain(&p)),
        opens(NO_ROLE, |s| s.kms(decrypt_with(s)), |used| plain(&used.result)),
        never("ok", |s| {
            s.kms(ExportKey {
                blob: s.blob.clone(),
                context: Context::new(),
                to: s.public(),
                algorithm: WrapAlgorithm::OaepSha256,
            })
        }),
        never("ok", |s| {
            s.kms(ReEncrypt {
                from: ReEncryptFrom::Blob(s.blob.clone(), Context::new()),
                to: s.key.id.clone(),
                context: Context::new(),
            })
        }),
        never("ok", |s| {
            s.kms(ReEncrypt {
                from: ReEncryptFrom::Pair(decrypt_with(s)),
                to: s.key.id.clone(),
                context: Context::new(),
            })
        }),
        never("ok", |s| {
            s.kms(Encrypt { key: s.key.id.clone(), plaintext: bytes(), context: Context::new() })
        }),
        never("ok", |s| {
            s.kms(GenerateDataKey {
                key: s.key.id.clone(),
                bytes: 32,
                context: Context::new(),
                action: "kms:GenerateDataKey",
            })
        }),
        never("ok", |s| {
            s.kms(EncryptTo {
                key: s.rsa.id.clone(),
                version: s.rsa.primary.clone(),
                algorithm: WrapAlgorithm::OaepSha256,
                plaintext: bytes(),
            })
        }),
        never("ok", |s| s.kms(sign(&s.signer.id, &s.signer.primary))),
        never("ok", |s| {
            s.kms(Verify {
                key: s.signer.id.clone(),
                version: s.signer.primary.clone(),
                algorithm: bailee_rooms::keys::cmk::SignAlgorithm::EcdsaSha256,
                digest: vec![7; 32],
                signature: s.signature.clone(),
            })
        }),
        never("ok", |s| s.kms(PublicHalf { key: s.rsa.id.clone(), version: s.rsa.primary.clone() })),
        never("ok", |s| s.kms(code(&s.mac.id))),
        never("ok", |s| s.kms(VerifyKeyMac { of: code(&s.mac.id), mac: s.code.clone() })),
    ]
}

fn secrets() -> Vec<Row> {
    vec![
        opens(NO_ROLE, |s| s.kms(get()), |value| plain(&value.data)),
        opens(
            NO_ROLE,
            |s| s.kms(GetValues { of: vec![get()] }),
            |all| all.into_iter().map(|v| plain(&v.unwrap().data)).collect(),
        ),
        never("ok", |s| s.kms(DescribeSecret { name: secret_name() })),
        never("ok", |s| s.kms(ListSecrets { page: 1, size: 10, filters: Vec::new() })),
        never("ok", |s| s.kms(ListSecretVersions { name: secret_name(), all: true })),
        never("ok", |s| {
            s.kms(CreateSecret {
                description: "new".into(),
                ..secret(SecretName::parse("new").unwrap(), value("v1"), None)
            })
        }),
        never("ok", |s| s.kms(PutValue { name: secret_name(), value: value("v2"), stages: Vec::new() })),
        never("ok", |s| {
            s.kms(MoveStage { name: secret_name(), stage: "green".into(), from: None, to: Some("v1".into()) })
        }),
        never("ok", |s| {
            s.kms(UpdateSecret { name: secret_name(), description: Some("ours".into()), config: None })
        }),
        never("ok", |s| {
            s.kms(SetSecretTags {
                name: secret_name(),
                set: BTreeMap::from([("a".into(), "b".into())]),
                remove: Vec::new(),
            })
        }),
        never("ok", |s| s.kms(SetSecretRotation { name: app(), every_s: None })),
        never("ok", |s| s.kms(RotateSecret { name: app(), version: "v2".into(), by_interval: false })),
        never("ok", |s| s.kms(GetPolicy { of: Guarded::Secret(secret_name()) })),
        never("ok", |s| s.kms(DeleteSecret { name: secret_name(), days: Some(30) })),
        never("ok", |s| s.kms(RestoreSecret { name: secret_name() })),
    ]
}

fn looks() -> Vec<Row> {
    vec![
        never("ok", |s| s.kms(DescribeKey { key: s.key.id.clone() })),
        never("ok", |s| s.kms(ListKeys { states: Vec::new(), specs: Vec::new(), page: 1, size: 10 })),
        never("ok", |s| s.kms(ListVersions { key: s.key.id.clone(), page: 1, size: 10 })),
        never("ok", |s| s.kms(DescribeVersion { key: s.key.id.clone(), version: s.key.primary.clone() })),
        never("ok", |s| s.kms(ListAliases { key: None, page: 1, size: 10 })),
        never("ok", |s| s.kms(ListTags { key: s.key.id.clone() })),
        never("ok", |s| s.kms(ListTagged { keys: vec![s.key.id.clone()], with: Vec::new() })),
        never("ok", |s| s.kms(ListKeyUses { key: s.key.id.clone(), days: 7 })),
        never("ok", |s| s.kms(GetPolicy { of: Guarded::Key(s.key.id.clone()) })),
        never("ok", |s| s.kms(ListKeyStores)),
    ]
}

fn changes() -> Vec<Row> {
    vec![
        never("InvalidParameter", |s| {
            s.kms(SetPolicy { of: Guarded::Key(s.key.id.clone()), document: super::scene::document() })
        }),
        never("ok", |s| {
            s.kms(CreateKey {
                spec: Spec::Aes256,
                usage: Usage::Encrypt,
                origin: KeyOrigin::Own,
                description: String::new(),
                rotation_s: None,
                tags: BTreeMap::new(),
                lies_at: None,
                policy: None,
            })
        }),
        never("ok", |s| s.kms(UpdateDescription { key: s.key.id.clone(), description: "ours".into() })),
        never("ok", |s| s.kms(CreateVersion { key: s.key.id.clone(), by_interval: false })),
        never("ok", |s| s.kms(SetRotation { key: s.key.id.clone(), seconds: Some(30 * 86_400) })),
        never("ok", |s| {
            s.kms(CreateAlias { alias: AliasName::parse("alias/more").unwrap(), key: s.key.id.clone() })
        }),
        never("ok", |s| s.kms(UpdateAlias { alias: alias(), key: s.key.id.clone() })),
        never("ok", |s| s.kms(DeleteAlias { alias: alias() })),
        never("ok", |s| {
            s.kms(SetKeyTags {
                keys: vec![s.key.id.clone()],
                set: BTreeMap::from([("a".into(), "b".into())]),
                remove: RemoveTags::Named(Vec::new()),
            })
        }),
        never("ok", |s| {
            s.kms(PrepareImport {
                key: s.external.id.clone(),
                wrapping: Spec::Rsa2048,
                algorithm: WrapAlgorithm::OaepSha256,
            })
        }),
        never("KeyRefused", |s| {
            s.kms(ImportMaterial {
                key: s.external.id.clone(),
                wrapped: vec![1],
                token: vec![1],
                until: None,
            })
        }),
        never("ok", |s| s.kms(DeleteMaterial { key: s.external.id.clone() })),
        never("InvalidParameter", |s| s.kms(CreateKeyStore { settings: service() })),
        never("NotFound", |s| s.kms(UpdateKeyStore { id: "ks-none".into(), settings: service() })),
        never("NotFound", |s| s.kms(TestKeyStore { id: "ks-none".into() })),
        never("NotFound", |s| s.kms(DeleteKeyStore { id: "ks-none".into() })),
        never("ok", |s| s.kms(SetEnabled { key: s.mac.id.clone(), enabled: false })),
        never("ok", |s| s.kms(SetProtection { key: s.mac.id.clone(), protect: None })),
        never("ok", |s| s.kms(ScheduleDeletion { key: s.mac.id.clone(), days: 7 })),
        never("ok", |s| s.kms(CancelDeletion { key: s.mac.id.clone() })),
        never("Conflict", |s| RotateTenantKey { tenant: s.id.clone() }),
        refused("NoTicket", "Conflict", |s| RewrapTenant {
            tenant: s.id.clone(),
            bucket: None,
            covers: false,
            max: 10,
            progress: Box::new(|_| {}),
        }),
        never("Conflict", |s| RetireTenantKey { tenant: s.id.clone(), version: 1 }),
        never("NotFound", |s| WriteRootKey {
            path: s.t.folder().join("root-copy"),
            protection: Protection::Clear,
            unlock: Unlock::default(),
            backup: true,
        }),
        never("NotFound", |s| RenewRootKey {
            path: s.t.folder().join("root-new"),
            protection: Protection::Clear,
            unlock: Unlock::default(),
        }),
    ]
}
