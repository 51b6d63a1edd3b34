//! `bailee check …` and `bailee claim …`: what the running system answers, and what the provider claims by it.

use std::path::PathBuf;
use std::process::ExitCode;

use bailee_rooms::assurance::{Finding, Judged, RunChecks};
use clap::Subcommand;
use serde_json::{Value, json};

use super::on_runtime;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// Checks of the running system.
#[derive(Subcommand)]
pub(crate) enum Check {
    /// All checks, with what each found last.
    List,
    /// Ask checks now; each run stands in the provider's log. Ends with 3 when one fails.
    Run {
        /// Which, such as ENC-01; without, all.
        checks: Vec<String>,
    },
    /// What one check asks, and what it found of late.
    Show {
        /// Its name, such as ENC-01.
        check: String,
    },
}

/// Claims of the provider, and what carries them.
#[derive(Subcommand)]
pub(crate) enum Claim {
    /// All claims, and how they stand.
    List,
    /// Write the file that shows a claim's standing offline: `bailee-verify claim` reads it.
    Proof {
        /// Its name, such as data-location.
        claim: String,
        /// Where to; without, it is printed.
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(crate) fn run(common: &Common, command: Check) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let as_json = common.output == Output::Json;
    on_runtime(async move {
        match command {
            Check::List => {
                let all = house.findings().await?;
                if as_json {
                    let one = |(c, f): &(&bailee_rooms::assurance::Check, Option<Finding>)| json!({ "check": c.id, "question": { "en": c.en, "zh": c.zh }, "finding": f.as_ref().map(told) });
                    println!("{}", Value::Array(all.iter().map(one).collect()));
                } else {
                    let row = |(c, f): &(&bailee_rooms::assurance::Check, Option<Finding>)| match f {
                        Some(f) => vec![c.id.clone(), f.answer.word().into(), f.at.iso(), c.en.clone()],
                        None => vec![c.id.clone(), "-".into(), "never".into(), c.en.clone()],
                    };
                    let rows: Vec<_> = all.iter().map(row).collect();
                    println!("{}", table(&["CHECK", "ANSWER", "ASKED", "QUESTION"], &rows));
                }
            }
            Check::Run { checks } => {
                let run = RunChecks { only: checks };
                let ran = house.perform(house.system_caller("bailee check run"), run).await?;
                print(as_json, &ran.findings);
                if ran.findings.iter().any(|f| f.answer.word() == "fail") {
                    return Ok(ExitCode::from(3));
                }
            }
            Check::Show { check } => {
                let (check, found) = house.findings_of(&check).await?;
                if !as_json {
                    println!(
                        "{}: {}\n{}\nasked every {} s\n",
                        check.id,
                        check.en,
                        check.zh,
                        check.every_secs()
                    );
                }
                print(as_json, &found);
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn claims(common: &Common, command: Claim) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let as_json = common.output == Output::Json;
    on_runtime(async move {
        match command {
            Claim::List => {
                let all = house.claims().await?;
                if as_json {
                    let one = |j: &Judged| {
                        json!({
                            "claim": j.claim.id, "en": j.claim.en, "zh": j.claim.zh, "standing": j.standing.word(),
                            "checks": j.claim.checks, "maxAgeSeconds": j.claim.max_age_secs,
                        })
                    };
                    println!("{}", Value::Array(all.iter().map(one).collect()));
                } else {
                    let row = |j: &Judged| {
                        vec![
                            j.claim.id.clone(),
                            j.standing.word().into(),
                            j.claim.checks.join(" "),
                            j.claim.en.clone(),
                        ]
                    };
                    let rows: Vec<_> = all.iter().map(row).collect();
                    println!("{}", table(&["CLAIM", "STANDING", "CHECKS", "SENTENCE"], &rows));
                }
            }
            Claim::Proof { claim, out } => {
                let text = house.claim_file(&claim).await?;
                match out {
                    Some(path) => std::fs::write(&path, text)
                        .map_err(|e| Stop::unable(format!("{}: {e}", path.display())))?,
                    None => print!("{text}"),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn told(f: &Finding) -> Value {
    json!({
        "check": f.check, "answer": f.answer.word(), "at": f.at.iso(), "numbers": f.numbers, "why": f.why,
        "record": f.record,
    })
}

fn print(as_json: bool, found: &[Finding]) {
    if as_json {
        println!("{}", Value::Array(found.iter().map(told).collect()));
        return;
    }
    if found.is_empty() {
        println!("Not asked yet: bailee check run");
        return;
    }
    let numbers =
        |f: &Finding| f.numbers.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ");
    let row =
        |f: &Finding| vec![f.check.clone(), f.answer.word().into(), f.at.iso(), numbers(f), f.why.clone()];
    let rows: Vec<_> = found.iter().map(row).collect();
    println!("{}", table(&["CHECK", "ANSWER", "ASKED", "NUMBERS", "WHY"], &rows));
}
