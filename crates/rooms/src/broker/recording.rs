//! Recordings: what passed between an operator's client and a target, in both directions, sealed and chained.
//!
//! A part is a file of one process: `bailee-recording/v1\n`, then frames. A frame is its length (u32, big-endian) and its sealed
//! bytes: time (ms, i64), side (u8), channel (u32), bytes. It is bound to tenant, session, part and number, so a frame of another
//! place does not open. The chain: `h(0) = SHA-256(tenant, session, part)`, `h(n+1) = SHA-256(h(n) ‖ sealed frame n)`; its head
//! stands in the tenant's log when the part is closed, so a frame that is cut off shows.
//! A frame is in the file (the system's cache) before what it says is forwarded: it survives the process. It is on the disk
//! within a second: a power failure may take the last second of a recording, not more.
//! INVARIANT: after the first error nothing is recorded any more, and so nothing forwarded.
//! INVARIANT: only the tenant's own people read a recording; whoever made it does not.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bailee_crypto::seal::{SealingKey, aad};
use bailee_types::{Arn, TenantId, Timestamp};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::mask::Cover;
use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::keys::TenantKey;
use crate::{Failure, House, Thing};

const MAGIC: &[u8] = b"bailee-recording/v1\n";
/// Bytes of one frame; longer ones are cut into several.
const FRAME_MAX: usize = 256 * 1024;
/// Time, side and channel.
const HEAD_BYTES: usize = 8 + 1 + 4;
/// Bytes of a recording that are read at once.
pub const READ_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one page of a recording.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Frames of one page.
const PAGE_FRAMES: usize = 20_000;

/// From where a frame comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The operator's client sent it.
    Client,
    /// The target sent it.
    Target,
    /// The broker's note, a JSON object.
    Note,
}

impl Side {
    fn byte(self) -> u8 {
        match self {
            Self::Client => 0,
            Self::Target => 1,
            Self::Note => 2,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Client, Self::Target, Self::Note].into_iter().find(|s| s.byte() == byte)
    }
}

/// A frame of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFrame {
    /// When it passed.
    pub at: Timestamp,
    /// From where.
    pub side: Side,
    /// The channel.
    pub channel: u32,
    /// The bytes as they passed.
    pub bytes: Vec<u8>,
}

/// To which part a file belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) tenant: TenantId,
    pub(super) session: String,
    pub(super) part: i64,
}

impl Place {
    fn parts(&self) -> [Vec<u8>; 3] {
        [
            self.tenant.as_str().as_bytes().to_vec(),
            self.session.as_bytes().to_vec(),
            self.part.to_be_bytes().to_vec(),
        ]
    }

    fn aad(&self, number: u64) -> Vec<u8> {
        let [tenant, session, part] = self.parts();
        aad(&[b"bailee/recording/v1", &tenant, &session, &part, &number.to_be_bytes()])
    }

    fn first_head(&self) -> [u8; 32] {
        let [tenant, session, part] = self.parts();
        Sha256::digest(aad(&[b"bailee/recording-chain/v1", &tenant, &session, &part])).into()
    }

    fn file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.{}", self.session, self.part))
    }

    /// For what the key of its frames is sealed.
    pub(super) fn purpose(&self) -> String {
        format!("recording/{}/{}", self.session, self.part)
    }
}

/// How long a part is, and where its chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) head: [u8; 32],
}

/// Writes one part.
pub(super) struct Recorder {
    pub(super) place: Place,
    key: SealingKey,
    open: Mutex<Option<Open>>,
    dirty: AtomicBool,
}

struct Open {
    file: File,
    end: u64,
    length: Length,
}

