//! The HTTP brokers between raw clients and small servers of the test's own that play recorded exchanges.
//!
//! No Kubernetes API server and no Hadoop run here: what they answer is written down below, as their documents have it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bailee_broker::http::Proxy;
use bailee_broker::seat::{ClusterRule, ServiceRule};
use bailee_broker::{Ended, Family, Side, Target};
use bailee_types::SecretText;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use table::{OneDoor, SECRET, SESSION, Table, contains, eventually, in_time};

/// A server that answers each request by a script and keeps what it heard.
struct Fake {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    /// Connections that clients closed.
    closed: Arc<Mutex<usize>>,
}

impl Fake {
    async fn new(script: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, closed) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<usize>>::default());
        let (kept, gone, script) = (Arc::clone(&heard), Arc::clone(&closed), Arc::new(script));
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let (kept, gone, script) = (Arc::clone(&kept), Arc::clone(&gone), Arc::clone(&script));
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !is_whole(&request) {
                        if client.read_buf(&mut request).await.unwrap() == 0 {
                            break;
                        }
                    }
                    let at = kept.lock().len();
                    kept.lock().push(String::from_utf8_lossy(&request).into_owned());
                    let answer = script(&String::from_utf8_lossy(&request));
                    client.write_all(answer.as_bytes()).await.unwrap();
                    let mut more = [0; 1024];
                    while let Ok(n @ 1..) = client.read(&mut more).await {
                        kept.lock()[at] += &String::from_utf8_lossy(&more[..n]);
                        client.write_all(&more[..n]).await.unwrap();
                    }
                    *gone.lock() += 1;
                });
            }
        });
        Self { address, heard, closed }
    }

    fn last(&self) -> String {
        self.heard.lock().last().cloned().unwrap_or_default()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    match head.split_once("content-length: ") {
        Some((_, rest)) => body.len() >= rest.split("\r\n").next().unwrap().parse().unwrap(),
        None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nSet-Cookie: a=b\r\n\r\n{body}", body.len())
}

struct Broker {
    table: Arc<Table>,
    address: SocketAddr,
}

impl Broker {
    async fn new(target: Target, family: Family) -> Self {
        let table = Table::new(target);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Proxy::new(Arc::new(OneDoor(Arc::clone(&table), family)), family);
        tokio::spawn(proxy.serve(listener, std::future::pending()));
        Self { table, address }
    }

    async fn open(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends bytes and reads until the broker closes.
    async fn raw(&self, request: &str) -> String {
        let mut said = Vec::new();
        let mut stream = self.open(request).await;
        let _ = in_time(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Sends a request of the session.
    async fn ask(&self, line: &str, more: &str) -> String {
        self.raw(&request(line, &format!("Connection: close\r\n{more}"))).await
    }
}

fn request(line: &str, more: &str) -> String {
    let blank = if more.contains("\r\n\r\n") { "" } else { "\r\n" };
    format!("{line} HTTP/1.1\r\nHost: broker\r\nAuthorization: Bearer {SESSION}.{SECRET}\r\n{more}{blank}")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn cluster(address: SocketAddr) -> Target {
    let rule = |verbs, resources| ClusterRule {
        verbs: words(verbs),
        resources: words(resources),
        namespaces: words("shop"),
        names: Vec::new(),
    };
    Target::Cluster {
        address: format!("http://{address}"),
        ca_pem: String::new(),
        token: SecretText::new("cluster-token".into()),
        rules: vec![rule("get list watch patch", "pods pods/log"), rule("create", "pods/exec")],
    }
}

fn service(address: SocketAddr, webhdfs: bool, rules: &[(&str, &str, &str)]) -> Target {
    let rule = |(methods, path, ops): &(&str, &str, &str)| ServiceRule {
        methods: words(methods),
        path: (*path).to_owned(),
        ops: words(ops),
    };
    Target::Service {
        address: format!("http://{address}/base"),
        ca_pem: String::new(),
        authorization: (!webhdfs).then(|| SecretText::new("Authorization: Basic dGFyZ2V0".into())),
        webhdfs,
        rules: rules.iter().map(rule).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_a_cluster_is_the_brokers_own() {
    let fake = Fake::new(|_| ok("{\"items\":[]}")).await;
    let broker = Broker::new(cluster(fake.address), Family::Cluster).await;
    let said = broker
        .ask(
            "GET /api/v1/namespaces/shop/pods?limit=500",
            "Impersonate-User: system:admin\r\nimpersonate-group: system:masters\r\nX-Remote-User: admin\r\n\
             Proxy-Authorization: Basic eA==\r\nCookie: a=b\r\nX-HTTP-Method-Override: DELETE\r\n\
             Accept: application/json\r\nConnection: Accept\r\n",
        )
        .await;
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("{\"items\":[]}"), "{said}");
    assert!(!said.to_ascii_lowercase().contains("set-cookie"));
    let heard = fake.last().to_ascii_lowercase();
    assert!(heard.starts_with("get /api/v1/namespaces/shop/pods?limit=500 http/1.1\r\n"), "{heard}");
    let group = format!("impersonate-group: bailee:session:{SESSION}");
    for line in [
        "authorization: bearer cluster-token",
        "impersonate-user: bailee:emp-7",
        "impersonate-group: bailee:grant:g-abcdefgh2345",
        &group,
        "accept: application/json",
    ] {
        assert_eq!(heard.matches(line).count(), 1, "{line}: {heard}");
    }
    for gone in ["system:", "x-remote", "proxy-", "cookie", "override", "sesame"] {
        assert!(!heard.contains(gone), "{gone}: {heard}");
    }
    let recorded = broker.table.frames.lock().clone();
    assert!(!recorded.iter().any(|(.., b)| contains(b, b"sesame") || contains(b, b"cluster-token")));
    assert_eq!(broker.table.bytes(Side::Target), b"{\"items\":[]}");
    assert_eq!(broker.table.notes("request")[0]["target"], "/api/v1/namespaces/shop/pods?limit=500");
    assert_eq!(broker.table.notes("response")[0]["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_names_does_not_reach_the_cluster() {
    let fake = Fake::new(|_| ok("x")).await;
    let broker = Broker::new(cluster(fake.address), Family::Cluster).await;
    for (line, more, status) in [
        ("GET /api/v1/namespaces/bank/pods", "", 403),
        ("GET /api/v1/namespaces/shop/secrets", "", 403),
        ("DELETE /api/v1/namespaces/shop/pods/web", "", 403),
        ("GET /api/v1/namespaces/shop/../bank/pods", "", 400),
        ("GET /api/v1/namespaces/shop/pods/..%2f..%2fbank%2fpods", "", 400),
        ("GET /api/v1/namespaces/shop%2fpods", "", 400),
        ("GET //api/v1/namespaces/shop/pods", "", 400),
        ("GET http://elsewhere/api/v1/namespaces/shop/pods", "", 400),
        ("GET /metrics", "", 403),
        ("POST /api/v1/namespaces/shop/pods/web/portforward", "", 403),
        (
            "POST /api/v1/namespaces/shop/pods/web/exec?command=id",
            "Connection: upgrade\r\nUpgrade: SPDY/3.1\r\n",
            400,
        ),
        ("GET /api/v1/namespaces/shop/pods/web/exec?command=id", "", 400),
        ("GET /api/v1/namespaces/shop/pods", "Connection: upgrade\r\nUpgrade: websocket\r\n", 400),
        ("GET /api/v1/namespaces/bank/pods/web/exec", "Connection: upgrade\r\nUpgrade: websocket\r\n", 403),
    ] {
        let said = broker.ask(line, more).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {said}");
        assert!(said.contains("\"kind\":\"Status\""), "{line}: {said}");
    }
    assert_eq!(broker.table.notes("refused").len(), 14);
    let spdy = &broker.table.notes("refused")[10]["why"];
    assert!(spdy.as_str().unwrap().contains("kubectl 1.31 or newer"), "{spdy}");
    for wrong in [
        "",
        "Authorization: Bearer x\r\n",
        "Authorization: Basic cy1hOmI=\r\n",
        "Authorization: Bearer s-a.b\r\n",
    ] {
        let said = broker
            .raw(&format!("GET /version HTTP/1.1\r\nHost: b\r\nConnection: close\r\n{wrong}\r\n"))
            .await;
        assert!(said.starts_with("HTTP/1.1 401"), "{wrong}: {said}");
    }
    // Two credentials could be read as either.
    let said = broker.ask("GET /version", "Authorization: Bearer s-a.b\r\n").await;
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9\r\n\r\n",
        &format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)),
    ] {
        let said = broker.raw(garbage).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    assert!(fake.heard.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_cut_when_the_session_ends() {
    let fake =
        Fake::new(|_| "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nADDED\r\n".to_owned()).await;
    let broker = Broker::new(cluster(fake.address), Family::Cluster).await;
    let mut watch = broker.open(&request("GET /api/v1/namespaces/shop/pods?watch=true", "")).await;
    let mut said = Vec::new();
    while !contains(&said, b"ADDED") {
        assert_ne!(in_time(Duration::from_secs(5), watch.read_buf(&mut said)).await.unwrap(), 0);
    }
    broker.table.end.send_replace(Some(Ended("revoked".into())));
    let _ = in_time(Duration::from_secs(1), watch.read_to_end(&mut said)).await;
    assert!(!contains(&said, b"0\r\n\r\n"), "a cut stream does not look complete");
    eventually("the target is left", async || *fake.closed.lock() == 1).await;
    eventually("the end is noted", async || broker.table.notes("end").len() == 1).await;
    assert_eq!(broker.table.notes("end")[0]["why"], "revoked");
    let said = broker.ask("GET /api/v1/namespaces/shop/pods", "").await;
    assert!(said.starts_with("HTTP/1.1 403") && said.contains("session ended: revoked"), "{said}");
    assert_eq!(fake.heard.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_recorded_both_ways_and_cut() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Accept: x\r\n\r\nhello";
    let fake = Fake::new(move |_| switch.to_owned()).await;
    let broker = Broker::new(cluster(fake.address), Family::Cluster).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n";
    let line = "GET /api/v1/namespaces/shop/pods/web/exec?command=sh&command=-c&stdin=true";
    let mut exec = broker.open(&request(line, upgrade)).await;
    let mut said = Vec::new();
    while !contains(&said, b"hello") {
        assert_ne!(in_time(Duration::from_secs(5), exec.read_buf(&mut said)).await.unwrap(), 0);
    }
    assert!(said.starts_with(b"HTTP/1.1 101") && contains(&said, b"sec-websocket-accept: x"));
    assert!(
        fake.last().contains("sec-websocket-protocol: v5.channel.k8s.io") && !fake.last().contains("deflate")
    );
    exec.write_all(b"ls\n").await.unwrap();
    while !contains(&said, b"hellols\n") {
        assert_ne!(in_time(Duration::from_secs(5), exec.read_buf(&mut said)).await.unwrap(), 0);
    }
    assert_eq!(broker.table.bytes(Side::Client), b"ls\n");
    assert_eq!(broker.table.bytes(Side::Target), b"hellols\n");
    // What cannot be recorded does not pass.
    *broker.table.stops_at.lock() = Some("rm -rf");
    exec.write_all(b"rm -rf /\n").await.unwrap();
    let _ = in_time(Duration::from_secs(1), exec.read_to_end(&mut said)).await;
    eventually("the target is left", async || *fake.closed.lock() == 1).await;
    assert!(!fake.last().contains("rm -rf"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_bodies_as_recorded_and_nothing_without_a_recording() {
    let fake = Fake::new(|_| ok("done")).await;
    let target = service(fake.address, false, &[("GET PUT", "/ws/v1/cluster/*", "")]);
    let broker = Broker::new(target, Family::Service).await;
    let body = "x".repeat(100_000);
    let line = "PUT /ws/v1/cluster/apps/a%20b/state?user.name=hdfs&doAs=root&x=1%262";
    let said = broker.ask(line, &format!("Content-Length: 100000\r\n\r\n{body}")).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("done"), "{said}");
    let heard = fake.last();
    assert!(
        heard.starts_with("PUT /base/ws/v1/cluster/apps/a%20b/state?x=1%262 HTTP/1.1\r\n"),
        "{heard:.200}"
    );
    assert!(heard.ends_with(&body) && heard.contains("authorization: Basic dGFyZ2V0"));
    assert!(broker.table.bytes(Side::Client) == body.as_bytes());
    // A body whose length nobody knows.
    let said =
        broker.ask("PUT /ws/v1/cluster/a", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200") && fake.last().ends_with("3\r\nabc\r\n0\r\n\r\n"), "{said}");
    for (line, status) in
        [("GET /ws/v1/cluster", 403), ("DELETE /ws/v1/cluster/a", 403), ("GET /ws/v1/cluster/../x", 400)]
    {
        let said = broker.ask(line, "").await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {said}");
    }
    let before = fake.heard.lock().len();
    *broker.table.stops_at.lock() = Some("apps/secret");
    let said = broker.ask("GET /ws/v1/cluster/apps/secret", "").await;
    assert!(said.starts_with("HTTP/1.1 403") && said.contains("the recording is full"), "{said}");
    assert_eq!(fake.heard.lock().len(), before);
    // The first piece of a body that is not recorded, and all behind it, stays here.
    broker.table.full.store(false, Ordering::SeqCst);
    *broker.table.stops_at.lock() = Some("leak");
    broker.ask("PUT /ws/v1/cluster/a", "Content-Length: 8\r\n\r\nleak now").await;
    assert!(!fake.heard.lock().iter().any(|h| h.contains("leak")));
}

#[tokio::test(flavor = "multi_thread")]
async fn webhdfs_is_led_back_to_the_broker() {
    let node = Fake::new(|_| ok("the file")).await;
    let to = format!("http://{}/webhdfs/v1/logs/a?op=OPEN&delegation=token&offset=0", node.address);
    let name = Fake::new(move |request| match request.contains("op=OPEN") {
        true => format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"),
        false => "HTTP/1.1 307 Moved\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
            .to_owned(),
    })
    .await;
    let rules = [("GET", "/webhdfs/v1/logs/*", "OPEN LISTSTATUS")];
    let broker = Broker::new(service(name.address, true, &rules), Family::Service).await;
    let said =
        broker.ask("GET /webhdfs/v1/logs/a?op=OPEN&user.name=hdfs&DELEGATION=x&noredirect=true", "").await;
    assert!(name.last().starts_with("GET /base/webhdfs/v1/logs/a?op=OPEN HTTP/1.1"), "{}", name.last());
    let way =
        said.split("location: ").nth(1).unwrap_or_else(|| panic!("{said}")).split("\r\n").next().unwrap();
    assert!(
        said.starts_with("HTTP/1.1 307") && way.starts_with("/.bailee/") && !said.contains("token"),
        "{said}"
    );
    let other = broker.ask(&format!("PUT {way}"), "Content-Length: 0\r\n").await;
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    let said = broker.ask(&format!("GET {way}"), "").await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("the file"), "{said}");
    assert!(node.last().starts_with("GET /webhdfs/v1/logs/a?op=OPEN&delegation=token&offset=0 HTTP/1.1"));
    assert!(!node.last().contains("uthorization"));
    assert!(broker.ask(&format!("GET {way}"), "").await.starts_with("HTTP/1.1 404"), "once");
    assert!(
        !broker.table.frames.lock().iter().any(|(side, _, b)| *side == Side::Note && contains(b, b"token"))
    );
    for (line, status) in [
        ("GET /webhdfs/v1/logs/a?op=OPEN&OP=DELETE", 400),
        ("GET /webhdfs/v1/logs/a?op=GETFILESTATUS", 403),
        ("GET /webhdfs/v1/logs/a", 403),
        ("PUT /webhdfs/v1/logs/a?op=OPEN", 403),
        ("GET /webhdfs/v1/other?op=OPEN", 403),
        // A redirect from this machine to another one.
        ("GET /webhdfs/v1/logs/?op=LISTSTATUS", 502),
    ] {
        let said = broker.ask(line, "").await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {said}");
    }
}

/// A TLS server before a fake, with the certificate for `localhost` that `tls/` holds: made by openssl, an authority and a key of
/// P-256 each, for a hundred years.
async fn over_tls(fake: SocketAddr) -> SocketAddr {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("tls/cert.pem")).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let acceptor =
        TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            if let Ok(mut client) = acceptor.accept(client).await {
                let mut to = TcpStream::connect(fake).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut to).await });
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_believed_by_the_grants_certificates_alone() {
    let fake = Fake::new(|_| ok("over TLS")).await;
    let port = over_tls(fake.address).await.port();
    let ask = async |address: String, certificates: &str| {
        let mut target = cluster(fake.address);
        if let Target::Cluster { address: a, ca_pem, .. } = &mut target {
            (*a, *ca_pem) = (address, certificates.to_owned());
        }
        Broker::new(target, Family::Cluster).await.ask("GET /version", "").await
    };
    let authority = include_str!("tls/ca.pem");
    let said = ask(format!("https://localhost:{port}"), authority).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("over TLS"), "{said}");
    for (address, certificates) in
        [("localhost", ""), ("localhost", include_str!("tls/cert.pem")), ("127.0.0.1", authority)]
    {
        let said = ask(format!("https://{address}:{port}"), certificates).await;
        assert!(
            said.starts_with("HTTP/1.1 502") && said.contains("TLS with the target fails"),
            "{address}: {said}"
        );
    }
    let said = ask(
        format!("https://localhost:{port}"),
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    )
    .await;
    assert!(said.starts_with("HTTP/1.1 502") && said.contains("cannot be read"), "{said}");
    assert_eq!(fake.heard.lock().len(), 1);
}
