//! Immutable blobs under random names, through `object_store`.
//!
//! A blob is written and synced *before* the row that names it, so a crash leaves garbage, never a dangling
//! name. Names are version ids: nothing about tenant, bucket or key can be read from the folder.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailee_types::ObjectVersionId;
use bytes::Bytes;
use futures_util::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as BlobPath;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};

use crate::syncer::Syncer;

/// Why a blob could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobError {
    /// No blob has this name. For a name from a row this means loss or tampering.
    #[error("the blob `{0}` is missing")]
    Missing(String),
    /// The blob store cannot be reached or cannot write (disk full).
    #[error("the blob store is not available ({0})")]
    Unavailable(String),
}

/// The blob store; cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    local: Option<(PathBuf, Syncer)>,
}

impl Blobs {
    /// Blobs in a local folder, created when missing.
    ///
    /// # Errors
    /// When the folder cannot be made or synced.
    pub fn local(folder: &Path) -> Result<Self, BlobError> {
        let unavailable = |e: std::io::Error| BlobError::Unavailable(format!("{}: {e}", folder.display()));
        // All 256 folders are made at once and synced, so a later blob needs the sync of its own folder only.
        for n in 0..=255u8 {
            std::fs::create_dir_all(folder.join(format!("{n:02x}"))).map_err(unavailable)?;
        }
        std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(unavailable)?;
        let store =
            LocalFileSystem::new_with_prefix(folder).map_err(|e| BlobError::Unavailable(e.to_string()))?;
        let syncer = Syncer::start().map_err(unavailable)?;
        Ok(Self { store: Arc::new(store), local: Some((folder.to_path_buf(), syncer)) })
    }

    /// Starts a blob. Nothing can be read under its name until [`BlobWriter::finish`].
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn create(&self, id: &ObjectVersionId) -> Result<BlobWriter, BlobError> {
        let upload = self.store.put_multipart(&path_of(id)).await.map_err(|e| from_store(id, e))?;
        Ok(BlobWriter { id: id.clone(), upload, blobs: self.clone() })
    }

    /// Reads `range` (bytes, end exclusive, within the blob).
    ///
    /// # Errors
    /// When the blob is missing, shorter, or the store cannot be reached.
    pub async fn read(&self, id: &ObjectVersionId, range: Range<u64>) -> Result<Bytes, BlobError> {
        let wanted = range.end.saturating_sub(range.start);
        let bytes = self.store.get_range(&path_of(id), range).await.map_err(|e| from_store(id, e))?;
        if bytes.len() as u64 == wanted {
            Ok(bytes)
        } else {
            Err(BlobError::Missing(format!("{id}: {} of {wanted} bytes", bytes.len())))
        }
    }

    /// Bytes of a blob.
    ///
    /// # Errors
    /// When the blob is missing, or the store cannot be reached.
    pub async fn size(&self, id: &ObjectVersionId) -> Result<u64, BlobError> {
        let meta = self.store.head(&path_of(id)).await.map_err(|e| from_store(id, e))?;
        Ok(meta.size)
    }

    /// Removes a blob; a missing one is fine (the sweeper may have been faster).
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn delete(&self, id: &ObjectVersionId) -> Result<(), BlobError> {
        match self.store.delete(&path_of(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(from_store(id, e)),
        }
    }

    /// Calls `f` for each blob with its age; names that are not ours are skipped.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn each(&self, mut f: impl FnMut(ObjectVersionId, i64)) -> Result<(), BlobError> {
        let mut list = self.store.list(None);
        while let Some(meta) = list.next().await {
            let meta = meta.map_err(|e| BlobError::Unavailable(e.to_string()))?;
            let name = meta.location.filename().and_then(|n| ObjectVersionId::parse(n).ok());
            if let Some(id) = name {
                f(id, meta.last_modified.timestamp_millis());
            }
        }
        Ok(())
    }

    /// Removes half-written files that a killed process left. Only while no other process writes here.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn remove_unfinished(&self) -> Result<u64, BlobError> {
        let Some((folder, _)) = &self.local else { return Ok(0) };
        let unavailable = |e: std::io::Error| BlobError::Unavailable(e.to_string());
        let mut removed = 0;
        for sub in std::fs::read_dir(folder).map_err(unavailable)? {
            let sub = sub.map_err(unavailable)?;
            if !sub.file_type().map_err(unavailable)?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(sub.path()).map_err(unavailable)? {
                let file = file.map_err(unavailable)?;
                if file.file_name().to_string_lossy().contains('#') {
                    std::fs::remove_file(file.path()).map_err(unavailable)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

/// A blob that is being written. Dropping it without [`BlobWriter::finish`] leaves nothing readable.
pub struct BlobWriter {
    id: ObjectVersionId,
    upload: Box<dyn MultipartUpload>,
    blobs: Blobs,
}

impl BlobWriter {
    /// Appends bytes; answers when they are handed to the store.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.upload.put_part(bytes.into()).await.map_err(|e| from_store(&self.id, e))
    }

    /// Ends the blob; answers when it is durable under its name.
    ///
    /// # Errors
    /// When the store cannot write or sync.
    pub async fn finish(mut self) -> Result<(), BlobError> {
        self.upload.complete().await.map_err(|e| from_store(&self.id, e))?;
        if let Some((folder, syncer)) = &self.blobs.local {
            let file = folder.join(prefix_of(&self.id)).join(self.id.as_str());
            syncer.sync(file).await.map_err(BlobError::Unavailable)?;
        }
        Ok(())
    }

    /// Gives the blob up and removes what was written.
    pub async fn abort(mut self) {
        // The sweeper removes what cannot be removed now.
        let _ = self.upload.abort().await;
    }
}

fn prefix_of(id: &ObjectVersionId) -> &str {
    id.as_str().get(..2).unwrap_or("00")
}

fn path_of(id: &ObjectVersionId) -> BlobPath {
    BlobPath::from(format!("{}/{id}", prefix_of(id)))
}

fn from_store(id: &ObjectVersionId, e: object_store::Error) -> BlobError {
    match e {
        object_store::Error::NotFound { .. } => BlobError::Missing(id.to_string()),
        other => BlobError::Unavailable(other.to_string()),
    }
}
