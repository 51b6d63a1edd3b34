//! Moves the embedded engine's journal into its file beside the writer.
//!
//! SQLite would do so inside a commit, with everybody waiting for some megabytes and their sync. Here a thread of its
//! own copies nearly all of it while writers go on, and the writer copies the rest between two commits, so that the
//! journal can start anew.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::StoreError;
use crate::sqlite::SqliteConn;

/// Pages (4 KiB each) that the thread copies at a time: one long sync would hold up the commits' own.
const STEP: i64 = 1000;
/// Pages at which the journal starts anew.
const PAGES: i64 = 8000;
/// What the writer may copy itself, and how often the thread tries to leave it no more.
const REST: i64 = 200;
const PASSES: u32 = 4;

const IDLE: u8 = 0;
const COPYING: u8 = 1;
const COPIED: u8 = 2;

#[derive(Default)]
pub(crate) struct Watched {
    /// Pages in the journal after the last commit.
    pub(crate) pages: AtomicI64,
    state: AtomicU8,
}

/// The writer's side.
pub(crate) struct Journal {
    watched: Arc<Watched>,
    copier: SyncSender<()>,
    next_at: i64,
}

impl Journal {
    /// Starts the thread that copies.
    pub(crate) fn start(path: &Path, watched: Arc<Watched>) -> Result<Self, StoreError> {
        let mut conn = SqliteConn::copier(path)?;
        // SQLite syncs the file only when all of the journal is in it: the writer would wait for megabytes after all.
        // Closing a file drops all locks that the process has on it, so it stays open as long as the database.
        let file = File::open(path).map_err(|e| StoreError::Unavailable(e.to_string()))?;
        let (copier, asked) = sync_channel::<()>(1);
        let shared = Arc::clone(&watched);
        std::thread::Builder::new()
            .name("bailee-journal".into())
            .spawn(move || {
                while asked.recv().is_ok() {
                    for _ in 0..PASSES {
                        let copied = match conn.copy_journal().and_then(|copied| {
                            file.sync_data().map_err(|e| StoreError::Unavailable(e.to_string()))?;
                            Ok(copied)
                        }) {
                            Ok(copied) => copied,
                            Err(e) => {
                                tracing::warn!("the journal could not be moved into the database: {e}");
                                break;
                            }
                        };
                        if shared.pages.load(Ordering::Relaxed) <= copied + REST {
                            break;
                        }
                    }
                    shared.state.store(COPIED, Ordering::Release);
                }
            })
            .map_err(|e| StoreError::Unavailable(format!("cannot start the journal's thread: {e}")))?;
        Ok(Self { watched, copier, next_at: STEP })
    }

    /// Between two commits, nobody waiting for an answer.
    pub(crate) fn after_commit(&mut self, writer: &mut SqliteConn) {
        let pages = self.watched.pages.load(Ordering::Relaxed);
        match self.watched.state.load(Ordering::Acquire) {
            IDLE if pages >= self.next_at => {
                self.watched.state.store(COPYING, Ordering::Relaxed);
                if self.copier.try_send(()).is_err() {
                    self.watched.state.store(COPIED, Ordering::Relaxed);
                }
            }
            // It has started anew.
            IDLE if pages < self.next_at - STEP => self.next_at = STEP,
            COPIED => {
                if pages >= PAGES
                    && let Err(e) = writer.copy_journal()
                {
                    tracing::warn!("the journal could not be moved into the database: {e}");
                }
                self.watched.state.store(IDLE, Ordering::Relaxed);
                // A long reader may keep it from starting anew: then it grows on.
                self.next_at = pages + STEP;
            }
            _ => {}
        }
    }
}
