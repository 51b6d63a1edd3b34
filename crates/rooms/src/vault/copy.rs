//! The content of an object on its way into another: opened with one key, sealed with the next, in constant memory.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use md5::{Digest as _, Md5};

use super::{Body, BodyDigests, Carried, Content};
use crate::Failure;

/// A body that is another object's content.
pub struct CopyBody {
    carried: Carried,
    first: Option<Bytes>,
    rest: Option<BoxStream<'static, Result<Bytes, Failure>>>,
    md5: Md5,
    crc64: crc_fast::Digest,
}

impl CopyBody {
    /// Of what was chosen of an object.
    pub fn new(content: Content) -> Self {
        Self {
            carried: content.carried,
            first: Some(content.first),
            rest: content.rest,
            md5: Md5::new(),
            crc64: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz),
        }
    }
}

#[async_trait::async_trait]
impl Body for CopyBody {
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        let piece = match self.first.take() {
            Some(first) => Ok(first),
            None => self.rest.as_mut()?.next().await?.map_err(|e| {
                tracing::error!("the source of a copy could not be read: {e}");
                "the source could not be read".to_owned()
            }),
        };
        if let Ok(bytes) = &piece {
            self.md5.update(bytes);
            self.crc64.update(bytes);
        }
        Some(piece)
    }

    fn carries(&self) -> Option<Carried> {
        Some(self.carried.clone())
    }

    fn finish(&mut self) -> Result<BodyDigests, String> {
        let md5 = hex::encode(std::mem::take(&mut self.md5).finalize());
        Ok(BodyDigests { md5, crc64: self.crc64.finalize(), checksums: Vec::new() })
    }
}
