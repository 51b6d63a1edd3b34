//! What logs, witnesses, monitors and auditors send each other: policies, requests to witnesses and their answers, offline
//! proofs, entries of head logs, lines of heads, receipts, key changes, records about the log itself. Nothing panics, what
//! is read prints as it was, and nobody signs without the key.
#![no_main]

use bailee_proof::event::{self, Form};
use bailee_proof::hash::leaf_hash;
use bailee_proof::head::{HeadLine, HeadLogEntry, Receipt};
use bailee_proof::note::Signer;
use bailee_proof::offline::OfflineProof;
use bailee_proof::policy::Policy;
use bailee_proof::record::Kind;
use bailee_proof::rotation::{KeyChain, Rotation};
use bailee_proof::witness::{AddCheckpoint, read_answer, read_size};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_700_000_000;

fuzz_target!(|bytes: &[u8]| {
    let log = Signer::from_seed("trust.example/trail/0", &[3; 32]).expect("a signer");
    let witness = Signer::witness_from_seed("w", &[4; 32]).expect("a signer");
    let strict = format!("log {}\nwitness w {}\nquorum w\n", log.verifier(), witness.verifier());
    let strict = Policy::parse(strict.as_bytes()).expect("a policy");
    if let Ok(policy) = Policy::parse(bytes) {
        assert!(policy.is_met(|_| true));
        assert!(policy.is_met(|_| false) != policy.asks_for_witnesses());
        let _ = policy.evaluate(bytes, NOW);
    }
    assert!(strict.accept(bytes, NOW).is_err());
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        assert_eq!(request.body(), bytes);
        assert!(strict.accept(request.note, NOW).is_err());
    }
    assert!(read_answer(bytes, "o\n0\n", witness.verifier(), NOW).is_err());
    if let Some(size) = read_size(bytes) {
        assert_eq!(format!("{size}\n").as_bytes(), bytes);
    }
    if let Ok(proof) = OfflineProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
        assert!(proof.verify(&leaf_hash(b"x"), &strict, NOW).is_err());
    }
    if let Ok(entry) = HeadLogEntry::decode(bytes) {
        assert_eq!(entry.encode(), bytes);
    }
    if let Ok(change) = Rotation::open(bytes) {
        assert!(KeyChain::new(log.verifier().clone()).rotate(change).is_err());
    }
    if let Ok(view) = event::scan(bytes) {
        for kind in Kind::ALL {
            if let Ok(Some(Form::Erasure(erasure))) = view.form(kind, 9) {
                assert!(erasure.indices.iter().all(|i| *i < 9));
            }
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(lines) = HeadLine::parse_all(text) {
        assert_eq!(lines.iter().map(ToString::to_string).collect::<String>(), text);
    }
    if let Ok(receipt) = Receipt::parse(text) {
        assert_eq!(receipt.to_string().trim_end(), text.trim_end());
    }
});
