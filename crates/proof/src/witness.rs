//! What log and witness say to each other: the body of `add-checkpoint` and its answer (C2SP tlog-witness; facts/tlog.md
//! §6).
//!
//! INVARIANT: a request has one spelling; what is read prints the same bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::{Hash, sha256};
use crate::note::{Note, NoteError, SignatureLine, VerifierKey};
use crate::policy::FUTURE_SECONDS_MAX;

/// Hashes of the consistency proof in a request, at most: a tree has no more levels.
pub const PROOF_HASHES_MAX: usize = 63;

/// Bytes of a request, at most: the largest note, 63 hashes and the first line.
pub const REQUEST_BYTES_MAX: usize = crate::note::NOTE_BYTES_MAX + 64 * 64;

/// Bytes of an answer, at most.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The media type of the answer 409, whose body is the size that the witness last cosigned.
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// The body of `POST <submission prefix>/add-checkpoint`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddCheckpoint<'a> {
    /// The size that the log believes the witness to have cosigned last; 0 for never.
    pub old: u64,
    /// That the new tree begins with the old one.
    pub proof: Vec<Hash>,
    /// The checkpoint's note, with the log's signature.
    pub note: &'a [u8],
}

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Longer than [`REQUEST_BYTES_MAX`].
    #[error("the request is longer than a checkpoint and its proof can be")]
    TooLong,
    /// The first line is not `old <size>`.
    #[error("the first line must be `old` and a size in decimal without leading zero")]
    Old,
    /// A line of the proof is not 32 bytes in base64, or the blank line is missing.
    #[error("line {0} must be a hash of 32 bytes in base64, or the blank line in front of the checkpoint")]
    Hash(usize),
    /// More than [`PROOF_HASHES_MAX`] hashes.
    #[error("the proof has more than 63 hashes")]
    TooManyHashes,
}

/// Why the lines that a witness answered with are not appended to the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not signature lines, or too many bytes.
    #[error("the witness's answer is not signature lines")]
    Form,
    /// No line by the key that the policy has for it, or a wrong one.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The time is 0 or in the future.
    #[error("the witness dated its cosignature {0}, which is not a time up to now")]
    Time(u64),
}

impl<'a> AddCheckpoint<'a> {
    /// Reads the body of a request. The note in it is not looked into.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(body: &'a [u8]) -> Result<Self, RequestError> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::TooLong);
        }
        let (first, mut rest) = line(body).ok_or(RequestError::Old)?;
        let old = std::str::from_utf8(first).ok().and_then(|l| l.strip_prefix("old "));
        let old = old.and_then(canonical).ok_or(RequestError::Old)?;
        let mut proof = Vec::new();
        loop {
            let wrong = RequestError::Hash(proof.len() + 2);
            let (next, after) = line(rest).ok_or_else(|| wrong.clone())?;
            rest = after;
            if next.is_empty() {
                return Ok(Self { old, proof, note: rest });
            }
            if proof.len() == PROOF_HASHES_MAX {
                return Err(RequestError::TooManyHashes);
            }
            proof.push(hash(next).ok_or(wrong)?);
        }
    }

    /// The body of the request.
    pub fn body(&self) -> Vec<u8> {
        let mut body = format!("old {}\n", self.old);
        for hash in &self.proof {
            body.push_str(&STANDARD.encode(hash.0));
            body.push('\n');
        }
        body.push('\n');
        [body.as_bytes(), self.note].concat()
    }
}

/// Reads what a witness answered with status 200 and picks the line that counts: the latest by `key` over the
/// checkpoint's `text`. The line, with its newline, is to be appended to the note; its time is POSIX seconds.
///
/// # Errors
/// When there is no such line, one by that key is wrong, or its time is not one up to now.
pub fn read_answer(
    body: &[u8],
    text: &str,
    key: &VerifierKey,
    now: u64,
) -> Result<(String, u64), AnswerError> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(AnswerError::Form);
    }
    let note = [text.as_bytes(), b"\n", body].concat();
    let note = Note::parse(&note)?;
    if note.text() != text {
        return Err(AnswerError::Form);
    }
    note.verify(&[key])?;
    let by_key = |l: &&SignatureLine<'_>| l.name() == key.name() && l.key_id() == key.id();
    let dated = note.lines().iter().filter(by_key).filter_map(|line| {
        let (time, _) = line.signature().split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*time), line))
    });
    let (time, line) = dated.max_by_key(|(time, _)| *time).ok_or(AnswerError::Form)?;
    if time == 0 || time > now.saturating_add(FUTURE_SECONDS_MAX) {
        return Err(AnswerError::Time(time));
    }
    Ok((line.to_string(), time))
}

/// Reads the body of the answer 409: the size that the witness last cosigned.
pub fn read_size(body: &[u8]) -> Option<u64> {
    canonical(std::str::from_utf8(body).ok()?.strip_suffix('\n')?)
}

