//! Benches as ratios: each figure stands beside the baseline that was measured in the same run, on the same machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails loudly")]

use std::time::{Duration, Instant};

pub mod client;
pub mod peer;

/// How long each measurement runs.
pub const LONG: Duration = Duration::from_secs(3);

/// Runs `f` again and again for [`LONG`] after a warm-up; answers rounds per second.
pub fn per_second(mut f: impl FnMut()) -> f64 {
    let warm = Instant::now();
    while warm.elapsed() < LONG / 6 {
        f();
    }
    let (start, mut rounds) = (Instant::now(), 0u64);
    while start.elapsed() < LONG {
        f();
        rounds += 1;
    }
    rounds as f64 / start.elapsed().as_secs_f64()
}

/// Prints a figure without a baseline.
pub fn figure(what: &str, value: f64, unit: &str) {
    println!("{what:<52} {:>12} {unit}", shown(value));
}

/// Prints a figure, its baseline, and their ratio beside what we aim at.
pub fn ratio(what: &str, value: f64, baseline: &str, base: f64, unit: &str, aim_percent: f64) {
    let percent = value / base * 100.0;
    // A figure that is shown for scale has no aim, so it reaches none.
    let verdict = match percent >= aim_percent {
        _ if aim_percent <= 0.0 => String::new(),
        true => format!("; aim {aim_percent:.0} %: reached"),
        false => format!("; aim {aim_percent:.0} %: MISSED"),
    };
    println!(
        "{what:<52} {:>12} {unit:<10} {percent:>6.1} % of {baseline} ({} {unit}){verdict}",
        shown(value),
        shown(base)
    );
}

/// Prints a cost, its baseline, and their ratio beside the most that we want it to be.
pub fn at_most(what: &str, value: f64, baseline: &str, base: f64, unit: &str, aim_percent: f64) {
    let percent = value / base * 100.0;
    let verdict = match percent <= aim_percent {
        _ if aim_percent <= 0.0 => String::new(),
        true => format!("; at most {aim_percent:.0} %: reached"),
        false => format!("; at most {aim_percent:.0} %: MISSED"),
    };
    println!(
        "{what:<52} {value:>12.2} {unit:<10} {percent:>6.1} % of {baseline} ({base:.2} {unit}){verdict}"
    );
}

fn shown(value: f64) -> String {
    if value >= 10_000.0 { format!("{:.0}k", value / 1000.0) } else { format!("{value:.1}") }
}

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
