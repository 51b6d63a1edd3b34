//! What the store promises, on both engines by the same suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use bailee_store::{Blobs, Db, DbConfig, Late, Migration, StoreError, TenantTx};
use bailee_testkit::{Engine, database, engines, runtime};
use bailee_types::{ObjectVersionId, TenantId};
use bytes::Bytes;

const SCHEMA: &[Migration] = &[Migration {
    number: 1,
    name: "things",
    sql: "CREATE TABLE thing (tenant_id TEXT {BINARY} NOT NULL, name TEXT {BINARY} NOT NULL, content {BLOB}, \
          n BIGINT NOT NULL, PRIMARY KEY (tenant_id, name)){CLUSTERED}",
}];
const NEXT: &[Migration] =
    &[SCHEMA[0], Migration { number: 2, name: "more", sql: "CREATE TABLE more (id BIGINT PRIMARY KEY)" }];

struct Store {
    db: Db,
    config: DbConfig,
    engine: Engine,
    folder: tempfile::TempDir,
}

fn on_each<F, Fut>(test: F)
where
    F: Fn(Arc<Store>) -> Fut,
    Fut: Future<Output = ()>,
{
    for engine in engines() {
        eprintln!("on {engine:?}");
        let folder = tempfile::tempdir().unwrap();
        let config = database(engine, folder.path());
        let db = Db::open(config.clone()).unwrap();
        db.migrate(SCHEMA, 0).unwrap();
        runtime().block_on(test(Arc::new(Store { db, config, engine, folder })));
    }
}

fn tenant(n: u64) -> TenantId {
    TenantId::parse(&format!("{:016}", 1_000_000_000_000_000 + n)).unwrap()
}

impl Store {
    async fn put(&self, of: &TenantId, name: &str, n: i64) -> Result<(), StoreError> {
        let (of, name) = (of.clone(), name.to_owned());
        self.db
            .write(move |tx| {
                let sql = "INSERT INTO thing (tenant_id, name, content, n) VALUES ($1, $2, $3, $4)";
                let content = [0u8, 255, 128];
                tx.tenant(&of)
                    .execute(sql, &[name.as_str().into(), content.as_slice().into(), n.into()])
                    .map(drop)
            })
            .await
    }

    async fn names(&self, of: &TenantId) -> Vec<String> {
        let of = of.clone();
        self.db
            .read(move |tx| {
                let rows =
                    tx.tenant(&of).query("SELECT name FROM thing WHERE tenant_id = $1 ORDER BY name", &[])?;
                rows.iter().map(|r| Ok(r.text(0)?.to_owned())).collect::<Result<_, StoreError>>()
            })
            .await
            .unwrap()
    }
}

#[test]
fn what_is_written_is_read_back_by_its_bytes_and_order() {
    on_each(async |s| {
        let (a, b) = (tenant(1), tenant(2));
        for name in ["b", "B", "ä", "a", "a/", "a b", "发票"] {
            s.put(&a, name, 7).await.unwrap();
        }
        s.put(&b, "theirs", 8).await.unwrap();
        assert_eq!(s.names(&a).await, ["B", "a", "a b", "a/", "b", "ä", "发票"], "by bytes, on both engines");
        assert_eq!(s.names(&b).await, ["theirs"]);
        let row =
            s.db.read(|tx| tx.query_opt("SELECT content, n FROM thing WHERE name = $1", &["theirs".into()]))
                .await
                .unwrap()
                .unwrap();
        assert_eq!((row.blob(0).unwrap(), row.int(1).unwrap()), (&[0u8, 255, 128][..], 8));
        assert!(row.text(0).is_err() && row.int(0).is_err(), "a wrong type is an error, not a guess");
        assert!(s.put(&b, "theirs", 9).await.unwrap_err().is_constraint());
    });
}

