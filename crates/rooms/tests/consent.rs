//! Consent at its edges, on both engines: an operator reads exactly what a live grant covers, and nothing after it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bailee_rooms::Failure;
use bailee_rooms::consent::{Because, Decision, ListConsents, NoCoverage, RequestConsent, Scope};
use bailee_rooms::gate::RefusalKind;
use bailee_rooms::identity::SetOperatorState;
use bailee_rooms::tickets::CloseTicket;
use bailee_rooms::trail::{ActEnd, ActFilter};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bailee_types::OperatorId;

const OBJECT: (&str, &str) = ("acme-invoices", "1.pdf");
const YES: Decision = Decision::Approve { minutes: 30, uses_max: 3 };
const MINUTE_MS: i64 = 60_000;

fn refusal<T>(result: Result<T, Failure>) -> RefusalKind {
    match result {
        Err(Failure::Refused(refusal)) => {
            assert!(refusal.record().is_some(), "a refusal stands in the log");
            refusal.kind().clone()
        }
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

async fn acme(t: &TestHouse) -> TestTenant {
    let acme = t.tenant("acme").await;
    acme.make_bucket(t, OBJECT.0).await;
    acme.put(t, OBJECT.0, OBJECT.1, "pumps").await;
    acme.put(t, OBJECT.0, "2.pdf", "valves").await;
    acme
}

#[test]
fn a_grant_for_a_beginning_of_keys_covers_what_begins_so_and_nothing_else() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        acme.make_bucket(&t, "acme-other").await;
        acme.put(&t, "acme-other", "2026/1.pdf", "theirs").await;
        for key in ["2026/1.pdf", "2026/2.pdf", "2025/1.pdf"] {
            acme.put(&t, OBJECT.0, key, "pumps").await;
        }
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let ask = RequestConsent {
            tenant: acme.id.clone(),
            ticket: ticket.clone(),
            scope: Scope::Prefix { bucket: bucket(OBJECT.0), prefix: "2026/".into() },
            minutes: 30,
            uses_max: 3,
            reason: "they open blank".into(),
            because: Because::default(),
        };
        let climbing = Scope::Prefix { bucket: bucket(OBJECT.0), prefix: "../".into() };
        let refused = t.house.perform(lin.clone(), RequestConsent { scope: climbing, ..ask.clone() }).await;
        assert!(matches!(refused, Err(Failure::Invalid { .. })), "{refused:?}");
        let grant = t.house.perform(lin.clone(), ask).await.unwrap().id;
        let read = async |of| acme.read(&t, &lin, &ticket, of).await;
        let waits = read((OBJECT.0, "2026/1.pdf")).await;
        assert_eq!(refusal(waits), RefusalKind::NoConsent(NoCoverage::Waiting));
        acme.decide(&t, &grant, YES).await.unwrap();
        for of in [(OBJECT.0, "2025/1.pdf"), (OBJECT.0, "1.pdf"), ("acme-other", "2026/1.pdf")] {
            assert_eq!(refusal(read(of).await), RefusalKind::NoConsent(NoCoverage::NotAsked), "{of:?}");
        }
        for key in ["2026/1.pdf", "2026/2.pdf", "2026/1.pdf"] {
            assert_eq!(read((OBJECT.0, key)).await.unwrap().grant, grant);
        }
        let fourth = read((OBJECT.0, "2026/2.pdf")).await;
        assert_eq!(refusal(fourth), RefusalKind::NoConsent(NoCoverage::Exhausted));
    });
}

#[test]
fn each_step_to_a_grant_is_needed_and_says_what_is_missing() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let read = async || acme.read(&t, &lin, &ticket, OBJECT).await;
        assert_eq!(refusal(read().await), RefusalKind::NoConsent(NoCoverage::NotAsked));
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        assert_eq!(refusal(read().await), RefusalKind::NoConsent(NoCoverage::Waiting));
        acme.decide(&t, &grant, YES).await.unwrap();
        let window = read().await.unwrap();
        assert_eq!((&window.bytes[..], &window.grant), (&b"pumps"[..], &grant));
        let other = acme.read(&t, &lin, &ticket, (OBJECT.0, "2.pdf")).await;
        assert_eq!(refusal(other), RefusalKind::NoConsent(NoCoverage::NotAsked));
        let mei = t.operator("op-mei", "support", "CN").await;
        let theirs = acme.read(&t, &mei, &ticket, OBJECT).await;
        assert_eq!(
            refusal(theirs),
            RefusalKind::NoConsent(NoCoverage::NotAsked),
            "a grant is one operator's"
        );
        let second = acme.ticket(&t).await;
        let elsewhere = acme.read(&t, &lin, &second, OBJECT).await;
        assert_eq!(refusal(elsewhere), RefusalKind::NoConsent(NoCoverage::NotAsked), "and one ticket's");
    });
}

