//! The broker's own connection to a target: one per request, over TLS except on this machine.
//!
//! INVARIANT: what carries a credential of the target goes over TLS that the grant's certificates vouch for, or stays on this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::Uri;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    tls: bool,
    /// `host:port`, as the `Host` header has it.
    pub(super) authority: String,
    host: String,
    port: u16,
    /// The path that the target's own paths lie below; without a slash at its end.
    pub(super) base: String,
}

impl Place {
    /// Reads `https://host:port/base`.
    pub(super) fn read(address: &str) -> Result<Self, String> {
        let wrong = || "the target's address is not https://host:port/base".to_owned();
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().filter(|a| !a.as_str().contains('@')).ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { tls, authority: authority.as_str().to_owned(), host, port, base })
    }

    /// Whether it is reached as safely as `other`.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.tls == other.tls
    }

    /// The host and port to reach.
    pub(super) fn host(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Connects to `at`, where the host was found; `ca_pem` are the certificates that it is believed by, the public ones when empty.
    pub(super) async fn connect(&self, at: SocketAddr, ca_pem: &str) -> Result<Box<dyn Stream>, String> {
        let to = timeout(CONNECT_TIME, TcpStream::connect(at));
        let stream = match to.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Err(format!("the target cannot be reached: {}", e.kind())),
            Err(_) => return Err("the target cannot be reached: timed out".to_owned()),
        };
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        if !self.tls {
            return match stream.peer_addr() {
                Ok(peer) if peer.ip().is_loopback() => Ok(Box::new(stream)),
                _ => Err("the target is reached without TLS, and is not on this machine".to_owned()),
            };
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| "the target's name is none for TLS".to_owned())?;
        let connector = TlsConnector::from(Arc::new(client_config(ca_pem)?));
        match timeout(CONNECT_TIME, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(e)) => Err(format!("TLS with the target fails: {e}")),
            Err(_) => Err("TLS with the target fails: timed out".to_owned()),
        }
    }
}

fn client_config(ca_pem: &str) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    if ca_pem.trim().is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|e| format!("the target's certificates are not PEM: {e}"))?;
        roots.add(certificate).map_err(|e| format!("a certificate of the target cannot be read: {e}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read() {
        let place = Place::read("https://api.example:6443/base/").unwrap();
        assert_eq!((place.host.as_str(), place.port, place.base.as_str()), ("api.example", 6443, "/base"));
        assert_eq!(Place::read("http://[::1]:80").unwrap().host, "::1");
        for bad in ["api.example", "ftp://a", "/a", "https://user@host/", ""] {
            assert!(Place::read(bad).is_err(), "{bad}");
        }
    }
}
