//! Standing rights, on both engines: what they open, and that they open nothing else; who sets them; their end; races; and walks of
//! the house against a telling of what may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bailee_rooms::Failure;
use bailee_rooms::consent::{
    Because, Code, ConfirmRequest, ConsentPolicy, Decide, Decision, FindConsents, Hours, ListStandingRights,
    NoCoverage, RequestConsent, Requested, RevokeStandingRight, RightEnded, Scope, SetConsentPolicy,
    SetStandingRight, StandingRight, State, Terms, WithdrawRequest,
};
use bailee_rooms::gate::{Caller, Operation, RefusalKind};
use bailee_rooms::identity::{
    Act, AttachPolicy, CreateAccessKey, CreatePolicy, CreateUser, DeleteAccessKey, DeleteUser, DetachPolicy,
    Entity, Owner, PolicyType, Presented,
};
use bailee_rooms::tickets::CloseTicket;
use bailee_testkit::{START, TestHouse, TestTenant, bucket, key, on_each_engine, origin};
use bailee_types::{
    AccessKeyId, GrantId, PolicyName, Pseudonym, SecretText, StandingId, TicketId, Timestamp, UserName,
};

const OBJECT: (&str, &str) = ("acme-invoices", "2026/1.pdf");
const OTHER: (&str, &str) = ("acme-invoices", "2025/1.pdf");
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A tenant with objects and an open ticket, and an operator.
async fn acme(t: &TestHouse) -> (TestTenant, Caller, TicketId) {
    let acme = t.tenant("acme").await;
    acme.make_bucket(t, OBJECT.0).await;
    for key in [OBJECT.1, OTHER.1] {
        acme.put(t, OBJECT.0, key, "pumps").await;
    }
    let ticket = acme.ticket(t).await;
    (acme, t.operator("op-lin", "support", "CN").await, ticket)
}

fn prefix(p: &str) -> Scope {
    Scope::Prefix { bucket: bucket(OBJECT.0), prefix: p.into() }
}

/// Objects of 2026, for half an hour, three uses of a grant and five of a day, for ten days.
fn terms(t: &TestHouse) -> Terms {
    Terms {
        scope: prefix("2026/"),
        operators: Vec::new(),
        codes: vec![Code::CustomerInitiatedSupport],
        minutes: 30,
        uses_max: 3,
        day_uses_max: 5,
        until: t.house.now().plus_ms(10 * DAY_MS),
    }
}

async fn set(t: &TestHouse, acme: &TestTenant, who: &Caller, terms: Terms) -> Result<StandingId, Failure> {
    let set = SetStandingRight { tenant: acme.id.clone(), terms, why: "on call".into() };
    t.house.perform(who.clone(), set).await.map(|done| done.0)
}

async fn revoke(t: &TestHouse, acme: &TestTenant, id: &StandingId) -> Result<RightEnded, Failure> {
    let op = RevokeStandingRight { tenant: acme.id.clone(), id: id.clone() };
    t.house.perform(acme.root.clone(), op).await
}

async fn rights(t: &TestHouse, acme: &TestTenant) -> Vec<StandingRight> {
    t.house.perform(acme.root.clone(), ListStandingRights { tenant: acme.id.clone() }).await.unwrap()
}

fn wish(acme: &TestTenant, ticket: &TicketId) -> RequestConsent {
    RequestConsent {
        tenant: acme.id.clone(),
        ticket: ticket.clone(),
        scope: Scope::object(bucket(OBJECT.0), key(OBJECT.1)),
        minutes: 30,
        uses_max: 2,
        reason: "it opens blank".into(),
        because: Because::default(),
    }
}

async fn ask(t: &TestHouse, who: &Caller, wish: RequestConsent) -> Requested {
    t.house.perform(who.clone(), wish).await.unwrap()
}

async fn state(t: &TestHouse, acme: &TestTenant, grant: &GrantId) -> State {
    t.house.consent_request(&acme.id, grant).await.unwrap().state(t.house.now())
}

async fn demand(t: &TestHouse, acme: &TestTenant, policy: ConsentPolicy, approvers: &[&str]) {
    let approvers = approvers.iter().map(|a| (*a).to_owned()).collect();
    let set = SetConsentPolicy { tenant: acme.id.clone(), policy, approvers };
    t.house.perform(acme.root.clone(), set).await.unwrap();
}

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