impl Recorder {
    /// Begins a part. The folder is made when it is missing.
    pub(super) fn create(folder: &Path, place: Place, key: SealingKey) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut file = File::options().write(true).create_new(true).open(place.file(folder))?;
        file.write_all(MAGIC)?;
        let length = Length { frames: 0, bytes: 0, head: place.first_head() };
        let open = Open { file, end: MAGIC.len() as u64, length };
        Ok(Self { place, key, open: Mutex::new(Some(open)), dirty: AtomicBool::new(true) })
    }

    /// Writes a frame, or several when it is long. After an error nothing more is taken.
    pub(super) fn write(&self, at: Timestamp, side: Side, channel: u32, bytes: &[u8]) -> Result<(), String> {
        let mut guard = self.open.lock();
        let open = guard.as_mut().ok_or("the recording is closed")?;
        // An empty frame is one, too: it says that something began or ended.
        let pieces = bytes.chunks(FRAME_MAX).chain(bytes.is_empty().then_some(bytes));
        for piece in pieces {
            let mut plain = Vec::with_capacity(HEAD_BYTES + piece.len());
            plain.extend_from_slice(&at.ms().to_be_bytes());
            plain.push(side.byte());
            plain.extend_from_slice(&channel.to_be_bytes());
            plain.extend_from_slice(piece);
            let sealed = self.key.seal(&self.place.aad(open.length.frames), &plain);
            let mut framed = Vec::with_capacity(4 + sealed.len());
            framed.extend_from_slice(&(sealed.len() as u32).to_be_bytes());
            framed.extend_from_slice(&sealed);
            if let Err(e) = open.file.write_all(&framed) {
                // What is half written is no frame.
                let _ = open.file.set_len(open.end);
                let length = open.length;
                self.failed(&mut guard, length);
                return Err(format!("the recording cannot be written: {e}"));
            }
            open.end += framed.len() as u64;
            open.length.frames += 1;
            open.length.bytes += piece.len() as u64;
            open.length.head = chain(&open.length.head, &sealed);
        }
        self.dirty.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn failed(&self, guard: &mut Option<Open>, length: Length) {
        tracing::error!(
            session.id = self.place.session,
            frames = length.frames,
            "a recording failed: its session ends"
        );
        // The keeper reads the file anew and closes the part.
        *guard = None;
    }

    /// Brings to the disk what is not there yet.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        if !self.dirty.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let file = self.open.lock().as_ref().map(|o| o.file.try_clone()).transpose()?;
        file.map_or(Ok(()), |f| f.sync_data())
    }

    /// Ends the part: nothing is taken any more.
    pub(super) fn close(&self) {
        let open = self.open.lock().take();
        if let Some(open) = open
            && let Err(e) = open.file.sync_all()
        {
            tracing::error!(
                session.id = self.place.session,
                "a recording could not be brought to the disk: {e}"
            );
        }
    }
}

fn chain(head: &[u8; 32], sealed: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(head);
    hash.update(sealed);
    hash.finalize().into()
}

/// The sealed frames of a part, one after the other.
struct Frames {
    file: std::io::BufReader<File>,
    /// Where the next one begins.
    at: u64,
}

impl Frames {
    fn open(path: &Path, at: u64) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is no recording"));
        }
        let at = at.max(MAGIC.len() as u64);
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { file: std::io::BufReader::with_capacity(128 * 1024, file), at })
    }

    /// The next frame; none at the end, and where one is cut off.
    fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut len = [0; 4];
        let is_end = |e: &std::io::Error| e.kind() == std::io::ErrorKind::UnexpectedEof;
        match self.file.read_exact(&mut len) {
            Ok(()) => {}
            Err(e) if is_end(&e) => return Ok(None),
            Err(e) => return Err(e),
        }
        let len = u32::from_be_bytes(len) as usize;
        if len > FRAME_MAX + HEAD_BYTES + 64 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "a frame is longer than any can be",
            ));
        }
        let mut sealed = vec![0; len];
        match self.file.read_exact(&mut sealed) {
            Ok(()) => {}
            Err(e) if is_end(&e) => return Ok(None),
            Err(e) => return Err(e),
        }
        self.at += 4 + len as u64;
        Ok(Some(sealed))
    }
}

