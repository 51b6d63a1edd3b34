//! Ours beside nginx (files in clear), `s3s-fs` (no `fsync`, nobody authorized) and Garage (both `fsync`s), in one run:
//! requests a second, and processor time of the server for each request or gigabyte, which is steadier than the clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bailee_benches::client::{Connection, Served};
use bailee_benches::peer::{Load, Nginx, Peer, cpu_seconds, wrk_for};
use bailee_benches::{LONG, at_most, figure, per_second, ratio};
use bailee_testkit::runtime;
use md5::{Digest, Md5};

const LARGE: usize = 64 * 1024 * 1024;
const SMALL: usize = 4096;

/// The target of a request: method, key.
type Target<'a> = Box<dyn Fn(&str, &str) -> String + 'a>;

/// A server under test.
struct Side<'a> {
    name: &'static str,
    pid: u32,
    address: &'a str,
    target: Target<'a>,
}

/// What wrk says, and microseconds of processor time for each.
struct Gets {
    load: Load,
    each: f64,
}

impl Side<'_> {
    fn put(&self, key: &str, body: &[u8]) {
        runtime().block_on(async {
            Connection::to(self.address).await.ask("PUT", &(self.target)("PUT", key), body).await
        });
    }

    /// Load of small GETs.
    fn gets(&self) -> Gets {
        let url = format!("http://{}{}", self.address, (self.target)("GET", "small"));
        wrk_for(&url, 1);
        let before = cpu_seconds(self.pid);
        let load = wrk_for(&url, 3);
        let used = cpu_seconds(self.pid) - before;
        let each = used * 1e6 / load.requests as f64;
        Gets { load, each }
    }

    /// Small PUTs a second by 16 callers, each over sixteen keys of its own, with microseconds of processor time for each.
    fn puts(&self) -> (f64, f64) {
        let (before, done) = (cpu_seconds(self.pid), Arc::new(AtomicU64::new(0)));
        let took = runtime().block_on(async {
            let start = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for n in 0..16 {
                let urls: Vec<_> = (0..16).map(|k| (self.target)("PUT", &format!("put-{n}-{k}"))).collect();
                let (address, done) = (self.address.to_owned(), Arc::clone(&done));
                tasks.spawn(async move {
                    let mut c = Connection::to(&address).await;
                    let body = [9u8; SMALL];
                    for url in urls.iter().cycle() {
                        if start.elapsed() > LONG {
                            return;
                        }
                        c.ask("PUT", url, &body).await;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while let Some(end) = tasks.join_next().await {
                end.unwrap();
            }
            start.elapsed().as_secs_f64()
        });
        let (used, done) = (cpu_seconds(self.pid) - before, done.load(Ordering::Relaxed) as f64);
        (done / took, used * 1e6 / done)
    }

    /// One connection, twelve times 64 MiB: MB/s, and processor seconds for each GB.
    fn large(&self, method: &str, body: &[u8]) -> (f64, f64) {
        let target = (self.target)(method, "large");
        let rounds = 12.0;
        let (took, used) = runtime().block_on(async {
            let mut c = Connection::to(self.address).await;
            c.ask(method, &target, body).await;
            let (start, before) = (Instant::now(), cpu_seconds(self.pid));
            for _ in 0..12 {
                c.ask(method, &target, body).await;
            }
            (start.elapsed().as_secs_f64(), cpu_seconds(self.pid) - before)
        });
        let gb = rounds * LARGE as f64 / 1e9;
        (gb * 1000.0 / took, used / gb)
    }
}

fn small(served: &Side<'_>, nginx: &Side<'_>, peers: &[Side<'_>]) {
    let body = vec![42u8; SMALL];
    std::iter::once(served).chain(peers).for_each(|s| s.put("small", &body));
    // In turns: a shared machine is fast one second and slow the next.
    let turns: Vec<_> = (0..3).map(|_| (served.gets(), nginx.gets())).collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = turns.into_iter().unzip();
    let mean = |of: fn(&Gets) -> f64, side: &[Gets]| side.iter().map(of).sum::<f64>() / side.len() as f64;
    let (rate, cpu) = (mean(|g| g.load.per_second, &ours), mean(|g| g.each, &ours));
    let what = "GET 4 KiB, sealed and authorized, 16 connections";
    ratio(what, rate, "nginx", mean(|g| g.load.per_second, &theirs), "/s", 50.0);
    at_most("  processor time of each", cpu, "nginx", mean(|g| g.each, &theirs), "us", 300.0);
    for (own, theirs) in ours.iter().zip(&theirs) {
        println!("  median latency {} (aim 5 ms), nginx {}", own.load.median, theirs.load.median);
    }
    for peer in peers {
        let Gets { load, each } = peer.gets();
        ratio("  for scale", rate, peer.name, load.per_second, "/s", 0.0);
        at_most("  processor time of each", cpu, peer.name, each, "us", 0.0);
    }
}

fn puts(served: &Side<'_>, peers: &[Side<'_>]) {
    let (ours, cpu) = served.puts();
    for peer in peers {
        let (theirs, each) = peer.puts();
        let aim = if peer.name.starts_with("Garage") { 4000.0 } else { 100.0 };
        ratio("durable PUT 4 KiB, 16 callers", ours, peer.name, theirs, "/s", aim);
        at_most("  processor time of each", cpu, peer.name, each, "us", 0.0);
    }
}

fn large(served: &Side<'_>, nginx: &Side<'_>, peers: &[Side<'_>]) {
    let body = vec![42u8; LARGE];
    let chunk = vec![42u8; 1024 * 1024];
    let md5 = 1e9
        / (per_second(|| {
            std::hint::black_box(Md5::digest(&chunk));
        }) * chunk.len() as f64);
    let (speed, put) = served.large("PUT", &body);
    let what = "PUT 64 MiB, synced, processor seconds a GB";
    at_most(what, put, "1.0 and what MD5 takes", 1.0 + md5, "s/GB", 100.0);
    figure("  one connection", speed, "MB/s");
    peers.iter().for_each(|p| {
        let (speed, cpu) = p.large("PUT", &body);
        println!("  for scale: {} {cpu:.2} s/GB, {speed:.0} MB/s", p.name);
    });
    let ((speed, get), (plain, base)) = (served.large("GET", b""), nginx.large("GET", b""));
    let what = "GET 64 MiB, processor seconds a GB";
    at_most(what, get, "nginx and 0.35", base + 0.35, "s/GB", 100.0);
    ratio("  one connection", speed, "nginx", plain, "MB/s", 0.0);
    peers.iter().for_each(|p| {
        let (speed, cpu) = p.large("GET", b"");
        println!("  for scale: {} {cpu:.2} s/GB, {speed:.0} MB/s", p.name);
    });
}

/// What a connection holds that has read a large object and is kept.
fn kept(served: &Served, side: &Side<'_>) {
    const KEPT: usize = 256;
    std::thread::sleep(Duration::from_secs(1));
    let before = served.resident_mib();
    let after = runtime().block_on(async {
        let mut kept = Vec::new();
        for _ in 0..KEPT {
            let mut c = Connection::to(side.address).await;
            c.ask("GET", &(side.target)("GET", "small"), b"").await;
            kept.push(c);
        }
        served.resident_mib()
    });
    at_most(
        "resident for each of 256 kept connections",
        (after - before) / KEPT as f64,
        "1 MiB",
        1.0,
        "MiB",
        100.0,
    );
}

fn main() {
    let served = Served::start();
    let nginx = [Nginx::start(&vec![42u8; SMALL]), Nginx::start(&vec![42u8; LARGE])];
    let (s3s, garage) = (Peer::s3s_fs(), Peer::garage());
    let ours = Side {
        name: "ours",
        pid: served.pid(),
        address: &served.objects,
        target: Box::new(|method, key| served.signed(method, &format!("/acme-invoices/{key}"))),
    };
    let file = |n: &'static str, i: usize| Side {
        name: n,
        pid: nginx[i].pid(),
        address: &nginx[i].address,
        target: Box::new(|_, _| "/file".to_owned()),
    };
    let mut peers = Vec::new();
    for (name, peer) in [("s3s-fs without fsync", &s3s), ("Garage with both fsyncs", &garage)] {
        match peer {
            Some(p) => peers.push(Side {
                name,
                pid: p.pid(),
                address: &p.address,
                target: Box::new(|method, key| p.target(method, key)),
            }),
            None => println!("NOT MEASURED: {name}: `cargo xtask bench --bench peers` builds it"),
        }
    }
    small(&ours, &file("nginx", 0), &peers);
    puts(&ours, &peers);
    large(&ours, &file("nginx", 1), &peers);
    kept(&served, &ours);
}
