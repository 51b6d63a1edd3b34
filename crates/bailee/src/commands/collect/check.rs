//! `bailee collect check`: what each line would become.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use bailee_collect::frame::{Framer, Position};
use bailee_collect::{Reading, Verdict, digest, event_id, read};
use bailee_types::{Clock, SystemClock};
use clap::Args;
use serde_json::json;

use crate::config::{Common, Output};
use crate::output::Stop;

/// Show what each line of a file would become; sends nothing.
#[derive(Args)]
pub(crate) struct Check {
    /// The mapping.
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// The log.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// Ends with 1 when there are lines of which nothing could be made.
pub(crate) fn run(common: &Common, c: &Check) -> Result<ExitCode, Stop> {
    let mapping = super::mapping(&c.map)?;
    let bytes = std::fs::read(&c.file).map_err(|e| Stop::unable(format!("{}: {e}", c.file.display())))?;
    let now = SystemClock::default().now();
    let mut framer = Framer::at(mapping.source, &Position::default());
    framer.push(&bytes);
    framer.push(b"\n");
    let mut counts = BTreeMap::<&str, u64>::new();
    while let Some(unit) = framer.next(true) {
        let (word, shown) = match unit.torn {
            Some(why) => ("unmapped", json!({ "reason": why })),
            None => match read(mapping.source, &unit.bytes, &mapping.manner, now) {
                Err(why) => ("unmapped", json!({ "reason": why.to_string() })),
                Ok(Reading::Preliminary(why)) => ("ignored", json!({ "rule": why })),
                Ok(Reading::Act(act)) => {
                    let id = event_id(mapping.source, &act.identity, &unit.start.to_string(), &unit.bytes);
                    let line = digest(&unit.bytes).iter().map(|b| format!("{b:02x}")).collect();
                    let mut shown = match mapping.decide(&act, id, line, now) {
                        Verdict::Event(event) => ("event", json!({ "event": event })),
                        Verdict::Ignored(rule) => ("ignored", json!({ "rule": rule })),
                        Verdict::Unmapped(why) => ("unmapped", json!({ "reason": why })),
                    };
                    // What rules can ask for, so that one can be written.
                    shown.1["read"] = json!({
                        "actor": act.actor, "action": act.action, "resource": act.resource,
                        "address": act.address, "outcome": act.outcome, "fields": act.fields,
                    });
                    shown
                }
            },
        };
        *counts.entry(word).or_default() += 1;
        if common.output == Output::Json {
            println!("{}", json!({ "offset": unit.start, "becomes": word, "as": shown }));
        } else {
            println!("{}", for_people(unit.start, word, &shown));
        }
    }
    let summary: Vec<_> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    eprintln!("{}", if summary.is_empty() { "nothing to read".to_owned() } else { summary.join(", ") });
    Ok(if counts.contains_key("unmapped") { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn for_people(offset: u64, word: &str, shown: &serde_json::Value) -> String {
    let text = |path: &str| shown.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default();
    let said = match word {
        "event" => format!(
            "{} on {} of {} by {}, {}, {} ({})",
            text("/event/name"),
            text("/event/resource"),
            text("/event/tenant"),
            Some(text("/event/operator")).filter(|o| !o.is_empty()).unwrap_or("nobody (automatic)"),
            text("/event/type"),
            text("/event/outcome"),
            text("/event/rule"),
        ),
        "ignored" => text("/rule").to_owned(),
        _ => {
            let read = [text("/read/actor"), text("/read/action"), text("/read/resource")];
            format!("{} [{}]", text("/reason"), read.join(" | "))
        }
    };
    format!("{offset:>10}  {word:<8}  {}", said.escape_debug())
}
