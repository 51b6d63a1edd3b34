//! What leaves a jurisdiction, on both engines: nothing without a live row of the register, and each move is written down first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use bailee_rooms::Failure;
use bailee_rooms::consent::Decision;
use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::rekey::{RETIRE_AFTER_MS, RetireTenantKey, RotateTenantKey};
use bailee_rooms::residency::{
    AddRegion, AllowRegions, AttachDocument, ChangeTransfer, DeclineTransfer, Documents, ListDocuments,
    ListMoves, ListTransferRequests, ListTransfers, REQUEST_LAPSE_MS, ReadDocument, RegisterTransfer,
    RemoveDocument, RequestState, RequestTransfer, Told, Transfer, TransferChange, TransferDocument,
    TransferRequest, TransferState,
};
use bailee_rooms::tickets::CloseTicket;
use bailee_rooms::trail::{Act, ActEnd, ActFilter};
use bailee_rooms::vault::{NewPaper, PAPER_BYTES_MAX, PAPERS_MAX, Scrub, WINDOW_LEN};
use bailee_testkit::{TestHouse, TestTenant, on_each_engine};
use bailee_types::{RegionId, TicketId};
use bytes::Bytes;
use futures_util::TryStreamExt;

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
        attached: Vec::new(),
        request: None,
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

fn paper(name: &str, content: impl AsRef<[u8]>) -> NewPaper {
    NewPaper::parse(name, Bytes::from([b"%PDF-1.7\n", content.as_ref()].concat())).unwrap()
}

async fn attach(t: &TestHouse, by: &Caller, id: &str, document: &NewPaper) -> Result<(), Failure> {
    let tenant = by.tenant().unwrap().clone();
    let op = AttachDocument { tenant, id: id.to_owned(), document: document.clone(), named: None };
    t.house.perform(by.clone(), op).await
}

async fn documents(t: &TestHouse, acme: &TestTenant, id: &str) -> Documents {
    let op = ListDocuments { tenant: acme.id.clone(), id: id.to_owned() };
    t.house.perform(acme.root.clone(), op).await.unwrap()
}

async fn read(
    t: &TestHouse,
    by: &Caller,
    of: &TestTenant,
    id: &str,
    sha256: &str,
) -> Result<Vec<u8>, Failure> {
    let op = ReadDocument { tenant: of.id.clone(), id: id.to_owned(), sha256: sha256.to_owned() };
    let (paper, bytes) = t.house.perform(by.clone(), op).await?;
    let whole = bytes.try_fold(Vec::new(), |mut all, b| async move {
        all.extend_from_slice(&b);
        Ok(all)
    });
    let whole = whole.await?;
    assert_eq!((paper.size, paper.sha256.as_str()), (whole.len() as u64, sha256));
    Ok(whole)
}

async fn remove(t: &TestHouse, acme: &TestTenant, id: &str, sha256: &str) -> Result<(), Failure> {
    let op = RemoveDocument { tenant: acme.id.clone(), id: id.to_owned(), sha256: sha256.to_owned() };
    t.house.perform(acme.root.clone(), op).await
}

fn blobs(t: &TestHouse, under: &str) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for sub in std::fs::read_dir(t.folder().join(under)).unwrap() {
        out.extend(std::fs::read_dir(sub.unwrap().path()).unwrap().map(|f| f.unwrap().path()));
    }
    out
}

async fn acts_named(t: &TestHouse, acme: &TestTenant, name: &str) -> Vec<Act> {
    let page = t.house.acts(&acme.id, &ActFilter::default(), None, 1000).await.unwrap();
    page.acts.into_iter().filter(|a| a.event_name == name).collect()
}

