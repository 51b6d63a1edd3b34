//! From the tenant's revocation to the end of what runs under the grant: in the process that took it, and in another one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_benches::figure;
use bailee_rooms::House;
use bailee_rooms::broker::{OpenSession, PutTarget, Seat, Settings};
use bailee_rooms::consent::{Because, Decision, Limits, RequestConsent, Scope};
use bailee_rooms::gate::Caller;
use bailee_testkit::{Engine, TestHouse, TestTenant, engines, runtime};
use bailee_types::{GrantId, TargetName, TicketId};
use tokio::sync::watch;

const ROUNDS: usize = 60;
/// Connections of a session, in each process.
const SEATS: usize = 4;
/// Sessions that go on beside it: one operator has no more than 16.
const OTHERS: usize = 14;
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Scene {
    t: TestHouse,
    other: TestHouse,
    acme: TestTenant,
    lin: Caller,
    ticket: TicketId,
}

impl Scene {
    async fn new(t: TestHouse, other: TestHouse) -> Self {
        let acme = t.tenant("acme").await;
        let settings = Settings::Host {
            address: "10.0.0.7:22".into(),
            host_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ".into()],
            login: "deploy".into(),
        };
        let put = PutTarget { tenant: acme.id.clone(), name: target(), settings, secret: None };
        t.house.perform(acme.root.clone(), put).await.unwrap();
        let ticket = acme.ticket(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        Self { t, other, acme, lin, ticket }
    }

    /// A session with connections in both processes.
    async fn session(&self, seats: usize) -> (GrantId, [Vec<Seat>; 2]) {
        // The newest grant counts: no two are of one moment.
        self.t.clock.advance_ms(1);
        let limits = Limits::Host { shell: true, exec: false, download: false, upload: false };
        let ask = RequestConsent {
            tenant: self.acme.id.clone(),
            ticket: self.ticket.clone(),
            scope: Scope::Target { target: target(), limits },
            minutes: 60,
            uses_max: 1,
            reason: "nginx does not start".into(),
            because: Because::default(),
        };
        let grant = self.t.house.perform(self.lin.clone(), ask).await.unwrap().id;
        self.acme.decide(&self.t, &grant, Decision::Approve { minutes: 60, uses_max: 1 }).await.unwrap();
        let (tenant, ticket) = (self.acme.id.clone(), self.ticket.clone());
        let open = OpenSession { tenant, ticket, target: target(), family: "host".into() };
        let opened = self.t.house.perform(self.lin.clone(), open).await.unwrap();
        let mut here = [Vec::new(), Vec::new()];
        for (house, seated) in [&self.t.house, &self.other.house].into_iter().zip(&mut here) {
            for _ in 0..seats {
                let shown = (opened.id.as_str(), opened.secret.expose());
                seated.push(house.enter_session("host", shown, PEER).await.unwrap());
            }
        }
        (grant, here)
    }

    /// Milliseconds from the answer to the revocation to the end of each connection, by process.
    async fn revoke(&self) -> [Vec<f64>; 2] {
        let (grant, [own, far]) = self.session(SEATS).await;
        let waits = |seats: Vec<Seat>| {
            let each = seats.into_iter().map(|seat| async move {
                seat.ended().await;
                Instant::now()
            });
            tokio::spawn(futures_util::future::join_all(each))
        };
        let (own, far) = (waits(own), waits(far));
        self.acme.decide(&self.t, &grant, Decision::Revoke).await.unwrap();
        let answered = Instant::now();
        let took = |ends: Vec<Instant>| {
            ends.into_iter()
                .map(|end| end.saturating_duration_since(answered).as_secs_f64() * 1_000.0)
                .collect()
        };
        [took(own.await.unwrap()), took(far.await.unwrap())]
    }
}

fn target() -> TargetName {
    TargetName::parse("web-1").unwrap()
}

fn works(house: &Arc<House>, stopped: &watch::Receiver<bool>) {
    let (house, stopped) = (Arc::clone(house), stopped.clone());
    tokio::spawn(async move { house.run_workers(stopped).await });
}

fn told(what: &str, mut all: Vec<f64>, aim_ms: f64) {
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    for (name, share) in [("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1.0)] {
        figure(&format!("{what}, {name}"), at(share), "ms");
    }
    let verdict = if at(0.99) <= aim_ms { "reached" } else { "MISSED" };
    println!("  p99 against the aim of {aim_ms} ms: {verdict}");
}

fn main() {
    for engine in engines() {
        let name = match engine {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        };
        let t = TestHouse::new(engine);
        let other = t.second();
        let [own, far] = runtime().block_on(async {
            let s = Scene::new(t, other).await;
            let (stop, stopped) = watch::channel(false);
            works(&s.t.house, &stopped);
            works(&s.other.house, &stopped);
            let mut beside = Vec::new();
            for _ in 0..OTHERS {
                beside.push(s.session(1).await);
            }
            let mut all = [Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                for (all, round) in all.iter_mut().zip(s.revoke().await) {
                    all.extend(round);
                }
                // Not in step with the worker's looks.
                tokio::time::sleep(Duration::from_millis(37)).await;
            }
            stop.send_replace(true);
            all
        });
        println!(
            "\n{name}: {} connections ended by {ROUNDS} revocations, {OTHERS} sessions beside them",
            own.len() + far.len()
        );
        told("cut in the process that revoked", own, 200.0);
        told("cut in another process on the database", far, 1_000.0);
    }
}
