//! Addresses that mail goes to.

use std::fmt;

use crate::Failure;

/// An address that mail goes to: `local@domain` in ASCII, as people have them; no quotes, no comments, no address literal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailAddress(String);

impl MailAddress {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let no = || {
            Failure::invalid(
                "address",
                "must look like ops@example.com, in ASCII, with at most 254 characters",
            )
        };
        let (local, domain) = text.rsplit_once('@').ok_or_else(no)?;
        let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
        let fits = text.len() <= 254
            && (1..=64).contains(&local.len())
            && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom));
        let label = |part: &str| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        let is_name = domain.contains('.')
            && domain.split('.').all(label)
            && !domain.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !fits || !is_name {
            return Err(no());
        }
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody's address does not get into logs by accident.
impl fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailAddress(…@{})", self.domain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_one_and_nothing_else() {
        for good in ["a@b.cn", "Ops.Team+bailee@Acme-Pumps.Example", "o'neil@x.co", "a@xn--fiqs8s.cn"] {
            assert!(MailAddress::parse(good).is_ok(), "{good}");
        }
        assert_eq!(MailAddress::parse("Ops@ACME.Example").unwrap().as_str(), "Ops@acme.example");
        for bad in [
            "",
            "a",
            "@b.cn",
            "a@",
            "a@b",
            "a@b.",
            "a@.cn",
            "a@b..cn",
            ".a@b.cn",
            "a.@b.cn",
            "a..b@b.cn",
            "a b@c.cn",
            "a@b.cn ",
            " a@b.cn",
            "a@b.cn\r\nBcc: x@y.cn",
            "a\r\n@b.cn",
            "a@b.cn\n",
            "a@b\r.cn",
            "a\0@b.cn",
            "\"a b\"@c.cn",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@b.cn,c@d.cn",
            "a@b.cn;c@d.cn",
            "<a@b.cn>",
            "A <a@b.cn>",
            "a@-b.cn",
            "a@b-.cn",
            "a@b_c.cn",
            "泵@b.cn",
            "a@泵.cn",
            "a@b@c.cn",
            "a(x)@b.cn",
        ] {
            assert!(MailAddress::parse(bad).is_err(), "{bad:?}");
        }
        assert!(MailAddress::parse(&format!("{}@b.cn", "a".repeat(65))).is_err());
        assert!(MailAddress::parse(&format!("a@{}cn", "bcd.".repeat(64))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_taken_cannot_end_a_header(text in "[ -~\\r\\n\\t\u{0}]{0,40}@[ -~\\r\\n]{0,40}") {
            if let Ok(address) = MailAddress::parse(&text) {
                prop_assert!(address.as_str().bytes().all(|b| b.is_ascii_graphic() && !b"<>,;:\"()[]\\".contains(&b)));
                prop_assert_eq!(address.as_str().matches('@').count(), 1);
            }
        }
    }
}