fn administrator(name: &str) -> (Entity, PolicyType, PolicyName) {
    let policy = PolicyName::parse("AdministratorAccess").unwrap();
    (Entity::User(UserName::parse(name).unwrap()), PolicyType::System, policy)
}

/// A user who may do anything, and the id of his AccessKey.
async fn user(t: &TestHouse, acme: &TestTenant, name: &str) -> (Caller, AccessKeyId) {
    let user = UserName::parse(name).unwrap();
    t.house.perform(acme.root.clone(), CreateUser::named(user).of(&acme.id)).await.unwrap();
    let (to, kind, policy) = administrator(name);
    t.house.perform(acme.root.clone(), AttachPolicy { to, kind, policy }.of(&acme.id)).await.unwrap();
    key_of(t, acme, name).await
}

/// A user's new AccessKey, and he who calls with it.
async fn key_of(t: &TestHouse, acme: &TestTenant, name: &str) -> (Caller, AccessKeyId) {
    let make = CreateAccessKey { owner: Owner::User(UserName::parse(name).unwrap()) };
    let made = t.house.perform(acme.root.clone(), make.of(&acme.id)).await.unwrap();
    let id = made.id.as_str();
    let presented = Presented { access_key_id: id, token: None, nonce: None, service: "Kms", scheme: "test" };
    let same = |kept: &SecretText| if kept.expose() == made.secret.expose() { Ok(()) } else { Err(()) };
    let (caller, ()) = t.house.authenticate(presented, origin(), same).await.unwrap();
    (caller, made.id)
}

