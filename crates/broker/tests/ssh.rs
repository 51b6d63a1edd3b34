//! The gateway to hosts between OpenSSH's own clients and OpenSSH's own server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bailee_broker::ssh::asciicast::{Moment, asciicast, plain_text};
use bailee_broker::ssh::{Gateway, STRANGERS_MAX};
use bailee_broker::{Door, Ended, Family, Frame, Hello, Refused, Seat, Side, Target};
use bailee_types::{Clock, SecretBytes, SystemClock, Timestamp};
use serde_json::Value;
use tokio::sync::watch;

const NAME: &str = "s-0123456789abcdef";
const SECRET: &str = "a secret of the session";

#[derive(Clone, Copy)]
struct May {
    shell: bool,
    exec: bool,
    download: bool,
    upload: bool,
}

const ALL: May = May { shell: true, exec: true, download: true, upload: true };
const NOTHING: May = May { shell: false, exec: false, download: false, upload: false };

type Recorded = (i64, Side, u32, Vec<u8>);

struct TestSeat {
    target: Target,
    until: Timestamp,
    frames: Mutex<Vec<Recorded>>,
    /// After how many bytes of the client the recorder fails.
    client_bytes_max: AtomicUsize,
    ended: watch::Sender<Option<Ended>>,
}

impl Seat for TestSeat {
    fn target(&self) -> &Target {
        &self.target
    }
    fn session(&self) -> &str {
        NAME
    }
    fn grant(&self) -> &str {
        "g-42"
    }
    fn operator(&self) -> &str {
        "emp-7"
    }
    fn until(&self) -> Timestamp {
        self.until
    }
    async fn record(&self, frame: Frame<'_>) -> Result<(), Ended> {
        let mut frames = self.frames.lock().unwrap();
        let sent: usize = frames.iter().filter(|f| f.1 == Side::Client).map(|f| f.3.len()).sum();
        if frame.side == Side::Client
            && sent + frame.bytes.len() > self.client_bytes_max.load(Ordering::SeqCst)
        {
            return Err(Ended("the recorder failed".to_owned()));
        }
        frames.push((SystemClock::default().now().ms(), frame.side, frame.channel, frame.bytes.to_vec()));
        Ok(())
    }
    async fn ended(&self) -> Ended {
        self.ended.subscribe().wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }
}

impl TestSeat {
    fn bytes(&self, side: Side) -> Vec<u8> {
        self.frames.lock().unwrap().iter().filter(|f| f.1 == side).flat_map(|f| f.3.clone()).collect()
    }
    fn notes(&self) -> Vec<Value> {
        let frames = self.frames.lock().unwrap();
        frames.iter().filter(|f| f.1 == Side::Note).map(|f| serde_json::from_slice(&f.3).unwrap()).collect()
    }
    fn note(&self, kind: &str) -> Value {
        let notes = self.notes();
        notes
            .iter()
            .find(|n| n["kind"] == kind)
            .unwrap_or_else(|| panic!("no note `{kind}` in {notes:#?}"))
            .clone()
    }
    fn refused(&self) -> Vec<String> {
        let notes = self.notes();
        notes
            .iter()
            .filter(|n| n["kind"] == "refused")
            .map(|n| n["what"].as_str().unwrap().to_owned())
            .collect()
    }
}

struct TestDoor {
    seat: Arc<TestSeat>,
}

impl Door for TestDoor {
    type Seat = TestSeat;

    async fn reach(&self, host: &str, port: u16) -> Result<std::net::SocketAddr, Refused> {
        let mut found = tokio::net::lookup_host((host, port)).await.map_err(|e| Refused(e.to_string()))?;
        found.next().ok_or_else(|| Refused("nowhere".into()))
    }
    async fn enter(&self, hello: Hello<'_>) -> Result<Arc<TestSeat>, Refused> {
        assert_eq!(hello.family, Family::Host);
        if hello.name != NAME || hello.secret.expose() != SECRET {
            return Err(Refused("no session of this name and secret".to_owned()));
        }
        if self.seat.ended.borrow().is_some() {
            return Err(Refused("this session has ended".to_owned()));
        }
        Ok(Arc::clone(&self.seat))
    }
}

