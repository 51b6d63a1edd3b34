//! One-time codes by time (RFC 6238): SHA-1, 30 seconds, six digits, as every authenticator app has them.
//!
//! Promises: a code works once. The caller stores the step that [`check`] returns, compare-and-set, before he lets
//! anybody in, and hands it back as `last_used_step`; a code of that step or an older one is refused.
//! INVARIANT: which of the accepted steps matched, and where a wrong code differs, does not show in the time taken.
//! INVARIANT: a seed is wiped when dropped and its `Debug` prints `[redacted]`.

use bailee_types::{SecretBytes, SecretText, Timestamp, random_bytes};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// The length of a step, seconds.
pub const STEP_SECS: u64 = 30;
/// How many digits a code has.
pub const DIGITS: usize = 6;

/// 160 bits, the length that RFC 4226 §4 recommends.
const SEED_BYTES: usize = 20;
const MODULUS: u32 = 1_000_000;
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The secret that server and app share.
#[derive(Clone)]
pub struct Seed(SecretBytes);

/// A seed has 20 bytes, in base32 32 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TOTP seed must have 20 bytes")]
pub struct SeedError;

impl Seed {
    /// A new random seed.
    pub fn random() -> Self {
        Self(SecretBytes::new(random_bytes::<SEED_BYTES>().to_vec()))
    }

