//! Lists of tickets: filtered, page by page, and searched.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailee_types::{OperatorId, TenantId};
use serde_json::json;

use super::thread::opened;
use super::{Category, Priority, State, Ticket, asked, rows};
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// Messages that one look opens at most.
pub const SEARCH_MAX: usize = 5_000;
/// Characters of a text that is searched for.
pub const TEXT_MAX: usize = 200;
/// Tickets of a page.
pub const TICKETS_MAX: u32 = 200;
/// Messages of one read.
const BATCH: i64 = 200;

/// Which states a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Neither solved nor closed.
    Live,
    /// One state.
    In(State),
}

/// To whom the tickets of a list are assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// Not yet to anybody.
    Nobody,
    /// To anybody.
    Somebody,
    /// To this operator; the provider's lists only.
    To(OperatorId),
}

/// Which tickets a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In these states.
    pub stands: Option<Stands>,
    /// Of this category.
    pub category: Option<Category>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// Assigned so.
    pub assigned: Option<Assigned>,
    /// Only with a clock that is past its time.
    pub overdue: bool,
    /// With this text in the title; upper and lower case are the same.
    pub text: Option<String>,
    /// Or in a message.
    pub in_messages: bool,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The newest first.
    pub tickets: Vec<Ticket>,
    /// Where the next page begins, when there is one.
    pub next: Option<i64>,
    /// Whether there are messages that the search did not come to.
    pub search_ended: bool,
}

/// A tenant's tickets, the newest first. Its own look is a data event, an operator's is recorded.
#[derive(Clone, Debug)]
pub struct ListTickets {
    /// The tenant.
    pub tenant: TenantId,
    /// Which.
    pub filter: Filter,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many, up to [`TICKETS_MAX`].
    pub tickets_max: u32,
}

impl Operation for ListTickets {
    type Output = Page;

    fn asks(&self) -> Asked {
        let detail = json!({ "opensMessages": self.filter.in_messages });
        let mut asked = asked(&self.tenant, "bailee:ListTickets", "ticket/*", detail);
        asked.class = Class::Data;
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Page, Failure> {
        let is_tenant = intent.caller().tenant().is_some();
        // Else a tenant could find out whose pseudonym stands on a ticket, by asking for everybody.
        if is_tenant && matches!(self.filter.assigned, Some(Assigned::To(_))) {
            return Err(Failure::invalid("assigned", "must be nobody or somebody"));
        }
        let (found, search_ended) = match (&self.filter.text, self.filter.in_messages) {
            (Some(text), true) => house.search_messages(&self.tenant, text).await?,
            _ => (Vec::new(), false),
        };
        let mut page =
            house.page(Some(self.tenant), self.filter, found, (self.before, self.tickets_max)).await?;
        page.search_ended = search_ended;
        if is_tenant {
            page.tickets.iter_mut().for_each(|t| house.veil(t));
        }
        Ok(page)
    }
}

impl House {
    /// Tickets of all tenants, the newest first, for the operator desk. Messages are not opened here: that is an act
    /// on one tenant ([`ListTickets`]).
    ///
    /// # Errors
    /// When the database cannot be read, or messages are to be searched.
    pub async fn desk_tickets(
        &self,
        filter: Filter,
        before: Option<i64>,
        tickets_max: u32,
    ) -> Result<Page, Failure> {
        if filter.in_messages {
            let why = "are searched of one tenant at a time, because it is recorded: name the tenant";
            return Err(Failure::invalid("messages", why));
        }
        self.page(None, filter, Vec::new(), (before, tickets_max)).await
    }

    async fn page(
        &self,
        tenant: Option<TenantId>,
        filter: Filter,
        found: Vec<i64>,
        (before, tickets_max): (Option<i64>, u32),
    ) -> Result<Page, Failure> {
        if filter.text.as_ref().is_some_and(|t| t.chars().count() > TEXT_MAX || t.contains('\0')) {
            return Err(Failure::invalid("text", format!("must have at most {TEXT_MAX} characters")));
        }
        let (now, targets, max) = (self.now(), self.ticket_targets, tickets_max.clamp(1, TICKETS_MAX));
        let mut tickets = self
            .db
            .read(move |tx| {
                let part = (before, max + 1);
                rows::list(tx, tenant.as_ref(), &filter, &found, part, (&targets, now)).map_err(Failure::from)
            })
            .await?;
        let more = tickets.len() > max as usize;
        tickets.truncate(max as usize);
        let next = tickets.last().filter(|_| more).map(|t| super::number(&t.id));
        Ok(Page { tickets, next, search_ended: false })
    }

    /// The tickets whose messages have a text, and whether there are messages that were not looked at.
    async fn search_messages(&self, tenant: &TenantId, text: &str) -> Result<(Vec<i64>, bool), Failure> {
        let (key, wanted) = (self.tenant_key(tenant).await?, text.to_lowercase());
        let (mut found, mut looked) = (BTreeSet::new(), 0);
        let mut place: rows::Place = (i64::MAX, i64::MAX, i64::MAX);
        loop {
            let of = tenant.clone();
            let batch = self
                .db
                .read(move |tx| {
                    rows::newest_messages(&mut tx.tenant(&of), place, BATCH).map_err(Failure::from)
                })
                .await?;
            let Some(last) = batch.last() else { return Ok((found.into_iter().collect(), false)) };
            place = (last.at.ms(), last.number, last.seq);
            for row in &batch {
                if looked == SEARCH_MAX {
                    return Ok((found.into_iter().collect(), true));
                }
                looked += 1;
                if opened(&key, row)?.is_some_and(|t| t.to_lowercase().contains(&wanted)) {
                    found.insert(row.number);
                }
            }
        }
    }
}
