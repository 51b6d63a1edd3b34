//! A house for tests and benches: real rooms over a real database, a clock that is moved by hand, people to act.
//!
//! Tests run once on SQLite and, where `BAILEE_TEST_POSTGRES` names a server, once more on PostgreSQL in a database of
//! their own; where it does not, they say so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test kit fails loudly")]

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use bailee_crypto::password::Cost;
use bailee_rooms::consent::{Because, Decide, Decision, RequestConsent, Scope};
use bailee_rooms::gate::{Caller, Origin};
use bailee_rooms::identity::{CreateOperator, CreateTenant, SignIn};
use bailee_rooms::outside::{NoOutside, Outside};
use bailee_rooms::tickets::OpenTicket;
use bailee_rooms::vault::{
    Choice, Content, CreateBucket, GetObject, ObjectMeta, PutObject, ReadObject, WholeBody, Window,
};
use bailee_rooms::{Failure, House, HouseConfig, MailConfig, Provider};
use bailee_store::DbConfig;
use bailee_types::{
    BucketName, Clock, GrantId, ManualClock, ObjectKey, OperatorId, RegionId, RequestId, TenantAlias,
    TenantId, TicketId, Timestamp,
};
use bytes::Bytes;

/// 2026-11-25T12:00:00Z: where the clock of every test begins.
pub const START: Timestamp = Timestamp::from_secs(1_795_608_000);

/// The database engines that tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, in the test's folder.
    Sqlite,
    /// A database of its own on the server that `BAILEE_TEST_POSTGRES` names.
    Postgres,
}

/// All engines that there are here.
pub fn engines() -> Vec<Engine> {
    if std::env::var_os("BAILEE_TEST_POSTGRES").is_some() {
        return vec![Engine::Sqlite, Engine::Postgres];
    }
    eprintln!("NOT RUN on PostgreSQL: BAILEE_TEST_POSTGRES names no server (`cargo xtask rust` starts one)");
    vec![Engine::Sqlite]
}

/// A new, empty database.
pub fn database(engine: Engine, folder: &Path) -> DbConfig {
    match engine {
        Engine::Sqlite => DbConfig::Sqlite(folder.join("bailee.sqlite")),
        Engine::Postgres => {
            let server = std::env::var("BAILEE_TEST_POSTGRES").expect("BAILEE_TEST_POSTGRES");
            let name = bailee_types::random_text(b"abcdefghijklmnopqrstuvwxyz", 16);
            let create = server.clone();
            let made = name.clone();
            // The driver blocks and refuses to do so on a runtime's thread.
            std::thread::spawn(move || {
                let mut client = postgres::Client::connect(&create, postgres::NoTls).unwrap();
                client.batch_execute(&format!("CREATE DATABASE {made}")).unwrap();
            })
            .join()
            .unwrap();
            let (base, _) = server.rsplit_once('/').unwrap();
            DbConfig::Postgres(format!("{base}/{name}"))
        }
    }
}

/// A house in a folder of its own.
pub struct TestHouse {
    /// The rooms.
    pub house: Arc<House>,
    /// Moved by hand.
    pub clock: Arc<ManualClock>,
    /// Which database.
    pub engine: Engine,
    config: HouseConfig,
    folder: Arc<tempfile::TempDir>,
}

/// Runs `test` on each engine, each time in a new house.
pub fn on_each_engine<F, Fut>(test: F)
where
    F: Fn(TestHouse) -> Fut,
    Fut: Future<Output = ()>,
{
    for engine in engines() {
        eprintln!("on {engine:?}");
        let house = TestHouse::new(engine);
        runtime().block_on(test(house));
    }
}

/// A runtime as the program has it.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

impl TestHouse {
    /// Makes and opens one. Not on a runtime's thread.
    pub fn new(engine: Engine) -> Self {
        Self::with_outside(engine, Arc::new(NoOutside))
    }