#[test]
fn a_grant_ends_to_the_millisecond_and_by_the_count() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        acme.decide(&t, &grant, YES).await.unwrap();
        t.clock.advance_ms(30 * MINUTE_MS - 1);
        acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        t.clock.advance_ms(1);
        let late = refusal(acme.read(&t, &lin, &ticket, OBJECT).await);
        assert_eq!(late, RefusalKind::NoConsent(NoCoverage::Expired));

        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        acme.decide(&t, &grant, Decision::Approve { minutes: 30, uses_max: 2 }).await.unwrap();
        for _ in 0..2 {
            acme.read(&t, &lin, &ticket, OBJECT).await.unwrap();
        }
        let third = refusal(acme.read(&t, &lin, &ticket, OBJECT).await);
        assert_eq!(third, RefusalKind::NoConsent(NoCoverage::Exhausted));
    });
}

#[test]
fn what_is_live_is_not_hidden_by_what_is_asked_after_it() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let live = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        acme.decide(&t, &live, YES).await.unwrap();
        for _ in 0..30 {
            t.clock.advance_ms(1);
            let id = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
            acme.decide(&t, &id, Decision::Deny).await.unwrap();
        }
        let list = ListConsents { tenant: acme.id.clone(), requests_max: 10 };
        let shown = t.house.perform(acme.root.clone(), list).await.unwrap();
        assert!(shown.iter().any(|r| r.id == live), "the live grant is shown");
        assert_eq!(shown.len(), 10);
        // What waits is bounded: nobody floods a tenant.
        let mut waiting = 1;
        let no = loop {
            match acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await {
                Ok(_) => waiting += 1,
                Err(no) => break no,
            }
            assert!(waiting < 100);
        };
        assert!(matches!(no, Failure::Conflict(_)), "{no}");
        assert_eq!(waiting, 50);
    });
}

#[test]
fn a_reason_is_plain_text() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        for (reason, reference) in [
            ("it opens\u{1b}[2J blank", ""),
            ("it opens\u{202e} blank", ""),
            ("it opens blank", "R-\u{2066}1"),
        ] {
            let ask = RequestConsent {
                tenant: acme.id.clone(),
                ticket: ticket.clone(),
                scope: Scope::object(bucket(OBJECT.0), key(OBJECT.1)),
                minutes: 30,
                uses_max: 1,
                reason: reason.into(),
                because: Because { reference: reference.into(), ..Because::default() },
            };
            let no = t.house.perform(lin.clone(), ask).await;
            assert!(matches!(no, Err(Failure::Invalid { .. })), "{reason:?} {:?}", no.map(drop));
        }
    });
}

#[test]
fn revoke_deny_lapse_ticket_and_operator_each_end_it() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let live = async |ticket: &_| {
            let grant = acme.ask(&t, &lin, ticket, OBJECT, (30, 3)).await.unwrap();
            acme.decide(&t, &grant, YES).await.unwrap();
            acme.read(&t, &lin, ticket, OBJECT).await.unwrap();
            grant
        };
        let no = async |ticket: &_| refusal(acme.read(&t, &lin, ticket, OBJECT).await);

        let ticket = acme.ticket(&t).await;
        let grant = live(&ticket).await;
        acme.decide(&t, &grant, Decision::Revoke).await.unwrap();
        assert_eq!(no(&ticket).await, RefusalKind::NoConsent(NoCoverage::Revoked));

        let ticket = acme.ticket(&t).await;
        let denied = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        acme.decide(&t, &denied, Decision::Deny).await.unwrap();
        assert_eq!(no(&ticket).await, RefusalKind::NoConsent(NoCoverage::Denied));
        assert!(acme.decide(&t, &denied, YES).await.is_err(), "what was denied stays denied");

        let ticket = acme.ticket(&t).await;
        let unanswered = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        t.clock.advance_ms(72 * 60 * MINUTE_MS);
        assert_eq!(no(&ticket).await, RefusalKind::NoConsent(NoCoverage::Lapsed));
        assert!(acme.decide(&t, &unanswered, YES).await.is_err(), "silence was a no");

        let ticket = acme.ticket(&t).await;
        live(&ticket).await;
        let close = CloseTicket { tenant: acme.id.clone(), ticket: ticket.clone() };
        t.house.perform(acme.root.clone(), close).await.unwrap();
        assert_eq!(no(&ticket).await, RefusalKind::NoTicket);

        let ticket = acme.ticket(&t).await;
        live(&ticket).await;
        let set = |active| SetOperatorState { id: OperatorId::parse("op-lin").unwrap(), active };
        t.house.perform(t.house.system_caller("test"), set(false)).await.unwrap();
        assert_eq!(no(&ticket).await, RefusalKind::NoConsent(NoCoverage::OperatorDisabled));
    });
}

