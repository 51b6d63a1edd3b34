//! Policies of keys and secrets: who of the account may use one, beside whom the policies of RAM let.
//!
//! The gate asks here for every act on one, and whoever uses a key for an object is asked here, too.
//! INVARIANT: a policy that cannot be read lets nobody do anything (fail closed).
//! INVARIANT: other accounts' people use no key, whatever a policy says; one that names them is refused.

use std::sync::Arc;

pub use bailee_policy::KEY_BYTES_MAX as POLICY_BYTES_MAX;
use bailee_policy::Policy;
use bailee_store::{StoreError, TenantTx};
use bailee_types::{Arn, KeyId, TenantId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cmk::{self, KeyAct, KeyCx};
use super::secret::{self, SecretName};
use crate::fresh::Fresh;
use crate::gate::Class;
use crate::vault::{Access, POLICY_TOLD_MAX};
use crate::{Failure, House};

/// What decisions call the policy of a key or secret.
const KEY: &str = "the key's policy";
const SECRET: &str = "the secret's policy";

/// What is remembered of policies, by the resource; of what has none, that.
pub(crate) type PolicyCache = Fresh<String, Option<Arc<Access>>>;

/// A key or a secret.
#[derive(Clone, Debug)]
pub enum Guarded {
    /// A key.
    Key(KeyId),
    /// A secret.
    Secret(SecretName),
}

impl Guarded {
    fn relative(&self) -> String {
        match self {
            Self::Key(id) => cmk::on_key(id),
            Self::Secret(name) => secret::on(name),
        }
    }

    /// The policy that it has until it gets another: the account's people use it as their policies of RAM say.
    fn usual(&self, tenant: &TenantId) -> String {
        let sid = match self {
            Self::Key(_) => "kms default key policy",
            Self::Secret(_) => "kms default secret policy",
        };
        json!({ "Version": "1", "Statement": [{
            "Sid": sid, "Effect": "Allow", "Principal": { "RAM": [format!("acs:ram::{tenant}:*")] },
            "Action": ["kms:*"], "Resource": ["*"],
        }] })
        .to_string()
    }

    /// Keeps a policy in the transaction that makes it, or changes it.
    ///
    /// # Errors
    /// When it is not understood.
    pub(super) fn keep(
        &self,
        tx: &mut TenantTx<'_, '_>,
        house: &House,
        document: &str,
    ) -> Result<(), Failure> {
        let relative = self.relative();
        let region = house.provider().region.as_str();
        Policy::of_key(document, &Arn::kms(tx.id(), region, &relative))
            .map_err(|e| Failure::invalid("Policy", format!("is not understood: {e}")))?;
        tx.execute(
            "INSERT INTO key_policy (tenant_id, resource, document) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant_id, resource) DO UPDATE SET document = excluded.document",
            &[(&relative).into(), document.into()],
        )?;
        Ok(())
    }

    /// Forgets the policy of what is destroyed.
    pub(super) fn drop_policy(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
        let sql = "DELETE FROM key_policy WHERE tenant_id = $1 AND resource = $2";
        tx.execute(sql, &[(&self.relative()).into()]).map(drop)
    }

    /// Lets the next act on it ask the database: it has another policy, or there is none any more.
    pub(super) fn forget(&self, cx: &KeyCx<'_>) {
        let region = cx.house.provider().region.as_str();
        cx.house.key_policies.forget(&Arn::kms(cx.tenant, region, &self.relative()).to_string());
    }

    fn expect(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), Failure> {
        match self {
            Self::Key(id) => cmk::expect_key(tx, id),
            Self::Secret(name) => secret::expect_secret(tx, name),
        }
    }
}

fn document(tx: &mut TenantTx<'_, '_>, relative: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT document FROM key_policy WHERE tenant_id = $1 AND resource = $2";
    tx.query_opt(sql, &[relative.into()])?.map(|r| r.text(0).map(str::to_owned)).transpose()
}

/// Shows a policy.
#[derive(Clone, Debug)]
pub struct GetPolicy {
    /// Of what.
    pub of: Guarded,
}

impl KeyAct for GetPolicy {
    type Output = String;
    const CLASS: Class = Class::Management { write: false };

    fn action(&self) -> &'static str {
        match self.of {
            Guarded::Key(_) => "kms:GetKeyPolicy",
            Guarded::Secret(_) => "kms:GetSecretPolicy",
        }
    }

    fn on(&self) -> String {
        self.of.relative()
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<String, Failure> {
        cx.read(move |tx| {
            self.of.expect(tx)?;
            let own = document(tx, &self.of.relative())?;
            Ok(own.unwrap_or_else(|| self.of.usual(tx.id())))
        })
        .await
    }
}

/// Changes a policy.
#[derive(Clone, Debug)]
pub struct SetPolicy {
    /// Of what.
    pub of: Guarded,
    /// The document.
    pub document: String,
}

impl KeyAct for SetPolicy {
    type Output = ();
    const CLASS: Class = Class::Management { write: true };

    fn action(&self) -> &'static str {
        match self.of {
            Guarded::Key(_) => "kms:SetKeyPolicy",
            Guarded::Secret(_) => "kms:SetSecretPolicy",
        }
    }

    fn on(&self) -> String {
        self.of.relative()
    }

    fn detail(&self) -> Value {
        told(&self.document)
    }

    async fn run(self, cx: &KeyCx<'_>) -> Result<(), Failure> {
        let (of, house) = (self.of.clone(), Arc::clone(cx.house));
        let done = cx
            .write(move |tx, _| {
                self.of.expect(tx)?;
                self.of.keep(tx, &house, &self.document)
            })
            .await;
        // Also after an error: what is held may be what misled somebody.
        of.forget(cx);
        done
    }
}

