//! A grant's statement: what a tenant's approver signs with a key of his own, and what a tenant's key service looks at
//! before it opens one data key for somebody of the provider (docs/keyhouse.md).
//!
//! ```text
//! bailee-grant/v1
//! grant <id>
//! tenant <16 digits>
//! operator <pseudonym>
//! place <ISO 3166-1 alpha-2>
//! action oss:GetObject
//! object "<bucket/key, as a JSON string>"      or: prefix "<bucket/beginning of keys>", target "<name of a system>"
//! limits "<what is allowed there, as a JSON string>"      (of a target only)
//! reason "<as a JSON string>"
//! until <milliseconds since 1970>
//! reads <n>
//! ```
//! It is the text of a signed note (C2SP signed-note); each signature is one approver's.
//! INVARIANT: what is read prints the same bytes, so what an approver saw is what was signed.

use crate::event::{quoted, unquoted};
use crate::note::{Note, NoteError, Signer, VerifierKey, sign};

const FIRST: &str = "bailee-grant/v1";
/// Bytes of a statement, at most.
const STATEMENT_BYTES_MAX: usize = 16 * 1024;

/// Who may do what until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantStatement {
    /// The grant's id.
    pub grant: String,
    /// Whose data, 16 digits.
    pub tenant: String,
    /// Who, as the tenant sees him.
    pub operator: String,
    /// Where he is, ISO 3166-1 alpha-2.
    pub place: String,
    /// The action, `oss:GetObject`.
    pub action: String,
    /// On what.
    pub covers: Covers,
    /// Why he asked.
    pub reason: String,
    /// The first instant at which it allows nothing any more, milliseconds since 1970.
    pub until_ms: u64,
    /// Reads.
    pub reads: u32,
}

/// What a grant covers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Covers {
    /// One object, `bucket/key`.
    Object(String),
    /// All objects whose `bucket/key` begins so.
    Prefix(String),
    /// A system that brokers reach.
    Target {
        /// Its name.
        name: String,
        /// What is allowed there, in the house's own JSON.
        limits: String,
    },
}

impl Covers {
    /// Whether it covers a resource: the part of an ARN after the account, `bucket/key` or `target/<name>`.
    pub fn covers(&self, relative: &str) -> bool {
        match self {
            Self::Object(object) => object == relative,
            Self::Prefix(prefix) => relative.starts_with(prefix.as_str()),
            Self::Target { name, .. } => relative.strip_prefix("target/") == Some(name),
        }
    }

    /// As one line of a statement, of a target two.
    pub(crate) fn lines(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} {}", self.word(), quoted(self.name()))?;
        match self {
            Self::Target { limits, .. } => writeln!(f, "limits {}", quoted(limits)),
            _ => Ok(()),
        }
    }

    /// `object`, `prefix` or `target`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Object(_) => "object",
            Self::Prefix(_) => "prefix",
            Self::Target { .. } => "target",
        }
    }

    /// The object, the prefix, the target's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(name) | Self::Prefix(name) | Self::Target { name, .. } => name,
        }
    }
}

