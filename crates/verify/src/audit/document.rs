//! The report as blocks, for each form in which it is written.

use super::Audit;
use super::procedures::{Outcome, Procedure};

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// What it says, in order.
    pub blocks: Vec<Block>,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading below the title.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A table; each row has as many cells as there are columns.
    Table {
        /// The columns' names.
        columns: Vec<String>,
        /// The rows.
        rows: Vec<Vec<String>>,
    },
}

impl Document {
    /// The report of an audit.
    pub fn of(audit: &Audit) -> Self {
        let mut blocks = Vec::new();
        let mut text = |t: String| blocks.push(Block::Text(t));
        let title = "Report on agreed-upon procedures over a trail".to_owned();
        let Some(report) = &audit.verification else {
            text(format!("The bundle DOES NOT VERIFY. {}", audit.problem.as_deref().unwrap_or_default()));
            text("No procedure was performed: nothing in the bundle can be relied upon.".into());
            return Self { title, blocks };
        };
        text("This report was made by a program from one bundle and from what the auditor brought. It states what was looked at and each exception found; it is no opinion.".into());
        blocks.push(Block::Heading("Subject".into()));
        let facts = [
            ("Log", report.origin.clone()),
            ("Tenant", report.tenant.clone()),
            ("Exported", report.exported.clone()),
            ("Scope", report.scope.clone()),
            ("Records", report.records.to_string()),
            ("Root", report.root.clone()),
            ("Key", report.key.clone()),
            ("Key fingerprint", report.key_fingerprint.clone()),
            ("First record", report.counts.first_ms.map_or_else(|| "none".into(), time)),
            ("Last record", if report.records == 0 { "none".into() } else { time(report.last_ms) }),
        ];
        blocks.push(table(&["What", "Value"], facts.iter().map(|(a, b)| vec![(*a).to_owned(), b.clone()])));
        blocks.push(Block::Heading("What the bundle proves".into()));
        let rows =
            report.promises.iter().map(|p| vec![p.name.to_owned(), p.verdict.to_string(), p.detail.clone()]);
        blocks.push(table(&["Promise", "Verdict", "Detail"], rows));
        blocks.push(Block::Heading("Summary of procedures".into()));
        let rows = audit.procedures.iter().map(|p| {
            vec![
                p.id.to_owned(),
                p.title.to_owned(),
                p.population.to_string(),
                p.exceptions_total.to_string(),
                p.outcome.to_string(),
            ]
        });
        blocks.push(table(&["No.", "Procedure", "Population", "Exceptions", "Result"], rows));
        for procedure in &audit.procedures {
            one(procedure, &mut blocks);
        }
        blocks.push(Block::Heading("What this report cannot say".into()));
        blocks.push(Block::Text("An act that was never logged leaves no record: compare the provider's key release counters and the logs of your own systems. Whether a stated reason is true, and whether the tenant's people understood what they approved, no log shows.".into()));
        Self { title, blocks }
    }
}

fn one(procedure: &Procedure, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading(format!("{} {}", procedure.id, procedure.title)));
    blocks.push(Block::Text(procedure.what.to_owned()));
    let result = match procedure.outcome {
        Outcome::NoExceptions => format!("Looked at {}; no exception.", procedure.population),
        Outcome::Exceptions => {
            format!("Looked at {}; {} exceptions.", procedure.population, procedure.exceptions_total)
        }
        Outcome::NothingToLookAt => "The bundle holds nothing of this kind.".to_owned(),
        Outcome::NotShown => {
            format!("Looked at {}; the bundle does not show enough to tell.", procedure.population)
        }
    };
    blocks.push(Block::Text(result));
    if let Some(note) = &procedure.note {
        blocks.push(Block::Text(note.clone()));
    }
    if !procedure.exceptions.is_empty() {
        let rows = procedure.exceptions.iter().map(|e| vec![e.record.to_string(), e.why.clone()]);
        blocks.push(table(&["Record", "Exception"], rows));
    }
    if !procedure.rows.is_empty() {
        blocks.push(Block::Table {
            columns: procedure.columns.iter().map(|c| (*c).to_owned()).collect(),
            rows: procedure.rows.clone(),
        });
    }
    let hidden = procedure.rows_total.saturating_sub(procedure.rows.len() as u64)
        + procedure.exceptions_total.saturating_sub(procedure.exceptions.len() as u64);
    if hidden > 0 {
        blocks.push(Block::Text(format!("{hidden} further rows are counted and not listed.")));
    }
}

fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Block {
    Block::Table { columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: rows.collect() }
}

/// Milliseconds since 1970 as people read them.
pub(super) fn time(ms: u64) -> String {
    crate::places::iso(ms / 1000)
}
