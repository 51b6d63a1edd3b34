//! Bodies: what comes in (decoded, counted, checked) and what goes out (a first block with the head, then a stream).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bailee_rooms::Failure;
use bailee_rooms::vault::{Algorithm, Body, BodyDigests};
use bailee_wire::object::{
    Checksums, ChunkDecoder, Code, Dialect, Digests, ObjectError, Reply, XML_DECLARATION,
};
use bytes::{Buf, Bytes};
use futures_util::stream::{self, BoxStream, StreamExt};
use http::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::checksum::kept;

/// A client that sends nothing for this long is given up.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes that must arrive in each such time that is spent waiting for a client: 1 KiB a second.
const PACE_BYTES: u64 = 60 * 1024;
/// An answer that takes longer begins before its end is known.
const AT_ONCE: Duration = Duration::from_secs(10);
/// How often such an answer shows that it is still coming.
const BEAT: Duration = Duration::from_secs(5);

/// How fast a body arrives. Only waiting for the client counts, not what we do ourselves meanwhile.
#[derive(Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Waits for what comes next.
    ///
    /// # Errors
    /// When nothing comes, or what came was too slow.
    async fn wait<T>(
        &mut self,
        next: impl Future<Output = T>,
        len: impl FnOnce(&T) -> usize,
    ) -> Result<T, ObjectError> {
        let begun = Instant::now();
        let next = tokio::time::timeout(IDLE, next).await.map_err(|_| cut("The body stopped arriving."))?;
        if self.is_too_slow(begun.elapsed(), len(&next)) {
            return Err(cut("The body arrived too slowly: less than 1 KiB a second over a minute."));
        }
        Ok(next)
    }

    fn is_too_slow(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < IDLE {
            return false;
        }
        std::mem::take(self).bytes < PACE_BYTES
    }
}

/// What the body's reader found, for the answer: the rooms carry only a text.
#[derive(Default)]
pub(super) struct Found {
    pub(super) error: Option<ObjectError>,
    pub(super) digests: Option<Digests>,
}

/// Where content comes from.
pub(super) enum Source {
    /// The body of a request.
    Http(Incoming),
    /// The file of a form, and how many bytes it may have, at least and at most.
    Form { file: multer::Field<'static>, bytes: (u64, u64) },
}

impl Source {
    /// What comes next: none at the end, nothing for what is no content.
    async fn next(&mut self) -> Option<Result<Option<Bytes>, ()>> {
        match self {
            Self::Http(incoming) => {
                Some(incoming.frame().await?.map(|frame| frame.into_data().ok()).map_err(drop))
            }
            Self::Form { file, .. } => match file.chunk().await {
                Ok(Some(piece)) => Some(Ok(Some(piece))),
                Ok(None) => None,
                Err(_) => Some(Err(())),
            },
        }
    }
}

/// An object's content on its way in.
pub(super) struct Upload {
    source: Source,
    decoder: Option<ChunkDecoder>,
    pending: std::collections::VecDeque<Bytes>,
    claims: Option<Algorithm>,
    sums: Option<Checksums>,
    found: Arc<Mutex<Found>>,
    pace: Pace,
    /// Bytes of content so far.
    taken: u64,
    ended: bool,
}

impl Upload {
    pub(super) fn new(
        source: Source,
        decoder: Option<ChunkDecoder>,
        sums: Checksums,
    ) -> (Self, Arc<Mutex<Found>>) {
        let found = Arc::new(Mutex::new(Found::default()));
        let upload = Self {
            source,
            pace: Pace::default(),
            taken: 0,
            decoder,
            pending: std::collections::VecDeque::new(),
            claims: sums.algorithm().map(kept),
            sums: Some(sums),
            found: Arc::clone(&found),
            ended: false,
        };
        (upload, found)
    }

    fn fail(&self, error: ObjectError) -> String {
        let text = error.message().to_owned();
        self.found.lock().error = Some(error);
        text
    }

