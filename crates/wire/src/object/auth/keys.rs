//! Day keys of the V4 schemes.
//!
//! Promises: a bounded, thread-safe memory of derived keys, so that a request pays one HMAC instead of five.
//! INVARIANT: an entry is found only by someone who presents the same secret: the index is a digest over the
//! secret, the AccessKey id and the scope. A rotated secret can never meet an old key.
//! INVARIANT: keys are wiped when they leave the cache.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bailee_types::SecretText;
use ring::digest;
use zeroize::Zeroizing;

use crate::object::dialect::Dialect;
use crate::object::encode::{finish_sha256, hmac_sha256};

pub(crate) type DayKey = Zeroizing<[u8; 32]>;

/// What a day key is derived for.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) dialect: Dialect,
    pub(super) access_key_id: &'a str,
    /// `yyyymmdd`.
    pub(super) date: &'a str,
    pub(super) region: &'a str,
}

/// Remembers at most `capacity` day keys; the least recently inserted half goes first.
pub struct SigningKeyCache {
    half: usize,
    keys: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<[u8; 32], DayKey>,
    old: HashMap<[u8; 32], DayKey>,
}

impl SigningKeyCache {
    /// A cache for at most `capacity` keys (64 bytes each, at least 2).
    pub fn new(capacity: usize) -> Self {
        Self { half: (capacity / 2).max(1), keys: Mutex::new(Generations::default()) }
    }

    /// How many keys are held now.
    pub fn len(&self) -> usize {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.young.len() + keys.old.len()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every key, e.g. when an AccessKey was revoked.
    pub fn clear(&self) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Generations::default();
    }

    pub(super) fn day_key(&self, secret: &SecretText, scope: Scope<'_>) -> DayKey {
        let index = index(secret, scope);
        {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(key) = keys.young.get(&index) {
                return key.clone();
            }
            if let Some(key) = keys.old.remove(&index) {
                keys.insert(index, key.clone(), self.half);
                return key;
            }
        }
        // Derived without the lock: two threads may both derive, and arrive at the same key.
        let key = derive(secret, scope);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(index, key.clone(), self.half);
        key
    }
}

impl Generations {
    fn insert(&mut self, index: [u8; 32], key: DayKey, half: usize) {
        if self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(index, key);
    }
}

impl std::fmt::Debug for SigningKeyCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeyCache").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// `H(H(H(H(prefix + secret, date), region), service), terminator)` (contract §2, AWS SigV4).
pub(super) fn derive(secret: &SecretText, scope: Scope<'_>) -> DayKey {
    let words = scope.dialect.words();
    derive_in(secret, words.key_prefix, [scope.date, scope.region, words.service, words.terminator])
}

/// The same with all words named: one HMAC for each part of the scope.
pub(crate) fn derive_in(secret: &SecretText, prefix: &str, scope: [&str; 4]) -> DayKey {
    let mut key = Zeroizing::new([prefix.as_bytes(), secret.expose().as_bytes()].concat());
    let mut out = DayKey::default();
    for part in scope {
        *out = hmac_sha256(&key, part.as_bytes());
        key = Zeroizing::new(out.to_vec());
    }
    out
}

fn index(secret: &SecretText, scope: Scope<'_>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    let parts =
        [scope.dialect.words().algorithm, scope.access_key_id, scope.date, scope.region, secret.expose()];
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    finish_sha256(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope<'a>(access_key_id: &'a str, date: &'a str) -> Scope<'a> {
        Scope { dialect: Dialect::S3, access_key_id, date, region: "us-east-1" }
    }

    #[test]
    fn the_cache_stays_within_its_capacity_and_answers_as_derivation_does() {
        let cache = SigningKeyCache::new(8);
        let secret = SecretText::new("s".into());
        for i in 0..100 {
            let id = format!("AK{i}");
            assert_eq!(
                *cache.day_key(&secret, scope(&id, "20260102")),
                *derive(&secret, scope(&id, "20260102"))
            );
            assert!(cache.len() <= 8, "{}", cache.len());
        }
        cache.clear();
        assert!(cache.is_empty());
    }

    #[test]
    fn another_secret_or_day_never_meets_a_cached_key() {
        let cache = SigningKeyCache::new(8);
        let one = cache.day_key(&SecretText::new("one".into()), scope("AK", "20260102"));
        let two = cache.day_key(&SecretText::new("two".into()), scope("AK", "20260102"));
        let three = cache.day_key(&SecretText::new("one".into()), scope("AK", "20260103"));
        assert!(*one != *two && *one != *three);
        assert_eq!(cache.len(), 3);
        assert!(!format!("{cache:?}").contains("one"));
    }
}
