//! `bailee-verify audit`: agreed-upon procedures over a bundle, as an assurance firm performs them once a year: what was
//! looked at, how many, and each exception by its record.
//!
//! The report is made of the bundle and of what the auditor brought, of nothing else: two runs print the same bytes.
//! INVARIANT: a procedure passes only when its whole population was seen; what is withheld or erased is said beside it.

mod document;
mod markdown;
mod pdf;
mod procedures;

use std::io::Read;

use serde::Serialize;

use crate::report::Report;
use crate::{Expect, Problem, verify_with};

pub use document::{Block, Document};
pub use procedures::{Exception, Outcome, Procedure};

/// An audit of one bundle.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The bundle's own verification; none when it does not verify.
    pub verification: Option<Report>,
    /// Why it does not verify.
    pub problem: Option<String>,
    /// What was done, in order; empty when the bundle does not verify.
    pub procedures: Vec<Procedure>,
}

/// Verifies a bundle and performs all procedures.
///
/// # Errors
/// [`Problem::Unreadable`] only: a bundle that does not verify gives an audit that says so.
pub fn audit(source: impl Read + Send, expect: &Expect) -> Result<Audit, Problem> {
    let mut work = procedures::Work::default();
    match verify_with(source, expect, Some(&mut work)) {
        Ok(report) => {
            let procedures = work.finish(&report);
            Ok(Audit { verification: Some(report), problem: None, procedures })
        }
        Err(Problem::Unreadable(why)) => Err(Problem::Unreadable(why)),
        Err(problem @ Problem::Violation { promise, .. }) => Ok(Audit {
            verification: None,
            problem: Some(format!("{promise}: {problem}")),
            procedures: Vec::new(),
        }),
    }
}

impl Audit {
    /// Whether it verifies and no procedure found an exception.
    pub fn is_clean(&self) -> bool {
        self.problem.is_none() && self.procedures.iter().all(|p| p.outcome != Outcome::Exceptions)
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        markdown::write(&Document::of(self))
    }

    /// As JSON, with a newline.
    pub fn json(&self) -> String {
        // Maps are sorted and no value can fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// As a PDF of A4 pages.
    pub fn pdf(&self) -> Vec<u8> {
        pdf::write(&Document::of(self))
    }
}
