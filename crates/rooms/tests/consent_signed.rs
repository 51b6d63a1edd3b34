//! Approvals by passkey, on both engines: what is signed, what is refused, and what a policy that wants them signed counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../federation/tests/it/passkey/soft.rs"]
#[expect(dead_code, reason = "the authenticator can lie in more ways than are tried here")]
mod soft;

use bailee_rooms::Failure;
use bailee_rooms::consent::{
    ApprovalAsked, AskApproval, ConsentPolicy, Decide, Decided, Decision, NoCoverage, Scope,
    SetConsentPolicy, WithdrawRequest,
};
use bailee_rooms::gate::{Caller, Operation, RefusalKind};
use bailee_rooms::identity::{
    Act, AttachPolicy, BeginPasskey, CreateLoginProfile, CreateUser, DeleteUser, DetachPolicy, Entity,
    FinishPasskey, PolicyType, RemovePasskey, SignIn,
};
use bailee_testkit::{TestHouse, TestTenant, bucket, on_each_engine, origin};
use bailee_types::{GrantId, PolicyName, SecretText, TicketId, UserName};
use serde_json::Value;
use soft::{Soft, UP};

const OBJECT: (&str, &str) = ("acme-invoices", "2026/1.pdf");
const PASSWORD: &str = "correct horse 1";

/// Somebody at the console with his passkey.
struct Person {
    token: String,
    caller: Caller,
    key: Soft,
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn administrator() -> PolicyName {
    PolicyName::parse("AdministratorAccess").unwrap()
}

/// A user who signs in and binds a passkey with this credential id.
async fn person(t: &TestHouse, acme: &TestTenant, name: &str, id: u8) -> Person {
    let by = acme.root.clone();
    t.house.perform(by.clone(), CreateUser::named(user(name)).of(&acme.id)).await.unwrap();
    let password = SecretText::new(PASSWORD.into());
    let profile = CreateLoginProfile::new(user(name), password.clone());
    t.house.perform(by.clone(), profile.of(&acme.id)).await.unwrap();
    let attach =
        AttachPolicy { to: Entity::User(user(name)), kind: PolicyType::System, policy: administrator() };
    t.house.perform(by, attach.of(&acme.id)).await.unwrap();
    let who = SignIn::Tenant { tenant: "acme".into(), user: name.into(), password };
    let token = t.house.sign_in(who, origin()).await.unwrap();
    let caller = t.house.session(token.expose(), origin()).await.unwrap().unwrap().caller;
    // Handles are the house's: the device answers without one.
    let mut key = Soft { id: vec![id; 20], user_handle: None, ..Soft::es256() };
    let begin = BeginPasskey { tenant: acme.id.clone(), token: token.expose().to_owned() };
    let options = t.house.perform(caller.clone(), begin).await.unwrap();
    let response = String::from_utf8(key.create(&options.0)).unwrap();
    let finish = FinishPasskey {
        tenant: acme.id.clone(),
        token: token.expose().to_owned(),
        label: "laptop".into(),
        response,
    };
    let bound = t.house.perform(caller, finish).await.unwrap();
    let told = FinishPasskey::outcome_detail(&bound);
    assert_eq!(told["passkey"]["act"], "bind");
    assert!(told["passkey"]["fingerprint"].as_str().unwrap().starts_with("SHA256:"), "{told:?}");
    let token = bound.token.expose().to_owned();
    let caller = t.house.session(&token, origin()).await.unwrap().unwrap().caller;
    key.counter = 2;
    Person { token, caller, key }
}

/// A tenant, an operator who works on its ticket; passkeys are offered.
async fn acme(t: &TestHouse) -> (TestTenant, Caller, TicketId) {
    t.house.serve_at(&["https://trust.example".to_owned()]).unwrap();
    let acme = t.tenant("acme").await;
    acme.make_bucket(t, OBJECT.0).await;
    acme.put(t, OBJECT.0, OBJECT.1, "pumps").await;
    let ticket = acme.ticket(t).await;
    (acme, t.operator("op-lin", "support", "CN").await, ticket)
}

async fn demand(t: &TestHouse, acme: &TestTenant, policy: ConsentPolicy) {
    let set = SetConsentPolicy { tenant: acme.id.clone(), policy, approvers: Vec::new() };
    t.house.perform(acme.root.clone(), set).await.unwrap();
}

fn signed_only(approvals: u32) -> ConsentPolicy {
    ConsentPolicy { signed: true, approvals, ..ConsentPolicy::default() }
}

fn wish(acme: &TestTenant, who: &Person, grant: &GrantId) -> AskApproval {
    AskApproval {
        tenant: acme.id.clone(),
        token: who.token.clone(),
        id: grant.clone(),
        minutes: 30,
        uses_max: 3,
        scope: None,
    }
}

async fn asked(t: &TestHouse, acme: &TestTenant, who: &Person, grant: &GrantId) -> ApprovalAsked {
    t.house.perform(who.caller.clone(), wish(acme, who, grant)).await.unwrap()
}

/// Sends an answer; the device counts on.
async fn send(
    t: &TestHouse,
    acme: &TestTenant,
    who: &Person,
    (statement, answer): (&str, &str),
) -> Result<Decided, Failure> {
    let parts = (who.token.clone(), statement.to_owned(), answer.to_owned());
    t.house.perform(who.caller.clone(), Decide::signed(acme.id.clone(), parts)?).await
}

async fn sign(
    t: &TestHouse,
    acme: &TestTenant,
    who: &mut Person,
    grant: &GrantId,
) -> Result<Decided, Failure> {
    let asked = asked(t, acme, who, grant).await;
    let answer = who.key.get(&asked.options.0).to_string();
    who.key.counter += 1;
    send(t, acme, who, (&asked.statement, &answer)).await
}

fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result.unwrap_err() {
        e @ (Failure::Invalid { .. } | Failure::Conflict(_) | Failure::NotFound { .. }) => e.to_string(),
        other => panic!("refused for another reason: {other}"),
    }
}

