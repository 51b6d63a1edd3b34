//! Mail, to the one server that the provider names.
//!
//! INVARIANT: nothing that came from elsewhere stands in a header: addresses are parsed, the subject is encoded whole.

use std::time::{Duration, UNIX_EPOCH};

use bailee_rooms::notices::{Mail, MailAddress};
use bailee_types::{SecretText, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, SmtpTransport, Transport};

const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a text in one encoded word (RFC 2047: at most 75 characters of it).
const WORD_BYTES_MAX: usize = 42;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// TLS from the first byte.
    Implicit,
    /// TLS after `STARTTLS`, or nothing is sent.
    StartTls,
    /// None: to this machine only.
    None,
}

/// The server, and as whom.
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) protection: Protection,
    pub(crate) login: Option<(String, SecretText)>,
    pub(crate) from: MailAddress,
    /// PEM of roots in place of the public list.
    pub(crate) roots: Option<Vec<u8>>,
}

/// Hands mails over.
pub(crate) struct Mailer {
    transport: SmtpTransport,
    from: MailAddress,
}

impl Mailer {
    pub(crate) fn new(server: Server) -> Result<Self, String> {
        let tls = || -> Result<TlsParameters, String> {
            let mut tls = TlsParameters::builder(server.host.clone());
            if let Some(pem) = &server.roots {
                let all = Certificate::from_pem(pem)
                    .map_err(|e| format!("the roots are not certificates in PEM: {e}"))?;
                tls = tls.certificate_store(CertificateStore::None).add_root_certificate(all);
            }
            tls.build_rustls().map_err(|e| e.to_string())
        };
        let protection = match server.protection {
            Protection::Implicit => Tls::Wrapper(tls()?),
            Protection::StartTls => Tls::Required(tls()?),
            Protection::None => Tls::None,
        };
        let mut transport = SmtpTransport::builder_dangerous(&server.host)
            .port(server.port)
            .tls(protection)
            .timeout(Some(TIMEOUT))
            .hello_name(ClientId::Domain(server.from.domain().to_owned()));
        if let Some((user, password)) = server.login {
            transport = transport.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        Ok(Self { transport: transport.build(), from: server.from })
    }

    /// Hands a mail over. Blocks.
    pub(crate) fn send(&self, mail: &Mail) -> Result<(), String> {
        let address = |a: &MailAddress| a.as_str().parse::<Address>().map_err(|e| e.to_string());
        let envelope = Envelope::new(Some(address(&self.from)?), vec![address(&mail.to)?]);
        let message = message(&self.from, mail);
        self.transport.send_raw(&envelope.map_err(|e| e.to_string())?, &message).map(drop).map_err(|e| {
            use std::error::Error as _;
            e.source().map_or_else(|| e.to_string(), |why| format!("{e}: {why}"))
        })
    }
}

/// The mail as it goes over the wire (RFC 5322, MIME).
fn message(from: &MailAddress, mail: &Mail) -> Vec<u8> {
    let mut out = format!(
        "From: {from}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{}@{}>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nAuto-Submitted: auto-generated\r\n\r\n",
        mail.to,
        encoded(&mail.subject),
        date(mail.at),
        mail.id,
        from.domain()
    );
    let body = STANDARD.encode(mail.text.replace('\n', "\r\n"));
    for line in body.as_bytes().chunks(76) {
        out.extend(line.iter().map(|b| char::from(*b)));
        out.push_str("\r\n");
    }
    out.into_bytes()
}

/// A time as RFC 5322 has it.
fn date(at: Timestamp) -> String {
    let since = Duration::from_millis(u64::try_from(at.ms()).unwrap_or(0));
    httpdate::fmt_http_date(UNIX_EPOCH + since).replace("GMT", "+0000")
}

/// A text as encoded words, whatever is in it.
fn encoded(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars() {
        if words.last().is_some_and(|w| w.len() + c.len_utf8() > WORD_BYTES_MAX) {
            words.push(String::new());
        }
        if let Some(last) = words.last_mut() {
            last.push(c);
        }
    }
    let words: Vec<_> = words.iter().map(|w| format!("=?UTF-8?B?{}?=", STANDARD.encode(w))).collect();
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_mail_begins_a_header() {
        let address = |a| MailAddress::parse(a).unwrap();
        let mail = Mail {
            id: "abc".into(),
            to: address("ops@acme.example"),
            subject: format!("T-7\r\nBcc: x@evil.example\r\n\r\n{}", "工单".repeat(60)),
            text: "\n.\nQUIT\n中文".into(),
            at: Timestamp::from_ms(1_700_000_000_000),
        };
        let out = String::from_utf8(message(&address("trust@kestrel.example"), &mail)).unwrap();
        let (head, body) = out.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = head
            .split("\r\n")
            .filter(|l| !l.starts_with(' '))
            .map(|l| l.split_once(": ").unwrap().0)
            .collect();
        assert_eq!(
            names,
            [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding",
                "Auto-Submitted"
            ]
        );
        assert!(out.lines().all(|l| l.len() <= 78 && l.is_ascii()), "{out}");
        assert!(!out.contains("evil") && !body.contains('.'));
        assert!(head.contains("Date: Tue, 14 Nov 2023 22:13:20 +0000"), "{head}");
        let whole = STANDARD.decode(body.replace("\r\n", "")).unwrap();
        assert_eq!(String::from_utf8(whole).unwrap(), "\r\n.\r\nQUIT\r\n中文");
    }
}
