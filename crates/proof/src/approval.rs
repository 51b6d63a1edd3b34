//! An approval's statement: the text that an approver sees on the console's page before his passkey signs it
//! ([`crate::passkey`]), and that stands in the tenant's log with the signature (docs/consent.md).
//!
//! ```text
//! bailee-approval/v1
//! grant <id>
//! tenant <16 digits>
//! approver "<his name, as a JSON string>"
//! operator <pseudonym>
//! place <ISO 3166-1 alpha-2>
//! action oss:GetObject
//! object "<bucket/key, as a JSON string>"      or: prefix "<bucket/beginning of keys>", target "<name of a system>"
//! limits "<what is allowed there, as a JSON string>"      (of a target only)
//! narrowed no      or: yes, it is less than what was asked for
//! reason "<as a JSON string>"
//! minutes <n, counted from the moment at which enough persons have approved>
//! reads <n>
//! time <when the statement was made, 2026-11-25T12:00:00Z>
//! lapses <the first instant at which it opens nothing any more, if it has not by then>
//! nonce <64 hexadecimal digits>
//! ```
//! INVARIANT: what is read prints the same bytes, so what an approver saw is what was signed.

use crate::event::quoted;
use crate::grant::{Covers, GrantError, Lines};

const FIRST: &str = "bailee-approval/v1";
/// Bytes of a statement, at most.
pub const APPROVAL_BYTES_MAX: usize = 16 * 1024;

/// What one person says yes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApprovalStatement {
    /// The grant's id.
    pub grant: String,
    /// Whose data, 16 digits.
    pub tenant: String,
    /// Who approves: `root`, or a user's name.
    pub approver: String,
    /// Who is let in, as the tenant sees him.
    pub operator: String,
    /// Where he is, ISO 3166-1 alpha-2.
    pub place: String,
    /// The action, `oss:GetObject`.
    pub action: String,
    /// On what.
    pub covers: Covers,
    /// Whether that is less than what was asked for.
    pub narrowed: bool,
    /// Why he asked.
    pub reason: String,
    /// Minutes from the moment at which enough persons have approved.
    pub minutes: u32,
    /// Reads.
    pub reads: u32,
    /// When it was made, `2026-11-25T12:00:00Z`.
    pub time: String,
    /// The first instant at which it cannot open anything any more, in the same form: two of them compare as texts.
    pub lapses: String,
    /// Makes each statement another one.
    pub nonce: String,
}

impl ApprovalStatement {
    /// Reads a statement.
    ///
    /// # Errors
    /// When it is not exactly what [`ApprovalStatement`] prints.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        if text.len() > APPROVAL_BYTES_MAX {
            return Err(GrantError::TooLong(text.len()));
        }
        let mut lines = Lines::of(text);
        if lines.next() != FIRST {
            return Err(lines.wrong("`bailee-approval/v1`"));
        }
        let grant = lines.word("grant", "`grant` and its id")?;
        let tenant = lines.word("tenant", "`tenant` and its id")?;
        let approver = lines.text("approver", "`approver` and a JSON string")?;
        let operator = lines.word("operator", "`operator` and his pseudonym")?;
        let place = lines.word("place", "`place` and a country")?;
        let action = lines.word("action", "`action` and its name")?;
        let covers = lines.covers()?;
        let narrowed = match lines.word("narrowed", "`narrowed` and `yes` or `no`")?.as_str() {
            "yes" => true,
            "no" => false,
            _ => return Err(lines.wrong("`narrowed` and `yes` or `no`")),
        };
        let reason = lines.text("reason", "`reason` and a JSON string")?;
        let minutes = lines.count("minutes", "`minutes` and a number")?;
        let reads = lines.count("reads", "`reads` and a number")?;
        let time = lines.word("time", "`time` and an instant")?;
        if !is_instant(&time) {
            return Err(lines.wrong("`time` and an instant"));
        }
        let lapses = lines.word("lapses", "`lapses` and an instant")?;
        if !is_instant(&lapses) {
            return Err(lines.wrong("`lapses` and an instant"));
        }
        let nonce = lines.word("nonce", "`nonce` and 64 hexadecimal digits")?;
        if nonce.len() != 64 || !nonce.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(lines.wrong("`nonce` and 64 hexadecimal digits"));
        }
        let read = Self {
            grant,
            tenant,
            approver,
            operator,
            place,
            action,
            covers,
            narrowed,
            reason,
            minutes,
            reads,
            time,
            lapses,
            nonce,
        };
        // Other escapes, or something behind the last line.
        if read.to_string() == text { Ok(read) } else { Err(lines.spelling()) }
    }
}

