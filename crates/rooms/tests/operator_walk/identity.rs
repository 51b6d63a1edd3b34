//! People of a tenant and of the provider: users, roles, policies, sessions, second factors; the end of an account.

use bailee_rooms::Thing;
use bailee_rooms::closure::{CancelClosure, CloseAccount, GetClosure};
use bailee_rooms::identity::{
    Act, AddUserToGroup, AskPasskey, AssumeRole, AttachPolicy, BeginPasskey, BeginTotp, BindMfaDevice,
    ChangePassword, ChoosePassword, ClearAccountAlias, CreateAccessKey, CreateGroup, CreateLoginProfile,
    CreateOidcProvider, CreateOperator, CreatePolicy, CreatePolicyVersion, CreateRole, CreateSamlProvider,
    CreateServiceLinkedRole, CreateTenant, CreateUser, CreateVirtualMfaDevice, DecodeDiagnostic,
    DeleteAccessKey, DeleteGroup, DeleteLoginProfile, DeleteOidcProvider, DeletePolicy, DeletePolicyVersion,
    DeleteRole, DeleteSamlProvider, DeleteUser, DeleteVirtualMfaDevice, DetachPolicy, EndSession, Entity,
    Factor, FinishPasskey, FinishTotp, ForgetDevice, GetAccessKeyLastUsed, GetAccountAlias,
    GetAccountKeyNetworks, GetAccountMfaInfo, GetAccountSummary, GetCallerIdentity, GetCredentialReport,
    GetDefaultDomain, GetGroup, GetKeyNetworks, GetLoginProfile, GetOidcProvider, GetPasswordPolicy,
    GetPolicy, GetPolicyVersion, GetRole, GetSamlProvider, GetSecurityPractice, GetSecurityPreference,
    GetServiceLinkedRoleTemplate, GetSingleSignOn, GetUser, GetUserMfaInfo, KeyNetworks, ListAccessKeys,
    ListDevices, ListEntitiesForPolicy, ListGroups, ListGroupsForUser, ListKeyFindings, ListOidcProviders,
    ListPolicies, ListPoliciesFor, ListPolicyVersions, ListRoles, ListSamlProviders, ListSessions,
    ListTagResources, ListUsers, ListUsersForGroup, ListVirtualMfaDevices, OidcChange, OidcSettings,
    OnNobody, Owner, Paging, PasswordPolicy, PolicyType, RemovePasskey, RemoveTotp, RemoveUserFromGroup,
    RenewRecoveryCodes, ResolveEmployee, RevokeRoleSessions, RoleWish, SetAccountAlias,
    SetAccountKeyNetworks, SetDefaultDomain, SetDefaultPolicyVersion, SetKeyNetworks, SetOperatorRoles,
    SetOperatorState, SetPasswordPolicy, SetSecurityPreference, SetSingleSignOn, ShowFactor, ShowPasskey,
    TagResources, Tagged, UnbindMfaDevice, UntagResources, UpdateAccessKey, UpdateGroup, UpdateLoginProfile,
    UpdateOidcProvider, UpdatePolicyDescription, UpdateRole, UpdateSamlProvider, UpdateUser, WhoCan, Whom,
    Why,
};
use bailee_types::{
    Arn, OperatorId, PolicyName, ProviderName, RoleName, SecretText, SessionName, TenantAlias, TenantId,
    UserName,
};

use super::scene::{Scene, document, group, owner, place, policy, role, trust, user};
use super::{NO_ROLE, Row, may, never, opens, refused};

const OWN: &str =
    "one's own sign-in: it is about the caller's sessions and factors, whatever tenant is named";

fn text(text: &str) -> SecretText {
    SecretText::new(text.into())
}

fn idp() -> ProviderName {
    ProviderName::parse("idp").unwrap()
}

fn other() -> UserName {
    UserName::parse("chen").unwrap()
}

fn leaver() -> UserName {
    UserName::parse("zhao").unwrap()
}

fn more() -> PolicyName {
    PolicyName::parse("more").unwrap()
}

