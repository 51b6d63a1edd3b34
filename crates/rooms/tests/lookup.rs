//! Looking for acts: what block summaries pass over is exactly what does not match; pages meet while the log grows;
//! tokens are one tenant's; events have the shapes of the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bailee_rooms::gate::Caller;
use bailee_rooms::identity::ResolveEmployee;
use bailee_rooms::tickets::OpenTicket;
use bailee_rooms::trail::{
    Act, ActFilter, CreateTrail, DeleteTrail, Family, GetTrailStatus, Looked, LookupEvents, Order,
    StartLogging, Status, StopLogging, TailActs, TailItem, TrailAct, TrailFamily, TrailSettings,
};
use bailee_rooms::vault::CreateBucket;
use bailee_rooms::{Failure, House};
use bailee_testkit::{TestHouse, TestTenant, bucket, on_each_engine};
use bailee_types::{BucketName, Pseudonym, RegionId};

fn region() -> RegionId {
    RegionId::parse("cn-hangzhou").unwrap()
}

/// A log with more than two full blocks: tickets and buckets of root, and refused acts.
async fn busy(t: &TestHouse, acme: &TestTenant, acts: usize) {
    // Many at once share a commit.
    let mut running = tokio::task::JoinSet::new();
    for n in 0..acts {
        let (house, tenant, root) = (t.house.clone(), acme.id.clone(), acme.root.clone());
        running.spawn(async move {
            let open = OpenTicket::titled(tenant.clone(), format!("发票 number {n}"));
            house.perform(root.clone(), open).await.unwrap();
            if n % 100 == 7 {
                let name = BucketName::parse(&format!("acme-{n}")).unwrap();
                let create = CreateBucket { tenant, bucket: name, region: None, tier: None };
                house.perform(root, create).await.unwrap();
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

fn filters(all: &[Act]) -> Vec<ActFilter> {
    let some = |n: usize| all.get(n % all.len()).cloned().unwrap();
    let d = ActFilter::default;
    let mut out = vec![
        ActFilter { event_name: Some("PutBucket".into()), ..d() },
        ActFilter { event_name: Some("NoSuch".into()), ..d() },
        ActFilter { service: Some("Oss".into()), write: Some(true), ..d() },
        ActFilter { result: Some("open".into()), ..d() },
        ActFilter { result: Some("done".into()), text: Some("BUCKET".into()), ..d() },
        ActFilter { resource_type: Some("ACS::OSS::Bucket".into()), ..d() },
        ActFilter { resource_name: Some("acme-107".into()), ..d() },
        ActFilter { text: Some("acme-2".into()), ..d() },
        ActFilter { text: Some("me".into()), ..d() },
        ActFilter { user: Some("root".into()), ..d() },
        ActFilter { operator: Some("root".into()), ..d() },
        ActFilter { family: Some(Family::Platform), ..d() },
    ];
    for n in [0, 3, 511, 1_000] {
        out.push(ActFilter { event_id: Some(some(n).event_id), ..d() });
    }
    out
}

fn matches(f: &ActFilter, a: &Act) -> bool {
    // Written apart from the room's own rule, member by member.
    let is =
        |wanted: &Option<String>, got: &[&str]| wanted.as_ref().is_none_or(|w| got.contains(&w.as_str()));
    let own = a.family == Family::Own;
    let path = a.resource.splitn(5, ':').last().unwrap();
    let low = |t: &str| t.to_lowercase();
    f.family.is_none_or(|w| w == a.family)
        && is(&f.event_name, &[&a.event_name, &a.wire_name])
        && is(&f.service, &[&a.service])
        && is(&f.result, &[a.result()])
        && is(&f.resource_type, &[&a.resource_type])
        && is(&f.resource_name, &[&a.resource_name, path])
        && is(&f.event_id, &[&a.event_id])
        && f.write.is_none_or(|w| w == a.write)
        && f.user.as_ref().is_none_or(|w| own && *w == a.who)
        && f.operator.as_ref().is_none_or(|w| !own && *w == a.who)
        && f.text.as_ref().is_none_or(|w| {
            [&a.event_name, &a.resource, &a.who, &a.ticket, &a.grant, &a.reason]
                .iter()
                .any(|x| low(x).contains(&low(w)))
        })
}

async fn everything(
    house: &Arc<House>,
    acme: &TestTenant,
    filter: &ActFilter,
    per_page: usize,
) -> (Vec<Act>, u64) {
    let (mut out, mut before, mut opened) = (Vec::new(), None, 0);
    loop {
        let page = house.acts(&acme.id, filter, before, per_page).await.unwrap();
        opened += page.opened;
        out.extend(page.acts);
        match page.next_before {
            Some(next) => before = Some(next),
            None => return (out, opened),
        }
    }
}

#[test]
fn summaries_pass_over_what_does_not_match_and_nothing_else() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        busy(&t, &acme, 620).await;
        let (all, _) = everything(&t.house, &acme, &ActFilter::default(), 700).await;
        assert!(all.len() > 600);
        for filter in filters(&all) {
            let (scanned, _) = everything(&t.house, &acme, &filter, 50).await;
            let wanted: Vec<u64> = all.iter().filter(|a| matches(&filter, a)).map(|a| a.record).collect();
            assert_eq!(scanned.iter().map(|a| a.record).collect::<Vec<_>>(), wanted, "before: {filter:?}");
        }
        t.house.summarise_blocks().await.unwrap();
        for filter in filters(&all) {
            let (found, _) = everything(&t.house, &acme, &filter, 3).await;
            let wanted: Vec<u64> = all.iter().filter(|a| matches(&filter, a)).map(|a| a.record).collect();
            assert_eq!(found.iter().map(|a| a.record).collect::<Vec<_>>(), wanted, "after: {filter:?}");
        }
        // A summary is a filter under a random key: about one name in a hundred is taken for another's, of forty that may be
        // one or two, hardly ever eight.
        let mut mistaken = 0;
        for n in 0..40 {
            let rare = ActFilter { event_name: Some(format!("NoSuch{n}")), ..ActFilter::default() };
            let (none, opened) = everything(&t.house, &acme, &rare, 50).await;
            assert!(none.is_empty());
            mistaken += u32::from(opened >= 512);
        }
        assert!(mistaken < 8, "{mistaken} of 40 names were looked for by opening what cannot have them");
    });
}

#[test]
fn a_span_of_time_is_found_without_reading_the_rest() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        busy(&t, &acme, 120).await;
        t.clock.advance_ms(3_600_000);
        let from = t.house.now();
        busy(&t, &acme, 5).await;
        t.clock.advance_ms(3_600_000);
        let until = t.house.now();
        busy(&t, &acme, 120).await;
        let filter = ActFilter { from: Some(from), until: Some(until), ..ActFilter::default() };
        let page = t.house.acts(&acme.id, &filter, None, 100).await.unwrap();
        assert_eq!(page.acts.len(), 5);
        assert!(page.next_before.is_none() && page.opened <= 16, "{}", page.opened);
    });
}

