//! How long a record waits for a signed head, and a record that must be seen from outside (an operator's act, a refusal)
//! for a head that a witness on the same machine has cosigned: from the answer to the act.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bailee_benches::figure;
use bailee_proof::note::VerifierKey;
use bailee_proof::policy::Policy;
use bailee_rooms::outside::{Answer, Outside, Post};
use bailee_rooms::tickets::{Filter, ListTickets};
use bailee_rooms::trail::ShowEnrolment;
use bailee_testkit::{Engine, TestHouse, TestTenant, runtime};
use bailee_witness::{Witness, WitnessKey};

const ROUNDS: usize = 40;

/// A witness with its state on disk, reached by a call instead of a socket.
#[derive(Default)]
struct Local(OnceLock<Witness>);

/// The house's clock stands still, so does the witness's; what is measured is the machine's time.
const NOW: u64 = 1_795_608_000;

#[async_trait]
impl Outside for Local {
    async fn get(&self, _: &str) -> Result<Vec<u8>, String> {
        Err("nothing is fetched here".into())
    }

    async fn post(&self, _: &str, _: &str, _: Option<&str>) -> Result<(u16, Vec<u8>), String> {
        Err("no forms here".into())
    }

    async fn submit(&self, post: Post) -> Result<Answer, String> {
        let answer = self.0.get().ok_or("not yet")?.add_checkpoint(&post.body, NOW);
        Ok(Answer { status: answer.status, body: answer.body })
    }
}

/// Records of a tenant's log, and how many of them a signed head covers. Asking the house would sign.
fn sizes(db: &rusqlite::Connection, tenant: &TestTenant) -> (u64, u64) {
    let sql = "SELECT size, signed_size FROM trail_log WHERE tenant_id = ?1";
    let row = db.query_row(sql, [tenant.id.as_str()], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)));
    let (size, signed) = row.unwrap();
    (size as u64, signed as u64)
}

/// Polls until `there` says so.
async fn wait(mut there: impl AsyncFnMut() -> bool) {
    while !there().await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn signed(t: &TestHouse, db: &rusqlite::Connection, acme: &TestTenant) -> Duration {
    acme.ticket(t).await;
    let start = Instant::now();
    let records = sizes(db, acme).0;
    wait(async || sizes(db, acme).1 >= records).await;
    start.elapsed()
}

async fn cosigned(
    t: &TestHouse,
    db: &rusqlite::Connection,
    acme: &TestTenant,
    other: &TestTenant,
    policy: &Policy,
) -> Duration {
    let receipt =
        t.house.perform(acme.root.clone(), ShowEnrolment { tenant: acme.id.clone() }).await.unwrap().receipt;
    // What belongs to another tenant is refused, and the refusal stands in the asking tenant's log.
    let asked =
        ListTickets { tenant: other.id.clone(), filter: Filter::default(), before: None, tickets_max: 10 };
    t.house.perform(acme.root.clone(), asked).await.unwrap_err();
    let start = Instant::now();
    let records = sizes(db, acme).0;
    wait(async || {
        if sizes(db, acme).1 < records {
            return false;
        }
        let Ok(places) = t.house.places(&acme.id, records).await else { return false };
        places
            .open(&receipt, policy, NOW)
            .is_ok_and(|found| found.last().is_some_and(|p| p.line.size >= records && p.seen.met))
    })
    .await;
    start.elapsed()
}

fn tell(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    figure(&format!("{what}, median"), took[took.len() / 2].as_secs_f64() * 1000.0, "ms");
    figure(&format!("{what}, 99 %"), took[took.len() * 99 / 100].as_secs_f64() * 1000.0, "ms");
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Arc::new(Local::default());
    let t = TestHouse::with_outside(Engine::Sqlite, Arc::clone(&outside) as Arc<dyn Outside>);
    let log = VerifierKey::parse(&t.house.head_log_key().unwrap()).unwrap();
    let key = WitnessKey::create(&folder.path().join("key"), "near.example", false).unwrap();
    let vkey = key.signers[0].verifier().to_string();
    Witness::create(&folder.path().join("state"), &key).unwrap();
    let witness = Witness::open(&folder.path().join("state"), key, std::slice::from_ref(&log)).unwrap();
    assert!(outside.0.set(witness).is_ok());
    let text = format!("log {log}\nwitness near {vkey} http://near\nquorum near\n");
    let policy = Policy::parse(text.as_bytes()).unwrap();
    t.house.witnessed_by(policy.clone());
    let db = rusqlite::Connection::open(t.folder().join("bailee.sqlite")).unwrap();
    runtime().block_on(async {
        let (acme, other) = (t.tenant("acme").await, t.tenant("globex").await);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let house = Arc::clone(&t.house);
        let workers = tokio::spawn(async move { house.run_workers(stopped).await });
        let (mut heads, mut seen) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            heads.push(signed(&t, &db, &acme).await);
        }
        for _ in 0..ROUNDS {
            seen.push(cosigned(&t, &db, &acme, &other, &policy).await);
        }
        tell("signed head after an act (aim 1000)", heads);
        tell("cosigned head after a refusal (aim 2000)", seen);
        stop.send(true).unwrap();
        workers.await.unwrap();
    });
}