    /// As [`TestHouse::new`], with a network of the test's own.
    pub fn with_outside(engine: Engine, outside: Arc<dyn Outside>) -> Self {
        Self::mailing(engine, outside, MailConfig::default())
    }

    /// As [`TestHouse::with_outside`], of a provider that is told of mail.
    pub fn mailing(engine: Engine, outside: Arc<dyn Outside>, mail: MailConfig) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut config = HouseConfig::embedded(folder.path(), Arc::clone(&clock) as Arc<dyn Clock>);
        config.db = database(engine, folder.path());
        (config.outside, config.mail) = (outside, mail);
        (config.operator_cost, config.user_cost) = (Cost::LEAST, Cost::LEAST);
        let provider = Provider {
            name: "Kestrel Cloud".into(),
            host: "trust.kestrel.example".into(),
            region: RegionId::parse("cn-hangzhou").unwrap(),
            jurisdiction: "CN".into(),
        };
        House::init(&config, &provider).unwrap();
        let house = House::open(&config).unwrap();
        Self { house, clock, engine, config, folder }
    }

    /// Another process on the same data, with another limit on users.
    pub fn second_with_users(&self, users_max: u64) -> Self {
        let config = HouseConfig { users_max, ..self.config.clone() };
        self.opened(config)
    }

    /// Another process on the same data, where another operator must confirm each request for consent.
    pub fn second_with_second_eye(&self) -> Self {
        let config = HouseConfig { second_eye: true, ..self.config.clone() };
        self.opened(config)
    }

    /// Another process on the same data, which publishes totals.
    pub fn second_with_totals(&self) -> Self {
        let config = HouseConfig { public_totals: true, ..self.config.clone() };
        self.opened(config)
    }

    /// Another process on the same data.
    pub fn second(&self) -> Self {
        self.opened(self.config.clone())
    }

    fn opened(&self, config: HouseConfig) -> Self {
        let kept = config.clone();
        let house = std::thread::spawn(move || House::open(&config)).join().unwrap().unwrap();
        Self {
            house,
            clock: Arc::clone(&self.clock),
            engine: self.engine,
            config: kept,
            folder: Arc::clone(&self.folder),
        }
    }

    /// Changes rows behind the back of the house, as who holds the database can. Answers how many.
    pub fn change(&self, sql: &str) -> u64 {
        let (config, sql) = (self.config.db.clone(), sql.to_owned());
        let changed = std::thread::spawn(move || {
            let db = bailee_store::Db::open(config).unwrap();
            db.write_blocking(move |tx| tx.execute(&sql, &[])).unwrap()
        });
        changed.join().unwrap()
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new tenant with root signed in.
    pub async fn tenant(&self, alias: &str) -> TestTenant {
        let create = CreateTenant { alias: TenantAlias::parse(alias).unwrap(), name: alias.to_owned() };
        let new = self.house.perform(self.house.system_caller("test"), create).await.unwrap();
        let who =
            SignIn::Tenant { tenant: alias.into(), user: "root".into(), password: new.root_password.clone() };
        TestTenant { id: new.tenant.id, root: self.signed_in(who).await }
    }

    /// A new operator with one role, signed in.
    pub async fn operator(&self, id: &str, role: &str, place: &str) -> Caller {
        let create = CreateOperator {
            id: OperatorId::parse(id).unwrap(),
            roles: vec![role.into()],
            place: place.into(),
        };
        let password = self.house.perform(self.house.system_caller("test"), create).await.unwrap();
        self.signed_in(SignIn::Operator { id: id.into(), password }).await
    }

    async fn signed_in(&self, who: SignIn) -> Caller {
        let token = self.house.sign_in(who, origin()).await.unwrap();
        self.house.session(token.expose(), origin()).await.unwrap().unwrap().caller
    }
}

/// A tenant and its root.
#[derive(Clone)]
pub struct TestTenant {
    /// The tenant's id.
    pub id: TenantId,
    /// Its root.
    pub root: Caller,
}