/// Reads a part again: how long it is. Of a frame that a crash cut off nothing counts.
pub(super) fn measure(folder: &Path, place: &Place) -> std::io::Result<Length> {
    let mut length = Length { frames: 0, bytes: 0, head: place.first_head() };
    let mut frames = match Frames::open(&place.file(folder), 0) {
        Ok(frames) => frames,
        // The process died between the row and the file.
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof) => {
            return Ok(length);
        }
        Err(e) => return Err(e),
    };
    let overhead = (bailee_crypto::seal::OVERHEAD + HEAD_BYTES) as u64;
    while let Some(sealed) = frames.next()? {
        length.frames += 1;
        length.bytes += (sealed.len() as u64).saturating_sub(overhead);
        length.head = chain(&length.head, &sealed);
    }
    Ok(length)
}

/// A page of a recording.
struct Page {
    frames: Vec<RecordedFrame>,
    /// Where the next page begins: part, frame and byte. None at the end.
    next: Option<(i64, u64, u64)>,
}

/// A recording as it is read.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The frames, in the order in which they passed.
    pub frames: Vec<RecordedFrame>,
    /// Whether that is all that was recorded so far; else it is the beginning, up to [`READ_BYTES_MAX`].
    pub is_all: bool,
    /// Bytes that masks cover.
    pub covered: u64,
}

/// What a recording's part was closed with, as its record in the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Frames.
    pub frames: u64,
    /// Bytes that passed.
    pub bytes: u64,
    /// The head of the chain, hex.
    pub head: String,
}

/// The tenant reads the recording of a session. On record.
#[derive(Clone, Debug)]
pub struct ReadRecording {
    /// Whose.
    pub tenant: TenantId,
    /// Which session.
    pub session: String,
    /// As it was recorded, without masks: the action is `bailee:ReplayUnmasked`.
    pub unmasked: bool,
}

impl Operation for ReadRecording {
    type Output = Replay;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: if self.unmasked { "bailee:ReplayUnmasked" } else { "bailee:ReadRecording" },
            resource: Arn::own(&self.tenant, &format!("session/{}", self.session)),
            resource_type: "ACS::Bailee::Session",
            class: Class::Management { write: false },
            touches: Touches::Content,
            ticket: None,
            parameters: Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Replay, Failure> {
        if intent.caller().tenant() != Some(&self.tenant) {
            return Err(Failure::Conflict("a recording is read by its tenant's own people".into()));
        }
        let key = house.tenant_key(&self.tenant).await?;
        let (tenant, id) = (self.tenant.clone(), self.session.clone());
        let (session, parts, set) = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&tenant);
                let session = rows::session(&mut tx, &id)?
                    .ok_or_else(|| Failure::not_found(Thing::BrokerSession, &id))?;
                Ok::<_, Failure>((session, rows::parts(&mut tx, &id)?, rows::masks(&mut tx)?))
            })
            .await?;
        let cover = (!self.unmasked).then(|| Cover::new(&set.masks)).transpose()?;
        let folder = house.broker.folder.clone();
        let is_database = session.limits.family() == "database";
        tokio::task::spawn_blocking(move || {
            let mut replay = read_all(&folder, &key, &self, &parts)?;
            // Masks see what follows the part that is shown: half a secret at its end is covered, too.
            replay.covered = cover.map_or(0, |cover| cover.lay(&mut replay.frames, is_database));
            replay.keep(READ_BYTES_MAX);
            Ok(replay)
        })
        .await
        .unwrap_or_else(|e| Err(Failure::Bug(format!("reading a recording stopped: {e}"))))
    }

    fn outcome_detail(replay: &Replay) -> Map<String, Value> {
        parameters(json!({ "frames": replay.frames.len(), "covered": replay.covered }))
    }
}

