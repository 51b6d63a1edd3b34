//! `bailee serve`, and what it shares with `bailee dev`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bailee_rooms::House;
use bailee_store::DbConfig;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::on_runtime;
use crate::brokers;
use crate::config::{Addresses, Brokers, Common, Listen, LogFormat};
use crate::output::Stop;

/// Serve portal, console, RPC, log and objects until Ctrl-C or SIGTERM.
#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    listen: Listen,
}

pub(crate) fn run(common: &Common, c: Serve) -> Result<ExitCode, Stop> {
    logs(c.listen.log_format);
    let addresses = common.listen(&c.listen)?;
    let _lock = lock(common)?;
    let brokers = common.brokers(&c.listen)?;
    let house = common.open_serving(&c.listen, c.listen.allow_local_issuers)?;
    let data = common.data.clone();
    on_runtime(async move {
        house.take_over_if_embedded().await?;
        let bound = Bound::bind(&addresses, (&brokers, data)).await?;
        eprintln!("console  {}", bound.console_url());
        eprintln!("objects  {}", bound.objects_url());
        for (name, address) in bound.broker_addresses() {
            eprintln!("{name:<8} {address}");
        }
        bound.serve(house, addresses).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// One server on one embedded data folder; several may serve one PostgreSQL, which has a lock of its own for writers.
/// The lock goes with the process, however it ends.
pub(super) fn lock(common: &Common) -> Result<Option<std::fs::File>, Stop> {
    if !matches!(common.house()?.db, DbConfig::Sqlite(_)) {
        return Ok(None);
    }
    let path = common.data.join("lock");
    let cannot = |e: &dyn std::fmt::Display| Stop::unable(format!("{}: {e}", path.display()));
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| cannot(&e))?;
    file.try_lock().map_err(|_| {
        Stop::unable(format!("another `bailee` serves {} already; stop it first", common.data.display()))
    })?;
    Ok(Some(file))
}

/// Structured logs on standard error; `RUST_LOG` filters.
pub(super) fn logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Standard error may be a file on a disk that is full: saying so there would panic.
        .log_internal_errors(false);
    // A second call (there is none) would only find the first one's choice.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Two listening sockets, and the signals that stop them: listened to before anybody is told that we serve.
pub(super) struct Bound {
    console: TcpListener,
    objects: TcpListener,
    brokers: brokers::Bound,
    data: PathBuf,
    term: Signal,
    int: Signal,
}

impl Bound {
    pub(super) async fn bind(
        addresses: &Addresses,
        (brokers, data): (&Brokers, PathBuf),
    ) -> Result<Self, Stop> {
        let bind = |addr: std::net::SocketAddr| async move {
            TcpListener::bind(addr).await.map_err(|e| {
                Stop::unable(format!(
                    "cannot listen on {addr}: {e}; choose another with --listen or --object-listen"
                ))
            })
        };
        let listen = |kind| signal(kind).map_err(|e| Stop::unable(format!("cannot listen for signals: {e}")));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            console: bind(addresses.console).await?,
            objects: bind(addresses.objects).await?,
            brokers: brokers::Bound::bind(brokers).await?,
            data,
        })
    }

    pub(super) fn console_url(&self) -> String {
        url(&self.console)
    }

    pub(super) fn objects_url(&self) -> String {
        url(&self.objects)
    }

    /// The brokers that listen, by name.
    pub(super) fn broker_addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.brokers.addresses().into_iter().filter_map(|(name, address)| Some((name, address?))).collect()
    }

    pub(super) async fn serve(mut self, house: Arc<House>, addresses: Addresses) -> Result<(), Stop> {
        let (stop, stopped) = watch::channel(false);
        let mut addresses = addresses;
        // Port 0 is decided by now.
        addresses.console = self.console.local_addr().unwrap_or(addresses.console);
        if let Err(e) = house.serve_at(&addresses.origins(&house.provider().host)) {
            tracing::warn!("{e}");
        }
        let [(_, ssh), (_, postgres), (_, clusters), (_, services)] = self.brokers.addresses();
        let (ssh_host_key, mut brokers) = self.brokers.serve(&house, &self.data, &stopped)?;
        let options = bailee_web::Options {
            hosts: addresses.hosts,
            secure: addresses.secure,
            brokers: bailee_web::Brokers { ssh, postgres, clusters, services, ssh_host_key },
        };
        let workers = tokio::spawn({
            let (house, stopped) = (Arc::clone(&house), stopped.clone());
            async move { house.run_workers(stopped).await }
        });
        let last = Arc::clone(&house);
        let server = tokio::spawn(bailee_web::serve(house, self.console, self.objects, options, stopped));
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
        tracing::info!("stopping: running requests end first");
        let _ = stop.send(true);
        // The listeners end before the workers' last checkpoint could miss a record of theirs; both are bounded.
        let _ = server.await;
        while brokers.join_next().await.is_some() {}
        last.write_access_logs().await;
        let _ = workers.await;
        Ok(())
    }
}

fn url(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| String::new(), |a| format!("http://{a}"))
}
