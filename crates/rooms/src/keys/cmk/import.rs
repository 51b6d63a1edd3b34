//! Material that the tenant brings (BYOK).
//!
//! The token that goes out with the wrapping key holds its private half, sealed for this key: nothing is stored, and a
//! token serves its own key only, until it is too old.

use std::sync::Arc;

use bailee_crypto::cmk::{Cmk, Spec, WrapAlgorithm};
use bailee_crypto::seal::aad;
use bailee_store::TenantTx;
use bailee_types::{KeyId, SecretBytes, TenantId, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::manage::{WRITE, find, on_key};
use super::opened::material_aad;
use super::{Key, KeyAct, KeyCx, KeyOrigin, KeyProblem, KeyState, rows};
use crate::gate::Class;
use crate::keys::{Resealed, TenantKey};
use crate::{Failure, House};

const TOKEN_MS: i64 = 24 * 3_600_000;

/// What a tenant needs to bring material.
#[derive(Clone, Debug)]
pub struct ImportParameters {
    /// The wrapping key, as PEM.
    pub public_pem: String,
    /// To be handed back with the material.
    pub token: Vec<u8>,
    /// Until when.
    pub until: Timestamp,
}

/// Makes a wrapping key for a key that waits for material, or has some already.
#[derive(Clone, Debug)]
pub struct PrepareImport {
    /// The key.
    pub key: KeyId,
    /// The kind of the wrapping key.
    pub wrapping: Spec,
    /// How the material will be wrapped.
    pub algorithm: WrapAlgorithm,
}

/// Brings material.
#[derive(Clone, Debug)]
pub struct ImportMaterial {
    /// The key.
    pub key: KeyId,
    /// The material, wrapped.
    pub wrapped: Vec<u8>,
    /// The token that came with the wrapping key.
    pub token: Vec<u8>,
    /// Until when it may be used; none for ever.
    pub until: Option<Timestamp>,
}

/// Takes brought material away; the same can be brought again.
#[derive(Clone, Debug)]
pub struct DeleteMaterial {
    /// The key.
    pub key: KeyId,
}

/// Wrapping keys and what they wrap with.
fn fits(spec: Spec, algorithm: WrapAlgorithm) -> bool {
    match spec {
        Spec::Rsa2048 => algorithm != WrapAlgorithm::Sm2,
        Spec::EcSm2 => algorithm == WrapAlgorithm::Sm2,
        _ => false,
    }
}

const WRAPPINGS: [(u8, Spec, WrapAlgorithm); 4] = [
    (1, Spec::Rsa2048, WrapAlgorithm::Pkcs1),
    (2, Spec::Rsa2048, WrapAlgorithm::OaepSha1),
    (3, Spec::Rsa2048, WrapAlgorithm::OaepSha256),
    (4, Spec::EcSm2, WrapAlgorithm::Sm2),
];

fn token_aad(tenant: &TenantId, key: &KeyId) -> Vec<u8> {
    aad(&[b"bailee/cmk-import/v1", tenant.as_str().as_bytes(), key.as_str().as_bytes()])
}

fn expect_external(key: &Key) -> Result<(), Failure> {
    if key.origin != KeyOrigin::External {
        return Err(Failure::Key(KeyProblem::Origin));
    }
    if key.state == KeyState::PendingDeletion {
        return Err(Failure::Key(KeyProblem::State(key.state)));
    }
    Ok(())
}

impl KeyAct for PrepareImport {
    type Output = ImportParameters;
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:GetParametersForImport"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<ImportParameters, Failure> {
        if !fits(self.wrapping, self.algorithm) {
            return Err(Failure::invalid("WrappingAlgorithm", "is not one of the wrapping key's"));
        }
        let id = self.key.clone();
        let key = cx.read(move |tx| find(tx, &id)).await?;
        expect_external(&key)?;
        let spec = self.wrapping;
        let private = cx.generate(spec).await?;
        let public_pem = Cmk::open(spec, &private)?.public_pem()?;
        let until = Timestamp::from_ms(cx.house.now().ms() + TOKEN_MS);
        let way = WRAPPINGS.iter().find(|w| (w.1, w.2) == (spec, self.algorithm)).map_or(0, |w| w.0);
        let plain = [&[way][..], &until.ms().to_be_bytes(), private.expose()].concat();
        let plain = SecretBytes::new(plain);
        let opener = cx.house.tenant_key(cx.tenant).await?;
        let token = opener.seal_cmk(&token_aad(cx.tenant, &self.key), plain.expose());
        Ok(ImportParameters { public_pem, token, until })
    }
}

