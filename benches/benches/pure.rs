//! What needs no disk and no network: policy decisions, and the verifier against SHA-256 of the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use bailee_benches::{figure, per_second, ratio};
use bailee_policy::{Context, Phases, Policy, PolicySet, Request, Subject, decide, decide_plainly};
use bailee_proof::bundle::{Manifest, Opening, Scope, Writer, lead_digest};
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::{Hash, leaf_hash};
use bailee_proof::note::Signer;
use bailee_proof::record::{Entry, Kind, commitment};
use bailee_proof::tile::{Tile, parent, read_tile, subtrees, tile_bytes};
use bailee_proof::tree::{
    Frontier, ProofError, consistency_proof, inclusion_proof, root_at, verify_inclusion,
};
use bailee_types::{Arn, BucketName, ObjectKey, TenantId, Timestamp};
use bailee_verify::{Expect, verify};
use sha2::{Digest, Sha256};

const TENANT: &str = "1000000000000001";
const RECORDS: u64 = 100_000;
/// So that an event of the verifier's bench has 1 KiB.
const PADDING: usize = 565;

fn policies() {
    let statement = |n: usize| {
        format!(
            r#"{{"Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":["acs:oss:*:*:bucket-{n}/*","acs:oss:*:*:bucket-{n}"]}}"#
        )
    };
    for count in [1, 20, 200] {
        let all = (0..count)
            .map(|n| {
                let text = format!(r#"{{"Version":"1","Statement":[{}]}}"#, statement(n));
                (format!("p{n}"), Arc::new(Policy::parse(&text).unwrap()))
            })
            .collect();
        let set = PolicySet::compile(all);
        let tenant = TenantId::parse(TENANT).unwrap();
        let bucket = BucketName::parse(&format!("bucket-{}", count - 1)).unwrap();
        let resource = Arn::object(&tenant, &bucket, &ObjectKey::parse("a/b/c.txt").unwrap());
        let context = Context {
            now: Timestamp::from_secs(1_767_323_045),
            source_ip: None,
            secure_transport: true,
            mfa_present: None,
            subject: Subject::User { account: TENANT, id: "2000000000000001", name: "li" },
            extra: &[],
        };
        let request = Request { action: "oss:GetObject", resource: &resource, context: &context };
        let phases = Phases { identity: &[&set], ..Phases::default() };
        let indexed = per_second(|| {
            std::hint::black_box(decide(&phases, std::hint::black_box(&request)));
        });
        let plain = per_second(|| {
            std::hint::black_box(decide_plainly(&phases, std::hint::black_box(&request)));
        });
        let what = format!("policy decisions, {count} policies");
        ratio(&what, indexed, "reading every statement", plain, "/s", if count == 1 { 50.0 } else { 100.0 });
    }
}

/// A bundle as the product writes it: pairs of intent and outcome.
fn bundle() -> Vec<u8> {
    let signer = Signer::from_seed("trust.example/trail/0", &[9; 32]).unwrap();
    let mut tree = Frontier::new();
    let records: Vec<_> = (0..RECORDS)
        .map(|index| {
            let (kind, time_ms) = (if index % 2 == 0 { Kind::Management } else { Kind::Outcome }, 1_767_323_045_000 + index);
            let event = serde_json::json!({
                "record": kind.word(), "index": index, "timeMs": time_ms, "tenant": TENANT,
                "intent": index.saturating_sub(1), "result": "done", "eventName": "ListUsers",
                "resource": "acs:ram::1000000000000001:user/*",
                "management": { "eventId": format!("{index:032x}"), "eventType": "ApiCall", "sourceIpAddress": "192.0.2.1", "userAgent": "aliyun-cli",
                    "requestId": format!("{index:032X}"), "userIdentity": { "type": "root-account", "accountId": TENANT },
                    "requestParameters": { "MaxItems": 100, "Marker": "x".repeat(PADDING) } },
            });
            let mut event = event;
            if kind == Kind::Management {
                event.as_object_mut().unwrap().retain(|k, _| k != "intent" && k != "result");
            }
            let event = serde_json::to_vec(&event).unwrap();
            let nonce: [u8; 32] = Sha256::digest(index.to_be_bytes()).into();
            let entry = Entry { kind, index, time_ms, commitment: commitment(&nonce, &event) };
            tree.append(entry.leaf_hash()).unwrap();
            (entry.encode(), nonce, event)
        })
        .collect();
    let checkpoint = Checkpoint { origin: "trust.example/trail/0".into(), size: RECORDS, root: tree.root() };
    let note = checkpoint.sign(&signer).unwrap();
    let manifest = Manifest {
        origin: checkpoint.origin.clone(),
        tenant: TENANT.into(),
        exported: "2026-11-25T12:00:00Z".into(),
        records: RECORDS,
        lead: lead_digest(note.as_bytes(), b"", RECORDS).unwrap(),
        scope: Scope::All,
        key: signer.verifier().clone(),
    };
    let signed = manifest.sign(&signer).unwrap();
    let mut writer = Writer::new(Vec::new(), signed.as_bytes(), note.as_bytes(), b"").unwrap();
    for (entry, nonce, event) in &records {
        writer.record(entry, Opening::Opened { nonce, event }).unwrap();
    }
    writer.finish().unwrap()
}

fn verifier() {
    let bytes = bundle();
    let expect = Expect::default();
    verify(bytes.as_slice(), &expect).unwrap();
    let one = Expect { threads: 1, ..Expect::default() };
    let alone = per_second(|| {
        std::hint::black_box(verify(bytes.as_slice(), &one).unwrap());
    });
    figure("verifier with one judging thread", alone * RECORDS as f64, "records/s");
    let ours = per_second(|| {
        std::hint::black_box(verify(bytes.as_slice(), &expect).unwrap());
    });
    let hash = per_second(|| {
        std::hint::black_box(Sha256::digest(&bytes));
    });
    let each = bytes.len() as f64 / RECORDS as f64;
    figure("bytes of a record in the bundle, its event of 1 KiB", each, "bytes");
    ratio(
        "verifier",
        ours * RECORDS as f64,
        "SHA-256 of the same bytes, once",
        hash * RECORDS as f64,
        "records/s",
        60.0,
    );
}

/// A log of many small records, made while it is read: what the verifier keeps of it shows in the process's memory.
struct Endless {
    head: Vec<u8>,
    next: u64,
    count: u64,
    ready: Vec<u8>,
    at: usize,
}

fn small(index: u64) -> ([u8; 50], [u8; 32], Vec<u8>) {
    let (kind, time_ms) = (Kind::Refusal, 1_767_323_045_000 + index);
    let event = format!(
        r#"{{"record":"refusal","index":{index},"timeMs":{time_ms},"tenant":"{TENANT}","eventName":"GetObject","management":{{"eventId":"{index:032x}"}}}}"#
    );
    let mut nonce = [0; 32];
    nonce[..8].copy_from_slice(&index.to_be_bytes());
    let entry = Entry { kind, index, time_ms, commitment: commitment(&nonce, event.as_bytes()) };
    (entry.encode(), nonce, event.into_bytes())
}

impl Endless {
    fn new(count: u64) -> Self {
        let signer = Signer::from_seed("trust.example/trail/0", &[9; 32]).unwrap();
        let mut tree = Frontier::new();
        (0..count).for_each(|index| tree.append(leaf_hash(&small(index).0)).unwrap());
        let checkpoint =
            Checkpoint { origin: "trust.example/trail/0".into(), size: count, root: tree.root() };
        let note = checkpoint.sign(&signer).unwrap();
        let manifest = Manifest {
            origin: checkpoint.origin.clone(),
            tenant: TENANT.into(),
            exported: "2026-11-25T12:00:00Z".into(),
            records: count,
            lead: lead_digest(note.as_bytes(), b"", count).unwrap(),
            scope: Scope::All,
            key: signer.verifier().clone(),
        };
        let mut head = Vec::new();
        Writer::new(&mut head, manifest.sign(&signer).unwrap().as_bytes(), note.as_bytes(), b"")
            .map(|_| ())
            .unwrap();
        Self { ready: head.clone(), head, next: 0, count, at: 0 }
    }
}

impl std::io::Read for Endless {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            while self.next < self.count && self.ready.len() < 256 * 1024 {
                let (entry, nonce, event) = small(self.next);
                self.ready.extend_from_slice(&entry);
                self.ready.push(1);
                self.ready.extend_from_slice(&nonce);
                self.ready.extend_from_slice(&(event.len() as u32).to_be_bytes());
                self.ready.extend_from_slice(&event);
                self.next += 1;
            }
        }
        let n = to.len().min(self.ready.len() - self.at);
        to[..n].copy_from_slice(&self.ready[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Ten million records, each opened: memory of the process at most, and how long it took (the log is made meanwhile).
fn memory() {
    let count = 10_000_000;
    let bundle = Endless::new(count);
    assert!(!bundle.head.is_empty());
    let began = std::time::Instant::now();
    let report = verify(bundle, &Expect::default()).unwrap();
    assert_eq!(report.records, count);
    figure("10 M records verified, opened, in", began.elapsed().as_secs_f64(), "s");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
    figure("memory at most (aim 256 MiB)", peak.trim().parse::<f64>().unwrap() / 1024.0, "MiB");
}

/// Proofs out of tiles of a log of ten million records, the tiles at hand as bytes (a server's page cache).
fn proofs() {
    let size = 10_000_000u64;
    let mut levels = vec![(0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect::<Vec<Hash>>()];
    while let Some(next) = levels.last().filter(|l| l.len() >= 256) {
        let next = next.chunks(256).filter_map(parent).collect();
        levels.push(next);
    }
    let root = root_at(size, subtrees(size, |tile| fetch(&levels, tile))).unwrap();
    let mut at = 0;
    let inclusion = per_second(|| {
        at = (at + 1_234_567) % size;
        let proof = inclusion_proof(at, size, subtrees(size, |tile| fetch(&levels, tile))).unwrap();
        std::hint::black_box(proof);
    });
    let consistency = per_second(|| {
        at = (at + 1_234_567) % size;
        let proof = consistency_proof(at + 1, size, subtrees(size, |tile| fetch(&levels, tile))).unwrap();
        std::hint::black_box(proof);
    });
    let proof = inclusion_proof(at, size, subtrees(size, |tile| fetch(&levels, tile))).unwrap();
    verify_inclusion(at, size, &levels[0][at as usize], &proof, &root).unwrap();
    figure("inclusion proof out of tiles, 10 M records", 1e6 / inclusion, "µs");
    figure("consistency proof out of tiles, 10 M records", 1e6 / consistency, "µs");
}

fn fetch(levels: &[Vec<Hash>], tile: Tile) -> Result<Vec<Hash>, ProofError> {
    let begin = tile.index as usize * 256;
    let bytes = tile_bytes(&levels[usize::from(tile.level())][begin..begin + usize::from(tile.width)]);
    Ok(read_tile(&bytes, tile.width).unwrap())
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    if wanted("policies") {
        policies();
    }
    if wanted("verifier") {
        verifier();
    }
    // First of those that hold much, or the peak is another's.
    if wanted("memory") {
        memory();
    }
    if wanted("proofs") {
        proofs();
    }
}
