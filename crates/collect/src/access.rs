//! Access logs of OSS and S3: words parted by blanks, some in quotes.
//!
//! In OSS' log the client's own words (referer, user agent) stand before the requester, the bucket and the key. A quote in
//! them would move those. So a line must have exactly as many words as the mapping says; any other number is not read.

use std::collections::BTreeMap;

use crate::{Identity, Manner, Observed, Outcome, Reading, Unreadable, text};

/// Words of OSS' log as documented, up to the requester's AccessKey.
const OSS_FIELDS: usize = 28;
/// Words of S3's log before the client's own begin: what comes behind may grow.
const S3_FIELDS_MIN: usize = 16;

pub(crate) fn oss(line: &str, manner: &Manner) -> Result<Reading, Unreadable> {
    let words = text::words(line).ok_or(Unreadable("quotes that do not close"))?;
    if words.len() != manner.fields.unwrap_or(OSS_FIELDS) {
        return Err(Unreadable("another number of fields than expected: see `fields` of the mapping"));
    }
    let word = |at: usize| text::given(words.get(at).copied().unwrap_or_default());
    let at = text::common_log(word(3)).ok_or(Unreadable("no time that can be read"))?;
    let (outcome, code) = ended(word(5), word(19))?;
    if word(11).is_empty() {
        return Err(Unreadable("no request id"));
    }
    let fields = BTreeMap::from([
        ("bucket", word(15).to_owned()),
        ("key", text::percent_decoded(word(16))),
        ("owner", word(21).to_owned()),
        ("accessKey", word(27).to_owned()),
        ("status", word(5).to_owned()),
    ]);
    Ok(Reading::Act(Observed {
        at: Some(at),
        actor: word(13).to_owned(),
        action: word(14).to_owned(),
        resource: object(word(15), word(16)),
        address: word(0).to_owned(),
        outcome,
        code,
        fields,
        session: String::new(),
        identity: Identity::Line(word(11).to_owned()),
    }))
}

pub(crate) fn s3(line: &str, _manner: &Manner) -> Result<Reading, Unreadable> {
    let words = text::words(line).ok_or(Unreadable("quotes that do not close"))?;
    if words.len() < S3_FIELDS_MIN {
        return Err(Unreadable("fewer fields than an access log of S3 has"));
    }
    let word = |at: usize| text::given(words.get(at).copied().unwrap_or_default());
    let at = text::common_log(word(2)).ok_or(Unreadable("no time that can be read"))?;
    let (outcome, code) = ended(word(9), word(10))?;
    if word(5).is_empty() {
        return Err(Unreadable("no request id"));
    }
    let fields = BTreeMap::from([
        ("bucket", word(1).to_owned()),
        ("key", text::percent_decoded(word(7))),
        ("owner", word(0).to_owned()),
        ("status", word(9).to_owned()),
    ]);
    Ok(Reading::Act(Observed {
        at: Some(at),
        actor: word(4).to_owned(),
        action: word(6).to_owned(),
        resource: object(word(1), word(7)),
        address: word(3).to_owned(),
        outcome,
        code,
        fields,
        session: String::new(),
        identity: Identity::Line(word(5).to_owned()),
    }))
}

fn object(bucket: &str, key: &str) -> String {
    if key.is_empty() { bucket.to_owned() } else { format!("{bucket}/{}", text::percent_decoded(key)) }
}

fn ended(status: &str, code: &str) -> Result<(Outcome, String), Unreadable> {
    let number: u16 = match status {
        // S3 has none for what it did by itself (lifecycle).
        "" => 200,
        digits => digits.parse().map_err(|_| Unreadable("no status of the answer"))?,
    };
    Ok(match number {
        100..=399 => (Outcome::Done, String::new()),
        401 | 403 => (Outcome::Refused, if code.is_empty() { status.to_owned() } else { code.to_owned() }),
        _ => (Outcome::Failed, if code.is_empty() { status.to_owned() } else { code.to_owned() }),
    })
}