#[test]
fn a_request_wholly_inside_a_standing_right_is_a_grant_at_once_and_no_other_is() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let mei = t.operator("op-mei", "support", "CN").await;
        let before = ask(&t, &lin, wish(&acme, &ticket)).await;
        assert!(before.opened.is_none());
        let lins = t.house.consent_request(&acme.id, &before.id).await.unwrap().pseudonym;
        let right =
            set(&t, &acme, &acme.root, Terms { operators: vec![lins.clone()], ..terms(&t) }).await.unwrap();
        // It opens nothing by itself, and not what was asked for before.
        assert_eq!(state(&t, &acme, &before.id).await, State::Pending);
        let none = acme.read(&t, &lin, &ticket, OBJECT).await;
        assert_eq!(refusal(none), RefusalKind::NoConsent(NoCoverage::Waiting));

        let asked = ask(&t, &lin, wish(&acme, &ticket)).await;
        let opened = asked.opened.clone().unwrap();
        assert_eq!((&opened.right, &opened.operator), (&right, &lins));
        assert_eq!(opened.until, t.house.now().plus_ms(30 * MINUTE_MS));
        let told = RequestConsent::outcome_detail(&asked)["consent"].clone();
        assert_eq!(told["opened"]["standing"], right.as_str());
        assert_eq!(told["opened"]["object"], "acme-invoices/2026/1.pdf");
        let kept = t.house.consent_request(&acme.id, &asked.id).await.unwrap();
        assert_eq!((kept.state(t.house.now()), kept.standing.as_ref()), (State::Live, Some(&right)));
        assert_eq!(kept.decided.unwrap().0, format!("standing right {right} of root"));
        for _ in 0..2 {
            acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        }
        let used_up = acme.read(&t, &lin, &ticket, OBJECT).await;
        assert!(matches!(
            refusal(used_up),
            RefusalKind::NoConsent(NoCoverage::Waiting | NoCoverage::Exhausted)
        ));
        assert_eq!(rights(&t, &acme).await[0].day_uses, 2);

        // One thing outside, and it waits for the tenant.
        let inside = || wish(&acme, &ticket);
        let code = Because { code: Code::ResponseToAlert, ..Because::default() };
        for (who, outside) in [
            (&mei, inside()),
            (&lin, RequestConsent { scope: Scope::object(bucket(OTHER.0), key(OTHER.1)), ..inside() }),
            (&lin, RequestConsent { scope: prefix("202"), ..inside() }),
            (&lin, RequestConsent { minutes: 31, ..inside() }),
            (&lin, RequestConsent { uses_max: 4, ..inside() }),
            (&lin, RequestConsent { because: code, ..inside() }),
        ] {
            let asked = ask(&t, who, outside.clone()).await;
            assert!(asked.opened.is_none(), "{outside:?}");
            assert_eq!(state(&t, &acme, &asked.id).await, State::Pending);
        }
        // Five a day, counted as given; a day later there are five again.
        assert!(ask(&t, &lin, RequestConsent { uses_max: 3, ..inside() }).await.opened.is_some());
        assert!(ask(&t, &lin, RequestConsent { uses_max: 1, ..inside() }).await.opened.is_none());
        t.clock.advance_ms(DAY_MS - 1);
        assert!(ask(&t, &lin, RequestConsent { uses_max: 1, ..inside() }).await.opened.is_none());
        t.clock.advance_ms(1);
        assert!(ask(&t, &lin, RequestConsent { uses_max: 3, ..inside() }).await.opened.is_some());
        // A grant ends before its right does; a clock that goes back brings nothing back.
        t.clock.advance_ms(9 * DAY_MS - 30 * MINUTE_MS + 1);
        assert!(ask(&t, &lin, inside()).await.opened.is_none());
        assert!(ask(&t, &lin, RequestConsent { minutes: 29, ..inside() }).await.opened.is_some());
        t.clock.advance_ms(30 * MINUTE_MS);
        assert!(ask(&t, &lin, RequestConsent { minutes: 1, ..inside() }).await.opened.is_none());
        t.clock.advance_ms(-HOUR_MS);
        assert!(ask(&t, &lin, RequestConsent { minutes: 1, ..inside() }).await.opened.is_none());
        // Pages of what was asked, by state and operator.
        let find = |states, operator, after, requests_max| FindConsents {
            tenant: acme.id.clone(),
            states,
            operator,
            after,
            requests_max,
        };
        let all = t.house.perform(acme.root.clone(), find(None, None, None, 200)).await.unwrap().requests;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = find(None, Some(lins.clone()), after.take(), 2);
            let page = t.house.perform(acme.root.clone(), page).await.unwrap();
            seen.extend(page.requests.iter().map(|r| r.id.clone()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let of_lin: Vec<_> = all.iter().filter(|r| r.pseudonym == lins).map(|r| r.id.clone()).collect();
        assert!(seen == of_lin && seen.len() + 1 == all.len(), "{} of {}", seen.len(), all.len());
        let lapsed = find(Some(vec![State::Lapsed]), None, None, 200);
        let lapsed = t.house.perform(acme.root.clone(), lapsed).await.unwrap().requests;
        assert!(!lapsed.is_empty() && lapsed.iter().all(|r| r.state(t.house.now()) == State::Lapsed));
    });
}

