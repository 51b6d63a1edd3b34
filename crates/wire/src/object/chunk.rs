//! aws-chunked bodies: a sans-IO decoder that checks as it goes.
//!
//! `<hex size>[;chunk-signature=<hex>]\r\n<data>\r\n … 0[;chunk-signature=<hex>]\r\n[name:value\r\n…]\r\n`
//! (AWS "Transferring payload in multiple chunks", "Including trailing headers").
//!
//! Promises: decoded pieces are slices of the input, never copies; each chunk's signature is checked when its last
//! byte has come; trailers are the announced ones.
//! Refuses: chunk lines over 1 KiB, trailers over 4 KiB, sizes that do not add up to the announced length, bytes
//! after the end, a body cut in the middle.
//! INVARIANT: data is handed out before its chunk's signature can be known. The caller may keep it only after
//! [`ChunkDecoder::finish`] returned `Ok`.
//! INVARIANT: after an error the decoder yields errors only.

use bytes::Bytes;
use ring::digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::auth::Payload;
use super::checksum::Algorithm;
use super::encode::{finish_sha256, hmac_sha256, is_hex64, sha256};
use super::error::{Code, ObjectError};

const LINE_BYTES_MAX: usize = 1024;
const TRAILER_BYTES_MAX: usize = 4096;
/// SHA-256 of nothing, as the chunk string-to-sign repeats it.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What chunk signatures continue from: day key, date, scope and the request's own signature.
#[derive(Clone)]
pub struct ChunkContext {
    key: Zeroizing<[u8; 32]>,
    date: String,
    scope: String,
    previous: String,
}

impl ChunkContext {
    pub(super) fn new(key: Zeroizing<[u8; 32]>, date: String, scope: String, seed: String) -> Self {
        Self { key, date, scope, previous: seed }
    }

    fn check_chunk(&mut self, data_hash: [u8; 32], signature: String) -> Result<(), ObjectError> {
        let hash = hex::encode(data_hash);
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{EMPTY_SHA256}\n{hash}",
            self.date, self.scope, self.previous
        );
        self.check(&text, signature, "The signature of a chunk does not match.")
    }

    fn check_trailer(&mut self, trailers: &Trailers, signature: String) -> Result<(), ObjectError> {
        let canonical: String = trailers.0.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let hash = hex::encode(sha256(canonical.as_bytes()));
        let text =
            format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{hash}", self.date, self.scope, self.previous);
        self.check(&text, signature, "The signature of the trailer does not match.")
    }

    fn check(&mut self, text: &str, signature: String, wrong: &'static str) -> Result<(), ObjectError> {
        let computed = hex::encode(hmac_sha256(self.key.as_slice(), text.as_bytes()));
        if !bool::from(computed.as_bytes().ct_eq(signature.as_bytes())) {
            return Err(ObjectError::because(Code::SignatureDoesNotMatch, wrong));
        }
        self.previous = signature;
        Ok(())
    }
}

impl std::fmt::Debug for ChunkContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkContext").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Trailer fields in the order they came; names in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trailers(Vec<(String, String)>);

