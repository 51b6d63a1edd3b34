//! Linux' audit: the lines of one event share `msg=audit(time:serial)` and tell of one act together.
//!
//! Who acts is `auid`, the user who signed in: `su` and `sudo` do not change it. Arguments of programs go nowhere.

use std::collections::BTreeMap;

use bailee_types::Timestamp;

use crate::{Identity, Observed, Outcome, Reading, Unreadable};

/// What lines of one event share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Node, time and serial.
    pub(crate) text: String,
    pub(crate) at_ms: i64,
}

/// The key of a line; none when it has none.
pub(crate) fn key(line: &[u8]) -> Option<Key> {
    let text = std::str::from_utf8(line).ok()?;
    let (head, rest) = text.split_once("msg=audit(")?;
    let (stamp, _) = rest.split_once(')')?;
    let (time, serial) = stamp.split_once(':')?;
    let (secs, ms) = time.split_once('.')?;
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(secs) || !digits(serial) || ms.len() != 3 || !digits(ms) || secs.len() > 12 {
        return None;
    }
    let at_ms = secs.parse::<i64>().ok()? * 1000 + ms.parse::<i64>().ok()?;
    let node = head.split(' ').find_map(|w| w.strip_prefix("node=")).unwrap_or_default();
    // The head holds the node and the type only: a `msg=audit(` that a program wrote stands further behind.
    head.split(' ').find(|w| w.starts_with("type="))?;
    (head.split(' ').filter(|w| !w.is_empty()).count() <= 2)
        .then(|| Key { text: format!("{node}/{stamp}"), at_ms })
}

fn type_of(line: &str) -> Option<&str> {
    let (head, _) = line.split_once("msg=audit(")?;
    head.split(' ').find_map(|w| w.strip_prefix("type="))
}

/// Whether a line is the last of its event.
pub(crate) fn ends(line: &[u8]) -> bool {
    let kind = std::str::from_utf8(line).ok().and_then(type_of);
    matches!(kind, Some("EOE" | "PROCTITLE"))
}

/// Whether a line is an event by itself: what programs report.
pub(crate) fn stands_alone(line: &[u8]) -> bool {
    let kind = std::str::from_utf8(line).ok().and_then(type_of).unwrap_or_default();
    ["USER_", "CRED_", "SERVICE_", "DAEMON_", "CRYPTO_", "ADD_", "DEL_", "GRP_", "SYSTEM_"]
        .iter()
        .any(|beginning| kind.starts_with(beginning))
}

/// The values of a line; the first of a name counts. `'…'` of what programs report is read as part of the line.
fn values(line: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let body = line.split_once("): ").or_else(|| line.split_once("):")).map_or("", |(_, body)| body);
    // What auditd itself interpreted stands behind a group separator.
    let (raw, enriched) = body.split_once('\u{1d}').unwrap_or((body, ""));
    for (part, is_raw) in [(raw, true), (enriched, false)] {
        let mut rest = part.trim_start();
        while let Some((name, after)) = rest.split_once('=') {
            let name = name.rsplit(' ').next().unwrap_or(name);
            if let (true, Some(inner)) = (name == "msg", after.strip_prefix('\'')) {
                rest = inner;
                continue;
            }
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                    (value.to_owned(), after)
                }
                None => {
                    let (word, after) = after.split_once(' ').unwrap_or((after, ""));
                    let word = word.trim_end_matches('\'');
                    (if is_raw { decoded(name, word) } else { word.to_owned() }, after)
                }
            };
            found.entry(name.to_owned()).or_insert(value);
            rest = after.trim_start();
        }
    }
    found
}

/// Texts that hold blanks or quotes are written in hex.
fn decoded(name: &str, word: &str) -> String {
    let is_text =
        matches!(name, "name" | "comm" | "exe" | "cwd" | "proctitle" | "acct" | "key" | "cmd" | "file");
    let hex = word.len() >= 2 && word.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase());
    match hex::decode(word) {
        Ok(bytes) if is_text && hex => {
            String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
        }
        _ => word.to_owned(),
    }
}

struct Line {
    kind: String,
    values: BTreeMap<String, String>,
}

impl Line {
    fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }
}

pub(crate) fn read(unit: &str) -> Result<Reading, Unreadable> {
    let first = unit.lines().next().unwrap_or_default();
    let key = key(first.as_bytes()).ok_or(Unreadable("not a line of auditd"))?;
    let lines: Vec<Line> =
        unit.lines().filter_map(|l| Some(Line { kind: type_of(l)?.to_owned(), values: values(l) })).collect();
    let node = key.text.split('/').next().unwrap_or_default().to_owned();
    let act = match lines.iter().find(|l| l.kind == "SYSCALL") {
        Some(call) => of_call(call, &lines),
        None => of_program(lines.first().ok_or(Unreadable("not a line of auditd"))?),
    };
    let mut fields = act.fields;
    fields.insert("node", node);
    fields.insert("types", lines.iter().map(|l| l.kind.as_str()).collect::<Vec<_>>().join(","));
    Ok(Reading::Act(Observed {
        at: Some(Timestamp::from_ms(key.at_ms)),
        fields,
        session: String::new(),
        identity: Identity::Event(key.text),
        ..act
    }))
}

