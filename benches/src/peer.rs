//! The servers beside which ours is measured, and what both are measured with.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A program of somebody else that serves until this is dropped.
pub struct Nginx {
    child: Child,
    /// `host:port`.
    pub address: String,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Serves `body` as `/file`, in clear and to everybody, from its cache of open files.
    pub fn start(body: &[u8]) -> Self {
        let folder = open_folder();
        let address = free_address();
        std::fs::write(folder.path().join("file"), body).unwrap();
        let at = folder.path().display();
        let config = format!(
            "worker_processes auto; daemon off; pid {at}/pid; error_log {at}/error.log; events {{ worker_connections 1024; }}
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
                     client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
                     open_file_cache max=10; server {{ listen {address}; root {at}; }} }}"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let child =
            quiet(Command::new(program).arg("-c").arg(folder.path().join("nginx.conf"))).spawn().unwrap();
        wait_for(&address);
        Self { child, address, _folder: folder }
    }

    /// Its master's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only when it is asked to.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// A peer that speaks S3, built from its registry package by `cargo xtask bench --bench peers`.
pub struct Peer {
    child: Child,
    /// `host:port`.
    pub address: String,
    key: Option<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Peer {
    /// `s3s-fs`: files in a folder, no `fsync`, nobody is asked who he is. `None` when `BAILEE_PEERS` has none.
    pub fn s3s_fs() -> Option<Self> {
        let program = program("s3s-fs")?;
        let (folder, address) = (open_folder(), free_address());
        std::fs::create_dir(folder.path().join("peers")).unwrap();
        let port = address.rsplit_once(':').unwrap().1;
        let child =
            quiet(Command::new(program).args(["--host", "127.0.0.1", "--port", port]).arg(folder.path()))
                .spawn()
                .unwrap();
        wait_for(&address);
        Some(Self { child, address, key: None, _folder: folder })
    }

    /// Garage, one node, `metadata_fsync` and `data_fsync` on. `None` when `BAILEE_PEERS` has none.
    pub fn garage() -> Option<Self> {
        let program = program("garage")?;
        let (folder, address, rpc) = (open_folder(), free_address(), free_address());
        let at = folder.path().display();
        let config = folder.path().join("garage.toml");
        let text = format!(
            "metadata_dir = \"{at}/meta\"\ndata_dir = \"{at}/data\"\ndb_engine = \"lmdb\"\nmetadata_fsync = true\n\
             data_fsync = true\nreplication_factor = 1\nrpc_bind_addr = \"{rpc}\"\nrpc_public_addr = \"{rpc}\"\n\
             rpc_secret = \"{}\"\n[s3_api]\ns3_region = \"garage\"\napi_bind_addr = \"{address}\"\n",
            "5e".repeat(32)
        );
        std::fs::write(&config, text).unwrap();
        let key = (format!("GK{}", "ab".repeat(12)), "cd".repeat(32));
        let child = quiet(
            Command::new(program)
                .arg("-c")
                .arg(&config)
                .args(["server", "--single-node", "--default-bucket"])
                .env("GARAGE_DEFAULT_ACCESS_KEY", &key.0)
                .env("GARAGE_DEFAULT_SECRET_KEY", &key.1)
                .env("GARAGE_DEFAULT_BUCKET", "peers"),
        )
        .spawn()
        .unwrap();
        wait_for(&address);
        // The bucket is made a moment after the socket is open.
        std::thread::sleep(Duration::from_secs(3));
        Some(Self { child, address, key: Some(key), _folder: folder })
    }

    /// The target of a request for a key of the bucket, presigned where the peer wants to know who asks.
    pub fn target(&self, method: &str, key: &str) -> String {
        let path = format!("/peers/{key}");
        match &self.key {
            None => path,
            Some((id, secret)) => presigned(method, &self.address, &path, id, secret),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SigV4 in the query, without a signed payload, good for an hour (AWS, "Authenticating Requests: Using Query Parameters").
fn presigned(method: &str, host: &str, path: &str, id: &str, secret: &str) -> String {
    let now = Command::new("date").args(["-u", "+%Y%m%dT%H%M%SZ"]).output().unwrap().stdout;
    let now = String::from_utf8(now).unwrap().trim().to_owned();
    let (day, scope) = (&now[..8], format!("{}/garage/s3/aws4_request", &now[..8]));
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={id}%2F{}&X-Amz-Date={now}&X-Amz-Expires=3600&X-Amz-SignedHeaders=host",
        scope.replace('/', "%2F")
    );
    let canonical = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let key = [day, "garage", "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part.as_bytes()));
    format!("{path}?{query}&X-Amz-Signature={}", hex::encode(mac(&key, text.as_bytes())))
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// What wrk says.
pub struct Load {
    /// Requests a second.
    pub per_second: f64,
    /// Half of the requests took no longer, as wrk writes it.
    pub median: String,
    /// How many were answered.
    pub requests: u64,
}

/// One thread, 16 connections, three seconds, after one to warm up.
pub fn wrk(url: &str) -> Load {
    wrk_for(url, 1);
    wrk_for(url, 3)
}

/// One thread, 16 connections.
pub fn wrk_for(url: &str, seconds: u32) -> Load {
    let duration = format!("{seconds}s");
    let out =
        Command::new("wrk").args(["-t1", "-c16", "--latency", "-d", &duration, url]).output().expect("wrk");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "{text}");
    let word = |mark: &str| {
        let line =
            text.lines().find(|l| l.trim_start().starts_with(mark)).unwrap_or_else(|| panic!("{text}"));
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let done = text.lines().find_map(|l| l.trim_start().split_once(" requests in "));
    Load {
        per_second: word("Requests/sec:").parse().unwrap(),
        median: word("50%"),
        requests: done.unwrap_or_else(|| panic!("{text}")).0.parse().unwrap(),
    }
}

/// Processor seconds that a process and its children have used so far.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let used = |pid: u32| {
        let text = stat(pid);
        // After the name in brackets: state is the first, utime the twelfth, stime the thirteenth (proc(5)).
        let fields: Vec<_> = text.rsplit_once(") ").map_or("", |f| f.1).split(' ').collect();
        let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        // A tick is a hundredth of a second on every Linux of ours.
        (ticks(11) + ticks(12)) / 100.0
    };
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    used(pid) + children.split_whitespace().map(|c| used(c.parse().unwrap())).sum::<f64>()
}

fn program(name: &str) -> Option<PathBuf> {
    Some(Path::new(&std::env::var_os("BAILEE_PEERS")?).join("bin").join(name)).filter(|p| p.exists())
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn open_folder() -> tempfile::TempDir {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    tempfile::Builder::new().permissions(mode).tempdir().unwrap()
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn wait_for(address: &str) {
    let start = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing listens on {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
