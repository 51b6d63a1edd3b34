//! Identifiers. Each is a distinct type, so that arguments cannot be swapped.

use serde::{Deserialize, Serialize};

use crate::names::NameError;

/// Fills a vector with `n` bytes of the operating system's randomness.
///
/// # Panics
/// When the operating system cannot give randomness; nothing secure can be done then.
#[expect(
    clippy::expect_used,
    reason = "without randomness no key, nonce or id may be made: stopping is the only answer"
)]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut out = [0u8; N];
    getrandom::fill(&mut out).expect("the operating system gives randomness");
    out
}

/// `n` characters drawn evenly from `alphabet` (at most 256 ASCII characters).
pub fn random_text(alphabet: &[u8], n: usize) -> String {
    let limit = 256 - 256 % alphabet.len().max(1);
    let mut out = String::with_capacity(n);
    while out.len() < n {
        for byte in random_bytes::<32>() {
            if usize::from(byte) < limit
                && out.len() < n
                && let Some(c) = alphabet.get(usize::from(byte) % alphabet.len())
            {
                out.push(char::from(*c));
            }
        }
    }
    out
}

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LOWER: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
const DIGITS: &[u8] = b"0123456789";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads an id.
            ///
            /// # Errors
            /// When the text does not have the form of this id.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(NameError::new($what, text)) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

fn digits(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit())
}

fn uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        })
}

/// A random UUID of version 4 in lower case.
fn random_uuid() -> String {
    let mut bytes = random_bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    uuid_text(&bytes)
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

fn uuid_bytes(text: &str) -> [u8; 16] {
    let mut out = [0; 16];
    let digits = text.bytes().filter(|b| *b != b'-').map(|b| match b {
        b'0'..=b'9' => b - b'0',
        _ => b.wrapping_sub(b'a').wrapping_add(10),
    });
    for (i, digit) in digits.enumerate() {
        if let Some(byte) = out.get_mut(i / 2) {
            *byte = *byte << 4 | digit & 15;
        }
    }
    out
}

macro_rules! uuids {
    ($($name:ident),*) => {$(
        impl $name {
            /// A new one.
            pub fn random() -> Self {
                Self(random_uuid())
            }

            /// The one of these 16 bytes.
            pub fn from_bytes(bytes: &[u8; 16]) -> Self {
                Self(uuid_text(bytes))
            }

            /// Its 16 bytes.
            pub fn to_bytes(&self) -> [u8; 16] {
                uuid_bytes(&self.0)
            }
        }
    )*};
}
uuids!(KeyId, KeyVersionId);

fn tagged(text: &str, prefix: &str, len: std::ops::RangeInclusive<usize>, ok: fn(u8) -> bool) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| len.contains(&rest.len()) && rest.bytes().all(ok))
}

fn lower_alnum(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

id!(
    /// A tenant: 16 digits, the wire's account id. All zeros is the provider itself.
    TenantId, "tenant id (16 digits)", |t| digits(t, 16)
);
id!(
    /// A RAM user: 18 digits.
    UserId, "user id (18 digits)", |t| digits(t, 18)
);
id!(
    /// A RAM group: 18 digits.
    GroupId, "group id (18 digits)", |t| digits(t, 18)
);
id!(
    /// A RAM role: 18 digits.
    RoleId, "role id (18 digits)", |t| digits(t, 18)
);
id!(
    /// A provider employee as the provider knows him: `op-` and up to 32 of `[a-z0-9.-]`.
    OperatorId, "operator id (`op-` and letters)",
    |t| tagged(t, "op-", 1..=32, |b| lower_alnum(b) || b == b'.' || b == b'-')
);
id!(
    /// An operator as one tenant sees him: stable within the tenant, unlinkable across tenants.
    Pseudonym, "pseudonym (`emp-` and 16 characters)", |t| tagged(t, "emp-", 16..=16, lower_alnum)
);
id!(
    /// An AccessKey id: `LTAI` and 20 letters or digits, or `STS.` and 24 for a session's key (contract §5), or `GRT.` and 24 for
    /// the key of an operator's grant.
    AccessKeyId, "AccessKey id (`LTAI…`, `STS.…` or `GRT.…`)", |t| {
        tagged(t, "LTAI", 12..=24, |b| b.is_ascii_alphanumeric())
            || tagged(t, "STS.", 24..=24, |b| b.is_ascii_alphanumeric())
            || tagged(t, "GRT.", 24..=24, |b| b.is_ascii_alphanumeric())
    }
);
id!(
    /// A ticket between tenant and provider: `T-` and digits.
    TicketId, "ticket id (`T-1042`)", |t| tagged(t, "T-", 1..=12, |b| b.is_ascii_digit())
);
id!(
    /// A consent request and the grant that it may become: `G-` and 12 characters.
    GrantId, "grant id (`G-` and 12 characters)", |t| tagged(t, "G-", 12..=12, lower_alnum)
);
id!(
    /// A takedown of public data: `H-` and 12 characters.
    HandlingId, "handling id (`H-` and 12 characters)", |t| tagged(t, "H-", 12..=12, lower_alnum)
);
id!(
    /// A change as the provider numbers its own, e.g. `CHG-1234`: 1 to 64 letters, digits, `.`, `_`, `-`.
    ChangeId, "change id (1 to 64 letters, digits, `.`, `_`, `-`)",
    |t| (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
);
id!(
    /// A standing right of a tenant: `R-` and 12 characters.
    StandingId, "standing right's id (`R-` and 12 characters)", |t| tagged(t, "R-", 12..=12, lower_alnum)
);
id!(
    /// A key of KMS: a UUID in lower case.
    KeyId, "key id (a UUID)", uuid
);
id!(
    /// A version of such a key: a UUID in lower case.
    KeyVersionId, "key version id (a UUID)", uuid
);
id!(
    /// 128 random bits in hex that name a tenant's log without naming the tenant (facts/trail.md §5).
    LogId, "log id (32 hex digits)", |t| t.len() == 32 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);
id!(
    /// One stored version of an object: 32 hex digits, random; also names its blob.
    ObjectVersionId, "object version id (32 hex digits)", |t| t.len() == 32 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);
id!(
    /// One request: an upper-case UUID (RPC) that both dialects return.
    RequestId, "request id (upper-case UUID)", |t| {
        t.len() == 36 && t.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'A'..=b'F').contains(&b),
        })
    }
);

