//! The database handle: a writer with group commit, and readers.
//!
//! One thread owns the writing connection and drains a queue. All closures that wait while a commit syncs go
//! into the next transaction, each behind its own savepoint, so that many callers share one sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::journal::Journal;
use crate::late::{Batch, write_waiting};
use crate::postgres::PgConn;
use crate::sqlite::SqliteConn;
use crate::tx::Conn;
use crate::{StoreError, Tx};

/// Closures that may wait for the writer; beyond that a write is refused at once rather than queued for ever.
const QUEUE_MAX: usize = 4096;
/// Closures in one commit.
const BATCH_MAX: usize = 512;
/// How long the writer may wait for callers whom the last commit has just answered.
const GATHER: Duration = Duration::from_micros(300);
const PG_READERS: usize = 8;
/// Any fixed number: all Bailee processes on one database take this lock for each writing transaction.
const PG_WRITE_LOCK: i64 = 0x6261_696c_6565;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DbConfig {
    /// One file, created when missing.
    Sqlite(PathBuf),
    /// A `postgres://…` address. May hold a password, so it has no `Debug` of its own.
    Postgres(String),
}

impl std::fmt::Debug for DbConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(_) => f.write_str("Postgres([redacted])"),
        }
    }
}

/// One step of the schema. Numbered from 1, never edited after release. The text may use `{BLOB}` (bytes),
/// `{BINARY}` (text compared by its bytes) and `{CLUSTERED}` (after the closing parenthesis).
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Position, from 1, without gaps.
    pub number: i64,
    /// A short name for people.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// Counters of the writer since start.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteStats {
    /// Commits (syncs).
    pub commits: u64,
    /// Closures that were committed.
    pub writes: u64,
    /// Closures that failed or whose commit failed.
    pub failed: u64,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    writes: AtomicU64,
    failed: AtomicU64,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    config: DbConfig,
    writer: SyncSender<Box<dyn Job>>,
    readers: Readers,
    counters: Arc<Counters>,
}

enum Readers {
    /// Reads of the embedded engine run where they are asked: microseconds from the page cache.
    Sqlite { path: PathBuf, idle: Mutex<Vec<SqliteConn>> },
    /// Reads over a socket run on threads of their own.
    Postgres(SyncSender<Box<dyn Job>>),
}

impl Db {
    /// Opens the database and starts its threads.
    ///
    /// # Errors
    /// When it cannot be reached, opened or created.
    pub fn open(config: DbConfig) -> Result<Self, StoreError> {
        let counters = Arc::new(Counters::default());
        let (writer, queue) = sync_channel(QUEUE_MAX);
        let readers = match &config {
            DbConfig::Sqlite(path) => {
                let watched = Arc::default();
                let conn = SqliteConn::writer(path, &watched)?;
                let engine = Engine::Sqlite { conn, journal: Journal::start(path, watched)? };
                let counters = Arc::clone(&counters);
                spawn("bailee-writer", move || write_loop(queue, engine, &counters))?;
                Readers::Sqlite { path: path.clone(), idle: Mutex::new(Vec::new()) }
            }
            DbConfig::Postgres(url) => {
                let engine = Engine::Postgres { url: url.clone(), conn: Some(PgConn::connect(url)?) };
                let counters = Arc::clone(&counters);
                spawn("bailee-writer", move || write_loop(queue, engine, &counters))?;
                let (reads, queue) = sync_channel(QUEUE_MAX);
                let queue = Arc::new(Mutex::new(queue));
                for n in 0..PG_READERS {
                    let (queue, url) = (Arc::clone(&queue), url.clone());
                    spawn(&format!("bailee-reader-{n}"), move || read_loop(&queue, &url))?;
                }
                Readers::Postgres(reads)
            }
        };
        Ok(Self { inner: Arc::new(Inner { config, writer, readers, counters }) })
    }