/// A policy as the log has it: word for word, or of a long one its digest.
pub(super) fn told(document: &str) -> Value {
    let short = (document.len() <= POLICY_TOLD_MAX).then_some(document);
    json!({ "policy": short, "policySha256": hex::encode(Sha256::digest(document)) })
}

impl House {
    /// What the policies of keys and secrets say about an act on some of them; none when none of them has one.
    pub(crate) async fn key_rules(
        &self,
        tenant: &TenantId,
        resources: impl Iterator<Item = &Arn>,
    ) -> Result<Option<Arc<Access>>, Failure> {
        let mut found: Vec<Arc<Access>> = Vec::new();
        for resource in resources.filter(|r| r.service() == "kms" && r.account() == tenant.as_str()) {
            found.extend(self.rules_of_one(tenant, resource).await?);
        }
        match found.as_slice() {
            [] | [_] => Ok(found.pop()),
            // Each says something about its own key only, so together they are one set.
            several => {
                let rules = several.iter().flat_map(|one| one.rules.iter().cloned()).collect();
                Ok(Some(Arc::new(Access::of_rules(tenant.clone(), rules))))
            }
        }
    }

    async fn rules_of_one(&self, tenant: &TenantId, resource: &Arn) -> Result<Option<Arc<Access>>, Failure> {
        let (name, now) = (resource.to_string(), self.now());
        let missing = match self.key_policies.get(&name, now) {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        let kind = match resource.relative().split_once('/') {
            Some(("key", _)) => KEY,
            Some(("secret", _)) => SECRET,
            _ => return Ok(None),
        };
        let (of, relative) = (tenant.clone(), resource.relative().to_owned());
        let document =
            self.db.read(move |tx| document(&mut tx.tenant(&of), &relative).map_err(Failure::from)).await?;
        let access = match document {
            None => None,
            Some(text) => {
                let policy = Policy::of_key(&text, resource)
                    .map_err(|e| Failure::Damaged(format!("{kind} cannot be read: {e}")))?;
                Some(Arc::new(Access::of_rules(tenant.clone(), vec![(kind, Arc::new(policy), false)])))
            }
        };
        self.key_policies.put(&missing, name, access.clone(), now);
        Ok(access)
    }
}
