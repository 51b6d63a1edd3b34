//! The brokers' doors into the house: what `bailee_broker` asks, answered by the rooms.
//!
//! INVARIANT: a tenant cannot lead a broker into the provider's own network: names are resolved here, and an address is reached
//! only when it is public or in a network that the provider named (`broker.networks`).

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use bailee_broker::seat::{ClusterRule, ServiceRule};
use bailee_broker::{Door, Ended, Family, Frame, Hello, Refused, Seat, Side, Target};
use bailee_rooms::broker::{self as room, Settings};
use bailee_rooms::consent::Limits;
use bailee_rooms::{Failure, House};
use bailee_types::{SecretBytes, SecretText, SystemClock, Timestamp, random_bytes};
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Brokers;
use crate::output::Stop;
use crate::outside::is_public;

/// Lets sessions of the house in.
pub(crate) struct HouseDoor {
    house: Arc<House>,
    networks: Vec<IpNet>,
}

/// A connection of a session.
pub(crate) struct HouseSeat {
    seat: room::Seat,
    target: Target,
}

/// Where brokers listen; bound, not yet served.
pub(crate) struct Bound {
    ssh: Option<TcpListener>,
    postgres: Option<TcpListener>,
    clusters: Option<TcpListener>,
    services: Option<TcpListener>,
    networks: Vec<IpNet>,
}

impl HouseDoor {
    /// The first address of a name that brokers may reach.
    async fn find(&self, address: &str) -> Result<SocketAddr, Refused> {
        let cannot = |why: &str| Refused(format!("the target's address cannot be reached: {why}"));
        let found: Vec<_> = tokio::net::lookup_host(address)
            .await
            .map_err(|_| cannot("its name does not resolve"))?
            .collect();
        let may = |ip: IpAddr| is_public(ip) || self.networks.iter().any(|n| n.contains(&ip.to_canonical()));
        found.iter().copied().find(|a| may(a.ip())).ok_or_else(|| {
            cannot(
                "it is in no network that the provider lets brokers reach (`broker.networks` in bailee.toml)",
            )
        })
    }

    async fn target(&self, seat: &room::Seat) -> Result<Target, Refused> {
        let damaged = || Refused("the target's secret is missing: the tenant must set it anew".into());
        let secret = || {
            let secret = seat.secret().ok_or_else(damaged)?;
            String::from_utf8(secret.expose().to_vec()).map(SecretText::new).map_err(|_| damaged())
        };
        match (seat.settings.clone(), seat.session.limits.clone()) {
            (
                Settings::Host { address, host_keys, login },
                Limits::Host { shell, exec, download, upload },
            ) => Ok(Target::Host {
                address: self.find(&address).await?.to_string(),
                host_keys,
                login,
                authority: SecretBytes::new(seat.secret().ok_or_else(damaged)?.expose().to_vec()),
                shell,
                exec,
                download,
                upload,
            }),
            (
                Settings::Database { address, database, admin, roles: has, statement_ms, mask },
                Limits::Database { roles, read_only },
            ) => {
                // What the tenant no longer hands out is not handed out under an older grant either.
                if let Some(gone) = roles.iter().find(|r| !has.contains(r)) {
                    return Err(Refused(format!("the target does not hand out the role `{gone}` any more")));
                }
                Ok(Target::Database {
                    address: self.find(&address).await?.to_string(),
                    database,
                    admin,
                    password: secret()?,
                    roles,
                    read_only,
                    statement_ms,
                    mask,
                })
            }
            (Settings::Cluster { address, ca_pem }, Limits::Cluster { rules }) => Ok(Target::Cluster {
                address,
                ca_pem,
                token: secret()?,
                rules: rules
                    .into_iter()
                    .map(|r| ClusterRule {
                        verbs: r.verbs,
                        resources: r.resources,
                        namespaces: r.namespaces,
                        names: r.names,
                    })
                    .collect(),
            }),
            (Settings::Service { address, ca_pem, webhdfs }, Limits::Service { rules }) => {
                Ok(Target::Service {
                    address,
                    ca_pem,
                    authorization: seat.secret().map(|_| secret()).transpose()?,
                    webhdfs,
                    rules: rules
                        .into_iter()
                        .map(|r| ServiceRule { methods: r.methods, path: r.path, ops: r.ops })
                        .collect(),
                })
            }
            _ => Err(Refused("the target is of another family than the session".into())),
        }
    }
}

impl Door for HouseDoor {
    type Seat = HouseSeat;

    async fn enter(&self, hello: Hello<'_>) -> Result<Arc<HouseSeat>, Refused> {
        let family = match hello.family {
            Family::Host => "host",
            Family::Database => "database",
            Family::Cluster => "cluster",
            Family::Service => "service",
        };
        let shown = (hello.name, hello.secret.expose());
        let seat = self.house.enter_session(family, shown, hello.peer).await.map_err(|e| match e {
            Failure::NotFound { .. } => Refused("no open session has this name and secret".into()),
            Failure::Unavailable(why) => Refused(why),
            other => {
                tracing::error!("a session could not be entered: {other}");
                Refused("the house cannot open the session now".into())
            }
        })?;
        let target = self.target(&seat).await?;
        Ok(Arc::new(HouseSeat { seat, target }))
    }

