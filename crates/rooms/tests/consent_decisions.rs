//! How consent is decided, on both engines: what the tenant's policy demands, the provider's second pair of eyes, approvals
//! that are narrower, races, and long walks of everything against a telling of what may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bailee_rooms::Failure;
use bailee_rooms::consent::{
    Because, Code, CommentRequest, ConfirmRequest, ConsentPolicy, Decide, Decided, Decision, GetConsent,
    Hours, ListConsents, NoCoverage, RequestConsent, Scope, SetConsentPolicy, State, WithdrawRequest,
};
use bailee_rooms::gate::{Caller, Operation, RefusalKind};
use bailee_rooms::identity::{
    Act, AddUserToGroup, AttachPolicy, CreateAccessKey, CreateGroup, CreateOperator, CreateUser,
    DeleteAccessKey, DeleteUser, DetachPolicy, Entity, Owner, PolicyType, Presented, RemoveUserFromGroup,
    SetOperatorRoles, SetOperatorState, SignIn,
};
use bailee_rooms::tickets::{CloseTicket, ReopenTicket, SolveTicket};
use bailee_testkit::{START, TestHouse, TestTenant, bucket, key, on_each_engine, origin};
use bailee_types::{AccessKeyId, GrantId, GroupName, OperatorId, PolicyName, SecretText, TicketId, UserName};

const OBJECT: (&str, &str) = ("acme-invoices", "2026/1.pdf");
const YES: Decision = Decision::Approve { minutes: 30, uses_max: 3 };
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

