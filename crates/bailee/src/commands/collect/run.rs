//! The collector that runs: read, map, keep, send, and again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bailee_collect::frame::Unit;
use bailee_collect::wire::{Batch, EVENTS_MAX, Recorded, Tally};
use bailee_collect::{Mapping, Reading, Source, Verdict, digest, event_id, read};
use bailee_types::{Clock, SecretText, SystemClock, random_bytes};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::send::Sender;
use super::state::{Kept, Pending, State, Store};
use super::tail::Tail;
use super::{Run, webhook};
use crate::config::{Common, Output};
use crate::output::Stop;

/// Units looked at for one batch, and bytes of its events, at most.
const UNITS_MAX: u64 = 5_000;
const EVENT_BYTES_MAX: usize = 600 * 1024;
/// How long to wait at the end of a file that is followed.
const POLL: Duration = Duration::from_millis(200);
const PROGRESS: Duration = Duration::from_secs(10);
/// The webhook's inbox is emptied when it has grown to this, bytes.
const INBOX_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn run(common: &Common, source: Source, options: &Run) -> Result<ExitCode, Stop> {
    let mapping = super::mapping(&options.map)?;
    if mapping.source != source {
        return Err(Stop::unable(format!(
            "{} maps {}, not {}",
            options.map.display(),
            mapping.source.word(),
            source.word()
        )));
    }
    if options.listen.is_some() && source != Source::Kubernetes {
        return Err(Stop::unable("only Kubernetes has a webhook: --listen goes with `kubernetes`"));
    }
    let patient = options.follow || options.listen.is_some();
    let sender = Sender::new(&options.server, secret(&options.token_file)?, patient)?;
    let (store, state) = Store::open(&options.state, source)?;
    let (path, inbox) = match (options.listen, &options.file) {
        (Some(address), _) => {
            let token = options.listen_token_file.as_ref().map(secret).transpose()?;
            let path = store.path("inbox.log");
            let inbox = webhook::serve(address, token, &path)?;
            (path, Some(inbox))
        }
        (None, Some(file)) => (file.clone(), None),
        (None, None) => return Err(Stop::unable("say --file or --listen")),
    };
    if !patient && !path.exists() {
        return Err(Stop::unable(format!("{}: there is no such file", path.display())));
    }
    let mut collector =
        Collector { mapping, store, state, sender, totals: Totals::default(), gaps: Vec::new() };
    let waiting = collector.collect(&path, patient, inbox.as_ref())?;
    collector.totals.print(common.output == Output::Json, waiting);
    Ok(ExitCode::SUCCESS)
}

/// A secret in a file, without the end of its line.
fn secret(path: &PathBuf) -> Result<SecretText, Stop> {
    let text = std::fs::read_to_string(path).map_err(|e| Stop::unable(format!("{}: {e}", path.display())))?;
    let text = text.trim();
    if text.is_empty() || text.chars().any(|c| c.is_control()) {
        return Err(Stop::unable(format!("{} holds no token", path.display())));
    }
    Ok(SecretText::new(text.to_owned()))
}

struct Collector {
    mapping: Mapping,
    store: Store,
    state: State,
    sender: Sender,
    totals: Totals,
    gaps: Vec<String>,
}

