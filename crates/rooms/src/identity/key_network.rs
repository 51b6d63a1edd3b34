//! From where AccessKeys may be used: networks for all keys of an account, and for one key.
//!
//! A key's own policy, when it is active, stands in place of the account's. Sessions of roles are not bound by either.
//! INVARIANT: a policy that is active names a network, and a use from elsewhere is refused by the gate and recorded.

use std::net::IpAddr;

use bailee_store::{StoreError, TenantTx};
use bailee_types::AccessKeyId;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::access_key::{self, Owner};
use super::act::{Act, Cx, head};
use super::rows::setting;
use super::settings::network;
use crate::Failure;

/// Networks that one policy may name.
const NETWORKS_MAX: usize = 100;
/// Characters that a policy may have: as many as a policy of permissions.
const CHARS_MAX: usize = 6_144;
const OF_ACCOUNT: &str = "access-key-network";
const FIELD: &str = "AccessKeyPolicy.Format";

/// From where keys may be used, as the wire has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct KeyNetworks {
    #[serde(default = "one")]
    version: u32,
    status: Status,
    statements: Vec<Statement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Status {
    Active,
    Inactive,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(rename = "IPList")]
    networks: Vec<String>,
}

fn one() -> u32 {
    1
}

impl Default for KeyNetworks {
    fn default() -> Self {
        Self { version: 1, status: Status::Inactive, statements: Vec::new() }
    }
}

impl KeyNetworks {
    /// Reads the wire's JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if text.len() > CHARS_MAX {
            return Err(Failure::invalid(FIELD, format!("must have at most {CHARS_MAX} characters")));
        }
        let read: Self =
            serde_json::from_str(text).map_err(|e| Failure::invalid(FIELD, format!("is refused: {e}")))?;
        read.refuse_nonsense()?;
        Ok(read)
    }

    /// A policy of these networks, separated by `;` or line breaks. No network switches it off.
    ///
    /// # Errors
    /// When one of them is no network.
    pub fn of_networks(text: &str) -> Result<Self, Failure> {
        let networks: Vec<String> =
            text.split([';', '\n']).map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
        let policy = if networks.is_empty() {
            Self::default()
        } else {
            let statement = Statement { kind: "ClassicWhiteList".into(), value: None, networks };
            Self { version: 1, status: Status::Active, statements: vec![statement] }
        };
        policy.refuse_nonsense()?;
        Ok(policy)
    }

    fn refuse_nonsense(&self) -> Result<(), Failure> {
        let no = |why: String| Err(Failure::invalid(FIELD, why));
        if self.version != 1 {
            return no("must have Version 1".into());
        }
        for statement in &self.statements {
            if statement.kind != "ClassicWhiteList" {
                // Stored, it would let in nobody and look as if it did.
                return no(
                    "may have statements of Type ClassicWhiteList only: no request comes from a VPC here"
                        .into(),
                );
            }
            if statement.value.as_deref().is_some_and(|v| !v.is_empty()) {
                return no("must have no Value in a ClassicWhiteList".into());
            }
            if statement.networks.is_empty() || !statement.networks.iter().all(|n| network(n).is_some()) {
                return no("must be addresses or networks such as 10.0.0.0/8, separated by `;`".into());
            }
        }
        let count = self.networks().count();
        if count > NETWORKS_MAX {
            return no(format!("must have at most {NETWORKS_MAX} networks"));
        }
        if self.is_active() && count == 0 {
            return no(
                "is active and names no network: that shuts everybody out; switch the keys off instead"
                    .into(),
            );
        }
        Ok(())
    }

    /// Whether it counts.
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Its networks.
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|s| &s.networks).map(String::as_str)
    }

    /// The wire's JSON.
    ///
    /// # Errors
    /// Never in practice.
    pub fn document(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|e| Failure::Bug(e.to_string()))
    }
}

/// What holds for one key: its own policy when that is active, else the account's.
#[derive(Debug, Default)]
pub(super) struct Bound(Option<Vec<IpNet>>);

impl Bound {
    pub(super) fn load(tx: &mut TenantTx<'_, '_>, key: &AccessKeyId) -> Result<Self, StoreError> {
        let own: KeyNetworks = setting::load(tx, &of_key(key))?;
        let policy = if own.is_active() { own } else { setting::load(tx, OF_ACCOUNT)? };
        Ok(Self(policy.is_active().then(|| policy.networks().filter_map(network).collect())))
    }

    /// Whether a use may come from here; an address that cannot be read may not if anything is set.
    pub(super) fn allows(&self, address: &str) -> bool {
        let Some(networks) = &self.0 else { return true };
        let Ok(address) = address.parse::<IpAddr>() else { return false };
        networks.iter().any(|n| n.contains(&address.to_canonical()))
    }
}

fn of_key(key: &AccessKeyId) -> String {
    format!("{OF_ACCOUNT}/{key}")
}

/// Forgets the policy of a key that is deleted.
pub(super) fn forget(tx: &mut TenantTx<'_, '_>, key: &AccessKeyId) -> Result<(), StoreError> {
    setting::delete(tx, &of_key(key))
}

/// A key that takes another's place has its policy, if that has one of its own.
pub(super) fn inherit(
    tx: &mut TenantTx<'_, '_>,
    from: &AccessKeyId,
    to: &AccessKeyId,
) -> Result<(), StoreError> {
    let own: KeyNetworks = setting::load(tx, &of_key(from))?;
    if own == KeyNetworks::default() { Ok(()) } else { setting::store(tx, &of_key(to), &own) }
}

