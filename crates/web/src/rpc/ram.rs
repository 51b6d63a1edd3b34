//! Ram 2015-05-01 and Ims 2019-08-15: the same acts under two spellings.

use bailee_rooms::Thing;
use bailee_rooms::gate::Principal;
use bailee_rooms::identity::{
    Act, AddUserToGroup, AttachPolicy, BindMfaDevice, ChangePassword, ClearAccountAlias, CreateAccessKey,
    CreateGroup, CreateLoginProfile, CreateOidcProvider, CreatePolicy, CreatePolicyVersion, CreateRole,
    CreateSamlProvider, CreateServiceLinkedRole, CreateUser, CreateVirtualMfaDevice, DecodeDiagnostic,
    Decoded, DeleteAccessKey, DeleteGroup, DeleteLoginProfile, DeleteOidcProvider, DeletePolicy,
    DeletePolicyVersion, DeleteRole, DeleteSamlProvider, DeleteUser, DeleteVirtualMfaDevice, DetachPolicy,
    Entity, GetAccessKeyLastUsed, GetAccountAlias, GetAccountKeyNetworks, GetAccountMfaInfo,
    GetAccountSummary, GetCredentialReport, GetDefaultDomain, GetGroup, GetKeyNetworks, GetLoginProfile,
    GetOidcProvider, GetPasswordPolicy, GetPolicy, GetPolicyVersion, GetRole, GetSamlProvider,
    GetSecurityPractice, GetSecurityPreference, GetServiceLinkedRoleTemplate, GetUser, GetUserMfaInfo,
    KeyNetworks, ListAccessKeys, ListEntitiesForPolicy, ListGroups, ListGroupsForUser, ListOidcProviders,
    ListPolicies, ListPoliciesFor, ListPolicyVersions, ListRoles, ListSamlProviders, ListTagResources,
    ListUsers, ListUsersForGroup, ListVirtualMfaDevices, OidcChange, OidcSettings, OnNobody, Owner, Paging,
    PasswordPolicy, PolicyType, RemoveUserFromGroup, SetAccountAlias, SetAccountKeyNetworks,
    SetDefaultDomain, SetDefaultPolicyVersion, SetKeyNetworks, SetPasswordPolicy, SetSecurityPreference,
    TagResources, Tagged, UnbindMfaDevice, UntagResources, UpdateAccessKey, UpdateGroup, UpdateLoginProfile,
    UpdateOidcProvider, UpdatePolicyDescription, UpdateRole, UpdateSamlProvider, UpdateUser, mfa_serial,
};
use bailee_types::{
    AccessKeyId, GroupName, PolicyName, ProviderName, RoleName, SecretText, TenantId, Timestamp, UserId,
    UserName,
};
use bailee_wire::rpc::RpcError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::show::{self, Dialect, page};
use super::{Cx, failure};

/// Answers an operation of either product; none when it is not built.
pub(super) async fn answer(cx: &Cx<'_>) -> Result<Option<Value>, RpcError> {
    let ims = cx.request.operation().product.name == "Ims";
    let domains =
        if ims { Some(cx.house.domains(&cx.tenant).await.map_err(failure::of_room)?) } else { None };
    let ram = Ram { cx, show: Dialect { tenant: cx.tenant.clone(), domains } };
    match ram.answer(ims).await {
        // A refusal names the user by his name, which the id must not reveal: it is answered as if he were not there.
        Err(e) if e.code() == "NoPermission" => match ram.named_by_id()? {
            Some((thing, id)) => Err(ram.nobody(thing, &id).await),
            None => Err(e),
        },
        other => other,
    }
}

struct Ram<'a> {
    cx: &'a Cx<'a>,
    show: Dialect,
}

/// The place in a list of tags that a token names.
fn tag_place(token: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (id, key) = text.split_once('\n')?;
    Some((id.to_owned(), key.to_owned()))
}

fn empty() -> Value {
    json!({})
}

