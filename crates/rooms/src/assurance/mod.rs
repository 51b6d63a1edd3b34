//! Assurance: what the provider claims is carried by checks over the running system, and each run of them is in its log.
//!
//! A run answers pass, fail, unknown or not applicable, with numbers, for each check; the outcome of the act holds them with the head
//! of the provider's log at which they were true and the digest of all claims. Nobody can take a finding back: a newer one
//! stands beside it. A claim is judged by `bailee_proof::claim::stand` alone, here and by `bailee-verify claim`.
//! INVARIANT: what could not be looked at is `unknown`, whatever kept it from being looked at.

mod checks;
mod rows;

use std::sync::Arc;
use std::time::Duration;

pub use bailee_assurance::{Catalogue, Check};
use bailee_proof::claim::{self, Answer, Claim, ClaimFile, Found, Standing};
use bailee_types::{Arn, TenantId, Timestamp};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

/// How often it is looked what is due.
const ROUND: Duration = Duration::from_secs(30);
/// A new house is asked for the first time so long after its start.
const FIRST_MS: i64 = 120_000;
/// A run that died is done again after so long.
const AGAIN_MS: i64 = 10 * 60_000;
/// How long findings are at hand.
const KEEP_MS: i64 = 400 * 86_400_000;
/// Findings of one check that a list shows.
pub const HISTORY_MAX: u32 = 100;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: String,
    /// When.
    pub at: Timestamp,
    /// What it answered.
    pub answer: Answer,
    /// Numbers by their names.
    pub numbers: Map<String, Value>,
    /// Why it is not a pass; empty when it is.
    pub why: String,
    /// The run's intent in the provider's log.
    pub record: u64,
}

/// A claim, and how it stands.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The claim.
    pub claim: &'static Claim,
    /// How it stands.
    pub standing: Standing,
    /// Its checks with their newest findings.
    pub checks: Vec<(&'static Check, Option<Finding>)>,
}

/// Asks checks now.
#[derive(Clone, Debug)]
pub struct RunChecks {
    /// Which; none means all.
    pub only: Vec<String>,
}

/// What a run found, and where the log stood.
#[derive(Clone, Debug)]
pub struct Ran {
    /// One for each check, in the catalogue's order.
    pub findings: Vec<Finding>,
    size: u64,
    root: String,
}

impl Operation for RunChecks {
    type Output = Ran;

    fn asks(&self) -> Asked {
        let provider = TenantId::provider();
        Asked {
            resource: Arn::own(&provider, "checks"),
            tenant: provider,
            action: "bailee:RunChecks",
            resource_type: "ACS::Bailee::Check",
            class: Class::Management { write: false },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "checks": self.only })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Ran, Failure> {
        let all = &Catalogue::built_in().checks;
        if let Some(name) = self.only.iter().find(|id| !all.iter().any(|c| c.id == **id)) {
            return Err(Failure::not_found(Thing::Check, name));
        }
        let record = intent.record().ok_or_else(|| Failure::Bug("a run of checks has a record".into()))?;
        let head = house.provider_head().await?;
        let mut ran = Ran { findings: Vec::new(), size: head.size, root: hex::encode(head.root) };
        for check in all.iter().filter(|c| self.only.is_empty() || self.only.contains(&c.id)) {
            let seen = checks::look(house, check, &head).await;
            let checks::Seen { answer, numbers, why } = seen;
            ran.findings.push(Finding {
                check: check.id.clone(),
                at: house.now(),
                answer,
                numbers,
                why,
                record,
            });
        }
        let (kept, from) = (ran.findings.clone(), house.now().plus_ms(-KEEP_MS));
        house
            .db
            .write(move |tx| kept.iter().try_for_each(|f| rows::insert(tx, f, from)).map_err(Failure::from))
            .await?;
        Ok(ran)
    }

    fn outcome_detail(ran: &Ran) -> Map<String, Value> {
        let one = |f: &Finding| {
            let said = json!({ "answer": f.answer.word(), "numbers": f.numbers, "why": f.why });
            (f.check.clone(), said)
        };
        parameters(json!({
            "size": ran.size,
            "root": ran.root,
            "claims": hex::encode(claims_digest()),
            "findings": ran.findings.iter().map(one).collect::<Map<_, _>>(),
        }))
    }
}

fn claims_digest() -> [u8; 32] {
    // A test of the catalogue holds that its claims can be written.
    claim::digest(&claim::list(&Catalogue::built_in().claims).unwrap_or_default()).0
}

