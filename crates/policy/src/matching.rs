//! Wildcards: `*` is any run of characters, also across `/`, also none; `?` is one character.

/// A pattern over text: literal runs between wildcards, with escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Token>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Char(char),
}

impl Pattern {
    /// Reads a pattern; `${*}`, `${?}` and `${$}` stand for the characters themselves (rule P2).
    ///
    /// # Errors
    /// The unknown `${…}` when there is one: variables are not offered yet.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            let token = match c {
                '*' => Token::Any,
                '?' => Token::One,
                '$' if rest.starts_with('{') => {
                    let (inner, after) = rest.get(1..).unwrap_or_default().split_once('}').ok_or("${")?;
                    rest = after;
                    match inner {
                        "*" => Token::Char('*'),
                        "?" => Token::Char('?'),
                        "$" => Token::Char('$'),
                        other => return Err(format!("${{{other}}}")),
                    }
                }
                c => Token::Char(c),
            };
            if !(token == Token::Any && tokens.last() == Some(&Token::Any)) {
                tokens.push(token);
            }
        }
        Ok(Self(tokens))
    }

    /// The same pattern for text without upper case.
    pub(crate) fn lower(mut self) -> Self {
        for token in &mut self.0 {
            if let Token::Char(c) = token {
                *c = c.to_ascii_lowercase();
            }
        }
        self
    }

    /// The text when the pattern has no wildcard.
    pub(crate) fn literal(&self) -> Option<String> {
        self.0.iter().map(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect()
    }

    /// The characters before the first wildcard.
    pub(crate) fn literal_prefix(&self) -> String {
        self.0.iter().map_while(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect()
    }

    /// Whether everything matches.
    pub(crate) fn is_any(&self) -> bool {
        self.0 == [Token::Any]
    }

    /// Whether the whole text matches. Greedy with one point of return (the last star): `O(pattern · text)`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.run(text, |c| c)
    }

    /// As [`Pattern::matches`], without ASCII case. The pattern must be [`Pattern::lower`].
    pub(crate) fn matches_lower(&self, text: &str) -> bool {
        self.run(text, |c| c.to_ascii_lowercase())
    }

    fn run(&self, text: &str, fold: impl Fn(char) -> char) -> bool {
        let tokens = &self.0;
        let (mut at, mut rest) = (0, text.chars());
        // Behind the last star: where the pattern goes on, and the text it has not swallowed yet.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            let next = ahead.next();
            match (tokens.get(at), next) {
                (Some(Token::Any), _) => {
                    at += 1;
                    if at == tokens.len() {
                        return true;
                    }
                    retry = Some((at, rest.clone()));
                }
                (Some(Token::One), Some(_)) => {
                    at += 1;
                    rest = ahead;
                }
                (Some(Token::Char(p)), Some(c)) if *p == fold(c) => {
                    at += 1;
                    rest = ahead;
                }
                (None, None) => return true,
                _ => {
                    let Some((back, swallowed)) = &mut retry else { return false };
                    if swallowed.next().is_none() {
                        return false;
                    }
                    at = *back;
                    rest = swallowed.clone();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn escapes_are_literal_and_variables_are_refused() {
        assert!(Pattern::parse("a${*}b").unwrap().matches("a*b"));
        assert!(!Pattern::parse("a${*}b").unwrap().matches("axb"));
        assert!(Pattern::parse("${$}{x}").unwrap().matches("${x}"));
        assert_eq!(Pattern::parse("${acs:SourceIp}").unwrap_err(), "${acs:SourceIp}");
        assert_eq!(Pattern::parse("x${").unwrap_err(), "${");
        assert!(Pattern::parse("$x").unwrap().matches("$x"));
    }

    #[test]
    fn a_question_mark_is_one_character_of_any_width() {
        let p = Pattern::parse("?中?").unwrap();
        assert!(p.matches("é中x") && !p.matches("中中") && !p.matches("abcd"));
    }

    #[test]
    fn an_adversarial_pattern_is_not_exponential() {
        let p = Pattern::parse(&"*a".repeat(3_000)).unwrap();
        assert!(!p.matches(&"a".repeat(1_023)));
        let p = Pattern::parse(&format!("{}b", "*a".repeat(500))).unwrap();
        assert!(!p.matches(&"a".repeat(1_023)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_obvious_matcher(p in "[ab*?]{0,10}", t in "[ab]{0,10}") {
            let (pc, tc): (Vec<char>, Vec<char>) = (p.chars().collect(), t.chars().collect());
            prop_assert_eq!(Pattern::parse(&p).unwrap().matches(&t), slow(&pc, &tc));
            let upper = t.to_uppercase();
            prop_assert_eq!(Pattern::parse(&p).unwrap().lower().matches_lower(&upper), slow(&pc, &tc));
        }
    }
}
