//! Audit logs of HDFS (`FSNamesystem.audit`) and of YARN's resource manager (`RMAuditLogger`): a log4j head, then
//! `key=value` parted by tabs.
//!
//! A path of HDFS may hold tabs and ends of lines. The keys before `src` are the server's; those behind it are looked for
//! from the end. Two heads in one unit mean that a path holds what looks like a record: that is not read at all.

use std::collections::BTreeMap;

use bailee_types::Timestamp;

use crate::{Identity, Manner, Observed, Outcome, Reading, Unreadable, text};

const HDFS: &str = "FSNamesystem.audit: ";
const YARN: &str = "RMAuditLogger: ";

pub(crate) fn hdfs(unit: &str, manner: &Manner) -> Result<Reading, Unreadable> {
    let (at, rest) = head(unit, HDFS, manner)?;
    let torn = || Unreadable("not a record of HDFS' audit log");
    if rest.contains(HDFS) {
        return Err(Unreadable("two records in one: a path with an end of line, or a torn record"));
    }
    let (front, tail) = rest.split_once("\tsrc=").ok_or_else(torn)?;
    let (src, tail) = tail.rsplit_once("\tdst=").ok_or_else(torn)?;
    let (dst, tail) = tail.split_once("\tperm=").ok_or_else(torn)?;
    let front = pairs(front);
    let get = |name: &str| front.get(name).copied().unwrap_or_default();
    let allowed = match get("allowed") {
        "true" => true,
        "false" => false,
        _ => return Err(torn()),
    };
    // `lin (auth:KERBEROS)`, `hive (auth:PROXY) via …`: the first is who acts.
    let ugi = get("ugi");
    let (actor, how) = ugi.split_once(' ').unwrap_or((ugi, ""));
    let tail = format!("perm={tail}");
    let behind = pairs(&tail);
    let fields = BTreeMap::from([
        ("auth", how.to_owned()),
        ("dst", null(dst)),
        ("proto", behind.get("proto").copied().unwrap_or_default().to_owned()),
        ("callerContext", behind.get("callerContext").copied().unwrap_or_default().to_owned()),
    ]);
    Ok(Reading::Act(Observed {
        at: Some(at),
        actor: actor.to_owned(),
        action: get("cmd").to_owned(),
        resource: null(src),
        address: get("ip").trim_start_matches('/').to_owned(),
        outcome: if allowed { Outcome::Done } else { Outcome::Refused },
        code: if allowed { String::new() } else { "AccessControlException".into() },
        fields,
        session: String::new(),
        identity: Identity::Place,
    }))
}

pub(crate) fn yarn(unit: &str, manner: &Manner) -> Result<Reading, Unreadable> {
    let (at, rest) = head(unit, YARN, manner)?;
    let all = pairs(rest);
    let get = |name: &str| all.get(name).copied().unwrap_or_default();
    let outcome = match get("RESULT") {
        "SUCCESS" => Outcome::Done,
        "FAILURE" if get("DESCRIPTION").to_ascii_lowercase().contains("unauthorized") => Outcome::Refused,
        "FAILURE" => Outcome::Failed,
        _ => return Err(Unreadable("not a record of YARN's audit log")),
    };
    if get("USER").is_empty() || get("OPERATION").is_empty() {
        return Err(Unreadable("not a record of YARN's audit log"));
    }
    let resource = [get("QUEUENAME"), get("APPID")].into_iter().filter(|p| !p.is_empty());
    let resource = resource.collect::<Vec<_>>().join("/");
    let fields = BTreeMap::from([
        ("target", get("TARGET").to_owned()),
        ("application", get("APPID").to_owned()),
        ("container", get("CONTAINERID").to_owned()),
        ("queue", get("QUEUENAME").to_owned()),
    ]);
    Ok(Reading::Act(Observed {
        at: Some(at),
        actor: get("USER").to_owned(),
        action: get("OPERATION").to_owned(),
        resource: if resource.is_empty() { get("TARGET").to_owned() } else { resource },
        address: get("IP").to_owned(),
        outcome,
        code: if outcome == Outcome::Done { String::new() } else { "FAILURE".into() },
        fields,
        session: String::new(),
        identity: Identity::Place,
    }))
}

/// `2026-11-25 20:22:15,123 INFO …`: whether a line begins a record.
pub(crate) fn begins(line: &[u8]) -> bool {
    let shape = b"dddd-dd-dd dd:dd:dd,ddd ";
    line.len() > shape.len()
        && shape.iter().zip(line).all(|(s, b)| if *s == b'd' { b.is_ascii_digit() } else { s == b })
}

fn head<'l>(unit: &'l str, logger: &str, manner: &Manner) -> Result<(Timestamp, &'l str), Unreadable> {
    if !begins(unit.as_bytes()) {
        return Err(Unreadable("no time at the beginning of the line"));
    }
    let (front, rest) =
        unit.split_once(logger).ok_or(Unreadable("a line of another logger than the audit's"))?;
    let offset = manner.utc_offset.as_deref().unwrap_or("+00:00");
    let at = front.get(..23).and_then(|t| text::civil(t, offset));
    Ok((at.ok_or(Unreadable("no time that can be read"))?, rest))
}

/// The first of each key counts.
fn pairs(text: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    for (key, value) in text.split('\t').filter_map(|p| p.trim_end_matches(['\r', '\n']).split_once('=')) {
        found.entry(key).or_insert(value);
    }
    found
}

fn null(value: &str) -> String {
    if value == "null" { String::new() } else { value.to_owned() }
}