#[test]
fn a_closure_that_fails_or_panics_leaves_nothing_while_its_neighbours_stay() {
    on_each(async |s| {
        let a = tenant(1);
        let mut writes = tokio::task::JoinSet::new();
        for n in 0..60 {
            let (s, a) = (Arc::clone(&s), a.clone());
            writes.spawn(async move {
                s.db.write(move |tx| {
                    let sql = "INSERT INTO thing (tenant_id, name, n) VALUES ($1, $2, 1)";
                    let name = format!("{n:02}");
                    tx.tenant(&a).execute(sql, &[name.as_str().into()])?;
                    match n % 3 {
                        0 => Ok(()),
                        1 => Err(StoreError::Statement("no".into())),
                        // A statement that the database refuses, in the middle of a shared commit.
                        _ if n % 2 == 0 => tx.execute("INSERT INTO nowhere VALUES (1)", &[]).map(drop),
                        _ => panic!("a bug in a closure"),
                    }
                })
                .await
                .is_ok()
            });
        }
        let mut done = 0;
        while let Some(ok) = writes.join_next().await {
            done += usize::from(ok.unwrap());
        }
        let wanted: Vec<String> = (0..60).filter(|n| n % 3 == 0).map(|n| format!("{n:02}")).collect();
        assert_eq!((done, s.names(&a).await), (20, wanted));
    });
}

/// A count that many closures of one commit raise and one statement writes.
#[derive(Clone)]
struct Count(i64);

impl Late for Count {
    const TABLE: &'static str = "thing";

    fn write(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
        let sql = "INSERT INTO thing (tenant_id, name, n) VALUES ($1, 'count', $2) \
                   ON CONFLICT (tenant_id, name) DO UPDATE SET n = excluded.n";
        tx.execute(sql, &[self.0.into()]).map(drop)
    }
}

fn count(tx: &mut TenantTx<'_, '_>) -> Result<i64, StoreError> {
    if let Some(Count(n)) = tx.late() {
        return Ok(*n);
    }
    stored_count(tx)
}

fn stored_count(tx: &mut TenantTx<'_, '_>) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT n FROM thing WHERE tenant_id = $1 AND name = 'count'", &[])?;
    row.map_or(Ok(0), |r| r.int(0))
}

#[test]
fn a_late_value_is_seen_by_all_and_undone_with_the_closure_that_set_it() {
    on_each(async |s| {
        let tenants = [tenant(1), tenant(2)];
        let mut writes = tokio::task::JoinSet::new();
        for n in 0..300u64 {
            let (s, a) = (Arc::clone(&s), tenants[(n % 2) as usize].clone());
            writes.spawn(async move {
                let raise = move |tx: &mut bailee_store::Tx<'_>| {
                    let mut tx = tx.tenant(&a);
                    let now = count(&mut tx)? + 1;
                    tx.set_late(Count(now));
                    match n % 5 {
                        // Whoever reads the table sees what was set, also what others set before.
                        0 => assert_eq!(stored_count(&mut tx)?, now),
                        // Undone, once before and once after the value was written for a statement.
                        1 => return Err(StoreError::Statement("no".into())),
                        2 => {
                            stored_count(&mut tx)?;
                            return Err(StoreError::Statement("no".into()));
                        }
                        _ => {}
                    }
                    Ok(())
                };
                if n % 5 > 2 { s.db.write_sure(raise).await.is_ok() } else { s.db.write(raise).await.is_ok() }
            });
        }
        let mut done = 0;
        while let Some(ok) = writes.join_next().await {
            done += i64::from(ok.unwrap());
        }
        assert_eq!(done, 180);
        for a in tenants {
            let n = s.db.read(move |tx| stored_count(&mut tx.tenant(&a))).await.unwrap();
            assert_eq!(n, 90);
        }
    });
}