fn refusal<T>(result: Result<T, Failure>) -> RefusalKind {
    match result {
        Err(Failure::Refused(refusal)) => refusal.kind().clone(),
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

fn conflict<T>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Conflict(text)) => text,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

fn invalid<T>(result: Result<T, Failure>) -> &'static str {
    match result {
        Err(Failure::Invalid { field, .. }) => field,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// A tenant with an object and an open ticket, and an operator.
async fn acme(t: &TestHouse) -> (TestTenant, Caller, TicketId) {
    let acme = t.tenant("acme").await;
    acme.make_bucket(t, OBJECT.0).await;
    for key in [OBJECT.1, "2026/2.pdf", "2025/1.pdf"] {
        acme.put(t, OBJECT.0, key, "pumps").await;
    }
    let ticket = acme.ticket(t).await;
    (acme, t.operator("op-lin", "support", "CN").await, ticket)
}

fn user_name(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn administrator(name: &str) -> (Entity, PolicyType, PolicyName) {
    let policy = PolicyName::parse("AdministratorAccess").unwrap();
    (Entity::User(user_name(name)), PolicyType::System, policy)
}

/// A user who may do anything, and the id of his AccessKey.
async fn user(t: &TestHouse, acme: &TestTenant, name: &str) -> (Caller, AccessKeyId) {
    t.house.perform(acme.root.clone(), CreateUser::named(user_name(name)).of(&acme.id)).await.unwrap();
    allow(t, acme, name).await;
    let make = CreateAccessKey { owner: Owner::User(user_name(name)) };
    let made = t.house.perform(acme.root.clone(), make.of(&acme.id)).await.unwrap();
    let id = made.id.as_str();
    let presented = Presented { access_key_id: id, token: None, nonce: None, service: "Kms", scheme: "test" };
    let same = |kept: &SecretText| if kept.expose() == made.secret.expose() { Ok(()) } else { Err(()) };
    let (caller, ()) = t.house.authenticate(presented, origin(), same).await.unwrap();
    (caller, made.id)
}

async fn allow(t: &TestHouse, acme: &TestTenant, name: &str) {
    let (to, kind, policy) = administrator(name);
    let attach = AttachPolicy { to, kind, policy };
    t.house.perform(acme.root.clone(), attach.of(&acme.id)).await.unwrap();
}

async fn forbid(t: &TestHouse, acme: &TestTenant, name: &str) {
    let (from, kind, policy) = administrator(name);
    let detach = DetachPolicy { from, kind, policy };
    t.house.perform(acme.root.clone(), detach.of(&acme.id)).await.unwrap();
}

async fn demand(
    t: &TestHouse,
    acme: &TestTenant,
    policy: ConsentPolicy,
    approvers: &[&str],
) -> Result<(), Failure> {
    let approvers = approvers.iter().map(|a| (*a).to_owned()).collect();
    let set = SetConsentPolicy { tenant: acme.id.clone(), policy, approvers };
    t.house.perform(acme.root.clone(), set).await
}

fn persons(approvals: u32) -> ConsentPolicy {
    ConsentPolicy { approvals, ..ConsentPolicy::default() }
}

async fn decide(
    t: &TestHouse,
    acme: &TestTenant,
    who: &Caller,
    grant: &GrantId,
    decision: Decision,
) -> Result<Decided, Failure> {
    t.house.perform(who.clone(), Decide::new(acme.id.clone(), grant.clone(), decision)).await
}

async fn state(t: &TestHouse, acme: &TestTenant, grant: &GrantId) -> State {
    t.house.consent_request(&acme.id, grant).await.unwrap().state(t.house.now())
}

#[test]
fn so_many_different_persons_must_approve_and_the_strictest_counts() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let ((li, _), (wang, wangs_key)) = (user(&t, &acme, "li").await, user(&t, &acme, "wang").await);
        demand(&t, &acme, persons(2), &[]).await.unwrap();
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        let read = async || acme.read(&t, &lin, &ticket, OBJECT).await;

        let first = decide(&t, &acme, &wang, &grant, YES).await.unwrap();
        assert!(first.waits() && first.approved_by == ["wang"] && first.needed == 2);
        assert_eq!(refusal(read().await), RefusalKind::NoConsent(NoCoverage::Waiting));
        let again = conflict(decide(&t, &acme, &wang, &grant, YES).await);
        assert!(again.contains("has your approval already"), "{again}");

        // Who may no longer approve, or is gone, does not count any more.
        forbid(&t, &acme, "wang").await;
        let get = GetConsent { tenant: acme.id.clone(), id: grant.clone() };
        let seen = t.house.perform(acme.root.clone(), get).await.unwrap();
        assert_eq!((seen.approvals.len(), seen.approvals_needed), (0, 2));
        let delete = DeleteAccessKey { owner: Owner::User(user_name("wang")), id: wangs_key };
        t.house.perform(acme.root.clone(), delete.of(&acme.id)).await.unwrap();
        let delete = DeleteUser { name: user_name("wang") };
        t.house.perform(acme.root.clone(), delete.of(&acme.id)).await.unwrap();
        let less = Decision::Approve { minutes: 10, uses_max: 3 };
        let second = decide(&t, &acme, &acme.root, &grant, less).await.unwrap();
        assert!(second.waits() && second.approved_by == ["root"], "{second:?}");
        // A new user of the old name inherits nothing.
        let (_wang, _) = user(&t, &acme, "wang").await;
        assert_eq!(state(&t, &acme, &grant).await, State::Pending);
        assert_eq!(refusal(read().await), RefusalKind::NoConsent(NoCoverage::Waiting));

        let fewer = Decision::Approve { minutes: 30, uses_max: 1 };
        let third = decide(&t, &acme, &li, &grant, fewer).await.unwrap();
        assert_eq!(third.approved_by, ["root", "li"]);
        assert_eq!(third.until, Some(t.house.now().plus_ms(10 * MINUTE_MS)), "the shortest");
        read().await.unwrap();
        assert_eq!(refusal(read().await), RefusalKind::NoConsent(NoCoverage::Exhausted), "and the fewest");

        // The log tells the parts apart: who replays it takes `approve` alone for a grant.
        let told = [&first, &second, &third].map(|d| Decide::outcome_detail(d)["consent"]["act"].clone());
        assert_eq!(told, ["approve-part", "approve-part", "approve"]);
    });
}

#[test]
fn the_policy_names_who_approves_and_a_no_is_anybodys() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let ((li, _), (wang, _)) = (user(&t, &acme, "li").await, user(&t, &acme, "wang").await);
        let group = GroupName::parse("approvers").unwrap();
        let create =
            CreateGroup { name: group.clone(), display_name: String::new(), comments: String::new() };
        t.house.perform(acme.root.clone(), create.of(&acme.id)).await.unwrap();
        let join = AddUserToGroup { user: user_name("li"), group: group.clone() };
        t.house.perform(acme.root.clone(), join.clone().of(&acme.id)).await.unwrap();
        let leave = RemoveUserFromGroup { user: user_name("li"), group };

        for (approvals, who) in [(2, &["group/approvers"][..]), (3, &["user/li", "root", "group/approvers"])]
        {
            let too_few = demand(&t, &acme, persons(approvals), who).await;
            assert_eq!(invalid(too_few), "approvers", "{who:?}: one person in two ways is one");
        }
        for who in ["user/nobody", "group/nobody", "role/li", "li", ""] {
            assert!(demand(&t, &acme, persons(1), &[who]).await.is_err(), "{who:?}");
        }
        demand(&t, &acme, persons(1), &["group/approvers"]).await.unwrap();
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        for who in [&wang, &acme.root] {
            assert!(conflict(decide(&t, &acme, who, &grant, YES).await).contains("names to approve"));
        }
        t.house.perform(acme.root.clone(), leave.of(&acme.id)).await.unwrap();
        assert!(conflict(decide(&t, &acme, &li, &grant, YES).await).contains("names to approve"));
        t.house.perform(acme.root.clone(), join.of(&acme.id)).await.unwrap();
        decide(&t, &acme, &li, &grant, YES).await.unwrap();
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        decide(&t, &acme, &wang, &grant, Decision::Deny).await.unwrap();
        assert_eq!(state(&t, &acme, &grant).await, State::Denied);
    });
}

