//! What several logs share: times in their forms, quoted words.

use bailee_types::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn month(name: &str) -> Option<usize> {
    MONTHS.iter().position(|m| *m == name).map(|at| at + 1)
}

/// An offset as ISO 8601 writes it, `+08:00`, out of `+08`, `+0800`, `+08:00` or `Z`.
pub(crate) fn offset(text: &str) -> Option<String> {
    if text == "Z" {
        return Some("+00:00".into());
    }
    let sign = text.get(..1).filter(|s| matches!(*s, "+" | "-"))?;
    let digits: String = text.get(1..)?.chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match digits.len() {
        2 => Some(format!("{sign}{digits}:00")),
        4 => Some(format!("{sign}{}:{}", digits.get(..2)?, digits.get(2..)?)),
        _ => None,
    }
}

/// `2026-11-25 20:29:46`, `2026-11-25T20:29:46,531`, with any length of fraction, at an offset.
pub(crate) fn civil(text: &str, offset: &str) -> Option<Timestamp> {
    let text = text.replacen(' ', "T", 1).replacen(',', ".", 1);
    let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) || fraction.len() > 9 {
        return None;
    }
    let ms = fraction.chars().chain("000".chars()).take(3).collect::<String>();
    Timestamp::parse_iso_offset(&format!("{seconds}.{ms}{offset}")).ok()
}

/// RFC 3339 with any length of fraction: `2026-11-25T20:29:46.123456Z`, `…+08:00`.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    if let Some(body) = text.strip_suffix('Z') {
        return civil(body, "+00:00");
    }
    let at = text.len().checked_sub(6)?;
    let (body, zone) = text.split_at_checked(at)?;
    civil(body, &offset(zone)?)
}

/// `26/Jul/2021:00:00:30 +0800`, as web servers write it.
pub(crate) fn common_log(text: &str) -> Option<Timestamp> {
    let (time, zone) = text.split_once(' ')?;
    let (date, clock) = time.split_once(':')?;
    let mut parts = date.split('/');
    let (day, name, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    civil(&format!("{year}-{:02}-{day}T{clock}", month(name)?), &offset(zone)?)
}

/// `Nov 25 20:29:46`, as RFC 3164 writes it: without a year, so the one in which it is not in the future.
pub(crate) fn without_year(text: &str, offset: &str, now: Timestamp) -> Option<Timestamp> {
    let (name, rest) = text.split_at_checked(3)?;
    let (day, clock) = rest.trim_start().split_once(' ')?;
    let day: u8 = day.parse().ok()?;
    let this: i64 = now.iso().get(..4)?.parse().ok()?;
    let in_year = |year: i64| civil(&format!("{year:04}-{:02}-{day:02}T{clock}", month(name)?), offset);
    // A day of grace: clocks differ, and the new year begins elsewhere first.
    let found = [this + 1, this, this - 1].into_iter().filter_map(in_year);
    found.into_iter().find(|at| *at <= now.plus_ms(86_400_000))
}

/// Words parted by single blanks; `[…]` and `"…"` are one word, without their marks. None when a mark is not closed or
/// something follows it: then it is not clear which word is which.
pub(crate) fn words(line: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let mut rest = line;
    loop {
        let (word, after) = match rest.as_bytes().first() {
            Some(b'"') => rest.get(1..)?.split_once('"')?,
            Some(b'[') => rest.get(1..)?.split_once(']')?,
            _ => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        found.push(word);
        if after.is_empty() {
            return Some(found);
        }
        rest = after.strip_prefix(' ')?;
    }
}

/// `-` and nothing mean that there is none.
pub(crate) fn given(word: &str) -> &str {
    if word == "-" { "" } else { word }
}

pub(crate) fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
