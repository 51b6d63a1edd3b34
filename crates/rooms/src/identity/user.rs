//! RAM users.

use std::sync::Arc;

use bailee_types::{Arn, SecretText, TenantId, Timestamp, UserId, UserName};
use serde_json::{Map, Value, json};

use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Principal, Touches};
use crate::{Failure, House, Thing};

/// Users a tenant may have (contract §5).
const PER_TENANT_MAX: u64 = 5_000;

/// A RAM user.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// 18 digits.
    pub id: String,
    /// The name.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub comments: String,
    /// For people.
    pub email: String,
    /// For people.
    pub mobile_phone: String,
    /// Whether the user can sign in to the console.
    pub has_password: bool,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    /// When it last signed in.
    pub last_login_at: Option<Timestamp>,
}

/// A page of users.
#[derive(Clone, Debug)]
pub struct UserPage {
    /// By name.
    pub users: Vec<User>,
    /// Where the next page starts; none on the last.
    pub marker: Option<String>,
}

/// Creates a user.
#[derive(Clone, Debug)]
pub struct CreateUser {
    /// The tenant.
    pub tenant: TenantId,
    /// The name.
    pub name: UserName,
    /// At most 128 characters.
    pub display_name: String,
    /// At most 128 characters.
    pub comments: String,
    /// At most 128 characters.
    pub email: String,
    /// At most 64 characters.
    pub mobile_phone: String,
}

/// One user.
#[derive(Clone, Debug)]
pub struct GetUser {
    /// The tenant.
    pub tenant: TenantId,
    /// The name.
    pub name: UserName,
}

/// Users by name, a page at a time.
#[derive(Clone, Debug)]
pub struct ListUsers {
    /// The tenant.
    pub tenant: TenantId,
    /// The marker of the page before.
    pub marker: Option<String>,
    /// 1 to 1,000.
    pub items_max: u32,
}

/// Sets a user's console password (a login profile on the wire).
#[derive(Clone)]
pub struct SetPassword {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub name: UserName,
    /// 8 to 128 characters.
    pub password: SecretText,
}

/// Who am I.
#[derive(Clone, Debug)]
pub struct GetCallerIdentity {
    /// The caller's own tenant.
    pub tenant: TenantId,
}

/// The answer to [`GetCallerIdentity`].
#[derive(Clone, Debug)]
pub struct CallerIdentity {
    /// `Account` or `RAMUser`.
    pub identity_type: &'static str,
    /// The tenant's id.
    pub account_id: String,
    /// The user's id; the tenant's for root.
    pub principal_id: String,
    /// The user's id, if a user.
    pub user_id: Option<String>,
    /// `acs:ram::…:root` or `acs:ram::…:user/…`.
    pub arn: String,
}

impl Operation for CreateUser {
    type Output = User;

    fn asks(&self) -> Asked {
        asked(
            &self.tenant,
            "ram:CreateUser",
            &format!("user/{}", self.name),
            true,
            json!({ "UserName": self.name.as_str() }),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<User, Failure> {
        for (field, value, max) in [
            ("DisplayName", &self.display_name, 128),
            ("Comments", &self.comments, 128),
            ("Email", &self.email, 128),
            ("MobilePhone", &self.mobile_phone, 64),
        ] {
            if value.chars().count() > max {
                return Err(Failure::invalid(field, format!("must have at most {max} characters")));
            }
        }
        if self.name.as_str() == "root" {
            return Err(Failure::invalid("UserName", "`root` is the account itself; choose another name"));
        }
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::count_users(&mut tx)? >= PER_TENANT_MAX {
                    return Err(Failure::Limit { what: "users", max: PER_TENANT_MAX, thing: Thing::User });
                }
                if !rows::insert_user(&mut tx, &UserId::random(), &self, now)? {
                    return Err(Failure::exists(Thing::User, &self.name));
                }
                rows::user(&mut tx, &self.name)?.ok_or_else(|| Failure::Bug("a new user is missing".into()))
            })
            .await
    }

    fn outcome_detail(user: &User) -> Map<String, Value> {
        parameters(json!({ "userId": user.id }))
    }
}

impl Operation for GetUser {
    type Output = User;

    fn asks(&self) -> Asked {
        asked(
            &self.tenant,
            "ram:GetUser",
            &format!("user/{}", self.name),
            false,
            json!({ "UserName": self.name.as_str() }),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<User, Failure> {
        let name = self.name.clone();
        house
            .db
            .read(move |tx| rows::user(&mut tx.tenant(&self.tenant), &self.name).map_err(Failure::from))
            .await?
            .ok_or_else(|| Failure::not_found(Thing::User, name))
    }
}

impl Operation for ListUsers {
    type Output = UserPage;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "ram:ListUsers", "user/*", false, json!({ "MaxItems": self.items_max }))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<UserPage, Failure> {
        let max = self.items_max.clamp(1, 1000);
        let mut users = house
            .db
            .read(move |tx| {
                rows::users(&mut tx.tenant(&self.tenant), self.marker.as_deref().unwrap_or(""), max + 1)
                    .map_err(Failure::from)
            })
            .await?;
        let more = users.len() > max as usize;
        users.truncate(max as usize);
        let marker = if more { users.last().map(|u| u.name.clone()) } else { None };
        Ok(UserPage { users, marker })
    }
}

impl Operation for SetPassword {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(
            &self.tenant,
            "ram:CreateLoginProfile",
            &format!("user/{}", self.name),
            true,
            json!({ "UserName": self.name.as_str() }),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let hash = house.hash_password(self.password, house.identity.user_cost).await?;
        let now = house.now();
        house
            .db
            .write(move |tx| {
                if rows::set_user_password(&mut tx.tenant(&self.tenant), &self.name, &hash, now)? {
                    return Ok(());
                }
                Err(Failure::not_found(Thing::User, &self.name))
            })
            .await
    }
}

impl Operation for GetCallerIdentity {
    type Output = CallerIdentity;

    fn asks(&self) -> Asked {
        let mut asked = asked(&self.tenant, "sts:GetCallerIdentity", "*", false, json!({}));
        asked.resource_type = "ACS::STS::Caller";
        asked
    }

    async fn act(self, _house: &Arc<House>, intent: &Intent) -> Result<CallerIdentity, Failure> {
        match intent.caller().principal() {
            Principal::Root { tenant, .. } => Ok(CallerIdentity {
                identity_type: "Account",
                account_id: tenant.to_string(),
                principal_id: tenant.to_string(),
                user_id: None,
                arn: format!("acs:ram::{tenant}:root"),
            }),
            Principal::User { tenant, id, name, .. } => Ok(CallerIdentity {
                identity_type: "RAMUser",
                account_id: tenant.to_string(),
                principal_id: id.to_string(),
                user_id: Some(id.to_string()),
                arn: Arn::user(tenant, name).to_string(),
            }),
            _ => Err(Failure::Conflict("only a tenant's caller has an account".into())),
        }
    }
}

fn asked(tenant: &TenantId, action: &'static str, relative: &str, write: bool, detail: Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::ram(tenant, relative),
        resource_type: "ACS::RAM::User",
        class: Class::Management { write },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
    }
}
