//! `bailee vault …`: stored objects.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_rooms::House;
use bailee_rooms::vault::{
    Applied, ApplyLifecycle, Damage, Due, ExplainLifecycle, Repair, Repaired, Scrub, Scrubbed,
};
use bailee_types::{BucketName, ChangeId};
use clap::Subcommand;
use serde_json::json;

use super::acts::time;
use super::on_runtime;
use super::trail::log_owner;
use crate::config::{Common, Output};
use crate::output::{Stop, table};

/// How often progress is said.
const WORD: Duration = Duration::from_secs(1);

/// Stored objects.
#[derive(Subcommand)]
pub(crate) enum Vault {
    /// Read every stored byte and look for damage: missing, cut or changed blobs and rows. Opens nothing and uses no key; it
    /// repairs nothing (`bailee vault repair` does). Exit code 3 when anything is damaged. May run while the house serves.
    Scrub {
        /// Only this tenant's objects: its alias or id.
        #[arg(long)]
        tenant: Option<String>,
        /// Only this bucket's.
        #[arg(long)]
        bucket: Option<String>,
        /// The provider's change that this is part of, e.g. CHG-1234: the tenant's log names it.
        #[arg(long, value_name = "ID", value_parser = ChangeId::parse)]
        change: Option<ChangeId>,
    },
    /// Bring a bucket's damaged or missing blobs back from a second copy of them: a folder of blobs of another store or of a backup.
    /// Only bytes whose length, header and checksum are those that were kept are copied; no key is used. Needs a change that was
    /// announced to the tenant for this (desk, Handling). Exit code 3 when anything stays damaged. May run while the house serves.
    Repair {
        /// Whose: the tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The bucket.
        #[arg(long)]
        bucket: String,
        /// The provider's change that announced it, e.g. CHG-1234.
        #[arg(long, value_name = "ID", value_parser = ChangeId::parse)]
        change: ChangeId,
        /// The folder that has the blobs, in `00` to `ff`.
        #[arg(long, value_name = "FOLDER")]
        from: PathBuf,
        /// Change nothing: say what is damaged, and whether the source has it.
        #[arg(long)]
        dry_run: bool,
    },
    /// End what a bucket's lifecycle rules say is due, now; with --explain, say what would go and end nothing. The house does
    /// so by itself every five minutes.
    Lifecycle {
        /// The tenant's alias or id.
        #[arg(long)]
        tenant: String,
        /// The bucket.
        #[arg(long)]
        bucket: String,
        /// End nothing: list what is due and by which rule.
        #[arg(long)]
        explain: bool,
        /// With --explain: what will be due at this time, e.g. 2027-01-01.
        #[arg(long, value_name = "TIME", requires = "explain")]
        at: Option<String>,
        /// With --explain: at most so many.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        limit: u32,
    },
}

