//! Who calls and what he may do, against the whole house on each engine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bailee_rooms::consent::Decision;
use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::identity::{
    Act, AddUserToGroup, AssumeRole, AttachPolicy, AuthError, Can, ChangePassword, CreateAccessKey,
    CreateGroup, CreateLoginProfile, CreateOperator, CreatePolicy, CreateRole, CreateUser, Credentials,
    DecodeDiagnostic, DeleteAccessKey, DeleteLoginProfile, DeleteRole, DeleteUser, DetachPolicy, Entity,
    GetCallerIdentity, GetUser, KeyNetworks, ListAccessKeys, NewAccessKey, Owner, PolicyType, Presented,
    RemoveUserFromGroup, RevokeRoleSessions, RoleWish, SetAccountAlias, SetAccountKeyNetworks,
    SetKeyNetworks, SetSecurityPreference, SignIn, Stage, UpdateUser, WhoCan, Whom, Why,
};
use bailee_rooms::{Failure, SignInProblem};
use bailee_testkit::{TestHouse, TestTenant, on_each_engine, origin};
use bailee_types::{
    Arn, GroupName, OperatorId, PolicyName, RoleName, SecretText, SessionName, TenantId, UserName,
};

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn policy(name: &str) -> PolicyName {
    PolicyName::parse(name).unwrap()
}

async fn make_user(t: &TestHouse, tenant: &TestTenant, name: &str, policies: &[&str]) -> NewAccessKey {
    t.house.perform(tenant.root.clone(), CreateUser::named(user(name)).of(&tenant.id)).await.unwrap();
    for p in policies {
        attach(t, tenant, Entity::User(user(name)), PolicyType::System, p).await;
    }
    let key = CreateAccessKey { owner: Owner::User(user(name)) };
    t.house.perform(tenant.root.clone(), key.of(&tenant.id)).await.unwrap()
}

async fn attach(t: &TestHouse, tenant: &TestTenant, to: Entity, kind: PolicyType, name: &str) {
    let attach = AttachPolicy { to, kind, policy: policy(name) };
    t.house.perform(tenant.root.clone(), attach.of(&tenant.id)).await.unwrap();
}

async fn custom(t: &TestHouse, tenant: &TestTenant, name: &str, document: &str) {
    let create = CreatePolicy {
        name: policy(name),
        document: document.into(),
        description: String::new(),
        tags: Vec::new(),
    };
    t.house.perform(tenant.root.clone(), create.of(&tenant.id)).await.unwrap();
}

/// A caller by his key, as a wire's signature would prove him.
async fn by_key(
    t: &TestHouse,
    id: &str,
    secret: &SecretText,
    token: Option<&str>,
) -> Result<Caller, AuthError<()>> {
    let presented = Presented { access_key_id: id, token, nonce: None, service: "Ram", scheme: "test" };
    let same = |kept: &SecretText| if kept.expose() == secret.expose() { Ok(()) } else { Err(()) };
    t.house.authenticate(presented, origin(), same).await.map(|(caller, ())| caller)
}

async fn as_user(t: &TestHouse, key: &NewAccessKey) -> Caller {
    by_key(t, key.id.as_str(), &key.secret, None).await.unwrap()
}

async fn as_session(t: &TestHouse, c: &Credentials) -> Result<Caller, AuthError<()>> {
    by_key(t, c.access_key_id.as_str(), &c.secret, Some(c.token.expose())).await
}

async fn role(t: &TestHouse, tenant: &TestTenant, name: &str, trust: &str, policies: &[&str]) {
    let create = CreateRole {
        name: RoleName::parse(name).unwrap(),
        description: String::new(),
        trust: trust.into(),
        session_max_s: 7_200,
        allows_console: false,
        tags: Vec::new(),
    };
    t.house.perform(tenant.root.clone(), create.of(&tenant.id)).await.unwrap();
    for p in policies {
        attach(t, tenant, Entity::Role(RoleName::parse(name).unwrap()), PolicyType::System, p).await;
    }
}

fn trust(principal: &str) -> String {
    format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"RAM":["{principal}"]}}}}]}}"#
    )
}

fn wish(tenant: &TenantId, role: &str) -> RoleWish {
    RoleWish::of_arn(&format!("acs:ram::{tenant}:role/{role}"), SessionName::parse("work").unwrap()).unwrap()
}

async fn assume(t: &TestHouse, caller: &Caller, wish: RoleWish) -> Result<Credentials, Failure> {
    let act = AssumeRole { tenant: caller.tenant().unwrap().clone(), wish, action: "sts:AssumeRole" };
    t.house.perform(caller.clone(), act).await
}

