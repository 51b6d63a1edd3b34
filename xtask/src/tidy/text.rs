//! Leftovers in the text of a file.

use std::path::Path;

/// Words that say "not finished"; put together here so that this file does not find itself.
const MARKS: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("TO", "DO"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[ign", "ore"),
    concat!("allow(unsafe", "_code"),
    concat!("expect(unsafe", "_code"),
];

/// Folders of one machine.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

const UNSAFE: &str = concat!("un", "safe");

/// Where it may stand: the crate that speaks to the kernel, and the module that calls code compiled for one processor.
const UNSAFE_PLACES: [&str; 2] = ["crates/host", "crates/sm4/src/x86.rs"];

/// All findings in one file.
pub(super) fn check(file: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let is_rust = file.extension().is_some_and(|e| e == "rs");
    let may_hold_it = UNSAFE_PLACES.iter().any(|place| file.starts_with(place));
    let mut say =
        |line: usize, what: String| findings.push(format!("{}:{}: {what}", file.display(), line + 1));
    for (n, line) in text.lines().enumerate() {
        for mark in MARKS.iter().filter(|m| !(may_hold_it && m.contains("_code"))) {
            if has_word(line, mark) {
                say(n, format!("`{mark}` is left over"));
            }
        }
        for path in MACHINE_PATHS {
            if starts_a_path(line, path) {
                say(n, format!("`{path}…` is a path of one machine"));
            }
        }
        if ["<<<<<<< ", ">>>>>>> "].iter().any(|m| line.starts_with(m)) {
            say(n, "a merge was not finished".to_owned());
        }
        if is_rust && !may_hold_it && is_unsafe_code(line) {
            say(n, format!("`{UNSAFE}` lives in {} alone", UNSAFE_PLACES.join(" and ")));
        }
    }
    if is_rust && opens_a_module(file) && !text.trim_start().starts_with("//!") {
        say(0, "a module opens with `//!`: what it promises and what it refuses".to_owned());
    }
    findings
}

/// Every source file of a crate is a module of its own; files of tests belong to the module that they test.
fn opens_a_module(file: &Path) -> bool {
    let in_source = file.starts_with("crates") && file.iter().nth(2).is_some_and(|d| d == "src");
    in_source && file.file_name().is_some_and(|n| n != "tests.rs")
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|s| s.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|s| s.chars().next());
        !is_part(before) && (word.ends_with('(') || !is_part(after))
    })
}

fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|s| s.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "_-.~{}*/>)$".contains(c))
    })
}

/// The keyword in code; a sentence may speak of it.
fn is_unsafe_code(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let mut rest = code;
    while let Some(at) = rest.find(UNSAFE) {
        let before = rest.get(..at).and_then(|s| s.chars().next_back());
        let after = rest.get(at + UNSAFE.len()..).unwrap_or_default();
        let keyword =
            !before.is_some_and(|c| c.is_alphanumeric() || "_\"`".contains(c)) && after.starts_with(' ');
        let follows = after.trim_start();
        if keyword && ["{", "fn ", "impl", "trait ", "extern "].iter().any(|w| follows.starts_with(w)) {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, text: &str) -> Vec<String> {
        check(Path::new(file), text)
    }

    #[test]
    fn what_is_left_over_is_found_where_it_stands() {
        let found = lines("a/b.md", &format!("fine\n{}: later", concat!("FIX", "ME")));
        assert_eq!(found, [format!("a/b.md:2: `{}` is left over", concat!("FIX", "ME"))]);
        assert!(lines("a.sh", concat!("mktemp -d /tmp/t.XXXX", "XX")).is_empty());
    }

    #[test]
    fn a_path_of_one_machine_is_found_and_a_route_is_not() {
        assert_eq!(lines("a.md", concat!("see /ro", "ot/.cache")).len(), 1);
        assert!(lines("a.md", concat!("the page site.example/ho", "me/ opens")).is_empty());
    }

    #[test]
    fn only_its_places_may_hold_such_code_and_a_sentence_may_speak_of_it() {
        let code = format!("let x = {} {{ f() }};", UNSAFE);
        assert_eq!(lines("crates/web/tests/a.rs", &code).len(), 1);
        assert_eq!(lines("crates/sm4/src/lib.rs", &format!("//!\n{code}")).len(), 1);
        assert!(lines("crates/sm4/src/x86.rs", &format!("//!\n{code}")).is_empty());
        assert!(lines("crates/host/tests/a.rs", &code).is_empty());
        assert!(lines("crates/web/tests/a.rs", &format!("// it is {} {{", UNSAFE)).is_empty());
    }

    #[test]
    fn a_module_without_a_promise_is_found() {
        assert_eq!(lines("crates/web/src/a.rs", "use b;\n").len(), 1);
        assert!(lines("crates/web/src/a.rs", "//! Promise.\nuse b;\n").is_empty());
        assert!(lines("crates/web/src/tests.rs", "use super::*;\n").is_empty());
    }
}