    /// The seed of these bytes, as [`Seed::expose`] gave them.
    ///
    /// # Errors
    /// When there are not 20.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SeedError> {
        if bytes.len() == SEED_BYTES { Ok(Self(SecretBytes::new(bytes.to_vec()))) } else { Err(SeedError) }
    }

    /// The bytes, to be sealed and stored.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// The seed as a person types it into an app (RFC 4648 base32 without padding).
    pub fn base32(&self) -> SecretText {
        SecretText::new(BASE32_NOPAD.encode(self.expose()))
    }

    /// `otpauth://totp/…`, the text of the QR code ("Key URI Format" of Google Authenticator).
    ///
    /// ```
    /// use bailee_federation::totp::Seed;
    /// let seed = Seed::from_bytes(b"12345678901234567890").unwrap();
    /// assert_eq!(
    ///     seed.uri("Bailee: test", "lin@acme").expose(),
    ///     "otpauth://totp/Bailee%3A%20test:lin@acme?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
    ///      &issuer=Bailee%3A%20test&algorithm=SHA1&digits=6&period=30"
    /// );
    /// ```
    pub fn uri(&self, issuer: &str, account: &str) -> SecretText {
        let issuer = utf8_percent_encode(issuer, ESCAPED).to_string();
        let account = utf8_percent_encode(account, ESCAPED);
        let secret = self.base32();
        SecretText::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECS}",
            secret.expose()
        ))
    }

    /// The code of one step (RFC 4226 §5.3).
    fn code(&self, step: u64) -> u32 {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha1>::new_from_slice(self.expose()).expect("a key");
        mac.update(&step.to_be_bytes());
        let mac: [u8; 20] = mac.finalize().into_bytes().into();
        let offset = usize::from(mac[19] & 15);
        let four = mac.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        (u32::from_be_bytes(four) & 0x7fff_ffff) % MODULUS
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The step whose code this is: the present one, the one before or the one after; None when the code is wrong or its
/// step is not younger than `last_used_step`.
///
/// ```
/// use bailee_federation::totp::{Seed, check};
/// use bailee_types::Timestamp;
/// let seed = Seed::from_bytes(b"12345678901234567890").unwrap();
/// let now = Timestamp::from_secs(59);
/// assert_eq!(check("287082", &seed, now, None), Some(1));
/// assert_eq!(check("287082", &seed, now, Some(1)), None, "once");
/// ```
pub fn check(code: &str, seed: &Seed, now: Timestamp, last_used_step: Option<u64>) -> Option<u64> {
    find(now, |step| {
        let younger = Choice::from(u8::from(last_used_step.is_none_or(|last| step > last)));
        number(code).map_or(Choice::from(0), |code| code.ct_eq(&seed.code(step)) & younger)
    })
}

/// For binding an app: two codes that follow each other prove that its clock runs. The step of the second, which is
/// the first `last_used_step`.
pub fn check_two_consecutive(first: &str, second: &str, seed: &Seed, now: Timestamp) -> Option<u64> {
    let (first, second) = (number(first)?, number(second)?);
    find(now, |step| {
        let before = step.checked_sub(1).map_or(Choice::from(0), |step| first.ct_eq(&seed.code(step)));
        before & second.ct_eq(&seed.code(step))
    })
}

/// The one step around `now` for which `matches` says yes; all are tried.
fn find(now: Timestamp, matches: impl Fn(u64) -> Choice) -> Option<u64> {
    let present = u64::try_from(now.secs()).ok()? / STEP_SECS;
    let (mut found, mut step_found) = (Choice::from(0), 0u64);
    for step in present.saturating_sub(1)..=present.saturating_add(1) {
        let here = matches(step);
        step_found.conditional_assign(&step, here);
        found |= here;
    }
    bool::from(found).then_some(step_found)
}

/// Six digits, with spaces where a person put them.
fn number(code: &str) -> Option<u32> {
    if code.len() > 4 * DIGITS {
        return None;
    }
    let digits: String = code.chars().filter(|c| *c != ' ').collect();
    let all_digits = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seed() -> Seed {
        Seed::from_bytes(b"12345678901234567890").unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn code(seed: &Seed, step: u64) -> String {
        format!("{:06}", seed.code(step))
    }

    /// RFC 4226 appendix D.
    #[test]
    fn the_counters_of_rfc_4226() {
        let wanted =
            [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        let found: Vec<_> = (0..10).map(|step| seed().code(step)).collect();
        assert_eq!(found, wanted);
    }

    /// RFC 6238 appendix B, the SHA-1 rows: eight digits there, of which ours are the last six.
    #[test]
    fn the_times_of_rfc_6238() {
        for (secs, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let step = u64::try_from(secs).unwrap() / STEP_SECS;
            assert_eq!(check(&eight[2..], &seed(), at(secs), None), Some(step), "{secs}");
        }
    }

    #[test]
    fn a_code_works_one_step_early_or_late_and_once() {
        let seed = Seed::random();
        let now = at(1_800_000_015);
        let step = 60_000_000;
        for near in [step - 1, step, step + 1] {
            assert_eq!(check(&code(&seed, near), &seed, now, None), Some(near));
            assert_eq!(check(&code(&seed, near), &seed, now, Some(near - 1)), Some(near));
            assert_eq!(check(&code(&seed, near), &seed, now, Some(near)), None);
            assert_eq!(check(&code(&seed, near), &seed, now, Some(near + 5)), None);
        }
        for far in [step - 2, step + 2] {
            assert_eq!(check(&code(&seed, far), &seed, now, None), None);
        }
        assert_eq!(check(&code(&seed, 0), &seed, at(-1), None), None);
    }

    #[test]
    fn only_six_digits_are_a_code() {
        let (seed, now) = (seed(), at(59));
        assert_eq!(check(" 287 082 ", &seed, now, None), Some(1));
        for wrong in ["", "87082", "2870820", "+87082", "28708２", "-287082", "287082x"] {
            assert_eq!(check(wrong, &seed, now, None), None, "{wrong}");
        }
        assert_eq!(check(&" ".repeat(1 << 20), &seed, now, None), None);
    }

    #[test]
    fn an_app_is_bound_by_two_codes_that_follow_each_other() {
        let seed = Seed::random();
        let (now, step) = (at(1_800_000_015), 60_000_000);
        let two = |a, b| check_two_consecutive(&code(&seed, a), &code(&seed, b), &seed, now);
        assert_eq!(two(step - 1, step), Some(step));
        assert_eq!(two(step - 2, step - 1), Some(step - 1));
        assert_eq!(two(step, step + 1), Some(step + 1));
        for (a, b) in [(step, step), (step, step - 1), (step - 1, step + 1), (step - 3, step - 2)] {
            assert_eq!(two(a, b), None);
        }
    }

    #[test]
    fn a_seed_does_not_show_and_comes_back_from_its_bytes() {
        let seed = Seed::random();
        assert_eq!(format!("{seed:?}"), "[redacted]");
        assert_eq!(seed.base32().expose().len(), 32);
        assert_eq!(Seed::from_bytes(seed.expose()).unwrap().code(7), seed.code(7));
        assert_eq!(Seed::from_bytes(&[0; 19]).unwrap_err(), SeedError);
        assert_ne!(Seed::random().expose(), seed.expose());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(code in ".{0,40}", ms in any::<i64>(), last in any::<Option<u64>>()) {
            let found = check(&code, &seed(), Timestamp::from_ms(ms), last);
            prop_assert!(found.is_none() || last.is_none_or(|last| found > Some(last)));
        }
    }
}
