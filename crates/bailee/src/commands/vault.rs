//! `bailee vault …`: stored objects.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bailee_rooms::vault::{Scrub, Scrubbed};
use bailee_types::BucketName;
use clap::Subcommand;
use serde_json::json;

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
    /// repairs nothing. Exit code 3 when anything is damaged. May run while the house serves.
    Scrub {
        /// Only this tenant's objects: its alias or id.
        #[arg(long)]
        tenant: Option<String>,
        /// Only this bucket's.
        #[arg(long)]
        bucket: Option<String>,
    },
}

pub(crate) fn run(common: &Common, command: Vault) -> Result<ExitCode, Stop> {
    let house = common.open()?;
    let Vault::Scrub { tenant, bucket } = command;
    on_runtime(async {
        let tenant = match tenant {
            Some(tenant) => Some(log_owner(&house, &tenant).await?),
            None => None,
        };
        let bucket = bucket
            .map(|name| BucketName::parse(&name))
            .transpose()
            .map_err(|e| Stop::unable(format!("--bucket: {e}")))?;
        let scrub = Scrub { tenant, bucket, progress: Box::new(progress()) };
        let done = house.perform(house.system_caller("bailee vault scrub"), scrub).await?;
        say(common, &done);
        Ok(if done.damaged_in_all > 0 { ExitCode::from(3) } else { ExitCode::SUCCESS })
    })
}

/// A line on a terminal that is written over; nothing where nobody looks.
fn progress() -> impl FnMut(&Scrubbed) + Send {
    let (start, shows) = (Instant::now(), std::io::stderr().is_terminal());
    let mut last: Option<Instant> = None;
    move |done: &Scrubbed| {
        let over = done.objects == done.objects_in_all;
        if !shows || (!over && last.is_some_and(|at| at.elapsed() < WORD)) {
            return;
        }
        last = Some(Instant::now());
        let percent = (done.bytes * 100).checked_div(done.bytes_in_all).unwrap_or(100).min(100);
        let rate = done.bytes as f64 / 1e6 / start.elapsed().as_secs_f64().max(0.001);
        let mut out = std::io::stderr();
        // Nobody is told when the terminal is gone.
        let _ = write!(
            out,
            "\r{percent:>3} %  {} of {} objects, {rate:.0} MB/s, {} damaged \x1b[K",
            done.objects, done.objects_in_all, done.damaged_in_all
        );
        if over {
            let _ = writeln!(out);
        }
        let _ = out.flush();
    }
}

fn say(common: &Common, done: &Scrubbed) {
    if common.output == Output::Json {
        let damaged: Vec<_> = done
            .damaged
            .iter()
            .map(|d| {
                json!({
                    "tenant": d.tenant.as_str(), "bucket": d.bucket.as_str(), "key": d.key.as_str(),
                    "version": d.version.as_str(), "what": d.what,
                })
            })
            .collect();
        println!(
            "{}",
            json!({
                "objects": done.objects, "bytes": done.bytes, "withoutChecksum": done.without_checksum,
                "damagedInAll": done.damaged_in_all, "damaged": damaged,
            })
        );
        return;
    }
    if !done.damaged.is_empty() {
        let rows: Vec<Vec<String>> = done
            .damaged
            .iter()
            .map(|d| {
                vec![
                    d.tenant.to_string(),
                    format!("{}/{}", d.bucket, d.key),
                    d.version.to_string(),
                    d.what.clone(),
                ]
            })
            .collect();
        println!("{}", table(&["TENANT", "OBJECT", "VERSION", "WHAT"], &rows));
    }
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