#[test]
fn what_is_approved_is_never_more_than_what_was_asked() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        for (minutes, uses_max) in [(31, 3), (30, 4), (0, 3), (30, 0), (u32::MAX, u32::MAX)] {
            let decided = acme.decide(&t, &grant, Decision::Approve { minutes, uses_max }).await;
            assert!(decided.is_err(), "{minutes} minutes, {uses_max} uses");
        }
        for (minutes, uses) in [(0, 1), (1441, 1), (1, 0), (1, 1001)] {
            assert!(acme.ask(&t, &lin, &ticket, OBJECT, (minutes, uses)).await.is_err());
        }
        let globex = t.tenant("globex").await;
        assert!(globex.decide(&t, &grant, YES).await.is_err(), "another tenant decides nothing here");
        acme.decide(&t, &grant, YES).await.unwrap();
    });
}

#[test]
fn an_operator_elsewhere_or_of_another_role_reads_nothing() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let mei = t.operator("op-mei", "support", "SG").await;
        let ticket = acme.ticket(&t).await;
        let grant = acme.ask(&t, &mei, &ticket, OBJECT, (30, 3)).await.unwrap();
        acme.decide(&t, &grant, YES).await.unwrap();
        let abroad = refusal(acme.read(&t, &mei, &ticket, OBJECT).await);
        assert!(matches!(abroad, RefusalKind::Residency { .. }), "{abroad:?}");
        let wu = t.operator("op-wu", "stability", "CN").await;
        let role = refusal(acme.read(&t, &wu, &ticket, OBJECT).await);
        assert!(matches!(role, RefusalKind::OperatorRole { .. }), "{role:?}");
        // The tenant's own way in is closed to operators, whatever they hold.
        let read = acme.get(&t, &mei, OBJECT.0, OBJECT.1).await;
        refusal(read.map(drop));
    });
}

/// Sixteen reads race one revoke. In the log's order, no read that began after the revoke was done.
#[test]
fn no_read_follows_the_revoke() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        for _ in 0..5 {
            let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 1000)).await.unwrap();
            acme.decide(&t, &grant, Decision::Approve { minutes: 30, uses_max: 1000 }).await.unwrap();
            let mut reads = tokio::task::JoinSet::new();
            for _ in 0..16 {
                let (house, lin) = (t.house.clone(), lin.clone());
                let read = acme.read_of(&ticket, OBJECT);
                reads.spawn(async move { house.perform(lin, read).await.is_ok() });
            }
            acme.decide(&t, &grant, Decision::Revoke).await.unwrap();
            while reads.join_next().await.is_some() {}
            let page = t.house.acts(&acme.id, &ActFilter::default(), None, 1000).await.unwrap();
            let revoke = page.acts.iter().find(|a| a.event_name == "RevokeConsent").unwrap();
            let ActEnd::Ended { record: revoked, .. } = revoke.end else { panic!("{revoke:?}") };
            for act in page.acts.iter().filter(|a| a.event_name == "GetObject" && a.grant == grant.as_str()) {
                let done = matches!(&act.end, ActEnd::Ended { result, .. } if result == "done");
                assert!(!done || act.record < revoked, "read {} was done after revoke {revoked}", act.record);
            }
        }
    });
}

/// Reads race for the last uses of a grant, from two processes: never more are done than were granted.
#[test]
fn uses_are_counted_once_across_processes() {
    on_each_engine(async |t| {
        let acme = acme(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let grant = acme.ask(&t, &lin, &ticket, OBJECT, (30, 3)).await.unwrap();
        acme.decide(&t, &grant, YES).await.unwrap();
        let second = t.second();
        let mut reads = tokio::task::JoinSet::new();
        for n in 0..20 {
            let house = if n % 2 == 0 { t.house.clone() } else { second.house.clone() };
            let lin = lin.clone();
            let read = acme.read_of(&ticket, OBJECT);
            reads.spawn(async move { house.perform(lin, read).await.is_ok() });
        }
        let mut done = 0;
        while let Some(ok) = reads.join_next().await {
            done += u32::from(ok.unwrap());
        }
        assert_eq!(done, 3);
    });
}
