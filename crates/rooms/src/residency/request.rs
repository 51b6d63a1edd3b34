//! Requests for transfers: an operator proposes one in a ticket, the tenant answers.
//!
//! INVARIANT: a request permits nothing, in whatever state: what allows content to leave is a row of the register, which accepting
//! writes by the very act that registers ([`super::RegisterTransfer`]), with its permission and its checks.
//! INVARIANT: what is accepted is what was asked for, or less; it is answered once, in time, while its ticket is open.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{Arn, OperatorId, Pseudonym, TenantId, TicketId, Timestamp};
use serde_json::{Map, Value, json};

use super::register::{
    RESOURCES_MAX, TEXT_MAX, asked, check_place, check_resources, only_tenant, region_lies_in, short,
};
use super::{Basis, Transfer, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Principal, Touches};
use crate::{Failure, House, Thing, tickets};

/// A request waits this long for an answer; then it lapses, which is a no.
pub const REQUEST_LAPSE_MS: i64 = 14 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// Days that can be asked for.
const DAYS_MAX: u32 = 3_660;
/// Requests of a tenant that wait.
const WAITING_MAX: usize = 20;
/// Requests of a tenant, answered ones too.
const REQUESTS_MAX: usize = 1_000;

/// A request as both sides see it.
#[derive(Clone, Debug)]
pub struct TransferRequest {
    /// Its id.
    pub id: String,
    /// Whose data.
    pub tenant: TenantId,
    /// The ticket that it is about.
    pub ticket: TicketId,
    /// Who asks; for the provider's own pages only.
    pub operator: OperatorId,
    /// Who asks, as the tenant sees him.
    pub pseudonym: Pseudonym,
    /// Where he is.
    pub place: String,
    /// The jurisdiction that would be left.
    pub from: String,
    /// The one that would be reached.
    pub to: String,
    /// What it would cover: `bucket/prefix`.
    pub resources: Vec<String>,
    /// The basis that he proposes.
    pub basis: String,
    /// Who would receive.
    pub importer: String,
    /// Why.
    pub reason: String,
    /// For how many days, counted from the acceptance.
    pub days: u32,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it lapses without an answer.
    pub lapses_at: Timestamp,
    /// The answer.
    pub answer: Option<Answer>,
    /// Whether its ticket is open.
    pub(super) ticket_open: bool,
}

/// What a tenant answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What he says.
    pub note: String,
    /// The transfer of the register, when it was accepted.
    pub transfer: Option<String>,
}

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It waits for the tenant.
    Requested,
    /// There is a transfer.
    Accepted,
    /// The tenant said no.
    Declined,
    /// Not answered in time.
    Lapsed,
    /// Its ticket was closed before.
    TicketClosed,
}

impl RequestState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Lapsed => "lapsed",
            Self::TicketClosed => "ticket closed",
        }
    }
}

impl TransferRequest {
    /// Whether a text has the form of an id: `tq-` and twelve letters and digits.
    pub fn is_id(text: &str) -> bool {
        text.strip_prefix("tq-").is_some_and(|rest| Transfer::is_id(&format!("tr-{rest}")))
    }

    /// How it stands now.
    pub fn state(&self, now: Timestamp) -> RequestState {
        match &self.answer {
            Some(Answer { transfer: Some(_), .. }) => RequestState::Accepted,
            Some(_) => RequestState::Declined,
            None if now >= self.lapses_at => RequestState::Lapsed,
            None if !self.ticket_open => RequestState::TicketClosed,
            None => RequestState::Requested,
        }
    }

    fn need_open(&self, now: Timestamp) -> Result<(), Failure> {
        match self.state(now) {
            RequestState::Requested => Ok(()),
            state => Err(Failure::Conflict(format!(
                "request `{}` is {} now; nothing was changed",
                self.id,
                state.word()
            ))),
        }
    }

