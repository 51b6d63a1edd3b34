//! A house for tests of brokers: one session, a recording in memory, and switches to end both.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bailee_broker::{Door, Ended, Family, Frame, Hello, Refused, Seat, Side, Target};
use bailee_types::{Clock as _, SystemClock, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

pub const SESSION: &str = "s-abcdefgh23456789";
pub const SECRET: &str = "open sesame";

/// A seat whose recording is a list.
pub struct Table {
    pub target: Target,
    pub until: Timestamp,
    pub frames: Mutex<Vec<(Side, u32, Vec<u8>)>>,
    /// Record nothing more once a frame holds this text.
    pub stops_at: Mutex<Option<&'static str>>,
    pub full: AtomicBool,
    pub end: watch::Sender<Option<Ended>>,
}

impl Seat for Table {
    fn target(&self) -> &Target {
        &self.target
    }
    fn session(&self) -> &str {
        SESSION
    }
    fn grant(&self) -> &str {
        "G-abcdefgh2345"
    }
    fn operator(&self) -> &str {
        "emp-7"
    }
    fn until(&self) -> Timestamp {
        self.until
    }
    async fn record(&self, frame: Frame<'_>) -> Result<(), Ended> {
        let text = String::from_utf8_lossy(frame.bytes);
        if self.stops_at.lock().is_some_and(|at| text.contains(at)) {
            self.full.store(true, Ordering::SeqCst);
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(Ended("the recording is full".into()));
        }
        self.frames.lock().push((frame.side, frame.channel, frame.bytes.to_vec()));
        Ok(())
    }
    async fn ended(&self) -> Ended {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await.unwrap();
        ended.clone().unwrap()
    }
}

impl Table {
    pub fn new(target: Target) -> Arc<Self> {
        Arc::new(Self {
            target,
            until: SystemClock::default().now().plus_ms(600_000),
            frames: Mutex::default(),
            stops_at: Mutex::default(),
            full: AtomicBool::new(false),
            end: watch::channel(None).0,
        })
    }

    pub fn notes(&self, kind: &str) -> Vec<Value> {
        let frames = self.frames.lock();
        let notes = frames.iter().filter(|(side, ..)| *side == Side::Note);
        notes
            .map(|(_, channel, bytes)| {
                let note: Value = serde_json::from_slice(bytes).unwrap();
                assert_eq!(note["channel"], json!(channel));
                note
            })
            .filter(|note| note["kind"] == kind)
            .collect()
    }

    /// What passed on the first connection.
    pub fn bytes(&self, side: Side) -> Vec<u8> {
        let frames = self.frames.lock();
        let of_first = frames.iter().filter(|(s, channel, _)| (*s, *channel) == (side, 1));
        of_first.flat_map(|(.., bytes)| bytes.clone()).collect()
    }
}

/// A door with one session behind it.
pub struct OneDoor(pub Arc<Table>, pub Family);

impl Door for OneDoor {
    type Seat = Table;

    async fn reach(&self, host: &str, port: u16) -> Result<std::net::SocketAddr, Refused> {
        let mut found = tokio::net::lookup_host((host, port)).await.map_err(|e| Refused(e.to_string()))?;
        found.next().ok_or_else(|| Refused("nowhere".into()))
    }
    async fn enter(&self, hello: Hello<'_>) -> Result<Arc<Table>, Refused> {
        if (hello.family, hello.name, hello.secret.expose()) == (self.1, SESSION, SECRET) {
            return Ok(Arc::clone(&self.0));
        }
        Err(Refused("no such session".into()))
    }
}

/// Waits for what others bring about.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(10), "not in 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn in_time<T>(within: Duration, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(within, what).await.expect("in time")
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}
