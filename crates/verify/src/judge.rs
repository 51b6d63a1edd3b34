//! What can be said of a record by itself: many at once, on all cores, in the order of the file.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::io::Read;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use bailee_proof::bundle::{BundleError, Opening, Reader, RecordRef, records};
use bailee_proof::event::{Closes, EventView, scan, unquoted};
use bailee_proof::hash::Hash;
use bailee_proof::record::{Entry, Kind, commitment};

use crate::approval::matters;

/// Bytes of a batch of records.
const BATCH_BYTES: usize = 512 * 1024;
/// Batches of each worker that may wait.
const BATCHES_MAX: usize = 3;

/// A batch of records, judged one by one.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    pub(crate) judged: Vec<Judged>,
    /// Acts of the platform by type and level.
    pub(crate) types: BTreeMap<String, u64>,
}

/// The room that a batch takes, used again when the batch is done with.
#[derive(Default)]
struct Room {
    bytes: Vec<u8>,
    judged: Vec<Judged>,
}

/// What a record is, by itself.
pub(crate) struct Judged {
    pub(crate) entry: Result<Entry, String>,
    pub(crate) leaf: Hash,
    pub(crate) state: State,
    span: Range<usize>,
}

pub(crate) enum State {
    Erased,
    Withheld,
    /// Why the event is not what it must be; only worth saying when the entry is in its place.
    Wrong(String),
    Opened(Opened),
}

pub(crate) struct Opened {
    pub(crate) closes: Option<Closes>,
    /// What it says must be read in the order of the log.
    pub(crate) matters: bool,
    /// Equal for equal event ids.
    pub(crate) id: Option<u64>,
}

impl Batch {
    /// The record as it stands in the bundle.
    pub(crate) fn view(&self, judged: &Judged) -> Option<EventView<'_>> {
        let record = self.bytes.get(judged.span.clone()).and_then(|bytes| records(bytes).next())?;
        match record.opening {
            Opening::Opened { event, .. } => scan(event).ok(),
            Opening::Erased | Opening::Withheld => None,
        }
    }

    fn of(Room { bytes, mut judged }: Room, tenant: &str) -> Self {
        let (mut types, mut at) = (BTreeMap::new(), 0);
        for record in records(&bytes) {
            let length = record.bytes();
            judged.push(judge(&record, tenant, at..at + length, &mut types));
            at += length;
        }
        Self { bytes, judged, types }
    }
}

/// Reads all records, judges them on `workers` threads and hands the batches to `next` in the order of the file.
///
/// # Errors
/// What `next` says, or why the file cannot be read on, after all that stands before that place.
pub(crate) fn each_batch<R: Read + Send, E: From<BundleError>>(
    reader: Reader<R>,
    tenant: &str,
    workers: usize,
    mut next: impl FnMut(&Batch) -> Result<(), E>,
) -> Result<(), E> {
    let workers = workers.clamp(1, 64);
    let (work, todo) = sync_channel::<(Room, SyncSender<Batch>)>(workers);
    let (order, in_order) = sync_channel::<Receiver<Batch>>(workers * BATCHES_MAX);
    let (used, spare) = channel::<Room>();
    let todo = Mutex::new(todo);
    thread::scope(|scope| {
        let reading = scope.spawn(move || read(reader, &work, &order, &spare));
        for _ in 0..workers {
            scope.spawn(|| {
                // Ends when the reader has, or when a thread panicked.
                while let Ok(Ok((room, answer))) = todo.lock().map(|todo| todo.recv()) {
                    // Nobody waits for it when the check has ended.
                    let _ = answer.send(Batch::of(room, tenant));
                }
            });
        }
        let mut verdict = Ok(());
        while let Ok(batch) = in_order.recv() {
            let Ok(batch) = batch.recv() else { break };
            verdict = next(&batch);
            if verdict.is_err() {
                break;
            }
            // The reader may have ended: then nobody wants the room back.
            let _ = used.send(Room { bytes: batch.bytes, judged: batch.judged });
        }
        drop(in_order);
        let read = reading.join();
        verdict?;
        match read {
            Ok(read) => read.map_err(E::from),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Whole records in front of what cannot be read are judged first: what they say is worse.
fn read<R: Read>(
    mut reader: Reader<R>,
    work: &SyncSender<(Room, SyncSender<Batch>)>,
    order: &SyncSender<Receiver<Batch>>,
    spare: &Receiver<Room>,
) -> Result<(), BundleError> {
    loop {
        let mut room = spare.try_recv().unwrap_or_default();
        room.bytes.clear();
        room.judged.clear();
        room.bytes.reserve(BATCH_BYTES * 5 / 4);
        let mut read = Ok(true);
        while room.bytes.len() < BATCH_BYTES && matches!(read, Ok(true)) {
            read = reader.read_into(&mut room.bytes);
        }
        let (answer, judged) = sync_channel(1);
        if order.send(judged).is_err() || work.send((room, answer)).is_err() {
            return Ok(());
        }
        if !read? {
            return reader.finish();
        }
    }
}

fn judge(
    record: &RecordRef<'_>,
    tenant: &str,
    span: Range<usize>,
    types: &mut BTreeMap<String, u64>,
) -> Judged {
    let leaf = bailee_proof::hash::leaf_hash(record.entry);
    let entry = match Entry::decode(record.entry) {
        Ok(entry) => entry,
        Err(e) => return Judged { entry: Err(e.to_string()), leaf, state: State::Withheld, span },
    };
    let state = match record.opening {
        Opening::Erased => State::Erased,
        Opening::Withheld => State::Withheld,
        Opening::Opened { nonce, event } => {
            if commitment(nonce, event) == entry.commitment {
                opened(&entry, event, tenant, types).map_or_else(State::Wrong, State::Opened)
            } else {
                State::Wrong("its event is not the one that the log committed to".into())
            }
        }
    };
    Judged { entry: Ok(entry), leaf, state, span }
}

fn opened<'a>(
    entry: &Entry,
    event: &'a [u8],
    tenant: &str,
    types: &mut BTreeMap<String, u64>,
) -> Result<Opened, String> {
    let view = scan(event).map_err(|e| e.to_string())?;
    let envelope = view.envelope().map_err(|e| e.to_string())?;
    if (envelope.kind, envelope.index, envelope.time_ms) != (entry.kind, entry.index, entry.time_ms) {
        return Err("its event names another kind, index or time than its entry".into());
    }
    if envelope.tenant != tenant {
        return Err(format!("its event is of tenant {}", envelope.tenant));
    }
    let text = |raw: Option<&'a str>| raw.and_then(unquoted).unwrap_or_default();
    if view.platform.is_some() && entry.kind != Kind::Outcome {
        let name = format!("{} {}", text(view.event_type), text(view.event_level));
        *types.entry(name).or_default() += 1;
    }
    let is_read = match entry.kind {
        Kind::Refusal => !text(view.employee).is_empty(),
        Kind::Outcome => {
            let name = text(view.event_name);
            view.detail.is_some() || matters(&name) || name.starts_with("collected:")
        }
        Kind::Management => matters(&text(view.event_name)),
        _ => true,
    };
    let id = view.event_id.and_then(unquoted).map(|id| {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish()
    });
    Ok(Opened { closes: envelope.closes, matters: is_read, id })
}