    /// Refuses what is more than what was asked for.
    fn check_accepted(&self, t: &Transfer, now: Timestamp) -> Result<(), Failure> {
        if (&t.from, &t.to) != (&self.from, &self.to) {
            return Err(Failure::invalid(
                "to",
                format!("must be as asked for: {} to {}", self.from, self.to),
            ));
        }
        if let Some(more) =
            t.resources.iter().find(|r| !self.resources.iter().any(|w| r.starts_with(w.as_str())))
        {
            return Err(Failure::invalid(
                "resources",
                format!(
                    "holds `{more}`, which was not asked for; accept less, or register a transfer of its own"
                ),
            ));
        }
        if t.valid_until > now.plus_ms(i64::from(self.days) * DAY_MS) {
            return Err(Failure::invalid(
                "validUntil",
                format!("lies behind the {} days that were asked for", self.days),
            ));
        }
        Ok(())
    }
}

/// One request with what its ticket says.
fn one(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<TransferRequest, Failure> {
    let mut found =
        rows::request(tx, id)?.ok_or_else(|| Failure::not_found(Thing::TransferRequest, short(id)))?;
    found.ticket_open = tickets::is_open(tx, &found.ticket)?;
    Ok(found)
}

/// Accepts a request in the transaction that puts its transfer into the register.
pub(super) fn accept(
    tx: &mut TenantTx<'_, '_>,
    id: &str,
    transfer: &Transfer,
    now: Timestamp,
) -> Result<(), Failure> {
    let request = one(tx, id)?;
    request.need_open(now)?;
    request.check_accepted(transfer, now)?;
    let (by, transfer) = (transfer.registered_by.clone(), Some(transfer.id.clone()));
    answer(tx, id, &Answer { at: now, by, note: String::new(), transfer })
}

fn answer(tx: &mut TenantTx<'_, '_>, id: &str, answer: &Answer) -> Result<(), Failure> {
    match rows::answer_request(tx, id, answer)? {
        true => Ok(()),
        false => Err(Failure::Conflict(format!("request `{id}` is answered already; nothing was changed"))),
    }
}

/// Proposes a transfer to a tenant, in a ticket.
#[derive(Clone, Debug)]
pub struct RequestTransfer {
    /// Whose data.
    pub tenant: TenantId,
    /// The tenant's open ticket.
    pub ticket: TicketId,
    /// The jurisdiction that would be left; none: the house's own.
    pub from: Option<String>,
    /// The one that would be reached.
    pub to: String,
    /// `bucket` or `bucket/prefix`.
    pub resources: Vec<String>,
    /// The id of a basis.
    pub basis: String,
    /// Who would receive.
    pub importer: String,
    /// Why, 5 to 500 characters; the tenant reads it.
    pub reason: String,
    /// For how many days.
    pub days: u32,
}

impl Operation for RequestTransfer {
    type Output = String;

    fn asks(&self) -> Asked {
        Asked {
            resource: Arn::own(&self.tenant, "transfer-request/*"),
            touches: Touches::Metadata,
            ticket: Some(self.ticket.clone()),
            parameters: parameters(json!({
                "from": self.from.as_deref().map(short), "to": short(&self.to), "basis": short(&self.basis),
                "resources": self.resources.iter().take(RESOURCES_MAX).map(|r| short(r)).collect::<Vec<_>>(),
                "importer": short(&self.importer), "reason": short(&self.reason), "days": self.days,
            })),
            ..asked(&self.tenant, "bailee:RequestTransfer", "*", true)
        }
    }

    async fn act(mut self, house: &Arc<House>, intent: &Intent) -> Result<String, Failure> {
        let Principal::Operator { id: operator, place, .. } = intent.caller().principal() else {
            return Err(Failure::Conflict(
                "only an operator asks for a transfer; the tenant registers one".into(),
            ));
        };
        let from = self.from.take().unwrap_or_else(|| house.provider().jurisdiction.clone());
        region_lies_in(house, &from)?;
        check_place(&self.to, &from)?;
        check_resources(&mut self.resources)?;
        for (field, text, least) in [("importer", &self.importer, 2), ("reason", &self.reason, 5)] {
            if !(least..=TEXT_MAX).contains(&text.trim().chars().count()) {
                return Err(Failure::invalid(field, format!("must have {least} to {TEXT_MAX} characters")));
            }
        }
        if !(1..=DAYS_MAX).contains(&self.days) {
            return Err(Failure::invalid("days", format!("must be 1 to {DAYS_MAX}")));
        }
        Basis::known(&self.basis)?.check_law(&from)?;
        let now = house.now();
        let request = TransferRequest {
            id: format!("tq-{}", bailee_types::random_text(b"abcdefghjkmnpqrstuvwxyz23456789", 12)),
            tenant: self.tenant.clone(),
            ticket: self.ticket,
            operator: operator.clone(),
            pseudonym: house.pseudonym(&self.tenant, operator),
            place: place.clone(),
            from,
            to: self.to,
            resources: self.resources,
            basis: self.basis,
            importer: self.importer.trim().to_owned(),
            reason: self.reason.trim().to_owned(),
            days: self.days,
            asked_at: now,
            lapses_at: now.plus_ms(REQUEST_LAPSE_MS),
            answer: None,
            ticket_open: true,
        };
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if !tickets::is_open(&mut tx, &request.ticket)? {
                    return Err(Failure::not_found(Thing::Ticket, &request.ticket));
                }
                let all = of_tenant(&mut tx)?;
                let waiting = all.iter().filter(|r| r.state(now) == RequestState::Requested).count();
                for (there, max) in [(waiting, WAITING_MAX), (all.len(), REQUESTS_MAX)] {
                    if there >= max {
                        return Err(Failure::limit(
                            Thing::TransferRequest,
                            "requests for transfers",
                            max as u64,
                        ));
                    }
                }
                rows::insert_request(&mut tx, &request)?;
                Ok(request.id)
            })
            .await
    }

    fn outcome_detail(id: &String) -> Map<String, Value> {
        parameters(json!({ "request": id }))
    }
}

