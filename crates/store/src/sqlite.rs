//! The embedded engine: SQLite in WAL mode with full synchronisation.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use crate::journal::Watched;
use crate::row::Cell;
use crate::tx::Conn;
use crate::{Row, StoreError, Value};

pub(crate) struct SqliteConn(Connection);

impl SqliteConn {
    /// The connection that writes; `pages` is told how many pages the journal has.
    pub(crate) fn writer(path: &Path, watched: &Arc<Watched>) -> Result<Self, StoreError> {
        let mut conn = Connection::open(path).map_err(from_sqlite)?;
        // FULL makes each commit sync the WAL: what was acknowledged survives power loss (I6). What is deleted is
        // overwritten: a wrapped key that stays in a free page would be a deleted object that can be opened.
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;
             PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;",
        )
        .map_err(from_sqlite)?;
        let watched = Arc::clone(watched);
        conn.wal_hook(Some(move |_: &mut Wal, pages| {
            watched.pages.store(i64::from(pages), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(from_sqlite)?;
        Self::common(conn)
    }

    /// The connection that moves the journal while others write.
    pub(crate) fn copier(path: &Path) -> Result<Self, StoreError> {
        let conn = Connection::open(path).map_err(from_sqlite)?;
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
            .map_err(from_sqlite)?;
        Self::common(conn)
    }

    /// Moves what no reader needs any more from the journal into the file; answers the journal's pages by then.
    pub(crate) fn copy_journal(&mut self) -> Result<i64, StoreError> {
        self.0.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1)).map_err(from_sqlite)
    }

    pub(crate) fn reader(path: &Path) -> Result<Self, StoreError> {
        let conn = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI,
        )
        .map_err(from_sqlite)?;
        conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;").map_err(from_sqlite)?;
        Self::common(conn)
    }

    /// Moves the whole journal into the file and empties it: deleted rows leave the disk.
    pub(crate) fn empty_journal(path: &Path) -> Result<(), StoreError> {
        let conn = Self::common(Connection::open(path).map_err(from_sqlite)?)?;
        // Writers wait meanwhile: rather leave it for the next time than let a long reader hold them up.
        conn.0.busy_timeout(std::time::Duration::from_millis(500)).map_err(from_sqlite)?;
        conn.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").map_err(from_sqlite)
    }

    fn common(conn: Connection) -> Result<Self, StoreError> {
        conn.busy_timeout(std::time::Duration::from_secs(10)).map_err(from_sqlite)?;
        conn.set_prepared_statement_cache_capacity(256);
        // Plans do not depend on bound values. Without this SQLite parses a statement again for each new value that
        // might pick another index (partial indexes, statistics): a third of the time of a small GET.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(from_sqlite)?;
        Ok(Self(conn))
    }
}

impl Conn for SqliteConn {
    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        #[cfg(debug_assertions)]
        crate::plans::note(&self.0, &numbered(sql));
        let mut stmt = self.0.prepare_cached(&numbered(sql)).map_err(from_sqlite)?;
        let columns = stmt.column_count();
        let mut rows = stmt.query(rusqlite::params_from_iter(params)).map_err(from_sqlite)?;
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(from_sqlite)? {
            let mut cells = Vec::with_capacity(columns);
            for i in 0..columns {
                cells.push(match row.get_ref(i).map_err(from_sqlite)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(v) => Cell::Int(v),
                    ValueRef::Text(v) => Cell::Text(
                        String::from_utf8(v.to_vec())
                            .map_err(|_| StoreError::Corrupt(format!("column {i} is not UTF-8")))?,
                    ),
                    ValueRef::Blob(v) => Cell::Blob(v.to_vec()),
                    ValueRef::Real(_) => {
                        return Err(StoreError::Corrupt(format!("column {i} is a real number")));
                    }
                });
            }
            out.push(Row(cells));
        }
        Ok(out)
    }

    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        #[cfg(debug_assertions)]
        crate::plans::note(&self.0, &numbered(sql));
        let mut stmt = self.0.prepare_cached(&numbered(sql)).map_err(from_sqlite)?;
        let changed = stmt.execute(rusqlite::params_from_iter(params)).map_err(from_sqlite)?;
        Ok(changed as u64)
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.0.execute_batch(sql).map_err(from_sqlite)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(v) => ValueRef::Integer(*v),
            Value::Text(v) => ValueRef::Text(v.as_bytes()),
            Value::Blob(v) => ValueRef::Blob(v),
        }))
    }
}

/// SQLite reads `$1` as a *named* parameter, numbered by first appearance; `?1` means position one.
fn numbered(sql: &str) -> Cow<'_, str> {
    if sql.contains('$') { Cow::Owned(sql.replace('$', "?")) } else { Cow::Borrowed(sql) }
}

fn from_sqlite(e: rusqlite::Error) -> StoreError {
    match e.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => StoreError::Constraint(e.to_string()),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::PermissionDenied,
        ) => StoreError::Unavailable(e.to_string()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(e.to_string()),
        _ => StoreError::Statement(e.to_string()),
    }
}
