//! Retention: locks of versions in headers and bodies, rules of buckets, the WORM of OSS.

use bailee_types::Timestamp;

use super::argument;
use crate::object::dialect::Dialect;
use crate::object::error::{Code, ObjectError};
use crate::object::head::Head;
use crate::object::xml::{malformed, walk};

/// Until when a version is retained, in the words of both dialects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockTerm {
    /// Nobody can shorten it (`COMPLIANCE`), else who may bypass it can (`GOVERNANCE`).
    pub compliance: bool,
    /// The instant from which on it is not.
    pub until: Timestamp,
}

/// What holds a version, as headers say it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LockHeaders {
    /// Until when it is retained.
    pub term: Option<LockTerm>,
    /// Whether it is held without an end.
    pub legal_hold: Option<bool>,
}

/// The rules of a bucket for new versions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LockSettings {
    /// What new versions get: whether in compliance mode, days, years.
    pub default: Option<(bool, Option<u32>, Option<u32>)>,
}

/// What is done with a WORM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WormRequest {
    /// `GET ?worm`.
    Get,
    /// `POST ?worm`; the body is read by [`worm_days`].
    Begin,
    /// `DELETE ?worm`.
    GiveUp,
    /// `POST ?wormId=`.
    Lock(String),
    /// `POST ?wormExtend&wormId=`; the body is read by [`worm_days`].
    Extend(String),
}

fn mode(text: &str) -> Option<bool> {
    match text.trim() {
        "COMPLIANCE" => Some(true),
        "GOVERNANCE" => Some(false),
        _ => None,
    }
}

fn hold(text: &str) -> Option<bool> {
    match text.trim() {
        "ON" => Some(true),
        "OFF" => Some(false),
        _ => None,
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    Timestamp::parse_iso_offset(text.trim()).ok()
}

/// What a write says of the lock of what it writes.
pub(super) fn headers(head: &Head<'_>) -> Result<LockHeaders, ObjectError> {
    let words = head.words();
    let given = |name: &'static str| Ok::<_, ObjectError>(head.header(name)?.filter(|v| !v.is_empty()));
    let term = match (given(words.lock_mode)?, given(words.lock_until)?) {
        (None, None) => None,
        (Some(kind), Some(until)) => Some(LockTerm {
            compliance: mode(kind)
                .ok_or_else(|| argument(words.lock_mode, "it must be GOVERNANCE or COMPLIANCE"))?,
            until: instant(until).ok_or_else(|| {
                argument(words.lock_until, "it must be an instant, e.g. 2027-01-01T00:00:00Z")
            })?,
        }),
        _ => {
            return Err(ObjectError::because(
                Code::InvalidArgument,
                "A retention needs its mode and its retain-until-date, both.",
            ));
        }
    };
    let legal_hold = match given(words.lock_hold)? {
        None => None,
        Some(text) => Some(hold(text).ok_or_else(|| argument(words.lock_hold, "it must be ON or OFF"))?),
    };
    Ok(LockHeaders { term, legal_hold })
}

/// Whether governance is to be passed over.
pub(super) fn bypass(head: &Head<'_>) -> Result<bool, ObjectError> {
    let name = format!("{}bypass-governance-retention", head.words().prefix);
    match head.header(&name)? {
        None | Some("") => Ok(false),
        Some(v) if v.eq_ignore_ascii_case("true") => Ok(true),
        Some(v) if v.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(argument("bypass-governance-retention", "it must be true or false")),
    }
}

/// Reads `<Retention><Mode/><RetainUntilDate/></Retention>`; an empty one takes retention away.
///
/// # Errors
/// `MalformedXml`.
pub fn retention(body: &[u8]) -> Result<Option<LockTerm>, ObjectError> {
    let (mut compliance, mut until) = (None, None);
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["Retention"] => {}
            ["Retention", "Mode"] => {
                compliance =
                    Some(mode(text).ok_or_else(|| malformed("Mode must be GOVERNANCE or COMPLIANCE"))?);
            }
            ["Retention", "RetainUntilDate"] => {
                until = Some(instant(text).ok_or_else(|| malformed("RetainUntilDate is no instant"))?);
            }
            _ => return Err(malformed("it holds an element that is not known")),
        }
        Ok(())
    })?;
    match (compliance, until) {
        (None, None) => Ok(None),
        (Some(compliance), Some(until)) => Ok(Some(LockTerm { compliance, until })),
        _ => Err(malformed("a Retention needs a Mode and a RetainUntilDate, or neither")),
    }
}

/// Reads `<LegalHold><Status/></LegalHold>`.
///
/// # Errors
/// `MalformedXml`, also without a status.
pub fn legal_hold(body: &[u8]) -> Result<bool, ObjectError> {
    let mut status = None;
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["LegalHold"] => {}
            ["LegalHold", "Status"] => {
                status = Some(hold(text).ok_or_else(|| malformed("Status must be ON or OFF"))?);
            }
            _ => return Err(malformed("it holds an element that is not known")),
        }
        Ok(())
    })?;
    status.ok_or_else(|| malformed("there is no Status"))
}