    async fn reach(&self, host: &str, port: u16) -> Result<SocketAddr, Refused> {
        // An address of IPv6 has colons of its own.
        self.find(&if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
            .await
    }
}

impl Seat for HouseSeat {
    fn target(&self) -> &Target {
        &self.target
    }

    fn session(&self) -> &str {
        &self.seat.session.id
    }

    fn grant(&self) -> &str {
        self.seat.session.grant.as_str()
    }

    fn operator(&self) -> &str {
        self.seat.session.pseudonym.as_str()
    }

    fn until(&self) -> Timestamp {
        self.seat.session.until
    }

    async fn record(&self, frame: Frame<'_>) -> Result<(), Ended> {
        let side = match frame.side {
            Side::Client => room::Side::Client,
            Side::Target => room::Side::Target,
            Side::Note => room::Side::Note,
        };
        self.seat.record(side, frame.channel, frame.bytes).map_err(Ended)
    }

    async fn ended(&self) -> Ended {
        Ended(self.seat.ended().await)
    }
}

impl Bound {
    pub(crate) async fn bind(brokers: &Brokers) -> Result<Self, Stop> {
        let bind = async |address: Option<SocketAddr>, flag: &str| match address {
            None => Ok(None),
            Some(address) => TcpListener::bind(address).await.map(Some).map_err(|e| {
                Stop::unable(format!("cannot listen on {address}: {e}; choose another with {flag}"))
            }),
        };
        Ok(Self {
            ssh: bind(brokers.ssh, "--ssh-listen").await?,
            postgres: bind(brokers.postgres, "--postgres-listen").await?,
            clusters: bind(brokers.clusters, "--kubernetes-listen").await?,
            services: bind(brokers.services, "--service-listen").await?,
            networks: brokers.networks.clone(),
        })
    }

    /// Where each of them listens, for people.
    pub(crate) fn addresses(&self) -> [(&'static str, Option<SocketAddr>); 4] {
        let of = |l: &Option<TcpListener>| l.as_ref().and_then(|l| l.local_addr().ok());
        [
            ("ssh", of(&self.ssh)),
            ("postgres", of(&self.postgres)),
            ("kubernetes", of(&self.clusters)),
            ("service", of(&self.services)),
        ]
    }

    /// Serves until `stop` turns true. Answers the SSH gateway's host key, and what to wait for at the end.
    pub(crate) fn serve(
        self,
        house: &Arc<House>,
        data: &Path,
        stop: &watch::Receiver<bool>,
    ) -> Result<(Option<String>, JoinSet<()>), Stop> {
        let door = Arc::new(HouseDoor { house: Arc::clone(house), networks: self.networks });
        let mut all = JoinSet::new();
        let stopping = || {
            let mut stop = stop.clone();
            async move {
                let _ = stop.wait_for(|s| *s).await;
            }
        };
        let mut host_key = None;
        if let Some(listener) = self.ssh {
            let seed = host_key_seed(data)?;
            let clock = Arc::new(SystemClock::default());
            let gateway = bailee_broker::ssh::Gateway::new(Arc::clone(&door), clock, &seed);
            host_key = Some(gateway.host_key().to_owned());
            let stop = stopping();
            all.spawn(async move { gateway.serve(listener, stop).await });
        }
        if let Some(listener) = self.postgres {
            let proxy = bailee_broker::pg::Proxy::new(Arc::clone(&door));
            all.spawn(proxy.serve(listener, stopping()));
        }
        for (listener, family) in [(self.clusters, Family::Cluster), (self.services, Family::Service)] {
            if let Some(listener) = listener {
                let proxy = bailee_broker::http::Proxy::new(Arc::clone(&door), family);
                all.spawn(proxy.serve(listener, stopping()));
            }
        }
        Ok((host_key, all))
    }
}

/// The seed of the SSH gateway's host key: a file of the data folder, made when it is missing. Servers on one folder have one.
fn host_key_seed(data: &Path) -> Result<[u8; 32], Stop> {
    let path = data.join("ssh-host.key");
    let wrong = |why: &dyn std::fmt::Display| Stop::unable(format!("{}: {why}", path.display()));
    let fresh = hex::encode(random_bytes::<32>());
    let made = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path);
    match made.and_then(|mut f| f.write_all(fresh.as_bytes()).and_then(|()| f.sync_all())) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(wrong(&e)),
    }
    let text = crate::config::secret_line(&path)?;
    let bytes = hex::decode(text.expose()).map_err(|_| wrong(&"it is no key of the SSH gateway"))?;
    bytes.try_into().map_err(|_| wrong(&"it is no key of the SSH gateway"))
}
