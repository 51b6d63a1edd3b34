//! Where a log's files are fetched from.

use std::io::Read;
use std::time::Duration;

use bailee_proof::tile::{TILE_WIDTH, Tile};

/// Bytes of a file, at most: a bundle of 256 entries of 65 bytes is small, but a log may hold other things.
const FILE_BYTES_MAX: u64 = 256 * 65_537;

/// Why a file was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The server says that there is none.
    #[error("not there")]
    NotThere,
    /// No answer, or none that can be used.
    #[error("{0}")]
    Failed(String),
}

/// Serves the files of one log, below its prefix.
pub trait Source {
    /// Fetches one file, e.g. `checkpoint` or `tile/entries/000.p/7`.
    ///
    /// # Errors
    /// When there is none or it cannot be fetched.
    fn fetch(&self, path: &str) -> Result<Vec<u8>, SourceError>;
}

/// A log on the web: `http://` or `https://`.
pub struct Web {
    agent: ureq::Agent,
    prefix: String,
}

impl Web {
    /// The log at this address, without its last slash.
    pub fn new(url: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .user_agent(concat!("bailee-verify/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, prefix: url.trim_end_matches('/').to_owned() }
    }
}

impl Source for Web {
    fn fetch(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let url = format!("{}/{path}", self.prefix);
        let failed = |e: &dyn std::fmt::Display| SourceError::Failed(format!("{url}: {e}"));
        let mut answer = self.agent.get(&url).call().map_err(|e| failed(&e))?;
        match answer.status().as_u16() {
            200 => {}
            404 | 410 => return Err(SourceError::NotThere),
            other => return Err(failed(&format!("status {other}"))),
        }
        let encoding = answer.headers().get("content-encoding");
        if encoding.is_some_and(|e| e.as_bytes() != b"identity") {
            return Err(failed(&"it is compressed, which was not asked for"));
        }
        let mut bytes = Vec::new();
        answer
            .body_mut()
            .as_reader()
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| failed(&e))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(failed(&"it is longer than any file of a log"));
        }
        Ok(bytes)
    }
}

/// Fetches a tile, or the full one in its place when the partial one is gone; answers the width of what came.
pub(super) fn tile(source: &dyn Source, tile: Tile) -> Result<(Vec<u8>, u16), SourceError> {
    match source.fetch(&tile.to_string()) {
        Err(SourceError::NotThere) if tile.width < TILE_WIDTH => {
            Ok((source.fetch(&tile.full().to_string())?, TILE_WIDTH))
        }
        other => other.map(|bytes| (bytes, tile.width)),
    }
}
