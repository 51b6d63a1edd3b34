//! How much a bucket may hold (OSS).

use crate::object::error::{Code, ObjectError};
use crate::object::xml::{malformed, walk};

const GIB: u64 = 1 << 30;

/// Reads a `QuotaConfiguration`, whose `StorageQuota` counts bytes, or a `BucketUserQos`, whose `StorageCapacity` counts GB and has
/// -1 for none.
///
/// # Errors
/// `MalformedXml`, `InvalidArgument`; `NotImplemented` for a quota that only warns.
pub fn quota_bytes(body: &[u8]) -> Result<Option<u64>, ObjectError> {
    let mut found = None;
    let number = |text: &str| {
        text.trim().parse::<i64>().map_err(|_| malformed("a number of bytes or GB is no number"))
    };
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["QuotaConfiguration" | "BucketUserQos"] | ["QuotaConfiguration", "CurrentUsage"] => {}
            ["QuotaConfiguration", "StorageQuota"] => {
                let bytes = u64::try_from(number(text)?).ok().filter(|n| *n > 0);
                found = Some(Some(bytes.ok_or_else(wrong)?));
            }
            ["QuotaConfiguration", "Mode"] if matches!(text.trim(), "Strict" | "") => {}
            ["QuotaConfiguration", "Mode"] => {
                return Err(ObjectError::not_offered("a storage quota that only warns"));
            }
            ["BucketUserQos", "StorageCapacity"] => {
                found = Some(match number(text)? {
                    -1 => None,
                    gb => Some(
                        u64::try_from(gb)
                            .ok()
                            .and_then(|n| n.checked_mul(GIB))
                            .filter(|n| *n > 0)
                            .ok_or_else(wrong)?,
                    ),
                });
            }
            _ => return Err(malformed("it holds an element that is not known")),
        }
        Ok(())
    })?;
    found.ok_or_else(|| malformed("there is no StorageQuota or StorageCapacity"))
}

fn wrong() -> ObjectError {
    ObjectError::because(Code::InvalidArgument, "A storage quota is a positive number.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_or_refused() {
        let new =
            |inner: &str| quota_bytes(format!("<QuotaConfiguration>{inner}</QuotaConfiguration>").as_bytes());
        let old = |gb: &str| {
            let body = format!("<BucketUserQos><StorageCapacity>{gb}</StorageCapacity></BucketUserQos>");
            quota_bytes(body.as_bytes())
        };
        assert_eq!(new("<StorageQuota>7</StorageQuota><Mode>Strict</Mode>").unwrap(), Some(7));
        assert_eq!((old("2").unwrap(), old("-1").unwrap()), (Some(2 * GIB), None));
        assert_eq!(
            new("<StorageQuota>7</StorageQuota><Mode>Warning</Mode>").unwrap_err().code(),
            Code::NotImplemented
        );
        for bad in ["", "<StorageQuota>x</StorageQuota>", "<Other/>"] {
            assert_eq!(new(bad).unwrap_err().code(), Code::MalformedXml, "{bad}");
        }
        for bad in ["0", "-2", "99999999999999"] {
            assert_eq!(old(bad).unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
    }
}
