//! Versions: which one a request means, how a bucket keeps them, all of them.

use bailee_types::BucketName;

use super::argument;
use super::list::{encoding_url, page, text};
use crate::object::error::ObjectError;
use crate::object::head::Head;
use crate::object::xml::{malformed, walk};

const ID_BYTES_MAX: usize = 128;

/// `GET /bucket?versions`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListVersions {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys with this prefix.
    pub prefix: String,
    /// Keys are grouped up to it.
    pub delimiter: Option<String>,
    /// Only what comes after this key.
    pub key_marker: String,
    /// And, of that key, after this version.
    pub version_marker: Option<String>,
    /// Page size, at most 1,000.
    pub max_keys: u32,
    /// Whether keys in the answer are URL-encoded.
    pub encoding_url: bool,
}

/// The body of a PutBucketVersioning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VersioningSettings {
    /// Whether versions are kept from now on; else keeping them is suspended.
    pub enabled: bool,
}

impl VersioningSettings {
    /// Reads `<VersioningConfiguration><Status/></VersioningConfiguration>`.
    ///
    /// # Errors
    /// `MalformedXml`, also without a status; `NotImplemented` for MFA on deletes.
    pub fn parse(body: &[u8]) -> Result<Self, ObjectError> {
        let mut enabled = None;
        walk(body, |path, text| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            match (path.as_slice(), text.trim()) {
                (["VersioningConfiguration"], _) => {}
                (["VersioningConfiguration", "Status"], "Enabled") => enabled = Some(true),
                (["VersioningConfiguration", "Status"], "Suspended") => enabled = Some(false),
                (["VersioningConfiguration", "Status"], _) => {
                    return Err(malformed("Status must be Enabled or Suspended"));
                }
                (["VersioningConfiguration", "MfaDelete" | "MFADelete"], "" | "Disabled") => {}
                (["VersioningConfiguration", "MfaDelete" | "MFADelete"], _) => {
                    return Err(ObjectError::not_offered("PutBucketVersioning with MfaDelete"));
                }
                _ => return Err(malformed("it holds an element that is not known")),
            }
            Ok(())
        })?;
        enabled.map(|enabled| Self { enabled }).ok_or_else(|| malformed("there is no Status"))
    }
}

/// The version that a request names.
pub(super) fn named(head: &Head<'_>) -> Result<Option<String>, ObjectError> {
    id(head, "versionId")
}

fn id(head: &Head<'_>, name: &'static str) -> Result<Option<String>, ObjectError> {
    match head.param(name).filter(|v| !v.is_empty()) {
        None => Ok(None),
        Some(id) if id.len() <= ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(id.to_owned()))
        }
        Some(_) => Err(argument(name, "it is no version's id")),
    }
}

pub(super) fn list(head: &Head<'_>, bucket: BucketName) -> Result<ListVersions, ObjectError> {
    let (key_marker, version_marker) =
        (text(head, "key-marker")?.unwrap_or_default(), id(head, "version-id-marker")?);
    if version_marker.is_some() && key_marker.is_empty() {
        return Err(argument("version-id-marker", "it needs a key-marker"));
    }
    Ok(ListVersions {
        bucket,
        prefix: text(head, "prefix")?.unwrap_or_default(),
        delimiter: text(head, "delimiter")?.filter(|d| !d.is_empty()),
        key_marker,
        version_marker,
        max_keys: page(head, "max-keys", 1)?.unwrap_or(head.words().max_keys_default),
        encoding_url: encoding_url(head)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Code;

    #[test]
    fn settings_are_read_or_refused() {
        let read = |inner: &str| {
            VersioningSettings::parse(
                format!("<VersioningConfiguration>{inner}</VersioningConfiguration>").as_bytes(),
            )
        };
        assert!(read("<Status>Enabled</Status>").unwrap().enabled);
        assert!(!read("<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>").unwrap().enabled);
        for bad in ["", "<Status>Off</Status>", "<Status/>", "<Other/>"] {
            assert_eq!(read(bad).unwrap_err().code(), Code::MalformedXml, "{bad}");
        }
        let mfa = read("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>");
        assert_eq!(mfa.unwrap_err().code(), Code::NotImplemented);
    }
}
