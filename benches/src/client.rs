//! The release binary under load: started, asked over bare sockets by a client that costs little itself.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `bailee dev` in a folder of its own.
pub struct Served {
    child: Child,
    /// `host:port` of the objects.
    pub objects: String,
    /// From the start of the process to the line that says where it serves.
    pub ready_after: Duration,
    key: (String, String),
    _folder: tempfile::TempDir,
}

impl Served {
    /// Makes a sample, stops, and starts again, timed.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Self::start_in(&folder);
        first.0.kill().unwrap();
        first.0.wait().unwrap();
        let start = Instant::now();
        let (child, logins) = Self::start_in(&folder);
        let ready_after = start.elapsed();
        let root = &logins["tenants"][0]["root"];
        let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
        Self {
            child,
            objects: text(&logins["objects"]).trim_start_matches("http://").to_owned(),
            ready_after,
            key: (text(&root["access_key_id"]), text(&root["access_key_secret"])),
            _folder: folder,
        }
    }

    fn start_in(folder: &tempfile::TempDir) -> (Child, serde_json::Value) {
        let program = std::env::var_os("BAILEE_BIN").map_or_else(beside, PathBuf::from);
        let mut child = Command::new(program)
            .args(["dev", "--json", "--listen", "127.0.0.1:0", "--object-listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (child, serde_json::from_str(&line).expect("the sample's logins"))
    }

    /// A presigned OSS V1 address, good for an hour.
    pub fn signed(&self, method: &str, path: &str) -> String {
        let expires = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
        let expires = expires.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 3600;
        let mut mac = Hmac::<Sha1>::new_from_slice(self.key.1.as_bytes()).unwrap();
        mac.update(format!("{method}\n\n\n{expires}\n{path}").as_bytes());
        let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        let quoted = percent_encoding::utf8_percent_encode(&signature, percent_encoding::NON_ALPHANUMERIC);
        format!("{path}?OSSAccessKeyId={}&Expires={expires}&Signature={quoted}", self.key.0)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory now, MiB.
    pub fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The release binary as `cargo build --release` leaves it: two folders above this bench.
fn beside() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    let program = bench.ancestors().nth(2).unwrap().join("bailee");
    assert!(program.exists(), "build it first: cargo build --release (`cargo xtask bench` does)");
    program
}

/// One connection that is kept.
pub struct Connection {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, host: address.to_owned(), buffer: vec![0; 256 * 1024] }
    }

    /// One request; answers the number of body bytes. Anything but 200 is the end.
    pub async fn ask(&mut self, method: &str, target: &str, body: &[u8]) -> u64 {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.stream.write_all(head.as_bytes()).await.unwrap();
        self.stream.write_all(body).await.unwrap();
        let mut filled = 0;
        let end = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the connection was closed");
            filled += read;
            if let Some(end) = self.buffer[..filled].windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer[..filled]));
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap_or("0");
        let length: u64 = length.trim().parse().unwrap();
        let mut left = length - (filled - end) as u64;
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the body was cut");
            left -= read as u64;
        }
        length
    }
}
