//! A private PostgreSQL cluster for one test run: own folder, own port, own password; gone afterwards.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::{is_root, postgres_programs};
use crate::workspace::quiet;

/// A running cluster; dropping it stops the server and removes the folder.
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    url: String,
}

impl Cluster {
    /// Makes and starts one.
    ///
    /// # Errors
    /// When PostgreSQL is not there or does not start.
    pub(crate) fn start() -> Result<Self, String> {
        let programs = postgres_programs().ok_or("PostgreSQL's initdb is not on this machine")?;
        let folder = std::env::temp_dir().join(format!("bailee-postgres-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut cluster = Self { programs, folder, url: String::new() };
        let data = cluster.folder.join("data");
        // Anybody on this machine can connect to a port, and this is a superuser: a password that nobody knows.
        let password = random_hex()?;
        let secret = cluster.folder.join("password");
        fs::write(&secret, &password).map_err(|e| format!("{}: {e}", secret.display()))?;
        if is_root() {
            quiet(Command::new("chown").args(["-R", "postgres:"]).arg(&cluster.folder))?;
        }
        quiet(Command::new("chmod").args(["-R", "go-rwx"]).arg(&cluster.folder))?;
        let mut initdb = cluster.program("initdb");
        initdb.args([
            "--username=bailee",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--pwfile",
        ]);
        quiet(initdb.arg(&secret).arg("-D").arg(&data))?;
        let port = free_port()?;
        // No sync: these are tests of statements; what survives a crash is tested on the engine's own promise.
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off \
             -c max_connections=300 -c shared_buffers=64MB"
        );
        let mut start = cluster.program("pg_ctl");
        start.args(["start", "--wait", "--silent", "--log"]).arg(cluster.folder.join("log"));
        quiet(start.args(["--options", &options]).arg("-D").arg(&data))?;
        cluster.url = format!("postgres://bailee:{password}@127.0.0.1:{port}/postgres");
        Ok(cluster)
    }

    /// The address of a superuser; a test makes a database of its own.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// PostgreSQL refuses to run as root, so root hands over to the user that Debian made for it.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(if self.folder.exists() { self.folder.as_path() } else { Path::new("/") });
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.url.is_empty() {
            let mut stop = self.program("pg_ctl");
            stop.args(["stop", "--mode", "immediate", "--silent", "-D"]).arg(self.folder.join("data"));
            if let Err(e) = quiet(&mut stop) {
                eprintln!("{e}");
            }
        }
        if let Err(e) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {e}", self.folder.display());
        }
    }
}

fn free_port() -> Result<u16, String> {
    let cannot = |e: std::io::Error| format!("no free port: {e}");
    Ok(TcpListener::bind("127.0.0.1:0").map_err(cannot)?.local_addr().map_err(cannot)?.port())
}

fn random_hex() -> Result<String, String> {
    let mut bytes = [0u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(|e| format!("no random bytes: {e}"))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