#[test]
fn a_passkey_signs_the_words_and_the_record_has_all_to_check_them() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let mut li = person(&t, &acme, "li", 7).await;
        demand(&t, &acme, signed_only(1)).await;
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();

        let plain =
            Decide::new(acme.id.clone(), grant.clone(), Decision::Approve { minutes: 30, uses_max: 3 });
        let said = refused(t.house.perform(li.caller.clone(), plain).await);
        assert!(said.contains("takes signed approvals only") && said.contains("My sign-in"), "{said}");
        let root = AskApproval { token: String::new(), ..wish(&acme, &li, &grant) };
        let said = refused(t.house.perform(acme.root.clone(), root).await);
        assert!(said.contains("you have no passkey"), "{said}");

        let done = sign(&t, &acme, &mut li, &grant).await.unwrap();
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        let told = Decide::outcome_detail(&done)["consent"].clone();
        assert_eq!((&told["act"], &told["approvedBy"][0]), (&Value::from("approve"), &Value::from("li")));
        let signature = &told["signature"];
        let get = |name: &str| signature[name].as_str().unwrap();
        for line in [
            format!("grant {grant}"),
            format!("tenant {}", acme.id),
            "approver \"li\"".into(),
            "object \"acme-invoices/2026/1.pdf\"".into(),
            "narrowed no".into(),
            "minutes 30".into(),
            "reads 3".into(),
            "time 2026-11-25T12:00:00Z".into(),
        ] {
            assert!(get("statement").lines().any(|l| l == line), "{line}: {}", get("statement"));
        }
        // As `bailee-verify` does.
        let assertion = bailee_proof::passkey::Assertion {
            public_key: get("publicKey"),
            authenticator_data: get("authenticatorData"),
            client_data: get("clientDataJSON"),
            signature: get("signature"),
        };
        let signed = assertion.open().unwrap();
        let client: Value = serde_json::from_slice(&signed.client_data).unwrap();
        assert_eq!(client["challenge"], bailee_proof::passkey::challenge(get("statement")));
        assert!(signed.is_for("trust.example"));

        // With its user goes his passkey, and the record says so.
        let told = DeleteUser::outcome(&vec!["id".to_owned()]);
        assert_eq!(told["passkey"]["credentialIds"][0], "id");
    });
}