#[test]
fn a_policy_is_the_tenants_alone_and_within_its_bounds() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let globex = t.tenant("globex").await;
        let set = SetConsentPolicy { tenant: acme.id.clone(), policy: persons(1), approvers: Vec::new() };
        assert!(t.house.perform(globex.root.clone(), set.clone()).await.is_err());
        refusal(t.house.perform(lin.clone(), set.clone()).await);
        conflict(t.house.perform(t.house.system_caller("test"), set).await);
        let hours =
            |days: &[u32], from, to, offset| Hours { days: days.into(), from, to, offset, uses: false };
        let base = ConsentPolicy::default;
        for (bad, field) in [
            (persons(0), "approvals"),
            (persons(6), "approvals"),
            (ConsentPolicy { lapse_hours: 0, ..base() }, "lapse_hours"),
            (ConsentPolicy { lapse_hours: 337, ..base() }, "lapse_hours"),
            (ConsentPolicy { minutes_max: 0, ..base() }, "minutes_max"),
            (ConsentPolicy { minutes_max: 1_441, ..base() }, "minutes_max"),
            (ConsentPolicy { hours: Some(hours(&[], 0, 60, 0)), ..base() }, "days"),
            (ConsentPolicy { hours: Some(hours(&[0], 0, 60, 0)), ..base() }, "days"),
            (ConsentPolicy { hours: Some(hours(&[8], 0, 60, 0)), ..base() }, "days"),
            (ConsentPolicy { hours: Some(hours(&[2, 1], 0, 60, 0)), ..base() }, "days"),
            (ConsentPolicy { hours: Some(hours(&[1, 1], 0, 60, 0)), ..base() }, "days"),
            (ConsentPolicy { hours: Some(hours(&[1], 60, 60, 0)), ..base() }, "hours"),
            (ConsentPolicy { hours: Some(hours(&[1], 60, 1_441, 0)), ..base() }, "hours"),
            (ConsentPolicy { hours: Some(hours(&[1], 0, 60, 841)), ..base() }, "offset"),
        ] {
            assert_eq!(invalid(demand(&t, &acme, bad.clone(), &[]).await), field, "{bad:?}");
        }
        // What it says of time holds for what is asked and what is approved after.
        let old = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        let strict = ConsentPolicy { lapse_hours: 1, minutes_max: 10, mfa: true, ..base() };
        demand(&t, &acme, strict.clone(), &[]).await.unwrap();
        assert_eq!(invalid(acme.ask(&t, &lin, &ticket, OBJECT, (11, 3)).await), "minutes");
        let short = Decision::Approve { minutes: 10, uses_max: 3 };
        let no_factor = decide(&t, &acme, &acme.root, &old, short).await;
        assert!(matches!(no_factor, Err(Failure::FreshMfa)), "{no_factor:?}");
        demand(&t, &acme, ConsentPolicy { mfa: false, ..strict }, &[]).await.unwrap();
        assert_eq!(invalid(decide(&t, &acme, &acme.root, &old, YES).await), "minutes");
        decide(&t, &acme, &acme.root, &old, short).await.unwrap();
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (10, 3)).await.unwrap();
        t.clock.advance_ms(HOUR_MS - 1);
        assert_eq!(state(&t, &acme, &grant).await, State::Pending);
        t.clock.advance_ms(1);
        assert!(conflict(decide(&t, &acme, &acme.root, &grant, short).await).contains("Lapsed"));
    });
}