impl KeyAct for ImportMaterial {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:ImportKeyMaterial"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    fn detail(&self) -> Value {
        json!({ "until": self.until.map(|t| t.iso()) })
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        let now = cx.house.now();
        if self.until.is_some_and(|until| until <= now) {
            return Err(Failure::invalid("KeyMaterialExpireUnix", "lies in the past; 0 is for ever"));
        }
        let id = self.key.clone();
        let key = cx.read(move |tx| find(tx, &id)).await?;
        expect_external(&key)?;
        let opener = cx.house.tenant_key(cx.tenant).await?;
        let opened = opener
            .open_cmk(&token_aad(cx.tenant, &self.key), &self.token)
            .map_err(|_| Failure::Key(KeyProblem::Token))?;
        let bad = || Failure::Key(KeyProblem::Token);
        let (way, rest) = opened.expose().split_first().ok_or_else(bad)?;
        let (until, private) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        if i64::from_be_bytes(*until) <= now.ms() {
            return Err(Failure::Key(KeyProblem::TokenExpired));
        }
        let (_, spec, algorithm) = *WRAPPINGS.iter().find(|w| w.0 == *way).ok_or_else(bad)?;
        let wrapping = Cmk::open(spec, &SecretBytes::new(private.to_vec()))?;
        // One answer for all that can be wrong inside: what is said of a padding would be an oracle.
        let wrong = |_| Failure::Key(KeyProblem::Material);
        let material = wrapping.decrypt(algorithm, &self.wrapped).map_err(wrong)?;
        if Some(material.expose().len()) != key.spec.import_len() {
            return Err(Failure::Key(KeyProblem::Material));
        }
        let (tenant, print) = (cx.tenant.clone(), opener.seal_print(cx.tenant, &key.id, &material));
        let (sealed, under) = cx.seal(&key, &key.primary, &material).await?;
        let until = self.until;
        cx.change(&self.key, move |tx, key, _| {
            expect_external(key)?;
            // A key is bound to its first material for ever: what was encrypted must open again.
            if key
                .material_print
                .as_ref()
                .is_some_and(|had| !opener.knows_print(had, &tenant, &key.id, &material))
            {
                return Err(Failure::Key(KeyProblem::Material));
            }
            key.material_print = Some(print);
            key.material_until = until;
            if key.state == KeyState::PendingImport {
                key.state = KeyState::Enabled;
            }
            rows::set_material(tx, &key.id, (&key.primary, Some(&sealed), under)).map_err(Failure::from)
        })
        .await
    }
}

/// What a fingerprint of material begins with that is sealed under the tenant's key. One from before those keys had
/// versions is a MAC under the first.
const SEALED_PRINT: &str = "sealed:";

fn print_parts<'p>(tenant: &'p TenantId, key: &'p KeyId, material: &'p SecretBytes) -> [&'p [u8]; 4] {
    [b"bailee/cmk-print/v1", tenant.as_str().as_bytes(), key.as_str().as_bytes(), material.expose()]
}

fn print_aad(tenant: &TenantId, key: &KeyId) -> Vec<u8> {
    aad(&[b"bailee/cmk-sealed-print/v1", tenant.as_str().as_bytes(), key.as_str().as_bytes()])
}

/// Fingerprints tell material apart, and tell nobody without the tenant's key anything about it.
impl TenantKey {
    pub(super) fn seal_print(&self, tenant: &TenantId, key: &KeyId, material: &SecretBytes) -> String {
        let print = Sha256::digest(aad(&print_parts(tenant, key, material)));
        format!("{SEALED_PRINT}{}", hex::encode(self.seal_cmk(&print_aad(tenant, key), &print)))
    }

    fn knows_print(&self, had: &str, tenant: &TenantId, key: &KeyId, material: &SecretBytes) -> bool {
        let parts = print_parts(tenant, key, material);
        let Some(sealed) = had.strip_prefix(SEALED_PRINT) else {
            return self.versions().any(|v| had == hex::encode(v.kms.mac(&parts)));
        };
        let opened = hex::decode(sealed).ok().and_then(|s| self.open_cmk(&print_aad(tenant, key), &s).ok());
        opened.is_some_and(|print| print.expose() == Sha256::digest(aad(&parts)).as_slice())
    }

