//! The procedures, fed record by record.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bailee_proof::event::{Ended, EventView, Form, unquoted};
use bailee_proof::record::{Entry, Kind};
use serde::Serialize;
use serde_json::Value;

use super::document::time;
use crate::Follow;
use crate::report::Report;

/// Rows that one table lists, and exceptions; beyond they are counted.
const ROWS_MAX: usize = 2_000;
/// Intents whose outcome is awaited, at most; an honest log has a handful.
const WAITING_MAX: usize = 100_000;

const SERVICE: &str = "ALIYUN_INITIATED_SERVICE";
const PENALTY: &str = "ALIYUN_INITIATED_PENALTY";

/// What one procedure did and found.
#[derive(Clone, Debug, Serialize)]
pub struct Procedure {
    /// `P1`, `P2`, ….
    pub id: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What was done.
    pub what: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How many were looked at.
    pub population: u64,
    /// Exceptions, listed up to 2,000.
    pub exceptions: Vec<Exception>,
    /// All exceptions.
    pub exceptions_total: u64,
    /// A remark that the reader needs.
    pub note: Option<String>,
    /// Names of the listed columns.
    pub columns: Vec<&'static str>,
    /// What was looked at, listed up to 2,000.
    pub rows: Vec<Vec<String>>,
    /// All rows.
    pub rows_total: u64,
}

/// How a procedure ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of the population was in order.
    NoExceptions,
    /// Some was not.
    Exceptions,
    /// There was nothing of this kind.
    NothingToLookAt,
    /// What would show it is not in the bundle.
    NotShown,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::NoExceptions => "no exceptions",
            Self::Exceptions => "EXCEPTIONS",
            Self::NothingToLookAt => "nothing to look at",
            Self::NotShown => "not shown",
        })
    }
}

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// Which record.
    pub record: u64,
    /// What is wrong.
    pub why: String,
}

#[derive(Default)]
struct Tally {
    population: u64,
    exceptions: Vec<Exception>,
    exceptions_total: u64,
    rows: Vec<Vec<String>>,
    rows_total: u64,
    /// Something that would have to be there is not opened.
    unclear: u64,
}

impl Tally {
    fn exception(&mut self, record: u64, why: impl Into<String>) {
        self.exceptions_total += 1;
        if self.exceptions.len() < ROWS_MAX {
            self.exceptions.push(Exception { record, why: why.into() });
        }
    }

    fn row(&mut self, row: Vec<String>) {
        self.rows_total += 1;
        if self.rows.len() < ROWS_MAX {
            self.rows.push(row);
        }
    }

