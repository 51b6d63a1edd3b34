//! Recovery codes: ten codes of 80 random bits for the day on which the phone is gone.
//!
//! A code is written in Crockford's base32 (no I, L, O, U) in four groups. The caller shows the codes once, stores a
//! password hash of each [`normalise`]d code, and deletes a hash in the transaction that accepts it.

use bailee_types::{SecretText, random_bytes};

/// How many codes a person gets.
pub const CODES: usize = 10;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 80 bits by 5.
const CODE_CHARS: usize = 16;
const GROUP_CHARS: usize = 4;

/// Ten new codes, as they are shown: `0k3m-9qzt-w4xa-h8rv`.
pub fn codes() -> [SecretText; CODES] {
    std::array::from_fn(|_| written(random_bytes::<10>()))
}

/// What a person typed, in the form that was hashed; None when it is no code at all. Spaces, dashes and case do not
/// matter; letters that look like digits are read as those.
///
/// ```
/// use bailee_federation::recovery::normalise;
/// assert_eq!(normalise(" OK3M 9qzt-W4XA–h8rv ").unwrap().expose(), "0k3m9qztw4xah8rv");
/// assert!(normalise("0k3m").is_none());
/// ```
pub fn normalise(typed: &str) -> Option<SecretText> {
    if typed.len() > 8 * CODE_CHARS {
        return None;
    }
    let code: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '–' | '—' | '_'))
        .map(|c| match c.to_ascii_lowercase() {
            'i' | 'l' => '1',
            'o' => '0',
            other => other,
        })
        .collect();
    let code = SecretText::new(code);
    let text = code.expose();
    let is_code = text.len() == CODE_CHARS && text.bytes().all(|b| ALPHABET.contains(&b));
    is_code.then_some(code)
}

fn written(bits: [u8; 10]) -> SecretText {
    let number = bits.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
    let mut out = String::with_capacity(CODE_CHARS + 3);
    for at in 0..CODE_CHARS {
        if at > 0 && at % GROUP_CHARS == 0 {
            out.push('-');
        }
        let five = number >> (5 * (CODE_CHARS - 1 - at)) & 31;
        let character = usize::try_from(five).ok().and_then(|five| ALPHABET.get(five));
        out.push(char::from(*character.unwrap_or(&b'0')));
    }
    SecretText::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ten_codes_differ_and_are_read_back() {
        let made = codes();
        let read: BTreeSet<String> =
            made.iter().map(|c| normalise(c.expose()).unwrap().expose().to_owned()).collect();
        assert_eq!(read.len(), CODES);
        for code in &made {
            assert_eq!(code.expose().len(), 19);
            assert_eq!(normalise(code.expose()).unwrap().expose(), code.expose().replace('-', ""));
        }
    }

    #[test]
    fn all_80_bits_are_written() {
        assert_eq!(written([0; 10]).expose(), "0000-0000-0000-0000");
        assert_eq!(written([255; 10]).expose(), "zzzz-zzzz-zzzz-zzzz");
        let mut one = BTreeSet::new();
        for bit in 0..80 {
            let mut bits = [0u8; 10];
            bits[bit / 8] = 1 << (bit % 8);
            one.insert(written(bits).expose().to_owned());
        }
        assert_eq!(one.len(), 80);
    }

    #[test]
    fn what_is_no_code_is_none() {
        for wrong in
            ["", "0k3m-9qzt-w4xa-h8r", "0k3m-9qzt-w4xa-h8rvv", "uuuu-uuuu-uuuu-uuuu", "０k3m9qztw4xah8rv"]
        {
            assert!(normalise(wrong).is_none(), "{wrong}");
        }
        assert!(normalise(&"-".repeat(1 << 20)).is_none());
    }
}
