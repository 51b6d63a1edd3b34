//! `bailee takeout`: a tenant takes out all its objects, with what stands beside them, in open formats. It runs at the tenant's,
//! speaks OSS with the tenant's AccessKey, and goes on where it was cut.
//!
//! What it makes is a bag (RFC 8493): content under `data/`, one line of JSON for each version in `versions.jsonl`, the
//! settings of buckets as the wire has them, SHA-256 of every file in `manifest-sha256.txt`.
//! INVARIANT: a version stands in `versions.jsonl` after its file lies complete, checked and synced under its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backon::{BlockingRetryable, ExponentialBuilder};
use bailee_types::{Clock, SecretText, SystemClock, Timestamp};
use bailee_wire::object::client::{
    FoundVersion, Signer, read_buckets, read_tags, read_versions, url_decoded,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use ureq::http::{HeaderMap, StatusCode};

use crate::config::{Common, Output};
use crate::output::Stop;

/// Versions of one page; a page of the longest keys stays under what a reader takes.
const PAGE: &str = "500";
/// Versions that are fetched at the same time.
const AT_ONCE: usize = 4;
/// The server is silent for so long: it is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer that is no content.
const TEXT_MAX: u64 = 4 * 1024 * 1024;
const LOG: &str = "versions.jsonl";
/// A part of a path is not longer than most file systems take.
const NAME_MAX: usize = 180;

/// Take all objects out, with versions, tags, metadata and settings, into a folder (a BagIt bag). Run it again to go on after a
/// break. Exit code 3 when something had to stay.
#[derive(Args)]
pub(crate) struct Takeout {
    /// The address of the objects, e.g. `https://objects.example`.
    #[arg(long)]
    url: String,
    /// The AccessKey's id; it needs to read what is taken out.
    #[arg(long, env = "BAILEE_ACCESS_KEY_ID")]
    access_key_id: String,
    /// A file with the AccessKey's secret on its first line; `-`: standard input.
    #[arg(long, value_name = "FILE", env = "BAILEE_ACCESS_KEY_SECRET_FILE")]
    secret_file: String,
    /// A file with the security token of a session's AccessKey.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The region to sign for.
    #[arg(long, default_value = "cn-hangzhou")]
    region: String,
    /// The folder to fill; made when it is not there.
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
    /// Only this bucket; may be given again.
    #[arg(long = "bucket", value_name = "NAME")]
    buckets: Vec<String>,
    /// Only what is current: no former versions, no delete markers.
    #[arg(long)]
    current: bool,
    /// Restore what is archived for so many days, and take it out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=365))]
    restore_days: Option<u32>,
}

/// A version as `versions.jsonl` has it.
#[derive(Serialize, Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    bucket: String,
    key: String,
    version: String,
    latest: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    delete_marker: bool,
    modified: String,
    size: u64,
    etag: String,
    storage_class: String,
    /// Where its content lies, from the bag's root on.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// What the wire says of it: content type, metadata, encryption, retention.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symlink_target: Option<String>,
}

/// What a request answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: ureq::Body,
}

struct Client {
    agent: ureq::Agent,
    signer: Signer,
    url: String,
}

/// Why something was not to be had.
enum Problem {
    /// The server said no: status, code, text.
    No(u16, String, String),
    /// The network, or this machine.
    World(String),
}