/// Keeps the writer busy until it is let go: what is asked meanwhile shares the next commit.
async fn hold(s: &Arc<Store>) -> (std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (busy, started) = tokio::sync::oneshot::channel();
    let s = Arc::clone(s);
    let task = tokio::spawn(async move {
        s.db.write(move |_| {
            busy.send(()).unwrap();
            wait.recv().unwrap();
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    });
    started.await.unwrap();
    (go, task)
}

#[test]
fn a_sure_write_that_fails_halfway_leaves_nothing_of_its_commit() {
    on_each(async |s| {
        let a = tenant(1);
        let (go, held) = hold(&s).await;
        let insert = |name: &'static str, fails: bool, first: bool| {
            let a = a.clone();
            move |tx: &mut bailee_store::Tx<'_>| {
                if fails && first {
                    return Err(StoreError::Statement("before anything".into()));
                }
                let sql = "INSERT INTO thing (tenant_id, name, n) VALUES ($1, $2, 1)";
                tx.tenant(&a).execute(sql, &[name.into()])?;
                if fails { Err(StoreError::Statement("halfway".into())) } else { Ok(()) }
            }
        };
        let wave = async {
            tokio::join!(
                s.db.write_sure(insert("one", false, false)),
                s.db.write_sure(insert("two", true, true)),
                s.db.write(insert("three", false, false)),
            )
        };
        let release = async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            go.send(()).unwrap();
        };
        let ((one, two, three), ()) = tokio::join!(wave, release);
        held.await.unwrap();
        assert!(one.is_ok() && two.is_err() && three.is_ok(), "who fails before changes fails alone");
        assert_eq!(s.names(&a).await, ["one", "three"]);

        let (go, held) = hold(&s).await;
        let wave = async {
            tokio::join!(
                s.db.write(insert("four", false, false)),
                s.db.write_sure(insert("five", true, false)),
                s.db.write(insert("six", false, false)),
            )
        };
        let release = async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            go.send(()).unwrap();
        };
        let ((four, five, six), ()) = tokio::join!(wave, release);
        held.await.unwrap();
        assert!(four.is_err() && five.is_err() && six.is_err(), "they shared a commit");
        assert_eq!(s.names(&a).await, ["one", "three"]);
        s.put(&a, "seven", 1).await.expect("the writer goes on");
    });
}

#[test]
fn the_journal_starts_anew_while_others_write_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let s = Store {
        db: Db::open(database(Engine::Sqlite, folder.path())).unwrap(),
        config: database(Engine::Sqlite, folder.path()),
        engine: Engine::Sqlite,
        folder,
    };
    s.db.migrate(SCHEMA, 0).unwrap();
    runtime().block_on(async {
        let a = tenant(1);
        let block = vec![7u8; 1024 * 1024];
        for n in 0..100u32 {
            let (a, block) = (a.clone(), block.clone());
            s.db.write(move |tx| {
                let sql = "INSERT INTO thing (tenant_id, name, content, n) VALUES ($1, $2, $3, 1)";
                tx.tenant(&a).execute(sql, &[format!("{n:03}").as_str().into(), (&block).into()]).map(drop)
            })
            .await
            .unwrap();
            assert_eq!(s.names(&tenant(1)).await.len() as u32, n + 1);
        }
    });
    let journal: u64 = std::fs::read_dir(s.folder.path())
        .unwrap()
        .filter_map(Result::ok)
        .filter(|f| f.file_name().to_string_lossy().ends_with("-wal"))
        .map(|f| f.metadata().unwrap().len())
        .sum();
    assert!(journal > 0 && journal < 80 * 1024 * 1024, "100 MiB went through a journal of {journal} bytes");
}

#[test]
fn writers_do_not_lose_each_others_counts_even_from_two_processes() {
    on_each(async |s| {
        let a = tenant(1);
        s.put(&a, "counter", 0).await.unwrap();
        let second = {
            let config = s.config.clone();
            std::thread::spawn(move || Db::open(config)).join().unwrap().unwrap()
        };
        let mut writes = tokio::task::JoinSet::new();
        for n in 0..100 {
            let db = if n % 2 == 0 { s.db.clone() } else { second.clone() };
            let a = a.clone();
            writes.spawn(async move {
                db.write(move |tx| {
                    let mut tx = tx.tenant(&a);
                    let sql = "SELECT n FROM thing WHERE tenant_id = $1 AND name = 'counter'";
                    let n = tx.query_opt(sql, &[])?.unwrap().int(0)?;
                    let sql = "UPDATE thing SET n = $2 WHERE tenant_id = $1 AND name = 'counter'";
                    tx.execute(sql, &[(n + 1).into()]).map(drop)
                })
                .await
            });
        }
        while let Some(written) = writes.join_next().await {
            written.unwrap().unwrap();
        }
        let n = s.db.read(|tx| tx.query_opt("SELECT n FROM thing", &[])).await.unwrap().unwrap();
        assert_eq!(n.int(0).unwrap(), 100);
        assert!(s.db.stats().commits < 100, "callers that wait share a commit: {:?}", s.db.stats());
    });
}

