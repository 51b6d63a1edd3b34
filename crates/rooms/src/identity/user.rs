//! RAM users, and who the caller is.

use std::sync::Arc;

use bailee_types::{Arn, TenantId, Timestamp, UserId, UserName};
use serde_json::{Value, json};

use super::act::{Act, Cx, Page, Paging, head, short};
use super::rows::{key, login, mfa, policy, tag, user};
use crate::gate::{Asked, Class, Intent, Operation, Principal, Touches};
use crate::{Failure, House, Thing};

/// A RAM user.
#[derive(Clone, Debug)]
pub struct User {
    /// Never used again, unlike the name.
    pub id: UserId,
    /// The name.
    pub name: UserName,
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
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it last signed in.
    pub last_login_at: Option<Timestamp>,
}

/// Creates a user.
#[derive(Clone, Debug)]
pub struct CreateUser {
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
    /// Keys and values.
    pub tags: Vec<(String, String)>,
}

impl CreateUser {
    /// A user with a name only.
    pub fn named(name: UserName) -> Self {
        Self {
            name,
            display_name: String::new(),
            comments: String::new(),
            email: String::new(),
            mobile_phone: String::new(),
            tags: Vec::new(),
        }
    }
}

/// One user.
#[derive(Clone, Debug)]
pub struct GetUser {
    /// The name.
    pub name: UserName,
}

/// Changes a user; what is `None` stays.
#[derive(Clone, Debug)]
pub struct UpdateUser {
    /// The present name.
    pub name: UserName,
    /// A new name. Keys, groups, policies and passwords go with the user.
    pub new_name: Option<UserName>,
    /// At most 128 characters.
    pub display_name: Option<String>,
    /// At most 128 characters.
    pub comments: Option<String>,
    /// At most 128 characters.
    pub email: Option<String>,
    /// At most 64 characters.
    pub mobile_phone: Option<String>,
}

/// Deletes a user that has no keys, groups, policies or MFA device any more.
#[derive(Clone, Debug)]
pub struct DeleteUser {
    /// The name.
    pub name: UserName,
}

/// Users by name, a page at a time.
#[derive(Clone, Debug, Default)]
pub struct ListUsers {
    /// Which page.
    pub page: Paging,
    /// Only users with all of these tags; an empty value means any.
    pub tags: Vec<(String, String)>,
}

/// The names of several users by their ids.
pub(super) fn found(cx: &mut Cx<'_, '_, '_>, name: &UserName) -> Result<User, Failure> {
    user::by_name(cx.tx, name)?.ok_or_else(|| Failure::not_found(Thing::User, name))
}

fn check(display: &str, comments: &str, email: &str, phone: &str) -> Result<(), Failure> {
    short("DisplayName", display, 128)?;
    short("Comments", comments, 128)?;
    short("Email", email, 128)?;
    short("MobilePhone", phone, 64)
}

fn free_name(name: &UserName) -> Result<(), Failure> {
    if name.as_str() == "root" {
        return Err(Failure::invalid("UserName", "`root` is the account itself; choose another name"));
    }
    Ok(())
}

