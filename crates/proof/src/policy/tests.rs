use super::*;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::hash::leaf_hash;
use crate::note::{NoteError, Signer, cosign};
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;

fn log() -> Signer {
    Signer::from_seed("example.com/trail", &[1; 32]).unwrap()
}

fn witness(n: u8) -> Signer {
    let name = format!("witness.example/{n}");
    let seed = [0x10 + n; 32];
    // Every other one is post-quantum.
    if n.is_multiple_of(2) {
        Signer::mldsa44_from_seed(&name, &seed).unwrap()
    } else {
        Signer::witness_from_seed(&name, &seed).unwrap()
    }
}

fn vkey(n: u8) -> String {
    witness(n).verifier().to_string()
}

fn note(cosigners: &[(u8, u64)]) -> String {
    let head = Checkpoint { origin: "example.com/trail".into(), size: 1, root: leaf_hash(b"x") };
    let mut note = head.sign(&log()).unwrap();
    for (n, time) in cosigners {
        note.push_str(&cosign(&head.to_string(), &witness(*n), *time).unwrap());
    }
    note
}

/// Two of X1, X2, X3 and any of Y4, Y5.
fn nested() -> Policy {
    let mut text = format!("# for tests\n\nlog {} https://example.com/trail\n", log().verifier());
    for n in 1..=5 {
        text.push_str(&format!("\twitness w{n} {} \n", vkey(n)));
    }
    text.push_str("group X 2 w1 w2 w3\ngroup Y any w4 w5\ngroup both all X Y\nquorum both\n");
    Policy::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_quorum_of_nested_groups_is_met_exactly_when_its_rule_says_so() {
    let policy = nested();
    for mask in 0..32u8 {
        let has = |w: usize| mask >> w & 1 == 1;
        let x = (mask & 7).count_ones() >= 2;
        let y = mask & 24 != 0;
        assert_eq!(policy.is_met(has), x && y, "{mask:05b}");
    }
}

#[test]
fn cosignatures_are_counted_with_their_latest_time_and_the_quorum_has_one() {
    let policy = nested();
    let seen = policy
        .accept(note(&[(1, NOW - 50), (2, NOW - 30), (4, NOW - 20), (1, NOW - 10)]).as_bytes(), NOW)
        .unwrap();
    assert_eq!((seen.log, seen.met, seen.quorum_time), (0, true, Some(NOW - 30)));
    let times: Vec<_> = seen.seen.iter().map(|s| (s.witness, s.timestamp)).collect();
    assert_eq!(times, [(0, NOW - 10), (1, NOW - 30), (3, NOW - 20)]);
    let error = policy.accept(note(&[(1, NOW), (4, NOW)]).as_bytes(), NOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the policy's quorum is not met: cosigned by w1, w4; missing are w2, w3, w5"
    );
}

#[test]
fn a_cosignature_from_the_future_or_without_time_does_not_count() {
    let policy = nested();
    let at_limit = note(&[(1, NOW + 300), (2, NOW), (4, NOW)]);
    assert!(policy.accept(at_limit.as_bytes(), NOW).is_ok());
    for (time, why) in [(NOW + 301, "its time is in the future"), (0, "it has no time")] {
        let seen = policy.evaluate(note(&[(1, time), (2, NOW), (4, NOW)]).as_bytes(), NOW).unwrap();
        assert!(!seen.met);
        assert_eq!(seen.not_counted, [(0, why)]);
        assert_eq!(seen.quorum_time, None);
    }
}

#[test]
fn a_wrong_line_an_unknown_log_and_a_log_under_anothers_origin_are_refused() {
    let policy = nested();
    let good = note(&[(1, NOW), (2, NOW), (4, NOW)]);
    let changed = good.replacen("example.com/trail\n1\n", "example.com/trail\n2\n", 1);
    assert!(matches!(
        policy.evaluate(changed.as_bytes(), NOW),
        Err(PolicyRefusal::Checkpoint(CheckpointError::Note(NoteError::Wrong { .. })))
    ));
    let other = Signer::from_seed("example.com/other", &[1; 32]).unwrap();
    let head = Checkpoint { origin: "example.com/other".into(), size: 1, root: leaf_hash(b"x") };
    let unknown = head.sign(&other).unwrap();
    assert_eq!(policy.evaluate(unknown.as_bytes(), NOW), Err(PolicyRefusal::Log("example.com/other".into())));
    // Witnesses alone do not make a checkpoint.
    let mut cosigned = format!("{head}\n");
    cosigned.push_str(&cosign(&head.to_string(), &witness(1), NOW).unwrap());
    assert_eq!(
        policy.evaluate(cosigned.as_bytes(), NOW),
        Err(PolicyRefusal::Log("example.com/other".into()))
    );
    // A key listed for one origin does not speak for another one.
    let listed = Signer::from_seed("example.com/other", &[2; 32]).unwrap();
    let text = format!("log {}\nlog {}\nquorum none\n", log().verifier(), listed.verifier());
    let two = Policy::parse(text.as_bytes()).unwrap();
    let forged = crate::note::sign(&head.to_string(), &[&log()]).unwrap();
    assert!(two.evaluate(forged.as_bytes(), NOW).is_err());
    assert!(two.accept(note(&[]).as_bytes(), NOW).unwrap().met);
}

#[test]
fn what_is_wrong_with_a_policy_is_said_with_its_line() {
    let log_key = log().verifier().to_string();
    let renamed = Signer::witness_from_seed("other.example/w", &[0x11; 32]).unwrap().verifier().to_string();
    let log_as_witness = Signer::witness_from_seed("w", &[1; 32]).unwrap().verifier().to_string();
    let cases = [
        (format!("log {log_key}\n"), "line 1 of the policy: there is no quorum line: end the file with `quorum <name>` or `quorum none`".to_owned()),
        ("quorum none\nquorum none\n".into(), "line 2 of the policy: the quorum is defined on line 1 already".into()),
        ("quorum w\n".into(), "line 1 of the policy: `w` is no witness or group of a line above".into()),
        ("logs x\n".into(), "line 1 of the policy: `logs` is none of log, witness, group, quorum".into()),
        (format!("witness a {}\n\nwitness b {renamed}\n", vkey(1)), "line 3 of the policy: the public key of `other.example/w` is that of `witness.example/1`".into()),
        (format!("log {log_key}\nwitness b {log_as_witness}\n"), "line 2 of the policy: the public key of `w` is that of `example.com/trail`".into()),
        (format!("witness a {log_key}\n"), "line 1 of the policy: a witness's key has type 04 (Ed25519 cosignature) or 06 (ML-DSA-44), this one has 01".into()),
        (format!("log {}\n", vkey(1)), "line 1 of the policy: a log's key has type 01 (Ed25519) or 06 (ML-DSA-44), this one has 04".into()),
        (format!("witness none {}\n", vkey(1)), "line 1 of the policy: `none` is no name for a witness or group: it means `no quorum`".into()),
        (format!("witness a {}\nwitness a {}\n", vkey(1), vkey(3)), "line 2 of the policy: the name `a` is taken on line 1".into()),
        (format!("witness a {}\ngroup g 2 a\n", vkey(1)), "line 2 of the policy: `2` must be any, all or a number from 1 to 1, the number of members".into()),
        (format!("witness a {}\ngroup g 0 a\n", vkey(1)), "line 2 of the policy: `0` must be any, all or a number from 1 to 1, the number of members".into()),
        (format!("witness a {}\ngroup g 01 a\n", vkey(1)), "line 2 of the policy: `01` must be any, all or a number from 1 to 1, the number of members".into()),
        (format!("witness a {}\ngroup g all a a\n", vkey(1)), "line 2 of the policy: `a` is a member of the group on line 2 already; once is allowed".into()),
        (format!("witness a {}\ngroup g all a\ngroup h all a g\n", vkey(1)), "line 3 of the policy: `a` is a member of the group on line 2 already; once is allowed".into()),
        ("group g any g\n".into(), "line 1 of the policy: `g` is no witness or group of a line above".into()),
        ("group g any none\n".into(), "line 1 of the policy: `none` is no witness or group of a line above".into()),
        ("group g any\n".into(), "line 1 of the policy: the group `g` has no members".into()),
        ("quorum none\r\n".into(), "line 1 of the policy: the control character 0d may not stand in a policy".into()),
        ("log a+b+c\nquorum none\n".into(), "line 1 of the policy: `a+b+c` is not a verifier key of the form name+hex8+base64".into()),
    ];
    for (text, why) in cases {
        assert_eq!(Policy::parse(text.as_bytes()).unwrap_err().to_string(), why, "{text}");
    }
    assert!(Policy::parse(b"# \xff\xfe\nquorum none").is_ok());
    assert!(Policy::parse(&vec![b'#'; POLICY_BYTES_MAX + 1]).is_err());
}

proptest! {
    #[test]
    fn any_lines_are_read_without_a_panic(text in "((log|witness|group|quorum|#)( |\t)?([a-z0-9+/=]{0,6} ?){0,4}\n?){0,6}") {
        let _ = Policy::parse(text.as_bytes());
    }
}
