//! Reading an object as its tenant: ranges, conditions, a stream in constant memory.

use std::sync::Arc;

use bailee_crypto::envelope::{Context, DataKey, HEADER_LEN, Opener, SEALED_SEGMENT_LEN, SEGMENT_LEN};
use bailee_types::{BucketName, ObjectKey, ObjectVersionId, TenantId};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::encryption::cover_of;
use super::put::raw;
use super::upload::PartDigests;
use super::version::{Marker, Which, shown_id};
use super::{Carried, ObjectInfo, ObjectMeta, object_asked, parts, rows};
use crate::gate::{Asked, Intent, Operation, Shared};
use crate::house::Counters;
use crate::keys::{Cover, CustomerKey, TenantKey};
use crate::{Failure, House, Thing};

/// Segments read from the blob store at once: 256 KiB of content.
const SEGMENTS_AT_ONCE: u64 = 4;
/// Blocks that are read ahead. With the one being sent they are what a client that stops reading can make the house hold.
const BLOCKS_AHEAD: usize = 3;
const _: () = assert!((BLOCKS_AHEAD + 1) * SEGMENTS_AT_ONCE as usize * SEGMENT_LEN <= 1024 * 1024);

/// What of an object a caller wants, decided when its headers are known (conditions, ranges).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Headers only: no key is used.
    Nothing,
    /// Headers, and what is known of the parts of an object that was put together.
    Parts {
        /// Only parts after this number.
        after: u32,
        /// At most so many.
        parts_max: u32,
    },
    /// The bytes from `start` to `end` (exclusive), within the object.
    Bytes {
        /// The first byte.
        start: u64,
        /// Behind the last byte.
        end: u64,
    },
}

/// Reads an object, or only its headers.
pub struct GetObject {
    /// The tenant.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version; none: the current one.
    pub which: Option<Which>,
    /// The key that only the customer keeps, when the object is under one.
    pub customer_key: Option<CustomerKey>,
    /// Decides what to read.
    pub choose: Box<dyn FnOnce(&ObjectInfo) -> Choice + Send>,
}

/// A part of an object that was put together.
#[derive(Clone, Debug)]
pub struct PartOf {
    /// Its number.
    pub number: u32,
    /// Bytes of content.
    pub size: u64,
    /// Its S3 checksum by the object's algorithm, base64; of what is from before there were some, none.
    pub checksum: Option<String>,
}

/// An object's headers and the chosen content.
pub struct Content {
    /// The object.
    pub info: ObjectInfo,
    /// What a copy of it carries from where.
    pub carried: Carried,
    /// The parts that were asked for, and how many there are in all.
    pub parts: (Vec<PartOf>, usize),
    /// The first block, opened before the answer begins, so that damage is an error and not a cut stream.
    pub first: Bytes,
    /// What follows the first block.
    pub rest: Option<BoxStream<'static, Result<Bytes, Failure>>>,
}

impl Operation for GetObject {
    type Output = Content;

    const MAY_STOP_ANYWHERE: bool = true;
    const ASKS_OBJECT: bool = true;