#[test]
fn documents_are_kept_as_evidence_and_read_on_record() {
    on_each_engine(async |t| {
        let (acme, mei, _) = abroad(&t).await;
        let globex = t.tenant("globex").await;
        // Attached documents are the documents that the basis needs; the first is three segments long.
        let (contract, annex) = (paper("../../contract.pdf", vec![7; 150_000]), paper("annex.pdf", b"x"));
        let mut register = to_sg(&t, &acme, 30);
        register.told.documents =
            vec![TransferDocument { name: "annex".into(), sha256: annex.sha256().into() }];
        register.attached = vec![contract.clone()];
        let id = t.house.perform(acme.root.clone(), register).await.unwrap();
        let there = documents(&t, &acme, &id).await;
        assert_eq!(
            (there.kept.len(), there.kept[0].name.as_str(), there.kept[0].size),
            (1, "contract.pdf", 150_009)
        );
        assert_eq!((there.missing.len(), there.missing[0].name.as_str()), (1, "annex"));
        let whole = read(&t, &acme.root, &acme, &id, contract.sha256()).await.unwrap();
        assert!(whole.starts_with(b"%PDF-1.7\n\x07") && whole.ends_with(b"\x07"));

        // One that was named is supplied: another document is not it.
        let supply = |document: &NewPaper| AttachDocument {
            tenant: acme.id.clone(),
            id: id.clone(),
            document: document.clone(),
            named: Some(annex.sha256().to_owned()),
        };
        let other = t.house.perform(acme.root.clone(), supply(&paper("annex.pdf", b"y"))).await;
        assert!(matches!(other, Err(Failure::Invalid { field: "document", .. })), "{other:?}");
        t.house.perform(acme.root.clone(), supply(&annex)).await.unwrap();
        assert!(documents(&t, &acme, &id).await.missing.is_empty());
        assert!(matches!(attach(&t, &acme.root, &id, &annex).await, Err(Failure::Exists { .. })));
        assert!(matches!(
            attach(&t, &acme.root, "tr-aaaaaaaaaaaa", &annex).await,
            Err(Failure::NotFound { .. })
        ));
        assert_eq!(blobs(&t, "blobs").len(), 2, "what was refused left something");

        // Nobody else: not another tenant, by his own register or by this one's, and no operator.
        assert!(matches!(attach(&t, &globex.root, &id, &annex).await, Err(Failure::NotFound { .. })));
        let theirs = t.house.perform(globex.root.clone(), to_sg(&t, &globex, 30)).await.unwrap();
        for (by, of, transfer) in [
            (&globex.root, &globex, id.as_str()),
            (&globex.root, &globex, theirs.as_str()),
            (&globex.root, &acme, id.as_str()),
            (&mei, &acme, id.as_str()),
        ] {
            let no = read(&t, by, of, transfer, annex.sha256()).await.unwrap_err();
            assert!(matches!(no, Failure::NotFound { .. } | Failure::Refused(_)), "{no}");
        }
        let Err(Failure::Refused(no)) = read(&t, &mei, &acme, &id, annex.sha256()).await else { panic!() };
        assert!(matches!(no.kind(), RefusalKind::OperatorRole { .. }), "{no}");
        let system = || t.house.system_caller("bailee residency");
        assert!(matches!(read(&t, &system(), &acme, &id, annex.sha256()).await, Err(Failure::Conflict(_))));
        for wrong in ["", "x", &annex.sha256().to_uppercase(), &"0".repeat(64)] {
            assert!(matches!(read(&t, &acme.root, &acme, &id, wrong).await, Err(Failure::NotFound { .. })));
        }

        // What it rests on stays while it is live.
        for change_to in [None, Some(TransferChange::Suspend)] {
            if let Some(change_to) = change_to {
                change(&t, &acme, &id, change_to).await.unwrap();
            }
            assert!(matches!(remove(&t, &acme, &id, annex.sha256()).await, Err(Failure::Retained(_))));
        }
        change(&t, &acme, &id, TransferChange::End).await.unwrap();
        remove(&t, &acme, &id, annex.sha256()).await.unwrap();
        assert!(matches!(
            read(&t, &acme.root, &acme, &id, annex.sha256()).await,
            Err(Failure::NotFound { .. })
        ));
        read(&t, &acme.root, &acme, &id, contract.sha256()).await.unwrap();
        t.clock.advance_ms(16 * 60_000);
        t.house.remove_garbage().await.unwrap();
        assert_eq!(blobs(&t, "blobs").len(), 1);

        // Each try stands in the log with the digest.
        for (name, tried) in
            [("AttachTransferDocument", 4), ("GetTransferDocument", 10), ("RemoveTransferDocument", 3)]
        {
            let acts = acts_named(&t, &acme, name).await;
            assert_eq!(acts.len(), tried, "{name}");
            let told = acts
                .iter()
                .filter(|a| a.event.contains(annex.sha256()) || a.event.contains(contract.sha256()));
            assert!(told.count() >= 2, "{name}");
        }
        let registered = acts_named(&t, &acme, "RegisterTransfer").await;
        assert!(registered[0].event.contains(contract.sha256()), "{}", registered[0].event);
    });
}

