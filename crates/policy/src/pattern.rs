//! Patterns: `*` is any run of characters, also across `/`, also none; `?` is one character; `${key}` is a value of the
//! request, taken as it is (rules P2, E1).
//!
//! INVARIANT: matching costs at most pattern length times text length, and allocates nothing.
//! INVARIANT: inserted text is never a pattern and is not expanded again.

mod glob;

/// Variables in one pattern, at most: their values stand in a fixed array while matching.
pub(crate) const VARS_MAX: usize = 8;

/// The values of a pattern's variables, in their order.
pub(crate) type Inserted<'v> = [&'v str; VARS_MAX];

// Bytes that no UTF-8 text holds.
const ANY: u8 = 0xff;
const ONE: u8 = 0xfe;
/// Followed by the variable's number.
const VAR: u8 = 0xfd;

/// A pattern over text, compiled to bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    code: Box<[u8]>,
    vars: Box<[Var]>,
    /// Bytes before the first wildcard or variable.
    literal: usize,
    /// Bytes that a matching text has at least.
    least: usize,
}

/// `${key}` or `${key, 'default'}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Var {
    pub(crate) key: Box<str>,
    pub(crate) default: Option<Box<str>>,
}

/// What `*` and `?` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stars {
    /// Wildcards.
    Wild,
    /// Themselves.
    Plain,
}

