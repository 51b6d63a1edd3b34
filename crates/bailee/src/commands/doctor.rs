//! `bailee doctor`: what is missing, said plainly; every log recomputed.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::config::{Common, Output};
use crate::output::Stop;

/// Say what this machine and this data folder lack; recompute every log.
#[derive(Args)]
pub(crate) struct Doctor {}

struct Finding {
    what: &'static str,
    state: State,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Note,
    Bad,
}

pub(crate) fn run(common: &Common, _c: Doctor) -> Result<ExitCode, Stop> {
    let mut findings = vec![clock(), descriptors(), space(common), key(common)];
    findings.push(match common.open() {
        Err(stop) => bad("house", stop.text),
        Ok(house) => match house.recheck_logs() {
            Ok(records) => {
                good("logs", format!("{records} records recomputed; every log gives what was signed"))
            }
            Err(e) => bad("logs", e.to_string()),
        },
    });
    let worst = findings.iter().any(|f| f.state == State::Bad);
    if common.output == Output::Json {
        let list: Vec<_> = findings
            .iter()
            .map(|f| json!({ "what": f.what, "state": word(f.state), "text": f.text }))
            .collect();
        println!("{}", json!(list));
    } else {
        for f in &findings {
            println!("{:<6} {:<12} {}", word(f.state), f.what, f.text);
        }
    }
    Ok(if worst { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn word(state: State) -> &'static str {
    match state {
        State::Good => "ok",
        State::Note => "note",
        State::Bad => "BAD",
    }
}

fn good(what: &'static str, text: String) -> Finding {
    Finding { what, state: State::Good, text }
}

fn bad(what: &'static str, text: String) -> Finding {
    Finding { what, state: State::Bad, text }
}

fn clock() -> Finding {
    let now = bailee_types::Clock::now(&bailee_types::SystemClock::default());
    // 2026-01-01: no house can be older than the program.
    if now.secs() < 1_767_225_600 {
        return bad("clock", format!("it is {now} here: set the clock, signatures and grants depend on it"));
    }
    good("clock", format!("{now}"))
}

fn descriptors() -> Finding {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits
        .lines()
        .find(|l| l.starts_with("Max open files"))
        .and_then(|l| l.split_whitespace().nth(3))
        .and_then(|n| n.parse::<u64>().ok());
    match soft {
        Some(n) if n < 4096 => Finding {
            what: "open files",
            state: State::Note,
            text: format!("{n} at a time; a busy server wants 4096 or more (ulimit -n)"),
        },
        Some(n) => good("open files", format!("{n} at a time")),
        None => {
            Finding { what: "open files", state: State::Note, text: "the limit cannot be read here".into() }
        }
    }
}

fn space(common: &Common) -> Finding {
    let probe = common.data.join(".doctor-probe");
    let written = std::fs::create_dir_all(&common.data)
        .and_then(|()| std::fs::write(&probe, vec![0u8; 1024 * 1024]))
        .and_then(|()| std::fs::File::open(&probe)?.sync_all());
    let _ = std::fs::remove_file(&probe);
    match written {
        Ok(()) => good("data folder", format!("{} can be written and synced", common.data.display())),
        Err(e) => bad("data folder", format!("{}: {e}", common.data.display())),
    }
}

fn key(common: &Common) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let path = common.data.join("root.key");
    match std::fs::metadata(&path) {
        Err(_) => bad("root key", format!("{} is not there: `bailee init` makes one", path.display())),
        Ok(m) if m.permissions().mode() & 0o077 != 0 => {
            bad("root key", format!("{} can be read by others: chmod 600 it", path.display()))
        }
        Ok(_) => match common.house().map(|config| bailee_rooms::House::root_protection(&config)) {
            Ok(Ok((protection, true))) => good(
                "root key",
                format!("{} (0600) lies {protection}; keep a copy elsewhere", path.display()),
            ),
            Ok(Ok((protection, false))) => bad(
                "root key",
                format!(
                    "{} lies {protection} and does not open: --root-passphrase-file or --root-pin-file",
                    path.display()
                ),
            ),
            Ok(Err(e)) => bad("root key", e.to_string()),
            Err(e) => bad("root key", e.text),
        },
    }
}