#[test]
fn documents_are_limited_and_lie_where_the_tenant_lets_them() {
    on_each_engine(async |t| {
        let (acme, ..) = abroad(&t).await;
        let id = t.house.perform(acme.root.clone(), to_sg(&t, &acme, 30)).await.unwrap();
        for n in 0..PAPERS_MAX - 1 {
            attach(&t, &acme.root, &id, &paper("a.pdf", n.to_string())).await.unwrap();
        }
        // Eight at once for the last place, from two servers.
        let second = t.second();
        let mut tries = tokio::task::JoinSet::new();
        for n in 0..8 {
            let (house, root) = (if n % 2 == 0 { &t } else { &second }.house.clone(), acme.root.clone());
            let (tenant, id) = (acme.id.clone(), id.clone());
            let op =
                AttachDocument { tenant, id, document: paper("last.pdf", format!("last {n}")), named: None };
            tries.spawn(async move { house.perform(root, op).await });
        }
        let all = tries.join_all().await;
        assert_eq!(all.iter().filter(|r| r.is_ok()).count(), 1);
        assert!(all.iter().all(|r| matches!(r, Ok(()) | Err(Failure::Limit { .. }))), "{all:?}");
        assert_eq!(
            (documents(&t, &acme, &id).await.kept.len(), blobs(&t, "blobs").len()),
            (PAPERS_MAX, PAPERS_MAX)
        );

        let frankfurt = RegionId::parse("eu-central-1").unwrap();
        let add = AddRegion { id: frankfurt.clone(), jurisdiction: "DE".into(), folder: None };
        t.house.perform(t.house.system_caller("test"), add).await.unwrap();
        let allow = AllowRegions { tenant: acme.id.clone(), regions: vec![frankfurt] };
        t.house.perform(acme.root.clone(), allow).await.unwrap();
        let mut register = to_sg(&t, &acme, 30);
        let large = paper("large.pdf", vec![1; PAPER_BYTES_MAX - 9]);
        register.attached = vec![large.clone()];
        let id = t.house.perform(acme.root.clone(), register).await.unwrap();
        assert_eq!(
            (blobs(&t, "blobs").len(), blobs(&t, "regions/eu-central-1/blobs").len()),
            (PAPERS_MAX, 1)
        );
        assert_eq!(read(&t, &acme.root, &acme, &id, large.sha256()).await.unwrap().len(), PAPER_BYTES_MAX);
        // One that is refused leaves neither row nor blob.
        let mut twice = to_sg(&t, &acme, 30);
        twice.attached = vec![large.clone(), large];
        assert!(matches!(t.house.perform(acme.root.clone(), twice).await, Err(Failure::Exists { .. })));
        assert_eq!((register_len(&t, &acme).await, blobs(&t, "regions/eu-central-1/blobs").len()), (2, 1));
    });
}

async fn register_len(t: &TestHouse, acme: &TestTenant) -> usize {
    register(t, acme).await.len()
}

