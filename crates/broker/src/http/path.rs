//! Paths and queries: read once, judged as read, and written anew from what was read. No IO.
//!
//! INVARIANT: what a rule is compared with is what the target gets: nothing that two readers could read differently (dots, empty
//! or encoded separators, a second encoding, path parameters, control bytes) is passed on.

use ::http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const KEPT_IN_PATH: AsciiSet =
    KEPT.remove(b'/').remove(b':').remove(b'@').remove(b'=').remove(b',').remove(b'+').remove(b'$');

/// A path and a query, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The path, beginning with `/`.
    pub(super) path: String,
    /// The parameters in their order.
    pub(super) query: Vec<(String, String)>,
}

impl Asked {
    /// Reads a request's target.
    pub(super) fn read(uri: &Uri) -> Result<Self, String> {
        if uri.scheme().is_some() || uri.authority().is_some() {
            return Err("a request names a path, not an address".to_owned());
        }
        let raw = uri.path();
        let path = decoded(raw).ok_or("the path is not UTF-8, or its encoding is not one")?;
        let is_odd = |c: char| c.is_control() || matches!(c, '%' | ';' | '\\');
        if path.matches('/').count() != raw.matches('/').count() || path.contains(is_odd) {
            return Err("the path holds a character that could be read in two ways".to_owned());
        }
        let rest = path.strip_prefix('/').ok_or("a path begins with a slash")?;
        // Only the last part may be empty: a slash at the end.
        let parts = rest.strip_suffix('/').unwrap_or(rest);
        if !rest.is_empty() && parts.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err("the path holds an empty part, `.` or `..`".to_owned());
        }
        let mut query = Vec::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let read =
                |text: &str| decoded(&text.replace('+', " ")).filter(|t| !t.contains(['\0', '\r', '\n']));
            let pair =
                read(name).zip(read(value)).ok_or("the query is not UTF-8, or its encoding is not one")?;
            query.push(pair);
        }
        Ok(Self { path, query })
    }

    /// The only value of a parameter, whatever the case of its name; twice is an error.
    pub(super) fn only(&self, name: &str) -> Result<Option<&str>, String> {
        let mut values = self.query.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(format!("the parameter `{name}` stands twice")),
            (value, None) => Ok(value.map(|(_, value)| value.as_str())),
        }
    }

    /// Files that a WebHDFS request names beside its path (`destination`, `sources`), as paths of the service.
    pub(super) fn beside(&self) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for name in ["destination", "sources"] {
            for file in self.only(name)?.into_iter().flat_map(|v| v.split(',')) {
                let parts = file.strip_prefix('/').ok_or_else(|| format!("`{name}` must be whole paths"))?;
                let plain =
                    |p: &str| !matches!(p, "" | "." | "..") && !p.contains(['%', '\\', ';', '?', '#']);
                if !parts.split('/').all(plain) || file.chars().any(char::is_control) {
                    return Err(format!("`{name}` names a path that could be read in two ways"));
                }
                found.push(format!("/webhdfs/v1{file}"));
            }
        }
        Ok(found)
    }

    /// As [`Asked::only`], for a target that tells cases apart: another case is an error, too.
    pub(super) fn exact(&self, name: &str) -> Result<Option<&str>, String> {
        let value = self.only(name)?;
        match self.query.iter().all(|(n, _)| n == name || !n.eq_ignore_ascii_case(name)) {
            true => Ok(value),
            false => Err(format!("the parameter `{name}` is written in another case")),
        }
    }

    /// The target as it is sent, below `base`.
    pub(super) fn written(&self, base: &str) -> String {
        let mut out = format!("{base}{}", utf8_percent_encode(&self.path, &KEPT_IN_PATH));
        for (i, (name, value)) in self.query.iter().enumerate() {
            let sign = if i == 0 { '?' } else { '&' };
            let (name, value) = (utf8_percent_encode(name, &KEPT), utf8_percent_encode(value, &KEPT));
            out += &format!("{sign}{name}={value}");
        }
        out
    }
}

fn decoded(text: &str) -> Option<String> {
    // A lone `%` would pass the decoder as it is.
    let whole = text.split('%').skip(1).all(|part| {
        part.as_bytes().first_chunk::<2>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    whole.then(|| percent_decode_str(text).decode_utf8().ok().map(String::from)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(target: &str) -> Result<Asked, String> {
        Asked::read(&target.parse().map_err(|e| format!("{e}"))?)
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in [
            "/a/../b",
            "/a/..",
            "/./a",
            "/a//b",
            "//a",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%252e",
            "/a;x=1/b",
            "/a%3bx",
            "/%ff",
            "/a//",
            "http://elsewhere/a",
            "/a?x=%",
            "/a?x=%ff",
            "/a?x=%0d%0aHost:b",
            "*",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for good in ["/", "/a/", "/a%20b", "/a..b", "/.hidden", "/ws/v1/cluster", "/a?x=1&x=2", "/%E4%B8%AD"]
        {
            assert!(read(good).is_ok(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(target in "/[a-z%0-9A-F./;?&=+é ]{0,30}") {
            if let Ok(asked) = read(&target) {
                prop_assert_eq!(read(&asked.written("")), Ok(asked));
            }
        }

        #[test]
        fn no_path_has_a_part_that_leads_elsewhere(target in "(/(\\.|%2e|%2f|/|a|\\.\\.)*){0,5}") {
            if let Ok(asked) = read(&target) {
                prop_assert!(asked.path.split('/').all(|part| part != ".." && part != "."));
            }
        }
    }
}
