//! A key in a token behind PKCS#11 that wraps the root key. It is made in the token, marked sensitive and never leaves it.

use std::path::Path;

use bailee_types::{SecretBytes, SecretText, random_bytes};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::{AuthPin, Ulong};

const IV_LEN: usize = 12;
const TAG_BITS: u64 = 128;

/// A token with somebody logged in.
pub(super) struct Token {
    session: Session,
    // Behind the session: it must outlive it.
    _context: Pkcs11,
}

fn said(what: &str) -> impl Fn(cryptoki::error::Error) -> String + use<'_> {
    move |e| format!("{what}: {e}")
}

impl Token {
    pub(super) fn open(module: &Path, label: &str, pin: &SecretText) -> Result<Self, String> {
        let context = Pkcs11::new(module).map_err(said("the module cannot be loaded"))?;
        context
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .map_err(said("the module does not start"))?;
        let slots = context.get_slots_with_token().map_err(said("its slots cannot be read"))?;
        let slot = slots
            .into_iter()
            .find(|slot| context.get_token_info(*slot).is_ok_and(|info| info.label() == label))
            .ok_or_else(|| format!("it has no token `{label}`"))?;
        let session = context.open_rw_session(slot).map_err(said("no session"))?;
        session
            .login(UserType::User, Some(&AuthPin::new(pin.expose().to_owned().into())))
            .map_err(said("the token does not take the PIN"))?;
        Ok(Self { session, _context: context })
    }

    fn key(&self, label: &str) -> Result<Option<ObjectHandle>, String> {
        let wanted = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        let found = self.session.find_objects(&wanted).map_err(said("its keys cannot be read"))?;
        match found.as_slice() {
            [] => Ok(None),
            [key] => Ok(Some(*key)),
            _ => Err(format!("it has several keys `{label}`")),
        }
    }

    /// The key of this label; made when there is none.
    fn key_or_new(&self, label: &str) -> Result<ObjectHandle, String> {
        if let Some(key) = self.key(label)? {
            return Ok(key);
        }
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(Ulong::from(32u64)),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        self.session.generate_key(&Mechanism::AesKeyGen, &template).map_err(said("it makes no key"))
    }

    /// Seals with the key of this label: IV, ciphertext, tag.
    pub(super) fn seal(&self, label: &str, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, String> {
        let key = self.key_or_new(label)?;
        let mut iv = random_bytes::<IV_LEN>();
        let params = GcmParams::new(&mut iv, aad, Ulong::from(TAG_BITS)).map_err(said("AES-GCM"))?;
        let sealed = self
            .session
            .encrypt(&Mechanism::AesGcm(params), key, plain)
            .map_err(said("it does not seal (AES-GCM)"))?;
        Ok([&iv[..], &sealed].concat())
    }

    pub(super) fn open_sealed(&self, label: &str, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, String> {
        let key = self.key(label)?.ok_or_else(|| format!("it has no key `{label}`"))?;
        let (iv, sealed) = sealed.split_first_chunk::<IV_LEN>().ok_or("the file is too short")?;
        let mut iv = *iv;
        let params = GcmParams::new(&mut iv, aad, Ulong::from(TAG_BITS)).map_err(said("AES-GCM"))?;
        let plain = self
            .session
            .decrypt(&Mechanism::AesGcm(params), key, sealed)
            .map_err(said("the key in it does not open the file"))?;
        Ok(SecretBytes::new(plain))
    }
}
