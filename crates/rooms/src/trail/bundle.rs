//! The offline bundle: everything that `bailee-verify` needs, in one file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailee_proof::bundle::{Manifest, Opening, Scope, WriteError, Writer, lead_digest};
use bailee_proof::event::{scan, unquoted};
use bailee_proof::record::{Entry, Kind};
use bailee_types::{Arn, ObjectVersionId, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

const BATCH: u64 = 1_000;

/// Writes a tenant's trail up to the newest head into a bundle file: whole, or opened in a part only.
pub struct ExportTrail {
    /// Whose trail.
    pub tenant: TenantId,
    /// What of it is opened.
    pub scope: Scope,
    /// Where to write; made anew, removed again when the export fails.
    pub path: std::path::PathBuf,
}

impl ExportTrail {
    /// The scope that a tenant hands to an auditor: a time, resources (`bucket/key`, or as policies name them; a `*` at
    /// the end stands for all that begin so), or both; without any of them, everything.
    ///
    /// # Errors
    /// [`Failure::Invalid`] when it holds no time, or a resource cannot be meant.
    pub fn scope_of(
        tenant: &TenantId,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        resources: &[String],
        now: Timestamp,
    ) -> Result<Scope, Failure> {
        if since.is_none() && until.is_none() && resources.is_empty() {
            return Ok(Scope::All);
        }
        let ms = |at: Timestamp| u64::try_from(at.ms()).unwrap_or(0);
        let named = |r: &String| {
            if r.starts_with("acs:") { r.clone() } else { format!("acs:oss:*:{tenant}:{r}") }
        };
        let resources = resources.iter().map(named).collect();
        Scope::part(since.map_or(0, ms), ms(until.unwrap_or(now)), resources)
            .map_err(|e| Failure::invalid("scope", e.to_string()))
    }
}

/// What was exported.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Records in the bundle: all that the head covers.
    pub records: u64,
    /// The log's origin.
    pub origin: String,
    /// The log's verification key.
    pub vkey: String,
    /// Bytes written.
    pub bytes: u64,
}

impl Operation for ExportTrail {
    type Output = Exported;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:ExportTrail",
            resource: Arn::own(&self.tenant, "trail"),
            resource_type: "ACS::Bailee::Trail",
            class: Class::Management { write: false },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(match &self.scope {
                Scope::All => json!({}),
                part => json!({ "scope": part.to_string() }),
            }),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Exported, Failure> {
        let log = house.log_keys(&self.tenant).await?;
        let head = house.head(&self.tenant).await?;

        let places = house.places(&self.tenant, head.size).await?.encode();
        let manifest = Manifest {
            origin: head.origin.clone(),
            tenant: self.tenant.to_string(),
            exported: house.now().iso(),
            records: head.size,
            lead: lead_digest(head.note.as_bytes(), &places, head.size).map_err(of_write)?,
            scope: self.scope.clone(),
            key: log.signer.verifier().clone(),
        };
        let note = manifest.sign(&log.signer).map_err(|e| Failure::Bug(e.to_string()))?;

        let io = |e: std::io::Error| Failure::Unavailable(format!("cannot write the bundle: {e}"));
        // A random name beside the target: two exports at once must not write into one file.
        let partial = self.path.with_extension(format!("{}.partial", ObjectVersionId::random()));
        let written = async {
            let file = std::io::BufWriter::with_capacity(
                256 * 1024,
                std::fs::File::create_new(&partial).map_err(io)?,
            );
            let mut writer =
                Writer::new(file, note.as_bytes(), head.note.as_bytes(), &places).map_err(of_write)?;
            self.each(house, &log, head.size, |entry, opening| writer.record(entry, opening)).await?;
            let file = writer.finish().map_err(of_write)?.into_inner().map_err(|e| io(e.into_error()))?;
            file.sync_all().map_err(io)?;
            let bytes = file.metadata().map_err(io)?.len();
            std::fs::rename(&partial, &self.path).map_err(io)?;
            Ok::<_, Failure>(bytes)
        }
        .await;
        match written {
            Ok(bytes) => Ok(Exported { records: head.size, origin: head.origin, vkey: head.vkey, bytes }),
            Err(e) => {
                // A half-written bundle must not be taken for one.
                let _ = std::fs::remove_file(&partial);
                Err(e)
            }
        }
    }

    fn outcome_detail(done: &Exported) -> Map<String, Value> {
        parameters(json!({ "records": done.records }))
    }
}

