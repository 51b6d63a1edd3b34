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
//! object "<bucket/key, as a JSON string>"
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
    /// `bucket/key`.
    pub object: String,
    /// Why he asked.
    pub reason: String,
    /// The first instant at which it allows nothing any more, milliseconds since 1970.
    pub until_ms: u64,
    /// Reads.
    pub reads: u32,
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
        let mut lines = text.split('\n').enumerate();
        let mut line = |wanted: &'static str| {
            let (at, line) = lines.next().unwrap_or((0, ""));
            (at + 1, line, wanted)
        };
        let wrong = |(line, _, wanted)| GrantError::Line { line, wanted };
        let first = line("`bailee-grant/v1`");
        if first.1 != FIRST {
            return Err(wrong(first));
        }
        let mut word = |name: &'static str, wanted: &'static str| {
            let found = line(wanted);
            let value = found.1.strip_prefix(name).and_then(|v| v.strip_prefix(' '));
            let plain = value.filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_graphic()));
            plain.map(str::to_owned).ok_or_else(|| wrong(found))
        };
        let grant = word("grant", "`grant` and its id")?;
        let tenant = word("tenant", "`tenant` and its id")?;
        let operator = word("operator", "`operator` and his pseudonym")?;
        let place = word("place", "`place` and a country")?;
        let action = word("action", "`action` and its name")?;
        let mut text_of = |name: &'static str, wanted: &'static str| {
            let found = line(wanted);
            let value = found.1.strip_prefix(name).and_then(|v| v.strip_prefix(' ')).and_then(unquoted);
            value.map(std::borrow::Cow::into_owned).ok_or_else(|| wrong(found))
        };
        let object = text_of("object", "`object` and bucket/key as a JSON string")?;
        let reason = text_of("reason", "`reason` and a JSON string")?;
        let mut number = |name: &'static str, wanted: &'static str| {
            let found = line(wanted);
            let value = found.1.strip_prefix(name).and_then(|v| v.strip_prefix(' '));
            value.and_then(crate::witness::canonical).ok_or_else(|| wrong(found))
        };
        let until_ms = number("until", "`until` and milliseconds")?;
        let reads = number("reads", "`reads` and a number")?;
        let reads = u32::try_from(reads).map_err(|_| wrong((10, "", "`reads` and a number")))?;
        let read = Self { grant, tenant, operator, place, action, object, reason, until_ms, reads };
        // Other escapes, or something behind the last line.
        if read.to_string() == text {
            Ok(read)
        } else {
            Err(wrong((7, "", "as it is printed, and nothing may stand behind the last line")))
        }
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

impl std::fmt::Display for GrantStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST}")?;
        writeln!(f, "grant {}", self.grant)?;
        writeln!(f, "tenant {}", self.tenant)?;
        writeln!(f, "operator {}", self.operator)?;
        writeln!(f, "place {}", self.place)?;
        writeln!(f, "action {}", self.action)?;
        writeln!(f, "object {}", quoted(&self.object))?;
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
            object: "invoices/2026/\"q\"\n发票.pdf".into(),
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

    proptest! {
        #[test]
        fn what_is_read_prints_the_same(text in "\\PC{0,200}", object in any::<String>(), cut in any::<prop::sample::Index>()) {
            let _ = GrantStatement::parse(&text);
            let written = GrantStatement { object, ..statement() }.to_string();
            let read = GrantStatement::parse(&written).unwrap();
            prop_assert_eq!(read.to_string(), written.clone());
            let at = cut.index(written.len());
            if let Some(cut) = written.get(..at) {
                prop_assert!(GrantStatement::parse(cut).is_err());
            }
        }
    }
}
