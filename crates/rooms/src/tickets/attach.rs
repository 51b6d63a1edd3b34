//! Documents on a ticket: either side attaches them while the ticket is open, the tenant reads them whenever it likes, and an
//! operator of support while the ticket is open, where the document lies. Each reading stands in the tenant's log before it happens.

use std::sync::Arc;

use bailee_types::{TenantId, TicketId};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};

use super::thread::{of_ticket, side_of, tell};
use super::{Step, number, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::vault::{Holder, NewPaper, Paper, is_digest, remove_paper};
use crate::{Failure, House, Thing};

/// Attaches documents to a ticket, all of them or none.
#[derive(Clone, Debug)]
pub struct AttachToTicket {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
    /// The documents; their number and size have the limits of all documents.
    pub documents: Vec<NewPaper>,
}

/// Reads a document of a ticket.
#[derive(Clone, Debug)]
pub struct ReadAttachment {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
    /// The document's SHA-256.
    pub sha256: String,
}

/// Removes a document of a ticket, in whatever state that is: the tenant only.
#[derive(Clone, Debug)]
pub struct RemoveAttachment {
    /// The tenant.
    pub tenant: TenantId,
    /// The ticket.
    pub ticket: TicketId,
    /// The document's SHA-256.
    pub sha256: String,
}

fn asked(tenant: &TenantId, ticket: &TicketId, action: &'static str, write: bool, more: Value) -> Asked {
    let mut asked = of_ticket(tenant, ticket, action);
    asked.parameters.extend(parameters(more));
    Asked {
        resource_type: "ACS::Bailee::TicketAttachment",
        class: Class::Management { write },
        ticket: Some(ticket.clone()),
        ..asked
    }
}

/// What a caller says is a digest, cut to what one can be.
fn named(sha256: &str) -> Value {
    json!({ "sha256": sha256.chars().take(64).collect::<String>() })
}

fn none(sha256: &str) -> Failure {
    Failure::not_found(Thing::Document, sha256.chars().take(64).collect::<String>())
}

impl Operation for AttachToTicket {
    type Output = ();

    fn asks(&self) -> Asked {
        let documents: Vec<_> = self
            .documents
            .iter()
            .map(|d| json!({ "document": d.name(), "sha256": d.sha256(), "bytes": d.size() }))
            .collect();
        let more = json!({ "documents": documents });
        asked(&self.tenant, &self.ticket, "bailee:AttachToTicket", true, more)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if self.documents.is_empty() {
            return Err(Failure::invalid("document", "must be one at least"));
        }
        let (side, now) = (side_of(intent.caller(), &self.tenant).0, house.now());
        let may = move |tx: &mut bailee_store::TenantTx<'_, '_>, id: &TicketId| {
            let ticket =
                rows::own(tx, number(id), now)?.ok_or_else(|| Failure::not_found(Thing::Ticket, id))?;
            ticket.state().after((side, Step::Message), ticket.solved_at, now).map(drop)
        };
        // Nothing is sealed for who may not: then once more where the rows are written.
        let (tenant, id) = (self.tenant.clone(), self.ticket.clone());
        house.db.read(move |tx| may(&mut tx.tenant(&tenant), &id)).await?;
        let sealed = house.seal_papers(intent, Holder::ticket(&self.ticket), &self.documents).await?;
        let sealed = Arc::new(sealed);
        let kept = Arc::clone(&sealed);
        let done = house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                may(&mut tx, &self.ticket)?;
                kept.keep(&mut tx)?;
                Ok(tell(&mut tx, side, number(&self.ticket), now)?)
            })
            .await;
        if let Err(why) = &done {
            sealed.discard(house, why).await;
        }
        done
    }
}

impl Operation for ReadAttachment {
    type Output = (Paper, BoxStream<'static, Result<Bytes, Failure>>);

    fn asks(&self) -> Asked {
        let action = "bailee:GetTicketAttachment";
        Asked {
            touches: Touches::Attachment,
            ..asked(&self.tenant, &self.ticket, action, false, named(&self.sha256))
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) && !intent.caller().is_operator() {
            return Err(Failure::Conflict("only the tenant and operators read documents of a ticket".into()));
        }
        if !is_digest(&self.sha256) {
            return Err(none(&self.sha256));
        }
        house.read_paper(intent, Holder::ticket(&self.ticket), &self.sha256).await
    }
}

impl Operation for RemoveAttachment {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(&self.tenant, &self.ticket, "bailee:RemoveTicketAttachment", true, named(&self.sha256))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant removes documents of its tickets".into()));
        }
        let (key, now) = (house.tenant_key(&self.tenant).await?, house.now());
        house
            .db
            .write(move |tx| {
                if !is_digest(&self.sha256) {
                    return Err(none(&self.sha256));
                }
                let mut tx = tx.tenant(&self.tenant);
                remove_paper(&mut tx, &key, &Holder::ticket(&self.ticket), &self.sha256, now)
            })
            .await
    }
}
