//! Instants in milliseconds since 1970 (UTC), and the clock that is handed in.

use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Why a time could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a time of the form {wanted}")]
pub struct TimeError {
    text: String,
    wanted: &'static str,
}

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// From whole seconds since 1970.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant plus `ms` milliseconds (may be negative).
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// `2026-01-02T03:04:05.678Z` (OSS and S3 `LastModified`).
    pub fn iso_ms(self) -> String {
        let c = self.civil();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second, c.millis
        )
    }

    /// `2026-01-02T03:04:05Z` (RPC dates, ActionTrail `eventTime`).
    pub fn iso(self) -> String {
        let c = self.civil();
        format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
    }

    /// `20260102T030405Z` (`x-oss-date`, `x-amz-date`).
    pub fn basic(self) -> String {
        let c = self.civil();
        format!("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second)
    }

    /// Reads `2026-01-02T03:04:05Z`, with or without milliseconds.
    ///
    /// # Errors
    /// When the text has another form or names a day that does not exist.
    pub fn parse_iso(text: &str) -> Result<Self, TimeError> {
        text.strip_suffix('Z').and_then(read_iso_body).ok_or_else(|| TimeError {
            text: text.chars().take(64).collect(),
            wanted: "2026-01-02T03:04:05Z",
        })
    }

    /// As [`Timestamp::parse_iso`]; the zone may also be an offset, as in `2026-01-02T11:04:05+08:00`.
    ///
    /// # Errors
    /// When the text has another form or names a day or an offset that does not exist.
    pub fn parse_iso_offset(text: &str) -> Result<Self, TimeError> {
        let read = || {
            let Some((body, offset)) = text.len().checked_sub(6).and_then(|at| text.split_at_checked(at))
            else {
                return Self::parse_iso(text).ok();
            };
            let ahead = match offset.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return Self::parse_iso(text).ok(),
            };
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let (hours, minutes) = (digits(Some(hours), 2)?, digits(Some(minutes), 2)?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            Some(read_iso_body(body)?.plus_ms(-ahead * (hours * 60 + minutes) * 60_000))
        };
        read().ok_or_else(|| TimeError {
            text: text.chars().take(64).collect(),
            wanted: "2026-01-02T03:04:05Z or 2026-01-02T11:04:05+08:00",
        })
    }

    /// Reads `20260102T030405Z`.
    ///
    /// # Errors
    /// When the text has another form or names a day that does not exist.
    pub fn parse_basic(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError { text: text.chars().take(64).collect(), wanted: "20260102T030405Z" };
        let shape = text.len() == 16
            && text.bytes().enumerate().all(|(i, b)| match i {
                8 => b == b'T',
                15 => b == b'Z',
                _ => b.is_ascii_digit(),
            });
        if !shape {
            return Err(wrong());
        }
        let num = |range: std::ops::Range<usize>| text.get(range).and_then(|p| p.parse::<i64>().ok());
        let secs =
            (|| from_civil(num(0..4)?, num(4..6)?, num(6..8)?, num(9..11)?, num(11..13)?, num(13..15)?))();
        Ok(Self::from_secs(secs.ok_or_else(wrong)?))
    }

    fn civil(self) -> Civil {
        let secs = self.secs();
        let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        // Days to civil date: H. Hinnant, "chrono-compatible low-level date algorithms".
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Civil {
            year: yoe + era * 400 + i64::from(month <= 2),
            month,
            day: doy - (153 * mp + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            millis: self.0.rem_euclid(1000),
        }
    }
}

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millis: i64,
}