#[test]
fn pages_of_both_directions_meet_while_others_append() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        busy(&t, &acme, 300).await;
        let own = ActFilter { event_name: Some("OpenTicket".into()), ..ActFilter::default() };
        let (before, _) = everything(&t.house, &acme, &own, 1_000).await;
        let first: Vec<u64> = before.iter().map(|a| a.record).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..3 {
            let (house, tenant, root, stop) =
                (t.house.clone(), acme.id.clone(), acme.root.clone(), stop.clone());
            writers.spawn(async move {
                for _ in 0..150 {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let open = OpenTicket::titled(tenant.clone(), format!("writer {n}"));
                    house.perform(root.clone(), open).await.unwrap();
                }
            });
        }
        for order in [Order::Newest, Order::Oldest] {
            for per_page in [1, 7, 50] {
                let (mut seen, mut token) = (Vec::new(), None);
                for _ in 0..if per_page == 1 { 60 } else { 10_000 } {
                    let page = lookup(&t, &acme.root, &acme, order, token, per_page).await.unwrap();
                    seen.extend(page.events.iter().map(|e| e["eventId"].as_str().unwrap().to_owned()));
                    token = page.token;
                    if token.is_none() {
                        break;
                    }
                }
                let mut once = seen.clone();
                once.sort();
                once.dedup();
                assert_eq!(once.len(), seen.len(), "an event came twice");
                if per_page > 1 {
                    let all: std::collections::BTreeSet<_> = seen.iter().collect();
                    assert!(before.iter().all(|a| all.contains(&a.event_id)), "an event was skipped");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        while writers.join_next().await.is_some() {}
        let (after, _) = everything(&t.house, &acme, &own, 13).await;
        let tail: Vec<u64> = after.iter().map(|a| a.record).collect();
        assert!(tail.ends_with(&first));
    });
}

