//! The house: database, blobs, keys, clock and log, put together once at start-up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bailee_crypto::password::Cost;
use bailee_crypto::root::{RootKey, Unlock};
use bailee_store::{Db, DbConfig, StoreError, Tx};
use bailee_types::{Clock, LogId, RegionId, TenantAlias, TenantId, Timestamp};

use crate::gate::InFlight;
use crate::identity::IdentityState;
use crate::keys::Keys;
use crate::notices::MailAddress;
use crate::outside::{NoOutside, Outside};
use crate::tickets::Targets;
use crate::trail::TrailState;
use crate::{Failure, MIGRATIONS, identity, keys, trail, vault};

/// Where the house keeps its things and what it is given from outside.
#[derive(Clone)]
pub struct HouseConfig {
    /// The data folder: `root.key`, `bailee.sqlite`, `blobs/`.
    pub data: PathBuf,
    /// The database; [`HouseConfig::embedded`] names the file in the data folder.
    pub db: DbConfig,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What hashing a password costs; tests take less.
    pub operator_cost: Cost,
    /// As `operator_cost`, for tenants' users.
    pub user_cost: Cost,
    /// How documents are fetched from elsewhere.
    pub outside: Arc<dyn Outside>,
    /// RAM users that one tenant may have.
    pub users_max: u64,
    /// What opens the root key, when it does not lie in clear.
    pub unlock: Unlock,
    /// When a ticket is to be answered and solved.
    pub ticket_targets: Targets,
    /// Mail.
    pub mail: MailConfig,
    /// Whether another of the provider's people must confirm each request for consent.
    pub second_eye: bool,
    /// Whether the portal shows totals over all tenants.
    pub public_totals: bool,
}

/// What a house is told of mail.
#[derive(Clone, Debug, Default)]
pub struct MailConfig {
    /// Whether `outside` sends any.
    pub sends: bool,
    /// Who of the provider hears of tickets.
    pub team: Option<MailAddress>,
}

/// RAM users of a tenant, where nothing else is said.
pub const USERS_MAX: u64 = 5_000;

impl HouseConfig {
    /// The embedded default: SQLite and blobs in `data`.
    pub fn embedded(data: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            data: data.to_path_buf(),
            db: DbConfig::Sqlite(data.join("bailee.sqlite")),
            clock,
            operator_cost: Cost::OPERATOR,
            user_cost: Cost::USER,
            outside: Arc::new(NoOutside),
            users_max: USERS_MAX,
            unlock: Unlock::default(),
            ticket_targets: Targets::default(),
            mail: MailConfig::default(),
            second_eye: false,
            public_totals: false,
        }
    }

    /// The file with the root key.
    pub fn root_key_path(&self) -> PathBuf {
        self.data.join("root.key")
    }
}

/// Who runs this house.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The provider's name, e.g. `Kestrel Cloud`.
    pub name: String,
    /// The host that log origins begin with, e.g. `trust.kestrel.example`.
    pub host: String,
    /// The region of this house.
    pub region: RegionId,
    /// The region's jurisdiction, ISO 3166-1 alpha-2.
    pub jurisdiction: String,
}

/// Counters since start, for `/metrics`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Durable intents.
    pub intents: AtomicU64,
    /// Recorded refusals.
    pub refusals: AtomicU64,
    /// Outcomes that are not known.
    pub unknown: AtomicU64,
    /// Data keys released.
    pub key_releases: AtomicU64,
    /// Content bytes opened.
    pub bytes_opened: AtomicU64,
    /// Content bytes sealed.
    pub bytes_sealed: AtomicU64,
    /// Failed sign-ins and signatures.
    pub sign_in_failures: AtomicU64,
    /// Checkpoints of the head log.
    pub head_checkpoints: AtomicU64,
    /// Cosignatures that witnesses gave.
    pub cosignatures: AtomicU64,
    /// Tries to get one that failed.
    pub cosigning_failures: AtomicU64,
    /// Events that were delivered: to buckets, webhooks, syslog servers.
    pub delivered_events: [AtomicU64; 3],
    /// Deliveries that failed, in the same order.
    pub delivery_failures: [AtomicU64; 3],
    /// Records that waited for delivery when it was last looked, over all targets.
    pub delivery_waiting: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