fn refusal<T>(result: Result<T, Failure>) -> RefusalKind {
    match result {
        Err(Failure::Refused(r)) => r.kind().clone(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was allowed"),
    }
}

#[test]
fn a_session_is_bound_to_its_key_narrowed_and_ends_to_the_millisecond() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let li = make_user(&t, &acme, "li", &["AliyunSTSAssumeRoleAccess"]).await;
        role(
            &t,
            &acme,
            "reader",
            &trust(&format!("acs:ram::{}:root", acme.id)),
            &["AliyunRAMReadOnlyAccess"],
        )
        .await;
        let li = as_user(&t, &li).await;
        let mut narrowed = wish(&acme.id, "reader");
        narrowed.duration_s = Some(900);
        let made = assume(&t, &li, narrowed).await.unwrap();
        assert!(made.token.expose().len() <= 600, "{}", made.token.expose().len());

        let session = as_session(&t, &made).await.unwrap();
        let me =
            t.house.perform(session.clone(), GetCallerIdentity { tenant: acme.id.clone() }).await.unwrap();
        assert_eq!(me.identity_type, "AssumedRoleUser");
        assert_eq!(me.arn, format!("acs:ram::{}:assumed-role/reader/work", acme.id));
        let get = GetUser { name: user("li") };
        t.house.perform(session.clone(), get.of(&acme.id)).await.unwrap();
        let delete = DeleteUser { name: user("li") };
        assert!(matches!(
            refusal(t.house.perform(session, delete.of(&acme.id)).await),
            RefusalKind::ImplicitDeny { .. }
        ));

        // Another session's token, a changed one, none, and one with a permanent key.
        let other = assume(&t, &li, wish(&acme.id, "reader")).await.unwrap();
        let (id, secret) = (made.access_key_id.as_str(), &made.secret);
        assert!(matches!(
            by_key(&t, id, secret, Some(other.token.expose())).await,
            Err(AuthError::TokenMismatch)
        ));
        assert!(matches!(by_key(&t, id, secret, None).await, Err(AuthError::TokenMissing)));
        assert!(matches!(by_key(&t, id, secret, Some("!!")).await, Err(AuthError::TokenMalformed)));
        for at in [0, 20, made.token.expose().len() - 5] {
            let mut bent = made.token.expose().to_owned();
            let c = if bent.as_bytes()[at] == b'A' { "B" } else { "A" };
            bent.replace_range(at..=at, c);
            assert!(
                matches!(by_key(&t, id, secret, Some(&bent)).await, Err(AuthError::TokenMalformed)),
                "{at}"
            );
        }
        assert!(matches!(
            by_key(&t, id, &SecretText::new("x".into()), Some(made.token.expose())).await,
            Err(AuthError::Signature(()))
        ));
        let root_key = CreateAccessKey { owner: Owner::Root };
        let root_key = t.house.perform(acme.root.clone(), root_key.of(&acme.id)).await.unwrap();
        let mixed = by_key(&t, root_key.id.as_str(), &root_key.secret, Some(made.token.expose())).await;
        assert!(matches!(mixed, Err(AuthError::TokenMismatch)));

        // Narrowed by a session policy.
        let mut narrow = wish(&acme.id, "reader");
        narrow.policy = Some(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:ListUsers","Resource":"*"}]}"#
                .into(),
        );
        let narrow = as_session(&t, &assume(&t, &li, narrow).await.unwrap()).await.unwrap();
        let get = GetUser { name: user("li") };
        assert_eq!(
            refusal(t.house.perform(narrow, get.of(&acme.id)).await),
            RefusalKind::ImplicitDeny { phase: bailee_rooms::gate::Phase::Session }
        );

        t.clock.advance_ms(900_000 - 1_000);
        let left = made.expires_at.ms() - t.house.now().ms();
        t.clock.advance_ms(left - 1);
        assert!(as_session(&t, &made).await.is_ok(), "a millisecond before its end");
        t.clock.advance_ms(1);
        assert!(matches!(as_session(&t, &made).await, Err(AuthError::TokenExpired)));
    });
}

#[test]
fn revoking_and_deleting_a_role_ends_its_sessions_and_a_new_role_of_the_name_has_none() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let li = make_user(&t, &acme, "li", &["AliyunSTSAssumeRoleAccess"]).await;
        let anyone = trust(&format!("acs:ram::{}:root", acme.id));
        role(&t, &acme, "Reader", &anyone, &[]).await;
        let li = as_user(&t, &li).await;
        let first = assume(&t, &li, wish(&acme.id, "reader")).await.unwrap();
        as_session(&t, &first).await.unwrap();
        t.clock.advance_ms(5);
        let revoke = RevokeRoleSessions { name: RoleName::parse("READER").unwrap() };
        t.house.perform(acme.root.clone(), revoke.of(&acme.id)).await.unwrap();
        assert!(matches!(as_session(&t, &first).await, Err(AuthError::TokenExpired)));
        t.clock.advance_ms(5);
        let second = assume(&t, &li, wish(&acme.id, "reader")).await.unwrap();
        as_session(&t, &second).await.unwrap();
        let delete = DeleteRole { name: RoleName::parse("reader").unwrap(), linked: false };
        t.house.perform(acme.root.clone(), delete.of(&acme.id)).await.unwrap();
        assert!(matches!(as_session(&t, &second).await, Err(AuthError::TokenExpired)));
        role(&t, &acme, "reader", &anyone, &["AdministratorAccess"]).await;
        assert!(matches!(as_session(&t, &second).await, Err(AuthError::TokenExpired)));
    });
}

