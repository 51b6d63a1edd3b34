//! What passes in an SFTP channel (protocol version 3, as OpenSSH speaks it), packet by packet, without any IO.
//!
//! Whole packets go on; what the grant does not cover is answered here with `SSH_FX_PERMISSION_DENIED` and never reaches
//! the host. Each operation on a name becomes a note, each handle one more with the bytes that went through it.
//! INVARIANT: an operation that is not in the table of `Gate::judge` does not pass.
//! INVARIANT: memory is bounded: by [`PACKET_MAX`], `PENDING_MAX` and `HANDLES_MAX`.

use std::collections::HashMap;

use serde_json::{Value, json};

/// The longest packet in either direction, as in OpenSSH.
pub const PACKET_MAX: usize = 256 * 1024;
/// How many requests may wait for their answer.
const PENDING_MAX: usize = 4096;
/// How many handles may be open.
const HANDLES_MAX: usize = 1024;
/// The longest handle that the protocol allows.
const HANDLE_LEN_MAX: usize = 256;

const PERMISSION_DENIED: u32 = 3;
const OP_UNSUPPORTED: u32 = 8;

const READ: u32 = 1;
const FLAGS: [(u32, &str); 6] =
    [(READ, "read"), (2, "write"), (4, "append"), (8, "create"), (16, "truncate"), (32, "exclusive")];

/// What the grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Reading files and folders.
    pub download: bool,
    /// Writing, removing, renaming, changing modes.
    pub upload: bool,
}

/// What becomes of what a client sent.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// A whole packet for the host.
    Pass(Vec<u8>),
    /// A packet for the client instead; the host sees nothing.
    Answer(Vec<u8>),
    /// Something to write down, before what follows passes.
    Note(Value),
}

/// Why a channel cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A packet that is longer than allowed, or empty.
    #[error("an SFTP packet of {0} bytes; 1 to {PACKET_MAX} pass")]
    Length(usize),
    /// A packet that ends too early.
    #[error("an SFTP packet of type {0} that ends too early")]
    Short(u8),
    /// Nothing may come before the version is agreed, and it is agreed once.
    #[error("an SFTP packet of type {0} out of order")]
    Order(u8),
    /// An answer could not be told from another.
    #[error("two SFTP requests with the number {0} at once")]
    Twice(u32),
    /// Too many at once.
    #[error("more SFTP {0} at once than pass")]
    Many(&'static str),
}

#[derive(Debug)]
struct Handle {
    path: String,
    folder: bool,
    read: u64,
    written: u64,
}

#[derive(Debug)]
enum Pending {
    Open {
        path: String,
        folder: bool,
    },
    Read {
        handle: Vec<u8>,
    },
    /// Anything else: its answer is not another request's.
    Other,
}

/// Cuts a stream into packets.
#[derive(Debug, Default)]
struct Packets {
    buffer: Vec<u8>,
}

