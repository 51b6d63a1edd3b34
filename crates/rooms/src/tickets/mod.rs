//! Tickets: why an operator looks at a tenant at all.
//!
//! First form: title, open, closed. Messages, attachments and clocks come with the tickets issue.
//! INVARIANT: an operator's act on a tenant names an open ticket of that tenant; a closed one opens nothing.

mod rows;

use std::sync::Arc;

use bailee_store::{StoreError, TenantTx};
use bailee_types::{Arn, TenantAlias, TenantId, TicketId, Timestamp};
use serde_json::json;

use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
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
    /// Who opened it: a user's name.
    pub opened_by: String,
    /// When.
    pub opened_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// Opens a ticket.
#[derive(Clone, Debug)]
pub struct OpenTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// 3 to 200 characters.
    pub title: String,
}

/// Closes a ticket; every grant bound to it ends with it.
#[derive(Clone, Debug)]
pub struct CloseTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
}

/// The tenant's tickets, newest first. A tenant's own look, so a data event.
#[derive(Clone, Debug)]
pub struct ListTickets {
    /// The tenant.
    pub tenant: TenantId,
    /// At most so many.
    pub tickets_max: u32,
}

impl Operation for OpenTicket {
    type Output = TicketId;

    fn asks(&self) -> Asked {
        asked(
            &self.tenant,
            "bailee:OpenTicket",
            "ticket/*",
            json!({ "title": self.title.chars().take(200).collect::<String>() }),
        )
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<TicketId, Failure> {
        let title = self.title.trim().to_owned();
        if !(3..=200).contains(&title.chars().count()) || title.chars().any(char::is_control) {
            return Err(Failure::invalid("title", "must have 3 to 200 characters on one line"));
        }
        let (by, now) = (intent.caller().name().to_owned(), house.now());
        house
            .db
            .write(move |tx| {
                let number = rows::next_number(tx)?;
                rows::insert(&mut tx.tenant(&self.tenant), number, &title, &by, now)?;
                TicketId::parse(&format!("T-{number}")).map_err(|e| Failure::Bug(e.to_string()))
            })
            .await
    }
}

impl Operation for CloseTicket {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(
            &self.tenant,
            "bailee:CloseTicket",
            &format!("ticket/{}", self.ticket),
            json!({ "ticket": self.ticket.as_str() }),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::close(&mut tx, number(&self.ticket), now)? == 1 {
                    return Ok(());
                }
                Err(Failure::not_found(Thing::Ticket, &self.ticket))
            })
            .await
    }
}

impl Operation for ListTickets {
    type Output = Vec<Ticket>;

    fn asks(&self) -> Asked {
        let mut asked = asked(&self.tenant, "bailee:ListTickets", "ticket/*", json!({}));
        asked.class = Class::Data;
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Ticket>, Failure> {
        house.tickets(&self.tenant, self.tickets_max).await
    }
}

impl House {
    /// A tenant's tickets, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tickets(&self, tenant: &TenantId, limit: u32) -> Result<Vec<Ticket>, Failure> {
        let tenant = tenant.clone();
        self.db.read(move |tx| rows::of_tenant(&mut tx.tenant(&tenant), limit).map_err(Failure::from)).await
    }

    /// One open or closed ticket, for the operator desk.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ticket(&self, id: &TicketId) -> Result<Ticket, Failure> {
        let wanted = number(id);
        self.db
            .read(move |tx| rows::one(tx, wanted).map_err(Failure::from))
            .await?
            .ok_or_else(|| Failure::not_found(Thing::Ticket, id))
    }

    /// Open tickets of all tenants, oldest first, for the operator desk.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_tickets(&self, limit: u32) -> Result<Vec<Ticket>, Failure> {
        self.db.read(move |tx| rows::all_open(tx, limit).map_err(Failure::from)).await
    }
}

/// Whether the tenant has this ticket and it is open.
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
