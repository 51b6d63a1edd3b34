//! The register of transfers: the tenant says under which legal basis which content may go where, for how long, and stops it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, BucketName, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bases::{Basis, Claim};
use super::{request, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::vault::{Holder, NewPaper, is_digest};
use crate::{Failure, House, Thing};

/// Transfers of one tenant, ended ones too.
const TRANSFERS_MAX: usize = 1_000;
pub(super) const RESOURCES_MAX: usize = 50;
pub(super) const TEXT_MAX: usize = 500;
const DOCUMENTS_MAX: usize = 20;

/// A document that a basis rests on, named so that nobody can exchange it. It may be attached, too ([`super::AttachDocument`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferDocument {
    /// What it is called.
    pub name: String,
    /// SHA-256 of its bytes, 64 hex digits.
    pub sha256: String,
}

/// What the tenant tells of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// `controller` or `processor`: the tenant's own role.
    pub exporter_role: String,
    /// Who receives.
    pub importer: String,
    /// `controller`, `processor` or `sub_processor`.
    pub importer_role: String,
    /// Why.
    pub purpose: String,
    /// Categories of data.
    pub data_categories: String,
    /// Whether sensitive data is among it.
    pub sensitive: bool,
    /// Whose data, and of how many people about.
    pub subjects: String,
    /// What the basis needs, by name.
    pub facts: BTreeMap<String, String>,
    /// Documents.
    pub documents: Vec<TransferDocument>,
}

/// One row of the register.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Its id.
    pub id: String,
    /// The jurisdiction that is left.
    pub from: String,
    /// The one that is reached.
    pub to: String,
    /// What it covers: `bucket/prefix`, of which everything behind is meant.
    pub resources: Vec<String>,
    /// The basis.
    pub basis: String,
    /// What was told.
    pub told: Told,
    /// The first instant.
    pub valid_from: Timestamp,
    /// The first instant at which it is not any more.
    pub valid_until: Timestamp,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// By whom.
    pub registered_by: String,
    /// Since when it is stopped for now.
    pub suspended_at: Option<Timestamp>,
    /// Since when it is stopped for good.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub stop_reason: String,
    /// Acts that moved content under it.
    pub moves: u64,
    /// Bytes of content that they gave out.
    pub moved_bytes: u64,
    /// The first of them.
    pub first_moved_at: Option<Timestamp>,
    /// The last.
    pub last_moved_at: Option<Timestamp>,
}

/// How a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferState {
    /// It allows what it covers.
    Live,
    /// It will.
    NotYet,
    /// Not for now.
    Suspended,
    /// Its time is over.
    Expired,
    /// It was ended.
    Ended,
}

impl TransferState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NotYet => "not yet",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

