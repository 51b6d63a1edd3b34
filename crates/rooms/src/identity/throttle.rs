//! Waiting after wrong passwords and codes: it grows to a minute and never becomes a lock.

use std::collections::HashMap;
use std::net::IpAddr;

use bailee_types::Timestamp;
use parking_lot::Mutex;

use crate::{Failure, House};

/// Attempts that are free before waiting starts; then 1, 2, 4 … 60 seconds.
pub(super) const FREE_ATTEMPTS: u32 = 5;
const WAIT_MAX_S: u64 = 60;
/// What is remembered of one name when nothing more happens.
const FORGET_MS: i64 = 3_600_000;
const LABELS_MAX: usize = 50_000;

/// Failed attempts by label.
#[derive(Default)]
pub(super) struct Throttle(Mutex<Labels>);

#[derive(Default)]
struct Labels(HashMap<String, Attempts>);

#[derive(Clone, Copy, Default)]
struct Attempts {
    failed: u32,
    next_at_ms: i64,
}

impl House {
    pub(super) fn check_throttle(&self, label: &str) -> Result<(), Failure> {
        self.identity.throttle.0.lock().check(label, self.now())
    }

    pub(super) fn note_failure(&self, label: &str, free: u32) {
        self.identity.throttle.0.lock().note(label, free, self.now());
    }

    /// For what costs nothing to try: the attempt counts from its beginning, so that a hundred at once are not a hundred
    /// tries. A success forgets it.
    pub(super) fn begin_attempt(&self, label: &str) -> Result<(), Failure> {
        let mut throttle = self.identity.throttle.0.lock();
        throttle.check(label, self.now())?;
        throttle.note(label, FREE_ATTEMPTS, self.now());
        Ok(())
    }

    pub(super) fn forget_failures(&self, label: &str) {
        self.identity.throttle.0.lock().0.remove(label);
    }
}

impl Labels {
    fn check(&self, label: &str, now: Timestamp) -> Result<(), Failure> {
        let wait_ms = self.0.get(label).map_or(0, |a| a.next_at_ms - now.ms());
        if wait_ms > 0 { Err(Failure::Throttled((wait_ms as u64).div_ceil(1000))) } else { Ok(()) }
    }

    fn note(&mut self, label: &str, free: u32, now: Timestamp) {
        let now = now.ms();
        let throttle = &mut self.0;
        if throttle.len() >= LABELS_MAX {
            throttle.retain(|_, a| a.next_at_ms + FORGET_MS > now);
        }
        let attempts = throttle.entry(label.to_owned()).or_default();
        if attempts.next_at_ms + FORGET_MS < now {
            attempts.failed = 0;
        }
        attempts.failed = attempts.failed.saturating_add(1);
        let over = attempts.failed.saturating_sub(free);
        let wait_s = if over == 0 { 0 } else { (1u64 << (over - 1).min(6)).min(WAIT_MAX_S) };
        attempts.next_at_ms = now + wait_s as i64 * 1000;
    }
}

/// The /24 or /64 that an address lies in: one customer's line, roughly.
pub(super) fn network_of(address: &str) -> String {
    match address.parse::<IpAddr>().map(|a| a.to_canonical()) {
        Ok(IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => "unknown".into(),
    }
}
