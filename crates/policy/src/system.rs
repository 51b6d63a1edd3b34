//! System policies: made by the platform, the same for every tenant, as data.

use std::sync::{Arc, LazyLock};

use crate::Policy;

/// A policy of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemPolicy {
    /// Its name, spelled as Alibaba Cloud does.
    pub name: &'static str,
    /// What it allows, for people.
    pub description: &'static str,
    /// The document.
    pub document: &'static str,
}

/// All system policies; the names are unique.
pub fn all() -> &'static [SystemPolicy] {
    POLICIES
}

/// A system policy by name.
pub fn policy(name: &str) -> Option<Arc<Policy>> {
    PARSED.iter().find(|(n, _)| *n == name).map(|(_, p)| Arc::clone(p))
}

static PARSED: LazyLock<Vec<(&str, Arc<Policy>)>> = LazyLock::new(|| {
    // A test holds that every document parses; one that did not would simply not exist (deny by default).
    POLICIES.iter().filter_map(|p| Some((p.name, Arc::new(Policy::parse(p.document).ok()?)))).collect()
});

const fn system(name: &'static str, description: &'static str, document: &'static str) -> SystemPolicy {
    SystemPolicy { name, description, document }
}

#[rustfmt::skip]
const POLICIES: &[SystemPolicy] = &[
    system("AdministratorAccess", "Every action on every resource of the account.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#),
    system("ReadOnlyAccess", "Reading of every service: listing, describing, getting; also contents of objects and secrets.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["*:Describe*","*:List*","*:Get*","*:Lookup*","*:Query*","*:Read*"],"Resource":"*"}]}"#),
    system("AliyunOSSFullAccess", "Every action of object storage (OSS): buckets, objects and their settings.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#),
    system("AliyunOSSReadOnlyAccess", "Reading of object storage (OSS): buckets, objects and their settings.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":"*"}]}"#),
    system("AliyunRAMFullAccess", "Every action of identities and access (RAM, IMS): users, groups, roles, policies, sign-in, applications.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ram:*","ims:*"],"Resource":"*"}]}"#),
    system("AliyunRAMReadOnlyAccess", "Reading of identities and access (RAM, IMS): users, groups, roles, policies, sign-in, applications.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ram:Get*","ram:List*","ims:Get*","ims:List*"],"Resource":"*"}]}"#),
    system("AliyunSTSAssumeRoleAccess", "Assuming of roles that trust the caller.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#),
    system("AliyunKMSFullAccess", "Every action of keys and secrets (KMS).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#),
    system("AliyunKMSReadOnlyAccess", "Reading about keys and secrets (KMS), without using keys and without secret values.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["kms:Describe*","kms:List*","kms:GetKeyPolicy","kms:GetPublicKey"],"Resource":"*"}]}"#),
    system("AliyunKMSCryptoAdminAccess", "Administering of keys (KMS), without using them.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["kms:Create*","kms:Describe*","kms:List*","kms:Enable*","kms:Disable*","kms:Update*","kms:Delete*","kms:ScheduleKeyDeletion","kms:CancelKeyDeletion","kms:TagResource","kms:TagResources","kms:UntagResource","kms:UntagResources","kms:GetParametersForImport","kms:ImportKeyMaterial","kms:GetKeyPolicy","kms:SetKeyPolicy"],"Resource":"*"}]}"#),
    system("AliyunKMSCryptoUserAccess", "Using of keys (KMS): encrypting, decrypting, data keys, signatures; not administering them.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt","kms:GenerateDataKey","kms:GenerateDataKeyWithoutPlaintext","kms:GenerateAndExportDataKey","kms:ExportDataKey","kms:AsymmetricEncrypt","kms:AsymmetricDecrypt","kms:AsymmetricSign","kms:AsymmetricVerify","kms:GetPublicKey","kms:DescribeKey","kms:ListKeys","kms:ListAliases"],"Resource":"*"}]}"#),
    system("AliyunKMSSecretAdminAccess", "Administering of secrets (KMS), with their values.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["kms:CreateSecret","kms:DescribeSecret","kms:UpdateSecret","kms:DeleteSecret","kms:RestoreSecret","kms:ListSecrets","kms:ListSecretVersionIds","kms:PutSecretValue","kms:GetSecretValue","kms:UpdateSecretVersionStage","kms:UpdateSecretRotationPolicy","kms:RotateSecret","kms:GetRandomPassword"],"Resource":"*"}]}"#),
    system("AliyunKMSSecretUserAccess", "Reading of secret values (KMS).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["kms:GetSecretValue","kms:DescribeSecret","kms:ListSecrets","kms:ListSecretVersionIds"],"Resource":"*"}]}"#),
    system("AliyunActionTrailFullAccess", "Every action of the audit trail (ActionTrail).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"actiontrail:*","Resource":"*"}]}"#),
    system("AliyunActionTrailReadOnlyAccess", "Reading of the audit trail (ActionTrail).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["actiontrail:Lookup*","actiontrail:Describe*","actiontrail:Get*","actiontrail:List*"],"Resource":"*"}]}"#),
    system("AliyunVPCFullAccess", "Every action of private networks (VPC): networks, switches, route tables.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"vpc:*","Resource":"*"}]}"#),
    system("AliyunVPCReadOnlyAccess", "Reading of private networks (VPC): networks, switches, route tables.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["vpc:Describe*","vpc:Get*","vpc:List*"],"Resource":"*"}]}"#),
    system("AliyunECSFullAccess", "Every action of servers (ECS): instances, disks, images, security groups.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]}"#),
    system("AliyunECSReadOnlyAccess", "Reading of servers (ECS): instances, disks, images, security groups.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ecs:Describe*","ecs:Get*","ecs:List*"],"Resource":"*"}]}"#),
    system("AliyunYundunCloudFirewallFullAccess", "Every action of the cloud firewall.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"yundun-cloudfirewall:*","Resource":"*"}]}"#),
    system("AliyunYundunCloudFirewallReadOnlyAccess", "Reading of the cloud firewall.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["yundun-cloudfirewall:Describe*","yundun-cloudfirewall:Get*","yundun-cloudfirewall:List*"],"Resource":"*"}]}"#),
    system("AliyunSLBFullAccess", "Every action of load balancers (SLB).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"slb:*","Resource":"*"}]}"#),
    system("AliyunSLBReadOnlyAccess", "Reading of load balancers (SLB).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["slb:Describe*","slb:Get*","slb:List*"],"Resource":"*"}]}"#),
    system("AliyunEIPFullAccess", "Every action on elastic addresses (EIP).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"vpc:*Eip*","Resource":"*"}]}"#),
    system("AliyunEIPReadOnlyAccess", "Reading about elastic addresses (EIP).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["vpc:DescribeEip*","vpc:ListEip*"],"Resource":"*"}]}"#),
    system("AliyunNATGatewayFullAccess", "Every action on NAT gateways.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["vpc:*NatGateway*","vpc:*SnatEntry*","vpc:*SnatEntries*","vpc:*ForwardEntry*","vpc:*ForwardTable*"],"Resource":"*"}]}"#),
    system("AliyunNATGatewayReadOnlyAccess", "Reading about NAT gateways.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["vpc:DescribeNatGateway*","vpc:DescribeSnat*","vpc:DescribeForward*","vpc:GetNatGateway*","vpc:ListNatGateway*"],"Resource":"*"}]}"#),
    system("AliyunVPNGatewayFullAccess", "Every action on VPN gateways.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["vpc:*Vpn*","vpc:*CustomerGateway*"],"Resource":"*"}]}"#),
    system("AliyunVPNGatewayReadOnlyAccess", "Reading about VPN gateways.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["vpc:DescribeVpn*","vpc:DescribeCustomerGateway*","vpc:ListVpn*"],"Resource":"*"}]}"#),
    system("AliyunLogFullAccess", "Every action of logs (Log Service).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"log:*","Resource":"*"}]}"#),
    system("AliyunLogReadOnlyAccess", "Reading of logs (Log Service).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["log:Get*","log:List*","log:Query*"],"Resource":"*"}]}"#),
    system("AliyunResourceDirectoryFullAccess", "Every action of accounts and folders (Resource Directory).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"resourcemanager:*","Resource":"*"}]}"#),
    system("AliyunResourceDirectoryReadOnlyAccess", "Reading of accounts and folders (Resource Directory).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["resourcemanager:Get*","resourcemanager:List*"],"Resource":"*"}]}"#),
    system("AliyunConfigFullAccess", "Every action of configuration records (Cloud Config).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"config:*","Resource":"*"}]}"#),
    system("AliyunConfigReadOnlyAccess", "Reading of configuration records (Cloud Config).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["config:Describe*","config:Get*","config:List*"],"Resource":"*"}]}"#),
    system("AliyunCloudMonitorFullAccess", "Every action of monitoring (CloudMonitor).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cms:*","Resource":"*"}]}"#),
    system("AliyunCloudMonitorReadOnlyAccess", "Reading of monitoring (CloudMonitor).",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["cms:Describe*","cms:Get*","cms:List*","cms:Query*"],"Resource":"*"}]}"#),
    system("BaileeTicketAuditorAccess", "Reading of tickets, their messages and their documents, for an auditor; no act on them.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["bailee:ListTickets","bailee:GetTicket","bailee:GetTicketAttachment"],"Resource":"acs:bailee:*:*:ticket/*"}]}"#),
    system("AliyunSupportFullAccess", "Support tickets: opening, answering, closing.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"support:*","Resource":"*"}]}"#),
    system("AliyunYundunCertFullAccess", "Every action of certificates.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"yundun-cert:*","Resource":"*"}]}"#),
    system("AliyunYundunCertReadOnlyAccess", "Reading of certificates.",
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["yundun-cert:Describe*","yundun-cert:Get*","yundun-cert:List*"],"Resource":"*"}]}"#),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_policy_parses_under_its_own_name() {
        for (i, one) in all().iter().enumerate() {
            assert!(Policy::parse(one.document).is_ok() && policy(one.name).is_some(), "{}", one.name);
            assert!(
                !all()[..i].iter().any(|earlier| earlier.name == one.name),
                "{} stands there twice",
                one.name
            );
            assert!(one.description.ends_with('.'), "{}", one.name);
        }
        assert!(policy("NoSuchAccess").is_none());
        assert!(all().len() >= 40);
    }

    #[test]
    fn reading_never_writes() {
        const WRITES: &[&str] = &[
            "Create",
            "Put",
            "Delete",
            "Update",
            "Set",
            "Attach",
            "Assume",
            "Encrypt",
            "Decrypt",
            "GenerateDataKey",
        ];
        for one in all().iter().filter(|p| p.name.ends_with("ReadOnlyAccess")) {
            for write in WRITES {
                let services = ["oss", "ram", "kms", "sts", "vpc", "ecs"];
                let fits = |s: &&str| {
                    Policy::parse(one.document).unwrap().statements[0]
                        .actions
                        .covers(s, &format!("{write}Thing"))
                };
                assert!(!services.iter().any(fits), "{} allows {write}", one.name);
            }
        }
        let kms = policy("AliyunKMSReadOnlyAccess").unwrap();
        assert!(!kms.statements[0].actions.covers("kms", "GetSecretValue"));
    }
}
