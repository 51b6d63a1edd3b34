//! Erasing what events say: the text is gone everywhere, the proofs stay, and the log says who, when and why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bailee_proof::bundle::{Opening, Reader, records};
use bailee_rooms::consent::Decision;
use bailee_rooms::tickets::OpenTicket;
use bailee_rooms::trail::{
    Act, ActFilter, EraseEvents, Erased, ExportTrail, HoldScope, LiftHold, ListHolds, PlaceHold, Scope,
    SetRetention, ShowRetention,
};
use bailee_rooms::{Failure, House};
use bailee_store::Db;
use bailee_testkit::{Engine, TestHouse, TestTenant, database, on_each_engine};
use bailee_types::Timestamp;

const DAY_MS: i64 = 86_400_000;
const MARKER: &str = "Zebedee-7731";

async fn acts(t: &TestHouse, acme: &TestTenant) -> Vec<Act> {
    t.house.acts(&acme.id, &ActFilter::default(), None, 200).await.unwrap().acts
}

async fn open(t: &TestHouse, acme: &TestTenant, title: &str) -> u64 {
    let open = OpenTicket::titled(acme.id.clone(), title);
    t.house.perform(acme.root.clone(), open).await.unwrap();
    acts(t, acme).await.iter().map(|a| a.record).max().unwrap()
}

async fn erase(t: &TestHouse, acme: &TestTenant, records: &[u64]) -> Result<Erased, Failure> {
    let erase = EraseEvents {
        tenant: acme.id.clone(),
        records: records.to_vec(),
        reason: "asked by the person".into(),
        legal_basis: "PIPL 47".into(),
    };
    t.house.perform(t.house.system_caller("test"), erase).await
}

fn conflict<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Conflict(why)) => why,
        other => panic!("it should be refused: {other:?}"),
    }
}

async fn export(t: &TestHouse, acme: &TestTenant) -> Vec<u8> {
    let path = t.folder().join("e.bundle");
    let _ = std::fs::remove_file(&path);
    let export = ExportTrail { tenant: acme.id.clone(), scope: Scope::All, path: path.clone() };
    t.house.perform(t.house.system_caller("test"), export).await.unwrap();
    std::fs::read(&path).unwrap()
}

fn recheck(house: &std::sync::Arc<House>) {
    let house = house.clone();
    std::thread::spawn(move || house.recheck_logs()).join().unwrap().unwrap();
}

#[test]
fn a_tenants_own_event_is_erased_and_the_proofs_stay() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let kept = open(&t, &acme, "nothing special").await;
        let gone = open(&t, &acme, MARKER).await;
        let before = t.house.head(&acme.id).await.unwrap();
        let done = erase(&t, &acme, &[gone]).await.unwrap();
        assert_eq!(done.indices, [gone]);
        assert_eq!(done.kept.len(), 1, "its outcome is too young to go");

        let shown = acts(&t, &acme).await;
        let act = shown.iter().find(|a| a.record == gone).unwrap();
        let why = act.erased.clone().unwrap();
        assert_eq!(
            (why.record, why.by.as_str(), why.reason.as_str()),
            (done.record, "test", "asked by the person")
        );
        assert_eq!((act.event.as_str(), act.event_name.as_str(), act.damaged.clone()), ("", "", None));
        assert!(shown.iter().all(|a| !format!("{a:?}").contains(MARKER)));
        let event = act.management_event().unwrap();
        assert_eq!(event["errorCode"], "DataErased");
        assert!(event["errorMessage"].as_str().unwrap().contains("PIPL 47"));
        assert!(shown.iter().any(|a| a.record == kept && a.event.contains("nothing special")));
        // Looked for, it is not found; a tail passes over it; figures count it.
        let text = ActFilter { text: Some(MARKER.into()), ..ActFilter::default() };
        assert!(t.house.acts(&acme.id, &text, None, 50).await.unwrap().acts.is_empty());

        // Proofs hold: the old head is continued, the whole tree is recomputed, another process starts.
        recheck(&t.house);
        drop(t.second());
        assert!(t.house.head(&acme.id).await.unwrap().size > before.size);
        let bundle = export(&t, &acme).await;
        assert!(!String::from_utf8_lossy(&bundle).contains(MARKER));
        let mut reader = Reader::open(bundle.as_slice()).unwrap();
        let mut all = Vec::new();
        while reader.read_into(&mut all).unwrap() {}
        let erased: Vec<usize> =
            records(&all).enumerate().filter(|(_, r)| r.opening == Opening::Erased).map(|(n, _)| n).collect();
        assert_eq!(erased, [usize::try_from(gone).unwrap()]);

        // Once is enough, and only what is there.
        assert!(conflict(erase(&t, &acme, &[gone]).await).contains("is erased already"));
        assert!(conflict(erase(&t, &acme, &[1 << 40]).await).contains("is not in this log"));
        assert!(conflict(erase(&t, &acme, &[done.record]).await).contains("never erased"));
        assert!(conflict(erase(&t, &acme, &[gone + 1]).await).contains("name the act"));
        assert!(matches!(erase(&t, &acme, &[]).await, Err(Failure::Invalid { field: "records", .. })));
        // Somebody at the console shows his second factor first.
        let by_root = EraseEvents {
            tenant: acme.id.clone(),
            records: vec![kept],
            reason: "r".into(),
            legal_basis: "l".into(),
        };
        let refused = t.house.perform(acme.root.clone(), by_root).await;
        assert!(matches!(refused, Err(Failure::FreshMfa)));
    });
}