async fn lookup(
    t: &TestHouse,
    caller: &Caller,
    acme: &TestTenant,
    order: Order,
    token: Option<String>,
    events_max: usize,
) -> Result<Looked, Failure> {
    let filter = ActFilter { event_name: Some("OpenTicket".into()), ..ActFilter::default() };
    let op = LookupEvents {
        tenant: acme.id.clone(),
        region: region(),
        family: Family::Own,
        filter,
        order,
        token,
        events_max,
    };
    t.house.perform(caller.clone(), op).await
}

#[test]
fn a_token_continues_one_lookup_of_one_tenant() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        busy(&t, &acme, 5).await;
        busy(&t, &globex, 5).await;
        let token = lookup(&t, &acme.root, &acme, Order::Newest, None, 2).await.unwrap().token;
        assert!(lookup(&t, &acme.root, &acme, Order::Newest, token.clone(), 2).await.is_ok());
        let refused =
            |r: Result<Looked, Failure>| matches!(r, Err(Failure::Invalid { field: "NextToken", .. }));
        assert!(refused(lookup(&t, &globex.root, &globex, Order::Newest, token.clone(), 2).await));
        assert!(refused(lookup(&t, &acme.root, &acme, Order::Oldest, token.clone(), 2).await));
        let good = token.unwrap();
        for n in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[n] = if bad[n] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            if bad != good {
                assert!(
                    refused(lookup(&t, &acme.root, &acme, Order::Newest, Some(bad), 2).await),
                    "byte {n}"
                );
            }
        }
        for junk in ["", "x", "AAAA", "=", "发票"] {
            assert!(refused(lookup(&t, &acme.root, &acme, Order::Newest, Some(junk.into()), 2).await));
        }
    });
}

