//! Trails: where a tenant wants its events delivered. Here they are made, changed, switched on and off; who delivers
//! reads [`Trail`] rows and writes the four members that say how far it came.
//!
//! A trail of the family `management` carries the tenant's own events, one of the family `inner` the platform's.
//! INVARIANT: a trail names a bucket of its own tenant when it is made, changed or started.
//! INVARIANT: status goes Fresh → Enable → Disable → Enable; what was recorded while a trail was off is not delivered.

mod acts;
mod rows;

use bailee_types::{Arn, BucketName, RegionId, TenantId, Timestamp};
use serde_json::Value;

pub(super) use rows::one as one_trail;

pub use acts::{
    CreateTrail, DeleteTrail, DescribeRegions, DescribeTrails, GetTrailStatus, StartLogging, StopLogging,
    TrailAct, TrailChange, TrailOf, TrailStatus, UpdateTrail,
};

use crate::Failure;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Touches};

/// Trails of one family that a tenant may have.
pub const TRAILS_MAX: u64 = 5;
/// Characters of a prefix in the bucket.
const PREFIX_MAX: usize = 32;

/// Whose events a trail carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailFamily {
    /// The tenant's management events (ActionTrail).
    Management,
    /// The platform's events (Inner-ActionTrail).
    Inner,
}

impl TrailFamily {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Inner => "inner",
        }
    }
}

/// Where a trail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Made, never started.
    Fresh,
    /// Events are to be delivered.
    Enable,
    /// Stopped.
    Disable,
}

impl Status {
    /// As the wire spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fresh => "Fresh",
            Self::Enable => "Enable",
            Self::Disable => "Disable",
        }
    }
}

/// What a tenant says about a trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailSettings {
    /// `Write`, `Read` or `All`.
    pub event_rw: String,
    /// `All`, or the region whose events it carries.
    pub trail_region: String,
    /// The tenant's bucket that gets the events.
    pub bucket: BucketName,
    /// Before the path in the bucket; may be empty.
    pub prefix: String,
    /// The role under which to write; empty for the platform's own.
    pub role_arn: String,
}

/// A trail, as its row holds it.
#[derive(Clone, Debug)]
pub struct Trail {
    /// Whose events.
    pub family: TrailFamily,
    /// The name.
    pub name: String,
    /// Where it stands.
    pub status: Status,
    /// What the tenant said.
    pub settings: TrailSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its settings were last changed.
    pub updated_at: Timestamp,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// When it was last stopped.
    pub stopped_at: Option<Timestamp>,
    /// The delivery's cursor: the first record of the log that is still to be delivered. Set to the end of the log when
    /// the trail is started; moved by whoever delivers, in the transaction that notes a delivery.
    pub next_record: u64,
    /// When something was last delivered; written by whoever delivers.
    pub delivered_at: Option<Timestamp>,
    /// When and why the last delivery failed; emptied by the next one that succeeds.
    pub failed: Option<(Timestamp, String)>,
}

impl Trail {
    /// `acs:actiontrail:<region>:<tenant>:trail/<name>`.
    pub fn arn(&self, tenant: &TenantId, region: &RegionId) -> Arn {
        Arn::trail(tenant, region.as_str(), &self.name)
    }
}

/// Checks a trail's name: 6 to 36 of a-z, 0-9, hyphen, underscore, beginning with a letter.
fn check_name(name: &str) -> Result<(), Failure> {
    let fine = (6..=36).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if fine {
        return Ok(());
    }
    Err(Failure::invalid(
        "Name",
        "must have 6 to 36 of a-z, 0-9, hyphen and underscore, and begin with a letter",
    ))
}

impl TrailSettings {
    /// Reads what a tenant says; `tenant` must own the role.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn new(
        tenant: &TenantId,
        event_rw: &str,
        trail_region: &str,
        (bucket, prefix, role_arn): (&str, &str, &str),
    ) -> Result<Self, Failure> {
        if !matches!(event_rw, "Write" | "Read" | "All") {
            return Err(Failure::invalid("EventRW", "must be Write, Read or All"));
        }
        let bucket =
            BucketName::parse(bucket).map_err(|e| Failure::invalid("OssBucketName", e.to_string()))?;
        let prefix_fine = prefix.len() <= PREFIX_MAX
            && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
            && !prefix.starts_with('/')
            && !prefix.split('/').any(|part| part == ".." || part == ".");
        if !prefix_fine {
            return Err(Failure::invalid(
                "OssKeyPrefix",
                "must have at most 32 of letters, digits, `-_./`, not begin with a slash, and hold no `.` or `..`",
            ));
        }
        let own = format!("acs:ram::{tenant}:role/");
        let role_fine = role_arn.is_empty()
            || role_arn.strip_prefix(&own).is_some_and(|n| bailee_types::RoleName::parse(n).is_ok());
        if !role_fine {
            return Err(Failure::invalid(
                "OssWriteRoleArn",
                format!("must be a role of this account, `{own}<name>`"),
            ));
        }
        Ok(Self {
            event_rw: event_rw.to_owned(),
            trail_region: trail_region.to_owned(),
            bucket,
            prefix: prefix.to_owned(),
            role_arn: role_arn.to_owned(),
        })
    }
}

/// What acts of ActionTrail ask for.
pub(super) fn asked(
    tenant: &TenantId,
    region: &RegionId,
    action: &'static str,
    (name, write): (&str, bool),
    detail: Value,
) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::trail(tenant, region.as_str(), name),
        resource_type: "ACS::ActionTrail::Trail",
        class: Class::Management { write },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

/// Ends all delivery of a tenant's events.
pub(crate) fn forget_targets(
    tx: &mut bailee_store::TenantTx<'_, '_>,
) -> Result<(), bailee_store::StoreError> {
    rows::delete_all(tx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_settings_are_read_strictly() {
        for good in ["trail-1", "abcdef", "a_b-c9"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["short", "Trail-1", "1trail", "trail 1", "trail/1", &"a".repeat(37), ""] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        let tenant = TenantId::parse("1000000000000001").unwrap();
        let read = |rw, bucket, prefix, role| TrailSettings::new(&tenant, rw, "All", (bucket, prefix, role));
        assert!(read("Write", "logs", "", "").is_ok());
        assert!(read("All", "logs", "audit/2026", "acs:ram::1000000000000001:role/writer").is_ok());
        for (field, refused) in [
            ("EventRW", read("write", "logs", "", "")),
            ("OssBucketName", read("All", "Lo", "", "")),
            ("OssKeyPrefix", read("All", "logs", "/a", "")),
            ("OssKeyPrefix", read("All", "logs", "a/../b", "")),
            ("OssWriteRoleArn", read("All", "logs", "", "acs:ram::1000000000000002:role/writer")),
            ("OssWriteRoleArn", read("All", "logs", "", "writer")),
        ] {
            assert!(matches!(refused, Err(Failure::Invalid { field: f, .. }) if f == field), "{field}");
        }
    }
}
