//! What collectors hand in: acts of the provider's people that other programs logged, recorded in the log of the tenant
//! whom they touched, and what could not be read or mapped, recorded in the provider's own.
//!
//! A collected act was not stopped by the gate: it says so (`collected:…`), names the log and the digest of the line, and
//! carries no grant. Whether something let it in is asked as it is recorded (`covered`); [`reconcile`] asks for a span of time.
//! INVARIANT: an event stands in a log once, however often it comes: its id and its records are one transaction.
//! INVARIANT: what the log calls a person does not reach the tenant; the operator's pseudonym does.

mod covered;
mod hand_in;
mod reconcile;
mod rows;

use std::sync::Arc;

use bailee_collect::Source;
use bailee_types::{Arn, SecretText, TenantId, Timestamp, random_bytes};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub use bailee_collect::wire;
pub use hand_in::HandIn;
pub use reconcile::{Reconciliation, Unmatched};

use super::Act;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::house::Counters;
use crate::{Failure, House, SignInProblem, Thing};

/// A collector: a machine of the provider with a credential of its own.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Its name.
    pub name: String,
    /// Whose logs it may hand in.
    pub sources: Vec<Source>,
    /// Whether it may.
    pub active: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last handed something in.
    pub seen_at: Option<Timestamp>,
    /// Events recorded.
    pub events: u64,
    /// Lines of which nothing could be made.
    pub unmapped: u64,
}

/// A collector that showed its token. Only [`House::collector`] makes one.
#[derive(Clone, Debug)]
pub struct Known {
    name: String,
    sources: Vec<Source>,
}

/// Adds a collector; answers its token, which is shown once.
#[derive(Clone, Debug)]
pub struct CreateCollector {
    /// 1 to 40 lower-case letters, digits and hyphens.
    pub name: String,
    /// Whose logs it may hand in, at least one.
    pub sources: Vec<Source>,
}

/// Disables or enables a collector; disabled, its token opens nothing.
#[derive(Clone, Debug)]
pub struct SetCollectorState {
    /// Its name.
    pub name: String,
    /// Whether it may hand in.
    pub active: bool,
}

fn asked(action: &'static str, name: &str, detail: Value) -> Asked {
    let provider = TenantId::provider();
    Asked {
        resource: Arn::own(&provider, &format!("collector/{name}")),
        tenant: provider,
        action,
        resource_type: "ACS::Bailee::Collector",
        class: Class::Management { write: true },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for CreateCollector {
    type Output = SecretText;

    fn asks(&self) -> Asked {
        let sources: Vec<_> = self.sources.iter().map(|s| s.word()).collect();
        let name: String = self.name.chars().take(40).collect();
        asked("bailee:CreateCollector", &name, json!({ "collector": name, "sources": sources }))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<SecretText, Failure> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.bytes().all(ok) {
            return Err(Failure::invalid("name", "must have 1 to 40 lower-case letters, digits or hyphens"));
        }
        let mut sources: Vec<_> = self.sources.iter().map(|s| s.word()).collect();
        sources.sort_unstable();
        sources.dedup();
        if sources.is_empty() {
            let all: Vec<_> = Source::ALL.iter().map(|s| s.word()).collect();
            return Err(Failure::invalid("sources", format!("must be one or more of {}", all.join(", "))));
        }
        let token = SecretText::new(format!("bct.{}.{}", self.name, hex::encode(random_bytes::<32>())));
        let hash = hash_of(token.expose());
        let (name, sources, now) = (self.name, sources.join(","), house.now());
        house
            .db
            .write(move |tx| {
                if !rows::insert(tx, &name, &hash, &sources, now)? {
                    return Err(Failure::exists(Thing::Collector, &name));
                }
                Ok(())
            })
            .await?;
        Ok(token)
    }
}

impl Operation for SetCollectorState {
    type Output = ();

    fn asks(&self) -> Asked {
        let name: String = self.name.chars().take(40).collect();
        asked("bailee:SetCollectorState", &name, json!({ "collector": name, "active": self.active }))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        house
            .db
            .write(move |tx| {
                if !rows::set_state(tx, &self.name, self.active)? {
                    return Err(Failure::not_found(Thing::Collector, &self.name));
                }
                Ok(())
            })
            .await
    }
}

impl House {
    /// All collectors by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn collectors(&self) -> Result<Vec<Collector>, Failure> {
        self.db.read(|tx| rows::all(tx).map_err(Failure::from)).await
    }

    /// The collector whose token this is. An unknown name, a wrong token and a disabled collector answer the same.
    ///
    /// # Errors
    /// `SignIn(Wrong)`.
    pub async fn collector(&self, token: &str) -> Result<Known, Failure> {
        let name = token.strip_prefix("bct.").and_then(|t| t.split_once('.')).map_or("", |(name, _)| name);
        let (asked, shown) = (name.to_owned(), hash_of(token));
        let (stored, found) = self
            .db
            .read(move |tx| Ok::<_, Failure>((rows::token_hash(tx, &asked)?, rows::by_name(tx, &asked)?)))
            .await?;
        // Compared in constant time, and with something also where nothing is stored.
        let same = bool::from(stored.unwrap_or([0; 32]).ct_eq(&shown));
        match found {
            Some(collector) if same && stored.is_some() && collector.active => {
                Ok(Known { name: collector.name, sources: collector.sources })
            }
            _ => {
                Counters::add(&self.counters().sign_in_failures, 1);
                Err(Failure::SignIn(SignInProblem::Wrong))
            }
        }
    }
}

fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Act {
    /// The log that the act was collected from; none for acts that went through the gate.
    pub fn collected_from(&self) -> Option<String> {
        self.collected("/source")?.as_str().map(str::to_owned)
    }

    /// What let a collected act in: session and grant, or the gate's record of it.
    pub fn covered(&self) -> Option<Value> {
        self.collected("/covered")
    }

    /// Why nothing let in a collected act of an operator; none for all other acts.
    pub fn uncovered(&self) -> Option<String> {
        self.collected("/uncovered")?.as_str().map(str::to_owned)
    }

    fn collected(&self, member: &str) -> Option<Value> {
        // Most acts are none of these.
        if !self.event.contains("\"collected\"") {
            return None;
        }
        let event: Value = serde_json::from_str(&self.event).ok()?;
        event.get("collected")?.pointer(member).cloned()
    }
}