impl Collector {
    /// Answers the bytes of an unfinished line at the end.
    fn collect(
        &mut self,
        path: &std::path::Path,
        follow: bool,
        inbox: Option<&webhook::Inbox>,
    ) -> Result<u64, Stop> {
        self.deliver()?;
        let mut tail = Tail::open(path, inbox.is_some(), &mut self.state, &mut self.gaps)?;
        let mut said = Instant::now();
        loop {
            let is_more = self.gather(&mut tail)?;
            self.deliver()?;
            if said.elapsed() >= PROGRESS {
                self.totals.progress();
                said = Instant::now();
            }
            if is_more {
                continue;
            }
            if let Some(inbox) = inbox
                && tail.offset() > INBOX_BYTES_MAX
                && inbox.empty_at(tail.offset())?
            {
                self.state.generation += 1;
                tail.restart(&mut self.state)?;
                self.store.save(&self.state)?;
            }
            if !follow && tail.is_at_end() {
                return Ok(tail.waiting());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Reads units for one batch and puts it into the state; false when there was nothing to read.
    fn gather(&mut self, tail: &mut Tail) -> Result<bool, Stop> {
        let mut made = Made::default();
        while made.tally.read < UNITS_MAX && made.events.len() < EVENTS_MAX && made.bytes < EVENT_BYTES_MAX {
            let Some(unit) = tail.next(&mut self.state, &mut self.gaps)? else { break };
            let place = tail.place(&self.state, &unit);
            made.add(&self.mapping, unit, &place);
        }
        made.tally.gaps = std::mem::take(&mut self.gaps);
        if made.tally.read == 0 && made.tally.gaps.is_empty() {
            return Ok(false);
        }
        made.tally.mapping = self.mapping.digest.clone();
        made.tally.mapped = made.events.len() as u64;
        if !made.unmapped.is_empty() {
            made.tally.unmapped_digest = hex(&made.digests.finalize());
        }
        let kept: Vec<_> = made
            .unmapped
            .iter()
            .map(|(reason, bytes)| Kept { reason, digest: hex(&digest(bytes)), bytes })
            .collect();
        self.store.keep(&mut self.state, &kept)?;
        let id = hex(&random_bytes::<16>());
        let batch = Batch { id, source: self.mapping.source, events: made.events, tally: made.tally };
        self.state.pending = Some(Pending { batch, lines: made.lines });
        tail.note(&mut self.state)?;
        self.store.save(&self.state)?;
        Ok(true)
    }

    /// Sends the batch in the state, if there is one, and keeps the lines that were refused.
    fn deliver(&mut self) -> Result<(), Stop> {
        let Some(pending) = self.state.pending.clone() else { return Ok(()) };
        let answer = self.sender.send(&pending.batch)?;
        let mut refused = Vec::new();
        for ((verdict, event), line) in answer.verdicts.iter().zip(&pending.batch.events).zip(&pending.lines)
        {
            match verdict {
                Recorded::Recorded => self.totals.recorded += 1,
                Recorded::Duplicate => self.totals.duplicates += 1,
                Recorded::Refused(reason) => {
                    refused.push(Kept { reason, digest: event.line.clone(), bytes: line.as_bytes() });
                }
            }
        }
        self.totals.refused += refused.len() as u64;
        self.totals.read += pending.batch.tally.read;
        self.totals.ignored += pending.batch.tally.ignored.values().sum::<u64>();
        self.totals.unmapped += pending.batch.tally.unmapped.values().sum::<u64>();
        for gap in &pending.batch.tally.gaps {
            eprintln!("bailee: {gap}");
        }
        self.store.keep(&mut self.state, &refused)?;
        self.state.pending = None;
        self.store.save(&self.state)
    }
}

/// What became of the units of one batch.
#[derive(Default)]
struct Made {
    events: Vec<bailee_collect::wire::Event>,
    lines: Vec<String>,
    unmapped: Vec<(String, Vec<u8>)>,
    digests: Sha256,
    bytes: usize,
    tally: Tally,
}

impl Made {
    fn add(&mut self, mapping: &Mapping, unit: Unit, place: &str) {
        let now = SystemClock::default().now();
        self.tally.read += 1;
        let verdict = match unit.torn {
            Some(why) => Verdict::Unmapped(why.to_owned()),
            None => match read(mapping.source, &unit.bytes, &mapping.manner, now) {
                Err(why) => Verdict::Unmapped(why.to_string()),
                Ok(Reading::Preliminary(why)) => Verdict::Ignored(why.to_owned()),
                Ok(Reading::Act(act)) => {
                    let id = event_id(mapping.source, &act.identity, place, &unit.bytes);
                    mapping.decide(&act, id, hex(&digest(&unit.bytes)), now)
                }
            },
        };
        match verdict {
            Verdict::Event(event) => {
                self.bytes += serde_json::to_vec(&event).map_or(0, |b| b.len());
                self.lines.push(String::from_utf8_lossy(&unit.bytes).into_owned());
                self.events.push(*event);
            }
            Verdict::Ignored(rule) => *self.tally.ignored.entry(rule).or_default() += 1,
            Verdict::Unmapped(why) => {
                self.digests.update(digest(&unit.bytes));
                *self.tally.unmapped.entry(why.clone()).or_default() += 1;
                self.unmapped.push((why, unit.bytes));
            }
        }
    }
}

#[derive(Default)]
struct Totals {
    read: u64,
    recorded: u64,
    duplicates: u64,
    refused: u64,
    ignored: u64,
    unmapped: u64,
}

impl Totals {
    fn progress(&self) {
        eprintln!("bailee: {}", self.said());
    }

    fn said(&self) -> String {
        format!(
            "{} read: {} recorded, {} known before, {} ignored by a rule, {} kept in unmapped.log",
            self.read,
            self.recorded,
            self.duplicates,
            self.ignored,
            self.unmapped + self.refused
        )
    }

    fn print(&self, json_out: bool, waiting: u64) {
        if json_out {
            println!(
                "{}",
                json!({
                    "read": self.read, "recorded": self.recorded, "duplicates": self.duplicates,
                    "refused": self.refused, "ignored": self.ignored, "unmapped": self.unmapped,
                    "unfinishedBytes": waiting,
                })
            );
            return;
        }
        println!("{}", self.said());
        if waiting > 0 {
            println!("{waiting} bytes of an unfinished line wait for the next time");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