#[test]
fn the_text_leaves_the_database_file() {
    let t = TestHouse::new(Engine::Sqlite);
    bailee_testkit::runtime().block_on(async {
        let acme = t.tenant("acme").await;
        let gone = open(&t, &acme, "something").await;
        let stored = |t: &TestHouse, what: &[u8]| {
            let mut found = false;
            for file in std::fs::read_dir(t.folder()).unwrap().flatten() {
                if file.path().is_file() {
                    let bytes = std::fs::read(file.path()).unwrap();
                    found |= bytes.windows(what.len()).any(|w| w == what);
                }
            }
            found
        };
        // The sealed opening itself: 40 bytes of it are like nothing else.
        let sealed = sealed_of(&t, &acme, gone).await;
        assert!(stored(&t, &sealed[..40]), "the test must be able to find it");
        erase(&t, &acme, &[gone]).await.unwrap();
        database_of(&t).forget_deleted().await.unwrap();
        assert!(!stored(&t, &sealed[..40]));
    });
}

/// The same database beside the house.
fn database_of(t: &TestHouse) -> Db {
    Db::open(database(t.engine, t.folder())).unwrap()
}

async fn sealed_of(t: &TestHouse, acme: &TestTenant, record: u64) -> Vec<u8> {
    let id = acme.id.clone();
    database_of(t)
        .read(move |tx| {
            let row = tx.tenant(&id).query_opt(
                "SELECT sealed_opening FROM trail_record WHERE tenant_id = $1 AND record_index = $2",
                &[(record as i64).into()],
            )?;
            Ok::<_, Failure>(row.unwrap().blob(0)?.to_vec())
        })
        .await
        .unwrap()
}

