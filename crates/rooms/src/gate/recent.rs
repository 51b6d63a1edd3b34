//! Nonces of calls that touch no storage: remembered in memory.
//!
//! What changes something keeps its nonces in the database. For the rest a million or two of the newest are known, for at
//! least a quarter of an hour while there are no more; a replay could only give again what was given.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use bailee_types::Timestamp;
use parking_lot::Mutex;

use super::Nonce;

const KEPT_MAX: usize = 1_000_000;
const KEPT_MS: i64 = 16 * 60_000;

#[derive(Default)]
pub(crate) struct RecentNonces {
    hashes: RandomState,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    current: HashSet<u64>,
    before: HashSet<u64>,
    since_ms: i64,
}

impl RecentNonces {
    /// Remembers a nonce; false when it was seen before.
    pub(crate) fn is_new(&self, nonce: &Nonce, now: Timestamp) -> bool {
        let hash = self.hashes.hash_one((&nonce.access_key_id, &nonce.nonce));
        let mut kept = self.kept.lock();
        if kept.current.len() >= KEPT_MAX || now.ms() - kept.since_ms > KEPT_MS {
            kept.before = std::mem::take(&mut kept.current);
            kept.since_ms = now.ms();
        }
        !kept.before.contains(&hash) && kept.current.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_new_once_and_again_when_it_is_long_past() {
        let nonces = RecentNonces::default();
        let nonce = |n: u32| Nonce {
            access_key_id: "LTAI".into(),
            nonce: n.to_string(),
            expires_at: Timestamp::from_ms(0),
        };
        let at = |minutes: i64| Timestamp::from_ms(1_790_000_000_000 + minutes * 60_000);
        assert!(nonces.is_new(&nonce(1), at(0)));
        assert!(!nonces.is_new(&nonce(1), at(1)));
        assert!(!nonces.is_new(&nonce(1), at(15)));
        assert!(nonces.is_new(&nonce(2), at(17)));
        assert!(!nonces.is_new(&nonce(1), at(18)), "the generation before is known, too");
        assert!(nonces.is_new(&nonce(3), at(34)));
        assert!(nonces.is_new(&nonce(1), at(35)));
    }
}