    /// Runs `f` in a transaction and answers when its work is durable. `f` runs on the writer's thread, so it
    /// must not block on anything but this database.
    ///
    /// # Errors
    /// What `f` answers, or the store's own error; in both cases nothing of `f` was stored, except when the
    /// connection broke during the commit (PostgreSQL): then the outcome is not known and the error says so.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = typed(f, Care::Undo);
        enqueue(&self.inner.writer, job)?;
        answer.await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// As [`Db::write`], but without a savepoint around `f`: cheaper, for what fails before its first change or not
    /// at all. Where it does fail after one, the whole commit fails with it, also for others.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_sure<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = typed(f, Care::Sure);
        enqueue(&self.inner.writer, job)?;
        answer.await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// As [`Db::write`], for callers outside the async runtime (start-up, command line).
    ///
    /// # Errors
    /// As [`Db::write`].
    pub fn write_blocking<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = typed(f, Care::Undo);
        enqueue(&self.inner.writer, job)?;
        answer.blocking_recv().unwrap_or_else(|_| Err(gone().into()))
    }

    /// Runs `f` on a reading connection: a consistent view within each statement, no writes.
    ///
    /// # Errors
    /// What `f` answers, or the store's own error.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.inner.readers {
            Readers::Sqlite { path, idle } => {
                let mut conn = match idle.lock().pop() {
                    Some(conn) => conn,
                    None => SqliteConn::reader(path)?,
                };
                let answer = f(&mut Tx::new(&mut conn, &mut Batch::default()));
                idle.lock().push(conn);
                answer
            }
            Readers::Postgres(reads) => {
                let (job, answer) = typed(f, Care::Undo);
                enqueue(reads, job)?;
                answer.await.unwrap_or_else(|_| Err(gone().into()))
            }
        }
    }

    /// Brings the schema to the newest version; each step is one transaction.
    ///
    /// # Errors
    /// When a step fails, or the database already has a step that this program does not know.
    pub fn migrate(&self, migrations: &'static [Migration], now_ms: i64) -> Result<(), StoreError> {
        let postgres = matches!(self.inner.config, DbConfig::Postgres(_));
        self.write_blocking(move |tx| {
            tx.script(
                "CREATE TABLE IF NOT EXISTS schema_migration (number BIGINT PRIMARY KEY, name TEXT NOT NULL, \
                 applied_at_ms BIGINT NOT NULL)",
            )?;
            let done = tx
                .query("SELECT number, name FROM schema_migration ORDER BY number", &[])?
                .iter()
                .map(|r| Ok((r.int(0)?, r.text(1)?.to_owned())))
                .collect::<Result<Vec<_>, StoreError>>()?;
            for (number, name) in &done {
                let known = migrations.iter().any(|m| m.number == *number && m.name == name);
                if !known {
                    return Err(StoreError::Schema(format!(
                        "it has the migration {number} `{name}`, which this program does not know: run the newer program"
                    )));
                }
            }
            for m in migrations.iter().filter(|m| !done.iter().any(|(n, _)| *n == m.number)) {
                tx.script(&dialect(m.sql, postgres))?;
                tx.execute(
                    "INSERT INTO schema_migration (number, name, applied_at_ms) VALUES ($1, $2, $3)",
                    &[m.number.into(), m.name.into(), now_ms.into()],
                )?;
            }
            Ok(())
        })
    }

    /// Counters of the writer since start.
    pub fn stats(&self) -> WriteStats {
        let c = &self.inner.counters;
        WriteStats {
            commits: c.commits.load(Ordering::Relaxed),
            writes: c.writes.load(Ordering::Relaxed),
            failed: c.failed.load(Ordering::Relaxed),
        }
    }

    /// Takes what was deleted off the disk: the embedded engine's journal still holds it otherwise. PostgreSQL does
    /// so by its own rules (vacuum, WAL recycling).
    ///
    /// # Errors
    /// When the database file cannot be written.
    pub async fn forget_deleted(&self) -> Result<(), StoreError> {
        let DbConfig::Sqlite(path) = &self.inner.config else { return Ok(()) };
        let path = path.clone();
        tokio::task::spawn_blocking(move || SqliteConn::empty_journal(&path))
            .await
            .unwrap_or_else(|_| Err(gone()))
    }

    /// Whether this is the embedded engine (one process at a time).
    pub fn is_embedded(&self) -> bool {
        matches!(self.inner.config, DbConfig::Sqlite(_))
    }
}