impl LockSettings {
    /// Reads an `ObjectLockConfiguration` (S3) or `ObjectWormConfiguration` (OSS).
    ///
    /// # Errors
    /// `MalformedXml`, also when it does not switch retention on.
    pub fn parse(body: &[u8], dialect: Dialect) -> Result<Self, ObjectError> {
        let (root, switch) = words(dialect);
        let mut on = false;
        let mut rule = false;
        let (mut compliance, mut days, mut years) = (None, None, None);
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| malformed("a number is no number"));
        walk(body, |path, text| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some((first, rest)) = path.split_first() else { return Ok(()) };
            if *first != root {
                return Err(malformed("the root is not the one of retention rules"));
            }
            match rest {
                [] => {}
                [name] if *name == switch => {
                    on = text.trim() == "Enabled";
                    if !on {
                        return Err(malformed("retention can be Enabled only"));
                    }
                }
                ["Rule", "DefaultRetention", "Mode"] => {
                    compliance =
                        Some(mode(text).ok_or_else(|| malformed("Mode must be GOVERNANCE or COMPLIANCE"))?);
                }
                ["Rule", "DefaultRetention", "Days"] => days = Some(number(text)?),
                ["Rule", "DefaultRetention", "Years"] => years = Some(number(text)?),
                ["Rule", "DefaultRetention"] => rule = true,
                ["Rule"] => {}
                _ => return Err(malformed("it holds an element that is not known")),
            }
            Ok(())
        })?;
        if !on {
            return Err(malformed("it does not say that retention is Enabled"));
        }
        let default = match (compliance, days, years) {
            (None, None, None) if !rule => None,
            (Some(compliance), days, years) if days.is_some() != years.is_some() => {
                Some((compliance, days, years))
            }
            _ => return Err(malformed("a DefaultRetention needs a Mode and either Days or Years")),
        };
        Ok(Self { default })
    }
}

/// Root element and switch of a bucket's rules.
pub(in crate::object) const fn words(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::S3 => ("ObjectLockConfiguration", "ObjectLockEnabled"),
        Dialect::Oss => ("ObjectWormConfiguration", "ObjectWormEnabled"),
    }
}

/// Reads the days of an `InitiateWormConfiguration` or `ExtendWormConfiguration`.
///
/// # Errors
/// `MalformedXml`.
pub fn worm_days(body: &[u8]) -> Result<u32, ObjectError> {
    let mut days = None;
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["InitiateWormConfiguration" | "ExtendWormConfiguration"] => {}
            ["InitiateWormConfiguration" | "ExtendWormConfiguration", "RetentionPeriodInDays"] => {
                days =
                    Some(text.trim().parse().map_err(|_| malformed("RetentionPeriodInDays is no number"))?);
            }
            _ => return Err(malformed("it holds an element that is not known")),
        }
        Ok(())
    })?;
    days.ok_or_else(|| malformed("there are no RetentionPeriodInDays"))
}

pub(super) fn worm_id(head: &Head<'_>) -> Result<String, ObjectError> {
    let id = head.param("wormId").unwrap_or_default();
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(ObjectError::new(Code::NoSuchWorm));
    }
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_or_refused() {
        let read = |inner: &str| retention(format!("<Retention>{inner}</Retention>").as_bytes());
        let term =
            read("<Mode>COMPLIANCE</Mode><RetainUntilDate>2027-01-01T08:00:00+08:00</RetainUntilDate>");
        let until = Timestamp::parse_iso("2027-01-01T00:00:00Z").unwrap();
        assert_eq!(term.unwrap(), Some(LockTerm { compliance: true, until }));
        assert_eq!(read("").unwrap(), None);
        for bad in [
            "<Mode>COMPLIANCE</Mode>",
            "<Mode>soft</Mode><RetainUntilDate>2027-01-01T00:00:00Z</RetainUntilDate>",
            "<Mode>GOVERNANCE</Mode><RetainUntilDate>tomorrow</RetainUntilDate>",
            "<Other/>",
        ] {
            assert_eq!(read(bad).unwrap_err().code(), Code::MalformedXml, "{bad}");
        }
        assert!(legal_hold(b"<LegalHold><Status>ON</Status></LegalHold>").unwrap());
        assert_eq!(legal_hold(b"<LegalHold/>").unwrap_err().code(), Code::MalformedXml);
        assert_eq!(
            worm_days(b"<InitiateWormConfiguration><RetentionPeriodInDays>9</RetentionPeriodInDays></InitiateWormConfiguration>")
                .unwrap(),
            9
        );
    }

    #[test]
    fn rules_of_a_bucket_are_on_and_have_one_length() {
        let read = |inner: &str| {
            let body = format!("<ObjectLockConfiguration>{inner}</ObjectLockConfiguration>");
            LockSettings::parse(body.as_bytes(), Dialect::S3)
        };
        let on = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>";
        assert_eq!(read(on).unwrap().default, None);
        let rule = |inner: &str| format!("{on}<Rule><DefaultRetention>{inner}</DefaultRetention></Rule>");
        let whole = read(&rule("<Mode>GOVERNANCE</Mode><Days>3</Days>")).unwrap();
        assert_eq!(whole.default, Some((false, Some(3), None)));
        for bad in [
            String::new(),
            "<ObjectLockEnabled>Disabled</ObjectLockEnabled>".into(),
            rule(""),
            rule("<Mode>GOVERNANCE</Mode>"),
            rule("<Mode>GOVERNANCE</Mode><Days>3</Days><Years>1</Years>"),
            rule("<Days>3</Days>"),
            rule("<Mode>GOVERNANCE</Mode><Days>-3</Days>"),
        ] {
            assert_eq!(read(&bad).unwrap_err().code(), Code::MalformedXml, "{bad}");
        }
    }
}