    fn ends(
        self,
        id: &'static str,
        title: &'static str,
        what: &'static str,
        columns: &[&'static str],
        note: Option<String>,
    ) -> Procedure {
        let outcome = match (self.exceptions_total, self.unclear, self.population) {
            (1.., _, _) => Outcome::Exceptions,
            (0, 1.., _) => Outcome::NotShown,
            (0, 0, 0) => Outcome::NothingToLookAt,
            (0, 0, _) => Outcome::NoExceptions,
        };
        Procedure {
            id,
            title,
            what,
            outcome,
            population: self.population,
            exceptions: self.exceptions,
            exceptions_total: self.exceptions_total,
            note,
            columns: columns.to_vec(),
            rows: self.rows,
            rows_total: self.rows_total,
        }
    }
}

/// An intent whose outcome is awaited.
struct Waiting {
    at_ms: u64,
    name: String,
    resource: String,
    employee: String,
    grant: String,
    kind: String,
    content: bool,
    /// A window of a read that was counted with its first one.
    continues: bool,
    /// Who approved, and whether with a second factor; of decisions about consent.
    decides: Option<(String, bool)>,
    /// The tenant's rules of what is copied where, with this act: its bucket, and prefixes.
    copies: Option<(String, Vec<String>)>,
    /// What is wrong with the hands in a takedown, if it is done.
    hands: Option<&'static str>,
}

struct Grant {
    uses_max: Option<u64>,
    uses: u64,
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Work {
    waiting: HashMap<u64, Waiting>,
    grants: HashMap<String, Grant>,
    /// Who set a standing right, and whether with a second factor.
    rights: HashMap<String, (String, bool)>,
    /// What the tenant wants to be copied: by bucket, prefixes.
    copied: HashMap<String, Vec<String>>,
    reads: Tally,
    approvals: Tally,
    uses: Tally,
    stability: Tally,
    keys: Tally,
    outcomes: Tally,
    compliance: Tally,
    erasures: Tally,
    findings: Tally,
    /// Records by kind, by type of platform event, and by operator.
    kinds: BTreeMap<&'static str, u64>,
    types: BTreeMap<(String, String), u64>,
    operators: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Follow for Work {
    fn record(&mut self, entry: &Entry, event: Option<&EventView<'_>>) {
        *self.kinds.entry(entry.kind.word()).or_default() += 1;
        let Some(view) = event else {
            self.closed(entry);
            return;
        };
        match entry.kind {
            Kind::Intent | Kind::Management | Kind::Refusal => self.act(entry, view),
            Kind::Outcome => self.outcome(entry, view),
            Kind::Erasure | Kind::Finding => self.about_the_log(entry, view),
            Kind::Log | Kind::Heartbeat => {}
        }
    }
}

impl Work {
    /// A record that is erased or withheld may have been anything.
    fn closed(&mut self, entry: &Entry) {
        if matches!(entry.kind, Kind::Intent) {
            for tally in [&mut self.reads, &mut self.stability] {
                tally.unclear += 1;
            }
        }
    }

    fn act(&mut self, entry: &Entry, view: &EventView<'_>) {
        let name = text(view.event_name).into_owned();
        let kind = text(view.event_type).into_owned();
        let employee = text(view.employee).into_owned();
        let is_platform = view.platform.is_some();
        if is_platform {
            let level = text(view.event_level).into_owned();
            *self.types.entry((kind.clone(), level)).or_default() += 1;
            let who = if employee.is_empty() { "automatic".to_owned() } else { employee.clone() };
            *self.operators.entry(who).or_default().entry(name.clone()).or_default() += 1;
        }
        if entry.kind == Kind::Refusal {
            return;
        }
        let content = is_platform && name == "GetObject";
        if is_platform && kind == SERVICE {
            self.stability.population += 1;
            if content {
                self.stability
                    .exception(entry.index, format!("{name} reads content in an event of stability work"));
            }
        }
        if view.glass.is_some() || matches!(&*name, "AskGlass" | "BreakGlass" | "EndGlass") {
            let why = platform_text(view, "EventDescription");
            let (record, at) = (entry.index.to_string(), time(entry.time_ms));
            self.stability.row(vec![record, at, employee.clone(), name.clone(), why]);
        }
        if is_platform && kind == PENALTY {
            self.compliance.population += 1;
            let why = platform_text(view, "EventDescription");
            let reference = why.strip_prefix("legal reference ").unwrap_or_default().trim();
            if reference.is_empty() {
                self.compliance.exception(entry.index, format!("{name} names no legal reference"));
            }
            if content {
                self.compliance
                    .exception(entry.index, format!("{name} reads content in an event of legal handling"));
            }
            self.compliance.row(vec![
                entry.index.to_string(),
                time(entry.time_ms),
                employee.clone(),
                name.clone(),
                why,
            ]);
        }
        let decides = (entry.kind == Kind::Management
            && matches!(&*name, "ApproveConsent" | "RevokeConsent" | "SetStandingRight"))
        .then(|| who(view));
        let copies = (entry.kind == Kind::Management
            && matches!(&*name, "PutBucketReplication" | "DeleteBucketReplication"))
        .then(|| rules(view));
        if !is_platform && decides.is_none() && copies.is_none() {
            return;
        }
        if self.waiting.len() < WAITING_MAX {
            let hands = (name == "ConfirmTakedown").then(|| wrong_hands(view)).flatten();
            let waiting = Waiting {
                at_ms: entry.time_ms,
                name,
                resource: text(view.resource).into_owned(),
                employee,
                grant: text(view.grant).into_owned(),
                kind,
                content,
                continues: view.continues.is_some(),
                decides,
                copies,
                hands,
            };
            self.waiting.insert(entry.index, waiting);
        } else {
            self.outcomes.unclear += 1;
        }
    }

    fn outcome(&mut self, entry: &Entry, view: &EventView<'_>) {
        let Some(closes) = view.envelope().ok().and_then(|e| e.closes) else { return };
        let done = closes.result == Ended::Done;
        if closes.result == Ended::Unknown {
            self.outcomes.exception(entry.index, format!("nobody knows how record {} ended", closes.intent));
        }
        let Some(intent) = self.waiting.remove(&closes.intent) else { return };
        let detail: Value = view.detail.and_then(|d| serde_json::from_str(d).ok()).unwrap_or(Value::Null);
        if let Some((by, mfa)) = &intent.decides {
            if done {
                self.decided(closes.intent, &intent, by, *mfa, &detail);
            }
            return;
        }
        if let Some((bucket, prefixes)) = intent.copies {
            if done {
                self.copied.insert(bucket, prefixes);
            }
            return;
        }
        if let Some(why) = intent.hands.filter(|_| done) {
            self.compliance.exception(closes.intent, format!("{} {why}", intent.name));
        }
        if done && matches!(&*intent.name, "RequestConsent" | "ConfirmRequest") {
            self.opened(closes.intent, &intent, &detail);
        }
        self.outcomes.population += 1;
        self.released(closes.intent, &intent, done, &detail);
        if intent.content {
            self.read(closes.intent, &intent, closes.result.word());
        }
    }

    /// A grant that a standing right opened: who set the right decided, and how.
    fn opened(&mut self, record: u64, intent: &Waiting, detail: &Value) {
        let grant = detail.pointer("/consent/grant").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(opened) = detail.pointer("/consent/opened").filter(|o| o.is_object()) else { return };
        let right = opened.get("standing").and_then(Value::as_str).unwrap_or_default();
        let (by, mfa) = self.rights.get(right).cloned().unwrap_or_default();
        self.approved(record, intent, (&format!("{by} by {right}"), mfa), (grant, opened));
    }

    fn decided(&mut self, record: u64, intent: &Waiting, by: &str, mfa: bool, detail: &Value) {
        if let Some(standing) = detail.get("standing") {
            let right = standing.get("right").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.rights.insert(right, (by.to_owned(), mfa));
            return;
        }
        let consent = detail.get("consent").unwrap_or(&Value::Null);
        let get = |name: &str| consent.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if get("act") == "approve" {
            self.approved(record, intent, (by, mfa), (get("grant"), consent));
        }
    }

    fn approved(
        &mut self,
        record: u64,
        intent: &Waiting,
        (by, mfa): (&str, bool),
        (grant, consent): (String, &Value),
    ) {
        let get = |name: &str| consent.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.approvals.population += 1;
        if !mfa {
            self.approvals
                .exception(record, format!("grant {grant} was approved by {by} without a second factor"));
        }
        let until = consent.get("untilMs").and_then(Value::as_u64);
        let uses_max = consent.get("usesMax").and_then(Value::as_u64);
        self.approvals.row(vec![
            record.to_string(),
            time(intent.at_ms),
            by.to_owned(),
            if mfa { "yes" } else { "NO" }.to_owned(),
            grant.clone(),
            get("operator"),
            ["object", "prefix", "target"].map(get).concat(),
            until.map_or_else(String::new, time),
            uses_max.map_or_else(String::new, |n| n.to_string()),
        ]);
        self.grants.insert(grant, Grant { uses_max, uses: 0 });
    }

    fn read(&mut self, record: u64, intent: &Waiting, ended: &str) {
        self.reads.population += 1;
        // That a live grant covered it is the verifier's own check: it ends with the first that is not.
        self.reads.row(vec![
            record.to_string(),
            time(intent.at_ms),
            intent.employee.clone(),
            intent.resource.splitn(5, ':').last().unwrap_or_default().to_owned(),
            intent.grant.clone(),
            ended.to_owned(),
        ]);
        if intent.continues {
            return;
        }
        self.uses.population += 1;
        if let Some(grant) = self.grants.get_mut(&intent.grant) {
            grant.uses += 1;
            match grant.uses_max {
                None => self.uses.unclear += 1,
                Some(max) if grant.uses > max => {
                    let why =
                        format!("grant {} was used {} times and allows {max}", intent.grant, grant.uses);
                    self.uses.exception(record, why);
                }
                Some(_) => {}
            }
        } else {
            self.uses.unclear += 1;
        }
    }

    /// Each use of a data key belongs to a read of content, and each read that gave something used one.
    fn released(&mut self, record: u64, intent: &Waiting, done: bool, detail: &Value) {
        let releases = detail.get("keyReleases").and_then(Value::as_u64);
        let (name, kind) = (&intent.name, &intent.kind);
        match (intent.content, releases) {
            (true, None) if done => {
                self.keys.population += 1;
                self.keys
                    .exception(record, format!("{name} gave content, and its outcome names no use of a key"));
            }
            (true, Some(0)) if done => {
                self.keys.population += 1;
                self.keys.exception(record, format!("{name} gave content without the use of a key"));
            }
            (true, Some(_)) => self.keys.population += 1,
            // A copy that the tenant's own rule orders opens one object.
            (false, Some(1)) if name == "ReplicateObject" && self.is_ordered(&intent.resource) => {
                self.keys.population += 1;
            }
            (false, Some(n @ 1..)) => {
                self.keys.population += 1;
                self.keys.exception(
                    record,
                    format!("{name} ({kind}) reads no content and used a data key {n} times"),
                );
            }
            _ => {}
        }
    }

    /// Whether the tenant's rules want an object to be copied.
    fn is_ordered(&self, resource: &str) -> bool {
        let object = resource.splitn(5, ':').last().unwrap_or_default();
        let Some((bucket, key)) = object.split_once('/') else { return false };
        self.copied.get(bucket).is_some_and(|all| all.iter().any(|prefix| key.starts_with(prefix.as_str())))
    }

    fn about_the_log(&mut self, entry: &Entry, view: &EventView<'_>) {
        match view.form(entry.kind, entry.index) {
            Ok(Some(Form::Erasure(e))) => {
                self.erasures.population += 1;
                self.erasures.row(vec![
                    entry.index.to_string(),
                    time(entry.time_ms),
                    e.by,
                    e.indices.len().to_string(),
                    e.reason,
                    e.legal_basis,
                ]);
            }
            Ok(Some(Form::Finding(f))) => {
                self.findings.population += 1;
                if f.result.word() == "fails" {
                    self.findings.exception(entry.index, format!("{}: {}", f.check, f.detail));
                }
                self.findings.row(vec![
                    entry.index.to_string(),
                    time(entry.time_ms),
                    f.check,
                    f.result.word().to_owned(),
                ]);
            }
            _ => {}
        }
    }

    pub(super) fn finish(mut self, report: &Report) -> Vec<Procedure> {
        for record in &report.overdue {
            self.outcomes.exception(*record, "an intent without an outcome for over ten minutes");
        }
        let closed: u64 = report.withheld.values().sum::<u64>() + report.erased;
        let note = (closed > 0)
            .then(|| format!("{closed} records of the log are withheld or erased; they were not looked at."));
        let mut counts = Tally { population: report.records, ..Tally::default() };
        for (word, n) in &self.kinds {
            counts.row(vec!["records".into(), (*word).to_owned(), n.to_string()]);
        }
        for ((kind, level), n) in &self.types {
            counts.row(vec!["platform events".into(), format!("{kind} {level}"), n.to_string()]);
        }
        for (operator, names) in &self.operators {
            for (name, n) in names {
                counts.row(vec![format!("operator {operator}"), name.clone(), n.to_string()]);
            }
        }
        // Reads without approval in an erased log were counted and not found wanting; see the verifier's own promise.
        self.reads.unclear += report.counts.reads_without_approval;
        vec![
            self.reads.ends(
                "P1",
                "Each read of content has a live grant",
                "For every record of an operator's read of content, the grant that it names was looked for among the tenant's decisions before it, and compared in object, action, operator, time and revocation.",
                &["Record", "Time", "Operator", "Object", "Grant", "Ended"],
                note.clone(),
            ),
            self.approvals.ends(
                "P2",
                "Each grant was approved with a second factor",
                "For every approval of a request, it was looked up whether the person who approved had shown a second factor in that session.",
                &["Record", "Time", "Approved by", "MFA", "Grant", "Operator", "Object", "Until", "Uses"],
                note.clone(),
            ),
            self.uses.ends(
                "P3",
                "No grant was used more often than it allows",
                "The reads under each grant were counted (the windows of one long read once) and compared with the number that the tenant allowed.",
                &[],
                None,
            ),
            self.stability.ends(
                "P4",
                "Stability work reads no content",
                "Every event of the type ALIYUN_INITIATED_SERVICE was looked at for a read of content; each step of a broken glass, and each act under one, is listed. That two operators broke it, and that it was not over, is the verifier's own check.",
                &["Record", "Time", "Operator", "Act", "Why"],
                note.clone(),
            ),
            self.keys.ends(
                "P5",
                "Uses of data keys match reads of content",
                "Every outcome of an act of the platform was looked at for the number of data keys that were opened for it: at least one for a read that gave content, one for a copy that a rule of the tenant's own (PutBucketReplication) orders, none for anything else.",
                &[],
                None,
            ),
            self.outcomes.ends(
                "P6",
                "Each act of the platform has a known outcome",
                "Every intent of the platform was matched with its outcome; those without one for over ten minutes, and those whose outcome is unknown, are exceptions to be explained.",
                &[],
                None,
            ),
            self.compliance.ends(
                "P7",
                "Legal handling names its reference and reads no content",
                "Every event of the type ALIYUN_INITIATED_PENALTY was looked at for its legal reference and for a read of content; every takedown that took effect, for two different people.",
                &["Record", "Time", "Operator", "Act", "Why"],
                note,
            ),
            self.erasures.ends(
                "P8",
                "Erasures are listed",
                "Every record of an erasure is listed with who asked for it, why, and on which legal basis; that kind and age allowed it is the verifier's own check.",
                &["Record", "Time", "By", "Events", "Reason", "Legal basis"],
                None,
            ),
            self.findings.ends(
                "P9",
                "Findings that the platform recorded",
                "Every record of a check is listed; a check that failed is an exception.",
                &["Record", "Time", "Check", "Result"],
                None,
            ),
            counts.ends(
                "P10",
                "Counts",
                "Records were counted by kind, events of the platform by type and level, and by operator.",
                &["Of", "What", "Number"],
                None,
            ),
        ]
    }
}

fn text(raw: Option<&str>) -> Cow<'_, str> {
    raw.and_then(unquoted).unwrap_or_default()
}

fn platform_text(view: &EventView<'_>, name: &str) -> String {
    let platform: Value = view.platform.and_then(|p| serde_json::from_str(p).ok()).unwrap_or(Value::Null);
    platform.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A takedown takes effect by another person than filed it; nothing when it did.
fn wrong_hands(view: &EventView<'_>) -> Option<&'static str> {
    let told = serde_json::from_str(&platform_text(view, "EventAdditionalDetail")).unwrap_or(Value::Null);
    let filed = told.get("filedBy").and_then(Value::as_str).unwrap_or_default();
    let confirmed = text(view.employee);
    match (filed.is_empty() || confirmed.is_empty(), *filed == *confirmed) {
        (true, _) => Some("does not name two people"),
        (_, true) => Some("was confirmed by who filed it"),
        _ => None,
    }
}

/// A bucket and the prefixes of what of it is to be copied.
fn rules(view: &EventView<'_>) -> (String, Vec<String>) {
    let event: Value = view.management.and_then(|m| serde_json::from_str(m).ok()).unwrap_or(Value::Null);
    let bucket = event.get("resourceName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let rules = event.pointer("/requestParameters/rules").and_then(Value::as_array);
    let on = rules.into_iter().flatten().filter(|r| r.get("on") == Some(&Value::Bool(true)));
    let prefix = |r: &Value| r.get("prefix").and_then(Value::as_str).map(str::to_owned);
    (bucket, on.filter_map(prefix).collect())
}

/// Who decided, and whether he had shown a second factor.
fn who(view: &EventView<'_>) -> (String, bool) {
    let event: Value = view.management.and_then(|m| serde_json::from_str(m).ok()).unwrap_or(Value::Null);
    let at = |path: &[&str]| {
        path.iter().try_fold(&event, |v, name| v.get(name)).and_then(Value::as_str).unwrap_or_default()
    };
    let (kind, name) = (at(&["userIdentity", "type"]), at(&["userIdentity", "userName"]));
    (format!("{kind} {name}"), at(&["additionalEventData", "isMFAChecked"]) == "true")
}