#[test]
fn who_works_at_the_machine_files_what_the_tenant_named_and_nothing_else() {
    on_each_engine(async |t| {
        let (acme, ..) = abroad(&t).await;
        let named = paper("contract.pdf", b"named");
        let mut transfer = to_sg(&t, &acme, 30);
        transfer.told.documents[0].sha256 = named.sha256().to_owned();
        let id = t.house.perform(acme.root.clone(), transfer).await.unwrap();
        let file = |document: NewPaper| AttachDocument {
            tenant: acme.id.clone(),
            id: id.clone(),
            document,
            named: None,
        };
        let system = || t.house.system_caller("bailee residency");
        assert!(matches!(
            t.house.perform(system(), file(paper("x.pdf", b"x"))).await,
            Err(Failure::Conflict(_))
        ));
        t.house.perform(system(), file(named.clone())).await.unwrap();
        assert_eq!(read(&t, &acme.root, &acme, &id, named.sha256()).await.unwrap(), b"%PDF-1.7\nnamed");
        assert_eq!(documents(&t, &acme, &id).await.kept[0].attached_by, "bailee residency");
        assert_eq!(blobs(&t, "blobs").len(), 1);
    });
}

#[test]
fn the_cleaner_keeps_documents_and_the_scrub_finds_what_was_changed_in_them() {
    on_each_engine(async |t| {
        let (acme, ..) = abroad(&t).await;
        let (one, two) = (paper("one.pdf", vec![1; 100_000]), paper("two.pdf", b"2"));
        let mut transfer = to_sg(&t, &acme, 30);
        transfer.attached = vec![one.clone(), two.clone()];
        let id = t.house.perform(acme.root.clone(), transfer).await.unwrap();
        // A blob that no row names goes, those of documents stay.
        let mine = blobs(&t, "blobs");
        let orphan = t.folder().join("blobs/00").join("0".repeat(32));
        std::fs::write(&orphan, b"of a write that died").unwrap();
        t.house.find_orphans(i64::MAX).await.unwrap();
        t.house.remove_garbage().await.unwrap();
        let mut there = blobs(&t, "blobs");
        there.sort();
        let mut before = mine;
        before.sort();
        assert_eq!(there, before);
        for p in [&one, &two] {
            read(&t, &acme.root, &acme, &id, p.sha256()).await.unwrap();
        }
        let scrub = async || {
            let op = Scrub { tenant: Some(acme.id.clone()), bucket: None, progress: Box::new(|_| {}) };
            t.house.perform(t.house.system_caller("test"), op).await.unwrap()
        };
        let clean = scrub().await;
        assert_eq!((clean.objects, clean.damaged_in_all, clean.without_checksum), (2 + 2, 0, 0));
        // One bit.
        let large = there.iter().find(|p| p.metadata().unwrap().len() > 100_000).unwrap();
        let mut bytes = std::fs::read(large).unwrap();
        bytes[70_000] ^= 1;
        std::fs::write(large, bytes).unwrap();
        let found = scrub().await.damaged;
        assert_eq!(
            (found.len(), found[0].bucket.as_str(), found[0].key.as_str()),
            (1, "transfer", id.as_str())
        );
        assert!(matches!(read(&t, &acme.root, &acme, &id, one.sha256()).await, Err(Failure::Damaged(_))));
        read(&t, &acme.root, &acme, &id, two.sha256()).await.unwrap();
        // A row that is moved to another transfer opens there as little.
        let other = t.house.perform(acme.root.clone(), to_sg(&t, &acme, 30)).await.unwrap();
        assert_eq!(t.change(&format!("UPDATE paper SET holder_id = '{other}' WHERE size < 100")), 1);
        assert!(matches!(read(&t, &acme.root, &acme, &other, two.sha256()).await, Err(Failure::Damaged(_))));
    });
}

fn wish(acme: &TestTenant, ticket: &TicketId) -> RequestTransfer {
    RequestTransfer {
        tenant: acme.id.clone(),
        ticket: ticket.clone(),
        from: None,
        to: "SG".into(),
        resources: vec!["acme-invoices".into()],
        basis: "cn-38-3".into(),
        importer: "Bailee SG Pte. Ltd., support".into(),
        reason: "the page renders blank".into(),
        days: 30,
    }
}

