//! The release binary over loopback: small GETs against nginx, large ones against the cipher, durable PUTs against the raw
//! group commit, start and rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bailee_benches::client::{Connection, Served};
use bailee_benches::peer::{Load, Nginx, wrk};
use bailee_benches::{LONG, figure, per_second, ratio};
use bailee_testkit::{Engine, TestHouse, runtime};
use futures_util::StreamExt;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const MIB: usize = 1024 * 1024;
const LARGE: usize = 64 * MIB;
const SMALL: usize = 4096;

/// AES-256-GCM in segments of 64 KiB on one core: MB/s of sealing and opening.
fn cipher() -> (f64, f64) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).unwrap());
    let nonce = || Nonce::assume_unique_for_key([0; 12]);
    let mut segment = vec![7u8; 64 * 1024];
    let sealed = per_second(|| {
        let _ = std::hint::black_box(
            key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut segment).unwrap(),
        );
    });
    let mut good = vec![7u8; 64 * 1024];
    key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut good).unwrap();
    let mut work = good.clone();
    let opened = per_second(|| {
        work.copy_from_slice(&good);
        std::hint::black_box(key.open_in_place(nonce(), Aad::empty(), &mut work).unwrap());
    });
    let mb = 64.0 * 1024.0 / 1e6;
    (sealed * mb, opened * mb)
}

/// MB/s of reading the whole object through the gate, the vault and the cipher, from disk cache to opened bytes.
fn opened_by_rooms() -> f64 {
    let t = TestHouse::new(Engine::Sqlite);
    runtime().block_on(async {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-invoices").await;
        acme.put(&t, "acme-invoices", "large", vec![42u8; LARGE]).await;
        let read = async || {
            let content = acme.get(&t, &acme.root, "acme-invoices", "large").await.unwrap();
            let mut length = content.first.len();
            let mut rest = content.rest.unwrap();
            while let Some(block) = rest.next().await {
                length += block.unwrap().len();
            }
            assert_eq!(length, LARGE);
        };
        read().await;
        let (start, mut rounds) = (Instant::now(), 0);
        while start.elapsed() < LONG {
            read().await;
            rounds += 1;
        }
        f64::from(rounds) * LARGE as f64 / 1e6 / start.elapsed().as_secs_f64()
    })
}

async fn transfers(c: &mut Connection, method: &str, target: &str, body: &[u8], rounds: u32) -> f64 {
    c.ask(method, target, body).await;
    let start = Instant::now();
    for _ in 0..rounds {
        c.ask(method, target, body).await;
    }
    f64::from(rounds) * LARGE as f64 / 1e6 / start.elapsed().as_secs_f64()
}

fn large(served: &Served) {
    let (seal, open) = cipher();
    ratio("GET 64 MiB, opened by the rooms", opened_by_rooms(), "AES-256-GCM, one core", open, "MB/s", 60.0);
    let body = vec![42u8; LARGE];
    let nginx = Nginx::start(&body);
    let (put, get, plain) = runtime().block_on(async {
        let mut c = Connection::to(&served.objects).await;
        let put = transfers(&mut c, "PUT", &served.signed("PUT", "/acme-invoices/large"), &body, 8).await;
        let get = transfers(&mut c, "GET", &served.signed("GET", "/acme-invoices/large"), b"", 12).await;
        let mut c = Connection::to(&nginx.address).await;
        (put, get, transfers(&mut c, "GET", "/file", b"", 12).await)
    });
    // Over loopback the kernel's copies weigh more than the cipher: the peer is what serves the same bytes in clear.
    ratio("GET 64 MiB, one connection", get, "nginx with the same bytes", plain, "MB/s", 40.0);
    // Durable, with MD5 and CRC-64 on the way: there is no aim but to know it.
    ratio("PUT 64 MiB, one connection, synced", put, "AES-256-GCM, one core", seal, "MB/s", 0.0);
}

fn small(served: &Served) {
    let body = vec![42u8; SMALL];
    runtime().block_on(async {
        Connection::to(&served.objects)
            .await
            .ask("PUT", &served.signed("PUT", "/acme-invoices/small"), &body)
            .await
    });
    let nginx = Nginx::start(&body);
    let theirs = format!("http://{}/file", nginx.address);
    let own = format!("http://{}{}", served.objects, served.signed("GET", "/acme-invoices/small"));
    // In turns: a shared machine is fast one second and slow the next.
    let turns: Vec<_> = (0..4).map(|_| (wrk(&theirs), wrk(&own))).collect();
    let mean = |of: fn(&(Load, Load)) -> f64| turns.iter().map(of).sum::<f64>() / turns.len() as f64;
    let (base, ours) = (mean(|t| t.0.per_second), mean(|t| t.1.per_second));
    ratio(
        "GET 4 KiB, sealed and authorized, 16 connections",
        ours,
        "nginx with the same bytes",
        base,
        "/s",
        40.0,
    );
    for (theirs, own) in &turns {
        println!("  median latency {}, nginx {}", own.median, theirs.median);
    }
}

fn puts(served: &Served) {
    let folder = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(folder.path().join("raw.sqlite")).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE r (n INTEGER PRIMARY KEY, b BLOB)").unwrap();
    let commits = per_second(|| {
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut insert = db.prepare_cached("INSERT INTO r (b) VALUES (?1)").unwrap();
        for _ in 0..16 {
            insert.execute([&[7u8; SMALL + 400][..]]).unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
    });
    let done = Arc::new(AtomicU64::new(0));
    let rate = runtime().block_on(async {
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..16 {
            // Sixteen keys for each caller, so that rows are replaced as well as made.
            let urls: Vec<_> =
                (0..16).map(|k| served.signed("PUT", &format!("/acme-invoices/put-{n}-{k}"))).collect();
            let (address, done) = (served.objects.clone(), Arc::clone(&done));
            tasks.spawn(async move {
                let mut c = Connection::to(&address).await;
                let body = [9u8; SMALL];
                for url in urls.iter().cycle() {
                    if start.elapsed() > LONG {
                        return;
                    }
                    c.ask("PUT", url, &body).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while let Some(end) = tasks.join_next().await {
            end.unwrap();
        }
        done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
    });
    ratio("durable PUT 4 KiB, 16 callers", rate, "raw commits of 16 such rows", commits * 16.0, "/s", 0.0);
    println!("  aim: 1,000/s where the raw group commit allows it");
}

fn main() {
    let served = Served::start();
    figure(
        "start to ready, an existing house (aim: under 500)",
        served.ready_after.as_secs_f64() * 1000.0,
        "ms",
    );
    std::thread::sleep(Duration::from_secs(3));
    figure("resident at rest (aim: under 60)", served.resident_mib(), "MiB");
    small(&served);
    puts(&served);
    large(&served);
    figure("resident after all that", served.resident_mib(), "MiB");
}