    /// A fingerprint sealed anew when it lies under another version than the one that seals; `Err` when it is an old one, and
    /// its material is not there to make another.
    pub(super) fn reseal_print(
        &self,
        tenant: &TenantId,
        key: &KeyId,
        had: &str,
        material: Option<&SecretBytes>,
    ) -> Result<Option<String>, NoMaterial> {
        if let Some(sealed) = had.strip_prefix(SEALED_PRINT).and_then(|s| hex::decode(s).ok()) {
            let done = self.reseal_cmk(&print_aad(tenant, key), &sealed).map_err(|_| NoMaterial)?;
            return Ok(done.map(|s| format!("{SEALED_PRINT}{}", hex::encode(s))));
        }
        let material = material.ok_or(NoMaterial)?;
        Ok(Some(self.seal_print(tenant, key, material)))
    }
}

/// The material behind an old fingerprint is not there.
#[derive(Debug)]
pub(super) struct NoMaterial;

/// Keys of one commit.
const COMMIT: u64 = 50;

/// Seals a tenant's keys and key services anew, where they lie under an older version of the tenant's key.
pub(in crate::keys) async fn reseal(
    house: &House,
    tenant: &TenantId,
    opener: &Arc<TenantKey>,
) -> Result<Resealed, Failure> {
    let (mut all, mut skip) = (Resealed::default(), 0);
    loop {
        let (of, opener) = (tenant.clone(), Arc::clone(opener));
        let (done, keys) = house
            .db
            .write(move |tx| {
                let (mut tx, mut done) = (tx.tenant(&of), Resealed::default());
                if skip == 0 {
                    super::store::reseal(&mut tx, &of, &opener, &mut done)?;
                }
                let (keys, _) = rows::list(&mut tx, (&[], &[]), (skip, COMMIT))?;
                for key in &keys {
                    reseal_key(&mut tx, &of, &opener, key, &mut done)?;
                }
                Ok::<_, Failure>((done, keys.len() as u64))
            })
            .await?;
        all.add(done);
        skip += keys;
        if keys < COMMIT {
            return Ok(all);
        }
    }
}

fn reseal_key(
    tx: &mut TenantTx<'_, '_>,
    tenant: &TenantId,
    opener: &TenantKey,
    key: &Key,
    done: &mut Resealed,
) -> Result<(), Failure> {
    let mut first = None;
    for (version, _, sealed, _) in rows::versions(tx, &key.id)? {
        let Some(sealed) = sealed else { continue };
        let place = material_aad(tenant, key, &version);
        if let Some(after) = opener.reseal_cmk(&place, &sealed)? {
            done.note(rows::reseal_material(tx, &key.id, &version, (&sealed, &after, opener.version()))?);
        }
        if key.material_print.is_some() {
            first = Some(opener.open_cmk(&place, &sealed)?);
        }
    }
    let Some(had) = &key.material_print else { return Ok(()) };
    match opener.reseal_print(tenant, &key.id, had, first.as_ref()) {
        Ok(None) => {}
        Ok(Some(after)) => done.note(rows::reseal_print(tx, &key.id, (had, &after))?),
        Err(NoMaterial) => done.waiting += 1,
    }
    Ok(())
}

impl KeyAct for DeleteMaterial {
    type Output = ();
    const CLASS: Class = WRITE;

    fn action(&self) -> &'static str {
        "kms:DeleteKeyMaterial"
    }

    fn on(&self) -> String {
        on_key(&self.key)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        cx.change(&self.key, |tx, key, _| {
            expect_external(key)?;
            remove(tx, key)
        })
        .await?;
        cx.house.db.forget_deleted().await.map_err(Failure::from)
    }
}

pub(super) fn remove(tx: &mut TenantTx<'_, '_>, key: &mut Key) -> Result<(), Failure> {
    rows::set_material(tx, &key.id, (&key.primary, None, 1))?;
    key.material_until = None;
    if key.state != KeyState::PendingDeletion {
        key.state = KeyState::PendingImport;
    }
    Ok(())
}