impl Ram<'_> {
    async fn answer(&self, ims: bool) -> Result<Option<Value>, RpcError> {
        let name = self.cx.request.operation().name;
        if let Some(answer) = self.users(name).await? {
            return Ok(Some(answer));
        }
        if let Some(answer) = self.credentials(name).await? {
            return Ok(Some(answer));
        }
        if let Some(answer) = self.account(name).await? {
            return Ok(Some(answer));
        }
        if ims {
            return self.providers(name).await;
        }
        if let Some(answer) = self.policies(name).await? {
            return Ok(Some(answer));
        }
        self.roles(name).await
    }

    /// The id by which an Ims request names somebody, if it does not name him by his name.
    fn named_by_id(&self) -> Result<Option<(Thing, String)>, RpcError> {
        let request = self.cx.request;
        if !self.show.is_ims() || request.filled("UserPrincipalName").is_some() {
            return Ok(None);
        }
        let name = request.operation().name;
        if let Some(key) = request.filled("UserAccessKeyId").filter(|_| name == "GetUser") {
            return Ok(Some((Thing::AccessKey, key)));
        }
        if let Some(id) = request.filled("UserId") {
            return Ok(Some((Thing::User, id)));
        }
        let resource = request.list("ResourceId")?.into_iter().next();
        Ok(resource.filter(|_| name.ends_with("TagResources")).map(|id| (Thing::User, id)))
    }

    async fn act<A: Act>(&self, act: A) -> Result<A::Output, RpcError> {
        self.cx.perform(act.of(&self.cx.tenant)).await
    }

    /// The user that the request names.
    async fn user(&self) -> Result<UserName, RpcError> {
        match self.optional_user().await? {
            Some(name) => Ok(name),
            None => Err(RpcError::missing(if self.show.is_ims() { "UserPrincipalName" } else { "UserName" })),
        }
    }

    async fn optional_user(&self) -> Result<Option<UserName>, RpcError> {
        let request = self.cx.request;
        let Some(domains) = &self.show.domains else {
            return request.optional_name("UserName", 64, UserName::parse);
        };
        if let Some(text) = request.filled("UserPrincipalName") {
            return principal_name(&text, domains, "UserPrincipalName").map(Some);
        }
        if let Some(id) = request.optional_name("UserId", 18, UserId::parse)? {
            return self.user_of_id(&id).await.map(Some);
        }
        Ok(None)
    }

    async fn user_of_id(&self, id: &UserId) -> Result<UserName, RpcError> {
        match self.cx.house.user_name(&self.cx.tenant, id).await.map_err(failure::of_room)? {
            Some(name) => Ok(name),
            None => Err(self.nobody(Thing::User, id.as_str()).await),
        }
    }

    /// The answer when an id is nobody's.
    async fn nobody(&self, thing: Thing, id: &str) -> RpcError {
        let action = match self.cx.request.operation().name {
            "UpdateUser" => "ram:UpdateUser",
            "DeleteUser" => "ram:DeleteUser",
            "TagResources" => "ram:TagResources",
            "UntagResources" => "ram:UntagResources",
            "ListTagResources" => "ram:ListTagResources",
            _ => "ram:GetUser",
        };
        match self.act(OnNobody { action, thing, id: id.to_owned() }).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// The owner of keys: the user that is named, or else the caller himself. A session has no keys of its own, and must
    /// not be able to make root's, which no policy binds.
    async fn owner(&self) -> Result<Owner, RpcError> {
        if let Some(name) = self.optional_user().await? {
            return Ok(Owner::User(name));
        }
        match self.cx.caller.principal() {
            Principal::User { name, .. } => Ok(Owner::User(name.clone())),
            Principal::Root { .. } => Ok(Owner::Root),
            _ => self.user().await.map(Owner::User),
        }
    }

    /// The user that is named, or else the caller, who must be one.
    async fn user_or_self(&self) -> Result<UserName, RpcError> {
        match self.owner().await? {
            Owner::User(name) => Ok(name),
            Owner::Root => self.user().await,
        }
    }

    fn paging(&self, max: i64) -> Result<Paging, RpcError> {
        let items_max = self.cx.request.number("MaxItems", 1..=max)?.unwrap_or(100);
        Ok(Paging {
            marker: self.cx.request.filled("Marker"),
            items_max: u32::try_from(items_max).unwrap_or(100),
        })
    }

    fn group_name(&self) -> Result<GroupName, RpcError> {
        self.cx.request.name("GroupName", 64, GroupName::parse)
    }

    fn role_name(&self) -> Result<RoleName, RpcError> {
        self.cx.request.name("RoleName", 64, RoleName::parse)
    }

    fn policy_name(&self) -> Result<PolicyName, RpcError> {
        self.cx.request.name("PolicyName", 128, PolicyName::parse)
    }

    fn key_id(&self) -> Result<AccessKeyId, RpcError> {
        // What cannot be a key's id is not there.
        AccessKeyId::parse(self.cx.request.required("UserAccessKeyId")?)
            .map_err(|_| RpcError::new(404, "EntityNotExist.User.AccessKey", "The AccessKey does not exist."))
    }

    async fn tags(
        &self,
        kind: &'static str,
        ids: impl Iterator<Item = String>,
    ) -> Result<Vec<bailee_rooms::identity::TagRow>, RpcError> {
        self.cx.house.tags_of(&self.cx.tenant, kind, ids.collect()).await.map_err(failure::of_room)
    }

    async fn users(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        let none = |field: &str| request.text(field);
        Ok(Some(match name {
            "CreateUser" => {
                let made = self
                    .act(CreateUser {
                        name: self.user().await?,
                        display_name: none("DisplayName"),
                        comments: none("Comments"),
                        email: none("Email"),
                        mobile_phone: none("MobilePhone"),
                        tags: if self.show.is_ims() { request.tags()? } else { Vec::new() },
                    })
                    .await?;
                json!({ "User": self.show.user(&made, &self.user_tags(std::slice::from_ref(&made)).await?) })
            }
            "GetUser" => {
                let user = match request.filled("UserAccessKeyId").filter(|_| self.show.is_ims()) {
                    Some(_) => self.owner_of_key().await?,
                    None => self.user().await?,
                };
                let found = self.act(GetUser { name: user }).await?;
                let mut shown = self.show.user(&found, &self.user_tags(std::slice::from_ref(&found)).await?);
                if let Some(out) = shown.as_object_mut()
                    && self.show.is_ims()
                {
                    out.insert("UserName".into(), found.name.as_str().into());
                }
                json!({ "User": shown })
            }
            "UpdateUser" => {
                let new_name = match &self.show.domains {
                    None => request.optional_name("NewUserName", 64, UserName::parse)?,
                    Some(domains) => match request.filled("NewUserPrincipalName") {
                        Some(text) => Some(principal_name(&text, domains, "NewUserPrincipalName")?),
                        None => None,
                    },
                };
                let changed = self
                    .act(UpdateUser {
                        name: self.user().await?,
                        new_name,
                        display_name: request.given("NewDisplayName"),
                        comments: request.given("NewComments"),
                        email: request.given("NewEmail"),
                        mobile_phone: request.given("NewMobilePhone"),
                    })
                    .await?;
                let mut shown = self.show.user(&changed, &[]);
                if let Some(out) = shown.as_object_mut() {
                    out.remove("Tags");
                }
                json!({ "User": shown })
            }
            "DeleteUser" => {
                self.act(DeleteUser { name: self.user().await? }).await?;
                empty()
            }
            "ListUsers" => {
                let found = self.list_users().await?;
                let tags = self.user_tags(&found.items).await?;
                let users = found.items.iter().map(|u| self.show.user(u, &tags));
                page("Users", "User", users.collect(), found.marker)
            }
            "ListUserBasicInfos" if self.show.is_ims() => {
                let found = self.list_users().await?;
                let basic = found.items.iter().map(|u| {
                    let mut shown = self.show.named(u.id.as_str(), u.name.as_str(), &u.display_name, None);
                    if let Some(out) = shown.as_object_mut() {
                        out.insert("Status".into(), "active".into());
                    }
                    shown
                });
                page("UserBasicInfos", "UserBasicInfo", basic.collect(), found.marker)
            }
            "CreateGroup" => {
                let made = self
                    .act(CreateGroup {
                        name: self.group_name()?,
                        display_name: none("DisplayName"),
                        comments: none("Comments"),
                    })
                    .await?;
                json!({ "Group": self.show.group(&made) })
            }
            "GetGroup" => {
                json!({ "Group": self.show.group(&self.act(GetGroup { name: self.group_name()? }).await?) })
            }
            "UpdateGroup" => {
                let changed = self
                    .act(UpdateGroup {
                        name: self.group_name()?,
                        new_name: request.optional_name("NewGroupName", 64, GroupName::parse)?,
                        display_name: request.given("NewDisplayName"),
                        comments: request.given("NewComments"),
                    })
                    .await?;
                json!({ "Group": self.show.group(&changed) })
            }
            "DeleteGroup" => {
                self.act(DeleteGroup { name: self.group_name()? }).await?;
                empty()
            }
            "ListGroups" => {
                let found = self.act(ListGroups { page: self.paging(1000)? }).await?;
                page(
                    "Groups",
                    "Group",
                    found.items.iter().map(|g| self.show.group(g)).collect(),
                    found.marker,
                )
            }
            "AddUserToGroup" => {
                self.act(AddUserToGroup { user: self.user().await?, group: self.group_name()? }).await?;
                empty()
            }
            "RemoveUserFromGroup" => {
                self.act(RemoveUserFromGroup { user: self.user().await?, group: self.group_name()? }).await?;
                empty()
            }
            "ListUsersForGroup" => {
                let found = self
                    .act(ListUsersForGroup { group: self.group_name()?, page: self.paging(1000)? })
                    .await?;
                page("Users", "User", found.items.iter().map(|m| self.show.member(m)).collect(), found.marker)
            }
            "ListGroupsForUser" => {
                let found = self.act(ListGroupsForUser { user: self.user().await? }).await?;
                let groups: Vec<_> = found.iter().map(|(g, at)| self.show.group_of_user(g, *at)).collect();
                json!({ "Groups": { "Group": groups } })
            }
            _ => return Ok(None),
        }))
    }

    /// A page of users, in Ims of those with the tags and the status that are asked for. Nobody can be frozen here, so
    /// all are `active`. With tags no status may be named; without either, all with the tags are meant.
    async fn list_users(
        &self,
    ) -> Result<bailee_rooms::identity::Page<bailee_rooms::identity::User>, RpcError> {
        let page = self.paging(1000)?;
        if !self.show.is_ims() {
            return self.act(ListUsers { page, tags: Vec::new() }).await;
        }
        let tags = self.cx.request.tags()?;
        let status = self.cx.request.filled("Status");
        let wrong = |text: &str| Err(RpcError::invalid("Status", text));
        let mut active = status.is_none();
        for word in status.iter().flat_map(|s| s.split(',')) {
            match word.trim() {
                "active" => active = true,
                "freeze" => {}
                _ => return wrong("The parameter Status must be active, freeze, or active,freeze."),
            }
        }
        if status.is_some() && !tags.is_empty() {
            return wrong("The parameter Status cannot be used together with Tag.");
        }
        let mut found = self.act(ListUsers { page, tags }).await?;
        if !active {
            found.items.clear();
            found.marker = None;
        }
        Ok(found)
    }

    async fn user_tags(
        &self,
        users: &[bailee_rooms::identity::User],
    ) -> Result<Vec<bailee_rooms::identity::TagRow>, RpcError> {
        if !self.show.is_ims() {
            return Ok(Vec::new());
        }
        self.tags("user", users.iter().map(|u| u.id.to_string())).await
    }

    async fn owner_of_key(&self) -> Result<UserName, RpcError> {
        let id = self.key_id()?;
        match self.cx.house.key_owner(&self.cx.tenant, &id).await.map_err(failure::of_room)? {
            Some(name) => Ok(name),
            None => Err(self.nobody(Thing::AccessKey, id.as_str()).await),
        }
    }

    async fn credentials(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        Ok(Some(match name {
            "CreateAccessKey" => {
                show::new_key(&self.act(CreateAccessKey { owner: self.owner().await? }).await?)
            }
            "ListAccessKeys" => {
                let found = self.act(ListAccessKeys { owner: self.owner().await? }).await?;
                let keys: Vec<_> = found.iter().map(|k| self.show.key(k)).collect();
                json!({ "AccessKeys": { "AccessKey": keys } })
            }
            "UpdateAccessKey" => {
                let active = match request.required("Status")? {
                    "Active" => true,
                    "Inactive" => false,
                    _ => {
                        return Err(RpcError::invalid(
                            "Status",
                            "The parameter Status must be Active or Inactive.",
                        ));
                    }
                };
                self.act(UpdateAccessKey { owner: self.owner().await?, id: self.key_id()?, active }).await?;
                empty()
            }
            "DeleteAccessKey" => {
                self.act(DeleteAccessKey { owner: self.owner().await?, id: self.key_id()? }).await?;
                empty()
            }
            "GetAccessKeyLastUsed" => {
                let key =
                    self.act(GetAccessKeyLastUsed { owner: self.owner().await?, id: self.key_id()? }).await?;
                let mut used =
                    json!({ "LastUsedDate": key.last_used_at.map(Timestamp::iso).unwrap_or_default() });
                if let Some(out) = used.as_object_mut()
                    && self.show.is_ims()
                {
                    out.insert("ServiceName".into(), key.last_service.unwrap_or_default().into());
                }
                json!({ "AccessKeyLastUsed": used })
            }
            "GetAccessKeyPolicy" if self.show.is_ims() => {
                let (owner, id) = (self.owner().await?, self.key_id()?);
                let policy = self.act(GetKeyNetworks { owner, id: id.clone() }).await?;
                let document = policy.document().map_err(failure::of_room)?;
                json!({ "AccessKeyId": id.as_str(), "AccessKeyPolicy": document })
            }
            "SetAccessKeyPolicy" if self.show.is_ims() => {
                let (owner, id, to) = (self.owner().await?, self.key_id()?, self.key_networks()?);
                let policy = self.act(SetKeyNetworks { owner, id: id.clone(), to }).await?;
                let document = policy.document().map_err(failure::of_room)?;
                json!({ "AccessKeyId": id.as_str(), "AccessKeyPolicy": document })
            }
            "CreateLoginProfile" => {
                let act = CreateLoginProfile::new(self.user().await?, request.secret("Password")?)
                    .demanding(
                        request.flag("PasswordResetRequired")?.unwrap_or(false),
                        request.flag("MFABindRequired")?.unwrap_or(false),
                    )
                    .active(self.status()?.unwrap_or(true));
                json!({ "LoginProfile": self.show.login_profile(&self.act(act).await?) })
            }
            "GetLoginProfile" => {
                let found = self.act(GetLoginProfile { user: self.user().await? }).await?;
                json!({ "LoginProfile": self.show.login_profile(&found) })
            }
            "UpdateLoginProfile" => {
                let act = UpdateLoginProfile::new(
                    self.user().await?,
                    request.filled("Password").map(SecretText::new),
                    request.flag("PasswordResetRequired")?,
                    request.flag("MFABindRequired")?,
                    self.status()?,
                );
                let changed = self.act(act).await?;
                if self.show.is_ims() {
                    json!({ "LoginProfile": self.show.login_profile(&changed) })
                } else {
                    empty()
                }
            }
            "DeleteLoginProfile" => {
                self.act(DeleteLoginProfile { user: self.user().await? }).await?;
                empty()
            }
            "ChangePassword" => {
                let Principal::User { name, .. } = self.cx.caller.principal() else {
                    return Err(RpcError::new(
                        403,
                        "NoPermission",
                        "Only a RAM user changes his own password here.",
                    ));
                };
                let (old, new) = (request.secret("OldPassword")?, request.secret("NewPassword")?);
                self.act(ChangePassword::new(name.clone(), old, new)).await?;
                empty()
            }
            "CreateVirtualMFADevice" => {
                let name = request.required("VirtualMFADeviceName")?.to_owned();
                show::new_device(&self.act(CreateVirtualMfaDevice { name }).await?)
            }
            "ListVirtualMFADevices" => {
                let found = self.act(ListVirtualMfaDevices).await?;
                let devices: Vec<_> = found.iter().map(|(d, u)| self.show.device(d, u.as_ref())).collect();
                if self.show.is_ims() {
                    let max = usize::try_from(self.paging(1000)?.items_max).unwrap_or(100);
                    let from: usize = request.text("Marker").parse().unwrap_or(0);
                    let more = devices.len() > from.saturating_add(max);
                    let marker = more.then(|| (from + max).to_string());
                    let cut = devices.into_iter().skip(from).take(max).collect();
                    page("VirtualMFADevices", "VirtualMFADevice", cut, marker)
                } else {
                    json!({ "VirtualMFADevices": { "VirtualMFADevice": devices } })
                }
            }
            "DeleteVirtualMFADevice" => {
                self.act(DeleteVirtualMfaDevice { serial: request.required("SerialNumber")?.to_owned() })
                    .await?;
                empty()
            }
            "BindMFADevice" => {
                self.act(BindMfaDevice {
                    user: self.user_or_self().await?,
                    serial: request.required("SerialNumber")?.to_owned(),
                    first: request.secret("AuthenticationCode1")?,
                    second: request.secret("AuthenticationCode2")?,
                })
                .await?;
                empty()
            }
            "UnbindMFADevice" => {
                let serial =
                    self.act(UnbindMfaDevice { user: self.user_or_self().await?, delete: false }).await?;
                json!({ "MFADevice": { "SerialNumber": serial } })
            }
            "DisableVirtualMFA" if self.show.is_ims() => {
                self.act(UnbindMfaDevice { user: self.user_or_self().await?, delete: true }).await?;
                empty()
            }
            "GetUserMFAInfo" => {
                let user = self.user_or_self().await?;
                let found = self.act(GetUserMfaInfo { user: user.clone() }).await?;
                let device = found
                    .map(|d| json!({ "SerialNumber": mfa_serial(&self.cx.tenant, &d.name), "Type": "VMFA" }));
                match (self.show.is_ims(), device) {
                    (true, Some(device)) => json!({ "IsMFAEnable": true, "MFADevice": device }),
                    (true, None) => json!({ "IsMFAEnable": false }),
                    (false, Some(device)) => json!({ "MFADevice": device }),
                    (false, None) => {
                        return Err(RpcError::new(
                            404,
                            "EntityNotExist.User.MFADevice",
                            format!("The user {user} has no MFA device."),
                        ));
                    }
                }
            }
            _ => return Ok(None),
        }))
    }

    fn key_networks(&self) -> Result<KeyNetworks, RpcError> {
        KeyNetworks::parse(self.cx.request.required("AccessKeyPolicy")?).map_err(failure::of_room)
    }

    fn status(&self) -> Result<Option<bool>, RpcError> {
        match self.cx.request.text("Status").as_str() {
            "" => Ok(None),
            "Active" => Ok(Some(true)),
            "Inactive" => Ok(Some(false)),
            _ => Err(RpcError::invalid("Status", "The parameter Status must be Active or Inactive.")),
        }
    }

    async fn account(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        let ims = self.show.is_ims();
        Ok(Some(match name {
            "GetAccessKeyPolicyForAccount" if ims => {
                let policy = self.act(GetAccountKeyNetworks).await?;
                json!({ "AccessKeyPolicy": policy.document().map_err(failure::of_room)? })
            }
            "SetAccessKeyPolicyForAccount" if ims => {
                let to = self.key_networks()?;
                let policy = self.act(SetAccountKeyNetworks { to }).await?;
                json!({ "AccessKeyPolicy": policy.document().map_err(failure::of_room)? })
            }
            "GetAccountAlias" => match self.act(GetAccountAlias).await? {
                Some(alias) => json!({ "AccountAlias": alias }),
                None => json!({ "AccountAlias": "" }),
            },
            "SetAccountAlias" => {
                self.act(SetAccountAlias { alias: request.required("AccountAlias")?.to_owned() }).await?;
                empty()
            }
            "ClearAccountAlias" => {
                self.act(ClearAccountAlias).await?;
                empty()
            }
            "GetPasswordPolicy" => self.show.password_policy(&self.act(GetPasswordPolicy).await?),
            "SetPasswordPolicy" => {
                let n = |name: &str, range, default: u32| -> Result<u32, RpcError> {
                    Ok(request.number(name, range)?.map_or(default, |n| u32::try_from(n).unwrap_or(default)))
                };
                let default = PasswordPolicy::default();
                let flag = |name: &str| request.flag(name).map(|f| f.unwrap_or(false));
                let policy = PasswordPolicy {
                    length_min: n("MinimumPasswordLength", 8..=32, default.length_min)?,
                    lower: flag("RequireLowercaseCharacters")?,
                    upper: flag("RequireUppercaseCharacters")?,
                    digit: flag("RequireNumbers")?,
                    symbol: flag("RequireSymbols")?,
                    different_min: n("MinimumPasswordDifferentCharacter", 0..=8, 0)?,
                    not_name: flag("PasswordNotContainUserName")?,
                    hard_expiry: flag(if ims { "HardExpire" } else { "HardExpiry" })?,
                    age_max_days: n("MaxPasswordAge", 0..=1095, 0)?,
                    reuse_prevention: n("PasswordReusePrevention", 0..=24, 0)?,
                    attempts_max: n("MaxLoginAttemps", 0..=32, default.attempts_max)?,
                };
                self.show.password_policy(&self.act(SetPasswordPolicy { policy }).await?)
            }
            "GetSecurityPreference" => self.show.preference(&self.act(GetSecurityPreference).await?),
            "SetSecurityPreference" => {
                let act = SetSecurityPreference {
                    save_mfa_ticket: request.flag("EnableSaveMFATicket")?,
                    change_password: request.flag("AllowUserToChangePassword")?,
                    manage_access_keys: request.flag("AllowUserToManageAccessKeys")?,
                    manage_mfa_devices: request.flag("AllowUserToManageMFADevices")?,
                    manage_public_keys: request.flag("AllowUserToManagePublicKeys")?,
                    passkey_sign_in: request.flag("AllowUserToLoginWithPasskey")?,
                    login_networks: request.given("LoginNetworkMasks"),
                    session_hours: request
                        .number("LoginSessionDuration", 1..=24)?
                        .and_then(|n| u32::try_from(n).ok()),
                    mfa_for_login: request.filled("MFAOperationForLogin"),
                };
                self.show.preference(&self.act(act).await?)
            }
            "TagResources" => {
                self.act(TagResources { resources: self.tagged().await?, tags: request.tags()? }).await?;
                empty()
            }
            "UntagResources" => {
                let keys = if request.flag("All")?.unwrap_or(false) {
                    None
                } else {
                    Some(request.list(if ims { "TagKey" } else { "TagKeys" })?)
                };
                self.act(UntagResources { resources: self.tagged().await?, keys }).await?;
                empty()
            }
            "ListTagResources" => self.tag_rows().await?,
            "DecodeDiagnosticMessage" if !ims => {
                let message = request.required("EncodedDiagnosticMessage")?.to_owned();
                let act = DecodeDiagnostic { tenant: self.cx.tenant.clone(), message };
                decoded(&self.cx.perform(act).await?, &self.cx.tenant)
            }
            "GetAccountMFAInfo" if ims => json!({ "IsMFAEnable": self.act(GetAccountMfaInfo).await? }),
            "GetAccountSummary" if ims => {
                let s = self.act(GetAccountSummary).await?;
                json!({ "SummaryMap": {
                    "Users": s.users, "UsersQuota": s.users_max,
                    "Groups": s.groups, "GroupsQuota": 300, "GroupsPerUserQuota": 10,
                    "Roles": s.roles, "RolesQuota": 1000,
                    "Policies": s.policies, "PoliciesQuota": 1500, "PolicySizeQuota": 6144, "VersionsPerPolicyQuota": 5,
                    "AttachedPoliciesPerUserQuota": 10, "AttachedPoliciesPerGroupQuota": 10,
                    "AttachedPoliciesPerRoleQuota": 10, "AttachedSystemPoliciesPerUserQuota": 20,
                    "AttachedSystemPoliciesPerGroupQuota": 20, "AttachedSystemPoliciesPerRoleQuota": 20,
                    "AccessKeysPerUserQuota": 2, "AccountAccessKeysPerAccountQuota": 2,
                    "MFADevices": s.mfa_devices, "MFADevicesInUse": s.mfa_devices_in_use,
                    "VirtualMFADevicesQuota": 5100,
                } })
            }
            "GetAccountSecurityPracticeReport" if ims => {
                let r = self.act(GetSecurityPractice).await?;
                json!({ "AccountSecurityPracticeInfo": { "Score": r.score, "AccountSecurityPracticeUserInfo": {
                    "BindMfa": r.root_has_mfa, "RootWithAccessKey": r.root_keys, "SubUser": r.users,
                    "SubUserBindMfa": r.users_with_mfa, "OldAkNum": r.old_keys, "UnusedAkNum": r.unused_keys,
                    "SubUserWithOldAccessKey": r.users_with_old_key,
                    "SubUserWithUnusedAccessKey": r.users_with_unused_key, "SubUserPwdLevel": r.password_level,
                } } })
            }
            "GenerateCredentialReport" if ims => {
                // The report is made when it is asked for, so it is always complete.
                self.act(GetCredentialReport).await?;
                json!({ "State": "COMPLETE" })
            }
            "GetCredentialReport" if ims => {
                let report = self.act(GetCredentialReport).await?;
                json!({
                    "Content": STANDARD.encode(report), "GeneratedTime": self.cx.house.now().iso(),
                    "IsTruncated": "false", "NextToken": "",
                })
            }
            "GetDefaultDomain" if ims => json!({ "DefaultDomainName": self.act(GetDefaultDomain).await? }),
            "SetDefaultDomain" if ims => {
                let domain = request.required("DefaultDomainName")?.to_owned();
                json!({ "DefaultDomainName": self.act(SetDefaultDomain { domain }).await? })
            }
            _ => return Ok(None),
        }))
    }

    /// The resources of a tag operation.
    async fn tagged(&self) -> Result<Vec<Tagged>, RpcError> {
        let request = self.cx.request;
        let kind = request.required("ResourceType")?;
        let wrong = |name: &str| {
            RpcError::invalid(name, format!("The parameter {name} holds a name that is not valid."))
        };
        if let Some(domains) = &self.show.domains {
            if kind != "user" {
                return Err(RpcError::invalid("ResourceType", "The parameter ResourceType must be user."));
            }
            let mut out = Vec::new();
            for text in request.list("ResourcePrincipalName")? {
                out.push(Tagged::User(principal_name(&text, domains, "ResourcePrincipalName")?));
            }
            for id in request.list("ResourceId")? {
                let id = UserId::parse(&id).map_err(|_| wrong("ResourceId"))?;
                out.push(Tagged::User(self.user_of_id(&id).await?));
            }
            return Ok(out);
        }
        let names = request.list("ResourceNames")?;
        let each = names.iter().map(|n| match kind {
            "role" => RoleName::parse(n).map(Tagged::Role),
            _ => PolicyName::parse(n).map(Tagged::Policy),
        });
        if kind != "role" && kind != "policy" {
            return Err(RpcError::invalid(
                "ResourceType",
                "The parameter ResourceType must be role or policy.",
            ));
        }
        each.collect::<Result<_, _>>().map_err(|_| wrong("ResourceNames"))
    }

    async fn tag_rows(&self) -> Result<Value, RpcError> {
        let request = self.cx.request;
        let ims = self.show.is_ims();
        let kind = match (request.required("ResourceType")?, ims) {
            ("user", true) => "user",
            ("role", false) => "role",
            ("policy", false) => "policy",
            _ => {
                return Err(RpcError::invalid(
                    "ResourceType",
                    "The parameter ResourceType is not one that has tags here.",
                ));
            }
        };
        let max = usize::try_from(request.number("PageSize", 1..=100)?.unwrap_or(20)).unwrap_or(20);
        let after = match request.filled("NextToken") {
            None => None,
            Some(token) => Some(tag_place(&token).ok_or_else(|| {
                RpcError::invalid(
                    "NextToken",
                    "The parameter NextToken must be one that was answered before.",
                )
            })?),
        };
        let rows_max = u32::try_from(max + 1).unwrap_or(u32::MAX);
        let list = ListTagResources {
            kind,
            resources: self.tagged().await?,
            tags: request.tags()?,
            after,
            rows_max,
        };
        let found = self.act(list).await?;
        let more = found.len() > max;
        let last = found.get(max - 1).filter(|_| more);
        let next = last.map_or_else(String::new, |t| STANDARD.encode(format!("{}\n{}", t.id, t.key)));
        let rows: Vec<_> = found
            .iter()
            .take(max)
            .map(|t| {
                let named = if ims { ("ResourceId", &t.id) } else { ("ResourceName", &t.name) };
                json!({ named.0: named.1, "ResourceType": t.kind, "TagKey": t.key, "TagValue": t.value })
            })
            .collect();
        Ok(if ims {
            json!({ "TagResources": { "TagResource": rows }, "IsTruncated": more, "NextToken": next })
        } else {
            json!({ "TagResources": rows, "NextToken": next })
        })
    }

    fn policy_type(&self) -> Result<PolicyType, RpcError> {
        match self.cx.request.required("PolicyType")? {
            "System" => Ok(PolicyType::System),
            "Custom" => Ok(PolicyType::Custom),
            _ => Err(RpcError::new(
                400,
                "InvalidParameter.PolicyType",
                "The parameter PolicyType must be System or Custom.",
            )),
        }
    }

    fn version_id(&self) -> Result<i64, RpcError> {
        let text = self.cx.request.required("VersionId")?;
        let number = text.strip_prefix('v').and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        number.ok_or_else(|| {
            RpcError::new(
                400,
                "InvalidParameter.VersionId",
                "The parameter VersionId must be v1, v2, and so on.",
            )
        })
    }

    async fn policies(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        Ok(Some(match name {
            "CreatePolicy" => {
                let made = self
                    .act(CreatePolicy {
                        name: self.policy_name()?,
                        document: request.required("PolicyDocument")?.to_owned(),
                        description: request.text("Description"),
                        tags: request.tags()?,
                    })
                    .await?;
                json!({ "Policy": show::policy(&made) })
            }
            "GetPolicy" => {
                let (info, version) =
                    self.act(GetPolicy { kind: self.policy_type()?, name: self.policy_name()? }).await?;
                let mut shown = show::policy(&info);
                if let Some(out) = shown.as_object_mut() {
                    out.insert("PolicyDocument".into(), version.document.clone().into());
                }
                json!({ "Policy": shown, "DefaultPolicyVersion": show::version(&version) })
            }
            "UpdatePolicyDescription" => {
                let description = request.text("NewDescription");
                let changed =
                    self.act(UpdatePolicyDescription { name: self.policy_name()?, description }).await?;
                json!({ "Policy": show::policy(&changed) })
            }
            "DeletePolicy" => {
                let cascade = request.flag("CascadingDelete")?.unwrap_or(false);
                self.act(DeletePolicy { name: self.policy_name()?, cascade }).await?;
                empty()
            }
            "ListPolicies" => {
                let kind =
                    if request.filled("PolicyType").is_some() { Some(self.policy_type()?) } else { None };
                let found =
                    self.act(ListPolicies { kind, page: self.paging(1000)?, tags: request.tags()? }).await?;
                let tags = self.tags("policy", found.items.iter().map(|p| p.name.clone())).await?;
                let policies = found.items.iter().map(|p| show::policy_in_list(p, &tags)).collect();
                page("Policies", "Policy", policies, found.marker)
            }
            "CreatePolicyVersion" => {
                let rotate = match request.text("RotateStrategy").as_str() {
                    "" | "None" => false,
                    "DeleteOldestNonDefaultVersionWhenLimitExceeded" => true,
                    _ => {
                        return Err(RpcError::invalid(
                            "RotateStrategy",
                            "RotateStrategy must be None or DeleteOldestNonDefaultVersionWhenLimitExceeded.",
                        ));
                    }
                };
                let made = self
                    .act(CreatePolicyVersion {
                        name: self.policy_name()?,
                        document: request.required("PolicyDocument")?.to_owned(),
                        set_default: request.flag("SetAsDefault")?.unwrap_or(false),
                        rotate,
                    })
                    .await?;
                json!({ "PolicyVersion": show::version(&made) })
            }
            "GetPolicyVersion" => {
                let (kind, name, version) = (self.policy_type()?, self.policy_name()?, self.version_id()?);
                json!({ "PolicyVersion": show::version(&self.act(GetPolicyVersion { kind, name, version }).await?) })
            }
            "DeletePolicyVersion" => {
                self.act(DeletePolicyVersion { name: self.policy_name()?, version: self.version_id()? })
                    .await?;
                empty()
            }
            "SetDefaultPolicyVersion" => {
                self.act(SetDefaultPolicyVersion { name: self.policy_name()?, version: self.version_id()? })
                    .await?;
                empty()
            }
            "ListPolicyVersions" => {
                let found = self
                    .act(ListPolicyVersions { kind: self.policy_type()?, name: self.policy_name()? })
                    .await?;
                let versions: Vec<_> = found.iter().map(show::version).collect();
                json!({ "PolicyVersions": { "PolicyVersion": versions } })
            }
            "AttachPolicyToUser" | "AttachPolicyToGroup" | "AttachPolicyToRole" => {
                let to = self.entity(name).await?;
                self.act(AttachPolicy { to, kind: self.policy_type()?, policy: self.policy_name()? }).await?;
                empty()
            }
            "DetachPolicyFromUser" | "DetachPolicyFromGroup" | "DetachPolicyFromRole" => {
                let from = self.entity(name).await?;
                self.act(DetachPolicy { from, kind: self.policy_type()?, policy: self.policy_name()? })
                    .await?;
                empty()
            }
            "ListPoliciesForUser" | "ListPoliciesForGroup" | "ListPoliciesForRole" => {
                let found = self.act(ListPoliciesFor { of: self.entity(name).await? }).await?;
                let policies: Vec<_> = found.iter().map(|(p, at)| show::attached(p, *at)).collect();
                json!({ "Policies": { "Policy": policies } })
            }
            "ListEntitiesForPolicy" => {
                let found = self
                    .act(ListEntitiesForPolicy { kind: self.policy_type()?, policy: self.policy_name()? })
                    .await?;
                let date = |at: &Timestamp| Some(("AttachDate", *at));
                let users: Vec<_> = found
                    .users
                    .iter()
                    .map(|(u, at)| self.show.named(u.id.as_str(), u.name.as_str(), &u.display_name, date(at)))
                    .collect();
                let groups: Vec<_> = found
                    .groups
                    .iter()
                    .map(|(g, at)| json!({ "GroupName": g.name.as_str(), "Comments": g.comments, "AttachDate": at.iso() }))
                    .collect();
                let roles: Vec<_> = found
                    .roles
                    .iter()
                    .map(|(r, at)| {
                        json!({ "RoleId": r.id.as_str(), "RoleName": r.name.as_str(), "Arn": r.arn(&self.cx.tenant),
                                "Description": r.description, "AttachDate": at.iso() })
                    })
                    .collect();
                json!({ "Users": { "User": users }, "Groups": { "Group": groups }, "Roles": { "Role": roles } })
            }
            _ => return Ok(None),
        }))
    }

    /// The user, group or role that an operation's name ends with.
    async fn entity(&self, operation: &str) -> Result<Entity, RpcError> {
        Ok(if operation.ends_with("User") {
            Entity::User(self.user().await?)
        } else if operation.ends_with("Group") {
            Entity::Group(self.group_name()?)
        } else {
            Entity::Role(self.role_name()?)
        })
    }

    async fn roles(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        let duration = |name: &str| request.number(name, 3_600..=43_200);
        Ok(Some(match name {
            "CreateRole" => {
                let made = self
                    .act(CreateRole {
                        name: self.role_name()?,
                        description: request.text("Description"),
                        trust: request.required("AssumeRolePolicyDocument")?.to_owned(),
                        session_max_s: duration("MaxSessionDuration")?.unwrap_or(3_600),
                        allows_console: request.flag("AllowConsoleLogin")?.unwrap_or(true),
                        tags: request.tags()?,
                    })
                    .await?;
                json!({ "Role": self.show.role(&made) })
            }
            "GetRole" => {
                json!({ "Role": self.show.role(&self.act(GetRole { name: self.role_name()? }).await?) })
            }
            "UpdateRole" => {
                let changed = self
                    .act(UpdateRole {
                        name: self.role_name()?,
                        description: request.given("NewDescription"),
                        trust: request.filled("NewAssumeRolePolicyDocument"),
                        session_max_s: duration("NewMaxSessionDuration")?,
                        allows_console: request.flag("NewAllowConsoleLogin")?,
                    })
                    .await?;
                json!({ "Role": self.show.role(&changed) })
            }
            "DeleteRole" => {
                self.act(DeleteRole { name: self.role_name()?, linked: false }).await?;
                empty()
            }
            "ListRoles" => {
                let found = self
                    .act(ListRoles { page: self.paging(1000)?, tags: request.tags()?, linked: None })
                    .await?;
                let tags = self.tags("role", found.items.iter().map(|r| r.id.to_string())).await?;
                let roles = found.items.iter().map(|r| self.show.role_in_list(r, &tags)).collect();
                page("Roles", "Role", roles, found.marker)
            }
            "CreateServiceLinkedRole" => {
                let made = self
                    .act(CreateServiceLinkedRole {
                        service: request.required("ServiceName")?.to_owned(),
                        suffix: request.filled("CustomSuffix"),
                        description: request.filled("Description"),
                    })
                    .await?;
                json!({ "Role": self.show.role(&made) })
            }
            "DeleteServiceLinkedRole" => {
                // Nothing of ours works with the role between two requests, so it goes at once.
                let id = self.act(DeleteRole { name: self.role_name()?, linked: true }).await?;
                json!({ "DeletionTaskId": format!("task/{id}") })
            }
            "GetServiceLinkedRoleTemplate" => {
                let service = request.required("ServiceName")?.to_owned();
                let t = self.act(GetServiceLinkedRoleTemplate { service }).await?;
                json!({ "ServiceLinkedRoleTemplate": {
                    "ServiceName": t.service, "RoleNamePrefix": t.role, "SystemPolicyName": t.policy,
                    "MultipleRolesAllowed": t.several,
                    "RoleDescriptions": { "RoleDescription": [{ "Language": "en", "Description": t.description }] },
                } })
            }
            _ => return Ok(None),
        }))
    }

    async fn providers(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        let oidc_name = || request.name("OIDCProviderName", 128, ProviderName::parse);
        let saml_name = || request.name("SAMLProviderName", 128, ProviderName::parse);
        let list = |text: String| -> Vec<String> {
            text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()
        };
        let document = |field: &str| -> Result<Option<String>, RpcError> {
            let Some(text) = request.filled(field) else { return Ok(None) };
            let wrong = || {
                RpcError::invalid(field, format!("The parameter {field} must be base64 of an XML document."))
            };
            let bytes = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
            String::from_utf8(bytes).map(Some).map_err(|_| wrong())
        };
        let hours = || -> Result<Option<u32>, RpcError> {
            Ok(request.number("IssuanceLimitTime", 1..=168)?.and_then(|n| u32::try_from(n).ok()))
        };
        let change = match name {
            "UpdateOIDCProvider" => Some(OidcChange::Update {
                description: request.given("NewDescription"),
                client_ids: request.filled("ClientIds").map(list),
                issuance_limit_hours: hours()?,
            }),
            "AddClientIdToOIDCProvider" => {
                Some(OidcChange::AddClientId(request.required("ClientId")?.to_owned()))
            }
            "RemoveClientIdFromOIDCProvider" => {
                Some(OidcChange::RemoveClientId(request.required("ClientId")?.to_owned()))
            }
            "AddFingerprintToOIDCProvider" => {
                Some(OidcChange::AddFingerprint(request.required("Fingerprint")?.to_owned()))
            }
            "RemoveFingerprintFromOIDCProvider" => {
                Some(OidcChange::RemoveFingerprint(request.required("Fingerprint")?.to_owned()))
            }
            _ => None,
        };
        if let Some(change) = change {
            let changed = self.act(UpdateOidcProvider { name: oidc_name()?, change }).await?;
            return Ok(Some(json!({ "OIDCProvider": self.show.oidc(&changed) })));
        }
        Ok(Some(match name {
            "CreateOIDCProvider" => {
                let made = self
                    .act(CreateOidcProvider {
                        name: oidc_name()?,
                        description: request.text("Description"),
                        settings: OidcSettings {
                            issuer: request.required("IssuerUrl")?.to_owned(),
                            client_ids: list(request.text("ClientIds")),
                            fingerprints: list(request.text("Fingerprints")),
                            issuance_limit_hours: hours()?.unwrap_or(12),
                        },
                    })
                    .await?;
                json!({ "OIDCProvider": self.show.oidc(&made) })
            }
            "GetOIDCProvider" => {
                json!({ "OIDCProvider": self.show.oidc(&self.act(GetOidcProvider { name: oidc_name()? }).await?) })
            }
            "DeleteOIDCProvider" => {
                self.act(DeleteOidcProvider { name: oidc_name()? }).await?;
                empty()
            }
            "ListOIDCProviders" => {
                let found = self.act(ListOidcProviders { page: self.paging(100)? }).await?;
                let all = found.items.iter().map(|p| self.show.oidc(p)).collect();
                page("OIDCProviders", "OIDCProvider", all, found.marker)
            }
            "CreateSAMLProvider" => {
                let metadata = document("EncodedSAMLMetadataDocument")?
                    .ok_or_else(|| RpcError::missing("EncodedSAMLMetadataDocument"))?;
                let made = self
                    .act(CreateSamlProvider {
                        name: saml_name()?,
                        description: request.text("Description"),
                        metadata,
                    })
                    .await?;
                json!({ "SAMLProvider": self.show.saml(&made, false) })
            }
            "GetSAMLProvider" => {
                let found = self.act(GetSamlProvider { name: saml_name()? }).await?;
                json!({ "SAMLProvider": self.show.saml(&found, true) })
            }
            "UpdateSAMLProvider" => {
                let changed = self
                    .act(UpdateSamlProvider {
                        name: saml_name()?,
                        description: request.given("NewDescription"),
                        metadata: document("NewEncodedSAMLMetadataDocument")?,
                    })
                    .await?;
                json!({ "SAMLProvider": self.show.saml(&changed, false) })
            }
            "DeleteSAMLProvider" => {
                self.act(DeleteSamlProvider { name: saml_name()? }).await?;
                empty()
            }
            "ListSAMLProviders" => {
                let found = self.act(ListSamlProviders { page: self.paging(100)? }).await?;
                let all = found.items.iter().map(|p| self.show.saml(p, false)).collect();
                page("SAMLProviders", "SAMLProvider", all, found.marker)
            }
            _ => return Ok(None),
        }))
    }
}