impl Trailers {
    /// The value of a trailer.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes one aws-chunked body.
#[derive(Debug)]
pub struct ChunkDecoder {
    signing: Option<ChunkContext>,
    /// Whether the trailer must carry its own signature.
    signed_trailer: bool,
    announced: Option<Algorithm>,
    left: u64,
    state: State,
    line: Vec<u8>,
    trailers: Trailers,
    trailer_bytes: usize,
    /// One blank line is allowed between the last chunk and an announced trailer, as some senders write it.
    blank_allowed: bool,
}

enum State {
    /// In a chunk's size line.
    Size,
    /// In a chunk's data: how much is left, and what was claimed.
    Data {
        left: u64,
        hash: Option<(digest::Context, String)>,
    },
    /// In the line end after a chunk's data.
    DataEnd,
    /// In the trailer lines.
    Trailer {
        signature: Option<String>,
    },
    Done,
    Failed,
}

impl ChunkDecoder {
    /// A decoder for a body of `decoded_length` bytes (`x-amz-decoded-content-length`) whose trailer carries
    /// `announced` (`x-amz-trailer`); `None` when `payload` is not chunked.
    pub fn new(payload: &Payload, decoded_length: u64, announced: Option<Algorithm>) -> Option<Self> {
        let (signing, signed_trailer, announced) = match payload {
            Payload::Unsigned | Payload::Sha256(_) => return None,
            Payload::StreamingSigned(context) => (Some(context.clone()), false, None),
            Payload::StreamingSignedTrailer(context) => (Some(context.clone()), true, announced),
            Payload::StreamingUnsignedTrailer => (None, false, announced),
        };
        Some(Self {
            signing,
            signed_trailer,
            announced,
            left: decoded_length,
            state: State::Size,
            line: Vec::new(),
            trailers: Trailers::default(),
            trailer_bytes: 0,
            blank_allowed: announced.is_some(),
        })
    }

