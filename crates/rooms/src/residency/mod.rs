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
