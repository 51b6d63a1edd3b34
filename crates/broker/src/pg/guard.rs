//! Statements by which a client asks to write in a session that only reads.
//!
//! This is a courtesy, not the enforcement: a session that only reads has a role that may write nothing (`role`), and no reading
//! of text can find what a function does. It makes the attempt end the session, and stand in the recording as what it is.

/// Whether a statement asks for read-write transactions.
pub(super) fn asks_to_write(sql: &[u8]) -> bool {
    let sql = String::from_utf8_lossy(sql).to_ascii_lowercase();
    let (words, mut names_it, mut sets) = (words(&sql), false, false);
    for word in &words {
        names_it |= matches!(word.as_str(), "transaction_read_only" | "default_transaction_read_only");
        sets |= matches!(word.as_str(), "set" | "set_config" | "update" | "alter" | "reset");
    }
    (names_it && sets) || words.windows(2).any(|pair| pair == ["read", "write"])
}

/// Words outside of comments; a text in quotes is one.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if rest.starts_with("--") {
            rest = rest.split_once(['\n', '\r']).map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = after_comment(comment);
        } else if first == '\'' || first == '"' {
            let inner = rest.get(1..).unwrap_or_default();
            let (quoted, after) = inner.split_once(first).unwrap_or((inner, ""));
            words.push(quoted.to_owned());
            rest = after;
        } else if is_word(first) {
            let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            words.push(word.to_owned());
            rest = after;
        } else {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    words
}

/// Comments nest.
fn after_comment(mut rest: &str) -> &str {
    let mut depth = 1;
    while depth > 0 {
        let Some((_, from)) = rest.find(['*', '/']).map(|at| rest.split_at(at)) else { return "" };
        let (change, len) = match () {
            () if from.starts_with("/*") => (1, 2),
            () if from.starts_with("*/") => (-1, 2),
            () => (0, 1),
        };
        depth += change;
        rest = from.get(len..).unwrap_or_default();
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn asking_to_write_is_seen_in_its_usual_clothes() {
        for sql in [
            "SET default_transaction_read_only = off",
            "set session default_transaction_read_only to 'off'; insert into t values (1)",
            "SET \"transaction_read_only\" = 0",
            "BEGIN READ WRITE",
            "begin transaction isolation level serializable, read /* not */ write",
            "START TRANSACTION READ\n--\n WRITE",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SELECT set_config('default_transaction_read_only', 'off', false)",
            "RESET default_transaction_read_only",
            "/* a /* b */ c */ BEGIN READ WRITE",
            "UPDATE pg_settings SET setting = 'off' WHERE name = 'transaction_read_only'",
        ] {
            assert!(asks_to_write(sql.as_bytes()), "{sql}");
        }
    }

    #[test]
    fn other_statements_pass() {
        for sql in [
            "SHOW transaction_read_only",
            "SELECT current_setting('default_transaction_read_only')",
            "BEGIN READ ONLY",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SELECT 'read write'",
            "SELECT 1 -- read write",
            "SELECT 1 /* BEGIN READ WRITE",
            "SELECT 'it''s', $$x$$, é",
        ] {
            assert!(!asks_to_write(sql.as_bytes()), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(sql in prop::collection::vec(any::<u8>(), 0..200)) {
            asks_to_write(&sql);
        }

        #[test]
        fn any_comments_and_quotes_are_read_without_a_panic(sql in "[-*/'\"a \n$é]{0,40}") {
            asks_to_write(sql.as_bytes());
        }
    }
}
