//! The front: two listeners over one house.
//!
//! The console listener serves the portal, the console, the RPC protocol, the JSON API, the log's tiles and health; the object
//! listener serves OSS and S3. Both turn bytes into an operation and an answer, and decide nothing: every act goes
//! through the gate of `bailee-rooms`.
//! INVARIANT: no address, header or body of a request reaches a log; secrets travel in all three.

mod api;
mod collect;
mod log;
mod objects;
mod ops;
mod origin;
mod pages;
mod rpc;
mod server;
mod socket;
mod traffic;

pub use rpc::at_the_machine as rpc_at_the_machine;

use std::net::SocketAddr;
use std::sync::Arc;

use bailee_rooms::House;
use tokio::net::TcpListener;
use tokio::sync::watch;

use traffic::Traffic;

/// What the listeners are told beside the house.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Base host names for virtual-host buckets, `bucket.<host>`.
    pub hosts: Vec<String>,
    /// Whether browsers reach us by HTTPS (through a TLS proxy): cookies are then marked so.
    pub secure: bool,
    /// Where brokers listen.
    pub brokers: Brokers,
}

/// Where brokers listen, as an operator is told; what is none is not served.
#[derive(Clone, Debug, Default)]
pub struct Brokers {
    /// SSH.
    pub ssh: Option<SocketAddr>,
    /// PostgreSQL.
    pub postgres: Option<SocketAddr>,
    /// Kubernetes.
    pub clusters: Option<SocketAddr>,
    /// Other services over HTTP.
    pub services: Option<SocketAddr>,
    /// The SSH gateway's host key, `ssh-ed25519 AAAA…`.
    pub ssh_host_key: Option<String>,
}

/// Serves both listeners until `stop` turns true, then lets running requests end (at most ten seconds).
pub async fn serve(
    house: Arc<House>,
    console: TcpListener,
    objects: TcpListener,
    options: Options,
    stop: watch::Receiver<bool>,
) {
    let traffic = Arc::new(Traffic::default());
    let url = |l: &TcpListener| l.local_addr().map_or_else(|_| String::new(), |a| format!("http://{a}"));
    let site = pages::Site {
        house: Arc::clone(&house),
        secure: options.secure,
        brokers: options.brokers,
        objects_url: url(&objects),
        console_url: url(&console),
        live: pages::Live::new(stop.clone()),
        uploads: pages::Uploads::default(),
    };
    let front = server::Front::new(Arc::clone(&house), site, Arc::clone(&traffic));
    tokio::join!(
        server::serve_console(front, console, stop.clone()),
        objects::serve(house, objects, options.hosts, traffic, options.secure, stop),
    );
}
