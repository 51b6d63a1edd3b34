//! How AES's S-box becomes SM4's: byte maps, worked out when this is compiled from what both standards say.
//!
//! Both S-boxes invert in a field of 256 elements between affine maps, in two forms of what is one field up to the names of its
//! elements. Let φ carry SM4's names to AES's. With SM4's S(x) = A·(A·x + C)⁻¹ + C and AES's T(w) = D·w⁻¹ + 63:
//!
//! ```text
//! S(x) = A·φ⁻¹·D⁻¹·(T(φ·A·x + φ·C) + 63) + C
//! ```
//!
//! The kernel keeps all words under M = φ·A, so that what AES's S-box takes in is there without a map in front. A
//! round adds L(S(x)) to a word, where L(t) = t + (t ⋘ 2) + (t ⋘ 10) + (t ⋘ 18) + (t ⋘ 24). Byte by byte, with s a byte of S(x),
//! p = s + (s ≪ 2) and q = s ⋘ 2 as a byte: its own place gets p, the next two higher places q each, the third p + q.

/// A map of bytes, by its values.
type Bytes = [u8; 256];

/// x⁸ + x⁴ + x³ + x + 1.
const AES_POLYNOMIAL: u16 = 0x11b;
/// x⁸ + x⁷ + x⁶ + x⁵ + x⁴ + x² + 1.
const SM4_POLYNOMIAL: u16 = 0x1f5;
/// The first row of A, whose others are its rotations.
const SM4_ROW: u8 = 0xa7;
/// C.
const SM4_CONSTANT: u8 = 0xd3;
const AES_CONSTANT: u8 = 0x63;

/// An affine map as two lookups of half a byte each: `low[x & 15] ^ high[x >> 4]`.
pub(crate) struct Halves {
    pub(crate) low: [u8; 16],
    pub(crate) high: [u8; 16],
}

const A: Bytes = sm4_matrix();
const PHI: Bytes = isomorphism();
const M: Bytes = after(&PHI, &A);
/// S of what AES's S-box gave.
const S: Bytes = plus(&after(&A, &after(&inverse(&PHI), &inverse_aes())), SM4_CONSTANT);

/// Into the kernel's words.
pub(crate) const INTO: Halves = halves(&M);
/// Out of the kernel's words.
pub(crate) const OUT: Halves = halves(&inverse(&M));
/// What is added to M·x before AES's S-box; it travels with the round keys.
pub(crate) const BEFORE: u8 = PHI[SM4_CONSTANT as usize];
/// From AES's S-box to SM4's.
pub(crate) const AFTER: Halves = halves(&S);
/// From AES's S-box to M·p.
pub(crate) const P: Halves = halves(&after(&M, &after(&p(), &S)));
/// From AES's S-box to M·q.
pub(crate) const Q: Halves = halves(&after(&M, &after(&q(), &S)));

const fn halves(map: &Bytes) -> Halves {
    let mut out = Halves { low: [0; 16], high: [0; 16] };
    let mut i = 0;
    while i < 16 {
        out.low[i] = map[i];
        out.high[i] = map[i << 4] ^ map[0];
        i += 1;
    }
    out
}

const fn sm4_matrix() -> Bytes {
    let mut out = [0; 256];
    let mut x = 0;
    while x < 256 {
        let mut row = 0;
        while row < 8 {
            let bits = SM4_ROW.rotate_left(row) & x as u8;
            out[x] |= ((bits.count_ones() & 1) as u8) << row;
            row += 1;
        }
        x += 1;
    }
    out
}

/// D⁻¹·(t + 63).
const fn inverse_aes() -> Bytes {
    let mut out = [0; 256];
    let mut x = 0;
    while x < 256 {
        let b = x as u8;
        let t = b ^ b.rotate_left(1) ^ b.rotate_left(2) ^ b.rotate_left(3) ^ b.rotate_left(4) ^ AES_CONSTANT;
        out[t as usize] = b;
        x += 1;
    }
    out
}

/// φ: a root of SM4's polynomial among AES's elements, and sums of its powers. Any of the eight roots does.
const fn isomorphism() -> Bytes {
    let mut root = 2;
    while value_at(root) != 0 {
        root += 1;
    }
    let mut out = [0; 256];
    let mut x = 0;
    while x < 256 {
        out[x] = sum_of_powers(x as u16, root);
        x += 1;
    }
    out
}

const fn value_at(root: u8) -> u8 {
    sum_of_powers(SM4_POLYNOMIAL, root)
}

/// A polynomial's value at `x`, in AES's field.
const fn sum_of_powers(polynomial: u16, x: u8) -> u8 {
    let (mut sum, mut power, mut i) = (0, 1, 0);
    while i <= 8 {
        if polynomial >> i & 1 == 1 {
            sum ^= power;
        }
        power = product(power, x);
        i += 1;
    }
    sum
}