#[test]
fn a_standing_right_is_narrow_and_the_tenants_own() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let globex = t.tenant("globex").await;
        let base = || terms(&t);
        let now = t.house.now();
        let number = Pseudonym::parse("emp-abcdefghjkmnpqrs").unwrap();
        for (bad, field) in [
            (Terms { scope: prefix(""), ..base() }, "prefix"),
            (Terms { scope: prefix("../"), ..base() }, "prefix"),
            (Terms { minutes: 0, ..base() }, "minutes"),
            (Terms { minutes: 1_441, ..base() }, "minutes"),
            (Terms { uses_max: 0, ..base() }, "uses"),
            (Terms { uses_max: 1_001, ..base() }, "uses"),
            (Terms { day_uses_max: 2, ..base() }, "uses_a_day"),
            (Terms { day_uses_max: 1_001, ..base() }, "uses_a_day"),
            (Terms { codes: Vec::new(), ..base() }, "codes"),
            (Terms { codes: vec![Code::ResponseToAlert; 2], ..base() }, "codes"),
            (Terms { codes: vec![Code::LegalRequest], ..base() }, "codes"),
            (Terms { operators: vec![number.clone(); 2], ..base() }, "operators"),
            (Terms { operators: vec![number.clone(); 51], ..base() }, "operators"),
            (Terms { until: now, ..base() }, "until"),
            (Terms { until: now.plus_ms(90 * DAY_MS + 1), ..base() }, "until"),
        ] {
            assert_eq!(invalid(set(&t, &acme, &acme.root, bad.clone()).await), field, "{bad:?}");
        }
        let nowhere = Scope::object(bucket("acme-nothing"), key("a"));
        assert!(matches!(
            set(&t, &acme, &acme.root, Terms { scope: nowhere, ..base() }).await,
            Err(Failure::NotFound { .. })
        ));
        assert!(set(&t, &acme, &globex.root, base()).await.is_err());
        refusal(set(&t, &acme, &lin, base()).await);
        conflict(set(&t, &acme, &t.house.system_caller("test"), base()).await);
        // Twenty live ones; one that ended makes room.
        let mut all = Vec::new();
        for _ in 0..20 {
            all.push(
                set(&t, &acme, &acme.root, Terms { until: now.plus_ms(90 * DAY_MS), ..base() })
                    .await
                    .unwrap(),
            );
        }
        let more = set(&t, &acme, &acme.root, base()).await;
        assert!(matches!(more, Err(Failure::Limit { max: 20, .. })), "{more:?}");
        revoke(&t, &acme, &all[0]).await.unwrap();
        assert!(conflict(revoke(&t, &acme, &all[0]).await).contains("was ended before"));
        set(&t, &acme, &acme.root, base()).await.unwrap();
        let op = RevokeStandingRight { tenant: acme.id.clone(), id: all[1].clone() };
        assert!(t.house.perform(globex.root.clone(), op.clone()).await.is_err(), "not its own");
        let op = RevokeStandingRight { tenant: globex.id.clone(), ..op };
        assert!(matches!(t.house.perform(globex.root.clone(), op).await, Err(Failure::NotFound { .. })));
        // Another tenant's right is nothing here.
        globex.make_bucket(&t, "globex-things").await;
        let theirs = globex.ticket(&t).await;
        let scope = Scope::object(bucket("globex-things"), key(OBJECT.1));
        let asked = ask(&t, &lin, RequestConsent { scope, ..wish(&globex, &theirs) }).await;
        assert!(asked.opened.is_none());
        assert!(ask(&t, &lin, wish(&acme, &ticket)).await.opened.is_some());
        assert_eq!(rights(&t, &acme).await.len(), 21);
    });
}

#[test]
fn who_may_not_approve_sets_none_and_what_he_set_opens_nothing() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let ((li, lis_key), (wang, _)) = (user(&t, &acme, "li").await, user(&t, &acme, "wang").await);
        let opens = async || ask(&t, &lin, wish(&acme, &ticket)).await.opened.is_some();
        let wide = || Terms { day_uses_max: 1_000, ..terms(&t) };
        // RAM: who may do everything but approve cannot have it decided beforehand.
        let document = r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"bailee:ApproveConsent","Resource":"*"}]}"#;
        let name = PolicyName::parse("no-approvals").unwrap();
        let create = CreatePolicy {
            name: name.clone(),
            description: String::new(),
            document: document.into(),
            tags: Vec::new(),
        };
        t.house.perform(acme.root.clone(), create.of(&acme.id)).await.unwrap();
        let (wangs, kind) = (Entity::User(UserName::parse("wang").unwrap()), PolicyType::Custom);
        let attach = AttachPolicy { to: wangs.clone(), kind, policy: name.clone() };
        t.house.perform(acme.root.clone(), attach.of(&acme.id)).await.unwrap();
        let (denied, _) = key_of(&t, &acme, "wang").await;
        refusal(set(&t, &acme, &denied, wide()).await);
        assert!(
            conflict(set(&t, &acme, &wang, wide()).await).contains("may not approve"),
            "also by what he was"
        );
        let detach = DetachPolicy { from: wangs, kind, policy: name };
        t.house.perform(acme.root.clone(), detach.of(&acme.id)).await.unwrap();

        // The policy names who approves, demands a factor, has hours, or counts persons.
        let base = ConsentPolicy::default;
        demand(&t, &acme, base(), &["user/wang"]).await;
        assert!(conflict(set(&t, &acme, &li, wide()).await).contains("names to approve"));
        let right = set(&t, &acme, &wang, wide()).await.unwrap();
        assert!(opens().await);
        demand(&t, &acme, base(), &["user/li"]).await;
        assert!(!opens().await, "its setter is named no more");
        demand(&t, &acme, ConsentPolicy { mfa: true, ..base() }, &[]).await;
        assert!(!opens().await, "it was set without a factor");
        assert!(matches!(set(&t, &acme, &wang, wide()).await, Err(Failure::FreshMfa)));
        demand(&t, &acme, ConsentPolicy { minutes_max: 29, ..base() }, &[]).await;
        assert_eq!(invalid(set(&t, &acme, &wang, wide()).await), "minutes");
        let hours = Hours { days: vec![3], from: 13 * 60, to: 14 * 60, offset: 0, uses: false };
        demand(&t, &acme, ConsentPolicy { hours: Some(hours), ..base() }, &[]).await;
        assert!(!opens().await, "it is noon");
        assert!(conflict(set(&t, &acme, &wang, wide()).await).contains("outside its hours"));
        demand(&t, &acme, ConsentPolicy { approvals: 2, ..base() }, &[]).await;
        assert!(!opens().await, "two persons decide each");
        assert!(conflict(set(&t, &acme, &wang, wide()).await).contains("there are no standing rights"));
        demand(&t, &acme, base(), &[]).await;
        assert!(opens().await);
        revoke(&t, &acme, &right).await.unwrap();

        // Who was removed has decided nothing.
        set(&t, &acme, &li, wide()).await.unwrap();
        assert!(opens().await);
        let (from, kind, policy) = administrator("li");
        t.house.perform(acme.root.clone(), DetachPolicy { from, kind, policy }.of(&acme.id)).await.unwrap();
        assert!(!opens().await);
        let name = UserName::parse("li").unwrap();
        let delete = DeleteAccessKey { owner: Owner::User(name.clone()), id: lis_key };
        t.house.perform(acme.root.clone(), delete.of(&acme.id)).await.unwrap();
        t.house.perform(acme.root.clone(), DeleteUser { name }.of(&acme.id)).await.unwrap();
        user(&t, &acme, "li").await;
        assert!(!opens().await, "a new user of the old name has set nothing");
    });
}

