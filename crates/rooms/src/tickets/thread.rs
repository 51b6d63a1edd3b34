//! What happens on a ticket: messages of both sides, assignments, steps of its state. Entries are added and never edited.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::{OperatorId, TenantId, TicketId, Timestamp};
use serde_json::{Map, Value, json};

use super::{Side, State, Step, Ticket, asked, number, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Caller, Class, Intent, Operation};
use crate::keys::TenantKey;
use crate::vault::{Holder, Paper};
use crate::{Failure, House, Thing, notices};

/// Characters of a message.
pub const MESSAGE_MAX: usize = 20_000;
/// Entries of a ticket.
pub const ENTRIES_MAX: i64 = 2_000;
/// Entries of one answer.
pub const PAGE_MAX: u32 = 100;

/// Writes a message on a ticket: by the tenant's people, or by an operator.
#[derive(Clone)]
pub struct ReplyTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
    /// Markdown, at most [`MESSAGE_MAX`] characters.
    pub text: String,
}

/// Gives a ticket to an operator: himself, or a colleague.
#[derive(Clone, Debug)]
pub struct AssignTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
    /// To whom.
    pub to: OperatorId,
}

/// Says that a ticket is done; every grant bound to it ends with it. Either side may.
#[derive(Clone, Debug)]
pub struct SolveTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
}

/// Says that a solved ticket is not done. Grants that ended stay ended.
#[derive(Clone, Debug)]
pub struct ReopenTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
}

/// Closes a ticket for good; every grant bound to it ends with it.
#[derive(Clone, Debug)]
pub struct CloseTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
}

/// A ticket with its thread. A tenant's own look is a data event, an operator's is recorded.
#[derive(Clone, Debug)]
pub struct GetTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
    /// Only entries before this one.
    pub before: Option<i64>,
    /// Whether the look is recorded whoever looks: an administrator at the machine says so.
    pub recorded: bool,
}

/// A ticket with a part of its thread.
#[derive(Clone, Debug)]
pub struct Thread {
    /// The ticket.
    pub ticket: Ticket,
    /// The newest entries that were asked for, oldest first.
    pub entries: Vec<Entry>,
    /// Whether there are older ones.
    pub more: bool,
    /// The documents on it, in the order in which they came.
    pub attachments: Vec<Paper>,
}

/// Something that happened on a ticket.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the thread, from 1.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub step: Step,
    /// By which side.
    pub side: Side,
    /// By whom: a user's name; an operator's pseudonym for the tenant, his id for the provider; a worker's name.
    pub writer: String,
    /// Of an assignment: to whom, as `writer`.
    pub assignee: Option<String>,
    /// Of a message: its text.
    pub text: Option<String>,
}

/// Who acts on a ticket, as its entries have it.
pub(crate) fn side_of(caller: &Caller, tenant: &TenantId) -> (Side, String) {
    let side = match (caller.is_operator(), caller.tenant() == Some(tenant)) {
        (true, _) => Side::Provider,
        (_, true) => Side::Tenant,
        _ => Side::House,
    };
    (side, caller.name().to_owned())
}

/// What one entry is made of.
pub(super) struct Doing {
    pub(super) step: Step,
    pub(super) side: (Side, String),
    pub(super) assignee: Option<String>,
    pub(super) text: Option<(Arc<TenantKey>, String)>,
}

impl Doing {
    fn plain(step: Step, caller: &Caller, tenant: &TenantId) -> Self {
        Self { step, side: side_of(caller, tenant), assignee: None, text: None }
    }

    /// Does it, as far as the ticket as it is now allows. Two at once meet at the entry's number, which only one gets.
    pub(super) fn on(
        self,
        tx: &mut TenantTx<'_, '_>,
        id: &TicketId,
        now: Timestamp,
    ) -> Result<State, Failure> {
        let of = number(id);
        let ticket = rows::own(tx, of, now)?.ok_or_else(|| Failure::not_found(Thing::Ticket, id))?;
        let state = ticket.state().after((self.side.0, self.step), ticket.solved_at, now)?;
        self.enter(tx, of, state, now)?;
        Ok(state)
    }

