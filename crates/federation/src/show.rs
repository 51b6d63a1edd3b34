//! Text from outside as errors may show it: short, on one line.

/// At most 80 characters of `text`, control characters replaced.
pub(crate) fn shown(text: &str) -> String {
    let mut out: String =
        text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_shown_is_short_and_has_no_line_breaks() {
        assert_eq!(super::shown("a\nb"), "a\u{fffd}b");
        assert_eq!(super::shown(&"x".repeat(81)).chars().count(), 81);
    }
}
