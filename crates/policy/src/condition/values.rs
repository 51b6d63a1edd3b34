//! Values that conditions compare: decimals, networks, truth values. Each reads from text without allocation.

use std::cmp::Ordering;
use std::net::IpAddr;

/// An exact decimal of any length: `-12.50` without needless zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal<T> {
    negative: bool,
    whole: T,
    fraction: T,
}

impl<'t> Decimal<&'t str> {
    /// Digits, with a sign and a fraction where there are; no exponent.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(w, f)| (w, Some(f)));
        if !digits(whole) || !fraction.is_none_or(digits) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.unwrap_or_default().trim_end_matches('0');
        Some(Self { negative: negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction })
    }

    pub(crate) fn to_owned(self) -> Decimal<Box<str>> {
        Decimal { negative: self.negative, whole: self.whole.into(), fraction: self.fraction.into() }
    }

    pub(crate) fn compare(&self, other: &Decimal<Box<str>>) -> Ordering {
        let size = self
            .whole
            .len()
            .cmp(&other.whole.len())
            .then_with(|| self.whole.cmp(&*other.whole))
            .then_with(|| self.fraction.cmp(&*other.fraction));
        match (self.negative, other.negative) {
            (false, false) => size,
            (true, true) => size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

/// A range of addresses. An IPv4 address written as IPv6 (`::ffff:…`) is its IPv4 address; families never mix otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    V4 { base: u32, mask: u32 },
    V6 { base: u128, mask: u128 },
}

impl Network {
    /// An address, or one with `/` and the length of its prefix.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let digits = |l: &&str| (1..=3).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_digit());
        let length: Option<u32> = match length {
            Some(length) => Some(Some(length).filter(digits)?.parse().ok()?),
            None => None,
        };
        match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(a) => Self::v4(a.to_bits(), length.unwrap_or(32)),
            IpAddr::V6(a) => match (a.to_ipv4_mapped(), length.unwrap_or(128)) {
                (Some(mapped), length @ 96..=128) => Self::v4(mapped.to_bits(), length - 96),
                (_, length @ 0..=128) => {
                    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                    Some(Self::V6 { base: a.to_bits() & mask, mask })
                }
                _ => None,
            },
        }
    }

    fn v4(bits: u32, length: u32) -> Option<Self> {
        let mask = u32::MAX.checked_shl(32u32.checked_sub(length)?).unwrap_or(0);
        Some(Self::V4 { base: bits & mask, mask })
    }

    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::V4 { base, mask }, IpAddr::V4(a)) => a.to_bits() & mask == *base,
            (Self::V6 { base, mask }, IpAddr::V6(a)) => a.to_bits() & mask == *base,
            _ => false,
        }
    }
}

/// `true` or `false`, in any case.
pub(crate) fn truth(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else {
        text.eq_ignore_ascii_case("false").then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(a: &str, b: &str) -> Option<Ordering> {
        Some(Decimal::parse(a)?.compare(&Decimal::parse(b)?.to_owned()))
    }

    #[test]
    fn decimals_are_exact() {
        for (a, b, wanted) in [
            ("1", "1.0", Ordering::Equal),
            ("-0", "0.00", Ordering::Equal),
            ("007", "7", Ordering::Equal),
            ("0.1", "0.10000000000000000000000001", Ordering::Less),
            ("-2", "-10", Ordering::Greater),
            ("-1", "0", Ordering::Less),
            ("99999999999999999999999999999", "100000000000000000000000000000", Ordering::Less),
            ("1.9", "1.10", Ordering::Greater),
        ] {
            assert_eq!(order(a, b), Some(wanted), "{a} {b}");
        }
        for bad in ["", "-", "1.", ".5", "+1", "1e3", " 1", "١", "0x1", "1,0", "--1", "NaN"] {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, wanted) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.0.0.1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "::ffff:11.1.1.1", false),
            ("::ffff:0:0/96", "1.2.3.4", true),
            ("2001:db8::1/128", "2001:db8::1", true),
        ] {
            assert_eq!(
                Network::parse(network).map(|n| n.holds(address.parse().unwrap())),
                Some(wanted),
                "{network} {address}"
            );
        }
        for bad in [
            "",
            "10",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "::/129",
            "010.0.0.1",
            "1.2.3.4 ",
            "/8",
        ] {
            assert!(Network::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn decimals_order_as_integers_do(a in any::<i64>(), b in any::<i64>(), shift in 0usize..6) {
            // The same number of places behind the point keeps the order of the integers.
            let shown = |n: i64| {
                let digits = format!("{:0>width$}", n.unsigned_abs(), width = shift + 1);
                let (w, f) = digits.split_at(digits.len() - shift);
                format!("{}{w}{}{f}", if n < 0 { "-" } else { "" }, if shift > 0 { "." } else { "" })
            };
            prop_assert_eq!(order(&shown(a), &shown(b)), Some(a.cmp(&b)));
        }

        #[test]
        fn a_network_of_an_address_holds_it(bits in any::<u32>(), length in 0u32..=32, other in any::<u32>()) {
            let show = |b: u32| std::net::Ipv4Addr::from_bits(b);
            let network = Network::parse(&format!("{}/{length}", show(bits))).unwrap();
            prop_assert!(network.holds(show(bits).into()));
            let same = length == 0 || bits >> (32 - length) == other >> (32 - length);
            prop_assert_eq!(network.holds(show(other).into()), same);
        }
    }
}