#[test]
fn outside_the_tenants_hours_nothing_is_approved_and_if_it_says_so_nothing_used() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        // The clock stands at noon UTC on a Wednesday.
        let hours = |from, to, uses| Hours { days: vec![3], from, to, offset: 0, uses };
        let within = |hours| ConsentPolicy { hours: Some(hours), ..ConsentPolicy::default() };
        demand(&t, &acme, within(hours(13 * 60, 14 * 60, true)), &[]).await.unwrap();
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (120, 9)).await.unwrap();
        let yes = Decision::Approve { minutes: 120, uses_max: 9 };
        assert!(conflict(decide(&t, &acme, &acme.root, &grant, yes).await).contains("outside its hours"));
        t.clock.advance_ms(HOUR_MS);
        decide(&t, &acme, &acme.root, &grant, yes).await.unwrap();
        let read = async || acme.read(&t, &lin, &ticket, OBJECT).await;
        t.clock.advance_ms(HOUR_MS - 1);
        read().await.unwrap();
        t.clock.advance_ms(1);
        assert_eq!(refusal(read().await), RefusalKind::NoConsent(NoCoverage::OutsideHours));
        demand(&t, &acme, within(hours(13 * 60, 14 * 60, false)), &[]).await.unwrap();
        read().await.unwrap();
    });
}

#[test]
fn an_approval_covers_less_if_the_tenant_says_so_and_never_more() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let (li, _) = user(&t, &acme, "li").await;
        let prefix = |p: &str| Scope::Prefix { bucket: bucket(OBJECT.0), prefix: p.into() };
        let object = |k: &str| Scope::object(bucket(OBJECT.0), key(k));
        let ask = async |scope| {
            let ask = RequestConsent {
                tenant: acme.id.clone(),
                ticket: ticket.clone(),
                scope,
                minutes: 30,
                uses_max: 5,
                reason: "they open blank".into(),
                because: Because::default(),
            };
            t.house.perform(lin.clone(), ask).await.unwrap().id
        };
        let approve = async |who: &Caller, grant: &GrantId, scope| {
            let op = Decide { scope: Some(scope), ..Decide::new(acme.id.clone(), grant.clone(), YES) };
            t.house.perform(who.clone(), op).await
        };
        let grant = ask(prefix("2026/")).await;
        let elsewhere = Scope::object(bucket("acme-other"), key(OBJECT.1));
        for wider in [prefix(""), prefix("202"), prefix("2025/"), object("2025/1.pdf"), elsewhere] {
            assert!(conflict(approve(&acme.root, &grant, wider).await).contains("asks for less"));
        }
        let done = approve(&acme.root, &grant, object(OBJECT.1)).await.unwrap();
        assert_eq!(done.scope, object(OBJECT.1));
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        let other = acme.read(&t, &lin, &ticket, (OBJECT.0, "2026/2.pdf")).await;
        assert_eq!(refusal(other), RefusalKind::NoConsent(NoCoverage::NotAsked));
        let kept = t.house.consent_request(&acme.id, &grant).await.unwrap();
        assert_eq!((kept.scope, kept.scope_asked), (object(OBJECT.1), prefix("2026/")));

        // Of two approvals the narrower counts; two that have nothing in common open nothing.
        demand(&t, &acme, persons(2), &[]).await.unwrap();
        let grant = ask(prefix("")).await;
        approve(&acme.root, &grant, prefix("2026/")).await.unwrap();
        assert!(conflict(approve(&li, &grant, prefix("2025/")).await).contains("nothing would be left"));
        let done = approve(&li, &grant, prefix("20")).await.unwrap();
        assert_eq!(done.scope, prefix("2026/"));
        acme.read(&t, &lin, &ticket, (OBJECT.0, "2026/2.pdf")).await.unwrap();
        let other = acme.read(&t, &lin, &ticket, (OBJECT.0, "2025/1.pdf")).await;
        assert_eq!(refusal(other), RefusalKind::NoConsent(NoCoverage::NotAsked));
    });
}

