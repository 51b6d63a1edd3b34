//! Durable intents per second against the raw group commit of the same file: rows of the same size, put into SQLite with
//! the same settings on the same disk, as many in one commit as there are callers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bailee_benches::ratio;
use bailee_rooms::gate::{Asked, Class, Intent, Operation, Touches};
use bailee_rooms::{Failure, House};
use bailee_testkit::{Engine, TestHouse, TestTenant, runtime};
use bailee_types::{Arn, TenantId};
use serde_json::Map;

const TURNS: u32 = 8;
const SLICE: Duration = Duration::from_millis(500);

/// An act that does nothing between its intent and its outcome.
struct Nothing(TenantId);

impl Operation for Nothing {
    type Output = ();

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.0.clone(),
            action: "bailee:Nothing",
            resource: Arn::own(&self.0, "nothing"),
            resource_type: "ACS::Bailee::Nothing",
            class: Class::Management { write: false },
            touches: Touches::Nothing,
            ticket: None,
            parameters: Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, _house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        Ok(())
    }
}

/// Rows of 50 + 32 + 900 bytes: what one record weighs, without what makes it a record.
struct Raw {
    db: rusqlite::Connection,
    n: i64,
}

impl Raw {
    fn new(folder: &Path) -> Self {
        let db = rusqlite::Connection::open(folder.join("raw.sqlite")).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             CREATE TABLE r (t TEXT NOT NULL, n INTEGER NOT NULL, e BLOB, l BLOB, o BLOB, PRIMARY KEY (t, n)) WITHOUT ROWID",
        )
        .unwrap();
        Self { db, n: 0 }
    }

    /// Rows per second over a slice of time, so many in one commit.
    fn rows_per_second(&mut self, slice: Duration, at_once: u32) -> f64 {
        let (start, first) = (Instant::now(), self.n);
        while start.elapsed() < slice {
            self.db.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut insert = self.db.prepare_cached("INSERT INTO r VALUES (?1, ?2, ?3, ?4, ?5)").unwrap();
            for _ in 0..at_once {
                self.n += 1;
                insert.execute(("1000000000000001", self.n, [7u8; 50], [7u8; 32], [7u8; 900])).unwrap();
            }
            drop(insert);
            self.db.execute_batch("COMMIT").unwrap();
        }
        (self.n - first) as f64 / start.elapsed().as_secs_f64()
    }
}

/// Records, the bytes of their rows, and the bytes of the events in them (sealed with a nonce of 32 bytes, one of the
/// cipher of 12 and its tag of 16).
fn stored(house: &TestHouse) -> (f64, f64, f64) {
    let db = rusqlite::Connection::open(house.folder().join("bailee.sqlite")).unwrap();
    let sql = "SELECT count(*), sum(length(entry) + length(leaf_hash) + length(sealed_opening)), \
               sum(length(sealed_opening) - 60) FROM trail_record";
    let number = |row: &rusqlite::Row<'_>, n| row.get::<_, i64>(n).map(|n| n as f64);
    db.query_row(sql, [], |r| Ok((number(r, 0)?, number(r, 1)?, number(r, 2)?))).unwrap()
}

/// Acts per second, and how long each took goes to `took`.
async fn acts_per_second(
    house: &TestHouse,
    tenant: &TestTenant,
    (slice, callers): (Duration, u32),
    took: &Arc<Mutex<Vec<Duration>>>,
) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (house, tenant, done) = (Arc::clone(&house.house), tenant.clone(), Arc::clone(&done));
        let took = Arc::clone(took);
        tasks.spawn(async move {
            let mut own = Vec::new();
            while start.elapsed() < slice {
                let began = Instant::now();
                house.perform(tenant.root.clone(), Nothing(tenant.id.clone())).await.unwrap();
                own.push(began.elapsed());
                done.fetch_add(1, Ordering::Relaxed);
            }
            took.lock().unwrap().extend(own);
        });
    }
    while tasks.join_next().await.is_some() {}
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let house = TestHouse::new(Engine::Sqlite);
    let mut raw = Raw::new(house.folder());
    let runtime = runtime();
    for callers in [1, 64] {
        let tenant = runtime.block_on(house.tenant(&format!("acme{callers}")));
        // A shared disk is fast one second and slow the next: baseline and product take turns.
        let (mut base, mut acts) = (0.0, 0.0);
        let took = Arc::new(Mutex::new(Vec::new()));
        let before = stored(&house);
        for round in 0..=TURNS {
            let b = raw.rows_per_second(SLICE, callers);
            let a = runtime.block_on(acts_per_second(&house, &tenant, (SLICE, callers), &took));
            // The first turn grows the journals to their size.
            if round > 0 {
                base += b / f64::from(TURNS);
                acts += a / f64::from(TURNS);
            }
        }
        // Each act waits for two durable records, its intent and its outcome.
        let what = format!("durable records (intents + outcomes), {callers} callers");
        let aim = if callers > 1 { 70.0 } else { 50.0 };
        ratio(&what, acts * 2.0, "raw group commit", base, "records/s", aim);
        bailee_benches::figure(
            &format!("  that is acts with intent and outcome, {callers} callers"),
            acts,
            "acts/s",
        );
        let mut took = took.lock().unwrap();
        took.sort_unstable();
        // Two appends an act; a raw commit of as many rows is what one sync costs then.
        let append = took[took.len() * 99 / 100].as_secs_f64() / 2.0;
        let sync = f64::from(callers) / base;
        bailee_benches::figure(
            "  99th percentile of an append, in raw commits (aim 3)",
            append / sync,
            "commits",
        );
        let (records, bytes, events) = stored(&house);
        let (records, bytes, events) = (records - before.0, bytes - before.1, events - before.2);
        bailee_benches::figure("  bytes of a record beside its event", (bytes - events) / records, "bytes");
    }
}
