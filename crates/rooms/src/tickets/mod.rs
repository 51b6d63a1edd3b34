//! Tickets: what tenant and provider say to each other, and why an operator looks at a tenant at all.
//!
//! A ticket is `open`, then `answered` or `waiting` by who wrote last, then `solved`, then `closed`. Messages are Markdown,
//! sealed under the tenant's key and never edited. There is no note that the tenant cannot read. Clocks are read off the
//! entries and the time ([`Ticket::clocks`]); nothing of them is stored.
//! INVARIANT: an operator's act on a tenant names an open ticket of that tenant; a solved or closed one opens nothing, and
//! one that was reopened does not bring back a grant.
//! INVARIANT: a tenant sees operators by their pseudonyms only.
//! INVARIANT: a document on a ticket opens for an operator while that ticket is open, and no longer.

mod attach;
mod keep;
mod list;
mod rows;
mod state;
mod thread;

use std::sync::Arc;

use bailee_store::{StoreError, TenantTx, Tx};
use bailee_types::{Arn, TenantAlias, TenantId, TicketId, Timestamp};
use serde_json::json;

pub use attach::{AttachToTicket, ReadAttachment, RemoveAttachment};
pub(crate) use keep::{keep, reseal};
pub use list::{Assigned, Filter, ListTickets, Page, SEARCH_MAX, Stands, TEXT_MAX, TICKETS_MAX};
pub use state::{Category, Clock, Clocks, Priority, REOPEN_MS, Side, State, Step, Targets};
pub(crate) use thread::side_of;
pub use thread::{
    AssignTicket, CloseTicket, ENTRIES_MAX, Entry, GetTicket, MESSAGE_MAX, PAGE_MAX, ReopenTicket,
    ReplyTicket, SolveTicket, Thread,
};

use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::keys::TenantKey;
use crate::{Failure, House, Thing};

/// A ticket.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Its id, unique over all tenants.
    pub id: TicketId,
    /// Whose.
    pub tenant: TenantId,
    /// The tenant's alias.
    pub alias: TenantAlias,
    /// What it is about.
    pub title: String,
    /// Of which kind.
    pub category: Category,
    /// How urgent.
    pub priority: Priority,
    /// Who opened it: a user's name.
    pub opened_by: String,
    /// When.
    pub opened_at: Timestamp,
    /// To whom it is assigned: his id for the provider, his pseudonym for the tenant.
    pub assigned: Option<String>,
    /// When the provider answered first.
    pub first_answer_at: Option<Timestamp>,
    /// When it was solved.
    pub solved_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// How long (ms) its clocks stood until now.
    paused_ms: i64,
    said: Option<Side>,
}

impl Ticket {
    /// Where it stands.
    pub fn state(&self) -> State {
        match (self.closed_at, self.solved_at, self.said) {
            (Some(_), ..) => State::Closed,
            (_, Some(_), _) => State::Solved,
            (_, _, Some(Side::Provider)) => State::Answered,
            (_, _, Some(_)) => State::Waiting,
            (_, _, None) => State::Open,
        }
    }
}

/// Opens a ticket.
#[derive(Clone)]
pub struct OpenTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// 3 to 200 characters.
    pub title: String,
    /// Of which kind.
    pub category: Category,
    /// How urgent.
    pub priority: Priority,
    /// The first message, as [`ReplyTicket::text`]; a title may be enough.
    pub text: Option<String>,
}

impl OpenTicket {
    /// A ticket that is no more than a title.
    pub fn titled(tenant: TenantId, title: impl Into<String>) -> Self {
        let (category, priority) = (Category::Support, Priority::Normal);
        Self { tenant, title: title.into(), category, priority, text: None }
    }
}

impl Operation for OpenTicket {
    type Output = TicketId;

    fn asks(&self) -> Asked {
        asked(
            &self.tenant,
            "bailee:OpenTicket",
            "ticket/*",
            json!({
                "title": self.title.chars().take(200).collect::<String>(),
                "category": self.category.word(), "priority": self.priority.word(),
            }),
        )
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<TicketId, Failure> {
        let title = self.title.trim().to_owned();
        if !(3..=200).contains(&title.chars().count()) || title.chars().any(char::is_control) {
            return Err(Failure::invalid("title", "must have 3 to 200 characters on one line"));
        }
        let text = match &self.text {
            None => None,
            Some(text) => Some((house.tenant_key(&self.tenant).await?, thread::message(text)?)),
        };
        let side = thread::side_of(intent.caller(), &self.tenant);
        let now = house.now();
        house
            .db
            .write(move |tx| {
                enter(tx, &self.tenant, (&title, (self.category, self.priority)), side, text, now)
            })
            .await
    }
}

/// Opens a ticket within another act's transaction.
pub(crate) fn enter(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    (title, kind): (&str, (Category, Priority)),
    side: (Side, String),
    text: Option<(Arc<TenantKey>, String)>,
    now: Timestamp,
) -> Result<TicketId, Failure> {
    let number = rows::next_number(tx)?;
    let tx = &mut tx.tenant(tenant);
    rows::insert(tx, number, title, kind, &side.1, now)?;
    thread::tell(tx, side.0, number, now)?;
    if text.is_some() {
        let first = thread::Doing { step: Step::Message, side, assignee: None, text };
        first.enter(tx, number, State::Open, now)?;
    }
    TicketId::parse(&format!("T-{number}")).map_err(|e| Failure::Bug(e.to_string()))
}

impl House {
    /// One ticket in any state, for the operator desk.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ticket(&self, id: &TicketId) -> Result<Ticket, Failure> {
        let (wanted, now) = (number(id), self.now());
        self.db
            .read(move |tx| rows::one(tx, wanted, now).map_err(Failure::from))
            .await?
            .ok_or_else(|| Failure::not_found(Thing::Ticket, id))
    }

    /// Tickets of all tenants that are neither solved nor closed, oldest first, for the operator desk.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_tickets(&self, limit: u32) -> Result<Vec<Ticket>, Failure> {
        let now = self.now();
        self.db.read(move |tx| rows::all_open(tx, limit, now).map_err(Failure::from)).await
    }

    /// When tickets are to be answered and solved here.
    pub fn ticket_targets(&self) -> &Targets {
        &self.ticket_targets
    }
}

/// Whether the tenant has this ticket and it is neither solved nor closed.
pub(crate) fn is_open(tx: &mut TenantTx<'_, '_>, ticket: &TicketId) -> Result<bool, StoreError> {
    rows::is_open(tx, number(ticket))
}

/// The number in a ticket's id.
pub(crate) fn number(ticket: &TicketId) -> i64 {
    ticket.as_str().strip_prefix("T-").and_then(|n| n.parse().ok()).unwrap_or(-1)
}

fn asked(tenant: &TenantId, action: &'static str, relative: &str, detail: serde_json::Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, relative),
        resource_type: "ACS::Bailee::Ticket",
        class: Class::Management { write: true },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}
