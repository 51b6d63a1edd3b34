//! What each check looks at. One that no arm names is `unknown`, and says so.

use std::sync::Arc;

use bailee_assurance::Check;
use bailee_crypto::root::RootKey;
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::claim::{Answer, Standing};
use bailee_proof::hash::{Hash, from_hex};
use bailee_proof::note::VerifierKey;
use bailee_types::TenantId;
use serde_json::{Map, Value, json};

use super::rows;
use crate::trail::Head;
use crate::{Failure, House};

/// Versions that are looked at without reading their bytes.
const SAMPLE: u64 = 300;
/// Versions whose bytes are read.
const READ: u64 = 20;
/// An intent this old has ended, or is told as unknown.
const OPEN_MS: i64 = 15 * 60_000;
/// The longest time of a grant.
const GRANT_MINUTES_MAX: i64 = 24 * 60;
/// A transfer that ends this soon is to be renewed.
const ENDING_DAYS: i64 = 60;
/// A collector that was silent so long is not at work.
const SILENT_MS: i64 = 3_600_000;

/// What a check saw.
pub(super) struct Seen {
    pub(super) answer: Answer,
    pub(super) numbers: Map<String, Value>,
    pub(super) why: String,
}

impl Seen {
    /// A pass when `bad` is nothing.
    fn none_of(bad: u64, numbers: &Value, why: &str) -> Self {
        let answer = if bad == 0 { Answer::Pass } else { Answer::Fail };
        Self::said(answer, numbers, if bad == 0 { "" } else { why })
    }

    fn said(answer: Answer, numbers: &Value, why: &str) -> Self {
        Self { answer, numbers: numbers.as_object().cloned().unwrap_or_default(), why: why.into() }
    }

    /// There is nothing to look at when `all` is nothing.
    fn unless_empty(self, all: u64, why: &str) -> Self {
        if all > 0 { self } else { Self { answer: Answer::NotApplicable, why: why.into(), ..self } }
    }
}

/// Asks one check.
pub(super) async fn look(house: &Arc<House>, check: &Check, head: &Head) -> Seen {
    match ask(house, &check.id, head).await {
        Ok(Some(seen)) => seen,
        Ok(None) => {
            Seen::said(Answer::Unknown, &json!({}), "this version of the program does not look at it yet")
        }
        // The reason may name what only the provider should see; its log of the process has it.
        Err(e) => {
            tracing::warn!(check = check.id, "a check could not look: {e}");
            Seen::said(Answer::Unknown, &json!({}), "it could not be looked at")
        }
    }
}

