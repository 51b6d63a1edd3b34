//! Roles of the platform's services, as data.

use crate::{Failure, Thing};

/// The role that a service works with.
#[derive(Debug)]
pub struct ServiceRole {
    /// The service's name in trust policies.
    pub service: &'static str,
    /// The role's name, or its beginning where several are allowed.
    pub role: &'static str,
    /// The system policy that the role has.
    pub policy: &'static str,
    /// Whether there may be several, told apart by a suffix.
    pub several: bool,
    /// For people.
    pub description: &'static str,
}

const ALL: &[ServiceRole] = &[
    ServiceRole {
        service: "actiontrail.aliyuncs.com",
        role: "AliyunServiceRoleForActionTrail",
        policy: "AliyunOSSFullAccess",
        several: false,
        description: "ActionTrail delivers trails into your buckets with this role.",
    },
    ServiceRole {
        service: "kms.aliyuncs.com",
        role: "AliyunServiceRoleForKMS",
        policy: "AliyunKMSReadOnlyAccess",
        several: false,
        description: "KMS rotates secrets with this role.",
    },
    ServiceRole {
        service: "cloudfw.aliyuncs.com",
        role: "AliyunServiceRoleForCloudFW",
        policy: "AliyunVPCReadOnlyAccess",
        several: false,
        description: "Cloud Firewall reads your networks with this role.",
    },
    ServiceRole {
        service: "ecs.aliyuncs.com",
        role: "AliyunServiceRoleForECS",
        policy: "AliyunVPCReadOnlyAccess",
        several: true,
        description: "ECS reads your networks with this role.",
    },
];

impl ServiceRole {
    /// The roles of all services.
    pub fn all() -> &'static [Self] {
        ALL
    }

    /// The trust policy: the service, nobody else.
    pub(super) fn trust(&self) -> String {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"Service":["{}"]}}}}]}}"#,
            self.service
        )
    }
}

/// The role of a service.
pub(super) fn of(service: &str) -> Result<&'static ServiceRole, Failure> {
    ALL.iter().find(|r| r.service == service).ok_or_else(|| {
        let name: String = service.chars().filter(|c| !c.is_control()).take(80).collect();
        Failure::not_found(Thing::Role, format!("template of the service {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailee_policy::{Kind, Policy, system};

    #[test]
    fn every_service_has_a_trust_policy_and_a_system_policy() {
        for role in ALL {
            assert!(Policy::parse_as(Kind::Trust, &role.trust()).is_ok(), "{}", role.service);
            assert!(system::policy(role.policy).is_some(), "{}", role.policy);
        }
        assert!(of("nobody.aliyuncs.com").is_err());
    }
}
