//! The words of Bailee as types: ids, names, ARNs, time and secrets.
//!
//! A value of one of these types is valid: it was parsed at the edge, so nothing below asks again.
//! INVARIANT: this crate has no IO except [`SystemClock`] and [`random_bytes`], which callers hand in.

mod arn;
mod ids;
mod names;
mod secret;
mod time;

pub use arn::{Arn, ArnError};
pub use ids::{
    AccessKeyId, ChangeId, GrantId, GroupId, HandlingId, KeyId, KeyVersionId, LogId, ObjectVersionId,
    OperatorId, Pseudonym, RequestId, RoleId, StandingId, TenantId, TicketId, UserId, random_bytes,
    random_text,
};
pub use names::{
    BucketName, GroupName, NameError, ObjectKey, PolicyName, ProviderName, RegionId, RoleName, SessionName,
    TargetName, TenantAlias, UserName,
};
pub use secret::{SecretBytes, SecretText};
pub use time::{Clock, ManualClock, SystemClock, TimeError, Timestamp};
