//! `bailee-verify claim`: how a claim of the provider stands, by the findings in its log, with nothing from the provider but
//! the file and a key that the checker keeps.
//!
//! For each proof: the checkpoint is signed by the log, the record lies in its tree where it says, and is the outcome of a run
//! of checks that ended as done and commits to the list of claims in the file. Of each check the newest finding counts, at the
//! checker's own time.

use std::collections::BTreeMap;

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::claim::{self, Answer, ClaimFile, Found, Standing};
use bailee_proof::event::{self, Ended};
use bailee_proof::note::VerifierKey;
use bailee_proof::record::{Entry, Kind, NONCE_BYTES, commitment};
use bailee_proof::tree::verify_inclusion;
use serde::Serialize;
use serde_json::Value;

use crate::{Problem, violation};

const CLAIM: &str = "claim";

/// A check of the claim, and its newest finding.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The check.
    pub check: String,
    /// `pass`, `fail`, `unknown`, `na`, or `none` where the file shows no finding.
    pub answer: &'static str,
    /// When, milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// The record of the finding.
    pub record: Option<u64>,
    /// The numbers that it was given with.
    pub numbers: Value,
}

/// How a claim stands.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// The claim.
    pub claim: String,
    /// What it says.
    pub en: String,
    /// The same in Chinese.
    pub zh: String,
    /// `proven`, `failing`, `unproven` or `stated`.
    pub standing: &'static str,
    /// The oldest finding that counts, of one that is proven, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// The log.
    pub log: String,
    /// Its checks.
    pub checks: Vec<Seen>,
}

/// Judges a claim file at `now_ms`.
///
/// # Errors
/// The first thing that does not hold; [`Problem::Unreadable`] for bytes that are no claim file.
pub fn claim(bytes: &[u8], key: &VerifierKey, now_ms: i64) -> Result<Judged, Problem> {
    let file = ClaimFile::parse(bytes).map_err(|e| Problem::Unreadable(e.to_string()))?;
    let unreadable = |e: claim::ClaimError| Problem::Unreadable(e.to_string());
    let list = claim::digest(&claim::list(&file.claims).map_err(unreadable)?).to_string();
    let mut newest: BTreeMap<String, (Found, u64, Value)> = BTreeMap::new();
    let mut log = String::new();
    for (n, proof) in file.proofs.iter().enumerate() {
        let wrong =
            |why: &dyn std::fmt::Display| violation(CLAIM, format!("proof {}", n + 1), why.to_string());
        let opened = proof.extra.as_deref().unwrap_or_default();
        let (nonce, bytes) =
            opened.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| wrong(&"it shows no record"))?;
        let envelope = event::scan(bytes).and_then(|view| view.envelope()).map_err(|e| wrong(&e))?;
        if envelope.index != proof.index {
            return Err(wrong(&"the record and its proof name different places"));
        }
        let entry = Entry {
            kind: envelope.kind,
            index: envelope.index,
            time_ms: envelope.time_ms,
            commitment: commitment(nonce, bytes),
        };
        let checkpoint = Checkpoint::open(proof.checkpoint.as_bytes(), key).map_err(|e| wrong(&e))?;
        verify_inclusion(proof.index, checkpoint.size, &entry.leaf_hash(), &proof.siblings, &checkpoint.root)
            .map_err(|e| wrong(&e))?;
        let said: Value = serde_json::from_slice(bytes).map_err(|e| wrong(&e))?;
        let ended = envelope.closes.as_ref().map(|c| c.result);
        if envelope.kind != Kind::Outcome || ended != Some(Ended::Done) || said["eventName"] != "RunChecks" {
            return Err(wrong(&"the record is not the end of a run of checks"));
        }
        if said["detail"]["claims"] != Value::String(list.clone()) {
            return Err(wrong(&"the findings were made for another list of claims than the file has"));
        }
        let at_ms = i64::try_from(envelope.time_ms).unwrap_or(i64::MAX);
        for (check, finding) in said["detail"]["findings"].as_object().into_iter().flatten() {
            let answer = finding["answer"].as_str().and_then(Answer::from_word);
            let answer = answer.ok_or_else(|| wrong(&format!("{check} has no answer")))?;
            let is_newer =
                newest.get(check).is_none_or(|(f, record, _)| (f.at_ms, *record) < (at_ms, entry.index));
            if is_newer {
                newest.insert(
                    check.clone(),
                    (Found { answer, at_ms }, entry.index, finding["numbers"].clone()),
                );
            }
        }
        log = checkpoint.origin;
    }
    let its = file.its_claim().map_err(unreadable)?;
    let standing = claim::stand(its, |check| newest.get(check).map(|f| f.0), now_ms);
    let seen = |check: &String| {
        let found = newest.get(check);
        Seen {
            check: check.clone(),
            answer: found.map_or("none", |f| f.0.answer.word()),
            at_ms: found.map(|f| f.0.at_ms),
            record: found.map(|f| f.1),
            numbers: found.map_or(Value::Null, |f| f.2.clone()),
        }
    };
    Ok(Judged {
        claim: its.id.clone(),
        en: its.en.clone(),
        zh: its.zh.clone(),
        standing: standing.word(),
        since_ms: match standing {
            Standing::Proven { since_ms } => Some(since_ms),
            _ => None,
        },
        log,
        checks: its.checks.iter().map(seen).collect(),
    })
}