impl Transfer {
    /// Whether a text has the form of an id: `tr-` and twelve letters and digits.
    pub fn is_id(text: &str) -> bool {
        text.strip_prefix("tr-").is_some_and(|rest| {
            rest.len() == 12 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    }

    /// How it stands now.
    pub fn state(&self, now: Timestamp) -> TransferState {
        if self.ended_at.is_some() {
            TransferState::Ended
        } else if now >= self.valid_until {
            TransferState::Expired
        } else if self.suspended_at.is_some() {
            TransferState::Suspended
        } else if now < self.valid_from {
            TransferState::NotYet
        } else {
            TransferState::Live
        }
    }

    /// Whether it allows `bucket/key` to go there now.
    fn covers(&self, object: &str, from: &str, to: &str, now: Timestamp) -> bool {
        self.state(now) == TransferState::Live
            && self.from == from
            && self.to == to
            && self.resources.iter().any(|r| object.starts_with(r.as_str()))
    }
}

/// The live transfer under which an object may go to a place, if there is one.
pub(crate) fn covering(
    tx: &mut TenantTx<'_, '_>,
    object: &str,
    (from, to): (&str, &str),
    now: Timestamp,
) -> Result<Option<String>, bailee_store::StoreError> {
    Ok(rows::all(tx)?.into_iter().find(|t| t.covers(object, from, to, now)).map(|t| t.id))
}

/// One act that moved content.
#[derive(Clone, Debug)]
pub struct Move {
    /// The record of its intent in the tenant's log.
    pub record: u64,
    /// When.
    pub at: Timestamp,
    /// `bucket/key`.
    pub resource: String,
    /// Who, as the tenant sees him.
    pub who: String,
    /// Bytes that were given out; none while it runs, or when that is not known.
    pub bytes: Option<u64>,
}

/// Writes a move down, before it happens.
pub(crate) fn note_move(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    m: &Move,
) -> Result<(), bailee_store::StoreError> {
    rows::insert_move(tx, id, m)
}

pub(super) fn asked(tenant: &TenantId, action: &'static str, id: &str, write: bool) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, &format!("transfer/{id}")),
        resource_type: "ACS::Bailee::Transfer",
        class: Class::Management { write },
        touches: Touches::Nothing,
        ticket: None,
        parameters: Map::new(),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

/// What somebody told, short enough for a record: what is longer is refused.
pub(super) fn short(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// Registers a transfer: with it the tenant consents.
#[derive(Clone, Debug)]
pub struct RegisterTransfer {
    /// The tenant.
    pub tenant: TenantId,
    /// The jurisdiction that is left, one of the house's regions'; none: its own.
    pub from: Option<String>,
    /// The jurisdiction that is reached, ISO 3166-1 alpha-2.
    pub to: String,
    /// What it covers: `bucket` or `bucket/prefix`.
    pub resources: Vec<String>,
    /// The id of its basis.
    pub basis: String,
    /// The rest.
    pub told: Told,
    /// The first instant; none: now.
    pub valid_from: Option<Timestamp>,
    /// The first instant at which it is not any more.
    pub valid_until: Timestamp,
    /// Documents to be attached to it; they count as told.
    pub attached: Vec<NewPaper>,
    /// The operator's request that is accepted with it.
    pub request: Option<String>,
}

impl RegisterTransfer {
    /// What was named, and what is attached and was not.
    fn documents(&self) -> Vec<TransferDocument> {
        let mut all = self.told.documents.clone();
        for paper in &self.attached {
            if !all.iter().any(|d| d.sha256 == paper.sha256()) {
                all.push(TransferDocument {
                    name: paper.name().to_owned(),
                    sha256: paper.sha256().to_owned(),
                });
            }
        }
        all
    }
}

impl Operation for RegisterTransfer {
    type Output = String;

    fn asks(&self) -> Asked {
        let mut asked = asked(&self.tenant, "bailee:RegisterTransfer", "*", true);
        asked.parameters = parameters(json!({
            "from": self.from.as_deref().map(short), "to": short(&self.to), "basis": short(&self.basis), "importer": short(&self.told.importer),
            "resources": self.resources.iter().take(RESOURCES_MAX).map(|r| short(r)).collect::<Vec<_>>(),
            "documents": self.documents().iter().take(DOCUMENTS_MAX)
                .map(|d| json!({ "name": short(&d.name), "sha256": short(&d.sha256) })).collect::<Vec<_>>(),
            "attached": self.attached.iter().take(DOCUMENTS_MAX).map(NewPaper::sha256).collect::<Vec<_>>(),
            "validUntil": self.valid_until.iso_ms(), "request": self.request.as_deref().map(short),
        }));
        asked
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<String, Failure> {
        only_tenant(intent, &self.tenant)?;
        house.need_fresh_if_bound(intent.caller()).await?;
        let now = house.now();
        let from = self.from.clone().unwrap_or_else(|| house.provider().jurisdiction.clone());
        region_lies_in(house, &from)?;
        self.told.documents = self.documents();
        self.check(&from, now)?;
        let by = intent.caller().name().to_owned();
        let id = format!("tr-{}", bailee_types::random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 12));
        let transfer = Transfer {
            id: id.clone(),
            from,
            to: self.to,
            resources: self.resources,
            basis: self.basis,
            told: self.told,
            valid_from: self.valid_from.unwrap_or(now),
            valid_until: self.valid_until,
            registered_at: now,
            registered_by: by,
            suspended_at: None,
            ended_at: None,
            stop_reason: String::new(),
            moves: 0,
            moved_bytes: 0,
            first_moved_at: None,
            last_moved_at: None,
        };
        let sealed = house.seal_papers(intent, Holder::transfer(&id), &self.attached).await?;
        let sealed = Arc::new(sealed);
        let kept = Arc::clone(&sealed);
        let done = house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::all(&mut tx)?.len() >= TRANSFERS_MAX {
                    return Err(Failure::limit(Thing::Transfer, "transfers", TRANSFERS_MAX as u64));
                }
                if let Some(request) = &self.request {
                    request::accept(&mut tx, request, &transfer, now)?;
                }
                rows::insert(&mut tx, &transfer)?;
                kept.keep(&mut tx)?;
                Ok(id)
            })
            .await;
        if let Err(why) = &done {
            sealed.discard(house, why).await;
        }
        done
    }

    fn outcome_detail(id: &String) -> Map<String, Value> {
        parameters(json!({ "transfer": id }))
    }
}

pub(super) fn only_tenant(intent: &Intent, tenant: &TenantId) -> Result<(), Failure> {
    match intent.caller().tenant() == Some(tenant) {
        true => Ok(()),
        false => Err(Failure::Conflict("only the tenant decides what leaves its jurisdiction".into())),
    }
}

pub(super) fn region_lies_in(house: &House, from: &str) -> Result<(), Failure> {
    match house.regions().iter().any(|r| r.jurisdiction == from) {
        true => Ok(()),
        false => Err(Failure::invalid(
            "from",
            format!("is `{}`, where no region of this provider lies", short(from)),
        )),
    }
}

pub(super) fn check_place(to: &str, from: &str) -> Result<(), Failure> {
    if to.len() != 2 || !to.bytes().all(|b| b.is_ascii_uppercase()) || to == from {
        return Err(Failure::invalid(
            "to",
            format!("must be a country's code of two letters, e.g. SG, and not {from}, where the data lies"),
        ));
    }
    Ok(())
}

/// What a transfer covers, written as the register has it: everything behind a slash.
pub(super) fn check_resources(resources: &mut [String]) -> Result<(), Failure> {
    if !(1..=RESOURCES_MAX).contains(&resources.len()) {
        return Err(Failure::invalid(
            "resources",
            "must name 1 to 50 buckets or prefixes, e.g. `invoices` or `invoices/2026/`",
        ));
    }
    for resource in resources {
        let bucket = resource.split('/').next().unwrap_or_default();
        if BucketName::parse(bucket).is_err() || resource.len() > 1_100 || resource.contains(char::is_control)
        {
            return Err(Failure::invalid("resources", format!("holds `{resource}`, which names no bucket")));
        }
        if !resource.contains('/') {
            resource.push('/');
        }
    }
    Ok(())
}

impl RegisterTransfer {
    fn check(&mut self, from: &str, now: Timestamp) -> Result<(), Failure> {
        check_place(&self.to, from)?;
        check_resources(&mut self.resources)?;
        let told = &self.told;
        for (field, text, needed) in [
            ("importer", &told.importer, true),
            ("purpose", &told.purpose, true),
            ("dataCategories", &told.data_categories, true),
            ("subjects", &told.subjects, false),
        ] {
            let len = text.trim().chars().count();
            if (needed && len < 2) || len > TEXT_MAX {
                return Err(Failure::invalid(field, format!("must have 2 to {TEXT_MAX} characters")));
            }
        }
        for (field, role, roles) in [
            ("exporterRole", &told.exporter_role, &["controller", "processor"][..]),
            ("importerRole", &told.importer_role, &["controller", "processor", "sub_processor"][..]),
        ] {
            if !roles.contains(&role.as_str()) {
                return Err(Failure::invalid(field, format!("must be one of {}", roles.join(", "))));
            }
        }
        if told.facts.len() > 30
            || told.facts.iter().any(|(k, v)| k.len() > 64 || v.chars().count() > TEXT_MAX)
        {
            return Err(Failure::invalid("facts", "are too many or too long"));
        }
        let named = |d: &TransferDocument| (1..=200).contains(&d.name.trim().chars().count());
        if told.documents.len() > DOCUMENTS_MAX
            || !told.documents.iter().all(|d| is_digest(&d.sha256) && named(d))
        {
            return Err(Failure::invalid(
                "documents",
                "must be at most 20, each with a name and the SHA-256 of its bytes (64 lower-case hex digits)",
            ));
        }
        let from_ms = self.valid_from.unwrap_or(now).ms();
        if self.valid_until <= now || self.valid_until.ms() <= from_ms {
            return Err(Failure::invalid("validUntil", "must lie in the future and behind the beginning"));
        }
        Basis::known(&self.basis)?.check(&Claim {
            from,
            to: &self.to,
            exporter: &told.exporter_role,
            importer: &told.importer_role,
            facts: Some(&told.facts),
            documents: told.documents.len(),
            valid_from: from_ms,
            valid_until: self.valid_until.ms(),
        })
    }
}

/// What is done with a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferChange {
    /// Nothing moves under it until it is resumed.
    Suspend,
    /// It goes on.
    Resume,
    /// Nothing moves under it any more.
    End,
}

/// Stops a transfer, or lets it go on. Seen by the next act: both are rows that it reads in its own transaction.
#[derive(Clone, Debug)]
pub struct ChangeTransfer {
    /// The tenant.
    pub tenant: TenantId,
    /// Which.
    pub id: String,
    /// What.
    pub change: TransferChange,
    /// Why.
    pub reason: String,
}

impl Operation for ChangeTransfer {
    type Output = ();