/// Why a statement was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Longer than any can be.
    #[error("the statement has {0} bytes, more than 16384")]
    TooLong(usize),
    /// A line of another form.
    #[error("line {line} of the statement must be {wanted}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it must be.
        wanted: &'static str,
    },
    /// Its form or signatures as a note.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl GrantStatement {
    /// Reads a statement without signatures.
    ///
    /// # Errors
    /// When it is not exactly what [`GrantStatement`] prints.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        if text.len() > STATEMENT_BYTES_MAX {
            return Err(GrantError::TooLong(text.len()));
        }
        let mut lines = Lines::of(text);
        if lines.next() != FIRST {
            return Err(lines.wrong("`bailee-grant/v1`"));
        }
        let grant = lines.word("grant", "`grant` and its id")?;
        let tenant = lines.word("tenant", "`tenant` and its id")?;
        let operator = lines.word("operator", "`operator` and his pseudonym")?;
        let place = lines.word("place", "`place` and a country")?;
        let action = lines.word("action", "`action` and its name")?;
        let covers = lines.covers()?;
        let reason = lines.text("reason", "`reason` and a JSON string")?;
        let until_ms = lines.number("until", "`until` and milliseconds")?;
        let reads = lines.count("reads", "`reads` and a number")?;
        let read = Self { grant, tenant, operator, place, action, covers, reason, until_ms, reads };
        // Other escapes, or something behind the last line.
        if read.to_string() == text { Ok(read) } else { Err(lines.spelling()) }
    }

    /// Reads a signed statement and checks every signature by one of `approvers`; says which of them signed.
    ///
    /// # Errors
    /// When it has another form, a known approver's signature is wrong, or there is none.
    pub fn open(note: &[u8], approvers: &[&VerifierKey]) -> Result<(Self, Vec<String>), GrantError> {
        let note = Note::parse(note)?;
        let by = note.verify(approvers)?;
        let names: std::collections::BTreeSet<String> =
            by.iter().filter_map(|v| approvers.get(v.key)).map(|k| k.name().to_owned()).collect();
        Ok((Self::parse(note.text())?, names.into_iter().collect()))
    }

    /// Reads a signed statement without looking at its signatures.
    ///
    /// # Errors
    /// When it has another form.
    pub fn read_unverified(note: &[u8]) -> Result<Self, GrantError> {
        Self::parse(Note::parse(note)?.text())
    }

    /// The statement, signed.
    ///
    /// # Errors
    /// When it cannot stand in a note.
    pub fn sign(&self, approver: &Signer) -> Result<String, GrantError> {
        Ok(sign(&self.to_string(), &[approver])?)
    }
}

/// The lines of a statement, one after the other.
pub(crate) struct Lines<'t> {
    rest: std::str::Split<'t, char>,
    at: usize,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        Self { rest: text.split('\n'), at: 0 }
    }

    pub(crate) fn next(&mut self) -> &'t str {
        self.at += 1;
        self.rest.next().unwrap_or_default()
    }

    pub(crate) fn wrong(&self, wanted: &'static str) -> GrantError {
        GrantError::Line { line: self.at, wanted }
    }

    fn after(&mut self, name: &str) -> Option<&'t str> {
        self.next().strip_prefix(name).and_then(|v| v.strip_prefix(' '))
    }

    pub(crate) fn word(&mut self, name: &str, wanted: &'static str) -> Result<String, GrantError> {
        let plain = self.after(name).filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_graphic()));
        plain.map(str::to_owned).ok_or_else(|| self.wrong(wanted))
    }

    pub(crate) fn text(&mut self, name: &str, wanted: &'static str) -> Result<String, GrantError> {
        let value = self.after(name).and_then(unquoted);
        value.map(std::borrow::Cow::into_owned).ok_or_else(|| self.wrong(wanted))
    }

    fn number(&mut self, name: &str, wanted: &'static str) -> Result<u64, GrantError> {
        self.after(name).and_then(crate::witness::canonical).ok_or_else(|| self.wrong(wanted))
    }

    pub(crate) fn count(&mut self, name: &str, wanted: &'static str) -> Result<u32, GrantError> {
        u32::try_from(self.number(name, wanted)?).map_err(|_| self.wrong(wanted))
    }

    /// What [`Covers::lines`] prints.
    pub(crate) fn covers(&mut self) -> Result<Covers, GrantError> {
        let found = self.next();
        let (word, name) = found.split_once(' ').unwrap_or((found, ""));
        let name = unquoted(name).map(std::borrow::Cow::into_owned);
        match (word, name) {
            ("object", Some(name)) => Ok(Covers::Object(name)),
            ("prefix", Some(name)) => Ok(Covers::Prefix(name)),
            ("target", Some(name)) => {
                let limits = self.text("limits", "`limits` and a JSON string")?;
                Ok(Covers::Target { name, limits })
            }
            _ => Err(self.wrong("`object`, `prefix` or `target` and its name as a JSON string")),
        }
    }

    /// Why what was read is not what was written.
    pub(crate) fn spelling(&self) -> GrantError {
        GrantError::Line {
            line: self.at,
            wanted: "as it is printed, as all before it, and nothing may stand behind it",
        }
    }
}