    /// Adds the entry, and brings the ticket to its state.
    pub(super) fn enter(
        self,
        tx: &mut TenantTx<'_, '_>,
        of: i64,
        state: State,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (last, last_at) = rows::last_entry(tx, of)?;
        // What ends a ticket is always possible.
        if last >= ENTRIES_MAX && state.is_live() {
            return Err(Failure::limit(Thing::Ticket, "entries of a ticket", ENTRIES_MAX as u64));
        }
        let seq = last + 1;
        // A clock that went back does not make a wait negative.
        let at = Timestamp::from_ms(now.ms().max(last_at));
        rows::set_state(tx, of, (state, self.step), at)?;
        if let Some(to) = &self.assignee {
            rows::assign(tx, of, to)?;
        }
        let entry = rows::EntryRow {
            number: of,
            seq,
            at,
            step: self.step,
            side: self.side.0,
            writer: self.side.1,
            assignee: self.assignee,
            pauses: !matches!(state, State::Open | State::Waiting),
            sealed: self.text.map(|(key, text)| key.seal_trail(&purpose(of, seq), text.as_bytes())),
        };
        rows::add_entry(tx, &entry)?;
        if self.step == Step::Assign {
            return Ok(());
        }
        Ok(tell(tx, self.side.0, of, now)?)
    }
}

/// Tells the other side that a ticket has something new.
pub(super) fn tell(
    tx: &mut TenantTx<'_, '_>,
    by: Side,
    ticket: i64,
    now: Timestamp,
) -> Result<(), bailee_store::StoreError> {
    let id = format!("T-{ticket}");
    match by {
        Side::Tenant => notices::emit_to_provider(tx, notices::Kind::Ticket, &id, now),
        Side::Provider | Side::House => notices::emit(tx, notices::Kind::Ticket, &id, now),
    }
}

pub(super) fn purpose(ticket: i64, seq: i64) -> String {
    format!("message {ticket}/{seq}")
}

/// The text of a message as it is kept.
pub(super) fn message(text: &str) -> Result<String, Failure> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MESSAGE_MAX {
        return Err(Failure::invalid("message", format!("must have 1 to {MESSAGE_MAX} characters")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Failure::invalid(
            "message",
            "must have no control characters but ends of lines and tabs",
        ));
    }
    Ok(text.to_owned())
}

/// The text of a message as its row has it.
pub(super) fn opened(key: &TenantKey, row: &rows::EntryRow) -> Result<Option<String>, Failure> {
    let Some(sealed) = &row.sealed else { return Ok(None) };
    let plain = key.open_trail(&purpose(row.number, row.seq), sealed)?;
    String::from_utf8(plain.expose().to_vec())
        .map(Some)
        .map_err(|_| Failure::Damaged(format!("message {}/{} is no text", row.number, row.seq)))
}

pub(super) fn of_ticket(tenant: &TenantId, ticket: &TicketId, action: &'static str) -> Asked {
    let detail = json!({ "ticket": ticket.as_str() });
    asked(tenant, action, &format!("ticket/{ticket}"), detail)
}

fn told(state: &State) -> Map<String, Value> {
    parameters(json!({ "state": state.word() }))
}

impl Operation for ReplyTicket {
    type Output = State;

    fn asks(&self) -> Asked {
        of_ticket(&self.tenant, &self.ticket, "bailee:ReplyTicket")
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<State, Failure> {
        let text = message(&self.text)?;
        let key = house.tenant_key(&self.tenant).await?;
        let doing =
            Doing { text: Some((key, text)), ..Doing::plain(Step::Message, intent.caller(), &self.tenant) };
        let now = house.now();
        house.db.write(move |tx| doing.on(&mut tx.tenant(&self.tenant), &self.ticket, now)).await
    }

    fn outcome_detail(state: &State) -> Map<String, Value> {
        told(state)
    }
}

impl Operation for AssignTicket {
    /// The operator's pseudonym.
    type Output = String;