impl TenantId {
    /// The provider's own log and acts stand under this id; it owns no data.
    pub fn provider() -> Self {
        Self("0".repeat(16))
    }

    /// A new random tenant id that does not start with 0.
    pub fn random() -> Self {
        Self(format!("1{}", random_text(DIGITS, 15)))
    }
}

impl UserId {
    /// A new random user id.
    pub fn random() -> Self {
        Self(format!("2{}", random_text(DIGITS, 17)))
    }
}

impl GroupId {
    /// A new random group id.
    pub fn random() -> Self {
        Self(format!("4{}", random_text(DIGITS, 17)))
    }
}

impl RoleId {
    /// A new random role id.
    pub fn random() -> Self {
        Self(format!("3{}", random_text(DIGITS, 17)))
    }
}

impl AccessKeyId {
    /// A new random AccessKey id.
    pub fn random() -> Self {
        Self(format!("LTAI5t{}", random_text(ALNUM, 18)))
    }

    /// A new random id for the key of a role session.
    pub fn random_session() -> Self {
        Self(format!("STS.NT{}", random_text(ALNUM, 22)))
    }

    /// A new random id for the temporary key of an operator's grant.
    pub fn random_grant() -> Self {
        Self(format!("GRT.{}", random_text(ALNUM, 24)))
    }

    /// Whether it is a role session's: good only together with its token.
    pub fn is_session(&self) -> bool {
        self.0.starts_with("STS.")
    }

    /// Whether it is a grant's: good only together with its token, and within its grant.
    pub fn is_grant(&self) -> bool {
        self.0.starts_with("GRT.")
    }
}

impl GrantId {
    /// A new random grant id.
    pub fn random() -> Self {
        Self(format!("G-{}", random_text(LOWER, 12)))
    }
}

impl HandlingId {
    /// A new random one.
    pub fn random() -> Self {
        Self(format!("H-{}", random_text(LOWER, 12)))
    }
}

impl StandingId {
    /// A new random id of a standing right.
    pub fn random() -> Self {
        Self(format!("R-{}", random_text(LOWER, 12)))
    }
}

impl LogId {
    /// A new random log id.
    pub fn random() -> Self {
        Self(hex::encode(random_bytes::<16>()))
    }
}

impl ObjectVersionId {
    /// A new random version id.
    pub fn random() -> Self {
        Self(hex::encode(random_bytes::<16>()))
    }
}

impl RequestId {
    /// A new random request id.
    pub fn random() -> Self {
        let mut b = random_bytes::<16>();
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let h = hex::encode_upper(b);
        let part = |r: std::ops::Range<usize>| h.get(r).unwrap_or_default().to_owned();
        Self([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_id_reads_back() {
        for _ in 0..100 {
            assert!(TenantId::parse(TenantId::random().as_str()).is_ok());
            assert!(UserId::parse(UserId::random().as_str()).is_ok());
            assert!(AccessKeyId::parse(AccessKeyId::random().as_str()).is_ok());
            assert!(AccessKeyId::parse(AccessKeyId::random_grant().as_str()).is_ok());
            assert!(GrantId::parse(GrantId::random().as_str()).is_ok());
            assert!(LogId::parse(LogId::random().as_str()).is_ok());
            assert!(RequestId::parse(RequestId::random().as_str()).is_ok());
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        assert!(TenantId::parse("12").is_err());
        assert!(TicketId::parse("T-").is_err());
        assert!(GrantId::parse("T-1042").is_err());
        assert!(OperatorId::parse("op-../x").is_err());
    }
}