#[test]
fn a_role_needs_both_sides_and_tells_strangers_nothing() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let li = make_user(&t, &acme, "li", &["AliyunSTSAssumeRoleAccess"]).await;
        let wu = make_user(&t, &acme, "wu", &["ReadOnlyAccess"]).await;
        let (li, wu) = (as_user(&t, &li).await, as_user(&t, &wu).await);
        role(
            &t,
            &globex,
            "guest",
            &trust(&format!("acs:ram::{}:root", acme.id)),
            &["AliyunRAMReadOnlyAccess"],
        )
        .await;
        role(&t, &globex, "private", &trust(&format!("acs:ram::{}:root", globex.id)), &[]).await;
        let made = assume(&t, &li, wish(&globex.id, "guest")).await.unwrap();
        let there = as_session(&t, &made).await.unwrap();
        assert_eq!(there.tenant(), Some(&globex.id));
        // His own account's users are not the session's to see.
        let get = GetUser { name: user("li") };
        assert_eq!(refusal(t.house.perform(there, get.of(&acme.id)).await), RefusalKind::NotYours);
        // The other side says no, or he himself may not: to a stranger both look like a role that is not there.
        let not_trusted = RefusalKind::ImplicitDeny { phase: bailee_rooms::gate::Phase::Trust };
        for name in ["private", "nothing"] {
            assert_eq!(refusal(assume(&t, &li, wish(&globex.id, name)).await), not_trusted, "{name}");
        }
        assert_eq!(refusal(assume(&t, &wu, wish(&globex.id, "guest")).await), not_trusted);
        // Root takes no role on.
        assert_eq!(refusal(assume(&t, &acme.root, wish(&globex.id, "guest")).await), not_trusted);
        // Chains: at most an hour, and the source identity stays.
        role(&t, &globex, "next", &trust(&format!("acs:ram::{}:role/guest", globex.id)), &[]).await;
        attach(
            &t,
            &globex,
            Entity::Role(RoleName::parse("guest").unwrap()),
            PolicyType::System,
            "AliyunSTSAssumeRoleAccess",
        )
        .await;
        let mut named = wish(&globex.id, "guest");
        named.source_identity = Some("li@acme".into());
        let guest = as_session(&t, &assume(&t, &li, named).await.unwrap()).await.unwrap();
        let mut next = wish(&globex.id, "next");
        next.duration_s = Some(3_601);
        assert!(matches!(
            assume(&t, &guest, next.clone()).await,
            Err(Failure::Invalid { field: "DurationSeconds", .. })
        ));
        next.duration_s = None;
        next.source_identity = Some("somebody".into());
        assert!(matches!(
            assume(&t, &guest, next.clone()).await,
            Err(Failure::Invalid { field: "SourceIdentity", .. })
        ));
        next.source_identity = None;
        assert_eq!(assume(&t, &guest, next).await.unwrap().source_identity.as_deref(), Some("li@acme"));
    });
}