fn dialect(sql: &str, postgres: bool) -> String {
    let (blob, binary, clustered) =
        if postgres { ("BYTEA", "COLLATE \"C\"", "") } else { ("BLOB", "", " WITHOUT ROWID") };
    sql.replace("{BLOB}", blob).replace("{BINARY}", binary).replace("{CLUSTERED}", clustered)
}

fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(f)
        .map(drop)
        .map_err(|e| StoreError::Unavailable(format!("cannot start the thread {name}: {e}")))
}

fn gone() -> StoreError {
    StoreError::Unavailable("the store has stopped".to_owned())
}

fn enqueue(queue: &SyncSender<Box<dyn Job>>, job: Box<dyn Job>) -> Result<(), StoreError> {
    queue.try_send(job).map_err(|e| match e {
        TrySendError::Full(_) => {
            StoreError::Unavailable(format!("{QUEUE_MAX} writes wait already; try again"))
        }
        TrySendError::Disconnected(_) => gone(),
    })
}

/// A closure with its answer, without its types.
trait Job: Send {
    fn care(&self) -> Care;
    /// Runs the closure; false means that its work must be rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers the caller, after the commit.
    fn finish(self: Box<Self>, commit: Result<(), StoreError>);
}

/// What happens to the changes of a closure that fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// They are undone alone.
    Undo,
    /// There are none, or the whole commit fails.
    Sure,
}

struct Typed<F, T, E> {
    care: Care,
    f: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

fn typed<T, E, F>(f: F, care: Care) -> (Box<dyn Job>, oneshot::Receiver<Result<T, E>>)
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (answer, receiver) = oneshot::channel();
    (Box::new(Typed { care, f: Some(f), result: None, answer }), receiver)
}

impl<F, T, E> Job for Typed<F, T, E>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn care(&self) -> Care {
        self.care
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(f) = self.f.take() else { return false };
        // A bug in one closure must stop that request, not the writer that everybody shares.
        let result = catch_unwind(AssertUnwindSafe(|| f(tx))).unwrap_or_else(|_| {
            Err(StoreError::Statement("a transaction panicked; it was rolled back".into()).into())
        });
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(mut self: Box<Self>, commit: Result<(), StoreError>) {
        let result = match (self.result.take(), commit) {
            (Some(Err(e)), _) => Err(e),
            (Some(Ok(v)), Ok(())) => Ok(v),
            (_, Err(e)) => Err(e.into()),
            (None, Ok(())) => Err(gone().into()),
        };
        // The caller may have gone; its work is durable all the same.
        let _ = self.answer.send(result);
    }
}

enum Engine {
    Sqlite { conn: SqliteConn, journal: Journal },
    Postgres { url: String, conn: Option<PgConn> },
}

impl Engine {
    fn begin(&mut self) -> Result<&mut dyn Conn, StoreError> {
        match self {
            Self::Sqlite { conn, .. } => {
                conn.execute("BEGIN IMMEDIATE", &[])?;
                Ok(conn)
            }
            Self::Postgres { url, conn } => {
                let live = begun(conn, url, "BEGIN")?;
                live.query("SELECT 1 FROM pg_advisory_xact_lock($1)", &[PG_WRITE_LOCK.into()])?;
                Ok(live)
            }
        }
    }

    fn conn(&mut self) -> Option<&mut dyn Conn> {
        match self {
            Self::Sqlite { conn, .. } => Some(conn),
            Self::Postgres { conn, .. } => conn.as_mut().map(|c| c as &mut dyn Conn),
        }
    }

