//! Patterns of a mapping: `*` any text, `?` one character, the rest itself. Case counts.

use serde::Deserialize;

/// One pattern or several, of which one must fit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Patterns {
    One(String),
    Some(Vec<String>),
}

impl Patterns {
    pub(crate) fn fit(&self, text: &str) -> bool {
        match self {
            Self::One(pattern) => fits(pattern, text),
            Self::Some(all) => all.iter().any(|p| fits(p, text)),
        }
    }

    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(pattern) => std::slice::from_ref(pattern),
            Self::Some(all) => all,
        }
    }
}

/// Two pointers and one place to come back to: at most `pattern × text` steps, however many stars there are.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (mut p, mut t) = (pattern.chars(), text.chars());
    let mut back: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (here, there) = (p.clone(), t.clone());
        match (p.next(), t.next()) {
            (Some('*'), _) => {
                // Let the star take nothing yet.
                t = there.clone();
                back = Some((p.clone(), there));
            }
            (None, None) => return true,
            (Some('?'), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => match &mut back {
                Some((after, from)) => {
                    if from.next().is_none() {
                        return false;
                    }
                    p = after.clone();
                    t = from.clone();
                }
                None => {
                    drop((here, there));
                    return false;
                }
            },
        }
    }
}
