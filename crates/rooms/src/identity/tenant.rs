//! Tenants: made by the provider, ruled by themselves.

use std::sync::Arc;

use bailee_store::{StoreError, Tx};
use bailee_types::{Arn, SecretText, TenantAlias, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::rows::{key, tenant as rows};
use super::{NewAccessKey, random_password};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing, house};

/// A tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// 16 digits.
    pub id: TenantId,
    /// The short name.
    pub alias: TenantAlias,
    /// For people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A new tenant with what is shown once: root's password and AccessKey.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// Root's console password.
    pub root_password: SecretText,
    /// Root's AccessKey.
    pub root_key: NewAccessKey,
}

/// Creates a tenant with key, log and root. An administrator's act, in the provider's own log.
#[derive(Clone, Debug)]
pub struct CreateTenant {
    /// The short name.
    pub alias: TenantAlias,
    /// For people, 1 to 128 characters.
    pub name: String,
}

impl Operation for CreateTenant {
    type Output = NewTenant;

    fn asks(&self) -> Asked {
        let provider = TenantId::provider();
        Asked {
            resource: Arn::own(&provider, &format!("tenant/{}", self.alias)),
            tenant: provider,
            action: "bailee:CreateTenant",
            resource_type: "ACS::Bailee::Tenant",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "alias": self.alias.as_str() })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<NewTenant, Failure> {
        let name = self.name.trim().to_owned();
        if !(1..=128).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Failure::invalid("name", "must have 1 to 128 characters on one line"));
        }
        let root_password = random_password();
        let hash = house.hash_password(root_password.clone(), house.identity.user_cost).await?;
        let (id, now) = (TenantId::random(), house.now());
        let (key_row, root_key) = house.new_access_key(&id, now);
        let inner = Arc::clone(house);
        let tenant =
            Tenant { id: id.clone(), alias: self.alias.clone(), name: name.clone(), created_at: now };
        house
            .db
            .write(move |tx| {
                if rows::is_taken(tx, self.alias.as_str())? {
                    return Err(Failure::exists(Thing::Tenant, &self.alias));
                }
                house::create_tenant(
                    tx,
                    &inner.keys,
                    inner.provider(),
                    &id,
                    &self.alias,
                    &name,
                    Some(&hash),
                    now,
                )?;
                key::insert(&mut tx.tenant(&id), "root", &key_row, now)?;
                Ok(())
            })
            .await?;
        Ok(NewTenant { tenant, root_password, root_key })
    }

    fn outcome_detail(new: &NewTenant) -> Map<String, Value> {
        parameters(json!({ "tenant": new.tenant.id.as_str() }))
    }
}

/// Deletes an account's people, keys, roles and policies, and closes it to everybody. Counts by what they were.
pub(crate) fn erase_people(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
) -> Result<Vec<(&'static str, u64)>, StoreError> {
    super::rows::closure::erase(tx, tenant)
}

impl House {
    /// After [`erase_people`].
    pub(crate) fn forget_people(&self, _tenant: &TenantId) {
        self.forget_cached_keys();
    }

    /// All tenants by alias, without the provider itself.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, Failure> {
        self.db.read(|tx| rows::all(tx).map_err(Failure::from)).await
    }

    /// A tenant by alias or id, a closed one, too.
    ///
    /// # Errors
    /// When there is none.
    pub async fn find_tenant(&self, alias_or_id: &str) -> Result<Tenant, Failure> {
        let wanted = alias_or_id.to_owned();
        self.db
            .read(move |tx| rows::any_by_name(tx, &wanted).map_err(Failure::from))
            .await?
            .ok_or_else(|| Failure::not_found(Thing::Tenant, alias_or_id))
    }
}
