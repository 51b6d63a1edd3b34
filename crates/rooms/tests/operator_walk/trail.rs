//! The log: acts, alerts, bundles, deliveries, retention.

use bailee_rooms::trail::alerts::{AcknowledgeAlerts, AlertSettings, ListAlerts, SetAlerts};
use bailee_rooms::trail::collected::{CreateCollector, HandIn, SetCollectorState};
use bailee_rooms::trail::deliver::{DeleteSink, ListSinks, ReplayFrom, ReplaySink, TestSink};
use bailee_rooms::trail::{
    ActFilter, CountActs, CountByDay, Counted, CreateTrail, DeleteTrail, DescribeRegions, DescribeTrails,
    EraseEvents, ExportTrail, Family, GetAct, GetTrailStatus, HoldScope, KeyUses, LiftHold, ListActs,
    ListHolds, LookupEvents, Order, PlaceHold, RotateLogKey, Scope, SetRetention, SetWitnessing,
    ShowEnrolment, ShowRetention, ShowWitnessing, StartLogging, StopLogging, TailActs, TrailAct, TrailChange,
    TrailFamily, TrailOf, TrailSettings, UpdateTrail,
};
use bailee_testkit::{START, bucket};

use super::scene::{Scene, sink};
use super::{NO_ROLE, Row, never, opens};

impl Scene {
    fn trail<A: TrailAct>(&self, act: A) -> TrailOf<A> {
        act.of(&self.id, &self.region())
    }
}

fn name() -> String {
    "audit-1".into()
}

fn own() -> ActFilter {
    ActFilter { event_name: Some("CreateUser".into()), ..ActFilter::default() }
}

pub(crate) fn rows() -> Vec<Row> {
    vec![
        opens(
            NO_ROLE,
            |s| ListActs { tenant: s.id.clone(), filter: own(), before: None, acts_max: 100 },
            |page| format!("{:?}", page.acts),
        ),
        opens(NO_ROLE, |s| GetAct { tenant: s.id.clone(), record: s.record }, |act| format!("{act:?}")),
        opens(
            NO_ROLE,
            |s| TailActs { tenant: s.id.clone(), filter: own(), from: Some(0), records_max: 500 },
            |page| format!("{page:?}"),
        ),
        opens(
            NO_ROLE,
            |s| LookupEvents {
                tenant: s.id.clone(),
                region: s.region(),
                family: Family::Own,
                filter: own(),
                order: Order::Newest,
                token: None,
                events_max: 50,
            },
            |found| format!("{found:?}"),
        ),
        never("ok", |s| KeyUses {
            tenant: s.id.clone(),
            region: s.region(),
            action: "actiontrail:GetAccessKeyLastUsedEvents",
            key: s.access_key.id.clone(),
            service: None,
            kinds_max: 10,
            kind: |act| act.event_name.clone(),
        }),
        never("ok", |s| CountByDay {
            tenant: s.id.clone(),
            region: s.region(),
            counted: Counted::Events,
            from: START,
            until: START,
        }),
        never("ok", |s| CountActs {
            tenant: s.id.clone(),
            filter: ActFilter {
                from: Some(START),
                until: Some(START.plus_ms(86_400_000)),
                ..ActFilter::default()
            },
        }),
        never("ok", |s| ExportTrail {
            tenant: s.id.clone(),
            scope: Scope::All,
            path: s.t.folder().join("bundle"),
        }),
        never("ok", |s| ListAlerts { tenant: s.id.clone(), open_only: false, before: None, alerts_max: 10 }),
        never("ok", |s| AcknowledgeAlerts { tenant: s.id.clone(), number: 1, and_before: true }),
        never("ok", |s| SetAlerts { tenant: s.id.clone(), settings: AlertSettings::default() }),
        never("NotFound", |s| HandIn {
            collector: s.collector.clone(),
            batch: bailee_collect::wire::Batch {
                id: "00".repeat(16),
                source: bailee_collect::Source::Postgres,
                events: Vec::new(),
                tally: bailee_collect::wire::Tally::default(),
            },
        }),
        never("NotFound", |_| CreateCollector {
            name: "db-2".into(),
            sources: vec![bailee_collect::Source::Sshd],
        }),
        never("NotFound", |_| SetCollectorState { name: "db-1".into(), active: false }),
        opens(NO_ROLE, |s| ListSinks { tenant: s.id.clone() }, |all| format!("{all:?}")),
        never("ok", |s| sink(&s.id, "other")),
        never("ok", |s| ReplaySink {
            tenant: s.id.clone(),
            name: "siem".into(),
            from: ReplayFrom::Record(0),
        }),
        never("Conflict", |s| TestSink { tenant: s.id.clone(), name: "siem".into() }),
        never("ok", |s| DeleteSink { tenant: s.id.clone(), name: "siem".into() }),
        never("ok", |s| PlaceHold {
            tenant: s.id.clone(),
            scope: HoldScope { from: START, to: START.plus_ms(1), resource: String::new() },
            reference: "case 1".into(),
            reason: "a court asks".into(),
        }),
        never("ok", |s| ListHolds { tenant: s.id.clone() }),
        never("FreshMfaRequired", |s| LiftHold {
            tenant: s.id.clone(),
            number: 1,
            reason: "it is over".into(),
        }),
        never("ok", |s| ShowRetention { tenant: s.id.clone(), days: None }),
        never("FreshMfaRequired", |s| SetRetention { tenant: s.id.clone(), days: Some(365) }),
        never("FreshMfaRequired", |s| EraseEvents {
            tenant: s.id.clone(),
            records: vec![s.record],
            reason: "asked by the person".into(),
            legal_basis: "PIPL 47".into(),
        }),
        never("ok", |s| ShowEnrolment { tenant: s.id.clone() }),
        never("ok", |s| ShowWitnessing { tenant: s.id.clone() }),
        never("ok", |s| SetWitnessing { tenant: s.id.clone(), policy: String::new(), before_act: false }),
        never("ok", |s| RotateLogKey { tenant: s.id.clone() }),
        never("ok", |s| s.trail(DescribeRegions)),
        never("ok", |s| {
            s.trail(CreateTrail {
                family: TrailFamily::Management,
                name: name(),
                settings: TrailSettings {
                    event_rw: "All".into(),
                    trail_region: "All".into(),
                    bucket: bucket(super::scene::BUCKET),
                    prefix: String::new(),
                    role_arn: String::new(),
                },
            })
        }),
        never("ok", |s| s.trail(UpdateTrail { name: name(), change: TrailChange::default() })),
        never("ok", |s| s.trail(DescribeTrails { family: TrailFamily::Management, names: Vec::new() })),
        never("ok", |s| s.trail(StartLogging { name: name() })),
        never("ok", |s| s.trail(GetTrailStatus { name: name() })),
        never("ok", |s| s.trail(StopLogging { name: name() })),
        never("ok", |s| s.trail(DeleteTrail { family: TrailFamily::Management, name: name() })),
    ]
}