async fn requests(t: &TestHouse, acme: &TestTenant) -> Vec<TransferRequest> {
    t.house.perform(acme.root.clone(), ListTransferRequests { tenant: acme.id.clone() }).await.unwrap()
}

fn accepting(t: &TestHouse, acme: &TestTenant, id: &str) -> RegisterTransfer {
    RegisterTransfer { request: Some(id.to_owned()), ..to_sg(t, acme, 30) }
}

async fn decline(t: &TestHouse, by: &Caller, of: &TestTenant, id: &str) -> Result<(), Failure> {
    let op = DeclineTransfer { tenant: of.id.clone(), id: id.to_owned(), note: "not now".into() };
    t.house.perform(by.clone(), op).await
}

#[test]
fn a_request_permits_nothing_until_the_tenant_registers_it_or_less() {
    on_each_engine(async |t| {
        let (acme, mei, ticket) = abroad(&t).await;
        let globex = t.tenant("globex").await;
        let id = t.house.perform(mei.clone(), wish(&acme, &ticket)).await.unwrap();
        assert!(TransferRequest::is_id(&id));
        assert!(refused(acme.read(&t, &mei, &ticket, OBJECT).await), "a request permits nothing");
        let waiting = requests(&t, &acme).await.remove(0);
        assert_eq!((waiting.state(t.house.now()), waiting.place.as_str()), (RequestState::Requested, "SG"));
        assert_ne!(waiting.pseudonym.as_str(), "op-mei");
        // Not more than was asked for, not by others.
        type Spoil = Box<dyn Fn(&mut RegisterTransfer)>;
        let more: Vec<(&str, Spoil)> = vec![
            ("to", Box::new(|r| r.to = "JP".into())),
            ("resources", Box::new(|r| r.resources.push("acme-other/".into()))),
            ("resources", Box::new(|r| r.resources = vec!["acme-invoices2".into()])),
            ("validUntil", Box::new(|r| r.valid_until = r.valid_until.plus_ms(1))),
        ];
        for (field, spoil) in more {
            let mut accept = accepting(&t, &acme, &id);
            spoil(&mut accept);
            let no = t.house.perform(acme.root.clone(), accept).await;
            assert!(matches!(&no, Err(Failure::Invalid { field: f, .. }) if *f == field), "{field}: {no:?}");
        }
        for by in [mei.clone(), globex.root.clone()] {
            assert!(matches!(
                t.house.perform(by.clone(), accepting(&t, &acme, &id)).await,
                Err(Failure::Refused(_))
            ));
            assert!(matches!(decline(&t, &by, &acme, &id).await, Err(Failure::Refused(_))));
        }
        let theirs = t.house.perform(globex.root.clone(), accepting(&t, &globex, &id)).await;
        assert!(matches!(theirs, Err(Failure::NotFound { .. })));
        assert!(matches!(decline(&t, &globex.root, &globex, &id).await, Err(Failure::NotFound { .. })));
        assert_eq!(register_len(&t, &acme).await, 0);
        // Less: a prefix, for a shorter time, with the documents themselves.
        let mut less = accepting(&t, &acme, &id);
        less.valid_until = t.house.now().plus_ms(DAY_MS);
        less.told.documents.clear();
        less.attached = vec![paper("contract.pdf", b"c")];
        let transfer = t.house.perform(acme.root.clone(), less).await.unwrap();
        acme.read(&t, &mei, &ticket, OBJECT).await.unwrap();
        assert!(refused(acme.read(&t, &mei, &ticket, (OBJECT.0, "2025/1.pdf")).await), "another prefix");
        let seen = t.house.operator_transfer_requests(mei_id(&mei), 10).await.unwrap().remove(0);
        assert_eq!(seen.state(t.house.now()), RequestState::Accepted);
        assert_eq!(seen.answer.unwrap().transfer.as_deref(), Some(transfer.as_str()));
        // Once.
        assert!(matches!(
            t.house.perform(acme.root.clone(), accepting(&t, &acme, &id)).await,
            Err(Failure::Conflict(_))
        ));
        assert!(matches!(decline(&t, &acme.root, &acme, &id).await, Err(Failure::Conflict(_))));
        assert_eq!((register_len(&t, &acme).await, blobs(&t, "blobs").len()), (1, 1));
        for (name, said) in [
            ("RequestTransfer", "the page renders blank"),
            ("DeclineTransfer", "not now"),
            ("RegisterTransfer", &id),
        ] {
            assert!(acts_named(&t, &acme, name).await.iter().any(|a| a.event.contains(said)), "{name}");
        }
    });
}