#[test]
fn another_of_the_providers_people_confirms_before_the_tenant_is_asked() {
    on_each_engine(async |first| {
        let t = first.second_with_second_eye();
        let (acme, lin, ticket) = acme(&t).await;
        let wu = t.operator("op-wu", "approver", "CN").await;
        let confirm = async |who: &Caller, grant: &GrantId, yes, comment: &str| {
            let (tenant, id) = (acme.id.clone(), grant.clone());
            let op = ConfirmRequest { tenant, id, yes, comment: comment.into() };
            t.house.perform(who.clone(), op).await
        };
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        assert_eq!(state(&t, &acme, &grant).await, State::Confirming);
        assert!(conflict(acme.decide(&t, &grant, YES).await).contains("Confirming"));
        refusal(confirm(&lin, &grant, true, "").await);
        conflict(confirm(&acme.root, &grant, true, "").await);
        let mine = t.house.requests_to_confirm(&OperatorId::parse("op-lin").unwrap(), 10).await.unwrap();
        assert!(mine.is_empty(), "nobody is shown his own");
        let theirs = t.house.requests_to_confirm(&OperatorId::parse("op-wu").unwrap(), 10).await.unwrap();
        assert_eq!(theirs.iter().map(|r| &r.id).collect::<Vec<_>>(), [&grant]);
        confirm(&wu, &grant, true, "needed for T-1").await.unwrap();
        assert!(conflict(confirm(&wu, &grant, false, "no").await).contains("Pending"));
        let seen = t.house.consent_request(&acme.id, &grant).await.unwrap();
        let by = seen.confirmed.unwrap();
        assert!(by.yes && by.pseudonym != seen.pseudonym && by.pseudonym.as_str() != "op-wu");
        assert_eq!(
            (seen.comments[0].writer.as_str(), seen.comments[0].by_provider),
            (by.pseudonym.as_str(), true)
        );
        acme.decide(&t, &grant, YES).await.unwrap();
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();

        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        assert_eq!(invalid(confirm(&wu, &grant, false, " ").await), "comment");
        confirm(&wu, &grant, false, "ask for less").await.unwrap();
        assert_eq!(state(&t, &acme, &grant).await, State::Declined);
        assert!(acme.decide(&t, &grant, YES).await.is_err());
        // Roles can change: who asked does not confirm, whatever he is now.
        let id = OperatorId::parse("op-mei").unwrap();
        let new = CreateOperator { id: id.clone(), roles: vec!["support".into()], place: "CN".into() };
        let password = t.house.perform(t.house.system_caller("test"), new).await.unwrap();
        let token =
            t.house.sign_in(SignIn::Operator { id: "op-mei".into(), password }, origin()).await.unwrap();
        let mei = async || t.house.session(token.expose(), origin()).await.unwrap().unwrap().caller;
        let grant = acme.ask(&t, &mei().await, &ticket, OBJECT, (30, 3)).await.unwrap();
        let roles = SetOperatorRoles { id, roles: vec!["approver".into()] };
        t.house.perform(t.house.system_caller("test"), roles).await.unwrap();
        assert!(conflict(confirm(&mei().await, &grant, true, "").await).contains("another person must"));
    });
}

#[test]
fn what_ended_does_not_come_back_with_the_operator_the_ticket_or_the_clock() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let read = async |ticket: &TicketId| acme.read(&t, &lin, ticket, OBJECT).await;
        let live = async |ticket: &TicketId| {
            let grant = acme.ask(&t, &lin, ticket, OBJECT, (30, 9)).await.unwrap();
            acme.decide(&t, &grant, Decision::Approve { minutes: 30, uses_max: 9 }).await.unwrap();
            read(ticket).await.unwrap();
            grant
        };
        live(&ticket).await;
        t.clock.advance_ms(31 * MINUTE_MS);
        assert_eq!(refusal(read(&ticket).await), RefusalKind::NoConsent(NoCoverage::Expired));
        t.clock.advance_ms(-30 * MINUTE_MS);
        assert_eq!(
            refusal(read(&ticket).await),
            RefusalKind::NoConsent(NoCoverage::Expired),
            "the log is later"
        );
        // What is given while the clock is behind lives by that clock, and ends.
        live(&ticket).await;
        t.clock.advance_ms(30 * MINUTE_MS);
        assert_eq!(refusal(read(&ticket).await), RefusalKind::NoConsent(NoCoverage::Expired));
        t.clock.advance_ms(10 * MINUTE_MS);

        let grant = live(&ticket).await;
        for active in [false, true] {
            let set = SetOperatorState { id: OperatorId::parse("op-lin").unwrap(), active };
            t.house.perform(t.house.system_caller("test"), set).await.unwrap();
        }
        assert_eq!(state(&t, &acme, &grant).await, State::OperatorDisabled);

        let ticket = acme.ticket(&t).await;
        let mei = t.operator("op-mei", "support", "CN").await;
        let grant = acme.ask(&t, &mei, &ticket, OBJECT, (30, 9)).await.unwrap();
        acme.decide(&t, &grant, YES).await.unwrap();
        acme.read(&t, &mei, &ticket, OBJECT).await.unwrap();
        // Given back: one act, and the operator's own.
        let back = WithdrawRequest { tenant: acme.id.clone(), id: grant.clone() };
        assert!(t.house.perform(lin.clone(), back.clone()).await.is_err(), "not his");
        assert_eq!(t.house.perform(mei.clone(), back.clone()).await.unwrap(), (grant.clone(), true));
        let after = acme.read(&t, &mei, &ticket, OBJECT).await;
        assert_eq!(refusal(after), RefusalKind::NoConsent(NoCoverage::Returned));
        assert!(conflict(t.house.perform(mei, back).await).contains("Returned"));
        assert_eq!(state(&t, &acme, &grant).await, State::Returned);
    });
}

