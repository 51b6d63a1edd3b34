//! What collectors hand in: once in the tenant's log, and what is lost in the provider's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bailee_collect::wire::{Batch, Event, Recorded, Tally};
use bailee_collect::{Outcome, Source};
use bailee_rooms::Failure;
use bailee_rooms::trail::collected::{CreateCollector, HandIn, SetCollectorState};
use bailee_rooms::trail::{ActEnd, ActFilter, ExportTrail, Scope};
use bailee_testkit::{TestHouse, on_each_engine};
use bailee_types::TenantId;

fn event(n: u8, tenant: &str) -> Event {
    Event {
        id: format!("{n:02x}").repeat(32),
        line: "ab".repeat(32),
        observed_at: "2026-11-25T12:00:00.000Z".into(),
        time: Some("2026-11-25T11:59:00.000Z".into()),
        tenant: tenant.into(),
        operator: None,
        brokered: false,
        session: String::new(),
        name: "SelectRows".into(),
        kind: "ALIYUN_INITIATED_SERVICE".into(),
        product: "RDS".into(),
        level: "NOTICE".into(),
        method: "internal-interface".into(),
        resource_type: "ACS::RDS::DBInstance".into(),
        resource: "acme/t".into(),
        description: String::new(),
        detail: Default::default(),
        outcome: Outcome::Done,
        code: String::new(),
        rule: "r".into(),
    }
}

fn batch(n: u8, events: Vec<Event>) -> Batch {
    let tally = Tally { read: 9, unmapped: [("no rule fits".to_owned(), 2)].into(), ..Tally::default() };
    Batch { id: format!("{n:02x}").repeat(16), source: Source::Postgres, events, tally }
}

async fn collector(t: &TestHouse, name: &str) -> String {
    let create = CreateCollector { name: name.into(), sources: vec![Source::Postgres] };
    t.house.perform(t.house.system_caller("test"), create).await.unwrap().expose().to_owned()
}

#[test]
fn an_event_stands_once_however_often_and_through_whomever_it_comes() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let token = collector(&t, "db-1").await;
        let second = t.second();
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..12u8 {
            let house = if n % 2 == 0 { t.house.clone() } else { second.house.clone() };
            // Half of them the same batch again, the others the same events in other batches.
            let (token, batch) = (token.clone(), batch(n / 4, vec![event(1, "acme"), event(2, "acme")]));
            calls.spawn(async move {
                let collector = house.collector(&token).await.unwrap();
                house.perform(house.system_caller("test"), HandIn { collector, batch }).await.unwrap()
            });
        }
        let answers = calls.join_all().await;
        let recorded: usize =
            answers.iter().flat_map(|a| &a.verdicts).filter(|v| matches!(v, Recorded::Recorded)).count();
        // The batch that recorded them says so each of the four times that it came.
        assert_eq!(recorded, 8);
        let page = t.house.acts(&acme.id, &ActFilter::default(), None, 100).await.unwrap();
        let found: Vec<_> = page.acts.iter().filter(|a| a.event_name == "collected:SelectRows").collect();
        assert_eq!(found.len(), 2);
        for act in found {
            assert_eq!(act.collected_from().as_deref(), Some("postgres"));
            assert!(matches!(&act.end, ActEnd::Ended { result, .. } if result == "done"), "{:?}", act.end);
            assert!(act.event.contains("\"EventTime\":\"2026-11-25T11:59:00.000Z\"") && act.who.is_empty());
        }
        // Three batches, of two lost lines each; the provider's own log says so.
        let listed = t.house.collectors().await.unwrap();
        assert_eq!((listed[0].events, listed[0].unmapped), (2, 6));
        let path =
            std::env::temp_dir().join(format!("bailee-collected-{}-{:?}", std::process::id(), t.engine));
        let export = ExportTrail { tenant: TenantId::provider(), scope: Scope::All, path: path.clone() };
        t.house.perform(t.house.system_caller("test"), export).await.unwrap();
        let bundle = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let text = String::from_utf8_lossy(&bundle);
        assert_eq!(text.matches("\"eventName\":\"LinesNotMapped\"").count(), 3);
        assert!(text.contains("\"record\":\"finding\"") && text.contains("\"no rule fits\":2"));
        let house = t.house.clone();
        std::thread::spawn(move || house.recheck_logs()).join().unwrap().unwrap();
    });
}

#[test]
fn a_collector_hands_in_what_it_may_and_nothing_once_disabled() {
    on_each_engine(async |t| {
        t.tenant("acme").await;
        let token = collector(&t, "db-1").await;
        let house = &t.house;
        let hand_in = async |batch: Batch| {
            let collector = house.collector(&token).await?;
            house.perform(house.system_caller("test"), HandIn { collector, batch }).await
        };
        let refused = |why: &str| Recorded::Refused(why.into());
        let mut of_nobody = event(3, "acme");
        of_nobody.operator = Some("op-nobody".into());
        let answer =
            hand_in(batch(1, vec![event(1, "stranger"), of_nobody, event(2, "provider")])).await.unwrap();
        assert_eq!(
            answer.verdicts,
            [
                refused("there is no such tenant"),
                refused("there is no such operator"),
                refused("there is no such tenant")
            ]
        );
        let mut other = batch(2, vec![event(5, "acme")]);
        other.source = Source::Sshd;
        assert!(matches!(hand_in(other).await, Err(Failure::Invalid { .. })));
        for wrong in
            ["", "bct.", "bct.db-1", "bct.db-1.00", &token.replace("db-1", "db-2"), &format!("{token}0")]
        {
            assert!(matches!(house.collector(wrong).await, Err(Failure::SignIn(_))), "{wrong}");
        }
        let known = house.collector(&token).await.unwrap();
        let disable = SetCollectorState { name: "db-1".into(), active: false };
        house.perform(house.system_caller("test"), disable).await.unwrap();
        assert!(matches!(house.collector(&token).await, Err(Failure::SignIn(_))));
        // Also when it had shown its token before.
        let late = HandIn { collector: known, batch: batch(3, vec![event(6, "acme")]) };
        assert!(matches!(house.perform(house.system_caller("test"), late).await, Err(Failure::SignIn(_))));
        let again = CreateCollector { name: "db-1".into(), sources: vec![Source::Sshd] };
        assert!(matches!(
            house.perform(house.system_caller("test"), again).await,
            Err(Failure::Exists { .. })
        ));
    });
}