#[test]
fn the_end_of_a_right_ends_what_came_of_it_and_nothing_else() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let mei = t.operator("op-mei", "support", "CN").await;
        let by_hand = ask(&t, &mei, wish(&acme, &ticket)).await.id;
        acme.decide(&t, &by_hand, Decision::Approve { minutes: 30, uses_max: 2 }).await.unwrap();
        let right = set(&t, &acme, &acme.root, terms(&t)).await.unwrap();
        let live = ask(&t, &lin, wish(&acme, &ticket)).await.id;
        // The newest is used first.
        t.clock.advance_ms(1);
        let used = ask(&t, &lin, RequestConsent { uses_max: 1, ..wish(&acme, &ticket) }).await.id;
        let back = ask(&t, &lin, RequestConsent { uses_max: 1, ..wish(&acme, &ticket) }).await.id;
        let withdraw = WithdrawRequest { tenant: acme.id.clone(), id: back.clone() };
        assert!(t.house.perform(lin.clone(), withdraw).await.unwrap().1, "given back like any");
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        assert_eq!(state(&t, &acme, &used).await, State::Exhausted);

        let ended = revoke(&t, &acme, &right).await.unwrap();
        // One that is used up may still have a session open.
        let mut wanted = vec![live.clone(), used.clone()];
        wanted.sort();
        assert_eq!(ended.grants, wanted);
        let told = RevokeStandingRight::outcome_detail(&ended)["standing"].clone();
        assert_eq!(told["grants"].as_array().unwrap().len(), 2);
        for grant in &wanted {
            assert_eq!(state(&t, &acme, grant).await, State::Revoked);
        }
        assert_eq!(state(&t, &acme, &back).await, State::Returned);
        let after = acme.read(&t, &lin, &ticket, OBJECT).await;
        assert!(matches!(refusal(after), RefusalKind::NoConsent(NoCoverage::Revoked | NoCoverage::Returned)));
        acme.read(&t, &mei, &ticket, OBJECT).await.unwrap();
        assert!(ask(&t, &lin, wish(&acme, &ticket)).await.opened.is_none());
        let seen = rights(&t, &acme).await;
        assert!(seen.len() == 1 && !seen[0].is_live(t.house.now()));
        assert_eq!(seen[0].ended.as_ref().unwrap().0, "root");

        // One grant may be ended alone, and a closed ticket ends it as any.
        let right = set(&t, &acme, &acme.root, terms(&t)).await.unwrap();
        let one = ask(&t, &lin, wish(&acme, &ticket)).await.id;
        acme.decide(&t, &one, Decision::Revoke).await.unwrap();
        assert_eq!(state(&t, &acme, &one).await, State::Revoked);
        let two = ask(&t, &lin, wish(&acme, &ticket)).await.id;
        let close = CloseTicket { tenant: acme.id.clone(), ticket: ticket.clone() };
        t.house.perform(acme.root.clone(), close).await.unwrap();
        assert_eq!(state(&t, &acme, &two).await, State::TicketClosed);
        let closed = t.house.perform(lin.clone(), wish(&acme, &ticket)).await;
        assert!(closed.is_err(), "a standing right needs an open ticket");
        assert_eq!(revoke(&t, &acme, &right).await.unwrap().grants, [two]);
    });
}