fn op() -> OperatorId {
    OperatorId::parse("op-liaison").unwrap()
}

fn object(s: &Scene) -> Arn {
    let (bucket, key) = place();
    Arn::object(&s.id, &bucket, &key)
}

fn oidc() -> OidcSettings {
    OidcSettings {
        issuer: "https://idp.acme.example".into(),
        client_ids: vec!["bailee".into()],
        fingerprints: vec!["ab".repeat(20)],
        issuance_limit_hours: 12,
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let mut all = users();
    all.extend(policies());
    all.extend(roles());
    all.extend(account());
    all.extend(sign_in());
    all.extend(provider());
    all.extend(ends());
    all
}

fn users() -> Vec<Row> {
    vec![
        opens(NO_ROLE, |s| GetUser { name: user() }.of(&s.id), |u| format!("{u:?}")),
        opens(NO_ROLE, |s| ListUsers::default().of(&s.id), |page| format!("{page:?}")),
        opens(NO_ROLE, |s| GetGroup { name: group() }.of(&s.id), |g| format!("{g:?}")),
        never("NotFound", |s| {
            OnNobody { action: "ram:GetUser", thing: Thing::User, id: "7".into() }.of(&s.id)
        }),
        never("ok", |s| CreateUser::named(other()).of(&s.id)),
        never("ok", |s| CreateUser::named(leaver()).of(&s.id)),
        never("ok", |s| {
            UpdateUser {
                name: other(),
                new_name: None,
                display_name: Some("Chen".into()),
                comments: None,
                email: None,
                mobile_phone: None,
            }
            .of(&s.id)
        }),
        never("ok", |s| ListGroups::default().of(&s.id)),
        never("ok", |s| {
            CreateGroup {
                name: bailee_types::GroupName::parse("more").unwrap(),
                display_name: String::new(),
                comments: String::new(),
            }
            .of(&s.id)
        }),
        never("ok", |s| {
            UpdateGroup {
                name: group(),
                new_name: None,
                display_name: Some("Readers".into()),
                comments: None,
            }
            .of(&s.id)
        }),
        never("ok", |s| AddUserToGroup { user: user(), group: group() }.of(&s.id)),
        never("ok", |s| ListUsersForGroup { group: group(), page: Paging::default() }.of(&s.id)),
        never("ok", |s| ListGroupsForUser { user: user() }.of(&s.id)),
        never("ok", |s| RemoveUserFromGroup { user: user(), group: group() }.of(&s.id)),
        never("ok", |s| GetLoginProfile { user: user() }.of(&s.id)),
        never("ok", |s| CreateLoginProfile::new(other(), text("Another-passw0rd!")).of(&s.id)),
        never("ok", |s| UpdateLoginProfile::new(user(), None, None, None, Some(true)).of(&s.id)),
        never("InvalidParameter", |s| {
            ChangePassword::new(user(), text("wrong"), text("Another-passw0rd!")).of(&s.id)
        }),
        never("ok", |s| ListAccessKeys { owner: owner() }.of(&s.id)),
        never("ok", |s| GetAccessKeyLastUsed { owner: owner(), id: s.access_key.id.clone() }.of(&s.id)),
        never("ok", |s| GetKeyNetworks { owner: owner(), id: s.access_key.id.clone() }.of(&s.id)),
        never("ok", |s| {
            SetKeyNetworks { owner: owner(), id: s.access_key.id.clone(), to: KeyNetworks::default() }
                .of(&s.id)
        }),
        never("ok", |s| CreateAccessKey { owner: Owner::User(other()) }.of(&s.id)),
        never("ok", |s| CreateAccessKey { owner: Owner::Root }.of(&s.id)),
        never("ok", |s| {
            UpdateAccessKey { owner: owner(), id: s.access_key.id.clone(), active: true }.of(&s.id)
        }),
        never("ok", |s| ListVirtualMfaDevices.of(&s.id)),
        never("ok", |s| CreateVirtualMfaDevice { name: "tablet".into() }.of(&s.id)),
        never("CheckAuthenticationCodeFail", |s| {
            BindMfaDevice {
                user: user(),
                serial: s.mfa.clone(),
                first: text("000000"),
                second: text("000001"),
            }
            .of(&s.id)
        }),
        never("NotFound", |s| UnbindMfaDevice { user: user(), delete: false }.of(&s.id)),
        never("ok", |s| GetUserMfaInfo { user: user() }.of(&s.id)),
        never("ok", |s| DeleteVirtualMfaDevice { serial: s.mfa.clone() }.of(&s.id)),
    ]
}

fn policies() -> Vec<Row> {
    vec![
        opens(
            NO_ROLE,
            |s| GetPolicy { kind: PolicyType::Custom, name: policy() }.of(&s.id),
            |p| format!("{p:?}"),
        ),
        never("ok", |s| ListPolicies::default().of(&s.id)),
        never("ok", |s| GetPolicyVersion { kind: PolicyType::Custom, name: policy(), version: 1 }.of(&s.id)),
        never("ok", |s| ListPolicyVersions { kind: PolicyType::Custom, name: policy() }.of(&s.id)),
        never("ok", |s| ListPoliciesFor { of: Entity::User(user()) }.of(&s.id)),
        never("ok", |s| ListEntitiesForPolicy { kind: PolicyType::Custom, policy: policy() }.of(&s.id)),
        never("ok", |s| {
            CreatePolicy { name: more(), document: document(), description: String::new(), tags: Vec::new() }
                .of(&s.id)
        }),
        never("ok", |s| UpdatePolicyDescription { name: more(), description: "more".into() }.of(&s.id)),
        never("ok", |s| {
            CreatePolicyVersion { name: more(), document: document(), set_default: false, rotate: false }
                .of(&s.id)
        }),
        never("ok", |s| SetDefaultPolicyVersion { name: more(), version: 2 }.of(&s.id)),
        never("ok", |s| DeletePolicyVersion { name: more(), version: 1 }.of(&s.id)),
        never("ok", |s| {
            AttachPolicy { to: Entity::User(other()), kind: PolicyType::Custom, policy: more() }.of(&s.id)
        }),
        never("ok", |s| {
            DetachPolicy { from: Entity::User(other()), kind: PolicyType::Custom, policy: more() }.of(&s.id)
        }),
        never("ok", |s| DeletePolicy { name: more(), cascade: false }.of(&s.id)),
        never("ok", |s| {
            TagResources { resources: vec![Tagged::User(user())], tags: vec![("a".into(), "b".into())] }
                .of(&s.id)
        }),
        never("ok", |s| {
            ListTagResources {
                kind: "user",
                resources: vec![Tagged::User(user())],
                tags: Vec::new(),
                after: None,
                rows_max: 10,
            }
            .of(&s.id)
        }),
        never("ok", |s| UntagResources { resources: vec![Tagged::User(user())], keys: None }.of(&s.id)),
        never("ok", |s| Why {
            tenant: s.id.clone(),
            whom: Whom::User(user()),
            action: "oss:GetObject".into(),
            resource: object(s),
            source_ip: None,
            mfa: false,
            conditions: Vec::new(),
        }),
        never("ok", |s| WhoCan { tenant: s.id.clone(), action: "oss:GetObject".into(), resource: object(s) }),
        never("InvalidParameter", |s| DecodeDiagnostic { tenant: s.id.clone(), message: "nothing".into() }),
    ]
}

fn roles() -> Vec<Row> {
    vec![
        opens(NO_ROLE, |s| GetRole { name: role() }.of(&s.id), |r| format!("{r:?}")),
        never("ok", |s| ListRoles::default().of(&s.id)),
        never("ok", |s| {
            CreateRole {
                name: RoleName::parse("more").unwrap(),
                description: String::new(),
                trust: trust(&s.id),
                session_max_s: 3_600,
                allows_console: false,
                tags: Vec::new(),
            }
            .of(&s.id)
        }),
        never("ok", |s| {
            UpdateRole {
                name: role(),
                description: None,
                trust: None,
                session_max_s: Some(7_200),
                allows_console: None,
            }
            .of(&s.id)
        }),
        never("NoPermission", |s| AssumeRole {
            tenant: s.id.clone(),
            wish: RoleWish::of_arn(
                &format!("acs:ram::{}:role/{}", s.id, role()),
                SessionName::parse("work").unwrap(),
            )
            .unwrap(),
            action: "sts:AssumeRole",
        }),
        never("ok", |s| RevokeRoleSessions { name: role() }.of(&s.id)),
        never("ok", |s| {
            GetServiceLinkedRoleTemplate { service: "actiontrail.aliyuncs.com".into() }.of(&s.id)
        }),
        never("ok", |s| {
            CreateServiceLinkedRole {
                service: "actiontrail.aliyuncs.com".into(),
                suffix: None,
                description: None,
            }
            .of(&s.id)
        }),
        never("ok", |s| DeleteRole { name: role(), linked: false }.of(&s.id)),
        never("ok", |s| {
            CreateOidcProvider { name: idp(), description: String::new(), settings: oidc() }.of(&s.id)
        }),
        never("ok", |s| GetOidcProvider { name: idp() }.of(&s.id)),
        never("ok", |s| ListOidcProviders::default().of(&s.id)),
        never("ok", |s| {
            UpdateOidcProvider {
                name: idp(),
                change: OidcChange::Update {
                    description: Some("ours".into()),
                    client_ids: None,
                    issuance_limit_hours: None,
                },
            }
            .of(&s.id)
        }),
        never("ok", |s| DeleteOidcProvider { name: idp() }.of(&s.id)),
        never("InvalidParameter", |s| {
            CreateSamlProvider { name: idp(), description: String::new(), metadata: "<md/>".into() }.of(&s.id)
        }),
        never("NotFound", |s| GetSamlProvider { name: idp() }.of(&s.id)),
        never("ok", |s| ListSamlProviders::default().of(&s.id)),
        never("NotFound", |s| {
            UpdateSamlProvider { name: idp(), description: Some("ours".into()), metadata: None }.of(&s.id)
        }),
        never("NotFound", |s| DeleteSamlProvider { name: idp() }.of(&s.id)),
        never("ok", |s| SetSingleSignOn { tenant: s.id.clone(), to: None }),
        never("ok", |s| GetSingleSignOn { tenant: s.id.clone() }),
    ]
}

fn account() -> Vec<Row> {
    vec![
        opens(NO_ROLE, |s| GetCredentialReport.of(&s.id), |report| report),
        never("ok", |s| GetAccountSummary.of(&s.id)),
        never("ok", |s| GetSecurityPractice.of(&s.id)),
        never("ok", |s| ListKeyFindings { days_min: 0 }.of(&s.id)),
        never("ok", |s| GetAccountMfaInfo.of(&s.id)),
        never("ok", |s| GetDefaultDomain.of(&s.id)),
        never("ok", |s| SetDefaultDomain { domain: "acme.onaliyun.com".into() }.of(&s.id)),
        never("ok", |s| GetAccountAlias.of(&s.id)),
        never("ok", |s| SetAccountAlias { alias: "acme-works".into() }.of(&s.id)),
        never("ok", |s| ClearAccountAlias.of(&s.id)),
        never("ok", |s| GetPasswordPolicy.of(&s.id)),
        never("ok", |s| SetPasswordPolicy { policy: PasswordPolicy::default() }.of(&s.id)),
        never("ok", |s| GetSecurityPreference.of(&s.id)),
        never("ok", |s| SetSecurityPreference::default().of(&s.id)),
        never("ok", |s| GetAccountKeyNetworks.of(&s.id)),
        never("ok", |s| SetAccountKeyNetworks { to: KeyNetworks::default() }.of(&s.id)),
        never("ok", |s| GetCallerIdentity { tenant: s.id.clone() }),
    ]
}

/// With the token of acme's root, as if it had been stolen.
fn sign_in() -> Vec<Row> {
    vec![
        may(("ok", OWN), "ok", |s| ListSessions { tenant: s.id.clone() }, |all| format!("{all:?}")),
        may(("ok", OWN), "ok", |s| ListDevices { tenant: s.id.clone() }, |all| format!("{all:?}")),
        refused("NotFound", "NotFound", |s| EndSession { tenant: s.id.clone(), id: "s-none".into() }),
        refused("NotFound", "NotFound", |s| ForgetDevice { tenant: s.id.clone(), id: "d-none".into() }),
        refused("SignInFailed", "CheckAuthenticationCodeFail", |s| ShowFactor {
            tenant: s.id.clone(),
            token: s.root_token.clone(),
            factor: Factor::Totp(text("000000")),
        }),
        refused("SignInFailed", "ok", |s| BeginTotp { tenant: s.id.clone(), token: s.root_token.clone() }),
        refused("SignInFailed", "CheckAuthenticationCodeFail", |s| FinishTotp {
            tenant: s.id.clone(),
            token: s.root_token.clone(),
            first: text("000000"),
            second: text("000001"),
        }),
        refused("FreshMfaRequired", "FreshMfaRequired", |s| RemoveTotp { tenant: s.id.clone() }),
        refused("FreshMfaRequired", "FreshMfaRequired", |s| RenewRecoveryCodes { tenant: s.id.clone() }),
        refused("InvalidParameter", "InvalidParameter", |s| ChoosePassword {
            tenant: s.id.clone(),
            token: s.root_token.clone(),
            old: text("wrong"),
            new: text("Another-passw0rd!"),
        }),
        refused("SignInFailed", "ok", |s| BeginPasskey { tenant: s.id.clone(), token: s.root_token.clone() }),
        refused("SignInFailed", "InvalidParameter", |s| FinishPasskey {
            tenant: s.id.clone(),
            token: s.root_token.clone(),
            label: "laptop".into(),
            response: "{}".into(),
        }),
        refused("SignInFailed", "NotFound", |s| AskPasskey {
            tenant: s.id.clone(),
            token: s.root_token.clone(),
        }),
        refused("SignInFailed", "Conflict", |s| ShowPasskey {
            tenant: s.id.clone(),
            token: s.root_token.clone(),
            response: "{}".into(),
        }),
        refused("FreshMfaRequired", "FreshMfaRequired", |s| RemovePasskey {
            tenant: s.id.clone(),
            id: "p-none".into(),
        }),
    ]
}

fn provider() -> Vec<Row> {
    vec![
        never("NotFound", |_| CreateTenant {
            alias: TenantAlias::parse("globex").unwrap(),
            name: "Globex".into(),
        }),
        never("NotFound", |_| CreateOperator {
            id: OperatorId::parse("op-new").unwrap(),
            roles: vec!["support".into()],
            place: "CN".into(),
        }),
        never("NotFound", |_| SetOperatorRoles { id: op(), roles: vec!["support".into()] }),
        never("NotFound", |_| SetOperatorState { id: op(), active: true }),
        never("NotFound", |_| SetSingleSignOn { tenant: TenantId::provider(), to: None }),
        may(
            ("ok", "compliance names a colleague, for a case, on record; nothing of the tenant's"),
            "Conflict",
            |s| ResolveEmployee {
                tenant: s.id.clone(),
                employee: s.pseudonym(),
                ticket: Some(s.ticket.clone()),
                reference: "case 7".into(),
            },
            |who| format!("{who:?}"),
        ),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        never("ok", |s| DeleteAccessKey { owner: owner(), id: s.access_key.id.clone() }.of(&s.id)),
        never("ok", |s| DeleteLoginProfile { user: user() }.of(&s.id)),
        never("ok", |s| DeleteGroup { name: group() }.of(&s.id)),
        never("ok", |s| DeleteUser { name: leaver() }.of(&s.id)),
        never("ok", |s| GetClosure { tenant: s.id.clone() }),
        never("ok", |s| CloseAccount { tenant: s.id.clone(), days: 30 }),
        never("ok", |s| CancelClosure { tenant: s.id.clone() }),
    ]
}
