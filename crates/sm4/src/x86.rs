//! The kernel for x86-64: SM4's S-box by AES's, in registers of 32 bytes.
//!
//! A group of eight blocks lies in four registers, one for each word of a block, under the map M of [`crate::maps`]. Two
//! groups are worked on at once: while one waits for its AES instruction, the other goes on.
//!
//! INVARIANT: a [`Kernel`] exists only where the processor has what its functions are compiled for.
#![expect(
    unsafe_code,
    reason = "calls of functions that are compiled for a processor which was looked at first"
)]

use std::arch::x86_64::*;

use sm4::cipher::consts::U16;
use sm4::cipher::inout::InOut;
use sm4::cipher::{Block, BlockCipherEncBackend, BlockSizeUser, ParBlocks, ParBlocksSizeUser};
use zeroize::Zeroize;

use crate::maps::{AFTER, BEFORE, Halves, INTO, OUT, P, Q};

/// Eight blocks, two a register.
type Group = [[u8; 32]; 4];

/// FK of the standard.
const FK: [u32; 4] = [0xa3b1_bac6, 0x56aa_3350, 0x677d_9197, 0xb270_22dc];

/// The round keys, as the rounds add them.
pub(crate) struct Kernel {
    round_keys: [u32; 32],
    vaes: bool,
}

impl Kernel {
    /// None where the processor lacks AVX2 or AES-NI, or with `vaes` the wide form of it.
    pub(crate) fn new(vaes: bool, key: &[u8; 16]) -> Option<Self> {
        let narrow = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("aes");
        if !narrow || (vaes && !is_x86_feature_detected!("vaes")) {
            return None;
        }
        // SAFETY: the processor has AVX2 and AES-NI, as was just seen.
        let round_keys = unsafe { round_keys(key) };
        Some(Self { round_keys, vaes })
    }

    fn encrypt<const N: usize>(&self, groups: &mut [Group; N]) {
        if self.vaes {
            // SAFETY: `new` saw that the processor has AVX2, AES-NI and VAES.
            unsafe { with_vaes(&self.round_keys, groups) }
        } else {
            // SAFETY: `new` saw that the processor has AVX2 and AES-NI.
            unsafe { with_aes_ni(&self.round_keys, groups) }
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.round_keys.zeroize();
    }
}

impl BlockSizeUser for Kernel {
    type BlockSize = U16;
}

impl ParBlocksSizeUser for Kernel {
    type ParBlocksSize = U16;
}

impl BlockCipherEncBackend for Kernel {
    fn encrypt_block(&self, mut block: InOut<'_, '_, Block<Self>>) {
        let mut groups = [Group::default()];
        groups[0][0][..16].copy_from_slice(block.get_in());
        self.encrypt(&mut groups);
        block.get_out().copy_from_slice(&groups[0][0][..16]);
    }

    fn encrypt_par_blocks(&self, mut blocks: InOut<'_, '_, ParBlocks<Self>>) {
        let mut groups = [Group::default(); 2];
        let bytes = groups.as_flattened_mut().as_flattened_mut();
        bytes.copy_from_slice(blocks.get_in().as_flattened());
        self.encrypt(&mut groups);
        blocks.get_out().as_flattened_mut().copy_from_slice(groups.as_flattened().as_flattened());
    }
}

#[target_feature(enable = "avx2,aes,vaes")]
fn with_vaes<const N: usize>(round_keys: &[u32; 32], groups: &mut [Group; N]) {
    encrypt(round_keys, groups, |x| _mm256_aesenclast_epi128(x, _mm256_setzero_si256()));
}

#[target_feature(enable = "avx2,aes")]
fn with_aes_ni<const N: usize>(round_keys: &[u32; 32], groups: &mut [Group; N]) {
    encrypt(round_keys, groups, |x| by_halves(x));
}

/// AES's S-box for each byte, and AES's ShiftRows.
#[inline]
#[target_feature(enable = "avx2,aes")]
fn by_halves(x: __m256i) -> __m256i {
    let zero = _mm_setzero_si128();
    let high = _mm_aesenclast_si128(_mm256_extracti128_si256::<1>(x), zero);
    _mm256_set_m128i(high, _mm_aesenclast_si128(_mm256_castsi256_si128(x), zero))
}

/// Enciphers in place; `aes` is AES's S-box and ShiftRows in each half of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn encrypt<const N: usize>(
    round_keys: &[u32; 32],
    groups: &mut [Group; N],
    aes: impl Fn(__m256i) -> __m256i,
) {
    let mut words = [[_mm256_setzero_si256(); 4]; N];
    for (words, group) in words.iter_mut().zip(&*groups) {
        for (word, two) in words.iter_mut().zip(group) {
            *word = map(&INTO, load(two));
        }
        *words = transposed(*words);
    }
    for four in round_keys.as_chunks::<4>().0 {
        for (r, key) in four.iter().enumerate() {
            let key = _mm256_set1_epi32(key.cast_signed());
            for x in &mut words {
                let sum = xor(xor(x[(r + 2) % 4], x[(r + 3) % 4]), xor(x[(r + 1) % 4], key));
                x[r] = xor(x[r], spread(aes(sum)));
            }
        }
    }
    for (words, group) in words.iter().zip(groups) {
        let [a, b, c, d] = *words;
        for (word, two) in transposed([d, c, b, a]).into_iter().zip(group) {
            store(map(&OUT, word), two);
        }
    }
}

