//! Sinks: webhooks and syslog servers that a tenant names.

use std::sync::Arc;

use bailee_proof::record::Entry;
use bailee_store::TenantTx;
use bailee_types::{SecretText, TenantId, Timestamp, random_text};
use serde_json::{Map, Value, json};

use super::super::look::trail_asked;
use super::super::rows as records;
use super::{push, rows, short};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::keys::{Resealed, TenantKey};
use crate::trail::{Act, Family};
use crate::{Failure, House, Thing};

/// Sinks that a tenant may have.
pub const SINKS_MAX: u64 = 10;
const ADDRESS_BYTES_MAX: usize = 512;
const ROOTS_BYTES_MAX: usize = 32 * 1024;

/// What kind of receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// HTTPS POST.
    Webhook,
    /// RFC 5424 over TLS (RFC 5425).
    Syslog,
}

/// The shape of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkFormat {
    /// CloudEvents 1.0.
    CloudEvents,
    /// OCSF.
    Ocsf,
    /// As `LookupEvents` has them.
    Bailee,
}

impl SinkKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Syslog => "syslog",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Webhook, Self::Syslog].into_iter().find(|k| k.word() == word)
    }
}

impl SinkFormat {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::CloudEvents => "cloudevents",
            Self::Ocsf => "ocsf",
            Self::Bailee => "bailee",
        }
    }

    /// The format with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::CloudEvents, Self::Ocsf, Self::Bailee].into_iter().find(|f| f.word() == word)
    }
}

/// A sink. Its `Debug` shows no secret: it is sealed.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// What kind.
    pub kind: SinkKind,
    /// `https://…`, or `host:port`.
    pub address: String,
    /// In which shape.
    pub format: SinkFormat,
    /// Whose events; none: all.
    pub family: Option<Family>,
    pub(super) sealed_secret: Vec<u8>,
    /// PEM of roots trusted for a syslog server in place of the public list; empty for that list.
    pub roots: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The first record that is still to be delivered.
    pub next_record: u64,
    /// When something was last delivered.
    pub delivered_at: Option<Timestamp>,
    /// When and why the last delivery failed; emptied by the next that succeeds.
    pub failed: Option<(Timestamp, String)>,
    /// Failures in a row.
    pub failures: u64,
    /// Records that wait: the lag.
    pub waiting: u64,
}

/// Makes a sink; it gets what is recorded from now on.
#[derive(Clone, Debug)]
pub struct CreateSink {
    /// Whose.
    pub tenant: TenantId,
    /// 1 to 40 lower-case letters, digits and hyphens.
    pub name: String,
    /// What kind.
    pub kind: SinkKind,
    /// `https://…`, or `host:port`.
    pub address: String,
    /// In which shape.
    pub format: SinkFormat,
    /// Whose events; none: all.
    pub family: Option<Family>,
    /// PEM of roots for a syslog server; empty for the public list.
    pub roots: String,
}

/// A sink that was made, with the secret by which a webhook checks signatures: shown once.
#[derive(Debug)]
pub struct Made {
    /// The secret.
    pub secret: SecretText,
}

/// Removes a sink.
#[derive(Clone, Debug)]
pub struct DeleteSink {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
}

/// All sinks with their lag.
#[derive(Clone, Debug)]
pub struct ListSinks {
    /// Whose.
    pub tenant: TenantId,
}

/// Delivers again.
#[derive(Clone, Debug)]
pub struct ReplaySink {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// From where.
    pub from: ReplayFrom,
}

/// Where a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// This record.
    Record(u64),
    /// The first record at or after this time.
    Time(Timestamp),
}

/// Sends one event that is none, and says what came of it.
#[derive(Clone, Debug)]
pub struct TestSink {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
}

/// What a sink's secret is sealed for.
pub(super) fn purpose(name: &str) -> String {
    format!("sink {name}")
}

fn asked(tenant: &TenantId, action: &'static str, write: bool, detail: Value) -> Asked {
    let class = if write { Class::Management { write } } else { Class::Data };
    trail_asked(tenant, action, class, parameters(detail))
}

/// Whether a text without a name or password in it can be an address on one line.
fn is_plain(address: &str) -> bool {
    address.len() <= ADDRESS_BYTES_MAX
        && address.is_ascii()
        && !address.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'@')
}

/// Whether it can be the address of a webhook; whether one may go there the network says.
pub(crate) fn is_webhook(address: &str) -> bool {
    let http = address.starts_with("https://") || address.starts_with("http://");
    http && address.len() > 8 && is_plain(address)
}

impl CreateSink {
    fn check(&self) -> Result<(), Failure> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.bytes().all(ok) {
            return Err(Failure::invalid("name", "must have 1 to 40 lower-case letters, digits or hyphens"));
        }
        let fits = match self.kind {
            SinkKind::Webhook => is_webhook(&self.address),
            SinkKind::Syslog => {
                let port = self.address.rsplit_once(':').and_then(|(_, p)| p.parse::<u16>().ok());
                port.is_some_and(|p| p > 0) && !self.address.contains('/')
            }
        };
        if !fits || !is_plain(&self.address) {
            let wanted = match self.kind {
                SinkKind::Webhook => "must be an https:// address without a name or password in it",
                SinkKind::Syslog => "must be host:port",
            };
            return Err(Failure::invalid("address", wanted));
        }
        let pem = self.roots.is_empty() || self.roots.contains("-----BEGIN CERTIFICATE-----");
        if self.roots.len() > ROOTS_BYTES_MAX
            || !pem
            || (self.kind == SinkKind::Webhook && !self.roots.is_empty())
        {
            return Err(Failure::invalid(
                "roots",
                "must be certificates in PEM, at most 32 KiB, for a syslog server",
            ));
        }
        Ok(())
    }
}

