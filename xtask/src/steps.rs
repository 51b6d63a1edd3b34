//! Named steps with their times. The first that fails ends the run.

use std::time::{Duration, Instant};

/// The steps that passed so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Runs one step under its name.
    ///
    /// # Errors
    /// What the step says, with its name.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        println!("\n==> {name}");
        let start = Instant::now();
        let done = work();
        let took = start.elapsed();
        match done {
            Ok(()) => {
                println!("<== {name}: passed in {}", shown(took));
                self.done.push((name, took));
                Ok(())
            }
            Err(why) => {
                self.summary();
                Err(format!("`{name}` failed after {}: {why}", shown(took)))
            }
        }
    }

    /// Prints every step that passed, and the whole time.
    pub(crate) fn summary(&self) {
        println!("\nPassed:");
        for (name, took) in &self.done {
            println!("  {:>8}  {name}", shown(*took));
        }
        println!("  {:>8}  in all", shown(self.done.iter().map(|d| d.1).sum()));
    }
}

fn shown(time: Duration) -> String {
    let secs = time.as_secs();
    if secs >= 60 {
        format!("{}m {:02}s", secs / 60, secs % 60)
    } else {
        format!("{:.1}s", time.as_secs_f64())
    }
}
