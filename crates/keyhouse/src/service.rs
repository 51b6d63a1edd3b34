//! One request: signature, path, key, rules, journal, answer; in this order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailee_crypto::root::{Protection, RootKey, Unlock};
use bailee_proof::hash::sha256;
use bailee_types::{Clock, Timestamp};
use bailee_wire::xks::{
    self, AAD_MAX, DecryptAnswer, DecryptRequest, Ekm, EncryptAnswer, EncryptRequest, ErrorAnswer, Health,
    KeyMetadata, METADATA_MAX, MetadataRequest, PLAINTEXT_MAX, RequestMetadata, XksError,
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Trouble;
use crate::config::Config;
use crate::files::{Print, print, put, trouble};
use crate::journal::{Entry, Journal};
use crate::judge::{Wanted, judge};
use crate::keys::{KeyError, Store};

const CONFIG: &str = "keyhouse.toml";
const JOURNAL: &str = "journal.jsonl";
/// Characters of a text of a request in the journal.
const TEXT_MAX: usize = 2_048;

/// A folder with keys, rules and a journal, open.
pub struct Keyhouse {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    store: Store,
    journal: Mutex<Journal>,
    config: Mutex<(Option<Print>, Arc<Config>)>,
}

/// A request as it came.
pub struct Asked<'a> {
    /// Its head.
    pub parts: &'a ::http::request::Parts,
    /// Its whole body.
    pub body: &'a [u8],
}