async fn ask(house: &Arc<House>, id: &str, head: &Head) -> Result<Option<Seen>, Failure> {
    Ok(Some(match id {
        "ENC-01" => {
            let s = house.sample(SAMPLE, false).await?;
            let numbers = json!({ "objects": s.versions, "sample": s.sample, "unsealed": s.unsealed });
            Seen::none_of(s.unsealed, &numbers, "stored versions without an envelope")
                .unless_empty(s.sample, "nothing is stored")
        }
        "ENC-02" => {
            let s = house.sample(READ, true).await?;
            let numbers = json!({ "objects": s.versions, "sample": s.sample, "damaged": s.damaged });
            Seen::none_of(s.damaged, &numbers, "sealed bytes are not those that were written")
                .unless_empty(s.sample, "nothing is stored")
        }
        "KEY-01" => {
            let (all, late) = house.late_rotations().await?;
            Seen::none_of(late, &json!({ "keys": all, "overdue": late }), "keys were not rotated in time")
                .unless_empty(all, "no key rotates by itself")
        }
        // Read anew: the file's mode may have been changed since the house was opened.
        "KEY-03" => match RootKey::protection(&house.root_key_path) {
            Ok(kind) => Seen::none_of(0, &json!({ "kind": kind.to_string() }), ""),
            Err(_) => Seen::said(
                Answer::Fail,
                &json!({}),
                "the root key's file is missing, open to others, or none",
            ),
        },
        "IAM-01" => {
            let (all, without) = house.operators_without_factor().await?;
            let numbers = json!({ "operators": all, "withoutFactor": without });
            Seen::none_of(without, &numbers, "operators without a second factor")
                .unless_empty(all, "there are no operators")
        }
        "CON-01" => {
            let reads = house.content_reads().await?;
            let numbers = json!({ "accesses": reads.all, "withoutGrant": reads.without_grant });
            Seen::none_of(reads.without_grant, &numbers, "operators' accesses to content without a grant")
        }
        "CON-03" => {
            let (all, weak, longest) = house.approved_times(GRANT_MINUTES_MAX).await?;
            let numbers = json!({ "grants": all, "weak": weak, "longestMinutes": longest });
            Seen::none_of(weak, &numbers, "grants for longer than a day")
                .unless_empty(all, "nothing was granted")
        }
        "CON-04" => {
            let (all, one) = house.takedowns_by_one().await?;
            let numbers = json!({ "acts": all, "byOnePerson": one });
            Seen::none_of(one, &numbers, "takedowns that one person decided")
                .unless_empty(all, "nothing was taken down")
        }
        "RES-01" => {
            let s = house.sample(SAMPLE, false).await?;
            let numbers = json!({ "objects": s.versions, "sample": s.sample, "elsewhere": s.elsewhere });
            Seen::none_of(s.elsewhere, &numbers, "content in another region than its bucket")
                .unless_empty(s.sample, "nothing is stored")
        }
        "RES-02" => {
            let (all, bad) = house.moves_out_of_time().await?;
            let numbers = json!({ "movements": all, "uncovered": bad });
            Seen::none_of(bad, &numbers, "movements outside the time of their transfer")
        }
        "RES-04" => {
            let (all, soon, historic) = house.transfers_ending(ENDING_DAYS).await?;
            let numbers = json!({ "transfers": all, "endingSoon": soon, "historicBasis": historic });
            Seen::none_of(
                soon + historic,
                &numbers,
                "transfers that end soon, or on a basis that is not used any more",
            )
            .unless_empty(all, "no transfer is registered")
        }
        "TRL-01" => grown(house, head).await?,
        "TRL-02" => {
            let open = house.open_intents(house.now().plus_ms(-OPEN_MS)).await?;
            Seen::none_of(open, &json!({ "openIntents": open }), "acts whose end nobody wrote down")
        }
        "TRL-03" => match house.witness_policy() {
            None => Seen::said(Answer::Unknown, &json!({ "witnesses": 0 }), "no witness is named"),
            Some(policy) => {
                let behind = house.is_behind_its_witnesses();
                let cosigned = head_is_cosigned(house, &policy).await?;
                let numbers =
                    json!({ "witnesses": policy.witnesses().len(), "quorum": cosigned, "behind": behind });
                Seen::none_of(u64::from(behind || !cosigned), &numbers, "the newest head is not cosigned")
            }
        },
        "TRL-05" => {
            let all: Vec<_> = house.collectors().await?.into_iter().filter(|c| c.active).collect();
            let oldest = house.now().plus_ms(-SILENT_MS);
            let silent = all.iter().filter(|c| c.seen_at.is_none_or(|at| at < oldest)).count() as u64;
            let numbers = json!({ "collectors": all.len(), "silent": silent });
            Seen::none_of(silent, &numbers, "collectors that hand nothing in")
                .unless_empty(all.len() as u64, "no collector is set up")
        }
        "PUB-01" => {
            let claims = house.claims().await?;
            let of = |word: &str| claims.iter().filter(|j| j.standing.word() == word).count() as u64;
            let numbers = json!({
                "claims": claims.len(), "proven": of("proven"), "failing": of("failing"),
                "unproven": of("unproven"), "stated": of("stated"),
            });
            let open =
                claims.iter().filter(|j| !matches!(j.standing, Standing::Proven { .. })).count() as u64;
            Seen::none_of(open, &numbers, "claims that are not proven; they are shown so")
        }
        _ => return Ok(None),
    }))
}

/// Whether the provider's log is signed, and begins with what it was when this was last asked.
async fn grown(house: &Arc<House>, head: &Head) -> Result<Seen, Failure> {
    let numbers = json!({ "size": head.size, "root": hex::encode(head.root) });
    let key = VerifierKey::parse(&head.vkey).map_err(|e| Failure::Damaged(e.to_string()))?;
    let signed = Checkpoint::open(head.note.as_bytes(), &key);
    if !signed.is_ok_and(|c| c.size == head.size && c.root == Hash(head.root)) {
        return Ok(Seen::said(Answer::Fail, &numbers, "the signature does not fit the head"));
    }
    let before = house.db.read(|tx| rows::of_check(tx, "TRL-01", 1).map_err(Failure::from)).await?.pop();
    let before = before.and_then(|f| {
        let root = f.numbers.get("root")?.as_str().and_then(from_hex)?;
        Some((f.numbers.get("size")?.as_u64()?, root))
    });
    let grew = match before {
        None => true,
        Some((size, _)) if size > head.size => false,
        Some(was) => house.log_begins_with(&TenantId::provider(), was, head).await?,
    };
    Ok(Seen::none_of(u64::from(!grew), &numbers, "the log does not begin with what it was"))
}

async fn head_is_cosigned(
    house: &Arc<House>,
    policy: &bailee_proof::policy::Policy,
) -> Result<bool, Failure> {
    let Some(head) = house.public_head().await? else { return Ok(false) };
    let now = u64::try_from(house.now().secs()).unwrap_or_default();
    Ok(policy.accept(head.note.as_bytes(), now).is_ok())
}
