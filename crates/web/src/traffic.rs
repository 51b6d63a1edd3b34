//! Counts of answers by listener part and status class, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Answers of one part by status class: 1xx–5xx and anything else last.
#[derive(Debug, Default)]
pub(crate) struct ByClass([AtomicU64; 6]);

impl ByClass {
    fn count(&self, status: u16) {
        let class = usize::from(status / 100).checked_sub(1).filter(|c| *c < 5).unwrap_or(5);
        if let Some(counter) = self.0.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Class word and count, without the classes that never occurred.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ["1xx", "2xx", "3xx", "4xx", "5xx", "other"]
            .into_iter()
            .zip(&self.0)
            .map(|(word, n)| (word, n.load(Ordering::Relaxed)))
            .filter(|(_, n)| *n > 0)
    }
}

/// Answers since start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) objects: ByClass,
    pub(crate) rpc: ByClass,
    pub(crate) pages: ByClass,
    pub(crate) log: ByClass,
}

impl Traffic {
    pub(crate) fn count_object(&self, status: u16) {
        self.objects.count(status);
    }

    pub(crate) fn count_rpc(&self, status: u16) {
        self.rpc.count(status);
    }

    pub(crate) fn count_page(&self, status: u16) {
        self.pages.count(status);
    }

    pub(crate) fn count_log(&self, status: u16) {
        self.log.count(status);
    }
}
