//! Shared syncs for new files: many writers wait for one pass over the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::oneshot;

const QUEUE_MAX: usize = 1024;

struct Waiting {
    file: PathBuf,
    answer: oneshot::Sender<Result<(), String>>,
}

/// Syncs files and the folders that name them; folders once per batch.
#[derive(Clone)]
pub(crate) struct Syncer(SyncSender<Waiting>);

impl Syncer {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new().name("bailee-sync".into()).spawn(move || run(&waiting))?;
        Ok(Self(queue))
    }

    /// Answers when `file` and its name in its folder survive power loss.
    pub(crate) async fn sync(&self, file: PathBuf) -> Result<(), String> {
        let (answer, done) = oneshot::channel();
        self.0
            .try_send(Waiting { file, answer })
            .map_err(|_| "too many files wait for the disk".to_owned())?;
        done.await.unwrap_or_else(|_| Err("the disk thread has stopped".to_owned()))
    }
}

fn run(waiting: &Receiver<Waiting>) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(QUEUE_MAX));
        let mut folders = BTreeSet::new();
        let mut results: Vec<Result<(), String>> = batch
            .iter()
            .map(|w| {
                sync_path(&w.file, false)?;
                if let Some(folder) = w.file.parent() {
                    folders.insert(folder.to_path_buf());
                }
                Ok(())
            })
            .collect();
        if let Some(e) = folders.iter().find_map(|f| sync_path(f, true).err()) {
            results.iter_mut().for_each(|r| *r = Err(e.clone()));
        }
        for (w, result) in batch.into_iter().zip(results) {
            let _ = w.answer.send(result);
        }
    }
}

fn sync_path(path: &Path, all: bool) -> Result<(), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    if all { file.sync_all() } else { file.sync_data() }.map_err(|e| e.to_string())
}
