//! Each row of the witness's table of answers, and what no order of requests, restart or other folder may bring about.

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::leaf_hash;
use bailee_proof::note::{Note, Signer, VerifierKey, sign};
use bailee_proof::witness::{AddCheckpoint, monitoring_path, read_answer, read_size};
use bailee_witness::{StateError, Witness, WitnessKey};

use crate::site::{NOW, Site};
use crate::witnesses::{create, open};

struct Bench {
    folder: tempfile::TempDir,
    site: Site,
    own: Vec<VerifierKey>,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let own = create(folder.path(), "w1", false);
    let mut site = Site::new("example.com/heads", 1);
    site.entries = (0..7).map(|i| format!("leaf {i}").into_bytes()).collect();
    Bench { folder, site, own }
}

impl Bench {
    fn open(&self) -> Witness {
        open(self.folder.path(), "w1", &[self.site.signer().verifier().clone()])
    }

    /// The log with this many entries.
    fn at(&self, size: usize) -> Site {
        let mut site = self.site.clone();
        site.entries.truncate(size);
        site
    }

    /// Another log under the same key and origin.
    fn forked(&self, size: usize) -> Site {
        let mut site = self.at(size);
        site.entries[0] = b"another past".to_vec();
        site
    }
}

fn status(witness: &Witness, body: &[u8]) -> u16 {
    witness.add_checkpoint(body, NOW).status
}

#[test]
fn a_new_head_and_its_refresh_are_cosigned_and_served_to_monitors() {
    let b = bench();
    let witness = b.open();
    let path = monitoring_path("example.com/heads");
    let hash = path.strip_suffix("/checkpoint").unwrap();
    assert_eq!(witness.monitored(hash).status, 404);
    for (old, size) in [(0, 3), (3, 3), (3, 7), (7, 7)] {
        let site = b.at(size);
        let answer = witness.add_checkpoint(&site.request(old), NOW);
        assert_eq!(answer.status, 200, "{old} to {size}: {}", String::from_utf8_lossy(&answer.body));
        let text = site.checkpoint().to_string();
        let (line, time) = read_answer(&answer.body, &text, &b.own[0], NOW).unwrap();
        assert_eq!(
            (time, line.as_bytes()),
            (NOW, answer.body.as_slice()),
            "signature lines and nothing else"
        );
        let served = witness.monitored(hash);
        assert_eq!(served.status, 200);
        let log = site.signer();
        let keys = [log.verifier(), &b.own[0]];
        assert_eq!(Note::parse(&served.body).unwrap().verify(&keys).unwrap().len(), 2);
    }
    assert_eq!(witness.monitored(&"0".repeat(64)).status, 404);
}

#[test]
fn a_body_that_is_no_request_is_400() {
    let b = bench();
    let witness = b.open();
    let good = String::from_utf8(b.at(3).request(0)).unwrap();
    let many = format!("old 0\n{}{}", format!("{}\n", "A".repeat(43) + "=").repeat(64), &good[6..]);
    let bad = [
        String::new(),
        "old 0\n\n".into(),
        good.replace("old 0", "old 00"),
        good.replace("old 0\n", "size 0\n"),
        good.replace("\n3\n", "\n03\n"),
        good.replace("\n3\n", "\n3\n\n"),
        good.trim_end().into(),
        many,
    ];
    for body in bad {
        assert_eq!(status(&witness, body.as_bytes()), 400, "{body}");
    }
}

#[test]
fn an_unknown_origin_is_404_and_a_wrong_or_unknown_signature_403() {
    let b = bench();
    let witness = b.open();
    let mut other = b.at(3);
    other.origin = "example.com/other".into();
    assert_eq!(status(&witness, &other.request(0)), 404);
    let mut stranger = b.at(3);
    stranger.seed = 9;
    assert_eq!(status(&witness, &stranger.request(0)), 403);
    // The trusted key's line fails: another line by somebody else does not help.
    let changed = String::from_utf8(b.at(3).request(0)).unwrap().replacen("\n3\n", "\n4\n", 1);
    let helped = changed.clone() + &stranger.note()[stranger.note().rfind('\u{2014}').unwrap()..];
    for body in [changed, helped] {
        assert_eq!(status(&witness, body.as_bytes()), 403);
    }
    // An unknown line beside the good one is ignored.
    let checkpoint = b.at(3).checkpoint().to_string();
    let both = sign(&checkpoint, &[&stranger.signer(), &b.site.signer()]).unwrap();
    let body = AddCheckpoint { old: 0, proof: vec![], note: both.as_bytes() }.body();
    assert_eq!(status(&witness, &body), 200);
}

#[test]
fn an_old_size_above_the_checkpoints_is_400_and_another_than_remembered_409_with_the_size() {
    let b = bench();
    let witness = b.open();
    let claims = AddCheckpoint { old: 4, proof: vec![], note: b.at(3).note().as_bytes() }.body();
    assert_eq!(status(&witness, &claims), 400);
    let unknown = witness.add_checkpoint(&b.at(3).request(2), NOW);
    assert_eq!((unknown.status, unknown.media_type), (409, "text/x.tlog.size"));
    assert_eq!(unknown.body, b"0\n");
    assert_eq!(status(&witness, &b.at(3).request(0)), 200);
    for (old, size) in [(0, 3), (0, 7), (2, 7), (2, 3), (4, 7)] {
        let answer = witness.add_checkpoint(&b.at(size).request(old), NOW);
        assert_eq!((answer.status, read_size(&answer.body)), (409, Some(3)), "{old} to {size}");
    }
    // Larger than the checkpoint comes before not remembered.
    assert_eq!(status(&witness, &claims), 400);
    // A rollback: the log says that it is smaller than what was cosigned.
    let rollback = AddCheckpoint { old: 2, proof: vec![], note: b.at(2).note().as_bytes() }.body();
    assert_eq!(status(&witness, &rollback), 409);
}