/// What a round adds to a word, from what AES made of the sum of the three others.
#[inline]
#[target_feature(enable = "avx2")]
fn spread(given: __m256i) -> __m256i {
    let (p, q) = (map(&P, given), map(&Q, given));
    let (own, next) = (_mm256_shuffle_epi8(p, places(0)), _mm256_shuffle_epi8(q, places(1)));
    let (second, third) = (_mm256_shuffle_epi8(q, places(2)), _mm256_shuffle_epi8(xor(p, q), places(3)));
    xor(xor(own, next), xor(second, third))
}

/// Where each byte of a word comes from that is moved `up` bytes to higher ones, after AES moved row r by r words.
#[inline]
#[target_feature(enable = "avx2")]
fn places(up: usize) -> __m256i {
    const PLACES: [[u8; 32]; 4] = {
        let mut out = [[0; 32]; 4];
        let mut i = 0;
        while i < 4 * 32 {
            let (up, to) = (i / 32, i % 32);
            // Words begin with their highest byte.
            let (word, row) = (to / 4 % 4, (to + up) % 4);
            out[up][to] = ((word + 4 - row) % 4 * 4 + row) as u8;
            i += 1;
        }
        out
    };
    load(&PLACES[up])
}

/// An affine map of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn map(by: &Halves, x: __m256i) -> __m256i {
    let nibble = _mm256_set1_epi8(15);
    let low = _mm256_and_si256(x, nibble);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(x), nibble);
    xor(_mm256_shuffle_epi8(twice(&by.low), low), _mm256_shuffle_epi8(twice(&by.high), high))
}

/// Columns for rows of four words in each half.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// The key schedule. A word stands in all columns of a register, so ShiftRows moves nothing.
#[target_feature(enable = "avx2,aes")]
fn round_keys(key: &[u8; 16]) -> [u32; 32] {
    let mut k = [0; 4];
    for ((k, word), fk) in k.iter_mut().zip(key.as_chunks().0).zip(FK) {
        *k = u32::from_be_bytes(*word) ^ fk;
    }
    let before = _mm256_set1_epi8(BEFORE.cast_signed());
    let into = |word: u32| xor(map(&INTO, _mm256_set1_epi32(word.swap_bytes().cast_signed())), before);
    let mut out = [0; 32];
    for (i, round_key) in out.iter_mut().enumerate() {
        // CK of the standard: byte j of word i is 7·(4i + j).
        let ck = u32::from_be_bytes(std::array::from_fn(|j| ((4 * i + j) * 7) as u8));
        let sum = k[(i + 1) % 4] ^ k[(i + 2) % 4] ^ k[(i + 3) % 4] ^ ck;
        let s = first_word(map(&AFTER, by_halves(into(sum)))).swap_bytes();
        k[i % 4] ^= s ^ s.rotate_left(13) ^ s.rotate_left(23);
        *round_key = first_word(into(k[i % 4]));
    }
    k.zeroize();
    out
}

#[inline]
#[target_feature(enable = "avx2")]
fn first_word(x: __m256i) -> u32 {
    _mm256_extract_epi32::<0>(x).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn twice(half: &[u8; 16]) -> __m256i {
    let whole = i128::from_le_bytes(*half);
    _mm256_broadcastsi128_si256(_mm_set_epi64x((whole >> 64) as i64, whole as i64))
}

/// Bytes into a register and back, by values: the compiler makes one instruction of each.
#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    let [a, b, c, d] = std::array::from_fn(|i| i64::from_le_bytes(bytes.as_chunks().0[i]));
    _mm256_set_epi64x(d, c, b, a)
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(x: __m256i, bytes: &mut [u8; 32]) {
    let quarters = [
        _mm256_extract_epi64::<0>(x),
        _mm256_extract_epi64::<1>(x),
        _mm256_extract_epi64::<2>(x),
        _mm256_extract_epi64::<3>(x),
    ];
    for (to, quarter) in bytes.as_chunks_mut().0.iter_mut().zip(quarters) {
        *to = quarter.to_le_bytes();
    }
}