impl Pattern {
    /// Reads a pattern; `${*}`, `${?}` and `${$}` stand for the characters themselves.
    ///
    /// # Errors
    /// What is wrong with a `${…}`.
    pub(crate) fn parse(text: &str, stars: Stars) -> Result<Self, String> {
        let mut code = Vec::with_capacity(text.len());
        let mut vars: Vec<Var> = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(inner) = rest.strip_prefix("${") {
                let (content, after) =
                    enclosed(inner).ok_or("`${` is not closed; write `${$}` for a dollar sign")?;
                rest = after;
                match content {
                    "*" | "?" | "$" => code.extend_from_slice(content.as_bytes()),
                    _ => {
                        if vars.len() == VARS_MAX {
                            return Err(format!("one text holds more than {VARS_MAX} variables"));
                        }
                        code.extend([VAR, u8::try_from(vars.len()).unwrap_or(0)]);
                        vars.push(Var::parse(content)?);
                    }
                }
                continue;
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            match (c, stars) {
                ('*', Stars::Wild) if code.last() == Some(&ANY) => {}
                ('*', Stars::Wild) => code.push(ANY),
                ('?', Stars::Wild) => code.push(ONE),
                _ => code.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(Self::of(code, vars))
    }

    fn of(code: Vec<u8>, vars: Vec<Var>) -> Self {
        let literal = code.iter().position(|b| *b >= VAR).unwrap_or(code.len());
        let least = code.iter().filter(|b| **b != ANY).count() - 2 * vars.len();
        Self { code: code.into(), vars: vars.into(), literal, least }
    }

    /// The same pattern for text without upper case (ASCII).
    pub(crate) fn lower(mut self) -> Self {
        self.code.make_ascii_lowercase();
        self
    }

    /// The variables, in the order of their values.
    pub(crate) fn vars(&self) -> &[Var] {
        &self.vars
    }

    /// The text when the pattern has no wildcard and no variable.
    pub(crate) fn literal(&self) -> Option<&str> {
        (self.literal == self.code.len()).then(|| self.literal_prefix())
    }

    /// What stands before the first wildcard or variable.
    pub(crate) fn literal_prefix(&self) -> &str {
        self.code.get(..self.literal).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    /// The pattern with these values for the variables, wildcards as `*` and `?`: for people, not for matching.
    pub(crate) fn filled(&self, inserted: &Inserted<'_>) -> String {
        let mut out = Vec::with_capacity(self.code.len());
        let mut bytes = self.code.iter();
        while let Some(byte) = bytes.next() {
            match *byte {
                ANY => out.push(b'*'),
                ONE => out.push(b'?'),
                VAR => {
                    let value = bytes.next().and_then(|n| inserted.get(usize::from(*n)));
                    out.extend_from_slice(value.copied().unwrap_or_default().as_bytes());
                }
                byte => out.push(byte),
            }
        }
        String::from_utf8(out).unwrap_or_default()
    }

    /// Whether everything matches.
    pub(crate) fn is_any(&self) -> bool {
        *self.code == [ANY]
    }

    /// Whether the pattern is a literal with a star behind it.
    pub(crate) fn covers_all_behind(&self, literal: &str) -> bool {
        self.code.split_last().is_some_and(|(last, head)| *last == ANY && head == literal.as_bytes())
    }

    /// Whether every text that `other` matches is matched here too. No is also the answer when that is not easily seen.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self == other || (self.vars.is_empty() && other.vars.is_empty() && contains(&self.code, &other.code))
    }

    /// The same pattern with a star for each variable: what it could match.
    pub(crate) fn widened(&self) -> Self {
        let mut code = Vec::with_capacity(self.code.len());
        let mut bytes = self.code.iter();
        while let Some(byte) = bytes.next() {
            if *byte == VAR {
                bytes.next();
            }
            let byte = if *byte == VAR { ANY } else { *byte };
            if !(byte == ANY && code.last() == Some(&ANY)) {
                code.push(byte);
            }
        }
        Self::of(code, Vec::new())
    }

    /// Whether the whole text matches. The pattern must have no variables.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.matches_with(text, &[""; VARS_MAX])
    }

    /// As [`Pattern::matches`], without ASCII case. The pattern must be [`Pattern::lower`].
    pub(crate) fn matches_lower(&self, text: &str) -> bool {
        text.len() >= self.least && self.run::<true>(&self.code, text.as_bytes(), &[""; VARS_MAX])
    }

    /// As [`Pattern::matches_lower`], with these values for the variables, whose case counts no more either.
    pub(crate) fn matches_lower_with(&self, text: &str, inserted: &Inserted<'_>) -> bool {
        text.len() >= self.least && self.run::<true>(&self.code, text.as_bytes(), inserted)
    }

    /// Whether the whole text matches, with these values for the variables.
    pub(crate) fn matches_with(&self, text: &str, inserted: &Inserted<'_>) -> bool {
        let text = text.as_bytes();
        if text.len() < self.least {
            return false;
        }
        let (head, code) = self.code.split_at_checked(self.literal).unwrap_or((&[], &self.code));
        let Some((start, rest)) = text.split_at_checked(self.literal) else { return false };
        start == head && self.run::<false>(code, rest, inserted)
    }

    fn run<const FOLD: bool>(&self, code: &[u8], text: &[u8], inserted: &Inserted<'_>) -> bool {
        match code {
            [] => text.is_empty(),
            // What most patterns end with.
            [ANY] => true,
            _ => {
                let plain = if self.vars.is_empty() {
                    glob::matches::<FOLD>(code, text)
                } else {
                    glob::matches_with::<FOLD>(code, text, inserted)
                };
                plain.unwrap_or_else(|| retrying::<FOLD>(code, text, inserted))
            }
        }
    }

    /// Whether the text is the pattern's, ignoring case (Unicode lower case, no normalisation). Stars must be plain.
    pub(crate) fn equals_folded(&self, text: &str, inserted: &Inserted<'_>) -> bool {
        let mut theirs = text.chars().flat_map(char::to_lowercase);
        let mut same =
            |piece: &str| piece.chars().flat_map(char::to_lowercase).all(|c| theirs.next() == Some(c));
        let mut code = &*self.code;
        loop {
            let end = code.iter().position(|b| *b == VAR).unwrap_or(code.len());
            let (head, tail) = code.split_at(end);
            if !same(std::str::from_utf8(head).unwrap_or_default()) {
                return false;
            }
            let Some([_, number]) = tail.get(..2) else { break };
            if !same(inserted.get(usize::from(*number)).copied().unwrap_or_default()) {
                return false;
            }
            code = tail.get(2..).unwrap_or_default();
        }
        theirs.next().is_none()
    }
}

impl Var {
    fn parse(content: &str) -> Result<Self, String> {
        let wrong = || {
            let shown = crate::error::shown(content);
            format!(
                "`${{{shown}}}` is no variable; write `${{service:Key}}` or `${{service:Key, 'default'}}`"
            )
        };
        let (key, default) = match content.split_once(',') {
            None => (content, None),
            Some((key, default)) => {
                let quoted =
                    default.trim().strip_prefix('\'').and_then(|d| d.strip_suffix('\'')).ok_or_else(wrong)?;
                (key, Some(quoted))
            }
        };
        let key = key.trim();
        if !is_key(key) || default.is_some_and(|d| d.contains('\'')) {
            return Err(wrong());
        }
        Ok(Self { key: key.into(), default: default.map(Into::into) })
    }
}

/// Whether this can be a key of the request: `service:Name`.
pub(crate) fn is_key(text: &str) -> bool {
    text.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty())
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"{}$*?',\"".contains(c))
}

