//! PostgreSQL's csvlog and jsonlog, with pgaudit's `AUDIT:` messages inside.
//!
//! Statements and parameters hold what the tenant keeps: they are matched by nothing and go nowhere; the digest of the
//! statement is a field.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Identity, Manner, Observed, Outcome, Reading, Unreadable, digest, text};

/// What both forms tell.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Record {
    timestamp: String,
    user: String,
    dbname: String,
    remote_host: String,
    session_id: String,
    line_num: u64,
    error_severity: String,
    state_code: String,
    message: String,
    application_name: String,
    backend_type: String,
}

pub(crate) fn read(unit: &str, manner: &Manner) -> Result<Reading, Unreadable> {
    let record = if unit.starts_with('{') {
        serde_json::from_str(unit).map_err(|_| Unreadable("not a line of jsonlog"))?
    } else {
        csv_record(unit).ok_or(Unreadable("not a record of csvlog"))?
    };
    if record.session_id.is_empty() || record.error_severity.is_empty() {
        return Err(Unreadable("not a record of csvlog"));
    }
    let at = time(&record.timestamp, manner)?;
    let mut fields = BTreeMap::from([
        ("database", record.dbname.clone()),
        ("application", record.application_name.clone()),
        ("severity", record.error_severity.clone()),
        ("backend", record.backend_type.clone()),
    ]);
    let (action, resource) = match record.message.strip_prefix("AUDIT: ") {
        Some(audit) => {
            let audit = audit_message(audit).ok_or(Unreadable("not a message of pgaudit"))?;
            let [kind, class, command, object_type, object, statement] = audit;
            fields.insert("audit", kind);
            fields.insert("class", class.clone());
            fields.insert("command", command.clone());
            fields.insert("objectType", object_type);
            fields.insert("statementDigest", hex::encode(digest(statement.as_bytes())));
            let resource = [record.dbname.as_str(), &object].into_iter().filter(|p| !p.is_empty());
            let resource = resource.collect::<Vec<_>>().join("/");
            fields.insert("object", object);
            (format!("{class} {command}"), resource)
        }
        None => (of_message(&record), record.dbname.clone()),
    };
    let code = record.state_code.as_str();
    let outcome = match record.error_severity.as_str() {
        "ERROR" | "FATAL" | "PANIC" => match code {
            // Not allowed: by the server's rules, its privileges, its sign-in.
            "42501" | "28000" | "28P01" | "25006" => Outcome::Refused,
            _ => Outcome::Failed,
        },
        _ => Outcome::Done,
    };
    // The role that a broker makes for a connection: `bailee_`, the session's name without `s-`, `_` and more.
    let session = record.user.strip_prefix("bailee_").and_then(|r| r.split_once('_'));
    let session = session.map(|(name, _)| format!("s-{name}"));
    Ok(Reading::Act(Observed {
        at: Some(at),
        session: if record.user.is_empty() { String::new() } else { crate::session_of(session.as_deref()) },
        actor: record.user,
        action,
        resource,
        address: address(&record.remote_host),
        outcome,
        code: if outcome == Outcome::Done { String::new() } else { code.to_owned() },
        fields,
        identity: Identity::Line(format!("{}/{}", record.session_id, record.line_num)),
    }))
}

fn csv_record(unit: &str) -> Option<Record> {
    let columns = one_record(unit)?;
    let column = |at: usize| columns.get(at).unwrap_or_default().to_owned();
    // 23 columns up to PostgreSQL 12, 24 with 13, 26 since 14; more may come behind.
    if columns.len() < 23 {
        return None;
    }
    Some(Record {
        timestamp: column(0),
        user: column(1),
        dbname: column(2),
        remote_host: column(4),
        session_id: column(5),
        line_num: column(6).parse().ok()?,
        error_severity: column(11),
        state_code: column(12),
        message: column(13),
        application_name: column(22),
        backend_type: column(23),
    })
}

/// The only record of a text, which must be nothing else.
fn one_record(text: &str) -> Option<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut more = csv::StringRecord::new();
    let found = reader.read_record(&mut record).ok()? && !reader.read_record(&mut more).ok()?;
    found.then_some(record)
}

/// `SESSION,1,1,READ,SELECT,TABLE,public.t,"select …",<not logged>`: kind, class, command, type, name, statement.
fn audit_message(message: &str) -> Option<[String; 6]> {
    let columns = one_record(message)?;
    let column = |at: usize| columns.get(at).map(str::to_owned);
    let kind = column(0).filter(|k| matches!(k.as_str(), "SESSION" | "OBJECT"))?;
    Some([kind, column(3)?, column(4)?, column(5)?, column(6)?, column(7).unwrap_or_default()])
}

/// What a message of the server itself is about.
fn of_message(record: &Record) -> String {
    let message = record.message.as_str();
    let says = |beginning: &str| message.starts_with(beginning);
    let action =
        if says("connection authorized:") || (record.error_severity == "FATAL" && !record.user.is_empty()) {
            "connect"
        } else if says("connection received:") {
            "connection received"
        } else if says("disconnection:") {
            "disconnect"
        } else if matches!(record.error_severity.as_str(), "ERROR" | "PANIC") {
            "error"
        } else {
            "server message"
        };
    action.to_owned()
}

/// `2026-11-25 20:29:46.531 UTC`. Of the names of zones only UTC's are clear (CST is three).
fn time(text: &str, manner: &Manner) -> Result<bailee_types::Timestamp, Unreadable> {
    let unclear = Unreadable("no time that can be read");
    let (civil, zone) = text.rsplit_once(' ').ok_or(unclear.clone())?;
    let offset = match (zone, &manner.utc_offset) {
        ("UTC" | "GMT", _) => "+00:00".to_owned(),
        (zone, given) => text::offset(zone)
            .or_else(|| given.clone())
            .ok_or(Unreadable("the zone's name is not clear: set `utcOffset` in the mapping"))?,
    };
    text::civil(civil, &offset).ok_or(unclear)
}

/// `127.0.0.1:47814`, `[local]`, `::1:5432`.
fn address(remote: &str) -> String {
    match remote.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host.to_owned(),
        _ => remote.to_owned(),
    }
}