#[test]
fn the_providers_second_pair_of_eyes_looks_before_a_standing_right_does() {
    on_each_engine(async |first| {
        let t = first.second_with_second_eye();
        let (acme, lin, ticket) = acme(&t).await;
        let wu = t.operator("op-wu", "approver", "CN").await;
        let right = set(&t, &acme, &acme.root, terms(&t)).await.unwrap();
        let confirm = async |grant: &GrantId, yes| {
            let (tenant, id) = (acme.id.clone(), grant.clone());
            let op = ConfirmRequest { tenant, id, yes, comment: "so it is".into() };
            t.house.perform(wu.clone(), op).await.unwrap()
        };
        let asked = ask(&t, &lin, wish(&acme, &ticket)).await;
        assert!(asked.opened.is_none());
        assert_eq!(state(&t, &acme, &asked.id).await, State::Confirming);
        let confirmed = confirm(&asked.id, true).await;
        assert_eq!(confirmed.2.as_ref().unwrap().right, right);
        let told = ConfirmRequest::outcome_detail(&confirmed)["consent"].clone();
        assert_eq!((&told["act"], &told["opened"]["standing"]), (&"confirm".into(), &right.as_str().into()));
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        let asked = ask(&t, &lin, wish(&acme, &ticket)).await;
        assert!(confirm(&asked.id, false).await.2.is_none());
        assert_eq!(state(&t, &acme, &asked.id).await, State::Declined);
        // The right ended while it waited: the tenant decides.
        let asked = ask(&t, &lin, wish(&acme, &ticket)).await;
        revoke(&t, &acme, &right).await.unwrap();
        assert!(confirm(&asked.id, true).await.2.is_none());
        assert_eq!(state(&t, &acme, &asked.id).await, State::Pending);
    });
}

/// What the log does not tell of is nothing: a process that died between the act and its outcome leaves no right and no grant.
#[test]
fn what_a_lost_outcome_leaves_opens_nothing() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let right = set(&t, &acme, &acme.root, terms(&t)).await.unwrap();
        let asked = ask(&t, &lin, wish(&acme, &ticket)).await;
        assert!(asked.opened.is_some());
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        let end = |name: &str, how: &str| {
            let sql = format!("UPDATE access_intent SET {how} WHERE event_name = '{name}'");
            assert_eq!(t.change(&sql), 1);
        };
        end("RequestConsent", "result = 'unknown'");
        let after = acme.read(&t, &lin, &ticket, OBJECT).await;
        assert_eq!(refusal(after), RefusalKind::NoConsent(NoCoverage::Lapsed));
        assert!(
            conflict(acme.decide(&t, &asked.id, Decision::Approve { minutes: 1, uses_max: 1 }).await)
                .contains("Withdrawn")
        );
        for how in ["result = 'unknown'", "result = NULL, outcome_index = NULL"] {
            end("SetStandingRight", how);
            assert!(
                ask(&t, &lin, RequestConsent { uses_max: 1, ..wish(&acme, &ticket) }).await.opened.is_none()
            );
            assert!(!rights(&t, &acme).await[0].is_live(t.house.now()));
        }
        // It can be swept away all the same.
        revoke(&t, &acme, &right).await.unwrap();
    });
}