    fn rollback(&mut self) {
        let failed = self.conn().is_none_or(|c| c.script("ROLLBACK").is_err());
        if let (true, Self::Postgres { conn, .. }) = (failed, self) {
            *conn = None;
        }
    }
}

fn write_loop(queue: Receiver<Box<dyn Job>>, mut engine: Engine, counters: &Counters) {
    let mut last_batch = 1usize;
    while let Ok(first) = queue.recv() {
        let mut jobs = gather(&queue, first, last_batch);
        last_batch = jobs.len();
        let outcome = run_batch(&mut engine, &mut jobs);
        if outcome.is_err() {
            engine.rollback();
            counters.failed.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        } else {
            counters.commits.fetch_add(1, Ordering::Relaxed);
            counters.writes.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        }
        for job in jobs {
            job.finish(outcome.clone());
        }
        if let Engine::Sqlite { conn, journal } = &mut engine {
            journal.after_commit(conn);
        }
    }
}

/// Takes what waits. When the last commit served many, its callers are about to ask again: give them a moment,
/// or batches would alternate between one and all.
fn gather(queue: &Receiver<Box<dyn Job>>, first: Box<dyn Job>, last_batch: usize) -> Vec<Box<dyn Job>> {
    let mut jobs = vec![first];
    let until = (last_batch > 2).then(|| Instant::now() + GATHER);
    while jobs.len() < BATCH_MAX {
        match queue.try_recv() {
            Ok(job) => jobs.push(job),
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                let Some(left) = until.and_then(|u| u.checked_duration_since(Instant::now())) else { break };
                if jobs.len() >= last_batch {
                    break;
                }
                match queue.recv_timeout(left) {
                    Ok(job) => jobs.push(job),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
        }
    }
    jobs
}

fn run_batch(engine: &mut Engine, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let conn = engine.begin()?;
    let mut batch = Batch::default();
    if let [only] = jobs {
        if !only.run(&mut Tx::new(conn, &mut batch)) {
            return conn.script("ROLLBACK");
        }
    } else {
        for job in jobs.iter_mut() {
            batch.start_closure();
            if job.care() == Care::Sure {
                if !job.run(&mut Tx::new(conn, &mut batch)) && batch.changed {
                    return Err(StoreError::Unavailable(
                        "a write in the same commit failed halfway; nothing was stored, try again".into(),
                    ));
                }
                continue;
            }
            conn.execute("SAVEPOINT job", &[])?;
            if !job.run(&mut Tx::new(conn, &mut batch)) {
                conn.execute("ROLLBACK TO SAVEPOINT job", &[])?;
                batch.undo_closure();
            }
            conn.execute("RELEASE SAVEPOINT job", &[])?;
        }
    }
    batch.start_closure();
    write_waiting(&mut Tx::new(conn, &mut batch), None)?;
    conn.script("COMMIT")
}

fn read_loop(queue: &Mutex<Receiver<Box<dyn Job>>>, url: &str) {
    let mut conn: Option<PgConn> = None;
    loop {
        let next = queue.lock().recv();
        let Ok(mut job) = next else { return };
        let outcome = begun(&mut conn, url, "BEGIN READ ONLY").and_then(|live| {
            job.run(&mut Tx::new(live, &mut Batch::default()));
            live.script("COMMIT")
        });
        if outcome.is_err() {
            conn = None;
        }
        job.finish(outcome);
    }
}

/// A connection with a transaction begun. One that died while nobody used it is replaced: nothing was asked on it yet.
fn begun<'c>(conn: &'c mut Option<PgConn>, url: &str, script: &str) -> Result<&'c mut PgConn, StoreError> {
    let usable = conn.as_mut().is_some_and(|c| !c.is_closed() && c.script(script).is_ok());
    if !usable {
        let mut fresh = PgConn::connect(url)?;
        fresh.script(script)?;
        *conn = Some(fresh);
    }
    conn.as_mut().ok_or_else(gone)
}
