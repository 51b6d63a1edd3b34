//! What leaves a jurisdiction, on both engines: nothing without a live row of the register, and each move is written down first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use bailee_rooms::Failure;
use bailee_rooms::consent::Decision;
use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::residency::{
    ChangeTransfer, ListMoves, ListTransfers, RegisterTransfer, Told, Transfer, TransferChange,
    TransferDocument, TransferState,
};
use bailee_rooms::trail::{ActEnd, ActFilter};
use bailee_rooms::vault::WINDOW_LEN;
use bailee_testkit::{TestHouse, TestTenant, on_each_engine};
use bailee_types::TicketId;

const OBJECT: (&str, &str) = ("acme-invoices", "2026/1.pdf");
const DAY_MS: i64 = 86_400_000;

fn told() -> Told {
    let day = "2026-11-01".to_owned();
    let facts = ["signed_on", "filing_no", "pipia", "separate_consent"].map(|n| (n.to_owned(), day.clone()));
    Told {
        exporter_role: "controller".into(),
        importer: "Bailee SG Pte. Ltd., support".into(),
        importer_role: "processor".into(),
        purpose: "support of the billing run".into(),
        data_categories: "invoices".into(),
        sensitive: false,
        subjects: "customers, about 900".into(),
        facts: BTreeMap::from(facts),
        documents: vec![TransferDocument { name: "contract.pdf".into(), sha256: "ab".repeat(32) }],
    }
}

fn to_sg(t: &TestHouse, acme: &TestTenant, days: i64) -> RegisterTransfer {
    RegisterTransfer {
        from: None,
        tenant: acme.id.clone(),
        to: "SG".into(),
        resources: vec!["acme-invoices/2026/".into()],
        basis: "cn-38-3".into(),
        told: told(),
        valid_from: None,
        valid_until: t.house.now().plus_ms(days * DAY_MS),
    }
}

async fn change(t: &TestHouse, acme: &TestTenant, id: &str, change: TransferChange) -> Result<(), Failure> {
    let op = ChangeTransfer { tenant: acme.id.clone(), id: id.to_owned(), change, reason: "why".into() };
    t.house.perform(acme.root.clone(), op).await
}

async fn register(t: &TestHouse, acme: &TestTenant) -> Vec<Transfer> {
    t.house.perform(acme.root.clone(), ListTransfers { tenant: acme.id.clone() }).await.unwrap()
}

/// A tenant in China, an operator in Singapore with consent to read two objects.
async fn abroad(t: &TestHouse) -> (TestTenant, Caller, TicketId) {
    let acme = t.tenant("acme").await;
    acme.make_bucket(t, OBJECT.0).await;
    let mei = t.operator("op-mei", "support", "SG").await;
    let ticket = acme.ticket(t).await;
    for name in [OBJECT.1, "2025/1.pdf"] {
        acme.put(t, OBJECT.0, name, "pumps").await;
        let grant = acme.ask(t, &mei, &ticket, (OBJECT.0, name), (1440, 1000)).await.unwrap();
        acme.decide(t, &grant, Decision::Approve { minutes: 1440, uses_max: 1000 }).await.unwrap();
    }
    (acme, mei, ticket)
}