impl House {
    /// The newest finding of each check, in the catalogue's order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn findings(&self) -> Result<Vec<(&'static Check, Option<Finding>)>, Failure> {
        self.db
            .read(|tx| {
                let newest = |c: &'static Check| Ok((c, rows::of_check(tx, &c.id, 1)?.pop()));
                Catalogue::built_in().checks.iter().map(newest).collect()
            })
            .await
    }

    /// The newest findings of a check, newest first.
    ///
    /// # Errors
    /// When there is no such check, or the database cannot be read.
    pub async fn findings_of(&self, check: &str) -> Result<(&'static Check, Vec<Finding>), Failure> {
        let found = Catalogue::built_in().check(check);
        let check = found.ok_or_else(|| Failure::not_found(Thing::Check, check))?;
        let id = check.id.clone();
        let all = self.db.read(move |tx| rows::of_check(tx, &id, HISTORY_MAX).map_err(Failure::from)).await?;
        Ok((check, all))
    }

    /// All claims, and how they stand.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn claims(&self) -> Result<Vec<Judged>, Failure> {
        let (found, now) = (self.findings().await?, self.now());
        Ok(Catalogue::built_in().claims.iter().map(|c| judged(c, &found, now)).collect())
    }

    /// One claim.
    ///
    /// # Errors
    /// When there is none of this name, or the database cannot be read.
    pub async fn claim(&self, id: &str) -> Result<Judged, Failure> {
        let claim = Catalogue::built_in().claim(id);
        let claim = claim.ok_or_else(|| Failure::not_found(Thing::Claim, id))?;
        Ok(judged(claim, &self.findings().await?, self.now()))
    }

    /// What shows the standing of a claim offline: the records of its newest findings with their places in the log.
    ///
    /// # Errors
    /// When there is no such claim, or a record cannot be read.
    pub async fn claim_file(self: &Arc<Self>, id: &str) -> Result<String, Failure> {
        let judged = self.claim(id).await?;
        let (provider, mut intents) = (TenantId::provider(), Vec::new());
        intents.extend(judged.checks.iter().filter_map(|(_, f)| Some(f.as_ref()?.record)));
        intents.sort_unstable();
        intents.dedup();
        let mut proofs = Vec::new();
        for intent in intents {
            // A run that died has none: its findings are not in the log.
            if let Some(outcome) = self.outcome_of(&provider, intent).await? {
                proofs.push(self.record_proof(&provider, outcome).await?);
            }
        }
        let file = ClaimFile {
            claim: id.to_owned(),
            at_ms: self.now().ms(),
            claims: Catalogue::built_in().claims.clone(),
            proofs,
        };
        file.print().map_err(|e| Failure::Bug(e.to_string()))
    }

    /// Makes what was never asked due, and asks what is due. Answers how many were asked.
    pub(crate) async fn run_due_checks(self: &Arc<Self>) -> Result<usize, Failure> {
        let now = self.now();
        let mut asked: Vec<&'static Check> = Vec::new();
        let taken = self
            .db
            .write(move |tx| {
                let mut taken = Vec::new();
                for check in &Catalogue::built_in().checks {
                    rows::begin(tx, &check.id, now.plus_ms(FIRST_MS))?;
                }
                for (id, was) in rows::due(tx, now)? {
                    let Some(check) = Catalogue::built_in().check(&id) else { continue };
                    let next = now.plus_ms(AGAIN_MS.min(every_ms(check)));
                    if rows::take(tx, &id, was, next)? {
                        taken.push((check, next));
                    }
                }
                Ok::<_, Failure>(taken)
            })
            .await?;
        if taken.is_empty() {
            return Ok(0);
        }
        asked.extend(taken.iter().map(|t| t.0));
        let only = asked.iter().map(|c| c.id.clone()).collect();
        self.perform(self.system_caller("assurance"), RunChecks { only }).await?;
        self.db
            .write(move |tx| {
                for (check, next) in taken {
                    rows::take(tx, &check.id, next.ms(), now.plus_ms(every_ms(check)))?;
                }
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(asked.len())
    }
}

fn every_ms(check: &Check) -> i64 {
    i64::try_from(check.every_secs()).unwrap_or(i64::MAX / 1000).saturating_mul(1000)
}

fn judged(claim: &'static Claim, found: &[(&'static Check, Option<Finding>)], now: Timestamp) -> Judged {
    let of = |id: &str| found.iter().find(|(c, _)| c.id == id);
    let look = |id: &str| {
        let f = of(id)?.1.as_ref()?;
        Some(Found { answer: f.answer, at_ms: f.at.ms() })
    };
    let standing = claim::stand(claim, look, now.ms());
    Judged { claim, standing, checks: claim.checks.iter().filter_map(|id| of(id).cloned()).collect() }
}

/// Asks what is due until `stop`.
pub(crate) async fn keep(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(e) = house.run_due_checks().await {
            tracing::warn!("checks could not be run: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}