#[test]
fn an_operators_number_is_resolved_by_compliance_alone_and_both_logs_say_so() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let yu = t.operator("op-yu", "compliance", "CN").await;
        let ticket = acme.ticket(&t).await;
        let number = t.house.pseudonym(&acme.id, &bailee_types::OperatorId::parse("op-lin").unwrap());
        let resolve = |ticket, reference: &str| ResolveEmployee {
            tenant: acme.id.clone(),
            employee: number.clone(),
            ticket,
            reference: reference.into(),
        };
        let refused = t.house.perform(lin.clone(), resolve(Some(ticket.clone()), "CASE-1")).await;
        assert!(matches!(refused, Err(Failure::Refused(_))), "support may not");
        let refused = t.house.perform(acme.root.clone(), resolve(None, "CASE-1")).await;
        assert!(refused.is_err(), "root may not");
        let at_machine =
            t.house.perform(t.house.system_caller("bailee trail"), resolve(None, "CASE-1")).await;
        assert!(matches!(at_machine, Err(Failure::Conflict(_))), "nobody without a name may");
        assert!(t.house.perform(yu.clone(), resolve(None, " ")).await.is_err(), "not without a reference");

        let who = t.house.perform(yu.clone(), resolve(Some(ticket), "CASE-7")).await.unwrap();
        assert_eq!(who.operator.as_str(), "op-lin");
        let who = t.house.perform(yu.clone(), resolve(None, "Order 12 of 2026")).await.unwrap();
        assert_eq!(who.operator.as_str(), "op-lin");
        let nobody = ResolveEmployee {
            employee: Pseudonym::parse("emp-aaaaaaaaaaaaaaaa").unwrap(),
            ..resolve(None, "CASE-8")
        };
        assert!(matches!(t.house.perform(yu.clone(), nobody).await, Err(Failure::NotFound { .. })));

        let asked = ActFilter { event_name: Some("ResolveEmployee".into()), ..ActFilter::default() };
        let (acts, _) = everything(&t.house, &acme, &asked, 50).await;
        let types: Vec<_> =
            acts.iter().rev().map(|a| (a.result().to_owned(), a.event_type.clone())).collect();
        assert_eq!(types.last().unwrap().1, "ALIYUN_INITIATED_PENALTY");
        assert!(types.contains(&("done".into(), "CUSTOMER_INITIATED_SUPPORT".into())));
        assert!(acts.iter().filter(|a| a.family == Family::Platform).all(|a| a.level == "WARNING"
            && !a.event.contains("op-lin")
            && !a.outcome_event.contains("op-lin")));
        let provider = bailee_types::TenantId::provider();
        let noted = ActFilter { event_name: Some("NoteResolveEmployee".into()), ..ActFilter::default() };
        let noted = t.house.acts(&provider, &noted, None, 50).await.unwrap().acts;
        assert_eq!(noted.len(), 3);
        assert!(noted.iter().all(|a| a.event.contains(number.as_str()) || a.event.contains("emp-aaaa")));
    });
}

#[test]
fn trails_are_made_started_and_stopped_and_name_only_ones_own_bucket() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        acme.make_bucket(&t, "acme-logs").await;
        globex.make_bucket(&t, "globex-logs").await;
        let settings = |b: &str| TrailSettings::new(&acme.id, "All", "All", (b, "audit", "")).unwrap();
        let create = |name: &str, b: &str| CreateTrail {
            family: TrailFamily::Management,
            name: name.into(),
            settings: settings(b),
        };
        let make = |c: CreateTrail| t.house.perform(acme.root.clone(), c.of(&acme.id, &region()));
        for b in ["no-such", "globex-logs"] {
            let Err(Failure::NotFound { thing, .. }) = make(create("trail-1", b)).await else {
                panic!("{b}")
            };
            assert_eq!(thing, bailee_rooms::Thing::Bucket);
        }
        assert_eq!(make(create("trail-1", "acme-logs")).await.unwrap().status, Status::Fresh);
        assert!(matches!(make(create("trail-1", "acme-logs")).await, Err(Failure::Exists { .. })));
        for n in 2..=5 {
            make(create(&format!("trail-{n}"), "acme-logs")).await.unwrap();
        }
        assert!(matches!(make(create("trail-6", "acme-logs")).await, Err(Failure::Limit { max: 5, .. })));

        let status = async || {
            let get = GetTrailStatus { name: "trail-1".into() };
            t.house.perform(acme.root.clone(), get.of(&acme.id, &region())).await.unwrap()
        };
        let fresh = status().await;
        assert!(fresh.records_waiting.is_none() && fresh.bucket_exists && fresh.trail.started_at.is_none());
        let start = StartLogging { name: "trail-1".into() };
        t.house.perform(acme.root.clone(), start.clone().of(&acme.id, &region())).await.unwrap();
        busy(&t, &acme, 3).await;
        let on = status().await;
        assert_eq!((on.trail.status, on.trail.delivered_at), (Status::Enable, None));
        assert!(on.records_waiting.unwrap() >= 6, "what nobody delivered yet is said");
        let stop = StopLogging { name: "trail-1".into() };
        t.house.perform(acme.root.clone(), stop.of(&acme.id, &region())).await.unwrap();
        let off = status().await;
        assert!(off.trail.status == Status::Disable && off.trail.stopped_at.is_some());
        let again = t.house.perform(globex.root.clone(), start.of(&globex.id, &region())).await;
        assert!(matches!(again, Err(Failure::NotFound { .. })), "another tenant has no such trail");
        let delete = DeleteTrail { family: TrailFamily::Management, name: "trail-1".into() };
        t.house.perform(acme.root.clone(), delete.of(&acme.id, &region())).await.unwrap();
    });
}

