//! Why a document is not a policy: the place, what stands there, what would be right.

/// Why a policy was refused, with the place in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    line: usize,
    column: usize,
    text: String,
}

impl PolicyError {
    pub(crate) fn whole(text: impl Into<String>) -> Self {
        Self { line: 0, column: 0, text: text.into() }
    }

    /// The line, from 1; 0 when the error is about the whole document.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, from 1; 0 when the error is about the whole document.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl From<serde_json::Error> for PolicyError {
    fn from(e: serde_json::Error) -> Self {
        let full = e.to_string();
        // serde_json appends the place to its texts; it is kept apart here.
        let text = full.rsplit_once(" at line ").map_or(full.as_str(), |(text, _)| text).to_owned();
        // At the very beginning, and after a line's end, serde_json counts the column from 0.
        Self { line: e.line(), column: if e.line() == 0 { 0 } else { e.column().max(1) }, text }
    }
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 {
            f.write_str(&self.text)
        } else {
            write!(f, "line {}, column {}: {}", self.line, self.column, self.text)
        }
    }
}

impl std::error::Error for PolicyError {}

/// User text as it may stand in an error: cut, without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The known name that is nearest to a misspelt one, as a hint.
pub(crate) fn hint(wrong: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|k| (distance(&wrong.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= 1 + k.len() / 3)
        .min_by_key(|(d, _)| *d);
    near.map_or_else(String::new, |(_, k)| format!("; did you mean `{k}`?"))
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
        assert_eq!(hint("Efect", &["Effect", "Action"]), "; did you mean `Effect`?");
        assert_eq!(hint("action", &["Effect", "Action"]), "; did you mean `Action`?");
        assert_eq!(hint("Zebra", &["Effect", "Action"]), "");
        assert_eq!(hint(&"x".repeat(5000), &["Effect"]), "");
    }
}
