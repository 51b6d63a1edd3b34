//! Sessions of operators with a tenant's systems: who may open one, how long it lives, and its recording.
//!
//! The protocols are spoken elsewhere (crate `broker`); here is what they ask: [`House::enter_session`] lets a connection in,
//! [`Seat::record`] takes what passes before it is forwarded, [`Seat::ended`] says when the connection must stop.
//! For objects there is no broker between: keys for the object listener are taken instead ([`TakeKeys`]).
//! INVARIANT: a session is opened by an act under a live grant that names the target; it ends when the grant does.
//! INVARIANT: a seat whose session this process could not confirm for [`LEASE_MS`] has ended (fail closed).
//! INVARIANT: a recording is read masked, but for `bailee:ReplayUnmasked`, which is on record as such.
//! INVARIANT: each part of a recording ends with a record in the tenant's log that says its length and the head of its chain.

mod keep;
mod keys;
mod lease;
mod mask;
mod recording;
mod rows;
mod session;
mod target;

pub(crate) use keep::{keep, reseal};
pub use keys::{BeyondGrant, KEYS_MINUTES_MAX, KEYS_PAGE_MAX, ListKeys, ObjectKeys, TakeKeys, TakenKeys};
pub(crate) use keys::{keys_ended, note_opened, opened_before};
pub(crate) use lease::{BrokerState, watch_leases};
pub use lease::{LEASE_MS, Reading, STREAMS_MAX, Seat};
pub use mask::{
    Builtin, MASKS_MAX, Masks, OwnMask, PATTERN_MAX, SetMasks, SetRecordingMasks, ShowRecordingMasks,
};
pub use recording::{READ_BYTES_MAX, ReadRecording, Recorded, RecordedFrame, Replay, Side};
pub(crate) use rows::{
    count_sessions, end_all, end_of_operator, session as session_of, sessions_about, sessions_within,
};
pub use session::{
    CutSession, Ended, ListSessions, OpenSession, Opened, ReturnSession, SESSIONS_PAGE_MAX, Session,
};
pub(crate) use target::fits;
pub use target::{DeleteTarget, ListTargets, PutTarget, Settings, Target};