#[test]
fn a_tenants_statement_that_is_not_scoped_is_refused_and_a_reader_cannot_write() {
    on_each(async |s| {
        let a = tenant(1);
        s.put(&a, "kept", 1).await.unwrap();
        for sql in
            ["DELETE FROM thing", "DELETE FROM thing WHERE tenant_id = 'x'", "DELETE FROM thing WHERE n = $1"]
        {
            let of = a.clone();
            let refused = s.db.write(move |tx| tx.tenant(&of).execute(sql, &[]).map(drop)).await;
            assert!(matches!(refused, Err(StoreError::Statement(_))), "{sql}");
        }
        let write = s.db.read(|tx| tx.execute("DELETE FROM thing", &[]).map(drop)).await;
        assert!(write.is_err());
        assert_eq!(s.names(&a).await, ["kept"]);
    });
}

#[test]
fn the_schema_only_goes_forward() {
    on_each(async |s| {
        let db = s.db.clone();
        std::thread::spawn(move || {
            db.migrate(NEXT, 0).unwrap();
            db.migrate(NEXT, 0).unwrap();
            assert!(matches!(db.migrate(SCHEMA, 0), Err(StoreError::Schema(_))), "an older program stops");
        })
        .join()
        .unwrap();
    });
}

#[test]
fn what_was_acknowledged_is_there_for_the_next_process() {
    on_each(async |s| {
        for n in 0..20 {
            s.put(&tenant(1), &format!("{n:02}"), n).await.unwrap();
        }
        let config = s.config.clone();
        let next = std::thread::spawn(move || Db::open(config)).join().unwrap().unwrap();
        let row = next.read(|tx| tx.query_opt("SELECT count(*) FROM thing", &[])).await.unwrap().unwrap();
        assert_eq!(row.int(0).unwrap(), 20);
    });
}

#[test]
fn deleted_bytes_leave_the_embedded_engines_files() {
    on_each(async |s| {
        let secret = "a-wrapped-key-that-must-go-0123456789";
        s.put(&tenant(1), secret, 1).await.unwrap();
        s.db.write(|tx| tx.execute("DELETE FROM thing", &[]).map(drop)).await.unwrap();
        s.db.forget_deleted().await.unwrap();
        if s.engine == Engine::Sqlite {
            for file in std::fs::read_dir(s.folder.path()).unwrap() {
                let path: PathBuf = file.unwrap().path();
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    });
}

#[test]
fn an_unreachable_database_is_said_so_without_its_password() {
    let config = DbConfig::Postgres("postgres://bailee:hunter2@127.0.0.1:1/none".into());
    assert!(!format!("{config:?}").contains("hunter2"));
    let Err(error) = Db::open(config) else { panic!("it opened") };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn a_blob_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(folder.path()).unwrap();
    runtime().block_on(async {
        let (whole, given_up) = (ObjectVersionId::random(), ObjectVersionId::random());
        let mut writer = blobs.create(&whole).await.unwrap();
        for part in [&b"one "[..], b"two"] {
            writer.write(Bytes::from_static(part)).await.unwrap();
        }
        assert!(blobs.read(&whole, 0..3).await.is_err(), "not before it is finished");
        writer.finish().await.unwrap();
        assert_eq!(&blobs.read(&whole, 2..6).await.unwrap()[..], b"e tw");
        assert!(blobs.read(&whole, 0..8).await.is_err(), "beyond the end");
        let mut writer = blobs.create(&given_up).await.unwrap();
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        writer.abort().await;
        let mut names = Vec::new();
        blobs.each(|id, _| names.push(id)).await.unwrap();
        assert_eq!(names, std::slice::from_ref(&whole));
        blobs.delete(&whole).await.unwrap();
        blobs.delete(&whole).await.unwrap();
        assert!(blobs.read(&whole, 0..1).await.is_err());
        // What a killed process left.
        let mut writer = blobs.create(&given_up).await.unwrap();
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        std::mem::forget(writer);
        assert_eq!(blobs.remove_unfinished().unwrap(), 1);
    });
}
