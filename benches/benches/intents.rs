//! Durable intents per second against the raw group commit of the same file: rows of the same size, put into SQLite with
//! the same settings on the same disk, as many in one commit as there are callers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

async fn acts_per_second(house: &TestHouse, tenant: &TestTenant, slice: Duration, callers: u32) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (house, tenant, done) = (Arc::clone(&house.house), tenant.clone(), Arc::clone(&done));
        tasks.spawn(async move {
            while start.elapsed() < slice {
                house.perform(tenant.root.clone(), Nothing(tenant.id.clone())).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
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
        for round in 0..=TURNS {
            let b = raw.rows_per_second(SLICE, callers);
            let a = runtime.block_on(acts_per_second(&house, &tenant, SLICE, callers));
            // The first turn grows the journals to their size.
            if round > 0 {
                base += b / f64::from(TURNS);
                acts += a / f64::from(TURNS);
            }
        }
        // Each act waits for two durable records, its intent and its outcome.
        let what = format!("durable records (intents + outcomes), {callers} callers");
        ratio(&what, acts * 2.0, "raw group commit", base, "records/s", 50.0);
        bailee_benches::figure(
            &format!("  that is acts with intent and outcome, {callers} callers"),
            acts,
            "acts/s",
        );
    }
}
