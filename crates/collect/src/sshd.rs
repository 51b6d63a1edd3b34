//! Lines of OpenSSH's server: as it writes them itself (`-E`, `-e`: without a time), and behind a syslog head of RFC 3164
//! (`Nov 25 20:29:46 host sshd[27]: `), ISO 8601 (`2026-11-25T20:29:46.1+00:00 host sshd[27]: `) or RFC 5424.

use std::collections::BTreeMap;

use bailee_types::Timestamp;

use crate::{Identity, Manner, Observed, Outcome, Reading, Unreadable, text};

pub(crate) fn read(line: &str, manner: &Manner, now: Timestamp) -> Result<Reading, Unreadable> {
    let offset = manner.utc_offset.as_deref().unwrap_or("+00:00");
    let (head, message) = match program(line) {
        Some((head, message)) => (Some(head), message),
        None => (None, line),
    };
    let (at, host) = match head {
        None => (None, ""),
        Some(head) => {
            let (at, host) = head_of(head, offset, now).ok_or(Unreadable("no time that can be read"))?;
            (Some(at), host)
        }
    };
    let said = message_of(message).ok_or(Unreadable("not a line of sshd"))?;
    let fields = BTreeMap::from([
        ("host", host.to_owned()),
        ("method", said.method.to_owned()),
        ("key", said.key.to_owned()),
        ("port", said.port.to_owned()),
    ]);
    let resource = [host, said.target].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/");
    Ok(Reading::Act(Observed {
        at,
        actor: said.user.to_owned(),
        action: said.action.to_owned(),
        resource,
        address: said.address.to_owned(),
        outcome: said.outcome,
        code: if said.outcome == Outcome::Refused { said.method.to_owned() } else { String::new() },
        session: if said.action == "login" { session_of(said.key) } else { String::new() },
        fields,
        identity: Identity::Place,
    }))
}

/// The session that a certificate's key id names: `ED25519-CERT SHA256:… ID grant:… session:s-… (serial 7) CA ED25519 SHA256:…`.
fn session_of(key: &str) -> String {
    let id = key.split_once(" ID ").and_then(|(_, rest)| rest.split_once(" (serial ")).map(|(id, _)| id);
    crate::session_of(id.and_then(|id| id.split(' ').find_map(|word| word.strip_prefix("session:"))))
}

/// Parts a syslog line at `sshd[123]: ` (or `sshd-session[123]: `); the head ends before the program's name.
fn program(line: &str) -> Option<(&str, &str)> {
    // The head has no more than this; what a user named himself stands behind it.
    let limit = line.char_indices().nth(200).map_or(line.len(), |(at, _)| at);
    for name in ["sshd[", "sshd-session[", "sshd-auth["] {
        let Some(at) = line.get(..limit)?.find(name) else { continue };
        let (head, rest) = line.split_at(at);
        let (pid, message) = rest.get(name.len()..)?.split_once("]: ")?;
        if (at == 0 || head.ends_with(' ')) && pid.bytes().all(|b| b.is_ascii_digit()) {
            return Some((head.trim_end(), message));
        }
    }
    rfc5424(line)
}

/// `<38>1 2026-11-25T20:29:46Z host sshd 27 - - message`.
fn rfc5424(line: &str) -> Option<(&str, &str)> {
    let (head, rest) = line.split_once(" sshd ")?;
    let mut parts = rest.splitn(4, ' ');
    let (_pid, _id, data) = (parts.next()?, parts.next()?, parts.next()?);
    (head.starts_with('<') && data == "-").then_some((head, parts.next()?))
}

fn head_of<'h>(head: &'h str, offset: &str, now: Timestamp) -> Option<(Timestamp, &'h str)> {
    let head = match head.strip_prefix('<').and_then(|h| h.split_once('>')) {
        Some((_priority, rest)) => rest.strip_prefix("1 ").unwrap_or(rest),
        None => head,
    };
    if head.bytes().next()?.is_ascii_digit() {
        let (time, host) = head.split_once(' ').unwrap_or((head, ""));
        return Some((text::rfc3339(time)?, host));
    }
    let (time, host) = head.split_at_checked(15)?;
    Some((text::without_year(time, offset, now)?, host.trim_start()))
}

struct Said<'l> {
    action: &'static str,
    user: &'l str,
    address: &'l str,
    port: &'l str,
    method: &'l str,
    key: &'l str,
    target: &'l str,
    outcome: Outcome,
}

/// A user's name comes from the network and may hold blanks and ` from `: what stands behind it is taken from the end.
fn message_of(message: &str) -> Option<Said<'_>> {
    let mut said = Said {
        action: "server message",
        user: "",
        address: "",
        port: "",
        method: "",
        key: "",
        target: "",
        outcome: Outcome::Done,
    };
    if let Some(rest) = message.strip_prefix("Accepted ").filter(|r| !r.starts_with("key ")) {
        (said.action, said.target) = ("login", "login");
        sign_in(rest, &mut said)?;
    } else if let Some(rest) = message.strip_prefix("Failed ") {
        (said.action, said.target, said.outcome) = ("login", "login", Outcome::Refused);
        sign_in(rest, &mut said)?;
    } else if let Some(rest) = message.strip_prefix("Invalid user ") {
        (said.action, said.target, said.outcome) = ("login", "login", Outcome::Refused);
        said.method = "invalid user";
        from(rest, &mut said)?;
    } else if let Some(rest) = message.strip_prefix("Starting session: ") {
        (said.action, said.target) = ("session", "session");
        let (what, rest) = rest.split_once(" for ")?;
        said.method = what;
        let (rest, _id) = rest.rsplit_once(" id ")?;
        from(rest, &mut said)?;
    } else if let Some(rest) = message.strip_prefix("Disconnected from user ") {
        (said.action, said.target) = ("logout", "login");
        let (rest, port) = rest.rsplit_once(" port ")?;
        (said.user, said.address) = rest.rsplit_once(' ')?;
        said.port = port;
    } else if message.is_empty() {
        return None;
    }
    Some(said)
}

/// `publickey for lin from 127.0.0.1 port 41642 ssh2: ED25519 SHA256:…`.
fn sign_in<'l>(rest: &'l str, said: &mut Said<'l>) -> Option<()> {
    let (method, rest) = rest.split_once(" for ")?;
    said.method = method;
    let rest = rest.strip_prefix("invalid user ").unwrap_or(rest);
    let (rest, key) = rest.rsplit_once(" ssh2")?;
    said.key = key.strip_prefix(": ").unwrap_or_default();
    from(rest, said)
}

fn from<'l>(rest: &'l str, said: &mut Said<'l>) -> Option<()> {
    let (rest, port) = rest.rsplit_once(" port ")?;
    (said.user, said.address) = rest.rsplit_once(" from ")?;
    said.port = port;
    port.bytes().all(|b| b.is_ascii_digit()).then_some(())
}