#[test]
fn a_request_says_why_and_both_sides_write_on_it() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let mei = t.operator("op-mei", "support", "CN").await;
        let ask = async |who: &Caller, because| {
            let ask = RequestConsent {
                tenant: acme.id.clone(),
                ticket: ticket.clone(),
                scope: Scope::object(bucket(OBJECT.0), key(OBJECT.1)),
                minutes: 30,
                uses_max: 3,
                reason: "they open blank".into(),
                because,
            };
            t.house.perform(who.clone(), ask).await.map(|asked| asked.id)
        };
        let legal = |reference: &str| Because {
            code: Code::LegalRequest,
            reference: reference.into(),
            ..Because::default()
        };
        for bad in ["", " a ", "a\nb", &"x".repeat(201)] {
            assert_eq!(invalid(ask(&lin, legal(bad)).await), "reference");
        }
        let grant = ask(&lin, legal(" (2026) Hu 0101 Min Chu 7 ")).await.unwrap();
        let follows = |id: &GrantId| Because { renews: Some(id.clone()), ..Because::default() };
        assert!(ask(&mei, follows(&grant)).await.is_err(), "only one's own is followed");
        assert!(ask(&lin, follows(&GrantId::random())).await.is_err());
        let next = ask(&lin, follows(&grant)).await.unwrap();
        let seen = t.house.consent_request(&acme.id, &next).await.unwrap();
        assert_eq!((seen.renews.as_ref(), seen.code), (Some(&grant), Code::CustomerInitiatedSupport));

        let globex = t.tenant("globex").await;
        let write = async |who: &Caller, text: &str| {
            let (tenant, id) = (acme.id.clone(), grant.clone());
            t.house.perform(who.clone(), CommentRequest { tenant, id, text: text.into() }).await
        };
        write(&acme.root, "why not the copy?\r\nwe sent one").await.unwrap();
        write(&lin, "it opens").await.unwrap();
        for bad in ["", "  ", &"x".repeat(1_001), "a\u{1b}[2J"] {
            assert_eq!(invalid(write(&lin, bad).await), "comment");
        }
        assert!(write(&globex.root, "hello").await.is_err());
        assert!(write(&mei, "hello").await.is_err(), "another's request");
        let deny = Decide {
            note: "use the copy".into(),
            ..Decide::new(acme.id.clone(), grant.clone(), Decision::Deny)
        };
        t.house.perform(acme.root.clone(), deny).await.unwrap();
        let get = GetConsent { tenant: acme.id.clone(), id: grant.clone() };
        let seen = t.house.perform(acme.root.clone(), get).await.unwrap();
        assert_eq!((seen.code, seen.reference.as_str()), (Code::LegalRequest, "(2026) Hu 0101 Min Chu 7"));
        let texts: Vec<_> = seen.comments.iter().map(|c| (c.writer.as_str(), c.text.as_str())).collect();
        let who = seen.pseudonym.as_str();
        let told = [("root", "why not the copy?\nwe sent one"), (who, "it opens"), ("root", "use the copy")];
        assert_eq!(texts, told);
        for n in 1..100 {
            write(&lin, &n.to_string()).await.unwrap();
        }
        assert!(conflict(write(&lin, "one more").await).contains("no more fit"));
        write(&acme.root, "the other side still has its word").await.unwrap();
    });
}

/// What the log does not say was approved counts for nothing: a process that died between the approval and its outcome leaves no
/// grant, and none that a verifier could not follow.
#[test]
fn an_approval_whose_outcome_was_lost_counts_for_nothing() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let (li, _) = user(&t, &acme, "li").await;
        let lose = || {
            let sql = "UPDATE access_intent SET result = 'unknown' WHERE event_name = 'ApproveConsent' AND result = 'done'";
            assert_eq!(t.change(sql), 1);
        };
        let read = async || refusal(acme.read(&t, &lin, &ticket, OBJECT).await);
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        decide(&t, &acme, &li, &grant, YES).await.unwrap();
        lose();
        assert_eq!(read().await, RefusalKind::NoConsent(NoCoverage::Lapsed));
        assert_eq!(state(&t, &acme, &grant).await, State::Withdrawn);
        // Of two persons' approvals one was lost: he gives it again.
        demand(&t, &acme, persons(2), &[]).await.unwrap();
        t.clock.advance_ms(1);
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        decide(&t, &acme, &li, &grant, YES).await.unwrap();
        lose();
        let second = decide(&t, &acme, &acme.root, &grant, YES).await.unwrap();
        assert!(second.waits() && second.approved_by == ["root"], "{second:?}");
        assert_eq!(read().await, RefusalKind::NoConsent(NoCoverage::Waiting));
        assert!(!decide(&t, &acme, &li, &grant, YES).await.unwrap().waits());
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
    });
}

