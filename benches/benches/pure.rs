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
const RECORDS: u64 = 20_000;

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
                "resource": "acs:ram::1000000000000001:user/*", "eventId": format!("{index:032x}"),
                "management": { "eventType": "ApiCall", "sourceIpAddress": "192.0.2.1", "userAgent": "aliyun-cli",
                    "requestId": format!("{index:032X}"), "userIdentity": { "type": "root-account", "accountId": TENANT },
                    "requestParameters": { "MaxItems": 100, "Marker": "x".repeat(200) } },
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
    let ours = per_second(|| {
        std::hint::black_box(verify(bytes.as_slice(), &expect).unwrap());
    });
    let hash = per_second(|| {
        std::hint::black_box(Sha256::digest(&bytes));
    });
    let each = bytes.len() as f64 / RECORDS as f64;
    figure("bytes of a record in the bundle", each, "bytes");
    ratio(
        "verifier",
        ours * RECORDS as f64,
        "SHA-256 of the same bytes, once",
        hash * RECORDS as f64,
        "records/s",
        40.0,
    );
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
    if wanted("proofs") {
        proofs();
    }
}