fn mei_id(mei: &Caller) -> &bailee_types::OperatorId {
    match mei.principal() {
        bailee_rooms::gate::Principal::Operator { id, .. } => id,
        _ => panic!("no operator"),
    }
}

#[test]
fn a_request_has_a_form_a_ticket_and_an_end() {
    on_each_engine(async |t| {
        let (acme, mei, ticket) = abroad(&t).await;
        let globex = t.tenant("globex").await;
        let ask = async |of: RequestTransfer| t.house.perform(mei.clone(), of).await;
        type Spoil = Box<dyn Fn(&mut RequestTransfer)>;
        let wrong: Vec<(&str, Spoil)> = vec![
            ("from", Box::new(|r| r.from = Some("DE".into()))),
            ("to", Box::new(|r| r.to = "sg".into())),
            ("to", Box::new(|r| r.to = "CN".into())),
            ("resources", Box::new(|r| r.resources = vec!["../x".into()])),
            ("resources", Box::new(|r| r.resources = vec!["acme-invoices".into(); 51])),
            ("basis", Box::new(|r| r.basis = "because".into())),
            ("basis", Box::new(|r| r.basis = "scc-m2".into())),
            ("reason", Box::new(|r| r.reason = "x".repeat(501))),
            ("reason", Box::new(|r| r.reason = "    x    ".into())),
            ("importer", Box::new(|r| r.importer.clear())),
            ("days", Box::new(|r| r.days = 0)),
            ("days", Box::new(|r| r.days = 4_000)),
        ];
        for (field, spoil) in wrong {
            let mut of = wish(&acme, &ticket);
            spoil(&mut of);
            let no = ask(of).await;
            assert!(matches!(&no, Err(Failure::Invalid { field: f, .. }) if *f == field), "{field}: {no:?}");
        }
        // No ticket, another tenant's, none of support, none of the provider.
        let (theirs, none) = (globex.ticket(&t).await, TicketId::parse("T-999").unwrap());
        for ticket in [theirs, none] {
            let Err(Failure::Refused(no)) = ask(wish(&acme, &ticket)).await else { panic!("{ticket}") };
            assert!(matches!(no.kind(), RefusalKind::NoTicket), "{no}");
        }
        let auditor = t.operator("op-sun", "compliance", "SG").await;
        assert!(matches!(t.house.perform(auditor, wish(&acme, &ticket)).await, Err(Failure::Refused(_))));
        assert!(matches!(
            t.house.perform(acme.root.clone(), wish(&acme, &ticket)).await,
            Err(Failure::Conflict(_))
        ));
        assert!(requests(&t, &acme).await.is_empty());

        let declined = ask(wish(&acme, &ticket)).await.unwrap();
        decline(&t, &acme.root, &acme, &declined).await.unwrap();
        let seen = t.house.operator_transfer_requests(mei_id(&mei), 10).await.unwrap().remove(0);
        assert_eq!(
            (seen.state(t.house.now()), seen.answer.unwrap().note.as_str()),
            (RequestState::Declined, "not now")
        );
        let late = ask(wish(&acme, &ticket)).await.unwrap();
        for _ in 0..19 {
            ask(wish(&acme, &ticket)).await.unwrap();
        }
        assert!(matches!(ask(wish(&acme, &ticket)).await, Err(Failure::Limit { .. })));
        t.clock.advance_ms(REQUEST_LAPSE_MS - 1);
        let last = requests(&t, &acme).await.into_iter().find(|r| r.id == late).unwrap();
        assert_eq!(last.state(t.house.now()), RequestState::Requested);
        t.clock.advance_ms(1);
        for answer in [
            t.house.perform(acme.root.clone(), accepting(&t, &acme, &late)).await.map(drop),
            decline(&t, &acme.root, &acme, &late).await,
        ] {
            assert!(matches!(&answer, Err(Failure::Conflict(why)) if why.contains("lapsed")), "{answer:?}");
        }
        // What lapsed makes room; with its ticket a request ends.
        let closed = ask(wish(&acme, &ticket)).await.unwrap();
        let close = CloseTicket { tenant: acme.id.clone(), ticket: ticket.clone() };
        t.house.perform(acme.root.clone(), close).await.unwrap();
        let no = t.house.perform(acme.root.clone(), accepting(&t, &acme, &closed)).await;
        assert!(matches!(&no, Err(Failure::Conflict(why)) if why.contains("ticket closed")), "{no:?}");
        assert!(matches!(ask(wish(&acme, &ticket)).await, Err(Failure::Refused(_))));
        assert_eq!(register_len(&t, &acme).await, 0);
    });
}