#[test]
fn the_tail_gives_each_record_once_in_order() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let tail =
            |from| TailActs { tenant: acme.id.clone(), filter: ActFilter::default(), from, records_max: 4 };
        let begin = t.house.perform(acme.root.clone(), tail(None)).await.unwrap();
        assert!(begin.items.is_empty());
        busy(&t, &acme, 9).await;
        let (mut next, mut records, mut ended) = (begin.next, Vec::new(), 0);
        loop {
            let page = t.house.perform(acme.root.clone(), tail(Some(next))).await.unwrap();
            records.extend(page.items.iter().map(TailItem::record));
            ended += page
                .items
                .iter()
                .filter(|i| matches!(i, TailItem::Ended { result, .. } if result == "done"))
                .count();
            if page.next == next {
                break;
            }
            next = page.next;
        }
        let wanted: Vec<u64> = (begin.next..next).collect();
        assert_eq!(records, wanted);
        assert_eq!(ended, 10, "nine tickets and a bucket");
    });
}

#[test]
fn events_have_every_member_of_the_contract() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-invoices").await;
        acme.put(&t, "acme-invoices", "a.pdf", "x").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let refused = acme.read(&t, &lin, &ticket, ("acme-invoices", "a.pdf")).await;
        assert!(refused.is_err());
        let (acts, _) = everything(&t.house, &acme, &ActFilter::default(), 50).await;
        let made = acts.iter().find(|a| a.event_name == "PutBucket").unwrap().management_event().unwrap();
        for name in [
            "eventId",
            "eventVersion",
            "eventTime",
            "eventName",
            "eventSource",
            "eventType",
            "eventCategory",
            "eventRW",
            "serviceName",
            "acsRegion",
            "requestId",
            "requestParameters",
            "requestParameterJson",
            "responseElements",
            "errorCode",
            "errorMessage",
            "resourceType",
            "resourceName",
            "referencedResources",
            "sourceIpAddress",
            "userAgent",
            "vpcId",
            "isGlobal",
            "recipientAccountId",
            "eventAttributes",
            "additionalEventData",
            "userIdentity",
        ] {
            assert!(made.contains_key(name), "{name}");
        }
        assert_eq!(made["referencedResources"]["ACS::OSS::Bucket"][0], "acme-invoices");
        assert!(acts.iter().any(|a| a.management_event().is_some_and(|e| e["eventType"] == "ConsoleSignin")));
        let read = acts.iter().find(|a| a.event_name == "GetObject" && a.family == Family::Platform).unwrap();
        assert!(read.management_event().is_none(), "the platform's acts never show as the tenant's");
        let event = read.platform_event().unwrap();
        for name in [
            "EventID",
            "EventVersion",
            "EventProduct",
            "EventName",
            "EventDescription",
            "EventType",
            "EmployeeID",
            "EventMethod",
            "ResourceType",
            "ResourceID",
            "ResourceRegionID",
            "ResourceOwnerID",
            "EventAdditionalDetail",
            "EventTime",
            "EventLevel",
            "EventLocation",
        ] {
            assert!(event[name].as_str().is_some_and(|v| !v.is_empty()), "{name}");
        }
        assert!(event.values().all(serde_json::Value::is_string));
        assert_eq!(
            (event["EventProduct"].as_str(), event["EventLevel"].as_str()),
            (Some("OSS"), Some("WARNING"))
        );
        let _ = bucket("acme-invoices");
    });
}