impl Packets {
    /// The next whole packet, its length before it.
    fn next(&mut self, at: &mut usize) -> Result<Option<&[u8]>, Broken> {
        let rest = self.buffer.get(*at..).unwrap_or_default();
        let Some((head, body)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_be_bytes(*head) as usize;
        if len == 0 || len > PACKET_MAX {
            return Err(Broken::Length(len));
        }
        if body.len() < len {
            return Ok(None);
        }
        *at += 4 + len;
        Ok(rest.get(..4 + len))
    }

    fn forget(&mut self, at: usize) {
        self.buffer.drain(..at.min(self.buffer.len()));
    }
}

/// Stands between an SFTP client and a host.
#[derive(Debug)]
pub struct Gate {
    rules: Rules,
    client: Packets,
    host: Packets,
    begun: bool,
    pending: HashMap<u32, Pending>,
    handles: HashMap<Vec<u8>, Handle>,
}

impl Gate {
    /// For a channel in which nothing was said yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            client: Packets::default(),
            host: Packets::default(),
            begun: false,
            pending: HashMap::new(),
            handles: HashMap::new(),
        }
    }

    /// Takes bytes of the client.
    ///
    /// # Errors
    /// When they are no SFTP, or more than is kept in memory; the channel must end.
    pub fn from_client(&mut self, bytes: &[u8]) -> Result<Vec<Step>, Broken> {
        self.client.buffer.extend_from_slice(bytes);
        let mut packets = std::mem::take(&mut self.client);
        let (mut steps, mut at) = (Vec::new(), 0);
        while let Some(packet) = packets.next(&mut at)? {
            self.judge(packet, &mut steps)?;
        }
        packets.forget(at);
        self.client = packets;
        Ok(steps)
    }

    /// Takes bytes of the host; answers with the whole packets that may go to the client now, byte for byte.
    ///
    /// # Errors
    /// As [`Gate::from_client`].
    pub fn from_host(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Broken> {
        self.host.buffer.extend_from_slice(bytes);
        let mut packets = std::mem::take(&mut self.host);
        let mut at = 0;
        while let Some(packet) = packets.next(&mut at)? {
            self.answered(packet)?;
        }
        let whole = packets.buffer.get(..at).unwrap_or_default().to_vec();
        packets.forget(at);
        self.host = packets;
        Ok(whole)
    }

    /// A note for each handle that is open still, at the channel's end.
    pub fn rest(&mut self) -> Vec<Value> {
        self.handles.drain().map(|(_, handle)| closed(&handle, false)).collect()
    }

    fn judge(&mut self, packet: &[u8], steps: &mut Vec<Step>) -> Result<(), Broken> {
        let mut fields = Fields {
            kind: packet.get(4).copied().unwrap_or_default(),
            rest: packet.get(5..).unwrap_or_default(),
        };
        let kind = fields.kind;
        if (kind == 1) == self.begun {
            return Err(Broken::Order(kind));
        }
        if kind == 1 {
            self.begun = true;
            steps.push(Step::Pass(packet.to_vec()));
            return Ok(());
        }
        let id = fields.number()?;
        let Rules { download, upload } = self.rules;
        let (op, allowed) = match kind {
            3 => return self.open(id, packet, fields, steps),
            4 => return self.close(id, packet, fields, steps),
            5 => return self.read(id, packet, fields, steps),
            6 => return self.write(id, packet, fields, steps),
            // Names and attributes, which a client asks for before every transfer: of no operation's own worth a note.
            7 | 8 | 16 | 17 | 19 => {
                self.wait(id, Pending::Other)?;
                steps.push(Step::Pass(packet.to_vec()));
                return Ok(());
            }
            9 => ("setstat", upload),
            10 => ("fsetstat", upload),
            11 => ("list", true),
            12 => ("readdir", download),
            13 => ("remove", upload),
            14 => ("mkdir", upload),
            15 => ("rmdir", upload),
            18 => ("rename", upload),
            20 => ("symlink", upload),
            200 => return self.extended(id, packet, fields, steps),
            _ => return self.unsupported(id, &format!("packet type {kind}"), steps),
        };
        let note = match kind {
            10 | 12 => json!({ "path": self.path_of(fields.bytes()?) }),
            18 | 20 => json!({ "path": fields.text()?, "to": fields.text()? }),
            _ => json!({ "path": fields.text()? }),
        };
        if !allowed {
            deny(id, op, note, steps);
            return Ok(());
        }
        if kind == 11 {
            let path = note["path"].as_str().unwrap_or_default().to_owned();
            self.wait(id, Pending::Open { path, folder: true })?;
        } else {
            self.wait(id, Pending::Other)?;
        }
        // A folder is listed by one request, and read by many.
        if kind != 12 {
            steps.push(Step::Note(noted(op, note)));
        }
        steps.push(Step::Pass(packet.to_vec()));
        Ok(())
    }

    fn open(
        &mut self,
        id: u32,
        packet: &[u8],
        mut fields: Fields<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Broken> {
        let path = fields.text()?;
        let flags = fields.number()?;
        let names: Vec<&str> =
            FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
        let note = json!({ "path": path, "flags": names });
        let known = flags != 0 && flags < 64;
        let reads = flags & READ != 0;
        let writes = flags & !READ != 0;
        if !known || (reads && !self.rules.download) || (writes && !self.rules.upload) {
            deny(id, "open", note, steps);
            return Ok(());
        }
        self.wait(id, Pending::Open { path, folder: false })?;
        steps.push(Step::Note(noted("open", note)));
        steps.push(Step::Pass(packet.to_vec()));
        Ok(())
    }

    fn close(
        &mut self,
        id: u32,
        packet: &[u8],
        mut fields: Fields<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Broken> {
        self.wait(id, Pending::Other)?;
        if let Some(handle) = self.handles.remove(fields.bytes()?) {
            steps.push(Step::Note(closed(&handle, true)));
        }
        steps.push(Step::Pass(packet.to_vec()));
        Ok(())
    }

    fn read(
        &mut self,
        id: u32,
        packet: &[u8],
        mut fields: Fields<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Broken> {
        let handle = fields.bytes()?;
        if !self.rules.download {
            deny(id, "read", json!({ "path": self.path_of(handle) }), steps);
            return Ok(());
        }
        self.wait(id, Pending::Read { handle: handle.to_vec() })?;
        steps.push(Step::Pass(packet.to_vec()));
        Ok(())
    }

    fn write(
        &mut self,
        id: u32,
        packet: &[u8],
        mut fields: Fields<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Broken> {
        let handle = fields.bytes()?;
        if !self.rules.upload {
            deny(id, "write", json!({ "path": self.path_of(handle) }), steps);
            return Ok(());
        }
        fields.number()?;
        fields.number()?;
        let len = fields.bytes()?.len() as u64;
        self.wait(id, Pending::Other)?;
        if let Some(handle) = self.handles.get_mut(handle) {
            handle.written = handle.written.saturating_add(len);
        }
        steps.push(Step::Pass(packet.to_vec()));
        Ok(())
    }

    /// OpenSSH's extensions, by name.
    fn extended(
        &mut self,
        id: u32,
        packet: &[u8],
        mut fields: Fields<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Broken> {
        let name = fields.text()?;
        let (op, note) = match name.as_str() {
            "statvfs@openssh.com"
            | "fstatvfs@openssh.com"
            | "limits@openssh.com"
            | "expand-path@openssh.com"
            | "home-directory"
            | "users-groups-by-id@openssh.com" => {
                self.wait(id, Pending::Other)?;
                steps.push(Step::Pass(packet.to_vec()));
                return Ok(());
            }
            "posix-rename@openssh.com" => ("rename", json!({ "path": fields.text()?, "to": fields.text()? })),
            "hardlink@openssh.com" => ("hardlink", json!({ "path": fields.text()?, "to": fields.text()? })),
            "lsetstat@openssh.com" => ("setstat", json!({ "path": fields.text()? })),
            "fsync@openssh.com" => ("fsync", json!({ "path": self.path_of(fields.bytes()?) })),
            _ => return self.unsupported(id, &name, steps),
        };
        if self.rules.upload {
            self.wait(id, Pending::Other)?;
            steps.push(Step::Note(noted(op, note)));
            steps.push(Step::Pass(packet.to_vec()));
        } else {
            deny(id, op, note, steps);
        }
        Ok(())
    }

    fn unsupported(&self, id: u32, what: &str, steps: &mut Vec<Step>) -> Result<(), Broken> {
        steps.push(Step::Note(json!({ "kind": "refused", "what": "sftp", "op": what })));
        steps.push(Step::Answer(status(id, OP_UNSUPPORTED, "this extension does not pass")));
        Ok(())
    }

    fn wait(&mut self, id: u32, pending: Pending) -> Result<(), Broken> {
        if self.pending.len() >= PENDING_MAX {
            return Err(Broken::Many("requests"));
        }
        match self.pending.insert(id, pending) {
            None => Ok(()),
            Some(_) => Err(Broken::Twice(id)),
        }
    }

    fn path_of(&self, handle: &[u8]) -> Option<&str> {
        self.handles.get(handle).map(|h| h.path.as_str())
    }

    fn answered(&mut self, packet: &[u8]) -> Result<(), Broken> {
        let mut fields = Fields {
            kind: packet.get(4).copied().unwrap_or_default(),
            rest: packet.get(5..).unwrap_or_default(),
        };
        if fields.kind == 2 {
            return Ok(());
        }
        match (fields.kind, self.pending.remove(&fields.number()?)) {
            (102, Some(Pending::Open { path, folder })) => {
                let handle = fields.bytes()?;
                if self.handles.len() >= HANDLES_MAX {
                    return Err(Broken::Many("handles"));
                }
                if handle.len() > HANDLE_LEN_MAX {
                    return Err(Broken::Length(handle.len()));
                }
                self.handles.insert(handle.to_vec(), Handle { path, folder, read: 0, written: 0 });
            }
            (103, Some(Pending::Read { handle })) => {
                let len = fields.bytes()?.len() as u64;
                if let Some(handle) = self.handles.get_mut(&handle) {
                    handle.read = handle.read.saturating_add(len);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn noted(op: &str, mut note: Value) -> Value {
    note["kind"] = json!("sftp");
    note["op"] = json!(op);
    note
}

fn closed(handle: &Handle, by_client: bool) -> Value {
    let mut note = noted("close", json!({ "path": handle.path, "closed": by_client }));
    if !handle.folder {
        note["read"] = json!(handle.read);
        note["written"] = json!(handle.written);
    }
    note
}

fn deny(id: u32, op: &str, mut note: Value, steps: &mut Vec<Step>) {
    note["kind"] = json!("refused");
    note["what"] = json!("sftp");
    note["op"] = json!(op);
    steps.push(Step::Note(note));
    steps.push(Step::Answer(status(id, PERMISSION_DENIED, "the grant does not allow this")));
}

fn status(id: u32, code: u32, text: &str) -> Vec<u8> {
    let mut body = vec![101];
    body.extend(id.to_be_bytes());
    body.extend(code.to_be_bytes());
    for part in [text, "en"] {
        body.extend((part.len() as u32).to_be_bytes());
        body.extend(part.as_bytes());
    }
    let mut packet = (body.len() as u32).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

/// Reads a packet's fields one after another.
#[derive(Clone, Copy)]
struct Fields<'a> {
    kind: u8,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn number(&mut self) -> Result<u32, Broken> {
        let (head, rest) = self.rest.split_first_chunk::<4>().ok_or(Broken::Short(self.kind))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*head))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let len = self.number()? as usize;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Broken::Short(self.kind))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, Broken> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOWN: Rules = Rules { download: true, upload: false };
    const UP: Rules = Rules { download: false, upload: true };

    fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = (body.len() as u32 + 1).to_be_bytes().to_vec();
        out.push(kind);
        out.extend(body);
        out
    }

    fn string(text: &str) -> Vec<u8> {
        let mut out = (text.len() as u32).to_be_bytes().to_vec();
        out.extend(text.as_bytes());
        out
    }

    fn request(kind: u8, id: u32, rest: &[u8]) -> Vec<u8> {
        packet(kind, &[&id.to_be_bytes(), rest].concat())
    }

    fn open(id: u32, path: &str, flags: u32) -> Vec<u8> {
        request(3, id, &[&string(path)[..], &flags.to_be_bytes(), &0u32.to_be_bytes()].concat())
    }

    fn begun(rules: Rules) -> Gate {
        let mut gate = Gate::new(rules);
        let init = packet(1, &3u32.to_be_bytes());
        assert_eq!(gate.from_client(&init).unwrap(), [Step::Pass(init)]);
        gate
    }

    fn passes(gate: &mut Gate, packet: &[u8]) -> bool {
        let steps = gate.from_client(packet).unwrap();
        let passed = steps.iter().any(|s| *s == Step::Pass(packet.to_vec()));
        let answered = steps.iter().any(|s| matches!(s, Step::Answer(_)));
        assert!(passed != answered, "{steps:?}");
        if passed {
            let id = u32::from_be_bytes(*packet[5..].first_chunk().unwrap());
            gate.from_host(&request(101, id, &[0; 12])).unwrap();
        }
        passed
    }

    #[test]
    fn a_session_that_only_downloads_changes_nothing_on_the_host() {
        let mut gate = begun(DOWN);
        assert!(passes(&mut gate, &open(1, "/etc/motd", 1)));
        for flags in [2, 3, 4, 8, 16, 32, 0, 64, 65] {
            assert!(!passes(&mut gate, &open(2, "/etc/motd", flags)), "{flags}");
        }
        for kind in [9, 10, 13, 14, 15] {
            assert!(!passes(&mut gate, &request(kind, 3, &string("/x"))), "{kind}");
        }
        for kind in [18, 20] {
            assert!(!passes(&mut gate, &request(kind, 3, &[string("/x"), string("/y")].concat())), "{kind}");
        }
        let write = [&string("h")[..], &[0; 8], &string("data")].concat();
        assert!(!passes(&mut gate, &request(6, 4, &write)));
        for name in ["posix-rename@openssh.com", "hardlink@openssh.com"] {
            assert!(!passes(
                &mut gate,
                &request(200, 5, &[string(name), string("/x"), string("/y")].concat())
            ));
        }
        assert!(!passes(&mut gate, &request(200, 6, &[string("copy-data"), vec![0; 40]].concat())));
        assert!(!passes(&mut gate, &request(77, 7, &[])));
        for kind in [7, 16, 17, 19, 11] {
            assert!(passes(&mut gate, &request(kind, 8, &string("/x"))), "{kind}");
        }
    }

    #[test]
    fn a_session_that_only_uploads_reads_neither_files_nor_folders() {
        let mut gate = begun(UP);
        assert!(passes(&mut gate, &open(1, "/srv/x", 2 | 8 | 16)));
        assert!(!passes(&mut gate, &open(2, "/srv/x", 1)));
        assert!(!passes(&mut gate, &open(3, "/srv/x", 3)));
        assert!(!passes(&mut gate, &request(5, 4, &[&string("h")[..], &[0; 12]].concat())));
        assert!(!passes(&mut gate, &request(12, 5, &string("h"))));
        assert!(passes(&mut gate, &request(13, 6, &string("/x"))));
    }

    #[test]
    fn bytes_of_a_file_are_counted_by_its_handle() {
        let mut gate = begun(Rules { download: true, upload: true });
        gate.from_client(&open(1, "/srv/x", 3)).unwrap();
        let handle = request(102, 1, &string("h"));
        // In two pieces: nothing goes on until the packet is whole.
        assert_eq!(gate.from_host(&handle[..6]).unwrap(), b"");
        assert_eq!(gate.from_host(&handle[6..]).unwrap(), handle);
        gate.from_client(&request(6, 2, &[&string("h")[..], &[0; 8], &string("abcd")].concat())).unwrap();
        gate.from_client(&request(5, 3, &[&string("h")[..], &[0; 12]].concat())).unwrap();
        gate.from_host(&request(103, 3, &string("abcdefg"))).unwrap();
        let steps = gate.from_client(&request(4, 4, &string("h"))).unwrap();
        assert_eq!(
            steps[0],
            Step::Note(json!({
                "kind": "sftp", "op": "close", "path": "/srv/x", "closed": true, "read": 7, "written": 4
            }))
        );
        assert!(gate.rest().is_empty());
    }

    #[test]
    fn no_request_takes_the_answer_of_another() {
        let mut gate = begun(DOWN);
        // Names and attributes are asked for under a number, too: an open under the same one would lose its answer.
        gate.from_client(&request(17, 1, &string("/srv"))).unwrap();
        assert_eq!(gate.from_client(&open(1, "/srv/x", 1)), Err(Broken::Twice(1)));
        let mut gate = begun(DOWN);
        gate.from_client(&request(17, 1, &string("/srv"))).unwrap();
        gate.from_host(&request(105, 1, &[0; 4])).unwrap();
        assert!(passes(&mut gate, &open(1, "/srv/x", 1)), "once answered, the number is free");
    }

    #[test]
    fn what_is_no_sftp_ends_the_channel() {
        assert_eq!(Gate::new(DOWN).from_client(&open(1, "/x", 1)), Err(Broken::Order(3)));
        assert_eq!(begun(DOWN).from_client(&packet(1, &[0; 4])), Err(Broken::Order(1)));
        assert_eq!(begun(DOWN).from_client(&[0; 4]), Err(Broken::Length(0)));
        assert_eq!(begun(DOWN).from_client(&[255; 4]), Err(Broken::Length(u32::MAX as usize)));
        assert_eq!(begun(DOWN).from_client(&request(3, 1, &[0, 0, 0, 9, 1])), Err(Broken::Short(3)));
        // Else a handle could pass for another file's.
        let twice = [open(1, "/secret", 1), open(1, "/public", 1)].concat();
        assert_eq!(begun(DOWN).from_client(&twice), Err(Broken::Twice(1)));
    }

    fn any_request() -> impl Strategy<Value = Vec<u8>> {
        (any::<u8>(), any::<u32>(), proptest::collection::vec("[a-z/@.]{0,12}", 0..4), any::<[u8; 12]>())
            .prop_map(|(kind, id, texts, tail)| {
                let body: Vec<u8> = texts.iter().flat_map(|t| string(t)).chain(tail).collect();
                request(kind, id, &body)
            })
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_steps(bytes in proptest::collection::vec(any::<u8>(), 0..600), host: bool) {
            let mut gate = begun(UP);
            if host { let _ = gate.from_host(&bytes); } else { let _ = gate.from_client(&bytes); }
        }

        /// However the stream is cut, the same packets pass, and each is one that the client sent.
        #[test]
        fn what_passes_does_not_depend_on_how_the_stream_is_cut(
            packets in proptest::collection::vec(any_request(), 0..8),
            cuts in proptest::collection::vec(1usize..40, 1..40),
        ) {
            let stream = packets.concat();
            let mut whole = begun(DOWN);
            let expected = whole.from_client(&stream);
            let mut gate = begun(DOWN);
            let (mut steps, mut rest, mut i) = (Ok(Vec::new()), &stream[..], 0);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(cuts[i % cuts.len()].min(rest.len()));
                rest = after;
                i += 1;
                match gate.from_client(piece) {
                    Ok(more) => if let Ok(all) = steps.as_mut() { all.extend(more) },
                    Err(e) => { steps = Err(e); break }
                }
            }
            prop_assert_eq!(&steps, &expected);
            for step in steps.unwrap_or_default() {
                if let Step::Pass(packet) = step {
                    prop_assert!(packets.contains(&packet));
                }
            }
        }

        /// No sequence of requests lets a changing operation through a gate that only downloads.
        #[test]
        fn nothing_that_changes_the_host_passes_a_download(packets in proptest::collection::vec(any_request(), 0..20)) {
            let mut gate = begun(DOWN);
            for packet in packets {
                let Ok(steps) = gate.from_client(&packet) else { break };
                for step in steps {
                    if let Step::Pass(packet) = step {
                        prop_assert!(matches!(packet[4], 3 | 4 | 5 | 7 | 8 | 11 | 12 | 16 | 17 | 19 | 200));
                        if packet[4] == 3 {
                            let len = u32::from_be_bytes(packet[9..13].try_into().unwrap()) as usize;
                            prop_assert_eq!(&packet[13 + len..17 + len], &1u32.to_be_bytes());
                        }
                    }
                }
            }
        }
    }
}
