//! S3's checksums of content: of an object, and of objects of parts.
//!
//! A checksum of the whole of what came in parts is combined from those of the parts: no byte is read again.
//! INVARIANT: only CRCs combine, so only they are of a whole object of parts ([`Algorithm::allows`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest as Crc, checksum_combine};
use ring::digest;
use serde::{Deserialize, Serialize};

/// An algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME: what an object has when its writer names none.
    #[default]
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// What the checksum of an object of parts is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChecksumType {
    /// Of the content.
    #[default]
    FullObject,
    /// Of the checksums of the parts.
    Composite,
}

impl Algorithm {
    /// Its name on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Whether an object of parts can have a checksum of this type.
    pub fn allows(self, kind: ChecksumType) -> bool {
        match kind {
            ChecksumType::FullObject => self.crc().is_ok(),
            ChecksumType::Composite => self != Self::Crc64Nvme,
        }
    }

    fn crc(self) -> Result<(CrcAlgorithm, usize), &'static digest::Algorithm> {
        match self {
            Self::Crc32 => Ok((CrcAlgorithm::Crc32IsoHdlc, 4)),
            Self::Crc32c => Ok((CrcAlgorithm::Crc32Iscsi, 4)),
            Self::Crc64Nvme => Ok((CrcAlgorithm::Crc64Nvme, 8)),
            Self::Sha1 => Err(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha256 => Err(&digest::SHA256),
        }
    }
}

impl ChecksumType {
    /// Its name on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// The checksum of an object; of an upload that is under way what it will be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Of what.
    #[serde(default, skip_serializing_if = "is_full")]
    pub kind: ChecksumType,
    /// Base64; a composite one with `-` and the number of parts behind it. Empty where there is no content yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Whether its algorithm was not asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_default: bool,
}

/// Why what is claimed of an object of parts does not fit. The texts are S3's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumProblem {
    /// Another algorithm than the upload's.
    #[error(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        small(*.expected),
        small(*.actual)
    )]
    Algorithm {
        /// The upload's.
        expected: Option<Algorithm>,
        /// What came.
        actual: Option<Algorithm>,
    },
    /// Another type than the upload's.
    #[error(
        "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
        .0.word()
    )]
    Type(ChecksumType),
    /// A composite checksum needs those of the parts.
    #[error(
        "The upload was created using a {} checksum. The complete request must include the checksum for each part. It \
         was missing for part {} in the request.",
        small(Some(*.0)),
        .1
    )]
    Missing(Algorithm, u32),
    /// The whole has another checksum.
    #[error("The {} you specified did not match the calculated checksum.", small(Some(*.0)))]
    Differs(Algorithm),
    /// The whole has another size.
    #[error("The provided 'x-amz-mp-object-size' header value {0} does not match what was computed: {1}")]
    Size(u64, u64),
}

fn small(algorithm: Option<Algorithm>) -> String {
    algorithm.map_or_else(|| "null".to_owned(), |a| a.word().to_ascii_lowercase())
}

fn is_full(kind: &ChecksumType) -> bool {
    *kind == ChecksumType::FullObject
}

/// A checksum that is being computed.
pub(super) enum Running {
    Crc(Crc, usize),
    Sha(digest::Context),
}

impl Running {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm.crc() {
            Ok((crc, len)) => Self::Crc(Crc::new(crc), len),
            Err(sha) => Self::Sha(digest::Context::new(sha)),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(crc, _) => crc.update(bytes),
            Self::Sha(sha) => sha.update(bytes),
        }
    }

    pub(super) fn finish(self) -> String {
        match self {
            Self::Crc(crc, len) => of_crc(crc.finalize(), len),
            Self::Sha(sha) => BASE64.encode(sha.finish()),
        }
    }
}

fn of_crc(crc: u64, len: usize) -> String {
    BASE64.encode(crc.to_be_bytes().get(8 - len..).unwrap_or_default())
}

/// What the checksums of parts are together.
pub(super) enum Together {
    Full { crc: CrcAlgorithm, len: usize, value: u64 },
    Composite { all: Running, count: u64 },
}

impl Together {
    /// Nothing yet. What does not combine is composed.
    pub(super) fn new(algorithm: Algorithm, kind: ChecksumType) -> Self {
        match (kind, algorithm.crc()) {
            (ChecksumType::FullObject, Ok((crc, len))) => Self::Full { crc, len, value: 0 },
            _ => Self::Composite { all: Running::new(algorithm), count: 0 },
        }
    }