    /// Takes the next bytes from the wire and returns the decoded pieces in them.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`, `IncompleteBody` (sizes do not add up), `InvalidRequest` (framing).
    pub fn push(&mut self, mut input: Bytes) -> Result<Vec<Bytes>, ObjectError> {
        let mut out = Vec::new();
        match self.advance(&mut input, &mut out) {
            Ok(()) => Ok(out),
            Err(error) => {
                self.state = State::Failed;
                Err(error)
            }
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// `IncompleteBody` when the end has not been reached, or after any earlier error.
    pub fn finish(self) -> Result<Trailers, ObjectError> {
        match self.state {
            State::Done => Ok(self.trailers),
            _ => Err(ObjectError::new(Code::IncompleteBody)),
        }
    }

    fn advance(&mut self, input: &mut Bytes, out: &mut Vec<Bytes>) -> Result<(), ObjectError> {
        while !input.is_empty() {
            match &mut self.state {
                State::Size => {
                    if let Some(line) = self.line(input)? {
                        self.begin_chunk(&line)?;
                    }
                }
                State::Data { left, hash } => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    let piece = input.split_to(take);
                    if let Some((context, _)) = hash {
                        context.update(&piece);
                    }
                    *left -= u64::try_from(take).unwrap_or(*left);
                    let whole = *left == 0;
                    out.push(piece);
                    if whole {
                        self.end_chunk()?;
                    }
                }
                State::DataEnd => {
                    if let Some(line) = self.line(input)? {
                        if !line.is_empty() {
                            return Err(framing("a chunk's data is longer than its size"));
                        }
                        self.state = State::Size;
                    }
                }
                State::Trailer { .. } => {
                    if let Some(line) = self.line(input)? {
                        self.trailer_line(&line)?;
                    }
                }
                State::Done => return Err(framing("there are bytes after the last chunk")),
                State::Failed => return Err(ObjectError::new(Code::IncompleteBody)),
            }
        }
        Ok(())
    }

    /// Collects up to the next line end; `None` when more input is needed.
    fn line(&mut self, input: &mut Bytes) -> Result<Option<String>, ObjectError> {
        let end = input.iter().take(LINE_BYTES_MAX + 2).position(|&b| b == b'\n');
        let piece = input.split_to(end.map_or(input.len().min(LINE_BYTES_MAX + 2), |at| at + 1));
        self.line.extend_from_slice(&piece);
        if self.line.len() > LINE_BYTES_MAX + 2 {
            return Err(framing("a line is longer than 1 KiB"));
        }
        if end.is_none() {
            return Ok(None);
        }
        let text = self
            .line
            .strip_suffix(b"\r\n")
            .and_then(|line| std::str::from_utf8(line).ok())
            .ok_or_else(|| framing("a line does not end with CR LF"))?
            .to_owned();
        self.line.clear();
        Ok(Some(text))
    }

    fn begin_chunk(&mut self, line: &str) -> Result<(), ObjectError> {
        let (size, signature) = match (line.split_once(';'), &self.signing) {
            (Some((size, extension)), Some(_)) => {
                let signature = extension.strip_prefix("chunk-signature=").filter(|s| is_hex64(s));
                (size, Some(signature.ok_or_else(|| framing("a chunk has no valid chunk-signature"))?))
            }
            (None, None) => (line, None),
            (None, Some(_)) => return Err(framing("a chunk has no chunk-signature")),
            (Some(_), None) => return Err(framing("an unsigned chunk has an extension")),
        };
        let digits = (1..=16).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        let size = if digits { u64::from_str_radix(size, 16).ok() } else { None };
        let size = size.ok_or_else(|| framing("a chunk's size is not a hexadecimal number"))?;
        self.left = self.left.checked_sub(size).ok_or_else(|| {
            ObjectError::because(
                Code::IncompleteBody,
                "The chunks hold more bytes than x-amz-decoded-content-length announced.",
            )
        })?;
        let hash = signature.map(|s| (digest::Context::new(&digest::SHA256), s.to_owned()));
        let last = size == 0;
        if last && self.left > 0 {
            return Err(ObjectError::new(Code::IncompleteBody));
        }
        self.state = State::Data { left: size, hash };
        if last {
            self.end_chunk()?;
            self.state = State::Trailer { signature: None };
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), ObjectError> {
        let state = std::mem::replace(&mut self.state, State::DataEnd);
        if let (State::Data { hash: Some((context, signature)), .. }, Some(signing)) =
            (state, &mut self.signing)
        {
            signing.check_chunk(finish_sha256(context.finish()), signature)?;
        }
        Ok(())
    }

    fn trailer_line(&mut self, line: &str) -> Result<(), ObjectError> {
        self.trailer_bytes += line.len();
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(framing("the trailer is longer than 4 KiB"));
        }
        if line.is_empty() {
            let nothing_yet =
                self.trailers.0.is_empty() && matches!(self.state, State::Trailer { signature: None });
            if self.blank_allowed && nothing_yet {
                self.blank_allowed = false;
                return Ok(());
            }
            return self.end_trailer();
        }
        let (name, value) = line.split_once(':').ok_or_else(|| framing("a trailer line has no colon"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let State::Trailer { signature } = &mut self.state else { return Ok(()) };
        if signature.is_some() {
            return Err(framing("a trailer follows the trailer's signature"));
        }
        if name == "x-amz-trailer-signature" && self.signed_trailer {
            let value = Some(value)
                .filter(|v| is_hex64(v))
                .ok_or_else(|| framing("the trailer's signature is malformed"))?;
            *signature = Some(value.to_owned());
            return Ok(());
        }
        let expected = self.announced.is_some_and(|a| a.header() == name) && self.trailers.0.is_empty();
        if !expected {
            return Err(framing("a trailer was not announced in x-amz-trailer"));
        }
        self.trailers.0.push((name, value.to_owned()));
        Ok(())
    }

    fn end_trailer(&mut self) -> Result<(), ObjectError> {
        if self.announced.is_some() && self.trailers.0.is_empty() {
            return Err(framing("the trailer that x-amz-trailer announced is missing"));
        }
        let State::Trailer { signature } = std::mem::replace(&mut self.state, State::Done) else {
            return Ok(());
        };
        if let (true, Some(signing)) = (self.signed_trailer, &mut self.signing) {
            let signature = signature.ok_or_else(|| framing("x-amz-trailer-signature is missing"))?;
            signing.check_trailer(&self.trailers, signature)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Size => "Size",
            Self::Data { .. } => "Data",
            Self::DataEnd => "DataEnd",
            Self::Trailer { .. } => "Trailer",
            Self::Done => "Done",
            Self::Failed => "Failed",
        })
    }
}

fn framing(what: &'static str) -> ObjectError {
    ObjectError::because(Code::InvalidRequest, format!("The aws-chunked body cannot be read: {what}."))
}