impl Operation for CreateSink {
    type Output = Made;

    fn asks(&self) -> Asked {
        let cut = |t: &str| t.chars().take(200).collect::<String>();
        let detail = json!({
            "name": cut(&self.name), "kind": self.kind.word(), "address": cut(&self.address), "format": self.format.word(),
        });
        asked(&self.tenant, "bailee:CreateSink", true, detail)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Made, Failure> {
        self.check()?;
        let secret =
            SecretText::new(format!("whsec-{}", random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 40)));
        let key = house.tenant_key(&self.tenant).await?;
        let mut sink = Sink {
            sealed_secret: key.seal_trail(&purpose(&self.name), secret.expose().as_bytes()),
            name: self.name,
            kind: self.kind,
            address: self.address,
            format: self.format,
            family: self.family,
            roots: self.roots,
            created_at: house.now(),
            next_record: 0,
            delivered_at: None,
            failed: None,
            failures: 0,
            waiting: 0,
        };
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let there = rows::sinks(&mut tx)?;
                if there.iter().any(|s| s.name == sink.name) {
                    return Err(Failure::exists(Thing::Sink, &sink.name));
                }
                if there.len() as u64 >= SINKS_MAX {
                    return Err(Failure::limit(Thing::Sink, "sinks", SINKS_MAX));
                }
                sink.next_record = records::head(&mut tx)?.size;
                rows::insert(&mut tx, &sink).map_err(Failure::from)
            })
            .await?;
        Ok(Made { secret })
    }
}

impl Operation for DeleteSink {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:DeleteSink", true, json!({ "name": self.name }))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        house
            .db
            .write(move |tx| match rows::delete(&mut tx.tenant(&self.tenant), &self.name)? {
                true => Ok(()),
                false => Err(Failure::not_found(Thing::Sink, &self.name)),
            })
            .await
    }
}

impl Operation for ListSinks {
    type Output = Vec<Sink>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListSinks", false, json!({}))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Sink>, Failure> {
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let size = records::head(&mut tx)?.size;
                let mut all = rows::sinks(&mut tx)?;
                all.iter_mut().for_each(|s| s.waiting = size.saturating_sub(s.next_record));
                Ok(all)
            })
            .await
    }
}

impl Operation for ReplaySink {
    /// The record from which on it is delivered again.
    type Output = u64;

    fn asks(&self) -> Asked {
        let from = match self.from {
            ReplayFrom::Record(n) => json!(n),
            ReplayFrom::Time(at) => json!(at.iso()),
        };
        asked(&self.tenant, "bailee:ReplaySink", true, json!({ "name": self.name, "from": from }))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<u64, Failure> {
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let size = records::head(&mut tx)?.size;
                let from = match self.from {
                    ReplayFrom::Record(n) => n.min(size),
                    ReplayFrom::Time(at) => first_at(&mut tx, size, at)?,
                };
                match rows::replay(&mut tx, &self.name, from)? {
                    true => Ok(from),
                    false => Err(Failure::not_found(Thing::Sink, &self.name)),
                }
            })
            .await
    }

    fn outcome_detail(from: &u64) -> Map<String, Value> {
        parameters(json!({ "from": from }))
    }
}

/// The first record at or after a time; times never fall.
fn first_at(tx: &mut bailee_store::TenantTx<'_, '_>, size: u64, at: Timestamp) -> Result<u64, Failure> {
    let at = u64::try_from(at.ms()).unwrap_or(0);
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let (_, raw, _) = records::entries(tx, middle, 1)?
            .into_iter()
            .next()
            .ok_or_else(|| Failure::Damaged(format!("record {middle} is missing")))?;
        let entry = Entry::decode(&raw).map_err(|e| Failure::Damaged(format!("record {middle}: {e}")))?;
        if entry.time_ms < at { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

impl Operation for TestSink {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:TestSink", true, json!({ "name": self.name }))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let (tenant, name) = (self.tenant.clone(), self.name.clone());
        let sink = house
            .db
            .read(move |tx| {
                let found = rows::sinks(&mut tx.tenant(&tenant))?.into_iter().find(|s| s.name == name);
                found.ok_or_else(|| Failure::not_found(Thing::Sink, &name))
            })
            .await?;
        let act = Act::ping(house.now());
        let log = house.log_keys(&self.tenant).await?;
        let mut event = super::shapes::event(sink.format, &log.origin, &self.tenant, &act);
        if sink.format == SinkFormat::CloudEvents
            && let Some(kind) = event.get_mut("type")
        {
            *kind = "cloud.bailee.trail.ping".into();
        }
        let id = format!("{}/ping-{}", sink.name, house.now().ms());
        push::send(house, &self.tenant, &sink, &id, &[act], vec![event])
            .await
            .map_err(|why| Failure::Conflict(format!("`{}` did not take it: {}", self.name, short(&why))))
    }
}

/// Seals secrets of sinks anew, where they lie under an older version of the tenant's key.
pub(in crate::trail) fn reseal(
    tx: &mut TenantTx<'_, '_>,
    key: &TenantKey,
    done: &mut Resealed,
) -> Result<(), Failure> {
    for sink in rows::sinks(tx)? {
        if let Some(after) = key.reseal_trail(&purpose(&sink.name), &sink.sealed_secret)? {
            done.note(rows::reseal(tx, &sink.name, (&sink.sealed_secret, &after))?);
        }
    }
    Ok(())
}
