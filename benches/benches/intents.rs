//! Durable intents per second against the raw group commit of the same file: rows of the same size, put into SQLite with
//! the same settings on the same disk, as many in one commit as there are callers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bailee_benches::{LONG, per_second, ratio};
use bailee_rooms::gate::{Asked, Class, Intent, Operation, Touches};
use bailee_rooms::{Failure, House};
use bailee_testkit::{Engine, TestHouse, runtime};
use bailee_types::{Arn, TenantId};
use serde_json::Map;

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
        }
    }

    async fn act(self, _house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        Ok(())
    }
}

/// Rows of 50 + 32 + 900 bytes a second: what one record weighs, without what makes it a record.
fn ceiling(folder: &Path, at_once: u32) -> f64 {
    let db = rusqlite::Connection::open(folder.join(format!("raw-{at_once}.sqlite"))).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
         CREATE TABLE r (t TEXT NOT NULL, n INTEGER NOT NULL, e BLOB, l BLOB, o BLOB, PRIMARY KEY (t, n)) WITHOUT ROWID",
    )
    .unwrap();
    let mut n = 0i64;
    let commits = per_second(|| {
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut insert = db.prepare_cached("INSERT INTO r VALUES (?1, ?2, ?3, ?4, ?5)").unwrap();
        for _ in 0..at_once {
            n += 1;
            insert.execute(("1000000000000001", n, [7u8; 50], [7u8; 32], [7u8; 900])).unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
    });
    commits * f64::from(at_once)
}

fn acts(house: &TestHouse, callers: u32) -> f64 {
    runtime().block_on(async {
        let tenant = house.tenant(&format!("acme{callers}")).await;
        let done = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..callers {
            let (house, tenant, done) = (Arc::clone(&house.house), tenant.clone(), Arc::clone(&done));
            tasks.spawn(async move {
                while start.elapsed() < LONG {
                    house.perform(tenant.root.clone(), Nothing(tenant.id.clone())).await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while tasks.join_next().await.is_some() {}
        done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
    })
}

fn main() {
    let house = TestHouse::new(Engine::Sqlite);
    for callers in [1, 64] {
        let base = ceiling(house.folder(), callers);
        let acts = acts(&house, callers);
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
