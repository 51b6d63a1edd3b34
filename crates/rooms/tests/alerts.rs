//! Alerts: once for a record, soon, of what is wanted, until somebody acknowledges them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bailee_rooms::consent::Decision;
use bailee_rooms::tickets::OpenTicket;
use bailee_rooms::trail::alerts::{
    AcknowledgeAlerts, AlertKind, AlertPage, AlertSettings, ListAlerts, SetAlerts,
};
use bailee_testkit::{TestHouse, TestTenant, on_each_engine};

async fn page(t: &TestHouse, acme: &TestTenant, open_only: bool) -> AlertPage {
    let list = ListAlerts { tenant: acme.id.clone(), open_only, before: None, alerts_max: 100 };
    t.house.perform(acme.root.clone(), list).await.unwrap()
}

async fn kinds(t: &TestHouse, acme: &TestTenant) -> Vec<AlertKind> {
    let mut kinds: Vec<_> = page(t, acme, true).await.alerts.iter().map(|a| a.kind).collect();
    kinds.sort();
    kinds
}

#[test]
fn what_an_operator_does_with_content_is_raised_once_and_acknowledged() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-invoices").await;
        acme.put(&t, "acme-invoices", "1.pdf", "content").await;
        let ticket = acme.ticket(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let read = ("acme-invoices", "1.pdf");
        t.house.raise_alerts().await.unwrap();
        assert!(page(&t, &acme, true).await.alerts.is_empty(), "the tenant's own acts raise nothing");
        assert!(acme.read(&t, &lin, &ticket, read).await.is_err());
        let grant = acme.ask(&t, &lin, &ticket, read, (30, 2)).await.unwrap();
        acme.decide(&t, &grant, Decision::Approve { minutes: 30, uses_max: 2 }).await.unwrap();
        acme.read(&t, &lin, &ticket, read).await.unwrap();
        // Two processes at once raise once.
        let other = t.second();
        let (a, b) = tokio::join!(t.house.raise_alerts(), other.house.raise_alerts());
        assert_eq!(a.unwrap() + b.unwrap(), 2);
        assert_eq!(kinds(&t, &acme).await, [AlertKind::Content, AlertKind::Refused]);
        assert_eq!(t.house.raise_alerts().await.unwrap(), 0);

        let first = page(&t, &acme, true).await;
        assert_eq!((first.open, first.alerts[0].number, first.alerts[1].number), (2, 2, 1));
        let acknowledge =
            |number, and_before| AcknowledgeAlerts { tenant: acme.id.clone(), number, and_before };
        assert_eq!(t.house.perform(acme.root.clone(), acknowledge(1, false)).await.unwrap(), 1);
        assert_eq!(t.house.perform(acme.root.clone(), acknowledge(1, false)).await.unwrap(), 0);
        assert_eq!(page(&t, &acme, true).await.open, 1);
        assert_eq!(t.house.perform(acme.root.clone(), acknowledge(u64::MAX, true)).await.unwrap(), 1);
        let all = page(&t, &acme, false).await;
        assert!(all.alerts.iter().all(|a| a.acknowledged.as_ref().is_some_and(|(_, by)| by == "root")));

        // What is not wanted is not raised; another tenant hears nothing of it.
        let settings = AlertSettings { muted: vec![AlertKind::Content] };
        t.house
            .perform(acme.root.clone(), SetAlerts { tenant: acme.id.clone(), settings: settings.clone() })
            .await
            .unwrap();
        acme.read(&t, &lin, &ticket, read).await.unwrap();
        t.house.raise_alerts().await.unwrap();
        assert_eq!(page(&t, &acme, true).await.settings, settings);
        assert!(kinds(&t, &acme).await.is_empty());
        let globex = t.tenant("globex").await;
        assert!(page(&t, &globex, false).await.alerts.is_empty());
    });
}

#[test]
fn a_log_that_nobody_signs_for_minutes_is_behind_and_history_is_not_raised() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let open = OpenTicket::titled(acme.id.clone(), "one act");
        t.house.perform(acme.root.clone(), open).await.unwrap();
        t.house.raise_alerts().await.unwrap();
        assert!(kinds(&t, &acme).await.is_empty());
        // No signer runs in this test.
        t.clock.advance_ms(300_001);
        assert!(t.house.raise_alerts().await.unwrap() >= 1);
        assert_eq!(kinds(&t, &acme).await, [AlertKind::Behind]);
        assert_eq!(t.house.raise_alerts().await.unwrap(), 0, "once for this size");

        let settings = AlertSettings { muted: vec![AlertKind::Behind] };
        t.house.perform(acme.root.clone(), SetAlerts { tenant: acme.id.clone(), settings }).await.unwrap();
        t.clock.advance_ms(300_001);
        t.house.raise_alerts().await.unwrap();
        assert_eq!(kinds(&t, &acme).await.len(), 1, "not wanted, not raised");

        // Refused long ago, first looked at now.
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        acme.make_bucket(&t, "acme-invoices").await;
        acme.put(&t, "acme-invoices", "1.pdf", "content").await;
        assert!(acme.read(&t, &lin, &ticket, ("acme-invoices", "1.pdf")).await.is_err());
        t.clock.advance_ms(86_400_001);
        t.house.raise_alerts().await.unwrap();
        assert!(!kinds(&t, &acme).await.contains(&AlertKind::Refused));
    });
}