    fn asks(&self) -> Asked {
        let action = match self.change {
            TransferChange::Suspend => "bailee:SuspendTransfer",
            TransferChange::Resume => "bailee:ResumeTransfer",
            TransferChange::End => "bailee:EndTransfer",
        };
        let mut asked = asked(&self.tenant, action, &self.id, true);
        asked.parameters = parameters(json!({ "reason": short(&self.reason) }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        only_tenant(intent, &self.tenant)?;
        if self.change == TransferChange::Resume {
            house.need_fresh_if_bound(intent.caller()).await?;
        }
        if self.reason.chars().count() > TEXT_MAX {
            return Err(Failure::invalid("reason", format!("must have at most {TEXT_MAX} characters")));
        }
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let mut transfer = rows::one(&mut tx, &self.id)?
                    .ok_or_else(|| Failure::not_found(Thing::Transfer, &self.id))?;
                let state = transfer.state(now);
                match (self.change, state) {
                    (TransferChange::Suspend, TransferState::Live | TransferState::NotYet) => {
                        transfer.suspended_at = Some(now);
                    }
                    (TransferChange::Resume, TransferState::Suspended) => transfer.suspended_at = None,
                    (
                        TransferChange::End,
                        TransferState::Live | TransferState::NotYet | TransferState::Suspended,
                    ) => transfer.ended_at = Some(now),
                    (_, state) => {
                        return Err(Failure::Conflict(format!(
                            "transfer `{}` is {} now; nothing was changed",
                            self.id,
                            state.word()
                        )));
                    }
                }
                transfer.stop_reason = self.reason;
                rows::set_stopped(&mut tx, &transfer).map_err(Failure::from)
            })
            .await
    }
}

/// The register of a tenant, the newest first.
#[derive(Clone, Debug)]
pub struct ListTransfers {
    /// The tenant.
    pub tenant: TenantId,
}

impl Operation for ListTransfers {
    type Output = Vec<Transfer>;