/// A right that is ended while operators ask, on two servers: nothing that it opened lives after.
#[test]
fn an_end_and_requests_at_once_leave_nothing_alive() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let second = t.second();
        let mut opened = 0;
        for round in 0..12 {
            let right = set(&t, &acme, &acme.root, Terms { day_uses_max: 4, ..terms(&t) }).await.unwrap();
            let op = || wish(&acme, &ticket);
            let (a, b, ended, c) = tokio::join!(
                t.house.perform(lin.clone(), op()),
                second.house.perform(lin.clone(), op()),
                revoke(&second, &acme, &right),
                second.house.perform(lin.clone(), op()),
            );
            let ended = ended.unwrap();
            let asked = [a.unwrap(), b.unwrap(), c.unwrap()];
            let born: Vec<_> = asked.iter().filter(|a| a.opened.is_some()).map(|a| a.id.clone()).collect();
            assert!(born.len() <= 2, "four uses a day, two each");
            opened += born.len();
            for asked in &asked {
                let stands = state(&t, &acme, &asked.id).await;
                let wanted = if born.contains(&asked.id) { State::Revoked } else { State::Pending };
                assert_eq!(
                    (stands, ended.grants.contains(&asked.id)),
                    (wanted, wanted == State::Revoked),
                    "{round}"
                );
            }
            let read = acme.read(&t, &lin, &ticket, OBJECT).await;
            refusal(read);
        }
        eprintln!("{opened} opened on {:?}", t.engine);
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

    fn small(&mut self, from: u32, to: u32) -> u32 {
        from + u32::try_from(self.roll(u64::from(to - from + 1))).unwrap()
    }
}

/// A right as it was told when it was set.
struct ToldRight {
    id: StandingId,
    terms: Terms,
    ended: bool,
    given: Vec<(i64, u32)>,
}

/// A grant that came of one.
struct ToldGrant {
    id: GrantId,
    right: usize,
    until: i64,
    uses: u32,
    over: bool,
}