pub(crate) fn run(common: &Common, command: Vault) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    on_runtime(async {
        match command {
            Vault::Scrub { tenant, bucket, change } => scrub(common, &house, (tenant, bucket), change).await,
            Vault::Repair { tenant, bucket, change, from, dry_run } => {
                let (tenant, bucket) = (log_owner(&house, &tenant).await?, named(&bucket)?);
                let repair = Repair { tenant, bucket, from, dry_run, progress: Box::new(mending()) };
                let done = house.repair(house.system_caller("bailee vault repair"), &change, repair).await?;
                say_repaired(common, &done, dry_run);
                Ok(if done.repaired < done.damaged { ExitCode::from(3) } else { ExitCode::SUCCESS })
            }
            Vault::Lifecycle { tenant, bucket, explain, at, limit } => {
                let (tenant, bucket) = (log_owner(&house, &tenant).await?, named(&bucket)?);
                if !explain {
                    let act = ApplyLifecycle { tenant, bucket };
                    let done = house.perform(house.system_caller("bailee vault lifecycle"), act).await?;
                    say_applied(common, &done);
                    return Ok(ExitCode::SUCCESS);
                }
                let at = at.as_deref().map(time).transpose()?.unwrap_or_else(|| house.now());
                let ask = ExplainLifecycle { tenant, bucket, at, due_max: limit as usize };
                let due = house.perform(house.system_caller("bailee vault lifecycle"), ask).await?;
                say_due(common, &due, limit);
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

fn named(bucket: &str) -> Result<BucketName, Stop> {
    BucketName::parse(bucket).map_err(|e| Stop::unable(format!("--bucket: {e}")))
}

async fn scrub(
    common: &Common,
    house: &Arc<House>,
    (tenant, bucket): (Option<String>, Option<String>),
    change: Option<ChangeId>,
) -> Result<ExitCode, Stop> {
    let tenant = match tenant {
        Some(tenant) => Some(log_owner(house, &tenant).await?),
        None => None,
    };
    let bucket = bucket.as_deref().map(named).transpose()?;
    let scrub = Scrub { tenant, bucket, progress: Box::new(progress()) };
    let done = house.perform(house.system_caller("bailee vault scrub").under_change(change), scrub).await?;
    say(common, &done);
    Ok(if done.damaged_in_all > 0 { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn say_applied(common: &Common, done: &Applied) {
    if common.output == Output::Json {
        let counts: serde_json::Map<_, _> =
            done.counts.iter().map(|(ends, n)| (ends.word().to_owned(), json!(n))).collect();
        println!(
            "{}",
            json!({ "ended": counts, "byRule": done.by_rule, "bytes": done.bytes, "more": done.more })
        );
        return;
    }
    if done.counts.is_empty() {
        println!("nothing is due");
        return;
    }
    for (ends, n) in &done.counts {
        println!("{n:>8}  {}", ends.word());
    }
    for (rule, n) in &done.by_rule {
        println!("{n:>8}  by rule `{rule}`");
    }
    if done.more {
        println!("more is due: run it again, or leave it to the house");
    }
}

fn say_due(common: &Common, due: &[Due], limit: u32) {
    if common.output == Output::Json {
        let list: Vec<_> = due
            .iter()
            .map(|d| {
                json!({
                    "key": d.key.as_str(), "ends": d.ends.word(), "id": d.id, "size": d.size, "rule": d.rule,
                    "since": d.since.iso(),
                })
            })
            .collect();
        println!("{}", json!(list));
        return;
    }
    if due.is_empty() {
        println!("nothing is due");
        return;
    }
    let rows: Vec<Vec<String>> = due
        .iter()
        .map(|d| {
            vec![
                d.ends.word().into(),
                d.key.to_string(),
                d.id.clone(),
                d.size.to_string(),
                d.rule.clone(),
                d.since.iso(),
            ]
        })
        .collect();
    println!("{}", table(&["WHAT", "KEY", "ID", "BYTES", "RULE", "SINCE"], &rows));
    if due.len() >= limit as usize {
        println!("there may be more: --limit");
    }
}

/// A line on a terminal that is written over; nothing where nobody looks.
fn progress() -> impl FnMut(&Scrubbed) + Send {
    let (start, mut line) = (Instant::now(), line());
    move |done: &Scrubbed| {
        let percent = (done.bytes * 100).checked_div(done.bytes_in_all).unwrap_or(100).min(100);
        let rate = done.bytes as f64 / 1e6 / start.elapsed().as_secs_f64().max(0.001);
        let said = || {
            format!(
                "{percent:>3} %  {} of {} objects, {rate:.0} MB/s, {} damaged",
                done.objects, done.objects_in_all, done.damaged_in_all
            )
        };
        line(done.objects == done.objects_in_all, &said);
    }
}

fn mending() -> impl FnMut(&Repaired) + Send {
    let mut line = line();
    move |done: &Repaired| {
        let said = || {
            format!(
                "{} of {} objects, {} damaged, {} mended",
                done.objects, done.objects_in_all, done.damaged, done.repaired
            )
        };
        line(done.objects == done.objects_in_all, &said);
    }
}

fn line() -> impl FnMut(bool, &dyn Fn() -> String) + Send {
    let shows = std::io::stderr().is_terminal();
    let mut last: Option<Instant> = None;
    move |over, said| {
        if !shows || (!over && last.is_some_and(|at| at.elapsed() < WORD)) {
            return;
        }
        last = Some(Instant::now());
        let mut out = std::io::stderr();
        // Nobody is told when the terminal is gone.
        let _ = write!(out, "\r{} \x1b[K", said());
        if over {
            let _ = writeln!(out);
        }
        let _ = out.flush();
    }
}

fn say_repaired(common: &Common, done: &Repaired, dry_run: bool) {
    if common.output == Output::Json {
        println!(
            "{}",
            json!({
                "objects": done.objects, "damaged": done.damaged, "repaired": done.repaired, "bytes": done.bytes,
                "dryRun": dry_run, "left": done.left.iter().map(damage).collect::<Vec<_>>(),
            })
        );
        return;
    }
    say_damage(&done.left);
    let could = if dry_run { "can be mended" } else { "mended" };
    println!("{} objects looked at; {} damaged, {} {could}", done.objects, done.damaged, done.repaired);
}

fn damage(d: &Damage) -> serde_json::Value {
    json!({
        "tenant": d.tenant.as_str(), "bucket": d.bucket.as_str(), "key": d.key.as_str(), "version": d.version.as_str(),
        "what": d.what,
    })
}

fn say_damage(damaged: &[Damage]) {
    if damaged.is_empty() {
        return;
    }
    let row = |d: &Damage| {
        vec![d.tenant.to_string(), format!("{}/{}", d.bucket, d.key), d.version.to_string(), d.what.clone()]
    };
    println!(
        "{}",
        table(&["TENANT", "OBJECT", "VERSION", "WHAT"], &damaged.iter().map(row).collect::<Vec<_>>())
    );
}

fn say(common: &Common, done: &Scrubbed) {
    if common.output == Output::Json {
        let damaged: Vec<_> = done.damaged.iter().map(damage).collect();
        println!(
            "{}",
            json!({
                "objects": done.objects, "bytes": done.bytes, "withoutChecksum": done.without_checksum,
                "damagedInAll": done.damaged_in_all, "damaged": damaged,
            })
        );
        return;
    }
    say_damage(&done.damaged);
    let more = done.damaged_in_all - done.damaged.len() as u64;
    if more > 0 {
        println!("and {more} more");
    }
    println!("{} objects, {} bytes looked at; {} damaged", done.objects, done.bytes, done.damaged_in_all);
    if done.without_checksum > 0 {
        println!(
            "{} of them are from before checksums were kept: only their length and place were looked at",
            done.without_checksum
        );
    }
}