/// From where a key may be used.
#[derive(Clone, Debug)]
pub struct GetKeyNetworks {
    /// Whose key.
    pub owner: Owner,
    /// Which.
    pub id: AccessKeyId,
}

/// Says from where a key may be used. Nobody does it to his own key without a policy: it binds him.
#[derive(Clone, Debug)]
pub struct SetKeyNetworks {
    /// Whose key.
    pub owner: Owner,
    /// Which.
    pub id: AccessKeyId,
    /// From where.
    pub to: KeyNetworks,
}

/// From where the account's keys may be used.
#[derive(Clone, Debug)]
pub struct GetAccountKeyNetworks;

/// Says from where the account's keys may be used.
#[derive(Clone, Debug)]
pub struct SetAccountKeyNetworks {
    /// From where.
    pub to: KeyNetworks,
}

impl Act for GetKeyNetworks {
    type Output = KeyNetworks;
    head!("ACS::RAM::AccessKey", read, "ram:GetAccessKeyPolicy", |s| [s.owner.relative()], |s| s
        .owner
        .with_key(&s.id));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<KeyNetworks, Failure> {
        access_key::found(cx, &self.owner, &self.id)?;
        Ok(setting::load(cx.tx, &of_key(&self.id))?)
    }
}

impl Act for SetKeyNetworks {
    type Output = KeyNetworks;
    head!("ACS::RAM::AccessKey", write, "ram:SetAccessKeyPolicy", |s| [s.owner.relative()], |s| {
        let mut detail = s.owner.with_key(&s.id);
        if let Some(map) = detail.as_object_mut() {
            map.insert("AccessKeyPolicy".into(), json!(s.to));
        }
        detail
    });

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<KeyNetworks, Failure> {
        access_key::found(cx, &self.owner, &self.id)?;
        setting::store(cx.tx, &of_key(&self.id), &self.to)?;
        Ok(self.to)
    }
}

impl Act for GetAccountKeyNetworks {
    type Output = KeyNetworks;
    head!("ACS::RAM::Account", read, "ram:GetAccessKeyPolicyForAccount", |_s| ["*".to_owned()], |_s| json!(
        {}
    ));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<KeyNetworks, Failure> {
        Ok(setting::load(cx.tx, OF_ACCOUNT)?)
    }
}

impl Act for SetAccountKeyNetworks {
    type Output = KeyNetworks;
    head!("ACS::RAM::Account", write, "ram:SetAccessKeyPolicyForAccount", |_s| ["*".to_owned()], |s| json!({
        "AccessKeyPolicy": s.to
    }));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<KeyNetworks, Failure> {
        setting::store(cx.tx, OF_ACCOUNT, &self.to)?;
        Ok(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wires_document_is_read_and_nonsense_is_refused() {
        let good = r#"{"Version":1,"Status":"Active","Statements":[{"Type":"ClassicWhiteList","IPList":["203.0.113.1","2001:db8::/32"]}]}"#;
        assert_eq!(KeyNetworks::parse(good).unwrap().document().unwrap(), good);
        assert!(!KeyNetworks::parse(r#"{"Status":"Inactive","Statements":[]}"#).unwrap().is_active());
        let of = |statements: &str| format!(r#"{{"Status":"Active","Statements":[{statements}]}}"#);
        for bad in [
            String::new(),
            "{}".into(),
            "[]".into(),
            of(""),
            of(r#"{"Type":"ClassicWhiteList","IPList":[]}"#),
            of(r#"{"Type":"ClassicWhiteList","IPList":["everywhere"]}"#),
            of(r#"{"Type":"ClassicWhiteList","Value":"vpc-1","IPList":["10.0.0.0/8"]}"#),
            of(r#"{"Type":"VPCWhiteList","Value":"AllowAllVPC","IPList":["0.0.0.0/0"]}"#),
            of(r#"{"Type":"ClassicWhiteList","IPList":["10.0.0.0/8"],"More":1}"#),
            r#"{"Status":"Off","Statements":[]}"#.into(),
            r#"{"Version":2,"Status":"Inactive","Statements":[]}"#.into(),
            r#"{"Status":"Inactive","Status":"Active","Statements":[]}"#.into(),
        ] {
            assert!(KeyNetworks::parse(&bad).is_err(), "{bad}");
        }
        let many = vec!["10.0.0.1"; NETWORKS_MAX + 1].join(";");
        assert!(KeyNetworks::of_networks(&many).is_err());
        assert_eq!(KeyNetworks::of_networks(" ; ").unwrap(), KeyNetworks::default());
    }

    #[test]
    fn what_is_set_lets_in_its_networks_only() {
        let bound = |nets: &[&str]| Bound(Some(nets.iter().filter_map(|n| network(n)).collect()));
        assert!(Bound::default().allows("nowhere"), "nothing is set");
        let some = bound(&["10.0.0.0/8", "2001:db8::1"]);
        for (address, fits) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("11.0.0.1", false),
            ("", false),
            ("nowhere", false),
        ] {
            assert_eq!(some.allows(address), fits, "{address}");
        }
        assert!(!bound(&[]).allows("10.1.2.3"));
    }
}