impl Problem {
    fn text(&self) -> String {
        match self {
            Self::No(status, code, text) => format!("{status} {code}: {text}"),
            Self::World(text) => text.clone(),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(e: io::Error) -> Self {
        Self::World(e.to_string())
    }
}

impl Client {
    fn ask(
        &self,
        of: (Option<&str>, Option<&str>),
        query: &[(&str, &str)],
        from: u64,
    ) -> Result<Answer, Problem> {
        let address = self.signer.address(&self.url, "GET", of, query, now());
        let range = (from > 0).then(|| format!("bytes={from}-"));
        // An address holds a signature: errors of the agent must not tell it.
        let failed =
            |e: ureq::Error| Problem::World(format!("the server cannot be reached: {}", without_address(&e)));
        let request = self.agent.get(&address);
        let response = match range {
            Some(range) => request.header("range", range).call(),
            None => request.call(),
        };
        let (parts, body) = response.map_err(failed)?.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// An answer that is there, or why not; asked again when the server is not well.
    fn must(
        &self,
        of: (Option<&str>, Option<&str>),
        query: &[(&str, &str)],
        from: u64,
    ) -> Result<Answer, Problem> {
        let once = || {
            let answer = self.ask(of, query, from)?;
            if answer.status.is_success() {
                return Ok(answer);
            }
            let status = answer.status.as_u16();
            let body = text(answer.body).unwrap_or_default();
            let inner = |name: &str| {
                let begin = body.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
                let found = begin.and_then(|rest| rest.split_once('<')).map(|(inner, _)| inner);
                found.unwrap_or_default().to_owned()
            };
            Err(Problem::No(status, inner("Code"), inner("Message")))
        };
        let again = |p: &Problem| match p {
            Problem::No(status, ..) => *status >= 500 && *status != 501,
            Problem::World(_) => true,
        };
        once.retry(patient().with_max_times(4)).sleep(std::thread::sleep).when(again).call()
    }
}

/// How long is waited between tries: 0.3 s, then twice as long each time.
fn patient() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(300))
}

fn now() -> Timestamp {
    SystemClock::default().now()
}

pub(super) fn without_address(e: &ureq::Error) -> String {
    match e {
        ureq::Error::Io(e) => e.to_string(),
        ureq::Error::Timeout(_) => "it did not answer in time".into(),
        ureq::Error::HostNotFound => "its name is not known".into(),
        ureq::Error::ConnectionFailed => "no connection".into(),
        ureq::Error::BadUri(_) => "--url is no address".into(),
        _ => "the connection broke, or it is no HTTP server".into(),
    }
}

fn text(body: ureq::Body) -> Result<String, Problem> {
    let mut out = String::new();
    body.into_reader().take(TEXT_MAX).read_to_string(&mut out)?;
    Ok(out)
}

/// The first line of a file, or of standard input.
pub(super) fn first_line(path: &str) -> Result<String, Stop> {
    let mut line = String::new();
    let read = if path == "-" {
        io::stdin().lock().read_line(&mut line)
    } else {
        File::open(path).and_then(|f| BufReader::new(f).read_line(&mut line))
    };
    read.map_err(|e| Stop::unable(format!("{path}: {e}")))?;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    if line.is_empty() { Err(Stop::unable(format!("{path} is empty"))) } else { Ok(line) }
}

pub(crate) fn run(common: &Common, c: Takeout) -> Result<ExitCode, Stop> {
    let secret = SecretText::new(first_line(&c.secret_file)?);
    let token = c.token_file.as_ref().map(|p| first_line(&p.display().to_string())).transpose()?;
    let config = ureq::config::Config::builder()
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(PATIENCE))
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent("bailee takeout")
        .build();
    let client = Client {
        agent: config.new_agent(),
        signer: Signer {
            access_key_id: c.access_key_id.clone(),
            secret,
            token: token.map(SecretText::new),
            region: c.region.clone(),
        },
        url: c.url.clone(),
    };
    let stop = |p: Problem| Stop::unable(p.text());
    fs::create_dir_all(c.out.join("data")).map_err(|e| Stop::unable(format!("{}: {e}", c.out.display())))?;
    let bag = Bag::open(&c.out)?;
    let buckets = if c.buckets.is_empty() { all_buckets(&client).map_err(stop)? } else { c.buckets.clone() };
    let mut progress = Progress::new(&client, &buckets);
    let mut left: Vec<String> = Vec::new();
    for bucket in &buckets {
        settings(&client, &bag, bucket, &mut left).map_err(stop)?;
        let mut place: Option<(String, String)> = None;
        loop {
            let mut query = vec![("versions", ""), ("encoding-type", "url"), ("max-keys", PAGE)];
            if let Some((key, version)) = &place {
                query.extend([("key-marker", key.as_str()), ("version-id-marker", version.as_str())]);
            }
            let answer = client.must((Some(bucket), None), &query, 0).map_err(stop)?;
            let page = read_versions(text(answer.body).map_err(stop)?.as_bytes())
                .map_err(|e| Stop::unable(format!("the listing of `{bucket}` cannot be read: {e}")))?;
            let wanted: Vec<FoundVersion> =
                page.versions.into_iter().filter(|v| !c.current || v.latest && !v.marker).collect();
            take_page(&client, &bag, &c, bucket, &wanted, &mut progress, &mut left)?;
            match page.next {
                Some(next) if Some(&next) != place.as_ref() => place = Some(next),
                _ => break,
            }
        }
    }
    progress.show(true);
    let (files, bytes, versions) = bag.finish(&c.access_key_id)?;
    if common.output == Output::Json {
        println!("{}", json!({ "versions": versions, "files": files, "bytes": bytes, "left": left }));
    } else {
        for one in &left {
            eprintln!("left: {one}");
        }
        println!("{versions} versions, {files} files, {bytes} bytes in {}", c.out.display());
    }
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn all_buckets(client: &Client) -> Result<Vec<String>, Problem> {
    let (mut all, mut marker) = (Vec::new(), String::new());
    loop {
        let query = [("marker", marker.as_str()), ("max-keys", "1000")];
        let query = if marker.is_empty() { &query[1..] } else { &query[..] };
        let answer = client.must((None, None), query, 0)?;
        let (names, next) =
            read_buckets(text(answer.body)?.as_bytes()).map_err(|e| Problem::World(e.to_string()))?;
        all.extend(names);
        match next {
            Some(next) if next != marker => marker = next,
            _ => return Ok(all),
        }
    }
}

/// The settings of a bucket, as the wire has them; what is not set has no file.
fn settings(client: &Client, bag: &Bag, bucket: &str, left: &mut Vec<String>) -> Result<(), Problem> {
    const OF_BUCKET: [(&str, &str); 13] = [
        ("bucketInfo", "xml"),
        ("acl", "xml"),
        ("policy", "json"),
        ("publicAccessBlock", "xml"),
        ("versioning", "xml"),
        ("lifecycle", "xml"),
        ("tagging", "xml"),
        ("encryption", "xml"),
        ("objectWorm", "xml"),
        ("worm", "xml"),
        ("cors", "xml"),
        ("quota", "xml"),
        ("stat", "xml"),
    ];
    for (name, ending) in OF_BUCKET {
        match client.must((Some(bucket), None), &[(name, "")], 0) {
            Ok(answer) => {
                let path = format!("data/buckets/{}/{name}.{ending}", safe(bucket));
                bag.write(&path, text(answer.body)?.as_bytes())?;
            }
            Err(Problem::No(404, code, _)) if code != "NoSuchBucket" => {}
            Err(no @ Problem::No(403 | 501, ..)) => left.push(format!("{bucket}?{name}: {}", no.text())),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// Takes out what is on a page, several at a time.
fn take_page(
    client: &Client,
    bag: &Bag,
    c: &Takeout,
    bucket: &str,
    page: &[FoundVersion],
    progress: &mut Progress,
    left: &mut Vec<String>,
) -> Result<(), Stop> {
    let next = AtomicUsize::new(0);
    let (lost, broken) = (Mutex::new(Vec::new()), Mutex::new(None::<String>));
    let shown = Mutex::new(progress);
    let lock_left = |text: String| {
        if let Ok(mut l) = lost.lock() {
            l.push(text)
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(page.len()) {
            scope.spawn(|| {
                while let Some(found) = page.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if broken.lock().is_ok_and(|b| b.is_some()) {
                        return;
                    }
                    // What came of it stays, and the next try goes on behind it.
                    let done = (|| take(client, bag, c, bucket, found))
                        .retry(patient().with_max_times(3))
                        .sleep(std::thread::sleep)
                        .when(|p| matches!(p, Problem::World(_)))
                        .call();
                    match done {
                        Ok(()) => {}
                        Err(no @ Problem::No(..)) => {
                            lock_left(format!("{bucket}/{} ({}): {}", found.key, found.version, no.text()));
                        }
                        Err(Problem::World(text)) => {
                            if let Ok(mut b) = broken.lock() {
                                *b = Some(format!("{bucket}/{}: {text}; run it again to go on", found.key));
                            }
                            return;
                        }
                    }
                    if let Ok(mut p) = shown.lock() {
                        p.done(found.size);
                    }
                }
            });
        }
    });
    left.extend(lost.into_inner().unwrap_or_default());
    bag.sync()?;
    match broken.into_inner().ok().flatten() {
        Some(text) => Err(Stop::unable(text)),
        None => Ok(()),
    }
}

/// Takes one version out.
fn take(client: &Client, bag: &Bag, c: &Takeout, bucket: &str, found: &FoundVersion) -> Result<(), Problem> {
    let mut line = Line {
        bucket: bucket.to_owned(),
        key: found.key.clone(),
        version: found.version.clone(),
        latest: found.latest,
        delete_marker: found.marker,
        modified: found.modified.clone(),
        size: found.size,
        etag: found.etag.clone(),
        storage_class: found.class.clone(),
        ..Line::default()
    };
    if bag.has(&line) {
        return Ok(());
    }
    let of = (Some(bucket), Some(found.key.as_str()));
    let version = ("versionId", found.version.as_str());
    if found.marker {
        return bag.note(line);
    }
    if found.kind == "Symlink" {
        let answer = client.must(of, &[("symlink", ""), version], 0)?;
        let target = answer.headers.get("x-oss-symlink-target").and_then(|v| v.to_str().ok());
        line.symlink_target = target.and_then(url_decoded);
        line.headers = told(&answer.headers);
        return bag.note(line);
    }
    let partial = bag.partial(&line);
    let answer = match client.must(of, &[version], length(&partial)) {
        // What was there of it is not a beginning of this version.
        Err(Problem::No(416, ..)) => {
            fs::remove_file(&partial)?;
            client.must(of, &[version], 0)?
        }
        Err(Problem::No(403, code, text)) if code == "InvalidObjectState" => match c.restore_days {
            None => return Err(Problem::No(403, code, format!("{text} (see --restore-days)"))),
            Some(days) => {
                restore(client, of, version, days)?;
                client.must(of, &[version], length(&partial))?
            }
        },
        other => other?,
    };
    line.headers = told(&answer.headers);
    let wanted_crc = header(&answer.headers, "x-oss-hash-crc64ecma").and_then(|v| v.parse::<u64>().ok());
    let count = header(&answer.headers, "x-oss-tagging-count").is_some_and(|n| n != "0");
    let append = answer.status == StatusCode::PARTIAL_CONTENT;
    let mut file = OpenOptions::new().create(true).write(true).read(true).truncate(!append).open(&partial)?;
    file.seek(SeekFrom::End(0))?;
    let got = io::copy(&mut answer.body.into_reader(), &mut file);
    file.sync_all()?;
    got.map_err(|_| Problem::World("the connection broke".into()))?;
    let (size, sha256, crc) = digests(&mut file)?;
    if size != found.size || wanted_crc.is_some_and(|w| w != crc) {
        fs::remove_file(&partial)?;
        let text = format!("{size} of {} bytes came, or not those that were written", found.size);
        return Err(Problem::World(text));
    }
    if count {
        let answer = client.must(of, &[("tagging", ""), version], 0)?;
        let tags = read_tags(text(answer.body)?.as_bytes()).map_err(|e| Problem::World(e.to_string()))?;
        line.tags = tags.into_iter().collect();
    }
    line.sha256 = Some(sha256);
    line.file = Some(bag.place(&partial, &line)?);
    bag.note(line)
}

/// `POST ?restore`, whose body would say one day where it is empty.
fn restore(
    client: &Client,
    (bucket, key): (Option<&str>, Option<&str>),
    version: (&str, &str),
    days: u32,
) -> Result<(), Problem> {
    let address =
        client.signer.address(&client.url, "POST", (bucket, key), &[("restore", ""), version], now());
    let body = format!("<RestoreRequest><Days>{days}</Days></RestoreRequest>");
    let response =
        client.agent.post(&address).send(body.as_bytes()).map_err(|e| Problem::World(without_address(&e)))?;
    match response.status().as_u16() {
        200 | 202 => Ok(()),
        status => Err(Problem::No(status, "RestoreObject".into(), "the server does not restore it".into())),
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

/// The headers that tell of an object, not of the answer.
fn told(headers: &HeaderMap) -> BTreeMap<String, String> {
    const NOT: [&str; 4] = ["x-oss-request-id", "x-oss-version-id", "x-oss-server-time", "content-range"];
    const PLAIN: [&str; 6] = [
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
    ];
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| (name.starts_with("x-oss-") || PLAIN.contains(name)) && !NOT.contains(name))
        .filter_map(|(name, value)| {
            Some((name.to_owned(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
        })
        .collect()
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

/// Length, SHA-256 and CRC-64 of a file.
fn digests(file: &mut File) -> Result<(u64, String, u64), Problem> {
    file.seek(SeekFrom::Start(0))?;
    let (mut sha, mut crc) = (Sha256::new(), crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz));
    let (mut piece, mut size) = (vec![0; 1 << 20], 0);
    loop {
        let n = file.read(&mut piece)?;
        let Some(some) = piece.get(..n).filter(|p| !p.is_empty()) else { break };
        sha.update(some);
        crc.update(some);
        size += n as u64;
    }
    Ok((size, hex::encode(sha.finalize()), crc.finalize()))
}

/// A part of a path from a part of a key: letters, digits and what no file system minds; the rest as `=XX`. Not as `%XX`,
/// which readers of manifests read in two ways (RFC 8493 §2.1.3).
fn safe(part: &str) -> String {
    let mut out = String::new();
    for c in part.chars() {
        if c.is_alphanumeric() || " ._-+@(),#~".contains(c) {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for b in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("={b:02X}"));
            }
        }
    }
    if out.is_empty() || out.starts_with('.') || out.ends_with(['.', ' ']) || out.starts_with(' ') {
        out = format!("={out}");
    }
    if out.len() > NAME_MAX {
        let digest = hex::encode(Sha256::digest(part));
        let short: String = out
            .chars()
            .scan(0, |n, c| {
                *n += c.len_utf8();
                (*n < NAME_MAX - 40).then_some(c)
            })
            .collect();
        out = format!("{short}={}", digest.get(..32).unwrap_or_default());
    }
    out
}

/// The folder that is filled.
struct Bag {
    root: PathBuf,
    log: Mutex<File>,
    /// What was taken out before, by bucket, key and version; and every file's name in lower case, for file systems that know
    /// no difference.
    done: Mutex<BTreeMap<(String, String, String), Line>>,
    names: Mutex<BTreeSet<String>>,
}

impl Bag {
    fn open(root: &Path) -> Result<Self, Stop> {
        let wrong = |e: io::Error| Stop::unable(format!("{}: {e}", root.join(LOG).display()));
        let (mut done, mut names) = (BTreeMap::new(), BTreeSet::new());
        let mut whole = 0;
        if let Ok(file) = File::open(root.join(LOG)) {
            for line in BufReader::new(file).split(b'\n') {
                let line = line.map_err(wrong)?;
                // The last line may have been cut.
                let Ok(read) = serde_json::from_slice::<Line>(&line) else { break };
                whole += line.len() as u64 + 1;
                let there = read.file.as_ref().is_none_or(|f| length(&root.join(f)) == read.size);
                if there {
                    names.extend(read.file.as_ref().map(|f| f.to_lowercase()));
                    done.insert((read.bucket.clone(), read.key.clone(), read.version.clone()), read);
                }
            }
        }
        let log =
            OpenOptions::new().create(true).append(true).read(true).open(root.join(LOG)).map_err(wrong)?;
        if log.metadata().map_err(wrong)?.len() > whole {
            log.set_len(whole).map_err(wrong)?;
        }
        Ok(Self {
            root: root.to_owned(),
            log: Mutex::new(log),
            done: Mutex::new(done),
            names: Mutex::new(names),
        })
    }

    /// Whether a version was taken out as it is now: its headers may change, its content does not but in what is appended to.
    fn has(&self, line: &Line) -> bool {
        let key = (line.bucket.clone(), line.key.clone(), line.version.clone());
        self.done.lock().is_ok_and(|d| {
            d.get(&key).is_some_and(|t| {
                t.etag == line.etag
                    && t.size == line.size
                    && t.latest == line.latest
                    && t.modified == line.modified
            })
        })
    }

    fn note(&self, line: Line) -> Result<(), Problem> {
        let mut text = serde_json::to_vec(&line).map_err(|e| Problem::World(e.to_string()))?;
        text.push(b'\n');
        let poisoned = || Problem::World("another part of the work stopped".into());
        self.log.lock().map_err(|_| poisoned())?.write_all(&text)?;
        let key = (line.bucket.clone(), line.key.clone(), line.version.clone());
        self.done.lock().map_err(|_| poisoned())?.insert(key, line);
        Ok(())
    }

    fn sync(&self) -> Result<(), Stop> {
        let synced = self.log.lock().map(|log| log.sync_data());
        match synced {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Stop::unable(format!("{LOG}: {e}"))),
            Err(_) => Err(Stop::unable("another part of the work stopped")),
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Problem> {
        let to = self.root.join(path);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(to, bytes)?)
    }

    /// Where a version lies while it arrives.
    fn partial(&self, line: &Line) -> PathBuf {
        let name = Sha256::digest(format!("{}\n{}\n{}\n{}", line.bucket, line.key, line.version, line.etag));
        let folder = self.root.join("partial");
        let _ = fs::create_dir_all(&folder);
        folder.join(hex::encode(name))
    }

    /// Gives what arrived its name.
    fn place(&self, partial: &Path, line: &Line) -> Result<String, Problem> {
        let key: Vec<String> = line.key.split('/').map(safe).collect();
        let (bucket, key) = (safe(&line.bucket), key.join("/"));
        let plain = match line.latest {
            true => format!("data/objects/{bucket}/{key}"),
            false => format!("data/versions/{bucket}/{key}/{}", safe(&line.version)),
        };
        let digest = hex::encode(Sha256::digest(format!("{}\n{}", line.key, line.version)));
        // Where a name is taken by a folder, or by one that differs in case only; or its path is too long.
        let other = format!("data/more/{bucket}/{digest}");
        let free = |path: &str| {
            let taken = self.names.lock().is_ok_and(|names| names.contains(&path.to_lowercase()));
            !taken && path.len() < 900 && !self.root.join(path).is_dir()
        };
        for path in [plain, other] {
            let to = self.root.join(&path);
            let Some(folder) = to.parent() else { continue };
            if !free(&path) || fs::create_dir_all(folder).is_err() {
                continue;
            }
            if fs::rename(partial, &to).is_ok() {
                File::open(folder).and_then(|f| f.sync_all())?;
                if let Ok(mut names) = self.names.lock() {
                    names.insert(path.to_lowercase());
                }
                return Ok(path);
            }
        }
        Err(Problem::World(format!("there is no name for it under {}", self.root.display())))
    }

    /// Writes what makes the folder a bag; answers files, bytes of content, versions.
    fn finish(self, who: &str) -> Result<(u64, u64, usize), Stop> {
        let done = self.done.into_inner().unwrap_or_default();
        let stop = |e: io::Error| Stop::unable(format!("{}: {e}", self.root.display()));
        // The log may name a version twice (it was replaced, or appended to): what counts is the last.
        let mut log = Vec::new();
        for line in done.values() {
            log.extend(serde_json::to_vec(line).map_err(|e| Stop::unable(e.to_string()))?);
            log.push(b'\n');
        }
        replace(&self.root.join(LOG), &log).map_err(stop)?;
        let _ = fs::remove_dir(self.root.join("partial"));
        let known: BTreeMap<&str, &str> =
            done.values().filter_map(|l| Some((l.file.as_deref()?, l.sha256.as_deref()?))).collect();
        let (mut manifest, mut files, mut bytes) = (String::new(), 0, 0);
        let mut folders = vec![self.root.join("data")];
        let mut all = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(stop)? {
                let entry = entry.map_err(stop)?;
                match entry.file_type().map_err(stop)?.is_dir() {
                    true => folders.push(entry.path()),
                    false => all.push(entry.path()),
                }
            }
        }
        all.sort();
        for path in all {
            let relative = path.strip_prefix(&self.root).unwrap_or(&path).to_string_lossy().into_owned();
            let sha = match known.get(relative.as_str()) {
                Some(sha) => (*sha).to_owned(),
                // A former state of an object that was replaced between two runs.
                None if relative.starts_with("data/objects/")
                    || relative.starts_with("data/more/")
                    || relative.starts_with("data/versions/") =>
                {
                    fs::remove_file(&path).map_err(stop)?;
                    continue;
                }
                None => hex::encode(Sha256::digest(fs::read(&path).map_err(stop)?)),
            };
            files += 1;
            bytes += length(&path);
            manifest.push_str(&format!("{sha}  {relative}\n"));
        }
        let info = format!(
            "Bagging-Date: {}\nPayload-Oxum: {bytes}.{files}\nExternal-Identifier: {who}\nBag-Software-Agent: bailee {}\n",
            now().iso().get(..10).unwrap_or_default(),
            env!("CARGO_PKG_VERSION"),
        );
        let tags = [
            ("bag-info.txt", info.into_bytes()),
            ("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n".to_vec()),
            ("manifest-sha256.txt", manifest.into_bytes()),
        ];
        let mut sums = format!("{}  {LOG}\n", hex::encode(Sha256::digest(&log)));
        for (name, content) in &tags {
            replace(&self.root.join(name), content).map_err(stop)?;
            sums.push_str(&format!("{}  {name}\n", hex::encode(Sha256::digest(content))));
        }
        replace(&self.root.join("tagmanifest-sha256.txt"), sums.as_bytes()).map_err(stop)?;
        Ok((files, bytes, done.len()))
    }
}

/// Writes a file beside its place and moves it there.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// How far it is, on a terminal.
struct Progress {
    shows: bool,
    bytes: u64,
    in_all: u64,
    versions: u64,
    begun: Instant,
    last: Option<Instant>,
}

impl Progress {
    fn new(client: &Client, buckets: &[String]) -> Self {
        let shows = io::stderr().is_terminal();
        let mut in_all = 0;
        if shows {
            for bucket in buckets {
                let told = client.must((Some(bucket), None), &[("stat", "")], 0).and_then(|a| text(a.body));
                let bytes = told
                    .ok()
                    .and_then(|t| t.split_once("<Storage>")?.1.split_once('<')?.0.parse::<u64>().ok());
                in_all += bytes.unwrap_or(0);
            }
        }
        Self { shows, bytes: 0, in_all, versions: 0, begun: Instant::now(), last: None }
    }

    fn done(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.versions += 1;
        self.show(false);
    }

    fn show(&mut self, over: bool) {
        if !self.shows || (!over && self.last.is_some_and(|at| at.elapsed() < Duration::from_millis(200))) {
            return;
        }
        self.last = Some(Instant::now());
        let percent = (self.bytes * 100).checked_div(self.in_all).unwrap_or(100).min(100);
        let filled = (percent / 5) as usize;
        let rate = self.bytes as f64 / 1e6 / self.begun.elapsed().as_secs_f64().max(0.001);
        let mut out = io::stderr();
        // Nobody is told when the terminal is gone.
        let _ = write!(
            out,
            "\r[{}{}] {percent:>3} %  {} versions, {rate:.0} MB/s \x1b[K{}",
            "#".repeat(filled),
            "-".repeat(20 - filled),
            self.versions,
            if over { "\n" } else { "" }
        );
        let _ = out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_keys_are_parts_of_paths() {
        for (part, path) in [
            ("a b.txt", "a b.txt"),
            ("发票", "发票"),
            ("", "="),
            ("..", "=.."),
            (".hidden", "=.hidden"),
            ("a:b*?", "a=3Ab=2A=3F"),
            ("100%", "100=25"),
            ("a=b", "a=3Db"),
            ("end.", "=end."),
        ] {
            assert_eq!(safe(part), path);
        }
        let long = safe(&"x".repeat(1_000));
        assert!(long.len() <= NAME_MAX && long != safe(&"x".repeat(999)));
        assert!(safe(&"发".repeat(300)).len() <= NAME_MAX);
    }
}