#[test]
fn an_answer_counts_once_for_its_own_words_and_person() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let (li, wang) = (person(&t, &acme, "li", 7).await, person(&t, &acme, "wang", 8).await);
        let ask = async || acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        let (one, two) = (ask().await, ask().await);

        let begun = asked(&t, &acme, &li, &one).await;
        let answer = li.key.get(&begun.options.0).to_string();
        for (from, to, wanted) in [
            ("reads 3", "reads 2", "another challenge"),
            ("minutes 30", "minutes 29", "another challenge"),
            (one.as_str(), two.as_str(), "another challenge"),
            ("narrowed no", "narrowed perhaps", "cannot be read"),
            ("nonce ", "nonce  ", "cannot be read"),
        ] {
            let changed = begun.statement.replace(from, to);
            assert_ne!(changed, begun.statement);
            let said = refused(send(&t, &acme, &li, (&changed, &answer)).await);
            assert!(said.contains(wanted), "{from}: {said}");
        }
        // Another person's device, a device that was only touched, a copy, an answer to a sign-on.
        let bent = |key: Soft| key.get(&begun.options.0).to_string();
        let other = wang.key.get(&begun.options.0).to_string();
        assert!(refused(send(&t, &acme, &li, (&begun.statement, &other)).await).contains("of yours"));
        let key = |change: fn(&mut Soft)| {
            let mut key = Soft { id: li.key.id.clone(), user_handle: None, ..Soft::es256() };
            key.counter = 2;
            change(&mut key);
            key
        };
        let said = refused(send(&t, &acme, &li, (&begun.statement, &bent(key(|_| {})))).await);
        assert!(said.contains("signature does not verify"), "{said}");
        let said = refused(send(&t, &acme, &li, (&begun.statement, &bent(key(|k| k.flags = UP)))).await);
        assert!(said.contains("did not verify the person"), "{said}");
        let said = refused(send(&t, &acme, &li, (&begun.statement, "{}")).await);
        assert!(said.contains("missing or cannot be read"), "{said}");
        // In another session, also one of his own, nothing waits.
        let said = refused(send(&t, &acme, &wang, (&begun.statement, &answer)).await);
        assert!(said.contains("nothing is under way"), "{said}");

        // None of it used it up; after it was used, it is.
        send(&t, &acme, &li, (&begun.statement, &answer)).await.unwrap();
        let said = refused(send(&t, &acme, &li, (&begun.statement, &answer)).await);
        assert!(said.contains("nothing is under way"), "{said}");

        // A counter that stands still is a copy; five minutes are the end.
        let begun = asked(&t, &acme, &li, &two).await;
        let answer = li.key.get(&begun.options.0).to_string();
        let said = refused(send(&t, &acme, &li, (&begun.statement, &answer)).await);
        assert!(said.contains("may be a copy"), "{said}");
        t.clock.advance_ms(5 * 60_000);
        let said = refused(send(&t, &acme, &li, (&begun.statement, &answer)).await);
        assert!(said.contains("took too long"), "{said}");

        // More than was asked for, or for what is over, is not given to sign.
        for bad in [
            AskApproval { minutes: 31, ..wish(&acme, &li, &two) },
            AskApproval { uses_max: 0, ..wish(&acme, &li, &two) },
            AskApproval {
                scope: Some(Scope::Prefix { bucket: bucket(OBJECT.0), prefix: String::new() }),
                ..wish(&acme, &li, &two)
            },
            wish(&acme, &li, &one),
            wish(&acme, &li, &GrantId::random()),
        ] {
            refused(t.house.perform(li.caller.clone(), bad).await);
        }
        // Nor to somebody whom RAM does not let approve, or of another tenant.
        let globex = t.tenant("globex").await;
        let foreign = t.house.perform(globex.root.clone(), wish(&acme, &li, &two)).await;
        assert!(matches!(foreign, Err(Failure::Refused(_))), "{foreign:?}");
        let from = Entity::User(user("wang"));
        let detach = DetachPolicy { from, kind: PolicyType::System, policy: administrator() };
        t.house.perform(acme.root.clone(), detach.of(&acme.id)).await.unwrap();
        let now = t.house.session(&wang.token, origin()).await.unwrap().unwrap().caller;
        let barred = t.house.perform(now, wish(&acme, &wang, &two)).await;
        assert!(matches!(barred, Err(Failure::Refused(_))), "{barred:?}");
    });
}