const fn product(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut out) = (a as u16, b, 0);
    while b != 0 {
        if b & 1 == 1 {
            out ^= a;
        }
        a <<= 1;
        if a & 0x100 != 0 {
            a ^= AES_POLYNOMIAL;
        }
        b >>= 1;
    }
    out as u8
}

const fn after(second: &Bytes, first: &Bytes) -> Bytes {
    let mut out = [0; 256];
    let mut x = 0;
    while x < 256 {
        out[x] = second[first[x] as usize];
        x += 1;
    }
    out
}

const fn plus(map: &Bytes, constant: u8) -> Bytes {
    let mut out = *map;
    let mut x = 0;
    while x < 256 {
        out[x] ^= constant;
        x += 1;
    }
    out
}

const fn inverse(map: &Bytes) -> Bytes {
    let mut out = [0; 256];
    let mut x = 0;
    while x < 256 {
        out[map[x] as usize] = x as u8;
        x += 1;
    }
    out
}

const fn p() -> Bytes {
    let mut out = [0; 256];
    let mut s = 0;
    while s < 256 {
        out[s] = s as u8 ^ (s as u8) << 2;
        s += 1;
    }
    out
}

const fn q() -> Bytes {
    let mut out = [0; 256];
    let mut s = 0;
    while s < 256 {
        out[s] = (s as u8).rotate_left(2);
        s += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(map: &Halves, x: u8) -> u8 {
        map.low[usize::from(x & 15)] ^ map.high[usize::from(x >> 4)]
    }

    /// x⁻¹ modulo a polynomial, by trying; zero of zero.
    fn inverted(x: u8, modulo: u16) -> u8 {
        let times = |a: u8, b: u8| {
            let wide = (0..8).filter(|i| b >> i & 1 == 1).fold(0u16, |sum, i| sum ^ u16::from(a) << i);
            (8..15).rev().fold(wide, |w, i| if w >> i & 1 == 1 { w ^ modulo << (i - 8) } else { w }) as u8
        };
        (0..=255).find(|y| times(x, *y) == 1).unwrap_or(0)
    }

    fn aes_s_box(w: u8) -> u8 {
        let b = inverted(w, AES_POLYNOMIAL);
        (0..5).fold(AES_CONSTANT, |sum, n| sum ^ b.rotate_left(n))
    }

    fn sm4_s_box(x: u8) -> u8 {
        let affine = |x: u8| A[usize::from(x)] ^ SM4_CONSTANT;
        affine(inverted(affine(x), SM4_POLYNOMIAL))
    }

    /// The first and the last row of the table in GB/T 32907, 6.2, and corners of FIPS 197's.
    #[test]
    fn the_structures_are_those_of_the_standards() {
        let first =
            [0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7, 0x16, 0xb6, 0x14, 0xc2, 0x28, 0xfb, 0x2c, 0x05];
        let last =
            [0x18, 0xf0, 0x7d, 0xec, 0x3a, 0xdc, 0x4d, 0x20, 0x79, 0xee, 0x5f, 0x3e, 0xd7, 0xcb, 0x39, 0x48];
        assert_eq!(std::array::from_fn(|x| sm4_s_box(x as u8)), first);
        assert_eq!(std::array::from_fn(|x| sm4_s_box(0xf0 + x as u8)), last);
        assert_eq!([0x00, 0x01, 0x53, 0xff].map(aes_s_box), [0x63, 0x7c, 0xed, 0x16]);
    }

    #[test]
    fn aes_s_box_between_the_maps_is_sm4s() {
        for x in 0..=255 {
            let (s, given) = (sm4_s_box(x), aes_s_box(of(&INTO, x) ^ BEFORE));
            assert_eq!(of(&AFTER, given), s);
            assert_eq!(of(&OUT, of(&INTO, x)), x);
            assert_eq!(of(&OUT, of(&P, given)), s ^ s << 2);
            assert_eq!(of(&OUT, of(&Q, given)), s.rotate_left(2));
        }
    }

    /// Each polynomial has eight roots: with any of them the field's names translate, and one was found.
    #[test]
    fn the_isomorphism_keeps_sums_and_products() {
        assert_eq!((0..=255).filter(|x| value_at(*x) == 0).count(), 8);
        let carried = |x: u8| PHI[usize::from(x)];
        for x in 1..=255 {
            assert_eq!(product(carried(x), carried(inverted(x, SM4_POLYNOMIAL))), 1);
            assert_eq!(carried(x) ^ carried(0x1b), carried(x ^ 0x1b));
        }
    }
}