/// Two servers, many who accept and decline at once: one answer, and a transfer only when it was yes.
#[test]
fn a_request_is_answered_once() {
    on_each_engine(async |t| {
        let (acme, mei, ticket) = abroad(&t).await;
        let second = t.second();
        for round in 1..=4 {
            let id = t.house.perform(mei.clone(), wish(&acme, &ticket)).await.unwrap();
            let before = register_len(&t, &acme).await;
            let mut answers = tokio::task::JoinSet::new();
            for n in 0..12 {
                let house = if n % 2 == 0 { &t } else { &second }.house.clone();
                let (root, accept) = (acme.root.clone(), accepting(&t, &acme, &id));
                let no = DeclineTransfer { tenant: acme.id.clone(), id: id.clone(), note: String::new() };
                answers.spawn(async move {
                    match n % 3 {
                        0 => house.perform(root, no).await.map(|()| None),
                        _ => house.perform(root, accept).await.map(Some),
                    }
                });
            }
            let all = answers.join_all().await;
            let done: Vec<_> = all.iter().flatten().collect();
            assert_eq!(done.len(), 1, "round {round}: {all:?}");
            assert!(all.iter().all(|a| matches!(a, Ok(_) | Err(Failure::Conflict(_)))), "{all:?}");
            let now = register_len(&t, &acme).await - before;
            assert_eq!(now, usize::from(done[0].is_some()));
            let kept = requests(&t, &acme).await.into_iter().find(|r| r.id == id).unwrap();
            assert_eq!(kept.answer.unwrap().transfer, *done[0]);
        }
    });
}

#[test]
fn a_document_goes_along_when_the_tenants_key_gets_a_new_version() {
    on_each_engine(async |t| {
        let (acme, ..) = abroad(&t).await;
        let kept = paper("contract.pdf", b"kept");
        let id = t.house.perform(acme.root.clone(), to_sg(&t, &acme, 30)).await.unwrap();
        attach(&t, &acme.root, &id, &kept).await.unwrap();
        let rotate = RotateTenantKey { tenant: acme.id.clone() };
        t.house.perform(t.house.system_caller("test"), rotate).await.unwrap();
        t.clock.advance_ms(RETIRE_AFTER_MS + 15_000);
        while t.house.rewrap_due().await.unwrap() > 0 {}
        let retire = RetireTenantKey { tenant: acme.id.clone(), version: 1 };
        t.house.perform(t.house.system_caller("test"), retire).await.unwrap();
        assert_eq!(read(&t, &acme.root, &acme, &id, kept.sha256()).await.unwrap(), b"%PDF-1.7\nkept");
        let scrub = Scrub { tenant: None, bucket: None, progress: Box::new(|_| {}) };
        let found = t.house.perform(t.house.system_caller("test"), scrub).await.unwrap();
        assert_eq!(found.damaged_in_all, 0);
    });
}