impl Replay {
    /// Leaves out what is beyond so many bytes.
    fn keep(&mut self, bytes_max: usize) {
        let mut bytes = 0;
        let fits = self.frames.iter().take_while(|f| {
            bytes += f.bytes.len();
            bytes <= bytes_max
        });
        let fits = fits.count();
        self.is_all &= fits == self.frames.len();
        self.frames.truncate(fits);
    }
}

/// All frames, up to a page more than is shown.
fn read_all(
    folder: &Path,
    key: &TenantKey,
    of: &ReadRecording,
    parts: &[rows::PartRow],
) -> Result<Replay, Failure> {
    let mut replay = Replay { frames: Vec::new(), is_all: false, covered: 0 };
    let (mut bytes, mut from) = (0, (1, 0, 0));
    while bytes < READ_BYTES_MAX + PAGE_BYTES {
        let read = page(folder, key, of, from, parts)?;
        bytes += read.frames.iter().map(|f| f.bytes.len()).sum::<usize>();
        let came = !read.frames.is_empty();
        replay.frames.extend(read.frames);
        match read.next {
            Some(next) if came => from = next,
            _ => {
                replay.is_all = true;
                break;
            }
        }
    }
    Ok(replay)
}

fn page(
    folder: &Path,
    key: &TenantKey,
    of: &ReadRecording,
    (mut part, mut number, mut at): (i64, u64, u64),
    parts: &[rows::PartRow],
) -> Result<Page, Failure> {
    let damaged = |part: i64, why: &str| {
        Failure::Damaged(format!("part {part} of the recording of session `{}` {why}", of.session))
    };
    let (mut frames, mut bytes) = (Vec::new(), 0);
    while let Some(row) = parts.iter().find(|p| p.part >= part) {
        if row.part != part {
            (part, number, at) = (row.part, 0, 0);
        }
        let place = Place { tenant: of.tenant.clone(), session: of.session.clone(), part };
        let sealing = frame_key(key, &place, &row.sealed_key)?;
        let mut file = match Frames::open(&place.file(folder), at) {
            Ok(file) => file,
            Err(e) if row.closed.as_ref().is_some_and(|c| c.frames == 0) => {
                tracing::debug!("an empty part has no file: {e}");
                (part, number, at) = (part + 1, 0, 0);
                continue;
            }
            Err(e) => return Err(damaged(part, &format!("cannot be read: {e}"))),
        };
        while let Some(sealed) = file.next().map_err(|e| damaged(part, &e.to_string()))? {
            let plain = sealing
                .open(&place.aad(number), &sealed)
                .map_err(|_| damaged(part, &format!("does not open at frame {number}")))?;
            let frame =
                read_frame(plain.expose()).ok_or_else(|| damaged(part, "has a frame of another form"))?;
            number += 1;
            at = file.at;
            bytes += frame.bytes.len();
            frames.push(frame);
            if bytes >= PAGE_BYTES || frames.len() >= PAGE_FRAMES {
                return Ok(Page { frames, next: Some((part, number, at)) });
            }
        }
        match &row.closed {
            Some(closed) if closed.frames != number => {
                return Err(damaged(
                    part,
                    &format!("has {number} frames, its record in the log says {}", closed.frames),
                ));
            }
            // What is cut off at a frame's border and made good by the row shows in the chain.
            Some(closed) => {
                let length = measure(folder, &place).map_err(|e| damaged(part, &e.to_string()))?;
                if hex::encode(length.head) != closed.head {
                    return Err(damaged(part, "ends with another chain than its record in the log says"));
                }
            }
            None if parts.iter().all(|p| p.part <= part) => {
                return Ok(Page { frames, next: Some((part, number, at)) });
            }
            None => {}
        }
        (part, number, at) = (part + 1, 0, 0);
    }
    Ok(Page { frames, next: None })
}