#[test]
fn who_is_made_again_with_an_old_name_inherits_nothing() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = make_user(&t, &acme, "li", &["AdministratorAccess"]).await;
        let profile = CreateLoginProfile::new(user("li"), SecretText::new("correct horse 1".into()));
        t.house.perform(acme.root.clone(), profile.of(&acme.id)).await.unwrap();
        let group = CreateGroup {
            name: GroupName::parse("ops").unwrap(),
            display_name: String::new(),
            comments: String::new(),
        };
        t.house.perform(acme.root.clone(), group.of(&acme.id)).await.unwrap();
        attach(
            &t,
            &acme,
            Entity::Group(GroupName::parse("ops").unwrap()),
            PolicyType::System,
            "AliyunOSSFullAccess",
        )
        .await;
        let add = AddUserToGroup { user: user("li"), group: GroupName::parse("ops").unwrap() };
        t.house.perform(acme.root.clone(), add.of(&acme.id)).await.unwrap();
        let who = || SignIn::Tenant {
            tenant: "acme".into(),
            user: "li".into(),
            password: SecretText::new("correct horse 1".into()),
        };
        let token = t.house.sign_in(who(), origin()).await.unwrap();

        // What is in use says what is in the way, one thing after the other.
        let delete = || DeleteUser { name: user("li") }.of(&acme.id);
        let in_use = |r: Result<Vec<String>, Failure>| match r {
            Err(Failure::InUse { by, .. }) => format!("{by:?}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(in_use(t.house.perform(acme.root.clone(), delete()).await), "AccessKey");
        let gone = DeleteAccessKey { owner: Owner::User(user("li")), id: key.id.clone() };
        t.house.perform(acme.root.clone(), gone.of(&acme.id)).await.unwrap();
        assert_eq!(in_use(t.house.perform(acme.root.clone(), delete()).await), "Policy");
        let detach = DetachPolicy {
            from: Entity::User(user("li")),
            kind: PolicyType::System,
            policy: policy("AdministratorAccess"),
        };
        t.house.perform(acme.root.clone(), detach.of(&acme.id)).await.unwrap();
        assert_eq!(in_use(t.house.perform(acme.root.clone(), delete()).await), "Group");
        let remove = RemoveUserFromGroup { user: user("li"), group: GroupName::parse("ops").unwrap() };
        t.house.perform(acme.root.clone(), remove.of(&acme.id)).await.unwrap();
        t.house.perform(acme.root.clone(), delete()).await.unwrap();

        assert!(t.house.session(token.expose(), origin()).await.unwrap().is_none(), "the session ended");
        t.house.perform(acme.root.clone(), CreateUser::named(user("li")).of(&acme.id)).await.unwrap();
        assert!(matches!(by_key(&t, key.id.as_str(), &key.secret, None).await, Err(AuthError::UnknownKey)));
        assert!(t.house.session(token.expose(), origin()).await.unwrap().is_none());
        assert!(matches!(t.house.sign_in(who(), origin()).await, Err(Failure::SignIn(SignInProblem::Wrong))));
        let new = CreateAccessKey { owner: Owner::User(user("li")) };
        let new = t.house.perform(acme.root.clone(), new.of(&acme.id)).await.unwrap();
        let li = as_user(&t, &new).await;
        let get = GetUser { name: user("li") };
        assert!(matches!(
            refusal(t.house.perform(li, get.of(&acme.id)).await),
            RefusalKind::ImplicitDeny { .. }
        ));
    });
}

#[test]
fn a_rename_keeps_rights_and_the_old_name_has_none() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = make_user(&t, &acme, "li", &["AliyunRAMReadOnlyAccess"]).await;
        let rename = UpdateUser {
            name: user("li"),
            new_name: Some(user("li-2")),
            display_name: None,
            comments: None,
            email: None,
            mobile_phone: None,
        };
        t.house.perform(acme.root.clone(), rename.of(&acme.id)).await.unwrap();
        let li = as_user(&t, &key).await;
        assert_eq!(li.name(), "li-2");
        let get = GetUser { name: user("li-2") };
        t.house.perform(li.clone(), get.of(&acme.id)).await.unwrap();
        let get = GetUser { name: user("li") };
        assert!(matches!(t.house.perform(li, get.of(&acme.id)).await, Err(Failure::NotFound { .. })));
    });
}

#[test]
fn users_do_to_themselves_what_the_account_prefers_unless_denied() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = make_user(&t, &acme, "li", &[]).await;
        make_user(&t, &acme, "wu", &[]).await;
        let list = |name: &str| ListAccessKeys { owner: Owner::User(user(name)) }.of(&acme.id);
        let li = as_user(&t, &key).await;
        assert!(matches!(
            refusal(t.house.perform(li.clone(), list("li")).await),
            RefusalKind::ImplicitDeny { .. }
        ));
        let prefer = SetSecurityPreference { manage_access_keys: Some(true), ..Default::default() };
        t.house.perform(acme.root.clone(), prefer.of(&acme.id)).await.unwrap();
        t.house.perform(li.clone(), list("li")).await.unwrap();
        assert!(matches!(
            refusal(t.house.perform(li.clone(), list("wu")).await),
            RefusalKind::ImplicitDeny { .. }
        ));
        custom(
            &t,
            &acme,
            "no-keys",
            r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"ram:*AccessKey*","Resource":"*"}]}"#,
        )
        .await;
        attach(&t, &acme, Entity::User(user("li")), PolicyType::Custom, "no-keys").await;
        let li = as_user(&t, &key).await;
        assert!(matches!(refusal(t.house.perform(li, list("li")).await), RefusalKind::ExplicitDeny { .. }));
    });
}

