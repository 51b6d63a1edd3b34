//! The identity room's only SQL, a file a kind of row.

pub(super) mod closure;
pub(super) mod device;
pub(super) mod group;
pub(super) mod key;
pub(super) mod login;
pub(super) mod mfa;
pub(super) mod operator;
pub(super) mod policy;
pub(super) mod provider;
pub(super) mod role;
pub(super) mod session;
pub(super) mod setting;
pub(super) mod tag;
pub(crate) mod tenant;
pub(super) mod user;

use bailee_store::{Row, StoreError};

fn count_of(row: Option<Row>) -> Result<u64, StoreError> {
    row.map_or(Ok(0), |r| r.uint(0))
}