impl std::fmt::Display for GrantStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST}")?;
        writeln!(f, "grant {}", self.grant)?;
        writeln!(f, "tenant {}", self.tenant)?;
        writeln!(f, "operator {}", self.operator)?;
        writeln!(f, "place {}", self.place)?;
        writeln!(f, "action {}", self.action)?;
        self.covers.lines(f)?;
        writeln!(f, "reason {}", quoted(&self.reason))?;
        writeln!(f, "until {}", self.until_ms)?;
        writeln!(f, "reads {}", self.reads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn statement() -> GrantStatement {
        GrantStatement {
            grant: "g-0123456789abcdef".into(),
            tenant: "1000000000000001".into(),
            operator: "e-4711".into(),
            place: "SG".into(),
            action: "oss:GetObject".into(),
            covers: Covers::Object("invoices/2026/\"q\"\n发票.pdf".into()),
            reason: "ticket T-7: the file does not open".into(),
            until_ms: 1_767_323_045_000,
            reads: 3,
        }
    }

    #[test]
    fn a_signed_statement_opens_under_its_approvers_key_only() {
        let signer = Signer::from_seed("alice@acme", &[7; 32]).unwrap();
        let other = Signer::from_seed("alice@acme", &[8; 32]).unwrap();
        let note = statement().sign(&signer).unwrap();
        let (read, by) = GrantStatement::open(note.as_bytes(), &[signer.verifier()]).unwrap();
        assert_eq!((read, by), (statement(), vec!["alice@acme".to_owned()]));
        assert!(GrantStatement::open(note.as_bytes(), &[other.verifier()]).is_err());
        let longer = note.replace("reads 3", "reads 30");
        assert!(GrantStatement::open(longer.as_bytes(), &[signer.verifier()]).is_err());
        assert_eq!(GrantStatement::read_unverified(longer.as_bytes()).unwrap().reads, 30);
    }

    #[test]
    fn a_statement_has_one_spelling() {
        let good = statement().to_string();
        assert_eq!(GrantStatement::parse(&good).unwrap(), statement());
        for (from, to, why) in [
            ("bailee-grant/v1", "bailee-grant/v2", "line 1"),
            ("grant g-", "grant  g-", "line 2"),
            ("place SG", "place ", "line 5"),
            ("object \"inv", "object \"\\u0069nv", "as it is printed"),
            ("until 1767323045000", "until 01767323045000", "line 9"),
            ("reads 3", "reads 4294967296", "line 10"),
            ("reads 3\n", "reads 3\nreads 4\n", "as it is printed"),
        ] {
            assert!(good.contains(from), "{from}");
            let said = GrantStatement::parse(&good.replace(from, to)).unwrap_err().to_string();
            assert!(said.contains(why), "{to}: {said}");
        }
    }

    fn covers() -> impl Strategy<Value = Covers> {
        prop_oneof![
            any::<String>().prop_map(Covers::Object),
            any::<String>().prop_map(Covers::Prefix),
            any::<(String, String)>().prop_map(|(name, limits)| Covers::Target { name, limits }),
        ]
    }

    #[test]
    fn a_prefix_covers_what_begins_so_and_a_target_nothing_else() {
        let prefix = Covers::Prefix("invoices/2026/".into());
        assert!(prefix.covers("invoices/2026/a") && prefix.covers("invoices/2026/"));
        assert!(!prefix.covers("invoices/2025/a") && !prefix.covers("invoices/2026"));
        let target = Covers::Target { name: "web-1".into(), limits: "{}".into() };
        assert!(target.covers("target/web-1") && !target.covers("web-1") && !target.covers("target/web-11"));
    }

    proptest! {
        #[test]
        fn what_is_read_prints_the_same(text in "\\PC{0,200}", covers in covers(), cut in any::<prop::sample::Index>()) {
            let _ = GrantStatement::parse(&text);
            let written = GrantStatement { covers, ..statement() }.to_string();
            let read = GrantStatement::parse(&written).unwrap();
            prop_assert_eq!(read.to_string(), written.clone());
            let at = cut.index(written.len());
            if let Some(cut) = written.get(..at) {
                prop_assert!(GrantStatement::parse(cut).is_err());
            }
        }
    }
}
