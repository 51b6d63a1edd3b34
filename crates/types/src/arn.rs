//! Resource names: `acs:<service>:<region>:<account>:<relative>` (contract §5).

use crate::{BucketName, ObjectKey, TargetName, TenantId, UserName};

/// A concrete resource (no wildcards), in five parts.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Arn {
    service: String,
    region: String,
    account: String,
    relative: String,
}

/// Why an ARN was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an ARN of the form acs:service:region:account:relative")]
pub struct ArnError(String);

impl Arn {
    /// Reads the five parts; colons after the fourth belong to the last part.
    ///
    /// # Errors
    /// When there are fewer parts or the first is not `acs`.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let mut parts = text.splitn(5, ':');
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("acs"), Some(s), Some(r), Some(a), Some(rel)) if !s.is_empty() && !rel.is_empty() => {
                Ok(Self { service: s.into(), region: r.into(), account: a.into(), relative: rel.into() })
            }
            _ => Err(ArnError(text.chars().take(200).filter(|c| !c.is_control()).collect())),
        }
    }

    /// `acs:oss:*:<tenant>:<bucket>`.
    pub fn bucket(tenant: &TenantId, bucket: &BucketName) -> Self {
        Self::of("oss", "*", tenant, bucket.as_str().to_owned())
    }

    /// `acs:oss:*:<tenant>:<bucket>/<key>`.
    pub fn object(tenant: &TenantId, bucket: &BucketName, key: &ObjectKey) -> Self {
        Self::of("oss", "*", tenant, format!("{bucket}/{key}"))
    }

    /// `acs:oss:*:<tenant>:*`: the tenant's object storage as a whole (ListBuckets).
    pub fn all_buckets(tenant: &TenantId) -> Self {
        Self::of("oss", "*", tenant, "*".to_owned())
    }

    /// `acs:ram::<tenant>:user/<name>`.
    pub fn user(tenant: &TenantId, user: &UserName) -> Self {
        Self::of("ram", "", tenant, format!("user/{user}"))
    }

    /// `acs:ram::<tenant>:<relative>`, e.g. `user/*`, `policy/reader`.
    pub fn ram(tenant: &TenantId, relative: &str) -> Self {
        Self::of("ram", "", tenant, relative.to_owned())
    }

    /// `acs:ram::system:<relative>`: what is the platform's and the same for all tenants, e.g. `policy/ReadOnlyAccess`.
    pub fn system(relative: &str) -> Self {
        Self {
            service: "ram".into(),
            region: String::new(),
            account: "system".into(),
            relative: relative.into(),
        }
    }

    /// `acs:bailee::<tenant>:<relative>`: what has no counterpart on the wire (consent, trail, tickets).
    pub fn own(tenant: &TenantId, relative: &str) -> Self {
        Self::of("bailee", "", tenant, relative.to_owned())
    }

    /// `acs:actiontrail:<region>:<tenant>:trail/<name>`.
    pub fn trail(tenant: &TenantId, region: &str, name: &str) -> Self {
        Self::of("actiontrail", region, tenant, format!("trail/{name}"))
    }

    /// `acs:kms:<region>:<tenant>:<relative>`, e.g. `key/<id>`, `alias/<name>`.
    pub fn kms(tenant: &TenantId, region: &str, relative: &str) -> Self {
        Self::of("kms", region, tenant, relative.to_owned())
    }

    /// `acs:<service>:*:<tenant>:target/<name>`: a system that brokers reach.
    pub fn target(tenant: &TenantId, service: &str, name: &TargetName) -> Self {
        Self::of(service, "*", tenant, format!("target/{name}"))
    }

    /// The service code, e.g. `oss`.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The region, empty or `*` where the resource has none.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The owner's account id.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The part after the fourth colon.
    pub fn relative(&self) -> &str {
        &self.relative
    }

    fn of(service: &str, region: &str, tenant: &TenantId, relative: String) -> Self {
        Self { service: service.into(), region: region.into(), account: tenant.as_str().into(), relative }
    }
}

impl std::fmt::Display for Arn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "acs:{}:{}:{}:{}", self.service, self.region, self.account, self.relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_prints_as_it_was_read() {
        for text in ["acs:oss:*:1000000000000001:invoices/a:b.pdf", "acs:ram::1000000000000001:user/li"] {
            assert_eq!(Arn::parse(text).map(|a| a.to_string()), Ok(text.to_owned()));
        }
        assert!(Arn::parse("arn:aws:s3:::x").is_err());
        assert!(Arn::parse("acs:oss").is_err());
    }
}