    fn asks(&self) -> Asked {
        // The tenant reads the record: it says who by his pseudonym, in the outcome.
        of_ticket(&self.tenant, &self.ticket, "bailee:AssignTicket")
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<String, Failure> {
        if !house.operators().await?.iter().any(|o| o.id == self.to && o.active) {
            return Err(Failure::not_found(Thing::Operator, &self.to));
        }
        let pseudonym = house.pseudonym(&self.tenant, &self.to).to_string();
        let doing = Doing {
            assignee: Some(self.to.to_string()),
            ..Doing::plain(Step::Assign, intent.caller(), &self.tenant)
        };
        let now = house.now();
        house.db.write(move |tx| doing.on(&mut tx.tenant(&self.tenant), &self.ticket, now)).await?;
        Ok(pseudonym)
    }

    fn outcome_detail(pseudonym: &String) -> Map<String, Value> {
        parameters(json!({ "assigned": pseudonym }))
    }
}

macro_rules! plain_step {
    ($op:ident, $step:ident, $action:literal) => {
        impl Operation for $op {
            type Output = State;

            fn asks(&self) -> Asked {
                of_ticket(&self.tenant, &self.ticket, $action)
            }

            async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<State, Failure> {
                let doing = Doing::plain(Step::$step, intent.caller(), &self.tenant);
                let now = house.now();
                house.db.write(move |tx| doing.on(&mut tx.tenant(&self.tenant), &self.ticket, now)).await
            }

            fn outcome_detail(state: &State) -> Map<String, Value> {
                told(state)
            }
        }
    };
}
plain_step!(SolveTicket, Solve, "bailee:SolveTicket");
plain_step!(ReopenTicket, Reopen, "bailee:ReopenTicket");
plain_step!(CloseTicket, Close, "bailee:CloseTicket");

impl Operation for GetTicket {
    type Output = Thread;

    fn asks(&self) -> Asked {
        let mut asked = of_ticket(&self.tenant, &self.ticket, "bailee:GetTicket");
        asked.class = if self.recorded { Class::Management { write: false } } else { Class::Data };
        asked.ticket = Some(self.ticket.clone());
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Thread, Failure> {
        let key = house.tenant_key(&self.tenant).await?;
        let (of, now) = (number(&self.ticket), house.now());
        let (tenant, before) = (self.tenant.clone(), self.before.unwrap_or(i64::MAX));
        let (ticket, mut found) = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&tenant);
                let Some(ticket) = rows::own(&mut tx, of, now)? else { return Ok((None, Vec::new())) };
                Ok::<_, Failure>((Some(ticket), rows::entries(&mut tx, of, before, PAGE_MAX + 1)?))
            })
            .await?;
        let mut ticket = ticket.ok_or_else(|| Failure::not_found(Thing::Ticket, &self.ticket))?;
        let mut attachments = house.papers(&self.tenant, Holder::ticket(&self.ticket)).await?;
        let more = found.len() > PAGE_MAX as usize;
        found.truncate(PAGE_MAX as usize);
        let mut entries = Vec::with_capacity(found.len());
        for row in found.into_iter().rev() {
            entries.push(Entry {
                text: opened(&key, &row)?,
                seq: row.seq,
                at: row.at,
                step: row.step,
                side: row.side,
                writer: row.writer,
                assignee: row.assignee,
            });
        }
        if intent.caller().tenant().is_some() {
            house.veil(&mut ticket);
            for entry in &mut entries {
                if entry.side == Side::Provider {
                    entry.writer = house.veiled(&self.tenant, &entry.writer);
                }
                entry.assignee = entry.assignee.take().map(|a| house.veiled(&self.tenant, &a));
            }
            for paper in attachments.iter_mut().filter(|p| p.by_operator) {
                paper.attached_by = house.veiled(&self.tenant, &paper.attached_by);
            }
        }
        Ok(Thread { ticket, entries, more, attachments })
    }
}

impl House {
    /// An operator as a tenant may know him.
    fn veiled(&self, tenant: &TenantId, operator: &str) -> String {
        OperatorId::parse(operator)
            .map_or_else(|_| String::new(), |id| self.pseudonym(tenant, &id).to_string())
    }

    pub(super) fn veil(&self, ticket: &mut Ticket) {
        ticket.assigned = ticket.assigned.take().map(|a| self.veiled(&ticket.tenant, &a));
    }
}