#[test]
fn a_policy_that_is_handed_out_must_be_allowed_too() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = make_user(&t, &acme, "helper", &[]).await;
        custom(
            &t,
            &acme,
            "hand-out-own",
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:AttachPolicyToUser","Resource":["acs:ram:*:*:user/*","acs:ram:*:*:policy/small-*"]},
               {"Effect":"Deny","Action":"ram:AttachPolicyToUser","Resource":"acs:ram:*:system:policy/*"}]}"#,
        )
        .await;
        custom(
            &t,
            &acme,
            "small-one",
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}]}"#,
        )
        .await;
        attach(&t, &acme, Entity::User(user("helper")), PolicyType::Custom, "hand-out-own").await;
        let helper = as_user(&t, &key).await;
        let give =
            |kind, name: &str| AttachPolicy { to: Entity::User(user("helper")), kind, policy: policy(name) };
        let own = give(PolicyType::Custom, "small-one");
        t.house.perform(helper.clone(), own.of(&acme.id)).await.unwrap();
        let all = give(PolicyType::System, "AdministratorAccess");
        assert!(matches!(
            refusal(t.house.perform(helper.clone(), all.of(&acme.id)).await),
            RefusalKind::ExplicitDeny { .. }
        ));
        let other = give(PolicyType::Custom, "hand-out-own");
        assert!(matches!(
            refusal(t.house.perform(helper, other.of(&acme.id)).await),
            RefusalKind::ImplicitDeny { .. }
        ));
    });
}

#[test]
fn guessing_slows_down_and_never_locks_out() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        t.house.perform(acme.root.clone(), CreateUser::named(user("li")).of(&acme.id)).await.unwrap();
        let profile = CreateLoginProfile::new(user("li"), SecretText::new("correct horse 1".into()));
        t.house.perform(acme.root.clone(), profile.of(&acme.id)).await.unwrap();
        let who = |password: &str| SignIn::Tenant {
            tenant: "acme".into(),
            user: "li".into(),
            password: SecretText::new(password.into()),
        };
        let mut waited = 0;
        for _ in 0..40 {
            match t.house.sign_in(who("wrong"), origin()).await {
                Err(Failure::SignIn(SignInProblem::Wrong)) => {}
                Err(Failure::Throttled(seconds)) => {
                    assert!((1..=60).contains(&seconds), "{seconds}");
                    waited += 1;
                    t.clock.advance_ms(seconds as i64 * 1000);
                }
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("a wrong password signed in"),
            }
        }
        assert!(waited > 10, "{waited}");
        t.clock.advance_ms(60_000);
        t.house.sign_in(who("correct horse 1"), origin()).await.unwrap();
        // Changing it by the old one, and the sessions that knew the old one end.
        let token = t.house.sign_in(who("correct horse 1"), origin()).await.unwrap();
        let li = t.house.session(token.expose(), origin()).await.unwrap().unwrap().caller;
        let wrong = ChangePassword::new(
            user("li"),
            SecretText::new("wrong".into()),
            SecretText::new("another horse".into()),
        );
        assert!(matches!(
            t.house.perform(li.clone(), wrong.of(&acme.id)).await,
            Err(Failure::Invalid { field: "OldPassword", .. })
        ));
        let right = ChangePassword::new(
            user("li"),
            SecretText::new("correct horse 1".into()),
            SecretText::new("another horse".into()),
        );
        t.house.perform(li, right.of(&acme.id)).await.unwrap();
        assert!(t.house.session(token.expose(), origin()).await.unwrap().is_none());
        t.house.sign_in(who("another horse"), origin()).await.unwrap();
        let delete = DeleteLoginProfile { user: user("li") };
        t.house.perform(acme.root.clone(), delete.of(&acme.id)).await.unwrap();
        assert!(matches!(t.house.sign_in(who("another horse"), origin()).await, Err(Failure::SignIn(_))));
    });
}

#[test]
fn who_must_bind_a_second_factor_does_nothing_before() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        t.house.perform(acme.root.clone(), CreateUser::named(user("li")).of(&acme.id)).await.unwrap();
        attach(&t, &acme, Entity::User(user("li")), PolicyType::System, "AdministratorAccess").await;
        let profile = CreateLoginProfile::new(user("li"), SecretText::new("correct horse 1".into()))
            .demanding(true, true);
        t.house.perform(acme.root.clone(), profile.of(&acme.id)).await.unwrap();
        let who = SignIn::Tenant {
            tenant: "acme".into(),
            user: "li".into(),
            password: SecretText::new("correct horse 1".into()),
        };
        let token = t.house.sign_in(who, origin()).await.unwrap();
        let session = t.house.session(token.expose(), origin()).await.unwrap().unwrap();
        assert_eq!(session.stage(), Stage::Enrol);
        let get = GetUser { name: user("li") };
        assert_eq!(
            refusal(t.house.perform(session.caller, get.of(&acme.id)).await),
            RefusalKind::SignInUnfinished
        );
    });
}

#[test]
fn no_two_accounts_are_known_by_one_name_and_duties_are_separate() {
    on_each_engine(async |t| {
        let (acme, _globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let alias = |a: &str| SetAccountAlias { alias: a.into() }.of(&acme.id);
        assert!(matches!(
            t.house.perform(acme.root.clone(), alias("globex")).await,
            Err(Failure::Exists { .. })
        ));
        assert!(matches!(
            t.house.perform(acme.root.clone(), alias("1234567890123456")).await,
            Err(Failure::Invalid { .. })
        ));
        t.house.perform(acme.root.clone(), alias("acme-works")).await.unwrap();
        assert_eq!(t.house.find_tenant("acme-works").await.unwrap().id, acme.id);
        for (roles, ok) in [
            (&["support", "approver"][..], false),
            (&["auditor-liaison", "compliance"], false),
            (&["emperor"], false),
            (&[], false),
            (&["support", "stability"], true),
        ] {
            let create = CreateOperator {
                id: OperatorId::parse("op-zhao").unwrap(),
                roles: roles.iter().map(|r| (*r).to_owned()).collect(),
                place: "CN".into(),
            };
            let made = t.house.perform(t.house.system_caller("test"), create).await;
            assert_eq!(made.is_ok(), ok, "{roles:?}");
        }
    });
}

#[test]
fn who_can_names_the_operator_only_while_his_grant_lives() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-invoices").await;
        acme.put(&t, "acme-invoices", "1.pdf", "one").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let grant = acme.ask(&t, &lin, &ticket, ("acme-invoices", "1.pdf"), (30, 3)).await.unwrap();
        let operators = async || {
            let ask = WhoCan {
                tenant: acme.id.clone(),
                action: "oss:GetObject".into(),
                resource: Arn::object(
                    &acme.id,
                    &bailee_testkit::bucket("acme-invoices"),
                    &bailee_testkit::key("1.pdf"),
                ),
            };
            let can = t.house.perform(acme.root.clone(), ask).await.unwrap();
            can.into_iter().filter(|c| c.principal.starts_with("operator ")).collect::<Vec<_>>()
        };
        assert_eq!(operators().await, []);
        acme.decide(&t, &grant, Decision::Approve { minutes: 10, uses_max: 1 }).await.unwrap();
        let found = operators().await;
        let [can] = found.as_slice() else { panic!("{found:?}") };
        let pseudonym = t.house.pseudonym(&acme.id, &OperatorId::parse("op-lin").unwrap());
        assert_eq!(can.principal, format!("operator {pseudonym}"));
        assert_eq!(can.path, [format!("grant {grant}")]);
        t.clock.advance_ms(10 * 60_000);
        assert_eq!(operators().await, []);
    });
}

#[test]
fn a_session_ends_when_idle_and_at_its_age() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        t.house.perform(acme.root.clone(), CreateUser::named(user("li")).of(&acme.id)).await.unwrap();
        let profile = CreateLoginProfile::new(user("li"), SecretText::new("correct horse 1".into()));
        t.house.perform(acme.root.clone(), profile.of(&acme.id)).await.unwrap();
        let prefer = SetSecurityPreference { session_hours: Some(1), ..Default::default() };
        t.house.perform(acme.root.clone(), prefer.of(&acme.id)).await.unwrap();
        let sign_in = async || {
            let who = SignIn::Tenant {
                tenant: "acme".into(),
                user: "li".into(),
                password: SecretText::new("correct horse 1".into()),
            };
            t.house.sign_in(who, origin()).await.unwrap()
        };
        let lives = async |token: &str| t.house.session(token, origin()).await.unwrap().is_some();
        let token = sign_in().await;
        t.clock.advance_ms(29 * 60_000);
        assert!(lives(token.expose()).await);
        t.clock.advance_ms(29 * 60_000);
        assert!(lives(token.expose()).await, "it was used meanwhile");
        t.clock.advance_ms(2 * 60_000);
        assert!(!lives(token.expose()).await, "an hour is an hour");
        let token = sign_in().await;
        t.clock.advance_ms(30 * 60_000);
        assert!(!lives(token.expose()).await, "idle");
    });
}

/// Small worlds, asked both ways: everybody one by one, and who-can.
#[test]
fn who_can_is_what_asking_everybody_gives() {
    on_each_engine(async |t| {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move |n: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % n
        };
        for world in 0..6 {
            let acme = t.tenant(&format!("world-{world}")).await;
            let actions = ["ram:GetUser", "ram:ListUsers", "ram:*", "ram:Get*"];
            let resources = ["*", "acs:ram:*:*:user/u0", "acs:ram:*:*:user/*", "acs:ram:*:*:group/*"];
            for p in 0..4 {
                let mut statements = Vec::new();
                for _ in 0..=next(2) {
                    let effect = if next(4) == 0 { "Deny" } else { "Allow" };
                    let (a, r) = (actions[next(4) as usize], resources[next(4) as usize]);
                    statements.push(format!(r#"{{"Effect":"{effect}","Action":"{a}","Resource":"{r}"}}"#));
                }
                let document = format!(r#"{{"Version":"1","Statement":[{}]}}"#, statements.join(","));
                custom(&t, &acme, &format!("p{p}"), &document).await;
            }
            for g in 0..2 {
                let name = GroupName::parse(&format!("g{g}")).unwrap();
                let group =
                    CreateGroup { name: name.clone(), display_name: String::new(), comments: String::new() };
                t.house.perform(acme.root.clone(), group.of(&acme.id)).await.unwrap();
                attach(&t, &acme, Entity::Group(name), PolicyType::Custom, &format!("p{}", next(4))).await;
            }
            let mut keys = Vec::new();
            for u in 0..5 {
                let name = format!("u{u}");
                keys.push(make_user(&t, &acme, &name, &[]).await);
                if next(2) == 0 {
                    attach(
                        &t,
                        &acme,
                        Entity::User(user(&name)),
                        PolicyType::Custom,
                        &format!("p{}", next(4)),
                    )
                    .await;
                }
                if next(2) == 0 {
                    let group = GroupName::parse(&format!("g{}", next(2))).unwrap();
                    let add = AddUserToGroup { user: user(&name), group };
                    t.house.perform(acme.root.clone(), add.of(&acme.id)).await.unwrap();
                }
            }
            let resource = Arn::user(&acme.id, &user("u0"));
            let ask = WhoCan { tenant: acme.id.clone(), action: "ram:GetUser".into(), resource };
            let can: Vec<Can> = t.house.perform(acme.root.clone(), ask).await.unwrap();
            for (u, key) in keys.iter().enumerate() {
                let caller = as_user(&t, key).await;
                let get = GetUser { name: user("u0") };
                let may = t.house.perform(caller, get.of(&acme.id)).await.is_ok();
                let listed = can.iter().any(|c| c.principal == format!("user/u{u}"));
                assert_eq!(may, listed, "world {world}, user {u}: {can:#?}");
            }
            assert!(can.iter().any(|c| c.principal == "root"));
        }
    });
}

#[test]
fn a_key_is_refused_from_elsewhere_and_its_own_networks_stand_in_place_of_the_accounts() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = make_user(&t, &acme, "li", &["AdministratorAccess"]).await;
        let get = || GetUser { name: user("li") }.of(&acme.id);
        let networks = |text: &str| KeyNetworks::of_networks(text).unwrap();
        let account = async |text: &str| {
            let set = SetAccountKeyNetworks { to: networks(text) };
            t.house.perform(acme.root.clone(), set.of(&acme.id)).await.unwrap();
        };
        let own = async |text: &str| {
            let set =
                SetKeyNetworks { owner: Owner::User(user("li")), id: key.id.clone(), to: networks(text) };
            t.house.perform(acme.root.clone(), set.of(&acme.id)).await.unwrap();
        };
        let works = async || t.house.perform(as_user(&t, &key).await, get()).await;

        // The caller of these tests is at 192.0.2.1.
        account("10.0.0.0/8").await;
        assert_eq!(refusal(works().await), RefusalKind::KeyNetwork);
        own("192.0.2.0/24").await;
        works().await.unwrap();
        own("198.51.100.0/24").await;
        account("192.0.2.1").await;
        assert_eq!(refusal(works().await), RefusalKind::KeyNetwork, "the key's own is what counts");
        own("").await;
        works().await.unwrap();
        account("").await;
        works().await.unwrap();

        // A wrong signature is not told that the network is wrong, and another tenant's key cannot be bound.
        account("10.0.0.0/8").await;
        let guess = SecretText::new("guess".into());
        assert!(matches!(by_key(&t, key.id.as_str(), &guess, None).await, Err(AuthError::Signature(()))));
        let other = t.tenant("globex").await;
        let set =
            SetKeyNetworks { owner: Owner::User(user("li")), id: key.id.clone(), to: networks("10.0.0.1") };
        let foreign = t.house.perform(other.root.clone(), set.of(&other.id)).await;
        assert!(matches!(foreign, Err(Failure::NotFound { .. })));
    });
}

/// Taking a role on, asked three ways: the STS, `why` and `who-can`. Policies alone do not do: the role must trust him.
#[test]
fn why_and_who_can_know_whom_a_role_trusts() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let mut keys = Vec::new();
        for name in ["trusted", "allowed", "both", "neither"] {
            let policies: &[&str] =
                if matches!(name, "allowed" | "both") { &["AliyunSTSAssumeRoleAccess"] } else { &[] };
            keys.push((name, make_user(&t, &acme, name, policies).await));
        }
        let trust = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"RAM":["acs:ram::{0}:user/trusted","acs:ram::{0}:user/both"]}}}}]}}"#,
            acme.id
        );
        role(&t, &acme, "reader", &trust, &[]).await;
        let arn = Arn::ram(&acme.id, "role/reader");
        let who = WhoCan { tenant: acme.id.clone(), action: "sts:AssumeRole".into(), resource: arn.clone() };
        let can: Vec<Can> = t.house.perform(acme.root.clone(), who).await.unwrap();
        let why = |whom: Whom| Why {
            tenant: acme.id.clone(),
            whom,
            action: "sts:AssumeRole".into(),
            resource: arn.clone(),
            source_ip: None,
            mfa: false,
            conditions: Vec::new(),
        };
        for (name, key) in &keys {
            let may = assume(&t, &as_user(&t, key).await, wish(&acme.id, "reader")).await.is_ok();
            assert_eq!(may, *name == "both", "{name}");
            let listed = can.iter().any(|c| c.principal == format!("user/{name}"));
            let said = t.house.perform(acme.root.clone(), why(Whom::User(user(name)))).await.unwrap();
            assert_eq!((listed, said.verdict == "allow"), (may, may), "{name}: {can:#?} {said:#?}");
        }
        // An account's root takes no role on, and nobody says that it can.
        assert!(!can.iter().any(|c| c.principal == "root"));
        let root = t.house.perform(acme.root.clone(), why(Whom::Root)).await.unwrap();
        assert_eq!(root.verdict, "implicitDeny");
    });
}

/// What users may do to themselves, asked three ways: the gate, `why` and `who-can`.
#[test]
fn why_and_who_can_know_what_users_may_do_to_themselves() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let (li, wu) = (make_user(&t, &acme, "li", &[]).await, make_user(&t, &acme, "wu", &[]).await);
        let deny =
            r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"ram:*AccessKey*","Resource":"*"}]}"#;
        custom(&t, &acme, "no-keys", deny).await;
        attach(&t, &acme, Entity::User(user("wu")), PolicyType::Custom, "no-keys").await;
        for preferred in [false, true] {
            let prefer = SetSecurityPreference { manage_access_keys: Some(preferred), ..Default::default() };
            t.house.perform(acme.root.clone(), prefer.of(&acme.id)).await.unwrap();
            for owner in ["li", "wu"] {
                let resource = Arn::user(&acme.id, &user(owner));
                let ask = WhoCan {
                    tenant: acme.id.clone(),
                    action: "ram:ListAccessKeys".into(),
                    resource: resource.clone(),
                };
                let can: Vec<Can> = t.house.perform(acme.root.clone(), ask).await.unwrap();
                for (name, key) in [("root", None), ("li", Some(&li)), ("wu", Some(&wu))] {
                    let caller = match key {
                        None => acme.root.clone(),
                        Some(key) => as_user(&t, key).await,
                    };
                    let list = ListAccessKeys { owner: Owner::User(user(owner)) };
                    let may = t.house.perform(caller, list.of(&acme.id)).await.is_ok();
                    let (whom, principal) = match key {
                        None => (Whom::Root, "root".to_owned()),
                        Some(_) => (Whom::User(user(name)), format!("user/{name}")),
                    };
                    let why = Why {
                        tenant: acme.id.clone(),
                        whom,
                        action: "ram:ListAccessKeys".into(),
                        resource: resource.clone(),
                        source_ip: None,
                        mfa: false,
                        conditions: Vec::new(),
                    };
                    let why = t.house.perform(acme.root.clone(), why).await.unwrap();
                    let listed = can.iter().any(|c| c.principal == principal);
                    assert_eq!(may, why.verdict == "allow", "{name} on {owner}, {preferred}");
                    assert_eq!(may, listed, "{name} on {owner}, {preferred}: {can:#?}");
                    assert_eq!(why.leave.is_some(), preferred && name == "li" && owner == "li");
                }
            }
        }
        // Another account's things are nobody's here, not even root's.
        let other = Arn::parse("acs:ram::1000000000000099:user/li").unwrap();
        let ask = WhoCan { tenant: acme.id.clone(), action: "ram:GetUser".into(), resource: other };
        assert_eq!(t.house.perform(acme.root.clone(), ask).await.unwrap(), []);
        // Everybody may ask who he is.
        let me = Arn::parse(&format!("acs:ram::{}:*", acme.id)).unwrap();
        let ask = WhoCan { tenant: acme.id.clone(), action: "sts:GetCallerIdentity".into(), resource: me };
        let can = t.house.perform(acme.root.clone(), ask).await.unwrap();
        assert!(["user/li", "user/wu"].iter().all(|n| can.iter().any(|c| c.principal == *n)), "{can:#?}");
    });
}

/// A refusal by a trust policy says why to the role's own account, and nothing to another.
#[test]
fn a_trust_refusal_carries_its_reasons_at_home_only() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let li = make_user(&t, &acme, "li", &["AliyunSTSAssumeRoleAccess"]).await;
        let li = as_user(&t, &li).await;
        role(&t, &acme, "home", &trust(&format!("acs:ram::{}:user/wu", acme.id)), &[]).await;
        role(&t, &globex, "away", &trust(&format!("acs:ram::{}:user/wu", globex.id)), &[]).await;
        let reasons = async |account: &TenantId, name: &str| {
            let Err(Failure::Refused(no)) = assume(&t, &li, wish(account, name)).await else {
                panic!("{name}")
            };
            let sealed = t.house.sealed_diagnostic(&li, &no).unwrap();
            let open = DecodeDiagnostic { tenant: acme.id.clone(), message: sealed };
            t.house.perform(acme.root.clone(), open).await.unwrap()
        };
        let home = reasons(&acme.id, "home").await;
        assert_eq!((home.phase.as_str(), home.explicit), ("trust", false));
        assert!(home.explanation["nearest"].to_string().contains("trust policy of home"), "{home:?}");
        let (away, nothing) = (reasons(&globex.id, "away").await, reasons(&globex.id, "none").await);
        assert_eq!(away.explanation, nothing.explanation);
        assert!(!away.explanation.to_string().contains("user/wu"), "{away:?}");
    });
}
