//! An authenticator and a browser in software, both of which can be told to lie.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value as Cbor;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};

pub(crate) const UP: u8 = 1;
pub(crate) const UV: u8 = 4;
pub(crate) const BE: u8 = 8;
pub(crate) const BS: u8 = 16;
const AT: u8 = 64;
pub(crate) const ED: u8 = 128;

/// Changes the members of a COSE_Key.
pub(crate) type KeyChange = fn(&mut Vec<(Cbor, Cbor)>);

pub(crate) enum Key {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

pub(crate) struct Soft {
    pub(crate) key: Key,
    pub(crate) id: Vec<u8>,
    pub(crate) rp_id: &'static str,
    pub(crate) origin: &'static str,
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    /// Changes the client data.
    pub(crate) client: fn(&mut Value),
    /// Bytes behind the authenticator data.
    pub(crate) tail: Vec<u8>,
    pub(crate) user_handle: Option<Vec<u8>>,
    pub(crate) format: &'static str,
    pub(crate) statement: Vec<(Cbor, Cbor)>,
    /// Changes the public key.
    pub(crate) cose: KeyChange,
}

impl Soft {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            id: vec![7; 20],
            rp_id: "trust.example",
            origin: "https://trust.example",
            flags: UP | UV,
            counter: 1,
            client: |_| {},
            tail: Vec::new(),
            user_handle: Some(b"user-1".to_vec()),
            format: "none",
            statement: Vec::new(),
            cose: |_| {},
        }
    }

    pub(crate) fn es256() -> Self {
        let (random, with) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(with, &random).unwrap();
        Self::new(Key::Es256(EcdsaKeyPair::from_pkcs8(with, made.as_ref(), &random).unwrap()))
    }

    pub(crate) fn ed25519() -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::new(Key::Ed25519(Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap()))
    }

    pub(crate) fn rs256() -> Self {
        Self::new(Key::Rs256(RsaKeyPair::from_pkcs8(include_bytes!("../keys/issuer.pk8")).unwrap()))
    }

    /// `navigator.credentials.create` with these options.
    pub(crate) fn create(&self, options: &str) -> Vec<u8> {
        let client_data = self.client_data("webauthn.create", options);
        let mut data = self.head(AT);
        data.extend_from_slice(&[9; 16]);
        data.extend_from_slice(&u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&self.id);
        data.extend_from_slice(&self.cose_key());
        data.extend_from_slice(&self.tail);
        let object = Cbor::Map(vec![
            (Cbor::Text("fmt".into()), Cbor::Text(self.format.into())),
            (Cbor::Text("attStmt".into()), Cbor::Map(self.statement.clone())),
            (Cbor::Text("authData".into()), Cbor::Bytes(data)),
        ]);
        let id = URL_SAFE_NO_PAD.encode(&self.id);
        let answer = json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "attestationObject": URL_SAFE_NO_PAD.encode(bytes(&object)),
                "transports": ["internal", "hybrid"],
            },
        });
        answer.to_string().into_bytes()
    }

    /// `navigator.credentials.get` with these options.
    pub(crate) fn get(&self, options: &str) -> Value {
        let client_data = self.client_data("webauthn.get", options);
        let mut data = self.head(0);
        data.extend_from_slice(&self.tail);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let id = URL_SAFE_NO_PAD.encode(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(self.sign(&signed)),
                "userHandle": self.user_handle.as_ref().map(|h| URL_SAFE_NO_PAD.encode(h)),
            },
        })
    }

    fn client_data(&self, kind: &str, options: &str) -> Vec<u8> {
        let options: Value = serde_json::from_str(options).unwrap();
        let mut data = json!({
            "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false,
        });
        (self.client)(&mut data);
        data.to_string().into_bytes()
    }

    fn head(&self, more: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, self.rp_id.as_bytes()).as_ref().to_vec();
        data.push(self.flags | more);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    pub(crate) fn cose_key(&self) -> Vec<u8> {
        let n = |n: i64| Cbor::Integer(n.into());
        let mut members = match &self.key {
            Key::Es256(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = (point[..32].to_vec(), point[32..].to_vec());
                vec![
                    (n(1), n(2)),
                    (n(3), n(-7)),
                    (n(-1), n(1)),
                    (n(-2), Cbor::Bytes(x)),
                    (n(-3), Cbor::Bytes(y)),
                ]
            }
            Key::Ed25519(key) => {
                let x = key.public_key().as_ref().to_vec();
                vec![(n(1), n(1)), (n(3), n(-8)), (n(-1), n(6)), (n(-2), Cbor::Bytes(x))]
            }
            Key::Rs256(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                vec![
                    (n(1), n(3)),
                    (n(3), n(-257)),
                    (n(-1), Cbor::Bytes(public.n)),
                    (n(-2), Cbor::Bytes(public.e)),
                ]
            }
        };
        (self.cose)(&mut members);
        bytes(&Cbor::Map(members))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Es256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Key::Rs256(key) => {
                let mut out = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut out).unwrap();
                out
            }
        }
    }
}

pub(crate) fn bytes(value: &Cbor) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out
}
