//! The PostgreSQL broker between real clients and a real server, which `BAILEE_TEST_POSTGRES` names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod table;

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bailee_broker::pg::Proxy;
use bailee_broker::{Ended, Family, Side, Target};
use bailee_types::{SecretText, random_text};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use table::{OneDoor, SECRET, SESSION, Table, contains, eventually, in_time};

/// What passed between the broker and the database on one connection.
#[derive(Default)]
struct Passed {
    up: Vec<u8>,
    down: Vec<u8>,
}

type Log = Arc<Mutex<Vec<Arc<Mutex<Passed>>>>>;

/// A relay before the database that counts what passes.
async fn relay(database: SocketAddr) -> (SocketAddr, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, log) = (listener.local_addr().unwrap(), Log::default());
    let kept = Arc::clone(&log);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let passed = Arc::new(Mutex::new(Passed::default()));
            kept.lock().push(Arc::clone(&passed));
            let target = TcpStream::connect(database).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_target, mut to_target) = target.into_split();
            let also = Arc::clone(&passed);
            tokio::spawn(async move {
                let mut bytes = vec![0; 65536];
                while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
                    also.lock().up.extend_from_slice(&bytes[..n]);
                    if to_target.write_all(&bytes[..n]).await.is_err() {
                        break;
                    }
                }
            });
            tokio::spawn(async move {
                let mut bytes = vec![0; 65536];
                while let Ok(n @ 1..) = from_target.read(&mut bytes).await {
                    passed.lock().down.extend_from_slice(&bytes[..n]);
                    if to_client.write_all(&bytes[..n]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, log)
}

/// A database of its own, with roles: `_admin` makes roles, `_reader` and `_writer` are scopes, `_other` is foreign.
struct Stage {
    super_user: Config,
    name: String,
    sql: Client,
    relayed: SocketAddr,
    log: Log,
}

/// A broker before a stage, with one session.
struct Broker {
    table: Arc<Table>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Stage {
    async fn new() -> Option<Self> {
        let Ok(url) = std::env::var("BAILEE_TEST_POSTGRES") else {
            eprintln!("NOT RUN: BAILEE_TEST_POSTGRES names no server (`cargo xtask rust` starts one)");
            return None;
        };
        let mut super_user: Config = url.parse().unwrap();
        let name = random_text(b"abcdefghijklmnopqrstuvwxyz", 12);
        connect(&super_user).await.unwrap().batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        super_user.dbname(&name);
        let sql = connect(&super_user).await.unwrap();
        let setup = "
            REVOKE CREATE ON SCHEMA public FROM PUBLIC;
            CREATE ROLE X_admin LOGIN CREATEROLE PASSWORD 'it''s admin';
            CREATE ROLE X_reader; CREATE ROLE X_writer; CREATE ROLE X_other LOGIN;
            GRANT X_reader, X_writer TO X_admin WITH ADMIN OPTION;
            CREATE TABLE seen (id int PRIMARY KEY, name text);
            INSERT INTO seen VALUES (1, 'one'), (2, 'two'), (3, 'three');
            CREATE TABLE hidden (id int); INSERT INTO hidden VALUES (1);
            CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
            CREATE TABLE evil.hidden (id int);
            GRANT SELECT ON seen TO X_reader, X_writer;
            GRANT INSERT, UPDATE, DELETE ON seen TO X_writer; GRANT CREATE ON SCHEMA public TO X_writer;";
        sql.batch_execute(&setup.replace('X', &name)).await.unwrap();
        let Host::Tcp(host) = &super_user.get_hosts()[0] else { panic!("a TCP address is needed") };
        let database = format!("{host}:{}", super_user.get_ports()[0]);
        let database = tokio::net::lookup_host(database).await.unwrap().next().unwrap();
        let (relayed, log) = relay(database).await;
        Some(Self { super_user, name, sql, relayed, log })
    }

    fn role(&self, suffix: &str) -> String {
        format!("{}_{suffix}", self.name)
    }

    fn target(&self, roles: &[&str], read_only: bool) -> Target {
        Target::Database {
            address: self.relayed.to_string(),
            database: self.name.clone(),
            admin: self.role("admin"),
            password: SecretText::new("it's admin".into()),
            roles: roles.iter().map(|r| self.role(r)).collect(),
            read_only,
            statement_ms: 20_000,
            mask: false,
        }
    }

    async fn broker(&self, target: Target) -> Broker {
        Broker::before(target).await
    }

    async fn count(&self, sql: &str) -> i64 {
        self.sql.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// How many roles of sessions there are in this database.
    async fn roles(&self) -> i64 {
        self.count(
            "SELECT count(*) FROM pg_roles r, pg_database d WHERE d.datname = current_database() AND rolname LIKE \
             'bailee\\_%' AND shobj_description(r.oid, 'pg_authid') LIKE '%\"database\":\"' || d.oid || '\",%'",
        )
        .await
    }

    async fn until_no_role(&self) {
        eventually("the session's role is gone", async || self.roles().await == 0).await;
    }

    /// Removes what was made.
    async fn done(self) {
        let Self { mut super_user, name, sql, .. } = self;
        let owned = format!("DROP OWNED BY {name}_admin, {name}_reader, {name}_writer, {name}_other");
        sql.batch_execute(&owned).await.unwrap();
        drop(sql);
        super_user.dbname("postgres");
        let sql = connect(&super_user).await.unwrap();
        sql.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        let roles = format!("DROP ROLE {name}_admin, {name}_reader, {name}_writer, {name}_other");
        sql.batch_execute(&roles).await.unwrap();
    }
}

impl Broker {
    async fn before(target: Target) -> Self {
        let table = Table::new(target);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let proxy = Proxy::new(Arc::new(OneDoor(Arc::clone(&table), Family::Database)));
        let served = tokio::spawn(proxy.serve(listener, async move { drop(stopped.await) }));
        Self { table, address, stop: Some(stop), served }
    }

    fn config(&self) -> Config {
        login_at(self.address)
    }

    async fn client(&self) -> Client {
        connect(&self.config()).await.unwrap()
    }

    /// What `psql` says to a script.
    async fn psql(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("psql");
        command.args(["-h", "127.0.0.1", "-U", SESSION, "-p", &self.address.port().to_string(), "-XAtq"]);
        command.args(arguments).env("PGPASSWORD", SECRET).env_remove("PGDATABASE");
        tokio::task::spawn_blocking(move || command.output().expect("psql is there")).await.unwrap()
    }

    fn end(&self, why: &str) {
        self.table.end.send_replace(Some(Ended(why.into())));
    }
}

fn login_at(address: SocketAddr) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(address.port()).user(SESSION).password(SECRET);
    config
}

/// The SQLSTATE and text of a refusal.
fn refusal(e: &tokio_postgres::Error) -> (String, String) {
    let e = e.as_db_error().unwrap_or_else(|| panic!("not a refusal: {e:?}"));
    (e.code().code().to_owned(), e.message().to_owned())
}

async fn refused(client: &Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => panic!("allowed: {sql}"),
        Err(e) => refusal(&e).0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_recorded_byte_for_byte() {
    let Some(stage) = Stage::new().await else { return };
    let mut broker = stage.broker(stage.target(&["writer"], false)).await;
    let (before, forwarded) = relay(broker.address).await;
    let client = connect(&login_at(before)).await.unwrap();
    // The extended protocol, prepared, with binary parameters.
    let insert = client.prepare("INSERT INTO seen VALUES ($1, $2)").await.unwrap();
    assert_eq!(client.execute(&insert, &[&10i32, &"ten"]).await.unwrap(), 1);
    let rows = client.query("SELECT name FROM seen WHERE id >= $1 ORDER BY id", &[&3i32]).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>(), ["three", "ten"]);
    // Several statements in one.
    let both = client.simple_query("SELECT 1; SELECT count(*) FROM seen").await.unwrap();
    let values = both.iter().filter_map(|m| match m {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(values.collect::<Vec<_>>(), ["1", "4"]);
    // COPY both ways, more than fits one message that is held.
    let sink = client.copy_in("COPY seen FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    let long = "x".repeat(300_000);
    sink.send(Bytes::from(format!("20\t{long}\n"))).await.unwrap();
    sink.send(Bytes::from_static(b"21\tshort\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let out = client.copy_out("COPY seen TO STDOUT").await.unwrap();
    let out: Vec<_> = out.collect().await;
    assert_eq!(out.iter().map(|b| b.as_ref().unwrap().len()).sum::<usize>(), 300_004 + 9 + 6 + 6 + 8 + 7);
    // A long statement passes in pieces; an error passes too.
    client.batch_execute(&format!("SELECT length('{long}')")).await.unwrap();
    assert_eq!(refused(&client, "SELECT 1/0").await, "22012");
    drop(client);
    eventually("the client left", async || broker.table.notes("end").len() == 1).await;
    // A broker that stops ends its sessions, with their roles.
    let waiting = broker.client().await;
    broker.stop.take().unwrap().send(()).unwrap();
    in_time(Duration::from_secs(20), &mut broker.served).await.unwrap();
    assert_eq!(stage.roles().await, 0);
    eventually("the other client is told", async || waiting.is_closed()).await;

    let table = &broker.table;
    let of = |kind: &str| table.notes(kind);
    assert_eq!(of("connect").len(), 2);
    let statements = of("statement");
    assert!(statements.iter().any(|n| n["sql"] == "INSERT INTO seen VALUES ($1, $2)"));
    assert!(statements.iter().any(|n| n["sql"] == "SELECT 1; SELECT count(*) FROM seen"));
    assert!(statements.iter().any(|n| n["cut"]["of"].as_u64() > Some(300_000)));
    assert!(of("bind").iter().any(|n| n["parameters"] == json!([{"hex": "0000000a"}, "ten"])
        || n["parameters"] == json!([{"hex": "0000000a"}, {"hex": "74656e"}])));
    assert!(of("done").iter().any(|n| n["tag"] == "SELECT 2" && n["rows"] == 2 && n["sent"] == 2));
    let copies: Vec<_> = of("copy").iter().map(|n| (n["direction"].clone(), n["bytes"].clone())).collect();
    assert_eq!(copies, [(json!("in"), json!(300_013)), (json!("out"), json!(300_040))]);
    assert_eq!(of("error")[0]["code"], "22012");
    let ends: Vec<_> = of("end").iter().map(|n| (n["why"].clone(), n["role_removed"].clone())).collect();
    assert_eq!(ends, [(json!("the client left"), json!(true)), (json!("the broker stops"), json!(true))]);

    // The connection of the session is the one that logged in with a role of ours.
    let session =
        stage.log.lock().iter().find(|p| contains(&p.lock().up, b"user\0bailee_")).cloned().unwrap();
    let recorded = table.bytes(Side::Client);
    eventually("every byte forwarded is recorded", async || session.lock().up.ends_with(&recorded)).await;
    let login = session.lock().up.len() - recorded.len();
    assert!(login < 700, "{login} bytes before");
    // To the client: what is recorded, but for the login's own messages; and no more than the database sent.
    let recorded = table.bytes(Side::Target);
    assert!(logged_in(&session.lock().down).starts_with(&recorded), "more is recorded than came");
    let forwarded = logged_in(&forwarded.lock()[0].lock().down);
    assert!(recorded.starts_with(&forwarded) && forwarded.len() > 600_000 / 2, "not all is recorded");
    assert!(!contains(&table.bytes(Side::Target), SECRET.as_bytes()));
    stage.done().await;
}

/// What a database says of itself after a login, and all that follows: without authentication and the key to cancel by.
fn logged_in(down: &[u8]) -> Vec<u8> {
    let (mut rest, mut shown) = (down, Vec::new());
    while let Some((head, after)) = rest.split_first_chunk::<5>().filter(|(head, _)| head[0] != b'Z') {
        let len = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize + 1;
        assert!(b"RSK".contains(&head[0]) && len <= 5 + after.len());
        if head[0] == b'S' {
            shown.extend_from_slice(&rest[..len]);
        }
        rest = &rest[len..];
    }
    shown.extend_from_slice(rest);
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_works_and_its_role_is_gone_afterwards() {
    let Some(stage) = Stage::new().await else { return };
    let broker = stage.broker(stage.target(&["reader"], true)).await;
    let script =
        "\\set ON_ERROR_STOP on\n SELECT name FROM seen ORDER BY id; \\copy seen TO STDOUT\n \\d seen\n";
    let file = std::env::temp_dir().join(format!("{}.sql", stage.name));
    std::fs::write(&file, script).unwrap();
    let out = broker.psql(&["-f", file.to_str().unwrap()]).await;
    std::fs::remove_file(&file).unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.starts_with("one\ntwo\nthree\n1\tone\n2\ttwo\n3\tthree\nid|integer"), "{said}");
    // By name of the database as well; another one is not this session's.
    let asks =
        "SELECT current_user LIKE 'bailee_%', session_user = current_user, current_setting('search_path')";
    let out = broker.psql(&["-d", &stage.name, "-c", asks]).await;
    assert_eq!(String::from_utf8_lossy(&out.stdout), "t|t|public, pg_temp\n");
    let out = broker.psql(&["-d", "postgres", "-c", "SELECT 1"]).await;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        said.contains(&format!("this session is for database `{}`, not for `postgres`", stage.name)),
        "{said}"
    );
    // Options and replication of a startup have no way in.
    let out = broker.psql(&["-c", "SHOW search_path", "options=-csearch_path=evil"]).await;
    assert!(!String::from_utf8_lossy(&out.stdout).contains("evil"));
    let out =
        broker.psql(&["-c", "IDENTIFY_SYSTEM", &format!("dbname={} replication=database", stage.name)]).await;
    assert!(String::from_utf8_lossy(&out.stderr).contains("replication does not go through a session"));
    stage.until_no_role().await;
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_a_wrong_name_do_not_come_in() {
    let Some(stage) = Stage::new().await else { return };
    let broker = stage.broker(stage.target(&["reader"], true)).await;
    for (user, secret) in
        [(SESSION, "wrong"), ("s-2222222222222222", SECRET), ("postgres", SECRET), (SESSION, "")]
    {
        let e = connect(broker.config().user(user).password(secret)).await.map(drop).unwrap_err();
        assert_eq!(refusal(&e), ("28P01".to_owned(), "no such session".to_owned()), "{user}");
    }
    assert!(broker.table.frames.lock().is_empty());
    assert!(stage.log.lock().is_empty(), "nobody reached the database");
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_enforces_a_scope_that_only_reads() {
    let Some(stage) = Stage::new().await else { return };
    // Something that an unqualified name could be led to.
    stage
        .sql
        .batch_execute(&format!(
            "CREATE FUNCTION evil.now() RETURNS text LANGUAGE sql AS 'SELECT ''evil'''; \
        GRANT EXECUTE ON FUNCTION evil.now() TO {}",
            stage.role("reader")
        ))
        .await
        .unwrap();
    let broker = stage.broker(stage.target(&["reader"], true)).await;
    let client = broker.client().await;
    for sql in [
        "INSERT INTO seen VALUES (9)",
        "UPDATE seen SET name = ''",
        "DELETE FROM seen",
        "TRUNCATE seen",
        "CREATE TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "SELECT 1; INSERT INTO seen VALUES (9)",
        "WITH x AS (INSERT INTO seen VALUES (9) RETURNING id) SELECT * FROM x",
        "DO $$ BEGIN EXECUTE 'INS' || 'ERT INTO seen VALUES (9)'; END $$",
        "COPY seen FROM STDIN",
        "COPY seen FROM '/etc/passwd'",
        "COPY seen TO PROGRAM 'id'",
        "ALTER TABLE seen ADD COLUMN mine int",
    ] {
        let got = refused(&client, sql).await;
        assert!(["25006", "42501"].contains(&got.as_str()), "{sql}: {got}");
        // Written so that no reading of text sees it, a transaction can write; the role may not.
        let writes = format!("BEGIN; SET U&\"transaction\\005fread_only\" = off; {sql}");
        assert_eq!(refused(&client, &writes).await, "42501", "{sql}");
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    for (sql, code) in [
        ("SELECT * FROM hidden", "42501"),
        ("SET search_path = evil; SELECT * FROM hidden", "42501"),
        ("SET ROLE X_other", "42501"),
        ("SET ROLE X_writer", "42501"),
        ("SET ROLE X_admin", "42501"),
        ("SET SESSION AUTHORIZATION X_admin", "42501"),
        ("SET SESSION AUTHORIZATION postgres", "22023|42501"),
        ("GRANT X_writer TO CURRENT_USER", "42501|25006"),
        ("CREATE ROLE mine", "42501|25006"),
        ("SELECT pg_read_file('/etc/passwd')", "42501"),
        ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'X_admin'", "42501"),
    ] {
        let got = refused(&client, &sql.replace('X', &stage.name)).await;
        assert!(code.contains(&got), "{sql}: {got}");
    }
    client.batch_execute("RESET search_path").await.unwrap();
    assert_eq!(client.query("SELECT id FROM seen", &[]).await.unwrap().len(), 3);
    drop(client);
    // Switching to read-write ends the session, where it is seen or the database reports it.
    for sql in [
        "SET default_transaction_read_only = off; INSERT INTO seen VALUES (9)",
        "BEGIN READ WRITE; INSERT INTO seen VALUES (9)",
    ] {
        let client = broker.client().await;
        assert_eq!(refused(&client, sql).await, "25006", "{sql}");
        eventually("the client is cut off", async || client.is_closed()).await;
    }
    let tried = broker.table.notes("refused");
    assert!(tried[0]["tried"][0]["sql"].as_str().unwrap().contains("INSERT INTO seen"));
    let frames: Vec<_> = broker.table.frames.lock().clone();
    assert!(
        !frames.iter().any(|(side, _, bytes)| *side == Side::Client && contains(bytes, b"BEGIN READ WRITE"))
    );
    let client = broker.client().await;
    let hidden = "DO $$ BEGIN PERFORM pg_catalog.set_config('default_' || 'transaction_read' || '_only', 'off', false); END $$";
    assert_eq!(refused(&client, hidden).await, "25006");
    assert_eq!(stage.count("SELECT count(*) FROM seen").await, 3);
    drop(client);
    stage.until_no_role().await;
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_is_more_than_it_claims_makes_no_session() {
    let Some(stage) = Stage::new().await else { return };
    let refuse = async |roles: &[&str], says: &str| {
        let broker = stage.broker(stage.target(roles, true)).await;
        let e = connect(&broker.config()).await.map(drop).unwrap_err();
        let text = refusal(&e).1;
        assert!(text.contains(&says.replace('X', &stage.name)), "{says}: {text}");
        assert_eq!(stage.roles().await, 0);
        eventually("the end is noted", async || broker.table.notes("end").len() == 1).await;
        assert_eq!(broker.table.notes("end")[0]["why"], text);
    };
    refuse(&["writer"], "it is read-only, but role X_writer may").await;
    let sql = async |sql: &str| stage.sql.batch_execute(&sql.replace('X', &stage.name)).await.unwrap();
    sql("GRANT UPDATE (name) ON seen TO X_reader").await;
    refuse(&["reader"], "role X_reader may write to public.seen").await;
    sql("REVOKE UPDATE (name) ON seen FROM X_reader; CREATE SEQUENCE counts; GRANT USAGE ON SEQUENCE counts TO PUBLIC").await;
    refuse(&["reader"], "may write to public.counts").await;
    sql("DROP SEQUENCE counts; GRANT CREATE ON SCHEMA evil TO PUBLIC").await;
    refuse(&["reader"], "may create in schema evil").await;
    sql("REVOKE CREATE ON SCHEMA evil FROM PUBLIC; GRANT CREATE ON DATABASE X TO X_reader").await;
    refuse(&["reader"], "may create schemas").await;
    sql("REVOKE CREATE ON DATABASE X FROM X_reader; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
         ALTER FUNCTION f() OWNER TO X_reader").await;
    refuse(&["reader"], "role X_reader owns function public.f()").await;
    // A role that inherits nothing can still become the one that writes.
    sql("DROP FUNCTION f(); ALTER ROLE X_reader NOINHERIT; GRANT X_writer TO X_reader").await;
    refuse(&["reader"], "role X_writer may").await;
    sql("REVOKE X_writer FROM X_reader; GRANT pg_read_server_files TO X_reader").await;
    refuse(&["reader"], "role pg_read_server_files may administer the database or reach its host").await;
    sql("REVOKE pg_read_server_files FROM X_reader; ALTER ROLE X_reader CREATEDB").await;
    refuse(&["reader"], "role X_reader may administer the database").await;
    sql("ALTER ROLE X_reader NOCREATEDB LOGIN").await;
    refuse(&["reader"], "role X_reader may log in").await;
    sql("ALTER ROLE X_reader NOLOGIN").await;
    drop(stage.broker(stage.target(&["reader"], true)).await.client().await);
    stage.until_no_role().await;
    refuse(&["missing"], "does not exist").await;
    refuse(&["admin"], "is a member of role").await;
    stage.until_no_role().await;
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_made_stays_with_its_scope() {
    let Some(stage) = Stage::new().await else { return };
    let broker = stage.broker(stage.target(&["writer"], false)).await;
    let client = broker.client().await;
    client
        .batch_execute("CREATE TABLE made (id int); INSERT INTO made VALUES (7); SELECT lo_create(0)")
        .await
        .unwrap();
    client.batch_execute("GRANT SELECT ON made TO PUBLIC; CREATE TEMP TABLE passing (id int)").await.unwrap();
    // Its password is its own to change; it opens nothing, now or later.
    client.batch_execute("ALTER ROLE CURRENT_USER PASSWORD 'known'").await.unwrap();
    let role: String = client.query_one("SELECT current_user::text", &[]).await.unwrap().get(0);
    let mut direct = stage.super_user.clone();
    direct.user(&role).password("known");
    assert_eq!(refusal(&connect(&direct).await.map(drop).unwrap_err()).0, "53300");
    drop(client);
    stage.until_no_role().await;
    assert!(connect(&direct).await.is_err());
    let owner = "SELECT count(*) FROM pg_tables WHERE tablename = 'made' AND tableowner = current_database() || '_writer'";
    assert_eq!(stage.count(owner).await, 1);
    assert_eq!(stage.count("SELECT count(*) FROM made").await, 1);
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_session_cuts_a_running_statement() {
    let Some(stage) = Stage::new().await else { return };
    let broker = stage.broker(stage.target(&["reader"], true)).await;
    let client = broker.client().await;
    let sleeps = tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(60)").await });
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND datname = current_database()";
    eventually("the statement runs", async || stage.count(running).await == 1).await;
    let begun = Instant::now();
    broker.end("the tenant revoked the grant");
    let e = in_time(Duration::from_secs(2), sleeps).await.unwrap().unwrap_err();
    assert_eq!(refusal(&e), ("57P01".into(), "session ended: the tenant revoked the grant".into()));
    eprintln!("cut after {:?}", begun.elapsed());
    eventually("the statement ended", async || stage.count(running).await == 0).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    stage.until_no_role().await;
    eventually("the end is noted", async || broker.table.notes("end").len() == 1).await;
    assert_eq!(broker.table.notes("end")[0]["why"], "the tenant revoked the grant");
    // And nobody comes in again.
    let e = connect(&broker.config()).await.map(drop).unwrap_err();
    assert_eq!(refusal(&e).0, "57P01");
    stage.until_no_role().await;
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_recording_nothing_reaches_the_database() {
    let Some(stage) = Stage::new().await else { return };
    let broker = stage.broker(stage.target(&["writer"], false)).await;
    let client = broker.client().await;
    client.batch_execute("INSERT INTO seen VALUES (30)").await.unwrap();
    *broker.table.stops_at.lock() = Some("VALUES (31)");
    let e = client.batch_execute("INSERT INTO seen VALUES (31)").await.unwrap_err();
    assert_eq!(refusal(&e), ("57P01".into(), "session ended: the recording is full".into()));
    stage.until_no_role().await;
    assert_eq!(stage.count("SELECT count(*) FROM seen WHERE id >= 30").await, 1);
    assert!(!stage.log.lock().iter().any(|p| contains(&p.lock().up, b"VALUES (31)")));
    // What comes back is recorded first, too.
    broker.table.full.store(false, Ordering::SeqCst);
    *broker.table.stops_at.lock() = Some("three");
    let client = broker.client().await;
    let e = client.simple_query("SELECT name FROM seen WHERE id = 3").await.unwrap_err();
    assert_eq!(refusal(&e).0, "57P01");
    stage.until_no_role().await;
    // Not even a role is made when its note cannot be written.
    let before = stage.log.lock().len();
    broker.table.full.store(true, Ordering::SeqCst);
    assert_eq!(refusal(&connect(&broker.config()).await.map(drop).unwrap_err()).0, "57P01");
    assert_eq!(stage.log.lock().len(), before);
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled_by_the_key_that_its_client_got_and_by_no_other() {
    let Some(stage) = Stage::new().await else { return };
    let broker = stage.broker(stage.target(&["reader"], true)).await;
    let client = broker.client().await;
    let cancel = client.cancel_token();
    let sleeps = tokio::spawn(async move { (client.batch_execute("SELECT pg_sleep(50)").await, client) });
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(50)' AND datname = current_database()";
    eventually("the statement runs", async || stage.count(running).await == 1).await;
    let mut other = TcpStream::connect(broker.address).await.unwrap();
    other.write_all(&[&[0, 0, 0, 16][..], &80_877_102u32.to_be_bytes(), &[7; 8]].concat()).await.unwrap();
    assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(stage.count(running).await, 1);
    cancel.cancel_query(NoTls).await.unwrap();
    let (cancelled, client) = in_time(Duration::from_secs(5), sleeps).await.unwrap();
    assert_eq!(refusal(&cancelled.unwrap_err()).0, "57014");
    client.batch_execute("SELECT 1").await.unwrap();
    assert_eq!(broker.table.notes("cancel").len(), 1);
    // The database's own key is not the client's.
    let passed = stage.log.lock().iter().find(|p| contains(&p.lock().up, b"user\0bailee_")).cloned().unwrap();
    assert!(
        contains(&passed.lock().down, b"K\0\0\0\x0c")
            && !contains(&broker.table.bytes(Side::Target), b"K\0\0\0\x0c")
    );
    drop(client);
    stage.until_no_role().await;
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_cannot_switch_its_time_limit_off() {
    let Some(stage) = Stage::new().await else { return };
    let mut target = stage.target(&["reader"], true);
    if let Target::Database { statement_ms, mask, .. } = &mut target {
        (*statement_ms, *mask) = (300, true);
    }
    let broker = stage.broker(target).await;
    let client = broker.client().await;
    assert_eq!(refused(&client, "SELECT pg_sleep(30)").await, "57014");
    client.batch_execute("SET statement_timeout = 0").await.unwrap();
    let sleeps = client.batch_execute("SELECT pg_sleep(30)");
    let e = in_time(Duration::from_secs(5), sleeps).await.unwrap_err();
    assert_eq!(refusal(&e), ("57014".into(), "a statement ran for longer than 300 ms".into()));
    stage.until_no_role().await;
    // Masked: no value and no text of an error in a note.
    let client = broker.client().await;
    client.query("SELECT $1::text", &[&"my number"]).await.unwrap();
    client.query("SELECT ($1::text)::int", &[&"my number"]).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(1600)).await;
    client.batch_execute("SELECT 1").await.expect("a client that thinks is not cut");
    drop(client);
    stage.until_no_role().await;
    assert!(broker.table.notes("bind").iter().any(|n| n["parameters"] == json!({"masked": 1})));
    assert!(broker.table.notes("error").iter().any(|n| n["code"] == "22P02" && n["text"].is_null()));
    let quoted = |notes: bool| {
        let frames = broker.table.frames.lock();
        frames.iter().any(|(side, _, bytes)| (*side == Side::Note) == notes && contains(bytes, b"my number"))
    };
    assert!(!quoted(true) && quoted(false));
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_whose_broker_died_goes_with_the_next_session() {
    let Some(stage) = Stage::new().await else { return };
    let dead = stage.broker(stage.target(&["writer"], false)).await;
    let client = dead.client().await;
    client.batch_execute("CREATE TABLE made (id int)").await.unwrap();
    let left: String = client.query_one("SELECT current_user::text", &[]).await.unwrap().get(0);
    // As kill -9 does: its connections break and nothing is cleaned up.
    dead.served.abort();
    let alive = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND \
                 (usename LIKE 'bailee\\_%' OR application_name = 'bailee broker')";
    eventually("its backends are gone", async || stage.count(alive).await == 0).await;
    assert_eq!(stage.roles().await, 1);
    // A role of a session that lives stays, as does one that only looks like ours.
    let foreign =
        format!("CREATE ROLE bailee_{0}; COMMENT ON ROLE bailee_{0} IS 'not a session'", stage.name);
    stage.sql.batch_execute(&foreign).await.unwrap();
    let broker = stage.broker(stage.target(&["reader"], true)).await;
    let (first, second) = (broker.client().await, broker.client().await);
    let left = format!("SELECT count(*) FROM pg_roles WHERE rolname IN ('{left}', 'bailee_{}')", stage.name);
    assert_eq!(stage.count(&left).await, 1);
    assert_eq!(stage.count("SELECT count(*) FROM pg_tables WHERE tablename = 'made'").await, 1);
    first.batch_execute("SELECT 1").await.unwrap();
    second.batch_execute("SELECT 1").await.unwrap();
    // Without the administering connection a session does not go on.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'bailee broker' \
               AND datname = current_database()";
    assert_eq!(stage.count(cut).await, 2);
    eventually("both are cut off", async || first.is_closed() && second.is_closed()).await;
    eventually("their roles are gone", async || stage.roles().await == 0).await;
    stage.sql.batch_execute(&format!("DROP ROLE bailee_{}", stage.name)).await.unwrap();
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bytes_end_their_connection_and_nothing_else() {
    let Some(stage) = Stage::new().await else { return };
    let broker = stage.broker(stage.target(&["reader"], true)).await;
    let start = |rest: &[u8]| {
        let body = [&[0, 3, 0, 0], rest].concat();
        [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
    };
    let user = start(format!("user\0{SESSION}\0\0").as_bytes());
    let secret = [b"p\0\0\0\x10", SECRET.as_bytes(), b"\0"].concat();
    let in_session = |bytes: &[u8]| [user.as_slice(), &secret, bytes].concat();
    let tls = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
    for (bytes, says) in [
        (vec![0xff; 64], "a startup packet cannot have a length"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "a startup packet cannot have a length"),
        (vec![0, 0, 0, 3], "a startup packet cannot have a length of 3 bytes"),
        (vec![0, 0, 0, 4], "a startup packet ends early"),
        (start(b"user\0"), "the startup parameters end early"),
        (start(b"\0"), "the user is missing"),
        ([tls, tls, tls, tls].concat(), "encryption was asked for too often"),
        ([user.as_slice(), b"Q\0\0\0\x04"].concat(), "a password is awaited"),
        ([user.as_slice(), b"p\x7f\xff\xff\xff"].concat(), "a startup packet cannot have a length"),
        ([user.as_slice(), b"p\0\0\0\x04"].concat(), "a password is awaited"),
        ([user.as_slice(), b"p\0\0\0\x06\xff\0"].concat(), "a password is awaited"),
        ([&[0, 0, 0, 9, 0, 3, 0, 2, 0][..]].concat(), "v\0\0\0\u{c}\0\u{3}\0\0\0\0\0\0"),
        (in_session(b"Q\xff\xff\xff\xff"), "a message cannot have a length of 4294967295 bytes"),
        (in_session(b"Q\x04\0\0\x01"), "a message cannot have a length of 67108865 bytes"),
        (in_session(b"Q\0\0\0\x03"), "a message cannot have a length of 3 bytes"),
        (in_session(b"\0\0\0\0\x04"), "a message of type `\\u{0}` has no place here"),
        (in_session(&secret), "a message of type `p` has no place here"),
        (in_session(b"W\0\0\0\x04"), "a message of type `W` has no place here"),
    ] {
        let mut client = TcpStream::connect(broker.address).await.unwrap();
        client.write_all(&bytes).await.unwrap();
        let mut said = Vec::new();
        let _ = in_time(Duration::from_secs(5), client.read_to_end(&mut said)).await;
        assert!(contains(&said, says.as_bytes()), "{says}: {}", String::from_utf8_lossy(&said));
    }
    // Half a message, then silence: the session waits, holds little, and ends when it must.
    let mut half = TcpStream::connect(broker.address).await.unwrap();
    half.write_all(&in_session(b"Q\0\0\x10\0SELECT")).await.unwrap();
    let mut said = BytesMut::new();
    while !contains(&said, b"Z\0\0\0\x05I") {
        assert_ne!(half.read_buf(&mut said).await.unwrap(), 0);
    }
    broker.end("over");
    let mut rest = Vec::new();
    in_time(Duration::from_secs(2), half.read_to_end(&mut rest)).await.unwrap();
    assert!(contains(&rest, b"session ended: over"));
    stage.until_no_role().await;
    stage.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_none_is_left_with_a_reason() {
    let scram = [&b"R\0\0\0\x17\0\0\0\x0a"[..], b"SCRAM-SHA-256\0\0"].concat();
    for (says, text) in [
        (b"R\0\0\0\x0c\0\0\0\x05salt".to_vec(), "the database wants a password as MD5"),
        (b"R\0\0\0\x08\0\0\0\x07".to_vec(), "the database wants another kind of login than SCRAM-SHA-256"),
        (b"R\0\0\0\x0a\0\0\0\x0aX\0".to_vec(), "the database does not offer SCRAM-SHA-256"),
        // Begins to prove that it knows the password, and does not.
        ([&scram[..], b"R\0\0\0\x08\0\0\0\0"].concat(), "the database wants another kind of login"),
        ([&scram[..], b"R\0\0\0\x0a\0\0\0\x0br="].concat(), "the database sends what is not a SCRAM message"),
        (b"R\0\0\0\x0a\0\0\0\x0bv=".to_vec(), "the database sends what is not a login"),
        (b"R\0\0\0\x08\0\0\0\0K\0\0\0\x05\0".to_vec(), "the database sends what is not a key to cancel by"),
        (b"R\xff\xff\xff\xff".to_vec(), "the database: a message cannot have a length of 4294967295 bytes"),
        (b"R\0\x01\0\x05".to_vec(), "the database sends what is not a message of this size"),
        (b"HTTP/1.1 400".to_vec(), "the database: a message of type `H` has no place here"),
        (b"E\0\0\0\x10C28000\0Mno\0\0".to_vec(), "the database refuses: no (28000)"),
        (Vec::new(), "the database closed the connection"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut heard = BytesMut::new();
            client.read_buf(&mut heard).await.unwrap();
            client.write_all(&says).await.unwrap();
            client.shutdown().await.unwrap();
            while let Ok(1..) = client.read_buf(&mut heard).await {}
            heard
        });
        let broker = Broker::before(nowhere(address)).await;
        let e = connect(&broker.config()).await.map(drop).unwrap_err();
        assert_eq!(refusal(&e).0, "08006");
        assert!(refusal(&e).1.starts_with(text), "{text}: {e:?}");
        assert!(!contains(&heard.await.unwrap(), b"a secret of the target"));
    }
    let broker = Broker::before(nowhere("127.0.0.1:1".into())).await;
    let e = connect(&broker.config()).await.map(drop).unwrap_err();
    assert_eq!(refusal(&e).1, "the database cannot be reached: connection refused");
}

fn nowhere(address: String) -> Target {
    Target::Database {
        address,
        database: "db".into(),
        admin: "admin".into(),
        password: SecretText::new("a secret of the target".into()),
        roles: Vec::new(),
        read_only: true,
        statement_ms: 1000,
        mask: false,
    }
}
