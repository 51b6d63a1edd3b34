//! How the embedded engine runs statements: for tests that ask whether a table is walked from end to end. In a release
//! build there is none of this.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;

static WATCHED: AtomicBool = AtomicBool::new(false);
static SCANS: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

/// From now on, notes each statement of this process that walks a table or an index from end to end, or all that it has of
/// a tenant.
pub fn watch() {
    WATCHED.store(true, Ordering::Relaxed);
}

/// What was noted so far: what is walked (`SCAN ram_user`), and the statement.
pub fn scans() -> BTreeSet<(String, String)> {
    SCANS.lock().clone()
}

pub(crate) fn note(conn: &Connection, sql: &str) {
    if !WATCHED.load(Ordering::Relaxed) {
        return;
    }
    // What cannot be explained is no query.
    let Ok(mut explained) = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")) else { return };
    // Plans do not depend on values, so none are bound.
    let mut rows = explained.raw_query();
    while let Ok(Some(row)) = rows.next() {
        let Ok(detail) = row.get::<_, String>(3) else { continue };
        // All of one tenant is a walk, too.
        if detail.starts_with("SCAN ") || detail.ends_with("(tenant_id=?)") {
            SCANS.lock().insert((detail, sql.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
}