/// Walks of the whole house: a request is a grant at once exactly when a right that was set says so, and each read is done exactly
/// when a grant of what was done before covers it.
#[test]
fn walks_of_the_house_open_what_its_standing_rights_open_and_nothing_else() {
    const SECONDS: u64 = 12;
    on_each_engine(async |t| {
        let (acme, lin, _) = acme(&t).await;
        let lins = {
            let ticket = acme.ticket(&t).await;
            let asked = ask(&t, &lin, wish(&acme, &ticket)).await;
            t.house.consent_request(&acme.id, &asked.id).await.unwrap().pseudonym
        };
        let other = Pseudonym::parse("emp-abcdefghjkmnpqrs").unwrap();
        let codes = [Code::CustomerInitiatedSupport, Code::ResponseToAlert];
        let scopes = [
            prefix("2026/"),
            prefix("2026/1"),
            prefix("2025/"),
            Scope::object(bucket(OBJECT.0), key(OBJECT.1)),
        ];
        let (mut seed, mut walks, mut opened, mut reads) = (20_261_128u64, 0, 0, 0);
        let begun = std::time::Instant::now();
        while begun.elapsed().as_secs() < SECONDS {
            seed += 1;
            walks += 1;
            let mut dice = Dice(seed);
            t.clock.advance_ms(2 * DAY_MS);
            let ticket = acme.ticket(&t).await;
            let (mut told, mut grants): (Vec<ToldRight>, Vec<ToldGrant>) = (Vec::new(), Vec::new());
            let now = || t.house.now().ms() - START.ms();
            let mut newest = now();
            for _ in 0..24 {
                match dice.roll(12) {
                    0 | 1 if told.iter().filter(|r| !r.ended).count() < 3 => {
                        let uses_max = dice.small(1, 3);
                        let terms = Terms {
                            scope: scopes[usize::try_from(dice.roll(4)).unwrap()].clone(),
                            operators: match dice.roll(4) {
                                0 => vec![other.clone()],
                                1 => vec![other.clone(), lins.clone()],
                                _ => Vec::new(),
                            },
                            codes: vec![codes[usize::from(dice.roll(4) == 0)]],
                            minutes: dice.small(3, 6),
                            uses_max,
                            day_uses_max: uses_max + dice.small(0, 3),
                            until: Timestamp::from_ms(
                                START.ms() + now() + i64::from(dice.small(4, 14)) * MINUTE_MS,
                            ),
                        };
                        let id = set(&t, &acme, &acme.root, terms.clone()).await.unwrap();
                        told.push(ToldRight { id, terms, ended: false, given: Vec::new() });
                    }
                    2 if dice.roll(2) == 0 => {
                        if let Some(at) = told.iter().position(|r| !r.ended) {
                            revoke(&t, &acme, &told[at].id).await.unwrap();
                            told[at].ended = true;
                            grants.iter_mut().filter(|g| g.right == at).for_each(|g| g.over = true);
                        }
                    }
                    3..=6 => {
                        let code = codes[usize::from(dice.roll(4) == 0)];
                        let op = RequestConsent {
                            scope: scopes[[0, 1, 3, 3][usize::try_from(dice.roll(4)).unwrap()]].clone(),
                            minutes: dice.small(2, 6),
                            uses_max: dice.small(1, 3),
                            because: Because { code, ..Because::default() },
                            ..wish(&acme, &ticket)
                        };
                        let until = newest + i64::from(op.minutes) * MINUTE_MS;
                        let fits = |r: &ToldRight| {
                            let day: u32 =
                                r.given.iter().filter(|(at, _)| *at > newest - DAY_MS).map(|(_, n)| n).sum();
                            !r.ended
                                && until <= r.terms.until.ms() - START.ms()
                                && (r.terms.operators.is_empty() || r.terms.operators.contains(&lins))
                                && r.terms.codes == [code]
                                && op.scope.is_within(&r.terms.scope)
                                && op.minutes <= r.terms.minutes
                                && op.uses_max <= r.terms.uses_max
                                && day + op.uses_max <= r.terms.day_uses_max
                        };
                        let covering: Vec<_> =
                            told.iter().filter(|r| fits(r)).map(|r| r.id.clone()).collect();
                        let asked = ask(&t, &lin, op.clone()).await;
                        let by = asked.opened.map(|o| o.right);
                        assert_eq!(by.is_some(), !covering.is_empty(), "seed {seed}: {op:?}");
                        if let Some(by) = by {
                            assert!(covering.contains(&by), "seed {seed}: {op:?}");
                            let right = told.iter().position(|r| r.id == by).unwrap();
                            told[right].given.push((newest, op.uses_max));
                            grants.push(ToldGrant {
                                id: asked.id,
                                right,
                                until,
                                uses: op.uses_max,
                                over: false,
                            });
                            opened += 1;
                        }
                    }
                    7 => {
                        // Forward, then perhaps back: what the log has seen counts.
                        let by = i64::from(dice.small(0, 3)) * MINUTE_MS;
                        t.clock.advance_ms(by);
                        newest = newest.max(now());
                        acme.ticket(&t).await;
                        if dice.roll(2) == 0 {
                            t.clock.advance_ms(-by);
                        }
                    }
                    8 if dice.roll(3) == 0 => {
                        if let Some(grant) = grants.iter_mut().find(|g| !g.over) {
                            let op = Decide::new(acme.id.clone(), grant.id.clone(), Decision::Revoke);
                            let done = t.house.perform(acme.root.clone(), op).await;
                            grant.over |= done.is_ok();
                        }
                    }
                    _ => {
                        let done = acme.read(&t, &lin, &ticket, OBJECT).await;
                        // Which of several grants is used is the house's choice.
                        let live = |g: &ToldGrant| !g.over && newest < g.until && g.uses > 0;
                        let may = grants.iter().any(live);
                        assert_eq!(done.is_ok(), may, "seed {seed}: {:?}", done.err());
                        if let Ok(window) = done {
                            reads += 1;
                            let used = grants.iter_mut().find(|g| g.id == window.grant).unwrap();
                            assert!(live(used), "seed {seed}");
                            used.uses -= 1;
                        }
                    }
                }
            }
            for right in told.iter().filter(|r| !r.ended) {
                revoke(&t, &acme, &right.id).await.unwrap();
            }
        }
        eprintln!("{walks} walks, {opened} grants, {reads} reads on {:?}", t.engine);
        assert!(walks > 10 && opened > 10 && reads > 10);
    });
}
