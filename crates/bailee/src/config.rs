//! Configuration: flags before environment before `bailee.toml` in the data folder before defaults.

use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bailee_rooms::keys::Unlock;
use bailee_rooms::notices::MailAddress;
use bailee_rooms::trail::WitnessPolicy;
use bailee_rooms::{House, HouseConfig, MailConfig};
use bailee_store::DbConfig;
use bailee_types::{SecretText, SystemClock};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use serde::Deserialize;

use crate::output::Stop;
use crate::outside::mail::{Mailer, Protection, Server};
use crate::outside::{self, Network};

/// Options of every command.
#[derive(Args, Clone)]
pub(crate) struct Common {
    /// The data folder.
    #[arg(long, global = true, env = "BAILEE_DATA", default_value = "bailee-data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The database: `postgres://…`; without it, SQLite in the data folder.
    #[arg(long, global = true, env = "BAILEE_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// A file with the passphrase of the root key on its first line; `-`: standard input.
    #[arg(long, global = true, env = "BAILEE_ROOT_PASSPHRASE_FILE", value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
    /// A file with the PIN of the HSM that holds the root key's key, on its first line; `-`: standard input.
    #[arg(long, global = true, env = "BAILEE_ROOT_PIN_FILE", value_name = "FILE")]
    root_pin_file: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, global = true, env = "BAILEE_OUTPUT", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Options of the commands that serve.
#[derive(Args, Clone)]
pub(crate) struct Listen {
    /// Where portal, console, RPC and log are served [default: 127.0.0.1:8420].
    #[arg(long, env = "BAILEE_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where objects are served (OSS and S3) [default: 127.0.0.1:8421].
    #[arg(long, env = "BAILEE_OBJECT_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) object_listen: Option<SocketAddr>,
    /// Base host names for virtual-host buckets, `bucket.<host>`.
    #[arg(long, env = "BAILEE_OBJECT_HOST", value_name = "HOST", value_delimiter = ',')]
    pub(crate) object_host: Vec<String>,
    /// Serve on an address that others can reach, though there is no TLS here: only behind a TLS proxy.
    #[arg(long, env = "BAILEE_BEHIND_TLS_PROXY")]
    pub(crate) behind_tls_proxy: bool,
    /// The address of the console's pages as browsers have it, e.g. https://trust.example; passkeys are bound to it
    /// [default: http://localhost:8420, behind a proxy https:// and the provider's host].
    #[arg(long, env = "BAILEE_ORIGIN", value_name = "URL")]
    pub(crate) origin: Vec<String>,
    /// Let tenants name OIDC issuers on this machine and its networks. For trying out; never on a machine that others use.
    #[arg(long, env = "BAILEE_ALLOW_LOCAL_ISSUERS")]
    pub(crate) allow_local_issuers: bool,
    /// Certificates (PEM) that OIDC issuers are trusted by, in place of the public list: for issuers of a private CA.
    #[arg(long, env = "BAILEE_ISSUER_ROOTS", value_name = "FILE")]
    pub(crate) issuer_roots: Option<PathBuf>,
    /// Who cosigns the heads of this house: a file in the form of C2SP tlog-policy, with `witness` lines that name the
    /// address of each, groups, and a quorum.
    #[arg(long, env = "BAILEE_WITNESS_POLICY", value_name = "FILE")]
    pub(crate) witness_policy: Option<PathBuf>,
    /// Where operators' ssh, scp and sftp come in, to hosts of tenants; without it there is no SSH gateway.
    #[arg(long, env = "BAILEE_SSH_LISTEN", value_name = "ADDR:PORT")]
    ssh_listen: Option<SocketAddr>,
    /// Where operators' PostgreSQL clients come in, to databases of tenants; without it there is no such broker.
    #[arg(long, env = "BAILEE_POSTGRES_LISTEN", value_name = "ADDR:PORT")]
    postgres_listen: Option<SocketAddr>,
    /// Where operators' Kubernetes clients come in, to clusters of tenants; without it there is no such broker.
    #[arg(long, env = "BAILEE_KUBERNETES_LISTEN", value_name = "ADDR:PORT")]
    kubernetes_listen: Option<SocketAddr>,
    /// Where operators' HTTP clients come in, to services of tenants (YARN, WebHDFS); without it there is no such broker.
    #[arg(long, env = "BAILEE_SERVICE_LISTEN", value_name = "ADDR:PORT")]
    service_listen: Option<SocketAddr>,
    /// A network of tenants' systems that brokers may reach, beside public addresses; several, with commas between them.
    #[arg(long, env = "BAILEE_BROKER_NETWORK", value_name = "CIDR", value_delimiter = ',')]
    broker_network: Vec<IpNet>,
    /// How logs are printed on standard error.
    #[arg(long, env = "BAILEE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// How logs are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `bailee.toml` in the data folder. Unknown names are refused: a misspelt option must not be silently ignored.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    object_listen: Option<SocketAddr>,
    object_host: Option<Vec<String>>,
    behind_tls_proxy: Option<bool>,
    origin: Option<Vec<String>>,
    witness_policy: Option<PathBuf>,
    database: Option<String>,
    users_max: Option<u64>,
    root_passphrase_file: Option<PathBuf>,
    root_pin_file: Option<PathBuf>,
    tickets: Option<Tickets>,
    broker: Option<BrokerFile>,
    mail: Option<MailFile>,
    second_eye: Option<bool>,
    public_totals: Option<bool>,
}

/// Where brokers listen, and what they may reach.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct BrokerFile {
    ssh_listen: Option<SocketAddr>,
    postgres_listen: Option<SocketAddr>,
    kubernetes_listen: Option<SocketAddr>,
    service_listen: Option<SocketAddr>,
    /// Networks of tenants' systems, beside public addresses.
    #[serde(default)]
    networks: Vec<String>,
}