fn read_frame(plain: &[u8]) -> Option<RecordedFrame> {
    let (at, rest) = plain.split_first_chunk::<8>()?;
    let (side, rest) = rest.split_first()?;
    let (channel, bytes) = rest.split_first_chunk::<4>()?;
    Some(RecordedFrame {
        at: Timestamp::from_ms(i64::from_be_bytes(*at)),
        side: Side::of(*side)?,
        channel: u32::from_be_bytes(*channel),
        bytes: bytes.to_vec(),
    })
}

/// The key of a part's frames.
pub(super) fn frame_key(key: &TenantKey, place: &Place, sealed: &[u8]) -> Result<SealingKey, Failure> {
    let opened = key.open_trail(&place.purpose(), sealed)?;
    SealingKey::from_bytes(opened.expose()).map_err(|_| {
        Failure::Damaged(format!("the key of a recording of `{}` has another length", place.session))
    })
}

/// Writes into the tenant's log how long a part is and where its chain ends. The house's own act.
#[derive(Clone, Debug)]
pub(super) struct ClosePart {
    pub(super) place: Place,
    pub(super) length: Length,
    /// Whether it was closed by who wrote it, or after a crash.
    pub(super) clean: bool,
}

impl Operation for ClosePart {
    type Output = ();

    fn asks(&self) -> Asked {
        let detail: Value = json!({
            "session": self.place.session, "part": self.place.part, "frames": self.length.frames,
            "bytes": self.length.bytes, "head": hex::encode(self.length.head), "clean": self.clean,
        });
        Asked {
            tenant: self.place.tenant.clone(),
            action: "bailee:CloseRecording",
            resource: Arn::own(&self.place.tenant, &format!("session/{}", self.place.session)),
            resource_type: "ACS::Bailee::Session",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(detail),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let recorded = Recorded {
            frames: self.length.frames,
            bytes: self.length.bytes,
            head: hex::encode(self.length.head),
        };
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.place.tenant);
                rows::close_part(&mut tx, &self.place.session, self.place.part, &recorded)
                    .map_err(Failure::from)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(part: i64) -> Place {
        Place { tenant: TenantId::parse("1000000000000001").unwrap(), session: "s-1".into(), part }
    }

    #[test]
    fn a_part_reads_as_it_was_written_and_a_torn_frame_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let key = SealingKey::random();
        let recorder = Recorder::create(folder.path(), place(1), key.clone()).unwrap();
        let at = Timestamp::from_ms(1_767_323_045_000);
        recorder.write(at, Side::Client, 3, b"ls\n").unwrap();
        recorder.write(at, Side::Note, 3, b"").unwrap();
        recorder.write(at, Side::Target, 3, &vec![7; FRAME_MAX + 1]).unwrap();
        let length = recorder.open.lock().as_ref().unwrap().length;
        recorder.close();
        assert!(recorder.write(at, Side::Client, 3, b"late").is_err());
        assert_eq!((length.frames, length.bytes), (4, 4 + FRAME_MAX as u64));
        assert_eq!(measure(folder.path(), &place(1)).unwrap(), length);
        let file = place(1).file(folder.path());
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.truncate(bytes.len() - 1);
        std::fs::write(&file, &bytes).unwrap();
        let torn = measure(folder.path(), &place(1)).unwrap();
        assert_eq!((torn.frames, torn.head == length.head), (3, false));
        let mut frames = Frames::open(&file, 0).unwrap();
        let first = frames.next().unwrap().unwrap();
        let plain = key.open(&place(1).aad(0), &first).unwrap();
        let frame = read_frame(plain.expose()).unwrap();
        assert_eq!((frame.side, frame.channel, &frame.bytes[..]), (Side::Client, 3, &b"ls\n"[..]));
        for elsewhere in [place(2).aad(0), place(1).aad(1)] {
            assert!(key.open(&elsewhere, &first).is_err(), "a frame belongs to its place");
        }
    }
}