/// `2026-11-25T12:00:00Z`, by its form.
fn is_instant(text: &str) -> bool {
    let form = b"dddd-dd-ddTdd:dd:ddZ";
    text.len() == form.len()
        && text.bytes().zip(form).all(|(b, f)| if *f == b'd' { b.is_ascii_digit() } else { b == *f })
}

impl std::fmt::Display for ApprovalStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST}")?;
        writeln!(f, "grant {}", self.grant)?;
        writeln!(f, "tenant {}", self.tenant)?;
        writeln!(f, "approver {}", quoted(&self.approver))?;
        writeln!(f, "operator {}", self.operator)?;
        writeln!(f, "place {}", self.place)?;
        writeln!(f, "action {}", self.action)?;
        self.covers.lines(f)?;
        writeln!(f, "narrowed {}", if self.narrowed { "yes" } else { "no" })?;
        writeln!(f, "reason {}", quoted(&self.reason))?;
        writeln!(f, "minutes {}", self.minutes)?;
        writeln!(f, "reads {}", self.reads)?;
        writeln!(f, "time {}", self.time)?;
        writeln!(f, "lapses {}", self.lapses)?;
        writeln!(f, "nonce {}", self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn statement() -> ApprovalStatement {
        ApprovalStatement {
            grant: "G-0123456789ab".into(),
            tenant: "1000000000000001".into(),
            approver: "li".into(),
            operator: "e-4711".into(),
            place: "SG".into(),
            action: "oss:GetObject".into(),
            covers: Covers::Prefix("invoices/2026/\"q\"\n发票".into()),
            narrowed: true,
            reason: "ticket T-7: the file does not open".into(),
            minutes: 30,
            reads: 3,
            time: "2026-11-25T12:00:00Z".into(),
            lapses: "2026-11-28T12:00:00Z".into(),
            nonce: "0f".repeat(32),
        }
    }

    #[test]
    fn a_statement_has_one_spelling() {
        let good = statement().to_string();
        assert_eq!(ApprovalStatement::parse(&good).unwrap(), statement());
        for (from, to, why) in [
            ("bailee-approval/v1", "bailee-grant/v1", "line 1 "),
            ("approver \"li\"", "approver li", "line 4 "),
            ("prefix", "bucket", "line 8 "),
            ("narrowed yes", "narrowed maybe", "line 9 "),
            ("reason \"t", "reason \"\\u0074", "as it is printed"),
            ("minutes 30", "minutes 030", "line 11 "),
            ("reads 3", "reads 4294967296", "line 12 "),
            ("time 2026-11-25T12", "time 2026-11-25 12", "line 13 "),
            ("lapses 2026", "lapses 26", "line 14 "),
            ("nonce 0f", "nonce 0F", "line 15 "),
            ("0f\n", "0f\nreads 4\n", "as it is printed"),
        ] {
            assert!(good.contains(from), "{from}");
            let said = ApprovalStatement::parse(&good.replace(from, to)).unwrap_err().to_string();
            assert!(said.contains(why), "{to}: {said}");
        }
        let long = statement();
        let long = ApprovalStatement { reason: "x".repeat(APPROVAL_BYTES_MAX), ..long }.to_string();
        assert!(matches!(ApprovalStatement::parse(&long), Err(GrantError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn what_is_read_prints_the_same(text in "\\PC{0,200}", name in any::<String>(), cut in any::<prop::sample::Index>()) {
            let _ = ApprovalStatement::parse(&text);
            let covers = Covers::Target { name: name.clone(), limits: name.clone() };
            let written = ApprovalStatement { covers, approver: name, ..statement() }.to_string();
            prop_assert_eq!(ApprovalStatement::parse(&written).unwrap().to_string(), written.clone());
            if let Some(cut) = written.get(..cut.index(written.len())) {
                prop_assert!(ApprovalStatement::parse(cut).is_err());
            }
        }
    }
}