/// Where a test's requests come from.
pub fn origin() -> Origin {
    Origin {
        source_ip: "192.0.2.1".into(),
        user_agent: "test".into(),
        request_id: RequestId::random().to_string(),
        channel: "ConsoleOperation",
        secure: false,
    }
}

/// A bucket's name.
pub fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

/// An object's key.
pub fn key(name: &str) -> ObjectKey {
    ObjectKey::parse(name).unwrap()
}

impl TestTenant {
    /// Makes a bucket.
    pub async fn make_bucket(&self, t: &TestHouse, name: &str) {
        let create = CreateBucket { tenant: self.id.clone(), bucket: bucket(name), region: None, tier: None };
        t.house.perform(self.root.clone(), create).await.unwrap();
    }

    /// Stores an object.
    pub async fn put(&self, t: &TestHouse, in_bucket: &str, name: &str, content: impl Into<Bytes>) {
        let content = content.into();
        let put = PutObject {
            customer_key: None,
            tenant: self.id.clone(),
            bucket: bucket(in_bucket),
            key: key(name),
            meta: ObjectMeta::default(),
            len: Some(content.len() as u64),
            must_be_new: false,
            must_have_md5: None,
            body: Box::new(WholeBody::new(content)),
        };
        t.house.perform(self.root.clone(), put).await.unwrap();
    }

    /// The whole of an object as `caller` reads it by a tenant's way.
    pub async fn get(
        &self,
        t: &TestHouse,
        caller: &Caller,
        in_bucket: &str,
        name: &str,
    ) -> Result<Content, Failure> {
        let get = GetObject {
            customer_key: None,
            tenant: self.id.clone(),
            bucket: bucket(in_bucket),
            key: key(name),
            which: None,
            choose: Box::new(|info| Choice::Bytes { start: 0, end: info.size }),
        };
        t.house.perform(caller.clone(), get).await
    }

    /// An open ticket.
    pub async fn ticket(&self, t: &TestHouse) -> TicketId {
        let open = OpenTicket::titled(self.id.clone(), "it opens blank");
        t.house.perform(self.root.clone(), open).await.unwrap()
    }

    /// An operator asks to read an object.
    pub async fn ask(
        &self,
        t: &TestHouse,
        operator: &Caller,
        ticket: &TicketId,
        (in_bucket, name): (&str, &str),
        (minutes, uses_max): (u32, u32),
    ) -> Result<GrantId, Failure> {
        let ask = RequestConsent {
            tenant: self.id.clone(),
            ticket: ticket.clone(),
            scope: Scope::object(bucket(in_bucket), key(name)),
            minutes,
            uses_max,
            reason: "it opens blank".into(),
            because: Because::default(),
        };
        t.house.perform(operator.clone(), ask).await.map(|asked| asked.id)
    }

    /// Root decides.
    pub async fn decide(&self, t: &TestHouse, id: &GrantId, decision: Decision) -> Result<(), Failure> {
        let decide = Decide::new(self.id.clone(), id.clone(), decision);
        t.house.perform(self.root.clone(), decide).await.map(drop)
    }

    /// An operator reads the first window of an object.
    pub async fn read(
        &self,
        t: &TestHouse,
        operator: &Caller,
        ticket: &TicketId,
        (in_bucket, name): (&str, &str),
    ) -> Result<Window, Failure> {
        let read = self.read_of(ticket, (in_bucket, name));
        t.house.perform(operator.clone(), read).await
    }

    /// The act by which an operator reads the first window of an object.
    pub fn read_of(&self, ticket: &TicketId, (in_bucket, name): (&str, &str)) -> ReadObject {
        ReadObject {
            tenant: self.id.clone(),
            bucket: bucket(in_bucket),
            key: key(name),
            ticket: ticket.clone(),
            start: 0,
            continues: None,
        }
    }
}