impl ExportTrail {
    /// Opens the records that are in the scope, in order, and hands each to `f`.
    async fn each(
        &self,
        house: &Arc<House>,
        log: &super::LogKeys,
        size: u64,
        mut f: impl FnMut(&[u8; 50], Opening<'_>) -> Result<(), WriteError> + Send,
    ) -> Result<(), Failure> {
        let mut chosen = match self.scope {
            Scope::All => None,
            Scope::Part { .. } => Some(Chosen::new(&self.scope, &self.tenant)),
        };
        if let Some(chosen) = &mut chosen {
            // What was consented to stands in the outcome of the decision, after the decision.
            self.records(house, size, |index, _, sealed| {
                if sealed.is_empty() {
                    return Ok(());
                }
                let (_, event) = log.open(index, sealed)?;
                chosen.learn(index, &event)
            })
            .await?;
        }
        self.records(house, size, |index, entry, sealed| {
            if sealed.is_empty() {
                return f(entry, Opening::Erased).map_err(of_write);
            }
            let (nonce, event) = log.open(index, sealed)?;
            let opened = match &mut chosen {
                None => true,
                Some(chosen) => chosen.opens(index, entry, &event)?,
            };
            let opening =
                if opened { Opening::Opened { nonce: &nonce, event: &event } } else { Opening::Withheld };
            f(entry, opening).map_err(of_write)
        })
        .await
    }

    /// Hands each record, still sealed, to `f`, in order.
    async fn records(
        &self,
        house: &Arc<House>,
        size: u64,
        mut f: impl FnMut(u64, &[u8; 50], &[u8]) -> Result<(), Failure> + Send,
    ) -> Result<(), Failure> {
        let mut next = 0;
        while next < size {
            let (tenant, from, count) = (self.tenant.clone(), next, BATCH.min(size - next));
            let records = house
                .db
                .read(move |tx| rows::records(&mut tx.tenant(&tenant), from, count).map_err(Failure::from))
                .await?;
            if records.len() as u64 != count {
                return Err(Failure::Damaged(format!("records after {from} are missing")));
            }
            for (index, entry, sealed) in &records {
                if *index != next {
                    return Err(Failure::Damaged(format!("record {next} is missing")));
                }
                f(*index, entry, sealed)?;
                next += 1;
            }
        }
        Ok(())
    }
}

/// Which records a scope opens: those of its time about its resources with their outcomes, the tenant's decisions about
/// consent for its resources from before, the steps of each glass under which something of its time was done to them, and what the
/// log says about itself.
struct Chosen<'a> {
    scope: &'a Scope,
    tenant: &'a TenantId,
    /// Decisions about consent for resources of the scope.
    consent: BTreeSet<u64>,
    /// Glasses under which something in the scope was done; steps, and of which glass.
    glasses: BTreeSet<String>,
    steps: BTreeMap<u64, String>,
    /// Opened, and the outcome is still to come.
    waiting: BTreeSet<u64>,
}

impl<'a> Chosen<'a> {
    fn new(scope: &'a Scope, tenant: &'a TenantId) -> Self {
        let (consent, waiting, glasses) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { scope, tenant, consent, glasses, steps: BTreeMap::new(), waiting }
    }

    fn learn(&mut self, index: u64, event: &[u8]) -> Result<(), Failure> {
        let view = scan(event).map_err(|e| damaged(index, &e))?;
        let envelope = view.envelope().map_err(|e| damaged(index, &e))?;
        if let Some(glass) = view.glass.and_then(unquoted) {
            let resource = view.resource.and_then(unquoted).unwrap_or_default();
            if self.scope.holds_time(envelope.time_ms) && self.scope.holds_resource(&resource) {
                self.glasses.insert(glass.into_owned());
            }
        }
        let Some(closes) = envelope.closes else { return Ok(()) };
        let tells = |d: &&str| d.contains("\"consent\"") || d.contains("\"glass\"");
        let Some(detail) = view.detail.filter(tells) else { return Ok(()) };
        let detail: Value = serde_json::from_str(detail).map_err(|e| damaged(index, &e))?;
        if let Some(glass) = detail.pointer("/glass/id").and_then(Value::as_str) {
            self.steps.insert(closes.intent, glass.to_owned());
        }
        let object = detail.get("consent").and_then(|c| c.get("object")).and_then(Value::as_str);
        let Some(object) = object else { return Ok(()) };
        if self.scope.holds_resource(&format!("acs:oss:*:{}:{object}", self.tenant)) {
            self.consent.insert(closes.intent);
        }
        Ok(())
    }

    fn opens(&mut self, index: u64, entry: &[u8; 50], event: &[u8]) -> Result<bool, Failure> {
        let entry = Entry::decode(entry).map_err(|e| damaged(index, &e))?;
        let view = scan(event).map_err(|e| damaged(index, &e))?;
        if let Some(closes) = view.envelope().map_err(|e| damaged(index, &e))?.closes {
            return Ok(self.waiting.remove(&closes.intent));
        }
        let about_itself = matches!(entry.kind, Kind::Erasure | Kind::Log | Kind::Heartbeat | Kind::Finding);
        let resource = view.resource.and_then(unquoted).unwrap_or_default();
        let opened = about_itself
            || ((self.consent.contains(&index)
                || self.steps.get(&index).is_some_and(|g| self.glasses.contains(g)))
                && !self.scope.is_after(entry.time_ms))
            || (self.scope.holds_time(entry.time_ms) && self.scope.holds_resource(&resource));
        if opened && entry.kind.awaits_outcome() {
            self.waiting.insert(index);
        }
        Ok(opened)
    }
}

fn damaged(index: u64, why: &dyn std::fmt::Display) -> Failure {
    Failure::Damaged(format!("record {index}: {why}"))
}

fn of_write(e: WriteError) -> Failure {
    match e {
        WriteError::Io(e) => Failure::Unavailable(format!("cannot write the bundle: {e}")),
        other => Failure::Damaged(other.to_string()),
    }
}