impl Act for CreateUser {
    type Output = User;
    head!(
        "ACS::RAM::User",
        write,
        "ram:CreateUser",
        |s| [format!("user/{}", s.name)],
        |s| json!({ "UserName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<User, Failure> {
        check(&self.display_name, &self.comments, &self.email, &self.mobile_phone)?;
        free_name(&self.name)?;
        if user::count(cx.tx)? >= cx.house.users_max {
            return Err(Failure::limit(Thing::User, "users", cx.house.users_max));
        }
        let id = UserId::random();
        if !user::insert(cx.tx, &id, &self, cx.now)? {
            return Err(Failure::exists(Thing::User, &self.name));
        }
        super::tag::put(cx, "user", id.as_str(), &self.tags)?;
        found(cx, &self.name)
    }

    fn outcome(user: &User) -> Value {
        json!({ "userId": user.id.as_str() })
    }
}

impl Act for GetUser {
    type Output = User;
    head!(
        "ACS::RAM::User",
        read,
        "ram:GetUser",
        |s| [format!("user/{}", s.name)],
        |s| json!({ "UserName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<User, Failure> {
        found(cx, &self.name)
    }
}

impl Act for UpdateUser {
    type Output = User;
    const TYPE: &'static str = "ACS::RAM::User";
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        "ram:UpdateUser"
    }

    fn on(&self) -> Vec<String> {
        let mut on = vec![format!("user/{}", self.name)];
        on.extend(self.new_name.as_ref().map(|n| format!("user/{n}")));
        on
    }

    fn detail(&self) -> Value {
        json!({ "UserName": self.name.as_str(), "NewUserName": self.new_name.as_ref().map(UserName::as_str) })
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<User, Failure> {
        let mut user = found(cx, &self.name)?;
        let old = user.name.clone();
        user.display_name = self.display_name.unwrap_or(user.display_name);
        user.comments = self.comments.unwrap_or(user.comments);
        user.email = self.email.unwrap_or(user.email);
        user.mobile_phone = self.mobile_phone.unwrap_or(user.mobile_phone);
        user.name = self.new_name.unwrap_or(user.name);
        check(&user.display_name, &user.comments, &user.email, &user.mobile_phone)?;
        free_name(&user.name)?;
        if user.name != old && user::by_name(cx.tx, &user.name)?.is_some() {
            return Err(Failure::exists(Thing::User, &user.name));
        }
        user::update(cx.tx, &user, cx.now)?;
        found(cx, &user.name)
    }
}

impl Act for DeleteUser {
    /// Ids of the passkeys that went with him.
    type Output = Vec<String>;
    head!(
        "ACS::RAM::User",
        write,
        "ram:DeleteUser",
        |s| [format!("user/{}", s.name)],
        |s| json!({ "UserName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Vec<String>, Failure> {
        let user = found(cx, &self.name)?;
        let id = user.id.as_str();
        let holder = format!("user/{id}");
        for (there, by, what) in [
            (key::count(cx.tx, id)? > 0, Thing::AccessKey, "AccessKeys"),
            (policy::count_attached(cx.tx, "user", id, None)? > 0, Thing::Policy, "policies"),
            (super::rows::group::count_of_user(cx.tx, id)? > 0, Thing::Group, "groups"),
            (mfa::of_holder(cx.tx, &holder)?.is_some(), Thing::MfaDevice, "an MFA device"),
        ] {
            if there {
                return Err(Failure::in_use(Thing::User, &self.name, by, what));
            }
        }
        // The console password, passkeys, recovery codes and sessions are the user's alone and go with him.
        login::delete(cx.tx, id)?;
        let passkeys = mfa::passkeys(cx.tx, &holder)?.into_iter().map(|p| p.id).collect();
        mfa::forget_holder(cx.tx, &holder)?;
        super::rows::session::end_all(cx.tx, &holder)?;
        super::rows::device::forget_all(cx.tx, &holder)?;
        tag::delete_all(cx.tx, "user", id)?;
        user::delete(cx.tx, id)?;
        Ok(passkeys)
    }

    fn outcome(passkeys: &Vec<String>) -> Value {
        match passkeys.is_empty() {
            true => json!({}),
            false => json!({ "passkey": { "act": "remove", "credentialIds": passkeys } }),
        }
    }
}

impl Act for ListUsers {
    type Output = Page<User>;
    head!("ACS::RAM::User", read, "ram:ListUsers", |_s| ["user/*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Page<User>, Failure> {
        let max = self.page.max();
        let users = user::page(cx.tx, &self.tags, self.page.after(), max + 1)?;
        Ok(Page::cut(users, max, |u| u.name.to_string()))
    }
}

impl House {
    /// The name of the user with this id, if there is one. Asks nothing: the act that uses it does.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn user_name(&self, tenant: &TenantId, id: &UserId) -> Result<Option<UserName>, Failure> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.db.read(move |tx| Ok(user::by_id(&mut tx.tenant(&tenant), &id)?.map(|u| u.name))).await
    }
}

/// An act on a user who was asked for by an id that is nobody's. Only who may do it on any user hears that; else ids
/// could be tried out.
#[derive(Clone, Debug)]
pub struct OnNobody {
    /// The policy action of the act.
    pub action: &'static str,
    /// What the id was said to be of.
    pub thing: Thing,
    /// The id.
    pub id: String,
}

impl Act for OnNobody {
    type Output = std::convert::Infallible;
    const TYPE: &'static str = "ACS::RAM::User";
    const WRITE: bool = false;

    fn action(&self) -> &'static str {
        self.action
    }

    fn on(&self) -> Vec<String> {
        vec!["user/*".to_owned()]
    }

    fn run(self, _cx: &mut Cx<'_, '_, '_>) -> Result<Self::Output, Failure> {
        Err(Failure::not_found(self.thing, self.id))
    }
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
    /// `Account`, `RAMUser` or `AssumedRoleUser`.
    pub identity_type: &'static str,
    /// The tenant's id.
    pub account_id: String,
    /// The user's id; the tenant's for root; `role id:session` for a session.
    pub principal_id: String,
    /// The user's id, if a user.
    pub user_id: Option<String>,
    /// The role's id, if a session.
    pub role_id: Option<String>,
    /// `acs:ram::…:root`, `acs:ram::…:user/…` or `acs:ram::…:assumed-role/…`.
    pub arn: String,
}

impl Operation for GetCallerIdentity {
    type Output = CallerIdentity;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "sts:GetCallerIdentity",
            resource: Arn::ram(&self.tenant, "*"),
            resource_type: "ACS::STS::Caller",
            class: Class::Management { write: false },
            touches: Touches::Nothing,
            ticket: None,
            parameters: serde_json::Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, _house: &Arc<House>, intent: &Intent) -> Result<CallerIdentity, Failure> {
        let me = |identity_type, account: &TenantId, principal_id: String| CallerIdentity {
            identity_type,
            account_id: account.to_string(),
            principal_id,
            user_id: None,
            role_id: None,
            arn: intent.caller().arn().unwrap_or_default(),
        };
        match intent.caller().principal() {
            Principal::Root { tenant, .. } => Ok(me("Account", tenant, tenant.to_string())),
            Principal::User { tenant, id, .. } => {
                Ok(CallerIdentity { user_id: Some(id.to_string()), ..me("RAMUser", tenant, id.to_string()) })
            }
            Principal::Session(s) => Ok(CallerIdentity {
                role_id: Some(s.role_id.to_string()),
                ..me("AssumedRoleUser", &s.tenant, format!("{}:{}", s.role_id, s.session))
            }),
            _ => Err(Failure::Conflict("only a tenant's caller has an account".into())),
        }
    }
}