fn of_tenant(tx: &mut TenantTx<'_, '_>) -> Result<Vec<TransferRequest>, Failure> {
    let mut all = rows::requests(tx)?;
    for request in all.iter_mut().filter(|r| r.answer.is_none()) {
        request.ticket_open = tickets::is_open(tx, &request.ticket)?;
    }
    Ok(all)
}

/// Says no to a request.
#[derive(Clone, Debug)]
pub struct DeclineTransfer {
    /// The tenant.
    pub tenant: TenantId,
    /// The request.
    pub id: String,
    /// Why; the operator reads it.
    pub note: String,
}

impl Operation for DeclineTransfer {
    type Output = ();

    fn asks(&self) -> Asked {
        Asked {
            resource: Arn::own(&self.tenant, &format!("transfer-request/{}", self.id)),
            parameters: parameters(json!({ "note": short(&self.note) })),
            ..asked(&self.tenant, "bailee:DeclineTransfer", "*", true)
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        only_tenant(intent, &self.tenant)?;
        if self.note.chars().count() > TEXT_MAX {
            return Err(Failure::invalid("note", format!("must have at most {TEXT_MAX} characters")));
        }
        let (now, by) = (house.now(), intent.caller().name().to_owned());
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                one(&mut tx, &self.id)?.need_open(now)?;
                answer(&mut tx, &self.id, &Answer { at: now, by, note: self.note, transfer: None })
            })
            .await
    }
}

/// What operators proposed to a tenant, the newest first.
#[derive(Clone, Debug)]
pub struct ListTransferRequests {
    /// The tenant.
    pub tenant: TenantId,
}

impl Operation for ListTransferRequests {
    type Output = Vec<TransferRequest>;

    fn asks(&self) -> Asked {
        Asked { class: Class::Data, ..asked(&self.tenant, "bailee:ListTransfers", "*", false) }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<TransferRequest>, Failure> {
        house.db.read(move |tx| of_tenant(&mut tx.tenant(&self.tenant))).await
    }
}

impl House {
    /// What an operator proposed to all tenants, the newest first, for his desk.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn operator_transfer_requests(
        &self,
        operator: &OperatorId,
        limit: u32,
    ) -> Result<Vec<TransferRequest>, Failure> {
        let operator = operator.clone();
        self.db
            .read(move |tx| {
                let mut all = rows::requests_of_operator(tx, &operator, limit)?;
                for request in all.iter_mut().filter(|r| r.answer.is_none()) {
                    request.ticket_open = tickets::is_open(&mut tx.tenant(&request.tenant), &request.ticket)?;
                }
                Ok(all)
            })
            .await
    }
}