/// The server that takes the provider's mail.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailFile {
    server: String,
    port: Option<u16>,
    tls: MailTls,
    user: Option<String>,
    password_file: Option<PathBuf>,
    from: String,
    roots: Option<PathBuf>,
    team: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum MailTls {
    Implicit,
    Starttls,
    None,
}

impl MailFile {
    fn wrong(name: &str, why: impl std::fmt::Display) -> Stop {
        Stop::unable(format!("bailee.toml: mail.{name}: {why}"))
    }

    fn team(&self) -> Result<Option<MailAddress>, Stop> {
        self.team.as_deref().map(MailAddress::parse).transpose().map_err(|e| Self::wrong("team", e))
    }

    fn mailer(self) -> Result<Mailer, Stop> {
        let protection = match self.tls {
            MailTls::Implicit => Protection::Implicit,
            MailTls::Starttls => Protection::StartTls,
            MailTls::None => Protection::None,
        };
        let local = self.server == "localhost"
            || self.server.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if protection == Protection::None && !local {
            let why = "`none` is for a server on this machine only; say starttls or implicit";
            return Err(Self::wrong("tls", why));
        }
        let login = match (self.user, &self.password_file) {
            (Some(user), Some(file)) => Some((user, secret_line(file)?)),
            (None, None) => None,
            _ => return Err(Self::wrong("user", "goes with password_file, and the other way round")),
        };
        let port = match protection {
            Protection::Implicit => 465,
            Protection::StartTls => 587,
            Protection::None => 25,
        };
        let roots =
            self.roots.as_ref().map(std::fs::read).transpose().map_err(|e| Self::wrong("roots", e))?;
        Mailer::new(Server {
            host: self.server,
            port: self.port.unwrap_or(port),
            protection,
            login,
            from: MailAddress::parse(&self.from).map_err(|e| Self::wrong("from", e))?,
            roots,
        })
        .map_err(|e| Self::wrong("server", e))
    }
}

/// When tickets are to be answered and solved, in hours; what is left out keeps its default.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Tickets {
    #[serde(default)]
    first_answer_hours: Hours,
    #[serde(default)]
    solution_hours: Hours,
}

/// Hours by priority.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Hours {
    low: Option<u32>,
    normal: Option<u32>,
    high: Option<u32>,
    urgent: Option<u32>,
}

/// Hours of a ticket's clock at most: ten years.
const HOURS_MAX: u32 = 87_600;

