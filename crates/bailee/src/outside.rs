//! The network as a server reaches it: HTTPS to public addresses, for documents that tenants name (an issuer's keys).
//!
//! INVARIANT: a tenant cannot make this machine talk to itself or to its own network: names are resolved here and
//! addresses that are not public are refused, unless the provider said that this house may use them (`dev` does).

mod key_store;
pub(crate) mod mail;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bailee_rooms::notices::Mail;
use bailee_rooms::outside::{
    ANSWER_BYTES_MAX, Answer, ExternalAnswer, ExternalAsk, ExternalFor, ExternalNo, KeyService, Outside,
    Post, TlsLines,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use self::mail::Mailer;

const TIMEOUT: Duration = Duration::from_secs(5);
/// For one batch to a syslog server, from the first byte to the last.
const FRAMES_TIMEOUT: Duration = Duration::from_secs(20);
/// Sets of roots that connections are held for.
const ROOTS_MAX: usize = 256;

/// Fetches over HTTPS.
pub(crate) struct Network {
    tenants: Reach,
    /// For addresses that the provider named.
    provider: Reach,
    /// For tenants' services that name their own roots, by these.
    by_roots: Mutex<HashMap<String, Reach>>,
    mailer: Option<Arc<Mailer>>,
}

/// How far a fetch may reach.
#[derive(Clone)]
struct Reach {
    agent: ureq::Agent,
    local: bool,
}

impl Network {
    /// `local` allows addresses of this machine and its networks, and plain HTTP to this machine. `roots` are trusted in
    /// place of the public list.
    pub(crate) fn new(local: bool, roots: Option<RootCerts>) -> Self {
        Self {
            tenants: Reach::new(local, roots.clone()),
            provider: Reach::new(true, roots),
            by_roots: Mutex::default(),
            mailer: None,
        }
    }

    /// With a mail server.
    pub(crate) fn mailing(self, mailer: Option<Mailer>) -> Self {
        Self { mailer: mailer.map(Arc::new), ..self }
    }

    /// For an address that a tenant named together with the roots to trust.
    fn reach_by(&self, roots: &str) -> Result<Reach, String> {
        if roots.is_empty() {
            return Ok(self.tenants.clone());
        }
        let mut all = self.by_roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.get(roots) {
            return Ok(found.clone());
        }
        let made = Reach::new(self.tenants.local, Some(roots_in(roots.as_bytes())?));
        if all.len() >= ROOTS_MAX {
            all.clear();
        }
        all.insert(roots.to_owned(), made.clone());
        Ok(made)
    }

    fn reach(&self, trusted: bool) -> &Reach {
        if trusted { &self.provider } else { &self.tenants }
    }
}

impl Reach {
    fn new(local: bool, roots: Option<RootCerts>) -> Self {
        let tls = TlsConfig::builder().root_certs(roots.unwrap_or(RootCerts::WebPki)).build();
        let config = Config::builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .tls_config(tls)
            .https_only(!local)
            .http_status_as_error(false)
            .user_agent("bailee")
            // A proxy of the environment would resolve names for us, beyond our rule.
            .proxy(None)
            .build();
        let resolver = Public { local, inner: DefaultResolver::default() };
        Self { agent: ureq::Agent::with_parts(config, DefaultConnector::default(), resolver), local }
    }

    async fn fetch(
        &self,
        address: &str,
        ask: impl FnOnce(&ureq::Agent) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> + Send + 'static,
    ) -> Result<(u16, Vec<u8>), String> {
        if !self.local && !address.starts_with("https://") {
            return Err("it is not served over https".into());
        }
        let agent = self.agent.clone();
        let work = move || {
            let response = ask(&agent).map_err(|e| e.to_string())?;
            let status = response.status().as_u16();
            let mut bytes = Vec::new();
            let limit = ANSWER_BYTES_MAX as u64 + 1;
            response
                .into_body()
                .into_reader()
                .take(limit)
                .read_to_end(&mut bytes)
                .map_err(|e| e.to_string())?;
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(format!("it is longer than {ANSWER_BYTES_MAX} bytes"));
            }
            Ok((status, bytes))
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?
    }
}

#[async_trait]
impl Outside for Network {
    async fn get(&self, address: &str) -> Result<Vec<u8>, String> {
        let url = address.to_owned();
        let get = move |agent: &ureq::Agent| agent.get(&url).header("accept", "application/json").call();
        match self.tenants.fetch(address, get).await? {
            (200, bytes) => Ok(bytes),
            (status, _) => Err(format!("it answered with status {status}")),
        }
    }

    async fn post(
        &self,
        address: &str,
        form: &str,
        authorization: Option<&str>,
    ) -> Result<(u16, Vec<u8>), String> {
        let (url, form, authorization) =
            (address.to_owned(), form.to_owned(), authorization.map(str::to_owned));
        self.tenants
            .fetch(address, move |agent| {
                let mut request = agent
                    .post(&url)
                    .header("accept", "application/json")
                    .header("content-type", "application/x-www-form-urlencoded");
                if let Some(value) = &authorization {
                    request = request.header("authorization", value);
                }
                request.send(&form)
            })
            .await
    }

    async fn submit(&self, post: Post) -> Result<Answer, String> {
        let Post { address, headers, body, trusted } = post;
        let url = address.clone();
        let send = move |agent: &ureq::Agent| {
            let mut request = agent.post(&url);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.send(&body)
        };
        let (status, body) = self.reach(trusted).fetch(&address, send).await?;
        Ok(Answer { status, body })
    }

    async fn send_frames(&self, to: TlsLines) -> Result<(), String> {
        let local = self.tenants.local;
        tokio::task::spawn_blocking(move || send_frames(&to, local)).await.map_err(|e| e.to_string())?
    }

    async fn mail(&self, mail: Mail) -> Result<(), String> {
        let mailer = self.mailer.clone().ok_or("this process sends no mail")?;
        tokio::task::spawn_blocking(move || mailer.send(&mail)).await.map_err(|e| e.to_string())?
    }

    async fn fetch_at(&self, address: &str, trusted: bool) -> Result<Vec<u8>, String> {
        let url = address.to_owned();
        match self.reach(trusted).fetch(address, move |agent| agent.get(&url).call()).await? {
            (200, bytes) => Ok(bytes),
            (status, _) => Err(format!("it answered with status {status}")),
        }
    }

    async fn external(
        &self,
        service: &KeyService,
        key: Option<&str>,
        by: &ExternalFor,
        ask: ExternalAsk,
    ) -> Result<ExternalAnswer, ExternalNo> {
        let reach = self.reach_by(&service.roots).map_err(ExternalNo::Unreachable)?;
        key_store::ask(&reach, service, key, by, ask).await
    }
}

/// A connection that ends at a moment, however slowly the other side reads.
struct Timed {
    socket: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> std::io::Result<Option<Duration>> {
        match self.until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server took too long")),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(to)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.flush()
    }
}

/// Connects, sends all frames and says goodbye. A server that closes before has not taken them all.
fn send_frames(to: &TlsLines, local: bool) -> Result<(), String> {
    let (host, port) = to.address.rsplit_once(':').ok_or("the address is not host:port")?;
    let port: u16 = port.parse().map_err(|_| "the address is not host:port")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is no name of a server"))?;
    let mut roots = rustls::RootCertStore::empty();
    if to.roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for certificate in CertificateDer::pem_slice_iter(to.roots.as_bytes()) {
        let certificate = certificate.map_err(|e| format!("the roots are not certificates in PEM: {e}"))?;
        roots.add(certificate).map_err(|e| format!("a root is no certificate: {e}"))?;
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut session =
        rustls::ClientConnection::new(std::sync::Arc::new(config), name).map_err(|e| e.to_string())?;
    let found = (host, port).to_socket_addrs().map_err(|e| format!("`{host}` has no address: {e}"))?;
    let mut last = format!("`{host}` has no public address");
    for address in found.filter(|a| local || is_public(a.ip())) {
        let mut socket = match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(socket) => Timed { socket, until: Instant::now() + FRAMES_TIMEOUT },
            Err(e) => {
                last = e.to_string();
                continue;
            }
        };
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        for frame in &to.frames {
            let length = format!("{} ", frame.len());
            let sent = stream.write_all(length.as_bytes()).and_then(|()| stream.write_all(frame));
            sent.map_err(|e| e.to_string())?;
        }
        stream.flush().map_err(|e| e.to_string())?;
        session.send_close_notify();
        while session.wants_write() {
            session.write_tls(&mut socket).map_err(|e| e.to_string())?;
        }
        // What the server still has to read is not thrown away with the socket.
        return socket.socket.shutdown(std::net::Shutdown::Write).map_err(|e| e.to_string());
    }
    Err(last)
}

/// The certificates of a PEM file, to be trusted as roots. A file without any trusts nobody, which nobody wants.
///
/// # Errors
/// When the file cannot be read, or holds no certificate or something that is none.
pub(crate) fn roots_of(path: &Path) -> Result<RootCerts, String> {
    roots_in(&std::fs::read(path).map_err(|e| e.to_string())?)
}

fn roots_in(bytes: &[u8]) -> Result<RootCerts, String> {
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(bytes) {
        match item.map_err(|e| e.to_string())? {
            PemItem::Certificate(c) => found.push(c),
            _ => return Err("it holds something that is no certificate; keep private keys elsewhere".into()),
        }
    }
    if found.is_empty() {
        return Err("it holds no certificate in PEM".into());
    }
    Ok(RootCerts::from(found))
}

/// Resolves names to public addresses only.
#[derive(Debug)]
struct Public {
    local: bool,
    inner: DefaultResolver,
}

impl Resolver for Public {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        if self.local {
            return Ok(found);
        }
        let mut kept = self.empty();
        for address in found.iter().filter(|a: &&SocketAddr| is_public(a.ip())) {
            kept.push(*address);
        }
        if kept.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(kept) }
    }
}

/// Whether an address is of the public network (RFC 6890 without its special blocks).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || v4.is_unspecified()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            // Only 2000::/3 is given out; of it, documentation, Teredo and 6to4 lead elsewhere.
            (a & 0xe000) == 0x2000 && !(a == 0x2001 && (b == 0 || b == 0xdb8)) && a != 0x2002
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_roots_holds_certificates_and_nothing_else() {
        let file = std::env::temp_dir().join(format!("bailee-roots-{}.pem", std::process::id()));
        for (text, why) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            ("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "private keys"),
        ] {
            std::fs::write(&file, text).unwrap();
            let said = roots_of(&file).err().unwrap();
            assert!(said.contains(why), "{text}: {said}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(roots_of(&file).is_err());
    }

    #[test]
    fn only_public_addresses_are_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "198.18.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "2606:4700:4700::1111", "100.128.0.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
