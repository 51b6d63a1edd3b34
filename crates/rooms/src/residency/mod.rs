//! Residency: no byte of content leaves its jurisdiction without the tenant's consent and a legal basis (I4).
//!
//! INVARIANT: whether a transfer covers an act is read in the transaction that writes the act's intent, so one that was stopped
//! covers nothing that begins after the stop; what moves is written down in the same transaction, before it does.

mod bases;
mod documents;
mod region;
mod register;
mod request;
mod rows;

pub use bases::Basis;
pub use documents::{AttachDocument, Documents, ListDocuments, ReadDocument, RemoveDocument};
pub use region::{AddRegion, AllowRegions, GetAllowedRegions, REGIONS_MAX, Region};
pub(crate) use region::{Depots, MoveContent, watch_regions};
pub use register::{
    ChangeTransfer, ListMoves, ListTransfers, Move, RegisterTransfer, Told, Transfer, TransferChange,
    TransferDocument, TransferState,
};
pub(crate) use register::{covering, note_move};
pub use request::{
    Answer, DeclineTransfer, ListTransferRequests, REQUEST_LAPSE_MS, RequestState, RequestTransfer,
    TransferRequest,
};

use crate::{Failure, House};

impl House {
    /// Transfers that are not over: all, those that end within `days`, and those whose basis is not in use any more.
    pub(crate) async fn transfers_ending(&self, days: i64) -> Result<(u64, u64, u64), Failure> {
        let now = self.now();
        let all = self.db.read(move |tx| rows::not_over(tx, now).map_err(Failure::from)).await?;
        let soon = all.iter().filter(|t| t.1 <= now.plus_ms(days * 86_400_000)).count();
        let historic =
            all.iter().filter(|t| Basis::find(&t.0).is_none_or(|b| b.usable_until.is_some())).count();
        Ok((all.len() as u64, soon as u64, historic as u64))
    }

    /// What moved under transfers: all moves, and those from outside their transfer's time.
    pub(crate) async fn moves_out_of_time(&self) -> Result<(u64, u64), Failure> {
        self.db.read(|tx| rows::moves_out_of_time(tx).map_err(Failure::from)).await
    }
}
