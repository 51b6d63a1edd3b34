//! Where state lives: one interface over SQLite (embedded) and PostgreSQL, and blobs through `object_store`.
//!
//! The store knows no domain: rooms hand in their migrations and their SQL. What it promises:
//!
//! INVARIANT: [`Db::write`] answers `Ok` only after the commit that holds the closure's work is durable.
//! INVARIANT: writes run one after another, also across processes (a lock in the database), so a closure
//! that reads a row and then writes sees no other writer in between.
//! INVARIANT: a closure that fails leaves nothing behind, though it shared a commit with others.
//! INVARIANT: a blob that [`Blobs`] reported as written survives power loss.

mod blobs;
mod db;
mod journal;
mod late;
#[cfg(debug_assertions)]
pub mod plans;
mod postgres;
mod row;
mod sqlite;
mod syncer;
mod tx;

pub use blobs::{BlobError, BlobWriter, Blobs};
pub use db::{Db, DbConfig, Migration, WriteStats};
pub use late::Late;
pub use row::{Row, Value};
pub use tx::{TenantTx, Tx};

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or cannot write (disk full, connection gone). Nothing was stored.
    #[error("the database is not available ({0})")]
    Unavailable(String),
    /// A uniqueness or check constraint refused a row.
    #[error("the database refused a row ({0})")]
    Constraint(String),
    /// A row has another shape than the code expects: it was changed from outside, or by newer code.
    #[error("a stored row cannot be read ({0})")]
    Corrupt(String),
    /// A statement is wrong: our fault.
    #[error("a statement failed ({0})")]
    Statement(String),
    /// The database was made by another version of the program.
    #[error("the database does not fit this program ({0})")]
    Schema(String),
}

impl StoreError {
    /// Whether a uniqueness or check constraint refused the row.
    pub fn is_constraint(&self) -> bool {
        matches!(self, Self::Constraint(_))
    }
}