/// `2026-01-02T03:04:05`, with or without a fraction.
fn read_iso_body(body: &str) -> Option<Timestamp> {
    let (date, clock) = body.split_once('T')?;
    let mut d = date.split('-');
    let (y, mo, da) = (d.next(), d.next(), d.next());
    let (hms, frac) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut t = hms.split(':');
    let (h, mi, s) = (t.next(), t.next(), t.next());
    if d.next().is_some() || t.next().is_some() || frac.is_empty() || frac.len() > 9 {
        return None;
    }
    let whole = from_civil(
        digits(y, 4)?,
        digits(mo, 2)?,
        digits(da, 2)?,
        digits(h, 2)?,
        digits(mi, 2)?,
        digits(s, 2)?,
    )?;
    let mut millis = 0;
    for (i, digit) in frac.bytes().enumerate() {
        if !digit.is_ascii_digit() {
            return None;
        }
        millis += i64::from(digit - b'0') * [100, 10, 1].get(i).copied().unwrap_or(0);
    }
    Some(Timestamp(whole.saturating_mul(1000).saturating_add(millis)))
}

fn digits(part: Option<&str>, len: usize) -> Option<i64> {
    part.filter(|p| p.len() == len && p.bytes().all(|b| b.is_ascii_digit())).and_then(|p| p.parse().ok())
}

fn from_civil(y: i64, m: i64, d: i64, h: i64, mi: i64, s: i64) -> Option<i64> {
    let leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    let days_in = match m {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if d < 1 || d > days_in || h > 23 || mi > 59 || s > 59 {
        return None;
    }
    let yy = if m <= 2 { y - 1 } else { y };
    let era = yy.div_euclid(400);
    let yoe = yy.rem_euclid(400);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Some((era * 146_097 + doe - 719_468) * 86_400 + h * 3600 + mi * 60 + s)
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.iso_ms())
    }
}

/// The source of "now". Handed in at start-up, so that a test can wait thirty days in a microsecond.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock; never goes back within a process (the later time wins, so grants fail closed).
#[derive(Debug, Default)]
pub struct SystemClock {
    latest: AtomicI64,
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the wall clock enters")]
    fn now(&self) -> Timestamp {
        let ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        Timestamp(self.latest.fetch_max(ms, Ordering::AcqRel).max(ms))
    }
}

/// A clock that a test moves by hand.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves forward by `ms` milliseconds.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::AcqRel);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants_print_as_the_wire_wants_them() {
        let t = Timestamp::from_ms(1_767_323_045_678);
        assert_eq!(t.iso_ms(), "2026-01-02T03:04:05.678Z");
        assert_eq!(t.iso(), "2026-01-02T03:04:05Z");
        assert_eq!(t.basic(), "20260102T030405Z");
        assert_eq!(Timestamp::from_ms(0).iso(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_day_that_does_not_exist_is_refused() {
        for bad in
            ["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01", "", "é"]
        {
            assert!(Timestamp::parse_iso(bad).is_err(), "{bad}");
        }
        assert!(Timestamp::parse_iso("2024-02-29T00:00:00Z").is_ok());
        assert!(Timestamp::parse_basic("20260230T000000Z").is_err());
    }

    #[test]
    fn an_offset_is_the_same_instant() {
        let at = Timestamp::parse_iso("2026-01-02T03:04:05Z").unwrap();
        for same in ["2026-01-02T03:04:05Z", "2026-01-02T11:04:05+08:00", "2026-01-01T22:34:05.000-04:30"] {
            assert_eq!(Timestamp::parse_iso_offset(same), Ok(at), "{same}");
        }
        for bad in [
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05+8:00",
            "2026-01-02T03:04:05+15:00",
            "+08:00",
            "é+08:00",
        ] {
            assert!(Timestamp::parse_iso_offset(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_return_the_same_instant(ms in 0i64..250_000_000_000_000) {
            let t = Timestamp::from_ms(ms);
            prop_assert_eq!(Timestamp::parse_iso(&t.iso_ms()), Ok(t));
            prop_assert_eq!(Timestamp::parse_basic(&t.basic()), Ok(Timestamp::from_secs(t.secs())));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,40}") {
            let _ = Timestamp::parse_iso(&text);
            let _ = Timestamp::parse_iso_offset(&text);
            let _ = Timestamp::parse_basic(&text);
        }
    }
}
