//! Rows that are remembered for some seconds, so that each request need not read them.
//!
//! Who changes a row here forgets it here at once; another server hears of it after [`still_fresh`] is over.
//! INVARIANT: what was read before something was forgotten is not remembered after.

use std::collections::HashMap;
use std::hash::Hash;

use bailee_types::Timestamp;
use parking_lot::RwLock;

use crate::identity::still_fresh;

/// Rows that are remembered.
const MAX: usize = 4096;

/// Values by their keys.
pub(crate) struct Fresh<K, V>(RwLock<Remembered<K, V>>);

struct Remembered<K, V> {
    values: HashMap<K, (V, Timestamp)>,
    changes: u64,
}

/// A look that found nothing: with it what is read now can be remembered.
pub(crate) struct Missing(u64);

impl<K, V> Default for Fresh<K, V> {
    fn default() -> Self {
        Self(RwLock::new(Remembered { values: HashMap::new(), changes: 0 }))
    }
}

impl<K: Eq + Hash, V: Clone> Fresh<K, V> {
    pub(crate) fn get(&self, key: &K, now: Timestamp) -> Result<V, Missing> {
        let there = self.0.read();
        match there.values.get(key) {
            Some((value, read_at)) if still_fresh(*read_at, now) => Ok(value.clone()),
            _ => Err(Missing(there.changes)),
        }
    }

    /// Remembers what was read at `now` after a look missed it.
    pub(crate) fn put(&self, missing: &Missing, key: K, value: V, now: Timestamp) {
        let mut there = self.0.write();
        if there.changes != missing.0 {
            return;
        }
        if there.values.len() >= MAX {
            there.values.clear();
        }
        there.values.insert(key, (value, now));
    }

    pub(crate) fn forget(&self, key: &K) {
        let mut there = self.0.write();
        there.changes += 1;
        there.values.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after() {
        let (all, at) = (Fresh::<u8, u8>::default(), Timestamp::from_secs);
        let missing = all.get(&1, at(10)).unwrap_err();
        all.forget(&1);
        all.put(&missing, 1, 7, at(10));
        let missing = all.get(&1, at(10)).unwrap_err();
        all.put(&missing, 1, 8, at(10));
        assert_eq!(all.get(&1, at(11)).ok(), Some(8));
        assert!(all.get(&1, at(3600)).is_err(), "old");
    }
}