/// What is answered.
pub struct Said {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

/// A no, and what the client is told of it.
struct No {
    error: XksError,
    text: String,
}

fn no(error: XksError, text: impl Into<String>) -> No {
    No { error, text: text.into() }
}

impl From<No> for Said {
    fn from(no: No) -> Self {
        // Printable ASCII, fewer than 512 characters (specification, "Error codes").
        let ascii = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
        let error_message = no.text.chars().map(ascii).take(500).collect();
        let answer = ErrorAnswer { error_name: no.error.name().to_owned(), error_message };
        Self { status: no.error.status(), body: serde_json::to_vec(&answer).unwrap_or_default() }
    }
}

fn of_key(e: &Trouble) -> No {
    let error = match e {
        Trouble::Key(KeyError::Missing | KeyError::Name) => XksError::KeyNotFound,
        Trouble::Key(KeyError::Disabled) => XksError::InvalidState,
        Trouble::Key(KeyError::Usage) => XksError::InvalidKeyUsage,
        Trouble::Key(KeyError::Ciphertext) => XksError::InvalidCiphertext,
        _ => XksError::Internal,
    };
    if error == XksError::Internal {
        tracing::error!("a key cannot be used: {e}");
        return no(error, "the key cannot be used; its owner finds the reason in the service's output");
    }
    no(error, e.to_string())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, No> {
    // The text of serde's error could hold a part of the body.
    serde_json::from_slice(body).map_err(|e| {
        no(
            XksError::Validation,
            format!("the body is not the JSON of this operation (column {})", e.column()),
        )
    })
}

fn check_metadata(m: &RequestMetadata, needs: &[(&str, bool)]) -> Result<(), No> {
    match needs.iter().find(|(_, there)| !there) {
        Some((name, _)) => Err(no(XksError::Validation, format!("requestMetadata.{name} is missing"))),
        None if [&m.aws_principal_arn, &m.kms_operation, &m.kms_request_id]
            .iter()
            .any(|t| t.len() > TEXT_MAX) =>
        {
            Err(no(XksError::Validation, "a text of requestMetadata has more than 2048 bytes"))
        }
        None => Ok(()),
    }
}

fn of_a_key(m: &RequestMetadata, arn: bool) -> Result<(), No> {
    check_metadata(
        m,
        &[
            ("awsPrincipalArn", !m.aws_principal_arn.is_empty()),
            ("kmsOperation", !m.kms_operation.is_empty()),
            ("kmsRequestId", !m.kms_request_id.is_empty()),
            ("kmsKeyArn", !arn || m.kms_key_arn.as_ref().is_some_and(|a| !a.is_empty())),
        ],
    )
}

fn check_sizes(algorithm: &str, content: usize, aad: usize) -> Result<(), No> {
    if algorithm != "AES_GCM" {
        return Err(no(XksError::Validation, "encryptionAlgorithm must be AES_GCM"));
    }
    if content > PLAINTEXT_MAX || aad > AAD_MAX {
        return Err(no(
            XksError::UnsupportedOperation,
            format!("at most {PLAINTEXT_MAX} bytes of content and {AAD_MAX} of additional data are taken"),
        ));
    }
    Ok(())
}

impl Keyhouse {
    /// Makes a folder with a root key, a first key and a configuration. Refuses one that holds a keyhouse.
    ///
    /// # Errors
    /// When the folder cannot be written or holds one.
    pub fn init(folder: &Path, config: &str) -> Result<(), Trouble> {
        let told = |e: std::io::Error| trouble(folder, e);
        Config::parse(config)?;
        std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700)
            .create(folder.join("keys"))
            .map_err(told)?;
        let root = folder.join("root.key");
        if root.exists() {
            return Err(Trouble::Exists(folder.display().to_string()));
        }
        RootKey::create(&root)?;
        put(&folder.join(CONFIG), config.as_bytes(), true)
    }

    /// Opens the keys of a folder, to change them.
    ///
    /// # Errors
    /// When there is none, or its root key does not open.
    pub fn store(folder: &Path, unlock: &Unlock) -> Result<Store, Trouble> {
        Store::open(folder, unlock)
    }

    /// Puts a folder's root key under something else.
    ///
    /// # Errors
    /// When it does not open, or cannot be written.
    pub fn protect(
        folder: &Path,
        unlock: &Unlock,
        protection: &Protection,
        new: &Unlock,
    ) -> Result<(), Trouble> {
        let path = folder.join("root.key");
        if !path.exists() {
            return Err(Trouble::None(folder.display().to_string()));
        }
        Ok(RootKey::load(&path, unlock)?.write(&path, protection, new, true)?)
    }

    /// Where a folder's journal lies.
    pub fn journal_path(folder: &Path) -> PathBuf {
        folder.join(JOURNAL)
    }

    /// A folder's configuration.
    ///
    /// # Errors
    /// When it cannot be read or is not understood.
    pub fn read_config(folder: &Path) -> Result<Config, Trouble> {
        let path = folder.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(|e| trouble(&path, e))?;
        Ok(Config::parse(&text)?)
    }

    /// Opens a folder to serve.
    ///
    /// # Errors
    /// When anything of it is not in order, its journal above all.
    pub fn open(folder: &Path, unlock: &Unlock, clock: Arc<dyn Clock>) -> Result<Self, Trouble> {
        let store = Store::open(folder, unlock)?;
        let config = Arc::new(Self::read_config(folder)?);
        let journal = Journal::open(&folder.join(JOURNAL), clock.now())?;
        let config = Mutex::new((print(&folder.join(CONFIG)), config));
        Ok(Self { folder: folder.to_owned(), clock, store, journal: Mutex::new(journal), config })
    }

    /// The configuration as it is on disk now.
    ///
    /// # Errors
    /// When it is not understood: then nothing is allowed.
    pub fn config(&self) -> Result<Arc<Config>, Trouble> {
        let now = print(&self.folder.join(CONFIG));
        let mut held = self.config.lock();
        if held.0 != now || now.is_none() {
            let read = Arc::new(Self::read_config(&self.folder)?);
            *held = (now, read);
        }
        Ok(Arc::clone(&held.1))
    }

    /// Answers a POST. Blocks: a decision goes to disk.
    pub fn answer(&self, asked: &Asked<'_>) -> Said {
        let now = self.clock.now();
        match self.try_answer(asked, now) {
            Ok(body) => Said { status: 200, body },
            Err(no) => no.into(),
        }
    }

    fn try_answer(&self, asked: &Asked<'_>, now: Timestamp) -> Result<Vec<u8>, No> {
        let internal = |e: Trouble| {
            tracing::error!("nothing is answered: {e}");
            no(XksError::Internal, "the service is not in order; its owner finds the reason in its output")
        };
        let config = self.config().map_err(internal)?;
        let credentials = self.store.credentials().map_err(internal)?;
        let known = |id: &str| credentials.iter().find(|c| c.id == id);
        let by = xks::verify(asked.parts, asked.body, known, now).map_err(|why| {
            tracing::warn!("a signature was refused: {why}");
            no(XksError::AuthenticationFailed, "the signature does not hold")
        })?;
        let path = asked.parts.uri.path();
        let below = path.strip_prefix(config.prefix.as_str()).and_then(|p| p.strip_prefix("/kms/xks/v1/"));
        let below = below.ok_or_else(|| no(XksError::InvalidUriPath, "nothing is at this path"))?;
        if below == "health" {
            return self.health(asked.body);
        }
        let words: Vec<&str> = below.split('/').collect();
        let ["keys", key, operation] = words[..] else {
            return Err(no(XksError::InvalidUriPath, "nothing is at this path"));
        };
        let cx = Cx { house: self, config: &config, key, credential: &by.id, now };
        match operation {
            "metadata" => cx.metadata(asked.body),
            "encrypt" => cx.encrypt(asked.body),
            "decrypt" => cx.decrypt(asked.body),
            _ => Err(no(XksError::InvalidUriPath, "nothing is at this path")),
        }
    }

    fn health(&self, body: &[u8]) -> Result<Vec<u8>, No> {
        let m = read::<MetadataRequest>(body)?.request_metadata;
        check_metadata(
            &m,
            &[("kmsOperation", !m.kms_operation.is_empty()), ("kmsRequestId", !m.kms_request_id.is_empty())],
        )?;
        // Whether the journal takes a line is known when one is written; that the last was is known here.
        let healthy = self.store.list().is_ok() && !self.journal.lock().is_broken();
        to_json(&Health {
            xks_proxy_fleet_size: 1,
            xks_proxy_vendor: "Bailee".into(),
            xks_proxy_model: format!("bailee keyhouse {}", env!("CARGO_PKG_VERSION")),
            ekm_vendor: "Bailee".into(),
            ekm_fleet_details: vec![Ekm {
                id: "keyhouse".into(),
                model: format!("bailee keyhouse {}", env!("CARGO_PKG_VERSION")),
                health_status: if healthy { "ACTIVE" } else { "UNAVAILABLE" }.into(),
            }],
        })
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, No> {
    serde_json::to_vec(value).map_err(|_| no(XksError::Internal, "the answer cannot be written"))
}

struct Cx<'a> {
    house: &'a Keyhouse,
    config: &'a Config,
    key: &'a str,
    credential: &'a str,
    now: Timestamp,
}

impl Cx<'_> {
    /// Decides, and writes the decision down. What follows is allowed and on record.
    fn decide(&self, operation: &'static str, metadata: &RequestMetadata, aad: &[u8]) -> Result<(), No> {
        let bound: Value = serde_json::from_slice(aad).unwrap_or_default();
        let bound_sha256 = if aad.is_empty() { String::new() } else { sha256(&[aad]).to_string() };
        let wanted = Wanted { operation, key: self.key, metadata, bound: &bound };
        // One at a time: what one intent or grant used is looked at and written in one piece.
        let mut journal = self.house.journal.lock();
        let judged = judge(self.config, &wanted, self.now).and_then(|allowed| {
            if let Some((shown, reads)) = &allowed.shown {
                journal.used.allows(shown, &bound_sha256, *reads)?;
            }
            Ok(allowed)
        });
        let (decision, why, shown) = match judged {
            Ok(allowed) => ("allowed", format!("rule {}", allowed.rule), allowed.shown.map(|(s, _)| s)),
            Err(why) => ("refused", why, None),
        };
        let entry = Entry {
            operation: operation.to_owned(),
            key: self.key.to_owned(),
            principal: metadata.aws_principal_arn.clone(),
            kms_operation: metadata.kms_operation.clone(),
            request: metadata.kms_request_id.clone(),
            via: metadata.kms_via_service.clone().unwrap_or_default().chars().take(256).collect(),
            credential: self.credential.to_owned(),
            bound,
            bound_sha256,
            decision: decision.to_owned(),
            why: why.clone(),
            shown,
        };
        journal.write(entry, self.now).map_err(|e| {
            tracing::error!("nothing is answered: {e}");
            no(XksError::Internal, "the decision could not be recorded, so nothing was done")
        })?;
        if decision == "allowed" { Ok(()) } else { Err(no(XksError::AccessDenied, why)) }
    }

    fn metadata(&self, body: &[u8]) -> Result<Vec<u8>, No> {
        let request: MetadataRequest = read(body)?;
        of_a_key(&request.request_metadata, false)?;
        let info = self.house.store.info(self.key).map_err(|e| of_key(&e))?;
        self.decide("GetKeyMetadata", &request.request_metadata, b"")?;
        to_json(&KeyMetadata {
            key_spec: "AES_256".into(),
            key_usage: info.usage,
            key_status: if info.enabled { "ENABLED" } else { "DISABLED" }.into(),
        })
    }

    fn encrypt(&self, body: &[u8]) -> Result<Vec<u8>, No> {
        let request: EncryptRequest = read(body)?;
        of_a_key(&request.request_metadata, true)?;
        let aad = &request.additional_authenticated_data;
        check_sizes(&request.encryption_algorithm, request.plaintext.expose().len(), aad.len())?;
        let digest = match request.ciphertext_data_integrity_value_algorithm.as_deref() {
            None => false,
            Some("SHA_256") => true,
            Some(_) => {
                return Err(no(
                    XksError::Validation,
                    "ciphertextDataIntegrityValueAlgorithm must be SHA_256",
                ));
            }
        };
        self.house.store.expect(self.key, "ENCRYPT").map_err(|e| of_key(&e))?;
        self.decide("Encrypt", &request.request_metadata, aad)?;
        let done =
            self.house.store.encrypt(self.key, aad, request.plaintext.expose()).map_err(|e| of_key(&e))?;
        let mut answer = EncryptAnswer {
            ciphertext: done.cipher,
            ciphertext_metadata: done.metadata.to_vec(),
            initialization_vector: done.iv.to_vec(),
            authentication_tag: done.tag.to_vec(),
            ciphertext_data_integrity_value: Vec::new(),
        };
        if digest {
            answer.ciphertext_data_integrity_value = answer.digest(aad).to_vec();
        }
        to_json(&answer)
    }

    fn decrypt(&self, body: &[u8]) -> Result<Vec<u8>, No> {
        let request: DecryptRequest = read(body)?;
        of_a_key(&request.request_metadata, true)?;
        let aad = &request.additional_authenticated_data;
        check_sizes(&request.encryption_algorithm, request.ciphertext.len(), aad.len())?;
        if request.ciphertext_metadata.len() > METADATA_MAX {
            return Err(no(XksError::Validation, "ciphertextMetadata has more than 20 bytes"));
        }
        self.house.store.expect(self.key, "DECRYPT").map_err(|e| of_key(&e))?;
        self.decide("Decrypt", &request.request_metadata, aad)?;
        let parts = (
            request.initialization_vector.as_slice(),
            request.authentication_tag.as_slice(),
            request.ciphertext_metadata.as_slice(),
        );
        let plaintext =
            self.house.store.decrypt(self.key, aad, parts, &request.ciphertext).map_err(|e| of_key(&e))?;
        to_json(&DecryptAnswer { plaintext })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read_journal;
    use crate::judge::tests::{NOW, TENANT, approver, bound, evidence, log, metadata};
    use bailee_types::ManualClock;
    use bailee_wire::xks::Credential;

    struct Bench {
        folder: tempfile::TempDir,
        house: Keyhouse,
        credential: Credential,
    }

    fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (log, approver) = (log().verifier().to_string(), approver().verifier().to_string());
        let text = crate::first_config("127.0.0.1:0", "/acme", TENANT, Some(&log), Some(&approver));
        Keyhouse::init(folder.path(), &text).unwrap();
        assert!(matches!(Keyhouse::init(folder.path(), &text), Err(Trouble::Exists(_))));
        let store = Keyhouse::store(folder.path(), &Unlock::default()).unwrap();
        let now = Timestamp::from_ms(NOW);
        store.add("k1", &["ENCRYPT", "DECRYPT"], now).unwrap();
        let credential = store.add_credential(now).unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let house = Keyhouse::open(folder.path(), &Unlock::default(), clock).unwrap();
        Bench { folder, house, credential }
    }

    impl Bench {
        fn post(&self, below: &str, body: &Value) -> (u16, Value) {
            self.post_as(&self.credential, &format!("/acme/kms/xks/v1/{below}"), body.to_string().as_bytes())
        }

        fn post_as(&self, credential: &Credential, path: &str, body: &[u8]) -> (u16, Value) {
            let now = Timestamp::from_ms(NOW);
            let mut request =
                ::http::Request::post(path).header("host", "k:1").header("content-type", "application/json");
            for (name, value) in xks::sign(credential, "r", ("k:1", path), body, now) {
                request = request.header(name, value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let said = self.house.answer(&Asked { parts: &parts, body });
            (said.status, serde_json::from_slice(&said.body).unwrap())
        }

        fn journal(&self) -> Vec<Value> {
            let mut out = Vec::new();
            let path = Keyhouse::journal_path(self.folder.path());
            read_journal(&path, |line| out.push(serde_json::from_str(line).unwrap())).unwrap();
            out
        }
    }

    fn base64(bytes: &[u8]) -> String {
        let value = EncryptAnswer { ciphertext: bytes.to_vec(), ..EncryptAnswer::default() };
        serde_json::to_value(value).unwrap()["ciphertext"].as_str().unwrap().to_owned()
    }

    fn own() -> Value {
        let mut m = metadata(None);
        m.aws_principal_arn = format!("acs:ram::{TENANT}:user/li");
        serde_json::to_value(m).unwrap()
    }

    /// Encrypted for the object of the grant; the body that decrypts it, without metadata.
    fn sealed(b: &Bench) -> Value {
        let aad = base64(bound().to_string().as_bytes());
        let body = serde_json::json!({ "requestMetadata": own(), "plaintext": base64(b"a data key"),
            "encryptionAlgorithm": "AES_GCM", "additionalAuthenticatedData": aad,
            "ciphertextDataIntegrityValueAlgorithm": "SHA_256" });
        let (status, mut answer) = b.post("keys/k1/encrypt", &body);
        assert_eq!(status, 200, "{answer}");
        let read: EncryptAnswer = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(read.ciphertext_data_integrity_value, read.digest(bound().to_string().as_bytes()));
        answer.as_object_mut().unwrap().remove("ciphertextDataIntegrityValue");
        answer["encryptionAlgorithm"] = "AES_GCM".into();
        answer["additionalAuthenticatedData"] = aad.into();
        answer
    }

    #[test]
    fn an_operator_decrypts_once_with_a_grant_and_it_stands_in_the_journal() {
        let b = bench();
        let mut body = sealed(&b);
        body["requestMetadata"] = serde_json::to_value(metadata(Some(evidence()))).unwrap();
        let (status, answer) = b.post("keys/k1/decrypt", &body);
        assert_eq!((status, answer["plaintext"].as_str()), (200, Some(base64(b"a data key").as_str())));
        body["requestMetadata"] = serde_json::to_value(metadata(None)).unwrap();
        let (status, answer) = b.post("keys/k1/decrypt", &body);
        assert_eq!((status, answer["errorName"].as_str()), (403, Some("AccessDeniedException")));
        let lines = b.journal();
        let words = |n: usize, name: &str| lines[n][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(lines.len(), 3);
        assert_eq!((words(1, "decision"), words(1, "operation")), ("allowed".into(), "Decrypt".into()));
        assert_eq!(lines[1]["shown"]["approvedBy"], serde_json::json!(["alice@acme"]));
        assert_eq!(lines[1]["bound"]["context"]["acs:oss:version"], "v");
        assert_eq!(words(2, "decision"), "refused");
        let text = std::fs::read_to_string(Keyhouse::journal_path(b.folder.path())).unwrap();
        assert!(!text.contains(&base64(b"a data key")) && !text.contains(b.credential.secret.expose()));
    }

    #[test]
    fn what_is_not_in_order_is_refused_by_name() {
        let b = bench();
        let good = sealed(&b);
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body["requestMetadata"] = own();
            body[name] = value;
            body
        };
        for (path, body, name) in [
            ("keys/no/decrypt", with("x", 1.into()), "KeyNotFoundException"),
            ("keys/..%2froot/decrypt", with("x", 1.into()), "KeyNotFoundException"),
            ("keys/k1/sign", with("x", 1.into()), "InvalidUriPathException"),
            ("keys/k1", with("x", 1.into()), "InvalidUriPathException"),
            (
                "keys/k1/decrypt",
                with("authenticationTag", base64(&[0; 16]).into()),
                "InvalidCiphertextException",
            ),
            ("keys/k1/decrypt", with("additionalAuthenticatedData", "".into()), "InvalidCiphertextException"),
            ("keys/k1/decrypt", with("initializationVector", "".into()), "InvalidCiphertextException"),
            ("keys/k1/decrypt", with("ciphertext", "!".into()), "ValidationException"),
            ("keys/k1/decrypt", with("ciphertextMetadata", base64(&[0; 21]).into()), "ValidationException"),
            ("keys/k1/decrypt", with("encryptionAlgorithm", "AES_CBC".into()), "ValidationException"),
            (
                "keys/k1/decrypt",
                with("ciphertext", base64(&[0; 4_301]).into()),
                "UnsupportedOperationException",
            ),
            ("keys/k1/decrypt", with("requestMetadata", serde_json::json!({})), "ValidationException"),
            ("keys/k1/decrypt", serde_json::json!([]), "ValidationException"),
            ("health", serde_json::json!({}), "ValidationException"),
            ("health", serde_json::json!({ "requestMetadata": {} }), "ValidationException"),
        ] {
            let (status, answer) = b.post(path, &body);
            assert_eq!(answer["errorName"].as_str(), Some(name), "{path} {status} {answer}");
        }
        let health = serde_json::json!({ "requestMetadata": { "kmsOperation": "KmsHealthCheck", "kmsRequestId": "1" } });
        assert_eq!(b.post("health", &health).1["ekmFleetDetails"][0]["healthStatus"], "ACTIVE");
        let other = Credential { id: "NO".into(), ..b.credential.clone() };
        let (status, answer) = b.post_as(&other, "/acme/kms/xks/v1/health", b"{}");
        assert_eq!((status, answer["errorName"].as_str()), (401, Some("AuthenticationFailedException")));
        assert_eq!(
            b.post_as(&b.credential, "/kms/xks/v1/health", b"{}").1["errorName"],
            "InvalidUriPathException"
        );
    }

    #[test]
    fn a_changed_configuration_counts_at_once_and_a_broken_one_allows_nothing() {
        let b = bench();
        let mut body = sealed(&b);
        body["requestMetadata"] = own();
        assert_eq!(b.post("keys/k1/decrypt", &body).0, 200);
        let path = b.folder.path().join(CONFIG);
        let text = std::fs::read_to_string(&path).unwrap();
        put(&path, text.replace(&format!("acs:ram::{TENANT}:*"), "acs:ram::none").as_bytes(), false).unwrap();
        assert_eq!(b.post("keys/k1/decrypt", &body).0, 403);
        put(&path, b"listen = 7", false).unwrap();
        let (status, answer) = b.post("keys/k1/decrypt", &body);
        assert_eq!((status, answer["errorName"].as_str()), (500, Some("InternalException")));
        put(&path, text.as_bytes(), false).unwrap();
        b.house.store.enable("k1", false).unwrap();
        assert_eq!(b.post("keys/k1/decrypt", &body).1["errorName"], "InvalidStateException");
    }

    #[test]
    fn without_a_journal_nothing_is_done() {
        let b = bench();
        let mut body = sealed(&b);
        body["requestMetadata"] = own();
        b.house.journal.lock().break_it();
        let (status, answer) = b.post("keys/k1/decrypt", &body);
        assert_eq!((status, answer["errorName"].as_str()), (500, Some("InternalException")));
        assert!(answer.get("plaintext").is_none());
    }
}