/// Splits at the `}` that closes, which is not one inside quotes.
pub(crate) fn enclosed(inner: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'}' if !quoted => return Some((inner.get(..at)?, inner.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// Greedy with one point of return (the last star): for the longest texts.
fn retrying<const FOLD: bool>(code: &[u8], text: &[u8], inserted: &Inserted<'_>) -> bool {
    let (mut c, mut t) = (0, 0);
    // The literal behind the last star, and where it was found.
    let mut retry: Option<(&[u8], usize, usize)> = None;
    loop {
        let fits = match code.get(c) {
            Some(&ANY) => {
                let rest = code.get(c + 1..).unwrap_or_default();
                if rest.is_empty() {
                    return true;
                }
                let literal = rest.split(|b| *b >= VAR).next().unwrap_or_default();
                let Some(at) = find::<FOLD>(text, t, literal) else { return false };
                retry = Some((literal, c + 1 + literal.len(), at));
                (c, t) = (c + 1 + literal.len(), at + literal.len());
                continue;
            }
            Some(&ONE) if t < text.len() => {
                c += 1;
                t = next_char(text, t);
                true
            }
            Some(&VAR) => {
                let value = code
                    .get(c + 1)
                    .and_then(|n| inserted.get(usize::from(*n)))
                    .map_or(&[][..], |v| v.as_bytes());
                let fits = text.get(t..t + value.len()).is_some_and(|there| {
                    if FOLD { there.eq_ignore_ascii_case(value) } else { there == value }
                });
                if fits {
                    c += 2;
                    t += value.len();
                }
                fits
            }
            Some(_) => {
                // No byte of a text is a wildcard, so this stops before the next one.
                let pairs = code.iter().skip(c).zip(text.iter().skip(t));
                let same = pairs.take_while(|(p, b)| **p == folded::<FOLD>(**b)).count();
                c += same;
                t += same;
                same > 0
            }
            None if t == text.len() => return true,
            None => false,
        };
        if !fits {
            let Some((literal, behind, found)) = retry.filter(|(_, _, at)| *at < text.len()) else {
                return false;
            };
            let Some(at) = find::<FOLD>(text, next_char(text, found), literal) else { return false };
            retry = Some((literal, behind, at));
            (c, t) = (behind, at + literal.len());
        }
    }
}

fn folded<const FOLD: bool>(byte: u8) -> u8 {
    if FOLD { byte.to_ascii_lowercase() } else { byte }
}

/// Where the literal stands in the text, from `from` on. Both ends are looked at first: they differ cheaply.
fn find<const FOLD: bool>(text: &[u8], from: usize, literal: &[u8]) -> Option<usize> {
    let (Some(first), Some(last)) = (literal.first(), literal.last()) else { return Some(from) };
    let fits = |window: &[u8]| {
        let ends = window.first().zip(window.last());
        ends.is_some_and(|(a, b)| folded::<FOLD>(*a) == *first && folded::<FOLD>(*b) == *last)
            && if FOLD { window.eq_ignore_ascii_case(literal) } else { window == literal }
    };
    text.get(from..)?.windows(literal.len()).position(fits).map(|at| from + at)
}

/// Whether the pattern matches the other one, read as a text in which a star is a letter that only a star swallows and a
/// question mark one that either wildcard swallows.
fn contains(outer: &[u8], inner: &[u8]) -> bool {
    let (mut c, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let next = inner.get(t).copied();
        match (outer.get(c).copied(), next) {
            (Some(ANY), _) => {
                c += 1;
                retry = Some((c, t));
            }
            (None, None) => return true,
            (Some(ONE), Some(letter)) if letter != ANY => {
                c += 1;
                t = next_char(inner, t);
            }
            (Some(a), Some(b)) if a == b && a != ONE => {
                c += 1;
                t += 1;
            }
            _ => {
                let Some((back, swallowed)) = retry.filter(|(_, s)| *s < inner.len()) else { return false };
                let next = next_char(inner, swallowed);
                retry = Some((back, next));
                (c, t) = (back, next);
            }
        }
    }
}

/// Where the character after the one at `at` begins.
fn next_char(text: &[u8], at: usize) -> usize {
    let rest = text.get(at + 1..).unwrap_or_default();
    at + 1 + rest.iter().take_while(|b| **b & 0xc0 == 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wild(text: &str) -> Pattern {
        Pattern::parse(text, Stars::Wild).unwrap()
    }

    /// The obvious matcher.
    fn slow(p: &[char], t: &[char]) -> bool {
        match (p.first(), t.first()) {
            (None, None) => true,
            (Some('*'), _) => slow(&p[1..], t) || (!t.is_empty() && slow(p, &t[1..])),
            (Some('?'), Some(_)) => slow(&p[1..], &t[1..]),
            (Some(a), Some(b)) if a == b => slow(&p[1..], &t[1..]),
            _ => false,
        }
    }

    fn with<'v>(values: &[&'v str]) -> Inserted<'v> {
        let mut all = [""; VARS_MAX];
        all[..values.len()].copy_from_slice(values);
        all
    }

    #[test]
    fn escapes_are_literal() {
        assert!(wild("a${*}b").matches("a*b"));
        assert!(!wild("a${*}b").matches("axb"));
        assert!(wild("${$}{x}").matches("${x}"));
        assert!(wild("$x").matches("$x"));
        assert!(Pattern::parse("x${", Stars::Wild).is_err());
        assert!(Pattern::parse("a*?", Stars::Plain).unwrap().matches("a*?"));
        assert!(!Pattern::parse("a*", Stars::Plain).unwrap().matches("ab"));
    }

    #[test]
    fn a_variable_is_inserted_as_it_is() {
        let p = wild("home/${acs:User}/*");
        assert_eq!(p.vars(), [Var { key: "acs:User".into(), default: None }]);
        assert!(p.matches_with("home/li/x", &with(&["li"])));
        assert!(!p.matches_with("home/wang/x", &with(&["*"])));
        assert!(p.matches_with("home/*/x", &with(&["*"])));
        assert!(p.matches_with("home/${a:b}/", &with(&["${a:b}"])));
        assert!(p.widened().matches("home/wang/x") && !p.widened().matches("house/x"));
        assert!(wild("*${a:b}c${d:e}").matches_with("xxabcabcab", &with(&["ab", "ab"])));
        let p = wild("${a:b , '}x' }");
        assert_eq!(p.vars(), [Var { key: "a:b".into(), default: Some("}x".into()) }]);
        for bad in ["${}", "${a}", "${a:b, x}", "${a:b,'x}", "${a:b c}", "${a:*}", &"${a:b}".repeat(9)] {
            assert!(Pattern::parse(bad, Stars::Wild).is_err(), "{bad}");
        }
    }

    #[test]
    fn case_folds_beyond_ascii_for_whole_texts() {
        let p = Pattern::parse("ÄB${a:b}*", Stars::Plain).unwrap();
        assert!(p.equals_folded("äbxY*", &with(&["Xy"])) && !p.equals_folded("äbxY", &with(&["Xy"])));
    }

    #[test]
    fn a_question_mark_is_one_character_of_any_width() {
        let p = wild("?中?");
        assert!(p.matches("é中x") && !p.matches("中中") && !p.matches("abcd"));
        assert!(wild("*?").matches("中") && !wild("??").matches("中") && wild("*??é").matches("中中é"));
    }

    #[test]
    fn a_value_longer_than_any_text_fits_nothing_and_stars_are_cheap_beside_it() {
        let long = "x".repeat(9_000);
        assert!(!wild("*${a:b}*").matches_with("x", &with(&[&long])));
        assert!(wild("*${a:b}*").matches_with(&format!("y{long}y"), &with(&[&long])));
        assert!(
            !wild(&format!("{}${{a:b}}", "*?a".repeat(300))).matches_with(&"a".repeat(1_023), &with(&["b"]))
        );
    }

    #[test]
    fn a_text_longer_than_the_buffer_is_matched_all_the_same() {
        let text = "中".repeat(2_000);
        assert!(wild("*中?中*").matches(&text) && !wild("*?x").matches(&text));
        assert!(glob::matches::<false>(&wild("*中?中*").code, text.as_bytes()).is_none());
    }

    #[test]
    fn an_adversarial_pattern_is_not_exponential() {
        assert!(!wild(&"*a".repeat(3_000)).matches(&"a".repeat(1_023)));
        assert!(!wild(&format!("{}b", "*a".repeat(500))).matches(&"a".repeat(1_023)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn it_agrees_with_the_obvious_matcher(p in "[ab中*?]{0,10}", t in "[ab中]{0,10}") {
            let (pc, tc): (Vec<char>, Vec<char>) = (p.chars().collect(), t.chars().collect());
            prop_assert_eq!(wild(&p).matches(&t), slow(&pc, &tc));
            prop_assert_eq!(wild(&p).lower().matches_lower(&t.to_uppercase()), slow(&pc, &tc));
        }

        #[test]
        fn long_runs_between_stars_too(p in "(a{0,3}|b|\\*|\\?|ab|中a){0,9}", t in "(a{0,4}|ab|b|中a){0,8}") {
            let (pc, tc): (Vec<char>, Vec<char>) = (p.chars().collect(), t.chars().collect());
            prop_assert_eq!(wild(&p).matches(&t), slow(&pc, &tc), "{} {}", p, t);
        }

        #[test]
        fn both_ways_of_matching_agree(p in "(a{0,40}|b|\\*|\\?|ab|中a|é){0,9}", t in "(a{0,40}|ab|b|A|中a|é){0,8}") {
            let (p, text) = (wild(&p).lower(), t.as_bytes());
            let none = [""; VARS_MAX];
            prop_assert_eq!(glob::matches::<false>(&p.code, text), Some(retrying::<false>(&p.code, text, &none)));
            prop_assert_eq!(glob::matches::<true>(&p.code, text), Some(retrying::<true>(&p.code, text, &none)));
        }

        #[test]
        fn what_is_covered_is_matched(outer in "[ab*?]{0,5}", inner in "[ab*?]{0,5}", t in "[ab]{0,6}") {
            if wild(&outer).covers(&wild(&inner)) && wild(&inner).matches(&t) {
                prop_assert!(wild(&outer).matches(&t));
            }
        }

        #[test]
        fn inserted_text_is_as_if_it_had_been_written_escaped(
            parts in proptest::collection::vec("[ab*?]{0,3}", 1..5), values in proptest::collection::vec("[ab*?$]{0,3}", 4), t in "[ab*?$]{0,9}",
        ) {
            let symbolic = parts.join("${k:k}");
            let escaped = |v: &str| v.replace('$', "${$}").replace('*', "${*}").replace('?', "${?}");
            let mut written = String::new();
            for (part, value) in parts.iter().zip(&values) {
                written += part;
                written += &escaped(value);
            }
            written.truncate(written.len() - escaped(&values[parts.len() - 1]).len());
            let inserted = with(&values.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(wild(&symbolic).matches_with(&t, &inserted), wild(&written).matches(&t), "{} {}", symbolic, written);
        }
    }
}