/// Everything that rooms work with. Made once; shared by listeners and workers.
pub struct House {
    pub(crate) db: Db,
    pub(crate) blobs: crate::residency::Depots,
    pub(crate) keys: Keys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: IdentityState,
    pub(crate) trail: TrailState,
    pub(crate) known_heads: trail::KnownHeads,
    pub(crate) in_flight: InFlight,
    pub(crate) access: vault::AccessCache,
    pub(crate) key_policies: crate::keys::policy::PolicyCache,
    pub(crate) gathered: vault::Gathered,
    pub(crate) recent_nonces: crate::gate::RecentNonces,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) relying_party: std::sync::OnceLock<bailee_federation::passkey::RelyingParty>,
    pub(crate) instance: String,
    pub(crate) users_max: u64,
    pub(crate) ticket_targets: Targets,
    pub(crate) broker: crate::broker::BrokerState,
    pub(crate) mail: MailConfig,
    /// Where browsers have the console's pages.
    served_at: std::sync::OnceLock<String>,
    pub(crate) second_eye: bool,
    pub(crate) public_totals: bool,
    /// The root key's file.
    pub(crate) root_key_path: PathBuf,
    provider: Provider,
    counters: Counters,
}

impl House {
    /// Makes a new house: root key, schema, provider and its log. Refuses a folder that holds one already.
    ///
    /// # Errors
    /// When the folder cannot be written, holds a house, or the database cannot be reached.
    pub fn init(config: &HouseConfig, provider: &Provider) -> Result<(), Failure> {
        // For its owner only: names and sizes in it tell something, even if nothing else does.
        std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700)
            .create(&config.data)
            .map_err(|e| Failure::Unavailable(format!("cannot make {}: {e}", config.data.display())))?;
        let key_path = config.root_key_path();
        if key_path.exists() {
            return Err(Failure::Conflict(format!("{} holds a house already", config.data.display())));
        }
        let db = Db::open(config.db.clone())?;
        let now = config.clock.now();
        db.migrate(MIGRATIONS, now.ms())?;
        let known = db.write_blocking(|tx| Ok::<_, StoreError>(setting(tx, "provider.host")?.is_some()))?;
        if known {
            return Err(Failure::Conflict(
                "the database belongs to a house already, but its root key is not here: restore `root.key`"
                    .into(),
            ));
        }
        let root = RootKey::create(&key_path).map_err(|e| Failure::Unavailable(e.to_string()))?;
        let made = keys::Keys::new(root);
        let provider = provider.clone();
        db.write_blocking(move |tx| {
            for (name, value) in [
                ("provider.name", provider.name.as_str()),
                ("provider.host", provider.host.as_str()),
                ("region.id", provider.region.as_str()),
                ("region.jurisdiction", provider.jurisdiction.as_str()),
                ("root.check", &made.check_value()),
            ] {
                tx.execute(
                    "INSERT INTO setting (name, value) VALUES ($1, $2)",
                    &[name.into(), value.into()],
                )?;
            }
            let id = TenantId::provider();
            let alias = TenantAlias::parse("provider").map_err(|e| Failure::Bug(e.to_string()))?;
            create_tenant(tx, &made, &provider, &id, &alias, &provider.name, None, now)
        })
    }

    /// Opens a house that [`House::init`] made.
    ///
    /// # Errors
    /// When there is none, the root key is readable by others or of another house, or the last signed
    /// checkpoint of a log does not fit its rows (a restored old backup, a changed row).
    pub fn open(config: &HouseConfig) -> Result<Arc<Self>, Failure> {
        let key_path = config.root_key_path();
        if !key_path.exists() {
            return Err(Failure::Conflict(format!(
                "{} holds no house: make one with `bailee init --data {}`",
                config.data.display(),
                config.data.display()
            )));
        }
        let db = Db::open(config.db.clone())?;
        let now = config.clock.now();
        db.migrate(MIGRATIONS, now.ms())?;
        let check =
            db.write_blocking(|tx| Ok::<_, StoreError>(setting(tx, "root.check")?.unwrap_or_default()))?;
        let mut keys = Keys::new(keys::load_root(config, &check)?);
        let (keys, provider) = db.write_blocking(move |tx| {
            keys.carry(tx)?;
            let need = |tx: &mut Tx<'_>, name: &str| {
                setting(tx, name)?
                    .ok_or_else(|| Failure::Conflict(format!("the database has no setting `{name}`")))
            };
            let provider = Provider {
                name: need(tx, "provider.name")?,
                host: need(tx, "provider.host")?,
                region: RegionId::parse(&need(tx, "region.id")?)
                    .map_err(|e| Failure::Damaged(e.to_string()))?,
                jurisdiction: need(tx, "region.jurisdiction")?,
            };
            Ok::<_, Failure>((keys, provider))
        })?;
        let blobs = crate::residency::Depots::new(&config.data)?;
        let identity = IdentityState::new(&keys, config.operator_cost, config.user_cost)?;
        let house = Arc::new(Self {
            db,
            blobs,
            keys,
            clock: Arc::clone(&config.clock),
            identity,
            trail: TrailState::default(),
            known_heads: trail::KnownHeads::new(&config.data),
            in_flight: InFlight::default(),
            access: vault::AccessCache::default(),
            key_policies: crate::keys::policy::PolicyCache::default(),
            gathered: vault::Gathered::default(),
            recent_nonces: crate::gate::RecentNonces::default(),
            outside: Arc::clone(&config.outside),
            relying_party: std::sync::OnceLock::new(),
            instance: bailee_types::random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 16),
            users_max: config.users_max,
            ticket_targets: config.ticket_targets,
            broker: crate::broker::BrokerState::new(&config.data),
            mail: config.mail.clone(),
            served_at: std::sync::OnceLock::new(),
            second_eye: config.second_eye,
            public_totals: config.public_totals,
            root_key_path: key_path,
            provider,
            counters: Counters::default(),
        });
        house.look_for_regions_blocking()?;
        trail::open_head_log(&house)?;
        trail::check_heads(&house)?;
        crate::gate::register_instance(&house)?;
        Ok(house)
    }

    /// What runs beside the requests: signs checkpoints, closes lost intents, removes garbage. Ends when
    /// `stop` turns true, after a last checkpoint.
    pub async fn run_workers(self: &Arc<Self>, stop: tokio::sync::watch::Receiver<bool>) {
        // The signer ends after the others, with a head over what they recorded at their end.
        let (others_ended, signer_stop) = tokio::sync::watch::channel(false);
        let signer = tokio::spawn(trail::sign_heads(Arc::clone(self), signer_stop));
        let witnesses = tokio::spawn(trail::collect_cosignatures(Arc::clone(self), stop.clone()));
        let sweeper = tokio::spawn(crate::gate::sweep(Arc::clone(self), stop.clone()));
        let summariser = tokio::spawn(trail::summarise(Arc::clone(self), stop.clone()));
        let alerts = tokio::spawn(trail::alerts::raise(Arc::clone(self), stop.clone()));
        let delivery = tokio::spawn(trail::deliver::deliver(Arc::clone(self), stop.clone()));
        let retention = tokio::spawn(trail::keep_retention(Arc::clone(self), stop.clone()));
        let cleaner = tokio::spawn(vault::clean(Arc::clone(self), stop.clone()));
        let lifecycle = tokio::spawn(vault::live(Arc::clone(self), stop.clone()));
        let logs = tokio::spawn(vault::write_logs(Arc::clone(self), stop.clone()));
        let replicator = tokio::spawn(vault::replicate(Arc::clone(self), stop.clone()));
        let closer = tokio::spawn(crate::closure::close_accounts(Arc::clone(self), stop.clone()));
        let regions = tokio::spawn(crate::residency::watch_regions(Arc::clone(self), stop.clone()));
        let rekeeper = tokio::spawn(crate::rekey::keep(Arc::clone(self), stop.clone()));
        let tickets = tokio::spawn(crate::tickets::keep(Arc::clone(self), stop.clone()));
        let leases = tokio::spawn(crate::broker::watch_leases(Arc::clone(self), stop.clone()));
        let sessions = tokio::spawn(crate::broker::keep(Arc::clone(self), stop.clone()));
        let notices = tokio::spawn(crate::notices::say(Arc::clone(self), stop.clone()));
        let checks = tokio::spawn(crate::assurance::keep(Arc::clone(self), stop.clone()));
        let reminder = tokio::spawn(crate::handling::remind(Arc::clone(self), stop.clone()));
        let digests = tokio::spawn(crate::notices::sum_up(Arc::clone(self), stop.clone()));
        let totals = tokio::spawn(crate::consent::publish(Arc::clone(self), stop.clone()));
        let keeper = tokio::spawn(crate::keys::cmk::keep(Arc::clone(self), stop));
        for worker in [
            checks, reminder, replicator, closer, regions, keeper, rekeeper, logs, witnesses, sweeper,
            summariser, alerts, delivery, retention, cleaner, lifecycle, tickets, leases, sessions, notices,
            digests, totals,
        ] {
            if let Err(e) = worker.await {
                tracing::error!("a worker ended unexpectedly: {e}");
            }
        }
        let _ = others_ended.send(true);
        if let Err(e) = signer.await {
            tracing::error!("the signer ended unexpectedly: {e}");
        }
        if let Err(e) = crate::gate::leave_instances(self).await {
            tracing::warn!("this process could not sign off: {e}");
        }
        if let Err(e) = self.db.forget_deleted().await {
            tracing::warn!("the journal could not be emptied: {e}");
        }
    }

    /// For the sole process of an embedded house, at start: closes the intents of the process before at once
    /// and removes half-written blobs.
    ///
    /// # Errors
    /// When the database or the blob folder cannot be written.
    pub async fn take_over(self: &Arc<Self>) -> Result<(), Failure> {
        crate::gate::close_lost(self, true).await?;
        vault::take_back_replication(self).await?;
        self.keep_sessions(true).await?;
        self.blobs.remove_unfinished()?;
        Ok(())
    }

    /// [`House::take_over`] when the database is embedded; with PostgreSQL other processes may be at work.
    ///
    /// # Errors
    /// As [`House::take_over`].
    pub async fn take_over_if_embedded(self: &Arc<Self>) -> Result<(), Failure> {
        if self.db.is_embedded() { self.take_over().await } else { Ok(()) }
    }

    /// Says at which addresses browsers have the console's pages (`https://trust.example`): passkeys are bound to the
    /// domain of the first. Said once, by the server.
    ///
    /// # Errors
    /// When an address is not one that browsers allow passkeys on.
    pub fn serve_at(&self, origins: &[String]) -> Result<(), Failure> {
        if let Some(first) = origins.first() {
            let _ = self.served_at.set(first.trim_end_matches('/').to_owned());
        }
        let host =
            origins.first().and_then(|o| o.split_once("://")).map(|(_, rest)| rest).unwrap_or_default();
        let domain = host.rsplit_once(':').map_or(host, |(domain, _)| domain);
        let party = bailee_federation::passkey::RelyingParty::new(domain, origins, &self.provider.name)
            .map_err(|e| Failure::Conflict(format!("passkeys cannot be offered: {e}")))?;
        let _ = self.relying_party.set(party);
        Ok(())
    }

    /// Where browsers have the console's pages, without a slash behind it.
    pub(crate) fn address(&self) -> String {
        self.served_at.get().cloned().unwrap_or_else(|| format!("https://{}", self.provider.host))
    }

    /// Who runs this house.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Counters since start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The writer's counters.
    pub fn write_stats(&self) -> bailee_store::WriteStats {
        self.db.stats()
    }

    /// The present instant by the house's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the database can be written right now (for `/readyz`).
    ///
    /// # Errors
    /// When it cannot.
    pub async fn check_ready(&self) -> Result<(), Failure> {
        let now = self.now().ms();
        self.db
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO setting (name, value) VALUES ('ready.probe', $1) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    &[now.to_string().as_str().into()],
                )
                .map(drop)
                .map_err(Failure::from)
            })
            .await
    }
}

fn setting(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT value FROM setting WHERE name = $1", &[name.into()])?
        .map(|r| r.text(0).map(str::to_owned))
        .transpose()
}

/// A tenant with its key and its log, all in one transaction.
pub(crate) fn create_tenant(
    tx: &mut Tx<'_>,
    keys: &Keys,
    provider: &Provider,
    id: &TenantId,
    alias: &TenantAlias,
    name: &str,
    root_password_hash: Option<&str>,
    now: Timestamp,
) -> Result<(), Failure> {
    identity::insert_tenant(tx, id, alias, name, root_password_hash, now)?;
    let tenant_key = keys.create_tenant_key(tx, id, now)?;
    trail::create_log(tx, &tenant_key, id, &LogId::random(), &provider.host, now)
}