fn of_call(call: &Line, lines: &[Line]) -> Observed {
    let success = call.get("success");
    let outcome = match (success, call.get("exit")) {
        ("yes", _) => Outcome::Done,
        // EPERM and EACCES.
        ("no", "-1" | "-13") => Outcome::Refused,
        ("no", _) => Outcome::Failed,
        _ => Outcome::Unknown,
    };
    let paths = || lines.iter().filter(|l| l.kind == "PATH" && l.get("nametype") != "PARENT");
    let resource = paths().map(|p| p.get("name")).find(|n| !n.is_empty() && *n != "(null)");
    let resource = resource.map_or_else(|| call.get("exe").to_owned(), |name| absolute(name, lines));
    let action = match call.get("SYSCALL") {
        "" => syscall(call.get("arch"), call.get("syscall")),
        name => name.to_owned(),
    };
    observed(call, action, resource, outcome, if outcome == Outcome::Done { "" } else { call.get("exit") })
}

/// A relative path begins at the working directory of the call.
fn absolute(name: &str, lines: &[Line]) -> String {
    let cwd = lines.iter().find(|l| l.kind == "CWD").map_or("", |l| l.get("cwd"));
    if name.starts_with('/') || cwd.is_empty() {
        return name.to_owned();
    }
    format!("{}/{name}", cwd.trim_end_matches('/'))
}

fn of_program(line: &Line) -> Observed {
    let outcome = match line.get("res") {
        "success" | "1" => Outcome::Done,
        "failed" | "0" => Outcome::Refused,
        _ => Outcome::Unknown,
    };
    let resource = [line.get("exe"), line.get("terminal")].into_iter().find(|t| !t.is_empty());
    observed(line, line.kind.clone(), resource.unwrap_or_default().to_owned(), outcome, "")
}

fn observed(line: &Line, action: String, resource: String, outcome: Outcome, code: &str) -> Observed {
    let actor = match (line.get("AUID"), line.get("auid")) {
        ("" | "unset", "4294967295" | "") => match line.get("acct") {
            "" => "unset",
            account => account,
        },
        ("", number) => number,
        (name, _) => name,
    };
    let of = |name: &'static str| (name, line.get(name).to_owned());
    Observed {
        at: None,
        actor: actor.to_owned(),
        action,
        resource,
        address: Some(line.get("addr")).filter(|a| *a != "?").unwrap_or_default().to_owned(),
        outcome,
        code: code.to_owned(),
        fields: BTreeMap::from([
            of("auid"),
            of("uid"),
            of("exe"),
            of("comm"),
            of("key"),
            of("ses"),
            of("tty"),
            of("acct"),
        ]),
        session: String::new(),
        identity: Identity::Place,
    }
}

/// Names of the calls that rules watch; others keep their number.
fn syscall(arch: &str, number: &str) -> String {
    let x86 = [
        ("0", "read"),
        ("1", "write"),
        ("2", "open"),
        ("42", "connect"),
        ("59", "execve"),
        ("62", "kill"),
        ("76", "truncate"),
        ("82", "rename"),
        ("83", "mkdir"),
        ("84", "rmdir"),
        ("85", "creat"),
        ("86", "link"),
        ("87", "unlink"),
        ("88", "symlink"),
        ("90", "chmod"),
        ("91", "fchmod"),
        ("92", "chown"),
        ("93", "fchown"),
        ("101", "ptrace"),
        ("105", "setuid"),
        ("165", "mount"),
        ("175", "init_module"),
        ("188", "setxattr"),
        ("257", "openat"),
        ("260", "fchownat"),
        ("263", "unlinkat"),
        ("264", "renameat"),
        ("265", "linkat"),
        ("266", "symlinkat"),
        ("268", "fchmodat"),
        ("304", "open_by_handle_at"),
        ("313", "finit_module"),
        ("316", "renameat2"),
        ("322", "execveat"),
        ("437", "openat2"),
    ];
    let arm = [
        ("35", "unlinkat"),
        ("38", "renameat"),
        ("40", "mount"),
        ("45", "truncate"),
        ("53", "fchmodat"),
        ("54", "fchownat"),
        ("56", "openat"),
        ("63", "read"),
        ("64", "write"),
        ("105", "init_module"),
        ("117", "ptrace"),
        ("129", "kill"),
        ("203", "connect"),
        ("221", "execve"),
        ("265", "open_by_handle_at"),
        ("276", "renameat2"),
        ("281", "execveat"),
        ("437", "openat2"),
    ];
    let table: &[(&str, &str)] = match arch {
        "c000003e" => &x86,
        "c00000b7" => &arm,
        _ => &[],
    };
    table
        .iter()
        .find(|(n, _)| *n == number)
        .map_or_else(|| format!("syscall {number} of {arch}"), |(_, name)| (*name).to_owned())
}