/// A decoded diagnostic in the wire's words (operations.json, Ram DecodeDiagnosticMessage).
fn decoded(d: &Decoded, tenant: &TenantId) -> Value {
    let policy_type = match d.phase.as_str() {
        "control" => "ControlPolicy",
        "session" => "SessionPolicy",
        "trust" => "AssumeRolePolicy",
        _ => "AccountLevelIdentityBasedPolicy",
    };
    let effect = if d.explicit { "Deny" } else { "Allow" };
    let matched: Vec<_> = d.explanation["deciding"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| p["policy"].as_str())
        .map(|name| {
            let system = bailee_rooms::identity::is_system_policy(name);
            json!({
                "PolicyIdentifier": name, "PolicyType": if system { "System" } else { "Custom" }, "Effect": effect,
                "PolicyVersion": "", "AttachedScope": "Account", "AttachedEntityType": "",
            })
        })
        .collect();
    let conditions: Vec<_> = d.explanation["nearest"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|n| Some((n["failed"]["key"].as_str()?, &n["failed"]["request"])))
        .map(|(key, values)| json!({ "ConditionKey": key, "ConditionValues": values }))
        .collect();
    json!({ "DecodedDiagnosticMessage": {
        "AuthAction": d.action,
        "AuthResource": d.resource,
        "AuthPrincipal": {
            "AuthPrincipalType": d.principal_type,
            "AuthPrincipalOwnerId": tenant.as_str(),
            "AuthPrincipalDisplayName": d.principal,
        },
        "AuthConditions": conditions,
        "ExplicitDeny": d.explicit,
        "MatchedPolicies": matched,
        "NoPermissionPolicyType": policy_type,
    } })
}

/// `li@1000….onaliyun.com` → `li`, when the domain is one of the tenant's.
fn principal_name(
    text: &str,
    domains: &bailee_rooms::identity::Domains,
    field: &str,
) -> Result<UserName, RpcError> {
    let (name, domain) = text.rsplit_once('@').ok_or_else(|| {
        RpcError::invalid(
            &format!("{field}.Format"),
            format!("The parameter {field} must be a name, `@` and your domain."),
        )
    })?;
    if !domains.knows(domain) {
        return Err(RpcError::invalid(
            &format!("{field}.Format"),
            format!("The domain of {field} must be {}.", domains.default_domain()),
        ));
    }
    UserName::parse(name).map_err(|e| {
        let kind = if (1..=64).contains(&name.len()) { "InvalidChars" } else { "Length" };
        RpcError::invalid(&format!("{field}.{kind}"), format!("The parameter {field} is not valid: {e}."))
    })
}