/// OpenSSH's server on a port of its own.
struct Sshd {
    process: Child,
    address: SocketAddr,
    host_key: String,
    log: PathBuf,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn sshd_program() -> Option<PathBuf> {
    let found = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"].map(PathBuf::from);
    let clients = ["ssh", "scp", "sftp", "ssh-keygen", "ssh-agent"];
    let missing: Vec<&str> = clients
        .into_iter()
        .filter(|name| {
            Command::new("sh")
                .args(["-c", &format!("command -v {name}")])
                .output()
                .map_or(true, |o| !o.status.success())
        })
        .collect();
    let sshd = found.into_iter().find(|path| path.exists());
    if sshd.is_some() && missing.is_empty() {
        return sshd;
    }
    let text = format!(
        "OpenSSH is missing on this machine: server {sshd:?}, missing clients {missing:?} (`openssh-server`, `openssh-client`)"
    );
    assert!(std::env::var_os("CI").is_none(), "{text}");
    eprintln!("NOT RUN against OpenSSH: {text}");
    None
}

fn user() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

fn start_sshd(folder: &Path, authority: &str) -> Option<Sshd> {
    let program = sshd_program()?;
    if user() == "root" {
        // Debian makes it when the service starts, which it need not have done.
        fs::create_dir_all("/run/sshd").unwrap();
    }
    let path = |name: &str| folder.join(name).display().to_string();
    let key = path("host_key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status().unwrap();
    assert!(made.success());
    fs::write(path("authority.pub"), authority).unwrap();
    // Forwarding is on here: what is refused in the tests, the gateway refuses.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "Port {}\nListenAddress 127.0.0.1\nHostKey {key}\nTrustedUserCAKeys {}\nAuthorizedKeysFile none\n\
         AuthorizedPrincipalsFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
         StrictModes no\nPidFile none\nSubsystem sftp internal-sftp\nPermitRootLogin yes\nAllowTcpForwarding yes\n\
         AllowAgentForwarding yes\nX11Forwarding yes\nExposeAuthInfo yes\nLogLevel DEBUG\nMaxStartups 100\n\
         AcceptEnv LANG LC_* EVIL\nPrintMotd no\nPrintLastLog no\n",
        address.port(),
        path("authority.pub"),
    );
    fs::write(path("sshd_config"), config).unwrap();
    let log = folder.join("sshd.log");
    let process = Command::new(program)
        .args(["-D", "-f", &path("sshd_config"), "-E", &path("sshd.log")])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let host_key = fs::read_to_string(path("host_key.pub")).unwrap();
    let sshd = Sshd { process, address, host_key, log };
    wait("the server's port", || TcpStream::connect(address).is_ok());
    Some(sshd)
}

fn wait(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited 30 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A host, a gateway before it, one session.
struct House {
    seat: Arc<TestSeat>,
    sshd: Sshd,
    gateway: SocketAddr,
    folder: tempfile::TempDir,
    stop: watch::Sender<bool>,
    _runtime: tokio::runtime::Runtime,
}

impl House {
    fn with(may: May) -> Option<Self> {
        Self::build(may, |_| {}, i64::MAX)
    }

    fn build(may: May, change: impl FnOnce(&mut Target), life_ms: i64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let seed: [u8; 32] = bailee_types::random_bytes();
        let authority = authority_line(&seed);
        let sshd = start_sshd(folder.path(), &authority)?;
        let mut target = Target::Host {
            address: sshd.address.to_string(),
            host_keys: vec![sshd.host_key.clone()],
            login: user(),
            authority: SecretBytes::new(seed.to_vec()),
            shell: may.shell,
            exec: may.exec,
            download: may.download,
            upload: may.upload,
        };
        change(&mut target);
        let now = SystemClock::default().now();
        let seat = Arc::new(TestSeat {
            target,
            until: now.plus_ms(life_ms.min(3_600_000)),
            frames: Mutex::default(),
            client_bytes_max: AtomicUsize::new(usize::MAX),
            ended: watch::Sender::new(None),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let door = Arc::new(TestDoor { seat: Arc::clone(&seat) });
        let gateway = Gateway::new(door, Arc::new(SystemClock::default()), &bailee_types::random_bytes());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let known = format!("[127.0.0.1]:{} {}\n", address.port(), gateway.host_key());
        fs::write(folder.path().join("known_hosts"), known).unwrap();
        let (stop, mut stopped) = watch::channel(false);
        runtime.spawn(async move {
            gateway.serve(listener, async { drop(stopped.wait_for(|stop| *stop).await) }).await;
        });
        Some(Self { seat, sshd, gateway: address, folder, stop, _runtime: runtime })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// `ssh`, `scp` or `sftp` through the gateway; no test waits longer than a minute for one.
    fn client(&self, program: &str, secret: &str) -> Command {
        let mut command = Command::new("timeout");
        let port_flag = if program == "ssh" { "-p" } else { "-P" };
        command.args(["60", program, "-F", "none", port_flag, &self.gateway.port().to_string()]);
        for option in [
            &format!("UserKnownHostsFile={}", self.path("known_hosts")),
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "PubkeyAuthentication=no",
            "LogLevel=INFO",
        ] {
            command.args(["-o", option]);
        }
        command
            .env("SSH_ASKPASS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/askpass.sh"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("BAILEE_TEST_SECRET", secret)
            .env("DISPLAY", ":99")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `ssh` with arguments before and after the destination.
    fn ssh(&self, options: &[&str], command: &[&str], stdin: &[u8]) -> Output {
        let mut ssh = self.client("ssh", SECRET);
        ssh.args(options).arg(format!("{NAME}@127.0.0.1")).args(command);
        feed(ssh, stdin)
    }

    fn scp(&self, options: &[&str], from: &str, to: &str) -> Output {
        let mut scp = self.client("scp", SECRET);
        scp.args(options).args([from, to]);
        feed(scp, b"")
    }

    fn remote(&self, path: &str) -> String {
        format!("{NAME}@127.0.0.1:{path}")
    }
}

fn feed(mut command: Command, stdin: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = pipe.write_all(&stdin);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The public key of a seed, as it stands in a `TrustedUserCAKeys` file.
fn authority_line(seed: &[u8; 32]) -> String {
    use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};
    let key = PrivateKey::from(Ed25519Keypair::from_seed(seed));
    key.public_key().to_openssh().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn noise(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 4096);
    while out.len() < len {
        out.extend(bailee_types::random_bytes::<4096>());
    }
    out.truncate(len);
    out
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

/// What SFTP packets of `kind` carry as their last string, in the order of the stream.
fn carried(stream: &[u8], kind: u8, skip: usize) -> Vec<u8> {
    let (mut at, mut out) = (0, Vec::new());
    while at + 5 <= stream.len() {
        let len = u32::from_be_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
        let packet = &stream[at + 4..at + 4 + len];
        if packet[0] == kind {
            let mut rest = &packet[5..];
            for _ in 0..skip {
                let len = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
                rest = &rest[4 + len + 8..];
            }
            out.extend(&rest[4..]);
        }
        at += 4 + len;
    }
    out
}

#[test]
fn a_command_gives_what_it_gives_at_the_host() {
    let Some(house) = House::with(ALL) else { return };
    let script = "printf 'one\\000two'; printf 'wrong\\n' >&2; exit 7";
    let there = house.ssh(&[], &[script], b"");
    let here = Command::new("sh").args(["-c", script]).output().unwrap();
    assert_eq!(there.stdout, here.stdout);
    assert_eq!(there.status.code(), here.status.code());
    assert!(text(&there.stderr).contains("wrong\n"), "{}", text(&there.stderr));
    assert_eq!(house.seat.note("exec")["command"], script);
    assert_eq!(house.seat.note("exit")["status"], 7);
    // Standard error has the number after its channel's.
    let channel = house.seat.note("connect")["channel"].as_u64().unwrap() as u32;
    let frames = house.seat.frames.lock().unwrap();
    let on = |n: u32| -> Vec<u8> {
        frames.iter().filter(|f| f.1 == Side::Target && f.2 == n).flat_map(|f| f.3.clone()).collect()
    };
    assert_eq!((on(channel), on(channel + 1)), (here.stdout, b"wrong\n".to_vec()));
    drop(frames);
    let killed = house.ssh(&[], &["kill -9 $$"], b"");
    assert_eq!(killed.status.code(), Some(255), "as of a direct `ssh` to a command that a signal ended");
    assert!(house.seat.notes().iter().any(|n| n["kind"] == "exit" && n["signal"] == "KILL"));
}

#[test]
fn a_script_on_standard_input_is_recorded_byte_for_byte() {
    let Some(house) = House::with(ALL) else { return };
    let script = b"x=1\necho hidden$x\nexit 3\n";
    let ran = house.ssh(&[], &["bash"], script);
    assert_eq!((text(&ran.stdout), ran.status.code()), ("hidden1\n".to_owned(), Some(3)));
    assert_eq!(house.seat.bytes(Side::Client), script);
}

#[test]
fn what_reaches_the_host_is_what_was_recorded() {
    let Some(house) = House::with(ALL) else { return };
    let data = noise(3 * 1024 * 1024 + 17);
    let there = house.path("there");
    // Keys are exchanged anew several times meanwhile.
    let ran = house.ssh(&["-o", "RekeyLimit=512K"], &[&format!("cat > {there}; cat {there}")], &data);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(fs::read(there).unwrap() == data);
    assert!(house.seat.bytes(Side::Client) == data);
    assert!(ran.stdout == data && house.seat.bytes(Side::Target) == data);
}

#[test]
fn a_terminal_is_recorded_and_can_be_shown_again() {
    let Some(house) = House::with(ALL) else { return };
    let ran = house.ssh(&["-tt"], &[], b"echo it is $((40+2)); tty; printf '\\033]0;owned\\007'; exit 5\n");
    assert_eq!(ran.status.code(), Some(5), "{}", text(&ran.stderr));
    assert!(text(&ran.stdout).contains("it is 42"), "{}", text(&ran.stdout));
    assert!(text(&ran.stdout).contains("/dev/pts/"));
    let shell = house.seat.note("shell");
    assert!(shell["cols"].is_u64() && shell["rows"].is_u64() && shell["term"].is_string(), "{shell}");
    assert!(contains(&house.seat.bytes(Side::Target), b"\x1b]0;owned\x07"));
    let channel = shell["channel"].as_u64().unwrap() as u32;
    let frames = house.seat.frames.lock().unwrap();
    let moments = || {
        frames.iter().map(|(at_ms, side, channel, bytes)| Moment {
            at_ms: *at_ms,
            frame: Frame { side: *side, channel: *channel, bytes },
        })
    };
    let cast = asciicast(moments(), channel).unwrap();
    let header: Value = serde_json::from_str(cast.lines().next().unwrap()).unwrap();
    assert_eq!(header["version"], 2);
    assert!(cast.contains("it is 42") && !cast.contains("]0;owned\\u0007"), "{cast}");
    let plain = plain_text(moments(), channel);
    assert!(plain.contains("it is 42\n") && !plain.contains('\x1b'), "{plain}");
}

#[test]
fn a_terminal_with_a_command_is_recorded_as_well() {
    let Some(house) = House::with(ALL) else { return };
    let ran = house.ssh(&["-tt"], &["tty; stty size"], b"");
    assert!(text(&ran.stdout).contains("/dev/pts/"), "{}", text(&ran.stdout));
    assert!(house.seat.note("exec")["term"].is_string());
}

#[test]
fn files_go_both_ways_and_are_in_the_recording() {
    let Some(house) = House::with(ALL) else { return };
    let data = noise(8 * 1024 * 1024);
    let (here, there, back) = (house.path("here"), house.path("there"), house.path("back"));
    fs::write(&here, &data).unwrap();
    let up = house.scp(&["-o", "RekeyLimit=2M"], &here, &house.remote(&there));
    assert!(up.status.success(), "{}", text(&up.stderr));
    assert!(fs::read(&there).unwrap() == data);
    // Type 6 is WRITE: a handle, an offset, the bytes.
    assert!(carried(&house.seat.bytes(Side::Client), 6, 1) == data);
    let down = house.scp(&[], &house.remote(&there), &back);
    assert!(down.status.success(), "{}", text(&down.stderr));
    assert!(fs::read(&back).unwrap() == data);
    let closes: Vec<Value> =
        house.seat.notes().into_iter().filter(|n| n["kind"] == "sftp" && n["op"] == "close").collect();
    let counts: Vec<_> = closes.iter().map(|n| (n["written"].as_u64(), n["read"].as_u64())).collect();
    let len = Some(data.len() as u64);
    assert_eq!(counts, [(len, Some(0)), (Some(0), len)], "{closes:#?}");
    assert!(closes.iter().all(|n| n["path"] == there.as_str()));
}

#[test]
fn the_old_scp_is_recorded_too() {
    let Some(house) = House::with(May { download: true, upload: true, ..NOTHING }) else { return };
    let data = noise(1024 * 1024);
    let (here, there, back) = (house.path("here"), house.path("there"), house.path("back"));
    fs::write(&here, &data).unwrap();
    let up = house.scp(&["-O"], &here, &house.remote(&there));
    assert!(up.status.success(), "{}", text(&up.stderr));
    let down = house.scp(&["-O"], &house.remote(&there), &back);
    assert!(down.status.success(), "{}", text(&down.stderr));
    assert!(fs::read(&back).unwrap() == data);
    let sent = house.seat.bytes(Side::Client);
    let at = sent.iter().position(|b| *b == b'\n').unwrap() + 1;
    assert!(sent[at..at + data.len()] == data);
    for command in ["id", &format!("scp -t {there}; id"), &format!("cat {there}")] {
        let ran = house.ssh(&[], &[command], b"");
        assert_eq!((text(&ran.stdout), ran.status.success()), (String::new(), false), "{command}");
    }
    assert_eq!(house.seat.refused(), ["exec"; 3]);
}

#[test]
fn a_session_that_downloads_changes_nothing() {
    let Some(house) = House::with(May { download: true, ..NOTHING }) else { return };
    let (here, there, back) = (house.path("here"), house.path("there"), house.path("back"));
    fs::write(&here, b"new").unwrap();
    fs::write(&there, b"old").unwrap();
    for options in [&[][..], &["-O"]] {
        let up = house.scp(options, &here, &house.remote(&there));
        assert!(!up.status.success());
    }
    let mut sftp = house.client("sftp", SECRET);
    sftp.arg(format!("{NAME}@127.0.0.1"));
    let batch = format!(
        "-rm {there}\n-rename {there} {there}2\n-chmod 777 {there}\n-mkdir {there}3\n-ln -s a {there}4\nls {there}\nget {there} {back}\n"
    );
    let ran = feed(sftp, batch.as_bytes());
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("Permission denied"), "{}", text(&ran.stderr));
    assert_eq!((fs::read(&there).unwrap(), fs::read(&back).unwrap()), (b"old".to_vec(), b"old".to_vec()));
    assert!(["2", "3", "4"].iter().all(|n| !Path::new(&format!("{there}{n}")).exists()));
    let ops: Vec<String> = house
        .seat
        .notes()
        .iter()
        .filter(|n| n["kind"] == "refused" && n["what"] == "sftp")
        .map(|n| n["op"].as_str().unwrap().to_owned())
        .collect();
    for op in ["open", "remove", "rename", "setstat", "mkdir", "symlink"] {
        assert!(ops.iter().any(|o| o == op), "{op} in {ops:?}");
    }
    // A refused packet is not among what the host got.
    assert!(!contains(&house.seat.bytes(Side::Client), format!("{there}3").as_bytes()));
}

#[test]
fn a_session_that_uploads_reads_nothing() {
    let Some(house) = House::with(May { upload: true, ..NOTHING }) else { return };
    let (here, there, back) = (house.path("here"), house.path("there"), house.path("back"));
    fs::write(&here, b"new").unwrap();
    let up = house.scp(&[], &here, &house.remote(&there));
    assert!(up.status.success(), "{}", text(&up.stderr));
    assert_eq!(fs::read(&there).unwrap(), b"new");
    for options in [&[][..], &["-O"]] {
        assert!(!house.scp(options, &house.remote(&there), &back).status.success());
    }
    assert!(!Path::new(&back).exists());
    assert!(!contains(&house.seat.bytes(Side::Target), b"new"));
}

#[test]
fn without_a_right_there_is_neither_shell_nor_command_nor_subsystem() {
    let Some(house) = House::with(NOTHING) else { return };
    assert!(!house.ssh(&["-tt"], &[], b"id\n").status.success());
    assert!(!house.ssh(&[], &["id"], b"").status.success());
    assert!(!house.ssh(&["-s"], &["sftp"], b"").status.success());
    assert_eq!(house.seat.refused(), ["terminal", "shell", "exec", "subsystem"]);
    assert!(house.seat.bytes(Side::Client).is_empty());
    assert!(house.seat.notes().iter().all(|n| n["kind"] != "connect"), "nobody connected to the host");
}

#[test]
fn nothing_is_forwarded() {
    let Some(house) = House::with(ALL) else { return };
    let port = house.sshd.address.port();
    let far = house.ssh(
        &["-o", "ExitOnForwardFailure=yes", "-R", &format!("0:127.0.0.1:{port}")],
        &["echo ran"],
        b"",
    );
    assert!(!far.status.success() && far.stdout.is_empty(), "{}", text(&far.stderr));
    let socket = house.path("socket");
    let far = house.ssh(
        &["-o", "ExitOnForwardFailure=yes", "-R", &format!("{socket}:127.0.0.1:{port}")],
        &["echo ran"],
        b"",
    );
    assert!(!far.status.success() && far.stdout.is_empty(), "{}", text(&far.stderr));
    let straight = house.ssh(&["-W", &format!("127.0.0.1:{port}")], &[], b"");
    assert!(text(&straight.stderr).contains("administratively prohibited"), "{}", text(&straight.stderr));
    assert!(straight.stdout.is_empty());

    let local = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let socks = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut ssh = house.client("ssh", SECRET);
    ssh.args([
        "-N",
        "-L",
        &format!("{local}:127.0.0.1:{port}"),
        "-D",
        &socks.to_string(),
        &format!("{NAME}@127.0.0.1"),
    ]);
    let mut ssh = ssh.spawn().unwrap();
    wait("the client's ports", || TcpStream::connect(("127.0.0.1", socks)).is_ok());
    let mut got = Vec::new();
    TcpStream::connect(("127.0.0.1", local)).unwrap().read_to_end(&mut got).unwrap();
    assert_eq!(got, b"", "a server's greeting came through");
    let mut through = TcpStream::connect(("127.0.0.1", socks)).unwrap();
    through.write_all(&[5, 1, 0]).unwrap();
    let mut answer = [0; 2];
    through.read_exact(&mut answer).unwrap();
    through.write_all(&[&[5, 1, 0, 1, 127, 0, 0, 1][..], &port.to_be_bytes()].concat()).unwrap();
    let mut got = Vec::new();
    let _ = through.read_to_end(&mut got);
    assert!(!contains(&got, b"SSH-2.0"), "{got:?}");
    ssh.kill().unwrap();
    ssh.wait().unwrap();

    let agent =
        Command::new("ssh-agent").args(["-a", &house.path("agent"), "-D"]).stdout(Stdio::null()).spawn();
    let mut agent = agent.unwrap();
    wait("the agent", || Path::new(&house.path("agent")).exists());
    let mut ssh = house.client("ssh", SECRET);
    ssh.args(["-A", "-X", &format!("{NAME}@127.0.0.1"), "echo [$SSH_AUTH_SOCK][$DISPLAY]"]);
    ssh.env("SSH_AUTH_SOCK", house.path("agent"));
    assert_eq!(text(&feed(ssh, b"").stdout), "[][]\n");
    agent.kill().unwrap();
    agent.wait().unwrap();
    let refused = house.seat.refused();
    for what in ["tcpip-forward", "streamlocal-forward", "direct-tcpip", "agent forwarding", "x11 forwarding"]
    {
        assert!(refused.iter().any(|r| r == what), "{what} in {refused:?}");
    }
}

#[test]
fn of_the_environment_only_the_language_passes() {
    let Some(house) = House::with(ALL) else { return };
    let mut ssh = house.client("ssh", SECRET);
    ssh.args(["-o", "SendEnv=LC_TIME EVIL", &format!("{NAME}@127.0.0.1"), "echo [$LC_TIME][$EVIL]"]);
    ssh.env("LC_TIME", "zh_CN.UTF-8").env("EVIL", "1");
    assert_eq!(text(&feed(ssh, b"").stdout), "[zh_CN.UTF-8][]\n");
    assert_eq!(house.seat.refused(), ["environment"]);
}

#[test]
fn a_wrong_secret_lets_nobody_in() {
    let Some(house) = House::with(ALL) else { return };
    let mut ssh = house.client("ssh", "wrong");
    ssh.args([&format!("{NAME}@127.0.0.1"), "echo in"]);
    let out = feed(ssh, b"");
    assert_eq!(out.status.code(), Some(255));
    assert!(out.stdout.is_empty());
    let said = text(&out.stderr);
    assert!(said.contains("What passes is recorded"), "{said}");
    // The next prompt says why; no text says the secret.
    assert!(said.contains("no session of this name and secret") && !said.contains("wrong"), "{said}");
    let mut ssh = house.client("ssh", SECRET);
    ssh.args(["-o", "PreferredAuthentications=password", &format!("{NAME}@127.0.0.1"), "echo in"]);
    assert_eq!(text(&feed(ssh, b"").stdout), "in\n", "by password as by prompt");
    house.seat.ended.send_replace(Some(Ended("revoked".to_owned())));
    let out = house.ssh(&[], &["echo in"], b"");
    assert_eq!(out.status.code(), Some(255));
    assert!(text(&out.stderr).contains("this session has ended"), "{}", text(&out.stderr));
}

#[test]
fn a_session_for_something_else_reaches_no_host() {
    let change = |target: &mut Target| {
        *target = Target::Service {
            address: "http://127.0.0.1:9".to_owned(),
            ca_pem: String::new(),
            authorization: None,
            webhdfs: false,
            rules: Vec::new(),
        };
    };
    let Some(house) = House::build(ALL, change, i64::MAX) else { return };
    let out = house.ssh(&[], &["echo in"], b"");
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(255), String::new()));
    assert!(text(&out.stderr).contains("reaches no host"), "{}", text(&out.stderr));
}

#[test]
fn an_end_cuts_what_runs() {
    let Some(house) = House::with(ALL) else { return };
    let pid = house.path("pid");
    let mut ssh = house.client("ssh", SECRET);
    ssh.args([
        &format!("{NAME}@127.0.0.1"),
        &format!("echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 100"),
    ]);
    let child = ssh.spawn().unwrap();
    wait("the command", || Path::new(&pid).exists());
    let ended = Instant::now();
    house.seat.ended.send_replace(Some(Ended("the tenant revoked the grant".to_owned())));
    let out = child.wait_with_output().unwrap();
    let took = ended.elapsed();
    println!("cut after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(!out.status.success());
    assert!(
        text(&out.stderr).contains("session ended: the tenant revoked the grant"),
        "{}",
        text(&out.stderr)
    );
    // The host hears of it too: its command is hung up. OpenSSH signals no process of root, there this stays a request.
    let process = format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim());
    if user() == "root" {
        wait("the signal", || fs::read_to_string(&house.sshd.log).unwrap().contains("req signal"));
        assert!(Command::new("kill").arg(process.trim_start_matches("/proc/")).status().unwrap().success());
    }
    wait("the command's own end", || !Path::new(&process).exists());
}

#[test]
fn a_recorder_that_fails_lets_not_one_byte_through() {
    let Some(house) = House::with(ALL) else { return };
    house.seat.client_bytes_max.store(100_000, Ordering::SeqCst);
    let there = house.path("there");
    let data = noise(2 * 1024 * 1024);
    let begun = Instant::now();
    let out = house.ssh(&[], &[&format!("cat > {there}")], &data);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!out.status.success());
    assert!(text(&out.stderr).contains("session ended: the recorder failed"), "{}", text(&out.stderr));
    let recorded = house.seat.bytes(Side::Client);
    assert!(recorded.len() <= 100_000);
    std::thread::sleep(Duration::from_millis(300));
    let got = fs::read(there).unwrap_or_default();
    assert!(recorded.starts_with(&got), "{} bytes there, {} recorded", got.len(), recorded.len());
}

#[test]
fn a_host_with_another_key_is_not_logged_in_to() {
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIKqP7cX3V8+0HqK2b5z4b0L0b1l5m0mYJrA2oN0k6cT";
    let change = |target: &mut Target| {
        if let Target::Host { host_keys, .. } = target {
            *host_keys = vec![other.to_owned()];
        }
    };
    let Some(house) = House::build(ALL, change, i64::MAX) else { return };
    let out = house.ssh(&[], &["echo in"], b"");
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(255), String::new()));
    assert!(text(&out.stderr).contains("shows a key that is not on file"), "{}", text(&out.stderr));
    assert!(!fs::read_to_string(&house.sshd.log).unwrap().contains("Accepted"));
    assert!(house.seat.note("broken")["why"].as_str().unwrap().contains("not on file"));
    assert!(house.seat.notes().iter().all(|n| n["kind"] != "login"));
}

#[test]
fn a_host_that_is_not_there_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let change = |target: &mut Target| {
        if let Target::Host { address, .. } = target {
            address.clone_from(&closed);
        }
    };
    let Some(house) = House::build(ALL, change, i64::MAX) else { return };
    let out = house.ssh(&[], &["echo in"], b"");
    assert_eq!(out.status.code(), Some(255));
    assert!(
        text(&out.stderr).contains(&format!("the host at {closed} cannot be reached")),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn the_certificate_is_for_one_login_from_one_place_and_forwards_nothing() {
    for (may, life_ms) in [(ALL, i64::MAX), (May { shell: false, ..ALL }, 120_000)] {
        let Some(house) = House::build(may, |_| {}, life_ms) else { return };
        let out = house.ssh(&[], &["cat $SSH_USER_AUTH"], b"");
        let shown = text(&out.stdout);
        let certificate = shown.trim().strip_prefix("publickey ").unwrap_or_else(|| panic!("{shown}"));
        fs::write(house.path("id-cert.pub"), certificate).unwrap();
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-L", "-f", &house.path("id-cert.pub")]).env("TZ", "UTC");
        let listed = text(&keygen.output().unwrap().stdout);
        let lines: Vec<&str> = listed.lines().map(str::trim).collect();
        let section = |name: &str, until: &str| -> Vec<String> {
            let from = lines.iter().position(|l| l.starts_with(name)).unwrap();
            let to = lines.iter().position(|l| l.starts_with(until)).unwrap_or(lines.len());
            let first = lines[from].trim_start_matches(name).trim().to_owned();
            std::iter::once(first)
                .chain(lines[from + 1..to].iter().map(|l| (*l).to_owned()))
                .filter(|l| !l.is_empty())
                .collect()
        };
        assert_eq!(section("Principals:", "Critical"), [user()], "{listed}");
        assert_eq!(section("Critical Options:", "Extensions"), ["source-address 127.0.0.1/32"], "{listed}");
        let extensions = if may.shell { "permit-pty" } else { "(none)" };
        assert_eq!(section("Extensions:", "no more"), [extensions], "{listed}");
        assert!(lines.contains(&format!("Key ID: \"grant:g-42 session:{NAME}\"").as_str()), "{listed}");
        let log = fs::read_to_string(&house.sshd.log).unwrap();
        let serial = house.seat.note("login")["serial"].as_str().unwrap().to_owned();
        assert!(log.contains(&format!("ID grant:g-42 session:{NAME} (serial {serial})")), "{log}");
        let valid_before = house.seat.note("login")["valid_before"].as_i64().unwrap();
        let now = SystemClock::default().now().secs();
        let longest = if life_ms == i64::MAX { 300 } else { 120 };
        assert!(valid_before <= now + longest && valid_before > now + longest - 60, "{valid_before} {now}");
    }
}

#[test]
fn one_channel_that_stands_still_holds_up_no_other() {
    let Some(house) = House::with(ALL) else { return };
    let control = house.path("control");
    let share = ["-o", "ControlMaster=auto", "-o", &format!("ControlPath={control}")];
    let mut master = house.client("ssh", SECRET);
    master.args(share).args(["-N", &format!("{NAME}@127.0.0.1")]);
    let mut master = master.spawn().unwrap();
    wait("the shared connection", || Path::new(&control).exists());
    let start = |command: &str, stdin: Stdio| {
        let mut ssh = house.client("ssh", SECRET);
        ssh.args(share).args([&format!("{NAME}@127.0.0.1"), command]).stdin(stdin);
        ssh.spawn().unwrap()
    };
    let quick = |what: &str| {
        let begun = Instant::now();
        let out = house.ssh(&share, &["echo still here"], b"");
        assert_eq!(text(&out.stdout), "still here\n", "{what}: {}", text(&out.stderr));
        println!("{what}: {:?}", begun.elapsed());
        begun.elapsed()
    };
    // Nobody reads what `yes` says.
    let mut loud = start("yes", Stdio::null());
    let said = || {
        house
            .seat
            .frames
            .lock()
            .unwrap()
            .iter()
            .filter(|f| f.1 == Side::Target)
            .map(|f| f.3.len())
            .sum::<usize>()
    };
    let mut last = 0;
    wait("a host that says no more", || {
        std::thread::sleep(Duration::from_millis(500));
        let now = said();
        std::mem::replace(&mut last, now) == now && now > 0
    });
    assert!(last < 16 * 1024 * 1024, "{last} bytes were taken though nobody reads");
    assert!(quick("output that nobody reads") < Duration::from_secs(5));
    // Nobody reads what is sent to `sleep`; in the end that channel goes, and the others stay.
    let zero = fs::File::open("/dev/zero").unwrap();
    let deaf = start("sleep 40", Stdio::from(zero));
    std::thread::sleep(Duration::from_secs(2));
    assert!(quick("input that nobody reads") < Duration::from_secs(15));
    let deaf = deaf.wait_with_output().unwrap();
    assert!(text(&deaf.stderr).contains("reads nothing of what was sent"), "{}", text(&deaf.stderr));
    assert!(quick("after it") < Duration::from_secs(5));
    for child in [&mut loud, &mut master] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A client that asks for what OpenSSH's never would.
struct Believes;

impl russh::client::Handler for Believes {
    type Error = russh::Error;
    async fn check_server_key(
        &mut self,
        _: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

#[test]
fn a_channel_runs_one_thing_and_a_connection_has_sixteen() {
    let Some(house) = House::with(ALL) else { return };
    let there = house.path("there");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut client = russh::client::connect(Arc::default(), house.gateway, Believes).await.unwrap();
        assert!(client.authenticate_password(NAME, SECRET).await.unwrap().success());
        let mut channel = client.channel_open_session().await.unwrap();
        // Nothing runs yet, so these bytes are nobody's.
        channel.data_bytes(&b"early"[..]).await.unwrap();
        channel.exec(true, format!("cat > {there}; exit 4")).await.unwrap();
        channel.exec(true, "echo two").await.unwrap();
        channel.request_shell(true).await.unwrap();
        channel.request_subsystem(true, "sftp").await.unwrap();
        channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
        channel.data_bytes(&b"late"[..]).await.unwrap();
        channel.eof().await.unwrap();
        let mut answers = Vec::new();
        let mut status = None;
        while let Some(message) = channel.wait().await {
            match message {
                russh::ChannelMsg::Success => answers.push(true),
                russh::ChannelMsg::Failure => answers.push(false),
                russh::ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        assert_eq!((answers, status), (vec![true, false, false, false, false], Some(4)));
        // Those that ended count no more.
        for _ in 0..20 {
            let mut channel = client.channel_open_session().await.unwrap();
            channel.exec(true, "true").await.unwrap();
            while channel.wait().await.is_some() {}
        }
        let mut open = Vec::new();
        for _ in 0..16 {
            open.push(client.channel_open_session().await.unwrap());
        }
        assert!(client.channel_open_session().await.is_err());
        open.pop().unwrap().close().await.unwrap();
        client.channel_open_session().await.unwrap();
    });
    assert_eq!(fs::read(&there).unwrap(), b"late");
    assert_eq!(house.seat.bytes(Side::Client), b"late");
}

#[test]
fn what_was_sent_before_the_channel_closed_arrives() {
    let Some(house) = House::with(ALL) else { return };
    let there = house.path("there");
    let data = noise(2_000_000);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut client = russh::client::connect(Arc::default(), house.gateway, Believes).await.unwrap();
        assert!(client.authenticate_password(NAME, SECRET).await.unwrap().success());
        let channel = client.channel_open_session().await.unwrap();
        channel.exec(true, format!("cat > {there}.new; mv {there}.new {there}")).await.unwrap();
        channel.data_bytes(data.clone()).await.unwrap();
        channel.eof().await.unwrap();
        channel.close().await.unwrap();
        wait("the file", || Path::new(&there).exists());
    });
    assert!(fs::read(&there).unwrap() == data);
}

#[test]
fn a_command_that_ignores_its_input_is_heard() {
    let Some(house) = House::with(ALL) else { return };
    let input = noise(24 * 1024 * 1024);
    let out =
        house.ssh(&[], &["head -c 1500000 /dev/zero; sleep 7; head -c 400000 /dev/zero; exit 6"], &input);
    assert_eq!((out.stdout.len(), out.status.code()), (1_900_000, Some(6)), "{}", text(&out.stderr));
    assert!(house.seat.bytes(Side::Client).len() < 16 * 1024 * 1024, "no more was taken than may wait");
    // It also gets all of it when it reads late.
    let there = house.path("there");
    let out = house.ssh(&[], &[&format!("sleep 7; cat > {there}")], &input);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(fs::read(there).unwrap() == input);
}

#[test]
fn noise_at_the_port_disturbs_nobody() {
    let Some(house) = House::with(ALL) else { return };
    let greeting = b"SSH-2.0-scanner\r\n";
    let mut idle = Vec::new();
    for sent in [
        &b""[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-1.5-old\r\n",
        greeting,
        &[&greeting[..], &[0xff; 64]].concat(),
        &[&greeting[..], &[0, 0, 0, 12, 4, 20], &[0; 10]].concat(),
        &[&greeting[..], &noise(4096)].concat(),
        &noise(70_000),
    ] {
        for leave in [true, false] {
            let mut stream = TcpStream::connect(house.gateway).unwrap();
            let _ = stream.write_all(sent);
            if !leave {
                idle.push(stream);
            }
        }
    }
    assert_eq!(text(&house.ssh(&[], &["echo fine"], b"").stdout), "fine\n");
}

#[test]
fn a_gateway_that_stops_ends_its_sessions() {
    let Some(house) = House::with(ALL) else { return };
    let (there, ready) = (house.path("there"), house.path("ready"));
    let mut ssh = house.client("ssh", SECRET);
    ssh.args([&format!("{NAME}@127.0.0.1"), &format!("touch {ready}; cat > {there}")]);
    let mut child = ssh.stdin(Stdio::piped()).spawn().unwrap();
    wait("the command", || Path::new(&ready).exists());
    house.stop.send_replace(true);
    let begun = Instant::now();
    assert!(!child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(2));
    wait("the port", || TcpStream::connect(house.gateway).is_err());
}

#[test]
fn strangers_take_no_place_of_people_at_work() {
    let Some(house) = House::with(ALL) else { return };
    let greets = |stream: &mut TcpStream| {
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).is_ok()
    };
    let connect = || TcpStream::connect(house.gateway).unwrap();
    let mut work = house.client("ssh", SECRET);
    let ready = house.path("ready");
    work.args([&format!("{NAME}@127.0.0.1"), &format!("touch {ready}; cat")]).stdin(Stdio::piped());
    let mut work = work.spawn().unwrap();
    wait("the command", || Path::new(&ready).exists());
    let mut strangers: Vec<TcpStream> = (0..STRANGERS_MAX).map(|_| connect()).collect();
    assert!(strangers.iter_mut().all(greets));
    assert!(!greets(&mut connect()), "one too many");
    work.stdin.take().unwrap().write_all(b"still here").unwrap();
    assert_eq!(text(&work.wait_with_output().unwrap().stdout), "still here");
    drop(strangers);
    wait("a place", || greets(&mut connect()));
    assert_eq!(text(&house.ssh(&[], &["echo in"], b"").stdout), "in\n");
}

#[test]
fn many_commands_at_once_are_kept_apart() {
    let Some(house) = House::with(ALL) else { return };
    std::thread::scope(|scope| {
        for n in 0..6 {
            let house = &house;
            scope.spawn(move || {
                let mut input = String::new();
                for line in 0..500 {
                    writeln!(input, "{n} {line}").unwrap();
                }
                let out = house.ssh(&[], &["cat"], input.as_bytes());
                assert_eq!(text(&out.stdout), input);
            });
        }
    });
    let channels: std::collections::HashSet<u64> = house
        .seat
        .notes()
        .iter()
        .filter(|n| n["kind"] == "connect")
        .map(|n| n["channel"].as_u64().unwrap())
        .collect();
    assert_eq!(channels.len(), 6);
}