    /// The next part: its checksum and its bytes. False for what is no checksum.
    pub(super) fn add(&mut self, sum: &str, size: u64) -> bool {
        let Ok(raw) = BASE64.decode(sum) else { return false };
        match self {
            Self::Composite { all, count } => {
                all.update(&raw);
                *count += 1;
            }
            Self::Full { crc, len, value } => {
                if raw.len() != *len {
                    return false;
                }
                let next = raw.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
                *value = checksum_combine(*crc, *value, next, size);
            }
        }
        true
    }

    pub(super) fn finish(self) -> String {
        match self {
            Self::Full { len, value, .. } => of_crc(value, len),
            Self::Composite { all, count } => format!("{}-{count}", all.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Algorithm; 5] =
        [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut running = Running::new(algorithm);
        running.update(bytes);
        running.finish()
    }

    /// Check values of the CRC catalogue and of FIPS 180-4 over `123456789`.
    #[test]
    fn each_algorithm_is_the_published_one() {
        let values = [
            "y/Q5Jg==",
            "4waSgw==",
            "rosUhgp5mIg=",
            "98O8HYCOBHMq32eZZczDTKeuNEE=",
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        ];
        for (algorithm, value) in ALL.into_iter().zip(values) {
            assert_eq!(sum(algorithm, b"123456789"), value, "{algorithm:?}");
            let word = serde_json::to_value(algorithm).unwrap();
            assert_eq!(word, algorithm.word(), "what is stored is what the wire says");
        }
        assert_eq!(serde_json::to_value(ChecksumType::Composite).unwrap(), ChecksumType::Composite.word());
    }

    proptest! {
        /// However content is cut, also into parts of nothing: the parts' CRCs together are that of the whole.
        #[test]
        fn parts_together_are_the_whole(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        ) {
            let whole = parts.concat();
            for algorithm in ALL {
                for kind in [ChecksumType::FullObject, ChecksumType::Composite] {
                    if !algorithm.allows(kind) {
                        continue;
                    }
                    let mut together = Together::new(algorithm, kind);
                    let mut sums = Vec::new();
                    for part in &parts {
                        let sum = sum(algorithm, part);
                        prop_assert!(together.add(&sum, part.len() as u64));
                        sums.extend(BASE64.decode(sum).unwrap());
                    }
                    let expected = match kind {
                        ChecksumType::FullObject => sum(algorithm, &whole),
                        ChecksumType::Composite => format!("{}-{}", sum(algorithm, &sums), parts.len()),
                    };
                    prop_assert_eq!(together.finish(), expected);
                }
            }
        }

        /// Parts that are swapped, or of which one is changed by a bit, are another whole.
        #[test]
        fn other_parts_are_another_whole(
            one in prop::collection::vec(any::<u8>(), 1..300),
            two in prop::collection::vec(any::<u8>(), 1..300),
            bit in any::<prop::sample::Index>(),
        ) {
            let mut other = one.clone();
            let bit = bit.index(one.len() * 8);
            other[bit / 8] ^= 1 << (bit % 8);
            for algorithm in ALL {
                let kind = if algorithm.allows(ChecksumType::FullObject) {
                    ChecksumType::FullObject
                } else {
                    ChecksumType::Composite
                };
                let of = |parts: [&[u8]; 2]| {
                    let mut together = Together::new(algorithm, kind);
                    for part in parts {
                        assert!(together.add(&sum(algorithm, part), part.len() as u64));
                    }
                    together.finish()
                };
                prop_assert_ne!(of([&one, &two]), of([&other, &two]));
                if [one.as_slice(), &two].concat() != [two.as_slice(), &one].concat() {
                    // A CRC of 32 bits may be the same by chance: once in four thousand million.
                    prop_assert_ne!(of([&one, &two]), of([&two, &one]));
                }
            }
        }
    }

    #[test]
    fn what_is_no_checksum_is_not_taken() {
        let mut together = Together::new(Algorithm::Crc32, ChecksumType::FullObject);
        assert!(!together.add("rosUhgp5mIg=", 1) && !together.add("?", 1) && !together.add("", 1));
        // Of 5 GiB as of a byte.
        assert!(together.add("AAAAAA==", u64::MAX / 2));
    }
}