    fn asks(&self) -> Asked {
        let Some(which) = &self.which else {
            return object_asked(&self.tenant, &self.bucket, &self.key, "oss:GetObject", None);
        };
        let mut asked = object_asked(&self.tenant, &self.bucket, &self.key, "oss:GetObjectVersion", None);
        asked.parameters.insert("versionId".into(), which.to_string().into());
        asked
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Content, Failure> {
        // The stream outlives this act, which only a tenant's data event may do: an operator reads in windows.
        if !intent.is_tenants(&self.tenant) && intent.caller().replicates() != Some(&self.tenant) {
            return Err(Failure::Conflict("an operator reads an object in windows".into()));
        }
        let row = match find(house, &self.tenant, &self.bucket, &self.key, self.which.as_ref()).await {
            // Whom only the object could have let in learns nothing of what is not there.
            Err(Failure::NotFound { .. } | Failure::DeleteMarker { .. })
                if intent.shared() == Some(Shared::Object) =>
            {
                return Err(house.not_public(intent).await);
            }
            found => found?,
        };
        let key = house.tenant_key_version(&self.tenant, row.key_version).await?;
        let info = info_of(&key, &self.bucket, &self.key, &row)?;
        if !info.meta.is_open_by(intent.shared()) {
            return Err(house.not_public(intent).await);
        }
        let carried = Carried {
            tenant: self.tenant.clone(),
            object: format!("{}/{}", self.bucket, self.key),
            from: house.jurisdiction_of(&house.region_of_blob(&row.version)),
        };
        let choice = (self.choose)(&info);
        let (start, end) = match choice {
            Choice::Nothing | Choice::Parts { .. } => {
                // Who has not the customer's key gets no headers either.
                if info.meta.encryption.as_ref().is_some_and(|e| e.customer) || self.customer_key.is_some() {
                    let cover = cover_of(&info.meta, self.customer_key.as_ref())?;
                    let release = intent.release(&self.bucket, &self.key, &row.version, house.now())?;
                    house.open_data_key(&release, &cover, row.key_version, &row.wrapped_key).await?;
                }
                let parts = match choice {
                    Choice::Parts { after, parts_max } if !info.meta.appendable => {
                        let found = made_of(
                            house,
                            &self.tenant,
                            &self.bucket,
                            (&row, &info.meta, &key),
                            after,
                            parts_max,
                        );
                        (found.await?, row.parts.len())
                    }
                    _ => (Vec::new(), 0),
                };
                return Ok(Content { parts, ..nothing(info, carried) });
            }
            Choice::Bytes { start, end } if start <= end && end <= info.size => (start, end),
            Choice::Bytes { .. } => return Err(Failure::Bug("a range lies outside its object".into())),
        };
        info.meta.check_at_hand(&self.key, house.now())?;
        let cover = cover_of(&info.meta, self.customer_key.as_ref())?;
        let what = (&row, &info.meta, &cover);
        let opened = open(house, intent, &self.tenant, &self.bucket, &self.key, what).await?;
        if start >= end {
            if info.size == 0 {
                opened.prove_empty(house).await?;
            }
            return Ok(nothing(info, carried));
        }
        if opened.is_inline() {
            // Small: no stream, no boxes.
            let first = opened.whole(house, start, end).await?;
            return Ok(Content { first, ..nothing(info, carried) });
        }
        let mut blocks = opened.blocks(house, start, end);
        let first = blocks.next().await.unwrap_or_else(|| Ok(Bytes::new()))?;
        let rest = (start + (first.len() as u64) < end).then_some(blocks);
        Ok(Content { first, rest, ..nothing(info, carried) })
    }
}

/// Headers alone.
fn nothing(info: ObjectInfo, carried: Carried) -> Content {
    Content { info, carried, parts: (Vec::new(), 0), first: Bytes::new(), rest: None }
}

/// Parts of an object after a number.
async fn made_of(
    house: &House,
    tenant: &TenantId,
    bucket: &BucketName,
    (row, meta, key): (&rows::ObjectRow, &ObjectMeta, &TenantKey),
    after: u32,
    parts_max: u32,
) -> Result<Vec<PartOf>, Failure> {
    let (t, version) = (tenant.clone(), row.version.clone());
    let found = house
        .db
        .read(move |tx| {
            rows::digests_of_object(&mut tx.tenant(&t), &version, after, parts_max).map_err(Failure::from)
        })
        .await?;
    let algorithm = meta.checksum.as_ref().map(|sum| sum.algorithm);
    let of_one = |(part, digests): rows::DigestedPart| {
        let digests = digests.map(|sealed| PartDigests::open(key, bucket, &part.id, &sealed)).transpose()?;
        let checksum =
            digests.zip(algorithm).and_then(|(digests, of)| digests.checksum(of).map(str::to_owned));
        Ok(PartOf { number: part.number, size: part.size, checksum })
    };
    found.into_iter().map(of_one).collect()
}

/// The row of an object, or which of bucket and object is missing.
pub(super) async fn find(
    house: &House,
    tenant: &TenantId,
    bucket: &BucketName,
    key: &ObjectKey,
    which: Option<&Which>,
) -> Result<rows::ObjectRow, Failure> {
    let (t, b, k, which) = (tenant.clone(), bucket.clone(), key.clone(), which.cloned());
    house
        .db
        .read(move |tx| {
            let mut tx = tx.tenant(&t);
            if let Some(row) = rows::object(&mut tx, &b, &k, which.as_ref(), true)? {
                return Ok(row);
            }
            if rows::bucket(&mut tx, &b)?.is_none() {
                return Err(Failure::not_found(Thing::Bucket, &b));
            }
            if let Some((id, is_null, at)) = rows::marker(&mut tx, &b, &k, which.as_ref())? {
                let marker = Marker { id: shown_id(is_null, &id), at, named: which.is_some() };
                return Err(Failure::DeleteMarker { key: k.to_string(), marker });
            }
            Err(match which {
                Some(which) => Failure::not_found(Thing::Version, which),
                None => Failure::not_found(Thing::Object, &k),
            })
        })
        .await
}

pub(super) fn info_of(
    tenant_key: &TenantKey,
    bucket: &BucketName,
    key: &ObjectKey,
    row: &rows::ObjectRow,
) -> Result<ObjectInfo, Failure> {
    Ok(ObjectInfo {
        key: key.clone(),
        version: row.version.clone(),
        is_null: row.is_null,
        size: row.size,
        modified_at: row.modified_at,
        meta: open_meta(tenant_key, bucket, &row.version, &row.sealed_meta)?,
    })
}

pub(super) fn open_meta(
    key: &TenantKey,
    bucket: &BucketName,
    version: &ObjectVersionId,
    sealed: &[u8],
) -> Result<ObjectMeta, Failure> {
    let plain = key.open_metadata(bucket, version, sealed)?;
    serde_json::from_slice(plain.expose()).map_err(|e| {
        Failure::Damaged(format!("the metadata of object version `{version}` cannot be read: {e}"))
    })
}

/// An object whose key is open. Content leaves it segment by segment, each authenticated.
pub(super) struct OpenObject {
    data_key: Arc<DataKey>,
    tenant: TenantId,
    /// The bucket's name, or what a paper is attached to.
    place: String,
    /// In order; one for an object that came as a whole.
    pieces: Vec<Piece>,
}

/// One envelope of an object.
struct Piece {
    id: ObjectVersionId,
    /// Its first byte in the object.
    start: u64,
    size: u64,
    header: Vec<u8>,
    inline: Option<Bytes>,
}

/// A piece that is open.
struct OpenPiece {
    opener: Opener,
    id: ObjectVersionId,
    size: u64,
    inline: Option<Bytes>,
}

pub(super) async fn open(
    house: &Arc<House>,
    intent: &Intent,
    tenant: &TenantId,
    bucket: &BucketName,
    key: &ObjectKey,
    (row, meta, cover): (&rows::ObjectRow, &ObjectMeta, &Cover),
) -> Result<OpenObject, Failure> {
    parts::check(&row.version, row.size, &row.parts, meta.parts.as_deref())?;
    let release = intent.release(bucket, key, &row.version, house.now())?;
    let data_key = house.open_data_key(&release, cover, row.key_version, &row.wrapped_key).await?;
    let mut pieces = Vec::with_capacity(row.parts.len().max(1));
    let mut start = 0;
    for part in &row.parts {
        let (id, size, header) = (part.id.clone(), part.size, part.header.clone());
        pieces.push(Piece { id, start, size, header, inline: None });
        start += size;
    }
    if pieces.is_empty() {
        pieces.push(Piece {
            id: row.version.clone(),
            start: 0,
            size: row.size,
            header: row.header.clone(),
            inline: row.inline.clone().map(Bytes::from),
        });
    }
    let (tenant, place) = (tenant.clone(), bucket.to_string());
    Ok(OpenObject { data_key: Arc::new(data_key), tenant, place, pieces })
}

impl OpenObject {
    /// What lies whole in one blob, in a place that is no bucket.
    pub(super) fn of_blob(
        data_key: Arc<DataKey>,
        tenant: &TenantId,
        place: String,
        (id, size, header): (ObjectVersionId, u64, Vec<u8>),
    ) -> Self {
        let pieces = vec![Piece { id, start: 0, size, header, inline: None }];
        Self { data_key, tenant: tenant.clone(), place, pieces }
    }