#[test]
fn what_is_not_consistent_is_422() {
    let b = bench();
    let witness = b.open();
    let signer = b.site.signer();
    // Size 0 with another root.
    let text =
        format!("example.com/heads\n0\n{}", b.at(3).checkpoint().to_string().split('\n').nth(2).unwrap());
    let note = sign(&format!("{text}\n"), &[&signer]).unwrap();
    let body = AddCheckpoint { old: 0, proof: vec![], note: note.as_bytes() }.body();
    assert_eq!(status(&witness, &body), 422);
    // A proof though old is 0.
    let body = AddCheckpoint { old: 0, proof: vec![leaf_hash(b"x")], note: b.at(3).note().as_bytes() }.body();
    assert_eq!(status(&witness, &body), 422);
    assert_eq!(status(&witness, &b.at(3).request(0)), 200);
    // Wrong proofs: of another past, none, one too many.
    assert_eq!(status(&witness, &b.forked(7).request(3)), 422);
    let none = AddCheckpoint { old: 3, proof: vec![], note: b.at(7).note().as_bytes() }.body();
    assert_eq!(status(&witness, &none), 422);
    // The same size, another root; and the same root with a proof.
    assert_eq!(status(&witness, &b.forked(3).request(3)), 422);
    let body = AddCheckpoint { old: 3, proof: vec![leaf_hash(b"x")], note: b.at(3).note().as_bytes() }.body();
    assert_eq!(status(&witness, &body), 422);
    // Nothing of this moved it.
    assert_eq!(status(&witness, &b.at(7).request(3)), 200);
}

#[test]
fn an_empty_log_can_be_cosigned() {
    let b = bench();
    let witness = b.open();
    assert_eq!(status(&witness, &b.at(0).request(0)), 200);
    assert_eq!(status(&witness, &b.at(0).request(0)), 200);
    assert_eq!(status(&witness, &b.at(3).request(0)), 200);
}

#[test]
fn a_restart_remembers_and_another_or_a_damaged_folder_does_not_start() {
    let b = bench();
    let log = b.site.signer().verifier().clone();
    let witness = b.open();
    assert_eq!(status(&witness, &b.at(3).request(0)), 200);
    let key = || WitnessKey::read(&b.folder.path().join("w1.key")).unwrap();
    let start =
        |folder: &str| Witness::open(&b.folder.path().join(folder), key(), std::slice::from_ref(&log));
    assert!(matches!(start("w1"), Err(StateError::Taken(_))));
    drop(witness);
    let again = b.open();
    assert_eq!(status(&again, &b.forked(7).request(3)), 422);
    assert_eq!(status(&again, &b.at(7).request(3)), 200);
    drop(again);
    // A lost folder is not taken for a new witness.
    assert!(matches!(start("lost"), Err(StateError::None(_) | StateError::Io { .. })));
    create(b.folder.path(), "w2", false);
    assert!(matches!(start("w2"), Err(StateError::Other(_))));
    let path = b
        .folder
        .path()
        .join("w1")
        .join(monitoring_path("example.com/heads").strip_suffix("/checkpoint").unwrap());
    let stored = std::fs::read_to_string(&path).unwrap();
    for damaged in [stored.replace("\n7\n", "\n6\n"), stored[..stored.len() / 2].into(), String::new()] {
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(start("w1"), Err(StateError::Damaged { .. })));
    }
}

#[test]
fn a_head_that_cannot_be_stored_is_not_cosigned_and_nothing_follows_it() {
    let b = bench();
    let witness = b.open();
    assert_eq!(status(&witness, &b.at(3).request(0)), 200);
    std::fs::rename(b.folder.path().join("w1"), b.folder.path().join("gone")).unwrap();
    for _ in 0..2 {
        let answer = witness.add_checkpoint(&b.at(7).request(3), NOW);
        assert_eq!(answer.status, 500);
        assert!(!String::from_utf8_lossy(&answer.body).contains('\u{2014}'));
    }
    drop(witness);
    std::fs::rename(b.folder.path().join("gone"), b.folder.path().join("w1")).unwrap();
    assert_eq!(status(&b.open(), &b.at(7).request(3)), 200);
}

#[test]
fn a_witness_with_two_keys_gives_two_lines_and_a_log_with_two_needs_one_that_holds() {
    let b = bench();
    let own = create(b.folder.path(), "w9", true);
    let second = Signer::mldsa44_from_seed("example.com/heads", &[3; 32]).unwrap();
    let logs = [b.site.signer().verifier().clone(), second.verifier().clone()];
    let witness = open(b.folder.path(), "w9", &logs);
    let head: Checkpoint = b.at(3).checkpoint();
    let note = head.sign_both(&b.site.signer(), &second, NOW).unwrap();
    let body = AddCheckpoint { old: 0, proof: vec![], note: note.as_bytes() }.body();
    let answer = witness.add_checkpoint(&body, NOW);
    assert_eq!(answer.status, 200);
    for key in &own {
        assert!(read_answer(&answer.body, &head.to_string(), key, NOW).is_ok());
    }
    let wrong = note.replacen("\n3\n", "\n4\n", 1);
    let body = AddCheckpoint { old: 0, proof: vec![], note: wrong.as_bytes() }.body();
    assert_eq!(status(&witness, &body), 403);
}