#[test]
fn what_tells_of_operators_stays_180_days_and_then_goes_with_its_outcome() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-invoices").await;
        acme.put(&t, "acme-invoices", "1.pdf", "content").await;
        let ticket = acme.ticket(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let read = ("acme-invoices", "1.pdf");
        assert!(t.house.perform(lin.clone(), acme.read_of(&ticket, read)).await.is_err());
        let grant = acme.ask(&t, &lin, &ticket, read, (30, 1)).await.unwrap();
        acme.decide(&t, &grant, Decision::Approve { minutes: 30, uses_max: 1 }).await.unwrap();
        acme.read(&t, &lin, &ticket, read).await.unwrap();
        let all = acts(&t, &acme).await;
        let find = |name: &str, result: &str| {
            all.iter().find(|a| a.event_name == name && a.result() == result).unwrap().record
        };
        let (refused, done) = (find("GetObject", "refused"), find("GetObject", "done"));
        let approved = find("ApproveConsent", "done");
        for record in [refused, done] {
            assert!(conflict(erase(&t, &acme, &[record]).await).contains("not erased within 180 days"));
        }
        assert!(conflict(erase(&t, &acme, &[approved]).await).contains("stays 180 days"));
        // One that may go does not go with one that may not.
        let other = find("PutBucket", "done");
        assert!(conflict(erase(&t, &acme, &[other, done]).await).contains("nothing was erased"));
        assert!(acts(&t, &acme).await.iter().all(|a| a.erased.is_none()));

        t.clock.advance_ms(180 * DAY_MS + 60_000);
        let gone = erase(&t, &acme, &[refused, done, approved]).await.unwrap();
        assert_eq!(gone.indices.len(), 5, "two of them with their outcomes");
        assert!(gone.kept.is_empty());
        recheck(&t.house);
        let shown = acts(&t, &acme).await;
        assert_eq!(shown.iter().filter(|a| a.erased.is_some()).count(), 3);
    });
}

#[test]
fn an_outcome_that_was_too_young_goes_later() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let record = open(&t, &acme, "marked").await;
        let first = erase(&t, &acme, &[record]).await.unwrap();
        assert_eq!(first.kept.len(), 1);
        assert!(conflict(erase(&t, &acme, &[record]).await).contains("is erased already"));
        t.clock.advance_ms(181 * DAY_MS);
        let then = erase(&t, &acme, &[record]).await.unwrap();
        assert_eq!(then.indices, first.kept);
        assert!(conflict(erase(&t, &acme, &[record]).await).contains("is erased already"));
        recheck(&t.house);
        // By age as well: nothing of it is left for the hand.
        let other = open(&t, &acme, "another").await;
        assert_eq!(erase(&t, &acme, &[other]).await.unwrap().kept.len(), 1);
        let set = SetRetention { tenant: acme.id.clone(), days: Some(180) };
        t.house.perform(t.house.system_caller("test"), set).await.unwrap();
        t.clock.advance_ms(181 * DAY_MS);
        t.house.retain_once().await.unwrap();
        assert!(conflict(erase(&t, &acme, &[other]).await).contains("is erased already"));
    });
}

#[test]
fn a_legal_hold_stops_everybody_until_it_is_lifted() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let record = open(&t, &acme, "evidence").await;
        let place = |scope: HoldScope| PlaceHold {
            tenant: acme.id.clone(),
            scope,
            reference: "case 2026-17".into(),
            reason: "ordered by the court".into(),
        };
        // Another time, another resource: does not hold it.
        let early = HoldScope { to: Timestamp::from_ms(1), ..HoldScope::all() };
        t.house.perform(acme.root.clone(), place(early)).await.unwrap();
        let other = HoldScope { resource: "acme-invoices/*".into(), ..HoldScope::all() };
        t.house.perform(acme.root.clone(), place(other)).await.unwrap();
        let held = t.house.perform(t.house.system_caller("test"), place(HoldScope::all())).await.unwrap();
        assert_eq!((held.number, held.by_provider), (3, true));
        assert!(conflict(erase(&t, &acme, &[record]).await).contains("is under legal hold 3"));

        // By age neither; the plan says how many.
        let set = SetRetention { tenant: acme.id.clone(), days: Some(180) };
        t.house.perform(t.house.system_caller("test"), set).await.unwrap();
        t.clock.advance_ms(181 * DAY_MS);
        assert_eq!(t.house.retain_once().await.unwrap(), 0);
        let show = ShowRetention { tenant: acme.id.clone(), days: None };
        let now = t.house.perform(acme.root.clone(), show.clone()).await.unwrap();
        assert!(now.plan.held > 0 && now.plan.held == now.plan.old, "{now:?}");

        // The tenant does not lift the provider's, and says why it lifts its own.
        let lift = |number: u64| LiftHold { tenant: acme.id.clone(), number, reason: "closed".into() };
        let by_tenant = t.house.perform(acme.root.clone(), lift(3)).await;
        assert!(matches!(by_tenant, Err(Failure::FreshMfa)));
        t.house.perform(t.house.system_caller("test"), lift(3)).await.unwrap();
        assert!(
            conflict(t.house.perform(t.house.system_caller("test"), lift(3)).await)
                .contains("lifted already")
        );
        let missing = t.house.perform(t.house.system_caller("test"), lift(9)).await;
        assert!(matches!(missing, Err(Failure::NotFound { .. })));
        let holds = t.house.perform(acme.root.clone(), ListHolds { tenant: acme.id.clone() }).await.unwrap();
        assert_eq!(holds.iter().map(|h| h.lifted_at.is_some()).collect::<Vec<_>>(), [true, false, false]);
        // Nor does the provider lift the tenant's.
        assert!(
            conflict(t.house.perform(t.house.system_caller("test"), lift(1)).await)
                .contains("only the tenant")
        );
        // What was passed over is found again.
        assert!(t.house.retain_once().await.unwrap() > 0);
        assert!(acts(&t, &acme).await.iter().any(|a| a.record == record && a.erased.is_some()));
    });
}