    pub(super) fn is_inline(&self) -> bool {
        self.pieces.first().is_some_and(|p| p.inline.is_some())
    }

    /// The content from `start` to `end` (exclusive) as blocks of at most 256 KiB; the next ones are read
    /// while the present one is sent.
    pub(super) fn blocks(
        self,
        house: &Arc<House>,
        start: u64,
        end: u64,
    ) -> BoxStream<'static, Result<Bytes, Failure>> {
        let house = Arc::clone(house);
        let Self { data_key, tenant, place, pieces } = self;
        // Of an empty range one piece proves that nothing is there.
        let touched: Vec<(Piece, u64, u64)> = pieces
            .into_iter()
            .filter_map(|p| {
                let (from, to) = (start.max(p.start), end.min(p.start + p.size));
                (from < to).then(|| (from - p.start, to - p.start)).map(|(a, b)| (p, a, b))
            })
            .collect();
        stream::iter(touched)
            .flat_map(move |(piece, from, to)| match piece.open(&data_key, &tenant, &place) {
                Ok(open) => open.blocks(&house, from, to),
                Err(e) => stream::iter([Err(e)]).boxed(),
            })
            .boxed()
    }

    /// The content from `start` to `end` of a small object, which has one segment.
    async fn whole(self, house: &Arc<House>, start: u64, end: u64) -> Result<Bytes, Failure> {
        let Self { data_key, tenant, place, pieces } = self;
        let piece =
            pieces.into_iter().next().ok_or_else(|| Failure::Bug("an object without a piece".into()))?;
        piece.open(&data_key, &tenant, &place)?.open_run(house, 0, 1, start, end).await
    }

