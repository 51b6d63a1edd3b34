//! Why a document is not a policy: the place, what stands there, what would be right.

use crate::json::Fault;

/// Characters of a line that [`PolicyError::render`] shows, at most: documents often come on one line.
const WINDOW: usize = 96;

/// Why a policy was refused, with the place in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    line: usize,
    column: usize,
    /// Characters that are wrong, on the first line.
    width: usize,
    text: String,
    help: Option<String>,
}

impl PolicyError {
    pub(crate) fn whole(text: impl Into<String>) -> Self {
        Self { line: 0, column: 0, width: 0, text: text.into(), help: None }
    }

    pub(crate) fn of(fault: Fault, document: &str) -> Self {
        let before = document.get(..fault.span.start).unwrap_or(document);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let wrong = document.get(fault.span.clone()).unwrap_or_default();
        Self {
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            width: wrong.chars().take_while(|c| *c != '\n').count().max(1),
            text: fault.text,
            help: fault.help,
        }
    }

    /// The line, from 1; 0 when the error is about the whole document.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1; 0 when the error is about the whole document.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, without the place and without the help.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What would be right, if that can be guessed.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The error with the line of the document it is about and carets under the place.
    ///
    /// ```
    /// let document = "{\"Version\": \"1\",\n \"Statement\": [{\"Efect\": \"Allow\"}]}";
    /// let error = bailee_policy::Policy::parse(document).unwrap_err();
    /// assert_eq!(error.render(document), r#"error: `Efect` is not a member of a statement
    ///  --> line 2, column 17
    ///   |
    /// 2 |  "Statement": [{"Efect": "Allow"}]}
    ///   |                 ^^^^^^^
    ///   = help: did you mean `Effect`?
    /// "#);
    /// ```
    pub fn render(&self, document: &str) -> String {
        let mut out = format!("error: {}\n", self.text);
        let line = self.line.checked_sub(1).and_then(|n| document.split('\n').nth(n));
        let number = self.line.to_string();
        let margin = " ".repeat(if line.is_some() { number.len() } else { 1 });
        if let Some(line) = line {
            let (shown, carets) = excerpt(line.trim_end_matches('\r'), self.column - 1, self.width);
            out.push_str(&format!("{margin}--> line {number}, column {}\n{margin} |\n", self.column));
            out.push_str(format!("{number} | {shown}").trim_end());
            out.push_str(&format!("\n{margin} | {carets}\n"));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("{margin} = help: {help}\n"));
        }
        out
    }
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line != 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.text)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

impl std::error::Error for PolicyError {}

/// The part of a line around the wrong place, and the line of carets below it.
fn excerpt(line: &str, column: usize, width: usize) -> (String, String) {
    let chars: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let column = column.min(chars.len());
    let first = if chars.len() > WINDOW { column.saturating_sub(WINDOW / 3) } else { 0 };
    let last = (first + WINDOW).min(chars.len());
    let before = chars.get(first..column).unwrap_or_default();
    let wrong = chars.get(column..(column + width).min(last)).unwrap_or_default();
    let mut shown: String = chars.get(first..last).unwrap_or_default().iter().collect();
    let mut indent: usize = before.iter().map(|c| cells(*c)).sum();
    if first > 0 {
        shown.insert(0, '…');
        indent += 1;
    }
    if last < chars.len() {
        shown.push('…');
    }
    let carets = wrong.iter().map(|c| cells(*c)).sum::<usize>().max(1);
    (shown, format!("{}{}", " ".repeat(indent), "^".repeat(carets)))
}

/// Columns of a terminal: Chinese characters take two.
fn cells(c: char) -> usize {
    let wide = matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd);
    if wide { 2 } else { 1 }
}

/// User text as it may stand in an error: cut, without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The known name that is nearest to a misspelt one, as a help.
pub(crate) fn hint<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(wrong, known).map(|k| format!("did you mean `{k}`?"))
}

/// The known name that is nearest to a misspelt one.
pub(crate) fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|k| (distance(&wrong.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= 1 + k.len() / 3)
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Edits between two short names (Levenshtein); long ones are simply far away.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, pair) in b.iter().zip(row.windows(2)) {
            if let [diagonal, above] = pair {
                left = (diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1);
                next.push(left);
            }
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        assert_eq!(nearest("Efect", ["Effect", "Action"]), Some("Effect"));
        assert_eq!(nearest("action", ["Effect", "Action"]), Some("Action"));
        assert_eq!(nearest("Zebra", ["Effect", "Action"]), None);
        assert_eq!(nearest(&"x".repeat(5000), ["Effect"]), None);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place_and_wide_characters_count_twice() {
        let (shown, carets) = excerpt(&format!("{}中wrong{}", "a".repeat(300), "b".repeat(300)), 301, 5);
        assert_eq!(shown.chars().count(), WINDOW + 2);
        assert_eq!(carets.trim_start(), "^^^^^");
        assert_eq!(carets.len() - 5, 1 + WINDOW / 3 + 1);
        assert_eq!(excerpt("", 0, 1), (String::new(), "^".to_owned()));
        assert_eq!(excerpt("ab", 70, 3), ("ab".to_owned(), "  ^".to_owned()));
    }
}
