//! Reading an object as an operator: in windows, each with its own intent, its own look at the grant and its
//! own outcome. A grant that ends stops the next window (I2).

use std::sync::Arc;

use bailee_types::{BucketName, GrantId, ObjectKey, TenantId, TicketId};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};

use super::encryption::cover_of;
use super::get::{Choice, find, info_of, open};
use super::{ObjectInfo, VersionOf, Which, object_asked};
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
    /// Where the window starts.
    pub start: u64,
    /// The content from there.
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
        let start = self.start;
        let rest = |info: &ObjectInfo| Choice::Bytes { start, end: info.size.max(start) };
        window(house, intent, (&self.bucket, &self.key), None, rest).await
    }

    fn outcome_detail(window: &Window) -> Map<String, Value> {
        detail(window)
    }
}

/// A read with the temporary keys of a grant: what is chosen of a version, as far as one window goes. The gate counts versions, not
/// windows.
pub struct ReadVersion {
    /// Whose object.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version; none: the current one.
    pub which: Option<Which>,
    /// The ticket of the grant.
    pub ticket: TicketId,
    /// Decides what to read.
    pub choose: Box<dyn FnOnce(&ObjectInfo) -> Choice + Send>,
}

impl Operation for ReadVersion {
    type Output = Window;

    fn asks(&self) -> Asked {
        let mut asked =
            object_asked(&self.tenant, &self.bucket, &self.key, "oss:GetObject", Some(&self.ticket));
        asked.class = Class::Management { write: false };
        if let Some(which) = &self.which {
            asked.parameters.insert("versionId".into(), which.to_string().into());
        }
        asked
    }

    fn opens(&self) -> Option<VersionOf> {
        let (tenant, bucket, key) = (self.tenant.clone(), self.bucket.clone(), self.key.clone());
        Some(VersionOf { tenant, bucket, key, which: self.which.clone() })
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Window, Failure> {
        // What was counted is what is read, whatever was written meanwhile.
        let which = intent.opens().map(|id| Which::Stored(id.clone())).or(self.which);
        window(house, intent, (&self.bucket, &self.key), which.as_ref(), self.choose).await
    }

    fn outcome_detail(window: &Window) -> Map<String, Value> {
        let mut detail = detail(window);
        detail.insert("start".into(), window.start.into());
        detail.insert("versionId".into(), window.info.version_id().into());
        detail
    }
}

async fn window(
    house: &Arc<House>,
    intent: &Intent,
    (bucket, key): (&BucketName, &ObjectKey),
    which: Option<&Which>,
    choose: impl FnOnce(&ObjectInfo) -> Choice,
) -> Result<Window, Failure> {
    let (Some(grant), Some(record)) = (intent.grant().map(|g| g.grant.clone()), intent.record()) else {
        return Err(Failure::Conflict("only an operator with a grant reads in windows".into()));
    };
    let tenant = &intent.asked().tenant;
    let row = find(house, tenant, bucket, key, which).await?;
    let tenant_key = house.tenant_key_version(tenant, row.key_version).await?;
    let info = info_of(&tenant_key, bucket, key, &row)?;
    if let Some(target) = &info.meta.symlink {
        return Err(Failure::Conflict(format!(
            "the object is a symbolic link: what it means is `{target}`, which needs a grant of its own"
        )));
    }
    let transfer = intent.transfer().map(str::to_owned);
    let window = |info, (start, bytes): (u64, Bytes), next| Window {
        info,
        start,
        bytes,
        grant,
        record,
        next,
        transfer,
    };
    let (start, end) = match choose(&info) {
        Choice::Bytes { start, end } if start <= end && end <= info.size => (start, end),
        Choice::Bytes { .. } => {
            return Err(Failure::Precondition("the object became shorter while it was read"));
        }
        Choice::Nothing | Choice::Parts { .. } => {
            house.note_moved(intent, 0).await?;
            return Ok(window(info, (0, Bytes::new()), None));
        }
    };
    info.meta.check_at_hand(key, house.now())?;
    let upto = end.min(start.saturating_add(WINDOW_LEN));
    let cover = cover_of(&info.meta, None)?;
    let opened = open(house, intent, tenant, bucket, key, (&row, &info.meta, &cover)).await?;
    let mut bytes = BytesMut::with_capacity((upto - start) as usize);
    if info.size == 0 {
        opened.prove_empty(house).await?;
    } else if start < upto {
        let mut blocks = opened.blocks(house, start, upto);
        while let Some(block) = blocks.next().await {
            bytes.extend_from_slice(&block?);
        }
    }
    house.note_moved(intent, bytes.len() as u64).await?;
    Ok(window(info, (start, bytes.freeze()), (upto < end).then_some(upto)))
}

fn detail(window: &Window) -> Map<String, Value> {
    let mut detail = parameters(json!({ "bytes": window.bytes.len(), "of": window.info.size }));
    if let Some(id) = &window.transfer {
        detail.insert("transfer".into(), id.clone().into());
    }
    detail
}
