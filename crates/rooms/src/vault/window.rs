//! Reading an object as an operator: in windows, each with its own intent, its own look at the grant and its
//! own outcome. A grant that ends stops the next window (I2).

use std::sync::Arc;

use bailee_types::{BucketName, GrantId, ObjectKey, TenantId, TicketId};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};

use super::encryption::cover_of;
use super::get::{find, info_of, open};
use super::{ObjectInfo, object_asked};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// Bytes of one window.
pub const WINDOW_LEN: u64 = 8 * 1024 * 1024;

/// One window of an operator's read.
#[derive(Clone, Debug)]
pub struct ReadObject {
    /// Whose object.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The ticket that the operator works on.
    pub ticket: TicketId,
    /// The first byte of the window.
    pub start: u64,
    /// For later windows: the grant of the first.
    pub continues: Option<GrantId>,
}

/// What one window holds.
pub struct Window {
    /// The object.
    pub info: ObjectInfo,
    /// The content from the window's start.
    pub bytes: Bytes,
    /// The grant under which it was read.
    pub grant: GrantId,
    /// The index of the intent.
    pub record: u64,
    /// Where the next window starts; none at the end.
    pub next: Option<u64>,
    /// The transfer under which it left its jurisdiction.
    pub transfer: Option<String>,
}

impl Operation for ReadObject {
    type Output = Window;

    fn asks(&self) -> Asked {
        let mut asked =
            object_asked(&self.tenant, &self.bucket, &self.key, "oss:GetObject", Some(&self.ticket));
        asked.class = Class::Management { write: false };
        asked.continues.clone_from(&self.continues);
        if self.start > 0 {
            asked.parameters.insert("start".into(), self.start.into());
        }
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Window, Failure> {
        let (Some(grant), Some(record)) = (intent.grant().map(|g| g.grant.clone()), intent.record()) else {
            return Err(Failure::Conflict("only an operator with a grant reads in windows".into()));
        };
        let row = find(house, &self.tenant, &self.bucket, &self.key, None).await?;
        let key = house.tenant_key_version(&self.tenant, row.key_version).await?;
        let info = info_of(&key, &self.bucket, &self.key, &row)?;
        if let Some(target) = &info.meta.symlink {
            return Err(Failure::Conflict(format!(
                "the object is a symbolic link: what it means is `{target}`, which needs a grant of its own"
            )));
        }
        if self.start > info.size {
            return Err(Failure::Precondition("the object became shorter while it was read"));
        }
        info.meta.check_at_hand(&self.key, house.now())?;
        let end = info.size.min(self.start.saturating_add(WINDOW_LEN));
        let cover = cover_of(&info.meta, None)?;
        let what = (&row, &info.meta, &cover);
        let opened = open(house, intent, &self.tenant, &self.bucket, &self.key, what).await?;
        if info.size == 0 {
            opened.prove_empty(house).await?;
            let transfer = intent.transfer().map(str::to_owned);
            house.note_moved(intent, 0).await?;
            return Ok(Window { info, bytes: Bytes::new(), grant, record, next: None, transfer });
        }
        let mut blocks = opened.blocks(house, self.start, end);
        let mut bytes = BytesMut::with_capacity((end - self.start) as usize);
        while let Some(block) = blocks.next().await {
            bytes.extend_from_slice(&block?);
        }
        house.note_moved(intent, bytes.len() as u64).await?;
        let next = (end < info.size).then_some(end);
        let transfer = intent.transfer().map(str::to_owned);
        Ok(Window { info, bytes: bytes.freeze(), grant, record, next, transfer })
    }

    fn outcome_detail(window: &Window) -> Map<String, Value> {
        let mut detail = parameters(json!({ "bytes": window.bytes.len(), "of": window.info.size }));
        if let Some(id) = &window.transfer {
            detail.insert("transfer".into(), id.clone().into());
        }
        detail
    }
}
