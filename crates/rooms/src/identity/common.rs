//! Passwords that everybody tries first.

use bailee_types::SecretText;

use crate::Failure;

/// Beginnings of the lists that guessers use, without case; anything that is one of these plus digits is refused too.
const STEMS: &[&str] = &[
    "password",
    "passw0rd",
    "letmein",
    "welcome",
    "qwerty",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "iloveyou",
    "admin",
    "administrator",
    "changeme",
    "trustno",
    "monkey",
    "dragon",
    "football",
    "baseball",
    "superman",
    "sunshine",
    "princess",
    "bailee",
    "operator",
    "root",
    "secret",
    "master",
    "hello",
    "whatever",
    "starwars",
    "woaini",
    "aliyun",
];

/// Refuses what guessers try first: a common word with digits around it, one character over and over, a run.
pub(super) fn refuse_common(password: &SecretText) -> Result<(), Failure> {
    let lower = password.expose().to_lowercase();
    let letters: String = lower.chars().filter(|c| c.is_alphabetic() || *c == '0').collect();
    let core = letters.trim_matches('0');
    let repeated = STEMS.iter().any(|s| core == *s || (!core.is_empty() && core.replace(s, "").is_empty()));
    let different: std::collections::BTreeSet<_> = lower.chars().collect();
    let run = lower
        .as_bytes()
        .windows(2)
        .all(|w| matches!(w, [a, b] if b.wrapping_sub(*a) <= 1 || a.wrapping_sub(*b) <= 1));
    let digits = lower.chars().all(|c| c.is_ascii_digit());
    if repeated || different.len() < 5 || run || digits {
        return Err(Failure::invalid("Password", "is one that everybody tries first; choose another"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_is_refused() {
        let check = |t: &str| refuse_common(&SecretText::new(t.into()));
        for bad in [
            "Password1234",
            "12345678901234",
            "aaaaaaaaaaaa",
            "QWERTYqwerty1",
            "abcdefghijklm",
            "root20262026",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        for good in ["correct horse battery", "x7kq-93md-tt0p", "一二三四五六七八九十百千"] {
            assert!(check(good).is_ok(), "{good}");
        }
    }
}