/// Where a witness serves the latest checkpoint that it cosigned for a log, below its monitoring prefix.
pub fn monitoring_path(origin: &str) -> String {
    format!("{}/checkpoint", sha256(&[origin.as_bytes()]))
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == b'\n')?;
    let (line, rest) = bytes.split_at_checked(at)?;
    Some((line, rest.get(1..)?))
}

fn hash(base64: &[u8]) -> Option<Hash> {
    STANDARD.decode(base64).ok().and_then(|bytes| Hash::from_slice(&bytes))
}

/// A decimal number in its one spelling.
pub(crate) fn canonical(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|n| n.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Signer, cosign};
    use proptest::prelude::*;

    const TEXT: &str = "example.com/trail\n7\nWmH8K1T5z6cXdPJDIUPdQMbLKxGUf69lp9PaXLZRmcg=\n";
    const H: &str = "qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=";

    #[test]
    fn the_known_monitoring_path() {
        assert_eq!(
            monitoring_path("example.com/trail"),
            "fc2de77cd696e37b589fe42324e69fb2c6eb100558581644e46aff8d000d3de5/checkpoint"
        );
    }

    #[test]
    fn a_request_reads_and_prints_and_other_forms_are_refused() {
        let body = format!("old 3\n{H}\n{H}\n\n{TEXT}\nlines");
        let read = AddCheckpoint::parse(body.as_bytes()).unwrap();
        assert_eq!((read.old, read.proof.len(), read.note), (3, 2, format!("{TEXT}\nlines").as_bytes()));
        assert_eq!(read.body(), body.as_bytes());
        let many = format!("{H}\n").repeat(64);
        let cases = [
            (String::new(), RequestError::Old),
            ("old 0".into(), RequestError::Old),
            ("old 03\n\nx".into(), RequestError::Old),
            ("old +3\n\nx".into(), RequestError::Old),
            ("old -1\n\nx".into(), RequestError::Old),
            ("old 18446744073709551616\n\nx".into(), RequestError::Old),
            ("old 3\r\n\nx".into(), RequestError::Old),
            ("OLD 3\n\nx".into(), RequestError::Old),
            ("old 3\n".into(), RequestError::Hash(2)),
            (format!("old 3\n{H}\n"), RequestError::Hash(3)),
            (format!("old 3\n{H}x\n\n"), RequestError::Hash(2)),
            (format!("old 3\n{}\n\n", H.replace("3w=", "3x=")), RequestError::Hash(2)),
            ("old 3\nAAAA\n\n".into(), RequestError::Hash(2)),
            (format!("old 3\n{many}\nx"), RequestError::TooManyHashes),
        ];
        for (body, error) in cases {
            assert_eq!(AddCheckpoint::parse(body.as_bytes()), Err(error), "{body}");
        }
        let most = format!("old 3\n{}\nx", format!("{H}\n").repeat(63));
        assert_eq!(AddCheckpoint::parse(most.as_bytes()).unwrap().proof.len(), 63);
        assert_eq!(AddCheckpoint::parse(&vec![b'o'; REQUEST_BYTES_MAX + 1]), Err(RequestError::TooLong));
    }

    #[test]
    fn an_answer_counts_when_its_line_is_by_that_witness_over_that_text_and_of_a_time_up_to_now() {
        let w = Signer::witness_from_seed("witness.example/w1", &[7; 32]).unwrap();
        let other = Signer::witness_from_seed("witness.example/w2", &[8; 32]).unwrap();
        let line = |time| cosign(TEXT, &w, time).unwrap();
        let read = |body: &str| read_answer(body.as_bytes(), TEXT, w.verifier(), 1000);
        assert_eq!(read(&line(900)), Ok((line(900), 900)));
        let more = [line(900), cosign(TEXT, &other, 5).unwrap(), line(950)].concat();
        assert_eq!(read(&more), Ok((line(950), 950)));
        assert_eq!(read(&line(0)), Err(AnswerError::Time(0)));
        assert_eq!(read(&line(1301)), Err(AnswerError::Time(1301)));
        assert!(matches!(read(&cosign(TEXT, &other, 5).unwrap()), Err(AnswerError::Note(_))));
        let elsewhere = cosign(&TEXT.replace("\n7\n", "\n8\n"), &w, 900).unwrap();
        assert!(matches!(read(&elsewhere), Err(AnswerError::Note(NoteError::Wrong { .. }))));
        for body in ["", "\n", "x\n", &format!("x\n\n{}", line(900)), &format!("\n{}", line(900))] {
            assert!(read(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_size_has_one_spelling() {
        assert_eq!(read_size(b"7\n"), Some(7));
        for other in ["7", "07\n", "+7\n", "7\n\n", "", "\n"] {
            assert_eq!(read_size(other.as_bytes()), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn what_reads_prints_the_same(body in "old [0-9]{1,3}\n([A-Za-z0-9+/]{42}[A-Z]=\n){0,3}\n?.{0,20}") {
            if let Ok(read) = AddCheckpoint::parse(body.as_bytes()) {
                prop_assert_eq!(read.body(), body.into_bytes());
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = AddCheckpoint::parse(&body);
        }
    }
}