/// Of a yes, a no and a taking back that come at once from two servers exactly one wins; two approvers at once make one grant.
#[test]
fn of_decisions_at_once_exactly_one_wins() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let ((li, _), (wang, _)) = (user(&t, &acme, "li").await, user(&t, &acme, "wang").await);
        let second = t.second();
        for round in 0..8 {
            let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
            let new = |decision| Decide::new(acme.id.clone(), grant.clone(), decision);
            let back = WithdrawRequest { tenant: acme.id.clone(), id: grant.clone() };
            let (a, b, c, d) = tokio::join!(
                t.house.perform(li.clone(), new(YES)),
                second.house.perform(wang.clone(), new(YES)),
                second.house.perform(acme.root.clone(), new(Decision::Deny)),
                t.house.perform(lin.clone(), back),
            );
            // A grant may be given back after: that is an end of it, not a second answer.
            let returned = matches!(&d, Ok((_, true)));
            let withdrawn = matches!(&d, Ok((_, false)));
            let won = [a.is_ok(), b.is_ok(), c.is_ok(), withdrawn];
            assert_eq!(won.iter().filter(|w| **w).count(), 1, "round {round}: {a:?} {b:?} {c:?} {d:?}");
            assert!(!returned || a.is_ok() || b.is_ok());
        }
        demand(&t, &acme, persons(2), &[]).await.unwrap();
        for round in 0..8 {
            let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
            let new = || Decide::new(acme.id.clone(), grant.clone(), YES);
            let (a, b, c) = tokio::join!(
                t.house.perform(li.clone(), new()),
                second.house.perform(li.clone(), new()),
                second.house.perform(wang.clone(), new()),
            );
            let done = [&a, &b, &c].into_iter().filter_map(|d| d.as_ref().ok());
            let grants = done.clone().filter(|d| !d.waits()).count();
            assert_eq!((done.count(), grants), (2, 1), "round {round}: {a:?} {b:?} {c:?}");
            assert!(a.is_ok() != b.is_ok() && c.is_ok(), "one person counts once");
        }
        t.clock.advance_ms(72 * HOUR_MS);
        let list = ListConsents { tenant: acme.id.clone(), requests_max: 200 };
        let all = t.house.perform(acme.root.clone(), list).await.unwrap();
        assert!(all.iter().all(|r| r.state(t.house.now()) != State::Live));
    });
}

/// Splitmix64: seeded, so that a walk that fails can be walked again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// What a walk has done to one request: enough to say, in the words of the rules, whether a read may be.
#[derive(Default, Debug)]
struct Told {
    approvals: Vec<(usize, i64, u32)>,
    given: Option<(i64, u32)>,
    asked_at: i64,
    confirmed: bool,
    over: bool,
    reads: u32,
}

