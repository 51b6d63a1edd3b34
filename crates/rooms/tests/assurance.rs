//! Checks of the running system: what they see, that a run is in the log, how claims stand, and that the file proves it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::claim::{Answer, ClaimFile, Standing};
use bailee_proof::note::VerifierKey;
use bailee_rooms::Failure;
use bailee_rooms::assurance::{Finding, RunChecks};
use bailee_testkit::{TestHouse, engines, runtime};

async fn run(t: &TestHouse, only: &[&str]) -> Vec<Finding> {
    let only = only.iter().map(|&c| c.to_owned()).collect();
    t.house.perform(t.house.system_caller("assurance"), RunChecks { only }).await.unwrap().findings
}

async fn answer(t: &TestHouse, check: &str) -> (Answer, String) {
    let one = run(t, &[check]).await.remove(0);
    t.clock.advance_ms(1);
    (one.answer, serde_json::Value::Object(one.numbers).to_string())
}

#[test]
fn an_honest_house_passes_what_is_looked_at_and_the_rest_is_unknown() {
    for engine in engines() {
        let t = TestHouse::new(engine);
        runtime().block_on(async {
            let acme = t.tenant("acme").await;
            // Nothing is there yet: that is no pass.
            assert_eq!(answer(&t, "ENC-01").await.0, Answer::NotApplicable, "{engine:?}");
            acme.make_bucket(&t, "acme-invoices").await;
            for n in 0..30 {
                acme.put(&t, "acme-invoices", &format!("small-{n}"), vec![7u8; 100]).await;
            }
            acme.put(&t, "acme-invoices", "large", vec![7u8; 300_000]).await;
            let (seen, numbers) = answer(&t, "ENC-01").await;
            assert_eq!(seen, Answer::Pass, "{numbers}");
            assert_eq!(numbers, r#"{"objects":31,"sample":31,"unsealed":0}"#);
            for check in ["ENC-02", "RES-01", "KEY-03", "CON-01", "RES-02", "TRL-01", "TRL-02"] {
                let (seen, numbers) = answer(&t, check).await;
                assert_eq!(seen, Answer::Pass, "{check} {numbers} {engine:?}");
            }
            let all = run(&t, &[]).await;
            let unknown = |c: &str| all.iter().find(|f| f.check == c).unwrap().answer == Answer::Unknown;
            for check in ["NET-01", "SBX-01", "BAK-01", "TRL-03"] {
                assert!(unknown(check), "{check}: nobody looks at it, so it cannot pass");
            }
            // One that is not there.
            let none = RunChecks { only: vec!["NO-1".into()] };
            let no = t.house.perform(t.house.system_caller("assurance"), none).await;
            assert!(matches!(no, Err(Failure::NotFound { .. })), "{:?}", no.map(drop));
        });
    }
}

#[test]
fn what_is_wrong_fails_and_a_claim_falls_with_it() {
    for engine in engines() {
        let t = TestHouse::new(engine);
        runtime().block_on(async {
            let acme = t.tenant("acme").await;
            acme.make_bucket(&t, "acme-invoices").await;
            acme.put(&t, "acme-invoices", "one", vec![7u8; 100]).await;
            assert_eq!(answer(&t, "ENC-01").await.0, Answer::Pass);
            let standing = async |id: &str| t.house.claim(id).await.unwrap().standing;
            run(&t, &["RES-01"]).await;
            assert!(matches!(standing("data-location").await, Standing::Proven { .. }));
            // It grows old.
            t.clock.advance_ms(2 * 3_600_000 + 1);
            assert_eq!(standing("data-location").await, Standing::Unproven);
            // A row without a wrapped key, as somebody would leave who stored in clear.
            assert_eq!(t.change("UPDATE object SET wrapped_key = header, header = wrapped_key"), 1);
            let (seen, numbers) = answer(&t, "ENC-01").await;
            assert_eq!((seen, numbers.as_str()), (Answer::Fail, r#"{"objects":1,"sample":1,"unsealed":1}"#));
            assert_eq!(answer(&t, "ENC-02").await.0, Answer::Fail);
            assert_eq!(standing("data-encryption").await, Standing::Failing);
            // An operator without a second factor.
            t.operator("op-lin", "support", "CN").await;
            assert_eq!(
                answer(&t, "IAM-01").await,
                (Answer::Fail, r#"{"operators":1,"withoutFactor":1}"#.into())
            );
            // The root key's file, open to others since.
            let key = t.folder().join("root.key");
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert_eq!(answer(&t, "KEY-03").await.0, Answer::Fail);
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(answer(&t, "KEY-03").await.0, Answer::Pass);
            // Failing does not go away by waiting.
            t.clock.advance_ms(90 * 86_400_000);
            assert_eq!(standing("data-encryption").await, Standing::Failing);
        });
    }
}

#[test]
fn a_claim_file_holds_the_records_of_its_findings() {
    for engine in engines() {
        let t = TestHouse::new(engine);
        runtime().block_on(async {
            let acme = t.tenant("acme").await;
            acme.make_bucket(&t, "acme-invoices").await;
            acme.put(&t, "acme-invoices", "one", vec![7u8; 100]).await;
            run(&t, &["RES-01", "RES-02"]).await;
            let text = t.house.claim_file("no-move-without-consent").await.unwrap();
            let file = ClaimFile::parse(text.as_bytes()).unwrap();
            assert_eq!(file.proofs.len(), 1, "one run, one record");
            let proof = &file.proofs[0];
            let said = String::from_utf8_lossy(&proof.extra.as_ref().unwrap()[32..]).into_owned();
            assert!(said.contains(r#""RES-01":{"answer":"pass""#), "{said}");
            let key = VerifierKey::parse(&t.house.provider_head().await.unwrap().vkey).unwrap();
            Checkpoint::open(proof.checkpoint.as_bytes(), &key).unwrap();
            assert!(matches!(t.house.claim_file("no-such").await, Err(Failure::NotFound { .. })));
        });
    }
}