#[test]
fn by_age_goes_what_is_old_in_rounds_and_nothing_else() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let globex = t.tenant("globex").await;
        for n in 0..300 {
            open(&t, &acme, &format!("old {n}")).await;
        }
        t.house.summarise_blocks().await.unwrap();
        open(&t, &globex, "kept for ever").await;
        let nothing = ShowRetention { tenant: acme.id.clone(), days: None };
        assert_eq!(t.house.perform(acme.root.clone(), nothing).await.unwrap().days, None);
        for days in [0, 1, 179, 3_651] {
            let set = SetRetention { tenant: acme.id.clone(), days: Some(days) };
            let refused = t.house.perform(t.house.system_caller("test"), set).await;
            assert!(matches!(refused, Err(Failure::Invalid { field: "days", .. })), "{days}");
        }
        let set = SetRetention { tenant: acme.id.clone(), days: Some(200) };
        t.house.perform(t.house.system_caller("test"), set).await.unwrap();
        assert_eq!(t.house.retain_once().await.unwrap(), 0);
        t.clock.advance_ms(199 * DAY_MS);
        let young = open(&t, &acme, "young").await;
        t.clock.advance_ms(2 * DAY_MS);
        let plan = ShowRetention { tenant: acme.id.clone(), days: None };
        let plan = t.house.perform(acme.root.clone(), plan).await.unwrap().plan;
        assert!(plan.old >= 300 && plan.held + plan.waiting + plan.erased == 0, "{plan:?}");
        // Two processes at once erase each once.
        let other = t.second();
        let (one, two) = tokio::join!(t.house.retain_once(), other.house.retain_once());
        assert!(one.unwrap() + two.unwrap() >= 600, "each with its outcome");
        assert_eq!(t.house.retain_once().await.unwrap(), 0);
        recheck(&t.house);
        let shown = acts(&t, &acme).await;
        assert!(shown.iter().any(|a| a.record == young && a.erased.is_none()));
        let text = ActFilter { text: Some("old 1".into()), ..ActFilter::default() };
        t.house.summarise_blocks().await.unwrap();
        assert!(t.house.acts(&acme.id, &text, None, 50).await.unwrap().acts.is_empty());
        let erased = t.house.acts(&acme.id, &ActFilter::default(), Some(100), 5).await.unwrap().acts;
        assert!(erased.iter().all(|a| a.erased.as_ref().is_some_and(|e| e.by == "retention")));
        let kept = t.house.acts(&globex.id, &ActFilter::default(), None, 50).await.unwrap().acts;
        assert!(kept.iter().all(|a| a.erased.is_none()));
    });
}