    /// That an object which says that it is empty is.
    pub(super) async fn prove_empty(self, house: &Arc<House>) -> Result<(), Failure> {
        self.whole(house, 0, 0).await.map(drop)
    }
}

impl Piece {
    fn open(self, key: &DataKey, tenant: &TenantId, place: &str) -> Result<OpenPiece, Failure> {
        let context = Context { tenant: tenant.as_str(), bucket: place, version: raw(&self.id)? };
        let opener = Opener::new(key, &context, &self.header)?;
        Ok(OpenPiece { opener, id: self.id, size: self.size, inline: self.inline })
    }
}

impl OpenPiece {
    /// The piece's bytes from `start` to `end`, which is behind it.
    fn blocks(self, house: &Arc<House>, start: u64, end: u64) -> BoxStream<'static, Result<Bytes, Failure>> {
        let segment = SEGMENT_LEN as u64;
        let (first, last) = (start / segment, (end - 1) / segment);
        let step = usize::try_from(SEGMENTS_AT_ONCE).unwrap_or(4);
        let this = Arc::new(self);
        let house = Arc::clone(house);
        // The first block is short, so that the first byte leaves soon.
        let starts = std::iter::once(first).chain((first + 1..=last).step_by(step));
        stream::iter(starts)
            .map(move |from| {
                let count = if from == first { 1 } else { SEGMENTS_AT_ONCE.min(last - from + 1) };
                let (this, house) = (Arc::clone(&this), Arc::clone(&house));
                let cut_front = start.saturating_sub(from * segment);
                let upto = end.min((from + count) * segment) - from * segment;
                async move { this.open_run(&house, from, count, cut_front, upto).await }
            })
            .buffered(BLOCKS_AHEAD)
            .boxed()
    }

    async fn open_run(
        &self,
        house: &Arc<House>,
        from: u64,
        count: u64,
        cut_front: u64,
        upto: u64,
    ) -> Result<Bytes, Failure> {
        let sealed_len = bailee_crypto::envelope::sealed_len(self.size);
        let sealed_segment = SEALED_SEGMENT_LEN as u64;
        let (low, high) = (from * sealed_segment, ((from + count) * sealed_segment).min(sealed_len));
        let mut buffer = match &self.inline {
            Some(bytes) => {
                let range = low as usize..high as usize;
                let part =
                    bytes.get(range).ok_or_else(|| Failure::Damaged("a small object is too short".into()))?;
                BytesMut::from(part)
            }
            None => {
                let header = HEADER_LEN as u64;
                let bytes = house.blobs.read(&self.id, header + low..header + high).await?;
                bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]))
            }
        };
        let index =
            u32::try_from(from).map_err(|_| Failure::Damaged("an object has too many segments".into()))?;
        let plain_len = self.opener.open_run(index, high == sealed_len, &mut buffer)?;
        buffer.truncate(plain_len);
        let (cut, upto) = (cut_front as usize, upto as usize);
        if upto > buffer.len() || cut > upto {
            return Err(Failure::Damaged("an object is shorter than its row says".into()));
        }
        Counters::add(&house.counters().bytes_opened, (upto - cut) as u64);
        let mut plain = buffer.freeze();
        plain.truncate(upto);
        Ok(plain.slice(cut..))
    }
}
