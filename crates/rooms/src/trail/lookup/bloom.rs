//! A filter that says "certainly not here" or "perhaps here" of terms, each known by its MAC alone.

/// Bits for each term: with seven positions a term, about one in a hundred is taken for one that is there.
const BITS_PER_TERM: usize = 10;
const POSITIONS: u64 = 7;
/// Bytes at most: 512 records of words that all differ.
const BYTES_MAX: usize = 64 * 1024;

/// The filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bloom {
    bits: Vec<u8>,
}

impl Bloom {
    /// A filter of these terms.
    pub(super) fn of(terms: &[[u8; 32]]) -> Self {
        let bytes = (terms.len() * BITS_PER_TERM).div_ceil(8).clamp(8, BYTES_MAX);
        let mut bloom = Self { bits: vec![0; bytes] };
        for term in terms {
            for at in bloom.positions(term) {
                if let Some(byte) = bloom.bits.get_mut(at / 8) {
                    *byte |= 1 << (at % 8);
                }
            }
        }
        bloom
    }

    /// The filter that [`Bloom::bytes`] gave; none when that is not one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (8..=BYTES_MAX).contains(&bytes.len()).then(|| Self { bits: bytes.to_vec() })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Whether a term may be here. It never says no to one that is.
    pub(super) fn may_hold(&self, term: &[u8; 32]) -> bool {
        self.positions(term).iter().all(|at| self.bits.get(at / 8).is_some_and(|b| b & (1 << (at % 8)) != 0))
    }

    fn positions(&self, term: &[u8; 32]) -> [usize; POSITIONS as usize] {
        let half = |from: usize| term.iter().skip(from).take(8).fold(0u64, |n, b| (n << 8) | u64::from(*b));
        let (first, step, bits) = (half(0), half(8) | 1, self.bits.len() as u64 * 8);
        let mut out = [0; POSITIONS as usize];
        for (n, at) in out.iter_mut().zip(0u64..) {
            *n = (first.wrapping_add(step.wrapping_mul(at)) % bits) as usize;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(n: u64) -> [u8; 32] {
        let mut out = [0; 32];
        out[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).to_be_bytes());
        out[8..16].copy_from_slice(&n.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(31).to_be_bytes());
        out
    }

    #[test]
    fn nothing_that_is_there_is_denied_and_little_else_is_claimed() {
        for count in [0u64, 1, 7, 500, 5_000] {
            let terms: Vec<_> = (0..count).map(term).collect();
            let bloom = Bloom::of(&terms);
            assert!(terms.iter().all(|t| bloom.may_hold(t)));
            let read = Bloom::from_bytes(bloom.bytes()).unwrap();
            assert_eq!(read, bloom);
            let wrong = (1_000_000..1_010_000).filter(|n| bloom.may_hold(&term(*n))).count();
            assert!(wrong < 300, "{wrong} of 10,000 are claimed with {count} terms");
        }
        assert!(Bloom::from_bytes(&[]).is_none() && Bloom::from_bytes(&[0; BYTES_MAX + 1]).is_none());
    }
}