/// Walks of the whole house: each read is done exactly when what was done before says that it may be.
#[test]
fn walks_of_the_house_open_what_their_history_opens_and_nothing_else() {
    const SECONDS: u64 = 25;
    on_each_engine(async |first| {
        let t = first.second_with_second_eye();
        let (acme, lin, _) = acme(&t).await;
        let wu = t.operator("op-wu", "approver", "CN").await;
        let ((li, _), (wang, _)) = (user(&t, &acme, "li").await, user(&t, &acme, "wang").await);
        let persons_of = [acme.root.clone(), li, wang];
        demand(&t, &acme, persons(2), &[]).await.unwrap();
        let (mut seed, mut walks, mut reads) = (20_261_128u64, 0, 0);
        let begun = std::time::Instant::now();
        while begun.elapsed().as_secs() < SECONDS {
            seed += 1;
            walks += 1;
            let mut dice = Dice(seed);
            // Each walk begins where time is ahead of all that the log has.
            t.clock.advance_ms(24 * HOUR_MS);
            let ticket = acme.ticket(&t).await;
            let grant = acme.ask(&t, &lin, &ticket, OBJECT, (5, 2)).await.unwrap();
            let now = || t.house.now().ms() - START.ms();
            let mut told = Told { asked_at: now(), ..Told::default() };
            let mut newest = now();
            let (id, tenant) = (grant.clone(), acme.id.clone());
            for _ in 0..14 {
                let lapsed = newest >= told.asked_at + 72 * HOUR_MS;
                let waits = !told.over && told.given.is_none() && !lapsed;
                let expired = told.given.is_some_and(|(until, _)| newest >= until);
                let used_up = told.given.is_some_and(|(_, uses)| told.reads >= uses);
                match dice.roll(16) {
                    0 | 1 => {
                        let op = ConfirmRequest {
                            tenant: tenant.clone(),
                            id: id.clone(),
                            yes: true,
                            comment: String::new(),
                        };
                        let done = t.house.perform(wu.clone(), op).await;
                        assert_eq!(done.is_ok(), waits && !told.confirmed, "seed {seed}: {told:?} {done:?}");
                        told.confirmed |= done.is_ok();
                    }
                    2..=6 => {
                        let who = usize::try_from(dice.roll(3)).unwrap();
                        let uses = u32::try_from(1 + dice.roll(2)).unwrap();
                        let yes = Decision::Approve { minutes: 5, uses_max: uses };
                        let done = decide(&t, &acme, &persons_of[who], &grant, yes).await;
                        let may = waits && told.confirmed && !told.approvals.iter().any(|(p, ..)| *p == who);
                        assert_eq!(done.is_ok(), may, "seed {seed}: {told:?} {done:?}");
                        if may {
                            told.approvals.push((who, newest, uses));
                            if let [(_, _, a), (_, _, b)] = told.approvals[..] {
                                told.given = Some((newest + 5 * MINUTE_MS, a.min(b)));
                            }
                        }
                    }
                    7 => {
                        if dice.roll(3) == 0 {
                            let done = acme.decide(&t, &grant, Decision::Deny).await;
                            assert_eq!(done.is_ok(), waits, "seed {seed}: {told:?} {done:?}");
                            told.over |= done.is_ok();
                        }
                    }
                    8 => {
                        if dice.roll(3) == 0 {
                            let op = WithdrawRequest { tenant: tenant.clone(), id: id.clone() };
                            let done = t.house.perform(lin.clone(), op).await;
                            let live = told.given.is_some() && !told.over && !expired && !used_up;
                            assert_eq!(done.is_ok(), waits || live, "seed {seed}: {told:?} {done:?}");
                            told.over |= done.is_ok();
                        }
                    }
                    9 => {
                        if dice.roll(3) == 0 {
                            let done = acme.decide(&t, &grant, Decision::Revoke).await;
                            assert!(done.is_err() || told.given.is_some(), "seed {seed}: {told:?}");
                            told.over |= done.is_ok();
                        }
                    }
                    10 => match dice.roll(6) {
                        0 => {
                            let op = CloseTicket { tenant: tenant.clone(), ticket: ticket.clone() };
                            told.over |= t.house.perform(acme.root.clone(), op).await.is_ok();
                        }
                        1 => {
                            let op = SolveTicket { tenant: tenant.clone(), ticket: ticket.clone() };
                            if t.house.perform(acme.root.clone(), op).await.is_ok() {
                                told.over = true;
                                let op = ReopenTicket { tenant: tenant.clone(), ticket: ticket.clone() };
                                t.house.perform(acme.root.clone(), op).await.unwrap();
                            }
                        }
                        2 => {
                            for active in [false, true] {
                                let set =
                                    SetOperatorState { id: OperatorId::parse("op-lin").unwrap(), active };
                                t.house.perform(t.house.system_caller("test"), set).await.unwrap();
                            }
                            told.over = true;
                        }
                        _ => {}
                    },
                    11 => {
                        // Forward, then perhaps back: what the log has seen counts.
                        let by = i64::try_from(dice.roll(4)).unwrap() * MINUTE_MS;
                        t.clock.advance_ms(by);
                        newest = newest.max(now());
                        let op =
                            CommentRequest { tenant: tenant.clone(), id: id.clone(), text: "tick".into() };
                        t.house.perform(acme.root.clone(), op).await.unwrap();
                        if dice.roll(2) == 0 {
                            t.clock.advance_ms(-by);
                        }
                    }
                    _ => {
                        let done = acme.read(&t, &lin, &ticket, OBJECT).await;
                        let may = told.given.is_some() && !told.over && !expired && !used_up;
                        assert_eq!(done.is_ok(), may, "seed {seed}: {told:?} {:?}", done.err());
                        told.reads += u32::from(may);
                        reads += u32::from(may);
                    }
                }
            }
        }
        eprintln!("{walks} walks, {reads} reads on {:?}", t.engine);
        assert!(walks > 10 && reads > 0);
    });
}