fn refused<T>(read: Result<T, Failure>) -> bool {
    match read {
        Ok(_) => false,
        Err(Failure::Refused(no)) => {
            assert!(matches!(no.kind(), RefusalKind::Residency { .. }), "{no}");
            true
        }
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn a_read_from_abroad_needs_a_live_transfer_and_is_written_down() {
    on_each_engine(async |t| {
        let (acme, mei, ticket) = abroad(&t).await;
        let read = async |name: &str| acme.read(&t, &mei, &ticket, (OBJECT.0, name)).await;
        assert!(refused(read(OBJECT.1).await));
        let id = t.house.perform(acme.root.clone(), to_sg(&t, &acme, 30)).await.unwrap();
        let window = read(OBJECT.1).await.unwrap();
        assert_eq!((&window.bytes[..], window.transfer.as_deref()), (&b"pumps"[..], Some(id.as_str())));
        assert!(refused(read("2025/1.pdf").await), "another prefix");
        let row = register(&t, &acme).await.remove(0);
        assert_eq!((row.moves, row.moved_bytes, row.from.as_str()), (1, 5, "CN"));
        let moves = ListMoves { tenant: acme.id.clone(), id: id.clone(), before: None, rows_max: 10 };
        let (_, moves) = t.house.perform(acme.root.clone(), moves).await.unwrap();
        assert_eq!(
            (moves[0].record, moves[0].resource.as_str()),
            (window.record, "acme-invoices/2026/1.pdf")
        );
        // Stopped, it covers nothing at once; it goes on, it ends.
        change(&t, &acme, &id, TransferChange::Suspend).await.unwrap();
        assert!(refused(read(OBJECT.1).await));
        assert!(matches!(change(&t, &acme, &id, TransferChange::Suspend).await, Err(Failure::Conflict(_))));
        change(&t, &acme, &id, TransferChange::Resume).await.unwrap();
        read(OBJECT.1).await.unwrap();
        change(&t, &acme, &id, TransferChange::End).await.unwrap();
        assert!(refused(read(OBJECT.1).await));
        assert!(matches!(change(&t, &acme, &id, TransferChange::Resume).await, Err(Failure::Conflict(_))));
        assert_eq!(register(&t, &acme).await[0].state(t.house.now()), TransferState::Ended);
        // What was told stands in the log.
        let page = t.house.acts(&acme.id, &ActFilter::default(), None, 100).await.unwrap();
        let acts =
            [("RegisterTransfer", 1), ("SuspendTransfer", 2), ("ResumeTransfer", 2), ("EndTransfer", 1)];
        for (name, tried) in acts {
            assert_eq!(page.acts.iter().filter(|a| a.event_name == name).count(), tried, "{name}");
        }
    });
}

#[test]
fn a_transfer_ends_with_its_time_and_is_only_for_its_place() {
    on_each_engine(async |t| {
        let (acme, mei, ticket) = abroad(&t).await;
        let mut elsewhere = to_sg(&t, &acme, 30);
        elsewhere.to = "JP".into();
        t.house.perform(acme.root.clone(), elsewhere).await.unwrap();
        assert!(refused(acme.read(&t, &mei, &ticket, OBJECT).await), "to another place");
        let mut later = to_sg(&t, &acme, 30);
        later.valid_from = Some(t.house.now().plus_ms(60_000));
        later.valid_until = t.house.now().plus_ms(120_000);
        t.house.perform(acme.root.clone(), later).await.unwrap();
        assert!(refused(acme.read(&t, &mei, &ticket, OBJECT).await), "not yet");
        t.clock.advance_ms(60_000);
        acme.read(&t, &mei, &ticket, OBJECT).await.unwrap();
        t.clock.advance_ms(60_000);
        assert!(refused(acme.read(&t, &mei, &ticket, OBJECT).await), "not any more");
    });
}

#[test]
fn what_is_registered_has_a_form_and_is_the_tenants() {
    on_each_engine(async |t| {
        let (acme, mei, _) = abroad(&t).await;
        let globex = t.tenant("globex").await;
        let good = || to_sg(&t, &acme, 30);
        type Spoil = Box<dyn Fn(&mut RegisterTransfer)>;
        let wrong: Vec<(&str, Spoil)> = vec![
            ("to", Box::new(|r| r.to = "sg".into())),
            ("to", Box::new(|r| r.to = "CN".into())),
            ("resources", Box::new(|r| r.resources.clear())),
            ("resources", Box::new(|r| r.resources = vec!["../x".into()])),
            ("resources", Box::new(|r| r.resources = vec!["acme-invoices/\n".into()])),
            ("importer", Box::new(|r| r.told.importer.clear())),
            ("importerRole", Box::new(|r| r.told.importer_role = "friend".into())),
            ("documents", Box::new(|r| r.told.documents[0].sha256 = "AB".repeat(32))),
            ("validUntil", Box::new(|r| r.valid_until = r.valid_until.plus_ms(-31 * DAY_MS))),
            ("basis", Box::new(|r| r.basis = "because".into())),
            ("basis", Box::new(|r| r.basis = "scc-m2".into())),
            ("basis", Box::new(|r| r.basis = "cn-41".into())),
            ("basis", Box::new(|r| drop(r.told.facts.remove("pipia")))),
            ("basis", Box::new(|r| r.told.documents.clear())),
        ];
        for (field, spoil) in wrong {
            let mut register = good();
            spoil(&mut register);
            let refused = t.house.perform(acme.root.clone(), register).await;
            assert!(
                matches!(&refused, Err(Failure::Invalid { field: f, .. }) if *f == field),
                "{field}: {refused:?}"
            );
        }
        for other in [mei, globex.root.clone()] {
            assert!(matches!(t.house.perform(other, good()).await, Err(Failure::Refused(_))));
        }
        assert!(register(&t, &acme).await.is_empty());
        let id = t.house.perform(acme.root.clone(), good()).await.unwrap();
        let theirs = ChangeTransfer {
            tenant: globex.id.clone(),
            id,
            change: TransferChange::End,
            reason: String::new(),
        };
        assert!(matches!(t.house.perform(globex.root.clone(), theirs).await, Err(Failure::NotFound { .. })));
    });
}

/// Sixteen reads race one suspension. In the log's order, no read that began after it was done.
#[test]
fn no_read_follows_the_suspension() {
    on_each_engine(async |t| {
        let (acme, mei, ticket) = abroad(&t).await;
        for _ in 0..4 {
            let id = t.house.perform(acme.root.clone(), to_sg(&t, &acme, 30)).await.unwrap();
            let mut reads = tokio::task::JoinSet::new();
            for _ in 0..16 {
                let (house, mei, read) = (t.house.clone(), mei.clone(), acme.read_of(&ticket, OBJECT));
                reads.spawn(async move { house.perform(mei, read).await.is_ok() });
            }
            change(&t, &acme, &id, TransferChange::Suspend).await.unwrap();
            while reads.join_next().await.is_some() {}
            let page = t.house.acts(&acme.id, &ActFilter::default(), None, 1000).await.unwrap();
            let stop = page.acts.iter().find(|a| a.event_name == "SuspendTransfer").unwrap();
            let ActEnd::Ended { record: stopped, .. } = stop.end else { panic!("{stop:?}") };
            let list = ListMoves { tenant: acme.id.clone(), id: id.clone(), before: None, rows_max: 100 };
            let (_, moves) = t.house.perform(acme.root.clone(), list).await.unwrap();
            for m in &moves {
                assert!(m.record < stopped, "{} moved after the stop {stopped}", m.record);
            }
            let done = |a: &&bailee_rooms::trail::Act| {
                matches!(&a.end, ActEnd::Ended { result, .. } if result == "done")
                    && a.event_name == "GetObject"
            };
            let after = page.acts.iter().filter(done).filter(|a| a.record > stopped).count();
            assert_eq!(after, 0);
        }
    });
}

#[test]
fn a_long_read_stops_at_its_next_window() {
    on_each_engine(async |t| {
        let (acme, mei, ticket) = abroad(&t).await;
        let len = usize::try_from(WINDOW_LEN).unwrap() + 5;
        acme.put(&t, OBJECT.0, OBJECT.1, vec![7; len]).await;
        let id = t.house.perform(acme.root.clone(), to_sg(&t, &acme, 30)).await.unwrap();
        let first = acme.read(&t, &mei, &ticket, OBJECT).await.unwrap();
        let rest = || {
            let mut read = acme.read_of(&ticket, OBJECT);
            read.start = first.next.unwrap();
            read.continues = Some(first.grant.clone());
            t.house.perform(mei.clone(), read)
        };
        change(&t, &acme, &id, TransferChange::Suspend).await.unwrap();
        assert!(refused(rest().await));
        change(&t, &acme, &id, TransferChange::Resume).await.unwrap();
        assert_eq!(rest().await.unwrap().bytes.len(), 5);
        let row = register(&t, &acme).await.remove(0);
        assert_eq!((row.moves, row.moved_bytes), (2, len as u64));
    });
}