    fn asks(&self) -> Asked {
        Asked { class: Class::Data, ..asked(&self.tenant, "bailee:ListTransfers", "*", false) }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Transfer>, Failure> {
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let mut all = rows::all(&mut tx)?;
                for transfer in &mut all {
                    rows::count(&mut tx, transfer)?;
                }
                Ok(all)
            })
            .await
    }
}

/// What moved under one, the newest first.
#[derive(Clone, Debug)]
pub struct ListMoves {
    /// The tenant.
    pub tenant: TenantId,
    /// Which.
    pub id: String,
    /// Only below this record.
    pub before: Option<u64>,
    /// At most so many.
    pub rows_max: u32,
}

impl Operation for ListMoves {
    type Output = (Transfer, Vec<Move>);

    fn asks(&self) -> Asked {
        Asked { class: Class::Data, ..asked(&self.tenant, "bailee:ListTransfers", &self.id, false) }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(Transfer, Vec<Move>), Failure> {
        house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let mut transfer = rows::one(&mut tx, &self.id)?
                    .ok_or_else(|| Failure::not_found(Thing::Transfer, &self.id))?;
                rows::count(&mut tx, &mut transfer)?;
                let moves = rows::moves(&mut tx, &self.id, self.before, self.rows_max.min(1_000))?;
                Ok((transfer, moves))
            })
            .await
    }
}

impl House {
    /// How much of what was noted was given out.
    pub(crate) async fn note_moved(&self, intent: &Intent, bytes: u64) -> Result<(), Failure> {
        let (Some(id), Some(record)) = (intent.transfer().map(str::to_owned), intent.record()) else {
            return Ok(());
        };
        let tenant = intent.asked().tenant.clone();
        self.db
            .write(move |tx| {
                rows::set_bytes(&mut tx.tenant(&tenant), &id, record, bytes).map_err(Failure::from)
            })
            .await
    }
}
