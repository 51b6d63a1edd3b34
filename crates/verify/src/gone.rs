//! Records whose event is gone: each must be explained by a later record of the log, of a kind and age that may be erased.

use bailee_proof::event::{Erasure, may_erase};
use bailee_proof::record::{Entry, Kind};

/// See the module.
#[derive(Default)]
pub(crate) struct Gone {
    /// In the order of the log.
    records: Vec<One>,
    pub(crate) explained: u64,
    /// The first that the log says is erased and whose event is there all the same.
    pub(crate) still_there: Option<u64>,
}

struct One {
    index: u64,
    time_ms: u64,
    kind: Kind,
    explained: bool,
}

impl Gone {
    /// An event is not there.
    pub(crate) fn add(&mut self, entry: &Entry) {
        let Entry { index, time_ms, kind, .. } = *entry;
        self.records.push(One { index, time_ms, kind, explained: false });
    }

    /// Whether the event of this record is gone.
    pub(crate) fn has(&self, index: u64) -> bool {
        self.records.binary_search_by_key(&index, |one| one.index).is_ok()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// A record says what was erased.
    ///
    /// # Errors
    /// Why it may not have been.
    pub(crate) fn explain(&mut self, erasure: &Erasure, at_ms: u64) -> Result<(), String> {
        for index in &erasure.indices {
            let Ok(place) = self.records.binary_search_by_key(index, |one| one.index) else {
                self.still_there.get_or_insert(*index);
                continue;
            };
            let Some(one) = self.records.get_mut(place) else { continue };
            if one.explained {
                return Err(format!("it erases record {index}, which was erased before"));
            }
            may_erase(one.kind, one.time_ms, at_ms).map_err(|e| format!("it erases record {index}: {e}"))?;
            one.explained = true;
            self.explained += 1;
        }
        Ok(())
    }

    /// The first that nothing explains.
    pub(crate) fn unexplained(&self) -> Option<u64> {
        self.records.iter().find(|one| !one.explained).map(|one| one.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailee_proof::event::KEPT_MS_MIN;
    use bailee_proof::hash::Hash;

    fn gone() -> Gone {
        let mut gone = Gone::default();
        for (index, kind) in [(1, Kind::Management), (4, Kind::Intent), (5, Kind::Log)] {
            gone.add(&Entry { kind, index, time_ms: 100, commitment: Hash([0; 32]) });
        }
        gone
    }

    fn erasure(indices: &[u64]) -> Erasure {
        let [reason, by, legal_basis] = ["r", "b", "l"].map(str::to_owned);
        Erasure { indices: indices.to_vec(), reason, by, legal_basis }
    }

    #[test]
    fn each_is_explained_once_and_only_when_it_may_be_gone() {
        let mut gone = gone();
        assert!(gone.has(4) && !gone.has(3) && gone.len() == 3);
        assert!(gone.explain(&erasure(&[4]), 100 + KEPT_MS_MIN - 1).unwrap_err().contains("180 days"));
        gone.explain(&erasure(&[1, 4]), 100 + KEPT_MS_MIN).unwrap();
        assert_eq!((gone.explained, gone.unexplained()), (2, Some(5)));
        assert!(gone.explain(&erasure(&[5]), u64::MAX).unwrap_err().contains("never erased"));
        assert!(gone.explain(&erasure(&[1]), u64::MAX).unwrap_err().contains("erased before"));
        gone.explain(&erasure(&[2]), u64::MAX).unwrap();
        assert_eq!(gone.still_there, Some(2));
    }
}
