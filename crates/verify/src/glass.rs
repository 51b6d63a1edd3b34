//! Broken glass replayed from the records alone: each act under one must be by who asked for it, after another operator broke it,
//! before it was over or ended, and of metadata or sealed bytes.
//!
//! INVARIANT: what is not understood lets nothing in: an act whose glass cannot be found is a violation, unless records are erased.

use std::collections::{HashMap, HashSet};

use bailee_proof::event::{Ended, EventView};
use serde_json::Value;

use crate::consent::{object, text};

const MINUTES_MAX: u64 = 60;
const MINUTE_MS: u64 = 60_000;
/// All that may be done under a broken glass.
const ACTS: [&str; 5] = ["ListBuckets", "GetBucketInfo", "ListObjects", "GetTenantUsage", "ScrubVault"];

/// Glasses so far, and steps whose outcome has not come yet.
#[derive(Default)]
pub(crate) struct Replay {
    /// Steps: the act, by whom, when.
    steps: HashMap<u64, (String, String, u64)>,
    /// Acts under a glass.
    acts: HashSet<u64>,
    glasses: HashMap<String, Glass>,
}

struct Glass {
    by: String,
    asked_ms: u64,
    minutes: u64,
    until_ms: Option<u64>,
    ended: bool,
}

/// Why something is shown by no record; it may be among what was erased.
pub(crate) type NotShown = Option<String>;

/// Whether a tenant's act of this name ends a glass.
pub(crate) fn is_step(name: &str) -> bool {
    name == "EndGlass"
}

impl Replay {
    /// An intent of the platform, or an act of the tenant.
    pub(crate) fn intent(
        &mut self,
        index: u64,
        time_ms: u64,
        event: &EventView<'_>,
    ) -> Result<NotShown, String> {
        let (name, by) = (text(event.event_name)?, text(event.employee)?);
        if matches!(&*name, "AskGlass" | "BreakGlass") || is_step(&name) {
            self.steps.insert(index, (name.into_owned(), by.into_owned(), time_ms));
            return Ok(None);
        }
        if event.glass.is_none() {
            return Ok(None);
        }
        let id = text(event.glass)?;
        let no = |why: &str| Err(format!("an operator's {name} under glass {id} {why}"));
        if !ACTS.contains(&&*name) {
            return no("is none that a broken glass allows");
        }
        if event.grant.is_some() {
            return no("names a grant, too");
        }
        self.acts.insert(index);
        let Some(Glass { by: asked, until_ms: Some(until_ms), ended, .. }) = self.glasses.get(&*id) else {
            return Ok(Some(format!(
                "an operator's {name} is under glass {id}, which no two operators broke"
            )));
        };
        match () {
            () if by.is_empty() || *asked != by => no("is by another operator than asked for it"),
            () if *ended => no("comes after it was ended"),
            () if time_ms >= *until_ms => no("comes after its time was over"),
            () => Ok(None),
        }
    }

    /// An outcome: a step that was done takes effect here.
    pub(crate) fn outcome(
        &mut self,
        (intent, ended): (u64, Ended),
        time_ms: u64,
        event: &EventView<'_>,
    ) -> Result<NotShown, String> {
        let (step, act) = (self.steps.remove(&intent), self.acts.remove(&intent));
        if step.is_none() && !act {
            return Ok(None);
        }
        let detail = object(event.detail)?;
        if act && detail.get("keyReleases").and_then(Value::as_u64) > Some(0) {
            return Err("an act under a broken glass opened content".into());
        }
        let Some((name, by, intent_ms)) = step.filter(|_| ended == Ended::Done) else { return Ok(None) };
        let told = |what: &str| detail.pointer(&format!("/glass/{what}"));
        let Some(id) = told("id").and_then(Value::as_str) else {
            return Err(format!("{name} does not name its glass"));
        };
        let no = |why: &str| Err(format!("glass {id} {why}"));
        let number = |what: &str| told(what).and_then(Value::as_u64);
        if name == "AskGlass" {
            let Some(minutes) = number("minutes").filter(|m| (1..=MINUTES_MAX).contains(m)) else {
                return no("is asked for longer than any may be");
            };
            let new = Glass { by, asked_ms: time_ms, minutes, until_ms: None, ended: false };
            return if self.glasses.insert(id.to_owned(), new).is_some() {
                no("was asked for twice")
            } else {
                Ok(None)
            };
        }
        let Some(glass) = self.glasses.get_mut(id) else {
            return Ok((name == "BreakGlass")
                .then(|| format!("glass {id} was broken, and no operator asked for it")));
        };
        if name != "BreakGlass" {
            glass.ended = true;
            return Ok(None);
        }
        let latest = time_ms.saturating_add(glass.minutes.saturating_mul(MINUTE_MS));
        match number("untilMs") {
            _ if by.is_empty() || glass.by.is_empty() || glass.by == by => {
                return no("was not broken by another operator than asked for it");
            }
            _ if glass.ended || glass.until_ms.is_some() => return no("was broken again, or after its end"),
            _ if intent_ms > glass.asked_ms.saturating_add(MINUTES_MAX * MINUTE_MS) => {
                return no("was broken after the asking had lapsed");
            }
            Some(until_ms) if until_ms <= latest => glass.until_ms = Some(until_ms),
            _ => return no("is broken for longer than was asked for"),
        }
        Ok(None)
    }
}
