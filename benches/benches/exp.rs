#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use bailee_testkit::*;
use std::time::Instant;
fn main() {
    let t = TestHouse::new(Engine::Sqlite);
    let folder = tempfile::tempdir().unwrap();
    let db = bailee_store::Db::open(database(Engine::Sqlite, folder.path())).unwrap();
    db.migrate(&[bailee_store::Migration{number:1,name:"x",sql:"CREATE TABLE r (n BIGINT PRIMARY KEY, b {BLOB} NOT NULL)"}], 0).unwrap();
    let raw = rusqlite::Connection::open(folder.path().join("raw.sqlite")).unwrap();
    raw.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; CREATE TABLE r (n BIGINT PRIMARY KEY, b BLOB NOT NULL)").unwrap();
    let rt = runtime();
    let mut n = 0i64;
    for _ in 0..4 {
        let s = Instant::now();
        for _ in 0..1000 { n += 1; raw.execute("INSERT INTO r VALUES (?1,?2)", (n, [7u8;900])).unwrap(); }
        println!("raw insert {:?}", s.elapsed()/1000);
        let s = Instant::now();
        for _ in 0..1000 { n += 1; db.write_blocking(move |tx| tx.execute("INSERT INTO r VALUES ($1,$2)", &[n.into(), [7u8;900].as_slice().into()]).map(drop)).unwrap(); }
        println!("db write_blocking {:?}", s.elapsed()/1000);
        let d = db.clone();
        let s = Instant::now();
        let mut m = n;
        rt.block_on(async move { tokio::spawn(async move { for _ in 0..1000 { m += 1; let k = m; d.write(move |tx| tx.execute("INSERT INTO r VALUES ($1,$2)", &[k.into(), [7u8;900].as_slice().into()]).map(drop)).await.unwrap(); } }).await.unwrap() });
        n += 1000;
        println!("db write {:?}", s.elapsed()/1000);
        rt.block_on(async {
            let acme = t.tenant(&format!("acme{n}")).await;
            let s = Instant::now();
            for _ in 0..300 { acme.ticket(&t).await; }
            println!("open ticket, each of 3 writes {:?}", s.elapsed()/900);
        });
    }
}
