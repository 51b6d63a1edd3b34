//! RestoreObject: for how many days what is archived is to be read.

use crate::object::error::ObjectError;
use crate::object::xml::{malformed, walk};

/// The body of a RestoreObject: days, one when nothing is said (OSS). How fast is taken and makes no difference: it is at once.
///
/// # Errors
/// `MalformedXML`; `NotImplemented` for restores that select, or write elsewhere.
pub fn restore_days(body: &[u8]) -> Result<u32, ObjectError> {
    if body.is_empty() {
        return Ok(1);
    }
    let mut days = None;
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["RestoreRequest"]
            | ["RestoreRequest", "JobParameters" | "GlacierJobParameters"]
            | ["RestoreRequest", "Description"] => {}
            ["RestoreRequest", "Days"] => {
                let number = text.trim().parse().map_err(|_| malformed("Days is no number"))?;
                days = Some(number);
            }
            ["RestoreRequest", "Tier"]
            | ["RestoreRequest", "JobParameters" | "GlacierJobParameters", "Tier"]
                if matches!(text.trim(), "Standard" | "Bulk" | "Expedited") => {}
            ["RestoreRequest", "Type" | "SelectParameters" | "OutputLocation", ..] => {
                return Err(ObjectError::not_offered("restores that select or write elsewhere"));
            }
            _ => return Err(malformed("an element is not known")),
        }
        Ok(())
    })?;
    Ok(days.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::error::Code;

    #[test]
    fn days_are_read_or_one() {
        assert_eq!(restore_days(b"").unwrap(), 1);
        assert_eq!(restore_days(b"<RestoreRequest><Days>7</Days></RestoreRequest>").unwrap(), 7);
        let tier = b"<RestoreRequest><Days>2</Days><JobParameters><Tier>Bulk</Tier></JobParameters></RestoreRequest>";
        assert_eq!(restore_days(tier).unwrap(), 2);
        assert!(restore_days(b"<RestoreRequest><Days>x</Days></RestoreRequest>").is_err());
        assert!(restore_days(b"<RestoreRequest><Tier>Now</Tier></RestoreRequest>").is_err());
        let select = restore_days(b"<RestoreRequest><Type>SELECT</Type></RestoreRequest>").unwrap_err();
        assert_eq!(select.code(), Code::NotImplemented);
    }
}