impl Hours {
    fn over(&self, name: &str, targets: &mut [i64; 4]) -> Result<(), Stop> {
        let given = [self.low, self.normal, self.high, self.urgent];
        for (target, hours) in targets.iter_mut().zip(given) {
            match hours {
                None => {}
                Some(hours @ 1..=HOURS_MAX) => *target = i64::from(hours) * 3_600_000,
                Some(_) => {
                    return Err(Stop::unable(format!(
                        "bailee.toml: tickets.{name} must be 1 to {HOURS_MAX} hours"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Bytes of a secret's file that are read.
const SECRET_MAX: u64 = 4096;

/// What standard input said: it says it once, and a command may ask again.
static SAID: OnceLock<SecretText> = OnceLock::new();

/// The first line of a file that only its owner may read, or of standard input.
pub(crate) fn secret_line(path: &Path) -> Result<SecretText, Stop> {
    let wrong = |why: String| Stop::unable(format!("{}: {why}", path.display()));
    let from_input = path == Path::new("-");
    if let (true, Some(said)) = (from_input, SAID.get()) {
        return Ok(said.clone());
    }
    let mut bytes = Vec::with_capacity(SECRET_MAX as usize);
    let read = if from_input {
        std::io::stdin().lock().take(SECRET_MAX).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path).map_err(|e| wrong(e.to_string()))?;
        let mode = file.metadata().map_err(|e| wrong(e.to_string()))?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(wrong(format!(
                "it may be read or changed by others (mode {mode:04o}): chmod 600 it"
            )));
        }
        file.take(SECRET_MAX).read_to_end(&mut bytes)
    };
    read.map_err(|e| wrong(e.to_string()))?;
    let text = SecretText::new(String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".into()))?);
    let line = text.expose().lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(wrong("its first line is empty".into()));
    }
    let line = SecretText::new(line.to_owned());
    if from_input {
        let _ = SAID.set(line.clone());
    }
    Ok(line)
}

impl Common {
    /// The house's configuration.
    pub(crate) fn house(&self) -> Result<HouseConfig, Stop> {
        let mut config = HouseConfig::embedded(&self.data, Arc::new(SystemClock::default()));
        if let Some(url) = self.database.clone().or(self.file()?.database) {
            if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
                return Err(Stop::unable(
                    "the database must be a postgres:// address; leave it out for SQLite",
                ));
            }
            config.db = DbConfig::Postgres(url);
        }
        if let Some(users) = self.file()?.users_max {
            config.users_max = users;
        }
        let file = self.file()?;
        config.second_eye = file.second_eye.unwrap_or(false);
        config.public_totals = file.public_totals.unwrap_or(false);
        if let Some(tickets) = &file.tickets {
            let targets = &mut config.ticket_targets;
            tickets.first_answer_hours.over("first_answer_hours", &mut targets.first_answer_ms)?;
            tickets.solution_hours.over("solution_hours", &mut targets.solution_ms)?;
        }
        if let Some(mail) = &file.mail {
            config.mail = MailConfig { sends: true, team: mail.team()? };
        }
        let secret = |flag: &Option<PathBuf>, kept: Option<PathBuf>| {
            flag.clone().or(kept).map(|path| secret_line(&path)).transpose()
        };
        config.unlock.passphrase = secret(&self.root_passphrase_file, file.root_passphrase_file)?;
        config.unlock.pin = secret(&self.root_pin_file, file.root_pin_file)?;
        Ok(config)
    }

    /// What opens a root key, by flags and environment alone.
    pub(crate) fn unlock(&self) -> Result<Unlock, Stop> {
        let secret = |flag: &Option<PathBuf>| flag.as_deref().map(secret_line).transpose();
        Ok(Unlock { passphrase: secret(&self.root_passphrase_file)?, pin: secret(&self.root_pin_file)? })
    }

    /// The open house.
    pub(crate) fn open(&self) -> Result<Arc<House>, Stop> {
        Ok(House::open(&self.house()?)?)
    }

    /// The open house of a command that talks to an address of a tenant; `local`: it may be of this machine's networks.
    pub(crate) fn open_reaching(&self, local: bool) -> Result<Arc<House>, Stop> {
        let mut config = self.house()?;
        config.outside = Arc::new(Network::new(local, None).mailing(self.mailer()?));
        Ok(House::open(&config)?)
    }

    /// The open house of a server, which fetches documents from elsewhere.
    pub(crate) fn open_serving(&self, flags: &Listen, local_issuers: bool) -> Result<Arc<House>, Stop> {
        let mut config = self.house()?;
        let roots = flags.issuer_roots.as_deref();
        let witnesses = self.witnesses(flags)?;
        let roots = match roots {
            None => None,
            Some(path) => Some(
                outside::roots_of(path)
                    .map_err(|e| Stop::unable(format!("--issuer-roots {}: {e}", path.display())))?,
            ),
        };
        config.outside = Arc::new(Network::new(local_issuers, roots).mailing(self.mailer()?));
        let house = House::open(&config)?;
        if let Some(policy) = witnesses {
            house.witnessed_by(policy);
        }
        Ok(house)
    }

    fn mailer(&self) -> Result<Option<Mailer>, Stop> {
        self.file()?.mail.map(MailFile::mailer).transpose()
    }

    fn witnesses(&self, flags: &Listen) -> Result<Option<WitnessPolicy>, Stop> {
        let Some(path) = flags.witness_policy.clone().or(self.file()?.witness_policy) else {
            return Ok(None);
        };
        let wrong = |why: String| Stop::unable(format!("--witness-policy {}: {why}", path.display()));
        let bytes = std::fs::read(&path).map_err(|e| wrong(e.to_string()))?;
        let policy = WitnessPolicy::parse(&bytes).map_err(|e| wrong(e.to_string()))?;
        match policy.witnesses().iter().find(|w| w.url.is_none()) {
            None => Ok(Some(policy)),
            Some(nowhere) => Err(wrong(format!(
                "witness `{}` has no address: put the prefix of its add-checkpoint after its key",
                nowhere.name
            ))),
        }
    }

    /// The listening addresses with the file's and the defaults filled in.
    pub(crate) fn listen(&self, flags: &Listen) -> Result<Addresses, Stop> {
        let file = self.file()?;
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let found = Addresses {
            console: flags.listen.or(file.listen).unwrap_or_else(|| local(8420)),
            objects: flags.object_listen.or(file.object_listen).unwrap_or_else(|| local(8421)),
            hosts: if flags.object_host.is_empty() {
                file.object_host.unwrap_or_default()
            } else {
                flags.object_host.clone()
            },
            secure: flags.behind_tls_proxy || file.behind_tls_proxy.unwrap_or(false),
            origins: if flags.origin.is_empty() {
                file.origin.unwrap_or_default()
            } else {
                flags.origin.clone()
            },
        };
        for addr in [found.console, found.objects] {
            if !addr.ip().is_loopback() && !found.secure {
                return Err(Stop::unable(format!(
                    "{addr} can be reached by others and there is no TLS here: listen on 127.0.0.1, or put a TLS \
                     proxy before it and say --behind-tls-proxy"
                )));
            }
        }
        Ok(found)
    }

    /// Where brokers listen, with the file's values filled in.
    pub(crate) fn brokers(&self, flags: &Listen) -> Result<Brokers, Stop> {
        let file = self.file()?;
        let secure = flags.behind_tls_proxy || file.behind_tls_proxy.unwrap_or(false);
        let broker = file.broker.unwrap_or_default();
        let found = Brokers {
            ssh: flags.ssh_listen.or(broker.ssh_listen),
            postgres: flags.postgres_listen.or(broker.postgres_listen),
            clusters: flags.kubernetes_listen.or(broker.kubernetes_listen),
            services: flags.service_listen.or(broker.service_listen),
            networks: if flags.broker_network.is_empty() {
                let read = |text: &String| {
                    text.parse::<IpNet>().map_err(|_| {
                        Stop::unable(format!(
                            "bailee.toml: broker.networks: `{text}` is no network: write 10.0.0.0/8"
                        ))
                    })
                };
                broker.networks.iter().map(read).collect::<Result<_, _>>()?
            } else {
                flags.broker_network.clone()
            },
        };
        // SSH is encrypted; with the others secrets of sessions come in clear.
        let clear = [found.postgres, found.clusters, found.services];
        if let Some(address) = clear.into_iter().flatten().find(|a| !a.ip().is_loopback() && !secure) {
            return Err(Stop::unable(format!(
                "the broker's address {address} can be reached by others and there is no TLS here: listen on 127.0.0.1, \
                 or put a TLS proxy before it and say --behind-tls-proxy"
            )));
        }
        Ok(found)
    }

    fn file(&self) -> Result<File, Stop> {
        let path = self.data.join("bailee.toml");
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|e| Stop::unable(format!("{}: {e}", path.display()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
            Err(e) => Err(Stop::unable(format!("{}: {e}", path.display()))),
        }
    }
}

/// Where brokers listen, and which networks they may reach beside public addresses.
pub(crate) struct Brokers {
    pub(crate) ssh: Option<SocketAddr>,
    pub(crate) postgres: Option<SocketAddr>,
    pub(crate) clusters: Option<SocketAddr>,
    pub(crate) services: Option<SocketAddr>,
    pub(crate) networks: Vec<IpNet>,
}

/// Where to listen.
pub(crate) struct Addresses {
    pub(crate) console: SocketAddr,
    pub(crate) objects: SocketAddr,
    pub(crate) hosts: Vec<String>,
    /// Whether browsers reach us by HTTPS.
    pub(crate) secure: bool,
    origins: Vec<String>,
}

impl Addresses {
    /// The addresses of the console's pages as browsers have them.
    pub(crate) fn origins(&self, provider_host: &str) -> Vec<String> {
        match (self.origins.is_empty(), self.secure) {
            (false, _) => self.origins.clone(),
            (true, true) => vec![format!("https://{provider_host}")],
            (true, false) => vec![format!("http://localhost:{}", self.console.port())],
        }
    }
}