#[test]
fn what_was_signed_and_is_over_opens_nothing() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let li = person(&t, &acme, "li", 7).await;
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        let begun = asked(&t, &acme, &li, &grant).await;
        let answer = li.key.get(&begun.options.0).to_string();
        let withdraw = WithdrawRequest { tenant: acme.id.clone(), id: grant.clone() };
        t.house.perform(lin.clone(), withdraw).await.unwrap();
        let said = refused(send(&t, &acme, &li, (&begun.statement, &answer)).await);
        assert!(said.contains("is Withdrawn now"), "{said}");

        // A policy that became stricter since, and a passkey that was removed meanwhile.
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        let begun = asked(&t, &acme, &li, &grant).await;
        let answer = li.key.get(&begun.options.0).to_string();
        demand(&t, &acme, ConsentPolicy { minutes_max: 10, ..signed_only(1) }).await;
        let said = refused(send(&t, &acme, &li, (&begun.statement, &answer)).await);
        assert!(said.contains("must be 1 to 10"), "{said}");
        demand(&t, &acme, signed_only(1)).await;
        let id = id_in(&answer);
        let remove = RemovePasskey { tenant: acme.id.clone(), id: id.clone() };
        let removed = t.house.perform(li.caller.clone(), remove).await.unwrap();
        assert_eq!(RemovePasskey::outcome_detail(&removed)["passkey"]["credentialId"], id);
        assert!(refused(send(&t, &acme, &li, (&begun.statement, &answer)).await).contains("of yours"));
    });
}

fn id_in(answer: &str) -> String {
    serde_json::from_str::<Value>(answer).unwrap()["rawId"].as_str().unwrap().to_owned()
}

#[test]
fn only_signed_approvals_count_where_the_policy_wants_them() {
    on_each_engine(async |t| {
        let (acme, lin, ticket) = acme(&t).await;
        let (mut li, mut wang) = (person(&t, &acme, "li", 7).await, person(&t, &acme, "wang", 8).await);
        demand(&t, &acme, ConsentPolicy { approvals: 2, ..ConsentPolicy::default() }).await;
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        let yes = Decision::Approve { minutes: 30, uses_max: 3 };
        let plain = Decide::new(acme.id.clone(), grant.clone(), yes);
        assert!(t.house.perform(acme.root.clone(), plain).await.unwrap().waits());
        // Root's was not signed: from now on it does not count, and two others are needed.
        demand(&t, &acme, signed_only(2)).await;
        let first = sign(&t, &acme, &mut li, &grant).await.unwrap();
        assert!(first.waits() && first.approved_by == ["li"], "{first:?}");
        match acme.read(&t, &lin, &ticket, OBJECT).await {
            Err(Failure::Refused(no)) => assert_eq!(*no.kind(), RefusalKind::NoConsent(NoCoverage::Waiting)),
            other => panic!("it was not refused, or otherwise: {:?}", other.err()),
        }
        assert!(refused(sign(&t, &acme, &mut li, &grant).await).contains("has your approval already"));
        // For less: the words have it, and the least of both is given.
        let begun = AskApproval { uses_max: 1, minutes: 10, ..wish(&acme, &wang, &grant) };
        let begun = t.house.perform(wang.caller.clone(), begun).await.unwrap();
        let answer = wang.key.get(&begun.options.0).to_string();
        wang.key.counter += 1;
        let second = send(&t, &acme, &wang, (&begun.statement, &answer)).await.unwrap();
        assert_eq!(second.approved_by, ["li", "wang"]);
        assert_eq!(second.until, Some(t.house.now().plus_ms(10 * 60_000)));
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        assert!(acme.read(&t, &lin, &ticket, OBJECT).await.is_err());
    });
}