#[cfg(test)]
mod tests {
    use bailee_proof::claim::Claim;
    use bailee_proof::note::Signer;
    use bailee_proof::offline::OfflineProof;
    use bailee_proof::tree::Frontier;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn signer() -> Signer {
        Signer::from_seed("trust.example/trail/abc", &[9; 32]).unwrap()
    }

    fn claims() -> Vec<Claim> {
        let claim = |id: &str, checks: &[&str]| Claim {
            id: id.into(),
            max_age_secs: 3600,
            checks: checks.iter().map(|&c| c.to_owned()).collect(),
            en: "It lies in its region".into(),
            zh: "在其地域".into(),
        };
        vec![claim("data-location", &["RES-01"]), claim("weak", &[])]
    }

    fn digest() -> String {
        claim::digest(&claim::list(&claims()).unwrap()).to_string()
    }

    /// The outcome of a run, alone in a log.
    fn proof(findings: &Value, claims: &str, result: &str) -> OfflineProof {
        let said = json!({ "record": "outcome", "index": 0, "timeMs": NOW - 1000, "tenant": "1000000000000001", "intent": 0,
            "eventName": "RunChecks", "result": result, "detail": { "claims": claims, "findings": findings } });
        let bytes = serde_json::to_vec(&said).unwrap();
        let nonce = [3; NONCE_BYTES];
        let envelope = event::scan(&bytes).unwrap().envelope().unwrap();
        let entry = Entry {
            kind: envelope.kind,
            index: 0,
            time_ms: envelope.time_ms,
            commitment: commitment(&nonce, &bytes),
        };
        let mut tree = Frontier::new();
        tree.append(entry.leaf_hash()).unwrap();
        let checkpoint = Checkpoint { origin: "trust.example/trail/abc".into(), size: 1, root: tree.root() };
        OfflineProof {
            extra: Some([&nonce[..], &bytes].concat()),
            index: 0,
            siblings: Vec::new(),
            checkpoint: checkpoint.sign(&signer()).unwrap(),
        }
    }

    fn judged(claim: &str, proofs: Vec<OfflineProof>) -> Result<&'static str, Problem> {
        let file = ClaimFile { claim: claim.into(), at_ms: NOW, claims: claims(), proofs };
        super::claim(file.print().unwrap().as_bytes(), signer().verifier(), NOW).map(|j| j.standing)
    }

    #[test]
    fn a_claim_stands_by_the_findings_of_the_log_and_nothing_else() {
        let found =
            |answer: &str| json!({ "RES-01": { "answer": answer, "numbers": { "objects": 3 }, "why": "" } });
        let run = |answer: &str| proof(&found(answer), &digest(), "done");
        assert_eq!(judged("data-location", vec![run("pass")]).unwrap(), "proven");
        assert_eq!(judged("data-location", vec![run("fail")]).unwrap(), "failing");
        assert_eq!(judged("data-location", vec![run("unknown")]).unwrap(), "unproven");
        assert_eq!(judged("data-location", Vec::new()).unwrap(), "unproven");
        assert_eq!(judged("weak", Vec::new()).unwrap(), "stated");
        let broken = |proof: OfflineProof| {
            matches!(judged("data-location", vec![proof]), Err(Problem::Violation { .. }))
        };
        assert!(broken(proof(&found("pass"), &"0".repeat(64), "done")), "another list of claims");
        assert!(broken(proof(&found("pass"), &digest(), "failed")), "a run that failed");
        // A finding that was changed, a checkpoint of another log.
        let mut changed = run("fail");
        let text =
            String::from_utf8_lossy(&changed.extra.clone().unwrap()[32..]).replace("\"fail\"", "\"pass\"");
        changed.extra = Some([&[3; NONCE_BYTES][..], text.as_bytes()].concat());
        assert!(broken(changed));
        let other = Signer::from_seed("trust.example/trail/abc", &[8; 32]).unwrap();
        let file = ClaimFile {
            claim: "data-location".into(),
            at_ms: NOW,
            claims: claims(),
            proofs: vec![run("pass")],
        };
        let bytes = file.print().unwrap();
        assert!(super::claim(bytes.as_bytes(), other.verifier(), NOW).is_err());
        // Findings grow old by the checker's clock.
        let late = super::claim(bytes.as_bytes(), signer().verifier(), NOW + 3_600_001).unwrap();
        assert_eq!(late.standing, "unproven");
    }
}
