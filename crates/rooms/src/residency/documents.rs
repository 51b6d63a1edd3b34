//! The documents of transfers themselves: attached by the tenant, read by the tenant, kept while the transfer is live.
//!
//! INVARIANT: an operator reads none of them: no consent covers a document, and no role of his has the act.
//! INVARIANT: what a live transfer rests on is not removed.

use std::sync::Arc;

use bailee_store::TenantTx;
use bailee_types::TenantId;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::json;

use super::register::{TransferDocument, TransferState, asked, only_tenant, short};
use super::{Transfer, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Principal, Touches};
use crate::vault::{Holder, NewPaper, Paper, is_digest, remove_paper};
use crate::{Failure, House, Thing};

const TYPE: &str = "ACS::Bailee::TransferDocument";

/// Attaches a document to a transfer.
#[derive(Clone, Debug)]
pub struct AttachDocument {
    /// The tenant.
    pub tenant: TenantId,
    /// The transfer.
    pub id: String,
    /// The document.
    pub document: NewPaper,
    /// The SHA-256 of the document that it must be, when it is to stand for one that was named before.
    pub named: Option<String>,
}

impl Operation for AttachDocument {
    type Output = ();

    fn asks(&self) -> Asked {
        let mut asked = asked(&self.tenant, "bailee:AttachTransferDocument", &self.id, true);
        (asked.resource_type, asked.touches) = (TYPE, Touches::Content);
        asked.parameters = parameters(json!({
            "document": self.document.name(), "sha256": self.document.sha256(), "bytes": self.document.size(),
            "named": self.named.as_deref().map(short),
        }));
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        // Who works at the machine may file what the tenant named; what else belongs to a transfer the tenant says.
        let files = matches!(intent.caller().principal(), Principal::System { .. });
        if !files {
            only_tenant(intent, &self.tenant)?;
        }
        let digest = self.document.sha256().to_owned();
        if let Some(named) = self.named.filter(|n| *n != digest) {
            return Err(Failure::invalid(
                "document",
                format!("has the SHA-256 `{digest}`; the one that was named has `{}`", short(&named)),
            ));
        }
        let sealed = house.seal_papers(intent, Holder::transfer(&self.id), &[self.document]).await?;
        let sealed = Arc::new(sealed);
        let kept = Arc::clone(&sealed);
        let done = house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let transfer = known(&mut tx, &self.id)?;
                if files && !transfer.told.documents.iter().any(|d| d.sha256 == digest) {
                    return Err(Failure::Conflict(format!(
                        "the tenant named no document with the SHA-256 `{digest}` for transfer `{}`; only the tenant adds one",
                        self.id
                    )));
                }
                kept.keep(&mut tx)
            })
            .await;
        if let Err(why) = &done {
            sealed.discard(house, why).await;
        }
        done
    }
}

fn known(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<Transfer, Failure> {
    rows::one(tx, id)?.ok_or_else(|| Failure::not_found(Thing::Transfer, id))
}

/// What documents a transfer has: those that are kept, and those that were named and are not.
#[derive(Clone, Debug)]
pub struct ListDocuments {
    /// The tenant.
    pub tenant: TenantId,
    /// The transfer.
    pub id: String,
}

/// Documents of a transfer.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Those that are kept, in the order in which they came.
    pub kept: Vec<Paper>,
    /// Those that were named and are not here.
    pub missing: Vec<TransferDocument>,
}

impl Operation for ListDocuments {
    type Output = Documents;

    fn asks(&self) -> Asked {
        Asked { class: Class::Data, ..asked(&self.tenant, "bailee:ListTransfers", &self.id, false) }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Documents, Failure> {
        let kept = house.papers(&self.tenant, Holder::transfer(&self.id)).await?;
        let transfer = house.db.read(move |tx| known(&mut tx.tenant(&self.tenant), &self.id)).await?;
        let mut missing = transfer.told.documents;
        missing.retain(|d| !kept.iter().any(|p| p.sha256 == d.sha256));
        Ok(Documents { kept, missing })
    }
}

fn of_document(tenant: &TenantId, action: &'static str, id: &str, sha256: &str, write: bool) -> Asked {
    Asked {
        resource_type: TYPE,
        touches: Touches::Content,
        parameters: parameters(json!({ "sha256": short(sha256) })),
        ..asked(tenant, action, id, write)
    }
}

/// Reads a document of a transfer. Each reading stands in the log.
#[derive(Clone, Debug)]
pub struct ReadDocument {
    /// The tenant.
    pub tenant: TenantId,
    /// The transfer.
    pub id: String,
    /// The document's SHA-256.
    pub sha256: String,
}

impl Operation for ReadDocument {
    type Output = (Paper, BoxStream<'static, Result<Bytes, Failure>>);

    fn asks(&self) -> Asked {
        of_document(&self.tenant, "bailee:GetTransferDocument", &self.id, &self.sha256, false)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Self::Output, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("only the tenant reads the documents of its transfers".into()));
        }
        if !is_digest(&self.sha256) {
            return Err(Failure::not_found(Thing::Document, short(&self.sha256)));
        }
        house.read_paper(intent, Holder::transfer(&self.id), &self.sha256).await
    }
}

/// Removes a document of a transfer that is over. A live one rests on it.
#[derive(Clone, Debug)]
pub struct RemoveDocument {
    /// The tenant.
    pub tenant: TenantId,
    /// The transfer.
    pub id: String,
    /// The document's SHA-256.
    pub sha256: String,
}

impl Operation for RemoveDocument {
    type Output = ();

    fn asks(&self) -> Asked {
        of_document(&self.tenant, "bailee:RemoveTransferDocument", &self.id, &self.sha256, true)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<(), Failure> {
        only_tenant(intent, &self.tenant)?;
        house.need_fresh_if_bound(intent.caller()).await?;
        let (key, now) = (house.tenant_key(&self.tenant).await?, house.now());
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let state = known(&mut tx, &self.id)?.state(now);
                if !matches!(state, TransferState::Ended | TransferState::Expired) {
                    return Err(Failure::Retained(format!(
                        "transfer `{}` is {} and rests on its documents; end it before you remove one",
                        self.id,
                        state.word()
                    )));
                }
                remove_paper(&mut tx, &key, &Holder::transfer(&self.id), &self.sha256, now)
            })
            .await
    }
}