    async fn piece(&mut self) -> Option<Result<Bytes, ObjectError>> {
        loop {
            if let Some(piece) = self.pending.pop_front() {
                if piece.is_empty() {
                    continue;
                }
                return Some(Ok(piece));
            }
            if self.ended {
                return None;
            }
            let len = |next: &Option<Result<Option<Bytes>, ()>>| match next {
                Some(Ok(Some(data))) => data.len(),
                _ => 0,
            };
            let data = match self.pace.wait(self.source.next(), len).await {
                Err(error) => return Some(Err(error)),
                Ok(Some(Err(()))) => return Some(Err(cut("The connection broke before the body ended."))),
                Ok(None) => {
                    self.ended = true;
                    continue;
                }
                Ok(Some(Ok(None))) => continue,
                Ok(Some(Ok(Some(data)))) => data,
            };
            if let Source::Form { bytes: (_, max), .. } = &self.source {
                self.taken += data.len() as u64;
                if self.taken > *max {
                    return Some(Err(ObjectError::because(
                        Code::EntityTooLarge,
                        "The file is larger than the form's policy allows.",
                    )));
                }
            }
            match &mut self.decoder {
                None => return Some(Ok(data)),
                Some(decoder) => match decoder.push(data) {
                    Ok(pieces) => self.pending.extend(pieces),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}

fn cut(text: &'static str) -> ObjectError {
    ObjectError::because(Code::IncompleteBody, text)
}

#[async_trait::async_trait]
impl Body for Upload {
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        let piece = self.piece().await?;
        Some(match piece {
            Ok(piece) => {
                if let Some(sums) = &mut self.sums {
                    sums.update(&piece);
                }
                Ok(piece)
            }
            Err(error) => Err(self.fail(error)),
        })
    }

    fn claims(&self) -> Option<Algorithm> {
        self.claims
    }

    fn finish(&mut self) -> Result<BodyDigests, String> {
        let checked = (|| {
            if let Source::Form { bytes: (min, _), .. } = &self.source
                && self.taken < *min
            {
                return Err(ObjectError::because(
                    Code::InvalidArgument,
                    "The file is smaller than the form's policy allows.",
                ));
            }
            let mut sums = self.sums.take().ok_or_else(|| ObjectError::new(Code::InternalError))?;
            if let Some(decoder) = self.decoder.take() {
                sums.trailers(&decoder.finish()?)?;
            }
            sums.finish()
        })();
        match checked {
            Ok(digests) => {
                let claimed = digests.checksum.iter().map(|(a, value)| (kept(*a), value.clone()));
                let out = BodyDigests {
                    md5: digests.md5_hex.to_ascii_lowercase(),
                    crc64: digests.crc64ecma,
                    checksums: claimed.collect(),
                };
                self.found.lock().digests = Some(digests);
                Ok(out)
            }
            Err(error) => Err(self.fail(error)),
        }
    }
}

/// Reads a small body whole (XML).
pub(super) async fn collect(mut incoming: Incoming, max: usize) -> Result<Bytes, ObjectError> {
    let (mut out, mut pace) = (bytes::BytesMut::new(), Pace::default());
    loop {
        let len = |next: &Option<Result<Frame<Bytes>, hyper::Error>>| match next {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        let frame = match pace.wait(incoming.frame(), len).await {
            Err(error) => return Err(error),
            Ok(None) => return Ok(out.freeze()),
            Ok(Some(Err(_))) => return Err(cut("The connection broke before the body ended.")),
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            if out.len() + data.remaining() > max {
                return Err(ObjectError::new(Code::EntityTooLarge));
            }
            out.extend_from_slice(&data);
        }
    }
}

/// An answer that may take long: when it does, its head goes out with 200 at once and spaces keep the connection until the
/// XML comes, as the real services do for copies. An error that comes late is in the XML, where SDKs look for it.
pub(super) async fn slow(
    work: impl Future<Output = Result<Reply, ObjectError>> + Send + 'static,
    dialect: Dialect,
    request_id: String,
    host_id: &'static str,
) -> Response<Answer> {
    let (id, task) = (request_id.clone(), tokio::spawn(work));
    let render = move |done: Result<Result<Reply, ObjectError>, tokio::task::JoinError>| {
        let done = done.unwrap_or_else(|e| {
            tracing::error!("a copy stopped: {e}");
            Err(ObjectError::new(Code::InternalError))
        });
        match done {
            Ok(reply) => reply.stamped(dialect, &id, host_id),
            Err(error) => error.render(dialect, &id, host_id, false),
        }
    };
    let mut task = task;
    if let Ok(done) = tokio::time::timeout(AT_ONCE, &mut task).await {
        return Answer::complete(render(done));
    }
    let mut head = Reply::empty(200);
    head.push("Content-Type", "application/xml");
    // The declaration must come first, so the spaces stand behind it.
    let declaration = Bytes::from_static(XML_DECLARATION.as_bytes());
    let beats = stream::unfold(Some((task, render)), |state| async move {
        let (mut task, render) = state?;
        match tokio::time::timeout(BEAT, &mut task).await {
            Err(_) => Some((Ok(Bytes::from_static(b" ")), Some((task, render)))),
            Ok(done) => {
                let mut body = Bytes::from(render(done).body);
                if body.starts_with(XML_DECLARATION.as_bytes()) {
                    body.advance(XML_DECLARATION.len());
                }
                Some((Ok(body), None))
            }
        }
    });
    let mut response = Answer::of(head.stamped(dialect, &request_id, host_id), declaration, None, 0);
    let answer = response.body_mut();
    (answer.rest, answer.left) = (Some(beats.boxed()), None);
    response
}

/// The body of an answer.
pub(crate) struct Answer {
    first: Option<Bytes>,
    rest: Option<BoxStream<'static, Result<Bytes, Failure>>>,
    /// Bytes that are still to come, where that is known.
    left: Option<u64>,
}

impl Answer {
    /// A whole answer.
    pub(super) fn complete(reply: Reply) -> Response<Self> {
        let body = Bytes::from(reply.body.clone());
        let len = body.len() as u64;
        Self::of(reply, body, None, len)
    }

    /// An answer whose content follows in a stream of `len` bytes in all.
    pub(super) fn of(
        reply: Reply,
        first: Bytes,
        rest: Option<BoxStream<'static, Result<Bytes, Failure>>>,
        len: u64,
    ) -> Response<Self> {
        let mut response =
            Response::new(Self { first: Some(first).filter(|b| !b.is_empty()), rest, left: Some(len) });
        *response.status_mut() =
            http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in reply.headers {
            let name = http::HeaderName::from_bytes(name.as_bytes());
            // Values are UTF-8 without control characters; metadata may hold what is not ASCII.
            let value = http::HeaderValue::from_bytes(value.as_bytes());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        response
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => match &mut self.rest {
                None => None,
                Some(rest) => match rest.poll_next_unpin(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(piece) => piece,
                },
            },
        };
        Poll::Ready(match piece {
            None => None,
            Some(Ok(bytes)) => {
                self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(failure)) => {
                // The head is out already: cutting the connection is the only way to say that this is not the object.
                match &failure {
                    // An operator's read whose grant ended, as it should.
                    Failure::Refused(_) | Failure::Conflict(_) => {
                        tracing::info!("an answer was cut: {failure}");
                    }
                    _ => tracing::error!("an answer was cut: {failure}"),
                }
                Some(Err(failure))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_trickles_is_given_up_after_a_minute_and_a_steady_one_never() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        assert_eq!((1..200).find(|_| pace.is_too_slow(second, 1000)), Some(60));
        let mut pace = Pace::default();
        assert_eq!((1..200).find(|_| pace.is_too_slow(second, 1024)), None);
        // Content that came at once buys no minutes to come.
        let mut pace = Pace::default();
        assert!(!pace.is_too_slow(Duration::ZERO, 1 << 30));
        assert_eq!((1..200).find(|_| pace.is_too_slow(second, 1)), Some(120));
    }
}
